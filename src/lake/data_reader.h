// data_reader.h - the rows of one data file, as the table's current schema sees them.
//
// Columns are found by field id: the file's schema version says which name a column had then, and
// that name is looked up in the file. A column that the file does not have is NULL, a partition
// column is the partition's value, a narrower type is widened. Rows that a deletion vector marks
// are left out by the selection.
#ifndef TARN_LAKE_DATA_READER_H
#define TARN_LAKE_DATA_READER_H

#include <roaring/roaring.h>

#include "lake/table.h"

typedef struct lake_scan_counters {
    _Atomic uint64_t row_groups_total, row_groups_read;
    _Atomic uint64_t rows_read;
    _Atomic uint64_t files_read;
    _Atomic uint64_t bytes_read;
} lake_scan_counters;

typedef struct lake_data_reader_options {
    const size_t *columns; // indices into the table's schema
    size_t column_count;
    bool system_columns; // _SEQUENCE_NUMBER (bigint) and _VALUE_KIND (smallint) follow `columns`
    const tarn_prune *prune;         // tests that may skip row groups; NULL: none
    const roaring_bitmap_t *deleted; // row positions to leave out; NULL: none
    size_t slice;                    // of slice_count parts of the row groups, in order
    size_t slice_count;              // 0: all row groups
    lake_scan_counters *counters;    // may be NULL
    const tarn_alloc *alloc;
} lake_data_reader_options;

typedef struct lake_data_reader lake_data_reader;

// `entry` and what `options` point to outlive the reader.
TARN_MUST_USE tarn_status lake_data_reader_new(tarn_table *table, const lake_entry *entry,
                                               const lake_data_reader_options *options,
                                               lake_data_reader **ret_reader, tarn_error *err);
// The next rows, NULL at the end; valid until the next call. *ret_first_row (may be NULL) is the
// position in the file of the chunk's row 0.
TARN_MUST_USE tarn_status lake_data_reader_next(lake_data_reader *reader,
                                                const tarn_chunk **ret_chunk,
                                                uint64_t *ret_first_row, tarn_error *err);
void lake_data_reader_free(lake_data_reader *reader); // accepts NULL

// A bound of a file's column as a value of the table's type; a null value where the types do not
// compare.
tarn_value lake_widen_bound(tarn_value bound, tarn_type type);

#endif
