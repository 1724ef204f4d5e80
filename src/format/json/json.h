// json.h - JSON lines (one object a line) to chunks, with exact positions in errors; and JSON text.
//
// Fields are matched by name, missing ones are NULL, unknown ones are ignored or refused; of a
// field that is there twice the last one counts. Numbers go into numeric columns exactly. Strings
// must be valid UTF-8 and may hold any escape, surrogate pairs included.
//
// Values:    a string is read as the column's type as tarn_value_parse does; a number only goes
// into
//            a column of numbers, true and false into booleans. A text column takes any value: what
//            is not a string, as it is written (objects and arrays too).
// Lines:     one object each; empty ones are skipped, a byte order mark at the start too.
// Positions: the column of a bad record counts the bytes of its line from 1.
// Use, ownership, threads and errors as in csv.h.
#ifndef TARN_FORMAT_JSON_H
#define TARN_FORMAT_JSON_H

#include "column/column.h"
#include "format/csv/csv.h" // tarn_bad_record
#include "io/io.h"

typedef struct tarn_json_options {
    bool refuse_unknown;       // an unknown field makes the record bad (with the nearest name)
    uint64_t first_offset;     // resume at this byte, which must start a line
    uint64_t first_line;       // the line number there; 0: 1
    size_t record_limit_bytes; // 0: 16 MiB
} tarn_json_options;

typedef struct tarn_json_reader tarn_json_reader;
TARN_MUST_USE tarn_status tarn_json_reader_new(const tarn_alloc *alloc, tarn_object *object,
                                               const tarn_schema *schema,
                                               const tarn_json_options *options,
                                               tarn_json_reader **ret_reader, tarn_error *err);
void tarn_json_reader_free(tarn_json_reader *reader); // accepts NULL

// As tarn_csv_reader_next.
TARN_MUST_USE tarn_status tarn_json_reader_next(tarn_json_reader *reader,
                                                const tarn_chunk **ret_chunk,
                                                tarn_bad_record *ret_bad, tarn_error *err);
uint64_t tarn_json_reader_offset(const tarn_json_reader *reader);
uint64_t tarn_json_reader_line(const tarn_json_reader *reader);

// Appends the selected rows, one object a line. Numbers and booleans are written as such (NaN and
// infinities as strings), nulls as null, everything else as a string in PostgreSQL's form. `out` is
// unchanged on failure.
TARN_MUST_USE tarn_status tarn_json_write(const tarn_schema *schema, const tarn_chunk *chunk,
                                          tarn_buffer *out, tarn_error *err);
// Appends `text` as a JSON string, quotes included.
TARN_MUST_USE tarn_status tarn_json_quote(tarn_slice text, tarn_buffer *out, tarn_error *err);

#endif
