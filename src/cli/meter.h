// meter.h - the thread that draws progress.h while a statement runs.
//
//     cli_meter_begin(meter, is_flush);  run the statement;  cli_meter_end(meter);
//
// Between the two calls only the meter writes to standard error, and on a terminal nobody writes to
// standard output: so they never mix.
// Threads: one calls begin and end; the meter's own draws.
#ifndef TARN_CLI_METER_H
#define TARN_CLI_METER_H

#include "cli/out.h"
#include "os/os.h"
#include "warehouse/warehouse.h"

typedef struct cli_meter_options {
    tarn_os *os;
    // Any thread may call it.
    tarn_status (*sample)(void *context, tarn_arena *arena, tarn_progress *ret_progress,
                          tarn_error *err);
    void *sample_context;
    cli_write *write; // to standard error
    void *write_context;
    bool live; // the terminal moves its cursor; else a line per second
    bool color;
    bool always;      // a FLUSH has its summary however short it is
    int64_t first_ms; // statements shorter than this are not drawn
} cli_meter_options;

typedef struct cli_meter cli_meter;
TARN_MUST_USE tarn_status cli_meter_new(const cli_meter_options *options, cli_meter **ret_meter,
                                        tarn_error *err);
void cli_meter_free(cli_meter *meter); // accepts NULL

// A NULL meter shows nothing. `is_flush`: a summary is wanted at the end.
void cli_meter_begin(cli_meter *meter, bool is_flush);
// Erases what is drawn. No effect when nothing has begun.
void cli_meter_end(cli_meter *meter);

#endif
