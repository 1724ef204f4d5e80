// What pruning rules out, the condition rules out: bounds of random rows, and each rule by itself.

#include "tests/test.h"

#include "tests/expr/random_chunk.h"
#include "tests/expr/sql_expr.h"

// Columns are those of random_chunk.h.
static const char *const conditions[] = {
    "i = 7",
    "7 < i",
    "i <= 2",
    "i > 15 and i < 99",
    "i between 3 and 60",
    "i in (1, 2, 100)",
    "i <> 1",
    "not (i = 1)",
    "not (i < 7)",
    "i is null",
    "i is not null",
    "not (i is not null)",
    "b > 10",
    "b = 3000000000",
    "s >= 16::smallint",
    "i > 1.5",
    "i = 1.5",
    "i <= 2.5",
    "i < 100::bigint",
    "s = 7",
    "s > 100000",
    "b < 1.5::double precision",
    "i = 16::double precision",
    "d = 0.5::double precision",
    "d < 1",
    "d > 100",
    "d >= 1.5::double precision",
    "d <> 1",
    "r < 1",
    "r > 1",
    "r = 1.5::real",
    "r = 2.5::double precision",
    "d = 'NaN'",
    "d < 'NaN'",
    "n = 0.25",
    "n > 2.5",
    "n < 1",
    "n = 1.001",
    "n >= 1.001",
    "m = 2.5",
    "m <= 0.0025",
    "n > 2::bigint",
    "t = 'abc'",
    "t < 'b'",
    "t >= 'Hello'",
    "t like 'ab%'",
    "t like 'abc'",
    "t like '%c'",
    "t like 'a\\_%'",
    "t in ('ATL', 'zzz')",
    "starts_with(t, 'hello')",
    "not (t like 'ab%')",
    "y = 'abc'",
    "a = date '1980-05-05'",
    "a < '1970-01-01'",
    "a >= timestamp '1975-01-01 12:00'",
    "a = timestamp '1975-01-01 12:00'",
    "a < timestamp '1975-01-01 12:00'",
    "w < timestamp '1980-01-01'",
    "w >= date '1990-01-01'",
    "w::date = '1985-06-01'",
    "date(w) > date '2000-01-01'",
    "date(w) <= date '1960-01-01'",
    "date(w) <> date '1960-01-01'",
    "date_trunc('day', w) = timestamp '1985-06-01'",
    "date_trunc('hour', w) > '1999-01-01 00:30'",
    "date_trunc('month', w) = timestamp '1985-06-01'",
    "z < timestamptz '1980-01-01 00:00+00'",
    "w > timestamptz '1980-01-01 00:00+00'",
    "k < time '06:00'",
    "v > interval '1 day'",
    "p",
    "not p",
    "p = true",
    "p and i > 7",
    "i = 1 or i = 2",
    "i = 1 or i in (3, 7)",
    "i = 1 or b = 2",
    "i > 7 or i is null",
    "not (i > 7 or b < 2)",
    "i = 1 and (b > 2 or p)",
    "i = null",
    "i in (null, 1)",
    "i + 1 = 8",
    "i = j",
    "coalesce(i, 0) = 0",
    "case when p then i else 1 end = 1",
    "i::text = '7'",
};
#define CONDITION_COUNT (sizeof conditions / sizeof conditions[0])

static bool is_floating(const tarn_vector *vector) {
    return vector->type.id == TARN_TYPE_REAL || vector->type.id == TARN_TYPE_DOUBLE;
}

// As a writer of Parquet computes them: NaN is left out, text may be cut.
static tarn_bounds bounds_of(const tarn_vector *vector, size_t row_count, tarn_arena *arena) {
    tarn_bounds bounds = {.min = tarn_value_null(vector->type),
                          .max = tarn_value_null(vector->type),
                          .row_count = (int64_t)row_count};
    for (size_t i = 0; i < row_count; i++) {
        tarn_value value = tarn_vector_get(vector, i);
        if (value.is_null) {
            bounds.null_count++;
            continue;
        }
        if (is_floating(vector) && isnan(value.f64)) continue;
        if (bounds.min.is_null || tarn_value_compare(value, bounds.min) < 0) bounds.min = value;
        if (bounds.max.is_null || tarn_value_compare(value, bounds.max) > 0) bounds.max = value;
    }
    bool cuts = tarn_type_is_string(vector->type) && !bounds.min.is_null;
    if (cuts && test_random_below(2) == 0) {
        if (bounds.min.bytes.len > 2) bounds.min.bytes.len = 2;
        if (bounds.max.bytes.len > 2) { // the next greater text of two bytes
            uint8_t *cut = tarn_arena_new(arena, uint8_t, 2);
            memcpy(cut, bounds.max.bytes.data, 2);
            cut[1]++;
            bounds.max.bytes = (tarn_slice){cut, 2};
        }
    }
    switch (test_random_below(6)) { // not everything is known of every file
    case 0: bounds.null_count = -1; break;
    case 1: bounds.min = tarn_value_null(vector->type); break;
    case 2: bounds.max = tarn_value_null(vector->type); break;
    default: break;
    }
    return bounds;
}

static bool may_match(const tarn_prune *prune, const tarn_chunk *chunk, tarn_arena *arena) {
    for (size_t i = 0; i < prune->test_count; i++) {
        const tarn_vector *column = &chunk->columns[prune->tests[i].column];
        tarn_bounds bounds = bounds_of(column, chunk->row_count, arena);
        if (!tarn_prune_may_match(&prune->tests[i], &bounds)) return false;
    }
    return true;
}

TEST(pruning_never_rules_out_a_matching_row) {
    tarn_arena tree_arena;
    tarn_arena arena;
    tarn_arena_init(&tree_arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_schema schema = random_schema();
    size_t ruled_out = 0;
    for (size_t c = 0; c < CONDITION_COUNT; c++) {
        const tarn_expr *condition;
        tarn_error err = {0};
        tarn_program *program;
        tarn_prune prune;
        if (sql_read(conditions[c], &schema, &tree_arena, &condition, &err) != TARN_OK) {
            fail_msg("%s: %s", conditions[c], err.message);
        }
        assert_int_equal(tarn_program_new(&tarn_alloc_libc, &condition, 1, &program, NULL),
                         TARN_OK);
        assert_int_equal(tarn_prune_from_expr(&tree_arena, condition, &prune, NULL), TARN_OK);
        for (int run = 0; run < 60; run++) {
            random_chunk random;
            tarn_chunk filtered;
            random_chunk_init(&random, 1 + test_random_below(4), run % 3 == 0, &arena);
            random.chunk.selection = NULL;
            tarn_status status =
                tarn_program_filter(program, &random.chunk, &arena, &filtered, NULL);
            bool may = may_match(&prune, &random.chunk, &arena);
            if (!may && status == TARN_OK && tarn_chunk_count(&filtered) > 0) {
                fail_msg("%s: a row matches that was ruled out", conditions[c]);
            }
            ruled_out += !may;
            random_chunk_reset(&random);
            tarn_arena_clear(&arena);
        }
        tarn_program_free(program);
        tarn_arena_clear(&tree_arena);
    }
    assert_in_range(ruled_out, CONDITION_COUNT * 3, CONDITION_COUNT * 60); // and it does prune
    tarn_arena_reset(&arena);
    tarn_arena_reset(&tree_arena);
}

// ---- each rule ----

static const char *const op_names[] = {
    "=", "<>", "<", "<=", ">", ">=", "in", "is null", "is not null", "starts with",
};

// The tests of a condition as text: "i >= 2, i < 5".
static void describe(const tarn_prune *prune, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < prune->test_count; i++) {
        const tarn_prune_test *test = &prune->tests[i];
        used += (size_t)snprintf(out + used, size - used, "%s%s %s", i == 0 ? "" : ", ",
                                 random_columns[test->column].name, op_names[test->op]);
        for (size_t v = 0; v < test->value_count; v++) {
            tarn_buffer text = {0};
            assert_int_equal(tarn_value_format(test->values[v], &text, NULL), TARN_OK);
            used += (size_t)snprintf(out + used, size - used, " %.*s", (int)text.len,
                                     (const char *)text.data);
            tarn_buffer_free(&text);
        }
    }
}

static void assert_tests(const char *text, const char *expected) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_schema schema = random_schema();
    const tarn_expr *condition;
    tarn_prune prune;
    tarn_error err = {0};
    char actual[500];
    if (sql_read(text, &schema, &arena, &condition, &err) != TARN_OK) {
        fail_msg("%s: %s", text, err.message);
    }
    assert_int_equal(tarn_prune_from_expr(&arena, condition, &prune, NULL), TARN_OK);
    describe(&prune, actual, sizeof actual);
    assert_string_equal(actual, expected);
    tarn_arena_reset(&arena);
}

TEST(conditions_become_tests_of_columns) {
    assert_tests("i = 7 and b < 10 and t = 'x'", "i = 7, b < 10, t = x");
    assert_tests("7 < i", "i > 7");
    assert_tests("i between 1 and 3", "i >= 1, i <= 3");
    assert_tests("i in (1, 2)", "i in 1 2");
    assert_tests("i = 1 or i = 2 or i in (3)", "i in 1 2 3");
    assert_tests("i = 1 or b = 2", "");
    assert_tests("not (i < 1 or b > 2)", "i >= 1, b <= 2");
    assert_tests("i > 1 + 2", "i > 3");
    assert_tests("i = j", "");
    assert_tests("p and not q", "p = t, q = f");
    assert_tests("i is null and b is not null", "i is null, b is not null");
    assert_tests("i + 1 = 2 and b = 3", "b = 3");
}

TEST(casts_that_keep_the_order_are_looked_through) {
    assert_tests("i > 1.5", "i >= 2");
    assert_tests("i <= 1.5", "i < 2");
    assert_tests("i = 1.5", "i in");
    assert_tests("i = 2.0", "i = 2");
    assert_tests("s < 100000", "");
    assert_tests("s = 7::bigint", "s = 7");
    assert_tests("i < 2.5::double precision", "i < 3");
    assert_tests("n > 1.001", "n >= 1.01");
    assert_tests("n = 1", "n = 1.00");
    assert_tests("m = 2.5", "m = 2.5000");
    assert_tests("a < timestamp '1975-01-01 12:00'", "a < 1975-01-02");
    assert_tests("a >= timestamp '1975-01-01'", "a >= 1975-01-01");
    assert_tests("w::date = '1985-06-01'", "w >= 1985-06-01 00:00:00, w < 1985-06-02 00:00:00");
    assert_tests("date(w) > date '1985-06-01'", "w >= 1985-06-02 00:00:00");
    assert_tests("date_trunc('hour', w) = timestamp '1985-06-01 10:00'",
                 "w >= 1985-06-01 10:00:00, w < 1985-06-01 11:00:00");
    assert_tests("date_trunc('hour', w) = timestamp '1985-06-01 10:30'", "w in");
    assert_tests("w > timestamptz '1985-06-01 00:00+02'", "w > 1985-05-31 22:00:00");
    assert_tests("r < 1.5::double precision", "r < 1.5");
    assert_tests("i::text = '7'", "");
    assert_tests("d::int = 7", "");
}

TEST(patterns_become_prefixes) {
    assert_tests("t like 'abc%'", "t starts with abc");
    assert_tests("t like 'a\\_b%'", "t starts with a_b");
    assert_tests("t like 'ab_d'", "t starts with ab");
    assert_tests("t like 'abc'", "t = abc");
    assert_tests("t like '%abc'", "");
    assert_tests("t not like 'abc%'", "");
    assert_tests("starts_with(t, 'ab')", "t starts with ab");
}

static tarn_value double_value(double number) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_DOUBLE), .f64 = number};
}

static bool match_double(tarn_prune_op op, double value, double min, double max) {
    tarn_value values[1] = {double_value(value)};
    tarn_prune_test test = {.op = op, .values = values, .value_count = 1};
    tarn_bounds bounds = {double_value(min), double_value(max), 0, 10};
    return tarn_prune_may_match(&test, &bounds);
}

// NaN is greater than every number and in no statistics.
TEST(bounds_of_floats_say_nothing_about_nan) {
    assert_false(match_double(TARN_PRUNE_EQ, 5, 1, 3));
    assert_false(match_double(TARN_PRUNE_LT, 1, 1, 3));
    assert_true(match_double(TARN_PRUNE_GT, 5, 1, 3));
    assert_true(match_double(TARN_PRUNE_GE, 5, 1, 3));
    assert_true(match_double(TARN_PRUNE_NE, 2, 2, 2));
    assert_true(match_double(TARN_PRUNE_EQ, (double)NAN, 1, 3));
    assert_true(match_double(TARN_PRUNE_LT, (double)NAN, 1, 3));
    assert_true(match_double(TARN_PRUNE_EQ, 5, 1, (double)NAN));
    assert_true(match_double(TARN_PRUNE_EQ, 0.0, -0.0, -0.0));
}

TEST(counts_of_nulls_decide) {
    tarn_value null = tarn_value_null(tarn_type_of(TARN_TYPE_INTEGER));
    tarn_value seven = {.type = tarn_type_of(TARN_TYPE_INTEGER), .i64 = 7};
    tarn_prune_test is_null = {.op = TARN_PRUNE_IS_NULL};
    tarn_prune_test is_not_null = {.op = TARN_PRUNE_IS_NOT_NULL};
    tarn_prune_test equal = {.op = TARN_PRUNE_EQ, .values = &seven, .value_count = 1};
    tarn_prune_test equal_null = {.op = TARN_PRUNE_EQ, .values = &null, .value_count = 1};
    tarn_prune_test in_nothing = {.op = TARN_PRUNE_IN};
    tarn_bounds none = {seven, seven, 0, 5};
    tarn_bounds all = {null, null, 5, 5};
    tarn_bounds unknown = {null, null, -1, -1};
    tarn_bounds empty = {null, null, 0, 0};
    assert_false(tarn_prune_may_match(&is_null, &none));
    assert_true(tarn_prune_may_match(&is_null, &all));
    assert_true(tarn_prune_may_match(&is_null, &unknown));
    assert_true(tarn_prune_may_match(&is_not_null, &none));
    assert_false(tarn_prune_may_match(&is_not_null, &all));
    assert_true(tarn_prune_may_match(&is_not_null, &unknown));
    assert_true(tarn_prune_may_match(&equal, &none));
    assert_false(tarn_prune_may_match(&equal, &all));
    assert_true(tarn_prune_may_match(&equal, &unknown));
    assert_false(tarn_prune_may_match(&equal, &empty));
    assert_false(tarn_prune_may_match(&equal_null, &none));
    assert_false(tarn_prune_may_match(&in_nothing, &none));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pruning_never_rules_out_a_matching_row),
        cmocka_unit_test(conditions_become_tests_of_columns),
        cmocka_unit_test(casts_that_keep_the_order_are_looked_through),
        cmocka_unit_test(patterns_become_prefixes),
        cmocka_unit_test(bounds_of_floats_say_nothing_about_nan),
        cmocka_unit_test(counts_of_nulls_decide),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
