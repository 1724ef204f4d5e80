// Every allocation fails once: each run reports it and gives all memory back, and the same run with
// memory is right.
#include "tests/op/rig.h"

typedef struct failing_alloc {
    tarn_alloc alloc;
    uint64_t calls;
    uint64_t fail_at; // 0: never
    int64_t held_bytes;
} failing_alloc;

static void *acquire_or_fail(void *context, size_t size_bytes) {
    failing_alloc *failing = context;
    if (++failing->calls == failing->fail_at) return NULL;
    void *memory = tarn_alloc_libc.acquire(NULL, size_bytes);
    failing->held_bytes += (int64_t)size_bytes;
    return memory;
}

static void release(void *context, void *memory, size_t size_bytes) {
    failing_alloc *failing = context;
    if (memory == NULL) return;
    failing->held_bytes -= (int64_t)size_bytes;
    tarn_alloc_libc.release(NULL, memory, size_bytes);
}

// Steps a stream until it has caught up and passed a barrier, or failed.
static tarn_status run_epoch(rig_run *run, tarn_error *err) {
    bool accepted = false;
    run->complete = false;
    for (bool requested = false; !run->complete;) {
        bool progressed = false;
        TARN_TRY(tarn_flow_step(run->flow, &progressed, err));
        if (progressed) continue;
        tarn_sim_advance_us(run->rig->sim, 20000);
        if (requested || !rig_caught_up(run) || !tarn_flow_is_drained(run->flow)) continue;
        run->epoch++;
        TARN_TRY(tarn_flow_request_barrier(run->flow, run->epoch, run->epoch == 1, &accepted, err));
        requested = accepted;
    }
    return TARN_OK;
}

static tarn_status run_stream(rig_run *run, tarn_error *err) {
    TARN_TRY(rig_build(run, err));
    if (run->state_count > 0) {
        tarn_slice states[64];
        for (size_t i = 0; i < run->state_count; i++) {
            states[i] = tarn_buffer_slice(&run->states[i]);
        }
        TARN_TRY(tarn_flow_restore(run->flow, states, run->state_count, err));
    }
    TARN_TRY(tarn_flow_start(run->flow, err));
    // Half of what is there in a first epoch, the rest in a second.
    for (size_t i = 0; i < RIG_RELATIONS && run->state_count == 0; i++) {
        run->rig->relations[i].allowed = run->rig->relations[i].row_count / 2;
    }
    TARN_TRY(run_epoch(run, err));
    rig_allow_all(run->rig);
    return run_epoch(run, err);
}

static tarn_status run_batch(rig_run *run, tarn_error *err) {
    run->is_batch = true;
    TARN_TRY(rig_build(run, err));
    TARN_TRY(tarn_flow_start(run->flow, err));
    return tarn_flow_wait(run->flow, err);
}

static void check_faults_of(const char *sql, bool is_batch, size_t part_count) {
    rig r;
    rig_init(&r);
    r.chunk_limit = 16;
    for (size_t i = 0; i < RIG_RELATIONS; i++) rig_change(&r.relations[i], 40);
    rig_allow_all(&r);
    bag wanted = rig_query(&r, sql, 1);
    const tarn_plan *plan = rig_plan(&r, sql);
    failing_alloc failing = {
        .alloc = {.acquire = acquire_or_fail, .release = release, .context = &failing}};
    tarn_status status = TARN_NO_MEMORY;
    for (uint64_t fail_at = 1; status != TARN_OK;
         fail_at += 1 + test_random_below(fail_at / 20 + 1)) {
        failing.calls = 0;
        failing.fail_at = fail_at;
        r.alloc = &failing.alloc;
        rig_run run = {.rig = &r, .plan = plan, .part_count = part_count};
        tarn_error err = {0};
        status = is_batch ? run_batch(&run, &err) : run_stream(&run, &err);
        if (status == TARN_OK) {
            assert_run_equals(&run, &wanted, sql);
        } else {
            assert_int_equal(status, TARN_NO_MEMORY);
            assert_true(err.message[0] != 0);
        }
        tarn_flow_free(run.flow);
        run.flow = NULL;
        rig_run_free(&run);
        assert_int_equal(failing.held_bytes, 0);
        r.alloc = &tarn_alloc_libc;
    }
    bag_free(&wanted);
    rig_free(&r);
}

static void check_faults(const char *sql, bool is_batch) {
    check_faults_of(sql, is_batch, 1);
}

TEST(a_shared_merge_survives_every_failing_allocation) {
    check_faults_of("SELECT k, n, count(*), sum(v), max(k) FROM events GROUP BY k, n", true, 3);
    check_faults_of("SELECT k, count(DISTINCT n), min(k), avg(v) FROM events GROUP BY k", true, 2);
    check_faults_of("SELECT count(DISTINCT k), max(k) FROM events WHERE n < 0", true, 4);
    check_faults_of("SELECT count(*) FROM (SELECT k, n FROM log GROUP BY k, n LIMIT 3) x", true, 4);
}

TEST(queries_survive_every_failing_allocation) {
    check_faults("SELECT k, n, count(*), sum(v), max(k) FROM events GROUP BY k, n", true);
    check_faults("SELECT f.id, d.name FROM facts f LEFT JOIN dims d ON f.k = d.k AND f.n < d.n",
                 true);
    check_faults("SELECT id, k FROM log WHERE n > 0 ORDER BY k, id", true);
    check_faults("SELECT id, k FROM log ORDER BY n, id LIMIT 7", true);
    check_faults("SELECT k FROM log UNION ALL VALUES ('x'), ('y')", true);
}

TEST(streams_survive_every_failing_allocation) {
    check_faults("SELECT k, n, count(*), sum(amount), max(id) FROM facts GROUP BY k, n", false);
    check_faults("SELECT e.id, d.name FROM events e LEFT JOIN dims d ON e.k = d.k", false);
    check_faults("SELECT f.id, d.name FROM facts f JOIN dims d ON f.k = d.k AND f.n < d.n", false);
    check_faults("SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY k ORDER BY n, id) AS r "
                 "FROM facts) x WHERE r <= 2",
                 false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_survive_every_failing_allocation),
        cmocka_unit_test(a_shared_merge_survives_every_failing_allocation),
        cmocka_unit_test(streams_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
