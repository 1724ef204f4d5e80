#include "column/key.h"

#define SPAN_DAY   ((tarn_int128)COLUMN_DAY_US)
#define SPAN_MONTH (30 * SPAN_DAY)

static tarn_status fail_end(tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "the key ends inside a value");
}

static tarn_status fail_value(tarn_type type, tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "the key has bytes that no value of type %u gives",
                     (unsigned)type.id);
}

// The first `width` bytes as an unsigned number, most significant first, complemented by `flip`.
static tarn_uint128 load_number(const uint8_t *bytes, size_t width, uint8_t flip) {
    tarn_uint128 number = 0;
    for (size_t i = 0; i < width; i++) number = number << 8 | (uint8_t)(bytes[i] ^ flip);
    return number;
}

static int64_t clamp(tarn_int128 number, int64_t min, int64_t max) {
    return number < min ? min : number > max ? max : (int64_t)number;
}

// An interval of that span: months, then days, then the rest. Not the one that was encoded, but
// equal to it. Each part takes all it can hold, so that every span that an interval has fits.
static bool unfold_span(tarn_int128 span, tarn_interval *ret_interval) {
    int64_t months = clamp(span / SPAN_MONTH, INT32_MIN, INT32_MAX);
    span -= months * SPAN_MONTH;
    int64_t days = clamp(span / SPAN_DAY, INT32_MIN, INT32_MAX);
    span -= days * SPAN_DAY;
    if (span < INT64_MIN || span > INT64_MAX) return false;
    *ret_interval =
        (tarn_interval){.months = (int32_t)months, .days = (int32_t)days, .us = (int64_t)span};
    return true;
}

// Returns false for bytes that the encoder never writes.
static bool decode_fixed(tarn_type type, tarn_uint128 key, tarn_value *value) {
    switch (tarn_type_physical(type)) {
    case TARN_PHYSICAL_BOOL:
        value->boolean = key == 1;
        return key <= 1 && type.id != TARN_TYPE_NULL;
    case TARN_PHYSICAL_I16: value->i64 = (int16_t)((uint16_t)key ^ 0x8000u); return true;
    case TARN_PHYSICAL_I32: value->i64 = (int32_t)((uint32_t)key ^ KEY_SIGN_32); return true;
    case TARN_PHYSICAL_I64: value->i64 = (int64_t)((uint64_t)key ^ KEY_SIGN_64); return true;
    case TARN_PHYSICAL_I128: value->i128 = (tarn_int128)(key ^ KEY_SIGN_128); return true;
    case TARN_PHYSICAL_F32: {
        float number = key_to_float((uint32_t)key);
        value->f64 = (double)number;
        return key_from_float(number) == (uint32_t)key;
    }
    case TARN_PHYSICAL_F64:
        value->f64 = key_to_double((uint64_t)key);
        return key_from_double(value->f64) == (uint64_t)key;
    case TARN_PHYSICAL_INTERVAL:
        return unfold_span((tarn_int128)(key ^ KEY_SIGN_128), &value->interval);
    case TARN_PHYSICAL_STRING: break; // not of a fixed width
    }
    return false;
}

// Finds the end of the string at the front of `key`; *ret_len is its length without escapes.
static tarn_status measure_string(tarn_type type, tarn_slice key, uint8_t flip, size_t *ret_used,
                                  size_t *ret_len, tarn_error *err) {
    size_t len = 0;
    for (size_t i = 0; i < key.len; i++, len++) {
        if ((key.data[i] ^ flip) != 0) continue;
        if (++i == key.len) break;
        uint8_t mark = key.data[i] ^ flip;
        if (mark == KEY_STRING_ZERO) continue;
        if (mark != KEY_STRING_END || len > UINT32_MAX) return fail_value(type, err);
        *ret_used = i + 1;
        *ret_len = len;
        return TARN_OK;
    }
    return fail_end(err);
}

static tarn_status decode_string(tarn_slice *key, tarn_type type, uint8_t flip, tarn_arena *arena,
                                 tarn_value *value, tarn_error *err) {
    size_t used;
    size_t len;
    TARN_TRY(measure_string(type, *key, flip, &used, &len, err));
    uint8_t *bytes = tarn_arena_new_raw(arena, uint8_t, len);
    if (bytes == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu bytes", len);
    const uint8_t *at = key->data;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = *at++ ^ flip;
        if (bytes[i] == 0) at++;
    }
    value->bytes = (tarn_slice){bytes, len};
    *key = tarn_slice_skip(*key, used);
    return TARN_OK;
}

tarn_status tarn_key_decode(tarn_slice *key, tarn_type type, tarn_key_order order,
                            tarn_arena *arena, tarn_value *ret_value, tarn_error *err) {
    if (key->len == 0) return fail_end(err);
    uint8_t flip = order.descending ? 0xFF : 0;
    tarn_slice rest = tarn_slice_skip(*key, 1);
    tarn_value value = {.type = type};
    if (key->data[0] == key_null_byte(order)) {
        value.is_null = true;
    } else if (key->data[0] != KEY_VALUE) {
        return fail_value(type, err);
    } else if (tarn_type_is_string(type)) {
        TARN_TRY(decode_string(&rest, type, flip, arena, &value, err));
    } else {
        size_t width = tarn_type_width(type);
        if (rest.len < width) return fail_end(err);
        if (!decode_fixed(type, load_number(rest.data, width, flip), &value)) {
            return fail_value(type, err);
        }
        rest = tarn_slice_skip(rest, width);
    }
    *key = rest;
    *ret_value = value;
    return TARN_OK;
}
