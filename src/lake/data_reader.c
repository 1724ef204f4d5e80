#include "lake/data_reader.h"

#include "base/alloc.h"
#include "format/binrow/binrow.h"
#include "format/parquet/parquet.h"
#include "lake/data_writer.h"

#define NOT_IN_FILE SIZE_MAX

// Where one output column comes from.
typedef struct source {
    size_t position;      // among the scanned columns, or NOT_IN_FILE
    tarn_vector constant; // when not in the file
} source;

struct lake_data_reader {
    const tarn_alloc *alloc;
    tarn_arena arena; // for as long as the reader lives
    const roaring_bitmap_t *deleted;
    lake_scan_counters *counters;
    tarn_object *object;
    tarn_parquet_file *file;
    tarn_parquet_scan *scan;
    source *sources;
    size_t source_count;
    tarn_chunk chunk;
    uint32_t *selection;
};

static tarn_status open_file(tarn_table *table, const lake_entry *entry, lake_data_reader *reader,
                             tarn_error *err) {
    tarn_slice name = entry->file.name;
    static const char extension[] = ".parquet";
    size_t len = sizeof extension - 1;
    if (name.len < len || memcmp(name.data + name.len - len, extension, len) != 0) {
        return tarn_fail(err, TARN_UNSUPPORTED, "only Parquet data files are read");
    }
    if (entry->file.external_path.data != NULL) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "data files outside the table ('" TARN_SLICE_FMT "')",
                         TARN_SLICE_ARG(entry->file.external_path));
    }
    if (entry->file.write_cols != NULL) {
        return tarn_fail(err, TARN_UNSUPPORTED, "files with some of the columns (data evolution)");
    }
    tarn_slice directory;
    tarn_slice path;
    TARN_TRY(
        lake_bucket_path(table, entry->partition, entry->bucket, &reader->arena, &directory, err));
    if (!tarn_arena_printf(&reader->arena, &path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                           TARN_SLICE_ARG(directory), TARN_SLICE_ARG(name))) {
        return tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    TARN_TRY(tarn_store_open(table->store, path, &reader->object, err));
    return tarn_parquet_open(reader->alloc, reader->object, &reader->file, err);
}

// ---- columns ----

typedef struct column_map {
    lake_data_reader *reader;
    const lake_schema *table_schema;
    const lake_schema *file_schema;
    const tarn_value *partition; // in the order of the table's partition columns
    size_t *columns;             // of the Parquet file, to be scanned
    tarn_type *types;
    size_t count;
} column_map;

static tarn_status set_constant(column_map *map, source *to, tarn_value value, tarn_error *err) {
    to->position = NOT_IN_FILE;
    return tarn_vector_init_constant(&to->constant, value, &map->reader->arena, err);
}

static void set_scanned(column_map *map, source *to, size_t column, tarn_type type) {
    to->position = map->count;
    map->columns[map->count] = column;
    map->types[map->count] = type;
    map->count++;
}

static ptrdiff_t partition_position(const lake_schema *schema, size_t column) {
    for (size_t i = 0; i < schema->partition.count; i++) {
        if (schema->partition.indices[i] == column) return (ptrdiff_t)i;
    }
    return -1;
}

static tarn_status map_column(column_map *map, size_t column, source *to, tarn_error *err) {
    const lake_field *field = &map->table_schema->fields[column];
    if (field->type.kind == LAKE_OTHER) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "column '" TARN_SLICE_FMT "' of type " TARN_SLICE_FMT,
                         TARN_SLICE_ARG(field->name), TARN_SLICE_ARG(field->type.text));
    }
    ptrdiff_t key = partition_position(map->table_schema, column);
    if (key >= 0) {
        tarn_value value = map->partition[key];
        value.type = field->type.type;
        return set_constant(map, to, value, err);
    }
    ptrdiff_t old = lake_schema_find_id(map->file_schema, field->id);
    if (old < 0) return set_constant(map, to, tarn_value_null(field->type.type), err);
    const lake_field *old_field = &map->file_schema->fields[old];
    if (!lake_type_widens(&old_field->type, &field->type)) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "column '" TARN_SLICE_FMT "' changed its type from " TARN_SLICE_FMT
                         " to " TARN_SLICE_FMT,
                         TARN_SLICE_ARG(field->name), TARN_SLICE_ARG(old_field->type.text),
                         TARN_SLICE_ARG(field->type.text));
    }
    ptrdiff_t index = tarn_schema_find(tarn_parquet_schema(map->reader->file), old_field->name);
    bool is_required = map->file_schema->definition.schema.fields[old].not_null;
    if (index < 0 && is_required) {
        return tarn_fail(err, TARN_CORRUPT,
                         "there is no column '" TARN_SLICE_FMT "', which is NOT NULL",
                         TARN_SLICE_ARG(old_field->name));
    }
    if (index < 0) return set_constant(map, to, tarn_value_null(field->type.type), err);
    set_scanned(map, to, (size_t)index, field->type.type);
    return TARN_OK;
}

static tarn_status map_system_column(column_map *map, tarn_slice name, tarn_type type, source *to,
                                     tarn_error *err) {
    ptrdiff_t index = tarn_schema_find(tarn_parquet_schema(map->reader->file), name);
    if (index < 0) {
        return tarn_fail(err, TARN_CORRUPT, "there is no column " TARN_SLICE_FMT,
                         TARN_SLICE_ARG(name));
    }
    set_scanned(map, to, (size_t)index, type);
    return TARN_OK;
}

static tarn_status read_partition(const lake_schema *schema, tarn_slice bytes, tarn_arena *arena,
                                  tarn_value **ret_values, tarn_error *err) {
    size_t count = schema->partition.count;
    tarn_value *values = tarn_arena_new(arena, tarn_value, count);
    tarn_type *types = tarn_arena_new(arena, tarn_type, count);
    if (values == NULL || types == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a partition");
    for (size_t i = 0; i < count; i++) {
        types[i] = lake_type_stored(&schema->fields[schema->partition.indices[i]].type);
    }
    TARN_TRY(tarn_binrow_deserialize(bytes, types, count, values, err));
    *ret_values = values;
    return TARN_OK;
}

static tarn_status map_columns(tarn_table *table, const lake_entry *entry,
                               const lake_data_reader_options *options, column_map *map,
                               tarn_error *err) {
    lake_data_reader *reader = map->reader;
    size_t count = options->column_count + (options->system_columns ? 2 : 0);
    tarn_value *partition = NULL;
    map->table_schema = table->schema;
    TARN_TRY(lake_table_schema(table, entry->file.schema_id, &map->file_schema, err));
    TARN_TRY(read_partition(table->schema, entry->partition, &reader->arena, &partition, err));
    map->partition = partition;
    map->columns = tarn_arena_new(&reader->arena, size_t, count);
    map->types = tarn_arena_new(&reader->arena, tarn_type, count);
    reader->sources = tarn_arena_new(&reader->arena, source, count);
    reader->chunk.columns = tarn_arena_new(&reader->arena, tarn_vector, count);
    reader->selection = tarn_arena_new(&reader->arena, uint32_t, TARN_CHUNK_ROWS);
    if (map->columns == NULL || map->types == NULL || reader->sources == NULL ||
        reader->chunk.columns == NULL || reader->selection == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "a data file's columns");
    }
    reader->source_count = count;
    reader->chunk.column_count = count;
    for (size_t i = 0; i < options->column_count; i++) {
        TARN_TRY(map_column(map, options->columns[i], &reader->sources[i], err));
    }
    if (!options->system_columns) return TARN_OK;
    source *system = reader->sources + options->column_count;
    TARN_TRY(map_system_column(map, TARN_LIT(LAKE_SEQUENCE_NAME), tarn_type_of(TARN_TYPE_BIGINT),
                               &system[0], err));
    return map_system_column(map, TARN_LIT(LAKE_KIND_NAME), tarn_type_of(TARN_TYPE_SMALLINT),
                             &system[1], err);
}

// ---- row groups ----

tarn_value lake_widen_bound(tarn_value bound, tarn_type type) {
    if (bound.is_null) return tarn_value_null(type);
    bool same = bound.type.id == type.id;
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT: same = tarn_type_is_integer(bound.type); break;
    case TARN_TYPE_DOUBLE: same = same || bound.type.id == TARN_TYPE_REAL; break;
    case TARN_TYPE_NUMERIC:
        if (!same || bound.type.scale != type.scale) return tarn_value_null(type);
        if (bound.type.precision <= 18 && type.precision > 18) bound.i128 = bound.i64;
        break;
    default: break;
    }
    if (!same) return tarn_value_null(type);
    bound.type = type;
    return bound;
}

static bool group_may_match(const column_map *map, const lake_data_reader *reader, size_t group,
                            const tarn_prune_test *test) {
    const lake_field *field = &map->table_schema->fields[test->column];
    ptrdiff_t old = lake_schema_find_id(map->file_schema, field->id);
    if (old < 0 || partition_position(map->table_schema, test->column) >= 0) return true;
    ptrdiff_t index =
        tarn_schema_find(tarn_parquet_schema(reader->file), map->file_schema->fields[old].name);
    if (index < 0) return true;
    tarn_parquet_stats stats;
    tarn_parquet_row_group_stats(reader->file, group, (size_t)index, &stats);
    tarn_bounds bounds = {
        .min = lake_widen_bound(stats.min, field->type.type),
        .max = lake_widen_bound(stats.max, field->type.type),
        .null_count = stats.null_count,
        .row_count = (int64_t)tarn_parquet_row_group_rows(reader->file, group),
    };
    return tarn_prune_may_match(test, &bounds);
}

static void count(_Atomic uint64_t *counter, uint64_t amount) {
    // Only a statistic: nothing is ordered by it.
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static tarn_status choose_row_groups(const column_map *map, const lake_data_reader_options *options,
                                     lake_data_reader *reader, uint64_t **ret_groups,
                                     tarn_error *err) {
    const tarn_prune *prune = options->prune;
    size_t total = tarn_parquet_row_group_count(reader->file);
    size_t slice_count = options->slice_count == 0 ? 1 : options->slice_count;
    size_t begin = total * options->slice / slice_count;
    size_t end = total * (options->slice + 1) / slice_count;
    uint64_t *groups = tarn_arena_new(&reader->arena, uint64_t, TARN_BITMAP_WORDS(total) + 1);
    if (groups == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu row groups", total);
    size_t chosen = 0;
    for (size_t i = begin; i < end; i++) {
        bool keep = true;
        for (size_t t = 0; prune != NULL && keep && t < prune->test_count; t++) {
            keep = group_may_match(map, reader, i, &prune->tests[t]);
        }
        if (!keep) continue;
        tarn_bitmap_set(groups, i);
        chosen++;
    }
    if (reader->counters != NULL) {
        count(&reader->counters->row_groups_total, end - begin);
        count(&reader->counters->row_groups_read, chosen);
    }
    *ret_groups = groups;
    return TARN_OK;
}

// ---- reading ----

static tarn_status start(tarn_table *table, const lake_entry *entry,
                         const lake_data_reader_options *options, lake_data_reader *reader,
                         tarn_error *err) {
    TARN_TRY(open_file(table, entry, reader, err));
    column_map map = {.reader = reader};
    uint64_t *row_groups = NULL;
    TARN_TRY(map_columns(table, entry, options, &map, err));
    TARN_TRY(choose_row_groups(&map, options, reader, &row_groups, err));
    tarn_parquet_scan_options scan_options = {
        .columns = map.columns,
        .column_count = map.count,
        .types = map.types,
        .row_groups = row_groups,
    };
    TARN_TRY(tarn_parquet_scan_new(reader->file, &scan_options, &reader->scan, err));
    if (reader->counters != NULL && options->slice == 0) {
        count(&reader->counters->files_read, 1);
        count(&reader->counters->bytes_read, tarn_object_size(reader->object));
    }
    return TARN_OK;
}

tarn_status lake_data_reader_new(tarn_table *table, const lake_entry *entry,
                                 const lake_data_reader_options *options,
                                 lake_data_reader **ret_reader, tarn_error *err) {
    const tarn_alloc *alloc = options->alloc == NULL ? table->alloc : options->alloc;
    lake_data_reader *reader = tarn_alloc_new(alloc, lake_data_reader, 1);
    if (reader == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a data file");
    reader->alloc = alloc;
    reader->deleted = options->deleted;
    reader->counters = options->counters;
    tarn_arena_init(&reader->arena, alloc, SIZE_MAX);
    tarn_status status = start(table, entry, options, reader, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "file '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(entry->file.name));
        lake_data_reader_free(reader);
        return status;
    }
    *ret_reader = reader;
    return TARN_OK;
}

// Leaves out deleted positions. The whole chunk may go.
static void apply_deleted(lake_data_reader *reader, uint64_t first_row) {
    tarn_chunk *chunk = &reader->chunk;
    size_t kept = 0;
    for (size_t i = 0; i < chunk->row_count; i++) {
        uint64_t position = first_row + i;
        if (position <= UINT32_MAX &&
            roaring_bitmap_contains(reader->deleted, (uint32_t)position)) {
            continue;
        }
        reader->selection[kept++] = (uint32_t)i;
    }
    chunk->selection = kept == chunk->row_count ? NULL : reader->selection;
    chunk->selected_count = kept;
}

tarn_status lake_data_reader_next(lake_data_reader *reader, const tarn_chunk **ret_chunk,
                                  uint64_t *ret_first_row, tarn_error *err) {
    const tarn_chunk *stored = NULL;
    uint64_t first_row = 0;
    do {
        TARN_TRY(tarn_parquet_scan_next(reader->scan, &stored, &first_row, err));
        if (stored == NULL) {
            *ret_chunk = NULL;
            return TARN_OK;
        }
        reader->chunk.row_count = stored->row_count;
        reader->chunk.selection = NULL;
        if (reader->deleted != NULL) apply_deleted(reader, first_row);
    } while (tarn_chunk_count(&reader->chunk) == 0);
    for (size_t i = 0; i < reader->source_count; i++) {
        const source *from = &reader->sources[i];
        reader->chunk.columns[i] =
            from->position == NOT_IN_FILE ? from->constant : stored->columns[from->position];
    }
    if (reader->counters != NULL) count(&reader->counters->rows_read, stored->row_count);
    if (ret_first_row != NULL) *ret_first_row = first_row;
    *ret_chunk = &reader->chunk;
    return TARN_OK;
}

void lake_data_reader_free(lake_data_reader *reader) {
    if (reader == NULL) return;
    tarn_parquet_scan_free(reader->scan);
    tarn_parquet_close(reader->file);
    tarn_object_close(reader->object);
    tarn_arena_reset(&reader->arena);
    tarn_alloc_free(reader->alloc, reader, 1);
}
