// The hash log through the front: crashes, failures, damage, merges, and readers next to a writer.
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "kv/kv.h"
#include "os/sim.h"
#include "tests/test.h"

enum { KEYS = 24, STEPS = 70 };
static const tarn_sim_power_mode all_modes[] = {TARN_SIM_DROP, TARN_SIM_TEAR, TARN_SIM_REORDER};

static tarn_error err;
static tarn_arena arena;

static int set_up(void **state) {
    (void)state;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)256 << 20);
    return 0;
}

static int tear_down(void **state) {
    // After a failed test files are open, and the machine could not be freed.
    if (*state != NULL && tarn_sim_open_count(*state) == 0) tarn_sim_free(*state);
    tarn_arena_reset(&arena);
    return 0;
}

static tarn_sim *new_sim(void **state, uint64_t seed) {
    tarn_sim_free(*state);
    *state = NULL;
    tarn_sim *sim = NULL;
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, seed, &sim, &err), TARN_OK);
    *state = sim;
    // A directory that is there counts as durable: make it so.
    assert_int_equal(tarn_os_make_dirs(tarn_sim_os(sim), TARN_LIT("/kv"), &err), TARN_OK);
    return sim;
}

// A small memory limit makes segments of 4 KiB.
static tarn_status open_at(tarn_os *os, const char *directory, tarn_kv_recovery recovery,
                           tarn_kv **ret_kv) {
    tarn_kv_options options = {.engine = TARN_KV_HASHLOG,
                               .sync = TARN_KV_SYNC_NEVER,
                               .memory_limit_bytes = 32768,
                               .recovery = recovery};
    return tarn_kv_open(os, tarn_slice_from_cstr(directory), &options, ret_kv, &err);
}

static tarn_kv *open_store(tarn_sim *sim) {
    tarn_kv *kv = NULL;
    tarn_status status = open_at(tarn_sim_os(sim), "/kv", TARN_KV_TOLERATE_TORN_TAIL, &kv);
    if (status != TARN_OK) print_message("%s\n", err.message);
    assert_int_equal(status, TARN_OK);
    return kv;
}

static void close_store(tarn_kv *kv) {
    assert_int_equal(tarn_kv_close(kv, &err), TARN_OK);
}

// ---- a model: which version of each key there is ----

typedef struct versions {
    uint32_t of[KEYS]; // 0: the key is not there
} versions;

static tarn_slice key_of(uint32_t key, char text[16]) {
    int len = snprintf(text, 16, "key-%u", key);
    return (tarn_slice){(const uint8_t *)text, (size_t)len};
}

static size_t value_len(uint32_t version) {
    return 4 + version * 37 % 200;
}

static tarn_slice value_of(uint32_t version, uint8_t bytes[256]) {
    size_t len = value_len(version);
    tarn_store_u32(bytes, version);
    memset(bytes + 4, (int)(version % 251), len - 4);
    return (tarn_slice){bytes, len};
}

typedef struct visit {
    uint32_t version;
} visit;

static tarn_status note_version(void *context, tarn_slice value, tarn_error *e) {
    (void)e;
    uint8_t expected[256];
    tarn_assert(value.len >= 4);
    uint32_t version = tarn_load_u32(value.data);
    tarn_assert(tarn_slice_equal(value, value_of(version, expected)));
    ((visit *)context)->version = version;
    return TARN_OK;
}

static tarn_status get(tarn_kv *kv, uint32_t key, uint32_t *ret_version) {
    char text[16];
    visit v = {0};
    bool found = false;
    TARN_TRY(tarn_kv_visit(kv, NULL, key_of(key, text), note_version, &v, &found, &err));
    *ret_version = found ? v.version : 0;
    return TARN_OK;
}

static versions read_all(tarn_kv *kv) {
    versions all;
    for (uint32_t key = 0; key < KEYS; key++) {
        assert_int_equal(get(kv, key, &all.of[key]), TARN_OK);
    }
    return all;
}

static void add_change(tarn_kv_batch *batch, versions *after, uint32_t *next_version) {
    char text[16];
    uint8_t bytes[256];
    uint32_t key = (uint32_t)test_random_below(KEYS);
    if (test_random_below(4) == 0) {
        assert_int_equal(tarn_kv_batch_delete(batch, NULL, key_of(key, text), &err), TARN_OK);
        after->of[key] = 0;
        return;
    }
    after->of[key] = ++*next_version;
    tarn_slice value = value_of(*next_version, bytes);
    assert_int_equal(tarn_kv_batch_put(batch, NULL, key_of(key, text), value, &err), TARN_OK);
}

// What was written in order, and how much of it is safe.
typedef struct history {
    versions states[STEPS + 1];
    size_t begun; // index of the last state whose write was begun
    size_t safe;  // of the last one that is durable
    uint32_t next_version;
} history;

static tarn_status do_step(tarn_kv *kv, history *h, tarn_kv_batch *batch, size_t i) {
    h->states[i] = h->states[i - 1];
    h->begun = i;
    tarn_kv_batch_clear(batch);
    size_t count = test_random_below(3) == 0 ? 1 + test_random_below(5) : 1;
    for (size_t k = 0; k < count; k++) add_change(batch, &h->states[i], &h->next_version);
    bool must_sync = test_random_below(8) == 0;
    tarn_kv_sync sync = must_sync ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER;
    TARN_TRY(tarn_kv_write(kv, batch, sync, &err));
    if (must_sync) h->safe = i;
    if (i % 23 == 0) {
        TARN_TRY(tarn_kv_flush(kv, &err));
        h->safe = i;
    }
    if (i % 31 == 0) TARN_TRY(tarn_kv_compact(kv, NULL, (tarn_slice){0}, (tarn_slice){0}, &err));
    return TARN_OK;
}

// Two lives of the store, so that merges, directory files and recovery meet.
static tarn_status run_workload(tarn_os *os, history *h) {
    tarn_kv_batch *batch = NULL;
    assert_int_equal(tarn_kv_batch_new(&tarn_alloc_libc, &batch, &err), TARN_OK);
    tarn_status status = TARN_OK;
    for (size_t i = 1; status == TARN_OK && i <= STEPS;) {
        tarn_kv *kv = NULL;
        status = open_at(os, "/kv", TARN_KV_TOLERATE_TORN_TAIL, &kv);
        size_t end = i + STEPS / 2;
        for (; status == TARN_OK && i < end && i <= STEPS; i++) status = do_step(kv, h, batch, i);
        tarn_status closed = tarn_kv_close(kv, &err);
        if (status == TARN_OK) status = closed;
        if (status == TARN_OK) h->safe = h->begun;
    }
    tarn_kv_batch_free(batch);
    return status;
}

static void check_recovery(tarn_sim *sim, const history *h) {
    tarn_kv *kv = open_store(sim);
    versions found = read_all(kv);
    bool is_known = false;
    for (size_t i = h->safe; i <= h->begun && !is_known; i++) {
        is_known = memcmp(&found, &h->states[i], sizeof found) == 0;
    }
    assert_true(is_known);
    assert_int_equal(tarn_kv_verify(kv, &err), TARN_OK);
    // It goes on.
    char text[16];
    uint8_t bytes[256];
    tarn_slice key = key_of(0, text);
    assert_int_equal(
        tarn_kv_put(kv, NULL, key, value_of(1000000, bytes), TARN_KV_SYNC_ALWAYS, &err), TARN_OK);
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    (void)tarn_kv_close(kv, NULL); // dead
    kv = open_store(sim);
    found.of[0] = 1000000;
    versions again = read_all(kv);
    assert_memory_equal(&again, &found, sizeof found);
    assert_int_equal(tarn_kv_verify(kv, &err), TARN_OK);
    close_store(kv);
}

static bool crash_at(void **state, uint64_t n, int ending) {
    static history h;
    memset(&h, 0, sizeof h);
    tarn_sim *sim = new_sim(state, test_random());
    tarn_sim_crash_at(sim, n);
    (void)run_workload(tarn_sim_os(sim), &h);
    bool has_crashed = tarn_sim_has_crashed(sim);
    if (ending == 3) {
        tarn_sim_kill(sim);
    } else {
        tarn_sim_power_loss(sim, all_modes[ending]);
    }
    check_recovery(sim, &h);
    return has_crashed;
}

TEST(a_crash_at_any_write_leaves_a_beginning_with_all_that_was_synced) {
    for (int ending = 0; ending < 4; ending++) {
        uint64_t n = 1;
        while (crash_at(state, n, ending)) n++;
        assert_true(n > 150);
        print_message("%llu crash points, ending %d\n", (unsigned long long)n, ending);
    }
}

TEST(a_write_that_fails_loses_nothing_that_was_synced) {
    static history h;
    for (uint64_t n = 1;; n++) {
        memset(&h, 0, sizeof h);
        tarn_sim *sim = new_sim(state, test_random());
        uint64_t before = tarn_sim_write_count(sim);
        tarn_sim_fail_write_at(sim, n);
        tarn_status status = run_workload(tarn_sim_os(sim), &h);
        // Upkeep that fails is tried again: then the workload comes through.
        assert_true(status == TARN_OK || status == TARN_IO);
        bool was_hit = tarn_sim_write_count(sim) - before >= n;
        tarn_sim_power_loss(sim, all_modes[n % 3]);
        check_recovery(sim, &h);
        if (!was_hit) break;
    }
}

TEST(every_read_that_fails_is_reported_or_repeated) {
    static history h;
    memset(&h, 0, sizeof h);
    tarn_sim *sim = new_sim(state, 1);
    assert_int_equal(run_workload(tarn_sim_os(sim), &h), TARN_OK);
    for (uint64_t n = 1;; n++) {
        uint64_t before = tarn_sim_read_count(sim);
        tarn_sim_fail_read_at(sim, n);
        tarn_kv *kv = NULL;
        tarn_status status = open_at(tarn_sim_os(sim), "/kv", TARN_KV_TOLERATE_TORN_TAIL, &kv);
        bool was_hit = tarn_sim_read_count(sim) - before >= n;
        tarn_sim_fail_read_at(sim, 0);
        if (was_hit && status != TARN_OK) assert_int_equal(status, TARN_IO);
        if (status == TARN_OK) close_store(kv);
        kv = open_store(sim);
        versions found = read_all(kv);
        assert_memory_equal(&found, &h.states[STEPS], sizeof found);
        close_store(kv);
        if (!was_hit) break;
    }
}

// ---- damage ----

static bool is_known_version(const history *h, uint32_t key, uint32_t version) {
    for (size_t i = 0; i <= h->begun; i++) {
        if (h->states[i].of[key] == version) return true;
    }
    return false;
}

TEST(a_flipped_bit_is_found_and_never_returned) {
    static history h;
    for (int round = 0; round < 150; round++) {
        memset(&h, 0, sizeof h);
        tarn_sim *sim = new_sim(state, test_random());
        tarn_os *os = tarn_sim_os(sim);
        assert_int_equal(run_workload(os, &h), TARN_OK);
        tarn_slice *names = NULL;
        size_t count = 0;
        assert_int_equal(tarn_os_list(os, TARN_LIT("/kv"), &arena, &names, &count, &err), TARN_OK);
        tarn_slice name = names[test_random_below(count)];
        bool is_ours = tarn_slice_equal(name, TARN_LIT("DIRECTORY")) || name.len == 16;
        if (!is_ours) continue;
        tarn_slice path;
        tarn_file_info info;
        assert_true(tarn_arena_printf(&arena, &path, "/kv/" TARN_SLICE_FMT, TARN_SLICE_ARG(name)));
        assert_int_equal(tarn_os_stat(os, path, &info, &err), TARN_OK);
        uint64_t offset = test_random_below(info.size_bytes);
        assert_int_equal(tarn_sim_corrupt(sim, path, offset, (uint8_t)(1u << round % 8), &err),
                         TARN_OK);
        tarn_kv *kv = NULL;
        tarn_status status = open_at(os, "/kv", TARN_KV_TOLERATE_TORN_TAIL, &kv);
        if (status != TARN_OK) {
            assert_int_equal(status, TARN_CORRUPT);
            assert_non_null(strstr(err.message, "/kv/"));
            continue;
        }
        bool was_lost = false;
        for (uint32_t key = 0; key < KEYS; key++) {
            uint32_t version = 0;
            status = get(kv, key, &version); // compares the bytes
            assert_true(status == TARN_OK || status == TARN_CORRUPT);
            if (status == TARN_CORRUPT) assert_non_null(strstr(err.message, "/kv/"));
            if (status == TARN_OK) assert_true(is_known_version(&h, key, version));
            was_lost |= status != TARN_OK || version != h.states[STEPS].of[key];
        }
        status = tarn_kv_verify(kv, &err);
        if (was_lost) assert_int_equal(status, TARN_CORRUPT);
        if (status != TARN_OK) assert_non_null(strstr(err.message, "/kv/"));
        (void)tarn_kv_close(kv, NULL); // may name the damage again
    }
}

TEST(without_its_directory_file_a_store_is_the_same) {
    static history h;
    for (int round = 0; round < 10; round++) {
        memset(&h, 0, sizeof h);
        tarn_sim *sim = new_sim(state, test_random());
        assert_int_equal(run_workload(tarn_sim_os(sim), &h), TARN_OK);
        assert_int_equal(tarn_os_remove(tarn_sim_os(sim), TARN_LIT("/kv/DIRECTORY"), &err),
                         TARN_OK);
        tarn_kv *kv = open_store(sim);
        versions found = read_all(kv);
        assert_memory_equal(&found, &h.states[STEPS], sizeof found);
        close_store(kv);
    }
}

// ---- space ----

static void put_version(tarn_kv *kv, uint32_t key, uint32_t version) {
    char text[16];
    uint8_t bytes[256];
    assert_int_equal(tarn_kv_put(kv, NULL, key_of(key, text), value_of(version, bytes),
                                 TARN_KV_SYNC_NEVER, &err),
                     TARN_OK);
}

TEST(what_is_replaced_gives_its_space_back) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_kv *kv = open_store(sim);
    tarn_kv_statistics stats;
    for (uint32_t version = 1; version < 3000; version++) {
        put_version(kv, version % KEYS, version);
        assert_int_equal(tarn_kv_stats(kv, &stats, &err), TARN_OK);
        assert_true(stats.log_bytes <= 12 * 4096);
    }
    assert_true(stats.compactions > 10);
    assert_int_equal(stats.key_count, KEYS);
    close_store(kv);
}

TEST(what_is_deleted_stays_so_and_deletes_go_away) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_kv *kv = open_store(sim);
    char text[16];
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t key = 0; key < KEYS; key++) put_version(kv, key, 1 + round * KEYS + key);
        for (uint32_t key = 0; key < KEYS; key++) {
            assert_int_equal(tarn_kv_delete(kv, NULL, key_of(key, text), TARN_KV_SYNC_NEVER, &err),
                             TARN_OK);
        }
        if (round % 8 != 7) continue;
        // Everything is replayed, in whatever segments merges have left.
        assert_int_equal(tarn_os_remove(tarn_sim_os(sim), TARN_LIT("/kv/DIRECTORY"), &err),
                         TARN_OK);
        tarn_sim_kill(sim);
        (void)tarn_kv_close(kv, NULL); // dead
        kv = open_store(sim);
        versions found = read_all(kv);
        for (uint32_t key = 0; key < KEYS; key++) assert_int_equal(found.of[key], 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tarn_kv_compact(kv, NULL, (tarn_slice){0}, (tarn_slice){0}, &err),
                         TARN_OK);
    }
    tarn_kv_statistics stats;
    assert_int_equal(tarn_kv_stats(kv, &stats, &err), TARN_OK);
    assert_true(stats.log_bytes <= 3 * 4096);
    close_store(kv);
}

TEST(what_it_cannot_do_is_unsupported_by_name) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_kv *kv = open_store(sim);
    tarn_kv_batch *batch = NULL;
    assert_int_equal(tarn_kv_batch_new(&tarn_alloc_libc, &batch, &err), TARN_OK);
    assert_int_equal(tarn_kv_batch_delete_range(batch, NULL, TARN_LIT("a"), TARN_LIT("b"), &err),
                     TARN_OK);
    assert_int_equal(tarn_kv_write(kv, batch, TARN_KV_SYNC_NEVER, &err), TARN_UNSUPPORTED);
    assert_non_null(strstr(err.message, "hashlog"));
    tarn_kv_batch_free(batch);
    tarn_kv_snapshot *snapshot = NULL;
    assert_int_equal(tarn_kv_snapshot_new(kv, &snapshot, &err), TARN_UNSUPPORTED);
    assert_non_null(strstr(err.message, "hashlog"));
    tarn_kv_iterator *iterator = NULL;
    assert_int_equal(tarn_kv_iterator_new(kv, NULL, &iterator, &err), TARN_UNSUPPORTED);
    assert_non_null(strstr(err.message, "hashlog"));
    close_store(kv);
}

// ---- readers next to a writer and its merges, on the real system ----

enum { READERS = 2, WRITES = TARN_TUNABLE(12000, 4000) };

typedef struct shared {
    tarn_kv *kv;
    bool is_over; // atomic
    uint64_t reads[READERS];
} shared;

typedef struct reader {
    shared *shared;
    size_t number;
} reader;

// Versions of a key only grow; the two keys of a batch always have the same one.
static void run_reader(void *context) {
    reader *self = context;
    shared *s = self->shared;
    tarn_arena answers_arena;
    tarn_arena_init(&answers_arena, &tarn_alloc_libc, SIZE_MAX);
    uint32_t last[KEYS] = {0};
    for (uint32_t i = 0; !__atomic_load_n(&s->is_over, __ATOMIC_ACQUIRE); i++) {
        uint32_t key = i % KEYS;
        char text[16];
        char pair_text[16];
        visit v = {0};
        bool found = false;
        tarn_assert(tarn_kv_visit(s->kv, NULL, key_of(key, text), note_version, &v, &found, NULL) ==
                    TARN_OK);
        tarn_assert(found && v.version >= last[key]);
        last[key] = v.version;
        tarn_slice keys[2] = {key_of(key, text), key_of(key ^ 1, pair_text)};
        tarn_kv_answer answers[2];
        tarn_assert(tarn_kv_multi_get(s->kv, NULL, keys, 2, &answers_arena, answers, NULL) ==
                    TARN_OK);
        tarn_assert(answers[0].found && tarn_slice_equal(answers[0].value, answers[1].value));
        tarn_arena_clear(&answers_arena);
        s->reads[self->number]++;
    }
    tarn_arena_reset(&answers_arena);
}

static void write_pair(tarn_kv *kv, tarn_kv_batch *batch, uint32_t key, uint32_t version) {
    char text[16];
    uint8_t bytes[256];
    tarn_slice value = value_of(version, bytes);
    tarn_kv_batch_clear(batch);
    assert_int_equal(tarn_kv_batch_put(batch, NULL, key_of(key, text), value, &err), TARN_OK);
    assert_int_equal(tarn_kv_batch_put(batch, NULL, key_of(key ^ 1, text), value, &err), TARN_OK);
    assert_int_equal(tarn_kv_write(kv, batch, TARN_KV_SYNC_NEVER, &err), TARN_OK);
}

TEST(readers_see_whole_batches_while_segments_are_merged) {
    char root[] = "/tmp/tarn-hashlog-XXXXXX";
    assert_non_null(mkdtemp(root));
    shared s = {0};
    assert_int_equal(open_at(tarn_os_posix(), root, TARN_KV_TOLERATE_TORN_TAIL, &s.kv), TARN_OK);
    tarn_kv_batch *batch = NULL;
    assert_int_equal(tarn_kv_batch_new(&tarn_alloc_libc, &batch, &err), TARN_OK);
    for (uint32_t key = 0; key < KEYS; key += 2) write_pair(s.kv, batch, key, 1);
    reader readers[READERS];
    tarn_thread *threads[READERS];
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (reader){&s, i};
        assert_int_equal(tarn_thread_start(run_reader, &readers[i], &threads[i], &err), TARN_OK);
    }
    for (uint32_t version = 2; version < WRITES; version++) {
        write_pair(s.kv, batch, (uint32_t)test_random_below(KEYS), version);
    }
    __atomic_store_n(&s.is_over, true, __ATOMIC_RELEASE);
    for (size_t i = 0; i < READERS; i++) tarn_thread_join(threads[i]);
    assert_int_equal(tarn_kv_verify(s.kv, &err), TARN_OK);
    versions before = read_all(s.kv);
    assert_int_equal(tarn_kv_close(s.kv, &err), TARN_OK);
    assert_int_equal(open_at(tarn_os_posix(), root, TARN_KV_TOLERATE_TORN_TAIL, &s.kv), TARN_OK);
    versions after = read_all(s.kv);
    assert_memory_equal(&after, &before, sizeof before);
    assert_int_equal(tarn_kv_close(s.kv, &err), TARN_OK);
    tarn_kv_batch_free(batch);
    assert_int_equal(tarn_os_remove_tree(tarn_os_posix(), tarn_slice_from_cstr(root), &err),
                     TARN_OK);
}

#define HASHLOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        HASHLOG_TEST(a_crash_at_any_write_leaves_a_beginning_with_all_that_was_synced),
        HASHLOG_TEST(a_write_that_fails_loses_nothing_that_was_synced),
        HASHLOG_TEST(every_read_that_fails_is_reported_or_repeated),
        HASHLOG_TEST(a_flipped_bit_is_found_and_never_returned),
        HASHLOG_TEST(without_its_directory_file_a_store_is_the_same),
        HASHLOG_TEST(what_is_replaced_gives_its_space_back),
        HASHLOG_TEST(what_is_deleted_stays_so_and_deletes_go_away),
        HASHLOG_TEST(what_it_cannot_do_is_unsupported_by_name),
        HASHLOG_TEST(readers_see_whole_batches_while_segments_are_merged),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
