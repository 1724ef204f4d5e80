#include "io/codec.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "base/pool.h"

enum { DEFAULT_LEVEL = 1 };

// Contexts are costly to make for each page, and are kept for the next caller; those that a high
// level or a wide window has made large are not.
#define KEPT_BYTES_MAX ((size_t)8 << 20)

static tarn_pool compressors;
static tarn_pool decompressors;

static void give_compressor(ZSTD_CCtx *context) {
    if (ZSTD_sizeof_CCtx(context) > KEPT_BYTES_MAX || !tarn_pool_give(&compressors, context)) {
        ZSTD_freeCCtx(context);
    }
}

static void give_decompressor(ZSTD_DCtx *context) {
    if (ZSTD_sizeof_DCtx(context) > KEPT_BYTES_MAX || !tarn_pool_give(&decompressors, context)) {
        ZSTD_freeDCtx(context);
    }
}

static tarn_status fail_no_context(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for zstd's tables");
}

static tarn_status fail_damaged(tarn_error *err, size_t result) {
    if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) return fail_no_context(err);
    return tarn_fail(err, TARN_CORRUPT, "zstd: %s", ZSTD_getErrorName(result));
}

tarn_status codec_zstd_compress(int level, tarn_slice bytes, tarn_buffer *out, tarn_error *err) {
    size_t room_len = 0;
    TARN_TRY(codec_reserve(out, ZSTD_compressBound(bytes.len), &room_len, err));
    ZSTD_CCtx *context = tarn_pool_take(&compressors);
    if (context == NULL) context = ZSTD_createCCtx();
    if (context == NULL) return fail_no_context(err);

    size_t len = ZSTD_compressCCtx(context, out->data + out->len, room_len, bytes.data, bytes.len,
                                   level == 0 ? DEFAULT_LEVEL : level);
    give_compressor(context);
    if (ZSTD_isError(len)) return codec_fail_full(err); // for want of room or of memory
    out->len += len;
    return TARN_OK;
}

tarn_status codec_zstd_decompress(tarn_slice bytes, uint8_t *out, size_t len, tarn_error *err) {
    ZSTD_DCtx *context = tarn_pool_take(&decompressors);
    if (context == NULL) context = ZSTD_createDCtx();
    if (context == NULL) return fail_no_context(err);

    size_t got = ZSTD_decompressDCtx(context, out, len, bytes.data, bytes.len);
    give_decompressor(context);
    if (ZSTD_isError(got) && ZSTD_getErrorCode(got) == ZSTD_error_dstSize_tooSmall) {
        return tarn_fail(err, TARN_CORRUPT,
                         "zstd: decompresses to more than the expected %zu bytes", len);
    }
    if (ZSTD_isError(got)) return fail_damaged(err, got);
    if (got != len) {
        return tarn_fail(err, TARN_CORRUPT, "zstd: the frame gives %zu bytes, expected %zu", got,
                         len);
    }
    return TARN_OK;
}

// Decodes frame after frame. The content size that a frame may announce is not trusted: the output
// grows with what has really been decoded.
static tarn_status stream(ZSTD_DCtx *context, tarn_slice bytes, codec_output *output,
                          tarn_error *err) {
    ZSTD_inBuffer input = {bytes.data, bytes.len, 0};
    for (;;) {
        uint8_t *room = NULL;
        size_t room_len = 0;
        TARN_TRY(codec_output_room(output, &room, &room_len, err));
        ZSTD_outBuffer target = {room, room_len, 0};
        size_t position = input.pos;
        size_t result = ZSTD_decompressStream(context, &target, &input);
        if (ZSTD_isError(result)) return fail_damaged(err, result);
        TARN_TRY(codec_output_fill(output, target.pos, err));

        if (result == 0 && input.pos == input.size) return TARN_OK;
        // Nothing taken and nothing given: what is missing is input.
        if (input.pos == position && target.pos == 0) {
            return tarn_fail(err, TARN_CORRUPT, "zstd: the bytes end inside a frame");
        }
    }
}

tarn_status codec_zstd_stream(tarn_slice bytes, codec_output *output, tarn_error *err) {
    ZSTD_DCtx *context = tarn_pool_take(&decompressors);
    if (context == NULL) context = ZSTD_createDCtx();
    if (context == NULL) return fail_no_context(err);

    (void)ZSTD_DCtx_reset(context, ZSTD_reset_session_only); // cannot fail for a session
    tarn_status status = stream(context, bytes, output, err);
    (void)ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
    give_decompressor(context);
    return status;
}
