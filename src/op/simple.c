// simple.c - operators of a few lines: stateless steps, union, columns, limit.
#include "op/op_internal.h"

tarn_status op_builder_base(op_builder *builder, const char *kind, op_base *base, tarn_error *err) {
    return op_base_init(base, builder->context->alloc, builder->context->name_prefix, kind,
                        builder->next_number++, err);
}

tarn_status op_builder_add(op_builder *builder, op_base *base, const tarn_operator_ops *ops,
                           const op_parts *inputs, unsigned flags, tarn_node *ret_node,
                           tarn_error *err) {
    return tarn_flow_add_operator(builder->flow, base->name, ops, base, inputs->nodes,
                                  inputs->count, flags, ret_node, err);
}

// ---- filter, project, time window ----

typedef struct transform_op {
    op_base base;
    op_transform *transform;
} transform_op;

static void transform_free(void *self) {
    transform_op *op = self;
    if (op == NULL) return;
    const tarn_alloc *alloc = op->base.alloc;
    op_transform_free(op->transform);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status transform_chunk(void *self, size_t input, const tarn_chunk *chunk,
                                   tarn_output *output, tarn_error *err) {
    (void)input;
    transform_op *op = self;
    tarn_arena_clear(&op->base.batch_arena);
    tarn_status status = op_transform_apply(op->transform, chunk, &op->base.batch_arena,
                                            op_push_output(output), err);
    return op_blame(&op->base, status, err);
}

static const tarn_operator_ops transform_ops = {.chunk = transform_chunk, .free = transform_free};

static tarn_status build_transform(op_builder *builder, const tarn_plan *plan, tarn_node input,
                                   tarn_node *ret_node, tarn_error *err) {
    const char *kind = plan->kind == TARN_PLAN_FILTER    ? "filter"
                       : plan->kind == TARN_PLAN_PROJECT ? "project"
                                                         : "window";
    transform_op *op = tarn_alloc_new(builder->context->alloc, transform_op, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    tarn_status status = op_builder_base(builder, kind, &op->base, err);
    if (status == TARN_OK) {
        status =
            op_transform_new(plan, op->base.alloc, builder->context->eval, &op->transform, err);
    }
    if (status != TARN_OK) {
        transform_free(op);
        return status;
    }
    op_parts inputs = op_one_part(input);
    return op_builder_add(builder, &op->base, &transform_ops, &inputs, 0, ret_node, err);
}

// ---- union: what several nodes produce, as one ----

static tarn_status pass_chunk(void *self, size_t input, const tarn_chunk *chunk,
                              tarn_output *output, tarn_error *err) {
    (void)self;
    (void)input;
    return tarn_output_emit(output, chunk, err);
}

static void union_free(void *self) {
    op_base *base = self;
    const tarn_alloc *alloc = base->alloc;
    op_base_free(base);
    tarn_alloc_free(alloc, base, 1);
}

static const tarn_operator_ops union_ops = {.chunk = pass_chunk, .free = union_free};

tarn_status op_build_union(op_builder *builder, const op_parts *parts, tarn_node *ret_node,
                           tarn_error *err) {
    if (parts->count == 1) {
        *ret_node = parts->nodes[0];
        return TARN_OK;
    }
    op_base *base = tarn_alloc_new(builder->context->alloc, op_base, 1);
    if (base == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    tarn_status status = op_builder_base(builder, "union", base, err);
    if (status != TARN_OK) {
        base->alloc = builder->context->alloc;
        union_free(base);
        return status;
    }
    return op_builder_add(builder, base, &union_ops, parts, 0, ret_node, err);
}

// ---- columns ----

typedef struct columns_op {
    op_base base;
    size_t *columns;
    size_t column_count;
} columns_op;

static void columns_free(void *self) {
    columns_op *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status columns_chunk(void *self, size_t input, const tarn_chunk *chunk,
                                 tarn_output *output, tarn_error *err) {
    (void)input;
    columns_op *op = self;
    tarn_arena_clear(&op->base.batch_arena);
    tarn_chunk result = *chunk;
    result.column_count = op->column_count;
    result.columns = tarn_arena_new(&op->base.batch_arena, tarn_vector, op->column_count + 1);
    if (result.columns == NULL) return op_no_memory(&op->base, err);
    for (size_t c = 0; c < op->column_count; c++) {
        tarn_assert(op->columns[c] < chunk->column_count);
        result.columns[c] = chunk->columns[op->columns[c]];
    }
    return tarn_output_emit(output, &result, err);
}

static const tarn_operator_ops columns_ops = {.chunk = columns_chunk, .free = columns_free};

tarn_status tarn_op_add_columns(tarn_flow *flow, tarn_slice name, tarn_node input,
                                const size_t *columns, size_t column_count, tarn_node *ret_node,
                                tarn_error *err) {
    columns_op *op = tarn_alloc_new(&tarn_alloc_libc, columns_op, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    tarn_status status = op_base_init(&op->base, &tarn_alloc_libc, name, NULL, 0, err);
    if (status == TARN_OK) {
        op->columns = tarn_arena_new(&op->base.arena, size_t, column_count + 1);
        if (op->columns == NULL) status = op_no_memory(&op->base, err);
    }
    if (status != TARN_OK) {
        columns_free(op);
        return status;
    }
    op->column_count = column_count;
    if (column_count > 0) memcpy(op->columns, columns, column_count * sizeof *columns);
    return tarn_flow_add_operator(flow, op->base.name, &columns_ops, op, &input, 1, 0, ret_node,
                                  err);
}

// ---- limit ----

typedef struct limit_op {
    op_base base;
    uint64_t to_skip;
    uint64_t left; // UINT64_MAX: all
} limit_op;

static void limit_free(void *self) {
    limit_op *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status limit_chunk(void *self, size_t input, const tarn_chunk *chunk,
                               tarn_output *output, tarn_error *err) {
    (void)input;
    limit_op *op = self;
    size_t count = tarn_chunk_count(chunk);
    size_t skip = op->to_skip < count ? (size_t)op->to_skip : count;
    op->to_skip -= skip;
    size_t take = count - skip;
    if (op->left != UINT64_MAX) {
        if (take > op->left) take = (size_t)op->left;
        op->left -= take;
    }
    if (take == count) {
        TARN_TRY(tarn_output_emit(output, chunk, err));
    } else if (take > 0) {
        tarn_arena_clear(&op->base.batch_arena);
        uint32_t *selection = tarn_arena_new_raw(&op->base.batch_arena, uint32_t, take);
        if (selection == NULL) return op_no_memory(&op->base, err);
        for (size_t i = 0; i < take; i++) {
            selection[i] = (uint32_t)tarn_chunk_row(chunk, skip + i);
        }
        tarn_chunk result = *chunk;
        result.selection = selection;
        result.selected_count = take;
        TARN_TRY(tarn_output_emit(output, &result, err));
    }
    if (op->left == 0) tarn_output_close_input(output);
    return TARN_OK;
}

static const tarn_operator_ops limit_ops = {.chunk = limit_chunk, .free = limit_free};

tarn_status op_build_limit(op_builder *builder, const tarn_plan *plan, tarn_node *ret_node,
                           tarn_error *err) {
    if (builder->context->mode == TARN_OP_STREAM) {
        return op_build_top_n(builder, plan, ret_node, err);
    }
    tarn_node input = 0;
    TARN_TRY(op_build_whole(builder, plan->inputs[0], &input, err));
    limit_op *op = tarn_alloc_new(builder->context->alloc, limit_op, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->base.alloc = builder->context->alloc;
    op->to_skip = plan->limit.offset > 0 ? (uint64_t)plan->limit.offset : 0;
    op->left = plan->limit.limit < 0 ? UINT64_MAX : (uint64_t)plan->limit.limit;
    tarn_status status = op_builder_base(builder, "limit", &op->base, err);
    if (status != TARN_OK) {
        limit_free(op);
        return status;
    }
    op_parts inputs = op_one_part(input);
    return op_builder_add(builder, &op->base, &limit_ops, &inputs, 0, ret_node, err);
}

// ---- assembly ----

static tarn_status build_scan(op_builder *builder, const tarn_plan *plan, size_t part_limit,
                              op_parts *ret_parts, tarn_error *err) {
    const tarn_op_context *context = builder->context;
    TARN_TRY(context->add_leaf(context->leaf_context, plan, builder->flow, part_limit,
                               ret_parts->nodes, &ret_parts->count, err));
    tarn_assert(ret_parts->count > 0 && ret_parts->count <= part_limit);
    return TARN_OK;
}

static tarn_status build_transforms(op_builder *builder, const tarn_plan *plan, size_t part_limit,
                                    op_parts *ret_parts, tarn_error *err) {
    op_parts inputs;
    TARN_TRY(op_build_parts(builder, plan->inputs[0], part_limit, &inputs, err));
    for (size_t i = 0; i < inputs.count; i++) {
        TARN_TRY(build_transform(builder, plan, inputs.nodes[i], &ret_parts->nodes[i], err));
    }
    ret_parts->count = inputs.count;
    return TARN_OK;
}

static tarn_status build_union_all(op_builder *builder, const tarn_plan *plan, tarn_node *ret_node,
                                   tarn_error *err) {
    // A few inputs at a time, as one operator takes OP_PART_LIMIT of them.
    op_parts parts = {0};
    for (size_t i = 0; i < plan->input_count; i++) {
        if (parts.count == OP_PART_LIMIT) {
            tarn_node merged;
            TARN_TRY(op_build_union(builder, &parts, &merged, err));
            parts = (op_parts){.nodes = {merged}, .count = 1};
        }
        TARN_TRY(op_build_one(builder, plan->inputs[i], &parts.nodes[parts.count], err));
        parts.count++;
    }
    return op_build_union(builder, &parts, ret_node, err);
}

tarn_status op_build_parts(op_builder *builder, const tarn_plan *plan, size_t part_limit,
                           op_parts *ret_parts, tarn_error *err) {
    op_parts parts = {.count = 1};
    tarn_status status = TARN_OK;
    switch (plan->kind) {
    case TARN_PLAN_SCAN: status = build_scan(builder, plan, part_limit, &parts, err); break;
    case TARN_PLAN_FILTER:
    case TARN_PLAN_PROJECT:
    case TARN_PLAN_TIME_WINDOW:
        status = build_transforms(builder, plan, part_limit, &parts, err);
        break;
    case TARN_PLAN_VALUES: status = op_build_values(builder, plan, &parts.nodes[0], err); break;
    case TARN_PLAN_JOIN: status = op_build_join(builder, plan, part_limit, &parts, err); break;
    case TARN_PLAN_AGGREGATE:
        status = op_build_aggregate(builder, plan, part_limit, &parts, err);
        break;
    case TARN_PLAN_SORT: status = op_build_sort(builder, plan, &parts.nodes[0], err); break;
    case TARN_PLAN_LIMIT: status = op_build_limit(builder, plan, &parts.nodes[0], err); break;
    case TARN_PLAN_TOP_N: status = op_build_top_n(builder, plan, &parts.nodes[0], err); break;
    case TARN_PLAN_UNION_ALL: status = build_union_all(builder, plan, &parts.nodes[0], err); break;
    }
    if (status != TARN_OK) return status;
    const tarn_op_context *context = builder->context;
    if (context->note_node != NULL) {
        for (size_t i = 0; i < parts.count; i++) {
            context->note_node(context->leaf_context, plan, parts.nodes[i]);
        }
    }
    *ret_parts = parts;
    return TARN_OK;
}

tarn_status op_build_one(op_builder *builder, const tarn_plan *plan, tarn_node *ret_node,
                         tarn_error *err) {
    op_parts parts;
    TARN_TRY(op_build_parts(builder, plan, 1, &parts, err));
    *ret_node = parts.nodes[0];
    return TARN_OK;
}

size_t op_builder_part_limit(const op_builder *builder) {
    const tarn_op_context *context = builder->context;
    if (context->mode == TARN_OP_STREAM || context->thread_count == 0) return 1;
    return context->thread_count < OP_PART_LIMIT ? context->thread_count : OP_PART_LIMIT;
}

tarn_status op_build_whole(op_builder *builder, const tarn_plan *plan, tarn_node *ret_node,
                           tarn_error *err) {
    op_parts parts = {0};
    TARN_TRY(op_build_parts(builder, plan, op_builder_part_limit(builder), &parts, err));
    return op_build_union(builder, &parts, ret_node, err);
}

tarn_status tarn_op_build(const tarn_plan *plan, const tarn_op_context *context, tarn_flow *flow,
                          tarn_node *ret_node, tarn_error *err) {
    op_builder builder = {.context = context, .flow = flow};
    return op_build_whole(&builder, plan, ret_node, err);
}
