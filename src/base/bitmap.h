// bitmap.h - bit i lives in word i / 64, least significant first (as Arrow's validity bitmaps).
#ifndef TARN_BASE_BITMAP_H
#define TARN_BASE_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARN_BITMAP_WORDS(bit_count) (((bit_count) + 63) / 64)

static inline bool tarn_bitmap_get(const uint64_t *words, size_t index) {
    return words[index / 64] >> (index % 64) & 1;
}

static inline void tarn_bitmap_set(uint64_t *words, size_t index) {
    words[index / 64] |= (uint64_t)1 << (index % 64);
}

static inline void tarn_bitmap_unset(uint64_t *words, size_t index) {
    words[index / 64] &= ~((uint64_t)1 << (index % 64));
}

static inline void tarn_bitmap_assign(uint64_t *words, size_t index, bool value) {
    uint64_t mask = (uint64_t)1 << (index % 64);
    words[index / 64] = (words[index / 64] & ~mask) | (value ? mask : 0);
}

// How many of the first `bit_count` bits are set.
static inline size_t tarn_bitmap_count(const uint64_t *words, size_t bit_count) {
    size_t count = 0;
    for (size_t i = 0; i < bit_count / 64; i++) count += (size_t)__builtin_popcountll(words[i]);
    if (bit_count % 64 > 0) {
        uint64_t tail = words[bit_count / 64] & (((uint64_t)1 << bit_count % 64) - 1);
        count += (size_t)__builtin_popcountll(tail);
    }
    return count;
}

#endif
