// Every call to the disk and every allocation of a workload fails once: it is reported, nothing
// leaks, what was acknowledged is there when the store is opened again, and the store goes on.
#include <stdio.h>

#include "kv/kv.h"
#include "os/sim.h"
#include "tests/test.h"

static tarn_error err;

enum { BATCHES = 40, KEYS = 12 };

typedef struct rig {
    tarn_sim *sim;
    tarn_alloc alloc;
    size_t allocations;     // so far
    size_t fail_allocation; // which one fails; 0: none
    size_t acknowledged;    // batches
    size_t begun;
} rig;

static void *acquire(void *context, size_t size_bytes) {
    rig *r = context;
    r->allocations++;
    if (r->allocations == r->fail_allocation) return NULL;
    return tarn_alloc_libc.acquire(tarn_alloc_libc.context, size_bytes);
}

static void release(void *context, void *memory, size_t size_bytes) {
    (void)context;
    tarn_alloc_libc.release(tarn_alloc_libc.context, memory, size_bytes);
}

static void start(rig *r) {
    *r = (rig){.alloc = {acquire, release, r}};
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, 7, &r->sim, &err), TARN_OK);
}

static tarn_status open_store(rig *r, tarn_kv **ret_kv) {
    tarn_kv_options options = {
        .engine = TARN_KV_LSM,
        .alloc = &r->alloc,
        .sync = TARN_KV_SYNC_ALWAYS,
        .log_limit_bytes = 1 << 20,
        .family = {.memtable_bytes = 4000, .block_bytes = 128, .codec = TARN_CODEC_LZ4},
    };
    return tarn_kv_open(tarn_sim_os(r->sim), TARN_LIT("/db"), &options, ret_kv, &err);
}

// Batch i (from 1) sets two keys to i, and from time to time deletes a range.
static tarn_status write_batch(tarn_kv *kv, size_t i) {
    tarn_kv_batch *batch = NULL;
    char a[16];
    char b[16];
    uint8_t value[80] = {(uint8_t)i};
    TARN_TRY(tarn_kv_batch_new(NULL, &batch, &err));
    (void)snprintf(a, sizeof a, "a%02zu", i % KEYS);
    (void)snprintf(b, sizeof b, "b%02zu", i % KEYS);
    tarn_slice bytes = {value, sizeof value};
    tarn_status status = TARN_OK;
    if (i % 9 == 0) {
        status = tarn_kv_batch_delete_range(batch, NULL, TARN_LIT("a"), TARN_LIT("c"), &err);
    }
    if (status == TARN_OK) {
        status = tarn_kv_batch_put(batch, NULL, tarn_slice_from_cstr(a), bytes, &err);
    }
    if (status == TARN_OK) {
        status = tarn_kv_batch_put(batch, NULL, tarn_slice_from_cstr(b), bytes, &err);
    }
    if (status == TARN_OK) status = tarn_kv_write(kv, batch, TARN_KV_SYNC_ALWAYS, &err);
    tarn_kv_batch_free(batch);
    return status;
}

// What the keys are after `count` batches.
static void expected_after(size_t count, uint8_t values[KEYS]) {
    memset(values, 0, KEYS);
    for (size_t i = 1; i <= count; i++) {
        if (i % 9 == 0) memset(values, 0, KEYS);
        values[i % KEYS] = (uint8_t)i;
    }
}

static tarn_status read_side(tarn_kv *kv, char side, uint8_t values[KEYS]) {
    tarn_kv_iterator *it = NULL;
    tarn_kv_iterator_options options = {.prefix = {(const uint8_t *)&side, 1}};
    TARN_TRY(tarn_kv_iterator_new(kv, &options, &it, &err));
    memset(values, 0, KEYS);
    tarn_status status = tarn_kv_seek_first(it, &err);
    while (status == TARN_OK && tarn_kv_is_valid(it)) {
        tarn_slice key = tarn_kv_key(it);
        values[(key.data[1] - '0') * 10 + (key.data[2] - '0')] = tarn_kv_value(it).data[0];
        status = tarn_kv_next(it, &err);
    }
    tarn_kv_iterator_free(it);
    return status;
}

static tarn_status workload(rig *r) {
    tarn_kv *kv = NULL;
    tarn_status status = open_store(r, &kv);
    for (size_t i = r->acknowledged + 1; status == TARN_OK && i <= BATCHES; i++) {
        r->begun = i;
        status = write_batch(kv, i);
        if (status == TARN_OK) r->acknowledged = i;
        if (status == TARN_OK && i % 8 == 0) status = tarn_kv_flush(kv, &err);
        if (status == TARN_OK && i % 16 == 0) {
            status = tarn_kv_compact(kv, NULL, (tarn_slice){0}, (tarn_slice){0}, &err);
        }
        uint8_t values[KEYS];
        uint8_t expected[KEYS];
        if (status == TARN_OK) status = read_side(kv, 'a', values);
        expected_after(i, expected);
        if (status == TARN_OK) assert_memory_equal(values, expected, KEYS);
    }
    tarn_error first = err;
    tarn_status closed = tarn_kv_close(kv, &err);
    if (status == TARN_OK) return closed;
    err = first;
    return status;
}

// After the fault: all that was acknowledged, or one batch more, whole; and the rest can be
// written.
static void check_recovery(rig *r) {
    tarn_kv *kv = NULL;
    uint8_t a[KEYS];
    uint8_t b[KEYS];
    uint8_t without[KEYS];
    uint8_t with[KEYS];
    tarn_status status = open_store(r, &kv);
    if (status != TARN_OK) print_message("%s\n", err.message);
    assert_int_equal(status, TARN_OK);
    assert_int_equal(tarn_kv_verify(kv, &err), TARN_OK);
    assert_int_equal(read_side(kv, 'a', a), TARN_OK);
    assert_int_equal(read_side(kv, 'b', b), TARN_OK);
    assert_memory_equal(a, b, KEYS);
    expected_after(r->acknowledged, without);
    expected_after(r->begun, with);
    assert_true(memcmp(a, without, KEYS) == 0 || memcmp(a, with, KEYS) == 0);
    if (memcmp(a, with, KEYS) == 0) r->acknowledged = r->begun;
    assert_int_equal(tarn_kv_close(kv, &err), TARN_OK);
    status = workload(r);
    if (status != TARN_OK) print_message("%s\n", err.message);
    assert_int_equal(status, TARN_OK);
    assert_int_equal(r->acknowledged, BATCHES);
    assert_int_equal(tarn_sim_open_count(r->sim), 0);
}

TEST(every_failing_write_is_reported_and_nothing_is_lost) {
    for (uint64_t n = 1;; n++) {
        rig r;
        start(&r);
        tarn_sim_fail_write_at(r.sim, n);
        tarn_status status = workload(&r);
        bool came_through = status == TARN_OK && tarn_sim_write_count(r.sim) < n;
        tarn_sim_fail_write_at(r.sim, 0);
        if (!came_through) check_recovery(&r);
        tarn_sim_free(r.sim);
        if (came_through) break;
    }
}

TEST(every_failing_read_is_reported_and_nothing_is_lost) {
    for (uint64_t n = 1;; n++) {
        rig r;
        start(&r);
        tarn_sim_fail_read_at(r.sim, n);
        tarn_status status = workload(&r);
        bool came_through = status == TARN_OK && tarn_sim_read_count(r.sim) < n;
        tarn_sim_fail_read_at(r.sim, 0);
        if (!came_through) check_recovery(&r);
        tarn_sim_free(r.sim);
        if (came_through) break;
    }
}

TEST(every_failing_allocation_is_reported_and_nothing_is_lost) {
    for (size_t n = 1;; n += 1 + test_random_below(4)) {
        rig r;
        start(&r);
        r.fail_allocation = n;
        tarn_status status = workload(&r);
        bool came_through = status == TARN_OK && r.allocations < n;
        if (status != TARN_OK) assert_int_equal(status, TARN_NO_MEMORY);
        r.fail_allocation = 0;
        if (!came_through) check_recovery(&r);
        tarn_sim_free(r.sim);
        if (came_through) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_write_is_reported_and_nothing_is_lost),
        cmocka_unit_test(every_failing_read_is_reported_and_nothing_is_lost),
        cmocka_unit_test(every_failing_allocation_is_reported_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
