// Golden files that are cut, or have bits flipped: errors that say where, or data, never a crash.

#include "tests/format/parquet/helpers.h"

#define FOLDER "tests/golden/parquet/"

// Small files that together have every encoding, both page versions, and codecs.
static const char *const names[] = {
    "types-none-v1-dictionary.parquet",
    "types-zstd-v2-plain.parquet",
    "encodings-delta-none-v1.parquet",
    "encodings-delta-none-v2.parquet",
    "encodings-split-none-v1.parquet",
    "duckdb-uncompressed-v2.parquet",
    "duckdb-snappy-v1.parquet",
    "polars-lz4.parquet",
    "polars-gzip.parquet",
    "int96-dictionary.parquet",
};
enum { NAME_COUNT = sizeof names / sizeof names[0], ROWS_MAX = 2000 };

static void load(const char *name, tarn_buffer *bytes) {
    char path[200];
    (void)snprintf(path, sizeof path, FOLDER "%s", name);
    assert_true(test_load_file(path, bytes));
}

// Opens and reads what can be read; `rows` may be NULL.
static tarn_status try_read(tarn_slice bytes, tarn_buffer *rows, tarn_error *err) {
    tarn_object *object = test_object("damaged.parquet", bytes);
    tarn_parquet_file *file = NULL;
    tarn_status status = tarn_parquet_open(&tarn_alloc_libc, object, &file, err);
    if (status == TARN_OK) {
        readable_columns columns = columns_to_read(file);
        tarn_parquet_scan_options options = {.columns = columns.indices,
                                             .column_count = columns.count};
        tarn_buffer text = {0};
        status = read_rows(file, &options, ROWS_MAX, &text, err);
        if (rows != NULL) assert_true(tarn_buffer_append(rows, tarn_buffer_slice(&text)));
        tarn_buffer_free(&text);
        tarn_parquet_stats stats;
        for (size_t i = 0; i < columns.count && tarn_parquet_row_group_count(file) > 0; i++) {
            tarn_parquet_row_group_stats(file, 0, columns.indices[i], &stats);
        }
    }
    tarn_parquet_close(file);
    tarn_object_close(object);
    return status;
}

static void assert_answered(tarn_status status, const tarn_error *err) {
    if (status == TARN_OK) return;
    assert_true(status == TARN_CORRUPT || status == TARN_UNSUPPORTED);
    assert_non_null(strstr(err->message, "file 'damaged.parquet': "));
}

TEST(truncations_are_corrupt) {
    for (size_t i = 0; i < NAME_COUNT; i++) {
        tarn_buffer bytes = {0};
        load(names[i], &bytes);
        for (size_t len = 0; len < bytes.len; len += 1 + test_random_below(5)) {
            tarn_error err;
            assert_int_equal(try_read((tarn_slice){bytes.data, len}, NULL, &err), TARN_CORRUPT);
            assert_answered(TARN_CORRUPT, &err);
        }
        tarn_buffer_free(&bytes);
    }
}

TEST(flipped_bits_are_errors_or_data) {
    for (size_t i = 0; i < NAME_COUNT; i++) {
        tarn_buffer bytes = {0};
        load(names[i], &bytes);
        for (int round = 0; round < 600; round++) {
            size_t flip_count = 1 + test_random_below(3);
            size_t bits[3];
            for (size_t j = 0; j < flip_count; j++) {
                bits[j] = test_random_below(8 * bytes.len);
                bytes.data[bits[j] / 8] ^= (uint8_t)(1 << bits[j] % 8);
            }
            tarn_error err;
            assert_answered(try_read(tarn_buffer_slice(&bytes), NULL, &err), &err);
            for (size_t j = 0; j < flip_count; j++) {
                bytes.data[bits[j] / 8] ^= (uint8_t)(1 << bits[j] % 8);
            }
        }
        tarn_buffer_free(&bytes);
    }
}

TEST(pages_swapped_for_random_bytes_are_errors_or_data) {
    for (size_t i = 0; i < NAME_COUNT; i++) {
        tarn_buffer bytes = {0};
        tarn_buffer original = {0};
        load(names[i], &bytes);
        load(names[i], &original);
        size_t footer_at = bytes.len - 8 - tarn_load_u32(bytes.data + bytes.len - 8);
        for (int round = 0; round < 300; round++) {
            size_t at = test_random_below(footer_at);
            size_t len = test_random_below(40);
            if (len > footer_at - at) len = footer_at - at;
            for (size_t j = 0; j < len; j++) bytes.data[at + j] = (uint8_t)test_random();
            tarn_error err;
            assert_answered(try_read(tarn_buffer_slice(&bytes), NULL, &err), &err);
            memcpy(bytes.data, original.data, bytes.len);
        }
        tarn_buffer_free(&bytes);
        tarn_buffer_free(&original);
    }
}

// The golden files of pyarrow have checksums: no flip in a page may go unnoticed.
TEST(checksums_notice_every_flip_in_a_page) {
    tarn_buffer bytes = {0};
    tarn_buffer expected = {0};
    tarn_error err;
    load("types-zstd-v1-plain.parquet", &bytes);
    assert_int_equal(try_read(tarn_buffer_slice(&bytes), &expected, &err), TARN_OK);
    size_t footer_at = bytes.len - 8 - tarn_load_u32(bytes.data + bytes.len - 8);
    size_t noticed = 0;
    for (size_t at = 4; at < footer_at; at++) {
        uint8_t mask = (uint8_t)(1 << test_random_below(8));
        bytes.data[at] ^= mask;
        tarn_buffer rows = {0};
        if (try_read(tarn_buffer_slice(&bytes), &rows, &err) == TARN_OK) {
            // Page headers have fields that say nothing new; values are never wrong.
            assert_true(tarn_slice_equal(tarn_buffer_slice(&rows), tarn_buffer_slice(&expected)));
        } else {
            noticed++;
        }
        tarn_buffer_free(&rows);
        bytes.data[at] ^= mask;
    }
    assert_in_range(noticed, (footer_at - 4) / 2, footer_at);
    tarn_buffer_free(&bytes);
    tarn_buffer_free(&expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncations_are_corrupt),
        cmocka_unit_test(flipped_bits_are_errors_or_data),
        cmocka_unit_test(pages_swapped_for_random_bytes_are_errors_or_data),
        cmocka_unit_test(checksums_notice_every_flip_in_a_page),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
