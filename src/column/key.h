// key.h - the bytes of one key, shared by the encoder and the decoder (docs/formats/key.md).
#ifndef TARN_COLUMN_KEY_H
#define TARN_COLUMN_KEY_H

#include "column/value.h"

enum {
    KEY_NULL_FIRST = 0x00,
    KEY_VALUE = 0x01, // the value follows
    KEY_NULL_LAST = 0x02,
};

// In strings: a zero byte is followed by one of these.
enum {
    KEY_STRING_END = 0x00,
    KEY_STRING_ZERO = 0xFF, // the zero byte belongs to the string
};

#define KEY_SIGN_32  ((uint32_t)1 << 31)
#define KEY_SIGN_64  ((uint64_t)1 << 63)
#define KEY_SIGN_128 ((tarn_uint128)1 << 127)

static inline uint8_t key_null_byte(tarn_key_order order) {
    return order.nulls_last ? KEY_NULL_LAST : KEY_NULL_FIRST;
}

// Floats whose unsigned order is theirs: one NaN above all, one zero.
static inline uint64_t key_from_double(double number) {
    uint64_t bits;
    number = number != number ? __builtin_nan("") : number + 0.0;
    memcpy(&bits, &number, sizeof bits);
    return (bits & KEY_SIGN_64) != 0 ? ~bits : bits | KEY_SIGN_64;
}

static inline uint32_t key_from_float(float number) {
    uint32_t bits;
    number = number != number ? __builtin_nanf("") : number + 0.0F;
    memcpy(&bits, &number, sizeof bits);
    return (bits & KEY_SIGN_32) != 0 ? ~bits : bits | KEY_SIGN_32;
}

static inline double key_to_double(uint64_t key) {
    uint64_t bits = (key & KEY_SIGN_64) != 0 ? key & ~KEY_SIGN_64 : ~key;
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static inline float key_to_float(uint32_t key) {
    uint32_t bits = (key & KEY_SIGN_32) != 0 ? key & ~KEY_SIGN_32 : ~key;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

#endif
