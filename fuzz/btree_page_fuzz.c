// Any bytes may be read as a page of a B+tree: what passes the check is searched, changed, divided
// and joined without a byte being touched outside of it.
// Input: a choice, a key (length first), the page.
#include "base/hash.h"
#include "kv/btree/page.h"
#include "kv/btree/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGE_BYTES 512

static void read_state(tarn_slice body) {
    btree_meta meta = {.version = 1, .page_count = 1000, .state_page = 2, .state_pages = 1};
    tarn_arena arena;
    btree_space space;
    btree_state state;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)16 << 20);
    btree_space_init(&space, &tarn_alloc_libc);
    tarn_assert(btree_space_grow(&space, meta.page_count));
    tarn_status status = btree_state_decode(body, &meta, &arena, &space, &state, NULL);
    tarn_assert(status == TARN_OK || status == TARN_CORRUPT);
    btree_space_reset(&space);
    tarn_arena_reset(&arena);
}

static void change(uint8_t *page, tarn_slice key, btree_scratch *scratch) {
    uint8_t right[PAGE_BYTES] = {0};
    uint8_t separator[TARN_KV_BTREE_KEY_MAX];
    bool is_leaf = btree_page_is_leaf(page);
    btree_page_init(right, PAGE_BYTES, is_leaf ? BTREE_LEAF : BTREE_BRANCH, btree_page_level(page));
    btree_entry entry = {.suffix = key, .value = {.bytes = key}, .child = 7};
    bool found = false;
    size_t index = is_leaf ? btree_leaf_search(page, NULL, key, &found)
                           : btree_branch_search(page, NULL, key) + 1;
    if (found) btree_page_remove(page, index, index + 1);
    bool fits = is_leaf ? btree_leaf_insert(page, NULL, index, key, &entry.value, scratch)
                        : btree_branch_insert(page, NULL, index, key, entry.child, scratch);
    if (!fits) (void)btree_page_split(page, right, NULL, index, &entry, scratch, separator);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    tarn_slice rest = {data + 2, size - 2};
    if (data[0] % 4 == 0) {
        read_state(rest);
        return 0;
    }
    size_t key_len = 1 + data[1] % 64;
    if (rest.len < key_len + BTREE_HEADER_BYTES) return 0;
    tarn_slice key = tarn_slice_head(rest, key_len);
    rest = tarn_slice_skip(rest, key_len);
    // In memory of its own, so that a step outside of it is seen.
    uint8_t *page = tarn_alloc_libc.acquire(NULL, PAGE_BYTES);
    tarn_assert(page != NULL);
    memset(page, 0, PAGE_BYTES);
    memcpy(page, rest.data, rest.len < PAGE_BYTES ? rest.len : PAGE_BYTES);
    const char *reason = NULL;
    btree_scratch scratch;
    tarn_assert(btree_scratch_init(&scratch, &tarn_alloc_libc, PAGE_BYTES));
    if (btree_page_check(page, PAGE_BYTES, &reason)) {
        for (size_t i = 0; i < btree_page_count(page); i++) {
            uint8_t text[TARN_KV_BTREE_KEY_MAX];
            size_t len = btree_page_key(page, i, text);
            bool found;
            if (btree_page_is_leaf(page)) {
                btree_value value = btree_leaf_value(page, i);
                (void)tarn_hash_bytes(value.bytes);
                (void)btree_leaf_search(page, NULL, (tarn_slice){text, len}, &found);
            }
        }
        // Changes rely on order, too, which only the bytes' own author can break: a checksum
        // guards it. So only what is in order is changed.
        bool in_order = true;
        for (size_t i = 0; i < btree_page_count(page) && btree_page_is_leaf(page); i++) {
            uint8_t text[TARN_KV_BTREE_KEY_MAX];
            bool found;
            tarn_slice own = {text, btree_page_key(page, i, text)};
            in_order = in_order && btree_leaf_search(page, NULL, own, &found) == i && found;
        }
        if (in_order && btree_page_is_leaf(page)) change(page, key, &scratch);
    } else {
        tarn_assert(reason != NULL);
    }
    btree_scratch_reset(&scratch);
    tarn_alloc_libc.release(NULL, page, PAGE_BYTES);
    return 0;
}
