// Function calls: scalar functions, aggregates, row_number().

#include "sql/bind.h"

static const char *const window_functions[] = {
    "rank", "dense_rank", "percent_rank", "cume_dist",  "ntile",
    "lag",  "lead",       "first_value",  "last_value", "nth_value",
};

static bool is_window_function(tarn_slice name) {
    for (size_t i = 0; i < sizeof window_functions / sizeof *window_functions; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(window_functions[i]))) return true;
    }
    return tarn_slice_equal(name, TARN_LIT("row_number"));
}

// Parts of a call that no function of ours takes.
static tarn_status check_parts(const sql_binder *b, const PgQuery__FuncCall *node, tarn_slice name,
                               tarn_error *err) {
    int32_t position = sql_at(b, node->location);
    if (node->agg_within_group) {
        return sql_unsupported(err, position, "WITHIN GROUP (" TARN_SLICE_FMT ") is not supported",
                               TARN_SLICE_ARG(name));
    }
    if (node->n_agg_order > 0) {
        return sql_unsupported(
            err, position, "ORDER BY among the arguments of " TARN_SLICE_FMT "() is not supported",
            TARN_SLICE_ARG(name));
    }
    if (node->func_variadic) {
        return sql_unsupported(err, position, "VARIADIC is not supported");
    }
    if (node->n_funcname > 2) {
        return sql_unsupported(err, position, "functions of other databases are not supported");
    }
    if (node->n_funcname == 2) {
        tarn_slice schema_name = sql_node_string(node->funcname[0]);
        if (!tarn_slice_equal(schema_name, TARN_LIT("pg_catalog"))) {
            return sql_fail(err, position, "42883",
                            "function " TARN_SLICE_FMT "." TARN_SLICE_FMT " does not exist",
                            TARN_SLICE_ARG(schema_name), TARN_SLICE_ARG(name));
        }
    }
    return TARN_OK;
}

// ---- aggregates ----

static tarn_status check_aggregate_place(const sql_binder *b, const sql_place *place,
                                         const PgQuery__FuncCall *node, tarn_error *err) {
    int32_t position = sql_at(b, node->location);
    if (place->in_aggregate) {
        return sql_fail(err, position, "42803", "aggregate function calls cannot be nested");
    }
    if (place->aggregates == NULL) {
        return sql_fail(err, position, "42803", "aggregate functions are not allowed in %s",
                        place->clause);
    }
    return TARN_OK;
}

static bool same_optional(const tarn_expr *a, const tarn_expr *b) {
    if (a == NULL || b == NULL) return a == b;
    return tarn_expr_equal(a, b);
}

static bool same_aggregate(const tarn_plan_aggregate *a, const tarn_plan_aggregate *b) {
    return tarn_slice_equal(a->aggregate.name, b->aggregate.name) &&
           a->aggregate.function == b->aggregate.function &&
           a->aggregate.distinct == b->aggregate.distinct && same_optional(a->arg, b->arg) &&
           same_optional(a->filter, b->filter);
}

static tarn_status name_aggregate(sql_binder *b, const tarn_plan_aggregate *item,
                                  tarn_slice *ret_name, tarn_error *err) {
    tarn_buffer text = {.alloc = b->scratch->alloc};
    tarn_status status = sql_format_aggregate(item, &text, err);
    if (status == TARN_OK) status = sql_copy_name(b, tarn_buffer_slice(&text), ret_name, err);
    tarn_buffer_free(&text);
    return status;
}

// The index of an equal aggregate, or of this one once added.
static tarn_status add_aggregate(sql_binder *b, sql_aggregates *list,
                                 const tarn_plan_aggregate *item, size_t *ret_index,
                                 tarn_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        if (same_aggregate(&list->items[i], item)) {
            *ret_index = i;
            return TARN_OK;
        }
    }
    size_t capacity = list->capacity;
    list->items = sql_grow(b->arena, list->items, list->count, &capacity, sizeof *list->items);
    list->names =
        sql_grow(b->arena, list->names, list->count, &list->capacity, sizeof *list->names);
    if (list->items == NULL || list->names == NULL) return sql_no_memory(err);
    // Called as it is written, for EXPLAIN; the select list gives the name that users see.
    TARN_TRY(name_aggregate(b, item, &list->names[list->count], err));
    list->items[list->count] = *item;
    *ret_index = list->count++;
    return TARN_OK;
}

// A column that stands for something computed later.
static tarn_status placeholder(sql_binder *b, size_t column, const tarn_field *field,
                               int32_t position, const tarn_expr **ret_expr, tarn_error *err) {
    return tarn_expr_column(b->arena, column, field, position, ret_expr, err);
}

static tarn_status bind_aggregate(sql_binder *b, const sql_place *place,
                                  const PgQuery__FuncCall *node, tarn_slice name,
                                  const tarn_expr **ret_expr, tarn_error *err) {
    int32_t position = sql_at(b, node->location);
    TARN_TRY(check_aggregate_place(b, place, node, err));
    if (node->n_args > 1) {
        return sql_unsupported(err, position,
                               "aggregate " TARN_SLICE_FMT "() of %zu arguments is not supported",
                               TARN_SLICE_ARG(name), node->n_args);
    }
    if (node->n_args == 0 && !node->agg_star) {
        return sql_fail(err, position, "42809",
                        TARN_SLICE_FMT "(*) must be used to call a parameterless aggregate "
                                       "function",
                        TARN_SLICE_ARG(name));
    }
    sql_place inner = *place;
    inner.in_aggregate = true;
    inner.windows = NULL;
    tarn_plan_aggregate item = {0};
    const tarn_expr *arg = NULL;
    if (node->n_args == 1) {
        inner.clause = "an aggregate function";
        TARN_TRY(sql_bind_expr(b, &inner, node->args[0], &arg, err));
    }
    if (node->agg_filter != NULL) {
        inner.clause = "FILTER";
        TARN_TRY(sql_bind_condition(b, &inner, node->agg_filter, &item.filter, err));
    }
    TARN_TRY(tarn_aggregate_resolve(b->arena, name, arg, node->agg_distinct, position,
                                    &item.aggregate, &item.arg, err));
    size_t index = 0;
    TARN_TRY(add_aggregate(b, place->aggregates, &item, &index, err));
    tarn_field field = {.name = item.aggregate.name,
                        .type = item.aggregate.type,
                        .not_null = item.aggregate.not_null,
                        .id = -1};
    return placeholder(b, SQL_AGGREGATE_COLUMN + index, &field, position, ret_expr, err);
}

// ---- row_number() ----

static tarn_status find_window(const sql_binder *b, const sql_windows *windows,
                               const PgQuery__WindowDef *over, const PgQuery__WindowDef **ret_over,
                               tarn_error *err) {
    tarn_slice name = tarn_slice_from_cstr(over->name);
    tarn_slice base = tarn_slice_from_cstr(over->refname);
    if (base.len > 0) {
        return sql_unsupported(err, sql_at(b, over->location),
                               "a window that extends another one is not supported");
    }
    *ret_over = over;
    if (name.len == 0) return TARN_OK;
    for (size_t i = 0; i < windows->named_count; i++) {
        const PgQuery__WindowDef *named = windows->named[i]->window_def;
        if (tarn_slice_equal(tarn_slice_from_cstr(named->name), name)) {
            *ret_over = named;
            return TARN_OK;
        }
    }
    return sql_fail(err, sql_at(b, over->location), "42704",
                    "window \"" TARN_SLICE_FMT "\" does not exist", TARN_SLICE_ARG(name));
}

static tarn_status bind_window(sql_binder *b, const sql_place *place,
                               const PgQuery__WindowDef *over, sql_window *ret_window,
                               tarn_error *err) {
    sql_place inner = *place;
    inner.windows = NULL;
    const tarn_expr **partitions =
        tarn_arena_new(b->arena, const tarn_expr *, over->n_partition_clause);
    tarn_sort_key *keys = tarn_arena_new(b->arena, tarn_sort_key, over->n_order_clause);
    if (partitions == NULL || keys == NULL) return sql_no_memory(err);
    inner.clause = "PARTITION BY";
    for (size_t i = 0; i < over->n_partition_clause; i++) {
        TARN_TRY(sql_bind_expr(b, &inner, over->partition_clause[i], &partitions[i], err));
        TARN_TRY(sql_settle_type(b, partitions[i], &partitions[i], err));
    }
    inner.clause = "ORDER BY";
    for (size_t i = 0; i < over->n_order_clause; i++) {
        const PgQuery__SortBy *sort = over->order_clause[i]->sort_by;
        TARN_TRY(sql_bind_expr(b, &inner, sort->node, &keys[i].expr, err));
        TARN_TRY(sql_settle_type(b, keys[i].expr, &keys[i].expr, err));
        TARN_TRY(sql_bind_order(b, sort, &keys[i].order, err));
    }
    *ret_window = (sql_window){.partitions = partitions,
                               .partition_count = over->n_partition_clause,
                               .keys = keys,
                               .key_count = over->n_order_clause};
    return TARN_OK;
}

static bool same_window(const sql_window *a, const sql_window *b) {
    if (a->partition_count != b->partition_count || a->key_count != b->key_count) return false;
    for (size_t i = 0; i < a->partition_count; i++) {
        if (!tarn_expr_equal(a->partitions[i], b->partitions[i])) return false;
    }
    for (size_t i = 0; i < a->key_count; i++) {
        if (!tarn_expr_equal(a->keys[i].expr, b->keys[i].expr) ||
            a->keys[i].order.descending != b->keys[i].order.descending ||
            a->keys[i].order.nulls_last != b->keys[i].order.nulls_last) {
            return false;
        }
    }
    return true;
}

static tarn_status add_window(sql_binder *b, sql_windows *list, const sql_window *window,
                              size_t *ret_index, tarn_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        if (same_window(&list->items[i], window)) {
            *ret_index = i;
            return TARN_OK;
        }
    }
    list->items =
        sql_grow(b->arena, list->items, list->count, &list->capacity, sizeof *list->items);
    if (list->items == NULL) return sql_no_memory(err);
    list->items[list->count] = *window;
    *ret_index = list->count++;
    return TARN_OK;
}

static tarn_status bind_window_call(sql_binder *b, const sql_place *place,
                                    const PgQuery__FuncCall *node, tarn_slice name,
                                    const tarn_expr **ret_expr, tarn_error *err) {
    int32_t position = sql_at(b, node->location);
    if (!tarn_slice_equal(name, TARN_LIT("row_number"))) {
        (void)sql_unsupported(err, position,
                              "window function " TARN_SLICE_FMT "() is not supported",
                              TARN_SLICE_ARG(name));
        tarn_error_hint(err, "row_number() OVER (PARTITION BY ... ORDER BY ...) is");
        return TARN_UNSUPPORTED;
    }
    if (node->over == NULL) {
        return sql_fail(err, position, "42809",
                        "window function row_number requires an OVER clause");
    }
    if (place->windows == NULL) {
        return sql_fail(err, position, "42P20", "window functions are not allowed in %s",
                        place->clause);
    }
    if (node->n_args > 0 || node->agg_star || node->agg_filter != NULL || node->agg_distinct) {
        return sql_fail(err, position, "42883", "row_number() takes no arguments and no FILTER");
    }
    const PgQuery__WindowDef *over = NULL;
    TARN_TRY(find_window(b, place->windows, node->over, &over, err));
    sql_window window;
    TARN_TRY(bind_window(b, place, over, &window, err));
    size_t index = 0;
    TARN_TRY(add_window(b, place->windows, &window, &index, err));
    tarn_field field = {.name = TARN_LIT("row_number"),
                        .type = tarn_type_of(TARN_TYPE_BIGINT),
                        .not_null = true,
                        .id = -1};
    return placeholder(b, SQL_WINDOW_COLUMN + index, &field, position, ret_expr, err);
}

// ---- all functions ----

static tarn_status bind_scalar(sql_binder *b, const sql_place *place, const PgQuery__FuncCall *node,
                               tarn_slice name, const tarn_expr **ret_expr, tarn_error *err) {
    int32_t position = sql_at(b, node->location);
    if (node->agg_star || node->agg_distinct || node->agg_filter != NULL) {
        return sql_fail(err, position, "42809",
                        "(*), DISTINCT or FILTER specified, but " TARN_SLICE_FMT
                        " is not an aggregate function",
                        TARN_SLICE_ARG(name));
    }
    const tarn_expr **args = tarn_arena_new(b->scratch, const tarn_expr *, node->n_args);
    if (args == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < node->n_args; i++) {
        TARN_TRY(sql_bind_expr(b, place, node->args[i], &args[i], err));
    }
    return tarn_expr_call(b->arena, name, args, node->n_args, position, ret_expr, err);
}

tarn_status sql_bind_function(sql_binder *b, const sql_place *place, const pg_node *node,
                              const tarn_expr **ret_expr, tarn_error *err) {
    const PgQuery__FuncCall *function = node->func_call;
    tarn_slice name = sql_last_name(function->funcname, function->n_funcname);
    TARN_TRY(check_parts(b, function, name, err));
    if (function->over != NULL || is_window_function(name)) {
        return bind_window_call(b, place, function, name, ret_expr, err);
    }
    if (tarn_function_is_aggregate(name)) {
        return bind_aggregate(b, place, function, name, ret_expr, err);
    }
    return bind_scalar(b, place, function, name, ret_expr, err);
}
