// plan.h - what a scan reads: splits of parts.
//
// A part is one file read as it is, some runs merged by key, or the difference between the old and
// the new files of a copy-on-write rewrite. Parts of a split are read one after the other.
#ifndef TARN_LAKE_PLAN_H
#define TARN_LAKE_PLAN_H

#include "lake/merge.h"
#include "lake/prune.h"
#include "lake/vectors.h"

typedef enum lake_part_kind {
    LAKE_PART_FILE,  // runs[0].files[0], its value columns
    LAKE_PART_MERGE, // the runs, oldest first
    LAKE_PART_DIFF,  // rows of runs[1] that runs[0] has not, as +I, and the other way round, as -D
} lake_part_kind;

typedef struct lake_part {
    lake_part_kind kind;
    const lake_run *runs;
    size_t run_count;
    bool changes; // rows have kinds
    // LAKE_PART_FILE: which slice of the file's row groups, so that several tasks can share a large
    // file; slice_count 0: all of it.
    size_t slice;
    size_t slice_count;
    tarn_slice min_key; // LAKE_PART_MERGE: as in lake_merge_options
    tarn_slice max_key;
} lake_part;

typedef struct lake_split {
    lake_part *parts;
    size_t part_count;
    size_t part_capacity;
    uint64_t weight_bytes;
} lake_split;

struct tarn_table_scan {
    tarn_table *table;
    tarn_arena arena;
    int64_t snapshot_id;
    size_t *columns;
    size_t column_count;
    tarn_prune prune;
    tarn_prune key_prune;
    lake_live live;        // of the snapshot
    lake_live before;      // for changes of keyed tables
    lake_content **deltas; // for changes of append tables
    size_t delta_count;
    lake_vectors vectors;
    lake_split *splits;
    size_t split_count;
    size_t split_capacity;
    uint64_t manifests_total, manifests_read, files_total;
    uint64_t row_estimate;
    lake_scan_counters counters;
};

// Appends a part to the last split if both fit into one, else to a new split.
TARN_MUST_USE tarn_status lake_scan_add_part(tarn_table_scan *scan, const lake_part *part,
                                             bool may_share, tarn_error *err);
// One file as a part.
TARN_MUST_USE tarn_status lake_scan_add_file(tarn_table_scan *scan, const lake_entry *entry,
                                             const roaring_bitmap_t *deleted, tarn_error *err);

typedef struct lake_file_list {
    lake_run_file *items;
    size_t count;
} lake_file_list;

typedef struct lake_run_list {
    lake_run *items;
    size_t count;
} lake_run_list;

typedef struct lake_sections {
    size_t *ends; // section i is [ends[i - 1], ends[i]) of the files, the first begins at 0
    size_t count;
} lake_sections;

// Sorts files into sorted runs, oldest first: levels from the top down, then files of level 0, each
// a run of its own, by sequence number. The files are reordered.
TARN_MUST_USE tarn_status lake_make_runs(const lake_schema *schema, lake_file_list files,
                                         tarn_arena *arena, lake_run_list *ret_runs,
                                         tarn_error *err);

// Reorders files by their least key and cuts them into sections: maximal groups whose key ranges
// overlap.
TARN_MUST_USE tarn_status lake_cut_sections(const lake_schema *schema, lake_file_list files,
                                            tarn_arena *arena, lake_sections *ret_sections,
                                            tarn_error *err);

// Sorts entries by partition and bucket.
void lake_sort_by_bucket(const lake_entry **entries, size_t count);
bool lake_same_bucket(const lake_entry *a, const lake_entry *b);

// Plans the changes after `after_id`, up to the scan's snapshot.
TARN_MUST_USE tarn_status lake_plan_changes(tarn_table_scan *scan, const lake_snapshot *snapshot,
                                            int64_t after_id, lake_pruner *pruner, tarn_error *err);

#endif
