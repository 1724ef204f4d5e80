// The plan as an indented tree.

#include "sql/fail.h"
#include "sql/plan.h"

typedef struct printer {
    tarn_buffer *out;
    tarn_status (*annotate)(void *context, const tarn_plan *node, tarn_buffer *out,
                            tarn_error *err);
    void *context;
} printer;

static tarn_status put(tarn_buffer *out, tarn_slice text, tarn_error *err) {
    return tarn_buffer_append(out, text) ? TARN_OK : sql_no_memory(err);
}

static tarn_status put_text(tarn_buffer *out, const char *text, tarn_error *err) {
    return put(out, tarn_slice_from_cstr(text), err);
}

static tarn_status put_integer(tarn_buffer *out, int64_t value, tarn_error *err) {
    return tarn_buffer_printf(out, "%lld", (long long)value) ? TARN_OK : sql_no_memory(err);
}

static tarn_status put_comma(tarn_buffer *out, size_t index, tarn_error *err) {
    return index == 0 ? TARN_OK : put(out, TARN_LIT(", "), err);
}

static tarn_status put_exprs(tarn_buffer *out, const tarn_expr *const *exprs, size_t count,
                             tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(put_comma(out, i, err));
        TARN_TRY(tarn_expr_format(exprs[i], out, err));
    }
    return TARN_OK;
}

static tarn_status put_sort_keys(tarn_buffer *out, const tarn_sort_key *keys, size_t count,
                                 tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(put_comma(out, i, err));
        TARN_TRY(tarn_expr_format(keys[i].expr, out, err));
        if (keys[i].order.descending) TARN_TRY(put_text(out, " DESC", err));
        // Said where it is not what the direction implies.
        if (keys[i].order.nulls_last && keys[i].order.descending) {
            TARN_TRY(put_text(out, " NULLS LAST", err));
        }
        if (!keys[i].order.nulls_last && !keys[i].order.descending) {
            TARN_TRY(put_text(out, " NULLS FIRST", err));
        }
    }
    return TARN_OK;
}

// Microseconds as an interval is written: 01:00:00, 1 day.
static tarn_status put_duration(tarn_buffer *out, int64_t us, tarn_error *err) {
    const int64_t us_per_day = (int64_t)86400 * 1000000;
    tarn_value value = {.type = tarn_type_of(TARN_TYPE_INTERVAL),
                        .interval = {.days = (int32_t)(us / us_per_day), .us = us % us_per_day}};
    return tarn_value_format(value, out, err);
}

static tarn_status put_quoted(tarn_buffer *out, tarn_value value, tarn_error *err) {
    if (value.is_null) return put_text(out, "NULL", err);
    TARN_TRY(put_text(out, "'", err));
    TARN_TRY(tarn_value_format(value, out, err));
    return put_text(out, "'", err);
}

// ---- node by node ----

static tarn_status put_prune_test(tarn_buffer *out, const tarn_relation *relation,
                                  const tarn_prune_test *test, tarn_error *err) {
    static const char *const operators[] = {
        [TARN_PRUNE_EQ] = " = ",
        [TARN_PRUNE_NE] = " <> ",
        [TARN_PRUNE_LT] = " < ",
        [TARN_PRUNE_LE] = " <= ",
        [TARN_PRUNE_GT] = " > ",
        [TARN_PRUNE_GE] = " >= ",
        [TARN_PRUNE_IN] = " IN ",
        [TARN_PRUNE_IS_NULL] = " IS NULL",
        [TARN_PRUNE_IS_NOT_NULL] = " IS NOT NULL",
        [TARN_PRUNE_STARTS_WITH] = " starts with ",
    };
    TARN_TRY(put(out, relation->schema.fields[test->column].name, err));
    TARN_TRY(put_text(out, operators[test->op], err));
    if (test->op == TARN_PRUNE_IS_NULL || test->op == TARN_PRUNE_IS_NOT_NULL) return TARN_OK;
    if (test->op != TARN_PRUNE_IN) return put_quoted(out, test->values[0], err);
    TARN_TRY(put_text(out, "(", err));
    for (size_t i = 0; i < test->value_count; i++) {
        TARN_TRY(put_comma(out, i, err));
        TARN_TRY(put_quoted(out, test->values[i], err));
    }
    return put_text(out, ")", err);
}

static tarn_status put_scan(tarn_buffer *out, const tarn_plan *plan, tarn_error *err) {
    const tarn_relation *relation = plan->scan.relation;
    TARN_TRY(put_text(out, "Scan ", err));
    bool is_public = relation->schema_name.len == 0 ||
                     tarn_slice_equal(relation->schema_name, TARN_LIT("public"));
    if (!is_public) {
        TARN_TRY(put(out, relation->schema_name, err));
        TARN_TRY(put_text(out, ".", err));
    }
    TARN_TRY(put(out, relation->name, err));
    TARN_TRY(put_text(out, " (", err));
    for (size_t i = 0; i < plan->schema.field_count; i++) {
        TARN_TRY(put_comma(out, i, err));
        TARN_TRY(put(out, plan->schema.fields[i].name, err));
    }
    TARN_TRY(put_text(out, ")", err));
    if (plan->scan.as_of == TARN_AS_OF_VERSION) {
        TARN_TRY(put_text(out, " as of version ", err));
        TARN_TRY(put_integer(out, plan->scan.as_of_value, err));
    } else if (plan->scan.as_of == TARN_AS_OF_TIMESTAMP) {
        TARN_TRY(put_text(out, " as of ", err));
        tarn_value time = {.type = tarn_type_of(TARN_TYPE_TIMESTAMPTZ),
                           .i64 = plan->scan.as_of_value};
        TARN_TRY(put_quoted(out, time, err));
    }
    for (size_t i = 0; i < plan->scan.prune.test_count; i++) {
        TARN_TRY(put_text(out, i == 0 ? " prune: " : " and ", err));
        TARN_TRY(put_prune_test(out, relation, &plan->scan.prune.tests[i], err));
    }
    return TARN_OK;
}

static tarn_status put_project(tarn_buffer *out, const tarn_plan *plan, tarn_error *err) {
    TARN_TRY(put_text(out, "Project ", err));
    for (size_t i = 0; i < plan->schema.field_count; i++) {
        const tarn_expr *expr = plan->project.exprs[i];
        tarn_slice name = plan->schema.fields[i].name;
        TARN_TRY(put_comma(out, i, err));
        TARN_TRY(tarn_expr_format(expr, out, err));
        bool is_renamed = expr->kind != TARN_EXPR_COLUMN || !tarn_slice_equal(expr->name, name);
        if (is_renamed) {
            TARN_TRY(put_text(out, " AS ", err));
            TARN_TRY(put(out, name, err));
        }
    }
    return TARN_OK;
}

static tarn_status put_join(tarn_buffer *out, const tarn_plan *plan, tarn_error *err) {
    bool is_left = plan->join.kind == TARN_JOIN_LEFT;
    bool is_cross = !is_left && plan->join.key_count == 0 && plan->join.residual == NULL;
    TARN_TRY(put_text(out, is_cross ? "Cross Join" : is_left ? "Left Join" : "Inner Join", err));
    for (size_t i = 0; i < plan->join.key_count; i++) {
        TARN_TRY(put_text(out, i == 0 ? " on " : " and ", err));
        TARN_TRY(tarn_expr_format(plan->join.left_keys[i], out, err));
        TARN_TRY(put_text(out, " = ", err));
        TARN_TRY(tarn_expr_format(plan->join.right_keys[i], out, err));
    }
    if (plan->join.residual == NULL) return TARN_OK;
    TARN_TRY(put_text(out, plan->join.key_count == 0 ? " on " : " and ", err));
    return tarn_expr_format(plan->join.residual, out, err);
}

tarn_status sql_format_aggregate(const tarn_plan_aggregate *item, tarn_buffer *out,
                                 tarn_error *err) {
    TARN_TRY(put(out, item->aggregate.name, err));
    TARN_TRY(put_text(out, item->aggregate.distinct ? "(DISTINCT " : "(", err));
    TARN_TRY(item->arg == NULL ? put_text(out, "*", err) : tarn_expr_format(item->arg, out, err));
    TARN_TRY(put_text(out, ")", err));
    if (item->filter == NULL) return TARN_OK;
    TARN_TRY(put_text(out, " FILTER (WHERE ", err));
    TARN_TRY(tarn_expr_format(item->filter, out, err));
    return put_text(out, ")", err);
}

static tarn_status put_aggregate(tarn_buffer *out, const tarn_plan *plan, tarn_error *err) {
    bool is_distinct = plan->aggregate.aggregate_count == 0 && plan->aggregate.group_count > 0;
    TARN_TRY(put_text(out, is_distinct ? "Distinct" : "Aggregate", err));
    if (plan->aggregate.group_count > 0) TARN_TRY(put_text(out, " by ", err));
    TARN_TRY(put_exprs(out, plan->aggregate.groups, plan->aggregate.group_count, err));
    for (size_t i = 0; i < plan->aggregate.aggregate_count; i++) {
        TARN_TRY(put_text(out, i == 0 ? ": " : ", ", err));
        TARN_TRY(sql_format_aggregate(&plan->aggregate.aggregates[i], out, err));
    }
    if (!plan->aggregate.emit_on_close) return TARN_OK;
    TARN_TRY(put_text(out, "; emits when the watermark reaches ", err));
    TARN_TRY(tarn_expr_format(plan->aggregate.groups[plan->aggregate.window_group], out, err));
    if (plan->aggregate.window_offset_us == 0) return TARN_OK;
    TARN_TRY(put_text(out, " + ", err));
    return put_duration(out, plan->aggregate.window_offset_us, err);
}

static tarn_status put_time_window(tarn_buffer *out, const tarn_plan *plan, tarn_error *err) {
    bool is_hop = plan->time_window.slide_us != plan->time_window.size_us;
    TARN_TRY(put_text(out, is_hop ? "Hop " : "Tumble ", err));
    TARN_TRY(put(out, plan->schema.fields[plan->time_window.time_column].name, err));
    if (is_hop) {
        TARN_TRY(put_text(out, " by ", err));
        TARN_TRY(put_duration(out, plan->time_window.slide_us, err));
    }
    TARN_TRY(put_text(out, is_hop ? ", size " : " by ", err));
    TARN_TRY(put_duration(out, plan->time_window.size_us, err));
    if (plan->time_window.offset_us == 0) return TARN_OK;
    TARN_TRY(put_text(out, ", offset ", err));
    return put_duration(out, plan->time_window.offset_us, err);
}

static tarn_status put_limit(tarn_buffer *out, int64_t limit, int64_t offset, tarn_error *err) {
    if (limit >= 0) {
        TARN_TRY(put_text(out, " ", err));
        TARN_TRY(put_integer(out, limit, err));
    }
    if (offset == 0) return TARN_OK;
    TARN_TRY(put_text(out, " offset ", err));
    return put_integer(out, offset, err);
}

static tarn_status put_top_n(tarn_buffer *out, const tarn_plan *plan, tarn_error *err) {
    bool numbers_all = plan->top_n.limit < 0 && plan->top_n.offset == 0;
    TARN_TRY(put_text(out, numbers_all ? "Number" : "Top-N", err));
    TARN_TRY(put_limit(out, plan->top_n.limit, plan->top_n.offset, err));
    if (plan->top_n.partition_count > 0) TARN_TRY(put_text(out, " per ", err));
    TARN_TRY(put_exprs(out, plan->top_n.partitions, plan->top_n.partition_count, err));
    if (plan->top_n.key_count > 0) TARN_TRY(put_text(out, " by ", err));
    TARN_TRY(put_sort_keys(out, plan->top_n.keys, plan->top_n.key_count, err));
    if (!plan->top_n.numbered) return TARN_OK;
    TARN_TRY(put_text(out, " as ", err));
    return put(out, plan->schema.fields[plan->schema.field_count - 1].name, err);
}

static tarn_status put_node(tarn_buffer *out, const tarn_plan *plan, tarn_error *err) {
    switch (plan->kind) {
    case TARN_PLAN_SCAN: return put_scan(out, plan, err);
    case TARN_PLAN_VALUES: return put_text(out, "Values", err);
    case TARN_PLAN_FILTER:
        TARN_TRY(put_text(out, "Filter ", err));
        return tarn_expr_format(plan->filter.condition, out, err);
    case TARN_PLAN_PROJECT: return put_project(out, plan, err);
    case TARN_PLAN_JOIN: return put_join(out, plan, err);
    case TARN_PLAN_AGGREGATE: return put_aggregate(out, plan, err);
    case TARN_PLAN_TIME_WINDOW: return put_time_window(out, plan, err);
    case TARN_PLAN_SORT:
        TARN_TRY(put_text(out, "Sort by ", err));
        return put_sort_keys(out, plan->sort.keys, plan->sort.key_count, err);
    case TARN_PLAN_LIMIT:
        TARN_TRY(put_text(out, "Limit", err));
        return put_limit(out, plan->limit.limit, plan->limit.offset, err);
    case TARN_PLAN_TOP_N: return put_top_n(out, plan, err);
    case TARN_PLAN_UNION_ALL: return put_text(out, "Union All", err);
    }
    return TARN_OK;
}

static tarn_status put_tree(const printer *p, const tarn_plan *plan, size_t depth,
                            tarn_error *err) {
    // As PostgreSQL: a child's arrow stands below its parent's first letter.
    for (size_t i = 1; i < depth; i++) TARN_TRY(put_text(p->out, "      ", err));
    if (depth > 0) TARN_TRY(put_text(p->out, "  ->  ", err));
    TARN_TRY(put_node(p->out, plan, err));
    if (!tarn_buffer_printf(p->out, "  (rows=%.0f)", plan->row_estimate)) return sql_no_memory(err);
    if (p->annotate != NULL) TARN_TRY(p->annotate(p->context, plan, p->out, err));
    TARN_TRY(put_text(p->out, "\n", err));
    for (size_t i = 0; i < plan->input_count; i++) {
        TARN_TRY(put_tree(p, plan->inputs[i], depth + 1, err));
    }
    return TARN_OK;
}

tarn_status tarn_plan_format(const tarn_plan *plan,
                             tarn_status (*annotate)(void *context, const tarn_plan *node,
                                                     tarn_buffer *out, tarn_error *err),
                             void *context, tarn_buffer *out, tarn_error *err) {
    printer p = {.out = out, .annotate = annotate, .context = context};
    return put_tree(&p, plan, 0, err);
}
