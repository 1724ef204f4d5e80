// footer.h - writing Parquet's structures: page indexes and the footer.
#ifndef TARN_FORMAT_PARQUET_FOOTER_H
#define TARN_FORMAT_PARQUET_FOOTER_H

#include "format/parquet/column_writer.h"

typedef struct parquet_row_group_entry {
    struct parquet_row_group_entry *next;
    parquet_chunk_entry *chunks; // one per column
    uint64_t row_count;
} parquet_row_group_entry;

typedef struct parquet_file_entry {
    tarn_slice root_name;
    const parquet_column_writer *columns;
    size_t column_count;
    parquet_row_group_entry *row_groups;
    size_t row_group_count;
    uint64_t row_count;
    tarn_codec codec;
} parquet_file_entry;

// Appends the thrift struct; false when the buffer cannot grow.
TARN_MUST_USE bool parquet_column_index_encode(const parquet_chunk_entry *chunk, tarn_buffer *out);
TARN_MUST_USE bool parquet_offset_index_encode(const parquet_chunk_entry *chunk, tarn_buffer *out);
TARN_MUST_USE bool parquet_footer_encode(const parquet_file_entry *file, tarn_buffer *out);

// A column index needs bounds of every page that has values.
bool parquet_chunk_has_column_index(const parquet_chunk_entry *chunk);

#endif
