// type.h - Paimon's column types: their text in schema files, and what they are in memory.
//
// Text is keyword based and case-insensitive: "DECIMAL(10, 2) NOT NULL",
// "TIMESTAMP(3) WITH LOCAL TIME ZONE". Constructed types (arrays, maps, rows, ...) are known by
// name only: their columns show up with TARN_TYPE_NULL and cannot be read.
// Source: docs/formats/paimon.md, "Types".
#ifndef TARN_LAKE_TYPE_H
#define TARN_LAKE_TYPE_H

#include "base/buffer.h"
#include "column/column.h"

typedef enum lake_kind {
    LAKE_CHAR,
    LAKE_VARCHAR,
    LAKE_BOOLEAN,
    LAKE_BINARY,
    LAKE_VARBINARY,
    LAKE_DECIMAL,
    LAKE_TINYINT,
    LAKE_SMALLINT,
    LAKE_INT,
    LAKE_BIGINT,
    LAKE_FLOAT,
    LAKE_DOUBLE,
    LAKE_DATE,
    LAKE_TIME,
    LAKE_TIMESTAMP,
    LAKE_TIMESTAMP_LTZ,
    LAKE_OTHER, // a type that tarn does not have
} lake_kind;

typedef struct lake_type {
    lake_kind kind;
    bool not_null;
    tarn_type type;  // of values in memory; TARN_TYPE_NULL for LAKE_OTHER
    tarn_slice text; // as written, for messages
} lake_type;

// Views `text`, which must live as long as the type. TARN_CORRUPT when it is not a type.
TARN_MUST_USE tarn_status lake_type_parse(tarn_slice text, lake_type *ret_type, tarn_error *err);

// The Paimon type for a column of a new table, in canonical spelling, with " NOT NULL" if asked.
// TARN_UNSUPPORTED for types that tables do not store.
TARN_MUST_USE tarn_status lake_type_format(tarn_type type, bool not_null, tarn_buffer *out,
                                           tarn_error *err);

// The type as binrow wants it: `type`, with TINYINT marked.
tarn_type lake_type_stored(const lake_type *type);

// True when every value of `from` can be read as `to` (widening only).
bool lake_type_widens(const lake_type *from, const lake_type *to);

#endif
