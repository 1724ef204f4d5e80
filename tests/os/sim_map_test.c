// What crashes, power losses and faults of the simulated machine leave of files that are written in
// place or mapped.
#include <string.h>

#include "base/buffer.h"
#include "os/os.h"
#include "os/sim.h"
#include "tests/test.h"

enum { SECTOR = TARN_SIM_SECTOR_BYTES, SEEDS = 60 };
static const tarn_sim_power_mode all_modes[] = {TARN_SIM_DROP, TARN_SIM_TEAR, TARN_SIM_REORDER};

static tarn_arena arena;
static tarn_error err;

static int set_up(void **state) {
    (void)state;
    tarn_arena_init(&arena, &tarn_alloc_libc, 64 << 20);
    return 0;
}

static int tear_down(void **state) {
    tarn_sim_free(*state);
    tarn_arena_reset(&arena);
    return 0;
}

static tarn_sim *new_sim(void **state, uint64_t seed) {
    tarn_sim_free(*state);
    *state = NULL;
    tarn_sim *sim = NULL;
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, seed, &sim, &err), TARN_OK);
    *state = sim;
    return sim;
}

// A map of "/m" whose name and size are durable, full of `fill`.
static tarn_map new_map(tarn_sim *sim, size_t len, uint8_t fill) {
    tarn_map map = {0};
    assert_int_equal(tarn_map_create(tarn_sim_os(sim), TARN_LIT("/m"), len, &map, &err), TARN_OK);
    memset(map.data, fill, len);
    tarn_map_wrote(&map, 0, len);
    assert_int_equal(tarn_map_sync(&map, 0, len, &err), TARN_OK);
    assert_int_equal(tarn_os_sync_dir(tarn_sim_os(sim), TARN_LIT("/"), &err), TARN_OK);
    return map;
}

static void store(tarn_map *map, size_t offset, size_t len, uint8_t fill) {
    memset(map->data + offset, fill, len);
    tarn_map_wrote(map, offset, len);
}

static tarn_slice content(tarn_sim *sim) {
    tarn_slice bytes;
    assert_int_equal(
        tarn_os_read_file(tarn_sim_os(sim), TARN_LIT("/m"), SIZE_MAX, &arena, &bytes, &err),
        TARN_OK);
    return bytes;
}

static bool is_all(tarn_slice bytes, uint8_t fill) {
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != fill) return false;
    }
    return true;
}

TEST(only_what_is_reported_reaches_the_file_and_each_report_is_one_write) {
    tarn_sim *sim = new_sim(state, 1);
    tarn_map map = new_map(sim, 100, 'a');
    uint64_t before = tarn_sim_write_count(sim);
    memset(map.data, 'b', 100);
    tarn_map_wrote(&map, 10, 20);
    tarn_map_wrote(&map, 50, 0); // nothing
    assert_int_equal(tarn_sim_write_count(sim), before + 1);
    tarn_slice bytes = content(sim);
    assert_true(is_all(tarn_slice_head(bytes, 10), 'a'));
    assert_true(is_all((tarn_slice){bytes.data + 10, 20}, 'b'));
    assert_true(is_all(tarn_slice_skip(bytes, 30), 'a'));
    assert_int_equal(tarn_sim_open_count(sim), 1);
    tarn_map_close(&map);
    assert_int_equal(tarn_sim_open_count(sim), 0);
}

// What a kill in the middle of a store of 'b' over 'a' left.
typedef enum leftover { NOTHING, WHOLE, BEGINNING, END, LEFTOVER_COUNT } leftover;

static leftover classify(tarn_slice bytes) {
    if (is_all(bytes, 'a')) return NOTHING;
    if (is_all(bytes, 'b')) return WHOLE;
    size_t changes = 0;
    for (size_t i = 1; i < bytes.len; i++) changes += bytes.data[i] != bytes.data[i - 1];
    assert_int_equal(changes, 1);
    return bytes.data[0] == 'b' ? BEGINNING : END;
}

TEST(a_kill_leaves_part_of_the_store_and_nothing_of_later_ones) {
    size_t seen[LEFTOVER_COUNT] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, 3000, 'a');
        tarn_sim_crash_at(sim, 1);
        store(&map, 0, 1500, 'b');
        assert_true(tarn_sim_has_crashed(sim));
        store(&map, 1500, 1500, 'c');
        assert_int_equal(tarn_map_sync(&map, 0, 3000, &err), TARN_IO);
        tarn_sim_kill(sim);
        store(&map, 1500, 1500, 'c'); // a dead process stores nothing
        tarn_slice bytes = content(sim);
        assert_true(is_all(tarn_slice_skip(bytes, 1500), 'a'));
        seen[classify(tarn_slice_head(bytes, 1500))]++;
        tarn_map_close(&map);
    }
    for (size_t i = 0; i < LEFTOVER_COUNT; i++) assert_true(seen[i] > 0);
}

TEST(a_synced_range_survives_everything_and_only_it) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, 4000, 'a');
        store(&map, 0, 4000, 'b');
        store(&map, 700, 100, 'c');
        assert_int_equal(tarn_map_sync(&map, 600, 1000, &err), TARN_OK);
        store(&map, 750, 100, 'd'); // not synced
        tarn_sim_power_mode mode = all_modes[seed % 3];
        tarn_sim_power_loss(sim, mode);
        tarn_map_close(&map);
        tarn_slice bytes = content(sim);
        assert_int_equal(bytes.len, 4000);
        assert_true(is_all((tarn_slice){bytes.data + 600, 100}, 'b'));
        assert_true(is_all((tarn_slice){bytes.data + 700, 50}, 'c'));
        assert_true(is_all((tarn_slice){bytes.data + 850, 750}, 'b'));
        if (mode != TARN_SIM_DROP) continue;
        assert_true(is_all(tarn_slice_head(bytes, 600), 'a'));
        assert_true(is_all((tarn_slice){bytes.data + 750, 50}, 'c'));
        assert_true(is_all(tarn_slice_skip(bytes, 1600), 'a'));
    }
}

TEST(tearing_undoes_the_newest_overwrites) {
    size_t seen[4] = {0};
    size_t torn_count = 0;
    for (uint64_t seed = 0; seed < 4 * SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, (size_t)2 * SECTOR, '0');
        for (uint8_t fill = '1'; fill <= '3'; fill++) store(&map, 0, map.len, fill);
        tarn_sim_power_loss(sim, TARN_SIM_TEAR);
        tarn_map_close(&map);
        tarn_slice bytes = content(sim);
        assert_true(is_all(tarn_slice_head(bytes, SECTOR), bytes.data[0]));
        assert_true(is_all(tarn_slice_skip(bytes, SECTOR), bytes.data[SECTOR]));
        seen[bytes.data[0] - '0']++;
        int ahead = bytes.data[0] - bytes.data[SECTOR];
        assert_in_range(ahead, 0, 1);
        torn_count += ahead == 1;
    }
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0 && seen[3] > 0 && torn_count > 0);
}

TEST(reordering_takes_each_sector_back_by_itself) {
    size_t seen[4][4] = {0};
    for (uint64_t seed = 0; seed < 10 * SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, (size_t)2 * SECTOR, '0');
        for (uint8_t fill = '1'; fill <= '3'; fill++) store(&map, 0, map.len, fill);
        tarn_sim_power_loss(sim, TARN_SIM_REORDER);
        tarn_map_close(&map);
        tarn_slice bytes = content(sim);
        assert_true(is_all(tarn_slice_head(bytes, SECTOR), bytes.data[0]));
        assert_true(is_all(tarn_slice_skip(bytes, SECTOR), bytes.data[SECTOR]));
        seen[bytes.data[0] - '0'][bytes.data[SECTOR] - '0']++;
    }
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) assert_true(seen[i][k] > 0);
    }
}

TEST(after_a_kill_what_was_not_synced_can_still_be_lost) {
    tarn_sim *sim = new_sim(state, 7);
    tarn_map map = new_map(sim, 1000, 'a');
    store(&map, 0, 1000, 'b');
    tarn_sim_kill(sim);
    tarn_map_close(&map);
    assert_true(is_all(content(sim), 'b'));
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    assert_true(is_all(content(sim), 'a'));
}

TEST(a_store_that_fails_fails_the_next_sync_and_the_map_for_good) {
    bool was_lost = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, 1000, 'a');
        tarn_sim_fail_write_at(sim, 1);
        store(&map, 0, 1000, 'b');
        assert_true(is_all(content(sim), 'b'));
        assert_int_equal(tarn_map_sync(&map, 0, 10, &err), TARN_IO);
        assert_non_null(strstr(err.message, "cannot sync '/m': input/output error"));
        assert_int_equal(tarn_map_sync(&map, 0, 1000, &err), TARN_IO);
        assert_non_null(strstr(err.message, "an earlier sync of it failed"));
        tarn_map_close(&map);
        tarn_sim_power_loss(sim, TARN_SIM_TEAR);
        was_lost |= is_all(content(sim), 'a');
    }
    assert_true(was_lost);
}

TEST(a_synced_overwrite_is_not_undone_by_what_a_failed_sync_forgot) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, 1000, 'a');
        store(&map, 0, 1000, 'b');
        tarn_sim_fail_write_at(sim, 1);
        assert_int_equal(tarn_map_sync(&map, 0, 1000, &err), TARN_IO);
        tarn_map_close(&map);
        tarn_file *file = NULL;
        assert_int_equal(
            tarn_os_open(tarn_sim_os(sim), TARN_LIT("/m"), TARN_OPEN_UPDATE, &file, &err), TARN_OK);
        assert_int_equal(tarn_file_write_at(file, 300, TARN_LIT("synced"), &err), TARN_OK);
        assert_int_equal(tarn_file_sync(file, &err), TARN_OK);
        assert_int_equal(tarn_file_close(file, &err), TARN_OK);
        tarn_sim_power_loss(sim, all_modes[seed % 3]);
        assert_memory_equal(content(sim).data + 300, "synced", 6);
    }
}

TEST(a_map_is_created_in_two_writes_and_its_reserve_holds_zeros) {
    bool was_missing = false;
    bool was_empty = false;
    bool was_whole = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = {0};
        tarn_sim_crash_at(sim, 1 + seed % 3);
        tarn_status status = tarn_map_create(tarn_sim_os(sim), TARN_LIT("/m"), 5000, &map, &err);
        assert_int_equal(status, seed % 3 < 2 ? TARN_IO : TARN_OK);
        tarn_map_close(&map);
        tarn_sim_kill(sim);
        tarn_file_info info;
        assert_int_equal(tarn_os_stat(tarn_sim_os(sim), TARN_LIT("/m"), &info, &err), TARN_OK);
        was_missing |= !info.exists;
        was_empty |= info.exists && info.size_bytes == 0;
        was_whole |= info.size_bytes == 5000;
    }
    assert_true(was_missing && was_empty && was_whole);

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = {0};
        assert_int_equal(tarn_map_create(tarn_sim_os(sim), TARN_LIT("/m"), 5000, &map, &err),
                         TARN_OK);
        assert_int_equal(tarn_os_sync_dir(tarn_sim_os(sim), TARN_LIT("/"), &err), TARN_OK);
        store(&map, 2000, 2000, 'x');
        tarn_sim_power_loss(sim, TARN_SIM_REORDER);
        tarn_map_close(&map);
        tarn_slice bytes = content(sim);
        for (size_t i = 0; i < bytes.len; i++) {
            assert_true(bytes.data[i] == 0 || (bytes.data[i] == 'x' && i >= 2000 && i < 4000));
        }
    }
}

TEST(writes_in_place_and_resizes_are_lost_unless_synced) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, 2000, 'a');
        tarn_map_close(&map);
        tarn_file *file = NULL;
        assert_int_equal(
            tarn_os_open(tarn_sim_os(sim), TARN_LIT("/m"), TARN_OPEN_UPDATE, &file, &err), TARN_OK);
        bool is_synced = seed % 2 == 0;
        assert_int_equal(tarn_file_write_at(file, 10, TARN_LIT("new"), &err), TARN_OK);
        assert_int_equal(tarn_file_resize(file, 1000, &err), TARN_OK);
        if (is_synced) assert_int_equal(tarn_file_sync(file, &err), TARN_OK);
        tarn_sim_power_mode mode = all_modes[seed % 3];
        tarn_sim_power_loss(sim, mode);
        (void)tarn_file_close(file, &err); // dead
        tarn_slice bytes = content(sim);
        bool has_new = memcmp(bytes.data + 10, "new", 3) == 0;
        assert_true(has_new || is_all((tarn_slice){bytes.data + 10, 3}, 'a'));
        assert_true(bytes.len == 1000 || bytes.len == 2000);
        if (is_synced) assert_true(has_new && bytes.len == 1000);
        if (!is_synced && mode == TARN_SIM_DROP) assert_true(!has_new && bytes.len == 2000);
    }
}

TEST(a_crash_in_a_write_at_leaves_a_prefix) {
    size_t shortest = 3000;
    size_t longest = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, 3000, 'a');
        tarn_map_close(&map);
        tarn_file *file = NULL;
        assert_int_equal(
            tarn_os_open(tarn_sim_os(sim), TARN_LIT("/m"), TARN_OPEN_UPDATE, &file, &err), TARN_OK);
        uint8_t fresh[2000];
        memset(fresh, 'b', sizeof fresh);
        tarn_sim_crash_at(sim, 1);
        assert_int_equal(tarn_file_write_at(file, 500, (tarn_slice){fresh, sizeof fresh}, &err),
                         TARN_IO);
        tarn_sim_kill(sim);
        (void)tarn_file_close(file, &err); // dead
        tarn_slice bytes = content(sim);
        size_t end = 500;
        while (end < bytes.len && bytes.data[end] == 'b') end++;
        assert_true(is_all(tarn_slice_head(bytes, 500), 'a'));
        assert_true(is_all(tarn_slice_skip(bytes, end), 'a'));
        if (end - 500 < shortest) shortest = end - 500;
        if (end - 500 > longest) longest = end - 500;
    }
    assert_true(shortest < longest && longest == 2000);
}

TEST(a_link_is_durable_with_its_directory) {
    for (uint64_t seed = 0; seed < 2; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, 10, 'a');
        tarn_map_close(&map);
        tarn_os *os = tarn_sim_os(sim);
        assert_int_equal(tarn_os_link(os, TARN_LIT("/m"), TARN_LIT("/n"), &err), TARN_OK);
        if (seed == 1) assert_int_equal(tarn_os_sync_dir(os, TARN_LIT("/"), &err), TARN_OK);
        tarn_sim_power_loss(sim, TARN_SIM_DROP);
        tarn_file_info info;
        assert_int_equal(tarn_os_stat(os, TARN_LIT("/n"), &info, &err), TARN_OK);
        assert_int_equal(info.exists, seed == 1);
        assert_true(is_all(content(sim), 'a'));
    }
}

TEST(a_flipped_bit_stays_whatever_happens) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tarn_sim *sim = new_sim(state, seed);
        tarn_map map = new_map(sim, 100, 'a');
        if (seed % 2 == 0) store(&map, 0, 100, 'a');
        tarn_map_close(&map);
        assert_int_equal(tarn_sim_corrupt(sim, TARN_LIT("/m"), 40, 1, &err), TARN_OK);
        assert_int_equal(content(sim).data[40], 'a' ^ 1);
        tarn_sim_power_loss(sim, all_modes[seed % 3]);
        assert_int_equal(content(sim).data[40], 'a' ^ 1);
    }
}

#define SIM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        SIM_TEST(only_what_is_reported_reaches_the_file_and_each_report_is_one_write),
        SIM_TEST(a_kill_leaves_part_of_the_store_and_nothing_of_later_ones),
        SIM_TEST(a_synced_range_survives_everything_and_only_it),
        SIM_TEST(tearing_undoes_the_newest_overwrites),
        SIM_TEST(reordering_takes_each_sector_back_by_itself),
        SIM_TEST(after_a_kill_what_was_not_synced_can_still_be_lost),
        SIM_TEST(a_store_that_fails_fails_the_next_sync_and_the_map_for_good),
        SIM_TEST(a_synced_overwrite_is_not_undone_by_what_a_failed_sync_forgot),
        SIM_TEST(a_map_is_created_in_two_writes_and_its_reserve_holds_zeros),
        SIM_TEST(writes_in_place_and_resizes_are_lost_unless_synced),
        SIM_TEST(a_crash_in_a_write_at_leaves_a_prefix),
        SIM_TEST(a_link_is_durable_with_its_directory),
        SIM_TEST(a_flipped_bit_stays_whatever_happens),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
