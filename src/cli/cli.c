// From the command line to an exit status.
#include "cli/cli.h"

#include <stdatomic.h>
#include <string.h>

#include "cli/connection.h"
#include "cli/input.h"
#include "cli/interactive.h"
#include "cli/kv.h"
#include "cli/options.h"
#include "cli/shell.h"

enum { EXIT_FINE = 0, EXIT_USAGE = 1, EXIT_WAREHOUSE = 2, EXIT_SQL = 3 };

#define PROGRESS_FIRST_LIVE_MS  300
#define PROGRESS_FIRST_PLAIN_MS 1000

// What the interrupt key reaches. Signal handlers have no other way to find it.
static atomic_bool interrupted;
static tarn_session *_Atomic interrupted_session;

static void on_interrupt(void) {
    // Relaxed: flags without data; whoever works looks at them again and again.
    atomic_store_explicit(&interrupted, true, memory_order_relaxed);
    tarn_session *session = atomic_load_explicit(&interrupted_session, memory_order_relaxed);
    if (session != NULL) tarn_session_cancel(session);
}

static tarn_status write_stdout(void *context, tarn_slice bytes, tarn_error *err) {
    (void)context;
    return tarn_os_stream_write(TARN_STREAM_OUTPUT, bytes, err);
}

static tarn_status write_stderr(void *context, tarn_slice bytes, tarn_error *err) {
    (void)context;
    return tarn_os_stream_write(TARN_STREAM_ERROR, bytes, err);
}

// ---- what the options and the streams make of it ----

static bool takes_color(const cli_options *options, tarn_stream stream) {
    // Any value of NO_COLOR but none refuses (no-color.org).
    bool refused = options->no_color || tarn_os_environment("NO_COLOR").len > 0;
    return !refused && tarn_os_is_terminal(stream);
}

static tarn_status start_meter(const cli_options *options, tarn_os *os, const cli_engine *engine,
                               cli_meter **ret_meter, tarn_error *err) {
    bool live = tarn_os_is_terminal(TARN_STREAM_ERROR);
    bool wanted = options->progress == CLI_PROGRESS_ALWAYS ||
                  (options->progress == CLI_PROGRESS_AUTO && live);
    if (!wanted) return TARN_OK;
    cli_meter_options meter = {
        .os = os,
        .sample = engine->progress,
        .sample_context = engine->context,
        .write = write_stderr,
        .live = live,
        .color = takes_color(options, TARN_STREAM_ERROR),
        .always = options->progress == CLI_PROGRESS_ALWAYS,
        .first_ms = live ? PROGRESS_FIRST_LIVE_MS : PROGRESS_FIRST_PLAIN_MS,
    };
    return cli_meter_new(&meter, ret_meter, err);
}

// ---- running ----

static bool run_actions(cli_shell *shell, const cli_options *options) {
    bool went_well = true;
    for (size_t i = 0; i < options->action_count; i++) {
        const cli_action *action = &options->actions[i];
        went_well &= action->kind == CLI_ACTION_TEXT
                         ? cli_run_text(shell, action->text)
                         : cli_run_file(shell, action->text, (cli_place){0});
        bool is_over = shell->output_failed || cli_shell_is_interrupted(shell);
        if (is_over || (!went_well && !options->goes_on)) break;
    }
    return went_well;
}

static int run_all(cli_shell *shell, const cli_options *options, bool is_new) {
    bool went_well;
    if (options->action_count > 0) {
        went_well = run_actions(shell, options);
    } else if (tarn_os_is_terminal(TARN_STREAM_INPUT)) {
        cli_interactive_run(shell, &interrupted, is_new);
        went_well = true; // errors were told to whoever sits there
    } else {
        went_well = cli_run_stdin(shell);
    }
    tarn_error err = {0};
    if (cli_shell_close_output(shell, &err) != TARN_OK) {
        went_well = cli_shell_complain(shell, &err, (cli_place){0});
    }
    if (!cli_shell_flush(shell, (cli_place){0}) && shell->output_failed) return EXIT_USAGE;
    return went_well ? EXIT_FINE : EXIT_SQL;
}

static int run_shell(const cli_options *options, tarn_os *os, const cli_connection *connection,
                     bool is_new) {
    cli_out out;
    cli_out err_out;
    cli_shell shell;
    tarn_error err = {0};
    cli_out_init(&out, write_stdout, NULL);
    cli_out_init(&err_out, write_stderr, NULL);
    cli_shell_init(&shell, &connection->engine, os, &out, &err_out);
    shell.interrupted = &interrupted;
    shell.style = options->style;
    shell.quiet = options->quiet;
    shell.goes_on = options->goes_on;
    shell.color_out = takes_color(options, TARN_STREAM_OUTPUT);
    shell.color_err = takes_color(options, TARN_STREAM_ERROR);

    int exit_status = EXIT_USAGE;
    if (start_meter(options, os, &connection->engine, &shell.meter, &err) == TARN_OK) {
        exit_status = run_all(&shell, options, is_new);
    } else {
        (void)cli_shell_complain(&shell, &err, (cli_place){0});
    }
    cli_meter_free(shell.meter);
    cli_shell_reset(&shell);
    cli_out_reset(&out);
    cli_out_reset(&err_out);
    return exit_status;
}

static void print_error(const char *message, const char *hint) {
    cli_out out;
    cli_out_init(&out, write_stderr, NULL);
    cli_out_text(&out, "tarn: ");
    cli_out_text(&out, message);
    cli_out_text(&out, "\n");
    if (hint[0] != '\0') {
        cli_out_text(&out, "HINT:  ");
        cli_out_text(&out, hint);
        cli_out_text(&out, "\n");
    }
    (void)cli_out_flush(&out, NULL); // nobody can be told that standard error fails
    cli_out_reset(&out);
}

// Whether opening will make a warehouse of the directory.
static bool is_new_warehouse(tarn_os *os, tarn_slice directory, tarn_arena *arena) {
    tarn_slice path;
    tarn_file_info info = {0};
    if (!tarn_arena_printf(arena, &path, TARN_SLICE_FMT "/tarn", TARN_SLICE_ARG(directory))) {
        return false;
    }
    return tarn_os_stat(os, path, &info, NULL) == TARN_OK && !info.exists;
}

static int open_and_run(const cli_options *options, tarn_arena *arena) {
    tarn_os *os = tarn_os_posix();
    tarn_error err = {0};
    cli_connection connection;
    bool is_new = is_new_warehouse(os, options->directory, arena);
    if (cli_connection_open(&connection, os, options->directory, &options->warehouse, &err) !=
        TARN_OK) {
        print_error(err.message, err.hint);
        return EXIT_WAREHOUSE;
    }
    atomic_store_explicit(&interrupted_session, connection.session, memory_order_relaxed);
    tarn_os_on_interrupt(on_interrupt);
    int exit_status = run_shell(options, os, &connection, is_new);
    tarn_os_on_interrupt(NULL); // from here on it ends the process: the last checkpoint can wait
    atomic_store_explicit(&interrupted_session, NULL, memory_order_relaxed);
    cli_connection_close(&connection);
    return exit_status;
}

// ---- the program ----

static int print_and_exit(const char *text) {
    tarn_status status = tarn_os_stream_write(TARN_STREAM_OUTPUT, tarn_slice_from_cstr(text), NULL);
    return status == TARN_OK ? EXIT_FINE : EXIT_USAGE;
}

static int run_kv(int argc, char *const *argv) {
    cli_kv_options options;
    tarn_error err = {0};
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) return print_and_exit(cli_kv_help_text);
        if (strcmp(argv[i], "--") == 0) break;
    }
    if (cli_kv_parse(argc, argv, &options, &err) != TARN_OK) {
        print_error(err.message, "try 'tarn kv --help'");
        return EXIT_USAGE;
    }
    cli_out out;
    cli_out notes;
    cli_out_init(&out, write_stdout, NULL);
    cli_out_init(&notes, write_stderr, NULL);
    int exit_status = EXIT_FINE;
    tarn_status status = cli_kv_run(tarn_os_posix(), &options, &out, &notes, &exit_status, &err);
    tarn_status printed = cli_out_flush(&out, status == TARN_OK ? &err : NULL);
    (void)cli_out_flush(&notes, NULL); // nobody can be told that standard error fails
    if (status == TARN_OK && printed != TARN_OK) exit_status = EXIT_USAGE;
    if (status != TARN_OK) exit_status = EXIT_SQL;
    if (exit_status == EXIT_SQL || printed != TARN_OK) print_error(err.message, err.hint);
    cli_out_reset(&out);
    cli_out_reset(&notes);
    return exit_status;
}

static int run_program(int argc, char *const *argv, tarn_arena *arena) {
    cli_options options;
    tarn_error err = {0};
    if (argc > 1 && strcmp(argv[1], "kv") == 0) return run_kv(argc - 2, argv + 2);
    if (cli_options_parse(argc, argv, arena, &options, &err) != TARN_OK) {
        print_error(err.message, err.hint[0] != '\0' ? err.hint : "try 'tarn --help'");
        return EXIT_USAGE;
    }
    if (options.help) return print_and_exit(cli_help_text);
    if (options.version) return print_and_exit("tarn " TARN_VERSION "\n");
    return open_and_run(&options, arena);
}

int tarn_cli_main(int argc, char *const *argv) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    int exit_status = run_program(argc, argv, &arena);
    tarn_arena_reset(&arena);
    return exit_status;
}
