// options.h - Paimon's table options: which tarn understands, which it leaves to other engines, and
// which make it refuse a table.
//
// Every option is text. An option that tarn acts on is parsed here, once, into lake_options. One
// that would change bytes or results in a way that tarn does not do is refused by name, for
// reading or only for writing. One that concerns other engines only is kept as it is.
#ifndef TARN_LAKE_OPTIONS_H
#define TARN_LAKE_OPTIONS_H

#include "io/io.h"
#include "lake/lake.h"

typedef enum lake_stats_mode {
    LAKE_STATS_NONE,
    LAKE_STATS_COUNTS,
    LAKE_STATS_TRUNCATE,
    LAKE_STATS_FULL,
} lake_stats_mode;

typedef struct lake_options {
    int32_t bucket; // -1: unaware or dynamic, -2: postpone
    tarn_slice bucket_key;
    tarn_slice sequence_field;
    tarn_slice default_partition;
    bool legacy_partition_names;
    tarn_slice data_prefix;
    tarn_codec file_codec;
    int zstd_level;
    tarn_codec manifest_codec;
    uint64_t manifest_target_bytes;
    uint64_t manifest_full_bytes; // manifest.full-compaction-threshold-size
    uint64_t manifest_merge_min;
    uint64_t target_file_bytes;
    lake_stats_mode stats_mode;
    uint64_t stats_length; // code points kept by LAKE_STATS_TRUNCATE
    uint64_t level_count;  // num-levels
    uint64_t commit_retries;
    uint64_t commit_min_wait_ms;
    uint64_t commit_max_wait_ms;
    bool deletion_vectors;
    bool deletion_vectors_merge_on_read;
} lake_options;

// The value of an option, {NULL, 0} when it is not set.
tarn_slice lake_option_find(const tarn_option *options, size_t count, tarn_slice key);

// Fills *ret_options with defaults and what is set. A malformed value is TARN_INVALID with the
// option's name. `is_keyed`: the table has a primary key.
TARN_MUST_USE tarn_status lake_options_parse(const tarn_option *options, size_t count,
                                             bool is_keyed, lake_options *ret_options,
                                             tarn_error *err);

// For a new table: every option must be known and its value one that tarn handles. Unknown names
// are TARN_INVALID with the nearest known one as a hint.
TARN_MUST_USE tarn_status lake_options_check_new(const tarn_option *options, size_t count,
                                                 tarn_error *err);

typedef enum lake_use { LAKE_USE_READ = 1, LAKE_USE_WRITE = 2 } lake_use;
// TARN_UNSUPPORTED with the first option that stands against the use.
TARN_MUST_USE tarn_status lake_options_check_use(const tarn_option *options, size_t count,
                                                 lake_use use, tarn_error *err);

#endif
