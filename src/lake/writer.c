#include "lake/writer.h"

#include "base/alloc.h"
#include "lake/committable.h"
#include "lake/data_writer.h"
#include "lake/sequences.h"

#define DEFAULT_LIMIT_BYTES ((size_t)256 << 20)

struct tarn_table_writer {
    lake_writer_base base;
    tarn_arena arena;
    lake_router router;
    lake_entry_list entries;
    lake_appender *appender; // one of the two
    lake_upserter *upserter;
    bool failed; // what was buffered may be lost: nothing can be prepared any more
};

tarn_status lake_entry_list_add(lake_entry_list *list, const lake_entry *entry, tarn_error *err) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        lake_entry *items = tarn_arena_new(list->arena, lake_entry, capacity);
        if (items == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu files", capacity);
        if (list->count > 0) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *entry;
    return TARN_OK;
}

// Everything that lasts until prepare.
static tarn_status begin(tarn_table_writer *writer, tarn_error *err) {
    tarn_arena_reset(&writer->arena);
    writer->entries = (lake_entry_list){.arena = &writer->arena};
    lake_router_free(&writer->router);
    TARN_TRY(lake_router_init(&writer->router, writer->base.table, &writer->arena, err));
    if (lake_schema_is_keyed(writer->base.table->schema)) {
        return lake_upserter_new(&writer->base, &writer->upserter, err);
    }
    return lake_appender_new(&writer->base, &writer->appender, err);
}

static void end(tarn_table_writer *writer) {
    lake_appender_free(writer->appender);
    writer->appender = NULL;
    lake_upserter_free(writer->upserter);
    writer->upserter = NULL;
}

tarn_status tarn_table_writer_new(tarn_table *table, const tarn_table_writer_options *options,
                                  tarn_table_writer **ret_writer, tarn_error *err) {
    tarn_status status = lake_schema_check_use(table->schema, LAKE_USE_WRITE, err);
    if (status == TARN_OK) status = lake_schema_check_use(table->schema, LAKE_USE_READ, err);
    if (status != TARN_OK) {
        tarn_error_prefix(
            err, "table '" TARN_SLICE_FMT "' cannot be written: ", TARN_SLICE_ARG(table->path));
        return status;
    }
    const tarn_alloc *alloc =
        options == NULL || options->alloc == NULL ? table->alloc : options->alloc;
    tarn_table_writer *writer = tarn_alloc_new(alloc, tarn_table_writer, 1);
    if (writer == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a writer");
    size_t limit = options == NULL ? 0 : options->buffer_limit_bytes;
    writer->base = (lake_writer_base){
        .table = table,
        .alloc = alloc,
        .limit_bytes = limit == 0 ? DEFAULT_LIMIT_BYTES : limit,
        .arena = &writer->arena,
        .router = &writer->router,
        .entries = &writer->entries,
    };
    tarn_arena_init(&writer->arena, alloc, SIZE_MAX);
    status = begin(writer, err);
    if (status != TARN_OK) {
        tarn_table_writer_free(writer);
        return status;
    }
    *ret_writer = writer;
    return TARN_OK;
}

static tarn_status check_not_null(const lake_schema *schema, const tarn_chunk *chunk,
                                  tarn_error *err) {
    for (size_t c = 0; c < chunk->column_count; c++) {
        const tarn_vector *column = &chunk->columns[c];
        if (!schema->fields[c].type.not_null || column->validity == NULL) continue;
        for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
            if (!tarn_vector_is_null(column, tarn_chunk_row(chunk, i))) continue;
            (void)tarn_fail(err, TARN_INVALID,
                            "null value in column \"" TARN_SLICE_FMT
                            "\" violates its not-null constraint",
                            TARN_SLICE_ARG(schema->fields[c].name)); // returned below
            tarn_error_locate(err, "23502", 0);
            return TARN_INVALID;
        }
    }
    return TARN_OK;
}

static tarn_status check_chunk(const tarn_table *table, const tarn_chunk *chunk, tarn_error *err) {
    const tarn_schema *columns = &table->schema->definition.schema;
    if (chunk->column_count != columns->field_count) {
        return tarn_fail(err, TARN_INVALID, "rows have %zu columns, the table has %zu",
                         chunk->column_count, columns->field_count);
    }
    for (size_t c = 0; c < chunk->column_count; c++) {
        if (chunk->columns[c].type.id == columns->fields[c].type.id) continue;
        return tarn_fail(err, TARN_INVALID, "column '" TARN_SLICE_FMT "' gets another type",
                         TARN_SLICE_ARG(columns->fields[c].name));
    }
    return check_not_null(table->schema, chunk, err);
}

static tarn_status in_table(const tarn_table_writer *writer, tarn_status status, tarn_error *err) {
    if (status != TARN_OK) {
        tarn_error_prefix(err,
                          "table '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(writer->base.table->path));
    }
    return status;
}

tarn_status tarn_table_writer_append(tarn_table_writer *writer, const tarn_chunk *chunk,
                                     tarn_error *err) {
    if (writer->failed) return tarn_fail(err, TARN_IO, "an earlier write failed");
    if (tarn_chunk_count(chunk) == 0) return TARN_OK;
    TARN_TRY(in_table(writer, check_chunk(writer->base.table, chunk, err), err));
    tarn_status status = writer->upserter != NULL
                             ? lake_upserter_append(writer->upserter, chunk, err)
                             : lake_appender_append(writer->appender, chunk, err);
    writer->failed = status != TARN_OK;
    return in_table(writer, status, err);
}

static tarn_status flush(tarn_table_writer *writer, tarn_error *err) {
    return writer->upserter != NULL ? lake_upserter_flush(writer->upserter, err)
                                    : lake_appender_flush(writer->appender, err);
}

static tarn_status encode(tarn_table_writer *writer, tarn_buffer *out, tarn_error *err) {
    if (writer->entries.count == 0) return TARN_OK;
    const lake_entry **entries =
        tarn_arena_new(&writer->arena, const lake_entry *, writer->entries.count);
    if (entries == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a committable");
    for (size_t i = 0; i < writer->entries.count; i++) entries[i] = &writer->entries.items[i];
    return lake_committable_encode(entries, writer->entries.count, writer->base.alloc, out, err);
}

tarn_status tarn_table_writer_prepare(tarn_table_writer *writer, tarn_buffer *ret_committable,
                                      tarn_error *err) {
    if (writer->failed) return tarn_fail(err, TARN_IO, "an earlier write failed");
    tarn_status status = flush(writer, err);
    if (status == TARN_OK) status = encode(writer, ret_committable, err);
    writer->failed = status != TARN_OK;
    if (status != TARN_OK) return in_table(writer, status, err);
    end(writer);
    status = begin(writer, err);
    // The committable is made; only this writer is of no more use.
    writer->failed = status != TARN_OK;
    return TARN_OK;
}

void tarn_table_writer_free(tarn_table_writer *writer) {
    if (writer == NULL) return;
    end(writer);
    for (size_t i = 0; i < writer->entries.count; i++) {
        if (writer->entries.items[i].kind != LAKE_ADD) continue;
        // What cannot be removed is an orphan, and goes with the orphans.
        tarn_status ignored =
            lake_remove_data_file(writer->base.table, &writer->entries.items[i], NULL);
        (void)ignored;
    }
    lake_router_free(&writer->router);
    tarn_arena_reset(&writer->arena);
    tarn_alloc_free(writer->base.alloc, writer, 1);
}
