// Stored values to vector values, one loop per kind.

#include "format/parquet/types.h"

#define NS_PER_DAY      INT64_C(86400000000000)
#define UNIX_JULIAN_DAY 2440588

static int32_t load_i32(const uint8_t *from) {
    return (int32_t)tarn_load_u32(from);
}

static int64_t load_i64(const uint8_t *from) {
    return (int64_t)tarn_load_u64(from);
}

// ---- integers ----

static tarn_status to_i16(const uint8_t *restrict from, size_t count, int16_t *restrict to,
                          tarn_error *err) {
    uint32_t outside = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t value = load_i32(from + 4 * i);
        to[i] = (int16_t)value;
        outside |= (uint32_t)(to[i] != value);
    }
    if (outside != 0) return tarn_fail(err, TARN_CORRUPT, "a value does not fit smallint");
    return TARN_OK;
}

static void i32_to_i64(const uint8_t *restrict from, size_t count, int64_t *restrict to) {
    for (size_t i = 0; i < count; i++) to[i] = load_i32(from + 4 * i);
}

static void u32_to_i64(const uint8_t *restrict from, size_t count, int64_t *restrict to) {
    for (size_t i = 0; i < count; i++) to[i] = tarn_load_u32(from + 4 * i);
}

static void i32_to_i128(const uint8_t *restrict from, size_t count, tarn_int128 *restrict to) {
    for (size_t i = 0; i < count; i++) to[i] = load_i32(from + 4 * i);
}

static void i64_to_i128(const uint8_t *restrict from, size_t count, tarn_int128 *restrict to) {
    for (size_t i = 0; i < count; i++) to[i] = load_i64(from + 8 * i);
}

static tarn_status u64_to_i64(const uint8_t *restrict from, size_t count, int64_t *restrict to,
                              tarn_error *err) {
    int64_t signs = 0;
    for (size_t i = 0; i < count; i++) {
        to[i] = load_i64(from + 8 * i);
        signs |= to[i];
    }
    if (signs < 0) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "an unsigned value is larger than bigint's 9223372036854775807");
    }
    return TARN_OK;
}

static tarn_status i64_times(const uint8_t *restrict from, size_t count, int64_t factor,
                             int64_t *restrict to, tarn_error *err) {
    bool overflows = false;
    for (size_t i = 0; i < count; i++) {
        overflows |= __builtin_mul_overflow(load_i64(from + 8 * i), factor, &to[i]);
    }
    if (overflows) return tarn_fail(err, TARN_UNSUPPORTED, "a timestamp is out of range");
    return TARN_OK;
}

static tarn_status i64_divide(const uint8_t *restrict from, size_t count, int64_t factor,
                              int64_t *restrict to, tarn_error *err) {
    int64_t rest = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t value = load_i64(from + 8 * i);
        to[i] = value / factor;
        rest |= value % factor;
    }
    if (rest != 0) {
        return tarn_fail(err, TARN_UNSUPPORTED, "a time is finer than a microsecond");
    }
    return TARN_OK;
}

// ---- INT96 ----

static tarn_status int96_to_ns(const uint8_t *from, size_t count, int64_t *to, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        // Java writers store instants before 1970 with negative nanoseconds of the day.
        int64_t nanos = load_i64(from + 12 * i);
        int64_t days = (int64_t)load_i32(from + 12 * i + 8) - UNIX_JULIAN_DAY;
        tarn_int128 value = (tarn_int128)days * NS_PER_DAY + nanos;
        to[i] = (int64_t)value;
        if (value != to[i]) {
            return tarn_fail(err, TARN_UNSUPPORTED,
                             "a timestamp is out of the range of nanoseconds in 64 bits");
        }
    }
    return TARN_OK;
}

static tarn_status int96_to_us(const uint8_t *from, size_t count, int64_t *to, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        int64_t nanos = load_i64(from + 12 * i);
        int64_t days = (int64_t)load_i32(from + 12 * i + 8) - UNIX_JULIAN_DAY;
        if (nanos % 1000 != 0) {
            return tarn_fail(err, TARN_UNSUPPORTED, "a timestamp is finer than a microsecond");
        }
        to[i] = days * (NS_PER_DAY / 1000) + nanos / 1000; // 32-bit days cannot overflow
    }
    return TARN_OK;
}

// ---- floats ----

static float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half >> 15) << 31;
    uint32_t exponent = half >> 10 & 0x1F;
    uint32_t mantissa = half & 0x3FF;
    uint32_t bits;
    if (exponent == 0x1F) {
        bits = sign | 0x7F800000u | mantissa << 13;
    } else if (exponent > 0) {
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    } else {
        float tiny = (float)mantissa / 16777216.0F; // subnormal: mantissa * 2^-24
        memcpy(&bits, &tiny, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void half_to_f32(const uint8_t *restrict from, size_t count, float *restrict to) {
    for (size_t i = 0; i < count; i++) to[i] = half_to_float(tarn_load_u16(from + 2 * i));
}

static void half_to_f64(const uint8_t *restrict from, size_t count, double *restrict to) {
    for (size_t i = 0; i < count; i++) {
        to[i] = (double)half_to_float(tarn_load_u16(from + 2 * i));
    }
}

static void f32_to_f64(const uint8_t *restrict from, size_t count, double *restrict to) {
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, from + 4 * i, sizeof value);
        to[i] = (double)value;
    }
}

// ---- bytes ----

static void fixed_to_string(const uint8_t *from, size_t width, size_t count, tarn_string *to) {
    for (size_t i = 0; i < count; i++) {
        to[i] = tarn_string_view((tarn_slice){from + width * i, width});
    }
}

// Big endian two's complement of any length; false when it does not fit 128 bits.
static bool load_decimal(tarn_slice bytes, tarn_int128 *ret_value) {
    if (bytes.len == 0) return false;
    uint8_t sign = bytes.data[0] >> 7 == 0 ? 0 : 0xFF;
    while (bytes.len > sizeof(tarn_int128)) {
        if (bytes.data[0] != sign) return false;
        bytes = tarn_slice_skip(bytes, 1);
    }
    tarn_uint128 value = sign == 0 ? 0 : ~(tarn_uint128)0;
    for (size_t i = 0; i < bytes.len; i++) value = value << 8 | bytes.data[i];
    *ret_value = (tarn_int128)value;
    return ((tarn_int128)value < 0) == (sign != 0);
}

static tarn_status fail_decimal(tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "a decimal has more digits than its type");
}

static tarn_status fixed_to_i64(const uint8_t *from, size_t width, size_t count, int64_t *to,
                                tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        tarn_int128 value;
        if (!load_decimal((tarn_slice){from + width * i, width}, &value)) return fail_decimal(err);
        if (value != (int64_t)value) return fail_decimal(err);
        to[i] = (int64_t)value;
    }
    return TARN_OK;
}

static tarn_status fixed_to_i128(const uint8_t *from, size_t width, size_t count, tarn_int128 *to,
                                 tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (!load_decimal((tarn_slice){from + width * i, width}, &to[i])) return fail_decimal(err);
    }
    return TARN_OK;
}

static tarn_status string_to_decimal(const uint8_t *from, size_t count, bool is_wide, void *to,
                                     tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        tarn_string string;
        tarn_int128 value;
        memcpy(&string, from + sizeof string * i, sizeof string);
        if (!load_decimal(tarn_string_slice(&string), &value)) return fail_decimal(err);
        if (is_wide) {
            ((tarn_int128 *)to)[i] = value;
        } else {
            if (value != (int64_t)value) return fail_decimal(err);
            ((int64_t *)to)[i] = (int64_t)value;
        }
    }
    return TARN_OK;
}

static tarn_status fixed_to_interval(const uint8_t *from, size_t count, tarn_interval *to,
                                     tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        uint32_t months = tarn_load_u32(from + 12 * i);
        uint32_t days = tarn_load_u32(from + 12 * i + 4);
        if (months > INT32_MAX || days > INT32_MAX) {
            return tarn_fail(err, TARN_UNSUPPORTED, "an interval is out of range");
        }
        to[i] = (tarn_interval){
            .months = (int32_t)months,
            .days = (int32_t)days,
            .us = (int64_t)tarn_load_u32(from + 12 * i + 8) * 1000,
        };
    }
    return TARN_OK;
}

tarn_status parquet_convert(const parquet_conversion *conversion, const uint8_t *from, size_t count,
                            void *to, tarn_error *err) {
    size_t width = conversion->width;
    if (count == 0) return TARN_OK;
    switch (conversion->kind) {
    case PARQUET_TO_SAME: memcpy(to, from, count * width); break;
    case PARQUET_I32_TO_I16: return to_i16(from, count, to, err);
    case PARQUET_I32_TO_I64: i32_to_i64(from, count, to); break;
    case PARQUET_I32_TO_I128: i32_to_i128(from, count, to); break;
    case PARQUET_U32_TO_I64: u32_to_i64(from, count, to); break;
    case PARQUET_U64_TO_I64: return u64_to_i64(from, count, to, err);
    case PARQUET_I64_TO_I128: i64_to_i128(from, count, to); break;
    case PARQUET_I32_TIMES: {
        int64_t *out = to;
        i32_to_i64(from, count, out);
        for (size_t i = 0; i < count; i++) out[i] *= conversion->factor; // at most 2^31 * 1000
        break;
    }
    case PARQUET_I64_TIMES: return i64_times(from, count, conversion->factor, to, err);
    case PARQUET_I64_DIVIDE: return i64_divide(from, count, conversion->factor, to, err);
    case PARQUET_INT96_TO_NS: return int96_to_ns(from, count, to, err);
    case PARQUET_INT96_TO_US: return int96_to_us(from, count, to, err);
    case PARQUET_F16_TO_F32: half_to_f32(from, count, to); break;
    case PARQUET_F16_TO_F64: half_to_f64(from, count, to); break;
    case PARQUET_F32_TO_F64: f32_to_f64(from, count, to); break;
    case PARQUET_FIXED_TO_STRING: fixed_to_string(from, width, count, to); break;
    case PARQUET_FIXED_TO_I64: return fixed_to_i64(from, width, count, to, err);
    case PARQUET_FIXED_TO_I128: return fixed_to_i128(from, width, count, to, err);
    case PARQUET_FIXED_TO_INTERVAL: return fixed_to_interval(from, count, to, err);
    case PARQUET_STRING_TO_I64: return string_to_decimal(from, count, false, to, err);
    case PARQUET_STRING_TO_I128: return string_to_decimal(from, count, true, to, err);
    }
    return TARN_OK;
}

// ---- text ----

// The length of the character at `text`, or 0 when it is not one: overlong forms, surrogates and
// values beyond U+10FFFF are not.
static size_t character_len(const uint8_t *text, size_t len) {
    uint8_t lead = text[0];
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    size_t needed = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (len < needed) return 0;
    uint8_t least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t greatest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (text[1] < least || text[1] > greatest) return 0;
    for (size_t i = 2; i < needed; i++) {
        if ((text[i] & 0xC0) != 0x80) return 0;
    }
    return needed;
}

bool parquet_utf8_is_valid(tarn_slice text) {
    size_t at = 0;
    while (at < text.len) {
        if (text.len - at >= 8 && (tarn_load_u64(text.data + at) & 0x8080808080808080u) == 0) {
            at += 8;
            continue;
        }
        size_t len = character_len(text.data + at, text.len - at);
        if (len == 0) return false;
        at += len;
    }
    return true;
}
