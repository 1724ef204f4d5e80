// stats.h - bounds of columns as manifests store them.
#ifndef TARN_LAKE_STATS_H
#define TARN_LAKE_STATS_H

#include "lake/manifest.h"
#include "lake/schema.h"

typedef struct lake_column_stats {
    tarn_value min; // null values: no bounds
    tarn_value max;
    int64_t null_count; // LAKE_UNKNOWN: not stated
} lake_column_stats;

// Shortens the bounds of text to `length` code points, of bytes to as many bytes. The minimum
// becomes a prefix; in the prefix of the maximum the last character that can grow is increased, and
// what follows is dropped. Bounds that cannot be shortened so are dropped both. Bytes of shortened
// bounds live in `arena`.
TARN_MUST_USE tarn_status lake_stats_truncate(lake_column_stats *stats, size_t length,
                                              tarn_arena *arena, tarn_error *err);

// Serialises the bounds of some columns of the schema; stats[i] belongs to columns->indices[i].
TARN_MUST_USE tarn_status lake_stats_encode(const lake_schema *schema, const lake_columns *columns,
                                            const lake_column_stats *stats, tarn_arena *arena,
                                            lake_stats *ret_stats, tarn_error *err);

// Bounds over no columns: what append tables have for keys.
extern const tarn_slice LAKE_EMPTY_ROW;

#endif
