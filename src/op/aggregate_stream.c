// aggregate_stream.c - hash aggregation that keeps its output equal to its query.
//
// A group remembers the values it emitted last. At a barrier the groups that changed emit what
// differs: +I for a new one, -U and +U for a changed one, -D for one without rows. Between barriers
// nothing is emitted, so an epoch costs each group at most one correction.
//
// State: per group, its key (memcomparable) and row count, aggregate states. What was emitted
// follows from it, as at a barrier both agree.
#include "op/op_internal.h"

enum {
    GROUP_DIRTY = 1,   // in the dirty list
    GROUP_EMITTED = 2, // downstream has a row for it
    GROUP_STORED = 4,  // the checkpoints have an entry for it
};

typedef struct stream_aggregate {
    op_base base;
    op_aggregation aggregation;
    op_layout emitted;   // the aggregates' last results
    size_t count_offset; // int64: rows in the group
    op_groups table;
    op_group_list dirty;
    tarn_buffer key;
    tarn_buffer value;
    uint64_t *hashes; // scratch of one chunk
    uint8_t **groups;
} stream_aggregate;

static uint32_t group_flags(const uint8_t *group) {
    return ((const op_group *)(const void *)group)->flags;
}

// NOLINTNEXTLINE(readability-non-const-parameter): it is written through its header
static void set_flags(uint8_t *group, uint32_t flags) {
    ((op_group *)(void *)group)->flags = flags;
}

static int64_t *rows_of(const stream_aggregate *op, uint8_t *group) {
    return (int64_t *)(void *)(group + op->count_offset);
}

// Without GROUP BY the only group is there even without rows.
static bool is_alive(const stream_aggregate *op, uint8_t *group) {
    return op->aggregation.group_count == 0 || *rows_of(op, group) > 0;
}

static void aggregate_free(void *self) {
    stream_aggregate *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    if (op->table.alloc != NULL) {
        op_groups_iterator iterator = op_groups_begin(&op->table);
        for (uint8_t *group; (group = op_groups_next(&op->table, &iterator)) != NULL;) {
            op_layout_release(&op->emitted, group, alloc);
        }
    }
    op_aggregation_destroy_table(&op->aggregation, &op->table);
    op_aggregation_free(&op->aggregation);
    op_group_list_free(&op->dirty, alloc);
    tarn_buffer_free(&op->key);
    tarn_buffer_free(&op->value);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

// ---- rows in ----

static tarn_status mark_dirty(stream_aggregate *op, uint8_t *group, tarn_error *err) {
    if (group_flags(group) & GROUP_DIRTY) return TARN_OK;
    if (!op_group_list_push(&op->dirty, group, op->base.alloc)) {
        return op_no_memory(&op->base, err);
    }
    set_flags(group, group_flags(group) | GROUP_DIRTY);
    return TARN_OK;
}

static tarn_status find_groups(stream_aggregate *op, const tarn_vector *keys,
                               const tarn_chunk *chunk, tarn_error *err) {
    op_hash_rows(keys, op->aggregation.group_count, chunk, op->hashes);
    op_probe probe = {.keys = keys, .chunk = chunk, .hashes = op->hashes, .add = true};
    return op_groups_probe(&op->table, &probe, op->groups, err);
}

static tarn_status add_rows(stream_aggregate *op, const tarn_chunk *chunk, tarn_error *err) {
    size_t count = tarn_chunk_count(chunk);
    if (count == 0) return TARN_OK;
    tarn_arena *arena = &op->base.batch_arena;
    op_aggregation_input input;
    TARN_TRY(op_aggregation_eval(&op->aggregation, chunk, arena, &input, err));
    TARN_TRY(find_groups(op, input.vectors, chunk, err));
    for (size_t i = 0; i < count; i++) {
        bool retract = tarn_row_kind_is_retract(op_chunk_kind(chunk, tarn_chunk_row(chunk, i)));
        *rows_of(op, op->groups[i]) += retract ? -1 : 1;
        TARN_TRY(mark_dirty(op, op->groups[i], err));
    }
    return op_aggregation_update(&op->aggregation, &input, chunk, op->groups, arena, err);
}

static tarn_status aggregate_chunk(void *self, size_t input, const tarn_chunk *chunk,
                                   tarn_output *output, tarn_error *err) {
    (void)input;
    (void)output;
    stream_aggregate *op = self;
    tarn_arena_clear(&op->base.batch_arena);
    return op_blame(&op->base, add_rows(op, chunk, err), err);
}

// ---- changes out ----

// The dirty groups of one emission: at most half a chunk, as each may give two rows.
typedef struct change_set {
    uint8_t **groups;
    size_t group_count;
    tarn_vector *results;  // per aggregate, the new values of `groups`
    uint8_t **row_groups;  // per output row
    uint32_t *row_sources; // index into `groups`; UINT32_MAX: the emitted values
    uint8_t *kinds;
    size_t row_count;
} change_set;

static void add_change(change_set *changes, size_t index, bool is_new, tarn_row_kind kind) {
    size_t row = changes->row_count++;
    changes->row_groups[row] = changes->groups[index];
    changes->row_sources[row] = is_new ? (uint32_t)index : UINT32_MAX;
    changes->kinds[row] = (uint8_t)kind;
}

static void find_changes(stream_aggregate *op, change_set *changes) {
    for (size_t i = 0; i < changes->group_count; i++) {
        uint8_t *group = changes->groups[i];
        bool was_there = (group_flags(group) & GROUP_EMITTED) != 0;
        if (!is_alive(op, group)) {
            if (was_there) add_change(changes, i, false, TARN_ROW_DELETE);
        } else if (!was_there) {
            add_change(changes, i, true, TARN_ROW_INSERT);
        } else if (!op_layout_equal(&op->emitted, group, changes->results, i)) {
            add_change(changes, i, false, TARN_ROW_UPDATE_BEFORE);
            add_change(changes, i, true, TARN_ROW_UPDATE_AFTER);
        }
    }
}

// One aggregate's column: new results where the row has them, the emitted ones elsewhere.
static tarn_status mix_results(const stream_aggregate *op, const change_set *changes, size_t index,
                               tarn_arena *arena, tarn_vector *ret_vector, tarn_error *err) {
    tarn_vector vector;
    TARN_TRY(op_layout_gather(&op->emitted, index, changes->row_groups, changes->row_count, arena,
                              &vector, err));
    const tarn_vector *results = &changes->results[index];
    if (vector.validity != NULL || results->validity != NULL) {
        TARN_TRY(tarn_vector_make_validity(&vector, changes->row_count, arena, err));
    }
    size_t width = op->emitted.widths[index];
    for (size_t row = 0; row < changes->row_count; row++) {
        uint32_t source = changes->row_sources[row];
        if (source == UINT32_MAX) continue;
        bool is_null = tarn_vector_is_null(results, source);
        if (vector.validity != NULL) tarn_bitmap_assign(vector.validity, row, !is_null);
        if (is_null) continue;
        memcpy((uint8_t *)vector.data + row * width, tarn_vector_at(results, source, width), width);
    }
    *ret_vector = vector;
    return TARN_OK;
}

static tarn_status emit_change_rows(stream_aggregate *op, const change_set *changes,
                                    tarn_output *output, tarn_error *err) {
    if (changes->row_count == 0) return TARN_OK;
    tarn_arena *arena = &op->base.batch_arena;
    size_t group_count = op->aggregation.group_count;
    size_t column_count = group_count + op->aggregation.aggregate_count;
    tarn_chunk chunk = {.row_count = changes->row_count,
                        .column_count = column_count,
                        .columns = tarn_arena_new(arena, tarn_vector, column_count + 1),
                        .kinds = changes->kinds};
    if (chunk.columns == NULL) return op_no_memory(&op->base, err);
    for (size_t g = 0; g < group_count; g++) {
        TARN_TRY(op_layout_gather(&op->aggregation.keys, g, changes->row_groups, changes->row_count,
                                  arena, &chunk.columns[g], err));
    }
    for (size_t a = 0; a < op->aggregation.aggregate_count; a++) {
        TARN_TRY(mix_results(op, changes, a, arena, &chunk.columns[group_count + a], err));
    }
    return tarn_output_emit(output, &chunk, err);
}

// Remembers what downstream has now.
static tarn_status remember(stream_aggregate *op, const change_set *changes, tarn_error *err) {
    for (size_t row = 0; row < changes->row_count; row++) {
        uint8_t *group = changes->row_groups[row];
        if (changes->kinds[row] == TARN_ROW_UPDATE_BEFORE) continue;
        op_layout_release(&op->emitted, group, op->base.alloc);
        memset(group + op->emitted.null_offset, 0xFF, (op->emitted.column_count + 7) / 8);
        if (changes->kinds[row] == TARN_ROW_DELETE) {
            set_flags(group, group_flags(group) & ~(uint32_t)GROUP_EMITTED);
            continue;
        }
        if (!op_layout_store(&op->emitted, group, changes->results, changes->row_sources[row], NULL,
                             op->base.alloc)) {
            memset(group + op->emitted.null_offset, 0xFF, (op->emitted.column_count + 7) / 8);
            return op_no_memory(&op->base, err);
        }
        set_flags(group, group_flags(group) | GROUP_EMITTED);
    }
    return TARN_OK;
}

static tarn_status init_changes(stream_aggregate *op, uint8_t **groups, size_t count,
                                change_set *ret_changes, tarn_error *err) {
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    change_set changes = {
        .groups = groups,
        .group_count = count,
        .results = tarn_arena_new(arena, tarn_vector, op->aggregation.aggregate_count + 1),
        .row_groups = tarn_arena_new_raw(arena, uint8_t *, 2 * count),
        .row_sources = tarn_arena_new_raw(arena, uint32_t, 2 * count),
        .kinds = tarn_arena_new_raw(arena, uint8_t, 2 * count)};
    if (changes.results == NULL || changes.row_groups == NULL || changes.row_sources == NULL ||
        changes.kinds == NULL) {
        return op_no_memory(&op->base, err);
    }
    for (size_t a = 0; a < op->aggregation.aggregate_count; a++) {
        TARN_TRY(tarn_aggregate_finalize(&op->aggregation.aggregates[a], groups,
                                         op->aggregation.state_offsets[a], count, arena,
                                         &changes.results[a], err));
    }
    *ret_changes = changes;
    return TARN_OK;
}

static tarn_status emit_changes(stream_aggregate *op, tarn_output *output, tarn_error *err) {
    size_t step = TARN_CHUNK_ROWS / 2;
    for (size_t begin = 0; begin < op->dirty.count; begin += step) {
        size_t count = op->dirty.count - begin < step ? op->dirty.count - begin : step;
        change_set changes;
        TARN_TRY(init_changes(op, op->dirty.groups + begin, count, &changes, err));
        find_changes(op, &changes);
        TARN_TRY(emit_change_rows(op, &changes, output, err));
        TARN_TRY(remember(op, &changes, err));
    }
    return TARN_OK;
}

// ---- checkpoints ----

static tarn_status write_group(stream_aggregate *op, uint8_t *group, const tarn_vector *keys,
                               size_t row, tarn_state_writer *state, tarn_error *err) {
    tarn_buffer_clear(&op->key);
    TARN_TRY(tarn_key_encode(keys, op->aggregation.group_count, NULL, row, &op->key, err));
    if (!is_alive(op, group)) {
        if (!(group_flags(group) & GROUP_STORED)) return TARN_OK;
        return tarn_state_delete(state, tarn_buffer_slice(&op->key), err);
    }
    tarn_buffer_clear(&op->value);
    if (!op_put_int(&op->value, *rows_of(op, group))) return op_no_memory(&op->base, err);
    TARN_TRY(op_aggregation_encode(&op->aggregation, group, &op->value, err));
    set_flags(group, group_flags(group) | GROUP_STORED);
    return tarn_state_put(state, tarn_buffer_slice(&op->key), tarn_buffer_slice(&op->value), err);
}

static tarn_status write_groups(stream_aggregate *op, uint8_t *const *groups, size_t count,
                                tarn_state_writer *state, tarn_error *err) {
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    size_t group_count = op->aggregation.group_count;
    tarn_vector *keys = tarn_arena_new(arena, tarn_vector, group_count + 1);
    if (keys == NULL) return op_no_memory(&op->base, err);
    for (size_t g = 0; g < group_count; g++) {
        TARN_TRY(op_layout_gather(&op->aggregation.keys, g, groups, count, arena, &keys[g], err));
    }
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(write_group(op, groups[i], keys, i, state, err));
    }
    return TARN_OK;
}

static tarn_status write_list(stream_aggregate *op, const op_group_list *list,
                              tarn_state_writer *state, tarn_error *err) {
    for (size_t begin = 0; begin < list->count; begin += TARN_CHUNK_ROWS) {
        size_t count =
            list->count - begin < TARN_CHUNK_ROWS ? list->count - begin : TARN_CHUNK_ROWS;
        TARN_TRY(write_groups(op, list->groups + begin, count, state, err));
    }
    return TARN_OK;
}

static tarn_status write_all(stream_aggregate *op, tarn_state_writer *state, tarn_error *err) {
    op_group_list all = {0};
    tarn_status status = TARN_OK;
    op_groups_iterator iterator = op_groups_begin(&op->table);
    for (uint8_t *group; (group = op_groups_next(&op->table, &iterator)) != NULL;) {
        // What is gone is absent from a full checkpoint: nothing to delete.
        if (!is_alive(op, group)) continue;
        if (!op_group_list_push(&all, group, op->base.alloc)) {
            status = op_no_memory(&op->base, err);
            break;
        }
    }
    if (status == TARN_OK) status = write_list(op, &all, state, err);
    op_group_list_free(&all, op->base.alloc);
    return status;
}

static void forget_dead(stream_aggregate *op) {
    for (size_t i = 0; i < op->dirty.count; i++) {
        uint8_t *group = op->dirty.groups[i];
        set_flags(group, group_flags(group) & ~(uint32_t)GROUP_DIRTY);
        if (is_alive(op, group)) continue;
        op_aggregation_destroy_states(&op->aggregation, group);
        op_layout_release(&op->emitted, group, op->base.alloc);
        op_groups_remove(&op->table, group);
    }
    op->dirty.count = 0;
}

static tarn_status make_only_group(stream_aggregate *op, tarn_error *err) {
    if (op->aggregation.group_count > 0 || op->table.count > 0) return TARN_OK;
    tarn_chunk one_row = {.row_count = 1};
    TARN_TRY(find_groups(op, NULL, &one_row, err));
    return mark_dirty(op, op->groups[0], err);
}

static tarn_status cut_epoch(stream_aggregate *op, tarn_state_writer *state, tarn_output *output,
                             tarn_error *err) {
    TARN_TRY(make_only_group(op, err));
    TARN_TRY(emit_changes(op, output, err));
    if (tarn_state_writer_is_full(state)) {
        TARN_TRY(write_all(op, state, err));
    } else {
        TARN_TRY(write_list(op, &op->dirty, state, err));
    }
    forget_dead(op);
    return TARN_OK;
}

static tarn_status aggregate_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                     tarn_output *output, tarn_error *err) {
    (void)epoch;
    stream_aggregate *op = self;
    return op_blame(&op->base, cut_epoch(op, state, output, err), err);
}

// ---- restoring ----

static tarn_status restore_group(stream_aggregate *op, tarn_slice key, tarn_slice value,
                                 tarn_error *err) {
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    size_t group_count = op->aggregation.group_count;
    tarn_vector *keys = tarn_arena_new(arena, tarn_vector, group_count + 1);
    if (keys == NULL) return op_no_memory(&op->base, err);
    TARN_TRY(op_key_decode_row(&key, op->aggregation.keys.types, group_count, arena, keys, err));
    tarn_chunk one_row = {.row_count = 1, .column_count = group_count, .columns = keys};
    TARN_TRY(find_groups(op, keys, &one_row, err));
    uint8_t *group = op->groups[0];
    if (!op_take_int(&value, rows_of(op, group))) {
        return op_corrupt_state(&op->base, "a group has no row count", err);
    }
    TARN_TRY(op_aggregation_decode(&op->aggregation, &value, group, err));
    if (key.len > 0 || value.len > 0) {
        return op_corrupt_state(&op->base, "a group has bytes too many", err);
    }
    change_set changes;
    TARN_TRY(init_changes(op, &group, 1, &changes, err));
    add_change(&changes, 0, true, TARN_ROW_INSERT);
    TARN_TRY(remember(op, &changes, err));
    set_flags(group, GROUP_EMITTED | GROUP_STORED);
    return TARN_OK;
}

static tarn_status aggregate_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    stream_aggregate *op = self;
    for (;;) {
        tarn_slice key;
        tarn_slice value;
        bool found = false;
        TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
        if (!found) return TARN_OK;
        TARN_TRY(op_blame(&op->base, restore_group(op, key, value, err), err));
    }
}

static const tarn_operator_ops aggregate_ops = {.chunk = aggregate_chunk,
                                                .barrier = aggregate_barrier,
                                                .restore = aggregate_restore,
                                                .free = aggregate_free};

// ---- building ----

static tarn_status init_layouts(stream_aggregate *op, const tarn_plan *plan, op_builder *builder,
                                tarn_error *err) {
    tarn_arena *arena = &op->base.arena;
    size_t aggregate_count = plan->aggregate.aggregate_count;
    tarn_type *types = tarn_arena_new(arena, tarn_type, aggregate_count + 1);
    if (types == NULL) return op_no_memory(&op->base, err);
    for (size_t a = 0; a < aggregate_count; a++) {
        types[a] = plan->aggregate.aggregates[a].aggregate.type;
    }
    // Twice: how much room the emitted values take is known before where they begin.
    TARN_TRY(op_layout_init(&op->emitted, types, aggregate_count, sizeof(int64_t), arena, err));
    bool retractable = !plan->inputs[0]->append_only;
    TARN_TRY(op_aggregation_init(&op->aggregation, plan, &op->base, builder->context->eval,
                                 retractable, op->emitted.end_offset, err));
    op->count_offset = op->aggregation.keys.end_offset;
    return op_layout_init(&op->emitted, types, aggregate_count, op->count_offset + sizeof(int64_t),
                          arena, err);
}

tarn_status op_build_stream_aggregate(op_builder *builder, const tarn_plan *plan,
                                      tarn_node *ret_node, tarn_error *err) {
    tarn_node input;
    TARN_TRY(op_build_one(builder, plan->inputs[0], &input, err));
    stream_aggregate *op = tarn_alloc_new(builder->context->alloc, stream_aggregate, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->base.alloc = builder->context->alloc;
    op->key.alloc = op->base.alloc;
    op->value.alloc = op->base.alloc;
    tarn_status status = op_builder_base(builder, "aggregate", &op->base, err);
    if (status == TARN_OK) status = init_layouts(op, plan, builder, err);
    if (status == TARN_OK) {
        op->hashes = tarn_arena_new_raw(&op->base.arena, uint64_t, TARN_CHUNK_ROWS);
        op->groups = tarn_arena_new_raw(&op->base.arena, uint8_t *, TARN_CHUNK_ROWS);
        if (op->hashes == NULL || op->groups == NULL) {
            status = op_no_memory(&op->base, err);
        }
    }
    if (status != TARN_OK) {
        aggregate_free(op);
        return status;
    }
    op_groups_init(&op->table, op->base.alloc, &op->aggregation.keys, op->aggregation.group_bytes,
                   true);
    op_parts inputs = op_one_part(input);
    return op_builder_add(builder, &op->base, &aggregate_ops, &inputs, 0, ret_node, err);
}
