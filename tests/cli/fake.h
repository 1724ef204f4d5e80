// fake.h - an engine of prepared answers, an output that is kept, and rows from text, for the tests
// of cli/.
#ifndef TARN_TESTS_CLI_FAKE_H
#define TARN_TESTS_CLI_FAKE_H

#include "base/alloc.h"
#include "cli/engine.h"
#include "cli/out.h"
#include "cli/printer.h"
#include "tests/test.h"

// ---- output ----

static inline tarn_status fake_write(void *context, tarn_slice bytes, tarn_error *err) {
    tarn_buffer *text = context;
    return tarn_buffer_append(text, bytes) ? TARN_OK : tarn_fail(err, TARN_NO_MEMORY, "full");
}

static inline void fake_assert_text(const tarn_buffer *text, const char *expected) {
    if (tarn_slice_equal(tarn_buffer_slice(text), tarn_slice_from_cstr(expected))) return;
    print_message("expected:\n%s\ngot:\n%.*s\n", expected, (int)text->len,
                  text->data == NULL ? "" : (const char *)text->data);
    fail();
}

// ---- rows: values separated by '|', "~" is NULL ----

static inline tarn_value fake_value(tarn_type type, tarn_slice text, tarn_arena *arena) {
    tarn_value value = tarn_value_null(type);
    if (tarn_slice_equal(text, TARN_LIT("~"))) return value;
    if (type.id == TARN_TYPE_TEXT) {
        value.is_null = false;
        value.bytes = text;
        return value;
    }
    assert_int_equal(tarn_value_parse(type, text, arena, &value, NULL), TARN_OK);
    return value;
}

static inline void fake_append_row(tarn_chunk_builder *builder, const tarn_schema *schema,
                                   const char *row) {
    tarn_arena arena;
    tarn_value values[8];
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    for (size_t i = 0; i < schema->field_count; i++) {
        const char *end = strchr(row, '|');
        size_t len = end == NULL ? strlen(row) : (size_t)(end - row);
        values[i] =
            fake_value(schema->fields[i].type, (tarn_slice){(const uint8_t *)row, len}, &arena);
        row += end == NULL ? len : len + 1;
    }
    assert_int_equal(tarn_chunk_builder_append(builder, values, TARN_ROW_INSERT, NULL), TARN_OK);
    tarn_arena_reset(&arena);
}

static inline tarn_batch *fake_batch(tarn_chunk_builder *builder) {
    tarn_batch *batch = NULL;
    assert_int_equal(
        tarn_batch_new(&tarn_alloc_libc, tarn_chunk_builder_chunk(builder), &batch, NULL), TARN_OK);
    tarn_chunk_builder_clear(builder);
    return batch;
}

static inline tarn_field fake_field(const char *name, tarn_type_id type) {
    return (tarn_field){.name = tarn_slice_from_cstr(name), .type = tarn_type_of(type), .id = -1};
}

// ---- the engine ----

// What a statement (compared as a whole) is answered with.
typedef struct fake_answer {
    const char *statement;
    const tarn_error *error; // it fails
    tarn_schema schema;      // empty: no rows, only the tag
    const char *const *rows; // ends with NULL
    const char *tag;
} fake_answer;

typedef struct fake_engine {
    const fake_answer *answers; // ends with one without a statement
    tarn_buffer log;            // the statements, each with a newline
    size_t open_results;
    cli_engine engine;
} fake_engine;

typedef struct fake_result {
    fake_engine *engine;
    const fake_answer *answer;
    tarn_chunk_builder *builder;
    size_t next_row;
} fake_result;

static inline tarn_status fake_execute(void *context, tarn_slice text, void **ret_result,
                                       tarn_error *err) {
    fake_engine *engine = context;
    assert_true(tarn_buffer_append(&engine->log, text));
    assert_true(tarn_buffer_append_byte(&engine->log, '\n'));
    const fake_answer *answer = engine->answers;
    while (answer->statement != NULL &&
           !tarn_slice_equal(text, tarn_slice_from_cstr(answer->statement))) {
        answer++;
    }
    if (answer->statement == NULL) return tarn_fail(err, TARN_INVALID, "no answer prepared");
    if (answer->error != NULL) {
        *err = *answer->error;
        return err->status;
    }
    fake_result *result = tarn_alloc_new(&tarn_alloc_libc, fake_result, 1);
    assert_non_null(result);
    *result = (fake_result){.engine = engine, .answer = answer};
    assert_int_equal(
        tarn_chunk_builder_new(&tarn_alloc_libc, &answer->schema, &result->builder, err), TARN_OK);
    engine->open_results++;
    *ret_result = result;
    return TARN_OK;
}

static inline const tarn_schema *fake_schema(const void *result) {
    return &((const fake_result *)result)->answer->schema;
}

static inline tarn_status fake_next(void *context, tarn_batch **ret_batch, tarn_error *err) {
    (void)err;
    fake_result *result = context;
    *ret_batch = NULL;
    const char *const *rows = result->answer->rows;
    while (rows[result->next_row] != NULL && !tarn_chunk_builder_is_full(result->builder)) {
        fake_append_row(result->builder, &result->answer->schema, rows[result->next_row++]);
    }
    if (tarn_chunk_builder_count(result->builder) > 0) *ret_batch = fake_batch(result->builder);
    return TARN_OK;
}

static inline tarn_slice fake_tag(void *result) {
    return tarn_slice_from_cstr(((fake_result *)result)->answer->tag);
}

static inline void fake_free(void *context) {
    fake_result *result = context;
    result->engine->open_results--;
    tarn_chunk_builder_free(result->builder);
    tarn_alloc_free(&tarn_alloc_libc, result, 1);
}

static inline tarn_status fake_progress(void *context, tarn_arena *arena,
                                        tarn_progress *ret_progress, tarn_error *err) {
    (void)context;
    (void)arena;
    (void)err;
    *ret_progress = (tarn_progress){.epoch = 7};
    return TARN_OK;
}

static inline tarn_slice fake_directory(void *context) {
    (void)context;
    return TARN_LIT("/data/shop");
}

// `engine` must not move afterwards.
static inline void fake_engine_init(fake_engine *engine, const fake_answer *answers) {
    *engine = (fake_engine){.answers = answers};
    engine->engine = (cli_engine){
        .context = engine,
        .execute = fake_execute,
        .schema = fake_schema,
        .next = fake_next,
        .tag = fake_tag,
        .free_result = fake_free,
        .progress = fake_progress,
        .directory = fake_directory,
    };
}

#endif
