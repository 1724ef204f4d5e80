#include "kv/lsm/memtable.h"

#include <stdio.h>

#include "os/os.h"
#include "tests/test.h"

static tarn_error err;
static const lsm_memtable_index *const all_indexes[] = {&lsm_index_tree, &lsm_index_skip};
enum { INDEX_COUNT = 2 };

static int compare_backwards(void *context, tarn_slice a, tarn_slice b) {
    (void)context;
    return tarn_slice_compare(b, a);
}

static const tarn_kv_comparator backwards = {"backwards", compare_backwards, NULL};

static lsm_memtable *new_memtable(const lsm_memtable_index *index, lsm_order order) {
    lsm_memtable *memtable = NULL;
    assert_int_equal(lsm_memtable_new(&tarn_alloc_libc, order, index, &memtable, &err), TARN_OK);
    return memtable;
}

// ---- the model: an array of records, sorted when it is read ----

typedef struct model_entry {
    char key[48];
    size_t key_len;
    uint64_t trailer;
} model_entry;

typedef struct model {
    model_entry entries[4000];
    size_t count;
    lsm_order order;
} model;

static model sorted;

static tarn_slice model_key(const model_entry *entry) {
    return (tarn_slice){(const uint8_t *)entry->key, entry->key_len};
}

static int compare_entries(const void *a, const void *b) {
    const model_entry *x = a;
    const model_entry *y = b;
    return lsm_compare(sorted.order, model_key(x), x->trailer, model_key(y), y->trailer);
}

// Keys of several shapes: short, with long common beginnings, ending in zeros, one of another.
static size_t random_key(char key[48]) {
    size_t n = test_random_below(600);
    switch (test_random_below(4)) {
    case 0: return (size_t)snprintf(key, 48, "%016zu", n);
    case 1: return (size_t)snprintf(key, 48, "a-long-common-beginning/%zu", n % 50);
    case 2:
        memset(key, 0, 48);
        key[0] = 'z';
        return 1 + n % 12;
    default: key[0] = (char)n; return 1;
    }
}

static void fill(lsm_memtable *memtables[INDEX_COUNT], lsm_order order, size_t count) {
    sorted.order = order;
    sorted.count = count;
    for (size_t i = 0; i < count; i++) {
        model_entry *entry = &sorted.entries[i];
        entry->key_len = random_key(entry->key);
        entry->trailer = lsm_trailer(i + 1, test_random_below(2) == 0 ? KV_PUT : KV_DELETE);
        for (size_t k = 0; k < INDEX_COUNT; k++) {
            uint64_t number = i;
            tarn_slice value = {(const uint8_t *)&number, sizeof number};
            assert_int_equal(lsm_memtable_add(memtables[k], i + 1, lsm_trailer_kind(entry->trailer),
                                              model_key(entry), value, &err),
                             TARN_OK);
        }
    }
    qsort(sorted.entries, sorted.count, sizeof sorted.entries[0], compare_entries);
}

static void expect(const lsm_cursor *cursor, size_t position) {
    if (position >= sorted.count) {
        assert_null(cursor->record);
        return;
    }
    const model_entry *entry = &sorted.entries[position];
    assert_non_null(cursor->record);
    assert_int_equal(cursor->record->trailer, entry->trailer);
    assert_true(tarn_slice_equal(lsm_record_key(cursor->record), model_key(entry)));
    uint64_t number = 0;
    memcpy(&number, lsm_record_value(cursor->record).data, sizeof number);
    assert_int_equal(number + 1, lsm_trailer_sequence(entry->trailer));
}

static void walk_both_ways(const lsm_memtable *memtable) {
    lsm_cursor cursor;
    lsm_cursor_init(&cursor, memtable);
    lsm_cursor_seek_first(&cursor);
    for (size_t i = 0; i <= sorted.count; i++) {
        expect(&cursor, i);
        if (i < sorted.count) lsm_cursor_next(&cursor);
    }
    lsm_cursor_seek_last(&cursor);
    for (size_t i = sorted.count; i-- > 0;) {
        expect(&cursor, i);
        lsm_cursor_prev(&cursor);
    }
    assert_null(cursor.record);
}

static void seek_anywhere(const lsm_memtable *memtable) {
    lsm_cursor cursor;
    lsm_cursor_init(&cursor, memtable);
    for (int round = 0; round < 2000; round++) {
        model_entry wanted = {.trailer = lsm_trailer_newest(test_random_below(sorted.count + 2))};
        wanted.key_len = random_key(wanted.key);
        if (round % 5 == 0) wanted.trailer = 0; // behind all versions of the key
        size_t position = 0;
        while (position < sorted.count && compare_entries(&sorted.entries[position], &wanted) < 0) {
            position++;
        }
        lsm_cursor_seek(&cursor, model_key(&wanted), wanted.trailer);
        expect(&cursor, position);
        lsm_cursor_seek_before(&cursor, model_key(&wanted), wanted.trailer);
        expect(&cursor, position == 0 ? SIZE_MAX : position - 1);
    }
}

static void compare_with_the_model(lsm_order order) {
    for (size_t count = 1; count <= 4000; count = count * 5 + test_random_below(3)) {
        lsm_memtable *memtables[INDEX_COUNT];
        for (size_t k = 0; k < INDEX_COUNT; k++) memtables[k] = new_memtable(all_indexes[k], order);
        fill(memtables, order, count);
        for (size_t k = 0; k < INDEX_COUNT; k++) {
            walk_both_ways(memtables[k]);
            seek_anywhere(memtables[k]);
            lsm_memtable_unref(memtables[k]);
        }
    }
}

TEST(both_indexes_agree_with_a_sorted_array) {
    compare_with_the_model((lsm_order){NULL});
}

TEST(a_comparator_decides_the_order) {
    compare_with_the_model((lsm_order){&backwards});
}

TEST(keys_in_order_are_found_whichever_way_they_come) {
    for (size_t k = 0; k < INDEX_COUNT; k++) {
        for (int descending = 0; descending < 2; descending++) {
            lsm_memtable *memtable = new_memtable(all_indexes[k], (lsm_order){NULL});
            for (uint64_t i = 0; i < 5000; i++) {
                uint8_t key[8];
                tarn_store_u64_be(key, descending != 0 ? 5000 - i : i);
                assert_int_equal(lsm_memtable_add(memtable, i + 1, KV_PUT, (tarn_slice){key, 8},
                                                  (tarn_slice){NULL, 0}, &err),
                                 TARN_OK);
            }
            lsm_cursor cursor;
            lsm_cursor_init(&cursor, memtable);
            size_t count = 0;
            for (lsm_cursor_seek_first(&cursor); cursor.record != NULL; lsm_cursor_next(&cursor)) {
                count++;
            }
            assert_int_equal(count, 5000);
            lsm_memtable_unref(memtable);
        }
    }
}

TEST(range_tombstones_cover_what_they_say) {
    lsm_memtable *memtable = new_memtable(NULL, (lsm_order){NULL});
    lsm_range added[60];
    char texts[120][8];
    for (size_t i = 0; i < 60; i++) {
        (void)snprintf(texts[2 * i], 8, "%03zu", test_random_below(300));
        (void)snprintf(texts[2 * i + 1], 8, "%03zu", test_random_below(300));
        added[i] = (lsm_range){tarn_slice_from_cstr(texts[2 * i]),
                               tarn_slice_from_cstr(texts[2 * i + 1]), i + 1};
        if (i % 20 == 7) added[i].end = (tarn_slice){NULL, 0};
        assert_int_equal(
            lsm_memtable_add(memtable, i + 1, KV_DELETE_RANGE, added[i].begin, added[i].end, &err),
            TARN_OK);
    }
    for (int key_number = 0; key_number < 300; key_number++) {
        char text[16];
        (void)snprintf(text, 16, "%03d", key_number);
        tarn_slice key = tarn_slice_from_cstr(text);
        for (uint64_t at = 0; at <= 60; at += 7) {
            uint64_t expected = 0;
            for (size_t i = 0; i < at; i++) {
                if (tarn_slice_compare(added[i].begin, key) <= 0 &&
                    (added[i].end.len == 0 || tarn_slice_compare(key, added[i].end) < 0)) {
                    expected = added[i].sequence;
                }
            }
            assert_int_equal(lsm_ranges_cover(lsm_memtable_ranges(memtable), key, at), expected);
        }
    }
    lsm_memtable_unref(memtable);
}

// ---- threads ----

enum { WRITERS = 3, ENTRIES = 4000 };

typedef struct worker {
    lsm_memtable *memtable;
    uint64_t number;
    _Atomic int *writers_left;
    bool has_failed;
} worker;

// Writers take every third key, in an order of their own.
static void write_entries(void *context) {
    worker *w = context;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        uint64_t n = (i * 1237 % ENTRIES) * WRITERS + w->number;
        uint8_t key[8];
        tarn_store_u64_be(key, n);
        tarn_slice value = {key, 8};
        if (lsm_memtable_add(w->memtable, n + 1, KV_PUT, (tarn_slice){key, 8}, value, NULL) !=
            TARN_OK) {
            w->has_failed = true;
        }
    }
    atomic_fetch_sub(w->writers_left, 1);
}

// Whatever the writers do, a reader sees keys in order, with their values, and finds again what it
// has seen.
static void read_entries(void *context) {
    worker *w = context;
    lsm_cursor cursor;
    lsm_cursor_init(&cursor, w->memtable);
    while (atomic_load(w->writers_left) > 0) {
        uint64_t last = 0;
        bool is_first = true;
        for (lsm_cursor_seek_first(&cursor); cursor.record != NULL; lsm_cursor_next(&cursor)) {
            uint64_t n = tarn_load_u64_be(cursor.record->bytes);
            if (!is_first && n <= last) w->has_failed = true;
            if (!tarn_slice_equal(lsm_record_key(cursor.record), lsm_record_value(cursor.record))) {
                w->has_failed = true;
            }
            last = n;
            is_first = false;
        }
        if (is_first) continue;
        uint8_t key[8];
        tarn_store_u64_be(key, last);
        lsm_cursor_seek(&cursor, (tarn_slice){key, 8}, lsm_trailer_newest(LSM_SEQUENCE_MAX));
        if (cursor.record == NULL || tarn_load_u64_be(cursor.record->bytes) != last) {
            w->has_failed = true;
        }
        lsm_cursor_seek_last(&cursor);
        if (cursor.record == NULL || tarn_load_u64_be(cursor.record->bytes) < last) {
            w->has_failed = true;
        }
    }
}

TEST(threads_add_while_others_read) {
    for (size_t k = 0; k < INDEX_COUNT; k++) {
        lsm_memtable *memtable = new_memtable(all_indexes[k], (lsm_order){NULL});
        _Atomic int writers_left = WRITERS;
        worker workers[WRITERS + 2];
        tarn_thread *threads[WRITERS + 2];
        for (size_t i = 0; i < WRITERS + 2; i++) {
            workers[i] = (worker){memtable, i, &writers_left, false};
            assert_int_equal(tarn_thread_start(i < WRITERS ? write_entries : read_entries,
                                               &workers[i], &threads[i], &err),
                             TARN_OK);
        }
        for (size_t i = 0; i < WRITERS + 2; i++) {
            tarn_thread_join(threads[i]);
            assert_false(workers[i].has_failed);
        }
        lsm_cursor cursor;
        lsm_cursor_init(&cursor, memtable);
        uint64_t n = 0;
        for (lsm_cursor_seek_first(&cursor); cursor.record != NULL; lsm_cursor_next(&cursor)) {
            assert_int_equal(tarn_load_u64_be(cursor.record->bytes), n++);
        }
        assert_int_equal(n, (uint64_t)ENTRIES * WRITERS);
        lsm_memtable_unref(memtable);
    }
}

// ---- memory ----

typedef struct failing {
    size_t calls_left;
} failing;

static void *acquire_or_fail(void *context, size_t size_bytes) {
    failing *f = context;
    if (f->calls_left == 0) return NULL;
    f->calls_left--;
    return tarn_alloc_libc.acquire(tarn_alloc_libc.context, size_bytes);
}

static void release(void *context, void *memory, size_t size_bytes) {
    (void)context;
    tarn_alloc_libc.release(tarn_alloc_libc.context, memory, size_bytes);
}

TEST(a_failed_addition_adds_nothing) {
    for (size_t limit = 0; limit < 6; limit++) {
        failing f = {limit};
        tarn_alloc alloc = {acquire_or_fail, release, &f};
        lsm_memtable *memtable = NULL;
        tarn_status status = lsm_memtable_new(&alloc, (lsm_order){NULL}, NULL, &memtable, &err);
        uint64_t added = 0;
        while (status == TARN_OK) {
            uint8_t key[8];
            tarn_store_u64_be(key, added * 7919 % 100000);
            bool is_range = added % 100 == 99;
            status = lsm_memtable_add(memtable, added + 1, is_range ? KV_DELETE_RANGE : KV_PUT,
                                      (tarn_slice){key, 8}, (tarn_slice){NULL, 0}, &err);
            if (status == TARN_OK) added++;
        }
        assert_int_equal(status, TARN_NO_MEMORY);
        if (memtable == NULL) continue;
        lsm_cursor cursor;
        lsm_cursor_init(&cursor, memtable);
        uint64_t count = 0;
        for (lsm_cursor_seek_first(&cursor); cursor.record != NULL; lsm_cursor_next(&cursor)) {
            count++;
        }
        assert_int_equal(count, added - added / 100);
        lsm_memtable_unref(memtable);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_indexes_agree_with_a_sorted_array),
        cmocka_unit_test(a_comparator_decides_the_order),
        cmocka_unit_test(keys_in_order_are_found_whichever_way_they_come),
        cmocka_unit_test(range_tombstones_cover_what_they_say),
        cmocka_unit_test(threads_add_while_others_read),
        cmocka_unit_test(a_failed_addition_adds_nothing),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
