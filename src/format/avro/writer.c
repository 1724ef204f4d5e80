#include "base/alloc.h"
#include "format/avro/encode.h"

#define SYNC_BYTES  16
#define BLOCK_BYTES TARN_TUNABLE((size_t)64000, (size_t)64) // the interval of Avro's own writers

#define SCHEMA_ARENA_BYTES ((size_t)64 << 20)

struct tarn_avro_writer {
    const tarn_alloc *alloc;
    tarn_arena schema_arena;
    const tarn_avro_schema *schema;
    tarn_codec codec;
    int level;
    uint8_t sync[SYNC_BYTES];
    tarn_buffer *out;
    tarn_buffer block; // encoded, not yet in `out`
    size_t block_count;
    tarn_buffer packed; // scratch of flush_block
};

static const char *codec_name(tarn_codec codec) {
    if (codec == TARN_CODEC_NONE) return "null";
    if (codec == TARN_CODEC_DEFLATE) return "deflate";
    if (codec == TARN_CODEC_ZSTD) return "zstandard";
    return NULL;
}

static tarn_status append(tarn_buffer *out, tarn_slice bytes, tarn_error *err) {
    if (tarn_buffer_append(out, bytes)) return TARN_OK;
    return tarn_fail(err, TARN_NO_MEMORY, "avro writer: no room for %zu bytes", bytes.len);
}

static tarn_status write_header(tarn_avro_writer *writer, tarn_slice schema_json, tarn_error *err) {
    static const uint8_t magic[4] = {'O', 'b', 'j', 1};
    tarn_buffer *out = writer->out;
    TARN_TRY(append(out, (tarn_slice){magic, sizeof magic}, err));
    TARN_TRY(avro_encode_long(2, out, err));
    TARN_TRY(avro_encode_bytes(TARN_LIT("avro.codec"), out, err));
    TARN_TRY(avro_encode_bytes(tarn_slice_from_cstr(codec_name(writer->codec)), out, err));
    TARN_TRY(avro_encode_bytes(TARN_LIT("avro.schema"), out, err));
    TARN_TRY(avro_encode_bytes(schema_json, out, err));
    TARN_TRY(avro_encode_long(0, out, err));
    return append(out, (tarn_slice){writer->sync, SYNC_BYTES}, err);
}

static tarn_status start(tarn_avro_writer *writer, tarn_slice schema_json, tarn_error *err) {
    TARN_TRY(tarn_avro_schema_parse(schema_json, &writer->schema_arena, &writer->schema, err));
    size_t before = writer->out->len;
    tarn_status status = write_header(writer, schema_json, err);
    if (status != TARN_OK) writer->out->len = before;
    return status;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of the public header
tarn_status tarn_avro_writer_new(const tarn_alloc *alloc, tarn_slice schema_json, tarn_codec codec,
                                 int level, const uint8_t sync_marker[16], tarn_buffer *out,
                                 tarn_avro_writer **ret_writer, tarn_error *err) {
    if (codec_name(codec) == NULL) {
        return tarn_fail(err, TARN_UNSUPPORTED, "avro writer: codec %s is not supported",
                         tarn_codec_name(codec));
    }
    tarn_avro_writer *writer = tarn_alloc_new(alloc, tarn_avro_writer, 1);
    if (writer == NULL) return tarn_fail(err, TARN_NO_MEMORY, "avro writer: no memory");
    writer->alloc = alloc;
    writer->codec = codec;
    writer->level = level;
    memcpy(writer->sync, sync_marker, SYNC_BYTES);
    writer->out = out;
    writer->block.alloc = alloc;
    writer->packed.alloc = alloc;
    tarn_arena_init(&writer->schema_arena, alloc, SCHEMA_ARENA_BYTES);

    tarn_status status = start(writer, schema_json, err);
    if (status == TARN_OK) {
        *ret_writer = writer;
    } else {
        tarn_avro_writer_free(writer);
    }
    return status;
}

void tarn_avro_writer_free(tarn_avro_writer *writer) {
    if (writer == NULL) return;
    tarn_buffer_free(&writer->block);
    tarn_buffer_free(&writer->packed);
    tarn_arena_reset(&writer->schema_arena);
    tarn_alloc_free(writer->alloc, writer, 1);
}

static tarn_status write_block(tarn_avro_writer *writer, tarn_slice bytes, tarn_error *err) {
    TARN_TRY(avro_encode_long((int64_t)writer->block_count, writer->out, err));
    TARN_TRY(avro_encode_bytes(bytes, writer->out, err));
    return append(writer->out, (tarn_slice){writer->sync, SYNC_BYTES}, err);
}

// The block stays where it is when this fails, and `out` is as before.
static tarn_status flush_block(tarn_avro_writer *writer, tarn_error *err) {
    if (writer->block_count == 0) return TARN_OK;
    tarn_slice bytes = tarn_buffer_slice(&writer->block);
    if (writer->codec != TARN_CODEC_NONE) {
        tarn_buffer_clear(&writer->packed);
        TARN_TRY(tarn_compress(writer->codec, writer->level, bytes, &writer->packed, err));
        bytes = tarn_buffer_slice(&writer->packed);
    }
    size_t before = writer->out->len;
    tarn_status status = write_block(writer, bytes, err);
    if (status != TARN_OK) {
        writer->out->len = before;
        return status;
    }
    tarn_buffer_clear(&writer->block);
    writer->block_count = 0;
    return TARN_OK;
}

tarn_status tarn_avro_writer_append(tarn_avro_writer *writer, const tarn_avro_value *datum,
                                    tarn_error *err) {
    // A full block goes out before the next datum, so that a failure loses no datum that was taken.
    if (writer->block.len >= BLOCK_BYTES) TARN_TRY(flush_block(writer, err));
    size_t before = writer->block.len;
    tarn_status status = avro_encode_value(writer->schema, datum, 0, &writer->block, err);
    if (status != TARN_OK) {
        writer->block.len = before;
        tarn_error_prefix(err, "avro writer: ");
        return status;
    }
    writer->block_count++;
    return TARN_OK;
}

tarn_status tarn_avro_writer_finish(tarn_avro_writer *writer, tarn_error *err) {
    return flush_block(writer, err);
}
