// Queries: WITH, VALUES, UNION, and ORDER BY and LIMIT over them.

#include "sql/bind.h"

// ---- WITH ----

static tarn_status check_cte(const sql_binder *b, const PgQuery__WithClause *with, size_t index,
                             tarn_error *err) {
    const PgQuery__CommonTableExpr *cte = with->ctes[index]->common_table_expr;
    int32_t position = sql_at(b, cte->location);
    if (cte->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        return sql_unsupported(err, position, "WITH queries other than SELECT are not supported");
    }
    if (cte->search_clause != NULL || cte->cycle_clause != NULL) {
        return sql_unsupported(err, position, "SEARCH and CYCLE are not supported");
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(with->ctes[i]->common_table_expr->ctename, cte->ctename) == 0) {
            return sql_fail(err, position, "42712",
                            "WITH query name \"%s\" specified more than once", cte->ctename);
        }
    }
    return TARN_OK;
}

tarn_status sql_push_ctes(sql_binder *b, const PgQuery__WithClause *with, const sql_cte *outer,
                          const sql_cte **ret_ctes, tarn_error *err) {
    *ret_ctes = outer;
    if (with == NULL) return TARN_OK;
    if (with->recursive) {
        return sql_unsupported(err, sql_at(b, with->location), "WITH RECURSIVE is not supported");
    }
    for (size_t i = 0; i < with->n_ctes; i++) {
        TARN_TRY(check_cte(b, with, i, err));
        const PgQuery__CommonTableExpr *definition = with->ctes[i]->common_table_expr;
        sql_cte *cte = tarn_arena_new(b->scratch, sql_cte, 1);
        bool *used = tarn_arena_new(b->scratch, bool, 1);
        if (cte == NULL || used == NULL) return sql_no_memory(err);
        *cte = (sql_cte){.name = tarn_slice_from_cstr(definition->ctename),
                         .definition = definition,
                         .outer = *ret_ctes,
                         .used = used};
        *ret_ctes = cte;
    }
    return TARN_OK;
}

// A WITH query that nobody uses is bound all the same, for its errors.
static tarn_status check_unused(sql_binder *b, const sql_cte *ctes, const sql_cte *outer,
                                tarn_error *err) {
    size_t relation_count = b->relation_count;
    for (const sql_cte *cte = ctes; cte != outer; cte = cte->outer) {
        if (*cte->used) continue;
        const tarn_plan *ignored = NULL;
        TARN_TRY(sql_bind_nested(b, cte->definition->ctequery->select_stmt, cte->outer,
                                 sql_at(b, cte->definition->location), &ignored, err));
        b->relation_count = relation_count; // it reads nothing
    }
    return TARN_OK;
}

// ---- VALUES ----

typedef struct values_builder {
    sql_binder *b;
    const PgQuery__SelectStmt *node;
    const sql_target *target;
    const tarn_expr **cells;
    size_t row_count;
    size_t column_count;
    tarn_field *fields;
} values_builder;

static tarn_status check_width(const values_builder *v, const PgQuery__List *row, tarn_error *err) {
    int32_t position = row->n_items > 0 ? sql_at(v->b, sql_node_location(row->items[0])) : 0;
    if (row->n_items != v->column_count) {
        return sql_fail(err, position, "42601", "VALUES lists must all be the same length");
    }
    if (v->target == NULL || v->target->count == row->n_items) return TARN_OK;
    return sql_fail(err, position, "42601",
                    row->n_items > v->target->count
                        ? "INSERT has more expressions than target columns"
                        : "INSERT has more target columns than expressions");
}

static tarn_status bind_cell(values_builder *v, const pg_node *node, size_t column,
                             const tarn_expr **ret_cell, tarn_error *err) {
    sql_binder *b = v->b;
    int32_t position = sql_at(b, sql_node_location(node));
    sql_place place = {.clause = "VALUES"};
    if (node->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT) {
        if (v->target == NULL) {
            return sql_fail(err, position, "42601", "DEFAULT is not allowed in this context");
        }
        tarn_value null = tarn_value_null(tarn_type_of(TARN_TYPE_NULL));
        TARN_TRY(tarn_expr_literal(b->arena, null, false, position, ret_cell, err));
    } else {
        TARN_TRY(sql_bind_expr(b, &place, node, ret_cell, err));
    }
    if (v->target == NULL) return TARN_OK;
    const tarn_field *field = &v->target->fields[column];
    tarn_status status = tarn_expr_cast(b->arena, *ret_cell, field->type, TARN_CAST_ASSIGNMENT,
                                        position, ret_cell, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "column \"" TARN_SLICE_FMT "\": ", TARN_SLICE_ARG(field->name));
    }
    return status;
}

static tarn_status unify_column(values_builder *v, size_t column, tarn_error *err) {
    sql_binder *b = v->b;
    tarn_field *field = &v->fields[column];
    if (!tarn_arena_printf(b->arena, &field->name, "column%zu", column + 1)) {
        return sql_no_memory(err);
    }
    field->not_null = true;
    field->id = -1;
    if (v->target != NULL) {
        field->type = v->target->fields[column].type;
    } else {
        tarn_type *types = tarn_arena_new(b->scratch, tarn_type, v->row_count);
        if (types == NULL) return sql_no_memory(err);
        for (size_t r = 0; r < v->row_count; r++) {
            types[r] = v->cells[r * v->column_count + column]->type;
        }
        TARN_TRY(
            tarn_common_type(types, v->row_count, v->cells[column]->position, &field->type, err));
    }
    for (size_t r = 0; r < v->row_count; r++) {
        const tarn_expr **cell = &v->cells[r * v->column_count + column];
        if (v->target == NULL) {
            TARN_TRY(tarn_expr_cast(b->arena, *cell, field->type, TARN_CAST_IMPLICIT,
                                    (*cell)->position, cell, err));
        }
        field->not_null &= (*cell)->not_null;
    }
    return TARN_OK;
}

static tarn_status bind_values(sql_binder *b, const PgQuery__SelectStmt *node,
                               const sql_query_context *context, const tarn_plan **ret_plan,
                               tarn_error *err) {
    values_builder v = {.b = b,
                        .node = node,
                        .target = context->target,
                        .row_count = node->n_values_lists,
                        .column_count = node->values_lists[0]->list->n_items};
    v.cells = tarn_arena_new(b->arena, const tarn_expr *, v.row_count *v.column_count);
    v.fields = tarn_arena_new(b->arena, tarn_field, v.column_count);
    if (v.cells == NULL || v.fields == NULL) return sql_no_memory(err);
    for (size_t r = 0; r < v.row_count; r++) {
        const PgQuery__List *row = node->values_lists[r]->list;
        TARN_TRY(check_width(&v, row, err));
        for (size_t c = 0; c < v.column_count; c++) {
            TARN_TRY(bind_cell(&v, row->items[c], c, &v.cells[r * v.column_count + c], err));
        }
    }
    for (size_t c = 0; c < v.column_count; c++) TARN_TRY(unify_column(&v, c, err));
    tarn_schema schema = {v.fields, v.column_count};
    return sql_plan_values(b->arena, v.cells, v.row_count, &schema, ret_plan, err);
}

// ---- UNION ----

tarn_status sql_cast_output(sql_binder *b, const tarn_plan *plan, const tarn_type *types,
                            const tarn_slice *targets, const tarn_plan **ret_plan,
                            tarn_error *err) {
    tarn_cast_context context = targets != NULL ? TARN_CAST_ASSIGNMENT : TARN_CAST_IMPLICIT;
    size_t count = plan->schema.field_count;
    bool is_same = true;
    for (size_t i = 0; i < count; i++) {
        is_same &= tarn_type_equal(plan->schema.fields[i].type, types[i]);
    }
    *ret_plan = plan;
    if (is_same) return TARN_OK;
    // A projection is replaced rather than covered, so that its untyped literals take the type.
    bool is_project = plan->kind == TARN_PLAN_PROJECT;
    const tarn_expr **exprs = tarn_arena_new(b->arena, const tarn_expr *, count);
    tarn_slice *names = tarn_arena_new(b->arena, tarn_slice, count);
    if (exprs == NULL || names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const tarn_expr *expr = NULL;
        names[i] = plan->schema.fields[i].name;
        if (is_project) {
            expr = plan->project.exprs[i];
        } else {
            TARN_TRY(sql_plan_column(b->arena, plan, i, 0, &expr, err));
        }
        tarn_status status =
            tarn_expr_cast(b->arena, expr, types[i], context, expr->position, &exprs[i], err);
        if (status != TARN_OK && targets != NULL) {
            tarn_error_prefix(err, "column \"" TARN_SLICE_FMT "\": ", TARN_SLICE_ARG(targets[i]));
        }
        if (status != TARN_OK) return status;
    }
    sql_outputs outputs = {exprs, names, count};
    return sql_plan_project(b->arena, is_project ? plan->inputs[0] : plan, &outputs, ret_plan, err);
}

static tarn_status append(sql_binder *b, const tarn_plan *left, const tarn_plan *right,
                          const tarn_plan **ret_plan, tarn_error *err) {
    const tarn_plan *sides[] = {left, right};
    size_t count = 0;
    for (size_t s = 0; s < 2; s++) {
        count += sides[s]->kind == TARN_PLAN_UNION_ALL ? sides[s]->input_count : 1;
    }
    const tarn_plan **inputs = tarn_arena_new(b->scratch, const tarn_plan *, count);
    if (inputs == NULL) return sql_no_memory(err);
    size_t filled = 0;
    for (size_t s = 0; s < 2; s++) {
        bool is_union = sides[s]->kind == TARN_PLAN_UNION_ALL;
        for (size_t i = 0; is_union && i < sides[s]->input_count; i++) {
            inputs[filled++] = sides[s]->inputs[i];
        }
        if (!is_union) inputs[filled++] = sides[s];
    }
    return sql_plan_union_all(b->arena, inputs, count, ret_plan, err);
}

static tarn_status bind_branch(sql_binder *b, const PgQuery__SelectStmt *node, const sql_cte *ctes,
                               const tarn_plan **ret_plan, tarn_error *err) {
    sql_query_context context = {.ctes = ctes, .keeps_untyped = true};
    return sql_bind_query(b, node, &context, ret_plan, err);
}

static tarn_status bind_union(sql_binder *b, const PgQuery__SelectStmt *node,
                              const sql_query_context *context, const tarn_plan **ret_plan,
                              tarn_error *err) {
    if (node->op != PG_QUERY__SET_OPERATION__SETOP_UNION) {
        bool is_intersect = node->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT;
        return sql_unsupported(err, sql_word_position(b, is_intersect ? "intersect" : "except"),
                               "%s is not supported", is_intersect ? "INTERSECT" : "EXCEPT");
    }
    const tarn_plan *sides[2];
    TARN_TRY(bind_branch(b, node->larg, context->ctes, &sides[0], err));
    TARN_TRY(bind_branch(b, node->rarg, context->ctes, &sides[1], err));
    size_t count = sides[0]->schema.field_count;
    if (count != sides[1]->schema.field_count) {
        return sql_fail(err, sql_word_position(b, "union"), "42601",
                        "each UNION query must have the same number of columns");
    }
    tarn_type *types = tarn_arena_new(b->scratch, tarn_type, count);
    if (types == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        tarn_type pair[] = {sides[0]->schema.fields[i].type, sides[1]->schema.fields[i].type};
        tarn_status status = tarn_common_type(pair, 2, 0, &types[i], err);
        if (status != TARN_OK) {
            tarn_error_prefix(err, "UNION column %zu: ", i + 1);
            return status;
        }
    }
    for (size_t s = 0; s < 2; s++) {
        TARN_TRY(sql_cast_output(b, sides[s], types, NULL, &sides[s], err));
    }
    const tarn_plan *plan = NULL;
    TARN_TRY(append(b, sides[0], sides[1], &plan, err));
    if (!node->all) TARN_TRY(sql_distinct(b, plan, &plan, err));
    *ret_plan = plan;
    return TARN_OK;
}

// ---- ORDER BY and LIMIT of VALUES and UNION ----

static tarn_status bind_output_key(sql_binder *b, const tarn_plan *plan, const sql_scope *scope,
                                   const pg_node *node, const tarn_expr **ret_expr,
                                   tarn_error *err) {
    int32_t position = sql_at(b, sql_node_location(node));
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
        node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        int64_t ordinal = node->a_const->ival->ival;
        if (ordinal < 1 || (uint64_t)ordinal > plan->schema.field_count) {
            return sql_fail(err, position, "42P10", "ORDER BY position %lld is not in select list",
                            (long long)ordinal);
        }
        return sql_plan_column(b->arena, plan, (size_t)ordinal - 1, position, ret_expr, err);
    }
    sql_place place = {.scope = scope, .clause = "ORDER BY"};
    const tarn_expr *expr = NULL;
    TARN_TRY(sql_bind_expr(b, &place, node, &expr, err));
    return sql_settle_type(b, expr, ret_expr, err);
}

static tarn_status sort_output(sql_binder *b, const PgQuery__SelectStmt *node,
                               const tarn_plan *input, const tarn_plan **ret_plan,
                               tarn_error *err) {
    *ret_plan = input;
    if (node->n_sort_clause == 0) return TARN_OK;
    sql_scope scope;
    TARN_TRY(sql_scope_of_plan(b, input, (tarn_slice){0}, &scope, err));
    tarn_sort_key *keys = tarn_arena_new(b->arena, tarn_sort_key, node->n_sort_clause);
    if (keys == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < node->n_sort_clause; i++) {
        const PgQuery__SortBy *sort = node->sort_clause[i]->sort_by;
        TARN_TRY(bind_output_key(b, input, &scope, sort->node, &keys[i].expr, err));
        TARN_TRY(sql_bind_order(b, sort, &keys[i].order, err));
    }
    return sql_plan_sort(b->arena, input, keys, node->n_sort_clause, ret_plan, err);
}

// Leaves *ret_count alone without the clause, and for NULL.
static tarn_status bind_count(sql_binder *b, const pg_node *node, const char *clause,
                              const char *sqlstate, int64_t *ret_count, tarn_error *err) {
    if (node == NULL) return TARN_OK;
    int32_t position = sql_at(b, sql_node_location(node));
    sql_place place = {.clause = clause};
    const tarn_expr *expr = NULL;
    TARN_TRY(sql_bind_expr(b, &place, node, &expr, err));
    TARN_TRY(tarn_expr_cast(b->arena, expr, tarn_type_of(TARN_TYPE_BIGINT), TARN_CAST_ASSIGNMENT,
                            position, &expr, err));
    tarn_value value;
    TARN_TRY(sql_evaluate(b, expr, &value, err));
    if (value.is_null) return TARN_OK;
    if (value.i64 < 0) return sql_fail(err, position, sqlstate, "%s must not be negative", clause);
    *ret_count = value.i64;
    return TARN_OK;
}

tarn_status sql_bind_limit(sql_binder *b, const PgQuery__SelectStmt *node, const tarn_plan *input,
                           const tarn_plan **ret_plan, tarn_error *err) {
    if (node->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES) {
        return sql_unsupported(err, sql_word_position(b, "ties"),
                               "FETCH FIRST ... WITH TIES is not supported");
    }
    int64_t limit = -1;
    int64_t offset = 0;
    TARN_TRY(bind_count(b, node->limit_count, "LIMIT", "2201W", &limit, err));
    TARN_TRY(bind_count(b, node->limit_offset, "OFFSET", "2201X", &offset, err));
    *ret_plan = input;
    if (limit < 0 && offset == 0) return TARN_OK;
    return sql_plan_limit(b->arena, input, limit, offset, ret_plan, err);
}

tarn_status sql_distinct(sql_binder *b, const tarn_plan *input, const tarn_plan **ret_plan,
                         tarn_error *err) {
    size_t count = input->schema.field_count;
    const tarn_expr **groups = tarn_arena_new(b->arena, const tarn_expr *, count);
    tarn_slice *names = tarn_arena_new(b->arena, tarn_slice, count);
    if (groups == NULL || names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(sql_plan_column(b->arena, input, i, 0, &groups[i], err));
        names[i] = input->schema.fields[i].name;
    }
    sql_plan_aggregate_spec spec = {
        .input = input, .groups = groups, .group_names = names, .group_count = count};
    return sql_plan_aggregate(b->arena, &spec, ret_plan, err);
}

tarn_status sql_first_columns(sql_binder *b, const tarn_plan *input, size_t count,
                              const tarn_plan **ret_plan, tarn_error *err) {
    const tarn_expr **exprs = tarn_arena_new(b->arena, const tarn_expr *, count);
    tarn_slice *names = tarn_arena_new(b->arena, tarn_slice, count);
    if (exprs == NULL || names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(sql_plan_column(b->arena, input, i, 0, &exprs[i], err));
        names[i] = input->schema.fields[i].name;
    }
    sql_outputs outputs = {exprs, names, count};
    return sql_plan_project(b->arena, input, &outputs, ret_plan, err);
}

tarn_status sql_bind_query(sql_binder *b, const PgQuery__SelectStmt *node,
                           const sql_query_context *context, const tarn_plan **ret_plan,
                           tarn_error *err) {
    sql_query_context inner = *context;
    TARN_TRY(sql_push_ctes(b, node->with_clause, context->ctes, &inner.ctes, err));
    if (node->n_locking_clause > 0) {
        return sql_unsupported(err, sql_word_position(b, "for"),
                               "FOR UPDATE and FOR SHARE are not supported");
    }
    const tarn_plan *plan = NULL;
    bool is_plain = node->op == PG_QUERY__SET_OPERATION__SETOP_NONE && node->n_values_lists == 0;
    if (is_plain) {
        TARN_TRY(sql_bind_select(b, node, &inner, &plan, err));
    } else {
        TARN_TRY(node->n_values_lists > 0 ? bind_values(b, node, &inner, &plan, err)
                                          : bind_union(b, node, &inner, &plan, err));
        TARN_TRY(sort_output(b, node, plan, &plan, err));
        TARN_TRY(sql_bind_limit(b, node, plan, &plan, err));
    }
    TARN_TRY(check_unused(b, inner.ctes, context->ctes, err));
    *ret_plan = plan;
    return TARN_OK;
}
