// arena.h - memory of a memtable: handed out to many threads at once, released as a whole.
//
// Invariants: memory is aligned to 8 bytes and holds garbage; reserved_bytes counts whole chunks.
// Threads:    alloc from any thread; init and reset while nobody else uses it.
#ifndef TARN_KV_LSM_ARENA_H
#define TARN_KV_LSM_ARENA_H

#include <stdatomic.h>

#include "base/arena.h"

typedef struct lsm_chunk lsm_chunk;
typedef struct lsm_arena {
    const tarn_alloc *alloc;
    lsm_chunk *_Atomic newest; // allocations come from it; the others hang behind it
    _Atomic size_t reserved_bytes;
} lsm_arena;

void lsm_arena_init(lsm_arena *arena, const tarn_alloc *alloc);
void lsm_arena_reset(lsm_arena *arena);
TARN_MUST_USE void *lsm_arena_alloc(lsm_arena *arena, size_t size_bytes); // NULL when exhausted

static inline size_t lsm_arena_bytes(const lsm_arena *arena) {
    return atomic_load_explicit(&arena->reserved_bytes, memory_order_relaxed);
}

#endif
