#include "lake/data_writer.h"

#include "base/alloc.h"
#include "lake/stats.h"

// As many rows as a slice of a scan has: tasks then share a large file evenly.
#define ROW_GROUP_ROWS ((uint64_t)256 << 10)

// Bounds of keys are kept longer than those of values, as Paimon does.
#define KEY_STATS_LENGTH 128

struct lake_data_writer {
    tarn_table *table;
    lake_file_target target;
    tarn_arena arena; // name, path, schema of the file
    tarn_slice name;
    tarn_slice path;
    tarn_store_writer *out;
    tarn_parquet_writer *parquet;
    uint64_t row_count;
};

size_t lake_file_column_count(const lake_schema *schema) {
    size_t count = schema->definition.schema.field_count;
    return lake_schema_is_keyed(schema) ? schema->key.count + 2 + count : count;
}

static tarn_parquet_column_options column_options(const lake_type *type) {
    bool is_timestamp = type->kind == LAKE_TIMESTAMP || type->kind == LAKE_TIMESTAMP_LTZ;
    return (tarn_parquet_column_options){
        .timestamp_millis = is_timestamp && type->type.precision <= 3,
        .time_millis = type->kind == LAKE_TIME,
        .integer_bits = type->kind == LAKE_TINYINT ? 8 : 0,
        .int96 = is_timestamp && type->type.precision > 6,
    };
}

static tarn_field file_field(const lake_field *field) {
    return (tarn_field){.name = field->name,
                        .type = field->type.type,
                        .not_null = field->type.not_null,
                        .id = field->id};
}

// The columns in front of the table's own.
static tarn_status system_columns(const lake_schema *schema, tarn_arena *arena, tarn_field *fields,
                                  tarn_parquet_column_options *options, tarn_error *err) {
    size_t count = schema->key.count;
    for (size_t i = 0; i < count; i++) {
        const lake_field *field = &schema->fields[schema->key.indices[i]];
        fields[i] = file_field(field);
        fields[i].id = LAKE_KEY_FIELD_ID + field->id;
        options[i] = column_options(&field->type);
        if (!tarn_arena_printf(arena, &fields[i].name, "_KEY_" TARN_SLICE_FMT,
                               TARN_SLICE_ARG(field->name))) {
            return tarn_fail(err, TARN_NO_MEMORY, "a column name");
        }
    }
    fields[count] = (tarn_field){.name = TARN_LIT(LAKE_SEQUENCE_NAME),
                                 .type = tarn_type_of(TARN_TYPE_BIGINT),
                                 .not_null = true,
                                 .id = LAKE_SEQUENCE_FIELD_ID};
    // Sequence numbers are nearly all different.
    options[count] = (tarn_parquet_column_options){.no_dictionary = true};
    fields[count + 1] = (tarn_field){.name = TARN_LIT(LAKE_KIND_NAME),
                                     .type = tarn_type_of(TARN_TYPE_SMALLINT),
                                     .not_null = true,
                                     .id = LAKE_KIND_FIELD_ID};
    options[count + 1] = (tarn_parquet_column_options){.integer_bits = 8};
    return TARN_OK;
}

static tarn_status start_parquet(lake_data_writer *writer, tarn_error *err) {
    const lake_schema *schema = writer->table->schema;
    size_t count = lake_file_column_count(schema);
    size_t own = schema->definition.schema.field_count;
    tarn_field *fields = tarn_arena_new(&writer->arena, tarn_field, count);
    tarn_parquet_column_options *columns =
        tarn_arena_new(&writer->arena, tarn_parquet_column_options, count);
    if (fields == NULL || columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a data file");
    if (lake_schema_is_keyed(schema)) {
        TARN_TRY(system_columns(schema, &writer->arena, fields, columns, err));
    }
    for (size_t i = 0; i < own; i++) {
        fields[count - own + i] = file_field(&schema->fields[i]);
        columns[count - own + i] = column_options(&schema->fields[i].type);
    }
    tarn_parquet_writer_options options = {
        .codec = schema->options.file_codec,
        .level = schema->options.file_codec == TARN_CODEC_ZSTD ? schema->options.zstd_level : 0,
        .columns = columns,
        .root_name = TARN_LIT("paimon_schema"),
        .row_group_rows = ROW_GROUP_ROWS,
    };
    tarn_schema file_schema = {fields, count};
    return tarn_parquet_writer_new(writer->table->alloc, &file_schema, &options, writer->out,
                                   &writer->parquet, err);
}

static tarn_status start(lake_data_writer *writer, tarn_error *err) {
    tarn_table *table = writer->table;
    tarn_slice uuid;
    tarn_slice directory;
    TARN_TRY(lake_uuid(table, &writer->arena, &uuid, err));
    TARN_TRY(lake_bucket_path(table, writer->target.partition, writer->target.bucket,
                              &writer->arena, &directory, err));
    if (!tarn_arena_printf(
            &writer->arena, &writer->name, TARN_SLICE_FMT TARN_SLICE_FMT "-0.parquet",
            TARN_SLICE_ARG(table->schema->options.data_prefix), TARN_SLICE_ARG(uuid)) ||
        !tarn_arena_printf(&writer->arena, &writer->path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                           TARN_SLICE_ARG(directory), TARN_SLICE_ARG(writer->name))) {
        return tarn_fail(err, TARN_NO_MEMORY, "a file name");
    }
    TARN_TRY(tarn_store_create(table->store, writer->path, &writer->out, err));
    return start_parquet(writer, err);
}

tarn_status lake_data_writer_new(tarn_table *table, const lake_file_target *target,
                                 lake_data_writer **ret_writer, tarn_error *err) {
    lake_data_writer *writer = tarn_alloc_new(table->alloc, lake_data_writer, 1);
    if (writer == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a data file");
    writer->table = table;
    writer->target = *target;
    tarn_arena_init(&writer->arena, table->alloc, SIZE_MAX);
    tarn_status status = start(writer, err);
    if (status != TARN_OK) {
        lake_data_writer_free(writer);
        return status;
    }
    *ret_writer = writer;
    return TARN_OK;
}

tarn_status lake_data_writer_append(lake_data_writer *writer, const tarn_chunk *chunk,
                                    tarn_error *err) {
    TARN_TRY(tarn_parquet_writer_append(writer->parquet, chunk, err));
    writer->row_count += tarn_chunk_count(chunk);
    return TARN_OK;
}

uint64_t lake_data_writer_row_count(const lake_data_writer *writer) {
    return writer->row_count;
}

uint64_t lake_data_writer_bytes(const lake_data_writer *writer) {
    return tarn_parquet_writer_estimated_bytes(writer->parquet);
}

static tarn_status take_stats(const tarn_parquet_stats *from, size_t length, bool wants_bounds,
                              tarn_arena *arena, lake_column_stats *ret_stats, tarn_error *err) {
    lake_column_stats stats = {from->min, from->max, from->null_count};
    if (!wants_bounds) {
        stats.min = tarn_value_null(from->min.type);
        stats.max = tarn_value_null(from->max.type);
    }
    TARN_TRY(lake_stats_truncate(&stats, length, arena, err));
    *ret_stats = stats;
    return TARN_OK;
}

static tarn_status key_stats(const lake_schema *schema, const tarn_parquet_summary *summary,
                             tarn_arena *arena, lake_stats *ret_stats, tarn_error *err) {
    lake_column_stats *stats = tarn_arena_new(arena, lake_column_stats, schema->key.count);
    if (stats == NULL) return tarn_fail(err, TARN_NO_MEMORY, "statistics");
    for (size_t i = 0; i < schema->key.count; i++) {
        TARN_TRY(take_stats(&summary->columns[i], KEY_STATS_LENGTH, true, arena, &stats[i], err));
    }
    return lake_stats_encode(schema, &schema->key, stats, arena, ret_stats, err);
}

static tarn_status value_stats(const lake_schema *schema, const tarn_parquet_summary *summary,
                               tarn_arena *arena, lake_file *file, tarn_error *err) {
    const lake_options *options = &schema->options;
    size_t count = schema->definition.schema.field_count;
    size_t first = lake_file_column_count(schema) - count;
    if (options->stats_mode == LAKE_STATS_NONE) {
        static const tarn_slice no_columns[1];
        file->value_stat_cols = no_columns;
        file->value_stats = (lake_stats){.min = LAKE_EMPTY_ROW, .max = LAKE_EMPTY_ROW};
        return TARN_OK;
    }
    lake_column_stats *stats = tarn_arena_new(arena, lake_column_stats, count);
    lake_columns columns = {tarn_arena_new(arena, size_t, count), count};
    if (stats == NULL || columns.indices == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "statistics");
    }
    size_t length = options->stats_mode == LAKE_STATS_TRUNCATE ? options->stats_length : SIZE_MAX;
    bool wants_bounds = options->stats_mode != LAKE_STATS_COUNTS;
    for (size_t i = 0; i < count; i++) {
        columns.indices[i] = i;
        TARN_TRY(
            take_stats(&summary->columns[first + i], length, wants_bounds, arena, &stats[i], err));
    }
    return lake_stats_encode(schema, &columns, stats, arena, &file->value_stats, err);
}

static tarn_status describe(const lake_data_writer *writer, const tarn_parquet_summary *summary,
                            const lake_file_facts *facts, tarn_arena *arena, lake_entry *ret_entry,
                            tarn_error *err) {
    const lake_schema *schema = writer->table->schema;
    int64_t now_ms = tarn_os_now_us(tarn_store_os(writer->table->store)) / 1000;
    lake_entry entry = {
        .kind = LAKE_ADD,
        .bucket = writer->target.bucket,
        .total_buckets = writer->target.total_buckets,
        .file =
            {
                .file_bytes = (int64_t)summary->file_bytes,
                .row_count = (int64_t)summary->row_count,
                .min_sequence = facts->min_sequence,
                .max_sequence = facts->max_sequence,
                .schema_id = schema->id,
                .level = writer->target.level,
                .created_ms = now_ms,
                .delete_row_count = facts->delete_row_count,
                .source = writer->target.source,
                .first_row_id = LAKE_UNKNOWN,
                .key_stats = {.min = LAKE_EMPTY_ROW, .max = LAKE_EMPTY_ROW},
            },
    };
    if (!tarn_arena_copy(arena, writer->name, &entry.file.name) ||
        !tarn_arena_copy(arena, writer->target.partition, &entry.partition) ||
        !tarn_arena_copy(arena, facts->min_key, &entry.file.min_key) ||
        !tarn_arena_copy(arena, facts->max_key, &entry.file.max_key)) {
        return tarn_fail(err, TARN_NO_MEMORY, "a manifest entry");
    }
    if (lake_schema_is_keyed(schema)) {
        TARN_TRY(key_stats(schema, summary, arena, &entry.file.key_stats, err));
    }
    TARN_TRY(value_stats(schema, summary, arena, &entry.file, err));
    *ret_entry = entry;
    return TARN_OK;
}

tarn_status lake_data_writer_finish(lake_data_writer *writer, const lake_file_facts *facts,
                                    tarn_arena *arena, lake_entry *ret_entry, tarn_error *err) {
    tarn_parquet_summary summary;
    lake_entry entry;
    tarn_status status = tarn_parquet_writer_finish(writer->parquet, &summary, err);
    if (status == TARN_OK) status = describe(writer, &summary, facts, arena, &entry, err);
    if (status == TARN_OK) {
        status = tarn_store_writer_finish(writer->out, err);
        writer->out = NULL; // freed, whatever it returned
    }
    if (status == TARN_OK) *ret_entry = entry;
    return status;
}

void lake_data_writer_free(lake_data_writer *writer) {
    if (writer == NULL) return;
    tarn_parquet_writer_free(writer->parquet);
    tarn_store_writer_abort(writer->out);
    tarn_arena_reset(&writer->arena);
    tarn_alloc_free(writer->table->alloc, writer, 1);
}

tarn_status lake_remove_data_file(tarn_table *table, const lake_entry *entry, tarn_error *err) {
    tarn_arena scratch;
    tarn_arena_init(&scratch, table->alloc, SIZE_MAX);
    tarn_slice directory;
    tarn_slice path;
    tarn_status status =
        lake_bucket_path(table, entry->partition, entry->bucket, &scratch, &directory, err);
    if (status == TARN_OK &&
        !tarn_arena_printf(&scratch, &path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                           TARN_SLICE_ARG(directory), TARN_SLICE_ARG(entry->file.name))) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    if (status == TARN_OK) status = tarn_store_remove(table->store, path, err);
    tarn_arena_reset(&scratch);
    return status;
}
