// scan.h - walking over the bytes of one JSON value, checking as it goes (RFC 8259, UTF-8).
//
// Nothing is built: strings, numbers and nested values come back as the bytes that they are. On
// failure `problem` says what is wrong, and `at` is where.
#ifndef TARN_FORMAT_JSON_SCAN_H
#define TARN_FORMAT_JSON_SCAN_H

#include "base/slice.h"

#define JSON_DEPTH_MAX 128

typedef struct json_scanner {
    const uint8_t *at;
    const uint8_t *end;
    const char *problem;
} json_scanner;

typedef enum json_kind {
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_TRUE,
    JSON_KIND_FALSE,
    JSON_KIND_NULL,
    JSON_KIND_NESTED, // an object or array
} json_kind;

typedef struct json_token {
    json_kind kind;
    tarn_slice text; // a string's without its quotes
    bool escaped;    // of a string: json_unescape takes the escapes out
} json_token;

static inline void json_skip_space(json_scanner *s) {
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n')) {
        s->at++;
    }
}

// Takes `byte` and the white space around it.
static inline bool json_take(json_scanner *s, uint8_t byte) {
    json_skip_space(s);
    if (s->at == s->end || *s->at != byte) return false;
    s->at++;
    json_skip_space(s);
    return true;
}

// Takes the string whose opening quote is next.
bool json_scan_string(json_scanner *s, json_token *ret_token);
// Takes one value of any kind.
bool json_scan_value(json_scanner *s, json_token *ret_token);

// Writes the text of a checked string. `out` has room for as many bytes as the string has. Returns
// how many were written.
size_t json_unescape(tarn_slice string, uint8_t *restrict out);

#endif
