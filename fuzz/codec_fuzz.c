// Any bytes may be decompressed; the first one chooses the codec. The sized and the unsized
// decoder agree, and whatever is compressed comes back.
#include <string.h>

#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const tarn_codec codecs[] = {TARN_CODEC_NONE,    TARN_CODEC_SNAPPY, TARN_CODEC_GZIP,
                                    TARN_CODEC_DEFLATE, TARN_CODEC_LZ4,    TARN_CODEC_ZSTD};

static void check_sized(tarn_codec codec, tarn_slice bytes, tarn_slice expected) {
    tarn_buffer out = {0};
    tarn_assert(tarn_buffer_reserve(&out, expected.len + 1));
    tarn_assert(tarn_decompress(codec, bytes, out.data, expected.len, NULL) == TARN_OK);
    tarn_assert(expected.len == 0 || memcmp(out.data, expected.data, expected.len) == 0);
    tarn_assert(tarn_decompress(codec, bytes, out.data, expected.len + 1, NULL) != TARN_OK);
    tarn_buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    tarn_codec codec = codecs[data[0] % (sizeof codecs / sizeof codecs[0])];
    size_t guess_len = tarn_load_u16(data + 1);
    tarn_slice bytes = {data + 3, size - 3};

    tarn_buffer out = {.limit_bytes = 1 << 20};
    if (tarn_decompress_unsized(codec, bytes, &out, NULL) == TARN_OK && bytes.len > 0) {
        check_sized(codec, bytes, tarn_buffer_slice(&out));
    }
    tarn_buffer_clear(&out);
    if (tarn_buffer_reserve(&out, guess_len + 1)) {
        tarn_status status = tarn_decompress(codec, bytes, out.data, guess_len, NULL);
        tarn_assert(status == TARN_OK || status == TARN_CORRUPT);
    }
    tarn_buffer_free(&out);

    tarn_buffer packed = {0};
    tarn_assert(tarn_compress(codec, 0, bytes, &packed, NULL) == TARN_OK);
    if (packed.len > 0) check_sized(codec, tarn_buffer_slice(&packed), bytes);
    tarn_buffer_free(&packed);
    return 0;
}
