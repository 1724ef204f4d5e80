// FROM: relations, subqueries, joins.

#include "sql/bind.h"

// FROM items and nested queries; more are refused before plans become too deep.
#define QUERIES_MAX     1000
#define QUERY_DEPTH_MAX 100

// ---- FOR SYSTEM_... AS OF ----

// The clause that was cut out behind the relation's name at this byte, NULL when there was none.
static sql_as_of *find_as_of(sql_binder *b, int32_t location) {
    ptrdiff_t offset = sql_parsed_offset(b->parsed, location);
    for (size_t i = 0; i < b->dialect->as_of_count; i++) {
        sql_as_of *as_of = &b->dialect->as_of[i];
        if (offset >= 0 && as_of->table_offset == (size_t)offset) {
            as_of->used = true;
            return as_of;
        }
    }
    return NULL;
}

static tarn_status check_as_of(const sql_binder *b, const sql_as_of *as_of,
                               const tarn_relation *relation, tarn_error *err) {
    if (relation->kind == TARN_RELATION_TABLE || relation->kind == TARN_RELATION_VIEW) {
        return TARN_OK;
    }
    return sql_unsupported(err, sql_dialect_position(b->dialect, as_of->offset),
                           "%s \"" TARN_SLICE_FMT "\" keeps no versions to go back to",
                           relation->kind == TARN_RELATION_SOURCE ? "source" : "system table",
                           TARN_SLICE_ARG(relation->name));
}

// ---- relations and CTEs ----

static const sql_cte *find_cte(const sql_cte *ctes, tarn_slice name) {
    for (const sql_cte *cte = ctes; cte != NULL; cte = cte->outer) {
        if (tarn_slice_equal(cte->name, name)) {
            *cte->used = true;
            return cte;
        }
    }
    return NULL;
}

tarn_status sql_bind_nested(sql_binder *b, const PgQuery__SelectStmt *query, const sql_cte *ctes,
                            int32_t position, const tarn_plan **ret_plan, tarn_error *err) {
    if (b->query_depth >= QUERY_DEPTH_MAX || b->query_count >= QUERIES_MAX) {
        (void)sql_fail(err, position, "54001",
                       "the statement has too many queries in queries: the limits are %d in all "
                       "and %d within one another",
                       QUERIES_MAX, QUERY_DEPTH_MAX);
        tarn_error_hint(err, "each use of a WITH query counts; make it a materialized view");
        return TARN_INVALID;
    }
    sql_query_context context = {.ctes = ctes};
    b->query_depth++;
    b->query_count++;
    tarn_status status = sql_bind_query(b, query, &context, ret_plan, err);
    b->query_depth--;
    return status;
}

static tarn_status bind_cte(sql_binder *b, const sql_cte *cte, int32_t location,
                            sql_scope *ret_scope, tarn_error *err) {
    int32_t position = sql_at(b, location);
    const PgQuery__CommonTableExpr *definition = cte->definition;
    const sql_as_of *as_of = find_as_of(b, location);
    if (as_of != NULL) {
        return sql_unsupported(err, sql_dialect_position(b->dialect, as_of->offset),
                               "the WITH query \"" TARN_SLICE_FMT "\" has no versions",
                               TARN_SLICE_ARG(cte->name));
    }
    const tarn_plan *plan = NULL;
    TARN_TRY(
        sql_bind_nested(b, definition->ctequery->select_stmt, cte->outer, position, &plan, err));
    TARN_TRY(sql_scope_of_plan(b, plan, cte->name, ret_scope, err));
    if (definition->n_aliascolnames == 0) return TARN_OK;
    PgQuery__Alias alias = {.aliasname = definition->ctename,
                            .n_colnames = definition->n_aliascolnames,
                            .colnames = definition->aliascolnames};
    return sql_scope_alias(b, &alias, sql_at(b, definition->location), ret_scope, err);
}

static tarn_status bind_table(sql_binder *b, const tarn_relation *relation, int32_t location,
                              sql_scope *ret_scope, tarn_error *err) {
    size_t count = relation->schema.field_count;
    size_t *columns = tarn_arena_new(b->arena, size_t, count);
    if (columns == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) columns[i] = i;
    sql_plan_scan_spec spec = {.relation = relation, .columns = columns, .column_count = count};
    const sql_as_of *as_of = find_as_of(b, location);
    if (as_of != NULL) {
        TARN_TRY(check_as_of(b, as_of, relation, err));
        spec.as_of = as_of->kind;
        spec.as_of_value = as_of->value;
    }
    const tarn_plan *plan = NULL;
    TARN_TRY(sql_plan_scan(b->arena, &spec, &plan, err));
    return sql_scope_of_plan(b, plan, relation->name, ret_scope, err);
}

tarn_status sql_bind_relation(sql_binder *b, const sql_relation_name *name, const sql_cte *ctes,
                              sql_scope *ret_scope, tarn_error *err) {
    const sql_cte *cte = name->schema_name.len == 0 ? find_cte(ctes, name->name) : NULL;
    if (cte != NULL) return bind_cte(b, cte, name->location, ret_scope, err);
    const tarn_relation *relation = NULL;
    TARN_TRY(sql_find_relation(b, name, ctes, &relation, err));
    TARN_TRY(sql_note_relation(b, relation, err));
    return bind_table(b, relation, name->location, ret_scope, err);
}

static tarn_status bind_range_var(sql_binder *b, const PgQuery__RangeVar *node, const sql_cte *ctes,
                                  sql_scope *ret_scope, tarn_error *err) {
    int32_t position = sql_at(b, node->location);
    if (node->catalogname != NULL && node->catalogname[0] != '\0') {
        return sql_unsupported(err, position, "references to other databases are not supported");
    }
    sql_relation_name name = {.schema_name = tarn_slice_from_cstr(node->schemaname),
                              .name = tarn_slice_from_cstr(node->relname),
                              .location = node->location};
    TARN_TRY(sql_bind_relation(b, &name, ctes, ret_scope, err));
    return sql_scope_alias(b, node->alias, position, ret_scope, err);
}

static tarn_status bind_subselect(sql_binder *b, const PgQuery__RangeSubselect *node,
                                  const sql_cte *ctes, sql_scope *ret_scope, tarn_error *err) {
    if (node->lateral) {
        return sql_unsupported(err, sql_word_position(b, "lateral"), "LATERAL is not supported");
    }
    const tarn_plan *plan = NULL;
    TARN_TRY(sql_bind_nested(b, node->subquery->select_stmt, ctes, 0, &plan, err));
    TARN_TRY(sql_scope_of_plan(b, plan, (tarn_slice){0}, ret_scope, err));
    return sql_scope_alias(b, node->alias, 0, ret_scope, err);
}

// ---- joins ----

static tarn_status check_aliases(const sql_scope *left, const sql_scope *right, int32_t position,
                                 tarn_error *err) {
    for (size_t r = 0; r < right->count; r++) {
        tarn_slice name = right->columns[r].relation;
        if (name.len == 0 || (r > 0 && tarn_slice_equal(right->columns[r - 1].relation, name))) {
            continue;
        }
        for (size_t l = 0; l < left->count; l++) {
            if (!tarn_slice_equal(left->columns[l].relation, name)) continue;
            (void)sql_fail(err, position, "42712",
                           "table name \"" TARN_SLICE_FMT "\" specified more than once",
                           TARN_SLICE_ARG(name));
            tarn_error_hint(err, "give one of them an alias");
            return TARN_INVALID;
        }
    }
    return TARN_OK;
}

// Both scopes over the columns of their join, in which either may come first.
static tarn_status combine(const sql_binder *b, const sql_scope *left, const sql_scope *right,
                           const tarn_plan *plan, sql_scope *ret_scope, tarn_error *err) {
    bool left_first = plan->inputs[0] == left->plan;
    sql_column *columns = tarn_arena_new(b->scratch, sql_column, left->count + right->count);
    if (columns == NULL) return sql_no_memory(err);
    size_t left_shift = left_first ? 0 : right->plan->schema.field_count;
    size_t right_shift = left_first ? left->plan->schema.field_count : 0;
    for (size_t i = 0; i < left->count; i++) {
        columns[i] = left->columns[i];
        columns[i].index += left_shift;
    }
    for (size_t i = 0; i < right->count; i++) {
        columns[left->count + i] = right->columns[i];
        columns[left->count + i].index += right_shift;
    }
    *ret_scope = (sql_scope){.plan = plan, .columns = columns, .count = left->count + right->count};
    return TARN_OK;
}

typedef struct join_builder {
    sql_binder *b;
    const sql_scope *left;
    const sql_scope *right;
    bool is_right_join;   // RIGHT JOIN is LEFT JOIN with its sides swapped
    sql_column *combined; // the scope's columns, to be changed by USING
    size_t combined_count;
    const tarn_plan *cross; // both sides side by side
    const tarn_expr *condition;
} join_builder;

// name of USING or NATURAL: equal on both sides, and one column for the outside.
static tarn_status join_using(join_builder *j, tarn_slice name, int32_t position, tarn_error *err) {
    sql_binder *b = j->b;
    const sql_scope *sides[2] = {j->left, j->right};
    size_t at[2];
    for (size_t s = 0; s < 2; s++) {
        const sql_column *column = NULL;
        TARN_TRY(sql_scope_find(sides[s], (tarn_slice){0}, name, position, &column, err));
        if (column == NULL) {
            return sql_fail(err, position, "42703",
                            "column \"" TARN_SLICE_FMT
                            "\" specified in USING clause does not exist in %s table",
                            TARN_SLICE_ARG(name), s == 0 ? "left" : "right");
        }
        at[s] = (size_t)(column - sides[s]->columns) + (s == 0 ? 0 : j->left->count);
    }
    const tarn_expr *args[2];
    for (size_t s = 0; s < 2; s++) {
        TARN_TRY(
            sql_plan_column(b->arena, j->cross, j->combined[at[s]].index, position, &args[s], err));
    }
    const tarn_expr *equal = NULL;
    TARN_TRY(tarn_expr_call(b->arena, TARN_LIT("="), args, 2, position, &equal, err));
    TARN_TRY(sql_and(b->arena, j->condition, equal, &j->condition, err));
    size_t hidden = j->is_right_join ? at[0] : at[1];
    j->combined[hidden].in_star = false;
    j->combined[hidden].is_bare = false;
    return TARN_OK;
}

// Columns merged by USING come first in SELECT *.
static tarn_status move_to_front(join_builder *j, const tarn_slice *names, size_t count,
                                 tarn_error *err) {
    sql_column *sorted = tarn_arena_new(j->b->scratch, sql_column, j->combined_count);
    bool *moved = tarn_arena_new(j->b->scratch, bool, j->combined_count);
    if (sorted == NULL || moved == NULL) return sql_no_memory(err);
    size_t filled = 0;
    for (size_t n = 0; n < count; n++) {
        for (size_t i = 0; i < j->combined_count; i++) {
            const sql_column *column = &j->combined[i];
            if (moved[i] || !column->in_star || !tarn_slice_equal(column->name, names[n])) continue;
            moved[i] = true;
            sorted[filled++] = *column;
            break;
        }
    }
    for (size_t i = 0; i < j->combined_count; i++) {
        if (!moved[i]) sorted[filled++] = j->combined[i];
    }
    j->combined = sorted;
    return TARN_OK;
}

static tarn_status join_names(join_builder *j, const PgQuery__JoinExpr *node,
                              tarn_slice **ret_names, size_t *ret_count, tarn_error *err) {
    size_t limit = node->is_natural ? j->left->count : node->n_using_clause;
    tarn_slice *names = tarn_arena_new(j->b->scratch, tarn_slice, limit);
    if (names == NULL) return sql_no_memory(err);
    size_t count = 0;
    for (size_t i = 0; !node->is_natural && i < limit; i++) {
        names[count++] = sql_node_string(node->using_clause[i]);
    }
    for (size_t l = 0; node->is_natural && l < limit; l++) {
        if (!j->left->columns[l].in_star) continue;
        for (size_t r = 0; r < j->right->count; r++) {
            const sql_column *right = &j->right->columns[r];
            if (right->in_star && tarn_slice_equal(right->name, j->left->columns[l].name)) {
                names[count++] = right->name;
                break;
            }
        }
    }
    *ret_names = names;
    *ret_count = count;
    return TARN_OK;
}

static tarn_status bind_join_condition(join_builder *j, const PgQuery__JoinExpr *node,
                                       tarn_error *err) {
    if (node->quals != NULL) {
        sql_scope scope = {.plan = j->cross, .columns = j->combined, .count = j->combined_count};
        sql_place place = {.scope = &scope, .clause = "JOIN/ON"};
        return sql_bind_condition(j->b, &place, node->quals, &j->condition, err);
    }
    tarn_slice *names = NULL;
    size_t count = 0;
    TARN_TRY(join_names(j, node, &names, &count, err));
    for (size_t i = 0; i < count; i++) TARN_TRY(join_using(j, names[i], 0, err));
    return move_to_front(j, names, count, err);
}

static tarn_status cross_join(sql_binder *b, const tarn_plan *left, const tarn_plan *right,
                              const tarn_plan **ret_plan, tarn_error *err) {
    sql_plan_join_spec spec = {.kind = TARN_JOIN_INNER, .left = left, .right = right};
    return sql_plan_join(b->arena, &spec, ret_plan, err);
}

static tarn_status bind_from_item(sql_binder *b, const pg_node *node, const sql_cte *ctes,
                                  sql_scope *ret_scope, tarn_error *err);

// An inner join is a cross join under a filter, an outer one has its condition as residual; the
// optimizer finds the keys in both.
static tarn_status bind_join(sql_binder *b, const PgQuery__JoinExpr *node, const sql_cte *ctes,
                             sql_scope *ret_scope, tarn_error *err) {
    sql_scope left = {0};
    sql_scope right = {0};
    TARN_TRY(bind_from_item(b, node->larg, ctes, &left, err));
    TARN_TRY(bind_from_item(b, node->rarg, ctes, &right, err));
    if (node->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL) {
        return sql_unsupported(err, sql_at(b, sql_node_location(node->rarg)),
                               "FULL JOIN is not supported");
    }
    TARN_TRY(check_aliases(&left, &right, sql_at(b, sql_node_location(node->rarg)), err));
    bool is_right = node->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT;
    bool is_outer = is_right || node->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT;
    const tarn_plan *first = is_right ? right.plan : left.plan;
    const tarn_plan *second = is_right ? left.plan : right.plan;
    join_builder j = {.b = b, .left = &left, .right = &right, .is_right_join = is_right};
    TARN_TRY(cross_join(b, first, second, &j.cross, err));
    sql_scope combined = {0};
    TARN_TRY(combine(b, &left, &right, j.cross, &combined, err));
    j.combined = tarn_arena_new(b->scratch, sql_column, combined.count);
    if (j.combined == NULL) return sql_no_memory(err);
    memcpy(j.combined, combined.columns, combined.count * sizeof *j.combined);
    j.combined_count = combined.count;
    TARN_TRY(bind_join_condition(&j, node, err));

    const tarn_plan *plan = j.cross;
    if (is_outer) {
        sql_plan_join_spec spec = {
            .kind = TARN_JOIN_LEFT, .left = first, .right = second, .residual = j.condition};
        TARN_TRY(sql_plan_join(b->arena, &spec, &plan, err));
    } else if (j.condition != NULL) {
        TARN_TRY(sql_plan_filter(b->arena, plan, j.condition, &plan, err));
    }
    *ret_scope = (sql_scope){.plan = plan, .columns = j.combined, .count = j.combined_count};
    return sql_scope_alias(b, node->alias, 0, ret_scope, err);
}

static tarn_status bind_from_item(sql_binder *b, const pg_node *node, const sql_cte *ctes,
                                  sql_scope *ret_scope, tarn_error *err) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return bind_range_var(b, node->range_var, ctes, ret_scope, err);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        return bind_subselect(b, node->range_subselect, ctes, ret_scope, err);
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        return sql_bind_time_window(b, node->range_function, ctes, ret_scope, err);
    case PG_QUERY__NODE__NODE_JOIN_EXPR: return bind_join(b, node->join_expr, ctes, ret_scope, err);
    default:
        return sql_unsupported(err, sql_at(b, sql_node_location(node)),
                               "%s in FROM is not supported", sql_node_title(node));
    }
}

tarn_status sql_bind_from(sql_binder *b, PgQuery__Node *const *items, size_t count,
                          const sql_cte *ctes, sql_scope *ret_scope, tarn_error *err) {
    if (count == 0) { // one row of no columns
        const tarn_plan *plan = NULL;
        TARN_TRY(sql_plan_values(b->arena, NULL, 1, &(tarn_schema){0}, &plan, err));
        *ret_scope = (sql_scope){.plan = plan};
        return TARN_OK;
    }
    sql_scope scope = {0};
    TARN_TRY(bind_from_item(b, items[0], ctes, &scope, err));
    for (size_t i = 1; i < count; i++) {
        sql_scope next = {0};
        TARN_TRY(bind_from_item(b, items[i], ctes, &next, err));
        TARN_TRY(check_aliases(&scope, &next, sql_at(b, sql_node_location(items[i])), err));
        const tarn_plan *plan = NULL;
        TARN_TRY(cross_join(b, scope.plan, next.plan, &plan, err));
        TARN_TRY(combine(b, &scope, &next, plan, &scope, err));
    }
    *ret_scope = scope;
    return TARN_OK;
}
