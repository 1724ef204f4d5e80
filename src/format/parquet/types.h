// types.h - what a Parquet column means to tarn, and how its stored values become vector values.
#ifndef TARN_FORMAT_PARQUET_TYPES_H
#define TARN_FORMAT_PARQUET_TYPES_H

#include "column/column.h"
#include "format/parquet/meta.h"

// A top-level column of a file.
typedef struct parquet_column {
    tarn_slice name;
    parquet_type physical;
    uint32_t type_length;    // bytes of a FIXED value
    parquet_logical logical; // converted types are translated into it
    size_t leaf;             // index of its chunk within a row group
    tarn_type type;          // how tarn reads it; TARN_TYPE_NULL: it does not
    const char *refusal;     // then why not: "is nested"
    bool is_optional;
    // INT96 and the old converted types do not say whether a timestamp is an instant: both
    // readings are accepted.
    bool is_zone_open;
} parquet_column;

// Describes a flat leaf. `leaf` is its index among all leaves.
parquet_column parquet_column_describe(const parquet_element *element, size_t leaf);

// Stored values lie as PLAIN has them (booleans as bytes), byte arrays as tarn_string.
typedef enum parquet_conversion_kind {
    PARQUET_TO_SAME,
    PARQUET_I32_TO_I16,
    PARQUET_I32_TO_I64,
    PARQUET_I32_TO_I128,
    PARQUET_U32_TO_I64,
    PARQUET_U64_TO_I64,
    PARQUET_I64_TO_I128,
    PARQUET_I32_TIMES,  // times `factor`, to int64
    PARQUET_I64_TIMES,  // times `factor`
    PARQUET_I64_DIVIDE, // by `factor`, which must leave nothing
    PARQUET_INT96_TO_NS,
    PARQUET_INT96_TO_US, // the nanoseconds must be whole microseconds
    PARQUET_F16_TO_F32,
    PARQUET_F16_TO_F64,
    PARQUET_F32_TO_F64,
    PARQUET_FIXED_TO_STRING, // views the stored bytes
    PARQUET_FIXED_TO_I64,    // big endian
    PARQUET_FIXED_TO_I128,
    PARQUET_FIXED_TO_INTERVAL,
    PARQUET_STRING_TO_I64, // big endian
    PARQUET_STRING_TO_I128,
} parquet_conversion_kind;

typedef struct parquet_conversion {
    parquet_conversion_kind kind;
    uint32_t width;     // bytes of a stored value as it lies; strings: 16
    uint32_t out_width; // of a vector value
    int64_t factor;
    bool is_text; // UTF-8 is checked where strings are made
} parquet_conversion;

// How to read the column as `type`; TARN_UNSUPPORTED when that would not be a widening.
TARN_MUST_USE tarn_status parquet_conversion_plan(const parquet_column *column, tarn_type type,
                                                  parquet_conversion *ret_conversion,
                                                  tarn_error *err);

// Converts `count` stored values at `from` (any alignment) to vector values at `to`; they do not
// overlap. A value that the type cannot hold is TARN_UNSUPPORTED or TARN_CORRUPT.
TARN_MUST_USE tarn_status parquet_convert(const parquet_conversion *conversion, const uint8_t *from,
                                          size_t count, void *to, tarn_error *err);

bool parquet_utf8_is_valid(tarn_slice text);

#endif
