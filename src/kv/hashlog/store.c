// Opening, recovering and closing a hash log, and looking at it.
#include "base/alloc.h"
#include "kv/front.h"
#include "kv/hashlog/hashlog.h"

// ---- recovery ----

static void found_segment(void *context, uint64_t number, tarn_slice file) {
    hashlog *h = context;
    if (h->recovery_status != TARN_OK) return;
    h->recovery_status = hashlog_segment_add(h, number, file, NULL);
}

static tarn_status apply_record(hashlog *h, const kv_log_record *record, tarn_error *err) {
    hashlog_entry entry;
    if (!hashlog_entry_decode(record->type, record->body, &entry)) {
        return tarn_fail(err, TARN_CORRUPT,
                         "'" TARN_SLICE_FMT "/%012llu.log' at offset %llu: a record of type %u "
                         "whose checksum is right has an impossible body",
                         TARN_SLICE_ARG(h->directory_path),
                         (unsigned long long)record->segment_number,
                         (unsigned long long)record->offset, record->type);
    }
    if (hashlog_family(h, entry.family_id) == NULL) return TARN_OK; // dropped
    hashlog_place place = {(uint32_t)record->segment_number, (uint32_t)(record->offset / 8),
                           (uint32_t)(KV_LOG_SIZE(record->body.len) / 8)};
    return hashlog_apply(h, &entry, place, err);
}

// Whether the record directly follows the last of those that wait for the end of their batch.
static bool continues_pending(const hashlog *h, const kv_log_record *record) {
    if (h->pending.len == 0) return false;
    kv_log_record last;
    memcpy(&last, h->pending.data + h->pending.len - sizeof last, sizeof last);
    return last.segment_number == record->segment_number &&
           last.offset + KV_LOG_SIZE(last.body.len) == record->offset;
}

// Batches are applied when they are whole. What a crash, or left out damage, cut is left out.
static tarn_status replay_record(void *context, const kv_log_record *record, tarn_error *err) {
    hashlog *h = context;
    if (h->recovery_status != TARN_OK) {
        return tarn_fail(err, h->recovery_status, "no memory for the list of segments");
    }
    bool is_later = (record->type & HASHLOG_LATER) != 0;
    if (is_later && !continues_pending(h, record)) {
        tarn_buffer_clear(&h->pending);
        return TARN_OK;
    }
    if (!is_later) tarn_buffer_clear(&h->pending);
    if (!is_later && (record->type & HASHLOG_MORE) == 0) return apply_record(h, record, err);
    tarn_slice bytes = {(const uint8_t *)record, sizeof *record};
    if (!tarn_buffer_append(&h->pending, bytes)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a batch");
    }
    if ((record->type & HASHLOG_MORE) != 0) return TARN_OK;
    tarn_status status = TARN_OK;
    for (size_t at = 0; status == TARN_OK && at < h->pending.len; at += sizeof *record) {
        kv_log_record one;
        memcpy(&one, h->pending.data + at, sizeof one);
        status = apply_record(h, &one, err);
    }
    tarn_buffer_clear(&h->pending);
    return status;
}

static tarn_status open_log(hashlog *h, tarn_error *err) {
    h->recovery_status = TARN_OK;
    tarn_buffer_clear(&h->pending);
    uint64_t limit_bytes = h->options->memory_limit_bytes / 8;
    uint64_t segment_bytes = TARN_TUNABLE((uint64_t)64 << 20, 4096);
    kv_log_options options = {
        .os = h->os,
        .alloc = h->alloc,
        .directory = h->directory_path,
        .segment_bytes = limit_bytes < segment_bytes ? limit_bytes : segment_bytes,
        .without_recycling = true,
        .may_lack_segments = true,
        .has_thread = true,
        .is_read_only = h->options->read_only,
        .sync_interval_ms = h->options->sync_interval_ms,
        .recovery = h->options->recovery,
        .found = found_segment,
        .replay = replay_record,
        .context = h,
        .first_sequence = h->file_sequence,
    };
    return kv_log_open(&options, &h->log, err);
}

// Whether every entry of the directory lies in a segment that is there.
static bool is_sound_place(const hashlog *h, hashlog_place place) {
    const hashlog_segment *segment = hashlog_segment_find(h, place.segment);
    return segment != NULL && (uint64_t)place.offset8 * 8 < segment->file.len &&
           (uint64_t)place.size8 * 8 <= segment->file.len - (uint64_t)place.offset8 * 8;
}

typedef bool visit_slot(hashlog *h, size_t table, const hashlog_slot *slot, void *context);

// False when memory is short or a visit says so.
static bool visit_slots(hashlog *h, visit_slot *visit, void *context) {
    tarn_buffer slots = {.alloc = h->alloc};
    bool goes_on = true;
    for (size_t table = 0; goes_on && table < HASHLOG_TABLES; table++) {
        size_t count = hashlog_table_count(h->directory, table);
        tarn_buffer_clear(&slots);
        goes_on = tarn_buffer_reserve(&slots, count * sizeof(hashlog_slot) + 1);
        if (!goes_on) break;
        const hashlog_slot *all = (const hashlog_slot *)(void *)slots.data;
        hashlog_table_read(h->directory, table, (hashlog_slot *)(void *)slots.data);
        for (size_t i = 0; goes_on && i < count; i++) goes_on = visit(h, table, &all[i], context);
    }
    tarn_buffer_free(&slots);
    return goes_on;
}

static bool count_slot(hashlog *h, size_t table, const hashlog_slot *slot, void *context) {
    (void)table;
    (void)context;
    if (!is_sound_place(h, slot->place)) return false;
    hashlog_segment_find(h, slot->place.segment)->live_bytes += (uint64_t)slot->place.size8 * 8;
    return true;
}

static void clear_counts(const hashlog *h) {
    const hashlog_segments *segments = atomic_load_explicit(&h->segments, memory_order_acquire);
    for (uint32_t i = 0; segments != NULL && i < segments->count; i++) {
        if (segments->items[i] != NULL) segments->items[i]->live_bytes = 0;
    }
}

static void forget_segments(hashlog *h) {
    hashlog_segments *segments = atomic_load_explicit(&h->segments, memory_order_acquire);
    if (segments == NULL) return;
    for (uint32_t i = 0; i < segments->count; i++) {
        tarn_alloc_free(h->alloc, segments->items[i], 1);
    }
    tarn_alloc_release(h->alloc, segments, 1,
                       sizeof *segments + segments->count * sizeof segments->items[0]);
    atomic_store_explicit(&h->segments, NULL, memory_order_release);
}

static bool has_number(const kv_log_segment_info *infos, size_t count, uint32_t number) {
    for (size_t i = 0; i < count; i++) {
        if (infos[i].number == number) return true;
    }
    return false;
}

// Forgets segments that the log has not kept.
static tarn_status prune_segments(hashlog *h, const kv_log_segment_info *infos, size_t count,
                                  tarn_error *err) {
    const hashlog_segments *listed = atomic_load_explicit(&h->segments, memory_order_acquire);
    uint32_t first = listed == NULL ? 0 : listed->first;
    uint32_t end = listed == NULL ? 0 : first + listed->count;
    for (uint32_t number = first; number < end; number++) {
        hashlog_segment *segment = hashlog_segment_find(h, number);
        if (segment == NULL || has_number(infos, count, number)) continue;
        TARN_TRY(hashlog_segment_unlist(h, number, err));
        tarn_alloc_free(h->alloc, segment, 1);
    }
    return TARN_OK;
}

// Brings the list in line with the log: recovery may have cut off or removed segments that were
// there, and has begun one.
static tarn_status align_segments(hashlog *h, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, h->alloc, SIZE_MAX);
    kv_log_segment_info *infos = NULL;
    size_t count = 0;
    tarn_status status = kv_log_segments(h->log, &arena, &infos, &count, err);
    if (status == TARN_OK) status = prune_segments(h, infos, count, err);
    for (size_t i = 0; status == TARN_OK && i < count; i++) {
        if (hashlog_segment_find(h, (uint32_t)infos[i].number) != NULL) continue;
        tarn_slice file = {infos[i].data, infos[i].file_bytes};
        status = hashlog_segment_add(h, infos[i].number, file, err);
    }
    tarn_arena_reset(&arena);
    return status;
}

// With the directory file, which saves reading most of the log; without it when it does not fit
// what is there.
static tarn_status recover(hashlog *h, tarn_error *err) {
    bool is_loaded = false;
    TARN_TRY(hashlog_file_load(h, &is_loaded, err));
    TARN_TRY(open_log(h, err));
    if (h->recovery_status != TARN_OK) {
        return tarn_fail(err, h->recovery_status, "no memory for the list of segments");
    }
    TARN_TRY(align_segments(h, err));
    clear_counts(h);
    if (visit_slots(h, count_slot, NULL)) return TARN_OK;
    if (!is_loaded) return tarn_fail(err, TARN_NO_MEMORY, "no memory to count what lives");
    kv_log *log = h->log;
    h->log = NULL;
    TARN_TRY(kv_log_close(log, err));
    forget_segments(h);
    hashlog_directory_clear(h->directory);
    h->file_sequence = 0;
    TARN_TRY(open_log(h, err));
    TARN_TRY(align_segments(h, err));
    clear_counts(h);
    if (visit_slots(h, count_slot, NULL)) return TARN_OK;
    return tarn_fail(err, TARN_NO_MEMORY, "no memory to count what lives");
}

// ---- families ----

static tarn_status add_family(hashlog *h, tarn_kv_family *family, tarn_error *err) {
    if (h->family_count == h->family_capacity) {
        size_t capacity = h->family_capacity == 0 ? 8 : 2 * h->family_capacity;
        tarn_kv_family **grown = tarn_alloc_new(h->alloc, tarn_kv_family *, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a family");
        if (h->family_count > 0) memcpy(grown, h->families, h->family_count * sizeof *grown);
        tarn_alloc_free(h->alloc, h->families, h->family_capacity);
        h->families = grown;
        h->family_capacity = capacity;
    }
    h->families[h->family_count++] = family;
    return TARN_OK;
}

static tarn_status family_open(kv_engine *engine, tarn_kv_family *family, tarn_error *err) {
    hashlog *h = hashlog_of(engine);
    tarn_mutex_lock(h->write_lock);
    tarn_status status = add_family(h, family, err);
    tarn_mutex_unlock(h->write_lock);
    return status;
}

static bool remove_slot(hashlog *h, size_t table, const hashlog_slot *slot, void *context) {
    const uint32_t *family_id = context;
    kv_log_record record;
    hashlog_entry entry;
    if (!hashlog_read(h, slot->place, false, &record, &entry) || entry.family_id != *family_id) {
        return true;
    }
    uint64_t hash = hashlog_table_hash(table, slot->fingerprint);
    hashlog_directory_remove(h->directory, hash, slot->place);
    hashlog_segment_find(h, slot->place.segment)->live_bytes -= (uint64_t)slot->place.size8 * 8;
    return true;
}

static void family_drop(kv_engine *engine, tarn_kv_family *family) {
    hashlog *h = hashlog_of(engine);
    uint32_t id = family->id;
    tarn_mutex_lock(h->write_lock);
    for (size_t i = 0; i < h->family_count; i++) {
        if (h->families[i] != family) continue;
        h->families[i] = h->families[--h->family_count];
        break;
    }
    // When memory is short the rest goes with the merges, which know that the family is gone.
    (void)visit_slots(h, remove_slot, &id);
    h->must_upkeep = true;
    tarn_mutex_unlock(h->write_lock);
}

// ---- opening and closing ----

static tarn_status free_store(hashlog *h, tarn_error *err) {
    tarn_status status = kv_log_close(h->log, err);
    forget_segments(h);
    hashlog_free_doomed(h);
    hashlog_directory_free(h->directory);
    kv_epoch_free(h->epoch);
    tarn_cond_free(h->work);
    tarn_mutex_free(h->upkeep_lock);
    tarn_mutex_free(h->write_lock);
    tarn_buffer_free(&h->scratch);
    tarn_buffer_free(&h->pending);
    tarn_alloc_free(h->alloc, h->families, h->family_capacity);
    tarn_alloc_free(h->alloc, h, 1);
    return status;
}

static tarn_status set_up(hashlog *h, const kv_environment *environment, tarn_error *err) {
    TARN_TRY(tarn_mutex_new(TARN_LOCK_KV_WRITER, &h->write_lock, err));
    TARN_TRY(tarn_mutex_new(TARN_LOCK_KV_FLUSH, &h->upkeep_lock, err));
    TARN_TRY(tarn_cond_new(&h->work, err));
    TARN_TRY(kv_epoch_new(h->alloc, &h->epoch, err));
    TARN_TRY(hashlog_directory_new(h->alloc, h->epoch, &h->directory, err));
    for (size_t i = 0; i < environment->family_count; i++) {
        TARN_TRY(add_family(h, environment->families[i], err));
    }
    TARN_TRY(recover(h, err));
    h->must_upkeep = true; // what an earlier life left
    if (!kv_log_has_thread(h->log)) return TARN_OK;
    return tarn_thread_start(hashlog_run_upkeep, h, &h->thread, err);
}

static tarn_status open_store(const kv_environment *environment, kv_engine **ret_engine,
                              tarn_error *err) {
    hashlog *h = tarn_alloc_new(environment->alloc, hashlog, 1);
    if (h == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a hash log");
    h->engine.ops = &kv_hashlog_ops;
    h->os = environment->os;
    h->alloc = environment->alloc;
    h->directory_path = environment->directory;
    h->options = environment->options;
    h->scratch.alloc = h->alloc;
    h->pending.alloc = h->alloc;
    tarn_status status = set_up(h, environment, err);
    if (status != TARN_OK) {
        (void)free_store(h, NULL); // the first failure is the one to report
        return status;
    }
    *ret_engine = &h->engine;
    return TARN_OK;
}

static void stop_thread(hashlog *h) {
    if (h->thread == NULL) return;
    tarn_mutex_lock(h->write_lock);
    h->is_closing = true;
    tarn_cond_signal(h->work);
    tarn_mutex_unlock(h->write_lock);
    tarn_thread_join(h->thread);
    h->thread = NULL;
}

static tarn_status close_store(kv_engine *engine, tarn_error *err) {
    hashlog *h = hashlog_of(engine);
    stop_thread(h);
    tarn_status status = TARN_OK;
    bool has_changed = kv_log_visible(h->log) + 1 != h->file_sequence;
    if (!h->options->read_only && !h->has_failed && has_changed) {
        tarn_mutex_lock(h->upkeep_lock);
        status = hashlog_file_write(h, err);
        tarn_mutex_unlock(h->upkeep_lock);
    }
    tarn_status freed = free_store(h, status == TARN_OK ? err : NULL);
    return status == TARN_OK ? freed : status;
}

// ---- the rest ----

static tarn_status sync_log(kv_engine *engine, tarn_error *err) {
    return kv_log_sync(hashlog_of(engine)->log, err);
}

static tarn_status flush(kv_engine *engine, tarn_error *err) {
    hashlog *h = hashlog_of(engine);
    tarn_mutex_lock(h->upkeep_lock);
    tarn_status status = hashlog_file_write(h, err);
    tarn_mutex_unlock(h->upkeep_lock);
    return status;
}

// Keys of all families and ranges share the segments: whatever is asked for, all are merged.
static tarn_status compact(kv_engine *engine, tarn_kv_family *family, tarn_slice begin,
                           tarn_slice end, tarn_error *err) {
    (void)family;
    (void)begin;
    (void)end;
    return hashlog_upkeep(hashlog_of(engine), true, err);
}

// ---- checkpoint: all segments but a new one are links ----

static tarn_status link_file(const hashlog *h, tarn_slice from, tarn_slice directory,
                             tarn_slice name, tarn_arena *arena, tarn_error *err) {
    tarn_slice to;
    if (!kv_path(arena, directory, name, &to)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
    }
    return tarn_os_link(h->os, from, to, err);
}

static tarn_status link_segments(hashlog *h, tarn_slice directory, tarn_arena *arena,
                                 tarn_error *err) {
    kv_log_segment_info *infos = NULL;
    size_t count = 0;
    tarn_mutex_lock(h->write_lock); // all that is published before is in the segments below
    tarn_status status = kv_log_roll(h->log, err);
    if (status == TARN_OK) status = kv_log_segments(h->log, arena, &infos, &count, err);
    tarn_mutex_unlock(h->write_lock);
    if (status == TARN_OK) status = kv_log_sync(h->log, err);
    for (size_t i = 0; status == TARN_OK && i < count; i++) {
        tarn_slice path;
        tarn_slice name;
        if (infos[i].is_current) continue;
        status = kv_log_path(h->log, infos[i].number, arena, &path, err);
        if (status != TARN_OK) break;
        if (!tarn_arena_printf(arena, &name, "%012llu.log", (unsigned long long)infos[i].number)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
        }
        status = link_file(h, path, directory, name, arena, err);
    }
    return status;
}

static tarn_status checkpoint(kv_engine *engine, tarn_slice directory, tarn_error *err) {
    hashlog *h = hashlog_of(engine);
    tarn_arena arena;
    tarn_arena_init(&arena, h->alloc, SIZE_MAX);
    tarn_mutex_lock(h->upkeep_lock); // nothing is dropped, and the directory file stays
    // Made before the segments are listed, it points into them alone.
    tarn_status status = hashlog_file_write(h, err);
    if (status == TARN_OK) status = link_segments(h, directory, &arena, err);
    tarn_slice path;
    if (status == TARN_OK &&
        !kv_path(&arena, h->directory_path, TARN_LIT(HASHLOG_FILE_NAME), &path)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
    }
    if (status == TARN_OK) {
        status = link_file(h, path, directory, TARN_LIT(HASHLOG_FILE_NAME), &arena, err);
    }
    tarn_mutex_unlock(h->upkeep_lock);
    if (status == TARN_OK) status = tarn_os_sync_dir(h->os, directory, err);
    tarn_arena_reset(&arena);
    return status;
}

// ---- verify and statistics ----

typedef struct verification {
    tarn_status status;
    tarn_error *err;
} verification;

static bool verify_slot(hashlog *h, size_t table, const hashlog_slot *slot, void *context) {
    verification *v = context;
    kv_log_record record;
    hashlog_entry entry;
    uint64_t hash = 0;
    bool is_sound = hashlog_read(h, slot->place, true, &record, &entry);
    if (is_sound) hash = hashlog_hash(entry.family_id, entry.key);
    if (!is_sound) {
        v->status = hashlog_fail_place(h, slot->place, v->err);
    } else if ((uint32_t)hash != slot->fingerprint || hashlog_table_of(hash) != table) {
        v->status = tarn_fail(v->err, TARN_CORRUPT,
                              "the directory points to another key at '" TARN_SLICE_FMT
                              "/%012u.log' offset %llu",
                              TARN_SLICE_ARG(h->directory_path), slot->place.segment,
                              (unsigned long long)slot->place.offset8 * 8);
    }
    return v->status == TARN_OK;
}

static tarn_status verify(kv_engine *engine, tarn_error *err) {
    hashlog *h = hashlog_of(engine);
    tarn_mutex_lock(h->upkeep_lock);
    tarn_status status = kv_log_verify(h->log, err);
    if (status == TARN_OK) status = hashlog_file_verify(h, err);
    if (status == TARN_OK) {
        verification v = {.err = err};
        tarn_mutex_lock(h->write_lock);
        bool is_done = visit_slots(h, verify_slot, &v);
        tarn_mutex_unlock(h->write_lock);
        status = v.status;
        if (status == TARN_OK && !is_done) {
            status = tarn_fail(err, TARN_NO_MEMORY, "no memory to verify the directory");
        }
    }
    tarn_mutex_unlock(h->upkeep_lock);
    return status;
}

static void stats(kv_engine *engine, tarn_kv_statistics *stats) {
    hashlog *h = hashlog_of(engine);
    kv_log_statistics log_stats;
    kv_log_stats(h->log, &log_stats);
    tarn_mutex_lock(h->upkeep_lock);
    tarn_mutex_lock(h->write_lock);
    uint64_t live_bytes = 0;
    uint64_t pending = 0;
    const hashlog_segments *segments = atomic_load_explicit(&h->segments, memory_order_acquire);
    for (uint32_t i = 0; segments != NULL && i < segments->count; i++) {
        if (segments->items[i] == NULL) continue;
        live_bytes += segments->items[i]->live_bytes;
        pending += segments->items[i]->is_merged;
    }
    tarn_mutex_unlock(h->write_lock);
    stats->compactions = h->merge_count;
    stats->compactions_pending = pending;
    stats->file_bytes = log_stats.live_bytes + h->file_bytes;
    tarn_mutex_unlock(h->upkeep_lock);
    stats->key_count = hashlog_directory_count(h->directory);
    stats->directory_bytes = hashlog_directory_bytes(h->directory);
    stats->memory_bytes = stats->directory_bytes;
    stats->log_bytes = log_stats.live_bytes;
    stats->log_syncs = log_stats.syncs;
    stats->device_bytes = log_stats.written_bytes;
    stats->skipped_records = log_stats.skipped_records;
    stats->dead_bytes = log_stats.live_bytes > live_bytes ? log_stats.live_bytes - live_bytes : 0;
}

const kv_engine_ops kv_hashlog_ops = {
    .name = "hashlog",
    .open = open_store,
    .close = close_store,
    .family_open = family_open,
    .family_drop = family_drop,
    .write = hashlog_write,
    .sync_log = sync_log,
    .get = hashlog_get,
    .multi_get = hashlog_multi_get,
    .flush = flush,
    .compact = compact,
    .checkpoint = checkpoint,
    .verify = verify,
    .stats = stats,
};
