// layout.h - where things are in a BinaryRow; shared by its encoder and decoder.
#ifndef TARN_FORMAT_BINROW_LAYOUT_H
#define TARN_FORMAT_BINROW_LAYOUT_H

#include "format/binrow/binrow.h"

enum {
    BINROW_ARITY_BYTES = 4, // in front of a serialised row, big-endian
    BINROW_KIND_BITS = 8,   // the row kind, in front of the null bits
    BINROW_SLOT_BYTES_EACH = 8,
    BINROW_INLINE_MAX = 7,      // longest bytes that fit a slot
    BINROW_INLINE_MARK = 0x80,  // in the slot's last byte, with the length
    BINROW_DECIMAL_BYTES = 16,  // reserved for a decimal of more than 18 digits
    BINROW_MILLIS_BYTES = 8,    // reserved for a timestamp finer than milliseconds
    BINROW_COMPACT_DIGITS = 18, // a decimal of so many digits fits a slot
    BINROW_COMPACT_FRACTION = 3,
    BINROW_ARITY_MAX = 1 << 20, // a bound of ours against damaged counts
};

typedef enum binrow_form {
    BINROW_SLOT_FIXED,     // the value itself
    BINROW_SLOT_BYTES,     // inline, or (offset << 32 | length)
    BINROW_SLOT_DECIMAL,   // (offset << 32 | length), 16 bytes reserved
    BINROW_SLOT_TIMESTAMP, // (offset << 32 | nanos of the millisecond), 8 bytes of milliseconds
} binrow_form;

static inline binrow_form binrow_slot_form(tarn_type type) {
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA: return BINROW_SLOT_BYTES;
    case TARN_TYPE_NUMERIC:
        return type.precision > BINROW_COMPACT_DIGITS ? BINROW_SLOT_DECIMAL : BINROW_SLOT_FIXED;
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS:
        return type.precision > BINROW_COMPACT_FRACTION ? BINROW_SLOT_TIMESTAMP : BINROW_SLOT_FIXED;
    case TARN_TYPE_NULL:
    case TARN_TYPE_BOOLEAN:
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT:
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE:
    case TARN_TYPE_DATE:
    case TARN_TYPE_TIME:
    case TARN_TYPE_INTERVAL: return BINROW_SLOT_FIXED;
    }
    return BINROW_SLOT_FIXED;
}

// The kind byte and the null bits, in whole 8-byte words.
static inline size_t binrow_header_bytes(size_t count) {
    return (count + 63 + BINROW_KIND_BITS) / 64 * 8;
}

// In-memory units (micro- or nanoseconds) in a millisecond.
static inline int64_t binrow_units_per_milli(tarn_type type) {
    bool is_nanos = type.id == TARN_TYPE_TIMESTAMP_NS || type.id == TARN_TYPE_TIMESTAMPTZ_NS;
    return is_nanos ? 1000000 : 1000;
}

static inline int64_t binrow_floor_div(int64_t value, int64_t divisor) {
    int64_t quotient = value / divisor;
    return quotient - (value % divisor < 0);
}

#endif
