// The thread that runs the views: it builds the flow, cuts epochs, makes them durable and commits
// them.
//
//   IDLE ──views──▶ RUNNING ──a job fails──▶ FAILED ──FLUSH, views change, time──▶ IDLE
//
// What failed for a reason that may pass (a full disk) is tried again by itself, later and later.
//
// An epoch: barrier through the flow → state and prepared commits in hand → checkpoint file and
// CURRENT durable → snapshots committed → the epoch is visible to aligned reads.
#include "warehouse/internal.h"

#define NS_PER_MS 1000000
// Several CREATE MATERIALIZED VIEWs in a row are taken up by one rebuild.
#define SETTLE_MS 100
// After an open the views wait a little longer: a process that asks one question is gone by then.
#define OPEN_SETTLE_MS 1000
// How often a wait looks around.
#define WAIT_MS 20
// How long a flow may have failed before somebody looks, when epochs are rare.
#define LOOK_NS (500 * (int64_t)NS_PER_MS)
// When a failed start is tried again: after the first delay, then after twice as long each time.
#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS   60000
// A chain is folded into a full checkpoint when it has grown to twice the last full one, or is
// long.
#define CHAIN_SLACK_BYTES TARN_TUNABLE((uint64_t)64 << 20, (uint64_t)4 << 10)
#define CHAIN_LENGTH      TARN_TUNABLE((size_t)48, (size_t)4)
static_assert(CHAIN_LENGTH < WH_CHAIN_MAX, "a full checkpoint comes before the chain is full");

// ---- the flow's side ----

tarn_status wh_engine_epoch_complete(void *context, uint64_t epoch, bool is_full, tarn_slice state,
                                     tarn_error *err) {
    tarn_warehouse *warehouse = context;
    wh_engine *engine = &warehouse->engine;
    tarn_mutex_lock(engine->lock);
    tarn_buffer_clear(&engine->state_bytes);
    bool fits = tarn_buffer_append(&engine->state_bytes, state);
    engine->completed_epoch = epoch;
    engine->completed_full = is_full;
    tarn_cond_broadcast(engine->changed);
    tarn_mutex_unlock(engine->lock);
    return fits ? TARN_OK : wh_no_memory(err);
}

// ---- epochs, on the engine's thread ----

static bool wants_full(const wh_chain *chain) {
    if (chain->count == 0 || chain->count >= CHAIN_LENGTH) return true;
    uint64_t delta_bytes = 0;
    for (size_t i = 1; i < chain->count; i++) delta_bytes += chain->bytes[i];
    return delta_bytes > 2 * chain->bytes[0] + CHAIN_SLACK_BYTES;
}

static int64_t now_ns(const tarn_warehouse *warehouse) {
    return tarn_os_monotonic_ns(warehouse->os);
}

// What stopped the flow, if it has stopped by itself.
static tarn_status flow_failure(tarn_warehouse *warehouse, tarn_error *err) {
    tarn_flow *flow = wh_graph_flow(warehouse->engine.graph);
    if (!tarn_flow_has_stopped(flow)) return TARN_OK;
    tarn_status status = tarn_flow_wait(flow, err);
    return status == TARN_OK ? tarn_fail(err, TARN_CANCELLED, "the flow has ended") : status;
}

static tarn_status request(tarn_warehouse *warehouse, uint64_t epoch, bool is_full,
                           tarn_error *err) {
    tarn_flow *flow = wh_graph_flow(warehouse->engine.graph);
    bool accepted = false;
    while (!accepted) {
        TARN_TRY(tarn_flow_request_barrier(flow, epoch, is_full, &accepted, err));
        if (accepted) break;
        TARN_TRY(flow_failure(warehouse, err));
        // The last barrier's callback is still returning: a matter of microseconds.
        tarn_mutex_lock(warehouse->engine.lock);
        (void)tarn_cond_wait_ms(warehouse->engine.changed, warehouse->engine.lock, 1);
        tarn_mutex_unlock(warehouse->engine.lock);
    }
    return TARN_OK;
}

// When a close or DROP waits, an operator that is deep in its work has only `patience_ms` left to
// let the barrier pass: what is given up then is done again from the last epoch.
static tarn_status await_epoch(tarn_warehouse *warehouse, uint64_t epoch, tarn_error *err) {
    wh_engine *engine = &warehouse->engine;
    int64_t wait_ms = WAIT_MS;
    if (wait_ms > warehouse->options.patience_ms) wait_ms = warehouse->options.patience_ms;
    for (int64_t hurried_ms = 0; hurried_ms < warehouse->options.patience_ms;) {
        tarn_mutex_lock(engine->lock);
        bool timed_out = engine->completed_epoch != epoch &&
                         !tarn_cond_wait_ms(engine->changed, engine->lock, wait_ms);
        bool complete = engine->completed_epoch == epoch;
        if (timed_out && (engine->stopping || engine->quiesce)) hurried_ms += wait_ms;
        tarn_mutex_unlock(engine->lock);
        if (complete) return TARN_OK;
        TARN_TRY(flow_failure(warehouse, err));
    }
    engine->given_up = true;
    return tarn_fail(err, TARN_CANCELLED, "the views are too busy for a last checkpoint");
}

static tarn_status commit_epoch(tarn_warehouse *warehouse, uint64_t epoch, bool is_full,
                                tarn_error *err) {
    wh_engine *engine = &warehouse->engine;
    TARN_TRY(wh_checkpoint_write(warehouse, engine->graph, epoch, is_full,
                                 tarn_buffer_slice(&engine->state_bytes), err));
    TARN_TRY(wh_checkpoint_commit(warehouse, engine->graph, epoch, err));
    tarn_mutex_lock(engine->lock);
    engine->retry_ms = 0;
    engine->committed_epoch = epoch;
    wh_graph_epoch_committed(engine->graph);
    tarn_cond_broadcast(engine->changed);
    tarn_mutex_unlock(engine->lock);
    return TARN_OK;
}

// Cuts, makes durable and commits one epoch.
static tarn_status run_epoch(tarn_warehouse *warehouse, tarn_error *err) {
    wh_engine *engine = &warehouse->engine;
    uint64_t epoch = engine->committed_epoch + 1;
    bool is_full = wants_full(&engine->chain);
    engine->progress_at_barrier = wh_graph_progress_number(engine->graph);
    TARN_TRY(request(warehouse, epoch, is_full, err));
    TARN_TRY(await_epoch(warehouse, epoch, err));
    return commit_epoch(warehouse, epoch, is_full, err);
}

// ---- building and stopping ----

// What the machine refused may go another time; what is wrong stays wrong until somebody mends it.
static bool may_pass(tarn_status status) {
    return status == TARN_IO || status == TARN_NO_MEMORY || status == TARN_CONFLICT;
}

static void set_failed_locked(wh_engine *engine, int64_t at_ns, const tarn_error *error)
    TARN_REQUIRES(engine->lock);
static void set_failed_locked(wh_engine *engine, int64_t at_ns, const tarn_error *error) {
    engine->state = WH_ENGINE_FAILED;
    engine->error = *error;
    engine->retry_at_ns = INT64_MAX;
    if (!may_pass(error->status)) return;
    engine->retry_ms = engine->retry_ms == 0 ? RETRY_FIRST_MS : engine->retry_ms * 2;
    if (engine->retry_ms > RETRY_MAX_MS) engine->retry_ms = RETRY_MAX_MS;
    engine->retry_at_ns = at_ns + engine->retry_ms * NS_PER_MS;
}

static void fail_jobs(tarn_warehouse *warehouse, const tarn_error *error) {
    wh_engine *engine = &warehouse->engine;
    tarn_mutex_lock(engine->lock);
    wh_graph *graph = engine->graph;
    engine->graph = NULL;
    tarn_mutex_unlock(engine->lock);
    // Before the failure is told: who hears of it may use the memory that the jobs had.
    wh_graph_free(graph);
    tarn_mutex_lock(engine->lock);
    set_failed_locked(engine, now_ns(warehouse), error);
    tarn_cond_broadcast(engine->changed);
    tarn_mutex_unlock(engine->lock);
}

static bool has_views(tarn_warehouse *warehouse) {
    bool found = false;
    tarn_mutex_lock(warehouse->catalog_lock);
    for (size_t i = 0; i < warehouse->objects.count && !found; i++) {
        found = warehouse->objects.items[i]->relation.kind == TARN_RELATION_VIEW;
    }
    tarn_mutex_unlock(warehouse->catalog_lock);
    return found;
}

static tarn_status hint_at_damage(tarn_error *err) {
    tarn_error_hint(err, "Drop all views and create them again: they start anew from tables and "
                         "sources.");
    return TARN_CORRUPT;
}

// State that is damaged is kept, and the reason told, for as long as a view needs it.
static tarn_status recover(tarn_warehouse *warehouse, uint64_t *ret_epoch, tarn_error *err) {
    bool needed = has_views(warehouse);
    tarn_status status = wh_checkpoint_recover(warehouse, ret_epoch, err);
    if (status != TARN_CORRUPT) return status;
    return needed ? hint_at_damage(err) : wh_checkpoint_forget(warehouse, ret_epoch, err);
}

static tarn_status read_states(tarn_warehouse *warehouse, tarn_arena *arena,
                               tarn_slice **ret_states, size_t *ret_count, tarn_error *err) {
    tarn_status status = wh_checkpoint_states(warehouse, arena, ret_states, ret_count, err);
    return status == TARN_CORRUPT ? hint_at_damage(err) : status;
}

// After the last view was dropped: what stopped it must not stop the next one.
static tarn_status forget_damage(tarn_warehouse *warehouse, tarn_arena *arena, uint64_t *epoch,
                                 tarn_error *err) {
    tarn_slice *states;
    size_t state_count;
    if (warehouse->engine.error.status != TARN_CORRUPT) return TARN_OK;
    tarn_status status = wh_checkpoint_states(warehouse, arena, &states, &state_count, err);
    return status == TARN_CORRUPT ? wh_checkpoint_forget(warehouse, epoch, err) : status;
}

// `*epoch`: the last one, when its commits are known to be done (at the first start, after the
// open); else 0, and it is found out.
static tarn_status start_graph(tarn_warehouse *warehouse, uint64_t *epoch, tarn_arena *arena,
                               wh_graph **ret_graph, tarn_error *err) {
    tarn_slice *states;
    size_t state_count;
    wh_graph *graph = NULL;
    if (*epoch == 0) TARN_TRY(recover(warehouse, epoch, err));
    if (!has_views(warehouse)) return forget_damage(warehouse, arena, epoch, err);
    TARN_TRY(read_states(warehouse, arena, &states, &state_count, err));
    TARN_TRY(wh_graph_new(warehouse, states, state_count, &graph, err));
    tarn_status status = tarn_flow_start(wh_graph_flow(graph), err);
    if (status != TARN_OK) {
        wh_graph_free(graph);
        return status;
    }
    *ret_graph = graph;
    return TARN_OK;
}

// The graph runs from `epoch` on. Only now may aligned reads see that epoch: which versions of
// tables belong to it was not known before.
static void set_running_locked(wh_engine *engine, wh_graph *graph, uint64_t epoch,
                               const wh_object_list *objects) TARN_REQUIRES(engine->lock);
static void set_running_locked(wh_engine *engine, wh_graph *graph, uint64_t epoch,
                               const wh_object_list *objects) {
    engine->graph = graph;
    engine->committed_epoch = epoch;
    engine->completed_epoch = epoch;
    engine->epoch_known = true;
    engine->versions_known = true;
    wh_graph_epoch_restored(graph, objects);
    // A view without a version gets one even if its inputs are empty.
    bool has_new = graph != NULL && wh_graph_has_new_view(graph);
    engine->progress_at_barrier = has_new ? UINT64_MAX : engine->chain.progress;
    engine->state = graph == NULL ? WH_ENGINE_IDLE : WH_ENGINE_RUNNING;
}

static void build(tarn_warehouse *warehouse, uint64_t known_epoch) {
    wh_engine *engine = &warehouse->engine;
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    tarn_error error = {0};
    wh_graph *graph = NULL;
    wh_object_list objects = {0};
    uint64_t epoch = known_epoch;
    tarn_status status = start_graph(warehouse, &epoch, &arena, &graph, &error);
    if (status == TARN_OK) status = wh_catalog_list(warehouse, &objects, &error);
    if (status != TARN_OK) wh_graph_free(graph);
    tarn_arena_reset(&arena);
    tarn_mutex_lock(engine->lock);
    if (status == TARN_OK) {
        set_running_locked(engine, graph, epoch, &objects);
    } else {
        set_failed_locked(engine, now_ns(warehouse), &error);
    }
    tarn_cond_broadcast(engine->changed);
    tarn_mutex_unlock(engine->lock);
    wh_list_release(warehouse->alloc, &objects);
}

static bool has_news(tarn_warehouse *warehouse) {
    wh_engine *engine = &warehouse->engine;
    return wh_graph_progress_number(engine->graph) != engine->progress_at_barrier;
}

// Takes a last checkpoint, so that the next graph starts where this one was, and frees the flow.
static void stop_graph(tarn_warehouse *warehouse) {
    wh_engine *engine = &warehouse->engine;
    tarn_error error = {0};
    if (engine->graph == NULL) return;
    if (!engine->given_up && has_news(warehouse) && run_epoch(warehouse, &error) != TARN_OK &&
        !engine->given_up) {
        fail_jobs(warehouse, &error);
        return;
    }
    engine->given_up = false;
    tarn_mutex_lock(engine->lock);
    wh_graph *graph = engine->graph;
    engine->graph = NULL;
    engine->state = WH_ENGINE_IDLE;
    tarn_mutex_unlock(engine->lock);
    wh_graph_free(graph);
}

// ---- the loop ----

typedef struct engine_work {
    bool stop;
    bool rebuild;
    bool quiesce;
    bool broken;    // the flow has stopped by itself
    uint64_t flush; // the newest ticket to serve; 0: none
} engine_work;

// What there is to do now. All of it is false when there is nothing.
static engine_work look_for_work(const tarn_warehouse *warehouse, int64_t now) {
    const wh_engine *engine = &warehouse->engine;
    uint64_t flush = engine->flush_wanted > engine->flush_done ? engine->flush_wanted : 0;
    bool rebuild_due = engine->rebuild && (flush > 0 || now >= engine->rebuild_after_ns);
    bool retry_due = engine->state == WH_ENGINE_FAILED && now >= engine->retry_at_ns;
    return (engine_work){
        .stop = engine->stopping,
        .quiesce = engine->quiesce,
        .flush = flush,
        .rebuild = rebuild_due || retry_due,
        .broken = engine->state == WH_ENGINE_RUNNING &&
                  tarn_flow_has_stopped(wh_graph_flow(engine->graph)),
    };
}

static int64_t earlier(int64_t a_ns, int64_t b_ns) {
    return a_ns < b_ns ? a_ns : b_ns;
}

// When to look again though nobody has asked; INT64_MAX: no need to.
static int64_t next_look_ns(const wh_engine *engine, int64_t now, int64_t due_ns) {
    int64_t until_ns = INT64_MAX;
    if (engine->state == WH_ENGINE_RUNNING) until_ns = earlier(due_ns, now + LOOK_NS);
    if (engine->state == WH_ENGINE_FAILED) until_ns = engine->retry_at_ns;
    return engine->rebuild ? earlier(until_ns, engine->rebuild_after_ns) : until_ns;
}

// Waits for something to do, at most until the next epoch is due.
static engine_work wait_for_work(tarn_warehouse *warehouse, int64_t due_ns) {
    wh_engine *engine = &warehouse->engine;
    engine_work work;
    tarn_mutex_lock(engine->lock);
    for (;;) {
        int64_t now = now_ns(warehouse);
        work = look_for_work(warehouse, now);
        if (work.stop || work.quiesce || work.rebuild || work.broken || work.flush > 0) break;
        if (engine->state == WH_ENGINE_RUNNING && now >= due_ns) break;
        int64_t until_ns = next_look_ns(engine, now, due_ns);
        if (until_ns == INT64_MAX) {
            tarn_cond_wait(engine->changed, engine->lock);
        } else {
            (void)tarn_cond_wait_ms(engine->changed, engine->lock,
                                    (until_ns - now) / NS_PER_MS + 1);
        }
    }
    if (work.rebuild) {
        engine->rebuild = false;
        // Whoever waits for the new start does not take the old failure for its own.
        if (engine->state == WH_ENGINE_FAILED) engine->state = WH_ENGINE_IDLE;
    }
    tarn_mutex_unlock(engine->lock);
    return work;
}

// One epoch more if there is anything new; a failure ends the jobs.
static void advance(tarn_warehouse *warehouse) {
    tarn_error error = {0};
    wh_engine *engine = &warehouse->engine;
    if (engine->graph == NULL) return;
    tarn_status status = flow_failure(warehouse, &error);
    if (status == TARN_OK && has_news(warehouse)) status = run_epoch(warehouse, &error);
    // What was given up is not broken: who asked for it stops the flow next.
    if (status != TARN_OK && !engine->given_up) fail_jobs(warehouse, &error);
}

// Sources that never end are flushed once they have nothing to deliver; meanwhile epochs go on.
static bool is_flushed(tarn_warehouse *warehouse) {
    wh_engine *engine = &warehouse->engine;
    if (engine->graph == NULL) return true;
    return tarn_flow_is_drained(wh_graph_flow(engine->graph)) && !has_news(warehouse);
}

static void serve_flush(tarn_warehouse *warehouse, uint64_t ticket) {
    wh_engine *engine = &warehouse->engine;
    tarn_flow *flow = engine->graph == NULL ? NULL : wh_graph_flow(engine->graph);
    if (flow != NULL && (tarn_flow_is_drained(flow) || tarn_flow_has_stopped(flow))) {
        advance(warehouse);
    }
    bool done = is_flushed(warehouse);
    tarn_mutex_lock(engine->lock);
    if (done && !engine->rebuild) {
        engine->flush_done = ticket;
        tarn_cond_broadcast(engine->changed);
    } else {
        (void)tarn_cond_wait_ms(engine->changed, engine->lock, 2);
    }
    tarn_mutex_unlock(engine->lock);
}

static void serve_quiesce(tarn_warehouse *warehouse) {
    wh_engine *engine = &warehouse->engine;
    stop_graph(warehouse);
    tarn_mutex_lock(engine->lock);
    engine->quiet = true;
    tarn_cond_broadcast(engine->changed);
    while (engine->quiesce && !engine->stopping) tarn_cond_wait(engine->changed, engine->lock);
    engine->quiet = false;
    tarn_mutex_unlock(engine->lock);
}

static void run(void *context) {
    tarn_warehouse *warehouse = context;
    wh_engine *engine = &warehouse->engine;
    int64_t due_ns = now_ns(warehouse);
    for (;;) {
        engine_work work = wait_for_work(warehouse, due_ns);
        if (work.stop) break;
        if (work.quiesce) {
            serve_quiesce(warehouse);
            continue;
        }
        if (work.rebuild) {
            // At the first build the open has recovered already.
            bool recovered = engine->state == WH_ENGINE_STARTING;
            stop_graph(warehouse);
            build(warehouse, recovered ? engine->committed_epoch : 0);
        }
        // A new graph runs for an interval before it is cut: its first version shall hold
        // something.
        bool due = work.broken || (!work.rebuild && now_ns(warehouse) >= due_ns);
        if (due) advance(warehouse);
        if (due || work.rebuild) {
            int64_t interval_ms =
                atomic_load_explicit(&warehouse->checkpoint_interval_ms, memory_order_relaxed);
            due_ns = now_ns(warehouse) + interval_ms * NS_PER_MS;
        }
        if (work.flush > 0) serve_flush(warehouse, work.flush);
    }
    stop_graph(warehouse);
}

// ---- what others ask ----

// The versions of the views are settled before anyone can read; their state is read a moment later,
// so that a process which only asks a question need not wait for it.
tarn_status wh_engine_open(tarn_warehouse *warehouse, tarn_error *err) {
    wh_engine *engine = &warehouse->engine;
    engine->state_bytes.alloc = warehouse->alloc;
    tarn_error error = {0};
    if (recover(warehouse, &engine->committed_epoch, &error) != TARN_OK) {
        // The warehouse still opens: its tables can be read, the views repaired.
        engine->committed_epoch = 0;
        tarn_mutex_lock(engine->lock);
        set_failed_locked(engine, now_ns(warehouse), &error);
        tarn_mutex_unlock(engine->lock);
        return tarn_thread_start(run, warehouse, &engine->thread, err);
    }
    engine->completed_epoch = engine->committed_epoch;
    engine->epoch_known = true;
    engine->versions_known = !has_views(warehouse);
    if (!engine->versions_known) {
        engine->state = WH_ENGINE_STARTING;
        engine->rebuild = true;
        engine->rebuild_after_ns = now_ns(warehouse) + (int64_t)OPEN_SETTLE_MS * NS_PER_MS;
    }
    return tarn_thread_start(run, warehouse, &engine->thread, err);
}

void wh_engine_await_start(tarn_warehouse *warehouse) {
    wh_engine *engine = &warehouse->engine;
    tarn_mutex_lock(engine->lock);
    while (engine->state == WH_ENGINE_STARTING && !engine->stopping) {
        engine->rebuild_after_ns = 0;
        tarn_cond_broadcast(engine->changed);
        tarn_cond_wait(engine->changed, engine->lock);
    }
    tarn_mutex_unlock(engine->lock);
}

void wh_engine_close(tarn_warehouse *warehouse) {
    wh_engine *engine = &warehouse->engine;
    if (engine->thread != NULL) {
        tarn_mutex_lock(engine->lock);
        engine->stopping = true;
        tarn_cond_broadcast(engine->changed);
        tarn_mutex_unlock(engine->lock);
        tarn_thread_join(engine->thread);
    }
    wh_graph_free(engine->graph);
    tarn_buffer_free(&engine->state_bytes);
}

void wh_engine_rebuild(tarn_warehouse *warehouse) {
    wh_engine *engine = &warehouse->engine;
    tarn_mutex_lock(engine->lock);
    engine->rebuild = true;
    engine->quiesce = false;
    engine->rebuild_after_ns = now_ns(warehouse) + (int64_t)SETTLE_MS * NS_PER_MS;
    tarn_cond_broadcast(engine->changed);
    tarn_mutex_unlock(engine->lock);
}

tarn_status wh_engine_quiesce(tarn_warehouse *warehouse, tarn_error *err) {
    (void)err;
    wh_engine *engine = &warehouse->engine;
    tarn_mutex_lock(engine->lock);
    engine->quiesce = true;
    tarn_cond_broadcast(engine->changed);
    while (!engine->quiet) tarn_cond_wait(engine->changed, engine->lock);
    tarn_mutex_unlock(engine->lock);
    return TARN_OK;
}

static tarn_status job_error(const wh_engine *engine, tarn_error *err) {
    if (err != NULL) *err = engine->error;
    tarn_error_prefix(err, "the views have stopped: ");
    if (engine->error.hint[0] == '\0') {
        tarn_error_hint(err, "See tarn.jobs; FLUSH tries to start them again.");
    }
    return engine->error.status;
}

tarn_status wh_engine_flush(tarn_warehouse *warehouse, const atomic_bool *cancelled,
                            tarn_error *err) {
    wh_engine *engine = &warehouse->engine;
    tarn_status status = TARN_OK;
    tarn_mutex_lock(engine->lock);
    uint64_t ticket = ++engine->flush_wanted;
    if (engine->state == WH_ENGINE_FAILED) {
        engine->rebuild = true;
        engine->rebuild_after_ns = now_ns(warehouse);
    }
    // What was written before FLUSH is seen by it, also by sources that were just idle.
    if (engine->graph != NULL) tarn_flow_wake_sources(wh_graph_flow(engine->graph));
    tarn_cond_broadcast(engine->changed);
    while (engine->flush_done < ticket) {
        if (engine->state == WH_ENGINE_FAILED && !engine->rebuild) break;
        if (atomic_load_explicit(cancelled, memory_order_relaxed)) {
            status = tarn_fail(err, TARN_CANCELLED, "canceling statement due to user request");
            tarn_error_locate(err, "57014", 0);
            break;
        }
        (void)tarn_cond_wait_ms(engine->changed, engine->lock, 50);
    }
    if (status == TARN_OK && engine->state == WH_ENGINE_FAILED) status = job_error(engine, err);
    tarn_mutex_unlock(engine->lock);
    return status;
}

void wh_engine_wake(tarn_warehouse *warehouse) {
    wh_engine *engine = &warehouse->engine;
    tarn_mutex_lock(engine->lock);
    if (engine->graph != NULL) tarn_flow_wake_sources(wh_graph_flow(engine->graph));
    tarn_cond_broadcast(engine->changed);
    tarn_mutex_unlock(engine->lock);
}

tarn_status tarn_warehouse_progress(tarn_warehouse *warehouse, tarn_arena *arena,
                                    tarn_progress *ret_progress, tarn_error *err) {
    wh_engine *engine = &warehouse->engine;
    tarn_progress progress = {0};
    tarn_status status = TARN_OK;
    tarn_mutex_lock(engine->lock); // keeps the graph
    progress.epoch = engine->committed_epoch;
    if (engine->graph != NULL) status = wh_graph_progress(engine->graph, arena, &progress, err);
    tarn_mutex_unlock(engine->lock);
    if (status == TARN_OK) *ret_progress = progress;
    return status;
}
