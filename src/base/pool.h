// pool.h - a few idle objects that are costly to make, shared by all threads.
//
//     thing *t = tarn_pool_take(&pool);
//     if (t == NULL) t = make_thing();
//     ... use it alone ...
//     if (!tarn_pool_give(&pool, t)) free_thing(t);
//
// A zeroed pool is empty. It holds at most TARN_POOL_SLOTS objects and never waits.
//
// Ownership: an object belongs to the pool between give and take, to the taker otherwise.
// Threads:   any thread may take and give.
#ifndef TARN_BASE_POOL_H
#define TARN_BASE_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

#define TARN_POOL_SLOTS TARN_TUNABLE(16, 2)

typedef struct tarn_pool {
    void *_Atomic slots[TARN_POOL_SLOTS];
} tarn_pool;

// Returns an object that was given, or NULL when there is none.
static inline void *tarn_pool_take(tarn_pool *pool) {
    for (size_t i = 0; i < TARN_POOL_SLOTS; i++) {
        if (atomic_load_explicit(&pool->slots[i], memory_order_relaxed) == NULL) continue;
        // Acquire: pairs with the release in give, so that the object is seen as it was left.
        void *object = atomic_exchange_explicit(&pool->slots[i], NULL, memory_order_acquire);
        if (object != NULL) return object;
    }
    return NULL;
}

// Returns false when the pool is full: the object stays the caller's.
TARN_MUST_USE static inline bool tarn_pool_give(tarn_pool *pool, void *object) {
    for (size_t i = 0; i < TARN_POOL_SLOTS; i++) {
        void *empty = NULL;
        // Release: pairs with the acquire in take.
        if (atomic_compare_exchange_strong_explicit(&pool->slots[i], &empty, object,
                                                    memory_order_release, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

#endif
