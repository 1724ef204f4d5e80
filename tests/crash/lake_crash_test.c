// Power loss at every write, sync and rename of a small table workload: afterwards the table opens,
// what was committed is there, what was not is not, and orphans can be removed.
#include "tests/lake/helpers.h"

static const test_column COLUMNS[] = {{"id", TARN_TYPE_INTEGER, false},
                                      {"name", TARN_TYPE_TEXT, false}};

#define COMMITS 5

// Rows of commit i; the first creates 1 and 2, the others change, delete and add.
static const char *const ROWS[COMMITS][3] = {
    {"+I|1|a", "+I|2|b", NULL}, {"+I|3|c", NULL},           {"-D|2|b", "+I|4|d", NULL},
    {"+I|5|e", "-D|3|c", NULL}, {"+I|6|f", "+I|7|g", NULL},
};
// What the table holds after so many commits.
static const char *const EXPECTED[COMMITS + 1] = {
    "", "1|a 2|b ", "1|a 2|b 3|c ", "1|a 3|c 4|d ", "1|a 4|d 5|e ", "1|a 4|d 5|e 6|f 7|g ",
};

typedef struct progress {
    int committed; // commits that returned success
} progress;

static tarn_status create_table(tarn_store *store, bool is_keyed) {
    test_definition d;
    return tarn_table_create(store, TABLE_PATH,
                             define(&d, COLUMNS, 2, is_keyed ? "id" : NULL, NULL, NULL),
                             &tarn_alloc_libc, &test_error);
}

// Creates the table unless it is there, and makes the commits that are missing. Commits are
// identified, so that one whose outcome was unknown is not made twice.
static tarn_status run(tarn_store *store, bool is_keyed, bool with_compaction, progress *done) {
    bool exists = false;
    tarn_table *table = NULL;
    tarn_status status = tarn_table_exists(store, TABLE_PATH, &exists, &test_error);
    if (status == TARN_OK && !exists) status = create_table(store, is_keyed);
    if (status == TARN_OK) {
        status = tarn_table_open(store, TABLE_PATH, &tarn_alloc_libc, &table, &test_error);
    }
    for (int i = 0; i < COMMITS && status == TARN_OK; i++) {
        int64_t id = 0;
        if (i < done->committed) continue;
        size_t count = 0;
        while (ROWS[i][count] != NULL) count++;
        status = commit_rows(table, "job", i + 1, ROWS[i], count, &id);
        if (status == TARN_OK) done->committed = i + 1;
        if (status == TARN_OK && with_compaction && i % 2 == 1) {
            tarn_compact_result result;
            status = tarn_table_compact(table, TARN_LIT("c"), NULL, 0, &result, &test_error);
        }
    }
    tarn_table_close(table);
    return status;
}

static void read_text(tarn_table *table, int64_t snapshot_id, char *text, size_t size) {
    text_list rows = read_snapshot(table, snapshot_id);
    text[0] = '\0';
    for (size_t i = 0; i < rows.count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, size - len, "%s ", rows.items[i]);
    }
    text_list_free(&rows);
}

// After a crash: the newest version is what the acknowledged commits made, or one commit more,
// whose success the crash kept from us.
static int check_table(tarn_store *store, const progress *done) {
    bool exists = false;
    tarn_table *table = NULL;
    char text[256];
    uint64_t removed = 0;
    assert_ok(tarn_table_exists(store, TABLE_PATH, &exists, &test_error));
    if (!exists) {
        assert_int_equal(done->committed, 0);
        return 0;
    }
    assert_ok(tarn_table_open(store, TABLE_PATH, &tarn_alloc_libc, &table, &test_error));
    read_text(table, 0, text, sizeof text);
    int found = done->committed;
    if (strcmp(text, EXPECTED[found]) != 0 && found < COMMITS) found++;
    assert_string_equal(text, EXPECTED[found]);

    // Orphans go, and nothing that a snapshot needs goes with them.
    assert_ok(tarn_table_remove_orphans(table, NULL, 0, &removed, &test_error));
    assert_ok(tarn_table_remove_orphans(table, NULL, 0, &removed, &test_error));
    assert_int_equal(removed, 0);
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_snapshot *snapshots = NULL;
    size_t count = 0;
    assert_ok(tarn_table_snapshots(table, &arena, &snapshots, &count, &test_error));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(snapshots[i].id, i + 1);
        read_text(table, snapshots[i].id, text, sizeof text);
    }
    tarn_arena_reset(&arena);
    tarn_table_close(table);
    return found;
}

static tarn_store *open_store(tarn_sim *sim) {
    tarn_store *store = NULL;
    tarn_status status = tarn_store_open_local(tarn_sim_os(sim), &tarn_alloc_libc, TARN_LIT("/w"),
                                               &store, &test_error);
    return status == TARN_OK ? store : NULL;
}

// `stride` 1 tries every write; a larger one every so many, from a random one on.
static void crash_everywhere(bool is_keyed, bool with_compaction, tarn_sim_power_mode mode,
                             size_t stride) {
    bool crashed = true;
    for (uint64_t n = 1 + test_random_below(stride); crashed; n += stride) {
        tarn_sim *sim = NULL;
        progress done = {0};
        assert_ok(tarn_sim_new(&tarn_alloc_libc, test_random(), &sim, &test_error));
        tarn_sim_crash_at(sim, n);
        tarn_store *store = open_store(sim);
        if (store != NULL) {
            tarn_status status = run(store, is_keyed, with_compaction, &done);
            crashed = tarn_sim_has_crashed(sim);
            // Hints are best effort: a crash while writing the last one goes unnoticed.
            if (status != TARN_OK) assert_true(crashed);
        }
        tarn_store_close(store);

        tarn_sim_power_loss(sim, mode);
        store = open_store(sim);
        assert_non_null(store);
        done.committed = check_table(store, &done);
        assert_ok(run(store, is_keyed, with_compaction, &done)); // and life goes on
        assert_int_equal(check_table(store, &done), COMMITS);
        tarn_store_close(store);
        tarn_sim_free(sim);
    }
}

TEST(append_table_survives_power_loss_that_drops) {
    crash_everywhere(false, false, TARN_SIM_DROP, 1);
}

TEST(append_table_survives_power_loss_that_tears) {
    crash_everywhere(false, true, TARN_SIM_TEAR, 3);
}

TEST(append_table_survives_power_loss_that_reorders) {
    crash_everywhere(false, true, TARN_SIM_REORDER, 3);
}

TEST(keyed_table_survives_power_loss_that_drops) {
    crash_everywhere(true, true, TARN_SIM_DROP, 3);
}

TEST(keyed_table_survives_power_loss_that_tears) {
    crash_everywhere(true, false, TARN_SIM_TEAR, 3);
}

TEST(keyed_table_survives_power_loss_that_reorders) {
    crash_everywhere(true, true, TARN_SIM_REORDER, 1);
}

// The n-th write fails, but the machine goes on: the failure is reported, a second try succeeds.
static void fail_everywhere(bool is_keyed, size_t stride) {
    for (uint64_t n = 1 + test_random_below(stride);; n += stride) {
        tarn_sim *sim = NULL;
        progress done = {0};
        assert_ok(tarn_sim_new(&tarn_alloc_libc, test_random(), &sim, &test_error));
        tarn_store *store = open_store(sim);
        uint64_t before = tarn_sim_write_count(sim);
        tarn_sim_fail_write_at(sim, n);
        tarn_status status = run(store, is_keyed, true, &done);
        bool reached = tarn_sim_write_count(sim) - before >= n;
        tarn_sim_fail_write_at(sim, 0);
        if (status != TARN_OK) assert_int_equal(status, TARN_IO);
        done.committed = check_table(store, &done);
        assert_ok(run(store, is_keyed, true, &done));
        assert_int_equal(check_table(store, &done), COMMITS);
        tarn_store_close(store);
        tarn_sim_free(sim);
        if (!reached) break;
    }
}

TEST(append_table_reports_every_failed_write) {
    fail_everywhere(false, 3);
}

TEST(keyed_table_reports_every_failed_write) {
    fail_everywhere(true, 3);
}

TEST(a_full_disk_is_reported_and_leaves_the_table_readable) {
    tarn_sim *sim = NULL;
    progress done = {0};
    assert_ok(tarn_sim_new(&tarn_alloc_libc, test_random(), &sim, &test_error));
    tarn_store *store = open_store(sim);
    for (uint64_t capacity = 0; done.committed < COMMITS; capacity += 499) {
        tarn_sim_set_capacity(sim, capacity);
        tarn_status status = run(store, true, false, &done);
        if (status != TARN_OK) assert_int_equal(status, TARN_IO);
        tarn_sim_set_capacity(sim, UINT64_MAX);
        done.committed = check_table(store, &done);
    }
    tarn_store_close(store);
    tarn_sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_table_survives_power_loss_that_drops),
        cmocka_unit_test(append_table_survives_power_loss_that_tears),
        cmocka_unit_test(append_table_survives_power_loss_that_reorders),
        cmocka_unit_test(keyed_table_survives_power_loss_that_drops),
        cmocka_unit_test(keyed_table_survives_power_loss_that_tears),
        cmocka_unit_test(keyed_table_survives_power_loss_that_reorders),
        cmocka_unit_test(append_table_reports_every_failed_write),
        cmocka_unit_test(keyed_table_reports_every_failed_write),
        cmocka_unit_test(a_full_disk_is_reported_and_leaves_the_table_readable),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
