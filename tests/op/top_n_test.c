#include "tests/op/rig.h"

static void check_stream(const char *sql, rig_name uses, size_t epochs) {
    rig r;
    rig_init(&r);
    rig_run run = {.rig = &r, .plan = rig_plan(&r, sql)};
    r.chunk_limit = 1 + test_random_below(40);
    rig_start(&run);
    for (size_t epoch = 0; epoch < epochs; epoch++) {
        rig_change(&r.relations[uses], test_random_below(30));
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

TEST(the_first_rows_of_a_changing_input_stay_exact) {
    check_stream("SELECT id, k, n FROM facts ORDER BY n DESC, id LIMIT 5", RIG_FACTS, 30);
    check_stream("SELECT id, amount FROM facts ORDER BY amount NULLS FIRST, id LIMIT 3 OFFSET 2",
                 RIG_FACTS, 30);
}

TEST(the_first_rows_of_an_input_that_grows_stay_exact) {
    check_stream("SELECT id, k, v FROM events ORDER BY v DESC NULLS LAST, id LIMIT 4", RIG_EVENTS,
                 30);
}

TEST(numbered_rows_per_partition_stay_exact) {
    check_stream(
        "SELECT * FROM (SELECT id, k, n, row_number() OVER (PARTITION BY k ORDER BY n DESC,"
        " id) AS place FROM facts) x WHERE place <= 2",
        RIG_FACTS, 30);
    check_stream("SELECT * FROM (SELECT k, s, row_number() OVER (ORDER BY s DESC, k) AS place "
                 "FROM (SELECT k, sum(amount) AS s FROM facts GROUP BY k) y) x WHERE place <= 3",
                 RIG_FACTS, 30);
}

// ---- queries ----

typedef struct sorted_row {
    int64_t id;
    int64_t n;
    bool null;
} sorted_row;

static int compare_rows(const void *a, const void *b) { // n DESC NULLS LAST, id
    const sorted_row *x = a;
    const sorted_row *y = b;
    if (x->null != y->null) return x->null ? 1 : -1;
    if (!x->null && x->n != y->n) return x->n > y->n ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

// Checks that the query's rows, in order, are rows [begin, end) of the sorted table.
static void check_order(rig *r, const char *sql, const sorted_row *rows, size_t begin, size_t end) {
    rig_run run = {.rig = r, .plan = rig_plan(r, sql), .part_count = 1 + test_random_below(3)};
    rig_batch(&run);
    assert_int_equal(run.emitted_rows, end - begin);
    for (size_t i = begin; i < end; i++) {
        char text[64];
        if (rows[i].null) {
            (void)snprintf(text, sizeof text, "%lld|NULL", (long long)rows[i].id);
        } else {
            (void)snprintf(text, sizeof text, "%lld|%lld", (long long)rows[i].id,
                           (long long)rows[i].n);
        }
        assert_string_equal(run.emitted[i - begin], text);
    }
    rig_run_free(&run);
}

TEST(queries_sort_and_cut_as_qsort_does) {
    rig r;
    rig_init(&r);
    rig_change(&r.relations[RIG_LOG], 300);
    rig_allow_all(&r);
    size_t count = 0;
    rig_row *log = rig_net(&r.relations[RIG_LOG], 300, &count);
    sorted_row *rows = calloc(count, sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        rows[i] = (sorted_row){log[i].values[0], log[i].values[2], log[i].nulls[2]};
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    check_order(&r, "SELECT id, n FROM log ORDER BY n DESC NULLS LAST, id", rows, 0, count);
    check_order(&r, "SELECT id, n FROM log ORDER BY n DESC NULLS LAST, id LIMIT 7", rows, 0, 7);
    check_order(&r, "SELECT id, n FROM log ORDER BY n DESC NULLS LAST, id LIMIT 9 OFFSET 5", rows,
                5, 14);
    check_order(&r, "SELECT id, n FROM log ORDER BY n DESC NULLS LAST, id OFFSET 290", rows, 290,
                300);
    check_order(&r, "SELECT id, n FROM log ORDER BY n DESC NULLS LAST, id LIMIT 0", rows, 0, 0);
    free(rows);
    free(log);
    rig_free(&r);
}

TEST(a_limit_takes_as_many_rows_as_it_says) {
    rig r;
    rig_init(&r);
    rig_change(&r.relations[RIG_LOG], 100);
    rig_allow_all(&r);
    const struct {
        const char *sql;
        uint64_t rows;
    } cases[] = {
        {"SELECT id FROM log LIMIT 10", 10},         {"SELECT id FROM log LIMIT 0", 0},
        {"SELECT id FROM log LIMIT 1000", 100},      {"SELECT id FROM log OFFSET 98", 2},
        {"SELECT id FROM log LIMIT 5 OFFSET 97", 3}, {"SELECT 1 LIMIT 1", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_run run = {.rig = &r, .plan = rig_plan(&r, cases[i].sql), .part_count = 2};
        rig_batch(&run);
        assert_int_equal(run.emitted_rows, cases[i].rows);
        rig_run_free(&run);
    }
    rig_free(&r);
}

TEST(a_view_refuses_an_order_without_a_limit) {
    rig r;
    rig_init(&r);
    tarn_error err = {0};
    rig_run run = {.rig = &r, .plan = rig_plan(&r, "SELECT id FROM log ORDER BY id")};
    assert_int_equal(rig_build(&run, &err), TARN_UNSUPPORTED);
    assert_non_null(strstr(err.message, "ORDER BY without LIMIT"));
    rig_run_free(&run);
    rig_free(&r);
}

TEST(constant_rows_and_unions_come_whole) {
    rig r;
    rig_init(&r);
    rig_change(&r.relations[RIG_LOG], 20);
    rig_allow_all(&r);
    bag got = rig_query(&r,
                        "SELECT id, k FROM log UNION ALL SELECT 7, 'x' UNION ALL "
                        "SELECT * FROM (VALUES (1, 'y'), (2, NULL)) v(a, b)",
                        1);
    bag wanted = rig_query(&r, "SELECT id, k FROM log", 1);
    bag_add(&wanted, "7|x", 1);
    bag_add(&wanted, "1|y", 1);
    bag_add(&wanted, "2|NULL", 1);
    assert_bags_equal(&got, &wanted, "union");
    bag_free(&got);
    bag_free(&wanted);
    rig_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_sort_and_cut_as_qsort_does),
        cmocka_unit_test(a_limit_takes_as_many_rows_as_it_says),
        cmocka_unit_test(a_view_refuses_an_order_without_a_limit),
        cmocka_unit_test(constant_rows_and_unions_come_whole),
        cmocka_unit_test(the_first_rows_of_a_changing_input_stay_exact),
        cmocka_unit_test(the_first_rows_of_an_input_that_grows_stay_exact),
        cmocka_unit_test(numbered_rows_per_partition_stay_exact),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
