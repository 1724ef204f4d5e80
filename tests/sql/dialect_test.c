// The front step: tokens, splitting, cutting, and what it refuses before the grammar runs.

#include "sql/cutter.h"
#include "tests/test.h"

static tarn_arena arena;

static int init_arena(void **state) {
    (void)state;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    return 0;
}

static int reset_arena(void **state) {
    (void)state;
    tarn_arena_reset(&arena);
    return 0;
}

static tarn_slice text_of(const char *text) {
    return tarn_slice_from_cstr(text);
}

static void assert_slice(tarn_slice got, const char *wanted) {
    if (!tarn_slice_equal(got, text_of(wanted))) {
        print_message("got '" TARN_SLICE_FMT "', wanted '%s'\n", TARN_SLICE_ARG(got), wanted);
        fail();
    }
}

// ---- tokens ----

static void check_tokens(const char *sql, const char *const *wanted, size_t count) {
    tarn_slice text = text_of(sql);
    size_t offset = 0;
    sql_token token;
    for (size_t i = 0; i < count; i++) {
        assert_true(sql_token_next(text, &offset, &token, NULL));
        assert_slice(sql_token_text(text, token), wanted[i]);
    }
    assert_false(sql_token_next(text, &offset, &token, NULL));
}
#define CHECK_TOKENS(sql, ...)                       \
    check_tokens(sql, (const char *[]){__VA_ARGS__}, \
                 sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))

TEST(tokens_are_postgresqls) {
    CHECK_TOKENS("SELECT a.b+1.5e-3::int", "SELECT", "a", ".", "b", "+", "1.5e-3", "::", "int");
    CHECK_TOKENS("'it''s' E'it\\'s' \"a\"\"b\" U&'x' n''", "'it''s'", "E'it\\'s'", "\"a\"\"b\"",
                 "U&'x'", "n''");
    CHECK_TOKENS("$$a;b$$ $x$ $$ $x$ $1 a$b", "$$a;b$$", "$x$ $$ $x$", "$1", "a$b");
    CHECK_TOKENS("a--b\nc/*d/*e*/f*/g", "a", "c", "g");
    CHECK_TOKENS("a<=b*-c||'d'", "a", "<=", "b", "*-", "c", "||", "'d'");
    CHECK_TOKENS(".5 5. 1..2", ".5", "5.", "1", ".", ".2");
}

TEST(tokens_of_any_bytes_are_in_order_and_end) {
    static const char alphabet[] = "'\"$;()--/**/eE\\ab1. \n:=+\xC3\xA9";
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[40];
        size_t len = test_random_below(sizeof bytes);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)alphabet[test_random_below(sizeof alphabet - 1)];
        }
        tarn_slice text = {bytes, len};
        size_t offset = 0;
        size_t end = 0;
        sql_token token;
        while (sql_token_next(text, &offset, &token, NULL)) {
            assert_true(token.begin >= end);
            assert_true(token.end > token.begin);
            assert_true(token.end <= len);
            assert_true(offset >= token.end);
            end = token.end;
        }
    }
}

// ---- splitting ----

static bool check_split(const char *script, const char *const *wanted, size_t count) {
    tarn_slice *texts = NULL;
    size_t got = 0;
    bool is_complete = false;
    assert_int_equal(tarn_sql_split(text_of(script), &arena, &texts, &got, &is_complete, NULL),
                     TARN_OK);
    assert_int_equal(got, count);
    for (size_t i = 0; i < count; i++) assert_slice(texts[i], wanted[i]);
    return is_complete;
}
#define SPLIT(script, ...)                             \
    check_split(script, (const char *[]){__VA_ARGS__}, \
                sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))

TEST(scripts_are_cut_at_semicolons_outside_quotes_and_comments) {
    assert_true(SPLIT("SELECT 1; SELECT ';' ;", "SELECT 1", "SELECT ';'"));
    assert_true(
        SPLIT(" ;; SELECT $a$;$a$; -- ;\n /* ; /* ; */ ; */ FLUSH;", "SELECT $a$;$a$", "FLUSH"));
    assert_true(SPLIT("SELECT \";\"\"\", E'\\';';", "SELECT \";\"\"\", E'\\';'"));
    assert_true(SPLIT("SELECT (1; SELECT 2;", "SELECT (1", "SELECT 2"));
    assert_true(check_split("", NULL, 0));
    assert_true(check_split(" -- nothing\n", NULL, 0));
}

TEST(a_shell_is_told_whether_the_last_statement_is_complete) {
    assert_false(SPLIT("SELECT 1", "SELECT 1"));
    assert_false(SPLIT("SELECT 1; SELECT", "SELECT 1", "SELECT"));
    assert_false(SPLIT("SELECT 'a;", "SELECT 'a;"));
    assert_false(SPLIT("SELECT $$;", "SELECT $$;"));
    assert_false(SPLIT("SELECT 1; /* ", "SELECT 1"));
    assert_true(SPLIT("SELECT 1; -- done", "SELECT 1"));
}

// ---- cutting ----

static sql_dialect cut(const char *sql) {
    sql_dialect dialect;
    tarn_error err = {0};
    tarn_status status = sql_dialect_cut(text_of(sql), &arena, &dialect, &err);
    if (status != TARN_OK) print_message("%s\n%s\n", sql, err.message);
    assert_int_equal(status, TARN_OK);
    assert_int_equal(strlen(dialect.text), strlen(sql)); // every offset stays what it was
    return dialect;
}

TEST(a_source_is_a_table_for_the_grammar) {
    sql_dialect dialect = cut("CREATE SOURCE s (a int, WATERMARK FOR a AS a - 'x', b int) "
                              "WITH (k = 1)");
    assert_int_equal(dialect.kind, SQL_DIALECT_CREATE_SOURCE);
    assert_string_equal(dialect.text, "CREATE TABLE  s (a int                            , b int) "
                                      "            ");
    assert_slice(dialect.watermark_column, "a");
    assert_slice((tarn_slice){dialect.source.data + dialect.watermark_begin,
                              dialect.watermark_end - dialect.watermark_begin},
                 "a - 'x'");
    assert_int_equal(dialect.option_count, 1);
    assert_string_equal(cut("drop Source s").text, "drop TABLE  s");
    assert_int_equal(cut("drop Source s").kind, SQL_DIALECT_DROP_SOURCE);
}

TEST(a_watermark_first_in_the_list_takes_the_comma_behind_it) {
    sql_dialect dialect = cut("CREATE SOURCE s (WATERMARK FOR a AS f(a, 1), a int)");
    assert_string_equal(dialect.text, "CREATE TABLE  s (                            a int)");
}

TEST(words_in_quotes_and_comments_are_not_cut) {
    static const char *const plain[] = {
        "SELECT 'EMIT ON WINDOW CLOSE'",
        "SELECT 1 -- FOR SYSTEM_VERSION AS OF 3",
        "SELECT \"flush\", flush FROM source",
        "SELECT * FROM t FOR UPDATE",
        "SELECT emit ON FROM t",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "SELECT $$WATERMARK FOR a AS a$$",
        "COPY t FROM 'x' WITH (FORMAT csv)",
    };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        sql_dialect dialect = cut(plain[i]);
        assert_int_equal(dialect.kind, SQL_DIALECT_PLAIN);
        assert_string_equal(dialect.text, plain[i]);
    }
}

TEST(as_of_belongs_to_the_name_before_it_with_or_without_an_alias) {
    static const char *const names[] = {"t",     "s.t",     "t AS x",    "t x",
                                        "s.t x", "\"T t\"", "t as \"x\""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char sql[100];
        (void)snprintf(sql, sizeof sql, "SELECT 1 FROM a, %s FOR SYSTEM_VERSION AS OF 7, b",
                       names[i]);
        sql_dialect dialect = cut(sql);
        assert_int_equal(dialect.as_of_count, 1);
        assert_int_equal(dialect.as_of[0].table_offset, strlen("SELECT 1 FROM a, "));
        assert_int_equal(dialect.as_of[0].kind, TARN_AS_OF_VERSION);
        assert_int_equal(dialect.as_of[0].value, 7);
        assert_null(strstr(dialect.text, "SYSTEM"));
        assert_non_null(strstr(dialect.text, ", b"));
    }
    sql_dialect dialect = cut("SELECT 1 FROM t FOR SYSTEM_TIME AS OF TIMESTAMP "
                              "WITH TIME ZONE '1970-01-01 00:00:01+00' AS x");
    assert_int_equal(dialect.as_of[0].kind, TARN_AS_OF_TIMESTAMP);
    assert_int_equal(dialect.as_of[0].value, 1000000);
}

TEST(positions_count_characters_not_bytes) {
    sql_dialect dialect = cut("SELECT 'ä€😀', x, 'ä', y");
    const char *x = strchr(dialect.text, 'x');
    const char *y = strchr(dialect.text, 'y');
    assert_int_equal(sql_dialect_position(&dialect, (size_t)(x - dialect.text)), 15);
    assert_int_equal(sql_dialect_position(&dialect, (size_t)(y - dialect.text)), 23);
}

TEST(bytes_that_are_not_utf8_are_refused_where_they_are) {
    static const char *const bad[] = {"SELECT '\xC3'",         "SELECT '\xE2\x82'",
                                      "SELECT '\x80'",         "SELECT '\xC0\xAF'",
                                      "SELECT '\xED\xA0\x80'", "SELECT '\xF5\x80\x80\x80'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sql_dialect dialect;
        tarn_error err = {0};
        assert_int_equal(sql_dialect_cut(text_of(bad[i]), &arena, &dialect, &err), TARN_INVALID);
        assert_string_equal(err.sqlstate, "22021");
        assert_int_equal(err.position, 9);
    }
    tarn_error err = {0};
    sql_dialect dialect;
    assert_int_equal(sql_dialect_cut(TARN_LIT("SELECT \0"), &arena, &dialect, &err), TARN_INVALID);
    assert_int_equal(err.position, 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_postgresqls),
        cmocka_unit_test(tokens_of_any_bytes_are_in_order_and_end),
        cmocka_unit_test_setup_teardown(scripts_are_cut_at_semicolons_outside_quotes_and_comments,
                                        init_arena, reset_arena),
        cmocka_unit_test_setup_teardown(a_shell_is_told_whether_the_last_statement_is_complete,
                                        init_arena, reset_arena),
        cmocka_unit_test_setup_teardown(a_source_is_a_table_for_the_grammar, init_arena,
                                        reset_arena),
        cmocka_unit_test_setup_teardown(a_watermark_first_in_the_list_takes_the_comma_behind_it,
                                        init_arena, reset_arena),
        cmocka_unit_test_setup_teardown(words_in_quotes_and_comments_are_not_cut, init_arena,
                                        reset_arena),
        cmocka_unit_test_setup_teardown(
            as_of_belongs_to_the_name_before_it_with_or_without_an_alias, init_arena, reset_arena),
        cmocka_unit_test_setup_teardown(positions_count_characters_not_bytes, init_arena,
                                        reset_arena),
        cmocka_unit_test_setup_teardown(bytes_that_are_not_utf8_are_refused_where_they_are,
                                        init_arena, reset_arena),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
