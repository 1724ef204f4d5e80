// internal.h - the parts of an open warehouse.
//
//   tarn_warehouse   directory, lock, memory budget
//     catalog.c        objects by name: tables, sources, views; definitions in tarn/catalog.json
//     leftover.c       what a crash leaves of unfinished files
//     engine.c         the thread that runs the views: builds the flow, cuts epochs, commits
//     graph.c          views to a flow: leaves, replay, backfill, sinks
//     checkpoint.c     what an epoch leaves on disk, and how it is found again
//   tarn_session     one user's settings
//     statement.c      dispatch
//     query.c          SELECT and EXPLAIN: versions to read, leaves, results
//     modify.c         INSERT, COPY, append
//     define.c         CREATE, DROP
//     system.c         tables of the schemas tarn and information_schema
//
// Lock order: `ddl_lock` (TARN_LOCK_WAREHOUSE: definitions change one after the other),
// `write_lock` (TARN_LOCK_WRITER: statements write tables one after the other, and none writes to a
// table that is being dropped), the catalog's (TARN_LOCK_CATALOG: objects), the engine's
// (TARN_LOCK_JOB). The last two are never held during I/O.
#ifndef TARN_WAREHOUSE_INTERNAL_H
#define TARN_WAREHOUSE_INTERNAL_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/budget.h"
#include "base/buffer.h"
#include "connect/connect.h"
#include "flow/flow.h"
#include "format/json/json.h"
#include "io/io.h"
#include "lake/lake.h"
#include "op/op.h"
#include "sql/sql.h"
#include "warehouse/warehouse.h"

#define WH_PUBLIC TARN_LIT("public")

// ---- objects of the catalog ----

// A definition and its open table. Immutable once it is in the catalog, except for the counters;
// kept alive by references, so that a query may go on with an object that was dropped meanwhile.
typedef struct wh_object {
    _Atomic uint32_t references;
    const tarn_alloc *alloc;
    tarn_arena arena; // holds everything below
    tarn_relation relation;
    tarn_slice sql;    // sources and views: the CREATE statement
    tarn_table *table; // tables and views
    // Random: tells an object from a later one of the same name. Views commit under it.
    tarn_slice id;

    const tarn_connector *connector; // sources
    tarn_connector_spec spec;        // its base directory is kept in the catalog

    const tarn_plan *plan; // views
    bool has_hidden_key;   // its table has one column more: see hidden_key.c
    bool emit_on_close;
    struct wh_object **inputs; // one reference each
    size_t input_count;

    // Tables: the newest version that is known to survive a power loss. Views consume no newer one:
    // what they reflect must not be lost. Relaxed: the table itself synchronises its readers.
    _Atomic int64_t durable_version;
    // Tables: the version that the views of the last committed epoch have consumed; 0: none reads
    // it. Written and read with the engine's lock, so that it belongs to the epoch.
    _Atomic int64_t epoch_version;
    atomic_bool dropped; // set with the write lock: nothing more is written
    // Tables: a commit has failed, and whether its version is there could not be found out yet.
    atomic_bool unsettled;
} wh_object;

void wh_object_ref(wh_object *object);
void wh_object_unref(wh_object *object); // accepts NULL
static inline wh_object *wh_object_of(const tarn_relation *relation) {
    return relation->handle;
}

typedef struct wh_object_list {
    wh_object **items; // in order of creation; the list owns one reference each
    size_t count;
    size_t capacity;
} wh_object_list;

// ---- the engine ----

typedef enum wh_engine_state {
    WH_ENGINE_IDLE,     // there are no views, or they are about to start anew
    WH_ENGINE_STARTING, // the warehouse was just opened: the views' state is about to be read
    WH_ENGINE_RUNNING,  // the flow runs
    WH_ENGINE_FAILED,   // a job has failed; `error` says why
} wh_engine_state;

typedef struct wh_graph wh_graph; // graph.c: the running flow and its parts

// What the epoch under way adds to a table: a view's rows, or the dead letters of a source.
typedef struct wh_prepared {
    wh_object *owner; // the view or source: its id is the commit user
    wh_object *table; // the view or the dead-letter table
    tarn_buffer committable;
    int64_t watermark_us;
} wh_prepared;

// The chain of checkpoint files that a restart reads: one full, then deltas.
#define WH_CHAIN_MAX 64
typedef struct wh_chain {
    uint64_t epochs[WH_CHAIN_MAX];
    uint64_t bytes[WH_CHAIN_MAX];
    size_t count;
    uint64_t progress; // wh_graph_progress_number at the last epoch
    // Without files: the last epoch there was. Later ones must not have its number, under which
    // dead letters may have been committed.
    uint64_t forgotten;
} wh_chain;

typedef struct wh_engine {
    tarn_mutex *lock;
    tarn_cond *changed;
    tarn_thread *thread;

    // guarded by lock
    bool stopping;
    bool rebuild;             // the set of views has changed
    int64_t rebuild_after_ns; // several changes in a row are taken up at once
    bool quiesce;             // asked to stop the flow, and
    bool quiet;               // it has stopped
    uint64_t flush_wanted;    // tickets handed out, and served
    uint64_t flush_done;
    wh_engine_state state;
    tarn_error error;
    int64_t retry_at_ns;      // when a failed start is tried again; INT64_MAX: never by itself
    int64_t retry_ms;         // the delay before it; 0: nothing has failed lately
    uint64_t committed_epoch; // all views have this epoch's version on disk
    bool epoch_known;         // else what was committed last could not be found out at open
    bool versions_known;      // each table's epoch_version is that of the committed epoch
    tarn_buffer state_bytes;  // of the completed epoch, until it is persisted
    uint64_t completed_epoch;
    bool completed_full;
    wh_graph *graph; // NULL: not built

    // the engine thread's own
    wh_chain chain;
    uint64_t progress_at_barrier; // to see whether anything is new since
    bool given_up;                // the epoch under way, for a close or DROP that waits
} wh_engine;

struct tarn_warehouse {
    tarn_os *os;
    const tarn_alloc *alloc; // the budget's
    tarn_budget budget;
    tarn_arena arena; // directory, user id
    tarn_slice directory;
    tarn_slice user; // commit user of statements: random per open
    tarn_store *store;
    tarn_file_lock *lock;
    tarn_warehouse_options options;
    _Atomic int64_t checkpoint_interval_ms;

    tarn_mutex *ddl_lock;     // one definition changes at a time
    tarn_mutex *catalog_lock; // guards objects
    wh_object_list objects;
    const tarn_relation *system_relations; // immutable
    tarn_mutex *write_lock;                // one statement writes or drops tables at a time

    wh_engine engine;
};

struct tarn_session {
    tarn_warehouse *warehouse;
    atomic_bool cancelled;
    bool read_latest; // tarn.read = 'latest'
};

// ---- catalog.c ----

// Inline, so that the static analyzer sees in every file that it is a failure.
TARN_MUST_USE static inline tarn_status wh_no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "the warehouse's memory limit is reached");
}

// Takes a reference on every object it hands out; wh_binding_release gives them back.
typedef struct wh_binding {
    tarn_warehouse *warehouse;
    tarn_arena *arena;
    wh_object_list used;
} wh_binding;
tarn_catalog_reader wh_binding_reader(wh_binding *binding);
void wh_binding_release(wh_binding *binding);

TARN_MUST_USE tarn_status wh_catalog_open(tarn_warehouse *warehouse, tarn_error *err);
// Writes the definitions of all sources and views but `without` (NULL: of all).
TARN_MUST_USE tarn_status wh_catalog_save(tarn_warehouse *warehouse, const wh_object *without,
                                          tarn_error *err);
void wh_catalog_close(tarn_warehouse *warehouse);
// A reference, or NULL.
wh_object *wh_catalog_find(tarn_warehouse *warehouse, tarn_slice name);
wh_object *wh_catalog_find_id(tarn_warehouse *warehouse, tarn_slice id);
// Takes over the caller's reference.
TARN_MUST_USE tarn_status wh_catalog_add(tarn_warehouse *warehouse, wh_object *object,
                                         tarn_error *err);
void wh_catalog_remove(tarn_warehouse *warehouse, const wh_object *object);
// References on all objects, in order of creation.
TARN_MUST_USE tarn_status wh_catalog_list(tarn_warehouse *warehouse, wh_object_list *ret_list,
                                          tarn_error *err);
TARN_MUST_USE bool wh_list_push(const tarn_alloc *alloc, wh_object_list *list, wh_object *object);
void wh_list_release(const tarn_alloc *alloc, wh_object_list *list); // unrefs all
TARN_MUST_USE tarn_status wh_object_new(tarn_warehouse *warehouse, tarn_relation_kind kind,
                                        tarn_slice name, tarn_slice id, wh_object **ret_object,
                                        tarn_error *err);
typedef struct wh_id {
    char text[32];
} wh_id;
wh_id wh_new_id(const tarn_warehouse *warehouse);
// Opens the table of the object and describes the relation by it.
TARN_MUST_USE tarn_status wh_object_open_table(tarn_warehouse *warehouse, wh_object *object,
                                               tarn_error *err);
bool wh_is_view_table(const tarn_table *table); // was made for a view
// Views may consume the table's versions up to this one.
void wh_object_set_durable(wh_object *object, int64_t version);
// Makes the newest version of the object's table durable and says so: a process that died, or a
// commit that failed, may have made it visible while a power loss could still take it away.
TARN_MUST_USE tarn_status wh_object_settle(tarn_warehouse *warehouse, wh_object *object,
                                           tarn_error *err);
tarn_status wh_table_path(tarn_slice name, tarn_arena *arena, tarn_slice *ret_path,
                          tarn_error *err);

// ---- leftover.c ----

// Removes what a crash left of files that were being written. While nobody writes.
void wh_sweep_leftovers(tarn_warehouse *warehouse);

// ---- define.c ----

// From a bound CREATE SOURCE / CREATE MATERIALIZED VIEW to an object (its table is opened, and
// created when `create` is set). Relative paths of a source start in `directory`.
TARN_MUST_USE tarn_status wh_define_source(tarn_warehouse *warehouse,
                                           const tarn_statement *statement, tarn_slice id,
                                           tarn_slice directory, wh_object **ret_object,
                                           tarn_error *err);
TARN_MUST_USE tarn_status wh_define_view(tarn_warehouse *warehouse, tarn_slice sql,
                                         tarn_slice commit_user, bool create,
                                         wh_object **ret_object, tarn_error *err);
TARN_MUST_USE tarn_status wh_create_table(tarn_warehouse *warehouse,
                                          const tarn_statement *statement, bool *ret_created,
                                          tarn_error *err);
TARN_MUST_USE tarn_status wh_create_source(tarn_warehouse *warehouse,
                                           const tarn_statement *statement, bool *ret_created,
                                           tarn_error *err);
TARN_MUST_USE tarn_status wh_create_view(tarn_warehouse *warehouse, const tarn_statement *statement,
                                         bool *ret_created, tarn_error *err);
TARN_MUST_USE tarn_status wh_drop(tarn_warehouse *warehouse, const tarn_statement *statement,
                                  tarn_error *err);
bool wh_source_keeps_dead_letters(const wh_object *source);
// Rejected records of a source or table "t" are kept in "t_dead_letter". Create is content with one
// that is there.
TARN_MUST_USE tarn_status wh_dead_letter_create(tarn_warehouse *warehouse, tarn_slice name,
                                                bool *ret_created, tarn_error *err)
    TARN_REQUIRES(warehouse->ddl_lock);
// After a failure of the statement that created it: it goes, unless it has come into use.
void wh_dead_letter_take_back(tarn_warehouse *warehouse, tarn_slice name)
    TARN_REQUIRES(warehouse->ddl_lock);
// A reference.
TARN_MUST_USE tarn_status wh_dead_letter_table(tarn_warehouse *warehouse, tarn_slice name,
                                               wh_object **ret_object, tarn_error *err);

// ---- modify.c ----

TARN_MUST_USE tarn_status wh_insert(tarn_session *session, const tarn_statement *statement,
                                    uint64_t *ret_rows, tarn_error *err);
TARN_MUST_USE tarn_status wh_copy(tarn_session *session, const tarn_statement *statement,
                                  uint64_t *ret_rows, tarn_error *err);
// Waits until the views reflect all input that is there now, durably.
TARN_MUST_USE tarn_status wh_flush(tarn_session *session, tarn_error *err);
// Commits what the writer holds as one version of the table.
TARN_MUST_USE tarn_status wh_commit(tarn_warehouse *warehouse, wh_object *object,
                                    tarn_table_writer *writer, tarn_error *err);

// Rejected records on their way into a dead-letter table.
typedef struct wh_dead_letters {
    tarn_warehouse *warehouse;
    wh_object *object; // a reference
    tarn_table_writer *writer;
    tarn_chunk_builder *builder;
    tarn_slice origin; // path or source name
    uint64_t count;
} wh_dead_letters;
TARN_MUST_USE tarn_status wh_dead_letters_open(tarn_warehouse *warehouse, tarn_slice name,
                                               tarn_slice origin, wh_dead_letters *ret_letters,
                                               tarn_error *err);
// Usable as the callback of connectors; `context` is the wh_dead_letters.
TARN_MUST_USE tarn_status wh_dead_letters_add(void *context, const tarn_bad_record *record,
                                              tarn_error *err);
// Finishes what was added for a later commit; empty: nothing was.
TARN_MUST_USE tarn_status wh_dead_letters_prepare(wh_dead_letters *letters,
                                                  tarn_buffer *ret_committable, tarn_error *err);
TARN_MUST_USE tarn_status wh_dead_letters_commit(wh_dead_letters *letters, tarn_error *err);
void wh_dead_letters_close(wh_dead_letters *letters);

// ---- query.c ----

// Starts a plan as a query; the result takes over nothing but runs until it is freed.
TARN_MUST_USE tarn_status wh_query_start(tarn_session *session, const tarn_plan *plan,
                                         tarn_result *result, tarn_error *err);
TARN_MUST_USE tarn_status wh_explain(tarn_session *session, const tarn_statement *statement,
                                     tarn_result *result, tarn_error *err);

typedef struct wh_scan_leaf {
    tarn_table_scan *scan;
    _Atomic size_t next_split;
    struct wh_scan_leaf *next;
} wh_scan_leaf;

struct tarn_result {
    tarn_session *session;
    const tarn_alloc *alloc;
    tarn_arena arena; // statement, plan, schema, tag
    wh_binding binding;
    tarn_schema schema;
    tarn_slice tag; // for statements without rows; else made when the rows are read
    uint64_t row_count;
    uint64_t epoch;
    struct wh_table_version *table_versions; // of the epoch; in the arena
    tarn_flow *flow;                         // a running query
    wh_scan_leaf *scans;                     // its table scans, in the arena
    tarn_chunk_builder *rows;                // rows that are there already (SHOW, EXPLAIN)
    bool rows_taken;
    struct wh_node_note *notes; // EXPLAIN ANALYZE
};

// ---- system.c ----

TARN_MUST_USE tarn_status wh_system_open(tarn_warehouse *warehouse, tarn_error *err);
// NULL when there is no such system table.
const tarn_relation *wh_system_find(const tarn_warehouse *warehouse, tarn_slice schema_name,
                                    tarn_slice name);
TARN_MUST_USE tarn_status wh_system_fill(
    tarn_warehouse *warehouse, const tarn_relation *relation, tarn_chunk_builder *builder,
    tarn_status (*full)(void *context, tarn_chunk_builder *builder, tarn_error *err), void *context,
    tarn_error *err);

// ---- engine.c ----

TARN_MUST_USE tarn_status wh_engine_open(tarn_warehouse *warehouse, tarn_error *err);
void wh_engine_close(tarn_warehouse *warehouse);
// The set of views has changed: the flow is rebuilt soon.
void wh_engine_rebuild(tarn_warehouse *warehouse);
// Stops the flow (after a checkpoint) until wh_engine_rebuild: for DROP.
TARN_MUST_USE tarn_status wh_engine_quiesce(tarn_warehouse *warehouse, tarn_error *err);
// Waits until the views of a warehouse that was just opened run (or have failed).
void wh_engine_await_start(tarn_warehouse *warehouse);
// Waits until the views reflect all input that is there now, durably.
TARN_MUST_USE tarn_status wh_engine_flush(tarn_warehouse *warehouse, const atomic_bool *cancelled,
                                          tarn_error *err);
// The flow's callback.
TARN_MUST_USE tarn_status wh_engine_epoch_complete(void *context, uint64_t epoch, bool is_full,
                                                   tarn_slice state, tarn_error *err);
// Something was written to a table that views may read.
void wh_engine_wake(tarn_warehouse *warehouse);

// ---- graph.c ----

TARN_MUST_USE tarn_status wh_graph_new(tarn_warehouse *warehouse, const tarn_slice *states,
                                       size_t state_count, wh_graph **ret_graph, tarn_error *err);
void wh_graph_free(wh_graph *graph); // accepts NULL
tarn_flow *wh_graph_flow(wh_graph *graph);
size_t wh_graph_view_count(const wh_graph *graph);
wh_object *wh_graph_view(const wh_graph *graph, size_t index);
const wh_prepared *wh_graph_prepared(const wh_graph *graph, size_t index);
// The dead letters of the sources, one after the other: of the first leaf that keeps some after
// `last` (NULL: of all). NULL: no more.
const wh_prepared *wh_graph_letters(const wh_graph *graph, const wh_prepared *last);
void wh_graph_set_version(wh_graph *graph, size_t index, int64_t version);
// How far all leaves have come, as one number: it changes when there is something new, and is the
// same again after a restart.
uint64_t wh_graph_progress_number(wh_graph *graph);
// Whether a view has no version yet.
bool wh_graph_has_new_view(const wh_graph *graph);
// What the view's inputs were at the last barrier, as JSON for the snapshot's properties.
TARN_MUST_USE tarn_status wh_graph_inputs_json(wh_graph *graph, size_t index, tarn_buffer *out,
                                               tarn_error *err);
TARN_MUST_USE tarn_status wh_graph_progress(wh_graph *graph, tarn_arena *arena,
                                            tarn_progress *ret_progress, tarn_error *err);
// Notes in each table which of its versions the committed epoch reflects. With the engine's lock.
void wh_graph_epoch_committed(wh_graph *graph);
// The same for the epoch that the graph has started from, in all tables of the list; those that no
// view reads (NULL: there are no views) are read at their newest version. With the engine's lock.
void wh_graph_epoch_restored(const wh_graph *graph, const wh_object_list *objects);

// ---- hidden_key.c ----

#define WH_HIDDEN_KEY TARN_LIT("_tarn_key")

// Adds an operator that appends the encoded key of each row as a last column.
TARN_MUST_USE tarn_status wh_add_hidden_key(tarn_flow *flow, tarn_slice name, tarn_node input,
                                            const tarn_plan *plan, const tarn_alloc *alloc,
                                            tarn_node *ret_node, tarn_error *err);

// ---- checkpoint.c ----

// Writes the epoch's state and committables as one file and makes it the end of the chain.
TARN_MUST_USE tarn_status wh_checkpoint_write(tarn_warehouse *warehouse, wh_graph *graph,
                                              uint64_t epoch, bool is_full, tarn_slice state,
                                              tarn_error *err);
// Reads which epochs there are and finishes what a crash interrupted: the last epoch's commits are
// done again, files that no epoch names are removed. The last epoch is all views' newest one then.
TARN_MUST_USE tarn_status wh_checkpoint_recover(tarn_warehouse *warehouse, uint64_t *ret_epoch,
                                                tarn_error *err);
// Without views nobody needs a chain that is damaged: there is none any more, and epochs go on.
TARN_MUST_USE tarn_status wh_checkpoint_forget(tarn_warehouse *warehouse, uint64_t *ret_epoch,
                                               tarn_error *err);
// The states of the chain, in `arena`.
TARN_MUST_USE tarn_status wh_checkpoint_states(tarn_warehouse *warehouse, tarn_arena *arena,
                                               tarn_slice **ret_states, size_t *ret_count,
                                               tarn_error *err);
// Commits each view's prepared files as the version of `epoch`.
TARN_MUST_USE tarn_status wh_checkpoint_commit(tarn_warehouse *warehouse, wh_graph *graph,
                                               uint64_t epoch, tarn_error *err);

#endif
