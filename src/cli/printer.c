#include "cli/printer.h"

#include "base/alloc.h"
#include "cli/printer_format.h"
#include "cli/text.h"

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory to print the result");
}

// ---- formats ----

static const char *const format_names[CLI_FORMAT_COUNT] = {"table", "csv", "json", "markdown"};

const char *cli_format_name(cli_format format) {
    return format_names[format];
}

bool cli_format_parse(tarn_slice name, cli_format *ret_format) {
    for (size_t i = 0; i < CLI_FORMAT_COUNT; i++) {
        if (!tarn_slice_equal(name, tarn_slice_from_cstr(format_names[i]))) continue;
        *ret_format = (cli_format)i;
        return true;
    }
    return false;
}

static const printer_format *format_of(const cli_style *style) {
    switch (style->format) {
    case CLI_FORMAT_TABLE: return style->expanded ? &printer_expanded : &printer_table;
    case CLI_FORMAT_CSV: return &printer_csv;
    case CLI_FORMAT_JSON: return &printer_json;
    case CLI_FORMAT_MARKDOWN: return &printer_markdown;
    }
    return &printer_table;
}

// ---- making one ----

static bool shape(const cli_printer *printer, tarn_slice raw, tarn_buffer *out) {
    return printer->format->shape == NULL ? tarn_buffer_append(out, raw)
                                          : printer->format->shape(raw, out);
}

static bool shape_names(cli_printer *printer) {
    for (size_t i = 0; i < printer->schema->field_count; i++) {
        const tarn_field *field = &printer->schema->fields[i];
        tarn_buffer_clear(&printer->scratch);
        if (!shape(printer, field->name, &printer->scratch)) return false;
        if (!tarn_arena_copy(&printer->arena, tarn_buffer_slice(&printer->scratch),
                             &printer->names[i])) {
            return false;
        }
        printer->name_widths[i] = cli_text_block_width(printer->names[i]);
        printer->widths[i] = printer->name_widths[i];
        printer->right[i] = tarn_type_is_number(field->type);
    }
    return true;
}

static bool init_arrays(cli_printer *printer, tarn_slice title) {
    tarn_arena *arena = &printer->arena;
    size_t count = printer->schema->field_count;
    printer->names = tarn_arena_new(arena, tarn_slice, count);
    printer->name_widths = tarn_arena_new(arena, size_t, count);
    printer->widths = tarn_arena_new(arena, size_t, count);
    printer->value_widths = tarn_arena_new(arena, size_t, count);
    printer->right = tarn_arena_new(arena, bool, count);
    printer->cells = tarn_arena_new(arena, printer_cell, count);
    printer->rest = tarn_arena_new(arena, tarn_slice, count);
    printer->has_line = tarn_arena_new(arena, bool, count);
    return printer->names != NULL && printer->name_widths != NULL && printer->widths != NULL &&
           printer->value_widths != NULL && printer->right != NULL && printer->cells != NULL &&
           printer->rest != NULL && printer->has_line != NULL &&
           tarn_arena_copy(arena, title, &printer->title) && shape_names(printer);
}

tarn_status cli_printer_new(const cli_style *style, const tarn_schema *schema, tarn_slice title,
                            cli_out *out, cli_printer **ret_printer, tarn_error *err) {
    cli_printer *printer = tarn_alloc_new(&tarn_alloc_libc, cli_printer, 1);
    if (printer == NULL) return no_memory(err);
    printer->style = style;
    printer->schema = schema;
    printer->out = out;
    printer->format = format_of(style);
    tarn_arena_init(&printer->arena, &tarn_alloc_libc, SIZE_MAX);
    if (!init_arrays(printer, title)) {
        cli_printer_free(printer);
        return no_memory(err);
    }
    *ret_printer = printer;
    return TARN_OK;
}

static void release_held(cli_printer *printer) {
    for (size_t i = 0; i < printer->held_count; i++) tarn_batch_unref(printer->held[i].batch);
    printer->held_count = 0;
}

void cli_printer_free(cli_printer *printer) {
    if (printer == NULL) return;
    release_held(printer);
    tarn_alloc_free(&tarn_alloc_libc, printer->held, printer->held_capacity);
    tarn_buffer_free(&printer->text);
    tarn_buffer_free(&printer->scratch);
    tarn_arena_reset(&printer->arena);
    tarn_alloc_free(&tarn_alloc_libc, printer, 1);
}

uint64_t cli_printer_row_count(const cli_printer *printer) {
    return printer->row_count;
}

// ---- rows ----

static tarn_status append_cell(cli_printer *printer, tarn_value value, tarn_error *err) {
    tarn_buffer *text = &printer->text;
    if (value.is_null) {
        // Formats without widths tell NULL apart by themselves.
        tarn_slice shown = printer->format->measures ? printer->style->null_text : (tarn_slice){0};
        return tarn_buffer_append(text, shown) ? TARN_OK : no_memory(err);
    }
    if (value.type.id == TARN_TYPE_TEXT) {
        return shape(printer, value.bytes, text) ? TARN_OK : no_memory(err);
    }
    return tarn_value_format(value, text, err);
}

// Fills printer->cells with the values of a row.
static tarn_status load_row(cli_printer *printer, const tarn_chunk *chunk, size_t row,
                            tarn_error *err) {
    size_t count = printer->schema->field_count;
    tarn_buffer_clear(&printer->text);
    for (size_t i = 0; i < count; i++) {
        tarn_value value = tarn_vector_get(&chunk->columns[i], row);
        size_t begin = printer->text.len;
        TARN_TRY(append_cell(printer, value, err));
        printer->cells[i].is_null = value.is_null;
        printer->cells[i].text.len = printer->text.len - begin;
    }
    // Only now the buffer stays where it is.
    const uint8_t *at = printer->text.data;
    for (size_t i = 0; i < count; i++) {
        printer->cells[i].text.data = at;
        if (at != NULL) at += printer->cells[i].text.len;
    }
    return TARN_OK;
}

static tarn_status print_rows(cli_printer *printer, const tarn_chunk *chunk, tarn_error *err) {
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        TARN_TRY(load_row(printer, chunk, tarn_chunk_row(chunk, i), err));
        printer->format->row(printer);
        printer->row_count++;
    }
    return TARN_OK;
}

static void begin(cli_printer *printer) {
    if (printer->has_begun) return;
    printer->has_begun = true;
    printer->format->begin(printer);
}

static tarn_status print_held(cli_printer *printer, tarn_error *err) {
    begin(printer);
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < printer->held_count && status == TARN_OK; i++) {
        status = print_rows(printer, &printer->held[i].batch->chunk, err);
    }
    release_held(printer);
    return status;
}

static bool hold(cli_printer *printer, tarn_batch *batch) {
    if (printer->held_count == printer->held_capacity) {
        size_t capacity = printer->held_capacity == 0 ? 8 : printer->held_capacity * 2;
        printer_held *held = tarn_alloc_new(&tarn_alloc_libc, printer_held, capacity);
        if (held == NULL) return false;
        for (size_t i = 0; i < printer->held_count; i++) held[i] = printer->held[i];
        tarn_alloc_free(&tarn_alloc_libc, printer->held, printer->held_capacity);
        printer->held = held;
        printer->held_capacity = capacity;
    }
    tarn_batch_ref(batch);
    printer->held[printer->held_count++] = (printer_held){batch};
    return true;
}

static tarn_status measure(cli_printer *printer, const tarn_chunk *chunk, tarn_error *err) {
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        TARN_TRY(load_row(printer, chunk, tarn_chunk_row(chunk, i), err));
        for (size_t c = 0; c < printer->schema->field_count; c++) {
            size_t width = cli_text_block_width(printer->cells[c].text);
            if (width > printer->value_widths[c]) printer->value_widths[c] = width;
            if (width > printer->widths[c]) printer->widths[c] = width;
        }
        printer->held_rows++;
        printer->held_bytes += printer->text.len;
    }
    return TARN_OK;
}

tarn_status cli_printer_push(cli_printer *printer, tarn_batch *batch, tarn_error *err) {
    if (printer->has_begun || !printer->format->measures) {
        begin(printer);
        return print_rows(printer, &batch->chunk, err);
    }
    TARN_TRY(measure(printer, &batch->chunk, err));
    if (!hold(printer, batch)) return no_memory(err);
    if (printer->held_rows < CLI_PRINTER_HELD_ROWS &&
        printer->held_bytes < CLI_PRINTER_HELD_BYTES) {
        return TARN_OK;
    }
    return print_held(printer, err);
}

tarn_status cli_printer_end(cli_printer *printer, const tarn_slice *footer, tarn_error *err) {
    TARN_TRY(print_held(printer, err));
    printer->format->end(printer, footer);
    return TARN_OK;
}
