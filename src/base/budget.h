// budget.h - one memory limit that many arenas, buffers and caches draw on.
//
//     tarn_budget budget;
//     tarn_budget_init(&budget, &tarn_alloc_libc, 1 << 30);
//     tarn_arena_init(&query_arena, &budget.alloc, SIZE_MAX);
//
// Invariants: used_bytes <= limit_bytes, and peak_bytes is the largest used_bytes ever seen.
// Ownership:  the budget outlives whatever draws on it; at the end used_bytes is 0 again.
// Threads:    acquire and release from any thread.
#ifndef TARN_BASE_BUDGET_H
#define TARN_BASE_BUDGET_H

#include <stdatomic.h>

#include "base/arena.h"

typedef struct tarn_budget {
    tarn_alloc alloc; // hand this to what shall draw on the budget
    const tarn_alloc *parent;
    size_t limit_bytes;
    _Atomic size_t used_bytes;
    _Atomic size_t peak_bytes;
} tarn_budget;

// `budget` must not move afterwards: its `alloc` points back to it.
void tarn_budget_init(tarn_budget *budget, const tarn_alloc *parent, size_t limit_bytes);

#endif
