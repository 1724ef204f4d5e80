// tree.h - a copy-on-write B+tree in pages: find, put, delete, delete a range.
//
//     btree_writer writer = {.pages = pages, .scratch = &scratch, .comparator = NULL};
//     btree_root root = {0};                                     // an empty tree
//     TARN_TRY(btree_put(&writer, &root, key, value, err));      // inside a transaction
//     TARN_TRY(btree_find(pages, &root, NULL, key, &value, &found, err));
//
// A root is a value: who has an old one, and keeps its version from being reclaimed, sees the old
// tree. After a failure the transaction must be aborted, and the root be taken from before it.
//
// Invariants: every leaf has the same depth and at least one entry; key_count, page_count and
//             run_pages are exact.
// Threads:    a version can be read by any thread; changes are one thread's.
#ifndef TARN_KV_BTREE_TREE_H
#define TARN_KV_BTREE_TREE_H

#include "kv/btree/pages.h"

typedef struct btree_root {
    uint32_t page;  // 0: the tree is empty
    uint32_t level; // of the root page
    uint64_t key_count;
    uint64_t page_count; // leaves and branches
    uint64_t run_pages;  // pages of large values
} btree_root;

typedef struct btree_writer {
    btree_pages *pages;
    btree_scratch *scratch;
    const tarn_kv_comparator *comparator;
} btree_writer;

// *ret_value points into the page.
TARN_MUST_USE tarn_status btree_find(btree_pages *pages, const btree_root *root,
                                     const tarn_kv_comparator *comparator, tarn_slice key,
                                     btree_value *ret_value, bool *ret_found, tarn_error *err);
// The bytes of the value, wherever it lies.
TARN_MUST_USE static inline tarn_status btree_value_bytes(btree_pages *pages,
                                                          const btree_value *value,
                                                          tarn_slice *ret_bytes, tarn_error *err) {
    if (value->run_page != 0) return btree_pages_read_run(pages, value, ret_bytes, err);
    *ret_bytes = value->bytes;
    return TARN_OK;
}

TARN_MUST_USE tarn_status btree_put(const btree_writer *writer, btree_root *root, tarn_slice key,
                                    tarn_slice value, tarn_error *err);
// A missing key is fine.
TARN_MUST_USE tarn_status btree_delete(const btree_writer *writer, btree_root *root, tarn_slice key,
                                       tarn_error *err);
// All keys in [begin, end); an empty `end` is the end of the tree. Pages in the middle are freed
// without being changed.
TARN_MUST_USE tarn_status btree_delete_range(const btree_writer *writer, btree_root *root,
                                             tarn_slice begin, tarn_slice end, tarn_error *err);
// Frees all pages; the root is empty afterwards.
TARN_MUST_USE tarn_status btree_clear(const btree_writer *writer, btree_root *root,
                                      tarn_error *err);

// ---- for tree.c and tree_delete.c ----

// The way from the root (the last step) to a leaf (steps[0]).
typedef struct btree_step {
    uint32_t page;
    uint8_t *bytes; // NULL while it is not writable
    size_t index;   // the child taken
} btree_step;

typedef struct btree_path {
    btree_step steps[BTREE_LEVELS_MAX];
} btree_path;

// Makes the way to the leaf of `key` writable.
TARN_MUST_USE tarn_status btree_path_open(const btree_writer *writer, btree_root *root,
                                          tarn_slice key, btree_path *path, tarn_error *err);
TARN_MUST_USE tarn_status btree_free_value(const btree_writer *writer, btree_root *root,
                                           const btree_value *value, tarn_error *err);

#endif
