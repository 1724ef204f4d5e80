// Arithmetic of integers and floating-point numbers.

#include <math.h>

#include "expr/loops.h"
#include "expr/tables.h"
#include "expr/types.h"

tarn_status expr_fail_fault(const expr_frame *frame, unsigned fault) {
    tarn_type_id id = frame->result->type.id;
    if ((fault & EXPR_FAULT_ZERO) != 0) {
        return expr_fail(frame->err, "22012", "division by zero");
    }
    if ((fault & EXPR_FAULT_UNDERFLOW) != 0) {
        return expr_fail(frame->err, "22003", "value out of range: underflow");
    }
    if (id == TARN_TYPE_REAL || id == TARN_TYPE_DOUBLE) {
        return expr_fail(frame->err, "22003", "value out of range: overflow");
    }
    if (id == TARN_TYPE_NUMERIC) {
        return expr_fail(frame->err, "22003", "value overflows numeric format");
    }
    bool is_moment = id == TARN_TYPE_DATE || id == TARN_TYPE_TIMESTAMP ||
                     id == TARN_TYPE_TIMESTAMPTZ || id == TARN_TYPE_INTERVAL;
    if (is_moment) {
        const char *name =
            id == TARN_TYPE_DATE || id == TARN_TYPE_INTERVAL ? expr_type_name(id) : "timestamp";
        return expr_fail(frame->err, "22008", "%s out of range", name);
    }
    return expr_fail(frame->err, "22003", "%s out of range", expr_type_name(id));
}

// ---- integers ----

// By the signs, so that loops have no branch: a sum has overflowed when it has the sign of neither
// operand, a difference when it has not the sign of the first of two unlike ones.
#define DEFINE_SUMS(type, bits)                                                \
    static inline u##type add_##type(type a, type b, type *out) {              \
        u##type sum = (u##type)((u##type)a + (u##type)b);                      \
        *out = (type)sum;                                                      \
        return (u##type)((((u##type)a ^ sum) & ((u##type)b ^ sum)) >> (bits)); \
    }                                                                          \
    static inline u##type subtract_##type(type a, type b, type *out) {         \
        u##type difference = (u##type)((u##type)a - (u##type)b);               \
        *out = (type)difference;                                               \
        u##type unlike = (u##type)((u##type)a ^ (u##type)b);                   \
        return (u##type)((unlike & ((u##type)a ^ difference)) >> (bits));      \
    }
DEFINE_SUMS(int16_t, 15)
DEFINE_SUMS(int32_t, 31)
DEFINE_SUMS(int64_t, 63)

// In a wider type, then back: what does not come back has overflowed.
static inline unsigned multiply_int16_t(int16_t a, int16_t b, int16_t *out) {
    int32_t product = (int32_t)a * b;
    *out = (int16_t)product;
    return *out != product;
}
static inline uint64_t multiply_int32_t(int32_t a, int32_t b, int32_t *out) {
    int64_t product = (int64_t)a * b;
    *out = (int32_t)product;
    return *out != product;
}
static inline unsigned multiply_int64_t(int64_t a, int64_t b, int64_t *out) {
    return __builtin_mul_overflow(a, b, out);
}

#define DEFINE_INTEGER(type, least, bits)                                          \
    static inline unsigned divide_##type(type a, type b, type *out) {              \
        unsigned fault = b == 0                    ? EXPR_FAULT_ZERO               \
                         : a == (least) && b == -1 ? EXPR_FAULT_RANGE              \
                                                   : EXPR_FAULT_NONE;              \
        *out = (type)(a / (fault != 0 ? 1 : b));                                   \
        return fault;                                                              \
    }                                                                              \
    static inline unsigned modulo_##type(type a, type b, type *out) {              \
        *out = (type)(b == 0 || b == -1 ? 0 : a % b);                              \
        return b == 0 ? EXPR_FAULT_ZERO : EXPR_FAULT_NONE;                         \
    }                                                                              \
    static inline unsigned negate_##type(type a, type *out) {                      \
        return (unsigned)subtract_##type(0, a, out);                               \
    }                                                                              \
    static inline unsigned abs_##type(type a, type *out) {                         \
        if (a >= 0) {                                                              \
            *out = a;                                                              \
            return 0;                                                              \
        }                                                                          \
        return (unsigned)subtract_##type(0, a, out);                               \
    }                                                                              \
    static inline type keep_##type(type a) {                                       \
        return a;                                                                  \
    }                                                                              \
    static inline type bit_and_##type(type a, type b) {                            \
        return (type)(a & b);                                                      \
    }                                                                              \
    static inline type bit_or_##type(type a, type b) {                             \
        return (type)(a | b);                                                      \
    }                                                                              \
    static inline type bit_xor_##type(type a, type b) {                            \
        return (type)(a ^ b);                                                      \
    }                                                                              \
    static inline type bit_not_##type(type a) {                                    \
        return (type)~a;                                                           \
    }                                                                              \
    /* As the processor does, the distance counts modulo the width. */             \
    static inline type shift_left_##type(type a, int32_t by) {                     \
        return (type)((u##type)a << (by & (bits)));                                \
    }                                                                              \
    static inline type shift_right_##type(type a, int32_t by) {                    \
        return (type)(a >> (by & (bits)));                                         \
    }                                                                              \
    EXPR_CHECKED_BINARY(add_##type##_rows, type, type, type, add_##type)           \
    EXPR_CHECKED_BINARY(subtract_##type##_rows, type, type, type, subtract_##type) \
    EXPR_CHECKED_BINARY(multiply_##type##_rows, type, type, type, multiply_##type) \
    EXPR_CHECKED_BINARY(divide_##type##_rows, type, type, type, divide_##type)     \
    EXPR_CHECKED_BINARY(modulo_##type##_rows, type, type, type, modulo_##type)     \
    EXPR_CHECKED_UNARY(negate_##type##_rows, type, type, negate_##type)            \
    EXPR_CHECKED_UNARY(abs_##type##_rows, type, type, abs_##type)                  \
    EXPR_UNARY(keep_##type##_rows, type, type, keep_##type)                        \
    EXPR_BINARY(bit_and_##type##_rows, type, type, type, bit_and_##type)           \
    EXPR_BINARY(bit_or_##type##_rows, type, type, type, bit_or_##type)             \
    EXPR_BINARY(bit_xor_##type##_rows, type, type, type, bit_xor_##type)           \
    EXPR_UNARY(bit_not_##type##_rows, type, type, bit_not_##type)                  \
    EXPR_BINARY(shift_left_##type##_rows, type, int32_t, type, shift_left_##type)  \
    EXPR_BINARY(shift_right_##type##_rows, type, int32_t, type, shift_right_##type)
DEFINE_INTEGER(int16_t, INT16_MIN, 31)
DEFINE_INTEGER(int32_t, INT32_MIN, 31)
DEFINE_INTEGER(int64_t, INT64_MIN, 63)

// ---- floating point ----

// A finite result of finite operands; NaN and infinities pass through as they are.
#define DEFINE_FLOATING(type)                                                      \
    static inline unsigned add_##type(type a, type b, type *out) {                 \
        *out = a + b;                                                              \
        return (unsigned)(isinf(*out) && !isinf(a) && !isinf(b));                  \
    }                                                                              \
    static inline unsigned subtract_##type(type a, type b, type *out) {            \
        *out = a - b;                                                              \
        return (unsigned)(isinf(*out) && !isinf(a) && !isinf(b));                  \
    }                                                                              \
    static inline unsigned multiply_##type(type a, type b, type *out) {            \
        *out = a * b;                                                              \
        unsigned over = isinf(*out) && !isinf(a) && !isinf(b);                     \
        unsigned under = *out == 0 && a != 0 && b != 0;                            \
        return over * EXPR_FAULT_RANGE + under * EXPR_FAULT_UNDERFLOW;             \
    }                                                                              \
    static inline unsigned divide_##type(type a, type b, type *out) {              \
        unsigned zero = b == 0 && !isnan(a);                                       \
        *out = a / (b == 0 ? 1 : b);                                               \
        unsigned over = isinf(*out) && !isinf(a);                                  \
        unsigned under = *out == 0 && a != 0 && !isinf(b);                         \
        return zero != 0 ? EXPR_FAULT_ZERO                                         \
                         : over * EXPR_FAULT_RANGE + under * EXPR_FAULT_UNDERFLOW; \
    }                                                                              \
    static inline type negate_##type(type a) {                                     \
        return -a;                                                                 \
    }                                                                              \
    static inline type abs_##type(type a) {                                        \
        return (type)fabs((double)a);                                              \
    }                                                                              \
    static inline type keep_##type(type a) {                                       \
        return a;                                                                  \
    }                                                                              \
    EXPR_CHECKED_BINARY(add_##type##_rows, type, type, type, add_##type)           \
    EXPR_CHECKED_BINARY(subtract_##type##_rows, type, type, type, subtract_##type) \
    EXPR_CHECKED_BINARY(multiply_##type##_rows, type, type, type, multiply_##type) \
    EXPR_CHECKED_BINARY(divide_##type##_rows, type, type, type, divide_##type)     \
    EXPR_UNARY(negate_##type##_rows, type, type, negate_##type)                    \
    EXPR_UNARY(abs_##type##_rows, type, type, abs_##type)                          \
    EXPR_UNARY(keep_##type##_rows, type, type, keep_##type)
DEFINE_FLOATING(float)
DEFINE_FLOATING(double)

// ---- the table ----

#define BINARY(name, type, text, kernel_name) \
    EXPR_FUNCTION(name, type ", " type, type, text, EXPR_WITH_DENSE(kernel_name))
#define UNARY(name, type, text, kernel_name) \
    EXPR_FUNCTION(name, type, type, text, EXPR_WITH_DENSE(kernel_name))
#define INTEGER(type, c)                                                                    \
    BINARY("+", type, "sum", add_##c##_rows),                                               \
        BINARY("-", type, "difference", subtract_##c##_rows),                               \
        BINARY("*", type, "product", multiply_##c##_rows),                                  \
        BINARY("/", type, "quotient, truncated toward zero", divide_##c##_rows),            \
        BINARY("%", type, "remainder, with the sign of the dividend", modulo_##c##_rows),   \
        BINARY("mod", type, "remainder, with the sign of the dividend", modulo_##c##_rows), \
        UNARY("-", type, "negation", negate_##c##_rows),                                    \
        UNARY("+", type, "the value itself", keep_##c##_rows),                              \
        UNARY("abs", type, "absolute value", abs_##c##_rows),                               \
        BINARY("&", type, "bitwise and", bit_and_##c##_rows),                               \
        BINARY("|", type, "bitwise or", bit_or_##c##_rows),                                 \
        BINARY("#", type, "bitwise exclusive or", bit_xor_##c##_rows),                      \
        UNARY("~", type, "bitwise not", bit_not_##c##_rows),                                \
        EXPR_FUNCTION("<<", type ", integer", type, "bits shifted left",                    \
                      EXPR_WITH_DENSE(shift_left_##c##_rows)),                              \
        EXPR_FUNCTION(">>", type ", integer", type, "bits shifted right",                   \
                      EXPR_WITH_DENSE(shift_right_##c##_rows))
#define FLOATING(type, c)                                      \
    BINARY("+", type, "sum", add_##c##_rows),                  \
        BINARY("-", type, "difference", subtract_##c##_rows),  \
        BINARY("*", type, "product", multiply_##c##_rows),     \
        BINARY("/", type, "quotient", divide_##c##_rows),      \
        UNARY("-", type, "negation", negate_##c##_rows),       \
        UNARY("+", type, "the value itself", keep_##c##_rows), \
        UNARY("abs", type, "absolute value", abs_##c##_rows)
#define MIXED(a, b)                                                                           \
    EXPR_FUNCTION("+", a ", " b, "double precision", "sum", .flags = EXPR_WIDENS),            \
        EXPR_FUNCTION("-", a ", " b, "double precision", "difference", .flags = EXPR_WIDENS), \
        EXPR_FUNCTION("*", a ", " b, "double precision", "product", .flags = EXPR_WIDENS),    \
        EXPR_FUNCTION("/", a ", " b, "double precision", "quotient", .flags = EXPR_WIDENS)

static const tarn_function functions[] = {
    INTEGER("smallint", int16_t),         INTEGER("integer", int32_t),
    INTEGER("bigint", int64_t),           FLOATING("real", float),
    FLOATING("double precision", double), MIXED("real", "double precision"),
    MIXED("double precision", "real"),
};
const expr_function_table expr_arith_functions = {functions,
                                                  sizeof functions / sizeof functions[0]};
