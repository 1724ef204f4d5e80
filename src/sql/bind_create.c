// CREATE TABLE and CREATE SOURCE.

#include "sql/bind.h"

typedef struct table_builder {
    sql_binder *b;
    const PgQuery__CreateStmt *node;
    bool is_source;
    tarn_slice name;
    tarn_field *fields;
    const PgQuery__ColumnDef **definitions; // per field
    const pg_node **generated;              // per field: the expression, or NULL
    size_t field_count;
    tarn_slice *primary_key;
    size_t primary_key_count;
    int32_t primary_key_position;
} table_builder;

tarn_status sql_check_new_name(const sql_binder *b, const PgQuery__RangeVar *name,
                               tarn_slice *ret_name, tarn_error *err) {
    int32_t position = sql_at(b, name->location);
    tarn_slice schema_name = tarn_slice_from_cstr(name->schemaname);
    bool has_catalog = name->catalogname != NULL && name->catalogname[0] != '\0';
    bool is_public = schema_name.len == 0 || tarn_slice_equal(schema_name, TARN_LIT("public"));
    if (has_catalog || !is_public) {
        return sql_unsupported(err, position,
                               "relations in schemas other than public are not "
                               "supported");
    }
    if (name->relpersistence != NULL && strcmp(name->relpersistence, "p") != 0) {
        return sql_unsupported(err, position, "TEMPORARY and UNLOGGED are not supported");
    }
    return sql_copy_name(b, tarn_slice_from_cstr(name->relname), ret_name, err);
}

static tarn_status check_create(const table_builder *t, tarn_error *err) {
    const PgQuery__CreateStmt *node = t->node;
    int32_t position = sql_at(t->b, node->relation->location);
    const char *what = NULL;
    if (node->n_inh_relations > 0) what = "INHERITS";
    if (node->partbound != NULL) what = "PARTITION OF";
    if (node->of_typename != NULL) what = "a table OF a type";
    if (node->access_method != NULL && node->access_method[0] != '\0') what = "USING";
    if (node->tablespacename != NULL && node->tablespacename[0] != '\0') what = "TABLESPACE";
    if (node->oncommit > PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_NOOP) what = "ON COMMIT";
    if (t->is_source && node->partspec != NULL) what = "PARTITION BY of a source";
    if (what != NULL) return sql_unsupported(err, position, "%s is not supported", what);
    return TARN_OK;
}

static ptrdiff_t find_field(const table_builder *t, tarn_slice name) {
    for (size_t i = 0; i < t->field_count; i++) {
        if (tarn_slice_equal(t->fields[i].name, name)) return (ptrdiff_t)i;
    }
    return -1;
}

static tarn_status no_such_field(const table_builder *t, tarn_slice name, int32_t position,
                                 const char *where, tarn_error *err) {
    (void)sql_fail(err, position, "42703",
                   "column \"" TARN_SLICE_FMT "\" named in %s does not "
                   "exist",
                   TARN_SLICE_ARG(name), where);
    tarn_slice *names = tarn_arena_new(t->b->scratch, tarn_slice, t->field_count);
    if (names == NULL) return TARN_INVALID;
    for (size_t i = 0; i < t->field_count; i++) names[i] = t->fields[i].name;
    sql_hint_name(err, name, names, t->field_count, "the column");
    return TARN_INVALID;
}

// ---- columns ----

static const char *constraint_title(const PgQuery__Constraint *constraint) {
    switch (constraint->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT: return "DEFAULT";
    case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY: return "GENERATED AS IDENTITY";
    case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED: return "a generated column of a table";
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK: return "CHECK";
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY: return "PRIMARY KEY of a source";
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE: return "UNIQUE";
    case PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION: return "EXCLUDE";
    case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN: return "REFERENCES";
    default: return "this constraint";
    }
}

static tarn_status refuse_constraint(const table_builder *t, const PgQuery__Constraint *constraint,
                                     tarn_error *err) {
    (void)sql_unsupported(err, sql_at(t->b, constraint->location), "%s is not supported",
                          constraint_title(constraint));
    if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE) {
        tarn_error_hint(err, "a PRIMARY KEY is");
    }
    return TARN_UNSUPPORTED;
}

static tarn_status set_primary_key(table_builder *t, const tarn_slice *names, size_t count,
                                   int32_t position, tarn_error *err) {
    if (t->primary_key_count > 0) {
        return sql_fail(err, position, "42P16",
                        "multiple primary keys for table \"" TARN_SLICE_FMT "\" are not allowed",
                        TARN_SLICE_ARG(t->name));
    }
    t->primary_key = tarn_arena_new(t->b->arena, tarn_slice, count);
    if (t->primary_key == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(sql_copy_name(t->b, names[i], &t->primary_key[i], err));
    }
    t->primary_key_count = count;
    t->primary_key_position = position;
    return TARN_OK;
}

static tarn_status apply_constraint(table_builder *t, size_t field,
                                    const PgQuery__Constraint *constraint, tarn_error *err) {
    switch (constraint->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_NULL: return TARN_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL: t->fields[field].not_null = true; return TARN_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
        if (t->is_source) return refuse_constraint(t, constraint, err);
        return set_primary_key(t, &t->fields[field].name, 1, sql_at(t->b, constraint->location),
                               err);
    case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
        if (!t->is_source) return refuse_constraint(t, constraint, err);
        t->generated[field] = constraint->raw_expr;
        return TARN_OK;
    default: return refuse_constraint(t, constraint, err);
    }
}

static tarn_status add_column(table_builder *t, const PgQuery__ColumnDef *definition,
                              tarn_error *err) {
    sql_binder *b = t->b;
    int32_t position = sql_at(b, definition->location);
    tarn_field field = {.id = -1};
    TARN_TRY(sql_copy_name(b, tarn_slice_from_cstr(definition->colname), &field.name, err));
    if (find_field(t, field.name) >= 0) {
        return sql_fail(err, position, "42701",
                        "column \"" TARN_SLICE_FMT "\" specified more than once",
                        TARN_SLICE_ARG(field.name));
    }
    if (definition->coll_clause != NULL) {
        return sql_unsupported(err, sql_at(b, definition->coll_clause->location),
                               "COLLATE is not supported");
    }
    TARN_TRY(sql_bind_type(b, definition->type_name, SQL_TYPE_OF_COLUMN, &field.type, err));
    size_t index = t->field_count++;
    t->fields[index] = field;
    t->definitions[index] = definition;
    for (size_t i = 0; i < definition->n_constraints; i++) {
        TARN_TRY(apply_constraint(t, index, definition->constraints[i]->constraint, err));
    }
    return TARN_OK;
}

static tarn_status add_table_constraint(table_builder *t, const PgQuery__Constraint *constraint,
                                        tarn_error *err) {
    if (constraint->contype != PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY || t->is_source) {
        return refuse_constraint(t, constraint, err);
    }
    tarn_slice *names = tarn_arena_new(t->b->scratch, tarn_slice, constraint->n_keys);
    if (names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < constraint->n_keys; i++) {
        names[i] = sql_node_string(constraint->keys[i]);
    }
    return set_primary_key(t, names, constraint->n_keys, sql_at(t->b, constraint->location), err);
}

static tarn_status bind_columns(table_builder *t, tarn_error *err) {
    const PgQuery__CreateStmt *node = t->node;
    t->fields = tarn_arena_new(t->b->arena, tarn_field, node->n_table_elts);
    t->definitions = tarn_arena_new(t->b->scratch, const PgQuery__ColumnDef *, node->n_table_elts);
    t->generated = tarn_arena_new(t->b->scratch, const pg_node *, node->n_table_elts);
    if (t->fields == NULL || t->definitions == NULL || t->generated == NULL) {
        return sql_no_memory(err);
    }
    for (size_t i = 0; i < node->n_table_elts; i++) {
        const pg_node *element = node->table_elts[i];
        if (element->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF) {
            TARN_TRY(add_column(t, element->column_def, err));
        } else if (element->node_case == PG_QUERY__NODE__NODE_CONSTRAINT) {
            TARN_TRY(add_table_constraint(t, element->constraint, err));
        } else {
            return sql_unsupported(err, 0, "LIKE among columns is not supported");
        }
    }
    if (t->field_count == 0) {
        return sql_fail(err, sql_at(t->b, node->relation->location), "42601",
                        "relation \"" TARN_SLICE_FMT "\" has no columns", TARN_SLICE_ARG(t->name));
    }
    return TARN_OK;
}

static tarn_status check_primary_key(table_builder *t, tarn_error *err) {
    for (size_t i = 0; i < t->primary_key_count; i++) {
        tarn_slice name = t->primary_key[i];
        ptrdiff_t field = find_field(t, name);
        if (field < 0) return no_such_field(t, name, t->primary_key_position, "key", err);
        t->fields[field].not_null = true;
        for (size_t k = 0; k < i; k++) {
            if (tarn_slice_equal(t->primary_key[k], name)) {
                return sql_fail(err, t->primary_key_position, "42701",
                                "column \"" TARN_SLICE_FMT
                                "\" appears twice in primary key constraint",
                                TARN_SLICE_ARG(name));
            }
        }
    }
    return TARN_OK;
}

static tarn_status bind_partitions(const table_builder *t, tarn_statement *statement,
                                   tarn_error *err) {
    const PgQuery__PartitionSpec *spec = t->node->partspec;
    if (spec == NULL) return TARN_OK;
    int32_t position = sql_at(t->b, spec->location);
    if (strcmp(spec->strategy, "list") != 0) {
        (void)sql_unsupported(err, position, "PARTITION BY %s is not supported", spec->strategy);
        tarn_error_hint(err, "PARTITION BY LIST (column, ...) makes one partition per value");
        return TARN_UNSUPPORTED;
    }
    tarn_slice *keys = tarn_arena_new(t->b->arena, tarn_slice, spec->n_part_params);
    if (keys == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < spec->n_part_params; i++) {
        const PgQuery__PartitionElem *element = spec->part_params[i]->partition_elem;
        position = sql_at(t->b, element->location);
        if (element->expr != NULL || element->n_collation > 0 || element->n_opclass > 0) {
            return sql_unsupported(err, position,
                                   "partitioning by anything but plain columns is not supported");
        }
        TARN_TRY(sql_copy_name(t->b, tarn_slice_from_cstr(element->name), &keys[i], err));
        if (find_field(t, keys[i]) < 0) {
            return no_such_field(t, keys[i], position, "partition key", err);
        }
        for (size_t k = 0; k < i; k++) {
            if (tarn_slice_equal(keys[k], keys[i])) {
                return sql_fail(err, position, "42701",
                                "column \"" TARN_SLICE_FMT "\" appears twice in partition key",
                                TARN_SLICE_ARG(keys[i]));
            }
        }
    }
    statement->create_table.partition_keys = keys;
    statement->create_table.partition_key_count = spec->n_part_params;
    return TARN_OK;
}

tarn_status sql_bind_create_table(sql_binder *b, const PgQuery__CreateStmt *node,
                                  tarn_statement *statement, tarn_error *err) {
    table_builder t = {.b = b, .node = node};
    TARN_TRY(sql_check_new_name(b, node->relation, &t.name, err));
    TARN_TRY(check_create(&t, err));
    TARN_TRY(bind_columns(&t, err));
    TARN_TRY(check_primary_key(&t, err));
    statement->kind = TARN_STATEMENT_CREATE_TABLE;
    TARN_TRY(bind_partitions(&t, statement, err));
    statement->create_table.name = t.name;
    statement->create_table.if_not_exists = node->if_not_exists;
    statement->create_table.schema =
        (tarn_schema){.fields = t.fields, .field_count = t.field_count};
    statement->create_table.primary_key = t.primary_key;
    statement->create_table.primary_key_count = t.primary_key_count;
    statement->create_table.options = b->dialect->options;
    statement->create_table.option_count = b->dialect->option_count;
    return TARN_OK;
}

// ---- CREATE SOURCE ----

static tarn_status check_generation(const table_builder *t, const tarn_expr *expr,
                                    tarn_error *err) {
    if (expr->kind == TARN_EXPR_COLUMN && t->generated[expr->column] != NULL) {
        return sql_fail(err, expr->position, "42P17",
                        "cannot use generated column \"" TARN_SLICE_FMT
                        "\" in column generation expression",
                        TARN_SLICE_ARG(expr->name));
    }
    for (size_t i = 0; i < expr->arg_count; i++) {
        TARN_TRY(check_generation(t, expr->args[i], err));
    }
    return TARN_OK;
}

static tarn_status bind_generated(table_builder *t, const sql_scope *scope,
                                  const tarn_expr ***ret_generated, tarn_error *err) {
    sql_binder *b = t->b;
    const tarn_expr **generated = tarn_arena_new(b->arena, const tarn_expr *, t->field_count);
    if (generated == NULL) return sql_no_memory(err);
    sql_place place = {.scope = scope, .clause = "a generated column"};
    for (size_t i = 0; i < t->field_count; i++) {
        if (t->generated[i] == NULL) continue;
        int32_t position = sql_at(b, sql_node_start(t->generated[i]));
        const tarn_expr *expr = NULL;
        TARN_TRY(sql_bind_expr(b, &place, t->generated[i], &expr, err));
        TARN_TRY(check_generation(t, expr, err));
        if (tarn_expr_is_volatile(expr)) {
            return sql_fail(err, position, "42P17", "generation expression is not immutable");
        }
        TARN_TRY(tarn_expr_cast(b->arena, expr, t->fields[i].type, TARN_CAST_ASSIGNMENT, position,
                                &expr, err));
        TARN_TRY(tarn_expr_fold(b->arena, expr, &generated[i], err));
        t->fields[i].not_null |= generated[i]->not_null;
    }
    *ret_generated = generated;
    return TARN_OK;
}

// The watermark's expression stands in the text that the front step cut; it is parsed on its own,
// at its own place.
static tarn_status parse_watermark(sql_binder *b, sql_parsed *ret_parsed, tarn_error *err) {
    static const char keyword[] = "SELECT ";
    sql_dialect *dialect = tarn_arena_new(b->scratch, sql_dialect, 1);
    if (dialect == NULL) return sql_no_memory(err);
    *dialect = *b->dialect;
    dialect->text = tarn_arena_new_raw(b->scratch, char, dialect->source.len + 1);
    if (dialect->text == NULL) return sql_no_memory(err);
    memset(dialect->text, ' ', dialect->source.len);
    dialect->text[dialect->source.len] = '\0';
    tarn_assert(dialect->watermark_begin >= sizeof keyword);
    memcpy(dialect->text, keyword, sizeof keyword - 1);
    memcpy(dialect->text + dialect->watermark_begin,
           dialect->source.data + dialect->watermark_begin,
           dialect->watermark_end - dialect->watermark_begin);
    return sql_parse(dialect, b->scratch, ret_parsed, err);
}

static tarn_status bad_watermark(const sql_binder *b, tarn_error *err) {
    int32_t position = sql_dialect_position(b->dialect, b->dialect->watermark_begin);
    tarn_slice column = b->dialect->watermark_column;
    (void)sql_fail(err, position, "42601",
                   "WATERMARK FOR " TARN_SLICE_FMT " must be " TARN_SLICE_FMT " or " TARN_SLICE_FMT
                   " - INTERVAL '...'",
                   TARN_SLICE_ARG(column), TARN_SLICE_ARG(column), TARN_SLICE_ARG(column));
    return TARN_INVALID;
}

static bool is_watermark_column(const sql_binder *b, const pg_node *node) {
    return node != NULL && node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
           node->column_ref->n_fields == 1 &&
           tarn_slice_equal(sql_node_string(node->column_ref->fields[0]),
                            b->dialect->watermark_column);
}

static tarn_status bind_watermark_delay(sql_binder *b, int64_t *ret_delay_us, tarn_error *err) {
    sql_parsed parsed;
    TARN_TRY(parse_watermark(b, &parsed, err));
    const pg_node *statement = parsed.statement->stmt;
    if (statement->node_case != PG_QUERY__NODE__NODE_SELECT_STMT ||
        statement->select_stmt->n_target_list != 1 ||
        statement->select_stmt->target_list[0]->res_target->val == NULL) {
        return bad_watermark(b, err);
    }
    const pg_node *node = statement->select_stmt->target_list[0]->res_target->val;
    *ret_delay_us = 0;
    if (is_watermark_column(b, node)) return TARN_OK;
    bool is_difference =
        node->node_case == PG_QUERY__NODE__NODE_A_EXPR &&
        node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP &&
        tarn_slice_equal(sql_last_name(node->a_expr->name, node->a_expr->n_name), TARN_LIT("-")) &&
        is_watermark_column(b, node->a_expr->lexpr);
    if (!is_difference) return bad_watermark(b, err);
    TARN_TRY(
        sql_bind_interval_us(b, node->a_expr->rexpr, "delay of a watermark", ret_delay_us, err));
    if (*ret_delay_us < 0) return bad_watermark(b, err);
    return TARN_OK;
}

static tarn_status bind_watermark(const table_builder *t, tarn_statement *statement,
                                  tarn_error *err) {
    sql_binder *b = t->b;
    const sql_dialect *dialect = b->dialect;
    statement->create_source.time_column = -1;
    if (!dialect->has_watermark) return TARN_OK;
    int32_t position = sql_dialect_position(dialect, dialect->watermark_column_offset);
    ptrdiff_t field = find_field(t, dialect->watermark_column);
    if (field < 0) return no_such_field(t, dialect->watermark_column, position, "WATERMARK", err);
    uint8_t type = t->fields[field].type.id;
    if (type != TARN_TYPE_TIMESTAMP && type != TARN_TYPE_TIMESTAMPTZ) {
        return sql_fail(err, position, "42804",
                        "column \"" TARN_SLICE_FMT
                        "\" of WATERMARK FOR must be a timestamp, with or without time zone",
                        TARN_SLICE_ARG(dialect->watermark_column));
    }
    statement->create_source.time_column = field;
    return bind_watermark_delay(b, &statement->create_source.watermark_delay_us, err);
}

tarn_status sql_bind_create_source(sql_binder *b, const PgQuery__CreateStmt *node,
                                   tarn_statement *statement, tarn_error *err) {
    table_builder t = {.b = b, .node = node, .is_source = true};
    TARN_TRY(sql_check_new_name(b, node->relation, &t.name, err));
    TARN_TRY(check_create(&t, err));
    TARN_TRY(bind_columns(&t, err));
    // A plan of the source's columns, so that expressions can be bound over it.
    const tarn_plan *plan = NULL;
    tarn_schema schema = {t.fields, t.field_count};
    TARN_TRY(sql_plan_values(b->arena, NULL, 0, &schema, &plan, err));
    sql_scope scope;
    TARN_TRY(sql_scope_of_plan(b, plan, t.name, &scope, err));
    const tarn_expr **generated = NULL;
    TARN_TRY(bind_generated(&t, &scope, &generated, err));
    if (!b->dialect->has_options) {
        (void)sql_fail(err, sql_at(b, node->relation->location), "42601",
                       "source \"" TARN_SLICE_FMT "\" has no WITH (...) clause",
                       TARN_SLICE_ARG(t.name));
        tarn_error_hint(err, "say where the rows come from: WITH (connector = 'file', path = '...',"
                             " format = '...')");
        return TARN_INVALID;
    }
    statement->kind = TARN_STATEMENT_CREATE_SOURCE;
    TARN_TRY(bind_watermark(&t, statement, err));
    statement->create_source.name = t.name;
    statement->create_source.if_not_exists = node->if_not_exists;
    statement->create_source.schema =
        (tarn_schema){.fields = t.fields, .field_count = t.field_count};
    statement->create_source.generated = generated;
    statement->create_source.options = b->dialect->options;
    statement->create_source.option_count = b->dialect->option_count;
    return TARN_OK;
}
