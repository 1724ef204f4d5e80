// rewrite.h - what the passes of the optimizer share: conjuncts, moved columns, and which tests may
// move.
#ifndef TARN_SQL_REWRITE_H
#define TARN_SQL_REWRITE_H

#include "base/bitmap.h"
#include "sql/fail.h"
#include "sql/optimize.h"

typedef struct sql_optimizer {
    tarn_arena *arena;
    sql_plan_use use;
} sql_optimizer;

// Conditions that all must hold, in the order they are tried.
typedef struct sql_conjuncts {
    const tarn_expr **items;
    size_t count;
    size_t capacity;
} sql_conjuncts;

// Adds the parts of a condition, constants folded, what is always true left out.
TARN_MUST_USE tarn_status sql_conjuncts_add(const sql_optimizer *o, sql_conjuncts *list,
                                            const tarn_expr *condition, tarn_error *err);
TARN_MUST_USE tarn_status sql_conjuncts_append(const sql_optimizer *o, sql_conjuncts *list,
                                               const tarn_expr *part, tarn_error *err);
// AND of all, NULL when there are none.
TARN_MUST_USE tarn_status sql_conjuncts_join(const sql_optimizer *o, const sql_conjuncts *list,
                                             const tarn_expr **ret_condition, tarn_error *err);
// A filter over the plan, or the plan itself.
TARN_MUST_USE tarn_status sql_filter_by(const sql_optimizer *o, const tarn_plan *plan,
                                        const sql_conjuncts *list, const tarn_plan **ret_plan,
                                        tarn_error *err);

// True when its evaluation cannot fail, so it may be tried on rows that other tests leave out.
// (Overflow of + - * is not counted as failing, as in PostgreSQL, which moves any test.)
bool sql_expr_is_safe(const tarn_expr *expr);
bool sql_expr_is_trivial(const tarn_expr *expr); // a column or a literal
// The number of nodes, counted up to `limit`.
size_t sql_expr_size(const tarn_expr *expr, size_t limit);
// Whether all columns lie in [begin, end). True when there are none.
bool sql_expr_is_within(const tarn_expr *expr, size_t begin, size_t end);
bool sql_expr_has_columns(const tarn_expr *expr);

#define SQL_GONE SIZE_MAX

// The expression with column c replaced by map[c], which is never SQL_GONE.
TARN_MUST_USE tarn_status sql_expr_move(const sql_optimizer *o, const tarn_expr *expr,
                                        const size_t *map, const tarn_expr **ret_expr,
                                        tarn_error *err);
TARN_MUST_USE tarn_status sql_exprs_move(const sql_optimizer *o, const tarn_expr *const *exprs,
                                         size_t count, const size_t *map,
                                         const tarn_expr ***ret_exprs, tarn_error *err);
// The expression with column c replaced by c + delta.
TARN_MUST_USE tarn_status sql_expr_shift(const sql_optimizer *o, const tarn_expr *expr,
                                         ptrdiff_t delta, const tarn_expr **ret_expr,
                                         tarn_error *err);
TARN_MUST_USE tarn_status sql_keys_move(const sql_optimizer *o, const tarn_sort_key *keys,
                                        size_t count, const size_t *map,
                                        const tarn_sort_key **ret_keys, tarn_error *err);

// A projection to the columns named, in that order.
TARN_MUST_USE tarn_status sql_select_columns(const sql_optimizer *o, const tarn_plan *plan,
                                             const size_t *columns, size_t count,
                                             const tarn_plan **ret_plan, tarn_error *err);

// ---- the passes ----

// Moves filters down as far as they may go, and makes joins of filtered cross joins. `list` holds
// over the plan's output; it is used up.
TARN_MUST_USE tarn_status sql_push_filters(const sql_optimizer *o, const tarn_plan *plan,
                                           sql_conjuncts *list, const tarn_plan **ret_plan,
                                           tarn_error *err);
// The same for joins.
TARN_MUST_USE tarn_status sql_push_into_join(const sql_optimizer *o, const tarn_plan *plan,
                                             sql_conjuncts *list, const tarn_plan **ret_plan,
                                             tarn_error *err);
// LIMIT over SORT becomes TOP_N; order that nobody can see is dropped.
TARN_MUST_USE tarn_status sql_limit_rows(const sql_optimizer *o, const tarn_plan *plan,
                                         const tarn_plan **ret_plan, tarn_error *err);
// Leaves out columns that nobody uses, down to the scans, and gives scans their prune hints.
TARN_MUST_USE tarn_status sql_prune_columns(const sql_optimizer *o, const tarn_plan *plan,
                                            const tarn_plan **ret_plan, tarn_error *err);
// The plan with its columns called as in `schema`.
TARN_MUST_USE tarn_status sql_name_columns(const sql_optimizer *o, const tarn_plan *plan,
                                           const tarn_schema *schema, const tarn_plan **ret_plan,
                                           tarn_error *err);

#endif
