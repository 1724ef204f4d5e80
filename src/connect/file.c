// file.c - reads files one after the other, from any position.
//
// Position: version byte 1; little-endian u64 row (parquet) or byte offset (csv, json); u64 line;
// the file's name below the root. The end of the last file has the row (offset) 2^64 - 1. Files
// that appear later are read after a restart if their names come behind the position's.
#include "connect/file.h"

#include "base/alloc.h"
#include "format/json/json.h"
#include "format/parquet/parquet.h"

enum { POSITION_VERSION = 1, POSITION_HEAD_BYTES = 17 };

struct tarn_source_reader {
    tarn_os *os;
    const tarn_alloc *alloc;
    tarn_arena arena; // the reader's lifetime: paths, schema
    tarn_schema schema;
    file_options options;
    file_list files;
    tarn_store *store;
    size_t file;         // the next or open one
    uint64_t offset;     // in it: row or byte of the next record
    uint64_t line;       // csv, json: of the next record; 0: the first
    uint64_t done_bytes; // of the files before
    uint64_t total_bytes;

    // The open file; one reader of the three.
    tarn_object *object;
    tarn_parquet_file *parquet;
    tarn_parquet_scan *scan;
    tarn_csv_reader *csv;
    tarn_json_reader *json;

    tarn_status (*bad)(void *context, const tarn_bad_record *record, tarn_error *err);
    void *bad_context;
};

static void close_file(tarn_source_reader *reader) {
    tarn_parquet_scan_free(reader->scan);
    tarn_parquet_close(reader->parquet);
    tarn_csv_reader_free(reader->csv);
    tarn_json_reader_free(reader->json);
    tarn_object_close(reader->object);
    reader->scan = NULL;
    reader->parquet = NULL;
    reader->csv = NULL;
    reader->json = NULL;
    reader->object = NULL;
}

static void file_close(tarn_source_reader *reader) {
    if (reader == NULL) return;
    close_file(reader);
    tarn_store_close(reader->store);
    tarn_arena_reset(&reader->arena);
    tarn_alloc_free(reader->alloc, reader, 1);
}

// ---- opening ----

static bool ends_with(tarn_slice name, const char *ending) {
    tarn_slice tail = tarn_slice_from_cstr(ending);
    return name.len >= tail.len &&
           tarn_slice_equal(tarn_slice_skip(name, name.len - tail.len), tail);
}

static tarn_status format_of(const tarn_source_reader *reader, tarn_slice name,
                             file_format *ret_format, tarn_error *err) {
    *ret_format = reader->options.format;
    if (*ret_format != FILE_FORMAT_UNKNOWN) return TARN_OK;
    if (ends_with(name, ".parquet")) {
        *ret_format = FILE_FORMAT_PARQUET;
    } else if (ends_with(name, ".csv") || ends_with(name, ".tsv")) {
        *ret_format = FILE_FORMAT_CSV;
    } else if (ends_with(name, ".json") || ends_with(name, ".jsonl") ||
               ends_with(name, ".ndjson")) {
        *ret_format = FILE_FORMAT_JSON;
    } else {
        tarn_status status =
            tarn_fail(err, TARN_INVALID, "the format of '" TARN_SLICE_FMT "' is not known",
                      TARN_SLICE_ARG(name));
        tarn_error_hint(err, "Add format = 'parquet', 'csv' or 'json'.");
        return status;
    }
    return TARN_OK;
}

static tarn_status no_column(tarn_slice wanted, const tarn_schema *there, tarn_slice file,
                             tarn_arena *arena, tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "column \"" TARN_SLICE_FMT "\" is not in '" TARN_SLICE_FMT "'",
                  TARN_SLICE_ARG(wanted), TARN_SLICE_ARG(file));
    tarn_error_locate(err, "42703", 0);
    tarn_slice *names = tarn_arena_new(arena, tarn_slice, there->field_count + 1);
    if (names == NULL) return status;
    for (size_t i = 0; i < there->field_count; i++) names[i] = there->fields[i].name;
    ptrdiff_t nearest = tarn_nearest_name(wanted, names, there->field_count);
    if (nearest >= 0) {
        tarn_error_hint(err, "Did you mean \"" TARN_SLICE_FMT "\"?",
                        TARN_SLICE_ARG(names[nearest]));
    }
    return status;
}

static tarn_status open_parquet(tarn_source_reader *reader, tarn_slice name, tarn_arena *arena,
                                tarn_error *err) {
    TARN_TRY(tarn_parquet_open(reader->alloc, reader->object, &reader->parquet, err));
    const tarn_schema *there = tarn_parquet_schema(reader->parquet);
    size_t count = reader->schema.field_count;
    size_t *columns = tarn_arena_new(arena, size_t, count + 1);
    tarn_type *types = tarn_arena_new(arena, tarn_type, count + 1);
    if (columns == NULL || types == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        ptrdiff_t at = tarn_schema_find(there, reader->schema.fields[i].name);
        if (at < 0) return no_column(reader->schema.fields[i].name, there, name, arena, err);
        columns[i] = (size_t)at;
        types[i] = reader->schema.fields[i].type;
    }
    tarn_parquet_scan_options options = {
        .columns = columns, .column_count = count, .types = types, .first_row = reader->offset};
    return tarn_parquet_scan_new(reader->parquet, &options, &reader->scan, err);
}

static tarn_status open_csv(tarn_source_reader *reader, tarn_slice name, tarn_error *err) {
    tarn_csv_options options = {.header = reader->options.header,
                                .match_header = reader->options.header,
                                .delimiter = reader->options.delimiter,
                                .null_text = reader->options.null_text,
                                .first_offset = reader->offset,
                                .first_line = reader->line};
    if (options.delimiter == 0 && ends_with(name, ".tsv")) options.delimiter = '\t';
    return tarn_csv_reader_new(reader->alloc, reader->object, &reader->schema, &options,
                               &reader->csv, err);
}

static tarn_status open_file(tarn_source_reader *reader, tarn_error *err) {
    tarn_slice name = reader->files.entries[reader->file].name;
    file_format format = FILE_FORMAT_UNKNOWN;
    TARN_TRY(format_of(reader, name, &format, err));
    TARN_TRY(tarn_store_open(reader->store, name, &reader->object, err));
    tarn_arena arena;
    tarn_arena_init(&arena, reader->alloc, SIZE_MAX);
    tarn_status status = TARN_OK;
    if (format == FILE_FORMAT_PARQUET) {
        status = open_parquet(reader, name, &arena, err);
    } else if (format == FILE_FORMAT_CSV) {
        status = open_csv(reader, name, err);
    } else {
        tarn_json_options options = {.first_offset = reader->offset, .first_line = reader->line};
        status = tarn_json_reader_new(reader->alloc, reader->object, &reader->schema, &options,
                                      &reader->json, err);
    }
    tarn_arena_reset(&arena);
    if (status != TARN_OK) close_file(reader);
    return status;
}

static tarn_status init_reader(tarn_source_reader *reader, const tarn_connector_spec *spec,
                               tarn_error *err) {
    TARN_TRY(file_options_parse(spec, &reader->options, err));
    if (!tarn_arena_copy(&reader->arena, reader->options.path, &reader->options.path) ||
        !tarn_arena_copy(&reader->arena, reader->options.null_text, &reader->options.null_text)) {
        return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    }
    TARN_TRY(tarn_schema_copy(&spec->schema, &reader->arena, &reader->schema, err));
    TARN_TRY(file_list_find(reader->os, spec->base_directory, reader->options.path, &reader->arena,
                            &reader->files, err));
    for (size_t i = 0; i < reader->files.count; i++) {
        reader->total_bytes += reader->files.entries[i].size_bytes;
    }
    return tarn_store_open_local(reader->os, reader->alloc, reader->files.root, &reader->store,
                                 err);
}

static tarn_status file_open(tarn_os *os, const tarn_alloc *alloc, const tarn_connector_spec *spec,
                             tarn_source_reader **ret_reader, tarn_error *err) {
    tarn_source_reader *reader = tarn_alloc_new(alloc, tarn_source_reader, 1);
    if (reader == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    reader->os = os;
    reader->alloc = alloc;
    tarn_arena_init(&reader->arena, alloc, SIZE_MAX);
    tarn_status status = init_reader(reader, spec, err);
    if (status != TARN_OK) {
        file_close(reader);
        return status;
    }
    *ret_reader = reader;
    return TARN_OK;
}

// Opens the first file, which checks that the columns are there with types that fit.
static tarn_status file_validate(tarn_os *os, const tarn_alloc *alloc,
                                 const tarn_connector_spec *spec, tarn_error *err) {
    tarn_source_reader *reader = NULL;
    TARN_TRY(file_open(os, alloc, spec, &reader, err));
    tarn_status status = open_file(reader, err);
    file_close(reader);
    return status;
}

// ---- reading ----

// Reads from the open file. Sets *ret_bad->line when a bad record follows the chunk.
static tarn_status read_chunk(tarn_source_reader *reader, const tarn_chunk **ret_chunk,
                              tarn_bad_record *ret_bad, tarn_error *err) {
    if (reader->scan != NULL) {
        uint64_t first_row = 0;
        TARN_TRY(tarn_parquet_scan_next(reader->scan, ret_chunk, &first_row, err));
        if (*ret_chunk != NULL) reader->offset = first_row + (*ret_chunk)->row_count;
        return TARN_OK;
    }
    tarn_bad_record *bad = reader->options.dead_letter ? ret_bad : NULL;
    if (reader->csv != NULL) {
        TARN_TRY(tarn_csv_reader_next(reader->csv, ret_chunk, bad, err));
        reader->offset = tarn_csv_reader_offset(reader->csv);
        reader->line = tarn_csv_reader_line(reader->csv);
        return TARN_OK;
    }
    TARN_TRY(tarn_json_reader_next(reader->json, ret_chunk, bad, err));
    reader->offset = tarn_json_reader_offset(reader->json);
    reader->line = tarn_json_reader_line(reader->json);
    return TARN_OK;
}

static void finish_file(tarn_source_reader *reader) {
    close_file(reader);
    reader->done_bytes += reader->files.entries[reader->file].size_bytes;
    reader->file++;
    reader->offset = 0;
    reader->line = 0;
}

static tarn_status file_next(tarn_source_reader *reader, const tarn_chunk **ret_chunk,
                             tarn_poll *ret_poll, tarn_error *err) {
    while (reader->file < reader->files.count) {
        if (reader->object == NULL) TARN_TRY(open_file(reader, err));
        const tarn_chunk *chunk = NULL;
        tarn_bad_record bad = {0};
        TARN_TRY(read_chunk(reader, &chunk, &bad, err));
        // Without a place for dead letters (a replay, a query) the record is only left out.
        if (bad.line > 0 && reader->bad != NULL) {
            TARN_TRY(reader->bad(reader->bad_context, &bad, err));
        }
        if (chunk != NULL && chunk->row_count > 0) {
            *ret_chunk = chunk;
            *ret_poll = TARN_POLL_MORE;
            return TARN_OK;
        }
        if (bad.line == 0) finish_file(reader);
    }
    *ret_chunk = NULL;
    *ret_poll = TARN_POLL_END;
    return TARN_OK;
}

static void file_set_dead_letter(tarn_source_reader *reader,
                                 tarn_status (*bad)(void *context, const tarn_bad_record *record,
                                                    tarn_error *err),
                                 void *context) {
    reader->bad = bad;
    reader->bad_context = context;
}

// ---- positions ----

static tarn_status file_position(tarn_source_reader *reader, tarn_buffer *out, tarn_error *err) {
    uint8_t head[POSITION_HEAD_BYTES] = {POSITION_VERSION};
    tarn_store_u64(head + 1, reader->offset);
    tarn_store_u64(head + 9, reader->line);
    tarn_slice name = {0};
    if (reader->file < reader->files.count) {
        name = reader->files.entries[reader->file].name;
    } else {
        name = reader->files.entries[reader->files.count - 1].name;
        tarn_store_u64(head + 1, UINT64_MAX);
    }
    if (!tarn_buffer_append(out, (tarn_slice){head, sizeof head}) ||
        !tarn_buffer_append(out, name)) {
        return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    }
    return TARN_OK;
}

static tarn_status file_seek(tarn_source_reader *reader, tarn_slice position, tarn_error *err) {
    if (position.len <= POSITION_HEAD_BYTES || position.data[0] != POSITION_VERSION) {
        return tarn_fail(err, TARN_CORRUPT, "the position in '" TARN_SLICE_FMT "' is damaged",
                         TARN_SLICE_ARG(reader->options.path));
    }
    tarn_slice name = tarn_slice_skip(position, POSITION_HEAD_BYTES);
    close_file(reader);
    reader->done_bytes = 0;
    for (size_t i = 0; i < reader->files.count; i++) {
        const file_entry *entry = &reader->files.entries[i];
        if (!tarn_slice_equal(entry->name, name)) {
            reader->done_bytes += entry->size_bytes;
            continue;
        }
        reader->file = i;
        reader->offset = tarn_load_u64(position.data + 1);
        reader->line = tarn_load_u64(position.data + 9);
        if (reader->offset == UINT64_MAX) finish_file(reader);
        return TARN_OK;
    }
    tarn_status status = tarn_fail(
        err, TARN_INVALID, "the file '" TARN_SLICE_FMT "', in which reading stopped, is gone",
        TARN_SLICE_ARG(name));
    tarn_error_hint(err, "Put it back, or drop the source and create it anew.");
    return status;
}

static void file_progress(const tarn_source_reader *reader, uint64_t *ret_done,
                          uint64_t *ret_total) {
    uint64_t done = reader->done_bytes;
    if (reader->file < reader->files.count) {
        uint64_t size = reader->files.entries[reader->file].size_bytes;
        if (reader->parquet != NULL) {
            uint64_t rows = tarn_parquet_row_count(reader->parquet);
            if (rows > 0) {
                done += (uint64_t)((double)size * (double)reader->offset / (double)rows);
            }
        } else if (reader->csv != NULL || reader->json != NULL) {
            done += reader->offset < size ? reader->offset : size;
        }
    }
    *ret_done = done;
    *ret_total = reader->total_bytes;
}

const tarn_connector connect_file = {
    .name = "file",
    .validate = file_validate,
    .open = file_open,
    .next = file_next,
    .position = file_position,
    .seek = file_seek,
    .set_dead_letter = file_set_dead_letter,
    .progress = file_progress,
    .close = file_close,
};
