// Variances and standard deviations: exact for integers and numerics (sums and squares in 256
// bits), by sums of twice the precision for floating point.

#include <math.h>

#include "expr/aggregates.h"
#include "expr/decimal.h"
#include "expr/function.h"

typedef tarn_int128 aligned_int128 __attribute__((aligned(8)));
typedef tarn_uint128 aligned_uint128 __attribute__((aligned(8)));

static bool is_population(const tarn_aggregate *aggregate) {
    return aggregate->function->kind == EXPR_AGGREGATE_STDDEV_POP ||
           aggregate->function->kind == EXPR_AGGREGATE_VAR_POP;
}

static bool is_deviation(const tarn_aggregate *aggregate) {
    return aggregate->function->kind == EXPR_AGGREGATE_STDDEV_POP ||
           aggregate->function->kind == EXPR_AGGREGATE_STDDEV_SAMP;
}

// One value has a variance as a population, none as a sample.
static bool has_result(const tarn_aggregate *aggregate, int64_t count) {
    return count > 1 || (count == 1 && is_population(aggregate));
}

// ---- exact ----

typedef struct exact_state {
    int64_t count;
    aligned_int128 sum;
    aligned_uint128 squares_high;
    aligned_uint128 squares_low;
} exact_state;
static_assert(sizeof(exact_state) == 56, "seven words");

static tarn_status fail_overflow(tarn_error *err) {
    return expr_fail(err, "22003", "value overflows numeric format");
}

static bool change_sum(exact_state *group, tarn_int128 change) {
    tarn_uint128 total = (tarn_uint128)group->sum + (tarn_uint128)change;
    bool overflowed =
        ((((tarn_uint128)group->sum ^ total) & ((tarn_uint128)change ^ total)) >> 127) != 0;
    group->sum = (tarn_int128)total;
    return !overflowed;
}

// Signed, in two's complement: a part of a merged whole may have more retractions than insertions.
static bool change_squares(exact_state *group, expr_u256 squares, bool add) {
    expr_u256 before = {group->squares_high, group->squares_low};
    expr_u256 change = add ? squares : expr_u256_subtract((expr_u256){0}, squares);
    expr_u256 after = expr_u256_add(before, change);
    group->squares_high = after.high;
    group->squares_low = after.low;
    return ((before.high ^ after.high) & (change.high ^ after.high)) >> 127 == 0;
}

static tarn_int128 value_at(const expr_agg_rows *rows, size_t index) {
    switch (tarn_type_physical(rows->type)) {
    case TARN_PHYSICAL_I16: return ((const int16_t *)rows->data)[index];
    case TARN_PHYSICAL_I32: return ((const int32_t *)rows->data)[index];
    case TARN_PHYSICAL_I64: return ((const int64_t *)rows->data)[index];
    case TARN_PHYSICAL_I128: return ((const tarn_int128 *)rows->data)[index];
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_STRING:
    case TARN_PHYSICAL_INTERVAL: break;
    }
    tarn_assert(false);
    return 0;
}

static tarn_status exact_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                const expr_agg_rows *rows, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    bool fits = true;
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        exact_state *group = (exact_state *)(void *)at.state;
        tarn_int128 value = value_at(rows, at.index);
        tarn_uint128 magnitude = expr_magnitude(value);
        group->count += at.sign;
        fits &= change_sum(group, value * at.sign);
        fits &= change_squares(group, expr_u256_multiply(magnitude, magnitude), at.sign > 0);
    }
    return fits ? TARN_OK : fail_overflow(err);
}

static tarn_status exact_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                               uint8_t *target, const uint8_t *source, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    exact_state *sum = (exact_state *)(void *)target;
    const exact_state *more = (const exact_state *)(const void *)source;
    expr_u256 squares = {more->squares_high, more->squares_low};
    if (!change_sum(sum, more->sum)) return fail_overflow(err);
    if (!change_squares(sum, squares, true)) return fail_overflow(err);
    sum->count += more->count;
    return TARN_OK;
}

static expr_u256 divide_rounded(expr_u256 dividend, tarn_uint128 divisor) {
    tarn_uint128 rest;
    expr_u256 quotient = expr_u256_divide(dividend, divisor, &rest);
    if (rest >= divisor - rest) quotient = expr_u256_add(quotient, (expr_u256){0, 1});
    return quotient;
}

// (count * squares - sum^2) / (count * (count - 1)), or count^2 for a population, as a number of
// 10^-scale. False: not in 256 bits.
static bool variance_of(const exact_state *group, bool population, int value_scale, int scale,
                        expr_u256 *ret_variance) {
    expr_u256 squares = {group->squares_high, group->squares_low};
    tarn_uint128 count = (tarn_uint128)group->count;
    tarn_uint128 magnitude = expr_magnitude(group->sum);
    expr_u256 numerator;
    if (!expr_u256_scale(squares, count, &numerator)) return false;
    numerator = expr_u256_subtract(numerator, expr_u256_multiply(magnitude, magnitude));
    int shift = scale - 2 * value_scale; // from units of the squares to units of the result
    int up = shift > 0 ? shift : 0;
    int down = shift < 0 ? -shift : 0;
    if (!expr_u256_scale(numerator, (tarn_uint128)tarn_power_of_ten(up), &numerator)) return false;
    tarn_uint128 divisor = count * (population ? count : count - 1);
    if (down == 0) {
        *ret_variance = divide_rounded(numerator, divisor);
        return true;
    }
    // Two divisions round twice, so the first one keeps the rest in: floor, then to nearest.
    tarn_uint128 rest;
    expr_u256 quotient = expr_u256_divide(numerator, divisor, &rest);
    int first = down > 38 ? 38 : down;
    quotient = divide_rounded(quotient, (tarn_uint128)tarn_power_of_ten(first));
    if (down > first) {
        quotient = divide_rounded(quotient, (tarn_uint128)tarn_power_of_ten(down - first));
    }
    *ret_variance = quotient;
    return true;
}

static bool rounded_root(expr_u256 value, int scale, expr_u256 *ret_root) {
    if (!expr_u256_scale(value, (tarn_uint128)tarn_power_of_ten(scale), &value)) return false;
    tarn_uint128 root = expr_u256_sqrt(value);
    // (root + 1/2)^2 is root^2 + root + 1/4: beyond it, the next integer is nearer.
    expr_u256 rest = expr_u256_subtract(value, expr_u256_multiply(root, root));
    if (expr_u256_compare(rest, (expr_u256){0, root}) > 0) root++;
    *ret_root = (expr_u256){0, root};
    return true;
}

static tarn_status exact_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                  tarn_arena *arena, tarn_vector *result, size_t row,
                                  tarn_error *err) {
    (void)arena;
    const exact_state *group = (const exact_state *)(const void *)state;
    if (!has_result(aggregate, group->count)) {
        tarn_bitmap_unset(result->validity, row);
        return TARN_OK;
    }
    int scale = result->type.scale;
    int value_scale = aggregate->arg_type.id == TARN_TYPE_NUMERIC ? aggregate->arg_type.scale : 0;
    expr_u256 value;
    if (!variance_of(group, is_population(aggregate), value_scale, scale, &value)) {
        return fail_overflow(err);
    }
    if (is_deviation(aggregate) && !rounded_root(value, scale, &value)) return fail_overflow(err);
    tarn_int128 number = (tarn_int128)value.low;
    if (value.high != 0 || number < 0 || !expr_decimal_fits(number, result->type.precision)) {
        return fail_overflow(err);
    }
    expr_numeric_put(result, row, number);
    return TARN_OK;
}

const expr_aggregate_ops expr_variance_exact_ops = {.state_bytes = sizeof(exact_state),
                                                    .update = exact_update,
                                                    .merge = exact_merge,
                                                    .finalize = exact_finalize};

// ---- floating point ----

// A sum as two doubles, the second being what rounding took from the first: about 106 bits.
typedef struct long_sum {
    double high;
    double low;
} long_sum;

static void add_to(long_sum *sum, double value) {
    double total = sum->high + value;
    double part = total - sum->high;
    sum->low += (sum->high - (total - part)) + (value - part);
    sum->high = total;
}

// The product is exact: fma gives what the multiplication rounds away.
static void add_product(long_sum *sum, double a, double b) {
    double product = a * b;
    add_to(sum, product);
    add_to(sum, fma(a, b, -product));
}

// Sums of values and squares can be added and taken back in any order. NaN and infinities, which
// make the result NaN, are counted apart for the same reason.
typedef struct floating_state {
    int64_t count; // of finite values
    int64_t special_count;
    long_sum sum;
    long_sum squares;
} floating_state;

static void add_floating(floating_state *group, double value, int64_t sign) {
    if (!isfinite(value)) {
        group->special_count += sign;
        return;
    }
    double change = sign > 0 ? value : -value;
    group->count += sign;
    add_to(&group->sum, change);
    add_product(&group->squares, change, value);
}

static tarn_status floating_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                   const expr_agg_rows *rows, tarn_error *err) {
    (void)alloc;
    (void)err;
    bool is_real = tarn_type_physical(aggregate->arg_type) == TARN_PHYSICAL_F32;
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        double value = is_real ? (double)((const float *)rows->data)[at.index]
                               : ((const double *)rows->data)[at.index];
        add_floating((floating_state *)(void *)at.state, value, at.sign);
    }
    return TARN_OK;
}

static tarn_status floating_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                  uint8_t *target, const uint8_t *source, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    (void)err;
    floating_state *sum = (floating_state *)(void *)target;
    const floating_state *more = (const floating_state *)(const void *)source;
    sum->count += more->count;
    sum->special_count += more->special_count;
    add_to(&sum->sum, more->sum.high);
    add_to(&sum->sum, more->sum.low);
    add_to(&sum->squares, more->squares.high);
    add_to(&sum->squares, more->squares.low);
    return TARN_OK;
}

// count * squares - sum^2, never below zero.
static double spread_of(const floating_state *group) {
    double count = (double)group->count;
    long_sum spread = {0};
    add_product(&spread, count, group->squares.high);
    add_product(&spread, count, group->squares.low);
    add_product(&spread, -group->sum.high, group->sum.high);
    add_product(&spread, -2 * group->sum.high, group->sum.low);
    double total = spread.high + spread.low;
    return total < 0 ? 0 : total;
}

static tarn_status floating_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                     tarn_arena *arena, tarn_vector *result, size_t row,
                                     tarn_error *err) {
    (void)arena;
    const floating_state *group = (const floating_state *)(const void *)state;
    if (!has_result(aggregate, group->count + group->special_count)) {
        tarn_bitmap_unset(result->validity, row);
        return TARN_OK;
    }
    double value = (double)NAN;
    if (group->special_count <= 0) {
        double count = (double)group->count;
        value = spread_of(group) / (count * (is_population(aggregate) ? count : count - 1));
        if (!isfinite(value)) return expr_fail(err, "22003", "value out of range: overflow");
        if (is_deviation(aggregate)) value = sqrt(value);
    }
    ((double *)result->data)[row] = value;
    return TARN_OK;
}

const expr_aggregate_ops expr_variance_floating_ops = {.state_bytes = sizeof(floating_state),
                                                       .update = floating_update,
                                                       .merge = floating_merge,
                                                       .finalize = floating_finalize};
