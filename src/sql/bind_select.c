// SELECT ... FROM ... WHERE ... GROUP BY ... HAVING ... ORDER BY ... LIMIT, without set operations.
//
// Everything is bound over the FROM first. Then, from the bottom: filter, aggregate, subqueries,
// filter (HAVING), numbering (row_number), projection, distinct, sort, limit; each step that
// changes the columns rewrites the expressions above it.

#include "sql/bind.h"

typedef struct output {
    tarn_slice name;
    const tarn_expr *expr;
} output;

typedef struct select_builder {
    sql_binder *b;
    const PgQuery__SelectStmt *node;
    const sql_query_context *context;
    sql_scope scope;
    sql_aggregates aggregates;
    sql_windows windows;
    sql_subqueries subqueries; // of all clauses but WHERE

    output *outputs; // the select list, then what only ORDER BY needs
    size_t output_count;
    size_t output_capacity;
    size_t visible_count;

    const tarn_expr **groups;
    size_t group_count;
    const tarn_expr *having;

    size_t *sort_outputs; // per ORDER BY item
    tarn_key_order *sort_orders;
    size_t sort_count;
} select_builder;

// ---- the select list ----

static tarn_status add_output(select_builder *s, tarn_slice name, const tarn_expr *expr,
                              tarn_error *err) {
    s->outputs = sql_grow(s->b->scratch, s->outputs, s->output_count, &s->output_capacity,
                          sizeof *s->outputs);
    if (s->outputs == NULL) return sql_no_memory(err);
    s->outputs[s->output_count++] = (output){.name = name, .expr = expr};
    return TARN_OK;
}

static bool is_star(const pg_node *node) {
    return node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
           node->column_ref->fields[node->column_ref->n_fields - 1]->node_case ==
               PG_QUERY__NODE__NODE_A_STAR;
}

// * and relation.*
static tarn_status add_star(select_builder *s, const PgQuery__ColumnRef *ref, tarn_error *err) {
    int32_t position = sql_at(s->b, ref->location);
    tarn_slice relation = {0};
    if (ref->n_fields > 1) relation = sql_node_string(ref->fields[ref->n_fields - 2]);
    size_t added = 0;
    for (size_t i = 0; i < s->scope.count; i++) {
        const sql_column *column = &s->scope.columns[i];
        bool wanted =
            relation.len == 0 ? column->in_star : tarn_slice_equal(column->relation, relation);
        if (!wanted) continue;
        const tarn_expr *expr = NULL;
        TARN_TRY(sql_plan_column(s->b->arena, s->scope.plan, column->index, position, &expr, err));
        TARN_TRY(add_output(s, column->name, expr, err));
        added++;
    }
    if (added > 0) return TARN_OK;
    if (relation.len > 0) {
        return sql_fail(err, position, "42P01",
                        "missing FROM-clause entry for table \"" TARN_SLICE_FMT "\"",
                        TARN_SLICE_ARG(relation));
    }
    return sql_fail(err, position, "42601", "SELECT * with no tables specified is not valid");
}

static tarn_status bind_select_list(select_builder *s, tarn_error *err) {
    sql_place place = {.scope = &s->scope,
                       .clause = "the select list",
                       .aggregates = &s->aggregates,
                       .windows = &s->windows,
                       .subqueries = &s->subqueries};
    for (size_t i = 0; i < s->node->n_target_list; i++) {
        const PgQuery__ResTarget *target = s->node->target_list[i]->res_target;
        if (is_star(target->val)) {
            TARN_TRY(add_star(s, target->val->column_ref, err));
            continue;
        }
        const tarn_expr *expr = NULL;
        TARN_TRY(sql_bind_expr(s->b, &place, target->val, &expr, err));
        tarn_slice name = target->name != NULL && target->name[0] != '\0'
                              ? tarn_slice_from_cstr(target->name)
                              : sql_output_name(target->val);
        TARN_TRY(add_output(s, name, expr, err));
    }
    s->visible_count = s->output_count;
    return TARN_OK;
}

// ---- GROUP BY, ORDER BY: ordinals and names of outputs ----

static bool is_ordinal(const pg_node *node, int64_t *ret_ordinal) {
    if (node->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        node->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL) {
        return false;
    }
    *ret_ordinal = node->a_const->ival->ival;
    return true;
}

static tarn_status find_ordinal(const select_builder *s, const pg_node *node, int64_t ordinal,
                                const char *clause, size_t *ret_output, tarn_error *err) {
    if (ordinal < 1 || (uint64_t)ordinal > s->visible_count) {
        return sql_fail(err, sql_at(s->b, sql_node_location(node)), "42P10",
                        "%s position %lld is not in select list", clause, (long long)ordinal);
    }
    *ret_output = (size_t)ordinal - 1;
    return TARN_OK;
}

static tarn_slice bare_name(const pg_node *node) {
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node->column_ref->n_fields != 1) {
        return (tarn_slice){0};
    }
    return sql_node_string(node->column_ref->fields[0]);
}

// The output of that name, -1 when there is none. Several are fine when they are the same.
static tarn_status find_output(const select_builder *s, const pg_node *node, const char *clause,
                               ptrdiff_t *ret_output, tarn_error *err) {
    tarn_slice name = bare_name(node);
    ptrdiff_t found = -1;
    for (size_t i = 0; name.len > 0 && i < s->visible_count; i++) {
        if (!tarn_slice_equal(s->outputs[i].name, name)) continue;
        if (found >= 0 && !tarn_expr_equal(s->outputs[found].expr, s->outputs[i].expr)) {
            return sql_fail(err, sql_at(s->b, sql_node_location(node)), "42702",
                            "%s \"" TARN_SLICE_FMT "\" is ambiguous", clause, TARN_SLICE_ARG(name));
        }
        if (found < 0) found = (ptrdiff_t)i;
    }
    *ret_output = found;
    return TARN_OK;
}

static bool uses_columns_from(const tarn_expr *expr, size_t first) {
    if (expr->kind == TARN_EXPR_COLUMN) return expr->column >= first;
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (uses_columns_from(expr->args[i], first)) return true;
    }
    return false;
}

static tarn_status bind_group(select_builder *s, const pg_node *node, const tarn_expr **ret_expr,
                              tarn_error *err) {
    sql_binder *b = s->b;
    int32_t position = sql_at(b, sql_node_location(node));
    if (node->node_case == PG_QUERY__NODE__NODE_GROUPING_SET) {
        return sql_unsupported(err, position, "%s is not supported", sql_node_title(node));
    }
    const tarn_expr *expr = NULL;
    int64_t ordinal = 0;
    ptrdiff_t output_index = -1;
    if (is_ordinal(node, &ordinal)) {
        size_t index = 0;
        TARN_TRY(find_ordinal(s, node, ordinal, "GROUP BY", &index, err));
        output_index = (ptrdiff_t)index;
    } else {
        // A column of the input goes before an output of the same name.
        const sql_column *column = NULL;
        tarn_slice name = bare_name(node);
        if (name.len > 0) {
            TARN_TRY(sql_scope_find(&s->scope, (tarn_slice){0}, name, position, &column, err));
        }
        if (column == NULL) TARN_TRY(find_output(s, node, "GROUP BY", &output_index, err));
    }
    if (output_index >= 0) {
        expr = s->outputs[output_index].expr;
        if (uses_columns_from(expr, SQL_AGGREGATE_COLUMN)) {
            return sql_fail(err, position, "42803",
                            "aggregate functions are not allowed in GROUP BY");
        }
        if (uses_columns_from(expr, SQL_SUBQUERY_COLUMN)) {
            return sql_unsupported(err, position, "a subquery in GROUP BY is not supported");
        }
    } else {
        sql_place place = {.scope = &s->scope, .clause = "GROUP BY"};
        TARN_TRY(sql_bind_expr(b, &place, node, &expr, err));
    }
    return sql_settle_type(b, expr, ret_expr, err);
}

static tarn_status bind_groups(select_builder *s, tarn_error *err) {
    const PgQuery__SelectStmt *node = s->node;
    if (node->group_distinct) {
        return sql_unsupported(err, sql_word_position(s->b, "group"),
                               "GROUP BY DISTINCT is not supported");
    }
    s->groups = tarn_arena_new(s->b->arena, const tarn_expr *, node->n_group_clause);
    if (s->groups == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < node->n_group_clause; i++) {
        const tarn_expr *group = NULL;
        TARN_TRY(bind_group(s, node->group_clause[i], &group, err));
        bool is_new = true;
        for (size_t k = 0; k < s->group_count; k++) {
            is_new &= !tarn_expr_equal(s->groups[k], group);
        }
        if (is_new) s->groups[s->group_count++] = group;
    }
    if (node->having_clause == NULL) return TARN_OK;
    sql_place place = {.scope = &s->scope,
                       .clause = "HAVING",
                       .aggregates = &s->aggregates,
                       .subqueries = &s->subqueries};
    return sql_bind_condition(s->b, &place, node->having_clause, &s->having, err);
}

static tarn_status bind_sort_item(select_builder *s, const pg_node *node, size_t *ret_output,
                                  tarn_error *err) {
    int64_t ordinal = 0;
    if (is_ordinal(node, &ordinal)) {
        return find_ordinal(s, node, ordinal, "ORDER BY", ret_output, err);
    }
    int32_t position = sql_at(s->b, sql_node_location(node));
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        return sql_fail(err, position, "42601", "non-integer constant in ORDER BY");
    }
    ptrdiff_t found = -1;
    TARN_TRY(find_output(s, node, "ORDER BY", &found, err));
    if (found >= 0) {
        *ret_output = (size_t)found;
        return TARN_OK;
    }
    sql_place place = {.scope = &s->scope,
                       .clause = "ORDER BY",
                       .aggregates = &s->aggregates,
                       .windows = &s->windows,
                       .subqueries = &s->subqueries};
    const tarn_expr *expr = NULL;
    TARN_TRY(sql_bind_expr(s->b, &place, node, &expr, err));
    TARN_TRY(sql_settle_type(s->b, expr, &expr, err));
    for (size_t i = 0; i < s->output_count; i++) {
        if (tarn_expr_equal(s->outputs[i].expr, expr)) {
            *ret_output = i;
            return TARN_OK;
        }
    }
    if (s->node->n_distinct_clause > 0) {
        return sql_fail(err, position, "42P10",
                        "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    }
    *ret_output = s->output_count;
    tarn_slice name = expr->kind == TARN_EXPR_COLUMN ? expr->name : TARN_LIT("sort_key");
    return add_output(s, name, expr, err);
}

static tarn_status bind_sort(select_builder *s, tarn_error *err) {
    s->sort_count = s->node->n_sort_clause;
    s->sort_outputs = tarn_arena_new(s->b->scratch, size_t, s->sort_count);
    s->sort_orders = tarn_arena_new(s->b->scratch, tarn_key_order, s->sort_count);
    if (s->sort_outputs == NULL || s->sort_orders == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < s->sort_count; i++) {
        const PgQuery__SortBy *sort = s->node->sort_clause[i]->sort_by;
        TARN_TRY(bind_sort_item(s, sort->node, &s->sort_outputs[i], err));
        TARN_TRY(sql_bind_order(s->b, sort, &s->sort_orders[i], err));
    }
    return TARN_OK;
}

// ---- rewriting expressions over the plan as it grows ----

typedef struct rewrite {
    const select_builder *s;
    const tarn_plan *plan; // what the result is over
    bool is_grouped;       // the plan is the aggregate: columns of the input are gone
    // Subquery i is column first_subquery + i, row_number() i is column first_number + i; without
    // the flag they come later, and stay as they are.
    bool has_subqueries;
    bool has_numbers;
    size_t first_subquery;
    size_t first_number;
} rewrite;

static tarn_status not_grouped(const rewrite *r, const tarn_expr *expr, tarn_error *err) {
    tarn_slice relation = {0};
    for (size_t i = 0; i < r->s->scope.count; i++) {
        const sql_column *column = &r->s->scope.columns[i];
        if (column->index == expr->column) relation = column->relation;
    }
    const char *dot = relation.len > 0 ? "." : "";
    return sql_fail(err, expr->position, "42803",
                    "column \"" TARN_SLICE_FMT "%s" TARN_SLICE_FMT
                    "\" must appear in the GROUP BY clause or be used in an aggregate function",
                    TARN_SLICE_ARG(relation), dot, TARN_SLICE_ARG(expr->name));
}

static tarn_status rewrite_column(const rewrite *r, const tarn_expr *expr,
                                  const tarn_expr **ret_expr, tarn_error *err) {
    *ret_expr = expr;
    size_t column = expr->column;
    if (column >= SQL_WINDOW_COLUMN) {
        if (!r->has_numbers) return TARN_OK;
        column = r->first_number + (column - SQL_WINDOW_COLUMN);
    } else if (column >= SQL_AGGREGATE_COLUMN) {
        if (!r->is_grouped) return TARN_OK;
        column = r->s->group_count + (column - SQL_AGGREGATE_COLUMN);
    } else if (column >= SQL_SUBQUERY_COLUMN) {
        if (!r->has_subqueries) return TARN_OK;
        column = r->first_subquery + (column - SQL_SUBQUERY_COLUMN);
    } else {
        return r->is_grouped ? not_grouped(r, expr, err) : TARN_OK;
    }
    return sql_plan_column(r->s->b->arena, r->plan, column, expr->position, ret_expr, err);
}

static tarn_status rewrite_expr(const rewrite *r, const tarn_expr *expr, const tarn_expr **ret_expr,
                                tarn_error *err) {
    for (size_t i = 0; r->is_grouped && i < r->s->group_count; i++) {
        if (tarn_expr_equal(expr, r->s->groups[i])) {
            return sql_plan_column(r->s->b->arena, r->plan, i, expr->position, ret_expr, err);
        }
    }
    if (expr->kind == TARN_EXPR_COLUMN) return rewrite_column(r, expr, ret_expr, err);
    *ret_expr = expr;
    if (expr->arg_count == 0) return TARN_OK;
    tarn_expr *copy = tarn_arena_new(r->s->b->arena, tarn_expr, 1);
    const tarn_expr **args = tarn_arena_new(r->s->b->arena, const tarn_expr *, expr->arg_count);
    if (copy == NULL || args == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < expr->arg_count; i++) {
        TARN_TRY(rewrite_expr(r, expr->args[i], &args[i], err));
    }
    *copy = *expr;
    copy->args = args;
    *ret_expr = copy;
    return TARN_OK;
}

static tarn_status rewrite_windows(select_builder *s, const rewrite *r, tarn_error *err) {
    for (size_t w = 0; w < s->windows.count; w++) {
        sql_window *window = &s->windows.items[w];
        const tarn_expr **partitions =
            tarn_arena_new(s->b->arena, const tarn_expr *, window->partition_count);
        tarn_sort_key *keys = tarn_arena_new(s->b->arena, tarn_sort_key, window->key_count);
        if (partitions == NULL || keys == NULL) return sql_no_memory(err);
        for (size_t i = 0; i < window->partition_count; i++) {
            TARN_TRY(rewrite_expr(r, window->partitions[i], &partitions[i], err));
        }
        for (size_t i = 0; i < window->key_count; i++) {
            keys[i].order = window->keys[i].order;
            TARN_TRY(rewrite_expr(r, window->keys[i].expr, &keys[i].expr, err));
        }
        window->partitions = partitions;
        window->keys = keys;
    }
    return TARN_OK;
}

// Everything that is computed above the plan so far.
static tarn_status rewrite_all(select_builder *s, const rewrite *r, tarn_error *err) {
    for (size_t i = 0; i < s->output_count; i++) {
        TARN_TRY(rewrite_expr(r, s->outputs[i].expr, &s->outputs[i].expr, err));
    }
    if (s->having != NULL) TARN_TRY(rewrite_expr(r, s->having, &s->having, err));
    return rewrite_windows(s, r, err);
}

// ---- assembling ----

static tarn_status name_groups(const select_builder *s, tarn_slice **ret_names, tarn_error *err) {
    tarn_slice *names = tarn_arena_new(s->b->arena, tarn_slice, s->group_count);
    if (names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < s->group_count; i++) {
        names[i] = s->groups[i]->kind == TARN_EXPR_COLUMN ? s->groups[i]->name : TARN_LIT("group");
        for (size_t k = 0; k < s->visible_count; k++) {
            if (s->groups[i]->kind != TARN_EXPR_COLUMN &&
                tarn_expr_equal(s->outputs[k].expr, s->groups[i])) {
                TARN_TRY(sql_copy_name(s->b, s->outputs[k].name, &names[i], err));
            }
        }
    }
    *ret_names = names;
    return TARN_OK;
}

static tarn_status add_aggregate(select_builder *s, const tarn_plan **plan, tarn_error *err) {
    bool is_grouped = s->node->n_group_clause > 0 || s->aggregates.count > 0 || s->having != NULL;
    if (!is_grouped) return TARN_OK;
    tarn_slice *group_names = NULL;
    TARN_TRY(name_groups(s, &group_names, err));
    sql_plan_aggregate_spec spec = {
        .input = *plan,
        .groups = s->groups,
        .group_names = group_names,
        .group_count = s->group_count,
        .aggregates = s->aggregates.items,
        .aggregate_names = s->aggregates.names,
        .aggregate_count = s->aggregates.count,
    };
    const tarn_plan *aggregate = NULL;
    TARN_TRY(sql_plan_aggregate(s->b->arena, &spec, &aggregate, err));
    rewrite r = {.s = s, .plan = aggregate, .is_grouped = true};
    *plan = aggregate;
    return rewrite_all(s, &r, err);
}

static tarn_status add_subqueries(select_builder *s, const tarn_plan **plan, tarn_error *err) {
    if (s->subqueries.count == 0) return TARN_OK;
    size_t first = (*plan)->schema.field_count;
    TARN_TRY(sql_join_subqueries(s->b, &s->subqueries, *plan, plan, err));
    rewrite r = {.s = s, .plan = *plan, .has_subqueries = true, .first_subquery = first};
    return rewrite_all(s, &r, err);
}

static tarn_status add_having(select_builder *s, const tarn_plan **plan, tarn_error *err) {
    if (s->having == NULL) return TARN_OK;
    TARN_TRY(sql_plan_filter(s->b->arena, *plan, s->having, plan, err));
    s->having = NULL;
    return TARN_OK;
}

static tarn_status add_numbers(select_builder *s, const tarn_plan **plan, tarn_error *err) {
    if (s->windows.count == 0) return TARN_OK;
    size_t first = (*plan)->schema.field_count;
    for (size_t w = 0; w < s->windows.count; w++) {
        const sql_window *window = &s->windows.items[w];
        sql_plan_top_n_spec spec = {
            .input = *plan,
            .partitions = window->partitions,
            .partition_count = window->partition_count,
            .keys = window->keys,
            .key_count = window->key_count,
            .limit = -1,
            .numbered = true,
            .number_name = TARN_LIT("row_number"),
        };
        TARN_TRY(sql_plan_top_n(s->b->arena, &spec, plan, err));
    }
    rewrite r = {.s = s, .plan = *plan, .has_numbers = true, .first_number = first};
    return rewrite_all(s, &r, err);
}

// Untyped literals stay only where a projection on top can still give them a type.
static bool keeps_untyped(const select_builder *s) {
    const PgQuery__SelectStmt *node = s->node;
    return (s->context->keeps_untyped || s->context->target != NULL) &&
           node->n_distinct_clause == 0 && node->n_sort_clause == 0 && node->limit_count == NULL &&
           node->limit_offset == NULL;
}

static tarn_status add_projection(select_builder *s, const tarn_plan **plan, tarn_error *err) {
    sql_binder *b = s->b;
    const tarn_expr **exprs = tarn_arena_new(b->arena, const tarn_expr *, s->output_count);
    tarn_slice *names = tarn_arena_new(b->arena, tarn_slice, s->output_count);
    if (exprs == NULL || names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < s->output_count; i++) {
        exprs[i] = s->outputs[i].expr;
        if (!keeps_untyped(s)) TARN_TRY(sql_settle_type(b, exprs[i], &exprs[i], err));
        TARN_TRY(sql_copy_name(b, s->outputs[i].name, &names[i], err));
    }
    sql_outputs outputs = {exprs, names, s->output_count};
    return sql_plan_project(b->arena, *plan, &outputs, plan, err);
}

static tarn_status add_sort(select_builder *s, const tarn_plan **plan, tarn_error *err) {
    if (s->sort_count == 0) return TARN_OK;
    tarn_sort_key *keys = tarn_arena_new(s->b->arena, tarn_sort_key, s->sort_count);
    if (keys == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < s->sort_count; i++) {
        keys[i].order = s->sort_orders[i];
        TARN_TRY(sql_plan_column(s->b->arena, *plan, s->sort_outputs[i], 0, &keys[i].expr, err));
    }
    return sql_plan_sort(s->b->arena, *plan, keys, s->sort_count, plan, err);
}

static tarn_status check_clauses(const select_builder *s, tarn_error *err) {
    const PgQuery__SelectStmt *node = s->node;
    if (node->into_clause != NULL) {
        (void)sql_unsupported(err, sql_at(s->b, node->into_clause->rel->location),
                              "SELECT INTO is not supported");
        tarn_error_hint(err, "CREATE TABLE, then INSERT INTO ... SELECT");
        return TARN_UNSUPPORTED;
    }
    // SELECT DISTINCT is a list of one empty node, DISTINCT ON one of expressions.
    bool is_distinct_on = node->n_distinct_clause > 0 &&
                          node->distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET;
    if (is_distinct_on) {
        (void)sql_unsupported(err, sql_at(s->b, sql_node_start(node->distinct_clause[0])),
                              "DISTINCT ON is not supported");
        tarn_error_hint(err, "use row_number() OVER (PARTITION BY ... ORDER BY ...) = 1");
        return TARN_UNSUPPORTED;
    }
    return TARN_OK;
}

// The parts of WHERE that are x IN (SELECT ...), which become joins.
static tarn_status join_in_subqueries(select_builder *s, PgQuery__Node *const *parts, size_t count,
                                      tarn_error *err) {
    const tarn_expr *condition = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!sql_is_in_subquery(parts[i])) continue;
        const tarn_expr *part = NULL;
        TARN_TRY(sql_join_in_subquery(s->b, &s->scope, s->context->ctes, parts[i]->sub_link, &part,
                                      err));
        TARN_TRY(sql_and(s->b->arena, condition, part, &condition, err));
    }
    if (condition == NULL) return TARN_OK;
    return sql_plan_filter(s->b->arena, s->scope.plan, condition, &s->scope.plan, err);
}

static tarn_status filter_scope(select_builder *s, const pg_node *node, tarn_error *err) {
    sql_subqueries subqueries = {.ctes = s->context->ctes};
    sql_place place = {.scope = &s->scope, .clause = "WHERE", .subqueries = &subqueries};
    const tarn_expr *condition = NULL;
    TARN_TRY(sql_bind_condition(s->b, &place, node, &condition, err));
    const tarn_plan *plan = s->scope.plan;
    rewrite r = {.s = s, .has_subqueries = true, .first_subquery = plan->schema.field_count};
    TARN_TRY(sql_join_subqueries(s->b, &subqueries, plan, &plan, err));
    r.plan = plan;
    TARN_TRY(rewrite_expr(&r, condition, &condition, err));
    return sql_plan_filter(s->b->arena, plan, condition, &s->scope.plan, err);
}

static tarn_status bind_where(select_builder *s, tarn_error *err) {
    PgQuery__Node *where = s->node->where_clause;
    if (sql_is_in_subquery(where)) return join_in_subqueries(s, &where, 1, err);
    bool is_and = where->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
                  where->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
    if (!is_and) return filter_scope(s, where, err);
    // What is not IN (subquery) stays one AND.
    const PgQuery__BoolExpr *conjunction = where->bool_expr;
    PgQuery__BoolExpr rest = *conjunction;
    rest.args = tarn_arena_new(s->b->scratch, PgQuery__Node *, conjunction->n_args);
    if (rest.args == NULL) return sql_no_memory(err);
    rest.n_args = 0;
    for (size_t i = 0; i < conjunction->n_args; i++) {
        PgQuery__Node *part = conjunction->args[i];
        if (!sql_is_in_subquery(part)) rest.args[rest.n_args++] = part;
    }
    TARN_TRY(join_in_subqueries(s, conjunction->args, conjunction->n_args, err));
    if (rest.n_args == 0) return TARN_OK;
    pg_node node = *where;
    node.bool_expr = &rest;
    return filter_scope(s, rest.n_args == 1 ? rest.args[0] : &node, err);
}

static tarn_status bind_clauses(select_builder *s, tarn_error *err) {
    const PgQuery__SelectStmt *node = s->node;
    TARN_TRY(sql_bind_from(s->b, node->from_clause, node->n_from_clause, s->context->ctes,
                           &s->scope, err));
    s->subqueries.ctes = s->context->ctes;
    if (node->where_clause != NULL) TARN_TRY(bind_where(s, err));
    TARN_TRY(bind_select_list(s, err));
    TARN_TRY(bind_groups(s, err));
    return bind_sort(s, err);
}

tarn_status sql_bind_select(sql_binder *b, const PgQuery__SelectStmt *node,
                            const sql_query_context *context, const tarn_plan **ret_plan,
                            tarn_error *err) {
    select_builder s = {
        .b = b,
        .node = node,
        .context = context,
        .windows = {.named = node->window_clause, .named_count = node->n_window_clause}};
    TARN_TRY(check_clauses(&s, err));
    TARN_TRY(bind_clauses(&s, err));
    const tarn_plan *plan = s.scope.plan;
    TARN_TRY(add_aggregate(&s, &plan, err));
    TARN_TRY(add_subqueries(&s, &plan, err));
    TARN_TRY(add_having(&s, &plan, err));
    TARN_TRY(add_numbers(&s, &plan, err));
    TARN_TRY(add_projection(&s, &plan, err));
    if (node->n_distinct_clause > 0) TARN_TRY(sql_distinct(b, plan, &plan, err));
    TARN_TRY(add_sort(&s, &plan, err));
    TARN_TRY(sql_bind_limit(b, node, plan, &plan, err));
    if (s.output_count > s.visible_count) {
        TARN_TRY(sql_first_columns(b, plan, s.visible_count, &plan, err));
    }
    *ret_plan = plan;
    return TARN_OK;
}
