// json.h - the little of JSON that schema and snapshot files need: a thin file over jansson.
//
// Ownership: a document is freed with lake_json_free; strings are copied into the caller's arena.
// Errors:    TARN_CORRUPT with the key, or with line and column when the text is not JSON.
#ifndef TARN_LAKE_JSON_H
#define TARN_LAKE_JSON_H

#include <jansson.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"

// Parses an object. Unknown keys are kept, duplicate ones are refused.
TARN_MUST_USE tarn_status lake_json_parse(tarn_slice text, json_t **ret_object, tarn_error *err);
void lake_json_free(json_t *json); // accepts NULL

// The value of `key`, NULL when it is absent or null.
json_t *lake_json_get(const json_t *object, const char *key);

TARN_MUST_USE tarn_status lake_json_int(const json_t *object, const char *key, int64_t *ret_value,
                                        tarn_error *err);
// *ret_value is `absent` when the key is absent or null.
TARN_MUST_USE tarn_status lake_json_optional_int(const json_t *object, const char *key,
                                                 int64_t absent, int64_t *ret_value,
                                                 tarn_error *err);
TARN_MUST_USE tarn_status lake_json_string(const json_t *object, const char *key, tarn_arena *arena,
                                           tarn_slice *ret_value, tarn_error *err);
// *ret_value is {NULL, 0} when the key is absent or null.
TARN_MUST_USE tarn_status lake_json_optional_string(const json_t *object, const char *key,
                                                    tarn_arena *arena, tarn_slice *ret_value,
                                                    tarn_error *err);
TARN_MUST_USE tarn_status lake_json_text(const json_t *json, tarn_arena *arena,
                                         tarn_slice *ret_text, tarn_error *err);
TARN_MUST_USE tarn_status lake_json_strings(const json_t *object, const char *key,
                                            tarn_arena *arena, tarn_slice **ret_items,
                                            size_t *ret_count, tarn_error *err);

// Writes a document: an object is filled through the setters below, whose failure (memory, text
// that is not UTF-8) shows at lake_json_write.
typedef struct lake_json_writer {
    json_t *root;
    bool failed;
} lake_json_writer;

void lake_json_writer_init(lake_json_writer *writer);
void lake_json_writer_reset(lake_json_writer *writer);
json_t *lake_json_new_string(lake_json_writer *writer, tarn_slice text);
// Takes over `value`; NULL marks the writer as failed.
void lake_json_set(lake_json_writer *writer, json_t *object, const char *key, json_t *value);
void lake_json_push(lake_json_writer *writer, json_t *array, json_t *value);
TARN_MUST_USE tarn_status lake_json_write(lake_json_writer *writer, tarn_buffer *out,
                                          tarn_error *err);

#endif
