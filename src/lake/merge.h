// merge.h - several sorted runs of a keyed table as one: the last version of each key.
//
// A run is a list of files with ascending, disjoint keys; each key occurs at most once in it. Runs
// are merged by their encoded keys; among the rows of one key the winner is the one with the
// largest sequence fields, then the largest sequence number, then of the later run. A winner that
// is a deletion stands for nothing.
//
// For changes a run belongs to the state before, to the state after, or to both, and each key gives
// the difference between its winners: +I, -D, or -U and +U when their values differ.
#ifndef TARN_LAKE_MERGE_H
#define TARN_LAKE_MERGE_H

#include "lake/data_reader.h"

typedef struct lake_run_file {
    const lake_entry *entry;
    const roaring_bitmap_t *deleted; // NULL: none
} lake_run_file;

typedef struct lake_run {
    const lake_run_file *files;
    size_t file_count;
    bool is_before; // for changes
    bool is_after;
} lake_run;

typedef struct lake_merge_options {
    const size_t *columns; // indices into the table's schema
    size_t column_count;
    bool system_columns; // the winners' sequence numbers and kinds follow `columns`
    bool changes;        // rows have kinds
    tarn_slice min_key;  // encoded; keys outside are left out. Empty: no bound
    tarn_slice max_key;
    const tarn_prune *key_prune; // tests on key columns; may be NULL
    lake_scan_counters *counters;
    const tarn_alloc *alloc;
} lake_merge_options;

typedef struct lake_merge lake_merge;

// `runs`, oldest first, with what they point to, outlive the merge.
TARN_MUST_USE tarn_status lake_merge_new(tarn_table *table, const lake_run *runs, size_t run_count,
                                         const lake_merge_options *options, lake_merge **ret_merge,
                                         tarn_error *err);
// The next rows in key order, NULL at the end; valid until the next call.
TARN_MUST_USE tarn_status lake_merge_next(lake_merge *merge, const tarn_chunk **ret_chunk,
                                          tarn_error *err);
void lake_merge_free(lake_merge *merge); // accepts NULL

#endif
