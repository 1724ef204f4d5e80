#include "expr/decimal.h"

#include <math.h>
#include <stdio.h>

#define DIGITS_MAX 38

expr_u256 expr_u256_multiply(tarn_uint128 a, tarn_uint128 b) {
    uint64_t a_low = (uint64_t)a;
    uint64_t a_high = (uint64_t)(a >> 64);
    uint64_t b_low = (uint64_t)b;
    uint64_t b_high = (uint64_t)(b >> 64);
    tarn_uint128 low = (tarn_uint128)a_low * b_low;
    tarn_uint128 middle = (tarn_uint128)a_high * b_low;
    tarn_uint128 other = (tarn_uint128)a_low * b_high;
    tarn_uint128 high = (tarn_uint128)a_high * b_high;
    tarn_uint128 carry = (low >> 64) + (uint64_t)middle + (uint64_t)other;
    return (expr_u256){.high = high + (middle >> 64) + (other >> 64) + (carry >> 64),
                       .low = carry << 64 | (uint64_t)low};
}

expr_u256 expr_u256_add(expr_u256 a, expr_u256 b) {
    expr_u256 sum = {.high = a.high + b.high, .low = a.low + b.low};
    sum.high += sum.low < a.low;
    return sum;
}

expr_u256 expr_u256_subtract(expr_u256 a, expr_u256 b) {
    return (expr_u256){.high = a.high - b.high - (a.low < b.low), .low = a.low - b.low};
}

int expr_u256_compare(expr_u256 a, expr_u256 b) {
    if (a.high != b.high) return a.high < b.high ? -1 : 1;
    return (a.low > b.low) - (a.low < b.low);
}

bool expr_u256_scale(expr_u256 a, tarn_uint128 factor, expr_u256 *ret_product) {
    expr_u256 low = expr_u256_multiply(a.low, factor);
    expr_u256 high = expr_u256_multiply(a.high, factor);
    tarn_uint128 sum = low.high + high.low;
    if (high.high != 0 || sum < low.high) return false;
    *ret_product = (expr_u256){.high = sum, .low = low.low};
    return true;
}

// By one 64-bit word, from the top: each step divides 128 bits by 64.
static expr_u256 divide_by_word(expr_u256 dividend, uint64_t divisor, tarn_uint128 *ret_remainder) {
    uint64_t words[4] = {(uint64_t)(dividend.high >> 64), (uint64_t)dividend.high,
                         (uint64_t)(dividend.low >> 64), (uint64_t)dividend.low};
    uint64_t remainder = 0;
    for (int i = 0; i < 4; i++) {
        tarn_uint128 part = (tarn_uint128)remainder << 64 | words[i];
        words[i] = (uint64_t)(part / divisor);
        remainder = (uint64_t)(part % divisor);
    }
    *ret_remainder = remainder;
    return (expr_u256){.high = (tarn_uint128)words[0] << 64 | words[1],
                       .low = (tarn_uint128)words[2] << 64 | words[3]};
}

expr_u256 expr_u256_divide(expr_u256 dividend, tarn_uint128 divisor, tarn_uint128 *ret_remainder) {
    tarn_assert(divisor != 0);
    if (dividend.high == 0) {
        *ret_remainder = dividend.low % divisor;
        return (expr_u256){.low = dividend.low / divisor};
    }
    if (divisor >> 64 == 0) return divide_by_word(dividend, (uint64_t)divisor, ret_remainder);
    expr_u256 quotient = {.high = dividend.high / divisor};
    tarn_uint128 remainder = dividend.high % divisor;
    for (int bit = 127; bit >= 0; bit--) { // schoolbook, one bit at a time
        bool carry = remainder >> 127 != 0;
        remainder = remainder << 1 | (dividend.low >> bit & 1);
        if (!carry && remainder < divisor) continue;
        remainder -= divisor;
        quotient.low |= (tarn_uint128)1 << bit;
    }
    *ret_remainder = remainder;
    return quotient;
}

tarn_uint128 expr_u256_sqrt(expr_u256 value) {
    tarn_uint128 root = 0;
    for (int bit = 127; bit >= 0; bit--) {
        tarn_uint128 candidate = root | (tarn_uint128)1 << bit;
        if (expr_u256_compare(expr_u256_multiply(candidate, candidate), value) <= 0) {
            root = candidate;
        }
    }
    return root;
}

// ---- signed, in 38 digits ----

static bool to_signed(expr_u256 magnitude, bool negative, tarn_int128 *ret_value) {
    if (magnitude.high != 0 || magnitude.low >= (tarn_uint128)tarn_power_of_ten(DIGITS_MAX)) {
        return false;
    }
    *ret_value = expr_with_sign(magnitude.low, negative);
    return true;
}

static expr_u256 divide_rounded(expr_u256 dividend, tarn_uint128 divisor) {
    tarn_uint128 remainder;
    expr_u256 quotient = expr_u256_divide(dividend, divisor, &remainder);
    if (remainder >= divisor - remainder) quotient = expr_u256_add(quotient, (expr_u256){0, 1});
    return quotient;
}

bool expr_decimal_multiply(tarn_int128 a, tarn_int128 b, int drop_digits,
                           tarn_int128 *ret_product) {
    if (drop_digits == 0 && expr_fits_i64(a) && expr_fits_i64(b)) {
        *ret_product = a * b; // below 2^126, which has 38 digits
        return true;
    }
    bool negative = (a < 0) != (b < 0);
    expr_u256 product = expr_u256_multiply(expr_magnitude(a), expr_magnitude(b));
    if (drop_digits > 0) {
        product = divide_rounded(product, (tarn_uint128)tarn_power_of_ten(drop_digits));
    }
    return to_signed(product, negative, ret_product);
}

bool expr_decimal_rescale(tarn_int128 value, int from_scale, int to_scale, tarn_int128 *ret_value) {
    if (to_scale < from_scale) {
        *ret_value = expr_decimal_round(value, from_scale - to_scale);
        return true;
    }
    if (to_scale == from_scale) {
        *ret_value = value;
        return true;
    }
    return expr_decimal_multiply(value, tarn_power_of_ten(to_scale - from_scale), 0, ret_value);
}

bool expr_decimal_divide(tarn_int128 dividend, tarn_int128 divisor, int shift,
                         tarn_int128 *ret_quotient) {
    bool negative = (dividend < 0) != (divisor < 0);
    tarn_uint128 magnitude = expr_magnitude(dividend);
    if (magnitude >> 64 == 0 && shift <= 19 && shift >= 0) { // the product has at most 128 bits
        tarn_uint128 product =
            (tarn_uint128)(uint64_t)magnitude * (uint64_t)tarn_power_of_ten(shift);
        tarn_uint128 by = expr_magnitude(divisor);
        tarn_uint128 quotient = product / by;
        tarn_uint128 rest = product - quotient * by;
        return to_signed((expr_u256){0, quotient + (rest >= by - rest)}, negative, ret_quotient);
    }
    int first = shift > DIGITS_MAX ? DIGITS_MAX : shift;
    expr_u256 shifted =
        expr_u256_multiply(expr_magnitude(dividend), (tarn_uint128)tarn_power_of_ten(first));
    // What does not fit 256 bits would not fit 38 digits after the division either.
    if (shift > first &&
        !expr_u256_scale(shifted, (tarn_uint128)tarn_power_of_ten(shift - first), &shifted)) {
        return false;
    }
    return to_signed(divide_rounded(shifted, expr_magnitude(divisor)), negative, ret_quotient);
}

tarn_int128 expr_decimal_truncate(tarn_int128 value, int digits) {
    return digits > DIGITS_MAX ? 0 : value / tarn_power_of_ten(digits);
}

tarn_int128 expr_decimal_floor(tarn_int128 value, int digits) {
    if (digits > DIGITS_MAX) return value < 0 ? -1 : 0;
    tarn_int128 unit = tarn_power_of_ten(digits);
    tarn_int128 quotient = value / unit;
    return quotient * unit > value ? quotient - 1 : quotient;
}

tarn_int128 expr_decimal_round(tarn_int128 value, int digits) {
    if (digits > DIGITS_MAX) return 0;
    tarn_uint128 unit = (tarn_uint128)tarn_power_of_ten(digits);
    tarn_uint128 magnitude = expr_magnitude(value);
    tarn_uint128 quotient = magnitude / unit;
    if (magnitude % unit >= unit - magnitude % unit) quotient++;
    return expr_with_sign(quotient, value < 0);
}

int expr_decimal_compare(tarn_int128 a, int a_scale, tarn_int128 b, int b_scale) {
    if (a_scale == b_scale) return (a > b) - (a < b);
    if ((a < 0) != (b < 0)) return a < 0 ? -1 : 1;
    int a_shift = a_scale < b_scale ? b_scale - a_scale : 0;
    int b_shift = b_scale < a_scale ? a_scale - b_scale : 0;
    expr_u256 left =
        expr_u256_multiply(expr_magnitude(a), (tarn_uint128)tarn_power_of_ten(a_shift));
    expr_u256 right =
        expr_u256_multiply(expr_magnitude(b), (tarn_uint128)tarn_power_of_ten(b_shift));
    int order = expr_u256_compare(left, right);
    return a < 0 ? -order : order;
}

// ---- doubles ----

double expr_decimal_to_double(tarn_int128 value, int scale) {
    // Both exact: then the one rounding of the division is the right one.
    if (scale <= 22 && expr_magnitude(value) <= (tarn_uint128)1 << 53) {
        return (double)value / (double)tarn_power_of_ten(scale);
    }
    char text[64];
    char digits[48];
    size_t len = 0;
    for (tarn_uint128 rest = expr_magnitude(value); rest > 0 || len == 0; rest /= 10) {
        digits[len++] = (char)('0' + (int)(rest % 10));
    }
    char *out = text;
    if (value < 0) *out++ = '-';
    while (len > 0) *out++ = digits[--len];
    (void)snprintf(out, sizeof text - (size_t)(out - text), "e-%d", scale);
    return strtod(text, NULL);
}

bool expr_decimal_from_double(double value, int scale, int digits, tarn_int128 *ret_value) {
    // PostgreSQL goes through text of `digits` significant digits (15; real: 6), so 0.1 is 0.1.
    char text[64];
    (void)snprintf(text, sizeof text, "%.*e", digits - 1, value);
    bool negative = text[0] == '-';
    tarn_int128 number = 0;
    int point = -1; // digits behind the point so far
    const char *c = text + negative;
    for (; *c != 'e' && *c != '\0'; c++) {
        if (*c == '.') {
            point = 0;
            continue;
        }
        number = number * 10 + (*c - '0');
        if (point >= 0) point++;
    }
    int exponent = *c == 'e' ? (int)strtol(c + 1, NULL, 10) : 0;
    int number_scale = (point > 0 ? point : 0) - exponent;
    if (number == 0) {
        *ret_value = 0;
        return true;
    }
    if (number_scale < 0) {
        if (-number_scale > DIGITS_MAX) return false;
        if (!expr_decimal_multiply(number, tarn_power_of_ten(-number_scale), 0, &number)) {
            return false;
        }
        number_scale = 0;
    }
    if (number_scale > scale) {
        number = expr_decimal_round(number, number_scale - scale);
    } else if (!expr_decimal_rescale(number, number_scale, scale, &number)) {
        return false;
    }
    *ret_value = negative ? -number : number;
    return true;
}
