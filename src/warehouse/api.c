// The public C API: tarn.h over sessions and results.
#include <errno.h>
#include <tarn/tarn.h>

#include "warehouse/internal.h"

static_assert((int)TARN_DB_CONFLICT == (int)TARN_CONFLICT, "codes are the statuses");
static_assert((int)TARN_DB_CANCELLED == (int)TARN_CANCELLED, "codes are the statuses");

struct tarn_db {
    tarn_warehouse *warehouse;
    tarn_session *session;
    tarn_mutex *lock; // calls take turns
};

static tarn_db_code report(tarn_status status, const tarn_error *err, tarn_db_error *error) {
    if (error == NULL) return (tarn_db_code)status;
    *error = (tarn_db_error){.code = (tarn_db_code)status};
    if (status == TARN_OK) return TARN_DB_OK;
    static_assert(sizeof error->message >= sizeof err->message, "messages fit");
    static_assert(sizeof error->hint >= sizeof err->hint, "hints fit");
    memcpy(error->message, err->message, sizeof err->message);
    memcpy(error->hint, err->hint, sizeof err->hint);
    memcpy(error->sqlstate, err->sqlstate, sizeof err->sqlstate);
    error->position = err->position;
    return (tarn_db_code)status;
}

const char *tarn_db_version(void) {
    return TARN_VERSION;
}

tarn_db_code tarn_db_open(const char *directory, const tarn_db_options *options, tarn_db **ret_db,
                          tarn_db_error *error) {
    tarn_error err = {0};
    tarn_warehouse_options set = {0};
    if (options != NULL) {
        set.memory_limit_bytes = (size_t)options->memory_limit_bytes;
        set.thread_count = options->thread_count;
        set.checkpoint_interval_ms = options->checkpoint_interval_ms;
    }
    tarn_db *db = tarn_alloc_new(&tarn_alloc_libc, tarn_db, 1);
    tarn_status status = db == NULL ? wh_no_memory(&err) : TARN_OK;
    if (status == TARN_OK) status = tarn_mutex_new(TARN_LOCK_API, &db->lock, &err);
    if (status == TARN_OK) {
        status = tarn_warehouse_open(tarn_os_posix(), &tarn_alloc_libc,
                                     tarn_slice_from_cstr(directory), &set, &db->warehouse, &err);
    }
    if (status == TARN_OK) status = tarn_session_new(db->warehouse, &db->session, &err);
    if (status == TARN_OK) {
        *ret_db = db;
    } else {
        tarn_db_close(db);
    }
    return report(status, &err, error);
}

void tarn_db_close(tarn_db *db) {
    if (db == NULL) return;
    tarn_session_free(db->session);
    tarn_warehouse_close(db->warehouse);
    tarn_mutex_free(db->lock);
    tarn_alloc_free(&tarn_alloc_libc, db, 1);
}

void tarn_db_cancel(tarn_db *db) {
    tarn_session_cancel(db->session);
}

// ---- statements ----

static tarn_status run_statement(tarn_session *session, tarn_slice text, tarn_error *err) {
    tarn_result *result = NULL;
    TARN_TRY(tarn_session_execute(session, text, &result, err));
    tarn_status status = TARN_OK;
    tarn_batch *batch = NULL;
    do {
        status = tarn_result_next(result, &batch, err);
        if (status != TARN_OK || batch == NULL) break;
        tarn_batch_unref(batch);
    } while (true);
    tarn_result_free(result);
    return status;
}

tarn_db_code tarn_db_execute(tarn_db *db, const char *sql, tarn_db_error *error) {
    tarn_error err = {0};
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_slice *texts;
    size_t count = 0;
    tarn_mutex_lock(db->lock);
    tarn_status status =
        tarn_script_split(tarn_slice_from_cstr(sql), &arena, &texts, &count, NULL, &err);
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        status = run_statement(db->session, texts[i], &err);
    }
    tarn_mutex_unlock(db->lock);
    tarn_arena_reset(&arena);
    return report(status, &err, error);
}

// ---- results as Arrow streams ----

typedef struct row_stream {
    tarn_result *result;
    tarn_error error;
} row_stream;

static int stream_failure(tarn_status status) {
    switch (status) {
    case TARN_NO_MEMORY: return ENOMEM;
    case TARN_CANCELLED: return ECANCELED;
    case TARN_INVALID:
    case TARN_UNSUPPORTED: return EINVAL;
    case TARN_OK:
    case TARN_CORRUPT:
    case TARN_IO:
    case TARN_CONFLICT: break;
    }
    return EIO;
}

static int stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    row_stream *rows = stream->private_data;
    tarn_status status =
        tarn_arrow_export_schema(tarn_result_schema(rows->result), out, &rows->error);
    return status == TARN_OK ? 0 : stream_failure(status);
}

static int stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    row_stream *rows = stream->private_data;
    tarn_batch *batch = NULL;
    tarn_status status = tarn_result_next(rows->result, &batch, &rows->error);
    if (status != TARN_OK) return stream_failure(status);
    if (batch == NULL) {
        *out = (struct ArrowArray){0}; // a released array is the end
        return 0;
    }
    status =
        tarn_arrow_export_chunk(tarn_result_schema(rows->result), &batch->chunk, out, &rows->error);
    tarn_batch_unref(batch);
    return status == TARN_OK ? 0 : stream_failure(status);
}

static const char *stream_error(struct ArrowArrayStream *stream) {
    const row_stream *rows = stream->private_data;
    return rows->error.message[0] == '\0' ? NULL : rows->error.message;
}

static void stream_release(struct ArrowArrayStream *stream) {
    row_stream *rows = stream->private_data;
    tarn_result_free(rows->result);
    tarn_alloc_free(&tarn_alloc_libc, rows, 1);
    *stream = (struct ArrowArrayStream){0};
}

tarn_db_code tarn_db_query(tarn_db *db, const char *sql, struct ArrowArrayStream *ret_rows,
                           tarn_db_error *error) {
    tarn_error err = {0};
    row_stream *rows = tarn_alloc_new(&tarn_alloc_libc, row_stream, 1);
    if (rows == NULL) return report(wh_no_memory(&err), &err, error);
    tarn_mutex_lock(db->lock);
    tarn_status status =
        tarn_session_execute(db->session, tarn_slice_from_cstr(sql), &rows->result, &err);
    tarn_mutex_unlock(db->lock);
    if (status != TARN_OK) {
        tarn_alloc_free(&tarn_alloc_libc, rows, 1);
        return report(status, &err, error);
    }
    *ret_rows = (struct ArrowArrayStream){.get_schema = stream_schema,
                                          .get_next = stream_next,
                                          .get_last_error = stream_error,
                                          .release = stream_release,
                                          .private_data = rows};
    return report(TARN_OK, &err, error);
}

// ---- append ----

// All chunks go through one table writer, so that the rows become one version.
typedef struct array_rows {
    const struct ArrowSchema *schema;
    const struct ArrowArray *rows;
    tarn_schema fields;
    size_t next;
} array_rows;

static tarn_status next_rows(void *context, tarn_arena *arena, tarn_chunk *ret_chunk,
                             bool *ret_found, tarn_error *err) {
    array_rows *array = context;
    size_t left = (size_t)array->rows->length - array->next;
    size_t count = left < TARN_CHUNK_ROWS ? left : TARN_CHUNK_ROWS;
    *ret_found = count > 0;
    if (count == 0) return TARN_OK;
    TARN_TRY(tarn_arrow_import_chunk(array->schema, array->rows, &array->fields, array->next, count,
                                     arena, ret_chunk, err));
    array->next += count;
    return TARN_OK;
}

tarn_db_code tarn_db_append(tarn_db *db, const char *table, const struct ArrowSchema *schema,
                            const struct ArrowArray *rows, tarn_db_error *error) {
    tarn_error err = {0};
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    array_rows array = {.schema = schema, .rows = rows};
    tarn_status status = tarn_arrow_import_schema(schema, &arena, &array.fields, &err);
    tarn_mutex_lock(db->lock);
    if (status == TARN_OK) {
        status = tarn_session_append(db->session, tarn_slice_from_cstr(table), &array.fields,
                                     next_rows, &array, &err);
    }
    tarn_mutex_unlock(db->lock);
    tarn_arena_reset(&arena);
    return report(status, &err, error);
}
