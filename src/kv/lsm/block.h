// block.h - data blocks of tables: sorted entries without the prefix that all of them share, found
// by the next four bytes of their keys. Format: docs/formats/kv-sstable.md.
//
//     lsm_block_builder_add(&builder, key, trailer, value, err); ...       // in order
//     lsm_block_builder_finish(&builder, &out, err);
//
//     TARN_TRY(lsm_block_open(payload, &block, err));
//     TARN_TRY(lsm_block_seek(&cursor, key, trailer, err));
//     if (cursor.is_valid) ... cursor.key, cursor.value
//
// Ownership: a block is a view of bytes that outlive it and its cursors.
// Errors:    TARN_CORRUPT, at an offset in the block; any bytes are answered.
#ifndef TARN_KV_LSM_BLOCK_H
#define TARN_KV_LSM_BLOCK_H

#include "base/buffer.h"
#include "kv/lsm/order.h"

// ---- writing ----

typedef struct lsm_block_builder {
    tarn_buffer entries; // of block_entry
    tarn_buffer bytes;   // keys and values
    size_t count;
    lsm_order order;
} lsm_block_builder;

void lsm_block_builder_init(lsm_block_builder *builder, const tarn_alloc *alloc, lsm_order order);
void lsm_block_builder_reset(lsm_block_builder *builder); // releases the memory
TARN_MUST_USE tarn_status lsm_block_builder_add(lsm_block_builder *builder, tarn_slice key,
                                                uint64_t trailer, tarn_slice value,
                                                tarn_error *err);
// About how large the block will be.
size_t lsm_block_builder_bytes(const lsm_block_builder *builder);
// Appends the block to `out` and empties the builder. At least one entry.
TARN_MUST_USE tarn_status lsm_block_builder_finish(lsm_block_builder *builder, tarn_buffer *out,
                                                   tarn_error *err);

// ---- reading ----

typedef struct lsm_block {
    tarn_slice prefix;
    const uint8_t *heads;   // group_count * 4
    const uint8_t *offsets; // group_count * 2 or 4, into `entries`
    tarn_slice entries;
    uint32_t group_count;
    uint16_t interval; // entries per group; the last group may have fewer
    bool has_wide_offsets;
} lsm_block;

TARN_MUST_USE tarn_status lsm_block_open(tarn_slice payload, lsm_block *ret_block, tarn_error *err);

#define LSM_INLINE_KEY_BYTES 128

typedef struct lsm_block_cursor {
    lsm_block block;
    lsm_order order;
    const tarn_alloc *alloc;
    bool is_valid;
    tarn_slice key;
    uint64_t trailer;
    tarn_slice value;
    // private
    size_t begin; // of the current entry, in `entries`
    size_t end;
    uint32_t group;
    uint8_t *key_bytes; // inline_key, or memory of key_capacity bytes
    size_t key_capacity;
    uint8_t inline_key[LSM_INLINE_KEY_BYTES];
} lsm_block_cursor;

void lsm_block_cursor_init(lsm_block_cursor *cursor, const tarn_alloc *alloc, lsm_order order);
void lsm_block_cursor_reset(lsm_block_cursor *cursor);
void lsm_block_cursor_set(lsm_block_cursor *cursor, const lsm_block *block); // stands nowhere

// To the first entry >= the target.
TARN_MUST_USE tarn_status lsm_block_seek(lsm_block_cursor *cursor, tarn_slice key, uint64_t trailer,
                                         tarn_error *err);
// To the last entry < the target.
TARN_MUST_USE tarn_status lsm_block_seek_before(lsm_block_cursor *cursor, tarn_slice key,
                                                uint64_t trailer, tarn_error *err);
TARN_MUST_USE tarn_status lsm_block_seek_first(lsm_block_cursor *cursor, tarn_error *err);
TARN_MUST_USE tarn_status lsm_block_seek_last(lsm_block_cursor *cursor, tarn_error *err);
TARN_MUST_USE tarn_status lsm_block_next(lsm_block_cursor *cursor, tarn_error *err);
TARN_MUST_USE tarn_status lsm_block_prev(lsm_block_cursor *cursor, tarn_error *err);

#endif
