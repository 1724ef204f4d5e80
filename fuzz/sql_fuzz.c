// Any bytes may be given as SQL: each statement is prepared or refused with an SQLSTATE and a
// position within it, and what was prepared can be explained.
// Input: a script.
#include "../tests/sql/fake_catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const tarn_plan *plan_of(const tarn_statement *statement) {
    switch (statement->kind) {
    case TARN_STATEMENT_SELECT: return statement->select.plan;
    case TARN_STATEMENT_EXPLAIN: return plan_of(statement->explain.statement);
    case TARN_STATEMENT_INSERT: return statement->insert.plan;
    case TARN_STATEMENT_CREATE_VIEW: return statement->create_view.plan;
    case TARN_STATEMENT_COPY_FROM:
    case TARN_STATEMENT_CREATE_TABLE:
    case TARN_STATEMENT_CREATE_SOURCE:
    case TARN_STATEMENT_DROP:
    case TARN_STATEMENT_CALL:
    case TARN_STATEMENT_SET:
    case TARN_STATEMENT_SHOW:
    case TARN_STATEMENT_FLUSH: break;
    }
    return NULL;
}

static void check_plan(const tarn_plan *plan) {
    for (size_t i = 0; i < plan->key_count; i++) {
        tarn_assert(plan->key_columns[i] < plan->schema.field_count);
    }
    tarn_assert(plan->time_column < (ptrdiff_t)plan->schema.field_count);
    tarn_buffer text = {.limit_bytes = 64 << 20};
    tarn_error err = {0};
    tarn_status status = tarn_plan_format(plan, NULL, NULL, &text, &err);
    tarn_assert(status == TARN_OK || status == TARN_NO_MEMORY);
    tarn_buffer_free(&text);
}

static void check_statement(tarn_slice text, const tarn_catalog_reader *catalog,
                            tarn_arena *arena) {
    const tarn_statement *statement = NULL;
    tarn_error err = {0};
    tarn_status status = tarn_sql_prepare(text, catalog, arena, &statement, &err);
    if (status == TARN_NO_MEMORY) return;
    if (status != TARN_OK) {
        tarn_assert(strlen(err.sqlstate) == 5);
        tarn_assert(err.position >= 0 && (size_t)err.position <= text.len + 1);
        return;
    }
    tarn_assert(statement->text.len <= text.len);
    if (plan_of(statement) != NULL) check_plan(plan_of(statement));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fake_catalog catalog;
    fake_catalog_init(&catalog);
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)256 << 20);
    tarn_slice *texts = NULL;
    size_t count = 0;
    bool is_complete = false;
    if (tarn_sql_split((tarn_slice){data, size}, &arena, &texts, &count, &is_complete, NULL) ==
        TARN_OK) {
        for (size_t i = 0; i < count; i++) check_statement(texts[i], &catalog.reader, &arena);
    }
    tarn_arena_reset(&arena);
    return 0;
}
