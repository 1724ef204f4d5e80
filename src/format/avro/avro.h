// avro.h - Avro object container files as a tree of values.
//
// For metadata (manifests), not for large data: a file is decoded whole into an arena, each datum
// as an avro value that is navigated by field name. Codecs null, deflate and zstandard (snappy,
// bzip2 and xz are refused by name). Records, arrays, maps, unions, enums, fixed; recursion is
// bounded. Source: Apache Avro 1.11 specification, "Object Container Files" and "Binary Encoding".
//
//     TARN_TRY(tarn_avro_read(object, arena, &file, err));
//     for (size_t i = 0; i < file.datum_count; i++) {
//         const tarn_avro_value *name = tarn_avro_field(&file.data[i], TARN_LIT("_FILE_NAME"));
//
// Unions are resolved: a value shows the branch that was stored, and null where that was null.
// Format:    docs/formats/avro.md.
// Ownership: everything lives in the caller's arena, bytes and text included.
// Threads:   pure functions; a writer belongs to one thread.
// Errors:    TARN_CORRUPT names the file and the byte offset, of a compressed block that of the
//            block and that of its decoded bytes; TARN_UNSUPPORTED the codec; TARN_NO_MEMORY the
//            limit that was reached.
#ifndef TARN_FORMAT_AVRO_H
#define TARN_FORMAT_AVRO_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "io/io.h"

typedef enum tarn_avro_kind {
    TARN_AVRO_NULL,
    TARN_AVRO_BOOLEAN,
    TARN_AVRO_INT, // also enum: the symbol's index
    TARN_AVRO_LONG,
    TARN_AVRO_FLOAT,
    TARN_AVRO_DOUBLE,
    TARN_AVRO_BYTES, // also fixed
    TARN_AVRO_STRING,
    TARN_AVRO_RECORD,
    TARN_AVRO_ARRAY,
    TARN_AVRO_MAP,
} tarn_avro_kind;

typedef struct tarn_avro_schema tarn_avro_schema;
typedef struct tarn_avro_value tarn_avro_value;
struct tarn_avro_value {
    tarn_avro_kind kind;
    union {
        bool boolean;
        int64_t i64; // int and long
        double f64;  // float and double
        tarn_slice bytes;
        struct {
            tarn_avro_value *items; // record: fields in schema order; array: items; map: values
            size_t count;
            const tarn_slice *names; // record: field names; map: keys; array: NULL
        };
    };
};

typedef struct tarn_avro_file {
    tarn_slice schema_json;
    tarn_avro_value *data;
    size_t datum_count;
} tarn_avro_file;

// Decodes every datum. `limit_bytes` bounds the file's size, its decoded blocks, and the number of
// values in it.
TARN_MUST_USE tarn_status tarn_avro_read(tarn_object *object, size_t limit_bytes, tarn_arena *arena,
                                         tarn_avro_file *ret_file, tarn_error *err);

// The field of a record, or NULL when there is none (a missing field reads as absent).
const tarn_avro_value *tarn_avro_field(const tarn_avro_value *record, tarn_slice name);

// Parses a schema from JSON; shared by reader and writer. TARN_INVALID says what is wrong with it.
TARN_MUST_USE tarn_status tarn_avro_schema_parse(tarn_slice json, tarn_arena *arena,
                                                 const tarn_avro_schema **ret_schema,
                                                 tarn_error *err);

// ---- writing ----

typedef struct tarn_avro_writer tarn_avro_writer;

// Writes a container to `out`, which outlives the writer. `codec` is TARN_CODEC_NONE, _DEFLATE or
// _ZSTD. `sync_marker` is 16 random bytes of the caller's. The header is written at once.
TARN_MUST_USE tarn_status tarn_avro_writer_new(const tarn_alloc *alloc, tarn_slice schema_json,
                                               tarn_codec codec, int level,
                                               const uint8_t sync_marker[16], tarn_buffer *out,
                                               tarn_avro_writer **ret_writer, tarn_error *err);
// Appends one datum. It is checked against the schema: a union takes the first branch that fits (a
// null value takes "null"; a record fits by its number of fields); an int also fits long, a float
// also double; record fields are taken by position, `names` not looked at, and must all be there.
// TARN_INVALID names the field that does not fit, and the datum is not part of the file.
TARN_MUST_USE tarn_status tarn_avro_writer_append(tarn_avro_writer *writer,
                                                  const tarn_avro_value *datum, tarn_error *err);
// Writes what is still held back. Without it the file lacks its last records.
TARN_MUST_USE tarn_status tarn_avro_writer_finish(tarn_avro_writer *writer, tarn_error *err);
void tarn_avro_writer_free(tarn_avro_writer *writer); // accepts NULL

#endif
