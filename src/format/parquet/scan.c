#include "base/alloc.h"
#include "base/bitmap.h"
#include "format/parquet/column_reader.h"
#include "format/parquet/file.h"

// Each column reads ahead this much; the columns of wide tables share what sixteen may have.
#define WINDOW_BYTES     TARN_TUNABLE((size_t)256 << 10, (size_t)64)
#define WINDOW_BYTES_MIN TARN_TUNABLE((size_t)16 << 10, (size_t)8)

static size_t window_bytes(size_t column_count) {
    if (column_count <= 16) return WINDOW_BYTES;
    size_t shared = 16 * WINDOW_BYTES / column_count;
    return shared < WINDOW_BYTES_MIN ? WINDOW_BYTES_MIN : shared;
}

struct tarn_parquet_scan {
    const tarn_alloc *alloc;
    tarn_parquet_file *file;
    tarn_arena arena; // everything below
    parquet_column_reader *readers;
    size_t reader_count;
    tarn_vector *vectors;
    uint64_t *row_groups; // bitmap; NULL: all
    uint64_t first_row;
    tarn_chunk chunk;

    size_t next_group;
    size_t group;            // the current one
    uint64_t group_row;      // of its next row, counted in the file
    uint64_t group_end;      // of its last row
    uint64_t next_group_row; // the first row of next_group
    bool has_failed;
};

static tarn_status copy_options(tarn_parquet_scan *scan, const tarn_parquet_scan_options *options,
                                tarn_error *err) {
    scan->first_row = options->first_row;
    scan->readers = tarn_arena_new(&scan->arena, parquet_column_reader, options->column_count);
    scan->vectors = tarn_arena_new(&scan->arena, tarn_vector, options->column_count);
    size_t word_count = TARN_BITMAP_WORDS(scan->file->footer.row_group_count);
    scan->row_groups = tarn_arena_new(&scan->arena, uint64_t, word_count);
    if (scan->readers == NULL || scan->vectors == NULL || scan->row_groups == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "scan of %zu columns", options->column_count);
    }
    if (options->row_groups == NULL) {
        scan->row_groups = NULL;
    } else if (word_count > 0) {
        memcpy(scan->row_groups, options->row_groups, word_count * sizeof(uint64_t));
    }
    return TARN_OK;
}

static tarn_status open_readers(tarn_parquet_scan *scan, const tarn_parquet_scan_options *options,
                                tarn_error *err) {
    const tarn_parquet_file *file = scan->file;
    for (size_t i = 0; i < options->column_count; i++) {
        size_t index = options->columns[i];
        if (index >= file->schema.field_count) {
            return tarn_fail(err, TARN_INVALID, "there is no column %zu, only %zu", index,
                             file->schema.field_count);
        }
        const parquet_column *column = &file->columns[index];
        const parquet_column_request request = {
            .alloc = scan->alloc,
            .arena = &scan->arena,
            .object = file->object,
            .column = column,
            .type = options->types == NULL ? column->type : options->types[i],
            .flat_strings = options->flat_strings,
            .window_bytes = window_bytes(options->column_count),
        };
        TARN_TRY(parquet_column_reader_init(&scan->readers[i], &request, err));
        scan->reader_count++;
    }
    return TARN_OK;
}

static void prefix_file(const tarn_parquet_file *file, tarn_error *err) {
    tarn_error_prefix(
        err, "file '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(tarn_object_name(file->object)));
}

tarn_status tarn_parquet_scan_new(tarn_parquet_file *file, const tarn_parquet_scan_options *options,
                                  tarn_parquet_scan **ret_scan, tarn_error *err) {
    tarn_parquet_scan *scan = tarn_alloc_new(file->alloc, tarn_parquet_scan, 1);
    if (scan == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a scan");
    scan->alloc = file->alloc;
    scan->file = file;
    tarn_arena_init(&scan->arena, file->alloc, SIZE_MAX);
    tarn_status status = copy_options(scan, options, err);
    if (status == TARN_OK) status = open_readers(scan, options, err);
    if (status != TARN_OK) {
        prefix_file(file, err);
        tarn_parquet_scan_free(scan);
        return status;
    }
    *ret_scan = scan;
    return TARN_OK;
}

void tarn_parquet_scan_free(tarn_parquet_scan *scan) {
    if (scan == NULL) return;
    for (size_t i = 0; i < scan->reader_count; i++) parquet_column_reader_free(&scan->readers[i]);
    tarn_arena_reset(&scan->arena);
    tarn_alloc_free(scan->alloc, scan, 1);
}

// ---- row groups ----

static tarn_status check_chunk(const parquet_column *column, const parquet_chunk_meta *chunk,
                               uint64_t row_count, tarn_error *err) {
    if (chunk->is_encrypted) return tarn_fail(err, TARN_UNSUPPORTED, "encrypted column");
    if (chunk->is_elsewhere) return tarn_fail(err, TARN_UNSUPPORTED, "column in another file");
    if (!chunk->has_meta) return tarn_fail(err, TARN_CORRUPT, "chunk is not described");
    if (chunk->type != (int32_t)column->physical) {
        return tarn_fail(err, TARN_CORRUPT, "chunk has type %d, the schema says %d", chunk->type,
                         (int)column->physical);
    }
    if (chunk->value_count < 0 || (uint64_t)chunk->value_count != row_count) {
        return tarn_fail(err, TARN_CORRUPT, "chunk has %lld values for %llu rows",
                         (long long)chunk->value_count, (unsigned long long)row_count);
    }
    return TARN_OK;
}

static tarn_status start_group(tarn_parquet_scan *scan, tarn_error *err) {
    const parquet_row_group *group = &scan->file->footer.row_groups[scan->group];
    uint64_t row_count = (uint64_t)group->row_count;
    for (size_t i = 0; i < scan->reader_count; i++) {
        const parquet_column *column = scan->readers[i].column;
        const parquet_chunk_meta *chunk = &group->chunks[column->leaf];
        tarn_status status = check_chunk(column, chunk, row_count, err);
        if (status != TARN_OK) {
            tarn_error_prefix(err, "column '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(column->name));
            return status;
        }
        TARN_TRY(parquet_column_reader_start(&scan->readers[i], chunk, row_count,
                                             scan->file->footer_offset, err));
    }
    if (scan->first_row <= scan->group_row) return TARN_OK;
    for (size_t i = 0; i < scan->reader_count; i++) {
        TARN_TRY(
            parquet_column_reader_skip(&scan->readers[i], scan->first_row - scan->group_row, err));
    }
    scan->group_row = scan->first_row;
    return TARN_OK;
}

static bool wants_group(const tarn_parquet_scan *scan) {
    return scan->group_row < scan->group_end && scan->group_end > scan->first_row &&
           (scan->row_groups == NULL || tarn_bitmap_get(scan->row_groups, scan->group));
}

// Moves to the next row group that has rows to give; *ret_found is false at the end.
static tarn_status next_group(tarn_parquet_scan *scan, bool *ret_found, tarn_error *err) {
    *ret_found = false;
    while (!*ret_found && scan->next_group < scan->file->footer.row_group_count) {
        scan->group = scan->next_group++;
        scan->group_row = scan->next_group_row;
        scan->group_end = scan->group_row + tarn_parquet_row_group_rows(scan->file, scan->group);
        scan->next_group_row = scan->group_end;
        *ret_found = wants_group(scan);
        if (*ret_found) TARN_TRY(start_group(scan, err));
    }
    return TARN_OK;
}

static tarn_status next_chunk(tarn_parquet_scan *scan, const tarn_chunk **ret_chunk,
                              uint64_t *ret_first_row, tarn_error *err) {
    if (scan->group_row == scan->group_end) {
        bool found;
        TARN_TRY(next_group(scan, &found, err));
        if (!found) {
            scan->group_row = scan->group_end;
            *ret_chunk = NULL;
            return TARN_OK;
        }
    }
    uint64_t left = scan->group_end - scan->group_row;
    size_t row_count = left < TARN_CHUNK_ROWS ? (size_t)left : TARN_CHUNK_ROWS;
    for (size_t i = 0; i < scan->reader_count; i++) {
        TARN_TRY(parquet_column_reader_read(&scan->readers[i], row_count, &scan->vectors[i], err));
    }
    scan->chunk = (tarn_chunk){
        .row_count = row_count, .column_count = scan->reader_count, .columns = scan->vectors};
    if (ret_first_row != NULL) *ret_first_row = scan->group_row;
    scan->group_row += row_count;
    *ret_chunk = &scan->chunk;
    return TARN_OK;
}

tarn_status tarn_parquet_scan_next(tarn_parquet_scan *scan, const tarn_chunk **ret_chunk,
                                   uint64_t *ret_first_row, tarn_error *err) {
    tarn_status status;
    if (scan->has_failed) {
        status = tarn_fail(err, TARN_INVALID, "scan goes on after it failed");
    } else {
        status = next_chunk(scan, ret_chunk, ret_first_row, err);
    }
    if (status == TARN_OK) return TARN_OK;
    // The columns are no longer at the same row.
    scan->has_failed = true;
    tarn_error_prefix(err, "row group %zu: ", scan->group);
    prefix_file(scan->file, err);
    return status;
}
