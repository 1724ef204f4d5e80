// The public C API, as a program that embeds tarn sees it.
#include <stdio.h>
#include <string.h>
#include <tarn/tarn.h>

#include "base/alloc.h"
#include "os/os.h"
#include "tests/test.h"

static char directory[256];
static tarn_db *db;
static tarn_db_error error;

static int open_db(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    (void)snprintf(directory, sizeof directory, "%s/tarn-api-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(directory) == NULL) return -1;
    return tarn_db_open(directory, NULL, &db, &error) == TARN_DB_OK ? 0 : -1;
}

static int close_db(void **state) {
    (void)state;
    tarn_db_close(db);
    return tarn_os_remove_tree(tarn_os_posix(), tarn_slice_from_cstr(directory), NULL) == TARN_OK
               ? 0
               : -1;
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, open_db, close_db)

static void execute(const char *sql) {
    if (tarn_db_execute(db, sql, &error) == TARN_DB_OK) return;
    print_error("%s: %s\n", sql, error.message);
    fail();
}

// The one bigint that a query gives.
static int64_t number_of(const char *sql) {
    struct ArrowArrayStream rows;
    struct ArrowArray array;
    assert_int_equal(tarn_db_query(db, sql, &rows, &error), TARN_DB_OK);
    assert_int_equal(rows.get_next(&rows, &array), 0);
    assert_non_null(array.release);
    assert_int_equal(array.length, 1);
    int64_t number = ((const int64_t *)array.children[0]->buffers[1])[array.children[0]->offset];
    array.release(&array);
    rows.release(&rows);
    return number;
}

static void assert_error(tarn_db_code code, tarn_db_code expected, const char *sqlstate,
                         const char *part) {
    assert_int_equal(code, expected);
    assert_int_equal(error.code, expected);
    assert_string_equal(error.sqlstate, sqlstate);
    if (strstr(error.message, part) == NULL) {
        print_error("'%s' lacks '%s'\n", error.message, part);
        fail();
    }
}

// ---- queries ----

TEST(a_query_is_a_stream_with_a_schema_batches_and_an_end) {
    execute("CREATE TABLE t (a bigint NOT NULL, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL)");
    struct ArrowArrayStream rows;
    struct ArrowSchema schema;
    assert_int_equal(tarn_db_query(db, "SELECT a, b FROM t", &rows, &error), TARN_DB_OK);
    assert_int_equal(rows.get_schema(&rows, &schema), 0);
    assert_string_equal(schema.format, "+s");
    assert_int_equal(schema.n_children, 2);
    assert_string_equal(schema.children[0]->name, "a");
    assert_string_equal(schema.children[0]->format, "l");
    assert_string_equal(schema.children[1]->name, "b");
    schema.release(&schema);
    int64_t count = 0;
    int64_t nulls = 0;
    for (;;) {
        struct ArrowArray array;
        assert_int_equal(rows.get_next(&rows, &array), 0);
        if (array.release == NULL) break;
        count += array.length;
        nulls += array.children[1]->null_count;
        array.release(&array);
    }
    assert_int_equal(count, 2);
    assert_int_equal(nulls, 1);
    for (int i = 0; i < 2; i++) { // after the end comes the end
        struct ArrowArray array = {.length = 7};
        assert_int_equal(rows.get_next(&rows, &array), 0);
        assert_null(array.release);
    }
    assert_null(rows.get_last_error(&rows));
    rows.release(&rows);
    assert_null(rows.release);
}

TEST(arrays_outlive_their_stream) {
    struct ArrowArrayStream rows;
    struct ArrowArray array;
    assert_int_equal(
        tarn_db_query(db, "SELECT 'a text that is longer than twelve bytes'", &rows, &error),
        TARN_DB_OK);
    assert_int_equal(rows.get_next(&rows, &array), 0);
    rows.release(&rows);
    const char *text = array.children[0]->buffers[2];
    assert_memory_equal(text, "a text that is longer", 21);
    array.release(&array);
}

TEST(an_error_while_rows_are_read_is_told_by_the_stream_again_and_again) {
    execute("CREATE TABLE t (a bigint); INSERT INTO t VALUES (0)");
    struct ArrowArrayStream rows;
    assert_int_equal(tarn_db_query(db, "SELECT 1 / a FROM t", &rows, &error), TARN_DB_OK);
    for (int i = 0; i < 2; i++) {
        struct ArrowArray array;
        assert_int_not_equal(rows.get_next(&rows, &array), 0);
        assert_non_null(strstr(rows.get_last_error(&rows), "division by zero"));
    }
    rows.release(&rows);
    assert_int_equal(number_of("SELECT count(*) FROM t"), 1);
}

TEST(a_stream_may_be_released_before_it_is_read) {
    struct ArrowArrayStream rows;
    assert_int_equal(tarn_db_query(db, "SELECT 1", &rows, &error), TARN_DB_OK);
    rows.release(&rows);
}

// ---- errors ----

TEST(errors_have_a_code_a_sqlstate_a_position_and_a_hint) {
    execute("CREATE TABLE flights (origin text, delay bigint)");
    struct ArrowArrayStream rows;
    assert_error(tarn_db_query(db, "SELECT orign FROM flights", &rows, &error), TARN_DB_INVALID,
                 "42703", "orign");
    assert_int_equal(error.position, 8);
    assert_non_null(strstr(error.hint, "origin"));
    assert_error(tarn_db_query(db, "SELECT * FROM flihgts", &rows, &error), TARN_DB_INVALID,
                 "42P01", "flihgts");
    assert_non_null(strstr(error.hint, "flights"));
    assert_error(tarn_db_query(db, "SELEC 1", &rows, &error), TARN_DB_INVALID, "42601", "SELEC");
    assert_int_equal(error.position, 1);
    assert_error(tarn_db_query(db, "", &rows, &error), TARN_DB_INVALID, "42601", "");
    assert_error(tarn_db_query(db, "SELECT 1; SELECT 2", &rows, &error), TARN_DB_INVALID, "42601",
                 "");
    assert_int_equal(tarn_db_query(db, "SELECT nope", &rows, NULL), TARN_DB_INVALID);
}

TEST(a_script_stops_at_its_first_error) {
    assert_error(tarn_db_execute(db,
                                 "CREATE TABLE a (x bigint); CREATE TABLE a (x bigint); "
                                 "CREATE TABLE b (x bigint)",
                                 &error),
                 TARN_DB_INVALID, "42P07", "already exists");
    execute("DROP TABLE a");
    assert_error(tarn_db_execute(db, "DROP TABLE b", &error), TARN_DB_INVALID, "42P01", "b");
    execute("");
    execute(" ; ;; -- nothing\n");
}

TEST(a_directory_that_cannot_be_made_is_refused) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/file", directory);
    assert_int_equal(tarn_os_write_file(tarn_os_posix(), tarn_slice_from_cstr(path), TARN_LIT("x"),
                                        TARN_WRITE_REPLACE, NULL),
                     TARN_OK);
    tarn_db *other = NULL;
    assert_int_equal(tarn_db_open(path, NULL, &other, &error), TARN_DB_IO);
    assert_non_null(strstr(error.message, "file"));
    assert_null(other);
    assert_int_equal(tarn_db_open(directory, NULL, &other, &error), TARN_DB_CONFLICT);
    assert_null(other);
}

// ---- append ----

enum { COLUMNS_MAX = 3 };

typedef struct table {
    struct ArrowSchema schema, fields[COLUMNS_MAX], *field_list[COLUMNS_MAX];
    struct ArrowArray array, columns[COLUMNS_MAX], *column_list[COLUMNS_MAX];
    const void *buffers[COLUMNS_MAX][3];
    const void *no_buffers[1];
} table;

static void release_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array) {
    array->release = NULL;
}

static void begin_table(table *t, int64_t length) {
    *t = (table){0};
    t->schema = (struct ArrowSchema){
        .format = "+s", .name = "", .children = t->field_list, .release = release_schema};
    t->array = (struct ArrowArray){.length = length,
                                   .n_buffers = 1,
                                   .buffers = t->no_buffers,
                                   .children = t->column_list,
                                   .release = release_array};
}

static void add_column(table *t, const char *name, const char *format, const uint8_t *validity,
                       const void *values, const void *bytes) {
    size_t i = (size_t)t->schema.n_children++;
    t->array.n_children++;
    t->fields[i] = (struct ArrowSchema){
        .format = format, .name = name, .flags = ARROW_FLAG_NULLABLE, .release = release_schema};
    t->field_list[i] = &t->fields[i];
    t->buffers[i][0] = validity;
    t->buffers[i][1] = values;
    t->buffers[i][2] = bytes;
    t->columns[i] = (struct ArrowArray){.length = t->array.length,
                                        .null_count = validity == NULL ? 0 : -1,
                                        .n_buffers = bytes == NULL ? 2 : 3,
                                        .buffers = t->buffers[i],
                                        .release = release_array};
    t->column_list[i] = &t->columns[i];
}

static const int64_t numbers[] = {1, 2, 3, 4};
static const uint8_t no_third[] = {0x0B};
static const int32_t offsets[] = {0, 3, 3, 5, 8};

TEST(appended_rows_keep_their_nulls_and_are_one_version) {
    execute("CREATE TABLE t (b text, a bigint, c integer)");
    table t;
    begin_table(&t, 4);
    add_column(&t, "a", "l", no_third, numbers, NULL);
    add_column(&t, "b", "u", NULL, offsets, "onetothr");
    assert_int_equal(tarn_db_append(db, "t", &t.schema, &t.array, &error), TARN_DB_OK);
    assert_non_null(t.schema.release); // still the caller's
    assert_int_equal(number_of("SELECT count(*) FROM t"), 4);
    assert_int_equal(number_of("SELECT count(a) FROM t"), 3);
    assert_int_equal(number_of("SELECT sum(a)::bigint FROM t"), 7);
    assert_int_equal(number_of("SELECT count(c) FROM t"), 0);
    assert_int_equal(number_of("SELECT count(*) FROM t WHERE b = 'thr' AND a = 4"), 1);
    assert_int_equal(number_of("SELECT count(*) FROM t WHERE b = ''"), 1);
    assert_int_equal(number_of("SELECT count(*) FROM tarn.snapshots WHERE table_name = 't'"), 1);
}

TEST(a_long_array_is_appended_as_one_version) {
    enum { ROWS = 50000 };
    execute("CREATE TABLE t (a bigint)");
    int64_t *values = test_malloc(ROWS * sizeof *values);
    for (int64_t i = 0; i < ROWS; i++) values[i] = i;
    table t;
    begin_table(&t, ROWS);
    add_column(&t, "a", "l", NULL, values, NULL);
    assert_int_equal(tarn_db_append(db, "t", &t.schema, &t.array, &error), TARN_DB_OK);
    assert_int_equal(number_of("SELECT count(DISTINCT a) FROM t"), ROWS);
    assert_int_equal(number_of("SELECT count(*) FROM tarn.snapshots WHERE table_name = 't'"), 1);
    test_free(values);
}

TEST(what_does_not_fit_the_table_is_refused_whole) {
    execute(
        "CREATE TABLE t (a bigint, b text); CREATE TABLE n (a bigint NOT NULL, b text NOT NULL)");
    execute("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM t");
    table t;
    begin_table(&t, 4);
    add_column(&t, "nope", "l", NULL, numbers, NULL);
    assert_error(tarn_db_append(db, "t", &t.schema, &t.array, &error), TARN_DB_INVALID, "42703",
                 "nope");
    begin_table(&t, 4);
    add_column(&t, "b", "l", NULL, numbers, NULL);
    assert_error(tarn_db_append(db, "t", &t.schema, &t.array, &error), TARN_DB_INVALID, "42804",
                 "b");
    begin_table(&t, 4);
    add_column(&t, "a", "l", no_third, numbers, NULL);
    add_column(&t, "b", "u", NULL, offsets, "onetothr");
    assert_error(tarn_db_append(db, "n", &t.schema, &t.array, &error), TARN_DB_INVALID, "23502",
                 "a");
    begin_table(&t, 4);
    add_column(&t, "a", "l", NULL, numbers, NULL); // b is missing, and must not be null
    assert_error(tarn_db_append(db, "n", &t.schema, &t.array, &error), TARN_DB_INVALID, "23502",
                 "b");
    assert_error(tarn_db_append(db, "nope", &t.schema, &t.array, &error), TARN_DB_INVALID, "42P01",
                 "nope");
    assert_error(tarn_db_append(db, "v", &t.schema, &t.array, &error), TARN_DB_INVALID, "42809",
                 "v");
    begin_table(&t, 4);
    add_column(&t, "a", "?!", NULL, numbers, NULL);
    assert_int_not_equal(tarn_db_append(db, "t", &t.schema, &t.array, &error), TARN_DB_OK);
    assert_int_equal(number_of("SELECT count(*) FROM t"), 0);
    assert_int_equal(number_of("SELECT count(*) FROM n"), 0);
    assert_int_equal(
        number_of("SELECT count(*) FROM tarn.snapshots WHERE table_name IN ('t', 'n')"), 0);
}

TEST(no_rows_can_be_appended) {
    execute("CREATE TABLE t (a bigint)");
    table t;
    begin_table(&t, 0);
    add_column(&t, "a", "l", NULL, numbers, NULL);
    assert_int_equal(tarn_db_append(db, "t", &t.schema, &t.array, &error), TARN_DB_OK);
    assert_int_equal(number_of("SELECT count(*) FROM t"), 0);
}

TEST(the_version_has_three_parts) {
    unsigned major;
    unsigned minor;
    unsigned patch;
    char rest;
    assert_int_equal(sscanf(tarn_db_version(), "%u.%u.%u%c", &major, &minor, &patch, &rest), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        API_TEST(a_query_is_a_stream_with_a_schema_batches_and_an_end),
        API_TEST(arrays_outlive_their_stream),
        API_TEST(an_error_while_rows_are_read_is_told_by_the_stream_again_and_again),
        API_TEST(a_stream_may_be_released_before_it_is_read),
        API_TEST(errors_have_a_code_a_sqlstate_a_position_and_a_hint),
        API_TEST(a_script_stops_at_its_first_error),
        API_TEST(a_directory_that_cannot_be_made_is_refused),
        API_TEST(appended_rows_keep_their_nulls_and_are_one_version),
        API_TEST(a_long_array_is_appended_as_one_version),
        API_TEST(what_does_not_fit_the_table_is_refused_whole),
        API_TEST(no_rows_can_be_appended),
        API_TEST(the_version_has_three_parts),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
