#include "tests/op/rig.h"

// Runs `sql` as a stream over random changes of the relations in `uses` (bits of rig_name) and
// checks after every epoch that its output is what the query gives over the same input. Sometimes
// the run is stopped and goes on from its state.
static void check_stream(const char *sql, unsigned uses, size_t epochs) {
    rig r;
    rig_init(&r);
    rig_run run = {.rig = &r, .plan = rig_plan(&r, sql)};
    r.chunk_limit = 1 + test_random_below(40);
    rig_start(&run);
    for (size_t epoch = 0; epoch < epochs; epoch++) {
        for (size_t i = 0; i < RIG_RELATIONS; i++) {
            bool quiet = test_random_below(4) == 0;
            if ((uses >> i & 1) != 0 && !quiet) {
                rig_change(&r.relations[i], test_random_below(30));
            }
        }
        rig_let_in(&run);
        rig_barrier(&run, run.state_count == 0 || test_random_below(8) == 0);
        bag wanted = rig_query(&r, sql, 1);
        assert_run_equals(&run, &wanted, sql);
        bag_free(&wanted);
        if (test_random_below(5) == 0) {
            rig_stop(&run);
            rig_start(&run);
        }
    }
    rig_run_free(&run);
    rig_free(&r);
}

#define USES(name) (1u << (name))

TEST(a_join_with_a_changing_right_side_is_exact_at_every_barrier) {
    check_stream("SELECT e.id, e.k, d.name, d.n FROM events e JOIN dims d ON e.k = d.k",
                 USES(RIG_EVENTS) | USES(RIG_DIMS), 25);
    check_stream("SELECT e.id, d.name FROM events e LEFT JOIN dims d ON e.k = d.k",
                 USES(RIG_EVENTS) | USES(RIG_DIMS), 25);
}

TEST(a_join_of_two_changing_sides_is_exact_at_every_barrier) {
    check_stream("SELECT f.id, f.amount, d.name FROM facts f JOIN dims d ON f.k = d.k",
                 USES(RIG_FACTS) | USES(RIG_DIMS), 25);
    check_stream("SELECT f.id, f.k, d.k, d.n FROM facts f LEFT JOIN dims d ON f.k = d.k",
                 USES(RIG_FACTS) | USES(RIG_DIMS), 25);
}

TEST(several_keys_and_keys_with_nulls_join) {
    check_stream("SELECT e.id, d.name FROM events e JOIN dims d ON e.k = d.k AND e.n = d.n",
                 USES(RIG_EVENTS) | USES(RIG_DIMS), 20);
    check_stream("SELECT f.id, d.name FROM facts f LEFT JOIN dims d ON f.n = d.n AND f.k = d.k",
                 USES(RIG_FACTS) | USES(RIG_DIMS), 20);
}

TEST(a_condition_beside_the_keys_decides_which_rows_match) {
    check_stream("SELECT e.id, d.name FROM events e JOIN dims d ON e.k = d.k AND e.n < d.n",
                 USES(RIG_EVENTS) | USES(RIG_DIMS), 20);
    check_stream("SELECT e.id, d.name, d.n FROM events e "
                 "LEFT JOIN dims d ON e.k = d.k AND e.n < d.n",
                 USES(RIG_EVENTS) | USES(RIG_DIMS), 20);
    check_stream("SELECT f.id, d.name FROM facts f LEFT JOIN dims d ON f.k = d.k AND f.n <> d.n",
                 USES(RIG_FACTS) | USES(RIG_DIMS), 20);
}

TEST(a_cross_join_is_a_join_without_keys) {
    check_stream("SELECT l.id, d.name FROM log l CROSS JOIN dims d", USES(RIG_LOG) | USES(RIG_DIMS),
                 8);
}

TEST(a_chain_of_joins_is_exact_at_every_barrier) {
    check_stream("SELECT e.id, a.name, b.amount FROM events e JOIN dims a ON e.k = a.k "
                 "JOIN facts b ON e.n = b.n",
                 USES(RIG_EVENTS) | USES(RIG_DIMS) | USES(RIG_FACTS), 12);
    check_stream("SELECT e.id, a.name, b.amount FROM events e LEFT JOIN dims a ON e.k = a.k "
                 "LEFT JOIN facts b ON a.n = b.n",
                 USES(RIG_EVENTS) | USES(RIG_DIMS) | USES(RIG_FACTS), 12);
    check_stream("SELECT f.id, a.name, b.id FROM facts f LEFT JOIN dims a ON f.k = a.k "
                 "JOIN log b ON a.n = b.n",
                 USES(RIG_FACTS) | USES(RIG_DIMS) | USES(RIG_LOG), 12);
}

TEST(steps_between_joins_keep_them_exact) {
    check_stream(
        "SELECT x.id, x.m, d.name FROM (SELECT id, n + 1 AS m, k FROM events WHERE n > 0) x"
        " JOIN dims d ON x.k = d.k WHERE d.n < 3",
        USES(RIG_EVENTS) | USES(RIG_DIMS), 20);
    check_stream("SELECT x.id, d.name FROM (SELECT id, n * 2 AS m, k FROM facts WHERE n > 0) x "
                 "LEFT JOIN dims d ON x.m = d.n WHERE x.id > 2",
                 USES(RIG_FACTS) | USES(RIG_DIMS), 20);
}

TEST(a_relation_joins_with_itself) {
    check_stream("SELECT a.id, b.id FROM facts a JOIN facts b ON a.k = b.k AND a.id < b.id",
                 USES(RIG_FACTS), 12);
}

// The tiny build has no room to hold the first rows in, so that the other tests see corrections.
#ifdef TARN_TINY
#define HOLDS_FIRST_ROWS false
#else
#define HOLDS_FIRST_ROWS true
#endif

// What the decision in docs/decisions/0005-streaming-join.md is about.
TEST(a_table_that_is_loaded_first_costs_no_second_read) {
    rig r;
    rig_init(&r);
    rig_change(&r.relations[RIG_DIMS], 40);
    rig_change(&r.relations[RIG_EVENTS], 40);
    r.relations[RIG_DIMS].loaded = r.relations[RIG_DIMS].row_count;
    const char *sql = "SELECT e.id, d.name FROM events e JOIN dims d ON e.k = d.k";
    rig_run run = {.rig = &r, .plan = rig_plan(&r, sql)};
    rig_start(&run);
    // The stream is there first; the table comes in pieces behind it.
    r.relations[RIG_EVENTS].allowed = 40;
    rig_drain(&run);
    r.relations[RIG_DIMS].allowed = r.relations[RIG_DIMS].row_count / 2;
    rig_drain(&run);
    if (HOLDS_FIRST_ROWS) assert_int_equal(run.emitted_rows, 0);
    rig_allow_all(&r);
    rig_drain(&run);
    if (HOLDS_FIRST_ROWS) assert_true(run.emitted_rows > 0);
    for (size_t i = 0; i < 5; i++) {
        rig_change(&r.relations[RIG_EVENTS], 20);
        rig_let_in(&run);
        rig_barrier(&run, false);
    }
    bag wanted = rig_query(&r, sql, 1);
    assert_run_equals(&run, &wanted, sql);
    if (HOLDS_FIRST_ROWS) assert_int_equal(r.relations[RIG_EVENTS].replays, 0);
    size_t replays = r.relations[RIG_EVENTS].replays;

    // A row for a key that was asked for is worth one.
    rig_row row = r.relations[RIG_EVENTS].rows[0];
    for (size_t i = 0; row.nulls[2]; i++) row = r.relations[RIG_EVENTS].rows[i];
    rig_append(&r.relations[RIG_DIMS],
               (rig_row){.values = {row.values[2], 1, 3}, .watermark_us = TARN_NO_WATERMARK});
    rig_let_in(&run);
    rig_barrier(&run, false);
    assert_int_equal(r.relations[RIG_EVENTS].replays, replays + 1);
    bag_free(&wanted);
    wanted = rig_query(&r, sql, 1);
    assert_run_equals(&run, &wanted, sql);
    bag_free(&wanted);
    rig_run_free(&run);
    rig_free(&r);
}

TEST(a_key_that_appears_after_a_restart_is_found) {
    rig r;
    rig_init(&r);
    const char *sql = "SELECT e.id, d.name FROM events e JOIN dims d ON e.k = d.k";
    rig_run run = {.rig = &r, .plan = rig_plan(&r, sql)};
    rig_start(&run);
    for (size_t round = 0; round < 6; round++) {
        // Every event asks for every key; one more of them is there each time.
        for (int64_t k = 0; k < 8; k++) {
            rig_append(&r.relations[RIG_EVENTS],
                       (rig_row){.values = {(int64_t)round * 8 + k, 0, k, 1, 1}});
        }
        rig_let_in(&run);
        rig_append(&r.relations[RIG_DIMS], (rig_row){.values = {(int64_t)round, 1, 1}});
        rig_let_in(&run);
        rig_barrier(&run, round == 0);
        bag wanted = rig_query(&r, sql, 1);
        assert_run_equals(&run, &wanted, sql);
        bag_free(&wanted);
        if (round != 2) continue;
        rig_stop(&run);
        rig_start(&run);
    }
    rig_run_free(&run);
    rig_free(&r);
}

// ---- queries ----

TEST(a_query_joins_as_nested_loops_do) {
    rig r;
    rig_init(&r);
    rig_change(&r.relations[RIG_LOG], 60);
    rig_change(&r.relations[RIG_DIMS], 60);
    rig_allow_all(&r);
    for (size_t parts = 1; parts <= 3; parts++) {
        bag inner = rig_query(&r, "SELECT l.id, d.n FROM log l JOIN dims d ON l.k = d.k", parts);
        bag left =
            rig_query(&r, "SELECT l.id, d.n FROM log l LEFT JOIN dims d ON l.k = d.k", parts);
        bag wanted_inner = {0};
        bag wanted_left = {0};
        size_t left_count = 0;
        size_t right_count = 0;
        rig_row *lefts = rig_net(&r.relations[RIG_LOG], 60, &left_count);
        rig_row *rights =
            rig_net(&r.relations[RIG_DIMS], r.relations[RIG_DIMS].row_count, &right_count);
        for (size_t i = 0; i < left_count; i++) {
            bool matched = false;
            char text[64];
            for (size_t j = 0; j < right_count; j++) {
                if (lefts[i].nulls[1] || rights[j].nulls[0]) continue;
                if (lefts[i].values[1] != rights[j].values[0]) continue;
                matched = true;
                if (rights[j].nulls[1]) {
                    (void)snprintf(text, sizeof text, "%lld|NULL", (long long)lefts[i].values[0]);
                } else {
                    (void)snprintf(text, sizeof text, "%lld|%lld", (long long)lefts[i].values[0],
                                   (long long)rights[j].values[1]);
                }
                bag_add(&wanted_inner, text, 1);
                bag_add(&wanted_left, text, 1);
            }
            if (matched) continue;
            (void)snprintf(text, sizeof text, "%lld|NULL", (long long)lefts[i].values[0]);
            bag_add(&wanted_left, text, 1);
        }
        assert_bags_equal(&inner, &wanted_inner, "inner join");
        assert_bags_equal(&left, &wanted_left, "left join");
        bag_free(&inner);
        bag_free(&left);
        bag_free(&wanted_inner);
        bag_free(&wanted_left);
        free(lefts);
        free(rights);
    }
    rig_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_joins_as_nested_loops_do),
        cmocka_unit_test(a_table_that_is_loaded_first_costs_no_second_read),
        cmocka_unit_test(a_key_that_appears_after_a_restart_is_found),
        cmocka_unit_test(a_join_with_a_changing_right_side_is_exact_at_every_barrier),
        cmocka_unit_test(a_join_of_two_changing_sides_is_exact_at_every_barrier),
        cmocka_unit_test(several_keys_and_keys_with_nulls_join),
        cmocka_unit_test(a_condition_beside_the_keys_decides_which_rows_match),
        cmocka_unit_test(a_cross_join_is_a_join_without_keys),
        cmocka_unit_test(a_chain_of_joins_is_exact_at_every_barrier),
        cmocka_unit_test(steps_between_joins_keep_them_exact),
        cmocka_unit_test(a_relation_joins_with_itself),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
