// diff.h - which rows a rewrite of files added and which it removed.
//
// Rows are compared as a whole, as a multiset: the old rows are counted in memory, the new ones are
// streamed against them.
#ifndef TARN_LAKE_DIFF_H
#define TARN_LAKE_DIFF_H

#include "lake/merge.h"

typedef struct lake_diff lake_diff;

// Rows of the old files that the new ones lack come as -D, the others way round as +I. Comparison
// is over the columns that are read. The runs outlive the diff.
TARN_MUST_USE tarn_status lake_diff_new(tarn_table *table, const lake_run *before,
                                        const lake_run *after,
                                        const lake_data_reader_options *options,
                                        lake_diff **ret_diff, tarn_error *err);
TARN_MUST_USE tarn_status lake_diff_next(lake_diff *diff, const tarn_chunk **ret_chunk,
                                         tarn_error *err);
void lake_diff_free(lake_diff *diff); // accepts NULL

#endif
