#include "format/parquet/parquet.h"

#include "tests/format/files.h"

// The example of docs/formats/parquet.md: id INT32 = 10 11 12 13 100, name = a bb NULL a a.
static const uint8_t example[263] = {
    0x50, 0x41, 0x52, 0x31, 0x15, 0x00, 0x15, 0x28, 0x15, 0x28, 0x2c, 0x15, 0x0a, 0x15, 0x00, 0x15,
    0x06, 0x15, 0x06, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x00, 0x00, 0x0c, 0x00, 0x00,
    0x00, 0x0d, 0x00, 0x00, 0x00, 0x64, 0x00, 0x00, 0x00, 0x15, 0x04, 0x15, 0x16, 0x15, 0x16, 0x4c,
    0x15, 0x04, 0x15, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x61, 0x02, 0x00, 0x00, 0x00, 0x62,
    0x62, 0x15, 0x00, 0x15, 0x12, 0x15, 0x12, 0x2c, 0x15, 0x0a, 0x15, 0x10, 0x15, 0x06, 0x15, 0x06,
    0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x03, 0x1b, 0x01, 0x03, 0x02, 0x15, 0x02, 0x19, 0x3c, 0x48,
    0x06, 0x73, 0x63, 0x68, 0x65, 0x6d, 0x61, 0x15, 0x04, 0x00, 0x15, 0x02, 0x25, 0x00, 0x18, 0x02,
    0x69, 0x64, 0x55, 0x02, 0x00, 0x15, 0x0c, 0x25, 0x02, 0x18, 0x04, 0x6e, 0x61, 0x6d, 0x65, 0x25,
    0x00, 0x35, 0x04, 0x1c, 0x1c, 0x00, 0x00, 0x00, 0x16, 0x0a, 0x19, 0x1c, 0x19, 0x2c, 0x26, 0x08,
    0x1c, 0x15, 0x02, 0x19, 0x25, 0x00, 0x06, 0x19, 0x18, 0x02, 0x69, 0x64, 0x15, 0x00, 0x16, 0x0a,
    0x16, 0x4a, 0x16, 0x4a, 0x26, 0x08, 0x3c, 0x36, 0x00, 0x28, 0x04, 0x64, 0x00, 0x00, 0x00, 0x18,
    0x04, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x26, 0x52, 0x1c, 0x15, 0x0c, 0x19, 0x35, 0x00,
    0x06, 0x10, 0x19, 0x18, 0x04, 0x6e, 0x61, 0x6d, 0x65, 0x15, 0x00, 0x16, 0x0a, 0x16, 0x64, 0x16,
    0x64, 0x26, 0x82, 0x01, 0x26, 0x52, 0x1c, 0x36, 0x02, 0x28, 0x02, 0x62, 0x62, 0x18, 0x01, 0x61,
    0x00, 0x00, 0x00, 0x16, 0xae, 0x01, 0x16, 0x0a, 0x26, 0x08, 0x16, 0xae, 0x01, 0x14, 0x00, 0x00,
    0x28, 0x04, 0x74, 0x61, 0x72, 0x6e, 0x19, 0x2c, 0x1c, 0x00, 0x00, 0x1c, 0x00, 0x00, 0x00, 0xa4,
    0x00, 0x00, 0x00, 0x50, 0x41, 0x52, 0x31,
};

// Where its parts are.
enum { ID_PAGE_AT = 4, NAME_PAGE_AT = 65, FOOTER_AT = 91, NAME_LEVELS_AT = 82 };

typedef struct opened_file {
    tarn_object *object;
    tarn_parquet_file *file;
    tarn_error err;
} opened_file;

static tarn_status open_bytes(opened_file *opened, const uint8_t *bytes, size_t len) {
    opened->file = NULL;
    opened->object = test_object("example.parquet", (tarn_slice){bytes, len});
    return tarn_parquet_open(&tarn_alloc_libc, opened->object, &opened->file, &opened->err);
}

static void close_all(opened_file *opened) {
    tarn_parquet_close(opened->file);
    tarn_object_close(opened->object);
}

static const tarn_parquet_scan_options both_columns = {.columns = (const size_t[]){0, 1},
                                                       .column_count = 2};

// Reads everything; the status of the first failure.
static tarn_status read_all(tarn_parquet_file *file, const tarn_parquet_scan_options *options,
                            uint64_t *ret_rows, tarn_error *err) {
    tarn_parquet_scan *scan = NULL;
    *ret_rows = 0;
    tarn_status status = tarn_parquet_scan_new(file, options, &scan, err);
    const tarn_chunk *chunk = NULL;
    while (status == TARN_OK) {
        status = tarn_parquet_scan_next(scan, &chunk, NULL, err);
        if (status != TARN_OK || chunk == NULL) break;
        *ret_rows += chunk->row_count;
    }
    tarn_parquet_scan_free(scan);
    return status;
}

TEST(the_example_file_is_described) {
    opened_file opened;
    assert_int_equal(open_bytes(&opened, example, sizeof example), TARN_OK);
    const tarn_schema *schema = tarn_parquet_schema(opened.file);
    assert_int_equal(schema->field_count, 2);
    assert_true(tarn_slice_equal(schema->fields[0].name, TARN_LIT("id")));
    assert_int_equal(schema->fields[0].type.id, TARN_TYPE_INTEGER);
    assert_true(schema->fields[0].not_null);
    assert_int_equal(schema->fields[0].id, 1);
    assert_true(tarn_slice_equal(schema->fields[1].name, TARN_LIT("name")));
    assert_int_equal(schema->fields[1].type.id, TARN_TYPE_TEXT);
    assert_false(schema->fields[1].not_null);
    assert_int_equal(schema->fields[1].id, 2);
    assert_int_equal(tarn_parquet_row_count(opened.file), 5);
    assert_int_equal(tarn_parquet_row_group_count(opened.file), 1);
    assert_int_equal(tarn_parquet_row_group_rows(opened.file, 0), 5);
    close_all(&opened);
}

TEST(the_example_file_has_statistics) {
    opened_file opened;
    assert_int_equal(open_bytes(&opened, example, sizeof example), TARN_OK);
    tarn_parquet_stats stats;
    tarn_parquet_row_group_stats(opened.file, 0, 0, &stats);
    assert_false(stats.min.is_null);
    assert_int_equal(stats.min.i64, 10);
    assert_int_equal(stats.max.i64, 100);
    assert_int_equal(stats.null_count, 0);
    assert_true(stats.is_exact);
    tarn_parquet_row_group_stats(opened.file, 0, 1, &stats);
    assert_true(tarn_slice_equal(stats.min.bytes, TARN_LIT("a")));
    assert_true(tarn_slice_equal(stats.max.bytes, TARN_LIT("bb")));
    assert_int_equal(stats.null_count, 1);
    assert_false(stats.is_exact); // text may have been cut, the file does not say
    close_all(&opened);
}

// Where `part` lies in `bytes`.
static uint8_t *find(uint8_t *bytes, size_t len, const void *part, size_t part_len) {
    uint8_t *found = memmem(bytes, len, part, part_len);
    assert_non_null(found);
    return found;
}

TEST(deprecated_bounds_are_trusted_for_numbers_only) {
    static const uint8_t id_stats[] = {0x36, 0, 0x28, 4, 100, 0, 0, 0, 0x18, 4, 10, 0, 0, 0};
    static const uint8_t old_id_stats[] = {0x18, 4, 100, 0, 0, 0, 0x18, 4, 10, 0, 0, 0, 0x16, 0};
    static const uint8_t name_stats[] = {0x36, 2, 0x28, 2, 'b', 'b', 0x18, 1, 'a'};
    static const uint8_t old_name_stats[] = {0x18, 2, 'b', 'b', 0x18, 1, 'a', 0x16, 2};
    uint8_t bytes[sizeof example];
    memcpy(bytes, example, sizeof example);
    memcpy(find(bytes, sizeof bytes, id_stats, sizeof id_stats), old_id_stats, sizeof old_id_stats);
    memcpy(find(bytes, sizeof bytes, name_stats, sizeof name_stats), old_name_stats,
           sizeof old_name_stats);
    opened_file opened;
    tarn_parquet_stats stats;
    assert_int_equal(open_bytes(&opened, bytes, sizeof bytes), TARN_OK);
    tarn_parquet_row_group_stats(opened.file, 0, 0, &stats);
    assert_int_equal(stats.min.i64, 10);
    assert_int_equal(stats.max.i64, 100);
    assert_int_equal(stats.null_count, 0);
    tarn_parquet_row_group_stats(opened.file, 0, 1, &stats);
    assert_true(stats.min.is_null); // old writers compared signed bytes
    assert_true(stats.max.is_null);
    assert_int_equal(stats.null_count, 1);
    close_all(&opened);
}

TEST(bounds_in_an_unknown_order_are_not_used) {
    static const uint8_t orders[] = {0x19, 0x2c, 0x1c, 0, 0, 0x1c, 0, 0};
    uint8_t bytes[sizeof example];
    memcpy(bytes, example, sizeof example);
    uint8_t *found = find(bytes, sizeof bytes, orders, sizeof orders);
    found[2] = 0x4c; // a member of the union that does not exist yet
    opened_file opened;
    tarn_parquet_stats stats;
    assert_int_equal(open_bytes(&opened, bytes, sizeof bytes), TARN_OK);
    tarn_parquet_row_group_stats(opened.file, 0, 0, &stats);
    assert_true(stats.min.is_null);
    assert_int_equal(stats.null_count, 0);
    close_all(&opened);
}

static void assert_names(const tarn_vector *vector, size_t first, size_t count) {
    static const char *const names[] = {"a", "bb", NULL, "a", "a"};
    for (size_t i = 0; i < count; i++) {
        tarn_value value = tarn_vector_get(vector, i);
        assert_int_equal(value.is_null, names[first + i] == NULL);
        if (value.is_null) continue;
        assert_true(tarn_slice_equal(value.bytes, tarn_slice_from_cstr(names[first + i])));
    }
}

static void assert_example_rows(tarn_parquet_file *file, bool flat_strings) {
    tarn_parquet_scan_options options = both_columns;
    options.flat_strings = flat_strings;
    tarn_parquet_scan *scan = NULL;
    const tarn_chunk *chunk = NULL;
    uint64_t first_row = 99;
    assert_int_equal(tarn_parquet_scan_new(file, &options, &scan, NULL), TARN_OK);
    assert_int_equal(tarn_parquet_scan_next(scan, &chunk, &first_row, NULL), TARN_OK);
    assert_non_null(chunk);
    assert_int_equal(chunk->row_count, 5);
    assert_int_equal(first_row, 0);
    const int32_t *ids = chunk->columns[0].data;
    const int32_t expected[] = {10, 11, 12, 13, 100};
    assert_memory_equal(ids, expected, sizeof expected);
    assert_null(chunk->columns[0].validity);
    assert_int_equal(chunk->columns[1].kind,
                     flat_strings ? TARN_VECTOR_FLAT : TARN_VECTOR_DICTIONARY);
    assert_names(&chunk->columns[1], 0, 5);
    assert_int_equal(tarn_parquet_scan_next(scan, &chunk, NULL, NULL), TARN_OK);
    assert_null(chunk);
    assert_int_equal(tarn_parquet_scan_next(scan, &chunk, NULL, NULL), TARN_OK);
    assert_null(chunk); // the end stays the end
    tarn_parquet_scan_free(scan);
}

TEST(the_example_file_is_read) {
    opened_file opened;
    assert_int_equal(open_bytes(&opened, example, sizeof example), TARN_OK);
    assert_example_rows(opened.file, false);
    assert_example_rows(opened.file, true);
    close_all(&opened);
}

TEST(a_version_2_page_says_the_same) {
    // Header and body of the `name` page are replaced; three bytes more in all.
    static const uint8_t page[] = {0x15, 0x06, 0x15, 0x0a, 0x15, 0x0a, 0x5c, 0x15, 0x0a,
                                   0x15, 0x02, 0x15, 0x0a, 0x15, 0x10, 0x15, 0x04, 0x15,
                                   0x00, 0x12, 0x00, 0x00, 0x03, 0x1b, 0x01, 0x03, 0x02};
    uint8_t bytes[sizeof example + 1];
    memcpy(bytes, example, NAME_PAGE_AT);
    memcpy(bytes + NAME_PAGE_AT, page, sizeof page);
    memcpy(bytes + NAME_PAGE_AT + sizeof page, example + FOOTER_AT, sizeof example - FOOTER_AT);
    uint8_t *footer = bytes + NAME_PAGE_AT + sizeof page;
    static const uint8_t sizes[] = {0x16, 0x64, 0x16, 0x64, 0x26, 0x82, 0x01};
    for (size_t i = 0; i + sizeof sizes < sizeof example - FOOTER_AT; i++) {
        // 50 bytes become 51: the chunk ends one byte later.
        if (memcmp(footer + i, sizes, sizeof sizes) == 0) footer[i + 1] = footer[i + 3] = 0x66;
    }
    opened_file opened;
    assert_int_equal(open_bytes(&opened, bytes, sizeof bytes), TARN_OK);
    assert_example_rows(opened.file, false);
    close_all(&opened);
}

TEST(a_scan_may_start_at_any_row) {
    opened_file opened;
    assert_int_equal(open_bytes(&opened, example, sizeof example), TARN_OK);
    for (uint64_t first_row = 0; first_row <= 6; first_row++) {
        tarn_parquet_scan_options options = both_columns;
        options.first_row = first_row;
        tarn_parquet_scan *scan = NULL;
        const tarn_chunk *chunk = NULL;
        uint64_t chunk_row = 0;
        assert_int_equal(tarn_parquet_scan_new(opened.file, &options, &scan, NULL), TARN_OK);
        assert_int_equal(tarn_parquet_scan_next(scan, &chunk, &chunk_row, NULL), TARN_OK);
        if (first_row >= 5) {
            assert_null(chunk);
        } else {
            assert_int_equal(chunk_row, first_row);
            assert_int_equal(chunk->row_count, 5 - first_row);
            assert_names(&chunk->columns[1], first_row, chunk->row_count);
        }
        tarn_parquet_scan_free(scan);
    }
    close_all(&opened);
}

TEST(columns_repeat_and_row_groups_are_left_out) {
    opened_file opened;
    uint64_t rows;
    assert_int_equal(open_bytes(&opened, example, sizeof example), TARN_OK);
    const size_t columns[] = {1, 0, 1};
    tarn_parquet_scan_options options = {.columns = columns, .column_count = 3};
    assert_int_equal(read_all(opened.file, &options, &rows, NULL), TARN_OK);
    assert_int_equal(rows, 5);
    options.column_count = 0;
    assert_int_equal(read_all(opened.file, &options, &rows, NULL), TARN_OK);
    assert_int_equal(rows, 5);
    const uint64_t none = 0;
    options.row_groups = &none;
    assert_int_equal(read_all(opened.file, &options, &rows, NULL), TARN_OK);
    assert_int_equal(rows, 0);
    close_all(&opened);
}

TEST(integers_widen_and_nothing_narrows) {
    opened_file opened;
    assert_int_equal(open_bytes(&opened, example, sizeof example), TARN_OK);
    const size_t column = 0;
    tarn_type type = tarn_type_of(TARN_TYPE_BIGINT);
    tarn_parquet_scan_options options = {.columns = &column, .column_count = 1, .types = &type};
    tarn_parquet_scan *scan = NULL;
    const tarn_chunk *chunk = NULL;
    assert_int_equal(tarn_parquet_scan_new(opened.file, &options, &scan, NULL), TARN_OK);
    assert_int_equal(tarn_parquet_scan_next(scan, &chunk, NULL, NULL), TARN_OK);
    const int64_t expected[] = {10, 11, 12, 13, 100};
    assert_memory_equal(chunk->columns[0].data, expected, sizeof expected);
    tarn_parquet_scan_free(scan);

    type = tarn_type_of(TARN_TYPE_SMALLINT);
    assert_int_equal(tarn_parquet_scan_new(opened.file, &options, &scan, &opened.err),
                     TARN_UNSUPPORTED);
    assert_string_equal(opened.err.message,
                        "file 'example.parquet': column 'id' cannot be read: integer as smallint "
                        "would not be a widening");
    close_all(&opened);
}

TEST(every_truncation_is_corrupt) {
    for (size_t len = 0; len < sizeof example; len++) {
        opened_file opened;
        assert_int_equal(open_bytes(&opened, example, len), TARN_CORRUPT);
        assert_non_null(strstr(opened.err.message, "file 'example.parquet': "));
        close_all(&opened);
    }
}

TEST(every_flipped_bit_is_an_error_or_a_file) {
    uint8_t bytes[sizeof example];
    memcpy(bytes, example, sizeof example);
    for (size_t bit = 0; bit < 8 * sizeof example; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        opened_file opened;
        uint64_t rows;
        tarn_status status = open_bytes(&opened, bytes, sizeof bytes);
        if (status == TARN_OK) status = read_all(opened.file, &both_columns, &rows, &opened.err);
        assert_true(status == TARN_OK || status == TARN_CORRUPT || status == TARN_UNSUPPORTED ||
                    status == TARN_INVALID); // invalid: a column fewer
        if (status != TARN_OK) assert_non_null(strstr(opened.err.message, "'example.parquet': "));
        close_all(&opened);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(damage_is_reported_with_column_and_offset) {
    uint8_t bytes[sizeof example];
    memcpy(bytes, example, sizeof example);
    bytes[NAME_LEVELS_AT] = 200; // the length of the levels
    opened_file opened;
    uint64_t rows;
    assert_int_equal(open_bytes(&opened, bytes, sizeof bytes), TARN_OK);
    assert_int_equal(read_all(opened.file, &both_columns, &rows, &opened.err), TARN_CORRUPT);
    assert_string_equal(opened.err.message,
                        "file 'example.parquet': row group 0: column 'name', page at offset 65: "
                        "page ends inside its levels");
    close_all(&opened);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_file_is_described),
        cmocka_unit_test(the_example_file_has_statistics),
        cmocka_unit_test(deprecated_bounds_are_trusted_for_numbers_only),
        cmocka_unit_test(bounds_in_an_unknown_order_are_not_used),
        cmocka_unit_test(the_example_file_is_read),
        cmocka_unit_test(a_version_2_page_says_the_same),
        cmocka_unit_test(a_scan_may_start_at_any_row),
        cmocka_unit_test(columns_repeat_and_row_groups_are_left_out),
        cmocka_unit_test(integers_widen_and_nothing_narrows),
        cmocka_unit_test(every_truncation_is_corrupt),
        cmocka_unit_test(every_flipped_bit_is_an_error_or_a_file),
        cmocka_unit_test(damage_is_reported_with_column_and_offset),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
