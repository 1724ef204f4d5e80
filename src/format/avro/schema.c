#include "format/avro/schema.h"

#include <jansson.h>

// Bounds the search by name, which is linear.
#define NAMED_TYPES_MAX 4096
#define MIN_BYTES_MAX   ((size_t)1 << 31) // sums saturate here

typedef struct schema_parser {
    tarn_arena *arena;
    const tarn_avro_schema **named;
    size_t named_count;
    size_t named_capacity;
    tarn_error *err;
} schema_parser;

static const char *const type_names[] = {
    [AVRO_TYPE_NULL] = "null",   [AVRO_TYPE_BOOLEAN] = "boolean", [AVRO_TYPE_INT] = "int",
    [AVRO_TYPE_LONG] = "long",   [AVRO_TYPE_FLOAT] = "float",     [AVRO_TYPE_DOUBLE] = "double",
    [AVRO_TYPE_BYTES] = "bytes", [AVRO_TYPE_STRING] = "string",   [AVRO_TYPE_RECORD] = "record",
    [AVRO_TYPE_ENUM] = "enum",   [AVRO_TYPE_ARRAY] = "array",     [AVRO_TYPE_MAP] = "map",
    [AVRO_TYPE_UNION] = "union", [AVRO_TYPE_FIXED] = "fixed",
};

static const tarn_avro_schema primitives[AVRO_PRIMITIVE_COUNT] = {
    [AVRO_TYPE_NULL] = {.type = AVRO_TYPE_NULL, .min_bytes = 0},
    [AVRO_TYPE_BOOLEAN] = {.type = AVRO_TYPE_BOOLEAN, .min_bytes = 1},
    [AVRO_TYPE_INT] = {.type = AVRO_TYPE_INT, .min_bytes = 1},
    [AVRO_TYPE_LONG] = {.type = AVRO_TYPE_LONG, .min_bytes = 1},
    [AVRO_TYPE_FLOAT] = {.type = AVRO_TYPE_FLOAT, .min_bytes = 4},
    [AVRO_TYPE_DOUBLE] = {.type = AVRO_TYPE_DOUBLE, .min_bytes = 8},
    [AVRO_TYPE_BYTES] = {.type = AVRO_TYPE_BYTES, .min_bytes = 1},
    [AVRO_TYPE_STRING] = {.type = AVRO_TYPE_STRING, .min_bytes = 1},
};

const char *avro_type_name(avro_type type) {
    return type_names[type];
}

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "avro schema: no memory");
}

static tarn_slice text_of(const json_t *json) {
    return (tarn_slice){(const uint8_t *)json_string_value(json), json_string_length(json)};
}

static bool contains_dot(tarn_slice name) {
    return name.len > 0 && memchr(name.data, '.', name.len) != NULL;
}

// "a.b.C" -> "a.b"; "C" -> "".
static tarn_slice namespace_of(tarn_slice full_name) {
    for (size_t i = full_name.len; i > 0; i--) {
        if (full_name.data[i - 1] == '.') return tarn_slice_head(full_name, i - 1);
    }
    return (tarn_slice){0};
}

static tarn_status qualify(schema_parser *parser, tarn_slice name, tarn_slice space,
                           tarn_slice *ret_full_name) {
    bool copied =
        space.len == 0 || contains_dot(name)
            ? tarn_arena_copy(parser->arena, name, ret_full_name)
            : tarn_arena_printf(parser->arena, ret_full_name, TARN_SLICE_FMT "." TARN_SLICE_FMT,
                                TARN_SLICE_ARG(space), TARN_SLICE_ARG(name));
    return copied ? TARN_OK : fail_memory(parser->err);
}

// ---- names ----

static const tarn_avro_schema *find_named(const schema_parser *parser, tarn_slice full_name) {
    for (size_t i = 0; i < parser->named_count; i++) {
        if (tarn_slice_equal(parser->named[i]->full_name, full_name)) return parser->named[i];
    }
    return NULL;
}

static tarn_status define(schema_parser *parser, const tarn_avro_schema *schema) {
    if (find_named(parser, schema->full_name) != NULL) {
        return tarn_fail(parser->err, TARN_INVALID,
                         "avro schema: type '" TARN_SLICE_FMT "' is defined twice",
                         TARN_SLICE_ARG(schema->full_name));
    }
    if (parser->named_count == NAMED_TYPES_MAX) {
        return tarn_fail(parser->err, TARN_UNSUPPORTED, "avro schema: more than %d named types",
                         NAMED_TYPES_MAX);
    }
    if (parser->named_count == parser->named_capacity) {
        size_t capacity = parser->named_capacity == 0 ? 8 : parser->named_capacity * 2;
        const tarn_avro_schema **grown =
            tarn_arena_new(parser->arena, const tarn_avro_schema *, capacity);
        if (grown == NULL) return fail_memory(parser->err);
        for (size_t i = 0; i < parser->named_count; i++) grown[i] = parser->named[i];
        parser->named = grown;
        parser->named_capacity = capacity;
    }
    parser->named[parser->named_count++] = schema;
    return TARN_OK;
}

// A primitive, or a type that was defined earlier.
static tarn_status parse_name(schema_parser *parser, tarn_slice name, tarn_slice space,
                              const tarn_avro_schema **ret_schema) {
    for (size_t i = 0; i < AVRO_PRIMITIVE_COUNT; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(type_names[i]))) {
            *ret_schema = &primitives[i];
            return TARN_OK;
        }
    }
    tarn_slice full_name;
    TARN_TRY(qualify(parser, name, space, &full_name));
    const tarn_avro_schema *found = find_named(parser, full_name);
    if (found == NULL) {
        return tarn_fail(parser->err, TARN_INVALID,
                         "avro schema: type '" TARN_SLICE_FMT "' is not defined",
                         TARN_SLICE_ARG(full_name));
    }
    *ret_schema = found;
    return TARN_OK;
}

// ---- complex types ----

static tarn_status parse(schema_parser *parser, const json_t *json, tarn_slice space, int depth,
                         const tarn_avro_schema **ret_schema);

static tarn_status new_node(schema_parser *parser, avro_type type, tarn_avro_schema **ret_node) {
    tarn_avro_schema *node = tarn_arena_new(parser->arena, tarn_avro_schema, 1);
    if (node == NULL) return fail_memory(parser->err);
    node->type = type;
    *ret_node = node;
    return TARN_OK;
}

static tarn_status new_children(schema_parser *parser, tarn_avro_schema *node, size_t count,
                                const tarn_avro_schema ***ret_children) {
    const tarn_avro_schema **children =
        tarn_arena_new(parser->arena, const tarn_avro_schema *, count);
    if (children == NULL) return fail_memory(parser->err);
    node->children = children;
    *ret_children = children;
    return TARN_OK;
}

static tarn_status new_named(schema_parser *parser, const json_t *json, avro_type type,
                             tarn_slice space, tarn_avro_schema **ret_node) {
    const json_t *name = json_object_get(json, "name");
    if (!json_is_string(name) || json_string_length(name) == 0) {
        return tarn_fail(parser->err, TARN_INVALID, "avro schema: a %s has no name",
                         type_names[type]);
    }
    const json_t *own_space = json_object_get(json, "namespace");
    if (json_is_string(own_space)) space = text_of(own_space);
    tarn_avro_schema *node = NULL;
    TARN_TRY(new_node(parser, type, &node));
    TARN_TRY(qualify(parser, text_of(name), space, &node->full_name));
    TARN_TRY(define(parser, node));
    *ret_node = node;
    return TARN_OK;
}

static size_t add_min_bytes(size_t a, size_t b) {
    return a >= MIN_BYTES_MAX - (b > MIN_BYTES_MAX ? MIN_BYTES_MAX : b) ? MIN_BYTES_MAX : a + b;
}

static tarn_status parse_record(schema_parser *parser, const json_t *json, tarn_slice space,
                                int depth, const tarn_avro_schema **ret_schema) {
    const json_t *fields = json_object_get(json, "fields");
    if (!json_is_array(fields)) {
        return tarn_fail(parser->err, TARN_INVALID, "avro schema: a record has no fields");
    }
    size_t count = json_array_size(fields);
    tarn_avro_schema *node = NULL;
    const tarn_avro_schema **children = NULL;
    TARN_TRY(new_named(parser, json, AVRO_TYPE_RECORD, space, &node));
    TARN_TRY(new_children(parser, node, count, &children));
    tarn_slice *names = tarn_arena_new(parser->arena, tarn_slice, count);
    if (names == NULL) return fail_memory(parser->err);
    size_t min_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *field = json_array_get(fields, i);
        const json_t *name = json_object_get(field, "name");
        const json_t *type = json_object_get(field, "type");
        if (!json_is_string(name) || type == NULL) {
            return tarn_fail(parser->err, TARN_INVALID,
                             "avro schema: field %zu of '" TARN_SLICE_FMT "' has no name or type",
                             i, TARN_SLICE_ARG(node->full_name));
        }
        if (!tarn_arena_copy(parser->arena, text_of(name), &names[i])) {
            return fail_memory(parser->err);
        }
        TARN_TRY(parse(parser, type, namespace_of(node->full_name), depth + 1, &children[i]));
        min_bytes = add_min_bytes(min_bytes, children[i]->min_bytes);
    }
    node->names = names;
    node->count = count;
    node->min_bytes = min_bytes;
    *ret_schema = node;
    return TARN_OK;
}

static tarn_status parse_enum(schema_parser *parser, const json_t *json, tarn_slice space,
                              const tarn_avro_schema **ret_schema) {
    const json_t *symbols = json_object_get(json, "symbols");
    if (!json_is_array(symbols)) {
        return tarn_fail(parser->err, TARN_INVALID, "avro schema: an enum has no symbols");
    }
    tarn_avro_schema *node = NULL;
    TARN_TRY(new_named(parser, json, AVRO_TYPE_ENUM, space, &node));
    node->count = json_array_size(symbols);
    node->min_bytes = 1;
    tarn_slice *names = tarn_arena_new(parser->arena, tarn_slice, node->count);
    if (names == NULL) return fail_memory(parser->err);
    for (size_t i = 0; i < node->count; i++) {
        const json_t *symbol = json_array_get(symbols, i);
        if (!json_is_string(symbol)) {
            return tarn_fail(parser->err, TARN_INVALID,
                             "avro schema: symbol %zu of '" TARN_SLICE_FMT "' is not a string", i,
                             TARN_SLICE_ARG(node->full_name));
        }
        if (!tarn_arena_copy(parser->arena, text_of(symbol), &names[i])) {
            return fail_memory(parser->err);
        }
    }
    node->names = names;
    *ret_schema = node;
    return TARN_OK;
}

static tarn_status parse_fixed(schema_parser *parser, const json_t *json, tarn_slice space,
                               const tarn_avro_schema **ret_schema) {
    const json_t *size = json_object_get(json, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        json_integer_value(size) > INT32_MAX) {
        return tarn_fail(parser->err, TARN_INVALID, "avro schema: a fixed has no valid size");
    }
    tarn_avro_schema *node = NULL;
    TARN_TRY(new_named(parser, json, AVRO_TYPE_FIXED, space, &node));
    node->fixed_bytes = (size_t)json_integer_value(size);
    node->min_bytes = node->fixed_bytes;
    *ret_schema = node;
    return TARN_OK;
}

static tarn_status parse_items(schema_parser *parser, const json_t *items, avro_type type,
                               tarn_slice space, int depth, const tarn_avro_schema **ret_schema) {
    if (items == NULL) {
        return tarn_fail(parser->err, TARN_INVALID, "avro schema: %s without the type of its %s",
                         type_names[type], type == AVRO_TYPE_MAP ? "values" : "items");
    }
    tarn_avro_schema *node = NULL;
    const tarn_avro_schema **children = NULL;
    TARN_TRY(new_node(parser, type, &node));
    TARN_TRY(new_children(parser, node, 1, &children));
    TARN_TRY(parse(parser, items, space, depth + 1, &children[0]));
    node->min_bytes = 1;
    *ret_schema = node;
    return TARN_OK;
}

static tarn_status parse_union(schema_parser *parser, const json_t *branches, tarn_slice space,
                               int depth, const tarn_avro_schema **ret_schema) {
    size_t count = json_array_size(branches);
    if (count == 0) {
        return tarn_fail(parser->err, TARN_INVALID, "avro schema: a union has no branches");
    }
    tarn_avro_schema *node = NULL;
    const tarn_avro_schema **children = NULL;
    TARN_TRY(new_node(parser, AVRO_TYPE_UNION, &node));
    TARN_TRY(new_children(parser, node, count, &children));
    size_t min_bytes = MIN_BYTES_MAX;
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(parse(parser, json_array_get(branches, i), space, depth + 1, &children[i]));
        if (children[i]->type == AVRO_TYPE_UNION) {
            return tarn_fail(parser->err, TARN_INVALID, "avro schema: a union within a union");
        }
        if (children[i]->min_bytes < min_bytes) min_bytes = children[i]->min_bytes;
    }
    node->count = count;
    node->min_bytes = add_min_bytes(1, min_bytes);
    *ret_schema = node;
    return TARN_OK;
}

static tarn_status parse_object(schema_parser *parser, const json_t *json, tarn_slice space,
                                int depth, const tarn_avro_schema **ret_schema) {
    const json_t *type = json_object_get(json, "type");
    if (type == NULL) return tarn_fail(parser->err, TARN_INVALID, "avro schema: a type is missing");
    if (!json_is_string(type)) return parse(parser, type, space, depth + 1, ret_schema);
    tarn_slice name = text_of(type);
    if (tarn_slice_equal(name, TARN_LIT("record")) || tarn_slice_equal(name, TARN_LIT("error"))) {
        return parse_record(parser, json, space, depth, ret_schema);
    }
    if (tarn_slice_equal(name, TARN_LIT("enum"))) {
        return parse_enum(parser, json, space, ret_schema);
    }
    if (tarn_slice_equal(name, TARN_LIT("fixed"))) {
        return parse_fixed(parser, json, space, ret_schema);
    }
    if (tarn_slice_equal(name, TARN_LIT("array"))) {
        const json_t *items = json_object_get(json, "items");
        return parse_items(parser, items, AVRO_TYPE_ARRAY, space, depth, ret_schema);
    }
    if (tarn_slice_equal(name, TARN_LIT("map"))) {
        const json_t *values = json_object_get(json, "values");
        return parse_items(parser, values, AVRO_TYPE_MAP, space, depth, ret_schema);
    }
    return parse_name(parser, name, space, ret_schema);
}

static tarn_status parse(schema_parser *parser, const json_t *json, tarn_slice space, int depth,
                         const tarn_avro_schema **ret_schema) {
    if (depth > AVRO_DEPTH_MAX) {
        return tarn_fail(parser->err, TARN_INVALID, "avro schema: more than %d levels deep",
                         AVRO_DEPTH_MAX);
    }
    if (json_is_string(json)) return parse_name(parser, text_of(json), space, ret_schema);
    if (json_is_array(json)) return parse_union(parser, json, space, depth, ret_schema);
    if (json_is_object(json)) return parse_object(parser, json, space, depth, ret_schema);
    return tarn_fail(parser->err, TARN_INVALID,
                     "avro schema: a type is neither a string, an object nor an array");
}

tarn_status tarn_avro_schema_parse(tarn_slice json, tarn_arena *arena,
                                   const tarn_avro_schema **ret_schema, tarn_error *err) {
    json_error_t json_error;
    json_t *root = json_loadb((const char *)json.data, json.len, JSON_DECODE_ANY, &json_error);
    if (root == NULL) {
        return tarn_fail(err, TARN_INVALID, "avro schema: line %d column %d: %s", json_error.line,
                         json_error.column, json_error.text);
    }
    schema_parser parser = {.arena = arena, .err = err};
    tarn_status status = parse(&parser, root, (tarn_slice){0}, 0, ret_schema);
    json_decref(root);
    return status;
}
