// kv/btree/tree.h and cursor.h against a sorted array, on small pages, so that trees are deep.
#include "kv/btree/tree.h"

#include "base/alloc.h"
#include "kv/btree/cursor.h"
#include "kv/btree/walk.h"
#include "tests/test.h"

#define ENTRIES_MAX 1500
#define KEY_BYTES   96
#define OLD_MAX     3

typedef struct item {
    uint8_t key[KEY_BYTES];
    size_t key_len;
    uint64_t seed; // of the value
    size_t value_len;
} item;

typedef struct model {
    item items[ENTRIES_MAX];
    size_t count;
} model;

typedef struct old_version {
    btree_root root;
    uint64_t version;
    model *items;
} old_version;

typedef struct rig {
    btree_pages pages;
    btree_scratch scratch;
    btree_writer writer;
    btree_root root;
    uint64_t version;
    model *now;
    old_version old[OLD_MAX];
    size_t old_count;
    size_t page_bytes;
    int key_style;
} rig;

static int compare_reversed(void *context, tarn_slice a, tarn_slice b) {
    (void)context;
    return tarn_slice_compare(b, a);
}

static const tarn_kv_comparator reversed = {.name = "reversed", .compare = compare_reversed};

static void open_rig(rig *r, size_t page_bytes, const tarn_kv_comparator *comparator) {
    *r = (rig){.page_bytes = page_bytes, .version = 1, .key_style = (int)test_random_below(5)};
    assert_int_equal(btree_pages_init(&r->pages, &tarn_alloc_libc, page_bytes, TARN_LIT("t"), NULL),
                     TARN_OK);
    assert_true(btree_scratch_init(&r->scratch, &tarn_alloc_libc, page_bytes));
    r->writer = (btree_writer){&r->pages, &r->scratch, comparator};
    r->now = tarn_alloc_new(&tarn_alloc_libc, model, 1);
}

static void close_rig(rig *r) {
    for (size_t i = 0; i < r->old_count; i++) {
        tarn_alloc_free(&tarn_alloc_libc, r->old[i].items, 1);
    }
    tarn_alloc_free(&tarn_alloc_libc, r->now, 1);
    btree_scratch_reset(&r->scratch);
    btree_pages_reset(&r->pages);
}

static tarn_slice key_of(const item *it) {
    return (tarn_slice){it->key, it->key_len};
}

static int compare(const rig *r, tarn_slice a, tarn_slice b) {
    return r->writer.comparator == NULL ? tarn_slice_compare(a, b) : tarn_slice_compare(b, a);
}

// The first item >= key.
static size_t model_find(const rig *r, const model *m, tarn_slice key, bool *ret_found) {
    size_t begin = 0;
    size_t end = m->count;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (compare(r, key_of(&m->items[middle]), key) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    *ret_found = begin < m->count && tarn_slice_equal(key_of(&m->items[begin]), key);
    return begin;
}

// Keys of several shapes: random bytes, decimal numbers, long common prefixes, prefixes of each
// other, ascending.
static void make_key(rig *r, item *it) {
    static uint64_t next_number;
    size_t limit = btree_key_limit(r->page_bytes);
    if (limit > KEY_BYTES) limit = KEY_BYTES;
    memset(it->key, 'p', sizeof it->key);
    int style = test_random_below(20) == 0 ? (int)test_random_below(5) : r->key_style;
    if (style == 0) {
        it->key_len = 1 + test_random_below(limit < 12 ? limit : 12);
        for (size_t i = 0; i < it->key_len; i++) it->key[i] = (uint8_t)test_random();
    } else if (style == 1) {
        it->key_len = (size_t)snprintf((char *)it->key, KEY_BYTES, "%016u",
                                       (unsigned)test_random_below(3000));
    } else if (style == 2) {
        size_t prefix = test_random_below(3) * ((limit - 4) / 2);
        it->key_len = prefix + 1 + test_random_below(3);
        for (size_t i = prefix; i < it->key_len; i++) it->key[i] = (uint8_t)test_random();
    } else if (style == 3) {
        it->key_len = 1 + test_random_below(limit);
        memset(it->key, test_random_below(2) == 0 ? 0 : 1, it->key_len);
        it->key[it->key_len - 1] = (uint8_t)test_random_below(3);
    } else {
        it->key_len = (size_t)snprintf((char *)it->key, KEY_BYTES, "row%09llu",
                                       (unsigned long long)next_number++);
    }
}

static void fill(uint64_t seed, uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(seed + i * 7);
}

static void assert_value(const item *it, tarn_slice value) {
    uint8_t expected[4096];
    assert_int_equal(value.len, it->value_len);
    fill(it->seed, expected, it->value_len);
    assert_true(tarn_slice_equal(value, (tarn_slice){expected, it->value_len}));
}

// ---- operations on both ----

static void put(rig *r) {
    item it = {.seed = test_random()};
    make_key(r, &it);
    size_t size_class = test_random_below(10);
    it.value_len = test_random_below(size_class == 0 ? 3000 : size_class < 3 ? 150 : 20);
    uint8_t value[4096];
    fill(it.seed, value, it.value_len);
    bool found;
    size_t index = model_find(r, r->now, key_of(&it), &found);
    if (!found) {
        if (r->now->count == ENTRIES_MAX) return;
        memmove(r->now->items + index + 1, r->now->items + index,
                (r->now->count - index) * sizeof(item));
        r->now->count++;
    }
    r->now->items[index] = it;
    assert_int_equal(
        btree_put(&r->writer, &r->root, key_of(&it), (tarn_slice){value, it.value_len}, NULL),
        TARN_OK);
}

static void model_remove(model *m, size_t begin, size_t end) {
    memmove(m->items + begin, m->items + end, (m->count - end) * sizeof(item));
    m->count -= end - begin;
}

static void delete (rig *r) {
    item it = {0};
    make_key(r, &it);
    if (r->now->count > 0 && test_random_below(4) > 0) {
        it = r->now->items[test_random_below(r->now->count)];
    }
    bool found;
    size_t index = model_find(r, r->now, key_of(&it), &found);
    if (found) model_remove(r->now, index, index + 1);
    assert_int_equal(btree_delete(&r->writer, &r->root, key_of(&it), NULL), TARN_OK);
}

static void delete_range(rig *r) {
    item begin = {0};
    item end = {0};
    if (r->now->count == 0) return;
    size_t at = test_random_below(r->now->count);
    size_t span = test_random_below(test_random_below(4) == 0 ? r->now->count + 1 : 20);
    begin = r->now->items[at];
    size_t last = at + span < r->now->count ? at + span : r->now->count - 1;
    end = r->now->items[last];
    tarn_slice end_key = key_of(&end);
    size_t end_index = last;
    if (test_random_below(10) == 0) {
        end_key.len = 0;
        end_index = r->now->count;
    }
    assert_int_equal(btree_delete_range(&r->writer, &r->root, key_of(&begin), end_key, NULL),
                     TARN_OK);
    model_remove(r->now, at, end_index);
}

static void commit(rig *r) {
    uint64_t pinned[OLD_MAX];
    for (size_t i = 0; i < r->old_count; i++) pinned[i] = r->old[i].version;
    assert_int_equal(btree_pages_prepare(&r->pages, NULL), TARN_OK);
    btree_pages_commit(&r->pages);
    btree_horizon horizon = {.oldest = r->version, .pinned = pinned, .pinned_count = r->old_count};
    btree_pages_reclaim(&r->pages, &horizon);
}

static void transaction(rig *r) {
    btree_root before = r->root;
    model *saved = tarn_alloc_new(&tarn_alloc_libc, model, 1);
    memcpy(saved, r->now, sizeof *saved);
    r->version++;
    btree_pages_begin(&r->pages, r->version);
    size_t steps = 1 + test_random_below(30);
    bool shrinks = test_random_below(3) == 0;
    for (size_t i = 0; i < steps; i++) {
        size_t choice = test_random_below(20);
        if (choice == 0 && test_random_below(4) == 0) {
            delete_range(r);
        } else if (choice < (shrinks ? 14u : 5u)) {
            delete (r);
        } else {
            put(r);
        }
    }
    if (test_random_below(10) == 0) {
        btree_pages_abort(&r->pages);
        r->root = before;
        memcpy(r->now, saved, sizeof *saved);
    } else {
        commit(r);
    }
    tarn_alloc_free(&tarn_alloc_libc, saved, 1);
}

// ---- comparing ----

static void assert_gets(rig *r, const btree_root *root, const model *m) {
    for (int i = 0; i < 50; i++) {
        item it = {0};
        make_key(r, &it);
        if (m->count > 0 && i % 2 == 0) it = m->items[test_random_below(m->count)];
        btree_value value;
        bool found;
        bool expected;
        size_t index = model_find(r, m, key_of(&it), &expected);
        assert_int_equal(
            btree_find(&r->pages, root, r->writer.comparator, key_of(&it), &value, &found, NULL),
            TARN_OK);
        assert_int_equal(found, expected);
        if (!found) continue;
        tarn_slice bytes = {0};
        assert_int_equal(btree_value_bytes(&r->pages, &value, &bytes, NULL), TARN_OK);
        assert_value(&m->items[index], bytes);
    }
}

static void assert_stands(const btree_cursor *cursor, const model *m, size_t index, size_t begin,
                          size_t end) {
    bool expected = index >= begin && index < end;
    assert_int_equal(cursor->is_valid, expected);
    if (!expected) return;
    assert_true(tarn_slice_equal(cursor->key, key_of(&m->items[index])));
    tarn_slice value = {0};
    assert_int_equal(btree_cursor_value(cursor, &value, NULL), TARN_OK);
    assert_value(&m->items[index], value);
}

static void walk_both_ways(btree_cursor *cursor, const model *m, size_t index, size_t begin,
                           size_t end) {
    for (int i = 0; i < 30 && cursor->is_valid; i++) {
        if (test_random_below(2) == 0) {
            assert_int_equal(btree_cursor_next(cursor, NULL), TARN_OK);
            index++;
        } else {
            assert_int_equal(btree_cursor_prev(cursor, NULL), TARN_OK);
            index--; // before the first: SIZE_MAX, which is not below `end`
        }
        assert_stands(cursor, m, index, begin, end);
    }
}

static void assert_seeks(rig *r, const btree_root *root, const model *m) {
    item lower = {0};
    item upper = {0};
    bool found;
    size_t begin = 0;
    size_t end = m->count;
    if (test_random_below(2) == 0) {
        make_key(r, &lower);
        begin = model_find(r, m, key_of(&lower), &found);
    }
    if (test_random_below(2) == 0) {
        make_key(r, &upper);
        end = model_find(r, m, key_of(&upper), &found);
    }
    btree_cursor *cursor = tarn_alloc_new(&tarn_alloc_libc, btree_cursor, 1);
    btree_cursor_init(cursor, &r->pages, root, r->writer.comparator, key_of(&lower),
                      key_of(&upper));
    for (int i = 0; i < 10; i++) {
        item it = {0};
        make_key(r, &it);
        size_t index = model_find(r, m, key_of(&it), &found);
        if (i % 2 == 0) {
            assert_int_equal(btree_cursor_seek(cursor, key_of(&it), NULL), TARN_OK);
            if (index < begin) index = begin;
        } else {
            assert_int_equal(btree_cursor_seek_for_prev(cursor, key_of(&it), NULL), TARN_OK);
            index = index + found > end ? end - 1 : index + found - 1;
        }
        assert_stands(cursor, m, index, begin, end);
        walk_both_ways(cursor, m, index, begin, end);
    }
    assert_int_equal(btree_cursor_seek(cursor, (tarn_slice){NULL, 0}, NULL), TARN_OK);
    assert_stands(cursor, m, begin, begin, end);
    assert_int_equal(btree_cursor_seek_last(cursor, NULL), TARN_OK);
    assert_stands(cursor, m, end - 1, begin, end);
    tarn_alloc_free(&tarn_alloc_libc, cursor, 1);
}

static void assert_all(rig *r, const btree_root *root, const model *m) {
    assert_int_equal(root->key_count, m->count);
    btree_cursor *cursor = tarn_alloc_new(&tarn_alloc_libc, btree_cursor, 1);
    tarn_slice open = {NULL, 0};
    btree_cursor_init(cursor, &r->pages, root, r->writer.comparator, open, open);
    assert_int_equal(btree_cursor_seek(cursor, open, NULL), TARN_OK);
    for (size_t i = 0; i < m->count; i++) {
        assert_stands(cursor, m, i, 0, m->count);
        assert_int_equal(btree_cursor_next(cursor, NULL), TARN_OK);
    }
    assert_false(cursor->is_valid);
    tarn_alloc_free(&tarn_alloc_libc, cursor, 1);
}

// Every page is of the current tree, of an old one that is kept, waiting, or free.
static void assert_pages(rig *r) {
    btree_space seen;
    btree_space_init(&seen, &tarn_alloc_libc);
    assert_true(btree_space_grow(&seen, r->pages.space.page_count));
    tarn_error err = {0};
    tarn_status status = btree_walk(&r->pages, &r->root, r->writer.comparator, false, &seen, &err);
    if (status != TARN_OK) fail_msg("%s", err.message);
    for (uint32_t page = 2; page < seen.page_count; page++) {
        assert_false(btree_space_is_free(&seen, page) &&
                     btree_space_is_free(&r->pages.space, page));
    }
    if (r->old_count == 0) {
        assert_int_equal(seen.free_count + r->pages.space.free_count + 2 +
                             btree_pages_waiting(&r->pages),
                         r->pages.space.page_count);
        assert_int_equal(seen.free_count, r->root.page_count + r->root.run_pages);
    }
    btree_space_reset(&seen);
}

static void keep_or_drop_version(rig *r) {
    if (r->old_count < OLD_MAX && test_random_below(2) == 0) {
        old_version *old = &r->old[r->old_count++];
        *old = (old_version){r->root, r->version, tarn_alloc_new(&tarn_alloc_libc, model, 1)};
        memcpy(old->items, r->now, sizeof *r->now);
    } else if (r->old_count > 0) {
        size_t index = test_random_below(r->old_count);
        tarn_alloc_free(&tarn_alloc_libc, r->old[index].items, 1);
        memmove(&r->old[index], &r->old[index + 1],
                (r->old_count - index - 1) * sizeof(old_version));
        r->old_count--;
    }
}

static void run_model(size_t page_bytes, const tarn_kv_comparator *comparator) {
    rig *r = tarn_alloc_new(&tarn_alloc_libc, rig, 1);
    open_rig(r, page_bytes, comparator);
    for (int step = 0; step < 120; step++) {
        transaction(r);
        if (test_random_below(8) == 0) keep_or_drop_version(r);
        assert_gets(r, &r->root, r->now);
        assert_seeks(r, &r->root, r->now);
        if (step % 10 != 0) continue;
        assert_all(r, &r->root, r->now);
        assert_pages(r);
        for (size_t i = 0; i < r->old_count; i++) {
            assert_all(r, &r->old[i].root, r->old[i].items);
            assert_seeks(r, &r->old[i].root, r->old[i].items);
        }
    }
    r->version++;
    btree_pages_begin(&r->pages, r->version);
    assert_int_equal(btree_clear(&r->writer, &r->root, NULL), TARN_OK);
    while (r->old_count > 0) {
        tarn_alloc_free(&tarn_alloc_libc, r->old[--r->old_count].items, 1);
    }
    commit(r);
    assert_int_equal(r->pages.space.free_count + 2, r->pages.space.page_count);
    close_rig(r);
    tarn_alloc_free(&tarn_alloc_libc, r, 1);
}

TEST(agrees_with_a_sorted_array) {
    for (int round = 0; round < 6; round++) {
        run_model(round % 2 == 0 ? BTREE_PAGE_BYTES_MIN : 512, NULL);
    }
    run_model(BTREE_PAGE_BYTES, NULL);
}

TEST(agrees_with_a_sorted_array_in_another_order) {
    for (int round = 0; round < 3; round++) run_model(BTREE_PAGE_BYTES_MIN, &reversed);
}

static void put_text(rig *r, const char *key) {
    uint8_t value[20] = {0};
    assert_int_equal(btree_put(&r->writer, &r->root, tarn_slice_from_cstr(key),
                               (tarn_slice){value, sizeof value}, NULL),
                     TARN_OK);
}

// How full the leaves are after so many inserts, in percent.
static size_t fill_after(bool ascending) {
    rig *r = tarn_alloc_new(&tarn_alloc_libc, rig, 1);
    open_rig(r, 512, NULL);
    r->version++;
    btree_pages_begin(&r->pages, r->version);
    size_t used = 0;
    for (unsigned i = 0; i < 2000; i++) {
        char key[32];
        // Two ascending runs side by side.
        unsigned number =
            ascending ? i / 2 + (i % 2) * 500000 : (unsigned)test_random_below(900000);
        used += (size_t)snprintf(key, sizeof key, "%010u", number);
        put_text(r, key);
    }
    used = r->root.key_count * (20 + 4 + 6 + 3); // value, cell, slot, about what is left of a key
    size_t percent = used * 100 / (r->root.page_count * 512);
    close_rig(r);
    tarn_alloc_free(&tarn_alloc_libc, r, 1);
    return percent;
}

TEST(ascending_inserts_leave_full_pages) {
    assert_true(fill_after(true) > 80);
    assert_in_range(fill_after(false), 45, 80);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_sorted_array),
        cmocka_unit_test(agrees_with_a_sorted_array_in_another_order),
        cmocka_unit_test(ascending_inserts_leave_full_pages),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
