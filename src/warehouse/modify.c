// INSERT, COPY and append: rows into a table, each statement one version or nothing.
#include "format/csv/csv.h"
#include "format/json/json.h"
#include "format/parquet/parquet.h"
#include "warehouse/internal.h"

// ---- one statement's writing ----

typedef struct table_load {
    tarn_warehouse *warehouse;
    wh_object *object;
    tarn_table_writer *writer;
    uint64_t row_count;
    const atomic_bool *cancelled;
} table_load;

static tarn_status refuse_no_table(const wh_object *object, tarn_error *err) {
    if (object->relation.kind == TARN_RELATION_TABLE) return TARN_OK;
    (void)tarn_fail(err, TARN_INVALID, "cannot insert into \"" TARN_SLICE_FMT "\"",
                    TARN_SLICE_ARG(object->relation.name));
    tarn_error_locate(err, "42809", 0);
    tarn_error_hint(err, "It is not a table: sources and views are filled by their inputs.");
    return TARN_INVALID;
}

static tarn_status load_open(tarn_session *session, wh_object *object, table_load *load,
                             tarn_error *err) {
    *load = (table_load){
        .warehouse = session->warehouse, .object = object, .cancelled = &session->cancelled};
    TARN_TRY(refuse_no_table(object, err));
    // Relaxed: written and read with the write lock.
    if (atomic_load_explicit(&object->dropped, memory_order_relaxed)) {
        (void)tarn_fail(err, TARN_INVALID, "relation \"" TARN_SLICE_FMT "\" does not exist",
                        TARN_SLICE_ARG(object->relation.name));
        tarn_error_locate(err, "42P01", 0);
        return TARN_INVALID;
    }
    tarn_table_writer_options options = {.alloc = session->warehouse->alloc};
    return tarn_table_writer_new(object->table, &options, &load->writer, err);
}

static void load_close(table_load *load) {
    tarn_table_writer_free(load->writer);
}

static tarn_status refuse_null(const tarn_relation *relation, const tarn_field *field,
                               tarn_error *err) {
    (void)tarn_fail(err, TARN_INVALID,
                    "null value in column \"" TARN_SLICE_FMT "\" of relation \"" TARN_SLICE_FMT
                    "\" violates not-null constraint",
                    TARN_SLICE_ARG(field->name), TARN_SLICE_ARG(relation->name));
    tarn_error_locate(err, "23502", 0);
    return TARN_INVALID;
}

static tarn_status check_not_null(const tarn_relation *relation, const tarn_chunk *chunk,
                                  tarn_error *err) {
    for (size_t c = 0; c < relation->schema.field_count; c++) {
        const tarn_field *field = &relation->schema.fields[c];
        const tarn_vector *column = &chunk->columns[c];
        if (!field->not_null || column->validity == NULL) continue;
        for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
            if (tarn_vector_is_null(column, tarn_chunk_row(chunk, i))) {
                return refuse_null(relation, field, err);
            }
        }
    }
    return TARN_OK;
}

static tarn_status load_chunk(table_load *load, const tarn_chunk *chunk, tarn_error *err) {
    if (atomic_load_explicit(load->cancelled, memory_order_relaxed)) {
        (void)tarn_fail(err, TARN_CANCELLED, "canceling statement due to user request");
        tarn_error_locate(err, "57014", 0);
        return TARN_CANCELLED;
    }
    TARN_TRY(check_not_null(&load->object->relation, chunk, err));
    load->row_count += tarn_chunk_count(chunk);
    return tarn_table_writer_append(load->writer, chunk, err);
}

// A commit that fails at its very end has made its version visible all the same. Whoever sees it
// must not see it without the views, or lose it: it is made durable as if all had gone well.
static void settle_failed(tarn_warehouse *warehouse, wh_object *object) {
    bool settled = wh_object_settle(warehouse, object, NULL) == TARN_OK;
    atomic_store_explicit(&object->unsettled, !settled, memory_order_relaxed);
    if (settled) wh_engine_wake(warehouse);
}

tarn_status wh_commit(tarn_warehouse *warehouse, wh_object *object, tarn_table_writer *writer,
                      tarn_error *err) {
    tarn_buffer committable = {.alloc = warehouse->alloc};
    int64_t snapshot_id;
    tarn_status status = tarn_table_writer_prepare(writer, &committable, err);
    if (status == TARN_OK) {
        tarn_table_commit_request request = {
            .commit_user = warehouse->user,
            .commit_identifier = INT64_MAX,
            .committable = tarn_buffer_slice(&committable),
            .watermark_us = TARN_NO_WATERMARK,
        };
        status = tarn_table_commit(object->table, &request, &snapshot_id, err);
        if (status != TARN_OK) settle_failed(warehouse, object);
    }
    tarn_buffer_free(&committable);
    if (status != TARN_OK) return status;
    wh_object_set_durable(object, snapshot_id);
    return TARN_OK;
}

static tarn_status settle_all(tarn_warehouse *warehouse, tarn_error *err) {
    wh_object_list list;
    TARN_TRY(wh_catalog_list(warehouse, &list, err));
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < list.count && status == TARN_OK; i++) {
        wh_object *object = list.items[i];
        if (!atomic_exchange_explicit(&object->unsettled, false, memory_order_relaxed)) continue;
        status = wh_object_settle(warehouse, object, err);
        if (status != TARN_OK) {
            atomic_store_explicit(&object->unsettled, true, memory_order_relaxed);
        }
    }
    wh_list_release(warehouse->alloc, &list);
    return status;
}

tarn_status wh_flush(tarn_session *session, tarn_error *err) {
    TARN_TRY(settle_all(session->warehouse, err));
    return wh_engine_flush(session->warehouse, &session->cancelled, err);
}

static void hint_at_version(const wh_object *object, int64_t before, tarn_error *err) {
    int64_t after = atomic_load_explicit(&object->durable_version, memory_order_relaxed);
    if (atomic_load_explicit(&object->unsettled, memory_order_relaxed)) {
        tarn_error_hint(err, "Whether the rows were written is not known: FLUSH finds out.");
    } else if (after > before) {
        tarn_error_hint(err,
                        "The rows were written all the same, as version %lld: do not run the "
                        "statement again.",
                        (long long)after);
    }
}

// Writers of one process take turns: a writer learns its sequence numbers from the last version.
static tarn_status load_commit(table_load *load, tarn_error *err) {
    int64_t before = atomic_load_explicit(&load->object->durable_version, memory_order_relaxed);
    tarn_status status = wh_commit(load->warehouse, load->object, load->writer, err);
    if (status != TARN_OK) {
        hint_at_version(load->object, before, err);
        return status;
    }
    wh_engine_wake(load->warehouse);
    return TARN_OK;
}

// ---- INSERT ----

static tarn_status insert_rows(tarn_session *session, const tarn_statement *statement,
                               tarn_result *query, table_load *load, tarn_error *err) {
    TARN_TRY(wh_query_start(session, statement->insert.plan, query, err));
    for (;;) {
        tarn_batch *batch = NULL;
        TARN_TRY(tarn_flow_next(query->flow, &batch, err));
        if (batch == NULL) break;
        tarn_status status = load_chunk(load, &batch->chunk, err);
        tarn_batch_unref(batch);
        if (status != TARN_OK) return status;
    }
    return load_commit(load, err);
}

tarn_status wh_insert(tarn_session *session, const tarn_statement *statement, uint64_t *ret_rows,
                      tarn_error *err) {
    tarn_warehouse *warehouse = session->warehouse;
    tarn_result query = {.session = session, .alloc = warehouse->alloc};
    tarn_arena_init(&query.arena, warehouse->alloc, SIZE_MAX);
    table_load load = {0};
    tarn_mutex_lock(warehouse->write_lock);
    tarn_status status = load_open(session, wh_object_of(statement->insert.table), &load, err);
    if (status == TARN_OK) status = insert_rows(session, statement, &query, &load, err);
    load_close(&load);
    tarn_mutex_unlock(warehouse->write_lock);
    tarn_flow_free(query.flow);
    for (wh_scan_leaf *leaf = query.scans; leaf != NULL; leaf = leaf->next) {
        tarn_table_scan_free(leaf->scan);
    }
    tarn_arena_reset(&query.arena);
    if (status == TARN_OK) *ret_rows = load.row_count;
    return status;
}

// ---- columns of a file to columns of a table ----

typedef struct column_map {
    const tarn_schema *target;
    const ptrdiff_t *sources; // per target column: the file's, -1: NULL
} column_map;

static tarn_status map_chunk(const column_map *map, const tarn_chunk *chunk, tarn_arena *arena,
                             tarn_chunk *ret_chunk, tarn_error *err) {
    size_t count = map->target->field_count;
    tarn_vector *columns = tarn_arena_new(arena, tarn_vector, count);
    if (columns == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (map->sources[i] >= 0) {
            columns[i] = chunk->columns[map->sources[i]];
        } else {
            TARN_TRY(tarn_vector_init_constant(
                &columns[i], tarn_value_null(map->target->fields[i].type), arena, err));
        }
    }
    *ret_chunk = *chunk;
    ret_chunk->columns = columns;
    ret_chunk->column_count = count;
    ret_chunk->kinds = NULL;
    return TARN_OK;
}

static tarn_status load_mapped(table_load *load, const column_map *map, const tarn_chunk *chunk,
                               tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, load->warehouse->alloc, SIZE_MAX);
    tarn_chunk mapped;
    tarn_status status = map_chunk(map, chunk, &arena, &mapped, err);
    if (status == TARN_OK) status = load_chunk(load, &mapped, err);
    tarn_arena_reset(&arena);
    return status;
}

// ---- COPY ----

typedef struct copy_job {
    tarn_session *session;
    const tarn_statement *statement;
    table_load load;
    tarn_arena arena;
    tarn_schema file_schema; // the columns that the file has, in its order
    column_map map;
    tarn_object *object;
    wh_dead_letters letters;
} copy_job;

static tarn_status map_columns(copy_job *job, tarn_error *err) {
    const tarn_schema *target = &job->load.object->relation.schema;
    size_t count = job->statement->copy.column_count;
    tarn_field *fields = tarn_arena_new(&job->arena, tarn_field, count);
    ptrdiff_t *sources = tarn_arena_new(&job->arena, ptrdiff_t, target->field_count);
    if (fields == NULL || sources == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < target->field_count; i++) sources[i] = -1;
    for (size_t i = 0; i < count; i++) {
        size_t column = job->statement->copy.columns[i];
        fields[i] = target->fields[column];
        sources[column] = (ptrdiff_t)i;
    }
    job->file_schema = (tarn_schema){fields, count};
    job->map = (column_map){target, sources};
    return TARN_OK;
}

// Hands a rejected record to the dead letters; without them it has failed the statement already.
static tarn_status keep_bad(copy_job *job, const tarn_bad_record *bad, tarn_error *err) {
    return bad->line == 0 ? TARN_OK : wh_dead_letters_add(&job->letters, bad, err);
}

static tarn_status copy_csv(copy_job *job, tarn_error *err) {
    const tarn_statement *statement = job->statement;
    tarn_csv_options options = {
        .header = statement->copy.header,
        .delimiter = statement->copy.delimiter,
        .quote = statement->copy.quote,
        .escape = statement->copy.escape,
        .null_text = statement->copy.null_text,
    };
    tarn_csv_reader *reader = NULL;
    TARN_TRY(tarn_csv_reader_new(job->session->warehouse->alloc, job->object, &job->file_schema,
                                 &options, &reader, err));
    tarn_status status = TARN_OK;
    const tarn_chunk *chunk = NULL;
    tarn_bad_record bad;
    do {
        bad = (tarn_bad_record){0};
        tarn_bad_record *ret_bad = statement->copy.dead_letter ? &bad : NULL;
        status = tarn_csv_reader_next(reader, &chunk, ret_bad, err);
        if (status == TARN_OK && chunk != NULL) {
            status = load_mapped(&job->load, &job->map, chunk, err);
        }
        if (status == TARN_OK) status = keep_bad(job, &bad, err);
    } while (status == TARN_OK && (chunk != NULL || bad.line > 0));
    tarn_csv_reader_free(reader);
    return status;
}

static tarn_status copy_json(copy_job *job, tarn_error *err) {
    const tarn_json_options options = {.refuse_unknown = true};
    tarn_json_reader *reader = NULL;
    TARN_TRY(tarn_json_reader_new(job->session->warehouse->alloc, job->object, &job->file_schema,
                                  &options, &reader, err));
    tarn_status status = TARN_OK;
    const tarn_chunk *chunk = NULL;
    tarn_bad_record bad;
    do {
        bad = (tarn_bad_record){0};
        tarn_bad_record *ret_bad = job->statement->copy.dead_letter ? &bad : NULL;
        status = tarn_json_reader_next(reader, &chunk, ret_bad, err);
        if (status == TARN_OK && chunk != NULL) {
            status = load_mapped(&job->load, &job->map, chunk, err);
        }
        if (status == TARN_OK) status = keep_bad(job, &bad, err);
    } while (status == TARN_OK && (chunk != NULL || bad.line > 0));
    tarn_json_reader_free(reader);
    return status;
}

static tarn_status refuse_missing(copy_job *job, const tarn_schema *there, tarn_slice name,
                                  tarn_error *err) {
    (void)tarn_fail(err, TARN_INVALID,
                    "the file '" TARN_SLICE_FMT "' has no column \"" TARN_SLICE_FMT "\"",
                    TARN_SLICE_ARG(job->statement->copy.path), TARN_SLICE_ARG(name));
    tarn_error_locate(err, "42703", 0);
    tarn_slice *names = tarn_arena_new(&job->arena, tarn_slice, there->field_count);
    if (names == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < there->field_count; i++) names[i] = there->fields[i].name;
    ptrdiff_t nearest = tarn_nearest_name(name, names, there->field_count);
    if (nearest >= 0) {
        tarn_error_hint(err, "Did you mean \"" TARN_SLICE_FMT "\"?",
                        TARN_SLICE_ARG(names[nearest]));
    }
    return TARN_INVALID;
}

static tarn_status parquet_columns(copy_job *job, const tarn_parquet_file *file, size_t *columns,
                                   tarn_type *types, tarn_error *err) {
    const tarn_schema *schema = tarn_parquet_schema(file);
    for (size_t i = 0; i < job->file_schema.field_count; i++) {
        const tarn_field *field = &job->file_schema.fields[i];
        ptrdiff_t column = tarn_schema_find(schema, field->name);
        if (column < 0) {
            return refuse_missing(job, schema, field->name, err);
        }
        columns[i] = (size_t)column;
        types[i] = field->type;
    }
    return TARN_OK;
}

static tarn_status copy_parquet_rows(copy_job *job, tarn_parquet_file *file, tarn_error *err) {
    size_t count = job->file_schema.field_count;
    size_t *columns = tarn_arena_new(&job->arena, size_t, count);
    tarn_type *types = tarn_arena_new(&job->arena, tarn_type, count);
    if (columns == NULL || types == NULL) return wh_no_memory(err);
    TARN_TRY(parquet_columns(job, file, columns, types, err));
    tarn_parquet_scan_options options = {.columns = columns, .column_count = count, .types = types};
    tarn_parquet_scan *scan = NULL;
    TARN_TRY(tarn_parquet_scan_new(file, &options, &scan, err));
    const tarn_chunk *chunk = NULL;
    tarn_status status = tarn_parquet_scan_next(scan, &chunk, NULL, err);
    while (status == TARN_OK && chunk != NULL) {
        status = load_mapped(&job->load, &job->map, chunk, err);
        if (status == TARN_OK) status = tarn_parquet_scan_next(scan, &chunk, NULL, err);
    }
    tarn_parquet_scan_free(scan);
    return status;
}

static tarn_status copy_parquet(copy_job *job, tarn_error *err) {
    tarn_parquet_file *file = NULL;
    TARN_TRY(tarn_parquet_open(job->session->warehouse->alloc, job->object, &file, err));
    tarn_status status = copy_parquet_rows(job, file, err);
    tarn_parquet_close(file);
    return status;
}

static tarn_status copy_rows(copy_job *job, tarn_error *err) {
    tarn_slice format = job->statement->copy.format;
    if (tarn_slice_equal(format, TARN_LIT("csv"))) return copy_csv(job, err);
    if (tarn_slice_equal(format, TARN_LIT("json"))) return copy_json(job, err);
    if (tarn_slice_equal(format, TARN_LIT("parquet"))) return copy_parquet(job, err);
    (void)tarn_fail(err, TARN_UNSUPPORTED, "COPY format \"" TARN_SLICE_FMT "\" is not supported",
                    TARN_SLICE_ARG(format));
    tarn_error_locate(err, "0A000", 0);
    tarn_error_hint(err, "Formats are csv, json and parquet.");
    return TARN_UNSUPPORTED;
}

static tarn_status open_file(copy_job *job, tarn_store **ret_store, tarn_error *err) {
    tarn_warehouse *warehouse = job->session->warehouse;
    tarn_slice path = job->statement->copy.path;
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(warehouse->os, path, &info, err));
    if (!info.exists || info.is_directory) {
        (void)tarn_fail(err, TARN_IO, "could not open file \"" TARN_SLICE_FMT "\" for reading: %s",
                        TARN_SLICE_ARG(path),
                        info.exists ? "it is a directory" : "no such file or directory");
        tarn_error_locate(err, info.exists ? "42809" : "58P01", 0);
        return TARN_IO;
    }
    // Files of users lie anywhere: a store at their directory, for as long as it is read.
    size_t slash = path.len;
    while (slash > 0 && path.data[slash - 1] != '/') slash--;
    tarn_slice root = slash == 0 ? TARN_LIT(".") : tarn_slice_head(path, slash);
    TARN_TRY(tarn_store_open_local(warehouse->os, warehouse->alloc, root, ret_store, err));
    return tarn_store_open(*ret_store, tarn_slice_skip(path, slash), &job->object, err);
}

static tarn_status run_copy(copy_job *job, tarn_error *err) {
    TARN_TRY(map_columns(job, err));
    TARN_TRY(copy_rows(job, err));
    // Dead letters first: should the second commit fail, the statement can be run again and nothing
    // is lost, only told twice.
    TARN_TRY(wh_dead_letters_commit(&job->letters, err));
    return load_commit(&job->load, err);
}

static tarn_status copy_locked(copy_job *job, wh_object *object, tarn_error *err) {
    tarn_warehouse *warehouse = job->session->warehouse;
    tarn_status status = load_open(job->session, object, &job->load, err);
    if (status == TARN_OK && job->statement->copy.dead_letter) {
        status = wh_dead_letters_open(warehouse, object->relation.name, job->statement->copy.path,
                                      &job->letters, err);
    }
    if (status == TARN_OK) status = run_copy(job, err);
    wh_dead_letters_close(&job->letters);
    load_close(&job->load);
    return status;
}

// Another statement that fails may take back the table for dead letters that it has made: the locks
// overlap, so that it is not this one's.
static tarn_status copy_with_letters(copy_job *job, wh_object *object, tarn_error *err) {
    tarn_warehouse *warehouse = job->session->warehouse;
    tarn_slice name = object->relation.name;
    bool is_new = false;
    tarn_mutex_lock(warehouse->ddl_lock);
    tarn_status status = wh_dead_letter_create(warehouse, name, &is_new, err);
    tarn_mutex_lock(warehouse->write_lock);
    tarn_mutex_unlock(warehouse->ddl_lock);
    if (status == TARN_OK) status = copy_locked(job, object, err);
    tarn_mutex_unlock(warehouse->write_lock);
    if (status != TARN_OK && is_new) {
        tarn_mutex_lock(warehouse->ddl_lock);
        wh_dead_letter_take_back(warehouse, name);
        tarn_mutex_unlock(warehouse->ddl_lock);
    }
    return status;
}

tarn_status wh_copy(tarn_session *session, const tarn_statement *statement, uint64_t *ret_rows,
                    tarn_error *err) {
    tarn_warehouse *warehouse = session->warehouse;
    copy_job job = {.session = session, .statement = statement};
    tarn_arena_init(&job.arena, warehouse->alloc, SIZE_MAX);
    tarn_store *store = NULL;
    wh_object *object = wh_object_of(statement->copy.table);
    // What can be refused is refused before a table for dead letters is made.
    tarn_status status = refuse_no_table(object, err);
    if (status == TARN_OK) status = open_file(&job, &store, err);
    if (status == TARN_OK && statement->copy.dead_letter) {
        status = copy_with_letters(&job, object, err);
    } else if (status == TARN_OK) {
        tarn_mutex_lock(warehouse->write_lock);
        status = copy_locked(&job, object, err);
        tarn_mutex_unlock(warehouse->write_lock);
    }
    tarn_object_close(job.object);
    tarn_store_close(store);
    tarn_arena_reset(&job.arena);
    if (status == TARN_OK) *ret_rows = job.load.row_count;
    return status;
}

// ---- append ----

typedef tarn_status (*next_chunk)(void *context, tarn_arena *arena, tarn_chunk *ret_chunk,
                                  bool *ret_found, tarn_error *err);

static tarn_status match_columns(const wh_object *object, const tarn_schema *schema,
                                 ptrdiff_t *sources, tarn_error *err) {
    const tarn_schema *target = &object->relation.schema;
    for (size_t i = 0; i < target->field_count; i++) {
        sources[i] = tarn_schema_find(schema, target->fields[i].name);
        if (sources[i] < 0) continue;
        if (!tarn_type_equal(schema->fields[sources[i]].type, target->fields[i].type)) {
            (void)tarn_fail(err, TARN_INVALID,
                            "column \"" TARN_SLICE_FMT "\" is of another type in the table",
                            TARN_SLICE_ARG(target->fields[i].name));
            tarn_error_locate(err, "42804", 0);
            return TARN_INVALID;
        }
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        if (tarn_schema_find(target, schema->fields[i].name) >= 0) continue;
        (void)tarn_fail(
            err, TARN_INVALID,
            "column \"" TARN_SLICE_FMT "\" of relation \"" TARN_SLICE_FMT "\" does not exist",
            TARN_SLICE_ARG(schema->fields[i].name), TARN_SLICE_ARG(object->relation.name));
        tarn_error_locate(err, "42703", 0);
        return TARN_INVALID;
    }
    return TARN_OK;
}

static tarn_status append_all(table_load *load, const tarn_schema *schema, next_chunk next,
                              void *context, tarn_arena *arena, tarn_error *err) {
    size_t count = load->object->relation.schema.field_count;
    ptrdiff_t *sources = tarn_arena_new(arena, ptrdiff_t, count);
    if (sources == NULL) return wh_no_memory(err);
    TARN_TRY(match_columns(load->object, schema, sources, err));
    column_map map = {&load->object->relation.schema, sources};
    tarn_arena batch_arena;
    tarn_arena_init(&batch_arena, load->warehouse->alloc, SIZE_MAX);
    tarn_chunk chunk;
    bool found = false;
    tarn_status status = next(context, &batch_arena, &chunk, &found, err);
    while (status == TARN_OK && found) {
        status = load_mapped(load, &map, &chunk, err);
        tarn_arena_clear(&batch_arena);
        if (status == TARN_OK) status = next(context, &batch_arena, &chunk, &found, err);
    }
    tarn_arena_reset(&batch_arena);
    return status;
}

tarn_status tarn_session_append(tarn_session *session, tarn_slice table, const tarn_schema *schema,
                                next_chunk next, void *context, tarn_error *err) {
    tarn_warehouse *warehouse = session->warehouse;
    wh_object *object = wh_catalog_find(warehouse, table);
    if (object == NULL) {
        (void)tarn_fail(err, TARN_INVALID, "relation \"" TARN_SLICE_FMT "\" does not exist",
                        TARN_SLICE_ARG(table));
        tarn_error_locate(err, "42P01", 0);
        return TARN_INVALID;
    }
    atomic_store_explicit(&session->cancelled, false, memory_order_relaxed);
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    table_load load = {0};
    tarn_mutex_lock(warehouse->write_lock);
    tarn_status status = load_open(session, object, &load, err);
    if (status == TARN_OK) status = append_all(&load, schema, next, context, &arena, err);
    if (status == TARN_OK) status = load_commit(&load, err);
    load_close(&load);
    tarn_mutex_unlock(warehouse->write_lock);
    tarn_arena_reset(&arena);
    wh_object_unref(object);
    return status;
}

// ---- dead letters ----

tarn_status wh_dead_letters_open(tarn_warehouse *warehouse, tarn_slice name, tarn_slice origin,
                                 wh_dead_letters *ret_letters, tarn_error *err) {
    wh_dead_letters letters = {.warehouse = warehouse, .origin = origin};
    tarn_status status = wh_dead_letter_table(warehouse, name, &letters.object, err);
    if (status == TARN_OK) {
        tarn_table_writer_options options = {.alloc = warehouse->alloc};
        status = tarn_table_writer_new(letters.object->table, &options, &letters.writer, err);
    }
    if (status == TARN_OK) {
        status = tarn_chunk_builder_new(warehouse->alloc, &letters.object->relation.schema,
                                        &letters.builder, err);
    }
    if (status != TARN_OK) {
        wh_dead_letters_close(&letters);
        return status;
    }
    *ret_letters = letters;
    return TARN_OK;
}

static tarn_status drain_letters(wh_dead_letters *letters, tarn_error *err) {
    const tarn_chunk *chunk = tarn_chunk_builder_chunk(letters->builder);
    if (tarn_chunk_count(chunk) > 0) {
        TARN_TRY(tarn_table_writer_append(letters->writer, chunk, err));
    }
    tarn_chunk_builder_clear(letters->builder);
    return TARN_OK;
}

tarn_status wh_dead_letters_add(void *context, const tarn_bad_record *record, tarn_error *err) {
    wh_dead_letters *letters = context;
    const tarn_field *fields = letters->object->relation.schema.fields;
    const tarn_value values[] = {
        {.type = fields[0].type, .i64 = tarn_os_now_us(letters->warehouse->os)},
        {.type = fields[1].type, .bytes = letters->origin},
        {.type = fields[2].type, .i64 = (int64_t)record->line},
        {.type = fields[3].type, .is_null = record->column == 0, .i64 = (int64_t)record->column},
        {.type = fields[4].type, .i64 = (int64_t)record->byte_offset},
        {.type = fields[5].type, .bytes = tarn_slice_from_cstr(record->error.message)},
        {.type = fields[6].type, .bytes = record->raw},
    };
    TARN_TRY(tarn_chunk_builder_append(letters->builder, values, TARN_ROW_INSERT, err));
    letters->count++;
    return tarn_chunk_builder_is_full(letters->builder) ? drain_letters(letters, err) : TARN_OK;
}

tarn_status wh_dead_letters_prepare(wh_dead_letters *letters, tarn_buffer *ret_committable,
                                    tarn_error *err) {
    if (letters->count == 0) return TARN_OK;
    TARN_TRY(drain_letters(letters, err));
    letters->count = 0;
    return tarn_table_writer_prepare(letters->writer, ret_committable, err);
}

tarn_status wh_dead_letters_commit(wh_dead_letters *letters, tarn_error *err) {
    if (letters->object == NULL || letters->count == 0) return TARN_OK;
    TARN_TRY(drain_letters(letters, err));
    letters->count = 0;
    return wh_commit(letters->warehouse, letters->object, letters->writer, err);
}

void wh_dead_letters_close(wh_dead_letters *letters) {
    tarn_chunk_builder_free(letters->builder);
    tarn_table_writer_free(letters->writer);
    wh_object_unref(letters->object);
    *letters = (wh_dead_letters){0};
}
