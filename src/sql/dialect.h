// dialect.h - the front step: what PostgreSQL's grammar does not know is cut out of the text.
//
// A cut is overwritten with spaces (or with a word of the same length), so every offset of what
// the grammar gets is an offset of what the user wrote. What was cut is recorded here, and the
// binder takes it from here: options, WATERMARK FOR, EMIT ON WINDOW CLOSE, FOR SYSTEM_... AS OF.
#ifndef TARN_SQL_DIALECT_H
#define TARN_SQL_DIALECT_H

#include "sql/sql.h"
#include "sql/token.h"

typedef enum sql_dialect_kind {
    SQL_DIALECT_PLAIN,
    SQL_DIALECT_FLUSH,
    SQL_DIALECT_CREATE_SOURCE, // the grammar gets CREATE TABLE
    SQL_DIALECT_DROP_SOURCE,   // the grammar gets DROP TABLE
} sql_dialect_kind;

// FOR SYSTEM_VERSION / SYSTEM_TIME AS OF behind a relation's name.
typedef struct sql_as_of {
    size_t table_offset; // of the relation's name
    size_t offset;       // of FOR
    tarn_as_of_kind kind;
    int64_t value;
    bool used; // set by the binder
} sql_as_of;

typedef struct sql_dialect {
    sql_dialect_kind kind;
    tarn_slice source;     // as written
    char *text;            // what the grammar gets: source.len bytes and a NUL
    const uint32_t *marks; // characters before each so many bytes; NULL: all is ASCII

    bool has_options;
    tarn_sql_option *options;
    size_t option_count;

    bool has_watermark;
    tarn_slice watermark_column;
    size_t watermark_column_offset;
    size_t watermark_begin; // the expression's bytes
    size_t watermark_end;

    bool emit_on_close;
    size_t emit_offset;

    sql_as_of *as_of;
    size_t as_of_count;
} sql_dialect;

// How deep a tree the rest of this module, and what comes after it, has to walk.
#define SQL_DEPTH_MAX 400

// Checks the text (UTF-8, size, nesting) and cuts. Everything lives in `arena`.
TARN_MUST_USE tarn_status sql_dialect_cut(tarn_slice source, tarn_arena *arena,
                                          sql_dialect *ret_dialect, tarn_error *err);

// The 1-based character at a byte offset of the source.
int32_t sql_dialect_position(const sql_dialect *dialect, size_t offset);

#endif
