// Deleting: one key, and whole ranges by their subtrees; and joining what became too small.
#include "kv/btree/tree.h"

// A page that uses less is joined with a neighbour, when the two leave some room.
static bool is_small(const uint8_t *page, size_t page_bytes) {
    return btree_page_used(page, page_bytes) < btree_page_room(page_bytes) * 2 / 5;
}

static bool can_join(const uint8_t *a, const uint8_t *b, size_t page_bytes) {
    return btree_page_used(a, page_bytes) + btree_page_used(b, page_bytes) <
           btree_page_room(page_bytes) * 9 / 10;
}

static tarn_status free_page(const btree_writer *writer, btree_root *root, uint32_t page,
                             const uint8_t *bytes, tarn_error *err) {
    root->page_count--;
    return btree_pages_free(writer->pages, page, 1, btree_page_version(bytes), err);
}

// Moves the entries of child `index + 1` of `parent` to child `index`, if they fit.
static tarn_status join_children(const btree_writer *writer, btree_root *root, btree_step *parent,
                                 size_t index, uint32_t level, bool *ret_joined, tarn_error *err) {
    btree_pages *pages = writer->pages;
    uint32_t left_page = btree_branch_child(parent->bytes, index);
    uint32_t right_page = btree_branch_child(parent->bytes, index + 1);
    const uint8_t *left = NULL;
    const uint8_t *right = NULL;
    TARN_TRY(btree_pages_read(pages, left_page, level, &left, err));
    TARN_TRY(btree_pages_read(pages, right_page, level, &right, err));
    *ret_joined = false;
    if (!can_join(left, right, pages->page_bytes)) return TARN_OK;
    uint8_t *target;
    TARN_TRY(btree_pages_writable(pages, &left_page, level, &target, err));
    btree_branch_set_child(parent->bytes, index, left_page);
    uint8_t separator[TARN_KV_BTREE_KEY_MAX];
    size_t len = btree_page_key(parent->bytes, index + 1, separator);
    // A shorter common prefix can need more room than was looked for.
    if (!btree_page_merge(target, right, writer->comparator, (tarn_slice){separator, len},
                          writer->scratch)) {
        return TARN_OK;
    }
    TARN_TRY(free_page(writer, root, right_page, right, err));
    btree_page_remove(parent->bytes, index + 1, index + 2);
    *ret_joined = true;
    return TARN_OK;
}

static tarn_status lower_root(const btree_writer *writer, btree_root *root, tarn_error *err) {
    while (root->page != 0) {
        const uint8_t *bytes = NULL;
        TARN_TRY(btree_pages_read(writer->pages, root->page, root->level, &bytes, err));
        tarn_assert(bytes != NULL);
        size_t count = btree_page_count(bytes);
        if (count > 1 || (count == 1 && root->level == 0)) return TARN_OK;
        uint32_t page = root->page;
        root->page = count == 0 ? 0 : btree_branch_child(bytes, 0);
        root->level = count == 0 ? 0 : root->level - 1;
        TARN_TRY(free_page(writer, root, page, bytes, err));
    }
    return TARN_OK;
}

// Mends one page of the path; *ret_changed: its parent lost an entry, and may need mending, too.
static tarn_status mend_page(const btree_writer *writer, btree_root *root, btree_path *path,
                             uint32_t level, bool *ret_changed, tarn_error *err) {
    const btree_step *step = &path->steps[level];
    btree_step *parent = &path->steps[level + 1];
    *ret_changed = false;
    if (btree_page_count(step->bytes) == 0) {
        TARN_TRY(free_page(writer, root, step->page, step->bytes, err));
        btree_page_remove(parent->bytes, parent->index, parent->index + 1);
        *ret_changed = true;
        return TARN_OK;
    }
    if (!is_small(step->bytes, writer->pages->page_bytes)) return TARN_OK;
    size_t siblings = btree_page_count(parent->bytes);
    if (parent->index + 1 < siblings) {
        TARN_TRY(join_children(writer, root, parent, parent->index, level, ret_changed, err));
    }
    if (!*ret_changed && parent->index > 0) {
        TARN_TRY(join_children(writer, root, parent, parent->index - 1, level, ret_changed, err));
    }
    if (siblings == 1) *ret_changed = true; // an only child: its parent is small for sure
    return TARN_OK;
}

static tarn_status mend_path(const btree_writer *writer, btree_root *root, btree_path *path,
                             bool all_levels, tarn_error *err) {
    for (uint32_t level = 0; level < root->level; level++) {
        bool changed = false;
        TARN_TRY(mend_page(writer, root, path, level, &changed, err));
        if (!changed && !all_levels) return TARN_OK;
    }
    return lower_root(writer, root, err);
}

tarn_status btree_delete(const btree_writer *writer, btree_root *root, tarn_slice key,
                         tarn_error *err) {
    btree_value value = {0};
    bool found;
    // Nothing is copied for a key that is not there.
    TARN_TRY(btree_find(writer->pages, root, writer->comparator, key, &value, &found, err));
    if (!found) return TARN_OK;
    TARN_TRY(btree_free_value(writer, root, &value, err));
    btree_path path;
    TARN_TRY(btree_path_open(writer, root, key, &path, err));
    size_t index = btree_leaf_search(path.steps[0].bytes, writer->comparator, key, &found);
    tarn_assert(found);
    btree_page_remove(path.steps[0].bytes, index, index + 1);
    root->key_count--;
    return mend_path(writer, root, &path, false, err);
}

// ---- ranges ----

static tarn_status free_values(const btree_writer *writer, btree_root *root, const uint8_t *leaf,
                               size_t begin, size_t end, tarn_error *err) {
    root->key_count -= end - begin;
    if (!leaf[BTREE_AT_HAS_RUNS]) return TARN_OK;
    for (size_t i = begin; i < end; i++) {
        btree_value value = btree_leaf_value(leaf, i);
        TARN_TRY(btree_free_value(writer, root, &value, err));
    }
    return TARN_OK;
}

// The depth is that of the tree.
static tarn_status free_subtree(const btree_writer *writer, btree_root *root, uint32_t page,
                                uint32_t level, tarn_error *err) {
    const uint8_t *bytes = NULL;
    TARN_TRY(btree_pages_read(writer->pages, page, level, &bytes, err));
    tarn_assert(bytes != NULL);
    size_t count = btree_page_count(bytes);
    if (level == 0) TARN_TRY(free_values(writer, root, bytes, 0, count, err));
    for (size_t i = 0; level > 0 && i < count; i++) {
        TARN_TRY(free_subtree(writer, root, btree_branch_child(bytes, i), level - 1, err));
    }
    return free_page(writer, root, page, bytes, err);
}

tarn_status btree_clear(const btree_writer *writer, btree_root *root, tarn_error *err) {
    if (root->page != 0) TARN_TRY(free_subtree(writer, root, root->page, root->level, err));
    tarn_assert(root->key_count == 0 && root->page_count == 0 && root->run_pages == 0);
    *root = (btree_root){0};
    return TARN_OK;
}

typedef struct key_range {
    const tarn_slice *begin; // NULL: open
    const tarn_slice *end;
} key_range;

static tarn_status prune(const btree_writer *writer, btree_root *root, uint32_t *page,
                         uint32_t level, key_range range, bool *ret_empty, tarn_error *err);

static tarn_status prune_leaf(const btree_writer *writer, btree_root *root, uint8_t *leaf,
                              key_range range, tarn_error *err) {
    bool found;
    size_t begin = 0;
    size_t end = btree_page_count(leaf);
    if (range.begin != NULL) {
        begin = btree_leaf_search(leaf, writer->comparator, *range.begin, &found);
    }
    if (range.end != NULL) end = btree_leaf_search(leaf, writer->comparator, *range.end, &found);
    if (begin >= end) return TARN_OK;
    TARN_TRY(free_values(writer, root, leaf, begin, end, err));
    btree_page_remove(leaf, begin, end);
    return TARN_OK;
}

static tarn_status prune_branch(const btree_writer *writer, btree_root *root, uint8_t *branch,
                                uint32_t level, key_range range, tarn_error *err) {
    size_t begin = 0;
    size_t end = btree_page_count(branch) - 1;
    if (range.begin != NULL) begin = btree_branch_search(branch, writer->comparator, *range.begin);
    if (range.end != NULL) end = btree_branch_search(branch, writer->comparator, *range.end);
    size_t first_empty = 0;
    size_t empty_count = 0; // only the two at the ends may be left
    for (size_t i = begin; i <= end; i++) {
        key_range part = {i == begin ? range.begin : NULL, i == end ? range.end : NULL};
        uint32_t child = btree_branch_child(branch, i);
        uint32_t changed = child;
        bool is_empty = false;
        TARN_TRY(prune(writer, root, &changed, level - 1, part, &is_empty, err));
        if (is_empty && empty_count++ == 0) first_empty = i;
        if (!is_empty && changed != child) btree_branch_set_child(branch, i, changed);
    }
    btree_page_remove(branch, first_empty, first_empty + empty_count);
    return TARN_OK;
}

// Removes what is in the range below *page, and the page when nothing is left.
static tarn_status prune(const btree_writer *writer, btree_root *root, uint32_t *page,
                         uint32_t level, key_range range, bool *ret_empty, tarn_error *err) {
    if (range.begin == NULL && range.end == NULL) {
        *ret_empty = true;
        return free_subtree(writer, root, *page, level, err);
    }
    uint8_t *bytes;
    TARN_TRY(btree_pages_writable(writer->pages, page, level, &bytes, err));
    TARN_TRY(level == 0 ? prune_leaf(writer, root, bytes, range, err)
                        : prune_branch(writer, root, bytes, level, range, err));
    *ret_empty = btree_page_count(bytes) == 0;
    return *ret_empty ? free_page(writer, root, *page, bytes, err) : TARN_OK;
}

static tarn_status mend_at(const btree_writer *writer, btree_root *root, tarn_slice key,
                           tarn_error *err) {
    if (root->page == 0) return TARN_OK;
    btree_path path;
    TARN_TRY(btree_path_open(writer, root, key, &path, err));
    return mend_path(writer, root, &path, true, err);
}

tarn_status btree_delete_range(const btree_writer *writer, btree_root *root, tarn_slice begin,
                               tarn_slice end, tarn_error *err) {
    if (root->page == 0) return TARN_OK;
    key_range range = {begin.len == 0 ? NULL : &begin, end.len == 0 ? NULL : &end};
    bool is_empty = false;
    TARN_TRY(prune(writer, root, &root->page, root->level, range, &is_empty, err));
    if (is_empty) {
        root->page = 0;
        root->level = 0;
        return TARN_OK;
    }
    // A tree of one chain of only children may be left: mending from below joins nothing there.
    TARN_TRY(lower_root(writer, root, err));
    if (begin.len > 0) TARN_TRY(mend_at(writer, root, begin, err));
    if (end.len > 0) TARN_TRY(mend_at(writer, root, end, err));
    return TARN_OK;
}
