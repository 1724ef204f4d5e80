// SELECT and EXPLAIN: which version of each table to read, the leaves of the plan, the result.
#include "warehouse/internal.h"

typedef struct wh_node_note {
    const tarn_plan *plan;
    tarn_node node;
    struct wh_node_note *next;
} wh_node_note;

// ---- versions ----

static tarn_status refuse_version(const tarn_relation *relation, const char *what,
                                  tarn_error *err) {
    (void)tarn_fail(err, TARN_INVALID, "\"" TARN_SLICE_FMT "\" has no version %s",
                    TARN_SLICE_ARG(relation->name), what);
    tarn_error_locate(err, "22023", 0);
    tarn_error_hint(err, "Its versions are listed in tarn.snapshots.");
    return TARN_INVALID;
}

static tarn_status version_as_of(const tarn_plan *scan, wh_object *object, tarn_arena *arena,
                                 int64_t *ret_id, tarn_error *err) {
    tarn_snapshot snapshot;
    bool found = false;
    if (scan->scan.as_of == TARN_AS_OF_VERSION) {
        TARN_TRY(tarn_table_snapshot(object->table, scan->scan.as_of_value, arena, &snapshot,
                                     &found, err));
    } else {
        TARN_TRY(tarn_table_snapshot_at(object->table, scan->scan.as_of_value, arena, &snapshot,
                                        &found, err));
    }
    if (!found) {
        return refuse_version(
            &object->relation,
            scan->scan.as_of == TARN_AS_OF_VERSION ? "of that number" : "as old as that time", err);
    }
    *ret_id = snapshot.id;
    return TARN_OK;
}

static int64_t epoch_of(const tarn_snapshot *snapshot) {
    tarn_slice text = tarn_snapshot_property(snapshot, TARN_LIT("tarn.epoch"));
    int64_t epoch = 0;
    for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        epoch = epoch * 10 + (text.data[i] - '0');
    }
    return text.len == 0 ? -1 : epoch;
}

// The newest version that reflects no more than `epoch`; 0: there is none. Versions without an
// epoch (compactions) change no rows: they count for the epoch before them.
static tarn_status version_at_epoch(wh_object *object, uint64_t epoch, tarn_arena *arena,
                                    int64_t *ret_id, tarn_error *err) {
    tarn_snapshot snapshot;
    bool found = false;
    int64_t id = 0;
    TARN_TRY(tarn_table_latest_snapshot(object->table, arena, &snapshot, &found, err));
    while (found) {
        int64_t reflects = epoch_of(&snapshot);
        if (reflects > (int64_t)epoch) {
            id = 0;
        } else if (id == 0) {
            id = snapshot.id;
        }
        if (reflects >= 0 && reflects <= (int64_t)epoch) break;
        int64_t before = snapshot.id - 1;
        TARN_TRY(tarn_table_snapshot(object->table, before, arena, &snapshot, &found, err));
    }
    *ret_id = id;
    return TARN_OK;
}

// Which version of each table the epoch reflects.
typedef struct wh_table_version {
    const wh_object *object;
    int64_t version;
    struct wh_table_version *next;
} wh_table_version;

static bool note_table_versions(const tarn_plan *plan, tarn_result *result) {
    if (plan->kind == TARN_PLAN_SCAN && plan->scan.relation->kind == TARN_RELATION_TABLE) {
        wh_table_version *note = tarn_arena_new(&result->arena, wh_table_version, 1);
        if (note == NULL) return false;
        note->object = wh_object_of(plan->scan.relation);
        note->version = atomic_load_explicit(&note->object->epoch_version, memory_order_relaxed);
        note->next = result->table_versions;
        result->table_versions = note;
    }
    for (size_t i = 0; i < plan->input_count; i++) {
        if (!note_table_versions(plan->inputs[i], result)) return false;
    }
    return true;
}

static bool reads_table(const tarn_plan *plan) {
    if (plan->kind == TARN_PLAN_SCAN) return plan->scan.relation->kind == TARN_RELATION_TABLE;
    for (size_t i = 0; i < plan->input_count; i++) {
        if (reads_table(plan->inputs[i])) return true;
    }
    return false;
}

static bool reads_view(const tarn_plan *plan) {
    if (plan->kind == TARN_PLAN_SCAN) {
        return plan->scan.relation->kind == TARN_RELATION_VIEW &&
               plan->scan.as_of == TARN_AS_OF_NOW;
    }
    for (size_t i = 0; i < plan->input_count; i++) {
        if (reads_view(plan->inputs[i])) return true;
    }
    return false;
}

static bool is_read_by(const wh_object_list *objects, const wh_object *table) {
    for (size_t i = 0; i < objects->count; i++) {
        const wh_object *view = objects->items[i];
        for (size_t k = 0; k < view->input_count; k++) {
            if (view->inputs[k] == table) return true;
        }
    }
    return false;
}

// Which version of a table the views reflect is in their state, and that could not be read: a newer
// one beside the views would be an answer that was never true.
static tarn_status refuse_unknown_versions(tarn_warehouse *warehouse, const tarn_result *result,
                                           const tarn_error *reason, tarn_error *err) {
    wh_object_list objects;
    TARN_TRY(wh_catalog_list(warehouse, &objects, err));
    tarn_status status = TARN_OK;
    for (const wh_table_version *note = result->table_versions; note != NULL; note = note->next) {
        if (status != TARN_OK || !is_read_by(&objects, note->object)) continue;
        status = tarn_fail(err, reason->status == TARN_OK ? TARN_IO : reason->status,
                           "the views have stopped, and which version of \"" TARN_SLICE_FMT
                           "\" they reflect is not known: %s",
                           TARN_SLICE_ARG(note->object->relation.name), reason->message);
        tarn_error_locate(err, "55000", 0);
        tarn_error_hint(err, "FLUSH tries to start them again; SET tarn.read = 'latest' reads each "
                             "table as new as it is.");
    }
    wh_list_release(warehouse->alloc, &objects);
    return status;
}

// The newest epoch of which all views of the plan that have any version have one.
static tarn_status common_epoch(const tarn_plan *plan, tarn_arena *arena, uint64_t *epoch,
                                tarn_error *err) {
    if (plan->kind == TARN_PLAN_SCAN && reads_view(plan)) {
        const wh_object *view = wh_object_of(plan->scan.relation);
        tarn_snapshot snapshot;
        bool found = false;
        TARN_TRY(tarn_table_latest_snapshot(view->table, arena, &snapshot, &found, err));
        while (found && epoch_of(&snapshot) < 0) {
            int64_t before = snapshot.id - 1;
            TARN_TRY(tarn_table_snapshot(view->table, before, arena, &snapshot, &found, err));
        }
        if (found && (uint64_t)epoch_of(&snapshot) < *epoch) {
            *epoch = (uint64_t)epoch_of(&snapshot);
        }
    }
    for (size_t i = 0; i < plan->input_count; i++) {
        TARN_TRY(common_epoch(plan->inputs[i], arena, epoch, err));
    }
    return TARN_OK;
}

// The epoch and what it reflects, taken at one moment.
static tarn_status choose_epoch(tarn_warehouse *warehouse, const tarn_plan *plan,
                                tarn_result *result, tarn_error *err) {
    wh_engine *engine = &warehouse->engine;
    // Only the views' state knows which version of a table they have consumed.
    if (reads_table(plan)) wh_engine_await_start(warehouse);
    tarn_mutex_lock(engine->lock);
    result->epoch = engine->committed_epoch;
    bool epoch_known = engine->epoch_known;
    bool versions_known = engine->versions_known;
    tarn_error reason = engine->error;
    bool fits = note_table_versions(plan, result);
    tarn_mutex_unlock(engine->lock);
    if (!fits) return wh_no_memory(err);
    if (!versions_known) TARN_TRY(refuse_unknown_versions(warehouse, result, &reason, err));
    if (epoch_known) return TARN_OK;
    result->epoch = INT64_MAX;
    return common_epoch(plan, &result->arena, &result->epoch, err);
}

// ---- leaves ----

typedef struct query_leaves {
    tarn_session *session;
    tarn_result *result;
    bool aligned; // several tables, at least one view: all of one epoch
    size_t leaf_count;
} query_leaves;

static tarn_status choose_version(query_leaves *leaves, const tarn_plan *scan, wh_object *object,
                                  int64_t *ret_id, bool *ret_empty, tarn_error *err) {
    tarn_result *result = leaves->result;
    *ret_empty = false;
    if (scan->scan.as_of != TARN_AS_OF_NOW) {
        return version_as_of(scan, object, &result->arena, ret_id, err);
    }
    if (leaves->aligned && object->relation.kind == TARN_RELATION_VIEW) {
        TARN_TRY(version_at_epoch(object, result->epoch, &result->arena, ret_id, err));
        *ret_empty = *ret_id == 0;
        return TARN_OK;
    }
    *ret_id = 0;
    if (!leaves->aligned) return TARN_OK;
    // A table that views have consumed is read as they saw it.
    for (wh_table_version *note = result->table_versions; note != NULL; note = note->next) {
        if (note->object == object) *ret_id = note->version;
    }
    return TARN_OK;
}

static tarn_status leaf_name(query_leaves *leaves, size_t part, tarn_slice *ret_name,
                             tarn_error *err) {
    bool fits = tarn_arena_printf(&leaves->result->arena, ret_name, "leaf%zu.%zu",
                                  leaves->leaf_count, part);
    return fits ? TARN_OK : wh_no_memory(err);
}

// Rows that are there already: an inbox that is closed at once.
static tarn_status add_batches(query_leaves *leaves, tarn_flow *flow, tarn_op_inbox *inbox,
                               tarn_node *ret_node, tarn_error *err) {
    tarn_slice name;
    tarn_op_inbox_close(inbox);
    TARN_TRY(leaf_name(leaves, 0, &name, err));
    return tarn_op_add_inbox(flow, name, inbox, ret_node, err);
}

// A version without rows: an input that ends at once.
static tarn_status add_nothing(query_leaves *leaves, tarn_flow *flow, tarn_node *ret_node,
                               tarn_error *err) {
    tarn_op_inbox *inbox = NULL;
    TARN_TRY(tarn_op_inbox_new(leaves->result->alloc, &inbox, err));
    tarn_status status = add_batches(leaves, flow, inbox, ret_node, err);
    tarn_op_inbox_unref(inbox);
    return status;
}

static tarn_status add_table_leaf(query_leaves *leaves, const tarn_plan *scan, tarn_flow *flow,
                                  size_t part_limit, tarn_node *ret_nodes, size_t *ret_count,
                                  tarn_error *err) {
    tarn_result *result = leaves->result;
    wh_object *object = wh_object_of(scan->scan.relation);
    int64_t snapshot_id;
    bool empty;
    TARN_TRY(choose_version(leaves, scan, object, &snapshot_id, &empty, err));
    if (empty) {
        *ret_count = 1;
        return add_nothing(leaves, flow, &ret_nodes[0], err);
    }
    wh_scan_leaf *leaf = tarn_arena_new(&result->arena, wh_scan_leaf, 1);
    if (leaf == NULL) return wh_no_memory(err);
    tarn_table_scan_options options = {
        .snapshot_id = snapshot_id,
        .columns = scan->scan.columns,
        .column_count = scan->schema.field_count,
        .no_columns = scan->schema.field_count == 0,
        .prune = &scan->scan.prune,
    };
    TARN_TRY(tarn_table_scan_new(object->table, &options, &leaf->scan, err));
    leaf->next = result->scans;
    result->scans = leaf;
    size_t split_count = tarn_table_scan_split_count(leaf->scan);
    size_t count = split_count < part_limit ? split_count : part_limit;
    if (count == 0) count = 1;
    for (size_t i = 0; i < count; i++) {
        tarn_slice name;
        TARN_TRY(leaf_name(leaves, i, &name, err));
        TARN_TRY(tarn_op_add_table_scan(flow, name, leaf->scan, &leaf->next_split, result->alloc,
                                        &ret_nodes[i], err));
    }
    *ret_count = count;
    return TARN_OK;
}

static tarn_status refuse_as_of(const tarn_plan *scan, tarn_error *err) {
    if (scan->scan.as_of == TARN_AS_OF_NOW) return TARN_OK;
    (void)tarn_fail(err, TARN_UNSUPPORTED, "\"" TARN_SLICE_FMT "\" keeps no versions to go back to",
                    TARN_SLICE_ARG(scan->scan.relation->name));
    tarn_error_locate(err, "0A000", 0);
    return TARN_UNSUPPORTED;
}

static tarn_status add_source_leaf(query_leaves *leaves, const tarn_plan *scan, wh_object *object,
                                   tarn_flow *flow, tarn_node *ret_node, tarn_error *err) {
    TARN_TRY(refuse_as_of(scan, err));
    tarn_warehouse *warehouse = leaves->session->warehouse;
    tarn_slice source_name;
    tarn_slice columns_name;
    TARN_TRY(leaf_name(leaves, 0, &source_name, err));
    TARN_TRY(leaf_name(leaves, 1, &columns_name, err));
    tarn_op_source_options options = {
        .connector = object->connector,
        .spec = &object->spec,
        .relation = &object->relation,
        .os = warehouse->os,
        .alloc = leaves->result->alloc,
        .eval = {.now_us = tarn_os_now_us(warehouse->os)},
    };
    tarn_op_source *source;
    tarn_node node;
    TARN_TRY(tarn_op_add_source(flow, source_name, &options, &source, &node, err));
    return tarn_op_add_columns(flow, columns_name, node, scan->scan.columns,
                               scan->schema.field_count, ret_node, err);
}

typedef struct system_rows {
    tarn_op_inbox *inbox;
    const tarn_alloc *alloc;
    const tarn_plan *scan;
} system_rows;

// Hands the builder's rows, cut down to the scan's columns, to the inbox.
static tarn_status take_system_rows(void *context, tarn_chunk_builder *builder, tarn_error *err) {
    system_rows *rows = context;
    const tarn_chunk *chunk = tarn_chunk_builder_chunk(builder);
    if (tarn_chunk_count(chunk) == 0) return TARN_OK;
    tarn_arena arena;
    tarn_arena_init(&arena, rows->alloc, SIZE_MAX);
    size_t column_count = rows->scan->schema.field_count;
    tarn_vector *columns = tarn_arena_new(&arena, tarn_vector, column_count);
    tarn_batch *batch = NULL;
    tarn_status status = columns == NULL ? wh_no_memory(err) : TARN_OK;
    if (status == TARN_OK) {
        for (size_t i = 0; i < column_count; i++) {
            columns[i] = chunk->columns[rows->scan->scan.columns[i]];
        }
        tarn_chunk cut = *chunk;
        cut.columns = columns;
        cut.column_count = column_count;
        cut.kinds = NULL;
        status = tarn_batch_new(rows->alloc, &cut, &batch, err);
    }
    if (status == TARN_OK) status = tarn_op_inbox_push(rows->inbox, batch, err);
    tarn_arena_reset(&arena);
    tarn_chunk_builder_clear(builder);
    return status;
}

static tarn_status add_system_leaf(query_leaves *leaves, const tarn_plan *scan, tarn_flow *flow,
                                   tarn_node *ret_node, tarn_error *err) {
    TARN_TRY(refuse_as_of(scan, err));
    const tarn_alloc *alloc = leaves->result->alloc;
    const tarn_relation *relation = scan->scan.relation;
    system_rows rows = {.alloc = alloc, .scan = scan};
    tarn_chunk_builder *builder = NULL;
    tarn_status status = tarn_op_inbox_new(alloc, &rows.inbox, err);
    if (status == TARN_OK) {
        status = tarn_chunk_builder_new(alloc, &relation->schema, &builder, err);
    }
    if (status == TARN_OK) {
        status = wh_system_fill(leaves->session->warehouse, relation, builder, take_system_rows,
                                &rows, err);
    }
    if (status == TARN_OK) status = take_system_rows(&rows, builder, err);
    if (status == TARN_OK) status = add_batches(leaves, flow, rows.inbox, ret_node, err);
    tarn_chunk_builder_free(builder);
    tarn_op_inbox_unref(rows.inbox);
    return status;
}

static tarn_status add_leaf(void *context, const tarn_plan *scan, tarn_flow *flow,
                            size_t part_limit, tarn_node *ret_nodes, size_t *ret_count,
                            tarn_error *err) {
    query_leaves *leaves = context;
    const tarn_relation *relation = scan->scan.relation;
    leaves->leaf_count++;
    *ret_count = 1;
    switch (relation->kind) {
    case TARN_RELATION_TABLE:
    case TARN_RELATION_VIEW:
        return add_table_leaf(leaves, scan, flow, part_limit, ret_nodes, ret_count, err);
    case TARN_RELATION_SOURCE:
        return add_source_leaf(leaves, scan, wh_object_of(relation), flow, ret_nodes, err);
    case TARN_RELATION_SYSTEM: return add_system_leaf(leaves, scan, flow, ret_nodes, err);
    }
    return tarn_fail(err, TARN_UNSUPPORTED, "unknown kind of relation");
}

static void note_node(void *context, const tarn_plan *plan, tarn_node node) {
    query_leaves *leaves = context;
    tarn_result *result = leaves->result;
    wh_node_note *note = tarn_arena_new(&result->arena, wh_node_note, 1);
    if (note == NULL) return; // EXPLAIN then says nothing about this node
    *note = (wh_node_note){.plan = plan, .node = node, .next = result->notes};
    result->notes = note;
}

// ---- running ----

tarn_status wh_query_start(tarn_session *session, const tarn_plan *plan, tarn_result *result,
                           tarn_error *err) {
    tarn_warehouse *warehouse = session->warehouse;
    query_leaves leaves = {.session = session, .result = result};
    if (reads_view(plan) && !session->read_latest) {
        TARN_TRY(choose_epoch(warehouse, plan, result, err));
        leaves.aligned = true;
    }
    size_t thread_count = warehouse->options.thread_count;
    tarn_flow_options options = {
        .alloc = result->alloc,
        .os = warehouse->os,
        .thread_count = thread_count,
        .cancel_flag = &session->cancelled,
    };
    tarn_op_context context = {
        .mode = TARN_OP_BATCH,
        .alloc = result->alloc,
        .eval = {.now_us = tarn_os_now_us(warehouse->os)},
        .name_prefix = TARN_LIT("query/"),
        .thread_count = thread_count,
        .leaf_context = &leaves,
        .add_leaf = add_leaf,
        .note_node = note_node,
    };
    tarn_node node;
    TARN_TRY(tarn_flow_new(&options, &result->flow, err));
    TARN_TRY(tarn_op_build(plan, &context, result->flow, &node, err));
    TARN_TRY(tarn_flow_set_result(result->flow, node, err));
    result->schema = plan->schema;
    return tarn_flow_start(result->flow, err);
}

// ---- EXPLAIN ----

static tarn_status annotate(void *context, const tarn_plan *plan, tarn_buffer *out,
                            tarn_error *err) {
    tarn_result *result = context;
    bool found = false;
    uint64_t row_count = 0;
    int64_t busy_ns = 0;
    for (const wh_node_note *note = result->notes; note != NULL; note = note->next) {
        if (note->plan != plan) continue;
        // Several nodes may finish a plan node together, each with a part of the rows.
        tarn_node_metrics metrics = tarn_flow_node_metrics(result->flow, note->node);
        row_count += metrics.rows_out;
        busy_ns += metrics.busy_ns;
        found = true;
    }
    if (!found) return TARN_OK;
    bool fits = tarn_buffer_printf(out, " (actual rows=%llu time=%.3f ms)",
                                   (unsigned long long)row_count, (double)busy_ns / 1e6);
    return fits ? TARN_OK : wh_no_memory(err);
}

// What the scans skipped, one line each, in the order of the plan.
static tarn_status describe_scans(const tarn_result *result, tarn_buffer *out, tarn_error *err) {
    for (const wh_scan_leaf *leaf = result->scans; leaf != NULL; leaf = leaf->next) {
        tarn_scan_metrics metrics = tarn_table_scan_metrics(leaf->scan);
        bool fits = tarn_buffer_printf(
            out,
            "Read: version %lld, %llu of %llu files, %llu of %llu row groups, %llu rows, %llu "
            "bytes\n",
            (long long)tarn_table_scan_snapshot_id(leaf->scan),
            (unsigned long long)metrics.files_read, (unsigned long long)metrics.files_total,
            (unsigned long long)metrics.row_groups_read,
            (unsigned long long)metrics.row_groups_total, (unsigned long long)metrics.rows_read,
            (unsigned long long)metrics.bytes_read);
        if (!fits) return wh_no_memory(err);
    }
    return TARN_OK;
}

static tarn_status run_to_end(tarn_result *result, tarn_error *err) {
    for (;;) {
        tarn_batch *batch = NULL;
        TARN_TRY(tarn_flow_next(result->flow, &batch, err));
        if (batch == NULL) return TARN_OK;
        tarn_batch_unref(batch);
    }
}

static tarn_status explain_text(tarn_session *session, const tarn_statement *statement,
                                tarn_result *result, tarn_buffer *out, tarn_error *err) {
    const tarn_statement *inner = statement->explain.statement;
    const tarn_plan *plan = inner->kind == TARN_STATEMENT_INSERT        ? inner->insert.plan
                            : inner->kind == TARN_STATEMENT_CREATE_VIEW ? inner->create_view.plan
                                                                        : inner->select.plan;
    if (!statement->explain.analyze) return tarn_plan_format(plan, NULL, NULL, out, err);
    if (inner->kind != TARN_STATEMENT_SELECT) {
        (void)tarn_fail(err, TARN_UNSUPPORTED, "EXPLAIN ANALYZE is supported for SELECT only");
        tarn_error_locate(err, "0A000", 0);
        return TARN_UNSUPPORTED;
    }
    int64_t begin_ns = tarn_os_monotonic_ns(session->warehouse->os);
    TARN_TRY(wh_query_start(session, plan, result, err));
    TARN_TRY(run_to_end(result, err));
    int64_t end_ns = tarn_os_monotonic_ns(session->warehouse->os);
    TARN_TRY(tarn_plan_format(plan, annotate, result, out, err));
    TARN_TRY(describe_scans(result, out, err));
    if (result->epoch > 0 &&
        !tarn_buffer_printf(out, "Epoch: %llu\n", (unsigned long long)result->epoch)) {
        return wh_no_memory(err);
    }
    return tarn_buffer_printf(out, "Execution Time: %.3f ms\n", (double)(end_ns - begin_ns) / 1e6)
               ? TARN_OK
               : wh_no_memory(err);
}

static tarn_status append_lines(tarn_result *result, tarn_slice text, tarn_error *err) {
    while (text.len > 0) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.data);
        tarn_value line = {.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = {text.data, len}};
        TARN_TRY(tarn_chunk_builder_append(result->rows, &line, TARN_ROW_INSERT, err));
        text = tarn_slice_skip(text, newline == NULL ? len : len + 1);
    }
    return TARN_OK;
}

tarn_status wh_explain(tarn_session *session, const tarn_statement *statement, tarn_result *result,
                       tarn_error *err) {
    tarn_buffer text = {.alloc = result->alloc};
    tarn_status status = explain_text(session, statement, result, &text, err);
    tarn_flow_free(result->flow);
    result->flow = NULL;
    tarn_field *field = tarn_arena_new(&result->arena, tarn_field, 1);
    if (status == TARN_OK && field == NULL) status = wh_no_memory(err);
    if (status == TARN_OK) {
        *field = (tarn_field){
            .name = TARN_LIT("QUERY PLAN"), .type = tarn_type_of(TARN_TYPE_TEXT), .id = -1};
        result->schema = (tarn_schema){field, 1};
        status = tarn_chunk_builder_new(result->alloc, &result->schema, &result->rows, err);
    }
    if (status == TARN_OK) status = append_lines(result, tarn_buffer_slice(&text), err);
    result->tag = TARN_LIT("EXPLAIN");
    tarn_buffer_free(&text);
    return status;
}
