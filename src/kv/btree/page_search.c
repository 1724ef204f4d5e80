// Finding a key in a page. The loops are branchless: where a random key lies cannot be predicted.
#include "kv/btree/page.h"

#include "kv/btree/page_internal.h"

// How many of the first `count` heads are below `head` (`or_equal`: or equal to it).
static TARN_ALWAYS_INLINE size_t count_below(const uint8_t *heads, size_t count, uint32_t head,
                                             bool or_equal) {
    if (count == 0) return 0;
    size_t base = 0;
    while (count > 1) {
        size_t half = count / 2;
        uint32_t probe = tarn_load_u32(heads + 4 * (base + half - 1));
        base += half & -(size_t)(or_equal ? probe <= head : probe < head);
        count -= half;
    }
    uint32_t last = tarn_load_u32(heads + 4 * base);
    return base + (or_equal ? last <= head : last < head);
}

// Where a key lies that the prefix of the page decides: -1 before all, 1 behind all, 0 among them.
static TARN_ALWAYS_INLINE int compare_prefix(tarn_slice key, tarn_slice prefix) {
    size_t common = key.len < prefix.len ? key.len : prefix.len;
    int order = common == 0 ? 0 : memcmp(key.data, prefix.data, common);
    if (order != 0) return order < 0 ? -1 : 1;
    return key.len < prefix.len ? -1 : 0;
}

size_t btree_leaf_search(const uint8_t *page, const tarn_kv_comparator *comparator, tarn_slice key,
                         bool *ret_found) {
    const uint8_t *heads = page + BTREE_HEADER_BYTES;
    size_t count = btree_page_count(page);
    size_t begin = 0;
    size_t end = count;
    *ret_found = false;
    if (comparator == NULL) {
        tarn_slice prefix = btree_page_prefix(page);
        if (prefix.len > 0) {
            int order = compare_prefix(key, prefix);
            if (order != 0) return order < 0 ? 0 : count;
            key = tarn_slice_skip(key, prefix.len);
        }
        uint32_t head = btree_head_of(key);
        begin = count_below(heads, count, head, false);
        if (begin == count || tarn_load_u32(heads + 4 * begin) != head) return begin;
        // Most often the head stands alone, and one comparison decides.
        end = begin + 1;
        if (end < count && tarn_load_u32(heads + 4 * end) == head) {
            end = count_below(heads, count, head, true);
        }
    }
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        int order = btree_compare_keys(comparator, btree_page_suffix(page, middle), key);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

size_t btree_branch_search(const uint8_t *page, const tarn_kv_comparator *comparator,
                           tarn_slice key) {
    // Entry 0 has no key: what follows finds the last of the others that is not above the key.
    const uint8_t *heads = page + BTREE_HEADER_BYTES + 4;
    size_t count = btree_page_count(page);
    size_t begin = 1;
    size_t end = count;
    if (comparator == NULL) {
        tarn_slice prefix = btree_page_prefix(page);
        if (prefix.len > 0) {
            int order = compare_prefix(key, prefix);
            if (order != 0) return order < 0 ? 0 : count - 1;
            key = tarn_slice_skip(key, prefix.len);
        }
        uint32_t head = btree_head_of(key);
        begin = 1 + count_below(heads, count - 1, head, false);
        if (begin == count || tarn_load_u32(heads + 4 * (begin - 1)) != head) return begin - 1;
        end = 1 + count_below(heads, count - 1, head, true);
    }
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (btree_compare_keys(comparator, btree_page_suffix(page, middle), key) <= 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin - 1;
}
