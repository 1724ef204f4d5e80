// Rows as compact bytes (docs/formats/row.md).
#include "base/varint.h"
#include "column/value.h"

static size_t bitmap_bytes(size_t column_count) {
    return (column_count + 7) / 8;
}

// ---- encoding ----

// Where the value of the row lies; NULL for a null.
static const void *find_value(const tarn_vector *column, size_t row, tarn_physical physical) {
    if (tarn_vector_is_null(column, row)) return NULL;
    return tarn_vector_at(column, row, column_physical_width(physical));
}

// No less than the row needs: a string's length is counted at its longest.
static size_t bound_row(const tarn_vector *columns, size_t column_count, size_t row) {
    size_t bytes = bitmap_bytes(column_count);
    for (size_t i = 0; i < column_count; i++) {
        tarn_physical physical = tarn_type_physical(columns[i].type);
        bytes += column_physical_width(physical);
        if (physical != TARN_PHYSICAL_STRING) continue;
        const tarn_string *string = find_value(&columns[i], row, physical);
        if (string != NULL) bytes += TARN_VARINT_MAX_BYTES + string->len;
    }
    return bytes;
}

static uint8_t *put_u64(uint8_t *out, uint64_t value) {
    tarn_store_u64(out, value);
    return out + 8;
}

static uint8_t *put_u32(uint8_t *out, uint32_t value) {
    tarn_store_u32(out, value);
    return out + 4;
}

static uint8_t *put_string(uint8_t *out, const tarn_string *string) {
    tarn_slice bytes = tarn_string_slice(string);
    out += tarn_varint_encode(out, bytes.len);
    if (bytes.len > 0) memcpy(out, bytes.data, bytes.len);
    return out + bytes.len;
}

static uint8_t *put_interval(uint8_t *out, tarn_interval interval) {
    out = put_u32(out, (uint32_t)interval.months);
    out = put_u32(out, (uint32_t)interval.days);
    return put_u64(out, (uint64_t)interval.us);
}

// Floats keep their bits, so integers and floats of one width are written alike.
static uint8_t *put_value(uint8_t *out, tarn_physical physical, const void *at) {
    switch (physical) {
    case TARN_PHYSICAL_BOOL: *out = *(const uint8_t *)at != 0; return out + 1;
    case TARN_PHYSICAL_I16: tarn_store_u16(out, *(const uint16_t *)at); return out + 2;
    case TARN_PHYSICAL_I32:
    case TARN_PHYSICAL_F32: return put_u32(out, *(const uint32_t *)at);
    case TARN_PHYSICAL_I64:
    case TARN_PHYSICAL_F64: return put_u64(out, *(const uint64_t *)at);
    case TARN_PHYSICAL_I128: {
        tarn_uint128 number = *(const tarn_uint128 *)at;
        return put_u64(put_u64(out, (uint64_t)number), (uint64_t)(number >> 64));
    }
    case TARN_PHYSICAL_STRING: return put_string(out, at);
    case TARN_PHYSICAL_INTERVAL: return put_interval(out, *(const tarn_interval *)at);
    }
    return out;
}

tarn_status tarn_row_encode(const tarn_vector *columns, size_t column_count, size_t row,
                            tarn_buffer *out, tarn_error *err) {
    size_t bound = bound_row(columns, column_count, row);
    if (!tarn_buffer_reserve(out, bound)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a row of %zu bytes", bound);
    }
    uint8_t *bitmap = out->data + out->len;
    uint8_t *next = bitmap + bitmap_bytes(column_count);
    memset(bitmap, 0, bitmap_bytes(column_count));
    for (size_t i = 0; i < column_count; i++) {
        tarn_physical physical = tarn_type_physical(columns[i].type);
        const void *at = find_value(&columns[i], row, physical);
        if (at == NULL) {
            bitmap[i / 8] |= (uint8_t)(1u << i % 8);
        } else {
            next = put_value(next, physical, at);
        }
    }
    out->len += (size_t)(next - bitmap);
    return TARN_OK;
}

// ---- decoding ----

static tarn_status fail_end(size_t column_index, tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "the row ends inside column %zu", column_index);
}

static tarn_status take_string(tarn_slice *rest, size_t column_index, tarn_string *target,
                               tarn_error *err) {
    uint64_t len;
    if (!tarn_varint_decode(rest, &len)) return fail_end(column_index, err);
    if (len > rest->len || len > UINT32_MAX) return fail_end(column_index, err);
    *target = tarn_string_view(tarn_slice_head(*rest, (size_t)len));
    *rest = tarn_slice_skip(*rest, (size_t)len);
    return TARN_OK;
}

static void load_value(tarn_physical physical, const uint8_t *bytes, void *at) {
    switch (physical) {
    case TARN_PHYSICAL_BOOL: *(uint8_t *)at = bytes[0]; break;
    case TARN_PHYSICAL_I16: *(uint16_t *)at = tarn_load_u16(bytes); break;
    case TARN_PHYSICAL_I32:
    case TARN_PHYSICAL_F32: *(uint32_t *)at = tarn_load_u32(bytes); break;
    case TARN_PHYSICAL_I64:
    case TARN_PHYSICAL_F64: *(uint64_t *)at = tarn_load_u64(bytes); break;
    case TARN_PHYSICAL_I128:
        *(tarn_uint128 *)at = (tarn_uint128)tarn_load_u64(bytes + 8) << 64 | tarn_load_u64(bytes);
        break;
    case TARN_PHYSICAL_INTERVAL:
        *(tarn_interval *)at = (tarn_interval){.months = (int32_t)tarn_load_u32(bytes),
                                               .days = (int32_t)tarn_load_u32(bytes + 4),
                                               .us = (int64_t)tarn_load_u64(bytes + 8)};
        break;
    case TARN_PHYSICAL_STRING: break; // take_string
    }
}

static tarn_status take_value(tarn_slice *rest, const tarn_vector *column, size_t column_index,
                              size_t row, tarn_error *err) {
    tarn_physical physical = tarn_type_physical(column->type);
    size_t width = column_physical_width(physical);
    void *at = (uint8_t *)column->data + row * width;
    if (physical == TARN_PHYSICAL_STRING) return take_string(rest, column_index, at, err);
    if (rest->len < width) return fail_end(column_index, err);
    bool is_boolean = column->type.id == TARN_TYPE_BOOLEAN && rest->data[0] <= 1;
    if (physical == TARN_PHYSICAL_BOOL && !is_boolean) {
        return tarn_fail(err, TARN_CORRUPT, "column %zu of the row is no boolean: %u", column_index,
                         (unsigned)rest->data[0]);
    }
    load_value(physical, rest->data, at);
    *rest = tarn_slice_skip(*rest, width);
    return TARN_OK;
}

tarn_status tarn_row_decode(tarn_slice *bytes, tarn_vector *columns, size_t column_count,
                            size_t row, tarn_error *err) {
    size_t bitmap_len = bitmap_bytes(column_count);
    if (bytes->len < bitmap_len) {
        return tarn_fail(err, TARN_CORRUPT, "the row ends inside its null bitmap");
    }
    tarn_slice bitmap = tarn_slice_head(*bytes, bitmap_len);
    tarn_slice rest = tarn_slice_skip(*bytes, bitmap_len);
    if (column_count % 8 > 0 && bitmap.data[bitmap_len - 1] >> column_count % 8 != 0) {
        return tarn_fail(err, TARN_CORRUPT, "the row has more than %zu columns", column_count);
    }
    for (size_t i = 0; i < column_count; i++) {
        tarn_assert(columns[i].kind == TARN_VECTOR_FLAT);
        tarn_assert(columns[i].validity != NULL);
        bool is_null = (bitmap.data[i / 8] >> i % 8 & 1) != 0;
        if (!is_null) TARN_TRY(take_value(&rest, &columns[i], i, row, err));
        tarn_bitmap_assign(columns[i].validity, row, !is_null);
    }
    *bytes = rest;
    return TARN_OK;
}
