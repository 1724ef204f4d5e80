// extract and date_part: fields of dates, times, timestamps and intervals. A field is an integer
// and a scale; extract gives it as a numeric, date_part as a double.

#include "expr/decimal.h"
#include "expr/loops.h"
#include "expr/tables.h"
#include "expr/text.h"
#include "expr/time.h"
#include "expr/time_unit.h"
#include "expr/tree.h"
#include "expr/types.h"

#define SECOND_SCALE 6
#define JULIAN_SCALE 20 // digits PostgreSQL shows of a fraction of a day

// value / 10^scale
typedef struct field {
    tarn_int128 value;
    int scale;
} field;

static field whole(int64_t value) {
    return (field){value, 0};
}

static field of_day_us(expr_time_unit unit, int64_t us) {
    switch (unit) {
    case EXPR_UNIT_MICROSECOND: return whole(us % EXPR_MINUTE_US);
    case EXPR_UNIT_MILLISECOND: return (field){us % EXPR_MINUTE_US, 3};
    case EXPR_UNIT_SECOND: return (field){us % EXPR_MINUTE_US, SECOND_SCALE};
    case EXPR_UNIT_MINUTE: return whole(us / EXPR_MINUTE_US % 60);
    default: return whole(us / EXPR_HOUR_US);
    }
}

static int64_t iso_year_start(int64_t year) {
    int64_t fourth = tarn_days_from_civil(year, 1, 4); // always in week 1
    return fourth - (fourth + 3 - expr_floor_divide(fourth + 3, 7) * 7);
}

static int64_t iso_year(int32_t day, int64_t year) {
    if (day < iso_year_start(year)) return year - 1;
    return day >= iso_year_start(year + 1) ? year + 1 : year;
}

// Years before Christ have no year 0 in between.
static int64_t shown_year(int64_t year) {
    return year > 0 ? year : year - 1;
}

static int64_t shown_age(int64_t year, int64_t length) {
    return year > 0 ? (year + length - 1) / length : -((length - 1 - (year - 1)) / length);
}

static bool field_of_day(expr_time_unit unit, int32_t day, int64_t *ret_value) {
    int64_t year;
    int month;
    int month_day;
    tarn_civil_from_days(day, &year, &month, &month_day);
    int64_t weekday = (int64_t)day + 3 - expr_floor_divide((int64_t)day + 3, 7) * 7; // 0: Monday
    switch (unit) {
    case EXPR_UNIT_DAY: *ret_value = month_day; return true;
    case EXPR_UNIT_WEEK:
        *ret_value = (day - iso_year_start(iso_year(day, year))) / 7 + 1;
        return true;
    case EXPR_UNIT_MONTH: *ret_value = month; return true;
    case EXPR_UNIT_QUARTER: *ret_value = (month - 1) / 3 + 1; return true;
    case EXPR_UNIT_YEAR: *ret_value = shown_year(year); return true;
    case EXPR_UNIT_DECADE: *ret_value = expr_floor_divide(year, 10); return true;
    case EXPR_UNIT_CENTURY: *ret_value = shown_age(year, 100); return true;
    case EXPR_UNIT_MILLENNIUM: *ret_value = shown_age(year, 1000); return true;
    case EXPR_UNIT_JULIAN: *ret_value = day - EXPR_DATE_MIN; return true;
    case EXPR_UNIT_ISOYEAR: *ret_value = shown_year(iso_year(day, year)); return true;
    case EXPR_UNIT_DOW: *ret_value = (weekday + 1) % 7; return true;
    case EXPR_UNIT_ISODOW: *ret_value = weekday + 1; return true;
    case EXPR_UNIT_DOY: *ret_value = day - tarn_days_from_civil(year, 1, 1) + 1; return true;
    case EXPR_UNIT_UNKNOWN:
    case EXPR_UNIT_MICROSECOND:
    case EXPR_UNIT_MILLISECOND:
    case EXPR_UNIT_SECOND:
    case EXPR_UNIT_MINUTE:
    case EXPR_UNIT_HOUR:
    case EXPR_UNIT_EPOCH:
    case EXPR_UNIT_TIMEZONE: break;
    }
    return false;
}

static bool field_of_timestamp(expr_time_unit unit, int64_t us, bool has_zone, field *ret_field) {
    int32_t day = (int32_t)expr_floor_divide(us, EXPR_DAY_US);
    int64_t day_us = us - day * EXPR_DAY_US;
    switch (unit) {
    case EXPR_UNIT_MICROSECOND:
    case EXPR_UNIT_MILLISECOND:
    case EXPR_UNIT_SECOND:
    case EXPR_UNIT_MINUTE:
    case EXPR_UNIT_HOUR: *ret_field = of_day_us(unit, day_us); return true;
    case EXPR_UNIT_EPOCH: *ret_field = (field){us, SECOND_SCALE}; return true;
    case EXPR_UNIT_TIMEZONE: *ret_field = whole(0); return has_zone;
    case EXPR_UNIT_JULIAN: {
        tarn_int128 fraction = 0;
        bool fits = expr_decimal_divide(day_us, EXPR_DAY_US, JULIAN_SCALE, &fraction);
        tarn_assert(fits);
        tarn_int128 days = day - (tarn_int128)EXPR_DATE_MIN;
        *ret_field = (field){days * tarn_power_of_ten(JULIAN_SCALE) + fraction, JULIAN_SCALE};
        return true;
    }
    default: break;
    }
    int64_t value;
    if (!field_of_day(unit, day, &value)) return false;
    *ret_field = whole(value);
    return true;
}

static bool field_of_date(expr_time_unit unit, int32_t day, field *ret_field) {
    int64_t value = day * EXPR_DAY_US / EXPR_SECOND_US;
    if (unit != EXPR_UNIT_EPOCH && !field_of_day(unit, day, &value)) return false;
    *ret_field = whole(value);
    return true;
}

static bool field_of_time(expr_time_unit unit, int64_t us, field *ret_field) {
    if (unit == EXPR_UNIT_EPOCH) {
        *ret_field = (field){us, SECOND_SCALE};
        return true;
    }
    if (unit < EXPR_UNIT_MICROSECOND || unit > EXPR_UNIT_HOUR) return false;
    *ret_field = of_day_us(unit, us);
    return true;
}

static bool field_of_interval(expr_time_unit unit, tarn_interval in, field *ret_field) {
    int32_t years = in.months / 12;
    int32_t months = in.months % 12;
    switch (unit) {
    case EXPR_UNIT_MICROSECOND:
    case EXPR_UNIT_MILLISECOND:
    case EXPR_UNIT_SECOND:
    case EXPR_UNIT_MINUTE:
    case EXPR_UNIT_HOUR: *ret_field = of_day_us(unit, in.us); return true;
    case EXPR_UNIT_DAY: *ret_field = whole(in.days); return true;
    case EXPR_UNIT_MONTH: *ret_field = whole(months); return true;
    case EXPR_UNIT_QUARTER: *ret_field = whole(months / 3 + 1); return true;
    case EXPR_UNIT_YEAR: *ret_field = whole(years); return true;
    case EXPR_UNIT_DECADE: *ret_field = whole(years / 10); return true;
    case EXPR_UNIT_CENTURY: *ret_field = whole(years / 100); return true;
    case EXPR_UNIT_MILLENNIUM: *ret_field = whole(years / 1000); return true;
    case EXPR_UNIT_EPOCH: {
        // Years of 365.25 days, months of 30: in quarters of a day, all are integers.
        int64_t quarters = (int64_t)years * 1461 + (int64_t)months * 120 + (int64_t)in.days * 4;
        tarn_int128 us = (tarn_int128)quarters * (EXPR_DAY_US / 4) + in.us;
        *ret_field = (field){us, SECOND_SCALE};
        return true;
    }
    default: return false;
    }
}

// date_part of a date is that of its midnight, so it has hours; extract refuses them.
static bool field_at(const expr_frame *frame, expr_time_unit unit, size_t row, bool as_numeric,
                     field *ret_field) {
    const tarn_vector *arg = &frame->args[1];
    size_t at = row * expr_stride(arg);
    switch ((tarn_type_id)arg->type.id) {
    case TARN_TYPE_DATE: {
        int32_t day = ((const int32_t *)arg->data)[at];
        return as_numeric ? field_of_date(unit, day, ret_field)
                          : field_of_timestamp(unit, day * EXPR_DAY_US, false, ret_field);
    }
    case TARN_TYPE_TIME: return field_of_time(unit, ((const int64_t *)arg->data)[at], ret_field);
    case TARN_TYPE_TIMESTAMP:
        return field_of_timestamp(unit, ((const int64_t *)arg->data)[at], false, ret_field);
    case TARN_TYPE_TIMESTAMPTZ:
        return field_of_timestamp(unit, ((const int64_t *)arg->data)[at], true, ret_field);
    case TARN_TYPE_INTERVAL:
        return field_of_interval(unit, ((const tarn_interval *)arg->data)[at], ret_field);
    default: break;
    }
    tarn_assert(false);
    return false;
}

// ---- kernels ----

// PostgreSQL adds seconds and their fraction as doubles, which shows in the last digits.
static double double_of(expr_time_unit unit, field part) {
    int64_t whole_seconds = (int64_t)(part.value / EXPR_SECOND_US);
    double fraction = (double)(int64_t)(part.value % EXPR_SECOND_US);
    if (unit == EXPR_UNIT_SECOND) return (double)whole_seconds + fraction / 1000000.0;
    if (unit == EXPR_UNIT_MILLISECOND) return (double)whole_seconds * 1000.0 + fraction / 1000.0;
    return expr_decimal_to_double(part.value, part.scale);
}

static tarn_status field_rows(const expr_frame *frame, bool as_numeric) {
    expr_text_arg names = expr_text_of(&frame->args[0]);
    tarn_type type = frame->result->type;
    EXPR_FOR_ROWS(frame, row) {
        expr_time_unit unit = frame->prepared != NULL
                                  ? *(const expr_time_unit *)frame->prepared
                                  : expr_time_unit_of(expr_text_at(&names, row));
        field part;
        if (!field_at(frame, unit, row, as_numeric, &part)) {
            return expr_time_unit_fail(frame, expr_text_at(&names, row), unit != EXPR_UNIT_UNKNOWN,
                                       frame->args[1].type);
        }
        if (!as_numeric) {
            ((double *)frame->result->data)[row] = double_of(unit, part);
            continue;
        }
        tarn_int128 value;
        if (!expr_decimal_rescale(part.value, part.scale, type.scale, &value) ||
            !expr_decimal_fits(value, type.precision)) {
            return expr_fail(frame->err, "22003", "numeric field overflow");
        }
        expr_numeric_put(frame->result, row, value);
    }
    return TARN_OK;
}

static tarn_status extract_rows(const expr_frame *frame) {
    return field_rows(frame, true);
}
// Fields of the time of day and of the week, which need no calendar.
#define DEFINE_EXTRACT(name, compute)                                                   \
    static void name(const int64_t *restrict in, size_t count, int64_t *restrict out) { \
        for (size_t i = 0; i < count; i++) {                                            \
            int64_t us = in[i] % EXPR_DAY_US;                                           \
            us += us < 0 ? EXPR_DAY_US : 0;                                             \
            out[i] = compute;                                                           \
        }                                                                               \
    }
DEFINE_EXTRACT(all_hours, us / EXPR_HOUR_US)
DEFINE_EXTRACT(all_minutes, us / EXPR_MINUTE_US % 60)
DEFINE_EXTRACT(all_seconds, us % EXPR_MINUTE_US)

static void all_weekdays(const int64_t *restrict in, size_t count, int64_t first,
                         int64_t *restrict out) {
    for (size_t i = 0; i < count; i++) {
        int64_t day = expr_floor_divide(in[i], EXPR_DAY_US) + 4 - first; // 1970-01-01: Thursday
        int64_t weekday = day % 7;
        out[i] = weekday + (weekday < 0 ? 7 : 0) + first;
    }
}

static bool extract_rows_dense(const expr_frame *frame) {
    const tarn_vector *arg = &frame->args[1];
    bool is_timestamp =
        arg->type.id == TARN_TYPE_TIMESTAMP || arg->type.id == TARN_TYPE_TIMESTAMPTZ;
    bool is_narrow = tarn_type_physical(frame->result->type) == TARN_PHYSICAL_I64;
    if (frame->prepared == NULL || !is_timestamp || !is_narrow || expr_stride(arg) == 0) {
        return false;
    }
    const int64_t *in = arg->data;
    int64_t *out = frame->result->data;
    switch (*(const expr_time_unit *)frame->prepared) {
    case EXPR_UNIT_HOUR: all_hours(in, frame->row_count, out); return true;
    case EXPR_UNIT_MINUTE: all_minutes(in, frame->row_count, out); return true;
    case EXPR_UNIT_SECOND: all_seconds(in, frame->row_count, out); return true;
    case EXPR_UNIT_DOW: all_weekdays(in, frame->row_count, 0, out); return true;
    case EXPR_UNIT_ISODOW: all_weekdays(in, frame->row_count, 1, out); return true;
    default: return false;
    }
}

static tarn_status date_part_rows(const expr_frame *frame) {
    return field_rows(frame, false);
}

// The scale depends on the field, which is nearly always a literal.
static tarn_type extract_type(const tarn_expr *const *args, size_t arg_count) {
    (void)arg_count;
    if (!expr_is_literal(args[0]) || args[0]->literal.is_null) {
        return tarn_type_numeric(EXPR_NUMERIC_PRECISION_MAX, SECOND_SCALE);
    }
    bool is_date = args[1]->type.id == TARN_TYPE_DATE;
    switch (expr_time_unit_of(args[0]->literal.bytes)) {
    case EXPR_UNIT_SECOND:
    case EXPR_UNIT_EPOCH: return tarn_type_numeric(18, is_date ? 0 : SECOND_SCALE);
    case EXPR_UNIT_MILLISECOND: return tarn_type_numeric(18, 3);
    case EXPR_UNIT_JULIAN:
        return tarn_type_numeric(EXPR_NUMERIC_PRECISION_MAX, is_date ? 0 : JULIAN_SCALE);
    default: return tarn_type_numeric(18, 0);
    }
}

// ---- the table ----

#define PARTS(type)                                                                              \
    EXPR_FUNCTION("extract", "text, " type, "numeric", "a field", EXPR_WITH_DENSE(extract_rows), \
                  .typer = extract_type, .prepare = expr_time_unit_prepare),                     \
        EXPR_FUNCTION("date_part", "text, " type, "double precision", "a field",                 \
                      .kernel = date_part_rows, .prepare = expr_time_unit_prepare)

static const tarn_function functions[] = {
    PARTS("date"), PARTS("time"), PARTS("timestamp"), PARTS("timestamptz"), PARTS("interval"),
};
const expr_function_table expr_time_parts_functions = {functions,
                                                       sizeof functions / sizeof functions[0]};
