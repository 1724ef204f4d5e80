// LIKE and ILIKE. Most patterns are a text with a wildcard at one or both ends: those are seen once
// per program and compared without matching character by character.

#include "expr/tables.h"
#include "expr/text.h"
#include "expr/tree.h"

typedef enum match_result {
    MATCH_YES,
    MATCH_NO,
    MATCH_BAD_PATTERN, // ends with the escape character
} match_result;

typedef struct pattern {
    tarn_slice text;
    int escape; // the byte that makes the next one literal; -1: none
} pattern;

// Whether the character at `at` is this byte as a wildcard.
static bool is_wildcard(const pattern *p, size_t at, uint8_t wildcard) {
    return p->text.data[at] == wildcard && p->escape != wildcard;
}

// Whether the pattern's last byte, at `at`, is an escape character with nothing to escape.
static bool ends_with_escape(const pattern *p, size_t at) {
    return p->text.len > 0 && at + 1 == p->text.len && p->text.data[at] == p->escape;
}

// Matches one element of the pattern, a byte or '_', and moves both places behind it.
static match_result match_one(const pattern *p, tarn_slice text, size_t *i, size_t *t) {
    bool escaped = p->text.data[*i] == p->escape;
    if (escaped && *i + 1 == p->text.len) return MATCH_BAD_PATTERN;
    if (!escaped && is_wildcard(p, *i, '_')) {
        *t += expr_utf8_step(tarn_slice_skip(text, *t));
        *i += 1;
        return MATCH_YES;
    }
    if (p->text.data[*i + escaped] != text.data[*t]) return MATCH_NO;
    *t += 1;
    *i += 1 + (size_t)escaped;
    return MATCH_YES;
}

// Goes back to the last '%' on a mismatch: each '%' needs only be tried with what follows it.
static match_result match(const pattern *p, tarn_slice text) {
    size_t t = 0;
    size_t i = 0;
    size_t retry_pattern = SIZE_MAX; // behind the last '%'
    size_t retry_text = 0;
    while (t < text.len || i < p->text.len) {
        if (i < p->text.len && is_wildcard(p, i, '%')) {
            retry_pattern = ++i;
            retry_text = t;
            continue;
        }
        if (i < p->text.len && t < text.len) {
            match_result one = match_one(p, text, &i, &t);
            if (one == MATCH_BAD_PATTERN) return one;
            if (one == MATCH_YES) continue;
        }
        if (retry_pattern == SIZE_MAX || retry_text >= text.len) break;
        retry_text += expr_utf8_step(tarn_slice_skip(text, retry_text));
        t = retry_text;
        i = retry_pattern;
    }
    if (t == text.len && i == p->text.len) return MATCH_YES;
    return t < text.len && ends_with_escape(p, i) ? MATCH_BAD_PATTERN : MATCH_NO;
}

static tarn_status fail_pattern(const expr_frame *frame) {
    return expr_fail(frame->err, "22025", "LIKE pattern must not end with escape character");
}

// ---- patterns seen before ----

typedef enum pattern_shape {
    SHAPE_GENERAL,
    SHAPE_EXACT,    // abc
    SHAPE_PREFIX,   // abc%
    SHAPE_SUFFIX,   // %abc
    SHAPE_CONTAINS, // %abc%
} pattern_shape;

typedef struct prepared_pattern {
    pattern_shape shape;
    tarn_slice needle; // without escapes and wildcards
} prepared_pattern;

// The pattern without its outer '%', if nothing within is a wildcard.
static bool unescape(tarn_slice text, uint8_t *out, size_t *ret_len) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '%' || text.data[i] == '_') return false;
        if (text.data[i] == '\\' && ++i == text.len) return false;
        out[len++] = text.data[i];
    }
    *ret_len = len;
    return true;
}

static tarn_status prepare_like(const tarn_expr *const *args, size_t arg_count, tarn_arena *arena,
                                const void **ret_prepared, tarn_error *err) {
    *ret_prepared = NULL;
    if (arg_count != 2 || !expr_is_literal(args[1]) || args[1]->literal.is_null) return TARN_OK;
    tarn_slice text = args[1]->literal.bytes;
    prepared_pattern *prepared = tarn_arena_new(arena, prepared_pattern, 1);
    uint8_t *needle = tarn_arena_new_raw(arena, uint8_t, text.len + 1);
    if (prepared == NULL || needle == NULL) return expr_no_memory(err);
    bool at_start = text.len > 0 && text.data[0] == '%';
    if (at_start) text = tarn_slice_skip(text, 1);
    bool is_escaped = text.len >= 2 && text.data[text.len - 2] == '\\';
    bool at_end = text.len > 0 && text.data[text.len - 1] == '%' && !is_escaped;
    if (at_end) text.len--;
    size_t len;
    prepared->shape =
        at_start ? (at_end ? SHAPE_CONTAINS : SHAPE_SUFFIX) : (at_end ? SHAPE_PREFIX : SHAPE_EXACT);
    if (!unescape(text, needle, &len)) {
        prepared->shape = SHAPE_GENERAL;
        len = 0;
    }
    prepared->needle = (tarn_slice){needle, len};
    *ret_prepared = prepared;
    return TARN_OK;
}

static bool matches_shape(const prepared_pattern *prepared, tarn_slice text) {
    tarn_slice needle = prepared->needle;
    if (text.len < needle.len) return false;
    switch (prepared->shape) {
    case SHAPE_EXACT: return tarn_slice_equal(text, needle);
    case SHAPE_PREFIX: return tarn_slice_starts_with(text, needle);
    case SHAPE_SUFFIX:
        return tarn_slice_equal(tarn_slice_skip(text, text.len - needle.len), needle);
    case SHAPE_CONTAINS:
        return needle.len == 0 || memmem(text.data, text.len, needle.data, needle.len) != NULL;
    case SHAPE_GENERAL: break;
    }
    return false;
}

// ---- kernels ----

static tarn_status read_escape(const expr_frame *frame, tarn_slice text, int *ret_escape) {
    if (text.len == 0) {
        *ret_escape = -1;
        return TARN_OK;
    }
    if (expr_utf8_step(text) != text.len) {
        (void)expr_fail(frame->err, "22025", "invalid escape string");
        tarn_error_hint(frame->err, "the escape string must be empty or one character");
        return TARN_INVALID;
    }
    if (text.len > 1) {
        (void)tarn_fail(frame->err, TARN_UNSUPPORTED,
                        "escape character \"" TARN_SLICE_FMT "\" is not supported, only ASCII is",
                        TARN_SLICE_ARG(text));
        tarn_error_locate(frame->err, "0A000", 0);
        return TARN_UNSUPPORTED;
    }
    *ret_escape = text.data[0];
    return TARN_OK;
}

// In lower case when case does not count; in the frame's arena then.
static tarn_status fold_case(const expr_frame *frame, bool ignores_case, tarn_slice *text) {
    if (!ignores_case) return TARN_OK;
    uint8_t *bytes;
    TARN_TRY(expr_text_room(frame, text->len * 2, &bytes));
    *text = (tarn_slice){bytes, expr_lower(*text, bytes)};
    return TARN_OK;
}

static tarn_status like_rows(const expr_frame *frame, bool negate, bool ignores_case) {
    expr_text_arg texts = expr_text_of(&frame->args[0]);
    expr_text_arg patterns = expr_text_of(&frame->args[1]);
    const prepared_pattern *prepared = ignores_case ? NULL : frame->prepared;
    uint8_t *out = frame->result->data;
    if (prepared != NULL && prepared->shape != SHAPE_GENERAL) {
        EXPR_FOR_ROWS(frame, row) {
            out[row] = matches_shape(prepared, expr_text_at(&texts, row)) != negate;
        }
        return TARN_OK;
    }
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&texts, row);
        pattern p = {.text = expr_text_at(&patterns, row), .escape = '\\'};
        if (frame->arg_count == 3) {
            expr_text_arg escapes = expr_text_of(&frame->args[2]);
            TARN_TRY(read_escape(frame, expr_text_at(&escapes, row), &p.escape));
        }
        TARN_TRY(fold_case(frame, ignores_case, &text));
        TARN_TRY(fold_case(frame, ignores_case, &p.text));
        match_result result = match(&p, text);
        if (result == MATCH_BAD_PATTERN) return fail_pattern(frame);
        out[row] = (result == MATCH_YES) != negate;
    }
    return TARN_OK;
}

static tarn_status like(const expr_frame *frame) {
    return like_rows(frame, false, false);
}
static tarn_status not_like(const expr_frame *frame) {
    return like_rows(frame, true, false);
}
static tarn_status ilike(const expr_frame *frame) {
    return like_rows(frame, false, true);
}
static tarn_status not_ilike(const expr_frame *frame) {
    return like_rows(frame, true, true);
}

// A pattern with any escape character as one with a backslash: what the grammar makes of ESCAPE.
static tarn_status like_escape_rows(const expr_frame *frame) {
    expr_text_arg patterns = expr_text_of(&frame->args[0]);
    expr_text_arg escapes = expr_text_of(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&patterns, row);
        int escape;
        TARN_TRY(read_escape(frame, expr_text_at(&escapes, row), &escape));
        uint8_t *bytes;
        TARN_TRY(expr_text_room(frame, text.len * 2, &bytes));
        size_t len = 0;
        for (size_t i = 0; i < text.len; i++) {
            bool is_escape = text.data[i] == escape;
            if (is_escape || text.data[i] == '\\') bytes[len++] = '\\';
            if (!is_escape) {
                bytes[len++] = text.data[i];
            } else if (i + 1 < text.len) {
                bytes[len++] = text.data[++i];
            }
        }
        expr_text_put(frame, row, (tarn_slice){bytes, len});
    }
    return TARN_OK;
}

// ---- the table ----

#define LIKE(name, text, kernel_name)                                                        \
    EXPR_FUNCTION(name, "text, text", "boolean", text, .kernel = (kernel_name),              \
                  .prepare = prepare_like),                                                  \
        EXPR_FUNCTION(name, "text, text, text", "boolean", text " with an escape character", \
                      .kernel = (kernel_name))

static const tarn_function functions[] = {
    LIKE("~~", "LIKE", like),
    LIKE("!~~", "NOT LIKE", not_like),
    LIKE("~~*", "ILIKE: LIKE without regard to case", ilike),
    LIKE("!~~*", "NOT ILIKE", not_ilike),
    EXPR_FUNCTION("like_escape", "text, text", "text",
                  "a LIKE pattern with its escape character made a backslash",
                  .kernel = like_escape_rows),
};
const expr_function_table expr_like_functions = {functions, sizeof functions / sizeof functions[0]};
