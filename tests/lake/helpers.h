// helpers.h - what the tests of lake/ share: a warehouse in a simulated machine, and rows as text.
//
// A row is written as "+I|1|abc" (kind, then the columns; \N is NULL) and read back as "1|abc".
#ifndef TARN_TESTS_LAKE_HELPERS_H
#define TARN_TESTS_LAKE_HELPERS_H

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "lake/lake.h"
#include "os/sim.h"
#include "tests/test.h"

static tarn_error test_error;

static inline void assert_ok_at(tarn_status status, const char *file, int line) {
    if (status == TARN_OK) return;
    print_error("%s:%d: %s: %s\n", file, line, tarn_status_name(status), test_error.message);
    _assert_int_equal((uintmax_t)status, TARN_OK, file, line);
}
#define assert_ok(call) assert_ok_at((call), __FILE__, __LINE__)

#define TEXT(cstr) tarn_slice_from_cstr(cstr)

// ---- lists of texts ----

typedef struct text_list {
    char **items;
    size_t count;
    size_t capacity;
} text_list;

static inline void text_list_add(text_list *list, const char *text) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        list->items = test_realloc(list->items, list->capacity * sizeof(char *));
    }
    size_t len = strlen(text);
    char *copy = test_malloc(len + 1);
    memcpy(copy, text, len + 1);
    list->items[list->count++] = copy;
}

static inline void text_list_free(text_list *list) {
    for (size_t i = 0; i < list->count; i++) test_free(list->items[i]);
    if (list->items != NULL) test_free(list->items);
    *list = (text_list){0};
}

static inline int text_compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void text_list_sort(text_list *list) {
    if (list->count > 1) qsort(list->items, list->count, sizeof(char *), text_compare);
}

static inline void assert_texts_equal_at(const text_list *got, const text_list *expected,
                                         const char *file, int line) {
    for (size_t i = 0; i < got->count || i < expected->count; i++) {
        const char *a = i < got->count ? got->items[i] : "(nothing)";
        const char *b = i < expected->count ? expected->items[i] : "(nothing)";
        if (strcmp(a, b) == 0) continue;
        print_error("%s:%d: row %zu is '%s', expected '%s' (%zu and %zu rows)\n", file, line, i, a,
                    b, got->count, expected->count);
        _fail(file, line);
    }
}
#define assert_texts_equal(got, expected) assert_texts_equal_at(got, expected, __FILE__, __LINE__)

// ---- definitions ----

typedef struct test_column {
    const char *name;
    tarn_type_id type;
    bool not_null;
} test_column;

#define TEST_COLUMNS_MAX 16
#define TEST_OPTIONS_MAX 16

// `keys` and `partitions` are comma lists, `options` a list of "key=value" ended by NULL.
typedef struct test_definition {
    tarn_field fields[TEST_COLUMNS_MAX];
    tarn_slice primary[TEST_COLUMNS_MAX];
    tarn_slice partition[TEST_COLUMNS_MAX];
    tarn_option options[TEST_OPTIONS_MAX];
    tarn_table_definition definition;
} test_definition;

static inline size_t split_names(const char *list, tarn_slice *names) {
    size_t count = 0;
    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, ",");
        names[count++] = (tarn_slice){(const uint8_t *)list, len};
        list += len + (list[len] == ',');
    }
    return count;
}

static inline const tarn_table_definition *define(test_definition *d, const test_column *columns,
                                                  size_t column_count, const char *primary,
                                                  const char *partition,
                                                  const char *const *options) {
    *d = (test_definition){0};
    for (size_t i = 0; i < column_count; i++) {
        d->fields[i] = (tarn_field){.name = TEXT(columns[i].name),
                                    .type = tarn_type_of(columns[i].type),
                                    .not_null = columns[i].not_null,
                                    .id = -1};
    }
    size_t option_count = 0;
    for (; options != NULL && options[option_count] != NULL; option_count++) {
        const char *text = options[option_count];
        size_t len = strcspn(text, "=");
        d->options[option_count] =
            (tarn_option){{(const uint8_t *)text, len}, TEXT(text + len + 1)};
    }
    d->definition = (tarn_table_definition){
        .schema = {d->fields, column_count},
        .partition_keys = d->partition,
        .partition_key_count = split_names(partition, d->partition),
        .primary_keys = d->primary,
        .primary_key_count = split_names(primary, d->primary),
        .options = d->options,
        .option_count = option_count,
    };
    return &d->definition;
}

// ---- a warehouse ----

typedef struct fixture {
    tarn_sim *sim;
    tarn_store *store;
    tarn_table *table;
} fixture;

#define TABLE_PATH TARN_LIT("db.db/t")

static inline void fixture_open(fixture *f) {
    assert_ok(tarn_store_open_local(tarn_sim_os(f->sim), &tarn_alloc_libc, TARN_LIT("/w"),
                                    &f->store, &test_error));
    assert_ok(tarn_table_open(f->store, TABLE_PATH, &tarn_alloc_libc, &f->table, &test_error));
}

static inline void fixture_close(fixture *f) {
    tarn_table_close(f->table);
    f->table = NULL;
    tarn_store_close(f->store);
    f->store = NULL;
}

static inline fixture fixture_new(const tarn_table_definition *definition) {
    fixture f = {0};
    assert_ok(tarn_sim_new(&tarn_alloc_libc, test_random(), &f.sim, &test_error));
    assert_ok(tarn_store_open_local(tarn_sim_os(f.sim), &tarn_alloc_libc, TARN_LIT("/w"), &f.store,
                                    &test_error));
    assert_ok(tarn_table_create(f.store, TABLE_PATH, definition, &tarn_alloc_libc, &test_error));
    assert_ok(tarn_table_open(f.store, TABLE_PATH, &tarn_alloc_libc, &f.table, &test_error));
    return f;
}

static inline void fixture_free(fixture *f) {
    fixture_close(f);
    tarn_sim_free(f->sim);
}

static inline void fixture_reopen(fixture *f) {
    fixture_close(f);
    fixture_open(f);
}

// ---- writing ----

static inline tarn_row_kind kind_of(const char *row) {
    if (strncmp(row, "-D", 2) == 0) return TARN_ROW_DELETE;
    if (strncmp(row, "-U", 2) == 0) return TARN_ROW_UPDATE_BEFORE;
    if (strncmp(row, "+U", 2) == 0) return TARN_ROW_UPDATE_AFTER;
    return TARN_ROW_INSERT;
}

static inline void parse_row(const tarn_schema *schema, const char *row, tarn_arena *arena,
                             tarn_value *values) {
    const char *at = row + 2;
    for (size_t i = 0; i < schema->field_count; i++) {
        assert_int_equal(*at, '|');
        at++;
        size_t len = strcspn(at, "|");
        tarn_type type = schema->fields[i].type;
        if (len == 2 && strncmp(at, "\\N", 2) == 0) {
            values[i] = tarn_value_null(type);
        } else {
            assert_ok(tarn_value_parse(type, (tarn_slice){(const uint8_t *)at, len}, arena,
                                       &values[i], &test_error));
        }
        at += len;
    }
}

static inline tarn_status write_rows(tarn_table *table, tarn_table_writer *writer,
                                     const char *const *rows, size_t count) {
    const tarn_schema *schema = &tarn_table_definition_of(table)->schema;
    tarn_chunk_builder *builder = NULL;
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    assert_ok(tarn_chunk_builder_new(&tarn_alloc_libc, schema, &builder, &test_error));
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        tarn_value values[TEST_COLUMNS_MAX];
        parse_row(schema, rows[i], &arena, values);
        assert_ok(tarn_chunk_builder_append(builder, values, kind_of(rows[i]), &test_error));
        if (i + 1 < count && !tarn_chunk_builder_is_full(builder)) continue;
        status = tarn_table_writer_append(writer, tarn_chunk_builder_chunk(builder), &test_error);
        tarn_chunk_builder_clear(builder);
    }
    tarn_chunk_builder_free(builder);
    tarn_arena_reset(&arena);
    return status;
}

// A commit of some rows by `user`; returns the status of the first step that fails.
static inline tarn_status commit_rows(tarn_table *table, const char *user, int64_t identifier,
                                      const char *const *rows, size_t count, int64_t *ret_id) {
    tarn_table_writer *writer = NULL;
    tarn_buffer committable = {0};
    tarn_status status = tarn_table_writer_new(table, NULL, &writer, &test_error);
    if (status == TARN_OK) status = write_rows(table, writer, rows, count);
    if (status == TARN_OK) status = tarn_table_writer_prepare(writer, &committable, &test_error);
    tarn_table_commit_request request = {.commit_user = TEXT(user),
                                         .commit_identifier = identifier,
                                         .committable = tarn_buffer_slice(&committable),
                                         .watermark_us = TARN_NO_WATERMARK};
    if (status == TARN_OK) status = tarn_table_commit(table, &request, ret_id, &test_error);
    tarn_table_writer_free(writer);
    tarn_buffer_free(&committable);
    return status;
}

static inline int64_t put_rows(fixture *f, const char *const *rows, size_t count) {
    int64_t id = 0;
    assert_ok(commit_rows(f->table, "test", INT64_MAX, rows, count, &id));
    return id;
}
#define PUT(f, ...)                                   \
    put_rows((f), (const char *const[]){__VA_ARGS__}, \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

// ---- reading ----

static inline void format_row(const tarn_chunk *chunk, size_t row, bool with_kind,
                              tarn_buffer *out) {
    tarn_buffer_clear(out);
    if (with_kind) {
        tarn_row_kind kind =
            chunk->kinds == NULL ? TARN_ROW_INSERT : (tarn_row_kind)chunk->kinds[row];
        assert_true(tarn_buffer_printf(out, "%s|", tarn_row_kind_name(kind)));
    }
    for (size_t c = 0; c < chunk->column_count; c++) {
        tarn_value value = tarn_vector_get(&chunk->columns[c], row);
        if (c > 0) assert_true(tarn_buffer_append_byte(out, '|'));
        if (value.is_null) {
            assert_true(tarn_buffer_append(out, TARN_LIT("\\N")));
        } else {
            assert_ok(tarn_value_format(value, out, &test_error));
        }
    }
    assert_true(tarn_buffer_append_byte(out, 0));
}

// Reads every split; rows in the order of the scan. Chunks without columns give empty texts.
static inline tarn_status scan_rows(tarn_table *table, const tarn_table_scan_options *options,
                                    text_list *rows, tarn_scan_metrics *ret_metrics) {
    tarn_table_scan *scan = NULL;
    tarn_status status = tarn_table_scan_new(table, options, &scan, &test_error);
    if (status != TARN_OK) return status;
    bool with_kind = options != NULL && options->mode == TARN_SCAN_CHANGES;
    tarn_buffer text = {0};
    uint64_t count = 0;
    for (size_t s = 0; s < tarn_table_scan_split_count(scan) && status == TARN_OK; s++) {
        tarn_split_reader *reader = NULL;
        status = tarn_split_reader_new(scan, s, &tarn_alloc_libc, &reader, &test_error);
        while (status == TARN_OK) {
            const tarn_chunk *chunk = NULL;
            status = tarn_split_reader_next(reader, &chunk, &test_error);
            if (status != TARN_OK || chunk == NULL) break;
            assert_true(tarn_chunk_count(chunk) > 0);
            for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
                format_row(chunk, tarn_chunk_row(chunk, i), with_kind, &text);
                text_list_add(rows, (const char *)text.data);
                count++;
            }
        }
        tarn_split_reader_free(reader);
    }
    if (status == TARN_OK) assert_true(count <= tarn_table_scan_row_estimate(scan));
    if (ret_metrics != NULL) *ret_metrics = tarn_table_scan_metrics(scan);
    tarn_buffer_free(&text);
    tarn_table_scan_free(scan);
    return status;
}

static inline text_list read_snapshot(tarn_table *table, int64_t snapshot_id) {
    text_list rows = {0};
    tarn_table_scan_options options = {.snapshot_id = snapshot_id};
    assert_ok(scan_rows(table, &options, &rows, NULL));
    text_list_sort(&rows);
    return rows;
}

static inline text_list read_changes(tarn_table *table, int64_t after, int64_t until) {
    text_list rows = {0};
    tarn_table_scan_options options = {
        .snapshot_id = until, .mode = TARN_SCAN_CHANGES, .after_snapshot_id = after};
    assert_ok(scan_rows(table, &options, &rows, NULL));
    return rows;
}

static inline void assert_rows_at(text_list got, const char *const *expected, size_t count,
                                  const char *file, int line) {
    text_list list = {0};
    for (size_t i = 0; i < count; i++) text_list_add(&list, expected[i]);
    text_list_sort(&list);
    text_list_sort(&got);
    assert_texts_equal_at(&got, &list, file, line);
    text_list_free(&list);
    text_list_free(&got);
}
// Compares as sets with repetition, and frees `got`.
#define assert_rows(got, ...)                                                                   \
    assert_rows_at((got), (const char *const[]){__VA_ARGS__},                                   \
                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), __FILE__, \
                   __LINE__)
#define assert_no_rows(got) assert_rows_at((got), NULL, 0, __FILE__, __LINE__)

#endif
