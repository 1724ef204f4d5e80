// FROM TUMBLE(relation, time_column, size [, offset]) and HOP(relation, time_column, slide, size
// [, offset]).

#include "sql/bind.h"

#define US_PER_DAY ((int64_t)86400 * 1000000)

// A row belongs to size / slide windows: a row that becomes thousands is a mistake.
#define WINDOWS_PER_ROW_MAX 1000

static tarn_status bind_relation_arg(sql_binder *b, const pg_node *node, const sql_cte *ctes,
                                     sql_scope *ret_scope, tarn_error *err) {
    int32_t location = sql_node_location(node);
    if (node->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
        node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK) {
        const tarn_plan *plan = NULL;
        TARN_TRY(sql_bind_nested(b, node->sub_link->subselect->select_stmt, ctes,
                                 sql_at(b, location), &plan, err));
        return sql_scope_of_plan(b, plan, (tarn_slice){0}, ret_scope, err);
    }
    const PgQuery__ColumnRef *ref =
        node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? node->column_ref : NULL;
    if (ref == NULL || ref->n_fields > 2 || sql_last_name(ref->fields, ref->n_fields).len == 0) {
        return sql_fail(err, sql_at(b, location), "42601",
                        "the first argument of a time window is the name of a relation");
    }
    sql_relation_name name = {.name = sql_last_name(ref->fields, ref->n_fields),
                              .location = location};
    if (ref->n_fields == 2) name.schema_name = sql_node_string(ref->fields[0]);
    return sql_bind_relation(b, &name, ctes, ret_scope, err);
}

static tarn_status bind_time_column(sql_binder *b, const sql_scope *scope, const pg_node *node,
                                    size_t *ret_column, tarn_error *err) {
    int32_t position = sql_at(b, sql_node_location(node));
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) {
        return sql_fail(err, position, "42601",
                        "the second argument of a time window is the name of its time column");
    }
    sql_place place = {.scope = scope, .clause = "a time window"};
    const tarn_expr *column = NULL;
    TARN_TRY(sql_bind_column(b, &place, node->column_ref, &column, err));
    if (column->type.id != TARN_TYPE_TIMESTAMP && column->type.id != TARN_TYPE_TIMESTAMPTZ) {
        (void)sql_fail(err, position, "42804",
                       "column \"" TARN_SLICE_FMT
                       "\" of a time window must be a timestamp, with or without time zone",
                       TARN_SLICE_ARG(column->name));
        tarn_error_hint(err, "cast it in a subquery: TUMBLE((SELECT ..., d::timestamp AS ts FROM "
                             "...), ts, ...)");
        return TARN_INVALID;
    }
    *ret_column = column->column;
    return TARN_OK;
}

tarn_status sql_bind_interval_us(sql_binder *b, const pg_node *node, const char *what,
                                 int64_t *ret_us, tarn_error *err) {
    int32_t position = sql_at(b, sql_node_location(node));
    sql_place place = {.clause = "an interval that must be constant"};
    const tarn_expr *expr = NULL;
    TARN_TRY(sql_bind_expr(b, &place, node, &expr, err));
    TARN_TRY(tarn_expr_cast(b->arena, expr, tarn_type_of(TARN_TYPE_INTERVAL), TARN_CAST_IMPLICIT,
                            position, &expr, err));
    tarn_value value;
    TARN_TRY(sql_evaluate(b, expr, &value, err));
    if (value.is_null) return sql_fail(err, position, "22004", "the %s must not be NULL", what);
    if (value.interval.months != 0) {
        (void)sql_unsupported(err, position, "the %s must not have months or years", what);
        tarn_error_hint(err, "months differ in length; use days");
        return TARN_UNSUPPORTED;
    }
    int64_t days_us;
    int64_t us;
    if (__builtin_mul_overflow((int64_t)value.interval.days, US_PER_DAY, &days_us) ||
        __builtin_add_overflow(days_us, value.interval.us, &us)) {
        return sql_fail(err, position, "22008", "the %s is out of range", what);
    }
    *ret_us = us;
    return TARN_OK;
}

static tarn_status check_sizes(const sql_binder *b, const PgQuery__FuncCall *call,
                               sql_plan_window_spec *spec, tarn_error *err) {
    int32_t position = sql_at(b, call->location);
    if (spec->size_us <= 0 || spec->slide_us <= 0) {
        return sql_fail(err, position, "22023",
                        "the size and slide of a time window must be "
                        "positive");
    }
    if (spec->slide_us > spec->size_us) {
        (void)sql_fail(err, position, "22023", "the slide of a window must not exceed its size");
        tarn_error_hint(err, "HOP(relation, time_column, slide, size): the slide comes first");
        return TARN_INVALID;
    }
    if (spec->size_us / spec->slide_us > WINDOWS_PER_ROW_MAX) {
        return sql_fail(err, position, "54000", "each row would fall into more than %d windows",
                        WINDOWS_PER_ROW_MAX);
    }
    spec->offset_us %= spec->slide_us;
    return TARN_OK;
}

static tarn_status bind_call(sql_binder *b, const PgQuery__FuncCall *call, const sql_cte *ctes,
                             sql_scope *ret_scope, tarn_error *err) {
    tarn_slice name = sql_last_name(call->funcname, call->n_funcname);
    int32_t position = sql_at(b, call->location);
    bool is_hop = tarn_slice_equal(name, TARN_LIT("hop"));
    if (!is_hop && !tarn_slice_equal(name, TARN_LIT("tumble"))) {
        (void)sql_unsupported(err, position,
                              "function " TARN_SLICE_FMT "() in FROM is not supported",
                              TARN_SLICE_ARG(name));
        tarn_error_hint(err, "TUMBLE and HOP are");
        return TARN_UNSUPPORTED;
    }
    size_t least = is_hop ? 4 : 3;
    if (call->n_args < least || call->n_args > least + 1) {
        return sql_fail(err, position, "42883", "%s",
                        is_hop ? "HOP takes (relation, time column, slide, size [, offset])"
                               : "TUMBLE takes (relation, time column, size [, offset])");
    }
    sql_scope input = {0};
    TARN_TRY(bind_relation_arg(b, call->args[0], ctes, &input, err));
    sql_plan_window_spec spec = {0};
    TARN_TRY(bind_time_column(b, &input, call->args[1], &spec.time_column, err));
    TARN_TRY(
        sql_bind_interval_us(b, call->args[2], is_hop ? "slide" : "size", &spec.slide_us, err));
    spec.size_us = spec.slide_us;
    if (is_hop) TARN_TRY(sql_bind_interval_us(b, call->args[3], "size", &spec.size_us, err));
    if (call->n_args > least) {
        TARN_TRY(sql_bind_interval_us(b, call->args[least], "offset", &spec.offset_us, err));
    }
    TARN_TRY(check_sizes(b, call, &spec, err));
    const tarn_plan *plan = NULL;
    TARN_TRY(sql_plan_time_window(b->arena, input.plan, &spec, &plan, err));

    // The relation's own name stays good for its columns, and covers the window's bounds too.
    tarn_slice relation = input.count > 0 ? input.columns[0].relation : (tarn_slice){0};
    sql_column *columns = tarn_arena_new(b->scratch, sql_column, input.count + 2);
    if (columns == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < input.count; i++) columns[i] = input.columns[i];
    for (size_t i = 0; i < 2; i++) {
        size_t index = input.plan->schema.field_count + i;
        columns[input.count + i] = (sql_column){.relation = relation,
                                                .name = plan->schema.fields[index].name,
                                                .index = index,
                                                .in_star = true,
                                                .is_bare = true};
    }
    *ret_scope = (sql_scope){.plan = plan, .columns = columns, .count = input.count + 2};
    return TARN_OK;
}

tarn_status sql_bind_time_window(sql_binder *b, const PgQuery__RangeFunction *node,
                                 const sql_cte *ctes, sql_scope *ret_scope, tarn_error *err) {
    const pg_node *function =
        node->n_functions == 1 && node->functions[0]->node_case == PG_QUERY__NODE__NODE_LIST
            ? node->functions[0]->list->items[0]
            : NULL;
    if (node->lateral || node->ordinality || node->is_rowsfrom || node->n_coldeflist > 0 ||
        function == NULL || function->node_case != PG_QUERY__NODE__NODE_FUNC_CALL) {
        return sql_unsupported(err, 0,
                               "LATERAL, WITH ORDINALITY, ROWS FROM and column definitions of "
                               "functions in FROM are not supported");
    }
    const PgQuery__FuncCall *call = function->func_call;
    TARN_TRY(bind_call(b, call, ctes, ret_scope, err));
    return sql_scope_alias(b, node->alias, sql_at(b, call->location), ret_scope, err);
}
