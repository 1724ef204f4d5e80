#include "expr/interval.h"

#include <math.h>

#include "expr/function.h"
#include "expr/time.h"

#define DAYS_PER_MONTH  30
#define SECONDS_PER_DAY 86400.0

static tarn_status fail_range(tarn_error *err) {
    return expr_fail(err, "22008", "interval out of range");
}

// PostgreSQL rounds seconds to microseconds before it goes on with them.
static double round_to_us(double seconds) {
    return rint(seconds * 1000000.0) / 1000000.0;
}

// What a part gives: its whole units, and the rest handed down to the next smaller unit.
static bool to_int32(double value, int32_t *ret_value) {
    if (!(value >= -2147483648.0 && value < 2147483648.0)) return false;
    *ret_value = (int32_t)value;
    return true;
}

// `months`, `days` and `us` are the parts times the factor.
static tarn_status from_parts(double months, double days, double us, tarn_interval *ret_interval,
                              tarn_error *err) {
    tarn_interval result;
    if (!to_int32(months, &result.months) || !to_int32(days, &result.days)) return fail_range(err);
    double rest_days = round_to_us((months - result.months) * DAYS_PER_MONTH);
    double seconds =
        round_to_us((days - result.days + rest_days - (int)rest_days) * SECONDS_PER_DAY);
    if (fabs(seconds) >= SECONDS_PER_DAY) {
        int whole = (int)(seconds / SECONDS_PER_DAY);
        if (__builtin_add_overflow(result.days, whole, &result.days)) return fail_range(err);
        seconds -= whole * SECONDS_PER_DAY;
    }
    if (__builtin_add_overflow(result.days, (int32_t)rest_days, &result.days)) {
        return fail_range(err);
    }
    double total = rint(us + seconds * 1000000.0);
    if (!(total >= -9223372036854775808.0 && total < 9223372036854775808.0)) {
        return fail_range(err);
    }
    result.us = (int64_t)total;
    *ret_interval = result;
    return TARN_OK;
}

tarn_status expr_interval_multiply(tarn_interval interval, double factor,
                                   tarn_interval *ret_interval, tarn_error *err) {
    return from_parts(interval.months * factor, interval.days * factor,
                      (double)interval.us * factor, ret_interval, err);
}

tarn_status expr_interval_divide(tarn_interval interval, double divisor,
                                 tarn_interval *ret_interval, tarn_error *err) {
    if (divisor == 0) return expr_fail(err, "22012", "division by zero");
    return from_parts(interval.months / divisor, interval.days / divisor,
                      (double)interval.us / divisor, ret_interval, err);
}

tarn_status expr_interval_add(tarn_interval a, tarn_interval b, tarn_interval *ret_interval,
                              tarn_error *err) {
    tarn_interval sum;
    if (__builtin_add_overflow(a.months, b.months, &sum.months) ||
        __builtin_add_overflow(a.days, b.days, &sum.days) ||
        __builtin_add_overflow(a.us, b.us, &sum.us)) {
        return fail_range(err);
    }
    *ret_interval = sum;
    return TARN_OK;
}

tarn_status expr_interval_negate(tarn_interval interval, tarn_interval *ret_interval,
                                 tarn_error *err) {
    if (interval.months == INT32_MIN || interval.days == INT32_MIN || interval.us == INT64_MIN) {
        return fail_range(err);
    }
    *ret_interval = (tarn_interval){-interval.months, -interval.days, -interval.us};
    return TARN_OK;
}

// Days and microseconds get one sign.
static void align_hours(tarn_interval *interval) {
    if (interval->days > 0 && interval->us < 0) {
        interval->us += EXPR_DAY_US;
        interval->days--;
    } else if (interval->days < 0 && interval->us > 0) {
        interval->us -= EXPR_DAY_US;
        interval->days++;
    }
}

tarn_status expr_interval_justify_hours(tarn_interval interval, tarn_interval *ret_interval,
                                        tarn_error *err) {
    int64_t whole = interval.us / EXPR_DAY_US;
    interval.us -= whole * EXPR_DAY_US;
    if (__builtin_add_overflow(interval.days, whole, &interval.days)) return fail_range(err);
    align_hours(&interval);
    *ret_interval = interval;
    return TARN_OK;
}

tarn_status expr_interval_justify_days(tarn_interval interval, tarn_interval *ret_interval,
                                       tarn_error *err) {
    int32_t whole = interval.days / DAYS_PER_MONTH;
    interval.days -= whole * DAYS_PER_MONTH;
    if (__builtin_add_overflow(interval.months, whole, &interval.months)) return fail_range(err);
    if (interval.months > 0 && interval.days < 0) {
        interval.days += DAYS_PER_MONTH;
        interval.months--;
    } else if (interval.months < 0 && interval.days > 0) {
        interval.days -= DAYS_PER_MONTH;
        interval.months++;
    }
    *ret_interval = interval;
    return TARN_OK;
}

tarn_status expr_interval_justify(tarn_interval interval, tarn_interval *ret_interval,
                                  tarn_error *err) {
    int64_t whole_days = interval.us / EXPR_DAY_US;
    interval.us -= whole_days * EXPR_DAY_US;
    int64_t days = interval.days + whole_days;
    int64_t months = interval.months + days / DAYS_PER_MONTH;
    days -= days / DAYS_PER_MONTH * DAYS_PER_MONTH;
    if (months > 0 && (days < 0 || (days == 0 && interval.us < 0))) {
        days += DAYS_PER_MONTH;
        months--;
    } else if (months < 0 && (days > 0 || (days == 0 && interval.us > 0))) {
        days -= DAYS_PER_MONTH;
        months++;
    }
    interval.days = (int32_t)days;
    align_hours(&interval);
    interval.months = (int32_t)months;
    if (interval.months != months) return fail_range(err);
    *ret_interval = interval;
    return TARN_OK;
}

// ---- timestamps ----

int expr_days_of_month(int64_t year, int month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

static bool add_months(int64_t us, int32_t months, int64_t *ret_us) {
    int32_t day_number = (int32_t)expr_floor_divide(us, EXPR_DAY_US);
    int64_t time_us = us - day_number * EXPR_DAY_US;
    int64_t year;
    int month;
    int day;
    tarn_civil_from_days(day_number, &year, &month, &day);
    int64_t total = year * 12 + (month - 1) + months;
    year = expr_floor_divide(total, 12);
    month = (int)(total - year * 12) + 1;
    if (year < -4800 || year > 294300) return false;
    int last = expr_days_of_month(year, month);
    if (day > last) day = last;
    *ret_us = tarn_days_from_civil(year, month, day) * EXPR_DAY_US;
    return !__builtin_add_overflow(*ret_us, time_us, ret_us);
}

tarn_status expr_timestamp_add(int64_t us, tarn_interval interval, int64_t *ret_us,
                               tarn_error *err) {
    bool fits = interval.months == 0 || add_months(us, interval.months, &us);
    int64_t days_us = interval.days * EXPR_DAY_US;
    fits = fits && !__builtin_add_overflow(us, days_us, &us);
    fits = fits && !__builtin_add_overflow(us, interval.us, &us);
    if (!fits || !expr_timestamp_fits(us)) {
        return expr_fail(err, "22008", "timestamp out of range");
    }
    *ret_us = us;
    return TARN_OK;
}
