// arena.h - memory that is released all at once.
//
// An arena belongs to one lifetime (a query, an operator, a batch) and is named after it. What is
// allocated from it needs no free, and is gone at reset: pointers must not outlive the lifetime.
// Resources that are not memory (files, locks, references) never live in an arena alone.
//
//     tarn_arena batch_arena;
//     tarn_arena_init(&batch_arena, alloc, 64 << 20);
//     int64_t *sums = tarn_arena_new(&batch_arena, int64_t, group_count);
//     if (sums == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu groups", group_count);
//     ...
//     tarn_arena_reset(&batch_arena);
//
// Invariants: reserved_bytes <= limit_bytes. Returned memory is aligned for any type, and
// zeroed unless the name says raw.
// Ownership:  the arena owns its blocks; the caller owns the arena and the allocator.
// Threads:    one thread at a time.
#ifndef TARN_BASE_ARENA_H
#define TARN_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/slice.h"

// Where blocks come from. Tests pass one that counts, or one that fails on the n-th call.
typedef struct tarn_alloc {
    void *(*acquire)(void *context, size_t size_bytes); // NULL when exhausted
    void (*release)(void *context, void *memory, size_t size_bytes);
    void *context;
} tarn_alloc;

extern const tarn_alloc tarn_alloc_libc;

// The fields are public so that an arena can live on a stack; only arena.c touches them.
typedef struct tarn_arena {
    const tarn_alloc *alloc;
    struct tarn_arena_block *blocks; // newest first; allocations come from the newest
    size_t block_left_bytes;         // unused bytes at the end of the newest block
    size_t reserved_bytes;           // taken from alloc, block headers included
    size_t limit_bytes;
} tarn_arena;

// Takes no memory yet. `alloc` must outlive the arena.
void tarn_arena_init(tarn_arena *arena, const tarn_alloc *alloc, size_t limit_bytes);

// Releases every block; the arena may be used again.
void tarn_arena_reset(tarn_arena *arena);

// As reset, but keeps the newest block, so that a loop over batches does not go back to the
// allocator each time. What was allocated is gone all the same.
void tarn_arena_clear(tarn_arena *arena);

// Returns zeroed memory for `count` objects of `size` bytes, or NULL when the limit or the
// allocator is exhausted or size * count overflows. A failed call changes nothing.
TARN_MUST_USE void *tarn_arena_alloc(tarn_arena *arena, size_t size, size_t count);

// As tarn_arena_alloc, but the memory holds garbage: for large arrays that are about to be filled.
TARN_MUST_USE void *tarn_arena_alloc_raw(tarn_arena *arena, size_t size, size_t count);

#define tarn_arena_new(arena, type, count) \
    ((type *)tarn_arena_alloc((arena), sizeof(type), (count)))
#define tarn_arena_new_raw(arena, type, count) \
    ((type *)tarn_arena_alloc_raw((arena), sizeof(type), (count)))

// Copies `text` into the arena, with a NUL behind it that is not counted, so that the copy can be
// handed to the operating system or to printf as it is. Returns false when memory is exhausted.
TARN_MUST_USE bool tarn_arena_copy(tarn_arena *arena, tarn_slice text, tarn_slice *ret_copy);

// Formats as printf does. *ret_text is NUL-terminated, the NUL is not counted.
TARN_MUST_USE bool tarn_arena_printf(tarn_arena *arena, tarn_slice *ret_text, const char *format,
                                     ...) TARN_PRINTF(3, 4);

#endif
