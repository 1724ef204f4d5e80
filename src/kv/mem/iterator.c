// Iterators of the memory engine: a view, and some of the records that it sees, taken from the tree
// at once. The view keeps them alive, so that most moves touch no shared memory at all.
#include "base/alloc.h"
#include "kv/mem/mem.h"

enum {
    FIRST_CHUNK = TARN_TUNABLE(12, 2), // short scans should not pay for long ones
    CHUNK = TARN_TUNABLE(64, 4),
};

typedef struct mem_iterator {
    tarn_kv_iterator base;
    mem_engine *engine;
    mem_family *family;
    mem_view *view;
    bool owns_view;
    tarn_slice lower; // in `bounds`; empty: open
    tarn_slice upper;
    tarn_buffer bounds;
    // Neighbours in the order of keys: entries[begin, end), we stand on entries[at].
    mem_record *entries[CHUNK];
    uint32_t begin;
    uint32_t end;
    uint32_t at;
    uint32_t wanted;
} mem_iterator;

static mem_iterator *iterator_of(tarn_kv_iterator *base) {
    return (mem_iterator *)(void *)base; // its first member
}

static bool is_below(const mem_iterator *it, tarn_slice key) {
    return it->lower.len > 0 && mem_tree_compare(&it->family->tree, key, it->lower) < 0;
}

static bool is_beyond(const mem_iterator *it, tarn_slice key) {
    return it->upper.len > 0 && mem_tree_compare(&it->family->tree, key, it->upper) >= 0;
}

static void prefetch_leaf(const mem_path *path) {
    for (uint32_t i = 0; i < path->leaf->node.count; i++) {
        __builtin_prefetch(atomic_load_explicit(&path->leaf->records[i], memory_order_relaxed));
    }
}

// ---- filling the chunk ----

// From the place onwards. Empty at the end of the range.
static void fill_forward(mem_iterator *it, mem_path *path) {
    it->begin = 0;
    it->end = 0;
    do {
        if (it->wanted == CHUNK) prefetch_leaf(path);
        for (; path->index < path->leaf->node.count; path->index++) {
            mem_record *newest = mem_path_record(path);
            if (is_beyond(it, mem_record_key(newest))) return;
            mem_record *record = mem_value_at(newest, it->view->moment);
            if (record == NULL) continue;
            it->entries[it->end++] = record;
            if (it->end == it->wanted) return;
        }
    } while (mem_path_next_leaf(path));
}

// What is before the place.
static void fill_backward(mem_iterator *it, mem_path *path) {
    it->begin = CHUNK;
    it->end = CHUNK;
    do {
        if (it->wanted == CHUNK) prefetch_leaf(path);
        while (path->index > 0) {
            path->index--;
            mem_record *newest = mem_path_record(path);
            if (is_below(it, mem_record_key(newest))) return;
            mem_record *record = mem_value_at(newest, it->view->moment);
            if (record == NULL) continue;
            it->entries[--it->begin] = record;
            if (it->end - it->begin == it->wanted) return;
        }
    } while (mem_path_prev_leaf(path));
}

static void stand_on(mem_iterator *it, uint32_t at) {
    it->base.is_valid = at >= it->begin && at < it->end;
    if (!it->base.is_valid) return;
    it->at = at;
    it->base.key = mem_record_key(it->entries[at]);
    it->base.value = mem_record_value(it->entries[at]);
}

// To the first key >= `key`, or > it.
static void load_from(mem_iterator *it, tarn_slice key, bool excludes_key) {
    kv_guard guard = kv_epoch_enter(it->engine->epoch);
    mem_path path;
    if (key.len == 0) {
        mem_tree_find_first(&it->family->tree, &path);
    } else {
        mem_tree_find(&it->family->tree, key, &path);
        if (excludes_key && path.is_exact) path.index++;
    }
    fill_forward(it, &path);
    kv_epoch_leave(guard);
    stand_on(it, it->begin);
}

// To the last key < `key`, or <= it.
static void load_before(mem_iterator *it, tarn_slice key, bool includes_key) {
    kv_guard guard = kv_epoch_enter(it->engine->epoch);
    mem_path path;
    if (key.len == 0) {
        mem_tree_find_end(&it->family->tree, &path);
    } else {
        mem_tree_find(&it->family->tree, key, &path);
        if (includes_key && path.is_exact) path.index++;
    }
    fill_backward(it, &path);
    kv_epoch_leave(guard);
    stand_on(it, it->end - 1);
}

// ---- moves ----

static tarn_status seek_first(tarn_kv_iterator *base, tarn_error *err) {
    (void)err;
    mem_iterator *it = iterator_of(base);
    it->wanted = FIRST_CHUNK;
    load_from(it, it->lower, false);
    return TARN_OK;
}

static tarn_status seek_last(tarn_kv_iterator *base, tarn_error *err) {
    (void)err;
    mem_iterator *it = iterator_of(base);
    it->wanted = FIRST_CHUNK;
    load_before(it, it->upper, false);
    return TARN_OK;
}

static tarn_status seek(tarn_kv_iterator *base, tarn_slice key, tarn_error *err) {
    mem_iterator *it = iterator_of(base);
    if (is_below(it, key)) return seek_first(base, err);
    it->wanted = FIRST_CHUNK;
    load_from(it, key, false);
    return TARN_OK;
}

static tarn_status seek_for_prev(tarn_kv_iterator *base, tarn_slice key, tarn_error *err) {
    mem_iterator *it = iterator_of(base);
    if (key.len > 0 && is_beyond(it, key)) return seek_last(base, err);
    it->wanted = FIRST_CHUNK;
    if (key.len == 0) {
        it->base.is_valid = false; // no key is that small
    } else {
        load_before(it, key, true);
    }
    return TARN_OK;
}

static tarn_status next(tarn_kv_iterator *base, tarn_error *err) {
    (void)err;
    mem_iterator *it = iterator_of(base);
    if (it->at + 1 < it->end) {
        stand_on(it, it->at + 1);
        return TARN_OK;
    }
    it->wanted = CHUNK;
    load_from(it, base->key, true); // the key's record stays until the view goes
    return TARN_OK;
}

static tarn_status prev(tarn_kv_iterator *base, tarn_error *err) {
    (void)err;
    mem_iterator *it = iterator_of(base);
    if (it->at > it->begin) {
        stand_on(it, it->at - 1);
        return TARN_OK;
    }
    it->wanted = CHUNK;
    load_before(it, base->key, false);
    return TARN_OK;
}

static void free_iterator(tarn_kv_iterator *base) {
    mem_iterator *it = iterator_of(base);
    if (it->owns_view) mem_view_free(it->engine, it->view);
    tarn_buffer_free(&it->bounds);
    tarn_alloc_free(it->engine->budget.parent, it, 1);
}

static const kv_iterator_ops iterator_ops = {
    .seek = seek,
    .seek_for_prev = seek_for_prev,
    .seek_first = seek_first,
    .seek_last = seek_last,
    .next = next,
    .prev = prev,
    .free = free_iterator,
};

static bool copy_bounds(mem_iterator *it, const tarn_kv_iterator_options *options) {
    it->bounds.alloc = it->engine->budget.parent;
    if (!tarn_buffer_append(&it->bounds, options->lower) ||
        !tarn_buffer_append(&it->bounds, options->upper)) {
        return false;
    }
    it->lower = tarn_slice_head(tarn_buffer_slice(&it->bounds), options->lower.len);
    it->upper = tarn_slice_skip(tarn_buffer_slice(&it->bounds), options->lower.len);
    return true;
}

tarn_status mem_iterator_new(kv_engine *engine, const tarn_kv_iterator_options *options,
                             tarn_kv_iterator **ret_iterator, tarn_error *err) {
    mem_engine *mem = mem_of(engine);
    mem_iterator *it = tarn_alloc_new(mem->budget.parent, mem_iterator, 1);
    if (it == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for an iterator");
    it->base.ops = &iterator_ops;
    it->engine = mem;
    it->family = options->family->engine_part;
    tarn_status status = TARN_OK;
    if (!copy_bounds(it, options)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for an iterator");
    } else if (options->snapshot != NULL) {
        it->view = mem_view_of(options->snapshot);
    } else {
        status = mem_view_new(mem, &it->view, err);
        it->owns_view = status == TARN_OK;
    }
    if (status != TARN_OK) {
        free_iterator(&it->base);
        return status;
    }
    *ret_iterator = &it->base;
    return TARN_OK;
}
