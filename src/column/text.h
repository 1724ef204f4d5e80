// text.h - the parts of reading and writing values as text, one file per family of types.
//
// Readers get the text as the user wrote it, so that messages can quote it; they ignore white space
// around it. Writers write at `out`, which has room for COLUMN_TEXT_MAX bytes, and return the end.
#ifndef TARN_COLUMN_TEXT_H
#define TARN_COLUMN_TEXT_H

#include "column/value.h"

#define COLUMN_TEXT_MAX 128 // the longest is an interval: six parts of up to 20 bytes

// ---- errors, with PostgreSQL's words and SQLSTATEs ----

tarn_status column_text_fail_syntax(tarn_type type, tarn_slice text, tarn_error *err);
// A date or time whose fields are not those of a calendar or clock.
tarn_status column_text_fail_field(tarn_slice text, tarn_error *err);

// ---- small readers ----

// Counts characters; fails on bytes that are not UTF-8.
tarn_status column_count_characters(tarn_slice text, size_t *ret_count, tarn_error *err);

static inline bool column_is_space(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static inline bool column_is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static inline uint8_t column_lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static inline bool column_is_letter(uint8_t byte) {
    uint8_t letter = column_lower(byte);
    return letter >= 'a' && letter <= 'z';
}

static inline tarn_slice column_trim(tarn_slice text) {
    while (text.len > 0 && column_is_space(text.data[0])) text = tarn_slice_skip(text, 1);
    while (text.len > 0 && column_is_space(text.data[text.len - 1])) text.len--;
    return text;
}

// Whether `text` is `word` (in lower case) in any mix of cases.
static inline bool column_is_word(tarn_slice text, const char *word) {
    size_t i = 0;
    for (; i < text.len && word[i] != '\0'; i++) {
        if (column_lower(text.data[i]) != (uint8_t)word[i]) return false;
    }
    return i == text.len && word[i] == '\0';
}

// Takes `byte` from the front of *text if it is there.
static inline bool column_take(tarn_slice *text, uint8_t byte) {
    if (text->len == 0 || text->data[0] != byte) return false;
    *text = tarn_slice_skip(*text, 1);
    return true;
}

static inline tarn_slice column_take_digits(tarn_slice *text) {
    size_t len = 0;
    while (len < text->len && column_is_digit(text->data[len])) len++;
    tarn_slice digits = tarn_slice_head(*text, len);
    *text = tarn_slice_skip(*text, len);
    return digits;
}

static inline tarn_slice column_take_letters(tarn_slice *text) {
    size_t len = 0;
    while (len < text->len && column_is_letter(text->data[len])) len++;
    tarn_slice letters = tarn_slice_head(*text, len);
    *text = tarn_slice_skip(*text, len);
    return letters;
}

// Returns false when the number does not fit.
TARN_MUST_USE static inline bool column_read_digits(tarn_slice digits, int64_t *ret_value) {
    int64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (__builtin_mul_overflow(value, (int64_t)10, &value)) return false;
        if (__builtin_add_overflow(value, (int64_t)(digits.data[i] - '0'), &value)) return false;
    }
    *ret_value = value;
    return true;
}

// The digits behind a point as units of 10^-digit_count, rounded half to even as PostgreSQL does;
// may be 10^digit_count.
int64_t column_read_fraction(tarn_slice digits, int digit_count);

// ---- the families ----

tarn_status column_parse_integer(tarn_type type, tarn_slice text, tarn_value *ret_value,
                                 tarn_error *err);
tarn_status column_parse_float(tarn_type type, tarn_slice text, tarn_arena *arena,
                               tarn_value *ret_value, tarn_error *err);
tarn_status column_parse_numeric(tarn_type type, tarn_slice text, tarn_value *ret_value,
                                 tarn_error *err);
// date, time and all timestamps
tarn_status column_parse_moment(tarn_type type, tarn_slice text, tarn_value *ret_value,
                                tarn_error *err);
tarn_status column_parse_interval(tarn_slice text, tarn_value *ret_value, tarn_error *err);
tarn_status column_parse_bytea(tarn_slice text, tarn_arena *arena, tarn_value *ret_value,
                               tarn_error *err);

char *column_write_int128(char *out, tarn_int128 number, int scale);
char *column_write_float(char *out, float number);
char *column_write_double(char *out, double number);
char *column_write_moment(char *out, tarn_value value);
char *column_write_interval(char *out, tarn_interval interval);
// "hh:mm:ss" and the fraction that is there; hours have as many digits as they need.
char *column_write_clock(char *out, uint64_t us);

// `number` with at least `width` digits.
char *column_write_digits(char *out, uint64_t number, int width);

// Without its NUL.
static inline char *column_write_text(char *out, const char *text) {
    while (*text != '\0') *out++ = *text++;
    return out;
}

#endif
