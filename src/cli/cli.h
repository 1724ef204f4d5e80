// cli.h - the `tarn` program: a shell and a script runner over an open warehouse (docs/cli.md).
#ifndef TARN_CLI_H
#define TARN_CLI_H

// Runs the program and returns its exit status. Once per process: it takes over the interrupt key.
int tarn_cli_main(int argc, char *const *argv);

#endif
