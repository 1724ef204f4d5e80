// mem.h - the memory engine: every key in memory, ordered, with a file to start from.
//
// The clock of the epoch is the version: a batch is written at the next moment and becomes visible
// when that moment begins. A key has a chain of records, newest first; a reader of moment m takes
// the first one that is not younger than m. Snapshots and iterators are views: moments that stay
// readable. What no view and no reader can see any more is freed behind the writer.
//
//   written -> queued -> (no reader is older)  -> a view sees it: held by the youngest such view,
//                                                 looked at again when that is given back
//                                              -> else unlinked, and freed when no reader can
//                                                 stand on it
//
// Files:   SNAPSHOT (docs/formats/kv-mem.md), replaced whole by flush and close, and the shared log
//          in log/, which is replayed on top of it. Unless the option without_log is set.
// Writing: changes are applied while nobody sees them, then logged, then made visible. When the
//          log refuses they are taken back.
// Locks:   writer_lock for everything that writes; view_lock (inside it) for the list of views;
//          flush_lock (outside of both) for the files.
#ifndef TARN_KV_MEM_H
#define TARN_KV_MEM_H

#include "base/budget.h"
#include "kv/mem/tree.h"

#define MEM_SNAPSHOT_NAME "SNAPSHOT"
#define MEM_LOG_NAME      "log"

// A family's part. Lives until the store is closed, because views may read dropped families.
typedef struct mem_family {
    struct mem_family *next;
    const tarn_kv_family *family;
    mem_tree tree;
    // Guarded by writer_lock:
    uint64_t dropped_at; // 0: it was not
    bool is_emptied;     // dropped, and seen by nobody any more
    uint64_t key_count;  // live keys
} mem_family;

typedef struct mem_view {
    struct mem_view *older;
    struct mem_view *newer;
    uint64_t moment;
    size_t reference_count;
    struct mem_garbage *held; // replaced records that this view sees, and no younger one
} mem_view;

// A record that was replaced, while views see it.
typedef struct mem_garbage {
    struct mem_garbage *next;
    mem_family *family;
    mem_record *record;
    uint64_t replaced_at;
} mem_garbage;

// A written record whose older one can go when no reader is older than it.
typedef struct mem_queued {
    mem_family *family;
    mem_record *record;
    uint64_t moment;
} mem_queued;

typedef struct mem_queue {
    mem_queued *items; // a ring
    size_t capacity;   // a power of two, or 0
    size_t begin;
    size_t count;
} mem_queue;

typedef struct mem_engine {
    kv_engine base;
    tarn_os *os;
    tarn_budget budget;
    const tarn_alloc *alloc; // of the budget
    size_t limit_bytes;      // for puts; the budget leaves a reserve for deletes
    tarn_slice directory;
    const tarn_kv_options *options;
    kv_epoch *epoch;

    tarn_mutex *flush_lock;
    tarn_mutex *writer_lock;
    mem_family *families; // guarded by writer_lock
    mem_queue queue;      // written, oldest first; guarded by writer_lock
    mem_queue limbo;      // unlinked, to be freed after their moment; guarded by writer_lock
    tarn_buffer scratch;  // merged values; guarded by writer_lock
    uint64_t collected;   // the queue is worked off up to this moment; guarded by writer_lock
    mem_record *stranded; // to be freed at close, for want of memory; guarded by writer_lock
    bool has_dropped;     // some family is, and not emptied; guarded by writer_lock

    tarn_mutex *view_lock;
    mem_view *oldest_view; // guarded by view_lock
    mem_view *newest_view;
    mem_garbage *released; // held by views that are gone; guarded by view_lock

    uint64_t next_sequence;   // the file holds what is before; guarded by flush_lock
    uint64_t snapshot_bytes;  // of the file; guarded by flush_lock
    uint64_t snapshot_count;  // written since open
    uint64_t device_bytes;    // written to snapshot files
    _Atomic uint64_t changes; // since the snapshot file was written
    struct kv_log *log;       // NULL without
} mem_engine;

static inline mem_engine *mem_of(kv_engine *engine) {
    return (mem_engine *)(void *)engine; // its first member
}

// ---- versions: version.c ----

// The newest record that a reader of `moment` sees, or NULL.
static inline mem_record *mem_record_at(mem_record *record, uint64_t moment) {
    while (record != NULL && record->moment > moment) {
        record = atomic_load_explicit(&record->older, memory_order_acquire);
    }
    return record;
}

// A value of that moment: NULL when there is none, or it was deleted.
static inline mem_record *mem_value_at(mem_record *record, uint64_t moment) {
    record = mem_record_at(record, moment);
    return record == NULL || record->kind == KV_DELETE ? NULL : record;
}

TARN_MUST_USE mem_record *mem_record_new(mem_engine *engine, kv_change_kind kind, tarn_slice key,
                                         tarn_slice value);
void mem_record_free(mem_engine *engine, mem_record *record);

// The current moment as a view.
TARN_MUST_USE tarn_status mem_view_new(mem_engine *engine, mem_view **ret_view, tarn_error *err);
void mem_view_free(mem_engine *engine, mem_view *view); // accepts NULL

// What callers hold.
typedef struct mem_snapshot {
    tarn_kv_snapshot base;
    mem_view *view;
} mem_snapshot;

static inline mem_view *mem_view_of(const tarn_kv_snapshot *snapshot) {
    return ((const mem_snapshot *)(const void *)snapshot)->view; // its first member
}

// Makes room for more, so that a push cannot fail.
TARN_MUST_USE bool mem_queue_reserve(mem_engine *engine, mem_queue *queue, size_t count);
void mem_queue_push(mem_queue *queue, mem_queued item);
void mem_queue_free(mem_engine *engine, mem_queue *queue);
// Nobody can reach the record from the tree any more.
void mem_discard(mem_engine *engine, mem_record *record); // holding writer_lock
// Unlinks and frees what can be.
void mem_collect(mem_engine *engine) TARN_REQUIRES(engine->writer_lock);
void mem_versions_free(mem_engine *engine); // at close

// ---- writing: write.c ----

mem_family *mem_family_find(const mem_engine *engine, uint32_t id);
// Applies a batch at the next moment and makes it visible, when `log` is true after logging it.
// *ret_log_end is where its record ends in the log.
TARN_MUST_USE tarn_status mem_write_batch(mem_engine *engine, tarn_slice changes,
                                          uint32_t change_count, bool must_log,
                                          uint64_t *ret_log_end, tarn_error *err);

// Deletes the values in [begin, end) that have expired, a few at a time. That is not logged: they
// are hidden as they are.
TARN_MUST_USE tarn_status mem_delete_expired(mem_engine *engine, mem_family *family,
                                             tarn_slice begin, tarn_slice end, tarn_error *err);

// ---- iterators: iterator.c ----

tarn_status mem_iterator_new(kv_engine *engine, const tarn_kv_iterator_options *options,
                             tarn_kv_iterator **ret_iterator, tarn_error *err);

// ---- the file: snapshot_file.c ----

// Writes the state of the view to `path`, durably and atomically.
TARN_MUST_USE tarn_status mem_snapshot_write(mem_engine *engine, const mem_view *view,
                                             uint64_t next_sequence, tarn_slice path,
                                             uint64_t *ret_bytes, tarn_error *err);
// Called with the changes of each block, which are puts in the order of families and keys.
typedef tarn_status mem_snapshot_visitor(void *context, tarn_slice changes, uint32_t count,
                                         tarn_error *err);
// Reads the file whole and checks every byte; a missing one is an empty one, with next sequence 1.
TARN_MUST_USE tarn_status mem_snapshot_read(tarn_os *os, const tarn_alloc *alloc, tarn_slice path,
                                            mem_snapshot_visitor *visit, void *context,
                                            uint64_t *ret_next_sequence, uint64_t *ret_bytes,
                                            tarn_error *err);

#endif
