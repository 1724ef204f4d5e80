// utf8.h - stepping through UTF-8. Bytes that are not UTF-8 count as characters of their own.
#ifndef TARN_EXPR_UTF8_H
#define TARN_EXPR_UTF8_H

#include "base/slice.h"

// Bytes of the character at the front of `text`, which is not empty.
static inline size_t expr_utf8_step(tarn_slice text) {
    uint8_t first = text.data[0];
    size_t len = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    return len <= text.len ? len : text.len;
}

// A byte that begins a character is not 10xxxxxx.
static inline size_t expr_utf8_length(tarn_slice text) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) count += (text.data[i] & 0xC0) != 0x80;
    return count;
}

// Bytes of the first `count` characters, or all there are.
static inline size_t expr_utf8_offset(tarn_slice text, size_t count) {
    size_t at = 0;
    for (; count > 0 && at < text.len; count--) {
        at += expr_utf8_step((tarn_slice){text.data + at, text.len - at});
    }
    return at;
}

static inline uint32_t expr_utf8_decode(tarn_slice text) {
    size_t len = expr_utf8_step(text);
    if (len == 1) return text.data[0];
    uint32_t point = text.data[0] & (0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++) point = point << 6 | (text.data[i] & 0x3F);
    return point;
}

// Writes up to 4 bytes.
static inline size_t expr_utf8_encode(uint32_t point, uint8_t *out) {
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    out[0] = (uint8_t)((0xF00 >> len) | point);
    return len;
}

#endif
