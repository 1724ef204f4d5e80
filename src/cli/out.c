#include "cli/out.h"

#include <stdarg.h>

#define FLUSH_BYTES TARN_TUNABLE((size_t)64 << 10, (size_t)16)

void cli_out_init(cli_out *out, cli_write *write, void *context) {
    *out = (cli_out){.write = write, .context = context};
}

void cli_out_reset(cli_out *out) {
    tarn_buffer_free(&out->buffer);
}

static void fail_memory(cli_out *out) {
    (void)tarn_fail(&out->error, TARN_NO_MEMORY, "no memory for the output");
}

static void write_out(cli_out *out) {
    if (cli_out_failed(out) || out->buffer.len == 0) return;
    // The status is in out->error, too.
    (void)out->write(out->context, tarn_buffer_slice(&out->buffer), &out->error);
    tarn_buffer_clear(&out->buffer);
}

void cli_out_put(cli_out *out, tarn_slice bytes) {
    if (cli_out_failed(out)) return;
    if (!tarn_buffer_append(&out->buffer, bytes)) fail_memory(out);
    if (out->buffer.len >= FLUSH_BYTES) write_out(out);
}

void cli_out_text(cli_out *out, const char *text) {
    cli_out_put(out, tarn_slice_from_cstr(text));
}

void cli_out_printf(cli_out *out, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    // Long text goes through cli_out_put; what is printed here is numbers and a few words.
    size_t fits = len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
    cli_out_put(out, (tarn_slice){(const uint8_t *)text, fits});
}

void cli_out_repeat(cli_out *out, char byte, size_t count) {
    uint8_t block[64];
    memset(block, byte, sizeof block);
    while (count > 0) {
        size_t len = count < sizeof block ? count : sizeof block;
        cli_out_put(out, (tarn_slice){block, len});
        count -= len;
    }
}

tarn_status cli_out_flush(cli_out *out, tarn_error *err) {
    write_out(out);
    if (cli_out_failed(out) && err != NULL) *err = out->error;
    return out->error.status;
}
