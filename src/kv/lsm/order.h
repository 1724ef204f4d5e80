// order.h - the order of entries inside the LSM-tree: by key as the family compares keys, then the
// newest version first.
#ifndef TARN_KV_LSM_ORDER_H
#define TARN_KV_LSM_ORDER_H

#include "kv/engine.h"

// Sequence numbers have 56 bits. A trailer is the number and, in its low byte, a kv_change_kind;
// of two versions of a key the larger trailer is the newer one. No entry has trailer 0.
#define LSM_SEQUENCE_MAX (((uint64_t)1 << 56) - 1)
#define LSM_KIND_MAX     0xFF

static inline uint64_t lsm_trailer(uint64_t sequence, unsigned kind) {
    return sequence << 8 | kind;
}

static inline uint64_t lsm_trailer_sequence(uint64_t trailer) {
    return trailer >> 8;
}

static inline kv_change_kind lsm_trailer_kind(uint64_t trailer) {
    return (kv_change_kind)(trailer & LSM_KIND_MAX);
}

// Finds, as a target, the newest version that a reader at `sequence` may see.
static inline uint64_t lsm_trailer_newest(uint64_t sequence) {
    return lsm_trailer(sequence, LSM_KIND_MAX);
}

typedef struct lsm_order {
    const tarn_kv_comparator *comparator; // NULL: unsigned bytes
} lsm_order;

static inline bool lsm_order_is_bytewise(lsm_order order) {
    return order.comparator == NULL;
}

static inline int lsm_compare_keys(lsm_order order, tarn_slice a, tarn_slice b) {
    if (order.comparator == NULL) return tarn_slice_compare(a, b);
    return order.comparator->compare(order.comparator->context, a, b);
}

// The same for where ranges begin: an empty key is before all others, whatever the comparator.
static inline int lsm_compare_bounds(lsm_order order, tarn_slice a, tarn_slice b) {
    if (a.len == 0 || b.len == 0) return (a.len > 0) - (b.len > 0);
    return lsm_compare_keys(order, a, b);
}

static inline int lsm_compare(lsm_order order, tarn_slice a, uint64_t a_trailer, tarn_slice b,
                              uint64_t b_trailer) {
    int result = lsm_compare_keys(order, a, b);
    if (result != 0) return result;
    return (a_trailer < b_trailer) - (a_trailer > b_trailer);
}

// The 8 bytes of `key` behind its first `skip`, as a number that sorts as they do; what is missing
// counts as zeros, so that equal heads decide nothing.
static inline uint64_t lsm_key_head(tarn_slice key, size_t skip) {
    if (key.len >= skip + 8) return tarn_load_u64_be(key.data + skip);
    uint64_t head = 0;
    for (size_t i = skip; i < key.len; i++) head |= (uint64_t)key.data[i] << (56 - 8 * (i - skip));
    return head;
}

static inline size_t lsm_common_prefix(tarn_slice a, tarn_slice b) {
    size_t limit = a.len < b.len ? a.len : b.len;
    size_t len = 0;
    while (len < limit && a.data[len] == b.data[len]) len++;
    return len;
}

#endif
