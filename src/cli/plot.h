// plot.h - a result as a bar chart in the terminal.
//
// The first column labels the bars and the second, a number, gives their length. The longest bar
// takes the width that labels and figures leave; bars begin at zero, negative ones go to the left.
//
//      hour | mean delay
//         0 | #######         7.1      (with block characters instead of '#')
#ifndef TARN_CLI_PLOT_H
#define TARN_CLI_PLOT_H

#include "cli/out.h"
#include "column/column.h"

#define CLI_PLOT_ROWS 1000 // more bars than anyone looks at

// What a plot needs of a result. Zeroed: nothing yet.
typedef struct cli_plot {
    tarn_arena arena; // everything below
    bool has_result;
    tarn_slice label_name;
    tarn_slice value_name;
    tarn_type label_type;
    tarn_type value_type;
    size_t column_count;
    struct cli_plot_bar *bars;
    size_t bar_count;
    uint64_t row_count; // of the result; bars are kept of the first CLI_PLOT_ROWS
} cli_plot;

// Forgets the last result and takes note of a new one.
TARN_MUST_USE tarn_status cli_plot_begin(cli_plot *plot, const tarn_schema *schema,
                                         tarn_error *err);
TARN_MUST_USE tarn_status cli_plot_push(cli_plot *plot, const tarn_chunk *chunk, tarn_error *err);
void cli_plot_reset(cli_plot *plot);

// TARN_INVALID when there is nothing that can be drawn, with the reason.
TARN_MUST_USE tarn_status cli_plot_draw(const cli_plot *plot, size_t columns, bool color,
                                        cli_out *out, tarn_error *err);

#endif
