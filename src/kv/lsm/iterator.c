// Ordered iterators: of all versions that the merge brings, those that show.
//
// Forward, the sources stand on the entry that is shown (its bytes are not copied), or, after a
// merge was folded, behind it. Backward they stand before all versions of the key that is shown,
// whose key and value are copies.
#include "base/alloc.h"
#include "kv/lsm/filter.h"
#include "kv/lsm/lsm.h"

typedef struct operand {
    size_t begin; // in `bytes`
    size_t len;
} operand;

typedef struct lsm_iterator {
    tarn_kv_iterator base;
    lsm *engine;
    const lsm_family *family;
    lsm_view *view; // referenced
    uint64_t at;
    lsm_merge merge;
    const lsm_ranges **ranges; // of all sources that have any
    size_t range_count, range_capacity;
    tarn_buffer lower, upper;
    bool is_reverse;
    bool is_behind;  // forward: the sources stand behind the entry that is shown
    tarn_buffer key; // a copy: of the entry shown, or the one that is left
    tarn_buffer value;
    tarn_buffer operands; // of operand
    tarn_buffer bytes;    // of operands
    int64_t now_us;
} lsm_iterator;

static lsm_iterator *iterator_of(tarn_kv_iterator *base) {
    return (lsm_iterator *)base;
}

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for an iterator");
}

static tarn_status copy(tarn_buffer *buffer, tarn_slice bytes, tarn_error *err) {
    tarn_buffer_clear(buffer);
    return bytes.len == 0 || tarn_buffer_append(buffer, bytes) ? TARN_OK : fail_memory(err);
}

static void show(lsm_iterator *it, tarn_slice key, tarn_slice value) {
    it->base.is_valid = true;
    it->base.key = key;
    it->base.value = value;
}

static bool is_deleted(const lsm_iterator *it, tarn_slice key, uint64_t trailer) {
    for (size_t i = 0; i < it->range_count; i++) {
        if (lsm_ranges_cover(it->ranges[i], key, it->at) > lsm_trailer_sequence(trailer)) {
            return true;
        }
    }
    return false;
}

// ---- operands ----

static void clear_operands(lsm_iterator *it) {
    tarn_buffer_clear(&it->operands);
    tarn_buffer_clear(&it->bytes);
}

static tarn_status add_operand(lsm_iterator *it, tarn_slice value, tarn_error *err) {
    operand o = {it->bytes.len, value.len};
    if ((value.len > 0 && !tarn_buffer_append(&it->bytes, value)) ||
        !tarn_buffer_append(&it->operands, (tarn_slice){(const uint8_t *)&o, sizeof o})) {
        return fail_memory(err);
    }
    return TARN_OK;
}

// Folds the operands, which were added newest first or oldest first, and shows the result.
static tarn_status fold(lsm_iterator *it, const tarn_slice *base, bool is_newest_first,
                        tarn_error *err) {
    size_t count = it->operands.len / sizeof(operand);
    tarn_slice *operands = tarn_alloc_new(it->engine->alloc, tarn_slice, count);
    if (operands == NULL) return fail_memory(err);
    const operand *added = (const operand *)(const void *)it->operands.data;
    for (size_t i = 0; i < count; i++) {
        const operand *o = &added[is_newest_first ? count - 1 - i : i];
        operands[i] = (tarn_slice){o->len == 0 ? NULL : it->bytes.data + o->begin, o->len};
    }
    tarn_buffer folded = {.alloc = it->engine->alloc};
    tarn_status status = kv_fold(it->family->front, tarn_buffer_slice(&it->key), base, operands,
                                 count, it->now_us, &folded, err);
    tarn_alloc_free(it->engine->alloc, operands, count);
    if (status != TARN_OK) {
        tarn_buffer_free(&folded);
        return status;
    }
    tarn_buffer_free(&it->value);
    it->value = folded;
    show(it, tarn_buffer_slice(&it->key), tarn_buffer_slice(&it->value));
    return TARN_OK;
}

// ---- forward ----

static bool is_key(const lsm_iterator *it) {
    return it->merge.top != NULL &&
           tarn_slice_equal(it->merge.top->key, tarn_buffer_slice(&it->key));
}

static bool is_beyond_upper(const lsm_iterator *it, tarn_slice key) {
    return it->upper.len > 0 &&
           lsm_compare_keys(it->family->order, key, tarn_buffer_slice(&it->upper)) >= 0;
}

static bool is_below_lower(const lsm_iterator *it, tarn_slice key) {
    return it->lower.len > 0 &&
           lsm_compare_keys(it->family->order, key, tarn_buffer_slice(&it->lower)) < 0;
}

static tarn_status skip_key(lsm_iterator *it, tarn_error *err) {
    while (is_key(it)) TARN_TRY(lsm_merge_step(&it->merge, err));
    return TARN_OK;
}

// The sources stand on the newest visible version of a key, which is a merge.
static tarn_status fold_forward(lsm_iterator *it, tarn_error *err) {
    clear_operands(it);
    it->is_behind = true;
    TARN_TRY(copy(&it->key, it->merge.top->key, err));
    while (is_key(it)) {
        const lsm_source *top = it->merge.top;
        bool is_base = lsm_trailer_kind(top->trailer) != KV_MERGE;
        if (is_deleted(it, top->key, top->trailer)) break;
        if (is_base) {
            tarn_slice value = top->value;
            bool is_put = lsm_trailer_kind(top->trailer) == KV_PUT;
            return fold(it, is_put ? &value : NULL, true, err);
        }
        TARN_TRY(add_operand(it, top->value, err));
        TARN_TRY(lsm_merge_step(&it->merge, err));
    }
    return fold(it, NULL, true, err);
}

// From where the sources stand to the first entry that shows.
static tarn_status find_forward(lsm_iterator *it, tarn_error *err) {
    it->base.is_valid = false;
    it->is_reverse = false;
    it->is_behind = false;
    while (it->merge.top != NULL) {
        const lsm_source *top = it->merge.top;
        if (is_beyond_upper(it, top->key)) return TARN_OK;
        if (lsm_trailer_sequence(top->trailer) > it->at) {
            TARN_TRY(lsm_merge_step(&it->merge, err));
            continue;
        }
        kv_change_kind kind = lsm_trailer_kind(top->trailer);
        if (kind == KV_DELETE || is_deleted(it, top->key, top->trailer)) {
            TARN_TRY(copy(&it->key, top->key, err));
            TARN_TRY(skip_key(it, err));
            continue;
        }
        if (kind == KV_MERGE) return fold_forward(it, err);
        show(it, top->key, top->value);
        return TARN_OK;
    }
    return TARN_OK;
}

// ---- backward ----

typedef struct found {
    bool has_value; // in it->value
    bool has_operands;
} found;

// The version, which is newer than those of the key seen before, changes what the key's value is.
static tarn_status take_newer(lsm_iterator *it, const lsm_source *top, found *f, tarn_error *err) {
    if (lsm_trailer_sequence(top->trailer) > it->at) return TARN_OK;
    kv_change_kind kind = lsm_trailer_kind(top->trailer);
    bool deleted = kind == KV_DELETE || is_deleted(it, top->key, top->trailer);
    if (!deleted && kind == KV_MERGE) {
        f->has_operands = true;
        return add_operand(it, top->value, err);
    }
    clear_operands(it);
    *f = (found){.has_value = !deleted};
    return deleted ? TARN_OK : copy(&it->value, top->value, err);
}

static tarn_status show_found(lsm_iterator *it, const found *f, tarn_error *err) {
    if (f->has_operands) {
        tarn_slice base = tarn_buffer_slice(&it->value);
        return fold(it, f->has_value ? &base : NULL, false, err);
    }
    if (f->has_value) show(it, tarn_buffer_slice(&it->key), tarn_buffer_slice(&it->value));
    return TARN_OK;
}

static tarn_status find_backward(lsm_iterator *it, tarn_error *err) {
    it->base.is_valid = false;
    it->is_reverse = true;
    while (it->merge.top != NULL && !it->base.is_valid) {
        if (is_below_lower(it, it->merge.top->key)) return TARN_OK;
        found f = {0};
        clear_operands(it);
        TARN_TRY(copy(&it->key, it->merge.top->key, err));
        while (is_key(it)) {
            TARN_TRY(take_newer(it, it->merge.top, &f, err));
            TARN_TRY(lsm_merge_step(&it->merge, err));
        }
        TARN_TRY(show_found(it, &f, err));
    }
    return TARN_OK;
}

// ---- the operations ----

static tarn_status seek(tarn_kv_iterator *base, tarn_slice key, tarn_error *err) {
    lsm_iterator *it = iterator_of(base);
    base->is_valid = false;
    if (is_below_lower(it, key)) key = tarn_buffer_slice(&it->lower);
    TARN_TRY(lsm_merge_seek(&it->merge, key, lsm_trailer_newest(it->at), err));
    return find_forward(it, err);
}

static tarn_status seek_first(tarn_kv_iterator *base, tarn_error *err) {
    lsm_iterator *it = iterator_of(base);
    base->is_valid = false;
    if (it->lower.len > 0) return seek(base, tarn_buffer_slice(&it->lower), err);
    TARN_TRY(lsm_merge_seek_first(&it->merge, err));
    return find_forward(it, err);
}

static tarn_status seek_last(tarn_kv_iterator *base, tarn_error *err) {
    lsm_iterator *it = iterator_of(base);
    base->is_valid = false;
    if (it->upper.len > 0) {
        TARN_TRY(lsm_merge_seek_before(&it->merge, tarn_buffer_slice(&it->upper), UINT64_MAX, err));
    } else {
        TARN_TRY(lsm_merge_seek_last(&it->merge, err));
    }
    return find_backward(it, err);
}

static tarn_status seek_for_prev(tarn_kv_iterator *base, tarn_slice key, tarn_error *err) {
    lsm_iterator *it = iterator_of(base);
    base->is_valid = false;
    if (is_beyond_upper(it, key)) return seek_last(base, err);
    // No entry has trailer 0: this is behind all versions of the key.
    TARN_TRY(lsm_merge_seek_before(&it->merge, key, 0, err));
    return find_backward(it, err);
}

static tarn_status next(tarn_kv_iterator *base, tarn_error *err) {
    lsm_iterator *it = iterator_of(base);
    base->is_valid = false;
    if (it->is_reverse) {
        TARN_TRY(lsm_merge_seek(&it->merge, tarn_buffer_slice(&it->key), 0, err));
        return find_forward(it, err);
    }
    if (!it->is_behind) {
        TARN_TRY(copy(&it->key, base->key, err));
        TARN_TRY(lsm_merge_step(&it->merge, err));
    }
    TARN_TRY(skip_key(it, err));
    return find_forward(it, err);
}

static tarn_status prev(tarn_kv_iterator *base, tarn_error *err) {
    lsm_iterator *it = iterator_of(base);
    base->is_valid = false;
    if (!it->is_reverse) {
        if (!it->is_behind) TARN_TRY(copy(&it->key, base->key, err));
        TARN_TRY(lsm_merge_seek_before(&it->merge, tarn_buffer_slice(&it->key), UINT64_MAX, err));
    }
    return find_backward(it, err);
}

static void free_iterator(tarn_kv_iterator *base) {
    lsm_iterator *it = iterator_of(base);
    lsm_merge_reset(&it->merge);
    lsm_view_unref(it->view);
    tarn_buffer *const buffers[] = {&it->lower, &it->upper,    &it->key,
                                    &it->value, &it->operands, &it->bytes};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) tarn_buffer_free(buffers[i]);
    tarn_alloc_free(it->engine->alloc, it->ranges, it->range_capacity);
    tarn_alloc_free(it->engine->alloc, it, 1);
}

static const kv_iterator_ops operations = {
    .seek = seek,
    .seek_for_prev = seek_for_prev,
    .seek_first = seek_first,
    .seek_last = seek_last,
    .next = next,
    .prev = prev,
    .free = free_iterator,
};

static void add_ranges(lsm_iterator *it, const lsm_ranges *ranges) {
    if (ranges != NULL && ranges->fragment_count > 0) it->ranges[it->range_count++] = ranges;
}

// Whether the table's filter says that no key has the prefix.
static tarn_status lacks_prefix(const lsm_file *file, tarn_slice prefix, bool *ret_lacks,
                                tarn_error *err) {
    lsm_filter_answer answer = LSM_FILTER_NONE;
    size_t len = lsm_table_prefix_bytes(file->table);
    if (len > 0 && prefix.len >= len) {
        uint64_t hash = lsm_filter_hash(tarn_slice_head(prefix, len));
        TARN_TRY(lsm_table_filter(file->table, hash, &answer, err));
    }
    *ret_lacks = answer == LSM_FILTER_NO;
    return TARN_OK;
}

// The same of a level, where only the tables between the bounds count.
static tarn_status level_lacks_prefix(const lsm_iterator *it, const lsm_level *level,
                                      tarn_slice prefix, bool *ret_lacks, tarn_error *err) {
    *ret_lacks = prefix.len > 0 && level->count > 0;
    size_t at = *ret_lacks ? lsm_level_find(level, it->family->order, prefix) : 0;
    for (; *ret_lacks && at < level->count; at++) {
        if (is_beyond_upper(it, level->files[at]->summary->smallest)) break;
        TARN_TRY(lacks_prefix(level->files[at], prefix, ret_lacks, err));
    }
    return TARN_OK;
}

static tarn_status add_level(lsm_iterator *it, size_t i, tarn_slice prefix, tarn_error *err) {
    const lsm_level *level = &it->view->version->levels[i];
    for (size_t k = 0; k < level->count; k++) {
        bool lacks = i > 0; // below level 0 the tables come as one source
        if (i == 0) TARN_TRY(lacks_prefix(level->files[k], prefix, &lacks, err));
        if (!lacks) lsm_merge_add_table(&it->merge, level->files[k]);
        add_ranges(it, lsm_table_ranges(level->files[k]->table));
    }
    bool lacks = true;
    if (i > 0) TARN_TRY(level_lacks_prefix(it, level, prefix, &lacks, err));
    if (!lacks) lsm_merge_add_level(&it->merge, level);
    return TARN_OK;
}

static tarn_status add_sources(lsm_iterator *it, tarn_slice prefix, tarn_error *err) {
    const lsm_view *view = it->view;
    const lsm_version *version = view->version;
    size_t sources = view->memtable_count + version->levels[0].count + LSM_LEVELS;
    size_t ranges = view->memtable_count;
    for (size_t i = 0; i < LSM_LEVELS; i++) ranges += version->levels[i].count;
    TARN_TRY(lsm_merge_init(&it->merge, it->engine->alloc, it->family->order, sources, err));
    it->ranges = tarn_alloc_new(it->engine->alloc, const lsm_ranges *, ranges);
    if (it->ranges == NULL) return fail_memory(err);
    it->range_capacity = ranges;
    for (size_t i = 0; i < view->memtable_count; i++) {
        if (lsm_memtable_is_empty(view->memtables[i])) continue;
        lsm_merge_add_memtable(&it->merge, view->memtables[i]);
        add_ranges(it, lsm_memtable_ranges(view->memtables[i]));
    }
    for (size_t i = 0; i < LSM_LEVELS; i++) TARN_TRY(add_level(it, i, prefix, err));
    return TARN_OK;
}

// The view is taken before the number: what a later flush leaves out is still in it.
static void take_view(lsm_iterator *it, const tarn_kv_snapshot *snapshot) {
    kv_guard guard = kv_epoch_enter(it->engine->epoch);
    it->view = atomic_load_explicit(&it->family->view, memory_order_acquire);
    lsm_view_ref(it->view);
    kv_epoch_leave(guard);
    it->at =
        snapshot != NULL ? ((const lsm_snapshot *)snapshot)->sequence : lsm_visible(it->engine);
}

tarn_status lsm_iterator_new(kv_engine *base, const tarn_kv_iterator_options *options,
                             tarn_kv_iterator **ret_iterator, tarn_error *err) {
    lsm *engine = lsm_of(base);
    lsm_iterator *it = tarn_alloc_new(engine->alloc, lsm_iterator, 1);
    if (it == NULL) return fail_memory(err);
    it->base.ops = &operations;
    it->engine = engine;
    it->family = options->family->engine_part;
    it->now_us = tarn_os_now_us(engine->os);
    it->merge.alloc = engine->alloc;
    tarn_buffer *const buffers[] = {&it->lower, &it->upper,    &it->key,
                                    &it->value, &it->operands, &it->bytes};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        buffers[i]->alloc = engine->alloc;
    }
    take_view(it, options->snapshot);
    tarn_status status = copy(&it->lower, options->lower, err);
    if (status == TARN_OK) status = copy(&it->upper, options->upper, err);
    if (status == TARN_OK) status = add_sources(it, options->prefix, err);
    if (status != TARN_OK) {
        free_iterator(&it->base);
        return status;
    }
    *ret_iterator = &it->base;
    return TARN_OK;
}
