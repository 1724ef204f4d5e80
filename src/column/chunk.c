#include "column/column.h"
#include "column/gather.h"

const char *tarn_row_kind_name(tarn_row_kind kind) {
    switch (kind) {
    case TARN_ROW_INSERT: return "+I";
    case TARN_ROW_UPDATE_BEFORE: return "-U";
    case TARN_ROW_UPDATE_AFTER: return "+U";
    case TARN_ROW_DELETE: return "-D";
    }
    return "?";
}

// A copy of the named rows of a plain array; NULL stays NULL.
static tarn_status gather_array(const void *source, size_t width, const tarn_chunk *chunk,
                                tarn_arena *arena, const void **ret_copy, tarn_error *err) {
    *ret_copy = NULL;
    if (source == NULL) return TARN_OK;
    void *copy = tarn_arena_alloc_raw(arena, width, chunk->selected_count);
    if (copy == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a chunk of %zu rows",
                         chunk->selected_count);
    }
    column_gather(copy, source, chunk->selection, chunk->selected_count, width);
    *ret_copy = copy;
    return TARN_OK;
}

tarn_status tarn_chunk_compact(const tarn_chunk *chunk, tarn_arena *arena, tarn_chunk *ret_chunk,
                               tarn_error *err) {
    if (chunk->selection == NULL) {
        *ret_chunk = *chunk;
        return TARN_OK;
    }
    tarn_vector *columns = tarn_arena_new_raw(arena, tarn_vector, chunk->column_count);
    if (columns == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a chunk of %zu columns",
                         chunk->column_count);
    }
    for (size_t i = 0; i < chunk->column_count; i++) {
        TARN_TRY(tarn_vector_gather(&chunk->columns[i], chunk->selection, chunk->selected_count,
                                    arena, &columns[i], err));
    }
    const void *kinds = NULL;
    const void *watermarks = NULL;
    TARN_TRY(gather_array(chunk->kinds, sizeof *chunk->kinds, chunk, arena, &kinds, err));
    TARN_TRY(
        gather_array(chunk->watermarks, sizeof *chunk->watermarks, chunk, arena, &watermarks, err));
    *ret_chunk = (tarn_chunk){.row_count = chunk->selected_count,
                              .column_count = chunk->column_count,
                              .columns = columns,
                              .kinds = kinds,
                              .watermarks = watermarks};
    return TARN_OK;
}
