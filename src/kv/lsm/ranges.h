// ranges.h - range tombstones, cut where any of them begins or ends, so that one binary search
// answers which of them cover a key.
//
// A set is immutable and one piece of memory. An empty begin is the beginning of all keys, an empty
// end their end.
#ifndef TARN_KV_LSM_RANGES_H
#define TARN_KV_LSM_RANGES_H

#include "kv/lsm/order.h"

typedef struct lsm_range {
    tarn_slice begin;
    tarn_slice end; // exclusive; empty: unbounded
    uint64_t sequence;
} lsm_range;

// [begin, end) is covered by sequences[first .. first + count), newest first.
typedef struct lsm_fragment {
    tarn_slice begin;
    tarn_slice end;
    uint32_t first;
    uint32_t count;
} lsm_fragment;

typedef struct lsm_ranges {
    lsm_order order;
    uint32_t fragment_count;
    uint32_t sequence_count;
    const lsm_fragment *fragments; // in order, not overlapping
    const uint64_t *sequences;
} lsm_ranges;

// Where the memory of a set comes from: 8-byte aligned, NULL when exhausted.
typedef void *lsm_ranges_acquire(void *context, size_t size_bytes);

// Builds the set in one piece of memory from `acquire`; `alloc` is for scratch memory. Keys are not
// copied. Ranges that hold nothing are left out. NULL when memory is exhausted.
TARN_MUST_USE const lsm_ranges *lsm_ranges_build(lsm_order order, const lsm_range *ranges,
                                                 size_t count, const tarn_alloc *alloc,
                                                 lsm_ranges_acquire *acquire, void *context);

// The fragment that holds the key, or NULL. Accepts a NULL set.
const lsm_fragment *lsm_ranges_find(const lsm_ranges *set, tarn_slice key);
// The first fragment that ends behind the key, or NULL.
const lsm_fragment *lsm_ranges_seek(const lsm_ranges *set, tarn_slice key);
// The newest sequence number <= `at` of the fragment; 0: none.
uint64_t lsm_fragment_newest(const lsm_ranges *set, const lsm_fragment *fragment, uint64_t at);

// The newest number <= `at` of a tombstone that covers the key; 0: none. Accepts a NULL set.
static inline uint64_t lsm_ranges_cover(const lsm_ranges *set, tarn_slice key, uint64_t at) {
    if (set == NULL) return 0;
    const lsm_fragment *fragment = lsm_ranges_find(set, key);
    return fragment == NULL ? 0 : lsm_fragment_newest(set, fragment, at);
}

#endif
