#include "format/parquet/thrift.h"

#include "tests/test.h"

static tarn_slice bytes_of(const uint8_t *data, size_t len) {
    return (tarn_slice){data, len};
}
#define BYTES(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

TEST(fields_lists_and_structs_are_read) {
    // version 2; schema: one struct {name "schema", child_count 2}
    parquet_thrift thrift =
        parquet_thrift_from(BYTES(0x15, 0x04, 0x19, 0x1c, 0x48, 0x06, 0x73, 0x63, 0x68, 0x65, 0x6d,
                                  0x61, 0x15, 0x04, 0x00, 0x00));
    parquet_thrift_field field = {0};
    assert_true(parquet_thrift_next_field(&thrift, &field));
    assert_int_equal(field.id, 1);
    assert_int_equal(parquet_thrift_i32(&thrift, field.type), 2);
    assert_true(parquet_thrift_next_field(&thrift, &field));
    uint8_t element_type;
    assert_int_equal(parquet_thrift_list(&thrift, field.type, 1, &element_type), 1);
    assert_int_equal(element_type, PARQUET_THRIFT_STRUCT);
    parquet_thrift_field inner = {0};
    assert_true(parquet_thrift_next_field(&thrift, &inner));
    assert_int_equal(inner.id, 4);
    assert_true(tarn_slice_equal(parquet_thrift_binary(&thrift, inner.type), TARN_LIT("schema")));
    assert_true(parquet_thrift_next_field(&thrift, &inner));
    assert_int_equal(parquet_thrift_i32(&thrift, inner.type), 2);
    assert_false(parquet_thrift_next_field(&thrift, &inner));
    assert_false(parquet_thrift_next_field(&thrift, &field));
    assert_null(thrift.problem);
    assert_int_equal(thrift.consumed_bytes, 16);
}

TEST(ids_may_be_written_in_full) {
    parquet_thrift thrift = parquet_thrift_from(BYTES(0x05, 0x40, 0x02, 0x15, 0x04, 0x00));
    parquet_thrift_field field = {0};
    assert_true(parquet_thrift_next_field(&thrift, &field));
    assert_int_equal(field.id, 32);
    assert_int_equal(parquet_thrift_i64(&thrift, field.type), 1);
    assert_true(parquet_thrift_next_field(&thrift, &field));
    assert_int_equal(field.id, 33);
}

TEST(unknown_fields_of_every_type_are_skipped) {
    parquet_thrift thrift =
        parquet_thrift_from(BYTES(0x11,                               // true
                                  0x12,                               // false
                                  0x13, 0x7f,                         // i8
                                  0x14, 0x80, 0x01,                   // i16
                                  0x15, 0x02,                         // i32
                                  0x16, 0x02,                         // i64
                                  0x17, 0, 0, 0, 0, 0, 0, 0, 0,       // double
                                  0x18, 0x02, 0x61, 0x62,             // binary
                                  0x19, 0x21, 0x01, 0x02,             // list of two booleans
                                  0x1a, 0xf5, 0x01, 0x02,             // set of one i32, long form
                                  0x1b, 0x01, 0x58, 0x02, 0x01, 0x61, // map of one i32 to binary
                                  0x1b, 0x00,                         // empty map
                                  0x1c, 0x1c, 0x15, 0x02, 0x00, 0x00, // struct in struct
                                  0x15, 0x0e,                         // i32 7
                                  0x00));
    parquet_thrift_field field = {0};
    int64_t last = 0;
    while (parquet_thrift_next_field(&thrift, &field)) {
        if (field.id == 14) {
            last = parquet_thrift_i64(&thrift, field.type);
        } else {
            parquet_thrift_skip(&thrift, field.type);
        }
    }
    assert_null(thrift.problem);
    assert_int_equal(last, 7);
    assert_int_equal(thrift.rest.len, 0);
}

// Takes everything there is by skipping.
static parquet_thrift skip_all(tarn_slice bytes) {
    parquet_thrift thrift = parquet_thrift_from(bytes);
    parquet_thrift_skip(&thrift, PARQUET_THRIFT_STRUCT);
    return thrift;
}

TEST(a_cut_input_says_so) {
    tarn_slice whole = BYTES(0x15, 0x80, 0x01, 0x18, 0x03, 0x61, 0x62, 0x63, 0x19, 0x25, 0x02, 0x04,
                             0x1c, 0x15, 0x02, 0x00, 0x00);
    assert_null(skip_all(whole).problem);
    for (size_t len = 0; len < whole.len; len++) {
        parquet_thrift thrift = skip_all(tarn_slice_head(whole, len));
        assert_non_null(thrift.problem);
        assert_true(thrift.is_cut);
    }
}

TEST(lists_longer_than_their_bytes_and_deep_nesting_are_problems) {
    assert_non_null(skip_all(BYTES(0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x02, 0x00)).problem);
    uint8_t deep[100];
    memset(deep, 0x1c, sizeof deep);
    parquet_thrift thrift = skip_all((tarn_slice){deep, sizeof deep});
    assert_string_equal(thrift.problem, "is nested too deeply");
    assert_non_null(skip_all(BYTES(0x1d, 0x00)).problem); // type 13 does not exist
}

TEST(random_bytes_never_harm_the_reader) {
    uint8_t bytes[64];
    for (int round = 0; round < 20000; round++) {
        size_t len = test_random_below(sizeof bytes + 1);
        for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)test_random();
        parquet_thrift thrift = skip_all((tarn_slice){bytes, len});
        assert_true(thrift.problem != NULL || thrift.consumed_bytes <= len);
    }
}

TEST(what_is_written_is_read_back) {
    tarn_buffer out = {0};
    parquet_thrift_writer writer = parquet_thrift_write_to(&out);
    parquet_thrift_put_i32(&writer, 1, INT32_MIN);
    parquet_thrift_put_i64(&writer, 3, INT64_MAX);
    parquet_thrift_put_bool(&writer, 4, true);
    parquet_thrift_put_binary(&writer, 7, TARN_LIT("x"));
    parquet_thrift_put_list(&writer, 8, PARQUET_THRIFT_STRUCT, 20);
    for (int i = 0; i < 20; i++) {
        parquet_thrift_begin_element(&writer);
        parquet_thrift_put_i32(&writer, 2, i);
        parquet_thrift_end_struct(&writer);
    }
    parquet_thrift_put_empty(&writer, 9);
    parquet_thrift_end_struct(&writer);
    assert_false(writer.failed);

    parquet_thrift thrift = parquet_thrift_from(tarn_buffer_slice(&out));
    parquet_thrift_field field = {0};
    int64_t seen = 0;
    while (parquet_thrift_next_field(&thrift, &field)) {
        uint8_t element_type;
        seen++;
        switch (field.id) {
        case 1: assert_int_equal(parquet_thrift_i32(&thrift, field.type), INT32_MIN); break;
        case 3: assert_true(parquet_thrift_i64(&thrift, field.type) == INT64_MAX); break;
        case 4: assert_true(parquet_thrift_bool(&thrift, field.type)); break;
        case 7: assert_int_equal(parquet_thrift_binary(&thrift, field.type).len, 1); break;
        case 8:
            assert_int_equal(parquet_thrift_list(&thrift, field.type, 1, &element_type), 20);
            for (int i = 0; i < 20; i++) {
                parquet_thrift_field inner = {0};
                assert_true(parquet_thrift_next_field(&thrift, &inner));
                assert_int_equal(parquet_thrift_i32(&thrift, inner.type), i);
                assert_false(parquet_thrift_next_field(&thrift, &inner));
            }
            break;
        default: parquet_thrift_skip(&thrift, field.type);
        }
    }
    assert_null(thrift.problem);
    assert_int_equal(seen, 6);
    tarn_buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_lists_and_structs_are_read),
        cmocka_unit_test(ids_may_be_written_in_full),
        cmocka_unit_test(unknown_fields_of_every_type_are_skipped),
        cmocka_unit_test(a_cut_input_says_so),
        cmocka_unit_test(lists_longer_than_their_bytes_and_deep_nesting_are_problems),
        cmocka_unit_test(random_bytes_never_harm_the_reader),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
