#include "kv/log.h"

#include "base/alloc.h"
#include "kv/log_internal.h"

enum { SPINS = 200 };

// ---- segments ----

void log_list_push(log_list *list, kv_log_segment *segment) {
    segment->next = NULL;
    if (list->last == NULL) {
        list->first = segment;
    } else {
        list->last->next = segment;
    }
    list->last = segment;
    list->count++;
}

kv_log_segment *log_list_pop(log_list *list) {
    kv_log_segment *segment = list->first;
    if (segment == NULL) return NULL;
    list->first = segment->next;
    if (list->first == NULL) list->last = NULL;
    list->count--;
    segment->next = NULL;
    return segment;
}

tarn_status log_segment_new(kv_log *log, uint64_t number, kv_log_segment **ret_segment,
                            tarn_error *err) {
    kv_log_segment *segment = tarn_alloc_new(log->options.alloc, kv_log_segment, 1);
    if (segment == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a log segment");
    segment->number = number;
    *ret_segment = segment;
    return TARN_OK;
}

void log_segment_free(kv_log *log, kv_log_segment *segment) {
    if (segment == NULL) return;
    tarn_map_close(&segment->map);
    tarn_alloc_free(log->options.alloc, segment, 1);
}

typedef struct path_buffer {
    tarn_arena arena;
    tarn_slice path;
} path_buffer;

static tarn_status make_path(const kv_log *log, uint64_t number, path_buffer *ret_buffer,
                             tarn_error *err) {
    tarn_arena_init(&ret_buffer->arena, log->options.alloc, SIZE_MAX);
    return log_path(log->options.directory, number, &ret_buffer->arena, &ret_buffer->path, err);
}

tarn_status log_segment_remove(kv_log *log, uint64_t number, tarn_error *err) {
    path_buffer buffer;
    tarn_status status = make_path(log, number, &buffer, err);
    if (status == TARN_OK) status = tarn_os_remove(log->options.os, buffer.path, err);
    tarn_arena_reset(&buffer.arena);
    return status;
}

static uint64_t load_u64(const uint64_t *value) {
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

// ---- preparing the next segment ----

static tarn_status rename_segment(kv_log *log, uint64_t from, uint64_t to, tarn_error *err) {
    path_buffer from_buffer;
    path_buffer to_buffer;
    tarn_arena_init(&to_buffer.arena, log->options.alloc, SIZE_MAX);
    tarn_status status = make_path(log, from, &from_buffer, err);
    if (status == TARN_OK) status = make_path(log, to, &to_buffer, err);
    if (status == TARN_OK) {
        status = tarn_os_rename(log->options.os, from_buffer.path, to_buffer.path, err);
    }
    tarn_arena_reset(&from_buffer.arena);
    tarn_arena_reset(&to_buffer.arena);
    return status;
}

// Maps the file of segment->number with `len` bytes and makes its name durable.
static tarn_status map_segment(kv_log *log, kv_log_segment *segment, size_t len, tarn_error *err) {
    path_buffer buffer;
    tarn_status status = make_path(log, segment->number, &buffer, err);
    tarn_map map = {0};
    if (status == TARN_OK) {
        status = tarn_map_create(log->options.os, buffer.path, len, &map, err);
    }
    tarn_arena_reset(&buffer.arena);
    if (status != TARN_OK) return status;
    tarn_map_close(&segment->map);
    segment->map = map;
    return tarn_os_sync_dir(log->options.os, log->options.directory, err);
}

// A file under its new name: a free one, or a new one. *segment is what there is already, or NULL;
// afterwards it belongs to the caller, whatever is returned.
static tarn_status prepare_segment(kv_log *log, kv_log_segment **segment, kv_log_segment *free,
                                   uint64_t number, size_t len, tarn_error *err) {
    if (*segment == NULL && free != NULL) {
        *segment = free;
        TARN_TRY(rename_segment(log, free->number, number, err));
        free->number = number;
    } else if (*segment == NULL) {
        TARN_TRY(log_segment_new(log, number, segment, err));
    }
    tarn_assert(*segment != NULL);
    return map_segment(log, *segment, len, err);
}

// Makes a spare segment of at least `len` bytes. Gives up the lock meanwhile; others wait.
static tarn_status prepare_spare(kv_log *log, size_t len, tarn_error *err)
    TARN_REQUIRES(log->lock) {
    tarn_mutex_assert_held(log->lock);
    log->is_preparing = true;
    kv_log_segment *segment = log->spare;
    log->spare = NULL;
    kv_log_segment *free = segment == NULL ? log_list_pop(&log->free) : NULL;
    uint64_t number = segment == NULL ? log->next_number++ : segment->number;
    tarn_mutex_unlock(log->lock);

    if (len < log->options.segment_bytes) len = log->options.segment_bytes;
    tarn_status status = prepare_segment(log, &segment, free, number, len, err);
    if (status != TARN_OK) {
        // Its file may be there under this or the old name; it is found unused at the next open.
        log_segment_free(log, segment);
        segment = NULL;
    }

    tarn_mutex_lock(log->lock);
    log->spare = segment;
    log->is_preparing = false;
    tarn_cond_broadcast(log->prepared);
    return status;
}

// ---- reserving ----

// Says where the records end: eight zeros, which the next record replaces. A file that was used
// before has other bytes there.
static void mark_end(kv_log_segment *segment, uint64_t offset) {
    if (segment->map.len - offset < 8 || tarn_load_u64(segment->map.data + offset) == 0) return;
    tarn_store_u64(segment->map.data + offset, 0);
    tarn_map_wrote(&segment->map, offset, 8);
}

// The spare segment becomes the current one.
static void activate_spare(kv_log *log) TARN_REQUIRES(log->lock) {
    tarn_mutex_assert_held(log->lock);
    kv_log_segment *segment = log->spare;
    kv_log_segment *before = log->live.last;
    log->spare = NULL;
    segment->base_position = 0;
    if (before != NULL) {
        before->end_offset = log->tail;
        before->end_sequence = log->next_sequence;
        segment->base_position = before->base_position + (log->tail - before->base_offset);
    }
    segment->base_offset = KV_LOG_HEADER_BYTES;
    segment->first_sequence = log->next_sequence;
    segment->durable_offset = 0;
    log_header header = {
        .number = segment->number,
        .first_sequence = log->next_sequence,
        .synced_sequence = load_u64(&log->synced_sequence),
    };
    mark_end(segment, KV_LOG_HEADER_BYTES);
    log_header_encode(segment->map.data, &header);
    tarn_map_wrote(&segment->map, 0, KV_LOG_HEADER_BYTES);
    log_list_push(&log->live, segment);
    log->live_bytes += segment->map.len;
    log->tail = KV_LOG_HEADER_BYTES;
    if (log->thread != NULL) tarn_cond_signal(log->work); // it prepares the next one
}

static tarn_status fail_for_good(tarn_error *err) {
    return tarn_fail(err, TARN_IO, "the log takes no more writes: an earlier sync of it failed");
}

static bool has_room(const kv_log *log, size_t len) {
    return log->live.last != NULL && log->live.last->map.len - log->tail >= len;
}

// Makes room for `len` bytes in the current segment.
static tarn_status make_room(kv_log *log, size_t len, bool must_roll, tarn_error *err)
    TARN_REQUIRES(log->lock) {
    const kv_log_segment *full = must_roll ? log->live.last : NULL;
    while (!has_room(log, len) || (must_roll && log->live.last == full)) {
        size_t file_len = KV_LOG_HEADER_BYTES + len;
        if (log->is_preparing) {
            tarn_cond_wait(log->prepared, log->lock);
        } else if (log->spare == NULL || log->spare->map.len < file_len) {
            TARN_TRY(prepare_spare(log, file_len, err));
        } else {
            activate_spare(log);
        }
    }
    return TARN_OK;
}

static void take_space(kv_log *log, size_t len, uint32_t change_count, kv_log_space *ret_space)
    TARN_REQUIRES(log->lock) {
    kv_log_segment *segment = log->live.last;
    uint64_t begin = segment->base_position + (log->tail - segment->base_offset);
    *ret_space = (kv_log_space){
        .sequence = log->next_sequence,
        .begin = begin,
        .end = begin + len,
        .segment_number = segment->number,
        .offset = log->tail,
        .segment = segment,
        .len = len,
        .next = log->next_sequence,
        .end_sequence = log->next_sequence + change_count,
        .synced = load_u64(&log->synced_sequence),
    };
    log->tail += len;
    log->next_sequence += change_count;
    log->written_bytes += len;
    mark_end(segment, log->tail);
}

tarn_status kv_log_reserve(kv_log *log, size_t bytes, uint32_t change_count,
                           kv_log_space *ret_space, tarn_error *err) {
    tarn_assert(bytes >= KV_LOG_RECORD_BYTES && bytes % 8 == 0 && !log->options.is_read_only);
    if (change_count > KV_LOG_COUNT_MAX || bytes > UINT32_MAX) {
        return tarn_fail(err, TARN_INVALID,
                         "a batch of %u changes and %zu bytes is too large for the log: at most %u "
                         "and %u",
                         change_count, bytes, KV_LOG_COUNT_MAX, UINT32_MAX);
    }
    if (__atomic_load_n(&log->has_failed, __ATOMIC_ACQUIRE)) return fail_for_good(err);
    tarn_mutex_lock(log->lock);
    tarn_status status = has_room(log, bytes) ? TARN_OK : make_room(log, bytes, false, err);
    if (status == TARN_OK) take_space(log, bytes, change_count, ret_space);
    tarn_mutex_unlock(log->lock);
    return status;
}

tarn_slice kv_log_space_file(const kv_log_space *space) {
    return (tarn_slice){space->segment->map.data, space->segment->map.len};
}

uint8_t *kv_log_begin(kv_log_space *space, uint8_t type, uint32_t change_count, size_t body_len) {
    tarn_assert(space->used + KV_LOG_SIZE(body_len) <= space->len);
    tarn_assert(space->next + change_count <= space->end_sequence);
    space->type = type;
    space->count = change_count;
    space->body_len = body_len;
    return space->segment->map.data + space->offset + space->used + KV_LOG_RECORD_BYTES;
}

uint64_t kv_log_end(kv_log_space *space) {
    uint64_t offset = space->offset + space->used;
    uint8_t *at = space->segment->map.data + offset;
    kv_log_record record = {
        .type = space->type,
        .count = space->count,
        .sequence = space->next,
        .body = {at + KV_LOG_RECORD_BYTES, space->body_len},
    };
    log_record_encode(at, space->segment_number, &record, space->synced);
    space->used += KV_LOG_SIZE(space->body_len);
    space->next += space->count;
    return offset;
}

void kv_log_cancel(kv_log_space *space) {
    space->used = 0;
    space->next = space->sequence;
    (void)kv_log_begin(space, KV_LOG_VOID, (uint32_t)(space->end_sequence - space->sequence),
                       space->len - KV_LOG_RECORD_BYTES);
    (void)kv_log_end(space);
}

// ---- publishing ----

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// The Dekker pattern: who waits says so and then looks again, who publishes stores and then looks
// for waiters; sequential consistency makes one of them see the other.
static void wait_for_turn(kv_log *log, uint64_t begin) {
    for (int i = 0; i < SPINS; i++) {
        if (load_u64(&log->published_position) == begin) return;
        pause_briefly();
    }
    tarn_mutex_lock(log->lock);
    __atomic_add_fetch(&log->waiting, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&log->published_position, __ATOMIC_SEQ_CST) != begin) {
        tarn_cond_wait(log->published, log->lock);
    }
    __atomic_sub_fetch(&log->waiting, 1, __ATOMIC_SEQ_CST);
    tarn_mutex_unlock(log->lock);
}

void kv_log_publish(kv_log *log, kv_log_space *space) {
    tarn_assert(space->used == space->len && space->next == space->end_sequence);
    tarn_map_wrote(&space->segment->map, space->offset, space->len);
    if (load_u64(&log->published_position) != space->begin) wait_for_turn(log, space->begin);
    __atomic_store_n(&log->visible_sequence, space->end_sequence - 1, __ATOMIC_RELEASE);
    __atomic_store_n(&log->published_position, space->end, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&log->waiting, __ATOMIC_SEQ_CST) == 0) return;
    tarn_mutex_lock(log->lock);
    tarn_cond_broadcast(log->published);
    tarn_mutex_unlock(log->lock);
}

uint64_t kv_log_visible(const kv_log *log) {
    return load_u64(&log->visible_sequence);
}

// ---- syncing: a leader syncs for all that wait, then one of those that came meanwhile leads ----

// The next segment that is not durable up to `position`, and its bytes. Segments leave the list
// only while nobody syncs.
static kv_log_segment *next_unsynced(kv_log *log, uint64_t position, size_t *ret_end) {
    tarn_mutex_lock(log->lock);
    kv_log_segment *segment = log->live.first;
    for (; segment != NULL; segment = segment->next) {
        if (!segment->map.is_writable || segment->base_position > position) continue;
        uint64_t end = segment == log->live.last ? log->tail : segment->end_offset;
        uint64_t goal = position - segment->base_position + segment->base_offset;
        if (goal < end) end = goal;
        if (segment->durable_offset >= end) continue;
        *ret_end = (size_t)end;
        break;
    }
    tarn_mutex_unlock(log->lock);
    return segment;
}

// Oldest first, so that what is durable is always a beginning of the log.
static tarn_status sync_segments(kv_log *log, uint64_t position, tarn_error *err) {
    size_t end = 0;
    for (;;) {
        kv_log_segment *segment = next_unsynced(log, position, &end);
        if (segment == NULL) return TARN_OK;
        TARN_TRY(tarn_map_sync(&segment->map, segment->durable_offset,
                               end - segment->durable_offset, err));
        segment->durable_offset = end;
    }
}

static void lead(kv_log *log, tarn_status *ret_status, tarn_error *err)
    TARN_REQUIRES(log->sync_lock) {
    tarn_mutex_assert_held(log->sync_lock);
    log->is_syncing = true;
    tarn_mutex_unlock(log->sync_lock);

    // In this order: the position covers at least the changes up to the sequence.
    uint64_t sequence = load_u64(&log->visible_sequence);
    uint64_t position = load_u64(&log->published_position);
    *ret_status = sync_segments(log, position, err);
    if (*ret_status == TARN_OK) {
        __atomic_store_n(&log->synced_sequence, sequence, __ATOMIC_RELEASE);
        __atomic_store_n(&log->durable_position, position, __ATOMIC_RELEASE);
    } else {
        __atomic_store_n(&log->has_failed, true, __ATOMIC_RELEASE);
    }
    int64_t now_ns = tarn_os_monotonic_ns(log->options.os);

    tarn_mutex_lock(log->sync_lock);
    log->last_sync_ns = now_ns;
    log->sync_count++;
    log->is_syncing = false;
    tarn_cond_broadcast(log->synced);
}

static tarn_status sync_to(kv_log *log, uint64_t position, tarn_error *err) {
    if (load_u64(&log->durable_position) >= position) return TARN_OK;
    tarn_status status = TARN_OK;
    tarn_mutex_lock(log->sync_lock);
    while (status == TARN_OK && load_u64(&log->durable_position) < position) {
        if (__atomic_load_n(&log->has_failed, __ATOMIC_ACQUIRE)) {
            status = fail_for_good(err);
        } else if (log->is_syncing) {
            tarn_cond_wait(log->synced, log->sync_lock);
        } else {
            lead(log, &status, err);
        }
    }
    tarn_mutex_unlock(log->sync_lock);
    return status;
}

// Whether the interval is over and nobody but the writers can sync.
static bool is_due(kv_log *log) {
    if (log->thread != NULL) return false;
    int64_t now_ns = tarn_os_monotonic_ns(log->options.os);
    tarn_mutex_lock(log->sync_lock);
    bool is_due = now_ns - log->last_sync_ns >= log->options.sync_interval_ms * 1000000;
    tarn_mutex_unlock(log->sync_lock);
    return is_due;
}

tarn_status kv_log_commit(kv_log *log, uint64_t position, tarn_kv_sync sync, tarn_error *err) {
    tarn_assert(sync != TARN_KV_SYNC_DEFAULT);
    if (__atomic_load_n(&log->has_failed, __ATOMIC_ACQUIRE)) return fail_for_good(err);
    if (sync == TARN_KV_SYNC_INTERVAL && !__atomic_load_n(&log->wants_sync, __ATOMIC_RELAXED)) {
        __atomic_store_n(&log->wants_sync, true, __ATOMIC_RELEASE); // for the log's thread
    }
    bool must_sync = sync == TARN_KV_SYNC_ALWAYS || (sync == TARN_KV_SYNC_INTERVAL && is_due(log));
    return must_sync ? sync_to(log, position, err) : TARN_OK;
}

tarn_status kv_log_sync(kv_log *log, tarn_error *err) {
    return kv_log_commit(log, load_u64(&log->published_position), TARN_KV_SYNC_ALWAYS, err);
}

// ---- the log's own thread ----

static void run_thread(void *context) TARN_NO_THREAD_ANALYSIS {
    kv_log *log = context;
    tarn_mutex_lock(log->lock);
    while (!log->is_closing) {
        (void)tarn_cond_wait_ms(log->work, log->lock, log->options.sync_interval_ms);
        if (log->is_closing) break;
        // When it fails, the writer that needs the segment tries again and reports.
        if (log->spare == NULL && !log->is_preparing) (void)prepare_spare(log, 0, NULL);
        tarn_mutex_unlock(log->lock);
        // A failure is found by the next write.
        if (__atomic_exchange_n(&log->wants_sync, false, __ATOMIC_ACQ_REL)) {
            tarn_status status = kv_log_sync(log, NULL);
            (void)status;
        }
        tarn_mutex_lock(log->lock);
    }
    tarn_mutex_unlock(log->lock);
}

static void stop_thread(kv_log *log) {
    if (log->thread == NULL) return;
    tarn_mutex_lock(log->lock);
    log->is_closing = true;
    tarn_cond_signal(log->work);
    tarn_mutex_unlock(log->lock);
    tarn_thread_join(log->thread);
    log->thread = NULL;
}

// ---- opening and closing ----

static void free_list(kv_log *log, log_list *list) {
    for (kv_log_segment *s = log_list_pop(list); s != NULL; s = log_list_pop(list)) {
        log_segment_free(log, s);
    }
}

static void free_log(kv_log *log) {
    if (log == NULL) return;
    free_list(log, &log->live);
    free_list(log, &log->free);
    log_segment_free(log, log->spare);
    tarn_cond_free(log->synced);
    tarn_mutex_free(log->sync_lock);
    tarn_cond_free(log->work);
    tarn_cond_free(log->published);
    tarn_cond_free(log->prepared);
    tarn_mutex_free(log->lock);
    tarn_arena_reset(&log->arena);
    tarn_alloc_free(log->options.alloc, log, 1);
}

static void set_defaults(kv_log_options *options) {
    const uint64_t least_bytes = 4096;
    if (options->alloc == NULL) options->alloc = &tarn_alloc_libc;
    if (options->segment_bytes == 0) {
        options->segment_bytes = TARN_TUNABLE((uint64_t)64 << 20, least_bytes);
    }
    if (options->segment_bytes < least_bytes) options->segment_bytes = least_bytes;
    options->segment_bytes -= options->segment_bytes % 4096;
    if (options->spare_count == 0) options->spare_count = 2;
    if (options->sync_interval_ms <= 0) options->sync_interval_ms = 100;
}

static tarn_status new_log(const kv_log_options *options, kv_log **ret_log, tarn_error *err) {
    kv_log_options filled = *options;
    set_defaults(&filled);
    kv_log *log = tarn_alloc_new(filled.alloc, kv_log, 1);
    if (log == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a log");
    log->options = filled;
    tarn_arena_init(&log->arena, filled.alloc, SIZE_MAX);
    tarn_status status = TARN_OK;
    if (!tarn_arena_copy(&log->arena, options->directory, &log->options.directory)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for a log");
    }
    if (status == TARN_OK) status = tarn_mutex_new(TARN_LOCK_KV_LOG, &log->lock, err);
    if (status == TARN_OK) status = tarn_cond_new(&log->prepared, err);
    if (status == TARN_OK) status = tarn_cond_new(&log->published, err);
    if (status == TARN_OK) status = tarn_cond_new(&log->work, err);
    if (status == TARN_OK) status = tarn_mutex_new(TARN_LOCK_KV_SYNC, &log->sync_lock, err);
    if (status == TARN_OK) status = tarn_cond_new(&log->synced, err);
    if (status != TARN_OK) {
        free_log(log);
        return status;
    }
    *ret_log = log;
    return TARN_OK;
}

static tarn_status begin_writing(kv_log *log, tarn_error *err) {
    log->last_sync_ns = tarn_os_monotonic_ns(log->options.os);
    tarn_mutex_lock(log->lock);
    // Recovered segments have no positions and are durable: what is appended begins at 0.
    for (kv_log_segment *s = log->live.first; s != NULL; s = s->next) {
        tarn_assert(!s->map.is_writable);
        s->base_offset = s->end_offset;
    }
    if (log->live.last != NULL) log->tail = log->live.last->end_offset;
    tarn_status status = make_room(log, KV_LOG_RECORD_BYTES, true, err);
    tarn_mutex_unlock(log->lock);
    bool is_simulated = status == TARN_OK && log->live.last->map.is_reported;
    if (status == TARN_OK && log->options.has_thread && !is_simulated) {
        status = tarn_thread_start(run_thread, log, &log->thread, err);
    }
    return status;
}

tarn_status kv_log_open(const kv_log_options *options, kv_log **ret_log, tarn_error *err) {
    kv_log *log = NULL;
    TARN_TRY(new_log(options, &log, err));
    tarn_status status = log_recover(log, err);
    if (status == TARN_OK && !log->options.is_read_only) status = begin_writing(log, err);
    if (status != TARN_OK) {
        free_log(log);
        return status;
    }
    *ret_log = log;
    return TARN_OK;
}

bool kv_log_has_thread(const kv_log *log) {
    return log->thread != NULL;
}

// Writes the mark of a clean end where there is room: it saves the next open a search.
static void mark_closed(kv_log *log) {
    tarn_mutex_lock(log->lock);
    if (has_room(log, KV_LOG_RECORD_BYTES)) {
        kv_log_segment *segment = log->live.last;
        uint8_t *at = segment->map.data + log->tail;
        kv_log_record record = {.type = KV_LOG_END,
                                .sequence = log->next_sequence,
                                .body = {at + KV_LOG_RECORD_BYTES, 0}};
        log_record_encode(at, segment->number, &record, load_u64(&log->synced_sequence));
        tarn_map_wrote(&segment->map, log->tail, KV_LOG_RECORD_BYTES);
        log->tail += KV_LOG_RECORD_BYTES;
    }
    tarn_mutex_unlock(log->lock);
}

tarn_status kv_log_close(kv_log *log, tarn_error *err) {
    if (log == NULL) return TARN_OK;
    stop_thread(log);
    tarn_status status = TARN_OK;
    if (!log->options.is_read_only && log->has_failed) status = fail_for_good(err);
    if (!log->options.is_read_only && !log->has_failed) {
        // First the records: the mark says that they are durable.
        status = kv_log_sync(log, err);
        if (status == TARN_OK) {
            mark_closed(log);
            status = sync_segments(log, UINT64_MAX / 2, err);
        }
    }
    free_log(log);
    return status;
}

// ---- releasing ----

// Segments may be synced only while they are listed, and leave the list only between syncs.
static void pause_syncs(kv_log *log) TARN_NO_THREAD_ANALYSIS {
    tarn_mutex_lock(log->sync_lock);
    while (log->is_syncing) tarn_cond_wait(log->synced, log->sync_lock);
    log->is_syncing = true;
    tarn_mutex_unlock(log->sync_lock);
}

static void resume_syncs(kv_log *log) {
    tarn_mutex_lock(log->sync_lock);
    log->is_syncing = false;
    tarn_cond_broadcast(log->synced);
    tarn_mutex_unlock(log->sync_lock);
}

// Keeps the file for reuse, or removes it.
static tarn_status dispose(kv_log *log, kv_log_segment *segment, tarn_error *err) {
    tarn_mutex_lock(log->lock);
    log->live_bytes -= segment->map.len;
    bool is_kept = !log->options.without_recycling &&
                   segment->map.len == log->options.segment_bytes &&
                   log->free.count < log->options.spare_count;
    tarn_map_close(&segment->map);
    if (is_kept) log_list_push(&log->free, segment);
    tarn_mutex_unlock(log->lock);
    if (is_kept) return TARN_OK;
    tarn_status status = log_segment_remove(log, segment->number, err);
    log_segment_free(log, segment);
    return status;
}

tarn_status kv_log_release(kv_log *log, uint64_t sequence, tarn_error *err) {
    log_list released = {0};
    pause_syncs(log);
    tarn_mutex_lock(log->lock);
    while (log->live.first->next != NULL && log->live.first->end_sequence <= sequence) {
        log_list_push(&released, log_list_pop(&log->live));
    }
    tarn_mutex_unlock(log->lock);
    resume_syncs(log);
    tarn_status status = TARN_OK;
    for (kv_log_segment *s = log_list_pop(&released); s != NULL; s = log_list_pop(&released)) {
        tarn_status disposed = dispose(log, s, status == TARN_OK ? err : NULL);
        if (status == TARN_OK) status = disposed;
    }
    return status;
}

static kv_log_segment *find_segment(const kv_log *log, uint64_t number, kv_log_segment **ret_before)
    TARN_REQUIRES(log->lock) {
    kv_log_segment *before = NULL;
    kv_log_segment *segment = log->live.first;
    while (segment != NULL && segment->number != number) {
        before = segment;
        segment = segment->next;
    }
    *ret_before = before;
    return segment;
}

tarn_status kv_log_drop(kv_log *log, uint64_t segment_number, tarn_error *err) {
    tarn_assert(log->options.may_lack_segments);
    pause_syncs(log);
    tarn_mutex_lock(log->lock);
    kv_log_segment *before;
    kv_log_segment *segment = find_segment(log, segment_number, &before);
    tarn_assert(segment != log->live.last || segment == NULL);
    if (segment != NULL && before == NULL) log->live.first = segment->next;
    if (segment != NULL && before != NULL) before->next = segment->next;
    if (segment != NULL) log->live.count--;
    tarn_mutex_unlock(log->lock);
    resume_syncs(log);
    // One that was dropped before, and whose file could not be removed: again.
    TARN_TRY(segment == NULL ? log_segment_remove(log, segment_number, err)
                             : dispose(log, segment, err));
    return tarn_os_sync_dir(log->options.os, log->options.directory, err);
}

tarn_status kv_log_roll(kv_log *log, tarn_error *err) {
    tarn_status status = TARN_OK;
    tarn_mutex_lock(log->lock);
    if (log->tail > KV_LOG_HEADER_BYTES) status = make_room(log, KV_LOG_RECORD_BYTES, true, err);
    tarn_mutex_unlock(log->lock);
    return status;
}

// ---- looking ----

uint64_t kv_log_live_bytes(const kv_log *log) {
    tarn_mutex_lock(log->lock);
    uint64_t bytes = log->live_bytes;
    tarn_mutex_unlock(log->lock);
    return bytes;
}

static void describe(const kv_log *log, const kv_log_segment *segment,
                     kv_log_segment_info *ret_info) {
    *ret_info = (kv_log_segment_info){
        .number = segment->number,
        .first_sequence = segment->first_sequence,
        .last_sequence = segment->end_sequence - 1,
        .end_offset = segment->end_offset,
        .file_bytes = segment->map.len,
        .data = segment->map.data,
        .is_current = segment->next == NULL && segment->map.is_writable,
    };
    if (!segment->map.is_writable) return;
    // What is published may end in this segment, or before it.
    uint64_t end_offset = ret_info->is_current ? log->tail : segment->end_offset;
    uint64_t position = load_u64(&log->published_position);
    uint64_t reached = segment->base_offset;
    if (position > segment->base_position) reached += position - segment->base_position;
    ret_info->end_offset = reached < end_offset ? reached : end_offset;
    if (!ret_info->is_current) return;
    bool has_begun = reached > segment->base_offset;
    ret_info->last_sequence =
        has_begun ? load_u64(&log->visible_sequence) : segment->first_sequence - 1;
}

tarn_status kv_log_segments(const kv_log *log, tarn_arena *arena, kv_log_segment_info **ret_infos,
                            size_t *ret_count, tarn_error *err) {
    tarn_mutex_lock(log->lock);
    size_t count = log->live.count;
    kv_log_segment_info *infos = tarn_arena_new(arena, kv_log_segment_info, count);
    if (infos != NULL) {
        size_t i = 0;
        for (const kv_log_segment *s = log->live.first; s != NULL; s = s->next) {
            describe(log, s, &infos[i++]);
        }
    }
    tarn_mutex_unlock(log->lock);
    if (infos == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu segments", count);
    *ret_infos = infos;
    *ret_count = count;
    return TARN_OK;
}

tarn_status kv_log_path(const kv_log *log, uint64_t segment_number, tarn_arena *arena,
                        tarn_slice *ret_path, tarn_error *err) {
    return log_path(log->options.directory, segment_number, arena, ret_path, err);
}

static tarn_status verify_segment(const kv_log *log, const kv_log_segment_info *info,
                                  tarn_error *err) {
    // Nobody wants its changes. Where it ends was not looked for at the open: maybe in a torn tail.
    bool is_unread = info->last_sequence < log->options.first_sequence;
    uint64_t sequence = info->first_sequence;
    tarn_slice bytes = {info->data, info->end_offset};
    for (uint64_t offset = KV_LOG_HEADER_BYTES; offset < info->end_offset;) {
        // Where a segment ends that was not read at the open, its records say.
        if (sequence > info->last_sequence || log_is_end(bytes, offset)) break;
        kv_log_record record;
        if (!kv_log_decode(info->data, info->number, offset, info->end_offset, &record) ||
            record.sequence != sequence) {
            if (is_unread) return TARN_OK;
            return tarn_fail(err, TARN_CORRUPT,
                             "'" TARN_SLICE_FMT "/%012llu.log' at offset %llu: change %llu is "
                             "damaged",
                             TARN_SLICE_ARG(log->options.directory),
                             (unsigned long long)info->number, (unsigned long long)offset,
                             (unsigned long long)sequence);
        }
        offset += KV_LOG_SIZE(record.body.len);
        sequence += record.count;
    }
    bool may_lack = log->options.may_lack_segments || is_unread;
    if (sequence > info->last_sequence || may_lack) return TARN_OK;
    return tarn_fail(err, TARN_CORRUPT, "'" TARN_SLICE_FMT "/%012llu.log' ends before change %llu",
                     TARN_SLICE_ARG(log->options.directory), (unsigned long long)info->number,
                     (unsigned long long)sequence);
}

// The segment after `number` (0: the first); false when there is none.
static bool describe_next(kv_log *log, uint64_t number, kv_log_segment_info *ret_info) {
    tarn_mutex_lock(log->lock);
    const kv_log_segment *segment = log->live.first;
    while (segment != NULL && segment->number <= number) segment = segment->next;
    if (segment != NULL) describe(log, segment, ret_info);
    tarn_mutex_unlock(log->lock);
    return segment != NULL;
}

tarn_status kv_log_verify(kv_log *log, tarn_error *err) {
    kv_log_segment_info info = {0};
    for (;;) {
        pause_syncs(log); // and so releases
        bool is_there = describe_next(log, info.number, &info);
        tarn_status status = is_there ? verify_segment(log, &info, err) : TARN_OK;
        resume_syncs(log);
        if (!is_there || status != TARN_OK) return status;
    }
}

void kv_log_stats(const kv_log *log, kv_log_statistics *ret_stats) {
    tarn_mutex_lock(log->lock);
    *ret_stats = (kv_log_statistics){
        .live_bytes = log->live_bytes,
        .written_bytes = log->written_bytes,
        .skipped_records = log->skipped_records,
        .replayed_records = log->replayed_records,
    };
    tarn_mutex_unlock(log->lock);
    tarn_mutex_lock(log->sync_lock);
    ret_stats->syncs = log->sync_count;
    tarn_mutex_unlock(log->sync_lock);
}
