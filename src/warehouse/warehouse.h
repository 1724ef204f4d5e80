// warehouse.h - an open warehouse: catalog, sessions, statements, running views.
//
// A directory is a warehouse. One process has it open at a time; sessions of that process run SQL
// statements, and every materialized view is a job that runs in the background and resumes where
// its last checkpoint was when the warehouse is opened again.
//
//     TARN_TRY(tarn_warehouse_open(os, alloc, directory, &options, &warehouse, err));
//     TARN_TRY(tarn_session_new(warehouse, &session, err));
//     TARN_TRY(tarn_session_execute(session, text, &result, err));    // one statement
//     while (tarn_result_next(result, &batch, err) == TARN_OK && batch != NULL) ...
//     tarn_result_free(result);
//
// Layout:    <directory>/<schema>.db/<table>/ in the Paimon layout; <directory>/tarn/ holds the
//            catalog, checkpoints and the lock (docs/formats/warehouse.md).
// Versions:  sources are cut into epochs; an epoch's results become durable table snapshots in all
//            views, and a query over several of them reads one epoch.
// Threads:   any number of sessions on different threads; a session and its results belong to one,
//            except tarn_session_cancel. tarn_warehouse_progress from any thread.
// Errors:    with SQLSTATE and position where they apply. TARN_CONFLICT at open: another process
// has
//            the warehouse open, and the message says which.
#ifndef TARN_WAREHOUSE_H
#define TARN_WAREHOUSE_H

#include "base/slice.h"
#include "base/status.h"
#include "column/column.h"
#include "os/os.h"

typedef struct tarn_warehouse tarn_warehouse;
typedef struct tarn_session tarn_session;
typedef struct tarn_result tarn_result;

typedef struct tarn_warehouse_options {
    size_t memory_limit_bytes;      // for queries, jobs and buffers together; 0: 4 GiB
    size_t thread_count;            // workers of the jobs, and of a query; 0: one per CPU
    int64_t checkpoint_interval_ms; // 0: 1000
    // How long a close or DROP waits for views that are deep in their work, to keep that work in a
    // last checkpoint; what is given up is done again from the one before. 0: 5000
    int64_t patience_ms;
} tarn_warehouse_options;

// Creates the directory when it is absent. Finishes what a crash interrupted and starts the views.
TARN_MUST_USE tarn_status tarn_warehouse_open(tarn_os *os, const tarn_alloc *alloc,
                                              tarn_slice directory,
                                              const tarn_warehouse_options *options,
                                              tarn_warehouse **ret_warehouse, tarn_error *err);
// Takes a last checkpoint (unless a job has failed, or is too busy for it) and stops the views.
// Sessions are freed before.
void tarn_warehouse_close(tarn_warehouse *warehouse);                 // accepts NULL
tarn_slice tarn_warehouse_directory(const tarn_warehouse *warehouse); // absolute

TARN_MUST_USE tarn_status tarn_session_new(tarn_warehouse *warehouse, tarn_session **ret_session,
                                           tarn_error *err);
void tarn_session_free(tarn_session *session); // accepts NULL
// Makes the statement that runs in the session fail with TARN_CANCELLED. Any thread, also from a
// signal handler: it only stores a flag.
void tarn_session_cancel(tarn_session *session);

// Runs one statement (a trailing semicolon is fine). When it returns rows they are read with
// tarn_result_next while it still runs.
TARN_MUST_USE tarn_status tarn_session_execute(tarn_session *session, tarn_slice text,
                                               tarn_result **ret_result, tarn_error *err);

// Empty (field_count 0) for statements without rows.
const tarn_schema *tarn_result_schema(const tarn_result *result);
// The next rows, NULL at the end; the caller unrefs the batch.
TARN_MUST_USE tarn_status tarn_result_next(tarn_result *result, tarn_batch **ret_batch,
                                           tarn_error *err);
// PostgreSQL's command tag: "SELECT 3" (once read to the end), "INSERT 0 5", "CREATE TABLE".
tarn_slice tarn_result_tag(tarn_result *result);
// The epoch that an aligned read answered from; 0: the query read no views.
uint64_t tarn_result_epoch(const tarn_result *result);
void tarn_result_free(tarn_result *result); // cancels what still runs; accepts NULL

// Cuts a script into statements; *ret_complete is false while the last one lacks its end.
TARN_MUST_USE tarn_status tarn_script_split(tarn_slice script, tarn_arena *arena,
                                            tarn_slice **ret_statements, size_t *ret_count,
                                            bool *ret_complete, tarn_error *err);

// Adds rows to a table as one transaction: `next` gives chunks of `schema`'s columns (in an arena
// that is cleared between calls) until it finds no more. Columns are matched by name; missing ones
// are NULL.
TARN_MUST_USE tarn_status tarn_session_append(tarn_session *session, tarn_slice table,
                                              const tarn_schema *schema,
                                              tarn_status (*next)(void *context, tarn_arena *arena,
                                                                  tarn_chunk *ret_chunk,
                                                                  bool *ret_found, tarn_error *err),
                                              void *context, tarn_error *err);

// ---- progress of the jobs, for people who watch ----

typedef struct tarn_source_progress {
    tarn_slice name;
    uint64_t rows;
    uint64_t done, total; // in the source's own unit; total 0: unknown
    int64_t watermark_us; // TARN_NO_WATERMARK: none yet; INT64_MAX: complete
    bool ended;
} tarn_source_progress;

typedef struct tarn_view_progress {
    tarn_slice name;
    uint64_t rows_out;
    uint64_t late_rows;
    int64_t version; // newest snapshot, 0: none
} tarn_view_progress;

typedef struct tarn_progress {
    uint64_t epoch; // newest committed
    const tarn_source_progress *sources;
    size_t source_count;
    const tarn_view_progress *views;
    size_t view_count;
} tarn_progress;

TARN_MUST_USE tarn_status tarn_warehouse_progress(tarn_warehouse *warehouse, tarn_arena *arena,
                                                  tarn_progress *ret_progress, tarn_error *err);

#endif
