#include "base/buffer.h"

#include <stdarg.h>

#define FIRST_BYTES TARN_TUNABLE((size_t)256, (size_t)8)

static const tarn_alloc *alloc_of(const tarn_buffer *buffer) {
    return buffer->alloc == NULL ? &tarn_alloc_libc : buffer->alloc;
}

bool tarn_buffer_reserve(tarn_buffer *buffer, size_t more_bytes) {
    tarn_assert(buffer->len <= buffer->capacity_bytes);
    if (more_bytes <= buffer->capacity_bytes - buffer->len) return true;

    size_t needed_bytes;
    if (__builtin_add_overflow(buffer->len, more_bytes, &needed_bytes)) return false;
    if (buffer->limit_bytes > 0 && needed_bytes > buffer->limit_bytes) return false;
    size_t grown_bytes =
        buffer->capacity_bytes < FIRST_BYTES ? FIRST_BYTES : buffer->capacity_bytes;
    while (grown_bytes < needed_bytes) {
        if (__builtin_mul_overflow(grown_bytes, 2, &grown_bytes)) grown_bytes = needed_bytes;
    }
    if (buffer->limit_bytes > 0 && grown_bytes > buffer->limit_bytes) {
        grown_bytes = buffer->limit_bytes;
    }

    const tarn_alloc *alloc = alloc_of(buffer);
    uint8_t *grown = alloc->acquire(alloc->context, grown_bytes);
    if (grown == NULL) return false;
    if (buffer->len > 0) memcpy(grown, buffer->data, buffer->len);
    if (buffer->data != NULL) alloc->release(alloc->context, buffer->data, buffer->capacity_bytes);
    buffer->data = grown;
    buffer->capacity_bytes = grown_bytes;
    return true;
}

bool tarn_buffer_append(tarn_buffer *buffer, tarn_slice bytes) {
    if (!tarn_buffer_reserve(buffer, bytes.len)) return false;
    if (bytes.len > 0) memcpy(buffer->data + buffer->len, bytes.data, bytes.len);
    buffer->len += bytes.len;
    return true;
}

bool tarn_buffer_append_byte(tarn_buffer *buffer, uint8_t byte) {
    return tarn_buffer_append(buffer, (tarn_slice){&byte, 1});
}

bool tarn_buffer_printf(tarn_buffer *buffer, const char *format, ...) {
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    bool fits = len >= 0 && tarn_buffer_reserve(buffer, (size_t)len + 1);
    if (fits) {
        (void)vsnprintf((char *)buffer->data + buffer->len, (size_t)len + 1, format, again);
        buffer->len += (size_t)len;
    }
    va_end(again);
    return fits;
}

void tarn_buffer_free(tarn_buffer *buffer) {
    const tarn_alloc *alloc = alloc_of(buffer);
    if (buffer->data != NULL) alloc->release(alloc->context, buffer->data, buffer->capacity_bytes);
    buffer->data = NULL;
    buffer->len = 0;
    buffer->capacity_bytes = 0;
}
