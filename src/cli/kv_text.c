// Keys and values as text: for dump, scan and load.
#include "cli/kv.h"

void cli_kv_put_escaped(cli_out *out, tarn_slice bytes) {
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = bytes.data[i];
        if (byte == '\t') {
            cli_out_text(out, "\\t");
        } else if (byte == '\n') {
            cli_out_text(out, "\\n");
        } else if (byte == '\r') {
            cli_out_text(out, "\\r");
        } else if (byte == '\\') {
            cli_out_text(out, "\\\\");
        } else if (byte < 32 || byte == 127) {
            cli_out_printf(out, "\\x%02X", byte);
        } else {
            cli_out_put(out, (tarn_slice){bytes.data + i, 1});
        }
    }
}

static int hex_digit(uint8_t byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

// The byte of the escape behind a backslash; -1 when it is none. *ret_len is how long it is.
static int escaped_byte(tarn_slice rest, size_t *ret_len) {
    *ret_len = 1;
    if (rest.len == 0) return -1;
    switch (rest.data[0]) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case '\\': return '\\';
    case 'x': break;
    default: return -1;
    }
    if (rest.len < 3) return -1;
    *ret_len = 3;
    int high = hex_digit(rest.data[1]);
    int low = hex_digit(rest.data[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

tarn_status cli_kv_unescape(tarn_slice text, tarn_buffer *out, tarn_error *err) {
    while (text.len > 0) {
        uint8_t byte = text.data[0];
        text = tarn_slice_skip(text, 1);
        if (byte == '\\') {
            size_t len;
            int meant = escaped_byte(text, &len);
            if (meant < 0) {
                return tarn_fail(err, TARN_INVALID,
                                 "a backslash begins \\t, \\n, \\r, \\\\ or \\xHH");
            }
            byte = (uint8_t)meant;
            text = tarn_slice_skip(text, len);
        }
        if (!tarn_buffer_append_byte(out, byte)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a line");
        }
    }
    return TARN_OK;
}
