#include "lake/json.h"

tarn_status lake_json_parse(tarn_slice text, json_t **ret_object, tarn_error *err) {
    json_error_t why;
    json_t *json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (json == NULL) {
        return tarn_fail(err, TARN_CORRUPT, "not valid JSON at line %d, column %d: %s", why.line,
                         why.column, why.text);
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return tarn_fail(err, TARN_CORRUPT, "not a JSON object");
    }
    *ret_object = json;
    return TARN_OK;
}

void lake_json_free(json_t *json) {
    json_decref(json);
}

json_t *lake_json_get(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

tarn_status lake_json_int(const json_t *object, const char *key, int64_t *ret_value,
                          tarn_error *err) {
    const json_t *value = lake_json_get(object, key);
    if (!json_is_integer(value)) {
        return tarn_fail(err, TARN_CORRUPT, "\"%s\" is %s", key,
                         value == NULL ? "missing" : "not an integer");
    }
    *ret_value = json_integer_value(value);
    return TARN_OK;
}

tarn_status lake_json_optional_int(const json_t *object, const char *key, int64_t absent,
                                   int64_t *ret_value, tarn_error *err) {
    if (lake_json_get(object, key) == NULL) {
        *ret_value = absent;
        return TARN_OK;
    }
    return lake_json_int(object, key, ret_value, err);
}

tarn_status lake_json_text(const json_t *json, tarn_arena *arena, tarn_slice *ret_text,
                           tarn_error *err) {
    tarn_slice view = {(const uint8_t *)json_string_value(json), json_string_length(json)};
    if (!tarn_arena_copy(arena, view, ret_text)) {
        return tarn_fail(err, TARN_NO_MEMORY, "a JSON string of %zu bytes", view.len);
    }
    return TARN_OK;
}

tarn_status lake_json_string(const json_t *object, const char *key, tarn_arena *arena,
                             tarn_slice *ret_value, tarn_error *err) {
    const json_t *value = lake_json_get(object, key);
    if (!json_is_string(value)) {
        return tarn_fail(err, TARN_CORRUPT, "\"%s\" is %s", key,
                         value == NULL ? "missing" : "not a string");
    }
    return lake_json_text(value, arena, ret_value, err);
}

tarn_status lake_json_optional_string(const json_t *object, const char *key, tarn_arena *arena,
                                      tarn_slice *ret_value, tarn_error *err) {
    if (lake_json_get(object, key) == NULL) {
        *ret_value = (tarn_slice){0};
        return TARN_OK;
    }
    return lake_json_string(object, key, arena, ret_value, err);
}

tarn_status lake_json_strings(const json_t *object, const char *key, tarn_arena *arena,
                              tarn_slice **ret_items, size_t *ret_count, tarn_error *err) {
    const json_t *array = lake_json_get(object, key);
    if (array != NULL && !json_is_array(array)) {
        return tarn_fail(err, TARN_CORRUPT, "\"%s\" is not an array", key);
    }
    size_t count = json_array_size(array);
    tarn_slice *items = tarn_arena_new(arena, tarn_slice, count);
    if (items == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu items of \"%s\"", count, key);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_string(item)) {
            return tarn_fail(err, TARN_CORRUPT, "\"%s\"[%zu] is not a string", key, i);
        }
        TARN_TRY(lake_json_text(item, arena, &items[i], err));
    }
    *ret_items = items;
    *ret_count = count;
    return TARN_OK;
}

void lake_json_writer_init(lake_json_writer *writer) {
    *writer = (lake_json_writer){.root = json_object()};
    writer->failed = writer->root == NULL;
}

void lake_json_writer_reset(lake_json_writer *writer) {
    json_decref(writer->root);
    writer->root = NULL;
}

json_t *lake_json_new_string(lake_json_writer *writer, tarn_slice text) {
    json_t *value = json_stringn(text.len == 0 ? "" : (const char *)text.data, text.len);
    if (value == NULL) writer->failed = true;
    return value;
}

void lake_json_set(lake_json_writer *writer, json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value) != 0) writer->failed = true;
}

void lake_json_push(lake_json_writer *writer, json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0) writer->failed = true;
}

static int append_text(const char *text, size_t len, void *context) {
    tarn_buffer *out = context;
    return tarn_buffer_append(out, (tarn_slice){(const uint8_t *)text, len}) ? 0 : -1;
}

tarn_status lake_json_write(lake_json_writer *writer, tarn_buffer *out, tarn_error *err) {
    if (writer->failed) {
        return tarn_fail(err, TARN_INVALID, "a name or value is not valid UTF-8 (or holds a NUL)");
    }
    if (json_dump_callback(writer->root, append_text, out, JSON_INDENT(2)) != 0) {
        return tarn_fail(err, TARN_NO_MEMORY, "writing JSON");
    }
    return TARN_OK;
}
