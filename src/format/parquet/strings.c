// The encodings of strings: views into the page where they lie whole, else into the arena.

#include "format/parquet/column_reader.h"

#define HIGH_BITS 0x8080808080808080u

static tarn_status fail_cut(tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "page ends before its last value");
}

// ---- text ----

static tarn_status check_text(tarn_slice text, tarn_error *err) {
    if (parquet_utf8_is_valid(text)) return TARN_OK;
    return tarn_fail(err, TARN_CORRUPT, "a text value is not UTF-8");
}

static tarn_status check_texts(const tarn_string *strings, size_t count, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(check_text(tarn_string_slice(&strings[i]), err));
    }
    return TARN_OK;
}

// The bytes of a string or'ed together, eight at a time; len is at least eight.
static inline uint64_t or_bytes(const uint8_t *data, size_t len) {
    uint64_t bits = tarn_load_u64(data + len - 8);
    for (size_t at = 0; at + 8 <= len; at += 8) bits |= tarn_load_u64(data + at);
    return bits;
}

// ---- PLAIN ----

// Makes *out a view of `len` bytes at `data`, of which `readable` may be read, and returns bits
// among which the high ones are set unless the string is ASCII. The two words of a string are put
// together in registers: writing its parts and copying it would stall on the parts.
static inline uint64_t view_string(const uint8_t *data, uint32_t len, size_t readable, bool is_text,
                                   tarn_string *out) {
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are put together");
    if (len > TARN_STRING_INLINE_BYTES) {
        uint64_t words[2] = {len | (uint64_t)tarn_load_u32(data) << 32, (uintptr_t)data};
        memcpy(out, words, sizeof words);
        return is_text ? or_bytes(data, len) : 0;
    }
    if (readable < 16) {
        *out = tarn_string_view((tarn_slice){data, len});
        return UINT64_MAX; // looked at again
    }
    uint64_t low = tarn_load_u64(data);
    uint64_t high = tarn_load_u64(data + 8);
    if (len < 8) {
        low &= ((uint64_t)1 << 8 * len) - 1;
        high = 0;
    } else {
        high &= ((uint64_t)1 << 8 * (len - 8)) - 1; // len - 8 is at most 4
    }
    uint64_t words[2] = {len | low << 32, low >> 32 | high << 32};
    memcpy(out, words, sizeof words);
    return low | high;
}

tarn_status parquet_strings_plain(tarn_slice *bytes, size_t count, bool is_text, tarn_string *out,
                                  tarn_error *err) {
    const uint8_t *data = bytes->data;
    size_t left = bytes->len;
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        if (left < 4) return fail_cut(err);
        uint32_t len = tarn_load_u32(data);
        if (len > left - 4) {
            return tarn_fail(err, TARN_CORRUPT, "string of %u bytes in a page with %zu left", len,
                             left - 4);
        }
        bits |= view_string(data + 4, len, left - 4, is_text, &out[i]);
        data += 4 + (size_t)len;
        left -= 4 + (size_t)len;
    }
    *bytes = (tarn_slice){data, left};
    bool is_ascii = !is_text || (bits & HIGH_BITS) == 0;
    return is_ascii ? TARN_OK : check_texts(out, count, err);
}

tarn_status parquet_strings_skip_plain(tarn_slice *bytes, size_t count, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (bytes->len < 4 || tarn_load_u32(bytes->data) > bytes->len - 4) return fail_cut(err);
        *bytes = tarn_slice_skip(*bytes, 4 + (size_t)tarn_load_u32(bytes->data));
    }
    return TARN_OK;
}

// ---- the delta encodings ----

// Or'ed bytes of any length, with other bits that do not matter.
static uint64_t or_all(tarn_slice bytes) {
    if (bytes.len >= 8) return or_bytes(bytes.data, bytes.len);
    uint64_t bits = 0;
    for (size_t i = 0; i < bytes.len; i++) bits |= bytes.data[i];
    return bits;
}

// Lengths are 32 bits wide; a negative one is too long for any page.
tarn_status parquet_strings_delta_length(parquet_column_reader *reader, size_t count,
                                         tarn_string *out, tarn_error *err) {
    parquet_page *page = &reader->page;
    TARN_TRY(parquet_delta_decode(&page->numbers, count, reader->numbers, err));
    tarn_slice rest = page->values;
    for (size_t i = 0; i < count; i++) {
        uint32_t len = (uint32_t)reader->numbers[i];
        if (len > rest.len) return fail_cut(err);
        (void)view_string(rest.data, len, rest.len, false, &out[i]); // all are checked below
        rest = tarn_slice_skip(rest, len);
    }
    tarn_slice bytes = tarn_slice_head(page->values, page->values.len - rest.len);
    page->values = rest;
    if (!reader->conversion.is_text || (or_all(bytes) & HIGH_BITS) == 0) return TARN_OK;
    return check_texts(out, count, err);
}

// How many bytes the next strings take together, prefixes included. Checks that prefixes are not
// longer than the strings before and that the page has the suffixes.
static tarn_status measure_joined(const parquet_column_reader *reader, size_t count,
                                  size_t *ret_bytes, tarn_error *err) {
    uint64_t previous_len = reader->page.previous.len;
    uint64_t left = reader->page.values.len;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t prefix_len = (uint32_t)reader->prefix_lens[i];
        uint32_t suffix_len = (uint32_t)reader->numbers[i];
        if (prefix_len > previous_len) {
            return tarn_fail(err, TARN_CORRUPT, "prefix of %u bytes of a string of %llu",
                             prefix_len, (unsigned long long)previous_len);
        }
        if (suffix_len > left) return fail_cut(err);
        left -= suffix_len;
        previous_len = (uint64_t)prefix_len + suffix_len;
        if (previous_len > UINT32_MAX) {
            return tarn_fail(err, TARN_CORRUPT, "string of %llu bytes",
                             (unsigned long long)previous_len);
        }
        bytes += previous_len; // count * 2^32 at most
    }
    *ret_bytes = bytes;
    return TARN_OK;
}

// Each string is the beginning of the one before and the page's next bytes.
static void join_strings(parquet_column_reader *reader, size_t count, uint8_t *joined,
                         size_t joined_len, tarn_string *out) {
    parquet_page *page = &reader->page;
    tarn_slice previous = tarn_string_slice(&page->previous);
    const uint8_t *suffix = page->values.data;
    const uint8_t *joined_end = joined + joined_len;
    for (size_t i = 0; i < count; i++) {
        uint32_t prefix_len = (uint32_t)reader->prefix_lens[i];
        uint32_t suffix_len = (uint32_t)reader->numbers[i];
        uint32_t len = prefix_len + suffix_len;
        if (prefix_len > 0) memcpy(joined, previous.data, prefix_len);
        if (suffix_len > 0) memcpy(joined + prefix_len, suffix, suffix_len);
        (void)view_string(joined, len, (size_t)(joined_end - joined), false, &out[i]);
        previous = (tarn_slice){joined, len};
        joined += len;
        suffix += suffix_len;
    }
    page->values = tarn_slice_skip(page->values, (size_t)(suffix - page->values.data));
    page->previous = tarn_string_view(previous);
}

tarn_status parquet_strings_delta(parquet_column_reader *reader, size_t count, tarn_string *out,
                                  tarn_error *err) {
    parquet_page *page = &reader->page;
    TARN_TRY(parquet_delta_decode(&page->numbers, count, reader->numbers, err));
    TARN_TRY(parquet_delta_decode(&page->prefixes, count, reader->prefix_lens, err));
    size_t bytes;
    TARN_TRY(measure_joined(reader, count, &bytes, err));
    uint8_t *joined = tarn_arena_new_raw(&reader->bytes_arena, uint8_t, bytes);
    if (joined == NULL) return tarn_fail(err, TARN_NO_MEMORY, "strings of %zu bytes", bytes);
    join_strings(reader, count, joined, bytes, out);
    if (!reader->conversion.is_text || (or_all((tarn_slice){joined, bytes}) & HIGH_BITS) == 0) {
        return TARN_OK;
    }
    return check_texts(out, count, err);
}
