// count, sum, avg, bool_and and bool_or: states of a few words.

#include <math.h>

#include "expr/aggregates.h"
#include "expr/decimal.h"
#include "expr/function.h"
#include "expr/interval.h"

// States are aligned to 8 bytes only.
typedef tarn_int128 aligned_int128 __attribute__((aligned(8)));

static void set_null(tarn_vector *result, size_t row) {
    tarn_bitmap_unset(result->validity, row);
}

// ---- count ----

static tarn_status count_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                const expr_agg_rows *rows, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    (void)err;
    if (rows->groups == NULL && rows->kinds == NULL && rows->validity == NULL) {
        *(int64_t *)(void *)rows->single += (int64_t)rows->count;
        return TARN_OK;
    }
    if (rows->kinds == NULL && rows->validity == NULL) {
        for (size_t i = 0; i < rows->count; i++) {
            ++*(int64_t *)(void *)(rows->groups[i] + rows->state_offset);
        }
        return TARN_OK;
    }
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        *(int64_t *)(void *)at.state += at.sign;
    }
    return TARN_OK;
}

static tarn_status count_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                               uint8_t *target, const uint8_t *source, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    (void)err;
    *(int64_t *)(void *)target += *(const int64_t *)(const void *)source;
    return TARN_OK;
}

static tarn_status count_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                  tarn_arena *arena, tarn_vector *result, size_t row,
                                  tarn_error *err) {
    (void)aggregate;
    (void)arena;
    (void)err;
    ((int64_t *)result->data)[row] = *(const int64_t *)(const void *)state;
    return TARN_OK;
}

const expr_aggregate_ops expr_count_ops = {.state_bytes = sizeof(int64_t),
                                           .update = count_update,
                                           .merge = count_merge,
                                           .finalize = count_finalize};

// ---- bool_and, bool_or ----

typedef struct bool_state {
    int64_t true_count;
    int64_t false_count;
} bool_state;

static tarn_status bool_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                               const expr_agg_rows *rows, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    (void)err;
    const uint8_t *values = rows->data;
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        bool_state *counts = (bool_state *)(void *)at.state;
        if (values[at.index] != 0) {
            counts->true_count += at.sign;
        } else {
            counts->false_count += at.sign;
        }
    }
    return TARN_OK;
}

static tarn_status bool_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                              uint8_t *target, const uint8_t *source, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    (void)err;
    bool_state *sum = (bool_state *)(void *)target;
    const bool_state *more = (const bool_state *)(const void *)source;
    sum->true_count += more->true_count;
    sum->false_count += more->false_count;
    return TARN_OK;
}

static tarn_status bool_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                 tarn_arena *arena, tarn_vector *result, size_t row,
                                 tarn_error *err) {
    (void)arena;
    (void)err;
    const bool_state *counts = (const bool_state *)(const void *)state;
    bool is_and = aggregate->function->kind == EXPR_AGGREGATE_BOOL_AND;
    if (counts->true_count <= 0 && counts->false_count <= 0) {
        set_null(result, row);
        return TARN_OK;
    }
    ((uint8_t *)result->data)[row] = is_and ? counts->false_count <= 0 : counts->true_count > 0;
    return TARN_OK;
}

const expr_aggregate_ops expr_bool_ops = {.state_bytes = sizeof(bool_state),
                                          .update = bool_update,
                                          .merge = bool_merge,
                                          .finalize = bool_finalize};

// ---- exact sums ----

typedef struct exact_state {
    int64_t count;
    aligned_int128 sum;
} exact_state;
static_assert(sizeof(exact_state) == 24, "three words");

// Wraps are told by the signs: a sum has overflowed when it has the sign of neither operand.
static bool add_wide(aligned_int128 *sum, tarn_int128 value) {
    tarn_uint128 total = (tarn_uint128)*sum + (tarn_uint128)value;
    bool overflowed = ((((tarn_uint128)*sum ^ total) & ((tarn_uint128)value ^ total)) >> 127) != 0;
    *sum = (tarn_int128)total;
    return !overflowed;
}

// Up to 64 bits per value: 2^63 of them fit the sum, so nothing can overflow.
#define DEFINE_EXACT(type)                                                         \
    static void sum_##type(const expr_agg_rows *rows) {                            \
        const type *values = rows->data;                                           \
        if (expr_agg_is_plain(rows) && rows->groups == NULL) {                     \
            exact_state *one = (exact_state *)(void *)rows->single;                \
            tarn_int128 sum = 0;                                                   \
            for (size_t i = 0; i < rows->count; i++) sum += values[i];             \
            one->sum += sum;                                                       \
            one->count += (int64_t)rows->count;                                    \
            return;                                                                \
        }                                                                          \
        if (expr_agg_is_plain(rows)) {                                             \
            for (size_t i = 0; i < rows->count; i++) {                             \
                exact_state *group =                                               \
                    (exact_state *)(void *)(rows->groups[i] + rows->state_offset); \
                group->sum += values[i];                                           \
                group->count++;                                                    \
            }                                                                      \
            return;                                                                \
        }                                                                          \
        for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {                \
            exact_state *group = (exact_state *)(void *)at.state;                  \
            group->sum += (tarn_int128)values[at.index] * at.sign;                 \
            group->count += at.sign;                                               \
        }                                                                          \
    }
DEFINE_EXACT(int16_t)
DEFINE_EXACT(int32_t)
DEFINE_EXACT(int64_t)

static tarn_status fail_overflow(tarn_error *err) {
    return expr_fail(err, "22003", "value overflows numeric format");
}

static tarn_status sum_wide(const expr_agg_rows *rows, tarn_error *err) {
    const tarn_int128 *values = rows->data;
    bool fits = true;
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        exact_state *group = (exact_state *)(void *)at.state;
        fits &= add_wide(&group->sum, values[at.index] * at.sign);
        group->count += at.sign;
    }
    return fits ? TARN_OK : fail_overflow(err);
}

static tarn_status exact_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                const expr_agg_rows *rows, tarn_error *err) {
    (void)alloc;
    switch (tarn_type_physical(aggregate->arg_type)) {
    case TARN_PHYSICAL_I16: sum_int16_t(rows); break;
    case TARN_PHYSICAL_I32: sum_int32_t(rows); break;
    case TARN_PHYSICAL_I64: sum_int64_t(rows); break;
    case TARN_PHYSICAL_I128: return sum_wide(rows, err);
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_STRING:
    case TARN_PHYSICAL_INTERVAL: tarn_assert(false);
    }
    return TARN_OK;
}

static tarn_status exact_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                               uint8_t *target, const uint8_t *source, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    exact_state *sum = (exact_state *)(void *)target;
    const exact_state *more = (const exact_state *)(const void *)source;
    if (!add_wide(&sum->sum, more->sum)) return fail_overflow(err);
    sum->count += more->count;
    return TARN_OK;
}

static tarn_status exact_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                  tarn_arena *arena, tarn_vector *result, size_t row,
                                  tarn_error *err) {
    (void)arena;
    const exact_state *group = (const exact_state *)(const void *)state;
    if (group->count <= 0) {
        set_null(result, row);
        return TARN_OK;
    }
    if (result->type.id == TARN_TYPE_BIGINT) {
        if (!expr_fits_i64(group->sum)) return expr_fail(err, "22003", "bigint out of range");
        ((int64_t *)result->data)[row] = (int64_t)group->sum;
        return TARN_OK;
    }
    tarn_int128 value = group->sum;
    if (aggregate->function->kind == EXPR_AGGREGATE_AVG) {
        int scale = aggregate->arg_type.id == TARN_TYPE_NUMERIC ? aggregate->arg_type.scale : 0;
        if (!expr_decimal_divide(group->sum, group->count, result->type.scale - scale, &value)) {
            return fail_overflow(err);
        }
    }
    if (!expr_decimal_fits(value, result->type.precision)) return fail_overflow(err);
    expr_numeric_put(result, row, value);
    return TARN_OK;
}

const expr_aggregate_ops expr_sum_exact_ops = {.state_bytes = sizeof(exact_state),
                                               .update = exact_update,
                                               .merge = exact_merge,
                                               .finalize = exact_finalize};

// ---- floating-point sums ----

// The sum of the finite values with what rounding lost (as in Knuth's TwoSum), so that taking
// values back leaves next to nothing behind; NaN and infinities are counted, for they could not be
// taken back at all.
typedef struct floating_state {
    int64_t count; // finite ones included
    double sum;
    double lost;
    int64_t nan_count;
    int64_t infinite_count;
    int64_t negative_infinite_count;
} floating_state;

static void add_floating(floating_state *group, double value, int64_t sign) {
    group->count += sign;
    if (isnan(value)) {
        group->nan_count += sign;
        return;
    }
    if (isinf(value)) {
        if (value > 0) {
            group->infinite_count += sign;
        } else {
            group->negative_infinite_count += sign;
        }
        return;
    }
    double change = sign > 0 ? value : -value;
    double sum = group->sum + change;
    double part = sum - group->sum; // of `change`, what has arrived in the sum
    group->lost += (group->sum - (sum - part)) + (change - part);
    group->sum = sum;
}

static tarn_status floating_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                   const expr_agg_rows *rows, tarn_error *err) {
    (void)alloc;
    (void)err;
    if (tarn_type_physical(aggregate->arg_type) == TARN_PHYSICAL_F32) {
        const float *values = rows->data;
        for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
            add_floating((floating_state *)(void *)at.state, (double)values[at.index], at.sign);
        }
        return TARN_OK;
    }
    const double *values = rows->data;
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        add_floating((floating_state *)(void *)at.state, values[at.index], at.sign);
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
    int64_t count = sum->count + more->count;
    double lost = more->lost;
    add_floating(sum, more->sum, 1);
    sum->lost += lost;
    sum->count = count;
    sum->nan_count += more->nan_count;
    sum->infinite_count += more->infinite_count;
    sum->negative_infinite_count += more->negative_infinite_count;
    return TARN_OK;
}

static double floating_total(const floating_state *group) {
    bool both = group->infinite_count > 0 && group->negative_infinite_count > 0;
    if (group->nan_count > 0 || both) return (double)NAN;
    if (group->infinite_count > 0) return (double)INFINITY;
    if (group->negative_infinite_count > 0) return -(double)INFINITY;
    return isinf(group->sum) ? group->sum : group->sum + group->lost;
}

static tarn_status floating_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                     tarn_arena *arena, tarn_vector *result, size_t row,
                                     tarn_error *err) {
    (void)arena;
    const floating_state *group = (const floating_state *)(const void *)state;
    if (group->count <= 0) {
        set_null(result, row);
        return TARN_OK;
    }
    double total = floating_total(group);
    if (aggregate->function->kind == EXPR_AGGREGATE_AVG) total /= (double)group->count;
    bool is_real = tarn_type_physical(result->type) == TARN_PHYSICAL_F32;
    bool came_infinite = group->infinite_count > 0 || group->negative_infinite_count > 0;
    bool is_infinite = is_real ? isinf((float)total) : isinf(total);
    if (is_infinite && !came_infinite) {
        return expr_fail(err, "22003", "value out of range: overflow");
    }
    if (is_real) {
        ((float *)result->data)[row] = (float)total;
    } else {
        ((double *)result->data)[row] = total;
    }
    return TARN_OK;
}

const expr_aggregate_ops expr_sum_floating_ops = {.state_bytes = sizeof(floating_state),
                                                  .update = floating_update,
                                                  .merge = floating_merge,
                                                  .finalize = floating_finalize};

// ---- intervals ----

typedef struct interval_state {
    int64_t count;
    int64_t months;
    int64_t days;
    aligned_int128 us;
} interval_state;
static_assert(sizeof(interval_state) == 40, "five words");

static tarn_status interval_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                   const expr_agg_rows *rows, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    (void)err;
    const tarn_interval *values = rows->data;
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        interval_state *group = (interval_state *)(void *)at.state;
        const tarn_interval *value = &values[at.index];
        group->count += at.sign;
        group->months += value->months * at.sign;
        group->days += value->days * at.sign;
        group->us += (tarn_int128)value->us * at.sign;
    }
    return TARN_OK;
}

static tarn_status interval_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                  uint8_t *target, const uint8_t *source, tarn_error *err) {
    (void)aggregate;
    (void)alloc;
    (void)err;
    interval_state *sum = (interval_state *)(void *)target;
    const interval_state *more = (const interval_state *)(const void *)source;
    sum->count += more->count;
    sum->months += more->months;
    sum->days += more->days;
    sum->us += more->us;
    return TARN_OK;
}

static tarn_status interval_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                     tarn_arena *arena, tarn_vector *result, size_t row,
                                     tarn_error *err) {
    (void)arena;
    const interval_state *group = (const interval_state *)(const void *)state;
    if (group->count <= 0) {
        set_null(result, row);
        return TARN_OK;
    }
    tarn_interval sum = {
        .months = (int32_t)group->months, .days = (int32_t)group->days, .us = (int64_t)group->us};
    if (sum.months != group->months || sum.days != group->days || sum.us != group->us) {
        return expr_fail(err, "22008", "interval out of range");
    }
    if (aggregate->function->kind == EXPR_AGGREGATE_AVG) {
        TARN_TRY(expr_interval_divide(sum, (double)group->count, &sum, err));
    }
    ((tarn_interval *)result->data)[row] = sum;
    return TARN_OK;
}

const expr_aggregate_ops expr_sum_interval_ops = {.state_bytes = sizeof(interval_state),
                                                  .update = interval_update,
                                                  .merge = interval_merge,
                                                  .finalize = interval_finalize};
