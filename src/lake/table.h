// table.h - an open table: its files, its schemas, and the manifests that were read lately.
//
// Everything a table refers to is immutable and named once, so caches never go stale.
// Lock order: TARN_LOCK_TABLE, held for memory only, never across I/O.
#ifndef TARN_LAKE_TABLE_H
#define TARN_LAKE_TABLE_H

#include "lake/fold.h"
#include "lake/lake.h"
#include "lake/manifest.h"
#include "lake/schema.h"
#include "lake/snapshot.h"
#include "os/os.h"

// JSON files are a few kilobytes; the bound only stops nonsense.
#define LAKE_JSON_LIMIT_BYTES ((size_t)16 << 20)

// The entries of one manifest, shared by whoever reads it.
typedef struct lake_content {
    _Atomic uint32_t references;
    const tarn_alloc *alloc;
    tarn_arena arena;
    tarn_slice name;
    lake_entry *entries;
    size_t count;
    bool is_plain; // may be rewritten without losing anything
} lake_content;

#define LAKE_CACHE_CONTENTS TARN_TUNABLE(256, 4)

typedef struct lake_sequences lake_sequences; // sequences.h
typedef struct lake_history lake_history;     // history.h

struct tarn_table {
    tarn_store *store;
    const tarn_alloc *alloc;
    tarn_slice path;           // in `arena`, as are the schemas
    const lake_schema *schema; // the latest when the table was opened
    tarn_mutex *lock;
    // guarded by lock
    tarn_arena arena;
    const lake_schema **schemas;
    size_t schema_count;
    size_t schema_capacity;
    lake_content *contents[LAKE_CACHE_CONTENTS]; // newest last
    size_t content_count;
    int64_t known_latest; // the newest snapshot seen, 0: none
    int64_t hinted_us;    // when LATEST was written last
    int64_t pending_hint; // a snapshot that LATEST does not say yet, 0: none
    lake_sequences *sequences;
    lake_history *history;
};

// ---- paths ----

// A path below the table's directory, in `arena`.
TARN_MUST_USE tarn_status lake_path(const tarn_table *table, tarn_arena *arena,
                                    tarn_slice *ret_path, tarn_error *err, const char *format, ...)
    TARN_PRINTF(5, 6);
// The directory of a bucket: "<table>[/<partition>]/bucket-<n>".
TARN_MUST_USE tarn_status lake_bucket_path(const tarn_table *table, tarn_slice partition,
                                           int32_t bucket, tarn_arena *arena, tarn_slice *ret_path,
                                           tarn_error *err);
// 36 characters of a random UUID, in `arena`.
TARN_MUST_USE tarn_status lake_uuid(const tarn_table *table, tarn_arena *arena,
                                    tarn_slice *ret_uuid, tarn_error *err);

// ---- schemas and snapshots ----

// The schema with this id, valid until the table is closed.
TARN_MUST_USE tarn_status lake_table_schema(tarn_table *table, int64_t id,
                                            const lake_schema **ret_schema, tarn_error *err);
// 0 when the table has no snapshot.
TARN_MUST_USE tarn_status lake_latest_id(tarn_table *table, int64_t *ret_id, tarn_error *err);
TARN_MUST_USE tarn_status lake_snapshot_read(tarn_table *table, int64_t id, tarn_arena *arena,
                                             lake_snapshot *ret_snapshot, bool *ret_found,
                                             tarn_error *err);
// Writes the hint LATEST, best effort. Commits come often and the hint costs syncs, so it is
// written at most once in a while, and `at_once` when the table is closed.
void lake_hint_latest(tarn_table *table, int64_t id, bool at_once);

typedef struct lake_numbers {
    int64_t *items; // ascending
    size_t count;
} lake_numbers;

// The ids that are there, in `arena`.
TARN_MUST_USE tarn_status lake_snapshot_ids(tarn_table *table, tarn_arena *arena,
                                            lake_numbers *ret_ids, tarn_error *err);
// Numbers that follow `prefix` in the names of a directory of the table.
TARN_MUST_USE tarn_status lake_list_numbers(tarn_table *table, const char *directory,
                                            const char *prefix, tarn_arena *arena,
                                            lake_numbers *ret_numbers, tarn_error *err);

// ---- manifests ----

TARN_MUST_USE tarn_status lake_list_read(tarn_table *table, tarn_slice name, tarn_arena *arena,
                                         lake_manifest **ret_manifests, size_t *ret_count,
                                         tarn_error *err);
// Base list, then delta list.
TARN_MUST_USE tarn_status lake_manifests_read(tarn_table *table, const lake_snapshot *snapshot,
                                              tarn_arena *arena, lake_manifest **ret_manifests,
                                              size_t *ret_count, tarn_error *err);
// One reference to the manifest's entries.
TARN_MUST_USE tarn_status lake_content_read(tarn_table *table, tarn_slice name,
                                            lake_content **ret_content, tarn_error *err);
void lake_content_unref(lake_content *content); // accepts NULL

// The live files of a snapshot.
typedef struct lake_live {
    tarn_arena arena;
    lake_content **contents; // what the entries view
    size_t content_count;
    const lake_entry **entries;
    size_t count;
    uint64_t manifests_total;
    uint64_t manifests_read;
} lake_live;

// Says which manifests and entries can matter; what it drops must hold whole partitions or buckets,
// so that an ADD and its DELETE share their fate.
typedef struct lake_live_filter {
    bool (*keep_manifest)(void *context, const lake_manifest *manifest);
    bool (*keep_entry)(void *context, const lake_entry *entry);
    void *context;
} lake_live_filter;

// `filter` may be NULL.
TARN_MUST_USE tarn_status lake_live_load(tarn_table *table, const lake_snapshot *snapshot,
                                         const lake_live_filter *filter, lake_live *ret_live,
                                         tarn_error *err);
void lake_live_free(lake_live *live); // accepts a zeroed one

#endif
