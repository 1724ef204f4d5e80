#include "io/codec.h"

#define ZLIB_CONST // zlib reads next_in and does not write it
#include <zlib.h>

// zlib counts in 32 bits: longer input and output go through it in pieces.
#define PIECE_BYTES_MAX TARN_TUNABLE((size_t)1 << 30, (size_t)100)

enum { WINDOW_BITS = 15, GZIP_FLAG = 16, MEMORY_LEVEL = 8 };

// zlib's own convention: negative means without any header.
static int window_bits_of(tarn_codec codec) {
    return codec == TARN_CODEC_GZIP ? WINDOW_BITS + GZIP_FLAG : -WINDOW_BITS;
}

static uInt piece_of(size_t len) {
    return (uInt)(len < PIECE_BYTES_MAX ? len : PIECE_BYTES_MAX);
}

// Gives the stream its next piece of `bytes`, of which *position bytes are taken.
static void feed(z_stream *zlib, tarn_slice bytes, size_t *position) {
    if (zlib->avail_in > 0 || *position == bytes.len) return;
    zlib->next_in = bytes.data + *position;
    zlib->avail_in = piece_of(bytes.len - *position);
    *position += zlib->avail_in;
}

static tarn_status fail_no_tables(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for zlib's tables");
}

tarn_status codec_zlib_compress(tarn_codec codec, int level, tarn_slice bytes, tarn_buffer *out,
                                tarn_error *err) {
    z_stream zlib = {0};
    if (deflateInit2(&zlib, level == 0 ? Z_DEFAULT_COMPRESSION : level, Z_DEFLATED,
                     window_bits_of(codec), MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        return fail_no_tables(err);
    }
    size_t room_len = 0;
    size_t position = 0;
    size_t done_len = 0;
    int result = Z_OK;
    tarn_status status = codec_reserve(out, deflateBound(&zlib, bytes.len), &room_len, err);
    if (status != TARN_OK) goto out;
    while (result != Z_STREAM_END) {
        feed(&zlib, bytes, &position);
        zlib.next_out = out->data + out->len + done_len;
        uInt piece_len = piece_of(room_len - done_len);
        zlib.avail_out = piece_len;
        result = deflate(&zlib, position == bytes.len ? Z_FINISH : Z_NO_FLUSH);
        done_len += piece_len - zlib.avail_out;
        if (done_len == room_len && result != Z_STREAM_END) {
            status = codec_fail_full(err);
            goto out;
        }
    }
    out->len += done_len;
out:
    deflateEnd(&zlib);
    return status;
}

static tarn_status fail_damaged(tarn_codec codec, const z_stream *zlib, tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "%s: %s", tarn_codec_name(codec),
                     zlib->msg == NULL ? "the stream is damaged" : zlib->msg);
}

static tarn_status inflate_all(tarn_codec codec, z_stream *zlib, tarn_slice bytes,
                               codec_output *output, tarn_error *err) {
    size_t position = 0;
    for (;;) {
        feed(zlib, bytes, &position);
        uint8_t *room = NULL;
        size_t room_len = 0;
        TARN_TRY(codec_output_room(output, &room, &room_len, err));
        uInt piece_len = piece_of(room_len);
        zlib->next_out = room;
        zlib->avail_out = piece_len;
        int result = inflate(zlib, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR) return fail_no_tables(err);
        if (result == Z_BUF_ERROR) {
            return tarn_fail(err, TARN_CORRUPT, "%s: the bytes end inside the stream",
                             tarn_codec_name(codec));
        }
        if (result != Z_OK && result != Z_STREAM_END) return fail_damaged(codec, zlib, err);
        TARN_TRY(codec_output_fill(output, piece_len - zlib->avail_out, err));
        if (result == Z_OK) continue;

        if (zlib->avail_in == 0 && position == bytes.len) return TARN_OK;
        // Raw deflate knows its own end. What follows is not ours: fastavro leaves three bytes of a
        // zlib trailer behind every block.
        if (codec != TARN_CODEC_GZIP) return TARN_OK;
        if (inflateReset(zlib) != Z_OK) return fail_damaged(codec, zlib, err); // the next member
    }
}

tarn_status codec_zlib_stream(tarn_codec codec, tarn_slice bytes, codec_output *output,
                              tarn_error *err) {
    z_stream zlib = {0};
    if (inflateInit2(&zlib, window_bits_of(codec)) != Z_OK) return fail_no_tables(err);
    tarn_status status = inflate_all(codec, &zlib, bytes, output, err);
    inflateEnd(&zlib);
    return status;
}
