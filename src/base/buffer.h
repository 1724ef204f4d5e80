// buffer.h - bytes that grow, up to a limit.
//
//     tarn_buffer out = {.alloc = &tarn_alloc_libc, .limit_bytes = 64 << 20};
//     if (!tarn_buffer_append(&out, slice)) return tarn_fail(err, TARN_NO_MEMORY, "...");
//     ...
//     tarn_buffer_free(&out);
//
// A zeroed buffer is empty, uses the libc allocator, has no limit, and is safe to free. Growth
// doubles, so n appends cost O(n). A failed call changes nothing.
//
// Ownership: the buffer owns `data`; views of it are valid until the next growth.
// Threads:   one thread at a time.
#ifndef TARN_BASE_BUFFER_H
#define TARN_BASE_BUFFER_H

#include "base/arena.h"
#include "base/slice.h"

typedef struct tarn_buffer {
    uint8_t *data;
    size_t len;
    size_t capacity_bytes;
    size_t limit_bytes;      // 0: no limit
    const tarn_alloc *alloc; // NULL: tarn_alloc_libc
} tarn_buffer;

// Makes room for `more_bytes` beyond `len`; afterwards data + len may be written by hand and `len`
// moved. Returns false when the limit or the allocator is exhausted.
TARN_MUST_USE bool tarn_buffer_reserve(tarn_buffer *buffer, size_t more_bytes);

TARN_MUST_USE bool tarn_buffer_append(tarn_buffer *buffer, tarn_slice bytes);
TARN_MUST_USE bool tarn_buffer_append_byte(tarn_buffer *buffer, uint8_t byte);
TARN_MUST_USE bool tarn_buffer_printf(tarn_buffer *buffer, const char *format, ...)
    TARN_PRINTF(2, 3);

// Forgets the bytes, keeps the memory.
static inline void tarn_buffer_clear(tarn_buffer *buffer) {
    buffer->len = 0;
}

static inline tarn_slice tarn_buffer_slice(const tarn_buffer *buffer) {
    return (tarn_slice){buffer->data, buffer->len};
}

void tarn_buffer_free(tarn_buffer *buffer);

#endif
