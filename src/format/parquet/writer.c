#include "base/alloc.h"
#include "format/parquet/footer.h"
#include "format/parquet/parquet.h"

#define ROW_GROUP_BYTES  TARN_TUNABLE((size_t)128 << 20, (size_t)4096)
#define ROW_GROUP_ROWS   TARN_TUNABLE((uint64_t)1000000, (uint64_t)50)
#define PAGE_BYTES       TARN_TUNABLE((size_t)1 << 20, (size_t)128)
#define PAGE_ROWS        TARN_TUNABLE((uint32_t)20000, (uint32_t)12)
#define DICTIONARY_BYTES TARN_TUNABLE((size_t)1 << 20, (size_t)256)

// What compression leaves of encoded pages, until some are written.
#define GUESSED_RATIO 0.6

struct tarn_parquet_writer {
    const tarn_alloc *alloc;
    tarn_arena arena; // everything that lives as long as the writer
    tarn_schema schema;
    tarn_slice root_name;
    size_t row_group_bytes;
    uint64_t row_group_rows;
    parquet_sink sink;
    parquet_column_writer *columns;
    size_t column_count; // initialised ones
    parquet_append_scratch scratch;
    uint32_t *piece_rows; // of an append that is cut in pieces

    uint64_t group_rows; // of the row group in memory
    parquet_row_group_entry *first_group;
    parquet_row_group_entry *last_group;
    size_t group_count;
    uint64_t row_count;          // of the row groups that are written
    uint64_t uncompressed_bytes; // of their chunks
    uint64_t compressed_bytes;
    bool has_failed;
    bool has_finished;
};

// ---- making one ----

static size_t or_default(size_t value, size_t fallback) {
    return value == 0 ? fallback : value;
}

static void init_sink(tarn_parquet_writer *writer, const tarn_parquet_writer_options *options,
                      tarn_store_writer *out) {
    const tarn_alloc *alloc = writer->alloc;
    writer->sink = (parquet_sink){
        .out = out,
        .arena = &writer->arena,
        .codec = options->codec,
        .level = options->level,
        .page_bytes = or_default(options->page_bytes, PAGE_BYTES),
        .page_rows = options->page_rows == 0 ? PAGE_ROWS : options->page_rows,
        .page = {.alloc = alloc},
        .packed = {.alloc = alloc},
        .header = {.alloc = alloc},
        .values = {.alloc = alloc},
        .bits = {.alloc = alloc},
    };
    // A page counts its rows in 31 bits.
    if (writer->sink.page_rows > INT32_MAX) writer->sink.page_rows = INT32_MAX;
}

static bool init_scratch(tarn_parquet_writer *writer) {
    parquet_append_scratch *scratch = &writer->scratch;
    tarn_arena *arena = &writer->arena;
    enum { VALUE_BYTES_MAX = 16 };
    scratch->rows = tarn_arena_new_raw(arena, uint32_t, TARN_CHUNK_ROWS);
    scratch->codes = tarn_arena_new_raw(arena, uint32_t, TARN_CHUNK_ROWS);
    scratch->dense = tarn_arena_alloc_raw(arena, VALUE_BYTES_MAX, TARN_CHUNK_ROWS);
    scratch->stored = tarn_arena_alloc_raw(arena, VALUE_BYTES_MAX, TARN_CHUNK_ROWS);
    writer->piece_rows = tarn_arena_new_raw(arena, uint32_t, TARN_CHUNK_ROWS);
    return scratch->rows != NULL && scratch->codes != NULL && scratch->dense != NULL &&
           scratch->stored != NULL && writer->piece_rows != NULL;
}

static tarn_status init_columns(tarn_parquet_writer *writer,
                                const tarn_parquet_writer_options *options, tarn_error *err) {
    size_t count = writer->schema.field_count;
    writer->columns = tarn_arena_new(&writer->arena, parquet_column_writer, count);
    if (writer->columns == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "writer of %zu columns", count);
    }
    for (size_t i = 0; i < count; i++) {
        const tarn_parquet_column_options *column =
            options->columns == NULL ? NULL : &options->columns[i];
        TARN_TRY(parquet_column_writer_init(
            &writer->columns[i], writer->alloc, &writer->schema.fields[i], column,
            or_default(options->dictionary_bytes, DICTIONARY_BYTES), err));
        writer->column_count++;
    }
    return TARN_OK;
}

static tarn_status start(tarn_parquet_writer *writer, const tarn_schema *schema,
                         const tarn_parquet_writer_options *options, tarn_error *err) {
    if (options->codec == TARN_CODEC_DEFLATE) {
        return tarn_fail(err, TARN_UNSUPPORTED, "Parquet has no codec deflate; gzip is near it");
    }
    if (schema->field_count == 0 || schema->field_count > INT16_MAX) {
        return tarn_fail(err, TARN_INVALID, "file of %zu columns", schema->field_count);
    }
    TARN_TRY(tarn_schema_copy(schema, &writer->arena, &writer->schema, err));
    tarn_slice name = options->root_name.len == 0 ? TARN_LIT("schema") : options->root_name;
    if (!tarn_arena_copy(&writer->arena, name, &writer->root_name) || !init_scratch(writer)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a Parquet writer");
    }
    writer->row_group_bytes = or_default(options->row_group_bytes, ROW_GROUP_BYTES);
    writer->row_group_rows =
        options->row_group_rows == 0 ? ROW_GROUP_ROWS : options->row_group_rows;
    TARN_TRY(init_columns(writer, options, err));
    return tarn_store_writer_append(writer->sink.out, PARQUET_MAGIC, err);
}

tarn_status tarn_parquet_writer_new(const tarn_alloc *alloc, const tarn_schema *schema,
                                    const tarn_parquet_writer_options *options,
                                    tarn_store_writer *out, tarn_parquet_writer **ret_writer,
                                    tarn_error *err) {
    static const tarn_parquet_writer_options defaults = {0};
    if (options == NULL) options = &defaults;
    tarn_parquet_writer *writer = tarn_alloc_new(alloc, tarn_parquet_writer, 1);
    if (writer == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a Parquet writer");
    writer->alloc = alloc;
    tarn_arena_init(&writer->arena, alloc, SIZE_MAX);
    init_sink(writer, options, out);
    tarn_status status = start(writer, schema, options, err);
    if (status != TARN_OK) {
        tarn_parquet_writer_free(writer);
        return status;
    }
    *ret_writer = writer;
    return TARN_OK;
}

void tarn_parquet_writer_free(tarn_parquet_writer *writer) {
    if (writer == NULL) return;
    for (size_t i = 0; i < writer->schema.field_count && writer->columns != NULL; i++) {
        parquet_column_writer_free(&writer->columns[i]);
    }
    tarn_buffer_free(&writer->sink.page);
    tarn_buffer_free(&writer->sink.packed);
    tarn_buffer_free(&writer->sink.header);
    tarn_buffer_free(&writer->sink.values);
    tarn_buffer_free(&writer->sink.bits);
    tarn_arena_reset(&writer->arena);
    tarn_alloc_free(writer->alloc, writer, 1);
}

// ---- row groups ----

static tarn_status flush_group(tarn_parquet_writer *writer, tarn_error *err) {
    if (writer->group_rows == 0) return TARN_OK;
    parquet_row_group_entry *group = tarn_arena_new(&writer->arena, parquet_row_group_entry, 1);
    parquet_chunk_entry *chunks =
        tarn_arena_new(&writer->arena, parquet_chunk_entry, writer->column_count);
    if (group == NULL || chunks == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a row group");
    }
    group->chunks = chunks;
    group->row_count = writer->group_rows;
    for (size_t i = 0; i < writer->column_count; i++) {
        TARN_TRY(parquet_column_writer_flush(&writer->columns[i], &writer->sink, &chunks[i], err));
        writer->uncompressed_bytes += chunks[i].uncompressed_bytes;
        writer->compressed_bytes += chunks[i].compressed_bytes;
    }
    if (writer->last_group == NULL) {
        writer->first_group = group;
    } else {
        writer->last_group->next = group;
    }
    writer->last_group = group;
    writer->group_count++;
    writer->row_count += writer->group_rows;
    writer->group_rows = 0;
    return TARN_OK;
}

static size_t memory_bytes(const tarn_parquet_writer *writer) {
    size_t bytes = 0;
    for (size_t i = 0; i < writer->column_count; i++) {
        bytes += parquet_column_writer_memory_bytes(&writer->columns[i]);
    }
    return bytes;
}

// Selected rows [begin, begin + count) of the chunk, which fit the row group.
static tarn_status append_piece(tarn_parquet_writer *writer, const tarn_chunk *chunk, size_t begin,
                                size_t count, tarn_error *err) {
    const uint32_t *rows = chunk->selection == NULL ? NULL : chunk->selection + begin;
    if (rows == NULL && begin > 0) {
        for (size_t i = 0; i < count; i++) writer->piece_rows[i] = (uint32_t)(begin + i);
        rows = writer->piece_rows;
    }
    for (size_t i = 0; i < writer->column_count; i++) {
        TARN_TRY(parquet_column_writer_append(&writer->columns[i], &chunk->columns[i], rows, count,
                                              &writer->scratch, err));
    }
    writer->group_rows += count;
    if (writer->group_rows == writer->row_group_rows ||
        memory_bytes(writer) >= writer->row_group_bytes) {
        return flush_group(writer, err);
    }
    return TARN_OK;
}

static tarn_status check_chunk(const tarn_parquet_writer *writer, const tarn_chunk *chunk,
                               tarn_error *err) {
    if (chunk->column_count != writer->column_count) {
        return tarn_fail(err, TARN_INVALID, "chunk of %zu columns for a file of %zu",
                         chunk->column_count, writer->column_count);
    }
    for (size_t i = 0; i < writer->column_count; i++) {
        const tarn_field *field = &writer->schema.fields[i];
        if (chunk->columns[i].type.id == field->type.id &&
            tarn_type_physical(chunk->columns[i].type) == tarn_type_physical(field->type) &&
            chunk->columns[i].type.scale == field->type.scale) {
            continue;
        }
        return tarn_fail(err, TARN_INVALID,
                         "column '" TARN_SLICE_FMT "' has values of another type",
                         TARN_SLICE_ARG(field->name));
    }
    return TARN_OK;
}

tarn_status tarn_parquet_writer_append(tarn_parquet_writer *writer, const tarn_chunk *chunk,
                                       tarn_error *err) {
    if (writer->has_failed || writer->has_finished) {
        return tarn_fail(err, TARN_INVALID, "Parquet writer goes on after it %s",
                         writer->has_failed ? "failed" : "finished");
    }
    TARN_TRY(check_chunk(writer, chunk, err));
    size_t count = tarn_chunk_count(chunk);
    for (size_t begin = 0; begin < count;) {
        uint64_t room = writer->row_group_rows - writer->group_rows;
        size_t step = count - begin < room ? count - begin : (size_t)room;
        tarn_status status = append_piece(writer, chunk, begin, step, err);
        if (status != TARN_OK) {
            writer->has_failed = true; // some columns have the rows, others do not
            return status;
        }
        begin += step;
    }
    return TARN_OK;
}

uint64_t tarn_parquet_writer_estimated_bytes(const tarn_parquet_writer *writer) {
    uint64_t pending = 0;
    for (size_t i = 0; i < writer->column_count; i++) {
        pending += parquet_column_writer_encoded_bytes(&writer->columns[i]);
    }
    double ratio = writer->sink.codec == TARN_CODEC_NONE ? 1.0 : GUESSED_RATIO;
    if (writer->uncompressed_bytes > 0) {
        ratio = (double)writer->compressed_bytes / (double)writer->uncompressed_bytes;
    }
    pending = (uint64_t)((double)pending * ratio);
    return tarn_store_writer_position(writer->sink.out) + pending;
}

// ---- the end ----

static tarn_status write_page_index(tarn_parquet_writer *writer, tarn_error *err) {
    tarn_buffer *bytes = &writer->sink.page;
    for (parquet_row_group_entry *group = writer->first_group; group != NULL; group = group->next) {
        for (size_t i = 0; i < writer->column_count; i++) {
            parquet_chunk_entry *chunk = &group->chunks[i];
            if (!parquet_chunk_has_column_index(chunk)) continue;
            tarn_buffer_clear(bytes);
            if (!parquet_column_index_encode(chunk, bytes)) {
                return tarn_fail(err, TARN_NO_MEMORY, "no memory for the page index");
            }
            chunk->column_index_offset = tarn_store_writer_position(writer->sink.out);
            chunk->column_index_bytes = (uint32_t)bytes->len;
            TARN_TRY(tarn_store_writer_append(writer->sink.out, tarn_buffer_slice(bytes), err));
        }
    }
    for (parquet_row_group_entry *group = writer->first_group; group != NULL; group = group->next) {
        for (size_t i = 0; i < writer->column_count; i++) {
            parquet_chunk_entry *chunk = &group->chunks[i];
            tarn_buffer_clear(bytes);
            if (!parquet_offset_index_encode(chunk, bytes)) {
                return tarn_fail(err, TARN_NO_MEMORY, "no memory for the page index");
            }
            chunk->offset_index_offset = tarn_store_writer_position(writer->sink.out);
            chunk->offset_index_bytes = (uint32_t)bytes->len;
            TARN_TRY(tarn_store_writer_append(writer->sink.out, tarn_buffer_slice(bytes), err));
        }
    }
    return TARN_OK;
}

static tarn_status write_footer(tarn_parquet_writer *writer, tarn_error *err) {
    const parquet_file_entry file = {
        .root_name = writer->root_name,
        .columns = writer->columns,
        .column_count = writer->column_count,
        .row_groups = writer->first_group,
        .row_group_count = writer->group_count,
        .row_count = writer->row_count,
        .codec = writer->sink.codec,
    };
    tarn_buffer *bytes = &writer->sink.page;
    tarn_buffer_clear(bytes);
    uint8_t len[4];
    bool has_memory = parquet_footer_encode(&file, bytes);
    if (bytes->len > UINT32_MAX) {
        return tarn_fail(err, TARN_UNSUPPORTED, "footer of %zu bytes", bytes->len);
    }
    tarn_store_u32(len, (uint32_t)bytes->len);
    if (!has_memory || !tarn_buffer_append(bytes, (tarn_slice){len, sizeof len}) ||
        !tarn_buffer_append(bytes, PARQUET_MAGIC)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for the footer");
    }
    return tarn_store_writer_append(writer->sink.out, tarn_buffer_slice(bytes), err);
}

static void summarize_column(const parquet_column_writer *column, tarn_parquet_stats *stats) {
    const parquet_bounds *bounds = &column->file_bounds;
    *stats = (tarn_parquet_stats){
        .min = tarn_value_null(column->storage.type),
        .max = tarn_value_null(column->storage.type),
        .is_exact = true,
        .null_count = (int64_t)column->file_null_count,
    };
    if (!bounds->has_values) return;
    stats->min = bounds->min;
    if (bounds->nan_count == 0) stats->max = bounds->max; // NaN would be the greatest
    parquet_bounds_widen_zeroes(column->storage.type, &stats->min, &stats->max);
}

static tarn_status finish(tarn_parquet_writer *writer, tarn_parquet_summary *ret_summary,
                          tarn_error *err) {
    TARN_TRY(flush_group(writer, err));
    TARN_TRY(write_page_index(writer, err));
    TARN_TRY(write_footer(writer, err));
    tarn_parquet_stats *columns =
        tarn_arena_new(&writer->arena, tarn_parquet_stats, writer->column_count);
    if (columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for the summary");
    for (size_t i = 0; i < writer->column_count; i++) {
        summarize_column(&writer->columns[i], &columns[i]);
    }
    *ret_summary = (tarn_parquet_summary){
        .row_count = writer->row_count,
        .file_bytes = tarn_store_writer_position(writer->sink.out),
        .columns = columns,
    };
    return TARN_OK;
}

tarn_status tarn_parquet_writer_finish(tarn_parquet_writer *writer,
                                       tarn_parquet_summary *ret_summary, tarn_error *err) {
    if (writer->has_failed || writer->has_finished) {
        return tarn_fail(err, TARN_INVALID, "Parquet writer is finished after it %s",
                         writer->has_failed ? "failed" : "finished");
    }
    tarn_status status = finish(writer, ret_summary, err);
    writer->has_failed = status != TARN_OK;
    writer->has_finished = status == TARN_OK;
    return status;
}
