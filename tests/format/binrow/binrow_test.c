#include "format/binrow/binrow.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "tests/test.h"

// ---- values and hex ----

static tarn_type type_of(tarn_type_id id) {
    return (tarn_type){.id = (uint8_t)id};
}

static tarn_type decimal(uint8_t precision, uint8_t scale) {
    return (tarn_type){.id = TARN_TYPE_NUMERIC, .precision = precision, .scale = scale};
}

static tarn_type timestamp(tarn_type_id id, uint8_t precision) {
    return (tarn_type){.id = (uint8_t)id, .precision = precision};
}

static tarn_value integer(tarn_type type, int64_t i64) {
    return (tarn_value){.type = type, .i64 = i64};
}

static tarn_value wide(tarn_type type, tarn_int128 i128) {
    return (tarn_value){.type = type, .i128 = i128};
}

static tarn_value text(const char *chars) {
    return (tarn_value){.type = {.id = TARN_TYPE_TEXT}, .bytes = tarn_slice_from_cstr(chars)};
}

static tarn_value null_of(tarn_type type) {
    return (tarn_value){.type = type, .is_null = true};
}

static size_t parse_hex(const char *hex, uint8_t *out) {
    size_t digits = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ') continue;
        uint8_t digit = (uint8_t)(isdigit((unsigned char)*hex) ? *hex - '0' : *hex - 'a' + 10);
        out[digits / 2] = (uint8_t)(digits % 2 == 0 ? digit << 4 : out[digits / 2] | digit);
        digits++;
    }
    return digits / 2;
}

static void assert_bytes(tarn_slice actual, const char *hex) {
    uint8_t expected[1024];
    size_t len = parse_hex(hex, expected);
    assert_int_equal(actual.len, len);
    assert_memory_equal(actual.data, expected, len);
}

// ---- golden bytes ----

typedef struct golden_row {
    const char *hex;
    int32_t hash;
    int32_t bucket_count;
    int32_t bucket;
    tarn_value values[2];
    size_t count;
} golden_row;

// Paimon's own bytes, hashes and buckets: docs/formats/binrow.md, "worked rows".
TEST(rows_hashes_and_buckets_are_paimons) {
    const tarn_type i32 = type_of(TARN_TYPE_INTEGER);
    const tarn_type ts6 = timestamp(TARN_TYPE_TIMESTAMP, 6);
    const tarn_int128 big = (tarn_int128)12345678901234567LL * 1000000 + 890123;
    const golden_row rows[] = {
        {"0000000000000000 0000000000000000", -300363099, 2, 1, {integer(i32, 0)}, 1},
        {"0000000000000000 0000000000000000", -300363099, 5, 4, {integer(i32, 0)}, 1},
        {"0000000000000000 0100000000000000", 1465514398, 2, 0, {integer(i32, 1)}, 1},
        {"0000000000000000 0100000000000000", 1465514398, 5, 3, {integer(i32, 1)}, 1},
        {"0000000000000000 0200000000000000", 1340390384, 2, 0, {integer(i32, 2)}, 1},
        {"0000000000000000 0200000000000000", 1340390384, 5, 4, {integer(i32, 2)}, 1},
        {"0000000000000000 6400000000000000", 694654213, 2, 1, {integer(i32, 100)}, 1},
        {"0000000000000000 6400000000000000", 694654213, 5, 3, {integer(i32, 100)}, 1},
        {"0000000000000000 ffffffff00000000", 1133687267, 2, 1, {integer(i32, -1)}, 1},
        {"0000000000000000 ffffffff00000000", 1133687267, 5, 2, {integer(i32, -1)}, 1},
        {"0000000000000000 6162630000000083", -101922419, 4, 3, {text("abc")}, 1},
        {"0000000000000000 0800000010000000 3230323430353134",
         -1422800034,
         4,
         2,
         {text("20240514")},
         1},
        {"0000000000000000 2a00000000000000 0c00000018000000 68656c6c6f207061696d6f6e00000000",
         1239776616,
         8,
         0,
         {integer(type_of(TARN_TYPE_BIGINT), 42), text("hello paimon")},
         2},
        {"0003000000000000 0000000000000000 0000000018000000 0000000000000000",
         -93858196,
         8,
         4,
         {null_of(i32), null_of(ts6)},
         2},
        {"0000000000000000 40f5060010000000 7b68e5cf8b010000",
         1196670069,
         8,
         5,
         {integer(ts6, 1700000000123456)},
         1},
        {"0000000000000000 0a00000010000000 029d42b64e76714244cb000000000000",
         -753153794,
         8,
         2,
         {wide(decimal(30, 2), big)},
         1},
        {"0000000000000000", -1670924195, 1, 0, {integer(i32, 0)}, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tarn_buffer out = {0};
        assert_int_equal(tarn_binrow_encode(rows[i].values, rows[i].count, &out, NULL), TARN_OK);
        tarn_slice row = tarn_buffer_slice(&out);
        assert_bytes(row, rows[i].hex);
        assert_int_equal(tarn_binrow_hash(row), rows[i].hash);
        assert_int_equal(tarn_binrow_bucket(row, rows[i].bucket_count), rows[i].bucket);
        tarn_buffer_free(&out);
    }
}

static void assert_serialized(const tarn_value *values, size_t count, const char *hex) {
    tarn_buffer out = {0};
    assert_int_equal(tarn_binrow_serialize(values, count, &out, NULL), TARN_OK);
    assert_bytes(tarn_buffer_slice(&out), hex);
    size_t arity = 99;
    assert_int_equal(tarn_binrow_arity(tarn_buffer_slice(&out), &arity, NULL), TARN_OK);
    assert_int_equal(arity, count);
    tarn_buffer_free(&out);
}

// As found in the manifests of real tables.
TEST(serialized_rows_are_those_of_real_manifests) {
    const tarn_type i32 = type_of(TARN_TYPE_INTEGER);
    const tarn_type f64 = type_of(TARN_TYPE_DOUBLE);
    tarn_value partition[] = {integer(i32, 10)};
    assert_serialized(partition, 1, "00000001 0000000000000000 0a00000000000000");
    assert_serialized(NULL, 0, "000000000000000000000000");
    tarn_value key[] = {text("Alice"), integer(i32, 1)};
    assert_serialized(key, 2, "00000002 0000000000000000 416c696365000085 0100000000000000");
    tarn_value low[] = {
        text("Alice"), integer(i32, 10), integer(i32, 1), {.type = f64, .f64 = 11.0}};
    assert_serialized(low, 4,
                      "00000004 0000000000000000 416c696365000085 0a00000000000000 "
                      "0100000000000000 0000000000002640");
    double highest;
    uint64_t highest_bits = 0x4026333333333333;
    memcpy(&highest, &highest_bits, sizeof highest);
    tarn_value high[] = {
        text("Two roads diverh"), integer(i32, 10), integer(i32, 1), {.type = f64, .f64 = highest}};
    assert_serialized(high, 4,
                      "00000004 0000000000000000 1000000028000000 0a00000000000000 "
                      "0100000000000000 3333333333332640 54776f20726f61647320646976657268");
}

// Every type in one row, as pypaimon 2 serialises it.
TEST(a_row_of_all_types_is_pypaimons) {
    const tarn_int128 unscaled = -((tarn_int128)1234567890123456789 * 100000 + 1500);
    const uint8_t blob[] = {0x00, 0xff};
    tarn_value values[] = {
        {.type = {.id = TARN_TYPE_BOOLEAN}, .boolean = true},
        integer(tarn_binrow_tinyint(), -7),
        integer(type_of(TARN_TYPE_SMALLINT), -300),
        integer(type_of(TARN_TYPE_INTEGER), 5),
        integer(type_of(TARN_TYPE_BIGINT), (int64_t)1 << 40),
        {.type = {.id = TARN_TYPE_REAL}, .f64 = 1.5},
        {.type = {.id = TARN_TYPE_DOUBLE}, .f64 = -2.25},
        integer(decimal(10, 2), 1234),
        wide(decimal(30, 3), unscaled),
        integer(type_of(TARN_TYPE_DATE), 19857),
        integer(type_of(TARN_TYPE_TIME), 43201500999),
        integer(timestamp(TARN_TYPE_TIMESTAMP, 3), 1715688000123000),
        integer(timestamp(TARN_TYPE_TIMESTAMPTZ, 6), -1),
        text("h\303\251llo w\303\266rld"),
        text("abc"),
        {.type = {.id = TARN_TYPE_BYTEA}, .bytes = {blob, sizeof blob}},
    };
    assert_serialized(
        values, sizeof values / sizeof values[0],
        "0000001000000000000000000100000000000000f900000000000000d4fe000000000000050000000000000000"
        "00000000010000"
        "0000c03f0000000000000000000002c0d2040000000000000a00000088000000914d000000000000dc33930200"
        "0000007b4af976"
        "8f010000583e0f00980000000d000000a0000000616263000000008300ff000000000082"
        "e5db64e0ef5f9369"
        "4f0400000000"
        "0000ffffffffffffffff68c3a96c6c6f2077c3b6726c64000000");
}

// ---- the 5,000 rows with Java's buckets ----

static tarn_int128 parse_unscaled(const char *digits) {
    tarn_int128 value = 0;
    bool is_negative = *digits == '-';
    for (; *digits != '\0'; digits++) {
        if (isdigit((unsigned char)*digits)) value = value * 10 + (*digits - '0');
    }
    return is_negative ? -value : value;
}

static int32_t bucket_of_golden(const json_t *record) {
    tarn_value values[12] = {
        {.type = {.id = TARN_TYPE_BOOLEAN}},
        integer(tarn_binrow_tinyint(), 0),
        integer(type_of(TARN_TYPE_SMALLINT), 0),
        integer(type_of(TARN_TYPE_INTEGER), 0),
        integer(type_of(TARN_TYPE_BIGINT), 0),
        {.type = {.id = TARN_TYPE_REAL}},
        {.type = {.id = TARN_TYPE_DOUBLE}},
        integer(type_of(TARN_TYPE_DATE), 0),
        integer(timestamp(TARN_TYPE_TIMESTAMP_NS, 9), 0),
        wide(decimal(30, 20), 0),
        text(""),
        {.type = {.id = TARN_TYPE_BYTEA}},
    };
    for (size_t i = 0; i < 12; i++) {
        const json_t *item = json_array_get(record, i);
        tarn_value *value = &values[i];
        if (json_is_null(item)) {
            value->is_null = true;
        } else if (json_is_boolean(item)) {
            value->boolean = json_is_true(item);
        } else if (json_is_integer(item) && value->type.id != TARN_TYPE_REAL) {
            value->i64 = json_integer_value(item);
        } else if (json_is_number(item)) {
            value->f64 = json_number_value(item);
        } else if (value->type.id == TARN_TYPE_NUMERIC) {
            value->i128 = parse_unscaled(json_string_value(item));
        } else {
            value->bytes = tarn_slice_from_cstr(json_string_value(item));
        }
    }
    tarn_buffer row = {0};
    assert_int_equal(tarn_binrow_encode(values, 12, &row, NULL), TARN_OK);
    int32_t bucket = tarn_binrow_bucket(tarn_buffer_slice(&row), 12345);
    tarn_buffer_free(&row);
    return bucket;
}

TEST(five_thousand_rows_get_the_buckets_that_java_gave_them) {
    const char *folder = getenv("TARN_SHARED_DATA");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/paimon-golden/record_for_bucket_id.data",
                   folder == NULL ? "../shared/data" : folder);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        print_message("%s is absent\n", path);
        skip();
    }
    char line[4096];
    size_t row_count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] != '[') continue;
        char *end = strrchr(line, ']');
        end[1] = '\0';
        json_t *record = json_loads(line, 0, NULL);
        assert_non_null(record);
        assert_int_equal(bucket_of_golden(record), json_integer_value(json_array_get(record, 12)));
        json_decref(record);
        row_count++;
    }
    (void)fclose(file);
    assert_int_equal(row_count, 5000);
}

// ---- round trips ----

static tarn_type random_type(void) {
    static const tarn_type_id plain[] = {
        TARN_TYPE_BOOLEAN, TARN_TYPE_SMALLINT, TARN_TYPE_INTEGER, TARN_TYPE_BIGINT, TARN_TYPE_REAL,
        TARN_TYPE_DOUBLE,  TARN_TYPE_DATE,     TARN_TYPE_TIME,    TARN_TYPE_TEXT,   TARN_TYPE_BYTEA,
    };
    switch (test_random_below(5)) {
    case 0: return decimal((uint8_t)(1 + test_random_below(38)), 0);
    case 1: return timestamp(TARN_TYPE_TIMESTAMP, (uint8_t)test_random_below(7));
    case 2: return timestamp(TARN_TYPE_TIMESTAMPTZ_NS, (uint8_t)(7 + test_random_below(3)));
    case 3: return tarn_binrow_tinyint();
    default: return type_of(plain[test_random_below(sizeof plain / sizeof plain[0])]);
    }
}

static tarn_value random_numeric(tarn_type type) {
    tarn_int128 limit = 1;
    for (int i = 0; i < type.precision; i++) limit *= 10;
    tarn_uint128 raw = (tarn_uint128)test_random() << 64 | test_random();
    tarn_int128 unscaled = (tarn_int128)(raw >> (1 + test_random_below(126))) % limit;
    if (test_random_below(2) == 0) unscaled = -unscaled;
    return type.precision > 18 ? wide(type, unscaled) : integer(type, (int64_t)unscaled);
}

static tarn_value random_value(tarn_type type, const uint8_t *noise, size_t noise_len) {
    if (test_random_below(5) == 0) return null_of(type);
    int64_t number = (int64_t)test_random() >> test_random_below(64);
    switch (type.id) {
    case TARN_TYPE_BOOLEAN: return (tarn_value){.type = type, .boolean = number & 1};
    case TARN_TYPE_SMALLINT:
        return integer(type, tarn_binrow_is_tinyint(type) ? (int8_t)number : (int16_t)number);
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_DATE: return integer(type, (int32_t)number);
    case TARN_TYPE_TIME: return integer(type, (int64_t)test_random_below(86400000) * 1000);
    case TARN_TYPE_REAL: return (tarn_value){.type = type, .f64 = (double)(float)number};
    case TARN_TYPE_DOUBLE: return (tarn_value){.type = type, .f64 = (double)number};
    case TARN_TYPE_NUMERIC: return random_numeric(type);
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA:
        return (tarn_value){.type = type, .bytes = {noise, test_random_below(noise_len)}};
    case TARN_TYPE_TIMESTAMP:
        return integer(type, type.precision <= 3 ? number / 1000 * 1000 : number);
    default: return integer(type, number);
    }
}

static void assert_same_value(const tarn_value *a, const tarn_value *b) {
    assert_int_equal(a->is_null, b->is_null);
    if (a->is_null) return;
    switch (a->type.id) {
    case TARN_TYPE_BOOLEAN: assert_int_equal(a->boolean, b->boolean); return;
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE: assert_memory_equal(&a->f64, &b->f64, sizeof a->f64); return;
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA: assert_true(tarn_slice_equal(a->bytes, b->bytes)); return;
    case TARN_TYPE_NUMERIC:
        if (a->type.precision > 18) {
            assert_true(a->i128 == b->i128);
            return;
        }
        break;
    default: break;
    }
    assert_int_equal(a->i64, b->i64);
}

#define FIELDS_MAX 130 // crosses the first two steps of the header's size

static size_t random_row(tarn_type types[FIELDS_MAX], tarn_value values[FIELDS_MAX],
                         size_t fields_limit, tarn_buffer *out) {
    static const uint8_t noise[40] = "\200\0017 bytes, eight bytes: a b c d e f g h";
    size_t count = test_random_below(fields_limit);
    for (size_t i = 0; i < count; i++) {
        types[i] = random_type();
        values[i] = random_value(types[i], noise, sizeof noise);
    }
    assert_int_equal(tarn_binrow_serialize(values, count, out, NULL), TARN_OK);
    return count;
}

TEST(random_rows_come_back) {
    for (int round = 0; round < 500; round++) {
        tarn_type types[FIELDS_MAX];
        tarn_value values[FIELDS_MAX];
        tarn_value back[FIELDS_MAX];
        tarn_buffer out = {0};
        size_t count = random_row(types, values, FIELDS_MAX, &out);
        tarn_slice bytes = tarn_buffer_slice(&out);
        assert_int_equal((bytes.len - 4) % 8, 0);
        assert_int_equal(tarn_binrow_deserialize(bytes, types, count, back, NULL), TARN_OK);
        for (size_t i = 0; i < count; i++) assert_same_value(&values[i], &back[i]);
        tarn_buffer_free(&out);
    }
}

// Finer digits than the type keeps are cut towards the past, as Paimon does.
TEST(fractions_are_rounded_down) {
    const tarn_type types[] = {timestamp(TARN_TYPE_TIMESTAMP, 3), type_of(TARN_TYPE_TIME)};
    tarn_value values[] = {integer(types[0], -1), integer(types[1], 1999)};
    tarn_buffer out = {0};
    assert_int_equal(tarn_binrow_serialize(values, 2, &out, NULL), TARN_OK);
    tarn_value back[2];
    assert_int_equal(tarn_binrow_deserialize(tarn_buffer_slice(&out), types, 2, back, NULL),
                     TARN_OK);
    assert_int_equal(back[0].i64, -1000);
    assert_int_equal(back[1].i64, 1000);
    tarn_buffer_free(&out);
}

// ---- refusals ----

TEST(what_rows_cannot_hold_is_refused_and_leaves_the_buffer_alone) {
    tarn_buffer out = {0};
    assert_true(tarn_buffer_append(&out, TARN_LIT("kept")));
    tarn_value interval = {.type = type_of(TARN_TYPE_INTERVAL)};
    tarn_value values[] = {integer(type_of(TARN_TYPE_INTEGER), 1), interval};
    tarn_error err = {0};
    assert_int_equal(tarn_binrow_serialize(values, 2, &out, &err), TARN_UNSUPPORTED);
    assert_string_equal(err.message, "binary row: field 1: rows hold no intervals");
    values[1] = integer(tarn_binrow_tinyint(), 300);
    assert_int_equal(tarn_binrow_encode(values, 2, &out, &err), TARN_INVALID);
    assert_string_equal(err.message, "binary row: field 1: 300 does not fit tinyint");
    out.limit_bytes = out.capacity_bytes;
    char long_text[1000] = {0};
    memset(long_text, 'x', sizeof long_text - 1);
    values[1] = text(long_text);
    assert_int_equal(tarn_binrow_encode(values, 2, &out, &err), TARN_NO_MEMORY);
    assert_true(tarn_slice_equal(tarn_buffer_slice(&out), TARN_LIT("kept")));
    tarn_buffer_free(&out);
}

typedef struct bad_row {
    const char *hex;
    tarn_type type;
    tarn_status status;
    const char *message;
} bad_row;

TEST(damaged_fields_are_named) {
    const tarn_type ts6 = timestamp(TARN_TYPE_TIMESTAMP, 6);
    const tarn_type string = type_of(TARN_TYPE_TEXT);
    const tarn_type wide_type = decimal(20, 0);
    const bad_row rows[] = {
        {"000000", string, TARN_CORRUPT, "binary row: 3 bytes are too few for an arity"},
        {"ffffffff", string, TARN_CORRUPT, "binary row: arity 4294967295 is out of range"},
        {"00000002", string, TARN_CORRUPT, "binary row: it has 2 fields, expected 1"},
        {"00000001 0000000000000000", string, TARN_CORRUPT,
         "binary row: 8 bytes are too few for 1 fields"},
        {"00000001 0400000000000000 0000000000000080", string, TARN_CORRUPT,
         "binary row: row kind is 4"},
        {"00000001 0000000000000000 0000000000000088", string, TARN_CORRUPT,
         "binary row: field 0: inline length is 8"},
        {"00000001 0000000000000000 0800000008000000", string, TARN_CORRUPT,
         "binary row: field 0: its bytes are outside the row, at 8"},
        {"00000001 0000000000000000 0900000010000000 6162636461626364", string, TARN_CORRUPT,
         "binary row: field 0: its bytes run past the row's end, length 9"},
        {"00000001 0000000000000000 ffffff7f10000000 6162636461626364", string, TARN_CORRUPT,
         "binary row: field 0: its bytes run past the row's end, length 2147483647"},
        {"00000001 0000000000000000 40420f0010000000 0000000000000000", ts6, TARN_CORRUPT,
         "binary row: field 0: nanoseconds of a millisecond are 1000000"},
        {"00000001 0000000000000000 0000000010000000 ffffffffffffff7f", ts6, TARN_UNSUPPORTED,
         "binary row: field 0: timestamp of 9223372036854775807 ms is out of range"},
        {"00000001 0000000000000000 0000000010000000", wide_type, TARN_CORRUPT,
         "binary row: field 0: decimal length is 0"},
        {"00000001 0000000000000000 1000000010000000 7fffffffffffffffffffffffffffffff", wide_type,
         TARN_CORRUPT, "binary row: field 0: decimal has more digits than 20"},
        {"00000001 0000000000000000 6400000000000000", decimal(2, 0), TARN_CORRUPT,
         "binary row: field 0: decimal has more digits than 2"},
        {"00000001 0000000000000000 0200000000000000", type_of(TARN_TYPE_BOOLEAN), TARN_CORRUPT,
         "binary row: field 0: boolean is 2"},
        {"00000001 0000000000000000 015c260500000000", type_of(TARN_TYPE_TIME), TARN_CORRUPT,
         "binary row: field 0: milliseconds of the day are 86400001"},
        {"00000001 0000000000000000 005c260500000000", type_of(TARN_TYPE_INTERVAL),
         TARN_UNSUPPORTED, "binary row: field 0: rows hold no values of type 14"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[64];
        size_t len = parse_hex(rows[i].hex, bytes);
        tarn_error err = {0};
        tarn_value value = {.i64 = 77};
        tarn_status status =
            tarn_binrow_deserialize((tarn_slice){bytes, len}, &rows[i].type, 1, &value, &err);
        assert_string_equal(err.message, rows[i].message);
        assert_int_equal(status, rows[i].status);
        assert_int_equal(value.i64, 77);
    }
}

// An exact copy on the heap, so that the sanitizer sees a read beyond it.
static void check_answered(tarn_slice bytes, const tarn_type *types, size_t count) {
    uint8_t *copy = test_malloc(bytes.len == 0 ? 1 : bytes.len);
    if (bytes.len > 0) memcpy(copy, bytes.data, bytes.len);
    tarn_value back[FIELDS_MAX];
    tarn_error err = {0};
    tarn_status status =
        tarn_binrow_deserialize((tarn_slice){copy, bytes.len}, types, count, back, &err);
    assert_int_equal(err.status, status);
    assert_int_equal(err.message[0] != '\0', status != TARN_OK);
    for (size_t i = 0; status == TARN_OK && i < count; i++) {
        if (back[i].is_null || (types[i].id != TARN_TYPE_TEXT && types[i].id != TARN_TYPE_BYTEA)) {
            continue;
        }
        assert_true(back[i].bytes.data >= copy);
        assert_true(back[i].bytes.data + back[i].bytes.len <= copy + bytes.len);
    }
    test_free(copy);
}

TEST(every_truncation_and_bit_flip_is_answered) {
    for (int round = 0; round < 20; round++) {
        tarn_type types[FIELDS_MAX];
        tarn_value values[FIELDS_MAX];
        tarn_buffer out = {0};
        size_t count = random_row(types, values, 12, &out);
        tarn_slice bytes = tarn_buffer_slice(&out);
        for (size_t len = 0; len < bytes.len; len++) {
            check_answered(tarn_slice_head(bytes, len), types, count);
        }
        for (size_t bit = 0; bit < bytes.len * 8; bit++) {
            out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_answered(bytes, types, count);
            out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        tarn_buffer_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_hashes_and_buckets_are_paimons),
        cmocka_unit_test(serialized_rows_are_those_of_real_manifests),
        cmocka_unit_test(a_row_of_all_types_is_pypaimons),
        cmocka_unit_test(five_thousand_rows_get_the_buckets_that_java_gave_them),
        cmocka_unit_test(random_rows_come_back),
        cmocka_unit_test(fractions_are_rounded_down),
        cmocka_unit_test(what_rows_cannot_hold_is_refused_and_leaves_the_buffer_alone),
        cmocka_unit_test(damaged_fields_are_named),
        cmocka_unit_test(every_truncation_and_bit_flip_is_answered),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
