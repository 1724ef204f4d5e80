// binrow.h - Paimon's BinaryRow: partitions, keys and statistics in manifests, and the bucket hash.
//
//     TARN_TRY(tarn_binrow_encode(key, key_count, &row, err));
//     int32_t bucket = tarn_binrow_bucket(tarn_buffer_slice(&row), bucket_count);
//
// Layout: docs/formats/binrow.md. A row is (null bits with the row kind, 8-byte slots, variable
// part); its serialised form has a big-endian arity in front. Null decimals above 18 digits and
// null timestamps above milliseconds still reserve variable space, which hashes and identities see:
// a null value must have its column's type.
//
// Types here carry Paimon's precision: a timestamp(p) with p <= 3 is compact (and keeps whole
// milliseconds, rounded down, as Paimon does); time is stored as milliseconds, rounded down;
// TINYINT is a smallint type with precision 3, as tarn_binrow_tinyint makes.
//
// Ownership: encoding appends to the caller's buffer, which is unchanged on failure; decoded bytes
//            view the input.
// Threads:   pure functions.
// Errors:    TARN_CORRUPT names the field (0-based) of a row whose bytes make no sense;
//            TARN_UNSUPPORTED a value beyond what tarn can hold (years after 294246) or a type that
//            rows do not have (interval); TARN_INVALID a value that its type does not hold.
#ifndef TARN_FORMAT_BINROW_H
#define TARN_FORMAT_BINROW_H

#include "column/column.h"

// Paimon's TINYINT: as smallint in memory, one byte in a row.
static inline tarn_type tarn_binrow_tinyint(void) {
    return (tarn_type){.id = TARN_TYPE_SMALLINT, .precision = 3};
}
static inline bool tarn_binrow_is_tinyint(tarn_type type) {
    return type.id == TARN_TYPE_SMALLINT && type.precision == 3;
}

// Appends the row bytes (without arity; row kind +I).
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

// Murmur3-32 with seed 42 over row bytes (length a multiple of 4, as every encoded row's is).
int32_t tarn_binrow_hash(tarn_slice row);
// abs(hash % bucket_count). The count is positive.
int32_t tarn_binrow_bucket(tarn_slice row, int32_t bucket_count);

#endif
