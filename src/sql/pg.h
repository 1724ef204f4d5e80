// pg.h - PostgreSQL's grammar: the only place that knows libpg_query.
//
// The library parses into protobuf bytes; sql_parse unpacks them into the arena as the structs of
// pg_query.pb-c.h. It keeps its state per thread, so any thread may parse.
#ifndef TARN_SQL_PG_H
#define TARN_SQL_PG_H

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "sql/dialect.h"

typedef PgQuery__Node pg_node;

// An alias that was put in behind a subquery without one.
typedef struct sql_insertion {
    size_t source_offset; // of the statement as written: it stands before this byte
    size_t len;
} sql_insertion;

typedef struct sql_parsed {
    const sql_dialect *dialect;
    const PgQuery__RawStmt *statement; // exactly one
    const sql_insertion *insertions;   // by offset
    size_t insertion_count;
} sql_parsed;

// Parses dialect->text. Subqueries in FROM without an alias get one.
TARN_MUST_USE tarn_status sql_parse(const sql_dialect *dialect, tarn_arena *arena,
                                    sql_parsed *ret_parsed, tarn_error *err);

// Byte offset in the statement as written of a location in the tree; -1 stays -1.
ptrdiff_t sql_parsed_offset(const sql_parsed *parsed, int32_t location);
// The 1-based character of a location in the tree, 0 when it is unknown.
int32_t sql_parsed_position(const sql_parsed *parsed, int32_t location);

// Where an expression is written, -1: unknown. Operators point to themselves.
int32_t sql_node_location(const pg_node *node);
// Where an expression begins, as PostgreSQL's exprLocation.
int32_t sql_node_start(const pg_node *node);
// What an SQL user calls the statement or expression: "UPDATE", "ARRAY[...]".
const char *sql_node_title(const pg_node *node);

// The string of a String node; empty for anything else.
tarn_slice sql_node_string(const pg_node *node);
// The last of a list of names.
tarn_slice sql_last_name(PgQuery__Node *const *names, size_t count);

#endif
