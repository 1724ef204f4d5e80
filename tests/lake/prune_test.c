// Pruning: whatever a predicate rules out, no row that passes it is lost; and it does skip.
#include "tests/lake/helpers.h"

static const test_column COLUMNS[] = {{"id", TARN_TYPE_INTEGER, false},
                                      {"part", TARN_TYPE_TEXT, false},
                                      {"n", TARN_TYPE_INTEGER, false},
                                      {"name", TARN_TYPE_TEXT, false}};

#define KEYS_MAX 60

static tarn_value integer(int64_t number) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_INTEGER), .i64 = number};
}

static tarn_value text(const char *bytes) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = TEXT(bytes)};
}

// What a row must be for the test to keep it; nulls pass no comparison.
static bool passes(const tarn_prune_test *test, tarn_value value) {
    if (test->op == TARN_PRUNE_IS_NULL) return value.is_null;
    if (value.is_null) return false;
    if (test->op == TARN_PRUNE_IS_NOT_NULL) return true;
    if (test->op == TARN_PRUNE_STARTS_WITH) {
        return tarn_slice_starts_with(value.bytes, test->values[0].bytes);
    }
    bool any = false;
    for (size_t i = 0; i < test->value_count; i++) {
        int order = tarn_value_compare(value, test->values[i]);
        switch (test->op) {
        case TARN_PRUNE_IN:
        case TARN_PRUNE_EQ: any = any || order == 0; break;
        case TARN_PRUNE_NE: any = any || order != 0; break;
        case TARN_PRUNE_LT: any = any || order < 0; break;
        case TARN_PRUNE_LE: any = any || order <= 0; break;
        case TARN_PRUNE_GT: any = any || order > 0; break;
        case TARN_PRUNE_GE: any = any || order >= 0; break;
        case TARN_PRUNE_IS_NULL:
        case TARN_PRUNE_IS_NOT_NULL:
        case TARN_PRUNE_STARTS_WITH: break;
        }
    }
    return any;
}

static void random_line(char *line, size_t size, bool is_keyed, int spread) {
    size_t id = test_random_below(KEYS_MAX);
    const char *part = is_keyed                    ? (id % 3 == 0 ? "x" : "y")
                       : test_random_below(4) == 0 ? "\\N"
                                                   : "x";
    char n[16] = "\\N";
    if (test_random_below(8) != 0) {
        (void)snprintf(n, sizeof n, "%d", spread * 10 + (int)test_random_below(10));
    }
    (void)snprintf(line, size, "+I|%zu|%s|%s|name %c", id, part, n,
                   (int)('a' + test_random_below(6)));
}

static void fill(fixture *f, bool is_keyed) {
    for (int commit = 0; commit < 8; commit++) {
        char lines[12][64];
        const char *rows[12];
        size_t count = 1 + test_random_below(12);
        for (size_t i = 0; i < count; i++) {
            random_line(lines[i], sizeof lines[i], is_keyed, commit);
            rows[i] = lines[i];
        }
        put_rows(f, rows, count);
        if (test_random_below(5) == 0) {
            tarn_compact_result result;
            assert_ok(tarn_table_compact(f->table, TARN_LIT("c"), NULL, 0, &result, &test_error));
        }
    }
}

static void make_test(tarn_prune_test *test, tarn_value *values) {
    static const tarn_prune_op ops[] = {TARN_PRUNE_EQ, TARN_PRUNE_NE,      TARN_PRUNE_LT,
                                        TARN_PRUNE_LE, TARN_PRUNE_GT,      TARN_PRUNE_GE,
                                        TARN_PRUNE_IN, TARN_PRUNE_IS_NULL, TARN_PRUNE_IS_NOT_NULL};
    static const char *const parts[] = {"x", "y", "z"};
    static const char *const names[] = {"name b", "name", "name zz", "a"};
    size_t column = test_random_below(4);
    *test = (tarn_prune_test){
        .column = column, .op = ops[test_random_below(9)], .values = values, .value_count = 1};
    if (test->op == TARN_PRUNE_IN) test->value_count = 1 + test_random_below(3);
    if (column == 3 && test_random_below(4) == 0) test->op = TARN_PRUNE_STARTS_WITH;
    for (size_t i = 0; i < 3; i++) {
        values[i] = column == 0   ? integer((int64_t)test_random_below(KEYS_MAX))
                    : column == 2 ? integer((int64_t)test_random_below(90))
                    : column == 1 ? text(parts[test_random_below(3)])
                                  : text(names[test_random_below(4)]);
    }
}

typedef struct predicate {
    tarn_prune_test tests[2];
    tarn_value values[2][3];
    tarn_prune prune;
} predicate;

// The rows of a scan that pass the predicate.
static text_list passing_rows(fixture *f, const predicate *p, bool with_prune,
                              tarn_scan_metrics *ret_metrics) {
    text_list rows = {0};
    tarn_table_scan_options options = {.prune = with_prune ? &p->prune : NULL};
    tarn_table_scan *scan = NULL;
    assert_ok(tarn_table_scan_new(f->table, &options, &scan, &test_error));
    tarn_buffer line = {0};
    for (size_t s = 0; s < tarn_table_scan_split_count(scan); s++) {
        tarn_split_reader *reader = NULL;
        const tarn_chunk *chunk = NULL;
        assert_ok(tarn_split_reader_new(scan, s, &tarn_alloc_libc, &reader, &test_error));
        for (;;) {
            assert_ok(tarn_split_reader_next(reader, &chunk, &test_error));
            if (chunk == NULL) break;
            for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
                size_t row = tarn_chunk_row(chunk, i);
                bool keep = true;
                for (size_t t = 0; t < p->prune.test_count; t++) {
                    const tarn_prune_test *test = &p->tests[t];
                    keep =
                        keep && passes(test, tarn_vector_get(&chunk->columns[test->column], row));
                }
                format_row(chunk, row, false, &line);
                if (keep) text_list_add(&rows, (const char *)line.data);
            }
        }
        tarn_split_reader_free(reader);
    }
    *ret_metrics = tarn_table_scan_metrics(scan);
    tarn_buffer_free(&line);
    tarn_table_scan_free(scan);
    text_list_sort(&rows);
    return rows;
}

static void check_predicates(fixture *f) {
    uint64_t skipped_files = 0;
    for (int round = 0; round < 60; round++) {
        predicate p = {.prune = {p.tests, 1 + test_random_below(2)}};
        for (size_t t = 0; t < 2; t++) make_test(&p.tests[t], p.values[t]);
        tarn_scan_metrics all;
        tarn_scan_metrics pruned;
        text_list expected = passing_rows(f, &p, false, &all);
        text_list got = passing_rows(f, &p, true, &pruned);
        assert_texts_equal(&got, &expected);
        assert_int_equal(all.files_read, all.files_total);
        assert_int_equal(pruned.files_total, all.files_total);
        assert_true(pruned.files_read <= all.files_read);
        skipped_files += all.files_read - pruned.files_read;
        text_list_free(&got);
        text_list_free(&expected);
    }
    assert_true(skipped_files > 0);
}

static void check_table(const char *primary, const char *partition, const char *const *options) {
    for (int round = 0; round < 4; round++) {
        test_definition d;
        fixture f = fixture_new(define(&d, COLUMNS, 4, primary, partition, options));
        fill(&f, primary != NULL);
        check_predicates(&f);
        fixture_free(&f);
    }
}

TEST(append_tables_lose_no_row) {
    check_table(NULL, NULL, NULL);
    check_table(NULL, "part", NULL);
}

TEST(keyed_tables_lose_no_row) {
    const char *options[] = {"bucket=4", NULL};
    check_table("id", NULL, NULL);
    check_table("id,part", "part", options);
}

static tarn_scan_metrics scan_where(fixture *f, size_t column, tarn_prune_op op, tarn_value value,
                                    size_t *ret_rows) {
    tarn_prune_test test = {.column = column, .op = op, .values = &value, .value_count = 1};
    tarn_prune prune = {&test, 1};
    tarn_table_scan_options options = {.prune = &prune};
    text_list rows = {0};
    tarn_scan_metrics metrics;
    assert_ok(scan_rows(f->table, &options, &rows, &metrics));
    *ret_rows = rows.count;
    text_list_free(&rows);
    return metrics;
}

TEST(manifests_of_other_partitions_are_not_read) {
    test_definition d;
    fixture f = fixture_new(define(&d, COLUMNS, 4, NULL, "part", NULL));
    PUT(&f, "+I|1|x|1|a");
    PUT(&f, "+I|2|y|2|b");
    PUT(&f, "+I|3|\\N|3|c");
    size_t rows = 0;
    tarn_scan_metrics metrics = scan_where(&f, 1, TARN_PRUNE_EQ, text("y"), &rows);
    assert_int_equal(rows, 1);
    assert_int_equal(metrics.manifests_total, 3);
    assert_int_equal(metrics.manifests_read, 1);
    assert_int_equal(metrics.files_total, 3);
    assert_int_equal(metrics.files_read, 1);
    metrics = scan_where(&f, 1, TARN_PRUNE_IS_NULL, text(""), &rows);
    assert_int_equal(rows, 1);
    fixture_free(&f);
}

TEST(a_key_is_looked_for_in_its_bucket_only) {
    const char *options[] = {"bucket=8", NULL};
    test_definition d;
    fixture f = fixture_new(define(&d, COLUMNS, 4, "id", NULL, options));
    PUT(&f, "+I|1|x|1|a", "+I|2|x|1|a", "+I|3|x|1|a", "+I|4|x|1|a", "+I|5|x|1|a", "+I|6|x|1|a",
        "+I|7|x|1|a", "+I|8|x|1|a", "+I|9|x|1|a", "+I|10|x|1|a");
    size_t rows = 0;
    tarn_scan_metrics metrics = scan_where(&f, 0, TARN_PRUNE_EQ, integer(7), &rows);
    assert_true(metrics.files_total > 3);
    assert_int_equal(metrics.files_read, 1);
    fixture_free(&f);
}

TEST(a_value_does_not_hide_the_newer_version_of_its_key) {
    test_definition d;
    fixture f = fixture_new(define(&d, COLUMNS, 4, "id", NULL, NULL));
    PUT(&f, "+I|1|x|100|old");
    PUT(&f, "+U|1|x|5|new");
    size_t rows = 0;
    // The file with n = 5 cannot hold n = 100; without it the old version would come back.
    tarn_scan_metrics metrics = scan_where(&f, 2, TARN_PRUNE_EQ, integer(100), &rows);
    assert_int_equal(metrics.files_read, 2);
    assert_int_equal(rows, 1);
    fixture_free(&f);
}

TEST(row_groups_outside_the_bounds_are_skipped) {
    test_definition d;
    fixture f = fixture_new(define(&d, COLUMNS, 4, NULL, NULL, NULL));
    PUT(&f, "+I|1|x|1|a");
    size_t rows = 0;
    tarn_scan_metrics metrics = scan_where(&f, 0, TARN_PRUNE_GT, integer(0), &rows);
    assert_int_equal(metrics.row_groups_total, 1);
    assert_int_equal(metrics.row_groups_read, 1);
    assert_int_equal(metrics.rows_read, 1);
    assert_true(metrics.bytes_read > 0);
    fixture_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_tables_lose_no_row),
        cmocka_unit_test(keyed_tables_lose_no_row),
        cmocka_unit_test(manifests_of_other_partitions_are_not_read),
        cmocka_unit_test(a_key_is_looked_for_in_its_bucket_only),
        cmocka_unit_test(a_value_does_not_hide_the_newer_version_of_its_key),
        cmocka_unit_test(row_groups_outside_the_bounds_are_skipped),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
