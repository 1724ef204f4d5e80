// Arithmetic of dates, times, timestamps and intervals. The zone is UTC.

#include "expr/time.h"

#include <math.h>

#include "expr/interval.h"
#include "expr/loops.h"
#include "expr/tables.h"
#include "expr/text.h"

// ---- days ----

static inline unsigned check_day(int64_t day, int32_t *out) {
    *out = (int32_t)day;
    return day < EXPR_DATE_MIN || day >= EXPR_DATE_END;
}
static inline unsigned date_plus(int32_t date, int32_t days, int32_t *out) {
    return check_day((int64_t)date + days, out);
}
static inline unsigned plus_date(int32_t days, int32_t date, int32_t *out) {
    return check_day((int64_t)date + days, out);
}
static inline unsigned date_minus(int32_t date, int32_t days, int32_t *out) {
    return check_day((int64_t)date - days, out);
}
static inline int32_t days_between(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a - (uint32_t)b);
}
EXPR_CHECKED_BINARY(date_plus_rows, int32_t, int32_t, int32_t, date_plus)
EXPR_CHECKED_BINARY(plus_date_rows, int32_t, int32_t, int32_t, plus_date)
EXPR_CHECKED_BINARY(date_minus_rows, int32_t, int32_t, int32_t, date_minus)
EXPR_BINARY(days_between_rows, int32_t, int32_t, int32_t, days_between)

static tarn_status add_date_and_time(const expr_frame *frame, size_t date_arg) {
    const int32_t *dates = frame->args[date_arg].data;
    const int64_t *times = frame->args[1 - date_arg].data;
    size_t date_stride = expr_stride(&frame->args[date_arg]);
    size_t time_stride = expr_stride(&frame->args[1 - date_arg]);
    int64_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        tarn_interval days = {.days = dates[row * date_stride], .us = times[row * time_stride]};
        TARN_TRY(expr_timestamp_add(0, days, &out[row], frame->err));
    }
    return TARN_OK;
}

static tarn_status date_and_time(const expr_frame *frame) {
    return add_date_and_time(frame, 0);
}
static tarn_status time_and_date(const expr_frame *frame) {
    return add_date_and_time(frame, 1);
}

// ---- timestamp and interval ----

// The moment at `row` in microseconds, of a date or timestamp.
static inline int64_t moment_at(const tarn_vector *vector, size_t row) {
    size_t at = row * expr_stride(vector);
    if (vector->type.id == TARN_TYPE_DATE) return ((const int32_t *)vector->data)[at] * EXPR_DAY_US;
    return ((const int64_t *)vector->data)[at];
}

static tarn_status move_rows(const expr_frame *frame, size_t moment_arg, bool backward) {
    const tarn_vector *moments = &frame->args[moment_arg];
    const tarn_interval *intervals = frame->args[1 - moment_arg].data;
    size_t stride = expr_stride(&frame->args[1 - moment_arg]);
    int64_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        tarn_interval interval = intervals[row * stride];
        if (backward) TARN_TRY(expr_interval_negate(interval, &interval, frame->err));
        TARN_TRY(expr_timestamp_add(moment_at(moments, row), interval, &out[row], frame->err));
    }
    return TARN_OK;
}

static inline unsigned shift_us(int64_t us, int64_t by, int64_t *out) {
    uint64_t sum = (uint64_t)us + (uint64_t)by;
    *out = (int64_t)sum;
    unsigned wrapped = (unsigned)((((uint64_t)us ^ sum) & ((uint64_t)by ^ sum)) >> 63);
    return wrapped | (unsigned)!expr_timestamp_fits(*out);
}
EXPR_CHECKED_BINARY_DENSE(shift_us, int64_t, int64_t, int64_t, shift_us)

// By a constant without months, all rows move by the same number of microseconds.
static bool move_dense(const expr_frame *frame, size_t moment_arg, bool backward) {
    const tarn_vector *interval_arg = &frame->args[1 - moment_arg];
    if (expr_stride(interval_arg) != 0 || frame->args[moment_arg].type.id == TARN_TYPE_DATE) {
        return false;
    }
    const tarn_interval *interval = interval_arg->data;
    int64_t by;
    if (interval->months != 0) return false;
    if (__builtin_add_overflow(interval->days * EXPR_DAY_US, interval->us, &by)) return false;
    if (backward && by == INT64_MIN) return false;
    if (backward) by = -by;
    tarn_vector args[2] = {frame->args[moment_arg], {.kind = TARN_VECTOR_CONSTANT, .data = &by}};
    expr_frame shifted = *frame;
    shifted.args = args;
    return shift_us_dense(&shifted);
}

static tarn_status plus_interval(const expr_frame *frame) {
    return move_rows(frame, 0, false);
}
static bool plus_interval_dense(const expr_frame *frame) {
    return move_dense(frame, 0, false);
}
static tarn_status interval_plus(const expr_frame *frame) {
    return move_rows(frame, 1, false);
}
static bool interval_plus_dense(const expr_frame *frame) {
    return move_dense(frame, 1, false);
}
static tarn_status minus_interval(const expr_frame *frame) {
    return move_rows(frame, 0, true);
}
static bool minus_interval_dense(const expr_frame *frame) {
    return move_dense(frame, 0, true);
}

static tarn_status time_between(const expr_frame *frame) {
    tarn_interval *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        tarn_interval between = {0};
        if (__builtin_sub_overflow(moment_at(&frame->args[0], row), moment_at(&frame->args[1], row),
                                   &between.us)) {
            return expr_fail(frame->err, "22008", "interval out of range");
        }
        TARN_TRY(expr_interval_justify_hours(between, &out[row], frame->err));
    }
    return TARN_OK;
}

// ---- times of day ----

static tarn_status move_time(const expr_frame *frame, size_t time_arg, int64_t sign) {
    const int64_t *times = frame->args[time_arg].data;
    const tarn_interval *intervals = frame->args[1 - time_arg].data;
    size_t time_stride = expr_stride(&frame->args[time_arg]);
    size_t interval_stride = expr_stride(&frame->args[1 - time_arg]);
    int64_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        int64_t by = intervals[row * interval_stride].us % EXPR_DAY_US;
        int64_t us = times[row * time_stride] + by * sign;
        out[row] = us - expr_floor_divide(us, EXPR_DAY_US) * EXPR_DAY_US;
    }
    return TARN_OK;
}

static tarn_status time_plus(const expr_frame *frame) {
    return move_time(frame, 0, 1);
}
static tarn_status plus_time(const expr_frame *frame) {
    return move_time(frame, 1, 1);
}
static tarn_status time_minus(const expr_frame *frame) {
    return move_time(frame, 0, -1);
}

static inline tarn_interval times_between(int64_t a, int64_t b) {
    return (tarn_interval){.us = (int64_t)((uint64_t)a - (uint64_t)b)};
}
EXPR_BINARY(times_between_rows, int64_t, int64_t, tarn_interval, times_between)

// ---- intervals ----

typedef tarn_status interval_operation(tarn_interval interval, tarn_interval *ret_interval,
                                       tarn_error *err);

static tarn_status each_interval(const expr_frame *frame, interval_operation *operation) {
    const tarn_interval *in = frame->args[0].data;
    size_t stride = expr_stride(&frame->args[0]);
    tarn_interval *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) TARN_TRY(operation(in[row * stride], &out[row], frame->err));
    return TARN_OK;
}

static tarn_status negate_rows(const expr_frame *frame) {
    return each_interval(frame, expr_interval_negate);
}
static tarn_status justify_hours_rows(const expr_frame *frame) {
    return each_interval(frame, expr_interval_justify_hours);
}
static tarn_status justify_days_rows(const expr_frame *frame) {
    return each_interval(frame, expr_interval_justify_days);
}
static tarn_status justify_rows(const expr_frame *frame) {
    return each_interval(frame, expr_interval_justify);
}

static tarn_status add_intervals(const expr_frame *frame, bool subtract) {
    const tarn_interval *left = frame->args[0].data;
    const tarn_interval *right = frame->args[1].data;
    size_t left_stride = expr_stride(&frame->args[0]);
    size_t right_stride = expr_stride(&frame->args[1]);
    tarn_interval *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        tarn_interval second = right[row * right_stride];
        if (subtract) TARN_TRY(expr_interval_negate(second, &second, frame->err));
        TARN_TRY(expr_interval_add(left[row * left_stride], second, &out[row], frame->err));
    }
    return TARN_OK;
}

static tarn_status add_rows(const expr_frame *frame) {
    return add_intervals(frame, false);
}
static tarn_status subtract_rows(const expr_frame *frame) {
    return add_intervals(frame, true);
}

typedef tarn_status scale_operation(tarn_interval interval, double factor,
                                    tarn_interval *ret_interval, tarn_error *err);

static tarn_status scale_rows(const expr_frame *frame, size_t interval_arg,
                              scale_operation *operation) {
    const tarn_interval *intervals = frame->args[interval_arg].data;
    const double *factors = frame->args[1 - interval_arg].data;
    size_t interval_stride = expr_stride(&frame->args[interval_arg]);
    size_t factor_stride = expr_stride(&frame->args[1 - interval_arg]);
    tarn_interval *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        TARN_TRY(operation(intervals[row * interval_stride], factors[row * factor_stride],
                           &out[row], frame->err));
    }
    return TARN_OK;
}

// A constant interval of microseconds only: the product is one multiplication.
static bool scale_dense(const expr_frame *frame, size_t interval_arg) {
    const tarn_interval *interval = frame->args[interval_arg].data;
    if (expr_stride(&frame->args[interval_arg]) != 0 || interval->months != 0 ||
        interval->days != 0) {
        return false;
    }
    const double *restrict factors = frame->args[1 - interval_arg].data;
    tarn_interval *restrict out = frame->result->data;
    double us = (double)interval->us;
    bool fits = true;
    for (size_t i = 0; i < frame->row_count; i++) {
        double product = rint(us * factors[i]);
        bool is_small = fabs(product) < 9223372036854774784.0;
        fits &= is_small;
        out[i] = (tarn_interval){.us = is_small ? (int64_t)product : 0};
    }
    return fits;
}

static tarn_status interval_times(const expr_frame *frame) {
    return scale_rows(frame, 0, expr_interval_multiply);
}
static bool interval_times_dense(const expr_frame *frame) {
    return scale_dense(frame, 0);
}
static tarn_status times_interval(const expr_frame *frame) {
    return scale_rows(frame, 1, expr_interval_multiply);
}
static bool times_interval_dense(const expr_frame *frame) {
    return scale_dense(frame, 1);
}
static tarn_status interval_over(const expr_frame *frame) {
    return scale_rows(frame, 0, expr_interval_divide);
}

// ---- age ----

typedef struct civil_time {
    int64_t year;
    int month;
    int day;
    int64_t us;
} civil_time;

static civil_time civil_of(int64_t us) {
    civil_time civil;
    int32_t day = (int32_t)expr_floor_divide(us, EXPR_DAY_US);
    tarn_civil_from_days(day, &civil.year, &civil.month, &civil.day);
    civil.us = us - day * EXPR_DAY_US;
    return civil;
}

static tarn_interval age_between(int64_t later_us, int64_t earlier_us) {
    bool is_negative = later_us < earlier_us;
    civil_time later = civil_of(is_negative ? earlier_us : later_us);
    civil_time earlier = civil_of(is_negative ? later_us : earlier_us);
    int64_t us = later.us - earlier.us;
    int days = later.day - earlier.day;
    int64_t months = (later.year - earlier.year) * 12 + later.month - earlier.month;
    if (us < 0) {
        us += EXPR_DAY_US;
        days--;
    }
    if (days < 0) { // borrow the days of the earlier moment's month
        days += expr_days_of_month(earlier.year, earlier.month);
        months--;
    }
    tarn_interval age = {.months = (int32_t)months, .days = days, .us = us};
    return is_negative ? (tarn_interval){-age.months, -age.days, -age.us} : age;
}

static tarn_status age_rows(const expr_frame *frame) {
    tarn_interval *out = frame->result->data;
    int64_t today = expr_floor_divide(frame->now_us, EXPR_DAY_US) * EXPR_DAY_US;
    EXPR_FOR_ROWS(frame, row) {
        int64_t first = moment_at(&frame->args[0], row);
        out[row] = frame->arg_count == 1 ? age_between(today, first)
                                         : age_between(first, moment_at(&frame->args[1], row));
    }
    return TARN_OK;
}

// ---- now ----

static tarn_status now_rows(const expr_frame *frame) {
    EXPR_FOR_ROWS(frame, row)((int64_t *)frame->result->data)[row] = frame->now_us;
    return TARN_OK;
}

static tarn_status today_rows(const expr_frame *frame) {
    int32_t today = (int32_t)expr_floor_divide(frame->now_us, EXPR_DAY_US);
    EXPR_FOR_ROWS(frame, row)((int32_t *)frame->result->data)[row] = today;
    return TARN_OK;
}

static tarn_status time_of_day_rows(const expr_frame *frame) {
    int64_t days = expr_floor_divide(frame->now_us, EXPR_DAY_US);
    int64_t us = frame->now_us - days * EXPR_DAY_US;
    EXPR_FOR_ROWS(frame, row)((int64_t *)frame->result->data)[row] = us;
    return TARN_OK;
}

// ---- zones ----

static bool is_utc(tarn_slice zone) {
    static const char *const names[] = {"utc", "gmt", "z", "zulu", "uct", "etc/utc", "etc/gmt"};
    uint8_t lower[16];
    if (zone.len > 8) return false;
    tarn_slice text = {lower, expr_lower(zone, lower)};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (tarn_slice_equal(text, tarn_slice_from_cstr(names[i]))) return true;
    }
    return false;
}

static tarn_status timezone_rows(const expr_frame *frame) {
    expr_text_arg zones = expr_text_of(&frame->args[0]);
    int64_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice zone = expr_text_at(&zones, row);
        if (!is_utc(zone)) {
            (void)tarn_fail(frame->err, TARN_UNSUPPORTED,
                            "time zone \"" TARN_SLICE_FMT "\" is not supported, only UTC is",
                            TARN_SLICE_ARG(zone));
            tarn_error_locate(frame->err, "0A000", 0);
            return TARN_UNSUPPORTED;
        }
        out[row] = moment_at(&frame->args[1], row);
    }
    return TARN_OK;
}

// ---- the table ----

#define FUNCTION(name, arguments, result, text, ...) \
    EXPR_FUNCTION(name, arguments, result, text, __VA_ARGS__)
#define MOMENT(type, result)                                               \
    FUNCTION("+", type ", interval", result, "later by an interval",       \
             EXPR_WITH_DENSE(plus_interval)),                              \
        FUNCTION("+", "interval, " type, result, "later by an interval",   \
                 EXPR_WITH_DENSE(interval_plus)),                          \
        FUNCTION("-", type ", interval", result, "earlier by an interval", \
                 EXPR_WITH_DENSE(minus_interval))
#define STAMP(type)                                                                           \
    MOMENT(type, type),                                                                       \
        FUNCTION("-", type ", " type, "interval", "time between", .kernel = time_between),    \
        FUNCTION("age", type ", " type, "interval", "time between in years, months and days", \
                 .kernel = age_rows),                                                         \
        FUNCTION("age", type, "interval", "time until today in years, months and days",       \
                 .kernel = age_rows, .flags = EXPR_VOLATILE)
#define NOW(name, type, kernel_name)                                                       \
    FUNCTION(name, "", type, "when the statement or epoch began", .kernel = (kernel_name), \
             .flags = EXPR_VOLATILE)

static const tarn_function functions[] = {
    FUNCTION("+", "date, integer", "date", "days later", EXPR_WITH_DENSE(date_plus_rows)),
    FUNCTION("+", "integer, date", "date", "days later", EXPR_WITH_DENSE(plus_date_rows)),
    FUNCTION("-", "date, integer", "date", "days earlier", EXPR_WITH_DENSE(date_minus_rows)),
    FUNCTION("-", "date, date", "integer", "days between", EXPR_WITH_DENSE(days_between_rows)),
    FUNCTION("+", "date, time", "timestamp", "that time of that day", .kernel = date_and_time),
    FUNCTION("+", "time, date", "timestamp", "that time of that day", .kernel = time_and_date),
    MOMENT("date", "timestamp"),
    STAMP("timestamp"),
    STAMP("timestamptz"),
    FUNCTION("+", "time, interval", "time", "later, around midnight", .kernel = time_plus),
    FUNCTION("+", "interval, time", "time", "later, around midnight", .kernel = plus_time),
    FUNCTION("-", "time, interval", "time", "earlier, around midnight", .kernel = time_minus),
    FUNCTION("-", "time, time", "interval", "time between", EXPR_WITH_DENSE(times_between_rows)),
    FUNCTION("+", "interval, interval", "interval", "sum", .kernel = add_rows),
    FUNCTION("-", "interval, interval", "interval", "difference", .kernel = subtract_rows),
    FUNCTION("-", "interval", "interval", "negation", .kernel = negate_rows),
    FUNCTION("*", "interval, double precision", "interval", "multiple",
             EXPR_WITH_DENSE(interval_times)),
    FUNCTION("*", "double precision, interval", "interval", "multiple",
             EXPR_WITH_DENSE(times_interval)),
    FUNCTION("/", "interval, double precision", "interval", "fraction", .kernel = interval_over),
    FUNCTION("justify_days", "interval", "interval", "each 30 days as a month",
             .kernel = justify_days_rows),
    FUNCTION("justify_hours", "interval", "interval", "each 24 hours as a day",
             .kernel = justify_hours_rows),
    FUNCTION("justify_interval", "interval", "interval",
             "hours as days, days as months, with one sign", .kernel = justify_rows),
    NOW("now", "timestamptz", now_rows),
    NOW("current_timestamp", "timestamptz", now_rows),
    NOW("transaction_timestamp", "timestamptz", now_rows),
    NOW("statement_timestamp", "timestamptz", now_rows),
    NOW("localtimestamp", "timestamp", now_rows),
    NOW("current_date", "date", today_rows),
    NOW("localtime", "time", time_of_day_rows),
    FUNCTION("timezone", "text, timestamp", "timestamptz",
             "the instant of a timestamp in a zone (UTC only)", .kernel = timezone_rows),
    FUNCTION("timezone", "text, timestamptz", "timestamp",
             "the timestamp of an instant in a zone (UTC only)", .kernel = timezone_rows),
};
const expr_function_table expr_time_functions = {functions, sizeof functions / sizeof functions[0]};
