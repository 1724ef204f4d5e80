// decimal.h - exact arithmetic on numeric's integers: 128 bits, and 256 in between.
//
// A numeric is an integer of up to 38 digits and a scale. Products and shifted dividends need twice
// the bits; nothing here rounds but where it says so, and then halves away from zero.
#ifndef TARN_EXPR_DECIMAL_H
#define TARN_EXPR_DECIMAL_H

#include "column/column.h"

typedef struct expr_u256 {
    tarn_uint128 high;
    tarn_uint128 low;
} expr_u256;

static inline tarn_uint128 expr_magnitude(tarn_int128 value) {
    return value < 0 ? -(tarn_uint128)value : (tarn_uint128)value;
}
static inline tarn_int128 expr_with_sign(tarn_uint128 magnitude, bool negative) {
    return negative ? (tarn_int128)(0 - magnitude) : (tarn_int128)magnitude;
}
static inline bool expr_fits_i64(tarn_int128 value) {
    return value == (int64_t)value;
}

expr_u256 expr_u256_multiply(tarn_uint128 a, tarn_uint128 b);
expr_u256 expr_u256_add(expr_u256 a, expr_u256 b);
expr_u256 expr_u256_subtract(expr_u256 a, expr_u256 b);
int expr_u256_compare(expr_u256 a, expr_u256 b);
// False when the product needs more than 256 bits.
bool expr_u256_scale(expr_u256 a, tarn_uint128 factor, expr_u256 *ret_product);
// `divisor` is not 0.
expr_u256 expr_u256_divide(expr_u256 dividend, tarn_uint128 divisor, tarn_uint128 *ret_remainder);
// The greatest integer whose square is not greater.
tarn_uint128 expr_u256_sqrt(expr_u256 value);

// |value| < 10^precision.
static inline bool expr_decimal_fits(tarn_int128 value, int precision) {
    return expr_magnitude(value) < (tarn_uint128)tarn_power_of_ten(precision);
}

// All return false when the result has more than 38 digits.
bool expr_decimal_multiply(tarn_int128 a, tarn_int128 b, int drop_digits, tarn_int128 *ret_product);
// value / 10^from_scale as a number of 10^-to_scale, rounded.
bool expr_decimal_rescale(tarn_int128 value, int from_scale, int to_scale, tarn_int128 *ret_value);
// dividend * 10^shift / divisor, rounded; shift may be up to 76 and the divisor is not 0.
bool expr_decimal_divide(tarn_int128 dividend, tarn_int128 divisor, int shift,
                         tarn_int128 *ret_quotient);
// dividend / 10^digits, rounded (to nearest, halves away from zero), down, or toward zero.
tarn_int128 expr_decimal_round(tarn_int128 value, int digits);
tarn_int128 expr_decimal_floor(tarn_int128 value, int digits);
tarn_int128 expr_decimal_truncate(tarn_int128 value, int digits);
int expr_decimal_compare(tarn_int128 a, int a_scale, tarn_int128 b, int b_scale);

double expr_decimal_to_double(tarn_int128 value, int scale);
// Rounded; false when it does not fit 38 digits. `value` is finite.
bool expr_decimal_from_double(double value, int scale, int digits, tarn_int128 *ret_value);

// A numeric argument of a kernel: values of 64 or 128 bits.
typedef struct expr_numeric_arg {
    const void *data;
    size_t stride;
    bool is_wide;
    int scale;
} expr_numeric_arg;

static inline expr_numeric_arg expr_numeric_of(const tarn_vector *vector) {
    return (expr_numeric_arg){.data = vector->data,
                              .stride = vector->kind == TARN_VECTOR_CONSTANT ? 0 : 1,
                              .is_wide = tarn_type_physical(vector->type) == TARN_PHYSICAL_I128,
                              .scale = vector->type.scale};
}
static inline tarn_int128 expr_numeric_at(const expr_numeric_arg *arg, size_t row) {
    if (arg->is_wide) return ((const tarn_int128 *)arg->data)[row * arg->stride];
    return ((const int64_t *)arg->data)[row * arg->stride];
}
static inline void expr_numeric_put(const tarn_vector *result, size_t row, tarn_int128 value) {
    if (tarn_type_physical(result->type) == TARN_PHYSICAL_I128) {
        ((tarn_int128 *)result->data)[row] = value;
    } else {
        ((int64_t *)result->data)[row] = (int64_t)value;
    }
}

#endif
