#include "kv/btree/walk.h"

#include "base/bitmap.h"
#include "kv/btree/page_internal.h"

typedef struct walker {
    btree_pages *pages;
    const tarn_kv_comparator *comparator;
    btree_space *seen;
    bool reread;
    btree_root counted;
    size_t previous_len; // 0: there was no key yet
    uint8_t previous[TARN_KV_BTREE_KEY_MAX];
} walker;

static tarn_status fail(const walker *w, uint32_t page, const char *reason, tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "'" TARN_SLICE_FMT "': page %u at offset %llu: %s",
                     TARN_SLICE_ARG(w->pages->path), page,
                     (unsigned long long)page * w->pages->page_bytes, reason);
}

static tarn_status mark(walker *w, uint32_t page, uint32_t count, tarn_error *err) {
    for (uint32_t i = 0; i < count; i++) {
        if (page + i < 2 || page + i >= w->seen->page_count) {
            return fail(w, page, "it lies outside the file", err);
        }
        if (btree_space_is_free(w->seen, page + i)) {
            return fail(w, page + i, "it is used twice", err);
        }
    }
    btree_space_give(w->seen, page, count);
    return TARN_OK;
}

// Looks at the bytes in the file again.
static tarn_status reread(const walker *w, uint32_t page, tarn_error *err) {
    const tarn_map *map = btree_pages_newest(w->pages);
    if (!w->reread || map == NULL || tarn_bitmap_get(w->pages->has_frame, page)) return TARN_OK;
    size_t offset = w->pages->page_bytes * page;
    return btree_pages_check(w->pages, page, map->data + offset, map->len - offset, err);
}

static tarn_status walk_leaf(walker *w, uint32_t page, const uint8_t *leaf, tarn_error *err) {
    size_t count = btree_page_count(leaf);
    for (size_t i = 0; i < count; i++) {
        uint8_t key[TARN_KV_BTREE_KEY_MAX];
        size_t len = btree_page_key(leaf, i, key);
        tarn_slice previous = {w->previous, w->previous_len};
        if (len == 0) return fail(w, page, "it has an empty key", err);
        if (w->previous_len > 0 &&
            btree_compare_keys(w->comparator, previous, (tarn_slice){key, len}) >= 0) {
            return fail(w, page, "its keys are out of order", err);
        }
        memcpy(w->previous, key, len);
        w->previous_len = len;
        bool found;
        if (btree_leaf_search(leaf, w->comparator, (tarn_slice){key, len}, &found) != i || !found) {
            return fail(w, page, "a head does not fit its key", err);
        }
        btree_value value = btree_leaf_value(leaf, i);
        if (value.run_page == 0) continue;
        tarn_slice bytes;
        TARN_TRY(btree_pages_read_run(w->pages, &value, &bytes, err));
        if (!leaf[BTREE_AT_HAS_RUNS]) return fail(w, page, "it says it has no runs", err);
        uint32_t run_pages = tarn_load_u32(bytes.data - BTREE_HEADER_BYTES + BTREE_AT_RUN_PAGES);
        w->counted.run_pages += run_pages;
        TARN_TRY(mark(w, value.run_page, run_pages, err));
        TARN_TRY(reread(w, value.run_page, err));
    }
    w->counted.key_count += count;
    return TARN_OK;
}

// `lower` and `upper` (empty: open): what the branches above say. The depth is that of the tree.
static tarn_status walk_page(walker *w, uint32_t page, uint32_t level, tarn_slice lower,
                             tarn_slice upper, tarn_error *err);

static tarn_status walk_branch(walker *w, uint32_t page, const uint8_t *branch, uint32_t level,
                               tarn_slice lower, tarn_slice upper, tarn_error *err) {
    uint8_t keys[2][TARN_KV_BTREE_KEY_MAX];
    size_t count = btree_page_count(branch);
    for (size_t i = 0; i < count; i++) {
        tarn_slice next = upper;
        if (i + 1 < count) {
            next = (tarn_slice){keys[i % 2], btree_page_key(branch, i + 1, keys[i % 2])};
            if (next.len == 0 || btree_branch_search(branch, w->comparator, next) != i + 1) {
                return fail(w, page, "its keys are out of order", err);
            }
        }
        TARN_TRY(walk_page(w, btree_branch_child(branch, i), level - 1, lower, next, err));
        lower = next;
    }
    return TARN_OK;
}

static tarn_status walk_page(walker *w, uint32_t page, uint32_t level, tarn_slice lower,
                             tarn_slice upper, tarn_error *err) {
    const uint8_t *bytes = NULL;
    TARN_TRY(btree_pages_read(w->pages, page, level, &bytes, err));
    tarn_assert(bytes != NULL);
    TARN_TRY(mark(w, page, 1, err));
    TARN_TRY(reread(w, page, err));
    w->counted.page_count++;
    if (btree_page_count(bytes) == 0) return fail(w, page, "it is empty", err);
    if (level > 0) return walk_branch(w, page, bytes, level, lower, upper, err);
    TARN_TRY(walk_leaf(w, page, bytes, err));
    uint8_t first[TARN_KV_BTREE_KEY_MAX];
    size_t first_len = btree_page_key(bytes, 0, first);
    tarn_slice last = {w->previous, w->previous_len};
    if ((lower.len > 0 &&
         btree_compare_keys(w->comparator, (tarn_slice){first, first_len}, lower) < 0) ||
        (upper.len > 0 && btree_compare_keys(w->comparator, last, upper) >= 0)) {
        return fail(w, page, "its keys are not those that the page above says", err);
    }
    return TARN_OK;
}

tarn_status btree_walk(btree_pages *pages, const btree_root *root,
                       const tarn_kv_comparator *comparator, bool reread, btree_space *seen,
                       tarn_error *err) {
    if (root->page == 0) return TARN_OK;
    walker w = {.pages = pages, .comparator = comparator, .reread = reread, .seen = seen};
    tarn_slice open = {NULL, 0};
    TARN_TRY(walk_page(&w, root->page, root->level, open, open, err));
    if (w.counted.key_count == root->key_count && w.counted.page_count == root->page_count &&
        w.counted.run_pages == root->run_pages) {
        return TARN_OK;
    }
    return fail(&w, root->page, "the counts of its tree are wrong", err);
}
