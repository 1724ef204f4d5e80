// parquet.h - Parquet files: bytes to chunks and back.
//
// Reader: flat columns of every physical type; data pages v1 and v2; PLAIN, dictionary, RLE,
// DELTA_*, BYTE_STREAM_SPLIT; every codec of io/. Dictionary-encoded text comes back as dictionary
// vectors that share one dictionary per column chunk. Nested columns are refused by name when
// projected. Writer: v1 data pages, dictionary with fallback, statistics, page CRCs, field ids, row
// groups by size. Facts: apache/parquet-format, and docs/formats/parquet.md for what tarn writes
// and refuses.
//
//     TARN_TRY(tarn_parquet_open(alloc, object, &file, err));
//     tarn_parquet_scan_options options = {.columns = columns, .column_count = 2};
//     TARN_TRY(tarn_parquet_scan_new(file, &options, &scan, err));
//     while (tarn_parquet_scan_next(scan, &chunk, err) == TARN_OK && chunk != NULL) ...
//
// Invariants: no input makes the reader crash, loop or allocate beyond what the file's size and the
//             row count explain; damage is TARN_CORRUPT with file, column and byte offset.
// Ownership:  the object outlives the file, the file outlives its scans. A chunk of a scan is valid
//             until the next call for that scan.
// Threads:    a file may be shared by scans on different threads; a scan belongs to one.
#ifndef TARN_FORMAT_PARQUET_H
#define TARN_FORMAT_PARQUET_H

#include "column/column.h"
#include "io/io.h"

// ---- reading ----

typedef struct tarn_parquet_file tarn_parquet_file;
typedef struct tarn_parquet_scan tarn_parquet_scan;

// Reads and checks the footer.
TARN_MUST_USE tarn_status tarn_parquet_open(const tarn_alloc *alloc, tarn_object *object,
                                            tarn_parquet_file **ret_file, tarn_error *err);
void tarn_parquet_close(tarn_parquet_file *file); // accepts NULL; not the object

// Top-level columns in file order, types as tarn reads them. A column that tarn cannot read
// (nested, unknown type) is listed with TARN_TYPE_NULL; asking a scan for it is TARN_UNSUPPORTED.
const tarn_schema *tarn_parquet_schema(const tarn_parquet_file *file);
uint64_t tarn_parquet_row_count(const tarn_parquet_file *file);
size_t tarn_parquet_row_group_count(const tarn_parquet_file *file);
uint64_t tarn_parquet_row_group_rows(const tarn_parquet_file *file, size_t row_group);

// What a row group's footer says about a column. Bounds are usable for skipping; `min`/`max` are
// null values when there is no usable bound (wrong order, NaN, old deprecated fields, INT96).
typedef struct tarn_parquet_stats {
    tarn_value min; // bytes view the footer, which lives as long as the file
    tarn_value max;
    bool is_exact;      // false: bounds may be truncated
    int64_t null_count; // -1: unknown
} tarn_parquet_stats;
// `column` is an index into tarn_parquet_schema.
void tarn_parquet_row_group_stats(const tarn_parquet_file *file, size_t row_group, size_t column,
                                  tarn_parquet_stats *ret_stats);

typedef struct tarn_parquet_scan_options {
    const size_t *columns; // indices into the schema, in the order wanted; may repeat
    size_t column_count;   // 0 is allowed: chunks then only have row counts
    // What each column shall come back as; NULL: the schema's types. Widening (int to bigint, float
    // to double, numeric of the same scale, timestamp units) is done; anything else is refused.
    const tarn_type *types;
    const uint64_t *row_groups; // bitmap of the row groups to read; NULL: all
    uint64_t first_row;         // skip to this row of the file (counting all row groups)
    bool flat_strings;          // never return dictionary vectors
} tarn_parquet_scan_options;

TARN_MUST_USE tarn_status tarn_parquet_scan_new(tarn_parquet_file *file,
                                                const tarn_parquet_scan_options *options,
                                                tarn_parquet_scan **ret_scan, tarn_error *err);
void tarn_parquet_scan_free(tarn_parquet_scan *scan); // accepts NULL

// The next rows, at most TARN_CHUNK_ROWS and never across row groups; NULL at the end.
// *ret_first_row (may be NULL) is the file's row number of the chunk's first row.
TARN_MUST_USE tarn_status tarn_parquet_scan_next(tarn_parquet_scan *scan,
                                                 const tarn_chunk **ret_chunk,
                                                 uint64_t *ret_first_row, tarn_error *err);

// ---- writing ----

typedef struct tarn_parquet_writer tarn_parquet_writer;

// How foreign readers of one kind want a column to look; zero is right for most.
typedef struct tarn_parquet_column_options {
    bool timestamp_millis; // store timestamp(0..3) as milliseconds (Paimon)
    bool time_millis;      // store time as INT32 milliseconds (Paimon)
    uint8_t integer_bits;  // 8: annotate a smallint as INT(8) (Paimon's TINYINT)
    bool int96;            // store TIMESTAMP(TZ)_NS as INT96 (Paimon above microseconds)
    bool no_dictionary;
} tarn_parquet_column_options;

typedef struct tarn_parquet_writer_options {
    tarn_codec codec;                           // TARN_CODEC_NONE is "uncompressed": set it
    int level;                                  // 0: the codec's default
    const tarn_parquet_column_options *columns; // per field, or NULL
    tarn_slice root_name;                       // of the schema's root; empty: "schema"
    size_t row_group_bytes;                     // 0: 128 MiB (of memory)
    uint64_t row_group_rows;                    // 0: 1,000,000
    size_t page_bytes;                          // 0: 1 MiB
    uint32_t page_rows;                         // 0: 20,000
    size_t dictionary_bytes;                    // 0: 1 MiB
} tarn_parquet_writer_options;

// Bounds and counts over the whole file, for the caller's own metadata.
typedef struct tarn_parquet_summary {
    uint64_t row_count;
    uint64_t file_bytes;
    tarn_parquet_stats
        *columns; // per field; in the writer's arena: valid until tarn_parquet_writer_free
} tarn_parquet_summary;

// Writes to `out`, which the caller finishes or aborts. Field ids come from the schema (-1: none).
// Schema and options are copied.
TARN_MUST_USE tarn_status tarn_parquet_writer_new(
    const tarn_alloc *alloc, const tarn_schema *schema, const tarn_parquet_writer_options *options,
    tarn_store_writer *out, tarn_parquet_writer **ret_writer, tarn_error *err);
// Adds the selected rows (row kinds are ignored). The chunk's columns have the schema's types; a
// null in a not_null column is TARN_INVALID.
TARN_MUST_USE tarn_status tarn_parquet_writer_append(tarn_parquet_writer *writer,
                                                     const tarn_chunk *chunk, tarn_error *err);
// About how large the file would be if it were finished now.
uint64_t tarn_parquet_writer_estimated_bytes(const tarn_parquet_writer *writer);
// Writes the last row group and the footer.
TARN_MUST_USE tarn_status tarn_parquet_writer_finish(tarn_parquet_writer *writer,
                                                     tarn_parquet_summary *ret_summary,
                                                     tarn_error *err);
void tarn_parquet_writer_free(tarn_parquet_writer *writer); // accepts NULL

#endif
