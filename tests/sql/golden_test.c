// Statements and what becomes of them: plans, their properties, and errors, word for word.
//
// A golden file is a list of blocks: a statement, a line "----", what is expected, a line "====".
// TARN_GOLDEN_WRITE=1 in the environment writes what is there now; look at the difference.

#include <stdio.h>

#include "tests/sql/describe.h"
#include "tests/sql/fake_catalog.h"
#include "tests/test.h"

static tarn_buffer read_file(const char *path) {
    tarn_buffer text = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) return text;
    char block[4096];
    for (size_t len; (len = fread(block, 1, sizeof block, file)) > 0;) {
        say_slice(&text, (tarn_slice){(const uint8_t *)block, len});
    }
    (void)fclose(file); // only read
    return text;
}

static void describe(const tarn_catalog_reader *catalog, tarn_slice sql, tarn_buffer *out) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, 64 << 20);
    const tarn_statement *statement = NULL;
    tarn_error err = {0};
    if (tarn_sql_prepare(sql, catalog, &arena, &statement, &err) == TARN_OK) {
        describe_statement(statement, out);
    } else {
        describe_error(&err, out);
    }
    tarn_arena_reset(&arena);
}

// The text up to the line `mark`, which is taken too.
static tarn_slice take_until(tarn_slice *rest, const char *mark) {
    tarn_slice line = tarn_slice_from_cstr(mark);
    for (size_t i = 0; i < rest->len; i++) {
        bool at_line_start = i == 0 || rest->data[i - 1] == '\n';
        if (!at_line_start || !tarn_slice_starts_with(tarn_slice_skip(*rest, i), line)) continue;
        tarn_slice taken = tarn_slice_head(*rest, i);
        *rest = tarn_slice_skip(*rest, i + line.len);
        return taken;
    }
    tarn_slice taken = *rest;
    *rest = (tarn_slice){0};
    return taken;
}

static void check_golden(const char *path) {
    fake_catalog catalog;
    fake_catalog_init(&catalog);
    tarn_buffer golden = read_file(path);
    tarn_buffer written = {0};
    tarn_slice rest = tarn_buffer_slice(&golden);
    size_t blocks = 0;
    size_t differences = 0;
    while (rest.len > 0) {
        tarn_slice sql = take_until(&rest, "----\n");
        tarn_slice expected = take_until(&rest, "====\n");
        tarn_buffer actual = {0};
        describe(&catalog.reader, sql, &actual);
        blocks++;
        if (!tarn_slice_equal(expected, tarn_buffer_slice(&actual))) {
            differences++;
            print_message("%s:\n" TARN_SLICE_FMT "expected:\n" TARN_SLICE_FMT
                          "actual:\n" TARN_SLICE_FMT,
                          path, TARN_SLICE_ARG(sql), TARN_SLICE_ARG(expected),
                          TARN_SLICE_ARG(tarn_buffer_slice(&actual)));
        }
        say_slice(&written, sql);
        say(&written, "----\n");
        say_slice(&written, tarn_buffer_slice(&actual));
        say(&written, "====\n");
        tarn_buffer_free(&actual);
    }
    if (getenv("TARN_GOLDEN_WRITE") != NULL) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(written.data, 1, written.len, file), written.len);
        assert_int_equal(fclose(file), 0);
        differences = 0;
    }
    tarn_buffer_free(&golden);
    tarn_buffer_free(&written);
    assert_true(blocks > 0);
    assert_int_equal(differences, 0);
}

TEST(view_dwd_flights_joins_on_the_key_of_airports) {
    check_golden("tests/golden/explain/dwd_flights.txt");
}

TEST(view_dws_airport_hour_emits_when_its_hour_closes) {
    check_golden("tests/golden/explain/dws_airport_hour.txt");
}

TEST(view_dws_route_day_is_keyed_by_its_groups) {
    check_golden("tests/golden/explain/dws_route_day.txt");
}

TEST(view_ads_worst_airports_takes_its_limit_from_the_rank) {
    check_golden("tests/golden/explain/ads_worst_airports.txt");
}

TEST(queries_become_the_plans_in_the_golden_file) {
    check_golden("tests/golden/explain/queries.txt");
}

TEST(properties_of_views_follow_from_their_inputs) {
    check_golden("tests/golden/explain/properties.txt");
}

TEST(statements_are_read_as_they_are_meant) {
    check_golden("tests/golden/sql/statements.txt");
}

TEST(names_that_are_wrong_are_explained) {
    check_golden("tests/golden/sql/errors_names.txt");
}

TEST(queries_that_are_wrong_are_explained) {
    check_golden("tests/golden/sql/errors_queries.txt");
}

TEST(definitions_that_are_wrong_are_explained) {
    check_golden("tests/golden/sql/errors_definitions.txt");
}

TEST(what_is_not_supported_is_named) {
    check_golden("tests/golden/sql/unsupported.txt");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(view_dwd_flights_joins_on_the_key_of_airports),
        cmocka_unit_test(view_dws_airport_hour_emits_when_its_hour_closes),
        cmocka_unit_test(view_dws_route_day_is_keyed_by_its_groups),
        cmocka_unit_test(view_ads_worst_airports_takes_its_limit_from_the_rank),
        cmocka_unit_test(queries_become_the_plans_in_the_golden_file),
        cmocka_unit_test(properties_of_views_follow_from_their_inputs),
        cmocka_unit_test(statements_are_read_as_they_are_meant),
        cmocka_unit_test(names_that_are_wrong_are_explained),
        cmocka_unit_test(queries_that_are_wrong_are_explained),
        cmocka_unit_test(definitions_that_are_wrong_are_explained),
        cmocka_unit_test(what_is_not_supported_is_named),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
