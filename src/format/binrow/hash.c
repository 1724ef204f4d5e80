#include "format/binrow/layout.h"

// Murmur3's 32-bit variant (Austin Appleby, public domain), over whole words only.

#define SEED 42u

static uint32_t rotate_left(uint32_t value, int bits) {
    return value << bits | value >> (32 - bits);
}

static uint32_t mix_word(uint32_t hash, uint32_t word) {
    word = rotate_left(word * 0xCC9E2D51u, 15) * 0x1B873593u;
    return rotate_left(hash ^ word, 13) * 5 + 0xE6546B64u;
}

int32_t tarn_binrow_hash(tarn_slice row) {
    tarn_assert(row.len % 4 == 0);
    uint32_t hash = SEED;
    for (size_t i = 0; i < row.len; i += 4) hash = mix_word(hash, tarn_load_u32(row.data + i));
    hash ^= (uint32_t)row.len;
    hash = (hash ^ hash >> 16) * 0x85EBCA6Bu;
    hash = (hash ^ hash >> 13) * 0xC2B2AE35u;
    return (int32_t)(hash ^ hash >> 16);
}

int32_t tarn_binrow_bucket(tarn_slice row, int32_t bucket_count) {
    tarn_assert(bucket_count > 0);
    int32_t remainder = tarn_binrow_hash(row) % bucket_count;
    return remainder < 0 ? -remainder : remainder;
}
