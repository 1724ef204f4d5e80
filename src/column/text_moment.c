// Dates, times and timestamps as text: ISO 8601 and SQL, "2001-02-03 04:05:06.5+01", years before
// Christ with " BC".
#include "column/text.h"

#define SECOND_US          ((int64_t)1000000)
#define SECOND_NS          ((int64_t)1000000000)
#define DAY_SECONDS        ((int64_t)86400)
#define FIRST_DAY          (-2440588) // 4714-11-24 BC, day 0 of the Julian count, PostgreSQL's first
#define YEAR_MOST          5874897
#define OFFSET_HOURS_MOST  15
#define FRACTION_DIGITS_US 6
#define FRACTION_DIGITS_NS 9
// PostgreSQL rounds timestamps away from its epoch, 2000-01-01.
#define ROUNDING_EPOCH_SECONDS ((int64_t)946684800)

// What a text says, field by field.
typedef struct moment_text {
    bool has_date;
    bool has_time;
    bool is_before_christ;
    int64_t year; // as written
    int64_t month;
    int64_t day;
    int64_t hour;
    int64_t minute;
    int64_t second;
    int64_t fraction; // units of 10^-fraction_digits; may round up to a whole second
    int64_t offset_seconds;
} moment_text;

typedef enum read_result { READ_OK, READ_SYNTAX, READ_FIELD, READ_OFFSET, READ_ZONE } read_result;

static bool is_nanoseconds(tarn_type type) {
    return type.id == TARN_TYPE_TIMESTAMP_NS || type.id == TARN_TYPE_TIMESTAMPTZ_NS;
}

static bool is_instant(tarn_type type) {
    return type.id == TARN_TYPE_TIMESTAMPTZ || type.id == TARN_TYPE_TIMESTAMPTZ_NS;
}

// ---- reading the fields ----

int64_t column_read_fraction(tarn_slice digits, int digit_count) {
    int64_t value = 0;
    for (int i = 0; i < digit_count; i++) {
        value = value * 10 + ((size_t)i < digits.len ? digits.data[i] - '0' : 0);
    }
    if (digits.len <= (size_t)digit_count) return value;
    tarn_slice rest = tarn_slice_skip(digits, (size_t)digit_count);
    bool is_beyond_half = rest.data[0] > '5';
    for (size_t i = 1; i < rest.len; i++) {
        is_beyond_half |= rest.data[0] == '5' && rest.data[i] != '0';
    }
    bool is_half = rest.data[0] == '5' && !is_beyond_half;
    return value + (is_beyond_half || (is_half && value % 2 == 1));
}

static int64_t two_digits(const uint8_t *digits) {
    return (digits[0] - '0') * 10 + (digits[1] - '0');
}

// A field of one or two digits.
static bool read_field(tarn_slice *rest, int64_t *ret_field) {
    tarn_slice digits = column_take_digits(rest);
    return digits.len >= 1 && digits.len <= 2 && column_read_digits(digits, ret_field);
}

static bool read_date(tarn_slice *rest, moment_text *moment) {
    tarn_slice digits = column_take_digits(rest);
    if (digits.len == 8 && (rest->len == 0 || (rest->data[0] != '-' && rest->data[0] != '/'))) {
        moment->year = two_digits(digits.data) * 100 + two_digits(digits.data + 2);
        moment->month = two_digits(digits.data + 4);
        moment->day = two_digits(digits.data + 6);
        return true;
    }
    // Two digits could as well be a day or a month.
    if (digits.len < 3 || digits.len > 9 || !column_read_digits(digits, &moment->year)) {
        return false;
    }
    uint8_t separator = rest->len > 0 && rest->data[0] == '/' ? '/' : '-';
    return column_take(rest, separator) && read_field(rest, &moment->month) &&
           column_take(rest, separator) && read_field(rest, &moment->day);
}

static bool read_time(tarn_slice *rest, moment_text *moment, int fraction_digits) {
    tarn_slice digits = column_take_digits(rest);
    bool has_seconds = digits.len == 6;
    if (digits.len == 4 || digits.len == 6) {
        moment->hour = two_digits(digits.data);
        moment->minute = two_digits(digits.data + 2);
        if (has_seconds) moment->second = two_digits(digits.data + 4);
    } else {
        if (digits.len < 1 || digits.len > 2) return false;
        if (!column_read_digits(digits, &moment->hour)) return false;
        if (!column_take(rest, ':') || !read_field(rest, &moment->minute)) return false;
        has_seconds = column_take(rest, ':');
        if (has_seconds && !read_field(rest, &moment->second)) return false;
    }
    if (has_seconds && column_take(rest, '.')) {
        moment->fraction = column_read_fraction(column_take_digits(rest), fraction_digits);
    }
    return true;
}

// "+hh", "+hh:mm", "+hh:mm:ss", "+hmm", "+hhmm"
static read_result read_offset(tarn_slice *rest, moment_text *moment) {
    int64_t sign = rest->data[0] == '-' ? -1 : 1;
    *rest = tarn_slice_skip(*rest, 1);
    tarn_slice digits = column_take_digits(rest);
    int64_t hours;
    int64_t minutes = 0;
    int64_t seconds = 0;
    if (digits.len == 0 || !column_read_digits(digits, &hours)) return READ_SYNTAX;
    if (digits.len > 2) {
        minutes = hours % 100;
        hours /= 100;
    } else if (column_take(rest, ':')) {
        if (!read_field(rest, &minutes)) return READ_SYNTAX;
        if (column_take(rest, ':') && !read_field(rest, &seconds)) return READ_SYNTAX;
    }
    if (hours > OFFSET_HOURS_MOST || minutes > 59 || seconds > 59) return READ_OFFSET;
    moment->offset_seconds = sign * ((hours * 60 + minutes) * 60 + seconds);
    return READ_OK;
}

// What may follow: a zone, and the era.
static read_result read_tail(tarn_slice *rest, moment_text *moment) {
    bool has_zone = false;
    bool has_era = false;
    while (rest->len > 0) {
        if (column_is_space(rest->data[0])) {
            *rest = tarn_slice_skip(*rest, 1);
            continue;
        }
        // After a bare date a minus would look like one more field of it.
        bool is_offset = rest->data[0] == '+' || (rest->data[0] == '-' && moment->has_time);
        if (is_offset && !has_zone) {
            read_result result = read_offset(rest, moment);
            if (result != READ_OK) return result;
            has_zone = true;
            continue;
        }
        tarn_slice word = column_take_letters(rest);
        if (word.len > 0 && column_take(rest, '/')) return READ_ZONE;
        bool is_zone =
            column_is_word(word, "z") || column_is_word(word, "utc") || column_is_word(word, "gmt");
        bool is_era = column_is_word(word, "bc") || column_is_word(word, "ad");
        if (!(is_zone && !has_zone) && !(is_era && !has_era && moment->has_date)) {
            return READ_SYNTAX;
        }
        has_zone |= is_zone;
        has_era |= is_era;
        moment->is_before_christ |= column_is_word(word, "bc");
    }
    return READ_OK;
}

static bool is_time_next(tarn_slice text) {
    return text.len > 1 && column_is_digit(text.data[0]);
}

// A time follows the date after white space, a 'T', or both.
static tarn_slice skip_to_time(tarn_slice rest) {
    while (rest.len > 0 && column_is_space(rest.data[0])) rest = tarn_slice_skip(rest, 1);
    if (!column_take(&rest, 'T')) (void)column_take(&rest, 't'); // either case, or none
    return rest;
}

static int64_t days_of_month(int64_t year, int64_t month) {
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return lengths[month - 1] + (month == 2 && is_leap);
}

// Years have no zero: 1 BC is year 0 of the calendar.
static int64_t calendar_year(const moment_text *moment) {
    return moment->is_before_christ ? 1 - moment->year : moment->year;
}

static bool is_calendar_day(const moment_text *moment) {
    if (moment->year == 0 || moment->month < 1 || moment->month > 12 || moment->day < 1) {
        return false;
    }
    return moment->day <= days_of_month(calendar_year(moment), moment->month);
}

// A second 60 and 24:00:00 are the start of what comes next.
static bool is_clock_time(const moment_text *moment) {
    if (moment->hour > 24 || moment->minute > 59 || moment->second > 60) return false;
    int64_t seconds = (moment->hour * 60 + moment->minute) * 60 + moment->second;
    return seconds < DAY_SECONDS || (seconds == DAY_SECONDS && moment->fraction == 0);
}

static bool starts_with_date(tarn_slice text) {
    tarn_slice rest = text;
    tarn_slice digits = column_take_digits(&rest);
    bool is_separated = rest.len > 0 && (rest.data[0] == '-' || rest.data[0] == '/');
    return digits.len == 8 || (digits.len >= 3 && is_separated);
}

static read_result read_moment(tarn_slice text, int fraction_digits, moment_text *moment) {
    tarn_slice rest = column_trim(text);
    bool may_have_time = true;
    if (starts_with_date(rest)) {
        if (!read_date(&rest, moment)) return READ_SYNTAX;
        moment->has_date = true;
        tarn_slice time = skip_to_time(rest);
        may_have_time = is_time_next(time) && time.data != rest.data;
        if (may_have_time) rest = time;
    } else {
        rest = skip_to_time(rest);
    }
    if (may_have_time) {
        if (!read_time(&rest, moment, fraction_digits)) return READ_SYNTAX;
        moment->has_time = true;
    }
    read_result result = read_tail(&rest, moment);
    if (result != READ_OK) return result;
    if (moment->has_date && !is_calendar_day(moment)) return READ_FIELD;
    return is_clock_time(moment) ? READ_OK : READ_FIELD;
}

// ---- making values of them ----

static tarn_status fail_range(tarn_type type, tarn_slice text, tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "%s out of range: \"" TARN_SLICE_FMT "\"",
                  type.id == TARN_TYPE_DATE ? "date" : "timestamp", TARN_SLICE_ARG(text));
    tarn_error_locate(err, "22008", 0);
    return status;
}

static tarn_status fail_zone(tarn_slice text, tarn_error *err) {
    tarn_status status = tarn_fail(err, TARN_UNSUPPORTED,
                                   "a time zone by name is not supported: \"" TARN_SLICE_FMT "\"",
                                   TARN_SLICE_ARG(text));
    tarn_error_locate(err, "0A000", 0);
    tarn_error_hint(err, "give its offset from UTC, as in +01:00");
    return status;
}

static tarn_status fail_read(read_result result, tarn_type type, tarn_slice text, tarn_error *err) {
    if (result == READ_SYNTAX) return column_text_fail_syntax(type, text, err);
    if (result == READ_FIELD) return column_text_fail_field(text, err);
    if (result == READ_ZONE) return fail_zone(text, err);
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "time zone displacement out of range: \"" TARN_SLICE_FMT "\"",
                  TARN_SLICE_ARG(text));
    tarn_error_locate(err, "22009", 0);
    return status;
}

// Words that PostgreSQL takes for a moment, and columns here cannot hold or input cannot know.
static bool is_refused_word(tarn_slice word) {
    static const char *const words[] = {"infinity", "-infinity", "now",
                                        "today",    "tomorrow",  "yesterday"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (column_is_word(word, words[i])) return true;
    }
    return false;
}

static tarn_status fail_word(tarn_slice word, tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_UNSUPPORTED,
                  "\"" TARN_SLICE_FMT "\" is not supported as a value of a date or time",
                  TARN_SLICE_ARG(word));
    tarn_error_locate(err, "0A000", 0);
    return status;
}

// Returns false when the calendar of PostgreSQL does not have the day.
static bool find_day(const moment_text *moment, int64_t *ret_days) {
    if (moment->year > YEAR_MOST) return false;
    int32_t days =
        tarn_days_from_civil(calendar_year(moment), (int)moment->month, (int)moment->day);
    *ret_days = days;
    return days >= FIRST_DAY;
}

static int64_t clock_seconds(const moment_text *moment) {
    return (moment->hour * 60 + moment->minute) * 60 + moment->second;
}

// Rounds half away from `epoch` to units of 10^-precision of a second. In 128 bits, because what
// rounds up may no longer fit.
static tarn_int128 round_away(tarn_int128 moment, int64_t epoch, int precision,
                              int fraction_digits) {
    if (precision >= fraction_digits) return moment;
    tarn_int128 unit = tarn_power_of_ten(fraction_digits - precision);
    tarn_int128 distance = moment - epoch;
    tarn_int128 rest = distance % unit;
    tarn_int128 rounded = distance - rest;
    if (2 * rest >= unit) rounded += unit;
    if (2 * rest <= -unit) rounded -= unit;
    return rounded + epoch;
}

static tarn_status make_timestamp(tarn_type type, const moment_text *moment, tarn_slice text,
                                  int64_t *ret_stamp, tarn_error *err) {
    int digits = is_nanoseconds(type) ? FRACTION_DIGITS_NS : FRACTION_DIGITS_US;
    int64_t unit = is_nanoseconds(type) ? SECOND_NS : SECOND_US;
    int64_t days;
    if (!find_day(moment, &days)) return fail_range(type, text, err);
    int64_t seconds = days * DAY_SECONDS + clock_seconds(moment);
    if (is_instant(type)) seconds -= moment->offset_seconds;
    tarn_int128 stamp = round_away((tarn_int128)seconds * unit + moment->fraction,
                                   ROUNDING_EPOCH_SECONDS * unit, type.precision, digits);
    if (stamp < INT64_MIN || stamp > INT64_MAX || seconds < (int64_t)FIRST_DAY * DAY_SECONDS) {
        return fail_range(type, text, err);
    }
    *ret_stamp = (int64_t)stamp;
    return TARN_OK;
}

static tarn_status make_moment(tarn_type type, const moment_text *moment, tarn_slice text,
                               int64_t *ret_moment, tarn_error *err) {
    if (type.id == TARN_TYPE_TIME) {
        if (!moment->has_time) return column_text_fail_syntax(type, text, err);
        int64_t us = clock_seconds(moment) * SECOND_US + moment->fraction;
        *ret_moment = (int64_t)round_away(us, 0, type.precision, FRACTION_DIGITS_US);
        return TARN_OK;
    }
    if (!moment->has_date) return column_text_fail_syntax(type, text, err);
    if (type.id != TARN_TYPE_DATE) return make_timestamp(type, moment, text, ret_moment, err);
    return find_day(moment, ret_moment) ? TARN_OK : fail_range(type, text, err);
}

tarn_status column_parse_moment(tarn_type type, tarn_slice text, tarn_value *ret_value,
                                tarn_error *err) {
    tarn_slice word = column_trim(text);
    if (is_refused_word(word)) return fail_word(word, err);
    tarn_value value = {.type = type};
    bool is_epoch = column_is_word(word, "epoch") && type.id != TARN_TYPE_TIME;
    if (!is_epoch) {
        moment_text moment = {0};
        int digits = is_nanoseconds(type) ? FRACTION_DIGITS_NS : FRACTION_DIGITS_US;
        read_result result = read_moment(text, digits, &moment);
        if (result != READ_OK) return fail_read(result, type, text, err);
        TARN_TRY(make_moment(type, &moment, text, &value.i64, err));
    }
    *ret_value = value;
    return TARN_OK;
}

// ---- writing ----

static char *write_date(char *out, int32_t days, bool *ret_is_before_christ) {
    int64_t year;
    int month;
    int day;
    tarn_civil_from_days(days, &year, &month, &day);
    *ret_is_before_christ = year <= 0;
    out = column_write_digits(out, (uint64_t)(year <= 0 ? 1 - year : year), 4);
    *out++ = '-';
    out = column_write_digits(out, (uint64_t)month, 2);
    *out++ = '-';
    return column_write_digits(out, (uint64_t)day, 2);
}

// `fraction` without its trailing zeros, and nothing at all when it is zero.
static char *write_fraction(char *out, int64_t fraction, int digit_count) {
    if (fraction == 0) return out;
    for (; fraction % 10 == 0; digit_count--) fraction /= 10;
    *out++ = '.';
    return column_write_digits(out, (uint64_t)fraction, digit_count);
}

static char *write_clock(char *out, int64_t seconds) {
    out = column_write_digits(out, (uint64_t)(seconds / 3600), 2);
    *out++ = ':';
    out = column_write_digits(out, (uint64_t)(seconds / 60 % 60), 2);
    *out++ = ':';
    return column_write_digits(out, (uint64_t)(seconds % 60), 2);
}

char *column_write_clock(char *out, uint64_t us) {
    out = write_clock(out, (int64_t)(us / (uint64_t)SECOND_US));
    return write_fraction(out, (int64_t)(us % (uint64_t)SECOND_US), FRACTION_DIGITS_US);
}

static char *write_timestamp(char *out, tarn_type type, int64_t stamp) {
    int64_t unit = is_nanoseconds(type) ? SECOND_NS : SECOND_US;
    int64_t seconds = stamp / unit - (stamp % unit < 0);
    int64_t fraction = stamp % unit + (stamp % unit < 0 ? unit : 0);
    int64_t days = seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0);
    bool is_before_christ;
    out = write_date(out, (int32_t)days, &is_before_christ);
    *out++ = ' ';
    out = write_clock(out, seconds - days * DAY_SECONDS);
    out = write_fraction(out, fraction,
                         is_nanoseconds(type) ? FRACTION_DIGITS_NS : FRACTION_DIGITS_US);
    if (is_instant(type)) out = column_write_text(out, "+00");
    return is_before_christ ? column_write_text(out, " BC") : out;
}

char *column_write_moment(char *out, tarn_value value) {
    if (value.type.id == TARN_TYPE_DATE) {
        bool is_before_christ;
        out = write_date(out, (int32_t)value.i64, &is_before_christ);
        return is_before_christ ? column_write_text(out, " BC") : out;
    }
    if (value.type.id != TARN_TYPE_TIME) return write_timestamp(out, value.type, value.i64);
    // No time is negative, but what came from a foreign file may be.
    int64_t us = value.i64;
    if (us < 0) *out++ = '-';
    return column_write_clock(out, us < 0 ? -(uint64_t)us : (uint64_t)us);
}
