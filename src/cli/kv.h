// kv.h - `tarn kv DIR COMMAND`: a key-value store from the command line (docs/cli.md).
#ifndef TARN_CLI_KV_H
#define TARN_CLI_KV_H

#include "cli/out.h"
#include "kv/kv.h"

typedef struct cli_kv_options {
    tarn_kv_engine engine; // TARN_KV_ANY: what is there
    tarn_slice family;     // empty: the default one
    tarn_slice prefix;
    tarn_slice from;
    tarn_slice to;
    uint64_t limit; // UINT64_MAX: none
    bool backwards;
    bool keys_only;
    bool is_json; // else lines of two columns, with a tab between
    tarn_slice directory;
    tarn_slice command;
    tarn_slice arguments[8];
    size_t argument_count;
} cli_kv_options;

// `arguments` are those behind the word kv.
TARN_MUST_USE tarn_status cli_kv_parse(int argc, char *const *argv, cli_kv_options *ret_options,
                                       tarn_error *err);
// Runs the command. Progress and diagnoses go to `notes`, results to `out`. *ret_exit_status is
// that of the program when nothing failed: 0, or 1 when a key is not there.
TARN_MUST_USE tarn_status cli_kv_run(tarn_os *os, const cli_kv_options *options, cli_out *out,
                                     cli_out *notes, int *ret_exit_status, tarn_error *err);

extern const char cli_kv_help_text[];

// One line of two columns: bytes below 32, backslashes and what is no ASCII letter or sign of its
// own are \t, \n, \r, \\ or \xHH. Bytes from 128 on stay as they are.
void cli_kv_put_escaped(cli_out *out, tarn_slice bytes);
// Appends the bytes that the text stands for. TARN_INVALID for an unfinished or unknown escape.
TARN_MUST_USE tarn_status cli_kv_unescape(tarn_slice text, tarn_buffer *out, tarn_error *err);

#endif
