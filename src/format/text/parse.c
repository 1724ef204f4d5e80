#include "format/text/parse.h"

#define DIGITS_MAX 18 // always fit an int64

static bool is_digit(uint8_t byte) {
    return (uint8_t)(byte - '0') < 10;
}

// Reads `count` digits; the callers know that they are there.
static bool read_digits(const uint8_t *bytes, size_t count, int *ret_value) {
    int value = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(bytes[i])) return false;
        value = value * 10 + (bytes[i] - '0');
    }
    *ret_value = value;
    return true;
}

// [-]digits
static bool parse_i64(tarn_slice text, int64_t *ret_value) {
    size_t i = text.len > 0 && text.data[0] == '-' ? 1 : 0;
    if (i == text.len || text.len - i > DIGITS_MAX) return false;
    int64_t value = 0;
    for (size_t at = i; at < text.len; at++) {
        if (!is_digit(text.data[at])) return false;
        value = value * 10 + (text.data[at] - '0');
    }
    *ret_value = i == 1 ? -value : value;
    return true;
}

// [-]digits[.digits] as an integer and how many of the digits stand behind the point.
static bool parse_decimal(tarn_slice text, int64_t *ret_unscaled, int *ret_scale) {
    size_t i = text.len > 0 && text.data[0] == '-' ? 1 : 0;
    size_t first = i;
    if (text.len - i > DIGITS_MAX + 1) return false;
    uint64_t value = 0; // of at most 19 digits, which an int64 need not hold
    for (; i < text.len && is_digit(text.data[i]); i++) {
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    size_t digit_count = i - first;
    if (digit_count == 0) return false;
    size_t fraction_digits = 0;
    if (i < text.len) {
        if (text.data[i] != '.') return false;
        size_t fraction_at = ++i;
        for (; i < text.len && is_digit(text.data[i]); i++) {
            value = value * 10 + (uint64_t)(text.data[i] - '0');
        }
        fraction_digits = i - fraction_at;
        if (i < text.len || fraction_digits == 0) return false;
    }
    if (digit_count + fraction_digits > DIGITS_MAX) return false;
    *ret_unscaled = first == 1 ? -(int64_t)value : (int64_t)value;
    *ret_scale = (int)fraction_digits;
    return true;
}

static bool parse_numeric(tarn_type type, tarn_slice text, void *slot) {
    int64_t unscaled;
    int scale;
    if (!parse_decimal(text, &unscaled, &scale) || scale > type.scale) return false;
    // At most 18 digits times 10^38 does not overflow only when the result fits the precision.
    if (type.precision <= DIGITS_MAX) {
        int64_t value;
        if (__builtin_mul_overflow(unscaled, (int64_t)tarn_power_of_ten(type.scale - scale),
                                   &value)) {
            return false;
        }
        int64_t limit = (int64_t)tarn_power_of_ten(type.precision);
        if (value >= limit || value <= -limit) return false;
        memcpy(slot, &value, sizeof value);
        return true;
    }
    tarn_int128 value;
    if (__builtin_mul_overflow((tarn_int128)unscaled, tarn_power_of_ten(type.scale - scale),
                               &value)) {
        return false;
    }
    tarn_int128 limit = tarn_power_of_ten(type.precision);
    if (value >= limit || value <= -limit) return false;
    memcpy(slot, &value, sizeof value);
    return true;
}

// Both operands are exact, so the one division rounds correctly (Clinger, 1990).
static bool parse_double(tarn_slice text, double *ret_value) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    int64_t unscaled;
    int scale;
    if (!parse_decimal(text, &unscaled, &scale)) return false;
    if (unscaled == 0) return false; // may be -0
    if (unscaled > (int64_t)1 << 53 || unscaled < -((int64_t)1 << 53)) return false;
    *ret_value = (double)unscaled / powers[scale];
    return true;
}

static bool parse_real(tarn_slice text, float *ret_value) {
    static const float powers[] = {1e0F, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F,
                                   1e6F, 1e7F, 1e8F, 1e9F, 1e10F};
    int64_t unscaled;
    int scale;
    if (!parse_decimal(text, &unscaled, &scale)) return false;
    if (unscaled == 0 || scale > 10) return false;
    if (unscaled > 1 << 24 || unscaled < -(1 << 24)) return false;
    *ret_value = (float)unscaled / powers[scale];
    return true;
}

// ---- dates and times ----

// "yyyy-mm-dd" at the start of `bytes`, which has 10.
static bool parse_day(const uint8_t *bytes, int32_t *ret_days) {
    static const uint8_t month_days[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year;
    int month;
    int day;
    if (bytes[4] != '-' || bytes[7] != '-') return false;
    if (!read_digits(bytes, 4, &year) || !read_digits(bytes + 5, 2, &month) ||
        !read_digits(bytes + 8, 2, &day)) {
        return false;
    }
    if (year == 0 || month < 1 || month > 12 || day < 1) return false;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > month_days[month] + (month == 2 && is_leap)) return false;
    *ret_days = tarn_days_from_civil(year, month, day);
    return true;
}

// "hh:mm:ss" at the start of `bytes`, which has 8.
static bool parse_clock(const uint8_t *bytes, int64_t *ret_seconds) {
    int hour;
    int minute;
    int second;
    if (bytes[2] != ':' || bytes[5] != ':') return false;
    if (!read_digits(bytes, 2, &hour) || !read_digits(bytes + 3, 2, &minute) ||
        !read_digits(bytes + 6, 2, &second)) {
        return false;
    }
    if (hour > 23 || minute > 59 || second > 59) return false;
    *ret_seconds = (hour * 60 + minute) * 60 + second;
    return true;
}

// "", or a point and no more digits than the type keeps; as microseconds.
static bool parse_fraction(tarn_slice text, int precision, int64_t *ret_us) {
    *ret_us = 0;
    if (text.len == 0) return true;
    if (text.data[0] != '.' || text.len < 2 || text.len - 1 > (size_t)precision) return false;
    int us;
    if (!read_digits(text.data + 1, text.len - 1, &us)) return false;
    for (size_t i = text.len - 1; i < 6; i++) us *= 10;
    *ret_us = us;
    return true;
}

// "yyyy-mm-dd hh:mm:ss[.ffffff]"; with a zone only UTC.
static bool parse_timestamp(tarn_type type, tarn_slice text, int64_t *ret_us) {
    if (text.len < 19 || type.precision > 6) return false;
    if (type.id == TARN_TYPE_TIMESTAMPTZ) {
        if (text.data[text.len - 1] == 'Z') {
            text.len--;
        } else if (memcmp(text.data + text.len - 3, "+00", 3) == 0) {
            text.len -= 3;
        } else {
            return false;
        }
        if (text.len < 19) return false;
    }
    int32_t days;
    int64_t seconds;
    int64_t us;
    if (text.data[10] != ' ' && text.data[10] != 'T') return false;
    if (!parse_day(text.data, &days) || !parse_clock(text.data + 11, &seconds) ||
        !parse_fraction(tarn_slice_skip(text, 19), type.precision, &us)) {
        return false;
    }
    *ret_us = ((int64_t)days * 86400 + seconds) * 1000000 + us;
    return true;
}

static bool parse_time(tarn_type type, tarn_slice text, int64_t *ret_us) {
    int64_t seconds;
    int64_t us;
    if (text.len < 8 || type.precision > 6 || !parse_clock(text.data, &seconds) ||
        !parse_fraction(tarn_slice_skip(text, 8), type.precision, &us)) {
        return false;
    }
    *ret_us = seconds * 1000000 + us;
    return true;
}

// ---- text ----

// ASCII without NUL: valid, and as many characters as bytes.
static bool is_plain(tarn_slice text) {
    const uint64_t high = 0x8080808080808080u;
    const uint64_t low = 0x0101010101010101u;
    size_t i = 0;
    for (; i + 8 <= text.len; i += 8) {
        uint64_t word = tarn_load_u64(text.data + i);
        if (((word | (word - low)) & high) != 0) return false;
    }
    for (; i < text.len; i++) {
        if (text.data[i] == 0 || text.data[i] >= 0x80) return false;
    }
    return true;
}

static bool parse_text(tarn_type type, tarn_slice text, void *slot) {
    if (text.len > UINT32_MAX || (type.length > 0 && text.len > type.length)) return false;
    if (!is_plain(text)) return false;
    tarn_string view = tarn_string_view(text);
    memcpy(slot, &view, sizeof view);
    return true;
}

static bool parse_boolean(tarn_slice text, void *slot) {
    uint8_t value;
    if (tarn_slice_equal(text, TARN_LIT("true")) || tarn_slice_equal(text, TARN_LIT("t"))) {
        value = 1;
    } else if (tarn_slice_equal(text, TARN_LIT("false")) || tarn_slice_equal(text, TARN_LIT("f"))) {
        value = 0;
    } else {
        return false;
    }
    memcpy(slot, &value, sizeof value);
    return true;
}

static bool parse_integer(tarn_type_id id, tarn_slice text, void *slot) {
    int64_t wide;
    if (!parse_i64(text, &wide)) return false;
    if (id == TARN_TYPE_BIGINT) {
        memcpy(slot, &wide, sizeof wide);
        return true;
    }
    if (id == TARN_TYPE_INTEGER) {
        int32_t narrow = (int32_t)wide;
        memcpy(slot, &narrow, sizeof narrow);
        return narrow == wide;
    }
    int16_t narrow = (int16_t)wide;
    memcpy(slot, &narrow, sizeof narrow);
    return narrow == wide;
}

bool text_parse(tarn_type type, tarn_slice text, void *slot) {
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_BOOLEAN: return parse_boolean(text, slot);
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT: return parse_integer((tarn_type_id)type.id, text, slot);
    case TARN_TYPE_REAL: return parse_real(text, slot);
    case TARN_TYPE_DOUBLE: return parse_double(text, slot);
    case TARN_TYPE_NUMERIC: return parse_numeric(type, text, slot);
    case TARN_TYPE_DATE: return text.len == 10 && parse_day(text.data, slot);
    case TARN_TYPE_TIME: return parse_time(type, text, slot);
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ: return parse_timestamp(type, text, slot);
    case TARN_TYPE_TEXT: return parse_text(type, text, slot);
    case TARN_TYPE_NULL:
    case TARN_TYPE_BYTEA:
    case TARN_TYPE_INTERVAL:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: return false;
    }
    return false;
}
