// flow_internal.h - the parts of a flow: nodes, edges, channels, tasks.
//
//   node A --chained edge--> node B        one task: B is called from A's emit
//   node A --channel edge--> node C        two tasks: batches wait in a bounded queue
//
// One lock guards scheduling and every channel. Messages carry up to TARN_CHUNK_ROWS rows, so it is
// taken some thousand times a second and never held during work.
#ifndef TARN_FLOW_INTERNAL_H
#define TARN_FLOW_INTERNAL_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "flow/flow.h"

#define FLOW_CHANNEL_BATCHES TARN_TUNABLE((size_t)8, (size_t)2)

typedef enum flow_message_kind {
    FLOW_CHUNK,
    FLOW_WATERMARK,
    FLOW_BARRIER,
    FLOW_END,
} flow_message_kind;

typedef struct flow_message {
    flow_message_kind kind;
    tarn_batch *batch;    // CHUNK: owned by the message
    int64_t watermark_us; // WATERMARK
    uint64_t epoch;       // BARRIER
    bool is_full;         // BARRIER
} flow_message;

// A ring that grows when an operator's burst exceeds the capacity: an emit cannot be suspended half
// way, so capacity decides who may start, not who may finish.
typedef struct flow_channel {
    flow_message *ring;
    size_t ring_size; // slots, a power of two
    size_t head;      // counters that only grow; a slot is counter & (ring_size - 1)
    size_t tail;
    size_t capacity;
    bool blocked;               // its barrier has come; waits for the other inputs
    struct flow_task *consumer; // NULL: the flow's result
} flow_channel;

typedef struct flow_edge {
    struct flow_node *target; // NULL: the flow's result
    size_t input;             // of the target
    flow_channel *channel;    // NULL: chained
} flow_edge;

struct tarn_output {
    tarn_flow *flow;
    struct flow_node *node;
};

struct tarn_state_writer {
    tarn_buffer *section;
    bool is_full;
};

typedef struct flow_node {
    tarn_slice name;
    bool is_source;
    tarn_operator_ops operator_ops;
    tarn_source_ops source_ops;
    void *self;
    unsigned flags;
    size_t index;
    struct tarn_output output;

    struct flow_node **inputs;
    size_t input_count;
    int64_t *input_watermarks; // per input
    bool *input_ended;
    size_t ended_count;
    int64_t watermark_us; // least of the live inputs'; sources: last sent

    flow_edge *edges; // to consumers
    size_t edge_count;
    struct flow_task *task;

    tarn_buffer section; // state of the barrier under way
    atomic_bool closed;  // nobody wants its output any more, or it wants no input

    _Atomic uint64_t rows_in, rows_out, chunks_in;
    _Atomic int64_t busy_ns, suspended_ns, watermark_seen_us;
} flow_node;

// A head node and what is chained behind it. All fields are guarded by the flow's lock, except that
// the running thread owns the nodes' state.
typedef struct flow_task {
    flow_node *head;
    flow_channel *channels; // one per input of the head; none for a source
    size_t channel_count;
    flow_channel **outputs; // channels that the task's nodes fill
    size_t output_count;
    bool running;
    bool ended;
    bool source_ended; // the source has nothing more; it stays for barriers
    int64_t idle_until_ns;
    bool woken;               // to be asked although idle
    uint64_t epoch;           // last barrier passed
    int64_t blocked_since_ns; // has work but no room; 0: not blocked
} flow_task;

typedef enum flow_state { FLOW_BUILDING, FLOW_RUNNING, FLOW_STOPPED } flow_state;

struct tarn_flow {
    tarn_flow_options options;
    const tarn_alloc *alloc;
    tarn_arena arena; // nodes, edges, tasks, names: what building makes
    flow_node **nodes;
    size_t node_count;
    size_t node_capacity;
    ptrdiff_t result_node; // -1: none
    flow_channel result;

    tarn_mutex *lock;
    // Workers wait for the first, the caller for the second: it is not woken by every step.
    tarn_cond *changed;   // work or room appeared, or the state moved
    tarn_cond *delivered; // a result appeared, or the state moved
    tarn_thread **threads;
    size_t started_count;

    // guarded by lock, once running
    flow_state state;
    flow_task *tasks; // producers before consumers
    size_t task_count;
    size_t ended_tasks;
    bool finishing;
    uint64_t barrier_epoch; // under way or last
    bool barrier_is_full;
    bool barrier_active;
    size_t barrier_passed; // tasks
    tarn_error error;
    tarn_status status;
    atomic_bool cancelled;
};

// run.c: a task's work, without the lock held.
TARN_MUST_USE tarn_status flow_node_chunk(flow_node *node, size_t input, const tarn_chunk *chunk,
                                          tarn_error *err);
TARN_MUST_USE tarn_status flow_node_watermark(flow_node *node, size_t input, int64_t watermark_us,
                                              tarn_error *err);
TARN_MUST_USE tarn_status flow_node_barrier(flow_node *node, uint64_t epoch, bool is_full,
                                            tarn_error *err);
TARN_MUST_USE tarn_status flow_node_end(flow_node *node, size_t input, tarn_error *err);
TARN_MUST_USE tarn_status flow_send_end(flow_node *node, tarn_error *err);

// schedule.c
TARN_MUST_USE tarn_status flow_send(tarn_flow *flow, flow_channel *channel, flow_message message,
                                    flow_node *sender, tarn_error *err);
// Starts the workers on the tasks that flow.c has laid out.
TARN_MUST_USE tarn_status flow_run(tarn_flow *flow, tarn_error *err);
void flow_join(tarn_flow *flow);

// channel.c: under the flow's lock, or while nothing runs.
TARN_MUST_USE bool flow_channel_push(flow_channel *channel, const tarn_alloc *alloc,
                                     flow_message message);
TARN_MUST_USE bool flow_channel_pop(flow_channel *channel, flow_message *ret_message);
void flow_channel_free(flow_channel *channel, const tarn_alloc *alloc);
static inline size_t flow_channel_len(const flow_channel *channel) {
    return channel->tail - channel->head;
}

// state.c
TARN_MUST_USE tarn_status flow_state_begin(tarn_buffer *out, bool is_full, tarn_error *err);
TARN_MUST_USE tarn_status flow_state_append(tarn_buffer *out, tarn_slice node_name,
                                            tarn_slice entries, tarn_error *err);
TARN_MUST_USE tarn_status flow_state_finish(tarn_buffer *out, size_t section_count,
                                            tarn_error *err);
TARN_MUST_USE tarn_status flow_state_open(const tarn_alloc *alloc, const tarn_slice *states,
                                          size_t state_count, tarn_slice node_name,
                                          tarn_state_reader **ret_reader, tarn_error *err);
void flow_state_close(tarn_state_reader *reader);

#endif
