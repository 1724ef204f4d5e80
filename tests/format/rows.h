// rows.h - chunks as text, so that tests can compare what readers of text made of their input.
#ifndef TARN_TESTS_FORMAT_ROWS_H
#define TARN_TESTS_FORMAT_ROWS_H

#include "column/column.h"
#include "tests/format/files.h"

// Appends each row as "value|value\n", a null as "~".
static inline void test_append_rows(const tarn_chunk *chunk, tarn_buffer *out) {
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        for (size_t c = 0; c < chunk->column_count; c++) {
            if (c > 0) assert_true(tarn_buffer_append_byte(out, '|'));
            tarn_value value = tarn_vector_get(&chunk->columns[c], row);
            if (value.is_null) {
                assert_true(tarn_buffer_append_byte(out, '~'));
            } else {
                assert_int_equal(tarn_value_format(value, out, NULL), TARN_OK);
            }
        }
        assert_true(tarn_buffer_append_byte(out, '\n'));
    }
}

static inline void test_assert_text(const tarn_buffer *buffer, const char *expected) {
    if (tarn_slice_equal(tarn_buffer_slice(buffer), tarn_slice_from_cstr(expected))) return;
    print_message("expected:\n%s\ngot:\n%.*s\n", expected, (int)buffer->len,
                  buffer->data == NULL ? "" : (const char *)buffer->data);
    fail();
}

// A value of any storable type, for round trips through text.
static inline tarn_value test_random_value(tarn_type type, tarn_arena *arena) {
    int64_t number = (int64_t)test_random() >> test_random_below(64);
    tarn_value value = {.type = type};
    switch (type.id) {
    case TARN_TYPE_BOOLEAN: value.boolean = number & 1; break;
    case TARN_TYPE_SMALLINT: value.i64 = (int16_t)number; break;
    case TARN_TYPE_INTEGER: value.i64 = (int32_t)number; break;
    case TARN_TYPE_DATE: value.i64 = (int32_t)number % 1000000; break; // years -768 to 4707
    case TARN_TYPE_TIME: value.i64 = (int64_t)test_random_below(86400000000); break;
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ: value.i64 = number % 80000000000000000; break;
    case TARN_TYPE_NUMERIC: {
        tarn_int128 limit = tarn_power_of_ten(type.precision);
        tarn_int128 unscaled = ((tarn_int128)number * (int64_t)(test_random() >> 2)) % limit;
        if (tarn_type_physical(type) == TARN_PHYSICAL_I128) {
            value.i128 = unscaled;
        } else {
            value.i64 = (int64_t)unscaled;
        }
        break;
    }
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE: {
        static const double odd[] = {0.0, -0.0, 1e300, -1e-300, 1.5, 123456.789, 0.1};
        uint64_t bits = test_random();
        memcpy(&value.f64, &bits, sizeof bits);
        if (test_random_below(3) == 0) value.f64 = odd[test_random_below(7)];
        if (test_random_below(3) == 0) value.f64 = (double)(number % 1000000) / 100;
        if (type.id == TARN_TYPE_REAL) {
            value.f64 = value.f64 > 1e30 ? 1 : (double)(float)value.f64;
        }
        break;
    }
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA: {
        static const char *const pieces[] = {"a", "B7", ",",  "\"", "\n",       "\r\n",
                                             "'", "\\", "~ ", "\t", "\303\251", "\360\237\230\200",
                                             "{", "]"};
        size_t count = test_random_below(test_random_below(10) == 0 ? 100 : 6);
        uint8_t *bytes = tarn_arena_alloc(arena, 4, count + 1);
        assert_non_null(bytes);
        size_t len = 0;
        for (size_t i = 0; i < count; i++) {
            const char *piece = pieces[test_random_below(sizeof pieces / sizeof pieces[0])];
            while (*piece != '\0') bytes[len++] = (uint8_t)*piece++;
        }
        value.bytes = (tarn_slice){bytes, len};
        break;
    }
    default: value.i64 = number; break;
    }
    return value;
}

#endif
