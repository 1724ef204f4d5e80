// What no statement may do, however it is written: crash, recurse without end, leak, or disturb
// another thread.

#include <pthread.h>
#include <stdio.h>

#include "tests/sql/fake_catalog.h"
#include "tests/test.h"

static tarn_status prepare_with(const tarn_alloc *alloc, tarn_slice sql, tarn_error *err) {
    fake_catalog catalog;
    fake_catalog_init(&catalog);
    tarn_arena arena;
    tarn_arena_init(&arena, alloc, SIZE_MAX);
    const tarn_statement *statement = NULL;
    tarn_status status = tarn_sql_prepare(sql, &catalog.reader, &arena, &statement, err);
    if (status == TARN_OK) assert_true(statement->text.len <= sql.len);
    tarn_arena_reset(&arena);
    return status;
}

static tarn_status prepare(tarn_slice sql, tarn_error *err) {
    return prepare_with(&tarn_alloc_libc, sql, err);
}

static const char *const samples[] = {
    "SELECT o.id, c.name, count(*) FILTER (WHERE paid) FROM orders o LEFT JOIN customers c ON "
    "o.customer = c.id WHERE amount BETWEEN 1 AND 2 GROUP BY 1, 2 HAVING sum(amount) > 3 ORDER BY "
    "3 DESC LIMIT 4",
    "CREATE SOURCE IF NOT EXISTS s (a int, ts timestamp GENERATED ALWAYS AS (now() + a * INTERVAL "
    "'1' HOUR) STORED, WATERMARK FOR ts AS ts - INTERVAL '1 minute') WITH (connector = 'file', "
    "'b' = $$c$$)",
    "CREATE MATERIALIZED VIEW v WITH (a = b) AS SELECT window_start, origin, count(*) FROM "
    "HOP(flights, departed, INTERVAL '5 minutes', INTERVAL '1 hour') GROUP BY 1, 2 EMIT ON WINDOW "
    "CLOSE",
    "WITH a AS (SELECT 1 AS x) SELECT * FROM (SELECT x, 'é' FROM a UNION SELECT 2, NULL), orders "
    "FOR SYSTEM_VERSION AS OF 3 AS o WHERE x = o.id AND note LIKE 'a%' AND placed > '2001-01-01'",
    "SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY customer ORDER BY placed) AS rn "
    "FROM "
    "orders) WHERE rn <= 3",
    "INSERT INTO orders (id, placed) VALUES (1, '2001-01-01'), (2, DATE '2001-01-02')",
    "COPY orders (id, placed) FROM 'x.csv' (HEADER, DELIMITER ';', ON_ERROR dead_letter)",
    "CREATE TABLE t (a int, b text, PRIMARY KEY (a, b)) PARTITION BY LIST (b) WITH (bucket = 4)",
};
#define SAMPLES (sizeof samples / sizeof *samples)

TEST(every_beginning_of_a_statement_is_answered) {
    for (size_t s = 0; s < SAMPLES; s++) {
        tarn_slice whole = tarn_slice_from_cstr(samples[s]);
        for (size_t len = 0; len < whole.len; len++) {
            tarn_error err = {0};
            if (prepare(tarn_slice_head(whole, len), &err) == TARN_OK) continue;
            assert_true(err.message[0] != '\0');
            assert_int_equal(strlen(err.sqlstate), 5);
            assert_true((size_t)err.position <= len + 1);
        }
    }
}

TEST(statements_with_a_byte_changed_are_answered) {
    static const char bytes[] = " ();,.'\"$*=<1a\n-";
    for (int round = 0; round < 1500; round++) {
        char text[512];
        const char *sample = samples[test_random_below(SAMPLES)];
        size_t len = strlen(sample);
        assert_true(len < sizeof text);
        memcpy(text, sample, len);
        for (size_t changes = 1 + test_random_below(3); changes > 0; changes--) {
            text[test_random_below(len)] = bytes[test_random_below(sizeof bytes - 1)];
        }
        tarn_error err = {0};
        (void)prepare((tarn_slice){(uint8_t *)text, len}, &err); // any answer but a crash
    }
}

// ---- depth ----

typedef struct nest {
    const char *before;
    const char *open;
    const char *middle;
    const char *close;
    const char *after;
} nest;

static const nest nests[] = {
    {"SELECT ", "(", "1", ")", ""},
    {"SELECT ", "abs(", "1", ")", ""},
    {"SELECT 1", " + 1", "", "", ""},
    {"SELECT ", "NOT ", "true", "", ""},
    {"SELECT ", "- ", "1", "", ""},
    {"SELECT 1", "::int", "", "", ""},
    {"SELECT 'a'", " || 'a'", "", "", ""},
    {"SELECT true", " IS TRUE", "", "", ""},
    {"SELECT ", "CASE WHEN true THEN ", "1", " END", ""},
    {"SELECT ", "COALESCE(1, ", "2", ")", ""},
    {"SELECT 1", " UNION ALL SELECT 1", "", "", ""},
    {"SELECT 1", " UNION SELECT 1", "", "", ""},
    {"SELECT * FROM ", "(SELECT * FROM ", "orders", ")", ""},
    {"SELECT * FROM log", " CROSS JOIN (SELECT 1)", "", "", ""},
    {"SELECT * FROM log", ", (SELECT 1)", "", "", ""},
    {"SELECT ", "(SELECT ", "1", ")", ""},
    {"SELECT 1 WHERE ", "(true AND ", "true", ")", ""},
    {"SELECT 1 WHERE true", " OR true", "", "", ""},
    {"SELECT 1 WHERE 1 IN (1", ", 1", "", "", ")"},
    {"VALUES (1)", ", (1)", "", "", ""},
    {"SELECT * FROM ", "TUMBLE((SELECT * FROM ", "flights", "), departed, INTERVAL '1 hour')", ""},
    {"CREATE TABLE t (a int) WITH ", "(", "a = 1", ")", ""},
};

static tarn_buffer build(const nest *n, size_t depth) {
    tarn_buffer text = {0};
    assert_true(tarn_buffer_append(&text, tarn_slice_from_cstr(n->before)));
    for (size_t i = 0; i < depth; i++) {
        assert_true(tarn_buffer_append(&text, tarn_slice_from_cstr(n->open)));
    }
    assert_true(tarn_buffer_append(&text, tarn_slice_from_cstr(n->middle)));
    for (size_t i = 0; i < depth; i++) {
        assert_true(tarn_buffer_append(&text, tarn_slice_from_cstr(n->close)));
    }
    assert_true(tarn_buffer_append(&text, tarn_slice_from_cstr(n->after)));
    return text;
}

static void *prepare_deep(void *context) {
    (void)context;
    static const size_t depths[] = {10, 90, 300, 395, 450, 5000, 50000};
    for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) {
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            tarn_buffer text = build(&nests[i], depths[d]);
            tarn_error err = {0};
            (void)prepare(tarn_buffer_slice(&text), &err); // any answer but a crash
            tarn_buffer_free(&text);
        }
    }
    return NULL;
}

// In a thread whose stack is as small as any that a session may have.
TEST(deep_nesting_is_an_error_not_a_stack_overflow) {
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, (size_t)8 << 20), 0);
    assert_int_equal(pthread_create(&thread, &attributes, prepare_deep, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_attr_destroy(&attributes), 0);

    tarn_buffer text = build(&nests[2], 100000);
    tarn_error err = {0};
    assert_int_equal(prepare(tarn_buffer_slice(&text), &err), TARN_INVALID);
    assert_string_equal(err.sqlstate, "54001");
    tarn_buffer_free(&text);
}

TEST(ordinary_depth_is_fine) {
    for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) {
        bool is_scalar_subquery = strcmp(nests[i].open, "(SELECT ") == 0;
        bool is_option = strncmp(nests[i].before, "CREATE", 6) == 0;
        if (is_scalar_subquery || is_option) continue;
        tarn_buffer text = build(&nests[i], 40);
        tarn_error err = {0};
        tarn_status status = prepare(tarn_buffer_slice(&text), &err);
        if (status != TARN_OK) print_message("%s: %s\n", nests[i].open, err.message);
        assert_int_equal(status, TARN_OK);
        tarn_buffer_free(&text);
    }
}

// A WITH query is bound at each use: 2^30 uses must not be tried.
TEST(with_queries_that_multiply_are_refused) {
    tarn_buffer text = {0};
    assert_true(tarn_buffer_printf(&text, "WITH a0 AS (SELECT 1 AS x)"));
    for (int i = 1; i < 30; i++) {
        assert_true(
            tarn_buffer_printf(&text, ", a%d AS (SELECT l.x FROM a%d l, a%d r)", i, i - 1, i - 1));
    }
    assert_true(tarn_buffer_printf(&text, " SELECT * FROM a29"));
    tarn_error err = {0};
    assert_int_equal(prepare(tarn_buffer_slice(&text), &err), TARN_INVALID);
    assert_string_equal(err.sqlstate, "54001");
    tarn_buffer_free(&text);
}

// x doubles its size at each level if columns are replaced by what they are.
TEST(expressions_do_not_explode_when_they_are_moved) {
    tarn_buffer text = {0};
    assert_true(tarn_buffer_printf(&text, "SELECT x FROM "));
    for (int i = 0; i < 40; i++) assert_true(tarn_buffer_printf(&text, "(SELECT x + x AS x FROM "));
    assert_true(tarn_buffer_printf(&text, "(SELECT id AS x FROM orders)"));
    for (int i = 0; i < 40; i++) assert_true(tarn_buffer_printf(&text, ")"));
    assert_true(tarn_buffer_printf(&text, " WHERE x > 1"));
    tarn_error err = {0};
    assert_int_equal(prepare(tarn_buffer_slice(&text), &err), TARN_OK);
    tarn_buffer_free(&text);
}

TEST(long_statements_are_prepared_in_time_that_grows_with_their_length) {
    tarn_buffer text = {0};
    assert_true(tarn_buffer_printf(&text, "INSERT INTO log (level, message) VALUES (0, 'ä')"));
    for (int i = 0; i < 20000; i++) {
        assert_true(tarn_buffer_printf(&text, ", (%d, 'ä %d')", i % 100, i));
    }
    tarn_error err = {0};
    assert_int_equal(prepare(tarn_buffer_slice(&text), &err), TARN_OK);
    tarn_buffer_free(&text);
}

// ---- memory ----

typedef struct counting {
    size_t calls;
    size_t fail_at; // 0: never
    size_t live_bytes;
} counting;

static void *counting_acquire(void *context, size_t size) {
    counting *c = context;
    if (++c->calls == c->fail_at) return NULL;
    c->live_bytes += size;
    return malloc(size);
}

static void counting_release(void *context, void *memory, size_t size) {
    counting *c = context;
    c->live_bytes -= size;
    free(memory);
}

TEST(every_failed_allocation_is_reported_and_nothing_is_lost) {
    for (size_t s = 0; s < SAMPLES; s++) {
        tarn_slice sql = tarn_slice_from_cstr(samples[s]);
        tarn_error wanted = {0};
        tarn_status unfailing = prepare(sql, &wanted);
        for (size_t fail_at = 1;; fail_at++) {
            counting c = {.fail_at = fail_at};
            tarn_alloc alloc = {counting_acquire, counting_release, &c};
            tarn_error err = {0};
            tarn_status status = prepare_with(&alloc, sql, &err);
            assert_int_equal(c.live_bytes, 0);
            if (c.calls < fail_at) {
                assert_int_equal(status, unfailing);
                break;
            }
            assert_true(status == TARN_NO_MEMORY);
        }
    }
}

// ---- threads ----

static void *prepare_all(void *context) {
    const char *messages = context;
    (void)messages;
    for (int round = 0; round < 20; round++) {
        for (size_t s = 0; s < SAMPLES; s++) {
            tarn_error err = {0};
            if (prepare(tarn_slice_from_cstr(samples[s]), &err) != TARN_OK && s != 1)
                return context;
            if (prepare(TARN_LIT("SELECT FROM WHERE"), &err) != TARN_INVALID) return context;
        }
    }
    return NULL;
}

TEST(threads_prepare_side_by_side) {
    pthread_t threads[4];
    int failed = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, prepare_all, &failed), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_beginning_of_a_statement_is_answered),
        cmocka_unit_test(statements_with_a_byte_changed_are_answered),
        cmocka_unit_test(deep_nesting_is_an_error_not_a_stack_overflow),
        cmocka_unit_test(ordinary_depth_is_fine),
        cmocka_unit_test(with_queries_that_multiply_are_refused),
        cmocka_unit_test(expressions_do_not_explode_when_they_are_moved),
        cmocka_unit_test(long_statements_are_prepared_in_time_that_grows_with_their_length),
        cmocka_unit_test(every_failed_allocation_is_reported_and_nothing_is_lost),
        cmocka_unit_test(threads_prepare_side_by_side),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
