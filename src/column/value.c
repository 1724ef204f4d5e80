#include "column/value.h"

tarn_value tarn_value_null(tarn_type type) {
    return (tarn_value){.type = type, .is_null = true};
}

bool tarn_string_equal(const tarn_string *a, const tarn_string *b) {
    if (a->len != b->len) return false;
    // Bytes 4 to 7 are the prefix or the first inlined bytes (unused ones are zero), so most
    // unequal strings part here.
    if (memcmp(a->prefix, b->prefix, sizeof a->prefix) != 0) return false;
    if (a->len <= TARN_STRING_INLINE_BYTES) {
        return memcmp(a->inlined, b->inlined, sizeof a->inlined) == 0;
    }
    return memcmp(a->data, b->data, a->len) == 0;
}

int tarn_string_compare(const tarn_string *a, const tarn_string *b) {
    return tarn_slice_compare(tarn_string_slice(a), tarn_string_slice(b));
}

static int compare_i64(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_i128(tarn_int128 a, tarn_int128 b) {
    return (a > b) - (a < b);
}

int tarn_value_compare(tarn_value a, tarn_value b) {
    tarn_assert(a.type.id == b.type.id);
    if (a.is_null || b.is_null) return (int)b.is_null - (int)a.is_null;
    switch (tarn_type_physical(a.type)) {
    case TARN_PHYSICAL_BOOL: return (int)a.boolean - (int)b.boolean;
    case TARN_PHYSICAL_I16:
    case TARN_PHYSICAL_I32:
    case TARN_PHYSICAL_I64: return compare_i64(a.i64, b.i64);
    case TARN_PHYSICAL_I128: return compare_i128(a.i128, b.i128);
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64: return column_double_compare(a.f64, b.f64);
    case TARN_PHYSICAL_STRING: return tarn_slice_compare(a.bytes, b.bytes);
    case TARN_PHYSICAL_INTERVAL:
        return compare_i128(column_interval_span(a.interval), column_interval_span(b.interval));
    }
    return 0;
}

tarn_status tarn_value_copy(tarn_value value, tarn_arena *arena, tarn_value *ret_value,
                            tarn_error *err) {
    if (!value.is_null && tarn_type_is_string(value.type)) {
        if (!tarn_arena_copy(arena, value.bytes, &value.bytes)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a value of %zu bytes",
                             value.bytes.len);
        }
    }
    *ret_value = value;
    return TARN_OK;
}

tarn_value column_value_load(tarn_type type, const void *at) {
    tarn_value value = {.type = type};
    switch (tarn_type_physical(type)) {
    case TARN_PHYSICAL_BOOL: value.boolean = *(const uint8_t *)at != 0; break;
    case TARN_PHYSICAL_I16: value.i64 = *(const int16_t *)at; break;
    case TARN_PHYSICAL_I32: value.i64 = *(const int32_t *)at; break;
    case TARN_PHYSICAL_I64: value.i64 = *(const int64_t *)at; break;
    case TARN_PHYSICAL_I128: value.i128 = *(const tarn_int128 *)at; break;
    case TARN_PHYSICAL_F32: value.f64 = (double)*(const float *)at; break;
    case TARN_PHYSICAL_F64: value.f64 = *(const double *)at; break;
    case TARN_PHYSICAL_STRING: value.bytes = tarn_string_slice(at); break;
    case TARN_PHYSICAL_INTERVAL: value.interval = *(const tarn_interval *)at; break;
    }
    return value;
}

void column_value_store(tarn_value value, void *at) {
    tarn_assert(!value.is_null);
    switch (tarn_type_physical(value.type)) {
    case TARN_PHYSICAL_BOOL: *(uint8_t *)at = value.boolean; break;
    case TARN_PHYSICAL_I16: *(int16_t *)at = (int16_t)value.i64; break;
    case TARN_PHYSICAL_I32: *(int32_t *)at = (int32_t)value.i64; break;
    case TARN_PHYSICAL_I64: *(int64_t *)at = value.i64; break;
    case TARN_PHYSICAL_I128: *(tarn_int128 *)at = value.i128; break;
    case TARN_PHYSICAL_F32: *(float *)at = (float)value.f64; break;
    case TARN_PHYSICAL_F64: *(double *)at = value.f64; break;
    case TARN_PHYSICAL_STRING:
        tarn_assert(value.bytes.len <= UINT32_MAX);
        *(tarn_string *)at = tarn_string_view(value.bytes);
        break;
    case TARN_PHYSICAL_INTERVAL: *(tarn_interval *)at = value.interval; break;
    }
}
