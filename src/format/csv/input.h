// input.h - the records of an object, one after the other, with their places.
//
// Views into records are valid until the input moves: at csv_input_begin, and at a read that may
// move it.
#ifndef TARN_FORMAT_CSV_INPUT_H
#define TARN_FORMAT_CSV_INPUT_H

#include "format/csv/split.h"
#include "format/text/window.h"

typedef struct csv_input {
    text_window window;
    csv_splitter splitter;
    csv_record record; // the last one read, and where it is:
    uint64_t record_offset;
    uint64_t record_line;
    tarn_slice record_raw; // without the line end; of a bad one as much as is there
    uint64_t next_offset;
    uint64_t next_line;
} csv_input;

typedef enum csv_outcome {
    CSV_READ_RECORD,
    CSV_READ_BAD,  // record.problem says why; the input is behind it
    CSV_READ_STOP, // the next record is not whole in memory, and the input may not move
    CSV_READ_END,
} csv_outcome;

// The caller then gives room for fields (input->splitter). A byte order mark at the object's start
// is skipped.
TARN_MUST_USE tarn_status csv_input_init(csv_input *input, const tarn_alloc *alloc,
                                         tarn_object *object, const tarn_csv_options *options,
                                         uint64_t first_offset, tarn_error *err);
void csv_input_reset(csv_input *input); // also of a zeroed one

// Gives up the views so far, and makes room for the next ones.
TARN_MUST_USE tarn_status csv_input_begin(csv_input *input, tarn_error *err);
TARN_MUST_USE tarn_status csv_input_read(csv_input *input, bool may_move, csv_outcome *ret_outcome,
                                         tarn_error *err);

// A field's bytes as they stand, escapes included.
static inline tarn_slice csv_input_field(const csv_input *input, const csv_field *field) {
    return (tarn_slice){input->window.bytes + field->begin, field->len};
}

// A field's text; what has escapes is copied into `arena`.
TARN_MUST_USE tarn_status csv_input_text(const csv_input *input, const csv_field *field,
                                         tarn_arena *arena, tarn_slice *ret_text, tarn_error *err);

static inline bool csv_input_is_null(const csv_input *input, const csv_field *field) {
    return !field->quoted &&
           tarn_slice_equal(csv_input_field(input, field), input->splitter.dialect.null_text);
}

// A line without anything on it: no record where there are several columns.
static inline bool csv_input_is_blank(const csv_input *input) {
    const csv_record *record = &input->record;
    return record->begin == record->end;
}

#endif
