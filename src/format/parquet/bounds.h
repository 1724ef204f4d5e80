// bounds.h - the least and the greatest of many values, and how statistics store them.
#ifndef TARN_FORMAT_PARQUET_BOUNDS_H
#define TARN_FORMAT_PARQUET_BOUNDS_H

#include "format/parquet/storage.h"

// NaN is counted, never a bound. Text views what was added.
typedef struct parquet_bounds {
    bool has_values; // that are not NaN: min and max are set
    tarn_value min;
    tarn_value max;
    uint64_t nan_count;
} parquet_bounds;

// Values in the layout of vectors of `type`.
void parquet_bounds_add(parquet_bounds *bounds, tarn_type type, const void *values, size_t count);
// Strings in PLAIN form: `count` of them, back to back, each behind its length.
void parquet_bounds_add_plain_strings(parquet_bounds *bounds, tarn_type type, const uint8_t *bytes,
                                      size_t count);
// One more string.
void parquet_bounds_add_string(parquet_bounds *bounds, tarn_type type, tarn_slice string);
void parquet_bounds_add_all(parquet_bounds *bounds, const parquet_bounds *more);

#define PARQUET_BOUND_BYTES_MAX 64

typedef struct parquet_stored_bound {
    uint8_t bytes[PARQUET_BOUND_BYTES_MAX];
    size_t len;
    bool is_there; // a greatest string may have no short bound
    bool is_exact;
} parquet_stored_bound;

// A bound of 0 becomes one that holds zeroes of both signs: they are equal, but formats and other
// readers order -0.0 before 0.0.
void parquet_bounds_widen_zeroes(tarn_type type, tarn_value *min, tarn_value *max);

void parquet_bounds_store(const parquet_storage *storage, const parquet_bounds *bounds,
                          parquet_stored_bound *ret_min, parquet_stored_bound *ret_max);

#endif
