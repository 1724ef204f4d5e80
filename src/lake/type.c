#include "lake/type.h"

#include <ctype.h>
#include <strings.h>

#include "format/binrow/binrow.h"

#define TYPE_LENGTH_MAX 2147483647u

typedef struct cursor {
    tarn_slice rest;
    tarn_slice whole;
} cursor;

static void skip_blanks(cursor *at) {
    while (at->rest.len > 0 && isspace(at->rest.data[0])) at->rest = tarn_slice_skip(at->rest, 1);
}

static bool is_word_byte(uint8_t byte) {
    return isalnum(byte) || byte == '_';
}

// The next word, empty when there is none. Does not move.
static tarn_slice peek_word(cursor *at) {
    skip_blanks(at);
    size_t len = 0;
    while (len < at->rest.len && is_word_byte(at->rest.data[len])) len++;
    return tarn_slice_head(at->rest, len);
}

static bool word_is(tarn_slice word, const char *keyword) {
    return word.len == strlen(keyword) &&
           strncasecmp((const char *)word.data, keyword, word.len) == 0;
}

static bool take_word(cursor *at, const char *keyword) {
    tarn_slice word = peek_word(at);
    if (!word_is(word, keyword)) return false;
    at->rest = tarn_slice_skip(at->rest, word.len);
    return true;
}

static bool take_byte(cursor *at, uint8_t byte) {
    skip_blanks(at);
    if (at->rest.len == 0 || at->rest.data[0] != byte) return false;
    at->rest = tarn_slice_skip(at->rest, 1);
    return true;
}

static tarn_status malformed(const cursor *at, const char *expected, tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "type '" TARN_SLICE_FMT "': expected %s at byte %zu",
                     TARN_SLICE_ARG(at->whole), expected, at->whole.len - at->rest.len);
}

static tarn_status take_number(cursor *at, uint32_t *ret_number, tarn_error *err) {
    tarn_slice word = peek_word(at);
    uint64_t number = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (!isdigit(word.data[i])) return malformed(at, "a number", err);
        number = number * 10 + (uint64_t)(word.data[i] - '0');
        if (number > TYPE_LENGTH_MAX) return malformed(at, "a number up to 2147483647", err);
    }
    if (word.len == 0) return malformed(at, "a number", err);
    at->rest = tarn_slice_skip(at->rest, word.len);
    *ret_number = (uint32_t)number;
    return TARN_OK;
}

// "(n)" or "(n, m)" if it is there; the outputs keep their defaults otherwise.
static tarn_status take_parameters(cursor *at, uint32_t *first, uint32_t *second, tarn_error *err) {
    if (!take_byte(at, '(')) return TARN_OK;
    TARN_TRY(take_number(at, first, err));
    if (second != NULL && take_byte(at, ',')) TARN_TRY(take_number(at, second, err));
    return take_byte(at, ')') ? TARN_OK : malformed(at, "')'", err);
}

static const struct {
    const char *keyword;
    lake_kind kind;
    tarn_type_id id;
} KEYWORDS[] = {
    {"CHAR", LAKE_CHAR, TARN_TYPE_TEXT},
    {"VARCHAR", LAKE_VARCHAR, TARN_TYPE_TEXT},
    {"STRING", LAKE_VARCHAR, TARN_TYPE_TEXT},
    {"BOOLEAN", LAKE_BOOLEAN, TARN_TYPE_BOOLEAN},
    {"BINARY", LAKE_BINARY, TARN_TYPE_BYTEA},
    {"VARBINARY", LAKE_VARBINARY, TARN_TYPE_BYTEA},
    {"BYTES", LAKE_VARBINARY, TARN_TYPE_BYTEA},
    {"DECIMAL", LAKE_DECIMAL, TARN_TYPE_NUMERIC},
    {"DEC", LAKE_DECIMAL, TARN_TYPE_NUMERIC},
    {"NUMERIC", LAKE_DECIMAL, TARN_TYPE_NUMERIC},
    {"TINYINT", LAKE_TINYINT, TARN_TYPE_SMALLINT},
    {"SMALLINT", LAKE_SMALLINT, TARN_TYPE_SMALLINT},
    {"INT", LAKE_INT, TARN_TYPE_INTEGER},
    {"INTEGER", LAKE_INT, TARN_TYPE_INTEGER},
    {"BIGINT", LAKE_BIGINT, TARN_TYPE_BIGINT},
    {"FLOAT", LAKE_FLOAT, TARN_TYPE_REAL},
    {"DOUBLE", LAKE_DOUBLE, TARN_TYPE_DOUBLE},
    {"DATE", LAKE_DATE, TARN_TYPE_DATE},
    {"TIME", LAKE_TIME, TARN_TYPE_TIME},
    {"TIMESTAMP", LAKE_TIMESTAMP, TARN_TYPE_TIMESTAMP},
    {"TIMESTAMP_LTZ", LAKE_TIMESTAMP_LTZ, TARN_TYPE_TIMESTAMPTZ},
    {"ARRAY", LAKE_OTHER, TARN_TYPE_NULL},
    {"MULTISET", LAKE_OTHER, TARN_TYPE_NULL},
    {"MAP", LAKE_OTHER, TARN_TYPE_NULL},
    {"ROW", LAKE_OTHER, TARN_TYPE_NULL},
    {"VECTOR", LAKE_OTHER, TARN_TYPE_NULL},
    {"VARIANT", LAKE_OTHER, TARN_TYPE_NULL},
    {"BLOB", LAKE_OTHER, TARN_TYPE_NULL},
    {"GEOMETRY", LAKE_OTHER, TARN_TYPE_NULL},
    {"GEOGRAPHY", LAKE_OTHER, TARN_TYPE_NULL},
};

// Behind the keyword of a text or binary type. No limit is written as the largest length.
static tarn_status parse_length(cursor *at, bool is_bounded, lake_type *type, tarn_error *err) {
    uint32_t length = is_bounded ? 1 : TYPE_LENGTH_MAX;
    if (is_bounded) TARN_TRY(take_parameters(at, &length, NULL, err));
    if (length == 0) return malformed(at, "a length of at least 1", err);
    type->type.length = length == TYPE_LENGTH_MAX ? 0 : length;
    return TARN_OK;
}

static tarn_status parse_decimal(cursor *at, lake_type *type, tarn_error *err) {
    uint32_t precision = 10;
    uint32_t scale = 0;
    TARN_TRY(take_parameters(at, &precision, &scale, err));
    if (precision < 1 || precision > 38) return malformed(at, "a precision of 1 to 38", err);
    if (scale > precision) return malformed(at, "a scale of 0 to the precision", err);
    type->type = tarn_type_numeric((int)precision, (int)scale);
    return TARN_OK;
}

static tarn_status parse_timestamp(cursor *at, lake_type *type, tarn_error *err) {
    uint32_t precision = 6;
    TARN_TRY(take_parameters(at, &precision, NULL, err));
    if (precision > 9) return malformed(at, "a precision of 0 to 9", err);
    if (take_word(at, "WITH")) {
        if (!take_word(at, "LOCAL")) return malformed(at, "LOCAL", err);
        if (!take_word(at, "TIME") || !take_word(at, "ZONE")) {
            return malformed(at, "TIME ZONE", err);
        }
        type->kind = LAKE_TIMESTAMP_LTZ;
    } else if (take_word(at, "WITHOUT")) {
        if (!take_word(at, "TIME") || !take_word(at, "ZONE")) {
            return malformed(at, "TIME ZONE", err);
        }
    }
    bool is_instant = type->kind == LAKE_TIMESTAMP_LTZ;
    if (precision > 6) {
        type->type.id = is_instant ? TARN_TYPE_TIMESTAMPTZ_NS : TARN_TYPE_TIMESTAMP_NS;
    } else {
        type->type.id = is_instant ? TARN_TYPE_TIMESTAMPTZ : TARN_TYPE_TIMESTAMP;
    }
    type->type.precision = (uint8_t)precision;
    return TARN_OK;
}

static tarn_status parse_time(cursor *at, lake_type *type, tarn_error *err) {
    uint32_t precision = 0;
    TARN_TRY(take_parameters(at, &precision, NULL, err));
    if (precision > 9) return malformed(at, "a precision of 0 to 9", err);
    if (take_word(at, "WITHOUT")) {
        if (!take_word(at, "TIME") || !take_word(at, "ZONE")) {
            return malformed(at, "TIME ZONE", err);
        }
    }
    // Values are whole milliseconds whatever the precision says.
    type->type.precision = (uint8_t)(precision > 6 ? 6 : precision);
    return TARN_OK;
}

static tarn_status parse_parameters(cursor *at, tarn_slice keyword, lake_type *type,
                                    tarn_error *err) {
    switch (type->kind) {
    case LAKE_CHAR:
    case LAKE_VARCHAR: return parse_length(at, !word_is(keyword, "STRING"), type, err);
    case LAKE_BINARY:
    case LAKE_VARBINARY: return parse_length(at, !word_is(keyword, "BYTES"), type, err);
    case LAKE_DECIMAL: return parse_decimal(at, type, err);
    case LAKE_DOUBLE: (void)take_word(at, "PRECISION"); return TARN_OK; // optional
    case LAKE_TIME: return parse_time(at, type, err);
    case LAKE_TIMESTAMP:
    case LAKE_TIMESTAMP_LTZ: return parse_timestamp(at, type, err);
    case LAKE_BOOLEAN:
    case LAKE_TINYINT:
    case LAKE_SMALLINT:
    case LAKE_INT:
    case LAKE_BIGINT:
    case LAKE_FLOAT:
    case LAKE_DATE:
    case LAKE_OTHER: return TARN_OK;
    }
    return TARN_OK;
}

// What stands between the name of a constructed type and its nullability, "<FLOAT, 128>" or
// "(crs)", is not looked at.
static bool says_not_null(tarn_slice text) {
    static const char NOT_NULL[] = "NOT NULL";
    size_t len = sizeof NOT_NULL - 1;
    for (size_t i = 0; i + len <= text.len; i++) {
        if (strncasecmp((const char *)text.data + i, NOT_NULL, len) == 0) return true;
    }
    return false;
}

tarn_status lake_type_parse(tarn_slice text, lake_type *ret_type, tarn_error *err) {
    cursor at = {text, text};
    tarn_slice keyword = peek_word(&at);
    lake_type type = {.kind = LAKE_OTHER, .text = text};
    size_t found = 0;
    size_t known = sizeof KEYWORDS / sizeof KEYWORDS[0];
    while (found < known && !word_is(keyword, KEYWORDS[found].keyword)) found++;
    if (found == known) return malformed(&at, "the name of a type", err);
    at.rest = tarn_slice_skip(at.rest, keyword.len);

    type.kind = KEYWORDS[found].kind;
    type.type = tarn_type_of(KEYWORDS[found].id);
    if (type.kind == LAKE_OTHER) {
        type.not_null = says_not_null(text);
        *ret_type = type;
        return TARN_OK;
    }
    TARN_TRY(parse_parameters(&at, keyword, &type, err));
    if (take_word(&at, "NOT")) {
        if (!take_word(&at, "NULL")) return malformed(&at, "NULL", err);
        type.not_null = true;
    } else {
        (void)take_word(&at, "NULL"); // optional: it is the default
    }
    skip_blanks(&at);
    if (at.rest.len > 0) return malformed(&at, "the end", err);
    *ret_type = type;
    return TARN_OK;
}

static bool format_type(tarn_type type, tarn_buffer *out) {
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_BOOLEAN: return tarn_buffer_printf(out, "BOOLEAN");
    case TARN_TYPE_SMALLINT: return tarn_buffer_printf(out, "SMALLINT");
    case TARN_TYPE_INTEGER: return tarn_buffer_printf(out, "INT");
    case TARN_TYPE_BIGINT: return tarn_buffer_printf(out, "BIGINT");
    case TARN_TYPE_REAL: return tarn_buffer_printf(out, "FLOAT");
    case TARN_TYPE_DOUBLE: return tarn_buffer_printf(out, "DOUBLE");
    case TARN_TYPE_NUMERIC:
        return tarn_buffer_printf(out, "DECIMAL(%u, %u)", type.precision, type.scale);
    case TARN_TYPE_DATE: return tarn_buffer_printf(out, "DATE");
    case TARN_TYPE_TIME: return tarn_buffer_printf(out, "TIME(%u)", type.precision);
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMP_NS: return tarn_buffer_printf(out, "TIMESTAMP(%u)", type.precision);
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMPTZ_NS:
        return tarn_buffer_printf(out, "TIMESTAMP(%u) WITH LOCAL TIME ZONE", type.precision);
    case TARN_TYPE_TEXT:
        return type.length == 0 ? tarn_buffer_printf(out, "STRING")
                                : tarn_buffer_printf(out, "VARCHAR(%u)", type.length);
    case TARN_TYPE_BYTEA:
        return type.length == 0 ? tarn_buffer_printf(out, "BYTES")
                                : tarn_buffer_printf(out, "VARBINARY(%u)", type.length);
    case TARN_TYPE_NULL:
    case TARN_TYPE_INTERVAL: break;
    }
    return false;
}

tarn_status lake_type_format(tarn_type type, bool not_null, tarn_buffer *out, tarn_error *err) {
    if (type.id == TARN_TYPE_NULL || type.id == TARN_TYPE_INTERVAL) {
        return tarn_fail(err, TARN_UNSUPPORTED, "tables do not store columns of type %s",
                         type.id == TARN_TYPE_NULL ? "unknown" : "interval");
    }
    if (!format_type(type, out) || (not_null && !tarn_buffer_append(out, TARN_LIT(" NOT NULL")))) {
        return tarn_fail(err, TARN_NO_MEMORY, "the text of a type");
    }
    return TARN_OK;
}

tarn_type lake_type_stored(const lake_type *type) {
    return type->kind == LAKE_TINYINT ? tarn_binrow_tinyint() : type->type;
}

static int timestamp_unit(const lake_type *type) {
    return type->type.precision > 6 ? 9 : type->type.precision > 3 ? 6 : 3;
}

bool lake_type_widens(const lake_type *from, const lake_type *to) {
    if (from->kind == LAKE_OTHER || to->kind == LAKE_OTHER) return false;
    switch (to->kind) {
    case LAKE_TINYINT: return from->kind == LAKE_TINYINT;
    case LAKE_SMALLINT:
    case LAKE_INT:
    case LAKE_BIGINT: return from->kind >= LAKE_TINYINT && from->kind <= to->kind;
    case LAKE_FLOAT: return from->kind == LAKE_FLOAT;
    case LAKE_DOUBLE: return from->kind == LAKE_FLOAT || from->kind == LAKE_DOUBLE;
    case LAKE_DECIMAL:
        return from->kind == LAKE_DECIMAL && from->type.scale == to->type.scale &&
               from->type.precision <= to->type.precision;
    case LAKE_CHAR:
    case LAKE_VARCHAR:
        return (from->kind == LAKE_CHAR || from->kind == LAKE_VARCHAR) &&
               (to->type.length == 0 ||
                (from->type.length > 0 && from->type.length <= to->type.length));
    case LAKE_BINARY:
    case LAKE_VARBINARY:
        return (from->kind == LAKE_BINARY || from->kind == LAKE_VARBINARY) &&
               (to->type.length == 0 ||
                (from->type.length > 0 && from->type.length <= to->type.length));
    case LAKE_TIMESTAMP:
    case LAKE_TIMESTAMP_LTZ:
        return from->kind == to->kind && timestamp_unit(from) <= timestamp_unit(to);
    case LAKE_TIME:
    case LAKE_BOOLEAN:
    case LAKE_DATE: return from->kind == to->kind;
    case LAKE_OTHER: break;
    }
    return false;
}
