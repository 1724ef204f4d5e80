#include "base/alloc.h"
#include "kv/hashlog/hashlog.h"

enum { GROUP = 16, TRIES = 4 };

hashlog_segment *hashlog_segment_find(const hashlog *h, uint32_t number) {
    const hashlog_segments *segments = atomic_load_explicit(&h->segments, memory_order_acquire);
    if (segments == NULL || number < segments->first) return NULL;
    uint32_t index = number - segments->first;
    return index < segments->count ? segments->items[index] : NULL;
}

bool hashlog_read(const hashlog *h, hashlog_place place, bool must_check, kv_log_record *ret_record,
                  hashlog_entry *ret_entry) {
    *ret_record = (kv_log_record){0};
    const hashlog_segment *segment = hashlog_segment_find(h, place.segment);
    if (segment == NULL) return false;
    uint64_t offset = (uint64_t)place.offset8 * 8;
    uint64_t size = (uint64_t)place.size8 * 8;
    if (offset > segment->file.len || size > segment->file.len - offset ||
        size < KV_LOG_RECORD_BYTES) {
        return false;
    }
    const uint8_t *at = segment->file.data + offset;
    if (must_check) {
        if (!kv_log_decode(segment->file.data, place.segment, offset, offset + size, ret_record)) {
            ret_record->body = (tarn_slice){at, 0}; // it is there, and damaged
            return false;
        }
    } else {
        // Whoever compares keys only need not pay for the checksum; lengths are checked all the
        // same.
        size_t body_len = tarn_load_u32(at + 4);
        if (body_len > size - KV_LOG_RECORD_BYTES) return false;
        ret_record->type = at[23];
        ret_record->body = (tarn_slice){at + KV_LOG_RECORD_BYTES, body_len};
    }
    return hashlog_entry_decode(ret_record->type, ret_record->body, ret_entry) &&
           !ret_entry->is_delete;
}

tarn_status hashlog_fail_place(const hashlog *h, hashlog_place place, tarn_error *err) {
    return tarn_fail(
        err, TARN_CORRUPT, "'" TARN_SLICE_FMT "/%012u.log' at offset %llu: the record is damaged",
        TARN_SLICE_ARG(h->directory_path), place.segment, (unsigned long long)place.offset8 * 8);
}

// What a reader finds of a key.
typedef enum find_result { FOUND, MISSING, DAMAGED, MOVED } find_result;

static find_result look(const hashlog *h, const hashlog_matches *matches, uint32_t family_id,
                        tarn_slice key, hashlog_place *ret_place, hashlog_entry *ret_entry) {
    for (size_t i = 0; i < matches->count; i++) {
        kv_log_record record;
        *ret_place = matches->places[i];
        if (!hashlog_read(h, *ret_place, true, &record, ret_entry)) {
            bool is_gone =
                record.body.data == NULL && hashlog_segment_find(h, ret_place->segment) == NULL;
            return is_gone ? MOVED : DAMAGED;
        }
        if (ret_entry->family_id == family_id && tarn_slice_equal(ret_entry->key, key)) {
            return FOUND;
        }
    }
    return MISSING;
}

// NOLINTNEXTLINE(readability-function-size): the parameters are those of kv_engine_ops
tarn_status hashlog_get(kv_engine *engine, const tarn_kv_family *family,
                        const tarn_kv_snapshot *snapshot, tarn_slice key, tarn_kv_visitor *visit,
                        void *context, bool *ret_found, tarn_error *err) {
    hashlog *h = hashlog_of(engine);
    tarn_assert(snapshot == NULL); // there are none
    uint64_t hash = hashlog_hash(family->id, key);
    kv_guard guard = kv_epoch_enter(h->epoch);
    find_result result;
    hashlog_entry entry;
    hashlog_place place;
    do {
        hashlog_matches matches;
        hashlog_directory_find(h->directory, hash, &matches);
        // A segment that was dropped in between: its record has moved before.
        result = look(h, &matches, family->id, key, &place, &entry);
    } while (result == MOVED);
    tarn_status status = TARN_OK;
    if (result == FOUND) status = visit(context, entry.value, err);
    if (result == DAMAGED) status = hashlog_fail_place(h, place, err);
    kv_epoch_leave(guard);
    if (status == TARN_OK) *ret_found = result == FOUND;
    return status;
}

// ---- several keys: each step for all of a group, so that their cache misses overlap ----

typedef struct lookup {
    uint64_t hashes[GROUP];
    hashlog_matches matches[GROUP];
} group_lookup;

static void prefetch_records(const hashlog *h, const hashlog_matches *matches) {
    for (size_t i = 0; i < matches->count; i++) {
        const hashlog_segment *segment = hashlog_segment_find(h, matches->places[i].segment);
        if (segment == NULL) continue;
        const uint8_t *at = segment->file.data + (uint64_t)matches->places[i].offset8 * 8;
        __builtin_prefetch(at);
        __builtin_prefetch(at + 64);
    }
}

static void find_group(const hashlog *h, uint32_t family_id, const tarn_slice *keys, size_t count,
                       group_lookup *lookup) {
    for (size_t i = 0; i < count; i++) {
        lookup->hashes[i] = hashlog_hash(family_id, keys[i]);
        hashlog_directory_prefetch(h->directory, lookup->hashes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        hashlog_directory_find(h->directory, lookup->hashes[i], &lookup->matches[i]);
        prefetch_records(h, &lookup->matches[i]);
    }
}

typedef struct request {
    const hashlog *h;
    const tarn_kv_family *family;
    const tarn_slice *keys;
    size_t count;
    tarn_arena *arena;
    tarn_kv_answer *answers;
    bool has_moved; // a segment was dropped in between: once more
} request;

static tarn_status answer(request *r, size_t i, const hashlog_matches *matches, tarn_error *err) {
    hashlog_entry entry;
    hashlog_place place;
    tarn_kv_answer *out = &r->answers[i];
    find_result result = look(r->h, matches, r->family->id, r->keys[i], &place, &entry);
    *out = (tarn_kv_answer){.found = result == FOUND};
    if (result == DAMAGED) return hashlog_fail_place(r->h, place, err);
    if (result == MOVED) r->has_moved = true;
    if (result != FOUND || tarn_arena_copy(r->arena, entry.value, &out->value)) return TARN_OK;
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a value of %zu bytes", entry.value.len);
}

static tarn_status answer_all(request *r, tarn_error *err) {
    group_lookup lookup;
    r->has_moved = false;
    for (size_t begin = 0; begin < r->count; begin += GROUP) {
        size_t in_group = r->count - begin < GROUP ? r->count - begin : GROUP;
        find_group(r->h, r->family->id, r->keys + begin, in_group, &lookup);
        for (size_t i = 0; i < in_group; i++) {
            TARN_TRY(answer(r, begin + i, &lookup.matches[i], err));
        }
    }
    return TARN_OK;
}

// All of one moment: between two batches.
// NOLINTNEXTLINE(readability-function-size): the parameters are those of kv_engine_ops
tarn_status hashlog_multi_get(kv_engine *engine, const tarn_kv_family *family,
                              const tarn_kv_snapshot *snapshot, const tarn_slice *keys,
                              size_t count, tarn_arena *arena, tarn_kv_answer *answers,
                              tarn_error *err) {
    hashlog *h = hashlog_of(engine);
    tarn_assert(snapshot == NULL); // there are none
    request r = {h, family, keys, count, arena, answers, false};
    tarn_status status = TARN_OK;
    bool is_done = false;
    kv_guard guard = kv_epoch_enter(h->epoch);
    for (int i = 0; i < TRIES && !is_done && status == TARN_OK; i++) {
        uint64_t before = atomic_load_explicit(&h->changes, memory_order_acquire);
        if (before % 2 != 0) continue;
        status = answer_all(&r, err);
        atomic_thread_fence(memory_order_acquire);
        uint64_t after = atomic_load_explicit(&h->changes, memory_order_relaxed);
        is_done = after == before && !r.has_moved;
    }
    if (!is_done && status == TARN_OK) {
        // Writers are faster: for once they wait.
        tarn_mutex_lock(h->write_lock);
        status = answer_all(&r, err);
        tarn_mutex_unlock(h->write_lock);
        tarn_assert(!r.has_moved);
    }
    kv_epoch_leave(guard);
    return status;
}
