// token.h - PostgreSQL's lexical rules, as far as cutting a text into tokens needs them.
//
//     sql_token token;
//     for (size_t at = 0; sql_token_next(text, &at, &token);) ...
//
// Comments (nested too) and white space lie between tokens. Any bytes are accepted; what no token
// can begin with is a symbol of one byte.
#ifndef TARN_SQL_TOKEN_H
#define TARN_SQL_TOKEN_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

typedef enum sql_token_kind {
    SQL_TOKEN_WORD,   // a keyword or an identifier without quotes
    SQL_TOKEN_QUOTED, // "identifier"
    SQL_TOKEN_STRING, // '...', E'...', $tag$...$tag$ and the other prefixes
    SQL_TOKEN_NUMBER,
    SQL_TOKEN_OPERATOR, // one or more of + - * / < > = ~ ! @ # % ^ & | ` ?
    SQL_TOKEN_SYMBOL,   // anything else: ( ) [ ] , ; . :: := and parameters
} sql_token_kind;

typedef struct sql_token {
    uint32_t begin; // bytes [begin, end) of the text
    uint32_t end;
    uint8_t kind;       // sql_token_kind
    bool is_terminated; // false: the text ends inside quotes
} sql_token;

// Statements longer than this are refused, so that offsets fit.
#define SQL_TEXT_MAX_BYTES ((size_t)64 << 20)

// The next token at or after *offset, which moves behind it. False at the end of the text.
// `ret_in_comment` (may be NULL) is set when the text ends inside a comment.
bool sql_token_next(tarn_slice text, size_t *offset, sql_token *ret_token, bool *ret_in_comment);

static inline tarn_slice sql_token_text(tarn_slice text, sql_token token) {
    return (tarn_slice){text.data + token.begin, token.end - token.begin};
}
// A word without quotes, compared without regard to case; `word` is in lower case.
bool sql_token_is_word(tarn_slice text, sql_token token, const char *word);
bool sql_token_is_symbol(tarn_slice text, sql_token token, const char *symbol);
static inline bool sql_token_is_name(sql_token token) {
    return token.kind == SQL_TOKEN_WORD || token.kind == SQL_TOKEN_QUOTED;
}

// What an identifier means: lower case without quotes, the text between the quotes with them.
TARN_MUST_USE tarn_status sql_token_name(tarn_slice text, sql_token token, tarn_arena *arena,
                                         tarn_slice *ret_name, tarn_error *err);
// The value of a '...' or $$...$$ string. *ret_known is false for the kinds with escapes.
TARN_MUST_USE tarn_status sql_token_string(tarn_slice text, sql_token token, tarn_arena *arena,
                                           bool *ret_known, tarn_slice *ret_value, tarn_error *err);

#endif
