#include "format/json/json.h"

#include "tests/format/rows.h"

static tarn_field fields[4];
static const tarn_schema schema = {fields, 4};

static int set_fields(void **state) {
    fields[0] = (tarn_field){TARN_LIT("id"), tarn_type_of(TARN_TYPE_BIGINT), true, -1};
    fields[1] = (tarn_field){TARN_LIT("name"), tarn_type_of(TARN_TYPE_TEXT), false, -1};
    fields[2] = (tarn_field){TARN_LIT("price"), tarn_type_numeric(38, 20), false, -1};
    fields[3] = (tarn_field){TARN_LIT("ok"), tarn_type_of(TARN_TYPE_BOOLEAN), false, -1};
    return test_seed(state);
}

// Reads everything into "rows" and the bad records into "bad" (a line each: line, column, byte
// offset, raw bytes).
typedef struct reading {
    tarn_buffer rows;
    tarn_buffer bad;
    tarn_error last; // error of the last bad record
} reading;

static void free_reading(reading *r) {
    tarn_buffer_free(&r->rows);
    tarn_buffer_free(&r->bad);
}

static void read_with(const tarn_schema *with, tarn_slice json, tarn_json_options options,
                      reading *r) {
    tarn_object *object = test_object("a.json", json);
    tarn_json_reader *reader = NULL;
    assert_int_equal(tarn_json_reader_new(&tarn_alloc_libc, object, with, &options, &reader, NULL),
                     TARN_OK);
    for (;;) {
        const tarn_chunk *chunk = NULL;
        tarn_bad_record bad;
        tarn_error err = {0};
        if (tarn_json_reader_next(reader, &chunk, &bad, &err) != TARN_OK) {
            fail_msg("%s", err.message);
        }
        if (chunk == NULL) break;
        assert_true(chunk->row_count <= TARN_CHUNK_ROWS);
        test_append_rows(chunk, &r->rows);
        if (bad.line == 0) continue;
        assert_true(bad.error.status != TARN_OK);
        assert_true(bad.byte_offset + bad.raw.len <= json.len);
        assert_memory_equal(json.data + bad.byte_offset, bad.raw.data, bad.raw.len);
        assert_true(tarn_buffer_printf(&r->bad, "%llu:%llu@%llu " TARN_SLICE_FMT "\n",
                                       (unsigned long long)bad.line, (unsigned long long)bad.column,
                                       (unsigned long long)bad.byte_offset,
                                       TARN_SLICE_ARG(bad.raw)));
        r->last = bad.error;
    }
    assert_int_equal(tarn_json_reader_offset(reader), json.len);
    tarn_json_reader_free(reader);
    tarn_object_close(object);
}

static void assert_reads(const char *json, const char *rows) {
    reading r = {0};
    read_with(&schema, tarn_slice_from_cstr(json), (tarn_json_options){0}, &r);
    test_assert_text(&r.bad, "");
    test_assert_text(&r.rows, rows);
    free_reading(&r);
}

// ---- what is read ----

TEST(fields_are_matched_by_name_in_any_order) {
    assert_reads("", "");
    assert_reads("{\"id\":1,\"name\":\"ann\",\"price\":2.5,\"ok\":true}\n",
                 "1|ann|2.50000000000000000000|t\n");
    assert_reads(" { \"ok\" : false , \"price\" : null , \"id\" : 1 } \r\n\n  \n{\"id\":2}",
                 "1|~|~|f\n2|~|~|~\n");
    assert_reads("\xEF\xBB\xBF{\"id\":1}\n", "1|~|~|~\n");
    assert_reads("{\"id\":1,\"other\":{\"a\":[1,{},[]],\"b\":\"}\"},\"name\":\"x\"}\n",
                 "1|x|~|~\n");
    assert_reads("{\"id\":1,\"name\":null,\"id\":2,\"name\":\"last\"}\n", "2|last|~|~\n");
    assert_reads("{\"\\u0069d\":1}\n", "1|~|~|~\n");
}

TEST(numbers_are_exact_and_may_be_strings) {
    assert_reads("{\"id\":9223372036854775807,\"price\":12345678901234567.12345678901234567891}\n",
                 "9223372036854775807|~|12345678901234567.12345678901234567891|~\n");
    assert_reads(
        "{\"id\":\"-5\",\"price\":\"0.00000000000000000001\"}\n{\"id\":7,\"price\":1e-3}\n",
        "-5|~|0.00000000000000000001|~\n7|~|0.00100000000000000000|~\n");
    assert_reads("{\"id\":0,\"ok\":\"yes\"}\n", "0|~|~|t\n");
}

TEST(strings_may_hold_every_escape) {
    assert_reads(
        "{\"id\":1,\"name\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00"
        "\303\251\"}\n",
        "1|\"\\/\b\f\n\r\tA\303\251\342\202\254\360\237\230\200\303\251|~|~\n");
}

TEST(text_takes_any_value_as_it_is_written) {
    assert_reads("{\"id\":1,\"name\":1.50}\n{\"id\":2,\"name\":true}\n"
                 "{\"id\":3,\"name\":{ \"a\" : [ 1, \"x\" ] } }\n{\"id\":4,\"name\":[ ] }\n",
                 "1|1.50|~|~\n2|true|~|~\n3|{ \"a\" : [ 1, \"x\" ] }|~|~\n4|[ ]|~|~\n");
}

// ---- what is refused ----

typedef struct bad_case {
    const char *json;
    const char *message; // behind "json file 'a.json': line 1"
    const char *sqlstate;
} bad_case;

static void assert_refused(const bad_case *bad, tarn_json_options options, const char *hint) {
    tarn_buffer json = {0};
    assert_true(tarn_buffer_printf(&json, "%s\n{\"id\":2}\n", bad->json));
    reading r = {0};
    read_with(&schema, tarn_buffer_slice(&json), options, &r);
    test_assert_text(&r.rows, "2|~|~|~\n"); // and the rest is read
    char message[TARN_ERROR_MESSAGE_MAX];
    (void)snprintf(message, sizeof message, "json file 'a.json': line 1%s", bad->message);
    assert_string_equal(r.last.message, message);
    assert_string_equal(r.last.sqlstate, bad->sqlstate);
    assert_string_equal(r.last.hint, hint);
    free_reading(&r);
    tarn_buffer_free(&json);
}

TEST(wrong_values_are_named_by_their_place) {
    static const bad_case cases[] = {
        {"{\"id\":\"x\"}", ", column 7 ('id'), byte 6: invalid input syntax for type bigint: \"x\"",
         "22P02"},
        {"{\"id\":1.5}", ", column 7 ('id'), byte 6: invalid input syntax for type bigint: \"1.5\"",
         "22P02"},
        {"{\"id\":true}", ", column 7 ('id'), byte 6: a boolean where bigint is expected", "22P02"},
        {"{\"id\":[1]}", ", column 7 ('id'), byte 6: an object or array where bigint is expected",
         "22P02"},
        {"{\"id\":1, \"ok\": 1}", ", column 16 ('ok'), byte 15: a number where boolean is expected",
         "22P02"},
        {"{\"id\":9223372036854775808}",
         ", column 7 ('id'), byte 6: value \"9223372036854775808\" is out of range for type bigint",
         "22003"},
        {"{\"id\":null}", ", column 7 ('id'), byte 6: a null in a column that is NOT NULL",
         "23502"},
        {"{\"name\":\"a\"}", ", byte 0: field 'id' is missing: a null in a column that is NOT NULL",
         "23502"},
        {"{\"id\":1,\"name\":\"\\u0000\"}",
         ", column 16 ('name'), byte 15: invalid byte sequence for encoding \"UTF8\": 0x00",
         "22021"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_refused(&cases[i], (tarn_json_options){0}, "");
    }
}

TEST(what_is_not_json_is_named_by_its_place) {
    static const struct {
        const char *json;
        const char *message;
    } cases[] = {
        {"[1]", ", column 1, byte 0: an object is expected: '{'"},
        {"{", ", column 2, byte 1: a name is expected"},
        {"{\"id\":1", ", column 8, byte 7: the object does not end on this line"},
        {"{\"id\":1,", ", column 9, byte 8: a name is expected"},
        {"{\"id\":1,}", ", column 9, byte 8: a name is expected"},
        {"{\"id\":1 \"name\":2}", ", column 9, byte 8: ',' or '}' is expected"},
        {"{\"id\" 1}", ", column 7, byte 6: ':' is expected"},
        {"{\"id\":}", ", column 7, byte 6: not a value"},
        {"{\"id\":", ", column 7, byte 6: a value is expected"},
        {"{id:1}", ", column 2, byte 1: a name is expected"},
        {"{'id':1}", ", column 2, byte 1: a name is expected"},
        {"{\"id\":1}}", ", column 9, byte 8: text behind the object"},
        {"{\"id\":1} {\"id\":2}", ", column 10, byte 9: text behind the object"},
        {"{\"id\":01}", ", column 7, byte 6: a number with leading zeros"},
        {"{\"id\":-}", ", column 7, byte 6: a number without digits"},
        {"{\"id\":1.}", ", column 7, byte 6: a number without digits behind its point"},
        {"{\"id\":1e}", ", column 7, byte 6: a number without digits in its exponent"},
        {"{\"id\":.5}", ", column 7, byte 6: not a value"},
        {"{\"id\":NaN}", ", column 7, byte 6: not a value"},
        {"{\"id\":nul}", ", column 7, byte 6: not a value"},
        {"{\"id\":1,\"name\":\"x}", ", column 16, byte 15: the string has no end"},
        {"{\"id\":1,\"name\":\"\\x\"}", ", column 17, byte 16: not an escape sequence"},
        {"{\"id\":1,\"name\":\"ab\\u12g4\"}", ", column 19, byte 18: not an escape sequence"},
        {"{\"id\":1,\"name\":\"\\ud83d\"}", ", column 17, byte 16: not an escape sequence"},
        {"{\"id\":1,\"name\":\"\\ude00\"}", ", column 17, byte 16: not an escape sequence"},
        {"{\"id\":1,\"name\":\"\\ud83d\\u0041\"}", ", column 17, byte 16: not an escape sequence"},
        {"{\"id\":1,\"name\":\"\t\"}", ", column 17, byte 16: a control character inside a string"},
        {"{\"id\":1,\"name\":\"12345678\xff\"}", ", column 25, byte 24: not UTF-8"},
        {"{\"id\":1,\"name\":\"\xc0\xaf\"}", ", column 17, byte 16: not UTF-8"},
        {"{\"id\":1,\"name\":\"\xed\xa0\x80\"}", ", column 17, byte 16: not UTF-8"},
        {"{\"id\":1,\"name\":\"\xf4\x90\x80\x80\"}", ", column 17, byte 16: not UTF-8"},
        {"{\"id\":1,\"other\":[1,}", ", column 20, byte 19: not a value"},
        {"{\"id\":1,\"other\":[1}", ", column 19, byte 18: ',' or ']' is expected"},
        {"{\"id\":1,\"other\":{1:2}}", ", column 18, byte 17: a name is expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const bad_case bad = {cases[i].json, cases[i].message, "22P02"};
        assert_refused(&bad, (tarn_json_options){0}, "");
    }
}

TEST(unknown_fields_can_be_refused_with_the_nearest_name) {
    const tarn_json_options strict = {.refuse_unknown = true};
    const bad_case near = {"{\"id\":1,\"nmae\":2}", ", column 9, byte 8: there is no column 'nmae'",
                           "42703"};
    assert_refused(&near, strict, "did you mean 'name'?");
    const bad_case far = {"{\"id\":1,\"something\":2}",
                          ", column 9, byte 8: there is no column 'something'", "42703"};
    assert_refused(&far, strict, "");
}

TEST(nesting_is_bounded) {
    for (size_t depth = 120; depth < 140; depth += 10) {
        tarn_buffer json = {0};
        assert_true(tarn_buffer_append(&json, TARN_LIT("{\"id\":1,\"other\":")));
        for (size_t i = 0; i < depth; i++) assert_true(tarn_buffer_append_byte(&json, '['));
        for (size_t i = 0; i < depth; i++) assert_true(tarn_buffer_append_byte(&json, ']'));
        assert_true(tarn_buffer_append(&json, TARN_LIT("}")));
        reading r = {0};
        read_with(&schema, tarn_buffer_slice(&json), (tarn_json_options){0}, &r);
        assert_int_equal(r.bad.len > 0, depth > 128);
        if (depth > 128) assert_non_null(strstr(r.last.message, "values nest too deep"));
        free_reading(&r);
        tarn_buffer_free(&json);
    }
}

TEST(a_record_over_the_limit_is_passed_over) {
    reading r = {0};
    read_with(&schema,
              TARN_LIT("{\"id\":1}\n{\"id\":2,\"name\":\"long, long, long\"}\n{\"id\":3}\n"),
              (tarn_json_options){.record_limit_bytes = 20}, &r);
    test_assert_text(&r.rows, "1|~|~|~\n3|~|~|~\n");
    test_assert_text(&r.bad, "2:0@9 {\"id\":2,\"name\":\"long\n");
    assert_string_equal(r.last.message,
                        "json file 'a.json': line 2, byte 9: the record is longer than the limit");
    free_reading(&r);
}

TEST(without_a_place_for_bad_records_they_fail_the_call_and_reading_goes_on_behind) {
    tarn_object *object = test_object("a.json", TARN_LIT("{\"id\":1}\nx\n{\"id\":3}\n"));
    const tarn_json_options options = {.first_line = 10};
    tarn_json_reader *reader = NULL;
    assert_int_equal(
        tarn_json_reader_new(&tarn_alloc_libc, object, &schema, &options, &reader, NULL), TARN_OK);
    const tarn_chunk *chunk = NULL;
    tarn_error err = {0};
    assert_int_equal(tarn_json_reader_next(reader, &chunk, NULL, &err), TARN_INVALID);
    assert_string_equal(err.message, "json file 'a.json': line 11, column 1, byte 9: an object is "
                                     "expected: '{'");
    assert_int_equal(tarn_json_reader_offset(reader), 11);
    assert_int_equal(tarn_json_reader_line(reader), 12);
    assert_int_equal(tarn_json_reader_next(reader, &chunk, NULL, &err), TARN_OK);
    assert_int_equal(chunk->row_count, 1);
    assert_int_equal(tarn_json_reader_next(reader, &chunk, NULL, &err), TARN_OK);
    assert_null(chunk);
    tarn_json_reader_free(reader);
    tarn_object_close(object);
}

// ---- round trips, resuming, damage ----

static const tarn_type_id ids[] = {
    TARN_TYPE_BOOLEAN, TARN_TYPE_SMALLINT,     TARN_TYPE_INTEGER,     TARN_TYPE_BIGINT,
    TARN_TYPE_REAL,    TARN_TYPE_DOUBLE,       TARN_TYPE_NUMERIC,     TARN_TYPE_DATE,
    TARN_TYPE_TIME,    TARN_TYPE_TIMESTAMP,    TARN_TYPE_TIMESTAMPTZ, TARN_TYPE_TEXT,
    TARN_TYPE_BYTEA,   TARN_TYPE_TIMESTAMP_NS,
};

#define MODEL_ROWS_MAX 40

typedef struct model {
    tarn_arena arena;
    tarn_field fields[12];
    tarn_schema schema;
    tarn_buffer json;
    tarn_buffer rows;
    size_t row_count;
    size_t offsets[MODEL_ROWS_MAX + 1];     // in the JSON
    size_t row_offsets[MODEL_ROWS_MAX + 1]; // in the rows
} model;

static void append_row(model *m) {
    tarn_chunk_builder *builder = NULL;
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, &m->schema, &builder, NULL), TARN_OK);
    tarn_value values[12];
    for (size_t c = 0; c < m->schema.field_count; c++) {
        values[c] = test_random_below(5) == 0 ? tarn_value_null(m->fields[c].type)
                                              : test_random_value(m->fields[c].type, &m->arena);
    }
    assert_int_equal(tarn_chunk_builder_append(builder, values, TARN_ROW_INSERT, NULL), TARN_OK);
    const tarn_chunk *chunk = tarn_chunk_builder_chunk(builder);
    test_append_rows(chunk, &m->rows);
    assert_int_equal(tarn_json_write(&m->schema, chunk, &m->json, NULL), TARN_OK);
    tarn_chunk_builder_free(builder);
    m->row_count++;
    m->offsets[m->row_count] = m->json.len;
    m->row_offsets[m->row_count] = m->rows.len;
}

static void make_model(model *m) {
    static const char *const names[] = {"a",   "b c", "\"q\"", "\303\251", "",  "f",
                                        "g\\", "h",   "i\n",   "j",        "k", "l"};
    *m = (model){.schema = {m->fields, 1 + test_random_below(12)}};
    tarn_arena_init(&m->arena, &tarn_alloc_libc, 1 << 26);
    for (size_t c = 0; c < m->schema.field_count; c++) {
        tarn_type type = tarn_type_of(ids[test_random_below(sizeof ids / sizeof ids[0])]);
        m->fields[c] = (tarn_field){tarn_slice_from_cstr(names[c]), type, false, -1};
    }
    for (size_t rows = test_random_below(MODEL_ROWS_MAX); rows > 0; rows--) append_row(m);
}

static void free_model(model *m) {
    tarn_buffer_free(&m->json);
    tarn_buffer_free(&m->rows);
    tarn_arena_reset(&m->arena);
}

TEST(written_rows_come_back_through_any_window_from_any_place) {
    for (int round = 0; round < 200; round++) {
        model m;
        make_model(&m);
        size_t from = test_random_below(m.row_count + 1);
        const tarn_json_options options = {.refuse_unknown = true,
                                           .first_offset = m.offsets[from],
                                           .record_limit_bytes = 20000 + test_random_below(9000)};
        reading r = {0};
        read_with(&m.schema, tarn_buffer_slice(&m.json), options, &r);
        test_assert_text(&r.bad, "");
        tarn_slice expected = tarn_slice_skip(tarn_buffer_slice(&m.rows), m.row_offsets[from]);
        assert_true(tarn_slice_equal(tarn_buffer_slice(&r.rows), expected));
        free_reading(&r);
        free_model(&m);
    }
}

TEST(any_damage_is_answered_and_the_end_is_reached) {
    for (int round = 0; round < 300; round++) {
        model m;
        make_model(&m);
        for (size_t i = test_random_below(6); i > 0 && m.json.len > 0; i--) {
            static const char bytes[] = "\",\n{}[]:\\u0-e\200\377";
            m.json.data[test_random_below(m.json.len)] =
                (uint8_t)bytes[test_random_below(sizeof bytes)];
        }
        if (m.json.len > 0) m.json.len = 1 + test_random_below(m.json.len);
        reading r = {0};
        const tarn_json_options options = {.record_limit_bytes = 40 + test_random_below(9000)};
        read_with(&m.schema, tarn_buffer_slice(&m.json), options, &r);
        free_reading(&r);
        free_model(&m);
    }
}

// ---- writing ----

TEST(values_are_written_in_json_where_it_has_a_form) {
    tarn_field all[] = {{TARN_LIT("b"), tarn_type_of(TARN_TYPE_BOOLEAN), false, -1},
                        {TARN_LIT("n"), tarn_type_numeric(5, 2), false, -1},
                        {TARN_LIT("x"), tarn_type_of(TARN_TYPE_DOUBLE), false, -1},
                        {TARN_LIT("d"), tarn_type_of(TARN_TYPE_DATE), false, -1},
                        {TARN_LIT("t\n"), tarn_type_of(TARN_TYPE_TEXT), false, -1}};
    const tarn_schema wide = {all, 5};
    tarn_chunk_builder *builder = NULL;
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, &wide, &builder, NULL), TARN_OK);
    tarn_value row[] = {{.type = all[0].type, .boolean = true},
                        {.type = all[1].type, .i64 = -150},
                        {.type = all[2].type, .f64 = 1e300},
                        {.type = all[3].type, .i64 = 0},
                        {.type = all[4].type, .bytes = TARN_LIT("a\"\\/\1\t\303\251")}};
    assert_int_equal(tarn_chunk_builder_append(builder, row, TARN_ROW_INSERT, NULL), TARN_OK);
    for (size_t c = 0; c < 5; c++) row[c].is_null = c != 2;
    row[2].f64 = __builtin_inf();
    assert_int_equal(tarn_chunk_builder_append(builder, row, TARN_ROW_INSERT, NULL), TARN_OK);
    tarn_buffer json = {0};
    assert_int_equal(tarn_json_write(&wide, tarn_chunk_builder_chunk(builder), &json, NULL),
                     TARN_OK);
    test_assert_text(&json,
                     "{\"b\":true,\"n\":-1.50,\"x\":1e+300,\"d\":\"1970-01-01\",\"t\\n\":"
                     "\"a\\\"\\\\/\\u0001\\t\303\251\"}\n"
                     "{\"b\":null,\"n\":null,\"x\":\"Infinity\",\"d\":null,\"t\\n\":null}\n");
    json.limit_bytes = json.capacity_bytes;
    size_t before = json.len;
    tarn_status status = TARN_OK;
    while (status == TARN_OK) {
        before = json.len;
        status = tarn_json_write(&wide, tarn_chunk_builder_chunk(builder), &json, NULL);
    }
    assert_int_equal(status, TARN_NO_MEMORY);
    assert_int_equal(json.len, before);
    tarn_buffer_free(&json);
    tarn_chunk_builder_free(builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_matched_by_name_in_any_order),
        cmocka_unit_test(numbers_are_exact_and_may_be_strings),
        cmocka_unit_test(strings_may_hold_every_escape),
        cmocka_unit_test(text_takes_any_value_as_it_is_written),
        cmocka_unit_test(wrong_values_are_named_by_their_place),
        cmocka_unit_test(what_is_not_json_is_named_by_its_place),
        cmocka_unit_test(unknown_fields_can_be_refused_with_the_nearest_name),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(a_record_over_the_limit_is_passed_over),
        cmocka_unit_test(
            without_a_place_for_bad_records_they_fail_the_call_and_reading_goes_on_behind),
        cmocka_unit_test(written_rows_come_back_through_any_window_from_any_place),
        cmocka_unit_test(any_damage_is_answered_and_the_end_is_reached),
        cmocka_unit_test(values_are_written_in_json_where_it_has_a_form),
    };
    return cmocka_run_group_tests(tests, set_fields, NULL);
}
