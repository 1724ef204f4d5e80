#include "base/alloc.h"
#include "column/value.h"

struct tarn_chunk_builder {
    const tarn_alloc *alloc;
    size_t column_count;
    tarn_vector *columns; // flat, with room for TARN_CHUNK_ROWS; always with their bitmaps
    tarn_vector *views;   // what the chunk shows: columns without nulls show no bitmap
    bool *has_nulls;      // per column
    uint8_t *kinds;
    bool has_kinds; // a row that is not an insert
    size_t row_count;
    tarn_chunk chunk;
    tarn_arena builder_arena; // the arrays above
    tarn_arena bytes_arena;   // bytes of the strings so far
};

static tarn_status init_columns(tarn_chunk_builder *builder, const tarn_schema *schema,
                                tarn_error *err) {
    tarn_arena *arena = &builder->builder_arena;
    builder->column_count = schema->field_count;
    builder->columns = tarn_arena_new(arena, tarn_vector, schema->field_count);
    builder->views = tarn_arena_new(arena, tarn_vector, schema->field_count);
    builder->has_nulls = tarn_arena_new(arena, bool, schema->field_count);
    builder->kinds = tarn_arena_new(arena, uint8_t, TARN_CHUNK_ROWS);
    if (builder->columns == NULL || builder->views == NULL || builder->has_nulls == NULL ||
        builder->kinds == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a chunk of %zu columns",
                         schema->field_count);
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        tarn_vector *column = &builder->columns[i];
        TARN_TRY(
            tarn_vector_init_flat(column, schema->fields[i].type, TARN_CHUNK_ROWS, arena, err));
        TARN_TRY(tarn_vector_make_validity(column, TARN_CHUNK_ROWS, arena, err));
    }
    return TARN_OK;
}

tarn_status tarn_chunk_builder_new(const tarn_alloc *alloc, const tarn_schema *schema,
                                   tarn_chunk_builder **ret_builder, tarn_error *err) {
    tarn_chunk_builder *builder = tarn_alloc_new(alloc, tarn_chunk_builder, 1);
    if (builder == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a chunk builder");
    builder->alloc = alloc;
    tarn_arena_init(&builder->builder_arena, alloc, SIZE_MAX);
    tarn_arena_init(&builder->bytes_arena, alloc, SIZE_MAX);
    tarn_status status = init_columns(builder, schema, err);
    if (status == TARN_OK) {
        *ret_builder = builder;
        builder = NULL;
    }
    tarn_chunk_builder_free(builder);
    return status;
}

void tarn_chunk_builder_free(tarn_chunk_builder *builder) {
    if (builder == NULL) return;
    const tarn_alloc *alloc = builder->alloc;
    tarn_arena_reset(&builder->bytes_arena);
    tarn_arena_reset(&builder->builder_arena);
    tarn_alloc_free(alloc, builder, 1);
}

static tarn_status append_value(tarn_chunk_builder *builder, size_t column_index, tarn_value value,
                                tarn_error *err) {
    tarn_vector *column = &builder->columns[column_index];
    tarn_assert(value.is_null || value.type.id == column->type.id);
    if (!value.is_null && tarn_type_is_string(value.type)) {
        if (value.bytes.len > UINT32_MAX) {
            return tarn_fail(err, TARN_UNSUPPORTED, "a value of %zu bytes is longer than 4 GiB",
                             value.bytes.len);
        }
        if (value.bytes.len > TARN_STRING_INLINE_BYTES) {
            TARN_TRY(tarn_value_copy(value, &builder->bytes_arena, &value, err));
        }
    }
    tarn_vector_set(column, builder->row_count, value);
    return TARN_OK;
}

tarn_status tarn_chunk_builder_append(tarn_chunk_builder *builder, const tarn_value *values,
                                      tarn_row_kind kind, tarn_error *err) {
    tarn_assert(!tarn_chunk_builder_is_full(builder));
    for (size_t i = 0; i < builder->column_count; i++) {
        TARN_TRY(append_value(builder, i, values[i], err));
    }
    for (size_t i = 0; i < builder->column_count; i++) builder->has_nulls[i] |= values[i].is_null;
    builder->kinds[builder->row_count] = (uint8_t)kind;
    builder->has_kinds |= kind != TARN_ROW_INSERT;
    builder->row_count++;
    return TARN_OK;
}

bool tarn_chunk_builder_is_full(const tarn_chunk_builder *builder) {
    return builder->row_count == TARN_CHUNK_ROWS;
}

size_t tarn_chunk_builder_count(const tarn_chunk_builder *builder) {
    return builder->row_count;
}

const tarn_chunk *tarn_chunk_builder_chunk(tarn_chunk_builder *builder) {
    for (size_t i = 0; i < builder->column_count; i++) {
        builder->views[i] = builder->columns[i];
        if (!builder->has_nulls[i]) builder->views[i].validity = NULL;
    }
    builder->chunk = (tarn_chunk){.row_count = builder->row_count,
                                  .column_count = builder->column_count,
                                  .columns = builder->views,
                                  .kinds = builder->has_kinds ? builder->kinds : NULL};
    return &builder->chunk;
}

void tarn_chunk_builder_clear(tarn_chunk_builder *builder) {
    tarn_arena_clear(&builder->bytes_arena);
    builder->row_count = 0;
    builder->has_kinds = false;
    for (size_t i = 0; i < builder->column_count; i++) builder->has_nulls[i] = false;
}
