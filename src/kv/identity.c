// The identity file `KV`: a line of JSON and a line with its checksum. docs/formats/kv-identity.md
#include <inttypes.h>
#include <jansson.h>

#include "base/hash.h"
#include "kv/front.h"

enum { VERSION = 1, CHECKSUM_DIGITS = 16 };

// Options that are numbers, all of them optional in the file.
#define TTL_MS_MAX ((int64_t)1000 * 86400 * 365 * 1000)

// ---- writing ----

static json_t *text_json(tarn_slice text) {
    return json_stringn((const char *)text.data, text.len);
}

static json_t *integer_json(uint64_t value) {
    return json_integer((json_int_t)value);
}

// Leaves out what is zero. The setter takes over the value.
static bool set_number(json_t *object, const char *name, uint64_t value) {
    return value == 0 || json_object_set_new(object, name, integer_json(value)) == 0;
}

static bool set_text(json_t *object, const char *name, tarn_slice text) {
    return text.len == 0 || json_object_set_new(object, name, text_json(text)) == 0;
}

static bool fill_family(json_t *object, const kv_identity_family *family) {
    const tarn_kv_family_options *options = &family->options;
    tarn_slice codec = tarn_slice_from_cstr(tarn_codec_name(options->codec));
    tarn_slice last_codec = tarn_slice_from_cstr(tarn_codec_name(options->last_level_codec));
    return json_object_set_new(object, "id", integer_json(family->id)) == 0 &&
           json_object_set_new(object, "name", text_json(family->name)) == 0 &&
           set_text(object, "comparator", family->comparator_name) &&
           set_text(object, "merge", family->merge_name) &&
           set_number(object, "ttl_ms", (uint64_t)options->ttl_ms) &&
           set_number(object, "prefix_bytes", options->prefix_bytes) &&
           set_number(object, "compaction", options->compaction) &&
           set_number(object, "fifo_limit_bytes", options->fifo_limit_bytes) &&
           set_number(object, "memtable_bytes", options->memtable_bytes) &&
           set_number(object, "block_bytes", options->block_bytes) &&
           set_text(object, "codec", codec) && set_text(object, "last_level_codec", last_codec) &&
           set_number(object, "filter_bits_per_key", options->filter_bits_per_key) &&
           set_number(object, "without_filters", options->without_filters) &&
           set_number(object, "blob_bytes", options->blob_bytes);
}

static bool fill_root(json_t *root, const kv_identity *identity) {
    const char *engine = tarn_kv_engine_name(identity->engine);
    json_t *families = json_array();
    bool is_filled =
        families != NULL && json_object_set_new(root, "version", json_integer(VERSION)) == 0 &&
        json_object_set_new(root, "engine", json_string(engine)) == 0 &&
        json_object_set_new(root, "next_family_id", integer_json(identity->next_family_id)) == 0;
    for (size_t i = 0; is_filled && i < identity->family_count; i++) {
        json_t *family = json_object();
        is_filled = family != NULL && fill_family(family, &identity->families[i]) &&
                    json_array_append(families, family) == 0;
        json_decref(family);
    }
    is_filled = is_filled && json_object_set(root, "families", families) == 0;
    json_decref(families);
    return is_filled;
}

tarn_status kv_identity_encode(const kv_identity *identity, tarn_buffer *out, tarn_error *err) {
    json_t *root = json_object();
    bool is_done = root != NULL && fill_root(root, identity);
    size_t len = is_done ? json_dumpb(root, NULL, 0, JSON_COMPACT) : 0;
    size_t begin = out->len;
    is_done = len > 0 && tarn_buffer_reserve(out, len);
    if (is_done) {
        out->len += json_dumpb(root, (char *)out->data + begin, len, JSON_COMPACT);
        uint64_t checksum = tarn_xxh64((tarn_slice){out->data + begin, len});
        is_done = tarn_buffer_printf(out, "\n%016" PRIx64 "\n", checksum);
    }
    json_decref(root);
    if (!is_done) return tarn_fail(err, TARN_NO_MEMORY, "no memory for the identity file");
    return TARN_OK;
}

// ---- reading ----

static tarn_status fail_field(tarn_error *err, const char *name) {
    return tarn_fail(err, TARN_CORRUPT, "the field '%s' is missing or has no proper value", name);
}

static tarn_status get_number(const json_t *object, const char *name, uint64_t limit,
                              uint64_t *ret_value, tarn_error *err) {
    const json_t *field = json_object_get(object, name);
    if (field == NULL) return TARN_OK;
    json_int_t value = json_integer_value(field);
    if (!json_is_integer(field) || value < 0 || (uint64_t)value > limit) {
        return fail_field(err, name);
    }
    *ret_value = (uint64_t)value;
    return TARN_OK;
}

static tarn_status get_text(const json_t *object, const char *name, tarn_arena *arena,
                            tarn_slice *ret_text, tarn_error *err) {
    const json_t *field = json_object_get(object, name);
    if (field == NULL) return TARN_OK;
    size_t len = json_string_length(field);
    if (!json_is_string(field) || len > 255) return fail_field(err, name);
    tarn_slice text = {(const uint8_t *)json_string_value(field), len};
    if (!tarn_arena_copy(arena, text, ret_text)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for the names of families");
    }
    return TARN_OK;
}

static tarn_status get_codec(const json_t *object, const char *name, tarn_arena *arena,
                             tarn_codec *ret_codec, tarn_error *err) {
    tarn_slice text = {0};
    TARN_TRY(get_text(object, name, arena, &text, err));
    if (text.len == 0) return TARN_OK;
    for (tarn_codec codec = TARN_CODEC_NONE; codec <= TARN_CODEC_ZSTD; codec++) {
        if (!tarn_slice_equal(text, tarn_slice_from_cstr(tarn_codec_name(codec)))) continue;
        *ret_codec = codec;
        return TARN_OK;
    }
    return fail_field(err, name);
}

static tarn_status get_options(const json_t *object, tarn_arena *arena,
                               tarn_kv_family_options *ret_options, tarn_error *err) {
    uint64_t ttl_ms = 0, prefix_bytes = 0, compaction = 0, fifo_limit_bytes = 0;
    uint64_t memtable_bytes = 0, block_bytes = 0, filter_bits = 0, without_filters = 0;
    uint64_t blob_bytes = 0;
    tarn_kv_family_options options = {0};
    TARN_TRY(get_number(object, "ttl_ms", (uint64_t)TTL_MS_MAX, &ttl_ms, err));
    TARN_TRY(get_number(object, "prefix_bytes", TARN_KV_KEY_MAX, &prefix_bytes, err));
    TARN_TRY(get_number(object, "compaction", TARN_KV_FIFO, &compaction, err));
    TARN_TRY(get_number(object, "fifo_limit_bytes", INT64_MAX, &fifo_limit_bytes, err));
    TARN_TRY(get_number(object, "memtable_bytes", INT64_MAX, &memtable_bytes, err));
    TARN_TRY(get_number(object, "block_bytes", INT32_MAX, &block_bytes, err));
    TARN_TRY(get_codec(object, "codec", arena, &options.codec, err));
    TARN_TRY(get_codec(object, "last_level_codec", arena, &options.last_level_codec, err));
    TARN_TRY(get_number(object, "filter_bits_per_key", 1024, &filter_bits, err));
    TARN_TRY(get_number(object, "without_filters", 1, &without_filters, err));
    TARN_TRY(get_number(object, "blob_bytes", INT64_MAX, &blob_bytes, err));
    options.ttl_ms = (int64_t)ttl_ms;
    options.prefix_bytes = (size_t)prefix_bytes;
    options.compaction = (tarn_kv_compaction)compaction;
    options.fifo_limit_bytes = fifo_limit_bytes;
    options.memtable_bytes = (size_t)memtable_bytes;
    options.block_bytes = (size_t)block_bytes;
    options.filter_bits_per_key = (uint32_t)filter_bits;
    options.without_filters = without_filters == 1;
    options.blob_bytes = (size_t)blob_bytes;
    *ret_options = options;
    return TARN_OK;
}

static tarn_status get_family(const json_t *object, tarn_arena *arena,
                              kv_identity_family *ret_family, tarn_error *err) {
    if (!json_is_object(object)) return fail_field(err, "families");
    kv_identity_family family = {0};
    uint64_t id = UINT64_MAX;
    TARN_TRY(get_number(object, "id", UINT32_MAX, &id, err));
    if (id == UINT64_MAX) return fail_field(err, "id");
    family.id = (uint32_t)id;
    TARN_TRY(get_text(object, "name", arena, &family.name, err));
    if (family.name.len == 0) return fail_field(err, "name");
    TARN_TRY(get_text(object, "comparator", arena, &family.comparator_name, err));
    TARN_TRY(get_text(object, "merge", arena, &family.merge_name, err));
    TARN_TRY(get_options(object, arena, &family.options, err));
    *ret_family = family;
    return TARN_OK;
}

static tarn_status get_engine(const json_t *root, tarn_arena *arena, tarn_kv_engine *ret_engine,
                              tarn_error *err) {
    tarn_slice name = {0};
    TARN_TRY(get_text(root, "engine", arena, &name, err));
    for (tarn_kv_engine engine = TARN_KV_LSM; engine < TARN_KV_ENGINE_COUNT; engine++) {
        if (!tarn_slice_equal(name, tarn_slice_from_cstr(tarn_kv_engine_name(engine)))) continue;
        *ret_engine = engine;
        return TARN_OK;
    }
    return fail_field(err, "engine");
}

// Ids ascend from 0 and lie below the next one; names are different.
static tarn_status check_families(const kv_identity *identity, tarn_error *err) {
    const kv_identity_family *families = identity->families;
    if (identity->family_count == 0 || families[0].id != 0) return fail_field(err, "families");
    for (size_t i = 0; i < identity->family_count; i++) {
        bool ascends = i == 0 || families[i].id > families[i - 1].id;
        if (!ascends || families[i].id >= identity->next_family_id) return fail_field(err, "id");
        for (size_t j = 0; j < i; j++) {
            if (tarn_slice_equal(families[i].name, families[j].name)) {
                return fail_field(err, "name");
            }
        }
    }
    return TARN_OK;
}

static tarn_status get_root(const json_t *root, tarn_arena *arena, kv_identity *ret_identity,
                            tarn_error *err) {
    uint64_t version = 0;
    TARN_TRY(get_number(root, "version", INT64_MAX, &version, err));
    if (version == 0) return fail_field(err, "version");
    if (version != VERSION) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "the store has version %" PRIu64 ", this program knows version %d",
                         version, VERSION);
    }
    kv_identity identity = {0};
    TARN_TRY(get_engine(root, arena, &identity.engine, err));
    uint64_t next_id = 0;
    TARN_TRY(get_number(root, "next_family_id", UINT32_MAX, &next_id, err));
    identity.next_family_id = (uint32_t)next_id;
    const json_t *families = json_object_get(root, "families");
    identity.family_count = json_array_size(families);
    identity.families = tarn_arena_new(arena, kv_identity_family, identity.family_count);
    if (identity.families == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu families", identity.family_count);
    }
    for (size_t i = 0; i < identity.family_count; i++) {
        TARN_TRY(get_family(json_array_get(families, i), arena, &identity.families[i], err));
    }
    TARN_TRY(check_families(&identity, err));
    *ret_identity = identity;
    return TARN_OK;
}

static tarn_status check_sum(tarn_slice text, tarn_slice *ret_json, tarn_error *err) {
    size_t tail = CHECKSUM_DIGITS + 2;
    if (text.len <= tail || text.data[text.len - tail] != '\n' || text.data[text.len - 1] != '\n') {
        return tarn_fail(err, TARN_CORRUPT, "the file ends without its checksum");
    }
    tarn_slice json = tarn_slice_head(text, text.len - tail);
    char digits[CHECKSUM_DIGITS + 1];
    (void)snprintf(digits, sizeof digits, "%016" PRIx64, tarn_xxh64(json));
    if (memcmp(digits, text.data + json.len + 1, CHECKSUM_DIGITS) != 0) {
        return tarn_fail(err, TARN_CORRUPT, "the checksum does not fit the %zu bytes before it",
                         json.len);
    }
    *ret_json = json;
    return TARN_OK;
}

tarn_status kv_identity_decode(tarn_slice text, tarn_arena *arena, kv_identity *ret_identity,
                               tarn_error *err) {
    tarn_slice json;
    TARN_TRY(check_sum(text, &json, err));
    json_error_t reason;
    json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &reason);
    if (root == NULL) {
        return tarn_fail(err, TARN_CORRUPT, "byte %d: %s", reason.position, reason.text);
    }
    tarn_status status = get_root(root, arena, ret_identity, err);
    json_decref(root);
    return status;
}
