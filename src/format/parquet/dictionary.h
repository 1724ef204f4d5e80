// dictionary.h - the distinct values of a column chunk, built while it is written.
//
// Invariants: codes are dense and in order of first appearance; the PLAIN form of the values never
//             takes more than `limit_bytes`.
// Ownership:  strings are copied.
#ifndef TARN_FORMAT_PARQUET_DICTIONARY_H
#define TARN_FORMAT_PARQUET_DICTIONARY_H

#include "column/column.h"

typedef struct parquet_dictionary {
    uint32_t width; // bytes of a stored value; 0: strings
    uint32_t count;
    size_t plain_bytes; // of the values in PLAIN form
    size_t limit_bytes;
    uint64_t *slots;    // open addressing: hash << 32 | code + 1; 0 is free
    size_t slot_count;  // a power of two
    tarn_buffer values; // `width` bytes each, or tarn_string
    tarn_arena bytes;   // of long strings
    const tarn_alloc *alloc;
} parquet_dictionary;

void parquet_dictionary_init(parquet_dictionary *dictionary, const tarn_alloc *alloc,
                             uint32_t width, size_t limit_bytes);
void parquet_dictionary_free(parquet_dictionary *dictionary);
void parquet_dictionary_clear(parquet_dictionary *dictionary);

// Finds or adds the values (stored ones, or tarn_string) and writes their codes. Returns how many
// were done: fewer than `count` when there is no more room.
size_t parquet_dictionary_encode(parquet_dictionary *dictionary, const void *values, size_t count,
                                 uint32_t *codes);

// Appends the values in PLAIN form; false when the buffer cannot grow.
TARN_MUST_USE bool parquet_dictionary_put_plain(const parquet_dictionary *dictionary,
                                                tarn_buffer *out);
// The same for the values that the codes name.
TARN_MUST_USE bool parquet_dictionary_decode(const parquet_dictionary *dictionary,
                                             const uint32_t *codes, size_t count, tarn_buffer *out);

#endif
