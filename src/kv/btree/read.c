// Readers: one at a time, many at once, snapshots, iterators.
#include "base/alloc.h"
#include "kv/btree/btree.h"

typedef struct btree_snapshot {
    tarn_kv_snapshot base;
    btree_view *view;
} btree_snapshot;

static const btree_view *view_of(btree_engine *engine, const tarn_kv_snapshot *snapshot) {
    if (snapshot != NULL) return ((const btree_snapshot *)(const void *)snapshot)->view;
    // Acquire: pairs with the release in btree_view_publish.
    return atomic_load_explicit(&engine->current, memory_order_acquire);
}

tarn_status btree_recheck(btree_engine *engine, tarn_status status, tarn_error *err) {
    if (!engine->options->read_only) return status;
    const tarn_map *map = btree_pages_newest(&engine->pages);
    if (map == NULL) return status;
    for (unsigned i = 0; i < 2; i++) {
        btree_meta meta;
        const char *reason;
        // A page that is being written is damaged, for a moment: it is not there yet.
        if (btree_meta_decode(map->data + engine->pages.page_bytes * i, engine->pages.page_bytes,
                              &meta, &reason) &&
            meta.number > engine->meta.number) {
            return tarn_fail(err, TARN_CONFLICT,
                             "'" TARN_SLICE_FMT
                             "' has moved on while it was open for reading: open it again",
                             TARN_SLICE_ARG(engine->path));
        }
    }
    return status;
}

// ---- one ----

static tarn_status find(btree_engine *engine, const tarn_kv_family *family,
                        const tarn_kv_snapshot *snapshot, tarn_slice key, tarn_slice *ret_value,
                        bool *ret_found, tarn_error *err) {
    btree_root root = btree_view_root(view_of(engine, snapshot), family);
    btree_value value = {0};
    TARN_TRY(
        btree_find(&engine->pages, &root, family->options.comparator, key, &value, ret_found, err));
    return *ret_found ? btree_value_bytes(&engine->pages, &value, ret_value, err) : TARN_OK;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of the engines' interface
tarn_status btree_get(kv_engine *base, const tarn_kv_family *family,
                      const tarn_kv_snapshot *snapshot, tarn_slice key, tarn_kv_visitor *visit,
                      void *context, bool *ret_found, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    kv_guard guard = kv_epoch_enter(engine->epoch);
    tarn_slice value = {NULL, 0};
    bool found = false;
    tarn_status status = find(engine, family, snapshot, key, &value, &found, err);
    if (status == TARN_OK && found) status = visit(context, value, err);
    kv_epoch_leave(guard);
    if (engine->options->read_only) status = btree_recheck(engine, status, err);
    if (status == TARN_OK) *ret_found = found;
    return status;
}

// ---- many ----

#define GROUP_KEYS 16

// Where a group of keys is looked for.
typedef struct lookup {
    btree_pages *pages;
    btree_root root;
    const tarn_kv_comparator *comparator;
    tarn_arena *arena; // for the values
} lookup;

// All keys of a group go down together, so that each waits for memory while others do.
static tarn_status find_group(const lookup *l, const tarn_slice *keys, size_t count,
                              btree_value *values, bool *found, tarn_error *err) {
    uint32_t at[GROUP_KEYS];
    const uint8_t *bytes = NULL;
    for (size_t i = 0; i < count; i++) {
        at[i] = l->root.page;
        found[i] = false;
    }
    if (l->root.page == 0) return TARN_OK;
    for (uint32_t level = l->root.level; level > 0; level--) {
        for (size_t i = 0; i < count; i++) {
            TARN_TRY(btree_pages_read(l->pages, at[i], level, &bytes, err));
            at[i] = btree_branch_child(bytes, btree_branch_search(bytes, l->comparator, keys[i]));
            btree_pages_prefetch(l->pages, at[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(btree_pages_read(l->pages, at[i], 0, &bytes, err));
        size_t index = btree_leaf_search(bytes, l->comparator, keys[i], &found[i]);
        if (!found[i]) continue;
        values[i] = btree_leaf_value(bytes, index);
        __builtin_prefetch(values[i].bytes.data);
    }
    return TARN_OK;
}

static tarn_status answer_group(const lookup *l, const tarn_slice *keys, size_t count,
                                tarn_kv_answer *answers, tarn_error *err) {
    btree_value values[GROUP_KEYS] = {0};
    bool found[GROUP_KEYS];
    TARN_TRY(find_group(l, keys, count, values, found, err));
    for (size_t i = 0; i < count; i++) {
        answers[i] = (tarn_kv_answer){.found = found[i]};
        if (!found[i]) continue;
        tarn_slice bytes = {NULL, 0};
        TARN_TRY(btree_value_bytes(l->pages, &values[i], &bytes, err));
        if (!tarn_arena_copy(l->arena, bytes, &answers[i].value)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a value of %zu bytes", bytes.len);
        }
    }
    return TARN_OK;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of the engines' interface
tarn_status btree_multi_get(kv_engine *base, const tarn_kv_family *family,
                            const tarn_kv_snapshot *snapshot, const tarn_slice *keys, size_t count,
                            tarn_arena *arena, tarn_kv_answer *answers, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    kv_guard guard = kv_epoch_enter(engine->epoch);
    lookup l = {&engine->pages, btree_view_root(view_of(engine, snapshot), family),
                family->options.comparator, arena};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < count && status == TARN_OK; i += GROUP_KEYS) {
        size_t group = count - i < GROUP_KEYS ? count - i : GROUP_KEYS;
        status = answer_group(&l, keys + i, group, answers + i, err);
    }
    kv_epoch_leave(guard);
    return engine->options->read_only ? btree_recheck(engine, status, err) : status;
}

// ---- snapshots ----

tarn_status btree_snapshot_new(kv_engine *base, tarn_kv_snapshot **ret_snapshot, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    btree_snapshot *snapshot = tarn_alloc_new(engine->alloc, btree_snapshot, 1);
    if (snapshot == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a snapshot");
    snapshot->view = btree_view_pin(engine);
    *ret_snapshot = &snapshot->base;
    return TARN_OK;
}

void btree_snapshot_free(kv_engine *base, tarn_kv_snapshot *snapshot) {
    btree_engine *engine = btree_of(base);
    btree_snapshot *own = (btree_snapshot *)(void *)snapshot;
    btree_view_unpin(engine, own->view);
    tarn_alloc_free(engine->alloc, own, 1);
}

// ---- iterators ----

typedef struct btree_iterator {
    tarn_kv_iterator base;
    btree_engine *engine;
    btree_view *view; // pinned; NULL: the snapshot has it
    bool wants_values;
    size_t bound_bytes; // of `bounds`
    uint8_t *bounds;    // lower and upper, one behind the other
    btree_cursor cursor;
} btree_iterator;

static btree_iterator *iterator_of(tarn_kv_iterator *base) {
    return (btree_iterator *)(void *)base;
}

// What the front sees, after a move.
static TARN_ALWAYS_INLINE tarn_status show(btree_iterator *it, tarn_status status,
                                           tarn_error *err) {
    if (it->engine->options->read_only) status = btree_recheck(it->engine, status, err);
    it->base.is_valid = status == TARN_OK && it->cursor.is_valid;
    if (!it->base.is_valid) return status;
    it->base.key = it->cursor.key;
    if (!it->wants_values) return TARN_OK;
    btree_value value = btree_leaf_value(it->cursor.leaf, it->cursor.index);
    it->base.value = value.bytes;
    if (value.run_page == 0) return TARN_OK;
    status = btree_pages_read_run(&it->engine->pages, &value, &it->base.value, err);
    it->base.is_valid = status == TARN_OK;
    return status;
}

static tarn_status iterator_seek(tarn_kv_iterator *base, tarn_slice key, tarn_error *err) {
    btree_iterator *it = iterator_of(base);
    return show(it, btree_cursor_seek(&it->cursor, key, err), err);
}

static tarn_status iterator_seek_for_prev(tarn_kv_iterator *base, tarn_slice key, tarn_error *err) {
    btree_iterator *it = iterator_of(base);
    return show(it, btree_cursor_seek_for_prev(&it->cursor, key, err), err);
}

static tarn_status iterator_seek_first(tarn_kv_iterator *base, tarn_error *err) {
    return iterator_seek(base, (tarn_slice){NULL, 0}, err);
}

static tarn_status iterator_seek_last(tarn_kv_iterator *base, tarn_error *err) {
    btree_iterator *it = iterator_of(base);
    return show(it, btree_cursor_seek_last(&it->cursor, err), err);
}

static tarn_status iterator_next(tarn_kv_iterator *base, tarn_error *err) {
    btree_iterator *it = iterator_of(base);
    return show(it, btree_cursor_next(&it->cursor, err), err);
}

static tarn_status iterator_prev(tarn_kv_iterator *base, tarn_error *err) {
    btree_iterator *it = iterator_of(base);
    return show(it, btree_cursor_prev(&it->cursor, err), err);
}

static void iterator_free(tarn_kv_iterator *base) {
    btree_iterator *it = iterator_of(base);
    btree_engine *engine = it->engine;
    if (it->view != NULL) btree_view_unpin(engine, it->view);
    tarn_alloc_free(engine->alloc, it->bounds, it->bound_bytes);
    tarn_alloc_free(engine->alloc, it, 1);
}

static const kv_iterator_ops iterator_ops = {
    .seek = iterator_seek,
    .seek_for_prev = iterator_seek_for_prev,
    .seek_first = iterator_seek_first,
    .seek_last = iterator_seek_last,
    .next = iterator_next,
    .prev = iterator_prev,
    .free = iterator_free,
};

static tarn_slice copy_bound(tarn_slice bound, uint8_t *to) {
    if (bound.len == 0) return (tarn_slice){NULL, 0};
    memcpy(to, bound.data, bound.len);
    return (tarn_slice){to, bound.len};
}

tarn_status btree_iterator_new(kv_engine *base, const tarn_kv_iterator_options *options,
                               tarn_kv_iterator **ret_iterator, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    btree_iterator *it = engine->alloc->acquire(engine->alloc->context, sizeof *it);
    size_t bound_bytes = options->lower.len + options->upper.len;
    uint8_t *bounds = tarn_alloc_new(engine->alloc, uint8_t, bound_bytes);
    if (it == NULL || bounds == NULL) {
        tarn_alloc_free(engine->alloc, it, 1);
        tarn_alloc_free(engine->alloc, bounds, bound_bytes);
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for an iterator");
    }
    // Not all of it: the cursor is large, and most of it is never used.
    it->base = (tarn_kv_iterator){.ops = &iterator_ops};
    it->engine = engine;
    it->wants_values = !options->keys_only;
    it->bounds = bounds;
    it->bound_bytes = bound_bytes;
    it->view = options->snapshot == NULL ? btree_view_pin(engine) : NULL;
    const btree_view *view = it->view != NULL ? it->view : view_of(engine, options->snapshot);
    btree_root root = btree_view_root(view, options->family);
    tarn_slice lower = copy_bound(options->lower, bounds);
    tarn_slice upper = copy_bound(options->upper, bounds + lower.len);
    btree_cursor_init(&it->cursor, &engine->pages, &root, options->family->options.comparator,
                      lower, upper);
    *ret_iterator = &it->base;
    return TARN_OK;
}
