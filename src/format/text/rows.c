#include "format/text/rows.h"

#include "format/text/parse.h"

#define MEMORY_BYTES SIZE_MAX // bounded by the schema; values by the length of their records

tarn_status text_rows_init(text_rows *rows, const tarn_alloc *alloc, const tarn_schema *schema,
                           tarn_error *err) {
    *rows = (text_rows){.schema = schema};
    tarn_arena_init(&rows->memory, alloc, MEMORY_BYTES);
    tarn_arena_init(&rows->arena, alloc, MEMORY_BYTES);
    size_t count = schema->field_count;
    rows->chunk.column_count = count;
    rows->chunk.columns = tarn_arena_new(&rows->memory, tarn_vector, count);
    rows->validity = tarn_arena_new(&rows->memory, uint64_t *, count);
    rows->widths = tarn_arena_new(&rows->memory, size_t, count);
    if (rows->chunk.columns == NULL || rows->validity == NULL || rows->widths == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu columns", count);
    }
    for (size_t i = 0; i < count; i++) {
        tarn_vector *vector = &rows->chunk.columns[i];
        rows->widths[i] = tarn_type_width(schema->fields[i].type);
        TARN_TRY(tarn_vector_init_flat(vector, schema->fields[i].type, TARN_CHUNK_ROWS,
                                       &rows->memory, err));
        // Values under nulls are read by vectorised code: they shall be the same in every run.
        memset(vector->data, 0, rows->widths[i] * TARN_CHUNK_ROWS);
        TARN_TRY(tarn_vector_make_validity(vector, TARN_CHUNK_ROWS, &rows->memory, err));
        rows->validity[i] = vector->validity;
        vector->validity = NULL;
    }
    return TARN_OK;
}

void text_rows_reset(text_rows *rows) {
    if (rows->schema == NULL) return;
    tarn_arena_reset(&rows->memory);
    tarn_arena_reset(&rows->arena);
    *rows = (text_rows){0};
}

void text_rows_clear(text_rows *rows) {
    for (size_t i = 0; i < rows->chunk.column_count; i++) {
        if (rows->chunk.columns[i].validity == NULL) continue;
        memset(rows->validity[i], 0xFF, TARN_BITMAP_WORDS(TARN_CHUNK_ROWS) * sizeof(uint64_t));
        rows->chunk.columns[i].validity = NULL;
    }
    rows->chunk.row_count = 0;
    tarn_arena_clear(&rows->arena);
}

tarn_status text_rows_put(text_rows *rows, size_t column, tarn_slice text, tarn_error *err) {
    tarn_vector *vector = &rows->chunk.columns[column];
    size_t row = rows->chunk.row_count;
    if (vector->validity != NULL) tarn_bitmap_set(vector->validity, row);
    if (text_parse(vector->type, text, (uint8_t *)vector->data + row * rows->widths[column])) {
        return TARN_OK;
    }
    tarn_value value;
    TARN_TRY(tarn_value_parse(vector->type, text, &rows->arena, &value, err));
    tarn_vector_set(vector, row, value);
    return TARN_OK;
}

tarn_status text_rows_put_null(text_rows *rows, size_t column, tarn_error *err) {
    if (rows->schema->fields[column].not_null) {
        tarn_status status = tarn_fail(err, TARN_INVALID, "a null in a column that is NOT NULL");
        tarn_error_locate(err, "23502", 0);
        return status;
    }
    tarn_vector *vector = &rows->chunk.columns[column];
    vector->validity = rows->validity[column];
    size_t row = rows->chunk.row_count;
    tarn_bitmap_unset(vector->validity, row);
    memset((uint8_t *)vector->data + row * rows->widths[column], 0, rows->widths[column]);
    return TARN_OK;
}
