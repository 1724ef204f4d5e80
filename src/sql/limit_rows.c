// Limits meet sorts, and sorts that nobody sees go.

#include "sql/rewrite.h"

// Sorts below do not show through `plan`'s parent; they are dropped as far as only projections and
// filters lie between.
static tarn_status drop_sorts(const sql_optimizer *o, const tarn_plan *plan,
                              const tarn_plan **ret_plan, tarn_error *err) {
    if (plan->kind == TARN_PLAN_SORT) return drop_sorts(o, plan->inputs[0], ret_plan, err);
    *ret_plan = plan;
    if (plan->kind != TARN_PLAN_PROJECT && plan->kind != TARN_PLAN_FILTER) return TARN_OK;
    const tarn_plan *input = NULL;
    TARN_TRY(drop_sorts(o, plan->inputs[0], &input, err));
    return sql_plan_with_inputs(o->arena, plan, &input, ret_plan, err);
}

static bool has_order(const tarn_plan *plan) {
    while (plan->kind == TARN_PLAN_PROJECT) plan = plan->inputs[0];
    return plan->kind == TARN_PLAN_SORT;
}

// LIMIT over projections over SORT: the limit goes down to the sort.
static tarn_status limit_sorted(const sql_optimizer *o, const tarn_plan *limit,
                                const tarn_plan *input, const tarn_plan **ret_plan,
                                tarn_error *err) {
    if (input->kind == TARN_PLAN_PROJECT) {
        const tarn_plan *below = NULL;
        TARN_TRY(limit_sorted(o, limit, input->inputs[0], &below, err));
        return sql_plan_with_inputs(o->arena, input, &below, ret_plan, err);
    }
    tarn_assert(input->kind == TARN_PLAN_SORT);
    sql_plan_top_n_spec spec = {
        .input = input->inputs[0],
        .keys = input->sort.keys,
        .key_count = input->sort.key_count,
        .limit = limit->limit.limit,
        .offset = limit->limit.offset,
    };
    return sql_plan_top_n(o->arena, &spec, ret_plan, err);
}

static bool hides_order(const sql_optimizer *o, const tarn_plan *plan) {
    if (plan->kind == TARN_PLAN_AGGREGATE || plan->kind == TARN_PLAN_SORT ||
        plan->kind == TARN_PLAN_JOIN || plan->kind == TARN_PLAN_UNION_ALL ||
        plan->kind == TARN_PLAN_TOP_N) {
        return true;
    }
    return o->use == SQL_PLAN_OF_VIEW && plan->kind != TARN_PLAN_LIMIT;
}

static tarn_status limit_below(const sql_optimizer *o, const tarn_plan *plan,
                               const tarn_plan **ret_plan, tarn_error *err) {
    const tarn_plan **inputs = tarn_arena_new(o->arena, const tarn_plan *, plan->input_count);
    if (inputs == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < plan->input_count; i++) {
        TARN_TRY(limit_below(o, plan->inputs[i], &inputs[i], err));
        if (hides_order(o, plan)) TARN_TRY(drop_sorts(o, inputs[i], &inputs[i], err));
    }
    if (plan->kind == TARN_PLAN_LIMIT && plan->limit.limit >= 0 && has_order(inputs[0])) {
        return limit_sorted(o, plan, inputs[0], ret_plan, err);
    }
    return sql_plan_with_inputs(o->arena, plan, inputs, ret_plan, err);
}

tarn_status sql_limit_rows(const sql_optimizer *o, const tarn_plan *plan,
                           const tarn_plan **ret_plan, tarn_error *err) {
    TARN_TRY(limit_below(o, plan, &plan, err));
    *ret_plan = plan;
    // A view is a table: its rows have no order.
    return o->use == SQL_PLAN_OF_VIEW ? drop_sorts(o, plan, ret_plan, err) : TARN_OK;
}
