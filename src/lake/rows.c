#include "lake/rows.h"

#define SIZED_GATHER(name, value_type)                                                            \
    static void name(const tarn_chunk *const *chunks, size_t column, const lake_row_ref *refs,    \
                     size_t count, value_type *restrict out) {                                    \
        for (size_t i = 0; i < count; i++) {                                                      \
            const tarn_vector *from = &chunks[refs[i].chunk]->columns[column];                    \
            if (tarn_vector_is_null(from, refs[i].row)) {                                         \
                memset(&out[i], 0, sizeof out[i]);                                                \
            } else {                                                                              \
                memcpy(&out[i], tarn_vector_at(from, refs[i].row, sizeof out[i]), sizeof out[i]); \
            }                                                                                     \
        }                                                                                         \
    }

SIZED_GATHER(gather_1, uint8_t)
SIZED_GATHER(gather_2, uint16_t)
SIZED_GATHER(gather_4, uint32_t)
SIZED_GATHER(gather_8, uint64_t)
SIZED_GATHER(gather_16, tarn_string)

static tarn_status gather_validity(const tarn_chunk *const *chunks, size_t column,
                                   const lake_row_ref *refs, size_t count, tarn_arena *arena,
                                   tarn_vector *vector, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (!tarn_vector_is_null(&chunks[refs[i].chunk]->columns[column], refs[i].row)) continue;
        if (vector->validity == NULL) {
            TARN_TRY(tarn_vector_make_validity(vector, count, arena, err));
        }
        tarn_bitmap_unset(vector->validity, i);
    }
    return TARN_OK;
}

tarn_status lake_rows_gather(const tarn_chunk *const *chunks, size_t column, tarn_type type,
                             const lake_row_ref *refs, size_t count, tarn_arena *arena,
                             tarn_vector *ret_vector, tarn_error *err) {
    tarn_vector vector;
    TARN_TRY(tarn_vector_init_flat(&vector, type, count, arena, err));
    switch (tarn_type_width(type)) {
    case 1: gather_1(chunks, column, refs, count, vector.data); break;
    case 2: gather_2(chunks, column, refs, count, vector.data); break;
    case 4: gather_4(chunks, column, refs, count, vector.data); break;
    case 8: gather_8(chunks, column, refs, count, vector.data); break;
    default: gather_16(chunks, column, refs, count, vector.data); break;
    }
    TARN_TRY(gather_validity(chunks, column, refs, count, arena, &vector, err));
    *ret_vector = vector;
    return TARN_OK;
}

// ---- keys ----

void lake_keys_init(lake_keys *keys, const tarn_alloc *alloc) {
    *keys = (lake_keys){
        .bytes = {.alloc = alloc}, .offsets = {.alloc = alloc}, .heads = {.alloc = alloc}};
}

void lake_keys_clear(lake_keys *keys) {
    tarn_buffer_clear(&keys->bytes);
    tarn_buffer_clear(&keys->offsets);
    tarn_buffer_clear(&keys->heads);
    keys->count = 0;
}

void lake_keys_free(lake_keys *keys) {
    tarn_buffer_free(&keys->bytes);
    tarn_buffer_free(&keys->offsets);
    tarn_buffer_free(&keys->heads);
}

static tarn_status append_offset(lake_keys *keys, tarn_error *err) {
    if (keys->bytes.len > UINT32_MAX) return tarn_fail(err, TARN_NO_MEMORY, "4 GiB of keys");
    uint32_t offset = (uint32_t)keys->bytes.len;
    if (!tarn_buffer_append(&keys->offsets,
                            (tarn_slice){(const uint8_t *)&offset, sizeof offset})) {
        return tarn_fail(err, TARN_NO_MEMORY, "keys");
    }
    return TARN_OK;
}

// The bytes behind the first column's null marker, which is the same for all.
static uint64_t head_of(tarn_slice key) {
    uint8_t bytes[8] = {0};
    if (key.len > 1) {
        size_t len = key.len - 1 < sizeof bytes ? key.len - 1 : sizeof bytes;
        memcpy(bytes, key.data + 1, len);
    }
    return tarn_load_u64_be(bytes);
}

tarn_status lake_keys_append(lake_keys *keys, const tarn_vector *columns, size_t column_count,
                             const tarn_chunk *chunk, tarn_error *err) {
    if (keys->offsets.len == 0) TARN_TRY(append_offset(keys, err));
    size_t count = tarn_chunk_count(chunk);
    for (size_t i = 0; i < count; i++) {
        size_t begin = keys->bytes.len;
        TARN_TRY(tarn_key_encode(columns, column_count, NULL, tarn_chunk_row(chunk, i),
                                 &keys->bytes, err));
        TARN_TRY(append_offset(keys, err));
        uint64_t head = head_of((tarn_slice){keys->bytes.data + begin, keys->bytes.len - begin});
        if (!tarn_buffer_append(&keys->heads, (tarn_slice){(const uint8_t *)&head, sizeof head})) {
            return tarn_fail(err, TARN_NO_MEMORY, "keys");
        }
        keys->count++;
    }
    return TARN_OK;
}
