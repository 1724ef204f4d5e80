// kv/btree under several threads on the real system: what a reader sees is always one version.
#include <stdatomic.h>
#include <unistd.h>

#include "base/alloc.h"
#include "kv/kv.h"
#include "tests/test.h"

#define PAIRS   400
#define ROUNDS  TARN_TUNABLE(60, 60)
#define READERS 2
#define WRITERS 2

// Key i of the first half and key i of the second half are always written together, with the same
// number; all writes of a round have its number.
typedef struct rig {
    tarn_kv *kv;
    atomic_bool is_over;
    _Atomic uint64_t reads;
} rig;

typedef struct writer {
    rig *rig;
    uint32_t number; // writes the pairs with i % WRITERS == number
} writer;

static tarn_slice key_of(char half, uint32_t pair, char text[16]) {
    int len = snprintf(text, 16, "%c%06u", half, pair);
    return (tarn_slice){(const uint8_t *)text, (size_t)len};
}

// In threads cmocka's asserts cannot be used.
#define must(status) tarn_assert((status) == TARN_OK)

static void write_round(rig *r, uint32_t number, uint32_t round) {
    for (uint32_t pair = number; pair < PAIRS; pair += WRITERS) {
        tarn_kv_batch *batch = NULL;
        must(tarn_kv_batch_new(NULL, &batch, NULL));
        // Some of the values lie in runs.
        uint8_t bytes[3000] = {0};
        tarn_store_u32(bytes, round);
        tarn_slice value = {bytes, pair % 50 == 0 ? 3000 : 100};
        for (int half = 0; half < 2; half++) {
            char text[16];
            tarn_slice key = key_of(half == 0 ? 'a' : 'b', pair, text);
            must(round % 7 == 6 ? tarn_kv_batch_delete(batch, NULL, key, NULL)
                                : tarn_kv_batch_put(batch, NULL, key, value, NULL));
        }
        must(tarn_kv_write(r->kv, batch, TARN_KV_SYNC_NEVER, NULL));
        tarn_kv_batch_free(batch);
    }
}

static void run_writer(void *context) {
    const writer *w = context;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        write_round(w->rig, w->number, round);
        if (round % 8 == w->number) must(tarn_kv_flush(w->rig->kv, NULL));
    }
}

static uint32_t number_of(tarn_slice value) {
    tarn_assert(value.len == 100 || value.len == 3000);
    return tarn_load_u32(value.data);
}

// One iterator sees both halves of every pair, with the same number.
static void scan(rig *r, tarn_kv_snapshot *snapshot) {
    uint32_t numbers[PAIRS] = {0};
    tarn_kv_iterator_options options = {.snapshot = snapshot};
    tarn_kv_iterator *it = NULL;
    must(tarn_kv_iterator_new(r->kv, &options, &it, NULL));
    must(tarn_kv_seek_first(it, NULL));
    for (; tarn_kv_is_valid(it); must(tarn_kv_next(it, NULL))) {
        tarn_slice key = tarn_kv_key(it);
        tarn_assert(key.len == 7);
        uint32_t pair = 0;
        for (size_t i = 1; i < key.len; i++) pair = pair * 10 + (uint32_t)(key.data[i] - '0');
        uint32_t number = number_of(tarn_kv_value(it));
        if (key.data[0] == 'a') {
            numbers[pair] = number;
        } else {
            tarn_assert(numbers[pair] == number);
            numbers[pair] = 0;
        }
    }
    tarn_kv_iterator_free(it);
    for (uint32_t pair = 0; pair < PAIRS; pair++) tarn_assert(numbers[pair] == 0);
}

static void get_pairs(rig *r, tarn_kv_snapshot *snapshot) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    for (uint32_t pair = 0; pair < PAIRS; pair += 3) {
        char texts[2][16];
        tarn_slice keys[2] = {key_of('a', pair, texts[0]), key_of('b', pair, texts[1])};
        tarn_kv_read read = {.snapshot = snapshot};
        tarn_kv_answer answers[2];
        must(tarn_kv_multi_get(r->kv, &read, keys, 2, &arena, answers, NULL));
        tarn_assert(answers[0].found == answers[1].found);
        if (answers[0].found) {
            tarn_assert(number_of(answers[0].value) == number_of(answers[1].value));
        }
        tarn_buffer value = {0};
        bool found = false;
        must(tarn_kv_get(r->kv, &read, keys[0], &value, &found, NULL));
        tarn_assert(snapshot == NULL || found == answers[0].found);
        tarn_buffer_free(&value);
        tarn_arena_reset(&arena);
    }
}

static void run_reader(void *context) {
    rig *r = context;
    while (!atomic_load(&r->is_over)) {
        tarn_kv_snapshot *snapshot = NULL;
        must(tarn_kv_snapshot_new(r->kv, &snapshot, NULL));
        scan(r, NULL);
        get_pairs(r, NULL);
        scan(r, snapshot);
        get_pairs(r, snapshot);
        tarn_kv_snapshot_free(snapshot);
        atomic_fetch_add(&r->reads, 1);
        tarn_kv_statistics stats;
        must(tarn_kv_stats(r->kv, &stats, NULL));
    }
}

static void remove_tree(const char *directory) {
    must(tarn_os_remove_tree(tarn_os_posix(), tarn_slice_from_cstr(directory), NULL));
}

TEST(readers_see_whole_batches_while_writers_write) {
    char directory[] = "/tmp/tarn-btree-XXXXXX";
    assert_non_null(mkdtemp(directory));
    rig r = {0};
    tarn_error err = {0};
    tarn_kv_options options = {.engine = TARN_KV_BTREE, .log_limit_bytes = 256 << 10};
    tarn_status status =
        tarn_kv_open(tarn_os_posix(), tarn_slice_from_cstr(directory), &options, &r.kv, &err);
    if (status != TARN_OK) fail_msg("%s", err.message);
    tarn_thread *readers[READERS];
    tarn_thread *writers[WRITERS];
    writer contexts[WRITERS];
    for (uint32_t i = 0; i < READERS; i++)
        must(tarn_thread_start(run_reader, &r, &readers[i], NULL));
    for (uint32_t i = 0; i < WRITERS; i++) {
        contexts[i] = (writer){&r, i};
        must(tarn_thread_start(run_writer, &contexts[i], &writers[i], NULL));
    }
    for (int i = 0; i < WRITERS; i++) tarn_thread_join(writers[i]);
    while (atomic_load(&r.reads) < READERS) (void)usleep(1000);
    atomic_store(&r.is_over, true);
    for (int i = 0; i < READERS; i++) tarn_thread_join(readers[i]);
    status = tarn_kv_verify(r.kv, &err);
    if (status != TARN_OK) fail_msg("%s", err.message);
    // Nobody reads any more: whatever the versions between took can be used again.
    tarn_kv_statistics stats;
    assert_int_equal(tarn_kv_stats(r.kv, &stats, NULL), TARN_OK);
    assert_int_equal(stats.key_count, ROUNDS % 7 == 6 ? 0 : 2 * PAIRS);
    assert_int_equal(stats.reader_count, 0);
    assert_int_equal(tarn_kv_close(r.kv, &err), TARN_OK);
    remove_tree(directory);
}

// Someone who reads an old version for long keeps that version's pages, but not those of every
// version since.
TEST(a_long_reader_is_shown_and_keeps_one_version) {
    char directory[] = "/tmp/tarn-btree-XXXXXX";
    assert_non_null(mkdtemp(directory));
    rig r = {0};
    tarn_kv_options options = {.engine = TARN_KV_BTREE, .log_limit_bytes = 64 << 10};
    must(tarn_kv_open(tarn_os_posix(), tarn_slice_from_cstr(directory), &options, &r.kv, NULL));
    write_round(&r, 0, 1);
    write_round(&r, 1, 1);
    must(tarn_kv_flush(r.kv, NULL));
    tarn_kv_snapshot *snapshot = NULL;
    must(tarn_kv_snapshot_new(r.kv, &snapshot, NULL));
    tarn_kv_statistics before;
    must(tarn_kv_stats(r.kv, &before, NULL));
    assert_int_equal(before.reader_count, 1);
    for (uint32_t round = 2; round < 6; round++) {
        write_round(&r, 0, round);
        write_round(&r, 1, round);
    }
    must(tarn_kv_flush(r.kv, NULL));
    tarn_kv_statistics after;
    must(tarn_kv_stats(r.kv, &after, NULL));
    assert_true(after.oldest_reader_us > before.oldest_reader_us);
    for (uint32_t round = 6; round < 30; round++) {
        if (round % 7 == 6) continue;
        write_round(&r, 0, round);
        write_round(&r, 1, round);
    }
    tarn_kv_statistics later;
    must(tarn_kv_stats(r.kv, &later, NULL));
    assert_true(later.file_bytes < 2 * after.file_bytes);
    scan(&r, snapshot);
    tarn_kv_snapshot_free(snapshot);
    assert_int_equal(tarn_kv_close(r.kv, NULL), TARN_OK);
    remove_tree(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_batches_while_writers_write),
        cmocka_unit_test(a_long_reader_is_shown_and_keeps_one_version),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
