// Constant folding: what does not depend on a column is computed once. Decisions that literals make
// (FALSE AND x, CASE WHEN true, COALESCE of a literal) drop what can no longer be reached.

#include "expr/tree.h"

static bool is_boolean_literal(const tarn_expr *expr, bool value) {
    return expr->kind == TARN_EXPR_LITERAL && expr->type.id == TARN_TYPE_BOOLEAN &&
           !expr->literal.is_null && expr->literal.boolean == value;
}

// Replaces by a literal; an expression that fails stays, for the row that gets there.
static tarn_status evaluate(tarn_arena *arena, const tarn_expr *expr, const tarn_expr **ret_expr) {
    tarn_error ignored = {0};
    tarn_value value;
    *ret_expr = expr;
    tarn_status status = tarn_expr_evaluate(expr, (tarn_eval_context){0}, arena, &value, &ignored);
    if (status != TARN_OK) return status == TARN_NO_MEMORY ? status : TARN_OK;
    value.type = expr->type;
    return tarn_expr_literal(arena, value, false, expr->position, ret_expr, &ignored);
}

// AND and OR without the literals that change nothing; the one that decides alone is the result.
static tarn_status fold_logic(tarn_arena *arena, const tarn_expr *expr, const tarn_expr **args,
                              const tarn_expr **ret_expr, tarn_error *err) {
    bool deciding = expr->kind == TARN_EXPR_OR;
    size_t kept = 0;
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (is_boolean_literal(args[i], !deciding)) continue;
        args[kept++] = args[i];
        if (is_boolean_literal(args[i], deciding)) break; // what is behind is never reached
    }
    if (kept == 0) {
        tarn_value value = {.type = expr->type, .boolean = !deciding};
        return tarn_expr_literal(arena, value, false, expr->position, ret_expr, err);
    }
    bool is_decided = is_boolean_literal(args[kept - 1], deciding);
    // x AND false is false unless x fails, which only leaves can be trusted not to.
    bool all_leaves = true;
    for (size_t i = 0; i < kept; i++) all_leaves &= args[i]->arg_count == 0;
    if (kept == 1 || (is_decided && all_leaves)) {
        *ret_expr = args[kept - 1];
        return TARN_OK;
    }
    tarn_expr node = *expr;
    node.args = args;
    node.arg_count = kept;
    return expr_tree_new(arena, node, ret_expr, err);
}

static tarn_status fold_case(tarn_arena *arena, const tarn_expr *expr, const tarn_expr **args,
                             const tarn_expr **ret_expr, tarn_error *err) {
    size_t kept = 0;
    size_t last = expr->arg_count - 1;
    const tarn_expr *otherwise = args[last];
    for (size_t i = 0; i + 1 < expr->arg_count; i += 2) {
        bool is_literal = expr_is_literal(args[i]);
        if (is_literal && !is_boolean_literal(args[i], true)) continue;
        if (is_literal) {
            otherwise = args[i + 1];
            break;
        }
        args[kept++] = args[i];
        args[kept++] = args[i + 1];
    }
    if (kept == 0) {
        *ret_expr = otherwise;
        return TARN_OK;
    }
    args[kept++] = otherwise;
    tarn_expr node = *expr;
    node.args = args;
    node.arg_count = kept;
    return expr_tree_new(arena, node, ret_expr, err);
}

static tarn_status fold_coalesce(tarn_arena *arena, const tarn_expr *expr, const tarn_expr **args,
                                 const tarn_expr **ret_expr, tarn_error *err) {
    size_t kept = 0;
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (expr_is_null_literal(args[i])) continue;
        args[kept++] = args[i];
        if (args[i]->not_null) break;
    }
    if (kept <= 1) {
        *ret_expr = kept == 1 ? args[0] : expr->args[0];
        return TARN_OK;
    }
    tarn_expr node = *expr;
    node.args = args;
    node.arg_count = kept;
    return expr_tree_new(arena, node, ret_expr, err);
}

static tarn_status fold_special(tarn_arena *arena, const tarn_expr *expr, const tarn_expr **args,
                                const tarn_expr **ret_expr, tarn_error *err) {
    switch (expr->kind) {
    case TARN_EXPR_AND:
    case TARN_EXPR_OR: return fold_logic(arena, expr, args, ret_expr, err);
    case TARN_EXPR_CASE: return fold_case(arena, expr, args, ret_expr, err);
    case TARN_EXPR_COALESCE: return fold_coalesce(arena, expr, args, ret_expr, err);
    case TARN_EXPR_IS_NULL:
        if (args[0]->kind == TARN_EXPR_COLUMN && args[0]->not_null) {
            tarn_value value = {.type = expr->type, .boolean = false};
            return tarn_expr_literal(arena, value, false, expr->position, ret_expr, err);
        }
        break;
    case TARN_EXPR_COLUMN:
    case TARN_EXPR_LITERAL:
    case TARN_EXPR_CALL:
    case TARN_EXPR_CAST:
    case TARN_EXPR_NOT:
    case TARN_EXPR_IN: break;
    }
    return expr_tree_with_args(arena, expr, args, ret_expr, err);
}

tarn_status tarn_expr_fold(tarn_arena *arena, const tarn_expr *expr, const tarn_expr **ret_expr,
                           tarn_error *err) {
    if (expr->kind == TARN_EXPR_COLUMN || expr->kind == TARN_EXPR_LITERAL) {
        *ret_expr = expr;
        return TARN_OK;
    }
    const tarn_expr **args = tarn_arena_new(arena, const tarn_expr *, expr->arg_count + 1);
    if (args == NULL) return expr_no_memory(err);
    bool all_literals = true;
    for (size_t i = 0; i < expr->arg_count; i++) {
        TARN_TRY(tarn_expr_fold(arena, expr->args[i], &args[i], err));
        all_literals &= expr_is_literal(args[i]);
    }
    const tarn_expr *folded;
    TARN_TRY(fold_special(arena, expr, args, &folded, err));
    bool is_constant = all_literals && !expr_is_literal(folded) &&
                       folded->kind != TARN_EXPR_COLUMN && !tarn_expr_is_volatile(folded);
    if (!is_constant) {
        *ret_expr = folded;
        return TARN_OK;
    }
    tarn_status status = evaluate(arena, folded, ret_expr);
    return status == TARN_OK ? TARN_OK : expr_no_memory(err);
}
