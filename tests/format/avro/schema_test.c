#include "format/avro/avro.h"

#include "tests/test.h"

static tarn_status parse(const char *json, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, 1 << 20);
    const tarn_avro_schema *schema = NULL;
    tarn_status status = tarn_avro_schema_parse(tarn_slice_from_cstr(json), &arena, &schema, err);
    assert_int_equal(schema != NULL, status == TARN_OK);
    tarn_arena_reset(&arena);
    return status;
}

#define RECORD(name, rest) "{\"type\":\"record\",\"name\":\"" name "\"," rest "}"
#define FIELD(name, type)  "{\"name\":\"" name "\",\"type\":" type "}"

TEST(schemas_of_every_shape_are_taken) {
    static const char *const schemas[] = {
        "\"string\"",
        "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}",
        "{\"type\":{\"type\":\"int\"}}",
        "[\"null\",\"int\"]",
        "{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":[\"null\",\"bytes\"]}}",
        "{\"type\":\"fixed\",\"name\":\"f\",\"size\":0}",
        "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"],\"default\":\"A\"}",
        RECORD("empty", "\"fields\":[]"),
        "{\"type\":\"error\",\"name\":\"e\",\"fields\":[]}",
    };
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        assert_int_equal(parse(schemas[i], NULL), TARN_OK);
    }
}

// A name without a dot is looked up in the namespace of the type around it.
TEST(named_types_are_found_by_their_namespace) {
    static const char *const good[] = {
        RECORD("list", "\"fields\":[" FIELD("next", "[\"null\",\"list\"]") "]"),
        RECORD("a.list", "\"fields\":[" FIELD("next", "[\"null\",\"list\"]") "," FIELD(
                             "again", "\"a.list\"") "]"),
        RECORD("list", "\"namespace\":\"a.b\",\"fields\":[" FIELD("next", "\"a.b.list\"") "]"),
        RECORD("x",
               "\"namespace\":\"a\",\"fields\":[" FIELD(
                   "f", "{\"type\":\"fixed\",\"name\":"
                        "\"y\",\"size\":1}") "," FIELD("g", "\"y\"") "," FIELD("h", "\"a.y\"") "]"),
        RECORD(
            "x",
            "\"namespace\":\"a\",\"fields\":[" FIELD(
                "f", "{\"type\":\"fixed\",\"name\":\"b.y\",\"size\":1}") "," FIELD("g",
                                                                                   "\"b.y\"") "]"),
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(parse(good[i], NULL), TARN_OK);
    }
    tarn_error err = {0};
    assert_int_equal(
        parse(
            RECORD("x",
                   "\"namespace\":\"a\",\"fields\":[" FIELD(
                       "f",
                       "{\"type\":\"fixed\",\"name\":\"b.y\",\"size\":1}") "," FIELD("g",
                                                                                     "\"y\"") "]"),
            &err),
        TARN_INVALID);
    assert_string_equal(err.message, "avro schema: type 'a.y' is not defined");
}

TEST(bad_schemas_are_refused_by_what_is_wrong) {
    static const struct {
        const char *json;
        const char *message;
    } bad[] = {
        {"", "avro schema: line 1 column 0: '[' or '{' expected near end of file"},
        {"{\"type\":\"record\"", "avro schema: line 1 column 16: '}' expected near end of file"},
        {"7", "avro schema: a type is neither a string, an object nor an array"},
        {"\"date\"", "avro schema: type 'date' is not defined"},
        {"{}", "avro schema: a type is missing"},
        {"[]", "avro schema: a union has no branches"},
        {"[\"null\",[\"int\",\"long\"]]", "avro schema: a union within a union"},
        {"{\"type\":\"array\"}", "avro schema: array without the type of its items"},
        {"{\"type\":\"map\"}", "avro schema: map without the type of its values"},
        {"{\"type\":\"record\",\"name\":\"r\"}", "avro schema: a record has no fields"},
        {"{\"type\":\"record\",\"fields\":[]}", "avro schema: a record has no name"},
        {RECORD("r", "\"fields\":[{\"name\":\"f\"}]"),
         "avro schema: field 0 of 'r' has no name or type"},
        {RECORD("r", "\"fields\":[3]"), "avro schema: field 0 of 'r' has no name or type"},
        {RECORD("r", "\"fields\":[" FIELD("f", RECORD("r", "\"fields\":[]")) "]"),
         "avro schema: type 'r' is defined twice"},
        {"{\"type\":\"enum\",\"name\":\"e\"}", "avro schema: an enum has no symbols"},
        {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[1]}",
         "avro schema: symbol 0 of 'e' is not a string"},
        {"{\"type\":\"fixed\",\"name\":\"f\",\"size\":-1}",
         "avro schema: a fixed has no valid size"},
        {"{\"type\":\"fixed\",\"name\":\"f\"}", "avro schema: a fixed has no valid size"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tarn_error err = {0};
        assert_int_equal(parse(bad[i].json, &err), TARN_INVALID);
        if (i != 0) assert_string_equal(err.message, bad[i].message);
    }
}

TEST(deep_nesting_is_refused) {
    tarn_buffer json = {0};
    for (int i = 0; i < 100; i++) {
        assert_true(tarn_buffer_append(&json, TARN_LIT("{\"type\":\"array\",\"items\":")));
    }
    assert_true(tarn_buffer_append(&json, TARN_LIT("\"int\"")));
    for (int i = 0; i < 100; i++) assert_true(tarn_buffer_append_byte(&json, '}'));
    assert_true(tarn_buffer_append_byte(&json, '\0'));
    tarn_error err = {0};
    assert_int_equal(parse((const char *)json.data, &err), TARN_INVALID);
    assert_string_equal(err.message, "avro schema: more than 64 levels deep");
    tarn_buffer_free(&json);
}

// Whatever the arena can give, parsing succeeds or says that memory is short.
TEST(every_shortage_of_memory_is_reported) {
    const tarn_slice json =
        TARN_LIT(RECORD("a.list", "\"fields\":[" FIELD("next", "[\"null\",\"list\"]") "]"));
    bool succeeded = false;
    for (size_t limit_bytes = 0; limit_bytes < (1 << 17); limit_bytes += 24) {
        tarn_arena arena;
        tarn_arena_init(&arena, &tarn_alloc_libc, limit_bytes);
        const tarn_avro_schema *schema = NULL;
        tarn_status status = tarn_avro_schema_parse(json, &arena, &schema, NULL);
        assert_true(status == TARN_OK || status == TARN_NO_MEMORY);
        assert_false(succeeded && status != TARN_OK);
        succeeded = status == TARN_OK;
        tarn_arena_reset(&arena);
        if (succeeded) break;
    }
    assert_true(succeeded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_of_every_shape_are_taken),
        cmocka_unit_test(named_types_are_found_by_their_namespace),
        cmocka_unit_test(bad_schemas_are_refused_by_what_is_wrong),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(every_shortage_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
