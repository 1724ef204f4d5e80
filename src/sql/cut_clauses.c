// The clauses that are cut out: WITH (...), WATERMARK FOR, FOR SYSTEM_... AS OF.

#include "sql/cutter.h"

// ---- WITH (key = 'value', ...) ----

// 'key', "key", key, or key.key of such words. Moves *index behind it.
static tarn_status read_key(const sql_cutter *c, size_t *index, tarn_slice *ret_key,
                            tarn_error *err) {
    tarn_slice source = c->dialect->source;
    size_t i = *index;
    if (i < c->count && c->tokens[i].kind == SQL_TOKEN_STRING) {
        bool known = false;
        TARN_TRY(sql_token_string(source, c->tokens[i], c->arena, &known, ret_key, err));
        if (!known) return sql_cutter_syntax(c, i, "the name of an option", err);
        *index = i + 1;
        return TARN_OK;
    }
    tarn_slice key = {0};
    while (true) {
        if (!sql_cutter_name(c, i)) return sql_cutter_syntax(c, i, "the name of an option", err);
        tarn_slice part = {0};
        TARN_TRY(sql_token_name(source, c->tokens[i], c->arena, &part, err));
        const char *dot = key.len == 0 ? "" : ".";
        if (!tarn_arena_printf(c->arena, &key, TARN_SLICE_FMT "%s" TARN_SLICE_FMT,
                               TARN_SLICE_ARG(key), dot, TARN_SLICE_ARG(part))) {
            return sql_no_memory(err);
        }
        i++;
        if (!sql_cutter_symbol(c, i, ".")) break;
        i++;
    }
    *ret_key = key;
    *index = i;
    return TARN_OK;
}

// 'text', a number with or without a sign, or a word.
static tarn_status read_value(const sql_cutter *c, size_t *index, tarn_slice *ret_value,
                              tarn_error *err) {
    tarn_slice source = c->dialect->source;
    size_t i = *index;
    bool has_sign = sql_cutter_symbol(c, i, "-") || sql_cutter_symbol(c, i, "+");
    size_t begin = i < c->count ? c->tokens[i].begin : 0;
    if (has_sign) i++;
    if (i >= c->count) return sql_cutter_syntax(c, i, "the value of an option", err);
    sql_token token = c->tokens[i];
    bool known = false;
    if (token.kind == SQL_TOKEN_NUMBER) {
        *ret_value = (tarn_slice){source.data + begin, token.end - begin};
        known = true;
    } else if (!has_sign && token.kind == SQL_TOKEN_STRING) {
        TARN_TRY(sql_token_string(source, token, c->arena, &known, ret_value, err));
    } else if (!has_sign && sql_token_is_name(token)) {
        TARN_TRY(sql_token_name(source, token, c->arena, ret_value, err));
        known = true;
    }
    if (!known) return sql_cutter_syntax(c, i, "the value of an option, as 'text'", err);
    *index = i + 1;
    return TARN_OK;
}

static tarn_status check_new_option(const sql_cutter *c, const tarn_sql_option *option,
                                    tarn_error *err) {
    for (size_t i = 0; i < c->dialect->option_count; i++) {
        if (tarn_slice_equal(c->dialect->options[i].key, option->key)) {
            return sql_fail(err, option->position, "42601",
                            "option \"" TARN_SLICE_FMT "\" is given more than once",
                            TARN_SLICE_ARG(option->key));
        }
    }
    return TARN_OK;
}

tarn_status sql_cut_options(sql_cutter *c, size_t with, tarn_error *err) {
    sql_dialect *dialect = c->dialect;
    size_t close = sql_cutter_skip_brackets(c, with + 1) - 1;
    dialect->options = tarn_arena_new(c->arena, tarn_sql_option, close - with);
    if (dialect->options == NULL) return sql_no_memory(err);
    dialect->has_options = true;
    size_t i = with + 2;
    while (true) {
        tarn_sql_option option = {.position = sql_cutter_position(c, i), .value = TARN_LIT("true")};
        TARN_TRY(read_key(c, &i, &option.key, err));
        if (sql_cutter_symbol(c, i, "=")) {
            i++;
            TARN_TRY(read_value(c, &i, &option.value, err));
        }
        TARN_TRY(check_new_option(c, &option, err));
        dialect->options[dialect->option_count++] = option;
        if (sql_cutter_symbol(c, i, ")")) break;
        if (!sql_cutter_symbol(c, i, ",")) return sql_cutter_syntax(c, i, "\",\" or \")\"", err);
        i++;
    }
    sql_cutter_blank(c, with, c->tokens[i].end);
    return TARN_OK;
}

// ---- WATERMARK FOR column AS expression ----

// The end of the list's element that begins at `index`: a comma or the closing bracket.
static size_t find_element_end(const sql_cutter *c, size_t index) {
    while (index < c->count) {
        if (sql_cutter_symbol(c, index, ",") || sql_cutter_symbol(c, index, ")")) return index;
        index = sql_cutter_symbol(c, index, "(") ? sql_cutter_skip_brackets(c, index) : index + 1;
    }
    return index;
}

static tarn_status cut_watermark_at(sql_cutter *c, size_t first, size_t end, bool is_first,
                                    tarn_error *err) {
    sql_dialect *dialect = c->dialect;
    if (dialect->has_watermark) {
        return sql_fail(err, sql_cutter_position(c, first), "42601",
                        "a source has one WATERMARK FOR clause");
    }
    if (!sql_cutter_name(c, first + 2)) {
        return sql_cutter_syntax(c, first + 2, "the name of a column", err);
    }
    if (!sql_cutter_word(c, first + 3, "as")) {
        return sql_cutter_syntax(c, first + 3, "AS column - INTERVAL '...'", err);
    }
    if (first + 4 >= end) return sql_cutter_syntax(c, end, "column - INTERVAL '...'", err);
    TARN_TRY(sql_token_name(dialect->source, c->tokens[first + 2], c->arena,
                            &dialect->watermark_column, err));
    dialect->has_watermark = true;
    dialect->watermark_column_offset = c->tokens[first + 2].begin;
    dialect->watermark_begin = c->tokens[first + 4].begin;
    dialect->watermark_end = c->tokens[end - 1].end;
    // One comma goes with it: the one before, or, at the front of the list, the one behind.
    bool takes_next = is_first && sql_cutter_symbol(c, end, ",");
    size_t last = takes_next ? end : end - 1;
    sql_cutter_blank(c, is_first ? first : first - 1, c->tokens[last].end);
    return TARN_OK;
}

tarn_status sql_cut_watermark(sql_cutter *c, size_t open, tarn_error *err) {
    size_t element = open + 1;
    while (element < c->count) {
        size_t end = find_element_end(c, element);
        if (sql_cutter_word(c, element, "watermark") && sql_cutter_word(c, element + 1, "for")) {
            if (end >= c->count) return sql_cutter_syntax(c, end, "\")\"", err);
            TARN_TRY(cut_watermark_at(c, element, end, element == open + 1, err));
        }
        if (!sql_cutter_symbol(c, end, ",")) break;
        element = end + 1;
    }
    return TARN_OK;
}

// ---- FOR SYSTEM_VERSION AS OF n, FOR SYSTEM_TIME AS OF 'time' ----

// Where the relation's name begins that stands before token `for_index`: name, schema.name, both
// with an alias behind them, with or without AS. False when there is none.
static bool find_relation_name(const sql_cutter *c, size_t for_index, size_t *ret_index) {
    if (for_index == 0 || !sql_cutter_name(c, for_index - 1)) return false;
    size_t last = for_index - 1; // of the name
    static const char *const before_names[] = {"from", "join", "only", "into", "table", "lateral"};
    bool stands_alone = last == 0;
    for (size_t i = 0; i < sizeof before_names / sizeof *before_names; i++) {
        stands_alone |= last > 0 && sql_cutter_word(c, last - 1, before_names[i]);
    }
    if (!stands_alone && sql_cutter_word(c, last - 1, "as")) {
        if (last < 2 || !sql_cutter_name(c, last - 2)) return false;
        last -= 2;
    } else if (!stands_alone && sql_cutter_name(c, last - 1)) {
        last -= 1;
    }
    while (last >= 2 && sql_cutter_symbol(c, last - 1, ".") && sql_cutter_name(c, last - 2)) {
        last -= 2;
    }
    *ret_index = last;
    return true;
}

static tarn_status read_version(const sql_cutter *c, size_t index, sql_as_of *as_of,
                                size_t *ret_end, tarn_error *err) {
    if (index >= c->count || c->tokens[index].kind != SQL_TOKEN_NUMBER) {
        return sql_cutter_syntax(c, index, "the number of a version", err);
    }
    tarn_slice digits = sql_token_text(c->dialect->source, c->tokens[index]);
    tarn_value value = {0};
    tarn_status status =
        tarn_value_parse(tarn_type_of(TARN_TYPE_BIGINT), digits, c->arena, &value, err);
    if (status != TARN_OK) {
        tarn_error_locate(err, NULL, sql_cutter_position(c, index));
        return status;
    }
    as_of->kind = TARN_AS_OF_VERSION;
    as_of->value = value.i64;
    *ret_end = index + 1;
    return TARN_OK;
}

// 'text', TIMESTAMP 'text', TIMESTAMPTZ 'text', TIMESTAMP WITH TIME ZONE 'text'; UTC when the text
// names no zone.
static tarn_status read_time(const sql_cutter *c, size_t index, sql_as_of *as_of, size_t *ret_end,
                             tarn_error *err) {
    size_t i = index;
    if (sql_cutter_word(c, i, "timestamp") || sql_cutter_word(c, i, "timestamptz")) i++;
    if (i > index && sql_cutter_word(c, i, "with") && sql_cutter_word(c, i + 1, "time") &&
        sql_cutter_word(c, i + 2, "zone")) {
        i += 3;
    }
    bool known = false;
    tarn_slice text = {0};
    if (i < c->count && c->tokens[i].kind == SQL_TOKEN_STRING) {
        TARN_TRY(sql_token_string(c->dialect->source, c->tokens[i], c->arena, &known, &text, err));
    }
    if (!known) return sql_cutter_syntax(c, i, "a time, as '2001-01-31 12:00:00'", err);
    tarn_value value = {0};
    tarn_status status =
        tarn_value_parse(tarn_type_of(TARN_TYPE_TIMESTAMPTZ), text, c->arena, &value, err);
    if (status != TARN_OK) {
        tarn_error_locate(err, NULL, sql_cutter_position(c, i));
        return status;
    }
    as_of->kind = TARN_AS_OF_TIMESTAMP;
    as_of->value = value.i64;
    *ret_end = i + 1;
    return TARN_OK;
}

static bool is_as_of(const sql_cutter *c, size_t i) {
    return sql_cutter_word(c, i, "for") &&
           (sql_cutter_word(c, i + 1, "system_version") ||
            sql_cutter_word(c, i + 1, "system_time")) &&
           sql_cutter_word(c, i + 2, "as") && sql_cutter_word(c, i + 3, "of");
}

tarn_status sql_cut_as_of(sql_cutter *c, tarn_error *err) {
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) count += is_as_of(c, i);
    if (count == 0) return TARN_OK;
    c->dialect->as_of = tarn_arena_new(c->arena, sql_as_of, count);
    if (c->dialect->as_of == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < c->count; i++) {
        if (!is_as_of(c, i)) continue;
        size_t name = 0;
        size_t end = 0;
        if (!find_relation_name(c, i, &name)) {
            return sql_fail(err, sql_cutter_position(c, i), "42601",
                            "FOR SYSTEM_VERSION and FOR SYSTEM_TIME follow the name of a table");
        }
        sql_as_of as_of = {.table_offset = c->tokens[name].begin, .offset = c->tokens[i].begin};
        TARN_TRY(sql_cutter_word(c, i + 1, "system_version")
                     ? read_version(c, i + 4, &as_of, &end, err)
                     : read_time(c, i + 4, &as_of, &end, err));
        sql_cutter_blank(c, i, c->tokens[end - 1].end);
        c->dialect->as_of[c->dialect->as_of_count++] = as_of;
        i = end - 1;
    }
    return TARN_OK;
}
