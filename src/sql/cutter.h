// cutter.h - what the parts of the front step share: the tokens of one statement.
#ifndef TARN_SQL_CUTTER_H
#define TARN_SQL_CUTTER_H

#include "sql/dialect.h"
#include "sql/fail.h"

typedef struct sql_cutter {
    sql_dialect *dialect;
    tarn_arena *arena;
    const sql_token *tokens;
    size_t count;
    size_t main; // the first token behind EXPLAIN and its options
} sql_cutter;

static inline bool sql_cutter_word(const sql_cutter *c, size_t index, const char *word) {
    return index < c->count && sql_token_is_word(c->dialect->source, c->tokens[index], word);
}

static inline bool sql_cutter_symbol(const sql_cutter *c, size_t index, const char *symbol) {
    return index < c->count && sql_token_is_symbol(c->dialect->source, c->tokens[index], symbol);
}

static inline bool sql_cutter_name(const sql_cutter *c, size_t index) {
    return index < c->count && sql_token_is_name(c->tokens[index]);
}

int32_t sql_cutter_position(const sql_cutter *c, size_t index);
// "syntax error at or near ..." at a token, or at the end.
TARN_MUST_USE tarn_status sql_cutter_syntax(const sql_cutter *c, size_t index, const char *expected,
                                            tarn_error *err);
// Overwrites the bytes from token `first` to before the byte `end`.
void sql_cutter_blank(const sql_cutter *c, size_t first, size_t end);
// The token behind the bracket that closes the one at `open`, or `count`.
size_t sql_cutter_skip_brackets(const sql_cutter *c, size_t open);

// WITH (key = value, ...): `open` is the bracket. Blanks from token `with` on.
TARN_MUST_USE tarn_status sql_cut_options(sql_cutter *c, size_t with, tarn_error *err);
// WATERMARK FOR in the list of columns that opens at token `open`.
TARN_MUST_USE tarn_status sql_cut_watermark(sql_cutter *c, size_t open, tarn_error *err);
// Every FOR SYSTEM_VERSION and FOR SYSTEM_TIME.
TARN_MUST_USE tarn_status sql_cut_as_of(sql_cutter *c, tarn_error *err);

// How deep the trees can become that the grammar builds from these tokens.
TARN_MUST_USE tarn_status sql_check_depth(const sql_cutter *c, tarn_error *err);

#endif
