// options.h - the command line: `tarn DIR`, `tarn DIR -c SQL`, `tarn DIR -f FILE`, ...
//
// Ownership: the options view the arguments and the arena.
// Errors:    TARN_INVALID with a hint that names the nearest option.
#ifndef TARN_CLI_OPTIONS_H
#define TARN_CLI_OPTIONS_H

#include "cli/printer.h"
#include "warehouse/warehouse.h"

typedef enum cli_action_kind {
    CLI_ACTION_TEXT, // -c: the text itself
    CLI_ACTION_FILE, // -f: a path, "-" is standard input
} cli_action_kind;

typedef struct cli_action {
    cli_action_kind kind;
    tarn_slice text;
} cli_action;

typedef enum cli_progress_mode {
    CLI_PROGRESS_AUTO, // when standard error is a terminal
    CLI_PROGRESS_ALWAYS,
    CLI_PROGRESS_NEVER,
} cli_progress_mode;

typedef struct cli_options {
    bool help;
    bool version;
    tarn_slice directory;
    cli_action *actions; // in the order given
    size_t action_count;
    cli_style style;
    bool quiet;
    bool goes_on; // after errors of -c and -f
    bool no_color;
    cli_progress_mode progress;
    tarn_warehouse_options warehouse;
} cli_options;

TARN_MUST_USE tarn_status cli_options_parse(int argc, char *const *argv, tarn_arena *arena,
                                            cli_options *ret_options, tarn_error *err);

extern const char cli_help_text[];

// "512MB": powers of 1024 as in PostgreSQL; a number alone is bytes.
TARN_MUST_USE tarn_status cli_parse_size(tarn_slice text, size_t *ret_bytes, tarn_error *err);
// "250ms", "1s", "2min"; a number alone is milliseconds.
TARN_MUST_USE tarn_status cli_parse_duration(tarn_slice text, int64_t *ret_ms, tarn_error *err);

#endif
