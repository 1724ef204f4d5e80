// Where readers and writers of the format have gone wrong before: what other engines leave in a
// table, and what tarn must leave for them.
#include "tests/lake/helpers.h"

#include "lake/data_reader.h"

static const test_column COLUMNS[] = {{"a", TARN_TYPE_INTEGER, true},
                                      {"b", TARN_TYPE_INTEGER, true},
                                      {"n", TARN_TYPE_INTEGER, false},
                                      {"m", TARN_TYPE_INTEGER, false}};

#define ROOT "/w/db.db/t/"

static tarn_slice read_file(fixture *f, const char *name, tarn_arena *arena) {
    char path[256];
    tarn_slice bytes;
    (void)snprintf(path, sizeof path, ROOT "%s", name);
    assert_ok(
        tarn_os_read_file(tarn_sim_os(f->sim), TEXT(path), 1 << 20, arena, &bytes, &test_error));
    return bytes;
}

static void write_file(fixture *f, const char *name, tarn_slice bytes) {
    char path[256];
    (void)snprintf(path, sizeof path, ROOT "%s", name);
    assert_ok(tarn_os_write_file(tarn_sim_os(f->sim), TEXT(path), bytes, TARN_WRITE_REPLACE,
                                 &test_error));
}

static bool contains(tarn_slice bytes, const char *text) {
    return memmem(bytes.data, bytes.len, text, strlen(text)) != NULL;
}

// Writes the file `from` as `to`, with the first `what` in it replaced.
static void rewrite(fixture *f, const char *from, const char *to, const char *what,
                    const char *with) {
    tarn_arena arena;
    tarn_buffer out = {0};
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_slice bytes = read_file(f, from, &arena);
    const uint8_t *found = memmem(bytes.data, bytes.len, what, strlen(what));
    assert_non_null(found);
    size_t before = (size_t)(found - bytes.data);
    assert_true(tarn_buffer_append(&out, tarn_slice_head(bytes, before)));
    assert_true(tarn_buffer_append(&out, TEXT(with)));
    assert_true(tarn_buffer_append(&out, tarn_slice_skip(bytes, before + strlen(what))));
    write_file(f, to, tarn_buffer_slice(&out));
    tarn_buffer_free(&out);
    tarn_arena_reset(&arena);
}

// The newest snapshot is found whatever the hint says; another writer may have died before it.
TEST(the_hint_may_lag_lie_or_be_absent) {
    static const char *const hints[] = {"1", "2", "3", "4", "99", "0", "", "x", "-1", NULL};
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        test_definition d;
        fixture f = fixture_new(define(&d, COLUMNS, 4, NULL, NULL, NULL));
        PUT(&f, "+I|1|1|1|1");
        PUT(&f, "+I|2|2|2|2");
        PUT(&f, "+I|3|3|3|3");
        fixture_close(&f);
        if (hints[i] == NULL) {
            assert_ok(
                tarn_os_remove(tarn_sim_os(f.sim), TARN_LIT(ROOT "snapshot/LATEST"), &test_error));
        } else {
            write_file(&f, "snapshot/LATEST", TEXT(hints[i]));
        }
        fixture_open(&f);
        assert_rows(read_snapshot(f.table, 0), "1|1|1|1", "2|2|2|2", "3|3|3|3");
        assert_int_equal(PUT(&f, "+I|4|4|4|4"), 4);
        fixture_free(&f);
    }
}

// A key is ordered as PRIMARY KEY lists its columns, not as the table does. Files without other
// versions are read in their order, which is that of the key.
TEST(composite_keys_follow_the_primary_key) {
    for (int compacted = 0; compacted < 2; compacted++) {
        test_definition d;
        fixture f = fixture_new(define(&d, COLUMNS, 4, "b,a", NULL, NULL));
        PUT(&f, "+I|1|9|0|0", "+I|2|3|0|0", "+I|3|-1|0|0", "+I|0|3|0|0");
        tarn_compact_result result;
        if (compacted == 1) {
            PUT(&f, "+I|4|2|0|0");
            assert_ok(tarn_table_compact(f.table, TARN_LIT("c"), NULL, 0, &result, &test_error));
        }
        text_list rows = {0};
        assert_ok(scan_rows(f.table, NULL, &rows, NULL));
        static const char *const orders[2][5] = {
            {"3|-1|0|0", "0|3|0|0", "2|3|0|0", "1|9|0|0", NULL},
            {"3|-1|0|0", "4|2|0|0", "0|3|0|0", "2|3|0|0", "1|9|0|0"},
        };
        assert_int_equal(rows.count, compacted == 1 ? 5 : 4);
        for (size_t i = 0; i < rows.count; i++) {
            assert_string_equal(rows.items[i], orders[compacted][i]);
        }
        text_list_free(&rows);
        fixture_free(&f);
    }
}

// What tarn does not use, a later snapshot still needs.
TEST(what_other_writers_count_is_carried_forward) {
    test_definition d;
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    fixture f = fixture_new(define(&d, COLUMNS, 4, NULL, NULL, NULL));
    PUT(&f, "+I|1|1|1|1");
    assert_true(contains(read_file(&f, "snapshot/snapshot-1", &arena), "\"nextRowId\": 0"));
    fixture_close(&f);
    rewrite(&f, "snapshot/snapshot-1", "snapshot/snapshot-1", "\"nextRowId\": 0",
            "\"nextRowId\": 41, \"operation\": \"WRITE\", \"of the future\": {\"a\": [1]}, "
            "\"statistics\": \"stat-x-0\"");
    fixture_open(&f);
    assert_rows(read_snapshot(f.table, 0), "1|1|1|1");
    PUT(&f, "+I|2|2|2|2");
    tarn_slice next = read_file(&f, "snapshot/snapshot-2", &arena);
    assert_true(contains(next, "\"nextRowId\": 41"));
    assert_true(contains(next, "\"statistics\": \"stat-x-0\""));
    assert_false(contains(next, "operation"));
    tarn_arena_reset(&arena);
    fixture_free(&f);
}

static tarn_prune_test equals(size_t column, const tarn_value *value) {
    return (tarn_prune_test){
        .column = column, .op = TARN_PRUNE_EQ, .values = value, .value_count = 1};
}

// Two columns have swapped their names: bounds, in manifests and in files, belong to the ids.
TEST(bounds_of_an_older_schema_are_those_of_the_ids) {
    test_definition d;
    fixture f = fixture_new(define(&d, COLUMNS, 4, NULL, NULL, NULL));
    PUT(&f, "+I|1|1|10|1000", "+I|2|2|20|2000");
    fixture_close(&f);
    rewrite(&f, "schema/schema-0", "schema/schema-1", "\"name\": \"n\"", "\"name\": \"swap\"");
    rewrite(&f, "schema/schema-1", "schema/schema-1", "\"name\": \"m\"", "\"name\": \"n\"");
    rewrite(&f, "schema/schema-1", "schema/schema-1", "\"name\": \"swap\"", "\"name\": \"m\"");
    rewrite(&f, "schema/schema-1", "schema/schema-1", "\"id\": 0,\n  \"fields\"",
            "\"id\": 1,\n  \"fields\"");
    fixture_open(&f);
    PUT(&f, "+I|3|3|30|3000"); // the column with id 2, now "m", is the third as before
    static const struct {
        size_t column;
        int64_t value;
        const char *row;
    } cases[] = {{2, 10, "1|1|10|1000"}, {3, 2000, "2|2|20|2000"}, {2, 30, "3|3|30|3000"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_value value = {.type = tarn_type_of(TARN_TYPE_INTEGER), .i64 = cases[i].value};
        tarn_prune_test test = equals(cases[i].column, &value);
        tarn_prune prune = {&test, 1};
        tarn_table_scan_options options = {.prune = &prune};
        text_list rows = {0};
        bool found = false;
        assert_ok(scan_rows(f.table, &options, &rows, NULL));
        for (size_t r = 0; r < rows.count; r++) {
            found = found || strcmp(rows.items[r], cases[i].row) == 0;
        }
        assert_true(found);
        assert_in_range(rows.count, 1, 2); // and the other file is skipped
        text_list_free(&rows);
    }
    const tarn_schema *schema = &tarn_table_definition_of(f.table)->schema;
    assert_true(tarn_slice_equal(schema->fields[2].name, TARN_LIT("m")));
    fixture_free(&f);
}

// The extension says what a file is, whatever the table's options say.
TEST(data_files_of_other_formats_are_refused_by_name) {
    static const char *const names[] = {"data-1-0.orc", "data-1-0.avro", "data-1-0.parquet.gz",
                                        "data-1-0", ".parquet2"};
    test_definition d;
    fixture f = fixture_new(define(&d, COLUMNS, 4, NULL, NULL, NULL));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        lake_entry entry = {.file = {.name = TEXT(names[i])}};
        lake_data_reader_options options = {.alloc = &tarn_alloc_libc};
        lake_data_reader *reader = NULL;
        assert_int_equal(lake_data_reader_new(f.table, &entry, &options, &reader, &test_error),
                         TARN_UNSUPPORTED);
        assert_non_null(strstr(test_error.message, names[i]));
        assert_non_null(strstr(test_error.message, "only Parquet data files are read"));
    }
    fixture_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hint_may_lag_lie_or_be_absent),
        cmocka_unit_test(composite_keys_follow_the_primary_key),
        cmocka_unit_test(what_other_writers_count_is_carried_forward),
        cmocka_unit_test(bounds_of_an_older_schema_are_those_of_the_ids),
        cmocka_unit_test(data_files_of_other_formats_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
