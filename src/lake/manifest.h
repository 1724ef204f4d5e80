// manifest.h - manifest lists, manifests and index manifests: Avro files that say which data files
// a snapshot has.
//
// Ownership: decoded entries live in the caller's arena. Encoding appends to a buffer.
// Errors:    TARN_CORRUPT names the field that is missing or wrong; ORC manifests (tables made by
//            old versions) are TARN_UNSUPPORTED.
#ifndef TARN_LAKE_MANIFEST_H
#define TARN_LAKE_MANIFEST_H

#include "base/arena.h"
#include "base/buffer.h"
#include "io/io.h"

#define LAKE_UNKNOWN (-1)

// Bounds over some columns: serialised BinaryRows, and null counts (LAKE_UNKNOWN where not stated).
typedef struct lake_stats {
    tarn_slice min;
    tarn_slice max;
    const int64_t *null_counts;
    size_t null_count_count; // 0 when no counts are given
} lake_stats;

// What a manifest says about one data file. Optional numbers are LAKE_UNKNOWN, optional bytes and
// texts have data == NULL when absent.
typedef struct lake_file {
    tarn_slice name;
    int64_t file_bytes;
    int64_t row_count;
    tarn_slice min_key; // serialised BinaryRow of the key columns
    tarn_slice max_key;
    lake_stats key_stats;
    lake_stats value_stats;
    int64_t min_sequence;
    int64_t max_sequence;
    int64_t schema_id;
    int32_t level;
    const tarn_slice *extra_files;
    size_t extra_file_count;
    int64_t created_ms;       // LAKE_UNKNOWN: not stated
    int64_t delete_row_count; // -U and -D rows
    tarn_slice embedded_index;
    int32_t source;                    // 0: new rows, 1: compaction
    const tarn_slice *value_stat_cols; // NULL: value_stats covers all columns of the file's schema
    size_t value_stat_col_count;
    tarn_slice external_path;
    int64_t first_row_id;
    const tarn_slice *write_cols; // NULL: all columns
    size_t write_col_count;
} lake_file;

typedef enum lake_entry_kind { LAKE_ADD = 0, LAKE_DELETE = 1 } lake_entry_kind;

typedef struct lake_entry {
    lake_entry_kind kind;
    tarn_slice partition; // serialised BinaryRow
    int32_t bucket;
    int32_t total_buckets;
    lake_file file;
} lake_entry;

// One line of a manifest list.
typedef struct lake_manifest {
    tarn_slice name;
    int64_t file_bytes;
    int64_t added_count;
    int64_t deleted_count;
    lake_stats partition_stats;
    int64_t schema_id;
    int32_t min_bucket; // bounds are valid when has_bounds
    int32_t max_bucket;
    int32_t min_level;
    int32_t max_level;
    bool has_bounds;
} lake_manifest;

// Where the deletion vector of one data file lies in an index file.
typedef struct lake_vector_range {
    tarn_slice data_file;
    int64_t offset;
    int64_t len;
} lake_vector_range;

typedef struct lake_index_entry {
    tarn_slice partition;
    int32_t bucket;
    tarn_slice type; // "DELETION_VECTORS", "HASH", ...
    tarn_slice name;
    int64_t file_bytes;
    const lake_vector_range *ranges;
    size_t range_count;
    tarn_slice external_path;
} lake_index_entry;

// Same partition, bucket, level, name, extra files, embedded index and path: what an ADD and a
// DELETE must share to cancel each other.
bool lake_entry_same(const lake_entry *a, const lake_entry *b);
uint64_t lake_entry_hash(const lake_entry *entry);
// A copy whose bytes live in `arena`.
TARN_MUST_USE tarn_status lake_entry_copy(const lake_entry *entry, tarn_arena *arena,
                                          lake_entry *ret_entry, tarn_error *err);

TARN_MUST_USE tarn_status lake_manifest_list_decode(tarn_object *object, tarn_arena *arena,
                                                    lake_manifest **ret_manifests,
                                                    size_t *ret_count, tarn_error *err);
// *ret_is_plain: the file holds nothing beyond what lake_entry keeps, so it may be rewritten.
TARN_MUST_USE tarn_status lake_manifest_decode(tarn_object *object, tarn_arena *arena,
                                               lake_entry **ret_entries, size_t *ret_count,
                                               bool *ret_is_plain, tarn_error *err);
TARN_MUST_USE tarn_status lake_index_manifest_decode(tarn_object *object, tarn_arena *arena,
                                                     lake_index_entry **ret_entries,
                                                     size_t *ret_count, tarn_error *err);

typedef struct lake_avro_options {
    tarn_codec codec;
    int level;
    uint8_t sync_marker[16];
} lake_avro_options;

TARN_MUST_USE tarn_status lake_manifest_list_encode(const lake_manifest *manifests, size_t count,
                                                    const lake_avro_options *options,
                                                    tarn_buffer *out, tarn_error *err);
TARN_MUST_USE tarn_status lake_manifest_encode(const lake_entry *const *entries, size_t count,
                                               const lake_avro_options *options, tarn_buffer *out,
                                               tarn_error *err);

#endif
