// kv/btree/space.h against an array of booleans.
#include "kv/btree/space.h"

#include "tests/test.h"

#define PAGES_MAX 700

typedef struct model {
    bool is_free[PAGES_MAX];
    uint32_t page_count;
} model;

// The lowest extent of `count` pages, or page_count.
static uint32_t model_find(const model *m, uint32_t count) {
    for (uint32_t page = 0, len = 0; page < m->page_count; page++) {
        len = m->is_free[page] ? len + 1 : 0;
        if (len == count) return page + 1 - count;
    }
    return m->page_count;
}

static void assert_same(const btree_space *space, const model *m) {
    uint32_t free_count = 0;
    for (uint32_t page = 0; page < m->page_count; page++) {
        assert_int_equal(btree_space_is_free(space, page), m->is_free[page]);
        free_count += m->is_free[page];
    }
    assert_int_equal(space->free_count, free_count);
    uint32_t seen = 0;
    uint32_t page = 0;
    uint32_t count = 0;
    for (uint32_t at = 0; btree_space_next(space, at, &page, &count); at = page + count) {
        assert_true(page >= at && count > 0);
        for (uint32_t i = 0; i < count; i++) assert_true(m->is_free[page + i]);
        seen += count;
    }
    assert_int_equal(seen, free_count);
}

static void set(model *m, uint32_t page, uint32_t count, bool is_free) {
    for (uint32_t i = 0; i < count; i++) m->is_free[page + i] = is_free;
}

TEST(takes_the_lowest_extent_that_is_long_enough) {
    for (int round = 0; round < 20; round++) {
        btree_space space;
        btree_space_init(&space, &tarn_alloc_libc);
        model m = {0};
        for (int step = 0; step < 600; step++) {
            uint32_t count = 1 + (uint32_t)test_random_below(step % 7 == 0 ? 150 : 4);
            size_t choice = test_random_below(8);
            uint32_t page = 0;
            if (choice < 3) {
                uint32_t expected = model_find(&m, count);
                bool taken = btree_space_take(&space, count, &page);
                assert_int_equal(taken, expected < m.page_count);
                if (taken) {
                    assert_int_equal(page, expected);
                    set(&m, page, count, false);
                }
            } else if (choice == 3 && m.page_count + count <= PAGES_MAX) {
                uint32_t tail = btree_space_tail(&space);
                assert_true(btree_space_extend(&space, count, &page));
                assert_int_equal(page, m.page_count - (tail < count ? tail : count));
                if (page + count > m.page_count) m.page_count = page + count;
                set(&m, page, count, false);
            } else if (choice == 4 && step % 5 == 0) {
                uint32_t tail = btree_space_tail(&space);
                btree_space_shrink(&space, tail);
                set(&m, m.page_count - tail, tail, false);
                m.page_count -= tail;
            } else if (m.page_count > 0) {
                // Gives back what is used at a random place.
                page = (uint32_t)test_random_below(m.page_count);
                uint32_t len = 0;
                while (len < count && page + len < m.page_count && !m.is_free[page + len]) len++;
                if (len > 0) btree_space_give(&space, page, len);
                set(&m, page, len, true);
            }
            if (step % 10 == 0) assert_same(&space, &m);
        }
        btree_space_reset(&space);
    }
}

TEST(an_empty_space_has_nothing) {
    btree_space space;
    btree_space_init(&space, &tarn_alloc_libc);
    uint32_t page = 0;
    uint32_t count = 0;
    assert_false(btree_space_take(&space, 1, &page));
    assert_false(btree_space_next(&space, 0, &page, &count));
    assert_int_equal(btree_space_tail(&space), 0);
    assert_true(btree_space_grow(&space, 2));
    assert_false(btree_space_take(&space, 1, &page));
    btree_space_reset(&space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_lowest_extent_that_is_long_enough),
        cmocka_unit_test(an_empty_space_has_nothing),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
