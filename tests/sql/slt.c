// slt.c - runs an sqllogictest script against a fresh warehouse.
//
//     slt DIRECTORY SCRIPT
//
//     statement ok                    the statement succeeds
//     statement count 3               ... and touches three rows (INSERT 0 3, COPY 3)
//     statement error [SQLSTATE] text the statement fails; its message, detail of position and hint
//     hold `text` query [rowsort]                 rows follow after ----, values separated by tabs,
//     NULL as "NULL" reopen                          closes and opens the warehouse skipif tiny
//     leaves the next record out in a tiny build
//
// Records are separated by empty lines; lines that start with # are comments. A failing record
// prints what it got, in a form that can be pasted.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "warehouse/warehouse.h"

typedef struct runner {
    const char *directory;
    const char *script;
    tarn_warehouse *warehouse;
    tarn_session *session;
    tarn_slice rest; // of the script
    size_t line;     // of the next line, from 1
    size_t record_count;
    size_t failure_count;
} runner;

static void die(const char *what, const tarn_error *err) {
    fprintf(stderr, "slt: %s: %s\n", what, err == NULL ? "no memory" : err->message);
    exit(1);
}

static void open_warehouse(runner *run) {
    tarn_error err = {0};
    tarn_warehouse_options options = {.thread_count = 2, .checkpoint_interval_ms = 50};
    if (tarn_warehouse_open(tarn_os_posix(), &tarn_alloc_libc, tarn_slice_from_cstr(run->directory),
                            &options, &run->warehouse, &err) != TARN_OK ||
        tarn_session_new(run->warehouse, &run->session, &err) != TARN_OK) {
        die("open", &err);
    }
}

static void close_warehouse(runner *run) {
    tarn_session_free(run->session);
    tarn_warehouse_close(run->warehouse);
}

// ---- the script ----

static bool next_line(runner *run, tarn_slice *ret_line) {
    if (run->rest.len == 0) return false;
    const uint8_t *end = memchr(run->rest.data, '\n', run->rest.len);
    size_t len = end == NULL ? run->rest.len : (size_t)(end - run->rest.data);
    *ret_line = tarn_slice_head(run->rest, len);
    run->rest = tarn_slice_skip(run->rest, end == NULL ? len : len + 1);
    run->line++;
    return true;
}

// Lines up to an empty one or one that is `stop`; true when `stop` ended them.
static bool take_lines(runner *run, const char *stop, tarn_buffer *out) {
    tarn_slice line;
    while (next_line(run, &line) && line.len > 0) {
        if (stop != NULL && tarn_slice_equal(line, tarn_slice_from_cstr(stop))) return true;
        if (!tarn_buffer_append(out, line) || !tarn_buffer_append_byte(out, '\n')) {
            die("script", NULL);
        }
    }
    return false;
}

static void fail(runner *run, size_t line, const char *expected, tarn_slice got) {
    printf("[  FAILED  ] line_%zu\n%s:%zu: %s; got:\n%.*s\n", line, run->script, line, expected,
           (int)got.len, (const char *)got.data);
    run->failure_count++;
}

static void pass(size_t line) {
    printf("[       OK ] line_%zu\n", line);
}

// ---- results ----

static tarn_status append_row(const tarn_chunk *chunk, size_t row, tarn_buffer *out,
                              tarn_error *err) {
    for (size_t c = 0; c < chunk->column_count; c++) {
        bool fits = c == 0 || tarn_buffer_append_byte(out, '\t');
        if (tarn_vector_is_null(&chunk->columns[c], row)) {
            fits = fits && tarn_buffer_append(out, TARN_LIT("NULL"));
        } else {
            tarn_value value = tarn_vector_get(&chunk->columns[c], row);
            size_t begin = out->len;
            TARN_TRY(tarn_value_format(value, out, err));
            if (out->len == begin) fits = fits && tarn_buffer_append(out, TARN_LIT("(empty)"));
        }
        if (!fits) return tarn_fail(err, TARN_NO_MEMORY, "no memory for results");
    }
    return tarn_buffer_append_byte(out, '\n') ? TARN_OK
                                              : tarn_fail(err, TARN_NO_MEMORY, "no memory");
}

// Runs the statement; rows and then the tag as text.
static tarn_status execute(runner *run, tarn_slice text, tarn_buffer *rows, tarn_buffer *tag,
                           tarn_error *err) {
    tarn_result *result = NULL;
    TARN_TRY(tarn_session_execute(run->session, text, &result, err));
    tarn_status status = TARN_OK;
    for (;;) {
        tarn_batch *batch = NULL;
        status = tarn_result_next(result, &batch, err);
        if (status != TARN_OK || batch == NULL) break;
        for (size_t i = 0; i < tarn_chunk_count(&batch->chunk) && status == TARN_OK; i++) {
            status = append_row(&batch->chunk, tarn_chunk_row(&batch->chunk, i), rows, err);
        }
        tarn_batch_unref(batch);
        if (status != TARN_OK) break;
    }
    if (status == TARN_OK && !tarn_buffer_append(tag, tarn_result_tag(result))) {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for the tag");
    }
    tarn_result_free(result);
    return status;
}

static int compare_lines(const void *a, const void *b) {
    return tarn_slice_compare(*(const tarn_slice *)a, *(const tarn_slice *)b);
}

static void sort_lines(tarn_buffer *text) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_slice *lines = tarn_arena_new(&arena, tarn_slice, text->len + 1);
    tarn_slice copy;
    if (lines == NULL || !tarn_arena_copy(&arena, tarn_buffer_slice(text), &copy)) {
        die("sort", NULL);
    }
    size_t count = 0;
    for (size_t begin = 0, i = 0; i < copy.len; i++) {
        if (copy.data[i] != '\n') continue;
        lines[count++] = (tarn_slice){copy.data + begin, i + 1 - begin};
        begin = i + 1;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    tarn_buffer_clear(text);
    for (size_t i = 0; i < count; i++) {
        if (!tarn_buffer_append(text, lines[i])) die("sort", NULL);
    }
    tarn_arena_reset(&arena);
}

// ---- records ----

static void report_error(const tarn_error *err, tarn_buffer *out) {
    if (!tarn_buffer_printf(out, "%s %s at %d%s%s", err->sqlstate, err->message, err->position,
                            err->hint[0] == '\0' ? "" : " HINT ", err->hint)) {
        die("report", NULL);
    }
}

static void run_statement(runner *run, tarn_slice want, size_t line) {
    tarn_buffer text = {0};
    tarn_buffer rows = {0};
    tarn_buffer tag = {0};
    tarn_buffer got = {0};
    tarn_error err = {0};
    take_lines(run, NULL, &text);
    tarn_status status = execute(run, tarn_buffer_slice(&text), &rows, &tag, &err);
    if (status != TARN_OK) report_error(&err, &got);
    if (tarn_slice_starts_with(want, TARN_LIT("error"))) {
        tarn_slice message = tarn_slice_skip(want, want.len > 5 ? 6 : 5);
        bool found = status != TARN_OK &&
                     (message.len == 0 || (got.len > 0 && memmem(got.data, got.len, message.data,
                                                                 message.len) != NULL));
        if (found) {
            pass(line);
        } else {
            fail(run, line, "the statement does not fail as expected", tarn_buffer_slice(&got));
        }
    } else if (status != TARN_OK) {
        fail(run, line, "the statement fails", tarn_buffer_slice(&got));
    } else if (tarn_slice_starts_with(want, TARN_LIT("count "))) {
        tarn_slice count = tarn_slice_skip(want, 6);
        bool ends = tag.len > count.len &&
                    memcmp(tag.data + tag.len - count.len, count.data, count.len) == 0 &&
                    tag.data[tag.len - count.len - 1] == ' ';
        if (ends) {
            pass(line);
        } else {
            fail(run, line, "another count is expected", tarn_buffer_slice(&tag));
        }
    } else {
        pass(line);
    }
    tarn_buffer_free(&text);
    tarn_buffer_free(&rows);
    tarn_buffer_free(&tag);
    tarn_buffer_free(&got);
}

static void run_query(runner *run, tarn_slice options, size_t line) {
    tarn_buffer text = {0};
    tarn_buffer expected = {0};
    tarn_buffer rows = {0};
    tarn_buffer tag = {0};
    tarn_error err = {0};
    if (take_lines(run, "----", &text)) take_lines(run, NULL, &expected);
    tarn_status status = execute(run, tarn_buffer_slice(&text), &rows, &tag, &err);
    if (tarn_slice_starts_with(options, TARN_LIT("rowsort"))) sort_lines(&rows);
    if (status != TARN_OK) {
        tarn_buffer_clear(&rows);
        report_error(&err, &rows);
        fail(run, line, "the query fails", tarn_buffer_slice(&rows));
    } else if (!tarn_slice_equal(tarn_buffer_slice(&rows), tarn_buffer_slice(&expected))) {
        fail(run, line, "other rows are expected", tarn_buffer_slice(&rows));
    } else {
        pass(line);
    }
    tarn_buffer_free(&text);
    tarn_buffer_free(&expected);
    tarn_buffer_free(&rows);
    tarn_buffer_free(&tag);
}

static void run_record(runner *run, tarn_slice head, bool skip) {
    size_t line = run->line;
    run->record_count++;
    if (skip) {
        tarn_buffer ignored = {0};
        take_lines(run, NULL, &ignored);
        tarn_buffer_free(&ignored);
    } else if (tarn_slice_starts_with(head, TARN_LIT("statement "))) {
        run_statement(run, tarn_slice_skip(head, 10), line);
    } else if (tarn_slice_starts_with(head, TARN_LIT("query"))) {
        run_query(run, tarn_slice_skip(head, head.len > 5 ? 6 : 5), line);
    } else if (tarn_slice_equal(head, TARN_LIT("reopen"))) {
        close_warehouse(run);
        open_warehouse(run);
        pass(line);
    } else {
        fail(run, line, "unknown record", head);
    }
}

static void run_script(runner *run) {
    tarn_slice head;
    bool skip = false;
    while (next_line(run, &head)) {
        if (head.len == 0 || head.data[0] == '#') continue;
        if (tarn_slice_equal(head, TARN_LIT("skipif tiny"))) {
#ifdef TARN_TINY
            skip = true;
#endif
            continue;
        }
        run_record(run, head, skip);
        skip = false;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: slt DIRECTORY SCRIPT\n");
        return 2;
    }
    runner run = {.directory = argv[1], .script = argv[2]};
    tarn_arena arena;
    tarn_error err = {0};
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_os *os = tarn_os_posix();
    if (tarn_os_remove_tree(os, tarn_slice_from_cstr(run.directory), &err) != TARN_OK ||
        tarn_os_read_file(os, tarn_slice_from_cstr(run.script), 16 << 20, &arena, &run.rest,
                          &err) != TARN_OK) {
        die(run.script, &err);
    }
    open_warehouse(&run);
    run_script(&run);
    close_warehouse(&run);
    tarn_arena_reset(&arena);
    printf("%zu records, %zu failed\n", run.record_count, run.failure_count);
    return run.failure_count == 0 && run.record_count > 0 ? 0 : 1;
}
