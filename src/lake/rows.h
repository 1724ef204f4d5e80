// rows.h - rows scattered over chunks, and putting them together in an order of their own.
#ifndef TARN_LAKE_ROWS_H
#define TARN_LAKE_ROWS_H

#include "column/column.h"

// Row `row` of chunk `chunk` in some list of chunks.
typedef struct lake_row_ref {
    uint32_t chunk;
    uint32_t row;
} lake_row_ref;

typedef struct lake_rows {
    const tarn_chunk *const *chunks;
    const lake_row_ref *refs;
    size_t count;
} lake_rows;

// A flat vector in `arena` with column `column` of the rows. Strings still view the chunks' bytes.
TARN_MUST_USE tarn_status lake_rows_gather(const lake_rows *rows, size_t column, tarn_type type,
                                           tarn_arena *arena, tarn_vector *ret_vector,
                                           tarn_error *err);

// Order-preserving keys of many rows, for sorting and merging. Key i is the bytes from offsets[i]
// to offsets[i + 1]. `heads` holds eight bytes of each key from `head_at` on, as a big-endian
// number: keys that differ there compare as the numbers do.
typedef struct lake_keys {
    tarn_buffer bytes;
    tarn_buffer offsets; // uint32_t each, one more than keys
    tarn_buffer heads;   // uint64_t each
    size_t count;
} lake_keys;

void lake_keys_init(lake_keys *keys, const tarn_alloc *alloc);
void lake_keys_clear(lake_keys *keys);
void lake_keys_free(lake_keys *keys);
// Appends the keys of the selected rows of a chunk; `columns` are its key columns. The first of
// them holds no nulls, so that the heads begin behind its null marker.
TARN_MUST_USE tarn_status lake_keys_append(lake_keys *keys, const tarn_vector *columns,
                                           size_t column_count, const tarn_chunk *chunk,
                                           tarn_error *err);

static inline tarn_slice lake_keys_at(const lake_keys *keys, size_t index) {
    const uint32_t *offsets = (const uint32_t *)(const void *)keys->offsets.data;
    return (tarn_slice){keys->bytes.data + offsets[index], offsets[index + 1] - offsets[index]};
}
static inline uint64_t lake_keys_head(const lake_keys *keys, size_t index) {
    return ((const uint64_t *)(const void *)keys->heads.data)[index];
}

#endif
