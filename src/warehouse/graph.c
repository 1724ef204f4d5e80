// The views as one dataflow.
//
//   source/flights ─┬─▶ view/dwd/in0 (backfill) ─▶ columns ─▶ ... operators ... ─┬─▶ view/dwd/sink
//   table/airports ─┘                                                             └─▶ view/dws/in0
//   ...
//
// Every source and table has one leaf, so that an epoch cuts it at one place for all views. A view
// that is added later first replays what its inputs have delivered so far (backfill) and then
// follows them.
#include "base/hash.h"
#include "warehouse/internal.h"

// ---- leaves ----

// A base table as a stream of versions. Each version is delivered whole, so no barrier splits it.
typedef struct table_leaf {
    wh_object *object;
    const tarn_alloc *alloc;
    int64_t consumed_id; // snapshot up to which rows were delivered
    bool started;
    _Atomic int64_t barrier_id; // consumed_id at the last barrier
    _Atomic int64_t seen_id;    // consumed_id, for others to look at
} table_leaf;

typedef struct graph_leaf {
    wh_object *object; // borrowed from the views that read it, which the graph keeps
    tarn_node node;
    tarn_op_source *source; // sources
    tarn_op_source_options source_options;
    wh_dead_letters letters;      // the source's task's own
    wh_prepared prepared_letters; // of the last barrier; owner NULL: none are kept
    table_leaf *table;            // tables; the flow owns it
    struct graph_leaf *next;
} graph_leaf;

typedef struct graph_view {
    wh_object *object; // a reference
    tarn_node output;
    tarn_slice prefix; // "view/<name>#<id>/": state is found again only by the same view
    wh_prepared prepared;
    struct wh_graph *graph;
    _Atomic int64_t version; // newest committed snapshot
    size_t leaf_count;
} graph_view;

struct wh_graph {
    tarn_warehouse *warehouse;
    const tarn_alloc *alloc;
    tarn_arena arena;
    tarn_flow *flow;
    graph_leaf *leaves;
    graph_view *views;
    size_t view_count;
    graph_view *building; // the view that tarn_op_build is at
    struct backfill *backfills;
};

static tarn_status
scan_table(tarn_table *table, const tarn_table_scan_options *options, const tarn_alloc *alloc,
           tarn_status (*row)(void *context, const tarn_chunk *chunk, tarn_error *err),
           void *context, tarn_error *err) {
    tarn_table_scan *scan = NULL;
    TARN_TRY(tarn_table_scan_new(table, options, &scan, err));
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < tarn_table_scan_split_count(scan) && status == TARN_OK; i++) {
        tarn_split_reader *reader = NULL;
        const tarn_chunk *chunk = NULL;
        status = tarn_split_reader_new(scan, i, alloc, &reader, err);
        if (status == TARN_OK) status = tarn_split_reader_next(reader, &chunk, err);
        while (status == TARN_OK && chunk != NULL) {
            status = row(context, chunk, err);
            if (status == TARN_OK) status = tarn_split_reader_next(reader, &chunk, err);
        }
        tarn_split_reader_free(reader);
    }
    tarn_table_scan_free(scan);
    return status;
}

static tarn_status emit_rows(void *output, const tarn_chunk *chunk, tarn_error *err) {
    return tarn_output_emit(output, chunk, err);
}

static tarn_status table_leaf_poll(void *self, tarn_output *output, tarn_poll *ret_poll,
                                   tarn_error *err) {
    table_leaf *leaf = self;
    *ret_poll = TARN_POLL_IDLE;
    // Relaxed: the version was committed through the table's own locks.
    int64_t newest = atomic_load_explicit(&leaf->object->durable_version, memory_order_relaxed);
    bool is_first = !leaf->started;
    leaf->started = true;
    if (newest > leaf->consumed_id) {
        tarn_table_scan_options options = {.snapshot_id = newest,
                                           .mode = TARN_SCAN_CHANGES,
                                           .after_snapshot_id = leaf->consumed_id};
        TARN_TRY(scan_table(leaf->object->table, &options, leaf->alloc, emit_rows, output, err));
        leaf->consumed_id = newest;
        atomic_store_explicit(&leaf->seen_id, newest, memory_order_relaxed);
    }
    // A table has no event time: it never holds back a watermark. Sent behind the first rows, which
    // tells joins that their right side is loaded.
    return is_first ? tarn_output_watermark(output, INT64_MAX, err) : TARN_OK;
}

static tarn_status table_leaf_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                      tarn_error *err) {
    (void)epoch;
    table_leaf *leaf = self;
    uint8_t bytes[8];
    tarn_store_u64(bytes, (uint64_t)leaf->consumed_id);
    atomic_store_explicit(&leaf->barrier_id, leaf->consumed_id, memory_order_relaxed);
    return tarn_state_put(state, TARN_LIT("snapshot"), (tarn_slice){bytes, sizeof bytes}, err);
}

static tarn_status table_leaf_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    table_leaf *leaf = self;
    tarn_slice key;
    tarn_slice value;
    bool found;
    TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
    if (!found) return TARN_OK;
    if (value.len != 8) return tarn_fail(err, TARN_CORRUPT, "a table's position is not 8 bytes");
    leaf->consumed_id = (int64_t)tarn_load_u64(value.data);
    atomic_store_explicit(&leaf->seen_id, leaf->consumed_id, memory_order_relaxed);
    atomic_store_explicit(&leaf->barrier_id, leaf->consumed_id, memory_order_relaxed);
    return TARN_OK;
}

static void table_leaf_free(void *self) {
    table_leaf *leaf = self;
    tarn_alloc_free(leaf->alloc, leaf, 1);
}

static const tarn_source_ops table_leaf_ops = {.poll = table_leaf_poll,
                                               .barrier = table_leaf_barrier,
                                               .restore = table_leaf_restore,
                                               .free = table_leaf_free};

static tarn_status add_table_leaf(wh_graph *graph, graph_leaf *leaf, tarn_slice name,
                                  tarn_error *err) {
    table_leaf *table = tarn_alloc_new(graph->alloc, table_leaf, 1);
    if (table == NULL) return wh_no_memory(err);
    table->object = leaf->object;
    table->alloc = graph->alloc;
    leaf->table = table;
    return tarn_flow_add_source(graph->flow, name, &table_leaf_ops, table, &leaf->node, err);
}

static tarn_status keep_letter(void *context, const tarn_bad_record *record, tarn_error *err) {
    graph_leaf *leaf = context;
    return wh_dead_letters_add(&leaf->letters, record, err);
}

// The epoch takes the letters before its barrier, as it takes the rows: each exactly once.
static tarn_status prepare_letters(void *context, uint64_t epoch, tarn_error *err) {
    (void)epoch;
    graph_leaf *leaf = context;
    tarn_buffer_clear(&leaf->prepared_letters.committable);
    return wh_dead_letters_prepare(&leaf->letters, &leaf->prepared_letters.committable, err);
}

static tarn_status add_source_leaf(wh_graph *graph, graph_leaf *leaf, tarn_slice name,
                                   tarn_error *err) {
    tarn_warehouse *warehouse = graph->warehouse;
    wh_object *object = leaf->object;
    leaf->source_options = (tarn_op_source_options){
        .connector = object->connector,
        .spec = &object->spec,
        .relation = &object->relation,
        .os = warehouse->os,
        .alloc = graph->alloc,
        .eval = {.now_us = tarn_os_now_us(warehouse->os)},
    };
    if (wh_source_keeps_dead_letters(object)) {
        TARN_TRY(wh_dead_letters_open(warehouse, object->relation.name, object->relation.name,
                                      &leaf->letters, err));
        leaf->prepared_letters = (wh_prepared){.owner = object,
                                               .table = leaf->letters.object,
                                               .committable = {.alloc = graph->alloc},
                                               .watermark_us = TARN_NO_WATERMARK};
        leaf->source_options.bad = keep_letter;
        leaf->source_options.bad_barrier = prepare_letters;
        leaf->source_options.bad_context = leaf;
    }
    return tarn_op_add_source(graph->flow, name, &leaf->source_options, &leaf->source, &leaf->node,
                              err);
}

static tarn_status get_leaf(wh_graph *graph, wh_object *object, graph_leaf **ret_leaf,
                            tarn_error *err) {
    for (graph_leaf *leaf = graph->leaves; leaf != NULL; leaf = leaf->next) {
        if (leaf->object != object) continue;
        *ret_leaf = leaf;
        return TARN_OK;
    }
    graph_leaf *leaf = tarn_arena_new(&graph->arena, graph_leaf, 1);
    bool is_table = object->relation.kind == TARN_RELATION_TABLE;
    tarn_slice name;
    if (leaf == NULL ||
        !tarn_arena_printf(&graph->arena, &name, "%s/" TARN_SLICE_FMT "#" TARN_SLICE_FMT,
                           is_table ? "table" : "source", TARN_SLICE_ARG(object->relation.name),
                           TARN_SLICE_ARG(object->id))) {
        return wh_no_memory(err);
    }
    leaf->object = object;
    leaf->next = graph->leaves;
    graph->leaves = leaf;
    tarn_status status =
        is_table ? add_table_leaf(graph, leaf, name, err) : add_source_leaf(graph, leaf, name, err);
    if (status != TARN_OK) {
        // Whoever asks again (a join asks for a replay first, and goes on without) must not find
        // half a leaf.
        graph->leaves = leaf->next;
        wh_dead_letters_close(&leaf->letters);
        return status;
    }
    *ret_leaf = leaf;
    return TARN_OK;
}

// ---- backfill: an input's past, then its present ----

typedef struct backfill {
    wh_graph *graph;
    wh_object *object;
    graph_leaf *leaf; // NULL: the input is a view
    bool done;
    int64_t version;    // tables and views: the snapshot to replay; 0: nothing
    uint64_t row_limit; // sources: how many rows to replay
    struct backfill *next;
} backfill;

static tarn_status replay_past(backfill *fill, tarn_output *output, tarn_error *err) {
    if (fill->done) return TARN_OK;
    fill->done = true;
    if (fill->leaf != NULL && fill->leaf->source != NULL) {
        if (fill->row_limit == 0) return TARN_OK;
        return tarn_op_replay_source(&fill->leaf->source_options, fill->row_limit, emit_rows,
                                     output, err);
    }
    if (fill->version == 0) return TARN_OK;
    tarn_table_scan_options options = {.snapshot_id = fill->version};
    return scan_table(fill->object->table, &options, fill->graph->alloc, emit_rows, output, err);
}

static tarn_status backfill_chunk(void *self, size_t input, const tarn_chunk *chunk,
                                  tarn_output *output, tarn_error *err) {
    (void)input;
    TARN_TRY(replay_past(self, output, err));
    return tarn_output_emit(output, chunk, err);
}

static tarn_status backfill_watermark(void *self, int64_t watermark_us, tarn_output *output,
                                      tarn_error *err) {
    TARN_TRY(replay_past(self, output, err));
    return tarn_output_watermark(output, watermark_us, err);
}

static tarn_status backfill_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                    tarn_output *output, tarn_error *err) {
    (void)epoch;
    TARN_TRY(replay_past(self, output, err));
    return tarn_state_put(state, TARN_LIT("done"), TARN_LIT("1"), err);
}

static tarn_status backfill_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    backfill *fill = self;
    tarn_slice key;
    tarn_slice value;
    return tarn_state_next(state, &key, &value, &fill->done, err);
}

static const tarn_operator_ops backfill_ops = {.chunk = backfill_chunk,
                                               .watermark = backfill_watermark,
                                               .barrier = backfill_barrier,
                                               .restore = backfill_restore};

static tarn_status add_backfill(wh_graph *graph, wh_object *object, graph_leaf *leaf,
                                tarn_node input, tarn_slice name, tarn_node *ret_node,
                                tarn_error *err) {
    backfill *fill = tarn_arena_new(&graph->arena, backfill, 1);
    if (fill == NULL) return wh_no_memory(err);
    *fill = (backfill){.graph = graph, .object = object, .leaf = leaf, .next = graph->backfills};
    graph->backfills = fill;
    return tarn_flow_add_operator(graph->flow, name, &backfill_ops, fill, &input, 1, 0, ret_node,
                                  err);
}

// How far each input has come by the checkpoint that the flow starts from.
static tarn_status set_backfill(backfill *fill, tarn_error *err) {
    if (fill->leaf != NULL && fill->leaf->source != NULL) {
        fill->row_limit = tarn_op_source_barrier_rows(fill->leaf->source);
        return TARN_OK;
    }
    if (fill->leaf != NULL) {
        fill->version = fill->leaf->table->consumed_id;
        return TARN_OK;
    }
    tarn_arena arena;
    tarn_arena_init(&arena, fill->graph->alloc, SIZE_MAX);
    tarn_snapshot latest;
    bool found = false;
    tarn_status status =
        tarn_table_latest_snapshot(fill->object->table, &arena, &latest, &found, err);
    fill->version = status == TARN_OK && found ? latest.id : 0;
    tarn_arena_reset(&arena);
    return status;
}

// ---- what tarn_op_build asks ----

static tarn_status view_output(wh_graph *graph, const wh_object *object, tarn_node *ret_node,
                               tarn_error *err) {
    for (size_t i = 0; i < graph->view_count; i++) {
        if (&graph->views[i] == graph->building) break;
        if (graph->views[i].object != object) continue;
        *ret_node = graph->views[i].output;
        return TARN_OK;
    }
    return tarn_fail(err, TARN_INVALID, "the view \"" TARN_SLICE_FMT "\" is not running",
                     TARN_SLICE_ARG(object->relation.name));
}

static tarn_status refuse_input(const tarn_plan *scan, const char *why, tarn_error *err) {
    (void)tarn_fail(err, TARN_UNSUPPORTED,
                    "a materialized view cannot read \"" TARN_SLICE_FMT "\"%s",
                    TARN_SLICE_ARG(scan->scan.relation->name), why);
    tarn_error_locate(err, "0A000", 0);
    return TARN_UNSUPPORTED;
}

static tarn_status add_leaf(void *context, const tarn_plan *scan, tarn_flow *flow,
                            size_t part_limit, tarn_node *ret_nodes, size_t *ret_count,
                            tarn_error *err) {
    (void)part_limit;
    wh_graph *graph = context;
    graph_view *view = graph->building;
    const tarn_relation *relation = scan->scan.relation;
    if (relation->kind == TARN_RELATION_SYSTEM) return refuse_input(scan, "", err);
    if (scan->scan.as_of != TARN_AS_OF_NOW) return refuse_input(scan, " as of a version", err);
    wh_object *object = wh_object_of(relation);
    graph_leaf *leaf = NULL;
    tarn_node input;
    if (relation->kind == TARN_RELATION_VIEW) {
        TARN_TRY(view_output(graph, object, &input, err));
    } else {
        TARN_TRY(get_leaf(graph, object, &leaf, err));
        input = leaf->node;
    }
    tarn_slice backfill_name;
    tarn_slice columns_name;
    size_t index = view->leaf_count++;
    if (!tarn_arena_printf(&graph->arena, &backfill_name, TARN_SLICE_FMT "in%zu",
                           TARN_SLICE_ARG(view->prefix), index) ||
        !tarn_arena_printf(&graph->arena, &columns_name, TARN_SLICE_FMT "columns%zu",
                           TARN_SLICE_ARG(view->prefix), index)) {
        return wh_no_memory(err);
    }
    tarn_node filled;
    TARN_TRY(add_backfill(graph, object, leaf, input, backfill_name, &filled, err));
    *ret_count = 1;
    return tarn_op_add_columns(flow, columns_name, filled, scan->scan.columns,
                               scan->schema.field_count, ret_nodes, err);
}

typedef struct replay_scan {
    wh_graph *graph;
    graph_leaf *leaf;
    const tarn_plan *scan;
} replay_scan;

typedef struct replay_columns {
    const tarn_plan *scan;
    tarn_vector *columns;
    tarn_status (*row)(void *context, const tarn_chunk *chunk, tarn_error *err);
    void *context;
} replay_columns;

static tarn_status pass_columns(void *context, const tarn_chunk *chunk, tarn_error *err) {
    replay_columns *replay = context;
    tarn_chunk cut = *chunk;
    for (size_t i = 0; i < replay->scan->schema.field_count; i++) {
        replay->columns[i] = chunk->columns[replay->scan->scan.columns[i]];
    }
    cut.columns = replay->columns;
    cut.column_count = replay->scan->schema.field_count;
    return replay->row(replay->context, &cut, err);
}

// Up to the barrier under way: every leaf has passed it before its consumers do.
static tarn_status replay(void *context,
                          tarn_status (*row)(void *row_context, const tarn_chunk *chunk,
                                             tarn_error *err),
                          void *row_context, tarn_error *err) {
    replay_scan *scan = context;
    graph_leaf *leaf = scan->leaf;
    if (leaf->source != NULL) {
        replay_columns columns = {.scan = scan->scan, .row = row, .context = row_context};
        size_t count = scan->scan->schema.field_count;
        columns.columns = tarn_alloc_new(scan->graph->alloc, tarn_vector, count);
        if (columns.columns == NULL) return wh_no_memory(err);
        tarn_status status =
            tarn_op_replay_source(&leaf->source_options, tarn_op_source_barrier_rows(leaf->source),
                                  pass_columns, &columns, err);
        tarn_alloc_free(scan->graph->alloc, columns.columns, count);
        return status;
    }
    int64_t version = atomic_load_explicit(&leaf->table->barrier_id, memory_order_relaxed);
    if (version == 0) return TARN_OK;
    tarn_table_scan_options options = {.snapshot_id = version,
                                       .columns = scan->scan->scan.columns,
                                       .column_count = scan->scan->schema.field_count,
                                       .no_columns = scan->scan->schema.field_count == 0};
    return scan_table(leaf->object->table, &options, scan->graph->alloc, row, row_context, err);
}

static bool get_replay(void *context, const tarn_plan *scan, tarn_op_replay *ret_replay) {
    wh_graph *graph = context;
    if (scan->scan.relation->kind == TARN_RELATION_VIEW) return false;
    replay_scan *part = tarn_arena_new(&graph->arena, replay_scan, 1);
    if (part == NULL) return false; // the join then keeps its rows in memory
    *part = (replay_scan){.graph = graph, .scan = scan};
    for (graph_leaf *leaf = graph->leaves; leaf != NULL; leaf = leaf->next) {
        if (leaf->object == wh_object_of(scan->scan.relation)) part->leaf = leaf;
    }
    if (part->leaf == NULL &&
        get_leaf(graph, wh_object_of(scan->scan.relation), &part->leaf, NULL) != TARN_OK) {
        return false;
    }
    *ret_replay = (tarn_op_replay){.context = part, .replay = replay};
    return true;
}

// ---- views ----

static tarn_status take_prepared(void *context, uint64_t epoch, tarn_slice committable,
                                 int64_t watermark_us, tarn_error *err) {
    (void)epoch;
    graph_view *view = context;
    tarn_mutex *lock = view->graph->warehouse->engine.lock;
    tarn_mutex_lock(lock);
    tarn_buffer_clear(&view->prepared.committable);
    bool fits = tarn_buffer_append(&view->prepared.committable, committable);
    view->prepared.watermark_us = watermark_us;
    tarn_mutex_unlock(lock);
    return fits ? TARN_OK : wh_no_memory(err);
}

static tarn_status add_view(wh_graph *graph, graph_view *view, tarn_error *err) {
    tarn_warehouse *warehouse = graph->warehouse;
    wh_object *object = view->object;
    tarn_slice sink_name;
    tarn_slice key_name;
    if (!tarn_arena_printf(&graph->arena, &view->prefix,
                           "view/" TARN_SLICE_FMT "#" TARN_SLICE_FMT "/",
                           TARN_SLICE_ARG(object->relation.name), TARN_SLICE_ARG(object->id)) ||
        !tarn_arena_printf(&graph->arena, &sink_name, TARN_SLICE_FMT "sink",
                           TARN_SLICE_ARG(view->prefix)) ||
        !tarn_arena_printf(&graph->arena, &key_name, TARN_SLICE_FMT "key",
                           TARN_SLICE_ARG(view->prefix))) {
        return wh_no_memory(err);
    }
    graph->building = view;
    tarn_op_context context = {
        .mode = TARN_OP_STREAM,
        .alloc = graph->alloc,
        .eval = {.now_us = tarn_os_now_us(warehouse->os)},
        .name_prefix = view->prefix,
        .leaf_context = graph,
        .add_leaf = add_leaf,
        .get_replay = get_replay,
    };
    TARN_TRY(tarn_op_build(object->plan, &context, graph->flow, &view->output, err));
    tarn_op_sink_options sink = {
        .table = object->table, .alloc = graph->alloc, .context = view, .prepared = take_prepared};
    tarn_node sink_node;
    tarn_node keyed = view->output;
    if (object->has_hidden_key) {
        TARN_TRY(wh_add_hidden_key(graph->flow, key_name, view->output, object->plan, graph->alloc,
                                   &keyed, err));
    }
    return tarn_op_add_table_sink(graph->flow, sink_name, keyed, &sink, &sink_node, err);
}

// Where the view stood when the warehouse was opened.
static tarn_status find_version(graph_view *view, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, view->graph->alloc, SIZE_MAX);
    tarn_snapshot latest;
    bool found = false;
    tarn_status status =
        tarn_table_latest_snapshot(view->object->table, &arena, &latest, &found, err);
    if (status == TARN_OK && found) {
        atomic_store_explicit(&view->version, latest.id, memory_order_relaxed);
    }
    tarn_arena_reset(&arena);
    return status;
}

static tarn_status add_views(wh_graph *graph, tarn_error *err) {
    wh_object_list list;
    TARN_TRY(wh_catalog_list(graph->warehouse, &list, err));
    graph->views = tarn_arena_new(&graph->arena, graph_view, list.count);
    tarn_status status = graph->views == NULL ? wh_no_memory(err) : TARN_OK;
    for (size_t i = 0; i < list.count && status == TARN_OK; i++) {
        wh_object *object = list.items[i];
        if (object->relation.kind != TARN_RELATION_VIEW) continue;
        graph_view *view = &graph->views[graph->view_count++];
        wh_object_ref(object);
        view->object = object;
        view->graph = graph;
        view->prepared =
            (wh_prepared){.owner = object, .table = object, .committable = {.alloc = graph->alloc}};
        status = find_version(view, err);
        if (status == TARN_OK) status = add_view(graph, view, err);
        if (status != TARN_OK) {
            tarn_error_prefix(
                err, "view \"" TARN_SLICE_FMT "\": ", TARN_SLICE_ARG(object->relation.name));
        }
    }
    wh_list_release(graph->warehouse->alloc, &list);
    return status;
}

// ---- the graph ----

static graph_leaf *leaf_of(const wh_graph *graph, const wh_object *object) {
    for (graph_leaf *leaf = graph->leaves; leaf != NULL; leaf = leaf->next) {
        if (leaf->object == object) return leaf;
    }
    return NULL;
}

static tarn_status build(wh_graph *graph, const tarn_slice *states, size_t state_count,
                         tarn_error *err) {
    tarn_warehouse *warehouse = graph->warehouse;
    tarn_flow_options options = {
        .alloc = graph->alloc,
        .os = warehouse->os,
        .thread_count = warehouse->options.thread_count,
        .is_stream = true,
        .context = warehouse,
        .epoch_complete = wh_engine_epoch_complete,
    };
    TARN_TRY(tarn_flow_new(&options, &graph->flow, err));
    TARN_TRY(add_views(graph, err));
    TARN_TRY(tarn_flow_restore(graph->flow, states, state_count, err));
    for (backfill *fill = graph->backfills; fill != NULL; fill = fill->next) {
        TARN_TRY(set_backfill(fill, err));
    }
    return TARN_OK;
}

tarn_status wh_graph_new(tarn_warehouse *warehouse, const tarn_slice *states, size_t state_count,
                         wh_graph **ret_graph, tarn_error *err) {
    wh_graph *graph = tarn_alloc_new(warehouse->alloc, wh_graph, 1);
    if (graph == NULL) return wh_no_memory(err);
    graph->warehouse = warehouse;
    graph->alloc = warehouse->alloc;
    tarn_arena_init(&graph->arena, warehouse->alloc, SIZE_MAX);
    tarn_status status = build(graph, states, state_count, err);
    if (status != TARN_OK) {
        wh_graph_free(graph);
        return status;
    }
    *ret_graph = graph;
    return TARN_OK;
}

void wh_graph_free(wh_graph *graph) {
    if (graph == NULL) return;
    tarn_flow_free(graph->flow);
    for (graph_leaf *leaf = graph->leaves; leaf != NULL; leaf = leaf->next) {
        wh_dead_letters_close(&leaf->letters);
        tarn_buffer_free(&leaf->prepared_letters.committable);
    }
    for (size_t i = 0; i < graph->view_count; i++) {
        tarn_buffer_free(&graph->views[i].prepared.committable);
        wh_object_unref(graph->views[i].object);
    }
    tarn_arena_reset(&graph->arena);
    tarn_alloc_free(graph->alloc, graph, 1);
}

tarn_flow *wh_graph_flow(wh_graph *graph) {
    return graph->flow;
}

size_t wh_graph_view_count(const wh_graph *graph) {
    return graph->view_count;
}

wh_object *wh_graph_view(const wh_graph *graph, size_t index) {
    return graph->views[index].object;
}

const wh_prepared *wh_graph_prepared(const wh_graph *graph, size_t index) {
    return &graph->views[index].prepared;
}

const wh_prepared *wh_graph_letters(const wh_graph *graph, const wh_prepared *last) {
    bool seen = last == NULL;
    for (const graph_leaf *leaf = graph->leaves; leaf != NULL; leaf = leaf->next) {
        if (seen && leaf->prepared_letters.committable.len > 0) return &leaf->prepared_letters;
        if (&leaf->prepared_letters == last) seen = true;
    }
    return NULL;
}

void wh_graph_set_version(wh_graph *graph, size_t index, int64_t version) {
    atomic_store_explicit(&graph->views[index].version, version, memory_order_relaxed);
}

// Positions are mixed with the identity of whose they are, so that one leaf that goes and another
// that moves on are not taken for no change. Fits a JSON integer.
static uint64_t mix_progress(const graph_leaf *leaf, uint64_t position) {
    uint8_t bytes[16];
    tarn_store_u64(bytes, tarn_xxh64(leaf->object->id));
    tarn_store_u64(bytes + 8, position);
    return tarn_xxh64((tarn_slice){bytes, sizeof bytes});
}

uint64_t wh_graph_progress_number(wh_graph *graph) {
    uint64_t number = 0;
    for (graph_leaf *leaf = graph->leaves; leaf != NULL; leaf = leaf->next) {
        if (leaf->source != NULL) {
            tarn_op_source_progress progress = tarn_op_source_progress_of(leaf->source);
            uint64_t ended = progress.ended ? 1 : 0; // the end closes windows: also news
            number += mix_progress(leaf, progress.rows * 2 + ended);
        } else {
            number += mix_progress(
                leaf, (uint64_t)atomic_load_explicit(&leaf->table->seen_id, memory_order_relaxed));
        }
    }
    return number >> 1;
}

bool wh_graph_has_new_view(const wh_graph *graph) {
    for (size_t i = 0; i < graph->view_count; i++) {
        if (atomic_load_explicit(&graph->views[i].version, memory_order_relaxed) == 0) return true;
    }
    return false;
}

static int64_t version_of(const wh_graph *graph, const wh_object *object) {
    for (size_t i = 0; i < graph->view_count; i++) {
        if (graph->views[i].object != object) continue;
        return atomic_load_explicit(&graph->views[i].version, memory_order_relaxed);
    }
    return 0;
}

tarn_status wh_graph_inputs_json(wh_graph *graph, size_t index, tarn_buffer *out, tarn_error *err) {
    const wh_object *view = graph->views[index].object;
    bool fits = tarn_buffer_append(out, TARN_LIT("{"));
    for (size_t i = 0; i < view->input_count && fits; i++) {
        const wh_object *input = view->inputs[i];
        const graph_leaf *leaf = leaf_of(graph, input);
        const char *kind = "version";
        int64_t number = version_of(graph, input);
        if (leaf != NULL && leaf->source != NULL) {
            kind = "rows";
            number = (int64_t)tarn_op_source_barrier_rows(leaf->source);
        } else if (leaf != NULL) {
            number = atomic_load_explicit(&leaf->table->barrier_id, memory_order_relaxed);
        }
        if (i > 0) fits = tarn_buffer_append(out, TARN_LIT(", "));
        TARN_TRY(tarn_json_quote(input->relation.name, out, err));
        fits = fits && tarn_buffer_printf(out, ": {\"%s\": %lld}", kind, (long long)number);
    }
    fits = fits && tarn_buffer_append(out, TARN_LIT("}"));
    return fits ? TARN_OK : wh_no_memory(err);
}

void wh_graph_epoch_committed(wh_graph *graph) {
    for (graph_leaf *leaf = graph->leaves; leaf != NULL; leaf = leaf->next) {
        if (leaf->table == NULL) continue;
        int64_t id = atomic_load_explicit(&leaf->table->barrier_id, memory_order_relaxed);
        atomic_store_explicit(&leaf->object->epoch_version, id, memory_order_relaxed);
    }
}

void wh_graph_epoch_restored(const wh_graph *graph, const wh_object_list *objects) {
    for (size_t i = 0; i < objects->count; i++) {
        const graph_leaf *leaf = graph == NULL ? NULL : leaf_of(graph, objects->items[i]);
        bool is_read = leaf != NULL && leaf->table != NULL;
        // The barrier before the start is the one that was restored.
        int64_t version =
            is_read ? atomic_load_explicit(&leaf->table->barrier_id, memory_order_relaxed) : 0;
        atomic_store_explicit(&objects->items[i]->epoch_version, version, memory_order_relaxed);
    }
}

// ---- progress ----

static tarn_status copy_name(tarn_arena *arena, tarn_slice name, tarn_slice *ret_name,
                             tarn_error *err) {
    return tarn_arena_copy(arena, name, ret_name) ? TARN_OK : wh_no_memory(err);
}

static tarn_status source_progress(const wh_graph *graph, tarn_arena *arena,
                                   tarn_progress *progress, tarn_error *err) {
    size_t count = 0;
    for (graph_leaf *leaf = graph->leaves; leaf != NULL; leaf = leaf->next) {
        count += leaf->source != NULL;
    }
    tarn_source_progress *sources = tarn_arena_new(arena, tarn_source_progress, count);
    if (sources == NULL) return wh_no_memory(err);
    size_t i = 0;
    for (graph_leaf *leaf = graph->leaves; leaf != NULL; leaf = leaf->next) {
        if (leaf->source == NULL) continue;
        tarn_op_source_progress seen = tarn_op_source_progress_of(leaf->source);
        TARN_TRY(copy_name(arena, leaf->object->relation.name, &sources[i].name, err));
        sources[i].rows = seen.rows;
        sources[i].done = seen.done;
        sources[i].total = seen.total;
        sources[i].watermark_us = seen.watermark_us;
        sources[i].ended = seen.ended;
        i++;
    }
    progress->sources = sources;
    progress->source_count = count;
    return TARN_OK;
}

tarn_status wh_graph_progress(wh_graph *graph, tarn_arena *arena, tarn_progress *ret_progress,
                              tarn_error *err) {
    TARN_TRY(source_progress(graph, arena, ret_progress, err));
    tarn_view_progress *views = tarn_arena_new(arena, tarn_view_progress, graph->view_count);
    if (views == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < graph->view_count; i++) {
        graph_view *view = &graph->views[i];
        TARN_TRY(copy_name(arena, view->object->relation.name, &views[i].name, err));
        views[i].rows_out = tarn_flow_node_metrics(graph->flow, view->output).rows_out;
        views[i].late_rows = tarn_op_late_rows(graph->flow, view->prefix);
        views[i].version = atomic_load_explicit(&view->version, memory_order_relaxed);
    }
    ret_progress->views = views;
    ret_progress->view_count = graph->view_count;
    return TARN_OK;
}
