// column_writer.h - one column of the row group that is being written: rows in, pages out.
//
// Rows are kept in memory until the row group is full, as dictionary codes while that pays and as
// stored values otherwise; only then is it decided how they are encoded.
#ifndef TARN_FORMAT_PARQUET_COLUMN_WRITER_H
#define TARN_FORMAT_PARQUET_COLUMN_WRITER_H

#include "format/parquet/bounds.h"
#include "format/parquet/dictionary.h"
#include "io/io.h"

// ---- what the footer and the page index say of what was written ----

typedef struct parquet_page_entry {
    uint64_t offset;
    uint32_t bytes; // with the header
    uint64_t first_row;
    int64_t null_count;
    bool has_values;
    bool has_bounds;
    tarn_slice min; // as stored
    tarn_slice max;
} parquet_page_entry;

typedef struct parquet_chunk_entry {
    int32_t encoding; // of the data pages
    uint64_t row_count;
    uint64_t uncompressed_bytes;
    uint64_t compressed_bytes;
    uint64_t data_page_offset;
    uint64_t dictionary_page_offset; // 0: there is none
    int64_t null_count;
    int64_t nan_count;
    bool has_nan_count;
    parquet_stored_bound min;
    parquet_stored_bound max;
    parquet_page_entry *pages;
    size_t page_count;
    int32_t boundary_order;
    uint64_t column_index_offset;
    uint32_t column_index_bytes; // 0: there is none
    uint64_t offset_index_offset;
    uint32_t offset_index_bytes;
} parquet_chunk_entry;

// ---- where pages go ----

typedef struct parquet_sink {
    tarn_store_writer *out;
    tarn_arena *arena; // of the entries: lives as long as the writer
    tarn_codec codec;
    int level;
    size_t page_bytes;
    uint32_t page_rows;
    tarn_buffer page; // scratch, reused from page to page
    tarn_buffer packed;
    tarn_buffer header;
    tarn_buffer values;
    tarn_buffer bits;
} parquet_sink;

// ---- a column ----

typedef struct parquet_column_writer {
    const tarn_alloc *alloc;
    parquet_storage storage;
    bool may_use_dictionary;

    // the row group
    uint64_t row_count;
    uint64_t value_count; // not null
    tarn_buffer validity; // words, a bit per row; only of columns that may be null
    bool uses_dictionary;
    parquet_dictionary dictionary;
    tarn_buffer codes;  // with a dictionary: one per value
    tarn_buffer plain;  // without: PLAIN form, booleans as bytes
    uint64_t mapped_id; // codes of the last dictionary vector's dictionary, 0: none
    tarn_buffer map;    // one per its value, NO_CODE: not met yet

    // the file
    parquet_bounds file_bounds; // text lives in the writer's arena
    uint64_t file_null_count;
} parquet_column_writer;

// One chunk's worth of room, shared by the columns of a writer.
typedef struct parquet_append_scratch {
    uint32_t *rows;
    uint32_t *codes;
    uint8_t *dense;
    uint8_t *stored;
} parquet_append_scratch;

TARN_MUST_USE tarn_status parquet_column_writer_init(parquet_column_writer *writer,
                                                     const tarn_alloc *alloc,
                                                     const tarn_field *field,
                                                     const tarn_parquet_column_options *options,
                                                     size_t dictionary_bytes, tarn_error *err);
void parquet_column_writer_free(parquet_column_writer *writer);
// Adds the rows named by `rows`, at most TARN_CHUNK_ROWS; NULL means 0 to count.
TARN_MUST_USE tarn_status parquet_column_writer_append(parquet_column_writer *writer,
                                                       const tarn_vector *vector,
                                                       const uint32_t *rows, size_t count,
                                                       const parquet_append_scratch *scratch,
                                                       tarn_error *err);
// Gives the dictionary up: from here on values are kept in PLAIN form. False when memory is
// exhausted.
TARN_MUST_USE bool parquet_column_writer_give_up_dictionary(parquet_column_writer *writer);
// Memory that the row group takes, and about how much of it will be written before compression.
size_t parquet_column_writer_memory_bytes(const parquet_column_writer *writer);
size_t parquet_column_writer_encoded_bytes(const parquet_column_writer *writer);

// chunk_writer.c: writes the row group's chunk, and forgets its rows.
TARN_MUST_USE tarn_status parquet_column_writer_flush(parquet_column_writer *writer,
                                                      parquet_sink *sink,
                                                      parquet_chunk_entry *ret_entry,
                                                      tarn_error *err);

#endif
