// source.c - a connector's rows with the relation's generated columns and its watermark.
//
// The watermark before a row is the latest event time among the rows before it, minus the delay. It
// is given per row, so that what is late does not depend on how rows came in chunks, and sent as a
// message after each chunk. A source that has ended declares everything complete (INT64_MAX).
//
// State: the connector's position, the latest event time, the count of rows.
#include <stdatomic.h>

#include "op/op_internal.h"

// Connectors know files, people know sources by their names.
static tarn_status name_source(const tarn_op_source_options *options, tarn_status status,
                               tarn_error *err) {
    if (status == TARN_OK || status == TARN_CANCELLED || status == TARN_NO_MEMORY) return status;
    tarn_error_prefix(err,
                      "source \"" TARN_SLICE_FMT "\": ", TARN_SLICE_ARG(options->relation->name));
    return status;
}

// ---- the relation's columns from the connector's ----

typedef struct source_columns {
    tarn_op_source_options options;
    size_t *stored;        // per column of the relation: of the connector; SIZE_MAX: generated
    tarn_vector *absent;   // NULL constants in place of generated columns, while these are computed
    tarn_program *program; // the generated columns, in order; NULL: none
    tarn_vector *generated; // its results
} source_columns;

static tarn_status init_columns(source_columns *columns, const tarn_op_source_options *options,
                                tarn_arena *arena, tarn_error *err) {
    const tarn_relation *relation = options->relation;
    size_t field_count = relation->schema.field_count;
    columns->options = *options;
    columns->stored = tarn_arena_new(arena, size_t, field_count);
    columns->absent = tarn_arena_new(arena, tarn_vector, field_count);
    columns->generated = tarn_arena_new(arena, tarn_vector, field_count);
    const tarn_expr **exprs = tarn_arena_new(arena, const tarn_expr *, field_count);
    if (columns->stored == NULL || columns->absent == NULL || columns->generated == NULL ||
        exprs == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    }
    size_t generated_count = 0;
    for (size_t c = 0; c < field_count; c++) {
        const tarn_field *field = &relation->schema.fields[c];
        columns->stored[c] = SIZE_MAX;
        if (relation->generated != NULL && relation->generated[c] != NULL) {
            exprs[generated_count++] = relation->generated[c];
            TARN_TRY(tarn_vector_init_constant(&columns->absent[c], tarn_value_null(field->type),
                                               arena, err));
            continue;
        }
        ptrdiff_t at = tarn_schema_find(&options->spec->schema, field->name);
        tarn_assert(at >= 0); // the caller asks for exactly the stored columns
        columns->stored[c] = (size_t)at;
    }
    if (generated_count == 0) return TARN_OK;
    TARN_TRY(tarn_program_new(options->alloc, exprs, generated_count, &columns->program, err));
    tarn_program_set_context(columns->program, options->eval);
    return TARN_OK;
}

// The relation's columns of a connector's chunk, in `arena`.
static tarn_status complete_chunk(source_columns *columns, const tarn_chunk *chunk,
                                  tarn_arena *arena, tarn_chunk *ret_chunk, tarn_error *err) {
    size_t field_count = columns->options.relation->schema.field_count;
    tarn_chunk result = *chunk;
    result.column_count = field_count;
    result.columns = tarn_arena_new(arena, tarn_vector, field_count + 1);
    if (result.columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    for (size_t c = 0; c < field_count; c++) {
        result.columns[c] = columns->stored[c] == SIZE_MAX ? columns->absent[c]
                                                           : chunk->columns[columns->stored[c]];
    }
    if (columns->program != NULL) {
        TARN_TRY(tarn_program_eval(columns->program, &result, arena, columns->generated, err));
    }
    for (size_t c = 0, g = 0; c < field_count; c++) {
        if (columns->stored[c] == SIZE_MAX) result.columns[c] = columns->generated[g++];
    }
    *ret_chunk = result;
    return TARN_OK;
}

// ---- event time ----

#define DAY_US ((int64_t)24 * 3600 * 1000000)

static int64_t event_time_us(const tarn_vector *times, size_t row) {
    switch (times->type.id) {
    case TARN_TYPE_DATE:
        return *(const int32_t *)tarn_vector_at(times, row, sizeof(int32_t)) * DAY_US;
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS:
        return *(const int64_t *)tarn_vector_at(times, row, sizeof(int64_t)) / 1000;
    default: return *(const int64_t *)tarn_vector_at(times, row, sizeof(int64_t));
    }
}

// The watermark after an event at `latest_us`.
static int64_t watermark_after(const tarn_relation *relation, int64_t latest_us) {
    int64_t watermark_us;
    if (latest_us == TARN_NO_WATERMARK ||
        __builtin_sub_overflow(latest_us, relation->watermark_delay_us, &watermark_us)) {
        return TARN_NO_WATERMARK;
    }
    return watermark_us;
}

// Gives each row the watermark before it. *latest_us is the latest event time so far, and moves on.
static tarn_status add_watermarks(const tarn_relation *relation, int64_t *latest_us,
                                  tarn_arena *arena, tarn_chunk *chunk, tarn_error *err) {
    if (relation->time_column < 0) return TARN_OK;
    int64_t *watermarks = tarn_arena_new_raw(arena, int64_t, chunk->row_count);
    if (watermarks == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    const tarn_vector *times = &chunk->columns[relation->time_column];
    int64_t watermark_us = watermark_after(relation, *latest_us);
    for (size_t row = 0; row < chunk->row_count; row++) {
        watermarks[row] = watermark_us;
        if (tarn_vector_is_null(times, row)) continue;
        int64_t time_us = event_time_us(times, row);
        if (time_us <= *latest_us) continue;
        *latest_us = time_us;
        watermark_us = watermark_after(relation, time_us);
    }
    chunk->watermarks = watermarks;
    return TARN_OK;
}

// ---- the source ----

struct tarn_op_source {
    op_base base;
    source_columns columns;
    tarn_source_reader *reader;
    int64_t latest_us; // event time; TARN_NO_WATERMARK: none yet
    // Written by the task, read by anybody. Relaxed throughout: each is read for itself.
    _Atomic uint64_t rows;
    _Atomic uint64_t barrier_rows;
    _Atomic uint64_t done;
    _Atomic uint64_t total;
    _Atomic int64_t watermark_us;
    atomic_bool ended;
};

static void source_free(void *self) {
    tarn_op_source *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    if (op->reader != NULL) op->columns.options.connector->close(op->reader);
    tarn_program_free(op->columns.program);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status send_watermark(tarn_op_source *op, int64_t watermark_us, tarn_output *output,
                                  tarn_error *err) {
    if (watermark_us <= atomic_load_explicit(&op->watermark_us, memory_order_relaxed)) {
        return TARN_OK;
    }
    atomic_store_explicit(&op->watermark_us, watermark_us, memory_order_relaxed);
    return tarn_output_watermark(output, watermark_us, err);
}

static void note_progress(tarn_op_source *op, size_t more_rows) {
    uint64_t done = 0;
    uint64_t total = 0;
    op->columns.options.connector->progress(op->reader, &done, &total);
    atomic_store_explicit(&op->done, done, memory_order_relaxed);
    atomic_store_explicit(&op->total, total, memory_order_relaxed);
    atomic_fetch_add_explicit(&op->rows, more_rows, memory_order_relaxed);
}

static tarn_status deliver(tarn_op_source *op, const tarn_chunk *chunk, tarn_output *output,
                           tarn_error *err) {
    tarn_arena_clear(&op->base.batch_arena);
    tarn_assert(chunk->selection == NULL);
    tarn_chunk complete;
    TARN_TRY(complete_chunk(&op->columns, chunk, &op->base.batch_arena, &complete, err));
    const tarn_relation *relation = op->columns.options.relation;
    TARN_TRY(add_watermarks(relation, &op->latest_us, &op->base.batch_arena, &complete, err));
    note_progress(op, chunk->row_count);
    TARN_TRY(tarn_output_emit(output, &complete, err));
    return send_watermark(op, watermark_after(relation, op->latest_us), output, err);
}

static tarn_status source_poll(void *self, tarn_output *output, tarn_poll *ret_poll,
                               tarn_error *err) {
    tarn_op_source *op = self;
    const tarn_chunk *chunk = NULL;
    tarn_poll poll = TARN_POLL_END;
    const tarn_op_source_options *options = &op->columns.options;
    tarn_status status = options->connector->next(op->reader, &chunk, &poll, err);
    TARN_TRY(op_blame(&op->base, name_source(options, status, err), err));
    if (chunk != NULL && tarn_chunk_count(chunk) > 0) {
        TARN_TRY(op_blame(&op->base, deliver(op, chunk, output, err), err));
    } else {
        note_progress(op, 0);
    }
    if (poll == TARN_POLL_END) {
        atomic_store_explicit(&op->ended, true, memory_order_relaxed);
        TARN_TRY(send_watermark(op, INT64_MAX, output, err));
    }
    *ret_poll = poll;
    return TARN_OK;
}

// ---- checkpoints ----

static tarn_status source_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                  tarn_error *err) {
    tarn_op_source *op = self;
    const tarn_op_source_options *options = &op->columns.options;
    if (options->bad_barrier != NULL) {
        TARN_TRY(options->bad_barrier(options->bad_context, epoch, err));
    }
    tarn_buffer value = {.alloc = op->base.alloc};
    uint64_t rows = atomic_load_explicit(&op->rows, memory_order_relaxed);
    tarn_status status = TARN_OK;
    if (!op_put_int(&value, op->latest_us) || !op_put_int(&value, (int64_t)rows)) {
        status = op_no_memory(&op->base, err);
    }
    if (status == TARN_OK) {
        status = op->columns.options.connector->position(op->reader, &value, err);
    }
    if (status == TARN_OK) {
        status = tarn_state_put(state, TARN_LIT("position"), tarn_buffer_slice(&value), err);
    }
    tarn_buffer_free(&value);
    if (status == TARN_OK) {
        atomic_store_explicit(&op->barrier_rows, rows, memory_order_relaxed);
    }
    return status;
}

static tarn_status source_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    tarn_op_source *op = self;
    tarn_slice key;
    tarn_slice value;
    bool found = false;
    TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
    if (!found) return TARN_OK;
    int64_t rows = 0;
    if (!op_take_int(&value, &op->latest_us) || !op_take_int(&value, &rows)) {
        return op_corrupt_state(&op->base, "the position is cut off", err);
    }
    atomic_store_explicit(&op->rows, (uint64_t)rows, memory_order_relaxed);
    atomic_store_explicit(&op->barrier_rows, (uint64_t)rows, memory_order_relaxed);
    const tarn_op_source_options *options = &op->columns.options;
    return name_source(options, options->connector->seek(op->reader, value, err), err);
}

static const tarn_source_ops source_ops = {
    .poll = source_poll, .barrier = source_barrier, .restore = source_restore, .free = source_free};

tarn_status tarn_op_add_source(tarn_flow *flow, tarn_slice name,
                               const tarn_op_source_options *options, tarn_op_source **ret_source,
                               tarn_node *ret_node, tarn_error *err) {
    tarn_op_source *op = tarn_alloc_new(options->alloc, tarn_op_source, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->base.alloc = options->alloc;
    op->latest_us = TARN_NO_WATERMARK;
    atomic_init(&op->watermark_us, TARN_NO_WATERMARK);
    tarn_status status = op_base_init(&op->base, options->alloc, name, NULL, 0, err);
    if (status == TARN_OK) status = init_columns(&op->columns, options, &op->base.arena, err);
    if (status == TARN_OK) {
        status =
            options->connector->open(options->os, options->alloc, options->spec, &op->reader, err);
        status = name_source(options, status, err);
    }
    if (status != TARN_OK) {
        source_free(op);
        return status;
    }
    if (options->bad != NULL) {
        options->connector->set_dead_letter(op->reader, options->bad, options->bad_context);
    }
    note_progress(op, 0);
    TARN_TRY(tarn_flow_add_source(flow, op->base.name, &source_ops, op, ret_node, err));
    *ret_source = op;
    return TARN_OK;
}

tarn_op_source_progress tarn_op_source_progress_of(const tarn_op_source *source) {
    return (tarn_op_source_progress){
        .rows = atomic_load_explicit(&source->rows, memory_order_relaxed),
        .done = atomic_load_explicit(&source->done, memory_order_relaxed),
        .total = atomic_load_explicit(&source->total, memory_order_relaxed),
        .watermark_us = atomic_load_explicit(&source->watermark_us, memory_order_relaxed),
        .ended = atomic_load_explicit(&source->ended, memory_order_relaxed),
    };
}

uint64_t tarn_op_source_barrier_rows(const tarn_op_source *source) {
    return atomic_load_explicit(&source->barrier_rows, memory_order_relaxed);
}

// ---- reading anew ----

static tarn_status ignore_bad(void *context, const tarn_bad_record *record, tarn_error *err) {
    (void)context;
    (void)record;
    (void)err;
    return TARN_OK; // it was reported when it was read first
}

static tarn_status replay_rows(source_columns *columns, tarn_source_reader *reader,
                               uint64_t row_limit, tarn_arena *arena,
                               tarn_status (*row)(void *, const tarn_chunk *, tarn_error *),
                               void *context, tarn_error *err) {
    // What was late is late again.
    int64_t latest_us = TARN_NO_WATERMARK;
    while (row_limit > 0) {
        const tarn_chunk *chunk = NULL;
        tarn_poll poll = TARN_POLL_END;
        tarn_status status = columns->options.connector->next(reader, &chunk, &poll, err);
        TARN_TRY(name_source(&columns->options, status, err));
        if (chunk == NULL && poll != TARN_POLL_MORE) return TARN_OK;
        if (chunk == NULL || chunk->row_count == 0) continue;
        tarn_arena_clear(arena);
        tarn_chunk complete;
        TARN_TRY(complete_chunk(columns, chunk, arena, &complete, err));
        TARN_TRY(add_watermarks(columns->options.relation, &latest_us, arena, &complete, err));
        if (complete.row_count > row_limit) complete.row_count = (size_t)row_limit;
        row_limit -= complete.row_count;
        TARN_TRY(row(context, &complete, err));
    }
    return TARN_OK;
}

tarn_status tarn_op_replay_source(const tarn_op_source_options *options, uint64_t row_limit,
                                  tarn_status (*row)(void *context, const tarn_chunk *chunk,
                                                     tarn_error *err),
                                  void *context, tarn_error *err) {
    tarn_arena arena;
    tarn_arena batch_arena;
    tarn_arena_init(&arena, options->alloc, SIZE_MAX);
    tarn_arena_init(&batch_arena, options->alloc, SIZE_MAX);
    source_columns columns = {0};
    tarn_source_reader *reader = NULL;
    tarn_status status = init_columns(&columns, options, &arena, err);
    if (status != TARN_OK) goto out;
    status = options->connector->open(options->os, options->alloc, options->spec, &reader, err);
    status = name_source(options, status, err);
    if (status != TARN_OK) goto out;
    if (options->bad != NULL) options->connector->set_dead_letter(reader, ignore_bad, NULL);
    status = replay_rows(&columns, reader, row_limit, &batch_arena, row, context, err);
out:
    if (reader != NULL) options->connector->close(reader);
    tarn_program_free(columns.program);
    tarn_arena_reset(&batch_arena);
    tarn_arena_reset(&arena);
    return status;
}
