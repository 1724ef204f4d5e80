// Values as text. The tables were compared with PostgreSQL 15, which answers the same, except where
// a line says otherwise.
#include "tests/column/helpers.h"

typedef struct accepted {
    const char *text;
    const char *printed; // what the value prints as
} accepted;

typedef struct refused {
    const char *text;
    const char *sqlstate;
    const char *message;
} refused;

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static tarn_type of(tarn_type_id id) {
    return tarn_type_of(id);
}

static void assert_accepted(tarn_type type, const accepted *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        tarn_arena arena = test_arena();
        tarn_buffer out = {0};
        tarn_value value;
        tarn_error err = {0};
        if (tarn_value_parse(type, tarn_slice_from_cstr(cases[i].text), &arena, &value, &err) !=
            TARN_OK) {
            fail_msg("'%s': %s", cases[i].text, err.message);
        }
        assert_true(tarn_type_equal(value.type, type));
        assert_int_equal(tarn_value_format(value, &out, NULL), TARN_OK);
        assert_true(tarn_buffer_append_byte(&out, 0));
        assert_string_equal((const char *)out.data, cases[i].printed);
        tarn_buffer_free(&out);
        tarn_arena_reset(&arena);
    }
}

static void assert_refused(tarn_type type, const refused *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        tarn_arena arena = test_arena();
        tarn_value value = {.i64 = 4711};
        tarn_error err = {0};
        tarn_status status =
            tarn_value_parse(type, tarn_slice_from_cstr(cases[i].text), &arena, &value, &err);
        bool is_unsupported = strcmp(cases[i].sqlstate, "0A000") == 0;
        if (status != (is_unsupported ? TARN_UNSUPPORTED : TARN_INVALID)) {
            fail_msg("'%s' was answered with status %d", cases[i].text, (int)status);
        }
        assert_string_equal(err.message, cases[i].message);
        assert_string_equal(err.sqlstate, cases[i].sqlstate);
        assert_int_equal(value.i64, 4711); // untouched
        tarn_arena_reset(&arena);
    }
}

#define ACCEPTED(type, ...)                                \
    do {                                                   \
        const accepted cases_[] = {__VA_ARGS__};           \
        assert_accepted((type), cases_, COUNT_OF(cases_)); \
    } while (0)
#define REFUSED(type, ...)                                \
    do {                                                  \
        const refused cases_[] = {__VA_ARGS__};           \
        assert_refused((type), cases_, COUNT_OF(cases_)); \
    } while (0)

TEST(booleans) {
    ACCEPTED(of(TARN_TYPE_BOOLEAN), {"t", "t"}, {" TRU", "t"}, {"yes ", "t"}, {"on", "t"},
             {"1", "t"}, {"f", "f"}, {"False", "f"}, {"n", "f"}, {"of", "f"}, {"0", "f"});
    REFUSED(of(TARN_TYPE_BOOLEAN), {"o", "22P02", "invalid input syntax for type boolean: \"o\""},
            {"10", "22P02", "invalid input syntax for type boolean: \"10\""},
            {"", "22P02", "invalid input syntax for type boolean: \"\""},
            {"truex", "22P02", "invalid input syntax for type boolean: \"truex\""});
}

TEST(integers) {
    ACCEPTED(of(TARN_TYPE_SMALLINT), {" -5 ", "-5"}, {"+5", "5"}, {"-32768", "-32768"},
             {"0007", "7"});
    ACCEPTED(of(TARN_TYPE_INTEGER), {"2147483647", "2147483647"}, {"-2147483648", "-2147483648"});
    ACCEPTED(of(TARN_TYPE_BIGINT), {"-9223372036854775808", "-9223372036854775808"},
             {"9223372036854775807", "9223372036854775807"}, {"-0", "0"});
    REFUSED(of(TARN_TYPE_INTEGER),
            {"abc", "22P02", "invalid input syntax for type integer: \"abc\""},
            {"", "22P02", "invalid input syntax for type integer: \"\""},
            {"5.0", "22P02", "invalid input syntax for type integer: \"5.0\""},
            {"- 5", "22P02", "invalid input syntax for type integer: \"- 5\""},
            {"+-5", "22P02", "invalid input syntax for type integer: \"+-5\""},
            {"0x10", "22P02", "invalid input syntax for type integer: \"0x10\""},
            {"2147483648", "22003", "value \"2147483648\" is out of range for type integer"});
    REFUSED(of(TARN_TYPE_SMALLINT),
            {"-32769", "22003", "value \"-32769\" is out of range for type smallint"});
    REFUSED(of(TARN_TYPE_BIGINT),
            {"9223372036854775808", "22003",
             "value \"9223372036854775808\" is out of range for type bigint"},
            {"-9223372036854775809", "22003",
             "value \"-9223372036854775809\" is out of range for type bigint"});
}

TEST(floating_point) {
    ACCEPTED(of(TARN_TYPE_DOUBLE), {"1e20", "1e+20"}, {"123456789012345", "123456789012345"},
             {"1e15", "1e+15"}, {"0.0001", "0.0001"}, {"0.00001", "1e-05"}, {"-0", "-0"},
             {".5", "0.5"}, {"5.", "5"}, {"0.1", "0.1"},
             {"0.30000000000000004", "0.30000000000000004"}, {"1e23", "9.999999999999999e+22"},
             {"4.9e-324", "5e-324"}, {"9007199254740993", "9.007199254740992e+15"}, {"nan", "NaN"},
             {"-nan", "NaN"}, {"-inf", "-Infinity"}, {"+Infinity", "Infinity"}, {"0x1p3", "8"},
             {"123456789012345678", "1.2345678901234568e+17"},
             {"7.1202363472230444e-307", "7.120236347223045e-307"}, // 2^-1017: the nearest 16
             // digits read as the number below it
             {"1.7976931348623157e308", "1.7976931348623157e+308"});
    ACCEPTED(of(TARN_TYPE_REAL), {"16777217", "1.6777216e+07"}, {"100000", "100000"},
             {"1000000", "1e+06"}, {"0.1", "0.1"}, {"8388609.5", "8.38861e+06"},
             {"1.00000006", "1.0000001"}, {"1e-45", "1e-45"});
    REFUSED(of(TARN_TYPE_DOUBLE),
            {"1e309", "22003", "\"1e309\" is out of range for type double precision"},
            {"1e-400", "22003", "\"1e-400\" is out of range for type double precision"},
            {"1e", "22P02", "invalid input syntax for type double precision: \"1e\""},
            {"Infin", "22P02", "invalid input syntax for type double precision: \"Infin\""},
            {"", "22P02", "invalid input syntax for type double precision: \"\""});
    REFUSED(of(TARN_TYPE_REAL), {"1e39", "22003", "\"1e39\" is out of range for type real"},
            {"1e5x", "22P02", "invalid input syntax for type real: \"1e5x\""});
}

TEST(long_floating_point) {
    char text[400];
    memset(text, '1', sizeof text - 1);
    memcpy(text + 310, "e-300", 6);
    ACCEPTED(of(TARN_TYPE_DOUBLE), {text, "1111111111.1111112"});
}

TEST(numerics) {
    ACCEPTED(tarn_type_numeric(5, 2), {"999.994", "999.99"}, {"-0.005", "-0.01"},
             {"-0.004", "0.00"}, {"0.005", "0.01"}, {"1e2", "100.00"}, {"1.5e-1", "0.15"},
             {".5", "0.50"}, {"5.", "5.00"}, {" +1.25 ", "1.25"}, {"0e400000", "0.00"},
             {"0.004999999999999999999999999999999999999999", "0.00"},
             {"1e-400000", "0.00"}); // PostgreSQL refuses the last
    ACCEPTED(
        tarn_type_numeric(38, 38),
        {"0.12345678901234567890123456789012345678", "0.12345678901234567890123456789012345678"},
        {"0.000000000000000000010000000000000000001", "0.00000000000000000001000000000000000000"});
    ACCEPTED(tarn_type_numeric(38, 0), {"-99999999999999999999999999999999999999",
                                        "-99999999999999999999999999999999999999"});
    ACCEPTED(tarn_type_numeric(30, 20), {"12.5", "12.50000000000000000000"});
    REFUSED(tarn_type_numeric(5, 2), {"999.995", "22003", "numeric field overflow"},
            {"1e400000", "22003", "numeric field overflow"}, // PostgreSQL names its format
            {"-inf", "22003", "numeric field overflow"},
            {".", "22P02", "invalid input syntax for type numeric: \".\""},
            {"1 2", "22P02", "invalid input syntax for type numeric: \"1 2\""},
            {"1e", "22P02", "invalid input syntax for type numeric: \"1e\""},
            // PostgreSQL has it.
            {"NaN", "0A000", "\"NaN\" is not supported as a value of type numeric"});
    REFUSED(tarn_type_numeric(38, 0),
            {"99999999999999999999999999999999999999.5", "22003", "numeric field overflow"});
    tarn_error err = {0};
    tarn_value value;
    assert_int_equal(tarn_value_parse(tarn_type_numeric(2, 2), TARN_LIT("1"), NULL, &value, &err),
                     TARN_INVALID);
    assert_string_equal(
        err.hint, "a field with precision 2, scale 2 must round to an absolute value less than 1");
}

TEST(dates) {
    ACCEPTED(of(TARN_TYPE_DATE), {"2001-01-01", "2001-01-01"}, {"2001-1-1", "2001-01-01"},
             {"20010203", "2001-02-03"}, {"2001/02/03", "2001-02-03"}, {"2000-02-29", "2000-02-29"},
             {"0001-01-01 BC", "0001-01-01 BC"}, {"4714-11-24 BC", "4714-11-24 BC"},
             {"5874897-12-31", "5874897-12-31"}, {"2001-01-01T12:34:56Z", "2001-01-01"},
             {"epoch", "1970-01-01"});
    REFUSED(
        of(TARN_TYPE_DATE),
        {"2001-02-29", "22008", "date/time field value out of range: \"2001-02-29\""},
        {"2001-13-01", "22008", "date/time field value out of range: \"2001-13-01\""},
        {"0000-01-01", "22008", "date/time field value out of range: \"0000-01-01\""},
        {"4714-11-23 BC", "22008", "date out of range: \"4714-11-23 BC\""},
        {"5874898-01-01", "22008", "date out of range: \"5874898-01-01\""},
        {"999999999-01-01", "22008", "date out of range: \"999999999-01-01\""},
        {"abc", "22007", "invalid input syntax for type date: \"abc\""},
        {"", "22007", "invalid input syntax for type date: \"\""},
        {"2001-01", "22007", "invalid input syntax for type date: \"2001-01\""},
        {"2001-01-01x", "22007", "invalid input syntax for type date: \"2001-01-01x\""},
        {"2001-01-01 BC AD", "22007", "invalid input syntax for type date: \"2001-01-01 BC AD\""},
        // PostgreSQL has these.
        {"infinity", "0A000", "\"infinity\" is not supported as a value of a date or time"},
        {"today", "0A000", "\"today\" is not supported as a value of a date or time"},
        {"99-01-08", "22007", "invalid input syntax for type date: \"99-01-08\""});
}

TEST(times) {
    ACCEPTED(of(TARN_TYPE_TIME), {"12:34:56", "12:34:56"}, {"12:34", "12:34:00"},
             {"12:34:56.1234567", "12:34:56.123457"}, {"24:00:00", "24:00:00"},
             {"23:59:60", "24:00:00"}, {"23:59:59.9999999", "24:00:00"}, {"1:2:3", "01:02:03"},
             {"123456", "12:34:56"}, {"04:05:06+02", "04:05:06"}, {"T12:34:56.5", "12:34:56.5"},
             {"2001-01-01 04:05:06", "04:05:06"});
    ACCEPTED(((tarn_type){.id = TARN_TYPE_TIME, .precision = 0}), {"12:34:56.5", "12:34:57"},
             {"12:34:56.4", "12:34:56"});
    REFUSED(of(TARN_TYPE_TIME),
            {"24:00:01", "22008", "date/time field value out of range: \"24:00:01\""},
            {"12:60", "22008", "date/time field value out of range: \"12:60\""},
            {"12", "22007", "invalid input syntax for type time: \"12\""},
            {"2001-01-01", "22007", "invalid input syntax for type time: \"2001-01-01\""});
}

TEST(timestamps) {
    ACCEPTED(of(TARN_TYPE_TIMESTAMP), {"2001-01-01 00:01:00.5", "2001-01-01 00:01:00.5"},
             {"2001-01-01", "2001-01-01 00:00:00"}, {"2001-01-01 12:34", "2001-01-01 12:34:00"},
             {"2001-01-01T12:34:56.5", "2001-01-01 12:34:56.5"},
             {" 2001-01-01  12:34:56 ", "2001-01-01 12:34:56"},
             {"2001-01-01 12:34:56+05", "2001-01-01 12:34:56"}, // the zone does not matter
             {"2001-01-01 12:34:56.1234565", "2001-01-01 12:34:56.123456"},
             {"2001-01-01 12:34:56.1234575", "2001-01-01 12:34:56.123458"},
             {"2001-01-01 12:34:56.12345650001", "2001-01-01 12:34:56.123457"},
             {"2001-01-01 23:59:59.9999999", "2001-01-02 00:00:00"},
             {"2001-01-01 24:00:00", "2001-01-02 00:00:00"},
             {"20010101T123456", "2001-01-01 12:34:56"},
             {"2001-01-01 12:34:56 BC", "2001-01-01 12:34:56 BC"},
             {"4714-11-24 00:00:00 BC", "4714-11-24 00:00:00 BC"},
             {"294246-12-31 23:59:59.999999", "294246-12-31 23:59:59.999999"},
             {"1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"});
    tarn_type milliseconds = {.id = TARN_TYPE_TIMESTAMP, .precision = 3};
    ACCEPTED(milliseconds, {"2001-01-01 12:34:56.9996", "2001-01-01 12:34:57"},
             {"1969-12-31 23:59:59.9995", "1969-12-31 23:59:59.999"},
             {"2001-12-31 23:59:59.9995", "2002-01-01 00:00:00"});
    REFUSED(
        of(TARN_TYPE_TIMESTAMP),
        {"2001-01-01 25:00:00", "22008",
         "date/time field value out of range: \"2001-01-01 25:00:00\""},
        {"2001-01-01 12:00:61", "22008",
         "date/time field value out of range: \"2001-01-01 12:00:61\""},
        {"2001-01-01 12", "22007", "invalid input syntax for type timestamp: \"2001-01-01 12\""},
        {"12:34:56", "22007", "invalid input syntax for type timestamp: \"12:34:56\""},
        {"294277-01-01", "22008", "timestamp out of range: \"294277-01-01\""},
        {"4714-11-23 23:59:59 BC", "22008", "timestamp out of range: \"4714-11-23 23:59:59 BC\""},
        {"-infinity", "0A000", "\"-infinity\" is not supported as a value of a date or time"},
        {"now", "0A000", "\"now\" is not supported as a value of a date or time"});
}

TEST(instants) {
    ACCEPTED(of(TARN_TYPE_TIMESTAMPTZ), {"2001-01-01 12:34:56", "2001-01-01 12:34:56+00"},
             {"2001-01-01 12:34:56+05:30", "2001-01-01 07:04:56+00"},
             {"2001-01-01 12:34:56+0530", "2001-01-01 07:04:56+00"},
             {"2001-01-01 12:34:56-8", "2001-01-01 20:34:56+00"},
             {"2001-01-01 12:34:56 -08:00", "2001-01-01 20:34:56+00"},
             {"2001-01-01 12:34:56+05:30:15", "2001-01-01 07:04:41+00"},
             {"2001-01-01T12:34:56.25z", "2001-01-01 12:34:56.25+00"},
             {"2001-01-01 12:34:56 utc", "2001-01-01 12:34:56+00"},
             {"2001-01-01+02", "2000-12-31 22:00:00+00"},
             {"0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC"});
    REFUSED(of(TARN_TYPE_TIMESTAMPTZ),
            {"2001-01-01 12:34:56+16", "22009",
             "time zone displacement out of range: \"2001-01-01 12:34:56+16\""},
            {"2001-01-01 12:34:56+", "22007",
             "invalid input syntax for type timestamp with time zone: \"2001-01-01 12:34:56+\""},
            {"2001-01-01 12:34:56 XYZ", "22007",
             "invalid input syntax for type timestamp with time zone: \"2001-01-01 12:34:56 XYZ\""},
            // PostgreSQL knows it.
            {"2001-01-01 12:34:56 Europe/Berlin", "0A000",
             "a time zone by name is not supported: \"2001-01-01 12:34:56 Europe/Berlin\""});
}

// PostgreSQL has no nanoseconds.
TEST(nanoseconds) {
    ACCEPTED(of(TARN_TYPE_TIMESTAMP_NS),
             {"2001-01-01 00:00:00.123456789", "2001-01-01 00:00:00.123456789"},
             {"1677-09-21 00:12:43.145224192", "1677-09-21 00:12:43.145224192"},
             {"2262-04-11 23:47:16.854775807", "2262-04-11 23:47:16.854775807"});
    ACCEPTED(of(TARN_TYPE_TIMESTAMPTZ_NS),
             {"2001-01-01 00:00:00.5+01", "2000-12-31 23:00:00.5+00"});
    REFUSED(((tarn_type){.id = TARN_TYPE_TIMESTAMP_NS, .precision = 6}),
            {"2262-04-11 23:47:16.8547758", "22008", // would round up to what does not fit
             "timestamp out of range: \"2262-04-11 23:47:16.8547758\""});
    REFUSED(of(TARN_TYPE_TIMESTAMP_NS),
            {"2262-04-11 23:47:16.854775808", "22008",
             "timestamp out of range: \"2262-04-11 23:47:16.854775808\""},
            {"1677-09-21 00:12:43.145224191", "22008",
             "timestamp out of range: \"1677-09-21 00:12:43.145224191\""});
}

TEST(intervals) {
    ACCEPTED(of(TARN_TYPE_INTERVAL), {"1 mon 2 days 03:04:05.5", "1 mon 2 days 03:04:05.5"},
             {"1 year 2 months 3 weeks 4 days 5 hours 6 minutes 7 seconds",
              "1 year 2 mons 25 days 05:06:07"},
             {"5", "00:00:05"}, {"1 2:03", "1 day 02:03:00"}, {"1.5 days", "1 day 12:00:00"},
             {"0.5 months", "15 days"}, {"1.15 years", "1 year 2 mons"},
             {"1.333333 weeks", "9 days 07:59:59.7984"}, {"-1 day +02:03", "-1 days +02:03:00"},
             {"1 mon -1 day 00:00:01", "1 mon -1 days +00:00:01"},
             {"@ 1 day 2 hours ago", "-1 days -02:00:00"}, {"-00:00:00.5", "-00:00:00.5"},
             {"100:00:00", "100:00:00"}, {"1:2.5", "00:01:02.5"}, {"1-2", "1 year 2 mons"},
             {"-1-2 3 04:05:06", "-1 years -2 mons +3 days 04:05:06"}, {"0", "00:00:00"},
             {"1.5 us", "00:00:00.000001"}, {"1 century", "100 years"}, {"5 MIN", "00:05:00"},
             {"1 day, 2 hours", "1 day 02:00:00"},
             {"9223372036854775807 us", "2562047788:00:54.775807"},
             {"2147483647 months", "178956970 years 7 mons"},
             {"P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5"}, {"P1W", "7 days"},
             {"PT36H", "36:00:00"}, {"P-1D", "-1 days"}, {"P1Y-2M", "10 mons"},
             {"P1.5D", "1 day 12:00:00"}, {"PT", "00:00:00"});
    REFUSED(
        of(TARN_TYPE_INTERVAL), {"abc", "22007", "invalid input syntax for type interval: \"abc\""},
        {"", "22007", "invalid input syntax for type interval: \"\""},
        {"1 2", "22007", "invalid input syntax for type interval: \"1 2\""},
        {"1 foo", "22007", "invalid input syntax for type interval: \"1 foo\""},
        {"1 day 1 day", "22007", "invalid input syntax for type interval: \"1 day 1 day\""},
        {"1 hour 03:04", "22007", "invalid input syntax for type interval: \"1 hour 03:04\""},
        {"1 ms 1.5 s", "22007", "invalid input syntax for type interval: \"1 ms 1.5 s\""},
        {"5 ago", "22007", "invalid input syntax for type interval: \"5 ago\""},
        {"P", "22007", "invalid input syntax for type interval: \"P\""},
        {"P1Y2M3D T4H", "22007", "invalid input syntax for type interval: \"P1Y2M3D T4H\""},
        {"infinity", "22007", "invalid input syntax for type interval: \"infinity\""},
        {"03:60", "22015", "interval field value out of range: \"03:60\""},
        {"1-13", "22015", "interval field value out of range: \"1-13\""},
        {"2147483648 days", "22015", "interval field value out of range: \"2147483648 days\""},
        {"2562047789 hours", "22015", "interval field value out of range: \"2562047789 hours\""},
        {"99999999999999999999 days", "22015",
         "interval field value out of range: \"99999999999999999999 days\""},
        {"178956971 years", "22008", "interval out of range"});
}

TEST(bytes) {
    ACCEPTED(of(TARN_TYPE_BYTEA), {"\\xDEAD", "\\xdead"}, {"\\xDE AD", "\\xdead"}, {"\\x", "\\x"},
             {"", "\\x"}, {"abc\\\\d\\001", "\\x6162635c6401"}, {" a ", "\\x206120"});
    REFUSED(of(TARN_TYPE_BYTEA),
            {"\\xD", "22023", "invalid hexadecimal data: odd number of digits"},
            {"\\xZZ", "22023", "invalid hexadecimal digit: \"Z\""},
            {"abc\\9", "22P02", "invalid input syntax for type bytea"},
            {"abc\\", "22P02", "invalid input syntax for type bytea"},
            {"\\400", "22P02", "invalid input syntax for type bytea"});
    REFUSED(((tarn_type){.id = TARN_TYPE_BYTEA, .length = 2}),
            {"abc", "22001", "value too long for type bytea(2)"});
}

TEST(text_keeps_its_spaces_and_its_limit) {
    ACCEPTED(of(TARN_TYPE_TEXT), {"", ""}, {"  a ", "  a "}, {"\xC3\xA9", "\xC3\xA9"});
    tarn_type three = {.id = TARN_TYPE_TEXT, .length = 3};
    ACCEPTED(three, {"abc", "abc"}, {"\xC3\xA9\xC3\xA9\xC3\xA9", "\xC3\xA9\xC3\xA9\xC3\xA9"},
             {"abc   ", "abc"});
    REFUSED(three, {"abcd", "22001", "value too long for type character varying(3)"},
            {"ab  d", "22001", "value too long for type character varying(3)"});
    REFUSED(of(TARN_TYPE_TEXT),
            {"\xFF", "22021", "invalid byte sequence for encoding \"UTF8\": 0xff"},
            {"twelve bytes\xC3", "22021", "invalid byte sequence for encoding \"UTF8\": 0xc3"},
            {"\xC0\x80", "22021", "invalid byte sequence for encoding \"UTF8\": 0xc0"},
            {"\xED\xA0\x80", "22021", "invalid byte sequence for encoding \"UTF8\": 0xed"},
            {"\xF4\x90\x80\x80", "22021", "invalid byte sequence for encoding \"UTF8\": 0xf4"});
    tarn_value value;
    assert_int_equal(tarn_value_parse(of(TARN_TYPE_TEXT), TARN_LIT("a\0b"), NULL, &value, NULL),
                     TARN_INVALID);
    tarn_slice text = TARN_LIT("a view, not a copy");
    assert_int_equal(tarn_value_parse(of(TARN_TYPE_TEXT), text, NULL, &value, NULL), TARN_OK);
    assert_ptr_equal(value.bytes.data, text.data);
}

TEST(null_has_no_text_and_unknown_types_take_none) {
    tarn_buffer out = {0};
    assert_int_equal(tarn_value_format(tarn_value_null(of(TARN_TYPE_TEXT)), &out, NULL), TARN_OK);
    assert_int_equal(out.len, 0);
    tarn_value value;
    assert_int_equal(tarn_value_parse(of(TARN_TYPE_NULL), TARN_LIT("x"), NULL, &value, NULL),
                     TARN_UNSUPPORTED);
    tarn_buffer_free(&out);
}

// Same bits, where comparing would forgive: zeros have a sign, intervals three parts.
static void assert_survived(tarn_value before, tarn_value after) {
    assert_value_equal(after, before);
    bool is_float = before.type.id == TARN_TYPE_REAL || before.type.id == TARN_TYPE_DOUBLE;
    if (is_float && !isnan(before.f64)) {
        assert_int_equal(signbit(after.f64) != 0, signbit(before.f64) != 0);
    }
}

TEST(every_value_survives_its_text) {
    for (int round = 0; round < 20000; round++) {
        tarn_arena arena = test_arena();
        tarn_type type = random_type();
        tarn_value before = random_value(type, &arena);
        tarn_value after;
        tarn_buffer out = {0};
        // Something stands before it, so that the text often ends near the end of the buffer.
        size_t start = test_random_below(300);
        for (size_t i = 0; i < start; i++) assert_true(tarn_buffer_append_byte(&out, '-'));
        assert_int_equal(tarn_value_format(before, &out, NULL), TARN_OK);
        tarn_slice text = tarn_slice_skip(tarn_buffer_slice(&out), start);
        tarn_error err = {0};
        if (tarn_value_parse(type, text, &arena, &after, &err) != TARN_OK) {
            fail_msg("%s", err.message);
        }
        assert_survived(before, after);
        tarn_buffer_free(&out);
        tarn_arena_reset(&arena);
    }
}

// What no column holds but a foreign file may bring still prints, within the room that is there.
TEST(extreme_moments_print) {
    static const int64_t extremes[] = {INT64_MIN, INT64_MIN + 1, -1, INT64_MAX};
    for (int id = 0; id < TARN_TYPE_COUNT; id++) {
        tarn_type type = of((tarn_type_id)id);
        if (tarn_type_physical(type) != TARN_PHYSICAL_I64 && id != TARN_TYPE_DATE) continue;
        for (size_t i = 0; i < COUNT_OF(extremes); i++) {
            tarn_buffer out = {0};
            int64_t number = id == TARN_TYPE_DATE ? (int32_t)(extremes[i] >> 32) : extremes[i];
            tarn_value value = {.type = type, .i64 = number};
            assert_int_equal(tarn_value_format(value, &out, NULL), TARN_OK);
            assert_true(out.len > 0);
            tarn_buffer_free(&out);
        }
    }
    tarn_buffer out = {0};
    tarn_value longest = {.type = of(TARN_TYPE_INTERVAL),
                          .interval = {INT32_MIN, INT32_MIN, INT64_MIN}};
    assert_int_equal(tarn_value_format(longest, &out, NULL), TARN_OK);
    assert_true(tarn_buffer_append_byte(&out, 0));
    assert_string_equal((const char *)out.data,
                        "-178956970 years -8 mons -2147483648 days -2562047788:00:54.775808");
    tarn_buffer_free(&out);
}

TEST(a_full_buffer_is_reported_and_keeps_what_it_has) {
    for (int id = 1; id < TARN_TYPE_COUNT; id++) {
        tarn_arena arena = test_arena();
        tarn_value value = random_value(of((tarn_type_id)id), &arena);
        if (tarn_type_is_string(value.type)) value.bytes = TARN_LIT("abc");
        tarn_buffer out = {.limit_bytes = 3};
        assert_true(tarn_buffer_append(&out, TARN_LIT("xy")));
        assert_int_equal(tarn_value_format(value, &out, NULL), TARN_NO_MEMORY);
        assert_int_equal(out.len, 2);
        tarn_buffer_free(&out);
        tarn_arena_reset(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(booleans),
        cmocka_unit_test(integers),
        cmocka_unit_test(floating_point),
        cmocka_unit_test(long_floating_point),
        cmocka_unit_test(numerics),
        cmocka_unit_test(dates),
        cmocka_unit_test(times),
        cmocka_unit_test(timestamps),
        cmocka_unit_test(instants),
        cmocka_unit_test(nanoseconds),
        cmocka_unit_test(intervals),
        cmocka_unit_test(bytes),
        cmocka_unit_test(text_keeps_its_spaces_and_its_limit),
        cmocka_unit_test(null_has_no_text_and_unknown_types_take_none),
        cmocka_unit_test(every_value_survives_its_text),
        cmocka_unit_test(extreme_moments_print),
        cmocka_unit_test(a_full_buffer_is_reported_and_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
