// CREATE and DROP.
#include "warehouse/internal.h"

// ---- sources ----

static tarn_status copy_options(tarn_arena *arena, const tarn_sql_option *options, size_t count,
                                tarn_connector_option **ret_options, tarn_error *err) {
    tarn_connector_option *copies = tarn_arena_new(arena, tarn_connector_option, count);
    if (copies == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (!tarn_arena_copy(arena, options[i].key, &copies[i].key) ||
            !tarn_arena_copy(arena, options[i].value, &copies[i].value)) {
            return wh_no_memory(err);
        }
    }
    *ret_options = copies;
    return TARN_OK;
}

static tarn_status find_connector(const tarn_statement *statement, const tarn_connector **ret,
                                  tarn_error *err) {
    tarn_slice name = {0};
    for (size_t i = 0; i < statement->create_source.option_count; i++) {
        const tarn_sql_option *option = &statement->create_source.options[i];
        if (tarn_slice_equal(option->key, TARN_LIT("connector"))) name = option->value;
    }
    if (name.len == 0) {
        (void)tarn_fail(err, TARN_INVALID, "CREATE SOURCE needs the option \"connector\"");
        tarn_error_locate(err, "42601", 0);
        tarn_error_hint(err, "Add WITH (connector = 'file', path = '...', format = 'parquet').");
        return TARN_INVALID;
    }
    *ret = tarn_connector_find(name);
    if (*ret != NULL) return TARN_OK;
    (void)tarn_fail(err, TARN_UNSUPPORTED, "there is no connector \"" TARN_SLICE_FMT "\"",
                    TARN_SLICE_ARG(name));
    tarn_error_locate(err, "0A000", 0);
    size_t count;
    const char *const *known = tarn_connector_names(&count);
    if (count > 0) tarn_error_hint(err, "Known connectors start with \"%s\".", known[0]);
    return TARN_UNSUPPORTED;
}

// The columns that the connector delivers: those without a generation expression.
static tarn_status stored_columns(wh_object *object, tarn_error *err) {
    const tarn_relation *relation = &object->relation;
    tarn_field *fields = tarn_arena_new(&object->arena, tarn_field, relation->schema.field_count);
    if (fields == NULL) return wh_no_memory(err);
    size_t count = 0;
    for (size_t i = 0; i < relation->schema.field_count; i++) {
        if (relation->generated != NULL && relation->generated[i] != NULL) continue;
        fields[count++] = relation->schema.fields[i];
    }
    object->spec.schema = (tarn_schema){.fields = fields, .field_count = count};
    return TARN_OK;
}

// The statement's generation expressions live in its arena: the text is bound once more into the
// object's own.
static tarn_status bind_source(tarn_warehouse *warehouse, wh_object *object, tarn_error *err) {
    wh_binding binding = {.warehouse = warehouse, .arena = &object->arena};
    tarn_catalog_reader reader = wh_binding_reader(&binding);
    const tarn_statement *statement = NULL;
    tarn_status status = tarn_sql_prepare(object->sql, &reader, &object->arena, &statement, err);
    if (status == TARN_OK) {
        object->relation.schema = statement->create_source.schema;
        object->relation.generated = statement->create_source.generated;
        object->relation.time_column = statement->create_source.time_column;
        object->relation.watermark_delay_us = statement->create_source.watermark_delay_us;
        object->relation.append_only = true;
    }
    wh_binding_release(&binding);
    return status;
}

static tarn_status fill_source(tarn_warehouse *warehouse, const tarn_statement *statement,
                               tarn_slice directory, wh_object *object, tarn_error *err) {
    if (!tarn_arena_copy(&object->arena, statement->text, &object->sql) ||
        !tarn_arena_copy(&object->arena, directory, &object->spec.base_directory)) {
        return wh_no_memory(err);
    }
    TARN_TRY(bind_source(warehouse, object, err));
    TARN_TRY(find_connector(statement, &object->connector, err));
    tarn_connector_option *options = NULL;
    size_t option_count = statement->create_source.option_count;
    TARN_TRY(copy_options(&object->arena, statement->create_source.options, option_count, &options,
                          err));
    object->spec.options = options;
    object->spec.option_count = option_count;
    return stored_columns(object, err);
}

tarn_status wh_define_source(tarn_warehouse *warehouse, const tarn_statement *statement,
                             tarn_slice id, tarn_slice directory, wh_object **ret_object,
                             tarn_error *err) {
    wh_object *object = NULL;
    TARN_TRY(wh_object_new(warehouse, TARN_RELATION_SOURCE, statement->create_source.name, id,
                           &object, err));
    tarn_status status = fill_source(warehouse, statement, directory, object, err);
    if (status != TARN_OK) {
        wh_object_unref(object);
        return status;
    }
    *ret_object = object;
    return TARN_OK;
}

bool wh_source_keeps_dead_letters(const wh_object *source) {
    for (size_t i = 0; i < source->spec.option_count; i++) {
        const tarn_connector_option *option = &source->spec.options[i];
        if (tarn_slice_equal(option->key, TARN_LIT("on_error"))) {
            return tarn_slice_equal(option->value, TARN_LIT("dead_letter"));
        }
    }
    return false;
}

// Asks the outside whether the source can be read.
static tarn_status check_source(tarn_warehouse *warehouse, const wh_object *source,
                                tarn_error *err) {
    tarn_status status =
        source->connector->validate(warehouse->os, warehouse->alloc, &source->spec, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err,
                          "source \"" TARN_SLICE_FMT "\": ", TARN_SLICE_ARG(source->relation.name));
    }
    return status;
}

// One source that cannot be read would stop all views: it is told before there is another one.
static tarn_status check_inputs(tarn_warehouse *warehouse, const wh_object *view, tarn_error *err) {
    for (size_t i = 0; i < view->input_count; i++) {
        if (view->inputs[i]->relation.kind != TARN_RELATION_SOURCE) continue;
        TARN_TRY(check_source(warehouse, view->inputs[i], err));
    }
    return TARN_OK;
}

// ---- views ----

static bool key_is_not_null(const tarn_plan *plan) {
    for (size_t i = 0; i < plan->key_count; i++) {
        if (!plan->schema.fields[plan->key_columns[i]].not_null) return false;
    }
    return plan->key_count > 0;
}

// A view whose rows change under a key becomes a primary-key table, with a hidden key where the key
// may be NULL. One that only grows, or has no key, becomes an append table (changes are then done
// by rewriting files).
static tarn_status view_key(const wh_object *object, tarn_arena *arena, tarn_schema *ret_schema,
                            tarn_slice **ret_keys, size_t *ret_count, tarn_error *err) {
    const tarn_plan *plan = object->plan;
    *ret_schema = plan->schema;
    *ret_count = plan->append_only ? 0 : plan->key_count;
    *ret_keys = tarn_arena_new(arena, tarn_slice, plan->key_count + 1);
    tarn_field *fields = tarn_arena_new(arena, tarn_field, plan->schema.field_count + 1);
    if (*ret_keys == NULL || fields == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < plan->key_count; i++) {
        (*ret_keys)[i] = plan->schema.fields[plan->key_columns[i]].name;
    }
    if (!object->has_hidden_key) return TARN_OK;
    size_t count = plan->schema.field_count;
    memcpy(fields, plan->schema.fields, count * sizeof *fields);
    fields[count] = (tarn_field){
        .name = WH_HIDDEN_KEY, .type = tarn_type_of(TARN_TYPE_BYTEA), .not_null = true, .id = -1};
    *ret_schema = (tarn_schema){fields, count + 1};
    (*ret_keys)[0] = WH_HIDDEN_KEY;
    *ret_count = 1;
    return TARN_OK;
}

// No definition speaks of a view's table that is there already: a CREATE or DROP has failed
// halfway.
static tarn_status clear_leftover(tarn_warehouse *warehouse, tarn_slice path, tarn_error *err) {
    bool exists = false;
    TARN_TRY(tarn_table_exists(warehouse->store, path, &exists, err));
    if (!exists) return TARN_OK;
    tarn_table *table = NULL;
    TARN_TRY(tarn_table_open(warehouse->store, path, warehouse->alloc, &table, err));
    bool is_leftover = wh_is_view_table(table);
    tarn_table_close(table);
    return is_leftover ? tarn_table_drop(warehouse->store, path, warehouse->alloc, err) : TARN_OK;
}

static tarn_status create_view_table(tarn_warehouse *warehouse, wh_object *object,
                                     tarn_error *err) {
    tarn_slice path;
    TARN_TRY(wh_table_path(object->relation.name, &object->arena, &path, err));
    tarn_schema schema;
    tarn_slice *keys;
    size_t key_count;
    TARN_TRY(view_key(object, &object->arena, &schema, &keys, &key_count, err));
    tarn_option options[] = {
        {TARN_LIT("tarn.view"), TARN_LIT("true")},
        {TARN_LIT("bucket"), key_count > 0 ? TARN_LIT("1") : TARN_LIT("-1")},
    };
    tarn_table_definition definition = {
        .schema = schema,
        .primary_keys = keys,
        .primary_key_count = key_count,
        .options = options,
        .option_count = 2,
    };
    TARN_TRY(clear_leftover(warehouse, path, err));
    return tarn_table_create(warehouse->store, path, &definition, warehouse->alloc, err);
}

static tarn_status refuse_duplicate_columns(const tarn_schema *schema, tarn_error *err) {
    for (size_t i = 0; i < schema->field_count; i++) {
        if ((size_t)tarn_schema_find(schema, schema->fields[i].name) == i) continue;
        (void)tarn_fail(err, TARN_INVALID, "column \"" TARN_SLICE_FMT "\" specified more than once",
                        TARN_SLICE_ARG(schema->fields[i].name));
        tarn_error_locate(err, "42701", 0);
        return TARN_INVALID;
    }
    return TARN_OK;
}

static tarn_status adopt_inputs(wh_object *object, wh_binding *binding, tarn_error *err) {
    object->inputs = tarn_arena_new(&object->arena, wh_object *, binding->used.count);
    if (object->inputs == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < binding->used.count; i++) {
        wh_object *input = binding->used.items[i];
        bool known = false;
        for (size_t k = 0; k < object->input_count; k++) known |= object->inputs[k] == input;
        if (known) continue;
        wh_object_ref(input);
        object->inputs[object->input_count++] = input;
    }
    return TARN_OK;
}

static tarn_status describe_view(wh_object *object, const tarn_statement *statement,
                                 tarn_error *err) {
    const tarn_plan *plan = statement->create_view.plan;
    TARN_TRY(refuse_duplicate_columns(&plan->schema, err));
    object->plan = plan;
    object->has_hidden_key = !plan->append_only && plan->key_count > 0 && !key_is_not_null(plan);
    object->emit_on_close = statement->create_view.emit_on_close;
    object->relation.schema = plan->schema;
    object->relation.append_only = plan->append_only;
    object->relation.time_column = plan->time_column;
    object->relation.key_columns = plan->key_columns;
    object->relation.key_count = key_is_not_null(plan) ? plan->key_count : 0;
    if (statement->create_view.option_count > 0) {
        (void)tarn_fail(err, TARN_UNSUPPORTED,
                        "a materialized view has no option \"" TARN_SLICE_FMT "\"",
                        TARN_SLICE_ARG(statement->create_view.options[0].key));
        tarn_error_locate(err, "0A000", statement->create_view.options[0].position);
        return TARN_UNSUPPORTED;
    }
    return TARN_OK;
}

static tarn_status fill_view(tarn_warehouse *warehouse, tarn_slice sql, bool create,
                             wh_object *object, tarn_error *err) {
    if (!tarn_arena_copy(&object->arena, sql, &object->sql)) return wh_no_memory(err);
    wh_binding binding = {.warehouse = warehouse, .arena = &object->arena};
    tarn_catalog_reader reader = wh_binding_reader(&binding);
    const tarn_statement *statement = NULL;
    tarn_status status = tarn_sql_prepare(object->sql, &reader, &object->arena, &statement, err);
    if (status == TARN_OK && statement->kind != TARN_STATEMENT_CREATE_VIEW) {
        status = tarn_fail(err, TARN_CORRUPT, "it is not a CREATE MATERIALIZED VIEW statement");
    }
    if (status == TARN_OK) object->relation.name = statement->create_view.name;
    if (status == TARN_OK) status = describe_view(object, statement, err);
    if (status == TARN_OK) status = adopt_inputs(object, &binding, err);
    if (status == TARN_OK && create) status = check_inputs(warehouse, object, err);
    if (status == TARN_OK && create) status = create_view_table(warehouse, object, err);
    if (status == TARN_OK) status = wh_object_open_table(warehouse, object, err);
    wh_binding_release(&binding);
    return status;
}

tarn_status wh_define_view(tarn_warehouse *warehouse, tarn_slice sql, tarn_slice id, bool create,
                           wh_object **ret_object, tarn_error *err) {
    wh_object *object = NULL;
    TARN_TRY(wh_object_new(warehouse, TARN_RELATION_VIEW, (tarn_slice){0}, id, &object, err));
    tarn_status status = fill_view(warehouse, sql, create, object, err);
    if (status != TARN_OK) {
        wh_object_unref(object);
        return status;
    }
    *ret_object = object;
    return TARN_OK;
}

// ---- statements ----

// Sets *ret_exists when there is something of that name and the statement is content with that.
static tarn_status check_name(tarn_warehouse *warehouse, tarn_slice name, bool if_not_exists,
                              bool *ret_exists, tarn_error *err) {
    wh_object *object = wh_catalog_find(warehouse, name);
    *ret_exists = object != NULL;
    wh_object_unref(object);
    if (!*ret_exists || if_not_exists) return TARN_OK;
    (void)tarn_fail(err, TARN_INVALID, "relation \"" TARN_SLICE_FMT "\" already exists",
                    TARN_SLICE_ARG(name));
    tarn_error_locate(err, "42P07", 0);
    return TARN_INVALID;
}

// After a failure: the table may be there or not. That it cannot be taken back is not told: the
// first failure is what the user must know of.
static void take_back_table(tarn_warehouse *warehouse, tarn_slice name) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    tarn_slice path;
    if (wh_table_path(name, &arena, &path, NULL) == TARN_OK) {
        tarn_status ignored = tarn_table_drop(warehouse->store, path, warehouse->alloc, NULL);
        (void)ignored;
    }
    tarn_arena_reset(&arena);
}

static tarn_status create_table_locked(tarn_warehouse *warehouse, const tarn_statement *statement,
                                       bool *ret_created, tarn_error *err) {
    bool exists;
    tarn_slice name = statement->create_table.name;
    TARN_TRY(check_name(warehouse, name, statement->create_table.if_not_exists, &exists, err));
    *ret_created = !exists;
    if (exists) return TARN_OK;

    wh_object *object = NULL;
    wh_id id = wh_new_id(warehouse);
    TARN_TRY(wh_object_new(warehouse, TARN_RELATION_TABLE, name, tarn_slice_from_cstr(id.text),
                           &object, err));
    size_t option_count = statement->create_table.option_count;
    tarn_option *options = tarn_arena_new(&object->arena, tarn_option, option_count + 1);
    tarn_slice path = {0};
    tarn_status status =
        options == NULL ? wh_no_memory(err) : wh_table_path(name, &object->arena, &path, err);
    if (status == TARN_OK) {
        for (size_t i = 0; i < option_count; i++) {
            options[i] = (tarn_option){statement->create_table.options[i].key,
                                       statement->create_table.options[i].value};
        }
        options[option_count] = (tarn_option){TARN_LIT("tarn.id"), object->id};
        tarn_table_definition definition = {
            .schema = statement->create_table.schema,
            .partition_keys = statement->create_table.partition_keys,
            .partition_key_count = statement->create_table.partition_key_count,
            .primary_keys = statement->create_table.primary_key,
            .primary_key_count = statement->create_table.primary_key_count,
            .options = options,
            .option_count = option_count + 1,
        };
        status = tarn_table_create(warehouse->store, path, &definition, warehouse->alloc, err);
    }
    if (status == TARN_OK) status = wh_object_open_table(warehouse, object, err);
    if (status == TARN_OK) {
        status = wh_catalog_add(warehouse, object, err);
    } else {
        wh_object_unref(object);
    }
    // One that was there before is somebody else's.
    if (status != TARN_OK && status != TARN_CONFLICT) take_back_table(warehouse, name);
    return status;
}

tarn_status wh_create_table(tarn_warehouse *warehouse, const tarn_statement *statement,
                            bool *ret_created, tarn_error *err) {
    tarn_mutex_lock(warehouse->ddl_lock);
    tarn_status status = create_table_locked(warehouse, statement, ret_created, err);
    tarn_mutex_unlock(warehouse->ddl_lock);
    return status;
}

// ---- dead letters ----

static const struct {
    const char *name;
    tarn_type_id type;
} dead_letter_columns[] = {
    {"at", TARN_TYPE_TIMESTAMPTZ}, {"origin", TARN_TYPE_TEXT},        {"line", TARN_TYPE_BIGINT},
    {"field", TARN_TYPE_BIGINT},   {"byte_offset", TARN_TYPE_BIGINT}, {"error", TARN_TYPE_TEXT},
    {"record", TARN_TYPE_BYTEA},
};
enum { DEAD_LETTER_COLUMNS = sizeof dead_letter_columns / sizeof dead_letter_columns[0] };

static tarn_status create_dead_letter_table(tarn_warehouse *warehouse, tarn_slice name,
                                            bool *ret_created, tarn_error *err) {
    tarn_field fields[DEAD_LETTER_COLUMNS];
    for (size_t i = 0; i < DEAD_LETTER_COLUMNS; i++) {
        fields[i] = (tarn_field){.name = tarn_slice_from_cstr(dead_letter_columns[i].name),
                                 .type = tarn_type_of(dead_letter_columns[i].type),
                                 .id = -1};
    }
    tarn_statement create = {.kind = TARN_STATEMENT_CREATE_TABLE};
    create.create_table.name = name;
    create.create_table.if_not_exists = true;
    create.create_table.schema = (tarn_schema){fields, DEAD_LETTER_COLUMNS};
    return create_table_locked(warehouse, &create, ret_created, err);
}

static bool dead_letter_name(tarn_arena *arena, tarn_slice name, tarn_slice *ret_name) {
    return tarn_arena_printf(arena, ret_name, TARN_SLICE_FMT "_dead_letter", TARN_SLICE_ARG(name));
}

static tarn_status find_dead_letter_table(tarn_warehouse *warehouse, tarn_slice name,
                                          wh_object **ret_object, tarn_error *err) {
    wh_object *object = wh_catalog_find(warehouse, name);
    if (object != NULL && object->relation.kind == TARN_RELATION_TABLE &&
        object->relation.schema.field_count == DEAD_LETTER_COLUMNS) {
        *ret_object = object;
        return TARN_OK;
    }
    bool exists = object != NULL;
    wh_object_unref(object);
    return tarn_fail(err, TARN_INVALID, "\"" TARN_SLICE_FMT "\" %s", TARN_SLICE_ARG(name),
                     exists ? "exists and is not a dead-letter table" : "does not exist");
}

tarn_status wh_dead_letter_create(tarn_warehouse *warehouse, tarn_slice name, bool *ret_created,
                                  tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    tarn_slice table_name;
    tarn_status status = dead_letter_name(&arena, name, &table_name)
                             ? create_dead_letter_table(warehouse, table_name, ret_created, err)
                             : wh_no_memory(err);
    tarn_arena_reset(&arena);
    return status;
}

tarn_status wh_dead_letter_table(tarn_warehouse *warehouse, tarn_slice name, wh_object **ret_object,
                                 tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    tarn_slice table_name;
    tarn_status status = dead_letter_name(&arena, name, &table_name)
                             ? find_dead_letter_table(warehouse, table_name, ret_object, err)
                             : wh_no_memory(err);
    tarn_arena_reset(&arena);
    return status;
}

// Adds the object and writes the catalog; on failure the object is gone again. *ret_clean is false
// when the catalog on disk may speak of it all the same: what it needs must then stay.
static tarn_status publish(tarn_warehouse *warehouse, wh_object *object, bool *ret_clean,
                           tarn_error *err) {
    *ret_clean = true;
    TARN_TRY(wh_catalog_add(warehouse, object, err));
    tarn_status status = wh_catalog_save(warehouse, NULL, err);
    if (status == TARN_OK) return TARN_OK;
    *ret_clean = wh_catalog_save(warehouse, object, NULL) == TARN_OK;
    wh_catalog_remove(warehouse, object);
    return status;
}

// Relative paths start where the process is now, once and for all: the warehouse may be opened from
// elsewhere later.
static tarn_status define_source_here(tarn_warehouse *warehouse, const tarn_statement *statement,
                                      wh_object **ret_object, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    wh_id id = wh_new_id(warehouse);
    tarn_slice here;
    tarn_status status = tarn_os_real_path(warehouse->os, TARN_LIT("."), &arena, &here, err);
    if (status == TARN_OK) {
        status = wh_define_source(warehouse, statement, tarn_slice_from_cstr(id.text), here,
                                  ret_object, err);
    }
    tarn_arena_reset(&arena);
    return status;
}

static tarn_status create_source_locked(tarn_warehouse *warehouse, const tarn_statement *statement,
                                        bool *ret_created, tarn_error *err)
    TARN_REQUIRES(warehouse->ddl_lock);
static tarn_status create_source_locked(tarn_warehouse *warehouse, const tarn_statement *statement,
                                        bool *ret_created, tarn_error *err) {
    bool exists;
    TARN_TRY(check_name(warehouse, statement->create_source.name,
                        statement->create_source.if_not_exists, &exists, err));
    *ret_created = !exists;
    if (exists) return TARN_OK;
    wh_object *object = NULL;
    TARN_TRY(define_source_here(warehouse, statement, &object, err));
    tarn_status status = check_source(warehouse, object, err);
    if (status != TARN_OK) {
        wh_object_unref(object);
        return status;
    }
    bool has_new_table = false;
    tarn_slice name = statement->create_source.name;
    if (wh_source_keeps_dead_letters(object)) {
        status = wh_dead_letter_create(warehouse, name, &has_new_table, err);
    }
    if (status != TARN_OK) {
        wh_object_unref(object);
        return status;
    }
    bool clean;
    status = publish(warehouse, object, &clean, err);
    if (status != TARN_OK && clean && has_new_table) wh_dead_letter_take_back(warehouse, name);
    return status;
}

tarn_status wh_create_source(tarn_warehouse *warehouse, const tarn_statement *statement,
                             bool *ret_created, tarn_error *err) {
    tarn_mutex_lock(warehouse->ddl_lock);
    tarn_status status = create_source_locked(warehouse, statement, ret_created, err);
    tarn_mutex_unlock(warehouse->ddl_lock);
    return status;
}

static void take_back_view_table(tarn_warehouse *warehouse, tarn_slice name) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    tarn_slice path;
    if (wh_table_path(name, &arena, &path, NULL) == TARN_OK) {
        // What stays behind is cleared away by the next CREATE of that name, or at open.
        tarn_status ignored = clear_leftover(warehouse, path, NULL);
        (void)ignored;
    }
    tarn_arena_reset(&arena);
}

static tarn_status create_view_locked(tarn_warehouse *warehouse, const tarn_statement *statement,
                                      bool *ret_created, tarn_error *err) {
    bool exists;
    TARN_TRY(check_name(warehouse, statement->create_view.name,
                        statement->create_view.if_not_exists, &exists, err));
    *ret_created = !exists;
    if (exists) return TARN_OK;

    wh_id id = wh_new_id(warehouse);
    wh_object *object = NULL;
    bool clean = true;
    tarn_status status = wh_define_view(warehouse, statement->text, tarn_slice_from_cstr(id.text),
                                        true, &object, err);
    if (status == TARN_OK) status = publish(warehouse, object, &clean, err);
    if (status != TARN_OK) {
        if (clean) take_back_view_table(warehouse, statement->create_view.name);
        return status;
    }
    wh_engine_rebuild(warehouse);
    return TARN_OK;
}

tarn_status wh_create_view(tarn_warehouse *warehouse, const tarn_statement *statement,
                           bool *ret_created, tarn_error *err) {
    tarn_mutex_lock(warehouse->ddl_lock);
    tarn_status status = create_view_locked(warehouse, statement, ret_created, err);
    tarn_mutex_unlock(warehouse->ddl_lock);
    return status;
}

// ---- DROP ----

static const char *kind_name(tarn_relation_kind kind) {
    switch (kind) {
    case TARN_RELATION_TABLE: return "table";
    case TARN_RELATION_SOURCE: return "source";
    case TARN_RELATION_VIEW: return "materialized view";
    case TARN_RELATION_SYSTEM: return "system table";
    }
    return "relation";
}

static bool reads(const wh_object *view, const wh_object *object) {
    for (size_t i = 0; i < view->input_count; i++) {
        if (view->inputs[i] == object) return true;
    }
    return false;
}

// The first view that reads the object, borrowed from the list; NULL: none.
static wh_object *find_reader(const wh_object_list *list, const wh_object *object) {
    for (size_t i = 0; i < list->count; i++) {
        if (reads(list->items[i], object)) return list->items[i];
    }
    return NULL;
}

// The definition goes first: a view's table that a crash leaves behind is cleared away at the next
// open.
static tarn_status drop_definition(tarn_warehouse *warehouse, wh_object *object, tarn_error *err) {
    tarn_status status = wh_catalog_save(warehouse, object, err);
    if (status == TARN_OK) return TARN_OK;
    // It may be gone from the disk, while here it goes on.
    tarn_status ignored = wh_catalog_save(warehouse, NULL, NULL);
    (void)ignored;
    return status;
}

// Whether the table is still one after a DROP that failed.
static bool is_still_there(tarn_warehouse *warehouse, const wh_object *object) {
    bool exists = true;
    tarn_status status =
        tarn_table_exists(warehouse->store, tarn_table_path(object->table), &exists, NULL);
    return status != TARN_OK || exists;
}

static tarn_status drop_one(tarn_warehouse *warehouse, wh_object *object, tarn_error *err) {
    bool is_table = object->relation.kind == TARN_RELATION_TABLE;
    if (!is_table) TARN_TRY(drop_definition(warehouse, object, err));
    tarn_status status = TARN_OK;
    if (object->table != NULL) {
        status = tarn_table_drop(warehouse->store, tarn_table_path(object->table), warehouse->alloc,
                                 err);
    }
    if (status != TARN_OK) {
        if (is_table && is_still_there(warehouse, object)) return status;
        tarn_error_prefix(err, "\"" TARN_SLICE_FMT "\" is dropped, but not all of its files: ",
                          TARN_SLICE_ARG(object->relation.name));
    }
    atomic_store_explicit(&object->dropped, true, memory_order_relaxed);
    wh_catalog_remove(warehouse, object);
    return status;
}

// Nothing was ever written to the table and no view reads it.
static bool is_unused(tarn_warehouse *warehouse, const wh_object *object) {
    wh_object_list list;
    if (wh_catalog_list(warehouse, &list, NULL) != TARN_OK) return false;
    bool unused = find_reader(&list, object) == NULL;
    wh_list_release(warehouse->alloc, &list);
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    tarn_snapshot latest;
    bool found = true;
    tarn_status status = tarn_table_latest_snapshot(object->table, &arena, &latest, &found, NULL);
    tarn_arena_reset(&arena);
    return unused && status == TARN_OK && !found;
}

void wh_dead_letter_take_back(tarn_warehouse *warehouse, tarn_slice name) {
    wh_object *table = NULL;
    if (wh_dead_letter_table(warehouse, name, &table, NULL) != TARN_OK || table == NULL) return;
    tarn_mutex_lock(warehouse->write_lock);
    if (is_unused(warehouse, table)) {
        // What is left of it stays a table without rows: the statement's own failure is told.
        tarn_status ignored = drop_one(warehouse, table, NULL);
        (void)ignored;
    }
    tarn_mutex_unlock(warehouse->write_lock);
    wh_object_unref(table);
}

// A source that keeps its dead letters in this table would fail without it.
static tarn_status refuse_letters_in_use(tarn_warehouse *warehouse, const wh_object *object,
                                         tarn_error *err) {
    if (object->relation.kind != TARN_RELATION_TABLE) return TARN_OK;
    wh_object_list list;
    TARN_TRY(wh_catalog_list(warehouse, &list, err));
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < list.count && status == TARN_OK; i++) {
        const wh_object *source = list.items[i];
        tarn_slice name;
        if (source->relation.kind != TARN_RELATION_SOURCE) continue;
        if (!wh_source_keeps_dead_letters(source)) continue;
        if (!dead_letter_name(&arena, source->relation.name, &name)) {
            status = wh_no_memory(err);
        } else if (tarn_slice_equal(name, object->relation.name)) {
            status = tarn_fail(err, TARN_INVALID,
                               "cannot drop table " TARN_SLICE_FMT
                               " because it keeps the dead letters of source " TARN_SLICE_FMT,
                               TARN_SLICE_ARG(name), TARN_SLICE_ARG(source->relation.name));
            tarn_error_locate(err, "2BP01", 0);
            tarn_error_hint(err, "Drop the source first.");
        }
    }
    tarn_arena_reset(&arena);
    wh_list_release(warehouse->alloc, &list);
    return status;
}

static tarn_status drop_tree(tarn_warehouse *warehouse, wh_object *object, bool cascade,
                             tarn_error *err) {
    TARN_TRY(refuse_letters_in_use(warehouse, object, err));
    for (;;) {
        wh_object_list list;
        TARN_TRY(wh_catalog_list(warehouse, &list, err));
        wh_object *reader = find_reader(&list, object);
        if (reader != NULL) wh_object_ref(reader);
        wh_list_release(warehouse->alloc, &list);
        if (reader == NULL) return drop_one(warehouse, object, err);
        tarn_status status = TARN_OK;
        if (cascade) {
            status = drop_tree(warehouse, reader, true, err);
        } else {
            status =
                tarn_fail(err, TARN_INVALID,
                          "cannot drop %s " TARN_SLICE_FMT
                          " because other objects depend on it: materialized view " TARN_SLICE_FMT,
                          kind_name(object->relation.kind), TARN_SLICE_ARG(object->relation.name),
                          TARN_SLICE_ARG(reader->relation.name));
            tarn_error_locate(err, "2BP01", 0);
            tarn_error_hint(err, "Use DROP ... CASCADE to drop the dependent objects too.");
        }
        wh_object_unref(reader);
        if (status != TARN_OK) return status;
    }
}

static tarn_status drop_named(tarn_warehouse *warehouse, const tarn_statement *statement,
                              tarn_slice name, tarn_error *err) {
    wh_object *object = wh_catalog_find(warehouse, name);
    if (object == NULL) {
        if (statement->drop.if_exists) return TARN_OK;
        (void)tarn_fail(err, TARN_INVALID, "%s \"" TARN_SLICE_FMT "\" does not exist",
                        kind_name(statement->drop.kind), TARN_SLICE_ARG(name));
        tarn_error_locate(err, "42P01", 0);
        return TARN_INVALID;
    }
    tarn_status status = TARN_OK;
    if (object->relation.kind != statement->drop.kind) {
        status = tarn_fail(err, TARN_INVALID, "\"" TARN_SLICE_FMT "\" is not a %s",
                           TARN_SLICE_ARG(name), kind_name(statement->drop.kind));
        tarn_error_locate(err, "42809", 0);
        tarn_error_hint(err, "It is a %s.", kind_name(object->relation.kind));
    } else {
        status = drop_tree(warehouse, object, statement->drop.cascade, err);
    }
    wh_object_unref(object);
    return status;
}

tarn_status wh_drop(tarn_warehouse *warehouse, const tarn_statement *statement, tarn_error *err) {
    tarn_mutex_lock(warehouse->ddl_lock);
    tarn_mutex_lock(
        warehouse->write_lock); // before the views stop: a long INSERT goes on with them
    tarn_status status = wh_engine_quiesce(warehouse, err);
    for (size_t i = 0; i < statement->drop.name_count && status == TARN_OK; i++) {
        status = drop_named(warehouse, statement, statement->drop.names[i], err);
    }
    wh_engine_rebuild(warehouse);
    tarn_mutex_unlock(warehouse->write_lock);
    tarn_mutex_unlock(warehouse->ddl_lock);
    return status;
}
