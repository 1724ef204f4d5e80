#include "sql/rewrite.h"

tarn_status sql_conjuncts_append(const sql_optimizer *o, sql_conjuncts *list, const tarn_expr *part,
                                 tarn_error *err) {
    if (list->count == list->capacity) {
        size_t larger = list->capacity == 0 ? 8 : 2 * list->capacity;
        const tarn_expr **items = tarn_arena_new(o->arena, const tarn_expr *, larger);
        if (items == NULL) return sql_no_memory(err);
        for (size_t i = 0; i < list->count; i++) items[i] = list->items[i];
        list->items = items;
        list->capacity = larger;
    }
    list->items[list->count++] = part;
    return TARN_OK;
}

static bool is_true(const tarn_expr *expr) {
    return expr->kind == TARN_EXPR_LITERAL && expr->type.id == TARN_TYPE_BOOLEAN &&
           !expr->literal.is_null && expr->literal.boolean;
}

static tarn_status add_parts(const sql_optimizer *o, sql_conjuncts *list, const tarn_expr *expr,
                             tarn_error *err) {
    if (expr->kind == TARN_EXPR_AND) {
        for (size_t i = 0; i < expr->arg_count; i++) {
            TARN_TRY(add_parts(o, list, expr->args[i], err));
        }
        return TARN_OK;
    }
    if (is_true(expr)) return TARN_OK;
    for (size_t i = 0; i < list->count; i++) {
        if (tarn_expr_equal(list->items[i], expr)) return TARN_OK;
    }
    return sql_conjuncts_append(o, list, expr, err);
}

tarn_status sql_conjuncts_add(const sql_optimizer *o, sql_conjuncts *list,
                              const tarn_expr *condition, tarn_error *err) {
    const tarn_expr *folded = NULL;
    TARN_TRY(tarn_expr_fold(o->arena, condition, &folded, err));
    return add_parts(o, list, folded, err);
}

tarn_status sql_conjuncts_join(const sql_optimizer *o, const sql_conjuncts *list,
                               const tarn_expr **ret_condition, tarn_error *err) {
    *ret_condition = NULL;
    if (list->count == 0) return TARN_OK;
    *ret_condition = list->items[0];
    if (list->count == 1) return TARN_OK;
    return tarn_expr_special(o->arena, TARN_EXPR_AND, list->items, list->count,
                             list->items[0]->position, ret_condition, err);
}

// False or NULL, whatever the row.
static bool is_never(const tarn_expr *expr) {
    return expr->kind == TARN_EXPR_LITERAL && (expr->literal.is_null || !expr->literal.boolean);
}

tarn_status sql_filter_by(const sql_optimizer *o, const tarn_plan *plan, const sql_conjuncts *list,
                          const tarn_plan **ret_plan, tarn_error *err) {
    for (size_t i = 0; o->use == SQL_PLAN_OF_QUERY && i < list->count; i++) {
        if (is_never(list->items[i])) {
            return sql_plan_values(o->arena, NULL, 0, &plan->schema, ret_plan, err);
        }
    }
    const tarn_expr *condition = NULL;
    TARN_TRY(sql_conjuncts_join(o, list, &condition, err));
    *ret_plan = plan;
    if (condition == NULL) return TARN_OK;
    return sql_plan_filter(o->arena, plan, condition, ret_plan, err);
}

// ---- which tests may move ----

static const char *const safe_functions[] = {
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "~~",
    "!~~",
    "~~*",
    "!~~*",
    "+",
    "-",
    "*",
    "||",
    "lower",
    "upper",
    "length",
    "char_length",
    "btrim",
    "ltrim",
    "rtrim",
    "starts_with",
    "extract",
    "date_part",
    "date_trunc",
    "left",
    "right",
    "abs",
    "greatest",
    "least",
    "now",
    "floor",
    "ceil",
    "strpos",
    "position",
    "timezone",
    "concat",
    "current_date",
    "current_timestamp",
};

static bool is_safe_function(tarn_slice name) {
    for (size_t i = 0; i < sizeof safe_functions / sizeof *safe_functions; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(safe_functions[i]))) return true;
    }
    return false;
}

// Digits before the point that a type can need or hold.
static int integer_digits(tarn_type type) {
    switch (type.id) {
    case TARN_TYPE_SMALLINT: return 5;
    case TARN_TYPE_INTEGER: return 10;
    case TARN_TYPE_BIGINT: return 19;
    case TARN_TYPE_NUMERIC: return type.precision - type.scale;
    default: return 0;
    }
}

static bool is_safe_cast(tarn_type from, tarn_type to) {
    if (tarn_type_equal(from, to)) return true;
    if (to.id == TARN_TYPE_TEXT) return from.id != TARN_TYPE_BYTEA;
    if (tarn_type_is_integer(from) && tarn_type_is_integer(to)) {
        return integer_digits(from) <= integer_digits(to);
    }
    if (tarn_type_is_number(from) && to.id == TARN_TYPE_DOUBLE) return true;
    if (tarn_type_is_integer(from) && to.id == TARN_TYPE_REAL) return true;
    bool is_exact = tarn_type_is_integer(from) || from.id == TARN_TYPE_NUMERIC;
    if (is_exact && to.id == TARN_TYPE_NUMERIC) return integer_digits(from) < integer_digits(to);
    bool from_time = from.id == TARN_TYPE_DATE || from.id == TARN_TYPE_TIMESTAMP ||
                     from.id == TARN_TYPE_TIMESTAMPTZ;
    bool to_time =
        to.id == TARN_TYPE_TIMESTAMP || to.id == TARN_TYPE_TIMESTAMPTZ || to.id == TARN_TYPE_DATE;
    return from_time && to_time;
}

bool sql_expr_is_safe(const tarn_expr *expr) {
    if (expr->kind == TARN_EXPR_CALL && !is_safe_function(expr->name)) return false;
    if (expr->kind == TARN_EXPR_CAST && !is_safe_cast(expr->args[0]->type, expr->type)) {
        return false;
    }
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (!sql_expr_is_safe(expr->args[i])) return false;
    }
    return true;
}

bool sql_expr_is_trivial(const tarn_expr *expr) {
    return expr->kind == TARN_EXPR_COLUMN || expr->kind == TARN_EXPR_LITERAL;
}

size_t sql_expr_size(const tarn_expr *expr, size_t limit) {
    size_t size = 1;
    for (size_t i = 0; i < expr->arg_count && size < limit; i++) {
        size += sql_expr_size(expr->args[i], limit - size);
    }
    return size;
}

bool sql_expr_is_within(const tarn_expr *expr, size_t begin, size_t end) {
    if (expr->kind == TARN_EXPR_COLUMN) return expr->column >= begin && expr->column < end;
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (!sql_expr_is_within(expr->args[i], begin, end)) return false;
    }
    return true;
}

bool sql_expr_has_columns(const tarn_expr *expr) {
    return !sql_expr_is_within(expr, 0, 0);
}

// ---- moving columns ----

typedef struct move {
    const size_t *map; // NULL: by delta
    ptrdiff_t delta;
} move;

static tarn_status move_expr(const sql_optimizer *o, const tarn_expr *expr, const move *by,
                             const tarn_expr **ret_expr, tarn_error *err) {
    *ret_expr = expr;
    bool is_column = expr->kind == TARN_EXPR_COLUMN;
    if (!is_column && expr->arg_count == 0) return TARN_OK;
    size_t column = expr->column;
    if (is_column && by->map != NULL) column = by->map[column];
    if (is_column && by->map == NULL) column = (size_t)((ptrdiff_t)column + by->delta);
    if (is_column && column == expr->column) return TARN_OK;
    tarn_assert(!is_column || column != SQL_GONE);
    tarn_expr *copy = tarn_arena_new(o->arena, tarn_expr, 1);
    const tarn_expr **args = tarn_arena_new(o->arena, const tarn_expr *, expr->arg_count);
    if (copy == NULL || args == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < expr->arg_count; i++) {
        TARN_TRY(move_expr(o, expr->args[i], by, &args[i], err));
    }
    *copy = *expr;
    copy->column = column;
    copy->args = args;
    *ret_expr = copy;
    return TARN_OK;
}

tarn_status sql_expr_move(const sql_optimizer *o, const tarn_expr *expr, const size_t *map,
                          const tarn_expr **ret_expr, tarn_error *err) {
    move by = {.map = map};
    return move_expr(o, expr, &by, ret_expr, err);
}

tarn_status sql_expr_shift(const sql_optimizer *o, const tarn_expr *expr, ptrdiff_t delta,
                           const tarn_expr **ret_expr, tarn_error *err) {
    move by = {.delta = delta};
    return move_expr(o, expr, &by, ret_expr, err);
}

tarn_status sql_exprs_move(const sql_optimizer *o, const tarn_expr *const *exprs, size_t count,
                           const size_t *map, const tarn_expr ***ret_exprs, tarn_error *err) {
    const tarn_expr **moved = tarn_arena_new(o->arena, const tarn_expr *, count);
    if (moved == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(sql_expr_move(o, exprs[i], map, &moved[i], err));
    }
    *ret_exprs = moved;
    return TARN_OK;
}

tarn_status sql_keys_move(const sql_optimizer *o, const tarn_sort_key *keys, size_t count,
                          const size_t *map, const tarn_sort_key **ret_keys, tarn_error *err) {
    tarn_sort_key *moved = tarn_arena_new(o->arena, tarn_sort_key, count);
    if (moved == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        moved[i].order = keys[i].order;
        TARN_TRY(sql_expr_move(o, keys[i].expr, map, &moved[i].expr, err));
    }
    *ret_keys = moved;
    return TARN_OK;
}

tarn_status sql_select_columns(const sql_optimizer *o, const tarn_plan *plan, const size_t *columns,
                               size_t count, const tarn_plan **ret_plan, tarn_error *err) {
    bool is_all = count == plan->schema.field_count;
    for (size_t i = 0; i < count; i++) is_all &= columns[i] == i;
    *ret_plan = plan;
    if (is_all) return TARN_OK;
    const tarn_expr **exprs = tarn_arena_new(o->arena, const tarn_expr *, count);
    tarn_slice *names = tarn_arena_new(o->arena, tarn_slice, count);
    if (exprs == NULL || names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(sql_plan_column(o->arena, plan, columns[i], 0, &exprs[i], err));
        names[i] = plan->schema.fields[columns[i]].name;
    }
    sql_outputs outputs = {exprs, names, count};
    return sql_plan_project(o->arena, plan, &outputs, ret_plan, err);
}
