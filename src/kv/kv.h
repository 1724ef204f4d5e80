// kv.h - ordered or hashed key-value engines behind one interface.
//
//     tarn_kv *kv = NULL;
//     TARN_TRY(tarn_kv_open(os, directory, NULL, &kv, err));          // NULL: all defaults
//     TARN_TRY(tarn_kv_put(kv, NULL, key, value, TARN_KV_SYNC_DEFAULT, err)); // durable on TARN_OK
//     TARN_TRY(tarn_kv_get(kv, NULL, key, &value_buffer, &found, err));
//     TARN_TRY(tarn_kv_close(kv, err));
//
// Engines:    LSM-tree (ordered; for writes, and for more data than memory), hash log (Bitcask:
//             unordered; point reads and writes), B+tree (ordered; copy-on-write pages, for reads),
//             memory (ordered; all data in memory, with a snapshot file and an optional log).
//             What an engine cannot do is TARN_UNSUPPORTED, and the message names engine and
//             operation.
// Invariants: a batch is visible and recovered whole or not at all, and batches are recovered in
//             the order in which they became visible: a prefix of them, which includes every one
//             that was acknowledged with the durability it asked for. Snapshots and iterators never
//             change.
// Keys:       1 to TARN_KV_KEY_MAX bytes (B+tree: TARN_KV_BTREE_KEY_MAX), any bytes, ordered as
//             unsigned bytes unless the family has a comparator. Values: 0 to TARN_KV_VALUE_MAX.
//             All of a batch together: TARN_KV_BATCH_MAX.
// Ownership:  keys, values and options passed in are copied. A family handle belongs to the store
//             and lives until it is dropped or the store is closed; snapshots and iterators are
//             freed by the caller before the store is closed. `os` outlives the store.
// Threads:    any thread reads and writes; writers queue and share one sync; readers wait neither
//             for writers nor for compaction. An iterator or a batch belongs to one thread at a
//             time.
// Errors:     after a failed write or sync of the log, or of the list of files, every write fails
//             (TARN_IO) until the store is opened again: the page cache cannot be trusted. Reads go
//             on. TARN_CORRUPT names file and offset. TARN_CONFLICT at open: the message says who
//             holds the store.
// Formats:    docs/formats/kv-*.md
#ifndef TARN_KV_H
#define TARN_KV_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "io/io.h"
#include "os/os.h"

#define TARN_KV_KEY_MAX       65535
#define TARN_KV_BTREE_KEY_MAX 1000
#define TARN_KV_VALUE_MAX     ((size_t)1 << 30)
#define TARN_KV_BATCH_MAX     ((size_t)INT32_MAX)

typedef struct tarn_kv tarn_kv;
typedef struct tarn_kv_family tarn_kv_family;
typedef struct tarn_kv_batch tarn_kv_batch;
typedef struct tarn_kv_snapshot tarn_kv_snapshot;
typedef struct tarn_kv_iterator tarn_kv_iterator;

// ---- options; zero is the documented default ----

typedef enum tarn_kv_engine {
    TARN_KV_ANY, // default: what the directory holds; a new one: TARN_KV_LSM
    TARN_KV_LSM,
    TARN_KV_HASHLOG,
    TARN_KV_BTREE,
    TARN_KV_MEM,
    TARN_KV_ENGINE_COUNT,
} tarn_kv_engine;

const char *tarn_kv_engine_name(tarn_kv_engine engine); // "lsm", "hashlog", "btree", "mem"
bool tarn_kv_engine_is_built(tarn_kv_engine engine);    // whether this build has it

// When a write is acknowledged. Whatever is chosen, an acknowledged write survives the end of the
// process (kill -9).
typedef enum tarn_kv_sync {
    TARN_KV_SYNC_DEFAULT,  // as the store's option says; as that option: ALWAYS
    TARN_KV_SYNC_ALWAYS,   // when it survives a power loss; writers that wait share one sync
    TARN_KV_SYNC_INTERVAL, // at once; a power loss takes at most the last sync_interval_ms
    TARN_KV_SYNC_NEVER,    // at once; a power loss takes what the system had not written back
} tarn_kv_sync;

// What opening does about a log that does not end well. A torn tail is what a crash leaves; damage
// before the tail is not.
typedef enum tarn_kv_recovery {
    TARN_KV_TOLERATE_TORN_TAIL, // default: a torn tail ends the log, other damage is TARN_CORRUPT
    TARN_KV_STRICT,             // a torn tail is TARN_CORRUPT, too
    TARN_KV_SKIP_CORRUPT,       // damaged records are left out; counted in the statistics
} tarn_kv_recovery;

// An order of keys. Its name is stored: opening with another is TARN_INVALID. It must be a total
// order in which equal means the same bytes, and may be called from any thread.
typedef struct tarn_kv_comparator {
    const char *name; // outlives the store
    int (*compare)(void *context, tarn_slice a, tarn_slice b);
    void *context;
} tarn_kv_comparator;

// What merge writes mean: folds `operands`, oldest first, into `base` (NULL: the key had no value)
// and appends the value to `out`. Must give the same whatever the grouping of the operands. May be
// called from any thread. The name is stored.
typedef struct tarn_kv_merge_operator {
    const char *name; // outlives the store
    tarn_status (*merge)(void *context, tarn_slice key, const tarn_slice *base,
                         const tarn_slice *operands, size_t operand_count, tarn_buffer *out,
                         tarn_error *err);
    void *context;
} tarn_kv_merge_operator;

typedef enum tarn_kv_compaction {
    TARN_KV_LEVELED, // default
    TARN_KV_TIERED,  // sorted runs of similar size are merged together: fewer bytes written
    TARN_KV_FIFO,    // the oldest files are dropped beyond fifo_limit_bytes or ttl_ms
} tarn_kv_compaction;

// A column family is a key space of its own in the same store: one log, atomic batches across
// families. Options marked (lsm) are used by that engine alone and ignored by the others.
typedef struct tarn_kv_family_options {
    const tarn_kv_comparator *comparator; // NULL: unsigned bytes
    const tarn_kv_merge_operator *merge;  // NULL: merge writes are TARN_INVALID
    int64_t ttl_ms;                       // > 0: values vanish that long after they were written
    size_t prefix_bytes;                  // (lsm) > 0: filters also know prefixes of this length
    tarn_kv_compaction compaction;        // (lsm)
    uint64_t fifo_limit_bytes;            // (lsm) default 1 GiB
    size_t memtable_bytes;                // (lsm) default 64 MiB, within memory_limit_bytes
    size_t block_bytes;                   // (lsm) default 4 KiB, before compression
    tarn_codec codec;                     // (lsm) all levels but the last; default none
    tarn_codec last_level_codec;          // (lsm) default: as `codec`
    uint32_t filter_bits_per_key;         // (lsm) default 10
    bool without_filters;                 // (lsm)
    size_t blob_bytes;                    // (lsm) > 0: larger values lie in blob files
} tarn_kv_family_options;

typedef struct tarn_kv_options {
    tarn_kv_engine engine;
    const tarn_alloc *alloc;  // NULL: tarn_alloc_libc
    tarn_kv_sync sync;        // default TARN_KV_SYNC_ALWAYS
    int64_t sync_interval_ms; // for TARN_KV_SYNC_INTERVAL; default 100
    tarn_kv_recovery recovery;
    bool must_exist;           // TARN_INVALID when the directory holds no store
    bool must_be_new;          // TARN_CONFLICT when it does
    bool read_only;            // next to the process that has it open; writes are TARN_INVALID
    bool without_log;          // (mem) nothing survives but what checkpoint and close write
    size_t memory_limit_bytes; // memtables, caches, indexes, filters; default 512 MiB
    // (lsm) of all families, the oldest is flushed; (mem) or twice the data, a snapshot is written;
    // (btree) a checkpoint is made
    uint64_t log_limit_bytes;      // default 1 GiB; btree: at most 16 MiB
    uint32_t background_threads;   // default 2; with the simulated os work is done by the writers
    tarn_kv_family_options family; // of the default family, when it is created; its code always
    // Code that other families were created with, found by its stored name.
    const tarn_kv_comparator *const *comparators;
    size_t comparator_count;
    const tarn_kv_merge_operator *const *merge_operators;
    size_t merge_operator_count;
} tarn_kv_options;

// ---- the store ----

// Opens the store in `directory`, created with its parents when absent, and recovers it. Families
// that exist are opened with the options they were created with; comparators and merge operators,
// which are code, are found by their stored names among those of `options`. A comparator that is
// not among them is TARN_INVALID; a merge operator can also be given by tarn_kv_family_open, and is
// missed (TARN_INVALID) only when it is needed. `options` may be NULL.
TARN_MUST_USE tarn_status tarn_kv_open(tarn_os *os, tarn_slice directory,
                                       const tarn_kv_options *options, tarn_kv **ret_kv,
                                       tarn_error *err);
// Waits for the background work, writes what a fast start needs, and frees the store, whatever it
// returns. Acknowledged writes do not depend on it. Accepts NULL.
tarn_status tarn_kv_close(tarn_kv *kv, tarn_error *err);

tarn_kv_engine tarn_kv_engine_of(const tarn_kv *kv);

// ---- column families ----

// Opens the family, creating it when absent. "default" exists always; NULL stands for it wherever a
// family is asked for. Names: 1 to 255 bytes of UTF-8, without a zero byte. `options` may be NULL:
// all defaults when it is created, what it has when it exists. Giving an existing one another
// comparator or merge operator than it has is TARN_INVALID; other options are those it was created
// with.
TARN_MUST_USE tarn_status tarn_kv_family_open(tarn_kv *kv, tarn_slice name,
                                              const tarn_kv_family_options *options,
                                              tarn_kv_family **ret_family, tarn_error *err);
// Its data are gone at once and their space soon; snapshots and iterators that read it stay valid.
TARN_MUST_USE tarn_status tarn_kv_family_drop(tarn_kv *kv, tarn_kv_family *family, tarn_error *err);
// All names, in byte order.
TARN_MUST_USE tarn_status tarn_kv_family_list(tarn_kv *kv, tarn_arena *arena,
                                              tarn_slice **ret_names, size_t *ret_count,
                                              tarn_error *err);

// ---- writing ----

TARN_MUST_USE tarn_status tarn_kv_put(tarn_kv *kv, tarn_kv_family *family, tarn_slice key,
                                      tarn_slice value, tarn_kv_sync sync, tarn_error *err);
// A missing key is fine.
TARN_MUST_USE tarn_status tarn_kv_delete(tarn_kv *kv, tarn_kv_family *family, tarn_slice key,
                                         tarn_kv_sync sync, tarn_error *err);
TARN_MUST_USE tarn_status tarn_kv_merge(tarn_kv *kv, tarn_kv_family *family, tarn_slice key,
                                        tarn_slice operand, tarn_kv_sync sync, tarn_error *err);

// Several changes that happen together, in the order in which they were added. A batch is bound to
// no store until it is written, may be written again, and is cleared for reuse. Later changes of a
// key win.
TARN_MUST_USE tarn_status tarn_kv_batch_new(const tarn_alloc *alloc, tarn_kv_batch **ret_batch,
                                            tarn_error *err); // alloc NULL: tarn_alloc_libc
void tarn_kv_batch_free(tarn_kv_batch *batch);                // accepts NULL
void tarn_kv_batch_clear(tarn_kv_batch *batch);               // keeps the memory
size_t tarn_kv_batch_count(const tarn_kv_batch *batch);
size_t tarn_kv_batch_bytes(const tarn_kv_batch *batch);
TARN_MUST_USE tarn_status tarn_kv_batch_put(tarn_kv_batch *batch, tarn_kv_family *family,
                                            tarn_slice key, tarn_slice value, tarn_error *err);
TARN_MUST_USE tarn_status tarn_kv_batch_delete(tarn_kv_batch *batch, tarn_kv_family *family,
                                               tarn_slice key, tarn_error *err);
// All keys in [begin, end). An empty `begin` is the beginning of the family, an empty `end` its
// end.
TARN_MUST_USE tarn_status tarn_kv_batch_delete_range(tarn_kv_batch *batch, tarn_kv_family *family,
                                                     tarn_slice begin, tarn_slice end,
                                                     tarn_error *err);
TARN_MUST_USE tarn_status tarn_kv_batch_merge(tarn_kv_batch *batch, tarn_kv_family *family,
                                              tarn_slice key, tarn_slice operand, tarn_error *err);
TARN_MUST_USE tarn_status tarn_kv_write(tarn_kv *kv, const tarn_kv_batch *batch, tarn_kv_sync sync,
                                        tarn_error *err);
// Makes everything acknowledged so far survive a power loss.
TARN_MUST_USE tarn_status tarn_kv_sync_log(tarn_kv *kv, tarn_error *err);

// ---- reading ----

// NULL stands for all zero.
typedef struct tarn_kv_read {
    const tarn_kv_family *family;     // NULL: the default one
    const tarn_kv_snapshot *snapshot; // NULL: what is visible now
} tarn_kv_read;

// Replaces the content of `value` when the key is found; else leaves it alone.
TARN_MUST_USE tarn_status tarn_kv_get(tarn_kv *kv, const tarn_kv_read *read, tarn_slice key,
                                      tarn_buffer *value, bool *ret_found, tarn_error *err);

// Calls `visit` with the value where it lies, without a copy, when the key is found. The bytes are
// valid during the call, which must not call the store.
typedef tarn_status tarn_kv_visitor(void *context, tarn_slice value, tarn_error *err);
TARN_MUST_USE tarn_status tarn_kv_visit(tarn_kv *kv, const tarn_kv_read *read, tarn_slice key,
                                        tarn_kv_visitor *visit, void *context, bool *ret_found,
                                        tarn_error *err);

typedef struct tarn_kv_answer {
    bool found;
    tarn_slice value; // in the arena
} tarn_kv_answer;

// All of one moment. `answers` has room for `count`.
TARN_MUST_USE tarn_status tarn_kv_multi_get(tarn_kv *kv, const tarn_kv_read *read,
                                            const tarn_slice *keys, size_t count, tarn_arena *arena,
                                            tarn_kv_answer *answers, tarn_error *err);

// The store as it is now, for as long as the snapshot is kept.
TARN_MUST_USE tarn_status tarn_kv_snapshot_new(tarn_kv *kv, tarn_kv_snapshot **ret_snapshot,
                                               tarn_error *err);
void tarn_kv_snapshot_free(tarn_kv_snapshot *snapshot); // accepts NULL

// Bounds are copied. A prefix is the same as the bounds around it, and lets filters help.
typedef struct tarn_kv_iterator_options {
    const tarn_kv_family *family;
    const tarn_kv_snapshot *snapshot; // NULL: what is visible when the iterator is made
    tarn_slice lower;                 // keys >= lower; empty: from the first
    tarn_slice upper;                 // keys < upper; empty: to the last
    tarn_slice prefix;                // with this prefix only, beside the bounds
    bool keys_only;                   // values are not read
} tarn_kv_iterator_options;

// Starts nowhere: seek first. An iterator stands on an entry, or nowhere (before the first, behind
// the last, after an error). Moving from nowhere is not allowed, other than by a seek.
TARN_MUST_USE tarn_status tarn_kv_iterator_new(tarn_kv *kv, const tarn_kv_iterator_options *options,
                                               tarn_kv_iterator **ret_iterator, tarn_error *err);
void tarn_kv_iterator_free(tarn_kv_iterator *iterator); // accepts NULL
TARN_MUST_USE tarn_status tarn_kv_seek_first(tarn_kv_iterator *iterator, tarn_error *err);
TARN_MUST_USE tarn_status tarn_kv_seek_last(tarn_kv_iterator *iterator, tarn_error *err);
// To the first key >= `key`.
TARN_MUST_USE tarn_status tarn_kv_seek(tarn_kv_iterator *iterator, tarn_slice key, tarn_error *err);
// To the last key <= `key`.
TARN_MUST_USE tarn_status tarn_kv_seek_for_prev(tarn_kv_iterator *iterator, tarn_slice key,
                                                tarn_error *err);
TARN_MUST_USE tarn_status tarn_kv_next(tarn_kv_iterator *iterator, tarn_error *err);
TARN_MUST_USE tarn_status tarn_kv_prev(tarn_kv_iterator *iterator, tarn_error *err);
bool tarn_kv_is_valid(const tarn_kv_iterator *iterator); // stands on an entry
// Valid until the iterator moves. Only where it stands on an entry.
tarn_slice tarn_kv_key(const tarn_kv_iterator *iterator);
tarn_slice tarn_kv_value(const tarn_kv_iterator *iterator); // empty when keys_only

// ---- upkeep ----

// Brings what is in memory to the engine's files (LSM: flushes memtables; memory: writes a
// snapshot).
TARN_MUST_USE tarn_status tarn_kv_flush(tarn_kv *kv, tarn_error *err);
// Rewrites [begin, end) (empty: open) so that deleted and replaced values take no space.
TARN_MUST_USE tarn_status tarn_kv_compact(tarn_kv *kv, tarn_kv_family *family, tarn_slice begin,
                                          tarn_slice end, tarn_error *err);
// A consistent copy in `directory` (must not exist) that can be opened by itself: hard links where
// files never change, copies else. Writes go on meanwhile.
TARN_MUST_USE tarn_status tarn_kv_checkpoint(tarn_kv *kv, tarn_slice directory, tarn_error *err);
// Reads every byte and checks every checksum and invariant. TARN_CORRUPT names the first damage.
TARN_MUST_USE tarn_status tarn_kv_verify(tarn_kv *kv, tarn_error *err);
// How many bytes of files [begin, end) takes, about.
TARN_MUST_USE tarn_status tarn_kv_approximate_bytes(tarn_kv *kv, const tarn_kv_family *family,
                                                    tarn_slice begin, tarn_slice end,
                                                    uint64_t *ret_bytes, tarn_error *err);

#define TARN_KV_LEVELS 7

typedef struct tarn_kv_level {
    uint64_t file_count;
    uint64_t bytes;
    uint64_t read_bytes;    // by compactions out of it, since open
    uint64_t written_bytes; // by flushes and compactions into it, since open
    double score;           // above 1: waits for a compaction
} tarn_kv_level;

// Counters since open, and sizes now. What an engine does not have is 0.
typedef struct tarn_kv_statistics {
    // Live keys: exact for B+tree and memory, an estimate for the LSM. The hash log may count what
    // dropped families had until their segments are merged.
    uint64_t key_count;
    uint64_t gets, hits;
    uint64_t writes, batches; // changes, and how many batches they came in
    uint64_t written_bytes;   // keys and values of the writes
    uint64_t log_bytes, log_syncs;
    uint64_t file_bytes;   // all files
    uint64_t dead_bytes;   // of them, what a compaction would give back
    uint64_t device_bytes; // written to files, the log included
    uint64_t memory_bytes; // in use of memory_limit_bytes
    uint64_t memtable_bytes, cache_bytes, index_bytes, directory_bytes; // parts of it
    uint64_t cache_hits, cache_misses;
    uint64_t filter_checks, filter_rejects, filter_false; // false: said maybe, was not there
    uint64_t compactions, compactions_pending;
    uint64_t reader_count;    // (btree) snapshots and iterators, and how long the oldest of them
    int64_t oldest_reader_us; // keeps pages from being used again
    uint64_t stall_us;        // writers were slowed or stopped
    uint64_t skipped_records; // left out by TARN_KV_SKIP_CORRUPT
    size_t level_count;
    tarn_kv_level levels[TARN_KV_LEVELS];
    char stall_reason[64]; // why writers are slowed now; "" when they are not
} tarn_kv_statistics;

TARN_MUST_USE tarn_status tarn_kv_stats(tarn_kv *kv, tarn_kv_statistics *ret_stats,
                                        tarn_error *err);

#endif
