// codec.h - what the codecs share; private to io/.
#ifndef TARN_IO_CODEC_H
#define TARN_IO_CODEC_H

#include "io/io.h"

// Where decompressed bytes go: an array of fixed length, or a buffer that grows up to its limit.
typedef struct codec_output {
    uint8_t *data;
    size_t len;
    size_t capacity_bytes;
    tarn_buffer *buffer; // NULL: fixed; else data is buffer->data + base_len
    size_t base_len;     // what the buffer held before
    uint8_t overflow;    // stands in for the room that is missing, see codec_output_room
    bool is_overflowing;
} codec_output;

codec_output codec_output_fixed(uint8_t *data, size_t len);
codec_output codec_output_growing(tarn_buffer *buffer);

// Where the next bytes go, at least one of them. When the output is full this is a spare byte: a
// stream that ends without touching it fits exactly, and one that writes it is too long.
// TARN_NO_MEMORY when the allocator is exhausted.
tarn_status codec_output_room(codec_output *output, uint8_t **ret_room, size_t *ret_room_len,
                              tarn_error *err);
// Says that `len` bytes of the room are filled. Fails when that is more than the output may hold.
tarn_status codec_output_fill(codec_output *output, size_t len, tarn_error *err);

// Makes room in `out` for `bound_bytes`, or for what its limit leaves when that is less: compressed
// bytes seldom need their bound. *ret_room_len is what there is.
tarn_status codec_reserve(tarn_buffer *out, size_t bound_bytes, size_t *ret_room_len,
                          tarn_error *err);
tarn_status codec_fail_full(tarn_error *err);

tarn_status codec_zstd_compress(int level, tarn_slice bytes, tarn_buffer *out, tarn_error *err);
tarn_status codec_zstd_decompress(tarn_slice bytes, uint8_t *out, size_t len, tarn_error *err);
tarn_status codec_zstd_stream(tarn_slice bytes, codec_output *output, tarn_error *err);

// gzip or raw deflate.
tarn_status codec_zlib_compress(tarn_codec codec, int level, tarn_slice bytes, tarn_buffer *out,
                                tarn_error *err);
tarn_status codec_zlib_stream(tarn_codec codec, tarn_slice bytes, codec_output *output,
                              tarn_error *err);

#endif
