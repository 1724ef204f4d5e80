#include "cli/scan.h"

#include "tests/cli/fake.h"

// What the scanner makes of a script: "line: <statement>" and "line: META <rest>" per line, and the
// prompt at the end.
static void scan(const char *script, tarn_buffer *out) {
    cli_scanner scanner;
    cli_scanner_init(&scanner);
    tarn_slice rest = tarn_slice_from_cstr(script);
    while (rest.len > 0) {
        const uint8_t *newline = memchr(rest.data, '\n', rest.len);
        size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.data) + 1;
        tarn_slice line = tarn_slice_head(rest, len);
        rest = tarn_slice_skip(rest, len);
        cli_scanner_next_line(&scanner);
        for (;;) {
            cli_scan_found found = CLI_SCAN_LINE_DONE;
            assert_int_equal(cli_scanner_feed(&scanner, &line, &found, NULL), TARN_OK);
            if (found == CLI_SCAN_LINE_DONE) break;
            if (found == CLI_SCAN_META) {
                assert_true(tarn_buffer_printf(out, "%d: META " TARN_SLICE_FMT, (int)scanner.line,
                                               TARN_SLICE_ARG(line)));
                break;
            }
            assert_true(tarn_buffer_printf(out, "%d: <" TARN_SLICE_FMT ">\n",
                                           (int)scanner.first_line,
                                           TARN_SLICE_ARG(tarn_buffer_slice(&scanner.text))));
            cli_scanner_clear(&scanner);
        }
    }
    assert_true(tarn_buffer_printf(out, "%c", cli_scanner_prompt(&scanner)));
    cli_scanner_reset(&scanner);
}

static void assert_scanned(const char *script, const char *expected) {
    tarn_buffer text = {0};
    scan(script, &text);
    fake_assert_text(&text, expected);
    tarn_buffer_free(&text);
}

TEST(statements_end_at_semicolons) {
    assert_scanned("SELECT 1;", "1: <SELECT 1;>\n=");
    assert_scanned("a;b ; c\n", "1: <a;>\n1: <b ;>\n-");
    assert_scanned("\n\n  a\n b;\n", "3: <a\n b;>\n=");
    assert_scanned(" ;;\n;", "=");
}

TEST(quotes_hide_semicolons_and_backslashes) {
    assert_scanned("a ';\\' b;", "1: <a ';\\' b;>\n=");
    assert_scanned("'it''s;';", "1: <'it''s;';>\n=");
    assert_scanned("\"a;\"\"b\\\";", "1: <\"a;\"\"b\\\";>\n=");
    assert_scanned("E'it\\'s;' x;", "1: <E'it\\'s;' x;>\n=");
    assert_scanned("e'\\\\';y;", "1: <e'\\\\';>\n1: <y;>\n=");
    assert_scanned("name'\\';y;", "1: <name'\\';>\n1: <y;>\n="); // not a prefix but a name's end
    assert_scanned("'two\nlines;';", "1: <'two\nlines;';>\n=");
}

TEST(dollar_quotes_hide_everything_up_to_their_tag) {
    assert_scanned("$$a;b\n$c$ ' $$;", "1: <$$a;b\n$c$ ' $$;>\n=");
    assert_scanned("$x$;$$;$y$;$x$;", "1: <$x$;$$;$y$;$x$;>\n=");
    assert_scanned("$1;", "1: <$1;>\n=");                      // a parameter
    assert_scanned("a$b$;c$b$;", "1: <a$b$;>\n1: <c$b$;>\n="); // names
}

TEST(comments_hide_too_and_are_not_part_of_a_statement_in_front_of_it) {
    assert_scanned("-- a;\nb; -- c;\n", "2: <b;>\n=");
    assert_scanned("/* a; /* b; */ c; */ d;", "1: <d;>\n=");
    assert_scanned("/* a\n\n*/ d /* ; */ e;", "3: <d /* ; */ e;>\n=");
    assert_scanned("a -- ';\n;", "1: <a -- ';\n;>\n=");
    assert_scanned("-- it's\nSELECT 1;", "2: <SELECT 1;>\n=");
}

TEST(a_backslash_outside_of_quotes_is_a_meta_command) {
    assert_scanned("\\d t\na;", "1: META \\d t\n2: <a;>\n=");
    assert_scanned("a; \\x\n", "1: <a;>\n1: META \\x\n=");
    assert_scanned("a \\g\n", "1: META \\g\n-");
    assert_scanned("-- \\d\n/* \\d */\n", "=");
}

TEST(the_prompt_tells_what_is_open) {
    assert_scanned("", "=");
    assert_scanned("SELECT", "-");
    assert_scanned("SELECT (1", "(");
    assert_scanned("SELECT (1))", "-");
    assert_scanned("SELECT '", "'");
    assert_scanned("SELECT E'\\'", "'");
    assert_scanned("SELECT \"", "\"");
    assert_scanned("SELECT $a$ ", "$");
    assert_scanned("/* ", "*");
    assert_scanned("SELECT (1; SELECT 2",
                   "1: <SELECT (1;>\n-"); // so that a slip costs one statement
}

// Whatever the bytes are: nothing but spaces and comments is lost, and it ends.
TEST(random_scripts_lose_nothing_but_what_is_between_statements) {
    static const char alphabet[] = "ab'\"$;\\/*-\n (E)";
    for (int round = 0; round < 2000; round++) {
        char script[41];
        size_t len = test_random_below(40);
        for (size_t i = 0; i < len; i++) {
            script[i] = alphabet[test_random_below(sizeof alphabet - 1)];
        }
        script[len] = '\0';
        tarn_buffer text = {0};
        scan(script, &text);
        assert_true(text.len > 0);
        tarn_buffer_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_end_at_semicolons),
        cmocka_unit_test(quotes_hide_semicolons_and_backslashes),
        cmocka_unit_test(dollar_quotes_hide_everything_up_to_their_tag),
        cmocka_unit_test(comments_hide_too_and_are_not_part_of_a_statement_in_front_of_it),
        cmocka_unit_test(a_backslash_outside_of_quotes_is_a_meta_command),
        cmocka_unit_test(the_prompt_tells_what_is_open),
        cmocka_unit_test(random_scripts_lose_nothing_but_what_is_between_statements),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
