#include "base/varint.h"

#include "tests/test.h"

// A value of random magnitude, so that every encoded length occurs.
static uint64_t random_value(void) {
    return test_random() >> test_random_below(64);
}

TEST(every_value_comes_back_from_its_bytes) {
    for (int round = 0; round < 20000; round++) {
        uint64_t value = round == 0 ? UINT64_MAX : round == 1 ? 0 : random_value();
        uint8_t bytes[TARN_VARINT_MAX_BYTES + 1];
        size_t len = tarn_varint_encode(bytes, value);
        assert_in_range(len, 1, TARN_VARINT_MAX_BYTES);
        bytes[len] = 0xEE; // belongs to the next field
        tarn_slice input = {bytes, len + 1};
        uint64_t decoded = 0;
        assert_true(tarn_varint_decode(&input, &decoded));
        assert_int_equal(decoded, value);
        assert_ptr_equal(input.data, bytes + len);
        assert_int_equal(input.len, 1);

        for (size_t cut = 0; cut < len; cut++) {
            input = (tarn_slice){bytes, cut};
            assert_false(tarn_varint_decode(&input, &decoded));
            assert_int_equal(input.len, cut);
        }
    }
}

TEST(golden_bytes) {
    const struct {
        uint64_t value;
        const char *bytes;
    } cases[] = {{0, "\x00"},       {1, "\x01"},
                 {127, "\x7F"},     {128, "\x80\x01"},
                 {300, "\xAC\x02"}, {UINT64_MAX, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[TARN_VARINT_MAX_BYTES];
        size_t len = tarn_varint_encode(bytes, cases[i].value);
        assert_int_equal(len, cases[i].value == 0 ? 1 : strlen(cases[i].bytes));
        assert_memory_equal(bytes, cases[i].bytes, len);
    }
}

TEST(more_than_64_bits_are_refused) {
    const uint8_t too_large[] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02};
    const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    uint64_t value = 77;
    tarn_slice input = {too_large, sizeof too_large};
    assert_false(tarn_varint_decode(&input, &value));
    input = (tarn_slice){too_long, sizeof too_long};
    assert_false(tarn_varint_decode(&input, &value));
    assert_int_equal(input.len, sizeof too_long);
    assert_int_equal(value, 77);
}

TEST(zigzag_keeps_small_magnitudes_small) {
    const int64_t values[] = {0, -1, 1, -2, 2};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(tarn_zigzag_encode(values[i]), i);
    }
    assert_true(tarn_zigzag_encode(INT64_MIN) == UINT64_MAX);
    assert_true(tarn_zigzag_encode(INT64_MAX) == UINT64_MAX - 1);
    for (int round = 0; round < 1000; round++) {
        int64_t value = (int64_t)test_random() >> test_random_below(64);
        assert_true(tarn_zigzag_decode(tarn_zigzag_encode(value)) == value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_comes_back_from_its_bytes),
        cmocka_unit_test(golden_bytes),
        cmocka_unit_test(more_than_64_bits_are_refused),
        cmocka_unit_test(zigzag_keeps_small_magnitudes_small),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
