// multiset.h - byte keys in order, each with a count: what is behind a minimum that can be taken
// back.
//
// Keys lie in sorted blocks of a few dozen, the blocks in a sorted directory: a change moves at
// most one block's entries. A count may go below zero while a retraction has overtaken its
// insertion; such keys do not show.
//
// Ownership: keys are copied; everything comes from the tarn_alloc given to each call, the same one
//            always.
#ifndef TARN_EXPR_MULTISET_H
#define TARN_EXPR_MULTISET_H

#include "base/arena.h"
#include "column/column.h"

typedef struct expr_multiset expr_multiset;

// Adds `change` to the count of `key`; creates *set when it is NULL. False: out of memory, and
// nothing has changed.
TARN_MUST_USE bool expr_multiset_add(expr_multiset **set, const tarn_alloc *alloc, tarn_slice key,
                                     int64_t change);
void expr_multiset_free(expr_multiset *set, const tarn_alloc *alloc); // accepts NULL

// The least or greatest key with a positive count, as a view; false when there is none.
bool expr_multiset_least(const expr_multiset *set, tarn_slice *ret_key);
bool expr_multiset_greatest(const expr_multiset *set, tarn_slice *ret_key);

// How many keys there are, and each in order.
size_t expr_multiset_size(const expr_multiset *set);
typedef struct expr_multiset_cursor {
    size_t block;
    size_t entry;
} expr_multiset_cursor;
bool expr_multiset_next(const expr_multiset *set, expr_multiset_cursor *cursor, tarn_slice *ret_key,
                        int64_t *ret_count);

#endif
