// sink.c - writes a view's changes into its table.
//
// At a barrier the files are finished and described as a committable, which the caller commits once
// the whole epoch is complete. There is no state: rows not in a committable are computed again.
#include "op/op_internal.h"

typedef struct table_sink {
    op_base base;
    tarn_op_sink_options options;
    tarn_table_writer *writer;
    tarn_buffer committable;
    bool has_rows; // since the last barrier
    int64_t watermark_us;
} table_sink;

static void sink_free(void *self) {
    table_sink *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    tarn_table_writer_free(op->writer);
    tarn_buffer_free(&op->committable);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status sink_chunk(void *self, size_t input, const tarn_chunk *chunk,
                              tarn_output *output, tarn_error *err) {
    (void)input;
    (void)output;
    table_sink *op = self;
    op->has_rows = true;
    return op_blame(&op->base, tarn_table_writer_append(op->writer, chunk, err), err);
}

static tarn_status sink_watermark(void *self, int64_t watermark_us, tarn_output *output,
                                  tarn_error *err) {
    table_sink *op = self;
    op->watermark_us = watermark_us;
    return tarn_output_watermark(output, watermark_us, err);
}

static tarn_status prepare(table_sink *op, uint64_t epoch, tarn_error *err) {
    tarn_buffer_clear(&op->committable);
    if (op->has_rows) {
        TARN_TRY(tarn_table_writer_prepare(op->writer, &op->committable, err));
        op->has_rows = false;
    }
    return op->options.prepared(op->options.context, epoch, tarn_buffer_slice(&op->committable),
                                op->watermark_us, err);
}

static tarn_status sink_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                tarn_output *output, tarn_error *err) {
    (void)output;
    table_sink *op = self;
    TARN_TRY(op_blame(&op->base, prepare(op, epoch, err), err));
    uint8_t watermark[8];
    tarn_store_u64(watermark, (uint64_t)op->watermark_us);
    return tarn_state_put(state, TARN_LIT("watermark"), (tarn_slice){watermark, sizeof watermark},
                          err);
}

static tarn_status sink_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    table_sink *op = self;
    tarn_slice key;
    tarn_slice value;
    bool found = false;
    TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
    if (!found) return TARN_OK;
    if (value.len != 8) return op_corrupt_state(&op->base, "the watermark is cut off", err);
    op->watermark_us = (int64_t)tarn_load_u64(value.data);
    return TARN_OK;
}

static const tarn_operator_ops sink_ops = {.chunk = sink_chunk,
                                           .watermark = sink_watermark,
                                           .barrier = sink_barrier,
                                           .restore = sink_restore,
                                           .free = sink_free};

tarn_status tarn_op_add_table_sink(tarn_flow *flow, tarn_slice name, tarn_node input,
                                   const tarn_op_sink_options *options, tarn_node *ret_node,
                                   tarn_error *err) {
    table_sink *op = tarn_alloc_new(options->alloc, table_sink, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->options = *options;
    op->committable.alloc = options->alloc;
    op->watermark_us = TARN_NO_WATERMARK;
    tarn_status status = op_base_init(&op->base, options->alloc, name, NULL, 0, err);
    if (status == TARN_OK) {
        tarn_table_writer_options writer = {.alloc = options->alloc};
        status = tarn_table_writer_new(options->table, &writer, &op->writer, err);
    }
    if (status != TARN_OK) {
        sink_free(op);
        return status;
    }
    // Encoding is the larger half of a view's work: it gets a task, and so a core, of its own.
    return tarn_flow_add_operator(flow, op->base.name, &sink_ops, op, &input, 1, TARN_NODE_OWN_TASK,
                                  ret_node, err);
}
