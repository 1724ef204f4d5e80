// Opening and closing, and families.
#include "base/alloc.h"
#include "kv/btree/btree.h"

tarn_status btree_path_of(tarn_arena *arena, tarn_slice directory, const char *name,
                          tarn_slice *ret_path, tarn_error *err) {
    if (tarn_arena_printf(arena, ret_path, TARN_SLICE_FMT "/%s", TARN_SLICE_ARG(directory), name)) {
        return TARN_OK;
    }
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the path of '%s'", name);
}

// ---- families ----

static tarn_status add_slot(btree_engine *engine, uint32_t id, const btree_root *root,
                            tarn_error *err) {
    if (engine->root_count == engine->root_capacity) {
        size_t capacity = engine->root_capacity == 0 ? 8 : 2 * engine->root_capacity;
        btree_family_root *roots = tarn_alloc_new(engine->alloc, btree_family_root, capacity);
        if (roots == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a family");
        if (engine->root_count > 0) {
            memcpy(roots, engine->roots, engine->root_count * sizeof *roots);
        }
        tarn_alloc_free(engine->alloc, engine->roots, engine->root_capacity);
        engine->roots = roots;
        engine->root_capacity = capacity;
    }
    engine->roots[engine->root_count++] = (btree_family_root){id, *root};
    return TARN_OK;
}

static btree_family_root *find_slot(const btree_engine *engine, uint32_t id) {
    for (size_t i = 0; i < engine->root_count; i++) {
        if (engine->roots[i].family_id == id) return &engine->roots[i];
    }
    return NULL;
}

static tarn_status add_family(btree_engine *engine, tarn_kv_family *family, tarn_error *err) {
    if (find_slot(engine, family->id) == NULL) {
        TARN_TRY(add_slot(engine, family->id, &(btree_root){0}, err));
    }
    btree_family *part = tarn_alloc_new(engine->alloc, btree_family, 1);
    if (part == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a family");
    *part = (btree_family){.next = engine->families,
                           .family = family,
                           .slot = (size_t)(find_slot(engine, family->id) - engine->roots)};
    engine->families = part;
    family->engine_part = part;
    return TARN_OK;
}

static tarn_status family_open(kv_engine *base, tarn_kv_family *family, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    btree_lead(engine);
    btree_transaction_begin(engine);
    tarn_status status = add_family(engine, family, err);
    if (status == TARN_OK) {
        status = btree_transaction_commit(engine, err);
    } else {
        btree_transaction_abort(engine);
    }
    btree_follow(engine);
    return status;
}

// Empties the tree of a family that is gone. What memory does not suffice for now is done at the
// next open, which finds a tree without a family.
static tarn_status clear_slot(btree_engine *engine, size_t slot, tarn_error *err) {
    btree_writer writer = {.pages = &engine->pages, .scratch = &engine->scratch};
    engine->has_changed = true;
    return btree_clear(&writer, &engine->roots[slot].root, err);
}

static void family_drop(kv_engine *base, tarn_kv_family *family) {
    btree_engine *engine = btree_of(base);
    btree_family *part = family->engine_part;
    btree_lead(engine);
    part->family = NULL;
    btree_transaction_begin(engine);
    bool is_cleared = clear_slot(engine, part->slot, NULL) == TARN_OK;
    if (!is_cleared || btree_transaction_commit(engine, NULL) != TARN_OK) {
        btree_transaction_abort(engine); // see clear_slot
    }
    btree_follow(engine);
}

// ---- opening ----

// Both meta pages, durably: a file that is there has one that can be read.
static tarn_status create_file(btree_engine *engine, tarn_error *err) {
    size_t len = 2 * engine->pages.page_bytes;
    uint8_t *bytes = tarn_alloc_new(engine->alloc, uint8_t, len);
    if (bytes == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a new B+tree");
    btree_meta meta = {.version = 1, .page_count = 2};
    btree_meta_encode(&meta, bytes, engine->pages.page_bytes);
    tarn_status status = tarn_os_write_file(engine->os, engine->path, (tarn_slice){bytes, len},
                                            TARN_WRITE_EXCLUSIVE, err);
    tarn_alloc_free(engine->alloc, bytes, len);
    return status;
}

static tarn_status choose_meta(btree_engine *engine, const tarn_map *map, tarn_error *err) {
    size_t page_bytes = engine->pages.page_bytes;
    const char *reasons[2] = {NULL, NULL};
    bool found = false;
    for (size_t i = 0; i < 2; i++) {
        btree_meta meta;
        if (!btree_meta_decode(map->data + i * page_bytes, page_bytes, &meta, &reasons[i]) ||
            (found && meta.number < engine->meta.number)) {
            continue;
        }
        engine->meta = meta;
        found = true;
    }
    if (!found) {
        return tarn_fail(err, TARN_CORRUPT,
                         "'" TARN_SLICE_FMT "': meta page at offset 0: %s; at offset %zu: %s",
                         TARN_SLICE_ARG(engine->path), reasons[0], page_bytes, reasons[1]);
    }
    if (map->len / page_bytes >= engine->meta.page_count) return TARN_OK;
    return tarn_fail(err, TARN_CORRUPT,
                     "'" TARN_SLICE_FMT "' has %zu bytes, and its %u pages need %llu",
                     TARN_SLICE_ARG(engine->path), map->len, engine->meta.page_count,
                     (unsigned long long)engine->meta.page_count * page_bytes);
}

static tarn_status load_state(btree_engine *engine, tarn_arena *arena, tarn_error *err) {
    btree_pages *pages = &engine->pages;
    const btree_meta *meta = &engine->meta;
    TARN_TRY(btree_pages_cover(pages, meta->page_count, err));
    if (!btree_space_grow(&pages->space, meta->page_count)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for the free pages of a B+tree");
    }
    if (meta->state_page == 0) return TARN_OK;
    const uint8_t *run = NULL;
    TARN_TRY(btree_pages_read_first(pages, meta->state_page, BTREE_STATE, &run, err));
    size_t len = pages->page_bytes * tarn_load_u32(run + BTREE_AT_RUN_PAGES);
    btree_state state = {0};
    tarn_slice body = {run + BTREE_HEADER_BYTES, len - BTREE_HEADER_BYTES};
    tarn_status status = btree_state_decode(body, meta, arena, &pages->space, &state, err);
    if (status == TARN_OK && tarn_load_u32(run + BTREE_AT_RUN_PAGES) != meta->state_pages) {
        status = tarn_fail(err, TARN_CORRUPT, "its length is not what the meta page says");
    }
    if (status != TARN_OK) {
        tarn_error_prefix(
            err, "'" TARN_SLICE_FMT "': page %u at offset %llu: ", TARN_SLICE_ARG(engine->path),
            meta->state_page, (unsigned long long)meta->state_page * pages->page_bytes);
    }
    for (size_t i = 0; i < state.family_count && status == TARN_OK; i++) {
        status = add_slot(engine, state.families[i].family_id, &state.families[i].root, err);
    }
    return status;
}

tarn_status btree_sync_file(const btree_engine *engine, tarn_slice path, tarn_error *err) {
    tarn_file *file = NULL;
    TARN_TRY(tarn_os_open(engine->os, path, TARN_OPEN_UPDATE, &file, err));
    tarn_status status = tarn_file_sync(file, err);
    tarn_status closed = tarn_file_close(file, status == TARN_OK ? err : NULL);
    return status == TARN_OK ? closed : status;
}

static tarn_status open_file(btree_engine *engine, tarn_error *err) {
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(engine->os, engine->path, &info, err));
    if (!info.exists) {
        engine->meta = (btree_meta){.version = 1, .page_count = 2};
        if (engine->options->read_only) return TARN_OK;
        TARN_TRY(create_file(engine, err));
        info.size_bytes = 2 * engine->pages.page_bytes;
    }
    uint64_t pages = info.size_bytes / engine->pages.page_bytes;
    if (pages < 2 || pages > UINT32_MAX) {
        return tarn_fail(err, TARN_CORRUPT, "'" TARN_SLICE_FMT "' has %llu bytes: it was cut",
                         TARN_SLICE_ARG(engine->path), (unsigned long long)info.size_bytes);
    }
    // A process that was killed may have left a meta page that a power loss could still take away,
    // and with it the pages it names: what is seen is made durable before anything is reused.
    if (!engine->options->read_only) TARN_TRY(btree_sync_file(engine, engine->path, err));
    TARN_TRY(btree_pages_map(&engine->pages, engine->os, (uint32_t)pages,
                             engine->options->read_only, err));
    const tarn_map *map = btree_pages_newest(&engine->pages);
    engine->numbers.file_bytes = map->len;
    TARN_TRY(choose_meta(engine, map, err));
    tarn_arena arena;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    tarn_status status = load_state(engine, &arena, err);
    tarn_arena_reset(&arena);
    return status;
}

static tarn_status first_view(btree_engine *engine, tarn_error *err) {
    kv_epoch_start_at(engine->epoch, engine->meta.version);
    engine->pages.shielded = engine->meta.version;
    btree_view *view = NULL;
    TARN_TRY(btree_view_new(engine, engine->meta.version, &view, err));
    btree_view_publish(engine, view);
    return TARN_OK;
}

// ---- the log ----

static tarn_status fail_gap(const btree_engine *engine, uint64_t first, tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT,
                     "'" TARN_SLICE_FMT
                     "' ends with change %llu, and the log begins with change %llu: a meta page or "
                     "a segment of the log is lost",
                     TARN_SLICE_ARG(engine->path), (unsigned long long)engine->meta.sequence,
                     (unsigned long long)first);
}

static tarn_status replay(void *context, const kv_log_record *record, tarn_error *err) {
    btree_engine *engine = context;
    if (record->sequence <= engine->sequence) return TARN_OK;
    if (record->sequence != engine->sequence + 1 &&
        engine->options->recovery != TARN_KV_SKIP_CORRUPT) {
        return fail_gap(engine, record->sequence, err);
    }
    TARN_TRY(btree_apply(engine, record->body, NULL, err));
    engine->sequence = record->sequence + record->count - 1;
    engine->logged_bytes += KV_LOG_SIZE(record->body.len);
    return TARN_OK;
}

// An older meta page may be the only one that can be read: then the log must reach back to it.
static tarn_status check_log_begin(btree_engine *engine, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    kv_log_segment_info *infos = NULL;
    size_t count = 0;
    tarn_status status = kv_log_segments(engine->log, &arena, &infos, &count, err);
    if (status == TARN_OK && count > 0 && infos[0].first_sequence > engine->meta.sequence + 1 &&
        engine->options->recovery != TARN_KV_SKIP_CORRUPT) {
        status = fail_gap(engine, infos[0].first_sequence, err);
    }
    tarn_arena_reset(&arena);
    return status;
}

#define SEGMENT_BYTES_MIN 4096u // room for the log's own

static tarn_status open_log(btree_engine *engine, tarn_error *err) {
    engine->sequence = engine->meta.sequence;
    kv_log_options options = {
        .os = engine->os,
        .alloc = engine->alloc,
        .directory = engine->directory,
        .segment_bytes = engine->log_limit / 4 + SEGMENT_BYTES_MIN,
        .spare_count = 4,
        .has_thread = engine->os == tarn_os_posix() && !engine->options->read_only,
        .is_read_only = engine->options->read_only,
        .sync_interval_ms = engine->options->sync_interval_ms,
        .recovery = engine->options->recovery,
        .replay = replay,
        .context = engine,
        .first_sequence = engine->meta.sequence + 1,
    };
    TARN_TRY(kv_log_open(&options, &engine->log, err));
    if (!engine->options->read_only) TARN_TRY(check_log_begin(engine, err));
    uint64_t visible = kv_log_visible(engine->log);
    if (visible > engine->sequence) { // nobody has told of the changes in between
        if (engine->options->recovery != TARN_KV_SKIP_CORRUPT) {
            return fail_gap(engine, visible + 1, err);
        }
        engine->sequence = visible;
    }
    // What a crash kept the last checkpoint from letting go.
    return engine->options->read_only ? TARN_OK : btree_release_log(engine, err);
}

// All that is replayed is one transaction: a page is copied once.
static tarn_status recover(btree_engine *engine, tarn_error *err) {
    btree_transaction_begin(engine);
    tarn_status status = open_log(engine, err);
    for (size_t i = 0; i < engine->root_count && status == TARN_OK; i++) {
        bool is_orphan = engine->roots[i].root.page != 0;
        for (const btree_family *part = engine->families; part != NULL; part = part->next) {
            if (part->slot == i) is_orphan = false;
        }
        if (is_orphan && !engine->options->read_only) status = clear_slot(engine, i, err);
    }
    if (status == TARN_OK) return btree_transaction_commit(engine, err);
    btree_transaction_abort(engine);
    return status;
}

// So that who writes does not make the file shorter. Best effort: the directory may be read-only.
static void lock_as_reader(btree_engine *engine) {
    for (int i = 0; i < 8; i++) {
        char name[] = "READER-0";
        name[sizeof name - 2] = (char)('0' + i);
        tarn_slice path = {NULL, 0};
        if (btree_path_of(&engine->arena, engine->directory, name, &path, NULL) != TARN_OK) return;
        tarn_slice owner = TARN_LIT("reading");
        if (tarn_os_lock(engine->os, path, owner, &engine->reader_lock, NULL) == TARN_OK) return;
    }
}

static tarn_status set_up(btree_engine *engine, const kv_environment *environment,
                          tarn_error *err) {
    TARN_TRY(btree_path_of(&engine->arena, engine->directory, BTREE_FILE_NAME, &engine->path, err));
    TARN_TRY(tarn_mutex_new(TARN_LOCK_KV_WRITER, &engine->write_lock, err));
    TARN_TRY(tarn_mutex_new(TARN_LOCK_KV_STATE, &engine->pin_lock, err));
    TARN_TRY(tarn_cond_new(&engine->write_done, err));
    TARN_TRY(kv_epoch_new(engine->alloc, &engine->epoch, err));
    TARN_TRY(btree_pages_init(&engine->pages, engine->alloc, BTREE_PAGE_BYTES, engine->path, err));
    if (!btree_scratch_init(&engine->scratch, engine->alloc, BTREE_PAGE_BYTES)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a B+tree");
    }
    if (engine->options->read_only) lock_as_reader(engine);
    TARN_TRY(open_file(engine, err));
    for (size_t i = 0; i < environment->family_count; i++) {
        TARN_TRY(add_family(engine, environment->families[i], err));
    }
    TARN_TRY(first_view(engine, err));
    return recover(engine, err);
}

static void free_engine(btree_engine *engine) {
    btree_views_free(engine);
    btree_pages_reset(&engine->pages);
    btree_scratch_reset(&engine->scratch);
    kv_epoch_free(engine->epoch);
    while (engine->families != NULL) {
        btree_family *part = engine->families;
        engine->families = part->next;
        tarn_alloc_free(engine->alloc, part, 1);
    }
    tarn_alloc_free(engine->alloc, engine->roots, engine->root_capacity);
    tarn_alloc_free(engine->alloc, engine->pinned, engine->pinned_capacity);
    tarn_cond_free(engine->write_done);
    tarn_mutex_free(engine->write_lock);
    tarn_mutex_free(engine->pin_lock);
    tarn_os_unlock(engine->reader_lock);
    tarn_arena_reset(&engine->arena);
    tarn_alloc_free(engine->alloc, engine, 1);
}

static tarn_status open_engine(const kv_environment *environment, kv_engine **ret_engine,
                               tarn_error *err) {
    btree_engine *engine = tarn_alloc_new(environment->alloc, btree_engine, 1);
    if (engine == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a B+tree");
    engine->base.ops = &kv_btree_ops;
    engine->os = environment->os;
    engine->alloc = environment->alloc;
    engine->options = environment->options;
    engine->directory = environment->directory;
    engine->log_limit = BTREE_LOG_LIMIT;
    if (engine->options->log_limit_bytes < engine->log_limit) {
        engine->log_limit = engine->options->log_limit_bytes;
    }
    tarn_arena_init(&engine->arena, engine->alloc, SIZE_MAX);
    tarn_status status = set_up(engine, environment, err);
    if (status != TARN_OK) {
        status = btree_recheck(engine, status, err);
        (void)kv_log_close(engine->log, NULL); // the first failure is the one to report
        free_engine(engine);
        return status;
    }
    *ret_engine = &engine->base;
    return TARN_OK;
}

// ---- closing ----

#define TRIM_ROUNDS 3

// Writes what a fast start needs, and makes the file as short as it can be: the run of the state
// moves out of the way first.
static tarn_status finish(btree_engine *engine, tarn_error *err) {
    TARN_TRY(btree_checkpoint(engine, err));
    btree_space *space = &engine->pages.space;
    for (int round = 0; round < TRIM_ROUNDS && space->free_count > space->page_count / 4; round++) {
        btree_reclaim(engine);
        btree_space_shrink(space, btree_space_tail(space));
        engine->has_changed = true;
        TARN_TRY(btree_checkpoint(engine, err));
    }
    return TARN_OK;
}

static tarn_status close_engine(kv_engine *base, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    bool writes = !engine->options->read_only && !engine->has_failed;
    tarn_status status = writes ? finish(engine, err) : TARN_OK;
    tarn_status closed = kv_log_close(engine->log, status == TARN_OK ? err : NULL);
    if (status == TARN_OK) status = closed;
    if (status == TARN_OK && writes) status = btree_shrink(engine, err);
    free_engine(engine);
    return status;
}

static tarn_status flush(kv_engine *base, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    btree_lead(engine);
    tarn_status status = btree_checkpoint(engine, err);
    btree_follow(engine);
    return status;
}

static tarn_status sync_log(kv_engine *base, tarn_error *err) {
    return kv_log_sync(btree_of(base)->log, err);
}

const kv_engine_ops kv_btree_ops = {
    .name = "btree",
    .open = open_engine,
    .close = close_engine,
    .family_open = family_open,
    .family_drop = family_drop,
    .write = btree_write,
    .sync_log = sync_log,
    .get = btree_get,
    .multi_get = btree_multi_get,
    .snapshot_new = btree_snapshot_new,
    .snapshot_free = btree_snapshot_free,
    .iterator_new = btree_iterator_new,
    .flush = flush,
    .compact = btree_compact,
    .checkpoint = btree_copy,
    .verify = btree_verify,
    .approximate_bytes = btree_approximate_bytes,
    .stats = btree_stats,
};
