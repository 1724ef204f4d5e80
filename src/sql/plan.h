// plan.h - makes plan nodes and derives what holds for their output.
//
// Every node, also those the optimizer makes anew, comes from here, so schemas, keys, time columns
// and row estimates always follow from the inputs. Arrays that are handed in are kept, not copied.
#ifndef TARN_SQL_PLAN_H
#define TARN_SQL_PLAN_H

#include "sql/sql.h"

// More nodes than this below one another are refused; walks recurse.
#define SQL_PLAN_DEPTH_MAX 500

// What row estimates start from when a relation does not know its size.
#define SQL_ROWS_UNKNOWN_TABLE  1000.0
#define SQL_ROWS_UNKNOWN_STREAM 1000000.0

typedef struct sql_plan_scan_spec {
    const tarn_relation *relation;
    const size_t *columns; // of the relation
    size_t column_count;
    tarn_as_of_kind as_of;
    int64_t as_of_value;
    tarn_prune prune;
} sql_plan_scan_spec;
TARN_MUST_USE tarn_status sql_plan_scan(tarn_arena *arena, const sql_plan_scan_spec *spec,
                                        const tarn_plan **ret_plan, tarn_error *err);

// `cells` has row_count * field_count expressions, of the fields' types.
TARN_MUST_USE tarn_status sql_plan_values(tarn_arena *arena, const tarn_expr *const *cells,
                                          size_t row_count, const tarn_schema *schema,
                                          const tarn_plan **ret_plan, tarn_error *err);
TARN_MUST_USE tarn_status sql_plan_filter(tarn_arena *arena, const tarn_plan *input,
                                          const tarn_expr *condition, const tarn_plan **ret_plan,
                                          tarn_error *err);

typedef struct sql_outputs {
    const tarn_expr *const *exprs;
    const tarn_slice *names;
    size_t count;
} sql_outputs;
TARN_MUST_USE tarn_status sql_plan_project(tarn_arena *arena, const tarn_plan *input,
                                           const sql_outputs *outputs, const tarn_plan **ret_plan,
                                           tarn_error *err);

typedef struct sql_plan_join_spec {
    tarn_join_kind kind;
    const tarn_plan *left;
    const tarn_plan *right;
    const tarn_expr *const *left_keys;
    const tarn_expr *const *right_keys;
    size_t key_count;
    const tarn_expr *residual;
} sql_plan_join_spec;
TARN_MUST_USE tarn_status sql_plan_join(tarn_arena *arena, const sql_plan_join_spec *spec,
                                        const tarn_plan **ret_plan, tarn_error *err);

typedef struct sql_plan_aggregate_spec {
    const tarn_plan *input;
    const tarn_expr *const *groups;
    const tarn_slice *group_names;
    size_t group_count;
    const tarn_plan_aggregate *aggregates;
    const tarn_slice *aggregate_names;
    size_t aggregate_count;
    bool emit_on_close;
    size_t window_group;
    int64_t window_offset_us;
} sql_plan_aggregate_spec;
TARN_MUST_USE tarn_status sql_plan_aggregate(tarn_arena *arena, const sql_plan_aggregate_spec *spec,
                                             const tarn_plan **ret_plan, tarn_error *err);

typedef struct sql_plan_window_spec {
    size_t time_column;
    int64_t size_us;
    int64_t slide_us;
    int64_t offset_us;
} sql_plan_window_spec;
TARN_MUST_USE tarn_status sql_plan_time_window(tarn_arena *arena, const tarn_plan *input,
                                               const sql_plan_window_spec *spec,
                                               const tarn_plan **ret_plan, tarn_error *err);
TARN_MUST_USE tarn_status sql_plan_sort(tarn_arena *arena, const tarn_plan *input,
                                        const tarn_sort_key *keys, size_t key_count,
                                        const tarn_plan **ret_plan, tarn_error *err);
TARN_MUST_USE tarn_status sql_plan_limit(tarn_arena *arena, const tarn_plan *input, int64_t limit,
                                         int64_t offset, const tarn_plan **ret_plan,
                                         tarn_error *err);

typedef struct sql_plan_top_n_spec {
    const tarn_plan *input;
    const tarn_expr *const *partitions;
    size_t partition_count;
    const tarn_sort_key *keys;
    size_t key_count;
    int64_t limit;
    int64_t offset;
    bool numbered;
    tarn_slice number_name;
} sql_plan_top_n_spec;
TARN_MUST_USE tarn_status sql_plan_top_n(tarn_arena *arena, const sql_plan_top_n_spec *spec,
                                         const tarn_plan **ret_plan, tarn_error *err);
TARN_MUST_USE tarn_status sql_plan_union_all(tarn_arena *arena, const tarn_plan *const *inputs,
                                             size_t input_count, const tarn_plan **ret_plan,
                                             tarn_error *err);

// The same node with its output columns called otherwise: `names` has one per field.
TARN_MUST_USE tarn_status sql_plan_rename(tarn_arena *arena, const tarn_plan *plan,
                                          const tarn_slice *names, const tarn_plan **ret_plan,
                                          tarn_error *err);

// A node of the same kind over other inputs whose columns are the same as before.
TARN_MUST_USE tarn_status sql_plan_with_inputs(tarn_arena *arena, const tarn_plan *plan,
                                               const tarn_plan *const *inputs,
                                               const tarn_plan **ret_plan, tarn_error *err);

// Plain columns: is `expr` column `*ret_column` of the input?
static inline bool sql_expr_is_column(const tarn_expr *expr, size_t *ret_column) {
    if (expr->kind != TARN_EXPR_COLUMN) return false;
    *ret_column = expr->column;
    return true;
}
TARN_MUST_USE tarn_status sql_plan_column(tarn_arena *arena, const tarn_plan *plan, size_t column,
                                          int32_t position, const tarn_expr **ret_expr,
                                          tarn_error *err);

// "sum(delay) FILTER (WHERE ...)"
TARN_MUST_USE tarn_status sql_format_aggregate(const tarn_plan_aggregate *item, tarn_buffer *out,
                                               tarn_error *err);

// What an output column says about event time.
typedef struct sql_time_trace {
    bool is_time;         // the column the watermark speaks of, or a window bound of it
    bool is_window;       // window_start or window_end
    int64_t until_end_us; // is_window: from the column's value to the end of the window
} sql_time_trace;
sql_time_trace sql_plan_trace_time(const tarn_plan *plan, size_t column);

#endif
