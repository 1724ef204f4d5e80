#include "format/avro/decode.h"

#include <stdarg.h>

#include "base/varint.h"

tarn_status avro_fail_here(const avro_cursor *cursor, tarn_error *err, const char *format, ...) {
    char what[TARN_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return tarn_fail(err, TARN_CORRUPT, "%s %zu: %s", cursor->unit,
                     (size_t)(cursor->rest.data - cursor->origin), what);
}

tarn_status avro_take_bytes(avro_cursor *cursor, size_t len, tarn_slice *ret_bytes,
                            tarn_error *err) {
    if (len > cursor->rest.len) {
        return avro_fail_here(cursor, err, "%zu bytes are expected, %zu are left", len,
                              cursor->rest.len);
    }
    *ret_bytes = tarn_slice_head(cursor->rest, len);
    cursor->rest = tarn_slice_skip(cursor->rest, len);
    return TARN_OK;
}

tarn_status avro_decode_long(avro_cursor *cursor, int64_t *ret_value, tarn_error *err) {
    uint64_t raw;
    if (!tarn_varint_decode(&cursor->rest, &raw)) {
        return avro_fail_here(cursor, err, "not a variable-length integer");
    }
    *ret_value = tarn_zigzag_decode(raw);
    return TARN_OK;
}

static tarn_status decode_int(avro_cursor *cursor, const tarn_avro_schema *schema,
                              int64_t *ret_value, tarn_error *err) {
    avro_cursor before = *cursor;
    int64_t value = 0;
    TARN_TRY(avro_decode_long(cursor, &value, err));
    bool is_enum = schema->type == AVRO_TYPE_ENUM;
    if (is_enum && (value < 0 || (uint64_t)value >= schema->count)) {
        return avro_fail_here(&before, err, "the enum has no symbol %lld", (long long)value);
    }
    if (value < INT32_MIN || value > INT32_MAX) {
        return avro_fail_here(&before, err, "%lld does not fit an int", (long long)value);
    }
    *ret_value = value;
    return TARN_OK;
}

static tarn_status decode_bytes(avro_cursor *cursor, tarn_slice *ret_bytes, tarn_error *err) {
    avro_cursor before = *cursor;
    int64_t len = 0;
    TARN_TRY(avro_decode_long(cursor, &len, err));
    if (len < 0) return avro_fail_here(&before, err, "length is %lld", (long long)len);
    return avro_take_bytes(cursor, (size_t)len, ret_bytes, err);
}

static tarn_status decode_boolean(avro_cursor *cursor, bool *ret_value, tarn_error *err) {
    if (cursor->rest.len > 0 && cursor->rest.data[0] > 1) {
        return avro_fail_here(cursor, err, "boolean is %u", cursor->rest.data[0]);
    }
    tarn_slice byte = {0};
    TARN_TRY(avro_take_bytes(cursor, 1, &byte, err));
    *ret_value = byte.data[0] == 1;
    return TARN_OK;
}

static tarn_status decode_float(avro_cursor *cursor, double *ret_value, tarn_error *err) {
    tarn_slice bytes = {0};
    TARN_TRY(avro_take_bytes(cursor, 4, &bytes, err));
    uint32_t bits = tarn_load_u32(bytes.data);
    float value;
    memcpy(&value, &bits, sizeof value);
    *ret_value = (double)value;
    return TARN_OK;
}

static tarn_status decode_double(avro_cursor *cursor, double *ret_value, tarn_error *err) {
    tarn_slice bytes = {0};
    TARN_TRY(avro_take_bytes(cursor, 8, &bytes, err));
    uint64_t bits = tarn_load_u64(bytes.data);
    memcpy(ret_value, &bits, sizeof bits);
    return TARN_OK;
}

// ---- records, arrays, maps, unions ----

tarn_status avro_grow_values(tarn_arena *arena, tarn_avro_value **values, size_t *capacity,
                             size_t count, size_t more, tarn_error *err) {
    if (more <= *capacity - count) return TARN_OK;
    size_t grown_capacity = count + more; // both are bounded by the cursor's values_left
    if (*capacity > 0 && grown_capacity < *capacity * 2) grown_capacity = *capacity * 2;
    tarn_avro_value *grown = tarn_arena_new_raw(arena, tarn_avro_value, grown_capacity);
    if (grown == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu values", grown_capacity);
    }
    if (count > 0) memcpy(grown, *values, count * sizeof *grown);
    *values = grown;
    *capacity = grown_capacity;
    return TARN_OK;
}

// The size of the next block of an array or map, 0 at the end. A negative one is followed by the
// block's length in bytes, which serves skipping only.
static tarn_status decode_block_count(avro_cursor *cursor, size_t item_min_bytes, size_t *ret_count,
                                      tarn_error *err) {
    avro_cursor before = *cursor;
    int64_t count = 0;
    TARN_TRY(avro_decode_long(cursor, &count, err));
    if (count < 0) {
        int64_t block_bytes = 0;
        TARN_TRY(avro_decode_long(cursor, &block_bytes, err));
        if (count == INT64_MIN || block_bytes < 0 || (uint64_t)block_bytes > cursor->rest.len) {
            return avro_fail_here(&before, err, "block of %lld items and %lld bytes",
                                  (long long)count, (long long)block_bytes);
        }
        count = -count;
    }
    if ((uint64_t)count > cursor->values_left ||
        (item_min_bytes > 0 && (uint64_t)count > cursor->rest.len / item_min_bytes)) {
        return avro_fail_here(&before, err, "block of %lld items in %zu bytes", (long long)count,
                              cursor->rest.len);
    }
    *ret_count = (size_t)count;
    return TARN_OK;
}

static tarn_status decode_array(avro_cursor *cursor, const tarn_avro_schema *schema, int depth,
                                tarn_avro_value *ret_value, tarn_error *err) {
    const tarn_avro_schema *item = schema->children[0];
    tarn_avro_value value = {.kind = TARN_AVRO_ARRAY};
    size_t capacity = 0;
    for (;;) {
        size_t more = 0;
        TARN_TRY(decode_block_count(cursor, item->min_bytes, &more, err));
        if (more == 0) break;
        TARN_TRY(avro_grow_values(cursor->arena, &value.items, &capacity, value.count, more, err));
        for (; more > 0; more--) {
            TARN_TRY(avro_decode_value(cursor, item, depth + 1, &value.items[value.count], err));
            value.count++;
        }
    }
    *ret_value = value;
    return TARN_OK;
}

// As an array, with a growing list of keys beside it.
static tarn_status decode_map(avro_cursor *cursor, const tarn_avro_schema *schema, int depth,
                              tarn_avro_value *ret_value, tarn_error *err) {
    const tarn_avro_schema *item = schema->children[0];
    tarn_avro_value value = {.kind = TARN_AVRO_MAP};
    tarn_slice *keys = NULL;
    size_t capacity = 0;
    for (;;) {
        size_t more = 0;
        TARN_TRY(decode_block_count(cursor, item->min_bytes + 1, &more, err));
        if (more == 0) break;
        size_t old_capacity = capacity;
        TARN_TRY(avro_grow_values(cursor->arena, &value.items, &capacity, value.count, more, err));
        if (capacity > old_capacity) {
            tarn_slice *grown = tarn_arena_new_raw(cursor->arena, tarn_slice, capacity);
            if (grown == NULL) {
                return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu keys", capacity);
            }
            if (keys != NULL) memcpy(grown, keys, value.count * sizeof *grown);
            keys = grown;
        }
        for (; more > 0; more--) {
            TARN_TRY(decode_bytes(cursor, &keys[value.count], err));
            TARN_TRY(avro_decode_value(cursor, item, depth + 1, &value.items[value.count], err));
            value.count++;
        }
    }
    value.names = keys;
    *ret_value = value;
    return TARN_OK;
}

static tarn_status decode_record(avro_cursor *cursor, const tarn_avro_schema *schema, int depth,
                                 tarn_avro_value *ret_value, tarn_error *err) {
    tarn_avro_value value = {.kind = TARN_AVRO_RECORD};
    size_t capacity = 0;
    // Before memory is taken for the fields: an arena is not the place to find out.
    if (schema->count > cursor->values_left || schema->min_bytes > cursor->rest.len) {
        return avro_fail_here(cursor, err, "record of %zu fields in %zu bytes", schema->count,
                              cursor->rest.len);
    }
    TARN_TRY(avro_grow_values(cursor->arena, &value.items, &capacity, 0, schema->count, err));
    value.names = schema->names;
    value.count = schema->count;
    for (size_t i = 0; i < schema->count; i++) {
        TARN_TRY(avro_decode_value(cursor, schema->children[i], depth + 1, &value.items[i], err));
    }
    *ret_value = value;
    return TARN_OK;
}

static tarn_status decode_union(avro_cursor *cursor, const tarn_avro_schema *schema, int depth,
                                tarn_avro_value *ret_value, tarn_error *err) {
    avro_cursor before = *cursor;
    int64_t branch = 0;
    TARN_TRY(avro_decode_long(cursor, &branch, err));
    if (branch < 0 || (uint64_t)branch >= schema->count) {
        return avro_fail_here(&before, err, "the union has no branch %lld", (long long)branch);
    }
    return avro_decode_value(cursor, schema->children[branch], depth + 1, ret_value, err);
}

tarn_status avro_decode_value(avro_cursor *cursor, const tarn_avro_schema *schema, int depth,
                              tarn_avro_value *ret_value, tarn_error *err) {
    if (depth > AVRO_DEPTH_MAX) {
        return avro_fail_here(cursor, err, "values nest more than %d levels deep", AVRO_DEPTH_MAX);
    }
    if (cursor->values_left == 0) {
        return avro_fail_here(cursor, err, "more values than the size limit allows");
    }
    cursor->values_left--;
    tarn_avro_value value = {0};
    tarn_status status = TARN_OK;
    switch (schema->type) {
    case AVRO_TYPE_NULL: value.kind = TARN_AVRO_NULL; break;
    case AVRO_TYPE_BOOLEAN:
        value.kind = TARN_AVRO_BOOLEAN;
        status = decode_boolean(cursor, &value.boolean, err);
        break;
    case AVRO_TYPE_INT:
    case AVRO_TYPE_ENUM:
        value.kind = TARN_AVRO_INT;
        status = decode_int(cursor, schema, &value.i64, err);
        break;
    case AVRO_TYPE_LONG:
        value.kind = TARN_AVRO_LONG;
        status = avro_decode_long(cursor, &value.i64, err);
        break;
    case AVRO_TYPE_FLOAT:
        value.kind = TARN_AVRO_FLOAT;
        status = decode_float(cursor, &value.f64, err);
        break;
    case AVRO_TYPE_DOUBLE:
        value.kind = TARN_AVRO_DOUBLE;
        status = decode_double(cursor, &value.f64, err);
        break;
    case AVRO_TYPE_BYTES:
    case AVRO_TYPE_STRING:
        value.kind = schema->type == AVRO_TYPE_BYTES ? TARN_AVRO_BYTES : TARN_AVRO_STRING;
        status = decode_bytes(cursor, &value.bytes, err);
        break;
    case AVRO_TYPE_FIXED:
        value.kind = TARN_AVRO_BYTES;
        status = avro_take_bytes(cursor, schema->fixed_bytes, &value.bytes, err);
        break;
    case AVRO_TYPE_RECORD: return decode_record(cursor, schema, depth, ret_value, err);
    case AVRO_TYPE_ARRAY: return decode_array(cursor, schema, depth, ret_value, err);
    case AVRO_TYPE_MAP: return decode_map(cursor, schema, depth, ret_value, err);
    case AVRO_TYPE_UNION: return decode_union(cursor, schema, depth, ret_value, err);
    }
    if (status == TARN_OK) *ret_value = value;
    return status;
}
