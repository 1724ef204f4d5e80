// The LSM-tree through kv.h, on a simulated machine: random operations against arrays, with
// flushes, compactions, snapshots, reopening and power losses in between.
#include <stdio.h>

#include "kv/kv.h"
#include "os/sim.h"
#include "tests/test.h"

static tarn_error err;

enum { KEYS = 120, VERSIONS_MAX = 4 };

// ---- the model: the value of each key, as a number; 0: none ----

typedef struct model {
    uint32_t values[KEYS];
} model;

typedef struct rig {
    tarn_sim *sim;
    tarn_os *os;
    tarn_kv *kv;
    model now;
    uint32_t next_value;
} rig;

static tarn_status append_operands(void *context, tarn_slice key, const tarn_slice *base,
                                   const tarn_slice *operands, size_t count, tarn_buffer *out,
                                   tarn_error *error) {
    (void)context;
    (void)key;
    (void)base; // the last operand replaces all, which is the simplest that shows the order
    if (!tarn_buffer_append(out, operands[count - 1])) {
        return tarn_fail(error, TARN_NO_MEMORY, "no memory");
    }
    return TARN_OK;
}

static const tarn_kv_merge_operator last_wins = {"last", append_operands, NULL};

static tarn_kv_options options_of(void) {
    return (tarn_kv_options){
        .engine = TARN_KV_LSM,
        .sync = TARN_KV_SYNC_NEVER,
        .log_limit_bytes = 1 << 20,
        .family = {.memtable_bytes = 8000,
                   .block_bytes = 256,
                   .merge = &last_wins,
                   .prefix_bytes = 8},
    };
}

static tarn_status open_store(rig *r) {
    tarn_kv_options options = options_of();
    return tarn_kv_open(r->os, TARN_LIT("/db"), &options, &r->kv, &err);
}

static void check(tarn_status status) {
    if (status != TARN_OK) print_message("%s\n", err.message);
    assert_int_equal(status, TARN_OK);
}

static tarn_slice key_of(size_t n, char text[32]) {
    int len = snprintf(text, 32, "key/%05zu", n);
    return (tarn_slice){(const uint8_t *)text, (size_t)len};
}

static size_t number_of(tarn_slice key) {
    size_t n = 0;
    for (size_t i = 4; i < key.len; i++) n = n * 10 + (size_t)(key.data[i] - '0');
    return n;
}

// Values are of several lengths, and tell their number.
static tarn_slice value_of(uint32_t n, uint8_t bytes[64]) {
    memset(bytes, (int)n, 64);
    tarn_store_u32(bytes, n);
    return (tarn_slice){bytes, 4 + n % 60};
}

static uint32_t number_in(tarn_slice value) {
    uint8_t bytes[64];
    uint32_t n = tarn_load_u32(value.data);
    assert_true(tarn_slice_equal(value, value_of(n, bytes)));
    return n;
}

// ---- random changes ----

static void change(rig *r, tarn_kv_batch *batch, model *m) {
    char text[32];
    char other[32];
    uint8_t bytes[64];
    size_t n = test_random_below(KEYS);
    tarn_slice key = key_of(n, text);
    switch (test_random_below(12)) {
    case 0: {
        size_t end = n + test_random_below(KEYS - n + 1);
        bool is_open = test_random_below(8) == 0;
        tarn_slice end_key = is_open ? (tarn_slice){NULL, 0} : key_of(end, other);
        check(tarn_kv_batch_delete_range(batch, NULL, key, end_key, &err));
        for (size_t i = n; i < (is_open ? KEYS : end); i++) m->values[i] = 0;
        break;
    }
    case 1:
    case 2:
    case 3:
        check(tarn_kv_batch_delete(batch, NULL, key, &err));
        m->values[n] = 0;
        break;
    case 4:
    case 5:
        m->values[n] = ++r->next_value;
        check(tarn_kv_batch_merge(batch, NULL, key, value_of(m->values[n], bytes), &err));
        break;
    default:
        m->values[n] = ++r->next_value;
        check(tarn_kv_batch_put(batch, NULL, key, value_of(m->values[n], bytes), &err));
        break;
    }
}

static tarn_status write_some(rig *r, tarn_kv_sync sync, model *ret_after) {
    tarn_kv_batch *batch = NULL;
    check(tarn_kv_batch_new(NULL, &batch, &err));
    *ret_after = r->now;
    for (size_t i = 1 + test_random_below(4); i > 0; i--) change(r, batch, ret_after);
    tarn_status status = tarn_kv_write(r->kv, batch, sync, &err);
    tarn_kv_batch_free(batch);
    return status;
}

// ---- comparing ----

static void compare_gets(rig *r, const model *m, const tarn_kv_snapshot *snapshot) {
    tarn_buffer value = {0};
    for (size_t i = 0; i < KEYS; i++) {
        char text[32];
        bool found = false;
        tarn_kv_read read = {.snapshot = snapshot};
        check(tarn_kv_get(r->kv, &read, key_of(i, text), &value, &found, &err));
        assert_int_equal(found, m->values[i] != 0);
        if (found) assert_int_equal(number_in(tarn_buffer_slice(&value)), m->values[i]);
    }
    tarn_buffer_free(&value);
}

static size_t step(const model *m, size_t from, int direction, size_t lower, size_t upper) {
    for (size_t i = from; i >= lower && i < upper; i += (size_t)direction) {
        if (m->values[i] != 0) return i;
    }
    return SIZE_MAX;
}

static void expect_at(tarn_kv_iterator *it, const model *m, size_t position) {
    assert_int_equal(tarn_kv_is_valid(it), position != SIZE_MAX);
    if (position == SIZE_MAX) return;
    assert_int_equal(number_of(tarn_kv_key(it)), position);
    assert_int_equal(number_in(tarn_kv_value(it)), m->values[position]);
}

// Seeks and turns around at random.
static void compare_iterator(rig *r, const model *m, const tarn_kv_snapshot *snapshot) {
    char lower_text[32];
    char upper_text[32];
    size_t lower = test_random_below(2) == 0 ? 0 : test_random_below(KEYS);
    size_t upper = test_random_below(2) == 0 ? KEYS : lower + test_random_below(KEYS - lower);
    compare_gets(r, m, snapshot);
    tarn_kv_iterator_options options = {.snapshot = snapshot};
    if (test_random_below(4) == 0) { // ten keys by their prefix
        lower -= lower % 10;
        upper = lower + 10;
        options.prefix = tarn_slice_head(key_of(lower, lower_text), 8);
    } else if (lower > 0) {
        options.lower = key_of(lower, lower_text);
    }
    if (options.prefix.len == 0 && upper < KEYS) options.upper = key_of(upper, upper_text);
    tarn_kv_iterator *it = NULL;
    check(tarn_kv_iterator_new(r->kv, &options, &it, &err));
    size_t position = SIZE_MAX;
    for (size_t moves = 60; moves > 0; moves--) {
        char text[32];
        size_t n = test_random_below(KEYS);
        size_t choice = test_random_below(position == SIZE_MAX ? 4 : 12);
        if (choice == 0) {
            check(tarn_kv_seek(it, key_of(n, text), &err));
            position = step(m, n < lower ? lower : n, 1, lower, upper);
        } else if (choice == 1) {
            check(tarn_kv_seek_for_prev(it, key_of(n, text), &err));
            position = upper == 0 ? SIZE_MAX : step(m, n < upper ? n : upper - 1, -1, lower, upper);
        } else if (choice == 2) {
            check(tarn_kv_seek_first(it, &err));
            position = step(m, lower, 1, lower, upper);
        } else if (choice == 3) {
            check(tarn_kv_seek_last(it, &err));
            position = upper == 0 ? SIZE_MAX : step(m, upper - 1, -1, lower, upper);
        } else if (choice < 8) {
            check(tarn_kv_next(it, &err));
            position = step(m, position + 1, 1, lower, upper);
        } else {
            check(tarn_kv_prev(it, &err));
            position = step(m, position - 1, -1, lower, upper);
        }
        expect_at(it, m, position);
    }
    tarn_kv_iterator_free(it);
}

// ---- tests ----

static void start(rig *r, uint64_t seed) {
    *r = (rig){0};
    check(tarn_sim_new(&tarn_alloc_libc, seed, &r->sim, &err));
    r->os = tarn_sim_os(r->sim);
    check(open_store(r));
}

static void stop(rig *r) {
    check(tarn_kv_close(r->kv, &err));
    assert_int_equal(tarn_sim_open_count(r->sim), 0);
    tarn_sim_free(r->sim);
}

TEST(random_operations_agree_with_the_model) {
    rig r;
    start(&r, test_random());
    tarn_kv_snapshot *snapshot = NULL;
    model frozen = {{0}};
    for (int round = 0; round < 4000; round++) {
        check(write_some(&r, TARN_KV_SYNC_NEVER, &r.now));
        switch (test_random_below(60)) {
        case 0: check(tarn_kv_flush(r.kv, &err)); break;
        case 1:
            check(tarn_kv_compact(r.kv, NULL, (tarn_slice){NULL, 0}, (tarn_slice){NULL, 0}, &err));
            break;
        case 2:
            tarn_kv_snapshot_free(snapshot);
            check(tarn_kv_snapshot_new(r.kv, &snapshot, &err));
            frozen = r.now;
            break;
        case 3:
            tarn_kv_snapshot_free(snapshot);
            snapshot = NULL;
            check(tarn_kv_close(r.kv, &err));
            check(open_store(&r));
            break;
        case 4: compare_gets(&r, &r.now, NULL); break;
        case 5: check(tarn_kv_verify(r.kv, &err)); break;
        case 6:
            if (snapshot != NULL) compare_gets(&r, &frozen, snapshot);
            if (snapshot != NULL) compare_iterator(&r, &frozen, snapshot);
            break;
        default:
            if (round % 10 == 0) compare_iterator(&r, &r.now, NULL);
            break;
        }
    }
    tarn_kv_snapshot_free(snapshot);
    compare_gets(&r, &r.now, NULL);
    check(write_some(&r, TARN_KV_SYNC_NEVER, &r.now));
    check(tarn_kv_compact(r.kv, NULL, (tarn_slice){NULL, 0}, (tarn_slice){NULL, 0}, &err));
    compare_gets(&r, &r.now, NULL);
    tarn_kv_statistics stats;
    check(tarn_kv_stats(r.kv, &stats, &err));
    assert_true(stats.compactions > 0);
    stop(&r);
}

// An iterator shows the moment it was made at, whatever is written, flushed and compacted later.
TEST(an_iterator_never_changes) {
    rig r;
    start(&r, 1);
    for (int i = 0; i < 300; i++) check(write_some(&r, TARN_KV_SYNC_NEVER, &r.now));
    model frozen = r.now;
    tarn_kv_iterator *it = NULL;
    check(tarn_kv_iterator_new(r.kv, NULL, &it, &err));
    check(tarn_kv_seek_first(it, &err));
    for (size_t i = step(&frozen, 0, 1, 0, KEYS); i != SIZE_MAX;
         i = step(&frozen, i + 1, 1, 0, KEYS)) {
        expect_at(it, &frozen, i);
        check(write_some(&r, TARN_KV_SYNC_NEVER, &r.now));
        if (i % 20 == 3) check(tarn_kv_compact(r.kv, NULL, (tarn_slice){0}, (tarn_slice){0}, &err));
        check(tarn_kv_next(it, &err));
    }
    assert_false(tarn_kv_is_valid(it));
    tarn_kv_iterator_free(it);
    stop(&r);
}

// The power goes at a random write. What was synced is there; what was not is there up to some
// batch, whole.
static void crash_once(uint64_t seed, tarn_sim_power_mode mode) {
    enum { HISTORY = 400 };
    static model history[HISTORY + 1];
    rig r;
    size_t synced = 0;
    size_t written = 0;
    r = (rig){0};
    check(tarn_sim_new(&tarn_alloc_libc, seed, &r.sim, &err));
    r.os = tarn_sim_os(r.sim);
    tarn_sim_crash_at(r.sim, 1 + test_random_below(600));
    history[0] = r.now;
    tarn_status status = open_store(&r);
    while (status == TARN_OK && written < HISTORY) {
        bool is_synced = test_random_below(8) == 0;
        status = write_some(&r, is_synced ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER,
                            &history[written + 1]);
        r.now = history[written + 1];
        written++; // also when it failed: it may be there
        if (status == TARN_OK && is_synced) synced = written;
        if (status == TARN_OK && test_random_below(40) == 0) status = tarn_kv_flush(r.kv, &err);
        if (status == TARN_OK && test_random_below(100) == 0) {
            status = tarn_kv_compact(r.kv, NULL, (tarn_slice){0}, (tarn_slice){0}, &err);
        }
    }
    (void)tarn_kv_close(r.kv, NULL);
    r.kv = NULL;
    tarn_sim_power_loss(r.sim, mode);
    check(open_store(&r));
    check(tarn_kv_verify(r.kv, &err));
    // Which batch was the last?
    model found = {{0}};
    tarn_kv_iterator *it = NULL;
    check(tarn_kv_iterator_new(r.kv, NULL, &it, &err));
    for (check(tarn_kv_seek_first(it, &err)); tarn_kv_is_valid(it); check(tarn_kv_next(it, &err))) {
        found.values[number_of(tarn_kv_key(it))] = number_in(tarn_kv_value(it));
    }
    tarn_kv_iterator_free(it);
    size_t last = synced;
    while (last <= written && memcmp(&history[last], &found, sizeof found) != 0) last++;
    if (last > written) print_message("seed %llu\n", (unsigned long long)seed);
    assert_in_range(last, synced, written);
    // And it goes on.
    r.now = found;
    r.next_value = 1000000;
    for (int i = 0; i < 30; i++) check(write_some(&r, TARN_KV_SYNC_NEVER, &r.now));
    compare_gets(&r, &r.now, NULL);
    check(tarn_kv_close(r.kv, &err));
    tarn_sim_free(r.sim);
}

TEST(a_power_loss_takes_only_what_was_not_synced) {
    static const tarn_sim_power_mode modes[] = {TARN_SIM_DROP, TARN_SIM_TEAR, TARN_SIM_REORDER};
    for (int i = 0; i < 60; i++) crash_once(test_random(), modes[i % 3]);
}

TEST(a_checkpoint_is_a_store) {
    rig r;
    start(&r, 5);
    for (int i = 0; i < 300; i++) check(write_some(&r, TARN_KV_SYNC_NEVER, &r.now));
    check(tarn_kv_checkpoint(r.kv, TARN_LIT("/copy"), &err));
    model frozen = r.now;
    for (int i = 0; i < 300; i++) check(write_some(&r, TARN_KV_SYNC_NEVER, &r.now));
    check(tarn_kv_compact(r.kv, NULL, (tarn_slice){0}, (tarn_slice){0}, &err));
    rig copy = r;
    tarn_kv_options options = options_of();
    check(tarn_kv_open(r.os, TARN_LIT("/copy"), &options, &copy.kv, &err));
    compare_gets(&copy, &frozen, NULL);
    copy.now = frozen;
    for (int i = 0; i < 30; i++) check(write_some(&copy, TARN_KV_SYNC_NEVER, &copy.now));
    compare_gets(&copy, &copy.now, NULL);
    compare_gets(&r, &r.now, NULL);
    check(tarn_kv_close(copy.kv, &err));
    stop(&r);
}

TEST(what_is_missing_is_refused_by_name) {
    rig r = {0};
    check(tarn_sim_new(&tarn_alloc_libc, 1, &r.sim, &err));
    tarn_kv_options options = {.engine = TARN_KV_LSM, .family = {.blob_bytes = 1000}};
    assert_int_equal(tarn_kv_open(tarn_sim_os(r.sim), TARN_LIT("/db"), &options, &r.kv, &err),
                     TARN_UNSUPPORTED);
    assert_non_null(strstr(err.message, "blob files"));
    tarn_sim_free(r.sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_the_model),
        cmocka_unit_test(an_iterator_never_changes),
        cmocka_unit_test(a_power_loss_takes_only_what_was_not_synced),
        cmocka_unit_test(a_checkpoint_is_a_store),
        cmocka_unit_test(what_is_missing_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
