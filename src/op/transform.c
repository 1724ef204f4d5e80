// transform.c - stateless steps: filter, project, time window; and the operator that runs one.
#include "op/op_internal.h"

struct op_transform {
    const tarn_plan *plan;
    const tarn_alloc *alloc;
    tarn_program *program; // NULL for time windows
};

bool op_transform_is(const tarn_plan *plan) {
    return plan->kind == TARN_PLAN_FILTER || plan->kind == TARN_PLAN_PROJECT ||
           plan->kind == TARN_PLAN_TIME_WINDOW;
}

tarn_status op_transform_new(const tarn_plan *plan, const tarn_alloc *alloc, tarn_eval_context eval,
                             op_transform **ret_transform, tarn_error *err) {
    op_transform *transform = tarn_alloc_new(alloc, op_transform, 1);
    if (transform == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    transform->plan = plan;
    transform->alloc = alloc;
    tarn_status status = TARN_OK;
    if (plan->kind == TARN_PLAN_FILTER) {
        status = tarn_program_new(alloc, &plan->filter.condition, 1, &transform->program, err);
    } else if (plan->kind == TARN_PLAN_PROJECT) {
        status = tarn_program_new(alloc, plan->project.exprs, plan->schema.field_count,
                                  &transform->program, err);
    } else {
        tarn_assert(plan->time_window.size_us > 0);
        tarn_assert(plan->time_window.slide_us > 0);
    }
    if (status != TARN_OK) {
        op_transform_free(transform);
        return status;
    }
    if (transform->program != NULL) tarn_program_set_context(transform->program, eval);
    *ret_transform = transform;
    return TARN_OK;
}

void op_transform_free(op_transform *transform) {
    if (transform == NULL) return;
    tarn_program_free(transform->program);
    tarn_alloc_free(transform->alloc, transform, 1);
}

static tarn_status filter(op_transform *transform, const tarn_chunk *chunk, tarn_arena *arena,
                          op_push next, tarn_error *err) {
    tarn_chunk result;
    TARN_TRY(tarn_program_filter(transform->program, chunk, arena, &result, err));
    if (tarn_chunk_count(&result) == 0) return TARN_OK;
    TARN_TRY(op_kinds_after_filter(chunk, &result, arena, err));
    return next.push(next.context, &result, err);
}

static tarn_status project(op_transform *transform, const tarn_chunk *chunk, tarn_arena *arena,
                           op_push next, tarn_error *err) {
    tarn_chunk result = *chunk;
    result.column_count = transform->plan->schema.field_count;
    result.columns = tarn_arena_new(arena, tarn_vector, result.column_count + 1);
    if (result.columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    TARN_TRY(tarn_program_eval(transform->program, chunk, arena, result.columns, err));
    return next.push(next.context, &result, err);
}

// ---- time windows ----
//
// A row belongs to the windows [start, start + size) that hold its time, with starts at offset +
// k * slide. A row without a time belongs to none.

// The windows of one time: `count` of them, the last starting at `last_start`. Returns false when
// they do not fit the range of timestamps.
static bool windows_of(const tarn_plan *plan, int64_t time_us, int64_t *ret_last_start,
                       int64_t *ret_count) {
    int64_t slide = plan->time_window.slide_us;
    int64_t size = plan->time_window.size_us;
    int64_t shifted;
    if (__builtin_sub_overflow(time_us, plan->time_window.offset_us, &shifted)) return false;
    int64_t remainder = shifted % slide;
    if (remainder < 0) remainder += slide;
    int64_t last_start;
    int64_t unused;
    if (__builtin_sub_overflow(time_us, remainder, &last_start)) return false;
    if (__builtin_add_overflow(last_start, size, &unused)) return false;
    if (__builtin_sub_overflow(last_start, size, &unused)) return false;
    *ret_last_start = last_start;
    // Starts go back while start + size > time, that is while k * slide < size - remainder.
    *ret_count = size <= remainder ? 0 : (size - remainder + slide - 1) / slide;
    return true;
}

static tarn_status out_of_range(tarn_error *err) {
    tarn_status status = tarn_fail(err, TARN_INVALID, "timestamp out of range for a window");
    tarn_error_locate(err, "22008", 0);
    return status;
}

typedef struct window_output {
    const tarn_plan *plan;
    const tarn_chunk *chunk;
    tarn_arena *arena;
    op_push next;
    uint32_t rows[TARN_CHUNK_ROWS];
    int64_t starts[TARN_CHUNK_ROWS];
    size_t count;
} window_output;

static tarn_status add_bounds(const tarn_plan *plan, const int64_t *starts, size_t count,
                              tarn_arena *arena, tarn_chunk *chunk, tarn_error *err) {
    size_t column_count = plan->schema.field_count;
    tarn_vector *columns = tarn_arena_new(arena, tarn_vector, column_count);
    if (columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    tarn_assert(column_count == chunk->column_count + 2);
    if (chunk->column_count > 0) {
        memcpy(columns, chunk->columns, chunk->column_count * sizeof *columns);
    }
    tarn_vector *start = &columns[column_count - 2];
    tarn_vector *end = &columns[column_count - 1];
    tarn_type type = plan->schema.fields[column_count - 2].type;
    TARN_TRY(tarn_vector_init_flat(start, type, count, arena, err));
    TARN_TRY(tarn_vector_init_flat(end, type, count, arena, err));
    int64_t *start_values = start->data;
    int64_t *end_values = end->data;
    for (size_t i = 0; i < count; i++) {
        start_values[i] = starts[i];
        end_values[i] = starts[i] + plan->time_window.size_us;
    }
    chunk->columns = columns;
    chunk->column_count = column_count;
    return TARN_OK;
}

static tarn_status flush_windows(window_output *out, tarn_error *err) {
    if (out->count == 0) return TARN_OK;
    tarn_chunk result;
    TARN_TRY(op_chunk_gather(out->chunk, out->rows, out->count, out->arena, &result, err));
    TARN_TRY(add_bounds(out->plan, out->starts, out->count, out->arena, &result, err));
    out->count = 0;
    return out->next.push(out->next.context, &result, err);
}

// Hopping windows: each row once per window, oldest window first.
static tarn_status hop(const tarn_plan *plan, const tarn_chunk *chunk, tarn_arena *arena,
                       op_push next, tarn_error *err) {
    window_output *out = tarn_arena_alloc_raw(arena, sizeof *out, 1);
    if (out == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    out->plan = plan;
    out->chunk = chunk;
    out->arena = arena;
    out->next = next;
    out->count = 0;
    const tarn_vector *times = &chunk->columns[plan->time_window.time_column];
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        if (tarn_vector_is_null(times, row)) continue;
        int64_t time_us = *(const int64_t *)tarn_vector_at(times, row, sizeof(int64_t));
        int64_t last_start = 0;
        int64_t window_count = 0;
        if (!windows_of(plan, time_us, &last_start, &window_count)) return out_of_range(err);
        for (int64_t k = window_count; k-- > 0;) {
            out->rows[out->count] = (uint32_t)row;
            out->starts[out->count++] = last_start - k * plan->time_window.slide_us;
            if (out->count == TARN_CHUNK_ROWS) TARN_TRY(flush_windows(out, err));
        }
    }
    return flush_windows(out, err);
}

// Tumbling windows: the chunk's own vectors, two more, and a selection without rows that lack a
// time.
static tarn_status tumble(const tarn_plan *plan, const tarn_chunk *chunk, tarn_arena *arena,
                          op_push next, tarn_error *err) {
    size_t count = tarn_chunk_count(chunk);
    int64_t *starts = tarn_arena_new(arena, int64_t, chunk->row_count);
    uint32_t *selection = tarn_arena_new_raw(arena, uint32_t, count);
    uint8_t *kinds = chunk->kinds == NULL ? NULL : tarn_arena_new(arena, uint8_t, chunk->row_count);
    if (starts == NULL || selection == NULL || (kinds == NULL && chunk->kinds != NULL)) {
        return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    }
    const tarn_vector *times = &chunk->columns[plan->time_window.time_column];
    size_t selected = 0;
    for (size_t i = 0; i < count; i++) {
        size_t row = tarn_chunk_row(chunk, i);
        if (tarn_vector_is_null(times, row)) continue;
        int64_t time_us = *(const int64_t *)tarn_vector_at(times, row, sizeof(int64_t));
        int64_t window_count = 0;
        if (!windows_of(plan, time_us, &starts[row], &window_count)) return out_of_range(err);
        selection[selected++] = (uint32_t)row;
        // The two halves of an update may fall into different windows.
        if (kinds != NULL) kinds[row] = op_kind_plain(chunk->kinds[row]);
    }
    if (selected == 0) return TARN_OK;
    tarn_chunk result = *chunk;
    TARN_TRY(add_bounds(plan, starts, chunk->row_count, arena, &result, err));
    if (selected < chunk->row_count) {
        result.selection = selection;
        result.selected_count = selected;
    }
    result.kinds = kinds;
    return next.push(next.context, &result, err);
}

tarn_status op_transform_apply(op_transform *transform, const tarn_chunk *chunk, tarn_arena *arena,
                               op_push next, tarn_error *err) {
    const tarn_plan *plan = transform->plan;
    tarn_assert(op_transform_is(plan));
    switch (plan->kind) {
    case TARN_PLAN_FILTER: return filter(transform, chunk, arena, next, err);
    case TARN_PLAN_PROJECT: return project(transform, chunk, arena, next, err);
    case TARN_PLAN_TIME_WINDOW:
        // With size == slide every row has exactly one window.
        if (plan->time_window.size_us == plan->time_window.slide_us) {
            return tumble(plan, chunk, arena, next, err);
        }
        return hop(plan, chunk, arena, next, err);
    case TARN_PLAN_SCAN:
    case TARN_PLAN_VALUES:
    case TARN_PLAN_JOIN:
    case TARN_PLAN_AGGREGATE:
    case TARN_PLAN_SORT:
    case TARN_PLAN_LIMIT:
    case TARN_PLAN_TOP_N:
    case TARN_PLAN_UNION_ALL: break;
    }
    return TARN_OK;
}
