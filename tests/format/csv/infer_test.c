#include "format/csv/csv.h"

#include "tests/format/rows.h"

static tarn_status infer(const char *csv, tarn_csv_options options, size_t row_limit,
                         tarn_buffer *types, tarn_error *err) {
    tarn_object *object = test_object("a.csv", tarn_slice_from_cstr(csv));
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, 1 << 20);
    tarn_schema schema = {0};
    tarn_status status =
        tarn_csv_infer(&tarn_alloc_libc, object, &options, row_limit, &arena, &schema, err);
    for (size_t i = 0; i < schema.field_count; i++) {
        assert_true(tarn_buffer_append(types, schema.fields[i].name));
        assert_true(tarn_buffer_append_byte(types, ' '));
        assert_int_equal(tarn_type_format(schema.fields[i].type, types, NULL), TARN_OK);
        assert_true(tarn_buffer_append_byte(types, '\n'));
    }
    tarn_arena_reset(&arena);
    tarn_object_close(object);
    return status;
}

static void assert_infers(const char *csv, tarn_csv_options options, size_t row_limit,
                          const char *expected) {
    tarn_buffer types = {0};
    tarn_error err = {0};
    if (infer(csv, options, row_limit, &types, &err) != TARN_OK) fail_msg("%s", err.message);
    test_assert_text(&types, expected);
    tarn_buffer_free(&types);
}

static const tarn_csv_options with_header = {.header = true};

TEST(each_column_gets_the_narrowest_type_that_holds_its_values) {
    assert_infers("flag,n,x,d,ts,tz,s\n"
                  "true,1,1,2024-01-01,2024-01-01 00:00:00,2024-01-01T00:00:00Z,a\n"
                  ",,,,,,\n"
                  "F,-2,2.5,2024-02-29,2024-01-01,2024-01-01 00:00:00+02:00,1\n",
                  with_header, 100,
                  "flag boolean\nn bigint\nx double precision\nd date\n"
                  "ts timestamp without time zone\ntz timestamp with time zone\ns text\n");
}

TEST(what_only_looks_like_a_number_or_date_is_text) {
    assert_infers("zip,word,version,day,mixed,none,yes\n"
                  "01234,nan,1.2.3,2023-02-29,true,,1\n"
                  "00501,infinity,1.2.4,2024-01-01,1,,on\n",
                  with_header, 100,
                  "zip text\nword text\nversion text\nday text\nmixed text\nnone text\nyes text\n");
    assert_infers("big\n9223372036854775808\n", with_header, 9, "big double precision\n");
    assert_infers("z\n0\n-0.5\n", with_header, 9, "z double precision\n");
}

TEST(names_come_from_the_header_or_the_position) {
    assert_infers("1,a\n", (tarn_csv_options){0}, 9, "column1 bigint\ncolumn2 text\n");
    assert_infers("\"a b\",,\"say \"\"x\"\"\"\n1,2,3\n", with_header, 9,
                  "a b bigint\ncolumn2 bigint\nsay \"x\" bigint\n");
    tarn_buffer types = {0};
    tarn_error err = {0};
    assert_int_equal(infer("a,b,a\n", with_header, 9, &types, &err), TARN_INVALID);
    assert_string_equal(err.message, "csv file 'a.csv': line 1, column 3 ('a'), byte 0: the header "
                                     "names it twice, first as column 1");
    assert_int_equal(infer("", with_header, 9, &types, &err), TARN_INVALID);
    assert_string_equal(err.message, "csv file 'a.csv': it has no record to guess columns from");
    assert_int_equal(types.len, 0);
}

TEST(only_the_first_rows_count_and_bad_records_do_not) {
    assert_infers("n\n1\n2\nx\n", with_header, 2, "n bigint\n");
    assert_infers("n\n1\n2\nx\n", with_header, 3, "n text\n");
    assert_infers("n,m\n1,2\n3\n4,5,6\nx\"x,1\n\n7,8\n", with_header, 99, "n bigint\nm bigint\n");
    assert_infers("n,m\n", with_header, 99, "n text\nm text\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_column_gets_the_narrowest_type_that_holds_its_values),
        cmocka_unit_test(what_only_looks_like_a_number_or_date_is_text),
        cmocka_unit_test(names_come_from_the_header_or_the_position),
        cmocka_unit_test(only_the_first_rows_count_and_bad_records_do_not),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
