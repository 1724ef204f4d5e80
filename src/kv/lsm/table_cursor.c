#include "kv/lsm/table_internal.h"

void lsm_table_cursor_init(lsm_table_cursor *cursor, lsm_table *table) {
    cursor->table = table;
    cursor->is_valid = false;
    cursor->has_partition = cursor->has_block = false;
    cursor->partition = cursor->block = 0;
    cursor->pinned = NULL;
    lsm_block_cursor_init(&cursor->entries, table->alloc, table->order);
}

void lsm_table_cursor_reset(lsm_table_cursor *cursor) {
    lsm_cache_release(cursor->pinned);
    lsm_block_cursor_reset(&cursor->entries);
    lsm_table_cursor_init(cursor, cursor->table);
}

static tarn_status open_partition(lsm_table_cursor *cursor, uint32_t partition, tarn_error *err) {
    if (cursor->has_partition && cursor->partition == partition) return TARN_OK;
    cursor->has_partition = cursor->has_block = false;
    TARN_TRY(table_read_partition(cursor->table, partition, &cursor->index, err));
    cursor->partition = partition;
    cursor->has_partition = true;
    return TARN_OK;
}

static tarn_status open_block(lsm_table_cursor *cursor, uint32_t i, tarn_error *err) {
    if (cursor->has_block && cursor->block == i) return TARN_OK;
    uint64_t offset;
    uint64_t len;
    lsm_block block;
    lsm_cache_entry *pinned = NULL;
    cursor->has_block = false;
    lsm_index_block(&cursor->index, i, &offset, &len);
    TARN_TRY(table_read_data(cursor->table, offset, len, (size_t)cursor->index.first_ordinal + i,
                             &block, &pinned, err));
    lsm_cache_release(cursor->pinned);
    cursor->pinned = pinned;
    cursor->block = i;
    cursor->has_block = true;
    lsm_block_cursor_set(&cursor->entries, &block);
    return TARN_OK;
}

// Takes over where the block's cursor stands, or passes its failure on.
static tarn_status take_over(lsm_table_cursor *cursor, tarn_status status, tarn_error *err) {
    if (status != TARN_OK) {
        uint64_t offset;
        uint64_t len;
        lsm_index_block(&cursor->index, cursor->block, &offset, &len);
        cursor->is_valid = false;
        return table_fail_at(cursor->table, offset, status, err);
    }
    cursor->is_valid = cursor->entries.is_valid;
    cursor->key = cursor->entries.key;
    cursor->trailer = cursor->entries.trailer;
    cursor->value = cursor->entries.value;
    return TARN_OK;
}

// Opens the block behind the current one, if there is one.
static tarn_status go_on(lsm_table_cursor *cursor, bool *ret_has_more, tarn_error *err) {
    uint32_t block = cursor->block + 1;
    *ret_has_more = true;
    if (block >= cursor->index.count) {
        *ret_has_more = cursor->partition + 1 < cursor->table->top.count;
        if (!*ret_has_more) return TARN_OK;
        TARN_TRY(open_partition(cursor, cursor->partition + 1, err));
        block = 0;
    }
    return open_block(cursor, block, err);
}

static tarn_status go_back(lsm_table_cursor *cursor, bool *ret_has_more, tarn_error *err) {
    *ret_has_more = cursor->block > 0 || cursor->partition > 0;
    if (!*ret_has_more) return TARN_OK;
    uint32_t block = cursor->block - 1;
    if (cursor->block == 0) {
        TARN_TRY(open_partition(cursor, cursor->partition - 1, err));
        block = cursor->index.count - 1;
    }
    return open_block(cursor, block, err);
}

// At a block's end: the first entry of the next.
static tarn_status step_over(lsm_table_cursor *cursor, tarn_error *err) {
    while (!cursor->is_valid) {
        bool has_more;
        TARN_TRY(go_on(cursor, &has_more, err));
        if (!has_more) return TARN_OK;
        TARN_TRY(take_over(cursor, lsm_block_seek_first(&cursor->entries, err), err));
    }
    return TARN_OK;
}

static tarn_status step_back(lsm_table_cursor *cursor, tarn_error *err) {
    while (!cursor->is_valid) {
        bool has_more;
        TARN_TRY(go_back(cursor, &has_more, err));
        if (!has_more) return TARN_OK;
        TARN_TRY(take_over(cursor, lsm_block_seek_last(&cursor->entries, err), err));
    }
    return TARN_OK;
}

// Opens the first block that may hold keys >= `key`.
static tarn_status find_block(lsm_table_cursor *cursor, tarn_slice key, bool *ret_found,
                              tarn_error *err) {
    const lsm_index *top = &cursor->table->top;
    *ret_found = false;
    cursor->is_valid = false;
    if (top->count == 0) return TARN_OK;
    uint32_t partition = lsm_index_seek(top, key);
    if (partition == top->count) return TARN_OK;
    TARN_TRY(open_partition(cursor, partition, err));
    uint32_t block = lsm_index_seek(&cursor->index, key);
    // The last key of a partition is that of its last block.
    if (block == cursor->index.count) block--;
    *ret_found = true;
    return open_block(cursor, block, err);
}

tarn_status lsm_table_cursor_seek(lsm_table_cursor *cursor, tarn_slice key, uint64_t trailer,
                                  tarn_error *err) {
    bool found;
    TARN_TRY(find_block(cursor, key, &found, err));
    // Versions of the key may fill several blocks, all of one before the target.
    while (found) {
        TARN_TRY(take_over(cursor, lsm_block_seek(&cursor->entries, key, trailer, err), err));
        if (cursor->is_valid) return TARN_OK;
        TARN_TRY(go_on(cursor, &found, err));
    }
    return TARN_OK;
}

tarn_status lsm_table_cursor_seek_before(lsm_table_cursor *cursor, tarn_slice key, uint64_t trailer,
                                         tarn_error *err) {
    TARN_TRY(lsm_table_cursor_seek(cursor, key, trailer, err));
    if (!cursor->is_valid) return lsm_table_cursor_seek_last(cursor, err);
    return lsm_table_cursor_prev(cursor, err);
}

tarn_status lsm_table_cursor_seek_first(lsm_table_cursor *cursor, tarn_error *err) {
    cursor->is_valid = false;
    if (cursor->table->top.count == 0) return TARN_OK;
    TARN_TRY(open_partition(cursor, 0, err));
    TARN_TRY(open_block(cursor, 0, err));
    return take_over(cursor, lsm_block_seek_first(&cursor->entries, err), err);
}

tarn_status lsm_table_cursor_seek_last(lsm_table_cursor *cursor, tarn_error *err) {
    cursor->is_valid = false;
    if (cursor->table->top.count == 0) return TARN_OK;
    TARN_TRY(open_partition(cursor, cursor->table->top.count - 1, err));
    TARN_TRY(open_block(cursor, cursor->index.count - 1, err));
    return take_over(cursor, lsm_block_seek_last(&cursor->entries, err), err);
}

tarn_status lsm_table_cursor_next(lsm_table_cursor *cursor, tarn_error *err) {
    tarn_assert(cursor->is_valid);
    TARN_TRY(take_over(cursor, lsm_block_next(&cursor->entries, err), err));
    return step_over(cursor, err);
}

tarn_status lsm_table_cursor_prev(lsm_table_cursor *cursor, tarn_error *err) {
    tarn_assert(cursor->is_valid);
    TARN_TRY(take_over(cursor, lsm_block_prev(&cursor->entries, err), err));
    return step_back(cursor, err);
}
