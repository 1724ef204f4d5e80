#include "base/budget.h"

#include <pthread.h>

#include "tests/test.h"

TEST(lends_up_to_its_limit_and_remembers_the_peak) {
    tarn_budget budget;
    tarn_budget_init(&budget, &tarn_alloc_libc, 1000);
    const tarn_alloc *alloc = &budget.alloc;
    void *a = alloc->acquire(alloc->context, 600);
    void *b = alloc->acquire(alloc->context, 400);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(alloc->acquire(alloc->context, 1));
    assert_null(alloc->acquire(alloc->context, SIZE_MAX)); // must not wrap
    alloc->release(alloc->context, a, 600);
    assert_int_equal(budget.used_bytes, 400);
    a = alloc->acquire(alloc->context, 500);
    assert_non_null(a);
    assert_int_equal(budget.peak_bytes, 1000);
    alloc->release(alloc->context, a, 500);
    alloc->release(alloc->context, b, 400);
    assert_int_equal(budget.used_bytes, 0);
}

static void *refuse(void *context, size_t size_bytes) {
    (void)context;
    (void)size_bytes;
    return NULL;
}

TEST(a_refusal_of_the_parent_is_not_charged) {
    const tarn_alloc empty = {.acquire = refuse};
    tarn_budget budget;
    tarn_budget_init(&budget, &empty, 1000);
    assert_null(budget.alloc.acquire(budget.alloc.context, 10));
    assert_int_equal(budget.used_bytes, 0);
}

enum { THREADS = 4, LIMIT_BYTES = 10000 };

// Borrows and returns at random.
static void *borrow(void *argument) {
    tarn_budget *budget = argument;
    const tarn_alloc *alloc = &budget->alloc;
    void *held[20] = {NULL};
    size_t sizes[20] = {0};
    uint64_t chance = (uintptr_t)&held;
    for (int i = 0; i < 5000; i++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        size_t slot = (size_t)(chance >> 33) % 20;
        if (held[slot] != NULL) alloc->release(alloc->context, held[slot], sizes[slot]);
        sizes[slot] = 1 + (size_t)(chance >> 40) % 1000;
        held[slot] = alloc->acquire(alloc->context, sizes[slot]);
    }
    for (size_t slot = 0; slot < 20; slot++) {
        if (held[slot] != NULL) alloc->release(alloc->context, held[slot], sizes[slot]);
    }
    return NULL;
}

TEST(threads_never_borrow_more_than_the_limit_together) {
    tarn_budget budget;
    tarn_budget_init(&budget, &tarn_alloc_libc, LIMIT_BYTES);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, borrow, &budget), 0);
    }
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(budget.used_bytes, 0);
    assert_in_range(budget.peak_bytes, LIMIT_BYTES / 2, LIMIT_BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lends_up_to_its_limit_and_remembers_the_peak),
        cmocka_unit_test(a_refusal_of_the_parent_is_not_charged),
        cmocka_unit_test(threads_never_borrow_more_than_the_limit_together),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
