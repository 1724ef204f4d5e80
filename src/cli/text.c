#include "cli/text.h"

#include "cli/width_ranges.h"

#define TAB_COLUMNS 8

// ---- characters ----

// How many bytes follow the first one; -1: it starts no character.
static int tail_len(uint8_t first) {
    if (first < 0x80) return 0;
    if (first < 0xC2) return -1;
    if (first < 0xE0) return 1;
    if (first < 0xF0) return 2;
    return first < 0xF5 ? 3 : -1;
}

static bool decode(tarn_slice text, uint32_t *ret_code, size_t *ret_len) {
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    static const uint8_t first_mask[] = {0x7F, 0x1F, 0x0F, 0x07};
    int tail = tail_len(text.data[0]);
    if (tail < 0 || (size_t)tail >= text.len) return false;
    uint32_t code = text.data[0] & first_mask[tail];
    for (int i = 1; i <= tail; i++) {
        if ((text.data[i] & 0xC0) != 0x80) return false;
        code = code << 6 | (text.data[i] & 0x3F);
    }
    bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < smallest[tail] || code > 0x10FFFF || is_surrogate) return false;
    *ret_code = code;
    *ret_len = (size_t)tail + 1;
    return true;
}

uint32_t cli_text_next(tarn_slice *text, bool *ret_valid) {
    uint32_t code = text->data[0];
    size_t len = 1;
    *ret_valid = decode(*text, &code, &len);
    *text = tarn_slice_skip(*text, len);
    return code;
}

// ---- widths ----

static bool is_in(const width_range *ranges, size_t count, uint32_t code) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges[middle].last < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && ranges[low].first <= code;
}

#define IS_IN(ranges, code) is_in((ranges), sizeof(ranges) / sizeof(ranges)[0], (code))

static size_t width_of(uint32_t code) {
    if (code < 0x300) return 1;
    if (IS_IN(zero_ranges, code)) return 0;
    return IS_IN(wide_ranges, code) ? 2 : 1;
}

static size_t ascii_len(tarn_slice text) {
    size_t len = 0;
    while (len < text.len && text.data[len] < 0x80) len++;
    return len;
}

size_t cli_text_width(tarn_slice text) {
    size_t columns = 0;
    while (text.len > 0) {
        size_t plain = ascii_len(text);
        columns += plain;
        text = tarn_slice_skip(text, plain);
        if (text.len == 0) break;
        bool valid;
        uint32_t code = cli_text_next(&text, &valid);
        columns += valid ? width_of(code) : 1;
    }
    return columns;
}

tarn_slice cli_text_fit(tarn_slice text, size_t columns) {
    tarn_slice rest = text;
    size_t used = 0;
    while (rest.len > 0) {
        tarn_slice after = rest;
        bool valid;
        uint32_t code = cli_text_next(&after, &valid);
        used += valid ? width_of(code) : 1;
        if (used > columns) break;
        rest = after;
    }
    return tarn_slice_head(text, text.len - rest.len);
}

// ---- what may be shown ----

static bool is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

static bool is_plain(tarn_slice raw) {
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t byte = raw.data[i];
        if ((byte < 0x20 && byte != '\n') || byte >= 0x7F) return false;
    }
    return true;
}

// `column` counts within the line, for tabs.
static bool show_odd(uint32_t code, bool valid, size_t column, tarn_buffer *out) {
    if (valid && code == '\t') {
        size_t count = TAB_COLUMNS - column % TAB_COLUMNS;
        return tarn_buffer_printf(out, "%*s", (int)count, "");
    }
    if (valid && code == '\r') return tarn_buffer_append(out, TARN_LIT("\\r"));
    return tarn_buffer_printf(out, "\\x%02X", (unsigned)code);
}

bool cli_text_show(tarn_slice raw, tarn_buffer *out) {
    if (is_plain(raw)) return tarn_buffer_append(out, raw);
    size_t line_begin = out->len;
    while (raw.len > 0) {
        tarn_slice before = raw;
        bool valid;
        uint32_t code = cli_text_next(&raw, &valid);
        bool fits;
        if (valid && (code == '\n' || !is_control(code))) {
            fits = tarn_buffer_append(out, tarn_slice_head(before, before.len - raw.len));
        } else {
            tarn_slice line = {out->data == NULL ? NULL : out->data + line_begin,
                               out->len - line_begin};
            fits = show_odd(code, valid, cli_text_width(line), out);
        }
        if (!fits) return false;
        if (valid && code == '\n') line_begin = out->len;
    }
    return true;
}

// ---- lines ----

tarn_slice cli_text_line(tarn_slice *text, bool *ret_more) {
    const uint8_t *newline = text->len == 0 ? NULL : memchr(text->data, '\n', text->len);
    *ret_more = newline != NULL;
    size_t len = newline == NULL ? text->len : (size_t)(newline - text->data);
    tarn_slice line = tarn_slice_head(*text, len);
    *text = tarn_slice_skip(*text, newline == NULL ? len : len + 1);
    return line;
}

size_t cli_text_block_width(tarn_slice text) {
    size_t widest = 0;
    bool more = true;
    while (more) {
        size_t width = cli_text_width(cli_text_line(&text, &more));
        if (width > widest) widest = width;
    }
    return widest;
}
