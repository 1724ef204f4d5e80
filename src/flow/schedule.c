// Which task runs when, on which thread; barriers, the end, and failure.
#include "flow/flow_internal.h"

// Everything that is named *_locked is called with the flow's lock held; some release it meanwhile.
static void stop_locked(tarn_flow *flow) TARN_REQUIRES(flow->lock);
static void fail_locked(tarn_flow *flow, tarn_status status, const tarn_error *error)
    TARN_REQUIRES(flow->lock);
static bool source_has_work_locked(const tarn_flow *flow, const flow_task *task, int64_t now_ns)
    TARN_REQUIRES(flow->lock);
static bool has_work_locked(const tarn_flow *flow, const flow_task *task, int64_t now_ns)
    TARN_REQUIRES(flow->lock);
static bool is_runnable_locked(tarn_flow *flow, flow_task *task, int64_t now_ns)
    TARN_REQUIRES(flow->lock);
static void obey_cancel_flag_locked(tarn_flow *flow) TARN_REQUIRES(flow->lock);
static flow_task *pick_locked(tarn_flow *flow, int64_t now_ns) TARN_REQUIRES(flow->lock);
static void complete_barrier_locked(tarn_flow *flow) TARN_REQUIRES(flow->lock);
static void pass_barrier_locked(tarn_flow *flow, flow_task *task, uint64_t epoch)
    TARN_REQUIRES(flow->lock);
static void end_task_locked(tarn_flow *flow, flow_task *task) TARN_REQUIRES(flow->lock);
static void run_locked(tarn_flow *flow, flow_task *task) TARN_REQUIRES(flow->lock);
static void make_room_locked(tarn_flow *flow, flow_channel *channel, flow_node *sender)
    TARN_REQUIRES(flow->lock);
static int64_t next_poll_ms_locked(const tarn_flow *flow, int64_t now_ns) TARN_REQUIRES(flow->lock);
static void wait_locked(tarn_flow *flow, int64_t now_ns) TARN_REQUIRES(flow->lock);

static int64_t monotonic_ns(const tarn_flow *flow) {
    return tarn_os_monotonic_ns(flow->options.os);
}

static void stop_locked(tarn_flow *flow) {
    flow->state = FLOW_STOPPED;
    tarn_cond_broadcast(flow->changed);
    tarn_cond_broadcast(flow->delivered);
}

static void fail_locked(tarn_flow *flow, tarn_status status, const tarn_error *error) {
    if (flow->status == TARN_OK) {
        flow->status = status;
        if (error != NULL) flow->error = *error;
    }
    // Relaxed: workers look at it under the lock, or only to stop early.
    atomic_store_explicit(&flow->cancelled, true, memory_order_relaxed);
    stop_locked(flow);
}

static bool has_room_locked(const flow_task *task) {
    for (size_t i = 0; i < task->output_count; i++) {
        const flow_channel *channel = task->outputs[i];
        if (flow_channel_len(channel) >= channel->capacity) return false;
    }
    return true;
}

// How many of the task's inputs may be read now.
static size_t open_inputs_locked(const flow_task *task) {
    const flow_node *head = task->head;
    bool waits = (head->flags & TARN_NODE_LAST_INPUT_WAITS) != 0 &&
                 head->ended_count + 1 < task->channel_count;
    return waits ? task->channel_count - 1 : task->channel_count;
}

static bool has_input_locked(const flow_task *task) {
    for (size_t i = 0; i < open_inputs_locked(task); i++) {
        const flow_channel *channel = &task->channels[i];
        if (!channel->blocked && flow_channel_len(channel) > 0) return true;
    }
    return false;
}

static bool source_has_work_locked(const tarn_flow *flow, const flow_task *task, int64_t now_ns) {
    if (flow->barrier_active && task->epoch < flow->barrier_epoch) return true;
    if (task->source_ended) return !flow->options.is_stream || flow->finishing;
    if (flow->finishing && task->idle_until_ns > 0) return true;
    return task->woken || task->idle_until_ns <= now_ns;
}

static bool has_work_locked(const tarn_flow *flow, const flow_task *task, int64_t now_ns) {
    if (task->running || task->ended) return false;
    return task->head->is_source ? source_has_work_locked(flow, task, now_ns)
                                 : has_input_locked(task);
}

static void add_suspended(flow_node *node, int64_t since_ns, int64_t now_ns) {
    atomic_fetch_add_explicit(&node->suspended_ns, now_ns - since_ns, memory_order_relaxed);
}

static bool is_runnable_locked(tarn_flow *flow, flow_task *task, int64_t now_ns) {
    if (!has_work_locked(flow, task, now_ns)) return false;
    if (!has_room_locked(task)) {
        if (task->blocked_since_ns == 0) task->blocked_since_ns = now_ns;
        return false;
    }
    if (task->blocked_since_ns > 0) {
        add_suspended(task->head, task->blocked_since_ns, now_ns);
        task->blocked_since_ns = 0;
    }
    return true;
}

// A cancel flag is looked at whenever somebody is about to run or has waited.
static void obey_cancel_flag_locked(tarn_flow *flow) {
    const atomic_bool *flag = flow->options.cancel_flag;
    // Relaxed: the flag carries no data with it.
    if (flag == NULL || !atomic_load_explicit(flag, memory_order_relaxed)) return;
    if (flow->state != FLOW_RUNNING) return;
    tarn_error error = {0};
    (void)tarn_fail(&error, TARN_CANCELLED, "canceling statement due to user request");
    tarn_error_locate(&error, "57014", 0);
    fail_locked(flow, TARN_CANCELLED, &error);
}

// Consumers first: what is on its way is finished before more is begun.
static flow_task *pick_locked(tarn_flow *flow, int64_t now_ns) {
    obey_cancel_flag_locked(flow);
    for (size_t i = flow->task_count; i > 0 && flow->state == FLOW_RUNNING; i--) {
        if (is_runnable_locked(flow, &flow->tasks[i - 1], now_ns)) return &flow->tasks[i - 1];
    }
    return NULL;
}

// ---- barriers ----

static tarn_status collect_state(tarn_flow *flow, bool is_full, tarn_buffer *out, tarn_error *err) {
    TARN_TRY(flow_state_begin(out, is_full, err));
    size_t section_count = 0;
    for (size_t i = 0; i < flow->node_count; i++) {
        flow_node *node = flow->nodes[i];
        if (node->section.len == 0) continue;
        TARN_TRY(flow_state_append(out, node->name, tarn_buffer_slice(&node->section), err));
        tarn_buffer_clear(&node->section);
        section_count++;
    }
    return flow_state_finish(out, section_count, err);
}

// Every task has passed: nobody writes to the sections until the next barrier is accepted, which is
// after this. The callback runs without the lock.
static void complete_barrier_locked(tarn_flow *flow) {
    uint64_t epoch = flow->barrier_epoch;
    bool is_full = flow->barrier_is_full;
    tarn_mutex_unlock(flow->lock);

    tarn_error error = {0};
    tarn_buffer state = {.alloc = flow->alloc};
    tarn_status status = collect_state(flow, is_full, &state, &error);
    if (status == TARN_OK && flow->options.epoch_complete != NULL) {
        status = flow->options.epoch_complete(flow->options.context, epoch, is_full,
                                              tarn_buffer_slice(&state), &error);
    }
    tarn_buffer_free(&state);

    tarn_mutex_lock(flow->lock);
    flow->barrier_active = false;
    if (status != TARN_OK) fail_locked(flow, status, &error);
    tarn_cond_broadcast(flow->changed);
}

static void pass_barrier_locked(tarn_flow *flow, flow_task *task, uint64_t epoch) {
    tarn_assert(task->epoch < epoch);
    task->epoch = epoch;
    flow->barrier_passed++;
    if (flow->barrier_active && flow->barrier_passed == flow->task_count) {
        complete_barrier_locked(flow);
    }
}

static void end_task_locked(tarn_flow *flow, flow_task *task) {
    task->ended = true;
    flow->ended_tasks++;
    // A task that is gone will pass no barrier: it counts as having passed the one under way.
    if (flow->barrier_active && task->epoch < flow->barrier_epoch) {
        pass_barrier_locked(flow, task, flow->barrier_epoch);
    }
}

// ---- one step of a task ----

static tarn_status step_source(tarn_flow *flow, flow_task *task, tarn_error *err) {
    flow_node *node = task->head;
    tarn_mutex_lock(flow->lock);
    bool cut = flow->barrier_active && task->epoch < flow->barrier_epoch;
    uint64_t epoch = flow->barrier_epoch;
    bool is_full = flow->barrier_is_full;
    bool closed = atomic_load_explicit(&node->closed, memory_order_relaxed) ||
                  tarn_output_is_closed(&node->output);
    task->woken = false;
    bool leave = task->source_ended || (flow->finishing && task->idle_until_ns > 0);
    tarn_mutex_unlock(flow->lock);

    if (cut) {
        TARN_TRY(flow_node_barrier(node, epoch, is_full, err));
        tarn_mutex_lock(flow->lock);
        pass_barrier_locked(flow, task, epoch);
        tarn_mutex_unlock(flow->lock);
        return TARN_OK;
    }
    tarn_poll poll = TARN_POLL_END;
    if (!leave && !closed) {
        int64_t begin_ns = monotonic_ns(flow);
        TARN_TRY(node->source_ops.poll(node->self, &node->output, &poll, err));
        int64_t busy_ns = atomic_load_explicit(&node->busy_ns, memory_order_relaxed);
        atomic_store_explicit(&node->busy_ns, busy_ns + monotonic_ns(flow) - begin_ns,
                              memory_order_relaxed);
    }
    if (poll == TARN_POLL_END && (leave || !flow->options.is_stream)) {
        TARN_TRY(flow_send_end(node, err));
        tarn_mutex_lock(flow->lock);
        end_task_locked(flow, task);
        tarn_mutex_unlock(flow->lock);
        return TARN_OK;
    }
    tarn_mutex_lock(flow->lock);
    int64_t interval_ms = flow->options.poll_interval_ms == 0 ? 10 : flow->options.poll_interval_ms;
    task->source_ended = poll == TARN_POLL_END;
    task->idle_until_ns = poll == TARN_POLL_IDLE ? monotonic_ns(flow) + interval_ms * 1000000 : 0;
    tarn_mutex_unlock(flow->lock);
    return TARN_OK;
}

// Takes the next message from an input that is not waiting for a barrier. Inputs take turns by
// the order of their indices: a join's build side is best served first, and says so by its index.
static bool pop_locked(flow_task *task, flow_message *ret_message, size_t *ret_input) {
    for (size_t i = 0; i < open_inputs_locked(task); i++) {
        flow_channel *channel = &task->channels[i];
        if (channel->blocked || !flow_channel_pop(channel, ret_message)) continue;
        *ret_input = i;
        return true;
    }
    return false;
}

// True when every input has delivered the barrier or has ended.
static bool is_aligned_locked(const flow_task *task) {
    for (size_t i = 0; i < task->channel_count; i++) {
        if (!task->channels[i].blocked && !task->head->input_ended[i]) return false;
    }
    return true;
}

static tarn_status pass_aligned(tarn_flow *flow, flow_task *task, tarn_error *err) {
    tarn_mutex_lock(flow->lock);
    bool any_blocked = false;
    for (size_t i = 0; i < task->channel_count; i++) any_blocked |= task->channels[i].blocked;
    bool aligned = any_blocked && is_aligned_locked(task);
    uint64_t epoch = flow->barrier_epoch;
    bool is_full = flow->barrier_is_full;
    tarn_mutex_unlock(flow->lock);
    if (!aligned) return TARN_OK;

    TARN_TRY(flow_node_barrier(task->head, epoch, is_full, err));
    tarn_mutex_lock(flow->lock);
    for (size_t i = 0; i < task->channel_count; i++) task->channels[i].blocked = false;
    pass_barrier_locked(flow, task, epoch);
    tarn_mutex_unlock(flow->lock);
    return TARN_OK;
}

static tarn_status step_operator(tarn_flow *flow, flow_task *task, tarn_error *err) {
    flow_message message;
    size_t input = 0;
    tarn_mutex_lock(flow->lock);
    bool found = pop_locked(task, &message, &input);
    if (found && message.kind == FLOW_BARRIER) {
        tarn_assert(message.epoch == flow->barrier_epoch);
        task->channels[input].blocked = true;
    }
    // The producer may wait for the room this made.
    if (found) tarn_cond_broadcast(flow->changed);
    tarn_mutex_unlock(flow->lock);
    if (!found) return TARN_OK;

    flow_node *node = task->head;
    tarn_status status = TARN_OK;
    switch (message.kind) {
    case FLOW_CHUNK:
        status = flow_node_chunk(node, input, &message.batch->chunk, err);
        tarn_batch_unref(message.batch);
        return status;
    case FLOW_WATERMARK: return flow_node_watermark(node, input, message.watermark_us, err);
    case FLOW_BARRIER: return pass_aligned(flow, task, err);
    case FLOW_END:
        TARN_TRY(flow_node_end(node, input, err));
        TARN_TRY(pass_aligned(flow, task, err));
        if (node->ended_count == node->input_count) {
            tarn_mutex_lock(flow->lock);
            end_task_locked(flow, task);
            tarn_mutex_unlock(flow->lock);
        }
        return TARN_OK;
    }
    return TARN_OK;
}

// Claims the task, runs one step without the lock, and takes the lock again.
static void run_locked(tarn_flow *flow, flow_task *task) {
    tarn_assert(!task->running);
    task->running = true;
    tarn_mutex_unlock(flow->lock);
    tarn_error error = {0};
    tarn_status status =
        task->head->is_source ? step_source(flow, task, &error) : step_operator(flow, task, &error);
    tarn_mutex_lock(flow->lock);
    task->running = false;
    if (status != TARN_OK && flow->state == FLOW_RUNNING) {
        fail_locked(flow, status, &error);
    }
    if (flow->ended_tasks == flow->task_count && flow->state == FLOW_RUNNING) stop_locked(flow);
    tarn_cond_broadcast(flow->changed);
}

// A full channel: the sender first serves the consumer itself, or waits for whoever does. When
// neither is possible (the consumer waits for a barrier from elsewhere), the burst goes over the
// capacity.
static void make_room_locked(tarn_flow *flow, flow_channel *channel, flow_node *sender) {
    int64_t begin_ns = 0;
    while (flow_channel_len(channel) >= channel->capacity && flow->state == FLOW_RUNNING) {
        if (begin_ns == 0) begin_ns = monotonic_ns(flow);
        flow_task *consumer = channel->consumer;
        if (consumer == NULL) {
            if (flow->options.thread_count == 0) break; // the reader is our own caller
            tarn_cond_wait(flow->changed, flow->lock);
        } else if (consumer->running) {
            tarn_cond_wait(flow->changed, flow->lock);
        } else if (is_runnable_locked(flow, consumer, begin_ns)) {
            run_locked(flow, consumer);
        } else {
            break;
        }
    }
    if (begin_ns > 0) add_suspended(sender, begin_ns, monotonic_ns(flow));
}

tarn_status flow_send(tarn_flow *flow, flow_channel *channel, flow_message message,
                      flow_node *sender, tarn_error *err) {
    tarn_mutex_lock(flow->lock);
    if (message.kind == FLOW_CHUNK) make_room_locked(flow, channel, sender);
    bool pushed = flow_channel_push(channel, flow->alloc, message);
    tarn_cond_broadcast(channel->consumer == NULL ? flow->delivered : flow->changed);
    tarn_mutex_unlock(flow->lock);
    if (pushed) return TARN_OK;
    tarn_batch_unref(message.batch);
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a channel of %zu messages",
                     channel->ring_size * 2);
}

// ---- threads ----

#define CANCEL_POLL_MS 50

// When nothing can run now: the moment the next idle source wants to be asked, or -1.
static int64_t next_poll_ms_locked(const tarn_flow *flow, int64_t now_ns) {
    int64_t soonest_ns = INT64_MAX;
    for (size_t i = 0; i < flow->task_count; i++) {
        const flow_task *task = &flow->tasks[i];
        if (!task->head->is_source || task->running || task->ended) continue;
        if (task->idle_until_ns > now_ns && task->idle_until_ns < soonest_ns) {
            soonest_ns = task->idle_until_ns;
        }
    }
    int64_t wait_ms = soonest_ns == INT64_MAX ? -1 : (soonest_ns - now_ns) / 1000000 + 1;
    if (flow->options.cancel_flag == NULL) return wait_ms;
    return wait_ms < 0 || wait_ms > CANCEL_POLL_MS ? CANCEL_POLL_MS : wait_ms;
}

static void wait_locked(tarn_flow *flow, int64_t now_ns) {
    int64_t timeout_ms = next_poll_ms_locked(flow, now_ns);
    if (timeout_ms < 0) {
        tarn_cond_wait(flow->changed, flow->lock);
    } else {
        (void)tarn_cond_wait_ms(flow->changed, flow->lock,
                                timeout_ms); // time-out or not: look again
    }
}

static void work(void *context) {
    tarn_flow *flow = context;
    tarn_mutex_lock(flow->lock);
    while (flow->state == FLOW_RUNNING) {
        int64_t now_ns = monotonic_ns(flow);
        flow_task *task = pick_locked(flow, now_ns);
        if (task != NULL) {
            run_locked(flow, task);
        } else {
            wait_locked(flow, now_ns);
        }
    }
    tarn_mutex_unlock(flow->lock);
}

tarn_status tarn_flow_step(tarn_flow *flow, bool *ret_progressed, tarn_error *err) {
    tarn_assert(flow->options.thread_count == 0);
    tarn_mutex_lock(flow->lock);
    flow_task *task = flow->state == FLOW_RUNNING ? pick_locked(flow, monotonic_ns(flow)) : NULL;
    if (task != NULL) run_locked(flow, task);
    tarn_status status = flow->status;
    if (status != TARN_OK && err != NULL) *err = flow->error;
    tarn_mutex_unlock(flow->lock);
    if (status == TARN_OK) *ret_progressed = task != NULL;
    return status;
}

static tarn_status start_threads(tarn_flow *flow, tarn_error *err) {
    for (size_t i = 0; i < flow->options.thread_count; i++) {
        TARN_TRY(tarn_thread_start(work, flow, &flow->threads[i], err));
        flow->started_count++;
    }
    return TARN_OK;
}

// flow.c has laid out the tasks.
tarn_status flow_run(tarn_flow *flow, tarn_error *err) {
    tarn_mutex_lock(flow->lock);
    flow->state = flow->task_count == 0 ? FLOW_STOPPED : FLOW_RUNNING;
    tarn_mutex_unlock(flow->lock);
    tarn_status status = start_threads(flow, err);
    if (status != TARN_OK) tarn_flow_cancel(flow);
    return status;
}

void flow_join(tarn_flow *flow) {
    for (size_t i = 0; i < flow->started_count; i++) tarn_thread_join(flow->threads[i]);
    flow->started_count = 0;
}

tarn_status tarn_flow_wait(tarn_flow *flow, tarn_error *err) {
    if (flow->options.thread_count == 0) work(flow);
    tarn_mutex_lock(flow->lock);
    while (flow->state == FLOW_RUNNING) tarn_cond_wait(flow->delivered, flow->lock);
    tarn_status status = flow->status;
    if (status != TARN_OK && err != NULL) *err = flow->error;
    tarn_mutex_unlock(flow->lock);
    flow_join(flow);
    return status;
}

tarn_status tarn_flow_next(tarn_flow *flow, tarn_batch **ret_batch, tarn_error *err) {
    tarn_assert(flow->result_node >= 0);
    tarn_batch *batch = NULL;
    tarn_mutex_lock(flow->lock);
    for (;;) {
        flow_message message;
        if (flow_channel_pop(&flow->result, &message)) {
            if (message.kind != FLOW_CHUNK) continue; // the end: the state says so too
            batch = message.batch;
            tarn_cond_broadcast(flow->changed);
            break;
        }
        if (flow->state != FLOW_RUNNING) break;
        if (flow->options.thread_count > 0) { // the workers run the tasks, and look at cancel_flag
            tarn_cond_wait(flow->delivered, flow->lock);
            continue;
        }
        int64_t now_ns = monotonic_ns(flow);
        flow_task *task = pick_locked(flow, now_ns);
        if (task != NULL) {
            run_locked(flow, task);
        } else {
            wait_locked(flow, now_ns);
        }
    }
    tarn_status status = flow->status;
    if (status != TARN_OK) {
        tarn_batch_unref(batch);
        if (err != NULL) *err = flow->error;
    } else {
        *ret_batch = batch;
    }
    tarn_mutex_unlock(flow->lock);
    return status;
}

tarn_status tarn_flow_request_barrier(tarn_flow *flow, uint64_t epoch, bool is_full,
                                      bool *ret_accepted, tarn_error *err) {
    tarn_mutex_lock(flow->lock);
    bool larger = epoch > flow->barrier_epoch;
    bool accepted =
        larger && !flow->barrier_active && flow->state == FLOW_RUNNING && flow->ended_tasks == 0;
    if (accepted) {
        flow->barrier_epoch = epoch;
        flow->barrier_is_full = is_full;
        flow->barrier_active = true;
        flow->barrier_passed = 0;
        tarn_cond_broadcast(flow->changed);
    }
    uint64_t last = flow->barrier_epoch;
    tarn_mutex_unlock(flow->lock);
    if (!larger) {
        return tarn_fail(err, TARN_INVALID, "epoch %llu is not after epoch %llu",
                         (unsigned long long)epoch, (unsigned long long)last);
    }
    *ret_accepted = accepted;
    return TARN_OK;
}

bool tarn_flow_is_drained(tarn_flow *flow) {
    bool drained = true;
    tarn_mutex_lock(flow->lock);
    for (size_t i = 0; i < flow->task_count && drained; i++) {
        const flow_task *task = &flow->tasks[i];
        drained = !task->running;
        if (task->head->is_source && !task->ended) {
            drained = drained && (task->source_ended || (task->idle_until_ns > 0 && !task->woken));
        }
        for (size_t c = 0; c < task->channel_count; c++) {
            drained = drained && flow_channel_len(&task->channels[c]) == 0;
        }
    }
    drained = drained && !flow->barrier_active;
    tarn_mutex_unlock(flow->lock);
    return drained;
}

void tarn_flow_wake_sources(tarn_flow *flow) {
    tarn_mutex_lock(flow->lock);
    for (size_t i = 0; i < flow->task_count; i++) {
        // One that is being asked right now may have looked too early: it is asked again.
        if (flow->tasks[i].head->is_source) flow->tasks[i].woken = true;
    }
    tarn_cond_broadcast(flow->changed);
    tarn_mutex_unlock(flow->lock);
}

bool tarn_flow_has_stopped(tarn_flow *flow) {
    tarn_mutex_lock(flow->lock);
    bool stopped = flow->state == FLOW_STOPPED;
    tarn_mutex_unlock(flow->lock);
    return stopped;
}

void tarn_flow_finish(tarn_flow *flow) {
    tarn_mutex_lock(flow->lock);
    flow->finishing = true;
    tarn_cond_broadcast(flow->changed);
    tarn_mutex_unlock(flow->lock);
}

void tarn_flow_cancel(tarn_flow *flow) {
    tarn_error error = {0};
    (void)tarn_fail(&error, TARN_CANCELLED, "cancelled"); // fills `error`
    tarn_mutex_lock(flow->lock);
    if (flow->state == FLOW_RUNNING) fail_locked(flow, TARN_CANCELLED, &error);
    tarn_mutex_unlock(flow->lock);
}
