// Opening, closing, families, and the operations that are neither reads nor writes.
#include "kv/lsm/lsm.h"

#include <inttypes.h>

#include "base/alloc.h"

// ---- families ----

lsm_family *lsm_family_of(const lsm *engine, uint32_t id) {
    // Acquire: pairs with the release in add_family.
    lsm_family *family = atomic_load_explicit(&engine->families, memory_order_acquire);
    while (family != NULL && family->id != id) family = family->next;
    return family;
}

// What the options ask for and is not there is refused by name.
static tarn_status check_options(const tarn_kv_family *front, tarn_error *err) {
    const char *what = NULL;
    if (front->options.blob_bytes > 0) what = "blob files (blob_bytes > 0)";
    if (front->options.compaction == TARN_KV_TIERED) what = "tiered compaction";
    if (front->options.compaction == TARN_KV_FIFO) what = "FIFO compaction";
    if (what == NULL) return TARN_OK;
    return tarn_fail(err, TARN_UNSUPPORTED, "family '" TARN_SLICE_FMT "': the lsm engine has no %s",
                     TARN_SLICE_ARG(front->name), what);
}

// A family with one empty memtable and no tables.
static tarn_status add_family(lsm *engine, tarn_kv_family *front, uint64_t flushed_sequence,
                              tarn_error *err) {
    TARN_TRY(check_options(front, err));
    lsm_family *family = tarn_alloc_new(engine->alloc, lsm_family, 1);
    lsm_version *version = NULL;
    lsm_memtable *memtable = NULL;
    lsm_view *view = NULL;
    if (family == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a family");
    family->engine = engine;
    family->front = front;
    family->id = front->id;
    family->order = (lsm_order){front->options.comparator};
    family->flushed_sequence = flushed_sequence;
    for (size_t i = 0; i < LSM_LEVELS; i++) family->cursors[i].alloc = engine->alloc;
    tarn_status status = lsm_version_new(engine->alloc, &version, err);
    if (status == TARN_OK) {
        status = lsm_memtable_new(engine->alloc, family->order, NULL, &memtable, err);
    }
    if (status == TARN_OK) {
        memtable->floor_sequence = flushed_sequence;
        status = lsm_view_new(engine->alloc, version, &memtable, 1, &view, err);
    }
    lsm_version_unref(version);
    lsm_memtable_unref(memtable);
    if (status != TARN_OK) {
        tarn_alloc_free(engine->alloc, family, 1);
        return status;
    }
    atomic_init(&family->view, view);
    atomic_init(&family->active, memtable);
    front->engine_part = family;
    tarn_mutex_lock(engine->state);
    family->next = atomic_load_explicit(&engine->families, memory_order_relaxed);
    atomic_store_explicit(&engine->families, family, memory_order_release);
    tarn_mutex_unlock(engine->state);
    return TARN_OK;
}

static tarn_status family_open(kv_engine *base, tarn_kv_family *front, tarn_error *err) {
    lsm *engine = lsm_of(base);
    TARN_TRY(lsm_check_failed(engine, err));
    tarn_mutex_lock(engine->gate);
    // Numbers that were given out before cannot be the family's.
    tarn_status status = add_family(engine, front, engine->reserved_sequence, err);
    tarn_mutex_unlock(engine->gate);
    return status;
}

// An empty view takes the place of the family's: its tables go when nobody reads them any more.
static tarn_status empty_view(lsm_family *family, tarn_error *err) {
    lsm *engine = family->engine;
    lsm_version *version = NULL;
    lsm_view *view = NULL;
    TARN_TRY(lsm_version_new(engine->alloc, &version, err));
    tarn_mutex_lock(engine->state);
    while (family->is_flushing || family->is_compacting) {
        tarn_cond_wait(engine->changed, engine->state);
    }
    const lsm_view *now = atomic_load_explicit(&family->view, memory_order_relaxed);
    // Writers that have their number may still insert into the memtables.
    tarn_status status =
        lsm_view_new(engine->alloc, version, now->memtables, now->memtable_count, &view, err);
    if (status == TARN_OK) {
        for (size_t i = 0; i < LSM_LEVELS; i++) {
            const lsm_level *level = &now->version->levels[i];
            for (size_t k = 0; k < level->count; k++) {
                atomic_store_explicit(&level->files[k]->is_dropped, true, memory_order_relaxed);
            }
        }
        lsm_family_install(family, view);
    }
    lsm_update_pressure(engine);
    tarn_mutex_unlock(engine->state);
    lsm_version_unref(version);
    kv_epoch_collect(engine->epoch);
    return status;
}

static void family_drop(kv_engine *base, tarn_kv_family *front) {
    lsm *engine = lsm_of(base);
    lsm_family *family = front->engine_part;
    tarn_mutex_lock(engine->state);
    family->is_dropped = true;
    tarn_mutex_unlock(engine->state);
    lsm_edit edit = {.dropped_families = &family->id, .dropped_count = 1};
    tarn_error err;
    tarn_mutex_lock(engine->edit_lock);
    tarn_status status = lsm_check_failed(engine, &err);
    if (status == TARN_OK) {
        status = lsm_manifest_append(engine->manifest, &edit, &err);
        if (status != TARN_OK) lsm_fail(engine, status, &err);
    }
    tarn_mutex_unlock(engine->edit_lock);
    // Where this fails the tables are removed when the store is opened: the family is not there.
    if (status == TARN_OK) (void)empty_view(family, &err);
}

static void free_families(lsm *engine) {
    lsm_family *family = atomic_load_explicit(&engine->families, memory_order_acquire);
    while (family != NULL) {
        lsm_family *next = family->next;
        lsm_view_unref(atomic_load_explicit(&family->view, memory_order_relaxed));
        for (size_t i = 0; i < LSM_LEVELS; i++) tarn_buffer_free(&family->cursors[i]);
        tarn_alloc_free(engine->alloc, family, 1);
        family = next;
    }
}

// ---- opening ----

static tarn_status load_files(lsm *engine, const lsm_edit *state, tarn_error *err) {
    for (size_t i = 0; i < state->added_count; i++) {
        const lsm_edit_file *item = &state->added[i];
        lsm_family *family = lsm_family_of(engine, item->family_id);
        if (family == NULL) continue; // dropped, and the manifest does not know yet
        lsm_file *file = NULL;
        TARN_TRY(lsm_file_open(engine, family, item->id, &file, err));
        const lsm_view *now = atomic_load_explicit(&family->view, memory_order_relaxed);
        lsm_version *version = NULL;
        lsm_view *view = NULL;
        tarn_status status = TARN_OK;
        if (file->map.len != item->bytes) {
            status = tarn_fail(err, TARN_CORRUPT,
                               "%06" PRIu64 ".sst has %zu bytes, the manifest says %" PRIu64,
                               item->id, file->map.len, item->bytes);
        }
        if (status == TARN_OK) {
            const lsm_change change = {
                .family = family, .added = &file, .added_count = 1, .level = item->level};
            status = lsm_version_change(now->version, &change, &version, err);
        }
        if (status == TARN_OK) {
            status = lsm_view_new(engine->alloc, version, now->memtables, now->memtable_count,
                                  &view, err);
        }
        if (status == TARN_OK) {
            tarn_mutex_lock(engine->state);
            lsm_family_install(family, view);
            tarn_mutex_unlock(engine->state);
        }
        lsm_version_unref(version);
        lsm_file_unref(file);
        TARN_TRY(status);
    }
    kv_epoch_collect(engine->epoch);
    return TARN_OK;
}

static uint64_t flushed_of(const lsm_edit *state, uint32_t id) {
    for (size_t i = 0; i < state->family_count; i++) {
        if (state->families[i].id == id) return state->families[i].flushed_sequence;
    }
    return 0;
}

static tarn_status load(lsm *engine, const kv_environment *environment, const lsm_edit *state,
                        tarn_error *err) {
    uint64_t next_file_id = state->next_file_id > 0 ? state->next_file_id : 1;
    atomic_init(&engine->next_file_id, next_file_id);
    engine->log_sequence = state->log_sequence > 0 ? state->log_sequence : 1;
    uint64_t last = engine->log_sequence - 1;
    for (size_t i = 0; i < environment->family_count; i++) {
        uint64_t flushed = flushed_of(state, environment->families[i]->id);
        if (flushed > last) last = flushed;
        TARN_TRY(add_family(engine, environment->families[i], flushed, err));
    }
    engine->reserved_sequence = last;
    atomic_init(&engine->fixed_visible, last);
    TARN_TRY(load_files(engine, state, err));
    lsm_family *f = atomic_load_explicit(&engine->families, memory_order_relaxed);
    for (; f != NULL; f = f->next) {
        const lsm_view *view = atomic_load_explicit(&f->view, memory_order_relaxed);
        TARN_TRY(lsm_version_check(view->version, f->order, err));
    }
    return TARN_OK;
}

// Tables that no edit names: of builds that a crash cut off, or of families that were dropped.
static tarn_status remove_orphans(lsm *engine, const lsm_edit *state, tarn_arena *arena,
                                  tarn_error *err) {
    tarn_slice *names;
    size_t count;
    TARN_TRY(tarn_os_list(engine->os, engine->directory, arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        uint64_t id;
        tarn_slice path;
        if (!lsm_file_parse_name(names[i], &id)) continue;
        bool is_known = false;
        for (size_t k = 0; k < state->added_count && !is_known; k++) {
            is_known = state->added[k].id == id &&
                       lsm_family_of(engine, state->added[k].family_id) != NULL;
        }
        if (is_known) continue;
        TARN_TRY(lsm_file_path(engine, engine->directory, id, arena, &path, err));
        TARN_TRY(tarn_os_remove(engine->os, path, err));
    }
    return TARN_OK;
}

// While the log is replayed full memtables are flushed, so that memory does not follow its length.
static tarn_status replay(void *context, const kv_log_record *record, tarn_error *err) {
    lsm *engine = context;
    if (record->type != KV_LOG_BATCH) {
        return tarn_fail(err, TARN_CORRUPT, "a record of type %u is none of this engine's",
                         record->type);
    }
    TARN_TRY(lsm_insert(engine, record->body, record->sequence, true, err));
    tarn_mutex_lock(engine->gate);
    engine->reserved_sequence = record->sequence + record->count - 1;
    tarn_mutex_unlock(engine->gate);
    atomic_store_explicit(&engine->fixed_visible, record->sequence + record->count - 1,
                          memory_order_release);
    if (engine->options->read_only) return TARN_OK;
    lsm_family *family = atomic_load_explicit(&engine->families, memory_order_relaxed);
    for (; family != NULL; family = family->next) {
        const lsm_memtable *active = atomic_load_explicit(&family->active, memory_order_relaxed);
        if (lsm_memtable_bytes(active) < family->front->options.memtable_bytes) continue;
        tarn_mutex_lock(engine->gate);
        tarn_status status = lsm_switch(family, err);
        tarn_mutex_unlock(engine->gate);
        TARN_TRY(status);
        bool did_work;
        TARN_TRY(lsm_flush_one(family, &did_work, err));
    }
    return TARN_OK;
}

// A sixteenth of what the log may take, so that the limit can be kept. Simulated disks lie in
// memory, where large files that are hardly used would cost most of a test's time.
static uint64_t segment_bytes(const lsm *engine) {
    const uint64_t smallest = TARN_TUNABLE(64 << 10, 8192);
    const uint64_t largest = (uint64_t)(engine->has_threads ? 64 << 20 : 128 << 10);
    uint64_t bytes = engine->options->log_limit_bytes / 16;
    if (bytes < smallest) return smallest;
    return bytes < largest ? bytes : largest;
}

static tarn_status open_log(lsm *engine, tarn_error *err) {
    const tarn_kv_options *options = engine->options;
    kv_log_options log = {
        .os = engine->os,
        .alloc = engine->alloc,
        .directory = engine->directory,
        .segment_bytes = segment_bytes(engine),
        .has_thread = engine->has_threads && !options->read_only,
        .is_read_only = options->read_only,
        .sync_interval_ms = options->sync_interval_ms,
        .recovery = options->recovery,
        .replay = replay,
        .context = engine,
        .first_sequence = engine->log_sequence,
    };
    // The log says where it is only once it is open; replay counts for itself.
    kv_log *opened = NULL;
    TARN_TRY(kv_log_open(&log, &opened, err));
    engine->log = opened;
    return TARN_OK;
}

static tarn_status open_parts(lsm *engine, const kv_environment *environment, tarn_arena *arena,
                              tarn_error *err) {
    const tarn_kv_options *options = engine->options;
    lsm_edit state;
    TARN_TRY(kv_epoch_new(engine->alloc, &engine->epoch, err));
    TARN_TRY(tarn_mutex_new(TARN_LOCK_KV_WRITER, &engine->edit_lock, err));
    TARN_TRY(tarn_mutex_new(TARN_LOCK_KV_WRITER, &engine->gate, err));
    TARN_TRY(tarn_mutex_new(TARN_LOCK_KV_STATE, &engine->state, err));
    TARN_TRY(tarn_cond_new(&engine->changed, err));
    TARN_TRY(lsm_cache_new(engine->alloc, options->memory_limit_bytes / 4, &engine->cache, err));
    TARN_TRY(lsm_manifest_load(engine, arena, &state, err));
    TARN_TRY(load(engine, environment, &state, err));
    if (!options->read_only) {
        TARN_TRY(remove_orphans(engine, &state, arena, err));
        tarn_mutex_lock(engine->edit_lock);
        lsm_edit now;
        tarn_status status = lsm_describe(engine, arena, &now, err);
        tarn_mutex_unlock(engine->edit_lock);
        TARN_TRY(status);
        TARN_TRY(lsm_manifest_create(engine, &now, &engine->manifest, err));
    }
    TARN_TRY(open_log(engine, err));
    return options->read_only ? TARN_OK : lsm_start_threads(engine, err);
}

static tarn_status close_parts(lsm *engine, tarn_error *err) {
    lsm_stop_threads(engine);
    tarn_status status = engine->log == NULL ? TARN_OK : kv_log_close(engine->log, err);
    tarn_error other;
    tarn_status second = lsm_manifest_close(engine->manifest, &other);
    if (status == TARN_OK && second != TARN_OK) {
        status = second;
        if (err != NULL) *err = other;
    }
    free_families(engine);
    kv_epoch_free(engine->epoch);
    lsm_cache_free(engine->cache);
    tarn_cond_free(engine->changed);
    tarn_mutex_free(engine->state);
    tarn_mutex_free(engine->gate);
    tarn_mutex_free(engine->edit_lock);
    tarn_alloc_free(engine->alloc, engine, 1);
    return status;
}

static tarn_status lsm_open(const kv_environment *environment, kv_engine **ret_engine,
                            tarn_error *err) {
    lsm *engine = tarn_alloc_new(environment->alloc, lsm, 1);
    if (engine == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for an LSM-tree");
    engine->base.ops = &kv_lsm_ops;
    engine->os = environment->os;
    engine->alloc = environment->alloc;
    engine->options = environment->options;
    engine->directory = environment->directory;
    // A simulated machine has one thread, so that the same seed gives the same run.
    engine->has_threads = environment->os == tarn_os_posix();
    atomic_init(&engine->visible_limit, UINT64_MAX);
    tarn_arena arena;
    tarn_arena_init(&arena, environment->alloc, SIZE_MAX);
    tarn_status status = open_parts(engine, environment, &arena, err);
    tarn_arena_reset(&arena);
    if (status != TARN_OK) {
        (void)close_parts(engine, NULL); // the first failure is the one to tell
        return status;
    }
    *ret_engine = &engine->base;
    return TARN_OK;
}

static tarn_status lsm_close(kv_engine *base, tarn_error *err) {
    return close_parts(lsm_of(base), err);
}

// ---- snapshots ----

static tarn_status snapshot_new(kv_engine *base, tarn_kv_snapshot **ret_snapshot, tarn_error *err) {
    lsm *engine = lsm_of(base);
    lsm_snapshot *snapshot = tarn_alloc_new(engine->alloc, lsm_snapshot, 1);
    if (snapshot == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a snapshot");
    tarn_mutex_lock(engine->state);
    snapshot->sequence = lsm_visible(engine);
    snapshot->older = engine->newest_snapshot;
    if (snapshot->older != NULL) snapshot->older->newer = snapshot;
    engine->newest_snapshot = snapshot;
    tarn_mutex_unlock(engine->state);
    *ret_snapshot = &snapshot->base;
    return TARN_OK;
}

static void snapshot_free(kv_engine *base, tarn_kv_snapshot *front) {
    lsm *engine = lsm_of(base);
    lsm_snapshot *snapshot = (lsm_snapshot *)front;
    tarn_mutex_lock(engine->state);
    if (snapshot->older != NULL) snapshot->older->newer = snapshot->newer;
    if (snapshot->newer != NULL) snapshot->newer->older = snapshot->older;
    if (engine->newest_snapshot == snapshot) engine->newest_snapshot = snapshot->older;
    tarn_mutex_unlock(engine->state);
    tarn_alloc_free(engine->alloc, snapshot, 1);
}

tarn_status lsm_list_snapshots(lsm *engine, tarn_arena *arena, uint64_t **ret_sequences,
                               size_t *ret_count, tarn_error *err) {
    size_t count = 1;
    tarn_mutex_lock(engine->state);
    for (const lsm_snapshot *s = engine->newest_snapshot; s != NULL; s = s->older) count++;
    uint64_t *sequences = tarn_arena_new(arena, uint64_t, count);
    if (sequences != NULL) {
        size_t at = count;
        uint64_t last = UINT64_MAX;
        sequences[--at] = lsm_visible(engine);
        last = sequences[at];
        for (const lsm_snapshot *s = engine->newest_snapshot; s != NULL; s = s->older) {
            if (s->sequence == last) continue;
            last = s->sequence;
            sequences[--at] = last;
        }
        *ret_sequences = sequences + at;
        *ret_count = count - at;
    }
    tarn_mutex_unlock(engine->state);
    return sequences != NULL ? TARN_OK
                             : tarn_fail(err, TARN_NO_MEMORY, "no memory for a list of snapshots");
}

// ---- upkeep by request ----

// All families at one number, which is returned.
static tarn_status switch_all(lsm *engine, uint64_t *ret_sequence, tarn_error *err) {
    tarn_status status = TARN_OK;
    tarn_mutex_lock(engine->gate);
    // A writer that has its number and has not inserted yet may fill a memtable that is empty now.
    bool is_quiet = lsm_visible(engine) >= engine->reserved_sequence;
    lsm_family *family = atomic_load_explicit(&engine->families, memory_order_acquire);
    for (; family != NULL && status == TARN_OK; family = family->next) {
        const lsm_memtable *active = atomic_load_explicit(&family->active, memory_order_relaxed);
        if (family->is_dropped || (is_quiet && lsm_memtable_is_empty(active))) continue;
        status = lsm_switch(family, err);
    }
    *ret_sequence = engine->reserved_sequence;
    tarn_mutex_unlock(engine->gate);
    return status;
}

// Flushes what is immutable, or waits while a thread does.
static tarn_status flush_family(lsm_family *family, tarn_error *err) {
    lsm *engine = family->engine;
    for (;;) {
        TARN_TRY(lsm_check_failed(engine, err));
        tarn_mutex_lock(engine->state);
        const lsm_view *view = atomic_load_explicit(&family->view, memory_order_relaxed);
        bool is_done = view->memtable_count == 1 || family->is_dropped;
        if (!is_done && family->is_flushing) tarn_cond_wait(engine->changed, engine->state);
        tarn_mutex_unlock(engine->state);
        if (is_done) return TARN_OK;
        bool did_work;
        tarn_status status = lsm_flush_one(family, &did_work, err);
        if (status != TARN_OK && status != TARN_CANCELLED) return status;
    }
}

static tarn_status flush_all(lsm *engine, uint64_t *ret_sequence, tarn_error *err) {
    TARN_TRY(switch_all(engine, ret_sequence, err));
    lsm_family *family = atomic_load_explicit(&engine->families, memory_order_acquire);
    for (; family != NULL; family = family->next) TARN_TRY(flush_family(family, err));
    return TARN_OK;
}

static tarn_status flush(kv_engine *base, tarn_error *err) {
    uint64_t sequence;
    return flush_all(lsm_of(base), &sequence, err);
}

static tarn_status compact(kv_engine *base, tarn_kv_family *front, tarn_slice begin, tarn_slice end,
                           tarn_error *err) {
    lsm_family *family = front->engine_part;
    TARN_TRY(flush(base, err));
    tarn_status status = lsm_compact_range(family, begin, end, err);
    return status == TARN_CANCELLED ? TARN_OK : status; // dropped meanwhile
}

static tarn_status sync_log(kv_engine *base, tarn_error *err) {
    return kv_log_sync(lsm_of(base)->log, err);
}

static tarn_status link_files(lsm *engine, tarn_slice directory, const lsm_edit *state,
                              tarn_arena *arena, tarn_error *err) {
    for (size_t i = 0; i < state->added_count; i++) {
        tarn_slice from;
        tarn_slice to;
        uint64_t id = state->added[i].id;
        TARN_TRY(lsm_file_path(engine, engine->directory, id, arena, &from, err));
        TARN_TRY(lsm_file_path(engine, directory, id, arena, &to, err));
        TARN_TRY(tarn_os_link(engine->os, from, to, err));
    }
    return TARN_OK;
}

static uint64_t last_flushed(const lsm_edit *state) {
    uint64_t last = 0;
    for (size_t i = 0; i < state->family_count; i++) {
        if (state->families[i].flushed_sequence > last) last = state->families[i].flushed_sequence;
    }
    return last;
}

// Links the tables of one moment. *ret_is_whole is false when a family was flushed again before
// all others were: then the copy would hold parts of batches.
static tarn_status link_moment(lsm *engine, tarn_slice directory, tarn_arena *arena,
                               lsm_edit *ret_state, bool *ret_is_whole, tarn_error *err) {
    uint64_t sequence;
    TARN_TRY(flush_all(engine, &sequence, err));
    // No edit, so no table goes, while the names are made.
    tarn_mutex_lock(engine->edit_lock);
    tarn_status status = lsm_describe(engine, arena, ret_state, err);
    *ret_is_whole = status == TARN_OK && last_flushed(ret_state) <= sequence;
    if (*ret_is_whole) status = link_files(engine, directory, ret_state, arena, err);
    tarn_mutex_unlock(engine->edit_lock);
    return status;
}

// Everything is flushed first, so that the copy is tables and a manifest, and needs no log.
static tarn_status checkpoint(kv_engine *base, tarn_slice directory, tarn_error *err) {
    enum { TRIES = 100 };
    lsm *engine = lsm_of(base);
    tarn_arena arena;
    lsm_edit state = {0};
    bool is_whole = false;
    tarn_status status = TARN_OK;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    for (int i = 0; status == TARN_OK && !is_whole && i < TRIES; i++) {
        status = link_moment(engine, directory, &arena, &state, &is_whole, err);
    }
    if (status == TARN_OK && !is_whole) {
        status = tarn_fail(err, TARN_CONFLICT,
                           "writers fill memtables faster than a checkpoint can flush them");
    }
    if (status == TARN_OK) {
        // The copy begins with an empty log, behind every number that its tables have.
        state.log_sequence = last_flushed(&state) + 1;
        status = lsm_manifest_write(engine, directory, &state, err);
    }
    if (status == TARN_OK) status = tarn_os_sync_dir(engine->os, directory, err);
    tarn_arena_reset(&arena);
    return status;
}

// ---- questions ----

static lsm_view *ref_view(const lsm_family *family) {
    kv_guard guard = kv_epoch_enter(family->engine->epoch);
    lsm_view *view = atomic_load_explicit(&family->view, memory_order_acquire);
    lsm_view_ref(view);
    kv_epoch_leave(guard);
    return view;
}

static tarn_status verify(kv_engine *base, tarn_error *err) {
    lsm *engine = lsm_of(base);
    lsm_family *family = atomic_load_explicit(&engine->families, memory_order_acquire);
    tarn_status status = TARN_OK;
    for (; family != NULL && status == TARN_OK; family = family->next) {
        lsm_view *view = ref_view(family);
        status = lsm_version_check(view->version, family->order, err);
        for (size_t i = 0; i < LSM_LEVELS; i++) {
            const lsm_level *level = &view->version->levels[i];
            for (size_t k = 0; k < level->count && status == TARN_OK; k++) {
                status = lsm_table_verify(level->files[k]->table, err);
            }
        }
        lsm_view_unref(view);
    }
    if (status != TARN_OK || engine->options->read_only) return status;
    return kv_log_verify(engine->log, err);
}

static tarn_status bytes_in_file(const lsm_file *file, tarn_slice begin, tarn_slice end,
                                 uint64_t *ret_bytes, tarn_error *err) {
    uint64_t from = 0;
    uint64_t to = file->map.len;
    if (begin.len > 0) TARN_TRY(lsm_table_offset_of(file->table, begin, &from, err));
    if (end.len > 0) TARN_TRY(lsm_table_offset_of(file->table, end, &to, err));
    *ret_bytes = to > from ? to - from : 0;
    return TARN_OK;
}

static tarn_status approximate_bytes(kv_engine *base, const tarn_kv_family *front, tarn_slice begin,
                                     tarn_slice end, uint64_t *ret_bytes, tarn_error *err) {
    (void)base;
    const lsm_family *family = front->engine_part;
    lsm_view *view = ref_view(family);
    tarn_status status = TARN_OK;
    uint64_t total = 0;
    for (size_t i = 0; i < LSM_LEVELS; i++) {
        const lsm_level *level = &view->version->levels[i];
        for (size_t k = 0; k < level->count && status == TARN_OK; k++) {
            uint64_t bytes = 0;
            if (!lsm_file_overlaps(level->files[k], family->order, begin, end)) continue;
            status = bytes_in_file(level->files[k], begin, end, &bytes, err);
            total += bytes;
        }
    }
    lsm_view_unref(view);
    if (status == TARN_OK) *ret_bytes = total;
    return status;
}

static void count_family(const lsm_family *family, tarn_kv_statistics *stats) {
    const lsm_view *view = atomic_load_explicit(&family->view, memory_order_relaxed);
    for (size_t i = 0; i < view->memtable_count; i++) {
        stats->memtable_bytes += lsm_memtable_bytes(view->memtables[i]);
        stats->key_count +=
            atomic_load_explicit(&view->memtables[i]->entry_count, memory_order_relaxed);
    }
    for (size_t i = 0; i < LSM_LEVELS; i++) {
        const lsm_level *level = &view->version->levels[i];
        tarn_kv_level *shown = &stats->levels[i];
        shown->file_count += level->count;
        shown->bytes += lsm_level_bytes(level);
        shown->read_bytes += family->read_bytes[i];
        shown->written_bytes += family->written_bytes[i];
        double score = lsm_level_score(family, view->version, i);
        if (score > shown->score) shown->score = score;
        if (score >= 1) stats->compactions_pending++;
        for (size_t k = 0; k < level->count; k++) {
            const lsm_table_summary *s = level->files[k]->summary;
            stats->index_bytes += lsm_table_memory(level->files[k]->table);
            uint64_t gone = s->delete_count * 2 + s->merge_count;
            stats->key_count += s->entry_count > gone ? s->entry_count - gone : 0;
        }
        // What is in upper levels hides about as much in the last.
        if (i + 1 < LSM_LEVELS) stats->dead_bytes += lsm_level_bytes(level);
    }
}

static void stats(kv_engine *base, tarn_kv_statistics *stats) {
    lsm *engine = lsm_of(base);
    kv_log_statistics log = {0};
    if (!engine->options->read_only) kv_log_stats(engine->log, &log);
    lsm_cache_stats cache = lsm_cache_get_stats(engine->cache);
    tarn_mutex_lock(engine->state);
    const lsm_family *family = atomic_load_explicit(&engine->families, memory_order_acquire);
    for (; family != NULL; family = family->next) {
        if (!family->is_dropped) count_family(family, stats);
    }
    stats->compactions = engine->compactions;
    stats->device_bytes = engine->device_bytes + log.written_bytes;
    (void)snprintf(stats->stall_reason, sizeof stats->stall_reason, "%s", engine->stall_reason);
    tarn_mutex_unlock(engine->state);
    stats->level_count = LSM_LEVELS;
    stats->log_bytes = log.live_bytes;
    stats->log_syncs = log.syncs;
    stats->skipped_records = log.skipped_records;
    stats->file_bytes = log.live_bytes;
    for (size_t i = 0; i < LSM_LEVELS; i++) stats->file_bytes += stats->levels[i].bytes;
    stats->cache_bytes = cache.used_bytes;
    stats->cache_hits = cache.hits;
    stats->cache_misses = cache.misses;
    stats->memory_bytes = stats->memtable_bytes + stats->cache_bytes + stats->index_bytes;
    stats->filter_checks = atomic_load_explicit(&engine->filter_checks, memory_order_relaxed);
    stats->filter_rejects = atomic_load_explicit(&engine->filter_rejects, memory_order_relaxed);
    stats->filter_false = atomic_load_explicit(&engine->filter_false, memory_order_relaxed);
    stats->stall_us = atomic_load_explicit(&engine->stall_us, memory_order_relaxed);
}

const kv_engine_ops kv_lsm_ops = {
    .name = "lsm",
    .open = lsm_open,
    .close = lsm_close,
    .family_open = family_open,
    .family_drop = family_drop,
    .write = lsm_write,
    .sync_log = sync_log,
    .get = lsm_get,
    .snapshot_new = snapshot_new,
    .snapshot_free = snapshot_free,
    .iterator_new = lsm_iterator_new,
    .flush = flush,
    .compact = compact,
    .checkpoint = checkpoint,
    .verify = verify,
    .approximate_bytes = approximate_bytes,
    .stats = stats,
};
