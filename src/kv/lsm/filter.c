#include "kv/lsm/filter.h"

size_t lsm_filter_bytes(uint64_t count, uint32_t bits_per_key) {
    uint64_t bits = count * bits_per_key;
    const uint64_t line_bits = 8 * (uint64_t)LSM_FILTER_LINE_BYTES;
    uint64_t lines = (bits + line_bits - 1) / line_bits;
    return (size_t)(lines == 0 ? 1 : lines) * LSM_FILTER_LINE_BYTES;
}

// ln 2 * bits per key is best for a filter that is one piece. With lines, which are unevenly full,
// a little less is.
uint32_t lsm_filter_probes(uint32_t bits_per_key) {
    uint32_t probes = (uint32_t)(bits_per_key * 0.63);
    if (probes < 1) return 1;
    return probes < LSM_FILTER_PROBES_MAX ? probes : LSM_FILTER_PROBES_MAX;
}

// The upper half of the hash chooses the line, the lower half the bits in it.
static size_t line_of(size_t len, uint64_t hash) {
    uint64_t lines = len / LSM_FILTER_LINE_BYTES;
    return (size_t)((hash >> 32) * lines >> 32) * LSM_FILTER_LINE_BYTES;
}

void lsm_filter_add(uint8_t *lines, size_t len, uint32_t probes, uint64_t hash) {
    uint8_t *line = lines + line_of(len, hash);
    uint32_t bits = (uint32_t)hash;
    for (uint32_t i = 0; i < probes; i++) {
        uint32_t bit = bits >> 23;
        line[bit / 8] |= (uint8_t)(1 << bit % 8);
        bits *= 0x9E3779B9u;
    }
}

bool lsm_filter_may_hold(const uint8_t *lines, size_t len, uint32_t probes, uint64_t hash) {
    const uint8_t *line = lines + line_of(len, hash);
    uint32_t bits = (uint32_t)hash;
    for (uint32_t i = 0; i < probes; i++) {
        uint32_t bit = bits >> 23;
        if ((line[bit / 8] & 1 << bit % 8) == 0) return false;
        bits *= 0x9E3779B9u;
    }
    return true;
}
