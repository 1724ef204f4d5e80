#include "base/sketch.h"

#include "base/hash.h"
#include "tests/test.h"

// Six standard errors: a fair sketch misses them once in hundreds of millions of tries.
static void check_count(uint64_t count, int repeats) {
    tarn_sketch sketch = {0};
    uint64_t seed = test_random();
    for (int r = 0; r < repeats; r++) {
        for (uint64_t i = 0; i < count; i++) tarn_sketch_add(&sketch, tarn_hash_u64(seed + i));
    }
    double estimate = tarn_sketch_count(&sketch);
    assert_true(estimate >= (double)count * 0.8 - 1);
    assert_true(estimate <= (double)count * 1.2 + 1);
}

TEST(a_sketch_counts_different_values_roughly) {
    for (uint64_t count = 1; count < 300000; count = count * 3 + 1) check_count(count, 1);
}

TEST(a_value_seen_again_changes_nothing) {
    check_count(100, 50);
    check_count(50000, 3);
}

TEST(an_empty_sketch_has_seen_none) {
    tarn_sketch sketch = {0};
    assert_true(tarn_sketch_count(&sketch) < 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sketch_counts_different_values_roughly),
        cmocka_unit_test(a_value_seen_again_changes_nothing),
        cmocka_unit_test(an_empty_sketch_has_seen_none),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
