// gather.h - values picked by index, and values spread over the rows that are not null.
#ifndef TARN_FORMAT_PARQUET_GATHER_H
#define TARN_FORMAT_PARQUET_GATHER_H

#include <stddef.h>
#include <stdint.h>

// out[i] = values[indices[i]]; values have `width` bytes: 1, 2, 4, 8 or 16.
void parquet_gather(const void *values, size_t width, const uint32_t *indices, size_t count,
                    void *out);

// out[i] = the next of `dense` where bit at + i of `validity` is set. Elsewhere it is the one that
// comes next, so `dense` has one value more than there are bits set.
void parquet_spread(const void *dense, size_t width, const uint64_t *validity, size_t at,
                    size_t count, void *out);

#endif
