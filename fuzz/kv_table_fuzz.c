// Tables of the LSM-tree and the blocks in them: any bytes are answered, whichever way one walks.
// The first byte says what the others are: blocks are tried without the checksums around them.
#include "kv/lsm/table_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 2000 };

static void walk_block(tarn_slice payload) {
    lsm_block block;
    lsm_block_cursor cursor;
    if (lsm_block_open(payload, &block, NULL) != TARN_OK) return;
    lsm_block_cursor_init(&cursor, &tarn_alloc_libc, (lsm_order){NULL});
    lsm_block_cursor_set(&cursor, &block);
    tarn_status status = lsm_block_seek_first(&cursor, NULL);
    for (size_t i = 0; status == TARN_OK && cursor.is_valid && i < STEPS_MAX; i++) {
        status = lsm_block_next(&cursor, NULL);
    }
    status = lsm_block_seek_last(&cursor, NULL);
    for (size_t i = 0; status == TARN_OK && cursor.is_valid && i < STEPS_MAX; i++) {
        status = lsm_block_prev(&cursor, NULL);
    }
    tarn_slice key = tarn_slice_head(payload, payload.len < 9 ? payload.len : 9);
    if (lsm_block_seek(&cursor, key, 77, NULL) == TARN_OK && cursor.is_valid) {
        tarn_assert(lsm_trailer_kind(cursor.trailer) >= KV_PUT);
    }
    (void)!lsm_block_seek_before(&cursor, key, 77, NULL);
    lsm_block_cursor_reset(&cursor);
}

static void walk_index(tarn_slice payload) {
    lsm_index index;
    if (lsm_index_open(payload, (lsm_order){NULL}, false, &index, NULL) != TARN_OK) return;
    uint32_t found = lsm_index_seek(&index, tarn_slice_head(payload, payload.len / 2));
    tarn_assert(found <= index.count);
    for (uint32_t i = 0; i < index.count; i++) {
        uint64_t offset;
        uint64_t len;
        lsm_index_block(&index, i, &offset, &len);
        tarn_assert(len > 0);
    }
}

static void walk_table(tarn_slice bytes) {
    lsm_table *table = NULL;
    lsm_table_cursor cursor;
    lsm_table_source source = {.bytes = bytes, .name = TARN_LIT("fuzz"), .file_id = 1};
    if (lsm_table_open(&tarn_alloc_libc, &source, &table, NULL) != TARN_OK) return;
    lsm_table_cursor_init(&cursor, table);
    tarn_status status = lsm_table_cursor_seek_first(&cursor, NULL);
    for (size_t i = 0; status == TARN_OK && cursor.is_valid && i < STEPS_MAX; i++) {
        status = lsm_table_cursor_next(&cursor, NULL);
    }
    status = lsm_table_cursor_seek_last(&cursor, NULL);
    for (size_t i = 0; status == TARN_OK && cursor.is_valid && i < STEPS_MAX; i++) {
        status = lsm_table_cursor_prev(&cursor, NULL);
    }
    lsm_table_cursor_reset(&cursor);
    (void)!lsm_table_verify(table, NULL);
    lsm_table_close(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    tarn_slice bytes = {data + 1, size - 1};
    switch (data[0] % 3) {
    case 0: walk_block(bytes); break;
    case 1: walk_index(bytes); break;
    default: walk_table(bytes); break;
    }
    return 0;
}
