// ordered.h - a multiset of rows in an order: a skip list; private to op/.
//
// An entry is its sort key (memcomparable) and its row (row codec), which breaks ties, so that the
// order does not depend on when rows came. Entries are counted references: the set holds one, and
// so does whoever remembers what was emitted.
#ifndef TARN_OP_ORDERED_H
#define TARN_OP_ORDERED_H

#include "op/op_internal.h"

#define ORDERED_LEVELS 16

typedef struct ordered_entry ordered_entry;
struct ordered_entry {
    int64_t count; // copies in the multiset; negative while a removal came first
    uint32_t references;
    uint8_t level_count;
    bool is_dirty;  // in the list of entries to write at the barrier
    bool is_stored; // the checkpoints have it
    tarn_slice key; // both live behind `next`
    tarn_slice row;
    ordered_entry *next[];
};

typedef struct ordered_set {
    ordered_entry *heads[ORDERED_LEVELS];
    int64_t copies; // sum of the counts
} ordered_set;

void ordered_entry_ref(ordered_entry *entry);
void ordered_entry_unref(ordered_entry *entry, const tarn_alloc *alloc);
int ordered_entry_compare(const ordered_entry *a, const ordered_entry *b);

// The entry of (key, row), made with count 0 when there is none; NULL without memory. `random`
// decides its height.
ordered_entry *ordered_set_find(ordered_set *set, tarn_slice key, tarn_slice row, uint64_t random,
                                const tarn_alloc *alloc);
// Takes the entry out and drops the set's reference.
void ordered_set_remove(ordered_set *set, ordered_entry *entry, const tarn_alloc *alloc);
ordered_entry *ordered_set_last(const ordered_set *set); // NULL when empty
void ordered_set_clear(ordered_set *set, const tarn_alloc *alloc);

#endif
