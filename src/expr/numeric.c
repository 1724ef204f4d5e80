// Numeric: exact, with a scale that follows from the arguments' scales. Sums keep the greater
// scale, products add them (rounded at PRODUCT_SCALE_MAX, so that some digits before the point are
// left), quotients have at least QUOTIENT_SCALE_MIN. What needs more than 38 digits fails.

#include "expr/decimal.h"
#include "expr/loops.h"
#include "expr/tables.h"
#include "expr/tree.h"
#include "expr/types.h"

#define PRODUCT_SCALE_MAX  24
#define QUOTIENT_SCALE_MIN 16

static int greater_of(int a, int b) {
    return a > b ? a : b;
}

static tarn_type with_scale(int scale) {
    return tarn_type_numeric(EXPR_NUMERIC_PRECISION_MAX, scale);
}

// ---- types ----

static tarn_type sum_type(const tarn_expr *const *args, size_t arg_count) {
    (void)arg_count;
    return with_scale(greater_of(args[0]->type.scale, args[1]->type.scale));
}

static tarn_type product_type(const tarn_expr *const *args, size_t arg_count) {
    (void)arg_count;
    int a = args[0]->type.scale;
    int b = args[1]->type.scale;
    int most = greater_of(PRODUCT_SCALE_MAX, greater_of(a, b));
    return with_scale(a + b > most ? most : a + b);
}

static tarn_type quotient_type(const tarn_expr *const *args, size_t arg_count) {
    (void)arg_count;
    return with_scale(
        greater_of(QUOTIENT_SCALE_MIN, greater_of(args[0]->type.scale, args[1]->type.scale)));
}

static tarn_type same_type(const tarn_expr *const *args, size_t arg_count) {
    (void)arg_count;
    return args[0]->type;
}

static tarn_type integer_type(const tarn_expr *const *args, size_t arg_count) {
    (void)args;
    (void)arg_count;
    return with_scale(0);
}

// round(x, 2) has two digits behind the point. Where the number is not known, x keeps its own.
static tarn_type rounded_type(const tarn_expr *const *args, size_t arg_count) {
    int scale = args[0]->type.scale;
    if (arg_count < 2) return with_scale(0);
    if (!expr_is_literal(args[1]) || args[1]->literal.is_null) return with_scale(scale);
    int64_t digits = args[1]->literal.i64;
    int most = greater_of(PRODUCT_SCALE_MAX, scale);
    if (digits < 0) return with_scale(0);
    return with_scale(digits > most ? most : (int)digits);
}

// ---- sums ----

static inline unsigned put_checked(tarn_int128 value, tarn_int128 *out) {
    *out = value;
    tarn_int128 limit = (tarn_int128)99999999999999999 * 1000000000000000000 * 1000 +
                        (tarn_int128)999999999999999999 * 1000 + 999; // 10^38 - 1
    return value > limit || value < -limit;
}

// Operands of one scale: both have less than 2^127 / 2 in magnitude, so the sum is exact.
static inline unsigned add_wide(tarn_int128 a, tarn_int128 b, tarn_int128 *out) {
    return put_checked((tarn_int128)((tarn_uint128)a + (tarn_uint128)b), out);
}
static inline unsigned subtract_wide(tarn_int128 a, tarn_int128 b, tarn_int128 *out) {
    return put_checked((tarn_int128)((tarn_uint128)a - (tarn_uint128)b), out);
}
static inline unsigned add_narrow(int64_t a, int64_t b, tarn_int128 *out) {
    *out = (tarn_int128)a + b;
    return 0;
}
static inline unsigned subtract_narrow(int64_t a, int64_t b, tarn_int128 *out) {
    *out = (tarn_int128)a - b;
    return 0;
}
static inline unsigned multiply_narrow(int64_t a, int64_t b, tarn_int128 *out) {
    *out = (tarn_int128)a * b;
    return 0;
}
EXPR_CHECKED_BINARY_DENSE(add_wide_rows, tarn_int128, tarn_int128, tarn_int128, add_wide)
EXPR_CHECKED_BINARY_DENSE(subtract_wide_rows, tarn_int128, tarn_int128, tarn_int128, subtract_wide)
EXPR_CHECKED_BINARY_DENSE(add_narrow_rows, int64_t, int64_t, tarn_int128, add_narrow)
EXPR_CHECKED_BINARY_DENSE(subtract_narrow_rows, int64_t, int64_t, tarn_int128, subtract_narrow)
EXPR_CHECKED_BINARY_DENSE(multiply_narrow_rows, int64_t, int64_t, tarn_int128, multiply_narrow)

static bool are_all(const expr_frame *frame, tarn_physical physical) {
    return tarn_type_physical(frame->args[0].type) == physical &&
           tarn_type_physical(frame->args[1].type) == physical;
}

static bool have_one_scale(const expr_frame *frame) {
    return frame->args[0].type.scale == frame->args[1].type.scale;
}

typedef bool pair_operation(const expr_numeric_arg *a, const expr_numeric_arg *b, size_t row,
                            int scale, tarn_int128 *ret_value);

static tarn_status each_pair(const expr_frame *frame, pair_operation *operation) {
    expr_numeric_arg a = expr_numeric_of(&frame->args[0]);
    expr_numeric_arg b = expr_numeric_of(&frame->args[1]);
    int scale = frame->result->type.scale;
    EXPR_FOR_ROWS(frame, row) {
        tarn_int128 value;
        if (!operation(&a, &b, row, scale, &value)) {
            return expr_fail_fault(frame, EXPR_FAULT_RANGE);
        }
        expr_numeric_put(frame->result, row, value);
    }
    return TARN_OK;
}

static bool add_pair(const expr_numeric_arg *a, const expr_numeric_arg *b, size_t row, int scale,
                     tarn_int128 *ret_value) {
    tarn_int128 left;
    tarn_int128 right;
    return expr_decimal_rescale(expr_numeric_at(a, row), a->scale, scale, &left) &&
           expr_decimal_rescale(expr_numeric_at(b, row), b->scale, scale, &right) &&
           add_wide(left, right, ret_value) == 0;
}

static bool subtract_pair(const expr_numeric_arg *a, const expr_numeric_arg *b, size_t row,
                          int scale, tarn_int128 *ret_value) {
    tarn_int128 left;
    tarn_int128 right;
    return expr_decimal_rescale(expr_numeric_at(a, row), a->scale, scale, &left) &&
           expr_decimal_rescale(expr_numeric_at(b, row), b->scale, scale, &right) &&
           subtract_wide(left, right, ret_value) == 0;
}

static bool multiply_pair(const expr_numeric_arg *a, const expr_numeric_arg *b, size_t row,
                          int scale, tarn_int128 *ret_value) {
    return expr_decimal_multiply(expr_numeric_at(a, row), expr_numeric_at(b, row),
                                 a->scale + b->scale - scale, ret_value);
}

static tarn_status add_rows(const expr_frame *frame) {
    return each_pair(frame, add_pair);
}
static bool add_rows_dense(const expr_frame *frame) {
    if (!have_one_scale(frame)) return false;
    if (are_all(frame, TARN_PHYSICAL_I64)) return add_narrow_rows_dense(frame);
    return are_all(frame, TARN_PHYSICAL_I128) && add_wide_rows_dense(frame);
}

static tarn_status subtract_rows(const expr_frame *frame) {
    return each_pair(frame, subtract_pair);
}
static bool subtract_rows_dense(const expr_frame *frame) {
    if (!have_one_scale(frame)) return false;
    if (are_all(frame, TARN_PHYSICAL_I64)) return subtract_narrow_rows_dense(frame);
    return are_all(frame, TARN_PHYSICAL_I128) && subtract_wide_rows_dense(frame);
}

static tarn_status multiply_rows(const expr_frame *frame) {
    return each_pair(frame, multiply_pair);
}
static bool multiply_rows_dense(const expr_frame *frame) {
    int sum = frame->args[0].type.scale + frame->args[1].type.scale;
    if (sum != frame->result->type.scale || !are_all(frame, TARN_PHYSICAL_I64)) return false;
    return multiply_narrow_rows_dense(frame);
}

// ---- quotients ----

static tarn_status divide_rows(const expr_frame *frame) {
    expr_numeric_arg a = expr_numeric_of(&frame->args[0]);
    expr_numeric_arg b = expr_numeric_of(&frame->args[1]);
    int shift = frame->result->type.scale - a.scale + b.scale;
    EXPR_FOR_ROWS(frame, row) {
        tarn_int128 divisor = expr_numeric_at(&b, row);
        if (divisor == 0) return expr_fail_fault(frame, EXPR_FAULT_ZERO);
        tarn_int128 value;
        if (!expr_decimal_divide(expr_numeric_at(&a, row), divisor, shift, &value)) {
            return expr_fail_fault(frame, EXPR_FAULT_RANGE);
        }
        expr_numeric_put(frame->result, row, value);
    }
    return TARN_OK;
}

static bool modulo_pair(const expr_numeric_arg *a, const expr_numeric_arg *b, size_t row, int scale,
                        tarn_int128 *ret_value) {
    tarn_int128 left;
    tarn_int128 right;
    if (!expr_decimal_rescale(expr_numeric_at(a, row), a->scale, scale, &left)) return false;
    if (!expr_decimal_rescale(expr_numeric_at(b, row), b->scale, scale, &right)) return false;
    *ret_value = left % right;
    return true;
}

// Toward zero: both to one scale, then the quotient of integers.
static bool whole_quotient_pair(const expr_numeric_arg *a, const expr_numeric_arg *b, size_t row,
                                int scale, tarn_int128 *ret_value) {
    (void)scale;
    int common = greater_of(a->scale, b->scale);
    tarn_int128 left;
    tarn_int128 right;
    if (!expr_decimal_rescale(expr_numeric_at(a, row), a->scale, common, &left)) return false;
    if (!expr_decimal_rescale(expr_numeric_at(b, row), b->scale, common, &right)) return false;
    *ret_value = left / right;
    return true;
}

static tarn_status check_divisors(const expr_frame *frame) {
    expr_numeric_arg b = expr_numeric_of(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        if (expr_numeric_at(&b, row) == 0) return expr_fail_fault(frame, EXPR_FAULT_ZERO);
    }
    return TARN_OK;
}

static tarn_status modulo_rows(const expr_frame *frame) {
    TARN_TRY(check_divisors(frame));
    return each_pair(frame, modulo_pair);
}

static tarn_status whole_quotient_rows(const expr_frame *frame) {
    TARN_TRY(check_divisors(frame));
    return each_pair(frame, whole_quotient_pair);
}

// ---- one argument ----

typedef tarn_int128 single_operation(tarn_int128 value, int scale);

static tarn_status each_value(const expr_frame *frame, single_operation *operation) {
    expr_numeric_arg a = expr_numeric_of(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        expr_numeric_put(frame->result, row, operation(expr_numeric_at(&a, row), a.scale));
    }
    return TARN_OK;
}

static tarn_int128 negative(tarn_int128 value, int scale) {
    (void)scale;
    return -value;
}
static tarn_int128 itself(tarn_int128 value, int scale) {
    (void)scale;
    return value;
}
static tarn_int128 absolute(tarn_int128 value, int scale) {
    (void)scale;
    return value < 0 ? -value : value;
}
static tarn_int128 sign(tarn_int128 value, int scale) {
    (void)scale;
    return (value > 0) - (value < 0);
}
static tarn_int128 ceiling(tarn_int128 value, int scale) {
    return -expr_decimal_floor(-value, scale);
}

static tarn_status negate_rows(const expr_frame *frame) {
    return each_value(frame, negative);
}
static tarn_status keep_rows(const expr_frame *frame) {
    return each_value(frame, itself);
}
static tarn_status absolute_rows(const expr_frame *frame) {
    return each_value(frame, absolute);
}
static tarn_status sign_rows(const expr_frame *frame) {
    return each_value(frame, sign);
}
static tarn_status ceiling_rows(const expr_frame *frame) {
    return each_value(frame, ceiling);
}
static tarn_status floor_rows(const expr_frame *frame) {
    return each_value(frame, expr_decimal_floor);
}

// ---- rounding to digits ----

static tarn_status round_or_truncate(const expr_frame *frame, single_operation *operation) {
    expr_numeric_arg a = expr_numeric_of(&frame->args[0]);
    const int32_t *digits = frame->arg_count == 2 ? frame->args[1].data : NULL;
    size_t digits_stride = digits == NULL ? 0 : expr_stride(&frame->args[1]);
    tarn_type type = frame->result->type;
    EXPR_FOR_ROWS(frame, row) {
        int32_t wanted = digits == NULL ? 0 : digits[row * digits_stride];
        int kept = wanted > a.scale ? a.scale : wanted < -40 ? -40 : wanted;
        tarn_int128 value = expr_numeric_at(&a, row);
        if (kept < a.scale) value = operation(value, a.scale - kept);
        if (kept < 0) { // whole tens, hundreds, ...
            value = kept < -EXPR_NUMERIC_PRECISION_MAX ? 0 : value * tarn_power_of_ten(-kept);
            kept = 0;
        }
        if (!expr_decimal_rescale(value, kept, type.scale, &value) ||
            !expr_decimal_fits(value, type.precision)) {
            return expr_fail_fault(frame, EXPR_FAULT_RANGE);
        }
        expr_numeric_put(frame->result, row, value);
    }
    return TARN_OK;
}

static tarn_status round_rows(const expr_frame *frame) {
    return round_or_truncate(frame, expr_decimal_round);
}
static tarn_status truncate_rows(const expr_frame *frame) {
    return round_or_truncate(frame, expr_decimal_truncate);
}

// ---- buckets ----

static tarn_status fail_bucket(const expr_frame *frame, const char *text) {
    return expr_fail(frame->err, "2201G", "%s", text);
}

static tarn_status width_bucket_rows(const expr_frame *frame) {
    expr_numeric_arg operand = expr_numeric_of(&frame->args[0]);
    expr_numeric_arg low = expr_numeric_of(&frame->args[1]);
    expr_numeric_arg high = expr_numeric_of(&frame->args[2]);
    const int32_t *counts = frame->args[3].data;
    size_t count_stride = expr_stride(&frame->args[3]);
    int scale = greater_of(operand.scale, greater_of(low.scale, high.scale));
    int32_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        int32_t count = counts[row * count_stride];
        if (count <= 0) return fail_bucket(frame, "count must be greater than zero");
        tarn_int128 value;
        tarn_int128 from;
        tarn_int128 to;
        if (!expr_decimal_rescale(expr_numeric_at(&operand, row), operand.scale, scale, &value) ||
            !expr_decimal_rescale(expr_numeric_at(&low, row), low.scale, scale, &from) ||
            !expr_decimal_rescale(expr_numeric_at(&high, row), high.scale, scale, &to)) {
            return expr_fail_fault(frame, EXPR_FAULT_RANGE);
        }
        if (from == to) return fail_bucket(frame, "lower bound cannot equal upper bound");
        bool falls = from > to;
        tarn_int128 distance = falls ? from - value : value - from;
        tarn_int128 width = falls ? from - to : to - from;
        if (distance >= 0 && distance >= width && count == INT32_MAX) {
            return expr_fail(frame->err, "22003", "integer out of range");
        }
        if (distance < 0) {
            out[row] = 0;
        } else if (distance >= width) {
            out[row] = count + 1;
        } else {
            tarn_uint128 rest;
            expr_u256 steps = expr_u256_multiply((tarn_uint128)distance, (tarn_uint128)count);
            out[row] = (int32_t)expr_u256_divide(steps, (tarn_uint128)width, &rest).low + 1;
        }
    }
    return TARN_OK;
}

// ---- the table ----

#define UNARY(name, text, kernel_name, typer_name) \
    EXPR_FUNCTION(name, "numeric", "numeric", text, .kernel = (kernel_name), .typer = (typer_name))
#define BINARY(name, text, typer_name, ...) \
    EXPR_FUNCTION(name, "numeric, numeric", "numeric", text, .typer = (typer_name), __VA_ARGS__)

static const tarn_function functions[] = {
    BINARY("+", "sum", sum_type, EXPR_WITH_DENSE(add_rows)),
    BINARY("-", "difference", sum_type, EXPR_WITH_DENSE(subtract_rows)),
    BINARY("*", "product", product_type, EXPR_WITH_DENSE(multiply_rows)),
    BINARY("/", "quotient with at least 16 fractional digits", quotient_type,
           .kernel = divide_rows),
    BINARY("%", "remainder, with the sign of the dividend", sum_type, .kernel = modulo_rows),
    BINARY("mod", "remainder, with the sign of the dividend", sum_type, .kernel = modulo_rows),
    BINARY("div", "integer quotient, truncated toward zero", integer_type,
           .kernel = whole_quotient_rows),
    UNARY("-", "negation", negate_rows, same_type),
    UNARY("+", "the value itself", keep_rows, same_type),
    UNARY("abs", "absolute value", absolute_rows, same_type),
    UNARY("sign", "-1, 0 or 1", sign_rows, integer_type),
    UNARY("ceil", "nearest integer that is not less", ceiling_rows, integer_type),
    UNARY("ceiling", "nearest integer that is not less", ceiling_rows, integer_type),
    UNARY("floor", "nearest integer that is not greater", floor_rows, integer_type),
    UNARY("round", "nearest integer, halves away from zero", round_rows, rounded_type),
    UNARY("trunc", "truncated toward zero", truncate_rows, rounded_type),
    EXPR_FUNCTION("round", "numeric, integer", "numeric",
                  "rounded to a number of fractional digits, halves away from zero",
                  .kernel = round_rows, .typer = rounded_type),
    EXPR_FUNCTION("trunc", "numeric, integer", "numeric",
                  "truncated to a number of fractional digits", .kernel = truncate_rows,
                  .typer = rounded_type),
    EXPR_FUNCTION("width_bucket", "numeric, numeric, numeric, integer", "integer",
                  "number of the bucket, of equal ones between two bounds",
                  .kernel = width_bucket_rows),
};
const expr_function_table expr_numeric_functions = {functions,
                                                    sizeof functions / sizeof functions[0]};
