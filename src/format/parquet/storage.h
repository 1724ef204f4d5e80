// storage.h - how a tarn column is stored in Parquet: its schema element and its values' bytes.
#ifndef TARN_FORMAT_PARQUET_STORAGE_H
#define TARN_FORMAT_PARQUET_STORAGE_H

#include "format/parquet/parquet.h"
#include "format/parquet/types.h"

typedef enum parquet_storing {
    PARQUET_STORE_SAME, // as the vector has it
    PARQUET_STORE_I16_AS_I32,
    PARQUET_STORE_I64_AS_I32,
    PARQUET_STORE_I64_DIVIDED,        // by `factor`, rounded down
    PARQUET_STORE_I64_DIVIDED_AS_I32, // by `factor`, rounded down
    PARQUET_STORE_NS_AS_INT96,
    PARQUET_STORE_I128_AS_FIXED, // big endian
    PARQUET_STORE_STRING,
} parquet_storing;

typedef struct parquet_storage {
    tarn_type type;
    parquet_element element;
    parquet_storing storing;
    uint32_t value_width;  // bytes of a vector value
    uint32_t stored_width; // bytes of a stored value, booleans 1; 0: strings
    int64_t factor;
    bool has_order;          // bounds may be written
    parquet_column column;   // the element as the reader sees it
    parquet_conversion back; // from stored to vector values
} parquet_storage;

// `options` may be NULL. The element's name views the field's.
TARN_MUST_USE tarn_status parquet_storage_plan(const tarn_field *field,
                                               const tarn_parquet_column_options *options,
                                               parquet_storage *ret_storage, tarn_error *err);

// Vector values to stored ones; not for strings.
void parquet_store(const parquet_storage *storage, const void *values, size_t count, uint8_t *out);

#endif
