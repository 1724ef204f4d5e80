#include "base/pool.h"

#include <pthread.h>

#include "tests/test.h"

TEST(gives_back_what_it_was_given_and_refuses_when_full) {
    static tarn_pool pool; // zeroed
    assert_null(tarn_pool_take(&pool));
    int objects[TARN_POOL_SLOTS + 1];
    for (int i = 0; i < TARN_POOL_SLOTS; i++) assert_true(tarn_pool_give(&pool, &objects[i]));
    assert_false(tarn_pool_give(&pool, &objects[TARN_POOL_SLOTS]));
    bool seen[TARN_POOL_SLOTS] = {false};
    for (int i = 0; i < TARN_POOL_SLOTS; i++) {
        const int *object = tarn_pool_take(&pool);
        assert_non_null(object);
        assert_false(seen[object - objects]);
        seen[object - objects] = true;
    }
    assert_null(tarn_pool_take(&pool));
}

static tarn_pool shared;
static int counters[TARN_POOL_SLOTS]; // not atomic: whoever took it owns it

static void *count_up(void *argument) {
    size_t *taken = argument;
    for (int i = 0; i < 20000; i++) {
        int *counter = tarn_pool_take(&shared);
        if (counter == NULL) continue;
        ++*counter;
        ++*taken;
        tarn_assert(tarn_pool_give(&shared, counter)); // there is a slot for each
    }
    return NULL;
}

// Meant for ThreadSanitizer, which sees two owners, or a missing release or acquire.
TEST(an_object_has_one_owner_at_a_time) {
    enum { THREADS = 4 };
    for (int i = 0; i < TARN_POOL_SLOTS; i++) assert_true(tarn_pool_give(&shared, &counters[i]));
    pthread_t threads[THREADS];
    size_t taken[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &taken[i]), 0);
    }
    size_t expected = 0;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        expected += taken[i];
    }
    size_t total = 0;
    for (int i = 0; i < TARN_POOL_SLOTS; i++) total += (size_t)counters[i];
    assert_int_equal(total, expected);
    assert_true(total > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_it_was_given_and_refuses_when_full),
        cmocka_unit_test(an_object_has_one_owner_at_a_time),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
