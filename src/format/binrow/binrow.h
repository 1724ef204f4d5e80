// binrow.h - Paimon's BinaryRow: partitions, keys and statistics in manifests, and the bucket hash.
//
// Layout: docs/formats/binrow.md. A row is (null bits with the row kind, 8-byte slots, variable
// part); its serialised form has a big-endian arity in front. Null decimals above 18 digits and
// null timestamps above milliseconds still reserve variable space, which hashes and identities see.
//
// Types here carry Paimon's precision: timestamp(p) with p <= 3 is compact; time is stored as
// milliseconds; `is_tinyint` columns are one byte.
#ifndef TARN_FORMAT_BINROW_H
#define TARN_FORMAT_BINROW_H

#include "column/column.h"

// Appends the row bytes (without arity).
TARN_MUST_USE tarn_status tarn_binrow_encode(const tarn_value *values, size_t count,
                                             tarn_buffer *out, tarn_error *err);
// Appends the serialised form: arity, then the row.
TARN_MUST_USE tarn_status tarn_binrow_serialize(const tarn_value *values, size_t count,
                                                tarn_buffer *out, tarn_error *err);
// Reads the serialised form. Its arity must be `count`; bytes view the input.
TARN_MUST_USE tarn_status tarn_binrow_deserialize(tarn_slice bytes, const tarn_type *types,
                                                  size_t count, tarn_value *ret_values,
                                                  tarn_error *err);
// The arity a serialised row claims.
TARN_MUST_USE tarn_status tarn_binrow_arity(tarn_slice bytes, size_t *ret_arity, tarn_error *err);

// Murmur3-32 with seed 42 over row bytes (length a multiple of 4).
int32_t tarn_binrow_hash(tarn_slice row);
// abs(hash % bucket_count).
int32_t tarn_binrow_bucket(tarn_slice row, int32_t bucket_count);

#endif
