#include <string.h>

#include "op/op_internal.h"
#include "op/ordered.h"
#include "tests/test.h"

#define KEYS 200

// A table of bigint keys; behind the keys a group holds its key times three.
typedef struct fixture {
    tarn_arena arena;
    op_layout layout;
    op_groups table;
    size_t live[KEYS]; // 1 where the model has the key
} fixture;

static void open_fixture(fixture *f, bool removable) {
    *f = (fixture){0};
    tarn_error err = {0};
    tarn_arena_init(&f->arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_type type = tarn_type_of(TARN_TYPE_BIGINT);
    assert_int_equal(op_layout_init(&f->layout, &type, 1, OP_GROUP_NULL_OFFSET, &f->arena, &err),
                     TARN_OK);
    op_groups_init(&f->table, &tarn_alloc_libc, &f->layout, f->layout.end_offset + sizeof(int64_t),
                   removable);
}

static void close_fixture(fixture *f) {
    op_groups_free(&f->table);
    tarn_arena_reset(&f->arena);
}

// Few different hashes, so that runs of slots are long and groups collide in all their bits.
static uint64_t poor_hash(int64_t key) {
    return (uint64_t)(key % 5) << 60 | (uint64_t)(key % 23);
}

static void probe(fixture *f, const int64_t *keys, size_t count, bool add, uint8_t **groups) {
    tarn_error err = {0};
    uint64_t hashes[TARN_CHUNK_ROWS];
    for (size_t i = 0; i < count; i++) hashes[i] = poor_hash(keys[i]);
    tarn_vector vector = {.type = tarn_type_of(TARN_TYPE_BIGINT), .data = (void *)(uintptr_t)keys};
    tarn_chunk chunk = {.row_count = count, .column_count = 1, .columns = &vector};
    uint8_t *added[TARN_CHUNK_ROWS];
    op_probe lookup = {
        .keys = &vector, .chunk = &chunk, .hashes = hashes, .add = add, .added = added};
    assert_int_equal(op_groups_probe(&f->table, &lookup, groups, &err), TARN_OK);
    for (size_t i = 0; i < lookup.added_count; i++) {
        int64_t key;
        memcpy(&key, added[i] + f->layout.offsets[0], sizeof key);
        assert_int_equal(f->live[key], 0);
        f->live[key] = 1;
        key *= 3;
        memcpy(added[i] + f->layout.end_offset, &key, sizeof key);
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(groups[i] != NULL, f->live[keys[i]]);
        if (groups[i] == NULL) continue;
        int64_t triple;
        memcpy(&triple, groups[i] + f->layout.end_offset, sizeof triple);
        assert_int_equal(triple, 3 * keys[i]);
    }
}

static void check_all(fixture *f) {
    size_t count = 0;
    for (int64_t key = 0; key < KEYS; key++) {
        uint8_t *group;
        probe(f, &key, 1, false, &group);
        count += f->live[key];
    }
    assert_int_equal(f->table.count, count);
    op_groups_iterator iterator = op_groups_begin(&f->table);
    while (op_groups_next(&f->table, &iterator) != NULL) count--;
    assert_int_equal(count, 0);
}

TEST(groups_are_found_added_and_removed_as_a_set_says) {
    fixture f;
    open_fixture(&f, true);
    for (size_t round = 0; round < 400; round++) {
        int64_t keys[TARN_CHUNK_ROWS];
        uint8_t *groups[TARN_CHUNK_ROWS];
        size_t count = 1 + test_random_below(TARN_CHUNK_ROWS < 60 ? TARN_CHUNK_ROWS : 60);
        for (size_t i = 0; i < count; i++) keys[i] = (int64_t)test_random_below(KEYS);
        probe(&f, keys, count, test_random_below(3) > 0, groups);
        for (size_t i = 0; i < count; i++) {
            if (groups[i] == NULL || f.live[keys[i]] == 0 || test_random_below(2) == 0) continue;
            op_groups_remove(&f.table, groups[i]);
            f.live[keys[i]] = 0;
        }
        if (round % 20 == 0) check_all(&f);
    }
    check_all(&f);
    close_fixture(&f);
}

// Equal keys lie in three tables; the set is begun again and again, smaller and larger.
TEST(a_set_keeps_the_first_of_equal_groups) {
    fixture tables[3];
    op_group_set set = {.alloc = &tarn_alloc_libc, .keys = &tables[0].layout};
    for (size_t t = 0; t < 3; t++) open_fixture(&tables[t], false);
    for (size_t round = 0; round < 50; round++) {
        uint8_t *first[KEYS] = {0};
        size_t limit = 1 + test_random_below(KEYS);
        assert_true(op_group_set_begin(&set, 3 * limit));
        for (size_t i = 0; i < 3 * limit; i++) {
            int64_t key = (int64_t)test_random_below(limit);
            uint8_t *group;
            probe(&tables[test_random_below(3)], &key, 1, true, &group);
            if (first[key] == NULL) first[key] = group;
            assert_ptr_equal(op_group_set_add(&set, group), first[key]);
        }
    }
    op_group_set_free(&set);
    for (size_t t = 0; t < 3; t++) close_fixture(&tables[t]);
}

TEST(hidden_groups_stay_but_their_keys_get_new_ones) {
    fixture f;
    open_fixture(&f, false);
    size_t made = 0;
    for (size_t round = 0; round < 20; round++) {
        if (round % 4 == 0) {
            op_groups_hide(&f.table);
            assert_int_equal(op_groups_room(&f.table),
                             f.table.slot_count == 0 ? 0 : (f.table.slot_count - 1) * 5 / 8);
            memset(f.live, 0, sizeof f.live);
        }
        for (size_t i = 0; i < 30; i++) {
            int64_t key = (int64_t)test_random_below(KEYS);
            uint8_t *group;
            made += f.live[key] == 0;
            probe(&f, &key, 1, true, &group);
        }
    }
    assert_int_equal(f.table.count, made);
    op_groups_iterator iterator = op_groups_begin(&f.table);
    while (op_groups_next(&f.table, &iterator) != NULL) made--;
    assert_int_equal(made, 0);
    close_fixture(&f);
}

TEST(every_type_of_key_equals_what_postgres_calls_equal) {
    tarn_error err = {0};
    const struct {
        tarn_type_id type;
        const char *a;
        const char *b;
        bool equal;
    } cases[] = {
        {TARN_TYPE_BOOLEAN, "t", "true", true},
        {TARN_TYPE_SMALLINT, "7", "8", false},
        {TARN_TYPE_REAL, "NaN", "NaN", true},
        {TARN_TYPE_DOUBLE, "-0.0", "0", true},
        {TARN_TYPE_DOUBLE, "NaN", "1", false},
        {TARN_TYPE_NUMERIC, "1.50", "1.5", true},
        {TARN_TYPE_TEXT, "thirteen byte", "thirteen byte", true},
        {TARN_TYPE_TEXT, "thirteen byte", "thirteen bytf", false},
        {TARN_TYPE_TEXT, "", "a", false},
        {TARN_TYPE_BYTEA, "\\x00", "\\x0000", false},
        {TARN_TYPE_INTERVAL, "1 month", "30 days", true},
        {TARN_TYPE_INTERVAL, "1 day", "24 hours", true},
        {TARN_TYPE_DATE, "2001-01-01", "2001-01-02", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_arena arena;
        tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
        tarn_type type = tarn_type_of(cases[i].type);
        tarn_vector vector;
        assert_int_equal(tarn_vector_init_flat(&vector, type, 4, &arena, &err), TARN_OK);
        assert_int_equal(tarn_vector_make_validity(&vector, 4, &arena, &err), TARN_OK);
        tarn_value a;
        tarn_value b;
        assert_int_equal(tarn_value_parse(type, tarn_slice_from_cstr(cases[i].a), &arena, &a, &err),
                         TARN_OK);
        assert_int_equal(tarn_value_parse(type, tarn_slice_from_cstr(cases[i].b), &arena, &b, &err),
                         TARN_OK);
        tarn_vector_set(&vector, 0, a);
        tarn_vector_set(&vector, 1, b);
        tarn_vector_set(&vector, 2, tarn_value_null(type));
        tarn_vector_set(&vector, 3, tarn_value_null(type));
        op_layout layout;
        assert_int_equal(op_layout_init(&layout, &type, 1, OP_GROUP_NULL_OFFSET, &arena, &err),
                         TARN_OK);
        op_groups table;
        op_groups_init(&table, &tarn_alloc_libc, &layout, layout.end_offset, false);
        tarn_chunk chunk = {.row_count = 4, .column_count = 1, .columns = &vector};
        uint64_t hashes[4];
        uint8_t *groups[4];
        op_hash_rows(&vector, 1, &chunk, hashes);
        op_probe lookup = {.keys = &vector, .chunk = &chunk, .hashes = hashes, .add = true};
        assert_int_equal(op_groups_probe(&table, &lookup, groups, &err), TARN_OK);
        assert_int_equal(groups[0] == groups[1], cases[i].equal);
        assert_ptr_equal(groups[2], groups[3]);
        assert_ptr_not_equal(groups[0], groups[2]);
        op_groups_free(&table);
        tarn_arena_reset(&arena);
    }
}

TEST(an_ordered_set_keeps_order_and_counts) {
    ordered_set set = {0};
    int64_t counts[100] = {0};
    for (size_t round = 0; round < 3000; round++) {
        size_t n = test_random_below(100);
        uint8_t key[1] = {(uint8_t)(n / 10)};
        uint8_t row[1] = {(uint8_t)(n % 10)};
        ordered_entry *entry = ordered_set_find(&set, (tarn_slice){key, 1}, (tarn_slice){row, 1},
                                                test_random(), &tarn_alloc_libc);
        assert_int_equal(entry->count, counts[n]);
        int64_t change = counts[n] > 0 && test_random_below(2) == 0 ? -1 : 1;
        entry->count += change;
        counts[n] += change;
        set.copies += change;
        if (counts[n] == 0) ordered_set_remove(&set, entry, &tarn_alloc_libc);
    }
    const ordered_entry *entry = set.heads[0];
    const ordered_entry *last = NULL;
    int64_t copies = 0;
    for (size_t n = 0; n < 100; n++) {
        if (counts[n] == 0) continue;
        assert_int_equal(entry->key.data[0] * 10 + entry->row.data[0], n);
        assert_int_equal(entry->count, counts[n]);
        copies += counts[n];
        last = entry;
        entry = entry->next[0];
    }
    assert_null(entry);
    assert_ptr_equal(ordered_set_last(&set), last);
    assert_int_equal(set.copies, copies);
    ordered_set_clear(&set, &tarn_alloc_libc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_found_added_and_removed_as_a_set_says),
        cmocka_unit_test(a_set_keeps_the_first_of_equal_groups),
        cmocka_unit_test(hidden_groups_stay_but_their_keys_get_new_ones),
        cmocka_unit_test(every_type_of_key_equals_what_postgres_calls_equal),
        cmocka_unit_test(an_ordered_set_keeps_order_and_counts),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
