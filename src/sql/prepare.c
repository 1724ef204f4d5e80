#include "sql/bind.h"

static tarn_slice trim(tarn_slice text) {
    size_t offset = 0;
    sql_token token;
    tarn_slice trimmed = {text.data, 0};
    bool is_first = true;
    while (sql_token_next(text, &offset, &token, NULL)) {
        if (sql_token_is_symbol(text, token, ";")) continue;
        if (is_first) trimmed.data = text.data + token.begin;
        is_first = false;
        trimmed.len = (size_t)(text.data + token.end - trimmed.data);
    }
    return trimmed;
}

// Every clause that was cut out must have found what it belongs to.
static tarn_status check_cuts(const sql_dialect *dialect, const tarn_statement *statement,
                              tarn_error *err) {
    for (size_t i = 0; i < dialect->as_of_count; i++) {
        if (dialect->as_of[i].used) continue;
        return sql_fail(err, sql_dialect_position(dialect, dialect->as_of[i].offset), "42601",
                        "FOR SYSTEM_VERSION and FOR SYSTEM_TIME follow the name of a table in "
                        "FROM");
    }
    const tarn_statement *inner =
        statement->kind == TARN_STATEMENT_EXPLAIN ? statement->explain.statement : statement;
    if (dialect->emit_on_close && inner->kind != TARN_STATEMENT_CREATE_VIEW) {
        return sql_fail(err, sql_dialect_position(dialect, dialect->emit_offset), "42601",
                        "EMIT ON WINDOW CLOSE belongs to a materialized view");
    }
    return TARN_OK;
}

static tarn_status prepare(tarn_slice text, const tarn_catalog_reader *catalog, tarn_arena *arena,
                           tarn_arena *scratch, tarn_statement *statement, tarn_error *err) {
    sql_dialect dialect;
    TARN_TRY(sql_dialect_cut(text, scratch, &dialect, err));
    statement->text = trim(text);
    // The options are part of the statement, the rest of the cuts is not.
    for (size_t i = 0; i < dialect.option_count; i++) {
        if (!tarn_arena_copy(arena, dialect.options[i].key, &dialect.options[i].key) ||
            !tarn_arena_copy(arena, dialect.options[i].value, &dialect.options[i].value)) {
            return sql_no_memory(err);
        }
    }
    tarn_sql_option *options = tarn_arena_new(arena, tarn_sql_option, dialect.option_count);
    if (options == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < dialect.option_count; i++) options[i] = dialect.options[i];
    dialect.options = options;
    if (dialect.kind == SQL_DIALECT_FLUSH) {
        statement->kind = TARN_STATEMENT_FLUSH;
        return TARN_OK;
    }
    sql_parsed parsed;
    TARN_TRY(sql_parse(&dialect, scratch, &parsed, err));
    sql_binder binder = {.arena = arena,
                         .scratch = scratch,
                         .catalog = catalog,
                         .dialect = &dialect,
                         .parsed = &parsed};
    TARN_TRY(sql_bind_statement(&binder, parsed.statement->stmt, statement, err));
    return check_cuts(&dialect, statement, err);
}

tarn_status tarn_sql_prepare(tarn_slice text, const tarn_catalog_reader *catalog, tarn_arena *arena,
                             const tarn_statement **ret_statement, tarn_error *err) {
    tarn_arena scratch; // the grammar's tree and what else only binding needs
    tarn_arena_init(&scratch, arena->alloc, arena->limit_bytes);
    tarn_statement *statement = tarn_arena_new(arena, tarn_statement, 1);
    tarn_status status = statement == NULL
                             ? sql_no_memory(err)
                             : prepare(text, catalog, arena, &scratch, statement, err);
    tarn_arena_reset(&scratch);
    if (status == TARN_OK) *ret_statement = statement;
    return status;
}
