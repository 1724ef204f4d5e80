// What is written is read back, whatever the types, encodings and sizes.

#include <math.h>

#include "os/sim.h"
#include "tests/column/helpers.h"
#include "tests/format/parquet/helpers.h"

enum { COLUMNS_MAX = 8 };

// A disk in memory with one store on it.
typedef struct test_machine {
    tarn_sim *sim;
    tarn_store *store;
} test_machine;

static test_machine start_machine(void) {
    test_machine machine = {0};
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, test_random(), &machine.sim, NULL), TARN_OK);
    assert_int_equal(tarn_store_open_local(tarn_sim_os(machine.sim), &tarn_alloc_libc,
                                           TARN_LIT("/w"), &machine.store, NULL),
                     TARN_OK);
    return machine;
}

static void stop_machine(test_machine *machine) {
    tarn_store_close(machine->store);
    tarn_sim_free(machine->sim);
}

typedef struct opened_file {
    tarn_object *object;
    tarn_parquet_file *file;
} opened_file;

static opened_file open_file(test_machine *machine, const char *path) {
    opened_file opened = {0};
    tarn_error err;
    assert_int_equal(
        tarn_store_open(machine->store, tarn_slice_from_cstr(path), &opened.object, NULL), TARN_OK);
    if (tarn_parquet_open(&tarn_alloc_libc, opened.object, &opened.file, &err) != TARN_OK) {
        fail_msg("%s", err.message);
    }
    return opened;
}

static void close_file(opened_file *opened) {
    tarn_parquet_close(opened->file);
    tarn_object_close(opened->object);
}

// ---- random files ----

typedef struct random_file {
    tarn_schema schema;
    tarn_field fields[COLUMNS_MAX];
    tarn_parquet_column_options column_options[COLUMNS_MAX];
    tarn_parquet_writer_options options;
    tarn_buffer rows; // as text, what a reader must find
    uint64_t row_count;
    uint64_t null_counts[COLUMNS_MAX];
    tarn_value least[COLUMNS_MAX]; // NULL value: there is none
    tarn_value greatest[COLUMNS_MAX];
    bool has_nan[COLUMNS_MAX];
    tarn_arena arena;
    tarn_dictionary *dictionaries[4000];
    size_t dictionary_count;
} random_file;

static tarn_type storable_type(void) {
    tarn_type type = random_type();
    while (type.id == TARN_TYPE_INTERVAL) type = random_type();
    return type;
}

static void random_schema(random_file *file) {
    static const char *const names[COLUMNS_MAX] = {"a", "b", "c.d", "e", "ü", "f", "g", "h"};
    file->schema.fields = file->fields;
    file->schema.field_count = 1 + test_random_below(COLUMNS_MAX);
    for (size_t i = 0; i < file->schema.field_count; i++) {
        tarn_type type = storable_type();
        file->fields[i] = (tarn_field){.name = tarn_slice_from_cstr(names[i]),
                                       .type = type,
                                       .not_null = test_random_below(3) == 0,
                                       .id = (int32_t)test_random_below(5) - 1};
        file->column_options[i].no_dictionary = test_random_below(3) == 0;
        if (type.id == TARN_TYPE_TIMESTAMP_NS || type.id == TARN_TYPE_TIMESTAMPTZ_NS) {
            file->column_options[i].int96 = test_random_below(2) == 0;
        }
    }
}

static void random_options(random_file *file) {
    static const tarn_codec codecs[] = {TARN_CODEC_NONE, TARN_CODEC_SNAPPY, TARN_CODEC_GZIP,
                                        TARN_CODEC_LZ4, TARN_CODEC_ZSTD};
    file->options = (tarn_parquet_writer_options){
        .codec = codecs[test_random_below(5)],
        .columns = test_random_below(4) == 0 ? NULL : file->column_options,
        .row_group_rows = test_random_below(2) == 0 ? 0 : 1 + test_random_below(3000),
        .row_group_bytes = test_random_below(4) == 0 ? 20000 : 0,
        .page_bytes = test_random_below(2) == 0 ? 0 : 1 + test_random_below(5000),
        .page_rows = test_random_below(2) == 0 ? 0 : 1 + (uint32_t)test_random_below(700),
        .dictionary_bytes = test_random_below(2) == 0 ? 0 : 1 + test_random_below(2000),
    };
    if (file->options.columns == NULL) {
        memset(file->column_options, 0, sizeof file->column_options);
    }
}

static void keep_model_value(random_file *file, size_t column, tarn_value value) {
    if (value.is_null) {
        file->null_counts[column]++;
        return;
    }
    if ((value.type.id == TARN_TYPE_REAL || value.type.id == TARN_TYPE_DOUBLE) &&
        value.f64 != value.f64) {
        file->has_nan[column] = true;
        return;
    }
    tarn_value *least = &file->least[column];
    tarn_value *greatest = &file->greatest[column];
    if (least->is_null || tarn_value_compare(value, *least) < 0) *least = value;
    if (greatest->is_null || tarn_value_compare(value, *greatest) > 0) *greatest = value;
}

// The vectors of one chunk; often the same dictionary again, as readers give them.
static void random_columns(random_file *file, size_t row_count, tarn_vector *columns) {
    for (size_t i = 0; i < file->schema.field_count; i++) {
        const tarn_field *field = &file->fields[i];
        tarn_vector_kind kind = (tarn_vector_kind)test_random_below(3);
        if (!field->not_null) {
            columns[i] = random_vector(kind, field->type, row_count, &file->arena);
        } else if (kind == TARN_VECTOR_CONSTANT) {
            columns[i] = random_constant(field->type, false, &file->arena);
        } else if (kind == TARN_VECTOR_DICTIONARY) {
            columns[i] = random_dictionary(field->type, row_count, false, &file->arena);
        } else {
            columns[i] = random_flat(field->type, row_count, false, &file->arena);
        }
        if (columns[i].dictionary != NULL) {
            assert_in_range(file->dictionary_count, 0, 3999);
            file->dictionaries[file->dictionary_count++] = columns[i].dictionary;
        }
    }
}

static void random_chunk(random_file *file, tarn_chunk *chunk, tarn_vector *columns) {
    size_t row_count = 1 + test_random_below(TARN_CHUNK_ROWS);
    random_columns(file, row_count, columns);
    *chunk = (tarn_chunk){
        .row_count = row_count, .column_count = file->schema.field_count, .columns = columns};
    if (test_random_below(2) == 0) {
        chunk->selection = random_selection(row_count, &chunk->selected_count, &file->arena);
    }
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        for (size_t j = 0; j < chunk->column_count; j++) {
            tarn_value value = tarn_vector_get(&columns[j], tarn_chunk_row(chunk, i));
            if (j > 0) assert_true(tarn_buffer_append_byte(&file->rows, '\t'));
            append_value(&file->rows, value);
            keep_model_value(file, j, value);
        }
        assert_true(tarn_buffer_append_byte(&file->rows, '\n'));
    }
    file->row_count += tarn_chunk_count(chunk);
}

static random_file *new_random_file(void) {
    random_file *file = test_calloc(1, sizeof *file);
    tarn_arena_init(&file->arena, &tarn_alloc_libc, SIZE_MAX);
    random_schema(file);
    random_options(file);
    for (size_t i = 0; i < COLUMNS_MAX; i++) {
        file->least[i].is_null = true;
        file->greatest[i].is_null = true;
    }
    return file;
}

static void free_random_file(random_file *file) {
    for (size_t i = 0; i < file->dictionary_count; i++) {
        tarn_dictionary_unref(file->dictionaries[i]);
    }
    tarn_buffer_free(&file->rows);
    tarn_arena_reset(&file->arena);
    test_free(file);
}

static void assert_summary(const random_file *file, const tarn_parquet_summary *summary) {
    assert_int_equal(summary->row_count, file->row_count);
    for (size_t i = 0; i < file->schema.field_count; i++) {
        const tarn_parquet_stats *stats = &summary->columns[i];
        assert_int_equal(stats->null_count, file->null_counts[i]);
        assert_true(stats->is_exact);
        assert_int_equal(stats->min.is_null, file->least[i].is_null);
        if (!stats->min.is_null) {
            assert_int_equal(tarn_value_compare(stats->min, file->least[i]), 0);
        }
        assert_int_equal(stats->max.is_null, file->greatest[i].is_null || file->has_nan[i]);
        if (!stats->max.is_null) {
            assert_int_equal(tarn_value_compare(stats->max, file->greatest[i]), 0);
        }
    }
}

static void write_random_file(test_machine *machine, random_file *file, size_t chunk_count) {
    tarn_store_writer *out = NULL;
    tarn_parquet_writer *writer = NULL;
    tarn_parquet_summary summary;
    tarn_error err;
    assert_int_equal(tarn_store_create(machine->store, TARN_LIT("f"), &out, NULL), TARN_OK);
    tarn_status status = tarn_parquet_writer_new(&tarn_alloc_libc, &file->schema, &file->options,
                                                 out, &writer, &err);
    if (status != TARN_OK) fail_msg("%s", err.message);
    for (size_t i = 0; i < chunk_count; i++) {
        tarn_vector columns[COLUMNS_MAX] = {0};
        tarn_chunk chunk;
        random_chunk(file, &chunk, columns);
        if (tarn_parquet_writer_append(writer, &chunk, &err) != TARN_OK) {
            fail_msg("%s", err.message);
        }
    }
    assert_int_equal(tarn_parquet_writer_finish(writer, &summary, NULL), TARN_OK);
    assert_int_equal(summary.file_bytes, tarn_store_writer_position(out));
    assert_summary(file, &summary);
    tarn_parquet_writer_free(writer);
    assert_int_equal(tarn_store_writer_finish(out, NULL), TARN_OK);
}

static void assert_schema_equal(const tarn_schema *written, const tarn_schema *read) {
    assert_int_equal(written->field_count, read->field_count);
    for (size_t i = 0; i < read->field_count; i++) {
        assert_true(tarn_slice_equal(written->fields[i].name, read->fields[i].name));
        assert_int_equal(written->fields[i].not_null, read->fields[i].not_null);
        assert_int_equal(written->fields[i].id, read->fields[i].id);
    }
}

// INT96 does not say whether it is an instant, so types are asked for.
static tarn_status read_back(const random_file *file, tarn_parquet_file *parquet,
                             uint64_t first_row, bool flat_strings, tarn_buffer *out,
                             tarn_error *err) {
    size_t indices[COLUMNS_MAX];
    tarn_type types[COLUMNS_MAX];
    for (size_t i = 0; i < file->schema.field_count; i++) {
        indices[i] = i;
        types[i] = file->fields[i].type;
    }
    tarn_parquet_scan_options options = {.columns = indices,
                                         .column_count = file->schema.field_count,
                                         .types = types,
                                         .first_row = first_row,
                                         .flat_strings = flat_strings};
    return read_rows(parquet, &options, UINT64_MAX, out, err);
}

static void assert_reads_back(const random_file *file, tarn_parquet_file *parquet,
                              uint64_t first_row, bool flat_strings) {
    tarn_buffer rows = {0};
    tarn_error err;
    if (read_back(file, parquet, first_row, flat_strings, &rows, &err) != TARN_OK) {
        fail_msg("%s", err.message);
    }
    tarn_slice expected = tarn_buffer_slice(&file->rows);
    for (uint64_t row = 0; row < first_row; row++) {
        const uint8_t *end = memchr(expected.data, '\n', expected.len);
        expected = tarn_slice_skip(expected, (size_t)(end - expected.data) + 1);
    }
    assert_true(tarn_slice_equal(tarn_buffer_slice(&rows), expected));
    tarn_buffer_free(&rows);
}

TEST(random_files_come_back) {
    for (int round = 0; round < 150; round++) {
        test_machine machine = start_machine();
        random_file *file = new_random_file();
        write_random_file(&machine, file, test_random_below(6));
        opened_file opened = open_file(&machine, "f");
        assert_schema_equal(&file->schema, tarn_parquet_schema(opened.file));
        assert_int_equal(tarn_parquet_row_count(opened.file), file->row_count);
        assert_reads_back(file, opened.file, 0, false);
        assert_reads_back(file, opened.file, 0, true);
        if (file->row_count > 0) {
            assert_reads_back(file, opened.file, test_random_below(file->row_count), false);
        }
        size_t group_count = tarn_parquet_row_group_count(opened.file);
        for (size_t i = 0; i < group_count && group_count < 100; i++) {
            size_t column = test_random_below(file->schema.field_count);
            check_bounds(opened.file, i, column);
        }
        close_file(&opened);
        free_random_file(file);
        stop_machine(&machine);
    }
}

// ---- particular columns ----

static tarn_parquet_summary write_one(test_machine *machine, tarn_field field,
                                      tarn_parquet_column_options column_options,
                                      tarn_parquet_writer_options options, const tarn_value *values,
                                      size_t count, tarn_parquet_writer **ret_writer) {
    tarn_schema schema = {.fields = &field, .field_count = 1};
    tarn_chunk_builder *builder = NULL;
    tarn_store_writer *out = NULL;
    tarn_parquet_summary summary;
    options.columns = &column_options;
    assert_int_equal(tarn_chunk_builder_new(&tarn_alloc_libc, &schema, &builder, NULL), TARN_OK);
    assert_int_equal(tarn_store_create(machine->store, TARN_LIT("one"), &out, NULL), TARN_OK);
    assert_int_equal(
        tarn_parquet_writer_new(&tarn_alloc_libc, &schema, &options, out, ret_writer, NULL),
        TARN_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(tarn_chunk_builder_append(builder, &values[i], TARN_ROW_INSERT, NULL),
                         TARN_OK);
        if (!tarn_chunk_builder_is_full(builder) && i + 1 < count) continue;
        assert_int_equal(
            tarn_parquet_writer_append(*ret_writer, tarn_chunk_builder_chunk(builder), NULL),
            TARN_OK);
        tarn_chunk_builder_clear(builder);
    }
    assert_int_equal(tarn_parquet_writer_finish(*ret_writer, &summary, NULL), TARN_OK);
    assert_int_equal(tarn_store_writer_finish(out, NULL), TARN_OK);
    tarn_chunk_builder_free(builder);
    return summary;
}

static tarn_field text_field(void) {
    return (tarn_field){
        .name = TARN_LIT("t"), .type = tarn_type_of(TARN_TYPE_TEXT), .not_null = false, .id = 7};
}

// Writes one value and returns what the file says of its bounds.
static tarn_parquet_stats bounds_of(tarn_type type, tarn_slice bytes, opened_file *opened,
                                    test_machine *machine) {
    tarn_field field = text_field();
    field.type = type;
    tarn_value value = {.type = type, .bytes = bytes};
    tarn_parquet_writer *writer = NULL;
    tarn_parquet_summary summary = write_one(machine, field, (tarn_parquet_column_options){0},
                                             (tarn_parquet_writer_options){0}, &value, 1, &writer);
    assert_true(tarn_slice_equal(summary.columns[0].min.bytes, bytes)); // never cut
    assert_true(tarn_slice_equal(summary.columns[0].max.bytes, bytes));
    tarn_parquet_writer_free(writer);
    *opened = open_file(machine, "one");
    tarn_parquet_stats stats;
    tarn_parquet_row_group_stats(opened->file, 0, 0, &stats);
    return stats;
}

static void assert_bounds(tarn_type_id id, const char *text, size_t max_len, bool has_max) {
    tarn_slice value = tarn_slice_from_cstr(text);
    test_machine machine = start_machine();
    opened_file opened;
    tarn_parquet_stats stats = bounds_of(tarn_type_of(id), value, &opened, &machine);
    assert_int_equal(stats.is_exact, value.len <= 64);
    assert_false(stats.min.is_null);
    assert_true(tarn_slice_starts_with(value, stats.min.bytes));
    assert_in_range(stats.min.bytes.len, value.len < 61 ? value.len : 61, 64);
    assert_int_equal(!stats.max.is_null, has_max);
    if (has_max) {
        assert_true(tarn_slice_compare(stats.max.bytes, value) >= 0);
        assert_int_equal(stats.max.bytes.len, max_len);
    }
    close_file(&opened);
    stop_machine(&machine);
}

#define SIXTY "123456789012345678901234567890123456789012345678901234567890"

TEST(long_bounds_are_cut_to_64_bytes_and_still_bound) {
    assert_bounds(TARN_TYPE_TEXT, "short", 5, true);
    assert_bounds(TARN_TYPE_TEXT, SIXTY "abcd", 64, true);
    assert_bounds(TARN_TYPE_TEXT, SIXTY "abcde", 64, true);
    assert_bounds(TARN_TYPE_TEXT,
                  SIXTY "abc\x7f"
                        "e",
                  63, true); // no successor of the same length
    assert_bounds(TARN_TYPE_TEXT,
                  SIXTY "ab\xc3\xbf"
                        "x",
                  64, true); // U+00FF becomes U+0100
    assert_bounds(TARN_TYPE_TEXT,
                  SIXTY "abc\xc3\xbf"
                        "x",
                  63, true); // is not cut in half
    assert_bounds(TARN_TYPE_TEXT,
                  SIXTY "a\xed\x9f\xbf"
                        "xy",
                  61, true); // before the surrogates
    assert_bounds(TARN_TYPE_TEXT,
                  SIXTY "\xf4\x8f\xbf\xbf"
                        "xy",
                  60, true); // the last character
    assert_bounds(TARN_TYPE_BYTEA,
                  SIXTY "ab\xff\xff"
                        "x",
                  62, true);
    char ff[71];
    memset(ff, 0xFF, 70);
    ff[70] = '\0';
    assert_bounds(TARN_TYPE_BYTEA, ff, 0, false);
}

TEST(nan_is_counted_and_never_a_bound) {
    test_machine machine = start_machine();
    tarn_field field = {
        .name = TARN_LIT("f"), .type = tarn_type_of(TARN_TYPE_DOUBLE), .not_null = true, .id = -1};
    tarn_value values[3] = {{.type = field.type, .f64 = 1.5},
                            {.type = field.type, .f64 = (double)NAN},
                            {.type = field.type, .f64 = 0.0}};
    tarn_parquet_writer *writer = NULL;
    tarn_parquet_summary summary = write_one(&machine, field, (tarn_parquet_column_options){0},
                                             (tarn_parquet_writer_options){0}, values, 3, &writer);
    assert_true(summary.columns[0].min.f64 == 0.0 && signbit(summary.columns[0].min.f64));
    assert_true(summary.columns[0].max.is_null); // NaN is greater than every number
    tarn_parquet_writer_free(writer);
    opened_file opened = open_file(&machine, "one");
    tarn_parquet_stats stats;
    tarn_parquet_row_group_stats(opened.file, 0, 0, &stats);
    assert_false(stats.min.is_null);
    assert_true(stats.max.is_null);
    close_file(&opened);
    stop_machine(&machine);
}

// Zeroes of both signs are equal to tarn; other readers order -0.0 before 0.0.
TEST(a_bound_that_is_zero_holds_zeroes_of_both_signs) {
    for (int sign = 0; sign < 2; sign++) {
        test_machine machine = start_machine();
        tarn_field field = {.name = TARN_LIT("f"),
                            .type = tarn_type_of(TARN_TYPE_REAL),
                            .not_null = true,
                            .id = -1};
        tarn_value values[2] = {{.type = field.type, .f64 = sign == 0 ? 0.0 : -0.0},
                                {.type = field.type, .f64 = sign == 0 ? -0.0 : 0.0}};
        tarn_parquet_writer *writer = NULL;
        tarn_parquet_summary summary =
            write_one(&machine, field, (tarn_parquet_column_options){0},
                      (tarn_parquet_writer_options){0}, values, 2, &writer);
        assert_true(signbit(summary.columns[0].min.f64));
        assert_false(signbit(summary.columns[0].max.f64));
        tarn_parquet_writer_free(writer);
        opened_file opened = open_file(&machine, "one");
        tarn_parquet_stats stats;
        tarn_parquet_row_group_stats(opened.file, 0, 0, &stats);
        assert_true(signbit(stats.min.f64));
        assert_false(signbit(stats.max.f64));
        close_file(&opened);
        stop_machine(&machine);
    }
}

TEST(paimon_gets_its_own_physical_types) {
    test_machine machine = start_machine();
    tarn_field field = {.name = TARN_LIT("t"),
                        .type = tarn_type_of(TARN_TYPE_TIMESTAMP),
                        .not_null = true,
                        .id = 3};
    field.type.precision = 3;
    tarn_value value = {.type = field.type, .i64 = -1500000};
    tarn_parquet_writer *writer = NULL;
    (void)write_one(&machine, field, (tarn_parquet_column_options){.timestamp_millis = true},
                    (tarn_parquet_writer_options){.root_name = TARN_LIT("paimon_schema")}, &value,
                    1, &writer);
    tarn_parquet_writer_free(writer);
    opened_file opened = open_file(&machine, "one");
    const tarn_field *read = &tarn_parquet_schema(opened.file)->fields[0];
    assert_true(tarn_type_equal(read->type, field.type)); // timestamp(3): milliseconds
    assert_int_equal(read->id, 3);
    const size_t column = 0;
    tarn_parquet_scan_options options = {.columns = &column, .column_count = 1};
    tarn_buffer rows = {0};
    assert_int_equal(read_rows(opened.file, &options, 1, &rows, NULL), TARN_OK);
    assert_true(tarn_slice_equal(tarn_buffer_slice(&rows), TARN_LIT("-1500000\n")));
    tarn_buffer_free(&rows);
    close_file(&opened);
    stop_machine(&machine);
}

TEST(sorted_integers_are_stored_as_differences) {
    enum { COUNT = 20000 };
    test_machine machine = start_machine();
    tarn_field field = {
        .name = TARN_LIT("n"), .type = tarn_type_of(TARN_TYPE_BIGINT), .not_null = true, .id = -1};
    tarn_value *values = test_calloc(COUNT, sizeof *values);
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (tarn_value){.type = field.type, .i64 = (int64_t)i * 1000 + (int64_t)(i % 7)};
    }
    tarn_parquet_writer *writer = NULL;
    tarn_parquet_summary summary =
        write_one(&machine, field, (tarn_parquet_column_options){0},
                  (tarn_parquet_writer_options){.row_group_rows = COUNT}, values, COUNT, &writer);
    tarn_parquet_writer_free(writer);
    assert_in_range(summary.file_bytes, 1, TARN_TUNABLE(COUNT, COUNT * 12));
    opened_file opened = open_file(&machine, "one");
    check_bounds(opened.file, 0, 0);
    close_file(&opened);
    test_free(values);
    stop_machine(&machine);
}

TEST(the_estimated_size_is_near_the_final_one) {
    enum { CHUNKS = 20 };
    test_machine machine = start_machine();
    tarn_field field = text_field();
    tarn_schema schema = {.fields = &field, .field_count = 1};
    tarn_arena arena = test_arena();
    tarn_store_writer *out = NULL;
    tarn_parquet_writer *writer = NULL;
    tarn_parquet_summary summary;
    tarn_parquet_column_options column_options = {.no_dictionary = true};
    tarn_parquet_writer_options options = {.columns = &column_options};
    assert_int_equal(tarn_store_create(machine.store, TARN_LIT("f"), &out, NULL), TARN_OK);
    assert_int_equal(
        tarn_parquet_writer_new(&tarn_alloc_libc, &schema, &options, out, &writer, NULL), TARN_OK);
    uint64_t last_estimate = 0;
    for (int i = 0; i < CHUNKS; i++) {
        tarn_vector column = random_flat(field.type, TARN_CHUNK_ROWS, true, &arena);
        tarn_chunk chunk = {.row_count = TARN_CHUNK_ROWS, .column_count = 1, .columns = &column};
        assert_int_equal(tarn_parquet_writer_append(writer, &chunk, NULL), TARN_OK);
        assert_true(tarn_parquet_writer_estimated_bytes(writer) >= last_estimate);
        last_estimate = tarn_parquet_writer_estimated_bytes(writer);
    }
    assert_int_equal(tarn_parquet_writer_finish(writer, &summary, NULL), TARN_OK);
    // Tiny row groups have more metadata than data.
    uint64_t most = summary.file_bytes + summary.file_bytes / 10;
    assert_in_range(last_estimate, TARN_TUNABLE(summary.file_bytes / 10 * 9, 0), most);
    tarn_parquet_writer_free(writer);
    assert_int_equal(tarn_store_writer_finish(out, NULL), TARN_OK);
    tarn_arena_reset(&arena);
    stop_machine(&machine);
}

// ---- refusals and failures ----

static tarn_status try_new(test_machine *machine, tarn_type type,
                           tarn_parquet_column_options column, tarn_codec codec, tarn_error *err) {
    tarn_field field = {.name = TARN_LIT("x"), .type = type, .id = -1};
    tarn_schema schema = {.fields = &field, .field_count = 1};
    tarn_parquet_writer_options options = {.codec = codec, .columns = &column};
    tarn_store_writer *out = NULL;
    tarn_parquet_writer *writer = NULL;
    assert_int_equal(tarn_store_create(machine->store, TARN_LIT("x"), &out, NULL), TARN_OK);
    tarn_status status =
        tarn_parquet_writer_new(&tarn_alloc_libc, &schema, &options, out, &writer, err);
    tarn_parquet_writer_free(writer);
    tarn_store_writer_abort(out);
    return status;
}

TEST(what_cannot_be_written_is_refused_by_name) {
    test_machine machine = start_machine();
    tarn_error err;
    const tarn_parquet_column_options plain = {0};
    assert_int_equal(
        try_new(&machine, tarn_type_of(TARN_TYPE_INTERVAL), plain, TARN_CODEC_ZSTD, &err),
        TARN_UNSUPPORTED);
    assert_string_equal(err.message, "column 'x': files do not hold values of type interval");
    assert_int_equal(
        try_new(&machine, tarn_type_of(TARN_TYPE_TEXT), plain, TARN_CODEC_DEFLATE, &err),
        TARN_UNSUPPORTED);
    assert_int_equal(try_new(&machine, tarn_type_of(TARN_TYPE_TEXT),
                             (tarn_parquet_column_options){.int96 = true}, TARN_CODEC_ZSTD, &err),
                     TARN_INVALID);
    assert_string_equal(err.message, "column 'x': INT96 is for timestamps of nanoseconds");
    stop_machine(&machine);
}

TEST(a_null_in_a_not_null_column_is_invalid) {
    test_machine machine = start_machine();
    tarn_field field = text_field();
    field.not_null = true;
    tarn_schema schema = {.fields = &field, .field_count = 1};
    tarn_vector vector;
    tarn_arena arena = test_arena();
    assert_int_equal(tarn_vector_init_constant(&vector, tarn_value_null(field.type), &arena, NULL),
                     TARN_OK);
    tarn_chunk chunk = {.row_count = 1, .column_count = 1, .columns = &vector};
    tarn_store_writer *out = NULL;
    tarn_parquet_writer *writer = NULL;
    tarn_parquet_summary summary;
    tarn_error err;
    assert_int_equal(tarn_store_create(machine.store, TARN_LIT("f"), &out, NULL), TARN_OK);
    assert_int_equal(tarn_parquet_writer_new(&tarn_alloc_libc, &schema, NULL, out, &writer, NULL),
                     TARN_OK);
    assert_int_equal(tarn_parquet_writer_append(writer, &chunk, &err), TARN_INVALID);
    assert_string_equal(err.message, "null in column 't', which is not null");
    assert_int_equal(tarn_parquet_writer_finish(writer, &summary, NULL), TARN_INVALID);
    tarn_parquet_writer_free(writer);
    tarn_store_writer_abort(out);
    tarn_arena_reset(&arena);
    stop_machine(&machine);
}

// Writes and reads a small file with every allocation drawn from `alloc`.
static tarn_status write_and_read(test_machine *machine, const tarn_alloc *alloc,
                                  const tarn_schema *schema, const tarn_chunk *chunk) {
    tarn_store_writer *out = NULL;
    tarn_parquet_writer *writer = NULL;
    tarn_object *object = NULL;
    tarn_parquet_file *file = NULL;
    tarn_parquet_summary summary;
    tarn_parquet_writer_options options = {.codec = TARN_CODEC_ZSTD, .page_rows = 100};
    TARN_TRY(tarn_store_create(machine->store, TARN_LIT("f"), &out, NULL));
    tarn_status status = tarn_parquet_writer_new(alloc, schema, &options, out, &writer, NULL);
    if (status == TARN_OK) status = tarn_parquet_writer_append(writer, chunk, NULL);
    if (status == TARN_OK) status = tarn_parquet_writer_finish(writer, &summary, NULL);
    tarn_parquet_writer_free(writer);
    if (status == TARN_OK) {
        status = tarn_store_writer_finish(out, NULL);
    } else {
        tarn_store_writer_abort(out);
    }
    if (status == TARN_OK) status = tarn_store_open(machine->store, TARN_LIT("f"), &object, NULL);
    if (status == TARN_OK) status = tarn_parquet_open(alloc, object, &file, NULL);
    if (status == TARN_OK) {
        readable_columns columns = columns_to_read(file);
        tarn_parquet_scan_options scan = {.columns = columns.indices,
                                          .column_count = columns.count};
        tarn_buffer rows = {0};
        status = read_rows(file, &scan, UINT64_MAX, &rows, NULL);
        tarn_buffer_free(&rows);
    }
    tarn_parquet_close(file);
    tarn_object_close(object);
    return status;
}

static void small_chunk(tarn_schema *schema, tarn_chunk *chunk, tarn_vector *columns,
                        tarn_arena *arena) {
    size_t row_count = TARN_CHUNK_ROWS;
    for (size_t i = 0; i < schema->field_count; i++) {
        columns[i] = random_flat(schema->fields[i].type, row_count, true, arena);
    }
    *chunk = (tarn_chunk){
        .row_count = row_count, .column_count = schema->field_count, .columns = columns};
}

TEST(every_allocation_failure_is_reported_and_nothing_leaks) {
    tarn_field fields[3] = {text_field(), text_field(), text_field()};
    fields[1].type = tarn_type_of(TARN_TYPE_BIGINT);
    fields[2].type = tarn_type_numeric(30, 5);
    tarn_schema schema = {.fields = fields, .field_count = 3};
    tarn_arena arena = test_arena();
    tarn_vector columns[3];
    tarn_chunk chunk;
    small_chunk(&schema, &chunk, columns, &arena);
    bool completed = false;
    for (size_t requests = 0; !completed; requests++) {
        assert_in_range(requests, 0, 2000);
        faulty_alloc faulty = {.requests_left = requests};
        const tarn_alloc alloc = {faulty_acquire, faulty_release, &faulty};
        test_machine machine = start_machine();
        tarn_status status = write_and_read(&machine, &alloc, &schema, &chunk);
        // A dictionary that finds no memory is given up, and the file is written without.
        assert_true(status == TARN_OK || status == TARN_NO_MEMORY);
        completed = faulty.requests_left > 0;
        assert_int_equal(faulty.lent_bytes, 0);
        stop_machine(&machine);
    }
    tarn_arena_reset(&arena);
}

TEST(every_failed_write_and_read_is_reported) {
    tarn_field field = text_field();
    tarn_schema schema = {.fields = &field, .field_count = 1};
    tarn_arena arena = test_arena();
    tarn_vector column;
    tarn_chunk chunk;
    small_chunk(&schema, &chunk, &column, &arena);
    for (int is_read = 0; is_read < 2; is_read++) {
        for (uint64_t n = 1, failures = 1; failures > 0; n++) {
            test_machine machine = start_machine();
            failures = 0;
            if (is_read == 0) {
                tarn_sim_fail_write_at(machine.sim, n);
            } else {
                tarn_sim_fail_read_at(machine.sim, n);
            }
            tarn_status status = write_and_read(&machine, &tarn_alloc_libc, &schema, &chunk);
            if (status != TARN_OK) {
                assert_int_equal(status, TARN_IO);
                failures++;
            }
            stop_machine(&machine);
            assert_in_range(n, 1, 1000);
        }
    }
    tarn_arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_files_come_back),
        cmocka_unit_test(long_bounds_are_cut_to_64_bytes_and_still_bound),
        cmocka_unit_test(nan_is_counted_and_never_a_bound),
        cmocka_unit_test(a_bound_that_is_zero_holds_zeroes_of_both_signs),
        cmocka_unit_test(paimon_gets_its_own_physical_types),
        cmocka_unit_test(sorted_integers_are_stored_as_differences),
        cmocka_unit_test(the_estimated_size_is_near_the_final_one),
        cmocka_unit_test(what_cannot_be_written_is_refused_by_name),
        cmocka_unit_test(a_null_in_a_not_null_column_is_invalid),
        cmocka_unit_test(every_allocation_failure_is_reported_and_nothing_leaks),
        cmocka_unit_test(every_failed_write_and_read_is_reported),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
