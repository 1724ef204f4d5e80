// Scopes: which column a name means, and what to say when it means none.

#include "sql/bind.h"

void *sql_grow(tarn_arena *arena, void *items, size_t count, size_t *capacity, size_t item_bytes) {
    if (count < *capacity) return items;
    size_t larger = *capacity == 0 ? TARN_TUNABLE(8, 1) : *capacity * 2;
    void *moved = tarn_arena_alloc(arena, item_bytes, larger);
    if (moved == NULL) return NULL;
    if (count > 0) memcpy(moved, items, count * item_bytes);
    *capacity = larger;
    return moved;
}

tarn_status sql_copy_name(const sql_binder *b, tarn_slice name, tarn_slice *ret_name,
                          tarn_error *err) {
    return tarn_arena_copy(b->arena, name, ret_name) ? TARN_OK : sql_no_memory(err);
}

void sql_hint_name(tarn_error *err, tarn_slice name, const tarn_slice *names, size_t count,
                   const char *what) {
    ptrdiff_t nearest = tarn_nearest_name(name, names, count);
    if (nearest < 0) return;
    tarn_error_hint(err, "Perhaps you meant %s \"" TARN_SLICE_FMT "\"", what,
                    TARN_SLICE_ARG(names[nearest]));
}

int32_t sql_word_position(const sql_binder *b, const char *word) {
    tarn_slice source = b->dialect->source;
    sql_token token;
    for (size_t offset = 0; sql_token_next(source, &offset, &token, NULL);) {
        if (sql_token_is_word(source, token, word)) {
            return sql_dialect_position(b->dialect, token.begin);
        }
    }
    return 0;
}

// ---- looking up ----

static bool is_of_relation(const sql_column *column, tarn_slice relation) {
    return tarn_slice_equal(column->relation, relation);
}

static bool has_relation(const sql_scope *scope, tarn_slice relation) {
    for (size_t i = 0; i < scope->count; i++) {
        if (is_of_relation(&scope->columns[i], relation)) return true;
    }
    return false;
}

tarn_status sql_scope_find(const sql_scope *scope, tarn_slice relation, tarn_slice name,
                           int32_t position, const sql_column **ret_column, tarn_error *err) {
    const sql_column *found = NULL;
    for (size_t i = 0; i < scope->count; i++) {
        const sql_column *column = &scope->columns[i];
        bool reachable = relation.len == 0 ? column->is_bare : is_of_relation(column, relation);
        if (!reachable || !tarn_slice_equal(column->name, name)) continue;
        if (found != NULL) {
            return sql_fail(err, position, "42702",
                            "column reference \"" TARN_SLICE_FMT "\" is ambiguous",
                            TARN_SLICE_ARG(name));
        }
        found = column;
    }
    *ret_column = found;
    return TARN_OK;
}

static tarn_status hint_column(const sql_binder *b, const sql_scope *scope, tarn_slice relation,
                               tarn_slice name, tarn_error *err) {
    tarn_slice *names = tarn_arena_new(b->scratch, tarn_slice, scope->count);
    const sql_column **columns = tarn_arena_new(b->scratch, const sql_column *, scope->count);
    if (names == NULL || columns == NULL) return TARN_INVALID; // the error stands, without a hint
    size_t count = 0;
    for (size_t i = 0; i < scope->count; i++) {
        const sql_column *column = &scope->columns[i];
        if (relation.len > 0 && !is_of_relation(column, relation)) continue;
        columns[count] = column;
        names[count++] = column->name;
    }
    ptrdiff_t nearest = tarn_nearest_name(name, names, count);
    if (nearest < 0) return TARN_INVALID;
    const sql_column *column = columns[nearest];
    const char *dot = column->relation.len > 0 ? "." : "";
    tarn_error_hint(err, "Perhaps you meant the column \"" TARN_SLICE_FMT "%s" TARN_SLICE_FMT "\"",
                    TARN_SLICE_ARG(column->relation), dot, TARN_SLICE_ARG(column->name));
    return TARN_INVALID;
}

static tarn_status no_relation(const sql_binder *b, const sql_scope *scope, tarn_slice relation,
                               int32_t position, tarn_error *err) {
    (void)sql_fail(err, position, "42P01",
                   "missing FROM-clause entry for table \"" TARN_SLICE_FMT "\"",
                   TARN_SLICE_ARG(relation));
    tarn_slice *names = tarn_arena_new(b->scratch, tarn_slice, scope->count);
    if (names == NULL) return TARN_INVALID;
    for (size_t i = 0; i < scope->count; i++) names[i] = scope->columns[i].relation;
    sql_hint_name(err, relation, names, scope->count, "the table alias");
    return TARN_INVALID;
}

static tarn_status no_column(const sql_binder *b, const sql_scope *scope, tarn_slice relation,
                             tarn_slice name, int32_t position, tarn_error *err) {
    if (relation.len > 0 && !has_relation(scope, relation)) {
        return no_relation(b, scope, relation, position, err);
    }
    if (relation.len == 0 && has_relation(scope, name)) {
        (void)sql_unsupported(err, position,
                              "a whole row (\"" TARN_SLICE_FMT "\") as a value is not supported",
                              TARN_SLICE_ARG(name));
        tarn_error_hint(err, "name its columns");
        return TARN_UNSUPPORTED;
    }
    if (relation.len > 0) {
        (void)sql_fail(err, position, "42703",
                       "column " TARN_SLICE_FMT "." TARN_SLICE_FMT " does not exist",
                       TARN_SLICE_ARG(relation), TARN_SLICE_ARG(name));
    } else {
        (void)sql_fail(err, position, "42703", "column \"" TARN_SLICE_FMT "\" does not exist",
                       TARN_SLICE_ARG(name));
    }
    return hint_column(b, scope, relation, name, err);
}

tarn_status sql_bind_column(sql_binder *b, const sql_place *place, const PgQuery__ColumnRef *ref,
                            const tarn_expr **ret_expr, tarn_error *err) {
    int32_t position = sql_at(b, ref->location);
    if (ref->fields[ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR) {
        return sql_fail(err, position, "42601", "\"*\" cannot stand in an expression");
    }
    tarn_slice name = sql_node_string(ref->fields[ref->n_fields - 1]);
    tarn_slice relation = {0};
    if (ref->n_fields > 1) relation = sql_node_string(ref->fields[ref->n_fields - 2]);
    if (place->scope == NULL) {
        return sql_fail(err, position, "42703",
                        "column \"" TARN_SLICE_FMT "\" cannot be used in %s", TARN_SLICE_ARG(name),
                        place->clause);
    }
    const sql_column *column = NULL;
    TARN_TRY(sql_scope_find(place->scope, relation, name, position, &column, err));
    if (column == NULL) return no_column(b, place->scope, relation, name, position, err);
    return sql_plan_column(b->arena, place->scope->plan, column->index, position, ret_expr, err);
}

// ---- making scopes ----

tarn_status sql_scope_of_plan(const sql_binder *b, const tarn_plan *plan, tarn_slice relation,
                              sql_scope *ret_scope, tarn_error *err) {
    size_t count = plan->schema.field_count;
    sql_column *columns = tarn_arena_new(b->scratch, sql_column, count);
    if (columns == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        columns[i] = (sql_column){.relation = relation,
                                  .name = plan->schema.fields[i].name,
                                  .index = i,
                                  .in_star = true,
                                  .is_bare = true};
    }
    *ret_scope = (sql_scope){.plan = plan, .columns = columns, .count = count};
    return TARN_OK;
}

// Alias columns name what SELECT * would show, in that order.
tarn_status sql_scope_alias(const sql_binder *b, const PgQuery__Alias *alias, int32_t position,
                            sql_scope *scope, tarn_error *err) {
    if (alias == NULL) return TARN_OK;
    tarn_slice relation = tarn_slice_from_cstr(alias->aliasname);
    sql_column *columns = tarn_arena_new(b->scratch, sql_column, scope->count);
    if (columns == NULL) return sql_no_memory(err);
    size_t count = 0;
    for (size_t i = 0; i < scope->count; i++) {
        if (!scope->columns[i].in_star) continue; // hidden behind the alias of a join
        columns[count] = scope->columns[i];
        columns[count].relation = relation;
        columns[count].schema_name = (tarn_slice){0};
        columns[count].is_bare = true;
        if (count < alias->n_colnames) {
            columns[count].name = sql_node_string(alias->colnames[count]);
        }
        count++;
    }
    if (alias->n_colnames > count) {
        return sql_fail(err, position, "42P10",
                        "table \"" TARN_SLICE_FMT
                        "\" has %zu columns available but %zu columns specified",
                        TARN_SLICE_ARG(relation), count, alias->n_colnames);
    }
    scope->columns = columns;
    scope->count = count;
    return TARN_OK;
}

// ---- relations ----

// The catalog may give a new struct each time; within one statement the first one stands for all.
static const tarn_relation *find_noted(const sql_binder *b, const tarn_relation *relation) {
    for (size_t i = 0; i < b->relation_count; i++) {
        const tarn_relation *noted = b->relations[i];
        if (tarn_slice_equal(noted->schema_name, relation->schema_name) &&
            tarn_slice_equal(noted->name, relation->name)) {
            return noted;
        }
    }
    return NULL;
}

tarn_status sql_note_relation(sql_binder *b, const tarn_relation *relation, tarn_error *err) {
    if (find_noted(b, relation) != NULL) return TARN_OK;
    b->relations =
        sql_grow(b->arena, b->relations, b->relation_count, &b->relation_capacity, sizeof(void *));
    if (b->relations == NULL) return sql_no_memory(err);
    b->relations[b->relation_count++] = relation;
    return TARN_OK;
}

static tarn_status hint_relation(sql_binder *b, tarn_slice name, const sql_cte *ctes,
                                 tarn_error *err) {
    const tarn_slice *known = NULL;
    size_t known_count = 0;
    tarn_error ignored = {0};
    if (b->catalog->names != NULL && b->catalog->names(b->catalog->context, b->scratch, &known,
                                                       &known_count, &ignored) != TARN_OK) {
        known_count = 0;
    }
    size_t count = known_count;
    for (const sql_cte *cte = ctes; cte != NULL; cte = cte->outer) count++;
    tarn_slice *names = tarn_arena_new(b->scratch, tarn_slice, count);
    if (names == NULL) return TARN_INVALID;
    for (size_t i = 0; i < known_count; i++) names[i] = known[i];
    count = known_count;
    for (const sql_cte *cte = ctes; cte != NULL; cte = cte->outer) names[count++] = cte->name;
    sql_hint_name(err, name, names, count, "the relation");
    return TARN_INVALID;
}

tarn_status sql_find_relation(sql_binder *b, const sql_relation_name *name, const sql_cte *ctes,
                              const tarn_relation **ret_relation, tarn_error *err) {
    const tarn_relation *relation = NULL;
    TARN_TRY(b->catalog->find(b->catalog->context, name->schema_name, name->name, b->arena,
                              &relation, err));
    if (relation == NULL) {
        const char *dot = name->schema_name.len > 0 ? "." : "";
        (void)sql_fail(err, sql_at(b, name->location), "42P01",
                       "relation \"" TARN_SLICE_FMT "%s" TARN_SLICE_FMT "\" does not exist",
                       TARN_SLICE_ARG(name->schema_name), dot, TARN_SLICE_ARG(name->name));
        return hint_relation(b, name->name, ctes, err);
    }
    const tarn_relation *noted = find_noted(b, relation);
    *ret_relation = noted != NULL ? noted : relation;
    return TARN_OK;
}
