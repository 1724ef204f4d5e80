#include <string.h>

#include "base/slice.h"
#include "base/status.h"
#include "tests/test.h"

// ---- slices ----

static int sign(int value) {
    return (value > 0) - (value < 0);
}

TEST(order_is_that_of_unsigned_bytes_with_the_prefix_first) {
    const tarn_slice sorted[] = {{NULL, 0},      TARN_LIT("\x00"), TARN_LIT("a"),   TARN_LIT("a\0"),
                                 TARN_LIT("aa"), TARN_LIT("b"),    TARN_LIT("\x80")};
    const int count = sizeof sorted / sizeof sorted[0];
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++) {
            assert_int_equal(sign(tarn_slice_compare(sorted[i], sorted[k])), sign(i - k));
            assert_int_equal(tarn_slice_equal(sorted[i], sorted[k]), i == k);
        }
    }
}

TEST(parts_and_prefixes) {
    tarn_slice s = TARN_LIT("snapshot-12");
    assert_true(tarn_slice_starts_with(s, TARN_LIT("snapshot-")));
    assert_true(tarn_slice_starts_with(s, (tarn_slice){NULL, 0}));
    assert_false(tarn_slice_starts_with(TARN_LIT("snap"), TARN_LIT("snapshot-")));
    assert_true(tarn_slice_equal(tarn_slice_skip(s, 9), TARN_LIT("12")));
    assert_true(tarn_slice_equal(tarn_slice_head(s, 4), TARN_LIT("snap")));
    assert_int_equal(tarn_slice_skip(s, s.len).len, 0);
    assert_int_equal(tarn_slice_skip((tarn_slice){NULL, 0}, 0).len, 0);
    assert_int_equal(tarn_slice_from_cstr(NULL).len, 0);
    assert_true(tarn_slice_equal(tarn_slice_from_cstr("ab"), TARN_LIT("ab")));
}

TEST(stored_integers_have_golden_bytes_and_come_back) {
    uint8_t bytes[9] = {0};
    uint8_t *unaligned = bytes + 1;
    tarn_store_u16(unaligned, 0x0102);
    assert_memory_equal(unaligned, "\x02\x01", 2);
    assert_int_equal(tarn_load_u16(unaligned), 0x0102);
    tarn_store_u32(unaligned, 0xF1020304);
    assert_memory_equal(unaligned, "\x04\x03\x02\xF1", 4);
    assert_int_equal(tarn_load_u32(unaligned), 0xF1020304);
    tarn_store_u32_be(unaligned, 0xF1020304);
    assert_memory_equal(unaligned, "\xF1\x02\x03\x04", 4);
    assert_int_equal(tarn_load_u32_be(unaligned), 0xF1020304);
    tarn_store_u64(unaligned, 0xF102030405060708);
    assert_memory_equal(unaligned, "\x08\x07\x06\x05\x04\x03\x02\xF1", 8);
    assert_true(tarn_load_u64(unaligned) == 0xF102030405060708);
    tarn_store_u64_be(unaligned, 0xF102030405060708);
    assert_memory_equal(unaligned, "\xF1\x02\x03\x04\x05\x06\x07\x08", 8);
    assert_true(tarn_load_u64_be(unaligned) == 0xF102030405060708);
}

// ---- errors ----

TEST(a_failure_says_what_and_forgets_the_one_before) {
    tarn_error err;
    assert_int_equal(tarn_fail(&err, TARN_INVALID, "first"), TARN_INVALID);
    tarn_error_locate(&err, "42601", 7);
    tarn_error_hint(&err, "did you mean '%s'?", "origin");
    assert_int_equal(tarn_fail(&err, TARN_CORRUPT, "block %d", 3), TARN_CORRUPT);
    assert_int_equal(err.status, TARN_CORRUPT);
    assert_string_equal(err.message, "block 3");
    assert_string_equal(err.sqlstate, "");
    assert_string_equal(err.hint, "");
    assert_int_equal(err.position, 0);
    assert_non_null(strstr(err.file, "slice_status_test.c"));
    assert_true(err.line > 0);
}

TEST(a_prefix_keeps_status_place_and_hint) {
    tarn_error err;
    (void)tarn_fail(&err, TARN_IO, "no space left on device");
    tarn_error_locate(&err, "53100", 0);
    tarn_error_hint(&err, "free some");
    int line = err.line;
    tarn_error_prefix(&err, "table %s: ", "orders");
    assert_string_equal(err.message, "table orders: no space left on device");
    tarn_error_locate(&err, NULL, 12);
    tarn_error_locate(&err, "", 0); // changes nothing
    assert_int_equal(err.status, TARN_IO);
    assert_int_equal(err.line, line);
    assert_string_equal(err.sqlstate, "53100");
    assert_int_equal(err.position, 12);
    assert_string_equal(err.hint, "free some");
}

TEST(long_messages_are_cut_and_null_is_accepted) {
    char endless[2 * TARN_ERROR_MESSAGE_MAX];
    memset(endless, 'x', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    tarn_error err;
    (void)tarn_fail(&err, TARN_IO, "%s", endless);
    assert_int_equal(strlen(err.message), TARN_ERROR_MESSAGE_MAX - 1);
    tarn_error_prefix(&err, "p: ");
    assert_int_equal(strncmp(err.message, "p: xxx", 6), 0);
    tarn_error_prefix(&err, "%s", endless);
    tarn_error_hint(&err, "%s", endless);
    assert_int_equal(strlen(err.message), TARN_ERROR_MESSAGE_MAX - 1);
    assert_int_equal(strlen(err.hint), TARN_ERROR_HINT_MAX - 1);

    assert_int_equal(tarn_fail(NULL, TARN_CONFLICT, "nobody reads this"), TARN_CONFLICT);
    tarn_error_prefix(NULL, "p: ");
    tarn_error_locate(NULL, "42601", 1);
    tarn_error_hint(NULL, "h");
}

static tarn_status try_two(tarn_status first, int *steps) {
    TARN_TRY(first);
    ++*steps;
    return TARN_OK;
}

TEST(try_returns_the_first_failure) {
    int steps = 0;
    assert_int_equal(try_two(TARN_OK, &steps), TARN_OK);
    assert_int_equal(try_two(TARN_CANCELLED, &steps), TARN_CANCELLED);
    assert_int_equal(steps, 1);
    assert_string_equal(tarn_status_name(TARN_NO_MEMORY), "no memory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_that_of_unsigned_bytes_with_the_prefix_first),
        cmocka_unit_test(parts_and_prefixes),
        cmocka_unit_test(stored_integers_have_golden_bytes_and_come_back),
        cmocka_unit_test(a_failure_says_what_and_forgets_the_one_before),
        cmocka_unit_test(a_prefix_keeps_status_place_and_hint),
        cmocka_unit_test(long_messages_are_cut_and_null_is_accepted),
        cmocka_unit_test(try_returns_the_first_failure),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
