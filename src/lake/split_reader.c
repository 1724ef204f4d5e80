// split_reader.c - reading the parts of a split, one after the other.
#include "base/alloc.h"
#include "lake/diff.h"
#include "lake/plan.h"

struct tarn_split_reader {
    tarn_table_scan *scan;
    const tarn_alloc *alloc;
    const lake_split *split;
    size_t next_part;
    lake_data_reader *file; // at most one of these three is open
    lake_merge *merge;
    lake_diff *diff;
};

tarn_status tarn_split_reader_new(tarn_table_scan *scan, size_t split, const tarn_alloc *alloc,
                                  tarn_split_reader **ret_reader, tarn_error *err) {
    tarn_assert(split < scan->split_count);
    tarn_split_reader *reader = tarn_alloc_new(alloc, tarn_split_reader, 1);
    if (reader == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a reader");
    *reader = (tarn_split_reader){.scan = scan, .alloc = alloc, .split = &scan->splits[split]};
    *ret_reader = reader;
    return TARN_OK;
}

static void close_part(tarn_split_reader *reader) {
    lake_data_reader_free(reader->file);
    reader->file = NULL;
    lake_merge_free(reader->merge);
    reader->merge = NULL;
    lake_diff_free(reader->diff);
    reader->diff = NULL;
}

static tarn_status open_part(tarn_split_reader *reader, const lake_part *part, tarn_error *err) {
    tarn_table_scan *scan = reader->scan;
    if (part->kind == LAKE_PART_MERGE) {
        lake_merge_options options = {.columns = scan->columns,
                                      .column_count = scan->column_count,
                                      .changes = part->changes,
                                      .min_key = part->min_key,
                                      .max_key = part->max_key,
                                      .key_prune = &scan->key_prune,
                                      .counters = &scan->counters,
                                      .alloc = reader->alloc};
        return lake_merge_new(scan->table, part->runs, part->run_count, &options, &reader->merge,
                              err);
    }
    lake_data_reader_options options = {.columns = scan->columns,
                                        .column_count = scan->column_count,
                                        .counters = &scan->counters,
                                        .alloc = reader->alloc};
    if (part->kind == LAKE_PART_DIFF) {
        return lake_diff_new(scan->table, &part->runs[0], &part->runs[1], &options, &reader->diff,
                             err);
    }
    options.prune = &scan->prune;
    options.deleted = part->runs[0].files[0].deleted;
    options.slice = part->slice;
    options.slice_count = part->slice_count;
    return lake_data_reader_new(scan->table, part->runs[0].files[0].entry, &options, &reader->file,
                                err);
}

static tarn_status next_of_part(tarn_split_reader *reader, const tarn_chunk **ret_chunk,
                                tarn_error *err) {
    *ret_chunk = NULL;
    if (reader->file != NULL) return lake_data_reader_next(reader->file, ret_chunk, NULL, err);
    if (reader->merge != NULL) return lake_merge_next(reader->merge, ret_chunk, err);
    if (reader->diff != NULL) return lake_diff_next(reader->diff, ret_chunk, err);
    return TARN_OK;
}

static tarn_status read_next(tarn_split_reader *reader, const tarn_chunk **ret_chunk,
                             tarn_error *err) {
    const tarn_chunk *chunk = NULL;
    for (;;) {
        TARN_TRY(next_of_part(reader, &chunk, err));
        if (chunk != NULL || reader->next_part == reader->split->part_count) break;
        close_part(reader);
        TARN_TRY(open_part(reader, &reader->split->parts[reader->next_part++], err));
    }
    *ret_chunk = chunk;
    return TARN_OK;
}

tarn_status tarn_split_reader_next(tarn_split_reader *reader, const tarn_chunk **ret_chunk,
                                   tarn_error *err) {
    tarn_status status = read_next(reader, ret_chunk, err);
    if (status != TARN_OK) {
        tarn_error_prefix(
            err, "table '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(reader->scan->table->path));
    }
    return status;
}

void tarn_split_reader_free(tarn_split_reader *reader) {
    if (reader == NULL) return;
    close_part(reader);
    tarn_alloc_free(reader->alloc, reader, 1);
}
