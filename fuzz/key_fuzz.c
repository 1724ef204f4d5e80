// Keys and rows: any bytes are answered; a key that was read is what the encoder writes, and a row
// that was read can be written.
#include "column/column.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tarn_type choose_type(uint8_t choice) {
    tarn_type type = tarn_type_of((tarn_type_id)(choice % TARN_TYPE_COUNT));
    if (type.id == TARN_TYPE_NUMERIC && choice >= 128) type = tarn_type_numeric(10, 2);
    return type;
}

static void try_key(tarn_type type, tarn_key_order order, tarn_slice bytes, tarn_arena *arena) {
    tarn_slice rest = bytes;
    tarn_value value;
    tarn_buffer again = {0};
    if (tarn_key_decode(&rest, type, order, arena, &value, NULL) != TARN_OK) return;
    tarn_assert(tarn_key_encode_value(value, order, &again, NULL) == TARN_OK);
    tarn_assert(again.len == bytes.len - rest.len);
    tarn_assert(memcmp(again.data, bytes.data, again.len) == 0);
    tarn_buffer_free(&again);
}

static void try_row(const uint8_t types[3], tarn_slice bytes, tarn_arena *arena) {
    tarn_vector columns[3];
    tarn_buffer again = {0};
    for (size_t i = 0; i < 3; i++) {
        tarn_assert(tarn_vector_init_flat(&columns[i], choose_type(types[i]), 1, arena, NULL) ==
                    TARN_OK);
        tarn_assert(tarn_vector_make_validity(&columns[i], 1, arena, NULL) == TARN_OK);
    }
    if (tarn_row_decode(&bytes, columns, 3, 0, NULL) != TARN_OK) return;
    tarn_assert(tarn_row_encode(columns, 3, 0, &again, NULL) == TARN_OK);
    tarn_buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 4) return 0;
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)64 << 20);
    tarn_slice bytes = {data + 4, size - 4};
    tarn_key_order order = {.descending = (data[3] & 1) != 0, .nulls_last = (data[3] & 2) != 0};
    try_key(choose_type(data[0]), order, bytes, &arena);
    try_row(data, bytes, &arena);
    tarn_arena_reset(&arena);
    return 0;
}
