// rows.h - the chunk that a reader of text builds row by row, straight into flat vectors.
//
//     text_rows_clear(rows);
//     for each record: for each field: text_rows_put(rows, column, text, err)
//                      or text_rows_put_null(rows, column); then text_rows_end_row(rows)
//
// A row that is not ended is overwritten by the next one. Text values view the text they were made
// from, which therefore stays where it is as long as the chunk is used.
#ifndef TARN_FORMAT_TEXT_ROWS_H
#define TARN_FORMAT_TEXT_ROWS_H

#include "column/column.h"

typedef struct text_rows {
    const tarn_schema *schema;
    tarn_chunk chunk;    // row_count rows are whole
    tarn_arena memory;   // of the vectors; as long as the rows
    tarn_arena arena;    // of the values; cleared with the rows
    uint64_t **validity; // per column, all set unless has_nulls
    size_t *widths;      // per column
} text_rows;

TARN_MUST_USE tarn_status text_rows_init(text_rows *rows, const tarn_alloc *alloc,
                                         const tarn_schema *schema, tarn_error *err);
void text_rows_reset(text_rows *rows); // also of a half-initialised or zeroed one
void text_rows_clear(text_rows *rows);

static inline bool text_rows_is_full(const text_rows *rows) {
    return rows->chunk.row_count == TARN_CHUNK_ROWS;
}
static inline void text_rows_end_row(text_rows *rows) {
    rows->chunk.row_count++;
}

// Stores what `text` says in the row that is being built; as tarn_value_parse, only faster.
TARN_MUST_USE tarn_status text_rows_put(text_rows *rows, size_t column, tarn_slice text,
                                        tarn_error *err);
// TARN_INVALID when the column is NOT NULL.
TARN_MUST_USE tarn_status text_rows_put_null(text_rows *rows, size_t column, tarn_error *err);

#endif
