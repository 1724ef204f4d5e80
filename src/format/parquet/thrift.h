// thrift.h - the Thrift compact protocol, as far as Parquet needs it.
//
// Reading is sticky: after the first problem every call returns zeroes, `problem` says what was
// wrong and the reader is empty, so that a caller can read a whole struct and check once.
//
//     parquet_thrift_field field = {0};
//     while (parquet_thrift_next_field(thrift, &field)) {
//         switch (field.id) {
//         case 1: version = parquet_thrift_i64(thrift, field.type); break;
//         default: parquet_thrift_skip(thrift, field.type);
//         }
//     }
//
// Invariants: any bytes are accepted; nesting is limited; a list is never longer than its bytes.
// Ownership:  binaries are views of the input.
#ifndef TARN_FORMAT_PARQUET_THRIFT_H
#define TARN_FORMAT_PARQUET_THRIFT_H

#include "base/buffer.h"
#include "base/slice.h"

enum {
    PARQUET_THRIFT_TRUE = 1,
    PARQUET_THRIFT_FALSE = 2,
    PARQUET_THRIFT_I8 = 3,
    PARQUET_THRIFT_I16 = 4,
    PARQUET_THRIFT_I32 = 5,
    PARQUET_THRIFT_I64 = 6,
    PARQUET_THRIFT_DOUBLE = 7,
    PARQUET_THRIFT_BINARY = 8,
    PARQUET_THRIFT_LIST = 9,
    PARQUET_THRIFT_SET = 10,
    PARQUET_THRIFT_MAP = 11,
    PARQUET_THRIFT_STRUCT = 12,
};

// ---- reading ----

typedef struct parquet_thrift {
    tarn_slice rest;
    size_t consumed_bytes;
    const char *problem;   // NULL while all is well
    size_t problem_offset; // from the start of the input
    bool is_cut;           // the problem was that the input ended
} parquet_thrift;

// Start each struct with a zeroed field: it carries the previous id.
typedef struct parquet_thrift_field {
    int64_t id;
    uint8_t type;
} parquet_thrift_field;

parquet_thrift parquet_thrift_from(tarn_slice input);
// False at the end of the struct and after a problem.
bool parquet_thrift_next_field(parquet_thrift *thrift, parquet_thrift_field *field);
// Every integer type is accepted; anything else is a problem. `type` is the field's or the list
// element's.
int64_t parquet_thrift_i64(parquet_thrift *thrift, uint8_t type);
// As above; a value outside 32 bits is a problem.
int32_t parquet_thrift_i32(parquet_thrift *thrift, uint8_t type);
bool parquet_thrift_bool(parquet_thrift *thrift, uint8_t type);
tarn_slice parquet_thrift_binary(parquet_thrift *thrift, uint8_t type);
// Returns the number of elements, each of which takes at least `element_bytes` of the input.
size_t parquet_thrift_list(parquet_thrift *thrift, uint8_t type, size_t element_bytes,
                           uint8_t *ret_element_type);
// A struct as a field or list element is read in place: this only checks the type.
bool parquet_thrift_is_struct(parquet_thrift *thrift, uint8_t type);
void parquet_thrift_skip(parquet_thrift *thrift, uint8_t type);
void parquet_thrift_fail(parquet_thrift *thrift, const char *problem);

// ---- writing ----

#define PARQUET_THRIFT_DEPTH_MAX 8

// Writes fields in ascending order of id. A buffer that cannot grow sets `failed`.
typedef struct parquet_thrift_writer {
    tarn_buffer *out;
    int previous_ids[PARQUET_THRIFT_DEPTH_MAX];
    int depth;
    bool failed;
} parquet_thrift_writer;

// Writes the fields of one struct; close it with parquet_thrift_end_struct.
parquet_thrift_writer parquet_thrift_write_to(tarn_buffer *out);
void parquet_thrift_put_i32(parquet_thrift_writer *writer, int id, int32_t value);
void parquet_thrift_put_i64(parquet_thrift_writer *writer, int id, int64_t value);
void parquet_thrift_put_i8(parquet_thrift_writer *writer, int id, int8_t value);
void parquet_thrift_put_i16(parquet_thrift_writer *writer, int id, int16_t value);
void parquet_thrift_put_bool(parquet_thrift_writer *writer, int id, bool value);
void parquet_thrift_put_binary(parquet_thrift_writer *writer, int id, tarn_slice value);
// Elements follow: structs between begin_element and end_struct, the others with put_element_*.
void parquet_thrift_put_list(parquet_thrift_writer *writer, int id, uint8_t element_type,
                             size_t count);
void parquet_thrift_put_element_i64(parquet_thrift_writer *writer, int64_t value);
void parquet_thrift_put_element_bool(parquet_thrift_writer *writer, bool value);
void parquet_thrift_put_element_binary(parquet_thrift_writer *writer, tarn_slice value);
void parquet_thrift_begin_struct(parquet_thrift_writer *writer, int id);
void parquet_thrift_begin_element(parquet_thrift_writer *writer);
void parquet_thrift_end_struct(parquet_thrift_writer *writer);
// A struct without fields: the usual member of a union.
void parquet_thrift_put_empty(parquet_thrift_writer *writer, int id);

#endif
