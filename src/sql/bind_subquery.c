// Subqueries in expressions: (SELECT max(x) FROM t), joined beside the plan.

#include "sql/bind.h"
#include "sql/derive.h"

static tarn_status refuse(const sql_binder *b, const PgQuery__SubLink *node, const char *what,
                          const char *hint, tarn_error *err) {
    (void)sql_unsupported(err, sql_at(b, node->location), "%s is not supported", what);
    tarn_error_hint(err, "%s", hint);
    return TARN_UNSUPPORTED;
}

static tarn_status check_place(const sql_binder *b, const sql_place *place,
                               const PgQuery__SubLink *node, tarn_error *err) {
    switch (node->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK: break;
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
        return refuse(b, node, "EXISTS (subquery)", "join the subquery's DISTINCT keys", err);
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
        return refuse(b, node, node->n_oper_name == 0 ? "IN (subquery)" : "ANY (subquery)",
                      "join the subquery's DISTINCT values; as a part of WHERE, x IN (subquery) is "
                      "supported",
                      err);
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
        return refuse(b, node, "ALL (subquery)", "compare with its min() or max()", err);
    default: return refuse(b, node, "this kind of subquery", "join it in FROM", err);
    }
    if (place->subqueries == NULL || place->in_aggregate) {
        (void)sql_unsupported(err, sql_at(b, node->location), "a subquery in %s is not supported",
                              place->clause);
        if (place->scope != NULL) tarn_error_hint(err, "join it in FROM");
        return TARN_UNSUPPORTED;
    }
    return TARN_OK;
}

// The subquery's plan, of one column.
static tarn_status bind_query(sql_binder *b, const sql_cte *ctes, const PgQuery__SubLink *node,
                              const tarn_plan **ret_plan, tarn_error *err) {
    int32_t position = sql_at(b, node->location);
    tarn_error failure = {0};
    tarn_status status =
        sql_bind_nested(b, node->subselect->select_stmt, ctes, position, ret_plan, &failure);
    if (status != TARN_OK) {
        bool is_unknown_name =
            strcmp(failure.sqlstate, "42703") == 0 || strcmp(failure.sqlstate, "42P01") == 0;
        if (is_unknown_name && failure.hint[0] == '\0') {
            tarn_error_hint(&failure, "a subquery sees only its own FROM, not the query around it");
        }
        if (err != NULL) *err = failure;
        return status;
    }
    if ((*ret_plan)->schema.field_count != 1) {
        return sql_fail(err, position, "42601", "subquery must return only one column");
    }
    return TARN_OK;
}

tarn_status sql_bind_subquery(sql_binder *b, const sql_place *place, const PgQuery__SubLink *node,
                              const tarn_expr **ret_expr, tarn_error *err) {
    TARN_TRY(check_place(b, place, node, err));
    const tarn_plan *plan = NULL;
    TARN_TRY(bind_query(b, place->subqueries->ctes, node, &plan, err));
    if (!sql_plan_is_single_row(plan)) {
        return refuse(b, node, "a subquery that may return more than one row",
                      "aggregate it, as (SELECT max(...) ...), or join it in FROM", err);
    }
    sql_subqueries *list = place->subqueries;
    list->plans = sql_grow(b->scratch, list->plans, list->count, &list->capacity, sizeof(void *));
    if (list->plans == NULL) return sql_no_memory(err);
    list->plans[list->count] = plan;
    tarn_field field = plan->schema.fields[0];
    field.not_null &= sql_plan_has_one_row(plan);
    return tarn_expr_column(b->arena, SQL_SUBQUERY_COLUMN + list->count++, &field,
                            sql_at(b, node->location), ret_expr, err);
}

tarn_status sql_join_subqueries(sql_binder *b, const sql_subqueries *subqueries,
                                const tarn_plan *input, const tarn_plan **ret_plan,
                                tarn_error *err) {
    *ret_plan = input;
    for (size_t i = 0; i < subqueries->count; i++) {
        // Without a row the subquery is NULL.
        bool has_row = sql_plan_has_one_row(subqueries->plans[i]);
        sql_plan_join_spec spec = {.kind = has_row ? TARN_JOIN_INNER : TARN_JOIN_LEFT,
                                   .left = *ret_plan,
                                   .right = subqueries->plans[i]};
        TARN_TRY(sql_plan_join(b->arena, &spec, ret_plan, err));
    }
    return TARN_OK;
}

bool sql_is_in_subquery(const pg_node *node) {
    return node->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
           node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK &&
           node->sub_link->n_oper_name == 0;
}

tarn_status sql_join_in_subquery(sql_binder *b, sql_scope *scope, const sql_cte *ctes,
                                 const PgQuery__SubLink *node, const tarn_expr **ret_condition,
                                 tarn_error *err) {
    sql_place place = {.scope = scope, .clause = "WHERE"};
    const tarn_expr *sides[2] = {NULL, NULL};
    TARN_TRY(sql_bind_expr(b, &place, node->testexpr, &sides[0], err));
    sql_plan_join_spec spec = {.kind = TARN_JOIN_INNER, .left = scope->plan};
    TARN_TRY(bind_query(b, ctes, node, &spec.right, err));
    TARN_TRY(sql_distinct(b, spec.right, &spec.right, err));
    size_t column = scope->plan->schema.field_count;
    TARN_TRY(sql_plan_join(b->arena, &spec, &scope->plan, err));
    int32_t position = sql_at(b, node->location);
    TARN_TRY(sql_plan_column(b->arena, scope->plan, column, position, &sides[1], err));
    return tarn_expr_call(b->arena, TARN_LIT("="), sides, 2, position, ret_condition, err);
}
