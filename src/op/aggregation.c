// aggregation.c - what the batch, stream and window aggregates share: keys, arguments, states.
#include "op/op_internal.h"

// ---- setting up ----

static tarn_status add_filter(op_aggregation *aggregation, size_t index,
                              const tarn_plan_aggregate *aggregate, tarn_eval_context eval,
                              tarn_error *err) {
    TARN_TRY(tarn_program_new(aggregation->alloc, &aggregate->filter, 1,
                              &aggregation->filters[index], err));
    tarn_program_set_context(aggregation->filters[index], eval);
    if (aggregate->arg == NULL) return TARN_OK;
    TARN_TRY(tarn_program_new(aggregation->alloc, &aggregate->arg, 1, &aggregation->filtered[index],
                              err));
    tarn_program_set_context(aggregation->filtered[index], eval);
    return TARN_OK;
}

static tarn_status init_programs(op_aggregation *aggregation, const tarn_plan *plan,
                                 tarn_eval_context eval, tarn_arena *arena, tarn_error *err) {
    size_t expr_count = aggregation->group_count;
    const tarn_expr **exprs = tarn_arena_new(
        arena, const tarn_expr *, aggregation->group_count + aggregation->aggregate_count + 1);
    if (exprs == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    for (size_t g = 0; g < aggregation->group_count; g++) exprs[g] = plan->aggregate.groups[g];
    for (size_t a = 0; a < aggregation->aggregate_count; a++) {
        const tarn_plan_aggregate *aggregate = &plan->aggregate.aggregates[a];
        aggregation->arg_indices[a] = SIZE_MAX;
        if (aggregate->filter != NULL) {
            TARN_TRY(add_filter(aggregation, a, aggregate, eval, err));
        } else if (aggregate->arg != NULL) {
            aggregation->arg_indices[a] = expr_count;
            exprs[expr_count++] = aggregate->arg;
        }
    }
    TARN_TRY(tarn_program_new(aggregation->alloc, exprs, expr_count, &aggregation->program, err));
    tarn_program_set_context(aggregation->program, eval);
    return TARN_OK;
}

tarn_status op_aggregation_init(op_aggregation *aggregation, const tarn_plan *plan, op_base *base,
                                tarn_eval_context eval, bool retractable, size_t aux_bytes,
                                tarn_error *err) {
    tarn_arena *arena = &base->arena;
    *aggregation = (op_aggregation){.plan = plan,
                                    .group_count = plan->aggregate.group_count,
                                    .aggregate_count = plan->aggregate.aggregate_count,
                                    .alloc = base->alloc};
    size_t aggregate_count = aggregation->aggregate_count;
    aggregation->aggregates = tarn_arena_new(arena, tarn_aggregate, aggregate_count + 1);
    aggregation->state_offsets = tarn_arena_new(arena, size_t, aggregate_count + 1);
    aggregation->arg_indices = tarn_arena_new(arena, size_t, aggregate_count + 1);
    aggregation->filters = tarn_arena_new(arena, tarn_program *, aggregate_count + 1);
    aggregation->filtered = tarn_arena_new(arena, tarn_program *, aggregate_count + 1);
    tarn_type *types = tarn_arena_new(arena, tarn_type, aggregation->group_count + 1);
    if (aggregation->aggregates == NULL || aggregation->state_offsets == NULL ||
        aggregation->arg_indices == NULL || aggregation->filters == NULL ||
        aggregation->filtered == NULL || types == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    }
    for (size_t g = 0; g < aggregation->group_count; g++) {
        types[g] = plan->aggregate.groups[g]->type;
    }
    TARN_TRY(op_layout_init(&aggregation->keys, types, aggregation->group_count,
                            OP_GROUP_NULL_OFFSET, arena, err));
    size_t offset = aggregation->keys.end_offset + ((aux_bytes + 7) & ~(size_t)7);
    for (size_t a = 0; a < aggregate_count; a++) {
        tarn_aggregate aggregate = plan->aggregate.aggregates[a].aggregate;
        if (retractable) aggregate = tarn_aggregate_as_retractable(aggregate);
        aggregation->aggregates[a] = aggregate;
        aggregation->state_offsets[a] = offset;
        aggregation->states_own |= tarn_aggregate_owns_memory(&aggregation->aggregates[a]);
        offset += aggregate.state_bytes;
    }
    aggregation->group_bytes = offset;
    return init_programs(aggregation, plan, eval, arena, err);
}

void op_aggregation_free(op_aggregation *aggregation) {
    tarn_program_free(aggregation->program);
    for (size_t a = 0; a < aggregation->aggregate_count; a++) {
        if (aggregation->filters != NULL) tarn_program_free(aggregation->filters[a]);
        if (aggregation->filtered != NULL) tarn_program_free(aggregation->filtered[a]);
    }
    *aggregation = (op_aggregation){0};
}

// ---- rows into groups ----

tarn_status op_aggregation_eval(op_aggregation *aggregation, const tarn_chunk *chunk,
                                tarn_arena *arena, op_aggregation_input *ret_input,
                                tarn_error *err) {
    size_t vector_count = aggregation->group_count + aggregation->aggregate_count;
    tarn_vector *vectors = tarn_arena_new(arena, tarn_vector, vector_count + 1);
    if (vectors == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    TARN_TRY(tarn_program_eval(aggregation->program, chunk, arena, vectors, err));
    *ret_input = (op_aggregation_input){.chunk = chunk, .vectors = vectors};
    return TARN_OK;
}

// An aggregate with FILTER: only the rows that pass, and its argument only for them.
static tarn_status update_filtered(op_aggregation *aggregation, size_t index,
                                   const tarn_chunk *chunk, uint8_t *const *groups,
                                   tarn_arena *arena, tarn_error *err) {
    tarn_chunk passing;
    TARN_TRY(tarn_program_filter(aggregation->filters[index], chunk, arena, &passing, err));
    size_t count = tarn_chunk_count(&passing);
    if (count == 0) return TARN_OK;
    uint8_t **passing_groups = tarn_arena_new_raw(arena, uint8_t *, count);
    if (passing_groups == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    for (size_t i = 0, k = 0; i < count; i++, k++) { // both selections ascend
        while (tarn_chunk_row(chunk, k) != tarn_chunk_row(&passing, i)) k++;
        passing_groups[i] = groups[k];
    }
    tarn_vector arg;
    bool has_arg = aggregation->filtered[index] != NULL;
    if (has_arg) {
        TARN_TRY(tarn_program_eval(aggregation->filtered[index], &passing, arena, &arg, err));
    }
    return tarn_aggregate_update(&aggregation->aggregates[index], aggregation->alloc,
                                 has_arg ? &arg : NULL, &passing, passing_groups,
                                 aggregation->state_offsets[index], err);
}

tarn_status op_aggregation_update(op_aggregation *aggregation, const op_aggregation_input *input,
                                  const tarn_chunk *chunk, uint8_t *const *groups,
                                  tarn_arena *arena, tarn_error *err) {
    if (tarn_chunk_count(chunk) == 0) return TARN_OK;
    for (size_t a = 0; a < aggregation->aggregate_count; a++) {
        if (aggregation->filters[a] != NULL) {
            TARN_TRY(update_filtered(aggregation, a, chunk, groups, arena, err));
            continue;
        }
        size_t arg_index = aggregation->arg_indices[a];
        const tarn_vector *arg = arg_index == SIZE_MAX ? NULL : &input->vectors[arg_index];
        const tarn_aggregate *aggregate = &aggregation->aggregates[a];
        size_t offset = aggregation->state_offsets[a];
        if (aggregation->group_count == 0) {
            TARN_TRY(tarn_aggregate_update_one(aggregate, aggregation->alloc, arg, chunk,
                                               groups[0] + offset, err));
        } else {
            TARN_TRY(tarn_aggregate_update(aggregate, aggregation->alloc, arg, chunk, groups,
                                           offset, err));
        }
    }
    return TARN_OK;
}

tarn_status op_aggregation_gather(const op_aggregation *aggregation, uint8_t *const *groups,
                                  size_t count, tarn_arena *arena, tarn_vector *ret_columns,
                                  tarn_error *err) {
    for (size_t g = 0; g < aggregation->group_count; g++) {
        TARN_TRY(
            op_layout_gather(&aggregation->keys, g, groups, count, arena, &ret_columns[g], err));
    }
    for (size_t a = 0; a < aggregation->aggregate_count; a++) {
        TARN_TRY(tarn_aggregate_finalize(&aggregation->aggregates[a], groups,
                                         aggregation->state_offsets[a], count, arena,
                                         &ret_columns[aggregation->group_count + a], err));
    }
    return TARN_OK;
}

// ---- the end of states ----

void op_aggregation_destroy_states(const op_aggregation *aggregation, uint8_t *group) {
    if (!aggregation->states_own) return;
    for (size_t a = 0; a < aggregation->aggregate_count; a++) {
        tarn_aggregate_destroy(&aggregation->aggregates[a], aggregation->alloc,
                               group + aggregation->state_offsets[a]);
    }
}

void op_aggregation_destroy_table(const op_aggregation *aggregation, op_groups *table) {
    if (table->alloc == NULL) return;
    if (aggregation->states_own) {
        op_groups_iterator iterator = op_groups_begin(table);
        for (uint8_t *group; (group = op_groups_next(table, &iterator)) != NULL;) {
            op_aggregation_destroy_states(aggregation, group);
        }
    }
    op_groups_free(table);
}

// ---- states at rest ----

tarn_status op_aggregation_encode(const op_aggregation *aggregation, const uint8_t *group,
                                  tarn_buffer *out, tarn_error *err) {
    for (size_t a = 0; a < aggregation->aggregate_count; a++) {
        TARN_TRY(tarn_aggregate_encode(&aggregation->aggregates[a],
                                       group + aggregation->state_offsets[a], out, err));
    }
    return TARN_OK;
}

tarn_status op_aggregation_decode(const op_aggregation *aggregation, tarn_slice *bytes,
                                  uint8_t *group, tarn_error *err) {
    for (size_t a = 0; a < aggregation->aggregate_count; a++) {
        TARN_TRY(tarn_aggregate_decode(&aggregation->aggregates[a], aggregation->alloc, bytes,
                                       group + aggregation->state_offsets[a], err));
    }
    return TARN_OK;
}
