#include "cli/printer.h"

#include "tests/cli/fake.h"

// Prints rows of a schema and compares.
typedef struct print_case {
    cli_style style;
    const char *title;
    const char *footer; // NULL: the count
} print_case;

static void print_rows(const print_case *options, const tarn_schema *schema,
                       const char *const *rows, tarn_buffer *text) {
    cli_out out;
    cli_printer *printer = NULL;
    tarn_chunk_builder *builder = NULL;
    cli_out_init(&out, fake_write, text);
    tarn_slice title = tarn_slice_from_cstr(options->title);
    assert_int_equal(cli_printer_new(&options->style, schema, title, &out, &printer, NULL),
                     TARN_OK);
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, schema, &builder, NULL), TARN_OK);
    for (size_t i = 0; rows[i] != NULL; i++) {
        fake_append_row(builder, schema, rows[i]);
        if (!tarn_chunk_builder_is_full(builder) && rows[i + 1] != NULL) continue;
        tarn_batch *batch = fake_batch(builder);
        assert_int_equal(cli_printer_push(printer, batch, NULL), TARN_OK);
        tarn_batch_unref(batch);
    }
    tarn_slice footer = tarn_slice_from_cstr(options->footer);
    assert_int_equal(cli_printer_end(printer, options->footer == NULL ? NULL : &footer, NULL),
                     TARN_OK);
    assert_int_equal(cli_out_flush(&out, NULL), TARN_OK);
    cli_printer_free(printer);
    tarn_chunk_builder_free(builder);
    cli_out_reset(&out);
}

static void assert_printed(print_case options, const tarn_schema *schema, const char *const *rows,
                           const char *expected) {
    tarn_buffer text = {0};
    print_rows(&options, schema, rows, &text);
    fake_assert_text(&text, expected);
    tarn_buffer_free(&text);
}

static tarn_schema people(void) {
    static tarn_field fields[3];
    fields[0] = fake_field("id", TARN_TYPE_INTEGER);
    fields[1] = fake_field("name", TARN_TYPE_TEXT);
    fields[2] = fake_field("balance", TARN_TYPE_NUMERIC);
    fields[2].type = tarn_type_numeric(12, 2);
    return (tarn_schema){fields, 3};
}

static const char *const few_rows[] = {"1|Ann|12.50", "20|~|~", "3|\u6771\u4EAC|-1000.00", NULL};

TEST(a_table_looks_like_psql) {
    tarn_schema schema = people();
    assert_printed((print_case){0}, &schema, few_rows,
                   " id | name | balance  \n"
                   "----+------+----------\n"
                   "  1 | Ann  |    12.50\n"
                   " 20 |      |         \n"
                   "  3 | \u6771\u4EAC | -1000.00\n"
                   "(3 rows)\n"
                   "\n");
}

TEST(headers_are_centred_and_the_last_text_column_is_not_padded) {
    tarn_field fields[] = {fake_field("a", TARN_TYPE_TEXT), fake_field("b", TARN_TYPE_TEXT)};
    tarn_schema schema = {fields, 2};
    const char *const rows[] = {"long value|longer value", "x|y", NULL};
    assert_printed((print_case){0}, &schema, rows,
                   "     a      |      b       \n"
                   "------------+--------------\n"
                   " long value | longer value\n"
                   " x          | y\n"
                   "(2 rows)\n"
                   "\n");
}

TEST(one_row_is_a_row_and_none_are_rows) {
    tarn_field fields[] = {fake_field("n", TARN_TYPE_BIGINT)};
    tarn_schema schema = {fields, 1};
    const char *const one[] = {"5", NULL};
    const char *const none[] = {NULL};
    assert_printed((print_case){0}, &schema, one, " n \n---\n 5\n(1 row)\n\n");
    assert_printed((print_case){0}, &schema, none, " n \n---\n(0 rows)\n\n");
    assert_printed((print_case){.style.expanded = true}, &schema, none, "(0 rows)\n\n");
}

TEST(values_of_several_lines_are_marked_with_a_plus) {
    tarn_field fields[] = {fake_field("note\nhere", TARN_TYPE_TEXT),
                           fake_field("n", TARN_TYPE_INTEGER), fake_field("last", TARN_TYPE_TEXT)};
    tarn_schema schema = {fields, 3};
    const char *const rows[] = {"one\ntwo three\nfour|7|a\nb", "x|8|y", NULL};
    assert_printed((print_case){0}, &schema, rows,
                   "   note   +| n | last \n"
                   "   here    |   |      \n"
                   "-----------+---+------\n"
                   " one      +| 7 | a   +\n"
                   " two three+|   | b\n"
                   " four      |   | \n"
                   " x         | 8 | y\n"
                   "(2 rows)\n"
                   "\n");
}

TEST(null_and_controls_are_shown_as_asked) {
    tarn_field fields[] = {fake_field("t", TARN_TYPE_TEXT), fake_field("u", TARN_TYPE_TEXT)};
    tarn_schema schema = {fields, 2};
    const char *const rows[] = {"~|", "a\x1b[2J|b\tc", NULL};
    print_case options = {.style.null_text = TARN_LIT("(null)")};
    assert_printed(options, &schema, rows,
                   "    t     |     u     \n"
                   "----------+-----------\n"
                   " (null)   | \n"
                   " a\\x1B[2J | b       c\n"
                   "(2 rows)\n"
                   "\n");
}

TEST(title_footer_and_tuples_only) {
    tarn_schema schema = people();
    const char *const rows[] = {"1|Ann|12.50", NULL};
    assert_printed((print_case){.title = "Table \"x\"", .footer = "Foot\n"}, &schema, rows,
                   "      Table \"x\"\n"
                   " id | name | balance \n"
                   "----+------+---------\n"
                   "  1 | Ann  |   12.50\n"
                   "Foot\n"
                   "\n");
    assert_printed((print_case){.style.tuples_only = true, .title = "Table \"x\""}, &schema, rows,
                   "  1 | Ann  |   12.50\n\n");
}

TEST(expanded_records_look_like_psql) {
    tarn_schema schema = people();
    print_case options = {.style.expanded = true};
    assert_printed(options, &schema, few_rows,
                   "-[ RECORD 1 ]-----\n"
                   "id      | 1\n"
                   "name    | Ann\n"
                   "balance | 12.50\n"
                   "-[ RECORD 2 ]-----\n"
                   "id      | 20\n"
                   "name    | \n"
                   "balance | \n"
                   "-[ RECORD 3 ]-----\n"
                   "id      | 3\n"
                   "name    | \u6771\u4EAC\n"
                   "balance | -1000.00\n"
                   "\n");
}

TEST(the_line_of_a_record_has_its_cross_where_the_label_leaves_room) {
    tarn_field fields[] = {fake_field("a_rather_long_name", TARN_TYPE_TEXT),
                           fake_field("b", TARN_TYPE_TEXT)};
    tarn_schema schema = {fields, 2};
    const char *const rows[] = {"1\n22|x", "3|y", NULL};
    assert_printed((print_case){.style.expanded = true}, &schema, rows,
                   "-[ RECORD 1 ]------+---\n"
                   "a_rather_long_name | 1 +\n"
                   "                   | 22\n"
                   "b                  | x\n"
                   "-[ RECORD 2 ]------+---\n"
                   "a_rather_long_name | 3\n"
                   "b                  | y\n"
                   "\n");
    assert_printed((print_case){.style = {.expanded = true, .tuples_only = true}}, &schema, rows,
                   "a_rather_long_name | 1 +\n"
                   "                   | 22\n"
                   "b                  | x\n"
                   "-------------------+---\n"
                   "a_rather_long_name | 3\n"
                   "b                  | y\n"
                   "\n");
}

TEST(csv_quotes_what_needs_it_and_tells_null_from_empty) {
    tarn_field fields[] = {fake_field("a,b", TARN_TYPE_TEXT), fake_field("n", TARN_TYPE_INTEGER),
                           fake_field("t", TARN_TYPE_TEXT)};
    tarn_schema schema = {fields, 3};
    const char *const rows[] = {"say \"hi\"|1|", "two\nlines|~|~", "plain|-3|\\.", " s |0|\r",
                                NULL};
    assert_printed((print_case){.style.format = CLI_FORMAT_CSV}, &schema, rows,
                   "\"a,b\",n,t\n"
                   "\"say \"\"hi\"\"\",1,\"\"\n"
                   "\"two\nlines\",,\n"
                   "plain,-3,\"\\.\"\n"
                   " s ,0,\"\r\"\n");
    assert_printed((print_case){.style = {.format = CLI_FORMAT_CSV, .tuples_only = true}}, &schema,
                   rows + 3, " s ,0,\"\r\"\n");
}

TEST(json_keeps_numbers_exact_and_escapes_text) {
    tarn_field fields[] = {fake_field("t", TARN_TYPE_TEXT), fake_field("n", TARN_TYPE_NUMERIC),
                           fake_field("d", TARN_TYPE_DOUBLE), fake_field("b", TARN_TYPE_BOOLEAN)};
    fields[1].type = tarn_type_numeric(38, 2);
    tarn_schema schema = {fields, 4};
    const char *const rows[] = {
        "q\"\\\n\x01/\u00E9|123456789012345678901234567890123456.78|1e+300|t", "~|~|NaN|f",
        "|-0.01|-Infinity|~", NULL};
    assert_printed((print_case){.style.format = CLI_FORMAT_JSON}, &schema, rows,
                   "[{\"t\":\"q\\\"\\\\\\n\\u0001/\u00E9\","
                   "\"n\":123456789012345678901234567890123456.78,\"d\":1e+300,\"b\":true},\n"
                   "{\"t\":null,\"n\":null,\"d\":\"NaN\",\"b\":false},\n"
                   "{\"t\":\"\",\"n\":-0.01,\"d\":\"-Infinity\",\"b\":null}]\n");
    assert_printed((print_case){.style.format = CLI_FORMAT_JSON}, &schema, rows + 3, "[]\n");
}

TEST(json_moments_are_iso_8601) {
    tarn_field fields[] = {fake_field("a", TARN_TYPE_TIMESTAMP),
                           fake_field("b", TARN_TYPE_TIMESTAMPTZ), fake_field("c", TARN_TYPE_DATE),
                           fake_field("d", TARN_TYPE_BYTEA)};
    tarn_schema schema = {fields, 4};
    const char *const rows[] = {"2001-01-01 00:01:00.5|2001-01-01 02:00:00+00|2001-02-03|\\x00ff",
                                NULL};
    assert_printed((print_case){.style.format = CLI_FORMAT_JSON}, &schema, rows,
                   "[{\"a\":\"2001-01-01T00:01:00.5\",\"b\":\"2001-01-01T02:00:00+00:00\","
                   "\"c\":\"2001-02-03\",\"d\":\"\\\\x00ff\"}]\n");
}

TEST(markdown_escapes_bars_and_newlines) {
    tarn_field fields[] = {fake_field("n", TARN_TYPE_INTEGER), fake_field("te|xt", TARN_TYPE_TEXT)};
    tarn_schema schema = {fields, 2};
    // The separator of the rows in these tests is a bar, so it comes in through the header.
    const char *const rows[] = {"1|a\nb", "22|~", NULL};
    print_case options = {.style = {.format = CLI_FORMAT_MARKDOWN, .null_text = TARN_LIT("-")}};
    assert_printed(options, &schema, rows,
                   "|  n | te\\|xt |\n"
                   "| -: | ------ |\n"
                   "|  1 | a<br>b |\n"
                   "| 22 | -      |\n"
                   "\n");
}

TEST(a_long_result_keeps_the_widths_of_its_first_rows) {
    tarn_field fields[] = {fake_field("n", TARN_TYPE_BIGINT), fake_field("t", TARN_TYPE_TEXT)};
    tarn_schema schema = {fields, 2};
    tarn_buffer text = {0};
    cli_out out;
    cli_style style = {0};
    cli_printer *printer = NULL;
    tarn_chunk_builder *builder = NULL;
    cli_out_init(&out, fake_write, &text);
    assert_int_equal(cli_printer_new(&style, &schema, (tarn_slice){0}, &out, &printer, NULL),
                     TARN_OK);
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, &schema, &builder, NULL), TARN_OK);
    size_t pushed = 0;
    while (pushed < CLI_PRINTER_HELD_ROWS) {
        assert_int_equal(text.len, 0);
        assert_int_equal(out.buffer.len, 0); // nothing is printed while widths may change
        while (!tarn_chunk_builder_is_full(builder)) {
            fake_append_row(builder, &schema, "1|x");
            pushed++;
        }
        tarn_batch *batch = fake_batch(builder);
        assert_int_equal(cli_printer_push(printer, batch, NULL), TARN_OK);
        tarn_batch_unref(batch);
    }
    fake_append_row(builder, &schema, "123456|y");
    fake_append_row(builder, &schema, "2|z");
    tarn_batch *batch = fake_batch(builder);
    assert_int_equal(cli_printer_push(printer, batch, NULL), TARN_OK);
    tarn_batch_unref(batch);
    assert_int_equal(cli_printer_end(printer, NULL, NULL), TARN_OK);
    assert_int_equal(cli_printer_row_count(printer), pushed + 2);
    assert_int_equal(cli_out_flush(&out, NULL), TARN_OK);
    char tail[80];
    int len =
        snprintf(tail, sizeof tail, " 1 | x\n 123456 | y\n 2 | z\n(%zu rows)\n\n", pushed + 2);
    assert_memory_equal(text.data, " n | t \n---+---\n 1 | x\n", 23);
    assert_memory_equal(text.data + text.len - (size_t)len, tail, (size_t)len);
    cli_printer_free(printer);
    tarn_chunk_builder_free(builder);
    cli_out_reset(&out);
    tarn_buffer_free(&text);
}

TEST(formats_have_names) {
    for (size_t i = 0; i < CLI_FORMAT_COUNT; i++) {
        cli_format format = CLI_FORMAT_TABLE;
        assert_true(
            cli_format_parse(tarn_slice_from_cstr(cli_format_name((cli_format)i)), &format));
        assert_int_equal(format, i);
    }
    cli_format format;
    assert_false(cli_format_parse(TARN_LIT("html"), &format));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_looks_like_psql),
        cmocka_unit_test(headers_are_centred_and_the_last_text_column_is_not_padded),
        cmocka_unit_test(one_row_is_a_row_and_none_are_rows),
        cmocka_unit_test(values_of_several_lines_are_marked_with_a_plus),
        cmocka_unit_test(null_and_controls_are_shown_as_asked),
        cmocka_unit_test(title_footer_and_tuples_only),
        cmocka_unit_test(expanded_records_look_like_psql),
        cmocka_unit_test(the_line_of_a_record_has_its_cross_where_the_label_leaves_room),
        cmocka_unit_test(csv_quotes_what_needs_it_and_tells_null_from_empty),
        cmocka_unit_test(json_keeps_numbers_exact_and_escapes_text),
        cmocka_unit_test(json_moments_are_iso_8601),
        cmocka_unit_test(markdown_escapes_bars_and_newlines),
        cmocka_unit_test(a_long_result_keeps_the_widths_of_its_first_rows),
        cmocka_unit_test(formats_have_names),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
