// What CREATE and DROP leave behind, and what they must not.
#include <sys/stat.h>
#include <unistd.h>

#include "tests/warehouse/rig.h"

TEST(definitions_and_rows_are_there_after_reopening) {
    rig r = rig_sim(1);
    rig_open(&r);
    rig_write(&r, "/s.csv", "k,v\n1,a\n2,b\n");
    ok(&r, "CREATE TABLE t (k bigint PRIMARY KEY, v text)");
    ok(&r, "CREATE SOURCE s (k bigint, v text) WITH (connector = 'file', path = '/s.csv', "
           "format = 'csv')");
    ok(&r, "CREATE MATERIALIZED VIEW m AS SELECT v, count(*) AS n FROM t GROUP BY v");
    ok(&r, "CREATE MATERIALIZED VIEW j AS SELECT s.k, t.v FROM s JOIN t ON t.k = s.k");
    ok(&r, "INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'y')");
    ok(&r, "FLUSH");
    for (int i = 0; i < 3; i++) {
        rig_reopen(&r);
        assert_rows(&r, "j|MATERIALIZED VIEW\nm|MATERIALIZED VIEW\ns|SOURCE\nt|BASE TABLE\n",
                    "SELECT table_name, table_type FROM information_schema.tables "
                    "WHERE table_schema = 'public'");
        assert_rows(&r, "x|2\ny|1\n", "SELECT * FROM m");
        assert_rows(&r, "1|x\n2|x\n", "SELECT * FROM j");
        assert_rows(&r, "1|x\n2|x\n3|y\n", "SELECT * FROM t");
    }
    rig_free(&r);
}

TEST(a_view_made_anew_under_its_name_starts_anew) {
    rig r = rig_sim(2);
    rig_open(&r);
    ok(&r, "CREATE TABLE t (a bigint, b bigint)");
    ok(&r, "INSERT INTO t VALUES (1, 10), (1, 20), (2, 30)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a, sum(b) AS s FROM t GROUP BY a");
    ok(&r, "FLUSH");
    ok(&r, "DROP MATERIALIZED VIEW v");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT b, count(*) AS s FROM t GROUP BY b");
    ok(&r, "FLUSH");
    assert_rows(&r, "10|1\n20|1\n30|1\n", "SELECT * FROM v");
    rig_reopen(&r);
    assert_rows(&r, "10|1\n20|1\n30|1\n", "SELECT * FROM v");
    ok(&r, "INSERT INTO t VALUES (9, 10)");
    ok(&r, "FLUSH");
    assert_rows(&r, "10|2\n20|1\n30|1\n", "SELECT * FROM v");
    rig_free(&r);
}

TEST(a_table_made_anew_under_its_name_feeds_views_from_its_start) {
    rig r = rig_sim(3);
    rig_open(&r);
    ok(&r, "CREATE TABLE other (a bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW keep AS SELECT count(*) AS n FROM other");
    ok(&r, "CREATE TABLE t (a bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t");
    for (int i = 0; i < 5; i++) ok(&r, "INSERT INTO t VALUES (%d)", i);
    ok(&r, "FLUSH");
    ok(&r, "DROP TABLE t CASCADE");
    ok(&r, "CREATE TABLE t (a bigint)");
    ok(&r, "INSERT INTO t VALUES (77)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t");
    ok(&r, "FLUSH");
    assert_rows(&r, "77\n", "SELECT * FROM v");
    ok(&r, "INSERT INTO t VALUES (78)");
    ok(&r, "FLUSH");
    assert_rows(&r, "77\n78\n", "SELECT * FROM v");
    rig_free(&r);
}

TEST(a_source_made_anew_under_its_name_is_read_from_its_start) {
    rig r = rig_sim(4);
    rig_open(&r);
    rig_write(&r, "/long.csv", "a\n1\n2\n3\n4\n5\n6\n");
    rig_write(&r, "/short.csv", "a\n100\n200\n");
    ok(&r, "CREATE SOURCE s (a bigint) WITH (connector = 'file', path = '/long.csv', "
           "format = 'csv')");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM s");
    ok(&r, "FLUSH");
    assert_rows(&r, "6\n", "SELECT count(*) FROM v");
    ok(&r, "DROP SOURCE s CASCADE");
    ok(&r, "CREATE SOURCE s (a bigint) WITH (connector = 'file', path = '/short.csv', "
           "format = 'csv')");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM s");
    ok(&r, "FLUSH");
    assert_rows(&r, "100\n200\n", "SELECT * FROM v");
    rig_free(&r);
}

TEST(a_dropped_view_leaves_the_others_running) {
    rig r = rig_sim(5);
    rig_open(&r);
    ok(&r, "CREATE TABLE t (a bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t");
    ok(&r, "CREATE MATERIALIZED VIEW w AS SELECT sum(a) AS s FROM v");
    ok(&r, "CREATE MATERIALIZED VIEW x AS SELECT count(*) AS n FROM t");
    ok(&r, "INSERT INTO t VALUES (1), (2)");
    ok(&r, "FLUSH");
    fails(&r, TARN_INVALID, "other objects depend on it", "DROP MATERIALIZED VIEW v");
    assert_string_equal(r.err.sqlstate, "2BP01");
    ok(&r, "DROP MATERIALIZED VIEW v CASCADE");
    ok(&r, "INSERT INTO t VALUES (3)");
    ok(&r, "FLUSH");
    assert_rows(&r, "3\n", "SELECT n FROM x");
    fails(&r, TARN_INVALID, "does not exist", "SELECT * FROM w");
    rig_reopen(&r);
    assert_rows(&r, "3\n", "SELECT n FROM x");
    rig_free(&r);
}

// ---- where sources lie ----

// The process goes to a directory and, at the end of the test, back.
static void go_to(const char *directory) {
    assert_int_equal(chdir(directory), 0);
}

TEST(a_source_is_found_again_from_wherever_the_warehouse_is_opened) {
    rig r = rig_disk();
    char home[512];
    char path[600];
    assert_non_null(getcwd(home, sizeof home));
    rig_open(&r);
    (void)snprintf(path, sizeof path, "%s/in[1]", r.directory); // looks like a pattern
    assert_int_equal(mkdir(path, 0700), 0);
    go_to(path);
    (void)snprintf(path, sizeof path, "%s/in[1]/s.csv", r.directory);
    rig_write(&r, path, "a\n1\n2\n");
    ok(&r, "CREATE SOURCE s (a bigint) WITH (connector = 'file', path = 's.csv')");
    ok(&r, "CREATE SOURCE p (a bigint) WITH (connector = 'file', path = '*.csv')");
    go_to(home);
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM s");
    ok(&r, "FLUSH");
    assert_rows(&r, "1\n2\n", "SELECT * FROM v");
    go_to("/");
    rig_reopen(&r);
    assert_rows(&r, "1\n2\n", "SELECT * FROM s");
    assert_rows(&r, "1\n2\n", "SELECT * FROM p");
    ok(&r, "CREATE MATERIALIZED VIEW w AS SELECT sum(a) AS s FROM p");
    ok(&r, "FLUSH");
    assert_rows(&r, "3\n", "SELECT * FROM w");
    assert_rows(&r, "running\nrunning\n", "SELECT state FROM tarn.jobs");
    go_to(home);
    rig_free(&r);
}

TEST(a_copy_is_read_from_where_the_process_is) {
    rig r = rig_disk();
    char home[512];
    char path[600];
    assert_non_null(getcwd(home, sizeof home));
    rig_open(&r);
    (void)snprintf(path, sizeof path, "%s/c.csv", r.directory);
    rig_write(&r, path, "7\n");
    ok(&r, "CREATE TABLE t (a bigint)");
    fails(&r, TARN_IO, "c.csv", "COPY t FROM 'c.csv' (FORMAT csv)");
    go_to(r.directory);
    ok(&r, "COPY t FROM 'c.csv' (FORMAT csv)");
    go_to(home);
    assert_rows(&r, "7\n", "SELECT * FROM t");
    rig_free(&r);
}

TEST(a_source_that_cannot_be_opened_is_named_with_its_path) {
    rig r = rig_sim(8);
    rig_open(&r);
    fails(&r, TARN_INVALID, "source \"s\": there is no file or directory '/gone.csv'",
          "CREATE SOURCE s (a bigint) WITH (connector = 'file', path = 'gone.csv')");
    rig_write(&r, "/s.csv", "a\n1\n");
    ok(&r, "CREATE SOURCE s (a bigint) WITH (connector = 'file', path = 's.csv')");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM s");
    ok(&r, "FLUSH");
    rig_close(&r);
    assert_int_equal(tarn_os_remove(r.os, TARN_LIT("/s.csv"), &r.err), TARN_OK);
    rig_open(&r);
    static const char told[] = "source \"s\": there is no file or directory '/s.csv'";
    fails(&r, TARN_INVALID, told, "SELECT * FROM s");
    fails(&r, TARN_INVALID, told, "CREATE MATERIALIZED VIEW w AS SELECT a + 1 AS b FROM s");
    assert_rows(&r, "failed\n", "SELECT state FROM tarn.jobs");
    ok(&r, "SELECT name, error FROM tarn.jobs");
    assert_non_null(strstr(rig_rows(&r), told));
    fails(&r, TARN_INVALID, told, "FLUSH");
    assert_rows(&r, "1\n", "SELECT * FROM v"); // what is there can be read
    rig_write(&r, "/s.csv", "a\n1\n");
    ok(&r, "FLUSH");
    assert_rows(&r, "running\n", "SELECT state FROM tarn.jobs");
    assert_rows(&r, "1\n", "SELECT * FROM v");
    rig_free(&r);
}

// ---- dead letters ----

TEST(the_dead_letters_of_a_source_cannot_be_dropped_before_it) {
    rig r = rig_sim(9);
    rig_open(&r);
    rig_write(&r, "/s.csv", "a\n1\nx\n");
    ok(&r, "CREATE SOURCE s (a bigint) WITH (connector = 'file', path = 's.csv', on_error = "
           "'dead_letter')");
    fails(&r, TARN_INVALID, "it keeps the dead letters of source s", "DROP TABLE s_dead_letter");
    assert_string_equal(r.err.sqlstate, "2BP01");
    fails(&r, TARN_INVALID, "it keeps the dead letters of source s",
          "DROP TABLE s_dead_letter CASCADE");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM s");
    ok(&r, "CREATE MATERIALIZED VIEW bad AS SELECT line FROM s_dead_letter");
    ok(&r, "FLUSH");
    ok(&r, "FLUSH"); // letters become rows of a table with the first, which is then read
    assert_rows(&r, "3\n", "SELECT line FROM bad");
    ok(&r, "DROP SOURCE s CASCADE");
    assert_rows(&r, "3\n", "SELECT line FROM s_dead_letter"); // what was rejected is not forgotten
    ok(&r, "DROP TABLE s_dead_letter CASCADE");
    fails(&r, TARN_INVALID, "does not exist", "SELECT * FROM bad");
    rig_free(&r);
}

TEST(a_copy_that_fails_keeps_a_dead_letter_table_that_was_there) {
    rig r = rig_sim(10);
    rig_open(&r);
    rig_write(&r, "/bad.csv", "5\nx\n");
    ok(&r, "CREATE TABLE n (a bigint NOT NULL)");
    ok(&r, "COPY n FROM '/bad.csv' (FORMAT csv, ON_ERROR dead_letter)");
    fails(&r, TARN_CORRUPT, "bad.csv",
          "COPY n FROM '/bad.csv' (FORMAT parquet, ON_ERROR dead_letter)");
    assert_rows(&r, "2\n", "SELECT line FROM n_dead_letter");
    assert_rows(&r, "5\n", "SELECT a FROM n");
    rig_free(&r);
}

// ---- what a crash leaves ----

static void leave(rig *r, const char *path) {
    tarn_file *file = NULL;
    tarn_slice name = tarn_slice_from_cstr(path);
    assert_int_equal(tarn_os_open(r->os, name, TARN_OPEN_CREATE, &file, &r->err), TARN_OK);
    assert_int_equal(tarn_file_close(file, &r->err), TARN_OK);
}

static bool is_there(rig *r, const char *path) {
    tarn_file_info info;
    assert_int_equal(tarn_os_stat(r->os, tarn_slice_from_cstr(path), &info, &r->err), TARN_OK);
    return info.exists;
}

TEST(drafts_that_a_crash_left_are_swept_at_open) {
    static const char *const left[] = {
        "/w/tarn/.CURRENT.0123456789abcdef.tmp",
        "/w/tarn/checkpoint/.00000000000000000009.0123456789abcdef.tmp",
        "/w/public.db/t/schema/.schema-1.0123456789abcdef.tmp",
        "/w/public.db/t/snapshot/.snapshot-9.0123456789abcdef.tmp",
        "/w/public.db/t/manifest/.manifest-x.0123456789abcdef.tmp",
        "/w/public.db/t/bucket-0/.data-x.parquet.0123456789abcdef.tmp",
        "/w/public.db/p/g=1/bucket-0/.data-x.parquet.0123456789abcdef.tmp",
    };
    // Another writer of the format may be at work.
    static const char other[] =
        "/w/public.db/t/snapshot/.snapshot-9.35f2719c-ffae-4697-960e-af95a0b4bd51.tmp";
    rig r = rig_sim(11);
    rig_open(&r);
    ok(&r, "CREATE TABLE t (a bigint)");
    ok(&r, "CREATE TABLE p (a bigint, g bigint) PARTITION BY LIST (g)");
    ok(&r, "INSERT INTO t VALUES (1)");
    ok(&r, "INSERT INTO p VALUES (1, 1)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t");
    ok(&r, "FLUSH");
    rig_close(&r);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) leave(&r, left[i]);
    leave(&r, other);
    rig_open(&r);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        if (is_there(&r, left[i])) print_error("%s is still there\n", left[i]);
        assert_false(is_there(&r, left[i]));
    }
    assert_true(is_there(&r, other));
    assert_rows(&r, "1\n", "SELECT * FROM v");
    assert_rows(&r, "1|1\n", "SELECT * FROM p");
    rig_free(&r);
}

// ---- statements that fail ----

TEST(statements_that_fail_leave_nothing_behind) {
    static const struct {
        const char *sql;
        tarn_status status;
        const char *sqlstate;
    } cases[] = {
        {"CREATE TABLE t (a bigint)", TARN_INVALID, "42P07"},
        {"CREATE TABLE u (a bigint, a text)", TARN_INVALID, "42701"},
        {"CREATE TABLE u (a nonsense)", TARN_INVALID, "42704"},
        {"CREATE MATERIALIZED VIEW t AS SELECT 1 AS one", TARN_INVALID, "42P07"},
        {"CREATE MATERIALIZED VIEW v AS SELECT a, a FROM t", TARN_INVALID, "42701"},
        {"CREATE MATERIALIZED VIEW v AS SELECT nope FROM t", TARN_INVALID, "42703"},
        {"CREATE MATERIALIZED VIEW v AS SELECT * FROM nope", TARN_INVALID, "42P01"},
        {"CREATE SOURCE s (a bigint) WITH (connector = 'nope')", TARN_UNSUPPORTED, "0A000"},
        {"CREATE SOURCE s (a bigint) WITH (connector = 'file', path = '/nope', format = 'csv')",
         TARN_INVALID, "58P01"},
        {"CREATE SOURCE s (a bigint) WITH (connector = 'file', path = '/nope', format = 'csv', "
         "on_error = 'dead_letter')",
         TARN_INVALID, "58P01"},
        {"INSERT INTO t VALUES (1), ('x')", TARN_INVALID, "22P02"},
        {"INSERT INTO t SELECT 1 / (a - a) FROM t", TARN_INVALID, "22012"},
        {"INSERT INTO n VALUES (1), (NULL)", TARN_INVALID, "23502"},
        {"INSERT INTO n SELECT CASE WHEN a > 1 THEN a END FROM t", TARN_INVALID, "23502"},
        {"COPY t FROM '/nope' (FORMAT csv)", TARN_IO, "58P01"},
        {"COPY t FROM '/nope' (FORMAT csv, ON_ERROR dead_letter)", TARN_IO, "58P01"},
        {"COPY t FROM '/bad.csv' (FORMAT csv)", TARN_INVALID, ""},
        {"COPY n FROM '/null.csv' (FORMAT csv)", TARN_INVALID, "23502"},
        {"COPY n FROM '/null.csv' (FORMAT parquet, ON_ERROR dead_letter)", TARN_CORRUPT, ""},
        {"DROP TABLE nope", TARN_INVALID, "42P01"},
        {"DROP MATERIALIZED VIEW t", TARN_INVALID, "42809"},
        {"CALL compact('nope')", TARN_INVALID, "42P01"},
        {"CALL nope('t')", TARN_INVALID, "42883"},
        {"SET nope = 1", TARN_INVALID, "42704"},
        {"SET tarn.read = 'sometimes'", TARN_INVALID, "22023"},
    };
    rig r = rig_sim(6);
    rig_open(&r);
    rig_write(&r, "/bad.csv", "5\n6\nseven\n8\n");
    rig_write(&r, "/null.csv", "5\n\n");
    ok(&r, "CREATE TABLE t (a bigint)");
    ok(&r, "CREATE TABLE n (a bigint NOT NULL)");
    ok(&r, "INSERT INTO t VALUES (1), (2)");
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            tarn_status status = run(&r, "%s", cases[i].sql);
            if (status != cases[i].status ||
                (cases[i].sqlstate[0] != '\0' && strcmp(r.err.sqlstate, cases[i].sqlstate) != 0)) {
                print_error("%s: %s %s '%s'\n", cases[i].sql, tarn_status_name(status),
                            r.err.sqlstate, r.err.message);
                fail();
            }
        }
        assert_rows(&r, "n\nt\n",
                    "SELECT table_name FROM information_schema.tables WHERE table_schema = "
                    "'public'");
        assert_rows(&r, "t|1\n", "SELECT table_name, snapshot_id FROM tarn.snapshots");
        assert_rows(&r, "1\n2\n", "SELECT a FROM t");
        rig_reopen(&r);
    }
    rig_free(&r);
}

// A disk that fails at any write of a statement leaves a warehouse that opens, in which the
// statement can be run again, and which holds either of its two results.
static void sweep(const char *setup, const char *statement, const char *redo, const char *check,
                  const char *before, const char *after) {
    for (uint64_t n = 1;; n++) {
        rig r = rig_sim(n);
        rig_open(&r);
        ok(&r, "CREATE TABLE t (a bigint PRIMARY KEY, b bigint)");
        ok(&r, "INSERT INTO t VALUES (1, 1), (2, 2)");
        if (setup != NULL) ok(&r, "%s", setup);
        ok(&r, "FLUSH");
        uint64_t writes = tarn_sim_write_count(r.sim);
        tarn_sim_fail_write_at(r.sim, n);
        tarn_status status = run(&r, "%s", statement);
        bool reached = tarn_sim_write_count(r.sim) - writes >= n;
        tarn_sim_fail_write_at(r.sim, 0);
        if (n % 3 == 0) rig_reopen(&r);
        ok(&r, "FLUSH");
        assert_int_equal(run(&r, "%s", check), TARN_OK);
        const char *got = rig_rows(&r);
        bool good = strcmp(got, after) == 0 || (status != TARN_OK && strcmp(got, before) == 0);
        if (!good) {
            print_error("%s, write %llu failed (%s): %s gives\n%s", statement,
                        (unsigned long long)n, tarn_status_name(status), check, got);
            fail();
        }
        if (strcmp(got, after) != 0) ok(&r, "%s", redo);
        rig_reopen(&r);
        ok(&r, "FLUSH");
        assert_rows(&r, after, "%s", check);
        rig_free(&r);
        if (!reached) return;
    }
}

#define NAMES                                                                             \
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND " \
    "table_name <> 't'"

TEST(create_table_survives_any_failing_write) {
    sweep(NULL, "CREATE TABLE u (a bigint)", "CREATE TABLE u (a bigint)", NAMES, "", "u\n");
}

TEST(create_view_survives_any_failing_write) {
    sweep(NULL, "CREATE MATERIALIZED VIEW v AS SELECT b FROM t",
          "CREATE MATERIALIZED VIEW v AS SELECT b FROM t", NAMES, "", "v\n");
}

TEST(drop_view_survives_any_failing_write) {
    sweep("CREATE MATERIALIZED VIEW v AS SELECT b FROM t", "DROP MATERIALIZED VIEW v",
          "DROP MATERIALIZED VIEW v", NAMES, "v\n", "");
}

TEST(drop_table_survives_any_failing_write) {
    sweep("CREATE TABLE u (a bigint)", "DROP TABLE u", "DROP TABLE IF EXISTS u", NAMES, "u\n", "");
}

TEST(a_dropped_table_does_not_come_back_with_its_rows) {
    for (uint64_t n = 1;; n++) {
        rig r = rig_sim(n);
        rig_open(&r);
        ok(&r, "CREATE TABLE t (a bigint)");
        ok(&r, "INSERT INTO t VALUES (1), (2)");
        ok(&r, "INSERT INTO t VALUES (3)");
        uint64_t writes = tarn_sim_write_count(r.sim);
        tarn_sim_fail_write_at(r.sim, n);
        tarn_status ignored = run(&r, "DROP TABLE t");
        (void)ignored;
        bool reached = tarn_sim_write_count(r.sim) - writes >= n;
        tarn_sim_fail_write_at(r.sim, 0);
        if (n % 2 == 0) rig_reopen(&r);
        ok(&r, "DROP TABLE IF EXISTS t");
        ok(&r, "CREATE TABLE t (b text)");
        assert_rows(&r, "", "SELECT * FROM t");
        ok(&r, "INSERT INTO t VALUES ('new')");
        assert_rows(&r, "new\n", "SELECT * FROM t");
        rig_reopen(&r);
        assert_rows(&r, "new\n", "SELECT * FROM t");
        rig_free(&r);
        if (!reached) return;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions_and_rows_are_there_after_reopening),
        cmocka_unit_test(a_view_made_anew_under_its_name_starts_anew),
        cmocka_unit_test(a_table_made_anew_under_its_name_feeds_views_from_its_start),
        cmocka_unit_test(a_source_made_anew_under_its_name_is_read_from_its_start),
        cmocka_unit_test(a_dropped_view_leaves_the_others_running),
        cmocka_unit_test(a_source_is_found_again_from_wherever_the_warehouse_is_opened),
        cmocka_unit_test(a_copy_is_read_from_where_the_process_is),
        cmocka_unit_test(a_source_that_cannot_be_opened_is_named_with_its_path),
        cmocka_unit_test(the_dead_letters_of_a_source_cannot_be_dropped_before_it),
        cmocka_unit_test(a_copy_that_fails_keeps_a_dead_letter_table_that_was_there),
        cmocka_unit_test(drafts_that_a_crash_left_are_swept_at_open),
        cmocka_unit_test(statements_that_fail_leave_nothing_behind),
        cmocka_unit_test(create_table_survives_any_failing_write),
        cmocka_unit_test(create_view_survives_any_failing_write),
        cmocka_unit_test(drop_view_survives_any_failing_write),
        cmocka_unit_test(drop_table_survives_any_failing_write),
        cmocka_unit_test(a_dropped_table_does_not_come_back_with_its_rows),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
