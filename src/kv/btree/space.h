// space.h - which pages of a file are free: found in extents of any length, lowest first.
//
//     btree_space space;
//     btree_space_init(&space, alloc);
//     if (!btree_space_take(&space, 3, &page)) page = grow the file by three pages
//     btree_space_give(&space, page, 3);
//
// A bitmap with a tree over its words; each node knows the longest free extent below it and those
// at its two ends. Taking, giving and growing are O(log n); neighbours join by themselves.
//
// Invariants: a page is given once and taken once. Pages at or behind page_count are never free.
// Threads:    one at a time.
#ifndef TARN_KV_BTREE_SPACE_H
#define TARN_KV_BTREE_SPACE_H

#include "base/buffer.h"

typedef struct btree_space_node {
    uint32_t first;   // free pages at the beginning
    uint32_t last;    // and at the end
    uint32_t longest; // the longest extent
} btree_space_node;

typedef struct btree_space {
    const tarn_alloc *alloc;
    uint64_t *words;         // of the bitmap: 1 is free
    btree_space_node *nodes; // a heap: node i has the children 2i and 2i + 1; words are the leaves
    size_t word_capacity;    // a power of two, or 0
    uint32_t page_count;
    uint32_t free_count;
} btree_space;

void btree_space_init(btree_space *space, const tarn_alloc *alloc);
void btree_space_reset(btree_space *space);

// Adds used pages at the end. False when memory is exhausted, or page numbers.
TARN_MUST_USE bool btree_space_grow(btree_space *space, uint32_t page_count);
// Takes the lowest extent of `count` pages. False when there is none.
TARN_MUST_USE bool btree_space_take(btree_space *space, uint32_t count, uint32_t *ret_page);
// Takes `count` pages at the end, growing as needed. False when memory or page numbers are
// exhausted.
TARN_MUST_USE bool btree_space_extend(btree_space *space, uint32_t count, uint32_t *ret_page);
// Takes these pages, all of which are free.
void btree_space_take_at(btree_space *space, uint32_t page, uint32_t count);
void btree_space_give(btree_space *space, uint32_t page, uint32_t count);
// How many free pages there are at the end.
uint32_t btree_space_tail(const btree_space *space);
// Cuts `count` free pages off the end.
void btree_space_shrink(btree_space *space, uint32_t count);

static inline bool btree_space_is_free(const btree_space *space, uint32_t page) {
    return page < space->page_count && (space->words[page / 64] >> (page % 64) & 1) != 0;
}
// The first free extent at or behind `page`. False when there is none.
bool btree_space_next(const btree_space *space, uint32_t page, uint32_t *ret_page,
                      uint32_t *ret_count);

#endif
