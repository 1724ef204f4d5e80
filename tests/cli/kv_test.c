#include "cli/kv.h"

#include <string.h>

#include "base/alloc.h"
#include "os/sim.h"
#include "tests/test.h"

typedef struct machine {
    tarn_sim *sim;
    tarn_buffer out;
    tarn_buffer notes;
    tarn_error err;
} machine;

static tarn_status keep(void *context, tarn_slice bytes, tarn_error *err) {
    (void)err;
    assert_true(tarn_buffer_append(context, bytes));
    return TARN_OK;
}

// Runs `tarn kv` with the arguments, which are separated by blanks. Returns its exit status, 3 for
// a failure.
static int run(machine *m, const char *line) {
    char text[256];
    char *arguments[16];
    int count = 0;
    (void)snprintf(text, sizeof text, "%s", line);
    char *rest = NULL;
    for (char *part = strtok_r(text, " ", &rest); part != NULL; part = strtok_r(NULL, " ", &rest)) {
        arguments[count++] = part;
    }
    tarn_buffer_clear(&m->out);
    tarn_buffer_clear(&m->notes);
    cli_kv_options options;
    if (cli_kv_parse(count, arguments, &options, &m->err) != TARN_OK) return 1;
    cli_out out;
    cli_out notes;
    cli_out_init(&out, keep, &m->out);
    cli_out_init(&notes, keep, &m->notes);
    int exit_status = 0;
    tarn_status status =
        cli_kv_run(tarn_sim_os(m->sim), &options, &out, &notes, &exit_status, &m->err);
    assert_int_equal(cli_out_flush(&out, NULL), TARN_OK);
    assert_int_equal(cli_out_flush(&notes, NULL), TARN_OK);
    cli_out_reset(&out);
    cli_out_reset(&notes);
    return status == TARN_OK ? exit_status : 3;
}

static void expect(machine *m, const char *line, const char *output) {
    int exit_status = run(m, line);
    if (exit_status != 0) print_message("%s: %s\n", line, m->err.message);
    assert_int_equal(exit_status, 0);
    assert_true(tarn_slice_equal(tarn_buffer_slice(&m->out), tarn_slice_from_cstr(output)));
}

static void write_file(machine *m, const char *path, const char *text) {
    assert_int_equal(tarn_os_write_file(tarn_sim_os(m->sim), tarn_slice_from_cstr(path),
                                        tarn_slice_from_cstr(text), TARN_WRITE_REPLACE, NULL),
                     TARN_OK);
}

static machine new_machine(void) {
    machine m = {0};
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, 1, &m.sim, NULL), TARN_OK);
    return m;
}

static void free_machine(machine *m) {
    tarn_buffer_free(&m->out);
    tarn_buffer_free(&m->notes);
    tarn_sim_free(m->sim);
}

TEST(a_key_that_was_set_is_there) {
    machine m = new_machine();
    expect(&m, "/d set ada 1815 --engine=mem", "");
    expect(&m, "/d set bob 1900", "");
    expect(&m, "/d get ada", "1815\n");
    assert_int_equal(run(&m, "/d get nobody"), 1);
    assert_int_equal(m.out.len, 0);
    expect(&m, "/d delete ada nobody", "");
    assert_int_equal(run(&m, "/d get ada"), 1);
    expect(&m, "/d count", "1\n");
    free_machine(&m);
}

TEST(scans_keep_to_their_bounds) {
    machine m = new_machine();
    write_file(&m, "/in", "a\t1\nab\t2\nb\t3\nc\t4\n");
    expect(&m, "/d load /in --engine=mem", "");
    expect(&m, "/d scan", "a\t1\nab\t2\nb\t3\nc\t4\n");
    expect(&m, "/d scan --prefix=a", "a\t1\nab\t2\n");
    expect(&m, "/d scan --from=ab --to=c", "ab\t2\nb\t3\n");
    expect(&m, "/d scan --reverse --limit=2 --keys", "c\nb\n");
    expect(&m, "/d count --prefix=a", "2\n");
    free_machine(&m);
}

TEST(dump_and_load_give_the_same_bytes) {
    machine m = new_machine();
    const char *lines = "a\\tb\tx\\ny\\\\\nb\\x00c\t\\x7F\\r\n";
    write_file(&m, "/in", lines);
    expect(&m, "/d load /in --engine=mem", "");
    expect(&m, "/d dump", lines);
    write_file(&m, "/in.json", "{\"key\":\"k\",\"value\":\"\\u00e9\"}\n");
    expect(&m, "/e load /in.json --format=json --engine=mem", "");
    expect(&m, "/e dump --format=json", "{\"key\":\"k\",\"value\":\"\xc3\xa9\"}\n");
    free_machine(&m);
}

TEST(bad_lines_are_named) {
    machine m = new_machine();
    write_file(&m, "/in", "a\t1\nno tab\n");
    assert_int_equal(run(&m, "/d load /in --engine=mem"), 3);
    assert_string_equal(m.err.message, "line 2: there is no tab behind the key");
    write_file(&m, "/in", "a\\q\t1\n");
    assert_int_equal(run(&m, "/d load /in"), 3);
    assert_string_equal(m.err.message, "line 1: a backslash begins \\t, \\n, \\r, \\\\ or \\xHH");
    free_machine(&m);
}

TEST(a_backup_can_be_restored) {
    machine m = new_machine();
    expect(&m, "/d set a 1 --engine=mem", "");
    expect(&m, "/d backup /copy", "");
    expect(&m, "/d set a 2", "");
    expect(&m, "/again restore /copy", "");
    expect(&m, "/again get a", "1\n");
    assert_int_equal(run(&m, "/again restore /copy"), 3); // it is there already
    expect(&m, "/d verify", "");
    expect(&m, "/d compact", "");
    expect(&m, "/d get a", "2\n");
    assert_int_equal(run(&m, "/d stats"), 0);
    assert_true(m.out.len > 0);
    free_machine(&m);
}

TEST(families_are_kept_apart) {
    machine m = new_machine();
    expect(&m, "/d set a 1 --engine=mem --family=other", "");
    assert_int_equal(run(&m, "/d get a"), 1);
    expect(&m, "/d get a --family=other", "1\n");
    assert_int_equal(run(&m, "/d get a --family=none"), 3);
    assert_string_equal(m.err.message, "there is no family 'none'");
    free_machine(&m);
}

TEST(wrong_commands_are_refused) {
    machine m = new_machine();
    assert_int_equal(run(&m, "/d"), 1);
    assert_int_equal(run(&m, "/d get a --wrong"), 1);
    assert_int_equal(run(&m, "/d get a --engine=fast"), 1);
    assert_int_equal(run(&m, "/d fly"), 3);
    assert_string_equal(m.err.message, "there is no command 'fly'");
    assert_int_equal(run(&m, "/d get a"), 3);
    assert_string_equal(m.err.message, "'/d' holds no key-value store");
    expect(&m, "/d set --engine=mem -- --key --value", "");
    expect(&m, "/d get -- --key", "--value\n");
    free_machine(&m);
}

TEST(bench_wants_a_new_directory) {
    machine m = new_machine();
    assert_int_equal(run(&m, "/d bench 100 --engine=mem"), 0);
    assert_int_equal(run(&m, "/d bench 100"), 3);
    free_machine(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_was_set_is_there),
        cmocka_unit_test(scans_keep_to_their_bounds),
        cmocka_unit_test(dump_and_load_give_the_same_bytes),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(a_backup_can_be_restored),
        cmocka_unit_test(families_are_kept_apart),
        cmocka_unit_test(wrong_commands_are_refused),
        cmocka_unit_test(bench_wants_a_new_directory),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
