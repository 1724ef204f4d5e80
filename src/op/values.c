// values.c - VALUES, and the single row without columns behind SELECT 1.
#include "op/op_internal.h"

typedef struct values_op {
    op_base base;
    const tarn_plan *plan;
    tarn_eval_context eval;
    tarn_chunk_builder *builder; // NULL without columns
    size_t next_row;
    bool said_complete; // constants have no event time: they hold no watermark back
} values_op;

static void values_free(void *self) {
    values_op *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    tarn_chunk_builder_free(op->builder);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status append_row(values_op *op, tarn_value *values, tarn_error *err) {
    size_t column_count = op->plan->schema.field_count;
    const tarn_expr *const *cells = op->plan->values.cells + op->next_row * column_count;
    for (size_t c = 0; c < column_count; c++) {
        TARN_TRY(tarn_expr_evaluate(cells[c], op->eval, &op->base.batch_arena, &values[c], err));
    }
    return tarn_chunk_builder_append(op->builder, values, TARN_ROW_INSERT, err);
}

static tarn_status emit_rows(values_op *op, tarn_output *output, tarn_error *err) {
    tarn_arena_clear(&op->base.batch_arena);
    size_t row_count = op->plan->values.row_count;
    if (op->builder == NULL) {
        size_t count = row_count - op->next_row;
        if (count > TARN_CHUNK_ROWS) count = TARN_CHUNK_ROWS;
        tarn_chunk chunk = {.row_count = count};
        op->next_row += count;
        return tarn_output_emit(output, &chunk, err);
    }
    tarn_value *values =
        tarn_arena_new(&op->base.batch_arena, tarn_value, op->plan->schema.field_count);
    if (values == NULL) return op_no_memory(&op->base, err);
    tarn_chunk_builder_clear(op->builder);
    while (op->next_row < row_count && !tarn_chunk_builder_is_full(op->builder)) {
        TARN_TRY(append_row(op, values, err));
        op->next_row++;
    }
    return tarn_output_emit(output, tarn_chunk_builder_chunk(op->builder), err);
}

static tarn_status values_poll(void *self, tarn_output *output, tarn_poll *ret_poll,
                               tarn_error *err) {
    values_op *op = self;
    if (op->next_row < op->plan->values.row_count) {
        TARN_TRY(op_blame(&op->base, emit_rows(op, output, err), err));
        *ret_poll = TARN_POLL_MORE;
        return TARN_OK;
    }
    if (!op->said_complete) {
        op->said_complete = true;
        TARN_TRY(tarn_output_watermark(output, INT64_MAX, err));
    }
    *ret_poll = TARN_POLL_END;
    return TARN_OK;
}

static tarn_status values_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                  tarn_error *err) {
    (void)epoch;
    const values_op *op = self;
    uint8_t row[8];
    tarn_store_u64(row, op->next_row);
    return tarn_state_put(state, TARN_LIT("row"), (tarn_slice){row, sizeof row}, err);
}

static tarn_status values_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    values_op *op = self;
    tarn_slice key;
    tarn_slice value;
    bool found = false;
    TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
    if (!found) return TARN_OK;
    if (value.len != 8 || tarn_load_u64(value.data) > op->plan->values.row_count) {
        return op_corrupt_state(&op->base, "the position is not one of these rows", err);
    }
    op->next_row = (size_t)tarn_load_u64(value.data);
    return TARN_OK;
}

static const tarn_source_ops values_ops = {
    .poll = values_poll, .barrier = values_barrier, .restore = values_restore, .free = values_free};

tarn_status op_build_values(op_builder *builder, const tarn_plan *plan, tarn_node *ret_node,
                            tarn_error *err) {
    const tarn_alloc *alloc = builder->context->alloc;
    values_op *op = tarn_alloc_new(alloc, values_op, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->base.alloc = alloc;
    op->plan = plan;
    op->eval = builder->context->eval;
    tarn_status status = op_builder_base(builder, "values", &op->base, err);
    if (status == TARN_OK && plan->schema.field_count > 0) {
        status = tarn_chunk_builder_new(alloc, &plan->schema, &op->builder, err);
    }
    if (status != TARN_OK) {
        values_free(op);
        return status;
    }
    return tarn_flow_add_source(builder->flow, op->base.name, &values_ops, op, ret_node, err);
}
