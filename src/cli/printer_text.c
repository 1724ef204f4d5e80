// Formats for programs and documents: CSV, JSON, Markdown.
#include "cli/printer_format.h"
#include "cli/text.h"

// ---- CSV: RFC 4180 with lines that end in a newline; NULL is empty, empty text is "" ----

static bool needs_quotes(tarn_slice text) {
    if (text.len == 0) return true;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        if (byte == '"' || byte == ',' || byte == '\n' || byte == '\r') return true;
    }
    // Readers that follow PostgreSQL's COPY take it for the end of the data.
    return tarn_slice_equal(text, TARN_LIT("\\."));
}

static void put_csv_field(cli_out *out, tarn_slice text) {
    if (!needs_quotes(text)) {
        cli_out_put(out, text);
        return;
    }
    cli_out_text(out, "\"");
    while (text.len > 0) {
        const uint8_t *quote = memchr(text.data, '"', text.len);
        size_t len = quote == NULL ? text.len : (size_t)(quote - text.data) + 1;
        cli_out_put(out, tarn_slice_head(text, len));
        if (quote != NULL) cli_out_text(out, "\"");
        text = tarn_slice_skip(text, len);
    }
    cli_out_text(out, "\"");
}

static void begin_csv(cli_printer *printer) {
    if (printer->style->tuples_only) return;
    for (size_t i = 0; i < printer->schema->field_count; i++) {
        if (i > 0) cli_out_text(printer->out, ",");
        put_csv_field(printer->out, printer->names[i]);
    }
    cli_out_text(printer->out, "\n");
}

static void put_csv_row(cli_printer *printer) {
    for (size_t i = 0; i < printer->schema->field_count; i++) {
        if (i > 0) cli_out_text(printer->out, ",");
        if (!printer->cells[i].is_null) put_csv_field(printer->out, printer->cells[i].text);
    }
    cli_out_text(printer->out, "\n");
}

static void end_csv(cli_printer *printer, const tarn_slice *footer) {
    (void)printer;
    (void)footer;
}

const printer_format printer_csv = {.begin = begin_csv, .row = put_csv_row, .end = end_csv};

// ---- JSON: an array with one object per line ----

static void put_json_string(cli_out *out, tarn_slice text) {
    static const char *const short_forms[0x20] = {
        ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
    cli_out_text(out, "\"");
    size_t begin = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        cli_out_put(out, (tarn_slice){text.data + begin, i - begin});
        begin = i + 1;
        if (byte >= 0x20) {
            cli_out_printf(out, "\\%c", byte);
        } else if (short_forms[byte] != NULL) {
            cli_out_text(out, short_forms[byte]);
        } else {
            cli_out_printf(out, "\\u%04x", byte);
        }
    }
    if (text.len > begin) cli_out_put(out, tarn_slice_skip(text, begin));
    cli_out_text(out, "\"");
}

// JSON has no NaN and no infinity: they become strings, as in PostgreSQL.
static bool is_json_number(tarn_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        bool may_be = (byte >= '0' && byte <= '9') || byte == '-' || byte == '+' || byte == '.' ||
                      byte == 'e';
        if (!may_be) return false;
    }
    return text.len > 0;
}

// "2001-01-01 00:00:00+00" is ISO 8601 with a T, and an offset with minutes.
static void put_json_moment(cli_out *out, tarn_slice text, bool has_zone) {
    uint8_t iso[64] = {0};
    if (text.len > sizeof iso - 8) {
        put_json_string(out, text);
        return;
    }
    if (text.len > 0) memcpy(iso, text.data, text.len);
    size_t len = text.len;
    uint8_t *space = memchr(iso, ' ', len);
    if (space != NULL) *space = 'T';
    bool short_offset = has_zone && len > 3 && (iso[len - 3] == '+' || iso[len - 3] == '-');
    if (short_offset) {
        iso[len++] = ':';
        iso[len++] = '0';
        iso[len++] = '0';
    }
    put_json_string(out, (tarn_slice){iso, len});
}

static void put_json_value(cli_out *out, tarn_type type, const printer_cell *cell) {
    if (cell->is_null) {
        cli_out_text(out, "null");
        return;
    }
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_BOOLEAN: cli_out_text(out, cell->text.data[0] == 't' ? "true" : "false"); break;
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMP_NS: put_json_moment(out, cell->text, false); break;
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMPTZ_NS: put_json_moment(out, cell->text, true); break;
    default:
        if (tarn_type_is_number(type) && is_json_number(cell->text)) {
            cli_out_put(out, cell->text);
        } else {
            put_json_string(out, cell->text);
        }
    }
}

static void begin_json(cli_printer *printer) {
    cli_out_text(printer->out, "[");
}

static void put_json_row(cli_printer *printer) {
    cli_out *out = printer->out;
    cli_out_text(out, printer->row_count == 0 ? "{" : ",\n{");
    for (size_t i = 0; i < printer->schema->field_count; i++) {
        if (i > 0) cli_out_text(out, ",");
        put_json_string(out, printer->names[i]);
        cli_out_text(out, ":");
        put_json_value(out, printer->schema->fields[i].type, &printer->cells[i]);
    }
    cli_out_text(out, "}");
}

static void end_json(cli_printer *printer, const tarn_slice *footer) {
    (void)footer;
    cli_out_text(printer->out, "]\n");
}

const printer_format printer_json = {.begin = begin_json, .row = put_json_row, .end = end_json};

// ---- Markdown ----

// A bar would end the cell, and a newline the table.
static bool shape_markdown(tarn_slice raw, tarn_buffer *out) {
    size_t begin = out->len;
    if (!cli_text_show(raw, out)) return false;
    tarn_buffer shown = {0};
    bool fits = tarn_buffer_append(&shown, tarn_slice_skip(tarn_buffer_slice(out), begin));
    out->len = begin;
    for (size_t i = 0; i < shown.len && fits; i++) {
        uint8_t byte = shown.data[i];
        if (byte == '|') {
            fits = tarn_buffer_append(out, TARN_LIT("\\|"));
        } else if (byte == '\n') {
            fits = tarn_buffer_append(out, TARN_LIT("<br>"));
        } else {
            fits = tarn_buffer_append_byte(out, byte);
        }
    }
    tarn_buffer_free(&shown);
    return fits;
}

static void put_markdown_cell(cli_printer *printer, size_t i, tarn_slice text) {
    size_t used = cli_text_width(text);
    size_t space = printer->widths[i] > used ? printer->widths[i] - used : 0;
    cli_out_text(printer->out, " ");
    if (printer->right[i]) cli_out_repeat(printer->out, ' ', space);
    cli_out_put(printer->out, text);
    if (!printer->right[i]) cli_out_repeat(printer->out, ' ', space);
    cli_out_text(printer->out, " |");
}

static void begin_markdown(cli_printer *printer) {
    size_t count = printer->schema->field_count;
    cli_out *out = printer->out;
    for (size_t i = 0; i < count; i++) {
        if (printer->widths[i] < 2) printer->widths[i] = 2; // room for "-:"
    }
    if (printer->style->tuples_only) return;
    cli_out_text(out, "|");
    for (size_t i = 0; i < count; i++) put_markdown_cell(printer, i, printer->names[i]);
    cli_out_text(out, "\n|");
    for (size_t i = 0; i < count; i++) {
        cli_out_text(out, " ");
        cli_out_repeat(out, '-', printer->widths[i] - (printer->right[i] ? 1 : 0));
        cli_out_text(out, printer->right[i] ? ": |" : " |");
    }
    cli_out_text(out, "\n");
}

static void put_markdown_row(cli_printer *printer) {
    cli_out_text(printer->out, "|");
    for (size_t i = 0; i < printer->schema->field_count; i++) {
        put_markdown_cell(printer, i, printer->cells[i].text);
    }
    cli_out_text(printer->out, "\n");
}

static void end_markdown(cli_printer *printer, const tarn_slice *footer) {
    (void)footer;
    cli_out_text(printer->out, "\n"); // ends the table for whatever is printed behind it
}

const printer_format printer_markdown = {
    .shape = shape_markdown,
    .measures = true,
    .begin = begin_markdown,
    .row = put_markdown_row,
    .end = end_markdown,
};
