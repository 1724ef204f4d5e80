// Cursors over several sorted sources at once.
#include "base/alloc.h"
#include "kv/lsm/lsm.h"

// ---- one source ----

static void take_memtable(lsm_source *source) {
    const lsm_record *record = source->memtable.record;
    source->is_valid = record != NULL;
    if (record == NULL) return;
    source->key = lsm_record_key(record);
    source->trailer = record->trailer;
    source->value = lsm_record_value(record);
}

static void take_table(lsm_source *source) {
    source->is_valid = source->table.is_valid;
    source->key = source->table.key;
    source->trailer = source->table.trailer;
    source->value = source->table.value;
}

static void open_file(lsm_source *source, size_t index) {
    if (source->file_index == index) return;
    if (source->file_index < source->level.count) lsm_table_cursor_reset(&source->table);
    source->file_index = index;
    if (index < source->level.count) {
        lsm_table_cursor_init(&source->table, source->level.files[index]->table);
    }
}

// At the end of a file of a level: on in the next one, or the one before.
static tarn_status cross_files(lsm_source *source, bool is_reverse, tarn_error *err) {
    take_table(source);
    while (source->kind == LSM_SOURCE_LEVEL && !source->is_valid) {
        size_t index = source->file_index;
        if (is_reverse ? index == 0 : index + 1 >= source->level.count) return TARN_OK;
        open_file(source, is_reverse ? index - 1 : index + 1);
        TARN_TRY(is_reverse ? lsm_table_cursor_seek_last(&source->table, err)
                            : lsm_table_cursor_seek_first(&source->table, err));
        take_table(source);
    }
    return TARN_OK;
}

static tarn_status source_seek(lsm_source *source, tarn_slice key, uint64_t trailer,
                               tarn_error *err) {
    source->is_valid = false;
    if (source->kind == LSM_SOURCE_MEMTABLE) {
        lsm_cursor_seek(&source->memtable, key, trailer);
        take_memtable(source);
        return TARN_OK;
    }
    if (source->kind == LSM_SOURCE_LEVEL) {
        size_t index = lsm_level_find(&source->level, source->order, key);
        if (index == source->level.count) return TARN_OK;
        open_file(source, index);
    }
    TARN_TRY(lsm_table_cursor_seek(&source->table, key, trailer, err));
    return cross_files(source, false, err);
}

static tarn_status source_seek_before(lsm_source *source, tarn_slice key, uint64_t trailer,
                                      tarn_error *err) {
    source->is_valid = false;
    if (source->kind == LSM_SOURCE_MEMTABLE) {
        lsm_cursor_seek_before(&source->memtable, key, trailer);
        take_memtable(source);
        return TARN_OK;
    }
    if (source->kind == LSM_SOURCE_LEVEL) {
        size_t index = lsm_level_find(&source->level, source->order, key);
        if (index == source->level.count) index--;
        open_file(source, index);
    }
    TARN_TRY(lsm_table_cursor_seek_before(&source->table, key, trailer, err));
    return cross_files(source, true, err);
}

static tarn_status source_seek_end(lsm_source *source, bool is_last, tarn_error *err) {
    source->is_valid = false;
    if (source->kind == LSM_SOURCE_MEMTABLE) {
        if (is_last) {
            lsm_cursor_seek_last(&source->memtable);
        } else {
            lsm_cursor_seek_first(&source->memtable);
        }
        take_memtable(source);
        return TARN_OK;
    }
    if (source->kind == LSM_SOURCE_LEVEL) open_file(source, is_last ? source->level.count - 1 : 0);
    TARN_TRY(is_last ? lsm_table_cursor_seek_last(&source->table, err)
                     : lsm_table_cursor_seek_first(&source->table, err));
    return cross_files(source, is_last, err);
}

static tarn_status source_step(lsm_source *source, bool is_reverse, tarn_error *err) {
    if (source->kind == LSM_SOURCE_MEMTABLE) {
        if (is_reverse) {
            lsm_cursor_prev(&source->memtable);
        } else {
            lsm_cursor_next(&source->memtable);
        }
        take_memtable(source);
        return TARN_OK;
    }
    source->is_valid = false;
    TARN_TRY(is_reverse ? lsm_table_cursor_prev(&source->table, err)
                        : lsm_table_cursor_next(&source->table, err));
    return cross_files(source, is_reverse, err);
}

// ---- all of them ----

tarn_status lsm_merge_init(lsm_merge *merge, const tarn_alloc *alloc, lsm_order order,
                           size_t capacity, tarn_error *err) {
    *merge = (lsm_merge){.alloc = alloc, .order = order, .capacity = capacity};
    merge->sources = tarn_alloc_new(alloc, lsm_source, capacity);
    if (merge->sources != NULL) return TARN_OK;
    merge->capacity = 0;
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a cursor over %zu tables", capacity);
}

void lsm_merge_reset(lsm_merge *merge) {
    for (size_t i = 0; i < merge->count; i++) {
        lsm_source *source = &merge->sources[i];
        if (source->kind == LSM_SOURCE_TABLE ||
            (source->kind == LSM_SOURCE_LEVEL && source->file_index < source->level.count)) {
            lsm_table_cursor_reset(&source->table);
        }
    }
    tarn_alloc_free(merge->alloc, merge->sources, merge->capacity);
    *merge = (lsm_merge){.alloc = merge->alloc, .order = merge->order};
}

static lsm_source *add(lsm_merge *merge) {
    tarn_assert(merge->count < merge->capacity);
    lsm_source *source = &merge->sources[merge->count++];
    source->order = merge->order;
    return source;
}

void lsm_merge_add_memtable(lsm_merge *merge, lsm_memtable *memtable) {
    lsm_source *source = add(merge);
    source->kind = LSM_SOURCE_MEMTABLE;
    lsm_cursor_init(&source->memtable, memtable);
}

void lsm_merge_add_table(lsm_merge *merge, lsm_file *file) {
    lsm_source *source = add(merge);
    source->kind = LSM_SOURCE_TABLE;
    lsm_table_cursor_init(&source->table, file->table);
}

void lsm_merge_add_level(lsm_merge *merge, const lsm_level *level) {
    if (level->count == 0) return;
    lsm_source *source = add(merge);
    source->kind = LSM_SOURCE_LEVEL;
    source->level = *level;
    source->file_index = level->count;
}

static bool is_ahead(const lsm_merge *merge, const lsm_source *a, const lsm_source *b) {
    int result = lsm_compare(merge->order, a->key, a->trailer, b->key, b->trailer);
    return merge->is_reverse ? result > 0 : result < 0;
}

// There are few sources: a scan of their keys is as fast as a heap and much simpler.
static void choose_top(lsm_merge *merge) {
    merge->top = NULL;
    for (size_t i = 0; i < merge->count; i++) {
        lsm_source *source = &merge->sources[i];
        if (!source->is_valid) continue;
        if (merge->top == NULL || is_ahead(merge, source, merge->top)) merge->top = source;
    }
}

tarn_status lsm_merge_seek(lsm_merge *merge, tarn_slice key, uint64_t trailer, tarn_error *err) {
    merge->is_reverse = false;
    merge->top = NULL;
    for (size_t i = 0; i < merge->count; i++) {
        TARN_TRY(source_seek(&merge->sources[i], key, trailer, err));
    }
    choose_top(merge);
    return TARN_OK;
}

tarn_status lsm_merge_seek_before(lsm_merge *merge, tarn_slice key, uint64_t trailer,
                                  tarn_error *err) {
    merge->is_reverse = true;
    merge->top = NULL;
    for (size_t i = 0; i < merge->count; i++) {
        TARN_TRY(source_seek_before(&merge->sources[i], key, trailer, err));
    }
    choose_top(merge);
    return TARN_OK;
}

static tarn_status seek_end(lsm_merge *merge, bool is_last, tarn_error *err) {
    merge->is_reverse = is_last;
    merge->top = NULL;
    for (size_t i = 0; i < merge->count; i++) {
        TARN_TRY(source_seek_end(&merge->sources[i], is_last, err));
    }
    choose_top(merge);
    return TARN_OK;
}

tarn_status lsm_merge_seek_first(lsm_merge *merge, tarn_error *err) {
    return seek_end(merge, false, err);
}

tarn_status lsm_merge_seek_last(lsm_merge *merge, tarn_error *err) {
    return seek_end(merge, true, err);
}

tarn_status lsm_merge_step(lsm_merge *merge, tarn_error *err) {
    lsm_source *source = merge->top;
    merge->top = NULL;
    TARN_TRY(source_step(source, merge->is_reverse, err));
    if (merge->count == 1) {
        merge->top = source->is_valid ? source : NULL;
    } else {
        choose_top(merge);
    }
    return TARN_OK;
}
