// From memtables to level 0, and the edits that make it true.
#include "base/alloc.h"
#include "kv/lsm/lsm.h"

tarn_status lsm_switch(lsm_family *family, tarn_error *err) {
    lsm *engine = family->engine;
    tarn_mutex_assert_held(engine->gate);
    lsm_memtable *old = atomic_load_explicit(&family->active, memory_order_relaxed);
    if (lsm_memtable_is_empty(old) && old->floor_sequence == engine->reserved_sequence) {
        return TARN_OK;
    }
    lsm_memtable *fresh = NULL;
    lsm_view *view = NULL;
    TARN_TRY(lsm_memtable_new(engine->alloc, family->order, NULL, &fresh, err));
    tarn_mutex_lock(engine->state);
    const lsm_view *now = atomic_load_explicit(&family->view, memory_order_relaxed);
    lsm_memtable *memtables[64];
    tarn_status status = TARN_OK;
    if (now->memtable_count + 1 > sizeof memtables / sizeof *memtables) {
        status = tarn_fail(err, TARN_NO_MEMORY, "too many memtables wait for being flushed");
    } else {
        memtables[0] = fresh;
        memcpy(memtables + 1, now->memtables, now->memtable_count * sizeof *memtables);
        status = lsm_view_new(engine->alloc, now->version, memtables, now->memtable_count + 1,
                              &view, err);
    }
    if (status == TARN_OK) {
        // What is reserved from here on goes to the new one; who reserved before goes on filling
        // the old one, which is flushed once all of it is published.
        old->last_sequence = engine->reserved_sequence;
        fresh->floor_sequence = engine->reserved_sequence;
        fresh->older = old;
        atomic_store_explicit(&family->active, fresh, memory_order_release);
        lsm_family_install(family, view);
        lsm_update_pressure(engine);
        tarn_cond_broadcast(engine->changed);
    }
    tarn_mutex_unlock(engine->state);
    lsm_memtable_unref(fresh); // the view has it, or nobody
    return status;
}

// ---- edits ----

// Below which sequence number no family needs the log, when `flushed` of `flushing` is in a table.
// Under state.
static uint64_t needed_log(const lsm *engine, const lsm_family *flushing,
                           const lsm_memtable *flushed) {
    // What is numbered and not yet inserted is not yet published either.
    uint64_t needed = lsm_visible(engine) + 1;
    const lsm_family *family = atomic_load_explicit(&engine->families, memory_order_acquire);
    for (; family != NULL; family = family->next) {
        if (family->is_dropped) continue;
        const lsm_view *view = atomic_load_explicit(&family->view, memory_order_relaxed);
        for (size_t i = 0; i < view->memtable_count; i++) {
            const lsm_memtable *memtable = view->memtables[i];
            if (family == flushing && memtable == flushed) continue;
            uint64_t first = atomic_load_explicit(&memtable->first_sequence, memory_order_relaxed);
            if (first < needed) needed = first;
        }
    }
    return needed > engine->log_sequence ? needed : engine->log_sequence;
}

tarn_status lsm_describe(lsm *engine, tarn_arena *arena, lsm_edit *ret_state, tarn_error *err) {
    tarn_mutex_assert_held(engine->edit_lock);
    lsm_edit state = {
        .next_file_id = atomic_load_explicit(&engine->next_file_id, memory_order_relaxed),
        .log_sequence = engine->log_sequence,
    };
    size_t family_count = 0;
    size_t file_count = 0;
    tarn_mutex_lock(engine->state);
    const lsm_family *all = atomic_load_explicit(&engine->families, memory_order_acquire);
    for (const lsm_family *f = all; f != NULL; f = f->next) {
        const lsm_view *view = atomic_load_explicit(&f->view, memory_order_relaxed);
        family_count++;
        for (size_t i = 0; i < LSM_LEVELS; i++) file_count += view->version->levels[i].count;
    }
    state.families = tarn_arena_new(arena, lsm_edit_family, family_count);
    state.added = tarn_arena_new(arena, lsm_edit_file, file_count);
    bool has_memory = state.families != NULL && state.added != NULL;
    for (const lsm_family *f = all; has_memory && f != NULL; f = f->next) {
        if (f->is_dropped) continue;
        const lsm_view *view = atomic_load_explicit(&f->view, memory_order_relaxed);
        state.families[state.family_count++] = (lsm_edit_family){f->id, f->flushed_sequence};
        for (uint32_t i = 0; i < LSM_LEVELS; i++) {
            const lsm_level *level = &view->version->levels[i];
            for (size_t k = 0; k < level->count; k++) {
                state.added[state.added_count++] =
                    (lsm_edit_file){f->id, i, level->files[k]->id, level->files[k]->map.len};
            }
        }
    }
    tarn_mutex_unlock(engine->state);
    if (!has_memory) return tarn_fail(err, TARN_NO_MEMORY, "no memory for the manifest");
    *ret_state = state;
    return TARN_OK;
}

static tarn_status write_edit(const lsm_change *c, uint64_t needed, tarn_error *err) {
    lsm *engine = c->family->engine;
    tarn_arena arena;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    lsm_edit_family flushed = {c->family->id, 0};
    lsm_edit edit = {
        .next_file_id = atomic_load_explicit(&engine->next_file_id, memory_order_relaxed),
        .added = tarn_arena_new(&arena, lsm_edit_file, c->added_count),
        .removed = tarn_arena_new(&arena, lsm_edit_file, c->dropped_count),
    };
    tarn_status status = TARN_OK;
    if (edit.added == NULL || edit.removed == NULL) {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for an edit of the manifest");
        goto out;
    }
    for (size_t i = 0; i < c->added_count; i++) {
        edit.added[edit.added_count++] = (lsm_edit_file){c->family->id, (uint32_t)c->level,
                                                         c->added[i]->id, c->added[i]->map.len};
    }
    for (size_t i = 0; i < c->dropped_count; i++) {
        edit.removed[edit.removed_count++] =
            (lsm_edit_file){c->family->id, (uint32_t)c->dropped_levels[i], c->dropped[i]->id, 0};
    }
    if (c->flushed != NULL) {
        flushed.flushed_sequence = c->flushed->last_sequence;
        edit.families = &flushed;
        edit.family_count = 1;
        edit.log_sequence = needed;
    }
    status = lsm_manifest_append(engine->manifest, &edit, err);
    // Whether the edit is on the disk is not known: nothing may be built on either.
    if (status != TARN_OK) lsm_fail(engine, status, err);
    if (status == TARN_OK && c->flushed != NULL) engine->log_sequence = needed;
out:
    tarn_arena_reset(&arena);
    return status;
}

// Shows the change. Under state.
static void show(const lsm_change *c, lsm_view *view) {
    lsm_family *family = c->family;
    bool is_move = c->dropped_count > 0 && c->dropped == c->added;
    for (size_t i = 0; !is_move && i < c->added_count; i++) {
        family->written_bytes[c->level] += c->added[i]->map.len;
        family->engine->device_bytes += c->added[i]->map.len;
    }
    for (size_t i = 0; !is_move && i < c->dropped_count; i++) {
        atomic_store_explicit(&c->dropped[i]->is_dropped, true, memory_order_relaxed);
    }
    if (c->flushed != NULL) family->flushed_sequence = c->flushed->last_sequence;
    lsm_family_install(family, view);
    lsm_update_pressure(family->engine);
    tarn_cond_broadcast(family->engine->changed);
}

static tarn_status apply(const lsm_change *c, uint64_t *ret_needed, tarn_error *err) {
    lsm_family *family = c->family;
    lsm *engine = family->engine;
    TARN_TRY(lsm_check_failed(engine, err));
    tarn_mutex_lock(engine->state);
    if (family->is_dropped) {
        tarn_mutex_unlock(engine->state);
        return tarn_fail(err, TARN_CANCELLED, "the family was dropped");
    }
    const lsm_view *now = atomic_load_explicit(&family->view, memory_order_relaxed);
    lsm_version *version = NULL;
    tarn_status status = lsm_version_change(now->version, c, &version, err);
    // Tables of a level that overlap would show deleted entries: never let that reach the manifest.
    if (status == TARN_OK) tarn_assert(lsm_version_check(version, family->order, NULL) == TARN_OK);
    *ret_needed = needed_log(engine, family, c->flushed);
    tarn_mutex_unlock(engine->state);
    if (status == TARN_OK) status = write_edit(c, *ret_needed, err);
    if (status == TARN_OK) {
        // Only active memtables changed since: edits are made one at a time.
        lsm_view *view = NULL;
        tarn_mutex_lock(engine->state);
        now = atomic_load_explicit(&family->view, memory_order_relaxed);
        size_t count = now->memtable_count - (c->flushed != NULL);
        status = lsm_view_new(engine->alloc, version, now->memtables, count, &view, err);
        if (status == TARN_OK) show(c, view);
        tarn_mutex_unlock(engine->state);
        // The edit is made and cannot be shown: only opening the store again brings both together.
        if (status != TARN_OK) lsm_fail(engine, status, err);
    }
    lsm_version_unref(version);
    return status;
}

tarn_status lsm_apply(const lsm_change *change, tarn_error *err) {
    lsm *engine = change->family->engine;
    uint64_t needed = 0;
    tarn_mutex_lock(engine->edit_lock);
    tarn_status status = apply(change, &needed, err);
    tarn_mutex_unlock(engine->edit_lock);
    kv_epoch_collect(engine->epoch);
    // During replay there is no log to release yet.
    if (status == TARN_OK && change->flushed != NULL && engine->log != NULL) {
        status = kv_log_release(engine->log, needed, err);
    }
    return status;
}

// ---- flushing ----

static tarn_status build_level_0(lsm_family *family, lsm_view *view, lsm_build *build,
                                 tarn_error *err) {
    lsm *engine = family->engine;
    lsm_memtable *memtable = view->memtables[view->memtable_count - 1];
    const lsm_ranges *set = lsm_memtable_ranges(memtable);
    tarn_arena *arena = build->arena;
    if (set != NULL) {
        lsm_range *ranges = tarn_arena_new(arena, lsm_range, set->sequence_count);
        if (ranges == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a flush");
        for (uint32_t i = 0; i < set->fragment_count; i++) {
            const lsm_fragment *fragment = &set->fragments[i];
            for (uint32_t k = 0; k < fragment->count; k++) {
                ranges[build->range_count++] = (lsm_range){fragment->begin, fragment->end,
                                                           set->sequences[fragment->first + k]};
            }
        }
        build->ranges = ranges;
    }
    TARN_TRY(lsm_merge_init(&build->merge, engine->alloc, family->order, 1, err));
    lsm_merge_add_memtable(&build->merge, memtable);
    tarn_status status = lsm_build_run(build, err);
    lsm_merge_reset(&build->merge);
    return status;
}

// Waits until every writer that has a number for the memtable has inserted and published.
static void wait_until_published(lsm *engine, uint64_t sequence) {
    if (engine->log == NULL) return;
    tarn_mutex_lock(engine->state);
    while (kv_log_visible(engine->log) < sequence) {
        (void)tarn_cond_wait_ms(engine->changed, engine->state, 1);
    }
    tarn_mutex_unlock(engine->state);
}

static tarn_status flush_oldest(lsm_family *family, lsm_view *view, tarn_error *err) {
    lsm *engine = family->engine;
    lsm_memtable *memtable = view->memtables[view->memtable_count - 1];
    wait_until_published(engine, memtable->last_sequence);
    TARN_TRY(lsm_check_failed(engine, err));
    tarn_arena arena;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    lsm_build build = {
        .engine = engine,
        .family = family,
        .split_bytes = UINT64_MAX,
        .below = view->version,
        .is_bottom_level_0 = view->version->levels[0].count == 0,
        .arena = &arena,
    };
    tarn_status status = build_level_0(family, view, &build, err);
    // A table must not be more durable than what was written before it to other families.
    if (status == TARN_OK && engine->log != NULL) status = kv_log_sync(engine->log, err);
    if (status == TARN_OK) {
        const lsm_change change = {.family = family,
                                   .added = build.outputs,
                                   .added_count = build.output_count,
                                   .flushed = memtable};
        status = lsm_apply(&change, err);
    }
    lsm_release_outputs(&build, status);
    tarn_arena_reset(&arena);
    return status;
}

tarn_status lsm_flush_one(lsm_family *family, bool *ret_did_work, tarn_error *err) {
    lsm *engine = family->engine;
    *ret_did_work = false;
    tarn_mutex_lock(engine->state);
    lsm_view *view = atomic_load_explicit(&family->view, memory_order_relaxed);
    bool has_work = !family->is_flushing && !family->is_dropped && view->memtable_count > 1;
    if (has_work) {
        family->is_flushing = true;
        lsm_view_ref(view);
    }
    tarn_mutex_unlock(engine->state);
    if (!has_work) return TARN_OK;
    tarn_status status = flush_oldest(family, view, err);
    tarn_mutex_lock(engine->state);
    family->is_flushing = false;
    tarn_cond_broadcast(engine->changed);
    tarn_mutex_unlock(engine->state);
    lsm_view_unref(view);
    *ret_did_work = status == TARN_OK;
    return status;
}
