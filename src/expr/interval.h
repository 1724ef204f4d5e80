// interval.h - arithmetic of intervals, as PostgreSQL does it.
#ifndef TARN_EXPR_INTERVAL_H
#define TARN_EXPR_INTERVAL_H

#include "column/column.h"

// All fail with 22008 when a part does not fit.
TARN_MUST_USE tarn_status expr_interval_multiply(tarn_interval interval, double factor,
                                                 tarn_interval *ret_interval, tarn_error *err);
TARN_MUST_USE tarn_status expr_interval_divide(tarn_interval interval, double divisor,
                                               tarn_interval *ret_interval, tarn_error *err);
TARN_MUST_USE tarn_status expr_interval_add(tarn_interval a, tarn_interval b,
                                            tarn_interval *ret_interval, tarn_error *err);
TARN_MUST_USE tarn_status expr_interval_negate(tarn_interval interval, tarn_interval *ret_interval,
                                               tarn_error *err);

tarn_status expr_interval_justify_hours(tarn_interval interval, tarn_interval *ret_interval,
                                        tarn_error *err);
tarn_status expr_interval_justify_days(tarn_interval interval, tarn_interval *ret_interval,
                                       tarn_error *err);
tarn_status expr_interval_justify(tarn_interval interval, tarn_interval *ret_interval,
                                  tarn_error *err);

// A timestamp that much later; months first (the day is cut to the month's last), then days.
TARN_MUST_USE tarn_status expr_timestamp_add(int64_t us, tarn_interval interval, int64_t *ret_us,
                                             tarn_error *err);

#endif
