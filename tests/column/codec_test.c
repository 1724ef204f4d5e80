// Keys, rows and hashes.
#include "base/hash.h"
#include "tests/column/helpers.h"

#define ROUNDS       300
#define COLUMNS_MOST 5
#define ROWS_MOST    (TARN_CHUNK_ROWS < 300 ? TARN_CHUNK_ROWS : 300)

static int sign(int number) {
    return (number > 0) - (number < 0);
}

static tarn_key_order random_order(void) {
    return (tarn_key_order){.descending = test_random_below(2) == 0,
                            .nulls_last = test_random_below(2) == 0};
}

// A chunk of random columns of every kind, perhaps with a selection.
typedef struct sample_chunk {
    tarn_chunk chunk;
    tarn_arena arena;
} sample_chunk;

static void make_sample(sample_chunk *sample) {
    sample->arena = test_arena();
    size_t row_count = 1 + test_random_below(ROWS_MOST);
    size_t column_count = 1 + test_random_below(COLUMNS_MOST);
    tarn_vector *columns = tarn_arena_new(&sample->arena, tarn_vector, column_count);
    assert_non_null(columns);
    for (size_t i = 0; i < column_count; i++) {
        columns[i] = random_vector((tarn_vector_kind)test_random_below(3), random_type(), row_count,
                                   &sample->arena);
    }
    sample->chunk =
        (tarn_chunk){.row_count = row_count, .column_count = column_count, .columns = columns};
    if (test_random_below(2) == 0) {
        sample->chunk.selection =
            random_selection(row_count, &sample->chunk.selected_count, &sample->arena);
    }
}

static void free_sample(sample_chunk *sample) {
    for (size_t i = 0; i < sample->chunk.column_count; i++) {
        tarn_dictionary_unref(sample->chunk.columns[i].dictionary);
    }
    tarn_arena_reset(&sample->arena);
}

// Memory that ends where the bytes do, so that the sanitizer sees reading on (cmocka's own has room
// behind it).
static uint8_t *copy_exactly(const uint8_t *bytes, size_t len) {
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

// ---- keys ----

// What the order means, said without bytes.
static int compare_ordered(tarn_value a, tarn_value b, tarn_key_order order) {
    if (a.is_null || b.is_null) {
        int nulls_first = (int)b.is_null - (int)a.is_null;
        return order.nulls_last ? -nulls_first : nulls_first;
    }
    int compared = sign(tarn_value_compare(a, b));
    return order.descending ? -compared : compared;
}

TEST(keys_order_as_values_do) {
    for (int round = 0; round < 20000; round++) {
        tarn_arena arena = test_arena();
        tarn_type type = random_type();
        tarn_key_order order = random_order();
        tarn_value a = random_value_or_null(type, &arena);
        tarn_value b = random_value_or_null(type, &arena);
        tarn_buffer key_a = {0};
        tarn_buffer key_b = {0};
        assert_int_equal(tarn_key_encode_value(a, order, &key_a, NULL), TARN_OK);
        assert_int_equal(tarn_key_encode_value(b, order, &key_b, NULL), TARN_OK);
        int compared = tarn_slice_compare(tarn_buffer_slice(&key_a), tarn_buffer_slice(&key_b));
        assert_int_equal(sign(compared), compare_ordered(a, b, order));
        tarn_buffer_free(&key_a);
        tarn_buffer_free(&key_b);
        tarn_arena_reset(&arena);
    }
}

static tarn_slice key_of_row(const uint8_t *keys, const size_t *ends, size_t i) {
    size_t start = i == 0 ? 0 : ends[i - 1];
    return (tarn_slice){keys + start, ends[i] - start};
}

// Over several columns the first difference decides; no column's bytes reach into the next one's.
TEST(keys_of_rows_order_column_by_column) {
    for (int round = 0; round < ROUNDS; round++) {
        sample_chunk sample;
        make_sample(&sample);
        const tarn_chunk *chunk = &sample.chunk;
        tarn_key_order orders[COLUMNS_MOST];
        for (size_t c = 0; c < COLUMNS_MOST; c++) orders[c] = random_order();
        bool has_orders = test_random_below(3) > 0;
        if (!has_orders) memset(orders, 0, sizeof orders);
        size_t *ends = tarn_arena_new(&sample.arena, size_t, TARN_CHUNK_ROWS);
        tarn_buffer keys = {0};
        assert_int_equal(tarn_key_encode_rows(chunk, has_orders ? orders : NULL, &keys, ends, NULL),
                         TARN_OK);
        size_t count = tarn_chunk_count(chunk);
        for (size_t i = 1; i < count; i++) {
            int expected = 0;
            for (size_t c = 0; c < chunk->column_count && expected == 0; c++) {
                expected = compare_ordered(
                    tarn_vector_get(&chunk->columns[c], tarn_chunk_row(chunk, i - 1)),
                    tarn_vector_get(&chunk->columns[c], tarn_chunk_row(chunk, i)), orders[c]);
            }
            int compared = tarn_slice_compare(key_of_row(keys.data, ends, i - 1),
                                              key_of_row(keys.data, ends, i));
            assert_int_equal(sign(compared), expected);
        }
        tarn_buffer_free(&keys);
        free_sample(&sample);
    }
}

TEST(a_key_is_the_same_however_it_is_made) {
    for (int round = 0; round < ROUNDS; round++) {
        sample_chunk sample;
        make_sample(&sample);
        const tarn_chunk *chunk = &sample.chunk;
        tarn_key_order orders[COLUMNS_MOST];
        for (size_t c = 0; c < COLUMNS_MOST; c++) orders[c] = random_order();
        size_t *ends = tarn_arena_new(&sample.arena, size_t, TARN_CHUNK_ROWS);
        tarn_buffer keys = {0};
        assert_int_equal(tarn_key_encode_rows(chunk, orders, &keys, ends, NULL), TARN_OK);
        for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
            size_t row = tarn_chunk_row(chunk, i);
            tarn_buffer one = {0};
            assert_int_equal(
                tarn_key_encode(chunk->columns, chunk->column_count, orders, row, &one, NULL),
                TARN_OK);
            assert_true(tarn_slice_equal(tarn_buffer_slice(&one), key_of_row(keys.data, ends, i)));
            tarn_buffer_clear(&one);
            for (size_t c = 0; c < chunk->column_count; c++) {
                assert_int_equal(tarn_key_encode_value(tarn_vector_get(&chunk->columns[c], row),
                                                       orders[c], &one, NULL),
                                 TARN_OK);
            }
            assert_true(tarn_slice_equal(tarn_buffer_slice(&one), key_of_row(keys.data, ends, i)));
            tarn_buffer_free(&one);
        }
        tarn_buffer_free(&keys);
        free_sample(&sample);
    }
}

TEST(keys_give_their_values_back) {
    for (int round = 0; round < 5000; round++) {
        tarn_arena arena = test_arena();
        tarn_type type = random_type();
        tarn_key_order order = random_order();
        tarn_value before = random_value_or_null(type, &arena);
        tarn_value after;
        tarn_buffer key = {0};
        assert_int_equal(tarn_key_encode_value(before, order, &key, NULL), TARN_OK);
        assert_true(tarn_buffer_append(&key, TARN_LIT("rest")));
        tarn_slice input = tarn_buffer_slice(&key);
        assert_int_equal(tarn_key_decode(&input, type, order, &arena, &after, NULL), TARN_OK);
        assert_true(tarn_type_equal(after.type, type));
        assert_int_equal(tarn_value_compare(before, after), 0);
        assert_true(tarn_slice_equal(input, TARN_LIT("rest")));
        tarn_buffer_free(&key);
        tarn_arena_reset(&arena);
    }
}

// Parts of an interval that cannot be told apart by its length may move, but whatever an interval
// can be long is representable.
TEST(the_longest_intervals_survive_as_keys) {
    static const tarn_interval longest[] = {{INT32_MAX, INT32_MAX, INT64_MAX},
                                            {INT32_MIN, INT32_MIN, INT64_MIN},
                                            {INT32_MAX, INT32_MIN, INT64_MIN},
                                            {-1, 31, -86400000001}};
    for (size_t i = 0; i < sizeof longest / sizeof longest[0]; i++) {
        tarn_value before = {.type = tarn_type_of(TARN_TYPE_INTERVAL), .interval = longest[i]};
        tarn_value after;
        tarn_buffer key = {0};
        tarn_key_order order = {0};
        assert_int_equal(tarn_key_encode_value(before, order, &key, NULL), TARN_OK);
        tarn_slice input = tarn_buffer_slice(&key);
        assert_int_equal(tarn_key_decode(&input, before.type, order, NULL, &after, NULL), TARN_OK);
        assert_int_equal(tarn_value_compare(before, after), 0);
        tarn_buffer_free(&key);
    }
}

TEST(every_truncation_of_a_key_is_refused) {
    for (int round = 0; round < 3000; round++) {
        tarn_arena arena = test_arena();
        tarn_type type = random_type();
        tarn_key_order order = random_order();
        tarn_buffer key = {0};
        assert_int_equal(
            tarn_key_encode_value(random_value_or_null(type, &arena), order, &key, NULL), TARN_OK);
        for (size_t len = 0; len < key.len; len++) {
            uint8_t *cut = copy_exactly(key.data, len);
            tarn_slice input = {cut, len};
            tarn_value value = {.i64 = 4711};
            tarn_error err = {0};
            assert_int_equal(tarn_key_decode(&input, type, order, &arena, &value, &err),
                             TARN_CORRUPT);
            assert_int_equal(input.len, len);
            assert_int_equal(value.i64, 4711);
            assert_true(err.message[0] != '\0');
            free(cut);
        }
        tarn_buffer_free(&key);
        tarn_arena_reset(&arena);
    }
}

// Any bytes are answered, and what is accepted is what the encoder writes.
TEST(random_keys_are_answered) {
    for (int round = 0; round < 20000; round++) {
        tarn_arena arena = test_arena();
        tarn_type type = random_type();
        tarn_key_order order = random_order();
        tarn_buffer key = {0};
        assert_int_equal(
            tarn_key_encode_value(random_value_or_null(type, &arena), order, &key, NULL), TARN_OK);
        for (size_t i = test_random_below(3); i > 0; i--) {
            key.data[test_random_below(key.len)] = (uint8_t)test_random();
        }
        tarn_slice input = tarn_buffer_slice(&key);
        tarn_value value;
        if (tarn_key_decode(&input, type, order, &arena, &value, NULL) == TARN_OK) {
            tarn_buffer again = {0};
            assert_int_equal(tarn_key_encode_value(value, order, &again, NULL), TARN_OK);
            assert_int_equal(again.len, key.len - input.len);
            assert_memory_equal(again.data, key.data, again.len);
            tarn_buffer_free(&again);
        }
        tarn_buffer_free(&key);
        tarn_arena_reset(&arena);
    }
}

static void assert_key(tarn_value value, tarn_key_order order, const char *hex) {
    tarn_buffer key = {0};
    char text[128];
    assert_int_equal(tarn_key_encode_value(value, order, &key, NULL), TARN_OK);
    for (size_t i = 0; i < key.len; i++) {
        (void)snprintf(text + 3 * i, 4, i + 1 < key.len ? "%02x " : "%02x", key.data[i]);
    }
    assert_string_equal(text, hex);
    tarn_buffer_free(&key);
}

static tarn_value integer_of(tarn_type type, int64_t number) {
    return (tarn_value){.type = type, .i64 = number};
}

static tarn_value double_of(double number) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_DOUBLE), .f64 = number};
}

static tarn_value text_of(tarn_slice bytes) {
    return (tarn_value){.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = bytes};
}

// The examples of docs/formats/key.md. The bytes are a promise: keys are stored.
TEST(key_bytes_are_frozen) {
    tarn_key_order ascending = {0};
    tarn_key_order descending = {.descending = true, .nulls_last = true};
    tarn_type integer = tarn_type_of(TARN_TYPE_INTEGER);
    assert_key(tarn_value_null(integer), ascending, "00");
    assert_key(tarn_value_null(integer), descending, "02");
    assert_key(integer_of(integer, 1), ascending, "01 80 00 00 01");
    assert_key(integer_of(integer, -1), ascending, "01 7f ff ff ff");
    assert_key(integer_of(integer, 1), descending, "01 7f ff ff fe");
    assert_key(integer_of(tarn_type_of(TARN_TYPE_SMALLINT), 258), ascending, "01 81 02");
    assert_key(integer_of(tarn_type_numeric(10, 2), 12345), ascending,
               "01 80 00 00 00 00 00 30 39");
    assert_key((tarn_value){.type = tarn_type_numeric(20, 0), .i128 = -2}, ascending,
               "01 7f ff ff ff ff ff ff ff ff ff ff ff ff ff ff fe");
    assert_key((tarn_value){.type = tarn_type_of(TARN_TYPE_BOOLEAN), .boolean = true}, ascending,
               "01 01");
    assert_key(double_of(1.0), ascending, "01 bf f0 00 00 00 00 00 00");
    assert_key(double_of(-1.0), ascending, "01 40 0f ff ff ff ff ff ff");
    assert_key(double_of(-0.0), ascending, "01 80 00 00 00 00 00 00 00");
    assert_key(double_of((double)NAN), ascending, "01 ff f8 00 00 00 00 00 00");
    assert_key((tarn_value){.type = tarn_type_of(TARN_TYPE_REAL), .f64 = 1.0}, ascending,
               "01 bf 80 00 00");
    assert_key(text_of(TARN_LIT("ab")), ascending, "01 61 62 00 00");
    assert_key(text_of(TARN_LIT("a\0b")), ascending, "01 61 00 ff 62 00 00");
    assert_key(text_of(TARN_LIT("ab")), descending, "01 9e 9d ff ff");
    assert_key((tarn_value){.type = tarn_type_of(TARN_TYPE_INTERVAL), .interval = {0, 1, 0}},
               ascending, "01 80 00 00 00 00 00 00 00 00 00 00 14 1d d7 60 00");
}

TEST(exhausted_memory_leaves_the_key_as_it_was) {
    tarn_buffer key = {.limit_bytes = 8};
    assert_true(tarn_buffer_append(&key, TARN_LIT("abc")));
    tarn_vector columns[2];
    tarn_arena arena = test_arena();
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tarn_vector_init_constant(&columns[i],
                                                   integer_of(tarn_type_of(TARN_TYPE_SMALLINT), 1),
                                                   &arena, NULL),
                         TARN_OK);
    }
    assert_int_equal(tarn_key_encode(columns, 2, NULL, 0, &key, NULL), TARN_NO_MEMORY);
    assert_int_equal(key.len, 3);
    tarn_chunk chunk = {.row_count = 1, .column_count = 2, .columns = columns};
    size_t end;
    assert_int_equal(tarn_key_encode_rows(&chunk, NULL, &key, &end, NULL), TARN_NO_MEMORY);
    assert_int_equal(key.len, 3);
    tarn_buffer_free(&key);
    tarn_arena_reset(&arena);
}

// ---- rows ----

// Flat columns with bitmaps, for decoding into.
static tarn_vector *new_targets(const tarn_chunk *chunk, tarn_arena *arena) {
    tarn_vector *targets = tarn_arena_new(arena, tarn_vector, chunk->column_count);
    assert_non_null(targets);
    for (size_t c = 0; c < chunk->column_count; c++) {
        targets[c] = random_flat(chunk->columns[c].type, chunk->row_count, true, arena);
    }
    return targets;
}

// Floats keep their bits, so a zero keeps its sign.
static void assert_same_value(tarn_value a, tarn_value b) {
    assert_value_equal(a, b);
    bool is_float = a.type.id == TARN_TYPE_REAL || a.type.id == TARN_TYPE_DOUBLE;
    if (is_float && !a.is_null) assert_int_equal(signbit(a.f64) != 0, signbit(b.f64) != 0);
}

TEST(rows_come_back_as_they_were) {
    for (int round = 0; round < ROUNDS; round++) {
        sample_chunk sample;
        make_sample(&sample);
        const tarn_chunk *chunk = &sample.chunk;
        tarn_buffer bytes = {0};
        for (size_t row = 0; row < chunk->row_count; row++) {
            assert_int_equal(
                tarn_row_encode(chunk->columns, chunk->column_count, row, &bytes, NULL), TARN_OK);
        }
        tarn_vector *targets = new_targets(chunk, &sample.arena);
        tarn_slice input = tarn_buffer_slice(&bytes);
        for (size_t row = 0; row < chunk->row_count; row++) {
            assert_int_equal(tarn_row_decode(&input, targets, chunk->column_count, row, NULL),
                             TARN_OK);
            for (size_t c = 0; c < chunk->column_count; c++) {
                assert_same_value(tarn_vector_get(&targets[c], row),
                                  tarn_vector_get(&chunk->columns[c], row));
            }
        }
        assert_int_equal(input.len, 0);
        tarn_buffer_free(&bytes);
        free_sample(&sample);
    }
}

TEST(every_truncation_of_a_row_is_refused) {
    for (int round = 0; round < ROUNDS; round++) {
        sample_chunk sample;
        make_sample(&sample);
        const tarn_chunk *chunk = &sample.chunk;
        tarn_buffer bytes = {0};
        assert_int_equal(tarn_row_encode(chunk->columns, chunk->column_count, 0, &bytes, NULL),
                         TARN_OK);
        tarn_vector *targets = new_targets(chunk, &sample.arena);
        for (size_t len = 0; len < bytes.len; len++) {
            uint8_t *cut = copy_exactly(bytes.data, len);
            tarn_slice input = {cut, len};
            tarn_error err = {0};
            assert_int_equal(tarn_row_decode(&input, targets, chunk->column_count, 0, &err),
                             TARN_CORRUPT);
            assert_int_equal(input.len, len);
            assert_true(err.message[0] != '\0');
            free(cut);
        }
        tarn_buffer_free(&bytes);
        free_sample(&sample);
    }
}

TEST(random_rows_are_answered) {
    for (int round = 0; round < 20 * ROUNDS; round++) {
        sample_chunk sample;
        make_sample(&sample);
        const tarn_chunk *chunk = &sample.chunk;
        tarn_buffer bytes = {0};
        assert_int_equal(tarn_row_encode(chunk->columns, chunk->column_count, 0, &bytes, NULL),
                         TARN_OK);
        for (size_t i = 1 + test_random_below(3); i > 0; i--) {
            bytes.data[test_random_below(bytes.len)] = (uint8_t)test_random();
        }
        tarn_vector *targets = new_targets(chunk, &sample.arena);
        tarn_slice input = tarn_buffer_slice(&bytes);
        if (tarn_row_decode(&input, targets, chunk->column_count, 0, NULL) == TARN_OK) {
            tarn_buffer again = {0}; // what was accepted can be written
            assert_int_equal(tarn_row_encode(targets, chunk->column_count, 0, &again, NULL),
                             TARN_OK);
            tarn_buffer_free(&again);
        }
        tarn_buffer_free(&bytes);
        free_sample(&sample);
    }
}

// The example of docs/formats/row.md. The bytes are a promise: rows are stored.
TEST(row_bytes_are_frozen) {
    static const uint8_t golden[] = {
        0x10, 0x01,                                                 // smallint is null
        0x01,                                                       // true
        0x02, 0x01, 0x00, 0x00,                                     // integer 258
        0x03, 'a',  'b',  'c',                                      // 'abc'
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x3f,             // 1.0
        0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,             // numeric(20,0) -2
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,             //
        0x01, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,             // 1 mon 2 days 3 us
        0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, // ... and '\x00ff'
        0xff};
    tarn_arena arena = test_arena();
    const tarn_value values[] = {
        {.type = tarn_type_of(TARN_TYPE_BOOLEAN), .boolean = true},
        integer_of(tarn_type_of(TARN_TYPE_INTEGER), 258),
        text_of(TARN_LIT("abc")),
        double_of(1.0),
        tarn_value_null(tarn_type_of(TARN_TYPE_SMALLINT)),
        {.type = tarn_type_numeric(20, 0), .i128 = -2},
        {.type = tarn_type_of(TARN_TYPE_INTERVAL), .interval = {1, 2, 3}},
        {.type = tarn_type_of(TARN_TYPE_BYTEA), .bytes = TARN_LIT("\x00\xff")},
        tarn_value_null(tarn_type_of(TARN_TYPE_TEXT))};
    tarn_vector columns[9];
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(tarn_vector_init_constant(&columns[i], values[i], &arena, NULL), TARN_OK);
    }
    tarn_buffer bytes = {0};
    assert_int_equal(tarn_row_encode(columns, 9, 0, &bytes, NULL), TARN_OK);
    assert_int_equal(bytes.len, sizeof golden);
    assert_memory_equal(bytes.data, golden, sizeof golden);
    tarn_buffer_free(&bytes);
    tarn_arena_reset(&arena);
}

TEST(rows_with_stray_bits_are_refused) {
    tarn_arena arena = test_arena();
    tarn_vector column = random_flat(tarn_type_of(TARN_TYPE_BOOLEAN), 1, true, &arena);
    tarn_error err = {0};
    tarn_slice spare_bit = TARN_LIT("\x02\x01");
    assert_int_equal(tarn_row_decode(&spare_bit, &column, 1, 0, &err), TARN_CORRUPT);
    assert_string_equal(err.message, "the row has more than 1 columns");
    tarn_slice no_boolean = TARN_LIT("\x00\x02");
    assert_int_equal(tarn_row_decode(&no_boolean, &column, 1, 0, &err), TARN_CORRUPT);
    assert_string_equal(err.message, "column 0 of the row is no boolean: 2");
    tarn_arena_reset(&arena);
}

// ---- hashes ----

// Hashing row by row a flat copy of the columns is the model.
TEST(hashes_do_not_depend_on_the_kind_of_vector) {
    for (int round = 0; round < ROUNDS; round++) {
        sample_chunk sample;
        make_sample(&sample);
        const tarn_chunk *chunk = &sample.chunk;
        size_t count = tarn_chunk_count(chunk);
        uint64_t hashes[TARN_CHUNK_ROWS];
        tarn_hash_rows(chunk->columns, chunk->column_count, chunk, hashes);

        tarn_vector flat[COLUMNS_MOST];
        for (size_t c = 0; c < chunk->column_count; c++) {
            assert_int_equal(tarn_vector_flatten(&chunk->columns[c], NULL, chunk->row_count,
                                                 &sample.arena, &flat[c], NULL),
                             TARN_OK);
        }
        for (size_t i = 0; i < count; i++) {
            uint32_t row = (uint32_t)tarn_chunk_row(chunk, i);
            tarn_chunk one = {
                .row_count = chunk->row_count, .selection = &row, .selected_count = 1};
            uint64_t hash;
            tarn_hash_rows(flat, chunk->column_count, &one, &hash);
            assert_true(hash == hashes[i]);
        }
        free_sample(&sample);
    }
}

static uint64_t hash_value(tarn_value value) {
    tarn_arena arena = test_arena();
    tarn_vector constant;
    assert_int_equal(tarn_vector_init_constant(&constant, value, &arena, NULL), TARN_OK);
    tarn_chunk one = {.row_count = 1};
    uint64_t hash;
    tarn_hash_rows(&constant, 1, &one, &hash);
    tarn_arena_reset(&arena);
    return hash;
}

TEST(equal_values_hash_alike_and_others_do_not) {
    for (int round = 0; round < 5000; round++) {
        tarn_arena arena = test_arena();
        tarn_type type = random_type();
        tarn_value a = random_value_or_null(type, &arena);
        tarn_value b = random_value_or_null(type, &arena);
        assert_int_equal(hash_value(a) == hash_value(b), tarn_value_compare(a, b) == 0);
        tarn_arena_reset(&arena);
    }
    assert_true(hash_value(double_of(-0.0)) == hash_value(double_of(0.0)));
    assert_true(hash_value(double_of((double)NAN)) == hash_value(double_of(-(double)NAN)));
}

TEST(every_byte_of_a_string_matters_to_its_hash) {
    for (size_t len = 1; len <= 20; len++) { // inside the view, and elsewhere
        uint8_t bytes[20] = {0};
        uint64_t hash = hash_value(text_of((tarn_slice){bytes, len}));
        assert_true(hash != hash_value(text_of((tarn_slice){bytes, len - 1})));
        for (size_t i = 0; i < len; i++) {
            bytes[i] = 1;
            assert_true(hash != hash_value(text_of((tarn_slice){bytes, len})));
            bytes[i] = 0;
        }
    }
}

TEST(the_order_of_columns_matters_to_a_hash) {
    tarn_arena arena = test_arena();
    tarn_type type = tarn_type_of(TARN_TYPE_INTEGER);
    tarn_vector columns[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            tarn_vector_init_constant(&columns[i], integer_of(type, (int64_t)i % 2), &arena, NULL),
            TARN_OK);
    }
    tarn_chunk one = {.row_count = 1};
    uint64_t forward;
    uint64_t backward;
    tarn_hash_rows(columns, 2, &one, &forward);
    tarn_hash_rows(columns + 1, 2, &one, &backward);
    assert_true(forward != backward);
    tarn_hash_rows(NULL, 0, &one, &forward); // no columns: all rows are alike
    tarn_hash_rows(NULL, 0, &one, &backward);
    assert_true(forward == backward);
    tarn_arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_order_as_values_do),
        cmocka_unit_test(keys_of_rows_order_column_by_column),
        cmocka_unit_test(a_key_is_the_same_however_it_is_made),
        cmocka_unit_test(keys_give_their_values_back),
        cmocka_unit_test(the_longest_intervals_survive_as_keys),
        cmocka_unit_test(every_truncation_of_a_key_is_refused),
        cmocka_unit_test(random_keys_are_answered),
        cmocka_unit_test(key_bytes_are_frozen),
        cmocka_unit_test(exhausted_memory_leaves_the_key_as_it_was),
        cmocka_unit_test(rows_come_back_as_they_were),
        cmocka_unit_test(every_truncation_of_a_row_is_refused),
        cmocka_unit_test(random_rows_are_answered),
        cmocka_unit_test(row_bytes_are_frozen),
        cmocka_unit_test(rows_with_stray_bits_are_refused),
        cmocka_unit_test(hashes_do_not_depend_on_the_kind_of_vector),
        cmocka_unit_test(equal_values_hash_alike_and_others_do_not),
        cmocka_unit_test(every_byte_of_a_string_matters_to_its_hash),
        cmocka_unit_test(the_order_of_columns_matters_to_a_hash),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
