// progress.h - what the views are doing, drawn on standard error while a statement runs.
//
// The pure part: samples and times in, bytes for the terminal out. meter.h is the thread around it.
//
//     cli_progress_begin(&progress, now_ns, &sample, is_flush);
//     now and then:  cli_progress_draw(&progress, &sample, now_ns, size, &bytes);
//     at the end:    cli_progress_finish(&progress, &sample, now_ns, &bytes);
//
// Live (on a terminal): a few lines that are drawn over each other and erased at the end. Else one
// line per drawing. A FLUSH that was shown ends with a summary.
#ifndef TARN_CLI_PROGRESS_H
#define TARN_CLI_PROGRESS_H

#include "base/buffer.h"
#include "os/os.h"
#include "warehouse/warehouse.h"

#define CLI_PROGRESS_SOURCES_MAX 16 // with a rate of their own; later ones show none

typedef struct cli_progress {
    bool live;   // set once
    bool color;  // set once
    bool always; // set once: also a FLUSH too short to be drawn gets its summary
    bool is_flush;
    bool has_shown;
    int64_t begin_ns;
    bool has_base; // rates count from here:
    int64_t base_ns;
    uint64_t base_rows[CLI_PROGRESS_SOURCES_MAX];
    size_t drawn_lines;
} cli_progress;

// `sample` NULL: rates count from the first drawing.
void cli_progress_begin(cli_progress *progress, int64_t now_ns, const tarn_progress *sample,
                        bool is_flush);
// `size` of the terminal, for live drawing. Returns false without memory.
TARN_MUST_USE bool cli_progress_draw(cli_progress *progress, const tarn_progress *sample,
                                     int64_t now_ns, tarn_terminal_size size, tarn_buffer *out);
// Whether there is something to erase or to sum up.
bool cli_progress_has_end(const cli_progress *progress);
// `sample` NULL: unknown, and there is no summary.
TARN_MUST_USE bool cli_progress_finish(cli_progress *progress, const tarn_progress *sample,
                                       int64_t now_ns, tarn_buffer *out);

// "1,234,567"
typedef struct cli_number {
    char text[32];
} cli_number;
cli_number cli_number_format(uint64_t number);

#endif
