#include "tests/op/rig.h"

// One run over windows with EMIT ON WINDOW CLOSE, and what it must give: computed row by row from
// the log, so nothing in it knows about chunks.
typedef struct window_case {
    const char *sql; // k, window_end, count(*), sum(n)
    int64_t size_us;
    int64_t slide_us;
} window_case;

#define SECOND ((int64_t)1000000)

static const window_case tumbling = {
    "CREATE MATERIALIZED VIEW v AS SELECT k, window_end, count(*), sum(n) "
    "FROM TUMBLE(events, at, INTERVAL '10 seconds') GROUP BY k, window_start, window_end "
    "EMIT ON WINDOW CLOSE",
    10 * SECOND, 10 * SECOND};
static const window_case hopping = {
    "CREATE MATERIALIZED VIEW v AS SELECT k, window_end, count(*), sum(n) "
    "FROM HOP(events, at, INTERVAL '4 seconds', INTERVAL '10 seconds') "
    "GROUP BY k, window_start, window_end EMIT ON WINDOW CLOSE",
    10 * SECOND, 4 * SECOND};

static int64_t floor_to(int64_t value, int64_t step) {
    int64_t remainder = value % step;
    return remainder < 0 ? value - remainder - step : value - remainder;
}

static int64_t watermark_now(const rig_relation *events) {
    if (events->ended) return INT64_MAX;
    return events->latest_us == TARN_NO_WATERMARK ? TARN_NO_WATERMARK
                                                  : events->latest_us - RIG_DELAY_US;
}

typedef struct model_group {
    bool null_key;
    int64_t key;
    int64_t end_us;
    int64_t count;
    int64_t sum;
    bool has_sum;
} model_group;

static void model_add(model_group *groups, size_t *count, const rig_row *row, int64_t end_us) {
    size_t at = 0;
    while (at < *count && (groups[at].end_us != end_us || groups[at].null_key != row->nulls[2] ||
                           (!row->nulls[2] && groups[at].key != row->values[2]))) {
        at++;
    }
    if (at == *count) {
        groups[(*count)++] =
            (model_group){.null_key = row->nulls[2], .key = row->values[2], .end_us = end_us};
    }
    groups[at].count++;
    if (row->nulls[3]) return;
    groups[at].has_sum = true;
    groups[at].sum += row->values[3];
}

// The rows of closed windows, and how often a row came too late for a window.
static bag model(const window_case *c, const rig_relation *events, uint64_t *ret_late) {
    model_group *groups = calloc(events->row_count * 4 + 1, sizeof *groups);
    size_t count = 0;
    *ret_late = 0;
    for (size_t i = 0; i < events->row_count; i++) {
        const rig_row *row = &events->rows[i];
        if (row->nulls[1]) continue;
        int64_t start = floor_to(row->values[1], c->slide_us);
        for (; start + c->size_us > row->values[1]; start -= c->slide_us) {
            int64_t end_us = start + c->size_us;
            if (row->watermark_us != TARN_NO_WATERMARK && end_us <= row->watermark_us) {
                ++*ret_late;
            } else {
                model_add(groups, &count, row, end_us);
            }
        }
    }
    bag wanted = {0};
    for (size_t i = 0; i < count; i++) {
        if (groups[i].end_us > watermark_now(events)) continue;
        tarn_error err = {0};
        tarn_buffer end = {0};
        tarn_value value = {.type = tarn_type_of(TARN_TYPE_TIMESTAMP), .i64 = groups[i].end_us};
        assert_int_equal(tarn_value_format(value, &end, &err), TARN_OK);
        char sum[32];
        char text[256];
        (void)snprintf(sum, sizeof sum, "%lld", (long long)groups[i].sum);
        (void)snprintf(text, sizeof text, "%s|%.*s|%lld|%s",
                       groups[i].null_key ? "NULL" : rig_pool[groups[i].key], (int)end.len,
                       (const char *)end.data, (long long)groups[i].count,
                       groups[i].has_sum ? sum : "NULL");
        bag_add(&wanted, text, 1);
        tarn_buffer_free(&end);
    }
    free(groups);
    return wanted;
}

static void check_run(rig_run *run, const window_case *c) {
    const rig_relation *events = &run->rig->relations[RIG_EVENTS];
    uint64_t late = 0;
    bag wanted = model(c, events, &late);
    assert_run_equals(run, &wanted, c->sql);
    assert_int_equal(tarn_op_late_rows(run->flow, TARN_LIT("view/v/")), late);
    assert_int_equal(tarn_op_late_rows(run->flow, TARN_LIT("view/other/")), 0);
    bag_free(&wanted);
}

static void check_stream(const window_case *c, size_t epochs, bool restarts) {
    rig r;
    rig_init(&r);
    rig_relation *events = &r.relations[RIG_EVENTS];
    rig_run run = {.rig = &r, .plan = rig_plan(&r, c->sql)};
    r.chunk_limit = 1 + test_random_below(40);
    rig_start(&run);
    for (size_t epoch = 0; epoch < epochs; epoch++) {
        rig_change(events, test_random_below(40));
        rig_let_in(&run);
        check_run(&run, c); // windows close without a barrier
        rig_barrier(&run, run.state_count == 0 || test_random_below(8) == 0);
        check_run(&run, c);
        if (restarts && test_random_below(4) == 0) {
            rig_stop(&run);
            rig_start(&run);
        }
    }
    events->ended = true;
    rig_drain(&run);
    check_run(&run, c);
    rig_run_free(&run);
    rig_free(&r);
}

TEST(closed_windows_are_emitted_once_and_late_rows_counted) {
    check_stream(&tumbling, 25, false);
    check_stream(&hopping, 25, false);
}

TEST(a_run_that_was_stopped_goes_on_as_if_it_had_not) {
    check_stream(&tumbling, 30, true);
    check_stream(&hopping, 30, true);
}

TEST(what_is_late_does_not_depend_on_chunks) {
    rig r;
    rig_init(&r);
    rig_change(&r.relations[RIG_EVENTS], 500);
    uint64_t late[3];
    for (size_t i = 0; i < 3; i++) {
        rig_run run = {.rig = &r, .plan = rig_plan(&r, tumbling.sql)};
        r.chunk_limit = i == 0 ? 1 : i == 1 ? 7 : 0;
        r.relations[RIG_EVENTS].allowed = 0;
        rig_start(&run);
        rig_allow_all(&r);
        rig_drain(&run);
        check_run(&run, &tumbling);
        late[i] = tarn_op_late_rows(run.flow, TARN_LIT("view/v/"));
        rig_run_free(&run);
    }
    assert_true(late[0] > 0);
    assert_int_equal(late[0], late[1]);
    assert_int_equal(late[0], late[2]);
    rig_free(&r);
}

TEST(windows_come_in_order_and_groups_by_key) {
    rig r;
    rig_init(&r);
    const char *sql =
        "CREATE MATERIALIZED VIEW v AS SELECT window_end, k, count(*) "
        "FROM TUMBLE(events, at, INTERVAL '10 seconds') GROUP BY window_end, k, window_start "
        "EMIT ON WINDOW CLOSE";
    rig_run run = {.rig = &r, .plan = rig_plan(&r, sql)};
    rig_start(&run);
    for (size_t i = 0; i < 20; i++) {
        rig_change(&r.relations[RIG_EVENTS], 30);
        rig_let_in(&run);
    }
    assert_true(run.emitted_rows > 50);
    for (size_t i = 1; i < run.emitted_rows; i++) {
        // ISO times of one century and keys compare as text; NULL comes first.
        const char *a = run.emitted[i - 1];
        const char *b = run.emitted[i];
        size_t end = (size_t)(strchr(a, '|') - a) + 1;
        int order = strncmp(a, b, end);
        if (order == 0) {
            size_t a_len = strcspn(a + end, "|");
            size_t b_len = strcspn(b + end, "|");
            bool a_null = strncmp(a + end, "NULL|", 5) == 0;
            order = a_null ? -1
                           : tarn_slice_compare((tarn_slice){(const uint8_t *)a + end, a_len},
                                                (tarn_slice){(const uint8_t *)b + end, b_len});
        }
        assert_true(order < 0);
    }
    rig_run_free(&run);
    rig_free(&r);
}

TEST(a_query_over_windows_takes_every_row) {
    rig r;
    rig_init(&r);
    rig_relation *events = &r.relations[RIG_EVENTS];
    rig_change(events, 200);
    for (size_t i = 0; i < events->row_count; i++) events->rows[i].watermark_us = TARN_NO_WATERMARK;
    events->ended = true;
    rig_allow_all(&r);
    uint64_t late = 0;
    bag wanted = model(&hopping, events, &late);
    bag got = rig_query(&r,
                        "SELECT k, window_end, count(*), sum(n) FROM HOP(events, at, "
                        "INTERVAL '4 seconds', INTERVAL '10 seconds') "
                        "GROUP BY k, window_start, window_end",
                        2);
    assert_bags_equal(&got, &wanted, "hop");
    bag_free(&got);
    bag_free(&wanted);
    rig_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_windows_are_emitted_once_and_late_rows_counted),
        cmocka_unit_test(a_run_that_was_stopped_goes_on_as_if_it_had_not),
        cmocka_unit_test(what_is_late_does_not_depend_on_chunks),
        cmocka_unit_test(windows_come_in_order_and_groups_by_key),
        cmocka_unit_test(a_query_over_windows_takes_every_row),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
