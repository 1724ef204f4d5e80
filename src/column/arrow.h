// arrow.h - how types travel through the Arrow C data interface, shared by export and import.
#ifndef TARN_COLUMN_ARROW_H
#define TARN_COLUMN_ARROW_H

#include "column/value.h"

#define ARROW_FORMAT_MAX 32 // room for any format string that we write

// How an Arrow array keeps its values.
typedef enum arrow_layout {
    ARROW_NONE, // nothing but nulls
    ARROW_BITS,
    ARROW_I8,
    ARROW_U8,
    ARROW_I16,
    ARROW_U16,
    ARROW_I32,
    ARROW_U32,
    ARROW_I64,
    ARROW_U64,
    ARROW_F32,
    ARROW_F64,
    ARROW_I128,
    ARROW_BYTES_32, // behind int32 offsets
    ARROW_BYTES_64,
    ARROW_BYTES_FIXED,
    ARROW_INTERVAL, // int32 months, int32 days, int64 nanoseconds
} arrow_layout;

typedef struct arrow_type {
    arrow_layout layout;
    tarn_type type;      // what it is to us
    int64_t multiply_by; // integers: from Arrow's unit to ours; 1 or more
    int64_t divide_by;   // the other way
    size_t fixed_bytes;  // ARROW_BYTES_FIXED
} arrow_type;

// Writes the NUL-terminated format string of a type at `out`.
void arrow_format_write(tarn_type type, char out[ARROW_FORMAT_MAX]);

// Reads a format string. Returns false for types that have no place here.
TARN_MUST_USE bool arrow_format_read(const char *format, arrow_type *ret_type);

// Of a schema's child: the type of its values, also behind a dictionary, or why there is none.
tarn_status arrow_read_field(const struct ArrowSchema *field, size_t index, arrow_type *ret_type,
                             tarn_error *err);

// Whether `arrow` is a struct schema that is complete as far as this level goes.
tarn_status arrow_check_struct(const struct ArrowSchema *arrow, tarn_error *err);

#endif
