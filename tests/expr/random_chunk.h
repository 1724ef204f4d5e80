// random_chunk.h - chunks of every type, in every layout, with NULLs and selections.
//
// Values come from small sets with the extremes among them, so that comparisons meet equal values,
// and sums and products overflow now and then (only in a "wild" chunk).
#ifndef TARN_TESTS_EXPR_RANDOM_CHUNK_H
#define TARN_TESTS_EXPR_RANDOM_CHUNK_H

#include <math.h>

#include "expr/expr.h"
#include "tests/test.h"

typedef struct random_column {
    const char *name;
    tarn_type_id id;
    int precision; // numeric
    int scale;
} random_column;

static const random_column random_columns[] = {
    {"s", TARN_TYPE_SMALLINT, 0, 0},  {"i", TARN_TYPE_INTEGER, 0, 0},
    {"j", TARN_TYPE_INTEGER, 0, 0},   {"b", TARN_TYPE_BIGINT, 0, 0},
    {"c", TARN_TYPE_BIGINT, 0, 0},    {"r", TARN_TYPE_REAL, 0, 0},
    {"d", TARN_TYPE_DOUBLE, 0, 0},    {"e", TARN_TYPE_DOUBLE, 0, 0},
    {"n", TARN_TYPE_NUMERIC, 10, 2},  {"m", TARN_TYPE_NUMERIC, 24, 4},
    {"t", TARN_TYPE_TEXT, 0, 0},      {"u", TARN_TYPE_TEXT, 0, 0},
    {"y", TARN_TYPE_BYTEA, 0, 0},     {"a", TARN_TYPE_DATE, 0, 0},
    {"k", TARN_TYPE_TIME, 0, 0},      {"w", TARN_TYPE_TIMESTAMP, 0, 0},
    {"x", TARN_TYPE_TIMESTAMP, 0, 0}, {"z", TARN_TYPE_TIMESTAMPTZ, 0, 0},
    {"v", TARN_TYPE_INTERVAL, 0, 0},  {"p", TARN_TYPE_BOOLEAN, 0, 0},
    {"q", TARN_TYPE_BOOLEAN, 0, 0},
};
#define RANDOM_COLUMN_COUNT (sizeof random_columns / sizeof random_columns[0])

static inline tarn_type random_column_type(const random_column *column) {
    return column->id == TARN_TYPE_NUMERIC ? tarn_type_numeric(column->precision, column->scale)
                                           : tarn_type_of(column->id);
}

static inline tarn_schema random_schema(void) {
    static tarn_field fields[RANDOM_COLUMN_COUNT];
    for (size_t i = 0; i < RANDOM_COLUMN_COUNT; i++) {
        fields[i] = (tarn_field){.name = tarn_slice_from_cstr(random_columns[i].name),
                                 .type = random_column_type(&random_columns[i]),
                                 .id = -1};
    }
    return (tarn_schema){fields, RANDOM_COLUMN_COUNT};
}

static inline int64_t random_integer(int64_t least, int64_t greatest, bool wild) {
    static const int64_t tame[] = {0, 1, -1, 2, 3, 7, 10, 15, 16, -15, 60, 99, 100};
    if (wild && test_random_below(4) == 0) {
        switch (test_random_below(4)) {
        case 0: return least;
        case 1: return greatest;
        case 2: return least + 1;
        default: return greatest / 2 + 1;
        }
    }
    int64_t value = tame[test_random_below(sizeof tame / sizeof tame[0])];
    return value < least ? 0 : value;
}

static inline double random_double(bool wild) {
    static const double tame[] = {0, 1, -1, 0.5, 1.5, 2.5, -2.5, 100, 1e6, 0.1, -0.0};
    static const double extreme[] = {
        1e308, -1e308, 1e-308, (double)INFINITY, -(double)INFINITY, (double)NAN, 9.3e18};
    if (wild && test_random_below(4) == 0) return extreme[test_random_below(7)];
    return tame[test_random_below(11)];
}

static inline tarn_slice random_text(void) {
    static const char *const words[] = {
        "",
        "a",
        "ab",
        "abc",
        "ATL",
        "Hello World",
        "hello world, this is long",
        "žluťoučký kůň",
        "12",
        "-7.5",
        "%",
        "x_y",
        "abcdefghijkl",
        "abcdefghijklm",
        "日本語の長いテキスト",
        "true",
        "2020-02-29",
    };
    return tarn_slice_from_cstr(words[test_random_below(sizeof words / sizeof words[0])]);
}

static inline tarn_value random_value(tarn_type type, bool wild) {
    tarn_value value = {.type = type};
    int64_t day_us = 86400000000;
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_BOOLEAN: value.boolean = test_random_below(2) == 0; break;
    case TARN_TYPE_SMALLINT: value.i64 = random_integer(INT16_MIN, INT16_MAX, wild); break;
    case TARN_TYPE_INTEGER: value.i64 = random_integer(INT32_MIN, INT32_MAX, wild); break;
    case TARN_TYPE_BIGINT: value.i64 = random_integer(INT64_MIN, INT64_MAX, wild); break;
    case TARN_TYPE_REAL: {
        double number = random_double(wild);
        value.f64 = fabs(number) > 1e30 && isfinite(number) ? 3e38 : (double)(float)number;
        break;
    }
    case TARN_TYPE_DOUBLE: value.f64 = random_double(wild); break;
    case TARN_TYPE_NUMERIC: {
        int64_t number = random_integer(-1000000, 1000000, false) * 25;
        tarn_int128 limit = tarn_power_of_ten(type.precision) - 1;
        tarn_int128 wide = wild && test_random_below(5) == 0 ? limit : number;
        if (tarn_type_physical(type) == TARN_PHYSICAL_I128) {
            value.i128 = wide;
        } else {
            value.i64 = (int64_t)wide;
        }
        break;
    }
    case TARN_TYPE_DATE: value.i64 = (int64_t)test_random_below(20000) - 5000; break;
    case TARN_TYPE_TIME: value.i64 = (int64_t)test_random_below((size_t)day_us); break;
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS:
        value.i64 = ((int64_t)test_random_below(20000) - 5000) * day_us +
                    (int64_t)test_random_below(48) * 1800000000 +
                    (test_random_below(3) == 0 ? (int64_t)test_random_below(1000000) : 0);
        break;
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA: value.bytes = random_text(); break;
    case TARN_TYPE_INTERVAL:
        value.interval = (tarn_interval){.months = (int32_t)test_random_below(3) * 12,
                                         .days = (int32_t)test_random_below(5) - 2,
                                         .us = (int64_t)test_random_below(100) * 1800000000};
        if (test_random_below(3) == 0) value.interval.months = 0;
        break;
    case TARN_TYPE_NULL: break;
    }
    return value;
}

static inline void random_validity(tarn_vector *vector, size_t row_count, tarn_arena *arena) {
    if (test_random_below(2) == 0) return;
    assert_int_equal(tarn_vector_make_validity(vector, row_count, arena, NULL), TARN_OK);
    for (size_t i = 0; i < row_count; i++) {
        if (test_random_below(4) == 0) tarn_bitmap_unset(vector->validity, i);
    }
}

// Dictionaries are kept in `dictionaries` for the caller to release.
static inline tarn_vector random_vector(tarn_type type, size_t row_count, bool wild,
                                        tarn_arena *arena, tarn_dictionary **ret_dictionary) {
    tarn_vector vector;
    *ret_dictionary = NULL;
    size_t layout = test_random_below(4);
    if (layout == 0) {
        tarn_value value =
            test_random_below(4) == 0 ? tarn_value_null(type) : random_value(type, wild);
        assert_int_equal(tarn_vector_init_constant(&vector, value, arena, NULL), TARN_OK);
        return vector;
    }
    if (layout == 1) {
        uint32_t count = 1 + (uint32_t)test_random_below(12);
        void *values;
        assert_int_equal(
            tarn_dictionary_new(&tarn_alloc_libc, type, count, &values, ret_dictionary, NULL),
            TARN_OK);
        tarn_vector flat = {.type = type, .data = values};
        for (uint32_t i = 0; i < count; i++) tarn_vector_set(&flat, i, random_value(type, wild));
        uint32_t *indices = tarn_arena_new(arena, uint32_t, row_count + 1);
        for (size_t i = 0; i < row_count; i++) indices[i] = (uint32_t)test_random_below(count);
        vector = (tarn_vector){.type = type,
                               .kind = TARN_VECTOR_DICTIONARY,
                               .indices = indices,
                               .dictionary = *ret_dictionary};
        random_validity(&vector, row_count, arena);
        for (size_t i = 0; i < row_count; i++) { // indices below NULL mean nothing
            if (tarn_vector_is_null(&vector, i)) indices[i] = UINT32_MAX;
        }
        return vector;
    }
    assert_int_equal(tarn_vector_init_flat(&vector, type, row_count, arena, NULL), TARN_OK);
    random_validity(&vector, row_count, arena);
    size_t width = tarn_type_width(type);
    for (size_t i = 0; i < row_count; i++) {
        if (tarn_vector_is_null(&vector, i)) { // what is below NULL must not matter
            memset((uint8_t *)vector.data + i * width, (int)test_random_below(256), width);
        } else {
            tarn_vector_set(&vector, i, random_value(type, wild));
        }
    }
    return vector;
}

typedef struct random_chunk {
    tarn_chunk chunk;
    tarn_vector columns[RANDOM_COLUMN_COUNT];
    tarn_dictionary *dictionaries[RANDOM_COLUMN_COUNT];
} random_chunk;

static inline void random_chunk_init(random_chunk *random, size_t row_count, bool wild,
                                     tarn_arena *arena) {
    for (size_t c = 0; c < RANDOM_COLUMN_COUNT; c++) {
        random->columns[c] = random_vector(random_column_type(&random_columns[c]), row_count, wild,
                                           arena, &random->dictionaries[c]);
    }
    random->chunk = (tarn_chunk){
        .row_count = row_count, .column_count = RANDOM_COLUMN_COUNT, .columns = random->columns};
    if (test_random_below(2) == 0) return;
    uint32_t *selection = tarn_arena_new(arena, uint32_t, row_count + 1);
    size_t share = 1 + test_random_below(10);
    for (size_t i = 0; i < row_count; i++) {
        if (test_random_below(share) == 0) {
            selection[random->chunk.selected_count++] = (uint32_t)i;
        }
    }
    random->chunk.selection = selection;
}

static inline void random_chunk_reset(random_chunk *random) {
    for (size_t c = 0; c < RANDOM_COLUMN_COUNT; c++) {
        tarn_dictionary_unref(random->dictionaries[c]);
    }
}

#endif
