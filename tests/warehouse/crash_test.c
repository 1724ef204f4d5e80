// A warehouse with views loses its power, or its process is killed, again and again, at any write.
//
// What was acknowledged is there; the statement that was running happened whole or not at all;
// views equal their queries over their inputs; epochs never go back; it always opens. Threads run,
// so that a seed replays the faults but not every interleaving.
#include "tests/warehouse/rig.h"

#define STEP_COUNT 14
#define KEY_COUNT  6

static const char source_csv[] = "at,kind,n\n"
                                 "2024-01-01 00:00:10,a,1\n"
                                 "2024-01-01 00:00:50,b,2\n"
                                 "2024-01-01 00:01:20,a,3\n"
                                 "2024-01-01 00:01:30,a,what\n"
                                 "2024-01-01 00:02:40,b,4\n"
                                 "2024-01-01 00:00:20,b,5\n" // late
                                 "2024-01-01 00:03:10,a,6\n"
                                 "2024-01-01 00:02:59,b,7\n"
                                 "not a time,b,8\n"
                                 "2024-01-01 00:05:00,a,9\n";

static const char *const definitions[] = {
    "CREATE TABLE IF NOT EXISTS log (batch bigint, n bigint)",
    "CREATE TABLE IF NOT EXISTS t (k bigint PRIMARY KEY, g text, v bigint)",
    "CREATE SOURCE IF NOT EXISTS s (at timestamp, kind text, n bigint, WATERMARK FOR at AS at - "
    "INTERVAL '30 seconds') WITH (connector = 'file', path = '/s.csv', format = 'csv', "
    "on_error = 'dead_letter')",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS by_g AS SELECT g, count(*) AS c, sum(v) AS v FROM t "
    "GROUP BY g",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS by_c AS SELECT c, count(*) AS groups FROM by_g GROUP "
    "BY "
    "c",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS joined AS SELECT log.batch, log.n, t.g FROM log JOIN t "
    "ON t.k = log.n",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS copy AS SELECT kind, n FROM s",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS minutes AS SELECT window_start, window_end, sum(n) AS "
    "total FROM TUMBLE(s, at, INTERVAL '1 minute') GROUP BY window_start, window_end EMIT ON "
    "WINDOW "
    "CLOSE",
};
enum { DEFINITION_COUNT = sizeof definitions / sizeof definitions[0] };

// Views and the queries that they must equal.
static const char *const exact[][2] = {
    {"SELECT * FROM by_g", "SELECT g, count(*), sum(v) FROM t GROUP BY g"},
    {"SELECT * FROM by_c",
     "SELECT c, count(*) FROM (SELECT g, count(*) AS c FROM t GROUP BY g) AS x GROUP BY c"},
    {"SELECT * FROM joined", "SELECT log.batch, log.n, t.g FROM log JOIN t ON t.k = log.n"},
    {"SELECT * FROM copy",
     "SELECT * FROM (VALUES ('a', 1), ('b', 2), ('a', 3), ('b', 4), ('b', 5), ('a', 6), ('b', 7), "
     "('a', 9)) AS x(kind, n)"},
    {"SELECT window_start, total FROM minutes",
     "SELECT x.w::timestamp, x.n FROM (VALUES ('2024-01-01 00:00:00', 3), ('2024-01-01 00:01:00', "
     "3), ('2024-01-01 00:02:00', 11), ('2024-01-01 00:03:00', 6), ('2024-01-01 00:05:00', 9)) AS "
     "x(w, n)"},
};

typedef struct crash_run {
    rig r;
    uint64_t random;
    size_t defined;          // definitions that were acknowledged
    size_t step;             // steps that were acknowledged
    bool in_doubt;           // the step after them may have happened
    int64_t keys[KEY_COUNT]; // t's rows: the step that wrote the key last; -1: none
    uint64_t epoch;          // acknowledged by a FLUSH
} crash_run;

static uint64_t next_random(crash_run *c) {
    uint64_t z = c->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    return z ^ z >> 29;
}

// The keys that a step writes.
static size_t key_of(size_t step, size_t i) {
    return (step * 5 + i * 2 + 1) % KEY_COUNT;
}

static const char *group_of(size_t step, size_t key) {
    static const char *const groups[] = {"'x'", "'y'", "NULL"};
    return groups[(step + key) % 3];
}

static tarn_status run_step(crash_run *c, size_t step) {
    if (step % 3 == 2) return run(&c->r, "FLUSH");
    if (step % 3 == 1) {
        return run(&c->r, "INSERT INTO log VALUES (%zu, 0), (%zu, %zu), (%zu, 3)", step, step,
                   step % KEY_COUNT, step);
    }
    size_t a = key_of(step, 0);
    size_t b = key_of(step, 1);
    return run(&c->r, "INSERT INTO t VALUES (%zu, %s, %zu), (%zu, %s, %zu)", a, group_of(step, a),
               step, b, group_of(step, b), step);
}

static void note_step(int64_t *keys, size_t step) {
    if (step % 3 != 0) return;
    for (size_t i = 0; i < 2; i++) keys[key_of(step, i)] = (int64_t)step;
}

// Runs on until a statement fails or all is done.
static void work(crash_run *c) {
    for (; c->defined < DEFINITION_COUNT; c->defined++) {
        if (run(&c->r, "%s", definitions[c->defined]) != TARN_OK) return;
    }
    for (; c->step < STEP_COUNT; c->step++) {
        c->in_doubt = true;
        if (run_step(c, c->step) != TARN_OK) return;
        c->in_doubt = false;
        note_step(c->keys, c->step);
    }
}

static void format_keys(const int64_t *keys, char *text, size_t size) {
    text[0] = '\0';
    for (size_t k = 0; k < KEY_COUNT; k++) {
        if (keys[k] < 0) continue;
        size_t len = strlen(text);
        (void)snprintf(text + len, size - len, "%zu|%lld\n", k, (long long)keys[k]);
    }
}

static void check_table(crash_run *c) {
    char without[256];
    char with[256];
    int64_t keys[KEY_COUNT];
    memcpy(keys, c->keys, sizeof keys);
    format_keys(keys, without, sizeof without);
    note_step(keys, c->step);
    format_keys(keys, with, sizeof with);
    ok(&c->r, "SELECT k, v FROM t");
    const char *got = rig_rows(&c->r);
    bool happened = c->in_doubt && strcmp(got, with) == 0;
    if (!happened && strcmp(got, without) != 0) {
        print_error("t holds\n%sexpected\n%s%s%s", got, without, c->in_doubt ? "or\n" : "",
                    c->in_doubt ? with : "");
        fail();
    }
    if (happened) note_step(c->keys, c->step);
}

// Whether log holds the batches of all steps before `end`, each whole.
static bool log_is(crash_run *c, size_t end) {
    char line[64];
    tarn_buffer expected = {0};
    for (size_t step = 1; step < end; step += 3) {
        (void)snprintf(line, sizeof line, "%zu|3\n", step);
        assert_true(tarn_buffer_append(&expected, tarn_slice_from_cstr(line)));
    }
    rig_sort_rows(&expected);
    bool same = tarn_slice_equal(tarn_buffer_slice(&expected), tarn_buffer_slice(&c->r.rows));
    tarn_buffer_free(&expected);
    return same;
}

static void check_log(crash_run *c) {
    ok(&c->r, "SELECT batch, count(*) FROM log GROUP BY batch");
    if (log_is(c, c->step)) return;
    if (!c->in_doubt || !log_is(c, c->step + 1)) {
        print_error("after %zu steps log holds\n%s", c->step, rig_rows(&c->r));
        fail();
    }
    c->step++; // it happened: not again
    c->in_doubt = false;
}

static void check_views(crash_run *c) {
    ok(&c->r, "FLUSH");
    if (c->defined == DEFINITION_COUNT) {
        for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
            assert_same_rows(&c->r, exact[i][0], exact[i][1]);
        }
        assert_rows(&c->r, "10|1\n5|1\n", "SELECT line, count(*) FROM s_dead_letter GROUP BY line");
    }
    ok(&c->r, "SELECT coalesce(max(epoch), 0) FROM tarn.jobs");
    uint64_t epoch = strtoull(rig_rows(&c->r), NULL, 10);
    assert_true(epoch >= c->epoch);
    c->epoch = epoch;
}

static void end_machine(crash_run *c) {
    uint64_t how = next_random(c) % 4;
    if (how == 3) {
        tarn_sim_kill(c->r.sim);
    } else {
        tarn_sim_power_loss(c->r.sim, (tarn_sim_power_mode)how);
    }
}

static void begin_run(crash_run *c, uint64_t seed) {
    *c = (crash_run){.r = rig_sim(seed), .random = seed};
    for (size_t k = 0; k < KEY_COUNT; k++) c->keys[k] = -1;
    rig_write(&c->r, "/s.csv", source_csv);
}

// How many writes a run has that nothing disturbs.
static uint64_t count_writes(void) {
    crash_run c;
    begin_run(&c, 1);
    rig_open(&c.r);
    work(&c);
    assert_int_equal(c.step, STEP_COUNT);
    check_views(&c);
    rig_close(&c.r);
    uint64_t writes = tarn_sim_write_count(c.r.sim);
    rig_free(&c.r);
    return writes;
}

static void crash_until_done(uint64_t seed, uint64_t writes) {
    crash_run c;
    begin_run(&c, seed);
    for (size_t crash = 0;; crash++) {
        // The later crashes come soon, to hit the recovery.
        uint64_t range = crash % 2 == 0 ? writes : 40;
        if (crash < 5) tarn_sim_crash_at(c.r.sim, 1 + next_random(&c) % range);
        bool opened = rig_try_open(&c.r) == TARN_OK;
        if (!opened) {
            if (!tarn_sim_has_crashed(c.r.sim)) print_error("open: %s\n", c.r.err.message);
            assert_true(tarn_sim_has_crashed(c.r.sim));
        } else {
            work(&c);
        }
        rig_close(&c.r);
        if (!tarn_sim_has_crashed(c.r.sim)) break;
        end_machine(&c);
        rig_open(&c.r);
        if (c.defined >= 2) {
            check_table(&c);
            check_log(&c);
        }
        check_views(&c);
        rig_close(&c.r);
        end_machine(&c); // all that was acknowledged or read is durable
    }
    tarn_sim_crash_at(c.r.sim, 0);
    rig_open(&c.r);
    assert_int_equal(c.step, STEP_COUNT);
    c.in_doubt = false;
    check_table(&c);
    check_log(&c);
    check_views(&c);
    rig_free(&c.r);
}

TEST(a_warehouse_survives_crashes_at_any_write) {
    uint64_t writes = count_writes();
    const char *rounds_text = getenv("TARN_TEST_ROUNDS");
    size_t rounds = rounds_text == NULL ? 12 : strtoull(rounds_text, NULL, 10);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t seed = i == 0 ? test_random_state : test_random();
        print_message("crashes with TARN_TEST_SEED=%llu, %llu writes\n", (unsigned long long)seed,
                      (unsigned long long)writes);
        crash_until_done(seed, writes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warehouse_survives_crashes_at_any_write),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
