// tree.h - nodes of expression trees, for the files of this module that build them.
#ifndef TARN_EXPR_TREE_H
#define TARN_EXPR_TREE_H

#include "expr/function.h"

// A copy of `node` in the arena, its args array included (the args themselves are shared).
TARN_MUST_USE tarn_status expr_tree_new(tarn_arena *arena, tarn_expr node,
                                        const tarn_expr **ret_expr, tarn_error *err);

// A copy of `expr` with other arguments of the same types.
TARN_MUST_USE tarn_status expr_tree_with_args(tarn_arena *arena, const tarn_expr *expr,
                                              const tarn_expr *const *args,
                                              const tarn_expr **ret_expr, tarn_error *err);

bool expr_literal_equal(const tarn_value *a, const tarn_value *b);

static inline bool expr_is_literal(const tarn_expr *expr) {
    return expr->kind == TARN_EXPR_LITERAL;
}
static inline bool expr_is_null_literal(const tarn_expr *expr) {
    return expr->kind == TARN_EXPR_LITERAL && expr->literal.is_null;
}

#endif
