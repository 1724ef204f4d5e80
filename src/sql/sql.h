// sql.h - SQL text to statements and logical plans: dialect, parse, bind, optimise, explain.
//
// PostgreSQL's grammar (libpg_query) with a token-level front step that cuts out the few words it
// does not know: CREATE SOURCE, WATERMARK FOR, EMIT ON WINDOW CLOSE, FOR SYSTEM_VERSION / _TIME AS
// OF, FLUSH. Names are resolved against a catalog that the caller provides; functions against
// expr/.
//
//     TARN_TRY(tarn_sql_split(script, arena, &texts, &count, err));
//     for each: TARN_TRY(tarn_sql_prepare(text, &catalog, arena, &statement, err));
//
// Invariants: a plan is read-only once made. Every node's schema is that of the chunks it produces.
// Ownership:  everything lives in the caller's arena, and views the statement's text and the
//             catalog's relations, which must stay as long as the plan is used.
// Threads:    pure functions over the caller's memory; plans may be shared.
// Errors:     PostgreSQL's SQLSTATE, the 1-based character position in the text given, near-name
//             hints. What the grammar knows and we do not do is TARN_UNSUPPORTED (0A000) and named.
// Limits:     64 MiB of text, 400 levels of nesting, 1000 queries in one statement (54000, 54001).
#ifndef TARN_SQL_H
#define TARN_SQL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "column/column.h"
#include "expr/expr.h"

// ---- what the binder asks of the catalog ----

typedef enum tarn_relation_kind {
    TARN_RELATION_TABLE,
    TARN_RELATION_SOURCE, // a stream from outside
    TARN_RELATION_VIEW,   // a materialized view: a running job and its table
    TARN_RELATION_SYSTEM, // tarn.jobs, information_schema.tables, ...: rows made on the spot
} tarn_relation_kind;

typedef struct tarn_relation {
    tarn_relation_kind kind;
    tarn_slice schema_name; // "public", "tarn", ...
    tarn_slice name;
    tarn_schema schema;
    const size_t *key_columns; // a unique, not-null key; none: key_count 0
    size_t key_count;
    bool append_only;      // rows are only ever added
    ptrdiff_t time_column; // event time with a watermark; -1: none
    int64_t watermark_delay_us;
    // Per field: how a column computes itself from the others (sources); NULL array or entry:
    // stored.
    const tarn_expr *const *generated;
    uint64_t row_count; // an estimate; 0: unknown
    void *handle;       // the catalog's own
} tarn_relation;

// Defined here because the binder calls it.
typedef struct tarn_catalog_reader {
    void *context;
    // *ret_relation is NULL when there is none. `schema_name` is empty for an unqualified name.
    tarn_status (*find)(void *context, tarn_slice schema_name, tarn_slice name, tarn_arena *arena,
                        const tarn_relation **ret_relation, tarn_error *err);
    // All relation names, for hints.
    tarn_status (*names)(void *context, tarn_arena *arena, const tarn_slice **ret_names,
                         size_t *ret_count, tarn_error *err);
} tarn_catalog_reader;

// ---- plans ----

typedef enum tarn_plan_kind {
    TARN_PLAN_SCAN,   // a relation's columns
    TARN_PLAN_VALUES, // rows of constant expressions; no columns and one row for SELECT 1
    TARN_PLAN_FILTER,
    TARN_PLAN_PROJECT,
    TARN_PLAN_JOIN,        // inputs: left, right; output: left's columns, then right's
    TARN_PLAN_AGGREGATE,   // output: groups, then aggregates; without groups one row always
    TARN_PLAN_TIME_WINDOW, // TUMBLE, HOP: input's columns, then window_start, window_end; a row
                           // without a time falls into no window
    TARN_PLAN_SORT,
    TARN_PLAN_LIMIT,
    TARN_PLAN_TOP_N,     // per partition the first rows in an order, optionally numbered
    TARN_PLAN_UNION_ALL, // inputs of equal types
} tarn_plan_kind;

typedef enum tarn_join_kind { TARN_JOIN_INNER, TARN_JOIN_LEFT } tarn_join_kind;

typedef enum tarn_as_of_kind {
    TARN_AS_OF_NOW,
    TARN_AS_OF_VERSION,   // snapshot id
    TARN_AS_OF_TIMESTAMP, // us
} tarn_as_of_kind;

typedef struct tarn_sort_key {
    const tarn_expr *expr; // over the input
    tarn_key_order order;
} tarn_sort_key;

typedef struct tarn_plan_aggregate {
    tarn_aggregate aggregate;
    const tarn_expr *arg;    // over the input; NULL for count(*)
    const tarn_expr *filter; // FILTER (WHERE ...); NULL: all rows
} tarn_plan_aggregate;

typedef struct tarn_plan tarn_plan;
struct tarn_plan {
    tarn_plan_kind kind;
    tarn_schema schema;
    const tarn_plan *const *inputs;
    size_t input_count;
    double row_estimate;

    // What holds for the node's output seen as a stream.
    bool append_only; // never retracts
    const size_t
        *key_columns; // a unique, not-null-or-not key of the output; key_count 0: none known
    size_t key_count;
    ptrdiff_t time_column; // a column that the watermark speaks of; -1: none

    union {
        struct {
            const tarn_relation *relation;
            const size_t *columns; // of the relation, schema.field_count of them
            tarn_as_of_kind as_of;
            int64_t as_of_value;
            tarn_prune
                prune; // columns index the relation's schema; a hint besides the FILTER above
        } scan;
        struct {
            const tarn_expr *const *cells; // row-major, row_count * field_count
            size_t row_count;
        } values;
        struct {
            const tarn_expr *condition;
        } filter;
        struct {
            const tarn_expr *const *exprs; // one per output field
        } project;
        struct {
            tarn_join_kind kind;
            const tarn_expr *const
                *left_keys; // over the left input, key_count of them, equal types
            const tarn_expr *const *right_keys; // over the right input
            size_t key_count;                   // 0: a cross join
            const tarn_expr
                *residual; // over left ++ right columns; part of the ON condition; may be NULL
        } join;
        struct {
            const tarn_expr *const *groups;
            size_t group_count;
            const tarn_plan_aggregate *aggregates;
            size_t aggregate_count;
            // EMIT ON WINDOW CLOSE: a group is final, emitted and forgotten when the watermark
            // reaches groups[window_group] + window_offset_us; later rows for it are late.
            bool emit_on_close;
            size_t window_group;
            int64_t window_offset_us;
        } aggregate;
        struct {
            size_t time_column; // of the input: timestamp or timestamptz
            int64_t size_us;
            int64_t slide_us; // TUMBLE: equal to size
            int64_t offset_us;
        } time_window;
        struct {
            const tarn_sort_key *keys;
            size_t key_count;
        } sort;
        struct {
            int64_t limit; // -1: all
            int64_t offset;
        } limit;
        struct {
            const tarn_expr *const *partitions;
            size_t partition_count;
            const tarn_sort_key *keys;
            size_t key_count;
            int64_t limit;  // per partition; -1: all (numbering only)
            int64_t offset; // rows skipped per partition
            bool numbered;  // a last output column: row_number() as bigint, from 1
        } top_n;
    };
};

// ---- statements ----

typedef enum tarn_statement_kind {
    TARN_STATEMENT_SELECT,
    TARN_STATEMENT_EXPLAIN,
    TARN_STATEMENT_INSERT,
    TARN_STATEMENT_COPY_FROM,
    TARN_STATEMENT_CREATE_TABLE,
    TARN_STATEMENT_CREATE_SOURCE,
    TARN_STATEMENT_CREATE_VIEW, // materialized
    TARN_STATEMENT_DROP,
    TARN_STATEMENT_CALL,
    TARN_STATEMENT_SET,
    TARN_STATEMENT_SHOW,
    TARN_STATEMENT_FLUSH,
} tarn_statement_kind;

typedef struct tarn_sql_option { // WITH (key = 'value')
    tarn_slice key;              // in lower case unless it was quoted
    tarn_slice value;
    int32_t position;
} tarn_sql_option;

typedef struct tarn_statement tarn_statement;
struct tarn_statement {
    tarn_statement_kind kind;
    tarn_slice text; // as written, trimmed
    union {
        struct {
            const tarn_plan *plan;
        } select;
        struct {
            const tarn_statement *statement; // select, insert or create view
            bool analyze;
        } explain;
        struct {
            const tarn_relation *table;
            const tarn_plan *plan; // exactly the table's columns and types
        } insert;
        struct {
            const tarn_relation *table;
            const size_t *columns; // of the table, in the order of the file's columns
            size_t column_count;
            tarn_slice path;
            tarn_slice format; // "csv", "json", "parquet"
            bool header;
            uint8_t delimiter; // 0: the format's default
            uint8_t quote;
            uint8_t escape;
            tarn_slice null_text;
            bool has_null_text;
            bool dead_letter; // ON_ERROR dead_letter
        } copy;
        struct {
            tarn_slice name;
            bool if_not_exists;
            tarn_schema schema;
            const tarn_slice *primary_key;
            size_t primary_key_count;
            const tarn_slice *partition_keys; // PARTITION BY LIST (a, b)
            size_t partition_key_count;
            const tarn_sql_option *options;
            size_t option_count;
        } create_table;
        struct {
            tarn_slice name;
            bool if_not_exists;
            tarn_schema schema;
            const tarn_expr *const *generated; // per field, NULL where the source delivers it
            ptrdiff_t time_column;             // WATERMARK FOR; -1: none
            int64_t watermark_delay_us;
            const tarn_sql_option *options;
            size_t option_count;
        } create_source;
        struct {
            tarn_slice name;
            bool if_not_exists;
            const tarn_plan *plan; // optimised
            bool emit_on_close;
            const tarn_sql_option *options;
            size_t option_count;
            const tarn_relation *const *inputs; // what it reads, each once
            size_t input_count;
        } create_view;
        struct {
            tarn_relation_kind kind;
            const tarn_slice *names;
            size_t name_count;
            bool if_exists;
            bool cascade;
        } drop;
        struct {
            tarn_slice name; // "compact"
            const tarn_value *args;
            size_t arg_count;
        } call;
        struct {
            tarn_slice name;
            tarn_slice value; // SET: empty with is_default
            bool is_default;
        } setting; // SET and SHOW
    };
};

// Cuts a script at its semicolons (quotes, dollar quotes and comments respected). Empty statements
// are left out; the texts view `script`. `ret_complete` (may be NULL) is false when the last one
// lacks its semicolon or ends inside a quote, which is what a shell needs to know.
TARN_MUST_USE tarn_status tarn_sql_split(tarn_slice script, tarn_arena *arena,
                                         tarn_slice **ret_texts, size_t *ret_count,
                                         bool *ret_complete, tarn_error *err);

// Parses, binds and optimises one statement, with or without its semicolon.
TARN_MUST_USE tarn_status tarn_sql_prepare(tarn_slice text, const tarn_catalog_reader *catalog,
                                           tarn_arena *arena, const tarn_statement **ret_statement,
                                           tarn_error *err);

// The plan as an indented tree, one line per node. `annotate` (may be NULL) adds what EXPLAIN
// ANALYZE measured for a node.
TARN_MUST_USE tarn_status tarn_plan_format(const tarn_plan *plan,
                                           tarn_status (*annotate)(void *context,
                                                                   const tarn_plan *node,
                                                                   tarn_buffer *out,
                                                                   tarn_error *err),
                                           void *context, tarn_buffer *out, tarn_error *err);

#endif
