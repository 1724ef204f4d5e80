// page_internal.h - how keys and heads compare. Private to the files of page.h.
#ifndef TARN_KV_BTREE_PAGE_INTERNAL_H
#define TARN_KV_BTREE_PAGE_INTERNAL_H

#include "kv/btree/page.h"

// The first four bytes of a key as a number, zeros behind a short one.
static TARN_ALWAYS_INLINE uint32_t btree_head_of(tarn_slice key) {
    if (key.len >= 4) return tarn_load_u32_be(key.data);
    uint32_t head = 0;
    for (size_t i = 0; i < key.len; i++) head |= (uint32_t)key.data[i] << (24 - 8 * i);
    return head;
}

static TARN_ALWAYS_INLINE int btree_compare_keys(const tarn_kv_comparator *comparator, tarn_slice a,
                                                 tarn_slice b) {
    return comparator == NULL ? tarn_slice_compare(a, b)
                              : comparator->compare(comparator->context, a, b);
}

#endif
