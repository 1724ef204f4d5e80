// text_bench.c - how fast CSV and JSON lines of mixed types become chunks.
//
// Expected: a byte is looked at two or three times (marks or names, number or text, copy into the
// vector), so some hundred megabytes a second on one core. Usage: text_bench [megabytes]

#include "base/alloc.h"
#include "format/csv/csv.h"
#include "format/json/json.h"

static int fail_with(const tarn_error *err) {
    (void)fprintf(stderr, "text_bench: %s\n", err->message);
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

static void add_chunk(const tarn_chunk *chunk, uint64_t *sum) {
    const int64_t *ids = chunk->columns[0].data;
    for (size_t i = 0; i < chunk->row_count; i++) *sum += (uint64_t)ids[i];
    *sum += chunk->row_count;
}

// Reads all; appends the rows to `json` unless it is NULL.
static tarn_status read_csv(tarn_object *object, const tarn_schema *schema, tarn_buffer *json,
                            uint64_t *ret_sum, tarn_error *err) {
    const tarn_csv_options options = {0};
    tarn_csv_reader *reader = NULL;
    TARN_TRY(tarn_csv_reader_new(&tarn_alloc_libc, object, schema, &options, &reader, err));
    *ret_sum = 0;
    tarn_status status = TARN_OK;
    while (status == TARN_OK) {
        const tarn_chunk *chunk = NULL;
        status = tarn_csv_reader_next(reader, &chunk, NULL, err);
        if (status != TARN_OK || chunk == NULL) break;
        add_chunk(chunk, ret_sum);
        if (json != NULL) status = tarn_json_write(schema, chunk, json, err);
    }
    tarn_csv_reader_free(reader);
    return status;
}

static tarn_status read_json(tarn_object *object, const tarn_schema *schema, uint64_t *ret_sum,
                             tarn_error *err) {
    const tarn_json_options options = {0};
    tarn_json_reader *reader = NULL;
    TARN_TRY(tarn_json_reader_new(&tarn_alloc_libc, object, schema, &options, &reader, err));
    *ret_sum = 0;
    tarn_status status = TARN_OK;
    while (status == TARN_OK) {
        const tarn_chunk *chunk = NULL;
        status = tarn_json_reader_next(reader, &chunk, NULL, err);
        if (status != TARN_OK || chunk == NULL) break;
        add_chunk(chunk, ret_sum);
    }
    tarn_json_reader_free(reader);
    return status;
}

static void report(const char *name, size_t rows, uint64_t bytes, int64_t start_ns, uint64_t sum) {
    int64_t ns = tarn_os_monotonic_ns(tarn_os_posix()) - start_ns;
    printf("{\"name\":\"%s\",\"n\":%zu,\"bytes\":%llu,\"ns\":%lld,\"mb_per_s\":%.0f,"
           "\"checksum\":%llu}\n",
           name, rows, (unsigned long long)bytes, (long long)ns, (double)bytes * 1e3 / (double)ns,
           (unsigned long long)sum);
}

static tarn_status open_bytes(const char *name, const tarn_buffer *bytes, tarn_object **ret_object,
                              tarn_error *err) {
    return tarn_object_from_bytes(&tarn_alloc_libc, tarn_slice_from_cstr(name),
                                  tarn_buffer_slice(bytes), ret_object, err);
}

static tarn_status run(const tarn_buffer *csv, size_t rows, const tarn_schema *schema,
                       tarn_error *err) {
    tarn_buffer json = {0};
    tarn_object *csv_object = NULL;
    tarn_object *json_object = NULL;
    uint64_t sum = 0;
    tarn_status status = open_bytes("bench.csv", csv, &csv_object, err);
    if (status == TARN_OK) status = read_csv(csv_object, schema, &json, &sum, err);
    if (status == TARN_OK) status = open_bytes("bench.json", &json, &json_object, err);
    for (int round = 0; round < 3 && status == TARN_OK; round++) {
        int64_t start_ns = tarn_os_monotonic_ns(tarn_os_posix());
        status = read_csv(csv_object, schema, NULL, &sum, err);
        report("csv_read", rows, csv->len, start_ns, sum);
    }
    for (int round = 0; round < 3 && status == TARN_OK; round++) {
        int64_t start_ns = tarn_os_monotonic_ns(tarn_os_posix());
        status = read_json(json_object, schema, &sum, err);
        report("json_read", rows, json.len, start_ns, sum);
    }
    tarn_object_close(json_object);
    tarn_object_close(csv_object);
    tarn_buffer_free(&json);
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
    tarn_error err = {0};
    tarn_status status = run(&csv, rows, &schema, &err);
    tarn_buffer_free(&csv);
    return status == TARN_OK ? 0 : fail_with(&err);
}
