#include "column/gather.h"

// Small enough to stay in the first cache level, large enough to forget the loop around it.
#define CODE_BLOCK_ROWS ((size_t)256)

// With a constant `width` each memcpy is one move.
static TARN_ALWAYS_INLINE void gather_width(uint8_t *restrict target,
                                            const uint8_t *restrict source,
                                            const uint32_t *restrict rows, size_t count,
                                            size_t width) {
    for (size_t i = 0; i < count; i++) {
        memcpy(target + i * width, source + (size_t)rows[i] * width, width);
    }
}

void column_gather(void *target, const void *source, const uint32_t *rows, size_t count,
                   size_t width) {
    if (count == 0) return;
    if (rows == NULL) {
        memcpy(target, source, count * width);
        return;
    }
    switch (width) {
    case 1: gather_width(target, source, rows, count, 1); return;
    case 2: gather_width(target, source, rows, count, 2); return;
    case 4: gather_width(target, source, rows, count, 4); return;
    case 8: gather_width(target, source, rows, count, 8); return;
    case 16: gather_width(target, source, rows, count, 16); return;
    default: tarn_assert(width == 0); // no type is that wide
    }
}

static TARN_ALWAYS_INLINE void fill_width(uint8_t *restrict target, const uint8_t *restrict value,
                                          size_t count, size_t width) {
    for (size_t i = 0; i < count; i++) memcpy(target + i * width, value, width);
}

void column_fill(void *target, const void *value, size_t count, size_t width) {
    switch (width) {
    case 1: fill_width(target, value, count, 1); return;
    case 2: fill_width(target, value, count, 2); return;
    case 4: fill_width(target, value, count, 4); return;
    case 8: fill_width(target, value, count, 8); return;
    case 16: fill_width(target, value, count, 16); return;
    default: tarn_assert(width == 0); // no type is that wide
    }
}

void column_gather_bits(uint64_t *target, const uint64_t *source, const uint32_t *rows,
                        size_t count) {
    if (rows == NULL) {
        if (count > 0) memcpy(target, source, TARN_BITMAP_WORDS(count) * sizeof *target);
        return;
    }
    for (size_t start = 0; start < count; start += 64) {
        size_t block = count - start < 64 ? count - start : 64;
        uint64_t word = 0;
        for (size_t i = 0; i < block; i++) {
            word |= (uint64_t)tarn_bitmap_get(source, rows[start + i]) << i;
        }
        target[start / 64] = word;
    }
}

// The codes of a block of rows. Codes of null rows may be anything; they become 0.
static void load_codes(uint32_t *codes, const tarn_vector *source, const uint32_t *rows,
                       size_t start, size_t count) {
    column_gather(codes, rows == NULL ? source->indices + start : source->indices,
                  rows == NULL ? NULL : rows + start, count, sizeof *codes);
    if (source->validity == NULL) return;
    for (size_t i = 0; i < count; i++) {
        size_t row = rows == NULL ? start + i : rows[start + i];
        codes[i] &= 0u - (uint32_t)tarn_bitmap_get(source->validity, row);
    }
}

void column_gather_dictionary(void *target, const tarn_vector *source, const uint32_t *rows,
                              size_t count, size_t width) {
    if (source->dictionary->count == 0) { // then every row is null
        if (count > 0) memset(target, 0, count * width);
        return;
    }
    uint32_t codes[CODE_BLOCK_ROWS];
    for (size_t start = 0; start < count; start += CODE_BLOCK_ROWS) {
        size_t block = count - start < CODE_BLOCK_ROWS ? count - start : CODE_BLOCK_ROWS;
        load_codes(codes, source, rows, start, block);
        column_gather((uint8_t *)target + start * width, source->dictionary->data, codes, block,
                      width);
    }
}
