#include "sql/plan.h"

#include "sql/derive.h"
#include "sql/fail.h"

// A plan and what only its makers need to know.
typedef struct made_plan {
    tarn_plan plan; // first: a plan is its made_plan
    size_t depth;
} made_plan;

static size_t depth_of(const tarn_plan *plan) {
    return ((const made_plan *)plan)->depth;
}

static tarn_status new_plan(tarn_arena *arena, tarn_plan_kind kind, const tarn_plan *const *inputs,
                            size_t input_count, tarn_plan **ret_plan, tarn_error *err) {
    made_plan *made = tarn_arena_new(arena, made_plan, 1);
    const tarn_plan **copies = tarn_arena_new(arena, const tarn_plan *, input_count);
    if (made == NULL || copies == NULL) return sql_no_memory(err);
    made->depth = 1;
    for (size_t i = 0; i < input_count; i++) {
        copies[i] = inputs[i];
        if (depth_of(inputs[i]) >= made->depth) made->depth = depth_of(inputs[i]) + 1;
    }
    if (made->depth > SQL_PLAN_DEPTH_MAX) {
        return sql_fail(err, 0, "54001",
                        "the statement is too complex: its plan has more than %d "
                        "levels",
                        SQL_PLAN_DEPTH_MAX);
    }
    made->plan.kind = kind;
    made->plan.inputs = copies;
    made->plan.input_count = input_count;
    made->plan.time_column = -1;
    *ret_plan = &made->plan;
    return TARN_OK;
}

static tarn_status new_fields(tarn_arena *arena, tarn_plan *plan, size_t count, tarn_error *err) {
    plan->schema.fields = tarn_arena_new(arena, tarn_field, count);
    if (plan->schema.fields == NULL) return sql_no_memory(err);
    plan->schema.field_count = count;
    for (size_t i = 0; i < count; i++) plan->schema.fields[i].id = -1;
    return TARN_OK;
}

static void set_field(tarn_plan *plan, size_t index, tarn_slice name, const tarn_expr *expr) {
    plan->schema.fields[index].name = name;
    plan->schema.fields[index].type = expr->type;
    plan->schema.fields[index].not_null = expr->not_null;
}

tarn_status sql_plan_column(tarn_arena *arena, const tarn_plan *plan, size_t column,
                            int32_t position, const tarn_expr **ret_expr, tarn_error *err) {
    tarn_assert(column < plan->schema.field_count);
    return tarn_expr_column(arena, column, &plan->schema.fields[column], position, ret_expr, err);
}

tarn_status sql_plan_scan(tarn_arena *arena, const sql_plan_scan_spec *spec,
                          const tarn_plan **ret_plan, tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_SCAN, NULL, 0, &plan, err));
    TARN_TRY(new_fields(arena, plan, spec->column_count, err));
    for (size_t i = 0; i < spec->column_count; i++) {
        plan->schema.fields[i] = spec->relation->schema.fields[spec->columns[i]];
    }
    plan->scan.relation = spec->relation;
    plan->scan.columns = spec->columns;
    plan->scan.as_of = spec->as_of;
    plan->scan.as_of_value = spec->as_of_value;
    plan->scan.prune = spec->prune;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_values(tarn_arena *arena, const tarn_expr *const *cells, size_t row_count,
                            const tarn_schema *schema, const tarn_plan **ret_plan,
                            tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_VALUES, NULL, 0, &plan, err));
    TARN_TRY(new_fields(arena, plan, schema->field_count, err));
    for (size_t i = 0; i < schema->field_count; i++) plan->schema.fields[i] = schema->fields[i];
    plan->values.cells = cells;
    plan->values.row_count = row_count;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_filter(tarn_arena *arena, const tarn_plan *input, const tarn_expr *condition,
                            const tarn_plan **ret_plan, tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_FILTER, &input, 1, &plan, err));
    plan->schema = input->schema;
    plan->filter.condition = condition;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_project(tarn_arena *arena, const tarn_plan *input, const sql_outputs *outputs,
                             const tarn_plan **ret_plan, tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_PROJECT, &input, 1, &plan, err));
    TARN_TRY(new_fields(arena, plan, outputs->count, err));
    for (size_t i = 0; i < outputs->count; i++) {
        set_field(plan, i, outputs->names[i], outputs->exprs[i]);
    }
    plan->project.exprs = outputs->exprs;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_join(tarn_arena *arena, const sql_plan_join_spec *spec,
                          const tarn_plan **ret_plan, tarn_error *err) {
    const tarn_plan *inputs[] = {spec->left, spec->right};
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_JOIN, inputs, 2, &plan, err));
    size_t left_count = spec->left->schema.field_count;
    size_t right_count = spec->right->schema.field_count;
    TARN_TRY(new_fields(arena, plan, left_count + right_count, err));
    for (size_t i = 0; i < left_count; i++) {
        plan->schema.fields[i] = spec->left->schema.fields[i];
    }
    for (size_t i = 0; i < right_count; i++) {
        tarn_field *field = &plan->schema.fields[left_count + i];
        *field = spec->right->schema.fields[i];
        if (spec->kind == TARN_JOIN_LEFT) field->not_null = false;
    }
    plan->join.kind = spec->kind;
    plan->join.left_keys = spec->left_keys;
    plan->join.right_keys = spec->right_keys;
    plan->join.key_count = spec->key_count;
    plan->join.residual = spec->residual;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_aggregate(tarn_arena *arena, const sql_plan_aggregate_spec *spec,
                               const tarn_plan **ret_plan, tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_AGGREGATE, &spec->input, 1, &plan, err));
    TARN_TRY(new_fields(arena, plan, spec->group_count + spec->aggregate_count, err));
    for (size_t i = 0; i < spec->group_count; i++) {
        set_field(plan, i, spec->group_names[i], spec->groups[i]);
    }
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        tarn_field *field = &plan->schema.fields[spec->group_count + i];
        field->name = spec->aggregate_names[i];
        field->type = spec->aggregates[i].aggregate.type;
        field->not_null = spec->aggregates[i].aggregate.not_null;
    }
    plan->aggregate.groups = spec->groups;
    plan->aggregate.group_count = spec->group_count;
    plan->aggregate.aggregates = spec->aggregates;
    plan->aggregate.aggregate_count = spec->aggregate_count;
    plan->aggregate.emit_on_close = spec->emit_on_close;
    plan->aggregate.window_group = spec->window_group;
    plan->aggregate.window_offset_us = spec->window_offset_us;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_time_window(tarn_arena *arena, const tarn_plan *input,
                                 const sql_plan_window_spec *spec, const tarn_plan **ret_plan,
                                 tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_TIME_WINDOW, &input, 1, &plan, err));
    size_t count = input->schema.field_count;
    TARN_TRY(new_fields(arena, plan, count + 2, err));
    for (size_t i = 0; i < count; i++) plan->schema.fields[i] = input->schema.fields[i];
    // Rows without a time fall into no window, so here the column is never NULL.
    plan->schema.fields[spec->time_column].not_null = true;
    for (size_t i = 0; i < 2; i++) {
        tarn_field *field = &plan->schema.fields[count + i];
        field->name = i == 0 ? TARN_LIT("window_start") : TARN_LIT("window_end");
        field->type = input->schema.fields[spec->time_column].type;
        field->not_null = true;
    }
    plan->time_window.time_column = spec->time_column;
    plan->time_window.size_us = spec->size_us;
    plan->time_window.slide_us = spec->slide_us;
    plan->time_window.offset_us = spec->offset_us;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_sort(tarn_arena *arena, const tarn_plan *input, const tarn_sort_key *keys,
                          size_t key_count, const tarn_plan **ret_plan, tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_SORT, &input, 1, &plan, err));
    plan->schema = input->schema;
    plan->sort.keys = keys;
    plan->sort.key_count = key_count;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_limit(tarn_arena *arena, const tarn_plan *input, int64_t limit, int64_t offset,
                           const tarn_plan **ret_plan, tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_LIMIT, &input, 1, &plan, err));
    plan->schema = input->schema;
    plan->limit.limit = limit;
    plan->limit.offset = offset;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_top_n(tarn_arena *arena, const sql_plan_top_n_spec *spec,
                           const tarn_plan **ret_plan, tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_TOP_N, &spec->input, 1, &plan, err));
    size_t count = spec->input->schema.field_count;
    TARN_TRY(new_fields(arena, plan, count + (spec->numbered ? 1 : 0), err));
    for (size_t i = 0; i < count; i++) plan->schema.fields[i] = spec->input->schema.fields[i];
    if (spec->numbered) {
        plan->schema.fields[count].name = spec->number_name;
        plan->schema.fields[count].type = tarn_type_of(TARN_TYPE_BIGINT);
        plan->schema.fields[count].not_null = true;
    }
    plan->top_n.partitions = spec->partitions;
    plan->top_n.partition_count = spec->partition_count;
    plan->top_n.keys = spec->keys;
    plan->top_n.key_count = spec->key_count;
    plan->top_n.limit = spec->limit;
    plan->top_n.offset = spec->offset;
    plan->top_n.numbered = spec->numbered;
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_union_all(tarn_arena *arena, const tarn_plan *const *inputs,
                               size_t input_count, const tarn_plan **ret_plan, tarn_error *err) {
    tarn_plan *plan = NULL;
    TARN_TRY(new_plan(arena, TARN_PLAN_UNION_ALL, inputs, input_count, &plan, err));
    size_t count = inputs[0]->schema.field_count;
    TARN_TRY(new_fields(arena, plan, count, err));
    for (size_t i = 0; i < count; i++) {
        tarn_field *field = &plan->schema.fields[i];
        *field = inputs[0]->schema.fields[i];
        for (size_t k = 1; k < input_count; k++) {
            tarn_assert(tarn_type_equal(field->type, inputs[k]->schema.fields[i].type));
            field->not_null &= inputs[k]->schema.fields[i].not_null;
        }
    }
    *ret_plan = plan;
    return sql_derive(arena, plan, err);
}

tarn_status sql_plan_rename(tarn_arena *arena, const tarn_plan *plan, const tarn_slice *names,
                            const tarn_plan **ret_plan, tarn_error *err) {
    made_plan *made = tarn_arena_new(arena, made_plan, 1);
    if (made == NULL) return sql_no_memory(err);
    *made = *(const made_plan *)plan;
    size_t count = plan->schema.field_count;
    tarn_field *fields = tarn_arena_new(arena, tarn_field, count);
    if (fields == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        fields[i] = plan->schema.fields[i];
        fields[i].name = names[i];
    }
    made->plan.schema.fields = fields;
    *ret_plan = &made->plan;
    return TARN_OK;
}

static tarn_status names_of(tarn_arena *arena, const tarn_plan *plan, tarn_slice **ret_names,
                            tarn_error *err) {
    size_t count = plan->schema.field_count;
    tarn_slice *names = tarn_arena_new(arena, tarn_slice, count);
    if (names == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) names[i] = plan->schema.fields[i].name;
    *ret_names = names;
    return TARN_OK;
}

static tarn_status aggregate_over(tarn_arena *arena, const tarn_plan *plan, const tarn_plan *input,
                                  const tarn_slice *names, const tarn_plan **ret_plan,
                                  tarn_error *err) {
    sql_plan_aggregate_spec spec = {
        .input = input,
        .groups = plan->aggregate.groups,
        .group_names = names,
        .group_count = plan->aggregate.group_count,
        .aggregates = plan->aggregate.aggregates,
        .aggregate_names = names + plan->aggregate.group_count,
        .aggregate_count = plan->aggregate.aggregate_count,
        .emit_on_close = plan->aggregate.emit_on_close,
        .window_group = plan->aggregate.window_group,
        .window_offset_us = plan->aggregate.window_offset_us,
    };
    return sql_plan_aggregate(arena, &spec, ret_plan, err);
}

static tarn_status top_n_over(tarn_arena *arena, const tarn_plan *plan, const tarn_plan *input,
                              const tarn_plan **ret_plan, tarn_error *err) {
    sql_plan_top_n_spec spec = {
        .input = input,
        .partitions = plan->top_n.partitions,
        .partition_count = plan->top_n.partition_count,
        .keys = plan->top_n.keys,
        .key_count = plan->top_n.key_count,
        .limit = plan->top_n.limit,
        .offset = plan->top_n.offset,
        .numbered = plan->top_n.numbered,
    };
    if (spec.numbered) spec.number_name = plan->schema.fields[plan->schema.field_count - 1].name;
    return sql_plan_top_n(arena, &spec, ret_plan, err);
}

static tarn_status join_over(tarn_arena *arena, const tarn_plan *plan,
                             const tarn_plan *const *inputs, const tarn_plan **ret_plan,
                             tarn_error *err) {
    sql_plan_join_spec spec = {
        .kind = plan->join.kind,
        .left = inputs[0],
        .right = inputs[1],
        .left_keys = plan->join.left_keys,
        .right_keys = plan->join.right_keys,
        .key_count = plan->join.key_count,
        .residual = plan->join.residual,
    };
    return sql_plan_join(arena, &spec, ret_plan, err);
}

tarn_status sql_plan_with_inputs(tarn_arena *arena, const tarn_plan *plan,
                                 const tarn_plan *const *inputs, const tarn_plan **ret_plan,
                                 tarn_error *err) {
    bool is_same = true;
    for (size_t i = 0; i < plan->input_count; i++) is_same &= inputs[i] == plan->inputs[i];
    if (is_same) {
        *ret_plan = plan;
        return TARN_OK;
    }
    tarn_slice *names = NULL;
    TARN_TRY(names_of(arena, plan, &names, err));
    switch (plan->kind) {
    case TARN_PLAN_SCAN:
    case TARN_PLAN_VALUES: break; // have no inputs
    case TARN_PLAN_FILTER:
        return sql_plan_filter(arena, inputs[0], plan->filter.condition, ret_plan, err);
    case TARN_PLAN_PROJECT: {
        sql_outputs outputs = {plan->project.exprs, names, plan->schema.field_count};
        return sql_plan_project(arena, inputs[0], &outputs, ret_plan, err);
    }
    case TARN_PLAN_JOIN: return join_over(arena, plan, inputs, ret_plan, err);
    case TARN_PLAN_AGGREGATE: return aggregate_over(arena, plan, inputs[0], names, ret_plan, err);
    case TARN_PLAN_TIME_WINDOW: {
        sql_plan_window_spec spec = {plan->time_window.time_column, plan->time_window.size_us,
                                     plan->time_window.slide_us, plan->time_window.offset_us};
        return sql_plan_time_window(arena, inputs[0], &spec, ret_plan, err);
    }
    case TARN_PLAN_SORT:
        return sql_plan_sort(arena, inputs[0], plan->sort.keys, plan->sort.key_count, ret_plan,
                             err);
    case TARN_PLAN_LIMIT:
        return sql_plan_limit(arena, inputs[0], plan->limit.limit, plan->limit.offset, ret_plan,
                              err);
    case TARN_PLAN_TOP_N: return top_n_over(arena, plan, inputs[0], ret_plan, err);
    case TARN_PLAN_UNION_ALL:
        return sql_plan_union_all(arena, inputs, plan->input_count, ret_plan, err);
    }
    *ret_plan = plan;
    return TARN_OK;
}
