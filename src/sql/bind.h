// bind.h - names and types: from the grammar's tree to plans and typed expressions.
//
// A scope says which names the columns of a plan can be reached by. Expressions are bound against
// a scope; aggregates, row_number() and subqueries met on the way are collected, and stand in the
// expression as columns with numbers that no plan has (SQL_AGGREGATE_COLUMN and its like) until the
// select is assembled.
//
// Ownership: results live in `arena`; what only binding needs, in `scratch`.
#ifndef TARN_SQL_BIND_H
#define TARN_SQL_BIND_H

#include "sql/fail.h"
#include "sql/pg.h"
#include "sql/plan.h"

typedef struct sql_cte {
    tarn_slice name;
    const PgQuery__CommonTableExpr *definition;
    const struct sql_cte *outer; // visible to it, and after it
    bool *used;
} sql_cte;

typedef struct sql_binder {
    tarn_arena *arena;
    tarn_arena *scratch;
    const tarn_catalog_reader *catalog;
    sql_dialect *dialect;
    const sql_parsed *parsed;

    const tarn_relation **relations; // read so far, each once
    size_t relation_count;
    size_t relation_capacity;

    size_t query_depth; // of queries within queries, CTEs included
    size_t query_count; // all that were bound: a CTE is bound at each use
} sql_binder;

// The 1-based character of a location in the tree.
static inline int32_t sql_at(const sql_binder *b, int32_t location) {
    return sql_parsed_position(b->parsed, location);
}

// Where a keyword first stands in the statement, for what the tree gives no location; 0: nowhere.
int32_t sql_word_position(const sql_binder *b, const char *word);

// ---- scopes ----

typedef struct sql_column {
    tarn_slice schema_name; // of a relation without alias
    tarn_slice relation;    // its name or alias
    tarn_slice name;
    size_t index; // of the plan's output
    bool in_star; // part of SELECT *
    bool is_bare; // can be meant without the relation's name
} sql_column;

typedef struct sql_scope {
    const tarn_plan *plan;
    const sql_column *columns;
    size_t count;
} sql_scope;

typedef struct sql_aggregates {
    tarn_plan_aggregate *items;
    tarn_slice *names;
    size_t count;
    size_t capacity;
} sql_aggregates;

typedef struct sql_window {
    const tarn_expr *const *partitions;
    size_t partition_count;
    const tarn_sort_key *keys;
    size_t key_count;
} sql_window;

typedef struct sql_windows {
    sql_window *items;
    size_t count;
    size_t capacity;
    PgQuery__Node *const *named; // the WINDOW clause
    size_t named_count;
} sql_windows;

// Subqueries of one row in expressions: joined beside the plan, each a column of it.
typedef struct sql_subqueries {
    const tarn_plan **plans;
    size_t count;
    size_t capacity;
    const sql_cte *ctes;
} sql_subqueries;

#define SQL_SUBQUERY_COLUMN  ((size_t)1 << 29)
#define SQL_AGGREGATE_COLUMN ((size_t)1 << 30)
#define SQL_WINDOW_COLUMN    ((size_t)1 << 31)

// Where an expression stands.
typedef struct sql_place {
    const sql_scope *scope;     // NULL: no columns can be named here
    const char *clause;         // "WHERE", for messages
    sql_aggregates *aggregates; // NULL: none may stand here
    sql_windows *windows;       // NULL: none may stand here
    sql_subqueries *subqueries; // NULL: none may stand here
    bool in_aggregate;
} sql_place;

// ---- expressions ----

TARN_MUST_USE tarn_status sql_bind_expr(sql_binder *b, const sql_place *place, const pg_node *node,
                                        const tarn_expr **ret_expr, tarn_error *err);
// "argument of WHERE must be type boolean" unless it is.
TARN_MUST_USE tarn_status sql_bind_condition(sql_binder *b, const sql_place *place,
                                             const pg_node *node, const tarn_expr **ret_expr,
                                             tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_function(sql_binder *b, const sql_place *place,
                                            const pg_node *node, const tarn_expr **ret_expr,
                                            tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_subquery(sql_binder *b, const sql_place *place,
                                            const PgQuery__SubLink *node,
                                            const tarn_expr **ret_expr, tarn_error *err);
// x IN (SELECT ...) as a part of WHERE is an inner join with the subquery's distinct values: adds
// them to the scope's plan, and gives the condition.
bool sql_is_in_subquery(const pg_node *node);
TARN_MUST_USE tarn_status sql_join_in_subquery(sql_binder *b, sql_scope *scope, const sql_cte *ctes,
                                               const PgQuery__SubLink *node,
                                               const tarn_expr **ret_condition, tarn_error *err);
// Puts the columns of the subqueries behind those of `input`.
TARN_MUST_USE tarn_status sql_join_subqueries(sql_binder *b, const sql_subqueries *subqueries,
                                              const tarn_plan *input, const tarn_plan **ret_plan,
                                              tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_constant(sql_binder *b, const pg_node *node,
                                            const tarn_expr **ret_expr, tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_column(sql_binder *b, const sql_place *place,
                                          const PgQuery__ColumnRef *ref, const tarn_expr **ret_expr,
                                          tarn_error *err);
// The column of the scope that `relation`.`name` means, NULL when there is none; `relation` may be
// empty. Fails when the name is ambiguous.
TARN_MUST_USE tarn_status sql_scope_find(const sql_scope *scope, tarn_slice relation,
                                         tarn_slice name, int32_t position,
                                         const sql_column **ret_column, tarn_error *err);
// ORDER BY of a query or a window: PostgreSQL's defaults for NULLs.
TARN_MUST_USE tarn_status sql_bind_order(sql_binder *b, const PgQuery__SortBy *sort,
                                         tarn_key_order *ret_order, tarn_error *err);
// An untyped literal becomes text.
TARN_MUST_USE tarn_status sql_settle_type(sql_binder *b, const tarn_expr *expr,
                                          const tarn_expr **ret_expr, tarn_error *err);
// The value of an expression without columns.
TARN_MUST_USE tarn_status sql_evaluate(sql_binder *b, const tarn_expr *expr, tarn_value *ret_value,
                                       tarn_error *err);

typedef enum sql_type_use {
    SQL_TYPE_OF_CAST,   // numeric without precision takes it from the expression
    SQL_TYPE_OF_COLUMN, // must be storable
} sql_type_use;
TARN_MUST_USE tarn_status sql_bind_type(const sql_binder *b, const PgQuery__TypeName *name,
                                        sql_type_use use, tarn_type *ret_type, tarn_error *err);
// INTERVAL '1' HOUR and the like: the text with its unit.
TARN_MUST_USE tarn_status sql_interval_text(sql_binder *b, const PgQuery__TypeName *name,
                                            tarn_slice text, tarn_slice *ret_text, tarn_error *err);

// ---- queries ----

// What the rows of an INSERT must become.
typedef struct sql_target {
    const tarn_field *fields;
    size_t count;
} sql_target;

typedef struct sql_query_context {
    const sql_cte *ctes;
    const sql_target *target; // NULL: any types; untyped literals become text
    bool keeps_untyped;       // a branch of a UNION: untyped literals stay
} sql_query_context;

// `node` is a SelectStmt (SELECT, VALUES, UNION).
TARN_MUST_USE tarn_status sql_bind_query(sql_binder *b, const PgQuery__SelectStmt *node,
                                         const sql_query_context *context,
                                         const tarn_plan **ret_plan, tarn_error *err);
// A query within a query; fails when there are too many.
TARN_MUST_USE tarn_status sql_bind_nested(sql_binder *b, const PgQuery__SelectStmt *query,
                                          const sql_cte *ctes, int32_t position,
                                          const tarn_plan **ret_plan, tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_from(sql_binder *b, PgQuery__Node *const *items, size_t count,
                                        const sql_cte *ctes, sql_scope *ret_scope, tarn_error *err);
// SELECT without set operations, ORDER BY included.
TARN_MUST_USE tarn_status sql_bind_select(sql_binder *b, const PgQuery__SelectStmt *node,
                                          const sql_query_context *context,
                                          const tarn_plan **ret_plan, tarn_error *err);
// FROM TUMBLE(...), HOP(...).
TARN_MUST_USE tarn_status sql_bind_time_window(sql_binder *b, const PgQuery__RangeFunction *node,
                                               const sql_cte *ctes, sql_scope *ret_scope,
                                               tarn_error *err);
typedef struct sql_relation_name {
    tarn_slice schema_name; // may be empty
    tarn_slice name;
    int32_t location; // in the tree
} sql_relation_name;
// A relation of the catalog or a CTE by its name.
TARN_MUST_USE tarn_status sql_bind_relation(sql_binder *b, const sql_relation_name *name,
                                            const sql_cte *ctes, sql_scope *ret_scope,
                                            tarn_error *err);
// Names all columns `alias.column`; `alias` NULL leaves the names.
TARN_MUST_USE tarn_status sql_scope_alias(const sql_binder *b, const PgQuery__Alias *alias,
                                          int32_t position, sql_scope *scope, tarn_error *err);
TARN_MUST_USE tarn_status sql_scope_of_plan(const sql_binder *b, const tarn_plan *plan,
                                            tarn_slice relation, sql_scope *ret_scope,
                                            tarn_error *err);
// LIMIT and OFFSET of `node` over `input`.
TARN_MUST_USE tarn_status sql_bind_limit(sql_binder *b, const PgQuery__SelectStmt *node,
                                         const tarn_plan *input, const tarn_plan **ret_plan,
                                         tarn_error *err);
// All rows once.
TARN_MUST_USE tarn_status sql_distinct(sql_binder *b, const tarn_plan *input,
                                       const tarn_plan **ret_plan, tarn_error *err);
// The first `count` columns.
TARN_MUST_USE tarn_status sql_first_columns(sql_binder *b, const tarn_plan *input, size_t count,
                                            const tarn_plan **ret_plan, tarn_error *err);
// The plan with each column cast to types[i]: to be stored in the columns `targets`, or, without
// them, for a UNION.
TARN_MUST_USE tarn_status sql_cast_output(sql_binder *b, const tarn_plan *plan,
                                          const tarn_type *types, const tarn_slice *targets,
                                          const tarn_plan **ret_plan, tarn_error *err);
// What a select item without AS is called.
tarn_slice sql_output_name(const pg_node *node);

// Fails with 42P01 and a hint.
TARN_MUST_USE tarn_status sql_find_relation(sql_binder *b, const sql_relation_name *name,
                                            const sql_cte *ctes, const tarn_relation **ret_relation,
                                            tarn_error *err);
TARN_MUST_USE tarn_status sql_note_relation(sql_binder *b, const tarn_relation *relation,
                                            tarn_error *err);

// The WITH clause (may be NULL) in front of what is visible already.
TARN_MUST_USE tarn_status sql_push_ctes(sql_binder *b, const PgQuery__WithClause *with,
                                        const sql_cte *outer, const sql_cte **ret_ctes,
                                        tarn_error *err);
// A constant interval without months, in microseconds; `what` is for messages.
TARN_MUST_USE tarn_status sql_bind_interval_us(sql_binder *b, const pg_node *node, const char *what,
                                               int64_t *ret_us, tarn_error *err);

// ---- statements ----

// Makes the topmost aggregate over time windows emit each window once, when it closes.
TARN_MUST_USE tarn_status sql_emit_on_close(sql_binder *b, const tarn_plan *plan,
                                            const tarn_plan **ret_plan, tarn_error *err);
// New relations live in the schema public.
TARN_MUST_USE tarn_status sql_check_new_name(const sql_binder *b, const PgQuery__RangeVar *name,
                                             tarn_slice *ret_name, tarn_error *err);

TARN_MUST_USE tarn_status sql_bind_statement(sql_binder *b, const pg_node *node,
                                             tarn_statement *statement, tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_create_table(sql_binder *b, const PgQuery__CreateStmt *node,
                                                tarn_statement *statement, tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_create_source(sql_binder *b, const PgQuery__CreateStmt *node,
                                                 tarn_statement *statement, tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_create_view(sql_binder *b,
                                               const PgQuery__CreateTableAsStmt *node,
                                               tarn_statement *statement, tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_insert(sql_binder *b, const PgQuery__InsertStmt *node,
                                          tarn_statement *statement, tarn_error *err);
TARN_MUST_USE tarn_status sql_bind_copy(sql_binder *b, const PgQuery__CopyStmt *node,
                                        tarn_statement *statement, tarn_error *err);

// ---- small tools ----

// Room for one more item at the end of an array in the scratch arena; NULL when out of memory.
void *sql_grow(tarn_arena *arena, void *items, size_t count, size_t *capacity, size_t item_bytes);
// An arena copy of a NUL-terminated or any text.
TARN_MUST_USE tarn_status sql_copy_name(const sql_binder *b, tarn_slice name, tarn_slice *ret_name,
                                        tarn_error *err);
// Adds `Perhaps you meant "..."` when one of the names is near.
void sql_hint_name(tarn_error *err, tarn_slice name, const tarn_slice *names, size_t count,
                   const char *what);
// AND of two conditions, either of which may be NULL.
TARN_MUST_USE tarn_status sql_and(tarn_arena *arena, const tarn_expr *a, const tarn_expr *b,
                                  const tarn_expr **ret_expr, tarn_error *err);

#endif
