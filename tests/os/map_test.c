// Files that are written in place, mapped files and links: the contract of os.h, on the real system
// and on the simulated one. What a crash leaves is in sim_map_test.c.
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buffer.h"
#include "os/os.h"
#include "os/sim.h"
#include "tests/test.h"

static tarn_os *os;
static tarn_sim *sim; // NULL: the real system
static char root[256];
static tarn_arena arena;
static tarn_error err;

static int set_up_posix(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    (void)snprintf(root, sizeof root, "%s/tarn-map-XXXXXX", base == NULL ? "/tmp" : base);
    tarn_arena_init(&arena, &tarn_alloc_libc, 8 << 20);
    os = tarn_os_posix();
    sim = NULL;
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int set_up_sim(void **state) {
    (void)state;
    (void)snprintf(root, sizeof root, "/root");
    tarn_arena_init(&arena, &tarn_alloc_libc, 8 << 20);
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, test_random(), &sim, &err), TARN_OK);
    os = tarn_sim_os(sim);
    return tarn_os_make_dirs(os, TARN_LIT("/root"), &err) == TARN_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    tarn_status status = tarn_os_remove_tree(os, tarn_slice_from_cstr(root), &err);
    tarn_sim_free(sim);
    tarn_arena_reset(&arena);
    return status == TARN_OK ? 0 : -1;
}

static tarn_slice at(const char *name) {
    tarn_slice path;
    assert_true(tarn_arena_printf(&arena, &path, "%s/%s", root, name));
    return path;
}

static tarn_slice content(const char *name) {
    tarn_slice bytes;
    assert_int_equal(tarn_os_read_file(os, at(name), 4 << 20, &arena, &bytes, &err), TARN_OK);
    return bytes;
}

static void assert_content(const char *name, tarn_slice expected) {
    assert_true(tarn_slice_equal(content(name), expected));
}

static tarn_file *open_update(const char *name) {
    tarn_file *file = NULL;
    assert_int_equal(tarn_os_open(os, at(name), TARN_OPEN_UPDATE, &file, &err), TARN_OK);
    return file;
}

static void write_at(tarn_file *file, uint64_t offset, tarn_slice bytes) {
    assert_int_equal(tarn_file_write_at(file, offset, bytes, &err), TARN_OK);
}

static void close_file(tarn_file *file) {
    assert_int_equal(tarn_file_close(file, &err), TARN_OK);
}

static bool is_zero(tarn_slice bytes) {
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != 0) return false;
    }
    return true;
}

// ---- files for update ----

TEST(an_update_creates_keeps_and_reads_back) {
    tarn_file *file = open_update("f");
    write_at(file, 0, TARN_LIT("hello world"));
    close_file(file);
    file = open_update("f");
    write_at(file, 6, TARN_LIT("there"));
    uint8_t bytes[32];
    size_t len = 0;
    assert_int_equal(tarn_file_read_at(file, 3, bytes, sizeof bytes, &len, &err), TARN_OK);
    assert_int_equal(len, 8);
    assert_memory_equal(bytes, "lo there", 8);
    assert_int_equal(tarn_file_sync(file, &err), TARN_OK);
    close_file(file);
    assert_content("f", TARN_LIT("hello there"));
}

TEST(a_write_beyond_the_end_leaves_zeros_between) {
    tarn_file *file = open_update("f");
    write_at(file, 0, TARN_LIT("a"));
    write_at(file, 4, TARN_LIT("b"));
    write_at(file, 9, (tarn_slice){0}); // nothing: the size stays
    close_file(file);
    assert_content("f", TARN_LIT("a\0\0\0b"));
}

TEST(a_write_at_an_impossible_offset_is_refused) {
    tarn_file *file = open_update("f");
    assert_int_equal(tarn_file_write_at(file, UINT64_MAX - 1, TARN_LIT("abc"), &err), TARN_IO);
    assert_non_null(strstr(err.message, "/f'"));
    assert_int_equal(tarn_file_resize(file, UINT64_MAX, &err), TARN_IO);
    close_file(file);
    assert_content("f", TARN_LIT(""));
}

TEST(a_resize_cuts_and_grows_with_zeros) {
    tarn_file *file = open_update("f");
    write_at(file, 0, TARN_LIT("0123456789"));
    assert_int_equal(tarn_file_resize(file, 4, &err), TARN_OK);
    assert_int_equal(tarn_file_resize(file, 7, &err), TARN_OK);
    uint64_t size_bytes = 0;
    assert_int_equal(tarn_file_size(file, &size_bytes, &err), TARN_OK);
    assert_int_equal(size_bytes, 7);
    close_file(file);
    assert_content("f", TARN_LIT("0123\0\0\0"));
}

// A limit on the size of files stands for a full disk.
static void limit_file_bytes(uint64_t limit_bytes, struct rlimit *ret_before) {
    if (sim != NULL) {
        tarn_sim_set_capacity(sim, limit_bytes);
        return;
    }
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, ret_before), 0);
    struct rlimit limit = {.rlim_cur = limit_bytes, .rlim_max = ret_before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void lift_limit(const struct rlimit *before) {
    if (sim != NULL) {
        tarn_sim_set_capacity(sim, UINT64_MAX);
    } else {
        assert_int_equal(setrlimit(RLIMIT_FSIZE, before), 0);
    }
}

TEST(a_growth_that_has_no_room_leaves_the_file_usable) {
    tarn_file *file = open_update("f");
    write_at(file, 0, TARN_LIT("abc"));
    struct rlimit before;
    limit_file_bytes(8192, &before);
    tarn_status status = tarn_file_resize(file, 100000, &err);
    lift_limit(&before);
    assert_int_equal(status, TARN_IO);
    assert_non_null(strstr(err.message, "cannot resize '"));
    write_at(file, 3, TARN_LIT("def"));
    close_file(file);
    assert_content("f", TARN_LIT("abcdef"));
}

TEST(after_a_failed_write_an_update_refuses_for_good) {
    tarn_file *file = open_update("f");
    write_at(file, 0, TARN_LIT("abc"));
    struct rlimit before;
    limit_file_bytes(8192, &before);
    tarn_slice big = {tarn_arena_alloc(&arena, 1, 20000), 20000};
    tarn_status status = tarn_file_write_at(file, 3, big, &err);
    lift_limit(&before);
    assert_int_equal(status, TARN_IO);
    assert_int_equal(tarn_file_write_at(file, 0, TARN_LIT("x"), &err), TARN_IO);
    assert_non_null(strstr(err.message, "an earlier write or sync of it failed"));
    assert_int_equal(tarn_file_resize(file, 0, &err), TARN_IO);
    assert_int_equal(tarn_file_sync(file, &err), TARN_IO);
    close_file(file);
}

// ---- maps ----

static tarn_map create_map(const char *name, size_t len) {
    tarn_map map = {0};
    assert_int_equal(tarn_map_create(os, at(name), len, &map, &err), TARN_OK);
    assert_int_equal(map.len, len);
    return map;
}

static void store(tarn_map *map, size_t offset, tarn_slice bytes) {
    memcpy(map->data + offset, bytes.data, bytes.len);
    tarn_map_wrote(map, offset, bytes.len);
}

TEST(a_created_map_is_zeros_and_what_is_stored_is_in_the_file) {
    tarn_map map = create_map("m", 10000);
    assert_true(is_zero((tarn_slice){map.data, map.len}));
    assert_int_equal(content("m").len, 10000);
    store(&map, 5000, TARN_LIT("stored"));
    tarn_slice bytes = content("m");
    assert_memory_equal(bytes.data + 5000, "stored", 6);
    assert_true(is_zero(tarn_slice_head(bytes, 5000)));
    assert_true(is_zero(tarn_slice_skip(bytes, 5006)));
    tarn_map_close(&map);
    assert_null(map.data);
    tarn_map_close(&map); // a closed one is a zeroed one
    assert_memory_equal(content("m").data + 5000, "stored", 6);
}

TEST(a_map_that_exists_is_kept_grown_and_never_cut) {
    tarn_file *file = open_update("m");
    write_at(file, 0, TARN_LIT("kept"));
    close_file(file);
    tarn_map map = create_map("m", 9000);
    assert_memory_equal(map.data, "kept\0", 5);
    store(&map, 8999, TARN_LIT("!"));
    tarn_map_close(&map);
    map = create_map("m", 4);
    store(&map, 0, TARN_LIT("K"));
    tarn_map_close(&map);
    tarn_slice bytes = content("m");
    assert_int_equal(bytes.len, 9000);
    assert_memory_equal(bytes.data, "Kept", 4);
    assert_int_equal(bytes.data[8999], '!');
}

TEST(a_map_for_reading_shows_the_whole_file) {
    tarn_slice path = at("m");
    tarn_map map = {0};
    assert_int_equal(tarn_map_open(os, path, &map, &err), TARN_IO); // missing
    assert_non_null(strstr(err.message, "cannot map '"));
    assert_int_equal(tarn_map_open(os, tarn_slice_from_cstr(root), &map, &err), TARN_IO);
    assert_null(map.os);

    assert_int_equal(tarn_os_write_file(os, path, TARN_LIT("12345"), TARN_WRITE_REPLACE, &err),
                     TARN_OK);
    assert_int_equal(tarn_map_open(os, path, &map, &err), TARN_OK);
    assert_true(tarn_slice_equal((tarn_slice){map.data, map.len}, TARN_LIT("12345")));
    tarn_map_close(&map);
}

TEST(a_map_of_an_empty_file_has_no_bytes) {
    assert_int_equal(tarn_os_write_file(os, at("m"), TARN_LIT(""), TARN_WRITE_REPLACE, &err),
                     TARN_OK);
    tarn_map map = {0};
    assert_int_equal(tarn_map_open(os, at("m"), &map, &err), TARN_OK);
    assert_null(map.data);
    assert_int_equal(map.len, 0);
    tarn_map_advise(&map, 0, 0, TARN_MAP_SEQUENTIAL);
    tarn_map_close(&map);
}

TEST(a_map_outlives_the_name_of_its_file) {
    tarn_map map = create_map("m", 5000);
    store(&map, 0, TARN_LIT("still here"));
    assert_int_equal(tarn_os_remove(os, at("m"), &err), TARN_OK);
    store(&map, 4000, TARN_LIT("and here"));
    assert_memory_equal(map.data, "still here", 10);
    assert_int_equal(tarn_map_sync(&map, 0, 5000, &err), TARN_OK);
    tarn_map_close(&map);
}

TEST(a_full_disk_is_found_when_the_map_is_created) {
    struct rlimit before;
    limit_file_bytes(8192, &before);
    tarn_map map = {0};
    tarn_status status = tarn_map_create(os, at("m"), 100000, &map, &err);
    lift_limit(&before);
    assert_int_equal(status, TARN_IO);
    assert_null(map.os);
}

TEST(any_part_of_a_map_can_be_synced_and_advised) {
    tarn_map map = create_map("m", 20000);
    store(&map, 4090, TARN_LIT("across pages"));
    assert_int_equal(tarn_map_sync(&map, 4090, 12, &err), TARN_OK);
    assert_int_equal(tarn_map_sync(&map, 19999, 1, &err), TARN_OK);
    assert_int_equal(tarn_map_sync(&map, 20000, 0, &err), TARN_OK);
    assert_int_equal(tarn_map_sync(&map, 0, 20000, &err), TARN_OK);
    static const tarn_map_advice all[] = {TARN_MAP_NORMAL, TARN_MAP_RANDOM, TARN_MAP_SEQUENTIAL,
                                          TARN_MAP_WILL_NEED};
    for (size_t i = 0; i < 4; i++) tarn_map_advise(&map, 5000, 10000, all[i]);
    assert_memory_equal(map.data + 4090, "across pages", 12);
    tarn_map_close(&map);
}

// ---- links ----

TEST(a_link_is_a_second_name_and_never_replaces) {
    assert_int_equal(tarn_os_write_file(os, at("a"), TARN_LIT("1"), TARN_WRITE_REPLACE, &err),
                     TARN_OK);
    assert_int_equal(tarn_os_link(os, at("a"), at("b"), &err), TARN_OK);
    assert_int_equal(tarn_os_link(os, at("a"), at("b"), &err), TARN_CONFLICT);
    assert_non_null(strstr(err.message, "/b' exists already"));
    assert_int_equal(tarn_os_remove(os, at("a"), &err), TARN_OK);
    assert_content("b", TARN_LIT("1"));
    assert_int_equal(tarn_os_link(os, at("a"), at("c"), &err), TARN_IO);
    assert_non_null(strstr(err.message, "/c': cannot link '"));
}

#define POSIX_TEST(name) \
    { "posix: " #name, name, set_up_posix, tear_down, NULL }
#define SIM_TEST(name) \
    { "sim: " #name, name, set_up_sim, tear_down, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        POSIX_TEST(an_update_creates_keeps_and_reads_back),
        POSIX_TEST(a_write_beyond_the_end_leaves_zeros_between),
        POSIX_TEST(a_write_at_an_impossible_offset_is_refused),
        POSIX_TEST(a_resize_cuts_and_grows_with_zeros),
        POSIX_TEST(a_growth_that_has_no_room_leaves_the_file_usable),
        POSIX_TEST(after_a_failed_write_an_update_refuses_for_good),
        POSIX_TEST(a_created_map_is_zeros_and_what_is_stored_is_in_the_file),
        POSIX_TEST(a_map_that_exists_is_kept_grown_and_never_cut),
        POSIX_TEST(a_map_for_reading_shows_the_whole_file),
        POSIX_TEST(a_map_of_an_empty_file_has_no_bytes),
        POSIX_TEST(a_map_outlives_the_name_of_its_file),
        POSIX_TEST(a_full_disk_is_found_when_the_map_is_created),
        POSIX_TEST(any_part_of_a_map_can_be_synced_and_advised),
        POSIX_TEST(a_link_is_a_second_name_and_never_replaces),
        SIM_TEST(an_update_creates_keeps_and_reads_back),
        SIM_TEST(a_write_beyond_the_end_leaves_zeros_between),
        SIM_TEST(a_write_at_an_impossible_offset_is_refused),
        SIM_TEST(a_resize_cuts_and_grows_with_zeros),
        SIM_TEST(a_growth_that_has_no_room_leaves_the_file_usable),
        SIM_TEST(after_a_failed_write_an_update_refuses_for_good),
        SIM_TEST(a_created_map_is_zeros_and_what_is_stored_is_in_the_file),
        SIM_TEST(a_map_that_exists_is_kept_grown_and_never_cut),
        SIM_TEST(a_map_for_reading_shows_the_whole_file),
        SIM_TEST(a_map_of_an_empty_file_has_no_bytes),
        SIM_TEST(a_map_outlives_the_name_of_its_file),
        SIM_TEST(a_full_disk_is_found_when_the_map_is_created),
        SIM_TEST(any_part_of_a_map_can_be_synced_and_advised),
        SIM_TEST(a_link_is_a_second_name_and_never_replaces),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
