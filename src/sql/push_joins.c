// Joins: filtered cross joins become joins on keys, conditions of one side go to that side, inner
// joins are put in an order that starts with the largest input.
//
// A tree of inner joins is taken apart into its leaves and the conditions between them, all over
// the columns of the leaves side by side ("tree columns"), and put together again.

#include "sql/rewrite.h"

// ---- equalities ----

typedef struct equality {
    const tarn_expr *sides[2];
} equality;

static bool is_equality(const tarn_expr *expr, equality *ret_equality) {
    if (expr->kind != TARN_EXPR_CALL || expr->arg_count != 2 ||
        !tarn_slice_equal(expr->name, TARN_LIT("="))) {
        return false;
    }
    *ret_equality = (equality){{expr->args[0], expr->args[1]}};
    return true;
}

// Keys of a join have equal types on both sides.
static tarn_status unify_types(const sql_optimizer *o, equality *keys, tarn_error *err) {
    tarn_type types[2] = {keys->sides[0]->type, keys->sides[1]->type};
    if (tarn_type_equal(types[0], types[1])) return TARN_OK;
    int32_t position = keys->sides[0]->position;
    tarn_type common;
    TARN_TRY(tarn_common_type(types, 2, position, &common, err));
    for (size_t s = 0; s < 2; s++) {
        TARN_TRY(tarn_expr_cast(o->arena, keys->sides[s], common, TARN_CAST_IMPLICIT, position,
                                &keys->sides[s], err));
    }
    return TARN_OK;
}

typedef struct key_list {
    sql_conjuncts left;
    sql_conjuncts right;
} key_list;

static tarn_status add_keys(const sql_optimizer *o, key_list *list, equality keys,
                            tarn_error *err) {
    TARN_TRY(unify_types(o, &keys, err));
    TARN_TRY(sql_conjuncts_append(o, &list->left, keys.sides[0], err));
    return sql_conjuncts_append(o, &list->right, keys.sides[1], err);
}

// ---- trees of inner joins ----

typedef struct leaf {
    const tarn_plan *plan;
    size_t begin; // its columns among the tree columns
    size_t end;
    bool is_placed;
} leaf;

typedef struct join_tree {
    const sql_optimizer *o;
    leaf *leaves;
    size_t leaf_count;
    sql_conjuncts conditions; // over tree columns; used ones become NULL
    size_t column_count;
    size_t *map; // tree column to column of the plan so far, SQL_GONE: not there yet
} join_tree;

static bool is_inner_join(const tarn_plan *plan) {
    return plan->kind == TARN_PLAN_JOIN && plan->join.kind == TARN_JOIN_INNER;
}

static const tarn_plan *below_filters(const tarn_plan *plan) {
    while (plan->kind == TARN_PLAN_FILTER) plan = plan->inputs[0];
    return plan;
}

static size_t count_leaves(const tarn_plan *plan) {
    const tarn_plan *join = below_filters(plan);
    if (!is_inner_join(join)) return 1;
    return count_leaves(join->inputs[0]) + count_leaves(join->inputs[1]);
}

static tarn_status add_condition(join_tree *t, const tarn_expr *condition, size_t shift,
                                 tarn_error *err) {
    const tarn_expr *moved = NULL;
    TARN_TRY(sql_expr_shift(t->o, condition, (ptrdiff_t)shift, &moved, err));
    return sql_conjuncts_add(t->o, &t->conditions, moved, err);
}

// Takes a subtree apart; its columns begin at tree column `begin`. Inner conditions come first.
static tarn_status take_apart(join_tree *t, const tarn_plan *plan, size_t begin, tarn_error *err) {
    if (!is_inner_join(below_filters(plan))) {
        t->leaves[t->leaf_count++] =
            (leaf){.plan = plan, .begin = begin, .end = begin + plan->schema.field_count};
        return TARN_OK;
    }
    if (plan->kind == TARN_PLAN_FILTER) {
        TARN_TRY(take_apart(t, plan->inputs[0], begin, err));
        return add_condition(t, plan->filter.condition, begin, err);
    }
    size_t middle = begin + plan->inputs[0]->schema.field_count;
    TARN_TRY(take_apart(t, plan->inputs[0], begin, err));
    TARN_TRY(take_apart(t, plan->inputs[1], middle, err));
    for (size_t i = 0; i < plan->join.key_count; i++) {
        const tarn_expr *sides[2] = {plan->join.left_keys[i], NULL};
        const tarn_expr *equal = NULL;
        TARN_TRY(sql_expr_shift(t->o, plan->join.right_keys[i], (ptrdiff_t)(middle - begin),
                                &sides[1], err));
        TARN_TRY(
            tarn_expr_call(t->o->arena, TARN_LIT("="), sides, 2, sides[0]->position, &equal, err));
        TARN_TRY(add_condition(t, equal, begin, err));
    }
    if (plan->join.residual == NULL) return TARN_OK;
    return add_condition(t, plan->join.residual, begin, err);
}

// Conditions of one leaf go into it, if they cannot fail.
static tarn_status push_into_leaves(join_tree *t, tarn_error *err) {
    for (size_t l = 0; l < t->leaf_count; l++) {
        leaf *at = &t->leaves[l];
        sql_conjuncts list = {0};
        for (size_t i = 0; i < t->conditions.count; i++) {
            const tarn_expr *condition = t->conditions.items[i];
            if (condition == NULL || !sql_expr_has_columns(condition) ||
                !sql_expr_is_within(condition, at->begin, at->end) ||
                !sql_expr_is_safe(condition)) {
                continue;
            }
            t->conditions.items[i] = NULL;
            TARN_TRY(sql_expr_shift(t->o, condition, -(ptrdiff_t)at->begin, &condition, err));
            TARN_TRY(sql_conjuncts_append(t->o, &list, condition, err));
        }
        TARN_TRY(sql_push_filters(t->o, at->plan, &list, &at->plan, err));
    }
    return TARN_OK;
}

// ---- putting together ----

static bool is_there(const join_tree *t, const tarn_expr *expr) {
    if (expr->kind == TARN_EXPR_COLUMN) return t->map[expr->column] != SQL_GONE;
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (!is_there(t, expr->args[i])) return false;
    }
    return true;
}

// The side of the equality that only needs what is there, the other one only the leaf: 0 or 1 is
// the index of the former, -1: not such an equality.
static int key_side(const join_tree *t, const leaf *next, const equality *keys) {
    for (int s = 0; s < 2; s++) {
        const tarn_expr *here = keys->sides[s];
        const tarn_expr *there = keys->sides[1 - s];
        if (sql_expr_has_columns(here) && sql_expr_has_columns(there) && is_there(t, here) &&
            sql_expr_is_within(there, next->begin, next->end)) {
            return s;
        }
    }
    return -1;
}

static bool is_connected(const join_tree *t, const leaf *next) {
    for (size_t i = 0; i < t->conditions.count; i++) {
        equality keys;
        if (t->conditions.items[i] != NULL && is_equality(t->conditions.items[i], &keys) &&
            key_side(t, next, &keys) >= 0) {
            return true;
        }
    }
    return false;
}

static void place(join_tree *t, leaf *placed, size_t begin) {
    placed->is_placed = true;
    for (size_t c = placed->begin; c < placed->end; c++) t->map[c] = begin + (c - placed->begin);
}

// Conditions whose columns are all there, and that cannot fail; at the end, all.
static tarn_status filter_placed(join_tree *t, const tarn_plan **plan, bool is_last,
                                 tarn_error *err) {
    sql_conjuncts list = {0};
    for (size_t i = 0; i < t->conditions.count; i++) {
        const tarn_expr *condition = t->conditions.items[i];
        if (condition == NULL || !is_there(t, condition)) continue;
        if (!is_last && !sql_expr_is_safe(condition)) continue;
        t->conditions.items[i] = NULL;
        TARN_TRY(sql_expr_move(t->o, condition, t->map, &condition, err));
        TARN_TRY(sql_conjuncts_append(t->o, &list, condition, err));
    }
    return sql_filter_by(t->o, *plan, &list, plan, err);
}

static tarn_status join_leaf(join_tree *t, leaf *next, const tarn_plan **plan, bool is_last,
                             tarn_error *err) {
    key_list keys = {0};
    for (size_t i = 0; i < t->conditions.count; i++) {
        equality found;
        if (t->conditions.items[i] == NULL || !is_equality(t->conditions.items[i], &found)) {
            continue;
        }
        int side = key_side(t, next, &found);
        if (side < 0) continue;
        t->conditions.items[i] = NULL;
        equality moved;
        TARN_TRY(sql_expr_move(t->o, found.sides[side], t->map, &moved.sides[0], err));
        TARN_TRY(sql_expr_shift(t->o, found.sides[1 - side], -(ptrdiff_t)next->begin,
                                &moved.sides[1], err));
        TARN_TRY(add_keys(t->o, &keys, moved, err));
    }
    sql_plan_join_spec spec = {
        .kind = TARN_JOIN_INNER,
        .left = *plan,
        .right = next->plan,
        .left_keys = keys.left.items,
        .right_keys = keys.right.items,
        .key_count = keys.left.count,
    };
    size_t begin = (*plan)->schema.field_count;
    TARN_TRY(sql_plan_join(t->o->arena, &spec, plan, err));
    place(t, next, begin);
    return filter_placed(t, plan, is_last, err);
}

// ---- the order ----

// A stream rather than something that is only looked up.
static bool is_stream(const tarn_plan *plan) {
    if (plan->kind == TARN_PLAN_SCAN) {
        return plan->scan.relation->kind == TARN_RELATION_SOURCE ||
               plan->scan.relation->kind == TARN_RELATION_VIEW;
    }
    for (size_t i = 0; i < plan->input_count; i++) {
        if (is_stream(plan->inputs[i])) return true;
    }
    return false;
}

// The leaf that is probed with: in a query the largest, in a view the first stream.
static leaf *choose_first(join_tree *t) {
    leaf *first = &t->leaves[0];
    if (t->o->use == SQL_PLAN_OF_VIEW && is_stream(first->plan)) return first;
    for (size_t i = 1; i < t->leaf_count; i++) {
        leaf *other = &t->leaves[i];
        if (t->o->use == SQL_PLAN_OF_VIEW) {
            if (is_stream(other->plan)) return other;
        } else if (other->plan->row_estimate > first->plan->row_estimate) {
            first = other;
        }
    }
    return first;
}

// Connected ones before cross joins; of those the smallest in a query, the first in a view.
static leaf *choose_next(join_tree *t) {
    leaf *best = NULL;
    bool best_is_connected = false;
    for (size_t i = 0; i < t->leaf_count; i++) {
        leaf *other = &t->leaves[i];
        if (other->is_placed) continue;
        bool connected = is_connected(t, other);
        bool is_better = best == NULL || (connected && !best_is_connected);
        if (best != NULL && connected == best_is_connected && t->o->use == SQL_PLAN_OF_QUERY) {
            is_better = other->plan->row_estimate < best->plan->row_estimate;
        }
        if (is_better) {
            best = other;
            best_is_connected = connected;
        }
    }
    return best;
}

static tarn_status put_together(join_tree *t, const tarn_plan **ret_plan, tarn_error *err) {
    leaf *first = choose_first(t);
    const tarn_plan *plan = first->plan;
    place(t, first, 0);
    for (size_t placed = 1; placed < t->leaf_count; placed++) {
        TARN_TRY(join_leaf(t, choose_next(t), &plan, placed + 1 == t->leaf_count, err));
    }
    return sql_select_columns(t->o, plan, t->map, t->column_count, ret_plan, err);
}

static tarn_status push_inner(const sql_optimizer *o, const tarn_plan *plan,
                              const sql_conjuncts *list, const tarn_plan **ret_plan,
                              tarn_error *err) {
    join_tree t = {.o = o, .column_count = plan->schema.field_count};
    t.leaves = tarn_arena_new(o->arena, leaf, count_leaves(plan));
    t.map = tarn_arena_new(o->arena, size_t, t.column_count);
    if (t.leaves == NULL || t.map == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < t.column_count; i++) t.map[i] = SQL_GONE;
    TARN_TRY(take_apart(&t, plan, 0, err));
    for (size_t i = 0; i < list->count; i++) TARN_TRY(add_condition(&t, list->items[i], 0, err));
    TARN_TRY(push_into_leaves(&t, err));
    return put_together(&t, ret_plan, err);
}

// ---- left joins ----

static bool is_strict_operator(tarn_slice name) {
    static const char *const names[] = {"=",  "<>", "<",   "<=",  ">",
                                        ">=", "~~", "!~~", "~~*", "!~~*"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(names[i]))) return true;
    }
    return false;
}

static bool is_column_from(const tarn_expr *expr, size_t first) {
    while (expr->kind == TARN_EXPR_CAST) expr = expr->args[0];
    return expr->kind == TARN_EXPR_COLUMN && expr->column >= first;
}

// Whether the test is never true where the columns from `first` on are NULL: then the rows that a
// left join adds without a match do not survive it.
static bool rejects_nulls(const tarn_expr *expr, size_t first) {
    if (expr->kind == TARN_EXPR_IN) return is_column_from(expr->args[0], first);
    if (expr->kind == TARN_EXPR_NOT) {
        const tarn_expr *inner = expr->args[0];
        return inner->kind == TARN_EXPR_IS_NULL && is_column_from(inner->args[0], first);
    }
    if (expr->kind != TARN_EXPR_CALL || !is_strict_operator(expr->name)) return false;
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (is_column_from(expr->args[i], first)) return true;
    }
    return false;
}

typedef struct left_join {
    size_t left_count;
    size_t column_count;
    key_list keys;
    sql_conjuncts of_left;  // from above
    sql_conjuncts of_right; // of ON
    sql_conjuncts residual; // of ON
    sql_conjuncts above;
} left_join;

static tarn_status sort_on_condition(const sql_optimizer *o, left_join *j, const tarn_expr *part,
                                     tarn_error *err) {
    ptrdiff_t shift = -(ptrdiff_t)j->left_count;
    equality found;
    if (is_equality(part, &found)) {
        for (size_t s = 0; s < 2; s++) {
            equality keys = {{found.sides[s], found.sides[1 - s]}};
            if (!sql_expr_has_columns(keys.sides[0]) || !sql_expr_has_columns(keys.sides[1]) ||
                !sql_expr_is_within(keys.sides[0], 0, j->left_count) ||
                !sql_expr_is_within(keys.sides[1], j->left_count, j->column_count)) {
                continue;
            }
            TARN_TRY(sql_expr_shift(o, keys.sides[1], shift, &keys.sides[1], err));
            return add_keys(o, &j->keys, keys, err);
        }
    }
    // Right rows that cannot match need not be there; left rows must stay, whatever ON says.
    if (sql_expr_has_columns(part) && sql_expr_is_safe(part) &&
        sql_expr_is_within(part, j->left_count, j->column_count)) {
        TARN_TRY(sql_expr_shift(o, part, shift, &part, err));
        return sql_conjuncts_append(o, &j->of_right, part, err);
    }
    return sql_conjuncts_append(o, &j->residual, part, err);
}

static tarn_status sort_left_join(const sql_optimizer *o, left_join *j, const tarn_plan *plan,
                                  const sql_conjuncts *list, tarn_error *err) {
    for (size_t i = 0; i < plan->join.key_count; i++) {
        equality keys = {{plan->join.left_keys[i], plan->join.right_keys[i]}};
        TARN_TRY(add_keys(o, &j->keys, keys, err));
    }
    sql_conjuncts on = {0};
    if (plan->join.residual != NULL) {
        TARN_TRY(sql_conjuncts_add(o, &on, plan->join.residual, err));
    }
    for (size_t i = 0; i < on.count; i++) TARN_TRY(sort_on_condition(o, j, on.items[i], err));
    for (size_t i = 0; i < list->count; i++) {
        const tarn_expr *part = list->items[i];
        bool is_of_left = sql_expr_has_columns(part) && sql_expr_is_safe(part) &&
                          sql_expr_is_within(part, 0, j->left_count);
        TARN_TRY(sql_conjuncts_append(o, is_of_left ? &j->of_left : &j->above, part, err));
    }
    return TARN_OK;
}

static tarn_status as_inner(const sql_optimizer *o, const tarn_plan *plan,
                            const tarn_plan **ret_plan, tarn_error *err) {
    sql_plan_join_spec spec = {
        .kind = TARN_JOIN_INNER,
        .left = plan->inputs[0],
        .right = plan->inputs[1],
        .left_keys = plan->join.left_keys,
        .right_keys = plan->join.right_keys,
        .key_count = plan->join.key_count,
        .residual = plan->join.residual,
    };
    return sql_plan_join(o->arena, &spec, ret_plan, err);
}

static tarn_status push_left(const sql_optimizer *o, const tarn_plan *plan,
                             const sql_conjuncts *list, const tarn_plan **ret_plan,
                             tarn_error *err) {
    size_t left_count = plan->inputs[0]->schema.field_count;
    for (size_t i = 0; i < list->count; i++) {
        if (!rejects_nulls(list->items[i], left_count)) continue;
        const tarn_plan *inner = NULL;
        TARN_TRY(as_inner(o, plan, &inner, err));
        return push_inner(o, inner, list, ret_plan, err);
    }
    left_join j = {.left_count = left_count, .column_count = plan->schema.field_count};
    TARN_TRY(sort_left_join(o, &j, plan, list, err));
    sql_plan_join_spec spec = {
        .kind = TARN_JOIN_LEFT,
        .left_keys = j.keys.left.items,
        .right_keys = j.keys.right.items,
        .key_count = j.keys.left.count,
    };
    TARN_TRY(sql_push_filters(o, plan->inputs[0], &j.of_left, &spec.left, err));
    TARN_TRY(sql_push_filters(o, plan->inputs[1], &j.of_right, &spec.right, err));
    TARN_TRY(sql_conjuncts_join(o, &j.residual, &spec.residual, err));
    const tarn_plan *joined = NULL;
    TARN_TRY(sql_plan_join(o->arena, &spec, &joined, err));
    return sql_filter_by(o, joined, &j.above, ret_plan, err);
}

tarn_status sql_push_into_join(const sql_optimizer *o, const tarn_plan *plan, sql_conjuncts *list,
                               const tarn_plan **ret_plan, tarn_error *err) {
    return plan->join.kind == TARN_JOIN_INNER ? push_inner(o, plan, list, ret_plan, err)
                                              : push_left(o, plan, list, ret_plan, err);
}
