#include "format/csv/csv.h"

#include "tests/format/rows.h"

static tarn_field fields[3];
static const tarn_schema schema = {fields, 3};

static int set_fields(void **state) {
    fields[0] = (tarn_field){TARN_LIT("id"), tarn_type_of(TARN_TYPE_BIGINT), true, -1};
    fields[1] = (tarn_field){TARN_LIT("name"), tarn_type_of(TARN_TYPE_TEXT), false, -1};
    fields[2] = (tarn_field){TARN_LIT("price"), tarn_type_numeric(10, 2), false, -1};
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

static void note_bad(reading *r, const tarn_bad_record *bad, tarn_slice csv) {
    assert_true(bad->error.status != TARN_OK);
    assert_true(bad->byte_offset + bad->raw.len <= csv.len);
    if (bad->raw.len > 0) {
        assert_memory_equal(csv.data + bad->byte_offset, bad->raw.data, bad->raw.len);
    }
    assert_true(tarn_buffer_printf(&r->bad, "%llu:%llu@%llu " TARN_SLICE_FMT "\n",
                                   (unsigned long long)bad->line, (unsigned long long)bad->column,
                                   (unsigned long long)bad->byte_offset, TARN_SLICE_ARG(bad->raw)));
    r->last = bad->error;
}

static void read_with(const tarn_schema *with, tarn_slice csv, tarn_csv_options options,
                      reading *r) {
    tarn_object *object = test_object("a.csv", csv);
    tarn_csv_reader *reader = NULL;
    tarn_error err = {0};
    tarn_status status =
        tarn_csv_reader_new(&tarn_alloc_libc, object, with, &options, &reader, &err);
    if (status != TARN_OK) print_message("%s\n", err.message);
    assert_int_equal(status, TARN_OK);
    for (;;) {
        const tarn_chunk *chunk = NULL;
        tarn_bad_record bad;
        assert_int_equal(tarn_csv_reader_next(reader, &chunk, &bad, &err), TARN_OK);
        if (chunk == NULL) break;
        assert_true(chunk->row_count <= TARN_CHUNK_ROWS);
        test_append_rows(chunk, &r->rows);
        if (bad.line > 0) note_bad(r, &bad, csv);
    }
    assert_int_equal(tarn_csv_reader_offset(reader), csv.len);
    tarn_csv_reader_free(reader);
    tarn_object_close(object);
}

static void assert_reads(const char *csv, tarn_csv_options options, const char *rows) {
    reading r = {0};
    read_with(&schema, tarn_slice_from_cstr(csv), options, &r);
    test_assert_text(&r.bad, "");
    test_assert_text(&r.rows, rows);
    free_reading(&r);
}

// ---- what is read ----

TEST(records_are_read_with_every_kind_of_line_end) {
    const tarn_csv_options plain = {0};
    assert_reads("", plain, "");
    assert_reads("1,ann,2.50\n2,bob,3\n", plain, "1|ann|2.50\n2|bob|3.00\n");
    assert_reads("1,ann,2.50\r\n2,bob,3\r\n", plain, "1|ann|2.50\n2|bob|3.00\n");
    assert_reads("1,ann,2.50\n2,bob,3", plain, "1|ann|2.50\n2|bob|3.00\n");
    assert_reads("1,ann,\"2.50\"\r\n2,bob,\"3\"\r", plain, "1|ann|2.50\n2|bob|3.00\n");
    assert_reads("\n1,ann,2.50\n\r\n\n2,bob,3\n\n", plain, "1|ann|2.50\n2|bob|3.00\n");
    assert_reads("\xEF\xBB\xBF"
                 "1,ann,2.50\n",
                 plain, "1|ann|2.50\n");
}

TEST(quotes_hold_delimiters_line_ends_and_quotes) {
    const tarn_csv_options plain = {0};
    assert_reads("1,\"a,b\",\n", plain, "1|a,b|~\n");
    assert_reads("1,\"say \"\"hi\"\"\",\n", plain, "1|say \"hi\"|~\n");
    assert_reads("1,\"two\nlines\",\n2,\"\r\n\",1\n", plain, "1|two\nlines|~\n2|\r\n|1.00\n");
}

TEST(nulls_are_unquoted) {
    const tarn_csv_options plain = {0};
    assert_reads("1,,\n2,\"\",1\n", plain, "1|~|~\n2||1.00\n");
    const tarn_csv_options words = {.null_text = TARN_LIT("NULL")};
    assert_reads("1,NULL,NULL\n2,\"NULL\",1\n3,,1\n", words, "1|~|~\n2|NULL|1.00\n3||1.00\n");
}

TEST(delimiter_quote_and_escape_can_be_chosen) {
    const tarn_csv_options tabs = {.delimiter = '\t'};
    assert_reads("1\ta,b\t\n", tabs, "1|a,b|~\n");
    const tarn_csv_options other = {.delimiter = ';', .quote = '\'', .escape = '\\'};
    assert_reads("1;'it\\'s \\\\ a\\b';\n2;\\;1\n", other, "1|it's \\ a\\b|~\n2|\\|1.00\n");
    tarn_object *object = test_object("a.csv", TARN_LIT(""));
    tarn_csv_reader *reader = NULL;
    tarn_error err = {0};
    const tarn_csv_options bad = {.delimiter = '"'};
    assert_int_equal(tarn_csv_reader_new(&tarn_alloc_libc, object, &schema, &bad, &reader, &err),
                     TARN_INVALID);
    assert_string_equal(err.message, "csv: the delimiter is the quote or escape too");
    tarn_object_close(object);
}

TEST(headers_are_skipped_or_matched) {
    const tarn_csv_options skipped = {.header = true};
    assert_reads("a,b,c\n1,ann,2\n", skipped, "1|ann|2.00\n");
    assert_reads("", skipped, "");
    const tarn_csv_options matched = {.header = true, .match_header = true};
    assert_reads("price,other,id,\"name\"\n2,x,1,ann\n", matched, "1|ann|2.00\n");
    assert_reads("price,other,id,name\n", matched, "");
}

TEST(one_column_takes_empty_lines) {
    const tarn_schema one = {&fields[1], 1};
    reading r = {0};
    read_with(&one, TARN_LIT("a\n\n\"\"\nb"), (tarn_csv_options){0}, &r);
    test_assert_text(&r.rows, "a\n~\n\nb\n");
    free_reading(&r);
}

// ---- what is refused ----

static void assert_header_refused(const char *csv, bool match, const char *message,
                                  const char *hint) {
    tarn_object *object = test_object("a.csv", tarn_slice_from_cstr(csv));
    const tarn_csv_options options = {.header = true, .match_header = match};
    tarn_csv_reader *reader = NULL;
    tarn_error err = {0};
    assert_int_equal(
        tarn_csv_reader_new(&tarn_alloc_libc, object, &schema, &options, &reader, &err),
        TARN_INVALID);
    assert_string_equal(err.message, message);
    assert_string_equal(err.hint, hint);
    assert_string_equal(err.sqlstate, "22P04");
    tarn_object_close(object);
}

TEST(a_header_that_does_not_match_names_the_column) {
    assert_header_refused("id,nmae,price\n", true,
                          "csv file 'a.csv': line 1, byte 0: the header has no column 'name'",
                          "the header has 'nmae'");
    assert_header_refused("id,name,price,id\n", true,
                          "csv file 'a.csv': line 1, column 4 ('id'), byte 0: the header names it "
                          "twice",
                          "");
    assert_header_refused("id,name\n", false,
                          "csv file 'a.csv': line 1, byte 0: the header has 2 columns, 3 are "
                          "expected: 'price' is the first without one",
                          "");
    assert_header_refused("id,name,price,tax\n", false,
                          "csv file 'a.csv': line 1, column 4 ('tax'), byte 0: the header has 4 "
                          "columns, 3 are expected",
                          "");
    assert_header_refused("id,na\"me\n", false,
                          "csv file 'a.csv': line 1, column 2, byte 0: header: a quote inside an "
                          "unquoted field",
                          "");
}

typedef struct bad_case {
    const char *csv;
    const char *rows;
    const char *bad;
    const char *message;
    const char *sqlstate;
} bad_case;

TEST(bad_records_are_named_by_line_column_and_byte_and_the_rest_is_read) {
    static const bad_case cases[] = {
        {"1,a,1\nx,b,2\n3,c,3\n", "1|a|1.00\n3|c|3.00\n", "2:1@6 x,b,2\n",
         "csv file 'a.csv': line 2, column 1 ('id'), byte 6: invalid input syntax for type "
         "bigint: \"x\"",
         "22P02"},
        {"1,a,1\n2,b,123456789\n3,c,3\n", "1|a|1.00\n3|c|3.00\n", "2:3@6 2,b,123456789\n",
         "csv file 'a.csv': line 2, column 3 ('price'), byte 10: numeric field overflow", "22003"},
        {"1,a\r\n3,c,3\r\n", "3|c|3.00\n", "1:0@0 1,a\n",
         "csv file 'a.csv': line 1, byte 0: 3 fields are expected, 2 are there", "22P04"},
        {"1,a,1,9\n3,c,3\n", "3|c|3.00\n", "1:0@0 1,a,1,9\n",
         "csv file 'a.csv': line 1, byte 0: 3 fields are expected, 4 are there", "22P04"},
        {",a,1\n3,c,3\n", "3|c|3.00\n", "1:1@0 ,a,1\n",
         "csv file 'a.csv': line 1, column 1 ('id'), byte 0: a null in a column that is NOT NULL",
         "23502"},
        {"1,\"two\nlines\",1\n2,\"\n\n\",x\n3,c,3\n", "1|two\nlines|1.00\n3|c|3.00\n",
         "3:3@16 2,\"\n\n\",x\n",
         "csv file 'a.csv': line 3, column 3 ('price'), byte 23: invalid input syntax for type "
         "numeric: \"x\"",
         "22P02"},
        {"1,5\" pipe,1\n3,c,3\n", "3|c|3.00\n", "1:2@0 1,5\" pipe,1\n",
         "csv file 'a.csv': line 1, column 2 ('name'), byte 3: a quote inside an unquoted field",
         "22P04"},
        {"1,a\rb,1\n3,c,3\n", "3|c|3.00\n", "1:2@0 1,a\rb,1\n",
         "csv file 'a.csv': line 1, column 2 ('name'), byte 3: a carriage return inside an "
         "unquoted "
         "field: lines end with a line feed",
         "22P04"},
        {"1,a,1\r2,b,2\r\n3,c,3\n", "3|c|3.00\n", "1:3@0 1,a,1\r2,b,2\n",
         "csv file 'a.csv': line 1, column 3 ('price'), byte 5: a carriage return inside an "
         "unquoted field: lines end with a line feed",
         "22P04"},
        {"1,\"a\"\rb,1\n3,c,3\n", "3|c|3.00\n", "1:2@0 1,\"a\"\rb,1\n",
         "csv file 'a.csv': line 1, column 2 ('name'), byte 5: text behind the closing quote",
         "22P04"},
        {"1,\"a\"b,1\n3,c,3\n", "3|c|3.00\n", "1:2@0 1,\"a\"b,1\n",
         "csv file 'a.csv': line 1, column 2 ('name'), byte 5: text behind the closing quote",
         "22P04"},
        // The stray quote of line 1 closes in line 2, which is good all the same.
        {"1,\"a,1\n2,\"b\",2\n3,c,3\n", "2|b|2.00\n3|c|3.00\n", "1:2@0 1,\"a,1\n",
         "csv file 'a.csv': line 1, column 2 ('name'), byte 10: text behind the closing quote",
         "22P04"},
        {"1,\"a,1\n2,b,2\n3,c,3\n", "2|b|2.00\n3|c|3.00\n", "1:2@0 1,\"a,1\n",
         "csv file 'a.csv': line 1, column 2 ('name'), byte 2: the quoted field has no closing "
         "quote",
         "22P04"},
        {"1,\xff,1\n3,c,3\n", "3|c|3.00\n", "1:2@0 1,\xff,1\n",
         "csv file 'a.csv': line 1, column 2 ('name'), byte 2: invalid byte sequence for encoding "
         "\"UTF8\": 0xff",
         "22021"},
        {"1,a,1\n2,b,2\n\"3", "1|a|1.00\n2|b|2.00\n", "3:1@12 \"3\n",
         "csv file 'a.csv': line 3, column 1 ('id'), byte 12: the quoted field has no closing "
         "quote",
         "22P04"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reading r = {0};
        read_with(&schema, tarn_slice_from_cstr(cases[i].csv), (tarn_csv_options){0}, &r);
        test_assert_text(&r.rows, cases[i].rows);
        test_assert_text(&r.bad, cases[i].bad);
        assert_string_equal(r.last.message, cases[i].message);
        assert_string_equal(r.last.sqlstate, cases[i].sqlstate);
        free_reading(&r);
    }
}

TEST(without_a_place_for_bad_records_they_fail_the_call_and_reading_goes_on_behind) {
    tarn_object *object = test_object("a.csv", TARN_LIT("1,a,1\nx,b,2\n3,c,3\n"));
    const tarn_csv_options options = {0};
    tarn_csv_reader *reader = NULL;
    assert_int_equal(
        tarn_csv_reader_new(&tarn_alloc_libc, object, &schema, &options, &reader, NULL), TARN_OK);
    const tarn_chunk *chunk = NULL;
    tarn_error err = {0};
    assert_int_equal(tarn_csv_reader_next(reader, &chunk, NULL, &err), TARN_INVALID);
    assert_non_null(strstr(err.message, "line 2, column 1 ('id'), byte 6: "));
    assert_null(chunk);
    assert_int_equal(tarn_csv_reader_offset(reader), 12);
    assert_int_equal(tarn_csv_reader_line(reader), 3);
    assert_int_equal(tarn_csv_reader_next(reader, &chunk, NULL, &err), TARN_OK);
    assert_int_equal(chunk->row_count, 1);
    assert_int_equal(tarn_csv_reader_next(reader, &chunk, NULL, &err), TARN_OK);
    assert_null(chunk);
    tarn_csv_reader_free(reader);
    tarn_object_close(object);
}

TEST(a_record_over_the_limit_is_passed_over) {
    const tarn_csv_options options = {.record_limit_bytes = 30};
    reading r = {0};
    tarn_slice csv = TARN_LIT("1,short,1\n"
                              "2,this is a name of more than thirty bytes,2\n"
                              "3,c,3\n"
                              "4,\"this quote\nis never closed,4\n"
                              "5,e,5\n");
    read_with(&schema, csv, options, &r);
    test_assert_text(&r.rows, "1|short|1.00\n3|c|3.00\n5|e|5.00\n");
    test_assert_text(&r.bad, "2:0@10 2,this is a name of more than \n"
                             "4:0@61 4,\"this quote\n"
                             "5:0@75 is never closed,4\n");
    free_reading(&r);
}

// ---- any place to resume, any size of the window ----

static tarn_type random_type(void) {
    static const tarn_type_id ids[] = {TARN_TYPE_BOOLEAN,   TARN_TYPE_SMALLINT, TARN_TYPE_INTEGER,
                                       TARN_TYPE_BIGINT,    TARN_TYPE_DOUBLE,   TARN_TYPE_DATE,
                                       TARN_TYPE_TIMESTAMP, TARN_TYPE_TEXT};
    if (test_random_below(5) == 0) return tarn_type_numeric(30, 5);
    return tarn_type_of(ids[test_random_below(sizeof ids / sizeof ids[0])]);
}

#define MODEL_ROWS_MAX 60

typedef struct model {
    tarn_arena arena;
    tarn_field fields[6];
    tarn_schema schema;
    tarn_buffer csv;
    size_t row_count;
    size_t offsets[MODEL_ROWS_MAX + 1]; // in the file
    size_t lines[MODEL_ROWS_MAX + 1];
    tarn_buffer rows;                       // as text ...
    size_t row_offsets[MODEL_ROWS_MAX + 1]; // ... and where each starts
} model;

// A field as some program may write it: quoted where it must be, and now and then where not.
static void append_field(model *m, tarn_slice text) {
    bool quote = text.len == 0 || test_random_below(4) == 0;
    for (size_t i = 0; i < text.len; i++) {
        quote |= strchr(",\"\n\r", text.data[i]) != NULL;
        m->lines[m->row_count] += text.data[i] == '\n';
    }
    if (quote) assert_true(tarn_buffer_append_byte(&m->csv, '"'));
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"') assert_true(tarn_buffer_append_byte(&m->csv, '"'));
        assert_true(tarn_buffer_append_byte(&m->csv, text.data[i]));
    }
    if (quote) assert_true(tarn_buffer_append_byte(&m->csv, '"'));
}

static void append_row(model *m) {
    m->lines[m->row_count] += 1;
    for (size_t c = 0; c < m->schema.field_count; c++) {
        if (c > 0) {
            assert_true(tarn_buffer_append_byte(&m->csv, ','));
            assert_true(tarn_buffer_append_byte(&m->rows, '|'));
        }
        if (test_random_below(6) == 0) {
            assert_true(tarn_buffer_append_byte(&m->rows, '~'));
            continue;
        }
        tarn_value value = test_random_value(m->fields[c].type, &m->arena);
        size_t before = m->rows.len;
        assert_int_equal(tarn_value_format(value, &m->rows, NULL), TARN_OK);
        append_field(m, tarn_slice_skip(tarn_buffer_slice(&m->rows), before));
    }
    assert_true(tarn_buffer_append_byte(&m->rows, '\n'));
    if (test_random_below(3) == 0) assert_true(tarn_buffer_append_byte(&m->csv, '\r'));
    assert_true(tarn_buffer_append_byte(&m->csv, '\n'));
}

static void make_model(model *m) {
    *m = (model){.schema = {m->fields, 2 + test_random_below(5)}};
    tarn_arena_init(&m->arena, &tarn_alloc_libc, 1 << 26);
    for (size_t c = 0; c < m->schema.field_count; c++) {
        m->fields[c] = (tarn_field){.name = TARN_LIT("c"), .type = random_type(), .id = -1};
    }
    size_t count = test_random_below(MODEL_ROWS_MAX);
    m->lines[0] = 1;
    while (m->row_count < count) {
        append_row(m);
        m->row_count++;
        m->offsets[m->row_count] = m->csv.len;
        m->row_offsets[m->row_count] = m->rows.len;
        m->lines[m->row_count] = m->lines[m->row_count - 1];
    }
    // lines[i] counted the line feeds up to the end of row i; make it where row i starts.
    for (size_t i = m->row_count; i > 0; i--) m->lines[i] = m->lines[i - 1];
    m->lines[0] = 1;
}

static void free_model(model *m) {
    tarn_buffer_free(&m->csv);
    tarn_buffer_free(&m->rows);
    tarn_arena_reset(&m->arena);
}

TEST(any_window_and_any_place_to_resume_give_the_same_rows) {
    for (int round = 0; round < 300; round++) {
        model m;
        make_model(&m);
        size_t from = test_random_below(m.row_count + 1);
        tarn_csv_options options = {.first_offset = m.offsets[from],
                                    .first_line = m.lines[from],
                                    // windows are no larger than the limit
                                    .record_limit_bytes = 3000 + test_random_below(3000)};
        reading r = {0};
        read_with(&m.schema, tarn_buffer_slice(&m.csv), options, &r);
        test_assert_text(&r.bad, "");
        tarn_slice expected = tarn_slice_skip(tarn_buffer_slice(&m.rows), m.row_offsets[from]);
        assert_true(tarn_slice_equal(tarn_buffer_slice(&r.rows), expected));
        free_reading(&r);
        free_model(&m);
    }
}

// The offset and line behind every chunk are those of the next record.
TEST(offsets_and_lines_are_those_of_the_next_record) {
    for (int round = 0; round < 100; round++) {
        model m;
        make_model(&m);
        tarn_object *object = test_object("a.csv", tarn_buffer_slice(&m.csv));
        const tarn_csv_options options = {.record_limit_bytes = 4000};
        tarn_csv_reader *reader = NULL;
        assert_int_equal(
            tarn_csv_reader_new(&tarn_alloc_libc, object, &m.schema, &options, &reader, NULL),
            TARN_OK);
        size_t row = 0;
        for (;;) {
            assert_int_equal(tarn_csv_reader_offset(reader), m.offsets[row]);
            assert_int_equal(tarn_csv_reader_line(reader), m.lines[row]);
            const tarn_chunk *chunk = NULL;
            assert_int_equal(tarn_csv_reader_next(reader, &chunk, NULL, NULL), TARN_OK);
            if (chunk == NULL) break;
            row += chunk->row_count;
        }
        assert_int_equal(row, m.row_count);
        tarn_csv_reader_free(reader);
        tarn_object_close(object);
        free_model(&m);
    }
}

TEST(any_damage_is_answered_and_the_end_is_reached) {
    for (int round = 0; round < 300; round++) {
        model m;
        make_model(&m);
        for (size_t i = test_random_below(5); i > 0 && m.csv.len > 0; i--) {
            static const char bytes[] = "\",\n\r\\x\200\0";
            m.csv.data[test_random_below(m.csv.len)] = (uint8_t)bytes[test_random_below(8)];
        }
        if (m.csv.len > 0) m.csv.len = 1 + test_random_below(m.csv.len);
        reading r = {0};
        const tarn_csv_options options = {.record_limit_bytes = 40 + test_random_below(4000)};
        read_with(&m.schema, tarn_buffer_slice(&m.csv), options, &r);
        free_reading(&r);
        free_model(&m);
    }
}

// Fails the n-th request and every later one.
typedef struct failing_alloc {
    tarn_alloc alloc;
    size_t requests_left;
} failing_alloc;

static void *failing_acquire(void *context, size_t size_bytes) {
    failing_alloc *f = context;
    if (f->requests_left == 0) return NULL;
    f->requests_left--;
    return tarn_alloc_libc.acquire(tarn_alloc_libc.context, size_bytes);
}

static void failing_release(void *context, void *memory, size_t size_bytes) {
    (void)context;
    tarn_alloc_libc.release(tarn_alloc_libc.context, memory, size_bytes);
}

static tarn_status read_all(const tarn_alloc *alloc, tarn_object *object, size_t *ret_rows) {
    const tarn_csv_options options = {.header = true, .match_header = true};
    tarn_csv_reader *reader = NULL;
    tarn_status status = tarn_csv_reader_new(alloc, object, &schema, &options, &reader, NULL);
    const tarn_chunk *chunk = NULL;
    for (*ret_rows = 0; status == TARN_OK; *ret_rows += chunk->row_count) {
        status = tarn_csv_reader_next(reader, &chunk, NULL, NULL);
        if (status != TARN_OK || chunk == NULL) break;
    }
    tarn_csv_reader_free(reader);
    return status;
}

TEST(every_failed_allocation_is_reported) {
    tarn_object *object =
        test_object("a.csv", TARN_LIT("name,id,other,price\n\"say \"\"hi\"\"\",1,x,\na,2,,3\n"));
    for (size_t requests = 0;; requests++) {
        failing_alloc f = {{failing_acquire, failing_release, NULL}, requests};
        f.alloc.context = &f;
        size_t rows = 0;
        tarn_status status = read_all(&f.alloc, object, &rows);
        assert_true(status == TARN_OK || status == TARN_NO_MEMORY);
        if (status != TARN_OK) continue;
        assert_int_equal(rows, 2);
        assert_true(requests > 3);
        break;
    }
    tarn_object_close(object);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_with_every_kind_of_line_end),
        cmocka_unit_test(quotes_hold_delimiters_line_ends_and_quotes),
        cmocka_unit_test(nulls_are_unquoted),
        cmocka_unit_test(delimiter_quote_and_escape_can_be_chosen),
        cmocka_unit_test(headers_are_skipped_or_matched),
        cmocka_unit_test(one_column_takes_empty_lines),
        cmocka_unit_test(a_header_that_does_not_match_names_the_column),
        cmocka_unit_test(bad_records_are_named_by_line_column_and_byte_and_the_rest_is_read),
        cmocka_unit_test(
            without_a_place_for_bad_records_they_fail_the_call_and_reading_goes_on_behind),
        cmocka_unit_test(a_record_over_the_limit_is_passed_over),
        cmocka_unit_test(any_window_and_any_place_to_resume_give_the_same_rows),
        cmocka_unit_test(offsets_and_lines_are_those_of_the_next_record),
        cmocka_unit_test(any_damage_is_answered_and_the_end_is_reached),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, set_fields, NULL);
}
