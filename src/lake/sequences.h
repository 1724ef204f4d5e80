// sequences.h - which sequence numbers the buckets of a table have used.
//
// Newer rows of a key need larger numbers than older ones, whoever wrote them. The writers of one
// open table therefore draw from one counter per bucket, which starts behind the largest number in
// the live files and keeps up with what others commit.
//
// Threads: guarded by the table's lock.
#ifndef TARN_LAKE_SEQUENCES_H
#define TARN_LAKE_SEQUENCES_H

#include "base/slice.h"
#include "base/status.h"
#include "lake/lake.h"

typedef struct lake_sequences lake_sequences;

TARN_MUST_USE tarn_status lake_sequences_new(const tarn_alloc *alloc,
                                             lake_sequences **ret_sequences, tarn_error *err);
void lake_sequences_free(lake_sequences *sequences); // accepts NULL

// Reads what was committed since the last call, if anything. Call before the two below.
TARN_MUST_USE tarn_status lake_sequences_refresh(tarn_table *table, tarn_error *err);

// Reserves `count` numbers for a bucket of a partition (a serialised row).
TARN_MUST_USE tarn_status lake_sequences_take(tarn_table *table, tarn_slice partition,
                                              int32_t bucket, uint64_t count, int64_t *ret_first,
                                              tarn_error *err);

// The number of buckets that the partition's files were written with, 0 when it has none.
int32_t lake_sequences_total_buckets(tarn_table *table, tarn_slice partition);

#endif
