#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// Blocks double from the first size to the last, so that a small arena stays small and a large one
// asks the allocator seldom.
#define BLOCK_BYTES     TARN_TUNABLE((size_t)4 << 10, (size_t)128)
#define BLOCK_BYTES_MAX TARN_TUNABLE((size_t)1 << 20, (size_t)512)
#define ALIGNMENT       alignof(max_align_t)

typedef struct tarn_arena_block {
    struct tarn_arena_block *older;
    size_t size_bytes; // of `bytes`
    alignas(max_align_t) uint8_t bytes[];
} arena_block;

static void *libc_acquire(void *context, size_t size_bytes) {
    (void)context;
    return malloc(size_bytes);
}

static void libc_release(void *context, void *memory, size_t size_bytes) {
    (void)context;
    (void)size_bytes;
    free(memory);
}

const tarn_alloc tarn_alloc_libc = {.acquire = libc_acquire, .release = libc_release};

static void check_invariants(const tarn_arena *arena) {
    tarn_assert(arena->reserved_bytes <= arena->limit_bytes);
    tarn_assert(arena->block_left_bytes <= arena->reserved_bytes);
    tarn_assert((arena->blocks == NULL) == (arena->reserved_bytes == 0));
}

void tarn_arena_init(tarn_arena *arena, const tarn_alloc *alloc, size_t limit_bytes) {
    *arena = (tarn_arena){.alloc = alloc, .limit_bytes = limit_bytes};
}

void tarn_arena_reset(tarn_arena *arena) {
    check_invariants(arena);
    while (arena->blocks != NULL) {
        arena_block *block = arena->blocks;
        arena->blocks = block->older;
        TARN_UNPOISON(block->bytes, block->size_bytes);
        arena->alloc->release(arena->alloc->context, block, sizeof *block + block->size_bytes);
    }
    tarn_arena_init(arena, arena->alloc, arena->limit_bytes);
}

// Adds a block with room for at least `size_bytes`. What is left of the previous one is given up:
// it is at most the request that did not fit.
static bool add_block(tarn_arena *arena, size_t size_bytes) {
    size_t block_bytes = BLOCK_BYTES;
    if (arena->blocks != NULL && arena->blocks->size_bytes >= block_bytes) {
        block_bytes = arena->blocks->size_bytes < BLOCK_BYTES_MAX / 2
                          ? arena->blocks->size_bytes * 2
                          : BLOCK_BYTES_MAX;
    }
    if (size_bytes > block_bytes) block_bytes = size_bytes;
    size_t budget_bytes = arena->limit_bytes - arena->reserved_bytes;
    if (budget_bytes < sizeof(arena_block)) return false;
    budget_bytes -= sizeof(arena_block);
    if (block_bytes > budget_bytes) block_bytes = budget_bytes - budget_bytes % ALIGNMENT;
    if (block_bytes < size_bytes) return false;

    arena_block *block = arena->alloc->acquire(arena->alloc->context, sizeof *block + block_bytes);
    if (block == NULL) return false;
    *block = (arena_block){.older = arena->blocks, .size_bytes = block_bytes};
    TARN_POISON(block->bytes, block_bytes);

    arena->blocks = block;
    arena->block_left_bytes = block_bytes;
    arena->reserved_bytes += sizeof *block + block_bytes;
    check_invariants(arena);
    return true;
}

void tarn_arena_clear(tarn_arena *arena) {
    check_invariants(arena);
    arena_block *kept = arena->blocks;
    if (kept == NULL) return;
    while (kept->older != NULL) {
        arena_block *block = kept->older;
        kept->older = block->older;
        arena->reserved_bytes -= sizeof *block + block->size_bytes;
        TARN_UNPOISON(block->bytes, block->size_bytes);
        arena->alloc->release(arena->alloc->context, block, sizeof *block + block->size_bytes);
    }
    arena->block_left_bytes = kept->size_bytes;
    TARN_POISON(kept->bytes, kept->size_bytes);
    check_invariants(arena);
}

void *tarn_arena_alloc_raw(tarn_arena *arena, size_t size, size_t count) {
    tarn_assert(size > 0);
    size_t used_bytes; // what the caller asked for
    size_t step_bytes; // the same, rounded up so that the next allocation is aligned
    if (__builtin_mul_overflow(size, count, &used_bytes)) return NULL;
    if (__builtin_add_overflow(used_bytes, ALIGNMENT - 1, &step_bytes)) return NULL;
    step_bytes -= step_bytes % ALIGNMENT;
    if (step_bytes == 0) step_bytes = ALIGNMENT; // zero objects still get their own address

    if (step_bytes > arena->block_left_bytes && !add_block(arena, step_bytes)) return NULL;

    arena_block *block = arena->blocks;
    uint8_t *memory = block->bytes + (block->size_bytes - arena->block_left_bytes);
    arena->block_left_bytes -= step_bytes;
    TARN_UNPOISON(memory, used_bytes);
    return memory;
}

void *tarn_arena_alloc(tarn_arena *arena, size_t size, size_t count) {
    void *memory = tarn_arena_alloc_raw(arena, size, count);
    return memory == NULL ? NULL : memset(memory, 0, size * count);
}

bool tarn_arena_copy(tarn_arena *arena, tarn_slice text, tarn_slice *ret_copy) {
    if (text.len == SIZE_MAX) return false;
    uint8_t *copy = tarn_arena_new_raw(arena, uint8_t, text.len + 1);
    if (copy == NULL) return false;
    if (text.len > 0) memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *ret_copy = (tarn_slice){copy, text.len};
    return true;
}

bool tarn_arena_printf(tarn_arena *arena, tarn_slice *ret_text, const char *format, ...) {
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : tarn_arena_new_raw(arena, char, (size_t)len + 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)len + 1, format, again);
        *ret_text = (tarn_slice){(const uint8_t *)text, (size_t)len};
    }
    va_end(again);
    return text != NULL;
}
