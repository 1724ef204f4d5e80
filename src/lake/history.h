// history.h - what each commit user has committed, so that nothing is committed twice.
//
// Identifiers of a user grow, so the newest snapshot of a user says it all. Compactions and commits
// without an identifier do not count. What was found is remembered per open table.
//
// Threads: guarded by the table's lock.
#ifndef TARN_LAKE_HISTORY_H
#define TARN_LAKE_HISTORY_H

#include "lake/lake.h"

typedef struct lake_history lake_history;

TARN_MUST_USE tarn_status lake_history_new(const tarn_alloc *alloc, lake_history **ret_history,
                                           tarn_error *err);
void lake_history_free(lake_history *history); // accepts NULL

// *ret_snapshot_id is the snapshot that holds the commit (a later one of the user when that has
// expired), 0 when it has not been committed.
TARN_MUST_USE tarn_status lake_history_find(tarn_table *table, tarn_slice user, int64_t identifier,
                                            int64_t *ret_snapshot_id, tarn_error *err);

#endif
