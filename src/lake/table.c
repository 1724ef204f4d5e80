#include "lake/table.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "format/binrow/binrow.h"
#include "lake/history.h"
#include "lake/partition.h"
#include "lake/sequences.h"

#define PARTITION_COLUMNS_MAX 64

// ---- paths ----

tarn_status lake_path(const tarn_table *table, tarn_arena *arena, tarn_slice *ret_path,
                      tarn_error *err, const char *format, ...) {
    char name[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof name) {
        return tarn_fail(err, TARN_CORRUPT, "a file name of %d bytes", len);
    }
    if (!tarn_arena_printf(arena, ret_path, TARN_SLICE_FMT "/%s", TARN_SLICE_ARG(table->path),
                           name)) {
        return tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    return TARN_OK;
}

tarn_status lake_bucket_path(const tarn_table *table, tarn_slice partition, int32_t bucket,
                             tarn_arena *arena, tarn_slice *ret_path, tarn_error *err) {
    const lake_schema *schema = table->schema;
    tarn_type types[PARTITION_COLUMNS_MAX];
    tarn_value values[PARTITION_COLUMNS_MAX];
    if (schema->partition.count > PARTITION_COLUMNS_MAX) {
        return tarn_fail(err, TARN_UNSUPPORTED, "more than %d partition keys",
                         PARTITION_COLUMNS_MAX);
    }
    for (size_t i = 0; i < schema->partition.count; i++) {
        types[i] = lake_type_stored(&schema->fields[schema->partition.indices[i]].type);
    }
    TARN_TRY(tarn_binrow_deserialize(partition, types, schema->partition.count, values, err));
    tarn_buffer path = {0};
    tarn_status status = TARN_OK;
    if (!tarn_buffer_append(&path, table->path) || !tarn_buffer_append_byte(&path, '/')) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    if (status == TARN_OK) status = lake_partition_path(schema, values, &path, err);
    const char *separator = schema->partition.count > 0 ? "/" : "";
    if (status == TARN_OK &&
        !(tarn_buffer_printf(&path, bucket == -2 ? "%sbucket-postpone" : "%sbucket-%d", separator,
                             bucket) &&
          tarn_arena_copy(arena, tarn_buffer_slice(&path), ret_path))) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    tarn_buffer_free(&path);
    return status;
}

tarn_status lake_uuid(const tarn_table *table, tarn_arena *arena, tarn_slice *ret_uuid,
                      tarn_error *err) {
    uint8_t r[16];
    tarn_os_random(tarn_store_os(table->store), r, sizeof r);
    r[6] = (uint8_t)((r[6] & 0x0F) | 0x40); // version 4: random
    r[8] = (uint8_t)((r[8] & 0x3F) | 0x80); // variant of RFC 4122
    if (!tarn_arena_printf(arena, ret_uuid,
                           "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                           r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11],
                           r[12], r[13], r[14], r[15])) {
        return tarn_fail(err, TARN_NO_MEMORY, "a file name");
    }
    return TARN_OK;
}

// ---- listing ----

static bool parse_number(tarn_slice text, int64_t *ret_number) {
    uint64_t number = 0;
    if (text.len == 0 || text.len > 18) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_number = (int64_t)number;
    return true;
}

static int by_number(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

// Numbers that follow `prefix` in the names directly below `directory`.
static tarn_status list_numbers(tarn_store *store, tarn_slice directory, const char *prefix,
                                tarn_arena *arena, lake_numbers *ret_numbers, tarn_error *err) {
    tarn_slice *names = NULL;
    size_t name_count = 0;
    TARN_TRY(tarn_store_list(store, directory, arena, &names, &name_count, err));
    lake_numbers numbers = {tarn_arena_new(arena, int64_t, name_count), 0};
    if (numbers.items == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu file names", name_count);
    tarn_slice start = tarn_slice_from_cstr(prefix);
    for (size_t i = 0; i < name_count; i++) {
        if (!tarn_slice_starts_with(names[i], start)) continue;
        tarn_slice rest = tarn_slice_skip(names[i], start.len);
        if (parse_number(rest, &numbers.items[numbers.count])) numbers.count++;
    }
    qsort(numbers.items, numbers.count, sizeof *numbers.items, by_number);
    *ret_numbers = numbers;
    return TARN_OK;
}

tarn_status lake_list_numbers(tarn_table *table, const char *directory, const char *prefix,
                              tarn_arena *arena, lake_numbers *ret_numbers, tarn_error *err) {
    tarn_slice path;
    TARN_TRY(lake_path(table, arena, &path, err, "%s", directory));
    return list_numbers(table->store, path, prefix, arena, ret_numbers, err);
}

// ---- schemas ----

static const lake_schema *find_schema(const tarn_table *table, int64_t id) {
    for (size_t i = 0; i < table->schema_count; i++) {
        if (table->schemas[i]->id == id) return table->schemas[i];
    }
    return NULL;
}

// Decodes into the table's arena; the caller holds the lock (or owns the table alone).
static tarn_status add_schema(tarn_table *table, int64_t id, tarn_slice json,
                              const lake_schema **ret_schema, tarn_error *err) {
    lake_schema *schema = tarn_arena_new(&table->arena, lake_schema, 1);
    if (table->schema_count == table->schema_capacity) {
        size_t capacity = table->schema_capacity == 0 ? 4 : table->schema_capacity * 2;
        const lake_schema **grown = tarn_arena_new(&table->arena, const lake_schema *, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "the schemas of a table");
        for (size_t i = 0; i < table->schema_count; i++) grown[i] = table->schemas[i];
        table->schemas = grown;
        table->schema_capacity = capacity;
    }
    if (schema == NULL) return tarn_fail(err, TARN_NO_MEMORY, "the schemas of a table");
    tarn_status status = lake_schema_decode(json, &table->arena, schema, err);
    if (status == TARN_OK && schema->id != id) {
        status = tarn_fail(err, TARN_CORRUPT, "\"id\" is %lld", (long long)schema->id);
    }
    // A stored schema that does not make sense is damage, not a wrong request.
    if (status == TARN_INVALID) {
        if (err != NULL) err->status = TARN_CORRUPT;
        status = TARN_CORRUPT;
    }
    if (status != TARN_OK) {
        tarn_error_prefix(err, "schema/schema-%lld: ", (long long)id);
        return status;
    }
    table->schemas[table->schema_count++] = schema;
    *ret_schema = schema;
    return TARN_OK;
}

tarn_status lake_table_schema(tarn_table *table, int64_t id, const lake_schema **ret_schema,
                              tarn_error *err) {
    tarn_mutex_lock(table->lock);
    const lake_schema *schema = find_schema(table, id);
    tarn_mutex_unlock(table->lock);
    if (schema != NULL) {
        *ret_schema = schema;
        return TARN_OK;
    }

    tarn_arena scratch;
    tarn_arena_init(&scratch, table->alloc, SIZE_MAX);
    tarn_slice path;
    tarn_slice json;
    tarn_status status =
        lake_path(table, &scratch, &path, err, "schema/schema-%lld", (long long)id);
    if (status == TARN_OK) {
        status = tarn_store_get(table->store, path, LAKE_JSON_LIMIT_BYTES, &scratch, &json, err);
    }
    if (status == TARN_OK) {
        tarn_mutex_lock(table->lock);
        schema = find_schema(table, id); // someone else may have been faster
        if (schema == NULL) status = add_schema(table, id, json, &schema, err);
        tarn_mutex_unlock(table->lock);
    }
    tarn_arena_reset(&scratch);
    if (status == TARN_OK) *ret_schema = schema;
    return status;
}

// ---- opening ----

// -1 when there is no schema, hence no table.
static tarn_status latest_schema_id(tarn_store *store, tarn_slice path, const tarn_alloc *alloc,
                                    int64_t *ret_id, tarn_error *err) {
    tarn_arena scratch;
    tarn_arena_init(&scratch, alloc, SIZE_MAX);
    tarn_slice directory = {0};
    lake_numbers ids = {0};
    tarn_status status = TARN_OK;
    if (!tarn_arena_printf(&scratch, &directory, TARN_SLICE_FMT "/schema", TARN_SLICE_ARG(path))) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    if (status == TARN_OK) {
        status = list_numbers(store, directory, "schema-", &scratch, &ids, err);
    }
    if (status == TARN_OK) *ret_id = ids.count == 0 ? -1 : ids.items[ids.count - 1];
    tarn_arena_reset(&scratch);
    return status;
}

tarn_status tarn_table_exists(tarn_store *store, tarn_slice path, bool *ret_exists,
                              tarn_error *err) {
    int64_t id = -1;
    TARN_TRY(latest_schema_id(store, path, &tarn_alloc_libc, &id, err));
    *ret_exists = id >= 0;
    return TARN_OK;
}

static tarn_status open_table(tarn_table *table, tarn_slice path, tarn_error *err) {
    int64_t id = -1;
    TARN_TRY(latest_schema_id(table->store, path, table->alloc, &id, err));
    if (id < 0) return tarn_fail(err, TARN_INVALID, "there is no such table");
    TARN_TRY(tarn_mutex_new(TARN_LOCK_TABLE, &table->lock, err));
    if (!tarn_arena_copy(&table->arena, path, &table->path)) {
        return tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    TARN_TRY(lake_sequences_new(table->alloc, &table->sequences, err));
    TARN_TRY(lake_history_new(table->alloc, &table->history, err));
    return lake_table_schema(table, id, &table->schema, err);
}

tarn_status tarn_table_open(tarn_store *store, tarn_slice path, const tarn_alloc *alloc,
                            tarn_table **ret_table, tarn_error *err) {
    tarn_table *table = tarn_alloc_new(alloc, tarn_table, 1);
    if (table == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a table");
    table->store = store;
    table->alloc = alloc;
    tarn_arena_init(&table->arena, alloc, SIZE_MAX);
    tarn_status status = open_table(table, path, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "table '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(path));
        tarn_table_close(table);
        return status;
    }
    *ret_table = table;
    return TARN_OK;
}

void tarn_table_close(tarn_table *table) {
    if (table == NULL) return;
    if (table->pending_hint > 0) lake_hint_latest(table, table->pending_hint, true);
    for (size_t i = 0; i < table->content_count; i++) lake_content_unref(table->contents[i]);
    lake_sequences_free(table->sequences);
    lake_history_free(table->history);
    tarn_mutex_free(table->lock);
    tarn_arena_reset(&table->arena);
    tarn_alloc_free(table->alloc, table, 1);
}

const tarn_table_definition *tarn_table_definition_of(const tarn_table *table) {
    return &table->schema->definition;
}

tarn_slice tarn_table_path(const tarn_table *table) {
    return table->path;
}

// ---- creating and dropping ----

static tarn_status write_first_schema(tarn_store *store, tarn_slice path, const lake_schema *schema,
                                      tarn_arena *arena, tarn_error *err) {
    tarn_buffer json = {0};
    tarn_slice file;
    tarn_status status = lake_schema_encode(schema, &json, err);
    if (status == TARN_OK &&
        !tarn_arena_printf(arena, &file, TARN_SLICE_FMT "/schema/schema-0", TARN_SLICE_ARG(path))) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    if (status == TARN_OK) {
        status = tarn_store_put(store, file, tarn_buffer_slice(&json), TARN_WRITE_EXCLUSIVE, err);
    }
    tarn_buffer_free(&json);
    return status;
}

tarn_status tarn_table_create(tarn_store *store, tarn_slice path,
                              const tarn_table_definition *definition, const tarn_alloc *alloc,
                              tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, alloc, SIZE_MAX);
    lake_schema schema;
    int64_t now_ms = tarn_os_now_us(tarn_store_os(store)) / 1000;
    int64_t existing = -1;
    tarn_status status = lake_schema_new(definition, now_ms, &arena, &schema, err);
    if (status == TARN_OK) status = latest_schema_id(store, path, alloc, &existing, err);
    if (status == TARN_OK && existing >= 0) {
        status = tarn_fail(err, TARN_CONFLICT, "it exists already");
    }
    // Without a schema it is no table: versions that lie there are left from a drop that did not
    // come to its end, and must not be the new one's.
    tarn_slice versions;
    if (status == TARN_OK &&
        !tarn_arena_printf(&arena, &versions, TARN_SLICE_FMT "/snapshot", TARN_SLICE_ARG(path))) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    if (status == TARN_OK) status = tarn_store_remove_tree(store, versions, err);
    if (status == TARN_OK) status = write_first_schema(store, path, &schema, &arena, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "table '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(path));
    }
    tarn_arena_reset(&arena);
    return status;
}

tarn_status tarn_table_drop(tarn_store *store, tarn_slice path, const tarn_alloc *alloc,
                            tarn_error *err) {
    int64_t id = -1;
    TARN_TRY(latest_schema_id(store, path, alloc, &id, err));
    if (id < 0) {
        return tarn_fail(err, TARN_INVALID, "table '" TARN_SLICE_FMT "': there is no such table",
                         TARN_SLICE_ARG(path));
    }
    tarn_arena scratch;
    tarn_arena_init(&scratch, alloc, SIZE_MAX);
    tarn_slice schemas;
    tarn_status status = TARN_OK;
    if (!tarn_arena_printf(&scratch, &schemas, TARN_SLICE_FMT "/schema", TARN_SLICE_ARG(path))) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    if (status == TARN_OK) status = tarn_store_remove_tree(store, schemas, err);
    if (status == TARN_OK) status = tarn_store_remove_tree(store, path, err);
    tarn_arena_reset(&scratch);
    return status;
}
