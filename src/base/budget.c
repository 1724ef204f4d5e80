#include "base/budget.h"

static void *budget_acquire(void *context, size_t size_bytes) {
    tarn_budget *budget = context;
    // Relaxed throughout: the counters guard no other data, they only have to add up.
    size_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
    do {
        if (size_bytes > budget->limit_bytes - used) return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&budget->used_bytes, &used, used + size_bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    used += size_bytes;
    size_t peak = atomic_load_explicit(&budget->peak_bytes, memory_order_relaxed);
    while (used > peak &&
           !atomic_compare_exchange_weak_explicit(&budget->peak_bytes, &peak, used,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    void *memory = budget->parent->acquire(budget->parent->context, size_bytes);
    if (memory == NULL) {
        atomic_fetch_sub_explicit(&budget->used_bytes, size_bytes, memory_order_relaxed);
    }
    return memory;
}

static void budget_release(void *context, void *memory, size_t size_bytes) {
    tarn_budget *budget = context;
    budget->parent->release(budget->parent->context, memory, size_bytes);
    atomic_fetch_sub_explicit(&budget->used_bytes, size_bytes, memory_order_relaxed);
}

void tarn_budget_init(tarn_budget *budget, const tarn_alloc *parent, size_t limit_bytes) {
    budget->alloc = (tarn_alloc){budget_acquire, budget_release, budget};
    budget->parent = parent;
    budget->limit_bytes = limit_bytes;
    atomic_init(&budget->used_bytes, 0);
    atomic_init(&budget->peak_bytes, 0);
}
