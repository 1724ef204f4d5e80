// helpers.h - what the tests of format/parquet share: values as the text of the golden .rows files.
#ifndef TARN_TESTS_FORMAT_PARQUET_HELPERS_H
#define TARN_TESTS_FORMAT_PARQUET_HELPERS_H

#include <inttypes.h>

#include "format/parquet/parquet.h"
#include "tests/format/files.h"

static inline void append_hex(tarn_buffer *out, const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) assert_true(tarn_buffer_printf(out, "%02x", bytes[i]));
}

static inline void append_i128(tarn_buffer *out, tarn_int128 value) {
    char digits[41];
    size_t at = sizeof digits;
    tarn_uint128 left = value < 0 ? 0 - (tarn_uint128)value : (tarn_uint128)value;
    do {
        digits[--at] = (char)('0' + (int)(left % 10));
        left /= 10;
    } while (left > 0);
    if (value < 0) digits[--at] = '-';
    assert_true(
        tarn_buffer_append(out, (tarn_slice){(const uint8_t *)digits + at, sizeof digits - at}));
}

static inline void append_value(tarn_buffer *out, tarn_value value) {
    if (value.is_null) {
        assert_true(tarn_buffer_append(out, TARN_LIT("\\N")));
        return;
    }
    uint32_t single_bits;
    uint64_t double_bits;
    float single = (float)value.f64;
    switch (tarn_type_physical(value.type)) {
    case TARN_PHYSICAL_BOOL:
        assert_true(tarn_buffer_append_byte(out, value.boolean ? 't' : 'f'));
        break;
    case TARN_PHYSICAL_I16:
    case TARN_PHYSICAL_I32:
    case TARN_PHYSICAL_I64: assert_true(tarn_buffer_printf(out, "%" PRId64, value.i64)); break;
    case TARN_PHYSICAL_I128: append_i128(out, value.i128); break;
    case TARN_PHYSICAL_F32:
        memcpy(&single_bits, &single, sizeof single_bits);
        assert_true(tarn_buffer_printf(out, "%08x", single_bits));
        break;
    case TARN_PHYSICAL_F64:
        memcpy(&double_bits, &value.f64, sizeof double_bits);
        assert_true(tarn_buffer_printf(out, "%016" PRIx64, double_bits));
        break;
    case TARN_PHYSICAL_STRING:
        assert_true(tarn_buffer_append_byte(out, 'x'));
        append_hex(out, value.bytes.data, value.bytes.len);
        break;
    case TARN_PHYSICAL_INTERVAL:
        assert_true(tarn_buffer_printf(out, "%d/%d/%" PRId64, value.interval.months,
                                       value.interval.days, value.interval.us));
        break;
    }
}

// The rows of a chunk, a line each, tab-separated.
static inline void append_chunk(tarn_buffer *out, const tarn_chunk *chunk) {
    for (size_t row = 0; row < chunk->row_count; row++) {
        for (size_t i = 0; i < chunk->column_count; i++) {
            if (i > 0) assert_true(tarn_buffer_append_byte(out, '\t'));
            append_value(out, tarn_vector_get(&chunk->columns[i], row));
        }
        assert_true(tarn_buffer_append_byte(out, '\n'));
    }
}

// Reads at most `row_limit` rows of all columns named by `options` and appends them. Returns the
// status of the first failure.
static inline tarn_status read_rows(tarn_parquet_file *file,
                                    const tarn_parquet_scan_options *options, uint64_t row_limit,
                                    tarn_buffer *out, tarn_error *err) {
    tarn_parquet_scan *scan = NULL;
    tarn_status status = tarn_parquet_scan_new(file, options, &scan, err);
    uint64_t next_row = options->first_row;
    while (status == TARN_OK && next_row < row_limit) {
        const tarn_chunk *chunk = NULL;
        uint64_t first_row = 0;
        status = tarn_parquet_scan_next(scan, &chunk, &first_row, err);
        if (status != TARN_OK || chunk == NULL) break;
        assert_in_range(chunk->row_count, 1, TARN_CHUNK_ROWS);
        if (options->row_groups == NULL) assert_int_equal(first_row, next_row);
        next_row = first_row + chunk->row_count;
        append_chunk(out, chunk);
    }
    tarn_parquet_scan_free(scan);
    return status;
}

// The columns that tarn reads, as scan options ask for them.
typedef struct readable_columns {
    size_t indices[64];
    size_t count;
} readable_columns;

static inline readable_columns columns_to_read(const tarn_parquet_file *file) {
    readable_columns columns = {.count = 0};
    const tarn_schema *schema = tarn_parquet_schema(file);
    for (size_t i = 0; i < schema->field_count && columns.count < 64; i++) {
        if (schema->fields[i].type.id != TARN_TYPE_NULL) columns.indices[columns.count++] = i;
    }
    return columns;
}

// Bounds must hold every value, and be attained when they say that they are exact.
static inline void check_bounds(tarn_parquet_file *file, size_t group, size_t column) {
    tarn_parquet_stats stats;
    tarn_parquet_row_group_stats(file, group, column, &stats);
    uint64_t groups[16] = {0};
    assert_in_range(group, 0, 1023);
    groups[group / 64] |= (uint64_t)1 << group % 64;
    tarn_parquet_scan_options options = {
        .columns = &column, .column_count = 1, .row_groups = groups};
    tarn_parquet_scan *scan = NULL;
    assert_int_equal(tarn_parquet_scan_new(file, &options, &scan, NULL), TARN_OK);
    const tarn_chunk *chunk = NULL;
    int64_t null_count = 0;
    bool met_min = false;
    bool met_max = false;
    for (;;) {
        assert_int_equal(tarn_parquet_scan_next(scan, &chunk, NULL, NULL), TARN_OK);
        if (chunk == NULL) break;
        for (size_t row = 0; row < chunk->row_count; row++) {
            tarn_value value = tarn_vector_get(&chunk->columns[0], row);
            null_count += value.is_null;
            if (value.is_null) continue;
            if (!stats.min.is_null) assert_true(tarn_value_compare(stats.min, value) <= 0);
            if (!stats.max.is_null) assert_true(tarn_value_compare(stats.max, value) >= 0);
            met_min |= !stats.min.is_null && tarn_value_compare(stats.min, value) == 0;
            met_max |= !stats.max.is_null && tarn_value_compare(stats.max, value) == 0;
        }
    }
    if (stats.is_exact && !stats.min.is_null) assert_true(met_min);
    if (stats.is_exact && !stats.max.is_null) assert_true(met_max);
    if (stats.null_count >= 0) assert_int_equal(stats.null_count, null_count);
    tarn_parquet_scan_free(scan);
}

#endif
