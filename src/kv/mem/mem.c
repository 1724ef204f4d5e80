#include "kv/mem/mem.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "kv/front.h"
#include "kv/log.h"

// Beyond the limit, for deletes and for what frees memory.
static size_t reserve_bytes(size_t limit_bytes) {
    return limit_bytes / 8 + ((size_t)1 << 20);
}

// Segments are a small part of what the log may take, so that it can be cut where it should be.
static uint64_t segment_bytes(uint64_t log_limit_bytes) {
    uint64_t share = log_limit_bytes / 64;
    uint64_t limit = (uint64_t)64 << 20;
    return share == 0 ? 1 : share < limit ? share : limit; // the log knows the least it needs
}

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a store in memory");
}

// ---- families ----

static tarn_status add_family(mem_engine *engine, tarn_kv_family *family, tarn_error *err) {
    mem_family *part = tarn_alloc_new(engine->alloc, mem_family, 1);
    if (part == NULL) return fail_memory(err);
    part->family = family;
    tarn_status status =
        mem_tree_init(&part->tree, engine->alloc, engine->epoch, family->options.comparator, err);
    if (status != TARN_OK) {
        tarn_alloc_free(engine->alloc, part, 1);
        return status;
    }
    family->engine_part = part;
    tarn_mutex_lock(engine->writer_lock);
    part->next = engine->families;
    engine->families = part;
    tarn_mutex_unlock(engine->writer_lock);
    return TARN_OK;
}

static tarn_status family_open(kv_engine *base, tarn_kv_family *family, tarn_error *err) {
    return add_family(mem_of(base), family, err);
}

static void family_drop(kv_engine *base, tarn_kv_family *family) {
    mem_engine *engine = mem_of(base);
    mem_family *part = family->engine_part;
    tarn_mutex_lock(engine->writer_lock);
    part->dropped_at = kv_epoch_now(engine->epoch);
    engine->has_dropped = true;
    kv_epoch_advance(engine->epoch);
    mem_collect(engine);
    tarn_mutex_unlock(engine->writer_lock);
}

// ---- the log ----

static tarn_status replay_record(void *context, const kv_log_record *record, tarn_error *err) {
    mem_engine *engine = context;
    if (record->type != KV_LOG_BATCH) {
        return tarn_fail(err, TARN_CORRUPT, "a record of type %d", record->type);
    }
    uint64_t ignored;
    return mem_write_batch(engine, record->body, record->count, false, &ignored, err);
}

static tarn_status open_log(mem_engine *engine, tarn_slice directory, uint64_t next_sequence,
                            bool is_read_only, tarn_error *err) {
    kv_log_options options = {
        .os = engine->os,
        .alloc = engine->budget.parent,
        .directory = directory,
        .segment_bytes = segment_bytes(engine->options->log_limit_bytes),
        .has_thread = tarn_os_cpu_count(engine->os) > 1,
        .is_read_only = is_read_only,
        .sync_interval_ms = engine->options->sync_interval_ms,
        .recovery = engine->options->recovery,
        .replay = replay_record,
        .context = engine,
        .first_sequence = next_sequence,
    };
    return kv_log_open(&options, &engine->log, err);
}

// ---- the files ----

static tarn_status path_of(const mem_engine *engine, tarn_arena *arena, const char *name,
                           tarn_slice *ret_path, tarn_error *err) {
    bool fits = kv_path(arena, engine->directory, tarn_slice_from_cstr(name), ret_path);
    return fits ? TARN_OK : fail_memory(err);
}

// The present as a view, and the number of the first change that it does not see.
static tarn_status freeze(mem_engine *engine, mem_view **ret_view, uint64_t *ret_next_sequence,
                          uint64_t *ret_changes, tarn_error *err) {
    tarn_mutex_lock(engine->writer_lock);
    tarn_status status = mem_view_new(engine, ret_view, err);
    *ret_next_sequence =
        engine->log == NULL ? engine->next_sequence : kv_log_visible(engine->log) + 1;
    if (*ret_next_sequence < engine->next_sequence) *ret_next_sequence = engine->next_sequence;
    *ret_changes = atomic_load_explicit(&engine->changes, memory_order_relaxed);
    tarn_mutex_unlock(engine->writer_lock);
    return status;
}

static tarn_status write_snapshot(mem_engine *engine, tarn_slice path, uint64_t *ret_next_sequence,
                                  uint64_t *ret_changes, uint64_t *ret_bytes, tarn_error *err) {
    mem_view *view = NULL;
    TARN_TRY(freeze(engine, &view, ret_next_sequence, ret_changes, err));
    tarn_status status = mem_snapshot_write(engine, view, *ret_next_sequence, path, ret_bytes, err);
    mem_view_free(engine, view);
    return status;
}

static tarn_status flush_locked(mem_engine *engine, tarn_error *err)
    TARN_REQUIRES(engine->flush_lock) {
    tarn_arena arena;
    tarn_arena_init(&arena, engine->budget.parent, SIZE_MAX);
    tarn_slice path;
    uint64_t next_sequence = 0;
    uint64_t changes = 0;
    uint64_t bytes = 0;
    tarn_status status = path_of(engine, &arena, MEM_SNAPSHOT_NAME, &path, err);
    if (status == TARN_OK) {
        status = write_snapshot(engine, path, &next_sequence, &changes, &bytes, err);
    }
    if (status == TARN_OK) {
        engine->next_sequence = next_sequence;
        engine->snapshot_bytes = bytes;
        engine->device_bytes += bytes;
        engine->snapshot_count++;
        atomic_fetch_sub_explicit(&engine->changes, changes, memory_order_relaxed);
        if (engine->log != NULL) status = kv_log_roll(engine->log, err);
        if (status == TARN_OK && engine->log != NULL) {
            status = kv_log_release(engine->log, next_sequence, err);
        }
    }
    tarn_arena_reset(&arena);
    return status;
}

static tarn_status flush(kv_engine *base, tarn_error *err) {
    mem_engine *engine = mem_of(base);
    tarn_mutex_lock(engine->flush_lock);
    tarn_status status = flush_locked(engine, err);
    tarn_mutex_unlock(engine->flush_lock);
    return status;
}

// ---- writing ----

static bool is_log_long(const mem_engine *engine) {
    if (engine->log == NULL) return false;
    uint64_t log_bytes = kv_log_live_bytes(engine->log);
    uint64_t data_bytes = atomic_load_explicit(&engine->budget.used_bytes, memory_order_relaxed);
    return log_bytes > engine->options->log_limit_bytes && log_bytes / 2 > data_bytes;
}

static tarn_status write_batch(kv_engine *base, const tarn_kv_batch *batch, tarn_kv_sync sync,
                               tarn_error *err) {
    mem_engine *engine = mem_of(base);
    bool has_log = engine->log != NULL;
    uint64_t log_end = 0;
    TARN_TRY(mem_write_batch(engine, tarn_buffer_slice(&batch->bytes), batch->count, has_log,
                             &log_end, err));
    if (!has_log) return TARN_OK;
    TARN_TRY(kv_log_commit(engine->log, log_end, sync, err));
    // What was asked for is done: whether the log could be made shorter is not the writer's affair,
    // and the next one tries again.
    if (is_log_long(engine)) (void)!flush(base, NULL);
    return TARN_OK;
}

static tarn_status sync_log(kv_engine *base, tarn_error *err) {
    mem_engine *engine = mem_of(base);
    return engine->log == NULL ? flush(base, err) : kv_log_sync(engine->log, err);
}

// ---- reading ----

// NOLINTNEXTLINE(readability-function-size): the parameters are those of kv_engine_ops
static tarn_status get(kv_engine *base, const tarn_kv_family *family,
                       const tarn_kv_snapshot *snapshot, tarn_slice key, tarn_kv_visitor *visit,
                       void *context, bool *ret_found, tarn_error *err) {
    mem_engine *engine = mem_of(base);
    const mem_family *part = family->engine_part;
    kv_guard guard = kv_epoch_enter(engine->epoch);
    uint64_t moment = snapshot == NULL ? guard.moment : mem_view_of(snapshot)->moment;
    const mem_record *record = mem_value_at(mem_tree_get(&part->tree, key), moment);
    tarn_status status = TARN_OK;
    if (record != NULL) status = visit(context, mem_record_value(record), err);
    kv_epoch_leave(guard);
    if (status == TARN_OK) *ret_found = record != NULL;
    return status;
}

// NOLINTNEXTLINE(readability-function-size): the parameters are those of kv_engine_ops
static tarn_status multi_get(kv_engine *base, const tarn_kv_family *family,
                             const tarn_kv_snapshot *snapshot, const tarn_slice *keys, size_t count,
                             tarn_arena *arena, tarn_kv_answer *answers, tarn_error *err) {
    mem_engine *engine = mem_of(base);
    const mem_family *part = family->engine_part;
    kv_guard guard = kv_epoch_enter(engine->epoch);
    uint64_t moment = snapshot == NULL ? guard.moment : mem_view_of(snapshot)->moment;
    tarn_status status = TARN_OK;
    for (size_t i = 0; status == TARN_OK && i < count; i++) {
        const mem_record *record = mem_value_at(mem_tree_get(&part->tree, keys[i]), moment);
        answers[i] = (tarn_kv_answer){.found = record != NULL};
        if (record == NULL) continue;
        if (!tarn_arena_copy(arena, mem_record_value(record), &answers[i].value)) {
            status = tarn_fail(err, TARN_NO_MEMORY, "no memory for a value of %" PRIu32 " bytes",
                               record->value_len);
        }
    }
    kv_epoch_leave(guard);
    return status;
}

static tarn_status snapshot_new(kv_engine *base, tarn_kv_snapshot **ret_snapshot, tarn_error *err) {
    mem_engine *engine = mem_of(base);
    mem_snapshot *snapshot = tarn_alloc_new(engine->budget.parent, mem_snapshot, 1);
    if (snapshot == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a snapshot");
    tarn_status status = mem_view_new(engine, &snapshot->view, err);
    if (status != TARN_OK) {
        tarn_alloc_free(engine->budget.parent, snapshot, 1);
        return status;
    }
    *ret_snapshot = &snapshot->base;
    return TARN_OK;
}

static void snapshot_free(kv_engine *base, tarn_kv_snapshot *snapshot) {
    mem_engine *engine = mem_of(base);
    mem_view_free(engine, mem_view_of(snapshot));
    tarn_alloc_free(engine->budget.parent, (mem_snapshot *)(void *)snapshot, 1);
}

// ---- upkeep ----

// Replaced versions are freed behind the writer; what remains is the file, and expired values.
static tarn_status compact(kv_engine *base, tarn_kv_family *family, tarn_slice begin,
                           tarn_slice end, tarn_error *err) {
    mem_engine *engine = mem_of(base);
    TARN_TRY(mem_delete_expired(engine, family->engine_part, begin, end, err));
    return flush(base, err);
}

static tarn_status checkpoint(kv_engine *base, tarn_slice directory, tarn_error *err) {
    mem_engine *engine = mem_of(base);
    tarn_arena arena;
    tarn_arena_init(&arena, engine->budget.parent, SIZE_MAX);
    tarn_slice path;
    uint64_t next_sequence;
    uint64_t changes;
    uint64_t bytes;
    tarn_status status = TARN_OK;
    if (!kv_path(&arena, directory, TARN_LIT(MEM_SNAPSHOT_NAME), &path)) {
        status = fail_memory(err);
    } else {
        status = write_snapshot(engine, path, &next_sequence, &changes, &bytes, err);
    }
    tarn_arena_reset(&arena);
    return status;
}

static tarn_status ignore_block(void *context, tarn_slice changes, uint32_t count,
                                tarn_error *err) {
    (void)context;
    (void)changes;
    (void)count;
    (void)err;
    return TARN_OK;
}

static tarn_status check_trees(mem_engine *engine, tarn_error *err)
    TARN_REQUIRES(engine->writer_lock) {
    for (const mem_family *family = engine->families; family != NULL; family = family->next) {
        uint64_t count = 0;
        TARN_TRY(mem_tree_check(&family->tree, &count, err));
        if (family->dropped_at == 0 && count < family->key_count) {
            return tarn_fail(err, TARN_CORRUPT, "memory: %llu keys, and only %llu in the tree",
                             (unsigned long long)family->key_count, (unsigned long long)count);
        }
    }
    return TARN_OK;
}

static tarn_status verify(kv_engine *base, tarn_error *err) {
    mem_engine *engine = mem_of(base);
    tarn_arena arena;
    tarn_arena_init(&arena, engine->budget.parent, SIZE_MAX);
    tarn_slice path;
    uint64_t next_sequence;
    uint64_t bytes;
    tarn_mutex_lock(engine->flush_lock);
    tarn_status status = path_of(engine, &arena, MEM_SNAPSHOT_NAME, &path, err);
    if (status == TARN_OK) {
        status = mem_snapshot_read(engine->os, engine->budget.parent, path, ignore_block, NULL,
                                   &next_sequence, &bytes, err);
    }
    if (status == TARN_OK && engine->log != NULL) status = kv_log_verify(engine->log, err);
    tarn_mutex_unlock(engine->flush_lock);
    tarn_arena_reset(&arena);
    if (status != TARN_OK) return status;
    tarn_mutex_lock(engine->writer_lock);
    status = check_trees(engine, err);
    tarn_mutex_unlock(engine->writer_lock);
    return status;
}

static tarn_status approximate_bytes(kv_engine *base, const tarn_kv_family *family,
                                     tarn_slice begin, tarn_slice end, uint64_t *ret_bytes,
                                     tarn_error *err) {
    (void)err;
    mem_engine *engine = mem_of(base);
    const mem_family *part = family->engine_part;
    uint64_t bytes = 0;
    kv_guard guard = kv_epoch_enter(engine->epoch);
    mem_path path;
    if (begin.len == 0) {
        mem_tree_find_first(&part->tree, &path);
    } else {
        mem_tree_find(&part->tree, begin, &path);
    }
    bool is_inside = true;
    do {
        for (; is_inside && path.index < path.leaf->node.count; path.index++) {
            const mem_record *record = mem_path_record(&path);
            tarn_slice key = mem_record_key(record);
            is_inside = end.len == 0 || mem_tree_compare(&part->tree, key, end) < 0;
            if (is_inside && record->kind == KV_PUT) bytes += key.len + record->value_len;
        }
    } while (is_inside && mem_path_next_leaf(&path));
    kv_epoch_leave(guard);
    *ret_bytes = bytes;
    return TARN_OK;
}

static void stats(kv_engine *base, tarn_kv_statistics *ret_stats) {
    mem_engine *engine = mem_of(base);
    tarn_mutex_lock(engine->flush_lock);
    ret_stats->file_bytes = engine->snapshot_bytes;
    ret_stats->device_bytes = engine->device_bytes;
    ret_stats->compactions = engine->snapshot_count;
    tarn_mutex_lock(engine->writer_lock);
    for (const mem_family *family = engine->families; family != NULL; family = family->next) {
        if (family->dropped_at == 0) ret_stats->key_count += family->key_count;
    }
    tarn_mutex_unlock(engine->writer_lock);
    tarn_mutex_unlock(engine->flush_lock);
    ret_stats->memory_bytes = atomic_load(&engine->budget.used_bytes);
    if (engine->log == NULL) return;
    kv_log_statistics log = {0};
    kv_log_stats(engine->log, &log);
    ret_stats->log_bytes = log.live_bytes;
    ret_stats->log_syncs = log.syncs;
    ret_stats->file_bytes += log.live_bytes;
    ret_stats->device_bytes += log.written_bytes;
    ret_stats->skipped_records = log.skipped_records;
}

// ---- opening ----

static tarn_status load_block(void *context, tarn_slice changes, uint32_t count, tarn_error *err) {
    uint64_t ignored;
    return mem_write_batch(context, changes, count, false, &ignored, err);
}

static tarn_status recover(mem_engine *engine, tarn_arena *arena, tarn_error *err) {
    tarn_slice path;
    TARN_TRY(path_of(engine, arena, MEM_SNAPSHOT_NAME, &path, err));
    TARN_TRY(mem_snapshot_read(engine->os, engine->budget.parent, path, load_block, engine,
                               &engine->next_sequence, &engine->snapshot_bytes, err));
    atomic_store(&engine->changes, 0);
    TARN_TRY(path_of(engine, arena, MEM_LOG_NAME, &path, err));
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(engine->os, path, &info, err));
    bool is_reader = engine->options->read_only || engine->options->without_log;
    if (!info.exists && is_reader) return TARN_OK;
    if (!info.exists) TARN_TRY(tarn_os_make_dirs(engine->os, path, err));
    TARN_TRY(open_log(engine, path, engine->next_sequence, engine->options->read_only, err));
    if (!is_reader) return TARN_OK;
    // From here on there is no log. Without one, what it has goes to the file.
    if (!engine->options->read_only) TARN_TRY(flush(&engine->base, err));
    kv_log *log = engine->log;
    engine->log = NULL;
    return kv_log_close(log, err);
}

static void free_engine(mem_engine *engine) {
    if (engine == NULL) return;
    kv_epoch_free(engine->epoch); // first: what is retired belongs to the trees
    mem_versions_free(engine);
    tarn_buffer_free(&engine->scratch);
    tarn_mutex_free(engine->flush_lock);
    tarn_mutex_free(engine->writer_lock);
    tarn_mutex_free(engine->view_lock);
    tarn_assert(atomic_load(&engine->budget.used_bytes) == 0);
    tarn_alloc_free(engine->budget.parent, engine, 1);
}

static tarn_status new_engine(const kv_environment *environment, mem_engine **ret_engine,
                              tarn_error *err) {
    mem_engine *engine = tarn_alloc_new(environment->alloc, mem_engine, 1);
    if (engine == NULL) return fail_memory(err);
    size_t limit = environment->options->memory_limit_bytes;
    size_t with_reserve;
    if (__builtin_add_overflow(limit, reserve_bytes(limit), &with_reserve)) with_reserve = SIZE_MAX;
    tarn_budget_init(&engine->budget, environment->alloc, with_reserve);
    engine->base.ops = &kv_mem_ops;
    engine->os = environment->os;
    engine->alloc = &engine->budget.alloc;
    engine->limit_bytes = limit;
    engine->directory = environment->directory;
    engine->options = environment->options;
    engine->scratch.alloc = engine->alloc;
    engine->next_sequence = 1;
    tarn_status status = kv_epoch_new(engine->alloc, &engine->epoch, err);
    if (status == TARN_OK) status = tarn_mutex_new(TARN_LOCK_KV_FLUSH, &engine->flush_lock, err);
    if (status == TARN_OK) status = tarn_mutex_new(TARN_LOCK_KV_WRITER, &engine->writer_lock, err);
    if (status == TARN_OK) status = tarn_mutex_new(TARN_LOCK_KV_STATE, &engine->view_lock, err);
    if (status != TARN_OK) {
        free_engine(engine);
        return status;
    }
    *ret_engine = engine;
    return TARN_OK;
}

static tarn_status open_engine(const kv_environment *environment, kv_engine **ret_engine,
                               tarn_error *err) {
    mem_engine *engine = NULL;
    TARN_TRY(new_engine(environment, &engine, err));
    tarn_arena arena;
    tarn_arena_init(&arena, environment->alloc, SIZE_MAX);
    tarn_status status = TARN_OK;
    for (size_t i = 0; status == TARN_OK && i < environment->family_count; i++) {
        status = add_family(engine, environment->families[i], err);
    }
    if (status == TARN_OK) status = recover(engine, &arena, err);
    tarn_arena_reset(&arena);
    if (status != TARN_OK) {
        (void)kv_log_close(engine->log, NULL); // the first failure is the one to tell
        free_engine(engine);
        return status;
    }
    *ret_engine = &engine->base;
    return TARN_OK;
}

static tarn_status close_engine(kv_engine *base, tarn_error *err) {
    mem_engine *engine = mem_of(base);
    bool has_changes = atomic_load(&engine->changes) > 0 && !engine->options->read_only;
    tarn_status status = has_changes ? flush(base, err) : TARN_OK;
    tarn_status closed = kv_log_close(engine->log, status == TARN_OK ? err : NULL);
    free_engine(engine);
    return status == TARN_OK ? closed : status;
}

const kv_engine_ops kv_mem_ops = {
    .name = "mem",
    .open = open_engine,
    .close = close_engine,
    .family_open = family_open,
    .family_drop = family_drop,
    .write = write_batch,
    .sync_log = sync_log,
    .get = get,
    .multi_get = multi_get,
    .snapshot_new = snapshot_new,
    .snapshot_free = snapshot_free,
    .iterator_new = mem_iterator_new,
    .flush = flush,
    .compact = compact,
    .checkpoint = checkpoint,
    .verify = verify,
    .approximate_bytes = approximate_bytes,
    .stats = stats,
};
