// column_reader.h - one column of a row group as vectors, across its pages.
//
//     parquet_column_reader_start(reader, chunk, row_count, limit, err);   // per row group
//     parquet_column_reader_skip(reader, rows, err);
//     parquet_column_reader_read(reader, rows, &vector, err);
//
// Ownership: a vector is valid until the next call. Strings view page memory, a dictionary or the
//            reader's arena, all of which live until then.
#ifndef TARN_FORMAT_PARQUET_COLUMN_READER_H
#define TARN_FORMAT_PARQUET_COLUMN_READER_H

#include "format/parquet/delta.h"
#include "format/parquet/hybrid.h"
#include "format/parquet/pages.h"
#include "format/parquet/types.h"

// A data page that is being decoded.
typedef struct parquet_page {
    int32_t encoding;
    uint32_t rows_left; // levels not yet taken
    bool has_levels;
    bool has_started;      // the values' own headers have been read
    tarn_slice values;     // plain: what is left; others: where their streams start
    parquet_hybrid levels; // one bit per row: 1 = not null
    parquet_hybrid codes;  // dictionary indices, or RLE booleans
    parquet_delta numbers; // values, lengths of strings, or lengths of suffixes
    parquet_delta prefixes;
    tarn_string previous; // delta byte arrays: the value before the next
    size_t position;      // plain booleans: bit; byte stream split: value
    size_t split_count;   // byte stream split: values in the page
} parquet_page;

// Page memory that vectors may view.
typedef struct parquet_page_memory {
    struct parquet_page_memory *next;
    tarn_buffer bytes;
} parquet_page_memory;

typedef struct parquet_column_reader {
    const tarn_alloc *alloc;
    const parquet_column *column;
    tarn_type type;
    parquet_conversion conversion;
    bool is_string; // of the vectors: text, bytea
    bool flat_strings;
    parquet_pages pages;

    // the row group
    uint64_t rows_left;
    parquet_page page;
    bool is_page_viewed; // by strings of the current vector
    bool has_dictionary;
    uint32_t dictionary_count;
    tarn_dictionary *dictionary;   // of strings
    tarn_buffer dictionary_values; // of other types: converted already

    parquet_page_memory *current; // of `page`
    parquet_page_memory *held;    // viewed by the current vector
    parquet_page_memory *spare;
    tarn_buffer level_bytes;    // ancient BIT_PACKED levels, turned around
    tarn_arena bytes_arena;     // strings that are put together, per vector
    tarn_buffer previous_bytes; // of page.previous, when it came from the arena

    // One vector's worth each, and one value more: spreading values over nulls reads one ahead.
    // Those that the column has no use for are NULL.
    tarn_arena *arena;
    uint8_t *values;
    uint8_t *dense;    // values without gaps, before nulls are put between them
    uint8_t *stored;   // before conversion
    uint32_t *codes;   // of a dictionary; the vector's indices
    uint64_t *numbers; // of the delta encodings; made when a page needs them
    uint64_t *prefix_lens;
    uint64_t *validity;
} parquet_column_reader;

typedef struct parquet_column_request {
    const tarn_alloc *alloc;
    tarn_arena *arena; // of the fixed buffers; outlives the reader
    tarn_object *object;
    const parquet_column *column;
    tarn_type type;
    bool flat_strings;
    size_t window_bytes; // of the file to read at once
} parquet_column_request;

TARN_MUST_USE tarn_status parquet_column_reader_init(parquet_column_reader *reader,
                                                     const parquet_column_request *request,
                                                     tarn_error *err);
void parquet_column_reader_free(parquet_column_reader *reader);

TARN_MUST_USE tarn_status parquet_column_reader_start(parquet_column_reader *reader,
                                                      const parquet_chunk_meta *chunk,
                                                      uint64_t row_count, uint64_t limit_offset,
                                                      tarn_error *err);
TARN_MUST_USE tarn_status parquet_column_reader_skip(parquet_column_reader *reader,
                                                     uint64_t row_count, tarn_error *err);
// row_count is at most TARN_CHUNK_ROWS and what is left of the row group.
TARN_MUST_USE tarn_status parquet_column_reader_read(parquet_column_reader *reader,
                                                     size_t row_count, tarn_vector *ret_vector,
                                                     tarn_error *err);

// ---- values.c: the decoders ----

// The next `count` non-null values of the current page, at `out` in the layout of the vector's
// type; `reader->page.rows_left` has been checked.
TARN_MUST_USE tarn_status parquet_values_decode(parquet_column_reader *reader, size_t count,
                                                uint8_t *out, tarn_error *err);
TARN_MUST_USE tarn_status parquet_values_skip(parquet_column_reader *reader, size_t count,
                                              tarn_error *err);
// Dictionary pages: the next `count` indices, checked against the dictionary.
TARN_MUST_USE tarn_status parquet_values_codes(parquet_column_reader *reader, size_t count,
                                               uint32_t *out, tarn_error *err);
bool parquet_page_is_coded(const parquet_page *page);

// ---- strings.c ----

// Takes `count` byte arrays in PLAIN form from the front of *bytes; views them.
TARN_MUST_USE tarn_status parquet_strings_plain(tarn_slice *bytes, size_t count, bool is_text,
                                                tarn_string *out, tarn_error *err);
TARN_MUST_USE tarn_status parquet_strings_skip_plain(tarn_slice *bytes, size_t count,
                                                     tarn_error *err);
// The next `count` strings of a page of DELTA_LENGTH_BYTE_ARRAY and of DELTA_BYTE_ARRAY.
TARN_MUST_USE tarn_status parquet_strings_delta_length(parquet_column_reader *reader, size_t count,
                                                       tarn_string *out, tarn_error *err);
TARN_MUST_USE tarn_status parquet_strings_delta(parquet_column_reader *reader, size_t count,
                                                tarn_string *out, tarn_error *err);

#endif
