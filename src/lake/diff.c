#include "lake/diff.h"

#include "base/alloc.h"
#include "lake/bytemap.h"

struct lake_diff {
    tarn_table *table;
    const tarn_alloc *alloc;
    lake_data_reader_options options;
    const lake_run *before;
    const lake_run *after;
    tarn_arena arena;  // as long as the diff
    lake_bytemap rows; // the old rows
    uint64_t *counts;  // by number: how many of them the new files have not shown yet
    size_t capacity;
    tarn_buffer row;
    bool is_counted;  // the old rows are in
    size_t next_file; // of `after`
    lake_data_reader *reader;
    size_t next_removed; // row number: where the removed rows go on
    tarn_arena batch_arena;
    tarn_chunk output;
    uint32_t *selection;
    uint8_t *kinds;
};

tarn_status lake_diff_new(tarn_table *table, const lake_run *before, const lake_run *after,
                          const lake_data_reader_options *options, lake_diff **ret_diff,
                          tarn_error *err) {
    const tarn_alloc *alloc = options->alloc == NULL ? table->alloc : options->alloc;
    lake_diff *diff = tarn_alloc_new(alloc, lake_diff, 1);
    if (diff == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a difference");
    diff->table = table;
    diff->alloc = alloc;
    diff->options = *options;
    diff->before = before;
    diff->after = after;
    diff->row.alloc = alloc;
    tarn_arena_init(&diff->arena, alloc, SIZE_MAX);
    tarn_arena_init(&diff->batch_arena, alloc, SIZE_MAX);
    lake_bytemap_init(&diff->rows, &diff->arena);
    diff->selection = tarn_arena_new(&diff->arena, uint32_t, TARN_CHUNK_ROWS);
    diff->kinds = tarn_arena_new(&diff->arena, uint8_t, TARN_CHUNK_ROWS);
    if (diff->selection == NULL || diff->kinds == NULL) {
        lake_diff_free(diff);
        return tarn_fail(err, TARN_NO_MEMORY, "a difference");
    }
    *ret_diff = diff;
    return TARN_OK;
}

void lake_diff_free(lake_diff *diff) {
    if (diff == NULL) return;
    lake_data_reader_free(diff->reader);
    tarn_buffer_free(&diff->row);
    tarn_arena_reset(&diff->batch_arena);
    tarn_arena_reset(&diff->arena);
    tarn_alloc_free(diff->alloc, diff, 1);
}

static tarn_status encode(lake_diff *diff, const tarn_chunk *chunk, size_t row, tarn_error *err) {
    tarn_buffer_clear(&diff->row);
    return tarn_row_encode(chunk->columns, chunk->column_count, row, &diff->row, err);
}

static tarn_status count_row(lake_diff *diff, const tarn_chunk *chunk, size_t row,
                             tarn_error *err) {
    size_t number = 0;
    TARN_TRY(encode(diff, chunk, row, err));
    TARN_TRY(lake_bytemap_insert(&diff->rows, tarn_buffer_slice(&diff->row), &number, NULL, err));
    if (number >= diff->capacity) {
        size_t capacity = diff->capacity == 0 ? 256 : diff->capacity * 2;
        uint64_t *grown = tarn_arena_new(&diff->arena, uint64_t, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu rows", capacity);
        if (number > 0) memcpy(grown, diff->counts, number * sizeof *grown);
        diff->counts = grown;
        diff->capacity = capacity;
    }
    diff->counts[number]++;
    return TARN_OK;
}

static tarn_status open_file(lake_diff *diff, const lake_run_file *file, tarn_error *err) {
    lake_data_reader_free(diff->reader);
    diff->reader = NULL;
    lake_data_reader_options options = diff->options;
    options.deleted = file->deleted;
    return lake_data_reader_new(diff->table, file->entry, &options, &diff->reader, err);
}

static tarn_status count_old_rows(lake_diff *diff, tarn_error *err) {
    for (size_t f = 0; f < diff->before->file_count; f++) {
        TARN_TRY(open_file(diff, &diff->before->files[f], err));
        for (;;) {
            const tarn_chunk *chunk = NULL;
            TARN_TRY(lake_data_reader_next(diff->reader, &chunk, NULL, err));
            if (chunk == NULL) break;
            for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
                TARN_TRY(count_row(diff, chunk, tarn_chunk_row(chunk, i), err));
            }
        }
    }
    lake_data_reader_free(diff->reader);
    diff->reader = NULL;
    diff->is_counted = true;
    return TARN_OK;
}

// Selects the rows of a new file's chunk that no old row accounts for.
static tarn_status select_added(lake_diff *diff, const tarn_chunk *chunk, tarn_error *err) {
    diff->output = *chunk;
    diff->output.selection = diff->selection;
    diff->output.selected_count = 0;
    diff->output.kinds = diff->kinds;
    memset(diff->kinds, TARN_ROW_INSERT, TARN_CHUNK_ROWS);
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        TARN_TRY(encode(diff, chunk, row, err));
        size_t number = lake_bytemap_find(&diff->rows, tarn_buffer_slice(&diff->row));
        if (number != LAKE_BYTEMAP_ABSENT && diff->counts[number] > 0) {
            diff->counts[number]--;
        } else {
            diff->selection[diff->output.selected_count++] = (uint32_t)row;
        }
    }
    return TARN_OK;
}

// *ret_found is false when the new files are read.
static tarn_status next_added(lake_diff *diff, bool *ret_found, tarn_error *err) {
    *ret_found = false;
    for (;;) {
        const tarn_chunk *chunk = NULL;
        if (diff->reader != NULL) TARN_TRY(lake_data_reader_next(diff->reader, &chunk, NULL, err));
        if (chunk != NULL) {
            TARN_TRY(select_added(diff, chunk, err));
            if (diff->output.selected_count == 0) continue;
            *ret_found = true;
            return TARN_OK;
        }
        if (diff->next_file == diff->after->file_count) return TARN_OK;
        TARN_TRY(open_file(diff, &diff->after->files[diff->next_file++], err));
    }
}

// The next rows that are gone.
static tarn_status next_removed(lake_diff *diff, bool *ret_found, tarn_error *err) {
    const lake_schema *schema = diff->table->schema;
    size_t width = diff->options.column_count;
    tarn_arena_clear(&diff->batch_arena);
    tarn_vector *columns = tarn_arena_new(&diff->batch_arena, tarn_vector, width);
    if (columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "rows");
    for (size_t c = 0; c < width; c++) {
        tarn_type type = schema->fields[diff->options.columns[c]].type.type;
        TARN_TRY(
            tarn_vector_init_flat(&columns[c], type, TARN_CHUNK_ROWS, &diff->batch_arena, err));
        TARN_TRY(tarn_vector_make_validity(&columns[c], TARN_CHUNK_ROWS, &diff->batch_arena, err));
    }
    size_t count = 0;
    while (count < TARN_CHUNK_ROWS && diff->next_removed < diff->rows.count) {
        if (diff->counts[diff->next_removed] == 0) {
            diff->next_removed++;
            continue;
        }
        diff->counts[diff->next_removed]--;
        tarn_slice bytes = diff->rows.keys[diff->next_removed];
        TARN_TRY(tarn_row_decode(&bytes, columns, width, count, err));
        count++;
    }
    memset(diff->kinds, TARN_ROW_DELETE, TARN_CHUNK_ROWS);
    diff->output = (tarn_chunk){
        .row_count = count, .column_count = width, .columns = columns, .kinds = diff->kinds};
    *ret_found = count > 0;
    return TARN_OK;
}

tarn_status lake_diff_next(lake_diff *diff, const tarn_chunk **ret_chunk, tarn_error *err) {
    bool found = false;
    if (!diff->is_counted) TARN_TRY(count_old_rows(diff, err));
    TARN_TRY(next_added(diff, &found, err));
    if (!found) TARN_TRY(next_removed(diff, &found, err));
    *ret_chunk = found ? &diff->output : NULL;
    return TARN_OK;
}
