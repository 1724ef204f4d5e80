// A table on a bad day: reads that fail, flipped bits in any of its files, no memory, directories
// that refuse. Each is reported, nothing leaks, and the table is the same afterwards.
#include "tests/lake/helpers.h"

static const test_column COLUMNS[] = {{"id", TARN_TYPE_INTEGER, true},
                                      {"part", TARN_TYPE_TEXT, true},
                                      {"name", TARN_TYPE_TEXT, false},
                                      {"amount", TARN_TYPE_DOUBLE, false}};

// A name longer than bounds are, and rows that two runs of a bucket have to be merged for.
#define LONG_NAME "a name that is longer than the sixteen characters of a bound"

static const char *const FIRST[] = {"+I|1|x|" LONG_NAME "|1.5", "+I|2|x|b|-0", "+I|3|y|\\N|NaN"};
static const char *const SECOND[] = {"+I|2|x|c|2.5", "-D|3|y|\\N|NaN", "+I|4|y|d|\\N"};
static const char *const THIRD[] = {"+I|5|x|e|5", "-D|1|x|" LONG_NAME "|1.5"};
static const char EXPECTED[] = "2|x|c|2.5 4|y|d|\\N 5|x|e|5 ";

static fixture new_table(bool with_compaction) {
    test_definition d;
    fixture f = fixture_new(define(&d, COLUMNS, 4, "id,part", "part", NULL));
    put_rows(&f, FIRST, 3);
    put_rows(&f, SECOND, 3);
    tarn_compact_result result;
    if (with_compaction) {
        assert_ok(tarn_table_compact(f.table, TARN_LIT("c"), NULL, 0, &result, &test_error));
    }
    put_rows(&f, THIRD, 2);
    return f;
}

static tarn_status read_split(tarn_table_scan *scan, size_t split, const tarn_alloc *alloc,
                              text_list *rows) {
    tarn_split_reader *reader = NULL;
    tarn_buffer text = {0};
    tarn_status status = tarn_split_reader_new(scan, split, alloc, &reader, &test_error);
    while (status == TARN_OK) {
        const tarn_chunk *chunk = NULL;
        status = tarn_split_reader_next(reader, &chunk, &test_error);
        if (status != TARN_OK || chunk == NULL) break;
        for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
            format_row(chunk, tarn_chunk_row(chunk, i), false, &text);
            text_list_add(rows, (const char *)text.data);
        }
    }
    tarn_split_reader_free(reader);
    tarn_buffer_free(&text);
    return status;
}

// Opens the table from nothing and reads its rows, sorted and joined, into `text`.
static tarn_status open_and_read(tarn_sim *sim, const tarn_alloc *alloc, char *text, size_t size) {
    tarn_store *store = NULL;
    tarn_table *table = NULL;
    tarn_table_scan *scan = NULL;
    text_list rows = {0};
    test_error = (tarn_error){0};
    text[0] = '\0';
    tarn_status status =
        tarn_store_open_local(tarn_sim_os(sim), alloc, TARN_LIT("/w"), &store, &test_error);
    if (status == TARN_OK) status = tarn_table_open(store, TABLE_PATH, alloc, &table, &test_error);
    if (status == TARN_OK) status = tarn_table_scan_new(table, NULL, &scan, &test_error);
    for (size_t s = 0; status == TARN_OK && s < tarn_table_scan_split_count(scan); s++) {
        status = read_split(scan, s, alloc, &rows);
    }
    text_list_sort(&rows);
    for (size_t i = 0; i < rows.count && status == TARN_OK; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, size - len, "%s ", rows.items[i]);
    }
    text_list_free(&rows);
    tarn_table_scan_free(scan);
    tarn_table_close(table);
    tarn_store_close(store);
    return status;
}

TEST(every_failed_read_is_reported) {
    char text[512];
    for (int compacted = 0; compacted < 2; compacted++) {
        fixture f = new_table(compacted == 1);
        fixture_close(&f);
        size_t failures = 0;
        for (uint64_t n = 1;; n++) {
            uint64_t before = tarn_sim_read_count(f.sim);
            tarn_sim_fail_read_at(f.sim, n);
            tarn_status status = open_and_read(f.sim, &tarn_alloc_libc, text, sizeof text);
            bool reached = tarn_sim_read_count(f.sim) - before >= n;
            tarn_sim_fail_read_at(f.sim, 0);
            if (!reached) break;
            failures += status != TARN_OK;
            // Hints may be unreadable: the directory is listed instead.
            if (status == TARN_OK) {
                assert_string_equal(text, EXPECTED);
                continue;
            }
            assert_int_equal(status, TARN_IO);
            assert_non_null(strstr(test_error.message, "input/output error"));
        }
        assert_in_range(failures, 10, 1000);
        assert_ok(open_and_read(f.sim, &tarn_alloc_libc, text, sizeof text));
        assert_string_equal(text, EXPECTED);
        tarn_sim_free(f.sim);
    }
}

// ---- damage ----

typedef struct damage_count {
    size_t tried;
    size_t refused;
} damage_count;

// Where the footer of a Parquet file begins.
static uint64_t footer_offset(tarn_sim *sim, const char *path, uint64_t size) {
    tarn_arena arena;
    tarn_slice bytes;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    assert_ok(
        tarn_os_read_file(tarn_sim_os(sim), TEXT(path), SIZE_MAX, &arena, &bytes, &test_error));
    uint64_t offset = size - 8 - tarn_load_u32(bytes.data + size - 8);
    tarn_arena_reset(&arena);
    return offset;
}

// Some bits of the file. The pages of a data file are protected by checksums; footers and table
// metadata, as others have defined them, are not: a flip there may give other rows, but no crash.
static void damage_file(tarn_sim *sim, const char *path, uint64_t size, damage_count *count) {
    char text[4096];
    uint64_t safe_end = strstr(path, ".parquet") == NULL ? 0 : footer_offset(sim, path, size);
    uint64_t step = size * 8 > 200 ? size * 8 / 200 : 1;
    for (uint64_t bit = test_random_below(step); bit < size * 8; bit += step) {
        uint8_t mask = (uint8_t)(1 << bit % 8);
        assert_ok(tarn_sim_corrupt(sim, TEXT(path), bit / 8, mask, &test_error));
        tarn_status status = open_and_read(sim, &tarn_alloc_libc, text, sizeof text);
        count->tried++;
        count->refused += status != TARN_OK;
        if (status != TARN_OK && test_error.message[0] == '\0') fail_msg("%s: no message", path);
        if (status == TARN_OK && bit / 8 < safe_end && strcmp(text, EXPECTED) != 0) {
            fail_msg("%s: bit %d gives %s", path, (int)bit, text);
        }
        assert_ok(tarn_sim_corrupt(sim, TEXT(path), bit / 8, mask, &test_error));
    }
}

static void damage_tree(tarn_sim *sim, const char *directory, damage_count *count) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_slice *names = NULL;
    size_t name_count = 0;
    assert_ok(
        tarn_os_list(tarn_sim_os(sim), TEXT(directory), &arena, &names, &name_count, &test_error));
    for (size_t i = 0; i < name_count; i++) {
        char path[1024];
        tarn_file_info info;
        (void)snprintf(path, sizeof path, "%s/" TARN_SLICE_FMT, directory,
                       TARN_SLICE_ARG(names[i]));
        assert_ok(tarn_os_stat(tarn_sim_os(sim), TEXT(path), &info, &test_error));
        if (info.is_directory) {
            damage_tree(sim, path, count);
        } else {
            damage_file(sim, path, info.size_bytes, count);
        }
    }
    tarn_arena_reset(&arena);
}

TEST(flipped_bits_are_answered_and_never_change_what_pages_hold) {
    char text[512];
    fixture f = new_table(true);
    fixture_close(&f);
    damage_count count = {0};
    damage_tree(f.sim, "/w/db.db/t", &count);
    assert_in_range(count.tried, 1000, 100000);
    assert_in_range(count.refused, count.tried / 4, count.tried);
    assert_ok(open_and_read(f.sim, &tarn_alloc_libc, text, sizeof text));
    assert_string_equal(text, EXPECTED);
    tarn_sim_free(f.sim);
}

// The name of the column "id" where the footer's schema says it, behind the length of the name.
static void rename_id(tarn_sim *sim, const char *path, uint64_t size) {
    static const uint8_t name[] = {2, 'i', 'd'};
    uint64_t footer = footer_offset(sim, path, size);
    tarn_arena arena;
    tarn_slice bytes;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    assert_ok(
        tarn_os_read_file(tarn_sim_os(sim), TEXT(path), SIZE_MAX, &arena, &bytes, &test_error));
    const uint8_t *found = memmem(bytes.data + footer, size - footer, name, sizeof name);
    assert_non_null(found);
    uint64_t offset = (uint64_t)(found - bytes.data) + 2;
    assert_ok(tarn_sim_corrupt(sim, TEXT(path), offset, 'd' ^ 'e', &test_error));
    tarn_arena_reset(&arena);
}

// A column that a file's schema version has and the file has not reads as NULL; not this one.
TEST(a_data_file_without_a_required_column_is_corrupt) {
    char text[512];
    char path[256];
    fixture f = new_table(false);
    fixture_close(&f);
    tarn_arena arena;
    tarn_slice *names = NULL;
    size_t count = 0;
    tarn_file_info info;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    assert_ok(tarn_os_list(tarn_sim_os(f.sim), TARN_LIT("/w/db.db/t/part=y/bucket-0"), &arena,
                           &names, &count, &test_error));
    assert_true(count > 0);
    (void)snprintf(path, sizeof path, "/w/db.db/t/part=y/bucket-0/" TARN_SLICE_FMT,
                   TARN_SLICE_ARG(names[0]));
    assert_ok(tarn_os_stat(tarn_sim_os(f.sim), TEXT(path), &info, &test_error));
    rename_id(f.sim, path, info.size_bytes);
    assert_int_equal(open_and_read(f.sim, &tarn_alloc_libc, text, sizeof text), TARN_CORRUPT);
    assert_non_null(strstr(test_error.message, "there is no column 'id', which is NOT NULL"));
    assert_non_null(strstr(test_error.message, strrchr(path, '/') + 1));
    tarn_arena_reset(&arena);
    tarn_sim_free(f.sim);
}

// ---- memory ----

typedef struct failing_alloc {
    tarn_alloc alloc;
    uint64_t calls;
    uint64_t fail_at; // 0: never
    int64_t held_bytes;
} failing_alloc;

static void *acquire_or_fail(void *context, size_t size_bytes) {
    failing_alloc *failing = context;
    if (++failing->calls == failing->fail_at) return NULL;
    void *memory = tarn_alloc_libc.acquire(NULL, size_bytes);
    failing->held_bytes += (int64_t)size_bytes;
    return memory;
}

static void release(void *context, void *memory, size_t size_bytes) {
    failing_alloc *failing = context;
    if (memory == NULL) return;
    failing->held_bytes -= (int64_t)size_bytes;
    tarn_alloc_libc.release(NULL, memory, size_bytes);
}

static failing_alloc new_failing(uint64_t fail_at) {
    return (failing_alloc){.alloc = {acquire_or_fail, release, NULL}, .fail_at = fail_at};
}

TEST(every_failed_allocation_of_a_read_is_reported) {
    char text[512];
    fixture f = new_table(true);
    fixture_close(&f);
    for (uint64_t n = 1;; n++) {
        failing_alloc failing = new_failing(n);
        failing.alloc.context = &failing;
        tarn_status status = open_and_read(f.sim, &failing.alloc, text, sizeof text);
        assert_int_equal(failing.held_bytes, 0);
        if (status == TARN_OK) assert_string_equal(text, EXPECTED);
        if (status != TARN_OK) assert_int_equal(status, TARN_NO_MEMORY);
        if (failing.calls < n) break;
    }
    tarn_sim_free(f.sim);
}

static tarn_status write_and_compact(tarn_sim *sim, const tarn_alloc *alloc) {
    tarn_store *store = NULL;
    tarn_table *table = NULL;
    tarn_compact_result result;
    int64_t id = 0;
    tarn_status status =
        tarn_store_open_local(tarn_sim_os(sim), alloc, TARN_LIT("/w"), &store, &test_error);
    if (status == TARN_OK) status = tarn_table_open(store, TABLE_PATH, alloc, &table, &test_error);
    if (status == TARN_OK) status = commit_rows(table, "job", 7, THIRD, 2, &id);
    if (status == TARN_OK) {
        status = tarn_table_compact(table, TARN_LIT("c"), NULL, 0, &result, &test_error);
    }
    tarn_table_close(table);
    tarn_store_close(store);
    return status;
}

TEST(every_failed_allocation_of_a_write_is_reported_and_can_be_tried_again) {
    char text[512];
    fixture f = new_table(false);
    fixture_close(&f);
    size_t failures = 0;
    for (uint64_t n = 1;; n += 1 + test_random_below(4)) {
        failing_alloc failing = new_failing(n);
        failing.alloc.context = &failing;
        tarn_status status = write_and_compact(f.sim, &failing.alloc);
        assert_int_equal(failing.held_bytes, 0);
        if (status != TARN_OK) assert_int_equal(status, TARN_NO_MEMORY);
        failures += status != TARN_OK;
        // What is committed under one identifier is committed once, so the rows stay these.
        assert_ok(open_and_read(f.sim, &tarn_alloc_libc, text, sizeof text));
        assert_string_equal(text, EXPECTED);
        if (failing.calls < n) break;
    }
    assert_in_range(failures, 10, 100000);
    tarn_sim_free(f.sim);
}

// ---- directories that refuse ----

TEST(a_read_only_directory_is_reported_and_leaves_the_table_readable) {
    static const char *const directories[] = {"/w/db.db/t/snapshot", "/w/db.db/t/manifest",
                                              "/w/db.db/t/part=x/bucket-0"};
    char text[512];
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        fixture f = new_table(true);
        int64_t id = 0;
        assert_ok(tarn_sim_set_read_only(f.sim, TEXT(directories[i]), true, &test_error));
        assert_int_equal(commit_rows(f.table, "job", 1, SECOND, 3, &id), TARN_IO);
        assert_non_null(strstr(test_error.message, "permission denied"));
        fixture_close(&f);
        assert_ok(open_and_read(f.sim, &tarn_alloc_libc, text, sizeof text));
        assert_string_equal(text, EXPECTED);
        assert_ok(tarn_sim_set_read_only(f.sim, TEXT(directories[i]), false, &test_error));
        fixture_open(&f);
        assert_ok(commit_rows(f.table, "job", 1, SECOND, 3, &id));
        fixture_free(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_read_is_reported),
        cmocka_unit_test(flipped_bits_are_answered_and_never_change_what_pages_hold),
        cmocka_unit_test(a_data_file_without_a_required_column_is_corrupt),
        cmocka_unit_test(every_failed_allocation_of_a_read_is_reported),
        cmocka_unit_test(every_failed_allocation_of_a_write_is_reported_and_can_be_tried_again),
        cmocka_unit_test(a_read_only_directory_is_reported_and_leaves_the_table_readable),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
