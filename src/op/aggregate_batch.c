// aggregate_batch.c - hash aggregation of an input that ends.
//
//   part 0: rows -> table -> its groups in order of hash partition ---+--> merge of partitions 0, 1
//   part 1: rows -> table -> its groups in order of hash partition ---+--> merge of partitions 2, 3
//
// Each part of the input is aggregated where it is produced, in its own task. When all parts have
// ended, as many operators as there are parts share the merge: each takes some of the partitions
// and sees all parts' groups of these, and nobody else touches them. Groups stay where they were
// made: the first of several equal ones takes up the states of the others and is emitted. A single
// part emits its table itself. A part whose table would outgrow the cache makes groups anew (see
// limit_slots), so equal groups may come from one part, too.
#include "base/sketch.h"
#include "op/op_internal.h"

#define PARTITION_BITS  TARN_TUNABLE(8, 2)
#define PARTITIONS      ((size_t)1 << PARTITION_BITS)
#define MERGE_LOOKAHEAD 8 // groups that are fetched ahead
// Half a megabyte of slots: they stay in the second-level cache.
#define SLOT_LIMIT TARN_TUNABLE((size_t)1 << 16, (size_t)16)
// Groups may be made anew while that makes at most this many times as many as there are keys.
#define REPEAT_LIMIT TARN_TUNABLE(1.1, 2.0)

typedef struct part_aggregate {
    op_base base;
    op_aggregation aggregation;
    op_groups table;
    bool may_repeat;    // keys may get several groups: the merge finds them
    tarn_sketch sketch; // of the groups' keys
    bool emits;         // there is no other part
    bool is_first;      // where there is no GROUP BY, it makes the group of an empty input
    size_t partition_counts[PARTITIONS];
    // After the end: all groups, by partition; those of partition p begin at partition_starts[p].
    uint8_t **divided;
    size_t divided_count;
    size_t partition_starts[PARTITIONS + 1];
    uint64_t *hashes; // scratch of one chunk
    uint8_t **groups;
    uint8_t **added;
} part_aggregate;

static size_t partition_of(const uint8_t *group) {
    return (size_t)(op_group_hash(group) >> (64 - PARTITION_BITS));
}

// ---- a part ----

static void part_free(void *self) {
    part_aggregate *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    tarn_alloc_free(alloc, op->divided, op->divided_count);
    op_aggregation_destroy_table(&op->aggregation, &op->table);
    op_aggregation_free(&op->aggregation);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

// Rows come mostly in some order of time, so a key that was not seen for long seldom returns. A
// table that would outgrow the cache therefore begins anew, with the old groups out of sight, until
// too many keys turn out to have been there before; then it grows like any other.
static void limit_slots(part_aggregate *op, size_t row_count) {
    if (!op->may_repeat || op->table.slot_count < SLOT_LIMIT) return;
    if (op_groups_room(&op->table) >= row_count) return;
    double key_count = tarn_sketch_count(&op->sketch);
    op->may_repeat = (double)op->table.count <= key_count * REPEAT_LIMIT;
    if (op->may_repeat) op_groups_hide(&op->table);
}

static tarn_status find_groups(part_aggregate *op, const tarn_vector *keys, const tarn_chunk *chunk,
                               tarn_error *err) {
    limit_slots(op, tarn_chunk_count(chunk));
    op_hash_rows(keys, op->aggregation.group_count, chunk, op->hashes);
    op_probe probe = {
        .keys = keys, .chunk = chunk, .hashes = op->hashes, .add = true, .added = op->added};
    TARN_TRY(op_groups_probe(&op->table, &probe, op->groups, err));
    for (size_t i = 0; i < probe.added_count; i++) {
        op->partition_counts[partition_of(op->added[i])]++;
        tarn_sketch_add(&op->sketch, op_group_hash(op->added[i]));
    }
    return TARN_OK;
}

static tarn_status add_rows(part_aggregate *op, const tarn_chunk *chunk, tarn_error *err) {
    if (tarn_chunk_count(chunk) == 0) return TARN_OK;
    tarn_arena *arena = &op->base.batch_arena;
    op_aggregation_input input;
    TARN_TRY(op_aggregation_eval(&op->aggregation, chunk, arena, &input, err));
    TARN_TRY(find_groups(op, input.vectors, chunk, err));
    return op_aggregation_update(&op->aggregation, &input, chunk, op->groups, arena, err);
}

static tarn_status part_chunk(void *self, size_t input, const tarn_chunk *chunk,
                              tarn_output *output, tarn_error *err) {
    (void)input;
    (void)output;
    part_aggregate *op = self;
    tarn_arena_clear(&op->base.batch_arena);
    return op_blame(&op->base, add_rows(op, chunk, err), err);
}

static tarn_status divide_groups(part_aggregate *op, tarn_error *err) {
    size_t next[PARTITIONS];
    for (size_t p = 0; p < PARTITIONS; p++) {
        next[p] = op->partition_starts[p];
        op->partition_starts[p + 1] = next[p] + op->partition_counts[p];
    }
    tarn_assert(op->partition_starts[PARTITIONS] == op->table.count);
    op->divided = tarn_alloc_new(op->base.alloc, uint8_t *, op->table.count);
    if (op->divided == NULL) return op_no_memory(&op->base, err);
    op->divided_count = op->table.count;
    op_groups_iterator iterator = op_groups_begin(&op->table);
    for (uint8_t *group; (group = op_groups_next(&op->table, &iterator)) != NULL;) {
        op->divided[next[partition_of(group)]++] = group;
    }
    op_groups_forget_slots(&op->table);
    return TARN_OK;
}

// ---- the result ----

static tarn_status emit_groups(op_base *base, const op_aggregation *aggregation,
                               uint8_t *const *groups, size_t count, tarn_output *output,
                               tarn_error *err) {
    tarn_arena *arena = &base->batch_arena;
    tarn_arena_clear(arena);
    size_t column_count = aggregation->group_count + aggregation->aggregate_count;
    tarn_chunk chunk = {.row_count = count, .column_count = column_count};
    chunk.columns = tarn_arena_new(arena, tarn_vector, column_count + 1);
    if (chunk.columns == NULL) return op_no_memory(base, err);
    TARN_TRY(op_aggregation_gather(aggregation, groups, count, arena, chunk.columns, err));
    return tarn_output_emit(output, &chunk, err);
}

static tarn_status emit_table(part_aggregate *op, tarn_output *output, tarn_error *err) {
    size_t count = 0;
    op_groups_iterator iterator = op_groups_begin(&op->table);
    for (uint8_t *group; (group = op_groups_next(&op->table, &iterator)) != NULL;) {
        op->groups[count++] = group;
        if (count < TARN_CHUNK_ROWS) continue;
        TARN_TRY(emit_groups(&op->base, &op->aggregation, op->groups, count, output, err));
        if (tarn_output_is_closed(output)) return TARN_OK;
        count = 0;
    }
    if (count == 0) return TARN_OK;
    return emit_groups(&op->base, &op->aggregation, op->groups, count, output, err);
}

static tarn_status end_part(part_aggregate *op, tarn_output *output, tarn_error *err) {
    // Without GROUP BY there is one row, also over no input.
    if (op->is_first && op->aggregation.group_count == 0 && op->table.count == 0) {
        tarn_chunk one_row = {.row_count = 1};
        TARN_TRY(find_groups(op, NULL, &one_row, err));
    }
    return op->emits ? emit_table(op, output, err) : divide_groups(op, err);
}

static tarn_status part_end(void *self, size_t input, tarn_output *output, tarn_error *err) {
    (void)input;
    part_aggregate *op = self;
    return op_blame(&op->base, end_part(op, output, err), err);
}

static const tarn_operator_ops part_ops = {.chunk = part_chunk, .end = part_end, .free = part_free};

// ---- merging ----

typedef struct partition_range {
    size_t begin;
    size_t end;
} partition_range;

typedef struct merge_aggregate {
    op_base base;
    op_aggregation aggregation;
    part_aggregate **parts; // the operators of the inputs, which outlive the run
    size_t part_count;
    size_t ended_count;
    partition_range left; // to merge
    op_group_set set;
    uint8_t **ready; // groups to be emitted, up to a chunk of them
    size_t ready_count;
} merge_aggregate;

static void merge_free(void *self) {
    merge_aggregate *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    op_group_set_free(&op->set);
    op_aggregation_free(&op->aggregation);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status merge_states(merge_aggregate *op, uint8_t *target, const uint8_t *source,
                                tarn_error *err) {
    const op_aggregation *aggregation = &op->aggregation;
    for (size_t a = 0; a < aggregation->aggregate_count; a++) {
        size_t offset = aggregation->state_offsets[a];
        TARN_TRY(tarn_aggregate_merge(&aggregation->aggregates[a], aggregation->alloc,
                                      target + offset, source + offset, err));
    }
    return TARN_OK;
}

// Merges a part's groups of a partition into those of the parts before; the groups that stay move
// to the front of the list.
static tarn_status merge_list(merge_aggregate *op, uint8_t **groups, size_t count, size_t *ret_kept,
                              tarn_error *err) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + MERGE_LOOKAHEAD < count) {
            __builtin_prefetch(groups[i + MERGE_LOOKAHEAD]);
            __builtin_prefetch(groups[i + MERGE_LOOKAHEAD] + 64);
        }
        uint8_t *group = groups[i];
        uint8_t *member = op_group_set_add(&op->set, group);
        if (member == group) {
            groups[kept++] = group;
        } else {
            TARN_TRY(merge_states(op, member, group, err));
        }
    }
    *ret_kept = kept;
    return TARN_OK;
}

static tarn_status emit_ready(merge_aggregate *op, tarn_output *output, tarn_error *err) {
    size_t count = op->ready_count;
    op->ready_count = 0;
    if (count == 0) return TARN_OK;
    return emit_groups(&op->base, &op->aggregation, op->ready, count, output, err);
}

static tarn_status emit_list(merge_aggregate *op, uint8_t *const *groups, size_t count,
                             tarn_output *output, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        op->ready[op->ready_count++] = groups[i];
        if (op->ready_count == TARN_CHUNK_ROWS) TARN_TRY(emit_ready(op, output, err));
    }
    return TARN_OK;
}

static tarn_status merge_partition(merge_aggregate *op, size_t partition, tarn_output *output,
                                   tarn_error *err) {
    uint8_t **lists[OP_PART_LIMIT] = {0};
    size_t counts[OP_PART_LIMIT] = {0};
    size_t total = 0;
    for (size_t i = 0; i < op->part_count; i++) {
        part_aggregate *part = op->parts[i];
        size_t start = part->partition_starts[partition];
        lists[i] = part->divided + start;
        counts[i] = part->partition_starts[partition + 1] - start;
        total += counts[i];
    }
    if (total == 0) return TARN_OK;
    if (!op_group_set_begin(&op->set, total)) return op_no_memory(&op->base, err);
    for (size_t i = 0; i < op->part_count; i++) {
        TARN_TRY(merge_list(op, lists[i], counts[i], &counts[i], err));
    }
    // Only now have the groups taken up all there is.
    for (size_t i = 0; i < op->part_count; i++) {
        TARN_TRY(emit_list(op, lists[i], counts[i], output, err));
    }
    return TARN_OK;
}

static tarn_status merge_all(merge_aggregate *op, tarn_output *output, tarn_error *err) {
    for (; op->left.begin < op->left.end; op->left.begin++) {
        if (tarn_output_is_closed(output)) return TARN_OK;
        TARN_TRY(merge_partition(op, op->left.begin, output, err));
    }
    return emit_ready(op, output, err);
}

// Parts send no rows: their tables are looked into once all have ended.
static tarn_status merge_chunk(void *self, size_t input, const tarn_chunk *chunk,
                               tarn_output *output, tarn_error *err) {
    (void)input;
    (void)chunk;
    (void)output;
    const merge_aggregate *op = self;
    return tarn_fail(err, TARN_INVALID, "operator '" TARN_SLICE_FMT "' takes no rows",
                     TARN_SLICE_ARG(op->base.name));
}

static tarn_status merge_end(void *self, size_t input, tarn_output *output, tarn_error *err) {
    (void)input;
    merge_aggregate *op = self;
    op->ended_count++;
    if (op->ended_count < op->part_count) return TARN_OK;
    return op_blame(&op->base, merge_all(op, output, err), err);
}

static const tarn_operator_ops merge_ops = {
    .chunk = merge_chunk, .end = merge_end, .free = merge_free};

// ---- building ----

static tarn_status init_part(part_aggregate *op, op_builder *builder, const tarn_plan *plan,
                             tarn_error *err) {
    TARN_TRY(op_builder_base(builder, "aggregate", &op->base, err));
    TARN_TRY(op_aggregation_init(&op->aggregation, plan, &op->base, builder->context->eval, false,
                                 0, err));
    tarn_arena *arena = &op->base.arena;
    op->hashes = tarn_arena_new_raw(arena, uint64_t, TARN_CHUNK_ROWS);
    op->groups = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    op->added = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    if (op->hashes == NULL || op->groups == NULL || op->added == NULL) {
        return op_no_memory(&op->base, err);
    }
    op_groups_init(&op->table, op->base.alloc, &op->aggregation.keys, op->aggregation.group_bytes,
                   false);
    return TARN_OK;
}

static tarn_status build_part(op_builder *builder, const tarn_plan *plan, tarn_node input,
                              part_aggregate **ret_part, tarn_node *ret_node, tarn_error *err) {
    part_aggregate *op = tarn_alloc_new(builder->context->alloc, part_aggregate, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->base.alloc = builder->context->alloc;
    tarn_status status = init_part(op, builder, plan, err);
    if (status != TARN_OK) {
        part_free(op);
        return status;
    }
    *ret_part = op;
    op_parts inputs = op_one_part(input);
    return op_builder_add(builder, &op->base, &part_ops, &inputs, 0, ret_node, err);
}

static tarn_status init_merge(merge_aggregate *op, op_builder *builder, const tarn_plan *plan,
                              part_aggregate *const *parts, size_t part_count, tarn_error *err) {
    TARN_TRY(op_builder_base(builder, "merge", &op->base, err));
    TARN_TRY(op_aggregation_init(&op->aggregation, plan, &op->base, builder->context->eval, false,
                                 0, err));
    tarn_arena *arena = &op->base.arena;
    op->ready = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    op->parts = tarn_arena_new_raw(arena, part_aggregate *, part_count);
    if (op->ready == NULL || op->parts == NULL) return op_no_memory(&op->base, err);
    memcpy(op->parts, parts, part_count * sizeof(part_aggregate *));
    op->part_count = part_count;
    op->set = (op_group_set){.alloc = op->base.alloc, .keys = &op->aggregation.keys};
    return TARN_OK;
}

static tarn_status build_merge(op_builder *builder, const tarn_plan *plan,
                               part_aggregate *const *parts, const op_parts *nodes,
                               partition_range range, tarn_node *ret_node, tarn_error *err) {
    merge_aggregate *op = tarn_alloc_new(builder->context->alloc, merge_aggregate, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->base.alloc = builder->context->alloc;
    tarn_status status = init_merge(op, builder, plan, parts, nodes->count, err);
    if (status != TARN_OK) {
        merge_free(op);
        return status;
    }
    op->left = range;
    return op_builder_add(builder, &op->base, &merge_ops, nodes, 0, ret_node, err);
}

tarn_status op_build_batch_aggregate(op_builder *builder, const tarn_plan *plan, size_t part_limit,
                                     op_parts *ret_parts, tarn_error *err) {
    op_parts inputs;
    TARN_TRY(
        op_build_parts(builder, plan->inputs[0], op_builder_part_limit(builder), &inputs, err));
    part_aggregate *parts[OP_PART_LIMIT];
    op_parts nodes = {.count = inputs.count};
    for (size_t i = 0; i < inputs.count; i++) {
        TARN_TRY(build_part(builder, plan, inputs.nodes[i], &parts[i], &nodes.nodes[i], err));
        parts[i]->is_first = i == 0;
        parts[i]->emits = inputs.count == 1;
        parts[i]->may_repeat = inputs.count > 1;
    }
    if (inputs.count == 1) {
        *ret_parts = nodes;
        return TARN_OK;
    }
    // One group needs one merge. Where a single node is wanted, what the merges emit is united.
    bool has_groups = plan->aggregate.group_count > 0;
    op_parts merges = {.count = has_groups ? inputs.count : 1};
    for (size_t i = 0; i < merges.count; i++) {
        partition_range range = {.begin = PARTITIONS * i / merges.count,
                                 .end = PARTITIONS * (i + 1) / merges.count};
        TARN_TRY(build_merge(builder, plan, parts, &nodes, range, &merges.nodes[i], err));
    }
    if (merges.count > part_limit) {
        tarn_node node;
        TARN_TRY(op_build_union(builder, &merges, &node, err));
        merges = op_one_part(node);
    }
    *ret_parts = merges;
    return TARN_OK;
}

tarn_status op_build_aggregate(op_builder *builder, const tarn_plan *plan, size_t part_limit,
                               op_parts *ret_parts, tarn_error *err) {
    if (builder->context->mode == TARN_OP_BATCH) {
        return op_build_batch_aggregate(builder, plan, part_limit, ret_parts, err);
    }
    tarn_node node;
    if (plan->aggregate.emit_on_close) {
        TARN_TRY(op_build_window_aggregate(builder, plan, &node, err));
    } else {
        TARN_TRY(op_build_stream_aggregate(builder, plan, &node, err));
    }
    *ret_parts = op_one_part(node);
    return TARN_OK;
}
