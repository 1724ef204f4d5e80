// delta.h - DELTA_BINARY_PACKED: integers as bit-packed differences.
//
// Arithmetic wraps, so that one 64-bit form serves INT32 as well: its values are the low halves.
#ifndef TARN_FORMAT_PARQUET_DELTA_H
#define TARN_FORMAT_PARQUET_DELTA_H

#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"

#define PARQUET_DELTA_BATCH 32 // miniblocks hold a multiple of this

typedef struct parquet_delta {
    tarn_slice rest;        // from the next unread byte on
    uint64_t value_count;   // of the stream, as its header says
    uint64_t values_left;   // not yet handed out
    uint64_t unpacked_left; // not yet unpacked into `batch` or handed out
    uint64_t block_values;  // per block
    uint64_t mini_values;   // per miniblock
    uint64_t mini_count;    // miniblocks per block
    uint64_t mini_index;    // the next miniblock of the block
    uint64_t mini_left;     // values of the current miniblock not yet unpacked
    unsigned mini_width;
    uint64_t min_delta;
    uint64_t last;         // the value before the next
    const uint8_t *widths; // of the block's miniblocks
    uint64_t batch[PARQUET_DELTA_BATCH];
    size_t batch_at;
    size_t batch_count;
} parquet_delta;

TARN_MUST_USE tarn_status parquet_delta_init(parquet_delta *delta, tarn_slice bytes,
                                             tarn_error *err);
TARN_MUST_USE tarn_status parquet_delta_decode(parquet_delta *delta, size_t count, uint64_t *out,
                                               tarn_error *err);
// What follows the stream that starts `bytes`, without decoding it.
TARN_MUST_USE tarn_status parquet_delta_after(tarn_slice bytes, tarn_slice *ret_rest,
                                              tarn_error *err);

// Appends a stream; false when the buffer cannot grow. With `is_32` the values are 32 bits wide and
// sign-extended.
TARN_MUST_USE bool parquet_delta_encode(const int64_t *values, size_t count, bool is_32,
                                        tarn_buffer *out);
#define PARQUET_DELTA_BLOCK 128 // differences per block, as everybody writes
// How many bytes the block of differences between the values takes; for estimates.
size_t parquet_delta_block_bytes(const int64_t values[PARQUET_DELTA_BLOCK + 1]);

#endif
