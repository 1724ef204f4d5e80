// Aggregates equal the simplest model (all values in an array) under random insertions and
// retractions, merged, and through bytes and back.

#include "tests/test.h"

#include "tests/expr/random_chunk.h"

#define GROUP_COUNT 3
#define VALUES_MAX  400

typedef struct aggregate_case {
    const char *name;
    tarn_type_id id;
    int precision;
    int scale;
} aggregate_case;

static const aggregate_case cases[] = {
    {"count", TARN_TYPE_INTEGER, 0, 0},      {"count", TARN_TYPE_TEXT, 0, 0},
    {"sum", TARN_TYPE_SMALLINT, 0, 0},       {"sum", TARN_TYPE_INTEGER, 0, 0},
    {"sum", TARN_TYPE_BIGINT, 0, 0},         {"sum", TARN_TYPE_NUMERIC, 10, 2},
    {"sum", TARN_TYPE_NUMERIC, 24, 4},       {"sum", TARN_TYPE_REAL, 0, 0},
    {"sum", TARN_TYPE_DOUBLE, 0, 0},         {"sum", TARN_TYPE_INTERVAL, 0, 0},
    {"avg", TARN_TYPE_SMALLINT, 0, 0},       {"avg", TARN_TYPE_INTEGER, 0, 0},
    {"avg", TARN_TYPE_BIGINT, 0, 0},         {"avg", TARN_TYPE_NUMERIC, 10, 2},
    {"avg", TARN_TYPE_REAL, 0, 0},           {"avg", TARN_TYPE_DOUBLE, 0, 0},
    {"min", TARN_TYPE_SMALLINT, 0, 0},       {"max", TARN_TYPE_INTEGER, 0, 0},
    {"min", TARN_TYPE_BIGINT, 0, 0},         {"max", TARN_TYPE_NUMERIC, 10, 2},
    {"min", TARN_TYPE_NUMERIC, 24, 4},       {"max", TARN_TYPE_REAL, 0, 0},
    {"min", TARN_TYPE_DOUBLE, 0, 0},         {"max", TARN_TYPE_DOUBLE, 0, 0},
    {"min", TARN_TYPE_TEXT, 0, 0},           {"max", TARN_TYPE_TEXT, 0, 0},
    {"max", TARN_TYPE_BYTEA, 0, 0},          {"min", TARN_TYPE_DATE, 0, 0},
    {"max", TARN_TYPE_TIMESTAMP, 0, 0},      {"min", TARN_TYPE_TIME, 0, 0},
    {"max", TARN_TYPE_BOOLEAN, 0, 0},        {"min", TARN_TYPE_INTERVAL, 0, 0},
    {"bool_and", TARN_TYPE_BOOLEAN, 0, 0},   {"bool_or", TARN_TYPE_BOOLEAN, 0, 0},
    {"every", TARN_TYPE_BOOLEAN, 0, 0},      {"stddev", TARN_TYPE_INTEGER, 0, 0},
    {"stddev_pop", TARN_TYPE_BIGINT, 0, 0},  {"variance", TARN_TYPE_SMALLINT, 0, 0},
    {"var_pop", TARN_TYPE_NUMERIC, 10, 2},   {"var_samp", TARN_TYPE_NUMERIC, 24, 4},
    {"stddev_samp", TARN_TYPE_DOUBLE, 0, 0}, {"var_pop", TARN_TYPE_REAL, 0, 0},
};
#define CASE_COUNT (sizeof cases / sizeof cases[0])

// ---- the model ----

typedef struct model {
    tarn_value values[VALUES_MAX];
    size_t count;
} model;

static bool equal_values(tarn_value a, tarn_value b) {
    return tarn_value_compare(a, b) == 0;
}

static long double number_of(tarn_value value) {
    switch ((tarn_type_id)value.type.id) {
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE: return (long double)value.f64;
    case TARN_TYPE_NUMERIC: {
        tarn_int128 number =
            tarn_type_physical(value.type) == TARN_PHYSICAL_I128 ? value.i128 : value.i64;
        return (long double)number / (long double)tarn_power_of_ten(value.type.scale);
    }
    default: return (long double)value.i64;
    }
}

static size_t distinct_values(const model *all, bool distinct, tarn_value *out) {
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        bool seen = false;
        for (size_t k = 0; k < count && distinct; k++) seen |= equal_values(out[k], all->values[i]);
        if (!seen) out[count++] = all->values[i];
    }
    return count;
}

static bool is_close(long double expected, long double actual, long double unit) {
    if (isnan(expected) || isnan(actual)) return isnan(expected) && isnan(actual);
    if (isinf(expected) || isinf(actual)) return expected == actual;
    long double allowed = fabsl(expected) * 1e-5L + unit;
    return fabsl(expected - actual) <= allowed;
}

// sum, avg and the variances, in long double.
static void check_number(const aggregate_case *test, const tarn_value *values, size_t count,
                         tarn_value actual) {
    long double sum = 0;
    for (size_t i = 0; i < count; i++) sum += number_of(values[i]);
    long double expected = sum;
    bool is_sample = strcmp(test->name, "stddev") == 0 || strcmp(test->name, "stddev_samp") == 0 ||
                     strcmp(test->name, "variance") == 0 || strcmp(test->name, "var_samp") == 0;
    bool is_spread = is_sample || strstr(test->name, "pop") != NULL;
    assert_int_equal(actual.is_null, count == 0 || (is_sample && count == 1));
    if (actual.is_null) return;
    if (strcmp(test->name, "avg") == 0) expected = sum / (long double)count;
    if (is_spread) {
        long double squares = 0;
        for (size_t i = 0; i < count; i++) {
            long double distance = number_of(values[i]) - sum / (long double)count;
            squares += distance * distance;
        }
        expected = squares / (long double)(is_sample ? count - 1 : count);
        if (strncmp(test->name, "stddev", 6) == 0) expected = sqrtl(expected);
    }
    if (!is_close(expected, number_of(actual), 1e-6L)) {
        fail_msg("%s of %d: %Lg expected, but came %Lg", test->name, (int)test->id, expected,
                 number_of(actual));
    }
}

static void check_extreme(const aggregate_case *test, const tarn_value *values, size_t count,
                          tarn_value actual) {
    assert_int_equal(actual.is_null, count == 0);
    if (count == 0) return;
    tarn_value best = values[0];
    for (size_t i = 1; i < count; i++) {
        int order = tarn_value_compare(values[i], best);
        if (strcmp(test->name, "max") == 0 ? order > 0 : order < 0) best = values[i];
    }
    assert_true(equal_values(best, actual));
}

static void check_bool(const aggregate_case *test, const tarn_value *values, size_t count,
                       tarn_value actual) {
    assert_int_equal(actual.is_null, count == 0);
    size_t trues = 0;
    for (size_t i = 0; i < count; i++) trues += values[i].boolean;
    bool expected = strcmp(test->name, "bool_or") == 0 ? trues > 0 : trues == count;
    if (count > 0) assert_int_equal(actual.boolean, expected);
}

static void check_interval(const tarn_value *values, size_t count, tarn_value actual) {
    assert_int_equal(actual.is_null, count == 0);
    tarn_interval sum = {0};
    for (size_t i = 0; i < count; i++) {
        sum.months += values[i].interval.months;
        sum.days += values[i].interval.days;
        sum.us += values[i].interval.us;
    }
    if (count > 0) assert_memory_equal(&sum, &actual.interval, sizeof sum);
}

static void check_group(const aggregate_case *test, const tarn_aggregate *aggregate,
                        const model *all, tarn_value actual) {
    static tarn_value values[VALUES_MAX];
    size_t count = distinct_values(all, aggregate->distinct, values);
    if (strcmp(test->name, "count") == 0) {
        assert_int_equal(actual.i64, count);
    } else if (strcmp(test->name, "min") == 0 || strcmp(test->name, "max") == 0) {
        check_extreme(test, values, count, actual);
    } else if (test->id == TARN_TYPE_BOOLEAN) {
        check_bool(test, values, count, actual);
    } else if (test->id == TARN_TYPE_INTERVAL) {
        if (!aggregate->distinct) check_interval(values, count, actual);
    } else {
        check_number(test, values, count, actual);
    }
}

// ---- the run ----

typedef struct run {
    const aggregate_case *test;
    tarn_aggregate aggregate;
    tarn_type type; // of the argument
    model models[GROUP_COUNT];
    uint8_t *states[2][GROUP_COUNT]; // two of each, to be merged
    tarn_arena arena;                // values and states
} run;

static tarn_aggregate resolve(tarn_arena *arena, const char *name, tarn_type type, bool distinct) {
    tarn_field field = {.name = TARN_LIT("x"), .type = type};
    const tarn_expr *arg;
    tarn_aggregate aggregate;
    tarn_error err = {0};
    assert_int_equal(tarn_expr_column(arena, 0, &field, 0, &arg, &err), TARN_OK);
    tarn_status status = tarn_aggregate_resolve(arena, tarn_slice_from_cstr(name), arg, distinct, 0,
                                                &aggregate, &arg, &err);
    if (status != TARN_OK) fail_msg("%s: %s", name, err.message);
    assert_int_equal(arg->kind, TARN_EXPR_COLUMN); // no cast was needed
    return aggregate;
}

static void take_back(model *all, size_t index) {
    all->values[index] = all->values[--all->count];
}

// One chunk of rows for random groups; retractions only of what is there.
static void step(run *r, tarn_arena *arena) {
    size_t row_count = 1 + test_random_below(TARN_CHUNK_ROWS < 24 ? TARN_CHUNK_ROWS : 24);
    tarn_dictionary *dictionary;
    tarn_vector arg = random_vector(r->type, row_count, false, arena, &dictionary);
    uint8_t *groups[32];
    uint8_t kinds[32];
    uint32_t selection[32];
    size_t selected = 0;
    size_t half = test_random_below(2);
    bool has_kinds = r->aggregate.retractable && test_random_below(3) > 0;
    bool is_plain = !has_kinds && test_random_below(2) == 0;
    if (has_kinds) { // values come back from the model: they need a vector of their own
        tarn_dictionary_unref(dictionary);
        dictionary = NULL;
        assert_int_equal(tarn_vector_init_flat(&arg, r->type, row_count, arena, NULL), TARN_OK);
    }
    for (size_t i = 0; i < row_count; i++) {
        size_t g = test_random_below(GROUP_COUNT);
        model *all = &r->models[g];
        kinds[i] = TARN_ROW_INSERT;
        if (has_kinds) {
            tarn_value value = random_value(r->type, false);
            if (all->count > 0 && test_random_below(2) == 0) {
                size_t index = test_random_below(all->count);
                value = all->values[index];
                kinds[i] = test_random_below(2) == 0 ? TARN_ROW_DELETE : TARN_ROW_UPDATE_BEFORE;
                take_back(all, index);
            } else {
                all->values[all->count++] = value;
            }
            tarn_vector_set(&arg, i, value);
        } else if (!is_plain && test_random_below(3) == 0) {
            continue; // not selected
        } else if (!tarn_vector_is_null(&arg, i)) {
            tarn_value value = tarn_vector_get(&arg, i);
            assert_int_equal(tarn_value_copy(value, &r->arena, &all->values[all->count++], NULL),
                             TARN_OK);
        }
        groups[selected] = r->states[half][g] - 16; // the offset is added
        selection[selected++] = (uint32_t)i;
    }
    tarn_chunk chunk = {.row_count = row_count, .column_count = 1, .columns = &arg};
    if (has_kinds) chunk.kinds = kinds;
    if (!is_plain) {
        chunk.selection = selection;
        chunk.selected_count = selected;
    }
    tarn_error err = {0};
    tarn_status status =
        tarn_aggregate_update(&r->aggregate, &tarn_alloc_libc, &arg, &chunk, groups, 16, &err);
    if (status != TARN_OK) fail_msg("%s: %s", r->test->name, err.message);
    tarn_dictionary_unref(dictionary);
}

static void check_states(run *r, size_t half, tarn_arena *arena) {
    tarn_vector results;
    uint8_t *groups[GROUP_COUNT];
    for (size_t g = 0; g < GROUP_COUNT; g++) groups[g] = r->states[half][g] - 8;
    assert_int_equal(
        tarn_aggregate_finalize(&r->aggregate, groups, 8, GROUP_COUNT, arena, &results, NULL),
        TARN_OK);
    assert_true(tarn_type_equal(results.type, r->aggregate.type));
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        check_group(r->test, &r->aggregate, &r->models[g], tarn_vector_get(&results, g));
    }
}

static void through_bytes(run *r, size_t half) {
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        tarn_buffer bytes = {0};
        uint8_t *state = r->states[half][g];
        assert_int_equal(tarn_aggregate_encode(&r->aggregate, state, &bytes, NULL), TARN_OK);
        tarn_aggregate_destroy(&r->aggregate, &tarn_alloc_libc, state);
        for (size_t cut = 0; cut < bytes.len; cut += 1 + bytes.len / 7) { // early ends are noticed
            tarn_slice early = {bytes.data, cut};
            assert_int_equal(
                tarn_aggregate_decode(&r->aggregate, &tarn_alloc_libc, &early, state, NULL),
                TARN_CORRUPT);
        }
        assert_true(tarn_buffer_append_byte(&bytes, 42)); // what follows is left alone
        tarn_slice rest = tarn_buffer_slice(&bytes);
        assert_int_equal(tarn_aggregate_decode(&r->aggregate, &tarn_alloc_libc, &rest, state, NULL),
                         TARN_OK);
        assert_int_equal(rest.len, 1);
        tarn_buffer_free(&bytes);
    }
}

static void run_case(const aggregate_case *test, bool distinct, bool retractable) {
    static run r;
    tarn_arena arena;
    r = (run){.test = test};
    tarn_arena_init(&r.arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    r.type = test->id == TARN_TYPE_NUMERIC ? tarn_type_numeric(test->precision, test->scale)
                                           : tarn_type_of(test->id);
    r.aggregate = resolve(&r.arena, test->name, r.type, distinct);
    if (retractable) r.aggregate = tarn_aggregate_as_retractable(r.aggregate);
    assert_int_equal(r.aggregate.state_bytes % 8, 0);
    for (size_t g = 0; g < GROUP_COUNT * 2; g++) {
        uint8_t *row = tarn_arena_new(&r.arena, uint8_t, r.aggregate.state_bytes + 16);
        r.states[g % 2][g / 2] = row + 16;
        tarn_aggregate_init(&r.aggregate, row + 16);
    }
    for (int i = 0; i < 8; i++) {
        step(&r, &arena);
        tarn_arena_clear(&arena);
    }
    through_bytes(&r, 0);
    step(&r, &arena);
    through_bytes(&r, 1);
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        assert_int_equal(tarn_aggregate_merge(&r.aggregate, &tarn_alloc_libc, r.states[0][g],
                                              r.states[1][g], NULL),
                         TARN_OK);
    }
    check_states(&r, 0, &arena);
    for (size_t g = 0; g < GROUP_COUNT * 2; g++) {
        tarn_aggregate_destroy(&r.aggregate, &tarn_alloc_libc, r.states[g % 2][g / 2]);
    }
    tarn_arena_reset(&arena);
    tarn_arena_reset(&r.arena);
}

TEST(aggregates_equal_a_model) {
    for (int round = 0; round < 5; round++) {
        for (size_t c = 0; c < CASE_COUNT; c++) {
            run_case(&cases[c], false, false);
            run_case(&cases[c], false, true);
            run_case(&cases[c], true, false);
            run_case(&cases[c], true, true);
        }
    }
}

TEST(taking_everything_back_leaves_nothing) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_type type = tarn_type_of(TARN_TYPE_DOUBLE);
    tarn_aggregate sum = tarn_aggregate_as_retractable(resolve(&arena, "sum", type, false));
    const double values[] = {1e300, 0.1, (double)NAN, -(double)INFINITY, 3.5, (double)INFINITY,
                             1e-300};
    uint8_t *group = tarn_arena_new(&arena, uint8_t, sum.state_bytes);
    tarn_aggregate_init(&sum, group);
    tarn_vector arg;
    assert_int_equal(tarn_vector_init_flat(&arg, type, 7, &arena, NULL), TARN_OK);
    memcpy(arg.data, values, sizeof values);
    tarn_chunk chunk = {.row_count = 7, .column_count = 1, .columns = &arg};
    uint8_t kinds[7];
    tarn_vector result;
    assert_int_equal(tarn_aggregate_update_one(&sum, &tarn_alloc_libc, &arg, &chunk, group, NULL),
                     TARN_OK);
    assert_int_equal(tarn_aggregate_finalize(&sum, &group, 0, 1, &arena, &result, NULL), TARN_OK);
    assert_true(isnan(tarn_vector_get(&result, 0).f64));
    memset(kinds, TARN_ROW_DELETE, sizeof kinds);
    chunk.kinds = kinds;
    const uint32_t all_but_two[] = {0, 2, 3, 5, 6}; // 0.1 and 3.5 stay
    chunk.selection = all_but_two;
    chunk.selected_count = 5;
    assert_int_equal(tarn_aggregate_update_one(&sum, &tarn_alloc_libc, &arg, &chunk, group, NULL),
                     TARN_OK);
    assert_int_equal(tarn_aggregate_finalize(&sum, &group, 0, 1, &arena, &result, NULL), TARN_OK);
    assert_true(tarn_vector_get(&result, 0).f64 == 3.6);
    tarn_arena_reset(&arena);
}

TEST(retractions_need_a_retractable_aggregate) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_type type = tarn_type_of(TARN_TYPE_INTEGER);
    tarn_aggregate sum = resolve(&arena, "sum", type, false);
    uint8_t *group = tarn_arena_new(&arena, uint8_t, sum.state_bytes);
    tarn_aggregate_init(&sum, group);
    tarn_vector arg;
    tarn_value one = {.type = type, .i64 = 1};
    assert_int_equal(tarn_vector_init_constant(&arg, one, &arena, NULL), TARN_OK);
    const uint8_t kinds[] = {TARN_ROW_DELETE};
    tarn_chunk chunk = {.row_count = 1, .column_count = 1, .columns = &arg, .kinds = kinds};
    tarn_error err = {0};
    assert_int_equal(tarn_aggregate_update_one(&sum, &tarn_alloc_libc, &arg, &chunk, group, &err),
                     TARN_INVALID);
    assert_string_equal(err.message,
                        "aggregate sum was not made for retractions, but a -D row came");
    tarn_arena_reset(&arena);
}

static tarn_value aggregate_integers(const char *name, tarn_type type, const int64_t *values,
                                     size_t count, tarn_arena *arena, tarn_error *err) {
    tarn_aggregate aggregate = resolve(arena, name, type, false);
    uint8_t *state = tarn_arena_new(arena, uint8_t, aggregate.state_bytes);
    tarn_aggregate_init(&aggregate, state);
    tarn_vector arg;
    tarn_vector result;
    assert_int_equal(tarn_vector_init_flat(&arg, type, count, arena, NULL), TARN_OK);
    for (size_t i = 0; i < count; i++) {
        tarn_value value = {.type = type};
        if (tarn_type_physical(type) == TARN_PHYSICAL_I128) {
            value.i128 = values[i];
        } else {
            value.i64 = values[i];
        }
        tarn_vector_set(&arg, i, value);
    }
    tarn_chunk chunk = {.row_count = count, .column_count = 1, .columns = &arg};
    assert_int_equal(
        tarn_aggregate_update_one(&aggregate, &tarn_alloc_libc, &arg, &chunk, state, NULL),
        TARN_OK);
    if (tarn_aggregate_finalize(&aggregate, &state, 0, 1, arena, &result, err) != TARN_OK) {
        return tarn_value_null(aggregate.type);
    }
    return tarn_vector_get(&result, 0);
}

static void assert_shown_as(tarn_value value, const char *text) {
    tarn_buffer out = {0};
    assert_int_equal(tarn_value_format(value, &out, NULL), TARN_OK);
    assert_true(tarn_buffer_append_byte(&out, 0));
    assert_string_equal((const char *)out.data, text);
    tarn_buffer_free(&out);
}

// PostgreSQL 15 gives these values; its digits behind the point follow the value, ours are 16.
TEST(results_are_exact) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_type integer = tarn_type_of(TARN_TYPE_INTEGER);
    tarn_type bigint = tarn_type_of(TARN_TYPE_BIGINT);
    const int64_t few[] = {1, 2, 4};
    assert_shown_as(aggregate_integers("avg", integer, few, 3, &arena, NULL), "2.3333333333333333");
    assert_shown_as(aggregate_integers("variance", integer, few, 3, &arena, NULL),
                    "2.3333333333333333");
    assert_shown_as(aggregate_integers("stddev", integer, few, 3, &arena, NULL),
                    "1.5275252316519467");
    assert_shown_as(aggregate_integers("var_pop", integer, few, 3, &arena, NULL),
                    "1.5555555555555556");
    assert_shown_as(aggregate_integers("stddev_pop", integer, few, 3, &arena, NULL),
                    "1.2472191289246471");
    assert_shown_as(aggregate_integers("sum", integer, few, 3, &arena, NULL), "7");
    const int64_t large[] = {INT64_MAX, INT64_MAX, 1};
    assert_shown_as(aggregate_integers("sum", bigint, large, 3, &arena, NULL),
                    "18446744073709551615");
    assert_shown_as(aggregate_integers("avg", bigint, large, 3, &arena, NULL),
                    "6148914691236517205.0000000000000000");
    const int64_t cents[] = {150, 225, -10};
    assert_shown_as(aggregate_integers("sum", tarn_type_numeric(10, 2), cents, 3, &arena, NULL),
                    "3.65");
    assert_shown_as(aggregate_integers("avg", tarn_type_numeric(10, 2), cents, 3, &arena, NULL),
                    "1.2166666666666667");
    assert_shown_as(
        aggregate_integers("variance", tarn_type_numeric(10, 2), cents, 3, &arena, NULL),
        "1.4408333333333333");
    tarn_arena_reset(&arena);
}

TEST(unknown_aggregates_are_refused_by_name) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_field field = {.name = TARN_LIT("x"), .type = tarn_type_of(TARN_TYPE_TEXT)};
    const tarn_expr *arg;
    tarn_aggregate aggregate;
    tarn_error err = {0};
    assert_int_equal(tarn_expr_column(&arena, 0, &field, 0, &arg, NULL), TARN_OK);
    assert_int_equal(tarn_aggregate_resolve(&arena, TARN_LIT("string_agg"), arg, false, 8,
                                            &aggregate, &arg, &err),
                     TARN_UNSUPPORTED);
    assert_string_equal(err.message, "aggregate function string_agg() is not supported");
    assert_string_equal(err.sqlstate, "0A000");
    assert_int_equal(err.position, 8);
    assert_int_equal(
        tarn_aggregate_resolve(&arena, TARN_LIT("sum"), arg, false, 8, &aggregate, &arg, &err),
        TARN_INVALID);
    assert_string_equal(err.message, "function sum(text) does not exist");
    assert_string_equal(err.sqlstate, "42883");
    assert_true(tarn_function_is_aggregate(TARN_LIT("string_agg")));
    assert_true(tarn_function_is_aggregate(TARN_LIT("avg")));
    assert_false(tarn_function_is_aggregate(TARN_LIT("lower")));
    tarn_arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aggregates_equal_a_model),
        cmocka_unit_test(taking_everything_back_leaves_nothing),
        cmocka_unit_test(retractions_need_a_retractable_aggregate),
        cmocka_unit_test(results_are_exact),
        cmocka_unit_test(unknown_aggregates_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
