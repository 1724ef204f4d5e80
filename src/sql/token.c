#include "sql/token.h"

#include "sql/fail.h"

static bool is_word_start(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static bool is_word_part(uint8_t c) {
    return is_word_start(c) || is_digit(c) || c == '$';
}

static bool is_operator(uint8_t c) {
    return c != 0 && strchr("+-*/<>=~!@#%^&|`?", c) != NULL;
}

static uint8_t at(tarn_slice text, size_t offset) {
    return offset < text.len ? text.data[offset] : 0;
}

// Behind a comment that begins at `offset`; sets *ret_open when it does not end.
static size_t skip_block_comment(tarn_slice text, size_t offset, bool *ret_open) {
    size_t depth = 0;
    while (offset < text.len) {
        if (at(text, offset) == '/' && at(text, offset + 1) == '*') {
            depth++;
            offset += 2;
        } else if (at(text, offset) == '*' && at(text, offset + 1) == '/') {
            offset += 2;
            if (--depth == 0) return offset;
        } else {
            offset++;
        }
    }
    *ret_open = true;
    return text.len;
}

static size_t skip_space(tarn_slice text, size_t offset, bool *ret_in_comment) {
    while (offset < text.len) {
        uint8_t c = text.data[offset];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            offset++;
        } else if (c == '-' && at(text, offset + 1) == '-') {
            while (offset < text.len && text.data[offset] != '\n') offset++;
        } else if (c == '/' && at(text, offset + 1) == '*') {
            offset = skip_block_comment(text, offset, ret_in_comment);
        } else {
            break;
        }
    }
    return offset;
}

// Behind a quoted text whose first quote is at `offset`. A doubled quote stands for one.
static size_t skip_quoted(tarn_slice text, size_t offset, bool has_escapes, bool *ret_terminated) {
    uint8_t quote = text.data[offset++];
    while (offset < text.len) {
        uint8_t c = text.data[offset++];
        if (has_escapes && c == '\\') {
            offset++;
        } else if (c == quote) {
            if (at(text, offset) != quote) {
                *ret_terminated = true;
                return offset;
            }
            offset++;
        }
    }
    *ret_terminated = false;
    return text.len;
}

// The length of a dollar quote's delimiter ($$, $tag$) at `offset`, 0 when there is none.
static size_t dollar_delimiter(tarn_slice text, size_t offset) {
    size_t end = offset + 1;
    if (is_digit(at(text, end))) return 0;
    while (is_word_part(at(text, end)) && at(text, end) != '$') end++;
    return at(text, end) == '$' ? end + 1 - offset : 0;
}

static size_t skip_dollar_quoted(tarn_slice text, size_t offset, size_t delimiter_len,
                                 bool *ret_terminated) {
    tarn_slice delimiter = {text.data + offset, delimiter_len};
    for (size_t i = offset + delimiter_len; i + delimiter_len <= text.len; i++) {
        if (tarn_slice_starts_with(tarn_slice_skip(text, i), delimiter)) {
            *ret_terminated = true;
            return i + delimiter_len;
        }
    }
    *ret_terminated = false;
    return text.len;
}

static size_t skip_number(tarn_slice text, size_t offset) {
    while (is_digit(at(text, offset))) offset++;
    if (at(text, offset) == '.' && at(text, offset + 1) != '.') {
        offset++;
        while (is_digit(at(text, offset))) offset++;
    }
    uint8_t c = at(text, offset);
    if (c == 'e' || c == 'E') {
        size_t digits = offset + 1;
        if (at(text, digits) == '+' || at(text, digits) == '-') digits++;
        if (is_digit(at(text, digits))) {
            offset = digits;
            while (is_digit(at(text, offset))) offset++;
        }
    }
    return offset;
}

static size_t skip_operator(tarn_slice text, size_t offset) {
    size_t begin = offset;
    while (is_operator(at(text, offset))) {
        bool is_comment = (at(text, offset) == '-' && at(text, offset + 1) == '-') ||
                          (at(text, offset) == '/' && at(text, offset + 1) == '*');
        if (is_comment && offset > begin) break;
        offset++;
    }
    return offset;
}

// Words, and the strings that begin with a letter: E'', B'', X'', N'', U&'', U&"".
static size_t skip_word(tarn_slice text, size_t offset, sql_token *token) {
    uint8_t prefix = text.data[offset] | 0x20;
    if (at(text, offset + 1) == '\'' && strchr("ebxn", prefix) != NULL) {
        token->kind = SQL_TOKEN_STRING;
        return skip_quoted(text, offset + 1, prefix == 'e', &token->is_terminated);
    }
    uint8_t unicode_quote = at(text, offset + 2);
    if (prefix == 'u' && at(text, offset + 1) == '&' &&
        (unicode_quote == '\'' || unicode_quote == '"')) {
        token->kind = unicode_quote == '"' ? SQL_TOKEN_QUOTED : SQL_TOKEN_STRING;
        return skip_quoted(text, offset + 2, false, &token->is_terminated);
    }
    token->kind = SQL_TOKEN_WORD;
    while (is_word_part(at(text, offset))) offset++;
    return offset;
}

static size_t skip_symbol(tarn_slice text, size_t offset, sql_token *token) {
    token->kind = SQL_TOKEN_SYMBOL;
    uint8_t c = text.data[offset];
    uint8_t next = at(text, offset + 1);
    if (c == ':' && (next == ':' || next == '=')) return offset + 2;
    if (c == '$' && is_digit(next)) {
        offset++;
        while (is_digit(at(text, offset))) offset++;
        return offset;
    }
    return offset + 1;
}

bool sql_token_next(tarn_slice text, size_t *offset, sql_token *ret_token, bool *ret_in_comment) {
    bool in_comment = false;
    size_t begin = skip_space(text, *offset, &in_comment);
    if (ret_in_comment != NULL) *ret_in_comment = in_comment;
    *offset = begin;
    if (begin >= text.len) return false;

    sql_token token = {.begin = (uint32_t)begin, .is_terminated = true};
    uint8_t c = text.data[begin];
    size_t delimiter_len = c == '$' ? dollar_delimiter(text, begin) : 0;
    size_t end;
    if (is_word_start(c)) {
        end = skip_word(text, begin, &token);
    } else if (c == '\'' || c == '"') {
        token.kind = c == '"' ? SQL_TOKEN_QUOTED : SQL_TOKEN_STRING;
        end = skip_quoted(text, begin, false, &token.is_terminated);
    } else if (delimiter_len > 0) {
        token.kind = SQL_TOKEN_STRING;
        end = skip_dollar_quoted(text, begin, delimiter_len, &token.is_terminated);
    } else if (is_digit(c) || (c == '.' && is_digit(at(text, begin + 1)))) {
        token.kind = SQL_TOKEN_NUMBER;
        end = skip_number(text, begin);
    } else if (is_operator(c)) {
        token.kind = SQL_TOKEN_OPERATOR;
        end = skip_operator(text, begin);
    } else {
        end = skip_symbol(text, begin, &token);
    }
    if (end > text.len) end = text.len; // a backslash was the last byte
    token.end = (uint32_t)end;
    *offset = end;
    *ret_token = token;
    return true;
}

bool sql_token_is_word(tarn_slice text, sql_token token, const char *word) {
    if (token.kind != SQL_TOKEN_WORD) return false;
    tarn_slice name = sql_token_text(text, token);
    size_t i = 0;
    for (; i < name.len && word[i] != 0; i++) {
        uint8_t c = name.data[i];
        if (c >= 'A' && c <= 'Z') c |= 0x20;
        if (c != (uint8_t)word[i]) return false;
    }
    return i == name.len && word[i] == 0;
}

bool sql_token_is_symbol(tarn_slice text, sql_token token, const char *symbol) {
    return (token.kind == SQL_TOKEN_SYMBOL || token.kind == SQL_TOKEN_OPERATOR) &&
           tarn_slice_equal(sql_token_text(text, token), tarn_slice_from_cstr(symbol));
}

// The text between the quotes, a doubled quote being one.
static tarn_status unquote(tarn_slice quoted, tarn_arena *arena, tarn_slice *ret_text,
                           tarn_error *err) {
    uint8_t quote = quoted.data[0];
    tarn_slice inner = {quoted.data + 1, quoted.len - 2};
    uint8_t *text = tarn_arena_new_raw(arena, uint8_t, inner.len + 1);
    if (text == NULL) return sql_no_memory(err);
    size_t len = 0;
    for (size_t i = 0; i < inner.len; i++) {
        text[len++] = inner.data[i];
        if (inner.data[i] == quote) i++;
    }
    *ret_text = (tarn_slice){text, len};
    return TARN_OK;
}

tarn_status sql_token_name(tarn_slice text, sql_token token, tarn_arena *arena,
                           tarn_slice *ret_name, tarn_error *err) {
    tarn_assert(sql_token_is_name(token));
    tarn_slice word = sql_token_text(text, token);
    if (token.kind == SQL_TOKEN_QUOTED && word.data[0] == '"' && token.is_terminated) {
        return unquote(word, arena, ret_name, err);
    }
    uint8_t *name = tarn_arena_new_raw(arena, uint8_t, word.len + 1);
    if (name == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < word.len; i++) {
        uint8_t c = word.data[i];
        name[i] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    }
    *ret_name = (tarn_slice){name, word.len};
    return TARN_OK;
}

tarn_status sql_token_string(tarn_slice text, sql_token token, tarn_arena *arena, bool *ret_known,
                             tarn_slice *ret_value, tarn_error *err) {
    tarn_assert(token.kind == SQL_TOKEN_STRING);
    tarn_slice quoted = sql_token_text(text, token);
    *ret_known = token.is_terminated && (quoted.data[0] == '\'' || quoted.data[0] == '$');
    if (!*ret_known) return TARN_OK;
    if (quoted.data[0] == '\'') return unquote(quoted, arena, ret_value, err);
    size_t delimiter_len = dollar_delimiter(quoted, 0);
    *ret_value = (tarn_slice){quoted.data + delimiter_len, quoted.len - 2 * delimiter_len};
    return TARN_OK;
}
