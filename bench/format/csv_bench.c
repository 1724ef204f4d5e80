// csv_bench.c - how fast CSV of mixed types becomes chunks.
//
// Expected: a byte is looked at three times (marks, number or text, copy into the vector), so some
// hundred megabytes a second on one core. Usage: csv_bench [megabytes]

#include "base/alloc.h"
#include "format/csv/csv.h"

static int fail_with(const tarn_error *err) {
    (void)fprintf(stderr, "csv_bench: %s\n", err->message);
    return 1;
}

// bigint, text, numeric, double, date, timestamp, boolean: about 80 bytes a row
static bool make_csv(size_t bytes, tarn_buffer *csv, size_t *ret_rows) {
    size_t rows = 0;
    for (; csv->len < bytes; rows++) {
        bool added = tarn_buffer_printf(
            csv,
            "%zu,%scustomer number %zu,%zu.%02zu,%zu.%zu,20%02zu-%02zu-%02zu,"
            "2024-%02zu-14 %02zu:%02zu:%02zu.%03zu,%s\n",
            rows * 7919, rows % 9 == 0 ? "new " : "", rows % 10007, rows % 5000, rows % 100,
            rows % 777, rows % 1000, rows % 30, rows % 12 + 1, rows % 28 + 1, rows % 12 + 1,
            rows % 24, rows % 60, rows % 60, rows % 1000, rows % 3 == 0 ? "true" : "false");
        if (!added) return false;
    }
    *ret_rows = rows;
    return true;
}

static tarn_status run(tarn_object *object, const tarn_schema *schema, uint64_t *ret_sum,
                       tarn_error *err) {
    const tarn_csv_options options = {0};
    tarn_csv_reader *reader = NULL;
    TARN_TRY(tarn_csv_reader_new(&tarn_alloc_libc, object, schema, &options, &reader, err));
    uint64_t sum = 0;
    tarn_status status;
    for (;;) {
        const tarn_chunk *chunk = NULL;
        status = tarn_csv_reader_next(reader, &chunk, NULL, err);
        if (status != TARN_OK || chunk == NULL) break;
        const int64_t *ids = chunk->columns[0].data;
        for (size_t i = 0; i < chunk->row_count; i++) sum += (uint64_t)ids[i];
        sum += chunk->row_count;
    }
    tarn_csv_reader_free(reader);
    *ret_sum = sum;
    return status;
}

int main(int argc, char **argv) {
    size_t megabytes = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 64;
    tarn_buffer csv = {0};
    size_t rows = 0;
    if (!make_csv(megabytes << 20, &csv, &rows)) return 1;
    tarn_field fields[] = {
        {TARN_LIT("id"), tarn_type_of(TARN_TYPE_BIGINT), true, -1},
        {TARN_LIT("name"), tarn_type_of(TARN_TYPE_TEXT), false, -1},
        {TARN_LIT("price"), tarn_type_numeric(10, 2), false, -1},
        {TARN_LIT("ratio"), tarn_type_of(TARN_TYPE_DOUBLE), false, -1},
        {TARN_LIT("day"), tarn_type_of(TARN_TYPE_DATE), false, -1},
        {TARN_LIT("at"), tarn_type_of(TARN_TYPE_TIMESTAMP), false, -1},
        {TARN_LIT("flag"), tarn_type_of(TARN_TYPE_BOOLEAN), false, -1},
    };
    const tarn_schema schema = {fields, sizeof fields / sizeof fields[0]};
    tarn_object *object = NULL;
    tarn_error err = {0};
    if (tarn_object_from_bytes(&tarn_alloc_libc, TARN_LIT("bench.csv"), tarn_buffer_slice(&csv),
                               &object, &err) != TARN_OK) {
        return fail_with(&err);
    }
    for (int round = 0; round < 3; round++) {
        uint64_t sum = 0;
        int64_t start_ns = tarn_os_monotonic_ns(tarn_os_posix());
        if (run(object, &schema, &sum, &err) != TARN_OK) return fail_with(&err);
        int64_t ns = tarn_os_monotonic_ns(tarn_os_posix()) - start_ns;
        printf("{\"name\":\"csv_read\",\"n\":%zu,\"bytes\":%zu,\"ns\":%lld,\"mb_per_s\":%.0f,"
               "\"checksum\":%llu}\n",
               rows, csv.len, (long long)ns, (double)csv.len * 1e3 / (double)ns,
               (unsigned long long)sum);
    }
    tarn_object_close(object);
    tarn_buffer_free(&csv);
    return 0;
}
