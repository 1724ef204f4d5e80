// index.h - index blocks of tables: for each of a row of blocks that follow one another in the
// file, where it ends and a key that is not less than its last and less than the next block's
// first. Format: docs/formats/kv-sstable.md.
//
// Ownership: a view of bytes that outlive it.
// Errors:    TARN_CORRUPT; open checks all lengths, so that the other functions cannot fail.
#ifndef TARN_KV_LSM_INDEX_H
#define TARN_KV_LSM_INDEX_H

#include "base/buffer.h"
#include "kv/lsm/order.h"

typedef struct lsm_index_builder {
    tarn_buffer bytes; // keys
    tarn_buffer ends;  // of lsm_index_end
    size_t count;
    uint64_t file_offset;   // of the first block
    uint64_t first_ordinal; // its number in the file
    lsm_order order;
} lsm_index_builder;

void lsm_index_builder_init(lsm_index_builder *builder, const tarn_alloc *alloc, lsm_order order);
void lsm_index_builder_reset(lsm_index_builder *builder);
// The first block added begins at `file_offset`; each ends where the next begins.
TARN_MUST_USE tarn_status lsm_index_builder_add(lsm_index_builder *builder, tarn_slice last_key,
                                                uint64_t file_offset, uint64_t end_offset,
                                                tarn_error *err);
// Whether another block of that size still fits the format.
bool lsm_index_builder_fits(const lsm_index_builder *builder, uint64_t end_offset);
// What was added as beginning at 0 begins at `file_offset`.
void lsm_index_builder_move(lsm_index_builder *builder, uint64_t file_offset);
// Appends the block and empties the builder; the next one's blocks are numbered on.
TARN_MUST_USE tarn_status lsm_index_builder_finish(lsm_index_builder *builder, tarn_buffer *out,
                                                   tarn_error *err);

typedef struct lsm_index {
    lsm_order order;
    uint32_t count;
    uint32_t first_ordinal;
    uint64_t file_offset;
    tarn_slice prefix;
    const uint8_t *heads;      // count * 8
    const uint8_t *key_ends;   // count * 4
    const uint8_t *block_ends; // count * 4
    tarn_slice keys;
} lsm_index;

// `was_checked`: these bytes were opened before, and have not changed since.
TARN_MUST_USE tarn_status lsm_index_open(tarn_slice payload, lsm_order order, bool was_checked,
                                         lsm_index *ret_index, tarn_error *err);
// The first block that may hold keys >= `key`; index->count: none.
uint32_t lsm_index_seek(const lsm_index *index, tarn_slice key);
// Where the block lies.
void lsm_index_block(const lsm_index *index, uint32_t i, uint64_t *ret_offset, uint64_t *ret_len);

#endif
