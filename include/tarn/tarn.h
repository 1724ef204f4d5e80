// tarn.h - the public C API of tarn, a streaming warehouse in one library.
//
// A directory is a warehouse: tables in the Apache Paimon layout, sources, and materialized views
// that keep running while it is open. One process has a warehouse open at a time.
//
//     tarn_db *db = NULL;
//     tarn_db_error error;
//     if (tarn_db_open("warehouse", NULL, &db, &error) != TARN_DB_OK) ...
//     struct ArrowArrayStream rows;
//     if (tarn_db_query(db, "SELECT origin, count(*) FROM flights GROUP BY origin", &rows, &error)
//     ...
//     ... rows.get_next(&rows, &array) ...; rows.release(&rows);
//     tarn_db_close(db);
//
// Results:   Arrow C streams, which every Arrow library can import without a copy.
// Ownership: the caller releases streams before it closes the database. Text passed in is copied.
// Threads:   a tarn_db may be used from any thread; calls on it take turns. tarn_db_cancel may come
//            from any thread while another is in a call.
// Errors:    every call returns TARN_DB_OK or an error code and fills *error (which may be NULL).
#ifndef TARN_H
#define TARN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The Arrow C data interface and C stream interface: a stable ABI that every Arrow library shares
// (https://arrow.apache.org/docs/format/CDataInterface.html).
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE           2
#define ARROW_FLAG_MAP_KEYS_SORTED    4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#endif

#if defined(__GNUC__)
#define TARN_DB_API __attribute__((visibility("default")))
#else
#define TARN_DB_API
#endif

typedef enum tarn_db_code {
    TARN_DB_OK = 0,
    TARN_DB_INVALID,     // the request is wrong; the same request will always fail
    TARN_DB_UNSUPPORTED, // the request is right, but tarn does not do that
    TARN_DB_CORRUPT,     // stored bytes violate their format
    TARN_DB_IO,          // the operating system refused
    TARN_DB_NO_MEMORY,   // the memory limit is reached
    TARN_DB_CANCELLED,   // tarn_db_cancel was called
    TARN_DB_CONFLICT,    // someone else got there first; try again
} tarn_db_code;

typedef struct tarn_db_error {
    tarn_db_code code;
    char sqlstate[6]; // five characters, or ""
    int32_t position; // 1-based character in the statement, 0 when it does not apply
    char message[512];
    char hint[256]; // what to try; "" when there is nothing to say
} tarn_db_error;

// Zero means the default.
typedef struct tarn_db_options {
    uint64_t memory_limit_bytes;    // default 4 GiB
    uint32_t thread_count;          // default: one per CPU
    int64_t checkpoint_interval_ms; // default 1000
} tarn_db_options;

typedef struct tarn_db tarn_db;

// "0.1.0"
TARN_DB_API const char *tarn_db_version(void);

// Opens the warehouse in `directory`, which is created when absent, and resumes its views.
// TARN_DB_CONFLICT when another process has it open. `options` may be NULL.
TARN_DB_API tarn_db_code tarn_db_open(const char *directory, const tarn_db_options *options,
                                      tarn_db **ret_db, tarn_db_error *error);

// Takes a last checkpoint of the views and closes. Accepts NULL.
TARN_DB_API void tarn_db_close(tarn_db *db);

// Runs all statements of a script, one after the other; rows they return are dropped. Stops at the
// first error.
TARN_DB_API tarn_db_code tarn_db_execute(tarn_db *db, const char *sql, tarn_db_error *error);

// Runs one statement that returns rows. On TARN_DB_OK the caller owns *ret_rows and releases it.
// Until then the stream may compute as it is read; an error in it is told by get_next and
// get_last_error.
TARN_DB_API tarn_db_code tarn_db_query(tarn_db *db, const char *sql,
                                       struct ArrowArrayStream *ret_rows, tarn_db_error *error);

// Appends the rows of a struct array to a table as one transaction: all or nothing. Columns are
// matched by name; missing ones become NULL. Takes neither `schema` nor `rows`: the caller releases
// them.
TARN_DB_API tarn_db_code tarn_db_append(tarn_db *db, const char *table,
                                        const struct ArrowSchema *schema,
                                        const struct ArrowArray *rows, tarn_db_error *error);

// Makes the running call fail with TARN_DB_CANCELLED. Safe in a signal handler.
TARN_DB_API void tarn_db_cancel(tarn_db *db);

#ifdef __cplusplus
}
#endif

#endif
