// value_set.h - the values a DISTINCT aggregate has seen, each with its count.
//
// A hash table of byte strings. Counts matter to retractions only: a value counts as there while
// its count is positive, and may go below zero while a retraction has overtaken its insertion.
//
// Ownership: keys are copied; everything comes from the tarn_alloc given to each call, the same one
//            always.
#ifndef TARN_EXPR_VALUE_SET_H
#define TARN_EXPR_VALUE_SET_H

#include "base/arena.h"
#include "column/column.h"

typedef struct expr_value_set expr_value_set;

typedef enum expr_presence {
    EXPR_PRESENCE_SAME,
    EXPR_PRESENCE_APPEARED,
    EXPR_PRESENCE_VANISHED,
} expr_presence;

// Adds `change` to the count of `key`; creates *set when it is NULL. False: out of memory, and
// nothing has changed.
TARN_MUST_USE bool expr_value_set_add(expr_value_set **set, const tarn_alloc *alloc, tarn_slice key,
                                      int64_t change, expr_presence *ret_presence);
void expr_value_set_free(expr_value_set *set, const tarn_alloc *alloc); // accepts NULL

size_t expr_value_set_size(const expr_value_set *set);
// Each key once, in no order. *cursor starts at 0.
bool expr_value_set_next(const expr_value_set *set, size_t *cursor, tarn_slice *ret_key,
                         int64_t *ret_count);

#endif
