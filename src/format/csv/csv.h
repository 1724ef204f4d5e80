// csv.h - CSV (RFC 4180 and PostgreSQL's COPY ... CSV) to chunks, with exact positions in errors.
//
// A reader pulls bytes from an object, splits records (quotes may span lines), and parses fields
// into the schema's types as tarn_value_parse does. A bad record is reported with its line, column
// and byte offset; the reader can go on behind it.
//
//     tarn_csv_reader_new(alloc, object, schema, &(tarn_csv_options){.header = true}, &reader, err)
//     for (;;) {
//         TARN_TRY(tarn_csv_reader_next(reader, &chunk, &bad, err));
//         if (chunk == NULL) break;
//         ... use the chunk; if (bad.line > 0), keep bad.raw and bad.error ...
//     }
//
// Records:   end at "\n" or "\r\n" outside quotes. A quoted field is quoted as a whole: a quote or
//            a "\r" inside an unquoted field, or text behind a closing quote, is an error, not a
//            guess. A
//            record whose quotes are wrong, or that is longer than the limit, counts as its first
//            line only, because what a stray quote swallows are good records. Empty lines are
//            skipped where there are several columns. A byte order mark at the start is skipped.
// Ownership: a chunk is valid until the next call, its text views the reader's memory. The object
//            and the schema outlive the reader; options are copied, the text in them is not.
// Threads:   one.
// Errors:    a bad record has TARN_INVALID (or TARN_UNSUPPORTED), PostgreSQL's SQLSTATE, and a
//            message with file, line, column and the byte offset of the field. After any other
//            failure, resume with a new reader at the last offset that is known.
#ifndef TARN_FORMAT_CSV_H
#define TARN_FORMAT_CSV_H

#include "column/column.h"
#include "io/io.h"

typedef struct tarn_csv_options {
    bool header;           // the first record names the columns
    bool match_header;     // take columns by the header's names instead of by position; others
                           // that the file has are left out, and none may be missing
    uint8_t delimiter;     // 0: ','
    uint8_t quote;         // 0: '"'
    uint8_t escape;        // 0: same as quote
    tarn_slice null_text;  // an unquoted field equal to this is NULL; default: the empty field
    uint64_t first_offset; // resume at this byte, which must start a record (header already seen)
    uint64_t first_line;   // the line number there; 0: 1
    size_t record_limit_bytes; // 0: 16 MiB; at most 1 GiB
} tarn_csv_options;

// Where a rejected record stood.
typedef struct tarn_bad_record {
    uint64_t line;        // 1-based line where the record starts
    uint64_t column;      // 1-based column (field) that is wrong; 0: the record as a whole
    uint64_t byte_offset; // of the record in the file
    tarn_slice raw;       // the record's bytes, without the line end; valid until the next call
    tarn_error error;     // its message already names file, line, column and byte offset
} tarn_bad_record;

typedef struct tarn_csv_reader tarn_csv_reader;
// Reads the header, if there is one to read: at the object's start, also when resuming with
// match_header.
TARN_MUST_USE tarn_status tarn_csv_reader_new(const tarn_alloc *alloc, tarn_object *object,
                                              const tarn_schema *schema,
                                              const tarn_csv_options *options,
                                              tarn_csv_reader **ret_reader, tarn_error *err);
void tarn_csv_reader_free(tarn_csv_reader *reader); // accepts NULL

// Reads up to TARN_CHUNK_ROWS good records. At a bad one: with `ret_bad` NULL the call fails with
// TARN_INVALID and its message; else the chunk holds the good records before it and *ret_bad
// describes it (*ret_bad is zeroed otherwise; line > 0 tells). Either way the reader is behind it.
// An empty chunk without a bad record is the end: *ret_chunk is NULL.
TARN_MUST_USE tarn_status tarn_csv_reader_next(tarn_csv_reader *reader,
                                               const tarn_chunk **ret_chunk,
                                               tarn_bad_record *ret_bad, tarn_error *err);

// Where the next record starts: what first_offset and first_line take.
uint64_t tarn_csv_reader_offset(const tarn_csv_reader *reader);
uint64_t tarn_csv_reader_line(const tarn_csv_reader *reader);

// Guesses a schema from the header and the first `row_limit` records: boolean, bigint, double,
// date, timestamp, timestamptz (when all have a zone) or text per column. Without a header columns
// are called column1, column2, ... Numbers with leading zeros are text; bad records are passed
// over.
TARN_MUST_USE tarn_status tarn_csv_infer(const tarn_alloc *alloc, tarn_object *object,
                                         const tarn_csv_options *options, size_t row_limit,
                                         tarn_arena *arena, tarn_schema *ret_schema,
                                         tarn_error *err);

// Appends the selected rows as CSV records ("\n" line ends; fields are quoted where needed). `out`
// is unchanged on failure.
TARN_MUST_USE tarn_status tarn_csv_write(const tarn_chunk *chunk, const tarn_csv_options *options,
                                         tarn_buffer *out, tarn_error *err);
TARN_MUST_USE tarn_status tarn_csv_write_header(const tarn_schema *schema,
                                                const tarn_csv_options *options, tarn_buffer *out,
                                                tarn_error *err);

#endif
