// Functions of double precision.

#include <math.h>

#include "expr/loops.h"
#include "expr/tables.h"

#define PI 3.14159265358979323846

// ---- what cannot fail ----

static inline double sign_of(double x) {
    return (double)((x > 0) - (x < 0)); // 0 for NaN, too
}
static inline double to_radians(double x) {
    return x * (PI / 180.0);
}
EXPR_UNARY(ceil_rows, double, double, ceil)
EXPR_UNARY(floor_rows, double, double, floor)
EXPR_UNARY(round_rows, double, double, rint) // halves to even
EXPR_UNARY(trunc_rows, double, double, trunc)
EXPR_UNARY(sign_rows, double, double, sign_of)
EXPR_UNARY(cbrt_rows, double, double, cbrt)
EXPR_UNARY(radians_rows, double, double, to_radians)
EXPR_UNARY(atan_rows, double, double, atan)
EXPR_UNARY(sinh_rows, double, double, sinh) // large ones are infinite, as PostgreSQL has it
EXPR_UNARY(cosh_rows, double, double, cosh)
EXPR_UNARY(tanh_rows, double, double, tanh)
EXPR_BINARY(atan2_rows, double, double, double, atan2)

static tarn_status pi_rows(const expr_frame *frame) {
    double *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) out[row] = PI;
    return TARN_OK;
}

// ---- what can: each row is checked ----

typedef struct math_failure {
    const char *sqlstate; // NULL: none
    const char *message;
} math_failure;

static const math_failure out_of_range = {"22003", "input is out of range"};
static const math_failure overflow = {"22003", "value out of range: overflow"};
static const math_failure underflow = {"22003", "value out of range: underflow"};

typedef math_failure checked_function(double x, double *ret_y);

static tarn_status each_row(const expr_frame *frame, checked_function *function) {
    const double *in = frame->args[0].data;
    size_t stride = expr_stride(&frame->args[0]);
    double *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        math_failure failure = function(in[row * stride], &out[row]);
        if (failure.sqlstate != NULL) {
            return expr_fail(frame->err, failure.sqlstate, "%s", failure.message);
        }
    }
    return TARN_OK;
}

static math_failure check_overflow(double x, double y) {
    return isinf(y) && !isinf(x) ? overflow : (math_failure){0};
}

static math_failure square_root(double x, double *ret_y) {
    if (x < 0) return (math_failure){"2201F", "cannot take square root of a negative number"};
    *ret_y = sqrt(x);
    return (math_failure){0};
}

static math_failure exponential(double x, double *ret_y) {
    *ret_y = exp(x);
    if (*ret_y == 0 && !isinf(x)) return underflow;
    return check_overflow(x, *ret_y);
}

static math_failure check_logarithm(double x) {
    if (x == 0) return (math_failure){"2201E", "cannot take logarithm of zero"};
    if (x < 0) return (math_failure){"2201E", "cannot take logarithm of a negative number"};
    return (math_failure){0};
}

static math_failure natural_logarithm(double x, double *ret_y) {
    *ret_y = x > 0 ? log(x) : x;
    return check_logarithm(x);
}

static math_failure decimal_logarithm(double x, double *ret_y) {
    *ret_y = x > 0 ? log10(x) : x;
    return check_logarithm(x);
}

static math_failure to_degrees(double x, double *ret_y) {
    *ret_y = x / (PI / 180.0);
    return check_overflow(x, *ret_y);
}

#define DEFINE_TRIGONOMETRIC(name, compute)                       \
    static math_failure name##_checked(double x, double *ret_y) { \
        if (isinf(x)) return out_of_range;                        \
        *ret_y = compute;                                         \
        return (math_failure){0};                                 \
    }                                                             \
    static tarn_status name##_rows(const expr_frame *frame) {     \
        return each_row(frame, name##_checked);                   \
    }
DEFINE_TRIGONOMETRIC(sin, sin(x))
DEFINE_TRIGONOMETRIC(cos, cos(x))
DEFINE_TRIGONOMETRIC(tan, tan(x))
DEFINE_TRIGONOMETRIC(cot, 1.0 / tan(x))

#define DEFINE_INVERSE(name)                                      \
    static math_failure name##_checked(double x, double *ret_y) { \
        if (x < -1 || x > 1) return out_of_range;                 \
        *ret_y = name(x);                                         \
        return (math_failure){0};                                 \
    }                                                             \
    static tarn_status name##_rows(const expr_frame *frame) {     \
        return each_row(frame, name##_checked);                   \
    }
DEFINE_INVERSE(asin)
DEFINE_INVERSE(acos)

static tarn_status sqrt_rows(const expr_frame *frame) {
    return each_row(frame, square_root);
}
static tarn_status exp_rows(const expr_frame *frame) {
    return each_row(frame, exponential);
}
static tarn_status ln_rows(const expr_frame *frame) {
    return each_row(frame, natural_logarithm);
}
static tarn_status log10_rows(const expr_frame *frame) {
    return each_row(frame, decimal_logarithm);
}
static tarn_status degrees_rows(const expr_frame *frame) {
    return each_row(frame, to_degrees);
}

// ---- powers ----

static math_failure power(double base, double exponent, double *ret_y) {
    if (isnan(base) || isnan(exponent)) {
        *ret_y = pow(base, exponent); // 1 where the other does not matter
        return (math_failure){0};
    }
    if (base == 0 && exponent < 0) {
        return (math_failure){"2201F", "zero raised to a negative power is undefined"};
    }
    if (base < 0 && floor(exponent) != exponent) {
        return (math_failure){
            "2201F", "a negative number raised to a non-integer power yields a complex result"};
    }
    *ret_y = pow(base, exponent);
    if (isinf(base) || isinf(exponent)) return (math_failure){0};
    if (isinf(*ret_y)) return overflow;
    if (*ret_y == 0 && base != 0) return underflow;
    return (math_failure){0};
}

static tarn_status power_rows(const expr_frame *frame) {
    const double *bases = frame->args[0].data;
    const double *exponents = frame->args[1].data;
    size_t base_stride = expr_stride(&frame->args[0]);
    size_t exponent_stride = expr_stride(&frame->args[1]);
    double *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        math_failure failure =
            power(bases[row * base_stride], exponents[row * exponent_stride], &out[row]);
        if (failure.sqlstate != NULL) {
            return expr_fail(frame->err, failure.sqlstate, "%s", failure.message);
        }
    }
    return TARN_OK;
}

// ---- buckets ----

static math_failure width_bucket(double operand, double low, double high, int32_t count,
                                 int32_t *ret_bucket) {
    if (count <= 0) return (math_failure){"2201G", "count must be greater than zero"};
    if (isnan(operand) || isnan(low) || isnan(high)) {
        return (math_failure){"2201G", "operand, lower bound, and upper bound cannot be NaN"};
    }
    if (isinf(low) || isinf(high)) {
        return (math_failure){"2201G", "lower and upper bounds must be finite"};
    }
    if (low == high) {
        return (math_failure){"2201G", "lower bound cannot equal upper bound"};
    }
    bool falls = low > high;
    bool is_before = falls ? operand > low : operand < low;
    bool is_behind = falls ? operand <= high : operand >= high;
    if (is_behind && count == INT32_MAX) {
        return (math_failure){"22003", "integer out of range"};
    }
    if (is_before || is_behind) {
        *ret_bucket = is_before ? 0 : count + 1;
        return (math_failure){0};
    }
    // Halves, so that the differences cannot overflow.
    double share = (operand / 2 - low / 2) / (high / 2 - low / 2);
    int32_t bucket = (int32_t)(share * count);
    *ret_bucket = (bucket >= count ? count - 1 : bucket) + 1;
    return (math_failure){0};
}

static tarn_status width_bucket_rows(const expr_frame *frame) {
    const double *operands = frame->args[0].data;
    const double *lows = frame->args[1].data;
    const double *highs = frame->args[2].data;
    const int32_t *counts = frame->args[3].data;
    size_t strides[4];
    for (size_t i = 0; i < 4; i++) strides[i] = expr_stride(&frame->args[i]);
    int32_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        math_failure failure =
            width_bucket(operands[row * strides[0]], lows[row * strides[1]],
                         highs[row * strides[2]], counts[row * strides[3]], &out[row]);
        if (failure.sqlstate != NULL) {
            return expr_fail(frame->err, failure.sqlstate, "%s", failure.message);
        }
    }
    return TARN_OK;
}

// ---- the table ----

#define DENSE(name, text, kernel_name) \
    EXPR_FUNCTION(name, "double precision", "double precision", text, EXPR_WITH_DENSE(kernel_name))
#define CHECKED(name, text, kernel_name) \
    EXPR_FUNCTION(name, "double precision", "double precision", text, .kernel = (kernel_name))
#define POWER(name)                                                                        \
    EXPR_FUNCTION(name, "double precision, double precision", "double precision", "power", \
                  .kernel = power_rows)

static const tarn_function functions[] = {
    POWER("^"),
    POWER("power"),
    POWER("pow"),
    CHECKED("sqrt", "square root", sqrt_rows),
    DENSE("cbrt", "cube root", cbrt_rows),
    CHECKED("exp", "exponential", exp_rows),
    CHECKED("ln", "natural logarithm", ln_rows),
    CHECKED("log", "logarithm to base 10", log10_rows),
    CHECKED("log10", "logarithm to base 10", log10_rows),
    DENSE("ceil", "nearest integer that is not less", ceil_rows),
    DENSE("ceiling", "nearest integer that is not less", ceil_rows),
    DENSE("floor", "nearest integer that is not greater", floor_rows),
    DENSE("round", "nearest integer, halves to even", round_rows),
    DENSE("trunc", "truncated toward zero", trunc_rows),
    DENSE("sign", "-1, 0 or 1", sign_rows),
    CHECKED("degrees", "radians to degrees", degrees_rows),
    DENSE("radians", "degrees to radians", radians_rows),
    EXPR_FUNCTION("pi", "", "double precision", "the number pi", .kernel = pi_rows),
    CHECKED("sin", "sine", sin_rows),
    CHECKED("cos", "cosine", cos_rows),
    CHECKED("tan", "tangent", tan_rows),
    CHECKED("cot", "cotangent", cot_rows),
    CHECKED("asin", "inverse sine", asin_rows),
    CHECKED("acos", "inverse cosine", acos_rows),
    DENSE("atan", "inverse tangent", atan_rows),
    EXPR_FUNCTION("atan2", "double precision, double precision", "double precision",
                  "inverse tangent of a quotient", EXPR_WITH_DENSE(atan2_rows)),
    DENSE("sinh", "hyperbolic sine", sinh_rows),
    DENSE("cosh", "hyperbolic cosine", cosh_rows),
    DENSE("tanh", "hyperbolic tangent", tanh_rows),
    EXPR_FUNCTION("width_bucket", "double precision, double precision, double precision, integer",
                  "integer", "number of the bucket, of equal ones between two bounds",
                  .kernel = width_bucket_rows),
};
const expr_function_table expr_math_functions = {functions, sizeof functions / sizeof functions[0]};
