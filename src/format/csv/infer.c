#include "base/alloc.h"
#include "format/csv/input.h"
#include "format/text/place.h"

// A type is a guess until a value contradicts it. Guesses are stricter than tarn_value_parse: what
// looks like a code (leading zeros) or a word ('on', 'nan') is text.
enum {
    GUESS_BOOLEAN = 1 << 0,
    GUESS_BIGINT = 1 << 1,
    GUESS_DOUBLE = 1 << 2,
    GUESS_DATE = 1 << 3,
    GUESS_TIMESTAMP = 1 << 4,
    GUESS_TIMESTAMPTZ = 1 << 5,
    GUESS_ALL = (1 << 6) - 1,
};

#define FIELDS_FIRST TARN_TUNABLE((size_t)256, (size_t)2)
#define ARENA_BYTES  ((size_t)1 << 30)

typedef struct inference {
    csv_input input;
    tarn_arena arena; // of fields and guesses
    tarn_arena text_arena;
    tarn_slice *names; // in the caller's arena
    size_t column_count;
    uint8_t *guesses;
    bool *seen; // whether a column has had a value that is not null
    tarn_object *object;
} inference;

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "csv: no memory to guess the columns' types");
}

// ---- values ----

static bool is_word(tarn_slice text, const char *word) {
    size_t len = strlen(word);
    if (text.len != len) return false;
    for (size_t i = 0; i < len; i++) {
        if ((text.data[i] | 0x20) != (uint8_t)word[i]) return false;
    }
    return true;
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_boolean(tarn_slice text) {
    return is_word(text, "true") || is_word(text, "false") || is_word(text, "t") ||
           is_word(text, "f");
}

// Digits, or a point before one; no leading zero that a number would not have.
static bool looks_like_number(tarn_slice text) {
    if (text.len > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        text = tarn_slice_skip(text, 1);
    }
    if (text.len == 0) return false;
    if (text.data[0] == '.') return text.len > 1 && is_digit(text.data[1]);
    if (!is_digit(text.data[0]) || !is_digit(text.data[text.len - 1])) return false;
    return text.data[0] != '0' || text.len == 1 || !is_digit(text.data[1]);
}

// "yyyy-mm-dd" in front.
static bool looks_like_date(tarn_slice text) {
    if (text.len < 10 || text.data[4] != '-' || text.data[7] != '-') return false;
    for (size_t i = 0; i < 10; i++) {
        if (i != 4 && i != 7 && !is_digit(text.data[i])) return false;
    }
    return true;
}

// 'Z', or an offset behind the clock.
static bool has_zone(tarn_slice text) {
    for (size_t i = 11; i < text.len; i++) {
        if (text.data[i] == 'Z' || text.data[i] == 'z' || text.data[i] == '+' ||
            text.data[i] == '-') {
            return true;
        }
    }
    return false;
}

static bool parses(tarn_type_id id, tarn_slice text, tarn_arena *arena) {
    tarn_value value;
    return tarn_value_parse(tarn_type_of(id), text, arena, &value, NULL) == TARN_OK;
}

static uint8_t guess_number(tarn_slice text, tarn_arena *arena) {
    if (!looks_like_number(text)) return 0;
    if (parses(TARN_TYPE_BIGINT, text, arena)) return GUESS_BIGINT | GUESS_DOUBLE;
    return parses(TARN_TYPE_DOUBLE, text, arena) ? GUESS_DOUBLE : 0;
}

// Which guesses a value allows.
static uint8_t guess_value(tarn_slice text, tarn_arena *arena) {
    if (is_boolean(text)) return GUESS_BOOLEAN;
    if (!looks_like_date(text)) return guess_number(text, arena);
    if (text.len == 10) {
        return parses(TARN_TYPE_DATE, text, arena) ? GUESS_DATE | GUESS_TIMESTAMP : 0;
    }
    if (has_zone(text)) return parses(TARN_TYPE_TIMESTAMPTZ, text, arena) ? GUESS_TIMESTAMPTZ : 0;
    return parses(TARN_TYPE_TIMESTAMP, text, arena) ? GUESS_TIMESTAMP : 0;
}

static tarn_type type_of(uint8_t guesses, bool seen) {
    if (!seen) return tarn_type_of(TARN_TYPE_TEXT);
    if (guesses & GUESS_BOOLEAN) return tarn_type_of(TARN_TYPE_BOOLEAN);
    if (guesses & GUESS_BIGINT) return tarn_type_of(TARN_TYPE_BIGINT);
    if (guesses & GUESS_DOUBLE) return tarn_type_of(TARN_TYPE_DOUBLE);
    if (guesses & GUESS_DATE) return tarn_type_of(TARN_TYPE_DATE);
    if (guesses & GUESS_TIMESTAMP) return tarn_type_of(TARN_TYPE_TIMESTAMP);
    if (guesses & GUESS_TIMESTAMPTZ) return tarn_type_of(TARN_TYPE_TIMESTAMPTZ);
    return tarn_type_of(TARN_TYPE_TEXT);
}

// ---- records ----

static tarn_status set_fields(inference *inf, size_t count, tarn_error *err) {
    csv_field *fields = tarn_arena_new_raw(&inf->arena, csv_field, count);
    if (fields == NULL) return no_memory(err);
    inf->input.splitter.fields = fields;
    inf->input.splitter.field_capacity = count;
    return TARN_OK;
}

// Reads the next good record whole, making room for as many fields as it has.
static tarn_status read_record(inference *inf, bool *ret_found, tarn_error *err) {
    csv_input *input = &inf->input;
    for (;;) {
        csv_outcome outcome;
        TARN_TRY(csv_input_begin(input, err));
        TARN_TRY(csv_input_read(input, true, &outcome, err));
        *ret_found = outcome != CSV_READ_END;
        if (outcome == CSV_READ_END) return TARN_OK;
        if (outcome != CSV_READ_RECORD) continue; // bad ones say nothing about types
        if (input->record.field_count <= input->splitter.field_capacity) return TARN_OK;
        if (inf->column_count > 0) continue; // has other columns than the first one: bad too
        TARN_TRY(set_fields(inf, input->record.field_count, err));
        input->next_offset = input->record_offset;
        input->next_line = input->record_line;
    }
}

static tarn_status look_at_record(inference *inf, tarn_error *err) {
    const csv_record *record = &inf->input.record;
    if (record->field_count != inf->column_count) return TARN_OK;
    if (csv_input_is_blank(&inf->input) && inf->column_count > 1) return TARN_OK;
    for (size_t i = 0; i < inf->column_count; i++) {
        if (csv_input_is_null(&inf->input, &record->fields[i])) continue;
        inf->seen[i] = true;
        if (inf->guesses[i] == 0) continue;
        tarn_slice text;
        TARN_TRY(csv_input_text(&inf->input, &record->fields[i], &inf->text_arena, &text, err));
        inf->guesses[i] &= guess_value(text, &inf->text_arena);
    }
    tarn_arena_clear(&inf->text_arena);
    return TARN_OK;
}

// ---- names ----

static tarn_status fail_name(const inference *inf, size_t column, tarn_error *err) {
    text_place place = {.format = "csv",
                        .file = tarn_object_name(inf->object),
                        .line = inf->input.record_line,
                        .column = column + 1,
                        .column_name = inf->names[column],
                        .byte_offset = inf->input.record_offset};
    text_place_prefix(&place, err);
    return TARN_INVALID;
}

static tarn_status check_names(const inference *inf, tarn_error *err) {
    for (size_t i = 0; i < inf->column_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!tarn_slice_equal(inf->names[i], inf->names[j])) continue;
            (void)tarn_fail(err, TARN_INVALID, "the header names it twice, first as column %zu",
                            j + 1);
            return fail_name(inf, i, err);
        }
    }
    return TARN_OK;
}

// From the first record: names, or how many columns there are.
static tarn_status take_columns(inference *inf, bool is_header, tarn_arena *arena,
                                tarn_error *err) {
    const csv_record *record = &inf->input.record;
    size_t count = record->field_count;
    inf->column_count = count;
    inf->names = tarn_arena_new(arena, tarn_slice, count);
    inf->guesses = tarn_arena_new(&inf->arena, uint8_t, count);
    inf->seen = tarn_arena_new(&inf->arena, bool, count);
    if (inf->names == NULL || inf->guesses == NULL || inf->seen == NULL) return no_memory(err);
    memset(inf->guesses, GUESS_ALL, count);
    for (size_t i = 0; i < count; i++) {
        tarn_slice name = {0};
        if (is_header) {
            TARN_TRY(csv_input_text(&inf->input, &record->fields[i], arena, &name, err));
        }
        bool named = name.len > 0 ? tarn_arena_copy(arena, name, &inf->names[i])
                                  : tarn_arena_printf(arena, &inf->names[i], "column%zu", i + 1);
        if (!named) return no_memory(err);
    }
    return check_names(inf, err);
}

static tarn_status infer(inference *inf, const tarn_csv_options *options, size_t row_limit,
                         tarn_arena *arena, tarn_error *err) {
    bool found = false;
    TARN_TRY(set_fields(inf, FIELDS_FIRST, err));
    TARN_TRY(read_record(inf, &found, err));
    if (!found) {
        return tarn_fail(err, TARN_INVALID,
                         "csv file '" TARN_SLICE_FMT "': it has no record to guess columns from",
                         TARN_SLICE_ARG(tarn_object_name(inf->object)));
    }
    TARN_TRY(take_columns(inf, options->header, arena, err));
    size_t row_count = 0;
    if (!options->header) {
        TARN_TRY(look_at_record(inf, err));
        row_count++;
    }
    for (; row_count < row_limit; row_count++) {
        TARN_TRY(read_record(inf, &found, err));
        if (!found) break;
        TARN_TRY(look_at_record(inf, err));
    }
    return TARN_OK;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of the public header
tarn_status tarn_csv_infer(const tarn_alloc *alloc, tarn_object *object,
                           const tarn_csv_options *options, size_t row_limit, tarn_arena *arena,
                           tarn_schema *ret_schema, tarn_error *err) {
    inference *inf = tarn_alloc_new(alloc, inference, 1);
    if (inf == NULL) return no_memory(err);
    inf->object = object;
    tarn_arena_init(&inf->arena, alloc, ARENA_BYTES);
    tarn_arena_init(&inf->text_arena, alloc, ARENA_BYTES);
    tarn_field *fields = NULL;
    tarn_status status = csv_input_init(&inf->input, alloc, object, options, 0, err);
    if (status != TARN_OK) goto out;
    status = infer(inf, options, row_limit, arena, err);
    if (status != TARN_OK) goto out;
    fields = tarn_arena_new(arena, tarn_field, inf->column_count);
    if (fields == NULL) {
        status = no_memory(err);
        goto out;
    }
    for (size_t i = 0; i < inf->column_count; i++) {
        fields[i] = (tarn_field){
            .name = inf->names[i], .type = type_of(inf->guesses[i], inf->seen[i]), .id = -1};
    }
    *ret_schema = (tarn_schema){.fields = fields, .field_count = inf->column_count};
out:
    csv_input_reset(&inf->input);
    tarn_arena_reset(&inf->text_arena);
    tarn_arena_reset(&inf->arena);
    tarn_alloc_free(alloc, inf, 1);
    return status;
}
