// A process that writes with eight threads is killed at any moment; another one, which was told of
// every acknowledged write, finds all of them, and of each thread's a beginning without a gap.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kv/kv_model.h"

enum { WRITERS = 8 };

typedef struct writer {
    tarn_kv *kv;
    int pipe;
    uint8_t thread;
} writer;

static tarn_slice key_of(unsigned thread, uint64_t number, char room[32]) {
    int len = snprintf(room, 32, "t%u-%010llu", thread, (unsigned long long)number);
    return (tarn_slice){(const uint8_t *)room, (size_t)len};
}

// A message is 9 bytes, which a pipe takes whole.
static void write_for_ever(void *context) {
    const writer *w = context;
    for (uint64_t n = 0;; n++) {
        char room[32];
        tarn_kv_sync sync = n % 64 == 63 ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER;
        tarn_slice key = key_of(w->thread, n, room);
        if (tarn_kv_put(w->kv, NULL, key, key, sync, NULL) != TARN_OK) _exit(3);
        uint8_t message[9] = {w->thread};
        tarn_store_u64(message + 1, n + 1);
        if (write(w->pipe, message, sizeof message) != (ssize_t)sizeof message) _exit(4);
    }
}

static tarn_kv_options options_of(tarn_kv_engine engine) {
    return (tarn_kv_options){.engine = engine, .log_limit_bytes = 1 << 20};
}

static void be_killed(const char *directory, tarn_kv_engine engine, int pipe) {
    tarn_kv_options options = options_of(engine);
    tarn_kv *kv = NULL;
    if (tarn_kv_open(tarn_os_posix(), tarn_slice_from_cstr(directory), &options, &kv, NULL) !=
        TARN_OK) {
        _exit(2);
    }
    writer writers[WRITERS];
    tarn_thread *threads[WRITERS];
    for (uint8_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer){kv, pipe, i};
        if (tarn_thread_start(write_for_ever, &writers[i], &threads[i], NULL) != TARN_OK) _exit(5);
    }
    for (;;) pause();
}

// Reads what was acknowledged until `limit` writes have been, kills, and reads the rest.
static void watch(int pipe, pid_t child, size_t limit, uint64_t acknowledged[WRITERS]) {
    uint8_t message[9];
    size_t seen = 0;
    while (read(pipe, message, sizeof message) == (ssize_t)sizeof message) {
        assert_true(message[0] < WRITERS);
        acknowledged[message[0]] = tarn_load_u64(message + 1);
        if (++seen == limit) assert_int_equal(kill(child, SIGKILL), 0);
    }
    assert_true(seen >= limit);
}

static void check(const char *directory, tarn_kv_engine engine,
                  const uint64_t acknowledged[WRITERS]) {
    tarn_kv_options options = options_of(engine);
    options.must_exist = true;
    tarn_kv *kv = NULL;
    tarn_error err = {0};
    model_expect_ok(
        tarn_kv_open(tarn_os_posix(), tarn_slice_from_cstr(directory), &options, &kv, &err), &err);
    model_expect_ok(tarn_kv_verify(kv, &err), &err);
    tarn_buffer value = {0};
    for (unsigned t = 0; t < WRITERS; t++) {
        bool ended = false;
        // A little further than was told: the last message may not have been sent.
        for (uint64_t n = 0; n < acknowledged[t] + 20; n++) {
            char room[32];
            tarn_slice key = key_of(t, n, room);
            bool found = false;
            model_expect_ok(tarn_kv_get(kv, NULL, key, &value, &found, &err), &err);
            if (found) assert_true(tarn_slice_equal(tarn_buffer_slice(&value), key));
            if (n < acknowledged[t]) assert_true(found);
            assert_false(found && ended); // a gap
            ended = !found;
        }
    }
    tarn_buffer_free(&value);
    model_expect_ok(tarn_kv_close(kv, &err), &err);
}

static void run_engine(tarn_kv_engine engine) {
    size_t rounds = model_rounds(2);
    for (size_t round = 0; round < rounds; round++) {
        char directory[] = "/tmp/tarn-kv-kill-XXXXXX";
        assert_non_null(mkdtemp(directory));
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        size_t limit = 1 + test_random_below(3000);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) be_killed(directory, engine, ends[1]);
        close(ends[1]);
        uint64_t acknowledged[WRITERS] = {0};
        watch(ends[0], child, limit, acknowledged);
        close(ends[0]);
        assert_int_equal(waitpid(child, NULL, 0), child);
        check(directory, engine, acknowledged);
        assert_int_equal(
            tarn_os_remove_tree(tarn_os_posix(), tarn_slice_from_cstr(directory), NULL), TARN_OK);
    }
}

TEST(what_a_killed_process_acknowledged_is_there) {
    model_for_each_engine(run_engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_killed_process_acknowledged_is_there),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
