// lsm.h - the inside of the LSM-tree, shared by its files.
//
// A family is a row of memtables, newest first, above levels of tables. A *view* is one state of
// it: readers take the family's view and see a whole that never changes, apart from entries that
// are added to the active memtable with numbers that are not visible to them yet.
//
//     writers:  gate [number, space in the log] -> copy and insert, in parallel -> publish in order
//     flush:    immutable memtable -> table in level 0 -> edit of the manifest -> new view
//     compact:  tables of a level and the next -> tables of the next -> edit -> new view
//
// Locks, outermost first: `edit_lock` (one edit of the manifest at a time, held over its writing)
// or `gate` (the order of writes, and changes of active memtables); then `state`.
//
// Views are reached through an epoch (get) or a reference (iterators). What a view refers to is
// released with it; a table's file is removed with the last reference, once an edit has dropped it.
#ifndef TARN_KV_LSM_H
#define TARN_KV_LSM_H

#include "kv/epoch.h"
#include "kv/log.h"
#include "kv/lsm/cache.h"
#include "kv/lsm/memtable.h"
#include "kv/lsm/table.h"

#define LSM_LEVELS TARN_KV_LEVELS

typedef struct lsm lsm;
typedef struct lsm_family lsm_family;
typedef struct lsm_manifest lsm_manifest;

// ---- tables as parts of a family (file.c) ----

typedef struct lsm_file {
    lsm *engine;
    uint64_t id;
    tarn_map map;
    lsm_table *table;
    const lsm_table_summary *summary; // the table's
    _Atomic uint64_t reference_count;
    atomic_bool is_dropped; // the file is removed with the last reference
} lsm_file;

// The path of a table, in the arena.
TARN_MUST_USE tarn_status lsm_file_path(const lsm *engine, tarn_slice directory, uint64_t id,
                                        tarn_arena *arena, tarn_slice *ret_path, tarn_error *err);
bool lsm_file_parse_name(tarn_slice name, uint64_t *ret_id);
TARN_MUST_USE tarn_status lsm_file_open(lsm *engine, const lsm_family *family, uint64_t id,
                                        lsm_file **ret_file, tarn_error *err);
void lsm_file_ref(lsm_file *file);
void lsm_file_unref(lsm_file *file); // accepts NULL
// Whether [begin, end] (inclusive; an empty one is open) and the file's keys have any in common.
bool lsm_file_overlaps(const lsm_file *file, lsm_order order, tarn_slice begin, tarn_slice end);
bool lsm_file_may_hold(const lsm_file *file, lsm_order order, tarn_slice key);
// Whether all of the file is before the key.
bool lsm_file_is_before(const lsm_file *file, lsm_order order, tarn_slice key);

// ---- versions and views (version.c) ----

typedef struct lsm_level {
    lsm_file **files; // level 0: newest first; others: by key, not overlapping
    size_t count;
} lsm_level;

typedef struct lsm_version {
    const tarn_alloc *alloc;
    _Atomic uint64_t reference_count;
    lsm_level levels[LSM_LEVELS];
} lsm_version;

TARN_MUST_USE tarn_status lsm_version_new(const tarn_alloc *alloc, lsm_version **ret_version,
                                          tarn_error *err);
void lsm_version_unref(lsm_version *version); // accepts NULL
// A version without what the change drops and with what it adds, in the order of its level.
typedef struct lsm_change lsm_change;
TARN_MUST_USE tarn_status lsm_version_change(const lsm_version *old, const lsm_change *change,
                                             lsm_version **ret_version, tarn_error *err);
// The file of a level >= 1 that may hold the key: the first that is not before it. `count`: none.
size_t lsm_level_find(const lsm_level *level, lsm_order order, tarn_slice key);
uint64_t lsm_level_bytes(const lsm_level *level);
TARN_MUST_USE tarn_status lsm_version_check(const lsm_version *version, lsm_order order,
                                            tarn_error *err);

typedef struct lsm_view {
    kv_retired retired; // first
    const tarn_alloc *alloc;
    _Atomic uint64_t reference_count;
    lsm_version *version;
    size_t memtable_count; // the active one first, then older ones
    lsm_memtable *memtables[];
} lsm_view;

TARN_MUST_USE tarn_status lsm_view_new(const tarn_alloc *alloc, lsm_version *version,
                                       lsm_memtable *const *memtables, size_t count,
                                       lsm_view **ret_view, tarn_error *err); // takes references
void lsm_view_ref(lsm_view *view);
void lsm_view_unref(lsm_view *view); // accepts NULL

// ---- families ----

struct lsm_family {
    lsm *engine;
    tarn_kv_family *front; // NULL: dropped
    uint32_t id;
    lsm_order order;
    lsm_family *next;               // in the engine's list; they live until it is closed
    _Atomic(lsm_view *) view;       // changed under state
    _Atomic(lsm_memtable *) active; // what writers insert into; changed under gate and state
    // guarded by state
    uint64_t flushed_sequence; // all changes up to it are in tables
    bool is_flushing;
    bool is_compacting;
    bool is_dropped;
    tarn_buffer cursors[LSM_LEVELS]; // where the last compaction out of the level ended
    uint64_t read_bytes[LSM_LEVELS];
    uint64_t written_bytes[LSM_LEVELS];
};

lsm_family *lsm_family_of(const lsm *engine, uint32_t id); // NULL: unknown
// Puts a new view in the place of the old one, which is retired; takes the reference. Under state.
void lsm_family_install(lsm_family *family, lsm_view *view);

// ---- the engine ----

typedef struct lsm_snapshot {
    tarn_kv_snapshot base;
    uint64_t sequence;
    struct lsm_snapshot *older, *newer; // guarded by state
} lsm_snapshot;

struct lsm {
    kv_engine base;
    tarn_os *os;
    const tarn_alloc *alloc;
    const tarn_kv_options *options;
    tarn_slice directory;
    bool has_threads;
    kv_epoch *epoch;
    kv_log *log;
    lsm_cache *cache;
    lsm_manifest *manifest;
    tarn_mutex *edit_lock;
    tarn_mutex *gate;
    tarn_mutex *state;
    tarn_cond *changed; // with state: work was done, or there is work
    _Atomic(lsm_family *) families;

    // guarded by gate
    uint64_t reserved_sequence; // the last number given out
    // guarded by edit_lock
    uint64_t log_sequence; // records of the log below are not needed

    // Numbers above are not shown, even when the log has published them: set when a batch could
    // not be inserted whole. UINT64_MAX: nothing is held back.
    _Atomic uint64_t visible_limit;
    _Atomic uint64_t next_file_id;
    _Atomic uint64_t fixed_visible;  // while there is no log to ask
    _Atomic uint64_t segment_number; // of the log, when limits were checked last

    // guarded by state
    lsm_snapshot *newest_snapshot;
    bool is_stopping;
    tarn_status failure; // of the manifest or of a background job: no more writes
    char failure_message[TARN_ERROR_MESSAGE_MAX];
    uint64_t compactions;
    uint64_t device_bytes;
    char stall_reason[64];
    _Atomic bool has_failed; // `failure` is set

    _Atomic uint64_t stall_us;
    _Atomic uint64_t filter_checks, filter_rejects, filter_false;
    _Atomic uint32_t pressure; // microseconds by which a write is slowed; LSM_STOP: it waits
    _Atomic uint32_t delay_us; // what slowed writers have not waited for yet

    tarn_thread **threads;
    size_t thread_count;
};

#define LSM_STOP UINT32_MAX

// For results that are of no use: a comment where it is called says why.
static inline void lsm_ignore(tarn_status status) {
    (void)status;
}

static inline lsm *lsm_of(kv_engine *engine) {
    return (lsm *)engine;
}

// The number up to which a reader without a snapshot sees.
uint64_t lsm_visible(const lsm *engine);
// After this every write fails with that error. Reads go on.
void lsm_fail(lsm *engine, tarn_status status, const tarn_error *err);
TARN_MUST_USE tarn_status lsm_check_failed(lsm *engine, tarn_error *err);
// The numbers of all snapshots and of what is visible now, ascending, in the arena.
TARN_MUST_USE tarn_status lsm_list_snapshots(lsm *engine, tarn_arena *arena,
                                             uint64_t **ret_sequences, size_t *ret_count,
                                             tarn_error *err);

// ---- manifest (manifest.c, manifest_format.c) ----

typedef struct lsm_edit_file {
    uint32_t family_id;
    uint32_t level;
    uint64_t id;
    uint64_t bytes; // 0 in removals
} lsm_edit_file;

typedef struct lsm_edit_family {
    uint32_t id;
    uint64_t flushed_sequence;
} lsm_edit_family;

// What changes together.
typedef struct lsm_edit {
    uint64_t next_file_id; // 0: unchanged
    uint64_t log_sequence; // records of the log below are not needed; 0: unchanged
    lsm_edit_family *families;
    size_t family_count;
    uint32_t *dropped_families;
    size_t dropped_count;
    lsm_edit_file *added;
    size_t added_count;
    lsm_edit_file *removed;
    size_t removed_count;
} lsm_edit;

TARN_MUST_USE tarn_status lsm_edit_encode(const lsm_edit *edit, tarn_buffer *out, tarn_error *err);
// Any bytes. The lists are in the arena.
TARN_MUST_USE tarn_status lsm_edit_decode(tarn_slice bytes, tarn_arena *arena, lsm_edit *ret_edit,
                                          tarn_error *err);
// All edits of a manifest's bytes put together into one. `ret_whole_len` is where a torn tail
// begins, or the end.
TARN_MUST_USE tarn_status lsm_manifest_replay(tarn_slice bytes, tarn_arena *arena,
                                              lsm_edit *ret_state, size_t *ret_whole_len,
                                              tarn_error *err);

// Reads the manifest of the directory; a missing one gives an empty state.
TARN_MUST_USE tarn_status lsm_manifest_load(lsm *engine, tarn_arena *arena, lsm_edit *ret_state,
                                            tarn_error *err);
// Writes a new manifest that holds `state` and opens it for edits.
TARN_MUST_USE tarn_status lsm_manifest_create(lsm *engine, const lsm_edit *state,
                                              lsm_manifest **ret_manifest, tarn_error *err);
// One that is only written, as a part of a copy.
TARN_MUST_USE tarn_status lsm_manifest_write(lsm *engine, tarn_slice directory,
                                             const lsm_edit *state, tarn_error *err);
// Durable on TARN_OK. Under edit_lock. After a failure it is unknown whether the edit is there.
TARN_MUST_USE tarn_status lsm_manifest_append(lsm_manifest *manifest, const lsm_edit *edit,
                                              tarn_error *err);
tarn_status lsm_manifest_close(lsm_manifest *manifest, tarn_error *err); // accepts NULL

// ---- cursors over everything (merge.c) ----

typedef struct lsm_source {
    enum { LSM_SOURCE_MEMTABLE, LSM_SOURCE_TABLE, LSM_SOURCE_LEVEL } kind;
    bool is_valid;
    tarn_slice key;
    uint64_t trailer;
    tarn_slice value;
    lsm_order order;
    lsm_cursor memtable;
    lsm_table_cursor table;
    lsm_level level;   // LEVEL
    size_t file_index; // LEVEL: which file `table` is of; level.count: none
} lsm_source;

typedef struct lsm_merge {
    const tarn_alloc *alloc;
    lsm_order order;
    lsm_source *sources;
    size_t count;
    size_t capacity;
    lsm_source *top; // NULL: at an end
    bool is_reverse;
} lsm_merge;

TARN_MUST_USE tarn_status lsm_merge_init(lsm_merge *merge, const tarn_alloc *alloc, lsm_order order,
                                         size_t capacity, tarn_error *err);
void lsm_merge_reset(lsm_merge *merge);
void lsm_merge_add_memtable(lsm_merge *merge, lsm_memtable *memtable);
void lsm_merge_add_table(lsm_merge *merge, lsm_file *file);
// `level` and its files outlive the merge.
void lsm_merge_add_level(lsm_merge *merge, const lsm_level *level);
TARN_MUST_USE tarn_status lsm_merge_seek(lsm_merge *merge, tarn_slice key, uint64_t trailer,
                                         tarn_error *err);
TARN_MUST_USE tarn_status lsm_merge_seek_before(lsm_merge *merge, tarn_slice key, uint64_t trailer,
                                                tarn_error *err);
TARN_MUST_USE tarn_status lsm_merge_seek_first(lsm_merge *merge, tarn_error *err);
TARN_MUST_USE tarn_status lsm_merge_seek_last(lsm_merge *merge, tarn_error *err);
// In the direction of the last seek.
TARN_MUST_USE tarn_status lsm_merge_step(lsm_merge *merge, tarn_error *err);

// ---- writing tables (build.c) ----

typedef struct lsm_build {
    lsm *engine;
    lsm_family *family;
    lsm_merge merge;
    const lsm_range *ranges; // tombstones of all inputs
    size_t range_count;
    size_t level;             // of the outputs
    uint64_t split_bytes;     // outputs are about as large
    const lsm_version *below; // what may hold older entries: its levels behind `level`
    bool is_bottom_level_0;   // level 0 and nothing older there than the inputs
    tarn_arena *arena;        // for the outputs' array
    lsm_file **outputs;
    size_t output_count;
} lsm_build;

// Runs the merge through the rules of what may go, into new, durable tables. On failure there are
// no outputs.
TARN_MUST_USE tarn_status lsm_build_run(lsm_build *build, tarn_error *err);
// Gives up the outputs, of which the version has references of its own. `applied` is how the edit
// that names them ended.
void lsm_release_outputs(lsm_build *build, tarn_status applied);

// ---- upkeep (flush.c, compact.c, work.c) ----

// Makes the active memtable immutable, under gate. Nothing happens when it is empty.
TARN_MUST_USE tarn_status lsm_switch(lsm_family *family, tarn_error *err);
// Brings the oldest immutable memtable to level 0. *ret_did_work is false when there is none.
TARN_MUST_USE tarn_status lsm_flush_one(lsm_family *family, bool *ret_did_work, tarn_error *err);
// Runs the compaction that is due most, if any.
TARN_MUST_USE tarn_status lsm_compact_one(lsm_family *family, bool *ret_did_work, tarn_error *err);
TARN_MUST_USE tarn_status lsm_compact_range(lsm_family *family, tarn_slice begin, tarn_slice end,
                                            tarn_error *err);
double lsm_level_score(const lsm_family *family, const lsm_version *version, size_t level);
// An edit of one family. `added` == `dropped`: the tables move to `level`.
struct lsm_change {
    lsm_family *family;
    lsm_file *const *dropped;
    const size_t *dropped_levels;
    size_t dropped_count;
    lsm_file *const *added;
    size_t added_count;
    size_t level;          // of what is added
    lsm_memtable *flushed; // is in `added` now; NULL: none
};
// Makes the edit durable and shows its outcome.
TARN_MUST_USE tarn_status lsm_apply(const lsm_change *change, tarn_error *err);
// The state of all families, as the manifest has to say it. Under edit_lock.
TARN_MUST_USE tarn_status lsm_describe(lsm *engine, tarn_arena *arena, lsm_edit *ret_state,
                                       tarn_error *err);
// Does, in this thread, all work that is due. For engines without threads.
TARN_MUST_USE tarn_status lsm_work(lsm *engine, tarn_error *err);
TARN_MUST_USE tarn_status lsm_start_threads(lsm *engine, tarn_error *err);
void lsm_stop_threads(lsm *engine);
// Sets `pressure` by how far flushes and compactions are behind. Under state.
void lsm_update_pressure(lsm *engine);
// Slows the writer as far as compactions are behind, or works for it.
TARN_MUST_USE tarn_status lsm_make_room(lsm *engine, tarn_error *err);

// ---- operations ----

tarn_status lsm_write(kv_engine *base, const tarn_kv_batch *batch, tarn_kv_sync sync,
                      tarn_error *err);
tarn_status lsm_get(kv_engine *base, const tarn_kv_family *front, const tarn_kv_snapshot *snapshot,
                    tarn_slice key, tarn_kv_visitor *visit, void *context, bool *ret_found,
                    tarn_error *err);
tarn_status lsm_iterator_new(kv_engine *base, const tarn_kv_iterator_options *options,
                             tarn_kv_iterator **ret_iterator, tarn_error *err);
// Inserts the changes of a batch, numbered from `sequence`; those of families that have them in
// tables already, or were dropped, are passed over.
TARN_MUST_USE tarn_status lsm_insert(lsm *engine, tarn_slice batch, uint64_t sequence,
                                     bool is_replay, tarn_error *err);

#endif
