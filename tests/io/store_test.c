#include "io/io.h"

#include <string.h>

#include "os/backend.h"
#include "os/sim.h"
#include "tests/test.h"

static const tarn_sim_power_mode all_modes[] = {TARN_SIM_DROP, TARN_SIM_TEAR, TARN_SIM_REORDER};
enum { MODE_COUNT = 3, SEEDS = 10, CONTENT_BYTES = 700000 };

static tarn_error err;
static tarn_arena arena;
static tarn_sim *sim;
static tarn_store *store;
static uint8_t content[CONTENT_BYTES];

// ---- a machine with one store at /w ----

static void open_store(void) {
    assert_int_equal(
        tarn_store_open_local(tarn_sim_os(sim), &tarn_alloc_libc, TARN_LIT("/w/"), &store, &err),
        TARN_OK);
}

static void end_machine(void) {
    tarn_store_close(store);
    store = NULL;
    tarn_sim_free(sim);
    sim = NULL;
}

static void new_machine(uint64_t seed) {
    end_machine();
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, seed, &sim, &err), TARN_OK);
    open_store();
}

static int set_up(void **state) {
    (void)state;
    tarn_arena_init(&arena, &tarn_alloc_libc, 256 << 20);
    for (size_t i = 0; i < CONTENT_BYTES; i++) content[i] = (uint8_t)(1 + i % 255);
    new_machine(test_random());
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    end_machine();
    tarn_arena_reset(&arena);
    return 0;
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static tarn_status put_new(const char *path, tarn_slice bytes) {
    return tarn_store_put(store, tarn_slice_from_cstr(path), bytes, TARN_WRITE_EXCLUSIVE, &err);
}

static bool exists(const char *path) {
    tarn_file_info info;
    assert_int_equal(tarn_store_stat(store, tarn_slice_from_cstr(path), &info, &err), TARN_OK);
    return info.exists;
}

static bool holds(const char *path, tarn_slice expected) {
    tarn_slice bytes;
    assert_int_equal(
        tarn_store_get(store, tarn_slice_from_cstr(path), CONTENT_BYTES, &arena, &bytes, &err),
        TARN_OK);
    return tarn_slice_equal(bytes, expected);
}

static void assert_names(const char *prefix, const char *expected) {
    tarn_slice *names = NULL;
    size_t count = 0;
    assert_int_equal(
        tarn_store_list(store, tarn_slice_from_cstr(prefix), &arena, &names, &count, &err),
        TARN_OK);
    char joined[512] = "";
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s" TARN_SLICE_FMT,
                       i == 0 ? "" : " ", TARN_SLICE_ARG(names[i]));
    }
    assert_string_equal(joined, expected);
}

// Writes an object of `len` bytes in random pieces. The writer is gone afterwards.
static tarn_status write_object(const char *path, size_t len) {
    tarn_store_writer *writer = NULL;
    TARN_TRY(tarn_store_create(store, tarn_slice_from_cstr(path), &writer, &err));
    for (size_t begin = 0; begin < len;) {
        size_t piece_len = test_random_below((size_t)1 << test_random_below(20));
        if (piece_len > len - begin) piece_len = len - begin;
        tarn_status status =
            tarn_store_writer_append(writer, (tarn_slice){content + begin, piece_len}, &err);
        if (status != TARN_OK) {
            tarn_store_writer_abort(writer);
            return status;
        }
        begin += piece_len;
        assert_int_equal(tarn_store_writer_position(writer), begin);
    }
    return tarn_store_writer_finish(writer, &err);
}

// ---- objects ----

TEST(an_object_over_bytes_reads_ranges_and_refuses_those_beyond) {
    tarn_object *object = NULL;
    assert_int_equal(tarn_object_from_bytes(&tarn_alloc_libc, TARN_LIT("name"),
                                            TARN_LIT("0123456789"), &object, &err),
                     TARN_OK);
    assert_int_equal(tarn_object_size(object), 10);
    assert_true(tarn_slice_equal(tarn_object_name(object), TARN_LIT("name")));
    uint8_t bytes[10] = {0};
    assert_int_equal(tarn_object_read(object, 7, bytes, 3, &err), TARN_OK);
    assert_memory_equal(bytes, "789", 3);
    assert_int_equal(tarn_object_read(object, 10, bytes, 0, &err), TARN_OK);
    assert_int_equal(tarn_object_read(object, 8, bytes, 3, &err), TARN_CORRUPT);
    assert_string_equal(err.message, "'name' has 10 bytes, 3 at offset 8 are beyond them");
    assert_int_equal(tarn_object_read(object, UINT64_MAX, bytes, 2, &err), TARN_CORRUPT);
    tarn_object_close(object);
    tarn_object_close(NULL);
}

TEST(a_finished_object_reads_back_in_any_ranges) {
    for (int round = 0; round < 20; round++) {
        new_machine(test_random());
        size_t len = test_random_below(CONTENT_BYTES);
        assert_int_equal(write_object("t/bucket-0/data", len), TARN_OK);
        tarn_object *object = NULL;
        assert_int_equal(tarn_store_open(store, TARN_LIT("t/bucket-0/data"), &object, &err),
                         TARN_OK);
        assert_int_equal(tarn_object_size(object), len);
        static uint8_t bytes[CONTENT_BYTES];
        size_t begin = test_random_below(len + 1);
        size_t range_len = test_random_below(len - begin + 1);
        assert_int_equal(tarn_object_read(object, begin, bytes, range_len, &err), TARN_OK);
        assert_memory_equal(bytes, content + begin, range_len);
        assert_int_equal(tarn_object_read(object, begin, bytes, len - begin + 1, &err),
                         TARN_CORRUPT);
        tarn_object_close(object);
    }
    tarn_object *object = NULL;
    assert_int_equal(tarn_store_open(store, TARN_LIT("t/missing"), &object, &err), TARN_IO);
    assert_string_equal(err.message, "cannot open '/w/t/missing': no such file or directory");
    assert_null(object);
}

TEST(an_object_is_not_seen_before_it_is_finished) {
    tarn_store_writer *writer = NULL;
    assert_int_equal(tarn_store_create(store, TARN_LIT("t/a"), &writer, &err), TARN_OK);
    assert_int_equal(tarn_store_writer_append(writer, (tarn_slice){content, 300000}, &err),
                     TARN_OK);
    assert_false(exists("t/a"));
    assert_names("t", "");
    assert_int_equal(tarn_store_writer_finish(writer, &err), TARN_OK);
    assert_names("t", "a");
    assert_names("", "t");
}

TEST(an_aborted_object_leaves_nothing_behind) {
    tarn_store_writer *writer = NULL;
    assert_int_equal(tarn_store_create(store, TARN_LIT("t/a"), &writer, &err), TARN_OK);
    assert_int_equal(tarn_store_writer_append(writer, (tarn_slice){content, 300000}, &err),
                     TARN_OK);
    tarn_store_writer_abort(writer);
    tarn_store_writer_abort(NULL);
    tarn_slice *names = NULL;
    size_t count = 1;
    assert_int_equal(tarn_os_list(tarn_sim_os(sim), TARN_LIT("/w/t"), &arena, &names, &count, &err),
                     TARN_OK);
    assert_int_equal(count, 0);
}

TEST(the_second_writer_of_a_path_is_in_conflict) {
    tarn_store_writer *writers[2] = {NULL};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tarn_store_create(store, TARN_LIT("a"), &writers[i], &err), TARN_OK);
        assert_int_equal(tarn_store_writer_append(writers[i], (tarn_slice){content + i, 5}, &err),
                         TARN_OK);
    }
    assert_int_equal(tarn_store_writer_finish(writers[1], &err), TARN_OK);
    assert_int_equal(tarn_store_writer_finish(writers[0], &err), TARN_CONFLICT);
    assert_string_equal(err.message, "'/w/a' exists already");
    assert_true(holds("a", (tarn_slice){content + 1, 5}));
    assert_int_equal(put_new("a", TARN_LIT("x")), TARN_CONFLICT);
    assert_int_equal(tarn_store_put(store, TARN_LIT("a"), TARN_LIT("x"), TARN_WRITE_REPLACE, &err),
                     TARN_OK);
    assert_true(holds("a", TARN_LIT("x")));
}

TEST(paths_that_leave_the_root_or_have_two_spellings_are_invalid) {
    const char *const bad[] = {"",  "/",  "/etc/passwd", "..",  "a/../b", "a/..",
                               ".", "a/", "a//b",        "./a", "a/./b"};
    tarn_slice *names = NULL;
    size_t count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tarn_slice path = tarn_slice_from_cstr(bad[i]);
        tarn_store_writer *writer = NULL;
        assert_int_equal(put_new(bad[i], TARN_LIT("x")), TARN_INVALID);
        assert_int_equal(tarn_store_create(store, path, &writer, &err), TARN_INVALID);
        assert_int_equal(tarn_store_remove_tree(store, path, &err), TARN_INVALID);
        if (path.len == 0) continue; // lists the root
        assert_int_equal(tarn_store_list(store, path, &arena, &names, &count, &err), TARN_INVALID);
    }
    assert_int_equal(put_new("..a/...", TARN_LIT("x")), TARN_OK); // only look like it
}

TEST(a_removed_tree_stays_removed_with_its_leftovers) {
    assert_int_equal(put_new("t/schema/schema-0", TARN_LIT("{}")), TARN_OK);
    assert_int_equal(write_object("t/bucket-0/data", 1000), TARN_OK);
    tarn_store_writer *writer = NULL;
    assert_int_equal(tarn_store_create(store, TARN_LIT("t/bucket-0/torn"), &writer, &err), TARN_OK);
    assert_int_equal(tarn_store_remove_tree(store, TARN_LIT("t"), &err), TARN_OK);
    tarn_store_writer_abort(writer);
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    assert_false(exists("t"));
    assert_int_equal(tarn_store_remove_tree(store, TARN_LIT("t/also/missing"), &err), TARN_OK);
    assert_int_equal(tarn_store_remove(store, TARN_LIT("t/missing"), &err), TARN_OK);
}

// ---- faults and crashes ----

TEST(a_failing_write_is_reported_and_leaves_no_object_or_a_whole_one) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_status status = TARN_IO;
        for (uint64_t n = 1; status != TARN_OK; n++) {
            new_machine(seed);
            tarn_sim_fail_write_at(sim, n);
            status = write_object("t/a", 600000);
            assert_true(status == TARN_OK || status == TARN_IO);
            assert_int_equal(tarn_sim_open_count(sim), 0);
            if (exists("t/a")) assert_true(holds("t/a", (tarn_slice){content, 600000}));
            if (status == TARN_OK) assert_true(exists("t/a"));
        }
    }
}

TEST(a_full_disk_refuses_the_object_and_gives_its_space_back) {
    tarn_sim_set_capacity(sim, 500000);
    assert_int_equal(write_object("a", 600000), TARN_IO);
    assert_non_null(strstr(err.message, "no space left on device"));
    assert_false(exists("a"));
    assert_int_equal(write_object("a", 500000), TARN_OK);
}

TEST(after_a_failed_append_a_writer_cannot_finish) {
    tarn_store_writer *writer = NULL;
    assert_int_equal(tarn_store_create(store, TARN_LIT("a"), &writer, &err), TARN_OK);
    tarn_sim_fail_write_at(sim, 1);
    assert_int_equal(tarn_store_writer_append(writer, (tarn_slice){content, 500000}, &err),
                     TARN_IO);
    assert_int_equal(tarn_store_writer_append(writer, TARN_LIT("x"), &err), TARN_IO);
    assert_string_equal(err.message, "an earlier append to this object failed");
    assert_int_equal(tarn_store_writer_finish(writer, &err), TARN_IO);
    assert_names("", "");
    assert_int_equal(tarn_sim_open_count(sim), 0);
}

// Two objects, one after the other, in directories that do not exist yet. What was acknowledged is
// there, the other is there whole or not at all, and work goes on after the reboot.
TEST(acknowledged_objects_survive_a_crash_at_every_write) {
    static const char *const paths[] = {"t/p=1/a", "t/p=2/b"};
    const size_t lens[] = {300000, 1000};
    for (uint64_t seed = 0; seed < (uint64_t)SEEDS * MODE_COUNT; seed++) {
        bool has_crashed = true;
        for (uint64_t n = 1; has_crashed; n++) {
            new_machine(seed);
            tarn_sim_crash_at(sim, n);
            tarn_status acknowledged[2];
            for (int i = 0; i < 2; i++) acknowledged[i] = write_object(paths[i], lens[i]);
            has_crashed = tarn_sim_has_crashed(sim);
            assert_int_equal(tarn_sim_open_count(sim), 0);
            tarn_store_close(store);
            tarn_sim_power_loss(sim, all_modes[seed % MODE_COUNT]);
            open_store();
            for (int i = 0; i < 2; i++) {
                bool is_there = exists(paths[i]);
                assert_true(is_there || acknowledged[i] != TARN_OK);
                if (is_there) assert_true(holds(paths[i], (tarn_slice){content, lens[i]}));
                assert_int_equal(put_new(paths[i], TARN_LIT("x")),
                                 is_there ? TARN_CONFLICT : TARN_OK);
            }
        }
    }
}

// ---- threads ----

enum { THREADS = 4, OBJECTS = 40 };

typedef struct putter {
    int number;
    int acknowledged;
} putter;

static void put_in_new_directories(void *context) {
    putter *self = context;
    for (int i = 0; i < OBJECTS; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "t/p=%d/bucket-%d/x", i, self->number);
        tarn_error error;
        tarn_status status =
            tarn_store_put(store, tarn_slice_from_cstr(path), tarn_slice_from_cstr(path),
                           TARN_WRITE_EXCLUSIVE, &error);
        self->acknowledged += status == TARN_OK;
    }
}

// The machine loses its power at a random write; what each thread put until then is there.
TEST(threads_that_make_the_same_directories_lose_no_object) {
    for (int round = 0; round < 10; round++) {
        new_machine(test_random());
        if (round > 0) tarn_sim_crash_at(sim, 1 + test_random_below((size_t)THREADS * OBJECTS * 8));
        putter putters[THREADS] = {0};
        tarn_thread *threads[THREADS] = {NULL};
        for (int i = 0; i < THREADS; i++) {
            putters[i].number = i;
            assert_int_equal(
                tarn_thread_start(put_in_new_directories, &putters[i], &threads[i], &err), TARN_OK);
        }
        for (int i = 0; i < THREADS; i++) tarn_thread_join(threads[i]);
        tarn_sim_power_loss(sim, TARN_SIM_DROP);
        for (int i = 0; i < THREADS; i++) {
            if (round == 0) assert_int_equal(putters[i].acknowledged, OBJECTS);
            for (int k = 0; k < putters[i].acknowledged; k++) { // all, until the crash
                char path[64];
                (void)snprintf(path, sizeof path, "t/p=%d/bucket-%d/x", k, i);
                assert_true(holds(path, tarn_slice_from_cstr(path)));
            }
        }
    }
}

// A thread that is stopped between the creation of the directory /w/t and its sync.
typedef struct stopped {
    tarn_mutex *lock;
    tarn_cond *changed;
    bool is_inside;  // guarded by lock
    bool may_go_on;  // guarded by lock
    os_backend real; // what the machine really does
} stopped;

static stopped stop;

static int stop_before_sync(tarn_os *os, const char *path) {
    tarn_mutex_lock(stop.lock);
    if (strcmp(path, "/w") == 0 && !stop.is_inside) {
        stop.is_inside = true;
        tarn_cond_broadcast(stop.changed);
        // Whoever respects that the directory is not durable yet never says go on.
        bool was_told = true;
        while (!stop.may_go_on && was_told) {
            was_told = tarn_cond_wait_ms(stop.changed, stop.lock, 100);
        }
    }
    tarn_mutex_unlock(stop.lock);
    return stop.real.sync_dir(os, path);
}

static void put_first(void *context) {
    tarn_status *ret_status = context;
    tarn_error error;
    *ret_status =
        tarn_store_put(store, TARN_LIT("t/a"), TARN_LIT("a"), TARN_WRITE_EXCLUSIVE, &error);
}

TEST(an_object_is_not_acknowledged_before_the_directory_that_another_thread_makes) {
    tarn_os *os = tarn_sim_os(sim);
    stop = (stopped){.real = *os->backend};
    assert_int_equal(tarn_mutex_new(TARN_LOCK_FLOW, &stop.lock, &err), TARN_OK);
    assert_int_equal(tarn_cond_new(&stop.changed, &err), TARN_OK);
    os_backend stopping = stop.real;
    stopping.sync_dir = stop_before_sync;
    os->backend = &stopping;

    tarn_thread *thread = NULL;
    tarn_status first = TARN_OK;
    assert_int_equal(tarn_thread_start(put_first, &first, &thread, &err), TARN_OK);
    tarn_mutex_lock(stop.lock);
    while (!stop.is_inside) tarn_cond_wait(stop.changed, stop.lock);
    tarn_mutex_unlock(stop.lock);
    assert_int_equal(put_new("t/b", TARN_LIT("b")), TARN_OK);
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    tarn_mutex_lock(stop.lock);
    stop.may_go_on = true;
    tarn_cond_broadcast(stop.changed);
    tarn_mutex_unlock(stop.lock);
    tarn_thread_join(thread);

    os->backend = &stop.real;
    assert_true(holds("t/b", TARN_LIT("b")));
    tarn_cond_free(stop.changed);
    tarn_mutex_free(stop.lock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(an_object_over_bytes_reads_ranges_and_refuses_those_beyond),
        STORE_TEST(a_finished_object_reads_back_in_any_ranges),
        STORE_TEST(an_object_is_not_seen_before_it_is_finished),
        STORE_TEST(an_aborted_object_leaves_nothing_behind),
        STORE_TEST(the_second_writer_of_a_path_is_in_conflict),
        STORE_TEST(paths_that_leave_the_root_or_have_two_spellings_are_invalid),
        STORE_TEST(a_removed_tree_stays_removed_with_its_leftovers),
        STORE_TEST(a_failing_write_is_reported_and_leaves_no_object_or_a_whole_one),
        STORE_TEST(a_full_disk_refuses_the_object_and_gives_its_space_back),
        STORE_TEST(after_a_failed_append_a_writer_cannot_finish),
        STORE_TEST(acknowledged_objects_survive_a_crash_at_every_write),
        STORE_TEST(threads_that_make_the_same_directories_lose_no_object),
        STORE_TEST(an_object_is_not_acknowledged_before_the_directory_that_another_thread_makes),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
