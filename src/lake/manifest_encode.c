#include "format/avro/avro.h"
#include "lake/manifest.h"

// Nested records are named by the path of fields that leads to them. Field order is fixed: some
// readers take manifests by position.
#define STATS(name)                                                                          \
    "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":["                                \
    "{\"name\":\"_MIN_VALUES\",\"type\":\"bytes\"},"                                         \
    "{\"name\":\"_MAX_VALUES\",\"type\":\"bytes\"},"                                         \
    "{\"name\":\"_NULL_COUNTS\",\"type\":[\"null\",{\"type\":\"array\",\"items\":[\"null\"," \
    "\"long\"]}],\"default\":null}]}"
#define FIELD(name, type)    "{\"name\":\"" name "\",\"type\":" type "}"
#define OPTIONAL(name, type) "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null}"
#define TEXTS(element)       "{\"type\":\"array\",\"items\":" element "}"

static const char LIST_SCHEMA[] =
    "{\"type\":\"record\",\"name\":\"record\",\"namespace\":\"org.apache.paimon."
    "avro.generated\","
    "\"fields\":[" FIELD("_VERSION", "\"int\"") "," FIELD(
        "_FILE_NAME",
        "\"string"
        "\"") "," FIELD("_FILE_SIZE",
                        "\"long\"") "," FIELD("_NUM_ADDED_FILES",
                                              "\"long\"") "," FIELD("_NUM_DELETED_FILES",
                                                                    "\"long\"") "," FIELD("_PARTITI"
                                                                                          "ON_"
                                                                                          "STATS",
                                                                                          STATS(
                                                                                              "reco"
                                                                                              "rd__"
                                                                                              "PART"
                                                                                              "ITIO"
                                                                                              "N_"
                                                                                              "STAT"
                                                                                              "S")) "," FIELD("_SCH"
                                                                                                              "EMA_"
                                                                                                              "ID",
                                                                                                              "\"lo"
                                                                                                              "ng"
                                                                                                              "\"") "," OPTIONAL("_MIN_BUCKET",
                                                                                                                                 "\"int\"") "," OPTIONAL("_MAX_BUCKET",
                                                                                                                                                         "\"int\"") "," OPTIONAL("_MIN_LEVEL",
                                                                                                                                                                                 "\"int\"") "," OPTIONAL("_MAX_LEVEL",
                                                                                                                                                                                                         "\"int\"") "]}";

static const char
    MANIFEST_SCHEMA[] = "{\"type\":\"record\",\"name\":\"record\",\"namespace\":\"org.apache."
                        "paimon.avro.generated\","
                        "\"fields\":[" FIELD("_VERSION",
                                             "\"int\"") "," FIELD("_KIND",
                                                                  "\"int\"") "," FIELD("_PARTITION",
                                                                                       "\"bytes\"") "," FIELD("_BUCKET", "\"int\"") "," FIELD("_TOTAL_BUCKETS", "\"int\"") ","
                                                                                                                                                                           "{\"name\":\"_FILE\",\"type\":{\"type\":\"record\",\"name\":\"record__FILE\",\"fields\":[" FIELD("_FILE_NAME", "\"string\"") "," FIELD("_FILE_SIZE", "\"long\"") "," FIELD("_ROW_COUNT", "\"long\"") "," FIELD("_MIN_KEY", "\"bytes\"") "," FIELD("_MAX_KEY", "\"bytes\"") "," FIELD("_KEY_STATS", STATS(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  "record__FILE__KEY_STATS")) "," FIELD("_VALUE_STATS", STATS("record__FILE__VALUE_STATS")) "," FIELD("_MIN_SEQUENCE_NUMBER", "\"long\"") "," FIELD("_MAX_SEQUENCE_NUMBER", "\"long\"") "," FIELD("_SCHEMA_ID", "\"long\"") "," FIELD("_LEVEL", "\"int\"") "," FIELD("_EXTRA_FILES", TEXTS("\"string\"")) "," OPTIONAL("_CREATION_TIME", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}") "," OPTIONAL("_DELETE_ROW_COUNT", "\"long\"") "," OPTIONAL("_EMBEDDED_FILE_INDEX", "\"bytes\"") "," OPTIONAL("_FILE_SOURCE", "\"int\"") "," OPTIONAL("_VALUE_STATS_COLS",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          TEXTS(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "\"string\"")) "," OPTIONAL("_EXTERNAL_PATH",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"string\"") "," OPTIONAL("_FIRST_ROW_ID",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "\"long\"") "," OPTIONAL("_WRITE_COLS",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              TEXTS(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  "\"string\"")) "]}}]}";

enum {
    STATS_FIELDS = 3,
    LIST_FIELDS = 11,
    ENTRY_FIELDS = 6,
    FILE_FIELDS = 20,
};

// ---- values ----

static tarn_avro_value int_value(int64_t number) {
    return (tarn_avro_value){.kind = TARN_AVRO_INT, .i64 = number};
}

static tarn_avro_value long_value(int64_t number) {
    return (tarn_avro_value){.kind = TARN_AVRO_LONG, .i64 = number};
}

static tarn_avro_value null_value(void) {
    return (tarn_avro_value){.kind = TARN_AVRO_NULL};
}

static tarn_avro_value optional_long(int64_t number) {
    return number == LAKE_UNKNOWN ? null_value() : long_value(number);
}

static tarn_avro_value optional_int(int64_t number) {
    return number == LAKE_UNKNOWN ? null_value() : int_value(number);
}

static tarn_avro_value bytes_value(tarn_slice bytes) {
    return (tarn_avro_value){.kind = TARN_AVRO_BYTES, .bytes = bytes};
}

static tarn_avro_value optional_bytes(tarn_slice bytes) {
    return bytes.data == NULL ? null_value() : bytes_value(bytes);
}

static tarn_avro_value text_value(tarn_slice text) {
    return (tarn_avro_value){.kind = TARN_AVRO_STRING, .bytes = text};
}

static tarn_avro_value optional_text(tarn_slice text) {
    return text.data == NULL ? null_value() : text_value(text);
}

static tarn_status texts_value(const tarn_slice *texts, size_t count, tarn_arena *arena,
                               tarn_avro_value *ret_value, tarn_error *err) {
    tarn_avro_value *items = tarn_arena_new(arena, tarn_avro_value, count);
    if (items == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a list of names");
    for (size_t i = 0; i < count; i++) items[i] = text_value(texts[i]);
    *ret_value = (tarn_avro_value){.kind = TARN_AVRO_ARRAY, .items = items, .count = count};
    return TARN_OK;
}

static tarn_status optional_texts(const tarn_slice *texts, size_t count, tarn_arena *arena,
                                  tarn_avro_value *ret_value, tarn_error *err) {
    *ret_value = null_value();
    return texts == NULL ? TARN_OK : texts_value(texts, count, arena, ret_value, err);
}

static tarn_status stats_value(const lake_stats *stats, tarn_arena *arena,
                               tarn_avro_value *ret_value, tarn_error *err) {
    tarn_avro_value *fields = tarn_arena_new(arena, tarn_avro_value, STATS_FIELDS);
    tarn_avro_value *counts = tarn_arena_new(arena, tarn_avro_value, stats->null_count_count);
    if (fields == NULL || counts == NULL) return tarn_fail(err, TARN_NO_MEMORY, "statistics");
    for (size_t i = 0; i < stats->null_count_count; i++) {
        counts[i] = optional_long(stats->null_counts[i]);
    }
    fields[0] = bytes_value(stats->min);
    fields[1] = bytes_value(stats->max);
    fields[2] = (tarn_avro_value){
        .kind = TARN_AVRO_ARRAY, .items = counts, .count = stats->null_count_count};
    *ret_value =
        (tarn_avro_value){.kind = TARN_AVRO_RECORD, .items = fields, .count = STATS_FIELDS};
    return TARN_OK;
}

static tarn_status file_value(const lake_file *file, tarn_arena *arena, tarn_avro_value *ret_value,
                              tarn_error *err) {
    tarn_avro_value *f = tarn_arena_new(arena, tarn_avro_value, FILE_FIELDS);
    if (f == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a manifest entry");
    f[0] = text_value(file->name);
    f[1] = long_value(file->file_bytes);
    f[2] = long_value(file->row_count);
    f[3] = bytes_value(file->min_key);
    f[4] = bytes_value(file->max_key);
    TARN_TRY(stats_value(&file->key_stats, arena, &f[5], err));
    TARN_TRY(stats_value(&file->value_stats, arena, &f[6], err));
    f[7] = long_value(file->min_sequence);
    f[8] = long_value(file->max_sequence);
    f[9] = long_value(file->schema_id);
    f[10] = int_value(file->level);
    TARN_TRY(texts_value(file->extra_files, file->extra_file_count, arena, &f[11], err));
    f[12] = optional_long(file->created_ms);
    f[13] = optional_long(file->delete_row_count);
    f[14] = optional_bytes(file->embedded_index);
    f[15] = optional_int(file->source);
    TARN_TRY(optional_texts(file->value_stat_cols, file->value_stat_col_count, arena, &f[16], err));
    f[17] = optional_text(file->external_path);
    f[18] = optional_long(file->first_row_id);
    TARN_TRY(optional_texts(file->write_cols, file->write_col_count, arena, &f[19], err));
    *ret_value = (tarn_avro_value){.kind = TARN_AVRO_RECORD, .items = f, .count = FILE_FIELDS};
    return TARN_OK;
}

static tarn_status entry_value(const lake_entry *entry, tarn_arena *arena,
                               tarn_avro_value *ret_value, tarn_error *err) {
    tarn_avro_value *fields = tarn_arena_new(arena, tarn_avro_value, ENTRY_FIELDS);
    if (fields == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a manifest entry");
    fields[0] = int_value(2);
    fields[1] = int_value(entry->kind);
    fields[2] = bytes_value(entry->partition);
    fields[3] = int_value(entry->bucket);
    fields[4] = int_value(entry->total_buckets);
    TARN_TRY(file_value(&entry->file, arena, &fields[5], err));
    *ret_value =
        (tarn_avro_value){.kind = TARN_AVRO_RECORD, .items = fields, .count = ENTRY_FIELDS};
    return TARN_OK;
}

static tarn_status manifest_value(const lake_manifest *manifest, tarn_arena *arena,
                                  tarn_avro_value *ret_value, tarn_error *err) {
    tarn_avro_value *f = tarn_arena_new(arena, tarn_avro_value, LIST_FIELDS);
    if (f == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a manifest list");
    f[0] = int_value(2);
    f[1] = text_value(manifest->name);
    f[2] = long_value(manifest->file_bytes);
    f[3] = long_value(manifest->added_count);
    f[4] = long_value(manifest->deleted_count);
    TARN_TRY(stats_value(&manifest->partition_stats, arena, &f[5], err));
    f[6] = long_value(manifest->schema_id);
    f[7] = manifest->has_bounds ? int_value(manifest->min_bucket) : null_value();
    f[8] = manifest->has_bounds ? int_value(manifest->max_bucket) : null_value();
    f[9] = manifest->has_bounds ? int_value(manifest->min_level) : null_value();
    f[10] = manifest->has_bounds ? int_value(manifest->max_level) : null_value();
    *ret_value = (tarn_avro_value){.kind = TARN_AVRO_RECORD, .items = f, .count = LIST_FIELDS};
    return TARN_OK;
}

// ---- whole files ----

// What a container is made of: a function that gives datum i.
typedef struct datum_list {
    tarn_status (*at)(const void *items, size_t index, tarn_arena *arena,
                      tarn_avro_value *ret_value, tarn_error *err);
    const void *items;
    size_t count;
} datum_list;

static tarn_status encode_container(tarn_slice schema, const lake_avro_options *options,
                                    datum_list data, tarn_buffer *out, tarn_error *err) {
    const tarn_alloc *alloc = out->alloc == NULL ? &tarn_alloc_libc : out->alloc;
    tarn_arena datum_arena;
    tarn_arena_init(&datum_arena, alloc, SIZE_MAX);
    tarn_avro_writer *writer = NULL;
    tarn_status status = tarn_avro_writer_new(alloc, schema, options->codec, options->level,
                                              options->sync_marker, out, &writer, err);
    for (size_t i = 0; i < data.count && status == TARN_OK; i++) {
        tarn_avro_value datum;
        tarn_arena_clear(&datum_arena);
        status = data.at(data.items, i, &datum_arena, &datum, err);
        if (status == TARN_OK) status = tarn_avro_writer_append(writer, &datum, err);
    }
    if (status == TARN_OK) status = tarn_avro_writer_finish(writer, err);
    tarn_avro_writer_free(writer);
    tarn_arena_reset(&datum_arena);
    return status;
}

static tarn_status manifest_at(const void *items, size_t index, tarn_arena *arena,
                               tarn_avro_value *ret_value, tarn_error *err) {
    return manifest_value((const lake_manifest *)items + index, arena, ret_value, err);
}

static tarn_status entry_at(const void *items, size_t index, tarn_arena *arena,
                            tarn_avro_value *ret_value, tarn_error *err) {
    const lake_entry *const *entries = items;
    return entry_value(entries[index], arena, ret_value, err);
}

tarn_status lake_manifest_list_encode(const lake_manifest *manifests, size_t count,
                                      const lake_avro_options *options, tarn_buffer *out,
                                      tarn_error *err) {
    return encode_container(TARN_LIT(LIST_SCHEMA), options,
                            (datum_list){manifest_at, manifests, count}, out, err);
}

tarn_status lake_manifest_encode(const lake_entry *const *entries, size_t count,
                                 const lake_avro_options *options, tarn_buffer *out,
                                 tarn_error *err) {
    return encode_container(TARN_LIT(MANIFEST_SCHEMA), options,
                            (datum_list){entry_at, entries, count}, out, err);
}
