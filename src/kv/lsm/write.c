// The way of a write: a number and space in the log under a short lock; copying and inserting in
// parallel with other writers; publishing in the order of the numbers.
#include "kv/lsm/lsm.h"

uint64_t lsm_visible(const lsm *engine) {
    // Acquire in either: what was written before the publishing is seen.
    uint64_t visible = engine->log == NULL || engine->options->read_only
                           ? atomic_load_explicit(&engine->fixed_visible, memory_order_acquire)
                           : kv_log_visible(engine->log);
    uint64_t limit = atomic_load_explicit(&engine->visible_limit, memory_order_acquire);
    return visible < limit ? visible : limit;
}

void lsm_fail(lsm *engine, tarn_status status, const tarn_error *err) {
    if (status == TARN_CANCELLED) return;
    tarn_mutex_lock(engine->state);
    if (!atomic_load_explicit(&engine->has_failed, memory_order_relaxed)) {
        engine->failure = status;
        (void)snprintf(engine->failure_message, sizeof engine->failure_message, "%s",
                       err == NULL ? "upkeep failed" : err->message);
        atomic_store_explicit(&engine->has_failed, true, memory_order_release);
    }
    tarn_cond_broadcast(engine->changed);
    tarn_mutex_unlock(engine->state);
}

tarn_status lsm_check_failed(lsm *engine, tarn_error *err) {
    // Acquire: pairs with the release in lsm_fail; the message does not change afterwards.
    if (!atomic_load_explicit(&engine->has_failed, memory_order_acquire)) return TARN_OK;
    return tarn_fail(err, engine->failure, "%s (writes fail until the store is opened again)",
                     engine->failure_message);
}

// ---- inserting ----

// The memtable that holds the number: usually the active one, an older one when it was switched
// after the number was given. That is not flushed, and so not freed, before the number is
// published.
static lsm_memtable *memtable_for(const lsm_family *family, uint64_t sequence) {
    // Acquire: pairs with the release in lsm_switch.
    lsm_memtable *memtable = atomic_load_explicit(&family->active, memory_order_acquire);
    while (sequence <= memtable->floor_sequence) memtable = memtable->older;
    return memtable;
}

tarn_status lsm_insert(lsm *engine, tarn_slice batch, uint64_t sequence, bool is_replay,
                       tarn_error *err) {
    const lsm_family *family = NULL;
    for (; batch.len > 0; sequence++) {
        kv_change change;
        TARN_TRY(kv_change_next(&batch, &change, err));
        if (family == NULL || family->id != change.family_id) {
            family = lsm_family_of(engine, change.family_id);
        }
        if (family == NULL || family->is_dropped) continue;
        if (is_replay && sequence <= family->flushed_sequence) continue;
        TARN_TRY(lsm_memtable_add(memtable_for(family, sequence), sequence, change.kind, change.key,
                                  change.value, err));
    }
    return TARN_OK;
}

// ---- limits ----

static void switch_if_active(lsm *engine, lsm_family *family, const lsm_memtable *memtable) {
    tarn_mutex_lock(engine->gate);
    if (atomic_load_explicit(&family->active, memory_order_relaxed) == memtable) {
        lsm_ignore(lsm_switch(family, NULL)); // without memory for it the next write tries again
    }
    tarn_mutex_unlock(engine->gate);
}

static void switch_full(lsm *engine, tarn_slice batch) {
    const lsm_family *last = NULL;
    kv_change change;
    while (batch.len > 0 && kv_change_next(&batch, &change, NULL) == TARN_OK) {
        if (last != NULL && last->id == change.family_id) continue;
        lsm_family *family = lsm_family_of(engine, change.family_id);
        last = family;
        if (family == NULL) continue;
        kv_guard guard = kv_epoch_enter(engine->epoch);
        const lsm_view *view = atomic_load_explicit(&family->view, memory_order_acquire);
        const lsm_memtable *memtable = view->memtables[0];
        bool is_full = lsm_memtable_bytes(memtable) >= family->front->options.memtable_bytes;
        if (is_full) switch_if_active(engine, family, memtable);
        kv_epoch_leave(guard);
    }
}

// When the log has grown beyond its limit, or memtables beyond theirs, the family that holds most
// of it back is flushed, so that a family that is seldom written does not keep the log of all.
static void check_limits(lsm *engine) {
    uint64_t live_bytes = kv_log_live_bytes(engine->log);
    bool log_is_full = live_bytes > engine->options->log_limit_bytes;
    lsm_family *oldest = NULL;
    lsm_family *largest = NULL;
    uint64_t oldest_sequence = UINT64_MAX;
    size_t largest_bytes = 0;
    size_t all_bytes = 0;
    tarn_mutex_lock(engine->gate);
    lsm_family *family = atomic_load_explicit(&engine->families, memory_order_acquire);
    for (; family != NULL; family = family->next) {
        const lsm_memtable *memtable = atomic_load_explicit(&family->active, memory_order_relaxed);
        uint64_t first = atomic_load_explicit(&memtable->first_sequence, memory_order_relaxed);
        size_t bytes = lsm_memtable_bytes(memtable);
        all_bytes += bytes;
        if (first < oldest_sequence) {
            oldest_sequence = first;
            oldest = family;
        }
        if (bytes > largest_bytes) {
            largest_bytes = bytes;
            largest = family;
        }
    }
    // Without memory for it the next check tries again.
    if (log_is_full && oldest != NULL) lsm_ignore(lsm_switch(oldest, NULL));
    if (all_bytes > engine->options->memory_limit_bytes / 2 && largest != NULL) {
        lsm_ignore(lsm_switch(largest, NULL));
    }
    tarn_mutex_unlock(engine->gate);
}

// ---- writing ----

static tarn_status reserve(lsm *engine, const tarn_kv_batch *batch, kv_log_space *space,
                           tarn_error *err) {
    tarn_mutex_lock(engine->gate);
    tarn_status status =
        kv_log_reserve(engine->log, KV_LOG_SIZE(batch->bytes.len), batch->count, space, err);
    if (status == TARN_OK) engine->reserved_sequence = space->sequence + batch->count - 1;
    tarn_mutex_unlock(engine->gate);
    return status;
}

// Part of the batch may be in memtables, under numbers that are about to be published: nobody is to
// see them, or anything after them, and nothing more is written.
static void hold_back(lsm *engine, kv_log_space *space, tarn_status status, const tarn_error *err) {
    uint64_t limit = atomic_load_explicit(&engine->visible_limit, memory_order_relaxed);
    while (space->sequence - 1 < limit && !atomic_compare_exchange_weak_explicit(
                                              &engine->visible_limit, &limit, space->sequence - 1,
                                              memory_order_release, memory_order_relaxed)) {
    }
    kv_log_cancel(space);
    lsm_fail(engine, status, err);
}

tarn_status lsm_write(kv_engine *base, const tarn_kv_batch *batch, tarn_kv_sync sync,
                      tarn_error *err) {
    lsm *engine = lsm_of(base);
    if (batch->count == 0) return TARN_OK;
    TARN_TRY(lsm_check_failed(engine, err));
    TARN_TRY(lsm_make_room(engine, err));
    kv_log_space space;
    tarn_slice bytes = tarn_buffer_slice(&batch->bytes);
    TARN_TRY(reserve(engine, batch, &space, err));
    uint8_t *body = kv_log_begin(&space, KV_LOG_BATCH, batch->count, bytes.len);
    memcpy(body, bytes.data, bytes.len);
    (void)kv_log_end(&space);
    tarn_status status = lsm_insert(engine, bytes, space.sequence, false, err);
    if (status != TARN_OK) hold_back(engine, &space, status, err);
    kv_log_publish(engine->log, &space);
    if (status != TARN_OK) return status;
    switch_full(engine, bytes);
    uint64_t segment = atomic_load_explicit(&engine->segment_number, memory_order_relaxed);
    if (segment != space.segment_number) {
        atomic_store_explicit(&engine->segment_number, space.segment_number, memory_order_relaxed);
        check_limits(engine);
    }
    return kv_log_commit(engine->log, space.end, sync, err);
}
