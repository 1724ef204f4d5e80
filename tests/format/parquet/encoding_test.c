#include "format/parquet/bits.h"
#include "format/parquet/crc32.h"
#include "format/parquet/delta.h"
#include "format/parquet/hybrid.h"

#include "base/bitmap.h"
#include "tests/test.h"

static tarn_slice bytes_of(const uint8_t *data, size_t len) {
    return (tarn_slice){data, len};
}
#define BYTES(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

enum { COUNT_MAX = 3000 };

// ---- bits ----

static uint32_t low_bits(uint64_t value, unsigned width) {
    return (uint32_t)(width == 0 ? 0 : value & (UINT64_MAX >> (64 - width)));
}

TEST(packed_values_come_back_at_every_width_and_offset) {
    static uint32_t values[COUNT_MAX];
    static uint32_t fast[COUNT_MAX];
    static uint32_t portable[COUNT_MAX];
    for (unsigned width = 0; width <= 32; width++) {
        size_t count = 1 + test_random_below(COUNT_MAX);
        for (size_t i = 0; i < count; i++) values[i] = low_bits(test_random(), width);
        size_t len = parquet_bits_bytes(count, width);
        uint8_t *packed = test_malloc(len + 1); // exactly sized: over-reads are seen
        if (width > 0) parquet_bits_pack32(values, count, width, packed);
        for (size_t skipped = 0; skipped < count && skipped < 20; skipped++) {
            size_t left = count - skipped;
            tarn_slice in = {packed, len};
            parquet_bits_unpack32(in, skipped * width, width, left, fast);
            parquet_bits_unpack32_portable(in, skipped * width, width, left, portable);
            assert_memory_equal(fast, values + skipped, left * sizeof *values);
            assert_memory_equal(portable, values + skipped, left * sizeof *values);
            uint32_t greatest = 0;
            for (size_t i = 0; i < left; i++) greatest = fast[i] > greatest ? fast[i] : greatest;
            assert_int_equal(parquet_bits_greatest(fast, left), greatest);
        }
        test_free(packed);
    }
}

TEST(wide_packed_values_come_back_at_every_width) {
    static uint64_t values[COUNT_MAX];
    static uint64_t unpacked[COUNT_MAX];
    for (unsigned width = 1; width <= 64; width++) {
        size_t count = 1 + test_random_below(COUNT_MAX);
        for (size_t i = 0; i < count; i++) values[i] = test_random() >> (64 - width);
        size_t len = parquet_bits_bytes(count, width);
        uint8_t *packed = test_malloc(len);
        parquet_bits_pack64(values, count, width, packed);
        parquet_bits_unpack64((tarn_slice){packed, len}, 0, width, count, unpacked);
        assert_memory_equal(unpacked, values, count * sizeof *values);
        test_free(packed);
    }
}

TEST(bitmaps_are_copied_filled_and_counted_like_bit_by_bit) {
    enum { BITS = 512 };
    uint8_t source[BITS / 8 + 16];
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof source; i++) source[i] = (uint8_t)test_random();
        uint64_t words[BITS / 64 + 1] = {0};
        size_t at = 0;
        bool expected[BITS];
        while (at < BITS) {
            size_t count = test_random_below(BITS - at) + 1;
            if (test_random_below(3) == 0) {
                bool value = test_random_below(2) == 0;
                parquet_bits_fill(words, at, count, value);
                for (size_t i = 0; i < count; i++) expected[at + i] = value;
            } else {
                size_t from = test_random_below(100);
                if (from + count > BITS) count = BITS - from;
                parquet_bits_copy(words, at, (tarn_slice){source, BITS / 8}, from, count);
                for (size_t i = 0; i < count; i++) {
                    expected[at + i] = source[(from + i) / 8] >> (from + i) % 8 & 1;
                }
            }
            at += count;
        }
        size_t begin = test_random_below(BITS);
        size_t set = 0;
        for (size_t i = 0; i < BITS; i++) {
            assert_int_equal(tarn_bitmap_get(words, i), expected[i]);
            set += i >= begin && expected[i];
        }
        assert_int_equal(parquet_bits_count(words, begin, BITS - begin), set);
    }
}

// ---- hybrid ----

static void assert_hybrid(tarn_slice bytes, unsigned width, const uint32_t *expected,
                          size_t count) {
    uint32_t decoded[COUNT_MAX];
    parquet_hybrid hybrid;
    parquet_hybrid_init(&hybrid, bytes, width);
    assert_int_equal(parquet_hybrid_decode(&hybrid, count, decoded, NULL), TARN_OK);
    assert_memory_equal(decoded, expected, count * sizeof *expected);
}

TEST(golden_hybrid_runs) {
    uint32_t threes[100];
    for (size_t i = 0; i < 100; i++) threes[i] = 3;
    assert_hybrid(BYTES(0x03, 0x88, 0xc6, 0xfa), 3, (uint32_t[]){0, 1, 2, 3, 4, 5, 6, 7}, 8);
    assert_hybrid(BYTES(0xc8, 0x01, 0x03), 2, threes, 100);
    assert_hybrid(BYTES(0x03, 0x1b), 1, (uint32_t[]){1, 1, 0, 1, 1}, 5);
    assert_hybrid(BYTES(0x03, 0x02), 1, (uint32_t[]){0, 1, 0, 0}, 4);
    assert_hybrid(BYTES(0x0a), 0, (uint32_t[]){0, 0, 0, 0, 0}, 5); // no bytes for width 0
    assert_hybrid(BYTES(0x03), 0, (uint32_t[]){0, 0, 0}, 3);
    assert_hybrid(BYTES(0x02, 0x00, 0x00, 0x00, 0x80), 32, (uint32_t[]){0x80000000u}, 1);
}

// Values with long and short repetitions.
static void random_runs(uint32_t *values, size_t count, unsigned width) {
    for (size_t i = 0; i < count;) {
        size_t len = test_random_below(3) == 0 ? 1 + test_random_below(200) : 1;
        uint32_t value = low_bits(test_random(), width);
        for (; len > 0 && i < count; len--) values[i++] = value;
    }
}

TEST(hybrid_round_trips_in_steps_of_any_size) {
    static uint32_t values[COUNT_MAX];
    static uint32_t decoded[COUNT_MAX];
    for (int round = 0; round < 300; round++) {
        unsigned width = 1 + (unsigned)test_random_below(32);
        size_t count = 1 + test_random_below(COUNT_MAX);
        random_runs(values, count, width);
        tarn_buffer out = {0};
        assert_true(parquet_hybrid_encode(values, count, width, &out));
        assert_in_range(out.len, 1, 12 + count / 32 + count * (width + 7) / 8 + width);
        parquet_hybrid hybrid;
        parquet_hybrid_init(&hybrid, tarn_buffer_slice(&out), width);
        for (size_t done = 0; done < count;) {
            size_t step = 1 + test_random_below(count - done);
            if (test_random_below(3) == 0) {
                assert_int_equal(parquet_hybrid_skip(&hybrid, step, NULL), TARN_OK);
            } else {
                assert_int_equal(parquet_hybrid_decode(&hybrid, step, decoded, NULL), TARN_OK);
                assert_memory_equal(decoded, values + done, step * sizeof *values);
            }
            done += step;
        }
        tarn_buffer_free(&out);
    }
}

TEST(hybrid_bits_round_trip) {
    uint64_t words[COUNT_MAX / 64 + 1];
    uint64_t decoded[COUNT_MAX / 64 + 2];
    for (int round = 0; round < 500; round++) {
        size_t count = 1 + test_random_below(COUNT_MAX);
        for (size_t i = 0; i < COUNT_MAX / 64 + 1; i++) {
            words[i] = test_random_below(3) == 0   ? test_random()
                       : test_random_below(2) == 0 ? UINT64_MAX
                                                   : 0;
        }
        tarn_buffer out = {0};
        assert_true(parquet_hybrid_encode_bits(words, count, &out));
        parquet_hybrid hybrid;
        parquet_hybrid_init(&hybrid, tarn_buffer_slice(&out), 1);
        size_t half = test_random_below(count + 1);
        memset(decoded, 0, sizeof decoded);
        assert_int_equal(parquet_hybrid_decode_bits(&hybrid, half, decoded, 0, NULL), TARN_OK);
        assert_int_equal(parquet_hybrid_decode_bits(&hybrid, count - half, decoded, half, NULL),
                         TARN_OK);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(tarn_bitmap_get(decoded, i), tarn_bitmap_get(words, i));
        }
        tarn_buffer_free(&out);
    }
}

TEST(hybrid_streams_that_end_early_are_corrupt) {
    uint32_t decoded[100];
    parquet_hybrid hybrid;
    parquet_hybrid_init(&hybrid, BYTES(0x03, 0x88, 0xc6, 0xfa), 3);
    assert_int_equal(parquet_hybrid_decode(&hybrid, 9, decoded, NULL), TARN_CORRUPT);
    parquet_hybrid_init(&hybrid, BYTES(0xc8, 0x01), 2); // a run without its value
    assert_int_equal(parquet_hybrid_decode(&hybrid, 1, decoded, NULL), TARN_CORRUPT);
    parquet_hybrid_init(&hybrid, BYTES(0x02, 0x04), 2); // 4 does not fit two bits
    assert_int_equal(parquet_hybrid_decode(&hybrid, 1, decoded, NULL), TARN_CORRUPT);
    parquet_hybrid_init(&hybrid, BYTES(0x00, 0x00, 0x00), 1); // empty runs only
    assert_int_equal(parquet_hybrid_decode(&hybrid, 1, decoded, NULL), TARN_CORRUPT);
}

// ---- delta ----

static void assert_delta(tarn_slice bytes, const uint64_t *expected, size_t count) {
    uint64_t decoded[COUNT_MAX];
    parquet_delta delta;
    tarn_slice rest;
    assert_int_equal(parquet_delta_init(&delta, bytes, NULL), TARN_OK);
    assert_int_equal(delta.value_count, count);
    assert_int_equal(parquet_delta_decode(&delta, count, decoded, NULL), TARN_OK);
    assert_memory_equal(decoded, expected, count * sizeof *expected);
    assert_int_equal(parquet_delta_after(bytes, &rest, NULL), TARN_OK);
    assert_int_equal(rest.len, 0);
}

TEST(golden_delta_streams) {
    assert_delta(BYTES(0x80, 0x01, 0x04, 0x08, 0x0e, 0x03, 0x02, 0x00, 0x00, 0x00, 0xc0, 0x3f, 0x00,
                       0x00, 0x00, 0x00, 0x00, 0x00),
                 (uint64_t[]){7, 5, 3, 1, 2, 3, 4, 5}, 8);
    assert_delta(BYTES(0x80, 0x01, 0x04, 0x05, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00),
                 (uint64_t[]){1, 2, 3, 4, 5}, 5);
    tarn_buffer out = {0};
    assert_true(parquet_delta_encode((int64_t[]){7, 5, 3, 1, 2, 3, 4, 5}, 8, false, &out));
    assert_true(tarn_slice_equal(tarn_buffer_slice(&out),
                                 BYTES(0x80, 0x01, 0x04, 0x08, 0x0e, 0x03, 0x02, 0x00, 0x00, 0x00,
                                       0xc0, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00)));
    tarn_buffer_free(&out);
}

static int64_t random_number(int kind, int64_t previous) {
    switch (kind) {
    case 0: return (int64_t)test_random();
    case 1: return (int64_t)((uint64_t)previous + test_random_below(100));
    case 2: return test_random_below(2) == 0 ? INT64_MIN : INT64_MAX;
    default: return (int64_t)test_random_below(1000) - 500;
    }
}

TEST(delta_round_trips_in_steps_of_any_size) {
    static int64_t values[COUNT_MAX];
    static uint64_t decoded[COUNT_MAX];
    for (int round = 0; round < 400; round++) {
        bool is_32 = round % 2 == 0;
        size_t count = test_random_below(COUNT_MAX);
        for (size_t i = 0; i < count; i++) {
            values[i] = random_number(round % 4, i == 0 ? 0 : values[i - 1]);
            if (is_32) values[i] = (int32_t)values[i];
        }
        tarn_buffer out = {0};
        assert_true(parquet_delta_encode(values, count, is_32, &out));
        size_t stream_len = out.len;
        assert_true(tarn_buffer_append(&out, TARN_LIT("behind")));
        tarn_slice rest;
        assert_int_equal(parquet_delta_after(tarn_buffer_slice(&out), &rest, NULL), TARN_OK);
        assert_true(tarn_slice_equal(rest, TARN_LIT("behind")));

        parquet_delta delta;
        tarn_slice stream = {out.data, stream_len};
        assert_int_equal(parquet_delta_init(&delta, stream, NULL), TARN_OK);
        for (size_t done = 0; done < count;) {
            size_t step = 1 + test_random_below(count - done);
            assert_int_equal(parquet_delta_decode(&delta, step, decoded, NULL), TARN_OK);
            for (size_t i = 0; i < step; i++) {
                if (is_32) {
                    assert_int_equal((int32_t)decoded[i], values[done + i]);
                } else {
                    assert_true((int64_t)decoded[i] == values[done + i]);
                }
            }
            done += step;
        }
        assert_int_equal(parquet_delta_decode(&delta, 1, decoded, NULL), TARN_CORRUPT);
        tarn_buffer_free(&out);
    }
}

TEST(damaged_delta_streams_are_corrupt_or_decode) {
    enum { COUNT = 1 + 6 * 32 }; // whole miniblocks: the padding of a last one may be missing
    static uint64_t decoded[COUNT_MAX];
    int64_t values[COUNT];
    for (size_t i = 0; i < COUNT; i++) values[i] = (int64_t)test_random_below(100000);
    tarn_buffer out = {0};
    assert_true(parquet_delta_encode(values, COUNT, false, &out));
    for (size_t len = 0; len < out.len; len++) {
        uint8_t *cut = test_malloc(len + 1);
        memcpy(cut, out.data, len);
        parquet_delta delta;
        tarn_slice in = {cut, len};
        if (parquet_delta_init(&delta, in, NULL) == TARN_OK) {
            assert_int_equal(parquet_delta_decode(&delta, COUNT, decoded, NULL), TARN_CORRUPT);
        }
        test_free(cut);
    }
    for (size_t bit = 0; bit < out.len * 8; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        parquet_delta delta;
        tarn_slice rest;
        if (parquet_delta_init(&delta, tarn_buffer_slice(&out), NULL) == TARN_OK) {
            tarn_status status = parquet_delta_decode(&delta, COUNT, decoded, NULL);
            assert_true(status == TARN_OK || status == TARN_CORRUPT);
            status = parquet_delta_after(tarn_buffer_slice(&out), &rest, NULL);
            assert_true(status == TARN_OK || status == TARN_CORRUPT);
        }
        out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    tarn_buffer_free(&out);
}

// ---- checksums ----

TEST(crc32_is_the_one_of_zlib) {
    assert_int_equal(parquet_crc32(0, TARN_LIT("123456789")), 0xCBF43926u);
    assert_int_equal(parquet_crc32(0, TARN_LIT("")), 0);
    static uint8_t bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)test_random();
    for (size_t len = 0; len < sizeof bytes; len += 1 + test_random_below(50)) {
        tarn_slice in = {bytes, len};
        uint32_t seed = (uint32_t)test_random();
        assert_int_equal(parquet_crc32(seed, in), parquet_crc32_portable(seed, in));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_values_come_back_at_every_width_and_offset),
        cmocka_unit_test(wide_packed_values_come_back_at_every_width),
        cmocka_unit_test(bitmaps_are_copied_filled_and_counted_like_bit_by_bit),
        cmocka_unit_test(golden_hybrid_runs),
        cmocka_unit_test(hybrid_round_trips_in_steps_of_any_size),
        cmocka_unit_test(hybrid_bits_round_trip),
        cmocka_unit_test(hybrid_streams_that_end_early_are_corrupt),
        cmocka_unit_test(golden_delta_streams),
        cmocka_unit_test(delta_round_trips_in_steps_of_any_size),
        cmocka_unit_test(damaged_delta_streams_are_corrupt_or_decode),
        cmocka_unit_test(crc32_is_the_one_of_zlib),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
