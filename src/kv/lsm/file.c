#include "base/alloc.h"
#include "kv/lsm/lsm.h"

tarn_status lsm_file_path(const lsm *engine, tarn_slice directory, uint64_t id, tarn_arena *arena,
                          tarn_slice *ret_path, tarn_error *err) {
    (void)engine;
    if (tarn_arena_printf(arena, ret_path, TARN_SLICE_FMT "/%06llu.sst", TARN_SLICE_ARG(directory),
                          (unsigned long long)id)) {
        return TARN_OK;
    }
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
}

bool lsm_file_parse_name(tarn_slice name, uint64_t *ret_id) {
    if (name.len < 10 || name.len > 23) return false;
    if (!tarn_slice_equal(tarn_slice_skip(name, name.len - 4), TARN_LIT(".sst"))) return false;
    uint64_t id = 0;
    for (size_t i = 0; i < name.len - 4; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') return false;
        id = id * 10 + (uint64_t)(name.data[i] - '0');
    }
    *ret_id = id;
    return true;
}

static tarn_status open_table(lsm_file *file, const lsm_family *family, tarn_slice path,
                              tarn_error *err) {
    TARN_TRY(tarn_map_open(file->engine->os, path, &file->map, err));
    size_t slash = path.len;
    while (slash > 0 && path.data[slash - 1] != '/') slash--;
    const tarn_kv_merge_operator *merge = family->front->options.merge;
    lsm_table_source source = {
        .bytes = {file->map.data, file->map.len},
        .name = tarn_slice_skip(path, slash),
        .file_id = file->id,
        .order = family->order,
        .merge_name = merge == NULL ? TARN_LIT("") : tarn_slice_from_cstr(merge->name),
        .cache = file->engine->cache,
    };
    TARN_TRY(lsm_table_open(file->engine->alloc, &source, &file->table, err));
    file->summary = lsm_table_get_summary(file->table);
    return TARN_OK;
}

tarn_status lsm_file_open(lsm *engine, const lsm_family *family, uint64_t id, lsm_file **ret_file,
                          tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    tarn_slice path;
    lsm_file *file = tarn_alloc_new(engine->alloc, lsm_file, 1);
    tarn_status status =
        file == NULL ? tarn_fail(err, TARN_NO_MEMORY, "no memory for a table") : TARN_OK;
    if (status == TARN_OK) {
        file->engine = engine;
        file->id = id;
        atomic_init(&file->reference_count, 1);
        status = lsm_file_path(engine, engine->directory, id, &arena, &path, err);
    }
    if (status == TARN_OK) status = open_table(file, family, path, err);
    tarn_arena_reset(&arena);
    if (status != TARN_OK) {
        lsm_file_unref(file);
        return status;
    }
    *ret_file = file;
    return TARN_OK;
}

void lsm_file_ref(lsm_file *file) {
    atomic_fetch_add_explicit(&file->reference_count, 1, memory_order_relaxed);
}

void lsm_file_unref(lsm_file *file) {
    if (file == NULL) return;
    // Acquire and release: what others did with it happens before it is freed.
    if (atomic_fetch_sub_explicit(&file->reference_count, 1, memory_order_acq_rel) > 1) return;
    lsm *engine = file->engine;
    lsm_table_close(file->table);
    tarn_map_close(&file->map);
    if (atomic_load_explicit(&file->is_dropped, memory_order_relaxed)) {
        tarn_arena arena;
        tarn_slice path;
        tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
        // What is not removed now is removed when the store is opened: no edit names it.
        if (lsm_file_path(engine, engine->directory, file->id, &arena, &path, NULL) == TARN_OK) {
            lsm_ignore(tarn_os_remove(engine->os, path, NULL));
        }
        tarn_arena_reset(&arena);
    }
    tarn_alloc_free(engine->alloc, file, 1);
}

bool lsm_file_is_before(const lsm_file *file, lsm_order order, tarn_slice key) {
    const lsm_table_summary *summary = file->summary;
    if (summary->is_largest_exclusive && summary->largest.len == 0) return false;
    int result = lsm_compare_bounds(order, summary->largest, key);
    return result < 0 || (result == 0 && summary->is_largest_exclusive);
}

bool lsm_file_overlaps(const lsm_file *file, lsm_order order, tarn_slice begin, tarn_slice end) {
    if (begin.len > 0 && lsm_file_is_before(file, order, begin)) return false;
    return end.len == 0 || lsm_compare_bounds(order, file->summary->smallest, end) <= 0;
}

bool lsm_file_may_hold(const lsm_file *file, lsm_order order, tarn_slice key) {
    return lsm_compare_bounds(order, file->summary->smallest, key) <= 0 &&
           !lsm_file_is_before(file, order, key);
}
