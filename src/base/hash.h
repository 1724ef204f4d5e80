// hash.h - hashes for memory (tables, partitioning inside one run) and for formats.
//
// tarn_hash_* may change between versions and must not reach the disk. tarn_xxh64 and tarn_xxh3
// are the frozen hashes of the formats that name them.
#ifndef TARN_BASE_HASH_H
#define TARN_BASE_HASH_H

#include "base/slice.h"

// XXH3 of the bytes.
uint64_t tarn_hash_bytes(tarn_slice bytes);

// XXH64 with seed 0.
uint64_t tarn_xxh64(tarn_slice bytes);

// XXH3 (64 bits) with a seed, frozen as well.
uint64_t tarn_xxh3(tarn_slice bytes, uint64_t seed);

// A full-avalanche mix of one integer (splitmix64's finalizer).
static inline uint64_t tarn_hash_u64(uint64_t value) {
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

// Folds the hash of the next column into that of the columns before it.
static inline uint64_t tarn_hash_combine(uint64_t seed, uint64_t hash) {
    return tarn_hash_u64(seed * 0x9E3779B97F4A7C15u + hash);
}

#endif
