// The thread that runs the views: stopping it, failures and new attempts, what it tells.
#include <unistd.h>

#include "tests/warehouse/rig.h"

// A wait without end ends the test: the only clock in here.
#define HANG_SECONDS 120

// `rows` rows, of which each view of JOIN compares all with all.
static void fill(rig *r, const char *table, size_t rows) {
    ok(r, "CREATE TABLE %s (n bigint)", table);
    ok(r, "INSERT INTO %s VALUES (0)", table);
    for (size_t have = 1; have < rows; have *= 2) {
        ok(r, "INSERT INTO %s SELECT n + %zu FROM %s", table, have, table);
    }
}
#define ENDLESS TARN_TUNABLE(131072, 16384) // squared: more than anybody waits for
#define LONG    TARN_TUNABLE(2048, 512)     // squared: a moment
#define JOIN    "SELECT count(*) AS c, sum(a.n) AS s FROM t AS a, t AS b WHERE a.n + b.n >= 0"

// ---- stopping ----

TEST(close_does_not_wait_for_a_view_that_is_deep_in_its_work) {
    rig r = rig_sim(1);
    r.options.patience_ms = 30;
    (void)alarm(HANG_SECONDS);
    rig_open(&r);
    ok(&r, "CREATE TABLE other (n bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW quick AS SELECT count(*) AS c FROM other");
    ok(&r, "INSERT INTO other VALUES (1), (2)");
    ok(&r, "FLUSH");
    fill(&r, "t", ENDLESS);
    ok(&r, "CREATE MATERIALIZED VIEW v AS " JOIN);
    ok(&r, "SELECT * FROM tarn.jobs"); // the view has been taken up, or will be
    for (int i = 0; i < 2; i++) {
        rig_reopen(&r);
        assert_rows(&r, "2\n", "SELECT c FROM quick");
        ok(&r, "SELECT name, state FROM tarn.jobs"); // waits until the views run
    }
    rig_free(&r);
    (void)alarm(0);
}

TEST(drop_does_not_wait_for_a_view_that_is_deep_in_its_work) {
    rig r = rig_sim(2);
    r.options.patience_ms = 30;
    (void)alarm(HANG_SECONDS);
    rig_open(&r);
    ok(&r, "CREATE TABLE other (n bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW quick AS SELECT count(*) AS c FROM other");
    fill(&r, "t", ENDLESS);
    ok(&r, "CREATE MATERIALIZED VIEW v AS " JOIN);
    rig_reopen(&r);
    ok(&r, "SELECT name FROM tarn.jobs");
    ok(&r, "INSERT INTO other VALUES (1), (2), (3)");
    ok(&r, "DROP MATERIALIZED VIEW v");
    ok(&r, "FLUSH");
    assert_rows(&r, "3\n", "SELECT c FROM quick");
    rig_free(&r);
    (void)alarm(0);
}

TEST(a_view_that_was_given_up_ends_with_the_right_content) {
    rig r = rig_sim(3);
    r.options.patience_ms = 1;
    (void)alarm(HANG_SECONDS);
    rig_open(&r);
    fill(&r, "t", LONG);
    ok(&r, "CREATE TABLE extra (n bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS " JOIN);
    ok(&r, "DROP TABLE extra"); // gives up what has begun
    for (int i = 0; i < 3; i++) {
        rig_reopen(&r);
        ok(&r, "SELECT name FROM tarn.jobs");
        ok(&r, "INSERT INTO t VALUES (%d)", 10000 * i);
    }
    ok(&r, "FLUSH");
    assert_same_rows(&r, "SELECT * FROM v", JOIN);
    rig_reopen(&r);
    assert_same_rows(&r, "SELECT * FROM v", JOIN);
    rig_free(&r);
    (void)alarm(0);
}

// ---- failures and new attempts ----

// Without FLUSH: the views come to it by themselves.
static void await_rows(rig *r, const char *expected, const char *sql) {
    (void)alarm(HANG_SECONDS);
    do {
        ok(r, "%s", sql);
    } while (strcmp(rig_rows(r), expected) != 0);
    (void)alarm(0);
}

TEST(a_job_that_failed_for_a_full_disk_is_tried_again_by_itself) {
    rig r = rig_sim(4);
    r.options.checkpoint_interval_ms = 3600000; // epochs only by FLUSH, until the failure
    rig_open(&r);
    ok(&r, "CREATE TABLE t (n bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS s FROM t");
    ok(&r, "INSERT INTO t VALUES (1)");
    ok(&r, "FLUSH");
    ok(&r, "INSERT INTO t VALUES (2)");
    tarn_sim_set_capacity(r.sim, 0);
    fails(&r, TARN_IO, "no space left on device", "FLUSH");
    assert_string_equal(r.err.hint, "See tarn.jobs; FLUSH tries to start them again.");
    assert_rows(&r, "failed\n", "SELECT state FROM tarn.jobs");
    assert_rows(&r, "1\n", "SELECT s FROM v");
    tarn_sim_set_capacity(r.sim, UINT64_MAX);
    ok(&r, "SET tarn.checkpoint_interval = '10 milliseconds'");
    tarn_sim_advance_us(r.sim, 2000000);
    ok(&r, "INSERT INTO t VALUES (4)"); // wakes whoever looks at the clock
    await_rows(&r, "running\n", "SELECT state FROM tarn.jobs");
    tarn_sim_advance_us(r.sim, 2000000);
    ok(&r, "INSERT INTO t VALUES (8)");
    await_rows(&r, "15\n", "SELECT s FROM v");
    rig_free(&r);
}

TEST(flush_tries_again_what_has_failed_as_often_as_it_takes) {
    rig r = rig_sim(5);
    r.options.checkpoint_interval_ms = 3600000;
    rig_open(&r);
    ok(&r, "CREATE TABLE t (n bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS s FROM t");
    ok(&r, "INSERT INTO t VALUES (1)");
    tarn_sim_set_capacity(r.sim, 0);
    for (int i = 0; i < 3; i++) fails(&r, TARN_IO, "no space left on device", "FLUSH");
    tarn_sim_set_capacity(r.sim, UINT64_MAX);
    ok(&r, "FLUSH");
    assert_rows(&r, "1\n", "SELECT s FROM v");
    rig_free(&r);
}

// ---- what is new ----

#define EPOCH "SELECT max(epoch) FROM tarn.jobs"

TEST(a_restart_without_news_cuts_no_epoch) {
    rig r = rig_sim(6);
    rig_open(&r);
    rig_write(&r, "/s.csv", "a\n1\n2\n");
    ok(&r, "CREATE TABLE t (n bigint)");
    ok(&r, "CREATE SOURCE s (a bigint) WITH (connector = 'file', path = 's.csv')");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS s FROM t");
    ok(&r, "CREATE MATERIALIZED VIEW w AS SELECT count(*) AS c FROM s");
    ok(&r, "INSERT INTO t VALUES (1)");
    ok(&r, "FLUSH");
    ok(&r, EPOCH);
    uint64_t epoch = strtoull(rig_rows(&r), NULL, 10);
    assert_true(epoch > 0);
    for (int i = 0; i < 2; i++) {
        rig_reopen(&r);
        ok(&r, "FLUSH");
        ok(&r, EPOCH);
        assert_int_equal(strtoull(rig_rows(&r), NULL, 10), epoch);
    }
    ok(&r, "INSERT INTO t VALUES (1)");
    ok(&r, "FLUSH");
    ok(&r, EPOCH);
    assert_int_equal(strtoull(rig_rows(&r), NULL, 10), epoch + 1);
    rig_free(&r);
}

TEST(a_table_that_goes_does_not_hide_that_another_moves_on) {
    rig r = rig_sim(7);
    rig_open(&r);
    ok(&r, "CREATE TABLE t (n bigint)");
    ok(&r, "CREATE TABLE u (n bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT n FROM t");
    ok(&r, "CREATE MATERIALIZED VIEW w AS SELECT n FROM u");
    for (int i = 0; i < 3; i++) ok(&r, "INSERT INTO t VALUES (1)");
    ok(&r, "INSERT INTO u VALUES (1)");
    ok(&r, "FLUSH");
    ok(&r, "DROP MATERIALIZED VIEW v"); // three versions less to follow
    for (int i = 0; i < 3; i++) ok(&r, "INSERT INTO u VALUES (2)");
    ok(&r, "FLUSH");
    assert_rows(&r, "1\n2\n2\n2\n", "SELECT n FROM w");
    rig_free(&r);
}

// ---- when the views cannot start ----

#define BESIDE "SELECT a.c, v.s FROM (SELECT count(*) AS c FROM t) AS a, v"

static void fill_beside(rig *r) {
    rig_open(r);
    rig_write(r, "/s.csv", "a\n1\n");
    ok(r, "CREATE TABLE t (n bigint)");
    ok(r, "CREATE TABLE free (n bigint)");
    ok(r, "CREATE SOURCE s (a bigint) WITH (connector = 'file', path = 's.csv')");
    ok(r, "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS s FROM t");
    ok(r, "CREATE MATERIALIZED VIEW w AS SELECT count(*) AS s FROM s");
    ok(r, "CREATE MATERIALIZED VIEW x AS SELECT sum(n) AS s FROM t");
    ok(r, "INSERT INTO free VALUES (7)");
    for (int i = 1; i <= 3; i++) {
        ok(r, "INSERT INTO t VALUES (%d)", i);
        ok(r, "FLUSH");
    }
    rig_close(r);
}

// Only tables that views read are in question, and only beside views.
static void assert_beside_refused(rig *r, tarn_status status, const char *reason) {
    ok(r, "INSERT INTO t VALUES (4)");
    fails(r, status, reason, BESIDE);
    assert_string_equal(r->err.sqlstate, "55000");
    assert_non_null(strstr(r->err.message, "\"t\""));
    assert_rows(r, "4\n", "SELECT count(*) FROM t");
    assert_rows(r, "3|6\n", "SELECT v.s, x.s FROM v, x");
    assert_rows(r, "7|3\n", "SELECT free.n, v.s FROM free, v");
    ok(r, "SET tarn.read = 'latest'");
    assert_rows(r, "4|3\n", BESIDE);
    ok(r, "SET tarn.read = 'aligned'");
}

TEST(a_table_is_not_read_beside_views_that_could_not_start) {
    rig r = rig_sim(8);
    fill_beside(&r);
    assert_int_equal(tarn_os_remove(r.os, TARN_LIT("/s.csv"), &r.err), TARN_OK);
    rig_open(&r);
    assert_beside_refused(&r, TARN_INVALID, "no file or directory '/s.csv'");
    rig_write(&r, "/s.csv", "a\n1\n");
    ok(&r, "FLUSH");
    assert_rows(&r, "4|4\n", BESIDE);
    rig_free(&r);
}

// Flips a bit of a checkpoint file: of the newest or of the oldest one.
static void damage_checkpoint(rig *r, bool newest) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_slice *names;
    size_t count = 0;
    tarn_slice path;
    assert_int_equal(
        tarn_os_list(r->os, TARN_LIT("/w/tarn/checkpoint"), &arena, &names, &count, &r->err),
        TARN_OK);
    assert_true(count > 0);
    assert_true(tarn_arena_printf(&arena, &path, "/w/tarn/checkpoint/" TARN_SLICE_FMT,
                                  TARN_SLICE_ARG(names[newest ? count - 1 : 0])));
    assert_int_equal(tarn_sim_corrupt(r->sim, path, 60, 1, &r->err), TARN_OK);
    tarn_arena_reset(&arena);
}

TEST(views_whose_last_checkpoint_is_damaged_can_still_be_read_together) {
    rig r = rig_sim(9);
    fill_beside(&r);
    damage_checkpoint(&r, true);
    rig_open(&r);
    assert_rows(&r, "failed\nfailed\nfailed\n", "SELECT state FROM tarn.jobs");
    assert_beside_refused(&r, TARN_CORRUPT, "checksum is wrong");
    fails(&r, TARN_CORRUPT, "checksum is wrong", "FLUSH");
    rig_free(&r);
}

// There is a way out, and it does not count epochs anew: letters are committed under them.
static void start_over(rig *r, const char *reason, bool at_once) {
    rig_open(r);
    ok(r, "SELECT max(epoch) FROM tarn.snapshots");
    uint64_t epoch = strtoull(rig_rows(r), NULL, 10);
    fails(r, TARN_CORRUPT, reason, "FLUSH");
    assert_non_null(strstr(r->err.hint, "Drop all views"));
    ok(r, "DROP MATERIALIZED VIEW v");
    fails(r, TARN_CORRUPT, reason, "FLUSH");
    ok(r, "DROP MATERIALIZED VIEW w, x");
    if (!at_once) rig_reopen(r);
    if (at_once) ok(r, "FLUSH");
    ok(r, "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS s FROM t");
    ok(r, "CREATE MATERIALIZED VIEW w AS SELECT count(*) AS s FROM s");
    ok(r, "FLUSH");
    assert_rows(r, "3|1\n", "SELECT v.s, w.s FROM v, w");
    ok(r, "SELECT max(epoch) FROM tarn.jobs");
    assert_true(strtoull(rig_rows(r), NULL, 10) > epoch);
    rig_reopen(r);
    ok(r, "INSERT INTO t VALUES (1)");
    ok(r, "FLUSH");
    assert_rows(r, "4|4\n", BESIDE);
}

TEST(views_without_state_can_be_dropped_and_made_anew) {
    rig r = rig_sim(10);
    fill_beside(&r);
    damage_checkpoint(&r, true);
    start_over(&r, "checksum is wrong", false);
    rig_free(&r);
    r = rig_sim(11);
    fill_beside(&r);
    rig_write(&r, "/w/tarn/CURRENT", "{");
    start_over(&r, "tarn/CURRENT", false);
    rig_free(&r);
    r = rig_sim(12);
    fill_beside(&r);
    damage_checkpoint(&r, false);
    start_over(&r, "checksum is wrong", true);
    rig_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_does_not_wait_for_a_view_that_is_deep_in_its_work),
        cmocka_unit_test(drop_does_not_wait_for_a_view_that_is_deep_in_its_work),
        cmocka_unit_test(a_view_that_was_given_up_ends_with_the_right_content),
        cmocka_unit_test(a_job_that_failed_for_a_full_disk_is_tried_again_by_itself),
        cmocka_unit_test(flush_tries_again_what_has_failed_as_often_as_it_takes),
        cmocka_unit_test(a_restart_without_news_cuts_no_epoch),
        cmocka_unit_test(a_table_that_goes_does_not_hide_that_another_moves_on),
        cmocka_unit_test(a_table_is_not_read_beside_views_that_could_not_start),
        cmocka_unit_test(views_whose_last_checkpoint_is_damaged_can_still_be_read_together),
        cmocka_unit_test(views_without_state_can_be_dropped_and_made_anew),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
