// bits.h - bit-packed integers and bitmaps, least significant bit first.
#ifndef TARN_FORMAT_PARQUET_BITS_H
#define TARN_FORMAT_PARQUET_BITS_H

#include "base/slice.h"

// Bytes that `count` values of `width` bits take. count * width must not overflow.
static inline size_t parquet_bits_bytes(size_t count, unsigned width) {
    return (count * width + 7) / 8;
}

// Unpacks `count` values of `width` (0..32) bits that start `bit_offset` bits into `in`, which
// holds them all. Reads no byte beyond `in`.
void parquet_bits_unpack32(tarn_slice in, size_t bit_offset, unsigned width, size_t count,
                           uint32_t *out);
// The same in portable C: what the fast one is tested against.
void parquet_bits_unpack32_portable(tarn_slice in, size_t bit_offset, unsigned width, size_t count,
                                    uint32_t *out);
// The greatest of the values; 0 when there are none.
uint32_t parquet_bits_greatest(const uint32_t *values, size_t count);
// Widths 0..64.
void parquet_bits_unpack64(tarn_slice in, size_t bit_offset, unsigned width, size_t count,
                           uint64_t *out);

// Packs `count` values of `width` (1..64) bits; `out` has room for parquet_bits_bytes, and the
// unused bits of the last byte become zero. Values have no bits above `width`.
void parquet_bits_pack32(const uint32_t *values, size_t count, unsigned width, uint8_t *out);
void parquet_bits_pack64(const uint64_t *values, size_t count, unsigned width, uint8_t *out);

// Copies `count` bits into the bitmap `words`, from bit `at` on. Bits before `at` stay; those after
// the copied ones, in words that are touched, become zero. `in` holds the bits.
void parquet_bits_copy(uint64_t *words, size_t at, tarn_slice in, size_t bit_offset, size_t count);
// Sets `count` bits from `at` on to `value`, the others as above.
void parquet_bits_fill(uint64_t *words, size_t at, size_t count, bool value);
// How many of the bits [at, at + count) are set.
size_t parquet_bits_count(const uint64_t *words, size_t at, size_t count);

static inline unsigned parquet_bits_width(uint64_t greatest) {
    return greatest == 0 ? 0 : 64 - (unsigned)__builtin_clzll(greatest);
}

#endif
