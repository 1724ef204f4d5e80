// Expressions: operators and SQL's special forms.

#include "sql/bind.h"

// Where an expression is made, for the calls below.
typedef struct maker {
    sql_binder *b;
    int32_t position;
} maker;

static maker maker_at(sql_binder *b, int32_t location) {
    return (maker){b, sql_at(b, location)};
}

static tarn_status call(maker m, const char *name, const tarn_expr *const *args, size_t count,
                        const tarn_expr **ret_expr, tarn_error *err) {
    return tarn_expr_call(m.b->arena, tarn_slice_from_cstr(name), args, count, m.position, ret_expr,
                          err);
}

static tarn_status special(maker m, tarn_expr_kind kind, const tarn_expr *const *args, size_t count,
                           const tarn_expr **ret_expr, tarn_error *err) {
    return tarn_expr_special(m.b->arena, kind, args, count, m.position, ret_expr, err);
}

static tarn_status negate(maker m, const tarn_expr *expr, const tarn_expr **ret_expr,
                          tarn_error *err) {
    return special(m, TARN_EXPR_NOT, &expr, 1, ret_expr, err);
}

static tarn_status new_literal(maker m, tarn_value value, const tarn_expr **ret_expr,
                               tarn_error *err) {
    return tarn_expr_literal(m.b->arena, value, false, m.position, ret_expr, err);
}

static tarn_status new_boolean(maker m, bool boolean, const tarn_expr **ret_expr, tarn_error *err) {
    tarn_value value = {.type = tarn_type_of(TARN_TYPE_BOOLEAN), .boolean = boolean};
    return new_literal(m, value, ret_expr, err);
}

static tarn_status new_null(maker m, const tarn_expr **ret_expr, tarn_error *err) {
    return new_literal(m, tarn_value_null(tarn_type_of(TARN_TYPE_NULL)), ret_expr, err);
}

tarn_status sql_and(tarn_arena *arena, const tarn_expr *a, const tarn_expr *b,
                    const tarn_expr **ret_expr, tarn_error *err) {
    if (a == NULL || b == NULL) {
        *ret_expr = a == NULL ? b : a;
        return TARN_OK;
    }
    const tarn_expr *args[] = {a, b};
    return tarn_expr_special(arena, TARN_EXPR_AND, args, 2, a->position, ret_expr, err);
}

// Binds `count` nodes; the array is in the scratch arena.
static tarn_status bind_list(sql_binder *b, const sql_place *place, PgQuery__Node *const *nodes,
                             size_t count, const tarn_expr ***ret_exprs, tarn_error *err) {
    const tarn_expr **exprs = tarn_arena_new(b->scratch, const tarn_expr *, count);
    if (exprs == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(sql_bind_expr(b, place, nodes[i], &exprs[i], err));
    }
    *ret_exprs = exprs;
    return TARN_OK;
}

// ---- a_expr ----

// +, =, ||, ... with one or two operands.
static tarn_status bind_operator(sql_binder *b, const sql_place *place, const PgQuery__AExpr *node,
                                 const tarn_expr **ret_expr, tarn_error *err) {
    const tarn_expr *args[2];
    size_t count = 0;
    if (node->lexpr != NULL) {
        TARN_TRY(sql_bind_expr(b, place, node->lexpr, &args[count], err));
        count++;
    }
    TARN_TRY(sql_bind_expr(b, place, node->rexpr, &args[count], err));
    count++;
    tarn_slice name = sql_last_name(node->name, node->n_name);
    return tarn_expr_call(b->arena, name, args, count, sql_at(b, node->location), ret_expr, err);
}

// x LIKE y, and x LIKE y ESCAPE z, which the grammar writes as like_escape(y, z).
static tarn_status bind_like(sql_binder *b, const sql_place *place, const PgQuery__AExpr *node,
                             const tarn_expr **ret_expr, tarn_error *err) {
    const pg_node *pattern = node->rexpr;
    const pg_node *escape = NULL;
    if (pattern->node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
        tarn_slice_equal(
            sql_last_name(pattern->func_call->funcname, pattern->func_call->n_funcname),
            TARN_LIT("like_escape")) &&
        pattern->func_call->n_args == 2) {
        escape = pattern->func_call->args[1];
        pattern = pattern->func_call->args[0];
    }
    const tarn_expr *args[3];
    TARN_TRY(sql_bind_expr(b, place, node->lexpr, &args[0], err));
    TARN_TRY(sql_bind_expr(b, place, pattern, &args[1], err));
    if (escape != NULL) TARN_TRY(sql_bind_expr(b, place, escape, &args[2], err));
    tarn_slice name = sql_last_name(node->name, node->n_name);
    return tarn_expr_call(b->arena, name, args, escape == NULL ? 2 : 3, sql_at(b, node->location),
                          ret_expr, err);
}

// IS NOT DISTINCT FROM: equal, or both NULL.
static tarn_status bind_distinct(sql_binder *b, const sql_place *place, const PgQuery__AExpr *node,
                                 const tarn_expr **ret_expr, tarn_error *err) {
    maker m = maker_at(b, node->location);
    const tarn_expr *sides[2];
    TARN_TRY(sql_bind_expr(b, place, node->lexpr, &sides[0], err));
    TARN_TRY(sql_bind_expr(b, place, node->rexpr, &sides[1], err));
    const tarn_expr *parts[2];
    TARN_TRY(call(m, "=", sides, 2, &parts[0], err));
    const tarn_expr *nulls[2];
    for (size_t i = 0; i < 2; i++) {
        TARN_TRY(special(m, TARN_EXPR_IS_NULL, &sides[i], 1, &nulls[i], err));
    }
    TARN_TRY(special(m, TARN_EXPR_AND, nulls, 2, &parts[1], err));
    const tarn_expr *same = NULL;
    TARN_TRY(special(m, TARN_EXPR_COALESCE, parts, 2, &same, err));
    if (node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT) {
        return negate(m, same, ret_expr, err);
    }
    *ret_expr = same;
    return TARN_OK;
}

static tarn_status bind_nullif(sql_binder *b, const sql_place *place, const PgQuery__AExpr *node,
                               const tarn_expr **ret_expr, tarn_error *err) {
    maker m = maker_at(b, node->location);
    const tarn_expr *sides[2];
    TARN_TRY(sql_bind_expr(b, place, node->lexpr, &sides[0], err));
    TARN_TRY(sql_bind_expr(b, place, node->rexpr, &sides[1], err));
    const tarn_expr *args[3] = {NULL, NULL, sides[0]};
    TARN_TRY(call(m, "=", sides, 2, &args[0], err));
    TARN_TRY(new_null(m, &args[1], err));
    return special(m, TARN_EXPR_CASE, args, 3, ret_expr, err);
}

static tarn_status bind_in(sql_binder *b, const sql_place *place, const PgQuery__AExpr *node,
                           const tarn_expr **ret_expr, tarn_error *err) {
    maker m = maker_at(b, node->location);
    const PgQuery__List *items = node->rexpr->list;
    const tarn_expr **args = tarn_arena_new(b->scratch, const tarn_expr *, items->n_items + 1);
    if (args == NULL) return sql_no_memory(err);
    TARN_TRY(sql_bind_expr(b, place, node->lexpr, &args[0], err));
    for (size_t i = 0; i < items->n_items; i++) {
        TARN_TRY(sql_bind_expr(b, place, items->items[i], &args[i + 1], err));
    }
    const tarn_expr *in = NULL;
    TARN_TRY(special(m, TARN_EXPR_IN, args, items->n_items + 1, &in, err));
    bool is_not_in = tarn_slice_equal(sql_last_name(node->name, node->n_name), TARN_LIT("<>"));
    if (is_not_in) return negate(m, in, ret_expr, err);
    *ret_expr = in;
    return TARN_OK;
}

static tarn_status between(maker m, const tarn_expr *x, const tarn_expr *low, const tarn_expr *high,
                           const tarn_expr **ret_expr, tarn_error *err) {
    const tarn_expr *parts[2];
    TARN_TRY(call(m, ">=", (const tarn_expr *[]){x, low}, 2, &parts[0], err));
    TARN_TRY(call(m, "<=", (const tarn_expr *[]){x, high}, 2, &parts[1], err));
    return special(m, TARN_EXPR_AND, parts, 2, ret_expr, err);
}

static tarn_status bind_between(sql_binder *b, const sql_place *place, const PgQuery__AExpr *node,
                                const tarn_expr **ret_expr, tarn_error *err) {
    maker m = maker_at(b, node->location);
    const PgQuery__List *bounds = node->rexpr->list;
    const tarn_expr *x = NULL;
    const tarn_expr *low = NULL;
    const tarn_expr *high = NULL;
    TARN_TRY(sql_bind_expr(b, place, node->lexpr, &x, err));
    TARN_TRY(sql_bind_expr(b, place, bounds->items[0], &low, err));
    TARN_TRY(sql_bind_expr(b, place, bounds->items[1], &high, err));
    const tarn_expr *inside = NULL;
    TARN_TRY(between(m, x, low, high, &inside, err));
    if (node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM ||
        node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM) {
        const tarn_expr *either[2] = {inside, NULL};
        TARN_TRY(between(m, x, high, low, &either[1], err));
        TARN_TRY(special(m, TARN_EXPR_OR, either, 2, &inside, err));
    }
    if (node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN ||
        node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM) {
        return negate(m, inside, ret_expr, err);
    }
    *ret_expr = inside;
    return TARN_OK;
}

static tarn_status bind_a_expr(sql_binder *b, const sql_place *place, const PgQuery__AExpr *node,
                               const tarn_expr **ret_expr, tarn_error *err) {
    switch (node->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP: return bind_operator(b, place, node, ret_expr, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return bind_distinct(b, place, node, ret_expr, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF: return bind_nullif(b, place, node, ret_expr, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN: return bind_in(b, place, node, ret_expr, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE: return bind_like(b, place, node, ret_expr, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return bind_between(b, place, node, ret_expr, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
        (void)sql_unsupported(err, sql_at(b, node->location), "%s (array) is not supported",
                              node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY ? "ANY" : "ALL");
        tarn_error_hint(err, "write the values as a list: x IN (1, 2)");
        return TARN_UNSUPPORTED;
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        return sql_unsupported(err, sql_at(b, node->location), "SIMILAR TO is not supported");
    default:
        return sql_unsupported(err, sql_at(b, node->location), "this operator is not supported");
    }
}

// ---- AND, OR, NOT, IS, CASE, COALESCE ----

static tarn_status bind_bool_expr(sql_binder *b, const sql_place *place,
                                  const PgQuery__BoolExpr *node, const tarn_expr **ret_expr,
                                  tarn_error *err) {
    const tarn_expr **args = NULL;
    TARN_TRY(bind_list(b, place, node->args, node->n_args, &args, err));
    tarn_expr_kind kind = TARN_EXPR_NOT;
    if (node->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) kind = TARN_EXPR_AND;
    if (node->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR) kind = TARN_EXPR_OR;
    return special(maker_at(b, node->location), kind, args, node->n_args, ret_expr, err);
}

static tarn_status bind_null_test(sql_binder *b, const sql_place *place,
                                  const PgQuery__NullTest *node, const tarn_expr **ret_expr,
                                  tarn_error *err) {
    maker m = maker_at(b, node->location);
    const tarn_expr *arg = NULL;
    TARN_TRY(sql_bind_expr(b, place, node->arg, &arg, err));
    const tarn_expr *is_null = NULL;
    TARN_TRY(special(m, TARN_EXPR_IS_NULL, &arg, 1, &is_null, err));
    if (node->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL) {
        return negate(m, is_null, ret_expr, err);
    }
    *ret_expr = is_null;
    return TARN_OK;
}

// x IS TRUE is COALESCE(x, false), x IS NOT FALSE is COALESCE(x, true); the others their negation.
static tarn_status bind_boolean_test(sql_binder *b, const sql_place *place,
                                     const PgQuery__BooleanTest *node, const tarn_expr **ret_expr,
                                     tarn_error *err) {
    maker m = maker_at(b, node->location);
    const tarn_expr *args[2];
    const sql_place inner = *place;
    TARN_TRY(sql_bind_expr(b, &inner, node->arg, &args[0], err));
    const tarn_expr *result = NULL;
    bool negated = false;
    switch (node->booltesttype) {
    case PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN:
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN:
        negated = node->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN;
        TARN_TRY(special(m, TARN_EXPR_IS_NULL, args, 1, &result, err));
        break;
    default: {
        bool if_null = node->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_FALSE ||
                       node->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE;
        negated = node->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE ||
                  node->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_FALSE;
        TARN_TRY(new_boolean(m, if_null, &args[1], err));
        TARN_TRY(special(m, TARN_EXPR_COALESCE, args, 2, &result, err));
        break;
    }
    }
    if (negated) return negate(m, result, ret_expr, err);
    *ret_expr = result;
    return TARN_OK;
}

static tarn_status bind_case(sql_binder *b, const sql_place *place, const PgQuery__CaseExpr *node,
                             const tarn_expr **ret_expr, tarn_error *err) {
    maker m = maker_at(b, node->location);
    const tarn_expr *subject = NULL;
    if (node->arg != NULL) TARN_TRY(sql_bind_expr(b, place, node->arg, &subject, err));
    size_t count = 2 * node->n_args + 1;
    const tarn_expr **args = tarn_arena_new(b->scratch, const tarn_expr *, count);
    if (args == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < node->n_args; i++) {
        const PgQuery__CaseWhen *when = node->args[i]->case_when;
        const tarn_expr *condition = NULL;
        TARN_TRY(sql_bind_expr(b, place, when->expr, &condition, err));
        if (subject != NULL) {
            const tarn_expr *sides[] = {subject, condition};
            TARN_TRY(call(maker_at(b, when->location), "=", sides, 2, &condition, err));
        }
        args[2 * i] = condition;
        TARN_TRY(sql_bind_expr(b, place, when->result, &args[2 * i + 1], err));
    }
    if (node->defresult != NULL) {
        TARN_TRY(sql_bind_expr(b, place, node->defresult, &args[count - 1], err));
    } else {
        TARN_TRY(new_null(m, &args[count - 1], err));
    }
    return special(m, TARN_EXPR_CASE, args, count, ret_expr, err);
}

static tarn_status bind_coalesce(sql_binder *b, const sql_place *place,
                                 const PgQuery__CoalesceExpr *node, const tarn_expr **ret_expr,
                                 tarn_error *err) {
    const tarn_expr **args = NULL;
    TARN_TRY(bind_list(b, place, node->args, node->n_args, &args, err));
    return special(maker_at(b, node->location), TARN_EXPR_COALESCE, args, node->n_args, ret_expr,
                   err);
}

static tarn_status bind_min_max(sql_binder *b, const sql_place *place,
                                const PgQuery__MinMaxExpr *node, const tarn_expr **ret_expr,
                                tarn_error *err) {
    const tarn_expr **args = NULL;
    TARN_TRY(bind_list(b, place, node->args, node->n_args, &args, err));
    const char *name = node->op == PG_QUERY__MIN_MAX_OP__IS_LEAST ? "least" : "greatest";
    return call(maker_at(b, node->location), name, args, node->n_args, ret_expr, err);
}

// CURRENT_DATE and its relatives.
static tarn_status bind_sql_value(sql_binder *b, const PgQuery__SQLValueFunction *node,
                                  const tarn_expr **ret_expr, tarn_error *err) {
    maker m = maker_at(b, node->location);
    const char *name = NULL;
    switch (node->op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE: name = "current_date"; break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME: name = "current_time"; break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP: name = "current_timestamp"; break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME: name = "localtime"; break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP: name = "localtimestamp"; break;
    default:
        return sql_unsupported(err, m.position,
                               "CURRENT_USER, CURRENT_CATALOG, times with a precision and their "
                               "relatives are not supported");
    }
    return call(m, name, NULL, 0, ret_expr, err);
}

static tarn_status bind_cast(sql_binder *b, const sql_place *place, const PgQuery__TypeCast *node,
                             const tarn_expr **ret_expr, tarn_error *err) {
    int32_t location = node->location >= 0 ? node->location : node->type_name->location;
    int32_t position = sql_at(b, location);
    tarn_type type;
    TARN_TRY(sql_bind_type(b, node->type_name, SQL_TYPE_OF_CAST, &type, err));
    const tarn_expr *arg = NULL;
    bool is_string = node->arg->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                     node->arg->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL;
    if (is_string && type.id == TARN_TYPE_INTERVAL) {
        tarn_slice text = tarn_slice_from_cstr(node->arg->a_const->sval->sval);
        TARN_TRY(sql_interval_text(b, node->type_name, text, &text, err));
        tarn_value value = {.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = text};
        TARN_TRY(tarn_expr_literal(b->arena, value, true, position, &arg, err));
    } else {
        TARN_TRY(sql_bind_expr(b, place, node->arg, &arg, err));
    }
    return tarn_expr_cast(b->arena, arg, type, TARN_CAST_EXPLICIT, position, ret_expr, err);
}

tarn_status sql_bind_expr(sql_binder *b, const sql_place *place, const pg_node *node,
                          const tarn_expr **ret_expr, tarn_error *err) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return sql_bind_column(b, place, node->column_ref, ret_expr, err);
    case PG_QUERY__NODE__NODE_A_CONST: return sql_bind_constant(b, node, ret_expr, err);
    case PG_QUERY__NODE__NODE_A_EXPR: return bind_a_expr(b, place, node->a_expr, ret_expr, err);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return bind_bool_expr(b, place, node->bool_expr, ret_expr, err);
    case PG_QUERY__NODE__NODE_FUNC_CALL: return sql_bind_function(b, place, node, ret_expr, err);
    case PG_QUERY__NODE__NODE_TYPE_CAST: return bind_cast(b, place, node->type_cast, ret_expr, err);
    case PG_QUERY__NODE__NODE_CASE_EXPR: return bind_case(b, place, node->case_expr, ret_expr, err);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return bind_coalesce(b, place, node->coalesce_expr, ret_expr, err);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return bind_min_max(b, place, node->min_max_expr, ret_expr, err);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return bind_null_test(b, place, node->null_test, ret_expr, err);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return bind_boolean_test(b, place, node->boolean_test, ret_expr, err);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return bind_sql_value(b, node->sqlvalue_function, ret_expr, err);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return sql_bind_subquery(b, place, node->sub_link, ret_expr, err);
    default:
        return sql_unsupported(err, sql_at(b, sql_node_location(node)), "%s is not supported",
                               sql_node_title(node));
    }
}

static tarn_status type_text(tarn_type type, tarn_buffer *out, tarn_error *err) {
    if (type.id == TARN_TYPE_NULL) {
        return tarn_buffer_append(out, TARN_LIT("text")) ? TARN_OK : sql_no_memory(err);
    }
    return tarn_type_format(type, out, err);
}

tarn_status sql_bind_condition(sql_binder *b, const sql_place *place, const pg_node *node,
                               const tarn_expr **ret_expr, tarn_error *err) {
    const tarn_expr *expr = NULL;
    TARN_TRY(sql_bind_expr(b, place, node, &expr, err));
    tarn_type boolean = tarn_type_of(TARN_TYPE_BOOLEAN);
    if (expr->type.id == TARN_TYPE_NULL) { // WHERE NULL, WHERE 'true'
        return tarn_expr_cast(b->arena, expr, boolean, TARN_CAST_IMPLICIT, expr->position, ret_expr,
                              err);
    }
    if (expr->type.id != TARN_TYPE_BOOLEAN) {
        tarn_buffer name = {.alloc = b->scratch->alloc};
        tarn_status status = type_text(expr->type, &name, err);
        if (status == TARN_OK) {
            status = sql_fail(err, sql_at(b, sql_node_start(node)), "42804",
                              "argument of %s must be type boolean, not type " TARN_SLICE_FMT,
                              place->clause, TARN_SLICE_ARG(tarn_buffer_slice(&name)));
        }
        tarn_buffer_free(&name);
        return status;
    }
    *ret_expr = expr;
    return TARN_OK;
}

tarn_status sql_settle_type(sql_binder *b, const tarn_expr *expr, const tarn_expr **ret_expr,
                            tarn_error *err) {
    if (expr->type.id != TARN_TYPE_NULL) {
        *ret_expr = expr;
        return TARN_OK;
    }
    return tarn_expr_cast(b->arena, expr, tarn_type_of(TARN_TYPE_TEXT), TARN_CAST_EXPLICIT,
                          expr->position, ret_expr, err);
}

tarn_status sql_evaluate(sql_binder *b, const tarn_expr *expr, tarn_value *ret_value,
                         tarn_error *err) {
    return tarn_expr_evaluate(expr, (tarn_eval_context){0}, b->arena, ret_value, err);
}

tarn_status sql_bind_order(sql_binder *b, const PgQuery__SortBy *sort, tarn_key_order *ret_order,
                           tarn_error *err) {
    if (sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING) {
        return sql_unsupported(err, sql_at(b, sort->location),
                               "ORDER BY ... USING is not "
                               "supported");
    }
    bool descending = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    bool nulls_last = !descending; // NULL counts as larger than any value
    if (sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST) nulls_last = false;
    if (sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST) nulls_last = true;
    *ret_order = (tarn_key_order){.descending = descending, .nulls_last = nulls_last};
    return TARN_OK;
}
