// Programs over vectors of any layout equal the evaluation of one row after the other, with the
// row's values put in as literals.

#include "tests/test.h"

#include "tests/expr/random_chunk.h"
#include "tests/expr/sql_expr.h"

// Columns are those of random_chunk.h: s smallint, i j integer, b c bigint, r real, d e double,
// n m numeric, t u text, y bytea, a date, k time, w x timestamp, z timestamptz, v interval, p q
// boolean.
static const char *const expressions[] = {
    "s + s",
    "i + j",
    "b + c",
    "i - 7",
    "100 - i",
    "b * 3",
    "i * j",
    "b * c",
    "s * s",
    "i / j",
    "b / c",
    "s / 3::smallint",
    "i % j",
    "mod(b, c)",
    "b / 60",
    "-i",
    "-b",
    "-s",
    "abs(i)",
    "abs(b)",
    "i & j",
    "b | c",
    "i # 5",
    "~i",
    "i << 2",
    "b >> 3",
    "r + r",
    "d + e",
    "d - e",
    "d * e",
    "d / e",
    "r * r",
    "r / r",
    "d * 2",
    "-d",
    "abs(d)",
    "r + d",
    "i + d",
    "b * d",
    "s + r",
    "n + n",
    "n + m",
    "m - n",
    "n * n",
    "n * m",
    "m * m",
    "n / n",
    "n / m",
    "m / 3",
    "n % m",
    "-n",
    "abs(m)",
    "n + i",
    "i * n",
    "b * n",
    "n * 1.5",
    "round(n)",
    "round(m, 2)",
    "round(n, i)",
    "trunc(m, 1)",
    "ceil(n)",
    "floor(m)",
    "sign(n)",
    "div(m, n)",
    "i = j",
    "i <> j",
    "i < j",
    "i <= 7",
    "7 > i",
    "i >= j",
    "b = c",
    "b < 100",
    "s = i",
    "i < b",
    "d = e",
    "d < e",
    "d <= e",
    "d > e",
    "d >= 1.5::double precision",
    "d <> e",
    "r = d",
    "r < 1",
    "n = m",
    "n < m",
    "n >= 0.5",
    "n <> 1",
    "m <= n",
    "n = n",
    "m > m",
    "t = u",
    "t <> u",
    "t < u",
    "t <= 'abc'",
    "t > u",
    "t >= u",
    "t = 'ATL'",
    "'ab' < t",
    "y = y",
    "y < y",
    "a = a",
    "a < date '1980-01-01'",
    "w < x",
    "w = z",
    "a <= w",
    "k < time '12:00'",
    "v = v",
    "v < interval '1 day'",
    "p = q",
    "p < q",
    "p and q",
    "p or q",
    "not p",
    "p and q and i < j",
    "p or q or i < j",
    "i < j and b < c or p",
    "i > 0 and 100 / i > 3",
    "i = 0 or 100 / i > 3",
    "p and null",
    "p or null",
    "p is null",
    "t is not null",
    "p is null and q is null",
    "case when i > 15 then 1 else 0 end",
    "case when d > 1 then 2.5 else 1 end",
    "case when p then i when q then j else s end",
    "case when p then t else u end",
    "case when i <> 0 then 100 / i else 0 end",
    "case when p then null else b end",
    "case when t = 'abc' then 'x' when t > u then u end",
    "coalesce(i, j, 0)",
    "coalesce(t, u)",
    "coalesce(t, 'none at all, in a long text')",
    "coalesce(n, m)",
    "coalesce(i, 1 / 0)",
    "i in (1, 2, 7)",
    "i in (1, null)",
    "t in ('abc', 'ATL', 'zzz')",
    "d in (1, 2.5)",
    "i in (j, 7)",
    "n in (0.25, 1)",
    "i not in (1, 15)",
    "a in ('1970-01-01', '1980-01-01')",
    "m in (0.0025)",
    "i is distinct from j",
    "t is not distinct from u",
    "nullif(i, 7)",
    "nullif(t, u)",
    "greatest(i, j, 5)",
    "least(t, u)",
    "greatest(n, m)",
    "least(d, e)",
    "greatest(w, x)",
    "i::bigint",
    "i::smallint",
    "b::int",
    "b::double precision",
    "d::int",
    "d::bigint",
    "r::int",
    "d::real",
    "i::text",
    "n::text",
    "d::text",
    "b::text",
    "p::text",
    "a::text",
    "w::text",
    "v::text",
    "n::int",
    "m::bigint",
    "n::double precision",
    "d::numeric(20,3)",
    "i::numeric(12,2)",
    "b::numeric",
    "m::numeric(10,1)",
    "n::numeric(8,1)",
    "t::int",
    "t::date",
    "t::boolean",
    "t::varchar(3)",
    "i::boolean",
    "p::int",
    "a::timestamp",
    "w::date",
    "w::time",
    "w::timestamp(0)",
    "k::interval",
    "v::time",
    "y::text",
    "t::numeric(6,2)",
    "lower(t)",
    "upper(t)",
    "length(t)",
    "octet_length(t)",
    "initcap(t)",
    "reverse(t)",
    "substr(t, 2, 3)",
    "substr(t, i)",
    "left(t, 2)",
    "left(t, i)",
    "right(t, 3)",
    "right(t, j)",
    "t || u",
    "t || i",
    "concat(t, u, i, p)",
    "concat_ws('-', t, u)",
    "concat_ws(t, u, u)",
    "strpos(t, 'l')",
    "strpos(t, u)",
    "replace(t, 'a', 'bb')",
    "replace(t, u, 'x')",
    "btrim(t, 'ab')",
    "lpad(t, 8, 'xy')",
    "rpad(t, i)",
    "repeat(t, 2)",
    "split_part(t, ' ', 1)",
    "split_part(t, u, 2)",
    "starts_with(t, 'a')",
    "translate(t, 'abc', 'xy')",
    "md5(t)",
    "ascii(t)",
    "chr(i)",
    "encode(y, 'hex')",
    "encode(y, 'base64')",
    "to_hex(i)",
    "quote_literal(t)",
    "t like 'a%'",
    "t like '%o%'",
    "t like '_b%'",
    "t not like '%c'",
    "t ilike 'HELLO%'",
    "t like u",
    "length(lower(t)) + length(t)",
    "lower(t) = lower(u)",
    "upper(substr(t, 1, 1))",
    "a + 1",
    "a + i",
    "a - a",
    "a - 30",
    "w - x",
    "w + interval '1 day 2 hours'",
    "w - interval '5 seconds'",
    "interval '1 month' + w",
    "w + v",
    "z - v",
    "a + v",
    "k + v",
    "k - k",
    "v + v",
    "v - v",
    "-v",
    "v * 2",
    "v * d",
    "i * interval '1 minute'",
    "v / 4",
    "v / d",
    "date_trunc('hour', w)",
    "date_trunc('day', w)",
    "date_trunc('week', w)",
    "date_trunc('month', w)",
    "date_trunc('year', z)",
    "date_trunc('minute', w)",
    "date_trunc('day', v)",
    "date_trunc(t, w)",
    "extract(hour from w)",
    "extract(epoch from w)",
    "extract(dow from a)",
    "extract(year from a)",
    "date_part('month', w)",
    "extract(second from w)",
    "extract(week from w)",
    "extract(day from v)",
    "date_bin(interval '15 minutes', w, timestamp '2001-01-01')",
    "age(w, x)",
    "make_date(2000, i, j)",
    "justify_interval(v)",
    "to_timestamp(d)",
    "sqrt(d)",
    "exp(r)",
    "ln(d)",
    "power(d, e)",
    "d ^ 2",
    "floor(d)",
    "round(d)",
    "ceil(r)",
    "sin(d)",
    "atan2(d, e)",
    "sign(d)",
    "width_bucket(d, 0, 10, 5)",
    "width_bucket(n, 0, 10, 5)",
    "pi()",
    "to_char(w, 'YYYY-MM-DD HH24:MI')",
    "to_char(n, '999,999.99')",
    "to_char(d, '9999.9')",
    "to_char(w, t)",
    "i + j + i + j",
    "(i + j) * (i + j)",
    "case when i + j > 0 then i + j else -(i + j) end",
};
#define EXPRESSION_COUNT (sizeof expressions / sizeof expressions[0])

static const tarn_eval_context context = {.now_us = 1700000000123456};

// The value of one row, by literals.
static tarn_status evaluate_row(const tarn_expr *expr, const tarn_chunk *chunk, size_t row,
                                tarn_arena *arena, tarn_value *ret_value, tarn_error *err) {
    const tarn_expr *literals[RANDOM_COLUMN_COUNT];
    for (size_t c = 0; c < RANDOM_COLUMN_COUNT; c++) {
        tarn_value value = tarn_vector_get(&chunk->columns[c], row);
        TARN_TRY(tarn_expr_literal(arena, value, false, 0, &literals[c], err));
    }
    TARN_TRY(tarn_expr_substitute(arena, expr, literals, RANDOM_COLUMN_COUNT, &expr, err));
    return tarn_expr_evaluate(expr, context, arena, ret_value, err);
}

static bool same_value(tarn_value a, tarn_value b) {
    if (!tarn_type_equal(a.type, b.type) || a.is_null != b.is_null) return false;
    if (a.is_null) return true;
    if (a.type.id == TARN_TYPE_INTERVAL) {
        return memcmp(&a.interval, &b.interval, sizeof a.interval) == 0;
    }
    return tarn_value_compare(a, b) == 0;
}

static const tarn_expr *read_expression(const char *text, tarn_arena *arena) {
    tarn_schema schema = random_schema();
    tarn_error err = {0};
    const tarn_expr *expr = NULL;
    if (sql_read(text, &schema, arena, &expr, &err) != TARN_OK) {
        fail_msg("%s: %s", text, err.message);
    }
    return expr;
}

// Compares the program's vector, or its failure, with the rows.
static void check_rows(const char *text, const tarn_expr *expr, tarn_program *program,
                       const tarn_chunk *chunk, tarn_arena *arena) {
    tarn_error err = {0};
    tarn_vector result;
    tarn_status status = tarn_program_eval(program, chunk, arena, &result, &err);
    bool row_failed = false;
    bool same_failure = false;
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        tarn_value expected;
        tarn_error row_err = {0};
        if (evaluate_row(expr, chunk, row, arena, &expected, &row_err) != TARN_OK) {
            row_failed = true;
            same_failure |= strcmp(row_err.sqlstate, err.sqlstate) == 0;
            continue;
        }
        if (status != TARN_OK) continue;
        tarn_value actual = tarn_vector_get(&result, result.kind == TARN_VECTOR_CONSTANT ? 0 : row);
        if (same_value(expected, actual)) continue;
        tarn_buffer out = {0};
        assert_int_equal(tarn_value_format(expected, &out, NULL), TARN_OK);
        assert_true(tarn_buffer_append(&out, TARN_LIT(" expected, but came ")));
        assert_int_equal(tarn_value_format(actual, &out, NULL), TARN_OK);
        fail_msg("%s, row %zu: %.*s (nulls %d %d)", text, row, (int)out.len, (const char *)out.data,
                 expected.is_null, actual.is_null);
    }
    if (row_failed != (status != TARN_OK)) {
        fail_msg("%s: a row %s, but the program says '%s'", text, row_failed ? "fails" : "is fine",
                 err.message);
    }
    if (status != TARN_OK && !same_failure) fail_msg("%s: no row fails so: %s", text, err.message);
}

TEST(programs_equal_row_by_row_evaluation) {
    tarn_arena tree_arena;
    tarn_arena arena;
    tarn_arena_init(&tree_arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    for (size_t e = 0; e < EXPRESSION_COUNT; e++) {
        const tarn_expr *expr = read_expression(expressions[e], &tree_arena);
        tarn_program *program;
        tarn_error err = {0};
        if (tarn_program_new(&tarn_alloc_libc, &expr, 1, &program, &err) != TARN_OK) {
            fail_msg("%s: %s", expressions[e], err.message);
        }
        tarn_program_set_context(program, context);
        for (int run = 0; run < 12; run++) {
            size_t row_count = 1 + test_random_below(TARN_CHUNK_ROWS < 40 ? TARN_CHUNK_ROWS : 40);
            random_chunk random;
            random_chunk_init(&random, row_count, run % 3 == 0, &arena);
            check_rows(expressions[e], expr, program, &random.chunk, &arena);
            random_chunk_reset(&random);
            tarn_arena_clear(&arena);
        }
        tarn_program_free(program);
        tarn_arena_clear(&tree_arena);
    }
    tarn_arena_reset(&arena);
    tarn_arena_reset(&tree_arena);
}

// Several expressions in one program share what they have in common, and still differ.
TEST(expressions_of_one_program_do_not_disturb_each_other) {
    tarn_arena tree_arena;
    tarn_arena arena;
    tarn_arena_init(&tree_arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    for (int run = 0; run < 60; run++) {
        const tarn_expr *exprs[6];
        tarn_program *alone[6];
        tarn_program *together;
        for (size_t e = 0; e < 6; e++) {
            const char *text;
            text = expressions[test_random_below(EXPRESSION_COUNT)];
            exprs[e] = read_expression(text, &tree_arena);
            assert_int_equal(tarn_program_new(&tarn_alloc_libc, &exprs[e], 1, &alone[e], NULL),
                             TARN_OK);
        }
        assert_int_equal(tarn_program_new(&tarn_alloc_libc, exprs, 6, &together, NULL), TARN_OK);
        random_chunk random;
        random_chunk_init(&random, 1 + test_random_below(8), false, &arena);
        tarn_vector results[6];
        tarn_status status = tarn_program_eval(together, &random.chunk, &arena, results, NULL);
        bool any_failed = false;
        for (size_t e = 0; e < 6; e++) {
            tarn_vector single;
            if (tarn_program_eval(alone[e], &random.chunk, &arena, &single, NULL) != TARN_OK) {
                any_failed = true;
                continue;
            }
            for (size_t i = 0; i < tarn_chunk_count(&random.chunk) && status == TARN_OK; i++) {
                size_t row = tarn_chunk_row(&random.chunk, i);
                assert_true(
                    same_value(tarn_vector_get(&single, row), tarn_vector_get(&results[e], row)));
            }
        }
        assert_int_equal(any_failed, status != TARN_OK);
        for (size_t e = 0; e < 6; e++) tarn_program_free(alone[e]);
        tarn_program_free(together);
        random_chunk_reset(&random);
        tarn_arena_clear(&arena);
        tarn_arena_clear(&tree_arena);
    }
    tarn_arena_reset(&arena);
    tarn_arena_reset(&tree_arena);
}

TEST(filters_keep_the_rows_where_the_condition_is_true) {
    tarn_arena tree_arena;
    tarn_arena arena;
    tarn_arena_init(&tree_arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    for (size_t e = 0; e < EXPRESSION_COUNT; e++) {
        const tarn_expr *expr = read_expression(expressions[e], &tree_arena);
        if (expr->type.id != TARN_TYPE_BOOLEAN) continue;
        tarn_program *program;
        assert_int_equal(tarn_program_new(&tarn_alloc_libc, &expr, 1, &program, NULL), TARN_OK);
        for (int run = 0; run < 6; run++) {
            random_chunk random;
            random_chunk_init(&random, 1 + test_random_below(8), false, &arena);
            tarn_chunk filtered;
            tarn_status status =
                tarn_program_filter(program, &random.chunk, &arena, &filtered, NULL);
            size_t kept = 0;
            for (size_t i = 0; i < tarn_chunk_count(&random.chunk) && status == TARN_OK; i++) {
                size_t row = tarn_chunk_row(&random.chunk, i);
                tarn_value value;
                // A filter may stop at NULL where the value must go on to find false or an error.
                if (evaluate_row(expr, &random.chunk, row, &arena, &value, NULL) != TARN_OK) {
                    continue;
                }
                bool is_true = !value.is_null && value.boolean;
                if (!is_true) continue;
                assert_true(kept < tarn_chunk_count(&filtered));
                assert_int_equal(tarn_chunk_row(&filtered, kept), row);
                kept++;
            }
            if (status == TARN_OK) assert_int_equal(tarn_chunk_count(&filtered), kept);
            random_chunk_reset(&random);
            tarn_arena_clear(&arena);
        }
        tarn_program_free(program);
        tarn_arena_clear(&tree_arena);
    }
    tarn_arena_reset(&arena);
    tarn_arena_reset(&tree_arena);
}

// The failing row is filtered out, behind AND, or not taken by CASE: no error.
TEST(rows_that_nobody_asked_for_do_not_fail) {
    static const char *const guarded[] = {
        "i <> 0 and 10 / i > 1",
        "i = 0 or 10 / i > 1",
        "case when i = 0 then 0 else 10 / i end > 1",
        "coalesce(nullif(i, 0), 1) is not null and coalesce(i, 1 / 0) >= 0",
    };
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    const tarn_value values[3] = {{.type = tarn_type_of(TARN_TYPE_INTEGER), .i64 = 0},
                                  {.type = tarn_type_of(TARN_TYPE_INTEGER), .i64 = 5},
                                  {.type = tarn_type_of(TARN_TYPE_INTEGER), .i64 = 0}};
    tarn_vector columns[2];
    assert_int_equal(tarn_vector_init_flat(&columns[1], values[0].type, 3, &arena, NULL), TARN_OK);
    for (size_t i = 0; i < 3; i++) tarn_vector_set(&columns[1], i, values[i]);
    columns[0] = columns[1];
    tarn_chunk chunk = {.row_count = 3, .column_count = 2, .columns = columns};
    for (size_t g = 0; g < sizeof guarded / sizeof guarded[0]; g++) {
        const tarn_expr *expr = read_expression(guarded[g], &arena);
        tarn_program *program;
        tarn_vector result;
        assert_int_equal(tarn_program_new(&tarn_alloc_libc, &expr, 1, &program, NULL), TARN_OK);
        assert_int_equal(tarn_program_eval(program, &chunk, &arena, &result, NULL), TARN_OK);
        tarn_program_free(program);
    }
    const uint32_t only_five[] = {1};
    chunk.selection = only_five;
    chunk.selected_count = 1;
    const tarn_expr *expr = read_expression("10 / i", &arena);
    tarn_program *program;
    tarn_vector result;
    assert_int_equal(tarn_program_new(&tarn_alloc_libc, &expr, 1, &program, NULL), TARN_OK);
    assert_int_equal(tarn_program_eval(program, &chunk, &arena, &result, NULL), TARN_OK);
    assert_int_equal(tarn_vector_get(&result, 1).i64, 2);
    chunk.selection = NULL;
    tarn_error err = {0};
    assert_int_equal(tarn_program_eval(program, &chunk, &arena, &result, &err), TARN_INVALID);
    assert_string_equal(err.sqlstate, "22012");
    assert_string_equal(err.message, "division by zero");
    assert_int_equal(err.position, 4);
    tarn_program_free(program);
    tarn_arena_reset(&arena);
}

// A function of a dictionary is computed once per value, and the text results are a dictionary.
TEST(functions_of_a_dictionary_give_a_dictionary) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_dictionary *dictionary;
    void *values;
    tarn_type text = tarn_type_of(TARN_TYPE_TEXT);
    assert_int_equal(tarn_dictionary_new(&tarn_alloc_libc, text, 2, &values, &dictionary, NULL),
                     TARN_OK);
    ((tarn_string *)values)[0] = tarn_string_view(TARN_LIT("ATL"));
    ((tarn_string *)values)[1] = tarn_string_view(TARN_LIT("A name of more than twelve bytes"));
    const uint32_t indices[] = {1, 0, 1, 1};
    tarn_vector columns[RANDOM_COLUMN_COUNT] = {0};
    columns[10] = (tarn_vector){
        .type = text, .kind = TARN_VECTOR_DICTIONARY, .indices = indices, .dictionary = dictionary};
    tarn_chunk chunk = {.row_count = 4, .column_count = RANDOM_COLUMN_COUNT, .columns = columns};
    const tarn_expr *expr = read_expression("substr(lower(t), 1, 20)", &arena);
    tarn_program *program;
    tarn_vector result;
    tarn_vector again;
    assert_int_equal(tarn_program_new(&tarn_alloc_libc, &expr, 1, &program, NULL), TARN_OK);
    assert_int_equal(tarn_program_eval(program, &chunk, &arena, &result, NULL), TARN_OK);
    assert_int_equal(result.kind, TARN_VECTOR_DICTIONARY);
    assert_int_equal(tarn_program_eval(program, &chunk, &arena, &again, NULL), TARN_OK);
    assert_ptr_equal(result.dictionary, again.dictionary);
    tarn_batch *batch; // keeps the results' dictionary alive
    tarn_chunk out = {.row_count = 4, .column_count = 1, .columns = &result};
    assert_int_equal(tarn_batch_new(&tarn_alloc_libc, &out, &batch, NULL), TARN_OK);
    tarn_program_free(program);
    tarn_dictionary_unref(dictionary);
    tarn_value first = tarn_vector_get(&batch->chunk.columns[0], 0);
    assert_true(tarn_slice_equal(first.bytes, TARN_LIT("a name of more than ")));
    tarn_batch_unref(batch);
    tarn_arena_reset(&arena);
}

static size_t faults_left;

static void *faulty_acquire(void *unused, size_t size_bytes) {
    (void)unused;
    if (faults_left == 0) return NULL;
    faults_left--;
    return test_malloc(size_bytes);
}

static void faulty_release(void *unused, void *memory, size_t size_bytes) {
    (void)unused;
    (void)size_bytes;
    test_free(memory);
}

static tarn_status run_workload(const tarn_alloc *alloc, const tarn_expr *const *exprs,
                                const tarn_chunk *chunk, tarn_error *err) {
    tarn_program *program = NULL;
    tarn_arena arena;
    tarn_arena_init(&arena, alloc, SIZE_MAX);
    tarn_vector results[3];
    tarn_status status = tarn_program_new(alloc, exprs, 3, &program, err);
    if (status == TARN_OK) status = tarn_program_eval(program, chunk, &arena, results, err);
    tarn_program_free(program);
    tarn_arena_reset(&arena);
    return status;
}

TEST(every_allocation_failure_is_reported) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    const tarn_expr *exprs[] = {
        read_expression("case when i > 3 then lower(t) || u else coalesce(t, u) end", &arena),
        read_expression("i in (1, 2, 3) and t like '%o%' or p", &arena),
        read_expression("repeat(t, 40)", &arena)};
    random_chunk random;
    random_chunk_init(&random, 8, false, &arena);
    const tarn_alloc alloc = {faulty_acquire, faulty_release, NULL};
    tarn_status status = TARN_NO_MEMORY;
    for (size_t faults = 0; status != TARN_OK; faults++) {
        assert_in_range(faults, 0, 2000);
        faults_left = faults;
        tarn_error err = {0};
        status = run_workload(&alloc, exprs, &random.chunk, &err);
        if (status != TARN_OK) assert_int_equal(status, TARN_NO_MEMORY);
    }
    random_chunk_reset(&random);
    tarn_arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_equal_row_by_row_evaluation),
        cmocka_unit_test(expressions_of_one_program_do_not_disturb_each_other),
        cmocka_unit_test(filters_keep_the_rows_where_the_condition_is_true),
        cmocka_unit_test(rows_that_nobody_asked_for_do_not_fail),
        cmocka_unit_test(functions_of_a_dictionary_give_a_dictionary),
        cmocka_unit_test(every_allocation_failure_is_reported),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
