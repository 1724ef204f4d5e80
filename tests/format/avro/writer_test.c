#include "base/varint.h"
#include "format/avro/avro.h"
#include "tests/format/files.h"

#define ARENA_BYTES ((size_t)256 << 20)

static const uint8_t sync_marker[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6};

static void write_all(tarn_slice schema, tarn_codec codec, const tarn_avro_value *data,
                      size_t count, tarn_buffer *out) {
    tarn_avro_writer *writer = NULL;
    tarn_error err = {0};
    assert_int_equal(
        tarn_avro_writer_new(&tarn_alloc_libc, schema, codec, 0, sync_marker, out, &writer, &err),
        TARN_OK);
    for (size_t i = 0; i < count; i++) {
        tarn_status status = tarn_avro_writer_append(writer, &data[i], &err);
        if (status != TARN_OK) print_message("%s\n", err.message);
        assert_int_equal(status, TARN_OK);
    }
    assert_int_equal(tarn_avro_writer_finish(writer, NULL), TARN_OK);
    tarn_avro_writer_free(writer);
}

static void read_all(tarn_slice bytes, tarn_arena *arena, tarn_avro_file *ret_file) {
    tarn_object *object = test_object("written", bytes);
    tarn_error err = {0};
    tarn_status status = tarn_avro_read(object, ARENA_BYTES, arena, ret_file, &err);
    if (status != TARN_OK) print_message("%s\n", err.message);
    assert_int_equal(status, TARN_OK);
    tarn_object_close(object);
}

// ---- against another writer's bytes ----

static int64_t take_long(tarn_slice *rest) {
    uint64_t raw = 0;
    assert_true(tarn_varint_decode(rest, &raw));
    return tarn_zigzag_decode(raw);
}

// Puts the bodies of a file's blocks (codec null) together.
static void join_blocks(tarn_slice file, tarn_slice schema, tarn_buffer *bodies) {
    tarn_slice rest = file;
    while (!tarn_slice_starts_with(rest, schema)) rest = tarn_slice_skip(rest, 1);
    rest = tarn_slice_skip(rest, schema.len + 1 + 16); // the metadata's end and the sync marker
    while (rest.len > 0) {
        assert_true(take_long(&rest) > 0);
        size_t len = (size_t)take_long(&rest);
        assert_true(tarn_buffer_append(bodies, tarn_slice_head(rest, len)));
        rest = tarn_slice_skip(rest, len + 16);
    }
}

TEST(records_are_encoded_as_fastavro_encodes_them) {
    tarn_buffer golden = {0};
    assert_true(test_load_file("tests/golden/avro/everything-null.avro", &golden));
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, ARENA_BYTES);
    tarn_avro_file file;
    read_all(tarn_buffer_slice(&golden), &arena, &file);
    tarn_buffer written = {0};
    write_all(file.schema_json, TARN_CODEC_NONE, file.data, file.datum_count, &written);

    tarn_buffer theirs = {0};
    tarn_buffer ours = {0};
    join_blocks(tarn_buffer_slice(&golden), file.schema_json, &theirs);
    join_blocks(tarn_buffer_slice(&written), file.schema_json, &ours);
    assert_true(tarn_slice_equal(tarn_buffer_slice(&theirs), tarn_buffer_slice(&ours)));
    tarn_buffer_free(&theirs);
    tarn_buffer_free(&ours);
    tarn_buffer_free(&written);
    tarn_buffer_free(&golden);
    tarn_arena_reset(&arena);
}

// docs/formats/avro.md, "worked example".
TEST(a_whole_file_is_frozen) {
    static const char schema[] = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"id\","
                                 "\"type\":\"int\"},{\"name\":\"s\",\"type\":[\"null\","
                                 "\"string\"]}]}";
    tarn_avro_value first[] = {
        {.kind = TARN_AVRO_INT, .i64 = 300},
        {.kind = TARN_AVRO_STRING, .bytes = TARN_LIT("hi")},
    };
    tarn_avro_value second[] = {{.kind = TARN_AVRO_INT, .i64 = -1}, {.kind = TARN_AVRO_NULL}};
    const tarn_avro_value data[] = {
        {.kind = TARN_AVRO_RECORD, .items = first, .count = 2},
        {.kind = TARN_AVRO_RECORD, .items = second, .count = 2},
    };
    tarn_buffer out = {0};
    write_all(TARN_LIT(schema), TARN_CODEC_NONE, data, 2, &out);

    tarn_buffer golden = {0};
    assert_true(tarn_buffer_append(&golden, TARN_LIT("Obj\1\4\24avro.codec\10null\26avro.schema")));
    assert_true(tarn_buffer_append(&golden, TARN_LIT("\320\1")));
    assert_true(tarn_buffer_append(&golden, TARN_LIT(schema)));
    assert_true(tarn_buffer_append_byte(&golden, 0));
    assert_true(tarn_buffer_append(&golden, (tarn_slice){sync_marker, 16}));
    assert_true(tarn_buffer_append(&golden, TARN_LIT("\4\20\330\4\2\4hi\1\0")));
    assert_true(tarn_buffer_append(&golden, (tarn_slice){sync_marker, 16}));
    assert_int_equal(out.len, golden.len);
    assert_memory_equal(out.data, golden.data, golden.len);
    tarn_buffer_free(&golden);
    tarn_buffer_free(&out);
}

// ---- random schemas and values ----

typedef struct generator {
    tarn_arena arena;
    tarn_buffer schema;
    int named_count;
} generator;

static void add_schema(generator *g, const char *text) {
    assert_true(tarn_buffer_append(&g->schema, tarn_slice_from_cstr(text)));
}

static tarn_slice random_bytes(generator *g) {
    size_t len = test_random_below(test_random_below(8) == 0 ? 300 : 10);
    uint8_t *bytes = tarn_arena_alloc(&g->arena, 1, len + 1);
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)test_random();
    return (tarn_slice){bytes, len};
}

static const struct {
    const char *name;
    tarn_avro_kind kind;
} plain_types[] = {
    {"\"null\"", TARN_AVRO_NULL},   {"\"boolean\"", TARN_AVRO_BOOLEAN},
    {"\"int\"", TARN_AVRO_INT},     {"\"long\"", TARN_AVRO_LONG},
    {"\"float\"", TARN_AVRO_FLOAT}, {"\"double\"", TARN_AVRO_DOUBLE},
    {"\"bytes\"", TARN_AVRO_BYTES}, {"\"string\"", TARN_AVRO_STRING},
};

static void random_plain(generator *g, tarn_avro_value *value) {
    int64_t number = (int64_t)test_random() >> test_random_below(64);
    switch (value->kind) {
    case TARN_AVRO_BOOLEAN: value->boolean = number & 1; break;
    case TARN_AVRO_INT: value->i64 = (int32_t)number; break;
    case TARN_AVRO_LONG: value->i64 = number; break;
    case TARN_AVRO_FLOAT: value->f64 = (double)(float)number; break;
    case TARN_AVRO_DOUBLE: value->f64 = (double)number / 3; break;
    case TARN_AVRO_BYTES:
    case TARN_AVRO_STRING: value->bytes = random_bytes(g); break;
    default: break;
    }
}

// A schema is a list of steps; values for it are made by replaying the same random choices.
static void make(generator *g, uint64_t seed, int depth, bool with_schema, tarn_avro_value *value);

static void make_items(generator *g, uint64_t seed, int depth, bool with_schema,
                       tarn_avro_value *value) {
    bool is_map = value->kind == TARN_AVRO_MAP;
    if (with_schema) {
        add_schema(g, is_map ? "{\"type\":\"map\",\"values\":" : "{\"type\":\"array\",\"items\":");
        tarn_avro_value unused = {0};
        make(g, seed, depth + 1, true, &unused);
        add_schema(g, "}");
    }
    value->count = test_random_below(4);
    value->items = tarn_arena_new(&g->arena, tarn_avro_value, value->count + 1);
    tarn_slice *names = tarn_arena_new(&g->arena, tarn_slice, value->count + 1);
    for (size_t i = 0; i < value->count; i++) {
        names[i] = random_bytes(g);
        make(g, seed, depth + 1, false, &value->items[i]);
    }
    if (is_map) value->names = names;
}

static void make_record(generator *g, uint64_t seed, int depth, bool with_schema,
                        tarn_avro_value *value) {
    value->kind = TARN_AVRO_RECORD;
    value->count = 1 + seed / 8 % 5;
    value->items = tarn_arena_new(&g->arena, tarn_avro_value, value->count);
    if (with_schema) {
        assert_true(tarn_buffer_printf(
            &g->schema, "{\"type\":\"record\",\"name\":\"r%d\",\"fields\":[", g->named_count++));
    }
    for (size_t i = 0; i < value->count; i++) {
        if (with_schema) {
            assert_true(tarn_buffer_printf(&g->schema,
                                           "%s{\"name\":\"f%zu\",\"type\":", i == 0 ? "" : ",", i));
        }
        make(g, seed * 31 + i * 7919 + 1, depth + 1, with_schema, &value->items[i]);
        if (with_schema) add_schema(g, "}");
    }
    if (with_schema) add_schema(g, "]}");
}

static void make(generator *g, uint64_t seed, int depth, bool with_schema, tarn_avro_value *value) {
    uint64_t choice = (seed ^ seed >> 29) % (depth > 4 ? 8 : 14);
    *value = (tarn_avro_value){0};
    if (choice < 8) {
        if (with_schema) add_schema(g, plain_types[choice].name);
        value->kind = plain_types[choice].kind;
        random_plain(g, value);
    } else if (choice < 10) {
        value->kind = choice == 8 ? TARN_AVRO_ARRAY : TARN_AVRO_MAP;
        make_items(g, seed * 17 + 3, depth, with_schema, value);
    } else if (choice == 10) { // null, or a fixed type that is unlike null
        uint64_t branch = 1 + seed / 16 % 7;
        if (with_schema) {
            assert_true(tarn_buffer_printf(&g->schema, "[\"null\",%s]", plain_types[branch].name));
        }
        value->kind = test_random_below(2) == 0 ? TARN_AVRO_NULL : plain_types[branch].kind;
        random_plain(g, value);
    } else {
        make_record(g, seed * 13 + 5, depth, with_schema, value);
    }
}

static void assert_same(const tarn_avro_value *a, const tarn_avro_value *b) {
    assert_int_equal(a->kind, b->kind);
    switch (a->kind) {
    case TARN_AVRO_NULL: return;
    case TARN_AVRO_BOOLEAN: assert_int_equal(a->boolean, b->boolean); return;
    case TARN_AVRO_INT:
    case TARN_AVRO_LONG: assert_int_equal(a->i64, b->i64); return;
    case TARN_AVRO_FLOAT:
    case TARN_AVRO_DOUBLE: assert_memory_equal(&a->f64, &b->f64, sizeof a->f64); return;
    case TARN_AVRO_BYTES:
    case TARN_AVRO_STRING: assert_true(tarn_slice_equal(a->bytes, b->bytes)); return;
    case TARN_AVRO_RECORD:
    case TARN_AVRO_ARRAY:
    case TARN_AVRO_MAP: break;
    }
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        if (a->kind == TARN_AVRO_MAP) assert_true(tarn_slice_equal(a->names[i], b->names[i]));
        assert_same(&a->items[i], &b->items[i]);
    }
}

TEST(random_records_come_back_through_every_codec) {
    static const tarn_codec codecs[] = {TARN_CODEC_NONE, TARN_CODEC_DEFLATE, TARN_CODEC_ZSTD};
    for (size_t round = 0; round < 60; round++) {
        generator g = {0};
        tarn_arena_init(&g.arena, &tarn_alloc_libc, ARENA_BYTES);
        uint64_t seed = test_random();
        size_t count = 1 + test_random_below(200);
        tarn_avro_value *data = tarn_arena_new(&g.arena, tarn_avro_value, count);
        assert_non_null(data);
        for (size_t i = 0; i < count; i++) make_record(&g, seed, 0, i == 0, &data[i]);

        tarn_buffer out = {0};
        write_all(tarn_buffer_slice(&g.schema), codecs[round % 3], data, count, &out);
        tarn_avro_file file;
        read_all(tarn_buffer_slice(&out), &g.arena, &file);
        assert_true(tarn_slice_equal(file.schema_json, tarn_buffer_slice(&g.schema)));
        assert_int_equal(file.datum_count, count);
        for (size_t i = 0; i < count; i++) assert_same(&data[i], &file.data[i]);
        tarn_buffer_free(&out);
        tarn_buffer_free(&g.schema);
        tarn_arena_reset(&g.arena);
    }
}

// ---- refusals ----

static tarn_avro_writer *new_writer(const char *schema, tarn_buffer *out) {
    tarn_avro_writer *writer = NULL;
    assert_int_equal(tarn_avro_writer_new(&tarn_alloc_libc, tarn_slice_from_cstr(schema),
                                          TARN_CODEC_NONE, 0, sync_marker, out, &writer, NULL),
                     TARN_OK);
    return writer;
}

TEST(a_value_of_another_type_is_refused_by_its_path) {
    tarn_buffer out = {0};
    tarn_avro_writer *writer = new_writer(
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"list\",\"type\":{\"type\":"
        "\"array\",\"items\":{\"type\":\"fixed\",\"name\":\"f\",\"size\":2}}}]}",
        &out);
    tarn_avro_value items[] = {{.kind = TARN_AVRO_BYTES, .bytes = TARN_LIT("ok")},
                               {.kind = TARN_AVRO_STRING, .bytes = TARN_LIT("no")}};
    tarn_avro_value fields[] = {{.kind = TARN_AVRO_ARRAY, .items = items, .count = 2}};
    tarn_avro_value record = {.kind = TARN_AVRO_RECORD, .items = fields, .count = 1};
    tarn_error err = {0};
    assert_int_equal(tarn_avro_writer_append(writer, &record, &err), TARN_INVALID);
    assert_string_equal(err.message,
                        "avro writer: field 'list': item 1: fixed expected, string given");
    items[1] = (tarn_avro_value){.kind = TARN_AVRO_BYTES, .bytes = TARN_LIT("not")};
    assert_int_equal(tarn_avro_writer_append(writer, &record, &err), TARN_INVALID);
    assert_string_equal(err.message,
                        "avro writer: field 'list': item 1: fixed expected, 3 bytes given");
    record.count = 0;
    assert_int_equal(tarn_avro_writer_append(writer, &record, &err), TARN_INVALID);
    assert_string_equal(err.message, "avro writer: record of 1 fields expected, record of 0 given");

    // Nothing of the refused records is in the file.
    fields[0].count = 1;
    record.count = 1;
    assert_int_equal(tarn_avro_writer_append(writer, &record, &err), TARN_OK);
    assert_int_equal(tarn_avro_writer_finish(writer, &err), TARN_OK);
    tarn_avro_writer_free(writer);
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, ARENA_BYTES);
    tarn_avro_file file;
    read_all(tarn_buffer_slice(&out), &arena, &file);
    assert_int_equal(file.datum_count, 1);
    assert_same(&file.data[0], &record);
    tarn_arena_reset(&arena);
    tarn_buffer_free(&out);
}

TEST(numbers_fit_or_are_refused) {
    tarn_buffer out = {0};
    tarn_avro_writer *writer = new_writer("[\"int\",\"long\",\"double\"]", &out);
    tarn_avro_value data[] = {
        {.kind = TARN_AVRO_INT, .i64 = INT32_MAX},
        {.kind = TARN_AVRO_INT, .i64 = (int64_t)INT32_MAX + 1}, // a long then
        {.kind = TARN_AVRO_LONG, .i64 = 1},
        {.kind = TARN_AVRO_FLOAT, .f64 = 1.5}, // a double then
    };
    static const tarn_avro_kind kinds[] = {TARN_AVRO_INT, TARN_AVRO_LONG, TARN_AVRO_LONG,
                                           TARN_AVRO_DOUBLE};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tarn_avro_writer_append(writer, &data[i], NULL), TARN_OK);
    }
    tarn_avro_value text = {.kind = TARN_AVRO_STRING};
    tarn_error err = {0};
    assert_int_equal(tarn_avro_writer_append(writer, &text, &err), TARN_INVALID);
    assert_string_equal(err.message, "avro writer: union expected, string given");
    assert_int_equal(tarn_avro_writer_finish(writer, NULL), TARN_OK);
    tarn_avro_writer_free(writer);

    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, ARENA_BYTES);
    tarn_avro_file file;
    read_all(tarn_buffer_slice(&out), &arena, &file);
    assert_int_equal(file.datum_count, 4);
    for (size_t i = 0; i < 4; i++) assert_int_equal(file.data[i].kind, kinds[i]);
    tarn_arena_reset(&arena);
    tarn_buffer_free(&out);
}

TEST(a_writer_that_cannot_start_leaves_the_buffer_alone) {
    tarn_buffer out = {.limit_bytes = 64};
    assert_true(tarn_buffer_append(&out, TARN_LIT("kept")));
    tarn_avro_writer *writer = NULL;
    tarn_error err = {0};
    assert_int_equal(tarn_avro_writer_new(&tarn_alloc_libc, TARN_LIT("\"int\""), TARN_CODEC_SNAPPY,
                                          0, sync_marker, &out, &writer, &err),
                     TARN_UNSUPPORTED);
    assert_int_equal(tarn_avro_writer_new(&tarn_alloc_libc, TARN_LIT("\"date\""), TARN_CODEC_NONE,
                                          0, sync_marker, &out, &writer, &err),
                     TARN_INVALID);
    tarn_slice long_schema = TARN_LIT("{\"type\": \"array\", \"items\": \"int\"}");
    assert_int_equal(tarn_avro_writer_new(&tarn_alloc_libc, long_schema, TARN_CODEC_NONE, 0,
                                          sync_marker, &out, &writer, &err),
                     TARN_NO_MEMORY);
    assert_null(writer);
    assert_true(tarn_slice_equal(tarn_buffer_slice(&out), TARN_LIT("kept")));
    tarn_avro_writer_free(NULL);
    tarn_buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_encoded_as_fastavro_encodes_them),
        cmocka_unit_test(a_whole_file_is_frozen),
        cmocka_unit_test(random_records_come_back_through_every_codec),
        cmocka_unit_test(a_value_of_another_type_is_refused_by_its_path),
        cmocka_unit_test(numbers_fit_or_are_refused),
        cmocka_unit_test(a_writer_that_cannot_start_leaves_the_buffer_alone),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
