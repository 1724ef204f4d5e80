// kv/btree through kv.h on the simulated machine: against a model, across reopens, crashes at every
// write, failing calls and allocations, and flipped bits.
#include "base/alloc.h"
#include "kv/kv.h"
#include "os/sim.h"
#include "tests/test.h"

#define KEYS      48
#define FAMILIES  2
#define BATCHES   40
#define VALUE_MAX 9000

typedef struct failing {
    uint64_t count;
    uint64_t fail_at; // 0: never
    bool is_paused;   // while the test itself looks
} failing;

// What each key has: 0 nothing, else the seed of its value.
typedef struct content {
    uint32_t seeds[FAMILIES][KEYS];
} content;

typedef struct rig {
    tarn_sim *sim;
    const tarn_alloc *alloc;
    failing failing; // of `alloc`, in some tests
    tarn_kv *kv;
    tarn_kv_family *families[FAMILIES];
    content history[BATCHES + 1]; // after each batch
    size_t tried;                 // batches that were begun
    size_t acknowledged;          // the last of them that returned TARN_OK
    size_t durable;               // the last one that survives a power loss
    tarn_kv_sync sync;
    tarn_error err;
} rig;

#define assert_ok(r, status)                                       \
    do {                                                           \
        if ((status) != TARN_OK) fail_msg("%s", (r)->err.message); \
    } while (0)

// Merging adds the seeds; what was merged is a short value with a seed above all others.
static tarn_status add_seeds(void *context, tarn_slice key, const tarn_slice *base,
                             const tarn_slice *operands, size_t operand_count, tarn_buffer *out,
                             tarn_error *err) {
    (void)context, (void)key;
    uint32_t seed = base == NULL ? 0 : tarn_load_u32(base->data);
    for (size_t i = 0; i < operand_count; i++) seed += tarn_load_u32(operands[i].data);
    uint8_t bytes[4];
    tarn_store_u32(bytes, seed);
    if (tarn_buffer_append(out, (tarn_slice){bytes, 4})) return TARN_OK;
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a sum");
}

static const tarn_kv_merge_operator adder = {.name = "sum", .merge = add_seeds};

static tarn_slice key_text(size_t key, char text[40]) {
    int len = snprintf(text, 40, key % 5 == 0 ? "user/%zu/profile/of/somebody" : "k%03zu", key);
    return (tarn_slice){(const uint8_t *)text, (size_t)len};
}

// The seed says how long the value is; one in sixteen lies in a run.
static tarn_slice value_bytes(uint32_t seed, uint8_t bytes[VALUE_MAX]) {
    size_t len = 4;
    if (seed < 0x80000000u) len = seed % 16 == 0 ? 1500 + seed % 7000 : 4 + seed % 60;
    for (size_t i = 4; i < len; i++) bytes[i] = (uint8_t)(seed >> (i % 3 * 8));
    tarn_store_u32(bytes, seed);
    return (tarn_slice){bytes, len};
}

// ---- the rig ----

static rig *new_rig(uint64_t seed) {
    rig *r = tarn_alloc_new(&tarn_alloc_libc, rig, 1);
    r->alloc = &tarn_alloc_libc;
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, seed, &r->sim, NULL), TARN_OK);
    r->sync = (tarn_kv_sync)(TARN_KV_SYNC_ALWAYS + test_random_below(3));
    return r;
}

static void free_rig(rig *r) {
    assert_null(r->kv);
    assert_int_equal(tarn_sim_open_count(r->sim), 0);
    tarn_sim_free(r->sim);
    tarn_alloc_free(&tarn_alloc_libc, r, 1);
}

static tarn_status close_store(rig *r) {
    tarn_status status = tarn_kv_close(r->kv, &r->err);
    r->kv = NULL;
    return status;
}

static tarn_status open_store(rig *r) {
    tarn_kv_options options = {.engine = TARN_KV_BTREE,
                               .alloc = r->alloc,
                               .sync = r->sync,
                               .log_limit_bytes = 12 << 10,
                               .family.merge = &adder};
    TARN_TRY(tarn_kv_open(tarn_sim_os(r->sim), TARN_LIT("/db"), &options, &r->kv, &r->err));
    tarn_kv_family_options family = {.merge = &adder};
    tarn_status status =
        tarn_kv_family_open(r->kv, TARN_LIT("other"), &family, &r->families[1], &r->err);
    if (status == TARN_OK) return TARN_OK;
    (void)tarn_kv_close(r->kv, NULL); // the first failure is the one that counts
    r->kv = NULL;
    return status;
}

// ---- batches ----

static tarn_status add_range(rig *r, tarn_kv_batch *batch, size_t f, size_t key, content *after) {
    char text[40];
    char end_text[40];
    tarn_slice begin = key_text(key, text);
    tarn_slice end = key_text(test_random_below(KEYS), end_text);
    if (tarn_slice_compare(begin, end) >= 0) return TARN_OK;
    for (size_t i = 0; i < KEYS; i++) {
        char other[40];
        tarn_slice k = key_text(i, other);
        bool inside = tarn_slice_compare(k, begin) >= 0 && tarn_slice_compare(k, end) < 0;
        if (inside) after->seeds[f][i] = 0;
    }
    return tarn_kv_batch_delete_range(batch, r->families[f], begin, end, &r->err);
}

static tarn_status add_change(rig *r, tarn_kv_batch *batch, content *after) {
    size_t f = test_random_below(FAMILIES);
    size_t key = test_random_below(KEYS);
    char text[40];
    uint8_t bytes[VALUE_MAX];
    size_t choice = test_random_below(20);
    uint32_t seed = 1 + (uint32_t)test_random_below(0x7FFFFFF0u);
    if (choice < 12) {
        after->seeds[f][key] = seed;
        return tarn_kv_batch_put(batch, r->families[f], key_text(key, text),
                                 value_bytes(seed, bytes), &r->err);
    }
    if (choice < 16) {
        after->seeds[f][key] = 0;
        return tarn_kv_batch_delete(batch, r->families[f], key_text(key, text), &r->err);
    }
    if (choice == 19) return add_range(r, batch, f, key, after);
    uint32_t total = seed | 0x80000000u;
    uint32_t operand = total - after->seeds[f][key];
    after->seeds[f][key] = total;
    return tarn_kv_batch_merge(batch, r->families[f], key_text(key, text),
                               value_bytes(operand, bytes), &r->err);
}

static tarn_status write_batch(rig *r) {
    tarn_kv_batch *batch = NULL;
    assert_ok(r, tarn_kv_batch_new(&tarn_alloc_libc, &batch, &r->err));
    content after = r->history[r->acknowledged];
    size_t changes = 1 + test_random_below(8);
    for (size_t i = 0; i < changes; i++) assert_ok(r, add_change(r, batch, &after));
    r->tried = r->acknowledged + 1;
    r->history[r->tried] = after;
    tarn_status status = tarn_kv_write(r->kv, batch, TARN_KV_SYNC_DEFAULT, &r->err);
    tarn_kv_batch_free(batch);
    if (status != TARN_OK) return status;
    // A store into a map cannot fail: nobody is there any more to be told.
    if (tarn_sim_has_crashed(r->sim)) return TARN_IO;
    r->acknowledged = r->tried;
    if (r->sync == TARN_KV_SYNC_ALWAYS) r->durable = r->acknowledged;
    return TARN_OK;
}

// ---- comparing ----

static size_t key_number(tarn_slice key) {
    for (size_t i = 0; i < KEYS; i++) {
        char text[40];
        if (tarn_slice_equal(key_text(i, text), key)) return i;
    }
    fail_msg("a key that was never written");
    return 0;
}

// Whatever is read is a value that was written.
static tarn_status read_family(rig *r, size_t f, const tarn_kv_snapshot *snapshot,
                               content *ret_content) {
    tarn_kv_iterator_options options = {.family = r->families[f], .snapshot = snapshot};
    tarn_kv_iterator *it = NULL;
    TARN_TRY(tarn_kv_iterator_new(r->kv, &options, &it, &r->err));
    tarn_status status = tarn_kv_seek_first(it, &r->err);
    while (status == TARN_OK && tarn_kv_is_valid(it)) {
        tarn_slice value = tarn_kv_value(it);
        uint8_t bytes[VALUE_MAX];
        uint32_t seed = tarn_load_u32(value.data);
        assert_true(tarn_slice_equal(value, value_bytes(seed, bytes)));
        ret_content->seeds[f][key_number(tarn_kv_key(it))] = seed;
        status = tarn_kv_next(it, &r->err);
    }
    tarn_kv_iterator_free(it);
    return status;
}

static tarn_status read_content(rig *r, const tarn_kv_snapshot *snapshot, content *ret_content) {
    *ret_content = (content){0};
    for (size_t f = 0; f < FAMILIES; f++) TARN_TRY(read_family(r, f, snapshot, ret_content));
    return TARN_OK;
}

static void assert_content(rig *r, const tarn_kv_snapshot *snapshot, const content *expected) {
    bool was_paused = r->failing.is_paused;
    r->failing.is_paused = true;
    content now;
    assert_ok(r, read_content(r, snapshot, &now));
    assert_memory_equal(&now, expected, sizeof now);
    for (int i = 0; i < 10; i++) {
        size_t f = test_random_below(FAMILIES);
        size_t key = test_random_below(KEYS);
        char text[40];
        tarn_kv_read read = {.family = r->families[f], .snapshot = snapshot};
        tarn_buffer value = {0};
        bool found = false;
        assert_ok(r, tarn_kv_get(r->kv, &read, key_text(key, text), &value, &found, &r->err));
        assert_int_equal(found, expected->seeds[f][key] != 0);
        if (found) assert_int_equal(tarn_load_u32(value.data), expected->seeds[f][key]);
        tarn_buffer_free(&value);
    }
    r->failing.is_paused = was_paused;
}

// The store holds what some batch from `first` on left; that is where the history goes on.
static void assert_recovered(rig *r, size_t first) {
    assert_ok(r, tarn_kv_verify(r->kv, &r->err));
    content now;
    assert_ok(r, read_content(r, NULL, &now));
    for (size_t i = r->tried + 1; i-- > first;) {
        if (memcmp(&now, &r->history[i], sizeof now) != 0) continue;
        assert_content(r, NULL, &now);
        r->acknowledged = r->durable = r->tried = i;
        return;
    }
    fail_msg("the store is at none of the batches %zu to %zu", first, r->tried);
}

// ---- the workload ----

typedef struct held {
    tarn_kv_snapshot *snapshot; // or NULL
    size_t batch;               // what it shows
} held;

static tarn_status do_upkeep(rig *r, held *h) {
    tarn_slice open = {NULL, 0};
    size_t choice = test_random_below(24);
    tarn_status status = TARN_OK;
    if (choice < 2) status = tarn_kv_flush(r->kv, &r->err);
    if (choice == 2) status = tarn_kv_sync_log(r->kv, &r->err);
    if (choice == 3) status = tarn_kv_compact(r->kv, NULL, open, open, &r->err);
    if (choice == 8 && h->snapshot == NULL) {
        status = close_store(r);
        if (status == TARN_OK) r->durable = r->acknowledged;
        return status == TARN_OK ? open_store(r) : status;
    }
    if (choice <= 3 && status == TARN_OK) r->durable = r->acknowledged;
    if (choice == 4 && h->snapshot != NULL) {
        assert_content(r, h->snapshot, &r->history[h->batch]);
        tarn_kv_snapshot_free(h->snapshot);
        h->snapshot = NULL;
    } else if (choice >= 4 && choice < 7 && h->snapshot == NULL) {
        h->batch = r->acknowledged;
        status = tarn_kv_snapshot_new(r->kv, &h->snapshot, &r->err);
    }
    return status;
}

// Ends at the first failure.
static tarn_status work(rig *r) {
    TARN_TRY(open_store(r));
    held h = {0};
    tarn_status status = TARN_OK;
    while (status == TARN_OK && r->acknowledged < BATCHES) {
        status = write_batch(r);
        if (status == TARN_OK) status = do_upkeep(r, &h);
    }
    if (h.snapshot != NULL && !tarn_sim_has_crashed(r->sim)) {
        assert_content(r, h.snapshot, &r->history[h.batch]);
    }
    tarn_kv_snapshot_free(h.snapshot);
    return status;
}

TEST(agrees_with_a_model_across_reopens) {
    for (int round = 0; round < 10; round++) {
        rig *r = new_rig(test_random());
        assert_ok(r, work(r));
        assert_content(r, NULL, &r->history[r->acknowledged]);
        assert_ok(r, tarn_kv_verify(r->kv, &r->err));
        assert_ok(r, close_store(r));
        assert_ok(r, open_store(r));
        assert_content(r, NULL, &r->history[r->acknowledged]);
        assert_ok(r, close_store(r));
        free_rig(r);
    }
}

// ---- crashes ----

typedef enum ending { KILL, DROP, TEAR, REORDER, ENDING_COUNT } ending;

static void end(rig *r, ending how) {
    static const tarn_sim_power_mode modes[] = {
        [DROP] = TARN_SIM_DROP, [TEAR] = TARN_SIM_TEAR, [REORDER] = TARN_SIM_REORDER};
    if (how == KILL) {
        tarn_sim_kill(r->sim);
    } else {
        tarn_sim_power_loss(r->sim, modes[how]);
    }
}

// One life: crashes at write `n`, and perhaps once more while it recovers. Returns false when it
// came through.
static bool crash_at(uint64_t seed, uint64_t n, ending how) {
    test_random_state = seed;
    rig *r = new_rig(seed);
    tarn_sim_crash_at(r->sim, n);
    tarn_status status = work(r);
    if (!tarn_sim_has_crashed(r->sim)) assert_ok(r, status);
    (void)close_store(r); // of a machine that is dead, mostly
    bool crashed = tarn_sim_has_crashed(r->sim);
    end(r, how);
    size_t first = how == KILL ? r->acknowledged : r->durable;
    tarn_sim_crash_at(r->sim, 1 + test_random_below(12));
    (void)open_store(r);
    (void)close_store(r);
    if (tarn_sim_has_crashed(r->sim)) end(r, how);
    tarn_sim_crash_at(r->sim, 0);
    assert_ok(r, open_store(r));
    assert_recovered(r, first);
    for (int i = 0; i < 3 && r->acknowledged < BATCHES; i++) assert_ok(r, write_batch(r));
    assert_content(r, NULL, &r->history[r->acknowledged]);
    assert_ok(r, close_store(r));
    assert_ok(r, open_store(r));
    assert_content(r, NULL, &r->history[r->acknowledged]);
    assert_ok(r, close_store(r));
    free_rig(r);
    return crashed;
}

TEST(survives_a_crash_at_every_write) {
    for (int how = 0; how < ENDING_COUNT; how++) {
        uint64_t seed = test_random();
        uint64_t n = 1;
        while (crash_at(seed, n, (ending)how)) n++;
        assert_true(n > 50);
        test_random_state = seed + 1;
    }
}

// ---- failures ----

// A call that fails once: what was acknowledged is there after a reopen.
static bool fail_call(uint64_t seed, uint64_t n, bool of_reads) {
    test_random_state = seed;
    rig *r = new_rig(seed);
    if (of_reads) {
        tarn_sim_fail_read_at(r->sim, n);
    } else {
        tarn_sim_fail_write_at(r->sim, n);
    }
    tarn_status status = work(r);
    uint64_t calls = of_reads ? tarn_sim_read_count(r->sim) : tarn_sim_write_count(r->sim);
    if (status == TARN_OK) assert_content(r, NULL, &r->history[r->acknowledged]);
    (void)close_store(r); // may fail, too
    tarn_sim_fail_write_at(r->sim, 0);
    tarn_sim_fail_read_at(r->sim, 0);
    assert_ok(r, open_store(r));
    assert_recovered(r, r->acknowledged);
    assert_ok(r, close_store(r));
    free_rig(r);
    return calls >= n;
}

TEST(survives_every_failing_call) {
    for (int of_reads = 0; of_reads < 2; of_reads++) {
        uint64_t seed = test_random();
        uint64_t n = 1;
        while (fail_call(seed, n, of_reads)) n++;
        assert_true(n > 5);
        test_random_state = seed + 1;
    }
}

static void *acquire(void *context, size_t size) {
    failing *f = context;
    if (!f->is_paused && ++f->count == f->fail_at) return NULL;
    return tarn_alloc_libc.acquire(NULL, size);
}

static void release(void *context, void *memory, size_t size) {
    (void)context;
    tarn_alloc_libc.release(NULL, memory, size);
}

// What failed has left nothing behind, and the store goes on.
static bool fail_allocation(uint64_t seed, uint64_t n) {
    test_random_state = seed;
    rig *r = new_rig(seed);
    r->failing.fail_at = n;
    tarn_alloc alloc = {acquire, release, &r->failing};
    r->alloc = &alloc;
    tarn_status status = work(r);
    bool reached = r->failing.count >= n;
    r->failing.is_paused = true;
    if (status != TARN_OK) assert_int_equal(status, TARN_NO_MEMORY);
    if (r->kv != NULL) {
        r->tried = r->acknowledged;
        assert_content(r, NULL, &r->history[r->acknowledged]);
        if (r->acknowledged < BATCHES) assert_ok(r, write_batch(r));
        assert_ok(r, tarn_kv_verify(r->kv, &r->err));
        assert_ok(r, close_store(r));
    }
    assert_ok(r, open_store(r));
    assert_recovered(r, r->acknowledged);
    assert_ok(r, close_store(r));
    free_rig(r);
    return reached;
}

TEST(survives_every_failing_allocation) {
    uint64_t seed = test_random();
    uint64_t n = 1;
    while (fail_allocation(seed, n)) n++;
    assert_true(n > 100);
}

// ---- damage ----

TEST(a_flipped_bit_is_found_and_named_and_never_returned) {
    rig *r = new_rig(test_random());
    assert_ok(r, work(r));
    assert_ok(r, close_store(r));
    tarn_file_info info;
    tarn_slice path = TARN_LIT("/db/TREE");
    assert_ok(r, tarn_os_stat(tarn_sim_os(r->sim), path, &info, &r->err));
    size_t found = 0;
    for (uint64_t page = 0; page < info.size_bytes / 4096; page++) {
        uint64_t offset = page * 4096 + test_random_below(4096);
        uint8_t mask = (uint8_t)(1u << test_random_below(8));
        assert_ok(r, tarn_sim_corrupt(r->sim, path, offset, mask, &r->err));
        // For reading only, so that nothing writes to the file what was read from it.
        tarn_kv_options options = {.engine = TARN_KV_BTREE, .read_only = true};
        options.family.merge = &adder;
        tarn_status status =
            tarn_kv_open(tarn_sim_os(r->sim), TARN_LIT("/db"), &options, &r->kv, &r->err);
        content now = {0};
        if (status == TARN_OK) {
            assert_ok(
                r, tarn_kv_family_open(r->kv, TARN_LIT("other"), NULL, &r->families[1], &r->err));
            status = read_content(r, NULL, &now);
        }
        if (status == TARN_OK) {
            assert_memory_equal(&now, &r->history[r->acknowledged], sizeof now);
        } else {
            assert_int_equal(status, TARN_CORRUPT);
            assert_non_null(strstr(r->err.message, "TREE"));
            found++;
        }
        (void)close_store(r); // nothing was written
        assert_ok(r, tarn_sim_corrupt(r->sim, path, offset, mask, &r->err));
    }
    assert_true(found >= 3); // a meta page, the state, a page of the tree
    free_rig(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_model_across_reopens),
        cmocka_unit_test(survives_a_crash_at_every_write),
        cmocka_unit_test(survives_every_failing_call),
        cmocka_unit_test(survives_every_failing_allocation),
        cmocka_unit_test(a_flipped_bit_is_found_and_named_and_never_returned),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
