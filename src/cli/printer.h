// printer.h - rows of a result as text: aligned tables, expanded records, CSV, JSON, Markdown.
//
//     cli_printer_new(&style, schema, title, &out, &printer, err);
//     for each batch: cli_printer_push(printer, batch, err);
//     cli_printer_end(printer, footer, err);
//     cli_printer_free(printer);
//
// Memory:    CSV and JSON are written as they come. Tables, records and Markdown need the widths of
//            their columns: the first CLI_PRINTER_HELD_ROWS rows (or CLI_PRINTER_HELD_BYTES of
//            them) are held and measured. In a longer result later rows are written as they come,
//            and a cell wider than its column pushes the rest of its line to the right.
// Ownership: the style, the schema and the output outlive the printer; batches are referenced.
// Errors:    TARN_NO_MEMORY. Failures of the output stay in it (out.h).
#ifndef TARN_CLI_PRINTER_H
#define TARN_CLI_PRINTER_H

#include "cli/out.h"
#include "column/column.h"

#define CLI_PRINTER_HELD_ROWS  TARN_TUNABLE((size_t)10000, (size_t)16)
#define CLI_PRINTER_HELD_BYTES ((size_t)16 << 20)

typedef enum cli_format {
    CLI_FORMAT_TABLE,
    CLI_FORMAT_CSV,
    CLI_FORMAT_JSON,
    CLI_FORMAT_MARKDOWN,
} cli_format;
#define CLI_FORMAT_COUNT 4

// "table", "csv", ...
const char *cli_format_name(cli_format format);
// Returns false when there is no such format.
bool cli_format_parse(tarn_slice name, cli_format *ret_format);

typedef struct cli_style {
    cli_format format;
    bool expanded;        // tables: one line per value
    bool tuples_only;     // without title, header and footer
    tarn_slice null_text; // how tables and Markdown show NULL
} cli_style;

typedef struct cli_printer cli_printer;

// `title` stands above tables; may be empty.
TARN_MUST_USE tarn_status cli_printer_new(const cli_style *style, const tarn_schema *schema,
                                          tarn_slice title, cli_out *out, cli_printer **ret_printer,
                                          tarn_error *err);
TARN_MUST_USE tarn_status cli_printer_push(cli_printer *printer, tarn_batch *batch,
                                           tarn_error *err);
// `footer` stands below tables; NULL: the number of rows.
TARN_MUST_USE tarn_status cli_printer_end(cli_printer *printer, const tarn_slice *footer,
                                          tarn_error *err);
uint64_t cli_printer_row_count(const cli_printer *printer);
void cli_printer_free(cli_printer *printer); // accepts NULL

#endif
