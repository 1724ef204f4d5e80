// slice.h - a view of bytes that someone else owns, and the only byte-order helpers.
//
// A slice is passed by value and never freed. It is valid as long as the memory it views: a
// function that keeps one beyond its return says so in its contract. Text is a slice of UTF-8;
// NUL-terminated strings exist only where the operating system asks for them.
//
// An empty slice may have data == NULL; the functions below accept it.
#ifndef TARN_BASE_SLICE_H
#define TARN_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

typedef struct tarn_slice {
    const uint8_t *data;
    size_t len;
} tarn_slice;

#define TARN_LIT(literal) ((tarn_slice){(const uint8_t *)(literal), sizeof(literal) - 1})

// For printf: ("table '" TARN_SLICE_FMT "'", TARN_SLICE_ARG(name))
#define TARN_SLICE_FMT    "%.*s"
#define TARN_SLICE_ARG(s) (int)(s).len, (const char *)(s).data

static inline bool tarn_slice_equal(tarn_slice a, tarn_slice b) {
    // memcmp(NULL, NULL, 0) is undefined in C17, hence the first test.
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline tarn_slice tarn_slice_head(tarn_slice s, size_t len) {
    tarn_assert(len <= s.len);
    return (tarn_slice){s.data, len};
}

static inline tarn_slice tarn_slice_skip(tarn_slice s, size_t len) {
    tarn_assert(len <= s.len);
    return (tarn_slice){len == 0 ? s.data : s.data + len, s.len - len};
}

// For comparison and sorting: unsigned bytes, a shorter prefix first.
static inline int tarn_slice_compare(tarn_slice a, tarn_slice b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

static inline bool tarn_slice_starts_with(tarn_slice s, tarn_slice prefix) {
    return s.len >= prefix.len && tarn_slice_equal(tarn_slice_head(s, prefix.len), prefix);
}

static inline tarn_slice tarn_slice_from_cstr(const char *text) {
    return (tarn_slice){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

// All stored integers are little-endian and may be unaligned. Compilers turn these into one move.
static inline uint32_t tarn_load_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline uint16_t tarn_load_u16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static inline uint64_t tarn_load_u64(const uint8_t *bytes) {
    return (uint64_t)tarn_load_u32(bytes) | (uint64_t)tarn_load_u32(bytes + 4) << 32;
}

static inline void tarn_store_u16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static inline void tarn_store_u32(uint8_t *bytes, uint32_t value) {
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
    bytes[2] = (uint8_t)(value >> 16);
    bytes[3] = (uint8_t)(value >> 24);
}

static inline void tarn_store_u64(uint8_t *bytes, uint64_t value) {
    tarn_store_u32(bytes, (uint32_t)value);
    tarn_store_u32(bytes + 4, (uint32_t)(value >> 32));
}

// Big-endian, for the formats that are (Avro's neighbours, Paimon's indexes, sortable keys).
static inline uint32_t tarn_load_u32_be(const uint8_t *bytes) {
    return __builtin_bswap32(tarn_load_u32(bytes));
}

static inline uint64_t tarn_load_u64_be(const uint8_t *bytes) {
    return __builtin_bswap64(tarn_load_u64(bytes));
}

static inline void tarn_store_u32_be(uint8_t *bytes, uint32_t value) {
    tarn_store_u32(bytes, __builtin_bswap32(value));
}

static inline void tarn_store_u64_be(uint8_t *bytes, uint64_t value) {
    tarn_store_u64(bytes, __builtin_bswap64(value));
}

#endif
