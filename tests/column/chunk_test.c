// Chunks, batches and the chunk builder.
#include <pthread.h>

#include "tests/column/helpers.h"

#define ROUNDS       200
#define COLUMNS_MOST 6

// A chunk of random columns of every kind, perhaps with a selection, kinds and watermarks.
typedef struct sample_chunk {
    tarn_chunk chunk;
    tarn_arena arena;
} sample_chunk;

static void make_sample(sample_chunk *sample, size_t row_count) {
    sample->arena = test_arena();
    tarn_arena *arena = &sample->arena;
    size_t column_count = 1 + test_random_below(COLUMNS_MOST);
    tarn_vector *columns = tarn_arena_new(arena, tarn_vector, column_count);
    uint8_t *kinds = tarn_arena_new(arena, uint8_t, row_count);
    int64_t *watermarks = tarn_arena_new(arena, int64_t, row_count);
    assert_true(columns != NULL && kinds != NULL && watermarks != NULL);
    for (size_t i = 0; i < column_count; i++) {
        columns[i] =
            random_vector((tarn_vector_kind)test_random_below(3), random_type(), row_count, arena);
    }
    for (size_t i = 0; i < row_count; i++) {
        kinds[i] = (uint8_t)test_random_below(4);
        watermarks[i] = (int64_t)test_random();
    }
    sample->chunk = (tarn_chunk){.row_count = row_count,
                                 .column_count = column_count,
                                 .columns = columns,
                                 .kinds = test_random_below(2) == 0 ? kinds : NULL,
                                 .watermarks = test_random_below(2) == 0 ? watermarks : NULL};
    if (test_random_below(2) == 0) {
        sample->chunk.selection = random_selection(row_count, &sample->chunk.selected_count, arena);
    }
}

static void free_sample(sample_chunk *sample) {
    for (size_t i = 0; i < sample->chunk.column_count; i++) {
        tarn_dictionary_unref(sample->chunk.columns[i].dictionary);
    }
    tarn_arena_reset(&sample->arena);
}

// `copy` has no selection and holds the rows that count in `source`.
static void assert_chunk_copied(const tarn_chunk *copy, const tarn_chunk *source) {
    size_t count = tarn_chunk_count(source);
    assert_null(copy->selection);
    assert_int_equal(copy->row_count, count);
    assert_int_equal(copy->column_count, source->column_count);
    assert_int_equal(copy->kinds == NULL, source->kinds == NULL);
    assert_int_equal(copy->watermarks == NULL, source->watermarks == NULL);
    for (size_t i = 0; i < count; i++) {
        size_t row = tarn_chunk_row(source, i);
        for (size_t c = 0; c < source->column_count; c++) {
            assert_value_equal(tarn_vector_get(&copy->columns[c], i),
                               tarn_vector_get(&source->columns[c], row));
        }
        if (copy->kinds != NULL) assert_int_equal(copy->kinds[i], source->kinds[row]);
        if (copy->watermarks != NULL) {
            assert_int_equal(copy->watermarks[i], source->watermarks[row]);
        }
    }
}

TEST(compacting_keeps_the_selected_rows) {
    for (int round = 0; round < ROUNDS; round++) {
        sample_chunk sample;
        make_sample(&sample, 1 + test_random_below(TARN_CHUNK_ROWS < 150 ? TARN_CHUNK_ROWS : 150));
        tarn_chunk compact;
        assert_int_equal(tarn_chunk_compact(&sample.chunk, &sample.arena, &compact, NULL), TARN_OK);
        assert_chunk_copied(&compact, &sample.chunk);
        if (sample.chunk.selection == NULL) {
            assert_ptr_equal(compact.columns, sample.chunk.columns);
        }
        free_sample(&sample);
    }
}

// A second batch is made from the first, after the rows that the first was made of are gone: what
// it reads must be its own (the sanitizer sees a view that is not).
TEST(a_batch_owns_its_rows) {
    for (int round = 0; round < ROUNDS; round++) {
        sample_chunk sample;
        make_sample(&sample, 1 + test_random_below(TARN_CHUNK_ROWS < 150 ? TARN_CHUNK_ROWS : 150));
        tarn_batch *batch;
        tarn_batch *witness;
        assert_int_equal(tarn_batch_new(&tarn_alloc_libc, &sample.chunk, &batch, NULL), TARN_OK);
        assert_chunk_copied(&batch->chunk, &sample.chunk);
        for (size_t i = 0; i < sample.chunk.column_count; i++) {
            assert_int_equal(batch->chunk.columns[i].kind, sample.chunk.columns[i].kind);
            assert_ptr_equal(batch->chunk.columns[i].dictionary,
                             sample.chunk.columns[i].dictionary); // shared
        }
        free_sample(&sample);
        assert_int_equal(tarn_batch_new(&tarn_alloc_libc, &batch->chunk, &witness, NULL), TARN_OK);
        assert_chunk_copied(&witness->chunk, &batch->chunk);
        tarn_batch_unref(batch);
        tarn_batch_unref(witness);
    }
}

// What a null row of text held may point anywhere; a batch keeps nothing of it.
TEST(null_text_in_a_batch_is_empty) {
    tarn_arena arena = test_arena();
    tarn_vector column = random_flat(tarn_type_of(TARN_TYPE_TEXT), 2, true, &arena);
    tarn_vector_set(&column, 1, tarn_value_null(column.type));
    memset((tarn_string *)column.data + 1, 0xCD, sizeof(tarn_string));
    tarn_chunk chunk = {.row_count = 2, .column_count = 1, .columns = &column};
    tarn_batch *batch;
    assert_int_equal(tarn_batch_new(&tarn_alloc_libc, &chunk, &batch, NULL), TARN_OK);
    assert_int_equal(((const tarn_string *)batch->chunk.columns[0].data)[1].len, 0);
    tarn_batch_unref(batch);
    tarn_arena_reset(&arena);
}

TEST(a_batch_lives_until_its_last_reference) {
    faulty_alloc faulty = {.requests_left = SIZE_MAX};
    const tarn_alloc alloc = {faulty_acquire, faulty_release, &faulty};
    tarn_chunk empty = {0};
    tarn_batch *batch;
    assert_int_equal(tarn_batch_new(&alloc, &empty, &batch, NULL), TARN_OK);
    tarn_batch_ref(batch);
    tarn_batch_unref(batch);
    assert_int_equal(batch->chunk.row_count, 0);
    tarn_batch_unref(batch);
    tarn_batch_unref(NULL);
    assert_int_equal(faulty.lent_bytes, 0);
}

TEST(a_batch_takes_memory_twice_whatever_its_size) {
    sample_chunk sample;
    make_sample(&sample, TARN_CHUNK_ROWS);
    faulty_alloc faulty = {.requests_left = 2};
    const tarn_alloc alloc = {faulty_acquire, faulty_release, &faulty};
    tarn_batch *batch;
    assert_int_equal(tarn_batch_new(&alloc, &sample.chunk, &batch, NULL), TARN_OK);
    tarn_batch_unref(batch);
    assert_int_equal(faulty.lent_bytes, 0);
    free_sample(&sample);
}

TEST(every_allocation_failure_of_a_batch_is_reported) {
    sample_chunk sample;
    make_sample(&sample, TARN_CHUNK_ROWS);
    for (size_t requests = 0; requests < 2; requests++) {
        faulty_alloc faulty = {.requests_left = requests};
        const tarn_alloc alloc = {faulty_acquire, faulty_release, &faulty};
        tarn_batch *batch = NULL;
        tarn_error err = {0};
        assert_int_equal(tarn_batch_new(&alloc, &sample.chunk, &batch, &err), TARN_NO_MEMORY);
        assert_null(batch);
        assert_non_null(strstr(err.message, "batch"));
        assert_int_equal(faulty.lent_bytes, 0);
    }
    free_sample(&sample); // each dictionary has its one reference left, or this leaks
}

static tarn_status compact_in(tarn_arena *arena, const tarn_chunk *chunk) {
    tarn_chunk compact = {.row_count = 4711};
    tarn_error err = {0};
    tarn_status status = tarn_chunk_compact(chunk, arena, &compact, &err);
    assert_int_equal(err.status, status);
    if (status != TARN_OK) assert_int_equal(compact.row_count, 4711); // untouched
    return status;
}

TEST(every_allocation_failure_of_compacting_is_reported) {
    sample_chunk sample;
    make_sample(&sample, TARN_CHUNK_ROWS);
    sample.chunk.selection =
        random_selection(TARN_CHUNK_ROWS, &sample.chunk.selected_count, &sample.arena);
    bool completed = false;
    for (size_t requests = 0; !completed; requests++) {
        assert_in_range(requests, 0, 200);
        faulty_alloc faulty = {.requests_left = requests};
        const tarn_alloc alloc = {faulty_acquire, faulty_release, &faulty};
        tarn_arena arena;
        tarn_arena_init(&arena, &alloc, SIZE_MAX);
        tarn_status status = compact_in(&arena, &sample.chunk);
        assert_true(status == TARN_OK || status == TARN_NO_MEMORY);
        completed = status == TARN_OK;
        tarn_arena_reset(&arena);
        assert_int_equal(faulty.lent_bytes, 0);
    }
    free_sample(&sample);
}

TEST(row_kinds_have_their_names_and_signs) {
    static const char *const names[] = {"+I", "-U", "+U", "-D"};
    for (uint8_t kind = 0; kind < 4; kind++) {
        assert_string_equal(tarn_row_kind_name((tarn_row_kind)kind), names[kind]);
        assert_int_equal(tarn_row_kind_is_retract(kind), names[kind][0] == '-');
    }
}

// ---- threads ----

#define SHARE_ROUNDS 2000

// Makes batches of a shared one, whose dictionaries they share too, and drops them again.
static void *share_batch(void *argument) {
    tarn_batch *shared = argument;
    for (int round = 0; round < SHARE_ROUNDS; round++) {
        tarn_batch *copy;
        if (tarn_batch_new(&tarn_alloc_libc, &shared->chunk, &copy, NULL) != TARN_OK) return NULL;
        tarn_batch_ref(shared);
        tarn_batch_unref(copy);
        tarn_batch_unref(shared);
    }
    tarn_batch_unref(shared);
    return shared; // only as a mark that all went well
}

// Meant for ThreadSanitizer, which sees a free that is not ordered behind the last reader, and
// AddressSanitizer, which sees one that is missing or comes twice.
TEST(batches_and_dictionaries_may_be_shared_by_threads) {
    tarn_arena arena = test_arena();
    tarn_vector column = random_dictionary(tarn_type_of(TARN_TYPE_TEXT), 8, true, &arena);
    tarn_chunk chunk = {.row_count = 8, .column_count = 1, .columns = &column};
    tarn_batch *batch;
    assert_int_equal(tarn_batch_new(&tarn_alloc_libc, &chunk, &batch, NULL), TARN_OK);
    tarn_dictionary_unref(column.dictionary); // the batch alone keeps it now
    tarn_arena_reset(&arena);

    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) tarn_batch_ref(batch);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, share_batch, batch), 0);
    }
    tarn_batch_unref(batch);
    for (size_t i = 0; i < 2; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
}

// ---- the builder ----

#define FIELD_COUNT 4

static tarn_field fields[FIELD_COUNT];

static tarn_schema builder_schema(void) {
    static const tarn_type_id ids[FIELD_COUNT] = {TARN_TYPE_TEXT, TARN_TYPE_BIGINT,
                                                  TARN_TYPE_NUMERIC, TARN_TYPE_BYTEA};
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        fields[i] = (tarn_field){.name = TARN_LIT("f"), .type = tarn_type_of(ids[i]), .id = -1};
    }
    return (tarn_schema){fields, FIELD_COUNT};
}

TEST(the_builder_copies_rows_until_it_is_full) {
    tarn_schema schema = builder_schema();
    tarn_chunk_builder *builder;
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, &schema, &builder, NULL), TARN_OK);
    for (int round = 0; round < 3; round++) {
        tarn_arena kept = test_arena();
        tarn_value *expected = tarn_arena_new(&kept, tarn_value, TARN_CHUNK_ROWS * FIELD_COUNT);
        assert_non_null(expected);
        size_t count = 0;
        while (!tarn_chunk_builder_is_full(builder)) {
            tarn_arena passing = test_arena(); // gone after the call
            tarn_value values[FIELD_COUNT];
            for (size_t i = 0; i < FIELD_COUNT; i++) {
                // A column without nulls in the second round, to see that it shows no bitmap.
                values[i] = round == 1 ? random_value(fields[i].type, &passing)
                                       : random_value_or_null(fields[i].type, &passing);
                assert_int_equal(
                    tarn_value_copy(values[i], &kept, &expected[count * FIELD_COUNT + i], NULL),
                    TARN_OK);
            }
            // Kinds in the second round only, to see that they are gone in the third.
            tarn_row_kind kind = round == 1 ? (tarn_row_kind)(count % 4) : TARN_ROW_INSERT;
            assert_int_equal(tarn_chunk_builder_append(builder, values, kind, NULL), TARN_OK);
            count++;
            tarn_arena_reset(&passing);
        }
        assert_int_equal(count, TARN_CHUNK_ROWS);
        assert_int_equal(tarn_chunk_builder_count(builder), TARN_CHUNK_ROWS);

        const tarn_chunk *chunk = tarn_chunk_builder_chunk(builder);
        assert_int_equal(chunk->row_count, TARN_CHUNK_ROWS);
        assert_int_equal(chunk->kinds == NULL, round != 1);
        for (size_t i = 0; i < FIELD_COUNT; i++) {
            if (round == 1) assert_null(chunk->columns[i].validity);
        }
        for (size_t i = 0; i < count * FIELD_COUNT; i++) {
            assert_value_equal(tarn_vector_get(&chunk->columns[i % FIELD_COUNT], i / FIELD_COUNT),
                               expected[i]);
        }
        tarn_chunk_builder_clear(builder);
        assert_int_equal(tarn_chunk_builder_count(builder), 0);
        assert_int_equal(tarn_chunk_builder_chunk(builder)->row_count, 0);
        tarn_arena_reset(&kept);
    }
    tarn_chunk_builder_free(builder);
    tarn_chunk_builder_free(NULL);
}

static tarn_status build_some_rows(const tarn_alloc *alloc, size_t *ret_rows) {
    tarn_schema schema = builder_schema();
    tarn_chunk_builder *builder;
    tarn_error err = {0};
    *ret_rows = 0;
    tarn_status status = tarn_chunk_builder_new(alloc, &schema, &builder, &err);
    if (status != TARN_OK) return status;
    const uint8_t *long_text = (const uint8_t *)"longer than twelve bytes, and again and again";
    for (size_t row = 0; status == TARN_OK && row < TARN_CHUNK_ROWS; row++) {
        tarn_value values[FIELD_COUNT];
        for (size_t i = 0; i < FIELD_COUNT; i++) values[i] = tarn_value_null(fields[i].type);
        values[0] = (tarn_value){.type = fields[0].type, .bytes = {long_text, 40}};
        values[3] = (tarn_value){.type = fields[3].type, .bytes = {long_text, 30}};
        status = tarn_chunk_builder_append(builder, values, TARN_ROW_INSERT, &err);
        if (status == TARN_OK) (*ret_rows)++;
    }
    const tarn_chunk *chunk = tarn_chunk_builder_chunk(builder);
    assert_int_equal(chunk->row_count, *ret_rows); // what failed is not half there
    for (size_t i = 0; i < *ret_rows; i++) {
        assert_int_equal(tarn_vector_get(&chunk->columns[0], i).bytes.len, 40);
        assert_int_equal(tarn_vector_get(&chunk->columns[3], i).bytes.len, 30);
    }
    tarn_chunk_builder_free(builder);
    assert_int_equal(err.status, status);
    return status;
}

// Fault sweep: the 1st allocation fails, then the 2nd, and so on until all goes well.
TEST(every_allocation_failure_of_the_builder_is_reported) {
    bool completed = false;
    for (size_t requests = 0; !completed; requests++) {
        assert_in_range(requests, 0, 200);
        faulty_alloc faulty = {.requests_left = requests};
        const tarn_alloc alloc = {faulty_acquire, faulty_release, &faulty};
        size_t rows;
        tarn_status status = build_some_rows(&alloc, &rows);
        assert_int_equal(
            status, faulty.requests_left > 0 || rows == TARN_CHUNK_ROWS ? TARN_OK : TARN_NO_MEMORY);
        completed = status == TARN_OK;
        assert_int_equal(faulty.lent_bytes, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compacting_keeps_the_selected_rows),
        cmocka_unit_test(a_batch_owns_its_rows),
        cmocka_unit_test(null_text_in_a_batch_is_empty),
        cmocka_unit_test(a_batch_lives_until_its_last_reference),
        cmocka_unit_test(a_batch_takes_memory_twice_whatever_its_size),
        cmocka_unit_test(every_allocation_failure_of_a_batch_is_reported),
        cmocka_unit_test(every_allocation_failure_of_compacting_is_reported),
        cmocka_unit_test(row_kinds_have_their_names_and_signs),
        cmocka_unit_test(batches_and_dictionaries_may_be_shared_by_threads),
        cmocka_unit_test(the_builder_copies_rows_until_it_is_full),
        cmocka_unit_test(every_allocation_failure_of_the_builder_is_reported),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
