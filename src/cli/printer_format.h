// printer_format.h - what a format provides to printer.c, and what it is given.
#ifndef TARN_CLI_PRINTER_FORMAT_H
#define TARN_CLI_PRINTER_FORMAT_H

#include "cli/printer.h"

// One value of the row that is being printed.
typedef struct printer_cell {
    tarn_slice text; // shaped by the format; views the printer's buffer
    bool is_null;
} printer_cell;

// Rows that wait for the widths; one reference.
typedef struct printer_held {
    tarn_batch *batch;
} printer_held;

typedef struct printer_format {
    // Appends text of the user (a name, a text value) as the format needs it; NULL: as it is.
    bool (*shape)(tarn_slice raw, tarn_buffer *out);
    bool measures; // it needs the columns' widths
    void (*begin)(cli_printer *printer);
    void (*row)(cli_printer *printer);
    void (*end)(cli_printer *printer, const tarn_slice *footer);
} printer_format;

struct cli_printer {
    const cli_style *style;
    const tarn_schema *schema;
    cli_out *out;
    const printer_format *format;
    tarn_arena arena; // the arrays below
    tarn_slice title;
    tarn_slice *names;   // shaped
    size_t *name_widths; // columns of the widest line
    size_t *widths;      // of the name and of the values measured
    size_t *value_widths;
    bool *right; // numbers stand at the right
    printer_cell *cells;
    tarn_slice *rest; // scratch: what is left of each cell
    bool *has_line;   // scratch: whether anything is

    tarn_buffer text;    // of the cells
    tarn_buffer scratch; // of one value
    printer_held *held;
    size_t held_count;
    size_t held_capacity;
    size_t held_rows;
    size_t held_bytes;
    bool has_begun;
    uint64_t row_count; // printed
};

extern const printer_format printer_table;
extern const printer_format printer_expanded;
extern const printer_format printer_csv;
extern const printer_format printer_json;
extern const printer_format printer_markdown;

// "(3 rows)", or the footer given, and the empty line behind a table.
void printer_put_footer(cli_printer *printer, const tarn_slice *footer);

#endif
