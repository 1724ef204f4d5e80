// Expressions as SQL-like text, for EXPLAIN and messages.

#include "expr/function.h"
#include "expr/resolve.h"
#include "expr/types.h"

static tarn_status append(tarn_buffer *out, tarn_slice text, tarn_error *err) {
    return tarn_buffer_append(out, text) ? TARN_OK : expr_no_memory(err);
}

static tarn_status append_cstr(tarn_buffer *out, const char *text, tarn_error *err) {
    return append(out, tarn_slice_from_cstr(text), err);
}

static tarn_status append_quoted(tarn_buffer *out, tarn_slice text, tarn_error *err) {
    TARN_TRY(append_cstr(out, "'", err));
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'') TARN_TRY(append_cstr(out, "'", err));
        TARN_TRY(append(out, (tarn_slice){text.data + i, 1}, err));
    }
    return append_cstr(out, "'", err);
}

static tarn_status append_literal(tarn_buffer *out, const tarn_value *value, tarn_error *err) {
    if (value->is_null) return append_cstr(out, "NULL", err);
    tarn_type_id id = value->type.id;
    if (id == TARN_TYPE_BOOLEAN) return append_cstr(out, value->boolean ? "true" : "false", err);
    if (id == TARN_TYPE_TEXT) return append_quoted(out, value->bytes, err);
    if (tarn_type_is_number(value->type)) return tarn_value_format(*value, out, err);
    TARN_TRY(append_cstr(out, "'", err));
    TARN_TRY(tarn_value_format(*value, out, err));
    TARN_TRY(append_cstr(out, "'::", err));
    return append_cstr(out, expr_type_name(id), err);
}

static tarn_status append_list(tarn_buffer *out, const tarn_expr *expr, size_t first,
                               const char *separator, tarn_error *err) {
    TARN_TRY(append_cstr(out, "(", err));
    for (size_t i = first; i < expr->arg_count; i++) {
        if (i > first) TARN_TRY(append_cstr(out, separator, err));
        TARN_TRY(tarn_expr_format(expr->args[i], out, err));
    }
    return append_cstr(out, ")", err);
}

static tarn_status append_call(tarn_buffer *out, const tarn_expr *expr, tarn_error *err) {
    if (tarn_slice_equal(expr->name, TARN_LIT("is_distinct_from"))) {
        return append_list(out, expr, 0, " IS DISTINCT FROM ", err);
    }
    if (!expr_name_is_operator(expr->name) || expr->arg_count > 2) {
        TARN_TRY(append(out, expr->name, err));
        return append_list(out, expr, 0, ", ", err);
    }
    TARN_TRY(append_cstr(out, "(", err));
    if (expr->arg_count == 2) {
        TARN_TRY(tarn_expr_format(expr->args[0], out, err));
        TARN_TRY(append_cstr(out, " ", err));
    }
    TARN_TRY(append(out, expr->name, err));
    if (expr->arg_count == 2) TARN_TRY(append_cstr(out, " ", err));
    TARN_TRY(tarn_expr_format(expr->args[expr->arg_count - 1], out, err));
    return append_cstr(out, ")", err);
}

static tarn_status append_case(tarn_buffer *out, const tarn_expr *expr, tarn_error *err) {
    TARN_TRY(append_cstr(out, "CASE", err));
    for (size_t i = 0; i + 1 < expr->arg_count; i += 2) {
        TARN_TRY(append_cstr(out, " WHEN ", err));
        TARN_TRY(tarn_expr_format(expr->args[i], out, err));
        TARN_TRY(append_cstr(out, " THEN ", err));
        TARN_TRY(tarn_expr_format(expr->args[i + 1], out, err));
    }
    TARN_TRY(append_cstr(out, " ELSE ", err));
    TARN_TRY(tarn_expr_format(expr->args[expr->arg_count - 1], out, err));
    return append_cstr(out, " END", err);
}

tarn_status tarn_expr_format(const tarn_expr *expr, tarn_buffer *out, tarn_error *err) {
    switch (expr->kind) {
    case TARN_EXPR_COLUMN: return append(out, expr->name, err);
    case TARN_EXPR_LITERAL: return append_literal(out, &expr->literal, err);
    case TARN_EXPR_CALL: return append_call(out, expr, err);
    case TARN_EXPR_CAST:
        TARN_TRY(tarn_expr_format(expr->args[0], out, err));
        TARN_TRY(append_cstr(out, "::", err));
        return tarn_type_format(expr->type, out, err);
    case TARN_EXPR_AND: return append_list(out, expr, 0, " AND ", err);
    case TARN_EXPR_OR: return append_list(out, expr, 0, " OR ", err);
    case TARN_EXPR_NOT:
        if (expr->args[0]->kind == TARN_EXPR_IS_NULL) {
            TARN_TRY(append_cstr(out, "(", err));
            TARN_TRY(tarn_expr_format(expr->args[0]->args[0], out, err));
            return append_cstr(out, " IS NOT NULL)", err);
        }
        TARN_TRY(append_cstr(out, "(NOT ", err));
        TARN_TRY(tarn_expr_format(expr->args[0], out, err));
        return append_cstr(out, ")", err);
    case TARN_EXPR_IS_NULL:
        TARN_TRY(append_cstr(out, "(", err));
        TARN_TRY(tarn_expr_format(expr->args[0], out, err));
        return append_cstr(out, " IS NULL)", err);
    case TARN_EXPR_CASE: return append_case(out, expr, err);
    case TARN_EXPR_COALESCE:
        TARN_TRY(append_cstr(out, "COALESCE", err));
        return append_list(out, expr, 0, ", ", err);
    case TARN_EXPR_IN:
        TARN_TRY(append_cstr(out, "(", err));
        TARN_TRY(tarn_expr_format(expr->args[0], out, err));
        TARN_TRY(append_cstr(out, " IN ", err));
        TARN_TRY(append_list(out, expr, 1, ", ", err));
        return append_cstr(out, ")", err);
    }
    return TARN_OK;
}
