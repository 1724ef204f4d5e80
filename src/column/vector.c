#include "column/gather.h"
#include "column/value.h"

static tarn_status no_memory(size_t row_count, tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a vector of %zu rows", row_count);
}

tarn_status tarn_vector_init_flat(tarn_vector *vector, tarn_type type, size_t row_count,
                                  tarn_arena *arena, tarn_error *err) {
    void *data = tarn_arena_alloc_raw(arena, tarn_type_width(type), row_count);
    if (data == NULL) return no_memory(row_count, err);
    *vector = (tarn_vector){.type = type, .kind = TARN_VECTOR_FLAT, .data = data};
    return TARN_OK;
}

tarn_status tarn_vector_init_constant(tarn_vector *vector, tarn_value value, tarn_arena *arena,
                                      tarn_error *err) {
    void *data = tarn_arena_alloc(arena, tarn_type_width(value.type), 1);
    uint64_t *validity = value.is_null ? tarn_arena_new(arena, uint64_t, 1) : NULL;
    if (data == NULL || (value.is_null && validity == NULL)) return no_memory(1, err);
    if (!value.is_null) column_value_store(value, data);
    *vector = (tarn_vector){
        .type = value.type, .kind = TARN_VECTOR_CONSTANT, .data = data, .validity = validity};
    return TARN_OK;
}

tarn_status tarn_vector_make_validity(tarn_vector *vector, size_t row_count, tarn_arena *arena,
                                      tarn_error *err) {
    if (vector->validity != NULL) return TARN_OK;
    size_t word_count = TARN_BITMAP_WORDS(row_count);
    uint64_t *validity = tarn_arena_new_raw(arena, uint64_t, word_count);
    if (validity == NULL) return no_memory(row_count, err);
    memset(validity, 0xFF, word_count * sizeof *validity);
    vector->validity = validity;
    return TARN_OK;
}

tarn_value tarn_vector_get(const tarn_vector *vector, size_t row) {
    if (tarn_vector_is_null(vector, row)) return tarn_value_null(vector->type);
    return column_value_load(vector->type,
                             tarn_vector_at(vector, row, tarn_type_width(vector->type)));
}

void tarn_vector_set(tarn_vector *vector, size_t row, tarn_value value) {
    tarn_assert(vector->kind == TARN_VECTOR_FLAT);
    if (value.is_null) {
        tarn_assert(vector->validity != NULL);
        tarn_bitmap_unset(vector->validity, row);
        return;
    }
    tarn_assert(tarn_type_physical(value.type) == tarn_type_physical(vector->type));
    if (vector->validity != NULL) tarn_bitmap_set(vector->validity, row);
    column_value_store(value, (uint8_t *)vector->data + row * tarn_type_width(vector->type));
}

// The validity of the named rows, in `arena`; stays NULL when `source` has none.
static tarn_status gather_validity(const tarn_vector *source, const uint32_t *rows, size_t count,
                                   tarn_arena *arena, uint64_t **ret_validity, tarn_error *err) {
    if (source->validity == NULL) return TARN_OK;
    uint64_t *validity = tarn_arena_new_raw(arena, uint64_t, TARN_BITMAP_WORDS(count));
    if (validity == NULL) return no_memory(count, err);
    if (source->kind == TARN_VECTOR_CONSTANT) {
        memset(validity, tarn_vector_is_null(source, 0) ? 0x00 : 0xFF,
               TARN_BITMAP_WORDS(count) * sizeof *validity);
    } else {
        column_gather_bits(validity, source->validity, rows, count);
    }
    *ret_validity = validity;
    return TARN_OK;
}

// A null constant may come without data.
static void fill_constant(void *target, const tarn_vector *source, size_t count, size_t width) {
    if (!tarn_vector_is_null(source, 0)) {
        column_fill(target, source->data, count, width);
    } else if (count > 0) {
        memset(target, 0, count * width);
    }
}

tarn_status tarn_vector_flatten(const tarn_vector *source, const uint32_t *rows, size_t count,
                                tarn_arena *arena, tarn_vector *ret_vector, tarn_error *err) {
    size_t width = tarn_type_width(source->type);
    tarn_vector flat;
    TARN_TRY(tarn_vector_init_flat(&flat, source->type, count, arena, err));
    TARN_TRY(gather_validity(source, rows, count, arena, &flat.validity, err));
    switch (source->kind) {
    case TARN_VECTOR_FLAT: column_gather(flat.data, source->data, rows, count, width); break;
    case TARN_VECTOR_CONSTANT: fill_constant(flat.data, source, count, width); break;
    case TARN_VECTOR_DICTIONARY:
        column_gather_dictionary(flat.data, source, rows, count, width);
        break;
    }
    *ret_vector = flat;
    return TARN_OK;
}

static tarn_status gather_constant(const tarn_vector *source, tarn_arena *arena,
                                   tarn_vector *ret_vector, tarn_error *err) {
    return tarn_vector_init_constant(ret_vector, tarn_vector_get(source, 0), arena, err);
}

static tarn_status gather_dictionary(const tarn_vector *source, const uint32_t *rows, size_t count,
                                     tarn_arena *arena, tarn_vector *ret_vector, tarn_error *err) {
    tarn_vector gathered = *source;
    gathered.validity = NULL;
    TARN_TRY(gather_validity(source, rows, count, arena, &gathered.validity, err));
    uint32_t *indices = tarn_arena_new_raw(arena, uint32_t, count);
    if (indices == NULL) return no_memory(count, err);
    column_gather(indices, source->indices, rows, count, sizeof *indices);
    gathered.indices = indices;
    *ret_vector = gathered;
    return TARN_OK;
}

tarn_status tarn_vector_gather(const tarn_vector *source, const uint32_t *rows, size_t count,
                               tarn_arena *arena, tarn_vector *ret_vector, tarn_error *err) {
    switch (source->kind) {
    case TARN_VECTOR_FLAT: break;
    case TARN_VECTOR_CONSTANT: return gather_constant(source, arena, ret_vector, err);
    case TARN_VECTOR_DICTIONARY:
        return gather_dictionary(source, rows, count, arena, ret_vector, err);
    }
    return tarn_vector_flatten(source, rows, count, arena, ret_vector, err);
}
