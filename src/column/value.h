// value.h - single values in memory, for the files of column/.
#ifndef TARN_COLUMN_VALUE_H
#define TARN_COLUMN_VALUE_H

#include "column/column.h"

#define COLUMN_DAY_US ((int64_t)86400000000)

// The value of `type` that lies at `at`; text views the bytes.
tarn_value column_value_load(tarn_type type, const void *at);

// Writes a value that is not null as vectors of its type hold it. Bytes are not copied.
void column_value_store(tarn_value value, void *at);

// What intervals are compared by: microseconds, with days of 24 hours and months of 30 days.
static inline tarn_int128 column_interval_span(tarn_interval interval) {
    return ((tarn_int128)interval.months * 30 + interval.days) * COLUMN_DAY_US + interval.us;
}

// -1, 0 or 1. -0.0 equals 0.0; NaN equals NaN and is greater than all else.
static inline int column_double_compare(double a, double b) {
    if (a < b) return -1;
    if (a > b) return 1;
    return (a != a) - (b != b);
}

#endif
