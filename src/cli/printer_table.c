// Aligned tables and expanded records, laid out as psql lays them out (border 1).
#include "cli/printer_format.h"
#include "cli/text.h"

// ---- what both share ----

void printer_put_footer(cli_printer *printer, const tarn_slice *footer) {
    if (!printer->style->tuples_only) {
        if (footer != NULL) {
            cli_out_put(printer->out, *footer);
        } else {
            cli_out_printf(printer->out, "(%llu row%s)\n", (unsigned long long)printer->row_count,
                           printer->row_count == 1 ? "" : "s");
        }
    }
    cli_out_text(printer->out, "\n");
}

static void put_title(cli_printer *printer, size_t total_width) {
    if (printer->title.len == 0 || printer->style->tuples_only) return;
    size_t width = cli_text_width(printer->title);
    if (width < total_width) cli_out_repeat(printer->out, ' ', (total_width - width) / 2);
    cli_out_put(printer->out, printer->title);
    cli_out_text(printer->out, "\n");
}

static size_t padding(size_t width, size_t used) {
    return width > used ? width - used : 0;
}

// ---- tables ----

// Takes the next line of column `i`. *ret_more: others follow, which the mark '+' tells.
static tarn_slice take_line(cli_printer *printer, size_t i, bool *ret_more) {
    tarn_slice line = cli_text_line(&printer->rest[i], ret_more);
    printer->has_line[i] = *ret_more;
    return line;
}

// One line of the header. Returns whether another follows.
static bool put_header_line(cli_printer *printer) {
    cli_out *out = printer->out;
    size_t count = printer->schema->field_count;
    bool another = false;
    for (size_t i = 0; i < count; i++) {
        bool more = false;
        tarn_slice line = {0};
        if (printer->has_line[i]) line = take_line(printer, i, &more);
        size_t space = padding(printer->widths[i], cli_text_width(line));
        cli_out_text(out, " ");
        cli_out_repeat(out, ' ', space / 2);
        cli_out_put(out, line);
        cli_out_repeat(out, ' ', space - space / 2);
        cli_out_text(out, more ? "+" : " ");
        if (i + 1 < count) cli_out_text(out, "|");
        another |= more;
    }
    cli_out_text(out, "\n");
    return another;
}

static void begin_table(cli_printer *printer) {
    size_t count = printer->schema->field_count;
    size_t total = count == 0 ? 0 : count * 3 - 1;
    for (size_t i = 0; i < count; i++) total += printer->widths[i];
    put_title(printer, total);
    if (printer->style->tuples_only) return;
    for (size_t i = 0; i < count; i++) {
        printer->rest[i] = printer->names[i];
        printer->has_line[i] = true;
    }
    while (put_header_line(printer)) continue;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) cli_out_text(printer->out, "+");
        cli_out_repeat(printer->out, '-', printer->widths[i] + 2);
    }
    cli_out_text(printer->out, "\n");
}

static void put_aligned(cli_printer *printer, size_t i, tarn_slice line, bool pads_right) {
    size_t space = padding(printer->widths[i], cli_text_width(line));
    if (printer->right[i]) cli_out_repeat(printer->out, ' ', space);
    cli_out_put(printer->out, line);
    if (!printer->right[i] && pads_right) cli_out_repeat(printer->out, ' ', space);
}

// One line of a row. Returns whether another follows.
static bool put_row_line(cli_printer *printer) {
    cli_out *out = printer->out;
    size_t count = printer->schema->field_count;
    bool another = false;
    for (size_t i = 0; i < count; i++) {
        bool is_last = i + 1 == count;
        bool more = false;
        cli_out_text(out, " ");
        if (printer->has_line[i]) {
            tarn_slice line = take_line(printer, i, &more);
            put_aligned(printer, i, line, !is_last || more);
        } else if (!is_last) {
            cli_out_repeat(out, ' ', printer->widths[i]);
        }
        if (more) {
            cli_out_text(out, "+");
        } else if (!is_last) {
            cli_out_text(out, " ");
        }
        if (!is_last) cli_out_text(out, "|");
        another |= more;
    }
    cli_out_text(out, "\n");
    return another;
}

static void put_row(cli_printer *printer) {
    for (size_t i = 0; i < printer->schema->field_count; i++) {
        printer->rest[i] = printer->cells[i].text;
        printer->has_line[i] = true;
    }
    while (put_row_line(printer)) continue;
}

const printer_format printer_table = {
    .shape = cli_text_show,
    .measures = true,
    .begin = begin_table,
    .row = put_row,
    .end = printer_put_footer,
};

// ---- expanded ----

static size_t widest(const size_t *widths, size_t count) {
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        if (widths[i] > most) most = widths[i];
    }
    return most;
}

// "-[ RECORD 1 ]-+------": the label replaces the line's beginning, and may cover the cross.
static void put_record_line(cli_printer *printer, const char *label) {
    cli_out *out = printer->out;
    size_t count = printer->schema->field_count;
    size_t name_width = widest(printer->name_widths, count);
    size_t total = name_width + 3 + widest(printer->value_widths, count);
    cli_out_text(out, "-");
    cli_out_text(out, label);
    for (size_t i = strlen(label) + 1; i < total; i++) {
        cli_out_text(out, i == name_width + 1 ? "+" : "-");
    }
    cli_out_text(out, "\n");
}

static void put_record_header(cli_printer *printer) {
    char label[40] = "";
    if (!printer->style->tuples_only) {
        (void)snprintf(label, sizeof label, "[ RECORD %llu ]",
                       (unsigned long long)printer->row_count + 1);
    } else if (printer->row_count == 0) {
        return;
    }
    put_record_line(printer, label);
}

static void put_field(cli_printer *printer, size_t i, size_t name_width, size_t value_width) {
    cli_out *out = printer->out;
    tarn_slice name = printer->names[i];
    tarn_slice value = printer->cells[i].text;
    bool more_name = true;
    bool more_value = true;
    while (more_name || more_value) {
        bool name_goes_on = false;
        tarn_slice name_line = {0};
        if (more_name) name_line = cli_text_line(&name, &name_goes_on);
        cli_out_put(out, name_line);
        cli_out_repeat(out, ' ', padding(name_width, cli_text_width(name_line)));
        cli_out_text(out, name_goes_on ? "+|" : " |");
        more_name = name_goes_on;
        if (more_value) {
            bool goes_on;
            tarn_slice line = cli_text_line(&value, &goes_on);
            cli_out_text(out, " ");
            cli_out_put(out, line);
            if (goes_on) {
                cli_out_repeat(out, ' ', padding(value_width, cli_text_width(line)));
                cli_out_text(out, "+");
            }
            more_value = goes_on;
        }
        cli_out_text(out, "\n");
    }
}

static void begin_expanded(cli_printer *printer) {
    put_title(printer, 0);
}

static void put_record(cli_printer *printer) {
    size_t count = printer->schema->field_count;
    size_t name_width = widest(printer->name_widths, count);
    size_t value_width = widest(printer->value_widths, count);
    put_record_header(printer);
    for (size_t i = 0; i < count; i++) put_field(printer, i, name_width, value_width);
}

static void end_expanded(cli_printer *printer, const tarn_slice *footer) {
    // Records are numbered: their count says nothing new, unless there is none.
    tarn_slice nothing = {0};
    if (footer == NULL && printer->row_count > 0) footer = &nothing;
    printer_put_footer(printer, footer);
}

const printer_format printer_expanded = {
    .shape = cli_text_show,
    .measures = true,
    .begin = begin_expanded,
    .row = put_record,
    .end = end_expanded,
};
