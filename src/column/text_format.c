#include "column/text.h"

static tarn_status fail_memory(size_t bytes, tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu bytes of text", bytes);
}

static tarn_status append_bytea(tarn_slice bytes, tarn_buffer *out, tarn_error *err) {
    static const char digits[] = "0123456789abcdef";
    if (!tarn_buffer_reserve(out, 2 + 2 * bytes.len)) return fail_memory(2 + 2 * bytes.len, err);
    uint8_t *at = out->data + out->len;
    *at++ = '\\';
    *at++ = 'x';
    for (size_t i = 0; i < bytes.len; i++) {
        *at++ = (uint8_t)digits[bytes.data[i] >> 4];
        *at++ = (uint8_t)digits[bytes.data[i] & 15];
    }
    out->len += 2 + 2 * bytes.len;
    return TARN_OK;
}

static char *write_numeric(char *out, tarn_value value) {
    bool is_small = tarn_type_physical(value.type) == TARN_PHYSICAL_I64;
    return column_write_int128(out, is_small ? value.i64 : value.i128, value.type.scale);
}

static char *write_value(char *out, tarn_value value) {
    switch ((tarn_type_id)value.type.id) {
    case TARN_TYPE_BOOLEAN: return column_write_text(out, value.boolean ? "t" : "f");
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT: return column_write_int128(out, value.i64, 0);
    case TARN_TYPE_REAL: return column_write_float(out, (float)value.f64);
    case TARN_TYPE_DOUBLE: return column_write_double(out, value.f64);
    case TARN_TYPE_NUMERIC: return write_numeric(out, value);
    case TARN_TYPE_DATE:
    case TARN_TYPE_TIME:
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: return column_write_moment(out, value);
    case TARN_TYPE_INTERVAL: return column_write_interval(out, value.interval);
    case TARN_TYPE_NULL:
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA: break; // not of bounded length, or nothing at all
    }
    return out;
}

tarn_status tarn_value_format(tarn_value value, tarn_buffer *out, tarn_error *err) {
    if (value.is_null) return TARN_OK;
    if (value.type.id == TARN_TYPE_BYTEA) return append_bytea(value.bytes, out, err);
    if (value.type.id == TARN_TYPE_TEXT) {
        return tarn_buffer_append(out, value.bytes) ? TARN_OK : fail_memory(value.bytes.len, err);
    }
    if (!tarn_buffer_reserve(out, COLUMN_TEXT_MAX)) return fail_memory(COLUMN_TEXT_MAX, err);
    char *start = (char *)out->data + out->len;
    char *end = write_value(start, value);
    tarn_assert(end - start <= COLUMN_TEXT_MAX);
    out->len += (size_t)(end - start);
    return TARN_OK;
}
