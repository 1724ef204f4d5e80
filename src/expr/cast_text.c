// Casts to text and from it: what values look like and how they are read is column/'s.

#include "expr/cast.h"
#include "expr/program.h"
#include "expr/tables.h"
#include "expr/utf8.h"

// ---- length limits ----

static bool is_blank(tarn_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != ' ') return false;
    }
    return true;
}

// Cuts to the limit of `type`. Unless asked for, only spaces may be cut off.
static tarn_status limit_length(tarn_slice *text, tarn_type type, bool may_cut, tarn_error *err) {
    if (type.length == 0 || text->len <= type.length) return TARN_OK;
    size_t kept = expr_utf8_offset(*text, type.length);
    if (kept == text->len) return TARN_OK;
    if (!may_cut && !is_blank(tarn_slice_skip(*text, kept))) {
        return expr_fail(err, "22001", "value too long for type character varying(%u)",
                         type.length);
    }
    *text = tarn_slice_head(*text, kept);
    return TARN_OK;
}

static tarn_status text_to_text(const expr_frame *frame, bool may_cut) {
    const tarn_string *in = frame->args[0].data;
    tarn_string *out = frame->result->data;
    size_t stride = expr_stride(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = tarn_string_slice(&in[row * stride]);
        TARN_TRY(limit_length(&text, frame->result->type, may_cut, frame->err));
        out[row] = tarn_string_view(text);
    }
    return TARN_OK;
}

static tarn_status cut_text(const expr_frame *frame) {
    return text_to_text(frame, true);
}

static tarn_status check_text(const expr_frame *frame) {
    return text_to_text(frame, false);
}

// ---- any type to text ----

static tarn_status put_text(const expr_frame *frame, size_t row, tarn_slice text) {
    tarn_string *out = (tarn_string *)frame->result->data + row;
    tarn_slice kept = text;
    if (text.len > TARN_STRING_INLINE_BYTES && !tarn_arena_copy(frame->arena, text, &kept)) {
        return expr_no_memory(frame->err);
    }
    *out = tarn_string_view(kept);
    return TARN_OK;
}

static tarn_status format_row(const expr_frame *frame, size_t row, bool may_cut,
                              tarn_buffer *buffer) {
    const tarn_vector *arg = &frame->args[0];
    tarn_value value = tarn_vector_get(arg, row * expr_stride(arg));
    tarn_buffer_clear(buffer);
    TARN_TRY(tarn_value_format(value, buffer, frame->err));
    tarn_slice text = tarn_buffer_slice(buffer);
    TARN_TRY(limit_length(&text, frame->result->type, may_cut, frame->err));
    return put_text(frame, row, text);
}

static tarn_status format_rows(const expr_frame *frame, bool may_cut) {
    tarn_buffer buffer = {0};
    tarn_status status = TARN_OK;
    EXPR_FOR_ROWS(frame, row) {
        status = format_row(frame, row, may_cut, &buffer);
        if (status != TARN_OK) break;
    }
    tarn_buffer_free(&buffer);
    return status;
}

static tarn_status format_and_cut(const expr_frame *frame) {
    return format_rows(frame, true);
}

static tarn_status format_and_check(const expr_frame *frame) {
    return format_rows(frame, false);
}

static tarn_status boolean_to_text(const expr_frame *frame, bool may_cut) {
    const uint8_t *in = frame->args[0].data;
    size_t stride = expr_stride(&frame->args[0]);
    tarn_string *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = in[row * stride] != 0 ? TARN_LIT("true") : TARN_LIT("false");
        TARN_TRY(limit_length(&text, frame->result->type, may_cut, frame->err));
        out[row] = tarn_string_view(text);
    }
    return TARN_OK;
}

static tarn_status boolean_cut(const expr_frame *frame) {
    return boolean_to_text(frame, true);
}

static tarn_status boolean_checked(const expr_frame *frame) {
    return boolean_to_text(frame, false);
}

const tarn_function expr_boolout =
    EXPR_FUNCTION("boolout", "boolean", "text", "", .kernel = format_and_cut);

const tarn_function *expr_cast_to_text(tarn_type from, tarn_type to, tarn_cast_context context) {
    static const tarn_function cut = EXPR_FUNCTION("cast", "any", "any", "", .kernel = cut_text);
    static const tarn_function check =
        EXPR_FUNCTION("cast", "any", "any", "", .kernel = check_text);
    static const tarn_function format_cut =
        EXPR_FUNCTION("cast", "any", "any", "", .kernel = format_and_cut);
    static const tarn_function format_check =
        EXPR_FUNCTION("cast", "any", "any", "", .kernel = format_and_check);
    static const tarn_function bool_cut =
        EXPR_FUNCTION("cast", "any", "any", "", .kernel = boolean_cut);
    static const tarn_function bool_check =
        EXPR_FUNCTION("cast", "any", "any", "", .kernel = boolean_checked);
    bool may_cut = context == TARN_CAST_EXPLICIT;
    if (from.id == TARN_TYPE_TEXT) {
        if (to.length == 0) return &expr_cast_copy;
        return may_cut ? &cut : &check;
    }
    if (from.id == TARN_TYPE_BOOLEAN) return may_cut ? &bool_cut : &bool_check;
    return may_cut ? &format_cut : &format_check;
}

// ---- text to any type ----

static tarn_status parse_rows(const expr_frame *frame) {
    const tarn_string *in = frame->args[0].data;
    size_t stride = expr_stride(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_value value;
        TARN_TRY(tarn_value_parse(frame->result->type, tarn_string_slice(&in[row * stride]),
                                  frame->arena, &value, frame->err));
        value.type = frame->result->type;
        tarn_vector_set(frame->result, row, value);
    }
    return TARN_OK;
}

const tarn_function *expr_cast_from_text(tarn_type to) {
    (void)to;
    static const tarn_function parse =
        EXPR_FUNCTION("cast", "any", "any", "", .kernel = parse_rows);
    return &parse;
}
