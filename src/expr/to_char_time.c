// to_char of timestamps and intervals.

#include "expr/tables.h"
#include "expr/text.h"
#include "expr/time.h"

// What the fields are read from. An interval has no weekday and no names.
typedef struct broken_time {
    bool is_interval;
    bool has_zone;
    int64_t year; // 0 is 1 BC
    int month;
    int day;
    int64_t hour;
    int minute;
    int second;
    int us;
    int weekday;  // 0: Sunday
    int year_day; // from 1
    int32_t day_number;
} broken_time;

static broken_time break_timestamp(int64_t us, bool has_zone) {
    broken_time t = {.has_zone = has_zone};
    t.day_number = (int32_t)expr_floor_divide(us, EXPR_DAY_US);
    us -= t.day_number * EXPR_DAY_US;
    tarn_civil_from_days(t.day_number, &t.year, &t.month, &t.day);
    t.hour = us / EXPR_HOUR_US;
    t.minute = (int)(us / EXPR_MINUTE_US % 60);
    t.second = (int)(us / EXPR_SECOND_US % 60);
    t.us = (int)(us % EXPR_SECOND_US);
    int64_t from_sunday = (int64_t)t.day_number + 4;
    t.weekday = (int)(from_sunday - expr_floor_divide(from_sunday, 7) * 7);
    t.year_day = t.day_number - tarn_days_from_civil(t.year, 1, 1) + 1;
    return t;
}

static broken_time break_interval(tarn_interval interval) {
    return (broken_time){.is_interval = true,
                         .year = interval.months / 12,
                         .month = interval.months % 12,
                         .day = interval.days,
                         .hour = interval.us / EXPR_HOUR_US,
                         .minute = (int)(interval.us / EXPR_MINUTE_US % 60),
                         .second = (int)(interval.us / EXPR_SECOND_US % 60),
                         .us = (int)(interval.us % EXPR_SECOND_US),
                         .year_day = interval.months * 30 + interval.days};
}

// ---- writing ----

typedef struct time_writer {
    const expr_frame *frame;
    const broken_time *time;
    tarn_buffer *out;
    bool fills;  // not FM, for the field at hand
    bool failed; // out of memory
} time_writer;

static void put_text(time_writer *w, const char *text) {
    w->failed |= !tarn_buffer_append(w->out, tarn_slice_from_cstr(text));
}

// With leading zeros unless FM; a minus sign does not count among the digits.
static void put_number(time_writer *w, int64_t number, int width) {
    int digits = w->fills ? width + (number < 0) : 0;
    w->failed |= !tarn_buffer_printf(w->out, "%0*lld", digits, (long long)number);
}

typedef enum letter_case {
    CASE_UPPER,
    CASE_TITLE,
    CASE_LOWER,
} letter_case;

// A name in the case of its keyword, blanks behind it up to `width` unless FM.
static void put_name(time_writer *w, const char *name, size_t len, letter_case which, int width) {
    char text[16];
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)name[i];
        bool is_upper = which == CASE_UPPER || (which == CASE_TITLE && i == 0);
        text[i] = (char)(is_upper ? expr_upper_point(byte) : expr_lower_point(byte));
    }
    text[len] = '\0';
    w->failed |= !tarn_buffer_printf(w->out, "%-*s", w->fills ? width : 0, text);
}

static int64_t shown_year(const broken_time *t) {
    return !t->is_interval && t->year <= 0 ? 1 - t->year : t->year;
}

static int32_t iso_week_one(int64_t year) { // the Monday it begins on
    int32_t fourth = tarn_days_from_civil(year, 1, 4);
    int64_t from_monday = (int64_t)fourth + 3;
    return fourth - (int32_t)(from_monday - expr_floor_divide(from_monday, 7) * 7);
}

static int64_t iso_year(const broken_time *t) {
    if (t->is_interval) return t->year;
    if (t->day_number < iso_week_one(t->year)) return t->year - 1;
    return t->day_number >= iso_week_one(t->year + 1) ? t->year + 1 : t->year;
}

static int iso_day(const broken_time *t) { // of the ISO year, from 1
    return t->day_number - iso_week_one(iso_year(t)) + 1;
}

static void put_century(time_writer *w) {
    int64_t year = w->time->year;
    if (w->time->is_interval) {
        put_number(w, year / 100, 2);
    } else {
        put_number(w, year > 0 ? (year - 1) / 100 + 1 : year / 100 - 1, 2);
    }
}

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const romans[] = {"I",   "II",   "III", "IV", "V",  "VI",
                                     "VII", "VIII", "IX",  "X",  "XI", "XII"};

// ---- keywords ----

typedef enum field_id {
    FIELD_HALF_DAY, // AM PM
    FIELD_HALF_DAY_DOTS,
    FIELD_ERA, // AD BC
    FIELD_ERA_DOTS,
    FIELD_CENTURY,
    FIELD_DAY_NAME,
    FIELD_DAY_SHORT,
    FIELD_YEAR_DAY,
    FIELD_DAY,
    FIELD_WEEKDAY,
    FIELD_FRACTION, // FF1 to FF6
    FIELD_HOUR24,
    FIELD_HOUR12,
    FIELD_ISO_YEAR_DAY,
    FIELD_ISO_WEEKDAY,
    FIELD_ISO_WEEK,
    FIELD_ISO_YEAR,
    FIELD_JULIAN,
    FIELD_MINUTE,
    FIELD_MONTH_NAME,
    FIELD_MONTH_SHORT,
    FIELD_MONTH,
    FIELD_MILLISECOND,
    FIELD_OFFSET,
    FIELD_QUARTER,
    FIELD_MONTH_ROMAN,
    FIELD_SECOND_OF_DAY,
    FIELD_SECOND,
    FIELD_ZONE_HOUR,
    FIELD_ZONE_MINUTE,
    FIELD_ZONE,
    FIELD_MICROSECOND,
    FIELD_WEEK,
    FIELD_WEEK_OF_MONTH,
    FIELD_YEAR_COMMA,
    FIELD_YEAR,
} field_id;

typedef struct keyword {
    const char *text; // in upper case; longer ones before their beginnings
    field_id field;
    int width; // digits
} keyword;

static const keyword keywords[] = {
    {"A.M.", FIELD_HALF_DAY_DOTS, 0},
    {"P.M.", FIELD_HALF_DAY_DOTS, 0},
    {"A.D.", FIELD_ERA_DOTS, 0},
    {"B.C.", FIELD_ERA_DOTS, 0},
    {"AM", FIELD_HALF_DAY, 0},
    {"PM", FIELD_HALF_DAY, 0},
    {"AD", FIELD_ERA, 0},
    {"BC", FIELD_ERA, 0},
    {"CC", FIELD_CENTURY, 2},
    {"DAY", FIELD_DAY_NAME, 9},
    {"DDD", FIELD_YEAR_DAY, 3},
    {"DD", FIELD_DAY, 2},
    {"DY", FIELD_DAY_SHORT, 3},
    {"D", FIELD_WEEKDAY, 1},
    {"FF1", FIELD_FRACTION, 1},
    {"FF2", FIELD_FRACTION, 2},
    {"FF3", FIELD_FRACTION, 3},
    {"FF4", FIELD_FRACTION, 4},
    {"FF5", FIELD_FRACTION, 5},
    {"FF6", FIELD_FRACTION, 6},
    {"HH24", FIELD_HOUR24, 2},
    {"HH12", FIELD_HOUR12, 2},
    {"HH", FIELD_HOUR12, 2},
    {"IDDD", FIELD_ISO_YEAR_DAY, 3},
    {"ID", FIELD_ISO_WEEKDAY, 1},
    {"IW", FIELD_ISO_WEEK, 2},
    {"IYYY", FIELD_ISO_YEAR, 4},
    {"IYY", FIELD_ISO_YEAR, 3},
    {"IY", FIELD_ISO_YEAR, 2},
    {"I", FIELD_ISO_YEAR, 1},
    {"J", FIELD_JULIAN, 0},
    {"MI", FIELD_MINUTE, 2},
    {"MM", FIELD_MONTH, 2},
    {"MONTH", FIELD_MONTH_NAME, 9},
    {"MON", FIELD_MONTH_SHORT, 3},
    {"MS", FIELD_MILLISECOND, 3},
    {"OF", FIELD_OFFSET, 0},
    {"Q", FIELD_QUARTER, 1},
    {"RM", FIELD_MONTH_ROMAN, 4},
    {"SSSSS", FIELD_SECOND_OF_DAY, 0},
    {"SSSS", FIELD_SECOND_OF_DAY, 0},
    {"SS", FIELD_SECOND, 2},
    {"TZH", FIELD_ZONE_HOUR, 0},
    {"TZM", FIELD_ZONE_MINUTE, 0},
    {"TZ", FIELD_ZONE, 0},
    {"US", FIELD_MICROSECOND, 6},
    {"WW", FIELD_WEEK, 2},
    {"W", FIELD_WEEK_OF_MONTH, 1},
    {"Y,YYY", FIELD_YEAR_COMMA, 0},
    {"YYYY", FIELD_YEAR, 4},
    {"YYY", FIELD_YEAR, 3},
    {"YY", FIELD_YEAR, 2},
    {"Y", FIELD_YEAR, 1},
};

// All upper case, all lower case, or (names only) a capital first.
static bool match_keyword(tarn_slice text, const keyword *word, letter_case *ret_case) {
    size_t len = strlen(word->text);
    if (text.len < len) return false;
    bool upper = true;
    bool lower = true;
    bool title = word->width == 9 || word->width == 3;
    for (size_t i = 0; i < len; i++) {
        uint32_t byte = text.data[i];
        uint32_t wanted = (uint8_t)word->text[i];
        upper &= byte == wanted;
        lower &= byte == expr_lower_point(wanted);
        title &= byte == (i == 0 ? wanted : expr_lower_point(wanted));
    }
    *ret_case = upper ? CASE_UPPER : title ? CASE_TITLE : CASE_LOWER;
    return upper || lower || title;
}

static const keyword *find_keyword(tarn_slice text, letter_case *ret_case) {
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (match_keyword(text, &keywords[i], ret_case)) return &keywords[i];
    }
    return NULL;
}

static bool needs_calendar(field_id field) {
    return field == FIELD_ERA || field == FIELD_ERA_DOTS || field == FIELD_DAY_NAME ||
           field == FIELD_DAY_SHORT || field == FIELD_MONTH_NAME || field == FIELD_MONTH_SHORT ||
           field == FIELD_OFFSET || field == FIELD_ZONE || field == FIELD_ZONE_HOUR ||
           field == FIELD_ZONE_MINUTE || field == FIELD_WEEKDAY || field == FIELD_ISO_WEEKDAY;
}

static int64_t power_of_ten(int digits) {
    return (int64_t)tarn_power_of_ten(digits);
}

static void put_clock_field(time_writer *w, const keyword *word) {
    const broken_time *t = w->time;
    switch (word->field) {
    case FIELD_HOUR24: put_number(w, t->hour, 2); break;
    case FIELD_HOUR12: put_number(w, t->hour % 12 == 0 ? 12 : t->hour % 12, 2); break;
    case FIELD_MINUTE: put_number(w, t->minute, 2); break;
    case FIELD_SECOND: put_number(w, t->second, 2); break;
    case FIELD_MILLISECOND: put_number(w, t->us / 1000, 3); break;
    case FIELD_MICROSECOND: put_number(w, t->us, 6); break;
    case FIELD_FRACTION: put_number(w, t->us / power_of_ten(6 - word->width), word->width); break;
    case FIELD_SECOND_OF_DAY:
        put_number(w, t->hour * 3600L + t->minute * 60L + t->second, 0);
        break;
    default: tarn_assert(false);
    }
}

static void put_named_field(time_writer *w, const keyword *word, letter_case which) {
    const broken_time *t = w->time;
    bool is_afternoon = t->hour % 24 >= 12;
    switch (word->field) {
    case FIELD_HALF_DAY: put_name(w, is_afternoon ? "PM" : "AM", 2, which, 0); break;
    case FIELD_HALF_DAY_DOTS: put_name(w, is_afternoon ? "P.M." : "A.M.", 4, which, 0); break;
    case FIELD_ERA: put_name(w, t->year <= 0 ? "BC" : "AD", 2, which, 0); break;
    case FIELD_ERA_DOTS: put_name(w, t->year <= 0 ? "B.C." : "A.D.", 4, which, 0); break;
    case FIELD_DAY_NAME: put_name(w, days[t->weekday], strlen(days[t->weekday]), which, 9); break;
    case FIELD_DAY_SHORT: put_name(w, days[t->weekday], 3, which, 3); break;
    case FIELD_MONTH_NAME:
        put_name(w, months[t->month - 1], strlen(months[t->month - 1]), which, 9);
        break;
    case FIELD_MONTH_SHORT: put_name(w, months[t->month - 1], 3, which, 3); break;
    case FIELD_MONTH_ROMAN:
        if (t->month <= 0) break;
        put_name(w, romans[t->month - 1], strlen(romans[t->month - 1]), which, 4);
        break;
    case FIELD_ZONE:
        if (t->has_zone) put_name(w, "UTC", 3, which, 0);
        break;
    case FIELD_ZONE_HOUR:
    case FIELD_OFFSET: put_text(w, "+00"); break;
    case FIELD_ZONE_MINUTE: put_text(w, "00"); break;
    default: tarn_assert(false);
    }
}

static void put_field(time_writer *w, const keyword *word, letter_case which) {
    const broken_time *t = w->time;
    switch (word->field) {
    case FIELD_CENTURY: put_century(w); break;
    case FIELD_YEAR_DAY: put_number(w, t->year_day, 3); break;
    case FIELD_DAY: put_number(w, t->day, 2); break;
    case FIELD_WEEKDAY: put_number(w, t->weekday + 1, 1); break;
    case FIELD_ISO_YEAR_DAY: put_number(w, iso_day(t), 3); break;
    case FIELD_ISO_WEEKDAY: put_number(w, t->weekday == 0 ? 7 : t->weekday, 1); break;
    case FIELD_ISO_WEEK: put_number(w, (iso_day(t) - 1) / 7 + 1, 2); break;
    case FIELD_ISO_YEAR: {
        int64_t year = iso_year(t);
        if (!t->is_interval && year <= 0) year = 1 - year;
        put_number(w, word->width == 4 ? year : year % power_of_ten(word->width), word->width);
        break;
    }
    case FIELD_JULIAN: put_number(w, t->day_number - EXPR_DATE_MIN, 0); break;
    case FIELD_MONTH: put_number(w, t->month, 2); break;
    case FIELD_QUARTER: put_number(w, (t->month - 1) / 3 + 1, 1); break;
    case FIELD_WEEK: put_number(w, (t->year_day - 1) / 7 + 1, 2); break;
    case FIELD_WEEK_OF_MONTH: put_number(w, (t->day - 1) / 7 + 1, 1); break;
    case FIELD_YEAR_COMMA: {
        int64_t year = shown_year(t);
        w->failed |= !tarn_buffer_printf(w->out, "%lld,%03lld", (long long)(year / 1000),
                                         (long long)(year % 1000));
        break;
    }
    case FIELD_YEAR: {
        int64_t year = shown_year(t);
        put_number(w, word->width == 4 ? year : year % power_of_ten(word->width), word->width);
        break;
    }
    case FIELD_HOUR24:
    case FIELD_HOUR12:
    case FIELD_MINUTE:
    case FIELD_SECOND:
    case FIELD_MILLISECOND:
    case FIELD_MICROSECOND:
    case FIELD_FRACTION:
    case FIELD_SECOND_OF_DAY: put_clock_field(w, word); break;
    case FIELD_HALF_DAY:
    case FIELD_HALF_DAY_DOTS:
    case FIELD_ERA:
    case FIELD_ERA_DOTS:
    case FIELD_DAY_NAME:
    case FIELD_DAY_SHORT:
    case FIELD_MONTH_NAME:
    case FIELD_MONTH_SHORT:
    case FIELD_MONTH_ROMAN:
    case FIELD_ZONE:
    case FIELD_ZONE_HOUR:
    case FIELD_ZONE_MINUTE:
    case FIELD_OFFSET: put_named_field(w, word, which); break;
    }
}

// "th" behind a number: 1st, 2nd, 3rd, 11th.
static void put_ordinal(time_writer *w, size_t number_start, bool is_upper) {
    const uint8_t *digits = w->out->data + number_start;
    size_t len = w->out->len - number_start;
    if (len == 0) return;
    uint8_t last = digits[len - 1];
    if (len > 1 && digits[len - 2] == '1') last = '0';
    const char *ending = last == '1' ? "st" : last == '2' ? "nd" : last == '3' ? "rd" : "th";
    put_name(w, ending, 2, is_upper ? CASE_UPPER : CASE_LOWER, 0);
}

static bool take(tarn_slice *rest, const char *word, const char *other) {
    if (!tarn_slice_starts_with(*rest, tarn_slice_from_cstr(word)) &&
        !tarn_slice_starts_with(*rest, tarn_slice_from_cstr(other))) {
        return false;
    }
    *rest = tarn_slice_skip(*rest, strlen(word));
    return true;
}

static void put_quoted(time_writer *w, tarn_slice *rest) {
    while (rest->len > 0 && rest->data[0] != '"') {
        if (rest->data[0] == '\\' && rest->len > 1) *rest = tarn_slice_skip(*rest, 1);
        w->failed |= !tarn_buffer_append(w->out, tarn_slice_head(*rest, 1));
        *rest = tarn_slice_skip(*rest, 1);
    }
    if (rest->len > 0) *rest = tarn_slice_skip(*rest, 1);
}

// The prefixes of a keyword. TM asks for names of a locale, which is always the plain one.
static void take_prefixes(time_writer *w, tarn_slice *rest) {
    w->fills = true;
    while (true) {
        if (take(rest, "FM", "fm") || take(rest, "TM", "tm")) {
            w->fills = false;
        } else if (!take(rest, "FX", "fx")) {
            return;
        }
    }
}

// A byte that belongs to no keyword stands for itself.
static void put_plain(time_writer *w, tarn_slice *rest) {
    bool escapes_quote = rest->data[0] == '\\' && rest->len > 1 && rest->data[1] == '"';
    if (escapes_quote) *rest = tarn_slice_skip(*rest, 1);
    w->failed |= !tarn_buffer_append(w->out, tarn_slice_head(*rest, 1));
    *rest = tarn_slice_skip(*rest, 1);
}

static tarn_status write_time(time_writer *w, tarn_slice pattern) {
    for (tarn_slice rest = pattern; rest.len > 0 && !w->failed;) {
        if (take(&rest, "\"", "\"")) {
            put_quoted(w, &rest);
            continue;
        }
        take_prefixes(w, &rest);
        if (rest.len == 0) break;
        letter_case which;
        const keyword *word = find_keyword(rest, &which);
        if (word == NULL) {
            put_plain(w, &rest);
            continue;
        }
        if (w->time->is_interval && needs_calendar(word->field)) {
            (void)expr_fail(w->frame->err, "22007",
                            "invalid format specification for an interval value");
            tarn_error_hint(w->frame->err, "intervals are not tied to specific calendar dates");
            return TARN_INVALID;
        }
        rest = tarn_slice_skip(rest, strlen(word->text));
        size_t start = w->out->len;
        put_field(w, word, which);
        if (take(&rest, "TH", "TH")) {
            put_ordinal(w, start, true);
        } else if (take(&rest, "th", "th")) {
            put_ordinal(w, start, false);
        }
    }
    return w->failed ? expr_no_memory(w->frame->err) : TARN_OK;
}

static broken_time time_at(const expr_frame *frame, size_t row) {
    const tarn_vector *arg = &frame->args[0];
    size_t at = row * expr_stride(arg);
    if (arg->type.id == TARN_TYPE_INTERVAL) {
        return break_interval(((const tarn_interval *)arg->data)[at]);
    }
    return break_timestamp(((const int64_t *)arg->data)[at], arg->type.id == TARN_TYPE_TIMESTAMPTZ);
}

static tarn_status to_char_rows(const expr_frame *frame) {
    expr_text_arg patterns = expr_text_of(&frame->args[1]);
    tarn_buffer out = {0};
    tarn_status status = TARN_OK;
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice pattern = expr_text_at(&patterns, row);
        broken_time time = time_at(frame, row);
        time_writer w = {.frame = frame, .time = &time, .out = &out};
        tarn_buffer_clear(&out);
        status = pattern.len == 0 ? expr_set_null(frame, row) : write_time(&w, pattern);
        if (status == TARN_OK) status = expr_text_copy(frame, row, tarn_buffer_slice(&out));
        if (status != TARN_OK) break;
    }
    tarn_buffer_free(&out);
    return status;
}

// ---- the table ----

#define TO_CHAR(type)                                                                   \
    EXPR_FUNCTION("to_char", type ", text", "text", "formatted by a pattern of fields", \
                  .kernel = to_char_rows, .flags = EXPR_MAKES_NULLS)

static const tarn_function functions[] = {
    TO_CHAR("timestamp"),
    TO_CHAR("timestamptz"),
    TO_CHAR("interval"),
};
const expr_function_table expr_to_char_time_functions = {functions,
                                                         sizeof functions / sizeof functions[0]};
