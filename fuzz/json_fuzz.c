// Any bytes may be read as JSON lines: the end is reached, bad records lie within the file, and the
// rows that were read come back after they were written.
// Input: a byte that chooses the options, one that chooses the record limit, the file.
#include "format/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tarn_field fields[6];
static const tarn_schema schema = {fields, 6};

static void set_fields(void) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "\303\251"};
    const tarn_type types[] = {tarn_type_of(TARN_TYPE_BIGINT),  tarn_type_of(TARN_TYPE_TEXT),
                               tarn_type_numeric(30, 9),        tarn_type_of(TARN_TYPE_DATE),
                               tarn_type_of(TARN_TYPE_BOOLEAN), tarn_type_of(TARN_TYPE_BYTEA)};
    for (size_t i = 0; i < 6; i++) {
        fields[i] = (tarn_field){tarn_slice_from_cstr(names[i]), types[i], false, -1};
    }
}

// Returns how many rows there are, and appends them to `out` unless it is NULL.
static size_t read_all(tarn_slice bytes, const tarn_json_options *options, tarn_buffer *out) {
    tarn_object *object = NULL;
    tarn_json_reader *reader = NULL;
    tarn_assert(tarn_object_from_bytes(&tarn_alloc_libc, TARN_LIT("fuzz"), bytes, &object, NULL) ==
                TARN_OK);
    tarn_assert(tarn_json_reader_new(&tarn_alloc_libc, object, &schema, options, &reader, NULL) ==
                TARN_OK);
    size_t rows = 0;
    for (;;) {
        const tarn_chunk *chunk = NULL;
        tarn_bad_record bad;
        tarn_assert(tarn_json_reader_next(reader, &chunk, &bad, NULL) == TARN_OK);
        if (chunk == NULL) break;
        rows += chunk->row_count;
        tarn_assert(bad.line == 0 || bad.byte_offset + bad.raw.len <= bytes.len);
        tarn_assert(bad.line == 0 || strstr(bad.error.message, "'fuzz': line ") != NULL);
        if (out != NULL) {
            tarn_assert(tarn_json_write(&schema, chunk, out, NULL) == TARN_OK);
        } else {
            tarn_assert(bad.line == 0); // what we wrote is good
        }
    }
    tarn_assert(tarn_json_reader_offset(reader) == bytes.len);
    tarn_json_reader_free(reader);
    tarn_object_close(object);
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    set_fields();
    tarn_json_options options = {.refuse_unknown = (data[0] & 1) != 0,
                                 .record_limit_bytes = data[1]}; // 0: the default
    const tarn_json_options strict = {.refuse_unknown = true};
    tarn_buffer written = {0};
    size_t rows = read_all((tarn_slice){data + 2, size - 2}, &options, &written);
    tarn_assert(read_all(tarn_buffer_slice(&written), &strict, NULL) == rows);
    tarn_buffer_free(&written);
    return 0;
}
