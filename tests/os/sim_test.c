#include "os/sim.h"

#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "tests/test.h"

static const tarn_sim_power_mode all_modes[] = {TARN_SIM_DROP, TARN_SIM_TEAR, TARN_SIM_REORDER};
enum { MODE_COUNT = 3, SEEDS = 20 };

static tarn_error err;
static tarn_arena arena;

static int set_up(void **state) {
    (void)state;
    tarn_arena_init(&arena, &tarn_alloc_libc, 64 << 20);
    return 0;
}

// Frees the machine that the test left in *state.
static int tear_down(void **state) {
    tarn_sim_free(*state);
    tarn_arena_reset(&arena);
    return 0;
}

#define SIM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static tarn_sim *new_sim(void **state, uint64_t seed) {
    tarn_sim_free(*state);
    *state = NULL;
    tarn_sim *sim = NULL;
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, seed, &sim, &err), TARN_OK);
    *state = sim;
    return sim;
}

static tarn_slice text(const char *cstr) {
    return tarn_slice_from_cstr(cstr);
}

static tarn_status put(tarn_sim *sim, const char *path, tarn_slice bytes) {
    return tarn_os_write_file(tarn_sim_os(sim), text(path), bytes, TARN_WRITE_REPLACE, &err);
}

static tarn_status put_new(tarn_sim *sim, const char *path, tarn_slice bytes) {
    return tarn_os_write_file(tarn_sim_os(sim), text(path), bytes, TARN_WRITE_EXCLUSIVE, &err);
}

static bool exists(tarn_sim *sim, const char *path) {
    tarn_file_info info;
    assert_int_equal(tarn_os_stat(tarn_sim_os(sim), text(path), &info, &err), TARN_OK);
    return info.exists;
}

static tarn_slice content(tarn_sim *sim, const char *path) {
    tarn_slice bytes;
    assert_int_equal(
        tarn_os_read_file(tarn_sim_os(sim), text(path), SIZE_MAX, &arena, &bytes, &err), TARN_OK);
    return bytes;
}

static bool holds(tarn_sim *sim, const char *path, tarn_slice expected) {
    return tarn_slice_equal(content(sim, path), expected);
}

static tarn_file *open_file(tarn_sim *sim, const char *path, tarn_open_mode mode) {
    tarn_file *file = NULL;
    assert_int_equal(tarn_os_open(tarn_sim_os(sim), text(path), mode, &file, &err), TARN_OK);
    return file;
}

static void append(tarn_file *file, tarn_slice bytes) {
    assert_int_equal(tarn_file_append(file, bytes, &err), TARN_OK);
}

// Bytes without zeros, in which every sector differs from every other.
static tarn_slice pattern(size_t len) {
    uint8_t *bytes = tarn_arena_new(&arena, uint8_t, len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(1 + (i + i / 512 * 7) % 255);
    return (tarn_slice){bytes, len};
}

// ---- whole files ----

// Writes `bytes` over what is there, with a crash at the n-th write. Returns whether it came so
// far.
static bool crash_during_write(tarn_sim *sim, uint64_t n, tarn_write_mode mode, tarn_slice bytes) {
    tarn_sim_crash_at(sim, n);
    tarn_status status = tarn_os_write_file(tarn_sim_os(sim), TARN_LIT("/f"), bytes, mode, &err);
    bool has_crashed = tarn_sim_has_crashed(sim);
    assert_int_equal(tarn_sim_open_count(sim), 0);
    // A crash in the removal of the temporary name is seen by the sync that follows.
    assert_int_equal(status, has_crashed ? TARN_IO : TARN_OK);
    return has_crashed;
}

TEST(a_crash_during_replace_leaves_the_old_content_or_the_new) {
    tarn_slice old = pattern(3000);
    tarn_slice fresh = tarn_slice_skip(pattern(9000), 1000);
    int old_count = 0;
    int new_count = 0;
    for (uint64_t seed = 0; seed < (uint64_t)SEEDS * MODE_COUNT; seed++) {
        bool has_crashed = true;
        for (uint64_t n = 1; has_crashed; n++) {
            assert_in_range(n, 1, 10);
            tarn_sim *sim = new_sim(state, seed);
            assert_int_equal(put(sim, "/f", old), TARN_OK);
            has_crashed = crash_during_write(sim, n, TARN_WRITE_REPLACE, fresh);
            tarn_sim_power_loss(sim, all_modes[seed % MODE_COUNT]);
            bool is_new = holds(sim, "/f", fresh);
            assert_true(is_new || (has_crashed && holds(sim, "/f", old)));
            new_count += is_new;
            old_count += !is_new;
        }
    }
    assert_true(old_count > 0 && new_count > 0);
}

TEST(a_crash_during_exclusive_create_leaves_no_file_or_a_whole_one) {
    tarn_slice fresh = pattern(5000);
    for (uint64_t seed = 0; seed < (uint64_t)SEEDS * MODE_COUNT; seed++) {
        bool has_crashed = true;
        for (uint64_t n = 1; has_crashed; n++) {
            assert_in_range(n, 1, 10);
            tarn_sim *sim = new_sim(state, seed);
            has_crashed = crash_during_write(sim, n, TARN_WRITE_EXCLUSIVE, fresh);
            tarn_sim_power_loss(sim, all_modes[seed % MODE_COUNT]);
            bool is_there = exists(sim, "/f");
            assert_true(is_there || has_crashed);
            if (is_there) assert_true(holds(sim, "/f", fresh));
            assert_int_equal(put_new(sim, "/f", fresh), is_there ? TARN_CONFLICT : TARN_OK);
        }
    }
}

TEST(a_failed_write_is_reported_and_can_be_repeated) {
    tarn_slice old = pattern(3000);
    tarn_slice fresh = tarn_slice_skip(pattern(9000), 1000);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_status status = TARN_IO;
        for (uint64_t n = 1; status != TARN_OK; n++) {
            assert_in_range(n, 1, 10);
            tarn_sim *sim = new_sim(state, seed);
            assert_int_equal(put(sim, "/f", old), TARN_OK);
            tarn_sim_fail_write_at(sim, n);
            status = put(sim, "/f", fresh);
            assert_true(status == TARN_OK || status == TARN_IO);
            assert_int_equal(tarn_sim_open_count(sim), 0);
            assert_true(holds(sim, "/f", fresh) || (status == TARN_IO && holds(sim, "/f", old)));
            tarn_sim_fail_write_at(sim, 0);
            assert_int_equal(put(sim, "/f", fresh), TARN_OK);
            tarn_sim_power_loss(sim, TARN_SIM_DROP);
            assert_true(holds(sim, "/f", fresh));
        }
    }
}

// ---- the disk against a model ----

enum { NAMES = 6, STEPS = 60 };

// A file of the model. `name_is_safe`: the last change of this name was synced.
typedef struct model_file {
    bool exists;
    bool name_is_safe;
    tarn_buffer bytes;
    size_t synced_len;
} model_file;

static const char *const model_paths[NAMES] = {"/d/a", "/d/b", "/d/c", "/d/d", "/d/e", "/d/f"};

static void model_append(tarn_sim *sim, model_file *file, const char *path) {
    tarn_slice bytes = pattern(1 + test_random_below(2000));
    tarn_file *handle = open_file(sim, path, TARN_OPEN_APPEND);
    append(handle, bytes);
    assert_true(tarn_buffer_append(&file->bytes, bytes));
    if (test_random_below(2) == 0) {
        assert_int_equal(tarn_file_sync(handle, &err), TARN_OK);
        file->synced_len = file->bytes.len;
    }
    assert_int_equal(tarn_file_close(handle, &err), TARN_OK);
    if (!file->exists) file->name_is_safe = false;
    file->exists = true;
}

static void model_step(tarn_sim *sim, model_file files[NAMES]) {
    size_t i = test_random_below(NAMES);
    size_t action = test_random_below(10);
    if (action < 6) {
        model_append(sim, &files[i], model_paths[i]);
    } else if (action == 6 && files[i].exists) {
        assert_int_equal(tarn_os_remove(tarn_sim_os(sim), text(model_paths[i]), &err), TARN_OK);
        tarn_buffer_free(&files[i].bytes);
        files[i] = (model_file){0};
    } else if (action == 7 && files[i].exists) {
        size_t j = (i + 1) % NAMES;
        assert_int_equal(
            tarn_os_rename(tarn_sim_os(sim), text(model_paths[i]), text(model_paths[j]), &err),
            TARN_OK);
        tarn_buffer_free(&files[j].bytes);
        files[j] = files[i];
        files[j].name_is_safe = false;
        files[i] = (model_file){0};
    } else if (action == 8) {
        assert_int_equal(tarn_os_sync_dir(tarn_sim_os(sim), TARN_LIT("/d"), &err), TARN_OK);
        for (size_t k = 0; k < NAMES; k++) files[k].name_is_safe = true;
    }
}

// What the disk may be after a power loss, for one name.
static void check_survivor(tarn_sim *sim, const model_file *file, const char *path,
                           tarn_sim_power_mode mode) {
    if (!file->name_is_safe) return; // may be here, gone, or under its old name
    assert_int_equal(exists(sim, path), file->exists);
    if (!file->exists) return;
    tarn_slice survived = content(sim, path);
    tarn_slice written = tarn_buffer_slice(&file->bytes);
    assert_in_range(survived.len, file->synced_len, written.len);
    size_t sure_len = mode == TARN_SIM_TEAR ? survived.len : file->synced_len;
    assert_true(
        tarn_slice_equal(tarn_slice_head(survived, sure_len), tarn_slice_head(written, sure_len)));
    if (mode == TARN_SIM_DROP) assert_int_equal(survived.len, file->synced_len);
}

TEST(what_was_synced_survives_every_power_loss) {
    for (int round = 0; round < 60; round++) {
        tarn_sim *sim = new_sim(state, test_random());
        tarn_sim_power_mode mode = all_modes[test_random_below(MODE_COUNT)];
        model_file files[NAMES];
        for (size_t i = 0; i < NAMES; i++) files[i] = (model_file){.name_is_safe = true};
        assert_int_equal(tarn_os_make_dirs(tarn_sim_os(sim), TARN_LIT("/d"), &err), TARN_OK);
        size_t steps = test_random_below(STEPS);
        for (size_t i = 0; i < steps; i++) model_step(sim, files);
        for (size_t i = 0; i < NAMES; i++) { // before: the disk is what was written
            assert_int_equal(exists(sim, model_paths[i]), files[i].exists);
            if (!files[i].exists) continue;
            assert_true(holds(sim, model_paths[i], tarn_buffer_slice(&files[i].bytes)));
        }
        tarn_sim_power_loss(sim, mode);
        for (size_t i = 0; i < NAMES; i++) {
            check_survivor(sim, &files[i], model_paths[i], mode);
            tarn_buffer_free(&files[i].bytes);
        }
    }
}

// ---- unsynced bytes ----

// One file of 20 sectors in one append, never synced; its name is.
static void write_unsynced(tarn_sim *sim, tarn_slice bytes) {
    tarn_file *file = open_file(sim, "/f", TARN_OPEN_CREATE);
    append(file, bytes);
    assert_int_equal(tarn_file_close(file, &err), TARN_OK);
    assert_int_equal(tarn_os_sync_dir(tarn_sim_os(sim), TARN_LIT("/"), &err), TARN_OK);
}

TEST(dropped_bytes_are_gone_and_torn_ones_end_at_a_sector) {
    tarn_slice bytes = pattern((size_t)20 * 512);
    int partial_count = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        write_unsynced(sim, bytes);
        tarn_sim_power_loss(sim, TARN_SIM_DROP);
        assert_int_equal(content(sim, "/f").len, 0);

        sim = new_sim(state, seed);
        write_unsynced(sim, bytes);
        tarn_sim_power_loss(sim, TARN_SIM_TEAR);
        tarn_slice survived = content(sim, "/f");
        assert_int_equal(survived.len % 512, 0);
        assert_true(tarn_slice_equal(survived, tarn_slice_head(bytes, survived.len)));
        partial_count += survived.len > 0 && survived.len < bytes.len;
    }
    assert_true(partial_count > 0);
}

TEST(reordered_bytes_survive_in_whole_sectors_in_any_order) {
    tarn_slice bytes = pattern((size_t)20 * 512);
    int hole_count = 0; // a lost sector before one that survived
    int full_length_count = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        write_unsynced(sim, bytes);
        tarn_sim_power_loss(sim, TARN_SIM_REORDER);
        tarn_slice survived = content(sim, "/f");
        assert_int_equal(survived.len % 512, 0);
        bool has_lost = false;
        for (size_t begin = 0; begin < survived.len; begin += 512) {
            size_t same = 0;
            for (size_t i = begin; i < begin + 512; i++) same += survived.data[i] == bytes.data[i];
            assert_true(same == 512 || same < 40); // noise agrees here and there
            hole_count += has_lost && same == 512;
            has_lost = has_lost || same < 512;
        }
        full_length_count += survived.len == bytes.len;
    }
    assert_true(hole_count > 0 && full_length_count > 0);
}

TEST(appends_that_share_a_sector_survive_in_their_order) {
    int counts[4] = {0};
    for (uint64_t seed = 0; seed < 100; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_file *file = open_file(sim, "/f", TARN_OPEN_CREATE);
        for (int i = 0; i < 3; i++) append(file, TARN_LIT("0123456789"));
        assert_int_equal(tarn_file_close(file, &err), TARN_OK);
        assert_int_equal(tarn_os_sync_dir(tarn_sim_os(sim), TARN_LIT("/"), &err), TARN_OK);
        tarn_sim_power_loss(sim, TARN_SIM_REORDER);
        tarn_slice survived = content(sim, "/f");
        size_t intact = 0;
        while (intact * 10 < survived.len && survived.data[intact * 10] == '0' &&
               survived.data[intact * 10 + 9] == '9') {
            intact++;
        }
        for (size_t i = intact; i * 10 < survived.len; i++) {
            assert_false(survived.data[i * 10] == '0' && survived.data[i * 10 + 9] == '9');
        }
        counts[intact]++;
    }
    for (int i = 0; i < 4; i++) assert_true(counts[i] > 0);
}

TEST(a_failed_sync_forgets_bytes_that_no_later_sync_saves) {
    tarn_slice lost = pattern(512);
    int outcomes[2] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_file *file = open_file(sim, "/f", TARN_OPEN_CREATE);
        append(file, lost);
        tarn_sim_fail_write_at(sim, 1);
        assert_int_equal(tarn_file_sync(file, &err), TARN_IO);
        assert_string_equal(err.message, "cannot sync '/f': input/output error");
        assert_int_equal(tarn_file_append(file, TARN_LIT("x"), &err), TARN_IO);
        assert_int_equal(tarn_file_sync(file, &err), TARN_IO);
        (void)tarn_file_close(file, NULL); // has failed

        file = open_file(sim, "/f", TARN_OPEN_APPEND); // the mistake: as if nothing had happened
        append(file, TARN_LIT("tail"));
        assert_int_equal(tarn_file_sync(file, &err), TARN_OK);
        assert_int_equal(tarn_file_close(file, &err), TARN_OK);
        assert_int_equal(tarn_os_sync_dir(tarn_sim_os(sim), TARN_LIT("/"), &err), TARN_OK);
        tarn_sim_power_loss(sim, TARN_SIM_DROP);
        tarn_slice survived = content(sim, "/f");
        assert_int_equal(survived.len, 516);
        assert_memory_equal(survived.data + 512, "tail", 4);
        outcomes[tarn_slice_equal(tarn_slice_head(survived, 512), lost)]++;
    }
    assert_true(outcomes[0] > 0 && outcomes[1] > 0);
}

TEST(a_failing_append_leaves_a_prefix_and_the_file_refuses_for_good) {
    tarn_slice bytes = pattern(5000);
    int at_sector = 0;
    int anywhere = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_file *file = open_file(sim, "/f", TARN_OPEN_CREATE);
        append(file, tarn_slice_head(bytes, 100));
        tarn_sim_fail_write_at(sim, 1);
        assert_int_equal(tarn_file_append(file, tarn_slice_skip(bytes, 100), &err), TARN_IO);
        assert_int_equal(tarn_file_append(file, TARN_LIT("x"), &err), TARN_IO);
        assert_non_null(strstr(err.message, "an earlier write or sync of it failed"));
        (void)tarn_file_close(file, NULL); // has failed
        tarn_slice left = content(sim, "/f");
        assert_in_range(left.len, 100, 5000);
        assert_true(tarn_slice_equal(left, tarn_slice_head(bytes, left.len)));
        at_sector += left.len % 512 == 0;
        anywhere += left.len % 512 != 0 && left.len > 100;
    }
    assert_true(at_sector > 0 && anywhere > 0);
}

// ---- names ----

TEST(a_file_of_an_unsynced_directory_is_lost_whatever_was_synced_in_it) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_os *os = tarn_sim_os(sim);
    assert_int_equal(tarn_os_make_dirs(os, TARN_LIT("/d"), &err), TARN_OK);
    assert_int_equal(put(sim, "/d/f", TARN_LIT("x")), TARN_OK);
    assert_int_equal(tarn_os_rename(os, TARN_LIT("/d"), TARN_LIT("/e"), &err), TARN_OK);
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    assert_true(holds(sim, "/d/f", TARN_LIT("x")));
    assert_false(exists(sim, "/e"));

    assert_int_equal(tarn_os_remove_tree(os, TARN_LIT("/d"), &err), TARN_OK);
    assert_false(exists(sim, "/d"));
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    assert_true(holds(sim, "/d/f", TARN_LIT("x")));
    assert_int_equal(tarn_os_remove_tree(os, TARN_LIT("/d"), &err), TARN_OK);
    assert_int_equal(tarn_os_sync_dir(os, TARN_LIT("/"), &err), TARN_OK);
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    assert_false(exists(sim, "/d"));
}

// A journal could lose the file, or show it twice, if it cut a rename in two.
TEST(a_rename_between_directories_is_never_half_done) {
    int outcomes[2] = {0};
    for (uint64_t seed = 0; seed < (uint64_t)SEEDS * MODE_COUNT; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_os *os = tarn_sim_os(sim);
        assert_int_equal(tarn_os_make_dirs(os, TARN_LIT("/a"), &err), TARN_OK);
        assert_int_equal(tarn_os_make_dirs(os, TARN_LIT("/b"), &err), TARN_OK);
        assert_int_equal(put(sim, "/a/f", TARN_LIT("x")), TARN_OK);
        tarn_file *replaced = open_file(sim, "/b/f", TARN_OPEN_CREATE); // its name is not synced
        assert_int_equal(tarn_file_close(replaced, &err), TARN_OK);
        assert_int_equal(tarn_os_rename(os, TARN_LIT("/a/f"), TARN_LIT("/b/f"), &err), TARN_OK);
        size_t sync_count = test_random_below(3);
        for (size_t i = 0; i < sync_count; i++) {
            tarn_slice either = (seed + i) % 2 == 0 ? TARN_LIT("/a") : TARN_LIT("/b");
            assert_int_equal(tarn_os_sync_dir(os, either, &err), TARN_OK);
        }
        tarn_sim_power_loss(sim, all_modes[seed % MODE_COUNT]);
        bool is_moved = exists(sim, "/b/f") && holds(sim, "/b/f", TARN_LIT("x"));
        assert_int_equal(exists(sim, "/a/f"), !is_moved);
        if (sync_count > 0) assert_true(is_moved);
        outcomes[is_moved]++;
    }
    assert_true(outcomes[0] > 0 && outcomes[1] > 0);
}

TEST(a_made_directory_is_durable_also_after_a_failed_attempt) {
    for (uint64_t n = 1; n <= 8; n++) {
        tarn_sim *sim = new_sim(state, n);
        tarn_os *os = tarn_sim_os(sim);
        tarn_sim_fail_write_at(sim, n);
        tarn_status status = tarn_os_make_dirs(os, TARN_LIT("/a/b/c"), &err);
        assert_int_equal(status, n <= 6 ? TARN_IO : TARN_OK); // three times make and sync
        assert_int_equal(tarn_os_make_dirs(os, TARN_LIT("/a/b/c"), &err), TARN_OK);
        tarn_sim_power_loss(sim, TARN_SIM_DROP);
        assert_true(exists(sim, "/a/b/c"));
    }
}

TEST(renames_follow_posix) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_os *os = tarn_sim_os(sim);
    assert_int_equal(tarn_os_make_dirs(os, TARN_LIT("/a/b"), &err), TARN_OK);
    assert_int_equal(tarn_os_make_dirs(os, TARN_LIT("/empty"), &err), TARN_OK);
    assert_int_equal(put(sim, "f", TARN_LIT("1")), TARN_OK);
    const struct {
        const char *from;
        const char *to;
        const char *reason;
    } refused[] = {
        {"/missing", "/x", "no such file or directory"},
        {"/f", "/a", "is a directory"},
        {"/a", "/f", "not a directory"},
        {"/empty", "/a", "directory not empty"},
        {"/a", "/a/b/c", "invalid argument"},
        {"/f", "/f/x", "not a directory"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(tarn_os_rename(os, text(refused[i].from), text(refused[i].to), &err),
                         TARN_IO);
        assert_non_null(strstr(err.message, refused[i].reason));
    }
    assert_int_equal(tarn_os_rename(os, TARN_LIT("/a"), TARN_LIT("./empty/."), &err), TARN_OK);
    assert_true(exists(sim, "/empty/b"));
    assert_int_equal(tarn_os_rename(os, TARN_LIT("/f"), TARN_LIT("/f"), &err), TARN_OK);
    assert_true(holds(sim, "/empty/../f", TARN_LIT("1")));
    assert_int_equal(tarn_os_rename_exclusive(os, TARN_LIT("/f"), TARN_LIT("/empty"), &err),
                     TARN_CONFLICT);
}

// ---- faults ----

TEST(after_a_crash_every_call_fails_until_the_reboot) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_os *os = tarn_sim_os(sim);
    assert_int_equal(put(sim, "/f", TARN_LIT("x")), TARN_OK);
    tarn_file *file = open_file(sim, "/f", TARN_OPEN_READ);
    tarn_sim_crash_at(sim, 1);
    assert_int_equal(tarn_os_remove(os, TARN_LIT("/other"), &err), TARN_IO);
    assert_true(tarn_sim_has_crashed(sim));
    uint64_t write_count = tarn_sim_write_count(sim);

    tarn_file_info info;
    uint8_t byte;
    size_t len = 0;
    tarn_slice *names = NULL;
    tarn_file *other = NULL;
    tarn_file_lock *lock = NULL;
    assert_int_equal(tarn_file_read_at(file, 0, &byte, 1, &len, &err), TARN_IO);
    assert_int_equal(tarn_os_stat(os, TARN_LIT("/f"), &info, &err), TARN_IO);
    assert_int_equal(tarn_os_list(os, TARN_LIT("/"), &arena, &names, &len, &err), TARN_IO);
    assert_int_equal(tarn_os_open(os, TARN_LIT("/f"), TARN_OPEN_APPEND, &other, &err), TARN_IO);
    assert_int_equal(tarn_os_sync_dir(os, TARN_LIT("/"), &err), TARN_IO);
    assert_int_equal(tarn_os_lock(os, TARN_LIT("/l"), TARN_LIT("me"), &lock, &err), TARN_IO);
    assert_int_equal(tarn_sim_write_count(sim), write_count);

    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    assert_int_equal(tarn_file_read_at(file, 0, &byte, 1, &len, &err), TARN_IO); // dead for good
    assert_int_equal(tarn_file_close(file, &err), TARN_IO);
    assert_true(holds(sim, "/f", TARN_LIT("x")));
    assert_false(tarn_sim_has_crashed(sim));
}

TEST(the_chosen_read_fails_once) {
    tarn_sim *sim = new_sim(state, 1);
    assert_int_equal(put(sim, "/f", TARN_LIT("x")), TARN_OK);
    tarn_slice bytes;
    for (uint64_t n = 1; n <= 3; n++) { // open, size, read
        tarn_sim_fail_read_at(sim, n);
        for (int round = 0; round < 2; round++) {
            tarn_status status =
                tarn_os_read_file(tarn_sim_os(sim), TARN_LIT("/f"), 10, &arena, &bytes, &err);
            assert_int_equal(status, round == 0 ? TARN_IO : TARN_OK);
            assert_int_equal(tarn_sim_open_count(sim), 0);
        }
    }
}

TEST(a_full_disk_refuses_and_keeps_what_it_has) {
    tarn_sim *sim = new_sim(state, 1);
    assert_int_equal(put(sim, "/f", pattern(600)), TARN_OK);
    tarn_sim_set_capacity(sim, 1000);
    assert_int_equal(put(sim, "/f", pattern(401)), TARN_IO);
    assert_non_null(strstr(err.message, "no space left on device"));
    assert_true(holds(sim, "/f", pattern(600)));
    assert_int_equal(put(sim, "/f", pattern(400)), TARN_OK);
    assert_int_equal(put(sim, "/f", pattern(600)), TARN_OK); // what was replaced is free again

    tarn_file *file = open_file(sim, "/g", TARN_OPEN_CREATE);
    assert_int_equal(tarn_file_append(file, pattern(500), &err), TARN_IO);
    (void)tarn_file_close(file, NULL); // has failed
    assert_int_equal(content(sim, "/g").len, 400);
    assert_int_equal(tarn_os_make_dirs(tarn_sim_os(sim), TARN_LIT("/d"), &err), TARN_IO);
    assert_int_equal(tarn_os_remove(tarn_sim_os(sim), TARN_LIT("/g"), &err), TARN_OK);
    assert_int_equal(tarn_os_make_dirs(tarn_sim_os(sim), TARN_LIT("/d"), &err), TARN_OK);
}

TEST(a_read_only_directory_refuses_every_change_of_its_names) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_os *os = tarn_sim_os(sim);
    assert_int_equal(tarn_os_make_dirs(os, TARN_LIT("/d"), &err), TARN_OK);
    assert_int_equal(put(sim, "/d/f", TARN_LIT("x")), TARN_OK);
    assert_int_equal(put(sim, "/g", TARN_LIT("y")), TARN_OK);
    assert_int_equal(tarn_sim_set_read_only(sim, TARN_LIT("/d"), true, &err), TARN_OK);
    assert_int_equal(put(sim, "/d/f", TARN_LIT("z")), TARN_IO);
    assert_non_null(strstr(err.message, "permission denied"));
    assert_int_equal(tarn_os_remove(os, TARN_LIT("/d/f"), &err), TARN_IO);
    assert_int_equal(tarn_os_rename(os, TARN_LIT("/g"), TARN_LIT("/d/g"), &err), TARN_IO);
    assert_int_equal(tarn_os_rename(os, TARN_LIT("/d/f"), TARN_LIT("/f"), &err), TARN_IO);
    assert_int_equal(tarn_os_make_dirs(os, TARN_LIT("/d/e"), &err), TARN_IO);
    assert_true(holds(sim, "/d/f", TARN_LIT("x")));
    assert_int_equal(tarn_sim_set_read_only(sim, TARN_LIT("/d"), false, &err), TARN_OK);
    assert_int_equal(put(sim, "/d/f", TARN_LIT("z")), TARN_OK);
}

TEST(corrupt_flips_the_bits_asked_for) {
    tarn_sim *sim = new_sim(state, 1);
    assert_int_equal(put(sim, "/f", TARN_LIT("abc")), TARN_OK);
    assert_int_equal(tarn_sim_corrupt(sim, TARN_LIT("/f"), 1, 'b' ^ 'X', &err), TARN_OK);
    assert_int_equal(tarn_sim_corrupt(sim, TARN_LIT("/f"), 3, 1, &err), TARN_INVALID);
    assert_int_equal(tarn_sim_corrupt(sim, TARN_LIT("/g"), 0, 1, &err), TARN_IO);
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    assert_true(holds(sim, "/f", TARN_LIT("aXc")));
}

// ---- endings ----

TEST(locks_are_exclusive_and_end_with_the_boot) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_os *os = tarn_sim_os(sim);
    tarn_file_lock *locks[3] = {NULL};
    assert_int_equal(tarn_os_lock(os, TARN_LIT("/l"), TARN_LIT("first"), &locks[0], &err), TARN_OK);
    assert_int_equal(tarn_os_lock(os, TARN_LIT("/l"), TARN_LIT("other"), &locks[1], &err),
                     TARN_CONFLICT);
    assert_string_equal(err.message, "'/l' is locked by first");
    tarn_sim_kill(sim);
    assert_int_equal(tarn_os_lock(os, TARN_LIT("/l"), TARN_LIT("second"), &locks[1], &err),
                     TARN_OK);
    tarn_os_unlock(locks[0]); // dead: changes nothing
    assert_int_equal(tarn_os_lock(os, TARN_LIT("/l"), TARN_LIT("third"), &locks[2], &err),
                     TARN_CONFLICT);
    tarn_sim_power_loss(sim, TARN_SIM_REORDER);
    assert_int_equal(tarn_os_lock(os, TARN_LIT("/l"), TARN_LIT("third"), &locks[2], &err), TARN_OK);
    tarn_os_unlock(locks[1]);
    tarn_os_unlock(locks[2]);
    assert_int_equal(tarn_os_lock(os, TARN_LIT("/l"), TARN_LIT("fourth"), &locks[0], &err),
                     TARN_OK);
    tarn_os_unlock(locks[0]);
}

TEST(a_killed_process_loses_nothing_that_the_power_could_not_take_later) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_file *file = open_file(sim, "/f", TARN_OPEN_CREATE);
    append(file, TARN_LIT("synced"));
    assert_int_equal(tarn_file_sync(file, &err), TARN_OK);
    assert_int_equal(tarn_os_sync_dir(tarn_sim_os(sim), TARN_LIT("/"), &err), TARN_OK);
    append(file, TARN_LIT(" and not"));
    tarn_sim_kill(sim);
    assert_int_equal(tarn_file_close(file, &err), TARN_IO);
    assert_true(holds(sim, "/f", TARN_LIT("synced and not")));
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    assert_true(holds(sim, "/f", TARN_LIT("synced")));
}

// A digest of all that a workload with faults, power losses, clock and chance can see.
static uint64_t run_digest(void **state, uint64_t seed) {
    tarn_sim *sim = new_sim(state, seed);
    tarn_os *os = tarn_sim_os(sim);
    uint64_t digest = 0;
    for (uint64_t round = 0; round < 20; round++) {
        tarn_sim_crash_at(sim, 1 + round % 7);
        tarn_file *file = NULL;
        (void)put(sim, "/f", pattern(700 + 100 * round)); // crashes, most rounds
        if (tarn_os_open(os, TARN_LIT("/log"), TARN_OPEN_APPEND, &file, &err) == TARN_OK) {
            tarn_status status = tarn_file_append(file, pattern(900), &err); // may crash
            digest = tarn_hash_combine(digest, (uint64_t)status);
        }
        (void)tarn_file_close(file, NULL); // may be dead
        tarn_sim_power_loss(sim, all_modes[round % MODE_COUNT]);
        tarn_slice *names = NULL;
        size_t count = 0;
        assert_int_equal(tarn_os_list(os, TARN_LIT("/"), &arena, &names, &count, &err), TARN_OK);
        for (size_t i = 0; i < count; i++) {
            digest = tarn_hash_combine(digest, tarn_hash_bytes(names[i]));
            digest = tarn_hash_combine(digest,
                                       tarn_hash_bytes(content(sim, (const char *)names[i].data)));
        }
        digest = tarn_hash_combine(digest, (uint64_t)tarn_os_now_us(os));
    }
    return digest;
}

TEST(the_same_seed_is_the_same_run) {
    uint64_t digest = run_digest(state, 7);
    assert_int_equal(run_digest(state, 7), digest);
    assert_int_not_equal(run_digest(state, 8), digest);
}

TEST(the_clock_moves_when_it_is_used_or_pushed) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_os *os = tarn_sim_os(sim);
    int64_t begin_us = tarn_os_now_us(os);
    assert_true(begin_us > INT64_C(1735689600) * 1000000);
    assert_int_equal(tarn_os_now_us(os), begin_us + 1);
    tarn_sim_advance_us(sim, 5000000);
    assert_int_equal(tarn_os_now_us(os), begin_us + 5000002);
    int64_t process = tarn_os_process_id(os);
    tarn_sim_kill(sim);
    assert_int_not_equal(tarn_os_process_id(os), process);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SIM_TEST(a_crash_during_replace_leaves_the_old_content_or_the_new),
        SIM_TEST(a_crash_during_exclusive_create_leaves_no_file_or_a_whole_one),
        SIM_TEST(a_failed_write_is_reported_and_can_be_repeated),
        SIM_TEST(what_was_synced_survives_every_power_loss),
        SIM_TEST(dropped_bytes_are_gone_and_torn_ones_end_at_a_sector),
        SIM_TEST(reordered_bytes_survive_in_whole_sectors_in_any_order),
        SIM_TEST(appends_that_share_a_sector_survive_in_their_order),
        SIM_TEST(a_failed_sync_forgets_bytes_that_no_later_sync_saves),
        SIM_TEST(a_failing_append_leaves_a_prefix_and_the_file_refuses_for_good),
        SIM_TEST(a_file_of_an_unsynced_directory_is_lost_whatever_was_synced_in_it),
        SIM_TEST(a_rename_between_directories_is_never_half_done),
        SIM_TEST(a_made_directory_is_durable_also_after_a_failed_attempt),
        SIM_TEST(renames_follow_posix),
        SIM_TEST(after_a_crash_every_call_fails_until_the_reboot),
        SIM_TEST(the_chosen_read_fails_once),
        SIM_TEST(a_full_disk_refuses_and_keeps_what_it_has),
        SIM_TEST(a_read_only_directory_refuses_every_change_of_its_names),
        SIM_TEST(corrupt_flips_the_bits_asked_for),
        SIM_TEST(locks_are_exclusive_and_end_with_the_boot),
        SIM_TEST(a_killed_process_loses_nothing_that_the_power_could_not_take_later),
        SIM_TEST(the_same_seed_is_the_same_run),
        SIM_TEST(the_clock_moves_when_it_is_used_or_pushed),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
