// state.h - what a checkpoint says of itself: a meta page, and a run with the roots of the families
// and the free extents.
//
// Threads: pure functions.
// Format:  docs/formats/kv-btree.md
#ifndef TARN_KV_BTREE_STATE_H
#define TARN_KV_BTREE_STATE_H

#include "kv/btree/tree.h"

#define BTREE_FORMAT 1u

// One of the first two pages: that of checkpoint n is page n % 2.
typedef struct btree_meta {
    uint64_t number;   // of the checkpoint
    uint64_t version;  // of the tree
    uint64_t sequence; // of the last change in it; those behind it are in the log
    uint32_t page_count;
    uint32_t state_page;  // 0: nothing was ever written
    uint32_t state_pages; // length of the run
} btree_meta;

enum {
    BTREE_META_CHECKSUM = 0, // u64: XXH64 of the rest of the page
    BTREE_META_MAGIC = 8,    // "tarn-bt\n"
    BTREE_META_FORMAT = 16,  // u32
    BTREE_META_PAGE_BYTES = 20,
    BTREE_META_NUMBER = 24, // u64
    BTREE_META_VERSION = 32,
    BTREE_META_SEQUENCE = 40,
    BTREE_META_PAGE_COUNT = 48, // u32
    BTREE_META_STATE_PAGE = 52,
    BTREE_META_STATE_PAGES = 56,
};

void btree_meta_encode(const btree_meta *meta, uint8_t *page, size_t page_bytes);
// False when it is damaged, or was never written; *ret_reason says how.
TARN_MUST_USE bool btree_meta_decode(const uint8_t *page, size_t page_bytes, btree_meta *ret_meta,
                                     const char **ret_reason);

typedef struct btree_family_root {
    uint32_t family_id;
    btree_root root;
} btree_family_root;

#define BTREE_STATE_HEADER_BYTES 8  // u32 families, u32 extents
#define BTREE_STATE_FAMILY_BYTES 40 // u32 id, page, level, 0; u64 keys, pages, pages of runs

// The body of the run, behind its header. `free` are the free pages; those of the run itself may be
// among them and do not count.
TARN_MUST_USE bool btree_state_encode(const btree_family_root *families, size_t family_count,
                                      const btree_space *free, tarn_buffer *out);

typedef struct btree_state {
    btree_family_root *families; // in the arena
    size_t family_count;
} btree_state;

// Any bytes. Marks the free pages in `space`, which has the pages of the file, none of them free;
// on failure it is unspecified.
TARN_MUST_USE tarn_status btree_state_decode(tarn_slice body, const btree_meta *meta,
                                             tarn_arena *arena, btree_space *space,
                                             btree_state *ret_state, tarn_error *err);

#endif
