// Types, values, the calendar and schemas.
#include "tests/column/helpers.h"

static void assert_type_name(tarn_type type, const char *name) {
    tarn_buffer out = {0};
    assert_int_equal(tarn_type_format(type, &out, NULL), TARN_OK);
    assert_int_equal(out.len, strlen(name));
    assert_memory_equal(out.data, name, out.len);
    tarn_buffer_free(&out);
}

TEST(types_are_spelled_as_postgresql_does) {
    static const char *const defaults[TARN_TYPE_COUNT] = {"unknown",
                                                          "boolean",
                                                          "smallint",
                                                          "integer",
                                                          "bigint",
                                                          "real",
                                                          "double precision",
                                                          "numeric(38,10)",
                                                          "date",
                                                          "time without time zone",
                                                          "timestamp without time zone",
                                                          "timestamp with time zone",
                                                          "text",
                                                          "bytea",
                                                          "interval",
                                                          "timestamp(9) without time zone",
                                                          "timestamp(9) with time zone"};
    for (int id = 0; id < TARN_TYPE_COUNT; id++) {
        assert_type_name(tarn_type_of((tarn_type_id)id), defaults[id]);
    }
    assert_type_name(tarn_type_numeric(10, 2), "numeric(10,2)");
    assert_type_name((tarn_type){.id = TARN_TYPE_TIMESTAMPTZ, .precision = 3},
                     "timestamp(3) with time zone");
    assert_type_name((tarn_type){.id = TARN_TYPE_TIME, .precision = 0},
                     "time(0) without time zone");
    assert_type_name((tarn_type){.id = TARN_TYPE_TEXT, .length = 3}, "character varying(3)");
}

TEST(types_are_equal_when_what_matters_to_them_is) {
    assert_true(tarn_type_equal(tarn_type_numeric(10, 2), tarn_type_numeric(10, 2)));
    assert_false(tarn_type_equal(tarn_type_numeric(10, 2), tarn_type_numeric(10, 3)));
    assert_false(tarn_type_equal(tarn_type_of(TARN_TYPE_TEXT),
                                 (tarn_type){.id = TARN_TYPE_TEXT, .length = 3}));
    assert_false(tarn_type_equal(tarn_type_of(TARN_TYPE_TIMESTAMP),
                                 (tarn_type){.id = TARN_TYPE_TIMESTAMP, .precision = 3}));
    assert_true(tarn_type_equal(tarn_type_of(TARN_TYPE_DATE),
                                (tarn_type){.id = TARN_TYPE_DATE, .precision = 3}));
    assert_false(tarn_type_equal(tarn_type_of(TARN_TYPE_INTEGER), tarn_type_of(TARN_TYPE_BIGINT)));
}

TEST(numerics_grow_from_64_to_128_bits_at_19_digits) {
    assert_int_equal(tarn_type_physical(tarn_type_numeric(18, 0)), TARN_PHYSICAL_I64);
    assert_int_equal(tarn_type_physical(tarn_type_numeric(19, 0)), TARN_PHYSICAL_I128);
    assert_int_equal(tarn_type_width(tarn_type_numeric(38, 0)), 16);
}

TEST(powers_of_ten_multiply_up) {
    tarn_int128 power = 1;
    for (int i = 0; i <= 38; i++) {
        assert_true(tarn_power_of_ten(i) == power);
        if (i < 38) power *= 10;
    }
}

// ---- values ----

static tarn_value of_double(double number) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_DOUBLE), .f64 = number};
}

static tarn_value of_interval(int32_t months, int32_t days, int64_t us) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_INTERVAL), .interval = {months, days, us}};
}

static tarn_value of_text(const char *text) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = tarn_slice_from_cstr(text)};
}

static int sign(int number) {
    return (number > 0) - (number < 0);
}

TEST(values_have_the_order_of_the_contract) {
    assert_int_equal(tarn_value_compare(of_double(-0.0), of_double(0.0)), 0);
    assert_int_equal(tarn_value_compare(of_double((double)NAN), of_double(HUGE_VAL)), 1);
    assert_int_equal(tarn_value_compare(of_double((double)NAN), of_double((double)NAN)), 0);
    assert_int_equal(tarn_value_compare(of_double(-HUGE_VAL), of_double((double)NAN)), -1);
    assert_int_equal(tarn_value_compare(of_interval(1, 0, 0), of_interval(0, 30, 0)), 0);
    assert_int_equal(tarn_value_compare(of_interval(0, 1, 0), of_interval(0, 0, 86399999999)), 1);
    assert_int_equal(sign(tarn_value_compare(of_text("a"), of_text("ab"))), -1);
    assert_int_equal(sign(tarn_value_compare(of_text("\xC3"), of_text("z"))), 1);
    tarn_value null = tarn_value_null(tarn_type_of(TARN_TYPE_TEXT));
    assert_int_equal(tarn_value_compare(null, of_text("")), -1);
    assert_int_equal(tarn_value_compare(of_text(""), null), 1);
    assert_int_equal(tarn_value_compare(null, null), 0);
}

TEST(comparing_is_a_total_order) {
    for (int round = 0; round < 2000; round++) {
        tarn_arena arena = test_arena();
        tarn_type type = random_type();
        tarn_value a = random_value_or_null(type, &arena);
        tarn_value b = random_value_or_null(type, &arena);
        tarn_value c = random_value_or_null(type, &arena);
        int ab = sign(tarn_value_compare(a, b));
        int bc = sign(tarn_value_compare(b, c));
        assert_int_equal(ab, -sign(tarn_value_compare(b, a)));
        assert_int_equal(tarn_value_compare(a, a), 0);
        if (ab <= 0 && bc <= 0) assert_true(tarn_value_compare(a, c) <= 0);
        tarn_arena_reset(&arena);
    }
}

TEST(strings_compare_as_their_bytes) {
    for (int round = 0; round < 2000; round++) {
        tarn_arena arena = test_arena();
        tarn_slice a = random_bytes(&arena, false);
        tarn_slice b = random_bytes(&arena, false);
        if (test_random_below(4) == 0) assert_true(tarn_arena_copy(&arena, a, &b));
        tarn_string view_a = tarn_string_view(a);
        tarn_string view_b = tarn_string_view(b);
        assert_true(tarn_slice_equal(tarn_string_slice(&view_a), a));
        assert_int_equal(tarn_string_equal(&view_a, &view_b), tarn_slice_equal(a, b));
        assert_int_equal(sign(tarn_string_compare(&view_a, &view_b)),
                         sign(tarn_slice_compare(a, b)));
        tarn_arena_reset(&arena);
    }
}

TEST(a_copied_value_outlives_its_bytes) {
    tarn_arena arena = test_arena();
    char bytes[] = "written over";
    tarn_value copy;
    assert_int_equal(tarn_value_copy(of_text(bytes), &arena, &copy, NULL), TARN_OK);
    memset(bytes, 'x', sizeof bytes - 1);
    assert_int_equal(tarn_value_compare(copy, of_text("written over")), 0);
    tarn_arena_reset(&arena);
}

// ---- calendar ----

static bool is_leap(int64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// Counts days one by one, the way a person would, over two eras on both sides of year 0.
TEST(the_calendar_agrees_with_counting_days) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int32_t days = tarn_days_from_civil(-801, 1, 1);
    for (int64_t year = -801; year <= 2400; year++) {
        for (int month = 1; month <= 12; month++) {
            int length = lengths[month - 1] + (month == 2 && is_leap(year));
            for (int day = 1; day <= length; day++, days++) {
                int64_t got_year;
                int got_month;
                int got_day;
                tarn_civil_from_days(days, &got_year, &got_month, &got_day);
                if (got_year != year || got_month != month || got_day != day ||
                    tarn_days_from_civil(year, month, day) != days) {
                    fail_msg("day %d is not %lld-%d-%d", days, (long long)year, month, day);
                }
            }
        }
    }
    assert_int_equal(tarn_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(tarn_days_from_civil(2000, 3, 1), 11017);
}

TEST(the_calendar_reaches_every_day_of_an_int32) {
    static const int32_t corners[] = {INT32_MIN, INT32_MIN + 1, -719469, -719468, INT32_MAX};
    for (size_t i = 0; i < sizeof corners / sizeof corners[0]; i++) {
        int64_t year;
        int month;
        int day;
        tarn_civil_from_days(corners[i], &year, &month, &day);
        assert_int_equal(tarn_days_from_civil(year, month, day), corners[i]);
    }
}

// ---- schemas ----

TEST(schemas_are_searched_and_copied) {
    tarn_arena arena = test_arena();
    char name[] = "origin";
    tarn_field fields[] = {
        {.name = TARN_LIT("delay"), .type = tarn_type_of(TARN_TYPE_INTEGER), .id = -1},
        {.name = tarn_slice_from_cstr(name), .type = tarn_type_of(TARN_TYPE_TEXT), .id = 7}};
    tarn_schema schema = {fields, 2};
    tarn_schema copy;
    assert_int_equal(tarn_schema_copy(&schema, &arena, &copy, NULL), TARN_OK);
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(tarn_schema_find(&copy, TARN_LIT("origin")), 1);
    assert_int_equal(copy.fields[1].id, 7);
    assert_int_equal(tarn_schema_find(&copy, TARN_LIT("Origin")), -1);
    assert_int_equal(tarn_schema_find(&schema, TARN_LIT("origin")), -1);
    tarn_arena_reset(&arena);
}

TEST(near_names_are_found_and_far_ones_are_not) {
    const tarn_slice names[] = {TARN_LIT("origin"), TARN_LIT("destination"), TARN_LIT("delay"),
                                TARN_LIT("a")};
    assert_int_equal(tarn_nearest_name(TARN_LIT("orgin"), names, 4), 0);
    assert_int_equal(tarn_nearest_name(TARN_LIT("ORIGIN"), names, 4), 0);
    assert_int_equal(tarn_nearest_name(TARN_LIT("destinatoin"), names, 4), 1);
    assert_int_equal(tarn_nearest_name(TARN_LIT("dealy"), names, 4), 2);
    assert_int_equal(tarn_nearest_name(TARN_LIT("carrier"), names, 4), -1);
    assert_int_equal(tarn_nearest_name(TARN_LIT("b"), names, 4), -1);
    assert_int_equal(tarn_nearest_name(TARN_LIT(""), names, 4), -1);
    assert_int_equal(tarn_nearest_name(TARN_LIT("origin"), names, 0), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_spelled_as_postgresql_does),
        cmocka_unit_test(types_are_equal_when_what_matters_to_them_is),
        cmocka_unit_test(numerics_grow_from_64_to_128_bits_at_19_digits),
        cmocka_unit_test(powers_of_ten_multiply_up),
        cmocka_unit_test(values_have_the_order_of_the_contract),
        cmocka_unit_test(comparing_is_a_total_order),
        cmocka_unit_test(strings_compare_as_their_bytes),
        cmocka_unit_test(a_copied_value_outlives_its_bytes),
        cmocka_unit_test(the_calendar_agrees_with_counting_days),
        cmocka_unit_test(the_calendar_reaches_every_day_of_an_int32),
        cmocka_unit_test(schemas_are_searched_and_copied),
        cmocka_unit_test(near_names_are_found_and_far_ones_are_not),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
