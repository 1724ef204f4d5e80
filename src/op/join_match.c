// join_match.c - a chunk of left rows against the right side of a join.
#include "op/join_internal.h"

// ---- finding keys ----

// A dictionary's values are looked up once, not once per row.
static tarn_status fill_cache(join_stage *stage, const tarn_dictionary *dictionary,
                              const op_base *base, tarn_error *err) {
    const tarn_alloc *alloc = base->alloc;
    if (stage->cached_count != dictionary->count) {
        tarn_alloc_free(alloc, stage->cached_keys, stage->cached_count);
        stage->cached_count = 0;
        stage->cached_keys = tarn_alloc_new(alloc, uint8_t *, dictionary->count);
        if (stage->cached_keys == NULL) return op_no_memory(base, err);
        stage->cached_count = dictionary->count;
    }
    stage->cached_dictionary = 0;
    for (size_t begin = 0; begin < dictionary->count; begin += TARN_CHUNK_ROWS) {
        size_t count = dictionary->count - begin;
        if (count > TARN_CHUNK_ROWS) count = TARN_CHUNK_ROWS;
        const tarn_string *values = (const tarn_string *)dictionary->data + begin;
        tarn_vector vector = {
            .type = dictionary->type, .kind = TARN_VECTOR_FLAT, .data = op_unconst(values)};
        tarn_chunk chunk = {.row_count = count, .column_count = 1, .columns = &vector};
        TARN_TRY(join_side_find(&stage->right, &vector, &chunk, stage->cached_keys + begin, err));
    }
    stage->cached_dictionary = dictionary->id;
    stage->cached_version = stage->right.version;
    return TARN_OK;
}

static bool is_cacheable(const join_stage *stage, const tarn_vector *key, size_t row_count) {
    if (stage->right.key_layout.column_count != 1) return false;
    if (key->kind != TARN_VECTOR_DICTIONARY) return false;
    if (stage->right.key_layout.physicals[0] != TARN_PHYSICAL_STRING) return false;
    bool is_cached = stage->cached_dictionary == key->dictionary->id &&
                     stage->cached_version == stage->right.version;
    // A dictionary much larger than the chunk would cost more than it saves.
    return is_cached || key->dictionary->count <= 8 * row_count;
}

static tarn_status find_keys(join_stage *stage, const tarn_chunk *chunk, const op_base *base,
                             uint8_t **ret_keys, tarn_error *err) {
    size_t key_count = stage->right.key_layout.column_count;
    tarn_vector *keys = tarn_arena_new(&stage->arena, tarn_vector, key_count + 1);
    if (keys == NULL) return op_no_memory(base, err);
    if (key_count > 0) {
        TARN_TRY(tarn_program_eval(stage->left_keys, chunk, &stage->arena, keys, err));
    }
    if (!is_cacheable(stage, &keys[0], chunk->row_count)) {
        return join_side_find(&stage->right, keys, chunk, ret_keys, err);
    }
    if (stage->cached_dictionary != keys[0].dictionary->id ||
        stage->cached_version != stage->right.version) {
        TARN_TRY(fill_cache(stage, keys[0].dictionary, base, err));
    }
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        ret_keys[i] =
            tarn_vector_is_null(&keys[0], row) ? NULL : stage->cached_keys[keys[0].indices[row]];
    }
    return TARN_OK;
}

// ---- what a right row contributes ----

static int64_t weight_of(const join_row *row, join_mode mode) {
    switch (mode) {
    case JOIN_PROBE: return row->count;
    case JOIN_REMOVE: return row->delta < 0 ? -row->delta : 0;
    case JOIN_ADD: return row->delta > 0 ? row->delta : 0;
    }
    return 0;
}

// Of one left row: does it match before and after the pending change?
typedef struct match_state {
    bool before;
    bool after;
} match_state;

// Whether the left row is shown with NULLs on the right, as far as `mode` asks.
static bool shows_null(match_state state, join_mode mode) {
    switch (mode) {
    case JOIN_PROBE: return !state.before;
    case JOIN_REMOVE: return !state.before && state.after;
    case JOIN_ADD: return state.before && !state.after;
    }
    return false;
}

// ---- output ----

typedef struct match_output {
    join_stage *stage;
    const op_base *base;
    const tarn_chunk *chunk; // left
    join_mode mode;
    op_push next;
    uint32_t left_rows[TARN_CHUNK_ROWS];
    uint8_t *right_rows[TARN_CHUNK_ROWS];
    size_t count;
    uint32_t lone_rows[TARN_CHUNK_ROWS]; // left rows to show with NULLs
    size_t lone_count;
} match_output;

static tarn_status set_kinds(const match_output *out, const uint32_t *rows, tarn_chunk *joined,
                             tarn_error *err) {
    // What a correction emits is not as old as the left row: only the current watermark counts.
    if (out->mode != JOIN_PROBE) joined->watermarks = NULL;
    if (out->mode != JOIN_REMOVE) return TARN_OK; // the gathered kinds are right
    uint8_t *kinds = tarn_arena_new_raw(&out->stage->output_arena, uint8_t, joined->row_count);
    if (kinds == NULL) return op_no_memory(out->base, err);
    for (size_t i = 0; i < joined->row_count; i++) {
        bool retract = tarn_row_kind_is_retract(op_chunk_kind(out->chunk, rows[i]));
        kinds[i] = retract ? TARN_ROW_INSERT : TARN_ROW_DELETE;
    }
    joined->kinds = kinds;
    return TARN_OK;
}

// Left columns of `rows`, with room for the right ones behind them. The chunk before is gone then.
static tarn_status gather_left(const match_output *out, const uint32_t *rows, size_t count,
                               tarn_chunk *ret_joined, tarn_error *err) {
    tarn_arena *arena = &out->stage->output_arena;
    tarn_arena_clear(arena);
    tarn_chunk joined;
    TARN_TRY(op_chunk_gather(out->chunk, rows, count, arena, &joined, err));
    size_t left_count = joined.column_count;
    size_t column_count = left_count + out->stage->right.row_layout.column_count;
    tarn_vector *columns = tarn_arena_new(arena, tarn_vector, column_count + 1);
    if (columns == NULL) return op_no_memory(out->base, err);
    if (left_count > 0) memcpy(columns, joined.columns, left_count * sizeof *columns);
    joined.columns = columns;
    joined.column_count = column_count;
    TARN_TRY(set_kinds(out, rows, &joined, err));
    *ret_joined = joined;
    return TARN_OK;
}

// A right text column as indices into the side's dictionary. `rows` may hold NULL for positions
// that do not count.
static tarn_status index_right(const join_side *right, size_t column, uint8_t *const *rows,
                               size_t count, tarn_arena *arena, tarn_vector *ret_vector,
                               tarn_error *err) {
    uint32_t *indices = tarn_arena_new(arena, uint32_t, count);
    if (indices == NULL) return op_no_memory(right->base, err);
    tarn_vector vector = {.type = right->row_layout.types[column],
                          .kind = TARN_VECTOR_DICTIONARY,
                          .indices = indices,
                          .dictionary = right->dictionaries[column]};
    for (size_t i = 0; i < count; i++) {
        if (rows[i] != NULL) indices[i] = join_row_of(right, rows[i])->ordinal;
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i] != NULL && !op_layout_is_null(&right->row_layout, rows[i], column)) continue;
        if (vector.validity == NULL) {
            TARN_TRY(tarn_vector_make_validity(&vector, count, arena, err));
        }
        tarn_bitmap_unset(vector.validity, i);
    }
    *ret_vector = vector;
    return TARN_OK;
}

// As op_layout_gather, for rows of which some are NULL.
static tarn_status gather_some(const join_side *right, size_t column, uint8_t *const *rows,
                               size_t count, tarn_arena *arena, tarn_vector *ret_vector,
                               tarn_error *err) {
    const op_layout *layout = &right->row_layout;
    tarn_vector vector;
    TARN_TRY(tarn_vector_init_flat(&vector, layout->types[column], count, arena, err));
    size_t offset = layout->offsets[column];
    size_t width = layout->widths[column];
    for (size_t i = 0; i < count; i++) {
        uint8_t *slot = (uint8_t *)vector.data + i * width;
        if (rows[i] == NULL || op_layout_is_null(layout, rows[i], column)) {
            if (vector.validity == NULL) {
                TARN_TRY(tarn_vector_make_validity(&vector, count, arena, err));
            }
            tarn_bitmap_unset(vector.validity, i);
            memset(slot, 0, width);
        } else {
            memcpy(slot, rows[i] + offset, width);
        }
    }
    *ret_vector = vector;
    return TARN_OK;
}

static tarn_status gather_right(const join_side *right, uint8_t *const *rows, size_t count,
                                bool visible, tarn_arena *arena, tarn_vector *ret_columns,
                                tarn_error *err) {
    for (size_t c = 0; c < right->row_layout.column_count; c++) {
        // Rows that only the pending change adds have no ordinal yet.
        bool indexed = visible && right->dictionaries[c] != NULL;
        TARN_TRY(indexed ? index_right(right, c, rows, count, arena, &ret_columns[c], err)
                         : gather_some(right, c, rows, count, arena, &ret_columns[c], err));
    }
    return TARN_OK;
}

static tarn_status flush_pairs(match_output *out, tarn_error *err) {
    if (out->count == 0) return TARN_OK;
    size_t count = out->count;
    out->count = 0;
    tarn_chunk joined;
    TARN_TRY(gather_left(out, out->left_rows, count, &joined, err));
    tarn_vector *right = joined.columns + out->chunk->column_count;
    TARN_TRY(gather_right(&out->stage->right, out->right_rows, count, out->mode == JOIN_PROBE,
                          &out->stage->output_arena, right, err));
    if (out->stage->residual != NULL) {
        tarn_chunk passing;
        TARN_TRY(tarn_program_filter(out->stage->residual, &joined, &out->stage->output_arena,
                                     &passing, err));
        joined = passing;
    }
    if (tarn_chunk_count(&joined) == 0) return TARN_OK;
    return out->next.push(out->next.context, &joined, err);
}

static tarn_status flush_lone(match_output *out, tarn_error *err) {
    if (out->lone_count == 0) return TARN_OK;
    size_t count = out->lone_count;
    out->lone_count = 0;
    tarn_chunk joined;
    TARN_TRY(gather_left(out, out->lone_rows, count, &joined, err));
    const op_layout *layout = &out->stage->right.row_layout;
    for (size_t c = 0; c < layout->column_count; c++) {
        TARN_TRY(tarn_vector_init_constant(&joined.columns[out->chunk->column_count + c],
                                           tarn_value_null(layout->types[c]),
                                           &out->stage->output_arena, err));
    }
    return out->next.push(out->next.context, &joined, err);
}

static tarn_status add_pairs(match_output *out, uint32_t left_row, uint8_t *right_row,
                             int64_t times, tarn_error *err) {
    for (int64_t t = 0; t < times; t++) {
        out->left_rows[out->count] = left_row;
        out->right_rows[out->count++] = right_row;
        if (out->count == TARN_CHUNK_ROWS) TARN_TRY(flush_pairs(out, err));
    }
    return TARN_OK;
}

static tarn_status add_lone(match_output *out, uint32_t left_row, tarn_error *err) {
    out->lone_rows[out->lone_count++] = left_row;
    return out->lone_count == TARN_CHUNK_ROWS ? flush_lone(out, err) : TARN_OK;
}

// ---- matching under a residual condition ----

// LEFT JOIN with more to its condition than keys: whether a left row matches is known only after
// the condition has been tried on every pair.
typedef struct residual_scan {
    uint32_t left_rows[TARN_CHUNK_ROWS];
    uint8_t *right_rows[TARN_CHUNK_ROWS];
    uint32_t positions[TARN_CHUNK_ROWS];
    size_t count;
    match_state *states; // per selected left row
} residual_scan;

static tarn_status flush_scan(match_output *out, residual_scan *scan, tarn_error *err) {
    if (scan->count == 0) return TARN_OK;
    join_stage *stage = out->stage;
    tarn_chunk joined;
    TARN_TRY(gather_left(out, scan->left_rows, scan->count, &joined, err));
    TARN_TRY(gather_right(&stage->right, scan->right_rows, scan->count, false, &stage->output_arena,
                          joined.columns + out->chunk->column_count, err));
    tarn_chunk passing;
    TARN_TRY(tarn_program_filter(stage->residual, &joined, &stage->output_arena, &passing, err));
    for (size_t i = 0; i < tarn_chunk_count(&passing); i++) {
        size_t pair = tarn_chunk_row(&passing, i);
        const join_row *row = join_row_of(&stage->right, scan->right_rows[pair]);
        match_state *state = &scan->states[scan->positions[pair]];
        state->before |= row->count > 0;
        state->after |= row->count + row->delta > 0;
    }
    scan->count = 0;
    return TARN_OK;
}

static tarn_status scan_residual(match_output *out, uint8_t *const *keys, match_state *states,
                                 tarn_error *err) {
    join_side *right = &out->stage->right;
    residual_scan *scan = tarn_arena_alloc_raw(&out->stage->arena, sizeof *scan, 1);
    if (scan == NULL) return op_no_memory(out->base, err);
    scan->count = 0;
    scan->states = states;
    for (size_t i = 0; i < tarn_chunk_count(out->chunk); i++) {
        if (keys[i] == NULL) continue;
        uint8_t *row = join_key_of(right, keys[i])->first;
        for (; row != NULL; row = join_row_of(right, row)->next) {
            scan->left_rows[scan->count] = (uint32_t)tarn_chunk_row(out->chunk, i);
            scan->right_rows[scan->count] = row;
            scan->positions[scan->count++] = (uint32_t)i;
            if (scan->count == TARN_CHUNK_ROWS) TARN_TRY(flush_scan(out, scan, err));
        }
    }
    return flush_scan(out, scan, err);
}

static tarn_status find_states(match_output *out, uint8_t *const *keys, match_state **ret_states,
                               tarn_error *err) {
    *ret_states = NULL;
    if (out->stage->plan->join.kind != TARN_JOIN_LEFT) return TARN_OK;
    size_t count = tarn_chunk_count(out->chunk);
    match_state *states = tarn_arena_new(&out->stage->arena, match_state, count);
    if (states == NULL) return op_no_memory(out->base, err);
    *ret_states = states;
    if (out->stage->residual != NULL) return scan_residual(out, keys, states, err);
    for (size_t i = 0; i < count; i++) {
        if (keys[i] == NULL) continue;
        const join_key *key = join_key_of(&out->stage->right, keys[i]);
        states[i].before = key->live > 0;
        states[i].after = key->live + key->live_delta > 0;
    }
    return TARN_OK;
}

static tarn_status match_pairs(match_output *out, uint8_t *const *keys, tarn_error *err) {
    join_side *right = &out->stage->right;
    match_state *states = NULL;
    TARN_TRY(find_states(out, keys, &states, err));
    for (size_t i = 0; i < tarn_chunk_count(out->chunk); i++) {
        uint32_t left_row = (uint32_t)tarn_chunk_row(out->chunk, i);
        uint8_t *row = keys[i] == NULL ? NULL : join_key_of(right, keys[i])->first;
        for (; row != NULL; row = join_row_of(right, row)->next) {
            int64_t times = weight_of(join_row_of(right, row), out->mode);
            TARN_TRY(add_pairs(out, left_row, row, times, err));
        }
        if (states != NULL && shows_null(states[i], out->mode)) {
            TARN_TRY(add_lone(out, left_row, err));
        }
    }
    TARN_TRY(flush_pairs(out, err));
    return flush_lone(out, err);
}

// ---- at most one match per left row ----

static uint8_t *only_row(const join_side *right, uint8_t *key) {
    if (key == NULL || join_key_of(right, key)->live <= 0) return NULL;
    uint8_t *row = join_key_of(right, key)->first;
    while (row != NULL && join_row_of(right, row)->count <= 0) row = join_row_of(right, row)->next;
    return row;
}

// The left chunk stays as it is, with a narrower selection; right columns are laid beside it.
static tarn_status match_single(join_stage *stage, const tarn_chunk *chunk, uint8_t *const *keys,
                                op_push next, const op_base *base, tarn_error *err) {
    tarn_arena *arena = &stage->arena;
    const join_side *right = &stage->right;
    bool keeps_lone = stage->plan->join.kind == TARN_JOIN_LEFT;
    size_t column_count = chunk->column_count + right->row_layout.column_count;
    tarn_vector *columns = tarn_arena_new(arena, tarn_vector, column_count + 1);
    uint8_t **rows = tarn_arena_new(arena, uint8_t *, chunk->row_count);
    uint32_t *selection = tarn_arena_new_raw(arena, uint32_t, tarn_chunk_count(chunk));
    uint8_t *kinds = chunk->kinds == NULL ? NULL : tarn_arena_new(arena, uint8_t, chunk->row_count);
    if (columns == NULL || rows == NULL || selection == NULL ||
        (kinds == NULL && chunk->kinds != NULL)) {
        return op_no_memory(base, err);
    }
    size_t selected = 0;
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        rows[row] = only_row(right, keys[i]);
        if (kinds != NULL) kinds[row] = op_kind_plain(chunk->kinds[row]);
        selection[selected] = (uint32_t)row;
        selected += keeps_lone || rows[row] != NULL;
    }
    if (selected == 0) return TARN_OK;
    if (chunk->column_count > 0) {
        memcpy(columns, chunk->columns, chunk->column_count * sizeof *columns);
    }
    TARN_TRY(gather_right(right, rows, chunk->row_count, true, arena, columns + chunk->column_count,
                          err));
    tarn_chunk joined = *chunk;
    joined.columns = columns;
    joined.column_count = column_count;
    joined.kinds = kinds;
    if (selected < chunk->row_count) {
        joined.selection = selection;
        joined.selected_count = selected;
    }
    return next.push(next.context, &joined, err);
}

tarn_status join_match(join_stage *stage, const tarn_chunk *chunk, join_mode mode, op_push next,
                       const op_base *base, tarn_error *err) {
    uint8_t **keys = tarn_arena_new_raw(&stage->arena, uint8_t *, tarn_chunk_count(chunk));
    if (keys == NULL) return op_no_memory(base, err);
    TARN_TRY(find_keys(stage, chunk, base, keys, err));
    for (size_t i = 0; mode != JOIN_PROBE && i < tarn_chunk_count(chunk); i++) {
        // Keys that do not change have nothing to correct.
        if (keys[i] != NULL && !join_key_of(&stage->right, keys[i])->is_pending) keys[i] = NULL;
    }
    if (mode == JOIN_PROBE) {
        TARN_TRY(join_side_make_dictionaries(&stage->right, err));
        if (stage->residual == NULL && stage->right.crowded_keys == 0) {
            return match_single(stage, chunk, keys, next, base, err);
        }
    }
    match_output *out = tarn_arena_alloc_raw(&stage->arena, sizeof *out, 1);
    if (out == NULL) return op_no_memory(base, err);
    out->stage = stage;
    out->base = base;
    out->chunk = chunk;
    out->mode = mode;
    out->next = next;
    out->count = 0;
    out->lone_count = 0;
    return match_pairs(out, keys, err);
}
