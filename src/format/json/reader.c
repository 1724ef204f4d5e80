#include "base/alloc.h"
#include "base/hash.h"
#include "format/json/json.h"
#include "format/json/scan.h"
#include "format/text/place.h"
#include "format/text/rows.h"
#include "format/text/window.h"

#define RECORD_LIMIT_BYTES ((size_t)16 << 20)
#define MEMORY_BYTES       SIZE_MAX // bounded by the schema
#define NO_COLUMN          SIZE_MAX

struct tarn_json_reader {
    const tarn_alloc *alloc;
    tarn_object *object;
    const tarn_schema *schema;
    bool refuse_unknown;
    tarn_arena memory; // of the arrays below
    uint32_t *slots;   // hash table over the fields' names: column + 1, 0 where free
    size_t slot_count; // a power of two
    uint64_t *seen;    // per column, the last record that had it
    uint64_t record_count;
    text_window window;
    text_rows rows;
    uint64_t next_offset;
    uint64_t next_line;
};

// One line, and where parsing it has got to.
typedef struct line_parser {
    tarn_json_reader *reader;
    json_scanner scanner;
    tarn_slice line;
    uint64_t offset;
    size_t likely_column; // records tend to name their fields in the order of the last one
    // what is wrong, once something is:
    tarn_error *cause;
    const uint8_t *place;
    tarn_slice name; // of the field, when it is a field's value
} line_parser;

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "json reader: no memory");
}

// ---- names ----

static tarn_status index_names(tarn_json_reader *reader, tarn_error *err) {
    size_t count = reader->schema->field_count;
    reader->slot_count = 4;
    while (reader->slot_count < 2 * count) reader->slot_count *= 2;
    reader->slots = tarn_arena_new(&reader->memory, uint32_t, reader->slot_count);
    reader->seen = tarn_arena_new(&reader->memory, uint64_t, count);
    if (reader->slots == NULL || reader->seen == NULL) return no_memory(err);
    for (size_t column = 0; column < count; column++) {
        size_t slot = tarn_hash_bytes(reader->schema->fields[column].name);
        while (reader->slots[slot & (reader->slot_count - 1)] != 0) slot++;
        reader->slots[slot & (reader->slot_count - 1)] = (uint32_t)column + 1;
    }
    return TARN_OK;
}

static size_t find_column(line_parser *parser, tarn_slice name) {
    const tarn_json_reader *reader = parser->reader;
    const tarn_field *fields = reader->schema->fields;
    size_t likely = parser->likely_column;
    if (likely >= reader->schema->field_count || !tarn_slice_equal(fields[likely].name, name)) {
        size_t slot = tarn_hash_bytes(name);
        for (;; slot++) {
            uint32_t found = reader->slots[slot & (reader->slot_count - 1)];
            if (found == 0) return NO_COLUMN;
            likely = found - 1;
            if (tarn_slice_equal(fields[likely].name, name)) break;
        }
    }
    parser->likely_column = likely + 1;
    return likely;
}

static void hint_nearest(line_parser *parser, tarn_slice name) {
    const tarn_schema *schema = parser->reader->schema;
    tarn_slice *names =
        tarn_arena_new(&parser->reader->rows.arena, tarn_slice, schema->field_count);
    if (names == NULL) return; // the message says enough without the hint
    for (size_t i = 0; i < schema->field_count; i++) names[i] = schema->fields[i].name;
    ptrdiff_t nearest = tarn_nearest_name(name, names, schema->field_count);
    if (nearest < 0) return;
    tarn_error_hint(parser->cause, "did you mean '" TARN_SLICE_FMT "'?",
                    TARN_SLICE_ARG(names[nearest]));
}

// ---- fields ----

// Says that the line is not JSON, at the scanner's place.
static tarn_status fail_syntax(line_parser *parser, const char *problem) {
    parser->place = parser->scanner.at;
    tarn_status status = tarn_fail(parser->cause, TARN_INVALID, "%s", problem);
    tarn_error_locate(parser->cause, "22P02", 0);
    return status;
}

static tarn_status token_text(line_parser *parser, const json_token *token, tarn_slice *ret_text) {
    *ret_text = token->text;
    if (!token->escaped) return TARN_OK;
    uint8_t *text = tarn_arena_new_raw(&parser->reader->rows.arena, uint8_t, token->text.len);
    if (text == NULL) return no_memory(parser->cause);
    *ret_text = (tarn_slice){text, json_unescape(token->text, text)};
    return TARN_OK;
}

// Whether a value of this kind can be read as the type. Strings hold anything, text takes anything.
static bool suits(json_kind kind, tarn_type type) {
    if (kind == JSON_KIND_STRING || kind == JSON_KIND_NULL || type.id == TARN_TYPE_TEXT) {
        return true;
    }
    if (kind == JSON_KIND_NUMBER) return tarn_type_is_number(type);
    return kind != JSON_KIND_NESTED && type.id == TARN_TYPE_BOOLEAN;
}

static const char *kind_name(json_kind kind) {
    switch (kind) {
    case JSON_KIND_STRING: return "a string";
    case JSON_KIND_NUMBER: return "a number";
    case JSON_KIND_TRUE:
    case JSON_KIND_FALSE: return "a boolean";
    case JSON_KIND_NULL: return "null";
    case JSON_KIND_NESTED: return "an object or array";
    }
    return "a value";
}

static tarn_status fail_kind(line_parser *parser, json_kind kind, tarn_type type) {
    tarn_buffer name = {.limit_bytes = 256};
    tarn_status status = tarn_type_format(type, &name, parser->cause);
    if (status == TARN_OK) {
        status = tarn_fail(parser->cause, TARN_INVALID, "%s where %.*s is expected",
                           kind_name(kind), (int)name.len, (const char *)name.data);
        tarn_error_locate(parser->cause, "22P02", 0);
    }
    tarn_buffer_free(&name);
    return status;
}

static tarn_status store_value(line_parser *parser, size_t column, const json_token *token) {
    tarn_json_reader *reader = parser->reader;
    tarn_type type = reader->schema->fields[column].type;
    reader->seen[column] = reader->record_count;
    if (token->kind == JSON_KIND_NULL) {
        return text_rows_put_null(&reader->rows, column, parser->cause);
    }
    if (!suits(token->kind, type)) return fail_kind(parser, token->kind, type);
    tarn_slice text;
    TARN_TRY(token_text(parser, token, &text));
    return text_rows_put(&reader->rows, column, text, parser->cause);
}

static tarn_status refuse_name(line_parser *parser, tarn_slice name, const uint8_t *place) {
    parser->place = place;
    tarn_slice shown = name.len <= 100 ? name : tarn_slice_head(name, 100);
    tarn_status status =
        tarn_fail(parser->cause, TARN_INVALID, "there is no column '" TARN_SLICE_FMT "'",
                  TARN_SLICE_ARG(shown));
    tarn_error_locate(parser->cause, "42703", 0);
    hint_nearest(parser, name);
    return status;
}

// name ':' value
static tarn_status parse_member(line_parser *parser) {
    json_scanner *s = &parser->scanner;
    json_token token;
    tarn_slice name;
    const uint8_t *name_place = s->at;
    if (s->at == s->end || *s->at != '"') return fail_syntax(parser, "a name is expected");
    if (!json_scan_string(s, &token)) return fail_syntax(parser, s->problem);
    TARN_TRY(token_text(parser, &token, &name));
    if (!json_take(s, ':')) return fail_syntax(parser, "':' is expected");
    size_t column = find_column(parser, name);
    if (column == NO_COLUMN && parser->reader->refuse_unknown) {
        return refuse_name(parser, name, name_place);
    }
    const uint8_t *value_place = s->at;
    if (!json_scan_value(s, &token)) return fail_syntax(parser, s->problem);
    if (column == NO_COLUMN) return TARN_OK;
    tarn_status status = store_value(parser, column, &token);
    if (status != TARN_OK) {
        parser->place = value_place;
        parser->name = parser->reader->schema->fields[column].name;
    }
    return status;
}

static tarn_status fill_missing(line_parser *parser) {
    tarn_json_reader *reader = parser->reader;
    for (size_t column = 0; column < reader->schema->field_count; column++) {
        if (reader->seen[column] == reader->record_count) continue;
        tarn_status status = text_rows_put_null(&reader->rows, column, parser->cause);
        if (status == TARN_OK) continue;
        parser->place = NULL;
        tarn_error_prefix(parser->cause, "field '" TARN_SLICE_FMT "' is missing: ",
                          TARN_SLICE_ARG(reader->schema->fields[column].name));
        return status;
    }
    return TARN_OK;
}

static tarn_status parse_line(line_parser *parser) {
    json_scanner *s = &parser->scanner;
    parser->reader->record_count++;
    if (!json_take(s, '{')) return fail_syntax(parser, "an object is expected: '{'");
    if (!json_take(s, '}')) {
        do {
            TARN_TRY(parse_member(parser));
        } while (json_take(s, ','));
        if (!json_take(s, '}')) {
            return fail_syntax(parser, s->at == s->end ? "the object does not end on this line"
                                                       : "',' or '}' is expected");
        }
    }
    if (s->at != s->end) return fail_syntax(parser, "text behind the object");
    TARN_TRY(fill_missing(parser));
    text_rows_end_row(&parser->reader->rows);
    return TARN_OK;
}

// ---- lines ----

typedef enum line_outcome {
    LINE_WHOLE,
    LINE_TOO_LONG, // the window is full; the line is as much of it as fits
    LINE_STOP,     // not whole in memory, and the window may not move
    LINE_END,
} line_outcome;

static tarn_status make_room(tarn_json_reader *reader, bool *ret_moved, tarn_error *err) {
    if (reader->next_offset == reader->window.offset) {
        return text_window_grow(&reader->window, ret_moved, err);
    }
    *ret_moved = true;
    return text_window_slide(&reader->window, reader->next_offset, err);
}

// The next line without its end, and where the one behind it starts.
static tarn_status find_line(tarn_json_reader *reader, line_outcome *ret_outcome,
                             tarn_slice *ret_line, uint64_t *ret_next, tarn_error *err) {
    for (;;) {
        const text_window *window = &reader->window;
        uint64_t window_end = text_window_end(window);
        if (reader->next_offset < window_end) {
            size_t begin = (size_t)(reader->next_offset - window->offset);
            tarn_slice rest = {window->bytes + begin, window->len - begin};
            const uint8_t *line_end = memchr(rest.data, '\n', rest.len);
            bool is_whole = line_end != NULL || text_window_is_last(window);
            if (line_end != NULL) rest.len = (size_t)(line_end - rest.data);
            *ret_line = rest;
            *ret_next = reader->next_offset + rest.len + (line_end != NULL);
            *ret_outcome = LINE_WHOLE;
            if (is_whole) return TARN_OK;
        } else if (text_window_is_last(window) && reader->next_offset == window_end) {
            *ret_outcome = LINE_END;
            return TARN_OK;
        }
        *ret_outcome = LINE_STOP;
        if (reader->rows.chunk.row_count > 0) return TARN_OK;
        bool moved = false;
        TARN_TRY(make_room(reader, &moved, err));
        if (moved) continue;
        *ret_outcome = LINE_TOO_LONG;
        return text_window_next_line(window, window_end, ret_next, err);
    }
}

static bool is_blank(tarn_slice line) {
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r') return false;
    }
    return true;
}

static tarn_slice without_byte_order_mark(tarn_slice line, uint64_t offset) {
    const tarn_slice mark = TARN_LIT("\xEF\xBB\xBF");
    if (offset > 0 || !tarn_slice_starts_with(line, mark)) return line;
    return tarn_slice_skip(line, mark.len);
}

static void locate_bad(const line_parser *parser, tarn_bad_record *bad) {
    const tarn_json_reader *reader = parser->reader;
    bad->line = reader->next_line;
    bad->byte_offset = parser->offset;
    bad->raw = parser->line;
    if (bad->raw.len > 0 && bad->raw.data[bad->raw.len - 1] == '\r') bad->raw.len--;
    size_t place = parser->place == NULL ? 0 : (size_t)(parser->place - parser->line.data);
    bad->column = parser->place == NULL ? 0 : place + 1;
    text_place where = {.format = "json",
                        .file = tarn_object_name(reader->object),
                        .line = bad->line,
                        .column = bad->column,
                        .column_name = parser->name,
                        .byte_offset = parser->offset + place};
    text_place_prefix(&where, &bad->error);
}

// Reads one line; *bad is filled when it is wrong.
static tarn_status read_line(tarn_json_reader *reader, bool *ret_stop, tarn_bad_record *bad,
                             tarn_error *err) {
    line_outcome outcome;
    tarn_slice line = {0};
    uint64_t next = 0;
    TARN_TRY(find_line(reader, &outcome, &line, &next, err));
    *ret_stop = outcome == LINE_STOP || outcome == LINE_END;
    if (*ret_stop) return TARN_OK;
    line_parser parser = {
        .reader = reader, .line = line, .offset = reader->next_offset, .cause = &bad->error};
    tarn_slice json = without_byte_order_mark(line, reader->next_offset);
    parser.scanner = (json_scanner){.at = json.data, .end = json.data + json.len};
    tarn_status status = TARN_OK;
    if (outcome == LINE_TOO_LONG) {
        status = tarn_fail(&bad->error, TARN_INVALID, "the record is longer than the limit");
        tarn_error_locate(&bad->error, "22P02", 0);
    } else if (!is_blank(json)) {
        status = parse_line(&parser);
    }
    if (status == TARN_NO_MEMORY) { // ours, not the record's
        if (err != NULL) *err = bad->error;
        *bad = (tarn_bad_record){0};
        return status;
    }
    if (status != TARN_OK) locate_bad(&parser, bad);
    reader->next_offset = next;
    reader->next_line++;
    return TARN_OK;
}

tarn_status tarn_json_reader_next(tarn_json_reader *reader, const tarn_chunk **ret_chunk,
                                  tarn_bad_record *ret_bad, tarn_error *err) {
    text_rows_clear(&reader->rows);
    const text_window *window = &reader->window;
    uint64_t end = text_window_end(window);
    uint64_t left = reader->next_offset < end ? end - reader->next_offset : 0;
    // While more than half is left, moving it would cost more than the room is worth.
    if (left <= window->capacity_bytes / 2 && !(left > 0 && text_window_is_last(window))) {
        TARN_TRY(text_window_slide(&reader->window, reader->next_offset, err));
    }
    tarn_bad_record bad = {0};
    bool stop = false;
    while (!stop && bad.line == 0 && !text_rows_is_full(&reader->rows)) {
        TARN_TRY(read_line(reader, &stop, &bad, err));
    }
    if (bad.line > 0 && ret_bad == NULL) {
        if (err != NULL) *err = bad.error;
        return bad.error.status;
    }
    if (ret_bad != NULL) *ret_bad = bad;
    bool is_end = reader->rows.chunk.row_count == 0 && bad.line == 0;
    *ret_chunk = is_end ? NULL : &reader->rows.chunk;
    return TARN_OK;
}

// ---- opening ----

static tarn_status start(tarn_json_reader *reader, const tarn_json_options *options,
                         tarn_error *err) {
    uint64_t size = tarn_object_size(reader->object);
    if (options->first_offset > size) {
        return tarn_fail(err, TARN_INVALID, "json: resuming at byte %llu of %llu",
                         (unsigned long long)options->first_offset, (unsigned long long)size);
    }
    size_t limit_bytes =
        options->record_limit_bytes == 0 ? RECORD_LIMIT_BYTES : options->record_limit_bytes;
    text_window_init(&reader->window, reader->alloc, reader->object, options->first_offset,
                     limit_bytes);
    reader->next_offset = options->first_offset;
    reader->next_line = options->first_line == 0 ? 1 : options->first_line;
    reader->refuse_unknown = options->refuse_unknown;
    TARN_TRY(text_rows_init(&reader->rows, reader->alloc, reader->schema, err));
    return index_names(reader, err);
}

tarn_status tarn_json_reader_new(const tarn_alloc *alloc, tarn_object *object,
                                 const tarn_schema *schema, const tarn_json_options *options,
                                 tarn_json_reader **ret_reader, tarn_error *err) {
    tarn_json_reader *reader = tarn_alloc_new(alloc, tarn_json_reader, 1);
    if (reader == NULL) return no_memory(err);
    reader->alloc = alloc;
    reader->object = object;
    reader->schema = schema;
    tarn_arena_init(&reader->memory, alloc, MEMORY_BYTES);
    tarn_status status = start(reader, options, err);
    if (status == TARN_OK) {
        *ret_reader = reader;
    } else {
        tarn_json_reader_free(reader);
    }
    return status;
}

void tarn_json_reader_free(tarn_json_reader *reader) {
    if (reader == NULL) return;
    text_rows_reset(&reader->rows);
    if (reader->window.alloc != NULL) text_window_reset(&reader->window);
    tarn_arena_reset(&reader->memory);
    tarn_alloc_free(reader->alloc, reader, 1);
}

uint64_t tarn_json_reader_offset(const tarn_json_reader *reader) {
    return reader->next_offset;
}

uint64_t tarn_json_reader_line(const tarn_json_reader *reader) {
    return reader->next_line;
}
