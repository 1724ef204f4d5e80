// rig.h - a warehouse under test: on a simulated machine, or in a directory of its own.
//
//     rig r = rig_sim(seed);                  // or rig_disk()
//     rig_open(&r);
//     ok(&r, "INSERT INTO t VALUES (%d)", 7);
//     assert_rows(&r, "7\n", "SELECT * FROM t");
//     fails(&r, TARN_INVALID, "does not exist", "SELECT * FROM u");
//     rig_close(&r);
//     rig_free(&r);
//
// Rows are sorted lines of values separated by '|'; NULL is \N.
#ifndef TARN_TESTS_WAREHOUSE_RIG_H
#define TARN_TESTS_WAREHOUSE_RIG_H

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "os/sim.h"
#include "tests/test.h"
#include "warehouse/warehouse.h"

#define RIG_SQL_MAX 16384

typedef struct rig {
    tarn_sim *sim; // NULL: the real machine
    tarn_os *os;
    char directory[256];
    tarn_warehouse_options options;
    tarn_warehouse *warehouse;
    tarn_session *session;
    tarn_error err;
    tarn_buffer rows; // of the last query
    char tag[64];     // of the last statement
} rig;

static inline rig rig_sim(uint64_t seed) {
    rig r = {.directory = "/w", .options = {.thread_count = 2}};
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, seed, &r.sim, &r.err), TARN_OK);
    r.os = tarn_sim_os(r.sim);
    return r;
}

static inline rig rig_disk(void) {
    rig r = {.options = {.thread_count = 2, .checkpoint_interval_ms = 20}};
    const char *base = getenv("TMPDIR");
    (void)snprintf(r.directory, sizeof r.directory, "%s/tarn-warehouse-XXXXXX",
                   base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(r.directory));
    r.os = tarn_os_posix();
    return r;
}

static inline tarn_status rig_try_open(rig *r) {
    r->err = (tarn_error){0};
    tarn_status status =
        tarn_warehouse_open(r->os, &tarn_alloc_libc, tarn_slice_from_cstr(r->directory),
                            &r->options, &r->warehouse, &r->err);
    if (status == TARN_OK) status = tarn_session_new(r->warehouse, &r->session, &r->err);
    return status;
}

static inline void rig_check(const rig *r, tarn_status status, const char *what, const char *file,
                             int line) {
    if (status == TARN_OK) return;
    print_error("%s:%d: %s: %s: %s\n", file, line, what, tarn_status_name(status), r->err.message);
    _fail(file, line);
}

static inline void rig_open_at(rig *r, const char *file, int line) {
    rig_check(r, rig_try_open(r), "open", file, line);
}
#define rig_open(r) rig_open_at(r, __FILE__, __LINE__)

static inline void rig_close(rig *r) {
    tarn_session_free(r->session);
    tarn_warehouse_close(r->warehouse);
    r->session = NULL;
    r->warehouse = NULL;
}

#define rig_reopen(r) (rig_close(r), rig_open(r))

static inline void rig_free(rig *r) {
    rig_close(r);
    tarn_buffer_free(&r->rows);
    if (r->sim != NULL) {
        tarn_sim_free(r->sim);
    } else {
        tarn_status ignored =
            tarn_os_remove_tree(r->os, tarn_slice_from_cstr(r->directory), &r->err);
        (void)ignored; // what is left lies among the temporary files
    }
}

static inline void rig_write(rig *r, const char *path, const char *text) {
    tarn_status status = tarn_os_write_file(
        r->os, tarn_slice_from_cstr(path), tarn_slice_from_cstr(text), TARN_WRITE_REPLACE, &r->err);
    rig_check(r, status, path, __FILE__, __LINE__);
}

// ---- statements ----

static inline int rig_compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void rig_sort_rows(tarn_buffer *rows) {
    size_t count = 0;
    for (size_t i = 0; i < rows->len; i++) count += rows->data[i] == '\n';
    char **lines = test_malloc((count + 1) * sizeof(char *));
    char *copy = test_malloc(rows->len + 1);
    if (rows->len > 0) memcpy(copy, rows->data, rows->len);
    copy[rows->len] = '\0';
    size_t found = 0;
    for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        lines[found++] = line;
    }
    qsort(lines, found, sizeof(char *), rig_compare_lines);
    tarn_buffer_clear(rows);
    for (size_t i = 0; i < found; i++) {
        assert_true(tarn_buffer_append(rows, tarn_slice_from_cstr(lines[i])));
        assert_true(tarn_buffer_append_byte(rows, '\n'));
    }
    test_free(copy);
    test_free(lines);
}

static inline tarn_status rig_take_rows(tarn_result *result, tarn_buffer *rows, tarn_error *err) {
    for (;;) {
        tarn_batch *batch = NULL;
        TARN_TRY(tarn_result_next(result, &batch, err));
        if (batch == NULL) return TARN_OK;
        const tarn_chunk *chunk = &batch->chunk;
        for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
            size_t row = tarn_chunk_row(chunk, i);
            for (size_t c = 0; c < chunk->column_count; c++) {
                if (c > 0) assert_true(tarn_buffer_append_byte(rows, '|'));
                if (tarn_vector_is_null(&chunk->columns[c], row)) {
                    assert_true(tarn_buffer_append(rows, TARN_LIT("\\N")));
                } else {
                    tarn_value value = tarn_vector_get(&chunk->columns[c], row);
                    assert_int_equal(tarn_value_format(value, rows, err), TARN_OK);
                }
            }
            assert_true(tarn_buffer_append_byte(rows, '\n'));
        }
        tarn_batch_unref(batch);
    }
}

// Runs one statement on a session to its end; rows are sorted.
static inline tarn_status rig_run_on(rig *r, tarn_session *session, const char *sql) {
    tarn_result *result = NULL;
    r->err = (tarn_error){0};
    tarn_buffer_clear(&r->rows);
    TARN_TRY(tarn_session_execute(session, tarn_slice_from_cstr(sql), &result, &r->err));
    tarn_status status = rig_take_rows(result, &r->rows, &r->err);
    tarn_slice tag = tarn_result_tag(result);
    (void)snprintf(r->tag, sizeof r->tag, TARN_SLICE_FMT, TARN_SLICE_ARG(tag));
    tarn_result_free(result);
    rig_sort_rows(&r->rows);
    return status;
}

static inline tarn_status __attribute__((format(printf, 3, 0)))
rig_runv(rig *r, char *sql, const char *format, va_list args) {
    int len = vsnprintf(sql, RIG_SQL_MAX, format, args);
    assert_true(len > 0 && len < RIG_SQL_MAX);
    return rig_run_on(r, r->session, sql);
}

static inline tarn_status __attribute__((format(printf, 2, 3)))
run(rig *r, const char *format, ...) {
    char sql[RIG_SQL_MAX];
    va_list args;
    va_start(args, format);
    tarn_status status = rig_runv(r, sql, format, args);
    va_end(args);
    return status;
}

static inline void __attribute__((format(printf, 4, 5)))
ok_at(rig *r, const char *file, int line, const char *format, ...) {
    char sql[RIG_SQL_MAX];
    va_list args;
    va_start(args, format);
    tarn_status status = rig_runv(r, sql, format, args);
    va_end(args);
    rig_check(r, status, sql, file, line);
}
#define ok(r, ...) ok_at(r, __FILE__, __LINE__, __VA_ARGS__)

static inline const char *rig_rows(rig *r) {
    assert_true(tarn_buffer_append_byte(&r->rows, '\0'));
    r->rows.len--;
    return (const char *)r->rows.data;
}

static inline void __attribute__((format(printf, 5, 6)))
assert_rows_at(rig *r, const char *file, int line, const char *expected, const char *format, ...) {
    char sql[RIG_SQL_MAX];
    va_list args;
    va_start(args, format);
    tarn_status status = rig_runv(r, sql, format, args);
    va_end(args);
    rig_check(r, status, sql, file, line);
    if (strcmp(rig_rows(r), expected) == 0) return;
    print_error("%s:%d: %s gives\n%sexpected\n%s", file, line, sql, rig_rows(r), expected);
    _fail(file, line);
}
#define assert_rows(r, expected, ...) assert_rows_at(r, __FILE__, __LINE__, expected, __VA_ARGS__)

static inline void __attribute__((format(printf, 6, 7)))
fails_at(rig *r, const char *file, int line, tarn_status expected, const char *part,
         const char *format, ...) {
    char sql[RIG_SQL_MAX];
    va_list args;
    va_start(args, format);
    tarn_status status = rig_runv(r, sql, format, args);
    va_end(args);
    if (status == expected && strstr(r->err.message, part) != NULL) return;
    print_error("%s:%d: %s: %s: '%s', expected %s with '%s'\n", file, line, sql,
                tarn_status_name(status), r->err.message, tarn_status_name(expected), part);
    _fail(file, line);
}
#define fails(r, status, part, ...) fails_at(r, __FILE__, __LINE__, status, part, __VA_ARGS__)

// Both queries give the same rows.
static inline void assert_same_rows_at(rig *r, const char *file, int line, const char *sql,
                                       const char *expected_sql) {
    rig_check(r, rig_run_on(r, r->session, expected_sql), expected_sql, file, line);
    char *expected = test_malloc(r->rows.len + 1);
    memcpy(expected, rig_rows(r), r->rows.len + 1);
    rig_check(r, rig_run_on(r, r->session, sql), sql, file, line);
    if (strcmp(rig_rows(r), expected) != 0) {
        print_error("%s:%d: %s gives\n%sexpected from %s\n%s", file, line, sql, rig_rows(r),
                    expected_sql, expected);
        _fail(file, line);
    }
    test_free(expected);
}
#define assert_same_rows(r, sql, expected_sql) \
    assert_same_rows_at(r, __FILE__, __LINE__, sql, expected_sql)

#endif
