#include "format/parquet/pages.h"

#include "format/parquet/crc32.h"

#define HEADER_BYTES     TARN_TUNABLE((size_t)1 << 10, (size_t)16)
#define HEADER_BYTES_MAX ((size_t)16 << 20)
#define UNPACK_SLACK     1024 // small pages may be anything

void parquet_pages_init(parquet_pages *pages, const tarn_alloc *alloc, tarn_object *object,
                        size_t window_bytes) {
    *pages = (parquet_pages){
        .alloc = alloc, .object = object, .window_bytes = window_bytes, .window = {.alloc = alloc}};
}

void parquet_pages_free(parquet_pages *pages) {
    tarn_buffer_free(&pages->window);
}

// ---- codecs ----

static const char *codec_name(int32_t codec) {
    static const char *const names[] = {"uncompressed", "snappy", "gzip", "lzo",
                                        "brotli",       "lz4",    "zstd", "lz4_raw"};
    return codec >= 0 && codec <= PARQUET_CODEC_LZ4_RAW ? names[codec] : NULL;
}

static tarn_status check_codec(int32_t codec, tarn_error *err) {
    const char *name = codec_name(codec);
    if (name == NULL) return tarn_fail(err, TARN_UNSUPPORTED, "unknown codec %d", codec);
    if (codec == PARQUET_CODEC_LZO || codec == PARQUET_CODEC_BROTLI) {
        return tarn_fail(err, TARN_UNSUPPORTED, "codec %s", name);
    }
    return TARN_OK;
}

// The most bytes that one stored byte can stand for, by each format's most compact form: a
// snappy copy of 64 bytes in three, deflate's 258 in two bits, lz4's 255 per length byte, a zstd
// block of 128 KiB in four.
static uint64_t greatest_ratio(int32_t codec) {
    switch (codec) {
    case PARQUET_CODEC_SNAPPY: return 64;
    case PARQUET_CODEC_GZIP: return 1032;
    case PARQUET_CODEC_LZ4:
    case PARQUET_CODEC_LZ4_RAW: return 256;
    case PARQUET_CODEC_ZSTD: return 32768;
    default: return 1;
    }
}

// Hadoop's framing: blocks of a big-endian unpacked and packed length before the bytes. Returns
// false when the bytes are not framed like that or the blocks do not unpack.
static bool unpack_hadoop_lz4(tarn_slice bytes, uint8_t *out, size_t len) {
    while (bytes.len > 0) {
        if (bytes.len < 8) return false;
        size_t block_len = tarn_load_u32_be(bytes.data);
        size_t packed_len = tarn_load_u32_be(bytes.data + 4);
        bytes = tarn_slice_skip(bytes, 8);
        if (block_len > len || packed_len > bytes.len) return false;
        tarn_slice packed = tarn_slice_head(bytes, packed_len);
        if (tarn_decompress(TARN_CODEC_LZ4, packed, out, block_len, NULL) != TARN_OK) return false;
        bytes = tarn_slice_skip(bytes, packed_len);
        out += block_len;
        len -= block_len;
    }
    return len == 0;
}

static tarn_status unpack(int32_t codec, tarn_slice bytes, uint8_t *out, size_t len,
                          tarn_error *err) {
    switch (codec) {
    case PARQUET_CODEC_SNAPPY: return tarn_decompress(TARN_CODEC_SNAPPY, bytes, out, len, err);
    case PARQUET_CODEC_GZIP: return tarn_decompress(TARN_CODEC_GZIP, bytes, out, len, err);
    case PARQUET_CODEC_ZSTD: return tarn_decompress(TARN_CODEC_ZSTD, bytes, out, len, err);
    case PARQUET_CODEC_LZ4_RAW: return tarn_decompress(TARN_CODEC_LZ4, bytes, out, len, err);
    case PARQUET_CODEC_LZ4:
        if (unpack_hadoop_lz4(bytes, out, len)) return TARN_OK;
        return tarn_decompress(TARN_CODEC_LZ4, bytes, out, len, err);
    default:
        tarn_assert(bytes.len == len);
        if (len > 0) memcpy(out, bytes.data, len);
        return TARN_OK;
    }
}

// ---- the window ----

// Makes [offset, offset + len) available, which lies within the chunk, and more if that is cheap.
static tarn_status load(parquet_pages *pages, uint64_t offset, size_t len, tarn_slice *ret_bytes,
                        tarn_error *err) {
    tarn_buffer *window = &pages->window;
    uint64_t window_end = pages->window_offset + window->len;
    bool overlaps = offset >= pages->window_offset && offset <= window_end;
    size_t kept = overlaps ? (size_t)(window_end - offset) : 0;
    if (kept < len) {
        uint64_t rest = pages->end_offset - offset;
        size_t wanted = len < pages->window_bytes ? pages->window_bytes : len;
        if (wanted > rest) wanted = (size_t)rest;
        if (kept > 0) memmove(window->data, window->data + (window->len - kept), kept);
        window->len = kept;
        pages->window_offset = offset;
        if (!tarn_buffer_reserve(window, wanted - kept)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a page of %zu bytes", len);
        }
        TARN_TRY(tarn_object_read(pages->object, offset + kept, window->data + kept, wanted - kept,
                                  err));
        window->len = wanted;
    }
    size_t at = (size_t)(offset - pages->window_offset);
    *ret_bytes = (tarn_slice){window->data + at, window->len - at};
    return TARN_OK;
}

// ---- pages ----

tarn_status parquet_pages_start(parquet_pages *pages, const parquet_chunk_meta *chunk,
                                uint64_t limit_offset, tarn_error *err) {
    TARN_TRY(check_codec(chunk->codec, err));
    int64_t start = chunk->data_page_offset;
    if (chunk->dictionary_page_offset > 0 && chunk->dictionary_page_offset < start) {
        start = chunk->dictionary_page_offset;
    }
    if (start < (int64_t)PARQUET_MAGIC.len || (uint64_t)start > limit_offset ||
        chunk->compressed_bytes < 0 ||
        (uint64_t)chunk->compressed_bytes > limit_offset - (uint64_t)start) {
        return tarn_fail(err, TARN_CORRUPT, "chunk of %lld bytes at offset %lld is not in the file",
                         (long long)chunk->compressed_bytes, (long long)start);
    }
    pages->codec = chunk->codec;
    pages->page_offset = (uint64_t)start;
    pages->body_offset = (uint64_t)start;
    pages->next_offset = (uint64_t)start;
    pages->end_offset = (uint64_t)(start + chunk->compressed_bytes);
    tarn_buffer_clear(&pages->window);
    pages->window_offset = (uint64_t)start;
    return TARN_OK;
}

static tarn_status check_header(const parquet_pages *pages, const parquet_page_header *header,
                                tarn_error *err) {
    uint64_t rest = pages->end_offset - pages->body_offset;
    if ((uint64_t)header->compressed_bytes > rest) {
        return tarn_fail(err, TARN_CORRUPT, "page of %d bytes reaches beyond its chunk",
                         header->compressed_bytes);
    }
    if (header->type != PARQUET_PAGE_INDEX && !header->has_body) {
        return tarn_fail(err, TARN_CORRUPT, "page header of type %d has no details", header->type);
    }
    uint64_t explained = (uint64_t)header->compressed_bytes * greatest_ratio(pages->codec);
    if ((uint64_t)header->uncompressed_bytes > explained + UNPACK_SLACK) {
        return tarn_fail(err, TARN_CORRUPT, "page claims to unpack %d bytes to %d",
                         header->compressed_bytes, header->uncompressed_bytes);
    }
    return TARN_OK;
}

tarn_status parquet_pages_next(parquet_pages *pages, parquet_page_header *ret_header,
                               bool *ret_found, tarn_error *err) {
    pages->page_offset = pages->next_offset;
    uint64_t rest = pages->end_offset - pages->page_offset;
    if (rest == 0) {
        *ret_found = false;
        return TARN_OK;
    }
    parquet_page_header header;
    size_t header_len = 0;
    parquet_header_result result = PARQUET_HEADER_CUT;
    for (size_t len = HEADER_BYTES; result == PARQUET_HEADER_CUT; len *= 8) {
        if (len > HEADER_BYTES_MAX) len = HEADER_BYTES_MAX;
        if (len > rest) len = (size_t)rest;
        tarn_slice bytes;
        TARN_TRY(load(pages, pages->page_offset, len, &bytes, err));
        result = parquet_page_header_decode(bytes, &header, &header_len, err);
        if (result == PARQUET_HEADER_CUT && (len == rest || len == HEADER_BYTES_MAX)) {
            return tarn_fail(err, TARN_CORRUPT, "page header does not end within its chunk");
        }
    }
    if (result == PARQUET_HEADER_BAD) return TARN_CORRUPT;
    pages->body_offset = pages->page_offset + header_len;
    TARN_TRY(check_header(pages, &header, err));
    pages->next_offset = pages->body_offset + (uint64_t)header.compressed_bytes;
    *ret_header = header;
    *ret_found = true;
    return TARN_OK;
}

static tarn_status check_crc(const parquet_page_header *header, tarn_slice stored,
                             tarn_error *err) {
    if (!header->has_crc) return TARN_OK;
    uint32_t crc = parquet_crc32(0, stored);
    if (crc == header->crc) return TARN_OK;
    return tarn_fail(err, TARN_CORRUPT, "page checksum is %08x, its bytes give %08x", header->crc,
                     crc);
}

// Version 2 stores the levels before the values, never compressed.
static tarn_status split_levels(const parquet_page_header *header, tarn_slice *stored,
                                size_t *unpacked_len, tarn_slice *ret_levels, tarn_error *err) {
    if (header->definition_bytes < 0 || header->repetition_bytes < 0) {
        return tarn_fail(err, TARN_CORRUPT, "page has levels of a negative size");
    }
    size_t levels_len = (size_t)header->repetition_bytes + (size_t)header->definition_bytes;
    if (levels_len > stored->len || levels_len > *unpacked_len) {
        return tarn_fail(err, TARN_CORRUPT, "levels of %zu bytes in a page of %zu", levels_len,
                         stored->len);
    }
    *ret_levels = tarn_slice_head(tarn_slice_skip(*stored, (size_t)header->repetition_bytes),
                                  (size_t)header->definition_bytes);
    *stored = tarn_slice_skip(*stored, levels_len);
    *unpacked_len -= levels_len;
    return TARN_OK;
}

tarn_status parquet_pages_body(parquet_pages *pages, const parquet_page_header *header,
                               bool may_view_window, tarn_buffer *memory,
                               parquet_page_body *ret_body, tarn_error *err) {
    tarn_slice stored;
    TARN_TRY(load(pages, pages->body_offset, (size_t)header->compressed_bytes, &stored, err));
    stored = tarn_slice_head(stored, (size_t)header->compressed_bytes);
    TARN_TRY(check_crc(header, stored, err));

    parquet_page_body body = {0};
    size_t len = (size_t)header->uncompressed_bytes;
    if (header->type == PARQUET_PAGE_DATA_V2) {
        TARN_TRY(split_levels(header, &stored, &len, &body.levels, err));
    }
    // An empty section may be stored as no bytes at all, whatever the codec.
    if (len == 0) stored.len = 0;
    bool is_plain = pages->codec == PARQUET_CODEC_UNCOMPRESSED || !header->is_compressed;
    if (is_plain && stored.len != len) {
        return tarn_fail(err, TARN_CORRUPT, "uncompressed page stores %zu bytes for %zu",
                         stored.len, len);
    }
    if (is_plain && may_view_window) {
        body.values = stored;
        *ret_body = body;
        return TARN_OK;
    }
    tarn_buffer_clear(memory);
    if (!tarn_buffer_reserve(memory, len + 1)) { // + 1: an empty body has an address too
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a page of %zu bytes", len);
    }
    if (len > 0) {
        TARN_TRY(unpack(is_plain ? PARQUET_CODEC_UNCOMPRESSED : pages->codec, stored, memory->data,
                        len, err));
    }
    memory->len = len;
    body.values = tarn_buffer_slice(memory);
    *ret_body = body;
    return TARN_OK;
}
