// Files that are wrong: each is answered, by name and place, whatever its bytes.

#include "base/varint.h"
#include "format/avro/avro.h"
#include "tests/format/files.h"

#define LIMIT_BYTES ((size_t)1 << 20)
#define ARENA_BYTES ((size_t)128 << 20)

static tarn_status read_limited(tarn_slice bytes, size_t limit_bytes, size_t *ret_count,
                                tarn_error *err) {
    // An exact copy on the heap, so that the sanitizer sees a read beyond it.
    uint8_t *copy = test_malloc(bytes.len + 1);
    if (bytes.len > 0) memcpy(copy, bytes.data, bytes.len);
    tarn_object *object = test_object("m-1", (tarn_slice){copy, bytes.len});
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, ARENA_BYTES);
    tarn_avro_file file = {0};
    tarn_error own = {0};
    tarn_status status =
        tarn_avro_read(object, limit_bytes, &arena, &file, err == NULL ? &own : err);
    if (ret_count != NULL) *ret_count = file.datum_count;
    if (status != TARN_OK) assert_null(file.data);
    tarn_arena_reset(&arena);
    tarn_object_close(object);
    test_free(copy);
    return status;
}

static void check_answered(tarn_slice bytes) {
    tarn_error err = {0};
    tarn_status status = read_limited(bytes, LIMIT_BYTES, NULL, &err);
    if (status == TARN_OK) return;
    assert_true(status == TARN_CORRUPT || status == TARN_UNSUPPORTED || status == TARN_NO_MEMORY);
    assert_non_null(strstr(err.message, "avro file 'm-1': "));
    if (status == TARN_CORRUPT) assert_non_null(strstr(err.message, "byte "));
}

static const char *const golden_paths[] = {
    "tests/golden/avro/union-on-top.avro",
    "tests/golden/avro/everything-deflate.avro",
    "tests/golden/avro/everything-zstandard.avro",
    "tests/golden/avro/everything-null.avro",
};

TEST(every_truncation_is_seen) {
    for (size_t p = 0; p < 2; p++) {
        tarn_buffer bytes = {0};
        assert_true(test_load_file(golden_paths[p], &bytes));
        size_t accepted = 0;
        for (size_t len = 0; len < bytes.len; len++) {
            tarn_slice head = tarn_slice_head(tarn_buffer_slice(&bytes), len);
            check_answered(head);
            accepted += read_limited(head, LIMIT_BYTES, NULL, NULL) == TARN_OK;
        }
        // Only a cut between two blocks looks whole.
        assert_in_range(accepted, 1, 10);
        tarn_buffer_free(&bytes);
    }
}

TEST(every_flipped_bit_is_answered) {
    for (size_t p = 0; p < sizeof golden_paths / sizeof golden_paths[0]; p++) {
        tarn_buffer bytes = {0};
        assert_true(test_load_file(golden_paths[p], &bytes));
        size_t step = p == 0 ? 1 : 7; // of the larger files one bit per byte, each time another
        for (size_t bit = test_random_below(step); bit < bytes.len * 8; bit += step) {
            bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_answered(tarn_buffer_slice(&bytes));
            bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        tarn_buffer_free(&bytes);
    }
}

// ---- hand-made containers ----

static void put_long(tarn_buffer *out, int64_t value) {
    assert_true(tarn_buffer_reserve(out, TARN_VARINT_MAX_BYTES));
    out->len += tarn_varint_encode(out->data + out->len, tarn_zigzag_encode(value));
}

static void put_bytes(tarn_buffer *out, tarn_slice bytes) {
    put_long(out, (int64_t)bytes.len);
    assert_true(tarn_buffer_append(out, bytes));
}

#define SYNC_MARKER TARN_LIT("0123456789abcdef")

static void put_header(tarn_buffer *out, const char *schema, const char *codec) {
    assert_true(tarn_buffer_append(out, TARN_LIT("Obj\1")));
    // Two blocks, one with its size in bytes in front: both forms are legal.
    tarn_buffer entry = {0};
    put_bytes(&entry, TARN_LIT("avro.schema"));
    put_bytes(&entry, tarn_slice_from_cstr(schema));
    put_long(out, -1);
    put_long(out, (int64_t)entry.len);
    assert_true(tarn_buffer_append(out, tarn_buffer_slice(&entry)));
    tarn_buffer_free(&entry);
    if (codec != NULL) {
        put_long(out, 1);
        put_bytes(out, TARN_LIT("avro.codec"));
        put_bytes(out, tarn_slice_from_cstr(codec));
    }
    put_long(out, 0);
    assert_true(tarn_buffer_append(out, SYNC_MARKER));
}

static void put_block(tarn_buffer *out, int64_t count, tarn_slice body) {
    put_long(out, count);
    put_bytes(out, body);
    assert_true(tarn_buffer_append(out, SYNC_MARKER));
}

static void assert_refused(const char *schema, const char *codec, int64_t count, tarn_slice body,
                           tarn_status expected, const char *message) {
    tarn_buffer file = {0};
    put_header(&file, schema, codec);
    put_block(&file, count, body);
    tarn_error err = {0};
    assert_int_equal(read_limited(tarn_buffer_slice(&file), LIMIT_BYTES, NULL, &err), expected);
    assert_string_equal(err.message, message);
    tarn_buffer_free(&file);
}

#define BYTES(...) \
    ((tarn_slice){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

// The header with '"int"' and without a codec is 41 bytes, so a block's body starts at byte 43.
TEST(wrong_values_are_refused_at_their_place) {
    assert_refused("\"int\"", NULL, 1, BYTES(0x80), TARN_CORRUPT,
                   "avro file 'm-1': byte 43: not a variable-length integer");
    assert_refused("\"int\"", NULL, 1, BYTES(0x80, 0x80, 0x80, 0x80, 0x10), TARN_CORRUPT,
                   "avro file 'm-1': byte 43: 2147483648 does not fit an int");
    assert_refused("\"int\"", NULL, 1, BYTES(2, 4), TARN_CORRUPT,
                   "avro file 'm-1': byte 44: 1 bytes are left behind the block's 1 records");
    assert_refused("\"int\"", NULL, 3, BYTES(2, 4), TARN_CORRUPT,
                   "avro file 'm-1': byte 43: 3 records in 2 bytes");
    assert_refused("\"int\"", NULL, -1, BYTES(2), TARN_CORRUPT,
                   "avro file 'm-1': byte 41: block of -1 records and 1 bytes");
    assert_refused("\"boolean\"", NULL, 1, BYTES(2), TARN_CORRUPT,
                   "avro file 'm-1': byte 47: boolean is 2");
    assert_refused("\"bytes\"", NULL, 1, BYTES(4, 1), TARN_CORRUPT,
                   "avro file 'm-1': byte 46: 2 bytes are expected, 1 are left");
    assert_refused("\"bytes\"", NULL, 1, BYTES(1), TARN_CORRUPT,
                   "avro file 'm-1': byte 45: length is -1");
    assert_refused("\"double\"", NULL, 1, BYTES(1, 2, 3, 4, 5, 6, 7), TARN_CORRUPT,
                   "avro file 'm-1': byte 46: 1 records in 7 bytes");
    assert_refused("[\"null\",\"int\"]", NULL, 1, BYTES(4), TARN_CORRUPT,
                   "avro file 'm-1': byte 52: the union has no branch 2");
    assert_refused("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}", NULL, 1, BYTES(2),
                   TARN_CORRUPT, "avro file 'm-1': byte 80: the enum has no symbol 1");
}

TEST(wrong_containers_are_refused) {
    tarn_error err = {0};
    assert_int_equal(read_limited(TARN_LIT("PAR1...."), LIMIT_BYTES, NULL, &err), TARN_CORRUPT);
    assert_string_equal(err.message,
                        "avro file 'm-1': byte 0: not an Avro file: its magic is missing");
    assert_int_equal(read_limited(TARN_LIT("Obj\1\0 0123456789abcdef"), LIMIT_BYTES, NULL, &err),
                     TARN_CORRUPT);
    assert_string_equal(err.message, "avro file 'm-1': byte 21: the header has no schema");
    assert_refused("\"int\"", "snappy", 1, BYTES(2), TARN_UNSUPPORTED,
                   "avro file 'm-1': codec 'snappy' is not supported");
    assert_refused("\"date\"", NULL, 1, BYTES(2), TARN_CORRUPT,
                   "avro file 'm-1': byte 19: avro schema: type 'date' is not defined");

    tarn_buffer file = {0};
    put_header(&file, "\"int\"", NULL);
    put_block(&file, 1, BYTES(2));
    file.data[file.len - 1] ^= 1;
    assert_int_equal(read_limited(tarn_buffer_slice(&file), LIMIT_BYTES, NULL, &err), TARN_CORRUPT);
    assert_string_equal(err.message,
                        "avro file 'm-1': byte 44: the sync marker is not the header's");
    assert_int_equal(read_limited(tarn_buffer_slice(&file), 59, NULL, &err), TARN_NO_MEMORY);
    assert_string_equal(err.message, "avro file 'm-1': its 60 bytes are above the limit of 59");
    tarn_buffer_free(&file);
}

// Damage behind a codec is found at the block, and at the byte of what it decodes to.
TEST(damage_in_a_compressed_block_names_the_block) {
    tarn_buffer packed = {0};
    assert_int_equal(tarn_compress(TARN_CODEC_ZSTD, 0, BYTES(2, 0x80), &packed, NULL), TARN_OK);
    assert_refused("\"int\"", "zstandard", 2, tarn_buffer_slice(&packed), TARN_CORRUPT,
                   "avro file 'm-1': block at byte 63: decoded byte 1: not a variable-length "
                   "integer");
    tarn_buffer_free(&packed);
}

TEST(arrays_and_maps_may_come_in_blocks_with_sizes) {
    tarn_buffer file = {0};
    put_header(&file, "{\"type\":\"array\",\"items\":\"int\"}", "null");
    // 2 items with their size, 1 item, the end; then an empty array
    put_block(&file, 2, BYTES(3, 4, 2, 4, 2, 6, 0, 0));
    tarn_object *object = test_object("m-1", tarn_buffer_slice(&file));
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, ARENA_BYTES);
    tarn_avro_file read;
    assert_int_equal(tarn_avro_read(object, LIMIT_BYTES, &arena, &read, NULL), TARN_OK);
    assert_int_equal(read.datum_count, 2);
    assert_int_equal(read.data[0].count, 3);
    for (size_t i = 0; i < 3; i++) assert_int_equal(read.data[0].items[i].i64, i + 1);
    assert_int_equal(read.data[1].count, 0);
    tarn_arena_reset(&arena);
    tarn_object_close(object);
    tarn_buffer_free(&file);

    assert_refused("{\"type\":\"array\",\"items\":\"int\"}", NULL, 1, BYTES(3, 40, 2, 4, 0),
                   TARN_CORRUPT, "avro file 'm-1': byte 68: block of -2 items and 20 bytes");
    assert_refused("{\"type\":\"array\",\"items\":\"int\"}", NULL, 1, BYTES(8, 2, 4, 0),
                   TARN_CORRUPT, "avro file 'm-1': byte 68: block of 4 items in 3 bytes");
}

// ---- few bytes that claim to be many values ----

TEST(items_without_bytes_cannot_fill_the_memory) {
    static const char schema[] = "{\"type\":\"array\",\"items\":\"null\"}";
    tarn_buffer body = {0};
    put_long(&body, (int64_t)1 << 40);
    put_long(&body, 0);
    assert_refused(schema, NULL, 1, tarn_buffer_slice(&body), TARN_CORRUPT,
                   "avro file 'm-1': byte 69: block of 1099511627776 items in 1 bytes");
    tarn_buffer_clear(&body);
    for (int i = 0; i < 3; i++) put_long(&body, 500000);
    put_long(&body, 0);
    assert_refused(schema, NULL, 1, tarn_buffer_slice(&body), TARN_CORRUPT,
                   "avro file 'm-1': byte 75: block of 500000 items in 1 bytes");
    tarn_buffer_free(&body);
    assert_refused("\"null\"", NULL, (int64_t)1 << 50, (tarn_slice){0}, TARN_CORRUPT,
                   "avro file 'm-1': byte 51: 1125899906842624 records in 0 bytes");
}

// r0 { r1, r1 }, r1 { r2, r2 }, ...: 2^40 records without a byte.
TEST(records_that_double_at_every_level_are_stopped) {
    tarn_buffer schema = {0};
    for (int i = 0; i < 40; i++) {
        assert_true(tarn_buffer_printf(
            &schema,
            "{\"type\":\"record\",\"name\":\"r%d\",\"fields\":[{\"name\":\"a\",\"type\":", i));
    }
    assert_true(tarn_buffer_append(&schema, TARN_LIT("\"null\"")));
    for (int i = 39; i >= 0; i--) {
        char again[16];
        (void)snprintf(again, sizeof again, "r%d", i + 1);
        assert_true(tarn_buffer_printf(&schema, "},{\"name\":\"b\",\"type\":\"%s\"}]}",
                                       i == 39 ? "null" : again));
    }
    assert_true(tarn_buffer_append_byte(&schema, '\0'));
    tarn_buffer file = {0};
    put_header(&file, (const char *)schema.data, NULL);
    put_block(&file, 1, (tarn_slice){0});
    tarn_error err = {0};
    assert_int_equal(read_limited(tarn_buffer_slice(&file), LIMIT_BYTES, NULL, &err), TARN_CORRUPT);
    assert_non_null(strstr(err.message, "more values than the size limit allows"));
    tarn_buffer_free(&file);
    tarn_buffer_free(&schema);
}

TEST(values_that_nest_without_end_are_refused) {
    static const char list[] = "{\"type\":\"record\",\"name\":\"list\",\"fields\":[{\"name\":\"n\","
                               "\"type\":[\"null\",\"list\"]}]}";
    tarn_buffer body = {0};
    for (int i = 0; i < 1000; i++) put_long(&body, 1);
    put_long(&body, 0);
    tarn_error err = {0};
    tarn_buffer file = {0};
    put_header(&file, list, NULL);
    put_block(&file, 1, tarn_buffer_slice(&body));
    assert_int_equal(read_limited(tarn_buffer_slice(&file), LIMIT_BYTES, NULL, &err), TARN_CORRUPT);
    assert_non_null(strstr(err.message, "values nest more than 64 levels deep"));
    tarn_buffer_free(&file);
    tarn_buffer_free(&body);

    // A record that holds itself has no end at all.
    assert_refused("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"r\",\"type\":"
                   "\"r\"}]}",
                   NULL, 1, (tarn_slice){0}, TARN_CORRUPT,
                   "avro file 'm-1': byte 102: values nest more than 64 levels deep");
}

TEST(a_block_that_unpacks_beyond_the_limit_is_refused) {
    tarn_buffer zeroes = {0};
    assert_true(tarn_buffer_reserve(&zeroes, 2 * LIMIT_BYTES));
    memset(zeroes.data, 0, 2 * LIMIT_BYTES);
    zeroes.len = 2 * LIMIT_BYTES;
    for (int i = 0; i < 2; i++) {
        tarn_codec codec = i == 0 ? TARN_CODEC_ZSTD : TARN_CODEC_DEFLATE;
        tarn_buffer packed = {0};
        assert_int_equal(tarn_compress(codec, 0, tarn_buffer_slice(&zeroes), &packed, NULL),
                         TARN_OK);
        tarn_buffer file = {0};
        put_header(&file, "\"int\"", i == 0 ? "zstandard" : "deflate");
        put_block(&file, (int64_t)zeroes.len, tarn_buffer_slice(&packed));
        tarn_error err = {0};
        tarn_status status = read_limited(tarn_buffer_slice(&file), LIMIT_BYTES, NULL, &err);
        assert_true(status == TARN_NO_MEMORY || status == TARN_CORRUPT);
        assert_non_null(strstr(err.message, "avro file 'm-1': block at byte "));
        tarn_buffer_free(&file);
        tarn_buffer_free(&packed);
    }
    tarn_buffer_free(&zeroes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_is_seen),
        cmocka_unit_test(every_flipped_bit_is_answered),
        cmocka_unit_test(wrong_values_are_refused_at_their_place),
        cmocka_unit_test(wrong_containers_are_refused),
        cmocka_unit_test(damage_in_a_compressed_block_names_the_block),
        cmocka_unit_test(arrays_and_maps_may_come_in_blocks_with_sizes),
        cmocka_unit_test(items_without_bytes_cannot_fill_the_memory),
        cmocka_unit_test(records_that_double_at_every_level_are_stopped),
        cmocka_unit_test(values_that_nest_without_end_are_refused),
        cmocka_unit_test(a_block_that_unpacks_beyond_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
