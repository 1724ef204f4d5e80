// interactive.h - the shell on a terminal: line editing, history, completion, prompts.
#ifndef TARN_CLI_INTERACTIVE_H
#define TARN_CLI_INTERACTIVE_H

#include <stdatomic.h>

#include "cli/shell.h"

// Reads and runs until \q or the end of the input. `interrupted` is set by the interrupt key and
// cleared here, before each line. `is_new`: the warehouse was just made, which the greeting says.
void cli_interactive_run(cli_shell *shell, atomic_bool *interrupted, bool is_new);

#endif
