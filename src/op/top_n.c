// top_n.c - per partition the first rows in an order, optionally numbered.
//
// A partition keeps its rows in order: all of them when rows can be taken back (any may move up),
// else only as many as can ever be shown. A query emits each partition's first rows at the end; a
// view emits at each barrier the difference to what it showed before: all -D of the epoch, then all
// +I, so that a row that changes its number or partition is never missed by a keyed table.
//
// State: per row (row codec) its count of copies.
#include "base/hash.h"
#include "op/ordered.h"

// Behind the partition keys in the table of partitions.
typedef struct partition {
    ordered_set set;
    const ordered_entry *last; // of the set; NULL: to be looked up
    op_pointers shown;         // entries that downstream has, in order
    bool is_dirty;
} partition;

typedef struct top_n_op {
    op_base base;
    const tarn_plan *plan;
    tarn_plan limit_plan; // what `plan` is when it was made of a LIMIT
    const tarn_plan *limit_input;
    bool is_stream;
    int64_t keep_limit; // rows worth keeping per partition; -1: all
    op_layout keys;
    op_groups partitions;
    tarn_program *program; // partition keys, then sort keys
    tarn_key_order *orders;
    op_group_list dirty; // partitions
    op_pointers changed; // entries to write at the barrier, with a reference each
    uint64_t random;
    tarn_buffer key;
    tarn_buffer row;
    uint64_t *hashes; // scratch of one chunk
    uint8_t **groups;
} top_n_op;

static partition *partition_of(const top_n_op *op, uint8_t *group) {
    return (partition *)(void *)(group + op->keys.end_offset);
}

static void drop_shown(top_n_op *op, partition *p) {
    for (size_t i = 0; i < p->shown.count; i++) {
        ordered_entry_unref(p->shown.items[i], op->base.alloc);
    }
    op_pointers_free(&p->shown, op->base.alloc);
}

static void drop_changed(top_n_op *op) {
    for (size_t i = 0; i < op->changed.count; i++) {
        ordered_entry *entry = op->changed.items[i];
        entry->is_dirty = false;
        ordered_entry_unref(entry, op->base.alloc);
    }
    op->changed.count = 0;
}

static void top_n_free(void *self) {
    top_n_op *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    drop_changed(op);
    op_pointers_free(&op->changed, alloc);
    if (op->partitions.alloc != NULL) {
        op_groups_iterator iterator = op_groups_begin(&op->partitions);
        for (uint8_t *group; (group = op_groups_next(&op->partitions, &iterator)) != NULL;) {
            drop_shown(op, partition_of(op, group));
            ordered_set_clear(&partition_of(op, group)->set, alloc);
        }
    }
    op_groups_free(&op->partitions);
    op_group_list_free(&op->dirty, alloc);
    tarn_program_free(op->program);
    tarn_buffer_free(&op->key);
    tarn_buffer_free(&op->row);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

// ---- rows in ----

static tarn_status note_changed(top_n_op *op, ordered_entry *entry, tarn_error *err) {
    if (!op->is_stream || entry->is_dirty) return TARN_OK;
    if (!op_pointers_push(&op->changed, entry, op->base.alloc)) {
        return op_no_memory(&op->base, err);
    }
    entry->is_dirty = true;
    ordered_entry_ref(entry);
    return TARN_OK;
}

static tarn_status change_entry(top_n_op *op, partition *p, ordered_entry *entry, int64_t change,
                                tarn_error *err) {
    TARN_TRY(note_changed(op, entry, err));
    p->last = NULL;
    entry->count += change;
    p->set.copies += change;
    if (entry->count == 0) ordered_set_remove(&p->set, entry, op->base.alloc);
    return TARN_OK;
}

// Forgets what can never be shown: with rows that are only added, those behind the last place.
static tarn_status trim(top_n_op *op, partition *p, tarn_error *err) {
    while (op->keep_limit >= 0 && p->set.copies > op->keep_limit) {
        ordered_entry *last = ordered_set_last(&p->set);
        int64_t excess = p->set.copies - op->keep_limit;
        int64_t taken = excess < last->count ? excess : last->count;
        TARN_TRY(change_entry(op, p, last, -taken, err));
    }
    return TARN_OK;
}

// Whether the key comes behind all that a full partition keeps.
static bool is_beyond(const top_n_op *op, partition *p) {
    if (op->keep_limit < 0 || p->set.copies < op->keep_limit) return false;
    if (op->keep_limit == 0) return true;
    if (p->last == NULL) p->last = ordered_set_last(&p->set);
    return tarn_slice_compare(tarn_buffer_slice(&op->key), p->last->key) > 0;
}

static tarn_status add_row(top_n_op *op, const tarn_chunk *chunk, size_t row,
                           const tarn_vector *sort_keys, uint8_t *group, int64_t change,
                           tarn_error *err) {
    partition *p = partition_of(op, group);
    tarn_buffer_clear(&op->key);
    TARN_TRY(tarn_key_encode(sort_keys, op->plan->top_n.key_count, op->orders, row, &op->key, err));
    if (is_beyond(op, p)) return TARN_OK;
    tarn_buffer_clear(&op->row);
    TARN_TRY(tarn_row_encode(chunk->columns, chunk->column_count, row, &op->row, err));
    op->random = tarn_hash_u64(op->random + 0x9E3779B97F4A7C15u);
    ordered_entry *entry =
        ordered_set_find(&p->set, tarn_buffer_slice(&op->key), tarn_buffer_slice(&op->row),
                         op->random, op->base.alloc);
    if (entry == NULL) return op_no_memory(&op->base, err);
    TARN_TRY(change_entry(op, p, entry, change, err));
    if (!p->is_dirty) {
        if (!op_group_list_push(&op->dirty, group, op->base.alloc)) {
            return op_no_memory(&op->base, err);
        }
        p->is_dirty = true;
    }
    return trim(op, p, err);
}

static tarn_status add_rows(top_n_op *op, const tarn_chunk *chunk, int64_t weight,
                            tarn_error *err) {
    size_t partition_count = op->plan->top_n.partition_count;
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    tarn_vector *keys =
        tarn_arena_new(arena, tarn_vector, partition_count + op->plan->top_n.key_count + 1);
    if (keys == NULL) return op_no_memory(&op->base, err);
    if (partition_count + op->plan->top_n.key_count > 0) {
        TARN_TRY(tarn_program_eval(op->program, chunk, arena, keys, err));
    }
    op_hash_rows(keys, partition_count, chunk, op->hashes);
    op_probe probe = {.keys = keys, .chunk = chunk, .hashes = op->hashes, .add = true};
    TARN_TRY(op_groups_probe(&op->partitions, &probe, op->groups, err));
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        bool retract = tarn_row_kind_is_retract(op_chunk_kind(chunk, row));
        TARN_TRY(add_row(op, chunk, row, keys + partition_count, op->groups[i],
                         retract ? -weight : weight, err));
    }
    return TARN_OK;
}

static tarn_status top_n_chunk(void *self, size_t input, const tarn_chunk *chunk,
                               tarn_output *output, tarn_error *err) {
    (void)input;
    (void)output;
    top_n_op *op = self;
    return op_blame(&op->base, add_rows(op, chunk, 1, err), err);
}

// ---- rows out ----

typedef struct shown_row {
    const ordered_entry *entry;
    int64_t number;
} shown_row;

// Rows collected for output.
typedef struct shown_list {
    shown_row *rows;
    size_t count;
    size_t capacity;
} shown_list;

static bool list_push(shown_list *list, const ordered_entry *entry, int64_t number,
                      tarn_arena *arena) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        shown_row *rows = tarn_arena_new_raw(arena, shown_row, capacity);
        if (rows == NULL) return false;
        if (list->count > 0) memcpy(rows, list->rows, list->count * sizeof *rows);
        list->rows = rows;
        list->capacity = capacity;
    }
    list->rows[list->count++] = (shown_row){.entry = entry, .number = number};
    return true;
}

static tarn_status emit_slice(top_n_op *op, const shown_row *rows, size_t count, tarn_row_kind kind,
                              tarn_arena *arena, tarn_output *output, tarn_error *err) {
    const tarn_schema *schema = &op->plan->schema;
    tarn_arena_clear(arena);
    tarn_chunk chunk = {.row_count = count, .column_count = schema->field_count};
    chunk.columns = tarn_arena_new(arena, tarn_vector, schema->field_count + 1);
    uint8_t *kinds = tarn_arena_new_raw(arena, uint8_t, count);
    if (chunk.columns == NULL || kinds == NULL) return op_no_memory(&op->base, err);
    size_t row_columns = schema->field_count - (op->plan->top_n.numbered ? 1 : 0);
    for (size_t c = 0; c < schema->field_count; c++) {
        TARN_TRY(
            tarn_vector_init_flat(&chunk.columns[c], schema->fields[c].type, count, arena, err));
        if (c < row_columns) {
            TARN_TRY(tarn_vector_make_validity(&chunk.columns[c], count, arena, err));
        }
    }
    for (size_t i = 0; i < count; i++) {
        tarn_slice bytes = rows[i].entry->row;
        TARN_TRY(tarn_row_decode(&bytes, chunk.columns, row_columns, i, err));
        if (op->plan->top_n.numbered) {
            ((int64_t *)chunk.columns[row_columns].data)[i] = rows[i].number;
        }
        kinds[i] = (uint8_t)kind;
    }
    if (kind != TARN_ROW_INSERT) chunk.kinds = kinds;
    return tarn_output_emit(output, &chunk, err);
}

static tarn_status emit_list(top_n_op *op, const shown_list *list, tarn_row_kind kind,
                             tarn_output *output, tarn_error *err) {
    tarn_arena arena; // the lists live in batch_arena
    tarn_arena_init(&arena, op->base.alloc, SIZE_MAX);
    tarn_status status = TARN_OK;
    for (size_t begin = 0; begin < list->count && status == TARN_OK; begin += TARN_CHUNK_ROWS) {
        size_t count = list->count - begin;
        if (count > TARN_CHUNK_ROWS) count = TARN_CHUNK_ROWS;
        status = emit_slice(op, list->rows + begin, count, kind, &arena, output, err);
    }
    tarn_arena_reset(&arena);
    return status;
}

// The rows of the partition that are to be shown, with their numbers.
static tarn_status list_top(top_n_op *op, const partition *p, shown_list *list, tarn_error *err) {
    int64_t offset = op->plan->top_n.offset > 0 ? op->plan->top_n.offset : 0;
    int64_t limit = op->plan->top_n.limit;
    int64_t number = 0;
    for (const ordered_entry *entry = p->set.heads[0]; entry != NULL; entry = entry->next[0]) {
        for (int64_t copy = 0; copy < entry->count; copy++) {
            if (limit >= 0 && number - offset >= limit) return TARN_OK;
            if (number++ < offset) continue;
            if (!list_push(list, entry, number, &op->base.batch_arena)) {
                return op_no_memory(&op->base, err);
            }
        }
    }
    return TARN_OK;
}

// Appends to `gone` and `come` what differs between what is shown and what is to be.
static bool compare_shown(top_n_op *op, const partition *p, const shown_list *top, shown_list *gone,
                          shown_list *come) {
    tarn_arena *arena = &op->base.batch_arena;
    int64_t first = op->plan->top_n.offset > 0 ? op->plan->top_n.offset + 1 : 1;
    bool numbered = op->plan->top_n.numbered;
    size_t old = 0;
    size_t new = 0;
    while (old < p->shown.count || new < top->count) {
        int order;
        if (old == p->shown.count) {
            order = 1;
        } else if (new == top->count) {
            order = -1;
        } else {
            order = ordered_entry_compare(p->shown.items[old], top->rows[new].entry);
        }
        bool both = order == 0 || (numbered && old < p->shown.count && new < top->count);
        bool leaves = order < 0 || (both && order != 0);
        bool enters = order > 0 || (both && order != 0);
        if (leaves && !list_push(gone, p->shown.items[old], first + (int64_t)old, arena)) {
            return false;
        }
        if (enters && !list_push(come, top->rows[new].entry, top->rows[new].number, arena)) {
            return false;
        }
        old += both || order < 0;
        new += both || order > 0;
    }
    return true;
}

// Remembers `top` as shown. What was shown before moves to `released`, which keeps it alive until
// it has been emitted.
static tarn_status show(top_n_op *op, partition *p, const shown_list *top, op_pointers *released,
                        tarn_error *err) {
    const tarn_alloc *alloc = op->base.alloc;
    while (p->shown.count > 0) {
        if (!op_pointers_push(released, p->shown.items[p->shown.count - 1], alloc)) {
            return op_no_memory(&op->base, err);
        }
        p->shown.count--;
    }
    for (size_t i = 0; i < top->count; i++) {
        ordered_entry *entry = op_unconst(top->rows[i].entry); // the set's own
        if (!op_pointers_push(&p->shown, entry, alloc)) return op_no_memory(&op->base, err);
        ordered_entry_ref(entry);
    }
    return TARN_OK;
}

static tarn_status show_dirty(top_n_op *op, shown_list *gone, shown_list *come,
                              op_pointers *released, tarn_error *err) {
    for (size_t i = 0; i < op->dirty.count; i++) {
        partition *p = partition_of(op, op->dirty.groups[i]);
        p->is_dirty = false;
        shown_list top = {0};
        TARN_TRY(list_top(op, p, &top, err));
        if (!compare_shown(op, p, &top, gone, come)) return op_no_memory(&op->base, err);
        TARN_TRY(show(op, p, &top, released, err));
    }
    return TARN_OK;
}

// Brings what is shown up to date, and says so downstream unless `output` is NULL.
static tarn_status update_shown(top_n_op *op, tarn_output *output, tarn_error *err) {
    tarn_arena_clear(&op->base.batch_arena);
    shown_list gone = {0};
    shown_list come = {0};
    op_pointers released = {0};
    tarn_status status = show_dirty(op, &gone, &come, &released, err);
    if (status == TARN_OK && output != NULL) {
        status = emit_list(op, &gone, TARN_ROW_DELETE, output, err);
        if (status == TARN_OK) status = emit_list(op, &come, TARN_ROW_INSERT, output, err);
    }
    for (size_t i = 0; i < released.count; i++) {
        ordered_entry_unref(released.items[i], op->base.alloc);
    }
    op_pointers_free(&released, op->base.alloc);
    return status;
}

// A partition without rows is forgotten.
static void forget_empty(top_n_op *op) {
    for (size_t i = 0; i < op->dirty.count; i++) {
        partition *p = partition_of(op, op->dirty.groups[i]);
        if (p->set.heads[0] != NULL || p->shown.count > 0) continue;
        op_pointers_free(&p->shown, op->base.alloc);
        op_groups_remove(&op->partitions, op->dirty.groups[i]);
    }
    op->dirty.count = 0;
}

static tarn_status top_n_end(void *self, size_t input, tarn_output *output, tarn_error *err) {
    (void)input;
    top_n_op *op = self;
    if (op->is_stream) return TARN_OK;
    op_groups_iterator iterator = op_groups_begin(&op->partitions);
    for (uint8_t *group; (group = op_groups_next(&op->partitions, &iterator)) != NULL;) {
        if (tarn_output_is_closed(output)) return TARN_OK;
        tarn_arena_clear(&op->base.batch_arena);
        shown_list top = {0};
        tarn_status status = list_top(op, partition_of(op, group), &top, err);
        if (status == TARN_OK) status = emit_list(op, &top, TARN_ROW_INSERT, output, err);
        if (status != TARN_OK) return op_blame(&op->base, status, err);
    }
    return TARN_OK;
}

// ---- checkpoints ----

static tarn_status write_entry(top_n_op *op, ordered_entry *entry, tarn_state_writer *state,
                               tarn_error *err) {
    if (entry->count == 0) {
        if (!entry->is_stored) return TARN_OK;
        entry->is_stored = false;
        return tarn_state_delete(state, entry->row, err);
    }
    tarn_buffer_clear(&op->row);
    if (!op_put_int(&op->row, entry->count)) return op_no_memory(&op->base, err);
    entry->is_stored = true;
    return tarn_state_put(state, entry->row, tarn_buffer_slice(&op->row), err);
}

static tarn_status write_all(top_n_op *op, tarn_state_writer *state, tarn_error *err) {
    op_groups_iterator iterator = op_groups_begin(&op->partitions);
    for (uint8_t *group; (group = op_groups_next(&op->partitions, &iterator)) != NULL;) {
        ordered_entry *entry = partition_of(op, group)->set.heads[0];
        for (; entry != NULL; entry = entry->next[0]) {
            TARN_TRY(write_entry(op, entry, state, err));
        }
    }
    return TARN_OK;
}

static tarn_status cut_epoch(top_n_op *op, tarn_state_writer *state, tarn_output *output,
                             tarn_error *err) {
    TARN_TRY(update_shown(op, output, err));
    if (tarn_state_writer_is_full(state)) {
        TARN_TRY(write_all(op, state, err));
    } else {
        // A row that left and came back within the epoch is listed twice, under two entries: first
        // deleted, then put.
        for (size_t i = 0; i < op->changed.count; i++) {
            TARN_TRY(write_entry(op, op->changed.items[i], state, err));
        }
    }
    drop_changed(op);
    forget_empty(op);
    return TARN_OK;
}

static tarn_status top_n_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                 tarn_output *output, tarn_error *err) {
    (void)epoch;
    top_n_op *op = self;
    return op_blame(&op->base, cut_epoch(op, state, output, err), err);
}

static tarn_status restore_row(top_n_op *op, tarn_slice row, tarn_slice value, tarn_arena *arena,
                               tarn_error *err) {
    const tarn_schema *schema = &op->plan->inputs[0]->schema;
    tarn_arena_clear(arena);
    tarn_chunk chunk = {.row_count = 1, .column_count = schema->field_count};
    chunk.columns = tarn_arena_new(arena, tarn_vector, schema->field_count + 1);
    if (chunk.columns == NULL) return op_no_memory(&op->base, err);
    for (size_t c = 0; c < schema->field_count; c++) {
        TARN_TRY(tarn_vector_init_flat(&chunk.columns[c], schema->fields[c].type, 1, arena, err));
        TARN_TRY(tarn_vector_make_validity(&chunk.columns[c], 1, arena, err));
    }
    TARN_TRY(tarn_row_decode(&row, chunk.columns, schema->field_count, 0, err));
    int64_t count = 0;
    if (!op_take_int(&value, &count)) {
        return op_corrupt_state(&op->base, "a row has no count", err);
    }
    return add_rows(op, &chunk, count, err);
}

static tarn_status restore_rows(top_n_op *op, tarn_state_reader *state, tarn_arena *arena,
                                tarn_error *err) {
    for (;;) {
        tarn_slice key;
        tarn_slice value;
        bool found = false;
        TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
        if (!found) break;
        TARN_TRY(restore_row(op, key, value, arena, err));
    }
    TARN_TRY(update_shown(op, NULL, err));
    for (size_t i = 0; i < op->changed.count; i++) {
        ordered_entry *entry = op->changed.items[i];
        entry->is_stored = entry->count != 0;
    }
    drop_changed(op);
    forget_empty(op);
    return TARN_OK;
}

static tarn_status top_n_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    top_n_op *op = self;
    tarn_arena arena;
    tarn_arena_init(&arena, op->base.alloc, SIZE_MAX);
    tarn_status status = restore_rows(op, state, &arena, err);
    tarn_arena_reset(&arena);
    return op_blame(&op->base, status, err);
}

static const tarn_operator_ops top_n_ops = {.chunk = top_n_chunk,
                                            .barrier = top_n_barrier,
                                            .end = top_n_end,
                                            .restore = top_n_restore,
                                            .free = top_n_free};

// ---- building ----

static tarn_status init_programs(top_n_op *op, op_builder *builder, tarn_error *err) {
    const tarn_plan *plan = op->plan;
    tarn_arena *arena = &op->base.arena;
    size_t partition_count = plan->top_n.partition_count;
    size_t key_count = plan->top_n.key_count;
    tarn_type *types = tarn_arena_new(arena, tarn_type, partition_count + 1);
    op->orders = tarn_arena_new(arena, tarn_key_order, key_count + 1);
    const tarn_expr **exprs =
        tarn_arena_new(arena, const tarn_expr *, partition_count + key_count + 1);
    op->hashes = tarn_arena_new_raw(arena, uint64_t, TARN_CHUNK_ROWS);
    op->groups = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    if (types == NULL || op->orders == NULL || exprs == NULL || op->hashes == NULL ||
        op->groups == NULL) {
        return op_no_memory(&op->base, err);
    }
    for (size_t i = 0; i < partition_count; i++) {
        exprs[i] = plan->top_n.partitions[i];
        types[i] = exprs[i]->type;
    }
    for (size_t k = 0; k < key_count; k++) {
        exprs[partition_count + k] = plan->top_n.keys[k].expr;
        op->orders[k] = plan->top_n.keys[k].order;
    }
    TARN_TRY(op_layout_init(&op->keys, types, partition_count, OP_GROUP_NULL_OFFSET, arena, err));
    op_groups_init(&op->partitions, op->base.alloc, &op->keys,
                   op->keys.end_offset + sizeof(partition), true);
    if (partition_count + key_count == 0) return TARN_OK;
    TARN_TRY(
        tarn_program_new(op->base.alloc, exprs, partition_count + key_count, &op->program, err));
    tarn_program_set_context(op->program, builder->context->eval);
    return TARN_OK;
}

static int64_t keep_limit_of(const tarn_plan *plan, bool is_stream) {
    int64_t limit = -1;
    if (plan->top_n.limit < 0 || (is_stream && !plan->inputs[0]->append_only)) return -1;
    int64_t offset = plan->top_n.offset > 0 ? plan->top_n.offset : 0;
    if (__builtin_add_overflow(plan->top_n.limit, offset, &limit)) return -1;
    return limit;
}

// LIMIT in a view is a top-N: of its ORDER BY, or by the rows' bytes where there is none.
static void take_limit(top_n_op *op, const tarn_plan *limit) {
    const tarn_plan *input = limit->inputs[0];
    op->limit_plan = *limit;
    op->limit_plan.kind = TARN_PLAN_TOP_N;
    memset(&op->limit_plan.top_n, 0, sizeof op->limit_plan.top_n);
    op->limit_plan.top_n.limit = limit->limit.limit;
    op->limit_plan.top_n.offset = limit->limit.offset;
    if (input->kind == TARN_PLAN_SORT) {
        op->limit_plan.top_n.keys = input->sort.keys;
        op->limit_plan.top_n.key_count = input->sort.key_count;
        input = input->inputs[0];
    }
    op->limit_input = input;
    op->limit_plan.inputs = &op->limit_input;
    op->plan = &op->limit_plan;
}

tarn_status op_build_top_n(op_builder *builder, const tarn_plan *plan, tarn_node *ret_node,
                           tarn_error *err) {
    const tarn_alloc *alloc = builder->context->alloc;
    top_n_op *op = tarn_alloc_new(alloc, top_n_op, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->base.alloc = alloc;
    op->key.alloc = alloc;
    op->row.alloc = alloc;
    op->plan = plan;
    if (plan->kind == TARN_PLAN_LIMIT) take_limit(op, plan);
    op->is_stream = builder->context->mode == TARN_OP_STREAM;
    op->keep_limit = keep_limit_of(op->plan, op->is_stream);
    tarn_node input;
    tarn_status status = op_build_whole(builder, op->plan->inputs[0], &input, err);
    if (status == TARN_OK) status = op_builder_base(builder, "top", &op->base, err);
    if (status == TARN_OK) status = init_programs(op, builder, err);
    if (status != TARN_OK) {
        top_n_free(op);
        return status;
    }
    op_parts inputs = op_one_part(input);
    return op_builder_add(builder, &op->base, &top_n_ops, &inputs, 0, ret_node, err);
}
