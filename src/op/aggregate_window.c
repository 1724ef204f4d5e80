// aggregate_window.c - aggregation that emits a group once, when its window has closed.
//
// Groups live in one table per window end, so that closing a window is handing out a table and
// forgetting it. The windows are few (those between the watermark and the latest event) and kept in
// order.
//
// A row is late when its window had closed under the watermark in force before that very row. It is
// counted and left out. A row whose window column is NULL belongs to a window that closes with the
// final watermark.
//
// State: 'g' and a group's key: its row count and aggregate states; 'm': watermark and late rows.
#include <stdatomic.h>

#include "op/op_internal.h"

enum { KEY_GROUP = 'g', KEY_META = 'm' };
enum {
    GROUP_DIRTY = 1,  // in its window's dirty list
    GROUP_STORED = 2, // the checkpoints have an entry for it
};

typedef struct window window;
struct window {
    int64_t end_us;
    op_groups table;
    op_group_list dirty;
    // While a chunk is added: its rows, as a list through next_row.
    window *next_touched;
    bool touched;
    uint32_t first_row;
    uint32_t last_row;
    size_t row_count;
};

typedef struct window_aggregate {
    op_base base;
    op_aggregation aggregation;
    size_t window_group;
    int64_t window_offset_us;
    size_t count_offset;
    op_pointers windows; // by end, ascending
    int64_t watermark_us;
    _Atomic uint64_t late_rows; // written by the task, read by anybody
    tarn_buffer closed;         // keys of stored groups that are gone: length, bytes
    tarn_buffer key;
    tarn_buffer value;
    // scratch of one chunk, TARN_CHUNK_ROWS each
    uint64_t *hashes;
    uint64_t *window_hashes;
    uint32_t *next_row; // position of the next row of the same window
    uint32_t *positions;
    uint32_t *selection;
    uint8_t **groups;
    uint8_t **window_groups;
} window_aggregate;

static op_group *header_of(uint8_t *group) {
    return (op_group *)(void *)group;
}

static int64_t *rows_of(const window_aggregate *op, uint8_t *group) {
    return (int64_t *)(void *)(group + op->count_offset);
}

static void free_window(window_aggregate *op, window *w) {
    op_aggregation_destroy_table(&op->aggregation, &w->table);
    op_group_list_free(&w->dirty, op->base.alloc);
    tarn_alloc_free(op->base.alloc, w, 1);
}

static void aggregate_free(void *self) {
    window_aggregate *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    for (size_t i = 0; i < op->windows.count; i++) free_window(op, op->windows.items[i]);
    op_pointers_free(&op->windows, alloc);
    op_aggregation_free(&op->aggregation);
    tarn_buffer_free(&op->closed);
    tarn_buffer_free(&op->key);
    tarn_buffer_free(&op->value);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

// ---- windows ----

static window *window_at(const window_aggregate *op, size_t index) {
    return op->windows.items[index];
}

// The first window that ends at `end_us` or later.
static size_t lower_bound(const window_aggregate *op, int64_t end_us) {
    size_t low = 0;
    size_t high = op->windows.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (window_at(op, middle)->end_us < end_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static tarn_status find_window(window_aggregate *op, int64_t end_us, window **ret_window,
                               tarn_error *err) {
    size_t at = lower_bound(op, end_us);
    if (at < op->windows.count && window_at(op, at)->end_us == end_us) {
        *ret_window = window_at(op, at);
        return TARN_OK;
    }
    window *w = tarn_alloc_new(op->base.alloc, window, 1);
    if (w == NULL) return op_no_memory(&op->base, err);
    w->end_us = end_us;
    op_groups_init(&w->table, op->base.alloc, &op->aggregation.keys, op->aggregation.group_bytes,
                   false);
    if (!op_pointers_insert(&op->windows, at, w, op->base.alloc)) {
        free_window(op, w);
        return op_no_memory(&op->base, err);
    }
    *ret_window = w;
    return TARN_OK;
}

static int64_t window_end(const window_aggregate *op, const tarn_vector *windows, size_t row) {
    if (tarn_vector_is_null(windows, row)) return INT64_MAX;
    int64_t value = *(const int64_t *)tarn_vector_at(windows, row, sizeof(int64_t));
    int64_t end_us;
    if (__builtin_add_overflow(value, op->window_offset_us, &end_us)) return INT64_MAX;
    return end_us;
}

// ---- rows in ----

static tarn_status touch_window(window_aggregate *op, window **touched, window **ret_window,
                                int64_t end_us, tarn_error *err) {
    window *w = NULL;
    TARN_TRY(find_window(op, end_us, &w, err));
    tarn_assert(w != NULL);
    if (!w->touched) {
        w->touched = true;
        w->row_count = 0;
        w->next_touched = *touched;
        *touched = w;
    }
    *ret_window = w;
    return TARN_OK;
}

static void append_row(window_aggregate *op, window *w, uint32_t position) {
    if (w->row_count++ == 0) {
        w->first_row = position;
    } else {
        op->next_row[w->last_row] = position;
    }
    w->last_row = position;
}

// Sorts the selected rows into their windows; late ones are counted and left out of `kept`.
static tarn_status assign_windows(window_aggregate *op, const tarn_chunk *chunk,
                                  const tarn_vector *windows, window **touched, size_t *ret_kept,
                                  tarn_error *err) {
    size_t kept = 0;
    uint64_t late = 0;
    window *current = NULL;
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        int64_t end_us = window_end(op, windows, row);
        int64_t watermark_us = op->watermark_us;
        if (chunk->watermarks != NULL && chunk->watermarks[row] > watermark_us) {
            watermark_us = chunk->watermarks[row];
        }
        if (watermark_us != TARN_NO_WATERMARK && end_us <= watermark_us) {
            late++;
            continue;
        }
        if (current == NULL || current->end_us != end_us) {
            TARN_TRY(touch_window(op, touched, &current, end_us, err));
        }
        append_row(op, current, (uint32_t)kept);
        op->positions[kept] = (uint32_t)i;
        op->selection[kept++] = (uint32_t)row;
    }
    // Relaxed: a counter for itself, with one writer.
    atomic_fetch_add_explicit(&op->late_rows, late, memory_order_relaxed);
    *ret_kept = kept;
    return TARN_OK;
}

// Finds the groups of one window's rows.
static tarn_status find_groups(window_aggregate *op, window *w, const op_aggregation_input *input,
                               tarn_error *err) {
    uint32_t rows[TARN_CHUNK_ROWS];
    const size_t row_count = w->row_count;
    uint32_t position = w->first_row;
    for (size_t i = 0; i < row_count; i++) {
        rows[i] = op->selection[position];
        op->window_hashes[i] = op->hashes[op->positions[position]];
        position = op->next_row[position];
    }
    tarn_chunk part = *input->chunk;
    part.selection = rows;
    part.selected_count = row_count;
    op_probe probe = {
        .keys = input->vectors, .chunk = &part, .hashes = op->window_hashes, .add = true};
    TARN_TRY(op_groups_probe(&w->table, &probe, op->window_groups, err));
    position = w->first_row;
    for (size_t i = 0; i < row_count; i++) {
        uint8_t *group = op->window_groups[i];
        op->groups[position] = group;
        position = op->next_row[position];
        bool retract = tarn_row_kind_is_retract(op_chunk_kind(input->chunk, rows[i]));
        *rows_of(op, group) += retract ? -1 : 1;
        if (header_of(group)->flags & GROUP_DIRTY) continue;
        if (!op_group_list_push(&w->dirty, group, op->base.alloc)) {
            return op_no_memory(&op->base, err);
        }
        header_of(group)->flags |= GROUP_DIRTY;
    }
    return TARN_OK;
}

static tarn_status add_rows(window_aggregate *op, const tarn_chunk *chunk, tarn_error *err) {
    tarn_arena *arena = &op->base.batch_arena;
    op_aggregation_input input;
    TARN_TRY(op_aggregation_eval(&op->aggregation, chunk, arena, &input, err));
    op_hash_rows(input.vectors, op->aggregation.group_count, chunk, op->hashes);
    window *touched = NULL;
    size_t kept = 0;
    tarn_status status =
        assign_windows(op, chunk, &input.vectors[op->window_group], &touched, &kept, err);
    for (window *w = touched; w != NULL; w = w->next_touched) {
        w->touched = false;
        if (status == TARN_OK) status = find_groups(op, w, &input, err);
    }
    if (status != TARN_OK || kept == 0) return status;
    tarn_chunk on_time = *chunk;
    if (kept < tarn_chunk_count(chunk)) {
        on_time.selection = op->selection;
        on_time.selected_count = kept;
    }
    return op_aggregation_update(&op->aggregation, &input, &on_time, op->groups, arena, err);
}

static tarn_status aggregate_chunk(void *self, size_t input, const tarn_chunk *chunk,
                                   tarn_output *output, tarn_error *err) {
    (void)input;
    (void)output;
    window_aggregate *op = self;
    if (tarn_chunk_count(chunk) == 0) return TARN_OK;
    tarn_arena_clear(&op->base.batch_arena);
    return op_blame(&op->base, add_rows(op, chunk, err), err);
}

// ---- windows out ----

// Appends the keys of groups[0..count) to op->key and notes where each begins.
static tarn_status encode_keys(window_aggregate *op, uint8_t *const *groups, size_t count,
                               size_t *ret_offsets, tarn_error *err) {
    tarn_arena *arena = &op->base.batch_arena;
    size_t group_count = op->aggregation.group_count;
    for (size_t begin = 0; begin < count; begin += TARN_CHUNK_ROWS) {
        size_t step = count - begin < TARN_CHUNK_ROWS ? count - begin : TARN_CHUNK_ROWS;
        tarn_vector *keys = tarn_arena_new(arena, tarn_vector, group_count + 1);
        if (keys == NULL) return op_no_memory(&op->base, err);
        for (size_t g = 0; g < group_count; g++) {
            TARN_TRY(op_layout_gather(&op->aggregation.keys, g, groups + begin, step, arena,
                                      &keys[g], err));
        }
        for (size_t i = 0; i < step; i++) {
            ret_offsets[begin + i] = op->key.len;
            TARN_TRY(tarn_key_encode(keys, group_count, NULL, i, &op->key, err));
        }
    }
    ret_offsets[count] = op->key.len;
    return TARN_OK;
}

// The window's groups with their keys, ordered by them.
static tarn_status sort_groups(window_aggregate *op, window *w, op_sort_item **ret_items,
                               size_t *ret_count, tarn_error *err) {
    tarn_arena *arena = &op->base.batch_arena;
    size_t count = w->table.count;
    uint8_t **groups = tarn_arena_new_raw(arena, uint8_t *, count + 1);
    size_t *offsets = tarn_arena_new_raw(arena, size_t, count + 1);
    op_sort_item *items = tarn_arena_new_raw(arena, op_sort_item, 2 * count + 1);
    if (groups == NULL || offsets == NULL || items == NULL) return op_no_memory(&op->base, err);
    op_groups_iterator iterator = op_groups_begin(&w->table);
    for (size_t i = 0; i < count; i++) groups[i] = op_groups_next(&w->table, &iterator);
    tarn_buffer_clear(&op->key);
    TARN_TRY(encode_keys(op, groups, count, offsets, err));
    for (size_t i = 0; i < count; i++) {
        tarn_slice key = {op->key.data + offsets[i], offsets[i + 1] - offsets[i]};
        op_sort_item_set_key(&items[i], key);
        items[i].payload = groups[i];
    }
    op_sort_items(items, items + count, count);
    *ret_items = items;
    *ret_count = count;
    return TARN_OK;
}

// Remembers the keys of stored groups, to delete them from the state at the next barrier.
static tarn_status note_closed(window_aggregate *op, const op_sort_item *items, size_t count,
                               tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (!(header_of(items[i].payload)->flags & GROUP_STORED)) continue;
        if (!op_put_int(&op->closed, (int64_t)items[i].key.len) ||
            !tarn_buffer_append(&op->closed, items[i].key)) {
            return op_no_memory(&op->base, err);
        }
    }
    return TARN_OK;
}

static tarn_status emit_groups(window_aggregate *op, uint8_t **groups, size_t count,
                               tarn_output *output, tarn_error *err) {
    if (count == 0) return TARN_OK;
    tarn_arena *arena = &op->base.batch_arena;
    size_t column_count = op->aggregation.group_count + op->aggregation.aggregate_count;
    tarn_chunk chunk = {.row_count = count,
                        .column_count = column_count,
                        .columns = tarn_arena_new(arena, tarn_vector, column_count)};
    if (chunk.columns == NULL) return op_no_memory(&op->base, err);
    TARN_TRY(op_aggregation_gather(&op->aggregation, groups, count, arena, chunk.columns, err));
    return tarn_output_emit(output, &chunk, err);
}

static tarn_status close_window(window_aggregate *op, window *w, tarn_output *output,
                                tarn_error *err) {
    tarn_arena_clear(&op->base.batch_arena);
    op_sort_item *items = NULL;
    size_t item_count = 0;
    TARN_TRY(sort_groups(op, w, &items, &item_count, err));
    TARN_TRY(note_closed(op, items, item_count, err));
    uint8_t *groups[TARN_CHUNK_ROWS];
    size_t count = 0;
    for (size_t i = 0; i < item_count; i++) {
        if (*rows_of(op, items[i].payload) <= 0) continue; // all its rows were taken back
        groups[count++] = items[i].payload;
        if (count < TARN_CHUNK_ROWS) continue;
        TARN_TRY(emit_groups(op, groups, count, output, err));
        count = 0;
    }
    return emit_groups(op, groups, count, output, err);
}

static tarn_status aggregate_watermark(void *self, int64_t watermark_us, tarn_output *output,
                                       tarn_error *err) {
    window_aggregate *op = self;
    op->watermark_us = watermark_us;
    size_t closed = 0;
    tarn_status status = TARN_OK;
    while (closed < op->windows.count && window_at(op, closed)->end_us <= watermark_us) {
        window *w = window_at(op, closed++);
        if (status == TARN_OK) status = close_window(op, w, output, err);
        free_window(op, w);
    }
    op->windows.count -= closed;
    if (closed > 0) {
        memmove(op->windows.items, op->windows.items + closed, op->windows.count * sizeof(void *));
    }
    if (status != TARN_OK) return op_blame(&op->base, status, err);
    return tarn_output_watermark(output, watermark_us, err);
}

// ---- checkpoints ----

static tarn_status delete_closed(window_aggregate *op, tarn_state_writer *state, tarn_error *err) {
    tarn_slice rest = tarn_buffer_slice(&op->closed);
    while (rest.len > 0) {
        int64_t len = 0;
        bool whole = op_take_int(&rest, &len);
        tarn_assert(whole);
        tarn_buffer_clear(&op->key);
        if (!tarn_buffer_append_byte(&op->key, KEY_GROUP) ||
            !tarn_buffer_append(&op->key, tarn_slice_head(rest, (size_t)len))) {
            return op_no_memory(&op->base, err);
        }
        TARN_TRY(tarn_state_delete(state, tarn_buffer_slice(&op->key), err));
        rest = tarn_slice_skip(rest, (size_t)len);
    }
    return TARN_OK;
}

static tarn_status write_group(window_aggregate *op, uint8_t *group, const tarn_vector *keys,
                               size_t row, tarn_state_writer *state, tarn_error *err) {
    tarn_buffer_clear(&op->key);
    tarn_buffer_clear(&op->value);
    if (!tarn_buffer_append_byte(&op->key, KEY_GROUP) ||
        !op_put_int(&op->value, *rows_of(op, group))) {
        return op_no_memory(&op->base, err);
    }
    TARN_TRY(tarn_key_encode(keys, op->aggregation.group_count, NULL, row, &op->key, err));
    TARN_TRY(op_aggregation_encode(&op->aggregation, group, &op->value, err));
    header_of(group)->flags = GROUP_STORED;
    return tarn_state_put(state, tarn_buffer_slice(&op->key), tarn_buffer_slice(&op->value), err);
}

static tarn_status write_groups(window_aggregate *op, uint8_t *const *groups, size_t count,
                                tarn_state_writer *state, tarn_error *err) {
    tarn_arena *arena = &op->base.batch_arena;
    size_t group_count = op->aggregation.group_count;
    for (size_t begin = 0; begin < count; begin += TARN_CHUNK_ROWS) {
        size_t step = count - begin < TARN_CHUNK_ROWS ? count - begin : TARN_CHUNK_ROWS;
        tarn_arena_clear(arena);
        tarn_vector *keys = tarn_arena_new(arena, tarn_vector, group_count + 1);
        if (keys == NULL) return op_no_memory(&op->base, err);
        for (size_t g = 0; g < group_count; g++) {
            TARN_TRY(op_layout_gather(&op->aggregation.keys, g, groups + begin, step, arena,
                                      &keys[g], err));
        }
        for (size_t i = 0; i < step; i++) {
            TARN_TRY(write_group(op, groups[begin + i], keys, i, state, err));
        }
    }
    return TARN_OK;
}

static tarn_status write_window(window_aggregate *op, window *w, tarn_state_writer *state,
                                tarn_error *err) {
    if (!tarn_state_writer_is_full(state)) {
        TARN_TRY(write_groups(op, w->dirty.groups, w->dirty.count, state, err));
        w->dirty.count = 0;
        return TARN_OK;
    }
    uint8_t *groups[TARN_CHUNK_ROWS];
    size_t count = 0;
    op_groups_iterator iterator = op_groups_begin(&w->table);
    for (uint8_t *group; (group = op_groups_next(&w->table, &iterator)) != NULL;) {
        groups[count++] = group;
        if (count < TARN_CHUNK_ROWS) continue;
        TARN_TRY(write_groups(op, groups, count, state, err));
        count = 0;
    }
    w->dirty.count = 0;
    return write_groups(op, groups, count, state, err);
}

static tarn_status write_state(window_aggregate *op, tarn_state_writer *state, tarn_error *err) {
    if (!tarn_state_writer_is_full(state)) TARN_TRY(delete_closed(op, state, err));
    tarn_buffer_clear(&op->closed);
    for (size_t i = 0; i < op->windows.count; i++) {
        TARN_TRY(write_window(op, window_at(op, i), state, err));
    }
    tarn_buffer_clear(&op->value);
    uint64_t late = atomic_load_explicit(&op->late_rows, memory_order_relaxed);
    if (!op_put_int(&op->value, op->watermark_us) || !op_put_int(&op->value, (int64_t)late)) {
        return op_no_memory(&op->base, err);
    }
    uint8_t key = KEY_META;
    return tarn_state_put(state, (tarn_slice){&key, 1}, tarn_buffer_slice(&op->value), err);
}

static tarn_status aggregate_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                     tarn_output *output, tarn_error *err) {
    (void)epoch;
    (void)output;
    window_aggregate *op = self;
    return op_blame(&op->base, write_state(op, state, err), err);
}

// ---- restoring ----

static tarn_status restore_meta(window_aggregate *op, tarn_slice value, tarn_error *err) {
    int64_t late = 0;
    if (!op_take_int(&value, &op->watermark_us) || !op_take_int(&value, &late)) {
        return op_corrupt_state(&op->base, "watermark and late rows are cut off", err);
    }
    atomic_store_explicit(&op->late_rows, (uint64_t)late, memory_order_relaxed);
    return TARN_OK;
}

static tarn_status restore_group(window_aggregate *op, tarn_slice key, tarn_slice value,
                                 tarn_error *err) {
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    size_t group_count = op->aggregation.group_count;
    tarn_vector *keys = tarn_arena_new(arena, tarn_vector, group_count + 1);
    if (keys == NULL) return op_no_memory(&op->base, err);
    TARN_TRY(op_key_decode_row(&key, op->aggregation.keys.types, group_count, arena, keys, err));
    window *w = NULL;
    TARN_TRY(find_window(op, window_end(op, &keys[op->window_group], 0), &w, err));
    tarn_chunk one_row = {.row_count = 1, .column_count = group_count, .columns = keys};
    op_hash_rows(keys, group_count, &one_row, op->hashes);
    op_probe probe = {.keys = keys, .chunk = &one_row, .hashes = op->hashes, .add = true};
    TARN_TRY(op_groups_probe(&w->table, &probe, op->groups, err));
    uint8_t *group = op->groups[0];
    if (!op_take_int(&value, rows_of(op, group))) {
        return op_corrupt_state(&op->base, "a group has no row count", err);
    }
    TARN_TRY(op_aggregation_decode(&op->aggregation, &value, group, err));
    if (key.len > 0 || value.len > 0) {
        return op_corrupt_state(&op->base, "a group has bytes too many", err);
    }
    header_of(group)->flags = GROUP_STORED;
    return TARN_OK;
}

static tarn_status aggregate_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    window_aggregate *op = self;
    for (;;) {
        tarn_slice key;
        tarn_slice value;
        bool found = false;
        TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
        if (!found) return TARN_OK;
        if (key.len == 0) return op_corrupt_state(&op->base, "an entry has no key", err);
        tarn_status status = key.data[0] == KEY_META
                                 ? restore_meta(op, value, err)
                                 : restore_group(op, tarn_slice_skip(key, 1), value, err);
        if (status != TARN_OK) return op_blame(&op->base, status, err);
    }
}

static const tarn_operator_ops aggregate_ops = {.chunk = aggregate_chunk,
                                                .watermark = aggregate_watermark,
                                                .barrier = aggregate_barrier,
                                                .restore = aggregate_restore,
                                                .free = aggregate_free};

uint64_t tarn_op_late_rows(tarn_flow *flow, tarn_slice name_prefix) {
    uint64_t late = 0;
    for (tarn_node node = 0; node < tarn_flow_node_count(flow); node++) {
        if (!tarn_slice_starts_with(tarn_flow_node_metrics(flow, node).name, name_prefix)) continue;
        window_aggregate *op = tarn_flow_operator(flow, node, &aggregate_ops);
        if (op != NULL) late += atomic_load_explicit(&op->late_rows, memory_order_relaxed);
    }
    return late;
}

// ---- building ----

static tarn_status init_aggregate(window_aggregate *op, op_builder *builder, const tarn_plan *plan,
                                  tarn_error *err) {
    op->base.alloc = builder->context->alloc;
    op->key.alloc = op->base.alloc;
    op->value.alloc = op->base.alloc;
    op->closed.alloc = op->base.alloc;
    op->watermark_us = TARN_NO_WATERMARK;
    op->window_group = plan->aggregate.window_group;
    op->window_offset_us = plan->aggregate.window_offset_us;
    tarn_assert(op->window_group < plan->aggregate.group_count);
    TARN_TRY(op_builder_base(builder, "window-aggregate", &op->base, err));
    tarn_arena *arena = &op->base.arena;
    bool retractable = !plan->inputs[0]->append_only;
    TARN_TRY(op_aggregation_init(&op->aggregation, plan, &op->base, builder->context->eval,
                                 retractable, sizeof(int64_t), err));
    op->count_offset = op->aggregation.keys.end_offset;
    op->hashes = tarn_arena_new_raw(arena, uint64_t, TARN_CHUNK_ROWS);
    op->window_hashes = tarn_arena_new_raw(arena, uint64_t, TARN_CHUNK_ROWS);
    op->next_row = tarn_arena_new(arena, uint32_t, TARN_CHUNK_ROWS);
    op->positions = tarn_arena_new_raw(arena, uint32_t, TARN_CHUNK_ROWS);
    op->selection = tarn_arena_new_raw(arena, uint32_t, TARN_CHUNK_ROWS);
    op->groups = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    op->window_groups = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    if (op->hashes == NULL || op->window_hashes == NULL || op->next_row == NULL ||
        op->positions == NULL || op->selection == NULL || op->groups == NULL ||
        op->window_groups == NULL) {
        return op_no_memory(&op->base, err);
    }
    return TARN_OK;
}

tarn_status op_build_window_aggregate(op_builder *builder, const tarn_plan *plan,
                                      tarn_node *ret_node, tarn_error *err) {
    tarn_node input;
    TARN_TRY(op_build_one(builder, plan->inputs[0], &input, err));
    window_aggregate *op = tarn_alloc_new(builder->context->alloc, window_aggregate, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    tarn_status status = init_aggregate(op, builder, plan, err);
    if (status != TARN_OK) {
        aggregate_free(op);
        return status;
    }
    op_parts inputs = op_one_part(input);
    return op_builder_add(builder, &op->base, &aggregate_ops, &inputs, 0, ret_node, err);
}
