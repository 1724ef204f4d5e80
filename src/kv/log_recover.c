// Opening a log: which records are there, and whether what is not there was ever safe.
#include "base/alloc.h"
#include "kv/log_internal.h"

typedef struct log_found {
    uint64_t number;
    tarn_map map;
    log_header header;
    log_header_kind kind;
    bool is_replayed;
    uint64_t end_offset;
    uint64_t end_sequence;
} log_found;

typedef enum stop_kind {
    STOP_END,     // the records end on purpose
    STOP_CLOSED,  // and someone closed the log there
    STOP_DAMAGED, // bytes that are no record
} stop_kind;

typedef struct place {
    size_t segment;
    uint64_t offset; // 0: the header is yet to be looked at
    stop_kind kind;
} log_place;

typedef struct recovery {
    kv_log *log;
    tarn_arena arena;
    log_found *found; // by number
    size_t count;
    uint64_t expected; // the next sequence; 0: not known yet
    uint64_t synced;   // the last change that is known to be durable
    uint64_t last_number;
    uint32_t retries;
} recovery;

enum { RETRIES_MAX = 100 };

static tarn_slice bytes_of(const log_found *found) {
    return (tarn_slice){found->map.data, found->map.len};
}

// ---- finding ----

static int compare_found(const void *a, const void *b) {
    const log_found *x = a;
    const log_found *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static tarn_status find_segments(recovery *r, tarn_error *err) {
    const kv_log_options *options = &r->log->options;
    tarn_slice *names = NULL;
    size_t name_count = 0;
    TARN_TRY(tarn_os_list(options->os, options->directory, &r->arena, &names, &name_count, err));
    r->found = tarn_arena_new(&r->arena, log_found, name_count);
    if (r->found == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu log segments", name_count);
    for (size_t i = 0; i < name_count; i++) {
        uint64_t number;
        if (log_name_parse(names[i], &number)) r->found[r->count++].number = number;
    }
    qsort(r->found, r->count, sizeof *r->found, compare_found);
    if (r->count > 0) r->last_number = r->found[r->count - 1].number;
    return TARN_OK;
}

static tarn_status map_segments(recovery *r, tarn_error *err) {
    for (size_t i = 0; i < r->count; i++) {
        log_found *found = &r->found[i];
        tarn_slice path;
        TARN_TRY(log_path(r->log->options.directory, found->number, &r->arena, &path, err));
        TARN_TRY(tarn_map_open(r->log->options.os, path, &found->map, err));
        tarn_map_advise(&found->map, 0, found->map.len, TARN_MAP_SEQUENTIAL);
        found->kind = log_header_decode(bytes_of(found), found->number, &found->header);
        if (found->kind == LOG_HEADER_VALID && r->log->options.found != NULL) {
            r->log->options.found(r->log->options.context, found->number, bytes_of(found));
        }
    }
    return TARN_OK;
}

// ---- replaying ----

static tarn_status replay_record(recovery *r, const kv_log_record *record, tarn_error *err) {
    const kv_log_options *options = &r->log->options;
    bool is_wanted =
        record->type >= KV_LOG_BATCH && record->sequence + record->count > options->first_sequence;
    if (!is_wanted || options->replay == NULL) return TARN_OK;
    r->log->replayed_records++;
    return options->replay(options->context, record, err);
}

// Replays one segment from place->offset on, and says where and why it stopped.
static tarn_status replay_segment(recovery *r, log_place *place, tarn_error *err) {
    log_found *found = &r->found[place->segment];
    tarn_slice bytes = bytes_of(found);
    found->is_replayed = true;
    if (found->kind == LOG_HEADER_DAMAGED) found->header.first_sequence = r->expected;
    for (;;) {
        kv_log_record record;
        uint64_t synced;
        found->end_offset = place->offset;
        found->end_sequence = r->expected;
        bool is_end = log_is_end(bytes, place->offset);
        place->kind = is_end ? STOP_END : STOP_DAMAGED;
        if (is_end || !log_record_decode(bytes, found->number, place->offset, &record, &synced) ||
            record.sequence != r->expected) {
            return TARN_OK;
        }
        if (synced > r->synced) r->synced = synced;
        if (record.type == KV_LOG_END) {
            place->kind = STOP_CLOSED;
            r->synced = record.sequence - 1;
            return TARN_OK;
        }
        TARN_TRY(replay_record(r, &record, err));
        place->offset += KV_LOG_SIZE(record.body.len);
        r->expected += record.count;
    }
}

// Whether the segment continues the records so far.
static bool continues(const recovery *r, size_t segment) {
    const log_found *found = &r->found[segment];
    if (found->kind != LOG_HEADER_VALID) return false;
    uint64_t first = found->header.first_sequence;
    if (first == r->expected) return true;
    bool is_next = segment > 0 && r->found[segment - 1].number + 1 == found->number;
    if (r->log->options.may_lack_segments && !is_next && first >= r->expected) return true;
    if (r->expected == 0 && first == 1) return true;
    return first >= r->expected && first <= r->log->options.first_sequence;
}

static size_t next_used(const recovery *r, size_t segment) {
    while (segment < r->count && r->found[segment].kind == LOG_HEADER_UNUSED) segment++;
    return segment;
}

// Whether nobody wants the records of a segment: those of the next one are still too old.
static bool can_skip(recovery *r, size_t segment) {
    size_t next = next_used(r, segment + 1);
    if (next == r->count || r->found[next].kind != LOG_HEADER_VALID) return false;
    log_found *found = &r->found[segment];
    uint64_t next_first = r->found[next].header.first_sequence;
    if (next_first > r->log->options.first_sequence || next_first < r->expected) return false;
    found->is_replayed = true;
    found->end_offset = found->map.len;
    found->end_sequence = next_first;
    r->expected = next_first;
    return true;
}

// Replays from `place` on until the records end or break off, and leaves there where that is.
static tarn_status replay_from(recovery *r, log_place *place, tarn_error *err) {
    for (;;) {
        if (place->offset == 0) {
            place->segment = next_used(r, place->segment);
            if (place->segment == r->count) return TARN_OK;
            if (!continues(r, place->segment)) {
                place->kind = STOP_DAMAGED;
                return TARN_OK;
            }
            const log_header *header = &r->found[place->segment].header;
            r->expected = header->first_sequence;
            if (header->synced_sequence > r->synced) r->synced = header->synced_sequence;
            if (can_skip(r, place->segment)) {
                place->segment++;
                continue;
            }
            place->offset = KV_LOG_HEADER_BYTES;
        }
        TARN_TRY(replay_segment(r, place, err));
        // The next segment's word on where this one ended counts more than what lies behind: after
        // a torn tail the log goes on in a new segment.
        size_t next = next_used(r, place->segment + 1);
        if (next == r->count || !continues(r, next)) return TARN_OK;
        // What is missing in between may be, when the caller needs none of it.
        uint64_t first = r->found[next].header.first_sequence;
        bool is_needed = first != r->expected && first > r->log->options.first_sequence;
        if (place->kind == STOP_DAMAGED && is_needed) return TARN_OK;
        place->segment = next;
        place->offset = 0;
    }
}

// ---- what lies behind the stop ----

typedef struct evidence {
    uint64_t synced; // the last change that was durable, by any record or header behind the stop
    bool has_next;   // a sound record
    log_place next;
    uint64_t next_sequence;
} log_evidence;

static void search_segment(const recovery *r, size_t segment, uint64_t offset,
                           log_evidence *evidence) {
    const log_found *found = &r->found[segment];
    tarn_slice bytes = bytes_of(found);
    while (offset + KV_LOG_RECORD_BYTES <= bytes.len) {
        kv_log_record record;
        uint64_t synced;
        uint64_t step = 8;
        // Most places are no record, and the sequence tells at once.
        bool may_be = tarn_load_u64(bytes.data + offset + 8) - r->expected < (uint64_t)1 << 48;
        if (may_be && log_record_decode(bytes, found->number, offset, &record, &synced)) {
            step = KV_LOG_SIZE(record.body.len);
            if (synced > evidence->synced) evidence->synced = synced;
            if (record.type == KV_LOG_END) evidence->synced = record.sequence - 1;
            if (!evidence->has_next && record.type != KV_LOG_END) {
                evidence->has_next = true;
                evidence->next = (log_place){.segment = segment, .offset = offset};
                evidence->next_sequence = record.sequence;
            }
        }
        offset += step;
    }
}

static void search(const recovery *r, const log_place *stop, log_evidence *ret_evidence) {
    *ret_evidence = (log_evidence){0};
    for (size_t i = stop->segment; i < r->count; i++) {
        const log_found *found = &r->found[i];
        if (found->kind == LOG_HEADER_UNUSED) continue;
        uint64_t offset = KV_LOG_HEADER_BYTES;
        if (i == stop->segment && stop->offset > offset) offset = stop->offset;
        bool is_new = i > stop->segment || stop->offset == 0;
        if (is_new && found->kind == LOG_HEADER_VALID &&
            found->header.synced_sequence > ret_evidence->synced) {
            ret_evidence->synced = found->header.synced_sequence;
        }
        search_segment(r, i, offset, ret_evidence);
    }
}

static tarn_status fail_at(const recovery *r, const log_place *stop, const char *what,
                           tarn_error *err) {
    size_t segment = stop->segment < r->count ? stop->segment : r->count - 1;
    return tarn_fail(
        err, TARN_CORRUPT, "'" TARN_SLICE_FMT "/%012llu.log' at offset %llu: change %llu %s",
        TARN_SLICE_ARG(r->log->options.directory), (unsigned long long)r->found[segment].number,
        (unsigned long long)stop->offset, (unsigned long long)r->expected, what);
}

// Decides about a stop: the end of the log (TARN_OK, *ret_goes_on false), a place to go on from, or
// damage.
static tarn_status judge(recovery *r, log_place *stop, bool *ret_goes_on, tarn_error *err) {
    tarn_kv_recovery mode = r->log->options.recovery;
    *ret_goes_on = false;
    if (stop->segment == r->count || (stop->kind == STOP_CLOSED && stop->segment + 1 == r->count)) {
        return TARN_OK;
    }
    if (r->expected == 0) r->expected = 1;
    log_evidence evidence;
    search(r, stop, &evidence);
    bool was_synced = evidence.synced >= r->expected || r->synced >= r->expected;
    if (mode == TARN_KV_SKIP_CORRUPT) {
        if (was_synced || evidence.has_next) r->log->skipped_records++;
        *ret_goes_on = evidence.has_next;
        if (!evidence.has_next) return TARN_OK;
        *stop = evidence.next;
        r->expected = evidence.next_sequence;
        return TARN_OK;
    }
    if (was_synced && r->log->options.is_read_only && r->retries++ < RETRIES_MAX) {
        *ret_goes_on = true; // its writer may just have written it
        return TARN_OK;
    }
    if (was_synced) return fail_at(r, stop, "was synced, and is damaged or missing", err);
    bool is_torn = stop->kind == STOP_DAMAGED || evidence.has_next;
    if (mode == TARN_KV_STRICT && is_torn && !r->log->options.is_read_only) {
        return fail_at(r, stop, "is torn", err);
    }
    return TARN_OK;
}

// ---- keeping ----

// Makes the records of a replayed segment durable, since what follows relies on them, and what lies
// behind them no record: the next segment, which tells where this one ends, may be gone one day.
static tarn_status sync_segment(const recovery *r, const log_found *found, bool is_torn,
                                tarn_arena *arena, tarn_error *err) {
    const kv_log_options *options = &r->log->options;
    static const uint8_t zeros[8] = {0};
    tarn_slice path;
    tarn_file *file = NULL;
    TARN_TRY(log_path(options->directory, found->number, arena, &path, err));
    TARN_TRY(tarn_os_open(options->os, path, TARN_OPEN_UPDATE, &file, err));
    tarn_status status = TARN_OK;
    if (is_torn) {
        status = tarn_file_write_at(file, found->end_offset, (tarn_slice){zeros, 8}, err);
    }
    if (status == TARN_OK) status = tarn_file_sync(file, err);
    tarn_status closed = tarn_file_close(file, status == TARN_OK ? err : NULL);
    return status == TARN_OK ? closed : status;
}

static tarn_status keep_segment(recovery *r, log_found *found, tarn_error *err) {
    kv_log *log = r->log;
    bool is_torn = !log_is_end(bytes_of(found), found->end_offset);
    bool is_closed = false;
    if (is_torn) {
        kv_log_record record;
        uint64_t synced;
        is_closed = log_record_decode(bytes_of(found), found->number, found->end_offset, &record,
                                      &synced) &&
                    record.type == KV_LOG_END;
    }
    bool must_sync = (is_torn && !is_closed) || found->end_sequence > r->synced + 1;
    if (must_sync && !log->options.is_read_only) {
        TARN_TRY(sync_segment(r, found, is_torn && !is_closed, &r->arena, err));
    }
    kv_log_segment *segment = NULL;
    TARN_TRY(log_segment_new(log, found->number, &segment, err));
    tarn_map_advise(&found->map, 0, found->map.len, TARN_MAP_NORMAL);
    segment->map = found->map;
    found->map = (tarn_map){0};
    segment->first_sequence = found->header.first_sequence;
    segment->end_sequence = found->end_sequence;
    segment->end_offset = found->end_offset;
    log_list_push(&log->live, segment);
    log->live_bytes += segment->map.len;
    return TARN_OK;
}

// Every open begins a segment: those without a change must not pile up.
static bool is_empty(const log_found *found) {
    return found->kind == LOG_HEADER_UNUSED ||
           (found->is_replayed && found->end_sequence == found->header.first_sequence);
}

// A file whose records are not part of the log: an empty one may become the next segment, one that
// was cut off must be gone before new records have its numbers.
static tarn_status set_aside(recovery *r, log_found *found, bool *has_removed, tarn_error *err) {
    kv_log *log = r->log;
    if (log->options.is_read_only) return TARN_OK;
    bool can_be_used =
        found->kind != LOG_HEADER_DAMAGED && is_empty(found) && !log->options.without_recycling &&
        found->map.len == log->options.segment_bytes && log->free.count < log->options.spare_count;
    tarn_map_close(&found->map);
    if (!can_be_used) {
        *has_removed = true;
        return log_segment_remove(log, found->number, err);
    }
    kv_log_segment *segment = NULL;
    TARN_TRY(log_segment_new(log, found->number, &segment, err));
    log_list_push(&log->free, segment);
    return TARN_OK;
}

static tarn_status settle(recovery *r, tarn_error *err) {
    kv_log *log = r->log;
    bool has_removed = false;
    for (size_t i = 0; i < r->count; i++) {
        log_found *found = &r->found[i];
        bool is_kept = found->is_replayed && (!is_empty(found) || log->options.is_read_only);
        TARN_TRY(is_kept ? keep_segment(r, found, err) : set_aside(r, found, &has_removed, err));
    }
    if (has_removed) {
        TARN_TRY(tarn_os_sync_dir(log->options.os, log->options.directory, err));
    }
    uint64_t next = r->expected == 0 ? 1 : r->expected;
    if (next < log->options.first_sequence) next = log->options.first_sequence;
    log->next_sequence = next;
    log->visible_sequence = next - 1;
    log->synced_sequence = next - 1;
    log->next_number = r->last_number + 1;
    return TARN_OK;
}

tarn_status log_recover(kv_log *log, tarn_error *err) {
    recovery r = {.log = log};
    tarn_arena_init(&r.arena, log->options.alloc, SIZE_MAX);
    tarn_status status = find_segments(&r, err);
    if (status == TARN_OK) status = map_segments(&r, err);
    log_place place = {0};
    for (bool goes_on = true; status == TARN_OK && goes_on;) {
        status = replay_from(&r, &place, err);
        if (status == TARN_OK) status = judge(&r, &place, &goes_on, err);
    }
    if (status == TARN_OK) status = settle(&r, err);
    for (size_t i = 0; i < r.count && r.found != NULL; i++) tarn_map_close(&r.found[i].map);
    tarn_arena_reset(&r.arena);
    return status;
}
