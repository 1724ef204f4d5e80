#include "lake/manifest.h"

#include "format/avro/avro.h"

// A manifest rolls at some megabytes; these bounds only stop nonsense.
#define MANIFEST_LIMIT_BYTES ((size_t)512 << 20)

// ---- fields of Avro records ----

typedef struct record_reader {
    const tarn_avro_value *record;
    tarn_arena *arena;
    tarn_error *err;
} record_reader;

static tarn_status field_fault(const record_reader *reader, const char *name, const char *what) {
    return tarn_fail(reader->err, TARN_CORRUPT, "field %s is %s", name, what);
}

// The field, NULL when absent or null.
static const tarn_avro_value *optional_field(const record_reader *reader, const char *name) {
    const tarn_avro_value *value = tarn_avro_field(reader->record, tarn_slice_from_cstr(name));
    return value == NULL || value->kind == TARN_AVRO_NULL ? NULL : value;
}

static tarn_status read_int(const record_reader *reader, const char *name, bool is_required,
                            int64_t min, int64_t max, int64_t *number) {
    const tarn_avro_value *value = optional_field(reader, name);
    if (value == NULL) {
        return is_required ? field_fault(reader, name, "missing") : TARN_OK;
    }
    if (value->kind != TARN_AVRO_INT && value->kind != TARN_AVRO_LONG) {
        return field_fault(reader, name, "not a number");
    }
    if (value->i64 < min || value->i64 > max) return field_fault(reader, name, "out of range");
    *number = value->i64;
    return TARN_OK;
}

static tarn_status read_int32(const record_reader *reader, const char *name, bool is_required,
                              int32_t *number) {
    int64_t wide = *number;
    TARN_TRY(read_int(reader, name, is_required, INT32_MIN, INT32_MAX, &wide));
    *number = (int32_t)wide;
    return TARN_OK;
}

static tarn_status read_count(const record_reader *reader, const char *name, int64_t *number) {
    return read_int(reader, name, true, 0, INT64_MAX, number);
}

static tarn_status read_bytes(const record_reader *reader, const char *name, bool is_required,
                              tarn_slice *bytes) {
    const tarn_avro_value *value = optional_field(reader, name);
    if (value == NULL) {
        return is_required ? field_fault(reader, name, "missing") : TARN_OK;
    }
    if (value->kind != TARN_AVRO_BYTES && value->kind != TARN_AVRO_STRING) {
        return field_fault(reader, name, "neither text nor bytes");
    }
    *bytes = value->bytes;
    // Absent and empty are told apart by the pointer.
    if (bytes->data == NULL) bytes->data = (const uint8_t *)"";
    return TARN_OK;
}

// A file name: no path, so that a damaged manifest cannot point outside the table.
static tarn_status check_name(const record_reader *reader, const char *field, tarn_slice name) {
    bool is_plain = name.len > 0 && memchr(name.data, '/', name.len) == NULL &&
                    memchr(name.data, 0, name.len) == NULL &&
                    !tarn_slice_equal(name, TARN_LIT(".")) &&
                    !tarn_slice_equal(name, TARN_LIT(".."));
    return is_plain ? TARN_OK : field_fault(reader, field, "not a file name");
}

static tarn_status read_name(const record_reader *reader, const char *field, tarn_slice *name) {
    TARN_TRY(read_bytes(reader, field, true, name));
    return check_name(reader, field, *name);
}

// NULL and 0 when the field is absent.
static tarn_status read_texts(const record_reader *reader, const char *name,
                              const tarn_slice **ret_texts, size_t *ret_count) {
    const tarn_avro_value *array = optional_field(reader, name);
    *ret_texts = NULL;
    *ret_count = 0;
    if (array == NULL) return TARN_OK;
    if (array->kind != TARN_AVRO_ARRAY) return field_fault(reader, name, "not an array");
    tarn_slice *texts = tarn_arena_new(reader->arena, tarn_slice, array->count);
    if (texts == NULL) return tarn_fail(reader->err, TARN_NO_MEMORY, "field %s", name);
    for (size_t i = 0; i < array->count; i++) {
        if (array->items[i].kind != TARN_AVRO_STRING) return field_fault(reader, name, "not text");
        texts[i] = array->items[i].bytes;
    }
    *ret_texts = texts;
    *ret_count = array->count;
    return TARN_OK;
}

static tarn_status nested(const record_reader *reader, const char *name,
                          record_reader *ret_nested) {
    const tarn_avro_value *value = optional_field(reader, name);
    if (value == NULL) return field_fault(reader, name, "missing");
    if (value->kind != TARN_AVRO_RECORD) return field_fault(reader, name, "not a record");
    *ret_nested = (record_reader){value, reader->arena, reader->err};
    return TARN_OK;
}

static tarn_status read_stats(const record_reader *outer, const char *name, lake_stats *stats) {
    record_reader reader = {0};
    TARN_TRY(nested(outer, name, &reader));
    TARN_TRY(read_bytes(&reader, "_MIN_VALUES", true, &stats->min));
    TARN_TRY(read_bytes(&reader, "_MAX_VALUES", true, &stats->max));
    const tarn_avro_value *counts = optional_field(&reader, "_NULL_COUNTS");
    if (counts == NULL) return TARN_OK;
    if (counts->kind != TARN_AVRO_ARRAY) {
        return field_fault(&reader, "_NULL_COUNTS", "not an array");
    }
    int64_t *numbers = tarn_arena_new(reader.arena, int64_t, counts->count);
    if (numbers == NULL) return tarn_fail(reader.err, TARN_NO_MEMORY, "null counts");
    for (size_t i = 0; i < counts->count; i++) {
        tarn_avro_kind kind = counts->items[i].kind;
        bool is_number = kind == TARN_AVRO_LONG || kind == TARN_AVRO_INT;
        if (!is_number && kind != TARN_AVRO_NULL) {
            return field_fault(&reader, "_NULL_COUNTS", "not an array of numbers");
        }
        numbers[i] = is_number && counts->items[i].i64 >= 0 ? counts->items[i].i64 : LAKE_UNKNOWN;
    }
    stats->null_counts = numbers;
    stats->null_count_count = counts->count;
    return TARN_OK;
}

static tarn_status check_version(const record_reader *reader, int32_t expected) {
    int32_t version = 0;
    TARN_TRY(read_int32(reader, "_VERSION", true, &version));
    if (version == expected) return TARN_OK;
    return tarn_fail(reader->err, TARN_UNSUPPORTED, "entry version %d (only %d is known)", version,
                     expected);
}

// ---- data files ----

static tarn_status read_file_optionals(const record_reader *reader, lake_file *file) {
    TARN_TRY(read_int(reader, "_CREATION_TIME", false, INT64_MIN, INT64_MAX, &file->created_ms));
    TARN_TRY(read_int(reader, "_DELETE_ROW_COUNT", false, 0, INT64_MAX, &file->delete_row_count));
    TARN_TRY(read_bytes(reader, "_EMBEDDED_FILE_INDEX", false, &file->embedded_index));
    TARN_TRY(read_int32(reader, "_FILE_SOURCE", false, &file->source));
    TARN_TRY(read_texts(reader, "_VALUE_STATS_COLS", &file->value_stat_cols,
                        &file->value_stat_col_count));
    TARN_TRY(read_bytes(reader, "_EXTERNAL_PATH", false, &file->external_path));
    TARN_TRY(read_int(reader, "_FIRST_ROW_ID", false, 0, INT64_MAX, &file->first_row_id));
    return read_texts(reader, "_WRITE_COLS", &file->write_cols, &file->write_col_count);
}

static tarn_status read_file(const record_reader *outer, lake_file *file) {
    record_reader reader = {0};
    TARN_TRY(nested(outer, "_FILE", &reader));
    *file = (lake_file){.created_ms = LAKE_UNKNOWN,
                        .delete_row_count = LAKE_UNKNOWN,
                        .source = LAKE_UNKNOWN,
                        .first_row_id = LAKE_UNKNOWN};
    TARN_TRY(read_name(&reader, "_FILE_NAME", &file->name));
    TARN_TRY(read_count(&reader, "_FILE_SIZE", &file->file_bytes));
    TARN_TRY(read_count(&reader, "_ROW_COUNT", &file->row_count));
    TARN_TRY(read_bytes(&reader, "_MIN_KEY", true, &file->min_key));
    TARN_TRY(read_bytes(&reader, "_MAX_KEY", true, &file->max_key));
    TARN_TRY(read_stats(&reader, "_KEY_STATS", &file->key_stats));
    TARN_TRY(read_stats(&reader, "_VALUE_STATS", &file->value_stats));
    TARN_TRY(
        read_int(&reader, "_MIN_SEQUENCE_NUMBER", true, INT64_MIN, INT64_MAX, &file->min_sequence));
    TARN_TRY(
        read_int(&reader, "_MAX_SEQUENCE_NUMBER", true, INT64_MIN, INT64_MAX, &file->max_sequence));
    TARN_TRY(read_count(&reader, "_SCHEMA_ID", &file->schema_id));
    TARN_TRY(read_int32(&reader, "_LEVEL", true, &file->level));
    if (file->level < 0) return field_fault(&reader, "_LEVEL", "out of range");
    TARN_TRY(read_texts(&reader, "_EXTRA_FILES", &file->extra_files, &file->extra_file_count));
    for (size_t i = 0; i < file->extra_file_count; i++) {
        TARN_TRY(check_name(&reader, "_EXTRA_FILES", file->extra_files[i]));
    }
    return read_file_optionals(&reader, file);
}

static tarn_status read_entry(const record_reader *reader, lake_entry *entry) {
    TARN_TRY(check_version(reader, 2));
    int64_t kind = 0;
    TARN_TRY(read_int(reader, "_KIND", true, LAKE_ADD, LAKE_DELETE, &kind));
    entry->kind = (lake_entry_kind)kind;
    TARN_TRY(read_bytes(reader, "_PARTITION", true, &entry->partition));
    TARN_TRY(read_int32(reader, "_BUCKET", true, &entry->bucket));
    entry->total_buckets = LAKE_UNKNOWN;
    TARN_TRY(read_int32(reader, "_TOTAL_BUCKETS", false, &entry->total_buckets));
    return read_file(reader, &entry->file);
}

static tarn_status read_manifest_line(const record_reader *reader, lake_manifest *manifest) {
    TARN_TRY(check_version(reader, 2));
    TARN_TRY(read_name(reader, "_FILE_NAME", &manifest->name));
    TARN_TRY(read_count(reader, "_FILE_SIZE", &manifest->file_bytes));
    TARN_TRY(read_count(reader, "_NUM_ADDED_FILES", &manifest->added_count));
    TARN_TRY(read_count(reader, "_NUM_DELETED_FILES", &manifest->deleted_count));
    TARN_TRY(read_stats(reader, "_PARTITION_STATS", &manifest->partition_stats));
    TARN_TRY(read_count(reader, "_SCHEMA_ID", &manifest->schema_id));
    manifest->has_bounds = optional_field(reader, "_MIN_BUCKET") != NULL &&
                           optional_field(reader, "_MAX_BUCKET") != NULL &&
                           optional_field(reader, "_MIN_LEVEL") != NULL &&
                           optional_field(reader, "_MAX_LEVEL") != NULL;
    TARN_TRY(read_int32(reader, "_MIN_BUCKET", false, &manifest->min_bucket));
    TARN_TRY(read_int32(reader, "_MAX_BUCKET", false, &manifest->max_bucket));
    TARN_TRY(read_int32(reader, "_MIN_LEVEL", false, &manifest->min_level));
    return read_int32(reader, "_MAX_LEVEL", false, &manifest->max_level);
}

static tarn_status read_range(const record_reader *reader, lake_vector_range *range) {
    TARN_TRY(read_name(reader, "f0", &range->data_file));
    TARN_TRY(read_count(reader, "f1", &range->offset));
    return read_count(reader, "f2", &range->len);
}

static tarn_status read_index_entry(const record_reader *reader, lake_index_entry *entry) {
    TARN_TRY(check_version(reader, 1));
    TARN_TRY(read_bytes(reader, "_PARTITION", true, &entry->partition));
    TARN_TRY(read_int32(reader, "_BUCKET", true, &entry->bucket));
    TARN_TRY(read_bytes(reader, "_INDEX_TYPE", true, &entry->type));
    TARN_TRY(read_name(reader, "_FILE_NAME", &entry->name));
    TARN_TRY(read_count(reader, "_FILE_SIZE", &entry->file_bytes));
    TARN_TRY(read_bytes(reader, "_EXTERNAL_PATH", false, &entry->external_path));
    const tarn_avro_value *array = optional_field(reader, "_DELETIONS_VECTORS_RANGES");
    if (array == NULL) return TARN_OK;
    if (array->kind != TARN_AVRO_ARRAY) {
        return field_fault(reader, "_DELETIONS_VECTORS_RANGES", "not an array");
    }
    lake_vector_range *ranges = tarn_arena_new(reader->arena, lake_vector_range, array->count);
    if (ranges == NULL) return tarn_fail(reader->err, TARN_NO_MEMORY, "deletion vector ranges");
    for (size_t i = 0; i < array->count; i++) {
        if (array->items[i].kind != TARN_AVRO_RECORD) {
            return field_fault(reader, "_DELETIONS_VECTORS_RANGES", "not an array of records");
        }
        record_reader item = {&array->items[i], reader->arena, reader->err};
        TARN_TRY(read_range(&item, &ranges[i]));
    }
    entry->ranges = ranges;
    entry->range_count = array->count;
    return TARN_OK;
}

// ---- whole files ----

static tarn_status read_container(tarn_object *object, tarn_arena *arena, tarn_avro_file *ret_file,
                                  tarn_error *err) {
    uint8_t magic[3] = {0};
    if (tarn_object_size(object) >= sizeof magic) {
        TARN_TRY(tarn_object_read(object, 0, magic, sizeof magic, err));
    }
    if (memcmp(magic, "ORC", sizeof magic) == 0) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         TARN_SLICE_FMT ": manifests in ORC format ('manifest.format' = 'orc')",
                         TARN_SLICE_ARG(tarn_object_name(object)));
    }
    return tarn_avro_read(object, MANIFEST_LIMIT_BYTES, arena, ret_file, err);
}

static tarn_status in_file(tarn_object *object, size_t index, tarn_status status, tarn_error *err) {
    if (status != TARN_OK) {
        tarn_error_prefix(
            err, TARN_SLICE_FMT ": entry %zu: ", TARN_SLICE_ARG(tarn_object_name(object)), index);
    }
    return status;
}

static tarn_status record_at(const tarn_avro_file *file, size_t index, tarn_arena *arena,
                             tarn_error *err, record_reader *ret_reader) {
    if (file->data[index].kind != TARN_AVRO_RECORD) {
        return tarn_fail(err, TARN_CORRUPT, "not a record");
    }
    *ret_reader = (record_reader){&file->data[index], arena, err};
    return TARN_OK;
}

tarn_status lake_manifest_list_decode(tarn_object *object, tarn_arena *arena,
                                      lake_manifest **ret_manifests, size_t *ret_count,
                                      tarn_error *err) {
    tarn_avro_file file;
    TARN_TRY(read_container(object, arena, &file, err));
    lake_manifest *manifests = tarn_arena_new(arena, lake_manifest, file.datum_count);
    if (manifests == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a manifest list");
    for (size_t i = 0; i < file.datum_count; i++) {
        record_reader reader = {0};
        tarn_status status = record_at(&file, i, arena, err, &reader);
        if (status == TARN_OK) status = read_manifest_line(&reader, &manifests[i]);
        TARN_TRY(in_file(object, i, status, err));
    }
    *ret_manifests = manifests;
    *ret_count = file.datum_count;
    return TARN_OK;
}

static const char *const ENTRY_FIELDS[] = {"_VERSION", "_KIND",          "_PARTITION",
                                           "_BUCKET",  "_TOTAL_BUCKETS", "_FILE"};
static const char *const FILE_FIELDS[] = {
    "_FILE_NAME",
    "_FILE_SIZE",
    "_ROW_COUNT",
    "_MIN_KEY",
    "_MAX_KEY",
    "_KEY_STATS",
    "_VALUE_STATS",
    "_MIN_SEQUENCE_NUMBER",
    "_MAX_SEQUENCE_NUMBER",
    "_SCHEMA_ID",
    "_LEVEL",
    "_EXTRA_FILES",
    "_CREATION_TIME",
    "_DELETE_ROW_COUNT",
    "_EMBEDDED_FILE_INDEX",
    "_FILE_SOURCE",
    "_VALUE_STATS_COLS",
    "_EXTERNAL_PATH",
    "_FIRST_ROW_ID",
    "_WRITE_COLS",
};

static bool has_only(const tarn_avro_value *record, const char *const *names, size_t count) {
    for (size_t i = 0; i < record->count; i++) {
        // What is null loses nothing by being left out.
        bool is_known = record->items[i].kind == TARN_AVRO_NULL;
        for (size_t j = 0; j < count && !is_known; j++) {
            is_known = tarn_slice_equal(record->names[i], tarn_slice_from_cstr(names[j]));
        }
        if (!is_known) return false;
    }
    return true;
}

static bool is_plain(const tarn_avro_value *record) {
    const tarn_avro_value *file = tarn_avro_field(record, TARN_LIT("_FILE"));
    return has_only(record, ENTRY_FIELDS, sizeof ENTRY_FIELDS / sizeof ENTRY_FIELDS[0]) &&
           has_only(file, FILE_FIELDS, sizeof FILE_FIELDS / sizeof FILE_FIELDS[0]);
}

tarn_status lake_manifest_decode(tarn_object *object, tarn_arena *arena, lake_entry **ret_entries,
                                 size_t *ret_count, bool *ret_is_plain, tarn_error *err) {
    tarn_avro_file file;
    TARN_TRY(read_container(object, arena, &file, err));
    lake_entry *entries = tarn_arena_new(arena, lake_entry, file.datum_count);
    if (entries == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a manifest");
    bool all_plain = true;
    for (size_t i = 0; i < file.datum_count; i++) {
        record_reader reader = {0};
        tarn_status status = record_at(&file, i, arena, err, &reader);
        if (status == TARN_OK) status = read_entry(&reader, &entries[i]);
        TARN_TRY(in_file(object, i, status, err));
        all_plain = all_plain && is_plain(reader.record);
    }
    *ret_entries = entries;
    *ret_count = file.datum_count;
    *ret_is_plain = all_plain;
    return TARN_OK;
}

tarn_status lake_index_manifest_decode(tarn_object *object, tarn_arena *arena,
                                       lake_index_entry **ret_entries, size_t *ret_count,
                                       tarn_error *err) {
    tarn_avro_file file;
    TARN_TRY(read_container(object, arena, &file, err));
    lake_index_entry *entries = tarn_arena_new(arena, lake_index_entry, file.datum_count);
    if (entries == NULL) return tarn_fail(err, TARN_NO_MEMORY, "an index manifest");
    for (size_t i = 0; i < file.datum_count; i++) {
        record_reader reader = {0};
        tarn_status status = record_at(&file, i, arena, err, &reader);
        if (status == TARN_OK) status = read_index_entry(&reader, &entries[i]);
        TARN_TRY(in_file(object, i, status, err));
    }
    *ret_entries = entries;
    *ret_count = file.datum_count;
    return TARN_OK;
}
