// Statements: which there are, and the small ones.

#include "sql/bind.h"
#include "sql/optimize.h"

static tarn_status bind_select(sql_binder *b, const PgQuery__SelectStmt *node,
                               tarn_statement *statement, tarn_error *err) {
    const tarn_plan *plan = NULL;
    sql_query_context context = {0};
    TARN_TRY(sql_bind_query(b, node, &context, &plan, err));
    statement->kind = TARN_STATEMENT_SELECT;
    return sql_optimize(b->arena, plan, SQL_PLAN_OF_QUERY, &statement->select.plan, err);
}

// ---- EXPLAIN ----

static tarn_status explain_option(const sql_binder *b, const PgQuery__DefElem *option,
                                  bool *ret_analyze, tarn_error *err) {
    bool is_on = true;
    const pg_node *arg = option->arg;
    if (arg != NULL) {
        tarn_slice text = sql_node_string(arg);
        is_on = tarn_slice_equal(text, TARN_LIT("true")) || tarn_slice_equal(text, TARN_LIT("on"));
        if (arg->node_case == PG_QUERY__NODE__NODE_INTEGER) is_on = arg->integer->ival != 0;
        if (arg->node_case == PG_QUERY__NODE__NODE_BOOLEAN) is_on = arg->boolean->boolval != 0;
    }
    if (strcmp(option->defname, "analyze") == 0) {
        *ret_analyze = is_on;
        return TARN_OK;
    }
    if (strcmp(option->defname, "verbose") == 0) return TARN_OK; // the plan says all it has
    return sql_unsupported(err, sql_at(b, option->location),
                           "EXPLAIN option \"%s\" is not "
                           "supported",
                           option->defname);
}

static tarn_status bind_explain(sql_binder *b, const PgQuery__ExplainStmt *node,
                                tarn_statement *statement, tarn_error *err) {
    bool analyze = false;
    for (size_t i = 0; i < node->n_options; i++) {
        TARN_TRY(explain_option(b, node->options[i]->def_elem, &analyze, err));
    }
    tarn_statement *inner = tarn_arena_new(b->arena, tarn_statement, 1);
    if (inner == NULL) return sql_no_memory(err);
    inner->text = statement->text;
    TARN_TRY(sql_bind_statement(b, node->query, inner, err));
    bool has_plan = inner->kind == TARN_STATEMENT_SELECT || inner->kind == TARN_STATEMENT_INSERT ||
                    inner->kind == TARN_STATEMENT_CREATE_VIEW;
    if (!has_plan) return sql_unsupported(err, 0, "EXPLAIN of this statement is not supported");
    if (analyze && inner->kind != TARN_STATEMENT_SELECT) {
        (void)sql_unsupported(err, 0, "EXPLAIN ANALYZE of this statement is not supported");
        tarn_error_hint(err, "EXPLAIN ANALYZE its SELECT");
        return TARN_UNSUPPORTED;
    }
    statement->kind = TARN_STATEMENT_EXPLAIN;
    statement->explain.statement = inner;
    statement->explain.analyze = analyze;
    return TARN_OK;
}

// ---- DROP ----

static tarn_status drop_name(const sql_binder *b, const pg_node *object, tarn_slice *ret_name,
                             tarn_error *err) {
    if (object->node_case != PG_QUERY__NODE__NODE_LIST || object->list->n_items == 0) {
        return sql_unsupported(err, 0, "DROP of this object is not supported");
    }
    const PgQuery__List *names = object->list;
    bool is_public = names->n_items == 1 ||
                     (names->n_items == 2 &&
                      tarn_slice_equal(sql_node_string(names->items[0]), TARN_LIT("public")));
    if (!is_public) {
        return sql_fail(err, 0, "42501",
                        "relations in schemas other than public cannot be "
                        "dropped");
    }
    return sql_copy_name(b, sql_last_name(names->items, names->n_items), ret_name, err);
}

static tarn_status bind_drop(sql_binder *b, const PgQuery__DropStmt *node,
                             tarn_statement *statement, tarn_error *err) {
    tarn_slice *names = tarn_arena_new(b->arena, tarn_slice, node->n_objects);
    if (names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < node->n_objects; i++) {
        TARN_TRY(drop_name(b, node->objects[i], &names[i], err));
    }
    statement->kind = TARN_STATEMENT_DROP;
    statement->drop.kind = TARN_RELATION_TABLE;
    if (node->remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW) {
        statement->drop.kind = TARN_RELATION_VIEW;
    } else if (b->dialect->kind == SQL_DIALECT_DROP_SOURCE) {
        statement->drop.kind = TARN_RELATION_SOURCE;
    }
    statement->drop.names = names;
    statement->drop.name_count = node->n_objects;
    statement->drop.if_exists = node->missing_ok != 0;
    statement->drop.cascade = node->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    return TARN_OK;
}

// ---- CALL ----

static tarn_status bind_call(sql_binder *b, const PgQuery__CallStmt *node,
                             tarn_statement *statement, tarn_error *err) {
    const PgQuery__FuncCall *call = node->funccall;
    tarn_value *args = tarn_arena_new(b->arena, tarn_value, call->n_args);
    if (args == NULL) return sql_no_memory(err);
    sql_place place = {.clause = "CALL"};
    for (size_t i = 0; i < call->n_args; i++) {
        const tarn_expr *expr = NULL;
        TARN_TRY(sql_bind_expr(b, &place, call->args[i], &expr, err));
        TARN_TRY(sql_settle_type(b, expr, &expr, err));
        TARN_TRY(sql_evaluate(b, expr, &args[i], err));
    }
    statement->kind = TARN_STATEMENT_CALL;
    statement->call.args = args;
    statement->call.arg_count = call->n_args;
    return sql_copy_name(b, sql_last_name(call->funcname, call->n_funcname), &statement->call.name,
                         err);
}

// ---- SET, SHOW ----

// The text of one constant of SET name = constant, ...
static tarn_status setting_text(const pg_node *node, tarn_buffer *out, tarn_error *err) {
    tarn_slice text = {0};
    char number[32];
    const PgQuery__AConst *constant =
        node->node_case == PG_QUERY__NODE__NODE_A_CONST ? node->a_const : NULL;
    if (constant == NULL) {
        return sql_unsupported(err, 0, "SET to anything but constants is not supported");
    }
    switch (constant->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        (void)snprintf(number, sizeof number, "%d", (int)constant->ival->ival);
        text = tarn_slice_from_cstr(number);
        break;
    case PG_QUERY__A__CONST__VAL_FVAL: text = tarn_slice_from_cstr(constant->fval->fval); break;
    case PG_QUERY__A__CONST__VAL_SVAL: text = tarn_slice_from_cstr(constant->sval->sval); break;
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        text = constant->boolval->boolval ? TARN_LIT("true") : TARN_LIT("false");
        break;
    default: return sql_unsupported(err, 0, "SET to a bit string is not supported");
    }
    return tarn_buffer_append(out, text) ? TARN_OK : sql_no_memory(err);
}

static tarn_status set_value(const sql_binder *b, const PgQuery__VariableSetStmt *node,
                             tarn_slice *ret_value, tarn_error *err) {
    tarn_buffer text = {.alloc = b->scratch->alloc};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < node->n_args && status == TARN_OK; i++) {
        if (i > 0 && !tarn_buffer_append(&text, TARN_LIT(", "))) status = sql_no_memory(err);
        if (status == TARN_OK) status = setting_text(node->args[i], &text, err);
    }
    if (status == TARN_OK) status = sql_copy_name(b, tarn_buffer_slice(&text), ret_value, err);
    tarn_buffer_free(&text);
    return status;
}

static tarn_status bind_set(sql_binder *b, const PgQuery__VariableSetStmt *node,
                            tarn_statement *statement, tarn_error *err) {
    if (node->is_local) {
        (void)sql_unsupported(err, sql_word_position(b, "local"), "SET LOCAL is not supported");
        tarn_error_hint(err, "SET holds until the session ends");
        return TARN_UNSUPPORTED;
    }
    statement->kind = TARN_STATEMENT_SET;
    const char *name = node->name;
    switch (node->kind) {
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
        TARN_TRY(set_value(b, node, &statement->setting.value, err));
        break;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET: statement->setting.is_default = true; break;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
        statement->setting.is_default = true;
        name = "all";
        break;
    default: return sql_unsupported(err, 0, "this form of SET is not supported");
    }
    return sql_copy_name(b, tarn_slice_from_cstr(name), &statement->setting.name, err);
}

static tarn_status bind_show(sql_binder *b, const PgQuery__VariableShowStmt *node,
                             tarn_statement *statement, tarn_error *err) {
    statement->kind = TARN_STATEMENT_SHOW;
    return sql_copy_name(b, tarn_slice_from_cstr(node->name), &statement->setting.name, err);
}

// ---- what we do not do ----

static bool takes_object(const char *word) {
    static const char *const words[] = {"create", "alter", "drop", "refresh", "comment", "declare"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) return true;
    }
    return false;
}

// EXPLAIN, or one of its options behind it; ANALYZE alone is a statement.
static bool is_explain(const char *word, bool *explains) {
    if (strcmp(word, "explain") == 0) *explains = true;
    return *explains && (strcmp(word, "explain") == 0 || strcmp(word, "analyze") == 0 ||
                         strcmp(word, "verbose") == 0);
}

static bool is_modifier(const char *word) {
    static const char *const words[] = {
        "or",        "replace", "temp",   "temporary",    "unlogged", "unique",
        "recursive", "foreign", "access", "materialized", "event",    "trusted",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) return true;
    }
    return false;
}

// Named by its first words: "UPDATE", "CREATE UNIQUE INDEX".
static tarn_status refuse_statement(const sql_binder *b, const pg_node *node, tarn_error *err) {
    tarn_slice source = b->dialect->source;
    char title[80] = "";
    size_t len = 0;
    int32_t position = 0;
    bool explains = false;
    sql_token token;
    for (size_t offset = 0; sql_token_next(source, &offset, &token, NULL);) {
        tarn_slice text = sql_token_text(source, token);
        if (token.kind != SQL_TOKEN_WORD || len + text.len + 2 > sizeof title) break;
        char word[40] = "";
        if (text.len >= sizeof word) break;
        for (size_t i = 0; i < text.len; i++) word[i] = (char)(text.data[i] | 0x20);
        if (len == 0 && is_explain(word, &explains)) continue;
        if (position == 0) position = sql_dialect_position(b->dialect, token.begin);
        if (len > 0) title[len++] = ' ';
        for (size_t i = 0; i < text.len; i++) {
            title[len++] = (char)(word[i] >= 'a' && word[i] <= 'z' ? word[i] - 0x20 : word[i]);
        }
        if (!takes_object(word) && !is_modifier(word)) break;
    }
    title[len] = '\0';
    (void)sql_unsupported(err, position, "%s is not supported", len > 0 ? title : "this statement");
    if (node->node_case == PG_QUERY__NODE__NODE_VIEW_STMT) {
        tarn_error_hint(err, "CREATE MATERIALIZED VIEW is");
    }
    return TARN_UNSUPPORTED;
}

tarn_status sql_bind_statement(sql_binder *b, const pg_node *node, tarn_statement *statement,
                               tarn_error *err) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT: return bind_select(b, node->select_stmt, statement, err);
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
        return bind_explain(b, node->explain_stmt, statement, err);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return sql_bind_insert(b, node->insert_stmt, statement, err);
    case PG_QUERY__NODE__NODE_COPY_STMT: return sql_bind_copy(b, node->copy_stmt, statement, err);
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        return b->dialect->kind == SQL_DIALECT_CREATE_SOURCE
                   ? sql_bind_create_source(b, node->create_stmt, statement, err)
                   : sql_bind_create_table(b, node->create_stmt, statement, err);
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
        return sql_bind_create_view(b, node->create_table_as_stmt, statement, err);
    case PG_QUERY__NODE__NODE_DROP_STMT:
        if (node->drop_stmt->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE &&
            node->drop_stmt->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW) {
            return refuse_statement(b, node, err);
        }
        return bind_drop(b, node->drop_stmt, statement, err);
    case PG_QUERY__NODE__NODE_CALL_STMT: return bind_call(b, node->call_stmt, statement, err);
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        return bind_set(b, node->variable_set_stmt, statement, err);
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        return bind_show(b, node->variable_show_stmt, statement, err);
    default: return refuse_statement(b, node, err);
    }
}
