// fail.h - errors of this module: a status, an SQLSTATE and a position in one statement.
#ifndef TARN_SQL_FAIL_H
#define TARN_SQL_FAIL_H

#include "base/status.h"

// `position` is 1-based in characters, 0: unknown.
#define sql_fail(err, position, state, ...)                                                      \
    (tarn_fail((err), TARN_INVALID, __VA_ARGS__), tarn_error_locate((err), (state), (position)), \
     TARN_INVALID)

// A construct that the grammar knows and we do not. The text names it.
#define sql_unsupported(err, position, ...)           \
    (tarn_fail((err), TARN_UNSUPPORTED, __VA_ARGS__), \
     tarn_error_locate((err), "0A000", (position)), TARN_UNSUPPORTED)

#define sql_no_memory(err)                                                        \
    (tarn_fail((err), TARN_NO_MEMORY, "no memory left to prepare the statement"), \
     tarn_error_locate((err), "53200", 0), TARN_NO_MEMORY)

#endif
