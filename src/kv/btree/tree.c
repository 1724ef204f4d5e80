// Finding and putting.
#include "kv/btree/tree.h"

tarn_status btree_find(btree_pages *pages, const btree_root *root,
                       const tarn_kv_comparator *comparator, tarn_slice key, btree_value *ret_value,
                       bool *ret_found, tarn_error *err) {
    *ret_found = false;
    if (root->page == 0) return TARN_OK;
    uint32_t page = root->page;
    const uint8_t *bytes = NULL;
    for (uint32_t level = root->level; level > 0; level--) {
        TARN_TRY(btree_pages_read(pages, page, level, &bytes, err));
        page = btree_branch_child(bytes, btree_branch_search(bytes, comparator, key));
    }
    btree_pages_prefetch(pages, page);
    TARN_TRY(btree_pages_read(pages, page, 0, &bytes, err));
    size_t index = btree_leaf_search(bytes, comparator, key, ret_found);
    if (*ret_found) *ret_value = btree_leaf_value(bytes, index);
    return TARN_OK;
}

tarn_status btree_path_open(const btree_writer *writer, btree_root *root, tarn_slice key,
                            btree_path *path, tarn_error *err) {
    btree_pages *pages = writer->pages;
    uint32_t page = root->page;
    for (uint32_t level = root->level;; level--) {
        btree_step *step = &path->steps[level];
        uint32_t copy = page;
        TARN_TRY(btree_pages_writable(pages, &copy, level, &step->bytes, err));
        step->page = copy;
        if (copy != page && level == root->level) {
            root->page = copy;
        } else if (copy != page) {
            btree_branch_set_child(path->steps[level + 1].bytes, path->steps[level + 1].index,
                                   copy);
        }
        if (level == 0) return TARN_OK;
        step->index = btree_branch_search(step->bytes, writer->comparator, key);
        page = btree_branch_child(step->bytes, step->index);
    }
}

// ---- values ----

static tarn_status store_run(const btree_writer *writer, btree_root *root, tarn_slice value,
                             btree_value *ret_value, tarn_error *err) {
    size_t page_bytes = writer->pages->page_bytes;
    size_t count = (value.len + BTREE_HEADER_BYTES + page_bytes - 1) / page_bytes;
    tarn_assert(count <= UINT32_MAX);
    uint32_t page;
    uint8_t *bytes;
    TARN_TRY(btree_pages_alloc(writer->pages, (uint32_t)count, &page, &bytes, err));
    bytes[BTREE_AT_KIND] = BTREE_VALUE;
    memcpy(bytes + BTREE_HEADER_BYTES, value.data, value.len);
    size_t used = BTREE_HEADER_BYTES + value.len;
    memset(bytes + used, 0, count * page_bytes - used);
    root->run_pages += count;
    *ret_value = (btree_value){.run_bytes = value.len, .run_page = page};
    return TARN_OK;
}

tarn_status btree_free_value(const btree_writer *writer, btree_root *root, const btree_value *value,
                             tarn_error *err) {
    if (value->run_page == 0) return TARN_OK;
    const uint8_t *bytes = NULL;
    TARN_TRY(btree_pages_read_first(writer->pages, value->run_page, BTREE_VALUE, &bytes, err));
    uint32_t count = tarn_load_u32(bytes + BTREE_AT_RUN_PAGES);
    root->run_pages -= count;
    return btree_pages_free(writer->pages, value->run_page, count, btree_page_version(bytes), err);
}

// ---- putting ----

static tarn_status new_page(const btree_writer *writer, btree_root *root, btree_page_kind kind,
                            uint32_t level, uint32_t *ret_page, uint8_t **ret_bytes,
                            tarn_error *err) {
    TARN_TRY(btree_pages_alloc(writer->pages, 1, ret_page, ret_bytes, err));
    btree_page_init(*ret_bytes, writer->pages->page_bytes, kind, (uint8_t)level);
    root->page_count++;
    return TARN_OK;
}

static tarn_status grow_root(const btree_writer *writer, btree_root *root, tarn_slice separator,
                             uint32_t right_page, tarn_error *err) {
    if (root->level + 1 == BTREE_LEVELS_MAX) {
        return tarn_fail(err, TARN_INVALID, "the B+tree has too many levels");
    }
    uint32_t page;
    uint8_t *bytes;
    TARN_TRY(new_page(writer, root, BTREE_BRANCH, root->level + 1, &page, &bytes, err));
    tarn_slice nothing = {NULL, 0};
    tarn_assert(
        btree_branch_insert(bytes, writer->comparator, 0, nothing, root->page, writer->scratch));
    tarn_assert(
        btree_branch_insert(bytes, writer->comparator, 1, separator, right_page, writer->scratch));
    root->page = page;
    root->level++;
    return TARN_OK;
}

// Divides the page of `level` with `entry` at `index`, and enters the new page above; and so on.
static tarn_status divide(const btree_writer *writer, btree_root *root, btree_path *path,
                          uint32_t level, size_t index, const btree_entry *entry, tarn_error *err) {
    uint8_t separators[2][TARN_KV_BTREE_KEY_MAX];
    btree_entry moving = *entry; // its key lies in one of the two while the other is written
    for (;; level++) {
        btree_step *step = &path->steps[level];
        uint32_t right_page;
        uint8_t *right;
        TARN_TRY(new_page(writer, root, level == 0 ? BTREE_LEAF : BTREE_BRANCH, level, &right_page,
                          &right, err));
        uint8_t *separator = separators[level % 2];
        size_t len = btree_page_split(step->bytes, right, writer->comparator, index, &moving,
                                      writer->scratch, separator);
        moving = (btree_entry){.suffix = {separator, len}, .child = right_page};
        if (level == root->level) {
            return grow_root(writer, root, moving.suffix, right_page, err);
        }
        index = path->steps[level + 1].index + 1;
        if (btree_branch_insert(path->steps[level + 1].bytes, writer->comparator, index,
                                moving.suffix, right_page, writer->scratch)) {
            return TARN_OK;
        }
    }
}

tarn_status btree_put(const btree_writer *writer, btree_root *root, tarn_slice key,
                      tarn_slice value, tarn_error *err) {
    tarn_assert(key.len > 0 && key.len <= btree_key_limit(writer->pages->page_bytes));
    btree_value stored = {.bytes = value};
    if (value.len > btree_inline_limit(writer->pages->page_bytes, key.len)) {
        TARN_TRY(store_run(writer, root, value, &stored, err));
    }
    btree_path path;
    if (root->page == 0) {
        btree_step *step = &path.steps[0];
        TARN_TRY(new_page(writer, root, BTREE_LEAF, 0, &step->page, &step->bytes, err));
        root->page = step->page;
        root->level = 0;
    } else {
        TARN_TRY(btree_path_open(writer, root, key, &path, err));
    }
    // cppcheck-suppress uninitvar ; both ways fill in the step of the leaf
    uint8_t *leaf = path.steps[0].bytes;
    bool found;
    size_t index = btree_leaf_search(leaf, writer->comparator, key, &found);
    if (found) {
        btree_value old = btree_leaf_value(leaf, index);
        TARN_TRY(btree_free_value(writer, root, &old, err));
        if (btree_leaf_overwrite(leaf, index, &stored)) return TARN_OK;
        btree_page_remove(leaf, index, index + 1);
    } else {
        root->key_count++;
    }
    if (btree_leaf_insert(leaf, writer->comparator, index, key, &stored, writer->scratch)) {
        return TARN_OK;
    }
    btree_entry entry = {.suffix = key, .value = stored};
    return divide(writer, root, &path, 0, index, &entry, err);
}
