// Applying batches: while nobody sees them, logged, made visible; or taken back.
#include "base/alloc.h"
#include "kv/log.h"
#include "kv/mem/mem.h"

mem_family *mem_family_find(const mem_engine *engine, uint32_t id) {
    mem_family *family = engine->families;
    while (family != NULL && family->family->id != id) family = family->next;
    return family == NULL || family->dropped_at > 0 ? NULL : family;
}

static tarn_status fail_memory(const mem_engine *engine, tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "the data take %zu bytes, and memory_limit_bytes is %zu",
                     atomic_load(&engine->budget.used_bytes), engine->limit_bytes);
}

static bool is_value(const mem_record *record) {
    return record != NULL && record->kind == KV_PUT;
}

// How the number of live keys changes when `record` comes over `older`.
static int key_delta(const mem_record *record, const mem_record *older) {
    return (is_value(record) ? 1 : 0) - (is_value(older) ? 1 : 0);
}

// ---- one change ----

// The changes of a batch, while nobody sees them.
typedef struct writing {
    mem_engine *engine;
    uint64_t moment;
    size_t queued_before;
} writing;

static tarn_status put_record(writing *w, mem_family *family, const mem_path *path,
                              mem_record *record, tarn_error *err) {
    mem_engine *engine = w->engine;
    mem_record *older = path->is_exact ? mem_path_record(path) : NULL;
    atomic_store_explicit(&record->older, older, memory_order_relaxed);
    record->moment = w->moment;
    if (!mem_queue_reserve(engine, &engine->queue, 1)) return fail_memory(engine, err);
    if (path->is_exact) {
        mem_path_replace(path, record);
    } else {
        TARN_TRY(mem_tree_insert(&family->tree, path, record, err));
    }
    mem_queue_push(&engine->queue, (mem_queued){family, record, w->moment});
    family->key_count += (uint64_t)(int64_t)key_delta(record, older);
    return TARN_OK;
}

static tarn_status put_value(writing *w, mem_family *family, const mem_path *path,
                             kv_change_kind kind, tarn_slice key, tarn_slice value,
                             tarn_error *err) {
    mem_record *record = mem_record_new(w->engine, kind, key, value);
    if (record == NULL) return fail_memory(w->engine, err);
    tarn_status status = put_record(w, family, path, record, err);
    if (status != TARN_OK) mem_record_free(w->engine, record);
    return status;
}

// Folded at once: the writer knows the newest value, and readers have nothing to do.
static tarn_status merge_value(writing *w, mem_family *family, const mem_path *path,
                               const kv_change *change, tarn_error *err) {
    tarn_buffer *merged = &w->engine->scratch;
    tarn_buffer_clear(merged);
    const mem_record *older = path->is_exact ? mem_path_record(path) : NULL;
    tarn_slice base = {0};
    if (is_value(older)) base = mem_record_value(older);
    // Not by the clock: the log, replayed later, must give the same.
    TARN_TRY(kv_fold(family->family, change->key, is_value(older) ? &base : NULL, &change->value, 1,
                     INT64_MIN, merged, err));
    return put_value(w, family, path, KV_PUT, change->key, tarn_buffer_slice(merged), err);
}

static tarn_status delete_key(writing *w, mem_family *family, const mem_path *path, tarn_slice key,
                              tarn_error *err) {
    if (!path->is_exact || !is_value(mem_path_record(path))) return TARN_OK;
    return put_value(w, family, path, KV_DELETE, key, (tarn_slice){0}, err);
}

// Deletions are put over what is there: the shape of the tree, and so the path, stays.
static tarn_status delete_range(writing *w, mem_family *family, tarn_slice begin, tarn_slice end,
                                tarn_error *err) {
    mem_path path;
    if (begin.len > 0) {
        mem_tree_find(&family->tree, begin, &path);
    } else {
        mem_tree_find_first(&family->tree, &path);
    }
    do {
        for (; path.index < path.leaf->node.count; path.index++) {
            tarn_slice key = mem_record_key(mem_path_record(&path));
            if (end.len > 0 && mem_tree_compare(&family->tree, key, end) >= 0) return TARN_OK;
            path.is_exact = true;
            TARN_TRY(delete_key(w, family, &path, key, err));
        }
    } while (mem_path_next_leaf(&path));
    return TARN_OK;
}

static tarn_status apply_change(writing *w, const kv_change *change, tarn_error *err) {
    mem_family *family = mem_family_find(w->engine, change->family_id);
    if (family == NULL) return TARN_OK; // it was dropped
    mem_path path;
    if (change->kind != KV_DELETE_RANGE) mem_tree_find(&family->tree, change->key, &path);
    switch (change->kind) {
    case KV_PUT: return put_value(w, family, &path, KV_PUT, change->key, change->value, err);
    case KV_DELETE: return delete_key(w, family, &path, change->key, err);
    case KV_DELETE_RANGE: return delete_range(w, family, change->key, change->value, err);
    case KV_MERGE: return merge_value(w, family, &path, change, err);
    }
    return tarn_fail(err, TARN_CORRUPT, "a change of kind %d", (int)change->kind);
}

// ---- a batch ----

// Newest first. A key that the batch brought is taken out again; for want of memory it becomes a
// deletion, which nobody ever saw as a value.
static void take_back(writing *w) {
    mem_engine *engine = w->engine;
    mem_queue *queue = &engine->queue;
    while (queue->count > w->queued_before) {
        queue->count--;
        mem_queued item = queue->items[(queue->begin + queue->count) & (queue->capacity - 1)];
        mem_record *record = item.record;
        mem_record *older = atomic_load(&record->older);
        item.family->key_count -= (uint64_t)(int64_t)key_delta(record, older);
        mem_path path;
        mem_tree_find(&item.family->tree, mem_record_key(record), &path);
        tarn_assert(path.is_exact);
        if (older != NULL) {
            mem_path_replace(&path, older);
        } else if (!mem_tree_remove(&item.family->tree, &path)) {
            record->kind = KV_DELETE;
            continue;
        }
        mem_discard(engine, record);
    }
}

static tarn_status apply_changes(writing *w, tarn_slice changes, tarn_error *err) {
    tarn_slice rest = changes;
    while (rest.len > 0) {
        kv_change change;
        TARN_TRY(kv_change_next(&rest, &change, err));
        TARN_TRY(apply_change(w, &change, err));
    }
    return TARN_OK;
}

static tarn_status log_changes(const mem_engine *engine, tarn_slice changes, uint32_t change_count,
                               uint64_t *ret_log_end, tarn_error *err) {
    kv_log_space space;
    TARN_TRY(kv_log_reserve(engine->log, KV_LOG_SIZE(changes.len), change_count, &space, err));
    uint8_t *body = kv_log_begin(&space, KV_LOG_BATCH, change_count, changes.len);
    memcpy(body, changes.data, changes.len);
    kv_log_end(&space);
    kv_log_publish(engine->log, &space);
    *ret_log_end = space.end;
    return TARN_OK;
}

// Puts must stay below the limit. Deletes may use what the budget has beyond it.
static tarn_status check_limit(mem_engine *engine, tarn_slice changes, tarn_error *err)
    TARN_REQUIRES(engine->writer_lock) {
    size_t used = atomic_load_explicit(&engine->budget.used_bytes, memory_order_relaxed);
    if (changes.len < engine->limit_bytes && used <= engine->limit_bytes - changes.len) {
        return TARN_OK;
    }
    bool grows = false;
    for (tarn_slice rest = changes; rest.len > 0;) {
        kv_change change;
        TARN_TRY(kv_change_next(&rest, &change, err));
        grows |= change.kind == KV_PUT || change.kind == KV_MERGE;
    }
    return grows ? fail_memory(engine, err) : TARN_OK;
}

tarn_status mem_write_batch(mem_engine *engine, tarn_slice changes, uint32_t change_count,
                            bool must_log, uint64_t *ret_log_end, tarn_error *err) {
    tarn_mutex_lock(engine->writer_lock);
    writing w = {engine, kv_epoch_now(engine->epoch) + 1, engine->queue.count};
    tarn_status status = check_limit(engine, changes, err);
    if (status == TARN_OK) status = apply_changes(&w, changes, err);
    if (status == TARN_OK && must_log) {
        status = log_changes(engine, changes, change_count, ret_log_end, err);
    }
    if (status == TARN_OK) {
        kv_epoch_advance(engine->epoch);
        atomic_fetch_add_explicit(&engine->changes, change_count, memory_order_relaxed);
    } else {
        take_back(&w);
    }
    mem_collect(engine);
    tarn_mutex_unlock(engine->writer_lock);
    return status;
}

// ---- expired values ----

enum { EXPIRED_GROUP = 256 };

// Deletes up to EXPIRED_GROUP values from *from on, and moves it. False at the end of the range.
static tarn_status delete_group(writing *w, mem_family *family, tarn_buffer *from, tarn_slice end,
                                bool *ret_has_more, tarn_error *err) {
    int64_t now_us = tarn_os_now_us(w->engine->os);
    mem_path path;
    if (from->len == 0) {
        mem_tree_find_first(&family->tree, &path);
    } else {
        mem_tree_find(&family->tree, tarn_buffer_slice(from), &path);
    }
    size_t seen = 0;
    do {
        for (; path.index < path.leaf->node.count; path.index++) {
            const mem_record *record = mem_path_record(&path);
            tarn_slice key = mem_record_key(record);
            if (end.len > 0 && mem_tree_compare(&family->tree, key, end) >= 0) return TARN_OK;
            if (seen++ == EXPIRED_GROUP) {
                tarn_buffer_clear(from);
                *ret_has_more = true;
                return tarn_buffer_append(from, key) ? TARN_OK : fail_memory(w->engine, err);
            }
            bool is_expired =
                is_value(record) && kv_is_expired(family->family, mem_record_value(record), now_us);
            path.is_exact = true;
            if (is_expired) TARN_TRY(delete_key(w, family, &path, key, err));
        }
    } while (mem_path_next_leaf(&path));
    return TARN_OK;
}

tarn_status mem_delete_expired(mem_engine *engine, mem_family *family, tarn_slice begin,
                               tarn_slice end, tarn_error *err) {
    if (family->family->options.ttl_ms <= 0) return TARN_OK;
    tarn_buffer from = {.alloc = engine->budget.parent};
    tarn_status status = TARN_OK;
    if (!tarn_buffer_append(&from, begin)) status = fail_memory(engine, err);
    bool has_more = status == TARN_OK;
    while (has_more && status == TARN_OK) {
        has_more = false;
        tarn_mutex_lock(engine->writer_lock);
        writing w = {engine, kv_epoch_now(engine->epoch) + 1, engine->queue.count};
        status = delete_group(&w, family, &from, end, &has_more, err);
        kv_epoch_advance(engine->epoch); // each deletion is complete by itself
        mem_collect(engine);
        tarn_mutex_unlock(engine->writer_lock);
    }
    tarn_buffer_free(&from);
    return status;
}
