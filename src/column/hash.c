#include "base/hash.h"

#include "column/block.h"
#include "column/value.h"

#define NULL_HASH ((uint64_t)0x9AE16A3B2F90404F) // any constant that is not the hash of 0

static TARN_ALWAYS_INLINE uint64_t hash_pair(uint64_t first, uint64_t second) {
    return tarn_hash_combine(tarn_hash_u64(first), second);
}

static uint64_t hash_int128(tarn_int128 value) {
    return hash_pair((uint64_t)value, (uint64_t)((tarn_uint128)value >> 64));
}

// Short strings lie in 16 bytes of which the unused are zero; longer ones are hashed where they
// are.
static TARN_ALWAYS_INLINE uint64_t hash_string(const tarn_string *string) {
    if (string->len > TARN_STRING_INLINE_BYTES) return tarn_hash_bytes(tarn_string_slice(string));
    uint64_t words[2];
    memcpy(words, string, sizeof words);
    return hash_pair(words[0], words[1]);
}

static TARN_ALWAYS_INLINE uint64_t hash_double(double number) {
    uint64_t bits;
    number = number != number ? __builtin_nan("") : number + 0.0; // one NaN, and no -0.0
    memcpy(&bits, &number, sizeof bits);
    return tarn_hash_u64(bits);
}

static void hash_strings(const tarn_string *strings, const column_block *block, uint64_t *hashes) {
    for (size_t i = 0; i < block->count; i++) {
        // The views of null rows may point anywhere.
        hashes[i] = column_block_is_null(block, i) ? NULL_HASH : hash_string(&strings[i]);
    }
}

static void hash_bools(const uint8_t *restrict values, size_t count, uint64_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) hashes[i] = tarn_hash_u64(values[i] != 0);
}

static void hash_i16s(const int16_t *restrict values, size_t count, uint64_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) hashes[i] = tarn_hash_u64((uint64_t)values[i]);
}

static void hash_i32s(const int32_t *restrict values, size_t count, uint64_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) hashes[i] = tarn_hash_u64((uint64_t)values[i]);
}

static void hash_i64s(const int64_t *restrict values, size_t count, uint64_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) hashes[i] = tarn_hash_u64((uint64_t)values[i]);
}

static void hash_i128s(const tarn_int128 *restrict values, size_t count,
                       uint64_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) hashes[i] = hash_int128(values[i]);
}

static void hash_floats(const float *restrict values, size_t count, uint64_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) hashes[i] = hash_double((double)values[i]);
}

static void hash_doubles(const double *restrict values, size_t count, uint64_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) hashes[i] = hash_double(values[i]);
}

static void hash_intervals(const tarn_interval *restrict values, size_t count,
                           uint64_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) hashes[i] = hash_int128(column_interval_span(values[i]));
}

// Visits the null rows only.
static void set_nulls(const uint64_t *validity, size_t count, uint64_t *hashes) {
    for (size_t start = 0; start < count; start += 64) {
        uint64_t nulls = ~validity[start / 64];
        if (count - start < 64) nulls &= ((uint64_t)1 << (count - start)) - 1;
        for (; nulls != 0; nulls &= nulls - 1) {
            hashes[start + (size_t)__builtin_ctzll(nulls)] = NULL_HASH;
        }
    }
}

static void hash_block(const column_block *block, tarn_type type, uint64_t *hashes) {
    switch (tarn_type_physical(type)) {
    case TARN_PHYSICAL_BOOL: hash_bools(block->values, block->count, hashes); break;
    case TARN_PHYSICAL_I16: hash_i16s(block->values, block->count, hashes); break;
    case TARN_PHYSICAL_I32: hash_i32s(block->values, block->count, hashes); break;
    case TARN_PHYSICAL_I64: hash_i64s(block->values, block->count, hashes); break;
    case TARN_PHYSICAL_I128: hash_i128s(block->values, block->count, hashes); break;
    case TARN_PHYSICAL_F32: hash_floats(block->values, block->count, hashes); break;
    case TARN_PHYSICAL_F64: hash_doubles(block->values, block->count, hashes); break;
    case TARN_PHYSICAL_STRING: hash_strings(block->values, block, hashes); break;
    case TARN_PHYSICAL_INTERVAL: hash_intervals(block->values, block->count, hashes); break;
    }
    if (block->validity != NULL) set_nulls(block->validity, block->count, hashes);
}

static void hash_vector(const tarn_vector *vector, const uint32_t *rows, size_t count,
                        uint64_t *hashes) {
    column_block block;
    for (size_t start = 0; start < count; start += COLUMN_BLOCK_ROWS) {
        column_block_load(&block, vector, rows, start, count);
        hash_block(&block, vector->type, hashes + start);
    }
}

static void hash_constant(const tarn_vector *vector, size_t count, uint64_t *hashes) {
    if (count == 0) return;
    hash_vector(vector, NULL, 1, hashes);
    for (size_t i = 1; i < count; i++) hashes[i] = hashes[0];
}

// Each value of the dictionary once, then a look-up per row.
static void hash_by_dictionary(const tarn_vector *vector, const uint32_t *rows, size_t count,
                               uint64_t *restrict hashes) {
    uint64_t value_hashes[TARN_CHUNK_ROWS];
    const tarn_dictionary *dictionary = vector->dictionary;
    size_t width = tarn_type_width(vector->type);
    column_block block;
    block.validity = NULL;
    value_hashes[0] = NULL_HASH; // an empty dictionary has rows too, all of them null
    for (size_t start = 0; start < dictionary->count; start += COLUMN_BLOCK_ROWS) {
        size_t left = dictionary->count - start;
        block.values = (const uint8_t *)dictionary->data + start * width;
        block.count = left < COLUMN_BLOCK_ROWS ? left : COLUMN_BLOCK_ROWS;
        hash_block(&block, vector->type, value_hashes + start);
    }
    for (size_t i = 0; i < count; i++) {
        size_t row = rows == NULL ? i : rows[i];
        bool is_null = vector->validity != NULL && !tarn_bitmap_get(vector->validity, row);
        hashes[i] = is_null ? NULL_HASH : value_hashes[vector->indices[row]];
    }
}

static void hash_column(const tarn_vector *vector, const uint32_t *rows, size_t count,
                        uint64_t *hashes) {
    if (vector->kind == TARN_VECTOR_CONSTANT) {
        hash_constant(vector, count, hashes);
    } else if (vector->kind == TARN_VECTOR_DICTIONARY && vector->dictionary->count <= count) {
        hash_by_dictionary(vector, rows, count, hashes);
    } else {
        hash_vector(vector, rows, count, hashes);
    }
}

static void combine(uint64_t *restrict hashes, const uint64_t *restrict more, size_t count) {
    for (size_t i = 0; i < count; i++) {
        // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): hash_column has written all of `more`
        hashes[i] = tarn_hash_combine(hashes[i], more[i]);
    }
}

void tarn_hash_rows(const tarn_vector *columns, size_t column_count, const tarn_chunk *chunk,
                    uint64_t *hashes) {
    size_t count = tarn_chunk_count(chunk);
    tarn_assert(count <= TARN_CHUNK_ROWS);
    if (column_count == 0) {
        for (size_t i = 0; i < count; i++) hashes[i] = NULL_HASH;
        return;
    }
    hash_column(&columns[0], chunk->selection, count, hashes);
    for (size_t c = 1; c < column_count; c++) {
        uint64_t column_hashes[TARN_CHUNK_ROWS];
        hash_column(&columns[c], chunk->selection, count, column_hashes);
        combine(hashes, column_hashes, count);
    }
}
