// hashlog.h - the hash log (Bitcask): all data lie in the log, and a directory in memory knows
// where the newest record of each key is. Private to the folder.
//
//     store.c           opening, recovery, closing, statistics, verify, checkpoint
//     write.c           batches
//     read.c            get, multi_get
//     merge.c           moving what lives out of segments that are mostly dead; the upkeep thread
//     directory_file.c  the directory as a file, for a fast start
//
// A change is a record of the log (kv/log.h), and a batch is records in one space of one segment,
// flagged, so that it is recovered whole or not at all. What a later record of the same key
// replaced is dead. A merge copies what lives to the end of the log and then drops the segment:
// the order of the records of one key in the log is always the order of its changes, and replaying
// all of them gives the directory.
//
// Invariants: the directory points to the newest put of each key, and to no key that is deleted.
//             A segment is dropped when the copies of its records are durable, no directory file
//             points to it, and no reader may look at it.
// Threads:    changes of the directory and of what segments count are made under write_lock, merges
//             and files under upkeep_lock (first). Readers take no lock: an epoch keeps segments
//             and tables for them.
#ifndef TARN_KV_HASHLOG_H
#define TARN_KV_HASHLOG_H

#include <stdatomic.h>

#include "kv/engine.h"
#include "kv/hashlog/directory.h"
#include "kv/log.h"

// ---- records: docs/formats/kv-hashlog.md ----

// Types are 16 plus these.
enum {
    HASHLOG_DELETE = 1,
    HASHLOG_MORE = 2,  // the batch goes on with the next record
    HASHLOG_LATER = 4, // not the first of its batch
    HASHLOG_TYPE = 16,
    HASHLOG_TYPE_MAX = 23,
};

typedef struct hashlog_entry {
    bool is_delete;
    uint32_t covers; // delete: segments with larger numbers hold no older put of the key
    uint32_t family_id;
    tarn_slice key;
    tarn_slice value;
} hashlog_entry;

size_t hashlog_entry_len(const hashlog_entry *entry); // of the record's body
void hashlog_entry_encode(uint8_t *body, const hashlog_entry *entry);
bool hashlog_entry_decode(uint8_t type, tarn_slice body, hashlog_entry *ret_entry);
uint64_t hashlog_hash(uint32_t family_id, tarn_slice key);

// ---- the engine ----

typedef struct hashlog_segment {
    uint32_t number;
    tarn_slice file; // mapped
    // guarded by write_lock
    uint64_t live_bytes;      // of records that the directory points to
    uint64_t tombstone_bytes; // of deletes that may still be needed
    uint32_t covers;          // the largest of its deletes
    bool is_merged;           // nothing in it lives
} hashlog_segment;

// Replaced when a segment comes or goes.
typedef struct hashlog_segments {
    kv_retired retired; // first
    uint32_t first;     // the number of items[0]
    uint32_t count;
    hashlog_segment *items[]; // NULL: dropped
} hashlog_segments;

// A segment that is in no table any more and waits for its last readers.
typedef struct hashlog_doomed {
    struct hashlog_doomed *next;
    hashlog_segment *segment;
    uint64_t moment;
} hashlog_doomed;

typedef struct hashlog {
    kv_engine engine; // first
    tarn_os *os;
    const tarn_alloc *alloc;
    tarn_slice directory_path;
    const tarn_kv_options *options;
    kv_log *log;
    kv_epoch *epoch;
    hashlog_directory *directory;

    tarn_mutex *write_lock; // TARN_LOCK_KV_WRITER
    _Atomic(hashlog_segments *) segments;
    _Atomic uint64_t changes; // odd while a batch is made visible
    // guarded by write_lock
    tarn_kv_family **families;
    size_t family_count;
    size_t family_capacity;
    tarn_buffer scratch;
    bool has_failed;      // the directory lacks what the log has: open again
    bool must_upkeep;     // a segment was filled since the last look
    uint64_t write_count; // records; device_bytes are the log's

    tarn_mutex *upkeep_lock; // TARN_LOCK_KV_FLUSH
    // guarded by upkeep_lock
    hashlog_doomed *doomed;
    bool has_file;           // a directory file may point to merged segments
    uint64_t file_bytes;     // its size
    uint64_t file_sequence;  // the log is replayed from here
    uint64_t file_log_bytes; // what the log had written when it was made
    uint64_t merge_count;

    tarn_cond *work; // with write_lock
    bool is_closing; // guarded by write_lock
    tarn_thread *thread;

    // of the recovery
    tarn_status recovery_status;
    tarn_buffer pending; // records of a batch whose end is yet to come
} hashlog;

static inline hashlog *hashlog_of(kv_engine *engine) {
    return (hashlog *)engine;
}

// ---- segments ----

// NULL when it is gone: then the directory has changed, too.
hashlog_segment *hashlog_segment_find(const hashlog *h, uint32_t number);
TARN_MUST_USE tarn_status hashlog_segment_add(hashlog *h, uint64_t number, tarn_slice file,
                                              tarn_error *err);
TARN_MUST_USE tarn_status hashlog_segment_unlist(hashlog *h, uint32_t number, tarn_error *err);

// The entry at a place. False: damaged, or the segment is gone (*ret_record.body is empty then).
bool hashlog_read(const hashlog *h, hashlog_place place, bool must_check, kv_log_record *ret_record,
                  hashlog_entry *ret_entry);
tarn_status hashlog_fail_place(const hashlog *h, hashlog_place place, tarn_error *err);

// ---- writing; under write_lock ----

// The place of a key in the directory.
bool hashlog_find(const hashlog *h, uint64_t hash, uint32_t family_id, tarn_slice key,
                  hashlog_place *ret_place);
// Makes a change of the directory for a record that is in the log.
TARN_MUST_USE tarn_status hashlog_apply(hashlog *h, const hashlog_entry *entry, hashlog_place place,
                                        tarn_error *err);
// A space in the log, whose segment is listed.
TARN_MUST_USE tarn_status hashlog_reserve(hashlog *h, size_t bytes, uint32_t count,
                                          kv_log_space *ret_space, tarn_error *err);
tarn_kv_family *hashlog_family(const hashlog *h, uint32_t id); // NULL: dropped
tarn_status hashlog_fail_for_good(tarn_error *err);

// ---- upkeep ----

// Merges what should be, writes the directory file when it is time, drops what can be. `is_forced`:
// every segment with something dead, and the current one.
TARN_MUST_USE tarn_status hashlog_upkeep(hashlog *h, bool is_forced, tarn_error *err);
void hashlog_run_upkeep(void *context); // the thread
// Drops merged segments without regard to readers: there are none.
void hashlog_free_doomed(hashlog *h);

TARN_MUST_USE tarn_status hashlog_file_write(hashlog *h, tarn_error *err); // under upkeep_lock
// Fills the directory. *ret_loaded is false when there is no file, or none that is of use.
TARN_MUST_USE tarn_status hashlog_file_load(hashlog *h, bool *ret_loaded, tarn_error *err);
TARN_MUST_USE tarn_status hashlog_file_verify(const hashlog *h, tarn_error *err);
// Into an empty directory; any bytes. TARN_CORRUPT at an offset.
TARN_MUST_USE tarn_status hashlog_file_decode(tarn_slice bytes, hashlog_directory *directory,
                                              uint64_t *ret_sequence, tarn_error *err);
#define HASHLOG_FILE_NAME "DIRECTORY"

// ---- the operations of kv_engine_ops that are not in store.c ----

tarn_status hashlog_write(kv_engine *engine, const tarn_kv_batch *batch, tarn_kv_sync sync,
                          tarn_error *err);
tarn_status hashlog_get(kv_engine *engine, const tarn_kv_family *family,
                        const tarn_kv_snapshot *snapshot, tarn_slice key, tarn_kv_visitor *visit,
                        void *context, bool *ret_found, tarn_error *err);
tarn_status hashlog_multi_get(kv_engine *engine, const tarn_kv_family *family,
                              const tarn_kv_snapshot *snapshot, const tarn_slice *keys,
                              size_t count, tarn_arena *arena, tarn_kv_answer *answers,
                              tarn_error *err);

#endif
