#include "format/binrow/layout.h"

// What a field's value is read from.
typedef struct field_reader {
    tarn_slice row;
    const uint8_t *slot;
    size_t variable_at; // where the variable part starts
    size_t field;
} field_reader;

static tarn_status fail_field(const field_reader *reader, tarn_error *err, const char *what,
                              uint64_t value) {
    return tarn_fail(err, TARN_CORRUPT, "binary row: field %zu: %s %llu", reader->field, what,
                     (unsigned long long)value);
}

// The bytes at `offset`, which must lie behind the slots.
static tarn_status take_range(const field_reader *reader, size_t offset, size_t len,
                              tarn_slice *ret_bytes, tarn_error *err) {
    if (offset < reader->variable_at || offset > reader->row.len) {
        return fail_field(reader, err, "its bytes are outside the row, at", offset);
    }
    if (len > reader->row.len - offset) {
        return fail_field(reader, err, "its bytes run past the row's end, length", len);
    }
    *ret_bytes = (tarn_slice){reader->row.data + offset, len};
    return TARN_OK;
}

static tarn_status get_bytes(const field_reader *reader, tarn_value *value, tarn_error *err) {
    uint8_t mark = reader->slot[7];
    if ((mark & BINROW_INLINE_MARK) == 0) {
        uint64_t slot = tarn_load_u64(reader->slot);
        return take_range(reader, slot >> 32, (uint32_t)slot, &value->bytes, err);
    }
    size_t len = mark & 0x7F;
    if (len > BINROW_INLINE_MAX) return fail_field(reader, err, "inline length is", len);
    value->bytes = (tarn_slice){reader->slot, len};
    return TARN_OK;
}

static bool fits_digits(tarn_int128 value, int digits) {
    tarn_int128 limit = 1;
    for (int i = 0; i < digits; i++) limit *= 10;
    return value < limit && value > -limit;
}

static tarn_status get_decimal(const field_reader *reader, tarn_value *value, tarn_error *err) {
    uint64_t slot = tarn_load_u64(reader->slot);
    size_t len = (uint32_t)slot;
    if (len == 0 || len > BINROW_DECIMAL_BYTES) {
        return fail_field(reader, err, "decimal length is", len);
    }
    tarn_slice bytes = {0};
    TARN_TRY(take_range(reader, slot >> 32, len, &bytes, err));
    tarn_uint128 unscaled = (int8_t)bytes.data[0] < 0 ? ~(tarn_uint128)0 : 0;
    for (size_t i = 0; i < len; i++) unscaled = unscaled << 8 | bytes.data[i];
    if (!fits_digits((tarn_int128)unscaled, value->type.precision)) {
        return fail_field(reader, err, "decimal has more digits than", value->type.precision);
    }
    value->i128 = (tarn_int128)unscaled;
    return TARN_OK;
}

static tarn_status set_millis(const field_reader *reader, int64_t millis, uint32_t nanos,
                              tarn_value *value, tarn_error *err) {
    int64_t units = binrow_units_per_milli(value->type);
    int64_t time;
    if (__builtin_mul_overflow(millis, units, &time) ||
        __builtin_add_overflow(time, nanos / (1000000 / units), &time)) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "binary row: field %zu: timestamp of %lld ms is out of range",
                         reader->field, (long long)millis);
    }
    value->i64 = time;
    return TARN_OK;
}

static tarn_status get_timestamp(const field_reader *reader, tarn_value *value, tarn_error *err) {
    uint64_t slot = tarn_load_u64(reader->slot);
    uint32_t nanos = (uint32_t)slot;
    if (nanos >= 1000000) return fail_field(reader, err, "nanoseconds of a millisecond are", nanos);
    tarn_slice bytes = {0};
    TARN_TRY(take_range(reader, slot >> 32, BINROW_MILLIS_BYTES, &bytes, err));
    return set_millis(reader, (int64_t)tarn_load_u64(bytes.data), nanos, value, err);
}

static tarn_status get_time(const field_reader *reader, tarn_value *value, tarn_error *err) {
    uint32_t millis = tarn_load_u32(reader->slot);
    if (millis > 24 * 60 * 60 * 1000) { // 24:00 is a time of SQL
        return fail_field(reader, err, "milliseconds of the day are", millis);
    }
    value->i64 = (int64_t)millis * 1000;
    return TARN_OK;
}

static tarn_status get_fixed(const field_reader *reader, tarn_value *value, tarn_error *err) {
    const uint8_t *slot = reader->slot;
    switch ((tarn_type_id)value->type.id) {
    case TARN_TYPE_BOOLEAN:
        if (slot[0] > 1) return fail_field(reader, err, "boolean is", slot[0]);
        value->boolean = slot[0] == 1;
        return TARN_OK;
    case TARN_TYPE_SMALLINT:
        value->i64 =
            tarn_binrow_is_tinyint(value->type) ? (int8_t)slot[0] : (int16_t)tarn_load_u16(slot);
        return TARN_OK;
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_DATE: value->i64 = (int32_t)tarn_load_u32(slot); return TARN_OK;
    case TARN_TYPE_TIME: return get_time(reader, value, err);
    case TARN_TYPE_REAL: {
        uint32_t bits = tarn_load_u32(slot);
        float real;
        memcpy(&real, &bits, sizeof real);
        value->f64 = (double)real;
        return TARN_OK;
    }
    case TARN_TYPE_DOUBLE: {
        uint64_t bits = tarn_load_u64(slot);
        memcpy(&value->f64, &bits, sizeof bits);
        return TARN_OK;
    }
    case TARN_TYPE_BIGINT: value->i64 = (int64_t)tarn_load_u64(slot); return TARN_OK;
    case TARN_TYPE_NUMERIC:
        value->i64 = (int64_t)tarn_load_u64(slot);
        if (fits_digits(value->i64, value->type.precision)) return TARN_OK;
        return fail_field(reader, err, "decimal has more digits than", value->type.precision);
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS:
        return set_millis(reader, (int64_t)tarn_load_u64(slot), 0, value, err);
    case TARN_TYPE_NULL:
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA:
    case TARN_TYPE_INTERVAL: break;
    }
    return tarn_fail(err, TARN_UNSUPPORTED, "binary row: field %zu: rows hold no values of type %d",
                     reader->field, value->type.id);
}

static tarn_status get_value(const field_reader *reader, tarn_value *value, tarn_error *err) {
    switch (binrow_slot_form(value->type)) {
    case BINROW_SLOT_FIXED: return get_fixed(reader, value, err);
    case BINROW_SLOT_BYTES: return get_bytes(reader, value, err);
    case BINROW_SLOT_DECIMAL: return get_decimal(reader, value, err);
    case BINROW_SLOT_TIMESTAMP: return get_timestamp(reader, value, err);
    }
    return TARN_OK;
}

tarn_status tarn_binrow_arity(tarn_slice bytes, size_t *ret_arity, tarn_error *err) {
    if (bytes.len < BINROW_ARITY_BYTES) {
        return tarn_fail(err, TARN_CORRUPT, "binary row: %zu bytes are too few for an arity",
                         bytes.len);
    }
    uint32_t arity = tarn_load_u32_be(bytes.data);
    if (arity > BINROW_ARITY_MAX) {
        return tarn_fail(err, TARN_CORRUPT, "binary row: arity %u is out of range", arity);
    }
    *ret_arity = arity;
    return TARN_OK;
}

tarn_status tarn_binrow_deserialize(tarn_slice bytes, const tarn_type *types, size_t count,
                                    tarn_value *ret_values, tarn_error *err) {
    size_t arity = 0;
    TARN_TRY(tarn_binrow_arity(bytes, &arity, err));
    if (arity != count) {
        return tarn_fail(err, TARN_CORRUPT, "binary row: it has %zu fields, expected %zu", arity,
                         count);
    }
    tarn_slice row = tarn_slice_skip(bytes, BINROW_ARITY_BYTES);
    size_t slots_at = binrow_header_bytes(count);
    size_t variable_at = slots_at + count * BINROW_SLOT_BYTES_EACH;
    if (row.len < variable_at) {
        return tarn_fail(err, TARN_CORRUPT, "binary row: %zu bytes are too few for %zu fields",
                         row.len, count);
    }
    if (row.data[0] > TARN_ROW_DELETE) {
        return tarn_fail(err, TARN_CORRUPT, "binary row: row kind is %u", row.data[0]);
    }
    // Two passes, so that the outputs stay untouched when a field is refused.
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            size_t bit = i + BINROW_KIND_BITS;
            tarn_value value = {.type = types[i], .is_null = row.data[bit / 8] >> bit % 8 & 1};
            field_reader reader = {row, row.data + slots_at + i * BINROW_SLOT_BYTES_EACH,
                                   variable_at, i};
            if (!value.is_null) TARN_TRY(get_value(&reader, &value, err));
            if (pass == 1) ret_values[i] = value;
        }
    }
    return TARN_OK;
}
