// manifest_writer.h - writing manifests and lists, and merging old manifests at commit time.
//
// Every file that is written is noted, so that a commit which loses can take it back.
#ifndef TARN_LAKE_MANIFEST_WRITER_H
#define TARN_LAKE_MANIFEST_WRITER_H

#include "lake/table.h"

typedef struct lake_manifest_writer {
    tarn_table *table;
    tarn_arena *arena;
    tarn_slice uuid; // in all names
    uint32_t manifest_count;
    uint32_t list_count;
    tarn_slice *written; // paths
    size_t written_count;
    size_t written_capacity;
} lake_manifest_writer;

TARN_MUST_USE tarn_status lake_manifest_writer_init(lake_manifest_writer *writer, tarn_table *table,
                                                    tarn_arena *arena, tarn_error *err);
// Writes entries to as many manifests as they need.
TARN_MUST_USE tarn_status lake_write_manifests(lake_manifest_writer *writer,
                                               const lake_entry *const *entries, size_t count,
                                               lake_manifest **ret_manifests, size_t *ret_count,
                                               tarn_error *err);
TARN_MUST_USE tarn_status lake_write_list(lake_manifest_writer *writer,
                                          const lake_manifest *manifests, size_t count,
                                          tarn_slice *ret_name, int64_t *ret_bytes,
                                          tarn_error *err);
// Removes what was written since `written_count` was `from`, as far as it can be removed.
void lake_take_back(lake_manifest_writer *writer, size_t from);

// The manifests of a snapshot as the base of the next: small ones are merged when there are many,
// and all are rewritten without what cancels when that has piled up.
TARN_MUST_USE tarn_status lake_merge_manifests(lake_manifest_writer *writer,
                                               const lake_manifest *manifests, size_t count,
                                               lake_manifest **ret_manifests, size_t *ret_count,
                                               tarn_error *err);

#endif
