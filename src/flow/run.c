// What happens to a message inside a task: it enters a node, and what the node emits goes on to its
// consumers, directly where they are chained and by channel where they are not.
#include "flow/flow_internal.h"

static int64_t now_ns(const flow_node *node) {
    return tarn_os_monotonic_ns(node->output.flow->options.os);
}

// Counters have one writer, the thread that runs the task; others only look at them.
static void add_i64(_Atomic int64_t *counter, int64_t more) {
    int64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + more, memory_order_relaxed);
}

static void add_u64(_Atomic uint64_t *counter, uint64_t more) {
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + more, memory_order_relaxed);
}

tarn_status flow_node_chunk(flow_node *node, size_t input, const tarn_chunk *chunk,
                            tarn_error *err) {
    if (tarn_chunk_count(chunk) == 0) return TARN_OK;
    if (atomic_load_explicit(&node->closed, memory_order_relaxed)) return TARN_OK;
    add_u64(&node->rows_in, tarn_chunk_count(chunk));
    add_u64(&node->chunks_in, 1);
    int64_t begin_ns = now_ns(node);
    tarn_status status = node->operator_ops.chunk(node->self, input, chunk, &node->output, err);
    add_i64(&node->busy_ns, now_ns(node) - begin_ns);
    return status;
}

static tarn_status send_watermark(flow_node *node, int64_t watermark_us, tarn_error *err) {
    atomic_store_explicit(&node->watermark_seen_us, watermark_us, memory_order_relaxed);
    for (size_t i = 0; i < node->edge_count; i++) {
        flow_edge *edge = &node->edges[i];
        if (edge->channel == NULL) {
            TARN_TRY(flow_node_watermark(edge->target, edge->input, watermark_us, err));
        } else if (edge->target != NULL) {
            flow_message message = {.kind = FLOW_WATERMARK, .watermark_us = watermark_us};
            TARN_TRY(flow_send(node->output.flow, edge->channel, message, node, err));
        }
    }
    return TARN_OK;
}

// The node's watermark is the least of its live inputs': an input that has ended holds nothing
// back.
static tarn_status advance_watermark(flow_node *node, tarn_error *err) {
    int64_t least_us = INT64_MAX;
    bool any_live = false;
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->input_ended[i]) continue;
        any_live = true;
        if (node->input_watermarks[i] < least_us) least_us = node->input_watermarks[i];
    }
    if (!any_live || least_us <= node->watermark_us) return TARN_OK;
    node->watermark_us = least_us;
    if (node->operator_ops.watermark == NULL) return send_watermark(node, least_us, err);
    int64_t begin_ns = now_ns(node);
    tarn_status status = node->operator_ops.watermark(node->self, least_us, &node->output, err);
    add_i64(&node->busy_ns, now_ns(node) - begin_ns);
    return status;
}

tarn_status flow_node_watermark(flow_node *node, size_t input, int64_t watermark_us,
                                tarn_error *err) {
    if (watermark_us > node->input_watermarks[input]) node->input_watermarks[input] = watermark_us;
    return advance_watermark(node, err);
}

tarn_status flow_node_barrier(flow_node *node, uint64_t epoch, bool is_full, tarn_error *err) {
    tarn_state_writer writer = {.section = &node->section, .is_full = is_full};
    tarn_buffer_clear(&node->section);
    int64_t begin_ns = now_ns(node);
    tarn_status status = TARN_OK;
    if (node->is_source) {
        if (node->source_ops.barrier != NULL) {
            status = node->source_ops.barrier(node->self, epoch, &writer, err);
        }
    } else if (node->operator_ops.barrier != NULL) {
        status = node->operator_ops.barrier(node->self, epoch, &writer, &node->output, err);
    }
    add_i64(&node->busy_ns, now_ns(node) - begin_ns);
    if (status != TARN_OK) return status;

    for (size_t i = 0; i < node->edge_count; i++) {
        flow_edge *edge = &node->edges[i];
        if (edge->channel == NULL) {
            TARN_TRY(flow_node_barrier(edge->target, epoch, is_full, err));
        } else if (edge->target != NULL) {
            flow_message message = {.kind = FLOW_BARRIER, .epoch = epoch, .is_full = is_full};
            TARN_TRY(flow_send(node->output.flow, edge->channel, message, node, err));
        }
    }
    return TARN_OK;
}

tarn_status flow_send_end(flow_node *node, tarn_error *err) {
    for (size_t i = 0; i < node->edge_count; i++) {
        flow_edge *edge = &node->edges[i];
        if (edge->channel == NULL) {
            TARN_TRY(flow_node_end(edge->target, edge->input, err));
        } else {
            flow_message message = {.kind = FLOW_END};
            TARN_TRY(flow_send(node->output.flow, edge->channel, message, node, err));
        }
    }
    return TARN_OK;
}

tarn_status flow_node_end(flow_node *node, size_t input, tarn_error *err) {
    tarn_assert(!node->input_ended[input]);
    node->input_ended[input] = true;
    node->ended_count++;
    if (node->operator_ops.end != NULL) {
        int64_t begin_ns = now_ns(node);
        tarn_status status = node->operator_ops.end(node->self, input, &node->output, err);
        add_i64(&node->busy_ns, now_ns(node) - begin_ns);
        if (status != TARN_OK) return status;
    }
    TARN_TRY(advance_watermark(node, err));
    return node->ended_count == node->input_count ? flow_send_end(node, err) : TARN_OK;
}

// ---- what operators call ----

static tarn_status emit_to(flow_node *node, const flow_edge *edge, const tarn_chunk *chunk,
                           tarn_batch **batch, tarn_error *err) {
    tarn_flow *flow = node->output.flow;
    if (edge->channel == NULL) return flow_node_chunk(edge->target, edge->input, chunk, err);
    if (edge->target != NULL && atomic_load_explicit(&edge->target->closed, memory_order_relaxed)) {
        return TARN_OK;
    }
    if (*batch == NULL) TARN_TRY(tarn_batch_new(flow->alloc, chunk, batch, err));
    tarn_batch_ref(*batch);
    flow_message message = {.kind = FLOW_CHUNK, .batch = *batch};
    return flow_send(flow, edge->channel, message, node, err);
}

tarn_status tarn_output_emit(tarn_output *output, const tarn_chunk *chunk, tarn_error *err) {
    flow_node *node = output->node;
    size_t row_count = tarn_chunk_count(chunk);
    if (row_count == 0) return TARN_OK;
    if (atomic_load_explicit(&output->flow->cancelled, memory_order_relaxed)) {
        return tarn_fail(err, TARN_CANCELLED, "cancelled");
    }
    add_u64(&node->rows_out, row_count);
    int64_t begin_ns = now_ns(node);
    tarn_batch *batch = NULL; // one copy serves every channel
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < node->edge_count && status == TARN_OK; i++) {
        status = emit_to(node, &node->edges[i], chunk, &batch, err);
    }
    tarn_batch_unref(batch);
    add_i64(&node->busy_ns, begin_ns - now_ns(node)); // what successors took is not ours
    return status;
}

tarn_status tarn_output_watermark(tarn_output *output, int64_t watermark_us, tarn_error *err) {
    return send_watermark(output->node, watermark_us, err);
}

bool tarn_output_is_closed(const tarn_output *output) {
    const flow_node *node = output->node;
    for (size_t i = 0; i < node->edge_count; i++) {
        const flow_node *target = node->edges[i].target;
        if (target == NULL || !atomic_load_explicit(&target->closed, memory_order_relaxed)) {
            return false;
        }
    }
    return node->edge_count > 0;
}

// A node nobody listens to wants no input either, and so on up to the sources.
static void close_node(flow_node *node) {
    atomic_store_explicit(&node->closed, true, memory_order_relaxed);
    for (size_t i = 0; i < node->input_count; i++) {
        flow_node *input = node->inputs[i];
        if (tarn_output_is_closed(&input->output)) close_node(input);
    }
}

void tarn_output_close_input(tarn_output *output) {
    close_node(output->node);
}
