// hybrid.h - the RLE / bit-packed hybrid: dictionary indices, levels and booleans.
//
// Decoding is incremental: each call takes the next `count` values. A stream that ends early is
// TARN_CORRUPT when its values are asked for.
#ifndef TARN_FORMAT_PARQUET_HYBRID_H
#define TARN_FORMAT_PARQUET_HYBRID_H

#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"

typedef struct parquet_hybrid {
    tarn_slice rest;
    unsigned width;    // bits per value, 0..32
    uint64_t run_left; // values of the current run that were not taken yet
    bool is_packed;
    uint32_t value;    // of a repeated run
    tarn_slice packed; // the bytes of a packed run
    size_t packed_bit; // where its next value starts
} parquet_hybrid;

void parquet_hybrid_init(parquet_hybrid *hybrid, tarn_slice bytes, unsigned width);
TARN_MUST_USE tarn_status parquet_hybrid_decode(parquet_hybrid *hybrid, size_t count, uint32_t *out,
                                                tarn_error *err);
// For width 1: appends the values as bits `at` and following of a bitmap (see parquet_bits_copy).
TARN_MUST_USE tarn_status parquet_hybrid_decode_bits(parquet_hybrid *hybrid, size_t count,
                                                     uint64_t *words, size_t at, tarn_error *err);
// Whether the next `count` values are known to be `value`, all in the current repeated run.
static inline bool parquet_hybrid_is_run_of(const parquet_hybrid *hybrid, size_t count,
                                            uint32_t value) {
    return !hybrid->is_packed && hybrid->run_left >= count && hybrid->value == value;
}
TARN_MUST_USE tarn_status parquet_hybrid_skip(parquet_hybrid *hybrid, size_t count,
                                              tarn_error *err);

// Append the encoded values; false when the buffer cannot grow. Width 1..32.
TARN_MUST_USE bool parquet_hybrid_encode(const uint32_t *values, size_t count, unsigned width,
                                         tarn_buffer *out);
// The first `count` bits of a bitmap, as width 1.
TARN_MUST_USE bool parquet_hybrid_encode_bits(const uint64_t *words, size_t count,
                                              tarn_buffer *out);

#endif
