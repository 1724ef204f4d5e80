// The built program: what it prints, how it exits, and how it behaves on a terminal.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cli/program.h"

#define PATIENCE_MS 60000 // far more than anything here takes, also under sanitizers

#define ORDERS "CREATE TABLE orders (id int PRIMARY KEY, item text, price numeric(8,2)); "

TEST(version_and_help_go_to_standard_output) {
    assert_ran("--version", 0, "tarn " TARN_VERSION "\n", "");
    run("--help");
    assert_int_equal(result.exit_status, 0);
    assert_non_null(strstr(result.out, "tarn [OPTION]... DIRECTORY"));
    assert_string_equal(result.err, "");
}

TEST(a_wrong_command_line_exits_with_1) {
    assert_ran("shop --formt csv", 1, "",
               "tarn: unknown option '--formt'\nHINT:  did you mean '--format'?\n");
    assert_ran("", 1, "", "tarn: which warehouse? give its directory\nHINT:  try 'tarn --help'\n");
}

TEST(commands_make_tables_that_the_next_run_finds) {
    assert_ran("shop -c \"" ORDERS "INSERT INTO orders VALUES (1, 'tea', 2.5), (2, NULL, 10)\"", 0,
               "CREATE TABLE\nINSERT 0 2\n", "");
    assert_ran("shop -c 'SELECT * FROM orders ORDER BY id' -c '\\dt'", 0,
               " id | item | price \n"
               "----+------+-------\n"
               "  1 | tea  |  2.50\n"
               "  2 |      | 10.00\n"
               "(2 rows)\n"
               "\n"
               "    List of relations\n"
               " Schema |  Name  | Type  \n"
               "--------+--------+-------\n"
               " public | orders | table\n"
               "(1 row)\n"
               "\n",
               "");
    assert_ran("shop --format json -c 'SELECT * FROM orders ORDER BY id'", 0,
               "[{\"id\":1,\"item\":\"tea\",\"price\":2.50},\n"
               "{\"id\":2,\"item\":null,\"price\":10.00}]\n",
               "");
    assert_ran("shop --format=csv -c '\\d orders'", 0,
               "Column,Type,Nullable,Key\n"
               "id,integer,not null,key\n"
               "item,text,\"\",\"\"\n"
               "price,\"numeric(8,2)\",\"\",\"\"\n",
               "");
}

TEST(a_view_is_described_with_its_definition) {
    run("shop -q -c \"" ORDERS "CREATE MATERIALIZED VIEW per_item AS "
        "SELECT item, count(*) AS n FROM orders GROUP BY item; FLUSH\" -c '\\d per_item' -c "
        "'\\dv'");
    assert_string_equal(result.err, "");
    assert_non_null(strstr(result.out, "Materialized view \"public.per_item\""));
    assert_non_null(strstr(result.out, "Definition:\nCREATE MATERIALIZED VIEW per_item AS"));
    assert_non_null(strstr(result.out, "Job: running"));
    assert_non_null(strstr(result.out, " public | per_item | materialized view\n"));
}

TEST(a_script_stops_at_its_first_error_and_exits_with_3) {
    write_file("s.sql",
               "SELECT 1 AS one;\n\nSELECT one,\n  too\nFROM nowhere;\nSELECT 2 AS two;\n");
    const char *one = " one \n-----\n   1\n(1 row)\n\n";
    assert_ran("shop -f s.sql -c 'SELECT 3'", 3, one,
               "tarn:s.sql:5: ERROR:  relation \"nowhere\" does not exist\n"
               "LINE 3: FROM nowhere;\n"
               "             ^\n");
    run("shop -f - < s.sql");
    assert_int_equal(result.exit_status, 3);
    assert_non_null(strstr(result.err, "tarn:<stdin>:5: ERROR:  "));
    run("shop < s.sql"); // no terminal: a script, too
    assert_int_equal(result.exit_status, 3);
    assert_string_equal(result.out, one);
    run("shop -v ON_ERROR_STOP=0 -f s.sql");
    assert_int_equal(result.exit_status, 3);
    assert_non_null(strstr(result.out, " two \n"));
    assert_ran("shop -f none.sql", 3, "", "cannot open 'none.sql': no such file or directory\n");
}

TEST(a_directory_that_cannot_be_a_warehouse_exits_with_2) {
    write_file("file", "");
    run("file -c 'SELECT 1'");
    assert_int_equal(result.exit_status, 2);
    assert_non_null(strstr(result.err, "tarn: warehouse 'file': "));
}

TEST(a_full_disk_behind_standard_output_exits_with_1_and_a_closed_pipe_quietly) {
    char command[1024];
    (void)snprintf(command, sizeof command, "cd %s && '%s' shop -c 'SELECT 1' >/dev/full 2>err.txt",
                   root, program);
    int status = system(command); // NOLINT(cert-env33-c): the test's own words
    assert_int_equal(WEXITSTATUS(status), 1);
    read_file("err.txt", result.err, sizeof result.err);
    assert_string_equal(result.err, "cannot write standard output: No space left on device\n");

    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    (void)close(pipe_fds[0]);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(pipe_fds[1], STDOUT_FILENO);
        int err_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(err_fd, STDERR_FILENO);
        execl(program, "tarn", warehouse, "-c", "SELECT 1", NULL);
        _exit(127);
    }
    (void)close(pipe_fds[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status)); // not killed by SIGPIPE: the warehouse is closed properly
    assert_int_equal(WEXITSTATUS(status), 1);
}

// ---- a process that stays: over pipes, or on a terminal ----

typedef struct running {
    pid_t pid;
    int to;   // its input
    int from; // its output
    char seen[65536];
    size_t seen_len;
    size_t looked; // what `expect` has gone past
} running;

static running process;

// Reads until `text` has come (behind what was expected before) and fails when it does not come.
static void expect(const char *text) {
    for (;;) {
        process.seen[process.seen_len] = '\0';
        const char *found = strstr(process.seen + process.looked, text);
        if (found != NULL) {
            process.looked = (size_t)(found - process.seen) + strlen(text);
            return;
        }
        struct pollfd ready = {.fd = process.from, .events = POLLIN};
        int count = poll(&ready, 1, PATIENCE_MS);
        ssize_t got = count <= 0 ? 0
                                 : read(process.from, process.seen + process.seen_len,
                                        sizeof process.seen - 1 - process.seen_len);
        if (got <= 0) {
            print_message("expected '%s' in:\n%s\n", text, process.seen);
            fail();
        }
        process.seen_len += (size_t)got;
    }
}

static void type(const char *text) {
    assert_int_equal(write(process.to, text, strlen(text)), (ssize_t)strlen(text));
}

static int wait_for_exit(void) {
    int status;
    // The terminal is read to its end, so that the program can write what it has to say.
    char rest[4096];
    while (read(process.from, rest, sizeof rest) > 0) continue;
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    (void)close(process.from);
    if (process.to != process.from) (void)close(process.to);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void start_on_terminal(void) {
    struct winsize size = {.ws_col = 100, .ws_row = 30};
    int terminal = -1;
    process = (running){0};
    process.pid = forkpty(&terminal, NULL, NULL, &size);
    assert_true(process.pid >= 0);
    if (process.pid == 0) {
        (void)setenv("HOME", root, 1);
        (void)setenv("TERM", "xterm", 1);
        (void)setenv("NO_COLOR", "1", 1);
        (void)unsetenv("LC_ALL");
        execl(program, "tarn", warehouse, NULL);
        _exit(127);
    }
    process.to = terminal;
    process.from = terminal;
}

TEST(a_second_process_is_told_who_holds_the_warehouse) {
    int to[2];
    int from[2];
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    process = (running){.pid = fork()};
    if (process.pid == 0) {
        (void)dup2(to[0], STDIN_FILENO);
        (void)dup2(from[1], STDOUT_FILENO);
        (void)close(to[1]);
        execl(program, "tarn", warehouse, NULL);
        _exit(127);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    process.to = to[1];
    process.from = from[0];
    type("\\echo ready\n");
    expect("ready\n");
    run("shop -c 'SELECT 1'");
    assert_int_equal(result.exit_status, 2);
    char holder[40];
    (void)snprintf(holder, sizeof holder, "process %d", (int)process.pid);
    assert_non_null(strstr(result.err, holder));
    assert_non_null(strstr(result.err, "HINT:  "));
    type("\\q\n");
    assert_int_equal(wait_for_exit(), 0);
    run("shop -c 'SELECT 1'"); // now it is free
    assert_int_equal(result.exit_status, 0);
}

TEST(the_shell_prompts_for_what_is_open_and_remembers_statements) {
    start_on_terminal();
    expect("Made a new warehouse in ");
    expect("shop=> ");
    type("SELECT 'tea\n");
    expect("shop'> ");
    type("time' AS\n");
    expect("shop-> ");
    type("what, (\n");
    expect("shop(> ");
    type("2);\n");
    expect("(1 row)");
    expect("shop=> ");
    type("\x10"); // Ctrl-P: the statement comes back as one entry
    expect("time' AS");
    expect("2);");
    type("\x03");
    expect("^C");
    expect("shop=> ");
    type("\\foo\n");
    expect("invalid command \\foo. Try \\? for help.");
    expect("shop=> ");
    type("\x04"); // Ctrl-D
    expect("\\q");
    assert_int_equal(wait_for_exit(), 0);

    char text[1024];
    read_file(".tarn_history", text, sizeof text);
    assert_string_equal(text, "SELECT 'tea\\ntime' AS\\nwhat, (\\n2);\n\\\\foo\n");
    char path[400];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/.tarn_history", root);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    start_on_terminal(); // and the next shell knows them
    expect("shop=> ");
    type("\x10");
    expect("\\foo");
    type("\x01\x0b"); // to the beginning, and cut to the end
    type("exit\n");
    assert_int_equal(wait_for_exit(), 0);
}

TEST(the_interrupt_key_clears_a_line_and_cancels_a_query_and_the_shell_lives_on) {
    start_on_terminal();
    expect("shop=> ");
    type("SELECT 'never run\n");
    expect("shop'> ");
    type("half a li\x03");
    expect("^C");
    expect("shop=> ");
    type(
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10);\n");
    expect("INSERT 0 10");
    expect("shop=> ");
    type("SELECT count(*) FROM t a, t b, t c, t d, t e, t f, t g, t h, t i, t j, t k;\n");
    expect("epoch "); // the progress that a long statement shows
    type("\x03");
    expect("ERROR:  ");
    expect("shop=> ");
    type("SELECT count(*) AS still_here FROM t;\n");
    expect("still_here");
    expect("shop=> ");
    type("\\q\n");
    assert_int_equal(wait_for_exit(), 0);
}

TEST(tab_completes_names_and_words) {
    run("shop -q -c 'CREATE TABLE long_name_of_a_table (a int)'");
    assert_int_equal(result.exit_status, 0);
    start_on_terminal();
    expect("shop=> ");
    type("SELEC\t* FROM long_n\t;\n");
    expect("(0 rows)");
    expect("shop=> ");
    type("\\q\n");
    assert_int_equal(wait_for_exit(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PROGRAM_TEST(version_and_help_go_to_standard_output),
        PROGRAM_TEST(a_wrong_command_line_exits_with_1),
        PROGRAM_TEST(commands_make_tables_that_the_next_run_finds),
        PROGRAM_TEST(a_view_is_described_with_its_definition),
        PROGRAM_TEST(a_script_stops_at_its_first_error_and_exits_with_3),
        PROGRAM_TEST(a_directory_that_cannot_be_a_warehouse_exits_with_2),
        PROGRAM_TEST(a_full_disk_behind_standard_output_exits_with_1_and_a_closed_pipe_quietly),
        PROGRAM_TEST(a_second_process_is_told_who_holds_the_warehouse),
        PROGRAM_TEST(the_shell_prompts_for_what_is_open_and_remembers_statements),
        PROGRAM_TEST(the_interrupt_key_clears_a_line_and_cancels_a_query_and_the_shell_lives_on),
        PROGRAM_TEST(tab_completes_names_and_words),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
