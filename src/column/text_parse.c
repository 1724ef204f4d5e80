#include "column/text.h"

// What PostgreSQL calls the type in messages about its input.
static const char *input_name(tarn_type type) {
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_NULL: return "unknown";
    case TARN_TYPE_BOOLEAN: return "boolean";
    case TARN_TYPE_SMALLINT: return "smallint";
    case TARN_TYPE_INTEGER: return "integer";
    case TARN_TYPE_BIGINT: return "bigint";
    case TARN_TYPE_REAL: return "real";
    case TARN_TYPE_DOUBLE: return "double precision";
    case TARN_TYPE_NUMERIC: return "numeric";
    case TARN_TYPE_DATE: return "date";
    case TARN_TYPE_TIME: return "time";
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMP_NS: return "timestamp";
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMPTZ_NS: return "timestamp with time zone";
    case TARN_TYPE_TEXT: return "text";
    case TARN_TYPE_BYTEA: return "bytea";
    case TARN_TYPE_INTERVAL: return "interval";
    }
    return "?";
}

static bool is_moment(tarn_type type) {
    return type.id == TARN_TYPE_DATE || type.id == TARN_TYPE_TIME ||
           type.id == TARN_TYPE_TIMESTAMP || type.id == TARN_TYPE_TIMESTAMPTZ ||
           type.id == TARN_TYPE_TIMESTAMP_NS || type.id == TARN_TYPE_TIMESTAMPTZ_NS ||
           type.id == TARN_TYPE_INTERVAL;
}

tarn_status column_text_fail_syntax(tarn_type type, tarn_slice text, tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "invalid input syntax for type %s: \"" TARN_SLICE_FMT "\"",
                  input_name(type), TARN_SLICE_ARG(text));
    tarn_error_locate(err, is_moment(type) ? "22007" : "22P02", 0);
    return status;
}

tarn_status column_text_fail_field(tarn_slice text, tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "date/time field value out of range: \"" TARN_SLICE_FMT "\"",
                  TARN_SLICE_ARG(text));
    tarn_error_locate(err, "22008", 0);
    return status;
}

// Whether `text` is `word` or the start of it, `least` letters at least.
static bool is_start_of(tarn_slice text, const char *word, size_t least) {
    if (text.len < least || text.len > strlen(word)) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (column_lower(text.data[i]) != (uint8_t)word[i]) return false;
    }
    return true;
}

static tarn_status parse_boolean(tarn_type type, tarn_slice text, tarn_value *ret_value,
                                 tarn_error *err) {
    tarn_slice word = column_trim(text);
    bool is_true = is_start_of(word, "true", 1) || is_start_of(word, "yes", 1) ||
                   is_start_of(word, "on", 2) || is_start_of(word, "1", 1);
    bool is_false = is_start_of(word, "false", 1) || is_start_of(word, "no", 1) ||
                    is_start_of(word, "off", 2) || is_start_of(word, "0", 1);
    if (!is_true && !is_false) return column_text_fail_syntax(type, text, err);
    *ret_value = (tarn_value){.type = type, .boolean = is_true};
    return TARN_OK;
}

// How many bytes the character at the front of `text` has; 0 when they are not UTF-8. NUL is none
// of PostgreSQL's characters.
static size_t character_bytes(tarn_slice text) {
    uint8_t first = text.data[0];
    if (first < 0x80) return first != 0;
    size_t len = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.len < len) return 0;
    for (size_t i = 1; i < len; i++) {
        if ((text.data[i] & 0xC0) != 0x80) return 0;
    }
    uint8_t second = text.data[1];
    bool is_overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    bool is_surrogate = first == 0xED && second >= 0xA0;
    bool is_past_end = first == 0xF4 && second >= 0x90;
    return is_overlong || is_surrogate || is_past_end ? 0 : len;
}

// Eight plain ASCII characters at once: none has its high bit set or is zero.
static bool is_plain_word(const uint8_t *bytes) {
    uint64_t word = tarn_load_u64(bytes);
    uint64_t high = 0x8080808080808080u;
    return (word & high) == 0 && ((word - 0x0101010101010101u) & high) == 0;
}

tarn_status column_count_characters(tarn_slice text, size_t *ret_count, tarn_error *err) {
    size_t count = 0;
    while (text.len > 0) {
        if (text.len >= 8 && is_plain_word(text.data)) {
            text = tarn_slice_skip(text, 8);
            count += 8;
            continue;
        }
        size_t bytes = character_bytes(text);
        if (bytes == 0) {
            tarn_status status =
                tarn_fail(err, TARN_INVALID, "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                          text.data[0]);
            tarn_error_locate(err, "22021", 0);
            return status;
        }
        text = tarn_slice_skip(text, bytes);
        count++;
    }
    *ret_count = count;
    return TARN_OK;
}

static tarn_status fail_too_long(tarn_type type, tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "value too long for type %s(%u)",
                  type.id == TARN_TYPE_TEXT ? "character varying" : "bytea", type.length);
    tarn_error_locate(err, "22001", 0);
    return status;
}

static tarn_status fail_past_memory(tarn_slice text, tarn_error *err) {
    return tarn_fail(err, TARN_UNSUPPORTED, "a value of %zu bytes is longer than 4 GiB", text.len);
}

static tarn_status parse_text(tarn_type type, tarn_slice text, tarn_value *ret_value,
                              tarn_error *err) {
    if (text.len > UINT32_MAX) return fail_past_memory(text, err);
    size_t count;
    TARN_TRY(column_count_characters(text, &count, err));
    // Spaces beyond the limit are dropped silently, as the standard asks.
    while (type.length > 0 && count > type.length) {
        if (text.data[text.len - 1] != ' ') return fail_too_long(type, err);
        text.len--;
        count--;
    }
    *ret_value = (tarn_value){.type = type, .bytes = text};
    return TARN_OK;
}

static tarn_status parse_limited_bytea(tarn_type type, tarn_slice text, tarn_arena *arena,
                                       tarn_value *ret_value, tarn_error *err) {
    if (text.len > UINT32_MAX) return fail_past_memory(text, err);
    tarn_value value;
    TARN_TRY(column_parse_bytea(text, arena, &value, err));
    if (type.length > 0 && value.bytes.len > type.length) return fail_too_long(type, err);
    value.type = type;
    *ret_value = value;
    return TARN_OK;
}

tarn_status tarn_value_parse(tarn_type type, tarn_slice text, tarn_arena *arena,
                             tarn_value *ret_value, tarn_error *err) {
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_NULL:
        return tarn_fail(err, TARN_UNSUPPORTED, "a value of unknown type cannot be read from text");
    case TARN_TYPE_BOOLEAN: return parse_boolean(type, text, ret_value, err);
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT: return column_parse_integer(type, text, ret_value, err);
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE: return column_parse_float(type, text, arena, ret_value, err);
    case TARN_TYPE_NUMERIC: return column_parse_numeric(type, text, ret_value, err);
    case TARN_TYPE_DATE:
    case TARN_TYPE_TIME:
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: return column_parse_moment(type, text, ret_value, err);
    case TARN_TYPE_TEXT: return parse_text(type, text, ret_value, err);
    case TARN_TYPE_BYTEA: return parse_limited_bytea(type, text, arena, ret_value, err);
    case TARN_TYPE_INTERVAL: return column_parse_interval(text, ret_value, err);
    }
    return TARN_OK;
}
