// varint.h - LEB128 variable-length integers and zigzag, as Avro, Thrift compact and Parquet use
// them: seven bits per byte, low bits first, the high bit says that more follow.
#ifndef TARN_BASE_VARINT_H
#define TARN_BASE_VARINT_H

#include "base/slice.h"

#define TARN_VARINT_MAX_BYTES 10

// Writes `value` at `out`, which has room for TARN_VARINT_MAX_BYTES. Returns the bytes used.
static inline size_t tarn_varint_encode(uint8_t *out, uint64_t value) {
    size_t len = 0;
    while (value >= 0x80) {
        out[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[len++] = (uint8_t)value;
    return len;
}

// Takes one varint from the front of *input. Returns false, and leaves *input alone, when the input
// ends inside it or it has more than 64 bits.
TARN_MUST_USE static inline bool tarn_varint_decode(tarn_slice *input, uint64_t *ret_value) {
    uint64_t value = 0;
    size_t limit = input->len < TARN_VARINT_MAX_BYTES ? input->len : TARN_VARINT_MAX_BYTES;
    for (size_t i = 0; i < limit; i++) {
        uint8_t byte = input->data[i];
        if (i == 9 && byte > 1) return false;
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *ret_value = value;
            *input = tarn_slice_skip(*input, i + 1);
            return true;
        }
    }
    return false;
}

static inline uint64_t tarn_zigzag_encode(int64_t value) {
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t tarn_zigzag_decode(uint64_t value) {
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

#endif
