#include "tests/column/helpers.h"

#define ROUNDS    400
#define ROWS_MOST (TARN_CHUNK_ROWS < 300 ? TARN_CHUNK_ROWS : 300)

static tarn_vector_kind random_kind(void) {
    return (tarn_vector_kind)test_random_below(3);
}

// The simplest model of a vector: an array of values, read one by one.
static void assert_rows_equal(const tarn_vector *actual, const tarn_vector *source,
                              const uint32_t *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_value_equal(tarn_vector_get(actual, i),
                           tarn_vector_get(source, rows == NULL ? i : rows[i]));
    }
}

TEST(flatten_and_gather_take_the_named_rows) {
    for (int round = 0; round < ROUNDS; round++) {
        tarn_arena arena = test_arena();
        size_t row_count = 1 + test_random_below(ROWS_MOST);
        tarn_vector_kind kind = random_kind();
        tarn_vector source = random_vector(kind, random_type(), row_count, &arena);
        size_t count = row_count;
        const uint32_t *rows =
            test_random_below(2) == 0 ? NULL : random_selection(row_count, &count, &arena);

        tarn_vector flat;
        assert_int_equal(tarn_vector_flatten(&source, rows, count, &arena, &flat, NULL), TARN_OK);
        assert_int_equal(flat.kind, TARN_VECTOR_FLAT);
        assert_rows_equal(&flat, &source, rows, count);

        tarn_vector gathered;
        assert_int_equal(tarn_vector_gather(&source, rows, count, &arena, &gathered, NULL),
                         TARN_OK);
        assert_int_equal(gathered.kind, kind);
        assert_ptr_equal(gathered.dictionary, source.dictionary);
        assert_rows_equal(&gathered, &source, rows, count);

        tarn_dictionary_unref(source.dictionary);
        tarn_arena_reset(&arena);
    }
}

TEST(rows_may_repeat_and_come_in_any_order) {
    tarn_arena arena = test_arena();
    tarn_vector source = random_flat(tarn_type_of(TARN_TYPE_INTEGER), 8, true, &arena);
    const uint32_t rows[] = {7, 0, 0, 3, 7, 1, 2, 5, 4, 6, 7};
    tarn_vector flat;
    assert_int_equal(tarn_vector_flatten(&source, rows, 11, &arena, &flat, NULL), TARN_OK);
    assert_rows_equal(&flat, &source, rows, 11);
    tarn_arena_reset(&arena);
}

TEST(a_vector_of_nulls_needs_no_values) {
    tarn_arena arena = test_arena();
    tarn_vector dictionary = {.type = tarn_type_of(TARN_TYPE_TEXT),
                              .kind = TARN_VECTOR_DICTIONARY,
                              .indices = (const uint32_t[]){7, 8, 9}};
    uint64_t none = 0;
    void *values;
    assert_int_equal(tarn_dictionary_new(&tarn_alloc_libc, dictionary.type, 0, &values,
                                         &dictionary.dictionary, NULL),
                     TARN_OK);
    dictionary.validity = &none;
    tarn_vector constant = {
        .type = dictionary.type, .kind = TARN_VECTOR_CONSTANT, .validity = &none};

    tarn_vector flat;
    assert_int_equal(tarn_vector_flatten(&dictionary, NULL, 3, &arena, &flat, NULL), TARN_OK);
    for (size_t i = 0; i < 3; i++) assert_true(tarn_vector_is_null(&flat, i));
    assert_int_equal(tarn_vector_flatten(&constant, NULL, 3, &arena, &flat, NULL), TARN_OK);
    for (size_t i = 0; i < 3; i++) assert_true(tarn_vector_is_null(&flat, i));
    assert_int_equal(tarn_vector_gather(&constant, NULL, 3, &arena, &flat, NULL), TARN_OK);
    assert_true(tarn_vector_is_null(&flat, 2));

    tarn_dictionary_unref(dictionary.dictionary);
    tarn_arena_reset(&arena);
}

TEST(values_come_back_from_every_kind_of_vector) {
    for (int round = 0; round < ROUNDS; round++) {
        tarn_arena arena = test_arena();
        tarn_type type = random_type();
        tarn_value value = random_value_or_null(type, &arena);
        tarn_vector flat = random_flat(type, 3, true, &arena);
        tarn_vector_set(&flat, 1, value);
        assert_value_equal(tarn_vector_get(&flat, 1), value);
        tarn_vector constant;
        assert_int_equal(tarn_vector_init_constant(&constant, value, &arena, NULL), TARN_OK);
        assert_value_equal(tarn_vector_get(&constant, 0), value);
        assert_value_equal(tarn_vector_get(&constant, 1000), value);
        tarn_arena_reset(&arena);
    }
}

TEST(make_validity_starts_without_nulls_and_keeps_what_is_there) {
    tarn_arena arena = test_arena();
    tarn_vector vector;
    tarn_type type = tarn_type_of(TARN_TYPE_BIGINT);
    assert_int_equal(tarn_vector_init_flat(&vector, type, 100, &arena, NULL), TARN_OK);
    assert_null(vector.validity);
    assert_int_equal(tarn_vector_make_validity(&vector, 100, &arena, NULL), TARN_OK);
    assert_int_equal(tarn_bitmap_count(vector.validity, 100), 100);
    tarn_vector_set(&vector, 99, tarn_value_null(type));
    assert_int_equal(tarn_vector_make_validity(&vector, 100, &arena, NULL), TARN_OK);
    assert_int_equal(tarn_bitmap_count(vector.validity, 100), 99);
    tarn_arena_reset(&arena);
}

TEST(a_dictionary_lives_until_its_last_reference) {
    faulty_alloc faulty = {.requests_left = SIZE_MAX};
    const tarn_alloc alloc = {faulty_acquire, faulty_release, &faulty};
    void *values;
    tarn_dictionary *first;
    tarn_dictionary *second;
    tarn_type type = tarn_type_of(TARN_TYPE_TEXT);
    assert_int_equal(tarn_dictionary_new(&alloc, type, 5, &values, &first, NULL), TARN_OK);
    assert_int_equal(tarn_dictionary_new(&alloc, type, 5, &values, &second, NULL), TARN_OK);
    assert_true(first->id != second->id);
    assert_int_equal(first->count, 5);
    tarn_dictionary_ref(first);
    tarn_dictionary_unref(first);
    assert_true(tarn_type_equal(first->type, type)); // still there
    tarn_dictionary_unref(first);
    tarn_dictionary_unref(second);
    tarn_dictionary_unref(NULL);
    assert_int_equal(faulty.lent_bytes, 0);
}

TEST(exhausted_memory_is_reported) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, 64);
    tarn_error err = {0};
    tarn_vector vector;
    tarn_type type = tarn_type_of(TARN_TYPE_BIGINT);
    assert_int_equal(tarn_vector_init_flat(&vector, type, 1000, &arena, &err), TARN_NO_MEMORY);
    assert_string_equal(err.message, "no memory for a vector of 1000 rows");
    faulty_alloc faulty = {.requests_left = 1};
    const tarn_alloc alloc = {faulty_acquire, faulty_release, &faulty};
    void *values;
    tarn_dictionary *dictionary;
    assert_int_equal(tarn_dictionary_new(&alloc, type, 5, &values, &dictionary, &err),
                     TARN_NO_MEMORY);
    assert_int_equal(faulty.lent_bytes, 0);
    tarn_arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flatten_and_gather_take_the_named_rows),
        cmocka_unit_test(rows_may_repeat_and_come_in_any_order),
        cmocka_unit_test(a_vector_of_nulls_needs_no_values),
        cmocka_unit_test(values_come_back_from_every_kind_of_vector),
        cmocka_unit_test(make_validity_starts_without_nulls_and_keeps_what_is_there),
        cmocka_unit_test(a_dictionary_lives_until_its_last_reference),
        cmocka_unit_test(exhausted_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
