// Filters go down: through projections, sides of joins, groups, partitions, windows and unions.

#include "sql/rewrite.h"

// A condition that would grow beyond this by replacing columns with what they are stays above.
#define SUBSTITUTED_SIZE_MAX 200

static tarn_status fold_exprs(const sql_optimizer *o, const tarn_expr *const *exprs, size_t count,
                              const tarn_expr ***ret_exprs, tarn_error *err) {
    const tarn_expr **folded = tarn_arena_new(o->arena, const tarn_expr *, count);
    if (folded == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(tarn_expr_fold(o->arena, exprs[i], &folded[i], err));
    }
    *ret_exprs = folded;
    return TARN_OK;
}

static tarn_status fold_optional(const sql_optimizer *o, const tarn_expr **expr, tarn_error *err) {
    return *expr == NULL ? TARN_OK : tarn_expr_fold(o->arena, *expr, expr, err);
}

static tarn_status fold_keys(const sql_optimizer *o, const tarn_sort_key *keys, size_t count,
                             const tarn_sort_key **ret_keys, tarn_error *err) {
    tarn_sort_key *folded = tarn_arena_new(o->arena, tarn_sort_key, count);
    if (folded == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        folded[i].order = keys[i].order;
        TARN_TRY(tarn_expr_fold(o->arena, keys[i].expr, &folded[i].expr, err));
    }
    *ret_keys = folded;
    return TARN_OK;
}

static tarn_status names_of(const sql_optimizer *o, const tarn_plan *plan, tarn_slice **ret_names,
                            tarn_error *err) {
    tarn_slice *names = tarn_arena_new(o->arena, tarn_slice, plan->schema.field_count);
    if (names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < plan->schema.field_count; i++) names[i] = plan->schema.fields[i].name;
    *ret_names = names;
    return TARN_OK;
}

// ---- replacing columns by what they are ----

static size_t size_after(const tarn_expr *expr, const tarn_expr *const *replacements) {
    if (expr->kind == TARN_EXPR_COLUMN) {
        return sql_expr_size(replacements[expr->column], SUBSTITUTED_SIZE_MAX);
    }
    size_t size = 1;
    for (size_t i = 0; i < expr->arg_count && size < SUBSTITUTED_SIZE_MAX; i++) {
        size += size_after(expr->args[i], replacements);
    }
    return size;
}

static bool uses_volatile(const tarn_expr *expr, const tarn_expr *const *replacements) {
    if (expr->kind == TARN_EXPR_COLUMN) return tarn_expr_is_volatile(replacements[expr->column]);
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (uses_volatile(expr->args[i], replacements)) return true;
    }
    return false;
}

typedef struct divided {
    sql_conjuncts below; // rewritten
    sql_conjuncts above;
} divided;

// Divides `list` (over columns computed as `replacements`) into what can be tried before they are
// computed, and what cannot.
static tarn_status substitute_all(const sql_optimizer *o, const sql_conjuncts *list,
                                  const tarn_expr *const *replacements, size_t replacement_count,
                                  divided *parts, tarn_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        const tarn_expr *part = list->items[i];
        bool can_move = sql_expr_is_within(part, 0, replacement_count) &&
                        size_after(part, replacements) < SUBSTITUTED_SIZE_MAX &&
                        !uses_volatile(part, replacements);
        if (!can_move) {
            TARN_TRY(sql_conjuncts_append(o, &parts->above, part, err));
            continue;
        }
        TARN_TRY(tarn_expr_substitute(o->arena, part, replacements, replacement_count, &part, err));
        TARN_TRY(sql_conjuncts_add(o, &parts->below, part, err));
    }
    return TARN_OK;
}

// ---- node by node ----

static tarn_status push_filter(const sql_optimizer *o, const tarn_plan *plan, sql_conjuncts *list,
                               const tarn_plan **ret_plan, tarn_error *err) {
    sql_conjuncts all = {0};
    TARN_TRY(sql_conjuncts_add(o, &all, plan->filter.condition, err)); // the inner one is first
    for (size_t i = 0; i < list->count; i++) {
        TARN_TRY(sql_conjuncts_add(o, &all, list->items[i], err));
    }
    return sql_push_filters(o, plan->inputs[0], &all, ret_plan, err);
}

static tarn_status push_project(const sql_optimizer *o, const tarn_plan *plan, sql_conjuncts *list,
                                const tarn_plan **ret_plan, tarn_error *err) {
    size_t count = plan->schema.field_count;
    const tarn_expr **exprs = NULL;
    tarn_slice *names = NULL;
    TARN_TRY(fold_exprs(o, plan->project.exprs, count, &exprs, err));
    TARN_TRY(names_of(o, plan, &names, err));
    divided parts = {0};
    TARN_TRY(substitute_all(o, list, exprs, count, &parts, err));
    const tarn_plan *input = NULL;
    TARN_TRY(sql_push_filters(o, plan->inputs[0], &parts.below, &input, err));
    sql_outputs outputs = {exprs, names, count};
    TARN_TRY(sql_plan_project(o->arena, input, &outputs, &input, err));
    return sql_filter_by(o, input, &parts.above, ret_plan, err);
}

static tarn_status fold_aggregates(const sql_optimizer *o, const tarn_plan *plan,
                                   const tarn_plan_aggregate **ret_items, tarn_error *err) {
    size_t count = plan->aggregate.aggregate_count;
    tarn_plan_aggregate *items = tarn_arena_new(o->arena, tarn_plan_aggregate, count);
    if (items == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        items[i] = plan->aggregate.aggregates[i];
        TARN_TRY(fold_optional(o, &items[i].arg, err));
        TARN_TRY(fold_optional(o, &items[i].filter, err));
    }
    *ret_items = items;
    return TARN_OK;
}

static tarn_status push_aggregate(const sql_optimizer *o, const tarn_plan *plan,
                                  sql_conjuncts *list, const tarn_plan **ret_plan,
                                  tarn_error *err) {
    sql_plan_aggregate_spec spec = {
        .group_count = plan->aggregate.group_count,
        .aggregate_count = plan->aggregate.aggregate_count,
        .emit_on_close = plan->aggregate.emit_on_close,
        .window_group = plan->aggregate.window_group,
        .window_offset_us = plan->aggregate.window_offset_us,
    };
    const tarn_expr **groups = NULL;
    tarn_slice *names = NULL;
    TARN_TRY(fold_exprs(o, plan->aggregate.groups, spec.group_count, &groups, err));
    TARN_TRY(fold_aggregates(o, plan, &spec.aggregates, err));
    TARN_TRY(names_of(o, plan, &names, err));
    spec.groups = groups;
    spec.group_names = names;
    spec.aggregate_names = names + spec.group_count;

    divided parts = {0};
    // A test of no column would, below, turn the one row of an empty group list into a group of
    // nothing; it stays.
    if (spec.group_count > 0) {
        TARN_TRY(substitute_all(o, list, groups, spec.group_count, &parts, err));
    } else {
        parts.above = *list;
    }
    TARN_TRY(sql_push_filters(o, plan->inputs[0], &parts.below, &spec.input, err));
    const tarn_plan *aggregate = NULL;
    TARN_TRY(sql_plan_aggregate(o->arena, &spec, &aggregate, err));
    return sql_filter_by(o, aggregate, &parts.above, ret_plan, err);
}

// Tests of the input's own columns go below a node that adds columns behind them.
static tarn_status push_below_added(const sql_optimizer *o, const tarn_plan *plan,
                                    sql_conjuncts *list, const tarn_plan **ret_plan,
                                    tarn_error *err) {
    size_t count = plan->inputs[0]->schema.field_count;
    sql_conjuncts below = {0};
    sql_conjuncts above = {0};
    for (size_t i = 0; i < list->count; i++) {
        const tarn_expr *part = list->items[i];
        bool can_move = sql_expr_is_within(part, 0, count) && sql_expr_is_safe(part);
        TARN_TRY(sql_conjuncts_append(o, can_move ? &below : &above, part, err));
    }
    const tarn_plan *input = NULL;
    TARN_TRY(sql_push_filters(o, plan->inputs[0], &below, &input, err));
    TARN_TRY(sql_plan_with_inputs(o->arena, plan, &input, &input, err));
    return sql_filter_by(o, input, &above, ret_plan, err);
}

static tarn_status push_sort(const sql_optimizer *o, const tarn_plan *plan, sql_conjuncts *list,
                             const tarn_plan **ret_plan, tarn_error *err) {
    const tarn_plan *input = NULL;
    TARN_TRY(sql_push_filters(o, plan->inputs[0], list, &input, err));
    const tarn_sort_key *keys = NULL;
    TARN_TRY(fold_keys(o, plan->sort.keys, plan->sort.key_count, &keys, err));
    return sql_plan_sort(o->arena, input, keys, plan->sort.key_count, ret_plan, err);
}

// ---- numbered rows: WHERE rn <= 10 ----

// The number n of `row_number <= n` and its relatives, -1 for other tests. *ret_is_whole is set
// when a limit of n says all that the test says.
static int64_t limit_of(const tarn_expr *part, size_t number_column, bool *ret_is_whole) {
    if (part->kind != TARN_EXPR_CALL || part->arg_count != 2) return -1;
    const tarn_expr *column = part->args[0];
    const tarn_expr *bound = part->args[1];
    static const struct {
        const char *name;
        const char *mirrored;
    } operators[] = {{"<=", ">="}, {"<", ">"}, {"=", "="}};
    bool is_mirrored = column->kind == TARN_EXPR_LITERAL;
    if (is_mirrored) {
        column = part->args[1];
        bound = part->args[0];
    }
    if (column->kind != TARN_EXPR_COLUMN || column->column != number_column ||
        bound->kind != TARN_EXPR_LITERAL || bound->literal.is_null ||
        !tarn_type_is_integer(bound->type)) {
        return -1;
    }
    int64_t n = bound->literal.i64;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        const char *name = is_mirrored ? operators[i].mirrored : operators[i].name;
        if (!tarn_slice_equal(part->name, tarn_slice_from_cstr(name))) continue;
        *ret_is_whole = i < 2 || n <= 1;
        if (i == 1 && n > 0) n--;
        return n < 0 || (i == 2 && n == 0) ? 0 : n;
    }
    return -1;
}

static bool is_partition(const tarn_plan *plan, size_t column) {
    for (size_t i = 0; i < plan->top_n.partition_count; i++) {
        size_t partition;
        if (sql_expr_is_column(plan->top_n.partitions[i], &partition) && partition == column) {
            return true;
        }
    }
    return false;
}

static bool uses_partitions_only(const tarn_plan *plan, const tarn_expr *expr) {
    if (expr->kind == TARN_EXPR_COLUMN) return is_partition(plan, expr->column);
    for (size_t i = 0; i < expr->arg_count; i++) {
        if (!uses_partitions_only(plan, expr->args[i])) return false;
    }
    return true;
}

static tarn_status push_top_n(const sql_optimizer *o, const tarn_plan *plan, sql_conjuncts *list,
                              const tarn_plan **ret_plan, tarn_error *err) {
    size_t number_column = plan->inputs[0]->schema.field_count;
    sql_plan_top_n_spec spec = {
        .partition_count = plan->top_n.partition_count,
        .key_count = plan->top_n.key_count,
        .limit = plan->top_n.limit,
        .offset = plan->top_n.offset,
        .numbered = plan->top_n.numbered,
    };
    if (spec.numbered) spec.number_name = plan->schema.fields[number_column].name;
    sql_conjuncts below = {0};
    sql_conjuncts above = {0};
    for (size_t i = 0; i < list->count; i++) {
        const tarn_expr *part = list->items[i];
        bool is_whole = false;
        int64_t limit =
            spec.numbered && spec.offset == 0 ? limit_of(part, number_column, &is_whole) : -1;
        if (limit >= 0 && (spec.limit < 0 || limit < spec.limit)) spec.limit = limit;
        if (limit >= 0 && is_whole) continue;
        bool can_move = sql_expr_has_columns(part) && uses_partitions_only(plan, part);
        TARN_TRY(sql_conjuncts_append(o, can_move ? &below : &above, part, err));
    }
    const tarn_expr **partitions = NULL;
    TARN_TRY(fold_exprs(o, plan->top_n.partitions, spec.partition_count, &partitions, err));
    TARN_TRY(fold_keys(o, plan->top_n.keys, spec.key_count, &spec.keys, err));
    spec.partitions = partitions;
    TARN_TRY(sql_push_filters(o, plan->inputs[0], &below, &spec.input, err));
    const tarn_plan *top_n = NULL;
    TARN_TRY(sql_plan_top_n(o->arena, &spec, &top_n, err));
    return sql_filter_by(o, top_n, &above, ret_plan, err);
}

static tarn_status push_union(const sql_optimizer *o, const tarn_plan *plan,
                              const sql_conjuncts *list, const tarn_plan **ret_plan,
                              tarn_error *err) {
    const tarn_plan **inputs = tarn_arena_new(o->arena, const tarn_plan *, plan->input_count);
    if (inputs == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < plan->input_count; i++) {
        sql_conjuncts copy = {0};
        for (size_t k = 0; k < list->count; k++) {
            TARN_TRY(sql_conjuncts_append(o, &copy, list->items[k], err));
        }
        TARN_TRY(sql_push_filters(o, plan->inputs[i], &copy, &inputs[i], err));
    }
    return sql_plan_union_all(o->arena, inputs, plan->input_count, ret_plan, err);
}

static tarn_status fold_values(const sql_optimizer *o, const tarn_plan *plan,
                               const sql_conjuncts *list, const tarn_plan **ret_plan,
                               tarn_error *err) {
    size_t count = plan->schema.field_count;
    const tarn_expr **cells = NULL;
    TARN_TRY(fold_exprs(o, plan->values.cells, plan->values.row_count * count, &cells, err));
    const tarn_plan *values = NULL;
    TARN_TRY(sql_plan_values(o->arena, cells, plan->values.row_count, &plan->schema, &values, err));
    return sql_filter_by(o, values, list, ret_plan, err);
}

tarn_status sql_push_filters(const sql_optimizer *o, const tarn_plan *plan, sql_conjuncts *list,
                             const tarn_plan **ret_plan, tarn_error *err) {
    switch (plan->kind) {
    case TARN_PLAN_SCAN: return sql_filter_by(o, plan, list, ret_plan, err);
    case TARN_PLAN_VALUES: return fold_values(o, plan, list, ret_plan, err);
    case TARN_PLAN_FILTER: return push_filter(o, plan, list, ret_plan, err);
    case TARN_PLAN_PROJECT: return push_project(o, plan, list, ret_plan, err);
    case TARN_PLAN_JOIN: return sql_push_into_join(o, plan, list, ret_plan, err);
    case TARN_PLAN_AGGREGATE: return push_aggregate(o, plan, list, ret_plan, err);
    case TARN_PLAN_TIME_WINDOW: return push_below_added(o, plan, list, ret_plan, err);
    case TARN_PLAN_SORT: return push_sort(o, plan, list, ret_plan, err);
    case TARN_PLAN_LIMIT: {
        sql_conjuncts none = {0};
        const tarn_plan *input = NULL;
        TARN_TRY(sql_push_filters(o, plan->inputs[0], &none, &input, err));
        TARN_TRY(sql_plan_with_inputs(o->arena, plan, &input, &input, err));
        return sql_filter_by(o, input, list, ret_plan, err);
    }
    case TARN_PLAN_TOP_N: return push_top_n(o, plan, list, ret_plan, err);
    case TARN_PLAN_UNION_ALL: return push_union(o, plan, list, ret_plan, err);
    }
    return sql_filter_by(o, plan, list, ret_plan, err);
}
