// aggregates.h - the list of aggregate functions, and what each does with its state.
#ifndef TARN_EXPR_AGGREGATES_H
#define TARN_EXPR_AGGREGATES_H

#include "expr/expr.h"

typedef enum expr_aggregate_kind {
    EXPR_AGGREGATE_COUNT,
    EXPR_AGGREGATE_SUM,
    EXPR_AGGREGATE_AVG,
    EXPR_AGGREGATE_MIN,
    EXPR_AGGREGATE_MAX,
    EXPR_AGGREGATE_BOOL_AND,
    EXPR_AGGREGATE_BOOL_OR,
    EXPR_AGGREGATE_STDDEV_SAMP,
    EXPR_AGGREGATE_STDDEV_POP,
    EXPR_AGGREGATE_VAR_SAMP,
    EXPR_AGGREGATE_VAR_POP,
} expr_aggregate_kind;

struct tarn_aggregate_function {
    const char *name;
    const char *arguments; // one type, "any", or "" for count(*)
    const char *result;
    const char *description;
    expr_aggregate_kind kind;
};

size_t expr_aggregate_count(void);
tarn_function_info expr_aggregate_at(size_t index); // in name order

// ---- rows on their way into states ----

// The value of row r lies at index indices[r], or r * stride.
typedef struct expr_agg_rows {
    const void *data;
    const uint32_t *indices; // of a dictionary; else NULL
    size_t stride;
    const uint64_t *validity; // by row; NULL: none is null
    tarn_type type;
    const uint32_t *selection;
    size_t count;
    const uint8_t *kinds;   // NULL: all are added
    uint8_t *const *groups; // NULL: all go to `single`
    size_t state_offset;
    uint8_t *single;
} expr_agg_rows;

static inline size_t expr_agg_row(const expr_agg_rows *rows, size_t i) {
    return rows->selection == NULL ? i : rows->selection[i];
}
static inline int64_t expr_agg_sign(const expr_agg_rows *rows, size_t row) {
    return rows->kinds != NULL && tarn_row_kind_is_retract(rows->kinds[row]) ? -1 : 1;
}

// The rows that are not null, one after the other:
//     for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) { ... at.state, at.index ... }
typedef struct expr_agg_cursor {
    size_t next;
    size_t index;   // of the value
    uint8_t *state; // where it goes
    int64_t sign;   // 1, or -1 for a retraction
} expr_agg_cursor;

static inline bool expr_agg_next(const expr_agg_rows *rows, expr_agg_cursor *at) {
    while (at->next < rows->count) {
        size_t i = at->next++;
        size_t row = expr_agg_row(rows, i);
        if (rows->validity != NULL && !tarn_bitmap_get(rows->validity, row)) continue;
        at->index = rows->indices != NULL ? rows->indices[row] : row * rows->stride;
        at->state = rows->groups == NULL ? rows->single : rows->groups[i] + rows->state_offset;
        at->sign = expr_agg_sign(rows, row);
        return true;
    }
    return false;
}

// Nothing stands between the loop and the values: no NULL, no selection, no retraction.
static inline bool expr_agg_is_plain(const expr_agg_rows *rows) {
    return rows->validity == NULL && rows->selection == NULL && rows->kinds == NULL &&
           rows->indices == NULL && rows->stride == 1;
}

// ---- implementations ----

// States begin as zero bytes. `state` is aligned to 8.
typedef struct expr_aggregate_ops {
    uint32_t state_bytes;
    tarn_status (*update)(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                          const expr_agg_rows *rows, tarn_error *err);
    tarn_status (*merge)(const tarn_aggregate *aggregate, const tarn_alloc *alloc, uint8_t *target,
                         const uint8_t *source, tarn_error *err);
    // Stores the result of one state in row `row` of `result`, a flat vector with validity.
    tarn_status (*finalize)(const tarn_aggregate *aggregate, const uint8_t *state,
                            tarn_arena *arena, tarn_vector *result, size_t row, tarn_error *err);
    // NULL: the state is words, written as they are.
    tarn_status (*encode)(const tarn_aggregate *aggregate, const uint8_t *state, tarn_buffer *out,
                          tarn_error *err);
    tarn_status (*decode)(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                          tarn_slice *bytes, uint8_t *state, tarn_error *err);
    void (*destroy)(const tarn_alloc *alloc, uint8_t *state); // NULL: nothing to do
} expr_aggregate_ops;

extern const expr_aggregate_ops expr_count_ops;
extern const expr_aggregate_ops expr_bool_ops;
extern const expr_aggregate_ops expr_sum_exact_ops;    // sums and averages of integers, numerics
extern const expr_aggregate_ops expr_sum_floating_ops; // of real and double precision
extern const expr_aggregate_ops expr_sum_interval_ops;
extern const expr_aggregate_ops expr_extreme_fixed_ops; // min and max of fixed-width values
extern const expr_aggregate_ops expr_extreme_text_ops;
extern const expr_aggregate_ops expr_extreme_retractable_ops;
extern const expr_aggregate_ops expr_variance_exact_ops;
extern const expr_aggregate_ops expr_variance_floating_ops;

// What is below DISTINCT, or all of it.
const expr_aggregate_ops *expr_aggregate_ops_of(const tarn_aggregate *aggregate);

// Bytes of a state, by function, argument type, distinct and retractable.
uint32_t expr_aggregate_state_bytes(const tarn_aggregate *aggregate);

// ---- counts and bytes of encoded states ----

TARN_MUST_USE tarn_status expr_agg_put_bytes(tarn_buffer *out, tarn_slice bytes, tarn_error *err);
TARN_MUST_USE tarn_status expr_agg_put_number(tarn_buffer *out, int64_t number, tarn_error *err);
TARN_MUST_USE tarn_status expr_agg_take_bytes(tarn_slice *bytes, tarn_slice *ret_bytes,
                                              tarn_error *err);
TARN_MUST_USE tarn_status expr_agg_take_number(tarn_slice *bytes, int64_t *ret_number,
                                               tarn_error *err);

#endif
