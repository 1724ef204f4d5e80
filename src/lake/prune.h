// prune.h - what a scan can leave out, by looking at metadata only.
//
// From coarse to fine: manifests by the partitions and buckets they hold, entries by their
// partition and bucket, files by the bounds of their columns. A test may only rule out what holds
// no row that passes; unknown bounds rule out nothing.
#ifndef TARN_LAKE_PRUNE_H
#define TARN_LAKE_PRUNE_H

#include "lake/table.h"

// The bounds of every column of the table's schema over one file, in `arena`: of partition columns
// the value itself, of columns that the file does not have all nulls.
TARN_MUST_USE tarn_status lake_file_bounds(tarn_table *table, const lake_entry *entry,
                                           tarn_arena *arena, tarn_bounds **ret_bounds,
                                           tarn_error *err);

typedef struct lake_pruner {
    tarn_table *table;
    const tarn_prune *prune; // may be NULL
    tarn_arena *arena;
    tarn_prune key_prune;    // the tests on key and partition columns
    tarn_slice *bucket_rows; // encoded bucket keys that the tests allow; NULL: any
    size_t bucket_row_count;
} lake_pruner;

TARN_MUST_USE tarn_status lake_pruner_init(lake_pruner *pruner, tarn_table *table,
                                           const tarn_prune *prune, tarn_arena *arena,
                                           tarn_error *err);
// A filter for lake_live_load that keeps what may hold matching partitions and buckets.
lake_live_filter lake_pruner_filter(lake_pruner *pruner);
// *ret_keep: the file may hold rows that pass. `keys_only`: other files may overwrite its rows, so
// that only tests on key and partition columns count.
TARN_MUST_USE tarn_status lake_pruner_keep_file(lake_pruner *pruner, const lake_entry *entry,
                                                bool keys_only, bool *ret_keep, tarn_error *err);

#endif
