// One statement: bind, dispatch, result.
#include "warehouse/internal.h"

// ---- results ----

static tarn_status result_new(tarn_session *session, tarn_result **ret_result, tarn_error *err) {
    const tarn_alloc *alloc = session->warehouse->alloc;
    tarn_result *result = tarn_alloc_new(alloc, tarn_result, 1);
    if (result == NULL) return wh_no_memory(err);
    result->session = session;
    result->alloc = alloc;
    tarn_arena_init(&result->arena, alloc, SIZE_MAX);
    result->binding = (wh_binding){.warehouse = session->warehouse, .arena = &result->arena};
    *ret_result = result;
    return TARN_OK;
}

void tarn_result_free(tarn_result *result) {
    if (result == NULL) return;
    tarn_flow_free(result->flow);
    for (wh_scan_leaf *leaf = result->scans; leaf != NULL; leaf = leaf->next) {
        tarn_table_scan_free(leaf->scan);
    }
    tarn_chunk_builder_free(result->rows);
    wh_binding_release(&result->binding);
    tarn_arena_reset(&result->arena);
    tarn_alloc_free(result->alloc, result, 1);
}

const tarn_schema *tarn_result_schema(const tarn_result *result) {
    return &result->schema;
}

uint64_t tarn_result_epoch(const tarn_result *result) {
    return result->epoch;
}

tarn_slice tarn_result_tag(tarn_result *result) {
    if (result->tag.len > 0) return result->tag;
    tarn_slice tag;
    if (!tarn_arena_printf(&result->arena, &tag, "SELECT %llu",
                           (unsigned long long)result->row_count)) {
        return TARN_LIT("SELECT"); // without memory: no count
    }
    return tag;
}

tarn_status tarn_result_next(tarn_result *result, tarn_batch **ret_batch, tarn_error *err) {
    tarn_batch *batch = NULL;
    if (result->flow != NULL) {
        TARN_TRY(tarn_flow_next(result->flow, &batch, err));
    } else if (result->rows != NULL && !result->rows_taken) {
        const tarn_chunk *chunk = tarn_chunk_builder_chunk(result->rows);
        if (tarn_chunk_count(chunk) > 0) {
            TARN_TRY(tarn_batch_new(result->alloc, chunk, &batch, err));
        }
        result->rows_taken = true;
    }
    if (batch != NULL) result->row_count += batch->chunk.row_count;
    *ret_batch = batch;
    return TARN_OK;
}

static tarn_status set_tag(tarn_result *result, tarn_error *err, const char *format,
                           unsigned long long count) {
    char text[64];
    // The formats are the literals below.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof text, format, count);
#pragma GCC diagnostic pop
    bool fits = tarn_arena_copy(&result->arena, tarn_slice_from_cstr(text), &result->tag);
    return fits ? TARN_OK : wh_no_memory(err);
}

// One text column, one row.
static tarn_status set_text_row(tarn_result *result, tarn_slice column, tarn_slice text,
                                tarn_error *err) {
    tarn_field *field = tarn_arena_new(&result->arena, tarn_field, 1);
    if (field == NULL) return wh_no_memory(err);
    *field = (tarn_field){.name = column, .type = tarn_type_of(TARN_TYPE_TEXT), .id = -1};
    result->schema = (tarn_schema){field, 1};
    TARN_TRY(tarn_chunk_builder_new(result->alloc, &result->schema, &result->rows, err));
    tarn_value value = {.type = field->type, .bytes = text};
    return tarn_chunk_builder_append(result->rows, &value, TARN_ROW_INSERT, err);
}

// ---- settings ----

static tarn_status unknown_setting(tarn_slice name, tarn_error *err) {
    (void)tarn_fail(err, TARN_INVALID,
                    "unrecognized configuration parameter \"" TARN_SLICE_FMT "\"",
                    TARN_SLICE_ARG(name));
    tarn_error_locate(err, "42704", 0);
    tarn_error_hint(err, "Parameters are tarn.read and tarn.checkpoint_interval.");
    return TARN_INVALID;
}

static tarn_status bad_setting(tarn_slice name, tarn_slice value, const char *hint,
                               tarn_error *err) {
    (void)tarn_fail(err, TARN_INVALID,
                    "invalid value for parameter \"" TARN_SLICE_FMT "\": \"" TARN_SLICE_FMT "\"",
                    TARN_SLICE_ARG(name), TARN_SLICE_ARG(value));
    tarn_error_locate(err, "22023", 0);
    tarn_error_hint(err, "%s", hint);
    return TARN_INVALID;
}

static tarn_status set_interval(tarn_warehouse *warehouse, const tarn_statement *statement,
                                tarn_error *err) {
    int64_t interval_ms = warehouse->options.checkpoint_interval_ms;
    if (!statement->setting.is_default) {
        const char *hint = "It takes an interval from 1 millisecond to 1 hour: '250 milliseconds'.";
        tarn_arena arena;
        tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
        tarn_value value;
        tarn_status status = tarn_value_parse(tarn_type_of(TARN_TYPE_INTERVAL),
                                              statement->setting.value, &arena, &value, NULL);
        tarn_arena_reset(&arena);
        bool fits = status == TARN_OK && value.interval.months == 0 && value.interval.days == 0 &&
                    value.interval.us >= 1000 && value.interval.us <= 3600000000;
        if (!fits) return bad_setting(statement->setting.name, statement->setting.value, hint, err);
        interval_ms = value.interval.us / 1000;
    }
    // Relaxed: the engine looks at it before each epoch.
    atomic_store_explicit(&warehouse->checkpoint_interval_ms, interval_ms, memory_order_relaxed);
    return TARN_OK;
}

static tarn_status set_setting(tarn_session *session, const tarn_statement *statement,
                               tarn_error *err) {
    tarn_slice name = statement->setting.name;
    tarn_slice value = statement->setting.value;
    if (tarn_slice_equal(name, TARN_LIT("tarn.checkpoint_interval"))) {
        return set_interval(session->warehouse, statement, err);
    }
    if (!tarn_slice_equal(name, TARN_LIT("tarn.read"))) return unknown_setting(name, err);
    bool latest = tarn_slice_equal(value, TARN_LIT("latest"));
    if (!statement->setting.is_default && !latest &&
        !tarn_slice_equal(value, TARN_LIT("aligned"))) {
        return bad_setting(name, value, "It is 'aligned' or 'latest'.", err);
    }
    session->read_latest = latest && !statement->setting.is_default;
    return TARN_OK;
}

static tarn_status show_setting(tarn_session *session, const tarn_statement *statement,
                                tarn_result *result, tarn_error *err) {
    tarn_slice name = statement->setting.name;
    tarn_slice text;
    if (tarn_slice_equal(name, TARN_LIT("tarn.read"))) {
        text = session->read_latest ? TARN_LIT("latest") : TARN_LIT("aligned");
    } else if (tarn_slice_equal(name, TARN_LIT("tarn.checkpoint_interval"))) {
        int64_t interval_ms =
            atomic_load_explicit(&session->warehouse->checkpoint_interval_ms, memory_order_relaxed);
        if (!tarn_arena_printf(&result->arena, &text, "%lldms", (long long)interval_ms)) {
            return wh_no_memory(err);
        }
    } else if (tarn_slice_equal(name, TARN_LIT("server_version"))) {
        text = TARN_LIT("15.0 (tarn " TARN_VERSION ")");
    } else if (tarn_slice_equal(name, TARN_LIT("timezone"))) {
        text = TARN_LIT("UTC");
    } else {
        return unknown_setting(name, err);
    }
    result->tag = TARN_LIT("SHOW");
    return set_text_row(result, name, text, err);
}

// ---- CALL ----

static tarn_status call_compact(tarn_session *session, const tarn_statement *statement,
                                tarn_result *result, tarn_error *err) {
    tarn_warehouse *warehouse = session->warehouse;
    if (statement->call.arg_count != 1 || statement->call.args[0].is_null ||
        statement->call.args[0].type.id != TARN_TYPE_TEXT) {
        (void)tarn_fail(err, TARN_INVALID, "compact takes the name of a table");
        tarn_error_locate(err, "42883", 0);
        tarn_error_hint(err, "CALL compact('orders')");
        return TARN_INVALID;
    }
    tarn_slice name = statement->call.args[0].bytes;
    wh_object *object = wh_catalog_find(warehouse, name);
    if (object == NULL || object->table == NULL) {
        wh_object_unref(object);
        (void)tarn_fail(err, TARN_INVALID, "relation \"" TARN_SLICE_FMT "\" does not exist",
                        TARN_SLICE_ARG(name));
        tarn_error_locate(err, "42P01", 0);
        return TARN_INVALID;
    }
    tarn_compact_result done;
    tarn_status status = tarn_table_compact(object->table, warehouse->user, NULL, 0, &done, err);
    wh_object_unref(object);
    if (status != TARN_OK) return status;
    tarn_slice text;
    bool fits =
        done.snapshot_id == 0
            ? tarn_arena_copy(&result->arena, TARN_LIT("nothing to compact"), &text)
            : tarn_arena_printf(&result->arena, &text,
                                "version %lld: %llu files of %llu bytes became %llu of %llu bytes",
                                (long long)done.snapshot_id, (unsigned long long)done.files_before,
                                (unsigned long long)done.bytes_before,
                                (unsigned long long)done.files_after,
                                (unsigned long long)done.bytes_after);
    if (!fits) return wh_no_memory(err);
    result->tag = TARN_LIT("CALL");
    return set_text_row(result, TARN_LIT("compact"), text, err);
}

static tarn_status call(tarn_session *session, const tarn_statement *statement, tarn_result *result,
                        tarn_error *err) {
    if (tarn_slice_equal(statement->call.name, TARN_LIT("compact"))) {
        return call_compact(session, statement, result, err);
    }
    (void)tarn_fail(err, TARN_INVALID, "procedure " TARN_SLICE_FMT " does not exist",
                    TARN_SLICE_ARG(statement->call.name));
    tarn_error_locate(err, "42883", 0);
    tarn_error_hint(err, "The procedure is compact(table).");
    return TARN_INVALID;
}

// ---- dispatch ----

static tarn_status execute(tarn_session *session, const tarn_statement *statement,
                           tarn_result *result, tarn_error *err) {
    tarn_warehouse *warehouse = session->warehouse;
    uint64_t row_count = 0;
    bool created = false;
    switch (statement->kind) {
    case TARN_STATEMENT_SELECT: return wh_query_start(session, statement->select.plan, result, err);
    case TARN_STATEMENT_EXPLAIN: return wh_explain(session, statement, result, err);
    case TARN_STATEMENT_INSERT:
        TARN_TRY(wh_insert(session, statement, &row_count, err));
        return set_tag(result, err, "INSERT 0 %llu", row_count);
    case TARN_STATEMENT_COPY_FROM:
        TARN_TRY(wh_copy(session, statement, &row_count, err));
        return set_tag(result, err, "COPY %llu", row_count);
    case TARN_STATEMENT_CREATE_TABLE:
        result->tag = TARN_LIT("CREATE TABLE");
        return wh_create_table(warehouse, statement, &created, err);
    case TARN_STATEMENT_CREATE_SOURCE:
        result->tag = TARN_LIT("CREATE SOURCE");
        return wh_create_source(warehouse, statement, &created, err);
    case TARN_STATEMENT_CREATE_VIEW:
        result->tag = TARN_LIT("CREATE MATERIALIZED VIEW");
        return wh_create_view(warehouse, statement, &created, err);
    case TARN_STATEMENT_DROP:
        result->tag = statement->drop.kind == TARN_RELATION_VIEW
                          ? TARN_LIT("DROP MATERIALIZED VIEW")
                      : statement->drop.kind == TARN_RELATION_SOURCE ? TARN_LIT("DROP SOURCE")
                                                                     : TARN_LIT("DROP TABLE");
        return wh_drop(warehouse, statement, err);
    case TARN_STATEMENT_CALL: return call(session, statement, result, err);
    case TARN_STATEMENT_SET:
        result->tag = TARN_LIT("SET");
        return set_setting(session, statement, err);
    case TARN_STATEMENT_SHOW: return show_setting(session, statement, result, err);
    case TARN_STATEMENT_FLUSH: result->tag = TARN_LIT("FLUSH"); return wh_flush(session, err);
    }
    return tarn_fail(err, TARN_UNSUPPORTED, "unknown kind of statement");
}

tarn_status tarn_session_execute(tarn_session *session, tarn_slice text, tarn_result **ret_result,
                                 tarn_error *err) {
    atomic_store_explicit(&session->cancelled, false, memory_order_relaxed);
    tarn_result *result = NULL;
    TARN_TRY(result_new(session, &result, err));
    const tarn_statement *statement = NULL;
    tarn_slice copy; // plans view the text, and the result may outlive the caller's
    tarn_status status = tarn_arena_copy(&result->arena, text, &copy) ? TARN_OK : wh_no_memory(err);
    if (status == TARN_OK) {
        tarn_catalog_reader reader = wh_binding_reader(&result->binding);
        status = tarn_sql_prepare(copy, &reader, &result->arena, &statement, err);
    }
    if (status == TARN_OK) status = execute(session, statement, result, err);
    if (status != TARN_OK) {
        tarn_result_free(result);
        return status;
    }
    *ret_result = result;
    return TARN_OK;
}
