// Files that other writers wrote (tests/golden/parquet/make.py) against the values they were given.

#include <dirent.h>

#include "tests/format/parquet/helpers.h"

#define FOLDER "tests/golden/parquet"

enum { FILE_MAX = 200 };

typedef struct golden {
    char name[256];
    tarn_buffer bytes;
    tarn_buffer rows; // of the .rows file, without its first line
    tarn_buffer header;
    tarn_object *object;
    tarn_parquet_file *file;
} golden;

static char names[FILE_MAX][256];
static size_t name_count;

static int list_files(void **state) {
    (void)test_seed(state);
    DIR *folder = opendir(FOLDER);
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        size_t len = strlen(entry->d_name);
        if (len < 8 || strcmp(entry->d_name + len - 8, ".parquet") != 0) continue;
        assert_in_range(name_count, 0, FILE_MAX - 1);
        (void)snprintf(names[name_count++], sizeof names[0], "%s", entry->d_name);
    }
    (void)closedir(folder);
    assert_in_range(name_count, 50, FILE_MAX);
    return 0;
}

static void open_golden(golden *golden_file, const char *name) {
    memset(golden_file, 0, sizeof *golden_file);
    (void)snprintf(golden_file->name, sizeof golden_file->name, "%s", name);
    char path[300];
    (void)snprintf(path, sizeof path, FOLDER "/%s", name);
    assert_true(test_load_file(path, &golden_file->bytes));
    (void)snprintf(path, sizeof path, FOLDER "/%.*s.rows", (int)strcspn(name, "-."), name);
    tarn_buffer text = {0};
    assert_true(test_load_file(path, &text));
    const uint8_t *line_end = memchr(text.data, '\n', text.len);
    assert_non_null(line_end);
    size_t header_len = (size_t)(line_end - text.data);
    assert_true(tarn_buffer_append(&golden_file->header, (tarn_slice){text.data, header_len}));
    assert_true(tarn_buffer_append(&golden_file->rows,
                                   tarn_slice_skip(tarn_buffer_slice(&text), header_len + 1)));
    tarn_buffer_free(&text);
    golden_file->object = test_object(name, tarn_buffer_slice(&golden_file->bytes));
    tarn_error err;
    if (tarn_parquet_open(&tarn_alloc_libc, golden_file->object, &golden_file->file, &err) !=
        TARN_OK) {
        fail_msg("%s: %s", name, err.message);
    }
}

static void close_golden(golden *golden_file) {
    tarn_parquet_close(golden_file->file);
    tarn_object_close(golden_file->object);
    tarn_buffer_free(&golden_file->bytes);
    tarn_buffer_free(&golden_file->rows);
    tarn_buffer_free(&golden_file->header);
}

TEST(schemas_are_what_the_writers_were_given) {
    for (size_t i = 0; i < name_count; i++) {
        golden golden_file;
        open_golden(&golden_file, names[i]);
        const tarn_schema *schema = tarn_parquet_schema(golden_file.file);
        tarn_buffer text = {0};
        for (size_t j = 0; j < schema->field_count; j++) {
            const tarn_field *field = &schema->fields[j];
            assert_true(tarn_buffer_printf(&text, "%s" TARN_SLICE_FMT ":", j == 0 ? "" : "\t",
                                           TARN_SLICE_ARG(field->name)));
            if (field->type.id == TARN_TYPE_NULL) {
                assert_true(tarn_buffer_append(&text, TARN_LIT("null")));
            } else {
                assert_int_equal(tarn_type_format(field->type, &text, NULL), TARN_OK);
            }
        }
        if (!tarn_slice_equal(tarn_buffer_slice(&text), tarn_buffer_slice(&golden_file.header))) {
            fail_msg("%s: schema is\n" TARN_SLICE_FMT "\nnot\n" TARN_SLICE_FMT, names[i],
                     TARN_SLICE_ARG(text), TARN_SLICE_ARG(golden_file.header));
        }
        tarn_buffer_free(&text);
        close_golden(&golden_file);
    }
}

// A line of the .rows file without the columns that are not read.
static tarn_slice take_line(tarn_slice *rest, tarn_buffer *out) {
    size_t start = out->len;
    bool is_first = true;
    for (bool ended = false; !ended;) {
        size_t len = 0;
        while (rest->data[len] != '\t' && rest->data[len] != '\n') len++;
        ended = rest->data[len] == '\n';
        tarn_slice cell = tarn_slice_head(*rest, len);
        *rest = tarn_slice_skip(*rest, len + 1);
        if (tarn_slice_equal(cell, TARN_LIT("-"))) continue;
        if (!is_first) assert_true(tarn_buffer_append_byte(out, '\t'));
        assert_true(tarn_buffer_append(out, cell));
        is_first = false;
    }
    assert_true(tarn_buffer_append_byte(out, '\n'));
    return (tarn_slice){out->data + start, out->len - start};
}

static void expected_rows(const golden *golden_file, uint64_t first_row, tarn_buffer *out) {
    tarn_slice rest = tarn_buffer_slice(&golden_file->rows);
    for (uint64_t row = 0; rest.len > 0; row++) {
        size_t before = out->len;
        (void)take_line(&rest, out);
        if (row < first_row) out->len = before;
    }
}

static tarn_slice first_line(tarn_slice text) {
    size_t len = 0;
    while (len < text.len && text.data[len] != '\n') len++;
    return tarn_slice_head(text, len);
}

static void print_first_difference(tarn_slice actual, tarn_slice expected) {
    while (actual.len > 0 && expected.len > 0 &&
           tarn_slice_equal(first_line(actual), first_line(expected))) {
        actual = tarn_slice_skip(actual, first_line(actual).len + 1);
        expected = tarn_slice_skip(expected, first_line(expected).len + 1);
    }
    actual = first_line(actual);
    expected = first_line(expected);
    print_message("row is       " TARN_SLICE_FMT "\n", TARN_SLICE_ARG(actual));
    print_message("but should be " TARN_SLICE_FMT "\n", TARN_SLICE_ARG(expected));
}

static void assert_rows(const golden *golden_file, bool flat_strings, uint64_t first_row) {
    readable_columns columns = columns_to_read(golden_file->file);
    tarn_parquet_scan_options options = {.columns = columns.indices,
                                         .column_count = columns.count,
                                         .first_row = first_row,
                                         .flat_strings = flat_strings};
    tarn_buffer actual = {0};
    tarn_buffer expected = {0};
    tarn_error err;
    if (read_rows(golden_file->file, &options, UINT64_MAX, &actual, &err) != TARN_OK) {
        fail_msg("%s", err.message);
    }
    expected_rows(golden_file, first_row, &expected);
    if (!tarn_slice_equal(tarn_buffer_slice(&actual), tarn_buffer_slice(&expected))) {
        print_first_difference(tarn_buffer_slice(&actual), tarn_buffer_slice(&expected));
        fail_msg("%s from row %d", golden_file->name, (int)first_row);
    }
    tarn_buffer_free(&actual);
    tarn_buffer_free(&expected);
}

TEST(values_are_what_the_writers_were_given) {
    for (size_t i = 0; i < name_count; i++) {
        golden golden_file;
        open_golden(&golden_file, names[i]);
        assert_rows(&golden_file, false, 0);
        assert_rows(&golden_file, true, 0);
        close_golden(&golden_file);
    }
}

TEST(a_scan_may_start_at_any_row) {
    for (size_t i = 0; i < name_count; i++) {
        golden golden_file;
        open_golden(&golden_file, names[i]);
        uint64_t row_count = tarn_parquet_row_count(golden_file.file);
        uint64_t step = row_count < 30 ? 1 : 1 + test_random_below(row_count / 5);
        for (uint64_t row = 1; row <= row_count; row += step) {
            assert_rows(&golden_file, row % 2 == 0, row);
        }
        close_golden(&golden_file);
    }
}

// A scan of one thread: its sum is compared afterwards, as asserts belong to the main thread.
typedef struct threaded_scan {
    tarn_parquet_file *file;
    uint64_t hash;
    tarn_status status;
} threaded_scan;

static void scan_all(void *context) {
    threaded_scan *threaded = context;
    readable_columns columns = columns_to_read(threaded->file);
    tarn_parquet_scan_options options = {.columns = columns.indices, .column_count = columns.count};
    tarn_parquet_scan *scan = NULL;
    threaded->status = tarn_parquet_scan_new(threaded->file, &options, &scan, NULL);
    while (threaded->status == TARN_OK) {
        const tarn_chunk *chunk = NULL;
        threaded->status = tarn_parquet_scan_next(scan, &chunk, NULL, NULL);
        if (threaded->status != TARN_OK || chunk == NULL) break;
        uint64_t hashes[TARN_CHUNK_ROWS];
        tarn_hash_rows(chunk->columns, chunk->column_count, chunk, hashes);
        for (size_t i = 0; i < chunk->row_count; i++) threaded->hash += hashes[i];
    }
    tarn_parquet_scan_free(scan);
}

TEST(threads_share_a_file) {
    enum { THREADS = 4 };
    golden golden_file;
    open_golden(&golden_file, "pages-fallback-v2.parquet");
    threaded_scan scans[THREADS] = {{0}};
    tarn_thread *threads[THREADS] = {NULL};
    for (size_t i = 0; i < THREADS; i++) {
        scans[i].file = golden_file.file;
        assert_int_equal(tarn_thread_start(scan_all, &scans[i], &threads[i], NULL), TARN_OK);
    }
    for (size_t i = 0; i < THREADS; i++) tarn_thread_join(threads[i]);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(scans[i].status, TARN_OK);
        assert_int_equal(scans[i].hash, scans[0].hash);
    }
    close_golden(&golden_file);
}

TEST(nested_columns_are_refused_by_name) {
    golden golden_file;
    open_golden(&golden_file, "types-none-v1-plain.parquet");
    const size_t column =
        (size_t)tarn_schema_find(tarn_parquet_schema(golden_file.file), TARN_LIT("struct"));
    tarn_parquet_scan_options options = {.columns = &column, .column_count = 1};
    tarn_parquet_scan *scan = NULL;
    tarn_error err;
    assert_int_equal(tarn_parquet_scan_new(golden_file.file, &options, &scan, &err),
                     TARN_UNSUPPORTED);
    assert_string_equal(err.message, "file 'types-none-v1-plain.parquet': column 'struct' is "
                                     "nested, which tarn does not read");
    close_golden(&golden_file);
}

TEST(statistics_bound_the_values) {
    size_t bounded = 0;
    for (size_t i = 0; i < name_count; i++) {
        golden golden_file;
        open_golden(&golden_file, names[i]);
        readable_columns columns = columns_to_read(golden_file.file);
        for (size_t group = 0; group < tarn_parquet_row_group_count(golden_file.file); group++) {
            for (size_t j = 0; j < columns.count; j++) {
                check_bounds(golden_file.file, group, columns.indices[j]);
                tarn_parquet_stats stats;
                tarn_parquet_row_group_stats(golden_file.file, group, columns.indices[j], &stats);
                bounded += !stats.min.is_null && !stats.max.is_null;
            }
        }
        close_golden(&golden_file);
    }
    assert_in_range(bounded, 500, 100000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_are_what_the_writers_were_given),
        cmocka_unit_test(values_are_what_the_writers_were_given),
        cmocka_unit_test(a_scan_may_start_at_any_row),
        cmocka_unit_test(threads_share_a_file),
        cmocka_unit_test(nested_columns_are_refused_by_name),
        cmocka_unit_test(statistics_bound_the_values),
    };
    return cmocka_run_group_tests(tests, list_files, NULL);
}
