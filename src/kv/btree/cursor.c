#include "kv/btree/cursor.h"

#include "kv/btree/page_internal.h"

void btree_cursor_init(btree_cursor *cursor, btree_pages *pages, const btree_root *root,
                       const tarn_kv_comparator *comparator, tarn_slice lower, tarn_slice upper) {
    cursor->pages = pages;
    cursor->comparator = comparator;
    cursor->root = *root;
    cursor->lower = lower;
    cursor->upper = upper;
    cursor->is_valid = false;
    cursor->key = (tarn_slice){NULL, 0};
}

// ---- from leaf to leaf ----

static void enter_leaf(btree_cursor *cursor, const uint8_t *leaf) {
    bool found;
    cursor->leaf = leaf;
    cursor->begin = 0;
    cursor->end = btree_page_count(leaf);
    if (cursor->lower.len > 0) {
        cursor->begin = btree_leaf_search(leaf, cursor->comparator, cursor->lower, &found);
    }
    if (cursor->upper.len > 0) {
        cursor->end = btree_leaf_search(leaf, cursor->comparator, cursor->upper, &found);
    }
    tarn_slice prefix = btree_page_prefix(leaf);
    cursor->prefix_len = prefix.len;
    if (prefix.len > 0) memcpy(cursor->bytes, prefix.data, prefix.len);
}

// What the caller will want soon.
static void prefetch_child(const btree_cursor *cursor, const uint8_t *branch, size_t index) {
    if (index >= btree_page_count(branch)) return;
    btree_pages_prefetch(cursor->pages, btree_branch_child(branch, index));
}

// How a way down is chosen.
typedef enum descent { WAY_FIRST, WAY_LAST, WAY_KEY } descent;

static tarn_status descend(btree_cursor *cursor, uint32_t page, uint32_t level, descent way,
                           tarn_slice key, tarn_error *err) {
    const uint8_t *bytes = NULL;
    for (; level > 0; level--) {
        TARN_TRY(btree_pages_read(cursor->pages, page, level, &bytes, err));
        tarn_assert(bytes != NULL);
        size_t index = 0;
        if (way == WAY_LAST) index = btree_page_count(bytes) - 1u;
        if (way == WAY_KEY) index = btree_branch_search(bytes, cursor->comparator, key);
        cursor->steps[level] = (btree_cursor_step){bytes, index};
        page = btree_branch_child(bytes, index);
    }
    TARN_TRY(btree_pages_read(cursor->pages, page, 0, &bytes, err));
    tarn_assert(bytes != NULL);
    enter_leaf(cursor, bytes);
    return TARN_OK;
}

// To the neighbour of the leaf; *ret_moved is false when there is none.
static tarn_status move_leaf(btree_cursor *cursor, bool forward, bool *ret_moved, tarn_error *err) {
    *ret_moved = false;
    for (uint32_t level = 1; level <= cursor->root.level; level++) {
        btree_cursor_step *step = &cursor->steps[level];
        if (forward ? step->index + 1u >= btree_page_count(step->bytes) : step->index == 0) {
            continue;
        }
        step->index = forward ? step->index + 1 : step->index - 1;
        *ret_moved = true;
        if (level == 1) prefetch_child(cursor, step->bytes, step->index + (forward ? 1 : SIZE_MAX));
        return descend(cursor, btree_branch_child(step->bytes, step->index), level - 1,
                       forward ? WAY_FIRST : WAY_LAST, (tarn_slice){NULL, 0}, err);
    }
    return TARN_OK;
}

// ---- standing on an entry ----

static TARN_ALWAYS_INLINE void stand(btree_cursor *cursor, size_t index) {
    tarn_slice suffix = btree_page_suffix(cursor->leaf, index);
    cursor->index = index;
    cursor->is_valid = true;
    if (cursor->prefix_len == 0) {
        cursor->key = suffix;
    } else {
        if (suffix.len > 0) memcpy(cursor->bytes + cursor->prefix_len, suffix.data, suffix.len);
        cursor->key = (tarn_slice){cursor->bytes, cursor->prefix_len + suffix.len};
    }
}

// To entry `index` of the leaf, or what comes behind it.
static tarn_status settle_forward(btree_cursor *cursor, size_t index, tarn_error *err) {
    for (;;) {
        if (index < cursor->begin) index = cursor->begin;
        if (index < cursor->end) {
            stand(cursor, index);
            return TARN_OK;
        }
        cursor->is_valid = false;
        if (cursor->end < btree_page_count(cursor->leaf)) return TARN_OK; // the upper bound
        bool moved;
        TARN_TRY(move_leaf(cursor, true, &moved, err));
        if (!moved) return TARN_OK;
        index = 0;
    }
}

// To the entry before `index` of the leaf, or what comes before it.
static tarn_status settle_backward(btree_cursor *cursor, size_t index, tarn_error *err) {
    for (;;) {
        if (index > cursor->end) index = cursor->end;
        if (index > cursor->begin) {
            stand(cursor, index - 1);
            return TARN_OK;
        }
        cursor->is_valid = false;
        if (cursor->begin > 0) return TARN_OK; // the lower bound
        bool moved;
        TARN_TRY(move_leaf(cursor, false, &moved, err));
        if (!moved) return TARN_OK;
        index = SIZE_MAX;
    }
}

// ---- moving ----

tarn_status btree_cursor_seek(btree_cursor *cursor, tarn_slice key, tarn_error *err) {
    cursor->is_valid = false;
    if (cursor->root.page == 0) return TARN_OK;
    if (key.len == 0 ||
        (cursor->lower.len > 0 && btree_compare_keys(cursor->comparator, key, cursor->lower) < 0)) {
        key = cursor->lower;
    }
    bool from_first = key.len == 0;
    TARN_TRY(descend(cursor, cursor->root.page, cursor->root.level,
                     from_first ? WAY_FIRST : WAY_KEY, key, err));
    bool found;
    size_t index = 0;
    if (!from_first) index = btree_leaf_search(cursor->leaf, cursor->comparator, key, &found);
    return settle_forward(cursor, index, err);
}

tarn_status btree_cursor_seek_for_prev(btree_cursor *cursor, tarn_slice key, tarn_error *err) {
    cursor->is_valid = false;
    if (cursor->root.page == 0) return TARN_OK;
    if (cursor->upper.len > 0 && btree_compare_keys(cursor->comparator, key, cursor->upper) >= 0) {
        return btree_cursor_seek_last(cursor, err);
    }
    TARN_TRY(descend(cursor, cursor->root.page, cursor->root.level, WAY_KEY, key, err));
    bool found;
    size_t index = btree_leaf_search(cursor->leaf, cursor->comparator, key, &found);
    return settle_backward(cursor, index + found, err);
}

tarn_status btree_cursor_seek_last(btree_cursor *cursor, tarn_error *err) {
    cursor->is_valid = false;
    if (cursor->root.page == 0) return TARN_OK;
    bool to_last = cursor->upper.len == 0;
    TARN_TRY(descend(cursor, cursor->root.page, cursor->root.level, to_last ? WAY_LAST : WAY_KEY,
                     cursor->upper, err));
    return settle_backward(cursor, SIZE_MAX, err);
}

tarn_status btree_cursor_next(btree_cursor *cursor, tarn_error *err) {
    tarn_assert(cursor->is_valid);
    tarn_assert(cursor->leaf != NULL);
    if (cursor->index + 1 < cursor->end) {
        stand(cursor, cursor->index + 1);
        return TARN_OK;
    }
    return settle_forward(cursor, cursor->index + 1, err);
}

tarn_status btree_cursor_prev(btree_cursor *cursor, tarn_error *err) {
    tarn_assert(cursor->is_valid);
    return settle_backward(cursor, cursor->index, err);
}

tarn_status btree_cursor_value(const btree_cursor *cursor, tarn_slice *ret_value, tarn_error *err) {
    btree_value value = btree_leaf_value(cursor->leaf, cursor->index);
    return btree_value_bytes(cursor->pages, &value, ret_value, err);
}
