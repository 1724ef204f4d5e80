// input.h - lines of input to statements and meta commands: from files, -c, pipes and the shell.
//
// Scripts stop at their first failure, unless the shell goes on (cli_shell.goes_on).
#ifndef TARN_CLI_INPUT_H
#define TARN_CLI_INPUT_H

#include "cli/scan.h"
#include "cli/shell.h"

typedef struct cli_input {
    cli_shell *shell;
    cli_scanner scanner;
    tarn_slice file; // for messages; empty: none
    bool stops;      // at the first failure
    bool has_quit;   // \q: what follows is not run
} cli_input;

void cli_input_init(cli_input *input, cli_shell *shell, tarn_slice file, bool stops);
void cli_input_reset(cli_input *input);
// Runs what the line (with its newline, if it has one) completes. Returns whether all went well.
bool cli_input_line(cli_input *input, tarn_slice line);
// Runs a last statement that has no semicolon.
bool cli_input_end(cli_input *input);

// Each returns whether all went well.
bool cli_run_text(cli_shell *shell, tarn_slice text); // -c
// -f, \i; "-" is standard input. `place` is where that was asked for.
bool cli_run_file(cli_shell *shell, tarn_slice path, cli_place place);
bool cli_run_stdin(cli_shell *shell);

#endif
