// Threads that write and read one table at the same time: every commit takes effect once, every
// reader sees a whole version.
#include "os/os.h"
#include "tests/lake/helpers.h"

static const test_column COLUMNS[] = {{"id", TARN_TYPE_INTEGER, false},
                                      {"pair", TARN_TYPE_INTEGER, false}};

#define THREADS 4
#define COMMITS 6

typedef struct worker {
    fixture *f;
    bool own_handle;
    int number;
    tarn_status status;
    tarn_error error;
} worker;

static tarn_status append_pair(tarn_table *table, int32_t id, tarn_table_writer *writer,
                               tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_vector columns[2];
    tarn_chunk chunk = {.row_count = 2, .column_count = 2, .columns = columns};
    tarn_status status = TARN_OK;
    for (int c = 0; c < 2 && status == TARN_OK; c++) {
        status =
            tarn_vector_init_flat(&columns[c], tarn_type_of(TARN_TYPE_INTEGER), 2, &arena, err);
        if (status != TARN_OK) break;
        ((int32_t *)columns[c].data)[0] = c == 0 ? 2 * id : id;
        ((int32_t *)columns[c].data)[1] = c == 0 ? 2 * id + 1 : id;
    }
    if (status == TARN_OK) status = tarn_table_writer_append(writer, &chunk, err);
    tarn_arena_reset(&arena);
    (void)table;
    return status;
}

static tarn_status commit_pair(tarn_table *table, const worker *w, int32_t i, tarn_error *err) {
    tarn_table_writer *writer = NULL;
    tarn_buffer committable = {0};
    char user[16];
    int64_t id = 0;
    (void)snprintf(user, sizeof user, "user %d", w->number);
    tarn_status status = tarn_table_writer_new(table, NULL, &writer, err);
    if (status == TARN_OK) status = append_pair(table, w->number * COMMITS + i, writer, err);
    if (status == TARN_OK) status = tarn_table_writer_prepare(writer, &committable, err);
    tarn_table_commit_request request = {.commit_user = TEXT(user),
                                         .commit_identifier = i + 1,
                                         .committable = tarn_buffer_slice(&committable),
                                         .watermark_us = TARN_NO_WATERMARK};
    if (status == TARN_OK) status = tarn_table_commit(table, &request, &id, err);
    tarn_table_writer_free(writer);
    tarn_buffer_free(&committable);
    return status;
}

// A version has both rows of a pair or none, so an even number.
static tarn_status read_version(tarn_table *table, tarn_error *err) {
    tarn_table_scan *scan = NULL;
    TARN_TRY(tarn_table_scan_new(table, NULL, &scan, err));
    tarn_status status = TARN_OK;
    size_t count = 0;
    for (size_t s = 0; s < tarn_table_scan_split_count(scan) && status == TARN_OK; s++) {
        tarn_split_reader *reader = NULL;
        const tarn_chunk *chunk = NULL;
        status = tarn_split_reader_new(scan, s, &tarn_alloc_libc, &reader, err);
        while (status == TARN_OK) {
            status = tarn_split_reader_next(reader, &chunk, err);
            if (status != TARN_OK || chunk == NULL) break;
            count += tarn_chunk_count(chunk);
        }
        tarn_split_reader_free(reader);
    }
    tarn_table_scan_free(scan);
    if (status == TARN_OK && count % 2 != 0) {
        return tarn_fail(err, TARN_CORRUPT, "a version of %zu rows", count);
    }
    return status;
}

static void work(void *context) {
    worker *w = context;
    tarn_table *table = w->f->table;
    if (w->own_handle) {
        w->status = tarn_table_open(w->f->store, TABLE_PATH, &tarn_alloc_libc, &table, &w->error);
        if (w->status != TARN_OK) return;
    }
    for (int32_t i = 0; i < COMMITS && w->status == TARN_OK; i++) {
        w->status = commit_pair(table, w, i, &w->error);
        if (w->status == TARN_OK) w->status = read_version(table, &w->error);
        tarn_compact_result result;
        if (w->status != TARN_OK || i % 3 != 2) continue;
        w->status = tarn_table_compact(table, TARN_LIT("c"), NULL, 0, &result, &w->error);
        // Two compactions of the same files: one of them has lost its premise.
        if (w->status == TARN_CONFLICT) w->status = TARN_OK;
    }
    if (w->own_handle) tarn_table_close(table);
}

static void run(const char *primary, bool own_handles) {
    const char *options[] = {"commit.min-retry-wait=1 ms", "commit.max-retries=200",
                             "commit.max-retry-wait=5 ms", NULL};
    test_definition d;
    fixture f = fixture_new(define(&d, COLUMNS, 2, primary, NULL, options));
    worker workers[THREADS] = {0};
    tarn_thread *threads[THREADS] = {NULL};
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.f = &f, .own_handle = own_handles, .number = i};
        assert_ok(tarn_thread_start(work, &workers[i], &threads[i], &test_error));
    }
    for (int i = 0; i < THREADS; i++) tarn_thread_join(threads[i]);
    for (int i = 0; i < THREADS; i++) {
        test_error = workers[i].error;
        assert_ok(workers[i].status);
    }
    text_list rows = read_snapshot(f.table, 0);
    assert_int_equal(rows.count, 2 * THREADS * COMMITS);
    for (size_t i = 1; i < rows.count; i++) {
        assert_string_not_equal(rows.items[i], rows.items[i - 1]);
    }
    text_list_free(&rows);
    fixture_free(&f);
}

TEST(threads_share_an_append_table) {
    run(NULL, false);
}

TEST(threads_share_a_keyed_table) {
    run("id", false);
}

TEST(handles_compete_for_an_append_table) {
    run(NULL, true);
}

TEST(handles_compete_for_a_keyed_table) {
    run("id", true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_an_append_table),
        cmocka_unit_test(threads_share_a_keyed_table),
        cmocka_unit_test(handles_compete_for_an_append_table),
        cmocka_unit_test(handles_compete_for_a_keyed_table),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
