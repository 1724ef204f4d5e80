// shell.h - runs statements and meta commands, and prints what comes of them.
//
//     cli_shell_init(&shell, &engine, os, &out, &err_out);
//     cli_shell_run(&shell, statement, place);       // false: it failed, and the user knows
//     cli_shell_meta(&shell, TARN_LIT("\\d"), place);
//     cli_shell_reset(&shell);
//
// Results go to standard output or to the file of \o; messages and errors to standard error.
// Threads: one, except that anyone may set *interrupted.
#ifndef TARN_CLI_SHELL_H
#define TARN_CLI_SHELL_H

#include <stdatomic.h>

#include "cli/engine.h"
#include "cli/meter.h"
#include "cli/out.h"
#include "cli/plot.h"
#include "cli/printer.h"

// Where a statement stands, for messages. No file: typed by the user, or from -c.
typedef struct cli_place {
    tarn_slice file;
    uint64_t line;
} cli_place;

typedef struct cli_shell {
    const cli_engine *engine;
    tarn_os *os;
    cli_out *out;
    cli_out *err;
    cli_meter *meter;               // NULL: no progress
    const atomic_bool *interrupted; // by the user; NULL: never
    cli_style style;                // null_text views null_buffer
    tarn_buffer null_buffer;
    bool quiet;
    bool timing;
    bool goes_on;    // scripts go on after an error
    bool color_out;  // standard output takes colors
    bool color_err;  // and standard error
    size_t columns;  // to draw in; 0: those of the terminal, else 80
    cli_plot plot;   // the last result
    tarn_file *file; // of \o; NULL: standard output
    cli_out file_out;
    size_t script_depth; // \i within \i
    bool has_failed;     // something did: for the exit status
    bool output_failed;  // standard output cannot be written: nothing makes sense any more
} cli_shell;

void cli_shell_init(cli_shell *shell, const cli_engine *engine, tarn_os *os, cli_out *out,
                    cli_out *err);
void cli_shell_reset(cli_shell *shell);

// Each returns whether it went well; what did not has been reported.
bool cli_shell_run(cli_shell *shell, tarn_slice statement, cli_place place);
// Runs the statement and draws its result instead of printing it.
bool cli_shell_run_plot(cli_shell *shell, tarn_slice statement, cli_place place);

// Runs a meta command; `line` begins with its backslash. *ret_quits: it was \q.
bool cli_shell_meta(cli_shell *shell, tarn_slice line, cli_place place, bool *ret_quits);

// ---- for the parts of the shell ----

// Where results go now.
cli_out *cli_shell_results(cli_shell *shell);
bool cli_shell_is_interrupted(const cli_shell *shell);
// Prints "ERROR:  ..." with its place in the statement (empty: none) and its hint. Returns false.
bool cli_shell_report(cli_shell *shell, const tarn_error *err, tarn_slice statement,
                      cli_place place);
// Prints what a meta command has to say against itself. Returns false.
bool cli_shell_complain(cli_shell *shell, const tarn_error *err, cli_place place);
// Makes all that was printed visible. Returns false when that fails, which has been reported.
bool cli_shell_flush(cli_shell *shell, cli_place place);
tarn_status cli_shell_open_output(cli_shell *shell, tarn_slice path, tarn_error *err);
tarn_status cli_shell_close_output(cli_shell *shell, tarn_error *err);
TARN_MUST_USE tarn_status cli_shell_draw_plot(cli_shell *shell, tarn_error *err);
// The columns to draw in.
size_t cli_shell_columns(const cli_shell *shell);

// ---- describe.c ----

// \d (`kinds` NULL: all), \dt, \dv, \ds. `pattern` may be empty.
TARN_MUST_USE tarn_status cli_list_relations(cli_shell *shell, const char *kind, tarn_slice pattern,
                                             tarn_error *err);
// \d NAME
TARN_MUST_USE tarn_status cli_describe(cli_shell *shell, tarn_slice pattern, tarn_error *err);
// Names of relations and of their columns, for completion. Best effort: none on failure.
void cli_list_names(cli_shell *shell, tarn_arena *arena, tarn_slice **ret_names, size_t *ret_count);

#endif
