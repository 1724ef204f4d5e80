// sql_expr.h - a small reader of SQL expressions for the tests of expr/, so that cases can be
// written as a user writes them. The product's parser is sql/'s.
#ifndef TARN_TESTS_EXPR_SQL_EXPR_H
#define TARN_TESTS_EXPR_SQL_EXPR_H

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "expr/expr.h"

typedef struct sql_reader {
    const char *text;
    const char *at;
    tarn_arena *arena;
    const tarn_schema *schema; // columns that names mean; may be NULL
    tarn_error *err;
} sql_reader;

// Reads `text` into *ret_expr. Fails with what building the tree says, or with 42601.
static tarn_status sql_read(const char *text, const tarn_schema *schema, tarn_arena *arena,
                            const tarn_expr **ret_expr, tarn_error *err);

static tarn_status sql_or(sql_reader *r, const tarn_expr **ret);

static inline int32_t sql_position(const sql_reader *r) {
    return (int32_t)(r->at - r->text) + 1;
}

static inline void sql_skip(sql_reader *r) {
    while (isspace((unsigned char)*r->at)) r->at++;
}

static inline tarn_status sql_fail(sql_reader *r) {
    (void)tarn_fail(r->err, TARN_INVALID, "the test's reader stops at '%s'", r->at);
    tarn_error_locate(r->err, "42601", sql_position(r));
    return TARN_INVALID;
}

static inline bool sql_is_name(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

// Takes a keyword, in any case and as a whole word.
static inline bool sql_word(sql_reader *r, const char *word) {
    sql_skip(r);
    size_t len = strlen(word);
    if (strncasecmp(r->at, word, len) != 0 || sql_is_name(r->at[len])) return false;
    r->at += len;
    return true;
}

static inline bool sql_symbol(sql_reader *r, const char *symbol) {
    sql_skip(r);
    size_t len = strlen(symbol);
    if (strncmp(r->at, symbol, len) != 0) return false;
    r->at += len;
    return true;
}

static inline bool sql_string(sql_reader *r, tarn_slice *ret) {
    sql_skip(r);
    if (*r->at != '\'') return false;
    uint8_t *out = tarn_arena_new(r->arena, uint8_t, strlen(r->at) + 1);
    size_t len = 0;
    for (r->at++; *r->at != '\0'; r->at++) {
        if (*r->at == '\'' && r->at[1] != '\'') break;
        if (*r->at == '\'') r->at++;
        out[len++] = (uint8_t)*r->at;
    }
    if (*r->at == '\'') r->at++;
    *ret = (tarn_slice){out, len};
    return true;
}

static inline tarn_status sql_literal(sql_reader *r, tarn_value value, bool untyped,
                                      const tarn_expr **ret) {
    return tarn_expr_literal(r->arena, value, untyped, sql_position(r), ret, r->err);
}

static inline tarn_status sql_number(sql_reader *r, const tarn_expr **ret) {
    const char *start = r->at;
    while (isdigit((unsigned char)*r->at) || *r->at == '.') r->at++;
    if ((*r->at == 'e' || *r->at == 'E') && (isdigit((unsigned char)r->at[1]) || r->at[1] == '-')) {
        r->at += 2;
        while (isdigit((unsigned char)*r->at)) r->at++;
    }
    tarn_slice digits = {(const uint8_t *)start, (size_t)(r->at - start)};
    bool whole = memchr(start, '.', digits.len) == NULL && memchr(start, 'e', digits.len) == NULL;
    static const tarn_type_id ids[] = {TARN_TYPE_INTEGER, TARN_TYPE_BIGINT};
    for (size_t i = 0; whole && i < 2; i++) {
        tarn_value value;
        if (tarn_value_parse(tarn_type_of(ids[i]), digits, r->arena, &value, NULL) != TARN_OK) {
            continue;
        }
        return sql_literal(r, value, false, ret);
    }
    tarn_value text = {.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = digits};
    const tarn_expr *untyped;
    TARN_TRY(sql_literal(r, text, true, &untyped));
    return tarn_expr_cast(r->arena, untyped, (tarn_type){.id = TARN_TYPE_NUMERIC},
                          TARN_CAST_EXPLICIT, 0, ret, r->err);
}

static inline bool sql_type(sql_reader *r, tarn_type *ret) {
    static const struct {
        const char *name;
        tarn_type_id id;
    } names[] = {
        {"boolean", TARN_TYPE_BOOLEAN},
        {"bool", TARN_TYPE_BOOLEAN},
        {"smallint", TARN_TYPE_SMALLINT},
        {"integer", TARN_TYPE_INTEGER},
        {"int", TARN_TYPE_INTEGER},
        {"bigint", TARN_TYPE_BIGINT},
        {"real", TARN_TYPE_REAL},
        {"double precision", TARN_TYPE_DOUBLE},
        {"numeric", TARN_TYPE_NUMERIC},
        {"date", TARN_TYPE_DATE},
        {"timestamptz", TARN_TYPE_TIMESTAMPTZ},
        {"timestamp", TARN_TYPE_TIMESTAMP},
        {"time", TARN_TYPE_TIME},
        {"text", TARN_TYPE_TEXT},
        {"varchar", TARN_TYPE_TEXT},
        {"bytea", TARN_TYPE_BYTEA},
        {"interval", TARN_TYPE_INTERVAL},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *before = r->at;
        if (!sql_word(r, names[i].name)) continue;
        tarn_type type = tarn_type_of(names[i].id);
        if (type.id == TARN_TYPE_NUMERIC) type = (tarn_type){.id = TARN_TYPE_NUMERIC};
        int first = 0;
        int second = 0;
        int used = 0;
        if (sscanf(r->at, "(%d,%d)%n", &first, &second, &used) == 2 && used > 0) {
            type = tarn_type_numeric(first, second);
            r->at += used;
        } else if (used = 0, sscanf(r->at, "(%d)%n", &first, &used) == 1 && used > 0) {
            r->at += used;
            if (type.id == TARN_TYPE_TEXT) type.length = (uint32_t)first;
            if (type.id == TARN_TYPE_NUMERIC) type = tarn_type_numeric(first, 0);
            if (type.id != TARN_TYPE_TEXT && type.id != TARN_TYPE_NUMERIC) {
                type.precision = (uint8_t)first;
            }
        } else if (*r->at == '(') { // a function of that name
            r->at = before;
            return false;
        }
        *ret = type;
        return true;
    }
    return false;
}

static inline tarn_status sql_case(sql_reader *r, const tarn_expr **ret) {
    const tarn_expr *args[33];
    size_t count = 0;
    while (sql_word(r, "when") && count + 3 < 33) {
        TARN_TRY(sql_or(r, &args[count++]));
        if (!sql_word(r, "then")) return sql_fail(r);
        TARN_TRY(sql_or(r, &args[count++]));
    }
    if (sql_word(r, "else")) {
        TARN_TRY(sql_or(r, &args[count++]));
    } else {
        TARN_TRY(
            sql_literal(r, tarn_value_null(tarn_type_of(TARN_TYPE_NULL)), false, &args[count++]));
    }
    if (!sql_word(r, "end")) return sql_fail(r);
    return tarn_expr_special(r->arena, TARN_EXPR_CASE, args, count, sql_position(r), ret, r->err);
}

static inline tarn_status sql_list(sql_reader *r, const tarn_expr **args, size_t *count) {
    if (sql_symbol(r, ")")) return TARN_OK;
    do {
        if (*count >= 40) return sql_fail(r);
        TARN_TRY(sql_or(r, &args[(*count)++]));
    } while (sql_symbol(r, ",") || sql_word(r, "from") || sql_word(r, "for"));
    return sql_symbol(r, ")") ? TARN_OK : sql_fail(r);
}

// extract(field from x): the field is a bare word.
static inline tarn_status sql_extract(sql_reader *r, int32_t position, const tarn_expr **ret) {
    const tarn_expr *args[2];
    sql_skip(r);
    const char *start = r->at;
    while (sql_is_name(*r->at)) r->at++;
    tarn_value field = {.type = tarn_type_of(TARN_TYPE_TEXT),
                        .bytes = {(const uint8_t *)start, (size_t)(r->at - start)}};
    TARN_TRY(sql_literal(r, field, false, &args[0]));
    if (!sql_word(r, "from")) return sql_fail(r);
    TARN_TRY(sql_or(r, &args[1]));
    if (!sql_symbol(r, ")")) return sql_fail(r);
    return tarn_expr_call(r->arena, TARN_LIT("extract"), args, 2, position, ret, r->err);
}

static inline tarn_status sql_name(sql_reader *r, const tarn_expr **ret) {
    int32_t position = sql_position(r);
    const char *start = r->at;
    while (sql_is_name(*r->at)) r->at++;
    tarn_slice name = {(const uint8_t *)start, (size_t)(r->at - start)};
    if (name.len == 0) return sql_fail(r);
    if (!sql_symbol(r, "(")) {
        ptrdiff_t column = r->schema == NULL ? -1 : tarn_schema_find(r->schema, name);
        if (column < 0) return sql_fail(r);
        return tarn_expr_column(r->arena, (size_t)column, &r->schema->fields[column], position, ret,
                                r->err);
    }
    if (tarn_slice_equal(name, TARN_LIT("extract"))) return sql_extract(r, position, ret);
    const tarn_expr *args[40];
    size_t count = 0;
    if (tarn_slice_equal(name, TARN_LIT("coalesce"))) {
        TARN_TRY(sql_list(r, args, &count));
        return tarn_expr_special(r->arena, TARN_EXPR_COALESCE, args, count, position, ret, r->err);
    }
    TARN_TRY(sql_list(r, args, &count));
    return tarn_expr_call(r->arena, name, args, count, position, ret, r->err);
}

static inline tarn_status sql_primary(sql_reader *r, const tarn_expr **ret) {
    sql_skip(r);
    tarn_value value = {.type = tarn_type_of(TARN_TYPE_BOOLEAN)};
    if (isdigit((unsigned char)*r->at) || (*r->at == '.' && isdigit((unsigned char)r->at[1]))) {
        return sql_number(r, ret);
    }
    if (sql_word(r, "null")) {
        return sql_literal(r, tarn_value_null(tarn_type_of(TARN_TYPE_NULL)), false, ret);
    }
    if (sql_word(r, "true")) {
        value.boolean = true;
        return sql_literal(r, value, false, ret);
    }
    if (sql_word(r, "false")) return sql_literal(r, value, false, ret);
    if (sql_word(r, "case")) return sql_case(r, ret);
    if (sql_word(r, "not")) {
        TARN_TRY(sql_primary(r, ret));
        return tarn_expr_special(r->arena, TARN_EXPR_NOT, ret, 1, 0, ret, r->err);
    }
    if (sql_symbol(r, "(")) {
        TARN_TRY(sql_or(r, ret));
        return sql_symbol(r, ")") ? TARN_OK : sql_fail(r);
    }
    tarn_value text = {.type = tarn_type_of(TARN_TYPE_TEXT)};
    if (sql_string(r, &text.bytes)) return sql_literal(r, text, true, ret);
    const char *before = r->at;
    tarn_type type;
    if (sql_type(r, &type)) {
        if (sql_string(r, &text.bytes)) {
            TARN_TRY(sql_literal(r, text, true, ret));
            return tarn_expr_cast(r->arena, *ret, type, TARN_CAST_EXPLICIT, sql_position(r), ret,
                                  r->err);
        }
        r->at = before;
    }
    return sql_name(r, ret);
}

static inline tarn_status sql_cast(sql_reader *r, const tarn_expr **ret) {
    TARN_TRY(sql_primary(r, ret));
    while (sql_symbol(r, "::")) {
        tarn_type type;
        int32_t position = sql_position(r);
        if (!sql_type(r, &type)) return sql_fail(r);
        TARN_TRY(tarn_expr_cast(r->arena, *ret, type, TARN_CAST_EXPLICIT, position, ret, r->err));
    }
    return TARN_OK;
}

// Behind the minus. What is behind the number (a cast, a tighter operator) comes before the minus.
static inline tarn_status sql_negative(sql_reader *r, const tarn_expr **ret) {
    const char *start = r->at;
    int32_t position = sql_position(r);
    const tarn_expr *number;
    TARN_TRY(sql_number(r, &number));
    sql_skip(r);
    if (strncmp(r->at, "::", 2) == 0) {
        r->at = start;
        TARN_TRY(sql_cast(r, &number));
        return tarn_expr_call(r->arena, TARN_LIT("-"), &number, 1, position, ret, r->err);
    }
    tarn_buffer text = {0};
    tarn_status status = tarn_buffer_append(&text, TARN_LIT("-")) &&
                                 tarn_buffer_append(&text, (tarn_slice){(const uint8_t *)start,
                                                                        (size_t)(r->at - start)})
                             ? TARN_OK
                             : TARN_NO_MEMORY;
    tarn_value value;
    tarn_slice digits = {0};
    if (status == TARN_OK && !tarn_arena_copy(r->arena, tarn_buffer_slice(&text), &digits)) {
        status = TARN_NO_MEMORY;
    }
    tarn_buffer_free(&text);
    if (status != TARN_OK) return status;
    tarn_type type = number->type;
    tarn_type integer = tarn_type_of(TARN_TYPE_INTEGER);
    tarn_error ignored;
    if (type.id == TARN_TYPE_BIGINT &&
        tarn_value_parse(integer, digits, r->arena, &value, &ignored) == TARN_OK) {
        type = integer; // -2147483648
    }
    TARN_TRY(tarn_value_parse(type, digits, r->arena, &value, r->err));
    value.type = type;
    return sql_literal(r, value, false, ret);
}

static inline tarn_status sql_unary(sql_reader *r, const tarn_expr **ret) {
    static const char *const operators[] = {"-", "+", "~"};
    sql_skip(r);
    for (size_t i = 0; i < 3; i++) {
        if (r->at[0] == '~' && r->at[1] == '~') break;
        int32_t position = sql_position(r);
        if (!sql_symbol(r, operators[i])) continue;
        // As PostgreSQL's grammar, a minus before a number belongs to it.
        sql_skip(r);
        bool is_number = isdigit((unsigned char)*r->at) || *r->at == '.';
        if (operators[i][0] == '-' && is_number) return sql_negative(r, ret);
        TARN_TRY(sql_unary(r, ret));
        return tarn_expr_call(r->arena, tarn_slice_from_cstr(operators[i]), ret, 1, position, ret,
                              r->err);
    }
    return sql_cast(r, ret);
}

// Binary operators by level, the tightest first.
static inline tarn_status sql_binary(sql_reader *r, int level, const tarn_expr **ret) {
    static const char *const levels[][10] = {
        {"^"},
        {"*", "/", "%"},
        {"+", "-"},
        {"||", "~~*", "!~~*", "~~", "!~~", "<<", ">>", "&", "#", "|"},
        {"<=", ">=", "<>", "!=", "=", "<", ">"},
    };
    if (level < 0) return sql_unary(r, ret);
    TARN_TRY(sql_binary(r, level - 1, ret));
    for (;;) {
        const char *found = NULL;
        int32_t position = 0;
        for (size_t i = 0; i < 10 && levels[level][i] != NULL && found == NULL; i++) {
            sql_skip(r);
            const char *operator= levels[level][i];
            // "<" must not take the start of "<<" nor "|" that of "||".
            if (strncmp(r->at, operator, strlen(operator)) != 0) continue;
            char next = r->at[strlen(operator)];
            if (strlen(operator) == 1 && strchr("<>|~", operator[0]) != NULL &&
                strchr("<>|~=", next) != NULL && next != '\0') {
                continue;
            }
            position = sql_position(r);
            if (sql_symbol(r, operator)) found = operator;
        }
        if (found == NULL) return TARN_OK;
        const tarn_expr *args[2] = {*ret, NULL};
        TARN_TRY(sql_binary(r, level - 1, &args[1]));
        if (strcmp(found, "!=") == 0) found = "<>";
        TARN_TRY(
            tarn_expr_call(r->arena, tarn_slice_from_cstr(found), args, 2, position, ret, r->err));
    }
}

static inline tarn_status sql_negate(sql_reader *r, bool negate, const tarn_expr **ret) {
    if (!negate) return TARN_OK;
    return tarn_expr_special(r->arena, TARN_EXPR_NOT, ret, 1, 0, ret, r->err);
}

static inline tarn_status sql_is(sql_reader *r, const tarn_expr **ret) {
    bool negate = sql_word(r, "not");
    int32_t position = sql_position(r);
    if (sql_word(r, "null")) {
        TARN_TRY(tarn_expr_special(r->arena, TARN_EXPR_IS_NULL, ret, 1, position, ret, r->err));
        return sql_negate(r, negate, ret);
    }
    const tarn_expr *args[2] = {*ret, NULL};
    if (sql_word(r, "distinct") && sql_word(r, "from")) {
        TARN_TRY(sql_binary(r, 3, &args[1]));
        TARN_TRY(
            tarn_expr_call(r->arena, TARN_LIT("is_distinct_from"), args, 2, position, ret, r->err));
        return sql_negate(r, negate, ret);
    }
    return sql_fail(r);
}

static inline tarn_status sql_like(sql_reader *r, const char *name, bool negate,
                                   const tarn_expr **ret) {
    const tarn_expr *args[3] = {*ret, NULL, NULL};
    size_t count = 2;
    int32_t position = sql_position(r);
    TARN_TRY(sql_binary(r, 3, &args[1]));
    if (sql_word(r, "escape")) TARN_TRY(sql_binary(r, 3, &args[count++]));
    char operator[8];
    (void)snprintf(operator, sizeof operator, "%s%s", negate ? "!" : "", name);
    return tarn_expr_call(r->arena, tarn_slice_from_cstr(operator), args, count, position, ret,
                          r->err);
}

static inline tarn_status sql_between(sql_reader *r, const tarn_expr **ret) {
    const tarn_expr *low[2] = {*ret, NULL};
    const tarn_expr *high[2] = {*ret, NULL};
    const tarn_expr *both[2];
    TARN_TRY(sql_binary(r, 3, &low[1]));
    if (!sql_word(r, "and")) return sql_fail(r);
    TARN_TRY(sql_binary(r, 3, &high[1]));
    TARN_TRY(tarn_expr_call(r->arena, TARN_LIT(">="), low, 2, 0, &both[0], r->err));
    TARN_TRY(tarn_expr_call(r->arena, TARN_LIT("<="), high, 2, 0, &both[1], r->err));
    return tarn_expr_special(r->arena, TARN_EXPR_AND, both, 2, 0, ret, r->err);
}

static inline tarn_status sql_test(sql_reader *r, const tarn_expr **ret) {
    TARN_TRY(sql_binary(r, 4, ret));
    for (;;) {
        if (sql_word(r, "is")) {
            TARN_TRY(sql_is(r, ret));
            continue;
        }
        bool negate = sql_word(r, "not");
        if (sql_word(r, "like")) {
            TARN_TRY(sql_like(r, "~~", negate, ret));
        } else if (sql_word(r, "ilike")) {
            TARN_TRY(sql_like(r, "~~*", negate, ret));
        } else if (sql_word(r, "between")) {
            TARN_TRY(sql_between(r, ret));
            TARN_TRY(sql_negate(r, negate, ret));
        } else if (sql_word(r, "in")) {
            const tarn_expr *args[40] = {*ret};
            size_t count = 1;
            if (!sql_symbol(r, "(")) return sql_fail(r);
            TARN_TRY(sql_list(r, args, &count));
            TARN_TRY(tarn_expr_special(r->arena, TARN_EXPR_IN, args, count, sql_position(r), ret,
                                       r->err));
            TARN_TRY(sql_negate(r, negate, ret));
        } else {
            return TARN_OK;
        }
    }
}

static inline tarn_status sql_not(sql_reader *r, const tarn_expr **ret) {
    if (!sql_word(r, "not")) return sql_test(r, ret);
    TARN_TRY(sql_not(r, ret));
    return sql_negate(r, true, ret);
}

static inline tarn_status sql_and(sql_reader *r, const tarn_expr **ret) {
    const tarn_expr *args[16];
    size_t count = 0;
    do TARN_TRY(sql_not(r, &args[count++]));
    while (count < 16 && sql_word(r, "and"));
    if (count == 1) {
        *ret = args[0];
        return TARN_OK;
    }
    return tarn_expr_special(r->arena, TARN_EXPR_AND, args, count, 0, ret, r->err);
}

static tarn_status sql_or(sql_reader *r, const tarn_expr **ret) {
    const tarn_expr *args[16];
    size_t count = 0;
    do TARN_TRY(sql_and(r, &args[count++]));
    while (count < 16 && sql_word(r, "or"));
    if (count == 1) {
        *ret = args[0];
        return TARN_OK;
    }
    return tarn_expr_special(r->arena, TARN_EXPR_OR, args, count, 0, ret, r->err);
}

static tarn_status sql_read(const char *text, const tarn_schema *schema, tarn_arena *arena,
                            const tarn_expr **ret_expr, tarn_error *err) {
    sql_reader reader = {text, text, arena, schema, err};
    TARN_TRY(sql_or(&reader, ret_expr));
    sql_skip(&reader);
    return *reader.at == '\0' ? TARN_OK : sql_fail(&reader);
}

#endif
