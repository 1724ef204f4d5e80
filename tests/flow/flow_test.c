#include "flow/flow.h"

#include <string.h>

#include "tests/test.h"

// ---- a stream of integers 0, 1, 2, ... and operators over it ----

typedef struct counter {
    int64_t next;
    int64_t limit;
    size_t chunk_rows;
    int64_t resumed_at;
    int64_t watermark_every; // rows; 0: none
} counter;

static tarn_status emit_range(int64_t begin, int64_t end, tarn_output *output, tarn_error *err) {
    int64_t values[64];
    for (int64_t i = begin; i < end; i++) values[i - begin] = i;
    tarn_vector column = {.type = tarn_type_of(TARN_TYPE_BIGINT), .data = values};
    tarn_chunk chunk = {.row_count = (size_t)(end - begin), .column_count = 1, .columns = &column};
    return tarn_output_emit(output, &chunk, err);
}

static tarn_status counter_poll(void *self, tarn_output *output, tarn_poll *ret_poll,
                                tarn_error *err) {
    counter *source = self;
    if (source->next == source->limit) {
        *ret_poll = TARN_POLL_END;
        return TARN_OK;
    }
    int64_t end = source->next + (int64_t)source->chunk_rows;
    if (end > source->limit) end = source->limit;
    TARN_TRY(emit_range(source->next, end, output, err));
    source->next = end;
    if (source->watermark_every > 0) TARN_TRY(tarn_output_watermark(output, end - 1, err));
    *ret_poll = TARN_POLL_MORE;
    return TARN_OK;
}

static tarn_status counter_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                   tarn_error *err) {
    (void)epoch;
    counter *source = self;
    return tarn_state_put(state, TARN_LIT("next"),
                          (tarn_slice){(const uint8_t *)&source->next, sizeof source->next}, err);
}

static tarn_status counter_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    counter *source = self;
    tarn_slice key;
    tarn_slice value;
    bool found;
    TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
    if (found) memcpy(&source->next, value.data, sizeof source->next);
    source->resumed_at = source->next;
    return TARN_OK;
}

static const tarn_source_ops counter_ops = {
    .poll = counter_poll, .barrier = counter_barrier, .restore = counter_restore};

// Adds up what it sees, passes rows on, and checks the order of events.
typedef struct summer {
    int64_t sum;
    int64_t rows;
    int64_t sum_at_barrier;
    uint64_t barrier_count;
    int64_t watermark_us;
    size_t ends;
    size_t stop_after; // rows; 0: never
    int64_t fail_at;   // row value; 0: never
    bool forward;
} summer;

static tarn_status summer_chunk(void *self, size_t input, const tarn_chunk *chunk,
                                tarn_output *output, tarn_error *err) {
    (void)input;
    summer *sum = self;
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        int64_t value = tarn_vector_get(&chunk->columns[0], tarn_chunk_row(chunk, i)).i64;
        if (sum->fail_at > 0 && value == sum->fail_at) {
            return tarn_fail(err, TARN_INVALID, "value %lld is unlucky", (long long)value);
        }
        sum->sum += value;
        sum->rows++;
    }
    if (sum->stop_after > 0 && sum->rows >= (int64_t)sum->stop_after) {
        tarn_output_close_input(output);
    }
    return sum->forward ? tarn_output_emit(output, chunk, err) : TARN_OK;
}

static tarn_status summer_watermark(void *self, int64_t watermark_us, tarn_output *output,
                                    tarn_error *err) {
    summer *sum = self;
    if (watermark_us <= sum->watermark_us && sum->watermark_us != 0) {
        return tarn_fail(err, TARN_INVALID, "the watermark went back");
    }
    sum->watermark_us = watermark_us;
    return tarn_output_watermark(output, watermark_us, err);
}

static tarn_status summer_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                  tarn_output *output, tarn_error *err) {
    (void)epoch;
    (void)output;
    summer *sum = self;
    sum->sum_at_barrier = sum->sum;
    sum->barrier_count++;
    return tarn_state_put(state, TARN_LIT("sum"),
                          (tarn_slice){(const uint8_t *)&sum->sum, sizeof sum->sum}, err);
}

static tarn_status summer_end(void *self, size_t input, tarn_output *output, tarn_error *err) {
    (void)input;
    (void)output;
    (void)err;
    ((summer *)self)->ends++;
    return TARN_OK;
}

static tarn_status summer_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    summer *sum = self;
    tarn_slice key;
    tarn_slice value;
    bool found;
    TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
    if (found) memcpy(&sum->sum, value.data, sizeof sum->sum);
    return TARN_OK;
}

static const tarn_operator_ops summer_ops = {.chunk = summer_chunk,
                                             .watermark = summer_watermark,
                                             .barrier = summer_barrier,
                                             .end = summer_end,
                                             .restore = summer_restore};

// ---- a diamond: one source, two branches, a node that sees both ----

typedef struct diamond {
    tarn_flow *flow;
    counter source;
    summer left, right, both;
    uint64_t completed;                 // last epoch
    int64_t left_at, right_at, both_at; // sums when the last epoch was complete
    tarn_buffer states[8];
    size_t state_count;
} diamond;

static tarn_status diamond_complete(void *context, uint64_t epoch, bool is_full, tarn_slice state,
                                    tarn_error *err) {
    diamond *d = context;
    (void)is_full;
    if (epoch <= d->completed) return tarn_fail(err, TARN_INVALID, "epochs out of order");
    d->completed = epoch;
    if (d->state_count < 8 && !tarn_buffer_append(&d->states[d->state_count++], state)) {
        return tarn_fail(err, TARN_NO_MEMORY, "state");
    }
    return TARN_OK;
}

static void diamond_build(diamond *d, size_t thread_count, bool is_stream) {
    d->left.forward = true;
    d->right.forward = true;
    tarn_flow_options options = {.alloc = &tarn_alloc_libc,
                                 .os = tarn_os_posix(),
                                 .thread_count = thread_count,
                                 .channel_batches = 2,
                                 .is_stream = is_stream,
                                 .context = d,
                                 .epoch_complete = diamond_complete};
    tarn_node source;
    tarn_node branches[2];
    tarn_node both;
    assert_int_equal(tarn_flow_new(&options, &d->flow, NULL), TARN_OK);
    assert_int_equal(
        tarn_flow_add_source(d->flow, TARN_LIT("source"), &counter_ops, &d->source, &source, NULL),
        TARN_OK);
    assert_int_equal(tarn_flow_add_operator(d->flow, TARN_LIT("left"), &summer_ops, &d->left,
                                            &source, 1, 0, &branches[0], NULL),
                     TARN_OK);
    assert_int_equal(tarn_flow_add_operator(d->flow, TARN_LIT("right"), &summer_ops, &d->right,
                                            &source, 1, TARN_NODE_OWN_TASK, &branches[1], NULL),
                     TARN_OK);
    assert_int_equal(tarn_flow_add_operator(d->flow, TARN_LIT("both"), &summer_ops, &d->both,
                                            branches, 2, 0, &both, NULL),
                     TARN_OK);
}

static void diamond_free(diamond *d) {
    tarn_flow_free(d->flow);
    for (size_t i = 0; i < 8; i++) tarn_buffer_free(&d->states[i]);
}

static int64_t sum_below(int64_t n) {
    return n * (n - 1) / 2;
}

TEST(every_row_reaches_every_consumer_once) {
    for (size_t threads = 0; threads <= 3; threads++) {
        diamond d = {.source = {.limit = 20000, .chunk_rows = 8, .watermark_every = 1}};
        diamond_build(&d, threads, false);
        assert_int_equal(tarn_flow_start(d.flow, NULL), TARN_OK);
        assert_int_equal(tarn_flow_wait(d.flow, NULL), TARN_OK);
        assert_int_equal(d.left.sum, sum_below(20000));
        assert_int_equal(d.right.sum, sum_below(20000));
        assert_int_equal(d.both.sum, 2 * sum_below(20000));
        assert_int_equal(d.both.ends, 2);
        assert_int_equal(d.both.watermark_us, 19999);
        assert_int_equal(tarn_flow_node_metrics(d.flow, 3).rows_in, 40000);
        diamond_free(&d);
    }
}

// A barrier cuts the stream at one place for every operator, whatever the interleaving.
static void check_cuts(size_t threads) {
    diamond d = {.source = {.limit = 50000, .chunk_rows = 1 + test_random_below(8)}};
    diamond_build(&d, threads, true);
    assert_int_equal(tarn_flow_start(d.flow, NULL), TARN_OK);
    uint64_t epoch = 0;
    while (epoch < 6) {
        bool accepted;
        assert_int_equal(tarn_flow_request_barrier(d.flow, epoch + 1, false, &accepted, NULL),
                         TARN_OK);
        if (accepted) epoch++;
        for (size_t steps = test_random_below(500); threads == 0 && steps > 0; steps--) {
            bool progressed;
            assert_int_equal(tarn_flow_step(d.flow, &progressed, NULL), TARN_OK);
        }
    }
    tarn_flow_finish(d.flow);
    assert_int_equal(tarn_flow_wait(d.flow, NULL), TARN_OK);
    assert_int_equal(d.left.barrier_count, 6);
    assert_int_equal(d.both.barrier_count, 6);
    assert_int_equal(d.completed, 6);
    // The state of one epoch: every operator saw the same prefix.
    assert_int_equal(d.left.sum_at_barrier, d.right.sum_at_barrier);
    assert_int_equal(d.both.sum_at_barrier, 2 * d.left.sum_at_barrier);
    assert_int_equal(d.both.sum, 2 * sum_below(50000));
    diamond_free(&d);
}

TEST(barriers_are_aligned) {
    for (size_t threads = 0; threads <= 2; threads++) check_cuts(threads);
}

TEST(a_restored_flow_continues_where_the_checkpoint_was) {
    diamond first = {.source = {.limit = 30000, .chunk_rows = 7}};
    diamond_build(&first, 0, true);
    assert_int_equal(tarn_flow_start(first.flow, NULL), TARN_OK);
    for (uint64_t epoch = 1; epoch <= 4; epoch++) {
        bool accepted = false;
        bool progressed;
        for (size_t steps = test_random_below(3000); steps > 0; steps--) {
            assert_int_equal(tarn_flow_step(first.flow, &progressed, NULL), TARN_OK);
        }
        assert_int_equal(tarn_flow_request_barrier(first.flow, epoch, epoch == 2, &accepted, NULL),
                         TARN_OK);
        assert_true(accepted);
        while (first.completed < epoch) {
            assert_int_equal(tarn_flow_step(first.flow, &progressed, NULL), TARN_OK);
        }
    }
    tarn_slice states[4];
    for (size_t i = 0; i < 4; i++) states[i] = tarn_buffer_slice(&first.states[i]);
    tarn_buffer merged = {0};
    assert_int_equal(tarn_state_merge(&tarn_alloc_libc, states, 4, &merged, NULL), TARN_OK);
    tarn_slice merged_slice = tarn_buffer_slice(&merged);

    for (int from_merged = 0; from_merged <= 1; from_merged++) {
        diamond second = {.source = {.limit = 30000, .chunk_rows = 5}};
        diamond_build(&second, 2, true);
        // The chain may also start at the full state in the middle.
        assert_int_equal(tarn_flow_restore(second.flow, from_merged ? &merged_slice : states + 1,
                                           from_merged ? 1 : 3, NULL),
                         TARN_OK);
        assert_int_equal(second.both.sum, 2 * sum_below(second.source.resumed_at));
        assert_int_equal(tarn_flow_start(second.flow, NULL), TARN_OK);
        tarn_flow_finish(second.flow);
        assert_int_equal(tarn_flow_wait(second.flow, NULL), TARN_OK);
        assert_int_equal(second.both.sum, 2 * sum_below(30000));
        diamond_free(&second);
    }
    tarn_buffer_free(&merged);
    diamond_free(&first);
}

TEST(damaged_state_is_refused) {
    diamond first = {.source = {.limit = 100, .chunk_rows = 7}};
    diamond_build(&first, 0, true);
    assert_int_equal(tarn_flow_start(first.flow, NULL), TARN_OK);
    bool accepted;
    bool progressed;
    assert_int_equal(tarn_flow_request_barrier(first.flow, 1, true, &accepted, NULL), TARN_OK);
    while (first.completed < 1) {
        assert_int_equal(tarn_flow_step(first.flow, &progressed, NULL), TARN_OK);
    }
    tarn_slice whole = tarn_buffer_slice(&first.states[0]);
    tarn_buffer out = {0};
    for (size_t len = 0; len < whole.len; len++) {
        tarn_slice cut = tarn_slice_head(whole, len);
        assert_int_equal(tarn_state_merge(&tarn_alloc_libc, &cut, 1, &out, NULL), TARN_CORRUPT);
    }
    for (size_t i = 16; i < whole.len; i++) { // the header's reserved bytes are not checked
        first.states[0].data[i] ^= 0x10;
        tarn_error err = {0};
        assert_int_equal(tarn_state_merge(&tarn_alloc_libc, &whole, 1, &out, &err), TARN_CORRUPT);
        assert_non_null(strstr(err.message, "checkpoint state"));
        first.states[0].data[i] ^= 0x10;
    }
    assert_int_equal(tarn_state_merge(&tarn_alloc_libc, &whole, 1, &out, NULL), TARN_OK);
    tarn_buffer_free(&out);
    diamond_free(&first);
}

TEST(the_first_failure_is_reported) {
    for (size_t threads = 0; threads <= 2; threads++) {
        diamond d = {.source = {.limit = 1000000, .chunk_rows = 8}, .right = {.fail_at = 5000}};
        diamond_build(&d, threads, false);
        tarn_error err = {0};
        assert_int_equal(tarn_flow_start(d.flow, NULL), TARN_OK);
        assert_int_equal(tarn_flow_wait(d.flow, &err), TARN_INVALID);
        assert_string_equal(err.message, "value 5000 is unlucky");
        assert_in_range(d.source.next, 5000, 100000); // and the source stopped soon after
        diamond_free(&d);
    }
}

TEST(a_cancelled_flow_stops) {
    diamond d = {.source = {.limit = INT64_MAX, .chunk_rows = 8}};
    diamond_build(&d, 2, true);
    tarn_error err = {0};
    assert_int_equal(tarn_flow_start(d.flow, NULL), TARN_OK);
    tarn_flow_cancel(d.flow);
    assert_int_equal(tarn_flow_wait(d.flow, &err), TARN_CANCELLED);
    diamond_free(&d);
}

TEST(a_flag_cancels) {
    for (size_t threads = 0; threads <= 2; threads++) {
        atomic_bool flag = false;
        counter source = {.limit = INT64_MAX, .chunk_rows = 8};
        summer sum = {.forward = true};
        tarn_flow_options options = {.alloc = &tarn_alloc_libc,
                                     .os = tarn_os_posix(),
                                     .thread_count = threads,
                                     .cancel_flag = &flag};
        tarn_flow *flow = NULL;
        tarn_node nodes[2];
        assert_int_equal(tarn_flow_new(&options, &flow, NULL), TARN_OK);
        assert_int_equal(
            tarn_flow_add_source(flow, TARN_LIT("source"), &counter_ops, &source, &nodes[0], NULL),
            TARN_OK);
        assert_int_equal(tarn_flow_add_operator(flow, TARN_LIT("sum"), &summer_ops, &sum, &nodes[0],
                                                1, 0, &nodes[1], NULL),
                         TARN_OK);
        assert_int_equal(tarn_flow_set_result(flow, nodes[1], NULL), TARN_OK);
        assert_int_equal(tarn_flow_start(flow, NULL), TARN_OK);
        tarn_batch *batch = NULL;
        tarn_error err = {0};
        assert_int_equal(tarn_flow_next(flow, &batch, NULL), TARN_OK);
        tarn_batch_unref(batch);
        flag = true;
        tarn_status status = TARN_OK;
        while (status == TARN_OK) { // what was computed before may still come
            status = tarn_flow_next(flow, &batch, &err);
            if (status == TARN_OK) tarn_batch_unref(batch);
        }
        assert_int_equal(status, TARN_CANCELLED);
        assert_string_equal(err.sqlstate, "57014");
        tarn_flow_free(flow);
    }
}

// A consumer that has enough ends an endless source, and a slow reader bounds what is buffered.
TEST(a_satisfied_consumer_stops_the_source) {
    for (size_t threads = 0; threads <= 2; threads++) {
        counter source = {.limit = INT64_MAX, .chunk_rows = 8};
        summer limit = {.stop_after = 100, .forward = true};
        tarn_flow_options options = {.alloc = &tarn_alloc_libc,
                                     .os = tarn_os_posix(),
                                     .thread_count = threads,
                                     .channel_batches = 2};
        tarn_flow *flow = NULL;
        tarn_node nodes[2];
        assert_int_equal(tarn_flow_new(&options, &flow, NULL), TARN_OK);
        assert_int_equal(
            tarn_flow_add_source(flow, TARN_LIT("source"), &counter_ops, &source, &nodes[0], NULL),
            TARN_OK);
        assert_int_equal(tarn_flow_add_operator(flow, TARN_LIT("limit"), &summer_ops, &limit,
                                                &nodes[0], 1, 0, &nodes[1], NULL),
                         TARN_OK);
        assert_int_equal(tarn_flow_set_result(flow, nodes[1], NULL), TARN_OK);
        assert_int_equal(tarn_flow_start(flow, NULL), TARN_OK);
        size_t rows = 0;
        for (;;) {
            tarn_batch *batch = NULL;
            assert_int_equal(tarn_flow_next(flow, &batch, NULL), TARN_OK);
            if (batch == NULL) break;
            rows += batch->chunk.row_count;
            tarn_batch_unref(batch);
        }
        assert_int_equal(rows, 104);
        assert_int_equal(source.next, 104);
        tarn_flow_free(flow);
    }
}

TEST(names_are_unique) {
    diamond d = {.source = {.limit = 1, .chunk_rows = 1}};
    diamond_build(&d, 0, false);
    tarn_node input = 0;
    tarn_node node;
    tarn_error err = {0};
    summer extra = {0};
    assert_int_equal(tarn_flow_add_operator(d.flow, TARN_LIT("left"), &summer_ops, &extra, &input,
                                            1, 0, &node, &err),
                     TARN_INVALID);
    assert_string_equal(err.message, "two operators are named 'left'");
    diamond_free(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_reaches_every_consumer_once),
        cmocka_unit_test(barriers_are_aligned),
        cmocka_unit_test(a_restored_flow_continues_where_the_checkpoint_was),
        cmocka_unit_test(damaged_state_is_refused),
        cmocka_unit_test(the_first_failure_is_reported),
        cmocka_unit_test(a_cancelled_flow_stops),
        cmocka_unit_test(a_satisfied_consumer_stops_the_source),
        cmocka_unit_test(a_flag_cancels),
        cmocka_unit_test(names_are_unique),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
