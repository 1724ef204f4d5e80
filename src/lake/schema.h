// schema.h - one version of a table's schema: schema/schema-<id>, and what follows from it.
//
// Ownership: everything lives in the arena the schema was made in.
#ifndef TARN_LAKE_SCHEMA_H
#define TARN_LAKE_SCHEMA_H

#include "lake/lake.h"
#include "lake/options.h"
#include "lake/type.h"

typedef struct lake_field {
    tarn_slice name;
    int32_t id;
    lake_type type;
} lake_field;

// A list of columns of the schema, by index.
typedef struct lake_columns {
    size_t *indices;
    size_t count;
} lake_columns;

typedef struct lake_schema {
    int64_t version;
    int64_t id;
    int64_t highest_field_id;
    int64_t time_ms;
    lake_field *fields;
    tarn_table_definition definition; // the public view; schema.field_count counts `fields` too
    lake_options options;
    lake_columns partition;   // partition columns, in directory order
    lake_columns primary_key; // in the order of "primaryKeys"
    lake_columns key;         // the same without partition columns; none: an append table
    lake_columns bucket_key;  // what rows are hashed by; empty when buckets are not fixed
    lake_columns sequence;    // sequence.field
} lake_schema;

// Decodes a schema file. TARN_CORRUPT says what is wrong.
TARN_MUST_USE tarn_status lake_schema_decode(tarn_slice json, tarn_arena *arena,
                                             lake_schema *ret_schema, tarn_error *err);
// Makes schema-0 of a new table: assigns field ids, checks names, keys and options.
TARN_MUST_USE tarn_status lake_schema_new(const tarn_table_definition *definition, int64_t time_ms,
                                          tarn_arena *arena, lake_schema *ret_schema,
                                          tarn_error *err);
TARN_MUST_USE tarn_status lake_schema_encode(const lake_schema *schema, tarn_buffer *out,
                                             tarn_error *err);

static inline bool lake_schema_is_keyed(const lake_schema *schema) {
    return schema->key.count > 0;
}
// -1 when no field has the id.
ptrdiff_t lake_schema_find_id(const lake_schema *schema, int32_t id);
bool lake_columns_contain(const lake_columns *columns, size_t index);

// TARN_UNSUPPORTED with what stands against reading (writing) the table.
TARN_MUST_USE tarn_status lake_schema_check_use(const lake_schema *schema, lake_use use,
                                                tarn_error *err);

#endif
