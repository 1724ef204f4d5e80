// fold.h - from manifest entries to the set of live files, and whether a commit still applies.
//
// Entries are taken in the order of their manifests. An ADD enters its file; a DELETE removes the
// file with the same identity, or waits for it when there is none (a partial fold). Pure logic: no
// I/O, deterministic.
#ifndef TARN_LAKE_FOLD_H
#define TARN_LAKE_FOLD_H

#include "lake/manifest.h"
#include "lake/schema.h"

// Entries are borrowed and must outlive the fold.
typedef struct lake_fold {
    tarn_arena *arena;
    const lake_entry **entries; // in the order of their arrival; NULL: cancelled
    size_t count;
    size_t capacity;
    uint32_t *slots; // hash table of positions in `entries` + 1
    size_t slot_count;
    size_t live_count;    // ADDs that stand
    size_t pending_count; // DELETEs without a file
} lake_fold;

void lake_fold_init(lake_fold *fold, tarn_arena *arena);
// TARN_CONFLICT when an ADD names a file that is there already.
TARN_MUST_USE tarn_status lake_fold_add(lake_fold *fold, const lake_entry *entry, tarn_error *err);
// The entry with the same identity that stands, or NULL.
const lake_entry *lake_fold_find(const lake_fold *fold, const lake_entry *entry);
// What stands: ADDs, and DELETEs that wait. The array lives in the fold's arena.
TARN_MUST_USE tarn_status lake_fold_entries(const lake_fold *fold, const lake_entry ***ret_entries,
                                            size_t *ret_count, tarn_error *err);

typedef struct lake_entry_view {
    const lake_entry *const *items;
    size_t count;
} lake_entry_view;

// Checks that `delta` can be committed on top of the live files `base`: the files it deletes are
// there, those it adds are not, bucket counts agree (unless `may_change_buckets`), and no level of
// a bucket gets overlapping keys. TARN_CONFLICT says which file is in the way.
TARN_MUST_USE tarn_status lake_check_conflicts(const lake_schema *schema, lake_entry_view base,
                                               lake_entry_view delta, bool may_change_buckets,
                                               tarn_arena *scratch, tarn_error *err);

// Compares two serialised keys of the table. TARN_CORRUPT when one is not a key.
TARN_MUST_USE tarn_status lake_key_compare(const lake_schema *schema, tarn_slice a, tarn_slice b,
                                           int *ret_order, tarn_error *err);

// The same key as order-preserving bytes (column.h), in `arena`.
TARN_MUST_USE tarn_status lake_key_encode(const lake_schema *schema, tarn_slice key,
                                          tarn_arena *arena, tarn_slice *ret_bytes,
                                          tarn_error *err);

#endif
