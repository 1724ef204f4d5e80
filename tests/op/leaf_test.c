#include <stdio.h>
#include <string.h>

#include "op/op.h"
#include "os/sim.h"
#include "tests/test.h"

#define SECOND ((int64_t)1000000)

static void check(tarn_status status, const tarn_error *err) {
    if (status != TARN_OK) print_message("%s: %s\n", tarn_status_name(status), err->message);
    assert_int_equal(status, TARN_OK);
}

// A machine with one table or source, and a flow over it whose rows are collected as text.
typedef struct fixture {
    tarn_sim *sim;
    tarn_os *os;
    tarn_arena arena;
    tarn_field fields[4];
    tarn_schema schema;
    tarn_flow *flow;
    tarn_buffer rows;       // "id,at,twice;" each
    tarn_buffer watermarks; // before each row, in seconds; "-" for none
    tarn_buffer messages;   // "rows:watermark " each
    size_t row_count;
    tarn_buffer state;
    bool complete;
    int64_t commits;
    tarn_table *table;
} fixture;

static void open_fixture(fixture *f) {
    *f = (fixture){0};
    tarn_error err = {0};
    check(tarn_sim_new(&tarn_alloc_libc, test_random(), &f->sim, &err), &err);
    f->os = tarn_sim_os(f->sim);
    tarn_arena_init(&f->arena, &tarn_alloc_libc, SIZE_MAX);
    f->fields[0] =
        (tarn_field){.name = TARN_LIT("id"), .type = tarn_type_of(TARN_TYPE_BIGINT), .id = -1};
    f->fields[1] =
        (tarn_field){.name = TARN_LIT("at"), .type = tarn_type_of(TARN_TYPE_TIMESTAMP), .id = -1};
    f->fields[2] =
        (tarn_field){.name = TARN_LIT("twice"), .type = tarn_type_of(TARN_TYPE_BIGINT), .id = -1};
    f->schema = (tarn_schema){.fields = f->fields, .field_count = 3};
}

static void close_fixture(fixture *f) {
    tarn_flow_free(f->flow);
    tarn_table_close(f->table);
    tarn_buffer_free(&f->rows);
    tarn_buffer_free(&f->watermarks);
    tarn_buffer_free(&f->messages);
    tarn_buffer_free(&f->state);
    tarn_arena_reset(&f->arena);
    tarn_sim_free(f->sim);
}

static tarn_status collect_chunk(void *self, size_t input, const tarn_chunk *chunk,
                                 tarn_output *output, tarn_error *err) {
    (void)input;
    fixture *f = self;
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        for (size_t c = 0; c < chunk->column_count; c++) {
            tarn_value value = tarn_vector_get(&chunk->columns[c], row);
            long long number =
                value.type.id == TARN_TYPE_TIMESTAMP ? value.i64 / SECOND : value.i64;
            bool fits = value.is_null ? tarn_buffer_printf(&f->rows, "-,")
                                      : tarn_buffer_printf(&f->rows, "%lld,", number);
            assert_true(fits);
        }
        f->rows.len--;
        assert_true(tarn_buffer_append_byte(&f->rows, ';'));
        f->row_count++;
        if (chunk->watermarks == NULL) continue;
        int64_t watermark_us = chunk->watermarks[row];
        bool fits =
            watermark_us == TARN_NO_WATERMARK
                ? tarn_buffer_printf(&f->watermarks, "- ")
                : tarn_buffer_printf(&f->watermarks, "%lld ", (long long)(watermark_us / SECOND));
        assert_true(fits);
    }
    return tarn_output_emit(output, chunk, err);
}

static tarn_status collect_watermark(void *self, int64_t watermark_us, tarn_output *output,
                                     tarn_error *err) {
    fixture *f = self;
    bool fits = watermark_us == INT64_MAX
                    ? tarn_buffer_printf(&f->messages, "%zu:end ", f->row_count)
                    : tarn_buffer_printf(&f->messages, "%zu:%lld ", f->row_count,
                                         (long long)(watermark_us / SECOND));
    assert_true(fits);
    return tarn_output_watermark(output, watermark_us, err);
}

static const tarn_operator_ops collect_ops = {.chunk = collect_chunk,
                                              .watermark = collect_watermark};

static tarn_status epoch_complete(void *context, uint64_t epoch, bool is_full, tarn_slice state,
                                  tarn_error *err) {
    (void)epoch;
    (void)is_full;
    (void)err;
    fixture *f = context;
    f->complete = true;
    tarn_buffer_clear(&f->state);
    assert_true(tarn_buffer_append(&f->state, state));
    return TARN_OK;
}

static void new_flow(fixture *f, bool is_stream) {
    tarn_error err = {0};
    tarn_flow_free(f->flow);
    tarn_flow_options options = {.alloc = &tarn_alloc_libc,
                                 .os = f->os,
                                 .is_stream = is_stream,
                                 .context = f,
                                 .epoch_complete = epoch_complete};
    check(tarn_flow_new(&options, &f->flow, &err), &err);
}

static tarn_node add_collector(fixture *f, tarn_node input) {
    tarn_error err = {0};
    tarn_node node;
    check(tarn_flow_add_operator(f->flow, TARN_LIT("collect"), &collect_ops, f, &input, 1, 0, &node,
                                 &err),
          &err);
    return node;
}

static void step_until_quiet(fixture *f) {
    tarn_error err = {0};
    for (size_t quiet = 0; quiet < 3;) {
        bool progressed = false;
        check(tarn_flow_step(f->flow, &progressed, &err), &err);
        if (progressed) continue;
        tarn_sim_advance_us(f->sim, 20000);
        quiet = tarn_flow_is_drained(f->flow) ? quiet + 1 : 0;
    }
}

static void cut(fixture *f, uint64_t epoch) {
    tarn_error err = {0};
    bool accepted = false;
    f->complete = false;
    check(tarn_flow_request_barrier(f->flow, epoch, true, &accepted, &err), &err);
    assert_true(accepted);
    while (!f->complete) {
        bool progressed = false;
        check(tarn_flow_step(f->flow, &progressed, &err), &err);
        if (!progressed) tarn_sim_advance_us(f->sim, 20000);
    }
}

static void assert_text(const tarn_buffer *buffer, const char *wanted) {
    if (!tarn_slice_equal(tarn_buffer_slice(buffer), tarn_slice_from_cstr(wanted))) {
        print_message("got    %.*s\nwanted %s\n", (int)buffer->len, (const char *)buffer->data,
                      wanted);
    }
    assert_true(tarn_slice_equal(tarn_buffer_slice(buffer), tarn_slice_from_cstr(wanted)));
}

// ---- source ----

// events(id, at, twice = id + id), watermark at - 10 s, over a file.
typedef struct source_fixture {
    fixture f;
    tarn_relation relation;
    const tarn_expr *generated[3];
    tarn_field stored[2];
    tarn_connector_option path;
    tarn_connector_spec spec;
    tarn_op_source_options options;
    tarn_op_source *source;
} source_fixture;

static void open_source(source_fixture *s, const char *text) {
    fixture *f = &s->f;
    open_fixture(f);
    tarn_error err = {0};
    check(tarn_os_write_file(f->os, TARN_LIT("/in.csv"), tarn_slice_from_cstr(text),
                             TARN_WRITE_REPLACE, &err),
          &err);
    const tarn_expr *id[2];
    check(tarn_expr_column(&f->arena, 0, &f->fields[0], 0, &id[0], &err), &err);
    id[1] = id[0];
    s->generated[0] = NULL;
    s->generated[1] = NULL;
    check(tarn_expr_call(&f->arena, TARN_LIT("+"), id, 2, 0, &s->generated[2], &err), &err);
    s->relation = (tarn_relation){.kind = TARN_RELATION_SOURCE,
                                  .name = TARN_LIT("events"),
                                  .schema = f->schema,
                                  .append_only = true,
                                  .time_column = 1,
                                  .watermark_delay_us = 10 * SECOND,
                                  .generated = s->generated};
    memcpy(s->stored, f->fields, sizeof s->stored);
    s->path = (tarn_connector_option){TARN_LIT("path"), TARN_LIT("/in.csv")};
    s->spec = (tarn_connector_spec){
        .options = &s->path, .option_count = 1, .schema = {.fields = s->stored, .field_count = 2}};
    s->options = (tarn_op_source_options){.connector = tarn_connector_find(TARN_LIT("file")),
                                          .spec = &s->spec,
                                          .relation = &s->relation,
                                          .os = f->os,
                                          .alloc = &tarn_alloc_libc};
}

static void start_source(source_fixture *s) {
    tarn_error err = {0};
    tarn_node node;
    new_flow(&s->f, true);
    check(tarn_op_add_source(s->f.flow, TARN_LIT("source"), &s->options, &s->source, &node, &err),
          &err);
    (void)add_collector(&s->f, node);
    if (s->f.state.len > 0) {
        tarn_slice state = tarn_buffer_slice(&s->f.state);
        check(tarn_flow_restore(s->f.flow, &state, 1, &err), &err);
    }
    check(tarn_flow_start(s->f.flow, &err), &err);
}

static const char source_text[] = "id,at\n"
                                  "1,1970-01-01 00:00:20\n"
                                  "2,1970-01-01 00:00:15\n"
                                  "3,\n"
                                  "4,1970-01-01 00:00:40\n"
                                  "5,1970-01-01 00:00:31\n";

TEST(a_source_adds_columns_and_the_watermark_before_each_row) {
    source_fixture s;
    open_source(&s, source_text);
    start_source(&s);
    step_until_quiet(&s.f);
    assert_text(&s.f.rows, "1,20,2;2,15,4;3,-,6;4,40,8;5,31,10;");
    assert_text(&s.f.watermarks, "- 10 10 10 30 ");
    // Where the reader ends a chunk is its own affair; what the last watermarks are is not.
    tarn_slice messages = tarn_buffer_slice(&s.f.messages);
    tarn_slice last = TARN_LIT("5:30 5:end ");
    assert_true(messages.len >= last.len);
    assert_true(tarn_slice_equal(tarn_slice_skip(messages, messages.len - last.len), last));
    tarn_op_source_progress progress = tarn_op_source_progress_of(s.source);
    assert_int_equal(progress.rows, 5);
    assert_true(progress.ended);
    assert_int_equal(progress.watermark_us, INT64_MAX);
    assert_int_equal(progress.done, sizeof source_text - 1);
    assert_int_equal(progress.total, sizeof source_text - 1);
    assert_int_equal(tarn_op_source_barrier_rows(s.source), 0);
    close_fixture(&s.f);
}

TEST(a_restored_source_goes_on_with_the_next_row_and_the_same_watermark) {
    tarn_buffer text = {0};
    size_t row_count = 3 * TARN_CHUNK_ROWS + 5;
    assert_true(tarn_buffer_printf(&text, "id,at\n"));
    for (size_t i = 0; i < row_count; i++) {
        assert_true(tarn_buffer_printf(&text, "%zu,1970-01-01 00:%02zu:%02zu\n", i,
                                       test_random_below(60), test_random_below(60)));
    }
    assert_true(tarn_buffer_append_byte(&text, 0));
    source_fixture whole;
    open_source(&whole, (const char *)text.data);
    start_source(&whole);
    step_until_quiet(&whole.f);
    for (size_t steps = 0; steps < 8; steps++) {
        source_fixture s;
        tarn_error err = {0};
        open_source(&s, (const char *)text.data);
        start_source(&s);
        for (size_t i = 0; i < steps; i++) {
            bool progressed = false;
            check(tarn_flow_step(s.f.flow, &progressed, &err), &err);
        }
        cut(&s.f, 1);
        assert_int_equal(tarn_op_source_barrier_rows(s.source), s.f.row_count);
        tarn_flow_cancel(s.f.flow);
        start_source(&s);
        assert_int_equal(tarn_op_source_barrier_rows(s.source), s.f.row_count);
        step_until_quiet(&s.f);
        assert_int_equal(tarn_op_source_progress_of(s.source).rows, row_count);
        assert_true(
            tarn_slice_equal(tarn_buffer_slice(&s.f.rows), tarn_buffer_slice(&whole.f.rows)));
        assert_true(tarn_slice_equal(tarn_buffer_slice(&s.f.watermarks),
                                     tarn_buffer_slice(&whole.f.watermarks)));
        close_fixture(&s.f);
    }
    close_fixture(&whole.f);
    tarn_buffer_free(&text);
}

typedef struct replayed {
    size_t rows;
    int64_t sum;
} replayed;

static tarn_status take_replayed(void *context, const tarn_chunk *chunk, tarn_error *err) {
    (void)err;
    replayed *r = context;
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        r->rows++;
        r->sum += tarn_vector_get(&chunk->columns[2], tarn_chunk_row(chunk, i)).i64;
    }
    return TARN_OK;
}

TEST(a_source_can_be_read_again_up_to_a_row) {
    source_fixture s;
    open_source(&s, source_text);
    for (uint64_t limit = 0; limit < 8; limit++) {
        tarn_error err = {0};
        replayed r = {0};
        check(tarn_op_replay_source(&s.options, limit, take_replayed, &r, &err), &err);
        size_t rows = limit < 5 ? (size_t)limit : 5;
        assert_int_equal(r.rows, rows);
        assert_int_equal(r.sum, (int64_t)(rows * (rows + 1)));
    }
    close_fixture(&s.f);
}

// ---- inbox ----

static tarn_batch *make_batch(int64_t first, size_t count) {
    int64_t ids[16];
    for (size_t i = 0; i < count; i++) ids[i] = first + (int64_t)i;
    tarn_vector column = {.type = tarn_type_of(TARN_TYPE_BIGINT), .data = ids};
    tarn_chunk chunk = {.row_count = count, .column_count = 1, .columns = &column};
    tarn_batch *batch = NULL;
    tarn_error err = {0};
    check(tarn_batch_new(&tarn_alloc_libc, &chunk, &batch, &err), &err);
    return batch;
}

TEST(an_inbox_delivers_what_is_pushed_and_keeps_a_push_in_one_epoch) {
    fixture f;
    open_fixture(&f);
    tarn_error err = {0};
    tarn_op_inbox *inbox = NULL;
    check(tarn_op_inbox_new(&tarn_alloc_libc, &inbox, &err), &err);
    check(tarn_op_inbox_push(inbox, make_batch(1, 2), &err), &err);
    new_flow(&f, true);
    tarn_node node;
    check(tarn_op_add_inbox(f.flow, TARN_LIT("inbox"), inbox, &node, &err), &err);
    (void)add_collector(&f, node);
    check(tarn_flow_start(f.flow, &err), &err);
    step_until_quiet(&f);
    assert_text(&f.rows, "1;2;");
    assert_text(&f.messages, "2:end "); // rows that were there come before it

    tarn_batch *both[2] = {make_batch(3, 3), make_batch(6, 1)};
    check(tarn_op_inbox_push_all(inbox, both, 2, &err), &err);
    bool progressed = false;
    tarn_sim_advance_us(f.sim, 20000);
    while (f.row_count == 2) check(tarn_flow_step(f.flow, &progressed, &err), &err);
    cut(&f, 1);
    assert_text(&f.rows, "1;2;3;4;5;6;");

    check(tarn_op_inbox_push(inbox, make_batch(7, 1), &err), &err);
    tarn_op_inbox_close(inbox);
    step_until_quiet(&f);
    assert_text(&f.rows, "1;2;3;4;5;6;7;");
    tarn_flow_finish(f.flow);
    check(tarn_flow_wait(f.flow, &err), &err);
    tarn_op_inbox_unref(inbox);

    check(tarn_op_inbox_new(&tarn_alloc_libc, &inbox, &err), &err);
    check(tarn_op_inbox_push(inbox, make_batch(1, 1), &err), &err);
    tarn_op_inbox_unref(inbox); // what nobody took is freed with it
    close_fixture(&f);
}

// ---- table scan and sink ----

static void create_table(fixture *f, tarn_store **ret_store) {
    tarn_error err = {0};
    tarn_table_definition definition = {.schema = f->schema};
    check(tarn_store_open_local(f->os, &tarn_alloc_libc, TARN_LIT("/w"), ret_store, &err), &err);
    check(tarn_table_create(*ret_store, TARN_LIT("default.db/t"), &definition, &tarn_alloc_libc,
                            &err),
          &err);
    check(tarn_table_open(*ret_store, TARN_LIT("default.db/t"), &tarn_alloc_libc, &f->table, &err),
          &err);
}

static tarn_status commit(void *context, uint64_t epoch, tarn_slice committable,
                          int64_t watermark_us, tarn_error *err) {
    fixture *f = context;
    if (committable.len == 0) return TARN_OK;
    tarn_table_commit_request request = {.commit_user = TARN_LIT("test"),
                                         .commit_identifier = (int64_t)epoch,
                                         .committable = committable,
                                         .watermark_us = watermark_us};
    int64_t snapshot_id = 0;
    TARN_TRY(tarn_table_commit(f->table, &request, &snapshot_id, err));
    f->commits++;
    return TARN_OK;
}

static void start_job(source_fixture *s, tarn_op_sink_options *sink) {
    tarn_error err = {0};
    tarn_node node;
    new_flow(&s->f, true);
    check(tarn_op_add_source(s->f.flow, TARN_LIT("source"), &s->options, &s->source, &node, &err),
          &err);
    tarn_node end;
    check(tarn_op_add_table_sink(s->f.flow, TARN_LIT("sink"), node, sink, &end, &err), &err);
    check(tarn_flow_start(s->f.flow, &err), &err);
}

TEST(a_sink_writes_an_epoch_and_a_scan_reads_it_back) {
    source_fixture s;
    open_source(&s, source_text);
    fixture *f = &s.f;
    tarn_store *store = NULL;
    create_table(f, &store);
    tarn_op_sink_options sink = {
        .table = f->table, .alloc = &tarn_alloc_libc, .context = f, .prepared = commit};
    start_job(&s, &sink);
    step_until_quiet(f);
    cut(f, 1);
    assert_int_equal(f->commits, 1);
    cut(f, 2); // nothing came: nothing to commit
    assert_int_equal(f->commits, 1);

    tarn_error err = {0};
    tarn_table_scan *scan = NULL;
    _Atomic size_t next_split = 0;
    tarn_table_scan_options options = {0};
    check(tarn_table_scan_new(f->table, &options, &scan, &err), &err);
    new_flow(f, false);
    tarn_node node;
    check(tarn_op_add_table_scan(f->flow, TARN_LIT("scan"), scan, &next_split, &tarn_alloc_libc,
                                 &node, &err),
          &err);
    const size_t columns[] = {2, 0};
    check(tarn_op_add_columns(f->flow, TARN_LIT("columns"), node, columns, 2, &node, &err), &err);
    (void)add_collector(f, node);
    check(tarn_flow_start(f->flow, &err), &err);
    check(tarn_flow_wait(f->flow, &err), &err);
    assert_text(&f->rows, "2,1;4,2;6,3;8,4;10,5;");
    assert_text(&f->messages, "5:end ");
    tarn_flow_free(f->flow);
    f->flow = NULL;
    tarn_table_scan_free(scan);
    tarn_table_close(f->table);
    f->table = NULL;
    tarn_store_close(store);
    close_fixture(f);
}

// A scan as the first input of a view, stopped after every step: rows come once each, in order.
TEST(a_restored_scan_goes_on_with_the_next_row) {
    tarn_buffer text = {0};
    assert_true(tarn_buffer_printf(&text, "id,at\n"));
    for (size_t i = 0; i < 2 * TARN_CHUNK_ROWS + 7; i++) {
        assert_true(tarn_buffer_printf(&text, "%zu,1970-01-01 00:00:20\n", i));
    }
    assert_true(tarn_buffer_append_byte(&text, 0));
    source_fixture s;
    open_source(&s, (const char *)text.data);
    fixture *f = &s.f;
    tarn_store *store = NULL;
    create_table(f, &store);
    tarn_op_sink_options sink = {
        .table = f->table, .alloc = &tarn_alloc_libc, .context = f, .prepared = commit};
    start_job(&s, &sink);
    step_until_quiet(f);
    cut(f, 1);

    tarn_error err = {0};
    tarn_buffer whole = {0};
    for (size_t stop = 0; stop < 8; stop++) {
        tarn_buffer_clear(&f->rows);
        f->row_count = 0;
        for (size_t run = 0; run < 2; run++) {
            tarn_table_scan *scan = NULL;
            _Atomic size_t next_split = 0;
            tarn_table_scan_options options = {0};
            check(tarn_table_scan_new(f->table, &options, &scan, &err), &err);
            new_flow(f, true);
            tarn_node node;
            check(tarn_op_add_table_scan(f->flow, TARN_LIT("scan"), scan, &next_split,
                                         &tarn_alloc_libc, &node, &err),
                  &err);
            (void)add_collector(f, node);
            tarn_slice saved = tarn_buffer_slice(&f->state);
            if (run == 1) check(tarn_flow_restore(f->flow, &saved, 1, &err), &err);
            check(tarn_flow_start(f->flow, &err), &err);
            for (size_t i = 0; i < stop && run == 0; i++) {
                bool progressed = false;
                check(tarn_flow_step(f->flow, &progressed, &err), &err);
            }
            if (run == 0) cut(f, 1);
            if (run == 1) step_until_quiet(f);
            tarn_flow_cancel(f->flow);
            tarn_flow_free(f->flow);
            f->flow = NULL;
            tarn_table_scan_free(scan);
        }
        if (stop == 0) {
            assert_true(tarn_buffer_append(&whole, tarn_buffer_slice(&f->rows)));
            assert_int_equal(f->row_count, 2 * TARN_CHUNK_ROWS + 7);
        }
        assert_true(tarn_slice_equal(tarn_buffer_slice(&f->rows), tarn_buffer_slice(&whole)));
    }
    tarn_buffer_free(&whole);
    tarn_buffer_free(&text);
    tarn_table_close(f->table);
    f->table = NULL;
    tarn_store_close(store);
    close_fixture(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_adds_columns_and_the_watermark_before_each_row),
        cmocka_unit_test(a_restored_source_goes_on_with_the_next_row_and_the_same_watermark),
        cmocka_unit_test(a_source_can_be_read_again_up_to_a_row),
        cmocka_unit_test(an_inbox_delivers_what_is_pushed_and_keeps_a_push_in_one_epoch),
        cmocka_unit_test(a_sink_writes_an_epoch_and_a_scan_reads_it_back),
        cmocka_unit_test(a_restored_scan_goes_on_with_the_next_row),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
