// Text forms of bytes and numbers: hex, base64, escape, md5, quoting.

#include "expr/md5.h"
#include "expr/tables.h"
#include "expr/text.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define BASE64_LINE 76

static size_t write_hex(tarn_slice bytes, uint8_t *out) {
    for (size_t i = 0; i < bytes.len; i++) {
        out[i * 2] = (uint8_t)hex_digits[bytes.data[i] >> 4];
        out[i * 2 + 1] = (uint8_t)hex_digits[bytes.data[i] & 15];
    }
    return bytes.len * 2;
}

// With a line break after each 76 digits, but none at the end.
static size_t write_base64(tarn_slice bytes, uint8_t *out) {
    size_t len = 0;
    size_t line = 0;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        if (left > 1) group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2) group |= bytes.data[i + 2];
        if (line == BASE64_LINE) {
            out[len++] = '\n';
            line = 0;
        }
        out[len++] = (uint8_t)base64_digits[group >> 18];
        out[len++] = (uint8_t)base64_digits[group >> 12 & 63];
        out[len++] = left > 1 ? (uint8_t)base64_digits[group >> 6 & 63] : '=';
        out[len++] = left > 2 ? (uint8_t)base64_digits[group & 63] : '=';
        line += 4;
    }
    return len;
}

// Zero bytes and bytes above ASCII as \ooo, backslashes doubled.
static size_t write_escape(tarn_slice bytes, uint8_t *out) {
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = bytes.data[i];
        if (byte == 0 || byte >= 0x80) {
            out[len++] = '\\';
            out[len++] = (uint8_t)('0' + (byte >> 6));
            out[len++] = (uint8_t)('0' + (byte >> 3 & 7));
            out[len++] = (uint8_t)('0' + (byte & 7));
        } else {
            if (byte == '\\') out[len++] = '\\';
            out[len++] = byte;
        }
    }
    return len;
}

static bool is_format(tarn_slice name, const char *format) {
    if (name.len != strlen(format)) return false;
    for (size_t i = 0; i < name.len; i++) {
        if (expr_lower_point(name.data[i]) != (uint8_t)format[i]) return false;
    }
    return true;
}

static tarn_status fail_format(const expr_frame *frame, tarn_slice name) {
    return expr_fail(frame->err, "22023", "unrecognized encoding: \"" TARN_SLICE_FMT "\"",
                     TARN_SLICE_ARG(name));
}

static tarn_status encode_rows(const expr_frame *frame) {
    expr_text_arg values = expr_text_of(&frame->args[0]);
    expr_text_arg formats = expr_text_of(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice bytes = expr_text_at(&values, row);
        tarn_slice format = expr_text_at(&formats, row);
        uint8_t *out;
        size_t len;
        TARN_TRY(expr_text_room(frame, bytes.len * 4 + 4, &out));
        if (is_format(format, "hex")) {
            len = write_hex(bytes, out);
        } else if (is_format(format, "base64")) {
            len = write_base64(bytes, out);
        } else if (is_format(format, "escape")) {
            len = write_escape(bytes, out);
        } else {
            return fail_format(frame, format);
        }
        expr_text_put(frame, row, (tarn_slice){out, len});
    }
    return TARN_OK;
}

// ---- decode ----

static int hex_value(uint8_t digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static tarn_status read_hex(const expr_frame *frame, tarn_slice text, uint8_t *out,
                            size_t *ret_len) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (is_space(text.data[i])) continue;
        int high = hex_value(text.data[i]);
        if (high < 0) {
            return expr_fail(frame->err, "22023",
                             "invalid hexadecimal digit: \"" TARN_SLICE_FMT "\"",
                             TARN_SLICE_ARG(((tarn_slice){text.data + i, 1})));
        }
        if (++i == text.len) {
            return expr_fail(frame->err, "22023", "invalid hexadecimal data: odd number of digits");
        }
        int low = hex_value(text.data[i]);
        if (low < 0) {
            return expr_fail(frame->err, "22023",
                             "invalid hexadecimal digit: \"" TARN_SLICE_FMT "\"",
                             TARN_SLICE_ARG(((tarn_slice){text.data + i, 1})));
        }
        out[len++] = (uint8_t)(high << 4 | low);
    }
    *ret_len = len;
    return TARN_OK;
}

static tarn_status fail_base64_end(const expr_frame *frame) {
    (void)expr_fail(frame->err, "22023", "invalid base64 end sequence");
    tarn_error_hint(frame->err, "input data is missing padding, is truncated, or is corrupted");
    return TARN_INVALID;
}

static tarn_status read_base64(const expr_frame *frame, tarn_slice text, uint8_t *out,
                               size_t *ret_len) {
    size_t len = 0;
    uint32_t group = 0;
    int digits = 0;
    int padding = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        if (is_space(byte)) continue;
        const char *found = byte == 0 ? NULL : strchr(base64_digits, byte);
        if (byte == '=') {
            if (digits < 2) {
                return expr_fail(frame->err, "22023",
                                 "unexpected \"=\" while decoding base64 sequence");
            }
            padding++;
        } else if (found == NULL || padding > 0) {
            return expr_fail(frame->err, "22023",
                             "invalid symbol \"" TARN_SLICE_FMT
                             "\" found while decoding base64 sequence",
                             TARN_SLICE_ARG(((tarn_slice){text.data + i, 1})));
        }
        group = group << 6 | (found == NULL ? 0 : (uint32_t)(found - base64_digits));
        if (++digits < 4) continue;
        out[len] = (uint8_t)(group >> 16);
        out[len + 1] = (uint8_t)(group >> 8);
        out[len + 2] = (uint8_t)group;
        len += (size_t)(3 - padding);
        digits = 0;
        padding = 0;
        group = 0;
    }
    if (digits != 0) return fail_base64_end(frame);
    *ret_len = len;
    return TARN_OK;
}

static tarn_status read_escape(const expr_frame *frame, tarn_slice text, uint8_t *out,
                               size_t *ret_len) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t *at = text.data + i;
        if (*at != '\\') {
            out[len++] = *at;
        } else if (text.len - i >= 2 && at[1] == '\\') {
            out[len++] = '\\';
            i++;
        } else if (text.len - i >= 4 && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' &&
                   at[2] <= '7' && at[3] >= '0' && at[3] <= '7') {
            out[len++] = (uint8_t)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            i += 3;
        } else {
            return expr_fail(frame->err, "22P02", "invalid input syntax for type bytea");
        }
    }
    *ret_len = len;
    return TARN_OK;
}

static tarn_status decode_rows(const expr_frame *frame) {
    expr_text_arg values = expr_text_of(&frame->args[0]);
    expr_text_arg formats = expr_text_of(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&values, row);
        tarn_slice format = expr_text_at(&formats, row);
        uint8_t *out;
        size_t len = 0;
        TARN_TRY(expr_text_room(frame, text.len + 4, &out));
        if (is_format(format, "hex")) {
            TARN_TRY(read_hex(frame, text, out, &len));
        } else if (is_format(format, "base64")) {
            TARN_TRY(read_base64(frame, text, out, &len));
        } else if (is_format(format, "escape")) {
            TARN_TRY(read_escape(frame, text, out, &len));
        } else {
            return fail_format(frame, format);
        }
        expr_text_put(frame, row, (tarn_slice){out, len});
    }
    return TARN_OK;
}

// ---- others ----

static tarn_status md5_rows(const expr_frame *frame) {
    expr_text_arg values = expr_text_of(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        uint8_t digest[16];
        uint8_t *out;
        expr_md5(expr_text_at(&values, row), digest);
        TARN_TRY(expr_text_room(frame, 32, &out));
        size_t len = write_hex((tarn_slice){digest, 16}, out);
        expr_text_put(frame, row, (tarn_slice){out, len});
    }
    return TARN_OK;
}

// Negative numbers as their two's complement.
static tarn_status to_hex_rows(const expr_frame *frame) {
    const tarn_vector *arg = &frame->args[0];
    bool is_wide = arg->type.id == TARN_TYPE_BIGINT;
    EXPR_FOR_ROWS(frame, row) {
        size_t at = row * expr_stride(arg);
        uint64_t number =
            is_wide ? ((const uint64_t *)arg->data)[at] : ((const uint32_t *)arg->data)[at];
        uint8_t digits[16];
        size_t first = sizeof digits;
        do {
            digits[--first] = (uint8_t)hex_digits[number & 15];
            number >>= 4;
        } while (number > 0);
        TARN_TRY(expr_text_copy(frame, row, (tarn_slice){digits + first, sizeof digits - first}));
    }
    return TARN_OK;
}

static tarn_status quote_literal_rows(const expr_frame *frame) {
    expr_text_arg values = expr_text_of(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&values, row);
        uint8_t *out;
        TARN_TRY(expr_text_room(frame, text.len * 2 + 3, &out));
        size_t len = 0;
        if (text.len > 0 && memchr(text.data, '\\', text.len) != NULL) out[len++] = 'E';
        out[len++] = '\'';
        for (size_t i = 0; i < text.len; i++) {
            uint8_t byte = text.data[i];
            if (byte == '\'' || byte == '\\') out[len++] = byte;
            out[len++] = byte;
        }
        out[len++] = '\'';
        expr_text_put(frame, row, (tarn_slice){out, len});
    }
    return TARN_OK;
}

// ---- the table ----

#define FUNCTION(name, arguments, result, text, kernel_name) \
    EXPR_FUNCTION(name, arguments, result, text, .kernel = (kernel_name))

static const tarn_function functions[] = {
    FUNCTION("md5", "text", "text", "MD5 hash in hexadecimal", md5_rows),
    FUNCTION("md5", "bytea", "text", "MD5 hash in hexadecimal", md5_rows),
    FUNCTION("encode", "bytea, text", "text", "as text: hex, base64 or escape", encode_rows),
    FUNCTION("decode", "text, text", "bytea", "bytes of a text in hex, base64 or escape",
             decode_rows),
    FUNCTION("to_hex", "integer", "text", "in hexadecimal", to_hex_rows),
    FUNCTION("to_hex", "bigint", "text", "in hexadecimal", to_hex_rows),
    FUNCTION("quote_literal", "text", "text", "as an SQL literal", quote_literal_rows),
    FUNCTION("quote_literal", "anynontext", "text", "as an SQL literal", quote_literal_rows),
};
const expr_function_table expr_encode_functions = {functions,
                                                   sizeof functions / sizeof functions[0]};
