// kv/btree/state.h, and the bytes of the format document.
#include "kv/btree/state.h"

#include "base/alloc.h"
#include "tests/test.h"

TEST(what_is_encoded_is_decoded) {
    for (int round = 0; round < 200; round++) {
        uint32_t page_count = 10 + (uint32_t)test_random_below(500);
        btree_space free;
        btree_space space;
        btree_space_init(&free, &tarn_alloc_libc);
        btree_space_init(&space, &tarn_alloc_libc);
        assert_true(btree_space_grow(&free, page_count));
        assert_true(btree_space_grow(&space, page_count));
        for (uint32_t page = 2; page < page_count; page++) {
            if (test_random_below(3) == 0) btree_space_give(&free, page, 1);
        }
        btree_family_root roots[3] = {
            {0, {5, 2, 100, 9, 3}}, {7, {0, 0, 0, 0, 0}}, {9, {2, 0, 1, 1, 0}}};
        tarn_buffer body = {0};
        size_t count = test_random_below(4);
        assert_true(btree_state_encode(roots, count, &free, &body));
        btree_meta meta = {.page_count = page_count};
        tarn_arena arena;
        tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
        btree_state found = {0};
        assert_int_equal(
            btree_state_decode(tarn_buffer_slice(&body), &meta, &arena, &space, &found, NULL),
            TARN_OK);
        assert_int_equal(found.family_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_memory_equal(&found.families[i].root, &roots[i].root, sizeof(btree_root));
        }
        for (uint32_t page = 0; page < page_count; page++) {
            assert_int_equal(btree_space_is_free(&free, page), btree_space_is_free(&space, page));
        }
        // Cut anywhere, it is refused.
        tarn_slice cut = tarn_slice_head(tarn_buffer_slice(&body), test_random_below(body.len));
        btree_space_reset(&space);
        assert_true(btree_space_grow(&space, page_count));
        assert_int_equal(btree_state_decode(cut, &meta, &arena, &space, &found, NULL),
                         TARN_CORRUPT);
        tarn_arena_reset(&arena);
        tarn_buffer_free(&body);
        btree_space_reset(&free);
        btree_space_reset(&space);
    }
}

TEST(a_damaged_meta_page_is_refused) {
    uint8_t page[4096];
    btree_meta meta = {.number = 3,
                       .version = 9,
                       .sequence = 40,
                       .page_count = 12,
                       .state_page = 4,
                       .state_pages = 1};
    btree_meta_encode(&meta, page, sizeof page);
    btree_meta decoded = {0};
    const char *reason = NULL;
    assert_true(btree_meta_decode(page, sizeof page, &decoded, &reason));
    assert_int_equal(decoded.number, meta.number);
    assert_int_equal(decoded.sequence, meta.sequence);
    assert_int_equal(decoded.state_page, meta.state_page);
    for (size_t i = 0; i < sizeof page; i++) {
        page[i] ^= 1;
        assert_false(btree_meta_decode(page, sizeof page, &decoded, &reason));
        page[i] ^= 1;
    }
}

// ---- golden: docs/formats/kv-btree.md, "Worked example" ----

static void put(uint8_t *leaf, btree_scratch *scratch, const char *key, const char *value) {
    tarn_slice k = tarn_slice_from_cstr(key);
    btree_value v = {.bytes = tarn_slice_from_cstr(value)};
    bool found;
    size_t index = btree_leaf_search(leaf, NULL, k, &found);
    assert_true(btree_leaf_insert(leaf, NULL, index, k, &v, scratch));
}

static void assert_bytes(const uint8_t *bytes, size_t len, const char *hex) {
    char text[1024];
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, i == 0 ? "%02x" : " %02x", bytes[i]);
    }
    assert_string_equal(text, hex);
}

TEST(pages_have_the_bytes_of_the_format_document) {
    enum { SIZE = 256 };
    btree_scratch scratch;
    assert_true(btree_scratch_init(&scratch, &tarn_alloc_libc, SIZE));
    uint8_t leaf[SIZE] = {0};
    tarn_store_u32(leaf + BTREE_AT_PAGE, 5);
    tarn_store_u32(leaf + BTREE_AT_RUN_PAGES, 1);
    tarn_store_u64(leaf + BTREE_AT_VERSION, 3);
    btree_page_init(leaf, SIZE, BTREE_LEAF, 0);
    put(leaf, &scratch, "user/ann", "1");
    put(leaf, &scratch, "user/bob", "22");
    // Too long for the page: takes it apart and finds the common prefix.
    uint8_t right[SIZE] = {0};
    btree_page_init(right, SIZE, BTREE_LEAF, 0);
    uint8_t separator[64];
    char filler[200];
    memset(filler, 'x', sizeof filler);
    btree_entry entry = {.suffix = TARN_LIT("user/carol"),
                         .value = {.bytes = {(const uint8_t *)filler, 180}}};
    size_t len = btree_page_split(leaf, right, NULL, 2, &entry, &scratch, separator);
    assert_bytes(separator, len, "75 73 65 72 2f 63");
    tarn_store_u64(leaf, btree_page_checksum(leaf, SIZE));
    assert_bytes(leaf, 52,
                 "ec 57 5c 1f cb bb c1 c6 05 00 00 00 01 00 00 00 03 00 00 00 00 00 00 00 02 00 02 "
                 "00 ea 00 00 00 05 00 fb 00 00 00 00 00 00 6e 6e 61 00 62 6f 62 f3 00 ea 00");
    assert_bytes(leaf + 234, 22,
                 "03 00 02 00 62 6f 62 32 32 03 00 01 00 61 6e 6e 31 75 73 65 72 2f");
    btree_scratch_reset(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(a_damaged_meta_page_is_refused),
        cmocka_unit_test(pages_have_the_bytes_of_the_format_document),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
