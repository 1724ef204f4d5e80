// block.h - the selected rows of any vector as short plain arrays, for loops that need not know the
// kind of vector.
//
//     column_block block;
//     for (size_t start = 0; start < count; start += COLUMN_BLOCK_ROWS) {
//         column_block_load(&block, vector, rows, start, count);
//         const int64_t *values = block.values; // block.count of them
//     }
#ifndef TARN_COLUMN_BLOCK_H
#define TARN_COLUMN_BLOCK_H

#include "column/column.h"

// Small enough to stay in the first cache level, a multiple of 64 so that flat vectors need no
// copying of bits.
#define COLUMN_BLOCK_ROWS ((size_t)256)

typedef struct column_block {
    const void *values;       // of the vector's type; null rows hold anything
    const uint64_t *validity; // NULL: none is null
    size_t count;
    // Where values and bits lie unless the vector's own can be used as they are.
    _Alignas(16) uint8_t value_copies[COLUMN_BLOCK_ROWS * 16];
    uint64_t validity_copies[COLUMN_BLOCK_ROWS / 64];
} column_block;

// Rows start.. of the `count` that `rows` names (NULL: rows 0..count). `start` is a multiple of
// COLUMN_BLOCK_ROWS.
void column_block_load(column_block *block, const tarn_vector *vector, const uint32_t *rows,
                       size_t start, size_t count);

static inline bool column_block_is_null(const column_block *block, size_t i) {
    return block->validity != NULL && !tarn_bitmap_get(block->validity, i);
}

#endif
