// data_writer.h - one data file: Parquet bytes, and the manifest entry that describes it.
//
//     TARN_TRY(lake_data_writer_new(table, &target, &writer, err));
//     TARN_TRY(lake_data_writer_append(writer, chunk, err));
//     TARN_TRY(lake_data_writer_finish(writer, &facts, arena, &entry, err));
//
// The file of an append table has the table's columns. That of a keyed table has the key columns
// once more in front (_KEY_<name>), then _SEQUENCE_NUMBER and _VALUE_KIND, then the table's
// columns; chunks come in this order.
#ifndef TARN_LAKE_DATA_WRITER_H
#define TARN_LAKE_DATA_WRITER_H

#include "format/parquet/parquet.h"
#include "lake/manifest.h"
#include "lake/schema.h"
#include "lake/table.h"

// Ids and names of the columns that only files of keyed tables have.
#define LAKE_KEY_FIELD_ID      1073741823
#define LAKE_SEQUENCE_FIELD_ID 2147483646
#define LAKE_KIND_FIELD_ID     2147483645
#define LAKE_SEQUENCE_NAME     "_SEQUENCE_NUMBER"
#define LAKE_KIND_NAME         "_VALUE_KIND"

// Where a file belongs.
typedef struct lake_file_target {
    tarn_slice partition; // serialised; outlives the writer
    int32_t bucket;
    int32_t total_buckets;
    int32_t level;
    int32_t source; // 0: new rows, 1: compaction
} lake_file_target;

// What only the caller knows of the rows it wrote.
typedef struct lake_file_facts {
    tarn_slice min_key; // serialised; of append tables LAKE_EMPTY_ROW
    tarn_slice max_key;
    int64_t min_sequence;
    int64_t max_sequence;
    int64_t delete_row_count;
} lake_file_facts;

typedef struct lake_data_writer lake_data_writer;

TARN_MUST_USE tarn_status lake_data_writer_new(tarn_table *table, const lake_file_target *target,
                                               lake_data_writer **ret_writer, tarn_error *err);
TARN_MUST_USE tarn_status lake_data_writer_append(lake_data_writer *writer, const tarn_chunk *chunk,
                                                  tarn_error *err);
uint64_t lake_data_writer_row_count(const lake_data_writer *writer);
// About how large the file would be now.
uint64_t lake_data_writer_bytes(const lake_data_writer *writer);
// Makes the file durable and fills the entry (an ADD) in `arena`. The writer stays to be freed.
TARN_MUST_USE tarn_status lake_data_writer_finish(lake_data_writer *writer,
                                                  const lake_file_facts *facts, tarn_arena *arena,
                                                  lake_entry *ret_entry, tarn_error *err);
// Leaves nothing behind unless the file was finished. Accepts NULL.
void lake_data_writer_free(lake_data_writer *writer);

// Removes a finished file that no commit refers to.
TARN_MUST_USE tarn_status lake_remove_data_file(tarn_table *table, const lake_entry *entry,
                                                tarn_error *err);
// The columns of the files of a keyed table: field, then index of the table's column or -1.
size_t lake_file_column_count(const lake_schema *schema);

#endif
