// expr.h - expressions over chunks, scalar and aggregate functions, and predicates for pruning.
//
// One registry holds every function with PostgreSQL's name, argument types, result type and error
// codes; operators are functions named "+", "=", "||". The SQL binder builds a tree of tarn_expr
// with the functions below, which resolve overloads and insert casts; a tarn_program compiles a set
// of trees to flat steps and runs them over vectors.
//
//     TARN_TRY(tarn_expr_call(arena, TARN_LIT("+"), args, 2, position, &sum, err));
//     TARN_TRY(tarn_program_new(alloc, &sum, 1, &program, err));
//     TARN_TRY(tarn_program_eval(program, chunk, batch_arena, &result, err));
//
// Invariants: a tarn_expr never changes once made and may be shared. Only the selected rows of a
// chunk
//             are evaluated as far as errors can tell: 1/x never fails for a row that is filtered
//             out, nor in a CASE branch that the row does not take, nor behind AND/OR that is
//             decided.
// NULL:       three-valued logic; strict functions give NULL for a NULL argument.
// Ownership:  trees live in the caller's arena; result vectors in the arena of the call, and they
// may
//             view the chunk's columns.
// Threads:    trees are read-only; a program belongs to one thread.
// Errors:     SQLSTATE and the position of the failing expression are set.
#ifndef TARN_EXPR_H
#define TARN_EXPR_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "column/column.h"

// ---- trees ----

typedef struct tarn_function tarn_function; // an overload of the registry

typedef enum tarn_cast_context {
    TARN_CAST_IMPLICIT,   // in expressions
    TARN_CAST_ASSIGNMENT, // into a column
    TARN_CAST_EXPLICIT,   // CAST(... AS ...)
} tarn_cast_context;

typedef enum tarn_expr_kind {
    TARN_EXPR_COLUMN, // column `column` of the input chunk
    TARN_EXPR_LITERAL,
    TARN_EXPR_CALL, // function(args)
    TARN_EXPR_CAST, // args[0] to `type`
    TARN_EXPR_AND,  // n-ary
    TARN_EXPR_OR,   // n-ary
    TARN_EXPR_NOT,
    TARN_EXPR_IS_NULL, // args[0] IS NULL (IS NOT NULL is NOT of it)
    TARN_EXPR_CASE,    // args: condition, result, condition, result, ..., else (always there)
    TARN_EXPR_COALESCE,
    TARN_EXPR_IN, // args[0] IN (args[1], ...): literals or any expressions
} tarn_expr_kind;

typedef struct tarn_expr tarn_expr;
struct tarn_expr {
    tarn_expr_kind kind;
    tarn_type type;
    bool not_null;    // provably never NULL
    int32_t position; // 1-based in the statement, 0: unknown
    size_t column;    // COLUMN
    tarn_slice name;  // COLUMN: for messages and EXPLAIN; CALL: the function's name
    tarn_value literal;
    const tarn_function *function; // CALL
    uint8_t cast_context;          // CAST: a tarn_cast_context
    const tarn_expr *const *args;
    size_t arg_count;
};

TARN_MUST_USE tarn_status tarn_expr_column(tarn_arena *arena, size_t column,
                                           const tarn_field *field, int32_t position,
                                           const tarn_expr **ret_expr, tarn_error *err);
// The literal's bytes are copied. TARN_TYPE_NULL marks a bare NULL; an untyped string literal is a
// text literal made with `is_untyped`, which later takes the type its context asks for. Until then
// the expression of either has TARN_TYPE_NULL; casting it to text settles it.
TARN_MUST_USE tarn_status tarn_expr_literal(tarn_arena *arena, tarn_value value, bool is_untyped,
                                            int32_t position, const tarn_expr **ret_expr,
                                            tarn_error *err);
// Resolves `name` for the arguments' types (exact match, then implicit casts, as PostgreSQL) and
// casts the arguments. Fails with 42883 (no such function; near names are suggested) or 42725.
TARN_MUST_USE tarn_status tarn_expr_call(tarn_arena *arena, tarn_slice name,
                                         const tarn_expr *const *args, size_t arg_count,
                                         int32_t position, const tarn_expr **ret_expr,
                                         tarn_error *err);

// No-op when the type is already right. Fails with 42846 or 42804 when there is no such cast, and
// with 22P02 and its relatives when an untyped literal cannot be read as `type`. A numeric of
// precision 0 takes precision and scale from the expression (PostgreSQL's numeric without any).
TARN_MUST_USE tarn_status tarn_expr_cast(tarn_arena *arena, const tarn_expr *expr, tarn_type type,
                                         tarn_cast_context context, int32_t position,
                                         const tarn_expr **ret_expr, tarn_error *err);
// AND, OR, NOT, IS_NULL, CASE, COALESCE, IN: checks argument types, unifies branch types
// (PostgreSQL's rules for CASE and UNION) and casts.
TARN_MUST_USE tarn_status tarn_expr_special(tarn_arena *arena, tarn_expr_kind kind,
                                            const tarn_expr *const *args, size_t arg_count,
                                            int32_t position, const tarn_expr **ret_expr,
                                            tarn_error *err);
// The common type of `types` (CASE, UNION, VALUES), 42804 when there is none.
TARN_MUST_USE tarn_status tarn_common_type(const tarn_type *types, size_t count, int32_t position,
                                           tarn_type *ret_type, tarn_error *err);
// Evaluates what does not depend on a column. An expression whose evaluation fails stays as it is,
// so that the error comes only if a row gets there.
TARN_MUST_USE tarn_status tarn_expr_fold(tarn_arena *arena, const tarn_expr *expr,
                                         const tarn_expr **ret_expr, tarn_error *err);
// A copy with column i replaced by replacements[i] (for pushing through projections).
TARN_MUST_USE tarn_status tarn_expr_substitute(tarn_arena *arena, const tarn_expr *expr,
                                               const tarn_expr *const *replacements,
                                               size_t replacement_count, const tarn_expr **ret_expr,
                                               tarn_error *err);
bool tarn_expr_equal(const tarn_expr *a, const tarn_expr *b);
// Sets bit i of `columns` (column_count bits) for each column used.
void tarn_expr_columns(const tarn_expr *expr, uint64_t *columns, size_t column_count);
// True when the value depends on when or how often it runs (now(), random()).
bool tarn_expr_is_volatile(const tarn_expr *expr);
// Appends SQL-like text, for EXPLAIN: "(delay > 15)".
TARN_MUST_USE tarn_status tarn_expr_format(const tarn_expr *expr, tarn_buffer *out,
                                           tarn_error *err);

// For \df and documentation: every overload, in name order.
typedef struct tarn_function_info {
    const char *name;
    const char *arguments; // "text, integer"
    const char *result;
    const char *description;
    bool is_aggregate;
} tarn_function_info;
size_t tarn_function_count(void);
tarn_function_info tarn_function_at(size_t index);
bool tarn_function_is_aggregate(tarn_slice name);

// ---- running ----

typedef struct tarn_program tarn_program;

// What functions of the session see.
typedef struct tarn_eval_context {
    int64_t now_us; // now(), current_timestamp, current_date: fixed per statement or epoch
} tarn_eval_context;

// Equal sub-expressions are computed once. The trees must outlive the program.
TARN_MUST_USE tarn_status tarn_program_new(const tarn_alloc *alloc, const tarn_expr *const *exprs,
                                           size_t expr_count, tarn_program **ret_program,
                                           tarn_error *err);
void tarn_program_free(tarn_program *program); // accepts NULL
void tarn_program_set_context(tarn_program *program, tarn_eval_context context);

// One vector per expression, indexed by the chunk's rows; only selected rows are meaningful.
TARN_MUST_USE tarn_status tarn_program_eval(tarn_program *program, const tarn_chunk *chunk,
                                            tarn_arena *arena, tarn_vector *ret_vectors,
                                            tarn_error *err);
// For a program of one boolean expression: narrows the selection to rows where it is true.
TARN_MUST_USE tarn_status tarn_program_filter(tarn_program *program, const tarn_chunk *chunk,
                                              tarn_arena *arena, tarn_chunk *ret_chunk,
                                              tarn_error *err);
// One row of no columns, for literals and VALUES.
TARN_MUST_USE tarn_status tarn_expr_evaluate(const tarn_expr *expr, tarn_eval_context context,
                                             tarn_arena *arena, tarn_value *ret_value,
                                             tarn_error *err);

// ---- aggregates ----
//
// An aggregate's state is a few bytes that its user lays out (in a group's row): init, which zeroes
// them (zeroed memory needs no call), update, then finalize any number of times, and destroy.
// Larger parts (text, DISTINCT sets, the multiset behind a retractable min) are allocated from
// `alloc` and owned by the state.

typedef struct tarn_aggregate_function tarn_aggregate_function;

typedef struct tarn_aggregate {
    const tarn_aggregate_function *function;
    tarn_slice name;
    tarn_type arg_type; // TARN_TYPE_NULL for count(*)
    tarn_type type;     // of the result
    bool has_arg;       // false: count(*)
    bool distinct;
    bool retractable;     // updates may carry -U and -D
    bool not_null;        // count: never NULL
    uint32_t state_bytes; // a multiple of 8
} tarn_aggregate;

// Resolves count, sum, avg, min, max, bool_and, bool_or, every, string_agg is refused by name,
// stddev/variance families. `arg` (NULL for count(*)) may come back cast.
TARN_MUST_USE tarn_status tarn_aggregate_resolve(tarn_arena *arena, tarn_slice name,
                                                 const tarn_expr *arg, bool distinct,
                                                 int32_t position, tarn_aggregate *ret_aggregate,
                                                 const tarn_expr **ret_arg, tarn_error *err);
// The same aggregate with a state that also takes retractions.
tarn_aggregate tarn_aggregate_as_retractable(tarn_aggregate aggregate);

void tarn_aggregate_init(const tarn_aggregate *aggregate, uint8_t *state);
// Adds the chunk's selected rows: the i-th selected row goes to the state at groups[i] +
// state_offset. `arg` has the chunk's rows (NULL for count(*)). Rows whose kind is a retraction are
// taken back, which needs a retractable aggregate.
TARN_MUST_USE tarn_status tarn_aggregate_update(const tarn_aggregate *aggregate,
                                                const tarn_alloc *alloc, const tarn_vector *arg,
                                                const tarn_chunk *chunk, uint8_t *const *groups,
                                                size_t state_offset, tarn_error *err);
// As update, with one state for all rows.
TARN_MUST_USE tarn_status tarn_aggregate_update_one(const tarn_aggregate *aggregate,
                                                    const tarn_alloc *alloc, const tarn_vector *arg,
                                                    const tarn_chunk *chunk, uint8_t *state,
                                                    tarn_error *err);
// Adds what `source` has seen to `target`.
TARN_MUST_USE tarn_status tarn_aggregate_merge(const tarn_aggregate *aggregate,
                                               const tarn_alloc *alloc, uint8_t *target,
                                               const uint8_t *source, tarn_error *err);
// A flat vector with the results of groups[0..count).
TARN_MUST_USE tarn_status tarn_aggregate_finalize(const tarn_aggregate *aggregate,
                                                  uint8_t *const *groups, size_t state_offset,
                                                  size_t count, tarn_arena *arena,
                                                  tarn_vector *ret_vector, tarn_error *err);
// State to bytes and back, for checkpoints. Decode takes its bytes from the front of *bytes.
TARN_MUST_USE tarn_status tarn_aggregate_encode(const tarn_aggregate *aggregate,
                                                const uint8_t *state, tarn_buffer *out,
                                                tarn_error *err);
TARN_MUST_USE tarn_status tarn_aggregate_decode(const tarn_aggregate *aggregate,
                                                const tarn_alloc *alloc, tarn_slice *bytes,
                                                uint8_t *state, tarn_error *err);
void tarn_aggregate_destroy(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                            uint8_t *state);
// Whether a state may hold memory from `alloc`: false where destroy has nothing to do.
bool tarn_aggregate_owns_memory(const tarn_aggregate *aggregate);

// ---- predicates for pruning ----
//
// The part of a condition that bounds can decide: a conjunction of column-against-literal tests. It
// may be weaker than the condition, never stronger: what it rules out, the condition rules out.

typedef enum tarn_prune_op {
    TARN_PRUNE_EQ,
    TARN_PRUNE_NE,
    TARN_PRUNE_LT,
    TARN_PRUNE_LE,
    TARN_PRUNE_GT,
    TARN_PRUNE_GE,
    TARN_PRUNE_IN,
    TARN_PRUNE_IS_NULL,
    TARN_PRUNE_IS_NOT_NULL,
    TARN_PRUNE_STARTS_WITH, // LIKE 'abc%'
} tarn_prune_op;

typedef struct tarn_prune_test {
    size_t column; // of the chunk the condition was written for
    tarn_prune_op op;
    const tarn_value *values; // one; IN: value_count
    size_t value_count;
} tarn_prune_test;

typedef struct tarn_prune {
    const tarn_prune_test *tests;
    size_t test_count;
} tarn_prune;

TARN_MUST_USE tarn_status tarn_prune_from_expr(tarn_arena *arena, const tarn_expr *condition,
                                               tarn_prune *ret_prune, tarn_error *err);

// What is known of one column in a file, row group or partition. Null bounds: unknown. Bounds may
// be wider than the data (truncated text).
typedef struct tarn_bounds {
    tarn_value min;
    tarn_value max;
    int64_t null_count; // -1: unknown
    int64_t row_count;  // -1: unknown
} tarn_bounds;

// False when no row within `bounds` can pass the test.
bool tarn_prune_may_match(const tarn_prune_test *test, const tarn_bounds *bounds);

#endif
