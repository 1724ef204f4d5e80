#include "tests/op/rig.h"

static void check_epoch(rig_run *run, const char *sql) {
    rig_barrier(run, run->state_count == 0 || test_random_below(8) == 0);
    bag wanted = rig_query(run->rig, sql, 1 + test_random_below(3));
    assert_run_equals(run, &wanted, sql);
    bag_free(&wanted);
}

// Random changes, epoch by epoch; the stream's output adds up to the query's over the same input.
static void check_stream(const char *sql, rig_name uses, size_t epochs) {
    rig r;
    rig_init(&r);
    rig_run run = {.rig = &r, .plan = rig_plan(&r, sql)};
    r.chunk_limit = 1 + test_random_below(40);
    rig_start(&run);
    for (size_t epoch = 0; epoch < epochs; epoch++) {
        rig_change(&r.relations[uses], test_random_below(40));
        rig_let_in(&run);
        check_epoch(&run, sql);
        if (test_random_below(5) == 0) {
            rig_stop(&run);
            rig_start(&run);
        }
    }
    rig_run_free(&run);
    rig_free(&r);
}

TEST(groups_of_an_append_only_stream_are_exact_at_every_barrier) {
    check_stream(
        "SELECT k, n, count(*), count(v), sum(n), min(v), max(k) FROM events GROUP BY k, n",
        RIG_EVENTS, 20);
    check_stream("SELECT k, count(*) FILTER (WHERE n > 1), sum(v) FILTER (WHERE k <> 'a') "
                 "FROM events GROUP BY k",
                 RIG_EVENTS, 20);
}

TEST(groups_of_a_changing_stream_are_exact_at_every_barrier) {
    check_stream("SELECT k, n, count(*), count(amount), sum(amount), min(amount), max(amount) "
                 "FROM facts GROUP BY k, n",
                 RIG_FACTS, 30);
    check_stream("SELECT k, min(k), max(id), avg(amount) FROM facts GROUP BY k", RIG_FACTS, 30);
}

TEST(an_aggregate_without_groups_always_has_one_row) {
    check_stream("SELECT count(*), sum(amount), max(k) FROM facts", RIG_FACTS, 20);
    check_stream("SELECT count(*), count(n) FROM events", RIG_EVENTS, 10);
}

TEST(distinct_rows_come_and_go) {
    check_stream("SELECT DISTINCT k, n FROM facts", RIG_FACTS, 30);
    check_stream("SELECT count(DISTINCT k), count(DISTINCT n) FROM facts", RIG_FACTS, 20);
}

TEST(aggregates_stand_on_aggregates_and_steps) {
    check_stream("SELECT c, count(*) FROM (SELECT k, count(*) AS c FROM facts GROUP BY k) x "
                 "WHERE c > 1 GROUP BY c",
                 RIG_FACTS, 25);
    check_stream(
        "SELECT k, s FROM (SELECT k, sum(amount) AS s FROM facts WHERE n > -1 GROUP BY k) x "
        "WHERE s > 2",
        RIG_FACTS, 25);
    check_stream("SELECT k, count(*) FROM (SELECT k, n FROM facts UNION ALL SELECT k, n FROM facts "
                 "WHERE n > 1) x GROUP BY k",
                 RIG_FACTS, 15);
}

TEST(an_epoch_emits_each_group_once_and_only_if_it_differs) {
    rig r;
    rig_init(&r);
    const char *sql = "SELECT k, max(n) FROM log GROUP BY k";
    rig_run run = {.rig = &r, .plan = rig_plan(&r, sql)};
    rig_start(&run);
    rig_relation *log = &r.relations[RIG_LOG];
    for (int64_t i = 0; i < 100; i++) rig_append(log, (rig_row){.values = {i, 1, i}});
    rig_let_in(&run);
    assert_int_equal(run.emitted_rows, 0);
    rig_barrier(&run, true);
    assert_int_equal(run.emitted_rows, 1); // +I
    rig_append(log, (rig_row){.values = {100, 1, 50}});
    rig_let_in(&run);
    rig_barrier(&run, false);
    assert_int_equal(run.emitted_rows, 1); // the greatest is still 99
    rig_append(log, (rig_row){.values = {101, 1, 1000}});
    rig_let_in(&run);
    rig_barrier(&run, false);
    assert_int_equal(run.emitted_rows, 3); // -U, +U
    rig_barrier(&run, false);
    assert_int_equal(run.emitted_rows, 3);
    rig_run_free(&run);
    rig_free(&r);
}

// ---- queries ----

TEST(a_query_counts_and_sums_as_a_loop_does) {
    for (size_t parts = 1; parts <= 4; parts++) {
        rig r;
        rig_init(&r);
        rig_change(&r.relations[RIG_FACTS], 300);
        rig_allow_all(&r);
        bag got =
            rig_query(&r, "SELECT k, n, count(*), sum(amount) FROM facts GROUP BY k, n", parts);
        size_t count = 0;
        rig_row *rows = rig_net(&r.relations[RIG_FACTS], r.relations[RIG_FACTS].row_count, &count);
        bag wanted = {0};
        for (size_t i = 0; i < count; i++) {
            int64_t group_rows = 0;
            int64_t sum = 0;
            bool has_sum = false;
            bool is_first = true;
            for (size_t j = 0; j < count; j++) {
                bool same = true;
                for (size_t c = 1; c <= 2; c++) {
                    same = same && rows[i].nulls[c] == rows[j].nulls[c] &&
                           (rows[i].nulls[c] || rows[i].values[c] == rows[j].values[c]);
                }
                if (!same) continue;
                is_first = is_first && j >= i;
                group_rows++;
                if (rows[j].nulls[3]) continue;
                has_sum = true;
                sum += rows[j].values[3];
            }
            if (!is_first) continue;
            char text[256];
            char number[32];
            char total[32];
            (void)snprintf(number, sizeof number, "%lld", (long long)rows[i].values[2]);
            (void)snprintf(total, sizeof total, "%lld", (long long)sum);
            (void)snprintf(text, sizeof text, "%s|%s|%lld|%s",
                           rows[i].nulls[1] ? "NULL" : rig_pool[rows[i].values[1]],
                           rows[i].nulls[2] ? "NULL" : number, (long long)group_rows,
                           has_sum ? total : "NULL");
            bag_add(&wanted, text, 1);
        }
        assert_bags_equal(&got, &wanted, "groups");
        bag_free(&got);
        bag_free(&wanted);
        free(rows);
        rig_free(&r);
    }
}

TEST(running_out_of_memory_names_the_operator) {
    rig r;
    rig_init(&r);
    rig_change(&r.relations[RIG_EVENTS], 2000);
    rig_allow_all(&r);
    const tarn_plan *plan = rig_plan(&r, "SELECT id, count(*) FROM events GROUP BY id");
    size_t named = 0;
    tarn_status status = TARN_NO_MEMORY;
    for (size_t limit = 1 << 16; status != TARN_OK; limit *= 2) {
        tarn_budget budget;
        tarn_budget_init(&budget, &tarn_alloc_libc, limit);
        r.alloc = &budget.alloc;
        rig_run run = {.rig = &r, .plan = plan, .is_batch = true};
        tarn_error err = {0};
        status = rig_build(&run, &err);
        if (status == TARN_OK) status = tarn_flow_start(run.flow, &err);
        if (status == TARN_OK) status = tarn_flow_wait(run.flow, &err);
        tarn_flow_free(run.flow);
        run.flow = NULL;
        rig_run_free(&run);
        assert_int_equal(budget.used_bytes, 0);
        if (status != TARN_OK) {
            assert_int_equal(status, TARN_NO_MEMORY);
            named += strstr(err.message, "operator 'view/v/aggregate-") != NULL;
        }
    }
    r.alloc = &tarn_alloc_libc;
    assert_true(named > 0);
    rig_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_counts_and_sums_as_a_loop_does),
        cmocka_unit_test(groups_of_an_append_only_stream_are_exact_at_every_barrier),
        cmocka_unit_test(groups_of_a_changing_stream_are_exact_at_every_barrier),
        cmocka_unit_test(an_aggregate_without_groups_always_has_one_row),
        cmocka_unit_test(distinct_rows_come_and_go),
        cmocka_unit_test(aggregates_stand_on_aggregates_and_steps),
        cmocka_unit_test(an_epoch_emits_each_group_once_and_only_if_it_differs),
        cmocka_unit_test(running_out_of_memory_names_the_operator),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
