// Tables that are made when they are read: tarn.jobs, tarn.snapshots, ..., information_schema.
#include "warehouse/internal.h"

typedef struct fill_context {
    tarn_warehouse *warehouse;
    tarn_arena *arena; // for one fill
    tarn_chunk_builder *builder;
    const tarn_relation *relation;
    tarn_status (*full)(void *context, tarn_chunk_builder *builder, tarn_error *err);
    void *context;
} fill_context;

typedef struct system_table {
    const char *schema_name;
    const char *name;
    struct {
        const char *name;
        tarn_type_id type;
    } columns[12];
    tarn_status (*fill)(fill_context *fill, tarn_error *err);
} system_table;

// ---- values ----

static tarn_value text_value(tarn_slice text) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = text};
}

static tarn_value cstr_value(const char *text) {
    return text_value(tarn_slice_from_cstr(text));
}

static tarn_value bigint_value(int64_t number) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_BIGINT), .i64 = number};
}

// `us` outside what a calendar has (no watermark, or the end of time) is NULL.
static tarn_value time_value(tarn_type_id type, int64_t us) {
    bool known = us != INT64_MIN && us != INT64_MAX;
    return (tarn_value){.type = tarn_type_of(type), .is_null = !known, .i64 = known ? us : 0};
}

static tarn_status add_row(fill_context *fill, const tarn_value *values, tarn_error *err) {
    TARN_TRY(tarn_chunk_builder_append(fill->builder, values, TARN_ROW_INSERT, err));
    if (!tarn_chunk_builder_is_full(fill->builder)) return TARN_OK;
    return fill->full(fill->context, fill->builder, err);
}

// ---- jobs ----

static const char *engine_state_name(wh_engine_state state) {
    switch (state) {
    case WH_ENGINE_IDLE:
    case WH_ENGINE_STARTING: return "starting";
    case WH_ENGINE_RUNNING: return "running";
    case WH_ENGINE_FAILED: return "failed";
    }
    return "unknown";
}

static const tarn_view_progress *find_view(const tarn_progress *progress, tarn_slice name) {
    for (size_t i = 0; i < progress->view_count; i++) {
        if (tarn_slice_equal(progress->views[i].name, name)) return &progress->views[i];
    }
    return NULL;
}

static tarn_status add_job(fill_context *fill, const wh_object *view, const tarn_progress *progress,
                           wh_engine_state state, const char *error, tarn_error *err) {
    const tarn_view_progress *seen = find_view(progress, view->relation.name);
    bool known = seen != NULL;
    tarn_snapshot snapshot;
    bool found = false;
    TARN_TRY(tarn_table_latest_snapshot(view->table, fill->arena, &snapshot, &found, err));
    const tarn_value values[] = {
        text_value(view->relation.name),
        cstr_value(engine_state_name(state)),
        bigint_value((int64_t)progress->epoch),
        bigint_value(found ? snapshot.id : 0),
        {.type = tarn_type_of(TARN_TYPE_BIGINT),
         .is_null = !known,
         .i64 = known ? (int64_t)seen->rows_out : 0},
        {.type = tarn_type_of(TARN_TYPE_BIGINT),
         .is_null = !known,
         .i64 = known ? (int64_t)seen->late_rows : 0},
        time_value(TARN_TYPE_TIMESTAMP, found ? snapshot.watermark_us : TARN_NO_WATERMARK),
        {.type = tarn_type_of(TARN_TYPE_TEXT),
         .is_null = error[0] == '\0',
         .bytes = tarn_slice_from_cstr(error)},
        text_value(view->sql),
    };
    return add_row(fill, values, err);
}

static tarn_status for_each_object(fill_context *fill, tarn_relation_kind kind,
                                   tarn_status (*visit)(fill_context *fill, wh_object *object,
                                                        void *context, tarn_error *err),
                                   void *context, tarn_error *err) {
    wh_object_list list;
    TARN_TRY(wh_catalog_list(fill->warehouse, &list, err));
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < list.count && status == TARN_OK; i++) {
        if (list.items[i]->relation.kind == kind) {
            status = visit(fill, list.items[i], context, err);
        }
    }
    wh_list_release(fill->warehouse->alloc, &list);
    return status;
}

typedef struct job_context {
    tarn_progress progress;
    wh_engine_state state;
    char error[TARN_ERROR_MESSAGE_MAX];
} job_context;

static tarn_status visit_job(fill_context *fill, wh_object *view, void *context, tarn_error *err) {
    const job_context *jobs = context;
    return add_job(fill, view, &jobs->progress, jobs->state, jobs->error, err);
}

static tarn_status fill_jobs(fill_context *fill, tarn_error *err) {
    wh_engine *engine = &fill->warehouse->engine;
    job_context *jobs = tarn_arena_new(fill->arena, job_context, 1);
    if (jobs == NULL) return wh_no_memory(err);
    wh_engine_await_start(fill->warehouse);
    TARN_TRY(tarn_warehouse_progress(fill->warehouse, fill->arena, &jobs->progress, err));
    tarn_mutex_lock(engine->lock);
    jobs->state = engine->state;
    if (engine->state == WH_ENGINE_FAILED) {
        memcpy(jobs->error, engine->error.message, sizeof jobs->error);
    }
    tarn_mutex_unlock(engine->lock);
    return for_each_object(fill, TARN_RELATION_VIEW, visit_job, jobs, err);
}

// ---- snapshots and lineage ----

static tarn_value epoch_value(const tarn_snapshot *snapshot) {
    tarn_slice text = tarn_snapshot_property(snapshot, TARN_LIT("tarn.epoch"));
    tarn_value value = {.type = tarn_type_of(TARN_TYPE_BIGINT), .is_null = true};
    tarn_arena none;
    tarn_arena_init(&none, &tarn_alloc_libc, 0);
    // What other writers put there is not ours to complain about: it reads as NULL.
    if (text.len == 0 || tarn_value_parse(value.type, text, &none, &value, NULL) != TARN_OK) {
        value = tarn_value_null(value.type);
    }
    return value;
}

static tarn_status add_snapshots(fill_context *fill, wh_object *object, void *context,
                                 tarn_error *err) {
    (void)context;
    tarn_snapshot *snapshots;
    size_t count;
    TARN_TRY(tarn_table_snapshots(object->table, fill->arena, &snapshots, &count, err));
    for (size_t i = 0; i < count; i++) {
        const tarn_snapshot *snapshot = &snapshots[i];
        const tarn_value values[] = {
            text_value(object->relation.name),
            bigint_value(snapshot->id),
            epoch_value(snapshot),
            text_value(snapshot->commit_kind),
            time_value(TARN_TYPE_TIMESTAMPTZ, snapshot->time_us),
            bigint_value(snapshot->total_row_count),
            bigint_value(snapshot->delta_row_count),
            time_value(TARN_TYPE_TIMESTAMP, snapshot->watermark_us),
            text_value(snapshot->commit_user),
        };
        TARN_TRY(add_row(fill, values, err));
    }
    return TARN_OK;
}

static tarn_status fill_snapshots(fill_context *fill, tarn_error *err) {
    TARN_TRY(for_each_object(fill, TARN_RELATION_TABLE, add_snapshots, NULL, err));
    return for_each_object(fill, TARN_RELATION_VIEW, add_snapshots, NULL, err);
}

static tarn_status add_lineage(fill_context *fill, wh_object *view, void *context,
                               tarn_error *err) {
    (void)context;
    tarn_snapshot *snapshots;
    size_t count;
    TARN_TRY(tarn_table_snapshots(view->table, fill->arena, &snapshots, &count, err));
    int64_t version = 0;
    for (size_t i = 0; i < count; i++) {
        tarn_slice job = tarn_snapshot_property(&snapshots[i], TARN_LIT("tarn.job"));
        if (job.len == 0) continue; // a compaction: no version of its own
        tarn_slice inputs = tarn_snapshot_property(&snapshots[i], TARN_LIT("tarn.inputs"));
        const tarn_value values[] = {
            text_value(view->relation.name),
            bigint_value(++version),
            bigint_value(snapshots[i].id),
            epoch_value(&snapshots[i]),
            text_value(job),
            {.type = tarn_type_of(TARN_TYPE_TEXT), .is_null = inputs.len == 0, .bytes = inputs},
        };
        TARN_TRY(add_row(fill, values, err));
    }
    return TARN_OK;
}

static tarn_status fill_version_lineage(fill_context *fill, tarn_error *err) {
    return for_each_object(fill, TARN_RELATION_VIEW, add_lineage, NULL, err);
}

static tarn_status add_table_lineage(fill_context *fill, wh_object *view, void *context,
                                     tarn_error *err) {
    (void)context;
    for (size_t i = 0; i < view->input_count; i++) {
        const tarn_value values[] = {text_value(view->relation.name),
                                     text_value(view->inputs[i]->relation.name),
                                     text_value(view->relation.name)};
        TARN_TRY(add_row(fill, values, err));
    }
    return TARN_OK;
}

static tarn_status fill_table_lineage(fill_context *fill, tarn_error *err) {
    return for_each_object(fill, TARN_RELATION_VIEW, add_table_lineage, NULL, err);
}

// ---- freshness and positions ----

static tarn_status add_freshness(fill_context *fill, wh_object *view, void *context,
                                 tarn_error *err) {
    const tarn_progress *progress = context;
    tarn_snapshot snapshot;
    bool found = false;
    TARN_TRY(tarn_table_latest_snapshot(view->table, fill->arena, &snapshot, &found, err));
    tarn_value epoch =
        found ? epoch_value(&snapshot) : tarn_value_null(tarn_type_of(TARN_TYPE_BIGINT));
    int64_t age_us = tarn_os_now_us(fill->warehouse->os) - (found ? snapshot.time_us : 0);
    const tarn_value values[] = {
        text_value(view->relation.name),
        epoch,
        {.type = tarn_type_of(TARN_TYPE_BIGINT),
         .is_null = epoch.is_null,
         .i64 = epoch.is_null ? 0 : (int64_t)progress->epoch - epoch.i64},
        {.type = tarn_type_of(TARN_TYPE_DOUBLE), .is_null = !found, .f64 = (double)age_us / 1e6},
        time_value(TARN_TYPE_TIMESTAMP, found ? snapshot.watermark_us : TARN_NO_WATERMARK),
    };
    return add_row(fill, values, err);
}

static tarn_status fill_freshness(fill_context *fill, tarn_error *err) {
    tarn_progress progress;
    TARN_TRY(tarn_warehouse_progress(fill->warehouse, fill->arena, &progress, err));
    return for_each_object(fill, TARN_RELATION_VIEW, add_freshness, &progress, err);
}

static tarn_status fill_source_positions(fill_context *fill, tarn_error *err) {
    tarn_progress progress;
    wh_engine_await_start(fill->warehouse);
    TARN_TRY(tarn_warehouse_progress(fill->warehouse, fill->arena, &progress, err));
    for (size_t i = 0; i < progress.source_count; i++) {
        const tarn_source_progress *source = &progress.sources[i];
        const tarn_value values[] = {
            text_value(source->name),
            bigint_value((int64_t)source->rows),
            bigint_value((int64_t)source->done),
            bigint_value((int64_t)source->total),
            time_value(TARN_TYPE_TIMESTAMP, source->watermark_us),
            {.type = tarn_type_of(TARN_TYPE_BOOLEAN), .boolean = source->ended},
        };
        TARN_TRY(add_row(fill, values, err));
    }
    return TARN_OK;
}

// ---- information_schema ----

static const char *relation_type(tarn_relation_kind kind) {
    switch (kind) {
    case TARN_RELATION_TABLE: return "BASE TABLE";
    case TARN_RELATION_SOURCE: return "SOURCE";
    case TARN_RELATION_VIEW: return "MATERIALIZED VIEW";
    case TARN_RELATION_SYSTEM: return "SYSTEM TABLE";
    }
    return "";
}

static tarn_status add_relation(fill_context *fill, const tarn_relation *relation,
                                tarn_error *err) {
    const tarn_value values[] = {cstr_value("tarn"), text_value(relation->schema_name),
                                 text_value(relation->name),
                                 cstr_value(relation_type(relation->kind))};
    return add_row(fill, values, err);
}

static tarn_status add_columns(fill_context *fill, const tarn_relation *relation, tarn_error *err) {
    for (size_t i = 0; i < relation->schema.field_count; i++) {
        const tarn_field *field = &relation->schema.fields[i];
        tarn_buffer type = {.alloc = fill->warehouse->alloc};
        tarn_status status = tarn_type_format(field->type, &type, err);
        bool is_key = false;
        for (size_t k = 0; k < relation->key_count; k++) is_key |= relation->key_columns[k] == i;
        const tarn_value values[] = {
            text_value(relation->schema_name),
            text_value(relation->name),
            text_value(field->name),
            bigint_value((int64_t)i + 1),
            cstr_value(field->not_null ? "NO" : "YES"),
            text_value(tarn_buffer_slice(&type)),
            {.type = tarn_type_of(TARN_TYPE_BOOLEAN), .boolean = is_key},
        };
        if (status == TARN_OK) status = add_row(fill, values, err);
        tarn_buffer_free(&type);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

typedef tarn_status (*relation_visitor)(fill_context *fill, const tarn_relation *relation,
                                        tarn_error *err);

static tarn_status for_each_relation(fill_context *fill, relation_visitor visit, tarn_error *err);

static tarn_status fill_tables(fill_context *fill, tarn_error *err) {
    return for_each_relation(fill, add_relation, err);
}

static tarn_status fill_columns(fill_context *fill, tarn_error *err) {
    return for_each_relation(fill, add_columns, err);
}

// ---- the list ----

static const system_table system_tables[] = {
    {"tarn",
     "jobs",
     {{"name", TARN_TYPE_TEXT},
      {"state", TARN_TYPE_TEXT},
      {"epoch", TARN_TYPE_BIGINT},
      {"version", TARN_TYPE_BIGINT},
      {"rows_out", TARN_TYPE_BIGINT},
      {"late_rows", TARN_TYPE_BIGINT},
      {"watermark", TARN_TYPE_TIMESTAMP},
      {"error", TARN_TYPE_TEXT},
      {"definition", TARN_TYPE_TEXT}},
     fill_jobs},
    {"tarn",
     "snapshots",
     {{"table_name", TARN_TYPE_TEXT},
      {"snapshot_id", TARN_TYPE_BIGINT},
      {"epoch", TARN_TYPE_BIGINT},
      {"commit_kind", TARN_TYPE_TEXT},
      {"committed_at", TARN_TYPE_TIMESTAMPTZ},
      {"total_rows", TARN_TYPE_BIGINT},
      {"delta_rows", TARN_TYPE_BIGINT},
      {"watermark", TARN_TYPE_TIMESTAMP},
      {"commit_user", TARN_TYPE_TEXT}},
     fill_snapshots},
    {"tarn",
     "version_lineage",
     {{"table_name", TARN_TYPE_TEXT},
      {"version", TARN_TYPE_BIGINT},
      {"snapshot_id", TARN_TYPE_BIGINT},
      {"epoch", TARN_TYPE_BIGINT},
      {"job", TARN_TYPE_TEXT},
      {"inputs", TARN_TYPE_TEXT}},
     fill_version_lineage},
    {"tarn",
     "table_lineage",
     {{"job", TARN_TYPE_TEXT}, {"input", TARN_TYPE_TEXT}, {"output", TARN_TYPE_TEXT}},
     fill_table_lineage},
    {"tarn",
     "freshness",
     {{"table_name", TARN_TYPE_TEXT},
      {"epoch", TARN_TYPE_BIGINT},
      {"lag_epochs", TARN_TYPE_BIGINT},
      {"age_seconds", TARN_TYPE_DOUBLE},
      {"watermark", TARN_TYPE_TIMESTAMP}},
     fill_freshness},
    {"tarn",
     "source_positions",
     {{"source", TARN_TYPE_TEXT},
      {"rows", TARN_TYPE_BIGINT},
      {"done", TARN_TYPE_BIGINT},
      {"total", TARN_TYPE_BIGINT},
      {"watermark", TARN_TYPE_TIMESTAMP},
      {"ended", TARN_TYPE_BOOLEAN}},
     fill_source_positions},
    {"information_schema",
     "tables",
     {{"table_catalog", TARN_TYPE_TEXT},
      {"table_schema", TARN_TYPE_TEXT},
      {"table_name", TARN_TYPE_TEXT},
      {"table_type", TARN_TYPE_TEXT}},
     fill_tables},
    {"information_schema",
     "columns",
     {{"table_schema", TARN_TYPE_TEXT},
      {"table_name", TARN_TYPE_TEXT},
      {"column_name", TARN_TYPE_TEXT},
      {"ordinal_position", TARN_TYPE_BIGINT},
      {"is_nullable", TARN_TYPE_TEXT},
      {"data_type", TARN_TYPE_TEXT},
      {"is_key", TARN_TYPE_BOOLEAN}},
     fill_columns},
};
enum {
    SYSTEM_COUNT = sizeof system_tables / sizeof system_tables[0],
    SYSTEM_COLUMNS = sizeof system_tables[0].columns / sizeof system_tables[0].columns[0],
};

static bool describe(tarn_arena *arena, const system_table *table, tarn_relation *relation) {
    tarn_field *fields = tarn_arena_new(arena, tarn_field, SYSTEM_COLUMNS);
    if (fields == NULL) return false;
    size_t count = 0;
    while (count < SYSTEM_COLUMNS && table->columns[count].name != NULL) {
        fields[count] = (tarn_field){.name = tarn_slice_from_cstr(table->columns[count].name),
                                     .type = tarn_type_of(table->columns[count].type),
                                     .id = -1};
        count++;
    }
    *relation = (tarn_relation){
        .kind = TARN_RELATION_SYSTEM,
        .schema_name = tarn_slice_from_cstr(table->schema_name),
        .name = tarn_slice_from_cstr(table->name),
        .schema = {.fields = fields, .field_count = count},
        .time_column = -1,
    };
    return true;
}

tarn_status wh_system_open(tarn_warehouse *warehouse, tarn_error *err) {
    tarn_relation *relations = tarn_arena_new(&warehouse->arena, tarn_relation, SYSTEM_COUNT);
    if (relations == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < SYSTEM_COUNT; i++) {
        if (!describe(&warehouse->arena, &system_tables[i], &relations[i])) {
            return wh_no_memory(err);
        }
    }
    warehouse->system_relations = relations;
    return TARN_OK;
}

const tarn_relation *wh_system_find(const tarn_warehouse *warehouse, tarn_slice schema_name,
                                    tarn_slice name) {
    for (size_t i = 0; i < SYSTEM_COUNT; i++) {
        const tarn_relation *relation = &warehouse->system_relations[i];
        if (tarn_slice_equal(relation->schema_name, schema_name) &&
            tarn_slice_equal(relation->name, name)) {
            return relation;
        }
    }
    return NULL;
}

static tarn_status for_each_relation(fill_context *fill, relation_visitor visit, tarn_error *err) {
    wh_object_list list;
    TARN_TRY(wh_catalog_list(fill->warehouse, &list, err));
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < list.count && status == TARN_OK; i++) {
        status = visit(fill, &list.items[i]->relation, err);
    }
    wh_list_release(fill->warehouse->alloc, &list);
    for (size_t i = 0; i < SYSTEM_COUNT && status == TARN_OK; i++) {
        status = visit(fill, &fill->warehouse->system_relations[i], err);
    }
    return status;
}

tarn_status wh_system_fill(tarn_warehouse *warehouse, const tarn_relation *relation,
                           tarn_chunk_builder *builder,
                           tarn_status (*full)(void *context, tarn_chunk_builder *builder,
                                               tarn_error *err),
                           void *context, tarn_error *err) {
    size_t index = (size_t)(relation - warehouse->system_relations);
    tarn_assert(index < SYSTEM_COUNT);
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    fill_context fill = {.warehouse = warehouse,
                         .arena = &arena,
                         .builder = builder,
                         .relation = relation,
                         .full = full,
                         .context = context};
    tarn_status status = system_tables[index].fill(&fill, err);
    tarn_arena_reset(&arena);
    return status;
}
