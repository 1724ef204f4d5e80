// meta.h - Parquet's own structures: the footer, its row groups, and page headers.
//
// Only what tarn uses is kept. Numbers are as stored: who uses an offset or a count checks it
// against the file first.
#ifndef TARN_FORMAT_PARQUET_META_H
#define TARN_FORMAT_PARQUET_META_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"

#define PARQUET_MAGIC        TARN_LIT("PAR1")
#define PARQUET_FOOTER_BYTES 8 // length and magic behind the metadata

typedef enum parquet_type {
    PARQUET_BOOLEAN,
    PARQUET_INT32,
    PARQUET_INT64,
    PARQUET_INT96,
    PARQUET_FLOAT,
    PARQUET_DOUBLE,
    PARQUET_BYTE_ARRAY,
    PARQUET_FIXED,
} parquet_type;
#define PARQUET_TYPE_COUNT 8

enum { PARQUET_REQUIRED, PARQUET_OPTIONAL, PARQUET_REPEATED };
enum { PARQUET_PAGE_DATA, PARQUET_PAGE_INDEX, PARQUET_PAGE_DICTIONARY, PARQUET_PAGE_DATA_V2 };

enum {
    PARQUET_PLAIN = 0,
    PARQUET_PLAIN_DICTIONARY = 2,
    PARQUET_RLE = 3,
    PARQUET_BIT_PACKED = 4,
    PARQUET_DELTA_BINARY_PACKED = 5,
    PARQUET_DELTA_LENGTH_BYTE_ARRAY = 6,
    PARQUET_DELTA_BYTE_ARRAY = 7,
    PARQUET_RLE_DICTIONARY = 8,
    PARQUET_BYTE_STREAM_SPLIT = 9,
};

enum {
    PARQUET_CODEC_UNCOMPRESSED,
    PARQUET_CODEC_SNAPPY,
    PARQUET_CODEC_GZIP,
    PARQUET_CODEC_LZO,
    PARQUET_CODEC_BROTLI,
    PARQUET_CODEC_LZ4,
    PARQUET_CODEC_ZSTD,
    PARQUET_CODEC_LZ4_RAW,
};

enum {
    PARQUET_CONVERTED_UTF8 = 0,
    PARQUET_CONVERTED_ENUM = 4,
    PARQUET_CONVERTED_DECIMAL = 5,
    PARQUET_CONVERTED_DATE = 6,
    PARQUET_CONVERTED_TIME_MILLIS = 7,
    PARQUET_CONVERTED_TIME_MICROS = 8,
    PARQUET_CONVERTED_TIMESTAMP_MILLIS = 9,
    PARQUET_CONVERTED_TIMESTAMP_MICROS = 10,
    PARQUET_CONVERTED_UINT_8 = 11,
    PARQUET_CONVERTED_UINT_64 = 14,
    PARQUET_CONVERTED_INT_8 = 15,
    PARQUET_CONVERTED_INT_16 = 16,
    PARQUET_CONVERTED_INT_64 = 18,
    PARQUET_CONVERTED_JSON = 19,
    PARQUET_CONVERTED_BSON = 20,
    PARQUET_CONVERTED_INTERVAL = 21,
};

// Members of the LogicalType union.
enum {
    PARQUET_LOGICAL_NONE = 0,
    PARQUET_LOGICAL_STRING = 1,
    PARQUET_LOGICAL_ENUM = 4,
    PARQUET_LOGICAL_DECIMAL = 5,
    PARQUET_LOGICAL_DATE = 6,
    PARQUET_LOGICAL_TIME = 7,
    PARQUET_LOGICAL_TIMESTAMP = 8,
    PARQUET_LOGICAL_INTEGER = 10,
    PARQUET_LOGICAL_UNKNOWN = 11,
    PARQUET_LOGICAL_JSON = 12,
    PARQUET_LOGICAL_BSON = 13,
    PARQUET_LOGICAL_UUID = 14,
    PARQUET_LOGICAL_FLOAT16 = 15,
};

enum { PARQUET_UNIT_NONE, PARQUET_UNIT_MILLIS, PARQUET_UNIT_MICROS, PARQUET_UNIT_NANOS };

#define PARQUET_ABSENT (-1)

typedef struct parquet_logical {
    int32_t kind; // PARQUET_LOGICAL_*, unknown ones too
    int32_t scale;
    int32_t precision;
    int32_t unit;
    int32_t bit_width;
    bool is_utc;
    bool is_signed;
} parquet_logical;

typedef struct parquet_element {
    tarn_slice name;
    int32_t type; // PARQUET_ABSENT for groups
    int32_t type_length;
    int32_t repetition; // PARQUET_ABSENT for the root
    int32_t child_count;
    int32_t converted; // PARQUET_ABSENT when there is none
    int32_t scale;
    int32_t precision;
    int32_t field_id; // -1 when there is none
    parquet_logical logical;
} parquet_element;

// Bounds with data == NULL are absent.
typedef struct parquet_statistics {
    tarn_slice old_max; // deprecated, in an order that only fits signed numbers
    tarn_slice old_min;
    tarn_slice max;
    tarn_slice min;
    int64_t null_count;  // -1: unknown
    int64_t nan_count;   // -1: unknown
    int8_t is_max_exact; // -1: unknown
    int8_t is_min_exact;
} parquet_statistics;

typedef struct parquet_chunk_meta {
    int32_t type;
    int32_t codec;
    int64_t value_count; // nulls included
    int64_t uncompressed_bytes;
    int64_t compressed_bytes; // both with page headers
    int64_t data_page_offset;
    int64_t dictionary_page_offset; // 0 or less: unknown
    parquet_statistics statistics;
    bool has_meta;
    bool is_elsewhere; // in another file
    bool is_encrypted;
} parquet_chunk_meta;

typedef struct parquet_row_group {
    parquet_chunk_meta *chunks; // one per leaf of the schema
    size_t chunk_count;
    int64_t row_count;
} parquet_row_group;

typedef struct parquet_footer {
    parquet_element *elements; // depth first, the root first
    size_t element_count;
    int64_t row_count;
    parquet_row_group *row_groups;
    size_t row_group_count;
    uint8_t *has_type_order; // per leaf: 1 when min and max follow the type's own order
    size_t order_count;
} parquet_footer;

// Views `bytes`, which must live as long as the footer.
TARN_MUST_USE tarn_status parquet_footer_decode(tarn_slice bytes, tarn_arena *arena,
                                                parquet_footer *ret_footer, tarn_error *err);

typedef struct parquet_page_header {
    int32_t type;
    int32_t uncompressed_bytes; // without the header
    int32_t compressed_bytes;
    int32_t value_count;
    int32_t encoding;
    int32_t definition_encoding;
    int32_t definition_bytes; // v2
    int32_t repetition_bytes; // v2
    int32_t null_count;       // v2
    int32_t row_count;        // v2
    uint32_t crc;
    bool has_crc;
    bool has_body; // the struct that belongs to the type is there
    bool is_compressed;
} parquet_page_header;

typedef enum parquet_header_result {
    PARQUET_HEADER_OK,
    PARQUET_HEADER_CUT, // `bytes` ends inside the header
    PARQUET_HEADER_BAD, // err says why
} parquet_header_result;

// Decodes the header at the start of `bytes`; *ret_len is its length.
parquet_header_result parquet_page_header_decode(tarn_slice bytes, parquet_page_header *ret_header,
                                                 size_t *ret_len, tarn_error *err);

#endif
