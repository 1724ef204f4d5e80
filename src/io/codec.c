#include "io/codec.h"

#include <limits.h>
#include <lz4.h>
#include <lz4hc.h>
#include <snappy-c.h>
#include <string.h>

// How much a growing output asks for at a time.
#define ROOM_BYTES TARN_TUNABLE((size_t)64 << 10, (size_t)16)

static const struct {
    const char *name;
    int min_level; // 0 (the default) is always accepted
    int max_level;
} codecs[] = {
    [TARN_CODEC_NONE] = {"none", 0, 0}, [TARN_CODEC_SNAPPY] = {"snappy", 0, 0},
    [TARN_CODEC_GZIP] = {"gzip", 1, 9}, [TARN_CODEC_DEFLATE] = {"deflate", 1, 9},
    [TARN_CODEC_LZ4] = {"lz4", 1, 12},  [TARN_CODEC_ZSTD] = {"zstd", -50, 22},
};

const char *tarn_codec_name(tarn_codec codec) {
    tarn_assert((size_t)codec < sizeof codecs / sizeof codecs[0]);
    return codecs[codec].name;
}

// ---- outputs ----

codec_output codec_output_fixed(uint8_t *data, size_t len) {
    return (codec_output){.data = data, .capacity_bytes = len};
}

codec_output codec_output_growing(tarn_buffer *buffer) {
    return (codec_output){.buffer = buffer, .base_len = buffer->len};
}

tarn_status codec_output_room(codec_output *output, uint8_t **ret_room, size_t *ret_room_len,
                              tarn_error *err) {
    tarn_assert(!output->is_overflowing);
    tarn_buffer *buffer = output->buffer;
    if (output->len == output->capacity_bytes && buffer != NULL) {
        size_t left_bytes = buffer->limit_bytes - output->base_len - output->len;
        size_t more_bytes = left_bytes < ROOM_BYTES ? left_bytes : ROOM_BYTES;
        buffer->len = output->base_len + output->len;
        if (!tarn_buffer_reserve(buffer, more_bytes)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu decompressed bytes",
                             output->len + more_bytes);
        }
        output->data = buffer->data == NULL ? NULL : buffer->data + output->base_len;
        size_t usable_bytes = buffer->capacity_bytes < buffer->limit_bytes ? buffer->capacity_bytes
                                                                           : buffer->limit_bytes;
        output->capacity_bytes = usable_bytes - output->base_len;
    }
    output->is_overflowing = output->len == output->capacity_bytes;
    *ret_room = output->is_overflowing ? &output->overflow : output->data + output->len;
    *ret_room_len = output->is_overflowing ? 1 : output->capacity_bytes - output->len;
    return TARN_OK;
}

tarn_status codec_output_fill(codec_output *output, size_t len, tarn_error *err) {
    bool is_over = output->is_overflowing;
    output->is_overflowing = false;
    if (!is_over) {
        tarn_assert(len <= output->capacity_bytes - output->len);
        output->len += len;
        return TARN_OK;
    }
    if (len == 0) return TARN_OK;
    if (output->buffer != NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "decompresses to more than the %zu bytes allowed",
                         output->capacity_bytes);
    }
    return tarn_fail(err, TARN_CORRUPT, "decompresses to more than the expected %zu bytes",
                     output->capacity_bytes);
}

tarn_status codec_fail_full(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the compressed bytes");
}

tarn_status codec_reserve(tarn_buffer *out, size_t bound_bytes, size_t *ret_room_len,
                          tarn_error *err) {
    if (out->limit_bytes > 0 && bound_bytes > out->limit_bytes - out->len) {
        bound_bytes = out->limit_bytes - out->len;
    }
    if (bound_bytes == 0 || !tarn_buffer_reserve(out, bound_bytes)) return codec_fail_full(err);
    *ret_room_len = bound_bytes;
    return TARN_OK;
}

// ---- lz4: a block ends where its bytes end and does not know its length ----

static tarn_status lz4_compress(int level, tarn_slice bytes, tarn_buffer *out, tarn_error *err) {
    if (bytes.len > LZ4_MAX_INPUT_SIZE) {
        return tarn_fail(err, TARN_UNSUPPORTED, "lz4 takes at most %d bytes, these are %zu",
                         LZ4_MAX_INPUT_SIZE, bytes.len);
    }
    size_t room_len = 0;
    TARN_TRY(codec_reserve(out, (size_t)LZ4_compressBound((int)bytes.len), &room_len, err));
    const char *source = bytes.len == 0 ? "" : (const char *)bytes.data;
    char *target = (char *)out->data + out->len;
    int len = level <= 2 ? LZ4_compress_default(source, target, (int)bytes.len, (int)room_len)
                         : LZ4_compress_HC(source, target, (int)bytes.len, (int)room_len, level);
    if (len <= 0) return codec_fail_full(err);
    out->len += (size_t)len;
    return TARN_OK;
}

static tarn_status lz4_decompress(tarn_slice bytes, uint8_t *out, size_t len, tarn_error *err) {
    if (bytes.len > INT_MAX || len > INT_MAX) {
        return tarn_fail(err, TARN_CORRUPT, "lz4: %zu bytes for %zu are more than a block can have",
                         bytes.len, len);
    }
    int got = LZ4_decompress_safe((const char *)bytes.data, (char *)out, (int)bytes.len, (int)len);
    if (got < 0) {
        return tarn_fail(err, TARN_CORRUPT,
                         "lz4: the block is damaged, or longer than the expected %zu bytes", len);
    }
    if ((size_t)got != len) {
        return tarn_fail(err, TARN_CORRUPT, "lz4: the block gives %d bytes, expected %zu", got,
                         len);
    }
    return TARN_OK;
}

// ---- snappy: the length stands in front ----

static tarn_status snappy_compress_to(tarn_slice bytes, tarn_buffer *out, tarn_error *err) {
    if (bytes.len > UINT32_MAX) {
        return tarn_fail(err, TARN_UNSUPPORTED, "snappy takes at most %u bytes, these are %zu",
                         UINT32_MAX, bytes.len);
    }
    // The library insists on its bound, also when the result would be much smaller.
    size_t len = snappy_max_compressed_length(bytes.len);
    if (!tarn_buffer_reserve(out, len)) return codec_fail_full(err);
    const char *source = bytes.len == 0 ? "" : (const char *)bytes.data;
    if (snappy_compress(source, bytes.len, (char *)out->data + out->len, &len) != SNAPPY_OK) {
        return codec_fail_full(err);
    }
    out->len += len;
    return TARN_OK;
}

static tarn_status snappy_length(tarn_slice bytes, size_t *ret_len, tarn_error *err) {
    // At best three bytes copy 64. A length beyond that is a lie, told before memory is taken.
    enum { EXPANSION_MAX = 22 };
    size_t len = 0;
    if (snappy_uncompressed_length((const char *)bytes.data, bytes.len, &len) != SNAPPY_OK ||
        len / EXPANSION_MAX > bytes.len) {
        return tarn_fail(err, TARN_CORRUPT, "snappy: the length in front is damaged");
    }
    *ret_len = len;
    return TARN_OK;
}

static tarn_status snappy_decompress(tarn_slice bytes, uint8_t *out, size_t len, tarn_error *err) {
    size_t stored_len = 0;
    TARN_TRY(snappy_length(bytes, &stored_len, err));
    if (stored_len != len) {
        return tarn_fail(err, TARN_CORRUPT, "snappy: the block has %zu bytes, expected %zu",
                         stored_len, len);
    }
    size_t room_len = len;
    if (snappy_uncompress((const char *)bytes.data, bytes.len, (char *)out, &room_len) !=
        SNAPPY_OK) {
        return tarn_fail(err, TARN_CORRUPT, "snappy: the block is damaged");
    }
    tarn_assert(room_len == len);
    return TARN_OK;
}

static tarn_status snappy_decompress_unsized(tarn_slice bytes, tarn_buffer *out, tarn_error *err) {
    size_t len = 0;
    TARN_TRY(snappy_length(bytes, &len, err));
    if (!tarn_buffer_reserve(out, len > 0 ? len : 1)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu decompressed bytes", len);
    }
    TARN_TRY(snappy_decompress(bytes, out->data + out->len, len, err));
    out->len += len;
    return TARN_OK;
}

// ---- the codecs together ----

tarn_status tarn_compress(tarn_codec codec, int level, tarn_slice bytes, tarn_buffer *out,
                          tarn_error *err) {
    tarn_assert((size_t)codec < sizeof codecs / sizeof codecs[0]);
    if (level != 0 && (level < codecs[codec].min_level || level > codecs[codec].max_level)) {
        if (codecs[codec].max_level == 0) {
            return tarn_fail(err, TARN_INVALID, "%s has no compression levels, %d was given",
                             codecs[codec].name, level);
        }
        return tarn_fail(err, TARN_INVALID, "%s level %d is not between %d and %d",
                         codecs[codec].name, level, codecs[codec].min_level,
                         codecs[codec].max_level);
    }
    switch (codec) {
    case TARN_CODEC_NONE: return tarn_buffer_append(out, bytes) ? TARN_OK : codec_fail_full(err);
    case TARN_CODEC_SNAPPY: return snappy_compress_to(bytes, out, err);
    case TARN_CODEC_GZIP:
    case TARN_CODEC_DEFLATE: return codec_zlib_compress(codec, level, bytes, out, err);
    case TARN_CODEC_LZ4: return lz4_compress(level, bytes, out, err);
    case TARN_CODEC_ZSTD: return codec_zstd_compress(level, bytes, out, err);
    }
    return tarn_fail(err, TARN_UNSUPPORTED, "codec %d", (int)codec);
}

static tarn_status zlib_decompress(tarn_codec codec, tarn_slice bytes, uint8_t *out, size_t len,
                                   tarn_error *err) {
    codec_output output = codec_output_fixed(out, len);
    TARN_TRY(codec_zlib_stream(codec, bytes, &output, err));
    if (output.len != len) {
        return tarn_fail(err, TARN_CORRUPT, "%s: the stream gives %zu bytes, expected %zu",
                         codecs[codec].name, output.len, len);
    }
    return TARN_OK;
}

tarn_status tarn_decompress(tarn_codec codec, tarn_slice bytes, uint8_t *out, size_t len,
                            tarn_error *err) {
    tarn_assert((size_t)codec < sizeof codecs / sizeof codecs[0]);
    // Formats store nothing for nothing, whatever the codec (a Parquet page of nulls).
    if (bytes.len == 0 && len == 0) return TARN_OK;
    if (bytes.len == 0) {
        return tarn_fail(err, TARN_CORRUPT, "%s: no bytes, expected %zu", codecs[codec].name, len);
    }
    uint8_t nothing;
    if (len == 0) out = &nothing; // the libraries want an address
    switch (codec) {
    case TARN_CODEC_NONE:
        if (bytes.len != len) {
            return tarn_fail(err, TARN_CORRUPT, "%zu bytes are stored, expected %zu", bytes.len,
                             len);
        }
        memcpy(out, bytes.data, len);
        return TARN_OK;
    case TARN_CODEC_SNAPPY: return snappy_decompress(bytes, out, len, err);
    case TARN_CODEC_GZIP:
    case TARN_CODEC_DEFLATE: return zlib_decompress(codec, bytes, out, len, err);
    case TARN_CODEC_LZ4: return lz4_decompress(bytes, out, len, err);
    case TARN_CODEC_ZSTD: return codec_zstd_decompress(bytes, out, len, err);
    }
    return tarn_fail(err, TARN_UNSUPPORTED, "codec %d", (int)codec);
}

static tarn_status stream_to_buffer(tarn_codec codec, tarn_slice bytes, tarn_buffer *out,
                                    tarn_error *err) {
    codec_output output = codec_output_growing(out);
    tarn_status status = codec == TARN_CODEC_ZSTD ? codec_zstd_stream(bytes, &output, err)
                                                  : codec_zlib_stream(codec, bytes, &output, err);
    out->len = output.base_len + (status == TARN_OK ? output.len : 0);
    return status;
}

tarn_status tarn_decompress_unsized(tarn_codec codec, tarn_slice bytes, tarn_buffer *out,
                                    tarn_error *err) {
    tarn_assert((size_t)codec < sizeof codecs / sizeof codecs[0]);
    tarn_assert(out->limit_bytes > 0);
    tarn_assert(out->len <= out->limit_bytes);
    if (codec != TARN_CODEC_NONE && bytes.len == 0) {
        return tarn_fail(err, TARN_CORRUPT, "%s: no bytes", codecs[codec].name);
    }
    switch (codec) {
    case TARN_CODEC_NONE:
        if (tarn_buffer_append(out, bytes)) return TARN_OK;
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu bytes", bytes.len);
    case TARN_CODEC_SNAPPY: return snappy_decompress_unsized(bytes, out, err);
    case TARN_CODEC_GZIP:
    case TARN_CODEC_DEFLATE:
    case TARN_CODEC_ZSTD: return stream_to_buffer(codec, bytes, out, err);
    case TARN_CODEC_LZ4: break;
    }
    return tarn_fail(err, TARN_UNSUPPORTED,
                     "%s does not say how long its content is, and neither does the caller",
                     codecs[codec].name);
}
