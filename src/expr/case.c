// Upper and lower case of single characters: Latin, Greek, Cyrillic and Armenian letters.

#include "expr/text.h"

// Letters from `first` to `last` whose other case is `distance` away; with `step` 2, every second
// one is upper case and followed by its lower case.
typedef struct case_range {
    uint32_t first;
    uint32_t last;
    int32_t distance;
    uint32_t step;
} case_range;

// Upper to lower.
static const case_range ranges[] = {
    {0x41, 0x5A, 32, 1},    {0xC0, 0xD6, 32, 1},   {0xD8, 0xDE, 32, 1},   {0x100, 0x12E, 1, 2},
    {0x132, 0x136, 1, 2},   {0x139, 0x147, 1, 2},  {0x14A, 0x176, 1, 2},  {0x178, 0x178, -121, 1},
    {0x179, 0x17D, 1, 2},   {0x386, 0x386, 38, 1}, {0x388, 0x38A, 37, 1}, {0x38C, 0x38C, 64, 1},
    {0x38E, 0x38F, 63, 1},  {0x391, 0x3A1, 32, 1}, {0x3A3, 0x3AB, 32, 1}, {0x400, 0x40F, 80, 1},
    {0x410, 0x42F, 32, 1},  {0x460, 0x480, 1, 2},  {0x48A, 0x4BE, 1, 2},  {0x4C0, 0x4C0, 15, 1},
    {0x4C1, 0x4CD, 1, 2},   {0x4D0, 0x52E, 1, 2},  {0x531, 0x556, 48, 1}, {0x1E00, 0x1E94, 1, 2},
    {0x1EA0, 0x1EFE, 1, 2},
};
#define RANGE_COUNT (sizeof ranges / sizeof ranges[0])

uint32_t expr_lower_point(uint32_t point) {
    if (point < 0x80) return point >= 'A' && point <= 'Z' ? point + 32 : point;
    if (point == 0x130) return 'i';
    if (point == 0x1E9E) return 0xDF;
    for (size_t i = 0; i < RANGE_COUNT; i++) {
        const case_range *range = &ranges[i];
        if (point < range->first || point > range->last) continue;
        if ((point - range->first) % range->step != 0) return point;
        return (uint32_t)((int32_t)point + range->distance);
    }
    return point;
}

uint32_t expr_upper_point(uint32_t point) {
    if (point < 0x80) return point >= 'a' && point <= 'z' ? point - 32 : point;
    if (point == 0xB5) return 0x39C;  // micro sign
    if (point == 0x131) return 'I';   // dotless i
    if (point == 0x17F) return 'S';   // long s
    if (point == 0x3C2) return 0x3A3; // final sigma
    for (size_t i = 0; i < RANGE_COUNT; i++) {
        const case_range *range = &ranges[i];
        uint32_t upper = (uint32_t)((int32_t)point - range->distance);
        if (upper < range->first || upper > range->last) continue;
        if ((upper - range->first) % range->step == 0) return upper;
    }
    return point;
}

bool expr_is_alphanumeric(uint32_t point) {
    if (point < 0x80) {
        return (point >= '0' && point <= '9') || (point >= 'a' && point <= 'z') ||
               (point >= 'A' && point <= 'Z');
    }
    if (point == 0xAA || point == 0xB5 || point == 0xBA) return true;
    if (point < 0xC0 || point == 0xD7 || point == 0xF7) return false;
    bool is_punctuation = point >= 0x2000 && point <= 0x2BFF;
    bool is_cjk_punctuation = point >= 0x3000 && point <= 0x3004;
    return !is_punctuation && !is_cjk_punctuation;
}

static size_t map_text(tarn_slice text, uint8_t *out, uint32_t (*map)(uint32_t)) {
    size_t len = 0;
    while (text.len > 0) {
        size_t step = expr_utf8_step(text);
        if (step == 1 && text.data[0] >= 0x80) {
            out[len++] = text.data[0]; // no UTF-8: left alone
        } else {
            len += expr_utf8_encode(map(expr_utf8_decode(text)), out + len);
        }
        text = tarn_slice_skip(text, step);
    }
    return len;
}

static bool is_ascii(tarn_slice text) {
    uint8_t any = 0;
    for (size_t i = 0; i < text.len; i++) any |= text.data[i];
    return any < 0x80;
}

size_t expr_lower(tarn_slice text, uint8_t *out) {
    if (!is_ascii(text)) return map_text(text, out, expr_lower_point);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        out[i] = (uint8_t)(byte + (byte >= 'A' && byte <= 'Z' ? 32 : 0));
    }
    return text.len;
}

size_t expr_upper(tarn_slice text, uint8_t *out) {
    if (!is_ascii(text)) return map_text(text, out, expr_upper_point);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        out[i] = (uint8_t)(byte - (byte >= 'a' && byte <= 'z' ? 32 : 0));
    }
    return text.len;
}
