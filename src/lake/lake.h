// lake.h - tables in the Apache Paimon layout: create, write, commit, read, compact.
//
// A table is a directory of a store: immutable schema and snapshot JSON, Avro manifests, Parquet
// data files. Append tables have bucket -1; primary-key tables have fixed buckets, each an LSM tree
// of sorted files merged on read (merge engine deduplicate, optional sequence.field). Everything
// that tarn does not understand is refused by the name of the option or feature. Source:
// docs/formats/paimon.md.
//
//     TARN_TRY(tarn_table_open(store, path, alloc, &table, err));
//     TARN_TRY(tarn_table_writer_new(table, &writer_options, &writer, err));
//     TARN_TRY(tarn_table_writer_append(writer, chunk, err));          // row kinds: upserts,
//     deletes TARN_TRY(tarn_table_writer_prepare(writer, &committable, err));  // files are durable
//     TARN_TRY(tarn_table_commit(table, &commit, &snapshot_id, err));  // visible and durable on
//     TARN_OK
//
// Invariants: a commit is visible whole or not at all, and survives a crash once it returned.
// Readers
//             see one snapshot. A commit identified by (commit user, identifier) takes effect once.
// Ownership:  the store outlives the table, the table its scans and writers.
// Threads:    a table may be shared by threads; scans, split readers and writers belong to one
// each. Errors:     TARN_CONFLICT after retries are exhausted or when a commit's premise is gone;
// TARN_CORRUPT
//             names the file; TARN_UNSUPPORTED names the feature.
#ifndef TARN_LAKE_H
#define TARN_LAKE_H

#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "column/column.h"
#include "expr/expr.h"
#include "io/io.h"

typedef struct tarn_table tarn_table;

typedef struct tarn_option {
    tarn_slice key;
    tarn_slice value;
} tarn_option;

// ---- definition ----

typedef struct tarn_table_definition {
    tarn_schema schema; // field ids are assigned at creation when -1
    const tarn_slice *partition_keys;
    size_t partition_key_count;
    const tarn_slice *primary_keys; // none: an append table
    size_t primary_key_count;
    const tarn_option *options; // Paimon's option names
    size_t option_count;
    tarn_slice comment;
} tarn_table_definition;

// Creates schema-0. `path` is "<database>.db/<table>". TARN_CONFLICT when the table exists. A
// primary-key table without a "bucket" option gets bucket=1.
TARN_MUST_USE tarn_status tarn_table_create(tarn_store *store, tarn_slice path,
                                            const tarn_table_definition *definition,
                                            const tarn_alloc *alloc, tarn_error *err);
TARN_MUST_USE tarn_status tarn_table_exists(tarn_store *store, tarn_slice path, bool *ret_exists,
                                            tarn_error *err);
TARN_MUST_USE tarn_status tarn_table_open(tarn_store *store, tarn_slice path,
                                          const tarn_alloc *alloc, tarn_table **ret_table,
                                          tarn_error *err);
void tarn_table_close(tarn_table *table); // accepts NULL
// Removes the directory. Not atomic: the schema goes first, so that the table is gone at once.
TARN_MUST_USE tarn_status tarn_table_drop(tarn_store *store, tarn_slice path,
                                          const tarn_alloc *alloc, tarn_error *err);
// Of the latest schema; valid until close.
const tarn_table_definition *tarn_table_definition_of(const tarn_table *table);
tarn_slice tarn_table_path(const tarn_table *table);

// ---- snapshots ----

typedef struct tarn_snapshot {
    int64_t id;
    int64_t schema_id;
    tarn_slice commit_user;
    int64_t commit_identifier;
    tarn_slice commit_kind;  // APPEND, COMPACT, OVERWRITE, ANALYZE
    int64_t time_us;         // wall clock of the committer
    int64_t total_row_count; // physical rows of the live files
    int64_t delta_row_count;
    int64_t watermark_us; // TARN_NO_WATERMARK: none
    const tarn_option *properties;
    size_t property_count;
} tarn_snapshot;

// *ret_found is false for a table without snapshots (or an id that is not there).
TARN_MUST_USE tarn_status tarn_table_latest_snapshot(tarn_table *table, tarn_arena *arena,
                                                     tarn_snapshot *ret_snapshot, bool *ret_found,
                                                     tarn_error *err);
TARN_MUST_USE tarn_status tarn_table_snapshot(tarn_table *table, int64_t id, tarn_arena *arena,
                                              tarn_snapshot *ret_snapshot, bool *ret_found,
                                              tarn_error *err);
// The last snapshot with time_us <= the given time.
TARN_MUST_USE tarn_status tarn_table_snapshot_at(tarn_table *table, int64_t time_us,
                                                 tarn_arena *arena, tarn_snapshot *ret_snapshot,
                                                 bool *ret_found, tarn_error *err);
// All, oldest first.
TARN_MUST_USE tarn_status tarn_table_snapshots(tarn_table *table, tarn_arena *arena,
                                               tarn_snapshot **ret_snapshots, size_t *ret_count,
                                               tarn_error *err);
tarn_slice tarn_snapshot_property(const tarn_snapshot *snapshot, tarn_slice key); // empty: absent

// ---- reading ----

typedef struct tarn_table_scan tarn_table_scan; // a plan: which files, in which splits
typedef struct tarn_split_reader tarn_split_reader;

typedef enum tarn_scan_mode {
    TARN_SCAN_SNAPSHOT, // the table's rows as of the snapshot
    TARN_SCAN_CHANGES,  // the row changes from snapshot `after_snapshot_id` (exclusive; 0: from the
                        // start) to the snapshot, with row kinds: for primary-key tables the net
                        // change per key with -U/+U before and after images, for append tables
                        // inserts (and deletes of copy-on-write rewrites)
} tarn_scan_mode;

typedef struct tarn_table_scan_options {
    int64_t snapshot_id; // 0: the latest
    tarn_scan_mode mode;
    int64_t after_snapshot_id;
    const size_t *columns;   // indices into the schema; NULL with column_count 0: all
    size_t column_count;     // with columns non-NULL and 0: row counts only
    bool no_columns;         // scan for counting rows
    const tarn_prune *prune; // columns index the schema, not the projection; may be NULL
} tarn_table_scan_options;

// What planning and reading skipped; grows while the readers run.
typedef struct tarn_scan_metrics {
    uint64_t manifests_total, manifests_read;
    uint64_t files_total, files_read;
    uint64_t row_groups_total, row_groups_read;
    uint64_t rows_read;
    uint64_t bytes_read; // sizes of the files read
} tarn_scan_metrics;

TARN_MUST_USE tarn_status tarn_table_scan_new(tarn_table *table,
                                              const tarn_table_scan_options *options,
                                              tarn_table_scan **ret_scan, tarn_error *err);
void tarn_table_scan_free(tarn_table_scan *scan); // accepts NULL
size_t tarn_table_scan_split_count(const tarn_table_scan *scan);
int64_t tarn_table_scan_snapshot_id(const tarn_table_scan *scan); // 0: an empty table
tarn_scan_metrics tarn_table_scan_metrics(const tarn_table_scan *scan);
// An upper bound of the rows that the scan will return, from file metadata.
uint64_t tarn_table_scan_row_estimate(const tarn_table_scan *scan);

// Reads one split; different splits may be read on different threads.
TARN_MUST_USE tarn_status tarn_split_reader_new(tarn_table_scan *scan, size_t split,
                                                const tarn_alloc *alloc,
                                                tarn_split_reader **ret_reader, tarn_error *err);
// The next rows, NULL at the end. The chunk is valid until the next call and may have a selection.
TARN_MUST_USE tarn_status tarn_split_reader_next(tarn_split_reader *reader,
                                                 const tarn_chunk **ret_chunk, tarn_error *err);
void tarn_split_reader_free(tarn_split_reader *reader); // accepts NULL

// ---- writing ----

typedef struct tarn_table_writer tarn_table_writer;

typedef struct tarn_table_writer_options {
    const tarn_alloc *alloc;   // NULL: the table's
    size_t buffer_limit_bytes; // memory for rows not yet in files; 0: 256 MiB. Reaching it flushes
} tarn_table_writer_options;

TARN_MUST_USE tarn_status tarn_table_writer_new(tarn_table *table,
                                                const tarn_table_writer_options *options,
                                                tarn_table_writer **ret_writer, tarn_error *err);
// The chunk has the table's columns in order. Row kinds: +I and +U add (upsert with a primary key),
// -D deletes (by key; from an append table one equal row, by copy-on-write at prepare), -U is
// ignored with a primary key and deletes otherwise.
TARN_MUST_USE tarn_status tarn_table_writer_append(tarn_table_writer *writer,
                                                   const tarn_chunk *chunk, tarn_error *err);
// Finishes all files and describes them as bytes that a later commit (also after a restart) takes.
// The writer then starts anew. Nothing is visible yet.
TARN_MUST_USE tarn_status tarn_table_writer_prepare(tarn_table_writer *writer,
                                                    tarn_buffer *ret_committable, tarn_error *err);
void tarn_table_writer_free(tarn_table_writer *writer); // removes files not prepared; accepts NULL

typedef struct tarn_table_commit_request {
    tarn_slice commit_user;
    int64_t commit_identifier; // grows per user; INT64_MAX: no idempotence wanted
    tarn_slice committable;    // from prepare; empty: nothing to add
    bool create_empty;         // make a snapshot even if nothing changed
    int64_t watermark_us;      // TARN_NO_WATERMARK: none
    const tarn_option *properties;
    size_t property_count;
} tarn_table_commit_request;

// Retries against concurrent commits. A request whose (user, identifier) is already committed is a
// success without effect. *ret_snapshot_id is the snapshot that holds the commit (the latest when
// nothing was made, 0 when there is none).
TARN_MUST_USE tarn_status tarn_table_commit(tarn_table *table,
                                            const tarn_table_commit_request *request,
                                            int64_t *ret_snapshot_id, tarn_error *err);

// Rewrites the live files: append tables into files of the target size, primary-key tables into one
// sorted run at the top level without deleted rows. Content is unchanged; a COMPACT snapshot is
// made if there was anything to do.
typedef struct tarn_compact_result {
    uint64_t files_before, files_after;
    uint64_t bytes_before, bytes_after;
    int64_t snapshot_id; // 0: nothing to do
} tarn_compact_result;
TARN_MUST_USE tarn_status tarn_table_compact(tarn_table *table, tarn_slice commit_user,
                                             const tarn_option *properties, size_t property_count,
                                             tarn_compact_result *ret_result, tarn_error *err);

// Removes files in the table's directories that no snapshot refers to: what a crash left behind.
// Only while nobody writes. `keep` lists committables whose files must stay.
TARN_MUST_USE tarn_status tarn_table_remove_orphans(tarn_table *table, const tarn_slice *keep,
                                                    size_t keep_count, uint64_t *ret_removed,
                                                    tarn_error *err);

#endif
