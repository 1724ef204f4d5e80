// Compacting, verifying, estimating, counting.
#include "base/alloc.h"
#include "kv/btree/btree.h"
#include "kv/btree/walk.h"

// ---- compacting: a slice of keys at a time is taken out and put in again, in ascending order ----

#define SLICE_KEYS  TARN_TUNABLE(512, 8)
#define SLICE_BYTES ((size_t)1 << 20)

typedef struct slice_entry {
    tarn_slice key;   // in the arena
    tarn_slice value; // in the pages of the version before
} slice_entry;

typedef struct slice {
    slice_entry entries[SLICE_KEYS];
    size_t count;
    tarn_slice next;   // the key behind; empty: there is none
    tarn_arena *arena; // of the keys
} slice;

static tarn_status collect_slice(btree_engine *engine, const tarn_kv_family *family,
                                 btree_cursor *cursor, tarn_slice from, slice *ret_slice,
                                 tarn_error *err) {
    int64_t now_us = tarn_os_now_us(engine->os);
    ret_slice->count = 0;
    ret_slice->next = (tarn_slice){NULL, 0};
    size_t bytes = 0;
    tarn_status status = btree_cursor_seek(cursor, from, err);
    while (status == TARN_OK && cursor->is_valid) {
        tarn_slice key;
        tarn_slice value;
        if (!tarn_arena_copy(ret_slice->arena, cursor->key, &key)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a slice of keys");
        }
        if (ret_slice->count == SLICE_KEYS || bytes > SLICE_BYTES) {
            ret_slice->next = key;
            return TARN_OK;
        }
        TARN_TRY(btree_cursor_value(cursor, &value, err));
        bytes += key.len + value.len;
        if (!kv_is_expired(family, value, now_us)) {
            ret_slice->entries[ret_slice->count++] = (slice_entry){key, value};
        }
        status = btree_cursor_next(cursor, err);
    }
    return status;
}

static tarn_status rewrite_slice(btree_engine *engine, const tarn_kv_family *family,
                                 tarn_slice from, tarn_slice end, const slice *s, tarn_error *err) {
    const btree_family *part = family->engine_part;
    btree_root *root = &engine->roots[part->slot].root;
    btree_writer writer = {&engine->pages, &engine->scratch, family->options.comparator};
    TARN_TRY(btree_delete_range(&writer, root, from, s->next.len > 0 ? s->next : end, err));
    for (size_t i = 0; i < s->count; i++) {
        TARN_TRY(btree_put(&writer, root, s->entries[i].key, s->entries[i].value, err));
    }
    return TARN_OK;
}

// What the log says stays as it was, so nothing of this is logged.
static tarn_status compact_slice(btree_engine *engine, const tarn_kv_family *family,
                                 btree_cursor *cursor, tarn_slice from, tarn_slice end, slice *s,
                                 tarn_error *err) {
    if (engine->has_failed || btree_checkpoint_is_due(engine)) {
        TARN_TRY(btree_checkpoint(engine, err));
    }
    const btree_family *part = family->engine_part;
    btree_cursor_init(cursor, &engine->pages, &engine->roots[part->slot].root,
                      family->options.comparator, from, end);
    btree_transaction_begin(engine);
    tarn_status status = collect_slice(engine, family, cursor, from, s, err);
    if (status == TARN_OK) status = rewrite_slice(engine, family, from, end, s, err);
    if (status != TARN_OK) {
        btree_transaction_abort(engine);
        return status;
    }
    engine->has_changed = true;
    return btree_transaction_commit(engine, err);
}

tarn_status btree_compact(kv_engine *base, tarn_kv_family *family, tarn_slice begin, tarn_slice end,
                          tarn_error *err) {
    btree_engine *engine = btree_of(base);
    tarn_arena arenas[2]; // of a slice, and of the one before, whose last key is the next begin
    tarn_arena_init(&arenas[0], engine->alloc, SIZE_MAX);
    tarn_arena_init(&arenas[1], engine->alloc, SIZE_MAX);
    slice *s = tarn_alloc_new(engine->alloc, slice, 1);
    btree_cursor *cursor = tarn_alloc_new(engine->alloc, btree_cursor, 1);
    tarn_status status = TARN_OK;
    if (s == NULL || cursor == NULL) status = tarn_fail(err, TARN_NO_MEMORY, "no memory");
    for (size_t round = 0; status == TARN_OK; round++) {
        s->arena = &arenas[round % 2];
        tarn_arena_reset(s->arena);
        btree_lead(engine);
        status = compact_slice(engine, family, cursor, begin, end, s, err);
        btree_follow(engine);
        begin = s->next;
        if (begin.len == 0) break;
    }
    if (status == TARN_OK) {
        btree_lead(engine);
        status = btree_checkpoint(engine, err);
        btree_follow(engine);
    }
    tarn_alloc_free(engine->alloc, s, 1);
    tarn_alloc_free(engine->alloc, cursor, 1);
    for (size_t i = 0; i < 2; i++) tarn_arena_reset(&arenas[i]);
    return status;
}

// ---- verifying ----

static tarn_status check_meta(const btree_engine *engine, tarn_error *err) {
    const tarn_map *map = btree_pages_newest(&engine->pages);
    if (map == NULL) return TARN_OK;
    size_t offset = engine->pages.page_bytes * (engine->meta.number % 2);
    btree_meta meta;
    const char *reason = NULL;
    if (!btree_meta_decode(map->data + offset, engine->pages.page_bytes, &meta, &reason)) {
        return tarn_fail(err, TARN_CORRUPT, "'" TARN_SLICE_FMT "': meta page at offset %zu: %s",
                         TARN_SLICE_ARG(engine->path), offset, reason);
    }
    if (meta.number == engine->meta.number && meta.sequence == engine->meta.sequence) {
        return TARN_OK;
    }
    return tarn_fail(err, TARN_CORRUPT,
                     "'" TARN_SLICE_FMT "': meta page at offset %zu: somebody else has written it",
                     TARN_SLICE_ARG(engine->path), offset);
}

static void mark_queue(const btree_queue *queue, btree_space *seen, bool *ret_twice) {
    for (size_t i = queue->head; i < queue->count && !*ret_twice; i++) {
        const btree_retired *entry = &queue->entries[i];
        for (uint32_t k = 0; entry->page != 0 && k < entry->count; k++) {
            *ret_twice = *ret_twice || btree_space_is_free(seen, entry->page + k);
            if (!*ret_twice) btree_space_give(seen, entry->page + k, 1);
        }
    }
}

// Every page is in exactly one place: a tree, the state run, waiting, free.
static tarn_status check_space(const btree_engine *engine, btree_space *seen, tarn_error *err) {
    const btree_pages *pages = &engine->pages;
    bool used_twice = false;
    for (uint32_t i = 0; i < engine->meta.state_pages; i++) {
        used_twice = used_twice || btree_space_is_free(seen, engine->meta.state_page + i);
        if (!used_twice) btree_space_give(seen, engine->meta.state_page + i, 1);
    }
    mark_queue(&pages->waiting_durable, seen, &used_twice);
    mark_queue(&pages->waiting_readers, seen, &used_twice);
    if (used_twice) {
        return tarn_fail(err, TARN_CORRUPT, "'" TARN_SLICE_FMT "': a page is used twice",
                         TARN_SLICE_ARG(pages->path));
    }
    for (uint32_t page = 2; page < pages->space.page_count; page++) {
        if (btree_space_is_free(seen, page) != btree_space_is_free(&pages->space, page)) continue;
        return tarn_fail(
            err, TARN_CORRUPT, "'" TARN_SLICE_FMT "': page %u is %s", TARN_SLICE_ARG(pages->path),
            page, btree_space_is_free(seen, page) ? "used and free" : "neither used nor free");
    }
    return TARN_OK;
}

static tarn_status verify_trees(btree_engine *engine, btree_space *seen, tarn_error *err) {
    if (!btree_space_grow(seen, engine->pages.space.page_count)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory to verify a B+tree");
    }
    for (const btree_family *part = engine->families; part != NULL; part = part->next) {
        if (part->family == NULL) continue;
        TARN_TRY(btree_walk(&engine->pages, &engine->roots[part->slot].root,
                            part->family->options.comparator, true, seen, err));
    }
    return check_space(engine, seen, err);
}

static tarn_status verify_led(btree_engine *engine, tarn_error *err) {
    // So that there is something to be read: all of it is in the file then.
    if (!engine->options->read_only && !engine->has_failed) {
        TARN_TRY(btree_checkpoint(engine, err));
    }
    TARN_TRY(check_meta(engine, err));
    btree_space seen;
    btree_space_init(&seen, engine->alloc);
    tarn_status status = verify_trees(engine, &seen, err);
    btree_space_reset(&seen);
    return status;
}

tarn_status btree_verify(kv_engine *base, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    btree_lead(engine);
    tarn_status status = btree_recheck(engine, verify_led(engine, err), err);
    btree_follow(engine);
    if (status != TARN_OK || engine->options->read_only) return status;
    return kv_log_verify(engine->log, err);
}

// ---- estimating ----

// Which part of the tree lies before the key.
static tarn_status part_before(btree_pages *pages, const btree_root *root,
                               const tarn_kv_comparator *comparator, tarn_slice key,
                               double *ret_part, tarn_error *err) {
    uint32_t page = root->page;
    double part = 0;
    double weight = 1;
    const uint8_t *bytes = NULL;
    for (uint32_t level = root->level;; level--) {
        TARN_TRY(btree_pages_read(pages, page, level, &bytes, err));
        bool found;
        size_t index = level > 0 ? btree_branch_search(bytes, comparator, key)
                                 : btree_leaf_search(bytes, comparator, key, &found);
        weight /= btree_page_count(bytes);
        part += weight * (double)index;
        if (level == 0) break;
        page = btree_branch_child(bytes, index);
    }
    *ret_part = part;
    return TARN_OK;
}

static tarn_status estimate(btree_engine *engine, const tarn_kv_family *family, tarn_slice begin,
                            tarn_slice end, uint64_t *ret_bytes, tarn_error *err) {
    const btree_view *view = atomic_load_explicit(&engine->current, memory_order_acquire);
    btree_root root = btree_view_root(view, family);
    *ret_bytes = 0;
    if (root.page == 0) return TARN_OK;
    const tarn_kv_comparator *comparator = family->options.comparator;
    double from = 0;
    double to = 1;
    if (begin.len > 0) {
        TARN_TRY(part_before(&engine->pages, &root, comparator, begin, &from, err));
    }
    if (end.len > 0) TARN_TRY(part_before(&engine->pages, &root, comparator, end, &to, err));
    double bytes = (double)((root.page_count + root.run_pages) * engine->pages.page_bytes);
    if (to > from) *ret_bytes = (uint64_t)((to - from) * bytes);
    return TARN_OK;
}

tarn_status btree_approximate_bytes(kv_engine *base, const tarn_kv_family *family, tarn_slice begin,
                                    tarn_slice end, uint64_t *ret_bytes, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    kv_guard guard = kv_epoch_enter(engine->epoch);
    tarn_status status = estimate(engine, family, begin, end, ret_bytes, err);
    kv_epoch_leave(guard);
    return status;
}

// ---- counting ----

void btree_stats(kv_engine *base, tarn_kv_statistics *stats) {
    btree_engine *engine = btree_of(base);
    kv_log_statistics log = {0};
    if (engine->log != NULL) kv_log_stats(engine->log, &log);
    kv_guard guard = kv_epoch_enter(engine->epoch);
    const btree_view *view = atomic_load_explicit(&engine->current, memory_order_acquire);
    uint64_t page_count = 0;
    for (size_t i = 0; i < view->root_count; i++) {
        stats->key_count += view->roots[i].root.key_count;
        page_count += view->roots[i].root.page_count + view->roots[i].root.run_pages;
    }
    btree_numbers numbers = view->numbers;
    kv_epoch_leave(guard);
    stats->log_bytes = log.live_bytes;
    stats->log_syncs = log.syncs;
    stats->skipped_records = log.skipped_records;
    stats->file_bytes = numbers.file_bytes + log.live_bytes;
    stats->dead_bytes = numbers.free_pages * engine->pages.page_bytes;
    stats->device_bytes = numbers.written_bytes + log.written_bytes;
    stats->memory_bytes = numbers.frame_bytes;
    stats->memtable_bytes = numbers.frame_bytes;
    stats->compactions = numbers.checkpoints;
    stats->level_count = 1;
    stats->levels[0] = (tarn_kv_level){.file_count = 1,
                                       .bytes = page_count * engine->pages.page_bytes,
                                       .written_bytes = numbers.written_bytes};
    tarn_mutex_lock(engine->pin_lock);
    int64_t now_ns = tarn_os_monotonic_ns(engine->os);
    for (const btree_view *v = engine->newest; v != NULL; v = v->older) {
        if (v->pin_count == 0) continue;
        stats->reader_count += v->pin_count;
        int64_t age_us = (now_ns - v->pinned_ns) / 1000;
        if (age_us > stats->oldest_reader_us) stats->oldest_reader_us = age_us;
    }
    tarn_mutex_unlock(engine->pin_lock);
}
