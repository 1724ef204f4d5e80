#include "format/text/parse.h"

#include "tests/format/rows.h"

static const tarn_type_id ids[] = {
    TARN_TYPE_BOOLEAN, TARN_TYPE_SMALLINT,  TARN_TYPE_INTEGER,     TARN_TYPE_BIGINT,
    TARN_TYPE_REAL,    TARN_TYPE_DOUBLE,    TARN_TYPE_NUMERIC,     TARN_TYPE_DATE,
    TARN_TYPE_TIME,    TARN_TYPE_TIMESTAMP, TARN_TYPE_TIMESTAMPTZ, TARN_TYPE_TEXT,
};

static tarn_type random_type(void) {
    tarn_type_id id = ids[test_random_below(sizeof ids / sizeof ids[0])];
    if (id == TARN_TYPE_NUMERIC) {
        int precision = 1 + (int)test_random_below(38);
        return tarn_type_numeric(precision, (int)test_random_below((size_t)precision + 1));
    }
    tarn_type type = tarn_type_of(id);
    if (id == TARN_TYPE_TIMESTAMP || id == TARN_TYPE_TIME) {
        type.precision = (uint8_t)test_random_below(7);
    }
    if (id == TARN_TYPE_TEXT) type.length = (uint32_t)test_random_below(5);
    return type;
}

static size_t accepted_count;

// What the short cut accepts is what the long way gives.
static void check(tarn_type type, tarn_slice text, tarn_arena *arena) {
    tarn_string slot = {0}; // room for any value, aligned
    if (!text_parse(type, text, &slot)) return;
    accepted_count++;
    tarn_vector vector = {.type = type, .kind = TARN_VECTOR_FLAT, .data = &slot};
    tarn_value quick = tarn_vector_get(&vector, 0);
    tarn_value slow = {0};
    tarn_error err = {0};
    if (tarn_value_parse(type, text, arena, &slow, &err) != TARN_OK) {
        fail_msg("type %d: '" TARN_SLICE_FMT "': %s", type.id, TARN_SLICE_ARG(text), err.message);
    }
    if (tarn_value_compare(quick, slow) != 0) {
        fail_msg("type %d: '" TARN_SLICE_FMT "' differs", type.id, TARN_SLICE_ARG(text));
    }
}

TEST(values_as_they_are_written_are_read_as_the_long_way_does) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, 1 << 26);
    tarn_buffer text = {0};
    for (int round = 0; round < 20000; round++) {
        tarn_type type = random_type();
        tarn_value value = test_random_value(type, &arena);
        tarn_buffer_clear(&text);
        assert_int_equal(tarn_value_format(value, &text, NULL), TARN_OK);
        check(type, tarn_buffer_slice(&text), &arena);
        // And as another type, and with a byte changed.
        check(random_type(), tarn_buffer_slice(&text), &arena);
        if (text.len > 0) {
            static const char bytes[] = "0123456789.-+: TZe\200";
            text.data[test_random_below(text.len)] = (uint8_t)bytes[test_random_below(18)];
            check(type, tarn_buffer_slice(&text), &arena);
        }
        tarn_arena_clear(&arena);
    }
    assert_true(accepted_count > 20000);
    tarn_buffer_free(&text);
    tarn_arena_reset(&arena);
}

TEST(texts_of_few_characters_are_read_as_the_long_way_does) {
    static const char bytes[] = "0123456789.-:T ";
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, 1 << 26);
    for (int round = 0; round < 50000; round++) {
        uint8_t text[12];
        size_t len = test_random_below(sizeof text);
        for (size_t i = 0; i < len; i++) {
            text[i] = (uint8_t)bytes[test_random_below(sizeof bytes - 1)];
        }
        check(random_type(), (tarn_slice){text, len}, &arena);
        tarn_arena_clear(&arena);
    }
    tarn_arena_reset(&arena);
}

// The common spellings do not take the detour; that is why this exists.
TEST(common_spellings_are_accepted) {
    static const struct {
        tarn_type_id id;
        const char *text;
    } common[] = {
        {TARN_TYPE_BOOLEAN, "true"},
        {TARN_TYPE_INTEGER, "-2147483648"},
        {TARN_TYPE_BIGINT, "123456789012345678"},
        {TARN_TYPE_DOUBLE, "-12.75"},
        {TARN_TYPE_REAL, "0.5"},
        {TARN_TYPE_NUMERIC, "19.99"},
        {TARN_TYPE_DATE, "2000-02-29"},
        {TARN_TYPE_TIME, "23:59:59.999999"},
        {TARN_TYPE_TIMESTAMP, "1969-12-31 23:59:59.5"},
        {TARN_TYPE_TIMESTAMP, "2024-05-14T12:00:00"},
        {TARN_TYPE_TIMESTAMPTZ, "2024-05-14 12:00:00+00"},
        {TARN_TYPE_TIMESTAMPTZ, "2024-05-14T12:00:00.123Z"},
        {TARN_TYPE_TEXT, "plain"},
    };
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        tarn_string slot = {0};
        tarn_slice text = tarn_slice_from_cstr(common[i].text);
        assert_true(text_parse(tarn_type_of(common[i].id), text, &slot));
    }
}

TEST(what_needs_care_is_left_to_the_long_way) {
    static const struct {
        tarn_type_id id;
        const char *text;
    } rare[] = {
        {TARN_TYPE_BOOLEAN, "TRUE"},
        {TARN_TYPE_SMALLINT, "32768"},
        {TARN_TYPE_INTEGER, "2147483648"},
        {TARN_TYPE_BIGINT, "9223372036854775807"},
        {TARN_TYPE_BIGINT, ""},
        {TARN_TYPE_BIGINT, "-"},
        {TARN_TYPE_BIGINT, " 1"},
        {TARN_TYPE_DOUBLE, "0.12345678901234567"},
        {TARN_TYPE_DOUBLE, "-0"},
        {TARN_TYPE_DOUBLE, "1e5"},
        {TARN_TYPE_DOUBLE, "1."},
        {TARN_TYPE_REAL, "16777217"},
        {TARN_TYPE_DATE, "1900-02-29"},
        {TARN_TYPE_DATE, "2024-13-01"},
        {TARN_TYPE_TIME, "24:00:00"},
        {TARN_TYPE_TIMESTAMP, "2024-05-14 12:00:00Z"},
        {TARN_TYPE_TIMESTAMP, "2024-05-14"},
        {TARN_TYPE_TIMESTAMPTZ, "2024-05-14 12:00:00+02"},
        {TARN_TYPE_TEXT, "\303\251"},
        {TARN_TYPE_BYTEA, "\\x00"},
        {TARN_TYPE_NUMERIC, "1.00000000001"}, // rounds
        // One digit more than always fits, and more than an int64 holds.
        {TARN_TYPE_DOUBLE, "9999999999999999999"},
        {TARN_TYPE_NUMERIC, "-9999999999999999999"},
        {TARN_TYPE_REAL, "9999999999999999999"},
        {TARN_TYPE_BIGINT, "9999999999999999999"},
    };
    for (size_t i = 0; i < sizeof rare / sizeof rare[0]; i++) {
        tarn_string slot = {0};
        tarn_slice text = tarn_slice_from_cstr(rare[i].text);
        assert_false(text_parse(tarn_type_of(rare[i].id), text, &slot));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_as_they_are_written_are_read_as_the_long_way_does),
        cmocka_unit_test(texts_of_few_characters_are_read_as_the_long_way_does),
        cmocka_unit_test(common_spellings_are_accepted),
        cmocka_unit_test(what_needs_care_is_left_to_the_long_way),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
