// vectors.h - deletion vectors: which rows of which data files are deleted.
//
// A snapshot's index manifest says where in which index file the vector of a data file lies. Two
// layouts exist (32 and 64 bits wide positions); the magic number tells them apart.
// Source: docs/formats/paimon.md, "Deletion vectors".
#ifndef TARN_LAKE_VECTORS_H
#define TARN_LAKE_VECTORS_H

#include <roaring/roaring.h>

#include "lake/table.h"

typedef struct lake_vectors {
    tarn_arena *arena;
    lake_index_entry *entries;
    size_t count;
    roaring_bitmap_t **bitmaps; // loaded so far; owned
    size_t bitmap_count;
    size_t bitmap_capacity;
} lake_vectors;

// What the snapshot's index manifest says; nothing when it has none.
TARN_MUST_USE tarn_status lake_vectors_load(tarn_table *table, const lake_snapshot *snapshot,
                                            tarn_arena *arena, lake_vectors *ret_vectors,
                                            tarn_error *err);
// The deleted positions of a data file, NULL when there are none. Owned by `vectors`.
TARN_MUST_USE tarn_status lake_vectors_find(tarn_table *table, lake_vectors *vectors,
                                            const lake_entry *entry,
                                            const roaring_bitmap_t **ret_deleted, tarn_error *err);
void lake_vectors_free(lake_vectors *vectors); // accepts a zeroed one

// Decodes one vector: `bytes` starts at its length field and may go on behind it.
TARN_MUST_USE tarn_status lake_vector_decode(tarn_slice bytes, roaring_bitmap_t **ret_bitmap,
                                             tarn_error *err);

#endif
