// The value encodings: bytes of a page to values of a vector.

#include "format/parquet/bits.h"
#include "format/parquet/column_reader.h"
#include "format/parquet/gather.h"

static tarn_status fail_cut(tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "page ends before its last value");
}

bool parquet_page_is_coded(const parquet_page *page) {
    return page->encoding == PARQUET_RLE_DICTIONARY || page->encoding == PARQUET_PLAIN_DICTIONARY;
}

// ---- dictionary indices ----

static tarn_status start_codes(parquet_column_reader *reader, tarn_error *err) {
    parquet_page *page = &reader->page;
    if (!reader->has_dictionary) {
        return tarn_fail(err, TARN_CORRUPT, "page needs a dictionary, the chunk has none");
    }
    if (page->values.len == 0) return fail_cut(err);
    unsigned width = page->values.data[0];
    if (width > 32) {
        return tarn_fail(err, TARN_CORRUPT, "dictionary indices of %u bits", width);
    }
    parquet_hybrid_init(&page->codes, tarn_slice_skip(page->values, 1), width);
    return TARN_OK;
}

tarn_status parquet_values_codes(parquet_column_reader *reader, size_t count, uint32_t *out,
                                 tarn_error *err) {
    parquet_page *page = &reader->page;
    if (!page->has_started) TARN_TRY(start_codes(reader, err));
    page->has_started = true;
    TARN_TRY(parquet_hybrid_decode(&page->codes, count, out, err));
    if ((uint64_t)1 << page->codes.width <= reader->dictionary_count) return TARN_OK;
    uint32_t greatest = parquet_bits_greatest(out, count);
    if (count > 0 && greatest >= reader->dictionary_count) {
        return tarn_fail(err, TARN_CORRUPT, "index %u into a dictionary of %u values", greatest,
                         reader->dictionary_count);
    }
    return TARN_OK;
}

static tarn_status decode_coded(parquet_column_reader *reader, size_t count, uint8_t *out,
                                tarn_error *err) {
    TARN_TRY(parquet_values_codes(reader, count, reader->codes, err));
    const void *dictionary =
        reader->is_string ? reader->dictionary->data : reader->dictionary_values.data;
    parquet_gather(dictionary, reader->conversion.out_width, reader->codes, count, out);
    return TARN_OK;
}

// ---- plain ----

static void unpack_booleans(tarn_slice bytes, size_t at, size_t count, uint8_t *restrict out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = bytes.data[(at + i) / 8] >> (at + i) % 8 & 1;
    }
}

static tarn_status decode_booleans(parquet_page *page, size_t count, uint8_t *out,
                                   tarn_error *err) {
    if (count > page->values.len * 8 - page->position) return fail_cut(err);
    if (out != NULL) unpack_booleans(page->values, page->position, count, out);
    page->position += count;
    return TARN_OK;
}

static tarn_status decode_plain(parquet_column_reader *reader, size_t count, uint8_t *out,
                                tarn_error *err) {
    parquet_page *page = &reader->page;
    if (reader->column->physical == PARQUET_BOOLEAN) {
        return decode_booleans(page, count, out, err);
    }
    if (reader->column->physical == PARQUET_BYTE_ARRAY) {
        if (reader->is_string) {
            reader->is_page_viewed = true;
            return parquet_strings_plain(&page->values, count, reader->conversion.is_text,
                                         (tarn_string *)(void *)out, err);
        }
        tarn_string *strings = (tarn_string *)(void *)reader->stored;
        TARN_TRY(parquet_strings_plain(&page->values, count, false, strings, err));
        return parquet_convert(&reader->conversion, reader->stored, count, out, err);
    }
    size_t width = reader->conversion.width;
    if (count > page->values.len / width) return fail_cut(err);
    if (reader->is_string) reader->is_page_viewed = true;
    TARN_TRY(parquet_convert(&reader->conversion, page->values.data, count, out, err));
    page->values = tarn_slice_skip(page->values, count * width);
    return TARN_OK;
}

// ---- differences ----

static void narrow(const uint64_t *restrict from, size_t count, uint32_t *restrict to) {
    for (size_t i = 0; i < count; i++) to[i] = (uint32_t)from[i];
}

static tarn_status decode_delta(parquet_column_reader *reader, size_t count, uint8_t *out,
                                tarn_error *err) {
    uint64_t *numbers = reader->numbers;
    if (reader->conversion.kind == PARQUET_TO_SAME && reader->conversion.width == 8) {
        return parquet_delta_decode(&reader->page.numbers, count, (uint64_t *)(void *)out, err);
    }
    TARN_TRY(parquet_delta_decode(&reader->page.numbers, count, numbers, err));
    if (reader->column->physical == PARQUET_INT64) {
        return parquet_convert(&reader->conversion, (const uint8_t *)numbers, count, out, err);
    }
    if (reader->conversion.kind == PARQUET_TO_SAME) {
        narrow(numbers, count, (uint32_t *)(void *)out);
        return TARN_OK;
    }
    narrow(numbers, count, (uint32_t *)(void *)reader->stored);
    return parquet_convert(&reader->conversion, reader->stored, count, out, err);
}

// FIXED values come out of the string decoder too.
static tarn_status pack_fixed(parquet_column_reader *reader, const tarn_string *strings,
                              size_t count, uint8_t **ret_bytes, tarn_error *err) {
    size_t width = reader->conversion.width;
    uint8_t *bytes = tarn_arena_alloc_raw(&reader->bytes_arena, width, count);
    if (bytes == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "%zu values of %zu bytes", count, width);
    }
    for (size_t i = 0; i < count; i++) {
        tarn_slice value = tarn_string_slice(&strings[i]);
        if (value.len != width) {
            return tarn_fail(err, TARN_CORRUPT, "value of %zu bytes where all have %zu", value.len,
                             width);
        }
        memcpy(bytes + width * i, value.data, width);
    }
    *ret_bytes = bytes;
    return TARN_OK;
}

static tarn_status decode_delta_bytes(parquet_column_reader *reader, size_t count, uint8_t *out,
                                      tarn_error *err) {
    bool is_direct = reader->is_string && reader->column->physical == PARQUET_BYTE_ARRAY;
    tarn_string *strings = (tarn_string *)(void *)(is_direct ? out : reader->stored);
    reader->is_page_viewed = true;
    if (reader->page.encoding == PARQUET_DELTA_BYTE_ARRAY) {
        TARN_TRY(parquet_strings_delta(reader, count, strings, err));
    } else {
        TARN_TRY(parquet_strings_delta_length(reader, count, strings, err));
    }
    if (is_direct) return TARN_OK;
    uint8_t *stored = reader->stored;
    if (reader->column->physical == PARQUET_FIXED) {
        TARN_TRY(pack_fixed(reader, strings, count, &stored, err));
    }
    return parquet_convert(&reader->conversion, stored, count, out, err);
}

// ---- byte stream split ----

static void join_streams(const uint8_t *restrict from, size_t stride, size_t width, size_t count,
                         uint8_t *restrict to) {
    for (size_t j = 0; j < width; j++) {
        for (size_t i = 0; i < count; i++) to[i * width + j] = from[j * stride + i];
    }
}

static tarn_status decode_split(parquet_column_reader *reader, size_t count, uint8_t *out,
                                tarn_error *err) {
    parquet_page *page = &reader->page;
    size_t width = reader->conversion.width;
    if (count > page->split_count - page->position) return fail_cut(err);
    uint8_t *stored = tarn_arena_alloc_raw(&reader->bytes_arena, width, count);
    if (stored == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "%zu values of %zu bytes", count, width);
    }
    join_streams(page->values.data + page->position, page->split_count, width, count, stored);
    page->position += count;
    return parquet_convert(&reader->conversion, stored, count, out, err);
}

// ---- starting a page's values ----

static tarn_status make_numbers(parquet_column_reader *reader, tarn_error *err) {
    if (reader->numbers != NULL) return TARN_OK;
    uint64_t *numbers = tarn_arena_new_raw(reader->arena, uint64_t, 2 * TARN_CHUNK_ROWS);
    if (numbers != NULL) {
        reader->numbers = numbers;
        reader->prefix_lens = numbers + TARN_CHUNK_ROWS;
        return TARN_OK;
    }
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for differences");
}

static tarn_status start_delta_bytes(parquet_column_reader *reader, tarn_error *err) {
    parquet_page *page = &reader->page;
    tarn_slice lengths = page->values;
    TARN_TRY(make_numbers(reader, err));
    if (page->encoding == PARQUET_DELTA_BYTE_ARRAY) {
        TARN_TRY(parquet_delta_init(&page->prefixes, page->values, err));
        TARN_TRY(parquet_delta_after(page->values, &lengths, err));
    }
    TARN_TRY(parquet_delta_init(&page->numbers, lengths, err));
    return parquet_delta_after(lengths, &page->values, err);
}

static tarn_status start_rle_booleans(parquet_page *page, tarn_error *err) {
    if (page->values.len < 4) return fail_cut(err);
    size_t len = tarn_load_u32(page->values.data);
    tarn_slice runs = tarn_slice_skip(page->values, 4);
    if (len > runs.len) return fail_cut(err);
    parquet_hybrid_init(&page->codes, tarn_slice_head(runs, len), 1);
    return TARN_OK;
}

static tarn_status refuse_encoding(const parquet_column_reader *reader, tarn_error *err) {
    static const char *const types[PARQUET_TYPE_COUNT] = {
        "BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED"};
    return tarn_fail(err, TARN_UNSUPPORTED, "encoding %d of %s values", reader->page.encoding,
                     types[reader->column->physical]);
}

// Reads what precedes the values; refuses what the type cannot be encoded as. Not done for pages
// of nulls only, which may have nothing where that should be.
static tarn_status start_values(parquet_column_reader *reader, tarn_error *err) {
    parquet_page *page = &reader->page;
    parquet_type physical = reader->column->physical;
    page->has_started = true;
    switch (page->encoding) {
    case PARQUET_PLAIN: return TARN_OK;
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY: return start_codes(reader, err);
    case PARQUET_RLE:
        if (physical != PARQUET_BOOLEAN) break;
        return start_rle_booleans(page, err);
    case PARQUET_DELTA_BINARY_PACKED:
        if (physical != PARQUET_INT32 && physical != PARQUET_INT64) break;
        TARN_TRY(make_numbers(reader, err));
        return parquet_delta_init(&page->numbers, page->values, err);
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
        if (physical != PARQUET_BYTE_ARRAY) break;
        return start_delta_bytes(reader, err);
    case PARQUET_DELTA_BYTE_ARRAY:
        if (physical != PARQUET_BYTE_ARRAY && physical != PARQUET_FIXED) break;
        return start_delta_bytes(reader, err);
    case PARQUET_BYTE_STREAM_SPLIT:
        if (physical == PARQUET_BOOLEAN || physical == PARQUET_BYTE_ARRAY) break;
        page->split_count = page->values.len / reader->conversion.width;
        return TARN_OK;
    default: break;
    }
    return refuse_encoding(reader, err);
}

tarn_status parquet_values_decode(parquet_column_reader *reader, size_t count, uint8_t *out,
                                  tarn_error *err) {
    parquet_page *page = &reader->page;
    if (count == 0) return TARN_OK;
    if (!page->has_started) TARN_TRY(start_values(reader, err));
    switch (page->encoding) {
    case PARQUET_PLAIN: return decode_plain(reader, count, out, err);
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY: return decode_coded(reader, count, out, err);
    case PARQUET_RLE:
        TARN_TRY(parquet_hybrid_decode(&page->codes, count, reader->codes, err));
        for (size_t i = 0; i < count; i++) out[i] = (uint8_t)reader->codes[i];
        return TARN_OK;
    case PARQUET_DELTA_BINARY_PACKED: return decode_delta(reader, count, out, err);
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
    case PARQUET_DELTA_BYTE_ARRAY: return decode_delta_bytes(reader, count, out, err);
    default: return decode_split(reader, count, out, err);
    }
}

// ---- skipping ----

static tarn_status skip_plain(parquet_column_reader *reader, size_t count, tarn_error *err) {
    parquet_page *page = &reader->page;
    if (reader->column->physical == PARQUET_BOOLEAN) {
        return decode_booleans(page, count, NULL, err);
    }
    if (reader->column->physical == PARQUET_BYTE_ARRAY) {
        return parquet_strings_skip_plain(&page->values, count, err);
    }
    size_t width = reader->conversion.width;
    if (count > page->values.len / width) return fail_cut(err);
    page->values = tarn_slice_skip(page->values, count * width);
    return TARN_OK;
}

// Encodings that build on the values before are decoded and forgotten.
static tarn_status skip_decoding(parquet_column_reader *reader, size_t count, tarn_error *err) {
    for (size_t done = 0; done < count;) {
        size_t step = count - done < TARN_CHUNK_ROWS ? count - done : TARN_CHUNK_ROWS;
        TARN_TRY(parquet_values_decode(reader, step, reader->values, err));
        done += step;
    }
    return TARN_OK;
}

tarn_status parquet_values_skip(parquet_column_reader *reader, size_t count, tarn_error *err) {
    parquet_page *page = &reader->page;
    if (count == 0) return TARN_OK;
    if (!page->has_started) TARN_TRY(start_values(reader, err));
    switch (page->encoding) {
    case PARQUET_PLAIN: return skip_plain(reader, count, err);
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY:
    case PARQUET_RLE: return parquet_hybrid_skip(&page->codes, count, err);
    case PARQUET_BYTE_STREAM_SPLIT:
        if (count > page->split_count - page->position) return fail_cut(err);
        page->position += count;
        return TARN_OK;
    default: return skip_decoding(reader, count, err);
    }
}
