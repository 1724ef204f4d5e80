// bytemap.h - from byte strings to small numbers 0, 1, 2, ... in the order of their first
// insertion.
//
// Ownership: keys are copied into the arena. Nothing is ever removed.
#ifndef TARN_LAKE_BYTEMAP_H
#define TARN_LAKE_BYTEMAP_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

#define LAKE_BYTEMAP_ABSENT SIZE_MAX

typedef struct lake_bytemap {
    tarn_arena *arena;
    tarn_slice *keys; // by number
    uint64_t *hashes;
    size_t count;
    size_t capacity;
    uint32_t *slots; // number + 1; 0: free
    size_t slot_count;
} lake_bytemap;

void lake_bytemap_init(lake_bytemap *map, tarn_arena *arena);
// LAKE_BYTEMAP_ABSENT when there is none.
size_t lake_bytemap_find(const lake_bytemap *map, tarn_slice key);
// *ret_is_new (may be NULL): the key was not there.
TARN_MUST_USE tarn_status lake_bytemap_insert(lake_bytemap *map, tarn_slice key, size_t *ret_number,
                                              bool *ret_is_new, tarn_error *err);

#endif
