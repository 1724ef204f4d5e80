#include "kv/lsm/arena.h"

// Chunks double from the first to the largest, so that a family that is seldom written stays small.
enum {
    FIRST_CHUNK_BYTES = TARN_TUNABLE(32 << 10, 512),
    LAST_CHUNK_BYTES = TARN_TUNABLE(1 << 20, 4096),
};

struct lsm_chunk {
    lsm_chunk *older;
    size_t size_bytes;         // of `bytes`
    _Atomic size_t used_bytes; // may grow beyond size_bytes: those claims failed
    _Alignas(8) uint8_t bytes[];
};

void lsm_arena_init(lsm_arena *arena, const tarn_alloc *alloc) {
    *arena = (lsm_arena){.alloc = alloc};
}

void lsm_arena_reset(lsm_arena *arena) {
    lsm_chunk *chunk = atomic_load_explicit(&arena->newest, memory_order_acquire);
    while (chunk != NULL) {
        lsm_chunk *older = chunk->older;
        arena->alloc->release(arena->alloc->context, chunk, sizeof *chunk + chunk->size_bytes);
        chunk = older;
    }
    *arena = (lsm_arena){.alloc = arena->alloc};
}

// Puts a chunk with room for `size_bytes` in front of `newest`. Several threads may try: the first
// wins, and for the others there is nothing left to do.
static bool grow(lsm_arena *arena, lsm_chunk *newest, size_t size_bytes) {
    size_t chunk_bytes = newest == NULL ? FIRST_CHUNK_BYTES : newest->size_bytes * 2;
    if (chunk_bytes > LAST_CHUNK_BYTES) chunk_bytes = LAST_CHUNK_BYTES;
    if (chunk_bytes < size_bytes) chunk_bytes = size_bytes;
    lsm_chunk *chunk = arena->alloc->acquire(arena->alloc->context, sizeof *chunk + chunk_bytes);
    if (chunk == NULL) return false;
    chunk->older = newest;
    chunk->size_bytes = chunk_bytes;
    atomic_init(&chunk->used_bytes, 0);
    // Release: pairs with the acquire in alloc, so that the chunk's header is seen.
    if (atomic_compare_exchange_strong_explicit(&arena->newest, &newest, chunk,
                                                memory_order_release, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&arena->reserved_bytes, sizeof *chunk + chunk_bytes,
                                  memory_order_relaxed);
    } else {
        arena->alloc->release(arena->alloc->context, chunk, sizeof *chunk + chunk_bytes);
    }
    return true;
}

void *lsm_arena_alloc(lsm_arena *arena, size_t size_bytes) {
    size_bytes = (size_bytes + 7) & ~(size_t)7;
    for (;;) {
        lsm_chunk *chunk = atomic_load_explicit(&arena->newest, memory_order_acquire);
        if (chunk != NULL) {
            size_t begin =
                atomic_fetch_add_explicit(&chunk->used_bytes, size_bytes, memory_order_relaxed);
            if (begin <= chunk->size_bytes && size_bytes <= chunk->size_bytes - begin) {
                return chunk->bytes + begin;
            }
        }
        if (!grow(arena, chunk, size_bytes)) return NULL;
    }
}
