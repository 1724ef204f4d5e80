#include "lake/sequences.h"

#include "base/alloc.h"
#include "lake/bytemap.h"
#include "lake/table.h"

// The pseudo bucket under which a partition's bucket count is kept.
#define WHOLE_PARTITION INT32_MIN

struct lake_sequences {
    const tarn_alloc *alloc;
    tarn_arena arena;
    lake_bytemap buckets; // key: bucket, then partition
    int64_t *values;      // by number: the next sequence number, or the partition's bucket count
    size_t capacity;
    int64_t known_snapshot; // everything up to this snapshot is in
};

tarn_status lake_sequences_new(const tarn_alloc *alloc, lake_sequences **ret_sequences,
                               tarn_error *err) {
    lake_sequences *sequences = tarn_alloc_new(alloc, lake_sequences, 1);
    if (sequences == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a table");
    sequences->alloc = alloc;
    tarn_arena_init(&sequences->arena, alloc, SIZE_MAX);
    lake_bytemap_init(&sequences->buckets, &sequences->arena);
    *ret_sequences = sequences;
    return TARN_OK;
}

void lake_sequences_free(lake_sequences *sequences) {
    if (sequences == NULL) return;
    tarn_arena_reset(&sequences->arena);
    tarn_alloc_free(sequences->alloc, sequences, 1);
}

// The counter of a bucket, made with 0 when it is new.
static tarn_status find_value(lake_sequences *sequences, tarn_slice partition, int32_t bucket,
                              int64_t **ret_value, tarn_error *err) {
    uint8_t inlined[128];
    tarn_buffer spilled = {0};
    tarn_slice key = {inlined, sizeof bucket + partition.len};
    uint8_t *bytes = inlined;
    if (key.len > sizeof inlined) {
        if (!tarn_buffer_reserve(&spilled, key.len)) {
            return tarn_fail(err, TARN_NO_MEMORY, "a partition");
        }
        bytes = spilled.data;
        key.data = bytes;
    }
    tarn_store_u32(bytes, (uint32_t)bucket);
    if (partition.len > 0) memcpy(bytes + sizeof bucket, partition.data, partition.len);
    size_t number = 0;
    bool is_new = false;
    tarn_status status = lake_bytemap_insert(&sequences->buckets, key, &number, &is_new, err);
    tarn_buffer_free(&spilled);
    if (status != TARN_OK) return status;
    if (number >= sequences->capacity) {
        size_t capacity = sequences->capacity == 0 ? 64 : sequences->capacity * 2;
        int64_t *values = tarn_arena_new(&sequences->arena, int64_t, capacity);
        if (values == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu buckets", capacity);
        if (number > 0) memcpy(values, sequences->values, number * sizeof *values);
        sequences->values = values;
        sequences->capacity = capacity;
    }
    tarn_assert(sequences->values != NULL);
    *ret_value = &sequences->values[number];
    return TARN_OK;
}

static tarn_status note_entry(lake_sequences *sequences, const lake_entry *entry, tarn_error *err) {
    if (entry->kind != LAKE_ADD) return TARN_OK;
    int64_t *next = NULL;
    TARN_TRY(find_value(sequences, entry->partition, entry->bucket, &next, err));
    tarn_assert(next != NULL);
    if (entry->file.max_sequence >= *next) {
        if (entry->file.max_sequence == INT64_MAX) {
            return tarn_fail(err, TARN_CORRUPT,
                             "file '" TARN_SLICE_FMT "': no sequence number left",
                             TARN_SLICE_ARG(entry->file.name));
        }
        *next = entry->file.max_sequence + 1;
    }
    int64_t *total = NULL;
    TARN_TRY(find_value(sequences, entry->partition, WHOLE_PARTITION, &total, err));
    tarn_assert(total != NULL);
    *total = entry->total_buckets;
    return TARN_OK;
}

static tarn_status note_live(tarn_table *table, const lake_snapshot *snapshot, tarn_error *err) {
    lake_live live;
    TARN_TRY(lake_live_load(table, snapshot, NULL, &live, err));
    tarn_status status = TARN_OK;
    tarn_mutex_lock(table->lock);
    for (size_t i = 0; i < live.count && status == TARN_OK; i++) {
        status = note_entry(table->sequences, live.entries[i], err);
    }
    tarn_mutex_unlock(table->lock);
    lake_live_free(&live);
    return status;
}

static tarn_status note_content(tarn_table *table, tarn_slice name, tarn_error *err) {
    lake_content *content = NULL;
    TARN_TRY(lake_content_read(table, name, &content, err));
    tarn_status status = TARN_OK;
    tarn_mutex_lock(table->lock);
    for (size_t i = 0; i < content->count && status == TARN_OK; i++) {
        status = note_entry(table->sequences, &content->entries[i], err);
    }
    tarn_mutex_unlock(table->lock);
    lake_content_unref(content);
    return status;
}

// What one snapshot added. *ret_found is false when it has expired.
static tarn_status note_delta(tarn_table *table, int64_t id, tarn_arena *scratch, bool *ret_found,
                              tarn_error *err) {
    lake_snapshot snapshot;
    TARN_TRY(lake_snapshot_read(table, id, scratch, &snapshot, ret_found, err));
    if (!*ret_found) return TARN_OK;
    lake_manifest *manifests = NULL;
    size_t count = 0;
    TARN_TRY(lake_list_read(table, snapshot.delta_list, scratch, &manifests, &count, err));
    for (size_t i = 0; i < count; i++) TARN_TRY(note_content(table, manifests[i].name, err));
    return TARN_OK;
}

static tarn_status catch_up(tarn_table *table, int64_t known, int64_t latest, tarn_arena *scratch,
                            tarn_error *err) {
    // A few snapshots are followed one by one; after a longer absence the live files are faster.
    bool follow = known > 0 && known < latest && latest - known <= 32;
    for (int64_t id = known + 1; follow && id <= latest; id++) {
        TARN_TRY(note_delta(table, id, scratch, &follow, err));
    }
    if (follow || latest == 0) return TARN_OK;
    lake_snapshot snapshot;
    bool found = false;
    TARN_TRY(lake_snapshot_read(table, latest, scratch, &snapshot, &found, err));
    if (!found) return tarn_fail(err, TARN_CONFLICT, "snapshot %lld expired", (long long)latest);
    return note_live(table, &snapshot, err);
}

tarn_status lake_sequences_refresh(tarn_table *table, tarn_error *err) {
    int64_t latest = 0;
    TARN_TRY(lake_latest_id(table, &latest, err));
    tarn_mutex_lock(table->lock);
    int64_t known = table->sequences->known_snapshot;
    tarn_mutex_unlock(table->lock);
    if (known == latest) return TARN_OK;

    tarn_arena scratch;
    tarn_arena_init(&scratch, table->alloc, SIZE_MAX);
    tarn_status status = catch_up(table, known, latest, &scratch, err);
    tarn_arena_reset(&scratch);
    if (status != TARN_OK) return status;
    tarn_mutex_lock(table->lock);
    table->sequences->known_snapshot = latest;
    tarn_mutex_unlock(table->lock);
    return TARN_OK;
}

tarn_status lake_sequences_take(tarn_table *table, tarn_slice partition, int32_t bucket,
                                uint64_t count, int64_t *ret_first, tarn_error *err) {
    int64_t *next = NULL;
    int64_t after = 0;
    tarn_mutex_lock(table->lock);
    tarn_status status = find_value(table->sequences, partition, bucket, &next, err);
    if (status == TARN_OK && __builtin_add_overflow(*next, count, &after)) {
        status = tarn_fail(err, TARN_INVALID, "no sequence number left");
    }
    if (status == TARN_OK) {
        *ret_first = *next;
        *next = after;
    }
    tarn_mutex_unlock(table->lock);
    return status;
}

int32_t lake_sequences_total_buckets(tarn_table *table, tarn_slice partition) {
    int64_t *total = NULL;
    int64_t count = 0;
    tarn_mutex_lock(table->lock);
    if (find_value(table->sequences, partition, WHOLE_PARTITION, &total, NULL) == TARN_OK) {
        count = *total;
    }
    tarn_mutex_unlock(table->lock);
    return (int32_t)count;
}
