// The Arrow C data interface.
#include "tests/column/helpers.h"

#define ROUNDS       200
#define COLUMNS_MOST 6
#define ROWS_MOST    (TARN_CHUNK_ROWS < 300 ? TARN_CHUNK_ROWS : 300)

// ---- round trip ----

typedef struct sample_chunk {
    tarn_schema schema;
    tarn_chunk chunk;
    tarn_arena arena;
} sample_chunk;

static void make_sample(sample_chunk *sample) {
    sample->arena = test_arena();
    size_t row_count = 1 + test_random_below(ROWS_MOST);
    size_t column_count = 1 + test_random_below(COLUMNS_MOST);
    tarn_vector *columns = tarn_arena_new(&sample->arena, tarn_vector, column_count);
    tarn_field *fields = tarn_arena_new(&sample->arena, tarn_field, column_count);
    assert_true(columns != NULL && fields != NULL);
    for (size_t i = 0; i < column_count; i++) {
        columns[i] = random_vector((tarn_vector_kind)test_random_below(3), random_type(), row_count,
                                   &sample->arena);
        fields[i] =
            (tarn_field){.type = columns[i].type, .not_null = test_random_below(2) == 0, .id = -1};
        assert_true(tarn_arena_printf(&sample->arena, &fields[i].name, "column %zu", i));
    }
    sample->schema = (tarn_schema){fields, column_count};
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

TEST(what_is_exported_can_be_imported) {
    for (int round = 0; round < ROUNDS; round++) {
        sample_chunk sample;
        make_sample(&sample);
        size_t count = tarn_chunk_count(&sample.chunk);
        struct ArrowSchema arrow_schema;
        struct ArrowArray arrow;
        tarn_error err = {0};
        assert_int_equal(tarn_arrow_export_schema(&sample.schema, &arrow_schema, NULL), TARN_OK);
        assert_int_equal(tarn_arrow_export_chunk(&sample.schema, &sample.chunk, &arrow, NULL),
                         TARN_OK);
        assert_int_equal(arrow.length, count);

        tarn_arena arena = test_arena();
        tarn_schema schema;
        assert_int_equal(tarn_arrow_import_schema(&arrow_schema, &arena, &schema, NULL), TARN_OK);
        assert_int_equal(schema.field_count, sample.schema.field_count);
        for (size_t i = 0; i < schema.field_count; i++) {
            assert_true(tarn_slice_equal(schema.fields[i].name, sample.schema.fields[i].name));
            assert_true(tarn_type_equal(schema.fields[i].type, sample.schema.fields[i].type));
            assert_int_equal(schema.fields[i].not_null, sample.schema.fields[i].not_null);
        }
        size_t first = test_random_below(count + 1);
        tarn_chunk back;
        if (tarn_arrow_import_chunk(&arrow_schema, &arrow, &schema, first, count - first, &arena,
                                    &back, &err) != TARN_OK) {
            fail_msg("%s", err.message);
        }
        assert_int_equal(back.row_count, count - first);
        for (size_t i = 0; i < back.row_count; i++) {
            size_t row = tarn_chunk_row(&sample.chunk, first + i);
            for (size_t c = 0; c < back.column_count; c++) {
                assert_value_equal(tarn_vector_get(&back.columns[c], i),
                                   tarn_vector_get(&sample.chunk.columns[c], row));
            }
        }
        arrow.release(&arrow);
        arrow_schema.release(&arrow_schema);
        tarn_arena_reset(&arena);
        free_sample(&sample);
    }
}

TEST(an_export_owns_its_copies) {
    sample_chunk sample;
    make_sample(&sample);
    struct ArrowSchema arrow_schema;
    struct ArrowArray arrow;
    assert_int_equal(tarn_arrow_export_schema(&sample.schema, &arrow_schema, NULL), TARN_OK);
    assert_int_equal(tarn_arrow_export_chunk(&sample.schema, &sample.chunk, &arrow, NULL), TARN_OK);
    free_sample(&sample); // what is read below must not be there any more
    tarn_arena arena = test_arena();
    tarn_schema schema;
    tarn_chunk back;
    assert_int_equal(tarn_arrow_import_schema(&arrow_schema, &arena, &schema, NULL), TARN_OK);
    assert_int_equal(tarn_arrow_import_chunk(&arrow_schema, &arrow, &schema, 0,
                                             (size_t)arrow.length, &arena, &back, NULL),
                     TARN_OK);
    arrow.release(&arrow);
    assert_null(arrow.release); // as the interface asks
    arrow_schema.release(&arrow_schema);
    assert_null(arrow_schema.release);
    tarn_arena_reset(&arena);
}

TEST(a_child_may_be_moved_out_and_outlive_its_parent) {
    sample_chunk sample;
    make_sample(&sample);
    struct ArrowSchema arrow_schema;
    struct ArrowArray arrow;
    assert_int_equal(tarn_arrow_export_schema(&sample.schema, &arrow_schema, NULL), TARN_OK);
    assert_int_equal(tarn_arrow_export_chunk(&sample.schema, &sample.chunk, &arrow, NULL), TARN_OK);
    struct ArrowSchema field = *arrow_schema.children[0];
    struct ArrowArray column = *arrow.children[0];
    arrow_schema.children[0]->release = NULL;
    arrow.children[0]->release = NULL;
    arrow_schema.release(&arrow_schema);
    arrow.release(&arrow);
    assert_true(strlen(field.format) > 0);
    assert_int_equal(column.length, tarn_chunk_count(&sample.chunk));
    field.release(&field);
    column.release(&column);
    free_sample(&sample);
}

TEST(types_have_the_formats_of_the_specification) {
    const struct {
        tarn_type type;
        const char *format;
    } cases[] = {
        {tarn_type_of(TARN_TYPE_BOOLEAN), "b"},
        {tarn_type_of(TARN_TYPE_TEXT), "u"},
        {tarn_type_of(TARN_TYPE_BYTEA), "z"},
        {tarn_type_numeric(10, 2), "d:10,2"},
        {tarn_type_of(TARN_TYPE_DATE), "tdD"},
        {tarn_type_of(TARN_TYPE_TIME), "ttu"},
        {tarn_type_of(TARN_TYPE_TIMESTAMP), "tsu:"},
        {tarn_type_of(TARN_TYPE_TIMESTAMPTZ), "tsu:UTC"},
        {tarn_type_of(TARN_TYPE_TIMESTAMPTZ_NS), "tsn:UTC"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_field field = {.name = TARN_LIT("x"), .type = cases[i].type};
        struct ArrowSchema arrow;
        assert_int_equal(tarn_arrow_export_schema(&(tarn_schema){&field, 1}, &arrow, NULL),
                         TARN_OK);
        assert_string_equal(arrow.format, "+s");
        assert_string_equal(arrow.children[0]->format, cases[i].format);
        assert_string_equal(arrow.children[0]->name, "x");
        assert_int_equal(arrow.children[0]->flags, ARROW_FLAG_NULLABLE);
        arrow.release(&arrow);
    }
}

// The buffers, byte by byte, of a column with a null.
TEST(exported_buffers_are_those_of_the_specification) {
    tarn_arena arena = test_arena();
    tarn_type types[] = {tarn_type_of(TARN_TYPE_BOOLEAN), tarn_type_of(TARN_TYPE_TEXT),
                         tarn_type_numeric(5, 2)};
    tarn_vector columns[3];
    tarn_field fields[3];
    for (size_t c = 0; c < 3; c++) {
        columns[c] = random_flat(types[c], 3, true, &arena);
        fields[c] = (tarn_field){.name = TARN_LIT("x"), .type = types[c]};
        tarn_vector_set(&columns[c], 1, tarn_value_null(types[c]));
    }
    tarn_vector_set(&columns[0], 0, (tarn_value){.type = types[0], .boolean = true});
    tarn_vector_set(&columns[0], 2, (tarn_value){.type = types[0], .boolean = true});
    tarn_vector_set(&columns[1], 0, (tarn_value){.type = types[1], .bytes = TARN_LIT("ab")});
    tarn_vector_set(&columns[1], 2, (tarn_value){.type = types[1], .bytes = TARN_LIT("c")});
    tarn_vector_set(&columns[2], 0, (tarn_value){.type = types[2], .i64 = -1});
    tarn_vector_set(&columns[2], 2, (tarn_value){.type = types[2], .i64 = 12345});
    tarn_chunk chunk = {.row_count = 3, .column_count = 3, .columns = columns};
    tarn_schema schema = {fields, 3};
    struct ArrowArray arrow;
    assert_int_equal(tarn_arrow_export_chunk(&schema, &chunk, &arrow, NULL), TARN_OK);
    for (size_t c = 0; c < 3; c++) {
        assert_int_equal(arrow.children[c]->null_count, 1);
        assert_int_equal(*(const uint8_t *)arrow.children[c]->buffers[0], 5);
    }
    assert_int_equal(*(const uint8_t *)arrow.children[0]->buffers[1], 5);
    assert_memory_equal(arrow.children[1]->buffers[1], ((int32_t[]){0, 2, 2, 3}), 16);
    assert_memory_equal(arrow.children[1]->buffers[2], "abc", 3);
    tarn_int128 decimals[3] = {-1, 0, 12345};
    assert_memory_equal(arrow.children[2]->buffers[1], decimals, sizeof decimals);
    arrow.release(&arrow);
    tarn_arena_reset(&arena);
}

// ---- arrays of others ----

static int release_count;

static void count_schema_release(struct ArrowSchema *schema) {
    release_count++;
    schema->release = NULL;
}

static void count_array_release(struct ArrowArray *array) {
    release_count++;
    array->release = NULL;
}

// A struct of one column, put together by hand.
typedef struct foreign {
    struct ArrowSchema root_schema;
    struct ArrowSchema field;
    struct ArrowSchema value_field; // of a dictionary
    struct ArrowArray root;
    struct ArrowArray column;
    struct ArrowArray values;
    struct ArrowSchema *fields[1];
    struct ArrowArray *columns[1];
    const void *root_buffers[1];
    const void *column_buffers[3];
    const void *value_buffers[3];
} foreign;

static void init_foreign(foreign *f, const char *format, int64_t length, int64_t buffer_count) {
    *f = (foreign){
        .field = {.format = format,
                  .name = "x",
                  .flags = ARROW_FLAG_NULLABLE,
                  .release = count_schema_release},
        .root_schema = {.format = "+s", .n_children = 1, .release = count_schema_release},
        .column = {.length = length, .n_buffers = buffer_count, .release = count_array_release},
        .root = {
            .length = length, .n_buffers = 1, .n_children = 1, .release = count_array_release}};
    f->fields[0] = &f->field;
    f->columns[0] = &f->column;
    f->root_schema.children = f->fields;
    f->root.children = f->columns;
    f->root.buffers = f->root_buffers;
    f->column.buffers = f->column_buffers;
    release_count = 0;
}

static void set_dictionary(foreign *f, const char *format, int64_t length, int64_t buffer_count) {
    f->value_field = (struct ArrowSchema){.format = format, .release = count_schema_release};
    f->values = (struct ArrowArray){.length = length,
                                    .n_buffers = buffer_count,
                                    .buffers = f->value_buffers,
                                    .release = count_array_release};
    f->field.dictionary = &f->value_field;
    f->column.dictionary = &f->values;
}

static tarn_status import_foreign(const foreign *f, tarn_arena *arena, tarn_vector *ret_column,
                                  tarn_error *err) {
    tarn_schema schema;
    tarn_chunk chunk;
    TARN_TRY(tarn_arrow_import_schema(&f->root_schema, arena, &schema, err));
    TARN_TRY(tarn_arrow_import_chunk(&f->root_schema, &f->root, &schema, 0, (size_t)f->root.length,
                                     arena, &chunk, err));
    *ret_column = chunk.columns[0];
    return TARN_OK;
}

// Imports, and compares with what the rows print as (NULL: null).
static void assert_imported(const foreign *f, tarn_type type, const char *const *expected) {
    tarn_arena arena = test_arena();
    tarn_vector column;
    tarn_error err = {0};
    if (import_foreign(f, &arena, &column, &err) != TARN_OK) fail_msg("%s", err.message);
    assert_true(tarn_type_equal(column.type, type));
    for (size_t i = 0; i < (size_t)f->root.length; i++) {
        tarn_value value = tarn_vector_get(&column, i);
        assert_int_equal(value.is_null, expected[i] == NULL);
        if (value.is_null) continue;
        tarn_buffer text = {0};
        assert_int_equal(tarn_value_format(value, &text, NULL), TARN_OK);
        assert_true(tarn_buffer_append_byte(&text, 0));
        assert_string_equal((const char *)text.data, expected[i]);
        tarn_buffer_free(&text);
    }
    assert_int_equal(release_count, 0); // import does not own
    tarn_arena_reset(&arena);
}

static void assert_not_imported(const foreign *f, tarn_status status, const char *message) {
    tarn_arena arena = test_arena();
    tarn_vector column;
    tarn_error err = {0};
    assert_int_equal(import_foreign(f, &arena, &column, &err), status);
    assert_string_equal(err.message, message);
    assert_int_equal(release_count, 0);
    tarn_arena_reset(&arena);
}

#define EXPECT(...) ((const char *const[]){__VA_ARGS__})

TEST(integers_of_every_width_are_imported) {
    foreign f;
    const struct {
        const char *format;
        const void *values;
        tarn_type_id id;
        const char *expected[2];
    } cases[] = {
        {"c", (int8_t[]){-128, 127}, TARN_TYPE_SMALLINT, {"-128", "127"}},
        {"C", (uint8_t[]){0, 255}, TARN_TYPE_SMALLINT, {"0", "255"}},
        {"s", (int16_t[]){-32768, 1}, TARN_TYPE_SMALLINT, {"-32768", "1"}},
        {"S", (uint16_t[]){0, 65535}, TARN_TYPE_INTEGER, {"0", "65535"}},
        {"i", (int32_t[]){-1, 1}, TARN_TYPE_INTEGER, {"-1", "1"}},
        {"I", (uint32_t[]){0, UINT32_MAX}, TARN_TYPE_BIGINT, {"0", "4294967295"}},
        {"l", (int64_t[]){-1, 1}, TARN_TYPE_BIGINT, {"-1", "1"}},
        {"L", (uint64_t[]){0, INT64_MAX}, TARN_TYPE_BIGINT, {"0", "9223372036854775807"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        init_foreign(&f, cases[i].format, 2, 2);
        f.column_buffers[1] = cases[i].values;
        assert_imported(&f, tarn_type_of(cases[i].id), cases[i].expected);
    }
    init_foreign(&f, "L", 2, 2);
    f.column_buffers[1] = (uint64_t[]){0, (uint64_t)INT64_MAX + 1};
    assert_not_imported(&f, TARN_INVALID,
                        "column 'x': the value in row 2 is out of range for type bigint");
}

TEST(moments_of_every_unit_are_imported) {
    foreign f;
    const struct {
        const char *format;
        const void *values;
        tarn_type type;
        const char *expected[1];
    } cases[] = {
        {"tdm", (int64_t[]){-86400000}, tarn_type_of(TARN_TYPE_DATE), {"1969-12-31"}},
        {"tts", (int32_t[]){3661}, {.id = TARN_TYPE_TIME}, {"01:01:01"}},
        {"ttm", (int32_t[]){1500}, {.id = TARN_TYPE_TIME, .precision = 3}, {"00:00:01.5"}},
        {"ttn", (int64_t[]){1000}, tarn_type_of(TARN_TYPE_TIME), {"00:00:00.000001"}},
        {"tss:", (int64_t[]){-1}, {.id = TARN_TYPE_TIMESTAMP}, {"1969-12-31 23:59:59"}},
        {"tsm:Europe/Berlin",
         (int64_t[]){1},
         {.id = TARN_TYPE_TIMESTAMPTZ, .precision = 3},
         {"1970-01-01 00:00:00.001+00"}},
        {"tsn:",
         (int64_t[]){1},
         tarn_type_of(TARN_TYPE_TIMESTAMP_NS),
         {"1970-01-01 00:00:00.000000001"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        init_foreign(&f, cases[i].format, 1, 2);
        f.column_buffers[1] = cases[i].values;
        assert_imported(&f, cases[i].type, cases[i].expected);
    }
    init_foreign(&f, "ttn", 1, 2);
    f.column_buffers[1] = (int64_t[]){1};
    assert_not_imported(
        &f, TARN_INVALID,
        "column 'x': the value in row 1 is out of range for type time without time zone");
    init_foreign(&f, "tss:", 1, 2);
    f.column_buffers[1] = (int64_t[]){INT64_MAX};
    assert_not_imported(&f, TARN_INVALID,
                        "column 'x': the value in row 1 is out of range for type timestamp(0) "
                        "without time zone");
}

TEST(large_and_fixed_strings_are_imported) {
    foreign f;
    init_foreign(&f, "U", 3, 3);
    f.column_buffers[1] = (int64_t[]){0, 2, 2, 3};
    f.column_buffers[2] = "abc";
    assert_imported(&f, tarn_type_of(TARN_TYPE_TEXT), EXPECT("ab", "", "c"));
    init_foreign(&f, "w:2", 2, 2);
    f.column_buffers[1] = "abcd";
    assert_imported(&f, tarn_type_of(TARN_TYPE_BYTEA), EXPECT("\\x6162", "\\x6364"));
    init_foreign(&f, "z", 1, 3); // all empty: there need be no bytes
    f.column_buffers[1] = (int32_t[]){0, 0};
    assert_imported(&f, tarn_type_of(TARN_TYPE_BYTEA), EXPECT("\\x"));
}

// Offsets of the struct, of the column and of the rows asked for add up.
TEST(offsets_add_up) {
    foreign f;
    init_foreign(&f, "u", 6, 3);
    f.column_buffers[0] = (uint8_t[]){0x6F, 0xFF}; // row 4 is null
    f.column_buffers[1] = (int32_t[]){0, 1, 2, 3, 4, 5, 6, 7};
    f.column_buffers[2] = "abcdefg";
    f.column.null_count = -1; // not counted
    f.column.offset = 1;
    f.root.offset = 2;
    f.root.length = 4;
    assert_imported(&f, tarn_type_of(TARN_TYPE_TEXT), EXPECT("d", NULL, "f", "g"));
}

TEST(dictionaries_are_resolved) {
    foreign f;
    init_foreign(&f, "C", 4, 2);
    set_dictionary(&f, "u", 2, 3);
    f.column.null_count = 1;
    f.column_buffers[0] = (uint8_t[]){0x0F}; // offset 1: rows 1, 2, 3 are valid, row 4 is not
    f.column_buffers[1] = (uint8_t[]){9, 1, 0, 1, 200};
    f.column.offset = 1;
    f.values.offset = 1;
    f.value_buffers[1] = (int32_t[]){0, 1, 3, 6};
    f.value_buffers[2] = "abbccc";
    assert_imported(&f, tarn_type_of(TARN_TYPE_TEXT), EXPECT("ccc", "bb", "ccc", NULL));

    f.values.null_count = 1; // and the value "bb" itself is null
    f.value_buffers[0] = (uint8_t[]){0x05};
    assert_imported(&f, tarn_type_of(TARN_TYPE_TEXT), EXPECT("ccc", NULL, "ccc", NULL));

    f.column_buffers[0] = NULL;
    f.column.null_count = 0;
    assert_not_imported(&f, TARN_INVALID,
                        "column 'x': malformed Arrow array: an index is beyond its dictionary");

    init_foreign(&f, "l", 2, 2);
    set_dictionary(&f, "g", 1, 2);
    f.column_buffers[1] = (int64_t[]){0, 0};
    f.value_buffers[1] = (double[]){1.5};
    assert_imported(&f, tarn_type_of(TARN_TYPE_DOUBLE), EXPECT("1.5", "1.5"));
}

TEST(nothing_but_nulls_goes_into_any_column) {
    foreign f;
    init_foreign(&f, "n", 2, 0);
    f.column.null_count = 2;
    f.column.buffers = NULL;
    assert_imported(&f, tarn_type_of(TARN_TYPE_NULL), EXPECT(NULL, NULL));
    tarn_arena arena = test_arena();
    tarn_field field = {.name = TARN_LIT("x"), .type = tarn_type_of(TARN_TYPE_TEXT)};
    tarn_chunk chunk;
    assert_int_equal(tarn_arrow_import_chunk(&f.root_schema, &f.root, &(tarn_schema){&field, 1}, 0,
                                             2, &arena, &chunk, NULL),
                     TARN_OK);
    assert_true(tarn_vector_is_null(&chunk.columns[0], 1));
    tarn_arena_reset(&arena);
}

TEST(decimals_that_do_not_fit_are_refused) {
    foreign f;
    // 8 bytes of alignment are all that Arrow promises.
    _Alignas(16) uint8_t bytes[3 * 16 + 8] = {0};
    tarn_int128 numbers[2] = {-12345, 99999};
    memcpy(bytes + 8, numbers, sizeof numbers);
    init_foreign(&f, "d:5,2", 2, 2);
    f.column_buffers[1] = bytes + 8;
    assert_imported(&f, tarn_type_numeric(5, 2), EXPECT("-123.45", "999.99"));
    init_foreign(&f, "d:4,2", 2, 2);
    f.column_buffers[1] = bytes + 8;
    assert_not_imported(&f, TARN_INVALID,
                        "column 'x': the value in row 1 is out of range for type numeric(4,2)");
}

TEST(unsupported_types_are_refused_by_name) {
    static const char *const formats[] = {"+l",     "e",       "vu",         "tDs", "tiM",
                                          "d:40,2", "d:10,-2", "d:10,2,256", "tsu", "",
                                          "xyz",    "+s",      "w:",         "ttx"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        foreign f;
        char message[100];
        init_foreign(&f, formats[i], 1, 2);
        (void)snprintf(message, sizeof message, "column 'x': Arrow type \"%s\" is not supported",
                       formats[i]);
        assert_not_imported(&f, TARN_UNSUPPORTED, message);
    }
}

TEST(malformed_schemas_are_refused) {
    foreign f;
    init_foreign(&f, "i", 1, 2);
    f.root_schema.release = NULL;
    assert_not_imported(&f, TARN_INVALID, "the Arrow schema has been released");
    init_foreign(&f, "i", 1, 2);
    f.root_schema.format = "i";
    assert_not_imported(&f, TARN_INVALID, "the Arrow schema is \"i\", not a struct of columns");
    f.root_schema.format = NULL;
    assert_not_imported(&f, TARN_INVALID, "the Arrow schema is \"\", not a struct of columns");
    init_foreign(&f, "i", 1, 2);
    f.root_schema.n_children = -1;
    assert_not_imported(&f, TARN_INVALID, "the Arrow schema has -1 children and no list of them");
    init_foreign(&f, "i", 1, 2);
    f.fields[0] = NULL;
    assert_not_imported(&f, TARN_INVALID, "column 1 of the Arrow schema is missing");
    init_foreign(&f, NULL, 1, 2);
    assert_not_imported(&f, TARN_INVALID, "column 1 of the Arrow schema is missing");
    init_foreign(&f, "u", 1, 2);
    set_dictionary(&f, "u", 1, 3);
    assert_not_imported(&f, TARN_INVALID,
                        "column 'x': a dictionary cannot be indexed by Arrow type \"u\"");
}

TEST(malformed_arrays_are_refused) {
    foreign f;
    int32_t values[] = {1, 2};
#define FRESH()                       \
    do {                              \
        init_foreign(&f, "i", 2, 2);  \
        f.column_buffers[1] = values; \
    } while (0)
    FRESH();
    f.root.release = NULL;
    assert_not_imported(&f, TARN_INVALID, "the Arrow array has been released");
    FRESH();
    f.root.n_children = 2;
    assert_not_imported(&f, TARN_INVALID, "the Arrow array has 2 columns, its schema 1");
    FRESH();
    f.root.offset = -1;
    assert_not_imported(&f, TARN_INVALID,
                        "malformed Arrow array: its length or offset is negative");
    FRESH();
    f.root_buffers[0] = (uint8_t[]){1};
    f.root.null_count = -1;
    assert_not_imported(&f, TARN_UNSUPPORTED, "row 2 of the Arrow array is null as a whole");
    FRESH();
    f.column.length = 1;
    assert_not_imported(&f, TARN_INVALID,
                        "column 'x': malformed Arrow array: it has fewer rows than the struct");
    FRESH();
    f.column.release = NULL;
    assert_not_imported(&f, TARN_INVALID,
                        "column 'x': malformed Arrow array: it is missing or has been released");
    FRESH();
    f.column.n_buffers = 3;
    assert_not_imported(&f, TARN_INVALID,
                        "column 'x': malformed Arrow array: it has not the buffers of its type");
    FRESH();
    f.column_buffers[1] = NULL;
    assert_not_imported(&f, TARN_INVALID, "column 'x': malformed Arrow array: it has no values");
    init_foreign(&f, "u", 1, 3);
    f.column_buffers[1] = (int32_t[]){2, 1};
    f.column_buffers[2] = "abc";
    assert_not_imported(&f, TARN_INVALID,
                        "column 'x': malformed Arrow array: its offsets do not ascend");
}

TEST(columns_take_only_their_type) {
    foreign f;
    int32_t values[] = {1};
    init_foreign(&f, "i", 1, 2);
    f.column_buffers[1] = values;
    tarn_arena arena = test_arena();
    tarn_field field = {.name = TARN_LIT("x"), .type = tarn_type_of(TARN_TYPE_TEXT)};
    tarn_schema schema = {&field, 1};
    tarn_chunk chunk;
    tarn_error err = {0};
    assert_int_equal(
        tarn_arrow_import_chunk(&f.root_schema, &f.root, &schema, 0, 1, &arena, &chunk, &err),
        TARN_INVALID);
    assert_string_equal(err.message, "column 'x' has type text, its Arrow array \"i\"");
    assert_int_equal(
        tarn_arrow_import_chunk(&f.root_schema, &f.root, &schema, 1, 1, &arena, &chunk, &err),
        TARN_INVALID);
    assert_string_equal(err.message, "rows 1 to 2 are not among the 1 of the array");

    init_foreign(&f, "u", 1, 3);
    f.column_buffers[1] = (int32_t[]){0, 4};
    f.column_buffers[2] = "abcd";
    field.type.length = 4;
    assert_int_equal(
        tarn_arrow_import_chunk(&f.root_schema, &f.root, &schema, 0, 1, &arena, &chunk, &err),
        TARN_OK);
    field.type.length = 3;
    assert_int_equal(
        tarn_arrow_import_chunk(&f.root_schema, &f.root, &schema, 0, 1, &arena, &chunk, &err),
        TARN_INVALID);
    assert_string_equal(err.message, "column 'x': value too long for type character varying(3)");
    tarn_arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_exported_can_be_imported),
        cmocka_unit_test(an_export_owns_its_copies),
        cmocka_unit_test(a_child_may_be_moved_out_and_outlive_its_parent),
        cmocka_unit_test(types_have_the_formats_of_the_specification),
        cmocka_unit_test(exported_buffers_are_those_of_the_specification),
        cmocka_unit_test(integers_of_every_width_are_imported),
        cmocka_unit_test(moments_of_every_unit_are_imported),
        cmocka_unit_test(large_and_fixed_strings_are_imported),
        cmocka_unit_test(offsets_add_up),
        cmocka_unit_test(dictionaries_are_resolved),
        cmocka_unit_test(nothing_but_nulls_goes_into_any_column),
        cmocka_unit_test(decimals_that_do_not_fit_are_refused),
        cmocka_unit_test(unsupported_types_are_refused_by_name),
        cmocka_unit_test(malformed_schemas_are_refused),
        cmocka_unit_test(malformed_arrays_are_refused),
        cmocka_unit_test(columns_take_only_their_type),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
