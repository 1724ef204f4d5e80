// Aligned reads: money is moved between accounts all the time, and whatever a query looks at, no
// money is ever under way.
#include <pthread.h>
#include <stdatomic.h>

#include "tests/warehouse/rig.h"

#define ACCOUNTS  10
#define TRANSFERS 18 // between two openings; as many times as TARN_TEST_ROUNDS says
#define READERS   2

static const char *const definitions[] = {
    "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint)",
    "CREATE TABLE transfer (source bigint, target bigint, amount bigint)",
    "CREATE MATERIALIZED VIEW by_branch AS SELECT id % 3 AS branch, sum(balance) AS total FROM "
    "account GROUP BY id % 3",
    "CREATE MATERIALIZED VIEW rich AS SELECT id, balance FROM account WHERE balance >= 0",
    "CREATE MATERIALIZED VIEW poor AS SELECT id, balance FROM account WHERE balance < 0",
    "CREATE MATERIALIZED VIEW grand AS SELECT sum(total) AS total FROM by_branch",
    "CREATE MATERIALIZED VIEW debit AS SELECT source, sum(amount) AS total FROM transfer GROUP BY "
    "source",
    "CREATE MATERIALIZED VIEW credit AS SELECT target, sum(amount) AS total FROM transfer GROUP BY "
    "target",
    "CREATE MATERIALIZED VIEW flow AS SELECT d.source AS id, c.total - d.total AS gain FROM debit "
    "AS d JOIN credit AS c ON c.target = d.source",
};

// Each gives one row: 0.
static const char *const questions[] = {
    "SELECT r.total + p.total FROM (SELECT coalesce(sum(balance), 0) AS total FROM rich) AS r, "
    "(SELECT coalesce(sum(balance), 0) AS total FROM poor) AS p",
    "SELECT total FROM grand",
    "SELECT sum(total) FROM by_branch",
    // A table beside the views that have read it.
    "SELECT count(*) FROM (SELECT id % 3 AS branch, sum(balance) AS total FROM account GROUP BY "
    "id % 3) AS a JOIN by_branch AS b ON a.branch = b.branch WHERE a.total <> b.total",
    "SELECT t.total - b.total FROM (SELECT sum(balance) AS total FROM account) AS t, grand AS b",
    "SELECT d.total - c.total FROM (SELECT coalesce(sum(total), 0) AS total FROM debit) AS d, "
    "(SELECT coalesce(sum(total), 0) AS total FROM credit) AS c",
    "SELECT t.n - d.n FROM (SELECT coalesce(sum(amount), 0) AS n FROM transfer) AS t, "
    "(SELECT coalesce(sum(total), 0) AS n FROM debit) AS d",
    "SELECT sum(f.gain) - sum(c.total - d.total) FROM flow AS f JOIN credit AS c ON c.target = "
    "f.id "
    "JOIN debit AS d ON d.source = f.id",
};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

typedef struct reader {
    tarn_session *session;
    const atomic_bool *done;
    pthread_t thread;
    size_t number;
    size_t answers;
    uint64_t epoch;
    char failure[512]; // empty: none
} reader;

// What the query's single row holds, as text. False: it failed.
static bool ask(reader *me, const char *sql, tarn_buffer *rows, uint64_t *ret_epoch) {
    tarn_error err = {0};
    tarn_result *result = NULL;
    tarn_batch *batch = NULL;
    tarn_buffer_clear(rows);
    tarn_status status =
        tarn_session_execute(me->session, tarn_slice_from_cstr(sql), &result, &err);
    for (bool more = status == TARN_OK; more;) {
        status = tarn_result_next(result, &batch, &err);
        more = status == TARN_OK && batch != NULL;
        for (size_t i = 0; more && i < tarn_chunk_count(&batch->chunk); i++) {
            size_t row = tarn_chunk_row(&batch->chunk, i);
            tarn_value value = tarn_vector_get(&batch->chunk.columns[0], row);
            status = tarn_value_format(value, rows, &err);
            more = status == TARN_OK && tarn_buffer_append_byte(rows, '\n');
        }
        tarn_batch_unref(batch);
        batch = NULL;
    }
    *ret_epoch = status == TARN_OK ? tarn_result_epoch(result) : 0;
    tarn_result_free(result);
    if (status != TARN_OK) {
        (void)snprintf(me->failure, sizeof me->failure, "%.80s: %.300s", sql, err.message);
    }
    return status == TARN_OK;
}

static void *read_until_done(void *context) {
    reader *me = context;
    tarn_buffer rows = {0};
    for (size_t i = me->number; me->failure[0] == '\0'; i++) {
        // One round more after the last transfer.
        bool last = atomic_load(me->done) && i % QUESTIONS == QUESTIONS - 1;
        const char *sql = questions[i % QUESTIONS];
        uint64_t epoch = 0;
        if (!ask(me, sql, &rows, &epoch)) break;
        if (!tarn_slice_equal(tarn_buffer_slice(&rows), TARN_LIT("0\n")) || epoch < me->epoch) {
            (void)snprintf(me->failure, sizeof me->failure,
                           "%.200s gives " TARN_SLICE_FMT " in epoch %llu after epoch %llu", sql,
                           TARN_SLICE_ARG(tarn_buffer_slice(&rows)), (unsigned long long)epoch,
                           (unsigned long long)me->epoch);
        }
        me->epoch = epoch;
        me->answers++;
        if (last) break;
    }
    tarn_buffer_free(&rows);
    return NULL;
}

static void start_readers(rig *r, reader *readers, const atomic_bool *done) {
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (reader){.done = done, .number = i * QUESTIONS / READERS};
        assert_int_equal(tarn_session_new(r->warehouse, &readers[i].session, &r->err), TARN_OK);
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_until_done, &readers[i]), 0);
    }
}

static void join_readers(reader *readers) {
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        tarn_session_free(readers[i].session);
        if (readers[i].failure[0] != '\0') print_error("%s\n", readers[i].failure);
    }
    for (size_t i = 0; i < READERS; i++) {
        assert_string_equal(readers[i].failure, "");
        assert_true(readers[i].answers > 0);
    }
}

static void move_money(rig *r, int64_t *balances) {
    size_t source = test_random_below(ACCOUNTS);
    size_t target = (source + 1 + test_random_below(ACCOUNTS - 1)) % ACCOUNTS;
    int64_t amount = (int64_t)test_random_below(100);
    balances[source] -= amount;
    balances[target] += amount;
    ok(r, "INSERT INTO account VALUES (%zu, %lld), (%zu, %lld)", source,
       (long long)balances[source], target, (long long)balances[target]);
    ok(r, "INSERT INTO transfer VALUES (%zu, %zu, %lld)", source, target, (long long)amount);
}

// Files are rewritten, views come and go: readers shall not notice.
static void disturb(rig *r, size_t i) {
    static const char *const statements[] = {
        "CALL compact('account')",
        "CALL compact('by_branch')",
        "FLUSH",
        "CREATE MATERIALIZED VIEW extra AS SELECT id, count(*) AS n FROM account GROUP BY id",
        "CALL compact('transfer')",
        "DROP MATERIALIZED VIEW extra"};
    if (i % 3 == 2) ok(r, "%s", statements[i / 3 % 6]);
}

static void bank(rig *r, size_t rounds) {
    const char *rounds_text = getenv("TARN_TEST_ROUNDS");
    if (rounds_text != NULL) rounds = strtoull(rounds_text, NULL, 10);
    int64_t balances[ACCOUNTS] = {0};
    rig_open(r);
    for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++) {
        ok(r, "%s", definitions[i]);
    }
    for (size_t i = 0; i < ACCOUNTS; i++) {
        ok(r, "INSERT INTO account VALUES (%zu, 0)", i);
        ok(r, "INSERT INTO transfer VALUES (%zu, %zu, 0)", i, i);
    }
    ok(r, "FLUSH");
    for (size_t round = 0; round < rounds; round++) {
        atomic_bool done;
        atomic_init(&done, false);
        reader readers[READERS];
        start_readers(r, readers, &done);
        for (size_t i = 0; i < TRANSFERS; i++) {
            move_money(r, balances);
            disturb(r, i);
        }
        atomic_store(&done, true);
        join_readers(readers);
        rig_reopen(r); // epochs go on; the readers' first question comes before the views run
    }
    ok(r, "FLUSH");
    assert_same_rows(r, "SELECT id, balance FROM rich UNION ALL SELECT id, balance FROM poor",
                     "SELECT * FROM account");
}

TEST(no_money_is_ever_under_way) {
    rig r = rig_sim(test_random());
    r.options.checkpoint_interval_ms = 5; // of a clock that moves with each sync
    bank(&r, 2);
    rig_free(&r);
}

TEST(no_money_is_ever_under_way_on_a_real_disk) {
    rig r = rig_disk();
    r.options.thread_count = 3;
    bank(&r, 1);
    rig_free(&r);
}

// Unaligned reads are what one asks for: each table as new as it is.
TEST(latest_reads_each_table_as_new_as_it_is) {
    rig r = rig_sim(test_random());
    r.options.checkpoint_interval_ms = 3600000;
    rig_open(&r);
    ok(&r, "CREATE TABLE t (a bigint)");
    ok(&r, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t");
    ok(&r, "INSERT INTO t VALUES (1)");
    ok(&r, "FLUSH");
    ok(&r, "INSERT INTO t VALUES (2)");
    static const char both[] = "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM v)";
    assert_rows(&r, "1|1\n", "%s", both);
    assert_rows(&r, "2\n", "SELECT count(*) FROM t"); // alone, a table is simply read
    ok(&r, "SET tarn.read = 'latest'");
    assert_rows(&r, "2|1\n", "%s", both);
    ok(&r, "SET tarn.read = 'aligned'");
    assert_rows(&r, "1|1\n", "%s", both);
    ok(&r, "FLUSH");
    assert_rows(&r, "2|2\n", "%s", both);
    rig_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_money_is_ever_under_way),
        cmocka_unit_test(no_money_is_ever_under_way_on_a_real_disk),
        cmocka_unit_test(latest_reads_each_table_as_new_as_it_is),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
