#include "format/binrow/layout.h"

// Where a row is being written. Offsets in slots count from the row's start.
typedef struct row_writer {
    uint8_t *row;
    size_t slots_at;
    size_t variable_at; // next free byte of the variable part
} row_writer;

static size_t round_up_8(size_t len) {
    return (len + 7) & ~(size_t)7;
}

// Bytes that a value takes behind the slots. Decimals and timestamps reserve theirs also when null.
static size_t variable_bytes(const tarn_value *value) {
    switch (binrow_slot_form(value->type)) {
    case BINROW_SLOT_FIXED: return 0;
    case BINROW_SLOT_DECIMAL: return BINROW_DECIMAL_BYTES;
    case BINROW_SLOT_TIMESTAMP: return BINROW_MILLIS_BYTES;
    case BINROW_SLOT_BYTES:
        return value->is_null || value->bytes.len <= BINROW_INLINE_MAX
                   ? 0
                   : round_up_8(value->bytes.len);
    }
    return 0;
}

static tarn_status check_value(const tarn_value *value, size_t field, tarn_error *err) {
    if (value->type.id == TARN_TYPE_INTERVAL ||
        (value->type.id == TARN_TYPE_NULL && !value->is_null)) {
        return tarn_fail(err, TARN_UNSUPPORTED, "binary row: field %zu: rows hold no %s", field,
                         value->type.id == TARN_TYPE_NULL ? "untyped values" : "intervals");
    }
    if (!value->is_null && tarn_binrow_is_tinyint(value->type) &&
        (value->i64 < INT8_MIN || value->i64 > INT8_MAX)) {
        return tarn_fail(err, TARN_INVALID, "binary row: field %zu: %lld does not fit tinyint",
                         field, (long long)value->i64);
    }
    if (!value->is_null && binrow_slot_form(value->type) == BINROW_SLOT_BYTES &&
        value->bytes.len > INT32_MAX) {
        return tarn_fail(err, TARN_INVALID, "binary row: field %zu: %zu bytes are too long", field,
                         value->bytes.len);
    }
    return TARN_OK;
}

static tarn_status measure(const tarn_value *values, size_t count, size_t *ret_bytes,
                           tarn_error *err) {
    if (count > BINROW_ARITY_MAX) {
        return tarn_fail(err, TARN_INVALID, "binary row: %zu fields are too many", count);
    }
    size_t bytes = binrow_header_bytes(count) + count * BINROW_SLOT_BYTES_EACH;
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(check_value(&values[i], i, err));
        bytes += variable_bytes(&values[i]);
        if (bytes > INT32_MAX) {
            return tarn_fail(err, TARN_INVALID, "binary row: more than 2 GiB up to field %zu", i);
        }
    }
    *ret_bytes = bytes;
    return TARN_OK;
}

static uint64_t slot_of_range(size_t offset, uint32_t low) {
    return (uint64_t)offset << 32 | low;
}

// Little-endian, in the slot's first bytes; the rest stays zero.
static void put_fixed(uint8_t *slot, const tarn_value *value) {
    switch ((tarn_type_id)value->type.id) {
    case TARN_TYPE_BOOLEAN: slot[0] = value->boolean; return;
    case TARN_TYPE_SMALLINT:
        if (tarn_binrow_is_tinyint(value->type)) {
            slot[0] = (uint8_t)value->i64;
        } else {
            tarn_store_u16(slot, (uint16_t)value->i64);
        }
        return;
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_DATE: tarn_store_u32(slot, (uint32_t)value->i64); return;
    case TARN_TYPE_TIME: tarn_store_u32(slot, (uint32_t)binrow_floor_div(value->i64, 1000)); return;
    case TARN_TYPE_REAL: {
        float real = (float)value->f64;
        uint32_t bits;
        memcpy(&bits, &real, sizeof bits);
        tarn_store_u32(slot, bits);
        return;
    }
    case TARN_TYPE_DOUBLE: {
        uint64_t bits;
        memcpy(&bits, &value->f64, sizeof bits);
        tarn_store_u64(slot, bits);
        return;
    }
    case TARN_TYPE_BIGINT:
    case TARN_TYPE_NUMERIC: tarn_store_u64(slot, (uint64_t)value->i64); return;
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS:
        tarn_store_u64(slot,
                       (uint64_t)binrow_floor_div(value->i64, binrow_units_per_milli(value->type)));
        return;
    case TARN_TYPE_NULL:
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA:
    case TARN_TYPE_INTERVAL: break;
    }
    tarn_assert(false); // measured: these have no fixed slot, or were refused
}

static void put_bytes(row_writer *writer, uint8_t *slot, tarn_slice bytes) {
    if (bytes.len <= BINROW_INLINE_MAX) {
        if (bytes.len > 0) memcpy(slot, bytes.data, bytes.len);
        slot[7] = (uint8_t)(BINROW_INLINE_MARK | bytes.len);
        return;
    }
    tarn_store_u64(slot, slot_of_range(writer->variable_at, (uint32_t)bytes.len));
    memcpy(writer->row + writer->variable_at, bytes.data, bytes.len);
    writer->variable_at += round_up_8(bytes.len);
}

// The fewest bytes whose two's complement holds the value.
static uint32_t decimal_bytes(tarn_int128 value) {
    uint32_t len = 1;
    while (len < BINROW_DECIMAL_BYTES && value >> (8 * len - 1) != 0 &&
           value >> (8 * len - 1) != -1) {
        len++;
    }
    return len;
}

// Big-endian, at the left of the 16 reserved ones.
static void put_decimal(row_writer *writer, uint8_t *slot, const tarn_value *value) {
    uint32_t len = 0;
    if (!value->is_null) {
        len = decimal_bytes(value->i128);
        uint8_t *out = writer->row + writer->variable_at;
        for (uint32_t i = 0; i < len; i++) out[i] = (uint8_t)(value->i128 >> (8 * (len - 1 - i)));
    }
    tarn_store_u64(slot, slot_of_range(writer->variable_at, len));
    writer->variable_at += BINROW_DECIMAL_BYTES;
}

static void put_timestamp(row_writer *writer, uint8_t *slot, const tarn_value *value) {
    int64_t units = binrow_units_per_milli(value->type);
    int64_t millis = value->is_null ? 0 : binrow_floor_div(value->i64, units);
    int64_t nanos = value->is_null ? 0 : (value->i64 - millis * units) * (1000000 / units);
    tarn_store_u64(slot, slot_of_range(writer->variable_at, (uint32_t)nanos));
    tarn_store_u64(writer->row + writer->variable_at, (uint64_t)millis);
    writer->variable_at += BINROW_MILLIS_BYTES;
}

static void put_value(row_writer *writer, size_t field, const tarn_value *value) {
    uint8_t *slot = writer->row + writer->slots_at + field * BINROW_SLOT_BYTES_EACH;
    if (value->is_null) {
        size_t bit = field + BINROW_KIND_BITS;
        writer->row[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    switch (binrow_slot_form(value->type)) {
    case BINROW_SLOT_FIXED:
        if (!value->is_null) put_fixed(slot, value);
        return;
    case BINROW_SLOT_BYTES:
        if (!value->is_null) put_bytes(writer, slot, value->bytes);
        return;
    case BINROW_SLOT_DECIMAL: put_decimal(writer, slot, value); return;
    case BINROW_SLOT_TIMESTAMP: put_timestamp(writer, slot, value); return;
    }
}

// Appends `prefix_bytes` zeroes for the caller to fill, and the row.
static tarn_status append_row(const tarn_value *values, size_t count, size_t prefix_bytes,
                              tarn_buffer *out, tarn_error *err) {
    size_t row_bytes = 0;
    TARN_TRY(measure(values, count, &row_bytes, err));
    if (!tarn_buffer_reserve(out, prefix_bytes + row_bytes)) {
        return tarn_fail(err, TARN_NO_MEMORY, "binary row: no room for %zu bytes", row_bytes);
    }
    uint8_t *start = out->data + out->len;
    memset(start, 0, prefix_bytes + row_bytes);
    size_t slots_at = binrow_header_bytes(count);
    row_writer writer = {
        .row = start + prefix_bytes,
        .slots_at = slots_at,
        .variable_at = slots_at + count * BINROW_SLOT_BYTES_EACH,
    };
    for (size_t i = 0; i < count; i++) put_value(&writer, i, &values[i]);
    tarn_assert(writer.variable_at == row_bytes);
    out->len += prefix_bytes + row_bytes;
    return TARN_OK;
}

tarn_status tarn_binrow_encode(const tarn_value *values, size_t count, tarn_buffer *out,
                               tarn_error *err) {
    return append_row(values, count, 0, out, err);
}

tarn_status tarn_binrow_serialize(const tarn_value *values, size_t count, tarn_buffer *out,
                                  tarn_error *err) {
    size_t at = out->len;
    TARN_TRY(append_row(values, count, BINROW_ARITY_BYTES, out, err));
    tarn_store_u32_be(out->data + at, (uint32_t)count);
    return TARN_OK;
}
