#include <string.h>

#include "io/io.h"
#include "tests/test.h"

static const tarn_codec all_codecs[] = {TARN_CODEC_NONE,    TARN_CODEC_SNAPPY, TARN_CODEC_GZIP,
                                        TARN_CODEC_DEFLATE, TARN_CODEC_LZ4,    TARN_CODEC_ZSTD};
enum { CODEC_COUNT = sizeof all_codecs / sizeof all_codecs[0], CONTENT_MAX = 300000 };

static tarn_error err;
static uint8_t content[CONTENT_MAX];

// Content between noise and a single byte, of a random length, often zero or tiny.
static tarn_slice random_content(void) {
    size_t len = test_random_below((size_t)1 << test_random_below(19));
    if (len > CONTENT_MAX) len = CONTENT_MAX;
    size_t alphabet = 1 + test_random_below(256);
    for (size_t i = 0; i < len; i++) content[i] = (uint8_t)test_random_below(alphabet);
    return (tarn_slice){content, len};
}

static tarn_slice compress(tarn_codec codec, tarn_slice bytes, tarn_buffer *packed) {
    tarn_buffer_clear(packed);
    assert_int_equal(tarn_compress(codec, 0, bytes, packed, &err), TARN_OK);
    return tarn_buffer_slice(packed);
}

// In memory of exactly that size, so that AddressSanitizer sees a byte too many.
static tarn_status decompress(tarn_codec codec, tarn_slice packed, size_t len,
                              tarn_slice expected) {
    uint8_t *out = test_malloc(len > 0 ? len : 1);
    tarn_status status = tarn_decompress(codec, packed, out, len, &err);
    if (status == TARN_OK) assert_true(tarn_slice_equal((tarn_slice){out, len}, expected));
    test_free(out);
    return status;
}

TEST(content_survives_every_codec) {
    tarn_buffer packed = {0};
    for (int round = 0; round < 200; round++) {
        tarn_codec codec = all_codecs[test_random_below(CODEC_COUNT)];
        tarn_slice bytes = random_content();
        tarn_slice stored = compress(codec, bytes, &packed);
        assert_int_equal(decompress(codec, stored, bytes.len, bytes), TARN_OK);

        tarn_buffer out = {.limit_bytes = bytes.len + 3};
        assert_true(tarn_buffer_append(&out, TARN_LIT("abc"))); // kept in front
        tarn_status status = tarn_decompress_unsized(codec, stored, &out, &err);
        if (codec == TARN_CODEC_LZ4) {
            assert_int_equal(status, TARN_UNSUPPORTED);
        } else {
            // Nothing compressed with codec none is nothing, and snappy wants a spare byte.
            bool is_tight = codec == TARN_CODEC_SNAPPY && bytes.len == 0;
            assert_int_equal(status, is_tight ? TARN_NO_MEMORY : TARN_OK);
            tarn_slice got = tarn_slice_skip(tarn_buffer_slice(&out), 3);
            assert_true(tarn_slice_equal(got, bytes));
        }
        tarn_buffer_free(&out);
    }
    tarn_buffer_free(&packed);
}

TEST(any_other_length_is_corrupt) {
    tarn_buffer packed = {0};
    for (int round = 0; round < 100; round++) {
        tarn_codec codec = all_codecs[test_random_below(CODEC_COUNT)];
        tarn_slice bytes = random_content();
        tarn_slice stored = compress(codec, bytes, &packed);
        if (stored.len == 0) continue; // codec none, and no content
        assert_int_equal(decompress(codec, stored, bytes.len + 1, bytes), TARN_CORRUPT);
        assert_int_equal(decompress(codec, stored, bytes.len * 2 + 100, bytes), TARN_CORRUPT);
        if (bytes.len == 0) continue;
        assert_int_equal(decompress(codec, stored, bytes.len - 1, bytes), TARN_CORRUPT);
        assert_int_equal(decompress(codec, stored, 0, bytes), TARN_CORRUPT);
    }
    tarn_buffer_free(&packed);
}

TEST(every_truncation_is_corrupt) {
    tarn_buffer packed = {0};
    tarn_slice bytes = {content, 500};
    for (size_t i = 0; i < bytes.len; i++) content[i] = (uint8_t)test_random_below(10);
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        tarn_slice stored = compress(all_codecs[c], bytes, &packed);
        for (size_t len = 0; len < stored.len; len++) {
            tarn_slice cut = tarn_slice_head(stored, len);
            assert_int_equal(decompress(all_codecs[c], cut, bytes.len, bytes), TARN_CORRUPT);
            if (all_codecs[c] == TARN_CODEC_NONE || all_codecs[c] == TARN_CODEC_LZ4) continue;
            tarn_buffer out = {.limit_bytes = 10000};
            assert_int_equal(tarn_decompress_unsized(all_codecs[c], cut, &out, &err), TARN_CORRUPT);
            assert_int_equal(out.len, 0);
            tarn_buffer_free(&out);
        }
    }
    tarn_buffer_free(&packed);
}

// Most codecs have no checksum, so that damage may go unseen here. It must never do more than
// change the content.
TEST(damage_never_does_worse_than_change_the_content) {
    tarn_buffer packed = {0};
    uint8_t damaged[2000];
    uint8_t out[1000];
    tarn_slice bytes = {content, sizeof out};
    for (size_t i = 0; i < bytes.len; i++) content[i] = (uint8_t)test_random_below(10);
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        tarn_slice stored = compress(all_codecs[c], bytes, &packed);
        assert_in_range(stored.len, 1, sizeof damaged);
        for (size_t bit = 0; bit < stored.len * 8; bit++) {
            memcpy(damaged, stored.data, stored.len);
            damaged[bit / 8] ^= (uint8_t)(1U << bit % 8);
            tarn_slice bad = {damaged, stored.len};
            tarn_status status = tarn_decompress(all_codecs[c], bad, out, sizeof out, &err);
            assert_true(status == TARN_OK || status == TARN_CORRUPT);
            tarn_buffer grown = {.limit_bytes = 3000};
            status = tarn_decompress_unsized(all_codecs[c], bad, &grown, &err);
            assert_true(status != TARN_IO && status != TARN_INVALID);
            assert_in_range(grown.len, 0, 3000);
            tarn_buffer_free(&grown);
        }
    }
    tarn_buffer_free(&packed);
}

TEST(gzip_sees_every_damaged_byte_of_its_content_and_checksum) {
    tarn_buffer packed = {0};
    tarn_slice bytes = {content, 100};
    memset(content, 'x', 100);
    tarn_slice stored = compress(TARN_CODEC_GZIP, bytes, &packed);
    for (size_t i = 10; i < stored.len; i++) { // the ten bytes in front hold a time and hints
        packed.data[i] ^= 1;
        assert_int_equal(decompress(TARN_CODEC_GZIP, stored, bytes.len, bytes), TARN_CORRUPT);
        packed.data[i] ^= 1;
    }
    tarn_buffer_free(&packed);
}

TEST(concatenated_members_and_frames_are_one_content) {
    const tarn_codec codecs[] = {TARN_CODEC_GZIP, TARN_CODEC_ZSTD};
    for (size_t c = 0; c < 2; c++) {
        tarn_buffer packed = {0};
        assert_int_equal(tarn_compress(codecs[c], 0, TARN_LIT("one "), &packed, &err), TARN_OK);
        assert_int_equal(tarn_compress(codecs[c], 0, TARN_LIT(""), &packed, &err), TARN_OK);
        assert_int_equal(tarn_compress(codecs[c], 0, TARN_LIT("two"), &packed, &err), TARN_OK);
        tarn_slice stored = tarn_buffer_slice(&packed);
        assert_int_equal(decompress(codecs[c], stored, 7, TARN_LIT("one two")), TARN_OK);
        tarn_buffer out = {.limit_bytes = 7};
        assert_int_equal(tarn_decompress_unsized(codecs[c], stored, &out, &err), TARN_OK);
        assert_true(tarn_slice_equal(tarn_buffer_slice(&out), TARN_LIT("one two")));
        tarn_buffer_free(&out);
        tarn_buffer_free(&packed);
    }
}

TEST(bytes_behind_the_end_are_corrupt_but_for_raw_deflate) {
    tarn_slice bytes = TARN_LIT("some content, some content");
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        tarn_buffer packed = {0};
        (void)compress(all_codecs[c], bytes, &packed);
        assert_true(tarn_buffer_append_byte(&packed, 0));
        tarn_slice stored = tarn_buffer_slice(&packed);
        // fastavro writes three bytes there, and every reader of Avro ignores them.
        tarn_status expected = all_codecs[c] == TARN_CODEC_DEFLATE ? TARN_OK : TARN_CORRUPT;
        assert_int_equal(decompress(all_codecs[c], stored, bytes.len, bytes), expected);
        tarn_buffer_free(&packed);
    }
}

TEST(content_over_the_limit_is_refused_and_the_buffer_is_as_before) {
    tarn_slice bytes = {content, CONTENT_MAX};
    memset(content, 0, CONTENT_MAX); // compresses to almost nothing
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        if (all_codecs[c] == TARN_CODEC_LZ4) continue;
        tarn_buffer packed = {0};
        tarn_slice stored = compress(all_codecs[c], bytes, &packed);
        tarn_buffer out = {.limit_bytes = CONTENT_MAX + 1};
        assert_true(tarn_buffer_append(&out, TARN_LIT("ab")));
        assert_int_equal(tarn_decompress_unsized(all_codecs[c], stored, &out, &err),
                         TARN_NO_MEMORY);
        assert_true(tarn_slice_equal(tarn_buffer_slice(&out), TARN_LIT("ab")));
        tarn_buffer_free(&out);
        tarn_buffer_free(&packed);
    }
}

TEST(a_full_output_refuses_compressed_bytes) {
    for (size_t i = 0; i < 5000; i++) content[i] = (uint8_t)test_random();
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        tarn_buffer out = {.limit_bytes = 4000};
        assert_int_equal(tarn_compress(all_codecs[c], 0, (tarn_slice){content, 5000}, &out, &err),
                         TARN_NO_MEMORY);
        assert_int_equal(out.len, 0);
        tarn_buffer_free(&out);
    }
}

TEST(levels_outside_a_codecs_range_are_invalid) {
    const struct {
        tarn_codec codec;
        int min;
        int max;
    } cases[] = {{TARN_CODEC_GZIP, 1, 9},    {TARN_CODEC_DEFLATE, 1, 9}, {TARN_CODEC_LZ4, 1, 12},
                 {TARN_CODEC_ZSTD, -50, 22}, {TARN_CODEC_NONE, 0, 0},    {TARN_CODEC_SNAPPY, 0, 0}};
    tarn_slice bytes = TARN_LIT("some content, some content, some content");
    tarn_buffer out = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int level = cases[i].min; level <= cases[i].max; level++) {
            tarn_buffer_clear(&out);
            assert_int_equal(tarn_compress(cases[i].codec, level, bytes, &out, &err), TARN_OK);
            assert_int_equal(decompress(cases[i].codec, tarn_buffer_slice(&out), bytes.len, bytes),
                             TARN_OK);
        }
        assert_int_equal(tarn_compress(cases[i].codec, cases[i].max + 1, bytes, &out, &err),
                         TARN_INVALID);
    }
    assert_string_equal(err.message, "snappy has no compression levels, 1 was given");
    assert_int_equal(tarn_compress(TARN_CODEC_GZIP, -1, bytes, &out, &err), TARN_INVALID);
    assert_string_equal(err.message, "gzip level -1 is not between 1 and 9");
    tarn_buffer_free(&out);
}

TEST(a_zstd_frame_tells_its_content_size) {
    tarn_buffer out = {0};
    assert_int_equal(tarn_compress(TARN_CODEC_ZSTD, 0, (tarn_slice){content, 1000}, &out, &err),
                     TARN_OK);
    // Frame header: magic, a descriptor whose high two bits say 2 bytes of size, minus 256.
    assert_int_equal(tarn_load_u32(out.data), 0xFD2FB528);
    assert_int_equal(out.data[4] >> 6, 1);
    assert_int_equal(tarn_load_u16(out.data + 5), 1000 - 256);
    tarn_buffer_free(&out);
}

TEST(no_bytes_are_right_for_no_content_only) {
    uint8_t byte = 0;
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        assert_int_equal(tarn_decompress(all_codecs[c], TARN_LIT(""), NULL, 0, &err), TARN_OK);
        assert_int_equal(tarn_decompress(all_codecs[c], TARN_LIT(""), &byte, 1, &err),
                         TARN_CORRUPT);
    }
}

// Snappy and lz4 by hand after their format descriptions, the others by Python's zlib and gzip and
// by pyarrow.
TEST(golden_bytes_are_read) {
    static const uint8_t snappy[] = "\x0C\x08tar\x15\x03"; // literal, copy 9 from 3 back
    // 3 literals, copy 16 from 3 back, 5 literals: a block must not end with a copy.
    static const uint8_t lz4[] = "\x3Ctar\x03\x00\x50"
                                 "artar";
    static const uint8_t deflate[] = "\x2B\x49\x2C\x2A\x81\x21\x00";
    static const uint8_t gzip[] = "\x1F\x8B\x08\x00\x00\x00\x00\x00\x02\x03\x2B\x49\x2C\x2A\x81"
                                  "\x21\x00\x00\x60\x44\x91\x0C\x00\x00\x00";
    static const uint8_t zstd[] = "\x28\xB5\x2F\xFD\x20\x0C\x61\x00\x00"
                                  "tartartartar";
    const struct {
        tarn_codec codec;
        tarn_slice stored;
        size_t len;
    } cases[] = {
        {TARN_CODEC_SNAPPY, {snappy, sizeof snappy - 1}, 12},
        {TARN_CODEC_LZ4, {lz4, sizeof lz4 - 1}, 24},
        {TARN_CODEC_DEFLATE, {deflate, sizeof deflate - 1}, 12},
        {TARN_CODEC_GZIP, {gzip, sizeof gzip - 1}, 12},
        {TARN_CODEC_ZSTD, {zstd, sizeof zstd - 1}, 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_slice expected = tarn_slice_head(TARN_LIT("tartartartartartartartar"), cases[i].len);
        assert_int_equal(decompress(cases[i].codec, cases[i].stored, cases[i].len, expected),
                         TARN_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_survives_every_codec),
        cmocka_unit_test(any_other_length_is_corrupt),
        cmocka_unit_test(every_truncation_is_corrupt),
        cmocka_unit_test(damage_never_does_worse_than_change_the_content),
        cmocka_unit_test(gzip_sees_every_damaged_byte_of_its_content_and_checksum),
        cmocka_unit_test(concatenated_members_and_frames_are_one_content),
        cmocka_unit_test(bytes_behind_the_end_are_corrupt_but_for_raw_deflate),
        cmocka_unit_test(content_over_the_limit_is_refused_and_the_buffer_is_as_before),
        cmocka_unit_test(a_full_output_refuses_compressed_bytes),
        cmocka_unit_test(levels_outside_a_codecs_range_are_invalid),
        cmocka_unit_test(a_zstd_frame_tells_its_content_size),
        cmocka_unit_test(no_bytes_are_right_for_no_content_only),
        cmocka_unit_test(golden_bytes_are_read),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
