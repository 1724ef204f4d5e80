// window.h - a part of an object in memory, sliding forward: what readers of text split into
// records.
//
// Invariants: bytes[0, len) are the object's bytes from `offset` on; offset + len <= size.
// Views into the window are valid until the next text_window_ call.
#ifndef TARN_FORMAT_TEXT_WINDOW_H
#define TARN_FORMAT_TEXT_WINDOW_H

#include "io/io.h"

typedef struct text_window {
    const tarn_alloc *alloc;
    tarn_object *object;
    uint8_t *bytes;
    size_t len;
    size_t capacity_bytes;
    size_t limit_bytes; // what capacity_bytes may grow to
    uint64_t offset;
    uint64_t size; // of the object
} text_window;

// Takes no memory yet.
void text_window_init(text_window *window, const tarn_alloc *alloc, tarn_object *object,
                      uint64_t offset, size_t limit_bytes);
void text_window_reset(text_window *window); // releases the memory

static inline bool text_window_is_last(const text_window *window) {
    return window->offset + window->len == window->size;
}
static inline uint64_t text_window_end(const text_window *window) {
    return window->offset + window->len;
}

// Makes the window start at `offset` (which it need not reach) and fills its capacity.
TARN_MUST_USE tarn_status text_window_slide(text_window *window, uint64_t offset, tarn_error *err);

// Doubles the capacity and fills it; false in *ret_grown when the limit is reached already.
TARN_MUST_USE tarn_status text_window_grow(text_window *window, bool *ret_grown, tarn_error *err);

// Where the first line that starts behind `offset` starts, or the object's size. Reads beyond the
// window without moving it.
TARN_MUST_USE tarn_status text_window_next_line(const text_window *window, uint64_t offset,
                                                uint64_t *ret_offset, tarn_error *err);

#endif
