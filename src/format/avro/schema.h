// schema.h - a parsed Avro schema; what the decoder and the encoder walk along.
//
// Nodes form a graph: a named type that refers to itself is one node with a cycle, so every walk
// that follows data bounds its depth (AVRO_DEPTH_MAX).
#ifndef TARN_FORMAT_AVRO_SCHEMA_H
#define TARN_FORMAT_AVRO_SCHEMA_H

#include "format/avro/avro.h"

#define AVRO_DEPTH_MAX 64

typedef enum avro_type {
    AVRO_TYPE_NULL,
    AVRO_TYPE_BOOLEAN,
    AVRO_TYPE_INT,
    AVRO_TYPE_LONG,
    AVRO_TYPE_FLOAT,
    AVRO_TYPE_DOUBLE,
    AVRO_TYPE_BYTES,
    AVRO_TYPE_STRING,
    AVRO_TYPE_RECORD,
    AVRO_TYPE_ENUM,
    AVRO_TYPE_ARRAY,
    AVRO_TYPE_MAP,
    AVRO_TYPE_UNION,
    AVRO_TYPE_FIXED,
} avro_type;
#define AVRO_PRIMITIVE_COUNT 8 // the first ones, which need no definition

struct tarn_avro_schema {
    avro_type type;
    tarn_slice full_name;    // record, enum, fixed: with its namespace
    size_t count;            // record: fields; union: branches; enum: symbols
    const tarn_slice *names; // record: fields; enum: symbols
    const tarn_avro_schema *const
        *children;      // record: fields; union: branches; array, map: the item
    size_t fixed_bytes; // fixed
    size_t min_bytes;   // a value takes at least so many; 0 when unknown
};

const char *avro_type_name(avro_type type);

#endif
