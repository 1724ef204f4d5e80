// Any bytes may be read as an Avro file; what was read can be written again, unless a union is
// ambiguous without the branch, and then reads as many records.
#include "format/avro/avro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT_BYTES ((size_t)1 << 18)

static tarn_status read_bytes(tarn_slice bytes, tarn_arena *arena, tarn_avro_file *ret_file) {
    tarn_object *object = NULL;
    tarn_assert(tarn_object_from_bytes(&tarn_alloc_libc, TARN_LIT("fuzz"), bytes, &object, NULL) ==
                TARN_OK);
    tarn_error err = {0};
    tarn_status status = tarn_avro_read(object, LIMIT_BYTES, arena, ret_file, &err);
    tarn_assert(status == TARN_OK || strstr(err.message, "'fuzz'") != NULL);
    tarn_object_close(object);
    return status;
}

static bool write_all(const tarn_avro_file *file, tarn_buffer *out) {
    static const uint8_t sync_marker[16] = {1, 2, 3};
    tarn_avro_writer *writer = NULL;
    tarn_assert(tarn_avro_writer_new(&tarn_alloc_libc, file->schema_json, TARN_CODEC_ZSTD, 0,
                                     sync_marker, out, &writer, NULL) == TARN_OK);
    bool written = true;
    for (size_t i = 0; i < file->datum_count && written; i++) {
        written = tarn_avro_writer_append(writer, &file->data[i], NULL) == TARN_OK;
    }
    tarn_assert(tarn_avro_writer_finish(writer, NULL) == TARN_OK);
    tarn_avro_writer_free(writer);
    return written;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)256 << 20);
    tarn_avro_file file;
    if (read_bytes((tarn_slice){data, size}, &arena, &file) == TARN_OK) {
        tarn_buffer again = {0};
        tarn_avro_file read_again = {0};
        // A union may take another branch than was stored and so need more bytes than the limit.
        if (write_all(&file, &again) &&
            read_bytes(tarn_buffer_slice(&again), &arena, &read_again) == TARN_OK) {
            tarn_assert(read_again.datum_count == file.datum_count);
        }
        tarn_buffer_free(&again);
    }
    tarn_arena_reset(&arena);
    return 0;
}
