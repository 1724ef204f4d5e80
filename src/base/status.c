#include "base/status.h"

#include <stdarg.h>
#include <string.h>

tarn_status tarn_fail_at(tarn_error *err, tarn_status status, const char *file, int line,
                         const char *format, ...) {
    tarn_assert(status != TARN_OK);
    if (err == NULL) return status;

    err->status = status;
    err->file = file;
    err->line = line;
    err->sqlstate[0] = '\0';
    err->position = 0;
    err->hint[0] = '\0';
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

void tarn_error_prefix(tarn_error *err, const char *format, ...) {
    if (err == NULL) return;
    tarn_assert(err->status != TARN_OK);

    char cause[TARN_ERROR_MESSAGE_MAX];
    memcpy(cause, err->message, sizeof cause);
    va_list args;
    va_start(args, format);
    int prefix_len = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (prefix_len < 0 || (size_t)prefix_len >= sizeof err->message) return;
    (void)snprintf(err->message + prefix_len, sizeof err->message - (size_t)prefix_len, "%s",
                   cause);
}

void tarn_error_locate(tarn_error *err, const char *sqlstate, int32_t position) {
    if (err == NULL) return;
    if (sqlstate != NULL && sqlstate[0] != '\0') {
        (void)snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
    }
    if (position > 0) err->position = position;
}

void tarn_error_hint(tarn_error *err, const char *format, ...) {
    if (err == NULL) return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
}

const char *tarn_status_name(tarn_status status) {
    switch (status) {
    case TARN_OK: return "ok";
    case TARN_INVALID: return "invalid";
    case TARN_UNSUPPORTED: return "unsupported";
    case TARN_CORRUPT: return "corrupt";
    case TARN_IO: return "io";
    case TARN_NO_MEMORY: return "no memory";
    case TARN_CANCELLED: return "cancelled";
    case TARN_CONFLICT: return "conflict";
    }
    return "unknown";
}
