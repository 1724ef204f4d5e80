#include "format/csv/split.h"

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "csv: no room for the record");
}

// A field that a reader would take for something else without quotes.
static bool needs_quotes(const csv_dialect *dialect, tarn_slice text) {
    if (tarn_slice_equal(text, dialect->null_text)) return true;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        if (byte == dialect->delimiter || byte == dialect->quote || byte == '\n' || byte == '\r' ||
            byte == dialect->escape) {
            return true;
        }
    }
    // A byte order mark at the start of a file is not text.
    return tarn_slice_starts_with(text, TARN_LIT("\xEF\xBB\xBF"));
}

static bool append_quoted(const csv_dialect *dialect, tarn_slice text, tarn_buffer *out) {
    if (text.len > (SIZE_MAX - 2) / 2 || !tarn_buffer_reserve(out, 2 * text.len + 2)) return false;
    uint8_t *at = out->data + out->len;
    *at++ = dialect->quote;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == dialect->quote || text.data[i] == dialect->escape) {
            *at++ = dialect->escape;
        }
        *at++ = text.data[i];
    }
    *at++ = dialect->quote;
    out->len = (size_t)(at - out->data);
    return true;
}

static tarn_status append_field(const csv_dialect *dialect, tarn_slice text, tarn_buffer *out,
                                tarn_error *err) {
    bool appended = needs_quotes(dialect, text) ? append_quoted(dialect, text, out)
                                                : tarn_buffer_append(out, text);
    return appended ? TARN_OK : no_memory(err);
}

static tarn_status append_value(const csv_dialect *dialect, const tarn_vector *column, size_t row,
                                tarn_buffer *scratch, tarn_buffer *out, tarn_error *err) {
    if (tarn_vector_is_null(column, row)) {
        return tarn_buffer_append(out, dialect->null_text) ? TARN_OK : no_memory(err);
    }
    tarn_value value = tarn_vector_get(column, row);
    if (column->type.id == TARN_TYPE_TEXT) return append_field(dialect, value.bytes, out, err);
    tarn_buffer_clear(scratch);
    TARN_TRY(tarn_value_format(value, scratch, err));
    return append_field(dialect, tarn_buffer_slice(scratch), out, err);
}

static tarn_status append_rows(const csv_dialect *dialect, const tarn_chunk *chunk,
                               tarn_buffer *scratch, tarn_buffer *out, tarn_error *err) {
    size_t count = tarn_chunk_count(chunk);
    for (size_t i = 0; i < count; i++) {
        size_t row = tarn_chunk_row(chunk, i);
        for (size_t c = 0; c < chunk->column_count; c++) {
            if (c > 0 && !tarn_buffer_append_byte(out, dialect->delimiter)) return no_memory(err);
            TARN_TRY(append_value(dialect, &chunk->columns[c], row, scratch, out, err));
        }
        if (!tarn_buffer_append_byte(out, '\n')) return no_memory(err);
    }
    return TARN_OK;
}

tarn_status tarn_csv_write_header(const tarn_schema *schema, const tarn_csv_options *options,
                                  tarn_buffer *out, tarn_error *err) {
    csv_dialect dialect;
    TARN_TRY(csv_dialect_of(options, &dialect, err));
    size_t before = out->len;
    tarn_status status = TARN_OK;
    for (size_t c = 0; c < schema->field_count && status == TARN_OK; c++) {
        if (c > 0 && !tarn_buffer_append_byte(out, dialect.delimiter)) status = no_memory(err);
        if (status == TARN_OK) status = append_field(&dialect, schema->fields[c].name, out, err);
    }
    if (status == TARN_OK && !tarn_buffer_append_byte(out, '\n')) status = no_memory(err);
    if (status != TARN_OK) out->len = before;
    return status;
}

tarn_status tarn_csv_write(const tarn_chunk *chunk, const tarn_csv_options *options,
                           tarn_buffer *out, tarn_error *err) {
    csv_dialect dialect;
    TARN_TRY(csv_dialect_of(options, &dialect, err));
    size_t before = out->len;
    tarn_buffer scratch = {.alloc = out->alloc};
    tarn_status status = append_rows(&dialect, chunk, &scratch, out, err);
    tarn_buffer_free(&scratch);
    if (status != TARN_OK) out->len = before;
    return status;
}
