#include "format/text/window.h"

#include "base/alloc.h"

#define FIRST_BYTES TARN_TUNABLE((size_t)1 << 19, (size_t)64)

void text_window_init(text_window *window, const tarn_alloc *alloc, tarn_object *object,
                      uint64_t offset, size_t limit_bytes) {
    uint64_t size = tarn_object_size(object);
    *window = (text_window){.alloc = alloc,
                            .object = object,
                            .limit_bytes = limit_bytes,
                            .offset = offset < size ? offset : size,
                            .size = size};
}

void text_window_reset(text_window *window) {
    tarn_alloc_free(window->alloc, window->bytes, window->capacity_bytes);
    window->bytes = NULL;
    window->len = 0;
    window->capacity_bytes = 0;
}

static tarn_status fill(text_window *window, tarn_error *err) {
    uint64_t left = window->size - text_window_end(window);
    size_t room = window->capacity_bytes - window->len;
    size_t more = left < room ? (size_t)left : room;
    if (more == 0) return TARN_OK;
    TARN_TRY(tarn_object_read(window->object, text_window_end(window), window->bytes + window->len,
                              more, err));
    window->len += more;
    return TARN_OK;
}

static tarn_status resize(text_window *window, size_t capacity_bytes, tarn_error *err) {
    uint8_t *bytes = tarn_alloc_new(window->alloc, uint8_t, capacity_bytes);
    if (bytes == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory to read %zu bytes", capacity_bytes);
    }
    if (window->bytes != NULL) memcpy(bytes, window->bytes, window->len);
    tarn_alloc_free(window->alloc, window->bytes, window->capacity_bytes);
    window->bytes = bytes;
    window->capacity_bytes = capacity_bytes;
    return TARN_OK;
}

tarn_status text_window_slide(text_window *window, uint64_t offset, tarn_error *err) {
    tarn_assert(offset >= window->offset);
    tarn_assert(offset <= window->size);
    if (window->bytes == NULL) {
        size_t first_bytes = FIRST_BYTES < window->limit_bytes ? FIRST_BYTES : window->limit_bytes;
        // A small object needs no more than itself.
        if (window->size < first_bytes) first_bytes = window->size == 0 ? 1 : (size_t)window->size;
        TARN_TRY(resize(window, first_bytes, err));
    }
    uint64_t end = text_window_end(window);
    size_t kept = offset < end ? (size_t)(end - offset) : 0;
    if (kept > 0) memmove(window->bytes, window->bytes + (window->len - kept), kept);
    window->len = kept;
    window->offset = offset;
    return fill(window, err);
}

tarn_status text_window_grow(text_window *window, bool *ret_grown, tarn_error *err) {
    if (window->capacity_bytes >= window->limit_bytes) {
        *ret_grown = false;
        return TARN_OK;
    }
    size_t grown_bytes = window->capacity_bytes < window->limit_bytes / 2
                             ? window->capacity_bytes * 2
                             : window->limit_bytes;
    TARN_TRY(resize(window, grown_bytes, err));
    TARN_TRY(fill(window, err));
    *ret_grown = true;
    return TARN_OK;
}

tarn_status text_window_next_line(const text_window *window, uint64_t offset, uint64_t *ret_offset,
                                  tarn_error *err) {
    uint8_t piece[4096];
    while (offset < window->size) {
        uint64_t left = window->size - offset;
        size_t len = left < sizeof piece ? (size_t)left : sizeof piece;
        TARN_TRY(tarn_object_read(window->object, offset, piece, len, err));
        const uint8_t *line_end = memchr(piece, '\n', len);
        if (line_end != NULL) {
            *ret_offset = offset + (uint64_t)(line_end - piece) + 1;
            return TARN_OK;
        }
        offset += len;
    }
    *ret_offset = window->size;
    return TARN_OK;
}
