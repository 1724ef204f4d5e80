#include "lake/schema.h"

#include "lake/json.h"

#define SCHEMA_VERSION 3
// Ids from here on belong to system columns and are never stored.
#define SYSTEM_FIELD_ID 1073741823

static tarn_status no_memory(const char *what, tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "%s of a schema", what);
}

ptrdiff_t lake_schema_find_id(const lake_schema *schema, int32_t id) {
    for (size_t i = 0; i < schema->definition.schema.field_count; i++) {
        if (schema->fields[i].id == id) return (ptrdiff_t)i;
    }
    return -1;
}

bool lake_columns_contain(const lake_columns *columns, size_t index) {
    for (size_t i = 0; i < columns->count; i++) {
        if (columns->indices[i] == index) return true;
    }
    return false;
}

// ---- what follows from the stored parts ----

static tarn_status resolve_name(const lake_schema *schema, tarn_slice name, const char *what,
                                size_t *ret_index, tarn_error *err) {
    const tarn_schema *columns = &schema->definition.schema;
    ptrdiff_t index = tarn_schema_find(columns, name);
    if (index >= 0) {
        *ret_index = (size_t)index;
        return TARN_OK;
    }
    (void)tarn_fail(err, TARN_INVALID, "%s '" TARN_SLICE_FMT "' is not a column", what,
                    TARN_SLICE_ARG(name)); // returned below, after the hint
    for (size_t i = 0; i < columns->field_count; i++) {
        if (tarn_nearest_name(name, &columns->fields[i].name, 1) < 0) continue;
        tarn_error_hint(err, "did you mean '" TARN_SLICE_FMT "'?",
                        TARN_SLICE_ARG(columns->fields[i].name));
        break;
    }
    return TARN_INVALID;
}

typedef struct name_list {
    const char *what; // for messages
    const tarn_slice *names;
    size_t count;
} name_list;

static tarn_status resolve_names(const lake_schema *schema, name_list list, tarn_arena *arena,
                                 lake_columns *ret_columns, tarn_error *err) {
    lake_columns columns = {tarn_arena_new(arena, size_t, list.count), 0};
    if (columns.indices == NULL) return no_memory(list.what, err);
    for (size_t i = 0; i < list.count; i++) {
        size_t index = 0;
        TARN_TRY(resolve_name(schema, list.names[i], list.what, &index, err));
        if (lake_columns_contain(&columns, index)) {
            return tarn_fail(err, TARN_INVALID, "%s '" TARN_SLICE_FMT "' is named twice", list.what,
                             TARN_SLICE_ARG(list.names[i]));
        }
        columns.indices[columns.count++] = index;
    }
    *ret_columns = columns;
    return TARN_OK;
}

// "a,b" as an option value.
static tarn_status resolve_list(const lake_schema *schema, tarn_slice list, const char *what,
                                tarn_arena *arena, lake_columns *ret_columns, tarn_error *err) {
    size_t most = 1;
    for (size_t i = 0; i < list.len; i++) most += list.data[i] == ',';
    tarn_slice *names = tarn_arena_new(arena, tarn_slice, most);
    if (names == NULL) return no_memory(what, err);
    size_t count = 0;
    while (list.len > 0) {
        const uint8_t *comma = memchr(list.data, ',', list.len);
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.data);
        tarn_slice name = tarn_slice_head(list, len);
        while (name.len > 0 && name.data[0] == ' ') name = tarn_slice_skip(name, 1);
        while (name.len > 0 && name.data[name.len - 1] == ' ') name.len--;
        names[count++] = name;
        list = tarn_slice_skip(list, comma == NULL ? len : len + 1);
    }
    return resolve_names(schema, (name_list){what, names, count}, arena, ret_columns, err);
}

static tarn_status derive_keys(lake_schema *schema, tarn_arena *arena, tarn_error *err) {
    const tarn_table_definition *definition = &schema->definition;
    name_list partition = {"partition key", definition->partition_keys,
                           definition->partition_key_count};
    name_list primary = {"primary key", definition->primary_keys, definition->primary_key_count};
    TARN_TRY(resolve_names(schema, partition, arena, &schema->partition, err));
    TARN_TRY(resolve_names(schema, primary, arena, &schema->primary_key, err));
    schema->key.indices = tarn_arena_new(arena, size_t, schema->primary_key.count);
    if (schema->key.indices == NULL) return no_memory("the key", err);
    for (size_t i = 0; i < schema->primary_key.count; i++) {
        size_t index = schema->primary_key.indices[i];
        if (lake_columns_contain(&schema->partition, index)) continue;
        schema->key.indices[schema->key.count++] = index;
    }
    if (schema->primary_key.count > 0 && schema->key.count == 0) {
        return tarn_fail(err, TARN_INVALID,
                         "the primary key has only partition columns; it needs one more");
    }
    return TARN_OK;
}

static tarn_status derive_options(lake_schema *schema, tarn_arena *arena, tarn_error *err) {
    const tarn_table_definition *definition = &schema->definition;
    bool is_keyed = schema->primary_key.count > 0;
    TARN_TRY(lake_options_parse(definition->options, definition->option_count, is_keyed,
                                &schema->options, err));
    tarn_slice bucket =
        lake_option_find(definition->options, definition->option_count, TARN_LIT("bucket"));
    // Before version 2 one bucket was the default.
    if (schema->version <= 1 && bucket.data == NULL) schema->options.bucket = 1;
    if (schema->options.bucket > 0) {
        if (schema->options.bucket_key.len > 0) {
            TARN_TRY(resolve_list(schema, schema->options.bucket_key, "bucket-key", arena,
                                  &schema->bucket_key, err));
        } else {
            schema->bucket_key = schema->key;
        }
    }
    return resolve_list(schema, schema->options.sequence_field, "sequence.field", arena,
                        &schema->sequence, err);
}

static tarn_status derive(lake_schema *schema, tarn_arena *arena, tarn_error *err) {
    tarn_schema *columns = &schema->definition.schema;
    columns->fields = tarn_arena_new(arena, tarn_field, columns->field_count);
    if (columns->fields == NULL) return no_memory("the columns", err);
    for (size_t i = 0; i < columns->field_count; i++) {
        const lake_field *field = &schema->fields[i];
        if (tarn_schema_find(&(tarn_schema){columns->fields, i}, field->name) >= 0) {
            return tarn_fail(err, TARN_INVALID, "column '" TARN_SLICE_FMT "' is named twice",
                             TARN_SLICE_ARG(field->name));
        }
        columns->fields[i] = (tarn_field){.name = field->name,
                                          .type = field->type.type,
                                          .not_null = field->type.not_null,
                                          .id = field->id};
    }
    TARN_TRY(derive_keys(schema, arena, err));
    return derive_options(schema, arena, err);
}

// ---- decoding ----

static tarn_status decode_type(const json_t *json, tarn_arena *arena, lake_type *ret_type,
                               tarn_error *err) {
    // A constructed type is an object; its own "type" names it.
    const json_t *text = json_is_object(json) ? lake_json_get(json, "type") : json;
    if (!json_is_string(text)) return tarn_fail(err, TARN_CORRUPT, "\"type\" is not a type");
    tarn_slice name;
    TARN_TRY(lake_json_text(text, arena, &name, err));
    return lake_type_parse(name, ret_type, err);
}

static tarn_status decode_field(const json_t *json, tarn_arena *arena, lake_field *ret_field,
                                tarn_error *err) {
    if (!json_is_object(json)) return tarn_fail(err, TARN_CORRUPT, "not an object");
    lake_field field = {0};
    int64_t id = 0;
    TARN_TRY(lake_json_int(json, "id", &id, err));
    if (id < 0 || id >= SYSTEM_FIELD_ID) {
        return tarn_fail(err, TARN_CORRUPT, "id %lld is out of range", (long long)id);
    }
    field.id = (int32_t)id;
    TARN_TRY(lake_json_string(json, "name", arena, &field.name, err));
    TARN_TRY(decode_type(lake_json_get(json, "type"), arena, &field.type, err));
    *ret_field = field;
    return TARN_OK;
}

static tarn_status decode_fields(const json_t *array, lake_schema *schema, tarn_arena *arena,
                                 tarn_error *err) {
    if (!json_is_array(array)) return tarn_fail(err, TARN_CORRUPT, "\"fields\" is not an array");
    size_t count = json_array_size(array);
    schema->fields = tarn_arena_new(arena, lake_field, count);
    if (schema->fields == NULL) return no_memory("the fields", err);
    for (size_t i = 0; i < count; i++) {
        tarn_status status = decode_field(json_array_get(array, i), arena, &schema->fields[i], err);
        if (status != TARN_OK) {
            tarn_error_prefix(err, "field %zu: ", i);
            return status;
        }
        schema->definition.schema.field_count = i;
        if (lake_schema_find_id(schema, schema->fields[i].id) >= 0) {
            return tarn_fail(err, TARN_CORRUPT, "field id %d is used twice", schema->fields[i].id);
        }
    }
    schema->definition.schema.field_count = count;
    return TARN_OK;
}

static tarn_status decode_options(json_t *object, lake_schema *schema, tarn_arena *arena,
                                  tarn_error *err) {
    if (object != NULL && !json_is_object(object)) {
        return tarn_fail(err, TARN_CORRUPT, "\"options\" is not an object");
    }
    size_t count = json_object_size(object);
    tarn_option *options = tarn_arena_new(arena, tarn_option, count);
    if (options == NULL) return no_memory("the options", err);
    size_t i = 0;
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        const json_t *value = json_object_iter_value(at);
        if (!json_is_string(value)) {
            return tarn_fail(err, TARN_CORRUPT, "option \"%s\" is not a string",
                             json_object_iter_key(at));
        }
        if (!tarn_arena_copy(arena, tarn_slice_from_cstr(json_object_iter_key(at)),
                             &options[i].key)) {
            return no_memory("an option", err);
        }
        TARN_TRY(lake_json_text(value, arena, &options[i].value, err));
        i++;
    }
    schema->definition.options = options;
    schema->definition.option_count = count;
    return TARN_OK;
}

static tarn_status decode_members(const json_t *json, tarn_arena *arena, lake_schema *schema,
                                  tarn_error *err) {
    tarn_table_definition *definition = &schema->definition;
    tarn_slice *names = NULL;
    TARN_TRY(lake_json_optional_int(json, "version", 1, &schema->version, err));
    if (schema->version > SCHEMA_VERSION) {
        return tarn_fail(err, TARN_UNSUPPORTED, "schema version %lld is newer than %d",
                         (long long)schema->version, SCHEMA_VERSION);
    }
    TARN_TRY(lake_json_int(json, "id", &schema->id, err));
    TARN_TRY(lake_json_optional_int(json, "highestFieldId", 0, &schema->highest_field_id, err));
    TARN_TRY(lake_json_optional_int(json, "timeMillis", 0, &schema->time_ms, err));
    TARN_TRY(lake_json_optional_string(json, "comment", arena, &definition->comment, err));
    TARN_TRY(decode_fields(lake_json_get(json, "fields"), schema, arena, err));
    TARN_TRY(lake_json_strings(json, "partitionKeys", arena, &names,
                               &definition->partition_key_count, err));
    definition->partition_keys = names;
    TARN_TRY(
        lake_json_strings(json, "primaryKeys", arena, &names, &definition->primary_key_count, err));
    definition->primary_keys = names;
    return decode_options(lake_json_get(json, "options"), schema, arena, err);
}

tarn_status lake_schema_decode(tarn_slice json, tarn_arena *arena, lake_schema *ret_schema,
                               tarn_error *err) {
    json_t *root = NULL;
    lake_schema schema = {0};
    tarn_status status = lake_json_parse(json, &root, err);
    if (status == TARN_OK) status = decode_members(root, arena, &schema, err);
    if (status == TARN_OK) status = derive(&schema, arena, err);
    lake_json_free(root);
    if (status == TARN_OK) *ret_schema = schema;
    return status;
}

// ---- a new table ----

static bool is_reserved(tarn_slice name) {
    static const char *const names[] = {"_SEQUENCE_NUMBER", "_VALUE_KIND", "_LEVEL", "rowkind",
                                        "_ROW_ID"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(names[i]))) return true;
    }
    return tarn_slice_starts_with(name, TARN_LIT("_KEY_"));
}

static bool names_contain(const tarn_slice *names, size_t count, tarn_slice name) {
    for (size_t i = 0; i < count; i++) {
        if (tarn_slice_equal(names[i], name)) return true;
    }
    return false;
}

static tarn_status new_field(const tarn_table_definition *definition, size_t index,
                             tarn_arena *arena, lake_field *ret_field, tarn_error *err) {
    const tarn_field *from = &definition->schema.fields[index];
    if (from->name.len == 0 || is_reserved(from->name)) {
        return tarn_fail(err, TARN_INVALID, "'" TARN_SLICE_FMT "' cannot name a column",
                         TARN_SLICE_ARG(from->name));
    }
    bool not_null = from->not_null || names_contain(definition->primary_keys,
                                                    definition->primary_key_count, from->name);
    lake_field field = {.id = from->id < 0 ? (int32_t)index : from->id};
    tarn_buffer text = {0};
    tarn_slice copy = {0};
    tarn_status status = lake_type_format(from->type, not_null, &text, err);
    if (status == TARN_OK && !(tarn_arena_copy(arena, tarn_buffer_slice(&text), &copy) &&
                               tarn_arena_copy(arena, from->name, &field.name))) {
        status = no_memory("a column", err);
    }
    if (status == TARN_OK) status = lake_type_parse(copy, &field.type, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "column '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(from->name));
    }
    tarn_buffer_free(&text);
    if (status == TARN_OK) *ret_field = field;
    return status;
}

static tarn_status new_fields(const tarn_table_definition *definition, tarn_arena *arena,
                              lake_schema *schema, tarn_error *err) {
    size_t count = definition->schema.field_count;
    if (count == 0) return tarn_fail(err, TARN_INVALID, "a table needs at least one column");
    schema->fields = tarn_arena_new(arena, lake_field, count);
    if (schema->fields == NULL) return no_memory("the columns", err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(new_field(definition, i, arena, &schema->fields[i], err));
        schema->definition.schema.field_count = i;
        int32_t id = schema->fields[i].id;
        if (id >= SYSTEM_FIELD_ID || lake_schema_find_id(schema, id) >= 0) {
            return tarn_fail(err, TARN_INVALID, "field id %d is taken", id);
        }
        if (id > schema->highest_field_id) schema->highest_field_id = id;
    }
    schema->definition.schema.field_count = count;
    return TARN_OK;
}

static tarn_status copy_names(const tarn_slice *names, size_t count, tarn_arena *arena,
                              const tarn_slice **ret_names, tarn_error *err) {
    tarn_slice *copies = tarn_arena_new(arena, tarn_slice, count);
    if (copies == NULL) return no_memory("the keys", err);
    for (size_t i = 0; i < count; i++) {
        if (!tarn_arena_copy(arena, names[i], &copies[i])) return no_memory("a key", err);
    }
    *ret_names = copies;
    return TARN_OK;
}

// Copies the options and adds those that give this version its meaning for every reader.
static tarn_status new_options(const tarn_table_definition *definition, tarn_arena *arena,
                               tarn_table_definition *copy, tarn_error *err) {
    tarn_option *options = tarn_arena_new(arena, tarn_option, definition->option_count + 1);
    if (options == NULL) return no_memory("the options", err);
    size_t count = 0;
    for (size_t i = 0; i < definition->option_count; i++) {
        const tarn_option *from = &definition->options[i];
        if (!tarn_arena_copy(arena, from->key, &options[count].key) ||
            !tarn_arena_copy(arena, from->value, &options[count].value)) {
            return no_memory("an option", err);
        }
        count++;
    }
    if (definition->primary_key_count > 0 &&
        lake_option_find(options, count, TARN_LIT("bucket")).data == NULL) {
        options[count++] = (tarn_option){TARN_LIT("bucket"), TARN_LIT("1")};
    }
    copy->options = options;
    copy->option_count = count;
    return TARN_OK;
}

static bool is_key_type(const lake_type *type) {
    return type->kind != LAKE_FLOAT && type->kind != LAKE_DOUBLE && type->kind != LAKE_OTHER;
}

// Java prints a float in a partition's directory name in a way of its own, and orders -0.0 before
// 0.0 in keys, where tarn holds them equal.
static tarn_status check_key_types(const lake_schema *schema, const lake_columns *columns,
                                   const char *what, tarn_error *err) {
    for (size_t i = 0; i < columns->count; i++) {
        const lake_field *field = &schema->fields[columns->indices[i]];
        if (is_key_type(&field->type)) continue;
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "%s '" TARN_SLICE_FMT "': columns of type " TARN_SLICE_FMT
                         " cannot be part of a key",
                         what, TARN_SLICE_ARG(field->name), TARN_SLICE_ARG(field->type.text));
    }
    return TARN_OK;
}

static tarn_status check_partition_names(const lake_schema *schema, tarn_error *err) {
    for (size_t i = 0; i < schema->partition.count; i++) {
        const lake_field *field = &schema->fields[schema->partition.indices[i]];
        lake_kind kind = field->type.kind;
        bool is_binary = kind == LAKE_BINARY || kind == LAKE_VARBINARY;
        bool is_time = kind == LAKE_TIME || kind == LAKE_TIMESTAMP || kind == LAKE_TIMESTAMP_LTZ;
        if (!is_binary && (!is_time || schema->options.legacy_partition_names)) continue;
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "partition key '" TARN_SLICE_FMT "': directories cannot be named by "
                         "values of type " TARN_SLICE_FMT "%s",
                         TARN_SLICE_ARG(field->name), TARN_SLICE_ARG(field->type.text),
                         is_time ? " with partition.legacy-name = false" : "");
    }
    return TARN_OK;
}

static tarn_status check_buckets(const lake_schema *schema, tarn_error *err) {
    bool is_keyed = lake_schema_is_keyed(schema);
    if (is_keyed && schema->options.bucket < 1) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "option 'bucket' = '%d': tables with a primary key need a fixed number "
                         "of buckets",
                         schema->options.bucket);
    }
    if (!is_keyed && schema->options.bucket != -1) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "option 'bucket' = '%d': tables without a primary key have bucket -1",
                         schema->options.bucket);
    }
    if (!is_keyed && schema->options.bucket_key.len > 0) {
        return tarn_fail(err, TARN_INVALID, "option 'bucket-key' needs a primary key");
    }
    if (!is_keyed && schema->sequence.count > 0) {
        return tarn_fail(err, TARN_INVALID, "option 'sequence.field' needs a primary key");
    }
    for (size_t i = 0; i < schema->bucket_key.count; i++) {
        if (lake_columns_contain(&schema->key, schema->bucket_key.indices[i])) continue;
        return tarn_fail(err, TARN_INVALID,
                         "option 'bucket-key': '" TARN_SLICE_FMT
                         "' is not a primary key column outside the partition keys",
                         TARN_SLICE_ARG(schema->fields[schema->bucket_key.indices[i]].name));
    }
    for (size_t i = 0; is_keyed && i < schema->partition.count; i++) {
        if (lake_columns_contain(&schema->primary_key, schema->partition.indices[i])) continue;
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "partition key '" TARN_SLICE_FMT "' is not part of the primary key",
                         TARN_SLICE_ARG(schema->fields[schema->partition.indices[i]].name));
    }
    return TARN_OK;
}

tarn_status lake_schema_new(const tarn_table_definition *definition, int64_t time_ms,
                            tarn_arena *arena, lake_schema *ret_schema, tarn_error *err) {
    lake_schema schema = {.version = SCHEMA_VERSION, .time_ms = time_ms};
    tarn_table_definition *copy = &schema.definition;
    TARN_TRY(lake_options_check_new(definition->options, definition->option_count, err));
    TARN_TRY(new_fields(definition, arena, &schema, err));
    TARN_TRY(new_options(definition, arena, copy, err));
    TARN_TRY(copy_names(definition->partition_keys, definition->partition_key_count, arena,
                        &copy->partition_keys, err));
    copy->partition_key_count = definition->partition_key_count;
    TARN_TRY(copy_names(definition->primary_keys, definition->primary_key_count, arena,
                        &copy->primary_keys, err));
    copy->primary_key_count = definition->primary_key_count;
    if (definition->comment.len > 0 &&
        !tarn_arena_copy(arena, definition->comment, &copy->comment)) {
        return no_memory("the comment", err);
    }
    TARN_TRY(derive(&schema, arena, err));
    TARN_TRY(check_key_types(&schema, &schema.partition, "partition key", err));
    TARN_TRY(check_key_types(&schema, &schema.primary_key, "primary key", err));
    TARN_TRY(check_partition_names(&schema, err));
    TARN_TRY(check_buckets(&schema, err));
    *ret_schema = schema;
    return TARN_OK;
}

// ---- encoding ----

static json_t *encode_names(lake_json_writer *writer, const tarn_slice *names, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        lake_json_push(writer, array, lake_json_new_string(writer, names[i]));
    }
    return array;
}

static json_t *encode_fields(lake_json_writer *writer, const lake_schema *schema) {
    json_t *array = json_array();
    for (size_t i = 0; i < schema->definition.schema.field_count; i++) {
        const lake_field *field = &schema->fields[i];
        json_t *object = json_object();
        lake_json_set(writer, object, "id", json_integer(field->id));
        lake_json_set(writer, object, "name", lake_json_new_string(writer, field->name));
        lake_json_set(writer, object, "type", lake_json_new_string(writer, field->type.text));
        lake_json_push(writer, array, object);
    }
    return array;
}

tarn_status lake_schema_encode(const lake_schema *schema, tarn_buffer *out, tarn_error *err) {
    const tarn_table_definition *definition = &schema->definition;
    lake_json_writer writer;
    lake_json_writer_init(&writer);
    json_t *root = writer.root;
    lake_json_set(&writer, root, "version", json_integer(schema->version));
    lake_json_set(&writer, root, "id", json_integer(schema->id));
    lake_json_set(&writer, root, "fields", encode_fields(&writer, schema));
    lake_json_set(&writer, root, "highestFieldId", json_integer(schema->highest_field_id));
    lake_json_set(
        &writer, root, "partitionKeys",
        encode_names(&writer, definition->partition_keys, definition->partition_key_count));
    lake_json_set(&writer, root, "primaryKeys",
                  encode_names(&writer, definition->primary_keys, definition->primary_key_count));
    json_t *options = json_object();
    for (size_t i = 0; i < definition->option_count; i++) {
        // Keys were copied into an arena, which puts a NUL behind them.
        lake_json_set(&writer, options, (const char *)definition->options[i].key.data,
                      lake_json_new_string(&writer, definition->options[i].value));
    }
    lake_json_set(&writer, root, "options", options);
    if (definition->comment.len > 0) {
        lake_json_set(&writer, root, "comment", lake_json_new_string(&writer, definition->comment));
    }
    lake_json_set(&writer, root, "timeMillis", json_integer(schema->time_ms));
    tarn_status status = lake_json_write(&writer, out, err);
    lake_json_writer_reset(&writer);
    return status;
}

// ---- use ----

tarn_status lake_schema_check_use(const lake_schema *schema, lake_use use, tarn_error *err) {
    const tarn_table_definition *definition = &schema->definition;
    TARN_TRY(lake_options_check_use(definition->options, definition->option_count, use, err));
    if (use == LAKE_USE_READ) return TARN_OK;

    tarn_slice format =
        lake_option_find(definition->options, definition->option_count, TARN_LIT("file.format"));
    if (schema->version <= 2 && format.data == NULL) {
        return tarn_fail(err, TARN_UNSUPPORTED, "the table's files are ORC (schema version %lld)",
                         (long long)schema->version);
    }
    for (size_t i = 0; i < definition->schema.field_count; i++) {
        const lake_field *field = &schema->fields[i];
        if (field->type.kind != LAKE_OTHER) continue;
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "column '" TARN_SLICE_FMT "' has type " TARN_SLICE_FMT,
                         TARN_SLICE_ARG(field->name), TARN_SLICE_ARG(field->type.text));
    }
    TARN_TRY(check_key_types(schema, &schema->partition, "partition key", err));
    TARN_TRY(check_key_types(schema, &schema->primary_key, "primary key", err));
    TARN_TRY(check_partition_names(schema, err));
    return check_buckets(schema, err);
}
