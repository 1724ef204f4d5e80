// page.h - the bytes of one page of a B+tree: a sorted array of entries.
//
//     btree_page_init(page, BTREE_LEAF, 0);
//     size_t index = btree_page_search(page, NULL, key, &found);
//     if (!btree_leaf_insert(page, PAGE_BYTES, index, key, cell, scratch)) ... split
//
// Layout (docs/formats/kv-btree.md):
//
//     header | heads | children (branch) | offsets | free | cells | prefix
//
// The common prefix of the keys is stored once; a head is the four bytes of a key behind it, as a
// number that compares as the bytes do, so that a search seldom touches a cell. A branch has a
// child for each entry; the key of entry i is the lowest of child i, entry 0 has none (it stands
// for everything lower). With a comparator of the user's there are no prefixes and heads are 0.
//
// Invariants: entries are in order and apart; a page that passed btree_page_check can be read
//             without looking at bounds again.
// Threads:    a page is changed by the writer alone, before anybody else sees it.
#ifndef TARN_KV_BTREE_PAGE_H
#define TARN_KV_BTREE_PAGE_H

#include "kv/kv.h"

#define BTREE_PAGE_BYTES     4096u
#define BTREE_PAGE_BYTES_MIN 256u
#define BTREE_PAGE_BYTES_MAX 16384u
#define BTREE_HEADER_BYTES   40u
#define BTREE_LEVELS_MAX     32u // more than 2^32 pages can need

typedef enum btree_page_kind {
    BTREE_BRANCH = 1,
    BTREE_LEAF = 2,
    BTREE_VALUE = 3, // the first page of a run with one large value
    BTREE_STATE = 4, // the first page of a run with the roots and the free extents
} btree_page_kind;

// ---- header ----

enum {
    BTREE_AT_CHECKSUM = 0,    // u64: XXH64 of all that follows, of a run: of all its pages
    BTREE_AT_PAGE = 8,        // u32: its own number
    BTREE_AT_RUN_PAGES = 12,  // u32: pages of a run, else 1
    BTREE_AT_VERSION = 16,    // u64: in which it was made
    BTREE_AT_KIND = 24,       // u8
    BTREE_AT_LEVEL = 25,      // u8: 0 for leaves
    BTREE_AT_COUNT = 26,      // u16: entries
    BTREE_AT_CELLS = 28,      // u16: where the lowest cell begins
    BTREE_AT_GARBAGE = 30,    // u16: bytes of cells that no entry uses
    BTREE_AT_PREFIX_LEN = 32, // u16
    BTREE_AT_PREFIX = 34,     // u16: where the prefix begins
    BTREE_AT_LAST = 36,       // u16: where the latest entry was inserted
    BTREE_AT_ASCENDING = 38,  // u8: how many before it were inserted one behind the other
    BTREE_AT_HAS_RUNS = 39,   // u8: a leaf: 1 when a value may lie in a run
};

static inline uint16_t btree_page_count(const uint8_t *page) {
    return tarn_load_u16(page + BTREE_AT_COUNT);
}
static inline uint8_t btree_page_level(const uint8_t *page) {
    return page[BTREE_AT_LEVEL];
}
static inline uint64_t btree_page_version(const uint8_t *page) {
    return tarn_load_u64(page + BTREE_AT_VERSION);
}
static inline bool btree_page_is_leaf(const uint8_t *page) {
    return page[BTREE_AT_KIND] == BTREE_LEAF;
}
static inline tarn_slice btree_page_prefix(const uint8_t *page) {
    return (tarn_slice){page + tarn_load_u16(page + BTREE_AT_PREFIX),
                        tarn_load_u16(page + BTREE_AT_PREFIX_LEN)};
}

// ---- entries ----

// What a leaf holds for a key: the value, or where it lies.
typedef struct btree_value {
    tarn_slice bytes;   // when run_page is 0
    uint64_t run_bytes; // the length of a value in a run
    uint32_t run_page;  // its first page; 0: the value lies in the leaf
} btree_value;

#define BTREE_VALUE_IN_RUN  0xFFFFu // in place of the length of a value
#define BTREE_RUN_REF_BYTES 12u     // u64 length, u32 page
#define BTREE_LEAF_CELL     4u      // u16 length of the key behind the prefix, u16 of the value
#define BTREE_BRANCH_CELL   2u      // u16 length of the key behind the prefix
#define BTREE_LEAF_SLOT     6u      // u32 head, u16 offset
#define BTREE_BRANCH_SLOT   10u     // u32 head, u32 child, u16 offset

static inline size_t btree_slot_bytes(const uint8_t *page) {
    return btree_page_is_leaf(page) ? BTREE_LEAF_SLOT : BTREE_BRANCH_SLOT;
}
static inline const uint8_t *btree_page_offsets(const uint8_t *page) {
    return page + BTREE_HEADER_BYTES + (btree_slot_bytes(page) - 2) * btree_page_count(page);
}
static inline const uint8_t *btree_page_cell(const uint8_t *page, size_t index) {
    return page + tarn_load_u16(btree_page_offsets(page) + 2 * index);
}
// The key without the page's prefix.
static inline tarn_slice btree_page_suffix(const uint8_t *page, size_t index) {
    const uint8_t *cell = btree_page_cell(page, index);
    size_t cell_bytes = btree_page_is_leaf(page) ? BTREE_LEAF_CELL : BTREE_BRANCH_CELL;
    return (tarn_slice){cell + cell_bytes, tarn_load_u16(cell)};
}
static inline uint32_t btree_branch_child(const uint8_t *page, size_t index) {
    return tarn_load_u32(page + BTREE_HEADER_BYTES + (size_t)4 * (btree_page_count(page) + index));
}
static inline btree_value btree_leaf_value(const uint8_t *page, size_t index) {
    const uint8_t *cell = btree_page_cell(page, index);
    const uint8_t *value = cell + BTREE_LEAF_CELL + tarn_load_u16(cell);
    uint16_t len = tarn_load_u16(cell + 2);
    if (len != BTREE_VALUE_IN_RUN) return (btree_value){.bytes = {value, len}};
    return (btree_value){.run_bytes = tarn_load_u64(value), .run_page = tarn_load_u32(value + 8)};
}

// The first entry >= key, or the count. *ret_found: it is the key.
size_t btree_leaf_search(const uint8_t *page, const tarn_kv_comparator *comparator, tarn_slice key,
                         bool *ret_found);
// The child that holds the key.
size_t btree_branch_search(const uint8_t *page, const tarn_kv_comparator *comparator,
                           tarn_slice key);

// ---- changing ----

// Leaves number, length of the run and version as they are.
void btree_page_init(uint8_t *page, size_t page_bytes, btree_page_kind kind, uint8_t level);

// An entry with its key in two parts, so that taking a page apart copies nothing.
typedef struct btree_entry {
    tarn_slice prefix;
    tarn_slice suffix;
    btree_value value; // of a leaf
    uint32_t child;    // of a branch
} btree_entry;

// Room for taking pages apart: made once for a writer.
typedef struct btree_scratch {
    const tarn_alloc *alloc;
    size_t page_bytes;
    uint8_t *pages;       // three
    btree_entry *entries; // as many as two pages can have, and one
    size_t capacity;
} btree_scratch;

TARN_MUST_USE bool btree_scratch_init(btree_scratch *scratch, const tarn_alloc *alloc,
                                      size_t page_bytes);
void btree_scratch_reset(btree_scratch *scratch); // accepts a zeroed one
static inline uint8_t *btree_scratch_page(const btree_scratch *scratch, size_t index) {
    return scratch->pages + index * scratch->page_bytes;
}

// The largest key, and the largest value that lies in a leaf beside a key of `key_len`.
size_t btree_key_limit(size_t page_bytes);
size_t btree_inline_limit(size_t page_bytes, size_t key_len);

// Inserts before `index`. False, and nothing has changed, when the page has no room.
TARN_MUST_USE bool btree_leaf_insert(uint8_t *page, const tarn_kv_comparator *comparator,
                                     size_t index, tarn_slice key, const btree_value *value,
                                     btree_scratch *scratch);
TARN_MUST_USE bool btree_branch_insert(uint8_t *page, const tarn_kv_comparator *comparator,
                                       size_t index, tarn_slice key, uint32_t child,
                                       btree_scratch *scratch);
// Removes [begin, end).
void btree_page_remove(uint8_t *page, size_t begin, size_t end);
void btree_branch_set_child(uint8_t *page, size_t index, uint32_t child);
// Overwrites a value of the same length in place. False when the lengths differ.
TARN_MUST_USE bool btree_leaf_overwrite(uint8_t *page, size_t index, const btree_value *value);

// Bytes that entries take, and that there are for them.
size_t btree_page_used(const uint8_t *page, size_t page_bytes);
static inline size_t btree_page_room(size_t page_bytes) {
    return page_bytes - BTREE_HEADER_BYTES;
}

// Divides `page` with one more entry (key, and value or child) at `index` between `page` and the
// empty page `right`. A run of ascending inserts leaves the left page full. The key between the two
// (the shortest one, behind the left page's last and not behind the right page's first) is written
// to `separator`, which has room for btree_key_limit bytes.
size_t btree_page_split(uint8_t *page, uint8_t *right, const tarn_kv_comparator *comparator,
                        size_t index, const btree_entry *entry, btree_scratch *scratch,
                        uint8_t *separator);
// Moves all entries of `right` to `page`, when they have room there; `separator` is the key of
// `right` in their parent.
TARN_MUST_USE bool btree_page_merge(uint8_t *page, const uint8_t *right,
                                    const tarn_kv_comparator *comparator, tarn_slice separator,
                                    btree_scratch *scratch);

// ---- from and to the disk ----

// `len` bytes: the whole run.
uint64_t btree_page_checksum(const uint8_t *page, size_t len);
// Checks all but the order of keys: afterwards everything above can be called. `len` is one page.
// On failure `*ret_reason` says why (a string constant).
TARN_MUST_USE bool btree_page_check(const uint8_t *page, size_t page_bytes,
                                    const char **ret_reason);

// The key of an entry, copied to `key`, which has room for btree_key_limit bytes.
static inline size_t btree_page_key(const uint8_t *page, size_t index, uint8_t *key) {
    tarn_slice prefix = btree_page_prefix(page);
    tarn_slice suffix = btree_page_suffix(page, index);
    if (prefix.len > 0) memcpy(key, prefix.data, prefix.len);
    if (suffix.len > 0) memcpy(key + prefix.len, suffix.data, suffix.len);
    return prefix.len + suffix.len;
}

#endif
