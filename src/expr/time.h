// time.h - arithmetic of microseconds, days and months, shared by the kernels on time.
#ifndef TARN_EXPR_TIME_H
#define TARN_EXPR_TIME_H

#include "column/column.h"

#define EXPR_DAY_US    ((int64_t)86400000000)
#define EXPR_HOUR_US   ((int64_t)3600000000)
#define EXPR_MINUTE_US ((int64_t)60000000)
#define EXPR_SECOND_US ((int64_t)1000000)

// From 4714-11-24 BC, as PostgreSQL, to what 64 bits hold: 294247 AD (dates: 5874897).
#define EXPR_TIMESTAMP_MIN ((int64_t)-210866803200000000)
#define EXPR_TIMESTAMP_END INT64_MAX
#define EXPR_DATE_MIN      (-2440588)
#define EXPR_DATE_END      ((int64_t)2145042906)

static inline int64_t expr_floor_divide(int64_t dividend, int64_t divisor) {
    int64_t quotient = dividend / divisor;
    return quotient - (dividend % divisor < 0);
}

static inline bool expr_timestamp_fits(int64_t us) {
    return us >= EXPR_TIMESTAMP_MIN && us < EXPR_TIMESTAMP_END;
}

int expr_days_of_month(int64_t year, int month); // month 1..12; in interval.c

#endif
