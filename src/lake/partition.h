// partition.h - from partition values to directories.
#ifndef TARN_LAKE_PARTITION_H
#define TARN_LAKE_PARTITION_H

#include "lake/schema.h"

// Appends "<k1>=<v1>/<k2>=<v2>" for values in the order of schema->partition; nothing for a table
// without partitions. TARN_UNSUPPORTED for values whose text other engines choose in ways of their
// own (floats, bytes).
TARN_MUST_USE tarn_status lake_partition_path(const lake_schema *schema, const tarn_value *values,
                                              tarn_buffer *out, tarn_error *err);

// Appends `text` with the bytes that directory names cannot hold as %XX.
TARN_MUST_USE bool lake_partition_escape(tarn_slice text, tarn_buffer *out);

#endif
