// btree.h - the inside of an open B+tree engine, shared by its files.
//
// A commit is a record in the log and a change of pages in memory: it copies the pages on its way
// (once for all batches of a group), and publishes a view, which is the roots of all families at
// one version. Readers take the newest view and follow it without a lock. A checkpoint writes the
// pages of a version to places of the file that the checkpoint before does not use, syncs, writes a
// meta page, syncs, and lets go the log up to there. docs/decisions/0008-btree-commits-by-log.md
//
// Life of a write: queue (write.c) -> leader: apply, log record, publish -> each writer waits for
//                  the sync that it asked for.
// Threads:         one writer at a time has `is_led` and with it everything that is said below to
//                  be the leader's. Locks: write_lock before pin_lock.
#ifndef TARN_KV_BTREE_BTREE_H
#define TARN_KV_BTREE_BTREE_H

#include "kv/btree/cursor.h"
#include "kv/btree/state.h"
#include "kv/engine.h"
#include "kv/epoch.h"
#include "kv/log.h"

#define BTREE_FILE_NAME "TREE"
// A checkpoint is made when the log since the last one is that long: replaying more would take
// long.
#define BTREE_LOG_LIMIT TARN_TUNABLE((uint64_t)16 << 20, (uint64_t)8 << 10)

// Numbers as they were when the view was published, for the statistics.
typedef struct btree_numbers {
    uint64_t free_pages;
    uint64_t frame_bytes;
    uint64_t file_bytes;
    uint64_t written_bytes; // by checkpoints
    uint64_t checkpoints;
} btree_numbers;

typedef struct btree_view {
    kv_retired retired;
    const tarn_alloc *alloc;
    struct btree_view *older; // of those that may be read; guarded by pin_lock
    struct btree_view *newer;
    size_t pin_count;  // guarded by pin_lock
    int64_t pinned_ns; // when it was pinned first; guarded by pin_lock
    uint64_t version;
    btree_numbers numbers;
    size_t root_count;
    btree_family_root roots[]; // by slot
} btree_view;

// What a tarn_kv_family's engine_part is. Lives until the engine is closed.
typedef struct btree_family {
    struct btree_family *next;
    const tarn_kv_family *family;
    size_t slot;
} btree_family;

typedef struct btree_waiter btree_waiter; // write.c

typedef struct btree_engine {
    kv_engine base;
    tarn_os *os;
    const tarn_alloc *alloc;
    const tarn_kv_options *options;
    tarn_slice directory;
    tarn_slice path; // of the file; in the arena
    tarn_arena arena;
    tarn_file_lock *reader_lock; // of an engine that is open for reading only; may be NULL
    kv_epoch *epoch;
    kv_log *log;
    btree_pages pages; // reading: anybody; else the leader's

    _Atomic(btree_view *) current;
    tarn_mutex *pin_lock;
    btree_view *newest; // guarded by pin_lock
    uint64_t *pinned;   // the leader's: versions, for reclaiming
    size_t pinned_capacity;

    tarn_mutex *write_lock;
    tarn_cond *write_done;
    btree_waiter *first_waiter; // guarded by write_lock, as are the next three
    btree_waiter *last_waiter;
    size_t sleeper_count;
    bool is_led;

    // the leader's
    btree_scratch scratch;
    btree_family *families;
    btree_family_root *roots; // as `current` has them, or the transaction in work
    size_t root_count;
    size_t root_capacity;
    btree_meta meta;       // of the last checkpoint
    uint64_t sequence;     // of the last change
    uint64_t logged_bytes; // since the last checkpoint
    bool has_changed;      // since the last checkpoint, other than by logged changes
    uint64_t log_limit;    // makes a checkpoint due
    bool has_failed;       // a checkpoint broke off: nothing can be written any more
    btree_numbers numbers;
} btree_engine;

static inline btree_engine *btree_of(kv_engine *engine) {
    return (btree_engine *)(void *)engine;
}

// ---- views (view.c) ----

TARN_MUST_USE tarn_status btree_view_new(const btree_engine *engine, uint64_t version,
                                         btree_view **ret_view, tarn_error *err);
void btree_view_free(btree_view *view); // that was never published
// The leader's: readers see it from now on.
void btree_view_publish(btree_engine *engine, btree_view *view);
btree_view *btree_view_pin(btree_engine *engine); // the newest one
void btree_view_unpin(btree_engine *engine, btree_view *view);
void btree_views_free(btree_engine *engine); // at close
static inline btree_root btree_view_root(const btree_view *view, const tarn_kv_family *family) {
    const btree_family *part = family->engine_part;
    // A family that is younger than the view is empty in it.
    return part->slot < view->root_count ? view->roots[part->slot].root : (btree_root){0};
}
// The leader's: reuses what nobody reads.
void btree_reclaim(btree_engine *engine);

// ---- writing (write.c) ----

TARN_MUST_USE tarn_status btree_write(kv_engine *engine, const tarn_kv_batch *batch,
                                      tarn_kv_sync sync, tarn_error *err);
void btree_lead(btree_engine *engine);
void btree_follow(btree_engine *engine);
// The leader's, inside a transaction. Changes of families that are gone are left out. Merges are
// folded, and appended with all else to `folded` unless it is NULL.
TARN_MUST_USE tarn_status btree_apply(btree_engine *engine, tarn_slice changes,
                                      tarn_kv_batch *folded, tarn_error *err);
void btree_transaction_begin(btree_engine *engine);
void btree_transaction_abort(btree_engine *engine);
// Publishes the transaction; nothing of it is in the log.
TARN_MUST_USE tarn_status btree_transaction_commit(btree_engine *engine, tarn_error *err);

// ---- checkpoints (checkpoint.c) ----

// The leader's.
TARN_MUST_USE tarn_status btree_checkpoint(btree_engine *engine, tarn_error *err);
// Lets go the log before the last checkpoint; what is left of it is durable by then.
TARN_MUST_USE tarn_status btree_release_log(btree_engine *engine, tarn_error *err);
bool btree_checkpoint_is_due(const btree_engine *engine);
// At close, after the last checkpoint: gives back the free end of the file.
TARN_MUST_USE tarn_status btree_shrink(btree_engine *engine, tarn_error *err);

// ---- reading (read.c) ----

// Makes what a file holds durable, whoever wrote it.
TARN_MUST_USE tarn_status btree_sync_file(const btree_engine *engine, tarn_slice path,
                                          tarn_error *err);
TARN_MUST_USE tarn_status btree_get(kv_engine *engine, const tarn_kv_family *family,
                                    const tarn_kv_snapshot *snapshot, tarn_slice key,
                                    tarn_kv_visitor *visit, void *context, bool *ret_found,
                                    tarn_error *err);
TARN_MUST_USE tarn_status btree_multi_get(kv_engine *engine, const tarn_kv_family *family,
                                          const tarn_kv_snapshot *snapshot, const tarn_slice *keys,
                                          size_t count, tarn_arena *arena, tarn_kv_answer *answers,
                                          tarn_error *err);
TARN_MUST_USE tarn_status btree_snapshot_new(kv_engine *engine, tarn_kv_snapshot **ret_snapshot,
                                             tarn_error *err);
void btree_snapshot_free(kv_engine *base, tarn_kv_snapshot *snapshot);
TARN_MUST_USE tarn_status btree_iterator_new(kv_engine *engine,
                                             const tarn_kv_iterator_options *options,
                                             tarn_kv_iterator **ret_iterator, tarn_error *err);
// For an engine that is open for reading only: TARN_CONFLICT when the process that writes has made
// a checkpoint since, because its next one may write where this one reads. `status` otherwise.
tarn_status btree_recheck(btree_engine *engine, tarn_status status, tarn_error *err);

// ---- upkeep (upkeep.c, copy.c) ----

TARN_MUST_USE tarn_status btree_compact(kv_engine *engine, tarn_kv_family *family, tarn_slice begin,
                                        tarn_slice end, tarn_error *err);
TARN_MUST_USE tarn_status btree_verify(kv_engine *engine, tarn_error *err);
TARN_MUST_USE tarn_status btree_approximate_bytes(kv_engine *engine, const tarn_kv_family *family,
                                                  tarn_slice begin, tarn_slice end,
                                                  uint64_t *ret_bytes, tarn_error *err);
void btree_stats(kv_engine *base, tarn_kv_statistics *stats);
TARN_MUST_USE tarn_status btree_copy(kv_engine *engine, tarn_slice directory, tarn_error *err);

// Joins directory and name in the arena.
TARN_MUST_USE tarn_status btree_path_of(tarn_arena *arena, tarn_slice directory, const char *name,
                                        tarn_slice *ret_path, tarn_error *err);

#endif
