// Questions about trees, and copies of them: equality, columns, volatility, substitution.

#include "expr/tree.h"

bool expr_literal_equal(const tarn_value *a, const tarn_value *b) {
    if (a->type.id != b->type.id || a->is_null != b->is_null) return false;
    if (a->is_null) return true;
    bool is_float = a->type.id == TARN_TYPE_REAL || a->type.id == TARN_TYPE_DOUBLE;
    if (is_float) { // -0.0 is not 0.0 here, and NaN is itself
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c)
        return memcmp(&a->f64, &b->f64, sizeof a->f64) == 0;
    }
    if (a->type.id == TARN_TYPE_INTERVAL) { // a month is not thirty days here
        return a->interval.months == b->interval.months && a->interval.days == b->interval.days &&
               a->interval.us == b->interval.us;
    }
    return tarn_type_equal(a->type, b->type) && tarn_value_compare(*a, *b) == 0;
}

bool tarn_expr_equal(const tarn_expr *a, const tarn_expr *b) {
    if (a == b) return true;
    if (a->kind != b->kind || !tarn_type_equal(a->type, b->type)) return false;
    if (a->arg_count != b->arg_count) return false;
    switch (a->kind) {
    case TARN_EXPR_COLUMN: return a->column == b->column;
    case TARN_EXPR_LITERAL: return expr_literal_equal(&a->literal, &b->literal);
    case TARN_EXPR_CALL:
        if (a->function != b->function) return false;
        break;
    case TARN_EXPR_CAST:
        if (a->cast_context != b->cast_context && a->type.length > 0) return false;
        break;
    case TARN_EXPR_AND:
    case TARN_EXPR_OR:
    case TARN_EXPR_NOT:
    case TARN_EXPR_IS_NULL:
    case TARN_EXPR_CASE:
    case TARN_EXPR_COALESCE:
    case TARN_EXPR_IN: break;
    }
    for (size_t i = 0; i < a->arg_count; i++) {
        if (!tarn_expr_equal(a->args[i], b->args[i])) return false;
    }
    return true;
}

void tarn_expr_columns(const tarn_expr *expr, uint64_t *columns, size_t column_count) {
    if (expr->kind == TARN_EXPR_COLUMN) {
        tarn_assert(expr->column < column_count);
        tarn_bitmap_set(columns, expr->column);
    }
    for (size_t i = 0; i < expr->arg_count; i++) {
        tarn_expr_columns(expr->args[i], columns, column_count);
    }
}

bool tarn_expr_is_volatile(const tarn_expr *expr) {
    if (expr->kind == TARN_EXPR_CALL && (expr->function->flags & EXPR_VOLATILE) != 0) return true;
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (tarn_expr_is_volatile(expr->args[i])) return true;
    }
    return false;
}

tarn_status tarn_expr_substitute(tarn_arena *arena, const tarn_expr *expr,
                                 const tarn_expr *const *replacements, size_t replacement_count,
                                 const tarn_expr **ret_expr, tarn_error *err) {
    if (expr->kind == TARN_EXPR_COLUMN) {
        tarn_assert(expr->column < replacement_count);
        *ret_expr = replacements[expr->column];
        return TARN_OK;
    }
    if (expr->arg_count == 0) {
        *ret_expr = expr;
        return TARN_OK;
    }
    const tarn_expr **args = tarn_arena_new(arena, const tarn_expr *, expr->arg_count);
    if (args == NULL) return expr_no_memory(err);
    bool changed = false;
    for (size_t i = 0; i < expr->arg_count; i++) {
        TARN_TRY(tarn_expr_substitute(arena, expr->args[i], replacements, replacement_count,
                                      &args[i], err));
        changed |= args[i] != expr->args[i];
    }
    if (!changed) {
        *ret_expr = expr;
        return TARN_OK;
    }
    return expr_tree_with_args(arena, expr, args, ret_expr, err);
}
