#include "format/csv/csv.h"

#include "tests/format/rows.h"

static const tarn_type_id ids[] = {
    TARN_TYPE_BOOLEAN, TARN_TYPE_SMALLINT,     TARN_TYPE_INTEGER,     TARN_TYPE_BIGINT,
    TARN_TYPE_REAL,    TARN_TYPE_DOUBLE,       TARN_TYPE_NUMERIC,     TARN_TYPE_DATE,
    TARN_TYPE_TIME,    TARN_TYPE_TIMESTAMP,    TARN_TYPE_TIMESTAMPTZ, TARN_TYPE_TEXT,
    TARN_TYPE_BYTEA,   TARN_TYPE_TIMESTAMP_NS,
};

static tarn_chunk_builder *random_rows(const tarn_schema *schema, tarn_arena *arena) {
    tarn_chunk_builder *builder = NULL;
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, schema, &builder, NULL), TARN_OK);
    for (size_t rows = test_random_below(20); rows > 0; rows--) {
        if (tarn_chunk_builder_is_full(builder)) break;
        tarn_value values[16];
        for (size_t c = 0; c < schema->field_count; c++) {
            values[c] = test_random_below(5) == 0
                            ? tarn_value_null(schema->fields[c].type)
                            : test_random_value(schema->fields[c].type, arena);
        }
        assert_int_equal(tarn_chunk_builder_append(builder, values, TARN_ROW_INSERT, NULL),
                         TARN_OK);
    }
    return builder;
}

static void assert_read_back(const tarn_schema *schema, const tarn_chunk *chunk,
                             const tarn_csv_options *options, tarn_slice csv) {
    tarn_buffer expected = {0};
    tarn_buffer actual = {0};
    test_append_rows(chunk, &expected);
    tarn_object *object = test_object("a.csv", csv);
    tarn_csv_reader *reader = NULL;
    tarn_error err = {0};
    assert_int_equal(tarn_csv_reader_new(&tarn_alloc_libc, object, schema, options, &reader, &err),
                     TARN_OK);
    for (;;) {
        const tarn_chunk *read = NULL;
        tarn_status status = tarn_csv_reader_next(reader, &read, NULL, &err);
        if (status != TARN_OK) fail_msg("%s", err.message);
        if (read == NULL) break;
        test_append_rows(read, &actual);
    }
    assert_true(tarn_slice_equal(tarn_buffer_slice(&expected), tarn_buffer_slice(&actual)));
    tarn_csv_reader_free(reader);
    tarn_object_close(object);
    tarn_buffer_free(&expected);
    tarn_buffer_free(&actual);
}

TEST(rows_of_every_type_come_back_in_every_dialect) {
    const tarn_csv_options dialects[] = {
        {0},
        {.header = true, .match_header = true},
        {.delimiter = '\t', .null_text = TARN_LIT("\\N")},
        {.delimiter = '-', .quote = '\'', .escape = '\\', .null_text = TARN_LIT("~")},
        {.delimiter = ':', .quote = '1', .null_text = TARN_LIT("t")},
    };
    for (int round = 0; round < 400; round++) {
        tarn_csv_options options = dialects[round % 5];
        tarn_field fields[16];
        tarn_schema schema = {fields, 1 + test_random_below(16)};
        char names[16][40];
        for (size_t c = 0; c < schema.field_count; c++) {
            (void)snprintf(names[c], sizeof names[c], "a, \"%zu\"", c);
            tarn_type type = tarn_type_of(ids[test_random_below(sizeof ids / sizeof ids[0])]);
            fields[c] = (tarn_field){tarn_slice_from_cstr(names[c]), type, false, -1};
        }
        tarn_arena arena;
        tarn_arena_init(&arena, &tarn_alloc_libc, 1 << 26);
        tarn_chunk_builder *builder = random_rows(&schema, &arena);
        const tarn_chunk *chunk = tarn_chunk_builder_chunk(builder);
        tarn_buffer csv = {0};
        if (options.header) {
            assert_int_equal(tarn_csv_write_header(&schema, &options, &csv, NULL), TARN_OK);
        }
        assert_int_equal(tarn_csv_write(chunk, &options, &csv, NULL), TARN_OK);
        assert_read_back(&schema, chunk, &options, tarn_buffer_slice(&csv));
        tarn_buffer_free(&csv);
        tarn_chunk_builder_free(builder);
        tarn_arena_reset(&arena);
    }
}

TEST(fields_are_quoted_only_where_it_matters) {
    tarn_field fields[] = {{TARN_LIT("a"), tarn_type_of(TARN_TYPE_TEXT), false, -1},
                           {TARN_LIT("b"), tarn_type_of(TARN_TYPE_INTEGER), false, -1}};
    tarn_schema schema = {fields, 2};
    static const char *const texts[] = {"plain", "", "a,b", "say \"hi\"", "two\nlines", " "};
    tarn_chunk_builder *builder = NULL;
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, &schema, &builder, NULL), TARN_OK);
    for (size_t i = 0; i < 6; i++) {
        tarn_value values[] = {
            {.type = fields[0].type, .bytes = tarn_slice_from_cstr(texts[i])},
            {.type = fields[1].type, .i64 = (int64_t)i - 3},
        };
        assert_int_equal(tarn_chunk_builder_append(builder, values, TARN_ROW_INSERT, NULL),
                         TARN_OK);
    }
    tarn_value nulls[] = {tarn_value_null(fields[0].type), tarn_value_null(fields[1].type)};
    assert_int_equal(tarn_chunk_builder_append(builder, nulls, TARN_ROW_INSERT, NULL), TARN_OK);
    tarn_chunk chunk = *tarn_chunk_builder_chunk(builder);
    const tarn_csv_options options = {0};
    tarn_buffer csv = {0};
    assert_int_equal(tarn_csv_write(&chunk, &options, &csv, NULL), TARN_OK);
    test_assert_text(&csv, "plain,-3\n\"\",-2\n\"a,b\",-1\n\"say \"\"hi\"\"\",0\n\"two\nlines\",1\n"
                           " ,2\n,\n");
    // Only the selected rows.
    const uint32_t selection[] = {1, 6};
    chunk.selection = selection;
    chunk.selected_count = 2;
    tarn_buffer_clear(&csv);
    assert_int_equal(tarn_csv_write(&chunk, &options, &csv, NULL), TARN_OK);
    test_assert_text(&csv, "\"\",-2\n,\n");
    tarn_buffer_free(&csv);
    tarn_chunk_builder_free(builder);
}

TEST(a_buffer_without_room_is_left_as_it_was) {
    tarn_field fields[] = {{TARN_LIT("a"), tarn_type_of(TARN_TYPE_TEXT), false, -1}};
    tarn_schema schema = {fields, 1};
    tarn_chunk_builder *builder = NULL;
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, &schema, &builder, NULL), TARN_OK);
    tarn_value value = {.type = fields[0].type, .bytes = TARN_LIT("some \"longer\" text, quoted")};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tarn_chunk_builder_append(builder, &value, TARN_ROW_INSERT, NULL),
                         TARN_OK);
    }
    const tarn_csv_options options = {0};
    tarn_buffer csv = {.limit_bytes = 60};
    assert_true(tarn_buffer_append(&csv, TARN_LIT("kept")));
    assert_int_equal(tarn_csv_write(tarn_chunk_builder_chunk(builder), &options, &csv, NULL),
                     TARN_NO_MEMORY);
    test_assert_text(&csv, "kept");
    tarn_buffer_free(&csv);
    tarn_chunk_builder_free(builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_every_type_come_back_in_every_dialect),
        cmocka_unit_test(fields_are_quoted_only_where_it_matters),
        cmocka_unit_test(a_buffer_without_room_is_left_as_it_was),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
