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
#define ENDLESS 131072 // squared: hours
#define LONG    2048   // squared: a second or so
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_does_not_wait_for_a_view_that_is_deep_in_its_work),
        cmocka_unit_test(drop_does_not_wait_for_a_view_that_is_deep_in_its_work),
        cmocka_unit_test(a_view_that_was_given_up_ends_with_the_right_content),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
