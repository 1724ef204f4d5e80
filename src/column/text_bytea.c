// bytea as text: "\x00ff", or the older form with bytes as they are and \ooo for the others.
#include "column/text.h"

static int hex_digit(uint8_t byte) {
    if (column_is_digit(byte)) return byte - '0';
    uint8_t letter = column_lower(byte);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

// Reports a data exception, which has another SQLSTATE than a syntax error.
static tarn_status fail_digit(uint8_t byte, tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "invalid hexadecimal digit: \"%c\"", (char)byte);
    tarn_error_locate(err, "22023", 0);
    return status;
}

static tarn_status fail_odd(tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "invalid hexadecimal data: odd number of digits");
    tarn_error_locate(err, "22023", 0);
    return status;
}

// White space may stand between bytes, but not inside one.
static tarn_status decode_hex(tarn_slice hex, uint8_t *out, size_t *ret_len, tarn_error *err) {
    size_t len = 0;
    for (size_t i = 0; i < hex.len; i++) {
        if (column_is_space(hex.data[i])) continue;
        int high = hex_digit(hex.data[i]);
        if (high < 0) return fail_digit(hex.data[i], err);
        if (++i == hex.len) return fail_odd(err);
        int low = hex_digit(hex.data[i]);
        if (low < 0) return fail_digit(hex.data[i], err);
        out[len++] = (uint8_t)(high << 4 | low);
    }
    *ret_len = len;
    return TARN_OK;
}

static bool is_octal(const uint8_t *digits) {
    return digits[0] >= '0' && digits[0] <= '3' && digits[1] >= '0' && digits[1] <= '7' &&
           digits[2] >= '0' && digits[2] <= '7';
}

// Returns false when a backslash is followed by neither a second one nor three octal digits.
static bool decode_escapes(tarn_slice text, uint8_t *out, size_t *ret_len) {
    size_t len = 0;
    while (text.len > 0) {
        size_t used;
        if (text.data[0] != '\\') {
            out[len] = text.data[0];
            used = 1;
        } else if (text.len >= 2 && text.data[1] == '\\') {
            out[len] = '\\';
            used = 2;
        } else if (text.len >= 4 && is_octal(text.data + 1)) {
            out[len] = (uint8_t)((text.data[1] - '0') << 6 | (text.data[2] - '0') << 3 |
                                 (text.data[3] - '0'));
            used = 4;
        } else {
            return false;
        }
        len++;
        text = tarn_slice_skip(text, used);
    }
    *ret_len = len;
    return true;
}

tarn_status column_parse_bytea(tarn_slice text, tarn_arena *arena, tarn_value *ret_value,
                               tarn_error *err) {
    tarn_value value = {.type = tarn_type_of(TARN_TYPE_BYTEA)};
    uint8_t *out = tarn_arena_new_raw(arena, uint8_t, text.len); // both forms only shrink
    if (out == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a value of %zu bytes", text.len);
    }
    if (tarn_slice_starts_with(text, TARN_LIT("\\x"))) {
        TARN_TRY(decode_hex(tarn_slice_skip(text, 2), out, &value.bytes.len, err));
    } else if (!decode_escapes(text, out, &value.bytes.len)) {
        tarn_status status = tarn_fail(err, TARN_INVALID, "invalid input syntax for type bytea");
        tarn_error_locate(err, "22P02", 0);
        return status;
    }
    value.bytes.data = out;
    *ret_value = value;
    return TARN_OK;
}
