// gather.h - copying rows of plain arrays, by width; the loops under vectors, chunks and batches.
#ifndef TARN_COLUMN_GATHER_H
#define TARN_COLUMN_GATHER_H

#include "column/column.h"

// target[i] = source[rows[i]], or source[i] when `rows` is NULL, for values of `width` bytes (1, 2,
// 4, 8 or 16).
void column_gather(void *target, const void *source, const uint32_t *rows, size_t count,
                   size_t width);

// Sets `count` values of `width` bytes to the one at `value`.
void column_fill(void *target, const void *value, size_t count, size_t width);

// The bits of `rows` (NULL: 0..count). Words of `target` are written whole; bits past `count` are
// unspecified.
void column_gather_bits(uint64_t *target, const uint64_t *source, const uint32_t *rows,
                        size_t count);

// The values that the rows of a dictionary vector stand for; null rows get any value.
void column_gather_dictionary(void *target, const tarn_vector *source, const uint32_t *rows,
                              size_t count, size_t width);

#endif
