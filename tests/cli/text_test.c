#include "cli/text.h"

#include "cli/out.h"
#include "tests/cli/fake.h"

static size_t width(const char *text) {
    return cli_text_width(tarn_slice_from_cstr(text));
}

static void assert_shown(const char *raw, const char *expected) {
    tarn_buffer shown = {0};
    assert_true(cli_text_show(tarn_slice_from_cstr(raw), &shown));
    fake_assert_text(&shown, expected);
    tarn_buffer_free(&shown);
}

TEST(ideographs_and_emoji_take_two_columns_and_marks_none) {
    assert_int_equal(width(""), 0);
    assert_int_equal(width("abc"), 3);
    assert_int_equal(width("caf\u00E9"), 4);
    assert_int_equal(width("cafe\u0301"), 4);         // e and a combining acute
    assert_int_equal(width("\u6771\u4EAC"), 4);       // Tokyo
    assert_int_equal(width("\uD55C"), 2);             // a Hangul syllable
    assert_int_equal(width("\u1112\u1161\u11AB"), 2); // the same in three parts
    assert_int_equal(width("\uFF21"), 2);             // a fullwidth A
    assert_int_equal(width("\U0001F6EB"), 2);         // a departing aeroplane
    assert_int_equal(width("\u2708\uFE0F"), 1);       // the selector after it takes none
    assert_int_equal(width("a\u200Bb"), 2);           // a space of no width
    assert_int_equal(width("\u2588\u2502\u00AD"), 3);
}

TEST(a_stray_byte_is_one_column_and_taken_alone) {
    tarn_slice text = TARN_LIT("\xE6\x9D"
                               "A");
    bool valid = true;
    assert_int_equal(cli_text_next(&text, &valid), 0xE6);
    assert_false(valid);
    assert_int_equal(text.len, 2);
    assert_int_equal(width("\xE6\x9D"
                           "A"),
                     3);
    // Overlong forms, surrogates and what lies beyond Unicode are no characters.
    const char *const wrong[] = {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80"};
    for (size_t i = 0; i < 4; i++) {
        tarn_slice bytes = tarn_slice_from_cstr(wrong[i]);
        (void)cli_text_next(&bytes, &valid);
        assert_false(valid);
    }
}

TEST(what_would_command_the_terminal_is_made_visible) {
    assert_shown("plain", "plain");
    assert_shown("a\nb", "a\nb");
    assert_shown("a\tb\n\tc", "a       b\n        c");
    assert_shown("\u6771\tb", "\u6771      b");
    assert_shown("red\x1b[31m\r\x07", "red\\x1B[31m\\r\\x07");
    assert_shown("\xC2\x9B"
                 "2J",
                 "\\x9B2J"); // the one-character form of ESC [
    assert_shown("\xFFok", "\\xFFok");
    assert_shown("caf\u00E9", "caf\u00E9");
}

TEST(a_head_that_fits_never_splits_a_character) {
    tarn_slice text = TARN_LIT("a\u6771\u4EAC");
    const size_t lens[] = {0, 1, 1, 4, 4, 7, 7};
    for (size_t columns = 0; columns < 7; columns++) {
        assert_int_equal(cli_text_fit(text, columns).len, lens[columns]);
    }
    // Marks stay with the character before them.
    assert_int_equal(cli_text_fit(TARN_LIT("e\u0301x"), 1).len, 3);
}

TEST(a_block_is_as_wide_as_its_widest_line) {
    assert_int_equal(cli_text_block_width(TARN_LIT("")), 0);
    assert_int_equal(cli_text_block_width(TARN_LIT("ab\nabcd\n")), 4);
    tarn_slice text = TARN_LIT("ab\n");
    bool more = false;
    assert_int_equal(cli_text_line(&text, &more).len, 2);
    assert_true(more);
    assert_int_equal(cli_text_line(&text, &more).len, 0);
    assert_false(more);
}

static tarn_status refuse(void *context, tarn_slice bytes, tarn_error *err) {
    size_t *calls = context;
    (*calls)++;
    return tarn_fail(err, TARN_IO, "no space for %zu bytes", bytes.len);
}

TEST(a_failure_of_the_output_sticks_and_what_follows_is_dropped) {
    cli_out out;
    size_t calls = 0;
    tarn_error err = {0};
    cli_out_init(&out, refuse, &calls);
    cli_out_text(&out, "abc");
    assert_int_equal(cli_out_flush(&out, &err), TARN_IO);
    assert_string_equal(err.message, "no space for 3 bytes");
    cli_out_text(&out, "def");
    assert_int_equal(cli_out_flush(&out, NULL), TARN_IO);
    assert_true(cli_out_failed(&out));
    assert_int_equal(calls, 1);
    cli_out_reset(&out);
}

TEST(output_arrives_whole_whatever_the_size_of_its_pieces) {
    tarn_buffer text = {0};
    tarn_buffer expected = {0};
    cli_out out;
    cli_out_init(&out, fake_write, &text);
    for (int i = 0; i < 3000; i++) {
        size_t count = test_random_below(200);
        char byte = (char)('a' + test_random_below(26));
        cli_out_repeat(&out, byte, count);
        cli_out_printf(&out, "%d\n", i);
        while (count-- > 0) assert_true(tarn_buffer_append_byte(&expected, (uint8_t)byte));
        assert_true(tarn_buffer_printf(&expected, "%d\n", i));
    }
    assert_int_equal(cli_out_flush(&out, NULL), TARN_OK);
    assert_true(tarn_slice_equal(tarn_buffer_slice(&text), tarn_buffer_slice(&expected)));
    cli_out_reset(&out);
    tarn_buffer_free(&text);
    tarn_buffer_free(&expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ideographs_and_emoji_take_two_columns_and_marks_none),
        cmocka_unit_test(a_stray_byte_is_one_column_and_taken_alone),
        cmocka_unit_test(what_would_command_the_terminal_is_made_visible),
        cmocka_unit_test(a_head_that_fits_never_splits_a_character),
        cmocka_unit_test(a_block_is_as_wide_as_its_widest_line),
        cmocka_unit_test(a_failure_of_the_output_sticks_and_what_follows_is_dropped),
        cmocka_unit_test(output_arrives_whole_whatever_the_size_of_its_pieces),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
