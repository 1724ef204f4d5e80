// Floating point as text. Reading is correctly rounded; writing gives the shortest digits that read
// back as the same number, and among those the nearest, in PostgreSQL's layout.
#include <errno.h>
#include <float.h>
#include <math.h>

#include "column/text.h"

#define SHORT_TEXT_BYTES 128

static tarn_status fail_float_range(tarn_type type, tarn_slice text, tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "\"" TARN_SLICE_FMT "\" is out of range for type %s",
                  TARN_SLICE_ARG(text), type.id == TARN_TYPE_REAL ? "real" : "double precision");
    tarn_error_locate(err, "22003", 0);
    return status;
}

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// Plain decimals of up to 15 digits: both the digits and the power of ten are exact doubles, so
// that one division rounds once and rightly.
static bool read_plain(tarn_slice text, double *ret_number) {
    bool is_negative = column_take(&text, '-');
    tarn_slice whole = column_take_digits(&text);
    tarn_slice fraction = {0};
    if (column_take(&text, '.')) fraction = column_take_digits(&text);
    if (text.len > 0 || whole.len + fraction.len == 0 || whole.len + fraction.len > 15) {
        return false;
    }
    int64_t digits = 0;
    for (size_t i = 0; i < whole.len; i++) digits = digits * 10 + (whole.data[i] - '0');
    for (size_t i = 0; i < fraction.len; i++) digits = digits * 10 + (fraction.data[i] - '0');
    double number = (double)digits / exact_powers[fraction.len];
    *ret_number = is_negative ? -number : number;
    return true;
}

// Reads the whole of NUL-terminated `text` as the C library does, which includes "Infinity", "nan"
// and hexadecimal. Relies on LC_NUMERIC being "C".
static tarn_status read_any(tarn_type type, const char *text, size_t len, double *ret_number,
                            bool *ret_in_range) {
    char *end;
    errno = 0;
    bool is_real = type.id == TARN_TYPE_REAL;
    double number = is_real ? (double)strtof(text, &end) : strtod(text, &end);
    if (len == 0 || end != text + len) return TARN_INVALID;
    // Tiny numbers that lost digits are still numbers; only zero and infinity are too far off.
    *ret_in_range = errno != ERANGE || (number != 0 && isfinite(number));
    *ret_number = number;
    return TARN_OK;
}

tarn_status column_parse_float(tarn_type type, tarn_slice text, tarn_arena *arena,
                               tarn_value *ret_value, tarn_error *err) {
    tarn_slice trimmed = column_trim(text);
    tarn_value value = {.type = type};
    if (type.id == TARN_TYPE_DOUBLE && read_plain(trimmed, &value.f64)) {
        *ret_value = value;
        return TARN_OK;
    }
    char short_text[SHORT_TEXT_BYTES] = {0};
    tarn_slice terminated = {(const uint8_t *)short_text, trimmed.len};
    if (trimmed.len < sizeof short_text) {
        if (trimmed.len > 0) memcpy(short_text, trimmed.data, trimmed.len);
    } else if (!tarn_arena_copy(arena, trimmed, &terminated)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a number of %zu digits", trimmed.len);
    }
    bool in_range;
    if (read_any(type, (const char *)terminated.data, terminated.len, &value.f64, &in_range) !=
        TARN_OK) {
        return column_text_fail_syntax(type, text, err);
    }
    if (!in_range) return fail_float_range(type, trimmed, err);
    *ret_value = value;
    return TARN_OK;
}

// ---- writing ----

// A positive number as digits * 10^exponent, without trailing zeros.
typedef struct decimal {
    uint64_t digits;
    int exponent;
} decimal;

// What differs between float and double.
typedef struct float_format {
    int digits_safe;   // every decimal of so many digits survives
    int digits_enough; // so many digits tell any two numbers apart
    int mantissa_bits;
    int plain_exponent; // from 10^this on, PostgreSQL writes an exponent
    double least_normal;
    bool is_float;
} float_format;

static const float_format double_format = {DBL_DIG, DBL_DECIMAL_DIG, DBL_MANT_DIG,
                                           15,      DBL_MIN,         false};
static const float_format real_format = {FLT_DIG, FLT_DECIMAL_DIG, FLT_MANT_DIG,
                                         6,       (double)FLT_MIN, true};

static decimal strip_zeros(decimal value) {
    while (value.digits % 10 == 0) {
        value.digits /= 10;
        value.exponent++;
    }
    return value;
}

// Correctly rounded to `digit_count` digits.
static decimal round_to(double number, int digit_count) {
    char text[48];
    (void)snprintf(text, sizeof text, "%.*e", digit_count - 1, number); // always fits
    const char *mark = strchr(text, 'e');
    decimal value = {.exponent = (int)strtol(mark + 1, NULL, 10) - (digit_count - 1)};
    for (const char *at = text; at < mark; at++) {
        if (*at != '.') value.digits = value.digits * 10 + (uint64_t)(*at - '0');
    }
    return value;
}

static double read_back(decimal value, bool is_float) {
    char text[48];
    (void)snprintf(text, sizeof text, "%llue%d", (unsigned long long)value.digits, value.exponent);
    return is_float ? (double)strtof(text, NULL) : strtod(text, NULL);
}

// Whether the decimal lies exactly half-way between two floating point numbers: its odd part then
// has one bit more than they do. Such a decimal reads back by the rule of ties only, and PostgreSQL
// does not rely on that. (1e23 is one: it reads as 9.999999999999999e+22.)
static bool is_half_way(decimal value, int mantissa_bits) {
    uint64_t odd = value.digits >> __builtin_ctzll(value.digits);
    for (int i = 0; i < value.exponent; i++) {
        if (odd >> (mantissa_bits + 1) != 0) return false;
        odd *= 5;
    }
    for (int i = 0; i > value.exponent; i--) {
        if (odd % 5 != 0) return false;
        odd /= 5;
    }
    return odd >> mantissa_bits == 1;
}

static bool stands_for(decimal value, double number, const float_format *format) {
    return read_back(value, format->is_float) == number &&
           !is_half_way(strip_zeros(value), format->mantissa_bits);
}

// Numbers with a few digits behind the point, the usual ones, without the detour through text: when
// number * 10^k is an integer below 10^15, those are the only digits (at most 15) that read back.
static bool find_plain(double number, decimal *ret_value) {
    if (number >= 1e15 || number < 1e-5) return false;
    for (int places = 0; places <= 6; places++) {
        double scaled = number * exact_powers[places];
        if (scaled >= 1e15) return false;
        double digits = rint(scaled);
        if (digits / exact_powers[places] != number) continue;
        *ret_value = strip_zeros((decimal){(uint64_t)digits, -places});
        return true;
    }
    return false;
}

static decimal find_shortest(double number, const float_format *format) {
    decimal value;
    if (!format->is_float && find_plain(number, &value)) return value;
    // With few digits at most one decimal stands for the number, so that one try covers them all.
    // Numbers below the normal ones have less precision, and no such bound.
    int first = number < format->least_normal ? 1 : format->digits_safe;
    for (int digit_count = first; digit_count < format->digits_enough; digit_count++) {
        value = round_to(number, digit_count);
        if (stands_for(value, number, format)) return strip_zeros(value);
        // Above a power of two neighbours are twice as far as below it: the next decimal up may
        // stand for the number although the nearest one, below, does not.
        value.digits++;
        if (stands_for(value, number, format)) return strip_zeros(value);
    }
    return strip_zeros(round_to(number, format->digits_enough));
}

static char *write_plain(char *out, const char *digits, int len, int point) {
    if (point <= 0) {
        out = column_write_text(out, "0.");
        for (int i = point; i < 0; i++) *out++ = '0';
    }
    for (int i = 0; i < len; i++) {
        if (i == point && i > 0) *out++ = '.';
        *out++ = digits[i];
    }
    for (int i = len; i < point; i++) *out++ = '0';
    return out;
}

static char *write_scientific(char *out, const char *digits, int len, int exponent) {
    *out++ = digits[0];
    if (len > 1) *out++ = '.';
    for (int i = 1; i < len; i++) *out++ = digits[i];
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    return column_write_digits(out, (uint64_t)(exponent < 0 ? -exponent : exponent), 2);
}

static char *write_number(char *out, double number, const float_format *format) {
    if (isnan(number)) return column_write_text(out, "NaN");
    if (signbit(number)) *out++ = '-';
    number = fabs(number);
    if (isinf(number)) return column_write_text(out, "Infinity");
    if (number == 0) return column_write_text(out, "0");
    decimal value = find_shortest(number, format);
    char digits[20];
    int len = (int)(column_write_digits(digits, value.digits, 1) - digits);
    int exponent = value.exponent + len - 1; // of the first digit
    if (exponent < -4 || exponent >= format->plain_exponent) {
        return write_scientific(out, digits, len, exponent);
    }
    return write_plain(out, digits, len, exponent + 1);
}

char *column_write_double(char *out, double number) {
    return write_number(out, number, &double_format);
}

char *column_write_float(char *out, float number) {
    return write_number(out, (double)number, &real_format);
}
