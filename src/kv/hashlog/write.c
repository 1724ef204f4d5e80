// Batches: from changes to records in the log, then to the directory.
#include "base/hash.h"
#include "base/varint.h"
#include "kv/front.h"
#include "kv/hashlog/hashlog.h"

// ---- entries ----

static size_t varint_len(uint64_t value) {
    size_t len = 1;
    for (; value >= 0x80; value >>= 7) len++;
    return len;
}

size_t hashlog_entry_len(const hashlog_entry *entry) {
    return (entry->is_delete ? 4 : 0) + varint_len(entry->family_id) + varint_len(entry->key.len) +
           entry->key.len + entry->value.len;
}

static uint8_t *put_bytes(uint8_t *at, tarn_slice bytes) {
    if (bytes.len > 0) memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

void hashlog_entry_encode(uint8_t *body, const hashlog_entry *entry) {
    uint8_t *at = body;
    if (entry->is_delete) {
        tarn_store_u32(at, entry->covers);
        at += 4;
    }
    at += tarn_varint_encode(at, entry->family_id);
    at += tarn_varint_encode(at, entry->key.len);
    at = put_bytes(at, entry->key);
    (void)put_bytes(at, entry->value);
}

bool hashlog_entry_decode(uint8_t type, tarn_slice body, hashlog_entry *ret_entry) {
    if (type < HASHLOG_TYPE || type > HASHLOG_TYPE_MAX) return false;
    hashlog_entry entry = {.is_delete = (type & HASHLOG_DELETE) != 0};
    if (entry.is_delete) {
        if (body.len < 4) return false;
        entry.covers = tarn_load_u32(body.data);
        body = tarn_slice_skip(body, 4);
    }
    uint64_t family_id;
    uint64_t key_len;
    if (!tarn_varint_decode(&body, &family_id) || family_id > UINT32_MAX ||
        !tarn_varint_decode(&body, &key_len) || key_len > body.len || key_len == 0) {
        return false;
    }
    entry.family_id = (uint32_t)family_id;
    entry.key = tarn_slice_head(body, (size_t)key_len);
    entry.value = tarn_slice_skip(body, (size_t)key_len);
    if (entry.is_delete && entry.value.len > 0) return false;
    *ret_entry = entry;
    return true;
}

uint64_t hashlog_hash(uint32_t family_id, tarn_slice key) {
    return tarn_xxh3(key, family_id);
}

// ---- the directory ----

static bool find_among(const hashlog *h, const hashlog_matches *matches, uint32_t family_id,
                       tarn_slice key, hashlog_place *ret_place) {
    for (size_t i = 0; i < matches->count; i++) {
        kv_log_record record;
        hashlog_entry entry;
        if (hashlog_read(h, matches->places[i], false, &record, &entry) &&
            entry.family_id == family_id && tarn_slice_equal(entry.key, key)) {
            *ret_place = matches->places[i];
            return true;
        }
    }
    return false;
}

bool hashlog_find(const hashlog *h, uint64_t hash, uint32_t family_id, tarn_slice key,
                  hashlog_place *ret_place) {
    hashlog_matches matches;
    hashlog_directory_find(h->directory, hash, &matches);
    return find_among(h, &matches, family_id, key, ret_place);
}

static void count_live(const hashlog *h, hashlog_place place, bool is_more) {
    hashlog_segment *segment = hashlog_segment_find(h, place.segment);
    if (segment == NULL) return; // recovery from a stale directory file, which starts anew
    uint64_t bytes = (uint64_t)place.size8 * 8;
    segment->live_bytes += is_more ? bytes : 0 - bytes;
}

static void count_tombstone(const hashlog *h, hashlog_place place, uint32_t covers) {
    hashlog_segment *segment = hashlog_segment_find(h, place.segment);
    if (segment == NULL) return;
    segment->tombstone_bytes += (uint64_t)place.size8 * 8;
    if (covers > segment->covers) segment->covers = covers;
}

// What the directory says about a key.
typedef struct known_key {
    uint64_t hash;
    bool is_there;
    bool is_crowded; // it is not there, and as many others as can be have its hash
    hashlog_place place;
} known_key;

static known_key look_up(const hashlog *h, const hashlog_entry *entry) {
    known_key known = {.hash = hashlog_hash(entry->family_id, entry->key)};
    hashlog_matches matches;
    hashlog_directory_find(h->directory, known.hash, &matches);
    known.is_there = find_among(h, &matches, entry->family_id, entry->key, &known.place);
    known.is_crowded = !known.is_there && matches.count == HASHLOG_MATCHES_MAX;
    return known;
}

static tarn_status apply_known(hashlog *h, const hashlog_entry *entry, const known_key *known,
                               hashlog_place place, tarn_error *err) {
    if (known->is_there) count_live(h, known->place, false);
    if (entry->is_delete) {
        if (known->is_there) hashlog_directory_remove(h->directory, known->hash, known->place);
        count_tombstone(h, place, entry->covers);
        return TARN_OK;
    }
    count_live(h, place, true);
    if (known->is_there) {
        hashlog_directory_move(h->directory, known->hash, known->place, place);
        return TARN_OK;
    }
    return hashlog_directory_add(h->directory, known->hash, place, err);
}

tarn_status hashlog_apply(hashlog *h, const hashlog_entry *entry, hashlog_place place,
                          tarn_error *err) {
    known_key known = look_up(h, entry);
    return apply_known(h, entry, &known, place, err);
}

// ---- batches ----

tarn_status hashlog_fail_for_good(tarn_error *err) {
    return tarn_fail(err, TARN_IO,
                     "the store takes no more writes until it is opened again: an earlier one "
                     "failed halfway");
}

tarn_kv_family *hashlog_family(const hashlog *h, uint32_t id) {
    for (size_t i = 0; i < h->family_count; i++) {
        if (h->families[i]->id == id) return h->families[i];
    }
    return NULL;
}

tarn_status hashlog_reserve(hashlog *h, size_t bytes, uint32_t count, kv_log_space *ret_space,
                            tarn_error *err) {
    TARN_TRY(kv_log_reserve(h->log, bytes, count, ret_space, err));
    if (hashlog_segment_find(h, (uint32_t)ret_space->segment_number) != NULL) return TARN_OK;
    tarn_slice file = kv_log_space_file(ret_space);
    tarn_status status = hashlog_segment_add(h, ret_space->segment_number, file, err);
    h->must_upkeep = true;
    if (status != TARN_OK) {
        kv_log_cancel(ret_space);
        kv_log_publish(h->log, ret_space);
    }
    return status;
}

// A batch whose changes are only puts and deletes.
typedef struct plain_batch {
    tarn_slice bytes;
    uint32_t count;
    known_key single; // of a batch of one change: looked up once
} plain_batch;

// Takes the next change off, as an entry.
static hashlog_entry next_entry(tarn_slice *rest) {
    kv_change change = {0};
    tarn_status status = kv_change_next(rest, &change, NULL); // was checked by measure
    tarn_assert(status == TARN_OK);
    bool is_delete = change.kind == KV_DELETE;
    if (is_delete) change.value = (tarn_slice){NULL, 0};
    return (hashlog_entry){.is_delete = is_delete,
                           .family_id = change.family_id,
                           .key = change.key,
                           .value = change.value};
}

// How many bytes the records take; makes room in the directory, so that nothing fails later.
static tarn_status measure(hashlog *h, const plain_batch *batch, size_t *ret_bytes,
                           tarn_error *err) {
    size_t bytes = 0;
    tarn_slice rest = batch->bytes;
    while (rest.len > 0) {
        hashlog_entry entry = next_entry(&rest);
        bytes += KV_LOG_SIZE(hashlog_entry_len(&entry));
        if (entry.is_delete) continue;
        known_key known = batch->count == 1 ? batch->single : look_up(h, &entry);
        TARN_TRY(hashlog_directory_reserve(h->directory, known.hash, err));
        if (known.is_crowded) {
            return tarn_fail(err, TARN_UNSUPPORTED,
                             "engine hashlog cannot hold the key: %d others have its hash",
                             HASHLOG_MATCHES_MAX);
        }
    }
    *ret_bytes = bytes;
    return TARN_OK;
}

static void unreserve(hashlog *h, const plain_batch *batch) {
    if (batch->count == 1) {
        hashlog_directory_unreserve(h->directory, batch->single.hash);
        return;
    }
    tarn_slice rest = batch->bytes;
    while (rest.len > 0) {
        hashlog_entry entry = next_entry(&rest);
        if (entry.is_delete) continue;
        hashlog_directory_unreserve(h->directory, hashlog_hash(entry.family_id, entry.key));
    }
}

// A delete hides what lies in the segment that the directory names, and before; or, when an earlier
// change of the batch may have put the key, in this one.
static uint32_t delete_covers(const plain_batch *batch, const kv_log_space *space) {
    bool is_known = batch->count == 1 && batch->single.is_there;
    return is_known ? batch->single.place.segment : (uint32_t)space->segment_number;
}

static void fill_space(const plain_batch *batch, kv_log_space *space) {
    tarn_slice rest = batch->bytes;
    for (uint32_t i = 0; i < batch->count; i++) {
        hashlog_entry entry = next_entry(&rest);
        uint32_t type = HASHLOG_TYPE;
        if (i > 0) type |= HASHLOG_LATER;
        if (i + 1 < batch->count) type |= HASHLOG_MORE;
        if (entry.is_delete) {
            type |= HASHLOG_DELETE;
            entry.covers = delete_covers(batch, space);
        }
        uint8_t *body = kv_log_begin(space, (uint8_t)type, 1, hashlog_entry_len(&entry));
        hashlog_entry_encode(body, &entry);
        (void)kv_log_end(space);
    }
}

static tarn_status apply_space(hashlog *h, const plain_batch *batch, const kv_log_space *space,
                               tarn_error *err) {
    tarn_status status = TARN_OK;
    uint64_t offset = space->offset;
    tarn_slice rest = batch->bytes;
    atomic_fetch_add_explicit(&h->changes, 1, memory_order_acq_rel);
    while (rest.len > 0 && status == TARN_OK) {
        hashlog_entry entry = next_entry(&rest);
        size_t size = KV_LOG_SIZE(hashlog_entry_len(&entry));
        if (entry.is_delete) entry.covers = delete_covers(batch, space);
        hashlog_place place = {(uint32_t)space->segment_number, (uint32_t)(offset / 8),
                               (uint32_t)(size / 8)};
        known_key known = batch->count == 1 ? batch->single : look_up(h, &entry);
        status = apply_known(h, &entry, &known, place, err);
        offset += size;
    }
    atomic_fetch_add_explicit(&h->changes, 1, memory_order_acq_rel);
    if (status != TARN_OK) h->has_failed = true;
    return status;
}

static tarn_status write_plain(hashlog *h, plain_batch *batch, uint64_t *ret_position,
                               tarn_error *err) {
    if (h->has_failed) return hashlog_fail_for_good(err);
    if (batch->count == 0) return TARN_OK;
    if (batch->count == 1) {
        tarn_slice rest = batch->bytes;
        hashlog_entry entry = next_entry(&rest);
        batch->single = look_up(h, &entry);
        // A delete of a key that is not there needs no record.
        if (entry.is_delete && !batch->single.is_there) return TARN_OK;
    }
    size_t bytes = 0;
    kv_log_space space;
    tarn_status status = measure(h, batch, &bytes, err);
    if (status == TARN_OK) status = hashlog_reserve(h, bytes, batch->count, &space, err);
    if (status == TARN_OK) {
        fill_space(batch, &space);
        kv_log_publish(h->log, &space);
        *ret_position = space.end;
        status = apply_space(h, batch, &space, err);
        h->write_count += batch->count;
    }
    unreserve(h, batch);
    return status;
}

// ---- merge writes: folded into puts ----

// The last change of a key that the batch has made so far; linear, since such batches are small.
static bool find_in_batch(const tarn_kv_batch *batch, const kv_change *wanted,
                          kv_change *ret_change) {
    bool is_found = false;
    tarn_slice rest = tarn_buffer_slice(&batch->bytes);
    while (rest.len > 0) {
        kv_change change = {0};
        tarn_status status = kv_change_next(&rest, &change, NULL);
        tarn_assert(status == TARN_OK); // we made it
        if (change.family_id == wanted->family_id && tarn_slice_equal(change.key, wanted->key)) {
            *ret_change = change;
            is_found = true;
        }
    }
    return is_found;
}

static tarn_status fold_change(hashlog *h, tarn_kv_batch *folded, kv_change change,
                               tarn_error *err) {
    const tarn_kv_family *family = hashlog_family(h, change.family_id);
    tarn_assert(family != NULL); // the front has checked
    kv_change before;
    kv_log_record record;
    hashlog_entry entry;
    hashlog_place place;
    const tarn_slice *base = NULL;
    uint64_t hash = hashlog_hash(change.family_id, change.key);
    if (find_in_batch(folded, &change, &before)) {
        if (before.kind == KV_PUT) base = &before.value;
    } else if (hashlog_find(h, hash, change.family_id, change.key, &place)) {
        if (!hashlog_read(h, place, true, &record, &entry)) {
            return hashlog_fail_place(h, place, err);
        }
        base = &entry.value;
    }
    tarn_buffer_clear(&h->scratch);
    TARN_TRY(kv_fold(family, change.key, base, &change.value, 1, tarn_os_now_us(h->os), &h->scratch,
                     err));
    change.kind = KV_PUT;
    change.value = tarn_buffer_slice(&h->scratch);
    return kv_batch_add(folded, &change, err);
}

static tarn_status fold_batch(hashlog *h, const tarn_kv_batch *batch, tarn_kv_batch *folded,
                              tarn_error *err) {
    tarn_slice rest = tarn_buffer_slice(&batch->bytes);
    while (rest.len > 0) {
        kv_change change;
        TARN_TRY(kv_change_next(&rest, &change, err));
        TARN_TRY(change.kind == KV_MERGE ? fold_change(h, folded, change, err)
                                         : kv_batch_add(folded, &change, err));
    }
    return TARN_OK;
}

static tarn_status write_locked(hashlog *h, const tarn_kv_batch *batch, uint64_t *ret_position,
                                tarn_error *err) {
    if (!batch->has_merges) {
        plain_batch plain = {.bytes = tarn_buffer_slice(&batch->bytes), .count = batch->count};
        return write_plain(h, &plain, ret_position, err);
    }
    tarn_kv_batch folded = {.alloc = h->alloc, .bytes.alloc = h->alloc};
    tarn_status status = fold_batch(h, batch, &folded, err);
    if (status == TARN_OK) {
        plain_batch plain = {.bytes = tarn_buffer_slice(&folded.bytes), .count = folded.count};
        status = write_plain(h, &plain, ret_position, err);
    }
    tarn_buffer_free(&folded.bytes);
    return status;
}

tarn_status hashlog_write(kv_engine *engine, const tarn_kv_batch *batch, tarn_kv_sync sync,
                          tarn_error *err) {
    hashlog *h = hashlog_of(engine);
    if (batch->has_ranges) {
        return tarn_fail(err, TARN_UNSUPPORTED, "engine hashlog cannot delete ranges");
    }
    uint64_t position = 0;
    tarn_mutex_lock(h->write_lock);
    tarn_status status = write_locked(h, batch, &position, err);
    bool must_upkeep = h->must_upkeep && h->thread == NULL;
    if (h->must_upkeep && h->thread != NULL) tarn_cond_signal(h->work);
    if (must_upkeep) h->must_upkeep = false;
    tarn_mutex_unlock(h->write_lock);
    if (status == TARN_OK && position > 0) status = kv_log_commit(h->log, position, sync, err);
    // Nothing to write: what made it so may not be durable yet.
    bool must_sync = status == TARN_OK && position == 0 && sync == TARN_KV_SYNC_ALWAYS;
    if (must_sync) status = kv_log_sync(h->log, err);
    // What upkeep could not do it tries again: the write is done.
    if (status == TARN_OK && must_upkeep && hashlog_upkeep(h, false, NULL) != TARN_OK) {
        tarn_mutex_lock(h->write_lock);
        h->must_upkeep = true;
        tarn_mutex_unlock(h->write_lock);
    }
    return status;
}
