// expr_bench: rows per second of the kernels that the demo and the usual queries live on.
//
//     build/bench/expr_bench [name-prefix]
//
// One JSON line per case: name, rows, nanoseconds per row, checksum.

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "expr/expr.h"
#include "tests/expr/sql_expr.h"

#define CHUNK_COUNT 8
#define REPEAT      400

static const struct {
    const char *name;
    const char *text;
} cases[] = {
    {"add", "i + j"},
    {"add_bigint", "b + 7"},
    {"multiply_double", "d * 1.5::double precision"},
    {"cast_bigint_double", "b::double precision"},
    {"compare_integer", "i > 15"},
    {"compare_columns", "i < j"},
    {"compare_numeric", "n > 10"},
    {"and", "i > 15 and j < 60"},
    {"case_literals", "case when i > 15 then 1 else 0 end"},
    {"case_columns", "case when i > 15 then i else j end"},
    {"text_equal_flat", "t = 'ATL'"},
    {"text_equal_dictionary", "u = 'ATL'"},
    {"text_in_dictionary", "u in ('ATL', 'JFK', 'LAX')"},
    {"lower_flat", "lower(t)"},
    {"lower_dictionary", "lower(u)"},
    {"like_flat", "t like 'AT%'"},
    {"date_trunc_hour", "date_trunc('hour', w)"},
    {"date_trunc_day", "date_trunc('day', w)"},
    {"date_trunc_month", "date_trunc('month', w)"},
    {"plus_interval", "w + interval '5 minutes'"},
    {"times_interval", "i * interval '1 minute'"},
    {"plus_times_interval", "w + i * interval '1 minute'"},
    {"extract_hour", "extract(hour from w)"},
    {"numeric_product", "n * 1.1"},
    {"numeric_quotient", "n / 3"},
};

static uint64_t random_state = 42;
static uint64_t next_random(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 33;
}

static const char *const airports[] = {"ATL", "JFK", "LAX", "ORD",
                                       "DFW", "DEN", "SFO", "a longer name"};

static tarn_field fields[] = {
    {.name = {(const uint8_t *)"i", 1}}, {.name = {(const uint8_t *)"j", 1}},
    {.name = {(const uint8_t *)"b", 1}}, {.name = {(const uint8_t *)"d", 1}},
    {.name = {(const uint8_t *)"n", 1}}, {.name = {(const uint8_t *)"t", 1}},
    {.name = {(const uint8_t *)"u", 1}}, {.name = {(const uint8_t *)"w", 1}},
};
#define COLUMN_COUNT 8

static tarn_value random_value(tarn_type type) {
    tarn_value value = {.type = type};
    int64_t number = (int64_t)(next_random() % 100);
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_DOUBLE: value.f64 = (double)number / 7; break;
    case TARN_TYPE_TEXT: value.bytes = tarn_slice_from_cstr(airports[number % 8]); break;
    case TARN_TYPE_TIMESTAMP: value.i64 = 1577836800000000 + number * 1234567890; break;
    default: value.i64 = number * (type.id == TARN_TYPE_NUMERIC ? 25 : 1);
    }
    return value;
}

static void make_chunk(tarn_chunk *chunk, tarn_vector *columns, tarn_dictionary *dictionary,
                       tarn_arena *arena) {
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        if (c == 6) {
            uint32_t *indices = tarn_arena_new(arena, uint32_t, TARN_CHUNK_ROWS);
            for (size_t i = 0; i < TARN_CHUNK_ROWS; i++) indices[i] = (uint32_t)(next_random() % 8);
            columns[c] = (tarn_vector){.type = fields[c].type,
                                       .kind = TARN_VECTOR_DICTIONARY,
                                       .indices = indices,
                                       .dictionary = dictionary};
            continue;
        }
        if (tarn_vector_init_flat(&columns[c], fields[c].type, TARN_CHUNK_ROWS, arena, NULL) !=
            TARN_OK) {
            abort();
        }
        for (size_t i = 0; i < TARN_CHUNK_ROWS; i++) {
            tarn_vector_set(&columns[c], i, random_value(fields[c].type));
        }
    }
    *chunk = (tarn_chunk){
        .row_count = TARN_CHUNK_ROWS, .column_count = COLUMN_COUNT, .columns = columns};
}

// Of the processor, so that other work on the machine does not count.
static uint64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t checksum(const tarn_vector *vector, size_t row_count) {
    uint64_t sum = 0;
    size_t width = tarn_type_width(vector->type);
    for (size_t i = 0; i < row_count; i += 97) {
        const uint8_t *value = tarn_vector_at(vector, i, width);
        for (size_t b = 0; b < width && b < 8; b++) sum = sum * 31 + value[b];
    }
    return sum;
}

static void print_line(const char *name, uint64_t ns, uint64_t sum) {
    uint64_t rows = (uint64_t)REPEAT * CHUNK_COUNT * TARN_CHUNK_ROWS;
    printf("{\"name\": \"%s\", \"n\": %" PRIu64 ", \"ns\": %" PRIu64
           ", \"ns_per_row\": %.3f, \"checksum\": %" PRIu64 "}\n",
           name, rows, ns, (double)ns / (double)rows, sum);
}

static void run_case(const char *name, const char *text, const tarn_chunk *chunks, bool filters) {
    tarn_arena tree_arena;
    tarn_arena arena;
    tarn_arena_init(&tree_arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    const tarn_schema schema = {fields, COLUMN_COUNT};
    const tarn_expr *expr;
    tarn_error err = {0};
    tarn_program *program;
    if (sql_read(text, &schema, &tree_arena, &expr, &err) != TARN_OK ||
        tarn_expr_fold(&tree_arena, expr, &expr, &err) != TARN_OK ||
        tarn_program_new(&tarn_alloc_libc, &expr, 1, &program, &err) != TARN_OK) {
        fprintf(stderr, "%s: %s\n", text, err.message);
        abort();
    }
    uint64_t start = now_ns();
    uint64_t sum = 0;
    for (int r = 0; r < REPEAT; r++) {
        for (size_t c = 0; c < CHUNK_COUNT; c++) {
            tarn_vector result;
            tarn_chunk filtered;
            tarn_status status =
                filters ? tarn_program_filter(program, &chunks[c], &arena, &filtered, &err)
                        : tarn_program_eval(program, &chunks[c], &arena, &result, &err);
            if (status != TARN_OK) abort();
            sum += filters ? tarn_chunk_count(&filtered) : checksum(&result, TARN_CHUNK_ROWS);
            tarn_arena_clear(&arena);
        }
    }
    print_line(name, now_ns() - start, sum);
    tarn_program_free(program);
    tarn_arena_reset(&arena);
    tarn_arena_reset(&tree_arena);
}

#define GROUP_COUNT 500

static void run_aggregate(const char *name, size_t column, const tarn_chunk *chunks, bool grouped,
                          bool distinct) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    const tarn_expr *arg;
    tarn_aggregate aggregate;
    char plain[16];
    (void)snprintf(plain, sizeof plain, "%.*s", (int)strcspn(name, "_"), name);
    if (tarn_expr_column(&arena, column, &fields[column], 0, &arg, NULL) != TARN_OK) abort();
    if (tarn_aggregate_resolve(&arena, tarn_slice_from_cstr(plain), arg, distinct, 0, &aggregate,
                               &arg, NULL) != TARN_OK) {
        abort();
    }
    size_t row_bytes = aggregate.state_bytes + 16;
    uint8_t *states = tarn_arena_new(&arena, uint8_t, row_bytes * GROUP_COUNT);
    uint8_t **groups = tarn_arena_new(&arena, uint8_t *, TARN_CHUNK_ROWS);
    for (size_t i = 0; i < TARN_CHUNK_ROWS; i++) {
        groups[i] = states + next_random() % GROUP_COUNT * row_bytes;
    }
    uint64_t start = now_ns();
    for (int r = 0; r < REPEAT; r++) {
        for (size_t c = 0; c < CHUNK_COUNT; c++) {
            const tarn_vector *vector = &chunks[c].columns[column];
            tarn_status status =
                grouped ? tarn_aggregate_update(&aggregate, &tarn_alloc_libc, vector, &chunks[c],
                                                groups, 16, NULL)
                        : tarn_aggregate_update_one(&aggregate, &tarn_alloc_libc, vector,
                                                    &chunks[c], states + 16, NULL);
            if (status != TARN_OK) abort();
        }
    }
    uint64_t ns = now_ns() - start;
    tarn_vector result;
    if (tarn_aggregate_finalize(&aggregate, groups, 16, 1, &arena, &result, NULL) != TARN_OK)
        abort();
    print_line(name, ns, checksum(&result, 1));
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        tarn_aggregate_destroy(&aggregate, &tarn_alloc_libc, states + g * row_bytes + 16);
    }
    tarn_arena_reset(&arena);
}

int main(int argc, char **argv) {
    static const tarn_type_id ids[] = {TARN_TYPE_INTEGER, TARN_TYPE_INTEGER,  TARN_TYPE_BIGINT,
                                       TARN_TYPE_DOUBLE,  TARN_TYPE_NUMERIC,  TARN_TYPE_TEXT,
                                       TARN_TYPE_TEXT,    TARN_TYPE_TIMESTAMP};
    for (size_t c = 0; c < COLUMN_COUNT; c++) fields[c].type = tarn_type_of(ids[c]);
    fields[4].type = tarn_type_numeric(10, 2);
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    static tarn_chunk chunks[CHUNK_COUNT];
    static tarn_vector columns[CHUNK_COUNT][COLUMN_COUNT];
    tarn_dictionary *dictionary;
    void *names;
    if (tarn_dictionary_new(&tarn_alloc_libc, fields[6].type, 8, &names, &dictionary, NULL) !=
        TARN_OK) {
        abort();
    }
    for (size_t i = 0; i < 8; i++) {
        ((tarn_string *)names)[i] = tarn_string_view(tarn_slice_from_cstr(airports[i]));
    }
    for (size_t c = 0; c < CHUNK_COUNT; c++) make_chunk(&chunks[c], columns[c], dictionary, &arena);
    const char *wanted = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strncmp(cases[i].name, wanted, strlen(wanted)) != 0) continue;
        run_case(cases[i].name, cases[i].text, chunks, false);
    }
    run_case("filter_integer", "i > 15", chunks, true);
    run_case("filter_and", "i > 15 and j < 60 and u = 'ATL'", chunks, true);
    run_aggregate("count_grouped", 0, chunks, true, false);
    run_aggregate("sum_integer", 0, chunks, false, false);
    run_aggregate("sum_integer_grouped", 0, chunks, true, false);
    run_aggregate("sum_bigint_grouped", 2, chunks, true, false);
    run_aggregate("sum_double_grouped", 3, chunks, true, false);
    run_aggregate("sum_numeric_grouped", 4, chunks, true, false);
    run_aggregate("avg_integer_grouped", 0, chunks, true, false);
    run_aggregate("max_integer_grouped", 0, chunks, true, false);
    run_aggregate("max_text_grouped", 5, chunks, true, false);
    run_aggregate("count_distinct_integer", 0, chunks, false, true);
    run_aggregate("count_distinct_text", 6, chunks, false, true);
    tarn_dictionary_unref(dictionary);
    tarn_arena_reset(&arena);
    return 0;
}
