// Casts between numbers, and the choice of the function behind any cast; the rest of them is in
// cast_text.c and cast_time.c.

#include "expr/cast.h"

#include <math.h>

#include "expr/decimal.h"
#include "expr/loops.h"
#include "expr/program.h"
#include "expr/types.h"

// ---- numbers that always fit ----

#define DEFINE_WIDEN(name, from, to)              \
    static inline to convert_##name(from value) { \
        return (to)value;                         \
    }                                             \
    EXPR_UNARY(name, from, to, convert_##name)    \
    static const tarn_function function_##name =  \
        EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(name));
DEFINE_WIDEN(i16_i32, int16_t, int32_t)
DEFINE_WIDEN(i16_i64, int16_t, int64_t)
DEFINE_WIDEN(i32_i64, int32_t, int64_t)
DEFINE_WIDEN(i16_f32, int16_t, float)
DEFINE_WIDEN(i32_f32, int32_t, float)
DEFINE_WIDEN(i64_f32, int64_t, float)
DEFINE_WIDEN(i16_f64, int16_t, double)
DEFINE_WIDEN(i32_f64, int32_t, double)
DEFINE_WIDEN(i64_f64, int64_t, double)
DEFINE_WIDEN(f32_f64, float, double)
DEFINE_WIDEN(bool_i32, uint8_t, int32_t)

static inline uint8_t convert_i32_bool(int32_t value) {
    return value != 0;
}
EXPR_UNARY(i32_bool, int32_t, uint8_t, convert_i32_bool)
static const tarn_function function_i32_bool =
    EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(i32_bool));

// ---- numbers that may not fit ----

#define DEFINE_NARROW(name, from, to)                            \
    static inline unsigned convert_##name(from value, to *out) { \
        *out = (to)value;                                        \
        return *out != value;                                    \
    }                                                            \
    EXPR_CHECKED_UNARY(name, from, to, convert_##name)           \
    static const tarn_function function_##name =                 \
        EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(name));
DEFINE_NARROW(i32_i16, int32_t, int16_t)
DEFINE_NARROW(i64_i16, int64_t, int16_t)
DEFINE_NARROW(i64_i32, int64_t, int32_t)

// Halves go to even. The bounds are powers of two, so they are exact as floats.
#define DEFINE_ROUND(name, from, to, bound)                      \
    static inline unsigned convert_##name(from value, to *out) { \
        double rounded = rint((double)value);                    \
        bool fits = rounded >= -(bound) && rounded < (bound);    \
        *out = (to)(fits ? rounded : 0);                         \
        return !fits;                                            \
    }                                                            \
    EXPR_CHECKED_UNARY(name, from, to, convert_##name)           \
    static const tarn_function function_##name =                 \
        EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(name));
DEFINE_ROUND(f32_i16, float, int16_t, 32768.0)
DEFINE_ROUND(f32_i32, float, int32_t, 2147483648.0)
DEFINE_ROUND(f32_i64, float, int64_t, 9223372036854775808.0)
DEFINE_ROUND(f64_i16, double, int16_t, 32768.0)
DEFINE_ROUND(f64_i32, double, int32_t, 2147483648.0)
DEFINE_ROUND(f64_i64, double, int64_t, 9223372036854775808.0)

static inline unsigned convert_f64_f32(double value, float *out) {
    *out = (float)value;
    unsigned over = isinf(*out) && !isinf(value);
    unsigned under = *out == 0 && value != 0;
    return over * EXPR_FAULT_RANGE + under * EXPR_FAULT_UNDERFLOW;
}
EXPR_CHECKED_UNARY(f64_f32, double, float, convert_f64_f32)
static const tarn_function function_f64_f32 =
    EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(f64_f32));

// ---- numeric ----

static tarn_status fail_field(const expr_frame *frame) {
    tarn_type type = frame->result->type;
    (void)expr_fail(frame->err, "22003", "numeric field overflow");
    tarn_error_hint(frame->err,
                    "a field with precision %d, scale %d must round to an absolute value less "
                    "than 10^%d",
                    type.precision, type.scale, type.precision - type.scale);
    return TARN_INVALID;
}

static int64_t integer_at(const tarn_vector *vector, size_t row) {
    size_t at = row * expr_stride(vector);
    switch (tarn_type_physical(vector->type)) {
    case TARN_PHYSICAL_I16: return ((const int16_t *)vector->data)[at];
    case TARN_PHYSICAL_I32: return ((const int32_t *)vector->data)[at];
    case TARN_PHYSICAL_I64: return ((const int64_t *)vector->data)[at];
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_I128:
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_STRING:
    case TARN_PHYSICAL_INTERVAL: break;
    }
    tarn_assert(false);
    return 0;
}

static tarn_status integer_to_numeric(const expr_frame *frame) {
    tarn_type type = frame->result->type;
    EXPR_FOR_ROWS(frame, row) {
        tarn_int128 value;
        if (!expr_decimal_rescale(integer_at(&frame->args[0], row), 0, type.scale, &value) ||
            !expr_decimal_fits(value, type.precision)) {
            return fail_field(frame);
        }
        expr_numeric_put(frame->result, row, value);
    }
    return TARN_OK;
}

// The common case: as many digits as the integer type can have, none behind the point.
#define DEFINE_INTEGER_TO_WIDE(type)                                                               \
    static void type##_to_wide(const type *restrict in, size_t count, tarn_int128 *restrict out) { \
        for (size_t i = 0; i < count; i++) out[i] = in[i];                                         \
    }
DEFINE_INTEGER_TO_WIDE(int16_t)
DEFINE_INTEGER_TO_WIDE(int32_t)
DEFINE_INTEGER_TO_WIDE(int64_t)

static bool integer_to_numeric_dense(const expr_frame *frame) {
    tarn_type type = frame->result->type;
    if (type.scale > 0 || tarn_type_physical(type) != TARN_PHYSICAL_I128) return false;
    const void *in = frame->args[0].data;
    switch (tarn_type_physical(frame->args[0].type)) {
    case TARN_PHYSICAL_I16: int16_t_to_wide(in, frame->row_count, frame->result->data); break;
    case TARN_PHYSICAL_I32: int32_t_to_wide(in, frame->row_count, frame->result->data); break;
    case TARN_PHYSICAL_I64: int64_t_to_wide(in, frame->row_count, frame->result->data); break;
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_I128:
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_STRING:
    case TARN_PHYSICAL_INTERVAL: return false;
    }
    return true;
}

static tarn_status numeric_to_integer(const expr_frame *frame) {
    expr_numeric_arg arg = expr_numeric_of(&frame->args[0]);
    tarn_physical physical = tarn_type_physical(frame->result->type);
    int64_t limit = physical == TARN_PHYSICAL_I16   ? INT16_MAX
                    : physical == TARN_PHYSICAL_I32 ? INT32_MAX
                                                    : INT64_MAX;
    EXPR_FOR_ROWS(frame, row) {
        tarn_int128 value = expr_decimal_round(expr_numeric_at(&arg, row), arg.scale);
        if (value > limit || value < -(tarn_int128)limit - 1) {
            return expr_fail_fault(frame, EXPR_FAULT_RANGE);
        }
        if (physical == TARN_PHYSICAL_I16) {
            ((int16_t *)frame->result->data)[row] = (int16_t)value;
        } else if (physical == TARN_PHYSICAL_I32) {
            ((int32_t *)frame->result->data)[row] = (int32_t)value;
        } else {
            ((int64_t *)frame->result->data)[row] = (int64_t)value;
        }
    }
    return TARN_OK;
}

static tarn_status numeric_to_numeric(const expr_frame *frame) {
    tarn_type type = frame->result->type;
    expr_numeric_arg arg = expr_numeric_of(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_int128 value;
        if (!expr_decimal_rescale(expr_numeric_at(&arg, row), arg.scale, type.scale, &value) ||
            !expr_decimal_fits(value, type.precision)) {
            return fail_field(frame);
        }
        expr_numeric_put(frame->result, row, value);
    }
    return TARN_OK;
}

// More digits before the point, the same behind it: nothing can go wrong.
static bool numeric_to_numeric_dense(const expr_frame *frame) {
    tarn_type from = frame->args[0].type;
    tarn_type to = frame->result->type;
    if (from.scale != to.scale || from.precision > to.precision) return false;
    size_t count = frame->row_count;
    bool from_wide = tarn_type_physical(from) == TARN_PHYSICAL_I128;
    if (tarn_type_physical(to) == TARN_PHYSICAL_I64) {
        memcpy(frame->result->data, frame->args[0].data, count * sizeof(int64_t));
    } else if (from_wide) {
        memcpy(frame->result->data, frame->args[0].data, count * sizeof(tarn_int128));
    } else {
        int64_t_to_wide(frame->args[0].data, count, frame->result->data);
    }
    return true;
}

static tarn_status numeric_to_float(const expr_frame *frame) {
    expr_numeric_arg arg = expr_numeric_of(&frame->args[0]);
    bool is_real = frame->result->type.id == TARN_TYPE_REAL;
    EXPR_FOR_ROWS(frame, row) {
        double value = expr_decimal_to_double(expr_numeric_at(&arg, row), arg.scale);
        if (is_real) {
            ((float *)frame->result->data)[row] = (float)value;
        } else {
            ((double *)frame->result->data)[row] = value;
        }
    }
    return TARN_OK;
}

#define DIGITS_OF_DOUBLE 15
#define DIGITS_OF_REAL   6

static tarn_status float_to_numeric(const expr_frame *frame) {
    tarn_type type = frame->result->type;
    const tarn_vector *arg = &frame->args[0];
    bool is_real = arg->type.id == TARN_TYPE_REAL;
    size_t stride = expr_stride(arg);
    EXPR_FOR_ROWS(frame, row) {
        double value = is_real ? (double)((const float *)arg->data)[row * stride]
                               : ((const double *)arg->data)[row * stride];
        if (!isfinite(value)) {
            return expr_fail(frame->err, "22003", "numeric does not hold %s",
                             isnan(value) ? "NaN" : "infinity");
        }
        tarn_int128 number;
        if (!expr_decimal_from_double(value, type.scale,
                                      is_real ? DIGITS_OF_REAL : DIGITS_OF_DOUBLE, &number) ||
            !expr_decimal_fits(number, type.precision)) {
            return fail_field(frame);
        }
        expr_numeric_put(frame->result, row, number);
    }
    return TARN_OK;
}

static const tarn_function function_integer_to_numeric =
    EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(integer_to_numeric));
static const tarn_function function_numeric_to_integer =
    EXPR_FUNCTION("cast", "any", "any", "", .kernel = numeric_to_integer);
static const tarn_function function_numeric_to_numeric =
    EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(numeric_to_numeric));
static const tarn_function function_numeric_to_float =
    EXPR_FUNCTION("cast", "any", "any", "", .kernel = numeric_to_float);
static const tarn_function function_float_to_numeric =
    EXPR_FUNCTION("cast", "any", "any", "", .kernel = float_to_numeric);

// ---- no change ----

static tarn_status copy_rows(const expr_frame *frame) {
    size_t width = tarn_type_width(frame->result->type);
    const uint8_t *in = frame->args[0].data;
    uint8_t *out = frame->result->data;
    size_t stride = expr_stride(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) memcpy(out + row * width, in + row * stride * width, width);
    return TARN_OK;
}
const tarn_function expr_cast_copy = EXPR_FUNCTION("cast", "any", "any", "", .kernel = copy_rows);

// ---- the choice ----

static const tarn_function *between_binary_numbers(tarn_physical from, tarn_physical to) {
    static const struct {
        tarn_physical from;
        tarn_physical to;
        const tarn_function *function;
    } pairs[] = {
        {TARN_PHYSICAL_I16, TARN_PHYSICAL_I32, &function_i16_i32},
        {TARN_PHYSICAL_I16, TARN_PHYSICAL_I64, &function_i16_i64},
        {TARN_PHYSICAL_I16, TARN_PHYSICAL_F32, &function_i16_f32},
        {TARN_PHYSICAL_I16, TARN_PHYSICAL_F64, &function_i16_f64},
        {TARN_PHYSICAL_I32, TARN_PHYSICAL_I16, &function_i32_i16},
        {TARN_PHYSICAL_I32, TARN_PHYSICAL_I64, &function_i32_i64},
        {TARN_PHYSICAL_I32, TARN_PHYSICAL_F32, &function_i32_f32},
        {TARN_PHYSICAL_I32, TARN_PHYSICAL_F64, &function_i32_f64},
        {TARN_PHYSICAL_I64, TARN_PHYSICAL_I16, &function_i64_i16},
        {TARN_PHYSICAL_I64, TARN_PHYSICAL_I32, &function_i64_i32},
        {TARN_PHYSICAL_I64, TARN_PHYSICAL_F32, &function_i64_f32},
        {TARN_PHYSICAL_I64, TARN_PHYSICAL_F64, &function_i64_f64},
        {TARN_PHYSICAL_F32, TARN_PHYSICAL_I16, &function_f32_i16},
        {TARN_PHYSICAL_F32, TARN_PHYSICAL_I32, &function_f32_i32},
        {TARN_PHYSICAL_F32, TARN_PHYSICAL_I64, &function_f32_i64},
        {TARN_PHYSICAL_F32, TARN_PHYSICAL_F64, &function_f32_f64},
        {TARN_PHYSICAL_F64, TARN_PHYSICAL_I16, &function_f64_i16},
        {TARN_PHYSICAL_F64, TARN_PHYSICAL_I32, &function_f64_i32},
        {TARN_PHYSICAL_F64, TARN_PHYSICAL_I64, &function_f64_i64},
        {TARN_PHYSICAL_F64, TARN_PHYSICAL_F32, &function_f64_f32},
        {TARN_PHYSICAL_BOOL, TARN_PHYSICAL_I32, &function_bool_i32},
        {TARN_PHYSICAL_I32, TARN_PHYSICAL_BOOL, &function_i32_bool},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i].from == from && pairs[i].to == to) return pairs[i].function;
    }
    return NULL;
}

static const tarn_function *between_numbers(tarn_type from, tarn_type to) {
    bool from_numeric = from.id == TARN_TYPE_NUMERIC;
    bool to_numeric = to.id == TARN_TYPE_NUMERIC;
    if (from_numeric && to_numeric) return &function_numeric_to_numeric;
    if (to_numeric) {
        return tarn_type_is_integer(from) ? &function_integer_to_numeric
                                          : &function_float_to_numeric;
    }
    if (from_numeric) {
        return tarn_type_is_integer(to) ? &function_numeric_to_integer : &function_numeric_to_float;
    }
    return between_binary_numbers(tarn_type_physical(from), tarn_type_physical(to));
}

const tarn_function *expr_cast_function(tarn_type from, tarn_type to, tarn_cast_context context) {
    if (from.id == TARN_TYPE_NULL) return &expr_cast_copy; // nothing but NULL comes here
    if (to.id == TARN_TYPE_TEXT) return expr_cast_to_text(from, to, context);
    if (from.id == TARN_TYPE_TEXT) return expr_cast_from_text(to);
    if (from.id == TARN_TYPE_BYTEA) return &expr_cast_copy;
    bool are_numbers = (tarn_type_is_number(from) || from.id == TARN_TYPE_BOOLEAN) &&
                       (tarn_type_is_number(to) || to.id == TARN_TYPE_BOOLEAN);
    if (are_numbers) return between_numbers(from, to);
    return expr_cast_between_times(from, to);
}
