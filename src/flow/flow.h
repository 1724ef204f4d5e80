// flow.h - the dataflow runtime: graphs of operators, channels, watermarks, barriers, checkpoints.
//
// A flow is a graph of sources and operators. Neighbours with one producer and one consumer run as
// a chain in one task; other edges are bounded channels of batches. A task runs on one worker
// thread at a time and owns its operators' state alone, so operators take no locks. A full channel
// suspends its producer, and that is all of backpressure.
//
//     TARN_TRY(tarn_flow_new(&options, &flow, err));
//     TARN_TRY(tarn_flow_add_source(flow, TARN_LIT("flights"), &source_ops, source, &a, err));
//     TARN_TRY(tarn_flow_add_operator(flow, TARN_LIT("filter"), &filter_ops, filter, &a, 1, 0, &b,
//     err)); TARN_TRY(tarn_flow_start(flow, err)); TARN_TRY(tarn_flow_wait(flow, err));
//
// Messages: chunks; watermarks (event time in us: no more rows at or before it, except late ones);
//           barriers (an epoch number; what came before belongs to it or to an earlier one); the
//           end. An operator with several inputs sees the least of their watermarks; a barrier
//           reaches it once all live inputs have delivered it, and inputs that did so first wait
//           (alignment); end reaches it per input.
// A batch is a stream that ends: a query is a flow without barriers.
// Checkpoint: at a barrier each operator first emits what the epoch owes downstream and then writes
//           the state that changed (or all of it, when asked) to a tarn_state_writer. When every
//           task has done so the flow reports the epoch complete, in order, with the state
//           collected.
// Ownership: a flow owns the operators added to it (also when adding fails) and frees them.
// Threads:   building and freeing from one thread while it does not run; request_barrier, cancel,
//            metrics from any thread. The callbacks of tarn_flow_options run on a worker, one at a
//            time.
// Errors:    the first failure of an operator cancels the flow; tarn_flow_wait returns it.
#ifndef TARN_FLOW_H
#define TARN_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "column/column.h"
#include "os/os.h"

typedef struct tarn_flow tarn_flow;
typedef struct tarn_output tarn_output;             // where an operator sends its results
typedef struct tarn_state_writer tarn_state_writer; // one operator's part of a checkpoint
typedef struct tarn_state_reader tarn_state_reader; // the same, at restore

// ---- what an operator may call ----

// The chunk may be on loan: it is used up or copied before the call returns. May have a selection.
TARN_MUST_USE tarn_status tarn_output_emit(tarn_output *output, const tarn_chunk *chunk,
                                           tarn_error *err);
TARN_MUST_USE tarn_status tarn_output_watermark(tarn_output *output, int64_t watermark_us,
                                                tarn_error *err);
// True once nobody wants more rows (a LIMIT downstream is satisfied): a hint to stop early.
bool tarn_output_is_closed(const tarn_output *output);
// Says that this operator wants no more input.
void tarn_output_close_input(tarn_output *output);

// State is a set of (key, value) pairs per operator. A delta checkpoint writes what changed since
// the last barrier; a full one (tarn_state_writer_is_full) everything, and replaces all before it.
bool tarn_state_writer_is_full(const tarn_state_writer *writer);
TARN_MUST_USE tarn_status tarn_state_put(tarn_state_writer *writer, tarn_slice key,
                                         tarn_slice value, tarn_error *err);
TARN_MUST_USE tarn_status tarn_state_delete(tarn_state_writer *writer, tarn_slice key,
                                            tarn_error *err);
// The live pairs, in any order, each once; *ret_found is false at the end. Valid until restore
// returns.
TARN_MUST_USE tarn_status tarn_state_next(tarn_state_reader *reader, tarn_slice *ret_key,
                                          tarn_slice *ret_value, bool *ret_found, tarn_error *err);

// ---- what an operator provides ----

// Members that are NULL do the obvious: watermarks are forwarded, barriers and ends write and emit
// nothing, there is no state. The runtime forwards barriers and ends itself, after the call.
typedef struct tarn_operator_ops {
    tarn_status (*chunk)(void *self, size_t input, const tarn_chunk *chunk, tarn_output *output,
                         tarn_error *err); // required
    tarn_status (*watermark)(void *self, int64_t watermark_us, tarn_output *output,
                             tarn_error *err);
    tarn_status (*barrier)(void *self, uint64_t epoch, tarn_state_writer *state,
                           tarn_output *output, tarn_error *err);
    tarn_status (*end)(void *self, size_t input, tarn_output *output, tarn_error *err);
    tarn_status (*restore)(void *self, tarn_state_reader *state, tarn_error *err);
    void (*free)(void *self);
} tarn_operator_ops;

typedef enum tarn_poll {
    TARN_POLL_MORE, // call again
    TARN_POLL_IDLE, // nothing now; asked again after the flow's poll interval
    TARN_POLL_END,  // nothing ever
} tarn_poll;

typedef struct tarn_source_ops {
    // Emits at most about one chunk.
    tarn_status (*poll)(void *self, tarn_output *output, tarn_poll *ret_poll, tarn_error *err);
    // Writes the position reached: the next poll after a restore continues there.
    tarn_status (*barrier)(void *self, uint64_t epoch, tarn_state_writer *state, tarn_error *err);
    tarn_status (*restore)(void *self, tarn_state_reader *state, tarn_error *err);
    void (*free)(void *self);
} tarn_source_ops;

// ---- building ----

typedef struct tarn_flow_options {
    const tarn_alloc *alloc;
    tarn_os *os;
    size_t thread_count;      // workers; 0: the thread in tarn_flow_wait / _next does the work
    size_t channel_batches;   // capacity of a channel; 0: 8
    int64_t poll_interval_ms; // for idle sources; 0: 10
    // With streams: sources stay alive at TARN_POLL_END until a final barrier has passed, so that
    // barriers can still be requested; the flow ends after tarn_flow_finish.
    bool is_stream;
    // Looked at between steps; once true the flow is cancelled. May be set from anywhere, also from
    // a signal handler. NULL: no.
    const atomic_bool *cancel_flag;
    void *context;
    // Every task has passed the barrier of `epoch`. `state` encodes the (key, value) changes of all
    // operators and stays valid for the call. A failure fails the flow.
    tarn_status (*epoch_complete)(void *context, uint64_t epoch, bool is_full, tarn_slice state,
                                  tarn_error *err);
} tarn_flow_options;

typedef size_t tarn_node; // an index into the flow's nodes

enum {
    TARN_NODE_OWN_TASK = 1, // put a channel before this operator, for parallelism
    // The last input is not read before all others have ended: a join's build sides first. For
    // batches only, where the inputs come from different sources.
    TARN_NODE_LAST_INPUT_WAITS = 2,
};

TARN_MUST_USE tarn_status tarn_flow_new(const tarn_flow_options *options, tarn_flow **ret_flow,
                                        tarn_error *err);
void tarn_flow_free(tarn_flow *flow); // cancels and joins; accepts NULL

// `name` must be unique in the flow and stable over restarts: state is found again by it.
TARN_MUST_USE tarn_status tarn_flow_add_source(tarn_flow *flow, tarn_slice name,
                                               const tarn_source_ops *ops, void *self,
                                               tarn_node *ret_node, tarn_error *err);
// A node may feed any number of consumers; each sees every message.
TARN_MUST_USE tarn_status tarn_flow_add_operator(tarn_flow *flow, tarn_slice name,
                                                 const tarn_operator_ops *ops, void *self,
                                                 const tarn_node *inputs, size_t input_count,
                                                 unsigned flags, tarn_node *ret_node,
                                                 tarn_error *err);
// Makes the node's output available to tarn_flow_next (one node per flow: a query's result).
TARN_MUST_USE tarn_status tarn_flow_set_result(tarn_flow *flow, tarn_node node, tarn_error *err);

// Gives operators their state: `states` are the `state` bytes of the last full checkpoint and of
// the deltas after it, in order. Before start.
TARN_MUST_USE tarn_status tarn_flow_restore(tarn_flow *flow, const tarn_slice *states,
                                            size_t state_count, tarn_error *err);

// ---- running ----

TARN_MUST_USE tarn_status tarn_flow_start(tarn_flow *flow, tarn_error *err);
// Asks every source to cut at `epoch` (larger than any before). At most one barrier is under way:
// when the last one is not complete yet, *ret_accepted is false.
TARN_MUST_USE tarn_status tarn_flow_request_barrier(tarn_flow *flow, uint64_t epoch, bool is_full,
                                                    bool *ret_accepted, tarn_error *err);
// True when every source has reported TARN_POLL_END or _IDLE and all channels are empty.
bool tarn_flow_is_drained(tarn_flow *flow);
// Asks idle sources at once instead of after the poll interval; until they have answered the flow
// is not drained.
void tarn_flow_wake_sources(tarn_flow *flow);
// True once it has failed, was cancelled or has ended: tarn_flow_wait then returns at once.
bool tarn_flow_has_stopped(tarn_flow *flow);
// Streams: lets ended and idle sources end, so that tarn_flow_wait returns.
void tarn_flow_finish(tarn_flow *flow);
// Stops as soon as running operators return; tarn_flow_wait then returns TARN_CANCELLED.
void tarn_flow_cancel(tarn_flow *flow);
// Without workers: runs one task for one message. *ret_progressed is false when none can run now.
// For callers (simulations, tests) that decide themselves when what happens.
TARN_MUST_USE tarn_status tarn_flow_step(tarn_flow *flow, bool *ret_progressed, tarn_error *err);
TARN_MUST_USE tarn_status tarn_flow_wait(tarn_flow *flow, tarn_error *err);
// The next batch of the result node, NULL at the end. The caller unrefs it.
TARN_MUST_USE tarn_status tarn_flow_next(tarn_flow *flow, tarn_batch **ret_batch, tarn_error *err);

typedef struct tarn_node_metrics {
    tarn_slice name;
    uint64_t rows_in, rows_out, chunks_in;
    int64_t busy_ns;      // inside the operator, its chain successors excluded
    int64_t suspended_ns; // waiting for room downstream
    int64_t watermark_us; // last one seen (sources: sent)
} tarn_node_metrics;
// Safe while the flow runs; counters may be a moment old.
tarn_node_metrics tarn_flow_node_metrics(tarn_flow *flow, tarn_node index);
size_t tarn_flow_node_count(const tarn_flow *flow);
// The `self` of a node that was added with these ops, NULL for any other node: for counters that an
// operator keeps itself.
void *tarn_flow_operator(const tarn_flow *flow, tarn_node index, const tarn_operator_ops *ops);

// ---- state bytes at rest ----
//
// Frames with checksums: docs/formats/state.md. What epoch_complete gives is already in this form.

// Merges a full checkpoint and its deltas into one full one.
TARN_MUST_USE tarn_status tarn_state_merge(const tarn_alloc *alloc, const tarn_slice *states,
                                           size_t state_count, tarn_buffer *ret_state,
                                           tarn_error *err);

#endif
