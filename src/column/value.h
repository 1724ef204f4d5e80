// value.h - single values in memory, for the files of column/.
#ifndef TARN_COLUMN_VALUE_H
#define TARN_COLUMN_VALUE_H

#include "column/column.h"

#define COLUMN_DAY_US ((int64_t)86400000000)

// Bytes of one value.
static inline size_t column_physical_width(tarn_physical physical) {
    static const uint8_t widths[] = {
        [TARN_PHYSICAL_BOOL] = sizeof(uint8_t),
        [TARN_PHYSICAL_I16] = sizeof(int16_t),
        [TARN_PHYSICAL_I32] = sizeof(int32_t),
        [TARN_PHYSICAL_I64] = sizeof(int64_t),
        [TARN_PHYSICAL_I128] = sizeof(tarn_int128),
        [TARN_PHYSICAL_F32] = sizeof(float),
        [TARN_PHYSICAL_F64] = sizeof(double),
        [TARN_PHYSICAL_STRING] = sizeof(tarn_string),
        [TARN_PHYSICAL_INTERVAL] = sizeof(tarn_interval),
    };
    return widths[physical];
}

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
