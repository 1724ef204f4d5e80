// engine.h - what the shell asks of whatever runs its statements: a session of an open warehouse
// (connection.h) or, in tests, a list of prepared answers.
//
// Ownership: a result is freed by the shell; what it views (schema, tag) lives as long.
// Threads:   one, except `progress`, which any thread may call.
#ifndef TARN_CLI_ENGINE_H
#define TARN_CLI_ENGINE_H

#include "warehouse/warehouse.h"

typedef struct cli_engine {
    void *context;
    tarn_status (*execute)(void *context, tarn_slice text, void **ret_result, tarn_error *err);
    const tarn_schema *(*schema)(const void *result);
    tarn_status (*next)(void *result, tarn_batch **ret_batch, tarn_error *err);
    tarn_slice (*tag)(void *result);
    void (*free_result)(void *result);
    tarn_status (*progress)(void *context, tarn_arena *arena, tarn_progress *ret_progress,
                            tarn_error *err);
    tarn_slice (*directory)(void *context); // absolute
} cli_engine;

#endif
