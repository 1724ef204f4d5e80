// Upkeep: what lives is moved out of segments that are mostly dead, and those are dropped.
#include "base/alloc.h"
#include "kv/hashlog/hashlog.h"

enum {
    CHUNK_BYTES = TARN_TUNABLE(64 << 10, 512),     // moved between two chances for writers
    DEAD_PERCENT = 50,                             // of a segment's file: then it is merged
    FILE_LOG_BYTES = TARN_TUNABLE(64 << 20, 4096), // at least so much log between two files
    FILE_LOG_RATIO = 4,                            // and so many times the directory
    UPKEEP_PAUSE_MS = 200,
};

// ---- the list of segments; under write_lock ----

static void free_segments(void *context, kv_retired *retired) {
    const hashlog *h = context;
    hashlog_segments *segments = (hashlog_segments *)retired;
    tarn_alloc_release(h->alloc, segments, 1,
                       sizeof *segments + segments->count * sizeof segments->items[0]);
}

static tarn_status copy_segments(const hashlog *h, uint32_t first, uint32_t end,
                                 hashlog_segments **ret_copy, tarn_error *err) {
    const hashlog_segments *old = atomic_load_explicit(&h->segments, memory_order_acquire);
    uint32_t count = end - first;
    hashlog_segments *copy =
        tarn_alloc_zeroed(h->alloc, 1, sizeof *copy + count * sizeof copy->items[0]);
    if (copy == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for %u segments", count);
    copy->first = first;
    copy->count = count;
    for (uint32_t i = 0; old != NULL && i < old->count; i++) {
        uint32_t number = old->first + i;
        if (number >= first && number < end) copy->items[number - first] = old->items[i];
    }
    *ret_copy = copy;
    return TARN_OK;
}

static void replace_segments(hashlog *h, hashlog_segments *segments) {
    hashlog_segments *old = atomic_load_explicit(&h->segments, memory_order_acquire);
    atomic_store_explicit(&h->segments, segments, memory_order_release);
    if (old != NULL) kv_epoch_retire(h->epoch, &old->retired, free_segments, h);
    kv_epoch_advance(h->epoch);
    kv_epoch_collect(h->epoch);
}

tarn_status hashlog_segment_add(hashlog *h, uint64_t number, tarn_slice file, tarn_error *err) {
    const hashlog_segments *old = atomic_load_explicit(&h->segments, memory_order_acquire);
    if (number >= UINT32_MAX || file.len / 8 > UINT32_MAX) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "engine hashlog cannot address segment %llu of %zu bytes",
                         (unsigned long long)number, file.len);
    }
    uint32_t first = old == NULL ? (uint32_t)number : old->first;
    hashlog_segments *copy = NULL;
    hashlog_segment *segment = tarn_alloc_new(h->alloc, hashlog_segment, 1);
    if (segment == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a segment");
    tarn_status status = copy_segments(h, first, (uint32_t)number + 1, &copy, err);
    if (status != TARN_OK) {
        tarn_alloc_free(h->alloc, segment, 1);
        return status;
    }
    segment->number = (uint32_t)number;
    segment->file = file;
    copy->items[number - first] = segment;
    replace_segments(h, copy);
    return TARN_OK;
}

tarn_status hashlog_segment_unlist(hashlog *h, uint32_t number, tarn_error *err) {
    const hashlog_segments *old = atomic_load_explicit(&h->segments, memory_order_acquire);
    uint32_t first = old->first;
    if (number == first) {
        do {
            first++;
        } while (first < old->first + old->count && old->items[first - old->first] == NULL);
    }
    hashlog_segments *copy = NULL;
    TARN_TRY(copy_segments(h, first, old->first + old->count, &copy, err));
    if (number >= first) copy->items[number - first] = NULL;
    replace_segments(h, copy);
    return TARN_OK;
}

// ---- merging one segment ----

// The oldest segment that is there, or could be there again after a power loss.
static uint32_t oldest_segment(const hashlog *h) {
    uint32_t oldest = atomic_load_explicit(&h->segments, memory_order_acquire)->first;
    for (const hashlog_doomed *d = h->doomed; d != NULL; d = d->next) {
        if (d->segment->number < oldest) oldest = d->segment->number;
    }
    return oldest;
}

// Whether a delete in `segment` still hides something when the segment is gone.
static bool is_needed(const hashlog *h, const hashlog_segment *segment,
                      const hashlog_entry *entry) {
    uint32_t oldest = oldest_segment(h);
    if (entry->covers < oldest || segment->number == oldest) return false;
    hashlog_place place;
    uint64_t hash = hashlog_hash(entry->family_id, entry->key);
    // A newer put of the key comes behind it in the log, and stands for itself.
    return !hashlog_find(h, hash, entry->family_id, entry->key, &place);
}

static tarn_status copy_record(hashlog *h, const kv_log_record *record, hashlog_place *ret_place,
                               tarn_error *err) {
    kv_log_space space;
    size_t size = KV_LOG_SIZE(record->body.len);
    TARN_TRY(hashlog_reserve(h, size, 1, &space, err));
    uint32_t type = record->type & ~((uint32_t)HASHLOG_MORE | HASHLOG_LATER);
    uint8_t *body = kv_log_begin(&space, (uint8_t)type, 1, record->body.len);
    memcpy(body, record->body.data, record->body.len);
    uint64_t offset = kv_log_end(&space);
    kv_log_publish(h->log, &space);
    *ret_place = (hashlog_place){(uint32_t)space.segment_number, (uint32_t)(offset / 8),
                                 (uint32_t)(size / 8)};
    return TARN_OK;
}

static bool points_to(const hashlog *h, uint64_t hash, hashlog_place place) {
    hashlog_matches matches;
    hashlog_directory_find(h->directory, hash, &matches);
    for (size_t i = 0; i < matches.count; i++) {
        if (hashlog_place_equal(matches.places[i], place)) return true;
    }
    return false;
}

// Moves the record when it lives. *ret_bytes grows by what was written.
static tarn_status move_record(hashlog *h, hashlog_segment *segment, const kv_log_record *record,
                               size_t *ret_bytes, tarn_error *err) {
    hashlog_entry entry;
    if (!hashlog_entry_decode(record->type, record->body, &entry)) return TARN_OK; // given up
    uint64_t hash = hashlog_hash(entry.family_id, entry.key);
    size_t size = KV_LOG_SIZE(record->body.len);
    hashlog_place old = {segment->number, (uint32_t)(record->offset / 8), (uint32_t)(size / 8)};
    if (entry.is_delete ? !is_needed(h, segment, &entry) : !points_to(h, hash, old)) return TARN_OK;
    if (!entry.is_delete) {
        const tarn_kv_family *family = hashlog_family(h, entry.family_id);
        if (family == NULL || kv_is_expired(family, entry.value, tarn_os_now_us(h->os))) {
            hashlog_directory_remove(h->directory, hash, old);
            segment->live_bytes -= size;
            return TARN_OK;
        }
    }
    hashlog_place place;
    TARN_TRY(copy_record(h, record, &place, err));
    *ret_bytes += size;
    hashlog_segment *target = hashlog_segment_find(h, place.segment);
    if (entry.is_delete) {
        target->tombstone_bytes += size;
        if (entry.covers > target->covers) target->covers = entry.covers;
        return TARN_OK;
    }
    hashlog_directory_move(h->directory, hash, old, place);
    segment->live_bytes -= size;
    target->live_bytes += size;
    return TARN_OK;
}

static tarn_status move_chunk(hashlog *h, hashlog_segment *segment, uint64_t *offset,
                              bool *ret_done, tarn_error *err) {
    tarn_status status = TARN_OK;
    size_t bytes = 0;
    tarn_mutex_lock(h->write_lock);
    if (h->has_failed) status = hashlog_fail_for_good(err);
    while (status == TARN_OK && bytes < CHUNK_BYTES && !*ret_done) {
        kv_log_record record;
        *ret_done = !kv_log_decode(segment->file.data, segment->number, *offset, segment->file.len,
                                   &record) ||
                    record.type == KV_LOG_END;
        if (*ret_done) break;
        *offset += KV_LOG_SIZE(record.body.len);
        status = move_record(h, segment, &record, &bytes, err);
    }
    tarn_mutex_unlock(h->write_lock);
    return status;
}

static tarn_status merge_segment(hashlog *h, hashlog_segment *segment, tarn_error *err) {
    uint64_t offset = KV_LOG_HEADER_BYTES;
    for (bool is_done = false; !is_done;) {
        TARN_TRY(move_chunk(h, segment, &offset, &is_done, err));
    }
    tarn_mutex_lock(h->write_lock);
    bool is_empty = segment->live_bytes == 0;
    segment->is_merged = is_empty;
    h->merge_count++;
    tarn_mutex_unlock(h->write_lock);
    if (is_empty) return TARN_OK;
    // A damaged record ended the walk, and living ones lie behind it: they stay where they are.
    return tarn_fail(
        err, TARN_CORRUPT, "'" TARN_SLICE_FMT "/%012u.log' at offset %llu: the record is damaged",
        TARN_SLICE_ARG(h->directory_path), segment->number, (unsigned long long)offset);
}

// ---- choosing ----

static uint64_t dead_bytes(const hashlog *h, const hashlog_segment *segment) {
    bool hides = segment->covers >= oldest_segment(h) && segment->number != oldest_segment(h);
    uint64_t kept = segment->live_bytes + (hides ? segment->tombstone_bytes : 0);
    return segment->file.len > kept ? segment->file.len - kept : 0;
}

// The segment with the largest share of dead bytes, of those with `percent` at least; NULL: none.
static hashlog_segment *choose_segment(const hashlog *h, uint64_t percent) {
    hashlog_segment *best = NULL;
    double best_share = 0;
    tarn_mutex_lock(h->write_lock);
    const hashlog_segments *segments = atomic_load_explicit(&h->segments, memory_order_acquire);
    // The last one is being written.
    for (uint32_t i = 0; i + 1 < segments->count; i++) {
        hashlog_segment *segment = segments->items[i];
        if (segment == NULL || segment->is_merged) continue;
        uint64_t dead = dead_bytes(h, segment);
        double share = (double)dead / (double)segment->file.len;
        if (dead * 100 < segment->file.len * percent || share <= best_share) continue;
        best = segment;
        best_share = share;
    }
    tarn_mutex_unlock(h->write_lock);
    return best;
}

// ---- dropping ----

static tarn_status doom_segment(hashlog *h, hashlog_segment *segment, tarn_error *err) {
    hashlog_doomed *doomed = tarn_alloc_new(h->alloc, hashlog_doomed, 1);
    if (doomed == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory to drop a segment");
    tarn_mutex_lock(h->write_lock);
    tarn_status status = hashlog_segment_unlist(h, segment->number, err);
    tarn_mutex_unlock(h->write_lock);
    if (status != TARN_OK) {
        tarn_alloc_free(h->alloc, doomed, 1);
        return status;
    }
    *doomed = (hashlog_doomed){h->doomed, segment, kv_epoch_advance(h->epoch)};
    h->doomed = doomed;
    return TARN_OK;
}

static hashlog_segment *next_merged(const hashlog *h) {
    hashlog_segment *found = NULL;
    tarn_mutex_lock(h->write_lock);
    const hashlog_segments *segments = atomic_load_explicit(&h->segments, memory_order_acquire);
    for (uint32_t i = 0; found == NULL && i < segments->count; i++) {
        if (segments->items[i] != NULL && segments->items[i]->is_merged) found = segments->items[i];
    }
    tarn_mutex_unlock(h->write_lock);
    return found;
}

// Drops what no reader looks at any more.
static tarn_status drop_doomed(hashlog *h, uint64_t oldest, tarn_error *err) {
    tarn_status status = TARN_OK;
    hashlog_doomed **link = &h->doomed;
    while (*link != NULL && status == TARN_OK) {
        hashlog_doomed *doomed = *link;
        if (doomed->moment > oldest) {
            link = &doomed->next;
            continue;
        }
        status = kv_log_drop(h->log, doomed->segment->number, err);
        if (status != TARN_OK) break; // tried again with the next upkeep
        *link = doomed->next;
        tarn_alloc_free(h->alloc, doomed->segment, 1);
        tarn_alloc_free(h->alloc, doomed, 1);
    }
    return status;
}

void hashlog_free_doomed(hashlog *h) {
    while (h->doomed != NULL) {
        hashlog_doomed *doomed = h->doomed;
        h->doomed = doomed->next;
        tarn_alloc_free(h->alloc, doomed->segment, 1);
        tarn_alloc_free(h->alloc, doomed, 1);
    }
}

// ---- all of it ----

static tarn_status drop_merged(hashlog *h, tarn_error *err) {
    if (next_merged(h) != NULL) {
        // What was moved must be safe where it is now, and where the directory file says.
        TARN_TRY(kv_log_sync(h->log, err));
        if (h->has_file) TARN_TRY(hashlog_file_write(h, err));
    }
    for (hashlog_segment *s = next_merged(h); s != NULL; s = next_merged(h)) {
        TARN_TRY(doom_segment(h, s, err));
    }
    return drop_doomed(h, kv_epoch_oldest(h->epoch), err);
}

static bool is_file_due(const hashlog *h) {
    kv_log_statistics stats;
    kv_log_stats(h->log, &stats);
    uint64_t written = stats.written_bytes - h->file_log_bytes;
    return written >= FILE_LOG_BYTES &&
           written >= FILE_LOG_RATIO * hashlog_directory_bytes(h->directory);
}

static tarn_status do_upkeep(hashlog *h, bool is_forced, tarn_error *err) {
    if (is_forced) TARN_TRY(kv_log_roll(h->log, err));
    // Each merge may make the merged parts of other segments dead; a bound keeps it finite.
    kv_guard guard = kv_epoch_enter(h->epoch);
    size_t limit = atomic_load_explicit(&h->segments, memory_order_acquire)->count;
    kv_epoch_leave(guard);
    for (size_t i = 0; i < limit; i++) {
        hashlog_segment *segment = choose_segment(h, is_forced ? 1 : DEAD_PERCENT);
        if (segment == NULL) break;
        TARN_TRY(merge_segment(h, segment, err));
    }
    TARN_TRY(drop_merged(h, err));
    return is_file_due(h) ? hashlog_file_write(h, err) : TARN_OK;
}

tarn_status hashlog_upkeep(hashlog *h, bool is_forced, tarn_error *err) {
    tarn_mutex_lock(h->upkeep_lock);
    tarn_status status = do_upkeep(h, is_forced, err);
    tarn_mutex_unlock(h->upkeep_lock);
    return status;
}

void hashlog_run_upkeep(void *context) TARN_NO_THREAD_ANALYSIS {
    hashlog *h = context;
    tarn_mutex_lock(h->write_lock);
    while (!h->is_closing) {
        if (!h->must_upkeep) (void)tarn_cond_wait_ms(h->work, h->write_lock, UPKEEP_PAUSE_MS);
        if (!h->must_upkeep || h->is_closing) continue;
        h->must_upkeep = false;
        tarn_mutex_unlock(h->write_lock);
        // What failed is tried again with the next segment; until then there is more garbage.
        tarn_status status = hashlog_upkeep(h, false, NULL);
        (void)status;
        tarn_mutex_lock(h->write_lock);
    }
    tarn_mutex_unlock(h->write_lock);
}
