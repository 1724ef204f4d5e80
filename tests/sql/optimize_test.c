// What the optimizer promises: the same rows, whatever it does; and what a plan says of its output
// (keys, NOT NULL) is true of the rows that come out.
//
// Random queries over random rows run twice, as they were bound and as they were optimised.

#include "sql/bind.h"
#include "tests/op/rig.h"

// ---- plans as bound ----

static const tarn_plan *bind_only(rig *r, const char *sql) {
    tarn_error err = {0};
    sql_dialect dialect;
    sql_parsed parsed;
    const tarn_plan *plan = NULL;
    assert_ok(sql_dialect_cut(tarn_slice_from_cstr(sql), &r->arena, &dialect, &err), &err);
    assert_ok(sql_parse(&dialect, &r->arena, &parsed, &err), &err);
    sql_binder binder = {.arena = &r->arena,
                         .scratch = &r->arena,
                         .catalog = &r->reader,
                         .dialect = &dialect,
                         .parsed = &parsed};
    sql_query_context context = {0};
    assert_ok(sql_bind_query(&binder, parsed.statement->stmt->select_stmt, &context, &plan, &err),
              &err);
    return plan;
}

// ---- random queries ----

typedef struct writer {
    char text[4096];
    size_t len;
} writer;

static void put(writer *w, const char *format, ...) TARN_PRINTF(2, 3);
static void put(writer *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(w->text + w->len, sizeof w->text - w->len, format, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < sizeof w->text - w->len);
    w->len += (size_t)len;
}

static bool coin(size_t sides) {
    return test_random_below(sides) == 0;
}

static const char *pick(const char *const *words, size_t count) {
    return words[test_random_below(count)];
}
#define PICK(...)                            \
    pick((const char *const[]){__VA_ARGS__}, \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

// Every item offers id bigint, k text, n integer under its alias.
static void put_item(writer *w, int alias, size_t depth);

static void put_relation(writer *w) {
    put(w, "%s", PICK("facts", "log", "events"));
}

// A test of one item's columns. Divisions are guarded within the same condition.
static void put_test(writer *w, int a) {
    static const char *const words[] = {"", "a", "ATL", "exactly twel"};
    switch (test_random_below(11)) {
    case 0:
        put(w, "t%d.n %s %d", a, PICK("<", "<=", "=", "<>", ">"), (int)test_random_below(5));
        break;
    case 1: put(w, "t%d.k = '%s'", a, pick(words, 4)); break;
    case 2: put(w, "t%d.k IS %sNULL", a, coin(2) ? "" : "NOT "); break;
    case 3: put(w, "t%d.n IN (0, 2, 3)", a); break;
    case 4: put(w, "t%d.id %% 3 = %d", a, (int)test_random_below(3)); break;
    case 5: put(w, "(t%d.n <> 0 AND 12 / t%d.n > 3)", a, a); break;
    case 6: put(w, "CASE WHEN t%d.n = 0 THEN true ELSE 12 / t%d.n < 7 END", a, a); break;
    case 7: put(w, "t%d.k LIKE '%s%%'", a, PICK("a", "AT", "x")); break;
    case 8: put(w, "NOT (t%d.n > 1)", a); break;
    case 9: put(w, "(t%d.n = 1 OR t%d.k = 'a')", a, a); break;
    default: put(w, "t%d.n + 1 > t%d.id", a, a); break;
    }
}

static void put_pair_test(writer *w, int a, int b) {
    switch (test_random_below(6)) {
    case 0: put(w, "t%d.k = t%d.k", a, b); break;
    case 1: put(w, "t%d.n = t%d.n", a, b); break;
    case 2: put(w, "t%d.n = t%d.id", a, b); break;
    case 3: put(w, "t%d.id = t%d.id", a, b); break;
    case 4: put(w, "t%d.n < t%d.n", a, b); break;
    default: put(w, "(t%d.k = t%d.k AND t%d.n <= t%d.n)", a, b, a, b); break;
    }
}

static void put_where(writer *w, int first, int count) {
    size_t tests = test_random_below(3);
    for (size_t i = 0; i < tests; i++) {
        put(w, "%s", i == 0 ? " WHERE " : " AND ");
        int a = first + (int)test_random_below((size_t)count);
        int b = first + (int)test_random_below((size_t)count);
        if (a != b && coin(2)) {
            put_pair_test(w, a, b);
        } else {
            put_test(w, a);
        }
    }
}

static int next_alias; // each item of a query has an alias of its own

// A subquery that offers id, k, n.
static void put_subquery(writer *w, size_t depth) {
    int a = next_alias++;
    switch (test_random_below(7)) {
    case 0:
        put(w, "(SELECT t%d.n, t%d.id, t%d.k FROM ", a, a, a);
        put_item(w, a, depth);
        put_where(w, a, 1);
        break;
    case 1:
        put(w, "(SELECT t%d.id * 2 AS id, upper(t%d.k) AS k, t%d.n + 1 AS n FROM ", a, a, a);
        put_item(w, a, depth);
        put_where(w, a, 1);
        break;
    case 2:
        put(w, "(SELECT max(t%d.id) AS id, t%d.k, count(*)::integer AS n FROM ", a, a);
        put_item(w, a, depth);
        put_where(w, a, 1);
        put(w, " GROUP BY t%d.k", a);
        if (coin(2)) put(w, " HAVING count(*) > 1");
        break;
    case 3:
        put(w,
            "(SELECT t%d.id, t%d.k, (row_number() OVER (PARTITION BY t%d.k ORDER BY t%d.id, "
            "t%d.n))::integer AS n FROM ",
            a, a, a, a, a);
        put_item(w, a, depth);
        put_where(w, a, 1);
        break;
    case 4:
        put(w, "(SELECT t%d.id, t%d.k, t%d.n FROM ", a, a, a);
        put_item(w, a, depth);
        put(w, " ORDER BY t%d.id, t%d.k, t%d.n LIMIT %d", a, a, a, (int)test_random_below(9));
        break;
    case 5:
        put(w, "(SELECT t%d.id, t%d.k, t%d.n FROM ", a, a, a);
        put_item(w, a, depth);
        a = next_alias++;
        put(w, " UNION%s SELECT t%d.id, t%d.k, t%d.n FROM ", coin(2) ? " ALL" : "", a, a, a);
        put_item(w, a, depth);
        put_where(w, a, 1);
        break;
    default:
        put(w, "(SELECT DISTINCT 1::bigint AS id, t%d.k, t%d.n FROM ", a, a);
        put_item(w, a, depth);
        put_where(w, a, 1);
        break;
    }
    put(w, ")");
}

static void put_item(writer *w, int alias, size_t depth) {
    if (depth > 0 && coin(2)) {
        put_subquery(w, depth - 1);
    } else {
        put_relation(w);
    }
    put(w, " t%d", alias);
}

// Items first .. first + count - 1, joined in one way or another.
static void put_from(writer *w, int first, int count, size_t depth) {
    bool has_commas = coin(4); // they bind less tightly than JOIN: not both
    put(w, " FROM ");
    put_item(w, first, depth);
    for (int i = 1; i < count; i++) {
        int b = first + i;
        int a = first + (int)test_random_below((size_t)i);
        if (has_commas || coin(6)) {
            put(w, has_commas ? ", " : " CROSS JOIN ");
            put_item(w, b, depth);
            continue;
        }
        put(w, " %s JOIN ", PICK("INNER", "LEFT", "LEFT", "RIGHT"));
        put_item(w, b, depth);
        put(w, " ON ");
        put_pair_test(w, a, b);
        if (coin(3)) {
            put(w, " AND ");
            put_test(w, coin(2) ? a : b);
        }
    }
}

static void random_query(writer *w) {
    *w = (writer){0};
    int count = 1 + (int)test_random_below(3);
    int first = 0;
    next_alias = count;
    size_t depth = count == 1 ? 2 : 1;
    int a = first + (int)test_random_below((size_t)count);
    int b = first + (int)test_random_below((size_t)count);
    switch (test_random_below(4)) {
    case 0: put(w, "SELECT t%d.id, t%d.k, t%d.n", a, b, b); break;
    case 1: put(w, "SELECT t%d.n, t%d.n * 2 + t%d.n AS m, t%d.k || 'x'", a, a, b, b); break;
    case 2: put(w, "SELECT t%d.k, count(*), sum(t%d.n), min(t%d.id)", a, b, b); break;
    default: put(w, "SELECT count(*), max(t%d.k)", a); break;
    }
    bool is_grouped = strstr(w->text, "count(*), sum") != NULL;
    bool is_total = strstr(w->text, "count(*), max") != NULL;
    put_from(w, first, count, depth);
    put_where(w, first, count);
    if (is_grouped) put(w, " GROUP BY t%d.k", a);
    if (is_grouped && coin(2)) put(w, " HAVING count(*) > 1");
    if (!is_grouped && !is_total && coin(4)) put(w, " ORDER BY 1, 2, 3 LIMIT 5 OFFSET 1");
}

// ---- what is checked ----

static int64_t row_total(const bag *b) {
    int64_t total = 0;
    for (size_t i = 0; i < b->count; i++) total += b->entries[i].count;
    return total;
}

static void check_not_null(const tarn_plan *plan, const bag *rows, const char *sql) {
    for (size_t i = 0; i < rows->count; i++) {
        const char *at = rows->entries[i].text;
        for (size_t c = 0; c < plan->schema.field_count; c++) {
            size_t len = strcspn(at, "|");
            bool is_null = len == 4 && memcmp(at, "NULL", 4) == 0;
            if (is_null && plan->schema.fields[c].not_null) {
                print_message("column %zu is not null, but: %s\n%s\n", c, rows->entries[i].text,
                              sql);
                fail();
            }
            at += len + (at[len] == '|');
        }
    }
}

// Runs the plan; checks what it says of itself. The bag is the caller's.
static bag run_plan(rig *r, const tarn_plan *plan, const char *sql) {
    rig_run run = {.rig = r, .plan = plan, .part_count = 1};
    rig_batch(&run);
    if (plan->key_count > 0 && row_total(&run.output) != row_total(&run.keyed)) {
        print_message("the key of the plan is not unique: %s\n", sql);
        fail();
    }
    check_not_null(plan, &run.output, sql);
    bag output = run.output;
    run.output = (bag){0};
    rig_run_free(&run);
    return output;
}

static void check_query(rig *r, const char *sql) {
    if (getenv("TARN_TEST_SEED") != NULL) print_message("%s\n", sql);
    bag wanted = run_plan(r, bind_only(r, sql), sql);
    bag got = run_plan(r, rig_plan(r, sql), sql);
    assert_bags_equal(&got, &wanted, sql);
    bag_free(&got);
    bag_free(&wanted);
}

static void init_rows(rig *r) {
    rig_init(r);
    static const size_t id_column = 0;
    for (size_t i = 0; i < RIG_RELATIONS; i++) {
        rig_relation *relation = &r->relations[i];
        rig_change(relation, 4 + test_random_below(12));
        if (i == RIG_DIMS) continue;
        relation->relation.key_columns = &id_column; // ids count the rows
        relation->relation.key_count = 1;
        relation->relation.row_count = test_random_below(3) * 1000;
    }
    rig_allow_all(r);
}

TEST(optimised_queries_give_the_same_rows) {
    for (int round = 0; round < 12; round++) {
        rig r;
        init_rows(&r);
        for (int i = 0; i < 25; i++) {
            writer w;
            random_query(&w);
            check_query(&r, w.text);
        }
        rig_free(&r);
    }
}

// Each of these fails for some row if a condition is tried too early.
TEST(conditions_that_can_fail_see_only_rows_that_get_there) {
    rig r;
    init_rows(&r);
    rig_append(&r.relations[RIG_FACTS], (rig_row){.values = {1000, 1, 0, 5}});
    rig_append(&r.relations[RIG_LOG], (rig_row){.values = {1000, 1, 0}});
    rig_allow_all(&r);
    static const char *const queries[] = {
        "SELECT id FROM facts WHERE n <> 0 AND 6 / n > 1",
        "SELECT id FROM (SELECT id, 6 / n AS q FROM facts WHERE n <> 0) s WHERE q > 1",
        "SELECT f.id FROM facts f JOIN log l ON f.id = l.id AND l.n <> 0 WHERE 6 / l.n > 1",
        "SELECT f.id FROM facts f, log l WHERE f.n <> 0 AND f.n = l.n AND 6 / l.n > 1",
        "SELECT f.id, l.id FROM facts f LEFT JOIN log l ON f.n = l.n AND l.n <> 0 AND 6 / l.n > 1",
        "SELECT f.id FROM facts f LEFT JOIN log l ON f.n = l.n AND f.n <> 0 WHERE 6 / l.n > 1",
        "SELECT k, c FROM (SELECT k, n, count(*) AS c FROM facts WHERE n <> 0 GROUP BY k, n) s "
        "WHERE 6 / n > 1",
        "SELECT id FROM (SELECT id, n, row_number() OVER (PARTITION BY n ORDER BY id) AS rn "
        "FROM facts WHERE n <> 0) s WHERE rn = 1 AND 6 / n > 1",
        "SELECT id FROM (SELECT id, n FROM facts WHERE n <> 0 UNION ALL SELECT id, n FROM log "
        "WHERE n > 0) s WHERE 6 / n > 1",
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) check_query(&r, queries[i]);
    rig_free(&r);
}

TEST(filters_stay_above_what_they_would_change) {
    static const char *const queries[] = {
        "SELECT id, rn FROM (SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id) AS rn "
        "FROM facts) s WHERE id > 2",
        "SELECT id, rn FROM (SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id) AS rn "
        "FROM facts) s WHERE rn <= 2 AND id > 2 AND k = 'a'",
        "SELECT id FROM (SELECT id FROM facts ORDER BY id LIMIT 4) s WHERE id > 1",
        "SELECT id FROM (SELECT id FROM facts ORDER BY id OFFSET 2) s WHERE id > 1",
        "SELECT k, c FROM (SELECT k, count(*) AS c FROM facts GROUP BY k) s WHERE c > 1",
        "SELECT c FROM (SELECT count(*) AS c FROM facts) s WHERE c > 1000",
        "SELECT c FROM (SELECT count(*) AS c FROM facts) s WHERE 1 = 2",
        "SELECT f.id, l.id FROM facts f LEFT JOIN log l ON f.id = l.id WHERE l.n IS NULL",
        "SELECT f.id, l.id FROM facts f LEFT JOIN log l ON f.id = l.id AND f.n > 1",
        "SELECT f.id, l.id FROM facts f LEFT JOIN log l ON f.id = l.id WHERE COALESCE(l.n, 1) = 1",
        "SELECT f.id, l.id FROM facts f RIGHT JOIN log l ON f.n = l.n WHERE l.n > 0",
    };
    for (int round = 0; round < 5; round++) {
        rig r;
        init_rows(&r);
        for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) check_query(&r, queries[i]);
        rig_free(&r);
    }
}

TEST(subqueries_of_one_row_are_columns) {
    static const char *const queries[] = {
        "SELECT id, n * (SELECT count(*) FROM log) AS c FROM facts",
        "SELECT id FROM facts WHERE id = (SELECT max(id) FROM facts)",
        "SELECT id, (SELECT id FROM log WHERE id > 1000000 LIMIT 1) AS none FROM facts WHERE n > 0",
        "SELECT k, sum(n) - (SELECT min(n) FROM log) AS s FROM facts GROUP BY k "
        "HAVING count(*) > (SELECT 1)",
        "SELECT (SELECT max(id) FROM facts) - (SELECT min(id) FROM log WHERE n = 99) AS d",
        "SELECT k, row_number() OVER (ORDER BY n + (SELECT 1), id) AS rn FROM facts ORDER BY "
        "(SELECT 2) + id LIMIT 3",
        "SELECT f.id FROM facts f JOIN log l ON f.n = l.n WHERE l.id > (SELECT avg(id) FROM log)",
        "SELECT id, k FROM facts WHERE n IN (SELECT n FROM log) AND id > 1",
        "SELECT id, k FROM facts WHERE k IN (SELECT k FROM log WHERE n > 0) AND n IN (SELECT id "
        "FROM "
        "log)",
    };
    for (int round = 0; round < 5; round++) {
        rig r;
        init_rows(&r);
        for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) check_query(&r, queries[i]);
        rig_free(&r);
    }
}

TEST(inner_joins_start_with_the_largest_input_and_never_cross_what_is_connected) {
    rig r;
    init_rows(&r);
    r.relations[RIG_FACTS].relation.row_count = 10;
    r.relations[RIG_LOG].relation.row_count = 100000;
    r.relations[RIG_DIMS].relation.row_count = 1000;
    const tarn_plan *plan =
        rig_plan(&r, "SELECT f.id, d.k, l.id AS log FROM facts f, dims d, log l "
                     "WHERE f.id = l.id AND d.k = l.k");
    while (plan->kind == TARN_PLAN_PROJECT) plan = plan->inputs[0];
    assert_int_equal(plan->kind, TARN_PLAN_JOIN);
    assert_int_equal(plan->join.key_count, 1);
    const tarn_plan *inner = plan->inputs[0];
    while (inner->kind == TARN_PLAN_PROJECT) inner = inner->inputs[0];
    assert_int_equal(inner->kind, TARN_PLAN_JOIN);
    assert_int_equal(inner->join.key_count, 1);
    assert_ptr_equal(inner->inputs[0]->scan.relation, &r.relations[RIG_LOG].relation);
    assert_ptr_equal(inner->inputs[1]->scan.relation, &r.relations[RIG_FACTS].relation);
    assert_ptr_equal(plan->inputs[1]->scan.relation, &r.relations[RIG_DIMS].relation);
    rig_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimised_queries_give_the_same_rows),
        cmocka_unit_test(conditions_that_can_fail_see_only_rows_that_get_there),
        cmocka_unit_test(filters_stay_above_what_they_would_change),
        cmocka_unit_test(subqueries_of_one_row_are_columns),
        cmocka_unit_test(
            inner_joins_start_with_the_largest_input_and_never_cross_what_is_connected),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
