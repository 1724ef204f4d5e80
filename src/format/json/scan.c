#include "format/json/scan.h"

static bool fail_at(json_scanner *s, const uint8_t *at, const char *problem) {
    s->at = at;
    s->problem = problem;
    return false;
}

// ---- strings ----

#define EACH_BYTE(byte) ((uint64_t)(byte)*0x0101010101010101u)

// Whether one of eight bytes is a quote, a backslash, a control character or not ASCII.
static bool has_special(uint64_t word) {
    const uint64_t high = EACH_BYTE(0x80);
    uint64_t quote = word ^ EACH_BYTE('"');
    uint64_t backslash = word ^ EACH_BYTE('\\');
    // Where none is, no subtraction borrows, so that a miss is exact; a hit is looked at again.
    return ((word | (word - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) |
             (backslash - EACH_BYTE(1))) &
            high) != 0;
}

// How many bytes the character that starts with a byte of 0x80 or more has; 0 when it is not UTF-8.
static size_t character_bytes(const uint8_t *at, const uint8_t *end) {
    uint8_t first = at[0];
    size_t len = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || (size_t)(end - at) < len) return 0;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80) return 0;
    }
    if (first == 0xE0 && at[1] < 0xA0) return 0; // overlong
    if (first == 0xED && at[1] > 0x9F) return 0; // surrogates
    if (first == 0xF0 && at[1] < 0x90) return 0; // overlong
    if (first == 0xF4 && at[1] > 0x8F) return 0; // beyond U+10FFFF
    return len;
}

static int hex_digit(uint8_t byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The four digits behind "\u"; -1 when they are not there.
static int32_t read_unit(const uint8_t *at, const uint8_t *end) {
    if (end - at < 4) return -1;
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high_surrogate(int32_t unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int32_t unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

// The length of the escape whose backslash is at `at`; 0 when it is none.
static size_t escape_bytes(const uint8_t *at, const uint8_t *end) {
    if (end - at < 2) return 0;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return 2;
    case 'u': break;
    default: return 0;
    }
    int32_t unit = read_unit(at + 2, end);
    if (unit < 0 || is_low_surrogate(unit)) return 0;
    if (!is_high_surrogate(unit)) return 6;
    if (end - at < 12 || at[6] != '\\' || at[7] != 'u') return 0;
    return is_low_surrogate(read_unit(at + 8, end)) ? 12 : 0;
}

bool json_scan_string(json_scanner *s, json_token *ret_token) {
    const uint8_t *begin = ++s->at; // behind the quote
    const uint8_t *at = begin;
    bool escaped = false;
    for (;;) {
        while (s->end - at >= 8 && !has_special(tarn_load_u64(at))) at += 8;
        if (at == s->end) return fail_at(s, begin - 1, "the string has no end");
        uint8_t byte = *at;
        if (byte == '"') break;
        size_t len = 1;
        if (byte == '\\') {
            escaped = true;
            len = escape_bytes(at, s->end);
            if (len == 0) return fail_at(s, at, "not an escape sequence");
        } else if (byte >= 0x80) {
            len = character_bytes(at, s->end);
            if (len == 0) return fail_at(s, at, "not UTF-8");
        } else if (byte < 0x20) {
            return fail_at(s, at, "a control character inside a string");
        }
        at += len;
    }
    *ret_token = (json_token){
        .kind = JSON_KIND_STRING, .text = {begin, (size_t)(at - begin)}, .escaped = escaped};
    s->at = at + 1;
    return true;
}

static size_t encode_utf8(uint32_t code, uint8_t *out) {
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

// The character of the escape at `at`, and in *ret_len how long the escape is.
static uint32_t read_escape(const uint8_t *at, const uint8_t *end, size_t *ret_len) {
    *ret_len = 2;
    switch (at[1]) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return at[1];
    }
    *ret_len = 6;
    uint32_t unit = (uint32_t)read_unit(at + 2, end);
    if (!is_high_surrogate((int32_t)unit)) return unit;
    *ret_len = 12;
    uint32_t low = (uint32_t)read_unit(at + 8, end);
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

size_t json_unescape(tarn_slice string, uint8_t *restrict out) {
    const uint8_t *at = string.data;
    const uint8_t *end = string.data + string.len;
    size_t len = 0;
    while (at < end) {
        if (*at != '\\') {
            out[len++] = *at++;
            continue;
        }
        size_t escape_len;
        len += encode_utf8(read_escape(at, end, &escape_len), out + len);
        at += escape_len;
    }
    return len;
}

// ---- other values ----

static const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end) {
    while (at < end && (uint8_t)(*at - '0') < 10) at++;
    return at;
}

static bool scan_number(json_scanner *s, json_token *ret_token) {
    const uint8_t *at = s->at;
    if (*at == '-') at++;
    const uint8_t *digits = at;
    at = skip_digits(at, s->end);
    if (at == digits) return fail_at(s, s->at, "a number without digits");
    if (*digits == '0' && at - digits > 1) return fail_at(s, s->at, "a number with leading zeros");
    if (at < s->end && *at == '.') {
        const uint8_t *fraction = ++at;
        at = skip_digits(at, s->end);
        if (at == fraction) return fail_at(s, s->at, "a number without digits behind its point");
    }
    if (at < s->end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < s->end && (*at == '+' || *at == '-')) at++;
        const uint8_t *exponent = at;
        at = skip_digits(at, s->end);
        if (at == exponent) return fail_at(s, s->at, "a number without digits in its exponent");
    }
    *ret_token = (json_token){.kind = JSON_KIND_NUMBER, .text = {s->at, (size_t)(at - s->at)}};
    s->at = at;
    return true;
}

static bool scan_word(json_scanner *s, tarn_slice word, json_kind kind, json_token *ret_token) {
    if ((size_t)(s->end - s->at) < word.len || memcmp(s->at, word.data, word.len) != 0) {
        return fail_at(s, s->at, "not a value");
    }
    *ret_token = (json_token){.kind = kind, .text = {s->at, word.len}};
    s->at += word.len;
    return true;
}

static bool scan_at_depth(json_scanner *s, int depth, json_token *ret_token);

// The members behind the opening bracket.
static bool scan_members(json_scanner *s, uint8_t closing, int depth) {
    json_token token;
    if (json_take(s, closing)) return true;
    do {
        if (closing == '}') {
            if (s->at == s->end || *s->at != '"') return fail_at(s, s->at, "a name is expected");
            if (!json_scan_string(s, &token)) return false;
            if (!json_take(s, ':')) return fail_at(s, s->at, "':' is expected");
        }
        if (!scan_at_depth(s, depth + 1, &token)) return false;
    } while (json_take(s, ','));
    if (json_take(s, closing)) return true;
    return fail_at(s, s->at, closing == '}' ? "',' or '}' is expected" : "',' or ']' is expected");
}

static bool scan_nested(json_scanner *s, int depth, json_token *ret_token) {
    if (depth == JSON_DEPTH_MAX) return fail_at(s, s->at, "values nest too deep");
    const uint8_t *begin = s->at;
    uint8_t closing = *s->at == '{' ? '}' : ']';
    s->at++;
    if (!scan_members(s, closing, depth)) return false;
    // White space behind the bracket has been skipped too.
    const uint8_t *end = s->at;
    while (end[-1] != closing) end--;
    *ret_token = (json_token){.kind = JSON_KIND_NESTED, .text = {begin, (size_t)(end - begin)}};
    return true;
}

static bool scan_at_depth(json_scanner *s, int depth, json_token *ret_token) {
    if (s->at == s->end) return fail_at(s, s->at, "a value is expected");
    switch (*s->at) {
    case '"': return json_scan_string(s, ret_token);
    case '{':
    case '[': return scan_nested(s, depth, ret_token);
    case 't': return scan_word(s, TARN_LIT("true"), JSON_KIND_TRUE, ret_token);
    case 'f': return scan_word(s, TARN_LIT("false"), JSON_KIND_FALSE, ret_token);
    case 'n': return scan_word(s, TARN_LIT("null"), JSON_KIND_NULL, ret_token);
    case '-': return scan_number(s, ret_token);
    default: break;
    }
    if ((uint8_t)(*s->at - '0') < 10) return scan_number(s, ret_token);
    return fail_at(s, s->at, "not a value");
}

bool json_scan_value(json_scanner *s, json_token *ret_token) {
    return scan_at_depth(s, 0, ret_token);
}
