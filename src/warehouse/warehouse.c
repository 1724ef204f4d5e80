#include "warehouse/warehouse.h"

#include "warehouse/internal.h"

#define DEFAULT_MEMORY_BYTES  ((size_t)4 << 30)
#define DEFAULT_CHECKPOINT_MS 1000
#define DEFAULT_PATIENCE_MS   5000

static tarn_status take_lock(tarn_warehouse *warehouse, tarn_error *err) {
    tarn_slice path;
    tarn_slice owner;
    if (!tarn_arena_printf(&warehouse->arena, &path, TARN_SLICE_FMT "/tarn/LOCK",
                           TARN_SLICE_ARG(warehouse->directory)) ||
        !tarn_arena_printf(&warehouse->arena, &owner, "process %lld",
                           (long long)tarn_os_process_id(warehouse->os))) {
        return wh_no_memory(err);
    }
    tarn_status status = tarn_os_lock(warehouse->os, path, owner, &warehouse->lock, err);
    if (status == TARN_CONFLICT) {
        tarn_error_prefix(err, "the warehouse is already open: ");
        tarn_error_hint(err,
                        "Only one process writes to a warehouse at a time. Close the other one.");
    }
    return status;
}

static tarn_status make_user(tarn_warehouse *warehouse, tarn_error *err) {
    wh_id id = wh_new_id(warehouse);
    bool fits = tarn_arena_copy(&warehouse->arena, tarn_slice_from_cstr(id.text), &warehouse->user);
    return fits ? TARN_OK : wh_no_memory(err);
}

static tarn_status make_locks(tarn_warehouse *warehouse, tarn_error *err) {
    TARN_TRY(tarn_mutex_new(TARN_LOCK_WAREHOUSE, &warehouse->ddl_lock, err));
    TARN_TRY(tarn_mutex_new(TARN_LOCK_CATALOG, &warehouse->catalog_lock, err));
    TARN_TRY(tarn_mutex_new(TARN_LOCK_WRITER, &warehouse->write_lock, err));
    TARN_TRY(tarn_mutex_new(TARN_LOCK_JOB, &warehouse->engine.lock, err));
    return tarn_cond_new(&warehouse->engine.changed, err);
}

static tarn_status open_parts(tarn_warehouse *warehouse, tarn_slice directory, tarn_error *err) {
    tarn_slice lock_directory;
    TARN_TRY(make_locks(warehouse, err));
    if (!tarn_arena_printf(&warehouse->arena, &lock_directory, TARN_SLICE_FMT "/tarn",
                           TARN_SLICE_ARG(directory))) {
        return wh_no_memory(err);
    }
    TARN_TRY(tarn_os_make_dirs(warehouse->os, lock_directory, err));
    TARN_TRY(
        tarn_os_real_path(warehouse->os, directory, &warehouse->arena, &warehouse->directory, err));
    TARN_TRY(take_lock(warehouse, err));
    TARN_TRY(make_user(warehouse, err));
    TARN_TRY(tarn_store_open_local(warehouse->os, warehouse->alloc, warehouse->directory,
                                   &warehouse->store, err));
    wh_sweep_leftovers(warehouse);
    TARN_TRY(wh_system_open(warehouse, err));
    TARN_TRY(wh_catalog_open(warehouse, err));
    return wh_engine_open(warehouse, err);
}

static void set_options(tarn_warehouse *warehouse, const tarn_warehouse_options *options) {
    if (options != NULL) warehouse->options = *options;
    tarn_warehouse_options *set = &warehouse->options;
    if (set->memory_limit_bytes == 0) set->memory_limit_bytes = DEFAULT_MEMORY_BYTES;
    if (set->thread_count == 0) set->thread_count = tarn_os_cpu_count(warehouse->os);
    if (set->checkpoint_interval_ms == 0) set->checkpoint_interval_ms = DEFAULT_CHECKPOINT_MS;
    if (set->patience_ms == 0) set->patience_ms = DEFAULT_PATIENCE_MS;
    atomic_init(&warehouse->checkpoint_interval_ms, set->checkpoint_interval_ms);
}

tarn_status tarn_warehouse_open(tarn_os *os, const tarn_alloc *alloc, tarn_slice directory,
                                const tarn_warehouse_options *options,
                                tarn_warehouse **ret_warehouse, tarn_error *err) {
    tarn_warehouse *warehouse = tarn_alloc_new(alloc, tarn_warehouse, 1);
    if (warehouse == NULL) return wh_no_memory(err);
    warehouse->os = os;
    set_options(warehouse, options);
    tarn_budget_init(&warehouse->budget, alloc, warehouse->options.memory_limit_bytes);
    warehouse->alloc = &warehouse->budget.alloc;
    tarn_arena_init(&warehouse->arena, warehouse->alloc, SIZE_MAX);
    tarn_status status = open_parts(warehouse, directory, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "warehouse '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(directory));
        tarn_warehouse_close(warehouse);
        return status;
    }
    *ret_warehouse = warehouse;
    return TARN_OK;
}

void tarn_warehouse_close(tarn_warehouse *warehouse) {
    if (warehouse == NULL) return;
    wh_engine_close(warehouse);
    wh_catalog_close(warehouse);
    tarn_store_close(warehouse->store);
    tarn_os_unlock(warehouse->lock);
    tarn_cond_free(warehouse->engine.changed);
    tarn_mutex_free(warehouse->engine.lock);
    tarn_mutex_free(warehouse->write_lock);
    tarn_mutex_free(warehouse->catalog_lock);
    tarn_mutex_free(warehouse->ddl_lock);
    tarn_arena_reset(&warehouse->arena);
    const tarn_alloc *alloc = warehouse->budget.parent;
    tarn_alloc_free(alloc, warehouse, 1);
}

tarn_slice tarn_warehouse_directory(const tarn_warehouse *warehouse) {
    return warehouse->directory;
}

// ---- sessions ----

tarn_status tarn_session_new(tarn_warehouse *warehouse, tarn_session **ret_session,
                             tarn_error *err) {
    tarn_session *session = tarn_alloc_new(warehouse->alloc, tarn_session, 1);
    if (session == NULL) return wh_no_memory(err);
    session->warehouse = warehouse;
    atomic_init(&session->cancelled, false);
    *ret_session = session;
    return TARN_OK;
}

void tarn_session_free(tarn_session *session) {
    if (session == NULL) return;
    tarn_alloc_free(session->warehouse->alloc, session, 1);
}

void tarn_session_cancel(tarn_session *session) {
    // Relaxed: the flag carries no data; whoever works looks at it again and again.
    atomic_store_explicit(&session->cancelled, true, memory_order_relaxed);
}

tarn_status tarn_script_split(tarn_slice script, tarn_arena *arena, tarn_slice **ret_statements,
                              size_t *ret_count, bool *ret_complete, tarn_error *err) {
    return tarn_sql_split(script, arena, ret_statements, ret_count, ret_complete, err);
}
