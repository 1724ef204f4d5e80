#include "column/block.h"

#include "column/gather.h"

static void load_flat(column_block *block, const tarn_vector *vector, const uint32_t *rows,
                      size_t start, size_t width) {
    if (rows == NULL) {
        block->values = (const uint8_t *)vector->data + start * width;
        if (vector->validity != NULL) block->validity = vector->validity + start / 64;
        return;
    }
    column_gather(block->value_copies, vector->data, rows + start, block->count, width);
    block->values = block->value_copies;
    if (vector->validity == NULL) return;
    column_gather_bits(block->validity_copies, vector->validity, rows + start, block->count);
    block->validity = block->validity_copies;
}

static void load_constant(column_block *block, const tarn_vector *vector, size_t width) {
    block->values = block->value_copies;
    if (!tarn_vector_is_null(vector, 0)) {
        column_fill(block->value_copies, vector->data, block->count, width);
        return;
    }
    memset(block->value_copies, 0, block->count * width);
    memset(block->validity_copies, 0, sizeof block->validity_copies);
    block->validity = block->validity_copies;
}

static void load_dictionary(column_block *block, const tarn_vector *vector, const uint32_t *rows,
                            size_t start, size_t width) {
    // The codes and bits of this block are those of a shorter vector.
    tarn_vector part = *vector;
    if (rows == NULL) {
        part.indices += start;
        if (part.validity != NULL) part.validity += start / 64;
    } else {
        rows += start;
    }
    column_gather_dictionary(block->value_copies, &part, rows, block->count, width);
    block->values = block->value_copies;
    if (part.validity == NULL) return;
    column_gather_bits(block->validity_copies, part.validity, rows, block->count);
    block->validity = block->validity_copies;
}

void column_block_load(column_block *block, const tarn_vector *vector, const uint32_t *rows,
                       size_t start, size_t count) {
    tarn_assert(start % COLUMN_BLOCK_ROWS == 0);
    size_t width = tarn_type_width(vector->type);
    block->count = count - start < COLUMN_BLOCK_ROWS ? count - start : COLUMN_BLOCK_ROWS;
    block->validity = NULL;
    switch (vector->kind) {
    case TARN_VECTOR_FLAT: load_flat(block, vector, rows, start, width); break;
    case TARN_VECTOR_CONSTANT: load_constant(block, vector, width); break;
    case TARN_VECTOR_DICTIONARY: load_dictionary(block, vector, rows, start, width); break;
    }
}
