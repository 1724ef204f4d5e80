// alloc.h - single objects and arrays from a tarn_alloc, with overflow checks.
//
// For long-lived structures whose parts have lifetimes of their own; everything else uses an arena.
// A release names the size again, so that budgets add up.
#ifndef TARN_BASE_ALLOC_H
#define TARN_BASE_ALLOC_H

#include <string.h>

#include "base/arena.h"

// Returns zeroed memory, or NULL when the allocator is exhausted or size * count overflows.
TARN_MUST_USE static inline void *tarn_alloc_zeroed(const tarn_alloc *alloc, size_t size,
                                                    size_t count) {
    size_t bytes;
    if (__builtin_mul_overflow(size, count, &bytes)) return NULL;
    if (bytes == 0) bytes = 1;
    void *memory = alloc->acquire(alloc->context, bytes);
    return memory == NULL ? NULL : memset(memory, 0, bytes);
}

// `size` and `count` as at allocation. Accepts NULL.
static inline void tarn_alloc_release(const tarn_alloc *alloc, void *memory, size_t size,
                                      size_t count) {
    if (memory == NULL) return;
    alloc->release(alloc->context, memory, size * count == 0 ? 1 : size * count);
}

#define tarn_alloc_new(alloc, type, count) \
    ((type *)tarn_alloc_zeroed((alloc), sizeof(type), (count)))
#define tarn_alloc_free(alloc, memory, count) \
    tarn_alloc_release((alloc), (memory), sizeof *(memory), (count))

#endif
