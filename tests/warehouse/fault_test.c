// Disks that are full, and calls that fail: at every write, at every read, at every fill level.
//
// The statement says so, or the jobs try again; nothing is half applied; before anything is mended
// the views answer together; with room again the same warehouse goes on, and after reopening too.
#include "tests/warehouse/rig.h"

#define SOURCE_ROWS 4
static const char source_csv[] = "a,b\n1,x\n2,y\nthree,z\n3,x\n4,y\n";
static const char copy_csv[] = "10,100\n11,110\nten,100\n12,120\n";
static const char good_csv[] = "10,100\n11,110\n12,120\n";

typedef struct operation {
    const char *name;
    const char *sql[3];   // the last may fail as well as the others
    const char *redo;     // brings the table to the state after, when it is in that before
    const char *table[2]; // SELECT count(*), sum(b): before and after; NULL after: not changed
    bool makes_view;
} operation;

#define BEFORE "2|30\n"
static const operation operations[] = {
    {.name = "INSERT",
     .sql = {"INSERT INTO t VALUES (3, 5), (4, 6)"},
     .redo = "INSERT INTO t VALUES (3, 5), (4, 6)",
     .table = {BEFORE, "4|41\n"}},
    {.name = "upsert",
     .sql = {"INSERT INTO t VALUES (1, 5), (3, 6)"},
     .redo = "INSERT INTO t VALUES (1, 5), (3, 6)",
     .table = {BEFORE, "3|31\n"}},
    {.name = "COPY",
     .sql = {"COPY t FROM '/good.csv' (FORMAT csv)"},
     .redo = "COPY t FROM '/good.csv' (FORMAT csv)",
     .table = {BEFORE, "5|360\n"}},
    {.name = "COPY with dead letters",
     .sql = {"COPY t FROM '/copy.csv' (FORMAT csv, ON_ERROR dead_letter)"},
     .redo = "COPY t FROM '/copy.csv' (FORMAT csv, ON_ERROR dead_letter)",
     .table = {BEFORE, "5|360\n"}},
    {.name = "FLUSH",
     .sql = {"INSERT INTO t VALUES (3, 5), (4, 6)", "FLUSH"},
     .redo = "INSERT INTO t VALUES (3, 5), (4, 6)",
     .table = {BEFORE, "4|41\n"}},
    {.name = "CREATE MATERIALIZED VIEW",
     .sql = {"CREATE MATERIALIZED VIEW made AS SELECT a.b AS b, count(*) AS c FROM s AS a GROUP BY "
             "a.b",
             "FLUSH"},
     .table = {BEFORE, NULL},
     .makes_view = true},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static const char *const exact[][2] = {
    {"SELECT * FROM total", "SELECT count(*), sum(b) FROM t"},
    {"SELECT * FROM plain", "SELECT a, b FROM t WHERE b > 5"},
    {"SELECT * FROM stacked", "SELECT sum(b) FROM t WHERE b > 5"},
    {"SELECT * FROM joined", "SELECT s.a, s.b, t.b FROM s JOIN t ON t.a = s.a"},
};

static void prepare(rig *r, uint64_t seed) {
    *r = rig_sim(seed);
    r->options.checkpoint_interval_ms = 3600000; // epochs by FLUSH: faults hit what they are for
    rig_write(r, "/s.csv", source_csv);
    rig_write(r, "/copy.csv", copy_csv);
    rig_write(r, "/good.csv", good_csv);
    rig_open(r);
    ok(r, "CREATE TABLE t (a bigint PRIMARY KEY, b bigint)");
    ok(r, "CREATE SOURCE s (a bigint, b text) WITH (connector = 'file', path = 's.csv', on_error = "
          "'dead_letter')");
    ok(r, "CREATE MATERIALIZED VIEW total AS SELECT count(*) AS c, sum(b) AS b FROM t");
    ok(r, "CREATE MATERIALIZED VIEW plain AS SELECT a, b FROM t WHERE b > 5");
    ok(r, "CREATE MATERIALIZED VIEW stacked AS SELECT sum(b) AS b FROM plain");
    ok(r,
       "CREATE MATERIALIZED VIEW joined AS SELECT s.a, s.b, t.b AS n FROM s JOIN t ON t.a = s.a");
    ok(r, "INSERT INTO t VALUES (1, 10), (2, 20)");
    ok(r, "FLUSH");
}

// Runs the operation; false: a statement of it has failed.
static bool perform(rig *r, const operation *o) {
    for (size_t i = 0; i < sizeof o->sql / sizeof o->sql[0] && o->sql[i] != NULL; i++) {
        tarn_status status = run(r, "%s", o->sql[i]);
        // A second attempt finds what the first has made.
        if (status == TARN_OK || strcmp(r->err.sqlstate, "42P07") == 0) continue;
        if (status != TARN_IO || r->err.message[0] == '\0') {
            print_error("%s: %s '%s'\n", o->sql[i], tarn_status_name(status), r->err.message);
            fail();
        }
        return false;
    }
    return true;
}

// Whatever has failed: the views and the table beside them answer from one epoch.
static void check_together(rig *r) {
    assert_rows(
        r, "0\n",
        "SELECT count(*) FROM total AS v, stacked AS w, (SELECT count(*) AS c, sum(b) AS b, "
        "sum(CASE WHEN b > 5 THEN b END) AS w FROM t) AS x WHERE v.c <> x.c OR v.b <> x.b "
        "OR w.b <> x.w");
}

static bool is_after(rig *r, const operation *o, bool done) {
    ok(r, "SELECT count(*), sum(b) FROM t");
    if (o->table[1] == NULL) {
        assert_string_equal(rig_rows(r), o->table[0]);
        return true;
    }
    if (strcmp(rig_rows(r), o->table[1]) == 0) return true;
    assert_false(done);
    assert_string_equal(rig_rows(r), o->table[0]);
    return false;
}

static void check_all(rig *r, const operation *o) {
    ok(r, "FLUSH");
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
        assert_same_rows(r, exact[i][0], exact[i][1]);
    }
    assert_rows(r, "4|\\x74687265652c7a\n", "SELECT line, record FROM s_dead_letter");
    if (o->makes_view) assert_rows(r, "x|2\ny|2\n", "SELECT * FROM made");
}

static void mend_and_check(rig *r, const operation *o, bool done) {
    check_together(r);
    if (!is_after(r, o, done)) ok(r, "%s", o->redo);
    if (o->makes_view && run(r, "SELECT * FROM made") != TARN_OK) ok(r, "%s", o->sql[0]);
    ok(r, "FLUSH");
    assert_true(is_after(r, o, true));
    check_all(r, o);
    rig_reopen(r);
    assert_true(is_after(r, o, true));
    check_all(r, o);
}

// A statement that has failed, and yet has happened, says so: it must not be run again.
TEST(a_statement_that_failed_at_its_very_end_says_that_its_rows_are_there) {
    size_t told = 0;
    for (uint64_t n = 1;; n++) {
        rig r = rig_sim(n);
        rig_open(&r);
        ok(&r, "CREATE TABLE log (a bigint)");
        uint64_t writes = tarn_sim_write_count(r.sim);
        tarn_sim_fail_write_at(r.sim, n);
        tarn_status status = run(&r, "INSERT INTO log VALUES (1), (2)");
        bool reached = tarn_sim_write_count(r.sim) - writes >= n;
        tarn_sim_fail_write_at(r.sim, 0);
        bool says_so = strstr(r.err.hint, "do not run the statement again") != NULL;
        told += says_so;
        ok(&r, "SELECT count(*) FROM log");
        bool happened = strcmp(rig_rows(&r), "2\n") == 0;
        if (status != TARN_OK && happened != says_so) print_error("write %d\n", (int)n);
        assert_true(happened == (status == TARN_OK || says_so));
        rig_free(&r);
        if (!reached) break;
    }
    assert_true(told > 0);
}

typedef void (*inject)(tarn_sim *sim, uint64_t n);
typedef uint64_t (*count_calls)(const tarn_sim *sim);

// Each call with TARN_TEST_ROUNDS; else some, by chance: fewer of a FLUSH, which makes many.
static uint64_t stride(const operation *o) {
    if (getenv("TARN_TEST_ROUNDS") != NULL) return 1;
    return 1 + test_random_below(o->sql[1] == NULL ? 60 : 240);
}

static void sweep(inject fail_at, count_calls count) {
    size_t all = 0;
    for (size_t i = 0; i < OPERATIONS; i++) {
        const operation *o = &operations[i];
        size_t failures = 0;
        for (uint64_t n = stride(o);; n += stride(o)) {
            rig r;
            prepare(&r, n);
            uint64_t calls = count(r.sim);
            fail_at(r.sim, n);
            bool done = perform(&r, o);
            bool reached = count(r.sim) - calls >= n;
            fail_at(r.sim, 0);
            failures += !done;
            // A rewritten file is a version, but no news: it must not pass for a later epoch's.
            if (n % 2 == 0) ok(&r, "CALL compact('total')");
            if (n % 3 == 0) rig_reopen(&r); // recovery mends, too
            mend_and_check(&r, o, done);
            rig_free(&r);
            if (!reached) break;
        }
        all += failures;
        if (failures == 0) print_message("%s: nothing has failed\n", o->name);
    }
    assert_true(all > 0);
}

TEST(every_failing_write_is_told_and_nothing_is_half_applied) {
    sweep(tarn_sim_fail_write_at, tarn_sim_write_count);
}

TEST(every_failing_read_is_told_and_nothing_is_half_applied) {
    sweep(tarn_sim_fail_read_at, tarn_sim_read_count);
}

// ---- a full disk ----

static bool has_room(rig *r, uint64_t capacity) {
    tarn_sim_set_capacity(r->sim, capacity);
    tarn_status status =
        tarn_os_write_file(r->os, TARN_LIT("/probe"), TARN_LIT("x"), TARN_WRITE_REPLACE, &r->err);
    return status == TARN_OK;
}

// How many bytes all files have.
static uint64_t used_bytes(rig *r) {
    uint64_t low = 0;
    uint64_t high = (uint64_t)1 << 30;
    while (low + 1 < high) {
        uint64_t middle = low + (high - low) / 2;
        if (has_room(r, middle)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}

TEST(a_full_disk_is_told_and_nothing_is_half_applied) {
    for (size_t i = 0; i < OPERATIONS; i++) {
        const operation *o = &operations[i];
        size_t failures = 0;
        bool done = false;
        for (uint64_t extra = 0; !done; extra += 100 * stride(o)) {
            rig r;
            prepare(&r, extra);
            tarn_sim_set_capacity(r.sim, used_bytes(&r) + extra);
            done = perform(&r, o);
            failures += !done;
            if (!done) { // a full disk stays full
                assert_non_null(strstr(r.err.message, "no space left on device"));
                check_together(&r);
                assert_false(perform(&r, o) && o->table[1] != NULL && !is_after(&r, o, false));
            }
            check_together(&r);
            tarn_sim_set_capacity(r.sim, UINT64_MAX);
            mend_and_check(&r, o, false);
            rig_free(&r);
        }
        assert_true(failures > 0);
    }
}

// A warehouse on a disk that is full can be opened and read.
TEST(a_warehouse_on_a_full_disk_can_be_read) {
    rig r;
    prepare(&r, 1);
    ok(&r, "INSERT INTO t VALUES (3, 5)");
    rig_close(&r);
    tarn_sim_set_capacity(r.sim, 0);
    rig_open(&r);
    assert_rows(&r, "3|35\n", "SELECT count(*), sum(b) FROM t");
    check_together(&r);
    fails(&r, TARN_IO, "no space left on device", "INSERT INTO t VALUES (4, 6)");
    rig_reopen(&r);
    check_together(&r);
    tarn_sim_set_capacity(r.sim, UINT64_MAX);
    ok(&r, "INSERT INTO t VALUES (4, 6)");
    ok(&r, "FLUSH");
    assert_rows(&r, "4|41\n", "SELECT * FROM total");
    rig_free(&r);
}

// ---- a directory that may not be written ----

TEST(a_read_only_directory_is_told_by_its_name) {
    rig r;
    prepare(&r, 2);
    static const struct {
        const char *directory;
        const char *sql;
    } cases[] = {
        {"/w/public.db", "CREATE TABLE u (a bigint)"},
        {"/w/public.db/t/snapshot", "INSERT INTO t VALUES (3, 5)"},
        {"/w/public.db/t/bucket-0", "INSERT INTO t VALUES (3, 5)"},
        {"/w/tarn",
         "CREATE SOURCE u (a bigint) WITH (connector = 'file', path = 'good.csv', header "
         "= 'false')"},
        {"/w/tarn", "DROP MATERIALIZED VIEW joined"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_slice directory = tarn_slice_from_cstr(cases[i].directory);
        assert_int_equal(tarn_sim_set_read_only(r.sim, directory, true, &r.err), TARN_OK);
        fails(&r, TARN_IO, "permission denied", "%s", cases[i].sql);
        if (strstr(r.err.message, cases[i].directory) == NULL) {
            print_error("%s: '%s' does not name %s\n", cases[i].sql, r.err.message,
                        cases[i].directory);
            fail();
        }
        assert_int_equal(tarn_sim_set_read_only(r.sim, directory, false, &r.err), TARN_OK);
    }
    check_all(&r, &operations[0]);
    ok(&r, "INSERT INTO t VALUES (3, 5)");
    check_all(&r, &operations[0]);
    rig_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_that_failed_at_its_very_end_says_that_its_rows_are_there),
        cmocka_unit_test(every_failing_write_is_told_and_nothing_is_half_applied),
        cmocka_unit_test(every_failing_read_is_told_and_nothing_is_half_applied),
        cmocka_unit_test(a_full_disk_is_told_and_nothing_is_half_applied),
        cmocka_unit_test(a_warehouse_on_a_full_disk_can_be_read),
        cmocka_unit_test(a_read_only_directory_is_told_by_its_name),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
