// Random views over random inputs: after every FLUSH each view equals its own query, run as a batch
// over tables and sources. In between the warehouse is closed and opened again, its process is
// killed or its machine loses power; views come and go; files are added to a source.
//
// Every relation has the columns k, g and v (bigint), so that any view can be made over any other.
// Tables and sources have a time beside them. Threads run: a seed replays the statements, the
// faults and the files, but not every interleaving.
#include "tests/warehouse/rig.h"

#define VIEW_MAX  8
#define INPUT_MAX 2
#define SQL_MAX   6000

typedef enum shape {
    FILTER,
    GROUP,
    EXTREMES,
    DISTINCT,
    JOIN_TABLE,
    LEFT_JOIN_TABLE,
    JOIN_ANY,
    UNION_ALL,
    TOP,
    TOP_PER_GROUP,
    WINDOW,
    SHAPES,
} shape;

typedef struct view {
    bool exists;
    shape shape;
    size_t inputs[INPUT_MAX]; // below BASES: a table or source; else a view
    unsigned number;          // of a constant in the query
} view;

typedef struct model {
    rig r;
    uint64_t random;
    view views[VIEW_MAX];
    size_t file_count;
    size_t row_count; // ever written, for keys
    size_t checks;    // views that were compared
} model;

static const char *const bases[] = {"log", "items", "s"};
enum { BASES = sizeof bases / sizeof bases[0] };

static size_t below(model *m, size_t limit) {
    uint64_t z = m->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (size_t)((z ^ z >> 31) % limit);
}

// ---- views ----

static void write_query(const model *m, const view *v, bool over_bases, char *sql);

// What stands behind FROM: a name, or the query that a view was made from.
static void write_input(const model *m, size_t input, bool over_bases, char *text) {
    if (input < BASES) {
        (void)snprintf(text, SQL_MAX, "%s", bases[input]);
    } else if (!over_bases) {
        (void)snprintf(text, SQL_MAX, "v%zu", input - BASES);
    } else {
        char *inner = test_malloc(SQL_MAX);
        write_query(m, &m->views[input - BASES], true, inner);
        assert_true(snprintf(text, SQL_MAX, "(%s)", inner) < SQL_MAX);
        test_free(inner);
    }
}

// $a and $b are the inputs, $n a number.
static const char *const formats[SHAPES] = {
    [FILTER] = "SELECT a.k, a.g, a.v * 2 AS v FROM $a AS a WHERE a.v % 7 <> $n",
    [GROUP] = "SELECT a.g AS k, count(*) AS g, sum(a.v)::bigint AS v FROM $a AS a GROUP BY a.g",
    [EXTREMES] = "SELECT a.g AS k, min(a.k) AS g, max(a.v) - count(DISTINCT a.k) AS v FROM $a AS "
                 "a GROUP BY a.g",
    [DISTINCT] = "SELECT DISTINCT a.g AS k, a.v % $n AS g, 0::bigint AS v FROM $a AS a",
    [JOIN_TABLE] = "SELECT a.k, b.g, a.v + b.v AS v FROM $a AS a JOIN items AS b ON b.k = a.g",
    [LEFT_JOIN_TABLE] =
        "SELECT a.k, b.g, a.v FROM $a AS a LEFT JOIN items AS b ON b.k = a.v AND b.v > $n",
    [JOIN_ANY] = "SELECT a.k, b.g, a.v - b.v AS v FROM $a AS a JOIN $b AS b ON a.k = b.k",
    [UNION_ALL] = "SELECT a.k, a.g, a.v FROM $a AS a UNION ALL SELECT b.g, b.k, $n::bigint "
                  "FROM $b AS b",
    [TOP] = "SELECT a.k, a.g, a.v FROM $a AS a ORDER BY a.v DESC NULLS LAST, a.k, a.g LIMIT $n",
    [TOP_PER_GROUP] = "SELECT x.k, x.g, x.v FROM (SELECT a.k, a.g, a.v, row_number() OVER "
                      "(PARTITION BY a.g ORDER BY a.v DESC, a.k) AS r FROM $a AS a) AS x WHERE "
                      "x.r <= $n",
    [WINDOW] = "SELECT extract(epoch FROM window_start)::bigint AS k, g, sum(v)::bigint AS v FROM "
               "TUMBLE($a, at, INTERVAL '1 minute') GROUP BY window_start, window_end, g",
};

static void fill_in(const char *format, char *const inputs[INPUT_MAX], unsigned number, char *sql) {
    size_t len = 0;
    for (const char *at = format; *at != '\0'; at++) {
        size_t rest = SQL_MAX - len;
        int added;
        if (*at != '$') {
            added = snprintf(sql + len, rest, "%c", *at);
        } else if (*++at == 'n') {
            added = snprintf(sql + len, rest, "%u", number);
        } else {
            added = snprintf(sql + len, rest, "%s", inputs[*at - 'a']);
        }
        assert_in_range(added, 0, rest - 1);
        len += (size_t)added;
    }
}

static void write_query(const model *m, const view *v, bool over_bases, char *sql) {
    char *inputs[INPUT_MAX];
    for (size_t i = 0; i < INPUT_MAX; i++) {
        inputs[i] = test_malloc(SQL_MAX);
        write_input(m, v->inputs[i], over_bases, inputs[i]);
    }
    fill_in(formats[v->shape], inputs, v->number, sql);
    for (size_t i = 0; i < INPUT_MAX; i++) test_free(inputs[i]);
}

static bool is_read(const model *m, size_t index) {
    for (size_t i = 0; i < VIEW_MAX; i++) {
        for (size_t k = 0; k < INPUT_MAX && m->views[i].exists; k++) {
            if (m->views[i].inputs[k] == BASES + index) return true;
        }
    }
    return false;
}

// Views on views on views: but queries that a person could still read.
static size_t depth_of(const model *m, size_t input) {
    if (input < BASES) return 0;
    const view *v = &m->views[input - BASES];
    size_t depth = depth_of(m, v->inputs[0]);
    if (v->shape == JOIN_ANY || v->shape == UNION_ALL) {
        size_t other = depth_of(m, v->inputs[1]);
        depth = other > depth ? other : depth;
    }
    return depth + 1;
}

static size_t pick_input(model *m, bool base_only) {
    size_t input = below(m, base_only ? BASES : BASES + VIEW_MAX);
    if (input >= BASES && (!m->views[input - BASES].exists || depth_of(m, input) > 2)) {
        return below(m, BASES);
    }
    return input;
}

// False: the machine is gone.
static bool create_view(model *m) {
    size_t index = below(m, VIEW_MAX);
    view *v = &m->views[index];
    if (v->exists) return true;
    v->shape = (shape)below(m, SHAPES);
    for (size_t i = 0; i < INPUT_MAX; i++) v->inputs[i] = pick_input(m, v->shape == WINDOW);
    v->number = 1 + (unsigned)below(m, 4);
    char *sql = test_malloc(SQL_MAX);
    write_query(m, v, false, sql);
    tarn_status status = run(&m->r, "CREATE MATERIALIZED VIEW v%zu AS %s", index, sql);
    v->exists = status == TARN_OK;
    if (status != TARN_OK && status != TARN_IO) {
        print_error("%s: %s\n", sql, m->r.err.message);
        fail();
    }
    test_free(sql);
    return status == TARN_OK;
}

static bool drop_view(model *m) {
    size_t index = below(m, VIEW_MAX);
    if (!m->views[index].exists || is_read(m, index)) return true;
    if (run(&m->r, "DROP MATERIALIZED VIEW v%zu", index) != TARN_OK) return false;
    m->views[index].exists = false;
    return true;
}

// A statement that a crash interrupted has happened or not.
static void find_views(model *m) {
    ok(&m->r, "SELECT name FROM tarn.jobs");
    for (size_t i = 0; i < VIEW_MAX; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "v%zu\n", i);
        m->views[i].exists = strstr(rig_rows(&m->r), name) != NULL;
    }
}

// ---- inputs ----

static void write_number(model *m, size_t limit, char *text, size_t size) {
    if (below(m, 12) == 0) {
        (void)snprintf(text, size, "NULL");
    } else {
        (void)snprintf(text, size, "%zu", below(m, limit));
    }
}

static bool insert(model *m) {
    bool is_log = below(m, 2) == 0;
    size_t count = 1 + below(m, below(m, 6) == 0 ? 60 : 5);
    char *sql = test_malloc(RIG_SQL_MAX);
    int len = snprintf(sql, RIG_SQL_MAX, "INSERT INTO %s VALUES ", is_log ? "log" : "items");
    for (size_t i = 0; i < count; i++) {
        char g[24];
        char v[24];
        write_number(m, 5, g, sizeof g);
        write_number(m, 9, v, sizeof v);
        len += snprintf(sql + len, RIG_SQL_MAX - (size_t)len,
                        "%s(%zu, %s, %s, TIMESTAMP '2024-01-01 00:%02zu:%02zu')",
                        i == 0 ? "" : ", ", below(m, 8), g, v, below(m, 4), below(m, 60));
    }
    bool done = rig_run_on(&m->r, m->r.session, sql) == TARN_OK;
    test_free(sql);
    return done;
}

static void add_file(model *m) {
    char path[32];
    char *text = test_malloc(4096);
    int len = snprintf(text, 4096, "k,g,v,at\n");
    size_t count = below(m, 20);
    for (size_t i = 0; i < count; i++) {
        len += snprintf(text + len, 4096 - (size_t)len, "%zu,%zu,%zu,2024-01-01 00:%02zu:%02zu\n",
                        below(m, 8), below(m, 5), below(m, 9), below(m, 4), below(m, 60));
    }
    (void)snprintf(path, sizeof path, "/in/%04zu.csv", m->file_count++);
    rig_write(&m->r, path, text);
    test_free(text);
}

// ---- running ----

static void check(model *m) {
    ok(&m->r, "FLUSH");
    char *expected = test_malloc(SQL_MAX);
    char sql[64];
    for (size_t i = 0; i < VIEW_MAX; i++) {
        if (!m->views[i].exists) continue;
        write_query(m, &m->views[i], true, expected);
        (void)snprintf(sql, sizeof sql, "SELECT k, g, v FROM v%zu", i);
        assert_same_rows(&m->r, sql, expected);
        m->checks++;
    }
    test_free(expected);
}

static void reopen(model *m) {
    rig_close(&m->r);
    m->r.options.thread_count = 1 + below(m, 3);
    rig_open(&m->r);
}

static void crash(model *m) {
    rig_close(&m->r);
    size_t how = below(m, 4);
    if (how == 3) {
        tarn_sim_kill(m->r.sim);
    } else {
        tarn_sim_power_loss(m->r.sim, (tarn_sim_power_mode)how);
    }
    tarn_sim_crash_at(m->r.sim, 0);
    rig_open(&m->r);
    find_views(m);
}

// False: the machine is gone.
static bool step(model *m) {
    switch (below(m, 8)) {
    case 0:
    case 1: return create_view(m);
    case 2: return below(m, 3) > 0 || drop_view(m);
    case 3: return below(m, 3) > 0 || run(&m->r, "FLUSH") == TARN_OK;
    default: return insert(m);
    }
}

static void begin(model *m, uint64_t seed, size_t thread_count) {
    *m = (model){.r = rig_sim(seed), .random = seed};
    m->r.options.thread_count = thread_count;
    assert_int_equal(tarn_os_make_dirs(m->r.os, TARN_LIT("/in"), &m->r.err), TARN_OK);
    add_file(m);
    rig_open(&m->r);
    ok(&m->r, "CREATE TABLE log (k bigint, g bigint, v bigint, at timestamp)");
    ok(&m->r, "CREATE TABLE items (k bigint PRIMARY KEY, g bigint, v bigint, at timestamp)");
    ok(&m->r, "CREATE SOURCE s (k bigint, g bigint, v bigint, at timestamp, WATERMARK FOR at AS at "
              "- INTERVAL '10 seconds') WITH (connector = 'file', path = 'in', format = 'csv')");
}

static size_t run_model(uint64_t seed, size_t thread_count, bool crashes) {
    model m;
    begin(&m, seed, thread_count);
    for (size_t round = 0; round < 6; round++) {
        if (crashes) tarn_sim_crash_at(m.r.sim, 1 + below(&m, 400));
        bool alive = true;
        for (size_t i = 0; i < 8 && alive; i++) alive = step(&m);
        if (!crashes) {
            check(&m);
            if (below(&m, 2) == 0) add_file(&m);
            reopen(&m);
        } else {
            crash(&m);
            if (below(&m, 2) == 0) {
                add_file(&m);
                reopen(&m);
            }
        }
        check(&m);
    }
    rig_free(&m.r);
    return m.checks;
}

static void run_models(bool crashes) {
    const char *rounds_text = getenv("TARN_TEST_ROUNDS");
    size_t rounds = rounds_text == NULL ? 4 : strtoull(rounds_text, NULL, 10);
    size_t checks = 0;
    for (size_t i = 0; i < rounds; i++) {
        uint64_t seed = i == 0 ? test_random_state : test_random();
        print_message("views with TARN_TEST_SEED=%llu\n", (unsigned long long)seed);
        checks += run_model(seed, 1 + i % 3, crashes);
    }
    print_message("%zu comparisons\n", checks);
    assert_true(checks >= rounds); // a model without views would claim nothing
}

TEST(views_equal_their_queries) {
    run_models(false);
}

TEST(views_equal_their_queries_whatever_crashes_in_between) {
    run_models(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_equal_their_queries),
        cmocka_unit_test(views_equal_their_queries_whatever_crashes_in_between),
    };
    cmocka_set_test_filter(getenv("TARN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
