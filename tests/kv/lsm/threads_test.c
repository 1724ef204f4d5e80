// The LSM-tree with its own threads, on the real system: writers, readers, iterators and snapshots
// at once, while memtables are flushed and tables compacted.
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "kv/kv.h"
#include "tests/test.h"

static tarn_error err;

enum { WRITERS = 3, READERS = 2, PAIRS = 64, BATCHES = 3000 };

typedef struct shared {
    tarn_kv *kv;
    _Atomic int writers_left;
} shared;

typedef struct worker {
    shared *all;
    size_t number;
    uint64_t random;
    char failure[200]; // "": none
} worker;

static uint64_t next_random(worker *w) {
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return w->random >> 33;
}

static void note(worker *w, const char *what) {
    if (w->failure[0] == 0) (void)snprintf(w->failure, sizeof w->failure, "%.199s", what);
}

static tarn_slice key_of(char side, size_t writer, size_t pair, char text[32]) {
    int len = snprintf(text, 32, "%c/%zu/%04zu", side, writer, pair);
    return (tarn_slice){(const uint8_t *)text, (size_t)len};
}

// Every batch gives two keys, far apart, the same value: a counter that only grows.
static void write_batches(void *context) {
    worker *w = context;
    tarn_error error = {0};
    tarn_kv_batch *batch = NULL;
    if (tarn_kv_batch_new(NULL, &batch, &error) != TARN_OK) note(w, error.message);
    for (uint64_t i = 1; i <= BATCHES && w->failure[0] == 0; i++) {
        char a[32];
        char z[32];
        uint8_t value[40] = {0};
        size_t pair = next_random(w) % PAIRS;
        tarn_store_u64(value, i);
        tarn_kv_batch_clear(batch);
        bool is_written = tarn_kv_batch_put(batch, NULL, key_of('a', w->number, pair, a),
                                            (tarn_slice){value, sizeof value}, &error) == TARN_OK &&
                          tarn_kv_batch_put(batch, NULL, key_of('z', w->number, pair, z),
                                            (tarn_slice){value, sizeof value}, &error) == TARN_OK &&
                          tarn_kv_write(w->all->kv, batch,
                                        i % 500 == 0 ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER,
                                        &error) == TARN_OK;
        if (!is_written) note(w, error.message);
    }
    tarn_kv_batch_free(batch);
    atomic_fetch_sub(&w->all->writers_left, 1);
}

// What an iterator shows is of one moment: both keys of a pair have the same value.
static tarn_status check_moment(worker *w, const tarn_kv_snapshot *snapshot, tarn_error *error) {
    static const tarn_slice prefixes[2] = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"z", 1}};
    uint64_t sums[2] = {0, 0};
    for (size_t i = 0; i < 2; i++) {
        tarn_kv_iterator *it = NULL;
        tarn_kv_iterator_options options = {.snapshot = snapshot, .prefix = prefixes[i]};
        TARN_TRY(tarn_kv_iterator_new(w->all->kv, &options, &it, error));
        tarn_status status = tarn_kv_seek_first(it, error);
        while (status == TARN_OK && tarn_kv_is_valid(it)) {
            sums[i] = sums[i] * 31 + tarn_load_u64(tarn_kv_value(it).data);
            status = tarn_kv_next(it, error);
        }
        tarn_kv_iterator_free(it);
        if (status != TARN_OK) return status;
    }
    if (sums[0] != sums[1]) note(w, "a batch is seen in part");
    return TARN_OK;
}

static void read_moments(void *context) {
    worker *w = context;
    tarn_error error = {0};
    uint64_t last[WRITERS][PAIRS] = {{0}};
    tarn_buffer value = {0};
    while (atomic_load(&w->all->writers_left) > 0 && w->failure[0] == 0) {
        tarn_kv_snapshot *snapshot = NULL;
        if (tarn_kv_snapshot_new(w->all->kv, &snapshot, &error) != TARN_OK ||
            check_moment(w, snapshot, &error) != TARN_OK) {
            note(w, error.message);
        }
        tarn_kv_snapshot_free(snapshot);
        for (int i = 0; i < 50; i++) {
            char text[32];
            bool found = false;
            size_t writer = next_random(w) % WRITERS;
            size_t pair = next_random(w) % PAIRS;
            tarn_slice key = key_of('z', writer, pair, text);
            if (tarn_kv_get(w->all->kv, NULL, key, &value, &found, &error) != TARN_OK) {
                note(w, error.message);
            }
            uint64_t n = found ? tarn_load_u64(value.data) : 0;
            if (n < last[writer][pair]) note(w, "a value goes back");
            last[writer][pair] = n;
        }
    }
    tarn_buffer_free(&value);
}

static void open_store(shared *all, tarn_slice directory) {
    tarn_kv_options options = {
        .engine = TARN_KV_LSM,
        .sync = TARN_KV_SYNC_NEVER,
        .log_limit_bytes = 1 << 20,
        .family = {.memtable_bytes = 40000, .block_bytes = 512, .codec = TARN_CODEC_LZ4},
    };
    tarn_status status = tarn_kv_open(tarn_os_posix(), directory, &options, &all->kv, &err);
    if (status != TARN_OK) print_message("%s\n", err.message);
    assert_int_equal(status, TARN_OK);
}

TEST(readers_see_whole_batches_while_all_is_in_motion) {
    char path[] = "/tmp/tarn-lsm-threads-XXXXXX";
    assert_non_null(mkdtemp(path));
    tarn_slice directory = tarn_slice_from_cstr(path);
    shared all = {.writers_left = WRITERS};
    open_store(&all, directory);
    worker workers[WRITERS + READERS];
    tarn_thread *threads[WRITERS + READERS];
    for (size_t i = 0; i < WRITERS + READERS; i++) {
        workers[i] = (worker){.all = &all, .number = i, .random = test_random()};
        assert_int_equal(tarn_thread_start(i < WRITERS ? write_batches : read_moments, &workers[i],
                                           &threads[i], &err),
                         TARN_OK);
    }
    for (size_t i = 0; i < WRITERS + READERS; i++) tarn_thread_join(threads[i]);
    for (size_t i = 0; i < WRITERS + READERS; i++) assert_string_equal(workers[i].failure, "");
    tarn_kv_statistics stats;
    assert_int_equal(tarn_kv_stats(all.kv, &stats, &err), TARN_OK);
    assert_int_equal(tarn_kv_close(all.kv, &err), TARN_OK);
    // Everything is there again.
    open_store(&all, directory);
    assert_int_equal(tarn_kv_verify(all.kv, &err), TARN_OK);
    worker reader = {.all = &all};
    assert_int_equal(check_moment(&reader, NULL, &err), TARN_OK);
    assert_string_equal(reader.failure, "");
    assert_int_equal(tarn_kv_close(all.kv, &err), TARN_OK);
    assert_int_equal(tarn_os_remove_tree(tarn_os_posix(), directory, &err), TARN_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_batches_while_all_is_in_motion),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
