// What is wrong from outside, through the built program: damaged files, malformed records, wrong
// names and types, directories that cannot be written. Each error says what, where and in which
// file; nothing of a statement that failed is applied.
#include <stdbool.h>
#include <sys/stat.h>

#include "tests/cli/program.h"

static void assert_told(const char *arguments, int exit_status, const char *part) {
    run(arguments);
    if (result.exit_status == exit_status && strstr(result.err, part) != NULL) return;
    print_error("%s exits with %d and says\n%sexpected %d with '%s'\n", arguments,
                result.exit_status, result.err, exit_status, part);
    fail();
}

static void assert_answer(const char *sql, const char *expected) {
    char arguments[1024];
    (void)snprintf(arguments, sizeof arguments, "shop --format csv -t -q -c \"%s\"", sql);
    assert_ran(arguments, 0, expected, "");
}

// ---- damaged Parquet ----

typedef struct bytes {
    uint8_t data[65536];
    size_t len;
} bytes;

static bytes good; // a Parquet file that tarn has written

static void put_file(const char *name, const uint8_t *data, size_t len) {
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void make_good_parquet(void) {
    char path[400];
    run("shop -q -c \"CREATE TABLE made (id bigint, name text); INSERT INTO made VALUES (1, "
        "'one'), "
        "(2, 'two'), (3, NULL); CREATE TABLE t (id bigint, name text)\"");
    assert_string_equal(result.err, "");
    char command[900];
    (void)snprintf(command, sizeof command,
                   "cp %s/shop/public.db/made/bucket-0/data-*.parquet %s/good.parquet", root, root);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): the test's own words
    (void)snprintf(path, sizeof path, "%s/good.parquet", root);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    good.len = fread(good.data, 1, sizeof good.data, file);
    (void)fclose(file);
    assert_true(good.len > 100 && good.len < sizeof good.data);
}

static size_t footer_begin(void) {
    const uint8_t *at = good.data + good.len - 8;
    size_t footer = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16;
    return good.len - 8 - footer;
}

TEST(a_truncated_parquet_file_is_named_and_nothing_is_copied) {
    make_good_parquet();
    const size_t lengths[] = {0, 3, 11, good.len / 2, good.len - 9, good.len - 1};
    char script[4096] = "";
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "cut%zu.parquet", i);
        put_file(name, good.data, lengths[i]);
        size_t len = strlen(script);
        (void)snprintf(script + len, sizeof script - len,
                       "COPY t FROM '%s' (FORMAT parquet);\n"
                       "CREATE SOURCE s%zu (id bigint) WITH (connector = 'file', path = '%s');\n",
                       name, i, name);
    }
    write_file("cut.sql", script);
    run("shop -v ON_ERROR_STOP=0 -f cut.sql");
    assert_string_equal(result.out, "");
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "cut%zu.parquet", i);
        const char *first = strstr(result.err, name);
        assert_non_null(first);
        (void)snprintf(name, sizeof name, "source \"s%zu\": ", i);
        assert_non_null(strstr(first, name));
    }
    assert_answer("SELECT count(*) FROM t", "0\n");
}

// Bits of indexes that this statement does not read do no harm; all others are found.
TEST(a_flipped_bit_in_a_parquet_file_is_found_or_harmless) {
    make_good_parquet();
    size_t end = footer_begin();
    char script[8192] = "";
    size_t count = 0;
    for (size_t at = 4 + test_random_below(8); at < end; at += 1 + end / 12) {
        char name[64];
        uint8_t mask = (uint8_t)(1u << test_random_below(8));
        good.data[at] ^= mask;
        (void)snprintf(name, sizeof name, "flip%zu.parquet", count++);
        put_file(name, good.data, good.len);
        good.data[at] ^= mask;
        size_t len = strlen(script);
        (void)snprintf(script + len, sizeof script - len, "COPY t FROM '%s' (FORMAT parquet);\n",
                       name);
    }
    write_file("flip.sql", script);
    run("shop -v ON_ERROR_STOP=0 -f flip.sql");
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "file 'flip%zu.parquet': ", i);
        found += strstr(result.err, name) != NULL;
    }
    assert_true(found >= 3);
    char expected[64];
    (void)snprintf(expected, sizeof expected, "1,one,%zu\n2,two,%zu\n3,,%zu\n", count - found,
                   count - found, count - found);
    assert_answer("SELECT id, name, count(*) FROM t GROUP BY id, name ORDER BY id",
                  count == found ? "" : expected);
}

TEST(any_flipped_bit_of_a_parquet_footer_leaves_the_program_standing) {
    make_good_parquet();
    char script[8192] = "";
    size_t begin = footer_begin();
    for (size_t i = 0; i < 40; i++) {
        char name[64];
        size_t at = begin + test_random_below(good.len - begin);
        uint8_t mask = (uint8_t)(1u << test_random_below(8));
        good.data[at] ^= mask;
        (void)snprintf(name, sizeof name, "f%zu.parquet", i);
        put_file(name, good.data, good.len);
        good.data[at] ^= mask;
        size_t len = strlen(script);
        (void)snprintf(script + len, sizeof script - len, "COPY t FROM '%s' (FORMAT parquet);\n",
                       name);
    }
    write_file("f.sql", script);
    run("shop -q -v ON_ERROR_STOP=0 -f f.sql -c \"SELECT 'alive'\"");
    assert_non_null(strstr(result.out, "alive"));
}

TEST(a_damaged_source_is_told_in_jobs_and_mended_by_a_good_file) {
    make_good_parquet();
    size_t at = footer_begin() / 2;
    good.data[at] ^= 4;
    put_file("s.parquet", good.data, good.len);
    good.data[at] ^= 4;
    run("shop -q -c \"CREATE SOURCE s (id bigint, name text) WITH (connector = 'file', path = "
        "'s.parquet'); CREATE MATERIALIZED VIEW v AS SELECT name, id FROM s\"");
    assert_string_equal(result.err, ""); // the footer is whole
    assert_told("shop -q -c FLUSH", 3, "source \"s\": ");
    assert_non_null(strstr(result.err, "s.parquet"));
    run("shop -t -q -c FLUSH -c \"SELECT 1\"");
    assert_int_equal(result.exit_status, 3);
    assert_told("shop -v ON_ERROR_STOP=0 -t -q -c FLUSH -c \"SELECT state, error FROM tarn.jobs\"",
                3, "s.parquet");
    assert_non_null(strstr(result.out, "failed"));
    assert_non_null(strstr(result.out, "s.parquet"));
    assert_answer("SELECT count(*) FROM v", "0\n");
    put_file("s.parquet", good.data, good.len);
    assert_answer("FLUSH; SELECT id, name FROM v ORDER BY id", "1,one\n2,two\n3,\n");
}

// ---- malformed records ----

static const char bad_csv[] = "id,name\n1,one\nx,two\n3,\"three\n";
static const char bad_json[] = "{\"id\": 1, \"name\": \"one\"}\n{\"id\": 2,\n{\"id\": \"x\"}\n";

TEST(a_malformed_record_fails_a_copy_with_its_place) {
    write_file("bad.csv", bad_csv);
    write_file("bad.json", bad_json);
    run("shop -q -c \"CREATE TABLE t (id bigint, name text)\"");
    assert_told("shop -q -c \"COPY t FROM 'bad.csv' (FORMAT csv, HEADER)\"", 3, "line 3");
    assert_non_null(strstr(result.err, "bad.csv"));
    assert_told("shop -q -c \"COPY t FROM 'bad.json' (FORMAT json)\"", 3, "line 2");
    assert_non_null(strstr(result.err, "bad.json"));
    assert_answer("SELECT count(*) FROM t", "0\n");
    assert_answer("SELECT count(*) FROM information_schema.tables WHERE table_name = "
                  "'t_dead_letter'",
                  "0\n");
}

TEST(dead_letters_of_a_copy_are_kept_with_their_place) {
    write_file("bad.csv", bad_csv);
    write_file("bad.json", bad_json);
    run("shop -q -c \"CREATE TABLE t (id bigint, name text); COPY t FROM 'bad.csv' (FORMAT csv, "
        "HEADER, ON_ERROR dead_letter); COPY t FROM 'bad.json' (FORMAT json, ON_ERROR "
        "dead_letter)\"");
    assert_string_equal(result.err, "");
    assert_answer("SELECT id, name FROM t", "1,one\n1,one\n");
    assert_answer("SELECT origin, line, byte_offset FROM t_dead_letter ORDER BY 1, 2",
                  "bad.csv,3,14\nbad.csv,4,20\nbad.json,2,25\nbad.json,3,35\n");
}

TEST(a_malformed_record_stops_a_source_and_jobs_say_where) {
    write_file("bad.csv", bad_csv);
    run("shop -q -c \"CREATE SOURCE s (id bigint, name text) WITH (connector = 'file', path = "
        "'bad.csv'); CREATE MATERIALIZED VIEW v AS SELECT * FROM s\"");
    assert_string_equal(result.err, "");
    for (int i = 0; i < 2; i++) {
        assert_told("shop -t -q -v ON_ERROR_STOP=0 -c FLUSH -c 'SELECT error FROM tarn.jobs'", 3,
                    "line 3");
        assert_non_null(strstr(result.out, "source \"s\": "));
        assert_non_null(strstr(result.out, "bad.csv"));
        assert_non_null(strstr(result.out, "line 3"));
    }
    assert_answer("SELECT count(*) FROM v", "0\n");
}

TEST(dead_letters_of_a_source_are_kept_once_however_often_it_starts) {
    write_file("bad.csv", bad_csv);
    run("shop -q -c \"CREATE SOURCE s (id bigint, name text) WITH (connector = 'file', path = "
        "'bad.csv', on_error = 'dead_letter'); CREATE MATERIALIZED VIEW v AS SELECT * FROM s\"");
    assert_string_equal(result.err, "");
    for (int i = 0; i < 3; i++) {
        assert_answer("FLUSH; SELECT origin, line, byte_offset FROM s_dead_letter ORDER BY line",
                      "s,3,14\ns,4,20\n");
        assert_answer("SELECT id, name FROM v", "1,one\n");
    }
    // Another view of the source reads it anew, and rejects nothing anew.
    assert_answer("CREATE MATERIALIZED VIEW w AS SELECT count(*) AS n FROM s; FLUSH; SELECT n, "
                  "(SELECT count(*) FROM s_dead_letter) FROM w",
                  "1,2\n");
}

// ---- names and types ----

TEST(wrong_names_and_types_are_told_with_the_near_name) {
    make_good_parquet();
    write_file("t.csv", "id,nmae\n1,one\n");
    static const char *const cases[][2] = {
        {"SELECT nmae FROM t", "column \"nmae\" does not exist"},
        {"SELECT nmae FROM t", "t.name"},
        {"SELECT * FROM mad", "made"},
        {"INSERT INTO t (di) VALUES (1)", "column \"di\""},
        {"INSERT INTO t VALUES ('one', 'one')", "invalid input syntax for type bigint: \"one\""},
        {"CREATE SOURCE s (id bigint, name text) WITH (connector = 'file', path = 't.csv')",
         "the header has no column 'name'"},
        {"CREATE SOURCE s (id bigint, name text) WITH (connector = 'file', path = 't.csv')",
         "the header has 'nmae'"},
        {"CREATE SOURCE s (name bigint) WITH (connector = 'file', path = 'good.parquet')", "name"},
        {"CREATE SOURCE s (nam text) WITH (connector = 'file', path = 'good.parquet')",
         "Did you mean \"name\"?"},
        {"CREATE TABLE u (nam text); COPY u FROM 'good.parquet' (FORMAT parquet)",
         "Did you mean \"name\"?"},
        {"CREATE TABLE w (name bigint); COPY w FROM 'good.parquet' (FORMAT parquet)",
         "good.parquet"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char script[512];
        (void)snprintf(script, sizeof script, "%s;\n", cases[i][0]);
        write_file("case.sql", script);
        assert_told("shop -q -f case.sql", 3, cases[i][1]);
    }
    assert_answer("SELECT count(*) FROM t", "0\n");
}

// ---- directories that cannot be written ----

// As somebody who may not write there: root may write everywhere, and needs another user.
static bool run_as_stranger(const char *arguments) {
    char command[2048];
    const char *as = geteuid() == 0
                         ? "setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs"
                         : "env";
    (void)snprintf(command, sizeof command,
                   "cd %s && HOME=/nonexistent %s '%s' %s >/tmp/tarn-stranger-%d 2>&1", root, as,
                   program, arguments, (int)getpid());
    int status = system(command); // NOLINT(cert-env33-c): the test's own words
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/tarn-stranger-%d", (int)getpid());
    FILE *file = fopen(path, "r");
    size_t len = file == NULL ? 0 : fread(result.err, 1, sizeof result.err - 1, file);
    result.err[len] = '\0';
    if (file != NULL) (void)fclose(file);
    (void)unlink(path);
    result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return strstr(result.err, TARN_VERSION) != NULL;
}

TEST(a_directory_that_cannot_be_written_is_told) {
    assert_ran("shop -q -c 'CREATE TABLE t (a bigint)'", 0, "", "");
    assert_int_equal(chmod(root, 0755), 0);
    if (!run_as_stranger("--version")) {
        print_message("there is nobody else to run as\n");
        skip();
    }
    char command[1024];
    (void)snprintf(command, sizeof command, "chmod -R a-w,a+rX %s", root);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): the test's own words
    (void)run_as_stranger("new -c 'SELECT 1'");
    assert_int_equal(result.exit_status, 2);
    assert_non_null(strstr(result.err, "permission denied"));
    assert_non_null(strstr(result.err, "new"));
    (void)run_as_stranger("shop -c 'SELECT 1'");
    assert_int_equal(result.exit_status, 2);
    assert_non_null(strstr(result.err, "permission denied"));
    assert_non_null(strstr(result.err, "warehouse 'shop'"));
    (void)snprintf(command, sizeof command, "chmod -R u+w %s", root);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): the test's own words
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PROGRAM_TEST(a_truncated_parquet_file_is_named_and_nothing_is_copied),
        PROGRAM_TEST(a_flipped_bit_in_a_parquet_file_is_found_or_harmless),
        PROGRAM_TEST(any_flipped_bit_of_a_parquet_footer_leaves_the_program_standing),
        PROGRAM_TEST(a_damaged_source_is_told_in_jobs_and_mended_by_a_good_file),
        PROGRAM_TEST(a_malformed_record_fails_a_copy_with_its_place),
        PROGRAM_TEST(dead_letters_of_a_copy_are_kept_with_their_place),
        PROGRAM_TEST(a_malformed_record_stops_a_source_and_jobs_say_where),
        PROGRAM_TEST(dead_letters_of_a_source_are_kept_once_however_often_it_starts),
        PROGRAM_TEST(wrong_names_and_types_are_told_with_the_near_name),
        PROGRAM_TEST(a_directory_that_cannot_be_written_is_told),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
