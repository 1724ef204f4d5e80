#include "base/alloc.h"
#include "format/csv/input.h"
#include "format/text/place.h"
#include "format/text/rows.h"

#define NO_COLUMN UINT32_MAX

#define MEMORY_BYTES SIZE_MAX // bounded by the schema and one header

struct tarn_csv_reader {
    const tarn_alloc *alloc;
    tarn_object *object;
    const tarn_schema *schema;
    tarn_csv_options options;
    tarn_arena memory;      // of the arrays below
    size_t expected_fields; // per record
    uint32_t *columns;      // per field of a record, the schema's column; NO_COLUMN: not wanted
    csv_input input;
    text_rows rows;
};

// ---- header ----

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "csv reader: no memory");
}

static tarn_status fail_in_header(const tarn_csv_reader *reader, uint64_t column, tarn_slice name,
                                  tarn_error *err) {
    text_place place = {.format = "csv",
                        .file = tarn_object_name(reader->object),
                        .line = reader->input.record_line,
                        .column = column,
                        .column_name = name,
                        .byte_offset = reader->input.record_offset};
    text_place_prefix(&place, err);
    tarn_error_locate(err, "22P04", 0); // bad_copy_file_format
    return TARN_INVALID;
}

static tarn_status set_fields(tarn_csv_reader *reader, size_t count, tarn_error *err) {
    csv_field *fields = tarn_arena_new_raw(&reader->memory, csv_field, count);
    if (fields == NULL) return no_memory(err);
    reader->input.splitter.fields = fields;
    reader->input.splitter.field_capacity = count;
    return TARN_OK;
}

static tarn_status hint_nearest(const tarn_slice *names, size_t count, tarn_slice name,
                                tarn_error *err) {
    ptrdiff_t nearest = tarn_nearest_name(name, names, count);
    if (nearest >= 0) {
        tarn_error_hint(err, "the header has '" TARN_SLICE_FMT "'", TARN_SLICE_ARG(names[nearest]));
    }
    return TARN_INVALID;
}

// Finds the schema's columns among the header's names.
static tarn_status match_names(tarn_csv_reader *reader, const tarn_slice *names, size_t count,
                               tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        ptrdiff_t column = tarn_schema_find(reader->schema, names[i]);
        reader->columns[i] = column < 0 ? NO_COLUMN : (uint32_t)column;
    }
    for (size_t column = 0; column < reader->schema->field_count; column++) {
        tarn_slice name = reader->schema->fields[column].name;
        size_t found = 0;
        for (size_t i = 0; i < count; i++) {
            if (reader->columns[i] != column) continue;
            if (++found < 2) continue;
            (void)tarn_fail(err, TARN_INVALID, "the header names it twice");
            return fail_in_header(reader, i + 1, name, err);
        }
        if (found == 0) {
            (void)tarn_fail(err, TARN_INVALID, "the header has no column '" TARN_SLICE_FMT "'",
                            TARN_SLICE_ARG(name));
            hint_nearest(names, count, name, err);
            return fail_in_header(reader, 0, name, err);
        }
    }
    return TARN_OK;
}

static tarn_status check_header_count(tarn_csv_reader *reader, const tarn_slice *names,
                                      size_t count, tarn_error *err) {
    size_t expected = reader->schema->field_count;
    if (count == expected) return TARN_OK;
    if (count > expected) {
        (void)tarn_fail(err, TARN_INVALID, "the header has %zu columns, %zu are expected", count,
                        expected);
        return fail_in_header(reader, expected + 1, names[expected], err);
    }
    (void)tarn_fail(err, TARN_INVALID,
                    "the header has %zu columns, %zu are expected: '" TARN_SLICE_FMT
                    "' is the first without one",
                    count, expected, TARN_SLICE_ARG(reader->schema->fields[count].name));
    return fail_in_header(reader, 0, (tarn_slice){0}, err);
}

static tarn_status take_header(tarn_csv_reader *reader, tarn_error *err) {
    csv_input *input = &reader->input;
    size_t count = input->record.field_count;
    tarn_slice *names = tarn_arena_new(&reader->memory, tarn_slice, count);
    if (names == NULL) return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(csv_input_text(input, &input->record.fields[i], &reader->memory, &names[i], err));
    }
    if (!reader->options.match_header) return check_header_count(reader, names, count, err);
    reader->columns = tarn_arena_new(&reader->memory, uint32_t, count);
    if (reader->columns == NULL) return no_memory(err);
    reader->expected_fields = count;
    return match_names(reader, names, count, err);
}

static tarn_status read_header(tarn_csv_reader *reader, tarn_error *err) {
    csv_input *input = &reader->input;
    for (;;) {
        csv_outcome outcome;
        TARN_TRY(csv_input_begin(input, err));
        TARN_TRY(csv_input_read(input, true, &outcome, err));
        if (outcome == CSV_READ_END) return TARN_OK; // an empty file has no rows either
        if (outcome == CSV_READ_BAD) {
            (void)tarn_fail(err, TARN_INVALID, "header: %s", input->record.problem);
            // SIZE_MAX + 1 is column 0: the header as a whole.
            return fail_in_header(reader, input->record.problem_field + 1, (tarn_slice){0}, err);
        }
        if (input->record.field_count <= input->splitter.field_capacity) break;
        // Once more, with room for all its fields.
        TARN_TRY(set_fields(reader, input->record.field_count, err));
        input->next_offset = input->record_offset;
        input->next_line = input->record_line;
    }
    return take_header(reader, err);
}

// ---- opening ----

static tarn_status take_columns_by_position(tarn_csv_reader *reader, tarn_error *err) {
    size_t count = reader->schema->field_count;
    reader->expected_fields = count;
    reader->columns = tarn_arena_new(&reader->memory, uint32_t, count);
    if (reader->columns == NULL) return no_memory(err);
    for (size_t i = 0; i < count; i++) reader->columns[i] = (uint32_t)i;
    return TARN_OK;
}

static tarn_status start(tarn_csv_reader *reader, tarn_error *err) {
    const tarn_csv_options *options = &reader->options;
    if (options->match_header && !options->header) {
        return tarn_fail(err, TARN_INVALID, "csv: match_header needs a header");
    }
    TARN_TRY(text_rows_init(&reader->rows, reader->alloc, reader->schema, err));
    TARN_TRY(take_columns_by_position(reader, err));
    bool resumes = options->first_offset > 0;
    TARN_TRY(csv_input_init(&reader->input, reader->alloc, reader->object, options, 0, err));
    TARN_TRY(set_fields(reader, reader->expected_fields, err));
    if (options->header && (!resumes || options->match_header)) TARN_TRY(read_header(reader, err));
    csv_field *fields = reader->input.splitter.fields;
    size_t field_capacity = reader->input.splitter.field_capacity;
    if (resumes) {
        csv_input_reset(&reader->input);
        TARN_TRY(csv_input_init(&reader->input, reader->alloc, reader->object, options,
                                options->first_offset, err));
        reader->input.splitter.fields = fields;
        reader->input.splitter.field_capacity = field_capacity;
    }
    if (options->first_line > 0 && (resumes || !options->header)) {
        reader->input.next_line = options->first_line;
    }
    return TARN_OK;
}

tarn_status tarn_csv_reader_new(const tarn_alloc *alloc, tarn_object *object,
                                const tarn_schema *schema, const tarn_csv_options *options,
                                tarn_csv_reader **ret_reader, tarn_error *err) {
    tarn_csv_reader *reader = tarn_alloc_new(alloc, tarn_csv_reader, 1);
    if (reader == NULL) return no_memory(err);
    reader->alloc = alloc;
    reader->object = object;
    reader->schema = schema;
    reader->options = *options;
    tarn_arena_init(&reader->memory, alloc, MEMORY_BYTES);
    tarn_status status = start(reader, err);
    if (status == TARN_OK) {
        *ret_reader = reader;
    } else {
        tarn_csv_reader_free(reader);
    }
    return status;
}

void tarn_csv_reader_free(tarn_csv_reader *reader) {
    if (reader == NULL) return;
    text_rows_reset(&reader->rows);
    csv_input_reset(&reader->input);
    tarn_arena_reset(&reader->memory);
    tarn_alloc_free(reader->alloc, reader, 1);
}

uint64_t tarn_csv_reader_offset(const tarn_csv_reader *reader) {
    return reader->input.next_offset;
}

uint64_t tarn_csv_reader_line(const tarn_csv_reader *reader) {
    return reader->input.next_line;
}

// ---- records ----

// Puts what is known of the bad record into *bad; its error says the cause so far.
static void locate_bad(const tarn_csv_reader *reader, size_t field, uint64_t at,
                       tarn_bad_record *bad) {
    const csv_input *input = &reader->input;
    bad->line = input->record_line;
    bad->byte_offset = input->record_offset;
    bad->raw = input->record_raw;
    text_place place = {.format = "csv",
                        .file = tarn_object_name(reader->object),
                        .line = bad->line,
                        .byte_offset = at};
    if (field != SIZE_MAX) {
        bad->column = field + 1;
        place.column = bad->column;
        if (field < reader->expected_fields && reader->columns[field] != NO_COLUMN) {
            place.column_name = reader->schema->fields[reader->columns[field]].name;
        }
    }
    text_place_prefix(&place, &bad->error);
}

static void describe_split(const tarn_csv_reader *reader, tarn_bad_record *bad) {
    const csv_record *record = &reader->input.record;
    (void)tarn_fail(&bad->error, TARN_INVALID, "%s", record->problem);
    tarn_error_locate(&bad->error, "22P04", 0);
    uint64_t at = reader->input.record_offset + (record->problem_at - record->begin);
    locate_bad(reader, record->problem_field, at, bad);
}

// Appends the record to the rows. What is wrong with it goes into *bad.
static tarn_status append_record(tarn_csv_reader *reader, tarn_bad_record *bad) {
    csv_input *input = &reader->input;
    const csv_record *record = &input->record;
    if (record->field_count != reader->expected_fields) {
        (void)tarn_fail(&bad->error, TARN_INVALID, "%zu fields are expected, %zu are there",
                        reader->expected_fields, record->field_count);
        tarn_error_locate(&bad->error, "22P04", 0);
        locate_bad(reader, SIZE_MAX, input->record_offset, bad);
        return TARN_INVALID;
    }
    for (size_t i = 0; i < record->field_count; i++) {
        uint32_t column = reader->columns[i];
        if (column == NO_COLUMN) continue;
        const csv_field *field = &record->fields[i];
        tarn_status status;
        if (csv_input_is_null(input, field)) {
            status = text_rows_put_null(&reader->rows, column, &bad->error);
        } else {
            tarn_slice text;
            status = csv_input_text(input, field, &reader->rows.arena, &text, &bad->error);
            if (status == TARN_OK) status = text_rows_put(&reader->rows, column, text, &bad->error);
        }
        if (status != TARN_OK) {
            uint64_t at = input->record_offset + (field->begin - record->begin);
            locate_bad(reader, i, at, bad);
            return status;
        }
    }
    text_rows_end_row(&reader->rows);
    return TARN_OK;
}

// Reads until the chunk is full, or the input stops; *bad is filled when a record is wrong.
static tarn_status read_rows(tarn_csv_reader *reader, tarn_bad_record *bad, tarn_error *err) {
    while (!text_rows_is_full(&reader->rows)) {
        csv_outcome outcome;
        bool may_move = reader->rows.chunk.row_count == 0;
        TARN_TRY(csv_input_read(&reader->input, may_move, &outcome, err));
        if (outcome == CSV_READ_END || outcome == CSV_READ_STOP) return TARN_OK;
        if (outcome == CSV_READ_BAD) {
            describe_split(reader, bad);
            return TARN_OK;
        }
        if (csv_input_is_blank(&reader->input) && reader->expected_fields > 1) continue;
        tarn_status status = append_record(reader, bad);
        if (status == TARN_NO_MEMORY) { // ours, not the record's
            if (err != NULL) *err = bad->error;
            *bad = (tarn_bad_record){0};
        }
        if (status != TARN_OK) return status == TARN_NO_MEMORY ? status : TARN_OK;
    }
    return TARN_OK;
}

tarn_status tarn_csv_reader_next(tarn_csv_reader *reader, const tarn_chunk **ret_chunk,
                                 tarn_bad_record *ret_bad, tarn_error *err) {
    text_rows_clear(&reader->rows);
    TARN_TRY(csv_input_begin(&reader->input, err));
    tarn_bad_record bad = {0};
    TARN_TRY(read_rows(reader, &bad, err));
    if (bad.line > 0 && ret_bad == NULL) {
        if (err != NULL) *err = bad.error;
        return bad.error.status;
    }
    if (ret_bad != NULL) *ret_bad = bad;
    bool is_end = reader->rows.chunk.row_count == 0 && bad.line == 0;
    *ret_chunk = is_end ? NULL : &reader->rows.chunk;
    return TARN_OK;
}
