// out.h - where the program writes: a stream or a file, buffered.
//
//     cli_out out;
//     cli_out_init(&out, write_to_stdout, NULL);
//     cli_out_printf(&out, "%zu rows\n", count);       // any number, without looking
//     status = cli_out_flush(&out, err);               // tells whether all of them arrived
//     cli_out_reset(&out);
//
// A failure sticks: what comes after it is dropped, and every flush reports it. So the code that
// prints stays free of checks, and whoever ends a piece of work makes the one that counts.
// Threads: one at a time.
#ifndef TARN_CLI_OUT_H
#define TARN_CLI_OUT_H

#include "base/buffer.h"
#include "base/status.h"

typedef tarn_status cli_write(void *context, tarn_slice bytes, tarn_error *err);

typedef struct cli_out {
    tarn_buffer buffer;
    cli_write *write;
    void *context;
    tarn_error error; // status TARN_OK: nothing has failed
} cli_out;

void cli_out_init(cli_out *out, cli_write *write, void *context);
void cli_out_reset(cli_out *out); // drops what was not flushed

void cli_out_put(cli_out *out, tarn_slice bytes);
void cli_out_text(cli_out *out, const char *text);
void cli_out_printf(cli_out *out, const char *format, ...) TARN_PRINTF(2, 3);
void cli_out_repeat(cli_out *out, char byte, size_t count);

// The failure may also be looked up later: it sticks.
tarn_status cli_out_flush(cli_out *out, tarn_error *err);
static inline bool cli_out_failed(const cli_out *out) {
    return out->error.status != TARN_OK;
}

#endif
