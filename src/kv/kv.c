// The front of all engines: opening and closing, writes, upkeep. family.c, read.c and batch.c hold
// the rest.
#include "kv/kv.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "kv/front.h"

#define LOCK_NAME "LOCK"

// What is built in.
static const kv_engine_ops *const engines[TARN_KV_ENGINE_COUNT] = {
    [TARN_KV_ANY] = NULL,
    [TARN_KV_LSM] = &kv_lsm_ops,
    [TARN_KV_HASHLOG] = &kv_hashlog_ops,
    [TARN_KV_BTREE] = &kv_btree_ops,
    [TARN_KV_MEM] = &kv_mem_ops,
};

const char *tarn_kv_engine_name(tarn_kv_engine engine) {
    static const char *const names[TARN_KV_ENGINE_COUNT] = {
        [TARN_KV_ANY] = "any",     [TARN_KV_LSM] = "lsm", [TARN_KV_HASHLOG] = "hashlog",
        [TARN_KV_BTREE] = "btree", [TARN_KV_MEM] = "mem",
    };
    tarn_assert((unsigned)engine < TARN_KV_ENGINE_COUNT);
    return names[engine];
}

bool tarn_kv_engine_is_built(tarn_kv_engine engine) {
    return (unsigned)engine < TARN_KV_ENGINE_COUNT && engines[engine] != NULL;
}

tarn_kv_engine tarn_kv_engine_of(const tarn_kv *kv) {
    return kv->kind;
}

tarn_status kv_unsupported(const tarn_kv *kv, const char *operation, tarn_error *err) {
    return tarn_fail(err, TARN_UNSUPPORTED, "the engine '%s' cannot %s", kv->ops->name, operation);
}

tarn_status kv_refuse_read_only(const tarn_kv *kv, const char *operation, tarn_error *err) {
    return tarn_fail(err, TARN_INVALID,
                     "cannot %s: '" TARN_SLICE_FMT "' was opened for reading only", operation,
                     TARN_SLICE_ARG(kv->directory));
}

// ---- counters ----

static _Atomic uint32_t thread_count;
static _Thread_local uint32_t thread_number; // from 1

kv_counters *kv_counters_of_thread(tarn_kv *kv) {
    if (thread_number == 0) {
        thread_number = atomic_fetch_add_explicit(&thread_count, 1, memory_order_relaxed) + 1;
    }
    return &kv->counters[thread_number % KV_COUNTER_STRIPES];
}

static uint64_t relaxed(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

// ---- opening ----

static tarn_status check_options(const tarn_kv_options *options, tarn_error *err) {
    if ((unsigned)options->engine >= TARN_KV_ENGINE_COUNT ||
        (unsigned)options->sync > TARN_KV_SYNC_NEVER ||
        (unsigned)options->recovery > TARN_KV_SKIP_CORRUPT) {
        return tarn_fail(err, TARN_INVALID, "engine, sync or recovery is none of the known ones");
    }
    if (options->sync_interval_ms < 0) {
        return tarn_fail(err, TARN_INVALID, "sync_interval_ms is %" PRId64 ", below 0",
                         options->sync_interval_ms);
    }
    if (options->must_be_new && (options->must_exist || options->read_only)) {
        return tarn_fail(err, TARN_INVALID, "a new store can neither exist nor be read only");
    }
    return TARN_OK;
}

static void fill_defaults(tarn_kv_options *options) {
    if (options->alloc == NULL) options->alloc = &tarn_alloc_libc;
    if (options->sync == TARN_KV_SYNC_DEFAULT) options->sync = TARN_KV_SYNC_ALWAYS;
    if (options->sync_interval_ms == 0) options->sync_interval_ms = 100;
    if (options->memory_limit_bytes == 0) options->memory_limit_bytes = (size_t)512 << 20;
    if (options->log_limit_bytes == 0) options->log_limit_bytes = (uint64_t)1 << 30;
    if (options->background_threads == 0) options->background_threads = 2;
}

static tarn_status take_file_lock(tarn_kv *kv, tarn_arena *arena, tarn_error *err) {
    tarn_slice path;
    char owner[64];
    int len = snprintf(owner, sizeof owner, "process %" PRId64, tarn_os_process_id(kv->os));
    tarn_assert(len > 0);
    if (!kv_path(arena, kv->directory, TARN_LIT(LOCK_NAME), &path)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
    }
    return tarn_os_lock(kv->os, path, (tarn_slice){(const uint8_t *)owner, (size_t)len},
                        &kv->file_lock, err);
}

// A directory that holds other things becomes no store: it may be one that lost its identity file,
// or no place for our files. What drafts a crash left behind are removed.
static tarn_status look_around(const tarn_kv *kv, tarn_arena *arena, bool is_new, tarn_error *err) {
    tarn_slice *names;
    size_t count;
    TARN_TRY(tarn_os_list(kv->os, kv->directory, arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        tarn_slice path;
        if (tarn_slice_equal(names[i], TARN_LIT(LOCK_NAME))) continue;
        if (tarn_draft_is_name(names[i])) {
            if (!kv_path(arena, kv->directory, names[i], &path)) {
                return tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
            }
            TARN_TRY(tarn_os_remove(kv->os, path, err));
        } else if (is_new) {
            return tarn_fail(err, TARN_INVALID,
                             "'" TARN_SLICE_FMT "' is not empty and holds no key-value store: "
                             "it has '" TARN_SLICE_FMT "' and no '" KV_IDENTITY_NAME "'",
                             TARN_SLICE_ARG(kv->directory), TARN_SLICE_ARG(names[i]));
        }
    }
    return TARN_OK;
}

static tarn_status find_identity(tarn_kv *kv, tarn_arena *arena, bool *ret_exists,
                                 tarn_error *err) {
    tarn_slice path;
    tarn_file_info info;
    if (!kv_path(arena, kv->directory, TARN_LIT(KV_IDENTITY_NAME), &path)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
    }
    TARN_TRY(tarn_os_stat(kv->os, path, &info, err));
    bool must_exist = kv->options.must_exist || kv->options.read_only;
    if (!info.exists && must_exist) {
        return tarn_fail(err, TARN_INVALID, "'" TARN_SLICE_FMT "' holds no key-value store",
                         TARN_SLICE_ARG(kv->directory));
    }
    if (info.exists && kv->options.must_be_new) {
        return tarn_fail(err, TARN_CONFLICT, "'" TARN_SLICE_FMT "' holds a key-value store already",
                         TARN_SLICE_ARG(kv->directory));
    }
    *ret_exists = info.exists;
    return TARN_OK;
}

static tarn_status choose_engine(tarn_kv *kv, tarn_error *err) {
    tarn_kv_engine asked = kv->options.engine;
    if (asked != TARN_KV_ANY && asked != kv->kind) {
        return tarn_fail(err, TARN_INVALID,
                         "'" TARN_SLICE_FMT "' is a store of the engine '%s', not '%s'",
                         TARN_SLICE_ARG(kv->directory), tarn_kv_engine_name(kv->kind),
                         tarn_kv_engine_name(asked));
    }
    kv->ops = engines[kv->kind];
    if (kv->ops == NULL) {
        return tarn_fail(err, TARN_UNSUPPORTED, "the engine '%s' is not part of this build",
                         tarn_kv_engine_name(kv->kind));
    }
    kv->key_max = kv->kind == TARN_KV_BTREE ? TARN_KV_BTREE_KEY_MAX : TARN_KV_KEY_MAX;
    return TARN_OK;
}

static tarn_status prepare_directory(tarn_kv *kv, tarn_arena *arena, tarn_error *err) {
    bool exists;
    if (kv->options.read_only || kv->options.must_exist) {
        TARN_TRY(find_identity(kv, arena, &exists, err)); // before anything is created
    }
    if (!kv->options.read_only) {
        TARN_TRY(tarn_os_make_dirs(kv->os, kv->directory, err));
        TARN_TRY(take_file_lock(kv, arena, err));
    }
    TARN_TRY(find_identity(kv, arena, &exists, err));
    if (!kv->options.read_only) TARN_TRY(look_around(kv, arena, !exists, err));
    if (!exists) {
        kv->kind = kv->options.engine == TARN_KV_ANY ? TARN_KV_LSM : kv->options.engine;
        TARN_TRY(choose_engine(kv, err));
        return kv_families_create(kv, err);
    }
    tarn_slice text;
    TARN_TRY(kv_identity_read(kv->os, kv->directory, arena, &text, err));
    TARN_TRY(kv_families_load(kv, text, err));
    return choose_engine(kv, err);
}

static tarn_status open_engine(tarn_kv *kv, tarn_error *err) {
    const kv_family_table *table = atomic_load(&kv->families);
    kv_environment environment = {
        .os = kv->os,
        .alloc = kv->alloc,
        .directory = kv->directory,
        .options = &kv->options,
        .families = table->families,
        .family_count = table->count,
    };
    tarn_status status = kv->ops->open(&environment, &kv->engine, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "'" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(kv->directory));
    }
    return status;
}

static void free_front(tarn_kv *kv) {
    if (kv == NULL) return;
    tarn_os_unlock(kv->file_lock);
    tarn_mutex_free(kv->family_lock);
    tarn_arena_reset(&kv->arena);
    tarn_alloc_free(kv->alloc, kv, 1);
}

static tarn_status new_front(tarn_os *os, tarn_slice directory, const tarn_kv_options *options,
                             tarn_kv **ret_kv, tarn_error *err) {
    const tarn_alloc *alloc = options->alloc == NULL ? &tarn_alloc_libc : options->alloc;
    tarn_kv *kv = tarn_alloc_new(alloc, tarn_kv, 1);
    if (kv == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a key-value store");
    kv->os = os;
    kv->alloc = alloc;
    kv->options = *options;
    fill_defaults(&kv->options);
    tarn_arena_init(&kv->arena, alloc, SIZE_MAX);
    tarn_status status = tarn_mutex_new(TARN_LOCK_KV, &kv->family_lock, err);
    if (status == TARN_OK && !tarn_arena_copy(&kv->arena, directory, &kv->directory)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for a key-value store");
    }
    if (status != TARN_OK) {
        free_front(kv);
        return status;
    }
    *ret_kv = kv;
    return TARN_OK;
}

tarn_status tarn_kv_open(tarn_os *os, tarn_slice directory, const tarn_kv_options *options,
                         tarn_kv **ret_kv, tarn_error *err) {
    static const tarn_kv_options no_options;
    if (options == NULL) options = &no_options;
    if (directory.len == 0) return tarn_fail(err, TARN_INVALID, "the directory has no name");
    TARN_TRY(check_options(options, err));
    tarn_kv *kv = NULL;
    TARN_TRY(new_front(os, directory, options, &kv, err));
    tarn_arena open_arena;
    tarn_arena_init(&open_arena, kv->alloc, SIZE_MAX);
    tarn_status status = prepare_directory(kv, &open_arena, err);
    tarn_arena_reset(&open_arena);
    if (status == TARN_OK) status = open_engine(kv, err);
    if (status != TARN_OK) {
        free_front(kv);
        return status;
    }
    *ret_kv = kv;
    return TARN_OK;
}

tarn_status tarn_kv_close(tarn_kv *kv, tarn_error *err) {
    if (kv == NULL) return TARN_OK;
    tarn_status status = kv->ops->close(kv->engine, err);
    free_front(kv);
    return status;
}

// ---- writing ----

static tarn_status check_change(const tarn_kv *kv, const kv_change *change, tarn_error *err) {
    const tarn_kv_family *family = kv_family_by_id(kv, change->family_id);
    if (family == NULL) {
        return tarn_fail(err, TARN_INVALID,
                         "the batch changes the family with id %" PRIu32
                         ", which was dropped or is that of another store",
                         change->family_id);
    }
    if (change->kind == KV_MERGE && family->options.merge == NULL) {
        return tarn_fail(err, TARN_INVALID, "family '" TARN_SLICE_FMT "' has no merge operator",
                         TARN_SLICE_ARG(family->name));
    }
    return TARN_OK;
}

static tarn_status check_changes(const tarn_kv *kv, const tarn_kv_batch *batch, tarn_error *err) {
    tarn_slice rest = tarn_buffer_slice(&batch->bytes);
    while (rest.len > 0) {
        kv_change change;
        TARN_TRY(kv_change_next(&rest, &change, err));
        TARN_TRY(check_change(kv, &change, err));
    }
    return TARN_OK;
}

static tarn_status check_batch(const tarn_kv *kv, const tarn_kv_batch *batch, tarn_error *err) {
    if (kv->options.read_only) return kv_refuse_read_only(kv, "write", err);
    if (batch->key_bytes_max > kv->key_max) {
        return tarn_fail(err, TARN_INVALID,
                         "a key has %zu bytes, more than the %zu that the engine '%s' allows",
                         batch->key_bytes_max, kv->key_max, kv->ops->name);
    }
    // Batches for the default family alone need not be walked.
    return batch->names_families || batch->has_merges ? check_changes(kv, batch, err) : TARN_OK;
}

static tarn_status write_stamped(tarn_kv *kv, const tarn_kv_batch *batch, tarn_kv_sync sync,
                                 tarn_error *err) {
    tarn_kv_batch stamped;
    tarn_status status = kv_stamp_batch(kv, batch, &stamped, err);
    if (status == TARN_OK) status = kv->ops->write(kv->engine, &stamped, sync, err);
    tarn_buffer_free(&stamped.bytes);
    return status;
}

tarn_status tarn_kv_write(tarn_kv *kv, const tarn_kv_batch *batch, tarn_kv_sync sync,
                          tarn_error *err) {
    if ((unsigned)sync > TARN_KV_SYNC_NEVER) {
        return tarn_fail(err, TARN_INVALID, "the way to sync is none of the known ones");
    }
    TARN_TRY(check_batch(kv, batch, err));
    if (batch->count == 0) return TARN_OK;
    if (sync == TARN_KV_SYNC_DEFAULT) sync = kv->options.sync;
    bool has_ttl = atomic_load_explicit(&kv->has_ttl, memory_order_relaxed);
    TARN_TRY(has_ttl ? write_stamped(kv, batch, sync, err)
                     : kv->ops->write(kv->engine, batch, sync, err));
    kv_counters *counters = kv_counters_of_thread(kv);
    kv_count(&counters->batches, 1);
    kv_count(&counters->writes, batch->count);
    kv_count(&counters->written_bytes, batch->bytes.len);
    return TARN_OK;
}

static tarn_status write_single(tarn_kv *kv, const tarn_kv_family *family, kv_change change,
                                tarn_kv_sync sync, tarn_error *err) {
    if (family != NULL) {
        tarn_kv_family *found = NULL;
        TARN_TRY(kv_family_find(kv, family, &found, err));
        change.family_id = family->id;
    }
    kv_single single;
    TARN_TRY(kv_single_init(&single, kv->alloc, &change, err));
    tarn_status status = tarn_kv_write(kv, &single.batch, sync, err);
    kv_single_free(&single);
    return status;
}

tarn_status tarn_kv_put(tarn_kv *kv, tarn_kv_family *family, tarn_slice key, tarn_slice value,
                        tarn_kv_sync sync, tarn_error *err) {
    kv_change change = {.kind = KV_PUT, .key = key, .value = value};
    return write_single(kv, family, change, sync, err);
}

tarn_status tarn_kv_delete(tarn_kv *kv, tarn_kv_family *family, tarn_slice key, tarn_kv_sync sync,
                           tarn_error *err) {
    return write_single(kv, family, (kv_change){.kind = KV_DELETE, .key = key}, sync, err);
}

tarn_status tarn_kv_merge(tarn_kv *kv, tarn_kv_family *family, tarn_slice key, tarn_slice operand,
                          tarn_kv_sync sync, tarn_error *err) {
    kv_change change = {.kind = KV_MERGE, .key = key, .value = operand};
    return write_single(kv, family, change, sync, err);
}

tarn_status tarn_kv_sync_log(tarn_kv *kv, tarn_error *err) {
    if (kv->options.read_only) return kv_refuse_read_only(kv, "sync", err);
    if (kv->ops->sync_log == NULL) return kv_unsupported(kv, "sync its log", err);
    return kv->ops->sync_log(kv->engine, err);
}

// ---- upkeep ----

tarn_status tarn_kv_flush(tarn_kv *kv, tarn_error *err) {
    if (kv->options.read_only) return kv_refuse_read_only(kv, "flush", err);
    if (kv->ops->flush == NULL) return kv_unsupported(kv, "flush", err);
    return kv->ops->flush(kv->engine, err);
}

tarn_status tarn_kv_compact(tarn_kv *kv, tarn_kv_family *family, tarn_slice begin, tarn_slice end,
                            tarn_error *err) {
    TARN_TRY(kv_family_find(kv, family, &family, err));
    if (kv->options.read_only) return kv_refuse_read_only(kv, "compact", err);
    if (kv->ops->compact == NULL) return kv_unsupported(kv, "compact", err);
    return kv->ops->compact(kv->engine, family, begin, end, err);
}

// Families neither come nor go meanwhile, so that the identity file fits the engine's files.
static tarn_status copy_store(tarn_kv *kv, tarn_slice directory, tarn_error *err) {
    TARN_TRY(tarn_os_make_dirs(kv->os, directory, err));
    tarn_mutex_lock(kv->family_lock);
    tarn_status status = kv->ops->checkpoint(kv->engine, directory, err);
    if (status == TARN_OK) {
        status = kv_identity_write(kv, atomic_load(&kv->families), directory, err);
    }
    tarn_mutex_unlock(kv->family_lock);
    return status;
}

tarn_status tarn_kv_checkpoint(tarn_kv *kv, tarn_slice directory, tarn_error *err) {
    if (kv->ops->checkpoint == NULL) return kv_unsupported(kv, "copy the store", err);
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(kv->os, directory, &info, err));
    if (info.exists) {
        return tarn_fail(err, TARN_CONFLICT, "'" TARN_SLICE_FMT "' exists already",
                         TARN_SLICE_ARG(directory));
    }
    tarn_status status = copy_store(kv, directory, err);
    if (status != TARN_OK) {
        // Best effort: without an identity file nobody takes what is left for a store.
        tarn_error ignored;
        tarn_status removed = tarn_os_remove_tree(kv->os, directory, &ignored);
        if (removed != TARN_OK) tarn_error_hint(err, "remove what is left of it");
    }
    return status;
}

tarn_status tarn_kv_verify(tarn_kv *kv, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, kv->alloc, SIZE_MAX);
    tarn_slice text;
    kv_identity identity;
    tarn_mutex_lock(kv->family_lock);
    tarn_status status = kv_identity_read(kv->os, kv->directory, &arena, &text, err);
    if (status == TARN_OK) status = kv_identity_decode(text, &arena, &identity, err);
    tarn_mutex_unlock(kv->family_lock);
    if (status == TARN_CORRUPT) {
        tarn_error_prefix(
            err, "'" TARN_SLICE_FMT "/" KV_IDENTITY_NAME "': ", TARN_SLICE_ARG(kv->directory));
    }
    tarn_arena_reset(&arena);
    if (status != TARN_OK) return status;
    if (kv->ops->verify == NULL) return kv_unsupported(kv, "verify its files", err);
    return kv->ops->verify(kv->engine, err);
}

tarn_status tarn_kv_approximate_bytes(tarn_kv *kv, const tarn_kv_family *family, tarn_slice begin,
                                      tarn_slice end, uint64_t *ret_bytes, tarn_error *err) {
    tarn_kv_family *found = NULL;
    TARN_TRY(kv_family_find(kv, family, &found, err));
    if (kv->ops->approximate_bytes == NULL) {
        return kv_unsupported(kv, "say how many bytes a range takes", err);
    }
    return kv->ops->approximate_bytes(kv->engine, found, begin, end, ret_bytes, err);
}

tarn_status tarn_kv_stats(tarn_kv *kv, tarn_kv_statistics *ret_stats, tarn_error *err) {
    if (kv->ops->stats == NULL) return kv_unsupported(kv, "tell statistics", err);
    tarn_kv_statistics stats = {0};
    kv->ops->stats(kv->engine, &stats);
    for (size_t i = 0; i < KV_COUNTER_STRIPES; i++) {
        const kv_counters *counters = &kv->counters[i];
        stats.gets += relaxed(&counters->gets);
        stats.hits += relaxed(&counters->hits);
        stats.writes += relaxed(&counters->writes);
        stats.batches += relaxed(&counters->batches);
        stats.written_bytes += relaxed(&counters->written_bytes);
    }
    *ret_stats = stats;
    return TARN_OK;
}
