#include "flow/flow_internal.h"

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the dataflow graph");
}

tarn_status tarn_flow_new(const tarn_flow_options *options, tarn_flow **ret_flow, tarn_error *err) {
    tarn_flow *flow = tarn_alloc_new(options->alloc, tarn_flow, 1);
    if (flow == NULL) return no_memory(err);
    flow->options = *options;
    flow->alloc = options->alloc;
    flow->result_node = -1;
    if (flow->options.channel_batches == 0) flow->options.channel_batches = FLOW_CHANNEL_BATCHES;
    tarn_arena_init(&flow->arena, flow->alloc, SIZE_MAX);
    tarn_status status = tarn_mutex_new(TARN_LOCK_FLOW, &flow->lock, err);
    if (status == TARN_OK) status = tarn_cond_new(&flow->changed, err);
    if (status == TARN_OK) status = tarn_cond_new(&flow->delivered, err);
    if (status != TARN_OK) {
        tarn_flow_free(flow);
        return status;
    }
    *ret_flow = flow;
    return TARN_OK;
}

static void free_node(const tarn_flow *flow, flow_node *node) {
    if (node->is_source) {
        if (node->source_ops.free != NULL) node->source_ops.free(node->self);
    } else if (node->operator_ops.free != NULL) {
        node->operator_ops.free(node->self);
    }
    tarn_buffer_free(&node->section);
    tarn_alloc_free(flow->alloc, node->edges, node->edge_count);
}

void tarn_flow_free(tarn_flow *flow) {
    if (flow == NULL) return;
    if (flow->started_count > 0) {
        tarn_flow_cancel(flow);
        flow_join(flow);
    }
    for (size_t i = 0; i < flow->task_count; i++) {
        for (size_t c = 0; c < flow->tasks[i].channel_count; c++) {
            flow_channel_free(&flow->tasks[i].channels[c], flow->alloc);
        }
    }
    flow_channel_free(&flow->result, flow->alloc);
    for (size_t i = flow->node_count; i > 0; i--) free_node(flow, flow->nodes[i - 1]);
    tarn_alloc_free(flow->alloc, flow->nodes, flow->node_capacity);
    tarn_alloc_free(flow->alloc, flow->threads, flow->options.thread_count);
    tarn_arena_reset(&flow->arena);
    tarn_cond_free(flow->delivered);
    tarn_cond_free(flow->changed);
    tarn_mutex_free(flow->lock);
    tarn_alloc_free(flow->alloc, flow, 1);
}

// ---- nodes ----

static bool has_name(const tarn_flow *flow, tarn_slice name) {
    for (size_t i = 0; i < flow->node_count; i++) {
        if (tarn_slice_equal(flow->nodes[i]->name, name)) return true;
    }
    return false;
}

// Appends the node to the list and its name to the arena.
static tarn_status add_node(tarn_flow *flow, tarn_slice name, flow_node **ret_node,
                            tarn_error *err) {
    tarn_assert(flow->state == FLOW_BUILDING);
    if (has_name(flow, name)) {
        return tarn_fail(err, TARN_INVALID, "two operators are named '" TARN_SLICE_FMT "'",
                         TARN_SLICE_ARG(name));
    }
    if (flow->node_count == flow->node_capacity) {
        size_t capacity = flow->node_capacity == 0 ? 16 : flow->node_capacity * 2;
        flow_node **nodes = tarn_alloc_new(flow->alloc, flow_node *, capacity);
        if (nodes == NULL) return no_memory(err);
        if (flow->node_count > 0) {
            memcpy(nodes, flow->nodes, flow->node_count * sizeof(flow_node *));
        }
        tarn_alloc_free(flow->alloc, flow->nodes, flow->node_capacity);
        flow->nodes = nodes;
        flow->node_capacity = capacity;
    }
    flow_node *node = tarn_arena_new(&flow->arena, flow_node, 1);
    if (node == NULL || !tarn_arena_copy(&flow->arena, name, &node->name)) return no_memory(err);
    node->index = flow->node_count;
    node->output = (tarn_output){.flow = flow, .node = node};
    node->section.alloc = flow->alloc;
    node->watermark_us = TARN_NO_WATERMARK;
    atomic_init(&node->watermark_seen_us, TARN_NO_WATERMARK);
    *ret_node = node;
    return TARN_OK;
}

tarn_status tarn_flow_add_source(tarn_flow *flow, tarn_slice name, const tarn_source_ops *ops,
                                 void *self, tarn_node *ret_node, tarn_error *err) {
    flow_node *node = NULL;
    tarn_status status = add_node(flow, name, &node, err);
    if (status != TARN_OK) {
        if (ops->free != NULL) ops->free(self);
        return status;
    }
    node->is_source = true;
    node->source_ops = *ops;
    node->self = self;
    flow->nodes[flow->node_count++] = node;
    *ret_node = node->index;
    return TARN_OK;
}

static bool add_edge(tarn_flow *flow, flow_node *from, flow_edge edge) {
    flow_edge *edges = tarn_alloc_new(flow->alloc, flow_edge, from->edge_count + 1);
    if (edges == NULL) return false;
    if (from->edge_count > 0) memcpy(edges, from->edges, from->edge_count * sizeof(flow_edge));
    edges[from->edge_count] = edge;
    tarn_alloc_free(flow->alloc, from->edges, from->edge_count);
    from->edges = edges;
    from->edge_count++;
    return true;
}

static tarn_status connect_inputs(tarn_flow *flow, flow_node *node, const tarn_node *inputs,
                                  size_t input_count, tarn_error *err) {
    node->inputs = tarn_arena_new(&flow->arena, flow_node *, input_count);
    node->input_watermarks = tarn_arena_new(&flow->arena, int64_t, input_count);
    node->input_ended = tarn_arena_new(&flow->arena, bool, input_count);
    if (node->inputs == NULL || node->input_watermarks == NULL || node->input_ended == NULL) {
        return no_memory(err);
    }
    node->input_count = input_count;
    for (size_t i = 0; i < input_count; i++) {
        tarn_assert(inputs[i] < flow->node_count);
        node->inputs[i] = flow->nodes[inputs[i]];
        node->input_watermarks[i] = TARN_NO_WATERMARK;
    }
    return TARN_OK;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of the public header
tarn_status tarn_flow_add_operator(tarn_flow *flow, tarn_slice name, const tarn_operator_ops *ops,
                                   void *self, const tarn_node *inputs, size_t input_count,
                                   unsigned flags, tarn_node *ret_node, tarn_error *err) {
    tarn_assert(input_count > 0);
    flow_node *node = NULL;
    tarn_status status = add_node(flow, name, &node, err);
    if (status == TARN_OK) status = connect_inputs(flow, node, inputs, input_count, err);
    if (status != TARN_OK) {
        if (ops->free != NULL) ops->free(self);
        return status;
    }
    node->operator_ops = *ops;
    node->self = self;
    node->flags = flags;
    flow->nodes[flow->node_count++] = node; // from here on the flow frees it
    for (size_t i = 0; i < input_count; i++) {
        flow_edge edge = {.target = node, .input = i};
        if (!add_edge(flow, node->inputs[i], edge)) return no_memory(err);
    }
    *ret_node = node->index;
    return TARN_OK;
}

tarn_status tarn_flow_set_result(tarn_flow *flow, tarn_node node, tarn_error *err) {
    tarn_assert(node < flow->node_count);
    tarn_assert(flow->result_node < 0);
    flow_edge edge = {.channel = &flow->result};
    if (!add_edge(flow, flow->nodes[node], edge)) return no_memory(err);
    flow->result_node = (ptrdiff_t)node;
    return TARN_OK;
}

tarn_status tarn_flow_restore(tarn_flow *flow, const tarn_slice *states, size_t state_count,
                              tarn_error *err) {
    for (size_t i = 0; i < flow->node_count; i++) {
        flow_node *node = flow->nodes[i];
        tarn_status (*restore)(void *, tarn_state_reader *, tarn_error *) =
            node->is_source ? node->source_ops.restore : node->operator_ops.restore;
        if (restore == NULL) continue;
        tarn_state_reader *reader = NULL;
        TARN_TRY(flow_state_open(flow->alloc, states, state_count, node->name, &reader, err));
        tarn_status status = restore(node->self, reader, err);
        flow_state_close(reader);
        if (status != TARN_OK) {
            tarn_error_prefix(err, "state of '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(node->name));
            return status;
        }
    }
    return TARN_OK;
}

// ---- tasks ----

// Whether the node runs in the task of its one producer.
static bool is_chained(const flow_node *node) {
    return !node->is_source && node->input_count == 1 && (node->flags & TARN_NODE_OWN_TASK) == 0 &&
           node->inputs[0]->edge_count == 1;
}

static tarn_status open_task(tarn_flow *flow, flow_node *head, flow_task *task, tarn_error *err) {
    *task = (flow_task){.head = head, .channel_count = head->input_count};
    task->channels = tarn_arena_new(&flow->arena, flow_channel, head->input_count);
    if (task->channels == NULL) return no_memory(err);
    for (size_t i = 0; i < head->input_count; i++) {
        task->channels[i].capacity = flow->options.channel_batches;
        task->channels[i].consumer = task;
    }
    return TARN_OK;
}

// Nodes were added producers first, so a chained node's producer has its task already.
static tarn_status lay_out_tasks(tarn_flow *flow, tarn_error *err) {
    flow->tasks = tarn_arena_new(&flow->arena, flow_task, flow->node_count);
    if (flow->tasks == NULL) return no_memory(err);
    for (size_t i = 0; i < flow->node_count; i++) {
        flow_node *node = flow->nodes[i];
        if (is_chained(node)) {
            node->task = node->inputs[0]->task;
        } else {
            node->task = &flow->tasks[flow->task_count];
            TARN_TRY(open_task(flow, node, node->task, err));
            flow->task_count++;
        }
    }
    return TARN_OK;
}

// Points channel edges at their channels and collects each task's outputs.
static tarn_status connect_tasks(tarn_flow *flow, tarn_error *err) {
    for (size_t i = 0; i < flow->node_count; i++) {
        flow_node *node = flow->nodes[i];
        for (size_t e = 0; e < node->edge_count; e++) {
            flow_edge *edge = &node->edges[e];
            if (edge->target != NULL && !is_chained(edge->target)) {
                edge->channel = &edge->target->task->channels[edge->input];
            }
            if (edge->channel != NULL) node->task->output_count++;
        }
    }
    for (size_t i = 0; i < flow->task_count; i++) {
        flow_task *task = &flow->tasks[i];
        task->outputs = tarn_arena_new(&flow->arena, flow_channel *, task->output_count);
        if (task->outputs == NULL) return no_memory(err);
        task->output_count = 0;
    }
    for (size_t i = 0; i < flow->node_count; i++) {
        flow_task *task = flow->nodes[i]->task;
        for (size_t e = 0; e < flow->nodes[i]->edge_count; e++) {
            flow_channel *channel = flow->nodes[i]->edges[e].channel;
            if (channel != NULL) task->outputs[task->output_count++] = channel;
        }
    }
    return TARN_OK;
}

tarn_status tarn_flow_start(tarn_flow *flow, tarn_error *err) {
    tarn_assert(flow->state == FLOW_BUILDING);
    flow->result.capacity = flow->options.channel_batches;
    TARN_TRY(lay_out_tasks(flow, err));
    TARN_TRY(connect_tasks(flow, err));
    flow->threads = tarn_alloc_new(flow->alloc, tarn_thread *, flow->options.thread_count);
    if (flow->threads == NULL) return no_memory(err);
    return flow_run(flow, err);
}

// ---- metrics ----

size_t tarn_flow_node_count(const tarn_flow *flow) {
    return flow->node_count;
}

void *tarn_flow_operator(const tarn_flow *flow, tarn_node index, const tarn_operator_ops *ops) {
    tarn_assert(index < flow->node_count);
    const flow_node *node = flow->nodes[index];
    if (node->is_source || node->operator_ops.chunk != ops->chunk) return NULL;
    return node->self;
}

tarn_node_metrics tarn_flow_node_metrics(tarn_flow *flow, tarn_node index) {
    tarn_assert(index < flow->node_count);
    const flow_node *node = flow->nodes[index];
    // Relaxed: each counter is read for itself.
    return (tarn_node_metrics){
        .name = node->name,
        .rows_in = atomic_load_explicit(&node->rows_in, memory_order_relaxed),
        .rows_out = atomic_load_explicit(&node->rows_out, memory_order_relaxed),
        .chunks_in = atomic_load_explicit(&node->chunks_in, memory_order_relaxed),
        .busy_ns = atomic_load_explicit(&node->busy_ns, memory_order_relaxed),
        .suspended_ns = atomic_load_explicit(&node->suspended_ns, memory_order_relaxed),
        .watermark_us = atomic_load_explicit(&node->watermark_seen_us, memory_order_relaxed),
    };
}
