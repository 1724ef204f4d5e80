// Schemas: the grammar of types, golden JSON, keys and options, and what is refused by name.
#include "lake/schema.h"

#include "tests/lake/helpers.h"

// ---- types ----

static lake_type parse(const char *text) {
    lake_type type;
    assert_ok(lake_type_parse(TEXT(text), &type, &test_error));
    return type;
}

static void assert_type(const char *text, lake_kind kind, tarn_type_id id, int precision, int scale,
                        uint32_t length, bool not_null) {
    lake_type type = parse(text);
    assert_int_equal(type.kind, kind);
    assert_int_equal(type.type.id, id);
    if (precision >= 0) assert_int_equal(type.type.precision, precision);
    if (scale >= 0) assert_int_equal(type.type.scale, scale);
    assert_int_equal(type.type.length, length);
    assert_int_equal(type.not_null, not_null);
}

TEST(canonical_types_are_read) {
    assert_type("STRING", LAKE_VARCHAR, TARN_TYPE_TEXT, -1, -1, 0, false);
    assert_type("VARCHAR(2147483647)", LAKE_VARCHAR, TARN_TYPE_TEXT, -1, -1, 0, false);
    assert_type("CHAR(3) NOT NULL", LAKE_CHAR, TARN_TYPE_TEXT, -1, -1, 3, true);
    assert_type("VARCHAR(10)", LAKE_VARCHAR, TARN_TYPE_TEXT, -1, -1, 10, false);
    assert_type("BYTES", LAKE_VARBINARY, TARN_TYPE_BYTEA, -1, -1, 0, false);
    assert_type("BINARY(16)", LAKE_BINARY, TARN_TYPE_BYTEA, -1, -1, 16, false);
    assert_type("DECIMAL(10, 2)", LAKE_DECIMAL, TARN_TYPE_NUMERIC, 10, 2, 0, false);
    assert_type("DECIMAL(38, 38) NOT NULL", LAKE_DECIMAL, TARN_TYPE_NUMERIC, 38, 38, 0, true);
    assert_type("TINYINT", LAKE_TINYINT, TARN_TYPE_SMALLINT, -1, -1, 0, false);
    assert_type("INT NOT NULL", LAKE_INT, TARN_TYPE_INTEGER, -1, -1, 0, true);
    assert_type("BIGINT", LAKE_BIGINT, TARN_TYPE_BIGINT, -1, -1, 0, false);
    assert_type("TIME(3)", LAKE_TIME, TARN_TYPE_TIME, 3, -1, 0, false);
    assert_type("TIMESTAMP(3)", LAKE_TIMESTAMP, TARN_TYPE_TIMESTAMP, 3, -1, 0, false);
    assert_type("TIMESTAMP(9) NOT NULL", LAKE_TIMESTAMP, TARN_TYPE_TIMESTAMP_NS, 9, -1, 0, true);
    assert_type("TIMESTAMP(6) WITH LOCAL TIME ZONE", LAKE_TIMESTAMP_LTZ, TARN_TYPE_TIMESTAMPTZ, 6,
                -1, 0, false);
    assert_type("TIMESTAMP(7) WITH LOCAL TIME ZONE NOT NULL", LAKE_TIMESTAMP_LTZ,
                TARN_TYPE_TIMESTAMPTZ_NS, 7, -1, 0, true);
}

TEST(other_spellings_are_read) {
    assert_type("varchar", LAKE_VARCHAR, TARN_TYPE_TEXT, -1, -1, 1, false);
    assert_type("Numeric", LAKE_DECIMAL, TARN_TYPE_NUMERIC, 10, 0, 0, false);
    assert_type("DEC(5)", LAKE_DECIMAL, TARN_TYPE_NUMERIC, 5, 0, 0, false);
    assert_type("DECIMAL( 7 ,3 )NOT  NULL", LAKE_DECIMAL, TARN_TYPE_NUMERIC, 7, 3, 0, true);
    assert_type("INTEGER NULL", LAKE_INT, TARN_TYPE_INTEGER, -1, -1, 0, false);
    assert_type("DOUBLE PRECISION", LAKE_DOUBLE, TARN_TYPE_DOUBLE, -1, -1, 0, false);
    assert_type("TIMESTAMP", LAKE_TIMESTAMP, TARN_TYPE_TIMESTAMP, 6, -1, 0, false);
    assert_type("TIMESTAMP WITHOUT TIME ZONE", LAKE_TIMESTAMP, TARN_TYPE_TIMESTAMP, 6, -1, 0,
                false);
    assert_type("TIMESTAMP_LTZ(3)", LAKE_TIMESTAMP_LTZ, TARN_TYPE_TIMESTAMPTZ, 3, -1, 0, false);
}

TEST(types_that_tarn_does_not_have_are_known_by_name) {
    const char *texts[] = {"ARRAY NOT NULL",     "MAP", "ROW", "VARIANT", "VECTOR<FLOAT, 128>",
                           "GEOMETRY(OGC:CRS84)"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        lake_type type = parse(texts[i]);
        assert_int_equal(type.kind, LAKE_OTHER);
        assert_int_equal(type.type.id, TARN_TYPE_NULL);
        assert_int_equal(type.not_null, i == 0);
    }
}

TEST(malformed_types_are_refused_with_the_place) {
    const char *texts[] = {"",
                           "NONSENSE",
                           "DECIMAL(39, 2)",
                           "DECIMAL(5, 6)",
                           "DECIMAL(5",
                           "VARCHAR(0)",
                           "VARCHAR(99999999999)",
                           "TIMESTAMP(10)",
                           "TIMESTAMP WITH LOCAL ZONE",
                           "INT NOT",
                           "INT INT",
                           "BIGINT(3)"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        lake_type type;
        assert_int_equal(lake_type_parse(TEXT(texts[i]), &type, &test_error), TARN_CORRUPT);
        assert_non_null(strstr(test_error.message, "at byte"));
    }
}

TEST(written_types_are_read_back) {
    const tarn_type types[] = {
        tarn_type_of(TARN_TYPE_BOOLEAN),
        tarn_type_of(TARN_TYPE_SMALLINT),
        tarn_type_of(TARN_TYPE_INTEGER),
        tarn_type_of(TARN_TYPE_BIGINT),
        tarn_type_of(TARN_TYPE_REAL),
        tarn_type_of(TARN_TYPE_DOUBLE),
        tarn_type_numeric(1, 0),
        tarn_type_numeric(38, 10),
        tarn_type_of(TARN_TYPE_DATE),
        tarn_type_of(TARN_TYPE_TIME),
        tarn_type_of(TARN_TYPE_TEXT),
        {.id = TARN_TYPE_TEXT, .length = 7},
        tarn_type_of(TARN_TYPE_BYTEA),
        {.id = TARN_TYPE_TIMESTAMP, .precision = 0},
        tarn_type_of(TARN_TYPE_TIMESTAMPTZ),
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        tarn_buffer text = {0};
        assert_ok(lake_type_format(types[i], i % 2 == 0, &text, &test_error));
        lake_type type;
        assert_ok(lake_type_parse(tarn_buffer_slice(&text), &type, &test_error));
        assert_true(tarn_type_equal(type.type, types[i]));
        assert_int_equal(type.not_null, i % 2 == 0);
        tarn_buffer_free(&text);
    }
}

TEST(types_only_widen) {
    const struct {
        const char *from;
        const char *to;
        bool widens;
    } cases[] = {
        {"INT", "BIGINT", true},
        {"BIGINT", "INT", false},
        {"TINYINT", "INT", true},
        {"FLOAT", "DOUBLE", true},
        {"INT", "DOUBLE", false},
        {"DECIMAL(10, 2)", "DECIMAL(12, 2)", true},
        {"DECIMAL(10, 2)", "DECIMAL(12, 3)", false},
        {"CHAR(3)", "STRING", true},
        {"STRING", "VARCHAR(3)", false},
        {"TIMESTAMP(3)", "TIMESTAMP(6)", true},
        {"TIMESTAMP(9)", "TIMESTAMP(6)", false},
        {"TIMESTAMP(6)", "TIMESTAMP(6) WITH LOCAL TIME ZONE", false},
        {"DATE", "DATE NOT NULL", true},
        {"ARRAY", "ARRAY", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lake_type from = parse(cases[i].from);
        lake_type to = parse(cases[i].to);
        assert_int_equal(lake_type_widens(&from, &to), cases[i].widens);
    }
}

// ---- schemas ----

static const test_column COLUMNS[] = {{"id", TARN_TYPE_BIGINT, false},
                                      {"day", TARN_TYPE_DATE, false},
                                      {"name", TARN_TYPE_TEXT, true},
                                      {"price", TARN_TYPE_DOUBLE, false}};

static tarn_status make(const char *primary, const char *partition, const char *const *options,
                        tarn_arena *arena, lake_schema *ret_schema) {
    test_definition d;
    const tarn_table_definition *definition = define(&d, COLUMNS, 4, primary, partition, options);
    return lake_schema_new(definition, 1700000000123, arena, ret_schema, &test_error);
}

// The text is a promise to every reader: a change here needs a reason that they accept too.
TEST(a_new_schema_is_written_as_ever) {
    static const char golden[] = "{\n"
                                 "  \"version\": 3,\n"
                                 "  \"id\": 0,\n"
                                 "  \"fields\": [\n"
                                 "    {\n"
                                 "      \"id\": 0,\n"
                                 "      \"name\": \"id\",\n"
                                 "      \"type\": \"BIGINT NOT NULL\"\n"
                                 "    },\n"
                                 "    {\n"
                                 "      \"id\": 1,\n"
                                 "      \"name\": \"day\",\n"
                                 "      \"type\": \"DATE NOT NULL\"\n"
                                 "    },\n"
                                 "    {\n"
                                 "      \"id\": 2,\n"
                                 "      \"name\": \"name\",\n"
                                 "      \"type\": \"STRING NOT NULL\"\n"
                                 "    },\n"
                                 "    {\n"
                                 "      \"id\": 3,\n"
                                 "      \"name\": \"price\",\n"
                                 "      \"type\": \"DOUBLE\"\n"
                                 "    }\n"
                                 "  ],\n"
                                 "  \"highestFieldId\": 3,\n"
                                 "  \"partitionKeys\": [\n"
                                 "    \"day\"\n"
                                 "  ],\n"
                                 "  \"primaryKeys\": [\n"
                                 "    \"id\",\n"
                                 "    \"day\"\n"
                                 "  ],\n"
                                 "  \"options\": {\n"
                                 "    \"sequence.field\": \"price\",\n"
                                 "    \"bucket\": \"1\"\n"
                                 "  },\n"
                                 "  \"timeMillis\": 1700000000123\n"
                                 "}";
    const char *options[] = {"sequence.field=price", NULL};
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    lake_schema schema;
    tarn_buffer json = {0};
    assert_ok(make("id,day", "day", options, &arena, &schema));
    assert_ok(lake_schema_encode(&schema, &json, &test_error));
    assert_true(tarn_buffer_append_byte(&json, 0));
    assert_string_equal((const char *)json.data, golden);
    tarn_buffer_free(&json);
    tarn_arena_reset(&arena);
}

TEST(keys_are_derived_from_a_stored_schema) {
    static const char json[] =
        "{\"version\":3,\"id\":7,\"fields\":[{\"id\":4,\"name\":\"a\",\"type\":\"INT NOT NULL\"},"
        "{\"id\":9,\"name\":\"b\",\"type\":{\"type\":\"ARRAY\",\"element\":\"INT\"}},"
        "{\"id\":5,\"name\":\"c\",\"type\":\"STRING NOT NULL\"},"
        "{\"id\":6,\"name\":\"p\",\"type\":\"STRING NOT NULL\"}],\"highestFieldId\":9,"
        "\"partitionKeys\":[\"p\"],\"primaryKeys\":[\"p\",\"c\",\"a\"],"
        "\"options\":{\"bucket\":\"4\",\"bucket-key\":\"a\",\"sequence.field\":\"c, a\"},"
        "\"future\":1,\"timeMillis\":1}";
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    lake_schema schema;
    assert_ok(lake_schema_decode(TARN_LIT(json), &arena, &schema, &test_error));
    assert_int_equal(schema.id, 7);
    assert_int_equal(schema.key.count, 2); // without the partition, in the order of the list
    assert_int_equal(schema.key.indices[0], 2);
    assert_int_equal(schema.key.indices[1], 0);
    assert_int_equal(schema.bucket_key.count, 1);
    assert_int_equal(schema.bucket_key.indices[0], 0);
    assert_int_equal(schema.sequence.count, 2);
    assert_int_equal(schema.sequence.indices[0], 2);
    assert_int_equal(schema.options.bucket, 4);
    assert_int_equal(lake_schema_find_id(&schema, 9), 1);
    assert_int_equal(schema.fields[1].type.kind, LAKE_OTHER);
    assert_int_equal(lake_schema_check_use(&schema, LAKE_USE_WRITE, &test_error), TARN_UNSUPPORTED);
    assert_non_null(strstr(test_error.message, "'b'"));
    assert_ok(lake_schema_check_use(&schema, LAKE_USE_READ, &test_error));
    tarn_arena_reset(&arena);
}

TEST(old_versions_have_their_old_defaults) {
    static const char json[] =
        "{\"id\":0,\"fields\":[{\"id\":0,\"name\":\"a\",\"type\":\"INT NOT NULL\"}],"
        "\"primaryKeys\":[\"a\"],\"options\":{}}";
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    lake_schema schema;
    assert_ok(lake_schema_decode(TARN_LIT(json), &arena, &schema, &test_error));
    assert_int_equal(schema.options.bucket, 1);
    assert_int_equal(lake_schema_check_use(&schema, LAKE_USE_WRITE, &test_error), TARN_UNSUPPORTED);
    assert_non_null(strstr(test_error.message, "ORC"));
    tarn_arena_reset(&arena);
}

static void assert_refused(const char *primary, const char *partition, const char *option,
                           tarn_status status, const char *says) {
    const char *options[] = {option, NULL};
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    lake_schema schema;
    assert_int_equal(make(primary, partition, options, &arena, &schema), status);
    if (strstr(test_error.message, says) == NULL) {
        fail_msg("'%s' does not say '%s'", test_error.message, says);
    }
    tarn_arena_reset(&arena);
}

TEST(wrong_definitions_are_refused_by_name) {
    assert_refused("idd", NULL, NULL, TARN_INVALID, "'idd'");
    assert_string_equal(test_error.hint, "did you mean 'id'?");
    assert_refused("id,id", NULL, NULL, TARN_INVALID, "twice");
    assert_refused("price", NULL, NULL, TARN_UNSUPPORTED, "DOUBLE");
    assert_refused(NULL, "price", NULL, TARN_UNSUPPORTED, "'price'");
    assert_refused("day", "day", NULL, TARN_INVALID, "only partition columns");
    assert_refused("id", "day", NULL, TARN_UNSUPPORTED, "'day'");
    assert_refused("id", NULL, "bucket=-1", TARN_UNSUPPORTED, "bucket");
    assert_refused(NULL, NULL, "bucket=2", TARN_UNSUPPORTED, "bucket");
    assert_refused("id", NULL, "bucket=x", TARN_INVALID, "bucket");
    assert_refused("id", NULL, "bucket-key=name", TARN_INVALID, "'name'");
    assert_refused(NULL, NULL, "sequence.field=price", TARN_INVALID, "primary key");
    assert_refused("id", NULL, "sequence.field=prize", TARN_INVALID, "'prize'");
}

TEST(wrong_options_are_refused_by_name) {
    assert_refused(NULL, NULL, "target-file-siz=1", TARN_INVALID, "'target-file-siz'");
    assert_string_equal(test_error.hint, "did you mean 'target-file-size'?");
    assert_refused(NULL, NULL, "target-file-size=big", TARN_INVALID, "target-file-size");
    assert_refused(NULL, NULL, "file.format=orc", TARN_UNSUPPORTED, "'file.format' = 'orc'");
    assert_refused("id", NULL, "merge-engine=aggregation", TARN_UNSUPPORTED, "merge-engine");
    assert_refused("id", NULL, "changelog-producer=lookup", TARN_UNSUPPORTED, "changelog-producer");
    assert_refused(NULL, NULL, "file.compression=brotli", TARN_INVALID, "file.compression");
    assert_refused(NULL, NULL, "metadata.stats-mode=truncate(x)", TARN_INVALID, "stats-mode");
    assert_refused(NULL, NULL, "partition.default-name=a/b", TARN_INVALID, "default-name");
}

TEST(sizes_and_durations_have_units) {
    const tarn_option options[] = {{TARN_LIT("target-file-size"), TARN_LIT("3 mb")},
                                   {TARN_LIT("manifest.target-file-size"), TARN_LIT("17")},
                                   {TARN_LIT("commit.max-retry-wait"), TARN_LIT("2 min")},
                                   {TARN_LIT("metadata.stats-mode"), TARN_LIT("truncate(7)")}};
    lake_options parsed;
    assert_ok(lake_options_parse(options, 4, false, &parsed, &test_error));
    assert_int_equal(parsed.target_file_bytes, 3 << 20);
    assert_int_equal(parsed.manifest_target_bytes, 17);
    assert_int_equal(parsed.commit_max_wait_ms, 120000);
    assert_int_equal(parsed.stats_mode, LAKE_STATS_TRUNCATE);
    assert_int_equal(parsed.stats_length, 7);
}

TEST(unknown_options_of_foreign_tables_stop_writers_only_if_they_change_behaviour) {
    const tarn_option harmless[] = {{TARN_LIT("owner"), TARN_LIT("me")}};
    const tarn_option changing[] = {{TARN_LIT("fields.a.aggregate-function"), TARN_LIT("sum")}};
    assert_ok(lake_options_check_use(harmless, 1, LAKE_USE_WRITE, &test_error));
    assert_ok(lake_options_check_use(changing, 1, LAKE_USE_READ, &test_error));
    assert_int_equal(lake_options_check_use(changing, 1, LAKE_USE_WRITE, &test_error),
                     TARN_UNSUPPORTED);
    assert_non_null(strstr(test_error.message, "fields.a.aggregate-function"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_types_are_read),
        cmocka_unit_test(other_spellings_are_read),
        cmocka_unit_test(types_that_tarn_does_not_have_are_known_by_name),
        cmocka_unit_test(malformed_types_are_refused_with_the_place),
        cmocka_unit_test(written_types_are_read_back),
        cmocka_unit_test(types_only_widen),
        cmocka_unit_test(a_new_schema_is_written_as_ever),
        cmocka_unit_test(keys_are_derived_from_a_stored_schema),
        cmocka_unit_test(old_versions_have_their_old_defaults),
        cmocka_unit_test(wrong_definitions_are_refused_by_name),
        cmocka_unit_test(wrong_options_are_refused_by_name),
        cmocka_unit_test(sizes_and_durations_have_units),
        cmocka_unit_test(
            unknown_options_of_foreign_tables_stop_writers_only_if_they_change_behaviour),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
