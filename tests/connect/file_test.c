#include <stdio.h>
#include <string.h>

#include "connect/file.h"
#include "format/parquet/parquet.h"
#include "os/sim.h"
#include "tests/test.h"

// A simulated machine with files, and a reader over them.
typedef struct fixture {
    tarn_sim *sim;
    tarn_os *os;
    tarn_arena arena;
    tarn_field fields[2]; // id bigint, name text
    tarn_connector_option options[8];
    tarn_connector_spec spec;
    const tarn_connector *connector;
    char bad[512]; // what was refused, "line:text;" each
} fixture;

static void check(tarn_status status, const tarn_error *err) {
    if (status != TARN_OK) print_message("%s: %s\n", tarn_status_name(status), err->message);
    assert_int_equal(status, TARN_OK);
}

static void open_fixture(fixture *f) {
    *f = (fixture){0};
    tarn_error err = {0};
    check(tarn_sim_new(&tarn_alloc_libc, test_random(), &f->sim, &err), &err);
    f->os = tarn_sim_os(f->sim);
    tarn_arena_init(&f->arena, &tarn_alloc_libc, SIZE_MAX);
    f->fields[0] =
        (tarn_field){.name = TARN_LIT("id"), .type = tarn_type_of(TARN_TYPE_BIGINT), .id = -1};
    f->fields[1] =
        (tarn_field){.name = TARN_LIT("name"), .type = tarn_type_of(TARN_TYPE_TEXT), .id = -1};
    f->spec = (tarn_connector_spec){.options = f->options,
                                    .schema = {.fields = f->fields, .field_count = 2}};
    f->connector = tarn_connector_find(TARN_LIT("file"));
    assert_non_null(f->connector);
}

static void close_fixture(fixture *f) {
    assert_int_equal(tarn_sim_open_count(f->sim), 0);
    tarn_arena_reset(&f->arena);
    tarn_sim_free(f->sim);
}

static void set_option(fixture *f, const char *key, const char *value) {
    f->options[f->spec.option_count++] =
        (tarn_connector_option){tarn_slice_from_cstr(key), tarn_slice_from_cstr(value)};
}

static void write_file(fixture *f, const char *path, const char *text) {
    tarn_error err = {0};
    const char *slash = strrchr(path, '/');
    if (slash != NULL && slash != path) {
        tarn_slice directory = {(const uint8_t *)path, (size_t)(slash - path)};
        check(tarn_os_make_dirs(f->os, directory, &err), &err);
    }
    check(tarn_os_write_file(f->os, tarn_slice_from_cstr(path), tarn_slice_from_cstr(text),
                             TARN_WRITE_REPLACE, &err),
          &err);
}

// Rows first..first+count as a Parquet file with small row groups.
static void write_parquet(fixture *f, const char *path, int64_t first, int64_t count) {
    tarn_error err = {0};
    tarn_store *store = NULL;
    tarn_store_writer *out = NULL;
    tarn_parquet_writer *writer = NULL;
    tarn_chunk_builder *builder = NULL;
    tarn_parquet_writer_options options = {.codec = TARN_CODEC_NONE, .row_group_rows = 100};
    check(tarn_store_open_local(f->os, &tarn_alloc_libc, TARN_LIT("/"), &store, &err), &err);
    check(tarn_store_create(store, tarn_slice_from_cstr(path + 1), &out, &err), &err);
    check(tarn_parquet_writer_new(&tarn_alloc_libc, &f->spec.schema, &options, out, &writer, &err),
          &err);
    check(tarn_chunk_builder_new(&tarn_alloc_libc, &f->spec.schema, &builder, &err), &err);
    for (int64_t i = first; i < first + count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "row %lld", (long long)i);
        tarn_value values[2] = {{.type = f->fields[0].type, .i64 = i},
                                {.type = f->fields[1].type, .bytes = tarn_slice_from_cstr(name)}};
        check(tarn_chunk_builder_append(builder, values, TARN_ROW_INSERT, &err), &err);
        if (!tarn_chunk_builder_is_full(builder) && i + 1 < first + count) continue;
        check(tarn_parquet_writer_append(writer, tarn_chunk_builder_chunk(builder), &err), &err);
        tarn_chunk_builder_clear(builder);
    }
    tarn_parquet_summary summary;
    check(tarn_parquet_writer_finish(writer, &summary, &err), &err);
    check(tarn_store_writer_finish(out, &err), &err);
    tarn_parquet_writer_free(writer);
    tarn_chunk_builder_free(builder);
    tarn_store_close(store);
}

static tarn_status keep_bad(void *context, const tarn_bad_record *record, tarn_error *err) {
    (void)err;
    fixture *f = context;
    size_t len = strlen(f->bad);
    (void)snprintf(f->bad + len, sizeof f->bad - len, "%llu:%.*s;",
                   (unsigned long long)record->line, (int)record->raw.len,
                   (const char *)record->raw.data);
    return TARN_OK;
}

static tarn_source_reader *open_reader(fixture *f) {
    tarn_error err = {0};
    tarn_source_reader *reader = NULL;
    check(f->connector->validate(f->os, &tarn_alloc_libc, &f->spec, &err), &err);
    check(f->connector->open(f->os, &tarn_alloc_libc, &f->spec, &reader, &err), &err);
    f->connector->set_dead_letter(reader, keep_bad, f);
    return reader;
}

// Appends "id=name " per row of the next chunk; false at the end.
static bool read_some(fixture *f, tarn_source_reader *reader, tarn_buffer *out) {
    tarn_error err = {0};
    const tarn_chunk *chunk = NULL;
    tarn_poll poll = TARN_POLL_MORE;
    check(f->connector->next(reader, &chunk, &poll, &err), &err);
    if (chunk == NULL) {
        assert_int_equal(poll, TARN_POLL_END);
        return false;
    }
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        tarn_value id = tarn_vector_get(&chunk->columns[0], i);
        tarn_value name = tarn_vector_get(&chunk->columns[1], i);
        tarn_slice text = name.is_null ? TARN_LIT("NULL") : name.bytes;
        assert_true(tarn_buffer_printf(out, "%lld=" TARN_SLICE_FMT " ",
                                       id.is_null ? -1LL : (long long)id.i64,
                                       TARN_SLICE_ARG(text)));
    }
    return true;
}

static void assert_reads(fixture *f, const char *wanted) {
    tarn_source_reader *reader = open_reader(f);
    tarn_buffer got = {0};
    while (read_some(f, reader, &got)) {
    }
    assert_true(tarn_buffer_append_byte(&got, 0));
    assert_string_equal((const char *)got.data, wanted);
    tarn_buffer_free(&got);
    f->connector->close(reader);
}

// The failure of opening or reading all.
static tarn_error read_error(fixture *f) {
    tarn_error err = {0};
    tarn_source_reader *reader = NULL;
    tarn_status status = f->connector->validate(f->os, &tarn_alloc_libc, &f->spec, &err);
    if (status == TARN_OK) {
        status = f->connector->open(f->os, &tarn_alloc_libc, &f->spec, &reader, &err);
    }
    while (status == TARN_OK) {
        const tarn_chunk *chunk = NULL;
        tarn_poll poll = TARN_POLL_MORE;
        status = f->connector->next(reader, &chunk, &poll, &err);
        assert_true(status != TARN_OK || poll != TARN_POLL_END);
    }
    f->connector->close(reader);
    return err;
}

// ---- what is read ----

TEST(files_are_read_in_name_order) {
    fixture f;
    open_fixture(&f);
    write_file(&f, "/in/b.csv", "id,name\n3,c\n");
    write_file(&f, "/in/a.csv", "name,id\na,1\nb,2\n");
    write_file(&f, "/in/.hidden.csv", "broken");
    write_file(&f, "/in/_SUCCESS", "");
    write_file(&f, "/in/sub/c.csv", "id,name\n9,z\n");
    set_option(&f, "connector", "file");
    set_option(&f, "path", "/in");
    assert_reads(&f, "1=a 2=b 3=c ");
    close_fixture(&f);
}

TEST(a_pattern_names_files_in_several_directories) {
    fixture f;
    open_fixture(&f);
    write_file(&f, "/in/x1/b.jsonl", "{\"id\":3}\n");
    write_file(&f, "/in/x1/a.jsonl", "{\"id\":2}\n");
    write_file(&f, "/in/x0/z.jsonl", "{\"id\":1,\"name\":\"q\"}\n");
    write_file(&f, "/in/y0/z.jsonl", "{\"id\":7}\n");
    set_option(&f, "path", "in/x?/*.jsonl");
    f.spec.base_directory = TARN_LIT("/");
    assert_reads(&f, "1=q 2=NULL 3=NULL ");
    close_fixture(&f);
}

TEST(options_say_how_a_csv_looks) {
    fixture f;
    open_fixture(&f);
    write_file(&f, "/d", "1;-\n2;x\n");
    set_option(&f, "path", "/d");
    set_option(&f, "format", "csv");
    set_option(&f, "header", "false");
    set_option(&f, "delimiter", ";");
    set_option(&f, "null", "-");
    assert_reads(&f, "1=NULL 2=x ");
    close_fixture(&f);
}

TEST(patterns_match_as_a_shell_does) {
    const struct {
        const char *pattern;
        const char *name;
        bool fits;
    } cases[] = {
        {"*", "a.csv", true},
        {"*", ".a", false},
        {".*", ".a", true},
        {"a*c", "abc", true},
        {"a*c", "ac", true},
        {"a*c", "abd", false},
        {"*.csv", "x.csv.csv", true},
        {"*.csv", "x.csvx", false},
        {"?", "", false},
        {"?", "x", true},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[!a]x", "bx", true},
        {"[!a]x", "ax", false},
        {"[x", "[x", true},
        {"[x", "x", false},
        {"**", "abc", true},
        {"*a*b*", "xxaxxbxx", true},
        {"*a*b*", "xxbxxaxx", false},
        {"", "", true},
        {"", "a", false},
        {"[]a]", "]", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool fits = file_pattern_match(tarn_slice_from_cstr(cases[i].pattern),
                                       tarn_slice_from_cstr(cases[i].name));
        if (fits != cases[i].fits) print_message("%s %s\n", cases[i].pattern, cases[i].name);
        assert_int_equal(fits, cases[i].fits);
    }
}

// ---- positions ----

// Stops after every chunk and goes on with another reader; the rows are those of one run.
static void check_positions(fixture *f) {
    tarn_error err = {0};
    tarn_source_reader *reader = open_reader(f);
    tarn_buffer whole = {0};
    while (read_some(f, reader, &whole)) {
    }
    f->connector->close(reader);
    f->bad[0] = 0;
    for (size_t stop = 0; stop < 40; stop++) {
        tarn_buffer got = {0};
        tarn_buffer position = {0};
        bool more = true;
        reader = open_reader(f);
        for (size_t i = 0; i < stop && more; i++) more = read_some(f, reader, &got);
        check(f->connector->position(reader, &position, &err), &err);
        f->connector->close(reader);
        reader = open_reader(f);
        check(f->connector->seek(reader, tarn_buffer_slice(&position), &err), &err);
        while (read_some(f, reader, &got)) {
        }
        uint64_t done = 0;
        uint64_t total = 0;
        f->connector->progress(reader, &done, &total);
        assert_int_equal(done, total);
        f->connector->close(reader);
        assert_true(tarn_slice_equal(tarn_buffer_slice(&got), tarn_buffer_slice(&whole)));
        tarn_buffer_free(&got);
        tarn_buffer_free(&position);
    }
    tarn_buffer_free(&whole);
}

TEST(parquet_goes_on_at_the_next_row) {
    fixture f;
    open_fixture(&f);
    tarn_error err = {0};
    check(tarn_os_make_dirs(f.os, TARN_LIT("/in"), &err), &err);
    write_parquet(&f, "/in/1.parquet", 0, 250);
    write_parquet(&f, "/in/2.parquet", 250, 30);
    set_option(&f, "path", "/in/*.parquet");
    set_option(&f, "format", "parquet");
    check_positions(&f);
    close_fixture(&f);
}

TEST(csv_and_json_go_on_at_the_next_record) {
    const char *const kinds[] = {"csv", "json"};
    for (size_t k = 0; k < 2; k++) {
        fixture f;
        open_fixture(&f);
        for (size_t file = 0; file < 3; file++) {
            tarn_buffer text = {0};
            if (k == 0) assert_true(tarn_buffer_printf(&text, "id,name\n"));
            for (size_t i = 0; i < TARN_CHUNK_ROWS + 20; i++) {
                bool bad = i % 7 == 3;
                const char *mark = bad ? "x" : "";
                bool fits = k == 0 ? tarn_buffer_printf(&text, "%s%zu,n%zu\n", mark, i, file)
                                   : tarn_buffer_printf(&text, "{\"id\":%s%zu,\"name\":\"n%zu\"}\n",
                                                        mark, i, file);
                assert_true(fits);
            }
            char path[32];
            (void)snprintf(path, sizeof path, "/in/%zu.%s", file, kinds[k]);
            assert_true(tarn_buffer_append_byte(&text, 0));
            write_file(&f, path, (const char *)text.data);
            tarn_buffer_free(&text);
        }
        set_option(&f, "path", "/in");
        set_option(&f, "on_error", "dead_letter");
        check_positions(&f);
        close_fixture(&f);
    }
}

TEST(a_position_finds_its_file_among_new_ones) {
    fixture f;
    open_fixture(&f);
    tarn_error err = {0};
    write_file(&f, "/in/b.csv", "id,name\n1,a\n");
    set_option(&f, "path", "/in");
    tarn_source_reader *reader = open_reader(&f);
    tarn_buffer got = {0};
    while (read_some(&f, reader, &got)) {
    }
    tarn_buffer position = {0};
    check(f.connector->position(reader, &position, &err), &err);
    f.connector->close(reader);
    write_file(&f, "/in/a.csv", "id,name\n7,before\n");
    write_file(&f, "/in/c.csv", "id,name\n2,behind\n");
    reader = open_reader(&f);
    check(f.connector->seek(reader, tarn_buffer_slice(&position), &err), &err);
    while (read_some(&f, reader, &got)) {
    }
    f.connector->close(reader);
    assert_true(tarn_slice_equal(tarn_buffer_slice(&got), TARN_LIT("1=a 2=behind ")));

    check(tarn_os_remove(f.os, TARN_LIT("/in/b.csv"), &err), &err);
    reader = open_reader(&f);
    assert_int_equal(f.connector->seek(reader, tarn_buffer_slice(&position), &err), TARN_INVALID);
    assert_non_null(strstr(err.message, "'b.csv'"));
    for (size_t len = 0; len < 18; len++) {
        tarn_slice cut = tarn_slice_head(tarn_buffer_slice(&position), len);
        assert_int_equal(f.connector->seek(reader, cut, &err), TARN_CORRUPT);
    }
    f.connector->close(reader);
    tarn_buffer_free(&position);
    tarn_buffer_free(&got);
    close_fixture(&f);
}

// ---- what is refused ----

TEST(a_bad_record_fails_or_becomes_a_dead_letter) {
    fixture f;
    open_fixture(&f);
    write_file(&f, "/in.csv", "id,name\n1,a\nx,b\n3,c\n4\n5,e\n");
    set_option(&f, "path", "/in.csv");
    tarn_error err = read_error(&f);
    assert_int_equal(err.status, TARN_INVALID);
    assert_non_null(strstr(err.message, "line 3"));
    set_option(&f, "on_error", "dead_letter");
    assert_reads(&f, "1=a 3=c 5=e ");
    assert_string_equal(f.bad, "3:x,b;5:4;");
    close_fixture(&f);
}

TEST(wrong_options_and_files_are_refused_with_what_to_do) {
    const struct {
        const char *key;
        const char *value;
        const char *message;
        const char *hint;
    } cases[] = {
        {"formt", "csv", "the connector 'file' has no option \"formt\"",
         "Did you mean \"format\"?"},
        {"zebra", "csv", "no option \"zebra\"", "Its options are path"},
        {"format", "xml", "'xml' is not a format: parquet, csv or json", ""},
        {"header", "maybe", "'maybe' is not a boolean", ""},
        {"delimiter", "ab", "'ab' is not a single character", ""},
        {"delimiter", "\"", "is not a single character", ""},
        {"on_error", "ignore", "'ignore' is not 'fail' or 'dead_letter'", ""},
        {"path", "", "needs the option \"path\"", "Give a file"},
        {"path", "/nowhere", "there is no file or directory '/nowhere'", ""},
        {"path", "/*.nothing", "no file fits '/*.nothing'", ""},
        {"path", "/plain", "the format of 'plain' is not known", "Add format ="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        open_fixture(&f);
        write_file(&f, "/plain", "id,name\n");
        set_option(&f, "path", "/plain");
        set_option(&f, cases[i].key, cases[i].value);
        tarn_error err = read_error(&f);
        assert_int_equal(err.status, TARN_INVALID);
        if (strstr(err.message, cases[i].message) == NULL) print_message("%s\n", err.message);
        assert_non_null(strstr(err.message, cases[i].message));
        assert_non_null(strstr(err.hint, cases[i].hint));
        close_fixture(&f);
    }
}

TEST(a_missing_column_is_refused_with_the_nearest_name) {
    fixture f;
    open_fixture(&f);
    write_parquet(&f, "/a.parquet", 0, 10);
    set_option(&f, "path", "/a.parquet");
    f.fields[1].name = TARN_LIT("nam");
    tarn_error err = read_error(&f);
    assert_int_equal(err.status, TARN_INVALID);
    assert_string_equal(err.sqlstate, "42703");
    assert_string_equal(err.message, "column \"nam\" is not in 'a.parquet'");
    assert_string_equal(err.hint, "Did you mean \"name\"?");
    close_fixture(&f);
}

TEST(failing_reads_are_reported_and_leave_nothing_open) {
    fixture f;
    open_fixture(&f);
    write_parquet(&f, "/a.parquet", 0, 150);
    write_file(&f, "/b.csv", "id,name\n1,a\n");
    set_option(&f, "path", "/[ab].*");
    uint64_t n = 1;
    for (bool failed = true; failed; n++) {
        tarn_error err = {0};
        tarn_source_reader *reader = NULL;
        tarn_sim_fail_read_at(f.sim, n);
        tarn_status status = f.connector->open(f.os, &tarn_alloc_libc, &f.spec, &reader, &err);
        tarn_poll poll = TARN_POLL_MORE;
        while (status == TARN_OK && poll == TARN_POLL_MORE) {
            const tarn_chunk *chunk = NULL;
            status = f.connector->next(reader, &chunk, &poll, &err);
        }
        failed = status != TARN_OK;
        if (failed) assert_int_equal(status, TARN_IO);
        f.connector->close(reader);
        assert_int_equal(tarn_sim_open_count(f.sim), 0);
        tarn_sim_fail_read_at(f.sim, 0);
    }
    assert_true(n > 4);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_in_name_order),
        cmocka_unit_test(a_pattern_names_files_in_several_directories),
        cmocka_unit_test(options_say_how_a_csv_looks),
        cmocka_unit_test(patterns_match_as_a_shell_does),
        cmocka_unit_test(parquet_goes_on_at_the_next_row),
        cmocka_unit_test(csv_and_json_go_on_at_the_next_record),
        cmocka_unit_test(a_position_finds_its_file_among_new_ones),
        cmocka_unit_test(a_bad_record_fails_or_becomes_a_dead_letter),
        cmocka_unit_test(wrong_options_and_files_are_refused_with_what_to_do),
        cmocka_unit_test(a_missing_column_is_refused_with_the_nearest_name),
        cmocka_unit_test(failing_reads_are_reported_and_leave_nothing_open),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
