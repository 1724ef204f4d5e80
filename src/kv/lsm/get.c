// Point reads.
#include "base/alloc.h"
#include "kv/lsm/filter.h"
#include "kv/lsm/lsm.h"

typedef struct lookup {
    lsm *engine;
    const lsm_family *family;
    tarn_slice key;
    uint64_t at;    // numbers above are not looked at
    uint64_t cover; // the newest tombstone over the key in what was looked at
    uint64_t hash;
    bool has_hash;
    bool is_done;
    bool has_value;
    tarn_slice value; // where it lies, or in `base` when there are operands
    tarn_buffer base;
    tarn_buffer operands; // of operand; newest first
    tarn_buffer bytes;    // of operands
    tarn_kv_visitor *visit;
    void *context;
} lookup;

typedef struct operand {
    size_t begin;
    size_t len;
} operand;

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for merge operands");
}

static tarn_status add_operand(lookup *l, tarn_slice value, tarn_error *err) {
    operand o = {l->bytes.len, value.len};
    if (value.len > 0 && !tarn_buffer_append(&l->bytes, value)) return fail_memory(err);
    return tarn_buffer_append(&l->operands, (tarn_slice){(const uint8_t *)&o, sizeof o})
               ? TARN_OK
               : fail_memory(err);
}

static tarn_status finish(lookup *l, const tarn_slice *value, tarn_error *err) {
    l->is_done = true;
    size_t count = l->operands.len / sizeof(operand);
    if (count == 0) {
        l->has_value = value != NULL;
        return value == NULL ? TARN_OK : l->visit(l->context, *value, err);
    }
    tarn_slice *operands = tarn_alloc_new(l->engine->alloc, tarn_slice, count);
    if (operands == NULL) return fail_memory(err);
    const operand *newest_first = (const operand *)(const void *)l->operands.data;
    for (size_t i = 0; i < count; i++) {
        const operand *o = &newest_first[count - 1 - i];
        operands[i] = (tarn_slice){o->len == 0 ? NULL : l->bytes.data + o->begin, o->len};
    }
    tarn_status status = kv_fold(l->family->front, l->key, value, operands, count,
                                 tarn_os_now_us(l->engine->os), &l->base, err);
    tarn_alloc_free(l->engine->alloc, operands, count);
    if (status != TARN_OK) return status;
    l->has_value = true;
    return l->visit(l->context, tarn_buffer_slice(&l->base), err);
}

// The next older version of the key.
static tarn_status take(lookup *l, uint64_t trailer, tarn_slice value, tarn_error *err) {
    if (lsm_trailer_sequence(trailer) < l->cover) return finish(l, NULL, err);
    switch (lsm_trailer_kind(trailer)) {
    case KV_PUT: return finish(l, &value, err);
    case KV_MERGE: return add_operand(l, value, err);
    case KV_DELETE:
    case KV_DELETE_RANGE: break;
    }
    return finish(l, NULL, err);
}

static void cover(lookup *l, const lsm_ranges *ranges) {
    if (ranges == NULL) return;
    uint64_t newest = lsm_ranges_cover(ranges, l->key, l->at);
    if (newest > l->cover) l->cover = newest;
}

static tarn_status look_in_memtable(lookup *l, const lsm_memtable *memtable, tarn_error *err) {
    if (lsm_memtable_is_empty(memtable)) return TARN_OK;
    cover(l, lsm_memtable_ranges(memtable));
    lsm_cursor cursor;
    lsm_cursor_init(&cursor, memtable);
    lsm_cursor_seek(&cursor, l->key, lsm_trailer_newest(l->at));
    while (!l->is_done && cursor.record != NULL &&
           tarn_slice_equal(lsm_record_key(cursor.record), l->key)) {
        TARN_TRY(take(l, cursor.record->trailer, lsm_record_value(cursor.record), err));
        if (!l->is_done) lsm_cursor_next(&cursor);
    }
    return TARN_OK;
}

static void count(_Atomic uint64_t *counter) {
    // Two operations instead of one: a count that is off by a few serves as well.
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + 1, memory_order_relaxed);
}

static tarn_status search_table(lookup *l, lsm_file *file, bool *ret_found, tarn_error *err) {
    lsm_table_cursor cursor;
    lsm_table_cursor_init(&cursor, file->table);
    *ret_found = false;
    tarn_status status = lsm_table_cursor_seek(&cursor, l->key, lsm_trailer_newest(l->at), err);
    while (status == TARN_OK && !l->is_done && cursor.is_valid &&
           tarn_slice_equal(cursor.key, l->key)) {
        *ret_found = true;
        status = take(l, cursor.trailer, cursor.value, err);
        if (status == TARN_OK && !l->is_done) status = lsm_table_cursor_next(&cursor, err);
    }
    lsm_table_cursor_reset(&cursor);
    return status;
}

static tarn_status look_in_file(lookup *l, lsm_file *file, tarn_error *err) {
    lsm_filter_answer answer;
    cover(l, lsm_table_ranges(file->table));
    if (!l->has_hash) {
        l->hash = lsm_filter_hash(l->key);
        l->has_hash = true;
    }
    TARN_TRY(lsm_table_filter(file->table, l->hash, &answer, err));
    if (answer != LSM_FILTER_NONE) count(&l->engine->filter_checks);
    if (answer == LSM_FILTER_NO) {
        count(&l->engine->filter_rejects);
        return TARN_OK;
    }
    bool found;
    TARN_TRY(search_table(l, file, &found, err));
    if (!found && answer == LSM_FILTER_MAYBE) count(&l->engine->filter_false);
    return TARN_OK;
}

static tarn_status look(lookup *l, const lsm_view *view, tarn_error *err) {
    lsm_order order = l->family->order;
    for (size_t i = 0; i < view->memtable_count && !l->is_done; i++) {
        TARN_TRY(look_in_memtable(l, view->memtables[i], err));
        // What lies deeper is older than the tombstone.
        if (!l->is_done && l->cover > 0) return finish(l, NULL, err);
    }
    const lsm_level *top = &view->version->levels[0];
    for (size_t i = 0; i < top->count && !l->is_done; i++) {
        if (!lsm_file_may_hold(top->files[i], order, l->key)) continue;
        TARN_TRY(look_in_file(l, top->files[i], err));
        if (!l->is_done && l->cover > 0) return finish(l, NULL, err);
    }
    for (size_t i = 1; i < LSM_LEVELS && !l->is_done; i++) {
        const lsm_level *level = &view->version->levels[i];
        if (level->count == 0) continue;
        size_t at = lsm_level_find(level, order, l->key);
        if (at == level->count || !lsm_file_may_hold(level->files[at], order, l->key)) continue;
        TARN_TRY(look_in_file(l, level->files[at], err));
        if (!l->is_done && l->cover > 0) return finish(l, NULL, err);
    }
    return l->is_done ? TARN_OK : finish(l, NULL, err);
}

// NOLINTNEXTLINE(readability-function-size): the parameters are those of kv_engine_ops
tarn_status lsm_get(kv_engine *base, const tarn_kv_family *front, const tarn_kv_snapshot *snapshot,
                    tarn_slice key, tarn_kv_visitor *visit, void *context, bool *ret_found,
                    tarn_error *err) {
    lsm *engine = lsm_of(base);
    const lsm_family *family = front->engine_part;
    kv_guard guard = kv_epoch_enter(engine->epoch);
    // The view first: what a later flush leaves out is still in it.
    const lsm_view *view = atomic_load_explicit(&family->view, memory_order_acquire);
    lookup l = {
        .engine = engine,
        .family = family,
        .key = key,
        .at = snapshot != NULL ? ((const lsm_snapshot *)snapshot)->sequence : lsm_visible(engine),
        .base = {.alloc = engine->alloc},
        .operands = {.alloc = engine->alloc},
        .bytes = {.alloc = engine->alloc},
        .visit = visit,
        .context = context,
    };
    tarn_status status = look(&l, view, err);
    kv_epoch_leave(guard);
    tarn_buffer_free(&l.bytes);
    tarn_buffer_free(&l.operands);
    tarn_buffer_free(&l.base);
    if (status == TARN_OK) *ret_found = l.has_value;
    return status;
}
