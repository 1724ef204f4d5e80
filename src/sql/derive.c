#include "sql/derive.h"

#include "sql/fail.h"

// ---- keys ----

static tarn_status set_key(tarn_arena *arena, tarn_plan *plan, const size_t *columns, size_t count,
                           size_t shift, tarn_error *err) {
    if (count == 0) return TARN_OK;
    size_t *key = tarn_arena_new(arena, size_t, count);
    if (key == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) key[i] = columns[i] + shift;
    plan->key_columns = key;
    plan->key_count = count;
    return TARN_OK;
}

// Where column `column` of the input is a plain output column, -1: nowhere.
static ptrdiff_t find_plain(const tarn_expr *const *exprs, size_t count, size_t column) {
    for (size_t i = 0; i < count; i++) {
        size_t of_input;
        if (sql_expr_is_column(exprs[i], &of_input) && of_input == column) return (ptrdiff_t)i;
    }
    return -1;
}

// The input's key under the projection's numbers; none when one of its columns is gone.
static tarn_status map_key(tarn_arena *arena, tarn_plan *plan, tarn_error *err) {
    const tarn_plan *input = plan->inputs[0];
    if (input->key_count == 0) return TARN_OK;
    size_t *mapped = tarn_arena_new(arena, size_t, input->key_count);
    if (mapped == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < input->key_count; i++) {
        ptrdiff_t at =
            find_plain(plan->project.exprs, plan->schema.field_count, input->key_columns[i]);
        if (at < 0) return TARN_OK;
        mapped[i] = (size_t)at;
    }
    return set_key(arena, plan, mapped, input->key_count, 0, err);
}

bool sql_plan_is_single_row(const tarn_plan *plan) {
    switch (plan->kind) {
    case TARN_PLAN_VALUES: return plan->values.row_count <= 1;
    case TARN_PLAN_AGGREGATE: return plan->aggregate.group_count == 0;
    case TARN_PLAN_LIMIT:
        return (plan->limit.limit >= 0 && plan->limit.limit <= 1) ||
               sql_plan_is_single_row(plan->inputs[0]);
    case TARN_PLAN_FILTER:
    case TARN_PLAN_PROJECT:
    case TARN_PLAN_SORT: return sql_plan_is_single_row(plan->inputs[0]);
    case TARN_PLAN_TOP_N:
        return (plan->top_n.partition_count == 0 && plan->top_n.limit >= 0 &&
                plan->top_n.limit <= 1) ||
               sql_plan_is_single_row(plan->inputs[0]);
    case TARN_PLAN_SCAN:
    case TARN_PLAN_JOIN:
    case TARN_PLAN_TIME_WINDOW:
    case TARN_PLAN_UNION_ALL: return false;
    }
    return false;
}

bool sql_plan_has_one_row(const tarn_plan *plan) {
    while (plan->kind == TARN_PLAN_PROJECT || plan->kind == TARN_PLAN_SORT) plan = plan->inputs[0];
    return (plan->kind == TARN_PLAN_VALUES && plan->values.row_count == 1) ||
           (plan->kind == TARN_PLAN_AGGREGATE && plan->aggregate.group_count == 0);
}

// Whether at most one row of `side` matches given values of its join keys.
static bool keys_are_unique(const tarn_plan *side, const tarn_expr *const *keys, size_t count) {
    if (side->key_count == 0) return sql_plan_is_single_row(side);
    for (size_t i = 0; i < side->key_count; i++) {
        if (find_plain(keys, count, side->key_columns[i]) < 0) return false;
    }
    return true;
}

static tarn_status derive_join_key(tarn_arena *arena, tarn_plan *plan, bool left_once,
                                   bool right_once, tarn_error *err) {
    const tarn_plan *left = plan->inputs[0];
    const tarn_plan *right = plan->inputs[1];
    size_t shift = left->schema.field_count;
    if (right_once && left->key_count > 0) {
        return set_key(arena, plan, left->key_columns, left->key_count, 0, err);
    }
    if (left_once && plan->join.kind == TARN_JOIN_INNER && right->key_count > 0) {
        return set_key(arena, plan, right->key_columns, right->key_count, shift, err);
    }
    if (left->key_count == 0 || right->key_count == 0) return TARN_OK;
    size_t count = left->key_count + right->key_count;
    size_t *key = tarn_arena_new(arena, size_t, count);
    if (key == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < left->key_count; i++) key[i] = left->key_columns[i];
    for (size_t i = 0; i < right->key_count; i++) {
        key[left->key_count + i] = shift + right->key_columns[i];
    }
    return set_key(arena, plan, key, count, 0, err);
}

// ---- event time ----

static sql_time_trace trace_join(const tarn_plan *plan, size_t column) {
    size_t left_count = plan->inputs[0]->schema.field_count;
    if (column < left_count) return sql_plan_trace_time(plan->inputs[0], column);
    // One side leads: event time of the other says nothing about when its rows come out.
    bool right_leads = plan->join.kind == TARN_JOIN_INNER && plan->inputs[0]->time_column < 0;
    if (!right_leads) return (sql_time_trace){0};
    return sql_plan_trace_time(plan->inputs[1], column - left_count);
}

static sql_time_trace trace_window(const tarn_plan *plan, size_t column) {
    const tarn_plan *input = plan->inputs[0];
    size_t count = input->schema.field_count;
    if (column < count) return sql_plan_trace_time(input, column);
    return (sql_time_trace){
        .is_time = sql_plan_trace_time(input, plan->time_window.time_column).is_time,
        .is_window = true,
        .until_end_us = column == count ? plan->time_window.size_us : 0,
    };
}

static sql_time_trace trace_union(const tarn_plan *plan, size_t column) {
    sql_time_trace first = sql_plan_trace_time(plan->inputs[0], column);
    for (size_t i = 1; i < plan->input_count; i++) {
        sql_time_trace other = sql_plan_trace_time(plan->inputs[i], column);
        if (other.is_time != first.is_time || other.is_window != first.is_window ||
            other.until_end_us != first.until_end_us) {
            return (sql_time_trace){0};
        }
    }
    return first;
}

sql_time_trace sql_plan_trace_time(const tarn_plan *plan, size_t column) {
    const tarn_expr *expr = NULL;
    switch (plan->kind) {
    case TARN_PLAN_SCAN:
        return (sql_time_trace){.is_time = plan->scan.relation->time_column >= 0 &&
                                           (size_t)plan->scan.relation->time_column ==
                                               plan->scan.columns[column]};
    case TARN_PLAN_VALUES: return (sql_time_trace){0};
    case TARN_PLAN_FILTER:
    case TARN_PLAN_SORT:
    case TARN_PLAN_LIMIT: return sql_plan_trace_time(plan->inputs[0], column);
    case TARN_PLAN_PROJECT: expr = plan->project.exprs[column]; break;
    case TARN_PLAN_JOIN: return trace_join(plan, column);
    case TARN_PLAN_AGGREGATE:
        if (column < plan->aggregate.group_count) expr = plan->aggregate.groups[column];
        break;
    case TARN_PLAN_TIME_WINDOW: return trace_window(plan, column);
    case TARN_PLAN_TOP_N:
        if (column == plan->inputs[0]->schema.field_count) return (sql_time_trace){0};
        return sql_plan_trace_time(plan->inputs[0], column);
    case TARN_PLAN_UNION_ALL: return trace_union(plan, column);
    }
    if (expr == NULL || expr->kind != TARN_EXPR_COLUMN) return (sql_time_trace){0};
    return sql_plan_trace_time(plan->inputs[0], expr->column);
}

// The first output column that speaks of event time, the plain time before bounds of windows.
static ptrdiff_t find_time_column(const tarn_plan *plan) {
    ptrdiff_t bound = -1;
    for (size_t i = 0; i < plan->schema.field_count; i++) {
        sql_time_trace trace = sql_plan_trace_time(plan, i);
        if (trace.is_time && !trace.is_window) return (ptrdiff_t)i;
        if (trace.is_time && bound < 0) bound = (ptrdiff_t)i;
    }
    return bound;
}

// ---- row estimates ----

#define SHARE_OF_CONDITION 0.25
#define SHARE_OF_GROUPS    0.1

static double at_least_one(double rows) {
    return rows < 1 ? 1 : rows;
}

static double smaller(double a, double b) {
    return a < b ? a : b;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

static double estimate_scan(const tarn_plan *plan) {
    const tarn_relation *relation = plan->scan.relation;
    if (relation->row_count > 0) return (double)relation->row_count;
    return relation->kind == TARN_RELATION_SOURCE ? SQL_ROWS_UNKNOWN_STREAM
                                                  : SQL_ROWS_UNKNOWN_TABLE;
}

static double estimate_filter(const tarn_plan *plan) {
    const tarn_expr *condition = plan->filter.condition;
    size_t tests = condition->kind == TARN_EXPR_AND ? condition->arg_count : 1;
    double rows = plan->inputs[0]->row_estimate;
    for (size_t i = 0; i < tests && rows > 1; i++) rows *= SHARE_OF_CONDITION;
    return at_least_one(rows);
}

static double estimate_join(const tarn_plan *plan, bool left_once, bool right_once) {
    double left = plan->inputs[0]->row_estimate;
    double right = plan->inputs[1]->row_estimate;
    double rows = left * right;
    if (right_once) {
        rows = left;
    } else if (left_once) {
        rows = right;
    } else if (plan->join.key_count > 0) {
        rows = larger(left, right);
    }
    return plan->join.kind == TARN_JOIN_LEFT ? larger(rows, left) : rows;
}

static double estimate_top_n(const tarn_plan *plan) {
    double rows = plan->inputs[0]->row_estimate;
    if (plan->top_n.limit < 0) return rows;
    double partitions = plan->top_n.partition_count == 0 ? 1 : at_least_one(rows * SHARE_OF_GROUPS);
    return smaller(rows, partitions * (double)plan->top_n.limit);
}

// ---- node by node ----

static tarn_status derive_scan(tarn_arena *arena, tarn_plan *plan, tarn_error *err) {
    const tarn_relation *relation = plan->scan.relation;
    plan->append_only = relation->append_only;
    plan->row_estimate = estimate_scan(plan);
    if (relation->key_count == 0) return TARN_OK;
    size_t *key = tarn_arena_new(arena, size_t, relation->key_count);
    if (key == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < relation->key_count; i++) {
        size_t at = 0;
        while (at < plan->schema.field_count &&
               plan->scan.columns[at] != relation->key_columns[i]) {
            at++;
        }
        if (at == plan->schema.field_count) return TARN_OK;
        key[i] = at;
    }
    return set_key(arena, plan, key, relation->key_count, 0, err);
}

static tarn_status derive_join(tarn_arena *arena, tarn_plan *plan, tarn_error *err) {
    const tarn_plan *left = plan->inputs[0];
    const tarn_plan *right = plan->inputs[1];
    bool left_once = keys_are_unique(left, plan->join.left_keys, plan->join.key_count);
    bool right_once = keys_are_unique(right, plan->join.right_keys, plan->join.key_count);
    // A left join takes back the row without a match when a match comes, so its right side must
    // not grow either.
    bool right_is_fixed = right->kind == TARN_PLAN_VALUES;
    plan->append_only = left->append_only && right->append_only &&
                        (plan->join.kind == TARN_JOIN_INNER || right_is_fixed);
    plan->row_estimate = estimate_join(plan, left_once, right_once);
    return derive_join_key(arena, plan, left_once, right_once, err);
}

static tarn_status derive_aggregate(tarn_arena *arena, tarn_plan *plan, tarn_error *err) {
    double input_rows = plan->inputs[0]->row_estimate;
    plan->append_only = plan->aggregate.emit_on_close;
    plan->row_estimate =
        plan->aggregate.group_count == 0 ? 1 : at_least_one(input_rows * SHARE_OF_GROUPS);
    size_t *key = tarn_arena_new(arena, size_t, plan->aggregate.group_count);
    if (key == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < plan->aggregate.group_count; i++) key[i] = i;
    return set_key(arena, plan, key, plan->aggregate.group_count, 0, err);
}

static tarn_status derive_time_window(tarn_arena *arena, tarn_plan *plan, tarn_error *err) {
    const tarn_plan *input = plan->inputs[0];
    double copies = (double)plan->time_window.size_us / (double)plan->time_window.slide_us;
    plan->append_only = input->append_only;
    plan->row_estimate = input->row_estimate * at_least_one(copies);
    bool is_tumbling = plan->time_window.size_us == plan->time_window.slide_us;
    if (input->key_count == 0) return TARN_OK;
    size_t *key = tarn_arena_new(arena, size_t, input->key_count + 1);
    if (key == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < input->key_count; i++) key[i] = input->key_columns[i];
    key[input->key_count] = input->schema.field_count; // window_start
    return set_key(arena, plan, key, input->key_count + (is_tumbling ? 0 : 1), 0, err);
}

static tarn_status derive_top_n(tarn_arena *arena, tarn_plan *plan, tarn_error *err) {
    const tarn_plan *input = plan->inputs[0];
    plan->append_only = false;
    plan->row_estimate = estimate_top_n(plan);
    size_t partition_count = plan->top_n.partition_count;
    bool is_plain = true;
    size_t *key = tarn_arena_new(arena, size_t, partition_count + 1);
    if (key == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < partition_count; i++) {
        is_plain &= sql_expr_is_column(plan->top_n.partitions[i], &key[i]);
    }
    // The first row of each partition is named by its partition alone.
    if (is_plain && plan->top_n.limit == 1 && partition_count > 0) {
        return set_key(arena, plan, key, partition_count, 0, err);
    }
    if (input->key_count > 0) {
        return set_key(arena, plan, input->key_columns, input->key_count, 0, err);
    }
    if (!is_plain || !plan->top_n.numbered) return TARN_OK;
    key[partition_count] = input->schema.field_count;
    return set_key(arena, plan, key, partition_count + 1, 0, err);
}

static void derive_union(tarn_plan *plan) {
    plan->append_only = true;
    for (size_t i = 0; i < plan->input_count; i++) {
        plan->append_only &= plan->inputs[i]->append_only;
        plan->row_estimate += plan->inputs[i]->row_estimate;
    }
}

static tarn_status derive_like_input(tarn_arena *arena, tarn_plan *plan, tarn_error *err) {
    const tarn_plan *input = plan->inputs[0];
    plan->append_only = input->append_only;
    plan->row_estimate = input->row_estimate;
    return set_key(arena, plan, input->key_columns, input->key_count, 0, err);
}

static tarn_status derive_by_kind(tarn_arena *arena, tarn_plan *plan, tarn_error *err) {
    switch (plan->kind) {
    case TARN_PLAN_SCAN: return derive_scan(arena, plan, err);
    case TARN_PLAN_VALUES:
        plan->append_only = true;
        plan->row_estimate = (double)plan->values.row_count;
        return TARN_OK;
    case TARN_PLAN_FILTER:
        TARN_TRY(derive_like_input(arena, plan, err));
        plan->row_estimate = estimate_filter(plan);
        return TARN_OK;
    case TARN_PLAN_PROJECT:
        plan->append_only = plan->inputs[0]->append_only;
        plan->row_estimate = plan->inputs[0]->row_estimate;
        return map_key(arena, plan, err);
    case TARN_PLAN_JOIN: return derive_join(arena, plan, err);
    case TARN_PLAN_AGGREGATE: return derive_aggregate(arena, plan, err);
    case TARN_PLAN_TIME_WINDOW: return derive_time_window(arena, plan, err);
    case TARN_PLAN_SORT: return derive_like_input(arena, plan, err);
    case TARN_PLAN_LIMIT:
        TARN_TRY(derive_like_input(arena, plan, err));
        plan->append_only = false; // which rows are the first can change
        if (plan->limit.limit >= 0) {
            plan->row_estimate = smaller(plan->row_estimate, (double)plan->limit.limit);
        }
        return TARN_OK;
    case TARN_PLAN_TOP_N: return derive_top_n(arena, plan, err);
    case TARN_PLAN_UNION_ALL: derive_union(plan); return TARN_OK;
    }
    return TARN_OK;
}

tarn_status sql_derive(tarn_arena *arena, tarn_plan *plan, tarn_error *err) {
    TARN_TRY(derive_by_kind(arena, plan, err));
    if (plan->kind == TARN_PLAN_AGGREGATE && plan->aggregate.emit_on_close) {
        plan->time_column = (ptrdiff_t)plan->aggregate.window_group;
    } else {
        plan->time_column = find_time_column(plan);
    }
    return TARN_OK;
}
