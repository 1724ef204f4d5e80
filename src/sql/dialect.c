#include "sql/dialect.h"

#include "sql/cutter.h"

#define MARK_BYTES TARN_TUNABLE((size_t)1024, (size_t)4)

// Characters begun in the bytes [begin, end).
static uint32_t count_characters(tarn_slice text, size_t begin, size_t end) {
    uint32_t count = 0;
    for (size_t i = begin; i < end; i++) count += (text.data[i] & 0xC0) != 0x80;
    return count;
}

static tarn_status make_marks(tarn_slice source, tarn_arena *arena, const uint32_t **ret_marks,
                              tarn_error *err) {
    size_t count = source.len / MARK_BYTES + 1;
    uint32_t *marks = tarn_arena_new(arena, uint32_t, count);
    if (marks == NULL) return sql_no_memory(err);
    for (size_t i = 1; i < count; i++) {
        marks[i] = marks[i - 1] + count_characters(source, (i - 1) * MARK_BYTES, i * MARK_BYTES);
    }
    *ret_marks = marks;
    return TARN_OK;
}

int32_t sql_dialect_position(const sql_dialect *dialect, size_t offset) {
    if (offset > dialect->source.len) offset = dialect->source.len;
    if (dialect->marks == NULL) return (int32_t)offset + 1;
    size_t mark = offset / MARK_BYTES;
    return (int32_t)(dialect->marks[mark] +
                     count_characters(dialect->source, mark * MARK_BYTES, offset)) +
           1;
}

int32_t sql_cutter_position(const sql_cutter *c, size_t index) {
    size_t offset = index < c->count ? c->tokens[index].begin : c->dialect->source.len;
    return sql_dialect_position(c->dialect, offset);
}

tarn_status sql_cutter_syntax(const sql_cutter *c, size_t index, const char *expected,
                              tarn_error *err) {
    int32_t position = sql_cutter_position(c, index);
    if (index >= c->count) {
        (void)sql_fail(err, position, "42601", "syntax error at end of input");
    } else {
        tarn_slice text = sql_token_text(c->dialect->source, c->tokens[index]);
        (void)sql_fail(err, position, "42601", "syntax error at or near \"" TARN_SLICE_FMT "\"",
                       TARN_SLICE_ARG(text));
    }
    if (expected != NULL) tarn_error_hint(err, "expected %s", expected);
    return TARN_INVALID;
}

void sql_cutter_blank(const sql_cutter *c, size_t first, size_t end) {
    size_t begin = c->tokens[first].begin;
    tarn_assert(begin <= end && end <= c->dialect->source.len);
    memset(c->dialect->text + begin, ' ', end - begin);
}

size_t sql_cutter_skip_brackets(const sql_cutter *c, size_t open) {
    size_t depth = 0;
    for (size_t i = open; i < c->count; i++) {
        if (sql_cutter_symbol(c, i, "(")) depth++;
        if (sql_cutter_symbol(c, i, ")") && --depth == 0) return i + 1;
    }
    return c->count;
}

// The length of the UTF-8 sequence at the front of `text`, 0 when it is none.
static size_t utf8_sequence(tarn_slice text) {
    uint8_t first = text.data[0];
    if (first < 0x80) return 1;
    size_t len = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.len < len) return 0;
    for (size_t i = 1; i < len; i++) {
        if ((text.data[i] & 0xC0) != 0x80) return 0;
    }
    uint8_t second = text.data[1];
    bool is_overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    bool is_surrogate = first == 0xED && second > 0x9F;
    bool is_too_large = first == 0xF4 && second > 0x8F;
    return is_overlong || is_surrogate || is_too_large ? 0 : len;
}

static tarn_status check_bytes(tarn_slice source, bool *ret_is_ascii, tarn_error *err) {
    if (source.len > SQL_TEXT_MAX_BYTES) {
        (void)sql_fail(err, 0, "54000", "a statement of %zu bytes is too long, the limit is %zu",
                       source.len, SQL_TEXT_MAX_BYTES);
        tarn_error_hint(err, "use COPY ... FROM, or several statements");
        return TARN_INVALID;
    }
    bool is_ascii = true;
    int32_t position = 1;
    for (size_t i = 0; i < source.len; position++) {
        size_t len = source.data[i] == 0 ? 0 : utf8_sequence(tarn_slice_skip(source, i));
        if (len == 0) {
            return sql_fail(err, position, "22021",
                            "invalid byte sequence for encoding \"UTF8\": 0x%02x", source.data[i]);
        }
        is_ascii &= len == 1;
        i += len;
    }
    *ret_is_ascii = is_ascii;
    return TARN_OK;
}

static tarn_status read_tokens(tarn_slice source, tarn_arena *arena, const sql_token **ret_tokens,
                               size_t *ret_count, tarn_error *err) {
    size_t count = 0;
    sql_token token;
    for (size_t offset = 0; sql_token_next(source, &offset, &token, NULL);) count++;
    sql_token *tokens = tarn_arena_new_raw(arena, sql_token, count);
    if (tokens == NULL) return sql_no_memory(err);
    size_t filled = 0;
    for (size_t offset = 0; sql_token_next(source, &offset, &token, NULL);) {
        tokens[filled++] = token;
    }
    // What follows the statement is no business of the cuts.
    while (count > 0 && sql_token_is_symbol(source, tokens[count - 1], ";")) count--;
    *ret_tokens = tokens;
    *ret_count = count;
    return TARN_OK;
}

static size_t skip_explain(const sql_cutter *c) {
    if (!sql_cutter_word(c, 0, "explain")) return 0;
    if (sql_cutter_symbol(c, 1, "(")) return sql_cutter_skip_brackets(c, 1);
    size_t i = 1;
    while (sql_cutter_word(c, i, "analyze") || sql_cutter_word(c, i, "verbose")) i++;
    return i;
}

// The grammar gets TABLE for SOURCE, which is one letter longer.
static void say_table(const sql_cutter *c, size_t index) {
    memcpy(c->dialect->text + c->tokens[index].begin, "TABLE ", 6);
}

// The first WITH ( outside brackets, or `count`.
static size_t find_options(const sql_cutter *c, size_t first) {
    for (size_t i = first; i < c->count; i++) {
        if (sql_cutter_symbol(c, i, "(")) {
            i = sql_cutter_skip_brackets(c, i) - 1;
        } else if (sql_cutter_word(c, i, "with") && sql_cutter_symbol(c, i + 1, "(")) {
            return i;
        } else if (sql_cutter_word(c, i, "as")) {
            break; // a view's query has begun
        }
    }
    return c->count;
}

static tarn_status cut_options_of(sql_cutter *c, size_t first, tarn_error *err) {
    size_t with = find_options(c, first);
    return with < c->count ? sql_cut_options(c, with, err) : TARN_OK;
}

static tarn_status cut_create_source(sql_cutter *c, tarn_error *err) {
    size_t source = c->main + 1;
    c->dialect->kind = SQL_DIALECT_CREATE_SOURCE;
    say_table(c, source);
    size_t open = source + 1;
    while (open < c->count && !sql_cutter_symbol(c, open, "(")) open++;
    if (open >= c->count) return sql_cutter_syntax(c, c->count, "a list of columns", err);
    TARN_TRY(sql_cut_watermark(c, open, err));
    return cut_options_of(c, sql_cutter_skip_brackets(c, open), err);
}

static tarn_status cut_emit(sql_cutter *c, tarn_error *err) {
    if (c->count < c->main + 4) return TARN_OK;
    size_t emit = c->count - 4;
    bool is_emit = sql_cutter_word(c, emit, "emit") && sql_cutter_word(c, emit + 1, "on") &&
                   sql_cutter_word(c, emit + 2, "window") && sql_cutter_word(c, emit + 3, "close");
    if (!is_emit) return TARN_OK;
    c->dialect->emit_offset = c->tokens[emit].begin;
    if (!sql_cutter_word(c, c->main, "create")) {
        (void)sql_fail(err, sql_cutter_position(c, emit), "42601",
                       "EMIT ON WINDOW CLOSE belongs to a materialized view");
        tarn_error_hint(err, "a query answers once, from what is there");
        return TARN_INVALID;
    }
    c->dialect->emit_on_close = true;
    sql_cutter_blank(c, emit, c->tokens[emit + 3].end);
    return TARN_OK;
}

static tarn_status cut_statement(sql_cutter *c, tarn_error *err) {
    size_t first = c->main;
    if (sql_cutter_word(c, first, "flush") && c->count == first + 1 && first == 0) {
        c->dialect->kind = SQL_DIALECT_FLUSH;
        return TARN_OK;
    }
    if (sql_cutter_word(c, first, "drop") && sql_cutter_word(c, first + 1, "source")) {
        c->dialect->kind = SQL_DIALECT_DROP_SOURCE;
        say_table(c, first + 1);
        return TARN_OK;
    }
    if (sql_cutter_word(c, first, "create")) {
        if (sql_cutter_word(c, first + 1, "source")) return cut_create_source(c, err);
        if (sql_cutter_word(c, first + 1, "table") ||
            sql_cutter_word(c, first + 1, "materialized")) {
            TARN_TRY(cut_options_of(c, first + 2, err));
        }
    }
    TARN_TRY(cut_emit(c, err));
    return sql_cut_as_of(c, err);
}

tarn_status sql_dialect_cut(tarn_slice source, tarn_arena *arena, sql_dialect *ret_dialect,
                            tarn_error *err) {
    sql_dialect dialect = {.source = source};
    bool is_ascii = true;
    TARN_TRY(check_bytes(source, &is_ascii, err));
    if (!is_ascii) TARN_TRY(make_marks(source, arena, &dialect.marks, err));
    dialect.text = tarn_arena_new_raw(arena, char, source.len + 1);
    if (dialect.text == NULL) return sql_no_memory(err);
    if (source.len > 0) memcpy(dialect.text, source.data, source.len);
    dialect.text[source.len] = '\0';

    sql_cutter cutter = {.dialect = &dialect, .arena = arena};
    TARN_TRY(read_tokens(source, arena, &cutter.tokens, &cutter.count, err));
    TARN_TRY(sql_check_depth(&cutter, err));
    cutter.main = skip_explain(&cutter);
    TARN_TRY(cut_statement(&cutter, err));
    *ret_dialect = dialect;
    return TARN_OK;
}
