#include <math.h>

#include "format/json/json.h"

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "json: no room for the record");
}

// What stands behind the backslash, 0 when the character needs none, 'u' when it has no short form.
static uint8_t escape_of(uint8_t byte) {
    switch (byte) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return byte < 0x20 ? 'u' : 0;
    }
}

static bool append_string(tarn_slice text, tarn_buffer *out) {
    static const char hex[] = "0123456789abcdef";
    // At worst every byte is "\u00xx".
    if (text.len > (SIZE_MAX - 2) / 6) return false;
    if (!tarn_buffer_append_byte(out, '"')) return false;
    size_t plain = 0; // from here on nothing has been appended
    for (size_t i = 0; i < text.len; i++) {
        uint8_t escape = escape_of(text.data[i]);
        if (escape == 0) continue;
        tarn_slice before = {text.data + plain, i - plain};
        if (!tarn_buffer_append(out, before) || !tarn_buffer_reserve(out, 6)) return false;
        out->data[out->len++] = '\\';
        out->data[out->len++] = escape;
        if (escape == 'u') {
            out->data[out->len++] = '0';
            out->data[out->len++] = '0';
            out->data[out->len++] = (uint8_t)hex[text.data[i] >> 4];
            out->data[out->len++] = (uint8_t)hex[text.data[i] & 15];
        }
        plain = i + 1;
    }
    return tarn_buffer_append(out, tarn_slice_skip(text, plain)) &&
           tarn_buffer_append_byte(out, '"');
}

tarn_status tarn_json_quote(tarn_slice text, tarn_buffer *out, tarn_error *err) {
    size_t before = out->len;
    if (append_string(text, out)) return TARN_OK;
    out->len = before;
    return no_memory(err);
}

// A number that JSON can spell.
static bool is_plain_number(tarn_value value) {
    bool is_float = value.type.id == TARN_TYPE_REAL || value.type.id == TARN_TYPE_DOUBLE;
    return tarn_type_is_number(value.type) && (!is_float || isfinite(value.f64));
}

static tarn_status append_value(const tarn_vector *column, size_t row, tarn_buffer *out,
                                tarn_error *err) {
    if (tarn_vector_is_null(column, row)) {
        return tarn_buffer_append(out, TARN_LIT("null")) ? TARN_OK : no_memory(err);
    }
    tarn_value value = tarn_vector_get(column, row);
    if (value.type.id == TARN_TYPE_TEXT) return tarn_json_quote(value.bytes, out, err);
    if (value.type.id == TARN_TYPE_BOOLEAN) {
        tarn_slice word = value.boolean ? TARN_LIT("true") : TARN_LIT("false");
        return tarn_buffer_append(out, word) ? TARN_OK : no_memory(err);
    }
    if (is_plain_number(value)) return tarn_value_format(value, out, err);
    tarn_buffer text = {.alloc = out->alloc};
    tarn_status status = tarn_value_format(value, &text, err);
    if (status == TARN_OK) status = tarn_json_quote(tarn_buffer_slice(&text), out, err);
    tarn_buffer_free(&text);
    return status;
}

static tarn_status append_rows(const tarn_schema *schema, const tarn_chunk *chunk, tarn_buffer *out,
                               tarn_error *err) {
    size_t count = tarn_chunk_count(chunk);
    for (size_t i = 0; i < count; i++) {
        size_t row = tarn_chunk_row(chunk, i);
        if (!tarn_buffer_append_byte(out, '{')) return no_memory(err);
        for (size_t c = 0; c < chunk->column_count; c++) {
            if (c > 0 && !tarn_buffer_append_byte(out, ',')) return no_memory(err);
            TARN_TRY(tarn_json_quote(schema->fields[c].name, out, err));
            if (!tarn_buffer_append_byte(out, ':')) return no_memory(err);
            TARN_TRY(append_value(&chunk->columns[c], row, out, err));
        }
        if (!tarn_buffer_append(out, TARN_LIT("}\n"))) return no_memory(err);
    }
    return TARN_OK;
}

tarn_status tarn_json_write(const tarn_schema *schema, const tarn_chunk *chunk, tarn_buffer *out,
                            tarn_error *err) {
    tarn_assert(schema->field_count == chunk->column_count);
    size_t before = out->len;
    tarn_status status = append_rows(schema, chunk, out, err);
    if (status != TARN_OK) out->len = before;
    return status;
}
