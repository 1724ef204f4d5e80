// Random operations on every engine agree with a sorted array.
// TARN_KV_ROUNDS=<n> makes more of them, TARN_KV_ENGINE=<name> runs one engine.
#include "tests/kv/kv_model.h"

enum { SNAPSHOTS = 3 };

typedef struct run {
    model_store store;
    model_state state;
    tarn_kv_snapshot *snapshots[SNAPSHOTS];
    model_state snapshot_states[SNAPSHOTS];
    unsigned copies;
} run;

static void free_snapshots(run *r) {
    for (int i = 0; i < SNAPSHOTS; i++) {
        tarn_kv_snapshot_free(r->snapshots[i]);
        r->snapshots[i] = NULL;
    }
}

static void reopen(run *r) {
    free_snapshots(r);
    tarn_error err = {0};
    if (r->store.kv != NULL) model_expect_ok(tarn_kv_close(r->store.kv, &err), &err);
    bool exists[MODEL_FAMILIES];
    model_expect_ok(model_open(&r->store, exists, &err), &err);
    for (int f = 0; f < MODEL_FAMILIES; f++) assert_int_equal(exists[f], r->state.exists[f]);
}

static void do_write(run *r) {
    tarn_error err = {0};
    model_batch batch = model_random_batch(&r->store, &r->state, MODEL_BATCH_MAX);
    tarn_kv_sync sync = test_random_below(10) == 0 ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER;
    model_expect_ok(model_write(&r->store, &batch, sync, &err), &err);
    model_apply(&r->state, &batch, r->store.backwards);
}

static void do_snapshot(run *r) {
    if (r->store.limits.no_snapshots) return;
    size_t i = test_random_below(SNAPSHOTS);
    if (r->snapshots[i] != NULL) {
        model_expect_state(&r->store, &r->snapshot_states[i], r->snapshots[i]);
        tarn_kv_snapshot_free(r->snapshots[i]);
        r->snapshots[i] = NULL;
        return;
    }
    tarn_error err = {0};
    model_expect_ok(tarn_kv_snapshot_new(r->store.kv, &r->snapshots[i], &err), &err);
    r->snapshot_states[i] = r->state;
}

static void do_family(run *r) {
    int f = 1 + (int)test_random_below(MODEL_FAMILIES - 1);
    bool needs_order = (r->store.backwards >> f & 1) != 0;
    if (r->store.limits.no_families || (needs_order && r->store.limits.no_comparators)) return;
    tarn_error err = {0};
    if (!r->state.exists[f]) {
        model_expect_ok(model_family_open(&r->store, f, &err), &err);
        memset(r->state.values[f], 0, sizeof r->state.values[f]);
    } else {
        model_expect_ok(tarn_kv_family_drop(r->store.kv, r->store.families[f], &err), &err);
        r->store.families[f] = NULL;
        // Snapshots cannot be asked for it any more: its handle is gone.
        for (int i = 0; i < SNAPSHOTS; i++) r->snapshot_states[i].exists[f] = false;
    }
    r->state.exists[f] = !r->state.exists[f];
    for (int i = 0; i < SNAPSHOTS; i++) {
        if (!r->state.exists[f]) r->snapshot_states[i].exists[f] = false;
    }
}

// ---- iterators ----

typedef struct walk {
    const run *r;
    const model_value *values;
    tarn_kv_iterator *iterator;
    tarn_kv_iterator_options options;
    int family;
    int position; // in the order of keys; -1: nowhere
} walk;

static int order(const walk *w, tarn_slice a, tarn_slice b) {
    int result = tarn_slice_compare(a, b);
    return w->r->store.backwards >> w->family & 1 ? -result : result;
}

static tarn_slice key_at(const walk *w, int position) {
    return model_keys[model_key_at(&w->r->store, w->family, position)];
}

static bool shows(const walk *w, int position) {
    if (position < 0 || position >= MODEL_KEYS) return false;
    tarn_slice key = key_at(w, position);
    if (w->values[model_key_at(&w->r->store, w->family, position)].count == 0) return false;
    if (w->options.lower.len > 0 && order(w, key, w->options.lower) < 0) return false;
    if (w->options.upper.len > 0 && order(w, key, w->options.upper) >= 0) return false;
    return tarn_slice_starts_with(key, w->options.prefix);
}

static void expect_position(walk *w, int begin, int step) {
    int p = begin;
    while (p >= 0 && p < MODEL_KEYS && !shows(w, p)) p += step;
    w->position = p >= 0 && p < MODEL_KEYS ? p : -1;
    assert_int_equal(tarn_kv_is_valid(w->iterator), w->position >= 0);
    if (w->position < 0) return;
    tarn_slice key = key_at(w, w->position);
    assert_true(tarn_slice_equal(tarn_kv_key(w->iterator), key));
    const model_value *value = &w->values[model_key_at(&w->r->store, w->family, w->position)];
    if (w->options.keys_only) {
        assert_int_equal(tarn_kv_value(w->iterator).len, 0);
    } else {
        assert_true(model_value_is(value, tarn_kv_value(w->iterator)));
    }
}

static int first_not_before(const walk *w, tarn_slice key) {
    int p = 0;
    while (p < MODEL_KEYS && order(w, key_at(w, p), key) < 0) p++;
    return p;
}

static int last_not_behind(const walk *w, tarn_slice key) {
    int p = MODEL_KEYS - 1;
    while (p >= 0 && order(w, key_at(w, p), key) > 0) p--;
    return p;
}

static void move_once(walk *w) {
    tarn_error err = {0};
    size_t move = test_random_below(12);
    tarn_slice key = model_keys[test_random_below(MODEL_KEYS)];
    key = tarn_slice_head(key, 1 + test_random_below(key.len));
    if (w->position >= 0 && move < 5) {
        model_expect_ok(tarn_kv_next(w->iterator, &err), &err);
        expect_position(w, w->position + 1, 1);
    } else if (w->position >= 0 && move < 9) {
        model_expect_ok(tarn_kv_prev(w->iterator, &err), &err);
        expect_position(w, w->position - 1, -1);
    } else if (move % 4 == 0) {
        model_expect_ok(tarn_kv_seek_first(w->iterator, &err), &err);
        expect_position(w, 0, 1);
    } else if (move % 4 == 1) {
        model_expect_ok(tarn_kv_seek_last(w->iterator, &err), &err);
        expect_position(w, MODEL_KEYS - 1, -1);
    } else if (move % 4 == 2) {
        model_expect_ok(tarn_kv_seek(w->iterator, key, &err), &err);
        expect_position(w, first_not_before(w, key), 1);
    } else {
        model_expect_ok(tarn_kv_seek_for_prev(w->iterator, key, &err), &err);
        expect_position(w, last_not_behind(w, key), -1);
    }
}

static tarn_slice random_bound(void) {
    if (test_random_below(2) == 0) return (tarn_slice){0};
    tarn_slice key = model_keys[test_random_below(MODEL_KEYS)];
    return tarn_slice_head(key, 1 + test_random_below(key.len));
}

static void do_walk(run *r) {
    if (r->store.limits.no_iterators) return;
    walk w = {.r = r, .position = -1};
    do {
        w.family = (int)test_random_below(MODEL_FAMILIES);
    } while (!r->state.exists[w.family]);
    size_t s = test_random_below(SNAPSHOTS);
    bool in_snapshot = r->snapshots[s] != NULL && r->snapshot_states[s].exists[w.family];
    // Later writes must not show: the walk compares with a copy.
    model_state seen = in_snapshot ? r->snapshot_states[s] : r->state;
    w.values = seen.values[w.family];
    w.options = (tarn_kv_iterator_options){
        .family = r->store.families[w.family],
        .snapshot = in_snapshot ? r->snapshots[s] : NULL,
        .lower = random_bound(),
        .upper = random_bound(),
        .keys_only = test_random_below(4) == 0,
    };
    bool is_backwards = (r->store.backwards >> w.family & 1) != 0;
    if (!is_backwards && test_random_below(3) == 0) w.options.prefix = random_bound();
    tarn_error err = {0};
    model_expect_ok(tarn_kv_iterator_new(r->store.kv, &w.options, &w.iterator, &err), &err);
    size_t moves = 1 + test_random_below(60);
    for (size_t i = 0; i < moves; i++) {
        if (test_random_below(6) == 0) do_write(r);
        if (test_random_below(60) == 0) model_expect_ok(tarn_kv_flush(r->store.kv, &err), &err);
        move_once(&w);
    }
    tarn_kv_iterator_free(w.iterator);
}

// ---- the rest ----

static void do_multi_get(run *r) {
    enum { COUNT = 10 };
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_slice keys[COUNT];
    size_t indexes[COUNT];
    tarn_kv_answer answers[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        indexes[i] = test_random_below(MODEL_KEYS);
        keys[i] = model_keys[indexes[i]];
    }
    tarn_error err = {0};
    tarn_status status = tarn_kv_multi_get(r->store.kv, NULL, keys, COUNT, &arena, answers, &err);
    if (status != TARN_UNSUPPORTED) {
        model_expect_ok(status, &err);
        for (size_t i = 0; i < COUNT; i++) {
            const model_value *value = &r->state.values[0][indexes[i]];
            assert_int_equal(answers[i].found, value->count > 0);
            if (answers[i].found) assert_true(model_value_is(value, answers[i].value));
        }
    }
    tarn_arena_reset(&arena);
}

static void do_copy(run *r) {
    if (r->store.limits.no_checkpoint) return;
    char name[32];
    int len = snprintf(name, sizeof name, "/copy-%u", r->copies++);
    model_store copy = r->store;
    copy.directory = (tarn_slice){(const uint8_t *)name, (size_t)len};
    tarn_error err = {0};
    model_expect_ok(tarn_kv_checkpoint(r->store.kv, copy.directory, &err), &err);
    assert_int_equal(tarn_kv_checkpoint(r->store.kv, copy.directory, &err), TARN_CONFLICT);
    bool exists[MODEL_FAMILIES];
    model_expect_ok(model_open(&copy, exists, &err), &err);
    for (int f = 0; f < MODEL_FAMILIES; f++) assert_int_equal(exists[f], r->state.exists[f]);
    model_expect_state(&copy, &r->state, NULL);
    model_expect_ok(tarn_kv_verify(copy.kv, &err), &err);
    model_expect_ok(tarn_kv_close(copy.kv, &err), &err);
    model_expect_ok(tarn_os_remove_tree(r->store.os, copy.directory, &err), &err);
}

static void do_upkeep(run *r) {
    tarn_error err = {0};
    size_t kind = test_random_below(4);
    tarn_status status = TARN_OK;
    if (kind == 0) status = tarn_kv_flush(r->store.kv, &err);
    if (kind == 1) {
        status = tarn_kv_compact(r->store.kv, NULL, random_bound(), (tarn_slice){0}, &err);
    }
    if (kind == 2) status = tarn_kv_verify(r->store.kv, &err);
    if (kind == 3) status = tarn_kv_sync_log(r->store.kv, &err);
    model_expect_ok(status, &err);
}

static void check_stats(run *r) {
    tarn_kv_statistics stats = {0};
    tarn_error err = {0};
    model_expect_ok(tarn_kv_stats(r->store.kv, &stats, &err), &err);
    uint64_t keys = 0;
    for (int f = 0; f < MODEL_FAMILIES; f++) {
        for (int k = 0; r->state.exists[f] && k < MODEL_KEYS; k++) {
            keys += r->state.values[f][k].count > 0 ? 1 : 0;
        }
    }
    tarn_kv_engine engine = tarn_kv_engine_of(r->store.kv);
    // The hash log may still count what dropped families had.
    if (engine == TARN_KV_HASHLOG) assert_true(stats.key_count >= keys);
    if (engine == TARN_KV_BTREE || engine == TARN_KV_MEM) assert_int_equal(stats.key_count, keys);
}

static void step(run *r) {
    size_t what = test_random_below(100);
    if (what < 60) {
        do_write(r);
    } else if (what < 70) {
        do_walk(r);
    } else if (what < 78) {
        do_multi_get(r);
    } else if (what < 86) {
        do_snapshot(r);
    } else if (what < 90) {
        do_upkeep(r);
    } else if (what < 93) {
        do_family(r);
    } else if (what < 95) {
        model_expect_state(&r->store, &r->state, NULL);
    } else if (what < 96) {
        do_copy(r);
    } else if (what < 97) {
        reopen(r);
    } else {
        check_stats(r);
    }
}

static void run_engine(tarn_kv_engine engine) {
    model_limits limits = model_find_limits(engine);
    size_t rounds = model_rounds(2);
    for (size_t round = 0; round < rounds; round++) {
        model_init_keys();
        model_filler_max = test_random_below(3) == 0 ? 3000 : 100;
        tarn_sim *sim = NULL;
        assert_int_equal(tarn_sim_new(&tarn_alloc_libc, test_random(), &sim, NULL), TARN_OK);
        run *r = tarn_alloc_new(&tarn_alloc_libc, run, 1);
        assert_non_null(r);
        model_init_store(&r->store, tarn_sim_os(sim), engine, limits);
        r->state.exists[0] = true;
        reopen(r);
        for (int i = 0; i < 500; i++) step(r);
        reopen(r);
        model_expect_state(&r->store, &r->state, NULL);
        tarn_error err = {0};
        model_expect_ok(tarn_kv_verify(r->store.kv, &err), &err);
        model_expect_ok(tarn_kv_close(r->store.kv, &err), &err);
        assert_int_equal(tarn_sim_open_count(sim), 0);
        tarn_alloc_free(&tarn_alloc_libc, r, 1);
        tarn_sim_free(sim);
    }
}

TEST(random_operations_agree_with_a_sorted_array) {
    model_for_each_engine(run_engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_a_sorted_array),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
