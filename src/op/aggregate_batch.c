// aggregate_batch.c - hash aggregation of an input that ends.
//
// Each part of the input is aggregated where it is produced, in its own task; when all have ended,
// one operator merges the parts' tables and emits the result. With a single part the same operator
// does both.
#include "op/op_internal.h"

typedef struct batch_aggregate batch_aggregate;
struct batch_aggregate {
    op_base base;
    op_aggregation aggregation;
    op_groups table;
    batch_aggregate **parts; // merging: the operators of the inputs, which outlive the run
    size_t part_count;       // 0: rows come as chunks
    size_t ended_count;
    bool emits;
    uint64_t *hashes; // scratch of one chunk
    uint8_t **groups;
    uint8_t **added;
};

static void aggregate_free(void *self) {
    batch_aggregate *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    op_aggregation_destroy_table(&op->aggregation, &op->table);
    op_aggregation_free(&op->aggregation);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status add_rows(batch_aggregate *op, const tarn_chunk *chunk, tarn_error *err) {
    if (tarn_chunk_count(chunk) == 0) return TARN_OK;
    op_aggregation *aggregation = &op->aggregation;
    tarn_arena *arena = &op->base.batch_arena;
    op_aggregation_input input;
    TARN_TRY(op_aggregation_eval(aggregation, chunk, arena, &input, err));
    op_hash_rows(input.vectors, aggregation->group_count, chunk, op->hashes);
    op_probe probe = {.keys = input.vectors,
                      .chunk = chunk,
                      .hashes = op->hashes,
                      .add = true,
                      .added = op->added};
    tarn_status status = op_groups_probe(&op->table, &probe, op->groups, err);
    // Also after a failure: every group in the table has states that can be destroyed.
    op_aggregation_init_states(aggregation, op->added, probe.added_count);
    if (status != TARN_OK) return status;
    return op_aggregation_update(aggregation, &input, chunk, op->groups, arena, err);
}

static tarn_status aggregate_chunk(void *self, size_t input, const tarn_chunk *chunk,
                                   tarn_output *output, tarn_error *err) {
    (void)input;
    (void)output;
    batch_aggregate *op = self;
    tarn_arena_clear(&op->base.batch_arena);
    return op_blame(&op->base, add_rows(op, chunk, err), err);
}

// ---- merging ----

static tarn_status merge_groups(batch_aggregate *op, uint8_t **sources, size_t count,
                                tarn_error *err) {
    op_aggregation *aggregation = &op->aggregation;
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    tarn_vector *keys = tarn_arena_new(arena, tarn_vector, aggregation->group_count + 1);
    if (keys == NULL) return op_no_memory(&op->base, err);
    for (size_t g = 0; g < aggregation->group_count; g++) {
        TARN_TRY(op_layout_gather(&aggregation->keys, g, sources, count, arena, &keys[g], err));
    }
    for (size_t i = 0; i < count; i++) memcpy(&op->hashes[i], sources[i], sizeof *op->hashes);
    tarn_chunk chunk = {
        .row_count = count, .column_count = aggregation->group_count, .columns = keys};
    op_probe probe = {
        .keys = keys, .chunk = &chunk, .hashes = op->hashes, .add = true, .added = op->added};
    tarn_status status = op_groups_probe(&op->table, &probe, op->groups, err);
    op_aggregation_init_states(aggregation, op->added, probe.added_count);
    if (status != TARN_OK) return status;
    for (size_t i = 0; i < count; i++) {
        for (size_t a = 0; a < aggregation->aggregate_count; a++) {
            size_t offset = aggregation->state_offsets[a];
            TARN_TRY(tarn_aggregate_merge(&aggregation->aggregates[a], aggregation->alloc,
                                          op->groups[i] + offset, sources[i] + offset, err));
        }
    }
    return TARN_OK;
}

static tarn_status merge_part(batch_aggregate *op, batch_aggregate *part, tarn_error *err) {
    // The first of size is taken as it is. `keys` of a table is its owner's layout, so ours must
    // replace it; the two are equal.
    if (op->table.count == 0) {
        op_aggregation_destroy_table(&op->aggregation, &op->table);
        op->table = part->table;
        op->table.keys = &op->aggregation.keys;
        part->table = (op_groups){0};
        return TARN_OK;
    }
    uint8_t *sources[TARN_CHUNK_ROWS];
    size_t count = 0;
    op_groups_iterator iterator = op_groups_begin(&part->table);
    for (uint8_t *group; (group = op_groups_next(&part->table, &iterator)) != NULL;) {
        sources[count++] = group;
        if (count < TARN_CHUNK_ROWS) continue;
        TARN_TRY(merge_groups(op, sources, count, err));
        count = 0;
    }
    if (count > 0) TARN_TRY(merge_groups(op, sources, count, err));
    op_aggregation_destroy_table(&part->aggregation, &part->table);
    return TARN_OK;
}

// ---- the result ----

static tarn_status emit_groups(batch_aggregate *op, uint8_t **groups, size_t count,
                               tarn_output *output, tarn_error *err) {
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    size_t column_count = op->aggregation.group_count + op->aggregation.aggregate_count;
    tarn_chunk chunk = {.row_count = count, .column_count = column_count};
    chunk.columns = tarn_arena_new(arena, tarn_vector, column_count + 1);
    if (chunk.columns == NULL) return op_no_memory(&op->base, err);
    TARN_TRY(op_aggregation_gather(&op->aggregation, groups, count, arena, chunk.columns, err));
    return tarn_output_emit(output, &chunk, err);
}

static tarn_status emit_table(batch_aggregate *op, tarn_output *output, tarn_error *err) {
    uint8_t *groups[TARN_CHUNK_ROWS];
    size_t count = 0;
    op_groups_iterator iterator = op_groups_begin(&op->table);
    for (uint8_t *group; (group = op_groups_next(&op->table, &iterator)) != NULL;) {
        groups[count++] = group;
        if (count < TARN_CHUNK_ROWS) continue;
        TARN_TRY(emit_groups(op, groups, count, output, err));
        if (tarn_output_is_closed(output)) return TARN_OK;
        count = 0;
    }
    return count == 0 ? TARN_OK : emit_groups(op, groups, count, output, err);
}

// Without GROUP BY there is one row, also over no input.
static tarn_status make_only_group(batch_aggregate *op, tarn_error *err) {
    if (op->aggregation.group_count > 0 || op->table.count > 0) return TARN_OK;
    tarn_chunk one_row = {.row_count = 1};
    uint64_t hash;
    op_hash_rows(NULL, 0, &one_row, &hash);
    uint8_t *group = NULL;
    op_probe probe = {.chunk = &one_row, .hashes = &hash, .add = true};
    TARN_TRY(op_groups_probe(&op->table, &probe, &group, err));
    op_aggregation_init_states(&op->aggregation, &group, 1);
    return TARN_OK;
}

static tarn_status aggregate_end(void *self, size_t input, tarn_output *output, tarn_error *err) {
    batch_aggregate *op = self;
    if (!op->emits) return TARN_OK;
    tarn_status status = TARN_OK;
    if (op->part_count > 0) status = merge_part(op, op->parts[input], err);
    op->ended_count++;
    if (status == TARN_OK && op->ended_count < op->part_count) return TARN_OK;
    if (status == TARN_OK) status = make_only_group(op, err);
    if (status == TARN_OK) status = emit_table(op, output, err);
    return op_blame(&op->base, status, err);
}

static const tarn_operator_ops aggregate_ops = {
    .chunk = aggregate_chunk, .end = aggregate_end, .free = aggregate_free};

// ---- building ----

static tarn_status new_aggregate(op_builder *builder, const tarn_plan *plan, const char *kind,
                                 batch_aggregate **ret_op, tarn_error *err) {
    batch_aggregate *op = tarn_alloc_new(builder->context->alloc, batch_aggregate, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->base.alloc = builder->context->alloc;
    tarn_status status = op_builder_base(builder, kind, &op->base, err);
    if (status != TARN_OK) goto fail;
    tarn_arena *arena = &op->base.arena;
    status = op_aggregation_init(&op->aggregation, plan, &op->base, builder->context->eval, false,
                                 0, err);
    if (status != TARN_OK) goto fail;
    op->hashes = tarn_arena_new_raw(arena, uint64_t, TARN_CHUNK_ROWS);
    op->groups = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    op->added = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    if (op->hashes == NULL || op->groups == NULL || op->added == NULL) {
        status = op_no_memory(&op->base, err);
        goto fail;
    }
    op_groups_init(&op->table, op->base.alloc, &op->aggregation.keys, op->aggregation.group_bytes,
                   false);
    *ret_op = op;
    return TARN_OK;
fail:
    aggregate_free(op);
    return status;
}

static tarn_status build_merge(op_builder *builder, const tarn_plan *plan,
                               batch_aggregate *const *parts, const op_parts *nodes,
                               tarn_node *ret_node, tarn_error *err) {
    batch_aggregate *op = NULL;
    TARN_TRY(new_aggregate(builder, plan, "merge", &op, err));
    op->emits = true;
    op->part_count = nodes->count;
    op->parts = tarn_arena_new(&op->base.arena, batch_aggregate *, nodes->count);
    if (op->parts == NULL) {
        tarn_status status = op_no_memory(&op->base, err);
        aggregate_free(op);
        return status;
    }
    memcpy(op->parts, parts, nodes->count * sizeof *parts);
    return op_builder_add(builder, &op->base, &aggregate_ops, nodes, 0, ret_node, err);
}

tarn_status op_build_batch_aggregate(op_builder *builder, const tarn_plan *plan,
                                     tarn_node *ret_node, tarn_error *err) {
    op_parts inputs;
    TARN_TRY(
        op_build_parts(builder, plan->inputs[0], op_builder_part_limit(builder), &inputs, err));
    batch_aggregate *parts[OP_PART_LIMIT];
    op_parts nodes = {.count = inputs.count};
    for (size_t i = 0; i < inputs.count; i++) {
        TARN_TRY(new_aggregate(builder, plan, "aggregate", &parts[i], err));
        parts[i]->emits = inputs.count == 1;
        op_parts input = op_one_part(inputs.nodes[i]);
        TARN_TRY(op_builder_add(builder, &parts[i]->base, &aggregate_ops, &input, 0,
                                &nodes.nodes[i], err));
    }
    if (inputs.count == 1) {
        *ret_node = nodes.nodes[0];
        return TARN_OK;
    }
    return build_merge(builder, plan, parts, &nodes, ret_node, err);
}

tarn_status op_build_aggregate(op_builder *builder, const tarn_plan *plan, tarn_node *ret_node,
                               tarn_error *err) {
    if (builder->context->mode == TARN_OP_BATCH) {
        return op_build_batch_aggregate(builder, plan, ret_node, err);
    }
    if (plan->aggregate.emit_on_close) {
        return op_build_window_aggregate(builder, plan, ret_node, err);
    }
    return op_build_stream_aggregate(builder, plan, ret_node, err);
}
