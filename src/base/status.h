// status.h - how a fallible function reports failure.
//
// Every fallible function returns a tarn_status and takes a `tarn_error *err` as its last
// parameter. TARN_OK means that it did all of its work. Anything else means that the caller's
// outputs (`ret_*`) are untouched, and *err says what happened, in words for the person who must
// act on it. "Not found" and "no more rows" are answers, not failures: they come back through an
// output, with TARN_OK.
//
// Ownership: the caller owns the tarn_error, usually on its stack. NULL drops the message, never
//            the status. Nothing here allocates, so reporting an error cannot fail.
// Threads:   a tarn_error belongs to one thread. There is no global "last error".
#ifndef TARN_BASE_STATUS_H
#define TARN_BASE_STATUS_H

#include <stdint.h>

#include "base/compiler.h"

typedef enum tarn_status {
    TARN_OK = 0,
    TARN_INVALID,     // the request is wrong; the same request will always fail
    TARN_UNSUPPORTED, // the request is right, but we do not do that
    TARN_CORRUPT,     // stored bytes violate their format
    TARN_IO,          // the operating system refused
    TARN_NO_MEMORY,   // a memory budget is exhausted
    TARN_CANCELLED,   // someone asked us to stop
    TARN_CONFLICT,    // someone else got there first; read again, then retry
} tarn_status;

#define TARN_ERROR_MESSAGE_MAX 512
#define TARN_ERROR_HINT_MAX    256

typedef struct tarn_error {
    tarn_status status;
    const char *file; // where it was first detected, for the log
    int line;
    char sqlstate[6]; // five characters of SQLSTATE, or "" when only the status is known
    int32_t position; // 1-based character in the statement, 0 when it does not apply
    char message[TARN_ERROR_MESSAGE_MAX]; // NUL-terminated, cut if too long
    char hint[TARN_ERROR_HINT_MAX];       // what to try; "" when there is nothing to say
} tarn_error;

// Fills *err (unless NULL) and returns `status`, so that a failure is one statement:
//
//     return tarn_fail(err, TARN_CORRUPT, "block %u: checksum mismatch", index);
#define tarn_fail(err, status, ...) \
    tarn_not_ok(tarn_fail_at((err), (status), __FILE__, __LINE__, __VA_ARGS__))

tarn_status tarn_fail_at(tarn_error *err, tarn_status status, const char *file, int line,
                         const char *format, ...) TARN_PRINTF(5, 6);

// Tells the static analyzer, which looks at one file at a time, that a failure is never TARN_OK:
// without it every output looks unset behind TARN_TRY.
static inline tarn_status tarn_not_ok(tarn_status status) {
    tarn_assert(status != TARN_OK);
    return status;
}

// Prefixes the message with what only this layer knows ("table orders: "). Keeps the status and
// the place of origin.
void tarn_error_prefix(tarn_error *err, const char *format, ...) TARN_PRINTF(2, 3);

// Says which SQLSTATE the failure has, and where in the statement it is (`position` 1-based, 0
// keeps what is there). Used by the layers that know SQL; NULL and "" leave a field as it is.
void tarn_error_locate(tarn_error *err, const char *sqlstate, int32_t position);

// Adds what to try ("did you mean 'origin'?").
void tarn_error_hint(tarn_error *err, const char *format, ...) TARN_PRINTF(2, 3);

// The same word everywhere: "corrupt", "io", ...
const char *tarn_status_name(tarn_status status);

// Returns early on failure. For functions that own nothing yet; the others say `goto out`.
#define TARN_TRY(call)                                  \
    do {                                                \
        tarn_status try_status_ = (call);               \
        if (try_status_ != TARN_OK) return try_status_; \
    } while (0)

#endif
