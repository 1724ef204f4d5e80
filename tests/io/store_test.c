#include "io/io.h"

#include <string.h>

#include "tests/test.h"

static tarn_error err;

TEST(an_object_over_bytes_reads_ranges_and_refuses_those_beyond) {
    tarn_object *object = NULL;
    assert_int_equal(tarn_object_from_bytes(&tarn_alloc_libc, TARN_LIT("name"),
                                            TARN_LIT("0123456789"), &object, &err),
                     TARN_OK);
    assert_int_equal(tarn_object_size(object), 10);
    assert_true(tarn_slice_equal(tarn_object_name(object), TARN_LIT("name")));
    uint8_t bytes[10] = {0};
    assert_int_equal(tarn_object_read(object, 7, bytes, 3, &err), TARN_OK);
    assert_memory_equal(bytes, "789", 3);
    assert_int_equal(tarn_object_read(object, 10, bytes, 0, &err), TARN_OK);
    assert_int_equal(tarn_object_read(object, 8, bytes, 3, &err), TARN_CORRUPT);
    assert_string_equal(err.message, "'name' has 10 bytes, 3 at offset 8 are beyond them");
    assert_int_equal(tarn_object_read(object, UINT64_MAX, bytes, 2, &err), TARN_CORRUPT);
    tarn_object_close(object);
    tarn_object_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_over_bytes_reads_ranges_and_refuses_those_beyond),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
