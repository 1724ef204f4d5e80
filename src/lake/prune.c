#include "lake/prune.h"

#include "format/binrow/binrow.h"
#include "lake/data_reader.h"

// ---- bounds of a file ----

static tarn_bounds unknown_bounds(tarn_type type, int64_t row_count) {
    return (tarn_bounds){.min = tarn_value_null(type),
                         .max = tarn_value_null(type),
                         .null_count = LAKE_UNKNOWN,
                         .row_count = row_count};
}

static tarn_type stats_type(const lake_field *field) {
    // Nothing is ever stored for a type that tarn does not have; its slot is null.
    return field->type.kind == LAKE_OTHER ? tarn_type_of(TARN_TYPE_BIGINT)
                                          : lake_type_stored(&field->type);
}

// Statistics over fields of the file's schema, decoded.
typedef struct decoded_stats {
    tarn_value *min; // NULL: nothing is known
    tarn_value *max;
    const int64_t *null_counts;
    size_t count;
} decoded_stats;

static tarn_status decode_stats(const lake_schema *schema, const lake_stats *stats,
                                const lake_columns *fields, tarn_arena *arena,
                                decoded_stats *ret_decoded, tarn_error *err) {
    size_t count = fields->count;
    *ret_decoded = (decoded_stats){0};
    size_t min_arity = 0;
    size_t max_arity = 0;
    TARN_TRY(tarn_binrow_arity(stats->min, &min_arity, err));
    TARN_TRY(tarn_binrow_arity(stats->max, &max_arity, err));
    // Missing statistics are fine; statistics of another shape are as good as missing.
    if (count == 0 || min_arity != count || max_arity != count) return TARN_OK;
    tarn_type *types = tarn_arena_new(arena, tarn_type, count);
    decoded_stats decoded = {.min = tarn_arena_new(arena, tarn_value, count),
                             .max = tarn_arena_new(arena, tarn_value, count),
                             .count = count};
    if (types == NULL || decoded.min == NULL || decoded.max == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "statistics");
    }
    for (size_t i = 0; i < count; i++) types[i] = stats_type(&schema->fields[fields->indices[i]]);
    TARN_TRY(tarn_binrow_deserialize(stats->min, types, count, decoded.min, err));
    TARN_TRY(tarn_binrow_deserialize(stats->max, types, count, decoded.max, err));
    if (stats->null_count_count == count) decoded.null_counts = stats->null_counts;
    *ret_decoded = decoded;
    return TARN_OK;
}

static tarn_value plain_value(tarn_value value, const lake_field *field) {
    value.type = field->type.type; // TINYINT is marked in stored rows only
    return value;
}

// Enters what is known of field `fields[i]` of the file under the table's column with its id.
static void spread(const lake_schema *table_schema, const lake_schema *file_schema,
                   const decoded_stats *decoded, const lake_columns *fields, tarn_bounds *bounds) {
    for (size_t i = 0; i < decoded->count; i++) {
        const lake_field *field = &file_schema->fields[fields->indices[i]];
        ptrdiff_t column = lake_schema_find_id(table_schema, field->id);
        if (column < 0 || field->type.kind == LAKE_OTHER) continue;
        tarn_type type = table_schema->fields[column].type.type;
        bounds[column].min = lake_widen_bound(plain_value(decoded->min[i], field), type);
        bounds[column].max = lake_widen_bound(plain_value(decoded->max[i], field), type);
        if (decoded->null_counts != NULL) bounds[column].null_count = decoded->null_counts[i];
    }
}

// Which fields of the file's schema the value statistics are about.
static tarn_status stats_fields(const lake_schema *schema, const lake_file *file, tarn_arena *arena,
                                lake_columns *ret_fields, tarn_error *err) {
    bool all = file->value_stat_cols == NULL;
    size_t count = all ? schema->definition.schema.field_count : file->value_stat_col_count;
    lake_columns fields = {tarn_arena_new(arena, size_t, count), count};
    if (fields.indices == NULL) return tarn_fail(err, TARN_NO_MEMORY, "statistics");
    for (size_t i = 0; i < count; i++) {
        ptrdiff_t field =
            all ? (ptrdiff_t)i
                : tarn_schema_find(&schema->definition.schema, file->value_stat_cols[i]);
        if (field < 0) {
            fields.count = 0; // a name from nowhere: use none of it
            break;
        }
        fields.indices[i] = (size_t)field;
    }
    *ret_fields = fields;
    return TARN_OK;
}

static tarn_status partition_values(const lake_schema *schema, tarn_slice partition,
                                    tarn_arena *arena, tarn_value **ret_values, tarn_error *err) {
    size_t count = schema->partition.count;
    tarn_type *types = tarn_arena_new(arena, tarn_type, count);
    tarn_value *values = tarn_arena_new(arena, tarn_value, count);
    if (types == NULL || values == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a partition");
    for (size_t i = 0; i < count; i++) {
        types[i] = lake_type_stored(&schema->fields[schema->partition.indices[i]].type);
    }
    TARN_TRY(tarn_binrow_deserialize(partition, types, count, values, err));
    for (size_t i = 0; i < count; i++) {
        values[i] = plain_value(values[i], &schema->fields[schema->partition.indices[i]]);
    }
    *ret_values = values;
    return TARN_OK;
}

static tarn_bounds exact_bounds(tarn_value value, int64_t row_count) {
    return (tarn_bounds){.min = value,
                         .max = value,
                         .null_count = value.is_null ? row_count : 0,
                         .row_count = row_count};
}

static tarn_status spread_partition(const lake_schema *schema, const lake_entry *entry,
                                    tarn_arena *arena, tarn_bounds *bounds, tarn_error *err) {
    tarn_value *values = NULL;
    TARN_TRY(partition_values(schema, entry->partition, arena, &values, err));
    for (size_t i = 0; i < schema->partition.count; i++) {
        bounds[schema->partition.indices[i]] = exact_bounds(values[i], entry->file.row_count);
    }
    return TARN_OK;
}

tarn_status lake_file_bounds(tarn_table *table, const lake_entry *entry, tarn_arena *arena,
                             tarn_bounds **ret_bounds, tarn_error *err) {
    const lake_schema *schema = table->schema;
    const lake_schema *file_schema = NULL;
    size_t count = schema->definition.schema.field_count;
    int64_t rows = entry->file.row_count;
    TARN_TRY(lake_table_schema(table, entry->file.schema_id, &file_schema, err));
    tarn_bounds *bounds = tarn_arena_new(arena, tarn_bounds, count);
    if (bounds == NULL) return tarn_fail(err, TARN_NO_MEMORY, "statistics");
    for (size_t i = 0; i < count; i++) {
        bounds[i] = unknown_bounds(schema->fields[i].type.type, rows);
        // A column that came later holds only nulls here.
        if (lake_schema_find_id(file_schema, schema->fields[i].id) < 0) bounds[i].null_count = rows;
    }
    lake_columns fields = {0};
    decoded_stats decoded;
    TARN_TRY(stats_fields(file_schema, &entry->file, arena, &fields, err));
    TARN_TRY(decode_stats(file_schema, &entry->file.value_stats, &fields, arena, &decoded, err));
    spread(schema, file_schema, &decoded, &fields, bounds);
    if (lake_schema_is_keyed(file_schema)) {
        TARN_TRY(decode_stats(file_schema, &entry->file.key_stats, &file_schema->key, arena,
                              &decoded, err));
        spread(schema, file_schema, &decoded, &file_schema->key, bounds);
    }
    TARN_TRY(spread_partition(schema, entry, arena, bounds, err));
    *ret_bounds = bounds;
    return TARN_OK;
}

// ---- the pruner ----

static bool is_partition_column(const lake_schema *schema, size_t column) {
    return lake_columns_contain(&schema->partition, column);
}

// The values that tests on `column` leave possible: those of an equality or an IN list.
static const tarn_prune_test *find_equality(const tarn_prune *prune, size_t column,
                                            tarn_type type) {
    for (size_t i = 0; i < prune->test_count; i++) {
        const tarn_prune_test *test = &prune->tests[i];
        if (test->column != column) continue;
        if (test->op != TARN_PRUNE_EQ && test->op != TARN_PRUNE_IN) continue;
        bool is_typed = true;
        for (size_t v = 0; v < test->value_count && is_typed; v++) {
            is_typed = tarn_type_equal(test->values[v].type, type) && !test->values[v].is_null;
        }
        if (is_typed && test->value_count > 0) return test;
    }
    return NULL;
}

// More combinations than this do not pay: a table has few buckets.
#define BUCKET_ROWS_MAX 64

static tarn_status encode_bucket_row(lake_pruner *pruner, const tarn_value *values, size_t count,
                                     tarn_error *err) {
    tarn_buffer row = {0};
    tarn_slice *copy = &pruner->bucket_rows[pruner->bucket_row_count];
    tarn_status status = tarn_binrow_encode(values, count, &row, err);
    if (status == TARN_OK && !tarn_arena_copy(pruner->arena, tarn_buffer_slice(&row), copy)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a bucket key");
    }
    tarn_buffer_free(&row);
    if (status == TARN_OK) pruner->bucket_row_count++;
    return status;
}

// Every combination of values that the tests allow for the bucket key.
static tarn_status find_bucket_rows(lake_pruner *pruner, tarn_error *err) {
    const lake_schema *schema = pruner->table->schema;
    size_t count = schema->bucket_key.count;
    tarn_slice function =
        lake_option_find(schema->definition.options, schema->definition.option_count,
                         TARN_LIT("bucket-function.type"));
    bool is_default = function.data == NULL || tarn_slice_equal(function, TARN_LIT("default"));
    if (count == 0 || !is_default || pruner->prune == NULL) return TARN_OK;
    const tarn_prune_test **tests = tarn_arena_new(pruner->arena, const tarn_prune_test *, count);
    tarn_value *values = tarn_arena_new(pruner->arena, tarn_value, count);
    tarn_slice *rows = tarn_arena_new(pruner->arena, tarn_slice, BUCKET_ROWS_MAX);
    if (tests == NULL || values == NULL || rows == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "a bucket key");
    }
    size_t combinations = 1;
    for (size_t i = 0; i < count; i++) {
        size_t column = schema->bucket_key.indices[i];
        tests[i] = find_equality(pruner->prune, column, schema->fields[column].type.type);
        if (tests[i] == NULL || tests[i]->value_count > BUCKET_ROWS_MAX / combinations) {
            return TARN_OK;
        }
        combinations *= tests[i]->value_count;
    }
    pruner->bucket_rows = rows;
    for (size_t n = 0; n < combinations; n++) {
        size_t rest = n;
        for (size_t i = 0; i < count; i++) {
            values[i] = tests[i]->values[rest % tests[i]->value_count];
            values[i].type = lake_type_stored(&schema->fields[schema->bucket_key.indices[i]].type);
            rest /= tests[i]->value_count;
        }
        TARN_TRY(encode_bucket_row(pruner, values, count, err));
    }
    return TARN_OK;
}

tarn_status lake_pruner_init(lake_pruner *pruner, tarn_table *table, const tarn_prune *prune,
                             tarn_arena *arena, tarn_error *err) {
    const lake_schema *schema = table->schema;
    *pruner = (lake_pruner){.table = table, .prune = prune, .arena = arena};
    if (prune == NULL) return TARN_OK;
    tarn_prune_test *tests = tarn_arena_new(arena, tarn_prune_test, prune->test_count);
    if (tests == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a predicate");
    size_t count = 0;
    for (size_t i = 0; i < prune->test_count; i++) {
        size_t column = prune->tests[i].column;
        if (column >= schema->definition.schema.field_count) {
            return tarn_fail(err, TARN_INVALID, "a predicate on column %zu of %zu", column,
                             schema->definition.schema.field_count);
        }
        bool is_key =
            lake_columns_contain(&schema->key, column) || is_partition_column(schema, column);
        if (is_key) tests[count++] = prune->tests[i];
    }
    pruner->key_prune = (tarn_prune){tests, count};
    return find_bucket_rows(pruner, err);
}

static bool bucket_may_match(const lake_pruner *pruner, int32_t bucket, int32_t total) {
    if (pruner->bucket_rows == NULL || total <= 0) return true;
    for (size_t i = 0; i < pruner->bucket_row_count; i++) {
        if (tarn_binrow_bucket(pruner->bucket_rows[i], total) == bucket) return true;
    }
    return false;
}

static bool tests_may_match(const tarn_prune *prune, const lake_schema *schema,
                            const tarn_bounds *partition_bounds) {
    for (size_t i = 0; i < prune->test_count; i++) {
        for (size_t p = 0; p < schema->partition.count; p++) {
            if (schema->partition.indices[p] != prune->tests[i].column) continue;
            if (!tarn_prune_may_match(&prune->tests[i], &partition_bounds[p])) return false;
        }
    }
    return true;
}

// Metadata that does not decode here keeps the manifest; reading it will say what is wrong.
static bool keep_manifest(void *context, const lake_manifest *manifest) {
    lake_pruner *pruner = context;
    const lake_schema *schema = pruner->table->schema;
    if (pruner->prune == NULL || schema->partition.count == 0) return true;
    decoded_stats decoded;
    tarn_bounds *bounds = tarn_arena_new(pruner->arena, tarn_bounds, schema->partition.count);
    if (bounds == NULL ||
        decode_stats(schema, &manifest->partition_stats, &schema->partition, pruner->arena,
                     &decoded, NULL) != TARN_OK ||
        decoded.count == 0) {
        return true;
    }
    int64_t entries = manifest->added_count + manifest->deleted_count;
    for (size_t i = 0; i < schema->partition.count; i++) {
        const lake_field *field = &schema->fields[schema->partition.indices[i]];
        bounds[i] = (tarn_bounds){
            .min = plain_value(decoded.min[i], field),
            .max = plain_value(decoded.max[i], field),
            .null_count = decoded.null_counts == NULL ? LAKE_UNKNOWN : decoded.null_counts[i],
            .row_count = entries};
    }
    return tests_may_match(pruner->prune, schema, bounds);
}

static bool keep_entry(void *context, const lake_entry *entry) {
    lake_pruner *pruner = context;
    const lake_schema *schema = pruner->table->schema;
    if (pruner->prune == NULL) return true;
    if (!bucket_may_match(pruner, entry->bucket, entry->total_buckets)) return false;
    if (schema->partition.count == 0) return true;
    tarn_value *values = NULL;
    tarn_bounds *bounds = tarn_arena_new(pruner->arena, tarn_bounds, schema->partition.count);
    if (bounds == NULL ||
        partition_values(schema, entry->partition, pruner->arena, &values, NULL) != TARN_OK) {
        return true;
    }
    for (size_t i = 0; i < schema->partition.count; i++) bounds[i] = exact_bounds(values[i], 1);
    return tests_may_match(pruner->prune, schema, bounds);
}

lake_live_filter lake_pruner_filter(lake_pruner *pruner) {
    return (lake_live_filter){
        .keep_manifest = keep_manifest, .keep_entry = keep_entry, .context = pruner};
}

tarn_status lake_pruner_keep_file(lake_pruner *pruner, const lake_entry *entry, bool keys_only,
                                  bool *ret_keep, tarn_error *err) {
    *ret_keep = true;
    const tarn_prune *prune = keys_only ? &pruner->key_prune : pruner->prune;
    if (prune == NULL || prune->test_count == 0) return TARN_OK;
    tarn_bounds *bounds = NULL;
    TARN_TRY(lake_file_bounds(pruner->table, entry, pruner->arena, &bounds, err));
    for (size_t i = 0; i < prune->test_count && *ret_keep; i++) {
        *ret_keep = tarn_prune_may_match(&prune->tests[i], &bounds[prune->tests[i].column]);
    }
    return TARN_OK;
}
