// Integers and decimals as text.
#include "column/text.h"

// ---- integers ----

static tarn_status fail_integer_range(tarn_type type, tarn_slice text, tarn_error *err) {
    const char *name = type.id == TARN_TYPE_SMALLINT  ? "smallint"
                       : type.id == TARN_TYPE_INTEGER ? "integer"
                                                      : "bigint";
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "value \"" TARN_SLICE_FMT "\" is out of range for type %s",
                  TARN_SLICE_ARG(text), name);
    tarn_error_locate(err, "22003", 0);
    return status;
}

// Counts downwards, because the smallest integer has no positive twin.
static bool read_negative(tarn_slice digits, int64_t *ret_value) {
    int64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (__builtin_mul_overflow(value, (int64_t)10, &value)) return false;
        if (__builtin_sub_overflow(value, (int64_t)(digits.data[i] - '0'), &value)) return false;
    }
    *ret_value = value;
    return true;
}

static bool fits_integer(tarn_type type, int64_t number) {
    if (type.id == TARN_TYPE_SMALLINT) return number >= INT16_MIN && number <= INT16_MAX;
    if (type.id == TARN_TYPE_INTEGER) return number >= INT32_MIN && number <= INT32_MAX;
    return true;
}

tarn_status column_parse_integer(tarn_type type, tarn_slice text, tarn_value *ret_value,
                                 tarn_error *err) {
    tarn_slice rest = column_trim(text);
    bool is_negative = column_take(&rest, '-');
    if (!is_negative) (void)column_take(&rest, '+'); // a plus sign changes nothing
    tarn_slice digits = column_take_digits(&rest);
    if (digits.len == 0 || rest.len > 0) return column_text_fail_syntax(type, text, err);
    int64_t number;
    bool fits = is_negative ? read_negative(digits, &number) : column_read_digits(digits, &number);
    if (!fits || !fits_integer(type, number)) return fail_integer_range(type, text, err);
    *ret_value = (tarn_value){.type = type, .i64 = number};
    return TARN_OK;
}

char *column_write_digits(char *out, uint64_t number, int width) {
    char digits[20];
    int len = 0;
    do {
        digits[len++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (; width > len; width--) *out++ = '0';
    while (len > 0) *out++ = digits[--len];
    return out;
}

// ---- numeric ----

// What a decimal number in text consists of: digits with a point among them, and an exponent.
typedef struct decimal_text {
    bool is_negative;
    tarn_slice whole;    // digits before the point
    tarn_slice fraction; // digits behind it
    int64_t exponent;
} decimal_text;

#define EXPONENT_MOST ((int64_t)1 << 40) // larger ones change no answer

static bool read_exponent(tarn_slice *rest, int64_t *ret_exponent) {
    *ret_exponent = 0;
    if (!column_take(rest, 'e') && !column_take(rest, 'E')) return true;
    bool is_negative = column_take(rest, '-');
    if (!is_negative) (void)column_take(rest, '+'); // a plus sign changes nothing
    tarn_slice digits = column_take_digits(rest);
    int64_t exponent;
    if (digits.len == 0) return false;
    if (!column_read_digits(digits, &exponent) || exponent > EXPONENT_MOST) {
        exponent = EXPONENT_MOST;
    }
    *ret_exponent = is_negative ? -exponent : exponent;
    return true;
}

static bool read_decimal(tarn_slice text, decimal_text *ret_decimal) {
    decimal_text decimal = {.is_negative = column_take(&text, '-')};
    if (!decimal.is_negative) (void)column_take(&text, '+'); // a plus sign changes nothing
    decimal.whole = column_take_digits(&text);
    if (column_take(&text, '.')) decimal.fraction = column_take_digits(&text);
    if (decimal.whole.len + decimal.fraction.len == 0) return false;
    if (!read_exponent(&text, &decimal.exponent) || text.len > 0) return false;
    *ret_decimal = decimal;
    return true;
}

static int digit_at(const decimal_text *decimal, size_t index) {
    if (index < decimal->whole.len) return decimal->whole.data[index] - '0';
    index -= decimal->whole.len;
    return index < decimal->fraction.len ? decimal->fraction.data[index] - '0' : 0;
}

// The number times 10^scale, rounded half away from zero. Returns false when it has more than 38
// digits.
static bool scale_decimal(const decimal_text *decimal, int scale, tarn_int128 *ret_number) {
    size_t digit_count = decimal->whole.len + decimal->fraction.len;
    size_t first = 0;
    while (first < digit_count && digit_at(decimal, first) == 0) first++;
    *ret_number = 0;
    if (first == digit_count) return true;
    // How many digits from the first one on stand before the point of the scaled number.
    int64_t kept = (int64_t)decimal->whole.len - (int64_t)first + decimal->exponent + scale;
    if (kept < 0) return true;
    if (kept > TARN_NUMERIC_PRECISION_MAX) return false;
    tarn_int128 number = 0;
    for (int64_t i = 0; i < kept; i++) {
        number = number * 10 + digit_at(decimal, first + (size_t)i);
    }
    if (digit_at(decimal, first + (size_t)kept) >= 5) number++;
    *ret_number = decimal->is_negative ? -number : number;
    return true;
}

static tarn_status fail_numeric_range(tarn_type type, tarn_error *err) {
    tarn_status status = tarn_fail(err, TARN_INVALID, "numeric field overflow");
    tarn_error_locate(err, "22003", 0);
    int whole_digits = type.precision - type.scale;
    if (whole_digits == 0) {
        tarn_error_hint(err,
                        "a field with precision %u, scale %u must round to an absolute value less "
                        "than 1",
                        (unsigned)type.precision, (unsigned)type.scale);
    } else {
        tarn_error_hint(err,
                        "a field with precision %u, scale %u must round to an absolute value less "
                        "than 10^%d",
                        (unsigned)type.precision, (unsigned)type.scale, whole_digits);
    }
    return status;
}

static bool is_infinity(tarn_slice text) {
    if (text.len > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        text = tarn_slice_skip(text, 1);
    }
    return column_is_word(text, "infinity") || column_is_word(text, "inf");
}

static tarn_status parse_special_numeric(tarn_type type, tarn_slice text, tarn_error *err) {
    tarn_slice word = column_trim(text);
    if (is_infinity(word)) return fail_numeric_range(type, err);
    if (!column_is_word(word, "nan")) return column_text_fail_syntax(type, text, err);
    tarn_status status =
        tarn_fail(err, TARN_UNSUPPORTED, "\"NaN\" is not supported as a value of type numeric");
    tarn_error_locate(err, "0A000", 0);
    return status;
}

tarn_status column_parse_numeric(tarn_type type, tarn_slice text, tarn_value *ret_value,
                                 tarn_error *err) {
    decimal_text decimal;
    if (!read_decimal(column_trim(text), &decimal)) return parse_special_numeric(type, text, err);
    tarn_int128 number;
    tarn_int128 limit = tarn_power_of_ten(type.precision);
    if (!scale_decimal(&decimal, type.scale, &number) || number >= limit || number <= -limit) {
        return fail_numeric_range(type, err);
    }
    tarn_value value = {.type = type};
    if (tarn_type_physical(type) == TARN_PHYSICAL_I64) {
        value.i64 = (int64_t)number;
    } else {
        value.i128 = number;
    }
    *ret_value = value;
    return TARN_OK;
}

// The digits of a number, at least `width` of them.
static char *write_magnitude(char *out, tarn_uint128 magnitude, int width) {
    enum { GROUP_DIGITS = 18 };
    const uint64_t group = (uint64_t)tarn_power_of_ten(GROUP_DIGITS);
    if (magnitude < group && width <= GROUP_DIGITS) {
        return column_write_digits(out, (uint64_t)magnitude, width);
    }
    out = write_magnitude(out, magnitude / group, width - GROUP_DIGITS); // at most twice
    return column_write_digits(out, (uint64_t)(magnitude % group), GROUP_DIGITS);
}

char *column_write_int128(char *out, tarn_int128 number, int scale) {
    char digits[64];
    tarn_uint128 magnitude = number < 0 ? -(tarn_uint128)number : (tarn_uint128)number;
    char *end =
        write_magnitude(digits, magnitude, scale + 1); // a zero before the point, if need be
    size_t whole_len = (size_t)(end - digits) - (size_t)scale;
    if (number < 0) *out++ = '-';
    memcpy(out, digits, whole_len);
    out += whole_len;
    if (scale == 0) return out;
    *out++ = '.';
    memcpy(out, digits + whole_len, (size_t)scale);
    return out + scale;
}
