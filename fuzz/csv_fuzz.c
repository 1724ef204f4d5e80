// Any bytes may be read as CSV: the end is reached, bad records lie within the file, and the rows
// that were read come back after they were written.
// Input: a byte that chooses the dialect, one that chooses the record limit, the file.
#include "format/csv/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tarn_field fields[5];
static const tarn_schema schema = {fields, 5};

static void set_fields(void) {
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    const tarn_type types[] = {tarn_type_of(TARN_TYPE_BIGINT), tarn_type_of(TARN_TYPE_TEXT),
                               tarn_type_numeric(12, 3), tarn_type_of(TARN_TYPE_TIMESTAMP),
                               tarn_type_of(TARN_TYPE_DOUBLE)};
    for (size_t i = 0; i < 5; i++) {
        fields[i] = (tarn_field){tarn_slice_from_cstr(names[i]), types[i], false, -1};
    }
}

static tarn_object *open_bytes(tarn_slice bytes) {
    tarn_object *object = NULL;
    tarn_assert(tarn_object_from_bytes(&tarn_alloc_libc, TARN_LIT("fuzz"), bytes, &object, NULL) ==
                TARN_OK);
    return object;
}

// Returns how many rows there are, and appends them to `out` unless it is NULL.
static size_t read_all(tarn_slice bytes, const tarn_csv_options *options,
                       const tarn_csv_options *write_options, tarn_buffer *out) {
    tarn_object *object = open_bytes(bytes);
    tarn_csv_reader *reader = NULL;
    size_t rows = 0;
    if (tarn_csv_reader_new(&tarn_alloc_libc, object, &schema, options, &reader, NULL) == TARN_OK) {
        for (;;) {
            const tarn_chunk *chunk = NULL;
            tarn_bad_record bad;
            tarn_assert(tarn_csv_reader_next(reader, &chunk, &bad, NULL) == TARN_OK);
            if (chunk == NULL) break;
            rows += chunk->row_count;
            tarn_assert(bad.line == 0 || bad.byte_offset + bad.raw.len <= bytes.len);
            tarn_assert(bad.line == 0 || strstr(bad.error.message, "'fuzz': line ") != NULL);
            if (out != NULL) {
                tarn_assert(tarn_csv_write(chunk, write_options, out, NULL) == TARN_OK);
            } else {
                tarn_assert(bad.line == 0); // what we wrote is good
            }
        }
        tarn_assert(tarn_csv_reader_offset(reader) == bytes.len);
    }
    tarn_csv_reader_free(reader);
    tarn_object_close(object);
    return rows;
}

static void infer(tarn_slice bytes, const tarn_csv_options *options) {
    tarn_object *object = open_bytes(bytes);
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)64 << 20);
    tarn_schema inferred;
    tarn_status status =
        tarn_csv_infer(&tarn_alloc_libc, object, options, 100, &arena, &inferred, NULL);
    tarn_assert(status != TARN_OK || inferred.field_count > 0);
    tarn_arena_reset(&arena);
    tarn_object_close(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    set_fields();
    tarn_csv_options options = {.header = (data[0] & 1) != 0,
                                .match_header = (data[0] & 3) == 3,
                                .escape = (data[0] & 4) != 0 ? '\\' : 0,
                                .delimiter = (data[0] & 8) != 0 ? ';' : 0,
                                .null_text = (data[0] & 16) != 0 ? TARN_LIT("~") : TARN_LIT(""),
                                .record_limit_bytes = data[1]}; // 0: the default
    tarn_csv_options plain = options;
    plain.header = false;
    plain.match_header = false;
    plain.record_limit_bytes = 0;
    tarn_slice bytes = {data + 2, size - 2};
    tarn_buffer written = {0};
    size_t rows = read_all(bytes, &options, &plain, &written);
    tarn_assert(read_all(tarn_buffer_slice(&written), &plain, NULL, NULL) == rows);
    tarn_buffer_free(&written);
    infer(bytes, &options);
    return 0;
}
