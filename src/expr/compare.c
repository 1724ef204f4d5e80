// Comparisons. Their order is that of tarn_value_compare: false before true, NaN above every
// number, text by bytes, intervals by their length.

#include "expr/decimal.h"
#include "expr/loops.h"
#include "expr/tables.h"

// ---- one pair of values ----

#define DEFINE_PLAIN(suffix, type)                               \
    static inline uint8_t equal_##suffix(type a, type b) {       \
        return a == b;                                           \
    }                                                            \
    static inline uint8_t differ_##suffix(type a, type b) {      \
        return a != b;                                           \
    }                                                            \
    static inline uint8_t less_##suffix(type a, type b) {        \
        return a < b;                                            \
    }                                                            \
    static inline uint8_t not_greater_##suffix(type a, type b) { \
        return a <= b;                                           \
    }                                                            \
    static inline uint8_t greater_##suffix(type a, type b) {     \
        return a > b;                                            \
    }                                                            \
    static inline uint8_t not_less_##suffix(type a, type b) {    \
        return a >= b;                                           \
    }
DEFINE_PLAIN(bool, uint8_t)
DEFINE_PLAIN(i16, int16_t)
DEFINE_PLAIN(i32, int32_t)
DEFINE_PLAIN(i64, int64_t)
DEFINE_PLAIN(i128, tarn_int128)

// x != x says that x is NaN. The operators of C are all false for NaN, so each test adds the pairs
// that C gets wrong, without a branch.
#define DEFINE_FLOATING(suffix, type)                            \
    static inline uint8_t equal_##suffix(type a, type b) {       \
        return (uint8_t)((a == b) | ((a != a) & (b != b)));      \
    }                                                            \
    static inline uint8_t less_##suffix(type a, type b) {        \
        return (uint8_t)((a < b) | ((b != b) & (a == a)));       \
    }                                                            \
    static inline uint8_t differ_##suffix(type a, type b) {      \
        return !equal_##suffix(a, b);                            \
    }                                                            \
    static inline uint8_t greater_##suffix(type a, type b) {     \
        return less_##suffix(b, a);                              \
    }                                                            \
    static inline uint8_t not_greater_##suffix(type a, type b) { \
        return !less_##suffix(b, a);                             \
    }                                                            \
    static inline uint8_t not_less_##suffix(type a, type b) {    \
        return !less_##suffix(a, b);                             \
    }
DEFINE_FLOATING(f32, float)
DEFINE_FLOATING(f64, double)

// The first word holds the length and the first four bytes; most pairs differ there.
static inline bool string_equal(const tarn_string *a, const tarn_string *b) {
    uint64_t a_words[2];
    uint64_t b_words[2];
    memcpy(a_words, a, sizeof a_words);
    memcpy(b_words, b, sizeof b_words);
    if (a_words[0] != b_words[0]) return false;
    if (a->len <= TARN_STRING_INLINE_BYTES || a_words[1] == b_words[1]) {
        return a_words[1] == b_words[1];
    }
    return memcmp(a->data, b->data, a->len) == 0;
}

static inline int string_order(const tarn_string *a, const tarn_string *b) {
    uint32_t a_prefix = tarn_load_u32_be(a->prefix);
    uint32_t b_prefix = tarn_load_u32_be(b->prefix);
    if (a_prefix != b_prefix) return a_prefix < b_prefix ? -1 : 1;
    return tarn_slice_compare(tarn_string_slice(a), tarn_string_slice(b));
}

static inline tarn_int128 interval_length(const tarn_interval *interval) {
    tarn_int128 days = (tarn_int128)interval->months * 30 + interval->days;
    return days * 86400000000 + interval->us;
}

#define DEFINE_ORDERED(suffix, type, order, equality)            \
    static inline uint8_t equal_##suffix(type a, type b) {       \
        return equality;                                         \
    }                                                            \
    static inline uint8_t differ_##suffix(type a, type b) {      \
        return !(equality);                                      \
    }                                                            \
    static inline uint8_t less_##suffix(type a, type b) {        \
        return (order) < 0;                                      \
    }                                                            \
    static inline uint8_t not_greater_##suffix(type a, type b) { \
        return (order) <= 0;                                     \
    }                                                            \
    static inline uint8_t greater_##suffix(type a, type b) {     \
        return (order) > 0;                                      \
    }                                                            \
    static inline uint8_t not_less_##suffix(type a, type b) {    \
        return (order) >= 0;                                     \
    }
static inline int interval_order(tarn_interval a, tarn_interval b) {
    tarn_int128 left = interval_length(&a);
    tarn_int128 right = interval_length(&b);
    return (left > right) - (left < right);
}
DEFINE_ORDERED(string, tarn_string, string_order(&a, &b), string_equal(&a, &b))
DEFINE_ORDERED(interval, tarn_interval, interval_order(a, b), interval_order(a, b) == 0)

// ---- kernels ----

#define DEFINE_KERNELS(suffix, type)                                                    \
    EXPR_BINARY(equal_##suffix##_rows, type, type, uint8_t, equal_##suffix)             \
    EXPR_BINARY(differ_##suffix##_rows, type, type, uint8_t, differ_##suffix)           \
    EXPR_BINARY(less_##suffix##_rows, type, type, uint8_t, less_##suffix)               \
    EXPR_BINARY(not_greater_##suffix##_rows, type, type, uint8_t, not_greater_##suffix) \
    EXPR_BINARY(greater_##suffix##_rows, type, type, uint8_t, greater_##suffix)         \
    EXPR_BINARY(not_less_##suffix##_rows, type, type, uint8_t, not_less_##suffix)
DEFINE_KERNELS(bool, uint8_t)
DEFINE_KERNELS(i16, int16_t)
DEFINE_KERNELS(i32, int32_t)
DEFINE_KERNELS(i64, int64_t)
DEFINE_KERNELS(i128, tarn_int128)
DEFINE_KERNELS(f32, float)
DEFINE_KERNELS(f64, double)
DEFINE_KERNELS(interval, tarn_interval)

// Strings lie elsewhere, so rows under NULL must not be looked at: no dense form.
#define DEFINE_STRING(name, compute)                                                \
    static tarn_status name(const expr_frame *frame) {                              \
        const tarn_string *restrict left = frame->args[0].data;                     \
        const tarn_string *restrict right = frame->args[1].data;                    \
        uint8_t *restrict out = frame->result->data;                                \
        size_t left_stride = expr_stride(&frame->args[0]);                          \
        size_t right_stride = expr_stride(&frame->args[1]);                         \
        EXPR_FOR_ROWS(frame, row) {                                                 \
            out[row] = compute(left[row * left_stride], right[row * right_stride]); \
        }                                                                           \
        return TARN_OK;                                                             \
    }
DEFINE_STRING(equal_string_rows, equal_string)
DEFINE_STRING(differ_string_rows, differ_string)
DEFINE_STRING(less_string_rows, less_string)
DEFINE_STRING(not_greater_string_rows, not_greater_string)
DEFINE_STRING(greater_string_rows, greater_string)
DEFINE_STRING(not_less_string_rows, not_less_string)

// Numerics of one width and scale compare as integers; others digit by digit.
static bool is_one_layout(const expr_frame *frame) {
    tarn_type a = frame->args[0].type;
    tarn_type b = frame->args[1].type;
    return a.scale == b.scale && tarn_type_physical(a) == tarn_type_physical(b);
}

static bool is_wide(const expr_frame *frame) {
    return tarn_type_physical(frame->args[0].type) == TARN_PHYSICAL_I128;
}

#define DEFINE_NUMERIC(op, test)                                                          \
    static bool op##_numeric_rows_dense(const expr_frame *frame) {                        \
        if (!is_one_layout(frame)) return false;                                          \
        return is_wide(frame) ? op##_i128_rows_dense(frame) : op##_i64_rows_dense(frame); \
    }                                                                                     \
    static tarn_status op##_numeric_rows(const expr_frame *frame) {                       \
        if (is_one_layout(frame)) {                                                       \
            return is_wide(frame) ? op##_i128_rows(frame) : op##_i64_rows(frame);         \
        }                                                                                 \
        expr_numeric_arg left = expr_numeric_of(&frame->args[0]);                         \
        expr_numeric_arg right = expr_numeric_of(&frame->args[1]);                        \
        uint8_t *out = frame->result->data;                                               \
        EXPR_FOR_ROWS(frame, row) {                                                       \
            int order = expr_decimal_compare(expr_numeric_at(&left, row), left.scale,     \
                                             expr_numeric_at(&right, row), right.scale);  \
            out[row] = order test 0;                                                      \
        }                                                                                 \
        return TARN_OK;                                                                   \
    }
DEFINE_NUMERIC(equal, ==)
DEFINE_NUMERIC(differ, !=)
DEFINE_NUMERIC(less, <)
DEFINE_NUMERIC(not_greater, <=)
DEFINE_NUMERIC(greater, >)
DEFINE_NUMERIC(not_less, >=)

// ---- any type, NULLs included ----

static int compare_at(const tarn_vector *a, const tarn_vector *b, size_t row) {
    return tarn_value_compare(tarn_vector_get(a, row * expr_stride(a)),
                              tarn_vector_get(b, row * expr_stride(b)));
}

static tarn_status is_distinct_from(const expr_frame *frame) {
    const tarn_vector *a = &frame->args[0];
    const tarn_vector *b = &frame->args[1];
    uint8_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        bool a_null = tarn_vector_is_null(a, row);
        bool b_null = tarn_vector_is_null(b, row);
        out[row] = a_null || b_null ? a_null != b_null : compare_at(a, b, row) != 0;
    }
    return TARN_OK;
}

static void copy_value(const expr_frame *frame, const tarn_vector *source, size_t row) {
    size_t width = tarn_type_width(frame->result->type);
    const uint8_t *in = source->data;
    memcpy((uint8_t *)frame->result->data + row * width, in + row * expr_stride(source) * width,
           width);
}

static tarn_status extreme(const expr_frame *frame, int sign) {
    EXPR_FOR_ROWS(frame, row) {
        const tarn_vector *best = NULL;
        for (size_t a = 0; a < frame->arg_count; a++) {
            const tarn_vector *arg = &frame->args[a];
            if (tarn_vector_is_null(arg, row)) continue;
            if (best == NULL || compare_at(arg, best, row) * sign > 0) best = arg;
        }
        if (best == NULL) {
            TARN_TRY(expr_set_null(frame, row));
        } else {
            copy_value(frame, best, row);
        }
    }
    return TARN_OK;
}

static tarn_status greatest(const expr_frame *frame) {
    return extreme(frame, 1);
}

static tarn_status least(const expr_frame *frame) {
    return extreme(frame, -1);
}

static tarn_status null_if(const expr_frame *frame) {
    const tarn_vector *a = &frame->args[0];
    const tarn_vector *b = &frame->args[1];
    EXPR_FOR_ROWS(frame, row) {
        bool is_null = tarn_vector_is_null(a, row);
        if (!is_null && !tarn_vector_is_null(b, row)) is_null = compare_at(a, b, row) == 0;
        if (is_null) {
            TARN_TRY(expr_set_null(frame, row));
        } else {
            copy_value(frame, a, row);
        }
    }
    return TARN_OK;
}

// ---- the table ----

#define DENSE(type, name, text, kernel_name) \
    EXPR_FUNCTION(name, type ", " type, "boolean", text, EXPR_WITH_DENSE(kernel_name))
#define COMPARISONS(type, c)                                        \
    DENSE(type, "=", "equal", equal_##c##_rows),                    \
        DENSE(type, "<>", "not equal", differ_##c##_rows),          \
        DENSE(type, "<", "less", less_##c##_rows),                  \
        DENSE(type, "<=", "less or equal", not_greater_##c##_rows), \
        DENSE(type, ">", "greater", greater_##c##_rows),            \
        DENSE(type, ">=", "greater or equal", not_less_##c##_rows)
#define SPARSE(type, name, text, kernel_name) \
    EXPR_FUNCTION(name, type ", " type, "boolean", text, .kernel = (kernel_name))
#define STRINGS(type)                                                 \
    SPARSE(type, "=", "equal", equal_string_rows),                    \
        SPARSE(type, "<>", "not equal", differ_string_rows),          \
        SPARSE(type, "<", "less", less_string_rows),                  \
        SPARSE(type, "<=", "less or equal", not_greater_string_rows), \
        SPARSE(type, ">", "greater", greater_string_rows),            \
        SPARSE(type, ">=", "greater or equal", not_less_string_rows)
#define WIDENED(a, b, name, text) \
    EXPR_FUNCTION(name, a ", " b, "boolean", text, .flags = EXPR_WIDENS)
#define MIXED(a, b)                                                                            \
    WIDENED(a, b, "=", "equal"), WIDENED(a, b, "<>", "not equal"), WIDENED(a, b, "<", "less"), \
        WIDENED(a, b, "<=", "less or equal"), WIDENED(a, b, ">", "greater"),                   \
        WIDENED(a, b, ">=", "greater or equal")

static const tarn_function functions[] = {
    COMPARISONS("boolean", bool),
    COMPARISONS("smallint", i16),
    COMPARISONS("integer", i32),
    COMPARISONS("bigint", i64),
    COMPARISONS("real", f32),
    COMPARISONS("double precision", f64),
    COMPARISONS("numeric", numeric),
    COMPARISONS("date", i32),
    COMPARISONS("time", i64),
    COMPARISONS("timestamp", i64),
    COMPARISONS("timestamptz", i64),
    COMPARISONS("timestamp_ns", i64),
    COMPARISONS("timestamptz_ns", i64),
    COMPARISONS("interval", interval),
    STRINGS("text"),
    STRINGS("bytea"),
    MIXED("real", "double precision"),
    MIXED("double precision", "real"),
    EXPR_FUNCTION("is_distinct_from", "anyelement, anyelement", "boolean",
                  "not equal, with NULL equal to NULL only", .kernel = is_distinct_from,
                  .flags = EXPR_TAKES_NULLS | EXPR_NEVER_NULL),
    EXPR_FUNCTION("greatest", "variadic anyelement", "anyelement",
                  "the greatest argument that is not NULL", .kernel = greatest,
                  .flags = EXPR_TAKES_NULLS | EXPR_NULL_IF_ALL),
    EXPR_FUNCTION("least", "variadic anyelement", "anyelement",
                  "the least argument that is not NULL", .kernel = least,
                  .flags = EXPR_TAKES_NULLS | EXPR_NULL_IF_ALL),
    EXPR_FUNCTION("nullif", "anyelement, anyelement", "anyelement",
                  "NULL when both are equal, else the first", .kernel = null_if,
                  .flags = EXPR_TAKES_NULLS | EXPR_MAKES_NULLS),
};
const expr_function_table expr_compare_functions = {functions,
                                                    sizeof functions / sizeof functions[0]};
