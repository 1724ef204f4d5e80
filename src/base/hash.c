#include "base/hash.h"

#include <xxhash.h>

uint64_t tarn_hash_bytes(tarn_slice bytes) {
    return XXH3_64bits(bytes.data, bytes.len);
}

uint64_t tarn_xxh64(tarn_slice bytes) {
    return XXH64(bytes.data, bytes.len, 0);
}

uint64_t tarn_xxh3(tarn_slice bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data, bytes.len, seed);
}
