// Any bytes may be opened as a Parquet file and read: every column, as indices and flat, with a
// start in the middle. What the footer claims of a column's bounds can be asked for.
#include "base/budget.h"
#include "format/parquet/parquet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A footer may claim rows that take no bytes; reading the first ones is enough.
#define ROWS_MAX     20000
#define COLUMNS_MAX  32
#define MEMORY_BYTES ((size_t)256 << 20)

static void read_rows(tarn_parquet_file *file, const tarn_parquet_scan_options *options) {
    tarn_parquet_scan *scan = NULL;
    if (tarn_parquet_scan_new(file, options, &scan, NULL) != TARN_OK) return;
    uint64_t row_count = 0;
    const tarn_chunk *chunk = NULL;
    while (row_count < ROWS_MAX && tarn_parquet_scan_next(scan, &chunk, NULL, NULL) == TARN_OK &&
           chunk != NULL) {
        row_count += chunk->row_count;
        // Every value is looked at: views into freed memory would be seen.
        for (size_t i = 0; i < chunk->column_count; i++) {
            uint64_t hashes[TARN_CHUNK_ROWS];
            tarn_hash_rows(&chunk->columns[i], 1, chunk, hashes);
        }
    }
    tarn_parquet_scan_free(scan);
}

static void read_file(tarn_parquet_file *file) {
    const tarn_schema *schema = tarn_parquet_schema(file);
    size_t columns[COLUMNS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < schema->field_count && count < COLUMNS_MAX; i++) {
        columns[count++] = i;
        tarn_parquet_scan_options one = {.columns = &i, .column_count = 1};
        read_rows(file, &one); // alone, so that another column's damage does not hide it
        if (schema->fields[i].type.id == TARN_TYPE_NULL) count--;
    }
    tarn_parquet_scan_options options = {.columns = columns,
                                         .column_count = count,
                                         .first_row = tarn_parquet_row_count(file) / 2,
                                         .flat_strings = true};
    read_rows(file, &options);
    for (size_t group = 0; group < tarn_parquet_row_group_count(file) && group < 10; group++) {
        for (size_t i = 0; i < schema->field_count; i++) {
            tarn_parquet_stats stats;
            tarn_parquet_row_group_stats(file, group, i, &stats);
            if (stats.min.is_null || stats.max.is_null) continue;
            tarn_assert(tarn_value_compare(stats.min, stats.max) <= 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tarn_budget budget;
    tarn_budget_init(&budget, &tarn_alloc_libc, MEMORY_BYTES);
    tarn_object *object = NULL;
    tarn_parquet_file *file = NULL;
    if (tarn_object_from_bytes(&budget.alloc, TARN_LIT("fuzz"), (tarn_slice){data, size}, &object,
                               NULL) != TARN_OK) {
        return 0;
    }
    if (tarn_parquet_open(&budget.alloc, object, &file, NULL) == TARN_OK) read_file(file);
    tarn_parquet_close(file);
    tarn_object_close(object);
    tarn_assert(budget.used_bytes == 0);
    return 0;
}
