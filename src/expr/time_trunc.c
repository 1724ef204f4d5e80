// date_trunc and date_bin. Units of a fixed length are integer arithmetic on whole columns.

#include "expr/loops.h"
#include "expr/tables.h"
#include "expr/text.h"
#include "expr/time.h"
#include "expr/time_unit.h"
#include "expr/tree.h"
#include "expr/types.h"

// Fields that are no units (dow, epoch, ...) are not even recognized here.
static tarn_status fail_unit(const expr_frame *frame, tarn_slice name) {
    expr_time_unit unit = expr_time_unit_of(name);
    bool is_known =
        unit != EXPR_UNIT_UNKNOWN && (unit < EXPR_UNIT_EPOCH || unit == EXPR_UNIT_TIMEZONE);
    return expr_time_unit_fail(frame, name, is_known, frame->args[1].type);
}

static expr_time_unit unit_at(const expr_frame *frame, const expr_text_arg *names, size_t row) {
    if (frame->prepared != NULL) return *(const expr_time_unit *)frame->prepared;
    return expr_time_unit_of(expr_text_at(names, row));
}

// ---- timestamps ----

// Divisors are constants here, which turns each division into a multiplication.
#define DEFINE_FLOOR(name, unit, origin)                                      \
    static inline int64_t floor_to_##name(int64_t us) {                       \
        int64_t from_origin = (int64_t)((uint64_t)us + (uint64_t)(origin));   \
        int64_t rest = from_origin % (unit);                                  \
        rest += rest < 0 ? (unit) : 0;                                        \
        return (int64_t)((uint64_t)us - (uint64_t)rest);                      \
    }                                                                         \
    static void floor_all_to_##name(const int64_t *restrict in, size_t count, \
                                    int64_t *restrict out) {                  \
        for (size_t i = 0; i < count; i++) out[i] = floor_to_##name(in[i]);   \
    }
DEFINE_FLOOR(millisecond, 1000, 0)
DEFINE_FLOOR(second, EXPR_SECOND_US, 0)
DEFINE_FLOOR(minute, EXPR_MINUTE_US, 0)
DEFINE_FLOOR(hour, EXPR_HOUR_US, 0)
DEFINE_FLOOR(day, EXPR_DAY_US, 0)
DEFINE_FLOOR(week, EXPR_DAY_US * 7, EXPR_DAY_US * 3) // 1970-01-01 was a Thursday

static int64_t floor_divide(int64_t dividend, int64_t divisor) {
    return expr_floor_divide(dividend, divisor);
}

// The first year of the decade, century or millennium. There is no year 0: centuries and millennia
// begin with years 1, 101, ... and, before Christ, end with year 0 (1 BC).
static int64_t first_year(expr_time_unit unit, int64_t year) {
    switch (unit) {
    case EXPR_UNIT_DECADE: return floor_divide(year, 10) * 10;
    case EXPR_UNIT_CENTURY: return floor_divide(year - 1, 100) * 100 + 1;
    case EXPR_UNIT_MILLENNIUM: return floor_divide(year - 1, 1000) * 1000 + 1;
    default: return year;
    }
}

static int64_t floor_to_months(expr_time_unit unit, int64_t us) {
    int64_t year;
    int month;
    int day;
    tarn_civil_from_days((int32_t)expr_floor_divide(us, EXPR_DAY_US), &year, &month, &day);
    if (unit == EXPR_UNIT_QUARTER) {
        month = (month - 1) / 3 * 3 + 1;
    } else if (unit != EXPR_UNIT_MONTH) {
        month = 1;
        year = first_year(unit, year);
    }
    return tarn_days_from_civil(year, month, 1) * EXPR_DAY_US;
}

static bool truncate_timestamp(expr_time_unit unit, int64_t us, int64_t *ret_us) {
    switch (unit) {
    case EXPR_UNIT_MICROSECOND: *ret_us = us; return true;
    case EXPR_UNIT_MILLISECOND: *ret_us = floor_to_millisecond(us); return true;
    case EXPR_UNIT_SECOND: *ret_us = floor_to_second(us); return true;
    case EXPR_UNIT_MINUTE: *ret_us = floor_to_minute(us); return true;
    case EXPR_UNIT_HOUR: *ret_us = floor_to_hour(us); return true;
    case EXPR_UNIT_DAY: *ret_us = floor_to_day(us); return true;
    case EXPR_UNIT_WEEK: *ret_us = floor_to_week(us); return true;
    case EXPR_UNIT_MONTH:
    case EXPR_UNIT_QUARTER:
    case EXPR_UNIT_YEAR:
    case EXPR_UNIT_DECADE:
    case EXPR_UNIT_CENTURY:
    case EXPR_UNIT_MILLENNIUM: *ret_us = floor_to_months(unit, us); return true;
    case EXPR_UNIT_UNKNOWN:
    case EXPR_UNIT_EPOCH:
    case EXPR_UNIT_JULIAN:
    case EXPR_UNIT_ISOYEAR:
    case EXPR_UNIT_DOW:
    case EXPR_UNIT_ISODOW:
    case EXPR_UNIT_DOY:
    case EXPR_UNIT_TIMEZONE: break;
    }
    return false;
}

static bool is_calendar_unit(expr_time_unit unit) {
    return unit >= EXPR_UNIT_MONTH && unit <= EXPR_UNIT_MILLENNIUM;
}

// Neighbouring rows are often of one month: its bounds are looked at before the calendar.
static tarn_status trunc_calendar_rows(const expr_frame *frame, expr_time_unit unit) {
    const int64_t *in = frame->args[1].data;
    size_t stride = expr_stride(&frame->args[1]);
    int64_t *out = frame->result->data;
    int64_t month = 0; // rows in [month, end) have `start`
    int64_t end = 0;
    int64_t start = 0;
    EXPR_FOR_ROWS(frame, row) {
        int64_t us = in[row * stride];
        if (us < month || us >= end) {
            month = floor_to_months(EXPR_UNIT_MONTH, us);
            bool is_last = us > EXPR_TIMESTAMP_END - 40 * EXPR_DAY_US;
            end = is_last ? us + 1 : floor_to_months(EXPR_UNIT_MONTH, month + 32 * EXPR_DAY_US);
            start = floor_to_months(unit, us);
        }
        out[row] = start;
    }
    return TARN_OK;
}

static tarn_status trunc_rows(const expr_frame *frame) {
    expr_text_arg names = expr_text_of(&frame->args[0]);
    const int64_t *in = frame->args[1].data;
    size_t stride = expr_stride(&frame->args[1]);
    int64_t *out = frame->result->data;
    if (frame->prepared != NULL && is_calendar_unit(*(const expr_time_unit *)frame->prepared)) {
        return trunc_calendar_rows(frame, *(const expr_time_unit *)frame->prepared);
    }
    EXPR_FOR_ROWS(frame, row) {
        if (!truncate_timestamp(unit_at(frame, &names, row), in[row * stride], &out[row])) {
            return fail_unit(frame, expr_text_at(&names, row));
        }
    }
    return TARN_OK;
}

static bool trunc_rows_dense(const expr_frame *frame) {
    if (frame->prepared == NULL || expr_stride(&frame->args[1]) == 0) return false;
    const int64_t *in = frame->args[1].data;
    int64_t *out = frame->result->data;
    size_t count = frame->row_count;
    expr_time_unit unit = *(const expr_time_unit *)frame->prepared;
    switch (unit) {
    case EXPR_UNIT_MILLISECOND: floor_all_to_millisecond(in, count, out); return true;
    case EXPR_UNIT_SECOND: floor_all_to_second(in, count, out); return true;
    case EXPR_UNIT_MINUTE: floor_all_to_minute(in, count, out); return true;
    case EXPR_UNIT_HOUR: floor_all_to_hour(in, count, out); return true;
    case EXPR_UNIT_DAY: floor_all_to_day(in, count, out); return true;
    case EXPR_UNIT_WEEK: floor_all_to_week(in, count, out); return true;
    default: return false; // calendar arithmetic, row by row
    }
}

// ---- intervals ----

static bool truncate_interval(expr_time_unit unit, tarn_interval in, tarn_interval *out) {
    int32_t months = in.months;
    *out = (tarn_interval){.months = months};
    switch (unit) {
    case EXPR_UNIT_MILLENNIUM: out->months = months / 12000 * 12000; return true;
    case EXPR_UNIT_CENTURY: out->months = months / 1200 * 1200; return true;
    case EXPR_UNIT_DECADE: out->months = months / 120 * 120; return true;
    case EXPR_UNIT_YEAR: out->months = months / 12 * 12; return true;
    case EXPR_UNIT_QUARTER: out->months = months / 3 * 3; return true;
    case EXPR_UNIT_MONTH: return true;
    default: break;
    }
    out->days = in.days;
    switch (unit) {
    case EXPR_UNIT_DAY: return true;
    case EXPR_UNIT_HOUR: out->us = in.us / EXPR_HOUR_US * EXPR_HOUR_US; return true;
    case EXPR_UNIT_MINUTE: out->us = in.us / EXPR_MINUTE_US * EXPR_MINUTE_US; return true;
    case EXPR_UNIT_SECOND: out->us = in.us / EXPR_SECOND_US * EXPR_SECOND_US; return true;
    case EXPR_UNIT_MILLISECOND: out->us = in.us / 1000 * 1000; return true;
    case EXPR_UNIT_MICROSECOND: out->us = in.us; return true;
    default: return false;
    }
}

static tarn_status trunc_interval_rows(const expr_frame *frame) {
    expr_text_arg names = expr_text_of(&frame->args[0]);
    const tarn_interval *in = frame->args[1].data;
    size_t stride = expr_stride(&frame->args[1]);
    tarn_interval *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        if (!truncate_interval(unit_at(frame, &names, row), in[row * stride], &out[row])) {
            return fail_unit(frame, expr_text_at(&names, row));
        }
    }
    return TARN_OK;
}

// ---- bins ----

static tarn_status bin(const expr_frame *frame, tarn_interval stride, int64_t us, int64_t origin,
                       int64_t *ret_us) {
    if (stride.months != 0) {
        return expr_fail(frame->err, "0A000",
                         "timestamps cannot be binned into intervals containing months or years");
    }
    int64_t width;
    int64_t distance;
    if (__builtin_add_overflow(stride.days * EXPR_DAY_US, stride.us, &width)) {
        return expr_fail(frame->err, "22008", "interval out of range");
    }
    if (width <= 0) return expr_fail(frame->err, "22008", "stride must be greater than zero");
    if (__builtin_sub_overflow(us, origin, &distance)) {
        return expr_fail(frame->err, "22008", "interval out of range");
    }
    int64_t rest = distance % width;
    if (rest < 0) rest += width;
    if (__builtin_sub_overflow(us, rest, ret_us) || !expr_timestamp_fits(*ret_us)) {
        return expr_fail(frame->err, "22008", "timestamp out of range");
    }
    return TARN_OK;
}

static tarn_status bin_rows(const expr_frame *frame) {
    const tarn_interval *strides = frame->args[0].data;
    const int64_t *in = frame->args[1].data;
    const int64_t *origins = frame->args[2].data;
    size_t steps[3];
    for (size_t i = 0; i < 3; i++) steps[i] = expr_stride(&frame->args[i]);
    int64_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        TARN_TRY(bin(frame, strides[row * steps[0]], in[row * steps[1]], origins[row * steps[2]],
                     &out[row]));
    }
    return TARN_OK;
}

// ---- the table ----

#define TRUNC(type)                                                                                \
    EXPR_FUNCTION("date_trunc", "text, " type, type, "cut to a unit", EXPR_WITH_DENSE(trunc_rows), \
                  .prepare = expr_time_unit_prepare)
#define BIN(type)                                                \
    EXPR_FUNCTION("date_bin", "interval, " type ", " type, type, \
                  "start of its bin, of equal ones from an origin on", .kernel = bin_rows)

static const tarn_function functions[] = {
    TRUNC("timestamp"),
    TRUNC("timestamptz"),
    EXPR_FUNCTION("date_trunc", "text, interval", "interval", "cut to a unit",
                  .kernel = trunc_interval_rows, .prepare = expr_time_unit_prepare),
    BIN("timestamp"),
    BIN("timestamptz"),
};
const expr_function_table expr_time_trunc_functions = {functions,
                                                       sizeof functions / sizeof functions[0]};
