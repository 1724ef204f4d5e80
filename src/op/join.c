// join.c - hash joins: a left-deep chain of joins and stateless steps in one operator.
//
// Inputs are the right sides, from the lowest join upwards, and last the left input. A query reads
// the right sides first. In a view both sides go on for ever; docs/decisions/0005-streaming-join.md
// says how the output stays exact and when the left side needs to be kept or read again.
//
// State: stage, side ('r' or 'l') and a row: how many copies; 'm': how many left rows came so far.
#include "op/join_internal.h"

#define STAGE_LIMIT      (OP_PART_LIMIT - 1) // one input each, and the left one
#define HELD_BYTES_LIMIT TARN_TUNABLE((size_t)64 << 20, (size_t)2048)
// Above it a query's join does not build the right side once per part of the left.
#define COPY_ROWS_LIMIT 100000.0

enum { KEY_META = 0xFF }; // no stage has this number

typedef struct join_op join_op;

typedef struct join_link {
    join_op *op;
    size_t stage; // that a chunk enters; stage_count: the output
} join_link;

struct join_op {
    op_base base;
    bool is_stream;
    join_stage *stages; // lowest first
    size_t stage_count;
    join_link *links;
    size_t *right_stages; // per right input
    size_t right_count;
    bool can_replay;
    tarn_op_replay replay;
    int64_t left_rows; // that came so far
    // A new view holds its first left rows until the right sides have been loaded.
    bool holding;
    op_pointers held; // batches
    size_t held_bytes;
    size_t ended_count;
    size_t corrected_stage; // whose pending changes are being joined; SIZE_MAX: none
    tarn_output *output;    // of the call under way
    tarn_buffer key;
    tarn_buffer value;
};

static void drop_held(join_op *op) {
    for (size_t i = 0; i < op->held.count; i++) tarn_batch_unref(op->held.items[i]);
    op_pointers_free(&op->held, op->base.alloc);
    op->held_bytes = 0;
}

static void free_stage(join_stage *stage, const tarn_alloc *alloc) {
    op_transform_free(stage->transform);
    tarn_program_free(stage->left_keys);
    tarn_program_free(stage->residual);
    join_side_free(&stage->right);
    join_side_free(&stage->left);
    tarn_alloc_free(alloc, stage->cached_keys, stage->cached_count);
    tarn_arena_reset(&stage->output_arena);
    tarn_arena_reset(&stage->arena);
}

static void join_free(void *self) {
    join_op *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    for (size_t i = 0; op->stages != NULL && i < op->stage_count; i++) {
        free_stage(&op->stages[i], alloc);
    }
    drop_held(op);
    tarn_buffer_free(&op->key);
    tarn_buffer_free(&op->value);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

// ---- the chain ----

static tarn_status push_stage(void *context, const tarn_chunk *chunk, tarn_error *err);

static op_push link_of(join_op *op, size_t stage) {
    return (op_push){.push = push_stage, .context = &op->links[stage]};
}

static tarn_status push_stage(void *context, const tarn_chunk *chunk, tarn_error *err) {
    const join_link *link = context;
    join_op *op = link->op;
    if (tarn_chunk_count(chunk) == 0) return TARN_OK;
    if (link->stage == op->stage_count) return tarn_output_emit(op->output, chunk, err);
    join_stage *stage = &op->stages[link->stage];
    op_push next = link_of(op, link->stage + 1);
    tarn_arena_clear(&stage->arena);
    if (stage->transform != NULL) {
        return op_transform_apply(stage->transform, chunk, &stage->arena, next, err);
    }
    if (op->corrected_stage == link->stage) {
        TARN_TRY(join_match(stage, chunk, JOIN_REMOVE, next, &op->base, err));
        return join_match(stage, chunk, JOIN_ADD, next, &op->base, err);
    }
    if (stage->keeps_left) TARN_TRY(join_side_add(&stage->left, chunk, 1, &stage->arena, err));
    return join_match(stage, chunk, JOIN_PROBE, next, &op->base, err);
}

static tarn_status push_left(join_op *op, const tarn_chunk *chunk, tarn_error *err) {
    op->left_rows += (int64_t)tarn_chunk_count(chunk);
    return push_stage(&op->links[0], chunk, err);
}

// ---- holding the first rows ----

static tarn_status release_held(join_op *op, tarn_error *err) {
    op->holding = false;
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < op->held.count && status == TARN_OK; i++) {
        const tarn_batch *batch = op->held.items[i];
        status = push_left(op, &batch->chunk, err);
    }
    drop_held(op);
    return status;
}

static tarn_status hold(join_op *op, const tarn_chunk *chunk, tarn_error *err) {
    tarn_batch *batch = NULL;
    TARN_TRY(tarn_batch_new(op->base.alloc, chunk, &batch, err));
    if (!op_pointers_push(&op->held, batch, op->base.alloc)) {
        tarn_batch_unref(batch);
        return op_no_memory(&op->base, err);
    }
    op->held_bytes += batch->arena.reserved_bytes;
    // Going on without the right side costs corrections at the barrier, not exactness.
    return op->held_bytes > HELD_BYTES_LIMIT ? release_held(op, err) : TARN_OK;
}

// ---- messages ----

static tarn_status take_chunk(join_op *op, size_t input, const tarn_chunk *chunk, tarn_error *err) {
    if (input == op->right_count) {
        return op->holding ? hold(op, chunk, err) : push_left(op, chunk, err);
    }
    tarn_arena_clear(&op->base.batch_arena);
    join_stage *stage = &op->stages[op->right_stages[input]];
    return join_side_add(&stage->right, chunk, 1, &op->base.batch_arena, err);
}

static tarn_status join_chunk(void *self, size_t input, const tarn_chunk *chunk,
                              tarn_output *output, tarn_error *err) {
    join_op *op = self;
    op->output = output;
    return op_blame(&op->base, take_chunk(op, input, chunk, err), err);
}

// The watermark is the least of all inputs', and tables send theirs once they have been read: from
// now on the right sides are loaded.
static tarn_status join_watermark(void *self, int64_t watermark_us, tarn_output *output,
                                  tarn_error *err) {
    join_op *op = self;
    op->output = output;
    if (op->holding) TARN_TRY(op_blame(&op->base, release_held(op, err), err));
    return tarn_output_watermark(output, watermark_us, err);
}

static tarn_status join_end(void *self, size_t input, tarn_output *output, tarn_error *err) {
    (void)input;
    join_op *op = self;
    op->output = output;
    if (++op->ended_count <= op->right_count || !op->holding) return TARN_OK;
    return op_blame(&op->base, release_held(op, err), err);
}

// ---- corrections ----

typedef struct replay_state {
    join_op *op;
    int64_t left;
} replay_state;

static tarn_status replay_chunk(void *context, const tarn_chunk *chunk, tarn_error *err) {
    replay_state *replay = context;
    int64_t count = (int64_t)tarn_chunk_count(chunk);
    // The input may already be further than this epoch. CANCELLED ends the reading.
    if (replay->left == 0) return tarn_fail(err, TARN_CANCELLED, "enough rows");
    tarn_chunk head = *chunk;
    head.watermarks = NULL;
    uint32_t rows[TARN_CHUNK_ROWS];
    if (count > replay->left) {
        count = replay->left;
        for (int64_t i = 0; i < count; i++) rows[i] = (uint32_t)tarn_chunk_row(chunk, (size_t)i);
        head.selection = rows;
        head.selected_count = (size_t)count;
    }
    replay->left -= count;
    return push_stage(&replay->op->links[0], &head, err);
}

static tarn_status correct_by_replay(join_op *op, size_t stage, tarn_error *err) {
    replay_state replay = {.op = op, .left = op->left_rows};
    op->corrected_stage = stage;
    tarn_status status = op->replay.replay(op->replay.context, replay_chunk, &replay, err);
    op->corrected_stage = SIZE_MAX;
    if (status == TARN_CANCELLED && replay.left == 0) status = TARN_OK;
    if (status == TARN_OK && replay.left > 0) {
        return tarn_fail(err, TARN_CORRUPT,
                         "operator '" TARN_SLICE_FMT "': the left input gave %lld rows less when "
                         "it was read again",
                         TARN_SLICE_ARG(op->base.name), (long long)replay.left);
    }
    return status;
}

// Kept left rows on their way through the correction.
typedef struct kept_rows {
    join_op *op;
    size_t stage;
    uint8_t *rows[TARN_CHUNK_ROWS];
    size_t count;
} kept_rows;

static tarn_status flush_kept(kept_rows *kept, tarn_error *err) {
    if (kept->count == 0) return TARN_OK;
    join_op *op = kept->op;
    const op_layout *layout = &op->stages[kept->stage].left.row_layout;
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    tarn_chunk chunk = {.row_count = kept->count, .column_count = layout->column_count};
    chunk.columns = tarn_arena_new(arena, tarn_vector, layout->column_count + 1);
    if (chunk.columns == NULL) return op_no_memory(&op->base, err);
    for (size_t c = 0; c < layout->column_count; c++) {
        TARN_TRY(
            op_layout_gather(layout, c, kept->rows, kept->count, arena, &chunk.columns[c], err));
    }
    kept->count = 0;
    return push_stage(&op->links[kept->stage], &chunk, err);
}

static tarn_status push_kept(kept_rows *kept, uint8_t *key, tarn_error *err) {
    join_side *left = &kept->op->stages[kept->stage].left;
    uint8_t *row = key == NULL ? NULL : join_key_of(left, key)->first;
    for (; row != NULL; row = join_row_of(left, row)->next) {
        for (int64_t copy = 0; copy < join_row_of(left, row)->count; copy++) {
            kept->rows[kept->count++] = row;
            if (kept->count == TARN_CHUNK_ROWS) TARN_TRY(flush_kept(kept, err));
        }
    }
    return TARN_OK;
}

// The keys of the left side that equal the pending ones of the right.
static tarn_status find_kept(join_op *op, join_stage *stage, size_t begin, size_t count,
                             uint8_t **ret_keys, tarn_error *err) {
    const op_layout *layout = &stage->right.key_layout;
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    tarn_vector *keys = tarn_arena_new(arena, tarn_vector, layout->column_count + 1);
    uint64_t *hashes = tarn_arena_new_raw(arena, uint64_t, count);
    if (keys == NULL || hashes == NULL) return op_no_memory(&op->base, err);
    for (size_t k = 0; k < layout->column_count; k++) {
        TARN_TRY(op_layout_gather(layout, k, stage->right.pending_keys.groups + begin, count, arena,
                                  &keys[k], err));
    }
    tarn_chunk chunk = {.row_count = count, .column_count = layout->column_count, .columns = keys};
    op_hash_rows(keys, layout->column_count, &chunk, hashes);
    op_probe probe = {.keys = keys, .chunk = &chunk, .hashes = hashes};
    return op_groups_probe(&stage->left.keys, &probe, ret_keys, err);
}

static tarn_status correct_by_kept(join_op *op, size_t stage_index, tarn_error *err) {
    join_stage *stage = &op->stages[stage_index];
    kept_rows kept = {.op = op, .stage = stage_index};
    op->corrected_stage = stage_index;
    tarn_status status = TARN_OK;
    size_t pending = stage->right.pending_keys.count;
    for (size_t begin = 0; begin < pending && status == TARN_OK; begin += TARN_CHUNK_ROWS) {
        size_t count = pending - begin < TARN_CHUNK_ROWS ? pending - begin : TARN_CHUNK_ROWS;
        uint8_t *keys[TARN_CHUNK_ROWS];
        status = find_kept(op, stage, begin, count, keys, err);
        for (size_t i = 0; i < count && status == TARN_OK; i++) {
            status = push_kept(&kept, keys[i], err);
        }
    }
    if (status == TARN_OK) status = flush_kept(&kept, err);
    op->corrected_stage = SIZE_MAX;
    return status;
}

// Joins what the epoch changed on the right with all left rows so far, lowest join first: those
// below have the new state then, those above still the old one.
static tarn_status correct(join_op *op, tarn_error *err) {
    for (size_t i = 0; i < op->stage_count; i++) {
        join_stage *stage = &op->stages[i];
        if (stage->transform != NULL || stage->right.pending_keys.count == 0) continue;
        if (stage->keeps_left) {
            TARN_TRY(correct_by_kept(op, i, err));
        } else {
            TARN_TRY(correct_by_replay(op, i, err));
        }
        join_side_apply(&stage->right);
    }
    return TARN_OK;
}

// ---- checkpoints ----

static tarn_status write_rows(join_op *op, join_side *side, uint8_t *const *rows, size_t count,
                              tarn_state_writer *state, tarn_error *err) {
    const op_layout *layout = &side->row_layout;
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    tarn_vector *columns = tarn_arena_new(arena, tarn_vector, layout->column_count + 1);
    if (columns == NULL) return op_no_memory(&op->base, err);
    for (size_t c = 0; c < layout->column_count; c++) {
        TARN_TRY(op_layout_gather(layout, c, rows, count, arena, &columns[c], err));
    }
    for (size_t i = 0; i < count; i++) {
        join_row *row = join_row_of(side, rows[i]);
        tarn_buffer_clear(&op->key);
        tarn_buffer_clear(&op->value);
        if (!tarn_buffer_append_byte(&op->key, side->stage) ||
            !tarn_buffer_append_byte(&op->key, side->letter) ||
            !op_put_int(&op->value, row->count)) {
            return op_no_memory(&op->base, err);
        }
        TARN_TRY(tarn_row_encode(columns, layout->column_count, i, &op->key, err));
        tarn_slice key = tarn_buffer_slice(&op->key);
        if (row->count != 0) {
            TARN_TRY(tarn_state_put(state, key, tarn_buffer_slice(&op->value), err));
        } else if (row->is_stored) {
            TARN_TRY(tarn_state_delete(state, key, err));
        }
        row->is_stored = row->count != 0;
    }
    return TARN_OK;
}

static tarn_status write_side(join_op *op, join_side *side, tarn_state_writer *state,
                              tarn_error *err) {
    if (tarn_state_writer_is_full(state)) {
        uint8_t *rows[TARN_CHUNK_ROWS];
        size_t count = 0;
        op_groups_iterator iterator = op_groups_begin(&side->rows);
        for (uint8_t *row; (row = op_groups_next(&side->rows, &iterator)) != NULL;) {
            join_row_of(side, row)->is_stored = false; // a full checkpoint forgets all before
            rows[count++] = row;
            if (count < TARN_CHUNK_ROWS) continue;
            TARN_TRY(write_rows(op, side, rows, count, state, err));
            count = 0;
        }
        return write_rows(op, side, rows, count, state, err);
    }
    const op_group_list *dirty = &side->dirty_rows;
    for (size_t begin = 0; begin < dirty->count; begin += TARN_CHUNK_ROWS) {
        size_t count = dirty->count - begin;
        if (count > TARN_CHUNK_ROWS) count = TARN_CHUNK_ROWS;
        TARN_TRY(write_rows(op, side, dirty->groups + begin, count, state, err));
    }
    return TARN_OK;
}

static tarn_status write_state(join_op *op, tarn_state_writer *state, tarn_error *err) {
    for (size_t i = 0; i < op->stage_count; i++) {
        join_stage *stage = &op->stages[i];
        if (stage->transform != NULL) continue;
        TARN_TRY(write_side(op, &stage->right, state, err));
        if (stage->keeps_left) {
            TARN_TRY(write_side(op, &stage->left, state, err));
            join_side_sweep(&stage->left);
        }
        join_side_sweep(&stage->right);
    }
    tarn_buffer_clear(&op->value);
    if (!op_put_int(&op->value, op->left_rows)) return op_no_memory(&op->base, err);
    uint8_t key = KEY_META;
    return tarn_state_put(state, (tarn_slice){&key, 1}, tarn_buffer_slice(&op->value), err);
}

static tarn_status join_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                tarn_output *output, tarn_error *err) {
    (void)epoch;
    join_op *op = self;
    op->output = output;
    tarn_status status = op->holding ? release_held(op, err) : TARN_OK;
    if (status == TARN_OK) status = correct(op, err);
    if (status == TARN_OK) status = write_state(op, state, err);
    return op_blame(&op->base, status, err);
}

// ---- restoring ----

static tarn_status restore_row(join_op *op, tarn_slice key, tarn_slice value, tarn_error *err) {
    if (key.len < 2 || key.data[0] >= op->stage_count ||
        op->stages[key.data[0]].transform != NULL) {
        return op_corrupt_state(&op->base, "a row belongs to no join", err);
    }
    join_stage *stage = &op->stages[key.data[0]];
    if (key.data[1] != 'r' && (key.data[1] != 'l' || !stage->keeps_left)) {
        return op_corrupt_state(&op->base, "a row belongs to no side", err);
    }
    join_side *side = key.data[1] == 'r' ? &stage->right : &stage->left;
    int64_t count = 0;
    if (!op_take_int(&value, &count)) {
        return op_corrupt_state(&op->base, "a row has no count", err);
    }
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    const op_layout *layout = &side->row_layout;
    tarn_vector *columns = tarn_arena_new(arena, tarn_vector, layout->column_count + 1);
    if (columns == NULL) return op_no_memory(&op->base, err);
    for (size_t c = 0; c < layout->column_count; c++) {
        TARN_TRY(tarn_vector_init_flat(&columns[c], layout->types[c], 1, arena, err));
        TARN_TRY(tarn_vector_make_validity(&columns[c], 1, arena, err));
    }
    tarn_slice bytes = tarn_slice_skip(key, 2);
    TARN_TRY(tarn_row_decode(&bytes, columns, layout->column_count, 0, err));
    tarn_chunk chunk = {.row_count = 1, .column_count = layout->column_count, .columns = columns};
    TARN_TRY(join_side_add(side, &chunk, count, arena, err));
    if (side->dirty_rows.count > 0) {
        join_row *row = join_row_of(side, side->dirty_rows.groups[0]);
        row->is_dirty = false;
        row->is_stored = true;
        side->dirty_rows.count = 0;
    }
    return TARN_OK;
}

static tarn_status join_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    join_op *op = self;
    for (;;) {
        tarn_slice key;
        tarn_slice value;
        bool found = false;
        TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
        if (!found) break;
        op->holding = false;
        if (key.len == 1 && key.data[0] == KEY_META) {
            if (!op_take_int(&value, &op->left_rows)) {
                return op_corrupt_state(&op->base, "the count of left rows is cut off", err);
            }
        } else {
            TARN_TRY(op_blame(&op->base, restore_row(op, key, value, err), err));
        }
    }
    // Which keys the left rows asked for is not stored: any may have been.
    for (size_t i = 0; i < op->stage_count && op->left_rows > 0; i++) {
        op->stages[i].right.all_probed = true;
    }
    return TARN_OK;
}

static const tarn_operator_ops join_ops = {.chunk = join_chunk,
                                           .watermark = join_watermark,
                                           .barrier = join_barrier,
                                           .end = join_end,
                                           .restore = join_restore,
                                           .free = join_free};

// ---- building ----

// The plan nodes that one operator runs, and what feeds them.
typedef struct join_chain {
    const tarn_plan *plans[STAGE_LIMIT]; // lowest first
    size_t count;
    const tarn_plan *left;
    bool can_replay;
    tarn_op_replay replay;
} join_chain;

static void add_plan(join_chain *chain, const tarn_plan *plan) {
    for (size_t i = chain->count; i > 0; i--) chain->plans[i] = chain->plans[i - 1];
    chain->plans[0] = plan;
    chain->count++;
    chain->left = plan->inputs[0];
}

static void find_chain(const op_builder *builder, const tarn_plan *plan, join_chain *chain) {
    *chain = (join_chain){0};
    add_plan(chain, plan);
    if (builder->context->mode == TARN_OP_BATCH) return;
    while (chain->count < STAGE_LIMIT &&
           (chain->left->kind == TARN_PLAN_JOIN || op_transform_is(chain->left))) {
        add_plan(chain, chain->left);
    }
    const tarn_op_context *context = builder->context;
    if (chain->left->kind == TARN_PLAN_SCAN && chain->left->append_only &&
        context->get_replay != NULL) {
        chain->can_replay = context->get_replay(context->leaf_context, chain->left, &chain->replay);
    }
    // Left rows that are kept are kept as narrow and few as they are when they enter a join.
    size_t skipped = 0;
    while (!chain->can_replay && chain->plans[skipped]->kind != TARN_PLAN_JOIN) {
        skipped++;
        tarn_assert(skipped < chain->count); // the highest is a join
    }
    chain->count -= skipped;
    for (size_t i = 0; i < chain->count; i++) chain->plans[i] = chain->plans[skipped + i];
    chain->left = chain->plans[0]->inputs[0];
}

static tarn_status init_sides(join_op *op, join_stage *stage, tarn_eval_context eval,
                              tarn_error *err) {
    const tarn_plan *plan = stage->plan;
    join_side_options options = {.schema = &plan->inputs[1]->schema,
                                 .keys = plan->join.right_keys,
                                 .key_count = plan->join.key_count,
                                 .eval = eval,
                                 .is_stream = op->is_stream,
                                 .stage = (uint8_t)(stage - op->stages),
                                 .letter = 'r'};
    TARN_TRY(join_side_init(&stage->right, &op->base, &options, err));
    stage->keeps_left = op->is_stream && !op->can_replay;
    if (!stage->keeps_left) return TARN_OK;
    options.schema = &plan->inputs[0]->schema;
    options.keys = plan->join.left_keys;
    options.letter = 'l';
    return join_side_init(&stage->left, &op->base, &options, err);
}

static tarn_status init_stage(join_op *op, join_stage *stage, const tarn_plan *plan,
                              tarn_eval_context eval, tarn_error *err) {
    const tarn_alloc *alloc = op->base.alloc;
    stage->plan = plan;
    if (plan->kind != TARN_PLAN_JOIN) {
        return op_transform_new(plan, alloc, eval, &stage->transform, err);
    }
    TARN_TRY(init_sides(op, stage, eval, err));
    if (plan->join.key_count > 0) {
        TARN_TRY(tarn_program_new(alloc, plan->join.left_keys, plan->join.key_count,
                                  &stage->left_keys, err));
        tarn_program_set_context(stage->left_keys, eval);
    }
    if (plan->join.residual != NULL) {
        TARN_TRY(tarn_program_new(alloc, &plan->join.residual, 1, &stage->residual, err));
        tarn_program_set_context(stage->residual, eval);
    }
    return TARN_OK;
}

static tarn_status init_stages(join_op *op, const join_chain *chain, tarn_eval_context eval,
                               tarn_error *err) {
    tarn_arena *arena = &op->base.arena;
    op->stages = tarn_arena_new(arena, join_stage, chain->count);
    op->links = tarn_arena_new(arena, join_link, chain->count + 1);
    op->right_stages = tarn_arena_new(arena, size_t, chain->count);
    if (op->stages == NULL || op->links == NULL || op->right_stages == NULL) {
        return op_no_memory(&op->base, err);
    }
    for (size_t i = 0; i <= chain->count; i++) op->links[i] = (join_link){.op = op, .stage = i};
    for (size_t i = 0; i < chain->count; i++) {
        tarn_arena_init(&op->stages[i].arena, op->base.alloc, SIZE_MAX);
        tarn_arena_init(&op->stages[i].output_arena, op->base.alloc, SIZE_MAX);
        op->stage_count++;
        TARN_TRY(init_stage(op, &op->stages[i], chain->plans[i], eval, err));
        if (op->stages[i].transform == NULL) op->right_stages[op->right_count++] = i;
    }
    return TARN_OK;
}

static tarn_status new_join(op_builder *builder, const join_chain *chain, join_op **ret_op,
                            tarn_error *err) {
    const tarn_op_context *context = builder->context;
    join_op *op = tarn_alloc_new(context->alloc, join_op, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->base.alloc = context->alloc;
    op->key.alloc = context->alloc;
    op->value.alloc = context->alloc;
    op->is_stream = context->mode == TARN_OP_STREAM;
    op->holding = op->is_stream;
    op->can_replay = chain->can_replay;
    op->replay = chain->replay;
    op->corrected_stage = SIZE_MAX;
    tarn_status status = op_builder_base(builder, "join", &op->base, err);
    if (status == TARN_OK) status = init_stages(op, chain, context->eval, err);
    if (status != TARN_OK) {
        join_free(op);
        return status;
    }
    *ret_op = op;
    return TARN_OK;
}

tarn_status op_build_join(op_builder *builder, const tarn_plan *plan, size_t part_limit,
                          op_parts *ret_parts, tarn_error *err) {
    bool is_stream = builder->context->mode == TARN_OP_STREAM;
    join_chain chain;
    find_chain(builder, plan, &chain);
    double right_rows = plan->inputs[1]->row_estimate;
    if (is_stream || !(right_rows > 0 && right_rows <= COPY_ROWS_LIMIT)) part_limit = 1;
    op_parts lefts;
    TARN_TRY(op_build_parts(builder, chain.left, part_limit, &lefts, err));
    op_parts inputs = {0};
    for (size_t i = 0; i < chain.count; i++) {
        if (chain.plans[i]->kind != TARN_PLAN_JOIN) continue;
        TARN_TRY(
            op_build_one(builder, chain.plans[i]->inputs[1], &inputs.nodes[inputs.count], err));
        inputs.count++;
    }
    inputs.count++; // the left one
    unsigned flags = is_stream ? 0 : TARN_NODE_LAST_INPUT_WAITS;
    for (size_t i = 0; i < lefts.count; i++) {
        join_op *op = NULL;
        TARN_TRY(new_join(builder, &chain, &op, err));
        inputs.nodes[inputs.count - 1] = lefts.nodes[i];
        TARN_TRY(op_builder_add(builder, &op->base, &join_ops, &inputs, flags, &ret_parts->nodes[i],
                                err));
    }
    ret_parts->count = lefts.count;
    return TARN_OK;
}
