// Tables written by Paimon itself read back as their notes say. Skipped where they are absent.
#include <sys/stat.h>

#include "lake/lake.h"
#include "os/os.h"
#include "tests/lake/helpers.h"

static tarn_store *store;

static int open_samples(void **state) {
    (void)state;
    const char *shared = getenv("TARN_SHARED_DATA");
    char root[1024];
    (void)snprintf(root, sizeof root, "%s/paimon-tables",
                   shared != NULL ? shared : "../shared/data");
    struct stat info;
    if (stat(root, &info) != 0) {
        print_message("skipped: there is no '%s'\n", root);
        exit(77);
    }
    return tarn_store_open_local(tarn_os_posix(), &tarn_alloc_libc, TEXT(root), &store,
                                 &test_error) == TARN_OK
               ? 0
               : -1;
}

static int close_samples(void **state) {
    (void)state;
    tarn_store_close(store);
    return 0;
}

static tarn_table *open_sample(const char *name) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s.db/%s", name, name);
    tarn_table *table = NULL;
    assert_ok(tarn_table_open(store, TEXT(path), &tarn_alloc_libc, &table, &test_error));
    return table;
}

static text_list read_sample(const char *name, int64_t snapshot_id) {
    tarn_table *table = open_sample(name);
    text_list rows = read_snapshot(table, snapshot_id);
    tarn_table_close(table);
    return rows;
}

TEST(fixed_bucket_append_table_with_dates_decimals_and_nanoseconds) {
    const char *name = "append_complex_data";
    assert_rows(read_sample(name, 1),
                "10|1|1973-05-19|2033-05-18 03:33:20|123456789987654321.45678|\\x616464",
                "20|1|1966-08-16|1899-01-01 00:59:20.001001001|-123456789987654321.45678|\\x626164",
                "10|1|2024-07-05|2033-05-18 03:33:20.000001001|12.30000|\\x636174");
    assert_rows(read_sample(name, 0),
                "10|1|1973-05-19|2033-05-18 03:33:20|123456789987654321.45678|\\x616464",
                "20|1|1966-08-16|1899-01-01 00:59:20.001001001|-123456789987654321.45678|\\x626164",
                "10|1|2024-07-05|2033-05-18 03:33:20.000001001|12.30000|\\x636174",
                "10|1|1970-01-01|2008-12-28 00:00:00.000123456|\\N|\\x646164",
                "10|1|1970-04-11|2008-12-28 00:00:00.00012345|-123.45000|\\x656174",
                "10|1|\\N|1899-01-01 00:59:20.001001001|0.00000|\\x666174",
                "20|0|1969-09-23|\\N|0.00000|\\x676574",
                "10|1|2024-10-10|2024-10-10 10:10:10.1001001|1728551410100.10010|\\N");
}

TEST(columns_are_found_by_id_after_a_schema_change) {
    const char *name = "append_table_with_alter_table";
    assert_rows(read_sample(name, 0), "0|1|16|13|\\N|15|\\N", "0|1|26|23|\\N|25|\\N",
                "0|1|36|33|\\N|35|\\N", "0|1|66|63|517|65|618", "0|1|76|73|527|75|628",
                "0|1|86|83|537|85|638", "1|1|46|43|\\N|45|\\N", "1|1|56|53|\\N|55|\\N",
                "1|1|96|93|547|95|648", "1|1|106|103|557|105|658");
    assert_rows(read_sample(name, 1), "0|1|16|13|\\N|15|\\N", "0|1|26|23|\\N|25|\\N",
                "0|1|36|33|\\N|35|\\N", "1|1|46|43|\\N|45|\\N", "1|1|56|53|\\N|55|\\N");
}

TEST(a_table_with_bitmap_indexes_reads_without_them) {
    assert_rows(read_sample("append_with_bitmap", 0), "Alice|10|1|11.1", "Bob|10|1|12.1",
                "Emily|10|0|13.1", "Tony|10|0|14.1", "Lucy|20|1|15.1", "Bob|10|1|16.1",
                "Tony|20|0|17.1", "Alice|20|\\N|18.1");
}

TEST(timestamps_of_every_precision) {
    assert_rows(read_sample("append_with_multiple_ts_precision_and_timezone", 0),
                "1970-01-01 00:00:01|1970-01-01 00:00:00.001|1970-01-01 00:00:00.000001|"
                "1970-01-01 00:00:00.000000001|1970-01-01 00:00:02+00|1970-01-01 00:00:00.002+00|"
                "1970-01-01 00:00:00.000002+00|1970-01-01 00:00:00.000000002+00",
                "1970-01-01 00:00:03|1970-01-01 00:00:00.003|\\N|1970-01-01 00:00:00.000000003|"
                "1970-01-01 00:00:04+00|1970-01-01 00:00:00.004+00|1970-01-01 00:00:00.000004+00|"
                "1970-01-01 00:00:00.000000004+00",
                "1970-01-01 00:00:05|1970-01-01 00:00:00.005|\\N|\\N|1970-01-01 00:00:06+00|\\N|"
                "1970-01-01 00:00:00.000006+00|\\N");
}

#define ROADS                                                                                   \
    "Two roads diverged in a wood, and I took the one less traveled by, And that has made all " \
    "the difference.|10|1|11"

TEST(sorted_runs_are_merged_on_read) {
    const char *name = "pk_table_scan_and_read_mor";
    assert_rows(read_sample(name, 1), ROADS, "Alice|10|1|11.1", "Bob|10|0|12.1", "Emily|10|0|13.1",
                "Tony|10|0|14.1", "Alex|10|0|16.1", "David|10|0|17.1", "Lucy|20|1|14.1",
                "Paul|20|1|18.1");
    for (int64_t id = 2; id <= 3; id++) { // a commit, then its compaction
        assert_rows(read_sample(name, id), ROADS, "Alice|10|1|19.1", "Bob|10|0|12.1",
                    "Emily|10|0|13.1", "Alex|10|0|16.1", "David|10|0|17.1", "Lucy|20|1|14.1",
                    "Paul|20|1|18.1");
    }
    assert_rows(read_sample(name, 4), ROADS, "Alice|10|1|19.1", "Bob|10|0|12.1", "Emily|10|0|13.1",
                "Alex|10|0|21.2", "David|10|0|17.1", "Lucy|20|1|14.1", "Paul|20|1|18.1",
                "Skye|10|0|21", "Marco|10|0|21.1");
    assert_rows(read_sample(name, 0), ROADS, "Alice|10|1|19.1", "Bob|10|0|12.1", "Emily|10|0|13.1",
                "David|10|0|17.1", "Lucy|20|1|14.1", "Paul|20|1|18.1", "Skye|10|0|21",
                "Marco|10|0|21.1", "Skye2|10|0|31", "Marco2|10|0|31.1");
}

TEST(changes_of_a_foreign_table) {
    tarn_table *table = open_sample("pk_table_scan_and_read_mor");
    assert_rows(read_changes(table, 1, 2), "-D|Tony|10|0|14.1", "-U|Alice|10|1|11.1",
                "+U|Alice|10|1|19.1");
    assert_no_rows(read_changes(table, 2, 3));
    assert_rows(read_changes(table, 2, 5), "-D|Alex|10|0|16.1", "+I|Skye|10|0|21",
                "+I|Marco|10|0|21.1", "+I|Skye2|10|0|31", "+I|Marco2|10|0|31.1");
    tarn_table_close(table);
}

// With deletion vectors, rows of level 0 are not visible before they are compacted.
TEST(deletion_vectors_hide_rows) {
    const char *name = "pk_table_scan_and_read_dv";
    assert_no_rows(read_sample(name, 1));
    assert_rows(read_sample(name, 2), ROADS, "Alice|10|1|11.1", "Bob|10|0|12.1", "Emily|10|0|13.1",
                "Tony|10|0|14.1", "Alex|10|0|16.1", "David|10|0|17.1", "Lucy|20|1|14.1",
                "Paul|20|1|18.1");
    for (int64_t id = 4; id <= 6; id++) {
        assert_rows(read_sample(name, id), ROADS, "Alice|10|1|19.1", "Bob|10|0|12.1",
                    "Emily|10|0|13.1", "Alex|10|0|16.1", "David|10|0|17.1", "Lucy|20|1|14.1",
                    "Paul|20|1|18.1");
    }
}

// Its last snapshot has ten rows in files; one of them is marked as deleted.
TEST(a_table_of_version_0_9) {
    assert_rows(read_sample("pk_09", 0), ROADS,
                "Whether I shall turn out to be the hero of my own life.|10|1|19.1",
                "Alice|10|1|21.1", "Bob|10|0|12.1", "Emily|10|0|13.1", "Alex|10|0|16.1",
                "David|10|0|17.1", "Lucy|20|1|14.1", "Paul|20|1|18.1");
}

TEST(tables_with_unsupported_features_are_not_written) {
    tarn_table *table = open_sample("pk_table_scan_and_read_dv");
    tarn_table_writer *writer = NULL;
    assert_int_equal(tarn_table_writer_new(table, NULL, &writer, &test_error), TARN_UNSUPPORTED);
    assert_non_null(strstr(test_error.message, "deletion-vectors.enabled"));
    tarn_table_close(table);
    table = open_sample("append_complex_data");
    assert_int_equal(tarn_table_writer_new(table, NULL, &writer, &test_error), TARN_UNSUPPORTED);
    assert_non_null(strstr(test_error.message, "bucket"));
    tarn_table_close(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_bucket_append_table_with_dates_decimals_and_nanoseconds),
        cmocka_unit_test(columns_are_found_by_id_after_a_schema_change),
        cmocka_unit_test(a_table_with_bitmap_indexes_reads_without_them),
        cmocka_unit_test(timestamps_of_every_precision),
        cmocka_unit_test(sorted_runs_are_merged_on_read),
        cmocka_unit_test(changes_of_a_foreign_table),
        cmocka_unit_test(deletion_vectors_hide_rows),
        cmocka_unit_test(a_table_of_version_0_9),
        cmocka_unit_test(tables_with_unsupported_features_are_not_written),
    };
    return cmocka_run_group_tests(tests, open_samples, close_samples);
}
