// The life of a table, told in small: create, write, commit, read, delete, travel in time.
#include "tests/lake/helpers.h"

static const test_column COLUMNS[] = {{"id", TARN_TYPE_BIGINT, false},
                                      {"name", TARN_TYPE_TEXT, false},
                                      {"day", TARN_TYPE_DATE, false}};

static fixture new_table(const char *primary, const char *partition, const char *const *options) {
    test_definition d;
    return fixture_new(define(&d, COLUMNS, 3, primary, partition, options));
}

TEST(an_empty_table_has_no_rows) {
    fixture f = new_table(NULL, NULL, NULL);
    assert_no_rows(read_snapshot(f.table, 0));
    fixture_free(&f);
}

TEST(appended_rows_are_read_back) {
    fixture f = new_table(NULL, NULL, NULL);
    PUT(&f, "+I|1|one|2001-01-01", "+I|2|\\N|\\N");
    PUT(&f, "+I|1|one|2001-01-01");
    assert_rows(read_snapshot(f.table, 0), "1|one|2001-01-01", "1|one|2001-01-01", "2|\\N|\\N");
    fixture_reopen(&f);
    assert_rows(read_snapshot(f.table, 0), "1|one|2001-01-01", "1|one|2001-01-01", "2|\\N|\\N");
    fixture_free(&f);
}

TEST(every_snapshot_stays_readable) {
    fixture f = new_table(NULL, NULL, NULL);
    int64_t first = PUT(&f, "+I|1|one|2001-01-01");
    int64_t second = PUT(&f, "+I|2|two|2001-01-02");
    assert_int_equal(second, first + 1);
    assert_rows(read_snapshot(f.table, first), "1|one|2001-01-01");
    assert_rows(read_snapshot(f.table, second), "1|one|2001-01-01", "2|two|2001-01-02");
    fixture_free(&f);
}

TEST(a_deletion_takes_one_equal_row) {
    fixture f = new_table(NULL, NULL, NULL);
    PUT(&f, "+I|1|one|2001-01-01", "+I|1|one|2001-01-01", "+I|2|two|2001-01-02");
    int64_t id = PUT(&f, "-D|1|one|2001-01-01", "+I|3|three|\\N");
    assert_rows(read_snapshot(f.table, 0), "1|one|2001-01-01", "2|two|2001-01-02", "3|three|\\N");
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_snapshot snapshot;
    bool found = false;
    assert_ok(tarn_table_snapshot(f.table, id, &arena, &snapshot, &found, &test_error));
    assert_true(found);
    assert_true(tarn_slice_equal(snapshot.commit_kind, TARN_LIT("OVERWRITE")));
    assert_int_equal(snapshot.total_row_count, 3);
    tarn_arena_reset(&arena);
    fixture_free(&f);
}

TEST(rows_of_one_commit_can_cancel) {
    fixture f = new_table(NULL, NULL, NULL);
    PUT(&f, "+I|1|one|2001-01-01", "+I|2|two|\\N", "-D|1|one|2001-01-01");
    assert_rows(read_snapshot(f.table, 0), "2|two|\\N");
    fixture_free(&f);
}

TEST(deleting_what_is_not_there_is_a_conflict) {
    fixture f = new_table(NULL, NULL, NULL);
    PUT(&f, "+I|1|one|2001-01-01");
    int64_t id = 0;
    const char *rows[] = {"-D|2|one|2001-01-01"};
    assert_int_equal(commit_rows(f.table, "u", 1, rows, 1, &id), TARN_CONFLICT);
    assert_rows(read_snapshot(f.table, 0), "1|one|2001-01-01");
    fixture_free(&f);
}

TEST(the_last_row_of_a_key_wins) {
    fixture f = new_table("id", NULL, NULL);
    PUT(&f, "+I|1|a|\\N", "+I|2|b|\\N", "+U|1|c|\\N");
    assert_rows(read_snapshot(f.table, 0), "1|c|\\N", "2|b|\\N");
    PUT(&f, "+U|2|d|\\N", "-D|1|\\N|\\N", "+I|3|e|\\N");
    assert_rows(read_snapshot(f.table, 0), "2|d|\\N", "3|e|\\N");
    fixture_reopen(&f);
    PUT(&f, "+I|1|f|\\N", "-U|2|d|\\N");
    assert_rows(read_snapshot(f.table, 0), "1|f|\\N", "2|d|\\N", "3|e|\\N");
    fixture_free(&f);
}

TEST(sequence_fields_decide_before_arrival) {
    const char *options[] = {"sequence.field=day", NULL};
    fixture f = new_table("id", NULL, options);
    PUT(&f, "+I|1|new|2001-01-02", "+I|1|old|2001-01-01", "+I|2|x|\\N");
    assert_rows(read_snapshot(f.table, 0), "1|new|2001-01-02", "2|x|\\N");
    PUT(&f, "+I|1|older|2000-01-01", "+I|2|y|2001-01-01");
    assert_rows(read_snapshot(f.table, 0), "1|new|2001-01-02", "2|y|2001-01-01");
    PUT(&f, "+I|1|same day, later|2001-01-02", "-D|2|y|2000-01-01");
    assert_rows(read_snapshot(f.table, 0), "1|same day, later|2001-01-02", "2|y|2001-01-01");
    fixture_free(&f);
}

TEST(partitions_and_buckets_hold_the_same_rows) {
    const char *options[] = {"bucket=3", NULL};
    fixture f = new_table("id,name", "name", options);
    PUT(&f, "+I|1|a|\\N", "+I|2|a|\\N", "+I|3|b|\\N", "+I|4|c/d e|\\N");
    PUT(&f, "-D|2|a|\\N", "+U|3|b|2001-01-01");
    assert_rows(read_snapshot(f.table, 0), "1|a|\\N", "3|b|2001-01-01", "4|c/d e|\\N");
    fixture_free(&f);
}

TEST(a_commit_takes_effect_once) {
    fixture f = new_table(NULL, NULL, NULL);
    const char *rows[] = {"+I|1|one|2001-01-01"};
    int64_t first = 0;
    int64_t again = 0;
    assert_ok(commit_rows(f.table, "job", 1, rows, 1, &first));
    assert_ok(commit_rows(f.table, "other", 1, rows, 1, &again));
    assert_int_equal(again, first + 1);
    assert_ok(commit_rows(f.table, "job", 1, rows, 1, &again));
    assert_int_equal(again, first);
    fixture_reopen(&f);
    assert_ok(commit_rows(f.table, "job", 1, rows, 1, &again));
    assert_int_equal(again, first);
    assert_rows(read_snapshot(f.table, 0), "1|one|2001-01-01", "1|one|2001-01-01");
    fixture_free(&f);
}

TEST(closing_a_dropped_table_leaves_nothing_behind) {
    fixture f = new_table(NULL, NULL, NULL);
    PUT(&f, "+I|1|one|\\N");
    PUT(&f, "+I|2|two|\\N");
    assert_ok(tarn_table_drop(f.store, TABLE_PATH, &tarn_alloc_libc, &test_error));
    tarn_table_close(f.table);
    f.table = NULL;
    tarn_file_info info;
    assert_ok(tarn_store_stat(f.store, TABLE_PATH, &info, &test_error));
    assert_false(info.exists);
    fixture_free(&f);
}

TEST(the_newest_version_by_time_is_found) {
    fixture f = new_table(NULL, NULL, NULL);
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    PUT(&f, "+I|1|one|\\N");
    tarn_snapshot first;
    tarn_snapshot snapshot;
    bool found = false;
    assert_ok(tarn_table_latest_snapshot(f.table, &arena, &first, &found, &test_error));
    tarn_sim_advance_us(f.sim, 5000000);
    PUT(&f, "+I|2|two|\\N");
    assert_ok(
        tarn_table_snapshot_at(f.table, first.time_us - 1, &arena, &snapshot, &found, &test_error));
    assert_false(found);
    assert_ok(tarn_table_snapshot_at(f.table, first.time_us + 4000000, &arena, &snapshot, &found,
                                     &test_error));
    assert_true(found);
    assert_int_equal(snapshot.id, 1);
    assert_ok(tarn_table_snapshot_at(f.table, INT64_MAX, &arena, &snapshot, &found, &test_error));
    assert_int_equal(snapshot.id, 2);
    tarn_arena_reset(&arena);
    fixture_free(&f);
}

TEST(watermarks_never_go_back_and_properties_are_kept) {
    fixture f = new_table(NULL, NULL, NULL);
    const tarn_option properties[] = {{TARN_LIT("cut"), TARN_LIT("7")}};
    tarn_table_commit_request request = {.commit_user = TARN_LIT("job"),
                                         .commit_identifier = 1,
                                         .create_empty = true,
                                         .watermark_us = 5000,
                                         .properties = properties,
                                         .property_count = 1};
    int64_t id = 0;
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_snapshot snapshot;
    bool found = false;
    assert_ok(tarn_table_commit(f.table, &request, &id, &test_error));
    request.commit_identifier = 2;
    request.watermark_us = 3000;
    request.property_count = 0;
    assert_ok(tarn_table_commit(f.table, &request, &id, &test_error));
    assert_ok(tarn_table_snapshot(f.table, id, &arena, &snapshot, &found, &test_error));
    assert_int_equal(snapshot.watermark_us, 5000);
    assert_int_equal(snapshot.property_count, 0);
    assert_ok(tarn_table_snapshot(f.table, 1, &arena, &snapshot, &found, &test_error));
    assert_true(
        tarn_slice_equal(tarn_snapshot_property(&snapshot, TARN_LIT("cut")), TARN_LIT("7")));
    request.commit_identifier = 3;
    request.create_empty = false;
    assert_ok(tarn_table_commit(f.table, &request, &id, &test_error));
    assert_int_equal(id, 2); // nothing to add: the latest
    tarn_arena_reset(&arena);
    fixture_free(&f);
}

TEST(wrong_rows_are_refused_by_name) {
    fixture f = new_table("id", NULL, NULL);
    int64_t id = 0;
    const char *rows[] = {"+I|\\N|x|\\N"};
    assert_int_equal(commit_rows(f.table, "u", 1, rows, 1, &id), TARN_INVALID);
    assert_non_null(strstr(test_error.message, "\"id\""));
    assert_string_equal(test_error.sqlstate, "23502");
    fixture_free(&f);
}

TEST(a_projection_reads_the_columns_asked_for) {
    fixture f = new_table("id", NULL, NULL);
    PUT(&f, "+I|1|a|2001-01-01", "+I|2|b|\\N");
    PUT(&f, "+U|1|c|\\N");
    const size_t columns[] = {1};
    tarn_table_scan_options options = {.columns = columns, .column_count = 1};
    text_list rows = {0};
    assert_ok(scan_rows(f.table, &options, &rows, NULL));
    assert_rows(rows, "c", "b");
    options = (tarn_table_scan_options){.no_columns = true};
    rows = (text_list){0};
    assert_ok(scan_rows(f.table, &options, &rows, NULL));
    assert_rows(rows, "", "");
    fixture_free(&f);
}

TEST(changes_of_an_append_table_are_what_was_committed) {
    fixture f = new_table(NULL, NULL, NULL);
    int64_t first = PUT(&f, "+I|1|one|\\N", "+I|2|two|\\N");
    int64_t second = PUT(&f, "+I|3|three|\\N");
    int64_t third = PUT(&f, "-D|1|one|\\N");
    assert_rows(read_changes(f.table, 0, first), "+I|1|one|\\N", "+I|2|two|\\N");
    assert_rows(read_changes(f.table, first, second), "+I|3|three|\\N");
    assert_rows(read_changes(f.table, second, third), "-D|1|one|\\N");
    assert_rows(read_changes(f.table, first, third), "+I|3|three|\\N", "-D|1|one|\\N");
    assert_no_rows(read_changes(f.table, third, third));
    fixture_free(&f);
}

TEST(changes_of_a_keyed_table_are_net) {
    fixture f = new_table("id", NULL, NULL);
    int64_t first = PUT(&f, "+I|1|a|\\N", "+I|2|b|\\N", "+I|4|z|\\N");
    int64_t second = PUT(&f, "+U|1|c|\\N", "-D|2|\\N|\\N", "+I|3|d|\\N");
    int64_t third = PUT(&f, "+U|1|a|\\N", "+U|3|e|\\N", "+U|4|z|\\N");
    assert_rows(read_changes(f.table, first, second), "-U|1|a|\\N", "+U|1|c|\\N", "-D|2|b|\\N",
                "+I|3|d|\\N");
    assert_rows(read_changes(f.table, second, third), "-U|1|c|\\N", "+U|1|a|\\N", "-U|3|d|\\N",
                "+U|3|e|\\N");
    assert_rows(read_changes(f.table, first, third), "-D|2|b|\\N", "+I|3|e|\\N");
    assert_rows(read_changes(f.table, 0, first), "+I|1|a|\\N", "+I|2|b|\\N", "+I|4|z|\\N");
    fixture_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_has_no_rows),
        cmocka_unit_test(appended_rows_are_read_back),
        cmocka_unit_test(every_snapshot_stays_readable),
        cmocka_unit_test(a_deletion_takes_one_equal_row),
        cmocka_unit_test(rows_of_one_commit_can_cancel),
        cmocka_unit_test(deleting_what_is_not_there_is_a_conflict),
        cmocka_unit_test(the_last_row_of_a_key_wins),
        cmocka_unit_test(sequence_fields_decide_before_arrival),
        cmocka_unit_test(partitions_and_buckets_hold_the_same_rows),
        cmocka_unit_test(a_commit_takes_effect_once),
        cmocka_unit_test(closing_a_dropped_table_leaves_nothing_behind),
        cmocka_unit_test(the_newest_version_by_time_is_found),
        cmocka_unit_test(watermarks_never_go_back_and_properties_are_kept),
        cmocka_unit_test(wrong_rows_are_refused_by_name),
        cmocka_unit_test(a_projection_reads_the_columns_asked_for),
        cmocka_unit_test(changes_of_an_append_table_are_what_was_committed),
        cmocka_unit_test(changes_of_a_keyed_table_are_net),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
