// CREATE MATERIALIZED VIEW and EMIT ON WINDOW CLOSE.

#include "sql/bind.h"
#include "sql/optimize.h"

// ---- EMIT ON WINDOW CLOSE ----

typedef struct emit_search {
    sql_binder *b;
    size_t found;         // aggregates that will emit
    bool has_aggregate;   // there was one
    bool lacks_watermark; // one was grouped by a window, but of a time without a watermark
} emit_search;

static tarn_status emit_at(emit_search *search, const tarn_plan *plan, const tarn_plan **ret_plan,
                           tarn_error *err) {
    search->has_aggregate = true;
    *ret_plan = plan;
    size_t count = plan->schema.field_count;
    size_t group = SIZE_MAX;
    int64_t until_end_us = 0;
    for (size_t i = 0; i < plan->aggregate.group_count; i++) {
        sql_time_trace trace = sql_plan_trace_time(plan, i);
        search->lacks_watermark |= trace.is_window && !trace.is_time;
        // window_start before window_end: it names the window, as a time column should.
        bool is_better = group == SIZE_MAX || trace.until_end_us > until_end_us;
        if (trace.is_window && trace.is_time && is_better) {
            group = i;
            until_end_us = trace.until_end_us;
        }
    }
    if (group == SIZE_MAX) return TARN_OK;
    search->found++;
    tarn_slice *names = tarn_arena_new(search->b->arena, tarn_slice, count);
    if (names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) names[i] = plan->schema.fields[i].name;
    sql_plan_aggregate_spec spec = {
        .input = plan->inputs[0],
        .groups = plan->aggregate.groups,
        .group_names = names,
        .group_count = plan->aggregate.group_count,
        .aggregates = plan->aggregate.aggregates,
        .aggregate_names = names + plan->aggregate.group_count,
        .aggregate_count = plan->aggregate.aggregate_count,
        .emit_on_close = true,
        .window_group = group,
        .window_offset_us = until_end_us,
    };
    return sql_plan_aggregate(search->b->arena, &spec, ret_plan, err);
}

// The topmost aggregates of the plan.
static tarn_status search_emit(emit_search *search, const tarn_plan *plan,
                               const tarn_plan **ret_plan, tarn_error *err) {
    if (plan->kind == TARN_PLAN_AGGREGATE) return emit_at(search, plan, ret_plan, err);
    const tarn_plan **inputs =
        tarn_arena_new(search->b->scratch, const tarn_plan *, plan->input_count);
    if (inputs == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < plan->input_count; i++) {
        TARN_TRY(search_emit(search, plan->inputs[i], &inputs[i], err));
    }
    return sql_plan_with_inputs(search->b->arena, plan, inputs, ret_plan, err);
}

tarn_status sql_emit_on_close(sql_binder *b, const tarn_plan *plan, const tarn_plan **ret_plan,
                              tarn_error *err) {
    emit_search search = {.b = b};
    TARN_TRY(search_emit(&search, plan, ret_plan, err));
    if (search.found > 0) return TARN_OK;
    int32_t position = sql_dialect_position(b->dialect, b->dialect->emit_offset);
    if (search.lacks_watermark) {
        (void)sql_fail(err, position, "42P17",
                       "EMIT ON WINDOW CLOSE needs a watermark, and the time of these windows has "
                       "none");
        tarn_error_hint(err, "add WATERMARK FOR time_column AS time_column - INTERVAL '...' to the "
                             "source, and keep that column in the views between");
    } else {
        (void)sql_fail(err, position, "42P17",
                       "EMIT ON WINDOW CLOSE needs GROUP BY window_start or window_end");
        tarn_error_hint(err, "%s",
                        search.has_aggregate
                            ? "group by a window of FROM TUMBLE(...) or HOP(...)"
                            : "aggregate over FROM TUMBLE(...) or HOP(...), or leave the clause "
                              "out");
    }
    return TARN_INVALID;
}

// ---- what a view cannot hold ----

static tarn_status refuse_volatile(const tarn_expr *expr, tarn_error *err) {
    if (expr == NULL || !tarn_expr_is_volatile(expr)) return TARN_OK;
    (void)sql_unsupported(err, expr->position,
                          "a function of the moment, as now(), in a materialized view is not "
                          "supported");
    tarn_error_hint(err, "a view is a function of its rows; use a time column of the data");
    return TARN_UNSUPPORTED;
}

static tarn_status check_exprs(const tarn_expr *const *exprs, size_t count, tarn_error *err) {
    for (size_t i = 0; i < count; i++) TARN_TRY(refuse_volatile(exprs[i], err));
    return TARN_OK;
}

static tarn_status check_scan(const sql_binder *b, const tarn_plan *plan, tarn_error *err) {
    if (plan->scan.relation->kind == TARN_RELATION_SYSTEM) {
        return sql_unsupported(
            err, 0, "a materialized view over system table \"" TARN_SLICE_FMT "\" is not supported",
            TARN_SLICE_ARG(plan->scan.relation->name));
    }
    if (plan->scan.as_of != TARN_AS_OF_NOW) {
        size_t offset = b->dialect->as_of_count > 0 ? b->dialect->as_of[0].offset : 0;
        return sql_unsupported(err, sql_dialect_position(b->dialect, offset),
                               "FOR SYSTEM_VERSION or FOR SYSTEM_TIME in a materialized view is "
                               "not supported");
    }
    return TARN_OK;
}

static tarn_status check_streamable(const sql_binder *b, const tarn_plan *plan, tarn_error *err) {
    switch (plan->kind) {
    case TARN_PLAN_SCAN: TARN_TRY(check_scan(b, plan, err)); break;
    case TARN_PLAN_VALUES:
        TARN_TRY(check_exprs(plan->values.cells, plan->values.row_count * plan->schema.field_count,
                             err));
        break;
    case TARN_PLAN_FILTER: TARN_TRY(refuse_volatile(plan->filter.condition, err)); break;
    case TARN_PLAN_PROJECT:
        TARN_TRY(check_exprs(plan->project.exprs, plan->schema.field_count, err));
        break;
    case TARN_PLAN_JOIN: TARN_TRY(refuse_volatile(plan->join.residual, err)); break;
    case TARN_PLAN_AGGREGATE:
        TARN_TRY(check_exprs(plan->aggregate.groups, plan->aggregate.group_count, err));
        for (size_t i = 0; i < plan->aggregate.aggregate_count; i++) {
            TARN_TRY(refuse_volatile(plan->aggregate.aggregates[i].arg, err));
            TARN_TRY(refuse_volatile(plan->aggregate.aggregates[i].filter, err));
        }
        break;
    case TARN_PLAN_SORT:
        for (size_t i = 0; i < plan->sort.key_count; i++) {
            TARN_TRY(refuse_volatile(plan->sort.keys[i].expr, err));
        }
        break;
    case TARN_PLAN_TOP_N:
        TARN_TRY(check_exprs(plan->top_n.partitions, plan->top_n.partition_count, err));
        for (size_t i = 0; i < plan->top_n.key_count; i++) {
            TARN_TRY(refuse_volatile(plan->top_n.keys[i].expr, err));
        }
        break;
    case TARN_PLAN_TIME_WINDOW:
    case TARN_PLAN_LIMIT:
    case TARN_PLAN_UNION_ALL: break;
    }
    for (size_t i = 0; i < plan->input_count; i++) {
        TARN_TRY(check_streamable(b, plan->inputs[i], err));
    }
    return TARN_OK;
}

static tarn_status check_columns(const tarn_plan *plan, int32_t position, tarn_error *err) {
    const tarn_schema *schema = &plan->schema;
    if (schema->field_count == 0) {
        return sql_fail(err, position, "42601", "a materialized view needs at least one column");
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        tarn_slice name = schema->fields[i].name;
        for (size_t k = 0; k < i; k++) {
            if (!tarn_slice_equal(schema->fields[k].name, name)) continue;
            (void)sql_fail(err, position, "42701",
                           "column \"" TARN_SLICE_FMT "\" specified more than once",
                           TARN_SLICE_ARG(name));
            tarn_error_hint(err, "name one of them otherwise: ... AS other_name");
            return TARN_INVALID;
        }
        if (schema->fields[i].type.id != TARN_TYPE_INTERVAL) continue;
        (void)sql_unsupported(err, position,
                              "column \"" TARN_SLICE_FMT
                              "\" of type interval cannot be stored in a view",
                              TARN_SLICE_ARG(name));
        tarn_error_hint(err, "store seconds: EXTRACT(epoch FROM ...)");
        return TARN_UNSUPPORTED;
    }
    return TARN_OK;
}

static tarn_status rename_columns(sql_binder *b, const PgQuery__IntoClause *into,
                                  const tarn_plan *plan, const tarn_plan **ret_plan,
                                  tarn_error *err) {
    *ret_plan = plan;
    if (into->n_col_names == 0) return TARN_OK;
    size_t count = plan->schema.field_count;
    if (into->n_col_names > count) {
        return sql_fail(err, sql_at(b, into->rel->location), "42601",
                        "too many column names were specified");
    }
    tarn_slice *names = tarn_arena_new(b->arena, tarn_slice, count);
    if (names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        names[i] = plan->schema.fields[i].name;
        if (i < into->n_col_names) {
            TARN_TRY(sql_copy_name(b, sql_node_string(into->col_names[i]), &names[i], err));
        }
    }
    return sql_plan_rename(b->arena, plan, names, ret_plan, err);
}

static tarn_status check_create_view(const sql_binder *b, const PgQuery__CreateTableAsStmt *node,
                                     tarn_error *err) {
    int32_t position = sql_at(b, node->into->rel->location);
    if (node->objtype != PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW) {
        (void)sql_unsupported(err, position, "CREATE TABLE AS is not supported");
        tarn_error_hint(err, "CREATE TABLE, then INSERT INTO ... SELECT; or a materialized view");
        return TARN_UNSUPPORTED;
    }
    const char *what = NULL;
    if (node->into->skip_data) what = "WITH NO DATA";
    if (node->into->access_method != NULL && node->into->access_method[0] != '\0') what = "USING";
    if (node->into->table_space_name != NULL && node->into->table_space_name[0] != '\0') {
        what = "TABLESPACE";
    }
    if (node->query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) what = "a view over EXECUTE";
    if (what != NULL) return sql_unsupported(err, position, "%s is not supported", what);
    return TARN_OK;
}

tarn_status sql_bind_create_view(sql_binder *b, const PgQuery__CreateTableAsStmt *node,
                                 tarn_statement *statement, tarn_error *err) {
    TARN_TRY(check_create_view(b, node, err));
    tarn_slice name = {0};
    TARN_TRY(sql_check_new_name(b, node->into->rel, &name, err));
    int32_t position = sql_at(b, node->into->rel->location);
    const tarn_plan *plan = NULL;
    sql_query_context context = {0};
    TARN_TRY(sql_bind_query(b, node->query->select_stmt, &context, &plan, err));
    TARN_TRY(rename_columns(b, node->into, plan, &plan, err));
    TARN_TRY(check_columns(plan, position, err));
    TARN_TRY(check_streamable(b, plan, err));
    if (b->dialect->emit_on_close) TARN_TRY(sql_emit_on_close(b, plan, &plan, err));
    TARN_TRY(sql_optimize(b->arena, plan, SQL_PLAN_OF_VIEW, &plan, err));

    statement->kind = TARN_STATEMENT_CREATE_VIEW;
    statement->create_view.name = name;
    statement->create_view.if_not_exists = node->if_not_exists;
    statement->create_view.plan = plan;
    statement->create_view.emit_on_close = b->dialect->emit_on_close;
    statement->create_view.options = b->dialect->options;
    statement->create_view.option_count = b->dialect->option_count;
    statement->create_view.inputs = b->relations;
    statement->create_view.input_count = b->relation_count;
    return TARN_OK;
}
