// Queries on several threads, each part of the input with a source of its own. Made for
// ThreadSanitizer: nothing here is random, asserts are on the main thread.
#include "tests/op/rig.h"

#define PARTS 4
#define ROWS  ((int64_t)20000) // of each part

// Rows (id, k, n): ids are unique over all parts, n = id % 1000, k is one of the pool's texts.
typedef struct part_source {
    tarn_dictionary *dictionary;
    const tarn_plan *scan;
    int64_t next;
    int64_t end;
} part_source;

static tarn_status part_poll(void *self, tarn_output *output, tarn_poll *ret_poll,
                             tarn_error *err) {
    part_source *source = self;
    int64_t ids[TARN_CHUNK_ROWS];
    int32_t numbers[TARN_CHUNK_ROWS];
    uint32_t indices[TARN_CHUNK_ROWS];
    size_t count = 0;
    while (count < TARN_CHUNK_ROWS && source->next < source->end) {
        int64_t id = source->next++;
        ids[count] = id;
        numbers[count] = (int32_t)(id % 1000);
        indices[count++] = (uint32_t)(id % (int64_t)RIG_POOL);
    }
    *ret_poll = count == 0 ? TARN_POLL_END : TARN_POLL_MORE;
    if (count == 0) return TARN_OK;
    const tarn_vector all[3] = {
        {.type = tarn_type_of(TARN_TYPE_BIGINT), .data = ids},
        {.type = tarn_type_of(TARN_TYPE_TEXT),
         .kind = TARN_VECTOR_DICTIONARY,
         .indices = indices,
         .dictionary = source->dictionary},
        {.type = tarn_type_of(TARN_TYPE_INTEGER), .data = numbers},
    };
    tarn_vector columns[3];
    size_t column_count = source->scan->schema.field_count;
    for (size_t c = 0; c < column_count; c++) columns[c] = all[source->scan->scan.columns[c]];
    tarn_chunk chunk = {.row_count = count, .column_count = column_count, .columns = columns};
    return tarn_output_emit(output, &chunk, err);
}

static const tarn_source_ops part_ops = {.poll = part_poll, .free = free};

typedef struct parallel_run {
    rig rig;
    tarn_flow *flow;
    size_t leaf_count;
    size_t part_limit;
    size_t part_count; // of the leaf with the most
} parallel_run;

static tarn_status add_parts(void *context, const tarn_plan *scan, tarn_flow *flow,
                             size_t part_limit, tarn_node *ret_nodes, size_t *ret_count,
                             tarn_error *err) {
    parallel_run *run = context;
    size_t count = part_limit < run->part_limit ? part_limit : run->part_limit;
    for (size_t i = 0; i < count; i++) {
        part_source *source = calloc(1, sizeof *source);
        source->dictionary = run->rig.dictionary;
        source->scan = scan;
        int64_t total = ROWS * PARTS;
        source->next = total * (int64_t)i / (int64_t)count;
        source->end = total * (int64_t)(i + 1) / (int64_t)count;
        char name[32];
        (void)snprintf(name, sizeof name, "leaf-%zu-%zu", run->leaf_count, i);
        TARN_TRY(tarn_flow_add_source(flow, tarn_slice_from_cstr(name), &part_ops, source,
                                      &ret_nodes[i], err));
    }
    run->leaf_count++;
    if (count > run->part_count) run->part_count = count;
    *ret_count = count;
    return TARN_OK;
}

// Starts the query with `part_limit` parts on two threads.
static void start_parallel(parallel_run *run, const char *sql, size_t part_limit) {
    *run = (parallel_run){.part_limit = part_limit};
    rig_init(&run->rig);
    tarn_error err = {0};
    tarn_flow_options options = {
        .alloc = &tarn_alloc_libc, .os = tarn_os_posix(), .thread_count = 2};
    assert_ok(tarn_flow_new(&options, &run->flow, &err), &err);
    tarn_op_context context = {.mode = TARN_OP_BATCH,
                               .alloc = &tarn_alloc_libc,
                               .name_prefix = TARN_LIT("query/"),
                               .thread_count = PARTS,
                               .leaf_context = run,
                               .add_leaf = add_parts};
    tarn_node node;
    const tarn_plan *plan = rig_plan(&run->rig, sql);
    assert_ok(tarn_op_build(plan, &context, run->flow, &node, &err), &err);
    assert_ok(tarn_flow_set_result(run->flow, node, &err), &err);
    assert_ok(tarn_flow_start(run->flow, &err), &err);
}

// The query's rows as a multiset.
static bag run_parallel(const char *sql, size_t part_limit, size_t *ret_parts) {
    parallel_run run;
    start_parallel(&run, sql, part_limit);
    tarn_error err = {0};
    bag result = {0};
    tarn_buffer text = {0};
    for (;;) {
        tarn_batch *batch = NULL;
        assert_ok(tarn_flow_next(run.flow, &batch, &err), &err);
        if (batch == NULL) break;
        for (size_t i = 0; i < batch->chunk.row_count; i++) {
            rig_row_text(&batch->chunk, i, &text);
            bag_add(&result, (const char *)text.data, 1);
        }
        tarn_batch_unref(batch);
    }
    assert_ok(tarn_flow_wait(run.flow, &err), &err);
    tarn_buffer_free(&text);
    tarn_flow_free(run.flow);
    rig_free(&run.rig);
    *ret_parts = run.part_count;
    return result;
}

static void check(const char *sql, size_t parts, const char *const *rows, size_t row_count) {
    size_t used = 0;
    bag got = run_parallel(sql, parts, &used);
    bag wanted = {0};
    for (size_t i = 0; i < row_count; i++) bag_add(&wanted, rows[i], 1);
    assert_bags_equal(&got, &wanted, sql);
    assert_int_equal(used, parts);
    bag_free(&got);
    bag_free(&wanted);
}

TEST(parts_are_aggregated_by_themselves_and_merged) {
    const char *const one[] = {"80000|39960000|0|999"};
    check("SELECT count(*), sum(n), min(n), max(n) FROM log", PARTS, one, 1);
    const char *const groups[] = {"1000|80|80"};
    check("SELECT count(*), min(c), max(c) FROM (SELECT n, count(*) AS c FROM log GROUP BY n) x",
          PARTS, groups, 1);
    const char *const few[] = {"1|80", "2|80"};
    check("SELECT n, count(*) FROM log WHERE n > 0 GROUP BY n HAVING n < 3", PARTS, few, 2);
    const char *const distinct[] = {"9000"};
    check("SELECT count(*) FROM (SELECT DISTINCT k, n FROM log) x", PARTS, distinct, 1);
}

static void check_any_parts(const char *sql, const char *const *rows, size_t row_count) {
    for (size_t parts = 1; parts <= PARTS; parts++) check(sql, parts, rows, row_count);
}

TEST(a_merge_is_exact_with_any_number_of_parts) {
    // Each group in one part only: all stay where they are.
    const char *const all[] = {"80000|80000|1|3199960000"};
    check_any_parts("SELECT count(*), sum(c), max(c), sum(id) FROM "
                    "(SELECT id, count(*) AS c FROM log GROUP BY id) x",
                    all, 1);
    // Each group in every part, keys of several types and long texts among them.
    const char *const shared[] = {"9000|80000|639000000"};
    check_any_parts("SELECT count(*), sum(c), sum(latest - first) FROM "
                    "(SELECT k, n, count(*) AS c, max(id) AS latest, min(id) AS first FROM log "
                    "GROUP BY k, n) x",
                    shared, 1);
    // One giant group, and one whose key is NULL.
    const char *const giant[] = {"0|80000|39960000"};
    check_any_parts("SELECT n * 0, count(*), sum(n) FROM log GROUP BY n * 0", giant, 1);
    const char *const null[] = {"NULL|80000|1000"};
    check_any_parts("SELECT CASE WHEN n < 0 THEN k END, count(*), count(DISTINCT n) FROM log "
                    "GROUP BY 1",
                    null, 1);
    // States with memory of their own, merged.
    const char *const texts[] = {"0|twelve by.||9", "1|twelve by.||9"};
    check_any_parts("SELECT n, max(k), min(k), count(DISTINCT k) FROM log "
                    "WHERE n < 2 GROUP BY n",
                    texts, 2);
}

// A part meets more keys than its slots may hold, begins anew, and then meets some of them again.
TEST(groups_that_a_part_made_anew_are_merged) {
    const char *const again[] = {"39500|80000|3"};
    check_any_parts("SELECT count(*), sum(c), max(c) FROM "
                    "(SELECT id % 39500 AS key, count(*) AS c FROM log GROUP BY id % 39500) x",
                    again, 1);
    const char *const sets[] = {"39500|40500|1"};
    check_any_parts("SELECT count(*), sum(c), max(c - 1) FROM "
                    "(SELECT id % 39500 AS key, count(DISTINCT id / 79000) AS c FROM log "
                    "GROUP BY id % 39500) x",
                    sets, 1);
}

TEST(parts_and_partitions_may_be_empty) {
    const char *const two[] = {"0|1", "1|1"};
    check_any_parts("SELECT id, count(*) FROM log WHERE id < 2 GROUP BY id", two, 2);
    const char *const last[] = {"79999|1"};
    check_any_parts("SELECT id, count(*) FROM log WHERE id > 79998 GROUP BY id", last, 1);
    check_any_parts("SELECT id, count(*) FROM log WHERE id < 0 GROUP BY id", NULL, 0);
    const char *const none[] = {"0|NULL|NULL|0"};
    check_any_parts("SELECT count(*), sum(n), max(k), count(DISTINCT k) FROM log WHERE id < 0",
                    none, 1);
    const char *const end[] = {"1|999|79999|1"};
    check_any_parts("SELECT count(*), sum(n), max(id), count(DISTINCT k) FROM log WHERE id > 79998",
                    end, 1);
}

TEST(operators_take_the_groups_of_several_merges) {
    const char *const limited[] = {"5"};
    check_any_parts("SELECT count(*) FROM (SELECT id FROM log GROUP BY id LIMIT 5) x", limited, 1);
    const char *const sorted[] = {"999|80", "998|80"};
    check_any_parts("SELECT n, count(*) FROM log GROUP BY n ORDER BY n DESC LIMIT 2", sorted, 2);
    const char *const joined[] = {"1000|80000"};
    check_any_parts(
        "SELECT count(*), sum(a.c) FROM (SELECT n, count(*) AS c FROM log GROUP BY n) a "
        "JOIN (SELECT n, max(id) AS m FROM log GROUP BY n) b ON a.n = b.n",
        joined, 1);
    const char *const united[] = {"2000"};
    check("SELECT count(*) FROM (SELECT n, count(*) FROM log GROUP BY n UNION ALL "
          "SELECT n, max(id) FROM log GROUP BY n) x",
          PARTS, united, 1);
}

// The merges wait for room in the result when they are cancelled: each in the middle of its groups.
TEST(a_merge_that_is_cancelled_gives_everything_back) {
    for (size_t batches = 0; batches < 3; batches++) {
        parallel_run run;
        start_parallel(&run, "SELECT id, k, count(DISTINCT n), max(k) FROM log GROUP BY id, k",
                       PARTS);
        tarn_error err = {0};
        for (size_t i = 0; i < batches; i++) {
            tarn_batch *batch = NULL;
            assert_ok(tarn_flow_next(run.flow, &batch, &err), &err);
            assert_non_null(batch);
            tarn_batch_unref(batch);
        }
        tarn_flow_cancel(run.flow);
        assert_int_equal(tarn_flow_wait(run.flow, &err), TARN_CANCELLED);
        tarn_flow_free(run.flow);
        rig_free(&run.rig);
    }
}

TEST(sorts_limits_and_joins_take_all_parts) {
    const char *const last[] = {"79999"};
    check("SELECT id FROM log ORDER BY id DESC LIMIT 1", PARTS, last, 1);
    const char *const matches[] = {"80"};
    check("SELECT count(*) FROM log JOIN (VALUES (7), (1007)) v(x) ON log.n = v.x", PARTS, matches,
          1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_aggregated_by_themselves_and_merged),
        cmocka_unit_test(a_merge_is_exact_with_any_number_of_parts),
        cmocka_unit_test(groups_that_a_part_made_anew_are_merged),
        cmocka_unit_test(parts_and_partitions_may_be_empty),
        cmocka_unit_test(operators_take_the_groups_of_several_merges),
        cmocka_unit_test(a_merge_that_is_cancelled_gives_everything_back),
        cmocka_unit_test(sorts_limits_and_joins_take_all_parts),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
