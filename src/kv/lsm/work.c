// Who does the upkeep: threads of the engine, or, where there are none, the writers; and how
// writers are slowed when it falls behind.
#include "base/alloc.h"
#include "kv/lsm/lsm.h"

enum {
    // Writers are slowed from the first number on, more with each, and stopped at the second.
    SLOW_LEVEL_0_FILES = TARN_TUNABLE(12, 6),
    STOP_LEVEL_0_FILES = TARN_TUNABLE(36, 12),
    SLOW_MEMTABLES = 2, // beside the active one
    STOP_MEMTABLES = 4,
    SLOWEST_US = 200, // per write
    WAIT_US = 1000,   // shorter delays are collected
};

// ---- pressure ----

static uint32_t pressure_of(size_t have, size_t slow, size_t stop) {
    if (have >= stop) return LSM_STOP;
    if (have <= slow) return 0;
    return (uint32_t)((have - slow) * SLOWEST_US / (stop - slow));
}

void lsm_update_pressure(lsm *engine) {
    tarn_mutex_assert_held(engine->state);
    uint32_t highest = 0;
    const char *reason = "";
    const lsm_family *family = atomic_load_explicit(&engine->families, memory_order_acquire);
    for (; family != NULL; family = family->next) {
        const lsm_view *view = atomic_load_explicit(&family->view, memory_order_relaxed);
        if (family->is_dropped || view == NULL) continue;
        uint32_t tables =
            pressure_of(view->version->levels[0].count, SLOW_LEVEL_0_FILES, STOP_LEVEL_0_FILES);
        uint32_t memtables = pressure_of(view->memtable_count - 1, SLOW_MEMTABLES, STOP_MEMTABLES);
        if (tables > highest) {
            highest = tables;
            reason = "compaction of level 0 is behind";
        }
        if (memtables > highest) {
            highest = memtables;
            reason = "flushing of memtables is behind";
        }
    }
    (void)snprintf(engine->stall_reason, sizeof engine->stall_reason, "%s", reason);
    atomic_store_explicit(&engine->pressure, highest, memory_order_relaxed);
}

// Waits for a millisecond once writers owe that much, so that each is slowed a little.
static void delay(lsm *engine, uint32_t pressure) {
    uint32_t owed =
        atomic_fetch_add_explicit(&engine->delay_us, pressure, memory_order_relaxed) + pressure;
    if (owed < WAIT_US) return;
    atomic_store_explicit(&engine->delay_us, 0, memory_order_relaxed);
    tarn_mutex_lock(engine->state);
    (void)tarn_cond_wait_ms(engine->changed, engine->state, 1);
    tarn_mutex_unlock(engine->state);
    atomic_fetch_add_explicit(&engine->stall_us, WAIT_US, memory_order_relaxed);
}

static void wait_for_room(lsm *engine) {
    int64_t begin_ns = tarn_os_monotonic_ns(engine->os);
    tarn_mutex_lock(engine->state);
    while (atomic_load_explicit(&engine->pressure, memory_order_relaxed) == LSM_STOP &&
           !atomic_load_explicit(&engine->has_failed, memory_order_relaxed) &&
           !engine->is_stopping) {
        tarn_cond_wait(engine->changed, engine->state);
    }
    tarn_mutex_unlock(engine->state);
    int64_t waited_ns = tarn_os_monotonic_ns(engine->os) - begin_ns;
    atomic_fetch_add_explicit(&engine->stall_us, (uint64_t)(waited_ns / 1000),
                              memory_order_relaxed);
}

tarn_status lsm_make_room(lsm *engine, tarn_error *err) {
    if (!engine->has_threads) return lsm_work(engine, err);
    uint32_t pressure = atomic_load_explicit(&engine->pressure, memory_order_relaxed);
    if (pressure == LSM_STOP) {
        wait_for_room(engine);
    } else if (pressure > 0) {
        delay(engine, pressure);
    }
    return TARN_OK;
}

// ---- work ----

// Does one thing that is due, flushes first.
static tarn_status work_once(lsm *engine, bool *ret_did_work, tarn_error *err) {
    lsm_family *first = atomic_load_explicit(&engine->families, memory_order_acquire);
    *ret_did_work = false;
    for (lsm_family *f = first; f != NULL && !*ret_did_work; f = f->next) {
        tarn_status status = lsm_flush_one(f, ret_did_work, err);
        if (status != TARN_OK && status != TARN_CANCELLED) return status;
    }
    for (lsm_family *f = first; f != NULL && !*ret_did_work; f = f->next) {
        tarn_status status = lsm_compact_one(f, ret_did_work, err);
        if (status != TARN_OK && status != TARN_CANCELLED) return status;
    }
    return TARN_OK;
}

tarn_status lsm_work(lsm *engine, tarn_error *err) {
    bool did_work = true;
    while (did_work) {
        TARN_TRY(lsm_check_failed(engine, err));
        tarn_status status = work_once(engine, &did_work, err);
        if (status == TARN_OK) continue;
        // Without memory the work is left for later; other failures do not go away.
        if (status != TARN_NO_MEMORY) lsm_fail(engine, status, err);
        return status;
    }
    return TARN_OK;
}

static bool is_stopping(lsm *engine) {
    tarn_mutex_lock(engine->state);
    bool stops = engine->is_stopping;
    tarn_mutex_unlock(engine->state);
    return stops;
}

static void run_thread(void *context) {
    lsm *engine = context;
    tarn_error err;
    while (!is_stopping(engine)) {
        bool did_work = false;
        tarn_status status = TARN_OK;
        if (!atomic_load_explicit(&engine->has_failed, memory_order_relaxed)) {
            status = work_once(engine, &did_work, &err);
        }
        if (status != TARN_OK && status != TARN_NO_MEMORY) lsm_fail(engine, status, &err);
        if (did_work) continue;
        // What becomes due between the look and the wait is seen a little later.
        tarn_mutex_lock(engine->state);
        if (!engine->is_stopping) (void)tarn_cond_wait_ms(engine->changed, engine->state, 100);
        tarn_mutex_unlock(engine->state);
    }
}

tarn_status lsm_start_threads(lsm *engine, tarn_error *err) {
    if (!engine->has_threads) return TARN_OK;
    size_t count = engine->options->background_threads;
    engine->threads = tarn_alloc_new(engine->alloc, tarn_thread *, count);
    if (engine->threads == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for threads");
    for (; engine->thread_count < count; engine->thread_count++) {
        TARN_TRY(
            tarn_thread_start(run_thread, engine, &engine->threads[engine->thread_count], err));
    }
    return TARN_OK;
}

void lsm_stop_threads(lsm *engine) {
    if (engine->threads == NULL) return;
    tarn_mutex_lock(engine->state);
    engine->is_stopping = true;
    tarn_cond_broadcast(engine->changed);
    tarn_mutex_unlock(engine->state);
    for (size_t i = 0; i < engine->thread_count; i++) tarn_thread_join(engine->threads[i]);
    tarn_alloc_free(engine->alloc, engine->threads, engine->options->background_threads);
    engine->threads = NULL;
}
