// text.h - reading text arguments and writing text results in kernels.
#ifndef TARN_EXPR_TEXT_H
#define TARN_EXPR_TEXT_H

#include "expr/function.h"
#include "expr/utf8.h"

typedef struct expr_text_arg {
    const tarn_string *strings;
    size_t stride;
} expr_text_arg;

static inline expr_text_arg expr_text_of(const tarn_vector *vector) {
    return (expr_text_arg){vector->data, expr_stride(vector)};
}
static inline tarn_slice expr_text_at(const expr_text_arg *arg, size_t row) {
    return tarn_string_slice(&arg->strings[row * arg->stride]);
}

// The result of a row: bytes that live at least as long as the result (those of an argument, or
// of the frame's arena).
static inline void expr_text_put(const expr_frame *frame, size_t row, tarn_slice text) {
    ((tarn_string *)frame->result->data)[row] = tarn_string_view(text);
}

// A copy of bytes that do not live that long.
TARN_MUST_USE static inline tarn_status expr_text_copy(const expr_frame *frame, size_t row,
                                                       tarn_slice text) {
    if (text.len > UINT32_MAX) return expr_fail(frame->err, "54000", "text is too long");
    if (text.len > TARN_STRING_INLINE_BYTES) {
        uint8_t *copy = tarn_arena_new_raw(frame->arena, uint8_t, text.len);
        if (copy == NULL) return expr_no_memory(frame->err);
        memcpy(copy, text.data, text.len);
        text.data = copy;
    }
    expr_text_put(frame, row, text);
    return TARN_OK;
}

// As PostgreSQL, a text has at most 1 GB.
#define EXPR_TEXT_BYTES_MAX ((size_t)0x3FFFFFFF)

// Room for `len` bytes of a result; to be handed to expr_text_put when filled.
TARN_MUST_USE static inline tarn_status expr_text_room(const expr_frame *frame, size_t len,
                                                       uint8_t **ret_bytes) {
    if (len > EXPR_TEXT_BYTES_MAX) {
        return expr_fail(frame->err, "54000", "requested length too large");
    }
    *ret_bytes = tarn_arena_new_raw(frame->arena, uint8_t, len + 1);
    return *ret_bytes == NULL ? expr_no_memory(frame->err) : TARN_OK;
}

// ---- case, in case.c ----

uint32_t expr_lower_point(uint32_t point);
uint32_t expr_upper_point(uint32_t point);
bool expr_is_alphanumeric(uint32_t point);
// Writes `text` in lower case to `out`, which has room for twice its length; returns the length.
size_t expr_lower(tarn_slice text, uint8_t *out);
size_t expr_upper(tarn_slice text, uint8_t *out);

#endif
