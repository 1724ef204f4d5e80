// INSERT and COPY FROM.

#include "sql/bind.h"
#include "sql/optimize.h"

// ---- the columns written to ----

static tarn_status find_table(sql_binder *b, const PgQuery__RangeVar *name, const char *verb,
                              const tarn_relation **ret_table, tarn_error *err) {
    int32_t position = sql_at(b, name->location);
    sql_relation_name wanted = {.schema_name = tarn_slice_from_cstr(name->schemaname),
                                .name = tarn_slice_from_cstr(name->relname),
                                .location = name->location};
    TARN_TRY(sql_find_relation(b, &wanted, NULL, ret_table, err));
    static const char *const kinds[] = {
        [TARN_RELATION_TABLE] = "table",
        [TARN_RELATION_SOURCE] = "source",
        [TARN_RELATION_VIEW] = "materialized view",
        [TARN_RELATION_SYSTEM] = "system table",
    };
    if ((*ret_table)->kind != TARN_RELATION_TABLE) {
        return sql_fail(err, position, "42809", "cannot %s %s \"" TARN_SLICE_FMT "\"", verb,
                        kinds[(*ret_table)->kind], TARN_SLICE_ARG(wanted.name));
    }
    return TARN_OK;
}

static tarn_status find_column(const sql_binder *b, const tarn_relation *table, tarn_slice name,
                               int32_t position, size_t *ret_column, tarn_error *err) {
    ptrdiff_t column = tarn_schema_find(&table->schema, name);
    if (column >= 0) {
        *ret_column = (size_t)column;
        return TARN_OK;
    }
    (void)sql_fail(err, position, "42703",
                   "column \"" TARN_SLICE_FMT "\" of relation \"" TARN_SLICE_FMT
                   "\" does not exist",
                   TARN_SLICE_ARG(name), TARN_SLICE_ARG(table->name));
    size_t count = table->schema.field_count;
    tarn_slice *names = tarn_arena_new(b->scratch, tarn_slice, count);
    if (names == NULL) return TARN_INVALID;
    for (size_t i = 0; i < count; i++) names[i] = table->schema.fields[i].name;
    sql_hint_name(err, name, names, count, "the column");
    return TARN_INVALID;
}

typedef struct write_columns {
    const tarn_relation *table;
    size_t *columns; // of the table, in the order they are written in
    size_t count;
} write_columns;

static tarn_status add_column(const sql_binder *b, write_columns *w, tarn_slice name,
                              int32_t position, tarn_error *err) {
    size_t column = 0;
    TARN_TRY(find_column(b, w->table, name, position, &column, err));
    for (size_t i = 0; i < w->count; i++) {
        if (w->columns[i] == column) {
            return sql_fail(err, position, "42701",
                            "column \"" TARN_SLICE_FMT "\" specified more than once",
                            TARN_SLICE_ARG(name));
        }
    }
    w->columns[w->count++] = column;
    return TARN_OK;
}

static tarn_status init_columns(const sql_binder *b, write_columns *w, size_t named_count,
                                tarn_error *err) {
    size_t all = w->table->schema.field_count;
    w->columns = tarn_arena_new(b->arena, size_t, named_count == 0 ? all : named_count);
    if (w->columns == NULL) return sql_no_memory(err);
    if (named_count == 0) {
        for (size_t i = 0; i < all; i++) w->columns[w->count++] = i;
    }
    return TARN_OK;
}

// ---- INSERT ----

static tarn_status check_insert(const sql_binder *b, const PgQuery__InsertStmt *node,
                                tarn_error *err) {
    int32_t position = sql_at(b, node->relation->location);
    if (node->on_conflict_clause != NULL) {
        (void)sql_unsupported(err, sql_at(b, node->on_conflict_clause->location),
                              "ON CONFLICT is not supported");
        tarn_error_hint(err, "a table with a primary key replaces the row of an equal key");
        return TARN_UNSUPPORTED;
    }
    const char *what = NULL;
    if (node->n_returning_list > 0) what = "RETURNING";
    if (node->select_stmt == NULL) what = "DEFAULT VALUES";
    if (node->override > PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET) what = "OVERRIDING";
    if (what != NULL) return sql_unsupported(err, position, "%s is not supported", what);
    return TARN_OK;
}

static tarn_status bind_insert_columns(const sql_binder *b, const PgQuery__InsertStmt *node,
                                       write_columns *w, tarn_error *err) {
    TARN_TRY(init_columns(b, w, node->n_cols, err));
    for (size_t i = 0; i < node->n_cols; i++) {
        const PgQuery__ResTarget *target = node->cols[i]->res_target;
        int32_t position = sql_at(b, target->location);
        if (target->n_indirection > 0) {
            return sql_unsupported(err, position,
                                   "assignment to a part of a column is not "
                                   "supported");
        }
        TARN_TRY(add_column(b, w, tarn_slice_from_cstr(target->name), position, err));
    }
    return TARN_OK;
}

static tarn_status check_insert_width(const sql_binder *b, const PgQuery__InsertStmt *node,
                                      const tarn_plan *plan, const write_columns *w,
                                      tarn_error *err) {
    size_t given = plan->schema.field_count;
    if (given == w->count) return TARN_OK;
    if (given < w->count && node->n_cols == 0) { // the first columns, as in PostgreSQL
        return TARN_OK;
    }
    return sql_fail(err, sql_at(b, node->relation->location), "42601",
                    given > w->count ? "INSERT has more expressions than target columns"
                                     : "INSERT has more target columns than expressions");
}

// The table's columns in its order, NULL where the statement gives none.
static tarn_status fill_row(sql_binder *b, const write_columns *w, const tarn_plan *plan,
                            const tarn_plan **ret_plan, tarn_error *err) {
    const tarn_schema *schema = &w->table->schema;
    size_t count = schema->field_count;
    const tarn_expr **exprs = tarn_arena_new(b->arena, const tarn_expr *, count);
    tarn_slice *names = tarn_arena_new(b->arena, tarn_slice, count);
    if (exprs == NULL || names == NULL) return sql_no_memory(err);
    bool is_in_order = plan->schema.field_count == count;
    for (size_t i = 0; i < plan->schema.field_count; i++) {
        size_t column = w->columns[i];
        is_in_order &= column == i;
        TARN_TRY(sql_plan_column(b->arena, plan, i, 0, &exprs[column], err));
    }
    for (size_t i = 0; i < count; i++) {
        const tarn_field *field = &schema->fields[i];
        names[i] = field->name;
        if (exprs[i] != NULL) continue;
        if (field->not_null) {
            return sql_fail(err, 0, "23502",
                            "null value in column \"" TARN_SLICE_FMT
                            "\" of relation \"" TARN_SLICE_FMT "\" violates not-null constraint",
                            TARN_SLICE_ARG(field->name), TARN_SLICE_ARG(w->table->name));
        }
        TARN_TRY(
            tarn_expr_literal(b->arena, tarn_value_null(field->type), false, 0, &exprs[i], err));
    }
    if (is_in_order) return sql_plan_rename(b->arena, plan, names, ret_plan, err);
    sql_outputs outputs = {exprs, names, count};
    return sql_plan_project(b->arena, plan, &outputs, ret_plan, err);
}

static tarn_status cast_row(sql_binder *b, const write_columns *w, const tarn_plan *plan,
                            const tarn_plan **ret_plan, tarn_error *err) {
    size_t count = plan->schema.field_count;
    tarn_type *types = tarn_arena_new(b->scratch, tarn_type, count);
    tarn_slice *targets = tarn_arena_new(b->scratch, tarn_slice, count);
    if (types == NULL || targets == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        types[i] = w->table->schema.fields[w->columns[i]].type;
        targets[i] = w->table->schema.fields[w->columns[i]].name;
    }
    return sql_cast_output(b, plan, types, targets, ret_plan, err);
}

static tarn_status bind_rows(sql_binder *b, const PgQuery__InsertStmt *node, const sql_cte *ctes,
                             const write_columns *w, const tarn_plan **ret_plan, tarn_error *err) {
    const PgQuery__SelectStmt *select = node->select_stmt->select_stmt;
    size_t count = w->count;
    if (node->n_cols == 0 && select->n_values_lists > 0 &&
        select->values_lists[0]->list->n_items < count) {
        count = select->values_lists[0]->list->n_items; // the first columns
    }
    tarn_field *fields = tarn_arena_new(b->scratch, tarn_field, count);
    if (fields == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) fields[i] = w->table->schema.fields[w->columns[i]];
    sql_target target = {.fields = fields, .count = count};
    sql_query_context context = {.ctes = ctes, .target = &target};
    const tarn_plan *plan = NULL;
    TARN_TRY(sql_bind_query(b, select, &context, &plan, err));
    TARN_TRY(check_insert_width(b, node, plan, w, err));
    TARN_TRY(cast_row(b, w, plan, &plan, err));
    return fill_row(b, w, plan, ret_plan, err);
}

tarn_status sql_bind_insert(sql_binder *b, const PgQuery__InsertStmt *node,
                            tarn_statement *statement, tarn_error *err) {
    TARN_TRY(check_insert(b, node, err));
    write_columns w = {0};
    TARN_TRY(find_table(b, node->relation, "insert into", &w.table, err));
    TARN_TRY(bind_insert_columns(b, node, &w, err));
    const sql_cte *ctes = NULL;
    TARN_TRY(sql_push_ctes(b, node->with_clause, NULL, &ctes, err));
    const tarn_plan *plan = NULL;
    TARN_TRY(bind_rows(b, node, ctes, &w, &plan, err));
    TARN_TRY(sql_optimize(b->arena, plan, SQL_PLAN_OF_QUERY, &plan, err));
    statement->kind = TARN_STATEMENT_INSERT;
    statement->insert.table = w.table;
    statement->insert.plan = plan;
    return TARN_OK;
}

// ---- COPY FROM ----

static const char *const copy_options[] = {
    "format", "header", "delimiter", "null", "quote", "escape", "on_error", "encoding",
};

static tarn_status option_text(const sql_binder *b, const PgQuery__DefElem *option,
                               tarn_slice *ret_text, tarn_error *err) {
    const pg_node *arg = option->arg;
    tarn_slice text = TARN_LIT("true");
    if (arg != NULL && arg->node_case == PG_QUERY__NODE__NODE_STRING) {
        text = tarn_slice_from_cstr(arg->string->sval);
    } else if (arg != NULL && arg->node_case == PG_QUERY__NODE__NODE_BOOLEAN) {
        text = arg->boolean->boolval ? TARN_LIT("true") : TARN_LIT("false");
    } else if (arg != NULL && arg->node_case == PG_QUERY__NODE__NODE_INTEGER) {
        text = arg->integer->ival != 0 ? TARN_LIT("true") : TARN_LIT("false");
    } else if (arg != NULL) {
        return sql_fail(err, sql_at(b, option->location), "42601",
                        "COPY option \"%s\" takes one text", option->defname);
    }
    return sql_copy_name(b, text, ret_text, err);
}

static tarn_status one_byte(const sql_binder *b, const PgQuery__DefElem *option, tarn_slice text,
                            uint8_t *ret_byte, tarn_error *err) {
    if (text.len != 1 || text.data[0] == '\n' || text.data[0] == '\r') {
        return sql_fail(err, sql_at(b, option->location), "0A000",
                        "COPY %s must be a single one-byte character", option->defname);
    }
    *ret_byte = text.data[0];
    return TARN_OK;
}

static tarn_status one_boolean(const sql_binder *b, const PgQuery__DefElem *option, tarn_slice text,
                               bool *ret_boolean, tarn_error *err) {
    tarn_value value;
    tarn_status status =
        tarn_value_parse(tarn_type_of(TARN_TYPE_BOOLEAN), text, b->scratch, &value, NULL);
    if (status != TARN_OK) {
        return sql_fail(err, sql_at(b, option->location), "42601", "COPY %s is true or false",
                        option->defname);
    }
    *ret_boolean = value.boolean;
    return TARN_OK;
}

static tarn_status one_of(const sql_binder *b, const PgQuery__DefElem *option, tarn_slice text,
                          const char *const *words, size_t count, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (tarn_slice_equal(text, tarn_slice_from_cstr(words[i]))) return TARN_OK;
    }
    (void)sql_fail(err, sql_at(b, option->location), "22023",
                   "COPY %s \"" TARN_SLICE_FMT "\" not recognized", option->defname,
                   TARN_SLICE_ARG(text));
    tarn_error_hint(err, count == 2 ? "it is %s or %s" : "it is %s, %s or %s", words[0], words[1],
                    words[count - 1]);
    return TARN_INVALID;
}

static tarn_status unknown_option(const sql_binder *b, const PgQuery__DefElem *option,
                                  tarn_error *err) {
    enum { COUNT = sizeof copy_options / sizeof *copy_options };
    (void)sql_fail(err, sql_at(b, option->location), "42601", "COPY option \"%s\" not recognized",
                   option->defname);
    tarn_slice names[COUNT];
    for (size_t i = 0; i < COUNT; i++) names[i] = tarn_slice_from_cstr(copy_options[i]);
    sql_hint_name(err, tarn_slice_from_cstr(option->defname), names, COUNT, "the option");
    return TARN_INVALID;
}

static tarn_status apply_option(const sql_binder *b, const PgQuery__DefElem *option,
                                tarn_statement *statement, tarn_error *err) {
    static const char *const formats[] = {"csv", "json", "parquet"};
    static const char *const on_error[] = {"stop", "dead_letter"};
    static const char *const encodings[] = {"utf8", "UTF8"};
    const char *name = option->defname;
    tarn_slice text = {0};
    TARN_TRY(option_text(b, option, &text, err));
    if (strcmp(name, "format") == 0) {
        statement->copy.format = text;
        return one_of(b, option, text, formats, 3, err);
    }
    if (strcmp(name, "header") == 0) {
        return one_boolean(b, option, text, &statement->copy.header, err);
    }
    if (strcmp(name, "delimiter") == 0) {
        return one_byte(b, option, text, &statement->copy.delimiter, err);
    }
    if (strcmp(name, "quote") == 0) return one_byte(b, option, text, &statement->copy.quote, err);
    if (strcmp(name, "escape") == 0) return one_byte(b, option, text, &statement->copy.escape, err);
    if (strcmp(name, "null") == 0) {
        statement->copy.null_text = text;
        statement->copy.has_null_text = true;
        return TARN_OK;
    }
    if (strcmp(name, "on_error") == 0) {
        statement->copy.dead_letter = tarn_slice_equal(text, TARN_LIT("dead_letter"));
        return one_of(b, option, text, on_error, 2, err);
    }
    if (strcmp(name, "encoding") == 0) return one_of(b, option, text, encodings, 2, err);
    return unknown_option(b, option, err);
}

static bool ends_with(tarn_slice text, const char *suffix) {
    tarn_slice end = tarn_slice_from_cstr(suffix);
    return text.len >= end.len && tarn_slice_equal(tarn_slice_skip(text, text.len - end.len), end);
}

static tarn_status settle_format(const sql_binder *b, const PgQuery__CopyStmt *node,
                                 tarn_statement *statement, tarn_error *err) {
    int32_t position = sql_at(b, node->relation->location);
    tarn_slice path = statement->copy.path;
    if (statement->copy.format.len == 0) {
        if (ends_with(path, ".csv")) statement->copy.format = TARN_LIT("csv");
        if (ends_with(path, ".json") || ends_with(path, ".jsonl") || ends_with(path, ".ndjson")) {
            statement->copy.format = TARN_LIT("json");
        }
        if (ends_with(path, ".parquet")) statement->copy.format = TARN_LIT("parquet");
    }
    if (statement->copy.format.len == 0) {
        (void)sql_fail(err, position, "42601", "the format of '" TARN_SLICE_FMT "' is not known",
                       TARN_SLICE_ARG(path));
        tarn_error_hint(err, "COPY ... FROM '...' (FORMAT csv), json or parquet");
        return TARN_INVALID;
    }
    bool is_csv = tarn_slice_equal(statement->copy.format, TARN_LIT("csv"));
    bool has_csv_option = statement->copy.header || statement->copy.delimiter != 0 ||
                          statement->copy.quote != 0 || statement->copy.escape != 0 ||
                          statement->copy.has_null_text;
    if (!is_csv && has_csv_option) {
        return sql_fail(err, position, "0A000",
                        "HEADER, DELIMITER, NULL, QUOTE and ESCAPE are options of format csv");
    }
    return TARN_OK;
}

static tarn_status check_copy(const sql_binder *b, const PgQuery__CopyStmt *node, tarn_error *err) {
    const char *what = NULL;
    if (node->query != NULL || !node->is_from) what = "COPY ... TO";
    if (node->is_program) what = "COPY FROM PROGRAM";
    if (node->filename == NULL || node->filename[0] == '\0') {
        if (what == NULL) what = "COPY FROM STDIN";
    }
    if (node->where_clause != NULL) what = "COPY ... WHERE";
    if (what == NULL) return TARN_OK;
    int32_t location = node->relation != NULL ? node->relation->location : -1;
    return sql_unsupported(err, sql_at(b, location), "%s is not supported", what);
}

tarn_status sql_bind_copy(sql_binder *b, const PgQuery__CopyStmt *node, tarn_statement *statement,
                          tarn_error *err) {
    TARN_TRY(check_copy(b, node, err));
    write_columns w = {0};
    TARN_TRY(find_table(b, node->relation, "copy into", &w.table, err));
    TARN_TRY(init_columns(b, &w, node->n_attlist, err));
    for (size_t i = 0; i < node->n_attlist; i++) {
        TARN_TRY(add_column(b, &w, sql_node_string(node->attlist[i]),
                            sql_at(b, node->relation->location), err));
    }
    statement->kind = TARN_STATEMENT_COPY_FROM;
    statement->copy.table = w.table;
    statement->copy.columns = w.columns;
    statement->copy.column_count = w.count;
    TARN_TRY(sql_copy_name(b, tarn_slice_from_cstr(node->filename), &statement->copy.path, err));
    for (size_t i = 0; i < node->n_options; i++) {
        TARN_TRY(apply_option(b, node->options[i]->def_elem, statement, err));
    }
    return settle_format(b, node, statement, err);
}
