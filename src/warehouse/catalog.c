// The catalog: objects by name. Tables are what lies in the directory public.db; sources and views
// are their CREATE statements, kept in tarn/catalog.json and bound again at each open.
#include <jansson.h>

#include "warehouse/internal.h"

#define CATALOG_PATH      TARN_LIT("tarn/catalog.json")
#define CATALOG_BYTES_MAX ((size_t)64 << 20)
#define CATALOG_VERSION   1
#define VIEW_TABLE_OPTION "tarn.view"

// ---- objects ----

wh_id wh_new_id(const tarn_warehouse *warehouse) {
    uint8_t random[8];
    wh_id id;
    tarn_os_random(warehouse->os, random, sizeof random);
    (void)snprintf(id.text, sizeof id.text, "tarn-%016llx",
                   (unsigned long long)tarn_load_u64(random));
    return id;
}

tarn_status wh_object_new(tarn_warehouse *warehouse, tarn_relation_kind kind, tarn_slice name,
                          tarn_slice id, wh_object **ret_object, tarn_error *err) {
    wh_object *object = tarn_alloc_new(warehouse->alloc, wh_object, 1);
    if (object == NULL) return wh_no_memory(err);
    object->alloc = warehouse->alloc;
    atomic_init(&object->references, 1);
    tarn_arena_init(&object->arena, warehouse->alloc, SIZE_MAX);
    object->relation.kind = kind;
    object->relation.schema_name = WH_PUBLIC;
    object->relation.time_column = -1;
    object->relation.handle = object;
    if (!tarn_arena_copy(&object->arena, name, &object->relation.name) ||
        !tarn_arena_copy(&object->arena, id, &object->id)) {
        wh_object_unref(object);
        return wh_no_memory(err);
    }
    *ret_object = object;
    return TARN_OK;
}

void wh_object_ref(wh_object *object) {
    // Relaxed: whoever hands out the object holds a reference already.
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
}

void wh_object_unref(wh_object *object) {
    if (object == NULL) return;
    // Release, then acquire by the last one: all uses come before the free.
    if (atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < object->input_count; i++) wh_object_unref(object->inputs[i]);
    tarn_table_close(object->table);
    tarn_arena_reset(&object->arena);
    tarn_alloc_free(object->alloc, object, 1);
}

bool wh_list_push(const tarn_alloc *alloc, wh_object_list *list, wh_object *object) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        wh_object **items = tarn_alloc_new(alloc, wh_object *, capacity);
        if (items == NULL) return false;
        if (list->count > 0) memcpy(items, list->items, list->count * sizeof(wh_object *));
        tarn_alloc_free(alloc, list->items, list->capacity);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = object;
    return true;
}

void wh_list_release(const tarn_alloc *alloc, wh_object_list *list) {
    for (size_t i = 0; i < list->count; i++) wh_object_unref(list->items[i]);
    tarn_alloc_free(alloc, list->items, list->capacity);
    *list = (wh_object_list){0};
}

tarn_status wh_table_path(tarn_slice name, tarn_arena *arena, tarn_slice *ret_path,
                          tarn_error *err) {
    bool fits =
        tarn_arena_printf(arena, ret_path, "public.db/" TARN_SLICE_FMT, TARN_SLICE_ARG(name));
    return fits ? TARN_OK : wh_no_memory(err);
}

// The key's column indices, when the table has a primary key.
static tarn_status describe_key(wh_object *object, const tarn_table_definition *definition,
                                tarn_error *err) {
    if (definition->primary_key_count == 0) return TARN_OK;
    size_t *columns = tarn_arena_new(&object->arena, size_t, definition->primary_key_count);
    if (columns == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < definition->primary_key_count; i++) {
        ptrdiff_t column = tarn_schema_find(&object->relation.schema, definition->primary_keys[i]);
        if (column < 0) {
            return tarn_fail(err, TARN_CORRUPT,
                             "primary key column '" TARN_SLICE_FMT "' is not in the schema",
                             TARN_SLICE_ARG(definition->primary_keys[i]));
        }
        columns[i] = (size_t)column;
    }
    object->relation.key_columns = columns;
    object->relation.key_count = definition->primary_key_count;
    return TARN_OK;
}

static tarn_status describe_table(wh_object *object, tarn_error *err) {
    const tarn_table_definition *definition = tarn_table_definition_of(object->table);
    TARN_TRY(tarn_schema_copy(&definition->schema, &object->arena, &object->relation.schema, err));
    TARN_TRY(describe_key(object, definition, err));
    for (size_t i = 0; i < definition->option_count; i++) {
        if (tarn_slice_equal(definition->options[i].key, TARN_LIT("tarn.id"))) {
            object->id = definition->options[i].value;
        }
    }
    // A table can always be written to by statements that retract: only sources never do.
    object->relation.append_only = false;
    tarn_arena scratch;
    tarn_arena_init(&scratch, object->alloc, SIZE_MAX);
    tarn_snapshot snapshot;
    bool found = false;
    tarn_status status =
        tarn_table_latest_snapshot(object->table, &scratch, &snapshot, &found, err);
    if (status == TARN_OK && found) {
        object->relation.row_count = (uint64_t)snapshot.total_row_count;
    }
    tarn_arena_reset(&scratch);
    return status;
}

void wh_object_set_durable(wh_object *object, int64_t version) {
    int64_t known = atomic_load_explicit(&object->durable_version, memory_order_relaxed);
    while (known < version &&
           !atomic_compare_exchange_weak_explicit(&object->durable_version, &known, version,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

tarn_status wh_object_settle(tarn_warehouse *warehouse, wh_object *object, tarn_error *err) {
    tarn_arena scratch;
    tarn_arena_init(&scratch, warehouse->alloc, SIZE_MAX);
    tarn_slice snapshots;
    tarn_snapshot latest;
    bool found = false;
    tarn_status status =
        tarn_arena_printf(&scratch, &snapshots, TARN_SLICE_FMT "/snapshot",
                          TARN_SLICE_ARG(tarn_table_path(object->table)))
            ? tarn_table_latest_snapshot(object->table, &scratch, &latest, &found, err)
            : wh_no_memory(err);
    if (status == TARN_OK) status = tarn_store_sync_names(warehouse->store, snapshots, err);
    if (status == TARN_OK && found) wh_object_set_durable(object, latest.id);
    tarn_arena_reset(&scratch);
    return status;
}

tarn_status wh_object_open_table(tarn_warehouse *warehouse, wh_object *object, tarn_error *err) {
    tarn_slice path;
    TARN_TRY(wh_table_path(object->relation.name, &object->arena, &path, err));
    TARN_TRY(tarn_table_open(warehouse->store, path, warehouse->alloc, &object->table, err));
    TARN_TRY(wh_object_settle(warehouse, object, err));
    return object->relation.kind == TARN_RELATION_TABLE ? describe_table(object, err) : TARN_OK;
}

// ---- the list ----

static bool has_name(const wh_object *object, tarn_slice name) {
    return tarn_slice_equal(object->relation.name, name);
}

static bool has_id(const wh_object *object, tarn_slice id) {
    return tarn_slice_equal(object->id, id);
}

static wh_object *find(tarn_warehouse *warehouse, tarn_slice key,
                       bool (*has_key)(const wh_object *object, tarn_slice key)) {
    wh_object *found = NULL;
    tarn_mutex_lock(warehouse->catalog_lock);
    for (size_t i = 0; i < warehouse->objects.count && found == NULL; i++) {
        if (has_key(warehouse->objects.items[i], key)) found = warehouse->objects.items[i];
    }
    if (found != NULL) wh_object_ref(found);
    tarn_mutex_unlock(warehouse->catalog_lock);
    return found;
}

wh_object *wh_catalog_find(tarn_warehouse *warehouse, tarn_slice name) {
    return find(warehouse, name, has_name);
}

wh_object *wh_catalog_find_id(tarn_warehouse *warehouse, tarn_slice id) {
    return find(warehouse, id, has_id);
}

tarn_status wh_catalog_add(tarn_warehouse *warehouse, wh_object *object, tarn_error *err) {
    tarn_mutex_lock(warehouse->catalog_lock);
    bool fits = wh_list_push(warehouse->alloc, &warehouse->objects, object);
    tarn_mutex_unlock(warehouse->catalog_lock);
    if (fits) return TARN_OK;
    wh_object_unref(object);
    return wh_no_memory(err);
}

void wh_catalog_remove(tarn_warehouse *warehouse, const wh_object *object) {
    wh_object *removed = NULL;
    wh_object_list *list = &warehouse->objects;
    tarn_mutex_lock(warehouse->catalog_lock);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] != object) continue;
        removed = list->items[i];
        memmove(&list->items[i], &list->items[i + 1], (list->count - i - 1) * sizeof(wh_object *));
        list->count--;
        break;
    }
    tarn_mutex_unlock(warehouse->catalog_lock);
    wh_object_unref(removed);
}

tarn_status wh_catalog_list(tarn_warehouse *warehouse, wh_object_list *ret_list, tarn_error *err) {
    wh_object_list list = {0};
    bool fits = true;
    tarn_mutex_lock(warehouse->catalog_lock);
    for (size_t i = 0; i < warehouse->objects.count && fits; i++) {
        fits = wh_list_push(warehouse->alloc, &list, warehouse->objects.items[i]);
        if (fits) wh_object_ref(warehouse->objects.items[i]);
    }
    tarn_mutex_unlock(warehouse->catalog_lock);
    if (!fits) {
        wh_list_release(warehouse->alloc, &list);
        return wh_no_memory(err);
    }
    *ret_list = list;
    return TARN_OK;
}

// ---- what the binder asks ----

// Row counts move while the object stays, so the binder gets a copy with a fresh estimate.
static tarn_status hand_out(wh_binding *binding, wh_object *object,
                            const tarn_relation **ret_relation, tarn_error *err) {
    if (!wh_list_push(binding->warehouse->alloc, &binding->used, object)) {
        wh_object_unref(object);
        return wh_no_memory(err);
    }
    tarn_relation *relation = tarn_arena_new(binding->arena, tarn_relation, 1);
    if (relation == NULL) return wh_no_memory(err);
    *relation = object->relation;
    if (object->table != NULL) {
        tarn_snapshot snapshot;
        bool found = false;
        TARN_TRY(tarn_table_latest_snapshot(object->table, binding->arena, &snapshot, &found, err));
        relation->row_count = found ? (uint64_t)snapshot.total_row_count : 0;
    }
    *ret_relation = relation;
    return TARN_OK;
}

static tarn_status binding_find(void *context, tarn_slice schema_name, tarn_slice name,
                                tarn_arena *arena, const tarn_relation **ret_relation,
                                tarn_error *err) {
    (void)arena;
    wh_binding *binding = context;
    *ret_relation = NULL;
    if (schema_name.len == 0 || tarn_slice_equal(schema_name, WH_PUBLIC)) {
        wh_object *object = wh_catalog_find(binding->warehouse, name);
        if (object != NULL) return hand_out(binding, object, ret_relation, err);
    }
    *ret_relation = wh_system_find(binding->warehouse, schema_name, name);
    return TARN_OK;
}

static tarn_status binding_names(void *context, tarn_arena *arena, const tarn_slice **ret_names,
                                 size_t *ret_count, tarn_error *err) {
    wh_binding *binding = context;
    tarn_warehouse *warehouse = binding->warehouse;
    wh_object_list list;
    TARN_TRY(wh_catalog_list(warehouse, &list, err));
    tarn_slice *names = tarn_arena_new(arena, tarn_slice, list.count);
    bool fits = names != NULL;
    for (size_t i = 0; i < list.count && fits; i++) {
        fits = tarn_arena_copy(arena, list.items[i]->relation.name, &names[i]);
    }
    *ret_names = names;
    *ret_count = list.count;
    wh_list_release(warehouse->alloc, &list);
    return fits ? TARN_OK : wh_no_memory(err);
}

tarn_catalog_reader wh_binding_reader(wh_binding *binding) {
    return (tarn_catalog_reader){.context = binding, .find = binding_find, .names = binding_names};
}

void wh_binding_release(wh_binding *binding) {
    if (binding->warehouse != NULL) wh_list_release(binding->warehouse->alloc, &binding->used);
}

// ---- definitions at rest ----

static json_t *text_json(tarn_slice text) {
    return json_stringn((const char *)text.data, text.len);
}

static json_t *object_json(const wh_object *object) {
    bool is_view = object->relation.kind == TARN_RELATION_VIEW;
    json_t *entry = json_object();
    int failed = json_object_set_new(entry, "kind", json_string(is_view ? "view" : "source"));
    failed |= json_object_set_new(entry, "name", text_json(object->relation.name));
    failed |= json_object_set_new(entry, "sql", text_json(object->sql));
    failed |= json_object_set_new(entry, "id", text_json(object->id));
    tarn_slice directory = object->spec.base_directory;
    if (directory.len > 0) {
        failed |= json_object_set_new(entry, "directory", text_json(directory));
    }
    if (failed == 0) return entry;
    json_decref(entry);
    return NULL;
}

static json_t *catalog_json(const wh_object_list *list, const wh_object *without) {
    json_t *entries = json_array();
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i]->relation.kind == TARN_RELATION_TABLE) continue;
        if (list->items[i] == without) continue;
        if (json_array_append_new(entries, object_json(list->items[i])) != 0) {
            json_decref(entries);
            return NULL;
        }
    }
    return json_pack("{s:i, s:o}", "version", CATALOG_VERSION, "objects", entries);
}

tarn_status wh_catalog_save(tarn_warehouse *warehouse, const wh_object *without, tarn_error *err) {
    wh_object_list list;
    TARN_TRY(wh_catalog_list(warehouse, &list, err));
    json_t *root = catalog_json(&list, without);
    wh_list_release(warehouse->alloc, &list);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (text == NULL) return tarn_fail(err, TARN_INVALID, "a definition is not valid UTF-8");
    tarn_status status = tarn_store_put(warehouse->store, CATALOG_PATH, tarn_slice_from_cstr(text),
                                        TARN_WRITE_REPLACE, err);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    return status;
}

static tarn_slice member(const json_t *entry, const char *key) {
    const json_t *text = json_object_get(entry, key);
    return (tarn_slice){(const uint8_t *)json_string_value(text), json_string_length(text)};
}

static tarn_status load_source(tarn_warehouse *warehouse, const json_t *entry, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    wh_binding binding = {.warehouse = warehouse, .arena = &arena};
    tarn_catalog_reader reader = wh_binding_reader(&binding);
    const tarn_statement *statement = NULL;
    wh_object *object = NULL;
    tarn_status status = tarn_sql_prepare(member(entry, "sql"), &reader, &arena, &statement, err);
    if (status == TARN_OK && statement->kind != TARN_STATEMENT_CREATE_SOURCE) {
        status = tarn_fail(err, TARN_CORRUPT, "it is not a CREATE SOURCE statement");
    }
    if (status == TARN_OK) {
        status = wh_define_source(warehouse, statement, member(entry, "id"),
                                  member(entry, "directory"), &object, err);
    }
    if (status == TARN_OK) status = wh_catalog_add(warehouse, object, err);
    wh_binding_release(&binding);
    tarn_arena_reset(&arena);
    return status;
}

static tarn_status load_entry(tarn_warehouse *warehouse, const json_t *entry, tarn_error *err) {
    tarn_slice kind = member(entry, "kind");
    tarn_slice name = member(entry, "name");
    tarn_status status;
    if (tarn_slice_equal(kind, TARN_LIT("source"))) {
        status = load_source(warehouse, entry, err);
    } else if (tarn_slice_equal(kind, TARN_LIT("view"))) {
        wh_object *object = NULL;
        status = wh_define_view(warehouse, member(entry, "sql"), member(entry, "id"), false,
                                &object, err);
        if (status == TARN_OK) status = wh_catalog_add(warehouse, object, err);
    } else {
        status = tarn_fail(err, TARN_CORRUPT, "it is of an unknown kind");
    }
    if (status != TARN_OK) {
        tarn_error_prefix(err, "definition of '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(name));
    }
    return status;
}

static bool is_defined(const json_t *entries, tarn_slice name) {
    size_t index;
    json_t *entry;
    json_array_foreach(entries, index, entry) {
        if (tarn_slice_equal(member(entry, "name"), name)) return true;
    }
    return false;
}

bool wh_is_view_table(const tarn_table *table) {
    const tarn_table_definition *definition = tarn_table_definition_of(table);
    for (size_t i = 0; i < definition->option_count; i++) {
        if (tarn_slice_equal(definition->options[i].key, TARN_LIT(VIEW_TABLE_OPTION))) return true;
    }
    return false;
}

// A directory below public.db: a table, unless it belongs to a view. A view's table that no
// definition speaks of is what a crash left of CREATE or DROP: it is cleared away.
static tarn_status load_table(tarn_warehouse *warehouse, const json_t *entries, tarn_slice name,
                              tarn_error *err) {
    if (is_defined(entries, name)) return TARN_OK;
    wh_object *object = NULL;
    TARN_TRY(wh_object_new(warehouse, TARN_RELATION_TABLE, name, (tarn_slice){0}, &object, err));
    tarn_assert(object != NULL);
    tarn_slice path;
    bool exists = false;
    tarn_status status = wh_table_path(name, &object->arena, &path, err);
    if (status == TARN_OK) status = tarn_table_exists(warehouse->store, path, &exists, err);
    if (status == TARN_OK && exists) status = wh_object_open_table(warehouse, object, err);
    if (status != TARN_OK || !exists) {
        wh_object_unref(object);
        if (status != TARN_OK) {
            tarn_error_prefix(err, "table '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(name));
        }
        return status;
    }
    if (wh_is_view_table(object->table)) {
        status = tarn_table_drop(warehouse->store, path, warehouse->alloc, err);
        wh_object_unref(object);
        return status;
    }
    return wh_catalog_add(warehouse, object, err);
}

static tarn_status load_tables(tarn_warehouse *warehouse, const json_t *entries, tarn_arena *arena,
                               tarn_error *err) {
    tarn_slice *names;
    size_t count;
    TARN_TRY(tarn_store_list(warehouse->store, TARN_LIT("public.db"), arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (names[i].len > 0 && names[i].data[0] == '.') continue;
        TARN_TRY(load_table(warehouse, entries, names[i], err));
    }
    return TARN_OK;
}

static tarn_status parse_catalog(tarn_slice text, json_t **ret_root, tarn_error *err) {
    json_error_t reason;
    json_t *root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &reason);
    if (root == NULL) {
        return tarn_fail(err, TARN_CORRUPT, "tarn/catalog.json, line %d: %s", reason.line,
                         reason.text);
    }
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    if (version != CATALOG_VERSION || !json_is_array(json_object_get(root, "objects"))) {
        json_decref(root);
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "tarn/catalog.json has version %lld, this program knows version %d",
                         (long long)version, CATALOG_VERSION);
    }
    *ret_root = root;
    return TARN_OK;
}

// Tables first: views read them. Sources and views then come in the order of their creation, so
// that each finds what it reads.
static tarn_status load_all(tarn_warehouse *warehouse, const json_t *root, tarn_arena *arena,
                            tarn_error *err) {
    json_t *entries = json_object_get(root, "objects");
    TARN_TRY(load_tables(warehouse, entries, arena, err));
    size_t index;
    json_t *entry;
    json_array_foreach(entries, index, entry) TARN_TRY(load_entry(warehouse, entry, err));
    return TARN_OK;
}

tarn_status wh_catalog_open(tarn_warehouse *warehouse, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    json_t *root = NULL;
    tarn_file_info info;
    tarn_status status = tarn_store_stat(warehouse->store, CATALOG_PATH, &info, err);
    tarn_slice text = TARN_LIT("{\"version\": 1, \"objects\": []}");
    if (status == TARN_OK && info.exists) {
        status =
            tarn_store_get(warehouse->store, CATALOG_PATH, CATALOG_BYTES_MAX, &arena, &text, err);
    }
    if (status == TARN_OK) status = parse_catalog(text, &root, err);
    if (status == TARN_OK) status = load_all(warehouse, root, &arena, err);
    json_decref(root);
    tarn_arena_reset(&arena);
    return status;
}

void wh_catalog_close(tarn_warehouse *warehouse) {
    // Later objects refer to earlier ones.
    wh_object_list *list = &warehouse->objects;
    while (list->count > 0) wh_object_unref(list->items[--list->count]);
    wh_list_release(warehouse->alloc, list);
}
