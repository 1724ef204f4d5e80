// snapshot.h - snapshot/snapshot-<id>: one version of a table, as JSON.
#ifndef TARN_LAKE_SNAPSHOT_H
#define TARN_LAKE_SNAPSHOT_H

#include "lake/lake.h"

typedef struct lake_snapshot {
    tarn_snapshot view;
    tarn_slice uuid; // empty: the writer did not give one
    tarn_slice base_list;
    int64_t base_list_bytes; // -1: not stated
    tarn_slice delta_list;
    int64_t delta_list_bytes;
    tarn_slice changelog_list; // empty: none
    int64_t changelog_list_bytes;
    int64_t changelog_row_count;
    tarn_slice index_manifest; // empty: none
    tarn_slice statistics;     // empty: none
    int64_t next_row_id;       // -1: not stated
    int64_t time_ms;
} lake_snapshot;

// Decodes a snapshot file; everything lives in `arena`.
TARN_MUST_USE tarn_status lake_snapshot_decode(tarn_slice json, tarn_arena *arena,
                                               lake_snapshot *ret_snapshot, tarn_error *err);
// Appends the JSON. Watermark and times are stored in milliseconds, the watermark rounded down.
TARN_MUST_USE tarn_status lake_snapshot_encode(const lake_snapshot *snapshot, tarn_buffer *out,
                                               tarn_error *err);
TARN_MUST_USE tarn_status lake_snapshot_copy(const lake_snapshot *snapshot, tarn_arena *arena,
                                             lake_snapshot *ret_snapshot, tarn_error *err);

#endif
