// The manifest of the LSM-tree and its edits: any bytes are answered, and an edit that was read is
// written as it was read. The first byte says whether the others are a manifest or one edit.
#include "kv/lsm/manifest_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_edit(tarn_slice bytes, tarn_arena *arena) {
    lsm_edit edit;
    lsm_edit again;
    tarn_buffer written = {0};
    if (lsm_edit_decode(bytes, arena, &edit, NULL) != TARN_OK) return;
    tarn_assert(lsm_edit_encode(&edit, &written, NULL) == TARN_OK);
    tarn_assert(lsm_edit_decode(tarn_buffer_slice(&written), arena, &again, NULL) == TARN_OK);
    tarn_assert(again.added_count == edit.added_count);
    tarn_assert(again.removed_count == edit.removed_count);
    tarn_assert(again.family_count == edit.family_count);
    tarn_buffer_free(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)256 << 20);
    tarn_slice bytes = {data + 1, size - 1};
    if (data[0] % 2 == 0) {
        try_edit(bytes, &arena);
    } else {
        lsm_edit state;
        size_t whole_len;
        if (lsm_manifest_replay(bytes, &arena, &state, &whole_len, NULL) == TARN_OK) {
            tarn_assert(whole_len <= bytes.len);
        }
    }
    tarn_arena_reset(&arena);
    return 0;
}
