// Four writers, readers, snapshots, walks and upkeep at once, on every engine, on real files.
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "kv/kv.h"
#include "os/os.h"
#include "tests/kv/kv_model.h"

enum { WRITERS = 4, PAIRS = 16, READERS = 2 };

// A writer sets both keys of a pair to the same number in one batch, and numbers only grow.
typedef struct world {
    tarn_kv *kv;
    model_limits limits;
    size_t rounds;
    _Atomic uint32_t next_writer;
    _Atomic uint32_t writers_left;
    atomic_bool has_failed; // cmocka's asserts belong to the main thread
    char what[TARN_ERROR_MESSAGE_MAX + 64];
} world;

static void note(world *w, const char *what, const tarn_error *err) {
    if (atomic_exchange(&w->has_failed, true)) return;
    (void)snprintf(w->what, sizeof w->what, "%.60s: %s", what, err == NULL ? "" : err->message);
}

static tarn_slice pair_key(uint32_t writer, uint32_t pair, char half, char room[16]) {
    int len = snprintf(room, 16, "w%u-%02u-%c", writer % 10, pair % 100, half);
    return (tarn_slice){(const uint8_t *)room, (size_t)len};
}

static void write_pairs(void *context) {
    world *w = context;
    uint32_t writer = atomic_fetch_add(&w->next_writer, 1);
    tarn_kv_batch *batch = NULL;
    tarn_error err = {0};
    if (tarn_kv_batch_new(NULL, &batch, &err) != TARN_OK) note(w, "batch", &err);
    for (uint64_t n = 1; n <= w->rounds && !atomic_load(&w->has_failed); n++) {
        char rooms[2][16];
        uint8_t number[8];
        tarn_store_u64(number, n);
        tarn_slice value = {number, sizeof number};
        uint32_t pair = (uint32_t)(n * 7 % PAIRS);
        tarn_kv_batch_clear(batch);
        tarn_status status =
            tarn_kv_batch_put(batch, NULL, pair_key(writer, pair, 'a', rooms[0]), value, &err);
        if (status == TARN_OK) {
            status =
                tarn_kv_batch_put(batch, NULL, pair_key(writer, pair, 'b', rooms[1]), value, &err);
        }
        tarn_kv_sync sync = n % 100 == 0 ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER;
        if (status == TARN_OK) status = tarn_kv_write(w->kv, batch, sync, &err);
        if (status != TARN_OK) note(w, "write", &err);
    }
    tarn_kv_batch_free(batch);
    atomic_fetch_sub(&w->writers_left, 1);
}

static void check_pair(world *w, const tarn_kv_answer answers[2], uint64_t *last) {
    if (answers[0].found != answers[1].found) {
        note(w, "half a batch", NULL);
        return;
    }
    if (!answers[0].found) return;
    uint64_t a = tarn_load_u64(answers[0].value.data);
    uint64_t b = tarn_load_u64(answers[1].value.data);
    if (a != b) note(w, "halves of two batches", NULL);
    if (a < *last) note(w, "a value went back", NULL);
    *last = a;
}

static void read_pairs(void *context) {
    world *w = context;
    uint64_t last[WRITERS][PAIRS] = {{0}};
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    for (uint32_t i = 0; atomic_load(&w->writers_left) > 0; i++) {
        uint32_t writer = i % WRITERS;
        uint32_t pair = i / WRITERS % PAIRS;
        char rooms[2][16];
        tarn_slice keys[2] = {pair_key(writer, pair, 'a', rooms[0]),
                              pair_key(writer, pair, 'b', rooms[1])};
        tarn_kv_answer answers[2];
        tarn_error err = {0};
        if (w->limits.no_snapshots) break;
        if (tarn_kv_multi_get(w->kv, NULL, keys, 2, &arena, answers, &err) != TARN_OK) {
            note(w, "multi-get", &err);
            break;
        }
        check_pair(w, answers, &last[writer][pair]);
        tarn_arena_clear(&arena);
    }
    tarn_arena_reset(&arena);
}

// Pairs are neighbours in the order of keys: every walk sees whole batches.
static void walk_pairs(world *w, const tarn_kv_snapshot *snapshot, uint64_t *ret_sum) {
    tarn_kv_iterator_options options = {.snapshot = snapshot};
    tarn_kv_iterator *iterator = NULL;
    tarn_error err = {0};
    tarn_status status = tarn_kv_iterator_new(w->kv, &options, &iterator, &err);
    if (status != TARN_OK) {
        note(w, "iterator", &err);
        return;
    }
    uint64_t sum = 0;
    status = tarn_kv_seek_first(iterator, &err);
    while (status == TARN_OK && tarn_kv_is_valid(iterator)) {
        uint64_t a = tarn_load_u64(tarn_kv_value(iterator).data);
        status = tarn_kv_next(iterator, &err);
        if (status != TARN_OK) break;
        if (!tarn_kv_is_valid(iterator) || tarn_load_u64(tarn_kv_value(iterator).data) != a) {
            note(w, "a walk sees half a batch", NULL);
            break;
        }
        sum += a;
        status = tarn_kv_next(iterator, &err);
    }
    if (status != TARN_OK) note(w, "walk", &err);
    tarn_kv_iterator_free(iterator);
    *ret_sum = sum;
}

static void walk_snapshots(void *context) {
    world *w = context;
    while (atomic_load(&w->writers_left) > 0 && !atomic_load(&w->has_failed)) {
        if (w->limits.no_snapshots || w->limits.no_iterators) break;
        tarn_kv_snapshot *snapshot = NULL;
        tarn_error err = {0};
        if (tarn_kv_snapshot_new(w->kv, &snapshot, &err) != TARN_OK) {
            note(w, "snapshot", &err);
            break;
        }
        uint64_t first = 0;
        uint64_t second = 0;
        walk_pairs(w, snapshot, &first);
        walk_pairs(w, NULL, &second);
        if (second < first) note(w, "the present is older than a snapshot", NULL);
        walk_pairs(w, snapshot, &second);
        if (second != first) note(w, "a snapshot changed", NULL);
        tarn_kv_snapshot_free(snapshot);
    }
}

static void keep_up(void *context) {
    world *w = context;
    for (int i = 0; atomic_load(&w->writers_left) > 0 && i < 30; i++) {
        tarn_error err = {0};
        tarn_status status =
            i % 2 == 0 ? tarn_kv_flush(w->kv, &err)
                       : tarn_kv_compact(w->kv, NULL, (tarn_slice){0}, (tarn_slice){0}, &err);
        if (status != TARN_OK) note(w, "upkeep", &err);
    }
}

static void run_engine(tarn_kv_engine engine) {
    char directory[] = "/tmp/tarn-kv-concurrent-XXXXXX";
    assert_non_null(mkdtemp(directory));
    tarn_kv_options options = {.engine = engine, .log_limit_bytes = 1 << 20};
    world w = {.rounds = model_rounds(TARN_TUNABLE(2000, 400)), .writers_left = WRITERS};
    w.limits = model_find_limits(engine);
    tarn_error err = {0};
    model_expect_ok(
        tarn_kv_open(tarn_os_posix(), tarn_slice_from_cstr(directory), &options, &w.kv, &err),
        &err);
    tarn_thread *threads[WRITERS + READERS + 2];
    size_t count = 0;
    for (; count < WRITERS; count++) {
        model_expect_ok(tarn_thread_start(write_pairs, &w, &threads[count], &err), &err);
    }
    for (; count < WRITERS + READERS; count++) {
        model_expect_ok(tarn_thread_start(read_pairs, &w, &threads[count], &err), &err);
    }
    model_expect_ok(tarn_thread_start(walk_snapshots, &w, &threads[count++], &err), &err);
    model_expect_ok(tarn_thread_start(keep_up, &w, &threads[count++], &err), &err);
    for (size_t i = 0; i < count; i++) tarn_thread_join(threads[i]);
    if (atomic_load(&w.has_failed)) print_message("%s\n", w.what);
    assert_false(atomic_load(&w.has_failed));
    model_expect_ok(tarn_kv_verify(w.kv, &err), &err);
    model_expect_ok(tarn_kv_close(w.kv, &err), &err);
    model_expect_ok(tarn_os_remove_tree(tarn_os_posix(), tarn_slice_from_cstr(directory), &err),
                    &err);
}

TEST(readers_see_whole_batches_while_four_threads_write) {
    model_for_each_engine(run_engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_batches_while_four_threads_write),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
