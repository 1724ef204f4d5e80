#include "format/avro/encode.h"

#include "base/varint.h"

static const char *const kind_names[] = {
    [TARN_AVRO_NULL] = "null",   [TARN_AVRO_BOOLEAN] = "boolean", [TARN_AVRO_INT] = "int",
    [TARN_AVRO_LONG] = "long",   [TARN_AVRO_FLOAT] = "float",     [TARN_AVRO_DOUBLE] = "double",
    [TARN_AVRO_BYTES] = "bytes", [TARN_AVRO_STRING] = "string",   [TARN_AVRO_RECORD] = "record",
    [TARN_AVRO_ARRAY] = "array", [TARN_AVRO_MAP] = "map",
};

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no room for the record's bytes");
}

static tarn_status append(tarn_buffer *out, tarn_slice bytes, tarn_error *err) {
    return tarn_buffer_append(out, bytes) ? TARN_OK : fail_memory(err);
}

tarn_status avro_encode_long(int64_t value, tarn_buffer *out, tarn_error *err) {
    if (!tarn_buffer_reserve(out, TARN_VARINT_MAX_BYTES)) return fail_memory(err);
    out->len += tarn_varint_encode(out->data + out->len, tarn_zigzag_encode(value));
    return TARN_OK;
}

tarn_status avro_encode_bytes(tarn_slice bytes, tarn_buffer *out, tarn_error *err) {
    TARN_TRY(avro_encode_long((int64_t)bytes.len, out, err));
    return append(out, bytes, err);
}

// Judged by the kind alone, a fixed by its length and a record by its number of fields too: enough
// to choose a branch of a union.
static bool fits(const tarn_avro_schema *schema, const tarn_avro_value *value) {
    switch (schema->type) {
    case AVRO_TYPE_NULL: return value->kind == TARN_AVRO_NULL;
    case AVRO_TYPE_BOOLEAN: return value->kind == TARN_AVRO_BOOLEAN;
    case AVRO_TYPE_INT:
        return value->kind == TARN_AVRO_INT && value->i64 >= INT32_MIN && value->i64 <= INT32_MAX;
    case AVRO_TYPE_ENUM:
        return value->kind == TARN_AVRO_INT && value->i64 >= 0 &&
               (uint64_t)value->i64 < schema->count;
    case AVRO_TYPE_LONG: return value->kind == TARN_AVRO_LONG || value->kind == TARN_AVRO_INT;
    case AVRO_TYPE_FLOAT: return value->kind == TARN_AVRO_FLOAT;
    case AVRO_TYPE_DOUBLE: return value->kind == TARN_AVRO_DOUBLE || value->kind == TARN_AVRO_FLOAT;
    case AVRO_TYPE_BYTES: return value->kind == TARN_AVRO_BYTES;
    case AVRO_TYPE_STRING: return value->kind == TARN_AVRO_STRING;
    case AVRO_TYPE_FIXED:
        return value->kind == TARN_AVRO_BYTES && value->bytes.len == schema->fixed_bytes;
    case AVRO_TYPE_RECORD: return value->kind == TARN_AVRO_RECORD && value->count == schema->count;
    case AVRO_TYPE_ARRAY: return value->kind == TARN_AVRO_ARRAY;
    case AVRO_TYPE_MAP: return value->kind == TARN_AVRO_MAP;
    case AVRO_TYPE_UNION:
        for (size_t i = 0; i < schema->count; i++) {
            if (schema->children[i]->type != AVRO_TYPE_UNION && fits(schema->children[i], value)) {
                return true;
            }
        }
        return false;
    }
    return false;
}

static tarn_status fail_misfit(const tarn_avro_schema *schema, const tarn_avro_value *value,
                               tarn_error *err) {
    if (value->kind == TARN_AVRO_INT) {
        return tarn_fail(err, TARN_INVALID, "%s expected, int %lld given",
                         avro_type_name(schema->type), (long long)value->i64);
    }
    if (value->kind == TARN_AVRO_RECORD) {
        return tarn_fail(err, TARN_INVALID, "%s of %zu fields expected, record of %zu given",
                         avro_type_name(schema->type), schema->count, value->count);
    }
    if (value->kind == TARN_AVRO_BYTES) {
        return tarn_fail(err, TARN_INVALID, "%s expected, %zu bytes given",
                         avro_type_name(schema->type), value->bytes.len);
    }
    return tarn_fail(err, TARN_INVALID, "%s expected, %s given", avro_type_name(schema->type),
                     kind_names[value->kind]);
}

static tarn_status encode_union(const tarn_avro_schema *schema, const tarn_avro_value *value,
                                int depth, tarn_buffer *out, tarn_error *err) {
    size_t branch = 0;
    while (!fits(schema->children[branch], value)) branch++; // one does: the caller has looked
    TARN_TRY(avro_encode_long((int64_t)branch, out, err));
    return avro_encode_value(schema->children[branch], value, depth + 1, out, err);
}

static tarn_status encode_record(const tarn_avro_schema *schema, const tarn_avro_value *value,
                                 int depth, tarn_buffer *out, tarn_error *err) {
    for (size_t i = 0; i < schema->count; i++) {
        tarn_status status =
            avro_encode_value(schema->children[i], &value->items[i], depth + 1, out, err);
        if (status != TARN_OK) {
            tarn_error_prefix(err,
                              "field '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(schema->names[i]));
            return status;
        }
    }
    return TARN_OK;
}

// One block, then the empty one that ends the list.
static tarn_status encode_items(const tarn_avro_schema *schema, const tarn_avro_value *value,
                                int depth, tarn_buffer *out, tarn_error *err) {
    if (value->count > 0) TARN_TRY(avro_encode_long((int64_t)value->count, out, err));
    for (size_t i = 0; i < value->count; i++) {
        if (schema->type == AVRO_TYPE_MAP) TARN_TRY(avro_encode_bytes(value->names[i], out, err));
        tarn_status status =
            avro_encode_value(schema->children[0], &value->items[i], depth + 1, out, err);
        if (status != TARN_OK) {
            tarn_error_prefix(err, "item %zu: ", i);
            return status;
        }
    }
    return avro_encode_long(0, out, err);
}

static tarn_status encode_float(double value, tarn_buffer *out, tarn_error *err) {
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    uint8_t bytes[4];
    tarn_store_u32(bytes, bits);
    return append(out, (tarn_slice){bytes, sizeof bytes}, err);
}

static tarn_status encode_double(double value, tarn_buffer *out, tarn_error *err) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint8_t bytes[8];
    tarn_store_u64(bytes, bits);
    return append(out, (tarn_slice){bytes, sizeof bytes}, err);
}

tarn_status avro_encode_value(const tarn_avro_schema *schema, const tarn_avro_value *value,
                              int depth, tarn_buffer *out, tarn_error *err) {
    if (depth > AVRO_DEPTH_MAX) {
        return tarn_fail(err, TARN_INVALID, "values nest more than %d levels deep", AVRO_DEPTH_MAX);
    }
    if (!fits(schema, value)) return fail_misfit(schema, value, err);
    switch (schema->type) {
    case AVRO_TYPE_NULL: return TARN_OK;
    case AVRO_TYPE_BOOLEAN: {
        uint8_t byte = value->boolean;
        return append(out, (tarn_slice){&byte, 1}, err);
    }
    case AVRO_TYPE_INT:
    case AVRO_TYPE_ENUM:
    case AVRO_TYPE_LONG: return avro_encode_long(value->i64, out, err);
    case AVRO_TYPE_FLOAT: return encode_float(value->f64, out, err);
    case AVRO_TYPE_DOUBLE: return encode_double(value->f64, out, err);
    case AVRO_TYPE_BYTES:
    case AVRO_TYPE_STRING: return avro_encode_bytes(value->bytes, out, err);
    case AVRO_TYPE_FIXED: return append(out, value->bytes, err);
    case AVRO_TYPE_RECORD: return encode_record(schema, value, depth, out, err);
    case AVRO_TYPE_ARRAY:
    case AVRO_TYPE_MAP: return encode_items(schema, value, depth, out, err);
    case AVRO_TYPE_UNION: return encode_union(schema, value, depth, out, err);
    }
    return TARN_OK;
}
