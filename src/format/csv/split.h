// split.h - bytes to CSV records and fields.
//
// Every byte that can mean something (delimiter, quote, escape, line feed) is found first, a block
// at a time, in loops without branches; records are then cut by walking from mark to mark.
//
// A record ends at a line feed outside quotes; a carriage return before it belongs to the line
// end. A quoted field is quoted as a whole: a quote within an unquoted field, or text behind a
// closing quote, is an error rather than a guess.
#ifndef TARN_FORMAT_CSV_SPLIT_H
#define TARN_FORMAT_CSV_SPLIT_H

#include "format/csv/csv.h"

#define CSV_BLOCK_BYTES TARN_TUNABLE((size_t)4096, (size_t)16)

typedef struct csv_dialect {
    uint8_t delimiter;
    uint8_t quote;
    uint8_t escape; // the quote itself, or a byte that takes the next quote or escape literally
    tarn_slice null_text;
} csv_dialect;

// Fills in the defaults; fails when two of the bytes are the same or are line ends.
TARN_MUST_USE tarn_status csv_dialect_of(const tarn_csv_options *options, csv_dialect *ret_dialect,
                                         tarn_error *err);

typedef struct csv_field {
    uint32_t begin; // within the bytes; of a quoted field behind the quote
    uint32_t len;
    bool quoted;
    bool escaped; // holds escapes that csv_unescape takes out
} csv_field;

typedef struct csv_record {
    size_t begin;
    size_t end;          // without the line end
    size_t next;         // where the next record begins
    uint64_t line_feeds; // within the record and its line end
    size_t field_count;  // more than were stored when the splitter has less room
    csv_field *fields;
    // of a malformed record:
    const char *problem;
    size_t problem_at;
    size_t problem_field; // 0-based; SIZE_MAX: the record as a whole
} csv_record;

typedef enum csv_split {
    CSV_SPLIT_RECORD,
    CSV_SPLIT_PARTIAL,   // the bytes end within the record, and more follow
    CSV_SPLIT_MALFORMED, // problem and problem_at are set, and field_count counts those before
    CSV_SPLIT_END,       // no bytes are left
} csv_split;

typedef struct csv_splitter {
    csv_dialect dialect;
    const uint8_t *bytes;
    size_t len;
    bool is_last; // nothing follows the bytes
    csv_field *fields;
    size_t field_capacity;
    size_t scanned;    // marks before here have been found ...
    size_t mark_index; // ... and those before this one have been used
    size_t mark_count;
    uint32_t marks[CSV_BLOCK_BYTES]; // positions in `bytes`
} csv_splitter;

// No bytes yet, and no room for fields: the caller sets `fields` and `field_capacity`.
void csv_splitter_init(csv_splitter *splitter, const csv_dialect *dialect);
// Looks at other bytes from now on (fewer than 4 GiB).
void csv_splitter_set(csv_splitter *splitter, const uint8_t *bytes, size_t len, bool is_last);
// Forgets the marks, so that the next record may begin anywhere, at `begin`.
void csv_splitter_seek(csv_splitter *splitter, size_t begin);
// The record at `begin`, which is where the last one said that the next begins, or was sought.
csv_split csv_splitter_next(csv_splitter *splitter, size_t begin, csv_record *ret_record);

// Takes the escapes out of a field of `len` bytes. Returns how many bytes are in `out`.
size_t csv_unescape(const csv_dialect *dialect, const uint8_t *restrict field, size_t len,
                    uint8_t *restrict out);

#endif
