// Scripts and meta commands against prepared answers, on a simulated machine.
#include "cli/shell.h"

#include "cli/input.h"
#include "os/sim.h"
#include "tests/cli/fake.h"

typedef struct fixture {
    tarn_sim *sim;
    fake_engine engine;
    tarn_buffer out_text;
    tarn_buffer err_text;
    cli_out out;
    cli_out err;
    cli_shell shell;
    atomic_bool interrupted;
    bool interrupts; // the next write to standard output does
} fixture;

static fixture test;
static tarn_field number_field[1];
static tarn_field pair_fields[2];
static tarn_error column_error;
static const char *const one_row[] = {"1", NULL};
static const char *const pairs[] = {"a|4", "b|2", NULL};
static const char *const relations[] = {
    "public|hours|MATERIALIZED VIEW", "public|airports|BASE TABLE", "public|flights|SOURCE",
    "tarn|jobs|SYSTEM TABLE",         "extra|hours|BASE TABLE",     NULL};
static const char *const columns[] = {"public|airports|iata|text|NO|t",
                                      "public|airports|name|text|YES|f",
                                      "public|hours|hour|timestamp without time zone|YES|t",
                                      "extra|hours|n|integer|YES|f",
                                      "tarn|jobs|name|text|YES|f",
                                      "public|flights|delay|bigint|NO|f",
                                      NULL};
static const char *const jobs[] = {
    "hours|failed|3|source went away|CREATE MATERIALIZED VIEW hours AS ...", NULL};
static tarn_field relation_fields[3];
static tarn_field column_fields[6];
static tarn_field job_fields[5];

#define RELATIONS_QUERY "SELECT table_schema, table_name, table_type FROM information_schema.tables"
#define COLUMNS_QUERY                                                                    \
    "SELECT table_schema, table_name, column_name, data_type, is_nullable, is_key FROM " \
    "information_schema.columns"
#define JOBS_QUERY "SELECT name, state, version, error, definition FROM tarn.jobs"

static fake_answer answers[] = {
    {.statement = "SELECT 1;", .rows = one_row},
    {.statement = "SELECT 1", .rows = one_row},
    {.statement = "SELECT pairs;", .rows = pairs},
    {.statement = "SELECT pairs ", .rows = pairs},
    {.statement = "CREATE x;", .tag = "CREATE TABLE"},
    {.statement = "SELECT a,\n  amout\nFROM t;", .error = &column_error},
    {.statement = RELATIONS_QUERY, .rows = relations},
    {.statement = COLUMNS_QUERY, .rows = columns},
    {.statement = JOBS_QUERY, .rows = jobs},
    {0},
};

static void name_fields(tarn_field *fields, size_t count, tarn_type_id type, size_t first_answer,
                        size_t answer_count) {
    for (size_t i = 0; i < answer_count; i++) {
        answers[first_answer + i].schema = (tarn_schema){fields, count};
    }
    for (size_t i = 0; i < count; i++) {
        fields[i] = fake_field(i == 0 ? "label" : "n", type);
    }
}

static tarn_status write_stdout(void *context, tarn_slice bytes, tarn_error *err) {
    if (test.interrupts) atomic_store(&test.interrupted, true);
    return fake_write(context, bytes, err);
}

static int set_up(void **state) {
    (void)state;
    test = (fixture){0};
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, 1, &test.sim, NULL), TARN_OK);
    fake_engine_init(&test.engine, answers);
    name_fields(number_field, 1, TARN_TYPE_INTEGER, 0, 2);
    name_fields(pair_fields, 2, TARN_TYPE_INTEGER, 2, 2);
    pair_fields[0].type = tarn_type_of(TARN_TYPE_TEXT);
    name_fields(relation_fields, 3, TARN_TYPE_TEXT, 6, 1);
    name_fields(column_fields, 6, TARN_TYPE_TEXT, 7, 1);
    column_fields[5].type = tarn_type_of(TARN_TYPE_BOOLEAN);
    name_fields(job_fields, 5, TARN_TYPE_TEXT, 8, 1);
    job_fields[2].type = tarn_type_of(TARN_TYPE_BIGINT);
    column_error = (tarn_error){.status = TARN_INVALID, .position = 13};
    (void)snprintf(column_error.message, sizeof column_error.message,
                   "column \"amout\" does not exist");
    (void)snprintf(column_error.hint, sizeof column_error.hint, "Perhaps you meant \"amount\".");
    cli_out_init(&test.out, write_stdout, &test.out_text);
    cli_out_init(&test.err, fake_write, &test.err_text);
    cli_shell_init(&test.shell, &test.engine.engine, tarn_sim_os(test.sim), &test.out, &test.err);
    test.shell.interrupted = &test.interrupted;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    cli_shell_reset(&test.shell);
    assert_int_equal(test.engine.open_results, 0);
    cli_out_reset(&test.out);
    cli_out_reset(&test.err);
    tarn_buffer_free(&test.out_text);
    tarn_buffer_free(&test.err_text);
    tarn_buffer_free(&test.engine.log);
    tarn_sim_free(test.sim);
    return 0;
}

#define SHELL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void write_file(const char *path, const char *text) {
    assert_int_equal(tarn_os_write_file(tarn_sim_os(test.sim), tarn_slice_from_cstr(path),
                                        tarn_slice_from_cstr(text), TARN_WRITE_REPLACE, NULL),
                     TARN_OK);
}

static void assert_file(const char *path, const char *expected) {
    tarn_arena arena;
    tarn_slice bytes = {0};
    tarn_arena_init(&arena, &tarn_alloc_libc, 1 << 20);
    assert_int_equal(tarn_os_read_file(tarn_sim_os(test.sim), tarn_slice_from_cstr(path), 1 << 20,
                                       &arena, &bytes, NULL),
                     TARN_OK);
    assert_true(tarn_slice_equal(bytes, tarn_slice_from_cstr(expected)));
    tarn_arena_reset(&arena);
}

static bool run(const char *text) {
    return cli_run_text(&test.shell, tarn_slice_from_cstr(text));
}

static void assert_said(const char *out, const char *err) {
    fake_assert_text(&test.out_text, out);
    fake_assert_text(&test.err_text, err);
    tarn_buffer_clear(&test.out_text);
    tarn_buffer_clear(&test.err_text);
}

#define ONE_TABLE " label \n-------\n     1\n(1 row)\n\n"

TEST(statements_print_tables_or_tags) {
    assert_true(run("CREATE x; SELECT 1;"));
    assert_said("CREATE TABLE\n" ONE_TABLE, "");
    assert_true(run("SELECT 1")); // the last one needs no semicolon
    assert_said(ONE_TABLE, "");
    test.shell.quiet = true;
    assert_true(run("CREATE x;"));
    assert_said("", "");
    fake_assert_text(&test.engine.log, "CREATE x;\nSELECT 1;\nSELECT 1\nCREATE x;\n");
}

TEST(tags_do_not_spoil_what_programs_read) {
    test.shell.style.format = CLI_FORMAT_CSV;
    assert_true(run("CREATE x; SELECT 1;"));
    assert_said("label\n1\n", "");
}

TEST(an_error_in_a_script_names_the_line_and_ends_it) {
    write_file("/s.sql", "\n-- a comment\nCREATE x;\nSELECT a,\n  amout\nFROM t;\nSELECT 1;\n");
    assert_false(cli_run_file(&test.shell, TARN_LIT("/s.sql"), (cli_place){0}));
    assert_said("CREATE TABLE\n", "tarn:/s.sql:5: ERROR:  column \"amout\" does not exist\n"
                                  "LINE 2:   amout\n"
                                  "          ^\n"
                                  "HINT:  Perhaps you meant \"amount\".\n");
    assert_true(test.shell.has_failed);
    test.shell.goes_on = true;
    assert_false(cli_run_file(&test.shell, TARN_LIT("/s.sql"), (cli_place){0}));
    fake_assert_text(&test.out_text, "CREATE TABLE\n" ONE_TABLE);
}

TEST(typed_text_has_no_place_in_front_of_its_errors) {
    assert_false(run("SELECT a,\n  amout\nFROM t; SELECT 1;"));
    assert_said("", "ERROR:  column \"amout\" does not exist\n"
                    "LINE 2:   amout\n"
                    "          ^\n"
                    "HINT:  Perhaps you meant \"amount\".\n");
    test.shell.color_err = true;
    assert_false(run("bad;"));
    assert_said("", "\x1b[1;31mERROR:\x1b[0m  no answer prepared\n");
}

static void report(const char *statement, int32_t position, const char *expected) {
    tarn_error err = {.status = TARN_INVALID, .position = position, .message = "bad \x1b thing"};
    assert_false(
        cli_shell_report(&test.shell, &err, tarn_slice_from_cstr(statement), (cli_place){0}));
    assert_said("", expected);
}

TEST(the_caret_points_at_the_character) {
    report("SELECT \u6771\u4EAC x", 11,
           "ERROR:  bad \\x1B thing\n"
           "LINE 1: SELECT \u6771\u4EAC x\n"
           "                    ^\n");
    report("\tx", 2, "ERROR:  bad \\x1B thing\nLINE 1:         x\n                ^\n");
    report("SELECT", 7, "ERROR:  bad \\x1B thing\nLINE 1: SELECT\n              ^\n");
    report("a\n", 3, "ERROR:  bad \\x1B thing\nLINE 2: \n        ^\n");
    report("a", 99, "ERROR:  bad \\x1B thing\nLINE 1: a\n         ^\n");
    report("a", 0, "ERROR:  bad \\x1B thing\n");
}

TEST(a_long_line_is_cut_around_the_caret) {
    char statement[301];
    memset(statement, '.', 300);
    statement[300] = '\0';
    statement[99] = 'X';
    report(statement, 100,
           "ERROR:  bad \\x1B thing\n"
           "LINE 1: ...........................................X...................\x2E..\n"
           "                                                   ^\n");
    report(statement, 1,
           "ERROR:  bad \\x1B thing\n"
           "LINE 1: ............................................................\x2E..\n"
           "        ^\n");
}

TEST(files_include_files_and_the_inner_place_is_told) {
    write_file("/outer.sql", "SELECT 1;\n\\i /inner.sql\nSELECT 1;\n");
    write_file("/inner.sql", "\xEF\xBB\xBF"
                             "CREATE x;\n\n  bad;\n");
    assert_false(cli_run_file(&test.shell, TARN_LIT("/outer.sql"), (cli_place){0}));
    assert_said(ONE_TABLE "CREATE TABLE\n", "tarn:/inner.sql:3: ERROR:  no answer prepared\n");
    write_file("/loop.sql", "\\i /loop.sql\n");
    assert_false(cli_run_file(&test.shell, TARN_LIT("/loop.sql"), (cli_place){0}));
    assert_said("", "tarn:/loop.sql:1: \\i: files are nested more than 16 deep\n");
    assert_false(run("\\i /nowhere"));
    assert_said("", "cannot open '/nowhere': no such file or directory\n");
}

TEST(a_long_script_is_read_in_pieces) {
    tarn_buffer script = {0};
    for (int i = 0; i < 20000; i++) assert_true(tarn_buffer_append(&script, TARN_LIT("-- none\n")));
    assert_true(tarn_buffer_append(&script, TARN_LIT("SELECT 1")));
    assert_true(tarn_buffer_append_byte(&script, '\0'));
    write_file("/long.sql", (const char *)script.data);
    assert_true(cli_run_file(&test.shell, TARN_LIT("/long.sql"), (cli_place){0}));
    assert_said(ONE_TABLE, "");
    tarn_buffer_free(&script);
}

TEST(unknown_meta_commands_are_refused_as_psql_does) {
    assert_false(run("\\foo bar"));
    assert_said("", "invalid command \\foo. Try \\? for help.\n");
    assert_false(run("\\timing maybe"));
    assert_said("", "unrecognized value \"maybe\" for \"\\timing\": on or off expected\n");
    assert_false(run("\\x on off"));
    assert_said("", "\\x: too many arguments\n");
    assert_false(run("\\echo 'open"));
    assert_said("", "unterminated quoted string\n");
    assert_false(run("\\format html"));
    assert_said("", "\\format: allowed formats are table, csv, json, markdown\n");
    assert_false(run("\\o |less"));
    assert_said("", "\\o: output to a command is not supported\n");
    assert_false(run("\\i"));
    assert_said("", "\\i: missing required argument\n");
    assert_false(run("\\pset border 2"));
    assert_said("", "\\pset: the option is null (\\pset null '(null)')\n");
}

TEST(settings_change_how_results_are_printed) {
    assert_true(run("\\x\nSELECT 1;\\x off\n\\t on\nSELECT 1;\n\\t\n\\format json\nSELECT 1;"));
    assert_said("Expanded display is on.\n-[ RECORD 1 ]\nlabel | 1\n\n"
                "Expanded display is off.\nTuples only is on.\n     1\n\nTuples only is off.\n"
                "Output format is json.\n[{\"label\":1}]\n",
                "");
    assert_true(run("\\pset null 'it''s null'\n\\format"));
    assert_said("Null display is \"it's null\".\nOutput format is json.\n", "");
}

TEST(echo_writes_its_words) {
    assert_true(run("\\echo a b c d e f g h i j k l m"));
    assert_said("a b c d e f g h i j k l m\n", "");
    assert_true(run("\\echo\n\\echo  two   words 'and  a quote'\n\\echo \"a b\""));
    assert_said("\ntwo words and  a quote\n\"a b\"\n", "");
}

TEST(timing_tells_milliseconds) {
    assert_true(run("\\timing on\nCREATE x;"));
    static const char begin[] = "Timing is on.\nCREATE TABLE\nTime: ";
    assert_true(test.out_text.len > sizeof begin);
    assert_memory_equal(test.out_text.data, begin, sizeof begin - 1);
    assert_memory_equal(test.out_text.data + test.out_text.len - 4, " ms\n", 4);
    tarn_buffer_clear(&test.out_text);
    assert_false(run("bad;")); // failures take time too
    assert_memory_equal(test.out_text.data, "Time: ", 6);
}

TEST(output_goes_to_a_file_until_it_is_called_back) {
    write_file("/out.txt", "what was there is lost, however long it was, as with a shell's '>'\n");
    assert_true(run("\\o /out.txt\nSELECT 1;\\echo seen\nCREATE x;\n\\o\nCREATE x;"));
    assert_said("seen\nCREATE TABLE\n", "");
    assert_file("/out.txt", ONE_TABLE "CREATE TABLE\n");
    assert_false(run("\\o /no/such/directory\n"));
    assert_said("", "cannot open '/no/such/directory': no such file or directory\n");
}

TEST(a_full_disk_behind_the_output_file_is_told_and_the_terminal_takes_over) {
    assert_true(run("\\o /out.txt\n"));
    tarn_sim_set_capacity(test.sim, 0);
    assert_false(run("SELECT 1;"));
    assert_said("", "cannot write '/out.txt': no space left on device\n");
    assert_true(run("SELECT 1;"));
    assert_said(ONE_TABLE, "");
}

#define FIVE   "\u2588\u2588\u2588\u2588\u2588"
#define BLOCKS FIVE FIVE FIVE

TEST(plot_draws_the_last_result_or_the_statement_in_front) {
    test.shell.columns = 41;
    char plot[300];
    (void)snprintf(plot, sizeof plot,
                   " label \u2502 n\n a     \u2502%s 4\n b     \u2502%s%15s 2\n\n", BLOCKS BLOCKS,
                   BLOCKS, "");
    assert_false(run("\\plot"));
    assert_said("", "\\plot: no query has returned rows yet\n");
    assert_true(run("SELECT pairs \\plot"));
    assert_said(plot, "");
    assert_true(run("\\o /rows.txt\nSELECT pairs;\\o\n\\plot\n"));
    assert_said(plot, "");
    assert_file("/rows.txt", " label | n \n-------+---\n a     | 4\n b     | 2\n(2 rows)\n\n");
}

TEST(the_statement_so_far_can_be_run_shown_and_forgotten) {
    assert_true(run("SELECT 1\\g\nSELECT\n  2\n\\p\n\\r\nCREATE x;"));
    assert_said(ONE_TABLE "SELECT\n  2\nCREATE TABLE\n", "");
    assert_true(run("\\g\n\\p\n\\r\n"));
    assert_said("\n", "");
}

TEST(quit_ends_its_script_only) {
    write_file("/q.sql", "CREATE x;\n\\q\nSELECT 1;\n");
    assert_true(run("\\i /q.sql\nCREATE x; \\q\nSELECT 1;"));
    assert_said("CREATE TABLE\nCREATE TABLE\n", "");
}

TEST(an_interrupt_ends_a_script_also_between_statements) {
    test.interrupts = true; // while the tag is written
    test.shell.goes_on = true;
    assert_false(run("CREATE x;\nSELECT 1;\nSELECT 1;"));
    assert_said("CREATE TABLE\n", "interrupted\n");
}

TEST(an_interrupt_cancels_the_rows_that_are_being_read) {
    atomic_store(&test.interrupted, true);
    assert_false(cli_shell_run(&test.shell, TARN_LIT("SELECT 1;"), (cli_place){0}));
    assert_said("", "ERROR:  canceling statement due to user request\n");
}

TEST(relations_are_listed_by_kind_and_pattern) {
    assert_true(run("\\d"));
    assert_said("           List of relations\n"
                " Schema |   Name   |       Type        \n"
                "--------+----------+-------------------\n"
                " extra  | hours    | table\n"
                " public | airports | table\n"
                " public | flights  | source\n"
                " public | hours    | materialized view\n"
                "(4 rows)\n\n",
                "");
    assert_true(run("\\dt AIR*"));
    assert_said("     List of relations\n"
                " Schema |   Name   | Type  \n"
                "--------+----------+-------\n"
                " public | airports | table\n"
                "(1 row)\n\n",
                "");
    assert_true(run("\\t\n\\dv\n\\ds f?ights\n\\t"));
    assert_said("Tuples only is on.\n public | hours | materialized view\n\n"
                " public | flights | source\n\nTuples only is off.\n",
                "");
    assert_false(run("\\ds x*"));
    assert_said("", "Did not find any relation named \"x*\".\n");
}

TEST(a_relation_is_described_with_its_columns_and_its_job) {
    assert_true(run("\\d public.hours"));
    assert_said("           Materialized view \"public.hours\"\n"
                " Column |            Type             | Nullable | Key \n"
                "--------+-----------------------------+----------+-----\n"
                " hour   | timestamp without time zone |          | key\n"
                "Definition:\n"
                "CREATE MATERIALIZED VIEW hours AS ...\n"
                "Job: failed, version 3\n"
                "Error: source went away\n\n",
                "");
    assert_true(run("\\d airports"));
    assert_said("    Table \"public.airports\"\n"
                " Column | Type | Nullable | Key \n"
                "--------+------+----------+-----\n"
                " iata   | text | not null | key\n"
                " name   | text |          | \n\n",
                "");
    assert_true(run("\\d tarn.*"));
    assert_said("    System table \"tarn.jobs\"\n"
                " Column | Type | Nullable | Key \n"
                "--------+------+----------+-----\n"
                " name   | text |          | \n\n",
                "");
    assert_false(run("\\d airport"));
    assert_said("", "Did not find any relation named \"airport\".\n"
                    "HINT:  Perhaps you meant \"airports\".\n");
    assert_false(run("\\d \"Airports\"")); // quoted names keep their case
    assert_true(test.err_text.len > 0);
}

TEST(names_for_completion_are_those_of_tables_and_columns) {
    tarn_arena arena;
    tarn_slice *names = NULL;
    size_t count = 1;
    tarn_arena_init(&arena, &tarn_alloc_libc, 1 << 20);
    cli_list_names(&test.shell, &arena, &names, &count); // no answer is prepared
    assert_int_equal(count, 0);
    tarn_arena_reset(&arena);
}

TEST(conninfo_and_help) {
    assert_true(run("\\conninfo"));
    char expected[128];
    (void)snprintf(expected, sizeof expected,
                   "The warehouse \"/data/shop\" is open in this process (%lld), at epoch 7.\n",
                   (long long)tarn_os_process_id(tarn_sim_os(test.sim)));
    assert_said(expected, "");
    assert_true(run("\\?"));
    assert_true(test.out_text.len > 1000);
}

static tarn_status refuse(void *context, tarn_slice bytes, tarn_error *err) {
    (void)bytes;
    const tarn_status *status = context;
    return tarn_fail(err, *status, "cannot write");
}

TEST(output_that_cannot_be_written_ends_everything) {
    static tarn_status statuses[] = {TARN_IO, TARN_CANCELLED};
    for (size_t i = 0; i < 2; i++) {
        cli_out broken;
        cli_out_init(&broken, refuse, &statuses[i]);
        test.shell.out = &broken;
        test.shell.output_failed = false;
        tarn_buffer_clear(&test.engine.log);
        assert_false(run("CREATE x;\nSELECT 1;"));
        assert_true(test.shell.output_failed);
        fake_assert_text(&test.engine.log, "CREATE x;\n");
        // That a reader has gone away is no error to tell.
        fake_assert_text(&test.err_text, i == 0 ? "cannot write\n" : "");
        tarn_buffer_clear(&test.err_text);
        cli_out_reset(&broken);
    }
    test.shell.out = &test.out;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SHELL_TEST(statements_print_tables_or_tags),
        SHELL_TEST(tags_do_not_spoil_what_programs_read),
        SHELL_TEST(an_error_in_a_script_names_the_line_and_ends_it),
        SHELL_TEST(typed_text_has_no_place_in_front_of_its_errors),
        SHELL_TEST(the_caret_points_at_the_character),
        SHELL_TEST(a_long_line_is_cut_around_the_caret),
        SHELL_TEST(files_include_files_and_the_inner_place_is_told),
        SHELL_TEST(a_long_script_is_read_in_pieces),
        SHELL_TEST(unknown_meta_commands_are_refused_as_psql_does),
        SHELL_TEST(settings_change_how_results_are_printed),
        SHELL_TEST(echo_writes_its_words),
        SHELL_TEST(timing_tells_milliseconds),
        SHELL_TEST(output_goes_to_a_file_until_it_is_called_back),
        SHELL_TEST(a_full_disk_behind_the_output_file_is_told_and_the_terminal_takes_over),
        SHELL_TEST(plot_draws_the_last_result_or_the_statement_in_front),
        SHELL_TEST(the_statement_so_far_can_be_run_shown_and_forgotten),
        SHELL_TEST(quit_ends_its_script_only),
        SHELL_TEST(an_interrupt_ends_a_script_also_between_statements),
        SHELL_TEST(an_interrupt_cancels_the_rows_that_are_being_read),
        SHELL_TEST(relations_are_listed_by_kind_and_pattern),
        SHELL_TEST(a_relation_is_described_with_its_columns_and_its_job),
        SHELL_TEST(names_for_completion_are_those_of_tables_and_columns),
        SHELL_TEST(conninfo_and_help),
        SHELL_TEST(output_that_cannot_be_written_ends_everything),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
