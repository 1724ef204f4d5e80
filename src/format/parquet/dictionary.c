#include "format/parquet/dictionary.h"

#include "base/alloc.h"
#include "base/hash.h"

#define SLOTS_MIN TARN_TUNABLE((size_t)1024, (size_t)4)

void parquet_dictionary_init(parquet_dictionary *dictionary, const tarn_alloc *alloc,
                             uint32_t width, size_t limit_bytes) {
    *dictionary = (parquet_dictionary){
        .width = width, .limit_bytes = limit_bytes, .values = {.alloc = alloc}, .alloc = alloc};
    tarn_arena_init(&dictionary->bytes, alloc, SIZE_MAX);
}

void parquet_dictionary_free(parquet_dictionary *dictionary) {
    if (dictionary->alloc == NULL) return; // never initialised
    tarn_alloc_free(dictionary->alloc, dictionary->slots, dictionary->slot_count);
    tarn_buffer_free(&dictionary->values);
    tarn_arena_reset(&dictionary->bytes);
}

void parquet_dictionary_clear(parquet_dictionary *dictionary) {
    if (dictionary->slots != NULL) {
        memset(dictionary->slots, 0, dictionary->slot_count * sizeof(uint64_t));
    }
    tarn_buffer_clear(&dictionary->values);
    tarn_arena_clear(&dictionary->bytes);
    dictionary->count = 0;
    dictionary->plain_bytes = 0;
}

// Keeps the table at most half full.
static bool make_slots(parquet_dictionary *dictionary) {
    if (2 * ((size_t)dictionary->count + 1) <= dictionary->slot_count) return true;
    size_t grown_count = dictionary->slot_count == 0 ? SLOTS_MIN : 4 * dictionary->slot_count;
    uint64_t *grown = tarn_alloc_new(dictionary->alloc, uint64_t, grown_count);
    if (grown == NULL) return false;
    for (size_t i = 0; i < dictionary->slot_count; i++) {
        uint64_t slot = dictionary->slots[i];
        if (slot == 0) continue;
        size_t at = (size_t)(slot >> 32) & (grown_count - 1);
        while (grown[at] != 0) at = (at + 1) & (grown_count - 1);
        grown[at] = slot;
    }
    tarn_alloc_free(dictionary->alloc, dictionary->slots, dictionary->slot_count);
    dictionary->slots = grown;
    dictionary->slot_count = grown_count;
    return true;
}

// Adds a value that is not there; false when there is no room.
static bool add(parquet_dictionary *dictionary, uint32_t hash, const void *value, size_t width,
                size_t plain_bytes) {
    if (plain_bytes > dictionary->limit_bytes - dictionary->plain_bytes) return false;
    if (dictionary->count == UINT32_MAX - 1 || !make_slots(dictionary)) return false;
    if (!tarn_buffer_append(&dictionary->values, (tarn_slice){value, width})) return false;
    size_t mask = dictionary->slot_count - 1;
    size_t at = hash & mask;
    while (dictionary->slots[at] != 0) at = (at + 1) & mask;
    dictionary->count++;
    dictionary->slots[at] = (uint64_t)hash << 32 | dictionary->count;
    dictionary->plain_bytes += plain_bytes;
    return true;
}

static bool add_string(parquet_dictionary *dictionary, uint32_t hash, const tarn_string *string) {
    tarn_string copy = *string;
    if (string->len > TARN_STRING_INLINE_BYTES) {
        if (string->len > dictionary->limit_bytes) return false; // before copying it
        tarn_slice bytes;
        if (!tarn_arena_copy(&dictionary->bytes, tarn_string_slice(string), &bytes)) return false;
        copy = tarn_string_view(bytes);
    }
    return add(dictionary, hash, &copy, sizeof copy, 4 + (size_t)string->len);
}

// One loop per width: find the value's slot, or the free one where it belongs.
#define DEFINE_ENCODE(name, type, hash_of, equal, add_value)                                 \
    static size_t name(parquet_dictionary *dictionary, const type *values, size_t count,     \
                       uint32_t *restrict codes) {                                           \
        if (dictionary->slot_count == 0 && !make_slots(dictionary)) return 0;                \
        for (size_t i = 0; i < count; i++) {                                                 \
            if (i > 0 && equal(values[i], values[i - 1])) { /* sorted and repeated values */ \
                codes[i] = codes[i - 1];                                                     \
                continue;                                                                    \
            }                                                                                \
            const type *known = (const type *)(const void *)dictionary->values.data;         \
            uint32_t hash = hash_of(values[i]);                                              \
            size_t mask = dictionary->slot_count - 1;                                        \
            size_t at = hash & mask;                                                         \
            uint64_t slot = dictionary->slots[at];                                           \
            while (slot != 0 && !((uint32_t)(slot >> 32) == hash &&                          \
                                  equal(known[(uint32_t)slot - 1], values[i]))) {            \
                at = (at + 1) & mask;                                                        \
                slot = dictionary->slots[at];                                                \
            }                                                                                \
            if (slot == 0) {                                                                 \
                if (!add_value(dictionary, hash, &values[i])) return i;                      \
                slot = dictionary->count;                                                    \
            }                                                                                \
            codes[i] = (uint32_t)slot - 1;                                                   \
        }                                                                                    \
        return count;                                                                        \
    }

static inline uint32_t hash_number(uint64_t value) {
    return (uint32_t)((value * 0x9E3779B97F4A7C15u) >> 32);
}

static inline bool equal_numbers(uint64_t a, uint64_t b) {
    return a == b;
}

static bool add_u32(parquet_dictionary *dictionary, uint32_t hash, const uint32_t *value) {
    return add(dictionary, hash, value, sizeof *value, sizeof *value);
}

static bool add_u64(parquet_dictionary *dictionary, uint32_t hash, const uint64_t *value) {
    return add(dictionary, hash, value, sizeof *value, sizeof *value);
}

static inline uint32_t hash_string(tarn_string string) {
    if (string.len > TARN_STRING_INLINE_BYTES) {
        return (uint32_t)tarn_hash_bytes((tarn_slice){string.data, string.len});
    }
    uint64_t head = (uint64_t)string.len << 32 | tarn_load_u32(string.inlined);
    uint64_t tail = tarn_load_u64(string.inlined + 4);
    return hash_number(head * 0xD6E8FEB86659FD93u ^ tail);
}

static inline bool equal_strings(tarn_string a, tarn_string b) {
    if (a.len != b.len) return false;
    if (a.len > TARN_STRING_INLINE_BYTES) return memcmp(a.data, b.data, a.len) == 0;
    return memcmp(a.inlined, b.inlined, sizeof a.inlined) == 0;
}

DEFINE_ENCODE(encode_u32, uint32_t, hash_number, equal_numbers, add_u32)
DEFINE_ENCODE(encode_u64, uint64_t, hash_number, equal_numbers, add_u64)
DEFINE_ENCODE(encode_strings, tarn_string, hash_string, equal_strings, add_string)

// Widths of 9 to 16 bytes: long decimals and INT96.
static size_t encode_wide(parquet_dictionary *dictionary, const uint8_t *values, size_t count,
                          uint32_t *codes) {
    if (dictionary->slot_count == 0 && !make_slots(dictionary)) return 0;
    const size_t width = dictionary->width;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *value = values + width * i;
        uint64_t tail = tarn_load_u64(value + width - 8);
        uint32_t hash = hash_number(tarn_load_u64(value) * 0xD6E8FEB86659FD93u ^ tail);
        size_t mask = dictionary->slot_count - 1;
        size_t at = hash & mask;
        uint64_t slot = dictionary->slots[at];
        while (slot != 0 && !((uint32_t)(slot >> 32) == hash &&
                              memcmp(dictionary->values.data + width * ((uint32_t)slot - 1), value,
                                     width) == 0)) {
            at = (at + 1) & mask;
            slot = dictionary->slots[at];
        }
        if (slot == 0) {
            if (!add(dictionary, hash, value, width, width)) return i;
            slot = dictionary->count;
        }
        codes[i] = (uint32_t)slot - 1;
    }
    return count;
}

size_t parquet_dictionary_encode(parquet_dictionary *dictionary, const void *values, size_t count,
                                 uint32_t *codes) {
    switch (dictionary->width) {
    case 0: return encode_strings(dictionary, values, count, codes);
    case 4: return encode_u32(dictionary, values, count, codes);
    case 8: return encode_u64(dictionary, values, count, codes);
    default:
        tarn_assert(dictionary->width > 8);
        return encode_wide(dictionary, values, count, codes);
    }
}

// ---- PLAIN form ----

static bool put_string(const tarn_string *string, tarn_buffer *out) {
    tarn_slice bytes = tarn_string_slice(string);
    if (!tarn_buffer_reserve(out, 4 + bytes.len)) return false;
    tarn_store_u32(out->data + out->len, string->len);
    if (bytes.len > 0) memcpy(out->data + out->len + 4, bytes.data, bytes.len);
    out->len += 4 + bytes.len;
    return true;
}

bool parquet_dictionary_put_plain(const parquet_dictionary *dictionary, tarn_buffer *out) {
    if (dictionary->width > 0) {
        return tarn_buffer_append(out, tarn_buffer_slice(&dictionary->values));
    }
    const tarn_string *strings = (const tarn_string *)(const void *)dictionary->values.data;
    for (uint32_t i = 0; i < dictionary->count; i++) {
        if (!put_string(&strings[i], out)) return false;
    }
    return true;
}

bool parquet_dictionary_decode(const parquet_dictionary *dictionary, const uint32_t *codes,
                               size_t count, tarn_buffer *out) {
    const size_t width = dictionary->width;
    if (count == 0) return true;
    if (width == 0) {
        const tarn_string *strings = (const tarn_string *)(const void *)dictionary->values.data;
        for (size_t i = 0; i < count; i++) {
            if (!put_string(&strings[codes[i]], out)) return false;
        }
        return true;
    }
    if (!tarn_buffer_reserve(out, count * width)) return false;
    uint8_t *to = out->data + out->len;
    for (size_t i = 0; i < count; i++) {
        memcpy(to + width * i, dictionary->values.data + width * codes[i], width);
    }
    out->len += count * width;
    return true;
}
