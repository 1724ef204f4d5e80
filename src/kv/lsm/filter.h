// filter.h - bloom filters in which all probes of a key lie in one cache line of 64 bytes.
// Format: docs/formats/kv-sstable.md.
#ifndef TARN_KV_LSM_FILTER_H
#define TARN_KV_LSM_FILTER_H

#include "base/hash.h"
#include "base/slice.h"

#define LSM_FILTER_LINE_BYTES 64
#define LSM_FILTER_PROBES_MAX 16

static inline uint64_t lsm_filter_hash(tarn_slice key) {
    return tarn_xxh3(key, 0);
}

// The size of a filter for `count` hashes; at least one line.
size_t lsm_filter_bytes(uint64_t count, uint32_t bits_per_key);
uint32_t lsm_filter_probes(uint32_t bits_per_key);
// `lines` is zeroed and has `len` bytes, a multiple of the line.
void lsm_filter_add(uint8_t *lines, size_t len, uint32_t probes, uint64_t hash);
// False: the key is certainly not there.
bool lsm_filter_may_hold(const uint8_t *lines, size_t len, uint32_t probes, uint64_t hash);

#endif
