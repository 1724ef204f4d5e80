#include "base/crc32c.h"

#include "tests/test.h"

typedef uint32_t crc_function(uint32_t crc, tarn_slice bytes);
static crc_function *const both[] = {tarn_crc32c, tarn_crc32c_portable};

// RFC 3720, appendix B.4, and the check value of the catalogue of CRC algorithms.
TEST(known_answers_are_given) {
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t up[32];
    uint8_t down[32];
    for (uint8_t i = 0; i < 32; i++) {
        ones[i] = 0xFF;
        up[i] = i;
        down[i] = (uint8_t)(31 - i);
    }
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(both[k](0, (tarn_slice){zeros, 32}), 0x8A9136AA);
        assert_int_equal(both[k](0, (tarn_slice){ones, 32}), 0x62A8AB43);
        assert_int_equal(both[k](0, (tarn_slice){up, 32}), 0x46DD794E);
        assert_int_equal(both[k](0, (tarn_slice){down, 32}), 0x113FDB5C);
        assert_int_equal(both[k](0, TARN_LIT("123456789")), 0xE3069283);
        assert_int_equal(both[k](0, (tarn_slice){0}), 0);
    }
}

TEST(pieces_give_what_the_whole_gives_and_both_ways_agree) {
    static uint8_t bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)test_random();
    for (int round = 0; round < 500; round++) {
        size_t begin = test_random_below(16);
        size_t len = test_random_below(sizeof bytes - begin);
        size_t cut = test_random_below(len + 1);
        tarn_slice all = {bytes + begin, len};
        uint32_t start = (uint32_t)test_random();
        uint32_t expected = tarn_crc32c_portable(start, all);
        assert_int_equal(tarn_crc32c(start, all), expected);
        uint32_t head = tarn_crc32c(start, tarn_slice_head(all, cut));
        assert_int_equal(tarn_crc32c(head, tarn_slice_skip(all, cut)), expected);
    }
}

TEST(different_starts_never_give_the_same) {
    tarn_slice bytes = TARN_LIT("a record that was written by an earlier user of the file");
    uint32_t first = tarn_crc32c(1, bytes);
    for (uint32_t start = 2; start < 10000; start++) {
        assert_int_not_equal(tarn_crc32c(start, bytes), first);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_are_given),
        cmocka_unit_test(pieces_give_what_the_whole_gives_and_both_ways_agree),
        cmocka_unit_test(different_starts_never_give_the_same),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
