// Power lost, or the process killed, at any write of random workloads: what was acknowledged is
// there, whole and in order, and the store works on. Each round is one crash, with a seed of its
// own. TARN_KV_ROUNDS=<n> makes more of them, TARN_KV_ENGINE=<name> runs one engine.
#include "tests/kv/kv_model.h"

enum { STEPS = 40, STATES = STEPS + 1 };

// The states of the model after each write that was tried, and what is known of them.
typedef struct history {
    model_state states[STATES];
    size_t count;        // of states; the last one may belong to a write that failed
    size_t durable;      // the store must hold this state, or a later one, after a power loss
    size_t acknowledged; // the same after the end of the process alone
    model_state copied;  // what the last acknowledged copy holds
    bool has_copy;
    bool is_family_change; // the step that failed changed which families there are
} history;

typedef struct crash_run {
    tarn_sim *sim;
    model_store store;
    history h;
    bool is_over; // a step failed
} crash_run;

static model_state *current(crash_run *r) {
    return &r->h.states[r->h.count - 1];
}

static model_state *push_state(crash_run *r) {
    tarn_assert(r->h.count < STATES);
    r->h.states[r->h.count] = r->h.states[r->h.count - 1];
    return &r->h.states[r->h.count++];
}

static void note_durable(crash_run *r) {
    r->h.acknowledged = r->h.count - 1;
    r->h.durable = r->h.count - 1;
}

static void step_write(crash_run *r) {
    model_batch batch = model_random_batch(&r->store, current(r), 4);
    bool is_synced = test_random_below(3) == 0;
    model_apply(push_state(r), &batch, r->store.backwards);
    tarn_kv_sync sync = is_synced ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER;
    tarn_status status = model_write(&r->store, &batch, sync, NULL);
    // A store into a mapped file does not fail when the power is gone; nobody is there to be told.
    r->is_over = status != TARN_OK || tarn_sim_has_crashed(r->sim);
    if (r->is_over) return;
    r->h.acknowledged = r->h.count - 1;
    if (is_synced) r->h.durable = r->h.count - 1;
}

// Families are durable at once, batches are not: the log is synced first, so that one order holds.
static void step_family(crash_run *r) {
    int f = 1 + (int)test_random_below(MODEL_FAMILIES - 1);
    bool needs_order = (r->store.backwards >> f & 1) != 0;
    if (r->store.limits.no_families || (needs_order && r->store.limits.no_comparators)) return;
    r->is_over = tarn_kv_sync_log(r->store.kv, NULL) != TARN_OK;
    if (r->is_over) return;
    note_durable(r);
    model_state *state = push_state(r);
    memset(state->values[f], 0, sizeof state->values[f]);
    state->exists[f] = !state->exists[f];
    r->h.is_family_change = true;
    tarn_status status = state->exists[f]
                             ? model_family_open(&r->store, f, NULL)
                             : tarn_kv_family_drop(r->store.kv, r->store.families[f], NULL);
    r->is_over = status != TARN_OK;
    if (r->is_over) return;
    r->h.is_family_change = false;
    note_durable(r);
}

static void step_copy(crash_run *r) {
    if (r->store.limits.no_checkpoint) return;
    r->h.has_copy = false;
    r->is_over = tarn_os_remove_tree(r->store.os, TARN_LIT("/copy"), NULL) != TARN_OK ||
                 tarn_os_sync_dir(r->store.os, TARN_LIT("/"), NULL) != TARN_OK ||
                 tarn_kv_checkpoint(r->store.kv, TARN_LIT("/copy"), NULL) != TARN_OK;
    if (r->is_over) return;
    r->h.has_copy = true;
    r->h.copied = *current(r);
}

static void step_upkeep(crash_run *r) {
    size_t kind = test_random_below(3);
    tarn_status status = TARN_OK;
    if (kind == 0) status = tarn_kv_flush(r->store.kv, NULL);
    if (kind == 1) {
        status = tarn_kv_compact(r->store.kv, NULL, (tarn_slice){0}, (tarn_slice){0}, NULL);
    }
    if (kind == 2) status = tarn_kv_sync_log(r->store.kv, NULL);
    r->is_over = status != TARN_OK;
    if (!r->is_over && kind == 2) note_durable(r);
}

static void step_reopen(crash_run *r) {
    tarn_status status = tarn_kv_close(r->store.kv, NULL);
    r->store.kv = NULL;
    r->is_over = status != TARN_OK;
    if (r->is_over) return;
    note_durable(r);
    bool exists[MODEL_FAMILIES];
    r->is_over = model_open(&r->store, exists, NULL) != TARN_OK;
}

static void workload(crash_run *r) {
    bool exists[MODEL_FAMILIES];
    r->is_over = model_open(&r->store, exists, NULL) != TARN_OK;
    for (int i = 0; i < STEPS && !r->is_over; i++) {
        size_t what = test_random_below(20);
        if (what < 14) {
            step_write(r);
        } else if (what < 16) {
            step_upkeep(r);
        } else if (what < 18) {
            step_family(r);
        } else if (what < 19) {
            step_copy(r);
        } else {
            step_reopen(r);
        }
    }
    (void)tarn_kv_close(r->store.kv, NULL); // the power is gone
    r->store.kv = NULL;
}

// ---- after the crash ----

static bool holds(const model_store *store, const bool *exists, const model_state *state) {
    for (int f = 0; f < MODEL_FAMILIES; f++) {
        if (exists[f] != state->exists[f]) return false;
        if (!exists[f]) continue;
        tarn_error err = {0};
        int differs = model_compare(store, f, state->values[f], NULL, &err);
        if (differs == -1) print_message("reading after the crash: %s\n", err.message);
        assert_int_not_equal(differs, -1);
        if (differs != MODEL_KEYS) return false;
    }
    return true;
}

// Which state of the history the store holds; fails when it is none that it may hold.
static size_t find_state(const crash_run *r, const bool *exists, size_t oldest) {
    // The default family exists from the first moment on.
    for (size_t i = r->h.count; i-- > oldest;) {
        if (holds(&r->store, exists, &r->h.states[i])) return i;
    }
    print_message("none of the states %zu to %zu\n", oldest, r->h.count - 1);
    for (size_t i = 0; i < oldest; i++) {
        if (holds(&r->store, exists, &r->h.states[i])) print_message("but state %zu\n", i);
    }
    fail_msg("what was acknowledged is not there");
    return 0;
}

static void check_copy(crash_run *r) {
    if (!r->h.has_copy) return;
    model_store copy = r->store;
    copy.directory = TARN_LIT("/copy");
    bool exists[MODEL_FAMILIES];
    tarn_error err = {0};
    model_expect_ok(model_open(&copy, exists, &err), &err);
    model_expect_state(&copy, &r->h.copied, NULL);
    model_expect_ok(tarn_kv_verify(copy.kv, &err), &err);
    model_expect_ok(tarn_kv_close(copy.kv, &err), &err);
}

// The store works on: writes are taken and survive an ordinary end.
static void check_works_on(crash_run *r, model_state *state) {
    tarn_error err = {0};
    for (int i = 0; i < 3; i++) {
        model_batch batch = model_random_batch(&r->store, state, 4);
        model_expect_ok(model_write(&r->store, &batch, TARN_KV_SYNC_ALWAYS, &err), &err);
        model_apply(state, &batch, r->store.backwards);
    }
    model_expect_ok(tarn_kv_close(r->store.kv, &err), &err);
    bool exists[MODEL_FAMILIES];
    model_expect_ok(model_open(&r->store, exists, &err), &err);
    assert_true(holds(&r->store, exists, state));
    model_expect_ok(tarn_kv_close(r->store.kv, &err), &err);
}

static void check_after(crash_run *r, size_t oldest) {
    bool exists[MODEL_FAMILIES];
    tarn_error err = {0};
    model_expect_ok(model_open(&r->store, exists, &err), &err);
    model_expect_ok(tarn_kv_verify(r->store.kv, &err), &err);
    size_t found = find_state(r, exists, oldest);
    model_state state = r->h.states[found];
    check_copy(r);
    check_works_on(r, &state);
}

static void end_power(tarn_sim *sim, size_t mode) {
    if (mode == 0) {
        tarn_sim_kill(sim);
    } else {
        tarn_sim_power_loss(sim, mode == 1   ? TARN_SIM_DROP
                                 : mode == 2 ? TARN_SIM_TEAR
                                             : TARN_SIM_REORDER);
    }
}

static void init_run(crash_run *r, tarn_sim *sim, tarn_kv_engine engine, model_limits limits) {
    memset(r, 0, sizeof *r);
    r->sim = sim;
    model_init_store(&r->store, tarn_sim_os(sim), engine, limits);
    r->h.states[0].exists[0] = true;
    r->h.count = 1;
}

// How many writes the workload of a seed makes, undisturbed.
static uint64_t count_writes(crash_run *r, uint64_t seed, tarn_kv_engine engine,
                             model_limits limits) {
    tarn_sim *sim = NULL;
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, seed, &sim, NULL), TARN_OK);
    init_run(r, sim, engine, limits);
    workload(r);
    assert_false(r->is_over);
    uint64_t writes = tarn_sim_write_count(sim);
    tarn_sim_free(sim);
    return writes;
}

static void crash_once(crash_run *r, uint64_t seed, uint64_t at, tarn_kv_engine engine,
                       model_limits limits) {
    tarn_sim *sim = NULL;
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, seed, &sim, NULL), TARN_OK);
    init_run(r, sim, engine, limits);
    tarn_sim_crash_at(sim, at);
    workload(r);
    test_random_state = tarn_hash_u64(seed + at); // not the same for all crashes of a workload
    size_t mode = test_random_below(4);
    end_power(sim, mode);
    size_t oldest = mode == 0 ? r->h.acknowledged : r->h.durable;
    // Recovery itself can be cut short, more than once.
    while (test_random_below(3) == 0) {
        tarn_sim_crash_at(sim, 1 + test_random_below(20));
        bool exists[MODEL_FAMILIES];
        if (model_open(&r->store, exists, NULL) == TARN_OK) {
            (void)tarn_kv_close(r->store.kv, NULL); // may be cut short, too
        }
        size_t again = test_random_below(4);
        end_power(sim, again);
        // What only a killed process left behind can go with the power.
        if (again != 0) oldest = r->h.durable;
    }
    check_after(r, oldest);
    assert_int_equal(tarn_sim_open_count(sim), 0);
    tarn_sim_free(sim);
}

enum { CRASHES_PER_SEED = 12 };

static void run_engine(tarn_kv_engine engine) {
    model_limits limits = model_find_limits(engine);
    model_filler_max = 60;
    crash_run *r = tarn_alloc_new(&tarn_alloc_libc, crash_run, 1);
    assert_non_null(r);
    size_t rounds = model_rounds(TARN_TUNABLE(12, 60));
    for (size_t round = 0; round < rounds; round += CRASHES_PER_SEED) {
        model_init_keys();
        uint64_t seed = test_random();
        uint64_t workload_seed = test_random_state;
        uint64_t writes = count_writes(r, seed, engine, limits);
        uint64_t next_seed = test_random_state;
        for (int i = 0; i < CRASHES_PER_SEED; i++) {
            uint64_t at = 1 + tarn_hash_u64(next_seed + (uint64_t)i) % writes;
            test_random_state = workload_seed; // the same workload, until the power goes
            crash_once(r, seed, at, engine, limits);
        }
        test_random_state = next_seed;
    }
    tarn_alloc_free(&tarn_alloc_libc, r, 1);
}

TEST(what_was_acknowledged_survives_a_crash_at_any_write) {
    model_for_each_engine(run_engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_a_crash_at_any_write),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
