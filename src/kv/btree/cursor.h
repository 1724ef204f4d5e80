// cursor.h - walks one version of a tree, both ways, between bounds.
//
//     btree_cursor_init(&cursor, pages, &root, comparator, lower, upper);
//     for (status = btree_cursor_seek(&cursor, key, err); status == TARN_OK && cursor.is_valid;
//          status = btree_cursor_next(&cursor, err)) { use cursor.key, btree_cursor_value(...) }
//
// Bounds are looked up once for each leaf: inside one, a step compares nothing.
//
// Ownership:  the bounds belong to the caller and outlive the cursor; the version must be kept
//             from being reclaimed. `key` is valid until the cursor moves.
// Threads:    one at a time.
#ifndef TARN_KV_BTREE_CURSOR_H
#define TARN_KV_BTREE_CURSOR_H

#include "kv/btree/tree.h"

typedef struct btree_cursor_step {
    const uint8_t *bytes;
    size_t index; // the child taken; unused for the leaf
} btree_cursor_step;

typedef struct btree_cursor {
    btree_pages *pages;
    const tarn_kv_comparator *comparator;
    btree_root root;
    tarn_slice lower; // empty: open
    tarn_slice upper;
    bool is_valid;
    tarn_slice key;
    const uint8_t *leaf;
    size_t index; // in the leaf
    size_t begin; // entries of the leaf that are inside the bounds
    size_t end;
    size_t prefix_len; // of the leaf; the prefix is in `bytes`
    btree_cursor_step steps[BTREE_LEVELS_MAX];
    uint8_t bytes[TARN_KV_BTREE_KEY_MAX];
} btree_cursor;

void btree_cursor_init(btree_cursor *cursor, btree_pages *pages, const btree_root *root,
                       const tarn_kv_comparator *comparator, tarn_slice lower, tarn_slice upper);

// To the first entry >= key (empty: the first of all), the last <= key, the last of all; is_valid
// says whether there is one inside the bounds.
TARN_MUST_USE tarn_status btree_cursor_seek(btree_cursor *cursor, tarn_slice key, tarn_error *err);
TARN_MUST_USE tarn_status btree_cursor_seek_for_prev(btree_cursor *cursor, tarn_slice key,
                                                     tarn_error *err);
TARN_MUST_USE tarn_status btree_cursor_seek_last(btree_cursor *cursor, tarn_error *err);
// From a valid position.
TARN_MUST_USE tarn_status btree_cursor_next(btree_cursor *cursor, tarn_error *err);
TARN_MUST_USE tarn_status btree_cursor_prev(btree_cursor *cursor, tarn_error *err);
TARN_MUST_USE tarn_status btree_cursor_value(const btree_cursor *cursor, tarn_slice *ret_value,
                                             tarn_error *err);

#endif
