// table_internal.h - an open table, for table.c and table_cursor.c.
#ifndef TARN_KV_LSM_TABLE_INTERNAL_H
#define TARN_KV_LSM_TABLE_INTERNAL_H

#include <stdatomic.h>

#include "kv/lsm/table_format.h"

struct lsm_table {
    const tarn_alloc *alloc;
    tarn_slice bytes;
    tarn_slice name;
    uint64_t file_id;
    lsm_order order;
    lsm_cache *cache;
    lsm_table_summary summary;
    tarn_slice merge_name;
    lsm_index top; // count 0: there are no entries
    const lsm_ranges *ranges;
    size_t ranges_bytes;
    uint8_t filter_handle[LSM_HANDLE_BYTES];
    const uint8_t *_Atomic filter_lines; // NULL: not checked yet
    uint32_t filter_probes;
    size_t prefix_bytes;
    // A bit per block whose checksum was right when it was read first.
    _Atomic uint64_t *checked_partitions;
    _Atomic uint64_t *checked_blocks;
    size_t partition_words, block_words;
    uint8_t name_text[64];
};

typedef struct table_stored {
    tarn_slice bytes; // without the trailer
    tarn_codec codec;
} table_stored;

// A block as it is stored. Checks the checksum, unless bit `ordinal` of `checked` says that it was;
// then sets it. `checked` may be NULL.
TARN_MUST_USE tarn_status table_read_stored(const lsm_table *table, uint64_t offset, uint64_t len,
                                            _Atomic uint64_t *checked, size_t ordinal,
                                            table_stored *ret_stored, tarn_error *err);
// The data block with that number; *ret_pinned (may be NULL) is to be released.
TARN_MUST_USE tarn_status table_read_data(lsm_table *table, uint64_t offset, uint64_t len,
                                          size_t ordinal, lsm_block *ret_block,
                                          lsm_cache_entry **ret_pinned, tarn_error *err);
TARN_MUST_USE tarn_status table_read_partition(lsm_table *table, uint32_t i, lsm_index *ret_index,
                                               tarn_error *err);
// Says, for TARN_CORRUPT, in which file and block it was; returns `status`.
tarn_status table_fail_at(const lsm_table *table, uint64_t offset, tarn_status status,
                          tarn_error *err);
// Every block will be checked again.
void table_forget_checks(lsm_table *table);

#endif
