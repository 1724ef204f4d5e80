// Sessions and results: who holds the warehouse, limits, cancelling, results that are left early.
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/warehouse/rig.h"

// ---- one process ----

TEST(a_second_process_is_told_who_holds_the_warehouse) {
    rig r = rig_disk();
    rig_open(&r);
    char expected[64];
    (void)snprintf(expected, sizeof expected, "process %lld", (long long)getpid());
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        tarn_warehouse *second = NULL;
        tarn_error err = {0};
        tarn_status status =
            tarn_warehouse_open(tarn_os_posix(), &tarn_alloc_libc,
                                tarn_slice_from_cstr(r.directory), NULL, &second, &err);
        ssize_t written = write(pipes[1], err.message, sizeof err.message);
        _exit(status == TARN_CONFLICT && written > 0 ? 0 : 1);
    }
    char message[TARN_ERROR_MESSAGE_MAX] = "";
    assert_true(read(pipes[0], message, sizeof message - 1) > 0);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_non_null(strstr(message, "already open"));
    assert_non_null(strstr(message, expected));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    ok(&r, "CREATE TABLE t (a bigint)"); // the first one goes on
    rig_free(&r);
}

TEST(a_second_open_in_the_same_process_is_refused_and_harms_nothing) {
    rig r = rig_sim(1);
    rig_open(&r);
    tarn_warehouse *second = NULL;
    assert_int_equal(tarn_warehouse_open(r.os, &tarn_alloc_libc, tarn_slice_from_cstr(r.directory),
                                         NULL, &second, &r.err),
                     TARN_CONFLICT);
    assert_null(second);
    ok(&r, "CREATE TABLE t (a bigint)");
    rig_reopen(&r);
    rig_free(&r);
}

// ---- memory ----

#define DIGITS "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) AS "
// 100,000 rows from nothing.
#define MANY                                                                         \
    "SELECT a.x + 10 * b.x + 100 * c.x + 1000 * d.x + 10000 * e.x AS n FROM " DIGITS \
    "a(x), " DIGITS "b(x), " DIGITS "c(x), " DIGITS "d(x), " DIGITS "e(x)"

TEST(a_query_that_reaches_the_memory_limit_names_its_operator_and_the_session_goes_on) {
    rig r = rig_sim(2);
    r.options.memory_limit_bytes = (size_t)12 << 20;
    rig_open(&r);
    ok(&r, "CREATE TABLE t (n bigint)");
    ok(&r, "INSERT INTO t VALUES (1), (2)");
    for (int i = 0; i < 3; i++) {
        fails(&r, TARN_NO_MEMORY, "ggregate",
              "SELECT count(*) FROM (SELECT n, repeat('x', 300), count(*) FROM (" MANY
              ") AS m GROUP BY 1, 2) AS g");
        fails(&r, TARN_NO_MEMORY, "ort",
              "SELECT * FROM (SELECT n, repeat('x', 300) AS t FROM (" MANY
              ") AS m) AS g ORDER BY t, n");
        assert_rows(&r, "1\n2\n", "SELECT * FROM t");
    }
    ok(&r, "INSERT INTO t VALUES (3)");
    assert_rows(&r, "3\n", "SELECT count(*) FROM t");
    rig_free(&r);
}

TEST(a_job_that_reaches_the_memory_limit_is_told_in_jobs_and_tables_can_be_read) {
    rig r = rig_sim(3);
    r.options.memory_limit_bytes = (size_t)24 << 20;
    rig_open(&r);
    ok(&r, "CREATE TABLE t (n bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT n, repeat('x', 1000) AS x, count(*) AS c FROM t "
           "GROUP BY 1, 2");
    ok(&r, "INSERT INTO t VALUES (1)");
    ok(&r, "FLUSH");
    ok(&r, "INSERT INTO t " MANY);
    fails(&r, TARN_NO_MEMORY, "view/v", "FLUSH");
    assert_rows(&r, "failed\n", "SELECT state FROM tarn.jobs");
    ok(&r, "SELECT error FROM tarn.jobs");
    assert_non_null(strstr(rig_rows(&r), "view/v"));
    assert_rows(&r, "100001\n", "SELECT count(*) FROM t");
    assert_rows(&r, "1|1\n", "SELECT n, c FROM v");
    rig_free(&r);
}

// ---- cancelling ----

typedef struct canceller {
    tarn_session *session;
    atomic_bool done;
} canceller;

static void *cancel_until_done(void *context) {
    canceller *c = context;
    while (!atomic_load(&c->done)) {
        (void)usleep(2000);
        tarn_session_cancel(c->session);
    }
    return NULL;
}

static void assert_cancelled(rig *r, const char *sql) {
    canceller c = {.session = r->session};
    atomic_init(&c.done, false);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_until_done, &c), 0);
    tarn_status status = rig_run_on(r, r->session, sql);
    atomic_store(&c.done, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (status != TARN_CANCELLED) {
        print_error("%s: %s %s\n", sql, tarn_status_name(status), r->err.message);
        fail();
    }
    assert_string_equal(r->err.sqlstate, "57014");
}

TEST(running_statements_can_be_cancelled) {
    rig r = rig_disk();
    rig_open(&r);
    ok(&r, "CREATE TABLE t (n bigint)");
    ok(&r, "INSERT INTO t VALUES (1)");
    assert_cancelled(&r, "SELECT count(*) FROM (" MANY ") AS a, (" MANY ") AS b");
    assert_cancelled(&r, "INSERT INTO t SELECT a.n FROM (" MANY ") AS a, (" MANY ") AS b");
    assert_rows(&r, "1\n", "SELECT * FROM t");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM t, (" MANY ") AS a,"
           " (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) AS b (n) WHERE a.n + b.n > t.n");
    assert_cancelled(&r, "FLUSH");
    assert_rows(&r, "1\n", "SELECT * FROM t");
    rig_free(&r);
}

TEST(a_cancel_that_comes_too_early_does_not_hit_the_next_statement) {
    rig r = rig_sim(4);
    rig_open(&r);
    tarn_session_cancel(r.session);
    ok(&r, "CREATE TABLE t (n bigint)");
    tarn_session_cancel(r.session);
    assert_rows(&r, "", "SELECT * FROM t");
    rig_free(&r);
}

TEST(a_result_may_be_left_at_any_point) {
    rig r = rig_sim(5);
    rig_open(&r);
    ok(&r, "CREATE TABLE t (n bigint)");
    ok(&r, "INSERT INTO t " MANY);
    static const char *const queries[] = {"SELECT * FROM t",
                                          "SELECT a.n FROM t AS a JOIN t AS b ON a.n = b.n",
                                          "SELECT n, count(*) FROM t GROUP BY n",
                                          "SELECT * FROM t ORDER BY n DESC",
                                          "SHOW tarn.read",
                                          "EXPLAIN SELECT * FROM t",
                                          MANY};
    for (size_t q = 0; q < sizeof queries / sizeof queries[0]; q++) {
        for (size_t batches = 0; batches < 3; batches++) {
            tarn_result *result = NULL;
            assert_int_equal(
                tarn_session_execute(r.session, tarn_slice_from_cstr(queries[q]), &result, &r.err),
                TARN_OK);
            for (size_t i = 0; i < batches; i++) {
                tarn_batch *batch = NULL;
                assert_int_equal(tarn_result_next(result, &batch, &r.err), TARN_OK);
                tarn_batch_unref(batch);
            }
            tarn_result_free(result);
        }
    }
    assert_rows(&r, "100000\n", "SELECT count(*) FROM t");
    rig_free(&r);
}

TEST(two_results_of_a_session_may_be_read_in_turns) {
    rig r = rig_sim(6);
    rig_open(&r);
    ok(&r, "CREATE TABLE t (n bigint)");
    ok(&r, "INSERT INTO t " MANY);
    tarn_result *results[2] = {NULL, NULL};
    size_t rows[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            tarn_session_execute(r.session, TARN_LIT("SELECT n FROM t"), &results[i], &r.err),
            TARN_OK);
    }
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < 2; i++) {
            tarn_batch *batch = NULL;
            assert_int_equal(tarn_result_next(results[i], &batch, &r.err), TARN_OK);
            if (batch == NULL) continue;
            more = true;
            rows[i] += tarn_chunk_count(&batch->chunk);
            tarn_batch_unref(batch);
        }
    }
    assert_int_equal(rows[0], 100000);
    assert_int_equal(rows[1], 100000);
    assert_string_equal((const char *)tarn_result_tag(results[0]).data, "SELECT 100000");
    tarn_result_free(results[0]);
    tarn_result_free(results[1]);
    rig_free(&r);
}

TEST(a_result_that_has_ended_stays_ended) {
    rig r = rig_sim(7);
    rig_open(&r);
    static const char *const queries[] = {"SELECT 1", "SHOW tarn.read", "CREATE TABLE t (a bigint)",
                                          "SELECT * FROM t"};
    for (size_t q = 0; q < sizeof queries / sizeof queries[0]; q++) {
        tarn_result *result = NULL;
        assert_int_equal(
            tarn_session_execute(r.session, tarn_slice_from_cstr(queries[q]), &result, &r.err),
            TARN_OK);
        assert_int_equal(rig_take_rows(result, &r.rows, &r.err), TARN_OK);
        for (int i = 0; i < 2; i++) {
            tarn_batch *batch = NULL;
            assert_int_equal(tarn_result_next(result, &batch, &r.err), TARN_OK);
            assert_null(batch);
        }
        tarn_result_free(result);
    }
    rig_free(&r);
}

// ---- definitions that change under running statements ----

typedef struct writer {
    rig *r;
    tarn_session *session;
    atomic_bool stop;
    size_t rows;
} writer;

static void *insert_until_stopped(void *context) {
    writer *w = context;
    while (!atomic_load(&w->stop)) {
        tarn_result *result = NULL;
        tarn_error err = {0};
        if (tarn_session_execute(w->session, TARN_LIT("INSERT INTO t VALUES (1)"), &result, &err) ==
            TARN_OK) {
            w->rows++;
        }
        tarn_result_free(result);
    }
    return NULL;
}

TEST(what_is_inserted_while_a_table_is_dropped_is_not_in_the_next_one) {
    rig r = rig_disk();
    rig_open(&r);
    ok(&r, "CREATE TABLE t (a bigint)");
    writer w = {.r = &r};
    atomic_init(&w.stop, false);
    assert_int_equal(tarn_session_new(r.warehouse, &w.session, &r.err), TARN_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, insert_until_stopped, &w), 0);
    for (int i = 0; i < 10; i++) {
        (void)usleep(5000);
        ok(&r, "DROP TABLE t");
        ok(&r, "CREATE TABLE t (b text)"); // the writer's rows do not fit
        assert_rows(&r, "", "SELECT * FROM t");
        ok(&r, "DROP TABLE t");
        ok(&r, "CREATE TABLE t (a bigint)");
    }
    atomic_store(&w.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ok(&r, "SELECT count(*) FROM t");
    tarn_session_free(w.session);
    rig_reopen(&r);
    ok(&r, "SELECT count(*) FROM t");
    rig_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_process_is_told_who_holds_the_warehouse),
        cmocka_unit_test(a_second_open_in_the_same_process_is_refused_and_harms_nothing),
        cmocka_unit_test(
            a_query_that_reaches_the_memory_limit_names_its_operator_and_the_session_goes_on),
        cmocka_unit_test(
            a_job_that_reaches_the_memory_limit_is_told_in_jobs_and_tables_can_be_read),
        cmocka_unit_test(running_statements_can_be_cancelled),
        cmocka_unit_test(a_cancel_that_comes_too_early_does_not_hit_the_next_statement),
        cmocka_unit_test(a_result_may_be_left_at_any_point),
        cmocka_unit_test(two_results_of_a_session_may_be_read_in_turns),
        cmocka_unit_test(a_result_that_has_ended_stays_ended),
        cmocka_unit_test(what_is_inserted_while_a_table_is_dropped_is_not_in_the_next_one),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
