// helpers.h - random types, values and vectors, and an allocator that fails, for the tests of
// column/.
#ifndef TARN_TESTS_COLUMN_HELPERS_H
#define TARN_TESTS_COLUMN_HELPERS_H

#include <math.h>
#include <string.h>

#include "column/column.h"
#include "tests/test.h"

// An allocator that lends garbage, knows how much, and refuses its n-th request.
typedef struct faulty_alloc {
    size_t requests_left;
    size_t lent_bytes;
} faulty_alloc;

static inline void *faulty_acquire(void *context, size_t size_bytes) {
    faulty_alloc *faulty = context;
    if (faulty->requests_left == 0) return NULL;
    faulty->requests_left--;
    faulty->lent_bytes += size_bytes;
    return memset(test_malloc(size_bytes), 0xCD, size_bytes);
}

static inline void faulty_release(void *context, void *memory, size_t size_bytes) {
    faulty_alloc *faulty = context;
    faulty->lent_bytes -= size_bytes;
    test_free(memory);
}

static inline tarn_arena test_arena(void) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    return arena;
}

// Any type that a column can have.
static inline tarn_type random_type(void) {
    tarn_type_id id = (tarn_type_id)(1 + test_random_below(TARN_TYPE_COUNT - 1));
    if (id != TARN_TYPE_NUMERIC) return tarn_type_of(id);
    int precision = 1 + (int)test_random_below(TARN_NUMERIC_PRECISION_MAX);
    return tarn_type_numeric(precision, (int)test_random_below((size_t)precision + 1));
}

// Often a boundary, often small, sometimes anything from min to max.
static inline int64_t random_int(int64_t min, int64_t max) {
    int64_t small = (int64_t)test_random_below(2000) - 1000;
    switch (test_random_below(6)) {
    case 0: return min;
    case 1: return max;
    case 2: return small < min ? min : small > max ? max : small;
    default: break;
    }
    uint64_t range = (uint64_t)max - (uint64_t)min;
    uint64_t offset = range == UINT64_MAX ? test_random() : test_random() % (range + 1);
    return (int64_t)((uint64_t)min + offset);
}

static inline tarn_int128 random_int128(tarn_int128 limit) {
    tarn_uint128 bits = (tarn_uint128)test_random() << 64 | test_random();
    tarn_int128 magnitude = (tarn_int128)(bits % (tarn_uint128)(limit + 1));
    if (test_random_below(3) == 0) magnitude %= 1000;
    if (test_random_below(8) == 0) magnitude = limit;
    return test_random_below(2) == 0 ? magnitude : -magnitude;
}

static inline double random_double(void) {
    static const double corners[] = {0.0,       -0.0,        1.0,   -1.0,      1e20,
                                     1e-5,      1e15,        1e300, 5e-324,    HUGE_VAL,
                                     -HUGE_VAL, (double)NAN, 0.1,   123456.789};
    if (test_random_below(2) == 0) {
        return corners[test_random_below(sizeof corners / sizeof corners[0])];
    }
    uint64_t bits = test_random();
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline tarn_slice random_bytes(tarn_arena *arena, bool is_text) {
    static const uint8_t alphabet[] = {0x00, 0x01, 'a', 'a', 'b', 0x7F, 0xFE, 0xFF};
    size_t len = test_random_below(test_random_below(4) == 0 ? 70 : 18);
    uint8_t *bytes = tarn_arena_new_raw(arena, uint8_t, len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = is_text ? (uint8_t)('a' + test_random_below(3))
                           : alphabet[test_random_below(sizeof alphabet)];
    }
    return (tarn_slice){bytes, len};
}

// A value that is not null. Bytes live in `arena`; those of bytea are often unprintable.
static inline tarn_value random_value(tarn_type type, tarn_arena *arena) {
    tarn_value value = {.type = type};
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_NULL: value.is_null = true; break;
    case TARN_TYPE_BOOLEAN: value.boolean = test_random_below(2) == 0; break;
    case TARN_TYPE_SMALLINT: value.i64 = random_int(INT16_MIN, INT16_MAX); break;
    case TARN_TYPE_INTEGER: value.i64 = random_int(INT32_MIN, INT32_MAX); break;
    case TARN_TYPE_DATE: value.i64 = random_int(-700000, 2000000); break;
    case TARN_TYPE_BIGINT:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: value.i64 = random_int(INT64_MIN, INT64_MAX); break;
    case TARN_TYPE_TIME: value.i64 = random_int(0, (int64_t)86400000000 - 1); break;
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
        value.i64 = random_int(-(int64_t)200000000000000000, (int64_t)9000000000000000000);
        break;
    case TARN_TYPE_REAL: value.f64 = (double)(float)random_double(); break;
    case TARN_TYPE_DOUBLE: value.f64 = random_double(); break;
    case TARN_TYPE_NUMERIC: {
        tarn_int128 number = random_int128(tarn_power_of_ten(type.precision) - 1);
        if (tarn_type_physical(type) == TARN_PHYSICAL_I64) {
            value.i64 = (int64_t)number;
        } else {
            value.i128 = number;
        }
        break;
    }
    case TARN_TYPE_TEXT: value.bytes = random_bytes(arena, true); break;
    case TARN_TYPE_BYTEA: value.bytes = random_bytes(arena, false); break;
    case TARN_TYPE_INTERVAL:
        value.interval = (tarn_interval){.months = (int32_t)random_int(-30, 30),
                                         .days = (int32_t)random_int(-90, 90),
                                         .us = random_int(-5000000000, 5000000000)};
        break;
    }
    return value;
}

static inline tarn_value random_value_or_null(tarn_type type, tarn_arena *arena) {
    return test_random_below(4) == 0 ? tarn_value_null(type) : random_value(type, arena);
}

// A flat vector of random values, some of them null when `with_nulls`.
static inline tarn_vector random_flat(tarn_type type, size_t row_count, bool with_nulls,
                                      tarn_arena *arena) {
    tarn_vector vector;
    assert_int_equal(tarn_vector_init_flat(&vector, type, row_count, arena, NULL), TARN_OK);
    // Null rows hold garbage in real life.
    memset(vector.data, 0xCD, row_count * tarn_type_width(type));
    if (with_nulls) {
        assert_int_equal(tarn_vector_make_validity(&vector, row_count, arena, NULL), TARN_OK);
    }
    for (size_t i = 0; i < row_count; i++) {
        tarn_vector_set(&vector, i,
                        with_nulls ? random_value_or_null(type, arena) : random_value(type, arena));
    }
    return vector;
}

// A dictionary vector; the caller drops the one reference to its dictionary.
static inline tarn_vector random_dictionary(tarn_type type, size_t row_count, bool with_nulls,
                                            tarn_arena *arena) {
    uint32_t count = (uint32_t)(1 + test_random_below(2 * row_count + 3));
    void *values;
    tarn_vector vector = {.type = type, .kind = TARN_VECTOR_DICTIONARY};
    assert_int_equal(
        tarn_dictionary_new(&tarn_alloc_libc, type, count, &values, &vector.dictionary, NULL),
        TARN_OK);
    tarn_vector filler = {.type = type, .kind = TARN_VECTOR_FLAT, .data = values};
    for (uint32_t i = 0; i < count; i++) {
        tarn_vector_set(&filler, i, random_value(type, &vector.dictionary->arena));
    }
    uint32_t *indices = tarn_arena_new_raw(arena, uint32_t, row_count);
    assert_non_null(indices);
    if (with_nulls) {
        assert_int_equal(tarn_vector_make_validity(&vector, row_count, arena, NULL), TARN_OK);
    }
    for (size_t i = 0; i < row_count; i++) {
        indices[i] = (uint32_t)test_random_below(count);
        if (with_nulls && test_random_below(4) == 0) {
            tarn_bitmap_unset(vector.validity, i);
            indices[i] = UINT32_MAX; // must not be read
        }
    }
    vector.indices = indices;
    return vector;
}

static inline tarn_vector random_constant(tarn_type type, bool with_nulls, tarn_arena *arena) {
    tarn_vector vector;
    tarn_value value = with_nulls ? random_value_or_null(type, arena) : random_value(type, arena);
    assert_int_equal(tarn_vector_init_constant(&vector, value, arena, NULL), TARN_OK);
    return vector;
}

static inline tarn_vector random_vector(tarn_vector_kind kind, tarn_type type, size_t row_count,
                                        tarn_arena *arena) {
    bool with_nulls = test_random_below(2) == 0;
    switch (kind) {
    case TARN_VECTOR_FLAT: return random_flat(type, row_count, with_nulls, arena);
    case TARN_VECTOR_CONSTANT: return random_constant(type, with_nulls, arena);
    case TARN_VECTOR_DICTIONARY: return random_dictionary(type, row_count, with_nulls, arena);
    }
    return (tarn_vector){0};
}

// Ascending rows below `row_count`, each with even chance.
static inline const uint32_t *random_selection(size_t row_count, size_t *ret_count,
                                               tarn_arena *arena) {
    uint32_t *rows = tarn_arena_new_raw(arena, uint32_t, row_count);
    assert_non_null(rows);
    size_t count = 0;
    for (size_t i = 0; i < row_count; i++) {
        if (test_random_below(2) == 0) rows[count++] = (uint32_t)i;
    }
    *ret_count = count;
    return rows;
}

// Same type, both null or equal, and for intervals the same parts.
static inline void assert_value_equal(tarn_value a, tarn_value b) {
    assert_true(tarn_type_equal(a.type, b.type));
    assert_int_equal(a.is_null, b.is_null);
    if (a.is_null) return;
    assert_int_equal(tarn_value_compare(a, b), 0);
    if (a.type.id == TARN_TYPE_INTERVAL) {
        assert_memory_equal(&a.interval, &b.interval, sizeof a.interval);
    }
}

#endif
