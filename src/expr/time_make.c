// Dates, times, timestamps and intervals from their fields.

#include <math.h>

#include "expr/tables.h"
#include "expr/time.h"

static int32_t integer_at(const expr_frame *frame, size_t arg, size_t row) {
    const tarn_vector *vector = &frame->args[arg];
    return ((const int32_t *)vector->data)[row * expr_stride(vector)];
}

static double double_at(const expr_frame *frame, size_t arg, size_t row) {
    const tarn_vector *vector = &frame->args[arg];
    return ((const double *)vector->data)[row * expr_stride(vector)];
}

// Negative years are before Christ; there is no year 0.
static tarn_status make_day(const expr_frame *frame, size_t row, int32_t *ret_day) {
    int64_t year = integer_at(frame, 0, row);
    int32_t month = integer_at(frame, 1, row);
    int32_t day = integer_at(frame, 2, row);
    int64_t civil = year < 0 ? year + 1 : year;
    bool is_valid = year != 0 && civil > -4800 && civil < 5874898 && month >= 1 && month <= 12;
    is_valid = is_valid && day >= 1 && day <= expr_days_of_month(civil, month);
    if (!is_valid) {
        return expr_fail(frame->err, "22008", "date field value out of range: %lld-%02d-%02d",
                         (long long)year, month, day);
    }
    *ret_day = tarn_days_from_civil(civil, month, day);
    return TARN_OK;
}

static tarn_status make_time(const expr_frame *frame, size_t first, size_t row, int64_t *ret_us) {
    int32_t hour = integer_at(frame, first, row);
    int32_t minute = integer_at(frame, first + 1, row);
    double second = double_at(frame, first + 2, row);
    bool is_valid = hour >= 0 && minute >= 0 && minute < 60 && second >= 0 && second <= 60;
    double us = is_valid ? rint(second * 1000000.0) : 0;
    is_valid = is_valid && hour <= 24 &&
               hour * EXPR_HOUR_US + minute * EXPR_MINUTE_US + (int64_t)us <= EXPR_DAY_US;
    if (!is_valid) {
        return expr_fail(frame->err, "22008", "time field value out of range: %d:%02d:%02g", hour,
                         minute, second);
    }
    *ret_us = hour * EXPR_HOUR_US + minute * EXPR_MINUTE_US + (int64_t)us;
    return TARN_OK;
}

static tarn_status make_date_rows(const expr_frame *frame) {
    int32_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) TARN_TRY(make_day(frame, row, &out[row]));
    return TARN_OK;
}

static tarn_status make_time_rows(const expr_frame *frame) {
    int64_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) TARN_TRY(make_time(frame, 0, row, &out[row]));
    return TARN_OK;
}

static tarn_status make_timestamp_rows(const expr_frame *frame) {
    int64_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        int32_t day;
        int64_t us;
        TARN_TRY(make_day(frame, row, &day));
        TARN_TRY(make_time(frame, 3, row, &us));
        if (__builtin_mul_overflow((int64_t)day, EXPR_DAY_US, &out[row]) ||
            __builtin_add_overflow(out[row], us, &out[row]) || !expr_timestamp_fits(out[row])) {
            return expr_fail(frame->err, "22008", "timestamp out of range");
        }
    }
    return TARN_OK;
}

// Years, months, weeks, days, hours, minutes, seconds; those left out are 0.
static tarn_status make_interval_rows(const expr_frame *frame) {
    tarn_interval *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        int64_t parts[6] = {0};
        for (size_t i = 0; i < 6 && i < frame->arg_count; i++) {
            parts[i] = integer_at(frame, i, row);
        }
        double seconds = frame->arg_count == 7 ? double_at(frame, 6, row) : 0;
        int64_t months = parts[0] * 12 + parts[1];
        int64_t days = parts[2] * 7 + parts[3];
        double seconds_us = rint(seconds * 1000000.0);
        int64_t us = parts[4] * EXPR_HOUR_US + parts[5] * EXPR_MINUTE_US;
        bool fits = months == (int32_t)months && days == (int32_t)days;
        fits = fits && fabs(seconds_us) < 9223372036854774784.0;
        if (!fits || __builtin_add_overflow(us, (int64_t)seconds_us, &us)) {
            return expr_fail(frame->err, "22008", "interval out of range");
        }
        out[row] = (tarn_interval){(int32_t)months, (int32_t)days, us};
    }
    return TARN_OK;
}

static tarn_status to_timestamp_rows(const expr_frame *frame) {
    int64_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        double seconds = double_at(frame, 0, row);
        if (isnan(seconds)) return expr_fail(frame->err, "22008", "timestamp cannot be NaN");
        double us = rint(seconds * 1000000.0);
        if (!(fabs(us) < 9223372036854774784.0) || !expr_timestamp_fits((int64_t)us)) {
            return expr_fail(frame->err, "22008", "timestamp out of range: \"%g\"", seconds);
        }
        out[row] = (int64_t)us;
    }
    return TARN_OK;
}

// ---- the table ----

#define FUNCTION(name, arguments, result, text, kernel_name) \
    EXPR_FUNCTION(name, arguments, result, text, .kernel = (kernel_name))
#define INTERVAL(arguments)                                                     \
    FUNCTION("make_interval", arguments, "interval",                            \
             "interval of years, months, weeks, days, hours, minutes, seconds", \
             make_interval_rows)

static const tarn_function functions[] = {
    FUNCTION("make_date", "integer, integer, integer", "date", "date of year, month, day",
             make_date_rows),
    FUNCTION("make_time", "integer, integer, double precision", "time",
             "time of hour, minute, seconds", make_time_rows),
    FUNCTION("make_timestamp", "integer, integer, integer, integer, integer, double precision",
             "timestamp", "timestamp of year, month, day, hour, minute, seconds",
             make_timestamp_rows),
    FUNCTION("make_timestamptz", "integer, integer, integer, integer, integer, double precision",
             "timestamptz", "timestamp of year, month, day, hour, minute, seconds",
             make_timestamp_rows),
    INTERVAL(""),
    INTERVAL("integer"),
    INTERVAL("integer, integer"),
    INTERVAL("integer, integer, integer"),
    INTERVAL("integer, integer, integer, integer"),
    INTERVAL("integer, integer, integer, integer, integer"),
    INTERVAL("integer, integer, integer, integer, integer, integer"),
    INTERVAL("integer, integer, integer, integer, integer, integer, double precision"),
    FUNCTION("to_timestamp", "double precision", "timestamptz",
             "the instant so many seconds after 1970", to_timestamp_rows),
};
const expr_function_table expr_time_make_functions = {functions,
                                                      sizeof functions / sizeof functions[0]};
