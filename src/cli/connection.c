#include "cli/connection.h"

static tarn_status execute(void *context, tarn_slice text, void **ret_result, tarn_error *err) {
    const cli_connection *connection = context;
    tarn_result *result = NULL;
    TARN_TRY(tarn_session_execute(connection->session, text, &result, err));
    *ret_result = result;
    return TARN_OK;
}

static const tarn_schema *schema_of(const void *result) {
    return tarn_result_schema(result);
}

static tarn_status next(void *result, tarn_batch **ret_batch, tarn_error *err) {
    return tarn_result_next(result, ret_batch, err);
}

static tarn_slice tag_of(void *result) {
    return tarn_result_tag(result);
}

static void free_result(void *result) {
    tarn_result_free(result);
}

static tarn_status progress(void *context, tarn_arena *arena, tarn_progress *ret_progress,
                            tarn_error *err) {
    const cli_connection *connection = context;
    return tarn_warehouse_progress(connection->warehouse, arena, ret_progress, err);
}

static tarn_slice directory_of(void *context) {
    const cli_connection *connection = context;
    return tarn_warehouse_directory(connection->warehouse);
}

tarn_status cli_connection_open(cli_connection *connection, tarn_os *os, tarn_slice directory,
                                const tarn_warehouse_options *options, tarn_error *err) {
    *connection = (cli_connection){0};
    TARN_TRY(
        tarn_warehouse_open(os, &tarn_alloc_libc, directory, options, &connection->warehouse, err));
    tarn_status status = tarn_session_new(connection->warehouse, &connection->session, err);
    if (status != TARN_OK) {
        cli_connection_close(connection);
        return status;
    }
    connection->engine = (cli_engine){
        .context = connection,
        .execute = execute,
        .schema = schema_of,
        .next = next,
        .tag = tag_of,
        .free_result = free_result,
        .progress = progress,
        .directory = directory_of,
    };
    return TARN_OK;
}

void cli_connection_close(cli_connection *connection) {
    tarn_session_free(connection->session);
    tarn_warehouse_close(connection->warehouse);
    *connection = (cli_connection){0};
}
