// column.h - data in memory: types, values, vectors, chunks; and their text, key, row and Arrow
// forms.
//
// Everything above this module works on chunks: up to TARN_CHUNK_ROWS rows, column-major. A column
// is a vector: flat (one value per row), constant (one value for all rows) or dictionary (an index
// per row into shared values). Rows may carry a kind (+I -U +U -D) and the watermark that was in
// force before them.
//
// Ownership: a chunk is a set of views. Whoever makes one says how long it lives, usually until the
//            next call of the producer (its arena is then cleared). To keep or hand over rows, copy
//            them into a tarn_batch. Dictionaries are shared by reference count.
// Threads:   values, vectors and chunks are plain data: any number of readers, or one writer.
//            Batches and dictionaries may be handed to other threads.
// Time:      int64 microseconds since the epoch, UTC; dates are int32 days; times int64
//            microseconds of the day.
#ifndef TARN_COLUMN_H
#define TARN_COLUMN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/tarn.h> // the Arrow C data interface's structs

#include "base/arena.h"
#include "base/bitmap.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"

// ---- types ----

typedef enum tarn_type_id {
    TARN_TYPE_NULL, // of a bare NULL or an untyped literal before it has been resolved
    TARN_TYPE_BOOLEAN,
    TARN_TYPE_SMALLINT,
    TARN_TYPE_INTEGER,
    TARN_TYPE_BIGINT,
    TARN_TYPE_REAL,
    TARN_TYPE_DOUBLE,
    TARN_TYPE_NUMERIC,
    TARN_TYPE_DATE,
    TARN_TYPE_TIME,
    TARN_TYPE_TIMESTAMP,
    TARN_TYPE_TIMESTAMPTZ,
    TARN_TYPE_TEXT,
    TARN_TYPE_BYTEA,
    TARN_TYPE_INTERVAL,       // in expressions only: tables do not store it yet
    TARN_TYPE_TIMESTAMP_NS,   // timestamp(7..9) of foreign tables: int64 nanoseconds
    TARN_TYPE_TIMESTAMPTZ_NS, // the same, an instant
} tarn_type_id;
#define TARN_TYPE_COUNT 17

#define TARN_NUMERIC_PRECISION_MAX 38

// Passed by value; compare with tarn_type_equal.
typedef struct tarn_type {
    uint8_t id;        // tarn_type_id
    uint8_t precision; // numeric: 1..38; time and timestamps: digits of the fraction, 0..9
    uint8_t scale;     // numeric: 0..precision
    uint32_t length;   // text, bytea: most characters (bytes) allowed, 0 = no limit
} tarn_type;

// How values of a type lie in memory.
typedef enum tarn_physical {
    TARN_PHYSICAL_BOOL, // uint8_t, 0 or 1
    TARN_PHYSICAL_I16,
    TARN_PHYSICAL_I32,  // integer, date
    TARN_PHYSICAL_I64,  // bigint, time, timestamps, numeric of up to 18 digits
    TARN_PHYSICAL_I128, // numeric of 19 digits and more: tarn_int128
    TARN_PHYSICAL_F32,
    TARN_PHYSICAL_F64,
    TARN_PHYSICAL_STRING,   // text, bytea: tarn_string
    TARN_PHYSICAL_INTERVAL, // tarn_interval
} tarn_physical;

__extension__ typedef __int128 tarn_int128;
__extension__ typedef unsigned __int128 tarn_uint128;

// 16 bytes: short strings live inside, longer ones keep a prefix and point to bytes elsewhere.
// Unused bytes are zero, so that short equal strings have equal bytes.
#define TARN_STRING_INLINE_BYTES 12
typedef union tarn_string {
    struct {
        uint32_t len;
        uint8_t inlined[TARN_STRING_INLINE_BYTES]; // len <= 12
    };
    struct {
        uint32_t long_len; // the same field
        uint8_t prefix[4];
        const uint8_t *data;
    };
} tarn_string;
static_assert(sizeof(tarn_string) == 16, "a string view is two words");

typedef struct tarn_interval {
    int32_t months;
    int32_t days;
    int64_t us;
} tarn_interval;

// With its default precision, scale and length: numeric(38,10), six digits of a second (nine for
// the nanosecond types), text and bytea without limit.
tarn_type tarn_type_of(tarn_type_id id);
tarn_type tarn_type_numeric(int precision, int scale);
// Compares the fields that mean something for the type.
bool tarn_type_equal(tarn_type a, tarn_type b);
// NULL lies as booleans do: a vector of it has a byte per row, and no row that is valid.
tarn_physical tarn_type_physical(tarn_type type);
size_t tarn_type_width(tarn_type type);    // bytes of one value in a vector
bool tarn_type_is_string(tarn_type type);  // text, bytea
bool tarn_type_is_integer(tarn_type type); // smallint, integer, bigint
bool tarn_type_is_number(tarn_type type);
// PostgreSQL's spelling: "numeric(10,2)", "timestamp without time zone", "character varying(3)".
TARN_MUST_USE tarn_status tarn_type_format(tarn_type type, tarn_buffer *out, tarn_error *err);

static inline tarn_slice tarn_string_slice(const tarn_string *string) {
    return (tarn_slice){string->len <= TARN_STRING_INLINE_BYTES ? string->inlined : string->data,
                        string->len};
}
// A view of `bytes` (which live as long as the string) or, when short, a copy.
static inline tarn_string tarn_string_view(tarn_slice bytes) {
    tarn_string string = {.len = (uint32_t)bytes.len};
    if (bytes.len <= TARN_STRING_INLINE_BYTES) {
        if (bytes.len > 0) memcpy(string.inlined, bytes.data, bytes.len);
    } else {
        memcpy(string.prefix, bytes.data, sizeof string.prefix);
        string.data = bytes.data;
    }
    return string;
}
bool tarn_string_equal(const tarn_string *a, const tarn_string *b);
int tarn_string_compare(const tarn_string *a, const tarn_string *b); // unsigned bytes

// ---- values ----

// One value of any type; for literals, statistics and tests, not for loops over rows.
typedef struct tarn_value {
    tarn_type type;
    bool is_null;
    union {
        bool boolean;
        int64_t i64; // every integer, date, time and timestamp; numeric of up to 18 digits
        tarn_int128 i128;
        double f64; // real too
        tarn_slice bytes;
        tarn_interval interval;
    };
} tarn_value;

tarn_value tarn_value_null(tarn_type type);
// Total order used for keys, statistics and ORDER BY: NULL first, false < true, -0.0 = 0.0, NaN
// greatest, text by bytes, intervals by their length with months of 30 days.
// Both values have the same type.
int tarn_value_compare(tarn_value a, tarn_value b);
TARN_MUST_USE tarn_status tarn_value_copy(tarn_value value, tarn_arena *arena,
                                          tarn_value *ret_value, tarn_error *err);

// Text as PostgreSQL writes it ("2001-01-01 00:01:00", "t", "\x00ff", ISO dates, shortest
// round-trip floats). timestamptz is shown in UTC with "+00". A null has no text: nothing is
// appended.
TARN_MUST_USE tarn_status tarn_value_format(tarn_value value, tarn_buffer *out, tarn_error *err);
// Reads what PostgreSQL accepts for the type (ISO dates and times with an optional zone: 'Z' or an
// offset, 'yes', 'Infinity', '1e3', ...), white space around it apart. Fails with TARN_INVALID and
// PostgreSQL's message and SQLSTATE: invalid input syntax (22P02; 22007 for dates and times), out
// of range (22003, 22008, 22015), too long (22001), not UTF-8 (22021). What PostgreSQL has and
// columns do not (a numeric NaN, infinite timestamps) and words that need a clock ('now') are
// TARN_UNSUPPORTED. Text results view `text`; bytea ones live in `arena`.
TARN_MUST_USE tarn_status tarn_value_parse(tarn_type type, tarn_slice text, tarn_arena *arena,
                                           tarn_value *ret_value, tarn_error *err);

// Civil calendar (proleptic Gregorian): day 0 is 1970-01-01.
int32_t tarn_days_from_civil(int64_t year, int month, int day);
void tarn_civil_from_days(int32_t days, int64_t *ret_year, int *ret_month, int *ret_day);

// 10^exponent, exponent 0..38.
tarn_int128 tarn_power_of_ten(int exponent);

// ---- vectors ----

#define TARN_CHUNK_ROWS TARN_TUNABLE((size_t)2048, (size_t)8)

typedef enum tarn_vector_kind {
    TARN_VECTOR_FLAT,
    TARN_VECTOR_CONSTANT,
    TARN_VECTOR_DICTIONARY,
} tarn_vector_kind;

typedef struct tarn_dictionary tarn_dictionary;

typedef struct tarn_vector {
    tarn_type type;
    tarn_vector_kind kind;
    void *data;              // flat: a value per row; constant: one value; dictionary: NULL
    uint64_t *validity;      // bit per row, 1 = not null; NULL = none is null. Constant: bit 0 only
    const uint32_t *indices; // dictionary: a value below dictionary->count per valid row
    tarn_dictionary *dictionary; // dictionary: borrowed unless a batch holds it
} tarn_vector;

// Values of a dictionary are never null and need not be distinct or sorted.
struct tarn_dictionary {
    const void *data; // count values of `type`
    tarn_type type;
    uint32_t count;
    uint64_t id; // unique in the process: results per dictionary can be cached by it
    _Atomic uint32_t references;
    tarn_arena arena; // holds data and the strings' bytes
    const tarn_alloc *alloc;
};

// A dictionary with one reference and room for `count` values, to be filled by the caller (strings'
// bytes go into its arena).
TARN_MUST_USE tarn_status tarn_dictionary_new(const tarn_alloc *alloc, tarn_type type,
                                              uint32_t count, void **ret_values,
                                              tarn_dictionary **ret_dictionary, tarn_error *err);
void tarn_dictionary_ref(tarn_dictionary *dictionary);
void tarn_dictionary_unref(tarn_dictionary *dictionary); // accepts NULL

// A flat vector with room for `row_count` values (garbage) and no nulls.
TARN_MUST_USE tarn_status tarn_vector_init_flat(tarn_vector *vector, tarn_type type,
                                                size_t row_count, tarn_arena *arena,
                                                tarn_error *err);
// The value itself lies in `arena`; bytes of text are not copied.
TARN_MUST_USE tarn_status tarn_vector_init_constant(tarn_vector *vector, tarn_value value,
                                                    tarn_arena *arena, tarn_error *err);
// Gives the vector a validity bitmap, all set, unless it has one.
TARN_MUST_USE tarn_status tarn_vector_make_validity(tarn_vector *vector, size_t row_count,
                                                    tarn_arena *arena, tarn_error *err);

static inline bool tarn_vector_is_null(const tarn_vector *vector, size_t row) {
    if (vector->validity == NULL) return false;
    return !tarn_bitmap_get(vector->validity, vector->kind == TARN_VECTOR_CONSTANT ? 0 : row);
}
// Where a row's value lies; must not be null.
static inline const void *tarn_vector_at(const tarn_vector *vector, size_t row, size_t width) {
    switch (vector->kind) {
    case TARN_VECTOR_FLAT: return (const uint8_t *)vector->data + row * width;
    case TARN_VECTOR_CONSTANT: return vector->data;
    case TARN_VECTOR_DICTIONARY:
        return (const uint8_t *)vector->dictionary->data + (size_t)vector->indices[row] * width;
    }
    return NULL;
}
tarn_value tarn_vector_get(const tarn_vector *vector, size_t row); // text views the vector
// Stores into a flat vector; bytes are not copied. The vector needs a validity bitmap for a null.
void tarn_vector_set(tarn_vector *vector, size_t row, tarn_value value);

// The rows named by `rows` (NULL: rows 0..count) of `source`, as a flat vector in `arena`. Strings
// still view the source's bytes.
TARN_MUST_USE tarn_status tarn_vector_flatten(const tarn_vector *source, const uint32_t *rows,
                                              size_t count, tarn_arena *arena,
                                              tarn_vector *ret_vector, tarn_error *err);
// The same rows, but keeping a constant constant and a dictionary a dictionary.
TARN_MUST_USE tarn_status tarn_vector_gather(const tarn_vector *source, const uint32_t *rows,
                                             size_t count, tarn_arena *arena,
                                             tarn_vector *ret_vector, tarn_error *err);

// ---- chunks ----

typedef enum tarn_row_kind {
    TARN_ROW_INSERT = 0,        // +I
    TARN_ROW_UPDATE_BEFORE = 1, // -U
    TARN_ROW_UPDATE_AFTER = 2,  // +U
    TARN_ROW_DELETE = 3,        // -D
} tarn_row_kind;

static inline bool tarn_row_kind_is_retract(uint8_t kind) {
    return (kind & 1) != 0;
}
const char *tarn_row_kind_name(tarn_row_kind kind); // "+I"

#define TARN_NO_WATERMARK INT64_MIN

typedef struct tarn_chunk {
    size_t row_count; // rows in the vectors, at most TARN_CHUNK_ROWS
    size_t column_count;
    tarn_vector *columns;
    const uint32_t *selection; // NULL: all rows count; else the rows that do, ascending
    size_t selected_count;     // meaningful with a selection
    const uint8_t *kinds;      // a tarn_row_kind per row; NULL: all are inserts
    const int64_t *watermarks; // per row, the event time already declared complete before it came
                               // (us, TARN_NO_WATERMARK: none); NULL: unknown
} tarn_chunk;

static inline size_t tarn_chunk_count(const tarn_chunk *chunk) {
    return chunk->selection == NULL ? chunk->row_count : chunk->selected_count;
}
static inline size_t tarn_chunk_row(const tarn_chunk *chunk, size_t i) {
    return chunk->selection == NULL ? i : chunk->selection[i];
}

// Replaces the selection by copying only the selected rows (gather). No effect without a selection.
TARN_MUST_USE tarn_status tarn_chunk_compact(const tarn_chunk *chunk, tarn_arena *arena,
                                             tarn_chunk *ret_chunk, tarn_error *err);

// A chunk that owns all it views: what travels through channels and what is kept.
typedef struct tarn_batch {
    tarn_chunk chunk; // without a selection
    tarn_arena arena;
    const tarn_alloc *alloc;
    _Atomic uint32_t references;
} tarn_batch;

// Copies the selected rows, strings included; shares dictionaries. One reference.
TARN_MUST_USE tarn_status tarn_batch_new(const tarn_alloc *alloc, const tarn_chunk *chunk,
                                         tarn_batch **ret_batch, tarn_error *err);
void tarn_batch_ref(tarn_batch *batch);
void tarn_batch_unref(tarn_batch *batch); // accepts NULL

// ---- schemas ----

typedef struct tarn_field {
    tarn_slice name;
    tarn_type type;
    bool not_null;
    int32_t id; // field id in open tables; -1 when it has none
} tarn_field;

typedef struct tarn_schema {
    tarn_field *fields;
    size_t field_count;
} tarn_schema;

// -1 when there is none.
ptrdiff_t tarn_schema_find(const tarn_schema *schema, tarn_slice name);
TARN_MUST_USE tarn_status tarn_schema_copy(const tarn_schema *schema, tarn_arena *arena,
                                           tarn_schema *ret_schema, tarn_error *err);

// Of `candidates`, the one most like `name` (edit distance), or -1 when none is near: for hints.
ptrdiff_t tarn_nearest_name(tarn_slice name, const tarn_slice *candidates, size_t count);

// ---- building chunks row by row ----

typedef struct tarn_chunk_builder tarn_chunk_builder;
TARN_MUST_USE tarn_status tarn_chunk_builder_new(const tarn_alloc *alloc, const tarn_schema *schema,
                                                 tarn_chunk_builder **ret_builder, tarn_error *err);
void tarn_chunk_builder_free(tarn_chunk_builder *builder); // accepts NULL
// Copies one value per field, bytes included. Values have the fields' types or are null, and the
// builder is not full. A failed call appends nothing.
TARN_MUST_USE tarn_status tarn_chunk_builder_append(tarn_chunk_builder *builder,
                                                    const tarn_value *values, tarn_row_kind kind,
                                                    tarn_error *err);
bool tarn_chunk_builder_is_full(const tarn_chunk_builder *builder);
size_t tarn_chunk_builder_count(const tarn_chunk_builder *builder);
// The rows so far as a view that is valid until the next call of clear or free.
const tarn_chunk *tarn_chunk_builder_chunk(tarn_chunk_builder *builder);
void tarn_chunk_builder_clear(tarn_chunk_builder *builder);

// ---- keys: order-preserving bytes ----
//
// memcmp of two encoded keys orders as tarn_value_compare of their columns, one after the other.
// Format: docs/formats/key.md. Equal values give equal bytes, so keys also serve hash tables.

typedef struct tarn_key_order {
    bool descending;
    bool nulls_last;
} tarn_key_order;

// Appends the key of one row of `columns` (each with the rows of one chunk). `orders` NULL: all
// ascending, nulls first.
TARN_MUST_USE tarn_status tarn_key_encode(const tarn_vector *columns, size_t column_count,
                                          const tarn_key_order *orders, size_t row,
                                          tarn_buffer *out, tarn_error *err);
// The keys of all selected rows of a chunk of key columns, one behind the other: the key of the
// i-th selected row ends at (*out).data + ret_ends[i]. Faster than row by row.
TARN_MUST_USE tarn_status tarn_key_encode_rows(const tarn_chunk *keys, const tarn_key_order *orders,
                                               tarn_buffer *out, size_t *ret_ends, tarn_error *err);
TARN_MUST_USE tarn_status tarn_key_encode_value(tarn_value value, tarn_key_order order,
                                                tarn_buffer *out, tarn_error *err);
// Takes one value of `type` from the front of *key. Bytes live in `arena`. An interval comes back
// equal, but perhaps in other parts. Bytes that no value gives are TARN_CORRUPT.
TARN_MUST_USE tarn_status tarn_key_decode(tarn_slice *key, tarn_type type, tarn_key_order order,
                                          tarn_arena *arena, tarn_value *ret_value,
                                          tarn_error *err);

// ---- rows: compact bytes, not ordered ----
//
// null bitmap, then the values: fixed widths little-endian, strings with a varint length.
// Format: docs/formats/row.md.

TARN_MUST_USE tarn_status tarn_row_encode(const tarn_vector *columns, size_t column_count,
                                          size_t row, tarn_buffer *out, tarn_error *err);
// Takes one row from the front of *bytes and stores it as row `row` of flat `columns` (with
// validity bitmaps). Strings view the input. Bytes that are no row are TARN_CORRUPT; what the row
// of `columns` then holds is unspecified.
TARN_MUST_USE tarn_status tarn_row_decode(tarn_slice *bytes, tarn_vector *columns,
                                          size_t column_count, size_t row, tarn_error *err);

// Hashes of the selected rows over all `columns`: hashes[i] belongs to the i-th selected row. Equal
// values of a type hash alike whatever the kind of vector; NULLs hash alike.
void tarn_hash_rows(const tarn_vector *columns, size_t column_count, const tarn_chunk *chunk,
                    uint64_t *hashes);

// ---- Arrow C data interface ----

// Exports a chunk (its selected rows) as a struct array. The export owns copies; the consumer
// releases it. Text becomes utf8, bytea binary, numeric decimal128, timestamps with unit us or ns.
TARN_MUST_USE tarn_status tarn_arrow_export_schema(const tarn_schema *schema,
                                                   struct ArrowSchema *ret_arrow, tarn_error *err);
TARN_MUST_USE tarn_status tarn_arrow_export_chunk(const tarn_schema *schema,
                                                  const tarn_chunk *chunk,
                                                  struct ArrowArray *ret_arrow, tarn_error *err);
// Reads an Arrow schema (a struct of supported types, also dictionary-encoded and large ones).
TARN_MUST_USE tarn_status tarn_arrow_import_schema(const struct ArrowSchema *arrow,
                                                   tarn_arena *arena, tarn_schema *ret_schema,
                                                   tarn_error *err);
// Rows [offset, offset + count) of a struct array, count at most TARN_CHUNK_ROWS, as a chunk whose
// strings view the array. Types that `schema` does not match are refused by name.
TARN_MUST_USE tarn_status tarn_arrow_import_chunk(const struct ArrowSchema *arrow_schema,
                                                  const struct ArrowArray *arrow,
                                                  const tarn_schema *schema, size_t offset,
                                                  size_t count, tarn_arena *arena,
                                                  tarn_chunk *ret_chunk, tarn_error *err);

#endif
