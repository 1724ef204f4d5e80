// commit.h - making a snapshot of changed files.
#ifndef TARN_LAKE_COMMIT_H
#define TARN_LAKE_COMMIT_H

#include "lake/table.h"

typedef struct lake_commit {
    tarn_slice user;
    int64_t identifier; // INT64_MAX: none
    tarn_slice kind;    // APPEND, OVERWRITE, COMPACT
    const lake_entry *const *entries;
    size_t count;
    int64_t watermark_us;
    const tarn_option *properties;
    size_t property_count;
} lake_commit;

// Makes the snapshot, against other committers if need be. TARN_CONFLICT when the premise is gone
// or the retries are used up: nothing was made. After TARN_IO the outcome may be unknown.
TARN_MUST_USE tarn_status lake_commit_run(tarn_table *table, const lake_commit *commit,
                                          int64_t *ret_snapshot_id, tarn_error *err);

#endif
