#include "kv/hashlog/directory.h"

#include "tests/test.h"

static tarn_error err;
static kv_epoch *epoch;
static hashlog_directory *directory;

static int set_up(void **state) {
    (void)state;
    bool made = kv_epoch_new(&tarn_alloc_libc, &epoch, &err) == TARN_OK &&
                hashlog_directory_new(&tarn_alloc_libc, epoch, &directory, &err) == TARN_OK;
    return made ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    hashlog_directory_free(directory);
    kv_epoch_free(epoch);
    return 0;
}

static hashlog_place place_of(uint32_t n) {
    return (hashlog_place){.segment = 1 + n % 7, .offset8 = 8 + n, .size8 = 1 + n % 5};
}

static bool has(uint64_t hash, hashlog_place place) {
    hashlog_matches matches;
    kv_guard guard = kv_epoch_enter(epoch);
    hashlog_directory_prefetch(directory, hash);
    hashlog_directory_find(directory, hash, &matches);
    kv_epoch_leave(guard);
    for (size_t i = 0; i < matches.count; i++) {
        if (hashlog_place_equal(matches.places[i], place)) return true;
    }
    return false;
}

enum { KEYS = 4000 };

// A hash of which few bits are random, so that clusters and equal fingerprints come up.
static uint64_t clustered_hash(void) {
    uint64_t table = test_random() & (uint64_t)0xC000000000000000u;
    return table | (test_random_below(4) << 30 & UINT32_MAX) | test_random_below(3000);
}

TEST(random_changes_agree_with_an_array) {
    static uint64_t hashes[KEYS];
    static hashlog_place places[KEYS];
    static bool is_there[KEYS];
    for (size_t i = 0; i < KEYS; i++) {
        hashes[i] = clustered_hash();
        is_there[i] = false;
    }
    uint64_t count = 0;
    for (uint32_t step = 0; step < 60000; step++) {
        size_t i = test_random_below(KEYS);
        hashlog_place place = place_of(step);
        if (!is_there[i]) {
            assert_int_equal(hashlog_directory_reserve(directory, hashes[i], &err), TARN_OK);
            assert_int_equal(hashlog_directory_add(directory, hashes[i], place, &err), TARN_OK);
            hashlog_directory_unreserve(directory, hashes[i]);
            is_there[i] = true;
            count++;
        } else if (test_random_below(3) > 0) {
            hashlog_directory_move(directory, hashes[i], places[i], place);
        } else {
            hashlog_directory_remove(directory, hashes[i], places[i]);
            is_there[i] = false;
            count--;
        }
        places[i] = place;
        if (step % 5000 == 0) hashlog_directory_check(directory);
        size_t k = test_random_below(KEYS);
        // Equal fingerprints beyond the most that find gives may hide one another.
        if (is_there[k] && !has(hashes[k], places[k])) {
            hashlog_matches matches;
            hashlog_directory_find(directory, hashes[k], &matches);
            assert_int_equal(matches.count, HASHLOG_MATCHES_MAX);
        }
    }
    assert_int_equal(hashlog_directory_count(directory), count);
}

TEST(a_key_takes_twenty_bytes_at_most) {
    enum { MANY = TARN_TUNABLE(400000, 20000) };
    for (uint32_t i = 0; i < MANY; i++) {
        uint64_t hash = test_random();
        assert_int_equal(hashlog_directory_add(directory, hash, place_of(i), &err), TARN_OK);
        assert_true(has(hash, place_of(i)));
    }
    hashlog_directory_check(directory);
    // The overhang of each table and the directory itself are beside what a key takes.
    uint64_t beside = HASHLOG_TABLES * (uint64_t)(128 + 80 * 16 + 20 * 16);
    uint64_t bytes = hashlog_directory_bytes(directory);
    assert_true(bytes < beside + (uint64_t)20 * MANY);
    assert_true(bytes > (uint64_t)17 * MANY);
}

TEST(tables_are_read_and_filled_as_they_were) {
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(hashlog_directory_add(directory, test_random(), place_of(i), &err),
                         TARN_OK);
    }
    static hashlog_slot slots[5000];
    hashlog_directory *copy = NULL;
    assert_int_equal(hashlog_directory_new(&tarn_alloc_libc, epoch, &copy, &err), TARN_OK);
    for (size_t table = 0; table < HASHLOG_TABLES; table++) {
        size_t count = hashlog_table_count(directory, table);
        hashlog_table_read(directory, table, slots);
        assert_int_equal(hashlog_table_fill(copy, table, slots, count, &err), TARN_OK);
        for (size_t i = 0; i < count; i++) {
            uint64_t hash = hashlog_table_hash(table, slots[i].fingerprint);
            hashlog_matches matches;
            hashlog_directory_find(copy, hash, &matches);
            assert_true(matches.count >= 1);
        }
    }
    hashlog_directory_check(copy);
    assert_int_equal(hashlog_directory_count(copy), 5000);
    hashlog_directory_clear(copy);
    assert_int_equal(hashlog_directory_count(copy), 0);
    hashlog_directory_check(copy);
    hashlog_directory_free(copy);
}

// ---- readers next to the writer ----

enum { SHARED = 2000 };
static uint64_t shared_hashes[SHARED];
static atomic_bool is_over;

static void read_shared(void *context) {
    uint64_t *found = context;
    for (uint32_t i = 0; !atomic_load(&is_over); i++) {
        kv_guard guard = kv_epoch_enter(epoch);
        hashlog_matches matches;
        hashlog_directory_find(directory, shared_hashes[i % SHARED], &matches);
        kv_epoch_leave(guard);
        // Entry k is always at an offset that is k modulo SHARED: never halves of two.
        bool is_sound = false;
        for (size_t k = 0; k < matches.count; k++) {
            hashlog_place place = matches.places[k];
            is_sound |= place.offset8 % SHARED == i % SHARED && place.segment == place.offset8;
        }
        tarn_assert(is_sound);
        ++*found;
    }
}

TEST(readers_see_whole_entries_while_the_directory_changes) {
    for (uint32_t i = 0; i < SHARED; i++) {
        shared_hashes[i] = test_random();
        hashlog_place place = {i, i, 1};
        if (i == 0) place = (hashlog_place){SHARED, SHARED, 1};
        assert_int_equal(hashlog_directory_add(directory, shared_hashes[i], place, &err), TARN_OK);
    }
    atomic_store(&is_over, false);
    uint64_t found = 0;
    tarn_thread *thread = NULL;
    assert_int_equal(tarn_thread_start(read_shared, &found, &thread, &err), TARN_OK);
    static uint32_t rounds[SHARED];
    rounds[0] = 1;
    for (uint32_t step = 0; step < 100000; step++) {
        uint32_t i = (uint32_t)test_random_below(SHARED);
        hashlog_place old = {i + rounds[i] * SHARED, i + rounds[i] * SHARED, 1};
        rounds[i]++;
        hashlog_place place = {i + rounds[i] * SHARED, i + rounds[i] * SHARED, 1};
        hashlog_directory_move(directory, shared_hashes[i], old, place);
        if (step % 4 == 0) { // grows the tables
            assert_int_equal(hashlog_directory_add(directory, test_random(), place_of(step), &err),
                             TARN_OK);
        }
    }
    atomic_store(&is_over, true);
    tarn_thread_join(thread);
}

#define DIRECTORY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        DIRECTORY_TEST(random_changes_agree_with_an_array),
        DIRECTORY_TEST(a_key_takes_twenty_bytes_at_most),
        DIRECTORY_TEST(tables_are_read_and_filled_as_they_were),
        DIRECTORY_TEST(readers_see_whole_entries_while_the_directory_changes),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
