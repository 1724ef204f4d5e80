// log_internal.h - what log.c (appending, syncing) and log_recover.c (opening) share.
#ifndef TARN_KV_LOG_INTERNAL_H
#define TARN_KV_LOG_INTERNAL_H

#include "kv/log_format.h"

typedef struct kv_log_segment kv_log_segment;
struct kv_log_segment {
    kv_log_segment *next; // newer
    uint64_t number;
    uint64_t first_sequence;
    uint64_t end_sequence;  // 1 + the last change; of the current one: see kv_log.next_sequence
    uint64_t base_position; // the position of `base_offset`
    uint64_t base_offset;
    uint64_t end_offset; // of the current one: see kv_log.tail
    tarn_map map;
    size_t durable_offset; // belongs to whoever syncs
};

// In segments, oldest first; or a pool of free ones.
typedef struct log_list {
    kv_log_segment *first;
    kv_log_segment *last;
    size_t count;
} log_list;

struct kv_log {
    kv_log_options options; // defaults filled in; directory is a copy
    tarn_arena arena;       // of the directory

    tarn_mutex *lock;     // TARN_LOCK_KV_LOG
    tarn_cond *prepared;  // a segment is ready, or could not be made
    tarn_cond *published; // someone waits for those before
    tarn_cond *work;      // for the thread
    // guarded by lock
    log_list live;         // the last one is the current one
    log_list free;         // files that may become segments
    kv_log_segment *spare; // mapped, with its name durable
    bool is_preparing;
    bool is_closing;
    uint64_t next_number;
    uint64_t tail; // offset in the current segment
    uint64_t next_sequence;
    uint64_t live_bytes;
    uint64_t written_bytes;

    // Atomics. The publisher stores them in this order with release; readers load with acquire.
    uint64_t visible_sequence;
    uint64_t published_position;
    uint32_t waiting;          // threads in kv_log_publish that sleep
    uint64_t synced_sequence;  // stored by whoever syncs, behind the sync
    uint64_t durable_position; // the same
    bool has_failed;
    bool wants_sync; // someone committed with TARN_KV_SYNC_INTERVAL

    tarn_mutex *sync_lock; // TARN_LOCK_KV_SYNC
    tarn_cond *synced;
    // guarded by sync_lock
    bool is_syncing;
    int64_t last_sync_ns;
    uint64_t sync_count;

    tarn_thread *thread; // NULL: none
    uint64_t skipped_records;
    uint64_t replayed_records;
};

void log_list_push(log_list *list, kv_log_segment *segment);
kv_log_segment *log_list_pop(log_list *list); // the first; NULL when empty

TARN_MUST_USE tarn_status log_segment_new(kv_log *log, uint64_t number,
                                          kv_log_segment **ret_segment, tarn_error *err);
void log_segment_free(kv_log *log, kv_log_segment *segment); // unmaps it; accepts NULL
TARN_MUST_USE tarn_status log_segment_remove(kv_log *log, uint64_t number, tarn_error *err);

// Finds the segments, replays them, and leaves what is to be kept in log->live, all of it durable.
TARN_MUST_USE tarn_status log_recover(kv_log *log, tarn_error *err);

#endif
