#include "cli/plot.h"

#include "tests/cli/fake.h"

// Draws rows of (label, value) and compares; '#' stands for a whole block.
static void assert_drawn(tarn_schema schema, const char *const *rows, size_t columns,
                         const char *expected) {
    cli_plot plot = {0};
    tarn_buffer text = {0};
    cli_out out;
    tarn_chunk_builder *builder = NULL;
    cli_out_init(&out, fake_write, &text);
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, &schema, &builder, NULL), TARN_OK);
    assert_int_equal(cli_plot_begin(&plot, &schema, NULL), TARN_OK);
    for (size_t i = 0; rows[i] != NULL; i++) {
        fake_append_row(builder, &schema, rows[i]);
        assert_int_equal(cli_plot_push(&plot, tarn_chunk_builder_chunk(builder), NULL), TARN_OK);
        tarn_chunk_builder_clear(builder);
    }
    assert_int_equal(cli_plot_draw(&plot, columns, false, &out, NULL), TARN_OK);
    assert_int_equal(cli_out_flush(&out, NULL), TARN_OK);
    tarn_buffer wanted = {0};
    for (const char *at = expected; *at != '\0'; at++) {
        tarn_slice byte = {(const uint8_t *)at, 1};
        assert_true(tarn_buffer_append(&wanted, *at == '#' ? TARN_LIT("\u2588") : byte));
    }
    assert_true(tarn_buffer_append_byte(&wanted, '\0'));
    fake_assert_text(&text, (const char *)wanted.data);
    tarn_buffer_free(&wanted);
    tarn_buffer_free(&text);
    tarn_chunk_builder_free(builder);
    cli_out_reset(&out);
    cli_plot_reset(&plot);
}

static tarn_schema labelled(tarn_type_id label, tarn_type_id value) {
    static tarn_field fields[2];
    fields[0] = fake_field("hour", label);
    fields[1] = fake_field("delay", value);
    return (tarn_schema){fields, 2};
}

TEST(the_longest_bar_takes_the_width_and_parts_are_eighths) {
    const char *const rows[] = {"00|32", "01|16", "02|1", "03|0", "04|~", NULL};
    // 45 columns: label 1 + 4, line 2, bar 32, space and figure 1 + 4, and one to spare.
    assert_drawn(labelled(TARN_TYPE_TEXT, TARN_TYPE_INTEGER), rows, 45,
                 " hour \u2502 delay\n"
                 " 00   \u2502################################   32\n"
                 " 01   \u2502################                   16\n"
                 " 02   \u2502#                                   1\n"
                 " 03   \u2502                                    0\n"
                 " 04   \u2502                                 null\n"
                 "\n");
}

TEST(numbers_as_labels_stand_at_the_right_and_figures_have_decimals) {
    const char *const rows[] = {"9|1.5", "10|0.75", NULL};
    assert_drawn(labelled(TARN_TYPE_INTEGER, TARN_TYPE_DOUBLE), rows, 45,
                 " hour \u2502 delay\n"
                 "    9 \u2502################################ 1.50\n"
                 "   10 \u2502################                 0.75\n"
                 "\n");
}

TEST(little_is_not_nothing) {
    const char *const rows[] = {"a|1000000", "b|1", NULL};
    assert_drawn(labelled(TARN_TYPE_TEXT, TARN_TYPE_BIGINT), rows, 40,
                 " hour \u2502 delay\n"
                 " a    \u2502######################## 1000000\n"
                 " b    \u2502\u258F                              1\n"
                 "\n");
}

TEST(negative_bars_go_to_the_left_of_zero) {
    const char *const rows[] = {"a|16", "b|-8", "c|-1", NULL};
    assert_drawn(labelled(TARN_TYPE_TEXT, TARN_TYPE_INTEGER), rows, 41,
                 " hour \u2502 delay\n"
                 " a    \u2502          #################### 16\n"
                 " b    \u2502##########                     -8\n"
                 " c    \u2502         #                     -1\n"
                 "\n");
}

TEST(what_is_not_finite_has_a_figure_and_no_bar) {
    const char *const rows[] = {"a|Infinity", "b|NaN", "c|2", NULL};
    assert_drawn(labelled(TARN_TYPE_TEXT, TARN_TYPE_DOUBLE), rows, 44,
                 " hour \u2502 delay\n"
                 " a    \u2502                                 inf\n"
                 " b    \u2502                                 nan\n"
                 " c    \u2502################################   2\n"
                 "\n");
    const char *const zeros[] = {"a|0", NULL};
    assert_drawn(labelled(TARN_TYPE_TEXT, TARN_TYPE_DOUBLE), zeros, 45,
                 " hour \u2502 delay\n"
                 " a    \u2502 0\n"
                 "\n");
    const char *const extremes[] = {"a|1.7e308", "b|-1.7e308", "c|5e-324", NULL};
    assert_drawn(labelled(TARN_TYPE_TEXT, TARN_TYPE_DOUBLE), extremes, 48,
                 " hour \u2502 delay\n"
                 " a    \u2502               ###############  1.7e+308\n"
                 " b    \u2502###############                -1.7e+308\n"
                 " c    \u2502               \u258F                       0\n"
                 "\n");
}

TEST(what_cannot_be_drawn_is_said) {
    cli_plot plot = {0};
    cli_out out;
    tarn_buffer text = {0};
    tarn_error err = {0};
    cli_out_init(&out, fake_write, &text);
    assert_int_equal(cli_plot_draw(&plot, 80, false, &out, &err), TARN_INVALID);
    assert_string_equal(err.message, "\\plot: no query has returned rows yet");
    tarn_schema schema = labelled(TARN_TYPE_TEXT, TARN_TYPE_TEXT);
    assert_int_equal(cli_plot_begin(&plot, &schema, &err), TARN_OK);
    assert_int_equal(cli_plot_draw(&plot, 80, false, &out, &err), TARN_INVALID);
    schema.field_count = 1;
    assert_int_equal(cli_plot_begin(&plot, &schema, &err), TARN_OK);
    assert_int_equal(cli_plot_draw(&plot, 80, false, &out, &err), TARN_INVALID);
    assert_string_equal(err.message, "\\plot: the result must have a label in its first column and "
                                     "a number in its second");
    schema = labelled(TARN_TYPE_INTEGER, TARN_TYPE_INTEGER);
    assert_int_equal(cli_plot_begin(&plot, &schema, &err), TARN_OK);
    tarn_chunk_builder *builder = NULL;
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, &schema, &builder, NULL), TARN_OK);
    for (int i = 0; i <= CLI_PLOT_ROWS; i++) {
        fake_append_row(builder, &schema, "1|2");
        assert_int_equal(cli_plot_push(&plot, tarn_chunk_builder_chunk(builder), &err), TARN_OK);
        tarn_chunk_builder_clear(builder);
    }
    assert_int_equal(cli_plot_draw(&plot, 80, false, &out, &err), TARN_INVALID);
    assert_string_equal(err.message,
                        "\\plot: the result has 1001 rows, and at most 1000 can be drawn");
    assert_int_equal(text.len, 0);
    tarn_chunk_builder_free(builder);
    cli_out_reset(&out);
    tarn_buffer_free(&text);
    cli_plot_reset(&plot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_bar_takes_the_width_and_parts_are_eighths),
        cmocka_unit_test(numbers_as_labels_stand_at_the_right_and_figures_have_decimals),
        cmocka_unit_test(little_is_not_nothing),
        cmocka_unit_test(negative_bars_go_to_the_left_of_zero),
        cmocka_unit_test(what_is_not_finite_has_a_figure_and_no_bar),
        cmocka_unit_test(what_cannot_be_drawn_is_said),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
