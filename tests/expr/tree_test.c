// Trees: messages, positions and hints; what EXPLAIN shows; folding; questions about trees.

#include "tests/test.h"

#include "tests/expr/random_chunk.h"
#include "tests/expr/sql_expr.h"

typedef struct reading {
    tarn_arena arena;
    const tarn_expr *expr;
    tarn_status status;
    tarn_error err;
} reading;

static void read_text(reading *r, const char *text) {
    static tarn_schema schema;
    schema = random_schema();
    *r = (reading){.status = TARN_OK};
    tarn_arena_init(&r->arena, &tarn_alloc_libc, SIZE_MAX);
    r->status = sql_read(text, &schema, &r->arena, &r->expr, &r->err);
}

static void assert_fails(const char *text, const char *sqlstate, int position,
                         const char *message) {
    reading r;
    read_text(&r, text);
    assert_int_not_equal(r.status, TARN_OK);
    assert_string_equal(r.err.message, message);
    assert_string_equal(r.err.sqlstate, sqlstate);
    assert_int_equal(r.err.position, position);
    tarn_arena_reset(&r.arena);
}

TEST(wrong_calls_say_what_and_where) {
    assert_fails("1 + lower(i)", "42883", 5, "function lower(integer) does not exist");
    assert_fails("i + t", "42883", 3, "operator does not exist: integer + text");
    assert_fails("1 + no_such(i, t)", "42883", 5, "function no_such(integer, text) does not exist");
    assert_fails("- 'x'", "42725", 1, "operator is not unique: - unknown");
    assert_fails("i + 'abc'", "22P02", 10, "invalid input syntax for type integer: \"abc\"");
    assert_fails("a::integer", "42846", 4, "cannot cast type date to integer");
    assert_fails("case when i then 1 end", "42804", 11,
                 "argument of CASE/WHEN must be type boolean, not type integer");
    assert_fails("p and i", "42804", 7, "argument of AND must be type boolean, not type integer");
    assert_fails("coalesce(i, t)", "42804", 1, "COALESCE types integer and text cannot be matched");
    assert_fails("case when p then a else i end", "42804", 30,
                 "CASE types integer and date cannot be matched");
    assert_fails("0.1e-50", "22003", 8, "number \"0.1e-50\" has more digits than numeric holds");
}

TEST(near_names_are_suggested) {
    reading r;
    read_text(&r, "lowre(t)");
    assert_string_equal(r.err.hint, "did you mean lower()?");
    tarn_arena_reset(&r.arena);
    read_text(&r, "date_trun('day', w)");
    assert_string_equal(r.err.hint, "did you mean date_trunc()?");
    tarn_arena_reset(&r.arena);
    read_text(&r, "lower(i)");
    assert_string_equal(r.err.hint, "no overload takes these argument types; add explicit casts");
    tarn_arena_reset(&r.arena);
}

TEST(assignment_takes_what_an_expression_may_not) {
    reading r;
    const tarn_expr *cast;
    tarn_error err = {0};
    read_text(&r, "b");
    tarn_type integer = tarn_type_of(TARN_TYPE_INTEGER);
    assert_int_equal(
        tarn_expr_cast(&r.arena, r.expr, integer, TARN_CAST_ASSIGNMENT, 3, &cast, &err), TARN_OK);
    assert_int_equal(tarn_expr_cast(&r.arena, r.expr, integer, TARN_CAST_IMPLICIT, 3, &cast, &err),
                     TARN_INVALID);
    assert_string_equal(err.sqlstate, "42804");
    assert_string_equal(err.message, "type integer is needed but expression is of type bigint");
    assert_int_equal(err.position, 3);
    tarn_arena_reset(&r.arena);

    tarn_type three = tarn_type_of(TARN_TYPE_TEXT);
    three.length = 3;
    tarn_value value;
    read_text(&r, "'abcd'::text");
    assert_int_equal(tarn_expr_cast(&r.arena, r.expr, three, TARN_CAST_ASSIGNMENT, 0, &cast, &err),
                     TARN_OK);
    assert_int_equal(tarn_expr_evaluate(cast, (tarn_eval_context){0}, &r.arena, &value, &err),
                     TARN_INVALID);
    assert_string_equal(err.sqlstate, "22001");
    assert_string_equal(err.message, "value too long for type character varying(3)");
    tarn_arena_reset(&r.arena);
}

static void assert_shown(const char *text, const char *expected) {
    reading r;
    tarn_buffer out = {0};
    read_text(&r, text);
    if (r.status != TARN_OK) fail_msg("%s: %s", text, r.err.message);
    assert_int_equal(tarn_expr_format(r.expr, &out, NULL), TARN_OK);
    assert_true(tarn_buffer_append_byte(&out, 0));
    assert_string_equal((const char *)out.data, expected);
    tarn_buffer_free(&out);
    tarn_arena_reset(&r.arena);
}

TEST(expressions_are_shown_as_sql) {
    assert_shown("i>15", "(i > 15)");
    assert_shown("i + b * 2", "(i::bigint + (b * 2))");
    assert_shown("t like 'it''s%'", "(t ~~ 'it''s%')");
    assert_shown("p and not q or i is null", "((p AND (NOT q)) OR (i IS NULL))");
    assert_shown("t is not null", "(t IS NOT NULL)");
    assert_shown("i in (1,2)", "(i IN (1, 2))");
    assert_shown("coalesce(t, 'x')", "COALESCE(t, 'x')");
    assert_shown("case when p then 1 else 0 end", "CASE WHEN p THEN 1 ELSE 0 END");
    assert_shown("case when p then 1 end", "CASE WHEN p THEN 1 ELSE NULL END");
    assert_shown("w + interval '5 minutes'", "(w + '00:05:00'::interval)");
    assert_shown("a < '2020-01-02'", "(a < '2020-01-02'::date)");
    assert_shown("t is distinct from u", "(t IS DISTINCT FROM u)");
    assert_shown("-i", "(-i)");
    assert_shown("lower(t)", "lower(t)");
    assert_shown("i::numeric(10,2)", "i::numeric(10,2)");
}

static void assert_folded(const char *text, const char *expected) {
    reading r;
    tarn_buffer out = {0};
    const tarn_expr *folded;
    read_text(&r, text);
    if (r.status != TARN_OK) fail_msg("%s: %s", text, r.err.message);
    assert_int_equal(tarn_expr_fold(&r.arena, r.expr, &folded, NULL), TARN_OK);
    assert_true(tarn_type_equal(folded->type, r.expr->type));
    assert_int_equal(tarn_expr_format(folded, &out, NULL), TARN_OK);
    assert_true(tarn_buffer_append_byte(&out, 0));
    assert_string_equal((const char *)out.data, expected);
    tarn_buffer_free(&out);
    tarn_arena_reset(&r.arena);
}

TEST(folding_computes_what_needs_no_row) {
    assert_folded("1 + 2 * 3", "7");
    assert_folded("i + (2 + 3)", "(i + 5)");
    assert_folded("lower('ABC') || t", "('abc' || t)");
    assert_folded("1 / 0", "(1 / 0)"); // fails only where a row gets there
    assert_folded("i > 1 and true", "(i > 1)");
    assert_folded("p and false", "false");
    assert_folded("p or true", "true");
    assert_folded("1 / i > 0 and false", "(((1 / i) > 0) AND false)"); // may fail before
    assert_folded("false and 1 / i > 0", "false");
    assert_folded("case when true then i else j end", "i");
    assert_folded("case when false then i when p then j else 0 end",
                  "CASE WHEN p THEN j ELSE 0 END");
    assert_folded("coalesce(null, i, j)", "COALESCE(i, j)");
    assert_folded("coalesce(null, 5, i)", "5");
    assert_folded("date_trunc('day', timestamp '2020-01-02 03:04:05')",
                  "'2020-01-02 00:00:00'::timestamp without time zone");
    assert_folded("now() > z", "(now() > z)");
}

TEST(columns_and_volatility_are_known) {
    reading r;
    uint64_t columns[1] = {0};
    read_text(&r, "case when i > j then lower(t) else coalesce(u, t) end");
    tarn_expr_columns(r.expr, columns, RANDOM_COLUMN_COUNT);
    assert_int_equal(columns[0], 1u << 1 | 1u << 2 | 1u << 10 | 1u << 11);
    assert_false(tarn_expr_is_volatile(r.expr));
    tarn_arena_reset(&r.arena);
    read_text(&r, "coalesce(z, now())");
    assert_true(tarn_expr_is_volatile(r.expr));
    tarn_arena_reset(&r.arena);
}

TEST(equal_trees_are_equal) {
    static const char *const texts[] = {
        "i + 1",
        "i + 2",
        "j + 1",
        "i - 1",
        "i::text",
        "i::bigint",
        "i in (1, 2)",
        "i in (2, 1)",
        "0.0::double precision",
        "-(0.0::double precision)",
        "interval '1 month'",
        "interval '30 days'",
        "null::int",
        "null::text",
        "t = 'a'",
        "t <> 'a'",
    };
    enum { COUNT = sizeof texts / sizeof texts[0] };
    reading first[COUNT];
    reading second[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        read_text(&first[i], texts[i]);
        read_text(&second[i], texts[i]);
        assert_int_equal(first[i].status, TARN_OK);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            assert_int_equal(tarn_expr_equal(first[i].expr, second[k].expr), i == k);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        tarn_arena_reset(&first[i].arena);
        tarn_arena_reset(&second[i].arena);
    }
}

TEST(substitution_replaces_columns) {
    reading r;
    read_text(&r, "i + j * 2");
    const tarn_expr *replacements[RANDOM_COLUMN_COUNT] = {0};
    const tarn_expr *result;
    tarn_buffer out = {0};
    tarn_field field = {.name = TARN_LIT("other"), .type = tarn_type_of(TARN_TYPE_INTEGER)};
    for (size_t i = 0; i < RANDOM_COLUMN_COUNT; i++) {
        assert_int_equal(tarn_expr_column(&r.arena, i, &field, 0, &replacements[i], NULL), TARN_OK);
    }
    replacements[1] = r.expr; // i by the whole
    assert_int_equal(
        tarn_expr_substitute(&r.arena, r.expr, replacements, RANDOM_COLUMN_COUNT, &result, NULL),
        TARN_OK);
    assert_int_equal(tarn_expr_format(result, &out, NULL), TARN_OK);
    assert_true(tarn_buffer_append_byte(&out, 0));
    assert_string_equal((const char *)out.data, "((i + (j * 2)) + (other * 2))");
    tarn_buffer_free(&out);
    tarn_arena_reset(&r.arena);
}

static void assert_not_null(const char *text, bool expected) {
    tarn_field fields[] = {
        {.name = TARN_LIT("x"), .type = tarn_type_of(TARN_TYPE_INTEGER), .not_null = true},
        {.name = TARN_LIT("o"), .type = tarn_type_of(TARN_TYPE_INTEGER)}};
    tarn_schema schema = {fields, 2};
    tarn_arena arena;
    const tarn_expr *expr;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    assert_int_equal(sql_read(text, &schema, &arena, &expr, NULL), TARN_OK);
    if (expr->not_null != expected) fail_msg("%s: not_null is %d", text, expr->not_null);
    tarn_arena_reset(&arena);
}

TEST(what_cannot_be_null_is_known) {
    assert_not_null("x", true);
    assert_not_null("o", false);
    assert_not_null("x + 1", true);
    assert_not_null("x + o", false);
    assert_not_null("o is null", true);
    assert_not_null("coalesce(o, 0)", true);
    assert_not_null("coalesce(o, o)", false);
    assert_not_null("nullif(x, 1)", false);
    assert_not_null("case when o > 1 then x else 0 end", true);
    assert_not_null("case when o > 1 then x end", false);
    assert_not_null("x in (1, 2)", true);
    assert_not_null("x in (1, null)", false);
    assert_not_null("o is distinct from 1", true);
    assert_not_null("x::text", true);
    assert_not_null("greatest(o, 1)", true);
    assert_not_null("concat(o)", true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_calls_say_what_and_where),
        cmocka_unit_test(near_names_are_suggested),
        cmocka_unit_test(assignment_takes_what_an_expression_may_not),
        cmocka_unit_test(expressions_are_shown_as_sql),
        cmocka_unit_test(folding_computes_what_needs_no_row),
        cmocka_unit_test(columns_and_volatility_are_known),
        cmocka_unit_test(equal_trees_are_equal),
        cmocka_unit_test(substitution_replaces_columns),
        cmocka_unit_test(what_cannot_be_null_is_known),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
