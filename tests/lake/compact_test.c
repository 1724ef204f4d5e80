// Full compaction keeps the rows and makes fewer files; orphans can be removed and nothing else is.
#include "tests/lake/helpers.h"

static const test_column COLUMNS[] = {{"id", TARN_TYPE_BIGINT, false},
                                      {"name", TARN_TYPE_TEXT, false},
                                      {"n", TARN_TYPE_INTEGER, false}};

static fixture new_table(const char *primary, const char *partition, const char *const *options) {
    test_definition d;
    return fixture_new(define(&d, COLUMNS, 3, primary, partition, options));
}

static tarn_compact_result compact(fixture *f) {
    tarn_compact_result result = {0};
    assert_ok(tarn_table_compact(f->table, TARN_LIT("compactor"), NULL, 0, &result, &test_error));
    return result;
}

static uint64_t remove_orphans(fixture *f) {
    uint64_t removed = 0;
    assert_ok(tarn_table_remove_orphans(f->table, NULL, 0, &removed, &test_error));
    return removed;
}

TEST(compacting_an_empty_table_does_nothing) {
    fixture f = new_table(NULL, NULL, NULL);
    assert_int_equal(compact(&f).snapshot_id, 0);
    fixture_free(&f);
}

TEST(small_files_of_a_partition_become_one) {
    fixture f = new_table(NULL, "name", NULL);
    PUT(&f, "+I|1|a|1", "+I|2|b|2");
    PUT(&f, "+I|3|a|3");
    int64_t before = PUT(&f, "+I|4|a|4");
    tarn_compact_result result = compact(&f);
    assert_int_equal(result.snapshot_id, before + 1);
    assert_int_equal(result.files_before, 3);
    assert_int_equal(result.files_after, 1);
    assert_rows(read_snapshot(f.table, 0), "1|a|1", "2|b|2", "3|a|3", "4|a|4");
    assert_no_rows(read_changes(f.table, before, result.snapshot_id));
    assert_int_equal(compact(&f).snapshot_id, 0); // nothing left to do
    fixture_free(&f);
}

TEST(runs_of_a_bucket_become_one_without_deleted_keys) {
    fixture f = new_table("id", NULL, NULL);
    PUT(&f, "+I|1|a|1", "+I|2|b|2", "+I|3|c|3");
    PUT(&f, "-D|2|\\N|\\N", "+U|3|d|4");
    int64_t before = PUT(&f, "+I|4|e|5");
    tarn_compact_result result = compact(&f);
    assert_int_equal(result.files_before, 3);
    assert_int_equal(result.files_after, 2); // the last file stood alone and only moved
    assert_rows(read_snapshot(f.table, 0), "1|a|1", "3|d|4", "4|e|5");
    assert_rows(read_snapshot(f.table, before), "1|a|1", "3|d|4", "4|e|5");
    assert_no_rows(read_changes(f.table, before, result.snapshot_id));
    assert_int_equal(compact(&f).snapshot_id, 0);
    int64_t after = PUT(&f, "+U|1|z|9", "-D|4|\\N|\\N");
    assert_rows(read_snapshot(f.table, 0), "1|z|9", "3|d|4");
    assert_rows(read_changes(f.table, before, after), "-U|1|a|1", "+U|1|z|9", "-D|4|e|5");
    fixture_free(&f);
}

TEST(a_table_of_deletions_only_becomes_empty) {
    fixture f = new_table("id", NULL, NULL);
    PUT(&f, "-D|1|\\N|\\N");
    tarn_compact_result result = compact(&f);
    assert_int_equal(result.files_after, 0);
    assert_no_rows(read_snapshot(f.table, 0));
    fixture_free(&f);
}

TEST(nothing_that_a_snapshot_needs_is_an_orphan) {
    fixture f = new_table("id", NULL, NULL);
    PUT(&f, "+I|1|a|1");
    PUT(&f, "+I|1|b|2");
    compact(&f);
    assert_int_equal(remove_orphans(&f), 0);
    assert_rows(read_snapshot(f.table, 1), "1|a|1");
    assert_rows(read_snapshot(f.table, 3), "1|b|2");
    fixture_free(&f);
}

TEST(files_of_an_abandoned_commit_are_orphans_unless_kept) {
    fixture f = new_table(NULL, NULL, NULL);
    PUT(&f, "+I|1|a|1");
    tarn_table_writer *writer = NULL;
    tarn_buffer committable = {0};
    const char *rows[] = {"+I|2|b|2"};
    assert_ok(tarn_table_writer_new(f.table, NULL, &writer, &test_error));
    assert_ok(write_rows(f.table, writer, rows, 1));
    assert_ok(tarn_table_writer_prepare(writer, &committable, &test_error));
    tarn_table_writer_free(writer);

    tarn_slice keep = tarn_buffer_slice(&committable);
    uint64_t removed = 0;
    assert_ok(tarn_table_remove_orphans(f.table, &keep, 1, &removed, &test_error));
    assert_int_equal(removed, 0);
    assert_int_equal(remove_orphans(&f), 1);
    assert_rows(read_snapshot(f.table, 0), "1|a|1");
    tarn_buffer_free(&committable);
    fixture_free(&f);
}

TEST(a_writer_that_is_freed_leaves_nothing) {
    const char *options[] = {"target-file-size=1 b", NULL};
    fixture f = new_table(NULL, NULL, options);
    tarn_table_writer *writer = NULL;
    const char *rows[] = {"+I|2|b|2"};
    assert_ok(tarn_table_writer_new(f.table, NULL, &writer, &test_error));
    assert_ok(write_rows(f.table, writer, rows, 1));
    tarn_table_writer_free(writer);
    assert_int_equal(remove_orphans(&f), 0);
    fixture_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compacting_an_empty_table_does_nothing),
        cmocka_unit_test(small_files_of_a_partition_become_one),
        cmocka_unit_test(runs_of_a_bucket_become_one_without_deleted_keys),
        cmocka_unit_test(a_table_of_deletions_only_becomes_empty),
        cmocka_unit_test(nothing_that_a_snapshot_needs_is_an_orphan),
        cmocka_unit_test(files_of_an_abandoned_commit_are_orphans_unless_kept),
        cmocka_unit_test(a_writer_that_is_freed_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
