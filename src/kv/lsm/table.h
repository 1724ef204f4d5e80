// table.h - sorted tables: immutable files of entries in the order of order.h, with an index, a
// filter, range tombstones and properties. Format: docs/formats/kv-sstable.md.
//
//     TARN_TRY(lsm_table_writer_new(alloc, &options, file, &writer, err));
//     TARN_TRY(lsm_table_writer_add(writer, key, trailer, value, err)); ...   // in order
//     TARN_TRY(lsm_table_writer_finish(writer, &summary, err));
//
//     TARN_TRY(lsm_table_open(alloc, &source, &table, err));
//     TARN_TRY(lsm_table_cursor_seek(&cursor, key, trailer, err));
//
// Ownership: a table is a view of bytes (a mapped file) that outlive it. Keys and values of a
//            cursor are valid until it moves.
// Threads:   a table is read by any number of threads; a cursor or writer belongs to one.
// Errors:    TARN_CORRUPT names the file and the byte at which the damaged block begins. Each block
//            is checked the first time it is read; any bytes are answered.
#ifndef TARN_KV_LSM_TABLE_H
#define TARN_KV_LSM_TABLE_H

#include "io/io.h"
#include "kv/lsm/block.h"
#include "kv/lsm/cache.h"
#include "kv/lsm/index.h"
#include "kv/lsm/ranges.h"

// ---- writing ----

typedef struct lsm_table_options {
    uint64_t file_id; // part of every checksum: a block of another file is no block of this one
    lsm_order order;
    tarn_codec codec;      // of data blocks; one that does not shrink a block is not applied
    size_t block_bytes;    // before compression
    uint32_t filter_bits;  // per key; 0: no filter
    size_t prefix_bytes;   // > 0: the filter also knows prefixes of this length
    tarn_slice merge_name; // "": none
    int64_t created_us;
} lsm_table_options;

// What a table holds; keys are the table's or the writer's.
typedef struct lsm_table_summary {
    uint64_t file_bytes;
    uint64_t entry_count; // without range tombstones
    uint64_t delete_count;
    uint64_t merge_count;
    uint64_t range_count;
    uint64_t key_bytes, value_bytes; // before compression
    uint64_t data_block_count;
    uint64_t smallest_sequence, largest_sequence;
    int64_t created_us;
    tarn_slice smallest, largest; // of entries and tombstones
    // Whether `largest` is the end of a tombstone: keys are less. With an empty `largest` as well:
    // there is no upper bound.
    bool is_largest_exclusive;
} lsm_table_summary;

typedef struct lsm_table_writer lsm_table_writer;
// `file` is empty; NULL: the bytes stay in memory (lsm_table_writer_bytes).
TARN_MUST_USE tarn_status lsm_table_writer_new(const tarn_alloc *alloc,
                                               const lsm_table_options *options, tarn_file *file,
                                               lsm_table_writer **ret_writer, tarn_error *err);
void lsm_table_writer_free(lsm_table_writer *writer); // accepts NULL
TARN_MUST_USE tarn_status lsm_table_writer_add(lsm_table_writer *writer, tarn_slice key,
                                               uint64_t trailer, tarn_slice value, tarn_error *err);
// In any order, before finish. Not empty ones.
TARN_MUST_USE tarn_status lsm_table_writer_add_range(lsm_table_writer *writer,
                                                     const lsm_range *range, tarn_error *err);
// Writes the rest. At least one entry or tombstone. The summary is valid while the writer is.
TARN_MUST_USE tarn_status lsm_table_writer_finish(lsm_table_writer *writer,
                                                  lsm_table_summary *ret_summary, tarn_error *err);
uint64_t lsm_table_writer_size(const lsm_table_writer *writer); // so far, about
bool lsm_table_writer_is_empty(const lsm_table_writer *writer);
tarn_slice lsm_table_writer_bytes(const lsm_table_writer *writer);

// ---- reading ----

typedef struct lsm_table_source {
    tarn_slice bytes;
    tarn_slice name; // for messages; copied
    uint64_t file_id;
    lsm_order order;
    tarn_slice merge_name; // of the family's operator, "": none
    lsm_cache *cache;      // for blocks that are compressed; may be NULL
} lsm_table_source;

typedef struct lsm_table lsm_table;
TARN_MUST_USE tarn_status lsm_table_open(const tarn_alloc *alloc, const lsm_table_source *source,
                                         lsm_table **ret_table, tarn_error *err);
void lsm_table_close(lsm_table *table); // accepts NULL
const lsm_table_summary *lsm_table_get_summary(const lsm_table *table);
const lsm_ranges *lsm_table_ranges(const lsm_table *table); // NULL: none
size_t lsm_table_memory(const lsm_table *table);            // beside the file's bytes

typedef enum lsm_filter_answer {
    LSM_FILTER_NONE,
    LSM_FILTER_NO,
    LSM_FILTER_MAYBE
} lsm_filter_answer;
// `hash` is lsm_filter_hash(key).
TARN_MUST_USE tarn_status lsm_table_filter(lsm_table *table, uint64_t hash,
                                           lsm_filter_answer *ret_answer, tarn_error *err);
size_t lsm_table_prefix_bytes(const lsm_table *table); // 0: the filter knows no prefixes

// Reads every byte and checks every checksum and the order of the entries.
TARN_MUST_USE tarn_status lsm_table_verify(lsm_table *table, tarn_error *err);
// About how many bytes of the file lie before the key.
TARN_MUST_USE tarn_status lsm_table_offset_of(lsm_table *table, tarn_slice key,
                                              uint64_t *ret_offset, tarn_error *err);

typedef struct lsm_table_cursor {
    lsm_table *table;
    bool is_valid;
    tarn_slice key;
    uint64_t trailer;
    tarn_slice value;
    // private
    bool has_partition, has_block;
    uint32_t partition; // in the top index
    uint32_t block;     // in the partition
    lsm_index index;    // the partition
    lsm_block_cursor entries;
    lsm_cache_entry *pinned; // what the block lies in
} lsm_table_cursor;

void lsm_table_cursor_init(lsm_table_cursor *cursor, lsm_table *table);
void lsm_table_cursor_reset(lsm_table_cursor *cursor);
TARN_MUST_USE tarn_status lsm_table_cursor_seek(lsm_table_cursor *cursor, tarn_slice key,
                                                uint64_t trailer, tarn_error *err);
TARN_MUST_USE tarn_status lsm_table_cursor_seek_before(lsm_table_cursor *cursor, tarn_slice key,
                                                       uint64_t trailer, tarn_error *err);
TARN_MUST_USE tarn_status lsm_table_cursor_seek_first(lsm_table_cursor *cursor, tarn_error *err);
TARN_MUST_USE tarn_status lsm_table_cursor_seek_last(lsm_table_cursor *cursor, tarn_error *err);
TARN_MUST_USE tarn_status lsm_table_cursor_next(lsm_table_cursor *cursor, tarn_error *err);
TARN_MUST_USE tarn_status lsm_table_cursor_prev(lsm_table_cursor *cursor, tarn_error *err);

#endif
