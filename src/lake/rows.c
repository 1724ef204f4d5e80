#include "lake/rows.h"

// The width is a constant where this is called, so that each copy becomes one move.
static inline void gather_width(const lake_rows *rows, size_t column, size_t width,
                                uint8_t *restrict out) {
    for (size_t i = 0; i < rows->count; i++) {
        lake_row_ref ref = rows->refs[i];
        const tarn_vector *from = &rows->chunks[ref.chunk]->columns[column];
        if (tarn_vector_is_null(from, ref.row)) {
            memset(out + i * width, 0, width);
        } else {
            memcpy(out + i * width, tarn_vector_at(from, ref.row, width), width);
        }
    }
}

static tarn_status gather_validity(const lake_rows *rows, size_t column, tarn_arena *arena,
                                   tarn_vector *vector, tarn_error *err) {
    for (size_t i = 0; i < rows->count; i++) {
        lake_row_ref ref = rows->refs[i];
        if (!tarn_vector_is_null(&rows->chunks[ref.chunk]->columns[column], ref.row)) continue;
        if (vector->validity == NULL) {
            TARN_TRY(tarn_vector_make_validity(vector, rows->count, arena, err));
        }
        tarn_bitmap_unset(vector->validity, i);
    }
    return TARN_OK;
}

tarn_status lake_rows_gather(const lake_rows *rows, size_t column, tarn_type type,
                             tarn_arena *arena, tarn_vector *ret_vector, tarn_error *err) {
    tarn_vector vector;
    TARN_TRY(tarn_vector_init_flat(&vector, type, rows->count, arena, err));
    switch (tarn_type_width(type)) {
    case 1: gather_width(rows, column, 1, vector.data); break;
    case 2: gather_width(rows, column, 2, vector.data); break;
    case 4: gather_width(rows, column, 4, vector.data); break;
    case 8: gather_width(rows, column, 8, vector.data); break;
    default: gather_width(rows, column, 16, vector.data); break;
    }
    TARN_TRY(gather_validity(rows, column, arena, &vector, err));
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
