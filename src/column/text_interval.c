// Intervals as text: "1 year 2 mons 3 days 04:05:06.7", lists of '<number> <unit>', "1-2" for years
// and months, and ISO 8601 durations with designators ("P1Y2M3DT4H5M6S").
#include <math.h>

#include "column/text.h"

#define SECOND_US      ((int64_t)1000000)
#define MINUTE_US      (60 * SECOND_US)
#define HOUR_US        (3600 * SECOND_US)
#define DAYS_PER_MONTH 30
#define DAYS_PER_WEEK  7

typedef enum interval_unit {
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
} interval_unit;

#define UNIT_BIT(unit) (1u << (unit))
#define SECOND_UNITS \
    (UNIT_BIT(UNIT_SECOND) | UNIT_BIT(UNIT_MILLISECOND) | UNIT_BIT(UNIT_MICROSECOND))
#define CLOCK_UNITS (SECOND_UNITS | UNIT_BIT(UNIT_MINUTE) | UNIT_BIT(UNIT_HOUR))

// How the parts add up, in the ranges of the interval that comes out; years are kept apart until
// the end.
typedef struct interval_sum {
    int32_t years;
    int32_t months;
    int32_t days;
    int64_t us;
    uint32_t seen; // UNIT_BITs: each unit may be given once
} interval_sum;

// A number as written: the digits behind the point are kept as a fraction, with the sign.
typedef struct interval_amount {
    int64_t whole;
    double fraction;
} interval_amount;

typedef enum read_result { READ_OK, READ_SYNTAX, READ_RANGE } read_result;

// ---- adding ----

static bool add_i32(int32_t *sum, int64_t value, int64_t factor) {
    int64_t product;
    return !__builtin_mul_overflow(value, factor, &product) &&
           !__builtin_add_overflow(*sum, product, sum);
}

static bool add_us(int64_t *sum, int64_t value, int64_t factor) {
    int64_t product;
    return !__builtin_mul_overflow(value, factor, &product) &&
           !__builtin_add_overflow(*sum, product, sum);
}

// A fraction of a unit of `unit_us`; half a microsecond is dropped.
static bool add_fraction_us(interval_sum *sum, double fraction, int64_t unit_us) {
    double us = fraction * (double)unit_us;
    int64_t whole = (int64_t)us; // |fraction| < 1
    double rest = us - (double)whole;
    return add_us(&sum->us, whole + (rest > 0.5) - (rest < -0.5), 1);
}

static bool add_fraction_days(interval_sum *sum, double fraction, int unit_days) {
    double days = fraction * unit_days;
    int whole = (int)days;
    return add_i32(&sum->days, whole, 1) && add_fraction_us(sum, days - whole, COLUMN_DAY_US);
}

static bool add_years(interval_sum *sum, interval_amount amount, int unit_years) {
    int64_t months = (int64_t)rint(amount.fraction * unit_years * 12);
    return add_i32(&sum->years, amount.whole, unit_years) && add_i32(&sum->months, months, 1);
}

static bool add_clock(interval_sum *sum, interval_amount amount, int64_t unit_us) {
    return add_us(&sum->us, amount.whole, unit_us) &&
           add_fraction_us(sum, amount.fraction, unit_us);
}

static read_result add_amount(interval_sum *sum, interval_amount amount, interval_unit unit) {
    // Seconds with a fraction leave no room for milliseconds and microseconds beside them.
    bool is_fine = unit == UNIT_SECOND && amount.fraction != 0;
    uint32_t given = is_fine ? SECOND_UNITS : UNIT_BIT(unit);
    if ((sum->seen & given) != 0) return READ_SYNTAX;
    sum->seen |= given;
    bool fits = false;
    switch (unit) {
    case UNIT_MICROSECOND: fits = add_clock(sum, amount, 1); break;
    case UNIT_MILLISECOND: fits = add_clock(sum, amount, 1000); break;
    case UNIT_SECOND: fits = add_clock(sum, amount, SECOND_US); break;
    case UNIT_MINUTE: fits = add_clock(sum, amount, MINUTE_US); break;
    case UNIT_HOUR: fits = add_clock(sum, amount, HOUR_US); break;
    case UNIT_DAY:
        fits = add_i32(&sum->days, amount.whole, 1) &&
               add_fraction_us(sum, amount.fraction, COLUMN_DAY_US);
        break;
    case UNIT_WEEK:
        fits = add_i32(&sum->days, amount.whole, DAYS_PER_WEEK) &&
               add_fraction_days(sum, amount.fraction, DAYS_PER_WEEK);
        break;
    case UNIT_MONTH:
        fits = add_i32(&sum->months, amount.whole, 1) &&
               add_fraction_days(sum, amount.fraction, DAYS_PER_MONTH);
        break;
    case UNIT_YEAR: fits = add_years(sum, amount, 1); break;
    case UNIT_DECADE: fits = add_years(sum, amount, 10); break;
    case UNIT_CENTURY: fits = add_years(sum, amount, 100); break;
    case UNIT_MILLENNIUM: fits = add_years(sum, amount, 1000); break;
    }
    return fits ? READ_OK : READ_RANGE;
}

// ---- reading ----

static bool find_unit(tarn_slice word, interval_unit *ret_unit) {
    static const struct {
        const char *name;
        uint8_t unit;
    } names[] = {
        {"us", UNIT_MICROSECOND},
        {"usec", UNIT_MICROSECOND},
        {"usecs", UNIT_MICROSECOND},
        {"useconds", UNIT_MICROSECOND},
        {"microsecond", UNIT_MICROSECOND},
        {"microseconds", UNIT_MICROSECOND},
        {"ms", UNIT_MILLISECOND},
        {"msec", UNIT_MILLISECOND},
        {"msecs", UNIT_MILLISECOND},
        {"mseconds", UNIT_MILLISECOND},
        {"millisecond", UNIT_MILLISECOND},
        {"milliseconds", UNIT_MILLISECOND},
        {"s", UNIT_SECOND},
        {"sec", UNIT_SECOND},
        {"secs", UNIT_SECOND},
        {"second", UNIT_SECOND},
        {"seconds", UNIT_SECOND},
        {"m", UNIT_MINUTE},
        {"min", UNIT_MINUTE},
        {"mins", UNIT_MINUTE},
        {"minute", UNIT_MINUTE},
        {"minutes", UNIT_MINUTE},
        {"h", UNIT_HOUR},
        {"hr", UNIT_HOUR},
        {"hrs", UNIT_HOUR},
        {"hour", UNIT_HOUR},
        {"hours", UNIT_HOUR},
        {"d", UNIT_DAY},
        {"day", UNIT_DAY},
        {"days", UNIT_DAY},
        {"w", UNIT_WEEK},
        {"week", UNIT_WEEK},
        {"weeks", UNIT_WEEK},
        {"mon", UNIT_MONTH},
        {"mons", UNIT_MONTH},
        {"month", UNIT_MONTH},
        {"months", UNIT_MONTH},
        {"y", UNIT_YEAR},
        {"yr", UNIT_YEAR},
        {"yrs", UNIT_YEAR},
        {"year", UNIT_YEAR},
        {"years", UNIT_YEAR},
        {"dec", UNIT_DECADE},
        {"decs", UNIT_DECADE},
        {"decade", UNIT_DECADE},
        {"decades", UNIT_DECADE},
        {"c", UNIT_CENTURY},
        {"cent", UNIT_CENTURY},
        {"century", UNIT_CENTURY},
        {"centuries", UNIT_CENTURY},
        {"mil", UNIT_MILLENNIUM},
        {"mils", UNIT_MILLENNIUM},
        {"millennium", UNIT_MILLENNIUM},
        {"millennia", UNIT_MILLENNIUM},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!column_is_word(word, names[i].name)) continue;
        *ret_unit = (interval_unit)names[i].unit;
        return true;
    }
    return false;
}

static void skip_spaces(tarn_slice *rest) {
    while (rest->len > 0 && (column_is_space(rest->data[0]) || rest->data[0] == ',')) {
        *rest = tarn_slice_skip(*rest, 1);
    }
}

static bool take_sign(tarn_slice *rest) {
    bool is_negative = column_take(rest, '-');
    if (!is_negative) (void)column_take(rest, '+'); // a plus sign changes nothing
    return is_negative;
}

// The digits behind the point; more than a double holds change nothing.
static double read_part(tarn_slice digits) {
    double part = 0;
    double place = 1;
    for (size_t i = 0; i < digits.len && i < 18; i++) {
        part = part * 10 + (digits.data[i] - '0');
        place *= 10;
    }
    return part / place;
}

// An unsigned number.
static read_result read_amount(tarn_slice *rest, bool is_negative, interval_amount *ret_amount) {
    tarn_slice whole = column_take_digits(rest);
    tarn_slice fraction = {0};
    if (column_take(rest, '.')) fraction = column_take_digits(rest);
    if (whole.len + fraction.len == 0) return READ_SYNTAX;
    interval_amount amount = {.fraction = read_part(fraction)};
    if (!column_read_digits(whole, &amount.whole)) return READ_RANGE;
    if (is_negative) {
        amount.whole = -amount.whole;
        amount.fraction = -amount.fraction;
    }
    *ret_amount = amount;
    return READ_OK;
}

// "hh:mm", "hh:mm:ss", "hh:mm:ss.f", "mm:ss.f"; `first` has been read and stands before the colon.
static read_result add_time(interval_sum *sum, interval_amount first, bool is_negative,
                            tarn_slice *rest) {
    int64_t fields[3] = {first.whole < 0 ? -first.whole : first.whole, 0, 0};
    size_t field_count = 1;
    while (field_count < 3 && column_take(rest, ':')) {
        tarn_slice digits = column_take_digits(rest);
        if (digits.len < 1 || digits.len > 2) return READ_SYNTAX;
        if (!column_read_digits(digits, &fields[field_count])) return READ_RANGE;
        field_count++;
    }
    int64_t fraction_us = 0;
    if (column_take(rest, '.')) {
        fraction_us = column_read_fraction(column_take_digits(rest), 6);
        if (field_count == 2) {
            fields[2] = fields[1];
            fields[1] = fields[0];
            fields[0] = 0;
        }
    }
    if (fields[1] > 59 || fields[2] > 60) return READ_RANGE;
    if ((sum->seen & CLOCK_UNITS) != 0) return READ_SYNTAX;
    sum->seen |= CLOCK_UNITS;
    int64_t sign = is_negative ? -1 : 1;
    bool fits = add_us(&sum->us, fields[0], sign * HOUR_US) &&
                add_us(&sum->us, fields[1], sign * MINUTE_US) &&
                add_us(&sum->us, fields[2], sign * SECOND_US) &&
                add_us(&sum->us, fraction_us, sign);
    return fits ? READ_OK : READ_RANGE;
}

// "years-months"; `years` has been read, with the sign that holds for both.
static read_result add_years_and_months(interval_sum *sum, interval_amount years, bool is_negative,
                                        tarn_slice *rest) {
    int64_t months;
    tarn_slice digits = column_take_digits(rest);
    if (digits.len == 0 || years.fraction != 0) return READ_SYNTAX;
    if (!column_read_digits(digits, &months) || months > 11) return READ_RANGE;
    read_result result = add_amount(sum, years, UNIT_YEAR);
    if (result != READ_OK) return result;
    return add_amount(sum, (interval_amount){.whole = is_negative ? -months : months}, UNIT_MONTH);
}

// Whether a time ("hh:mm") is next, before which a number without a unit counts days.
static bool is_time_next(tarn_slice rest) {
    (void)take_sign(&rest);
    skip_spaces(&rest);
    return column_take_digits(&rest).len > 0 && column_take(&rest, ':');
}

// A number has been read: what follows it says what it counts.
static read_result add_counted(interval_sum *sum, interval_amount amount, tarn_slice *rest) {
    skip_spaces(rest);
    interval_unit unit;
    tarn_slice word = column_take_letters(rest);
    if (word.len == 0) {
        if (rest->len == 0) return add_amount(sum, amount, UNIT_SECOND);
        return is_time_next(*rest) ? add_amount(sum, amount, UNIT_DAY) : READ_SYNTAX;
    }
    if (!find_unit(word, &unit)) return READ_SYNTAX;
    bool is_glued = rest->len > 0 && column_is_digit(rest->data[0]); // "1day2" is not two words
    return is_glued ? READ_SYNTAX : add_amount(sum, amount, unit);
}

static read_result read_item(interval_sum *sum, tarn_slice *rest) {
    bool is_negative = take_sign(rest);
    skip_spaces(rest);
    bool starts_with_digit = rest->len > 0 && column_is_digit(rest->data[0]);
    interval_amount amount;
    read_result result = read_amount(rest, is_negative, &amount);
    if (result != READ_OK) return result;
    if (starts_with_digit && rest->len > 0 && rest->data[0] == ':') {
        if (amount.fraction != 0) return READ_SYNTAX;
        return add_time(sum, amount, is_negative, rest);
    }
    bool is_years = rest->len > 1 && rest->data[0] == '-' && column_is_digit(rest->data[1]);
    if (starts_with_digit && is_years && column_take(rest, '-')) {
        return add_years_and_months(sum, amount, is_negative, rest);
    }
    return add_counted(sum, amount, rest);
}

static bool negate(interval_sum *sum) {
    return !__builtin_sub_overflow(0, sum->years, &sum->years) &&
           !__builtin_sub_overflow(0, sum->months, &sum->months) &&
           !__builtin_sub_overflow(0, sum->days, &sum->days) &&
           !__builtin_sub_overflow((int64_t)0, sum->us, &sum->us);
}

static read_result read_items(tarn_slice rest, interval_sum *sum) {
    (void)column_take(&rest, '@'); // "@ 1 day": noise that older servers write
    skip_spaces(&rest);
    do {
        tarn_slice after = rest;
        if (sum->seen != 0 && column_is_word(column_take_letters(&after), "ago")) {
            if (after.len > 0) return READ_SYNTAX;
            return negate(sum) ? READ_OK : READ_RANGE;
        }
        read_result result = read_item(sum, &rest);
        if (result != READ_OK) return result;
        skip_spaces(&rest);
    } while (rest.len > 0);
    return READ_OK;
}

// The unit of an ISO 8601 designator; M means months before the T and minutes behind it.
static bool find_designator(uint8_t letter, bool in_time, interval_unit *ret_unit) {
    static const char date_letters[] = "YMWD";
    static const uint8_t date_units[] = {UNIT_YEAR, UNIT_MONTH, UNIT_WEEK, UNIT_DAY};
    static const char time_letters[] = "HMS";
    static const uint8_t time_units[] = {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    const char *letters = in_time ? time_letters : date_letters;
    const char *at = letter == 0 ? NULL : strchr(letters, letter);
    if (at == NULL) return false;
    *ret_unit = (interval_unit)(in_time ? time_units : date_units)[at - letters];
    return true;
}

static read_result read_iso(tarn_slice rest, interval_sum *sum) {
    bool in_time = false;
    if (rest.len == 0) return READ_SYNTAX;
    while (rest.len > 0) {
        if (!in_time && column_take(&rest, 'T')) {
            in_time = true;
            continue;
        }
        bool is_negative = take_sign(&rest);
        interval_amount amount;
        read_result result = read_amount(&rest, is_negative, &amount);
        if (result != READ_OK) return result;
        interval_unit unit;
        if (rest.len == 0 || !find_designator(rest.data[0], in_time, &unit)) return READ_SYNTAX;
        rest = tarn_slice_skip(rest, 1);
        result = add_amount(sum, amount, unit);
        if (result != READ_OK) return result;
    }
    return READ_OK;
}

static tarn_status fail_read(read_result result, tarn_slice text, tarn_error *err) {
    if (result == READ_SYNTAX) {
        return column_text_fail_syntax(tarn_type_of(TARN_TYPE_INTERVAL), text, err);
    }
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "interval field value out of range: \"" TARN_SLICE_FMT "\"",
                  TARN_SLICE_ARG(text));
    tarn_error_locate(err, "22015", 0);
    return status;
}

tarn_status column_parse_interval(tarn_slice text, tarn_value *ret_value, tarn_error *err) {
    tarn_slice rest = column_trim(text);
    interval_sum sum = {0};
    read_result result = column_take(&rest, 'P') ? read_iso(rest, &sum) : read_items(rest, &sum);
    if (result != READ_OK) return fail_read(result, text, err);
    tarn_value value = {.type = tarn_type_of(TARN_TYPE_INTERVAL)};
    value.interval = (tarn_interval){.months = sum.months, .days = sum.days, .us = sum.us};
    if (!add_i32(&value.interval.months, sum.years, 12)) {
        tarn_status status = tarn_fail(err, TARN_INVALID, "interval out of range");
        tarn_error_locate(err, "22008", 0);
        return status;
    }
    *ret_value = value;
    return TARN_OK;
}

// ---- writing ----

// One part, with an explicit plus where the part before it was negative.
static char *write_part(char *out, const char *start, int64_t value, const char *name,
                        bool *is_after_negative) {
    if (value == 0) return out;
    if (out != start) *out++ = ' ';
    if (value < 0) *out++ = '-';
    if (value > 0 && *is_after_negative) *out++ = '+';
    out = column_write_digits(out, (uint64_t)(value < 0 ? -value : value), 1);
    *out++ = ' ';
    out = column_write_text(out, name);
    if (value != 1) *out++ = 's';
    *is_after_negative = value < 0;
    return out;
}

char *column_write_interval(char *out, tarn_interval interval) {
    const char *start = out;
    bool is_after_negative = false;
    out = write_part(out, start, interval.months / 12, "year", &is_after_negative);
    out = write_part(out, start, interval.months % 12, "mon", &is_after_negative);
    out = write_part(out, start, interval.days, "day", &is_after_negative);
    if (interval.us == 0 && out != start) return out;
    if (out != start) *out++ = ' ';
    if (interval.us < 0) {
        *out++ = '-';
    } else if (is_after_negative) {
        *out++ = '+';
    }
    uint64_t us = interval.us < 0 ? -(uint64_t)interval.us : (uint64_t)interval.us;
    return column_write_clock(out, us);
}
