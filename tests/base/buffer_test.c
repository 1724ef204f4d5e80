#include "base/buffer.h"

#include "base/budget.h"
#include "tests/test.h"

// Random appends against the simplest model: one large array.
TEST(holds_what_was_appended) {
    static uint8_t model[20000];
    tarn_buffer buffer = {0};
    size_t len = 0;
    while (len < sizeof model - 100) {
        uint8_t piece[50];
        size_t piece_len = test_random_below(sizeof piece + 1);
        for (size_t i = 0; i < piece_len; i++) piece[i] = (uint8_t)test_random();
        assert_true(tarn_buffer_append(&buffer, (tarn_slice){piece, piece_len}));
        if (piece_len > 0) memcpy(model + len, piece, piece_len);
        len += piece_len;
        if (test_random_below(2) == 0) {
            assert_true(tarn_buffer_append_byte(&buffer, (uint8_t)len));
            model[len] = (uint8_t)len;
            len++;
        }
    }
    assert_true(tarn_slice_equal(tarn_buffer_slice(&buffer), (tarn_slice){model, len}));
    tarn_buffer_free(&buffer);
}

TEST(a_refused_append_changes_nothing) {
    tarn_buffer buffer = {.limit_bytes = 10};
    assert_true(tarn_buffer_append(&buffer, TARN_LIT("0123456")));
    assert_false(tarn_buffer_append(&buffer, TARN_LIT("abcd")));
    assert_false(tarn_buffer_printf(&buffer, "%s", "abcd"));
    assert_false(tarn_buffer_reserve(&buffer, SIZE_MAX));
    assert_true(tarn_slice_equal(tarn_buffer_slice(&buffer), TARN_LIT("0123456")));
    assert_true(tarn_buffer_append(&buffer, TARN_LIT("789"))); // exactly full
    assert_true(tarn_buffer_append(&buffer, TARN_LIT("")));
    assert_false(tarn_buffer_append_byte(&buffer, 0));
    assert_int_equal(buffer.capacity_bytes, 10);
    tarn_buffer_free(&buffer);
}

TEST(clear_keeps_the_memory_and_free_gives_all_of_it_back) {
    tarn_budget budget;
    tarn_budget_init(&budget, &tarn_alloc_libc, 1 << 20);
    tarn_buffer buffer = {.alloc = &budget.alloc};
    for (int i = 0; i < 1000; i++) assert_true(tarn_buffer_printf(&buffer, "%d,", i));
    const uint8_t *data = buffer.data;
    tarn_buffer_clear(&buffer);
    assert_true(tarn_buffer_printf(&buffer, "%d-%s", 7, "x"));
    assert_ptr_equal(buffer.data, data);
    assert_true(tarn_slice_equal(tarn_buffer_slice(&buffer), TARN_LIT("7-x")));
    tarn_buffer_free(&buffer);
    tarn_buffer_free(&buffer); // empty again
    assert_int_equal(budget.used_bytes, 0);
}

TEST(an_exhausted_allocator_is_an_answer) {
    tarn_budget budget;
    tarn_budget_init(&budget, &tarn_alloc_libc, 1000);
    tarn_buffer buffer = {.alloc = &budget.alloc};
    size_t appended = 0;
    while (tarn_buffer_append_byte(&buffer, (uint8_t)appended)) appended++;
    assert_in_range(appended, 1, 1000);
    assert_int_equal(buffer.len, appended);
    for (size_t i = 0; i < appended; i++) assert_int_equal(buffer.data[i], (uint8_t)i);
    tarn_buffer_free(&buffer);
    assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_appended),
        cmocka_unit_test(a_refused_append_changes_nothing),
        cmocka_unit_test(clear_keeps_the_memory_and_free_gives_all_of_it_back),
        cmocka_unit_test(an_exhausted_allocator_is_an_answer),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
