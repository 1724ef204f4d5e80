#include "lake/options.h"

#include <ctype.h>
#include <strings.h>

// What tarn does about an option.
typedef enum option_rule {
    RULE_USED,  // parsed into lake_options
    RULE_FIXED, // only one value is supported; others are refused for the uses in `refuses`
    RULE_OTHER, // for other engines: retention, their compaction, their scans
} option_rule;

typedef struct known_option {
    const char *name;
    option_rule rule;
    const char *fixed; // RULE_FIXED: the value that is fine
    unsigned refuses;  // RULE_FIXED: lake_use bits
} known_option;

#define READ_WRITE (LAKE_USE_READ | LAKE_USE_WRITE)

static const known_option KNOWN[] = {
    {"bucket", RULE_USED, NULL, 0},
    {"bucket-key", RULE_USED, NULL, 0},
    {"sequence.field", RULE_USED, NULL, 0},
    {"partition.default-name", RULE_USED, NULL, 0},
    {"partition.legacy-name", RULE_USED, NULL, 0},
    {"data-file.prefix", RULE_USED, NULL, 0},
    {"file.compression", RULE_USED, NULL, 0},
    {"file.compression.zstd-level", RULE_USED, NULL, 0},
    {"manifest.compression", RULE_USED, NULL, 0},
    {"manifest.target-file-size", RULE_USED, NULL, 0},
    {"manifest.full-compaction-threshold-size", RULE_USED, NULL, 0},
    {"manifest.merge-min-count", RULE_USED, NULL, 0},
    {"target-file-size", RULE_USED, NULL, 0},
    {"metadata.stats-mode", RULE_USED, NULL, 0},
    {"num-levels", RULE_USED, NULL, 0},
    {"commit.max-retries", RULE_USED, NULL, 0},
    {"commit.min-retry-wait", RULE_USED, NULL, 0},
    {"commit.max-retry-wait", RULE_USED, NULL, 0},
    {"deletion-vectors.enabled", RULE_FIXED, "false", LAKE_USE_WRITE},
    {"deletion-vectors.merge-on-read", RULE_FIXED, "false", LAKE_USE_WRITE},
    {"type", RULE_FIXED, "table", READ_WRITE},
    {"merge-engine", RULE_FIXED, "deduplicate", READ_WRITE},
    {"changelog-producer", RULE_FIXED, "none", LAKE_USE_WRITE},
    {"file.format", RULE_FIXED, "parquet", LAKE_USE_WRITE},
    {"manifest.format", RULE_FIXED, "avro", READ_WRITE},
    {"bucket-function.type", RULE_FIXED, "default", LAKE_USE_WRITE},
    {"bucket-append-ordered", RULE_FIXED, "true", 0},
    {"sequence.field.sort-order", RULE_FIXED, "ascending", READ_WRITE},
    {"sequence.snapshot-ordering", RULE_FIXED, "false", READ_WRITE},
    {"rowkind.field", RULE_FIXED, "", LAKE_USE_WRITE},
    {"ignore-delete", RULE_FIXED, "false", READ_WRITE},
    {"data-evolution.enabled", RULE_FIXED, "false", READ_WRITE},
    {"row-tracking.enabled", RULE_FIXED, "false", LAKE_USE_WRITE},
    {"primary-key.nullable", RULE_FIXED, "false", READ_WRITE},
    {"record-level.expire-time", RULE_FIXED, "", LAKE_USE_WRITE},
    {"index-file-in-data-file-dir", RULE_FIXED, "false", READ_WRITE},
    {"data-file.path-directory", RULE_FIXED, "", READ_WRITE},
    {"data-file.external-paths", RULE_FIXED, "", READ_WRITE},
    {"metadata.iceberg.storage", RULE_FIXED, "disabled", LAKE_USE_WRITE},
    {"clustering.incremental", RULE_FIXED, "false", LAKE_USE_WRITE},
    {"write.sequence-number-init-mode", RULE_FIXED, "scan", LAKE_USE_WRITE},
    {"metadata.stats-dense-store", RULE_OTHER, NULL, 0},
    {"write-only", RULE_OTHER, NULL, 0},
    {"snapshot.time-retained", RULE_OTHER, NULL, 0},
    {"snapshot.num-retained.min", RULE_OTHER, NULL, 0},
    {"snapshot.num-retained.max", RULE_OTHER, NULL, 0},
    {"snapshot.expire.limit", RULE_OTHER, NULL, 0},
    {"num-sorted-run.compaction-trigger", RULE_OTHER, NULL, 0},
    {"num-sorted-run.stop-trigger", RULE_OTHER, NULL, 0},
    {"compaction.max-size-amplification-percent", RULE_OTHER, NULL, 0},
    {"compaction.size-ratio", RULE_OTHER, NULL, 0},
    {"compaction.min.file-num", RULE_OTHER, NULL, 0},
    {"scan.mode", RULE_OTHER, NULL, 0},
};
#define KNOWN_COUNT (sizeof KNOWN / sizeof KNOWN[0])

// Families of options that change bytes or results; an unknown member stops writers.
static const char *const CHANGING_PREFIXES[] = {"fields.",      "sequence.",    "pk-",
                                                "chain-table.", "map.",         "variant.",
                                                "blob-",        "aggregation.", "partial-update."};

tarn_slice lake_option_find(const tarn_option *options, size_t count, tarn_slice key) {
    for (size_t i = 0; i < count; i++) {
        if (tarn_slice_equal(options[i].key, key)) return options[i].value;
    }
    return (tarn_slice){0};
}

static const known_option *find_known(tarn_slice name) {
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(KNOWN[i].name))) return &KNOWN[i];
    }
    return NULL;
}

static bool equal_ignoring_case(tarn_slice text, const char *word) {
    return text.len == strlen(word) && strncasecmp((const char *)text.data, word, text.len) == 0;
}

// ---- values ----

static tarn_status bad_value(const char *name, tarn_slice value, const char *expected,
                             tarn_error *err) {
    return tarn_fail(err, TARN_INVALID, "option '%s': '" TARN_SLICE_FMT "' is not %s", name,
                     TARN_SLICE_ARG(value), expected);
}

// A number with the unit behind it, blanks allowed between.
static bool split_number(tarn_slice text, uint64_t *ret_number, tarn_slice *ret_unit) {
    size_t i = 0;
    uint64_t number = 0;
    while (i < text.len && isspace(text.data[i])) i++;
    size_t first = i;
    for (; i < text.len && isdigit(text.data[i]); i++) {
        if (__builtin_mul_overflow(number, 10, &number)) return false;
        if (__builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number)) return false;
    }
    if (i == first) return false;
    while (i < text.len && isspace(text.data[i])) i++;
    tarn_slice unit = tarn_slice_skip(text, i);
    while (unit.len > 0 && isspace(unit.data[unit.len - 1])) unit.len--;
    *ret_number = number;
    *ret_unit = unit;
    return true;
}

typedef struct unit {
    const char *names[5];
    uint64_t factor;
} unit;

static const unit SIZE_UNITS[] = {
    {{"", "b", "bytes"}, 1},
    {{"k", "kb", "kibibytes"}, 1 << 10},
    {{"m", "mb", "mebibytes"}, 1 << 20},
    {{"g", "gb", "gibibytes"}, 1 << 30},
    {{"t", "tb", "tebibytes"}, (uint64_t)1 << 40},
};
static const unit TIME_UNITS[] = {
    {{"", "ms", "milli", "millisecond", "milliseconds"}, 1},
    {{"s", "sec", "second", "seconds"}, 1000},
    {{"m", "min", "minute", "minutes"}, 60000},
    {{"h", "hour", "hours"}, 3600000},
    {{"d", "day", "days"}, 86400000},
};

static bool scale(const unit *units, tarn_slice name, uint64_t *number) {
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5 && units[i].names[j] != NULL; j++) {
            if (!equal_ignoring_case(name, units[i].names[j])) continue;
            return !__builtin_mul_overflow(*number, units[i].factor, number);
        }
    }
    return false;
}

typedef struct option_source {
    const tarn_option *options;
    size_t count;
} option_source;

static tarn_slice find(option_source source, const char *name) {
    return lake_option_find(source.options, source.count, tarn_slice_from_cstr(name));
}

static tarn_status take_quantity(option_source source, const char *name, const unit *units,
                                 uint64_t *value, tarn_error *err) {
    tarn_slice text = find(source, name);
    if (text.data == NULL) return TARN_OK;
    uint64_t number = 0;
    tarn_slice rest;
    if (!split_number(text, &number, &rest) || !scale(units, rest, &number)) {
        return bad_value(
            name, text,
            units == SIZE_UNITS ? "a size such as '128 mb'" : "a duration such as '10 s'", err);
    }
    *value = number;
    return TARN_OK;
}

static tarn_status take_count(option_source source, const char *name, uint64_t min, uint64_t max,
                              uint64_t *value, tarn_error *err) {
    tarn_slice text = find(source, name);
    if (text.data == NULL) return TARN_OK;
    uint64_t number = 0;
    tarn_slice rest;
    if (!split_number(text, &number, &rest) || rest.len > 0 || number < min || number > max) {
        return tarn_fail(err, TARN_INVALID,
                         "option '%s': '" TARN_SLICE_FMT "' is not a number from %llu to %llu",
                         name, TARN_SLICE_ARG(text), (unsigned long long)min,
                         (unsigned long long)max);
    }
    *value = number;
    return TARN_OK;
}

static tarn_status take_bool(option_source source, const char *name, bool *value, tarn_error *err) {
    tarn_slice text = find(source, name);
    if (text.data == NULL) return TARN_OK;
    bool is_true = equal_ignoring_case(text, "true");
    if (!is_true && !equal_ignoring_case(text, "false")) {
        return bad_value(name, text, "true or false", err);
    }
    *value = is_true;
    return TARN_OK;
}

static tarn_status take_codec(option_source source, const char *name, tarn_codec *value,
                              tarn_error *err) {
    static const struct {
        const char *name;
        tarn_codec codec;
    } codecs[] = {
        {"none", TARN_CODEC_NONE}, {"uncompressed", TARN_CODEC_NONE}, {"null", TARN_CODEC_NONE},
        {"zstd", TARN_CODEC_ZSTD}, {"snappy", TARN_CODEC_SNAPPY},     {"gzip", TARN_CODEC_GZIP},
        {"lz4", TARN_CODEC_LZ4},   {"deflate", TARN_CODEC_DEFLATE},
    };
    tarn_slice text = find(source, name);
    if (text.data == NULL) return TARN_OK;
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (!equal_ignoring_case(text, codecs[i].name)) continue;
        *value = codecs[i].codec;
        return TARN_OK;
    }
    return bad_value(name, text, "one of none, zstd, snappy, gzip, lz4", err);
}

static tarn_status take_bucket(option_source source, int32_t *bucket, tarn_error *err) {
    tarn_slice text = find(source, "bucket");
    if (text.data == NULL) return TARN_OK;
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t number = 0;
    tarn_slice rest;
    if (!split_number(negative ? tarn_slice_skip(text, 1) : text, &number, &rest) || rest.len > 0 ||
        number == 0 || number > (negative ? 2 : INT32_MAX)) {
        return bad_value("bucket", text, "-1, -2 or a positive number", err);
    }
    *bucket = negative ? -(int32_t)number : (int32_t)number;
    return TARN_OK;
}

static tarn_status take_stats_mode(option_source source, lake_options *options, tarn_error *err) {
    tarn_slice text = find(source, "metadata.stats-mode");
    if (text.data == NULL) return TARN_OK;
    if (equal_ignoring_case(text, "none")) {
        options->stats_mode = LAKE_STATS_NONE;
        return TARN_OK;
    }
    if (equal_ignoring_case(text, "counts")) {
        options->stats_mode = LAKE_STATS_COUNTS;
        return TARN_OK;
    }
    if (equal_ignoring_case(text, "full")) {
        options->stats_mode = LAKE_STATS_FULL;
        return TARN_OK;
    }
    tarn_slice prefix = TARN_LIT("truncate(");
    uint64_t length = 0;
    tarn_slice rest;
    if (text.len <= prefix.len ||
        strncasecmp((const char *)text.data, "truncate(", prefix.len) != 0 ||
        !split_number(tarn_slice_skip(text, prefix.len), &length, &rest) || length == 0 ||
        !tarn_slice_equal(rest, TARN_LIT(")"))) {
        return bad_value("metadata.stats-mode", text, "none, counts, full or truncate(n)", err);
    }
    options->stats_mode = LAKE_STATS_TRUNCATE;
    options->stats_length = length;
    return TARN_OK;
}

static tarn_status take_name(option_source source, const char *name, tarn_slice *value,
                             tarn_error *err) {
    tarn_slice text = find(source, name);
    if (text.data == NULL) return TARN_OK;
    if (text.len == 0 || memchr(text.data, '/', text.len) != NULL) {
        return bad_value(name, text, "a name without '/'", err);
    }
    *value = text;
    return TARN_OK;
}

// 128 MiB for keyed tables and 256 MiB for append tables, as Paimon.
static uint64_t default_target_bytes(bool is_keyed) {
    return (uint64_t)(is_keyed ? 128 : 256) << 20;
}

tarn_status lake_options_parse(const tarn_option *options, size_t count, bool is_keyed,
                               lake_options *ret_options, tarn_error *err) {
    option_source source = {options, count};
    lake_options parsed = {
        .bucket = -1,
        .bucket_key = find(source, "bucket-key"),
        .sequence_field = find(source, "sequence.field"),
        .default_partition = TARN_LIT("__DEFAULT_PARTITION__"),
        .legacy_partition_names = true,
        .data_prefix = TARN_LIT("data-"),
        .file_codec = TARN_CODEC_ZSTD,
        .zstd_level = 1,
        .manifest_codec = TARN_CODEC_ZSTD,
        .manifest_target_bytes = 8 << 20,
        .manifest_full_bytes = 16 << 20,
        .manifest_merge_min = 30,
        .target_file_bytes = default_target_bytes(is_keyed),
        .stats_mode = LAKE_STATS_TRUNCATE,
        .stats_length = 16,
        .level_count = 6,
        .commit_retries = 10,
        .commit_min_wait_ms = 10,
        .commit_max_wait_ms = 10000,
    };
    uint64_t level = 1;
    TARN_TRY(take_bucket(source, &parsed.bucket, err));
    TARN_TRY(take_name(source, "partition.default-name", &parsed.default_partition, err));
    TARN_TRY(take_bool(source, "partition.legacy-name", &parsed.legacy_partition_names, err));
    TARN_TRY(take_name(source, "data-file.prefix", &parsed.data_prefix, err));
    TARN_TRY(take_codec(source, "file.compression", &parsed.file_codec, err));
    TARN_TRY(take_count(source, "file.compression.zstd-level", 1, 19, &level, err));
    parsed.zstd_level = (int)level;
    TARN_TRY(take_codec(source, "manifest.compression", &parsed.manifest_codec, err));
    TARN_TRY(take_quantity(source, "manifest.target-file-size", SIZE_UNITS,
                           &parsed.manifest_target_bytes, err));
    TARN_TRY(take_quantity(source, "manifest.full-compaction-threshold-size", SIZE_UNITS,
                           &parsed.manifest_full_bytes, err));
    TARN_TRY(take_count(source, "manifest.merge-min-count", 1, UINT32_MAX,
                        &parsed.manifest_merge_min, err));
    TARN_TRY(take_quantity(source, "target-file-size", SIZE_UNITS, &parsed.target_file_bytes, err));
    TARN_TRY(take_stats_mode(source, &parsed, err));
    TARN_TRY(take_count(source, "num-levels", 2, 100, &parsed.level_count, err));
    TARN_TRY(take_count(source, "commit.max-retries", 0, 1000, &parsed.commit_retries, err));
    TARN_TRY(take_quantity(source, "commit.min-retry-wait", TIME_UNITS, &parsed.commit_min_wait_ms,
                           err));
    TARN_TRY(take_quantity(source, "commit.max-retry-wait", TIME_UNITS, &parsed.commit_max_wait_ms,
                           err));
    TARN_TRY(take_bool(source, "deletion-vectors.enabled", &parsed.deletion_vectors, err));
    TARN_TRY(take_bool(source, "deletion-vectors.merge-on-read",
                       &parsed.deletion_vectors_merge_on_read, err));
    if (parsed.manifest_codec != TARN_CODEC_NONE && parsed.manifest_codec != TARN_CODEC_ZSTD &&
        parsed.manifest_codec != TARN_CODEC_DEFLATE) {
        // Other engines' readers may have them; tarn's Avro writer has these three.
        return bad_value("manifest.compression", find(source, "manifest.compression"),
                         "one of none, zstd, deflate", err);
    }
    *ret_options = parsed;
    return TARN_OK;
}

// ---- which options are fine ----

static tarn_status check_fixed(const known_option *known, tarn_slice value, tarn_error *err) {
    if (equal_ignoring_case(value, known->fixed)) return TARN_OK;
    return tarn_fail(err, TARN_UNSUPPORTED, "option '%s' = '" TARN_SLICE_FMT "' is not supported",
                     known->name, TARN_SLICE_ARG(value));
}

static tarn_status unknown_option(tarn_slice name, tarn_error *err) {
    tarn_slice names[KNOWN_COUNT];
    for (size_t i = 0; i < KNOWN_COUNT; i++) names[i] = tarn_slice_from_cstr(KNOWN[i].name);
    (void)tarn_fail(err, TARN_INVALID, "unknown table option '" TARN_SLICE_FMT "'",
                    TARN_SLICE_ARG(name)); // the status is returned below, after the hint
    ptrdiff_t near = tarn_nearest_name(name, names, KNOWN_COUNT);
    if (near >= 0) tarn_error_hint(err, "did you mean '%s'?", KNOWN[near].name);
    return TARN_INVALID;
}

tarn_status lake_options_check_new(const tarn_option *options, size_t count, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        // Notes of the layers above, which change nothing here: "tarn.view".
        if (tarn_slice_starts_with(options[i].key, TARN_LIT("tarn."))) continue;
        const known_option *known = find_known(options[i].key);
        if (known == NULL) return unknown_option(options[i].key, err);
        if (known->rule == RULE_FIXED) TARN_TRY(check_fixed(known, options[i].value, err));
        for (size_t j = 0; j < i; j++) {
            if (!tarn_slice_equal(options[i].key, options[j].key)) continue;
            return tarn_fail(err, TARN_INVALID, "option '%s' is given twice", known->name);
        }
    }
    return TARN_OK;
}

static bool changes_behaviour(tarn_slice name) {
    for (size_t i = 0; i < sizeof CHANGING_PREFIXES / sizeof CHANGING_PREFIXES[0]; i++) {
        if (tarn_slice_starts_with(name, tarn_slice_from_cstr(CHANGING_PREFIXES[i]))) return true;
    }
    return false;
}

tarn_status lake_options_check_use(const tarn_option *options, size_t count, lake_use use,
                                   tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        const known_option *known = find_known(options[i].key);
        if (known != NULL && known->rule == RULE_FIXED && (known->refuses & use) != 0) {
            TARN_TRY(check_fixed(known, options[i].value, err));
        }
        if (known == NULL && use == LAKE_USE_WRITE && changes_behaviour(options[i].key)) {
            return tarn_fail(err, TARN_UNSUPPORTED,
                             "option '" TARN_SLICE_FMT "' = '" TARN_SLICE_FMT
                             "' is not known, and may change what a writer must do",
                             TARN_SLICE_ARG(options[i].key), TARN_SLICE_ARG(options[i].value));
        }
    }
    return TARN_OK;
}
