// Checkpoints: the pages of a version into the file, then a meta page that says so.
//
// The first half (the state run, and room in the file) can fail and leaves everything as it was.
// Once the first page is stored, a failure is for good: what is in the file is unknown, and the
// checkpoint before, with the log, is what the next open finds.
#include "base/alloc.h"
#include "base/bitmap.h"
#include "kv/btree/btree.h"

#define REPORT_BYTES ((size_t)1 << 20) // of stores at once

bool btree_checkpoint_is_due(const btree_engine *engine) {
    size_t dirty_bytes = engine->pages.page_bytes * engine->pages.dirty_count;
    return engine->logged_bytes >= engine->log_limit ||
           dirty_bytes > engine->options->memory_limit_bytes / 2;
}

// ---- what is free in the checkpoint ----

static void give_queue(const btree_queue *queue, btree_space *free) {
    for (size_t i = queue->head; i < queue->count; i++) {
        if (queue->entries[i].page == 0) continue;
        btree_space_give(free, queue->entries[i].page, queue->entries[i].count);
    }
}

// After a crash nobody reads: what waits for readers is free, and so is what the checkpoint before
// needs, for this one then is the one that counts.
static tarn_status collect_free(const btree_engine *engine, btree_space *free, tarn_error *err) {
    const btree_pages *pages = &engine->pages;
    if (!btree_space_grow(free, pages->space.page_count)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for the free pages of a B+tree");
    }
    uint32_t page = 0;
    uint32_t count = 0;
    for (uint32_t at = 0; btree_space_next(&pages->space, at, &page, &count); at = page + count) {
        btree_space_give(free, page, count);
    }
    give_queue(&pages->waiting_durable, free);
    give_queue(&pages->waiting_readers, free);
    if (engine->meta.state_page != 0) {
        btree_space_give(free, engine->meta.state_page, engine->meta.state_pages);
    }
    return TARN_OK;
}

static size_t collect_roots(const btree_engine *engine, btree_family_root *roots) {
    size_t count = 0;
    for (size_t i = 0; i < engine->root_count; i++) {
        if (engine->roots[i].root.page != 0) roots[count++] = engine->roots[i];
    }
    return count;
}

static tarn_status encode_state(const btree_engine *engine, tarn_buffer *out, tarn_error *err) {
    btree_space free;
    btree_space_init(&free, engine->alloc);
    btree_family_root *roots =
        tarn_alloc_new(engine->alloc, btree_family_root, engine->root_count + 1);
    tarn_status status = collect_free(engine, &free, err);
    if (status == TARN_OK &&
        (roots == NULL || !btree_state_encode(roots, collect_roots(engine, roots), &free, out))) {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for the free pages of a B+tree");
    }
    tarn_alloc_free(engine->alloc, roots, engine->root_count + 1);
    btree_space_reset(&free);
    return status;
}

// ---- the first half ----

static tarn_status add_state_run(btree_engine *engine, tarn_slice body, btree_meta *meta,
                                 tarn_error *err) {
    btree_pages *pages = &engine->pages;
    size_t bytes = BTREE_HEADER_BYTES + body.len;
    uint32_t count = (uint32_t)((bytes + pages->page_bytes - 1) / pages->page_bytes);
    uint8_t *run;
    TARN_TRY(btree_pages_alloc(pages, count, &meta->state_page, &run, err));
    meta->state_pages = count;
    run[BTREE_AT_KIND] = BTREE_STATE;
    memcpy(run + BTREE_HEADER_BYTES, body.data, body.len);
    memset(run + bytes, 0, count * pages->page_bytes - bytes);
    if (engine->meta.state_page == 0) return TARN_OK;
    // It waits until this checkpoint is durable, but for no reader: only an open reads it.
    uint64_t made = pages->version - 1;
    return btree_pages_free(pages, engine->meta.state_page, engine->meta.state_pages, made, err);
}

static tarn_status make_room(btree_engine *engine, tarn_error *err) {
    btree_pages *pages = &engine->pages;
    const tarn_map *map = btree_pages_newest(pages);
    uint32_t file_pages = (uint32_t)(map->len / pages->page_bytes);
    uint32_t wanted = pages->space.page_count;
    if (wanted > file_pages) {
        uint32_t larger = file_pages + file_pages / 4;
        TARN_TRY(btree_pages_map(pages, engine->os, wanted > larger ? wanted : larger, false, err));
    }
    // Afterwards every dirty frame is retired, and everything that waited for this moves on.
    size_t durable = pages->waiting_durable.count - pages->waiting_durable.head;
    size_t freed = pages->freed.count - pages->freed.head;
    if (!btree_queue_reserve(pages->alloc, &pages->waiting_readers,
                             pages->dirty_count + durable + freed) ||
        !btree_queue_reserve(pages->alloc, &pages->waiting_durable, freed)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for the list of free pages");
    }
    return TARN_OK;
}

static tarn_status prepare(btree_engine *engine, btree_meta *ret_meta, tarn_error *err) {
    btree_pages *pages = &engine->pages;
    tarn_buffer state = {.alloc = engine->alloc};
    tarn_status status = encode_state(engine, &state, err);
    btree_pages_begin(pages, kv_epoch_now(engine->epoch));
    btree_meta meta = {
        .number = engine->meta.number + 1, .version = pages->version, .sequence = engine->sequence};
    if (status == TARN_OK) status = add_state_run(engine, tarn_buffer_slice(&state), &meta, err);
    if (status == TARN_OK) status = make_room(engine, err);
    // So that the segments behind us can go.
    if (status == TARN_OK && engine->logged_bytes > 0) status = kv_log_roll(engine->log, err);
    tarn_buffer_free(&state);
    if (status != TARN_OK) {
        btree_pages_abort(pages);
        return status;
    }
    pages->shielded = pages->version;
    btree_pages_commit(pages);
    meta.page_count = pages->space.page_count;
    *ret_meta = meta;
    return TARN_OK;
}

// ---- the second half ----

// Stores reported together.
typedef struct report {
    tarn_map *map;
    size_t begin;
    size_t end;
} report;

static void report_stores(report *r) {
    if (r->end > r->begin) tarn_map_wrote(r->map, r->begin, r->end - r->begin);
    r->begin = r->end;
}

static void store_page(btree_engine *engine, report *r, uint32_t page) {
    btree_pages *pages = &engine->pages;
    const uint8_t *frame =
        atomic_load_explicit(btree_pages_place(pages, page), memory_order_relaxed);
    size_t len = pages->page_bytes * tarn_load_u32(frame + BTREE_AT_RUN_PAGES);
    size_t offset = pages->page_bytes * page;
    if (offset != r->end || r->end - r->begin >= REPORT_BYTES) {
        report_stores(r);
        r->begin = offset;
    }
    uint8_t *target = r->map->data + offset;
    memcpy(target, frame, len);
    tarn_store_u64(target + BTREE_AT_CHECKSUM, btree_page_checksum(target, len));
    r->end = offset + len;
    engine->numbers.written_bytes += len;
}

// Calls `visit` for the first page of everything dirty, in the order of the file.
static void for_each_dirty(btree_engine *engine, report *r,
                           void (*visit)(btree_engine *engine, report *r, uint32_t page)) {
    const btree_pages *pages = &engine->pages;
    for (size_t i = 0; i < TARN_BITMAP_WORDS((size_t)pages->space.page_count); i++) {
        for (uint64_t word = pages->is_dirty[i]; word != 0; word &= word - 1) {
            visit(engine, r, (uint32_t)(64 * i) + (uint32_t)__builtin_ctzll(word));
        }
    }
}

static tarn_status store_meta(btree_engine *engine, tarn_map *map, const btree_meta *meta,
                              tarn_error *err) {
    size_t page_bytes = engine->pages.page_bytes;
    size_t offset = page_bytes * (meta->number % 2);
    btree_meta_encode(meta, map->data + offset, page_bytes);
    tarn_map_wrote(map, offset, page_bytes);
    return tarn_map_sync(map, offset, page_bytes, err);
}

// The page is read in the map from now on; its frame when nobody who is inside may have found it.
static void switch_page(btree_engine *engine, report *r, uint32_t page) {
    btree_pages *pages = &engine->pages;
    btree_place *place = btree_pages_place(pages, page);
    uint8_t *frame = atomic_load_explicit(place, memory_order_relaxed);
    uint32_t count = tarn_load_u32(frame + BTREE_AT_RUN_PAGES);
    btree_queue_push(&pages->waiting_readers,
                     (btree_retired){.frame = frame,
                                     .count = count,
                                     .made = btree_page_version(frame),
                                     .freed = kv_epoch_now(engine->epoch) + 1});
    // Release: pairs with the acquire in btree_pages_read.
    atomic_store_explicit(place, r->map->data + pages->page_bytes * page, memory_order_release);
    tarn_bitmap_unset(pages->has_frame, page);
}

static void finish(btree_engine *engine, report *r, const btree_meta *meta) {
    btree_pages *pages = &engine->pages;
    for_each_dirty(engine, r, switch_page);
    memset(pages->is_dirty, 0, pages->bitmap_words * sizeof *pages->is_dirty);
    pages->dirty_count = 0;
    btree_queue *durable = &pages->waiting_durable;
    for (size_t i = durable->head; i < durable->count; i++) {
        btree_queue_push(&pages->waiting_readers, durable->entries[i]);
    }
    durable->head = durable->count = 0;
    engine->meta = *meta;
    engine->logged_bytes = 0;
    engine->has_changed = false;
    engine->numbers.checkpoints++;
    engine->numbers.file_bytes = r->map->len;
    kv_epoch_advance(engine->epoch);
}

static tarn_status write_out(btree_engine *engine, report *r, const btree_meta *meta,
                             tarn_error *err) {
    for_each_dirty(engine, r, store_page);
    report_stores(r);
    size_t metas = 2 * engine->pages.page_bytes;
    TARN_TRY(tarn_map_sync(r->map, metas, r->map->len - metas, err));
    return store_meta(engine, r->map, meta, err);
}

// Makes the newest segment durable, its header too: kv_log_sync sees to records alone.
static tarn_status sync_newest_segment(btree_engine *engine, tarn_arena *arena, tarn_error *err) {
    kv_log_segment_info *infos = NULL;
    size_t count = 0;
    tarn_slice path = {NULL, 0};
    TARN_TRY(kv_log_segments(engine->log, arena, &infos, &count, err));
    if (count == 0) return TARN_OK;
    TARN_TRY(kv_log_path(engine->log, infos[count - 1].number, arena, &path, err));
    return btree_sync_file(engine, path, err);
}

tarn_status btree_release_log(btree_engine *engine, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    tarn_status status = sync_newest_segment(engine, &arena, err);
    tarn_arena_reset(&arena);
    TARN_TRY(status);
    return kv_log_release(engine->log, engine->meta.sequence + 1, err);
}

tarn_status btree_checkpoint(btree_engine *engine, tarn_error *err) {
    if (engine->has_failed) {
        return tarn_fail(err, TARN_IO,
                         "'" TARN_SLICE_FMT
                         "' cannot be written since a checkpoint failed: open the store again",
                         TARN_SLICE_ARG(engine->path));
    }
    if (engine->sequence == engine->meta.sequence && !engine->has_changed) return TARN_OK;
    btree_meta meta;
    TARN_TRY(prepare(engine, &meta, err));
    report r = {.map = &engine->pages.maps[engine->pages.map_count - 1]};
    tarn_status status = write_out(engine, &r, &meta, err);
    if (status != TARN_OK) {
        engine->has_failed = true;
        return status;
    }
    finish(engine, &r, &meta);
    btree_reclaim(engine);
    return btree_release_log(engine, err);
}

// ---- giving space back ----

#define READER_LOCKS 8

// Whether another process may have mapped the file: what is mapped is never made shorter.
static tarn_status find_readers(btree_engine *engine, bool *ret_found, tarn_error *err) {
    *ret_found = false;
    for (unsigned i = 0; i < READER_LOCKS && !*ret_found; i++) {
        char name[] = "READER-0";
        name[sizeof name - 2] = (char)('0' + i);
        tarn_slice path = {NULL, 0};
        tarn_file_info info;
        TARN_TRY(btree_path_of(&engine->arena, engine->directory, name, &path, err));
        TARN_TRY(tarn_os_stat(engine->os, path, &info, err));
        if (!info.exists) continue;
        tarn_file_lock *lock = NULL;
        *ret_found = tarn_os_lock(engine->os, path, TARN_LIT("shrinking"), &lock, NULL) != TARN_OK;
        tarn_os_unlock(lock);
    }
    return TARN_OK;
}

tarn_status btree_shrink(btree_engine *engine, tarn_error *err) {
    btree_pages *pages = &engine->pages;
    const tarn_map *map = btree_pages_newest(pages);
    uint64_t wanted = (uint64_t)engine->meta.page_count * pages->page_bytes;
    if (map == NULL || wanted >= map->len) return TARN_OK;
    bool has_readers;
    TARN_TRY(find_readers(engine, &has_readers, err));
    if (has_readers) return TARN_OK;
    while (pages->map_count > 0) tarn_map_close(&pages->maps[--pages->map_count]);
    tarn_file *file = NULL;
    TARN_TRY(tarn_os_open(engine->os, engine->path, TARN_OPEN_UPDATE, &file, err));
    tarn_status status = tarn_file_resize(file, wanted, err);
    if (status == TARN_OK) status = tarn_file_sync(file, err);
    tarn_status closed = tarn_file_close(file, status == TARN_OK ? err : NULL);
    return status == TARN_OK ? closed : status;
}
