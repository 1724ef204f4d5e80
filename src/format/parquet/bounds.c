#include "format/parquet/bounds.h"

#include <math.h>

// ---- collecting ----

static void include(parquet_bounds *bounds, tarn_value least, tarn_value greatest) {
    if (!bounds->has_values || tarn_value_compare(least, bounds->min) < 0) bounds->min = least;
    if (!bounds->has_values || tarn_value_compare(greatest, bounds->max) > 0) {
        bounds->max = greatest;
    }
    bounds->has_values = true;
}

static tarn_value value_of(tarn_type type, const void *value) {
    tarn_int128 memory = 0; // aligned for any type
    memcpy(&memory, value, tarn_type_width(type));
    tarn_vector vector = {.type = type, .kind = TARN_VECTOR_FLAT, .data = &memory};
    return tarn_vector_get(&vector, 0);
}

#define DEFINE_RANGE(name, number)                                                               \
    static void name(parquet_bounds *bounds, tarn_type type, const void *values, size_t count) { \
        const number *restrict numbers = values;                                                 \
        number least = numbers[0];                                                               \
        number greatest = numbers[0];                                                            \
        for (size_t i = 1; i < count; i++) {                                                     \
            least = numbers[i] < least ? numbers[i] : least;                                     \
            greatest = numbers[i] > greatest ? numbers[i] : greatest;                            \
        }                                                                                        \
        include(bounds, value_of(type, &least), value_of(type, &greatest));                      \
    }
DEFINE_RANGE(add_u8, uint8_t)
DEFINE_RANGE(add_i16, int16_t)
DEFINE_RANGE(add_i32, int32_t)
DEFINE_RANGE(add_i64, int64_t)
DEFINE_RANGE(add_i128, tarn_int128)

// NaN compares false with everything, so it never becomes a bound once there is one.
#define DEFINE_FLOAT_RANGE(name, number)                                                         \
    static void name(parquet_bounds *bounds, tarn_type type, const void *values, size_t count) { \
        const number *restrict numbers = values;                                                 \
        number least = (number)INFINITY;                                                         \
        number greatest = -(number)INFINITY;                                                     \
        size_t nan_count = 0;                                                                    \
        for (size_t i = 0; i < count; i++) {                                                     \
            nan_count += numbers[i] != numbers[i];                                               \
            least = numbers[i] < least ? numbers[i] : least;                                     \
            greatest = numbers[i] > greatest ? numbers[i] : greatest;                            \
        }                                                                                        \
        bounds->nan_count += nan_count;                                                          \
        if (nan_count == count) return;                                                          \
        include(bounds, value_of(type, &least), value_of(type, &greatest));                      \
    }
DEFINE_FLOAT_RANGE(add_f32, float)
DEFINE_FLOAT_RANGE(add_f64, double)

static void add_strings(parquet_bounds *bounds, tarn_type type, const tarn_string *strings,
                        size_t count) {
    const tarn_string *least = &strings[0];
    const tarn_string *greatest = &strings[0];
    for (size_t i = 1; i < count; i++) {
        if (tarn_string_compare(&strings[i], least) < 0) least = &strings[i];
        if (tarn_string_compare(&strings[i], greatest) > 0) greatest = &strings[i];
    }
    // A view of a short string is a view of the array, which lives as long as what is added.
    tarn_value min = {.type = type, .bytes = tarn_string_slice(least)};
    tarn_value max = {.type = type, .bytes = tarn_string_slice(greatest)};
    include(bounds, min, max);
}

void parquet_bounds_add_string(parquet_bounds *bounds, tarn_type type, tarn_slice string) {
    bool is_first = !bounds->has_values;
    if (is_first || tarn_slice_compare(string, bounds->min.bytes) < 0) {
        bounds->min = (tarn_value){.type = type, .bytes = string};
    }
    if (is_first || tarn_slice_compare(string, bounds->max.bytes) > 0) {
        bounds->max = (tarn_value){.type = type, .bytes = string};
    }
    bounds->has_values = true;
}

void parquet_bounds_add_plain_strings(parquet_bounds *bounds, tarn_type type, const uint8_t *bytes,
                                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t len = tarn_load_u32(bytes);
        parquet_bounds_add_string(bounds, type, (tarn_slice){bytes + 4, len});
        bytes += 4 + (size_t)len;
    }
}

void parquet_bounds_add(parquet_bounds *bounds, tarn_type type, const void *values, size_t count) {
    if (count == 0) return;
    switch (tarn_type_physical(type)) {
    case TARN_PHYSICAL_BOOL: add_u8(bounds, type, values, count); break;
    case TARN_PHYSICAL_I16: add_i16(bounds, type, values, count); break;
    case TARN_PHYSICAL_I32: add_i32(bounds, type, values, count); break;
    case TARN_PHYSICAL_I64: add_i64(bounds, type, values, count); break;
    case TARN_PHYSICAL_I128: add_i128(bounds, type, values, count); break;
    case TARN_PHYSICAL_F32: add_f32(bounds, type, values, count); break;
    case TARN_PHYSICAL_F64: add_f64(bounds, type, values, count); break;
    case TARN_PHYSICAL_STRING: add_strings(bounds, type, values, count); break;
    case TARN_PHYSICAL_INTERVAL: tarn_assert(false); break; // not stored
    }
}

void parquet_bounds_add_all(parquet_bounds *bounds, const parquet_bounds *more) {
    bounds->nan_count += more->nan_count;
    if (more->has_values) include(bounds, more->min, more->max);
}

// ---- storing ----

// The most bytes, up to `limit`, that end with a whole character. Bytes that are not UTF-8 are cut
// anywhere.
static size_t cut_text(tarn_slice text, size_t limit) {
    size_t len = limit;
    while (len > limit - 4 && (text.data[len] & 0xC0) == 0x80) len--;
    return (text.data[len] & 0xC0) == 0x80 ? limit : len;
}

static void store_min_string(tarn_slice value, bool is_text, parquet_stored_bound *bound) {
    bound->is_exact = value.len <= sizeof bound->bytes;
    bound->len = value.len;
    if (!bound->is_exact) {
        bound->len = is_text ? cut_text(value, sizeof bound->bytes) : sizeof bound->bytes;
    }
    if (bound->len > 0) memcpy(bound->bytes, value.data, bound->len);
    bound->is_there = true;
}

// Makes the last character that has a successor of the same length that successor, and drops what
// follows. Returns false when there is none.
static bool raise_text(parquet_stored_bound *bound) {
    size_t end = bound->len;
    while (end > 0) {
        size_t start = end - 1;
        while (start > 0 && (bound->bytes[start] & 0xC0) == 0x80) start--;
        uint8_t *character = bound->bytes + start;
        for (size_t i = end - start; i > 0; i--) {
            uint8_t greatest = i > 1 ? 0xBF : end - start == 1 ? 0x7F : 0xFF;
            if (character[i - 1] >= greatest) {
                if (i > 1) character[i - 1] = 0x80; // carry into the byte before
                continue;
            }
            character[i - 1]++;
            if (!parquet_utf8_is_valid((tarn_slice){character, end - start})) break;
            bound->len = end;
            return true;
        }
        end = start;
    }
    return false;
}

static bool raise_bytes(parquet_stored_bound *bound) {
    while (bound->len > 0 && bound->bytes[bound->len - 1] == 0xFF) bound->len--;
    if (bound->len == 0) return false;
    bound->bytes[bound->len - 1]++;
    return true;
}

static void store_max_string(tarn_slice value, bool is_text, parquet_stored_bound *bound) {
    store_min_string(value, is_text, bound);
    if (bound->is_exact) return;
    bool is_utf8 = is_text && parquet_utf8_is_valid((tarn_slice){bound->bytes, bound->len});
    bound->is_there = is_utf8 ? raise_text(bound) : raise_bytes(bound);
}

// Vector form of a value, for parquet_store.
static void store_value(const parquet_storage *storage, tarn_value value,
                        parquet_stored_bound *bound) {
    tarn_int128 memory = 0;
    float single;
    switch (tarn_type_physical(value.type)) {
    case TARN_PHYSICAL_BOOL: memcpy(&memory, &value.boolean, 1); break;
    case TARN_PHYSICAL_F32:
        single = (float)value.f64;
        memcpy(&memory, &single, sizeof single);
        break;
    case TARN_PHYSICAL_F64: memcpy(&memory, &value.f64, sizeof value.f64); break;
    case TARN_PHYSICAL_I128: memory = value.i128; break;
    default: memory = value.i64; break; // the low bytes come first
    }
    parquet_store(storage, &memory, 1, bound->bytes);
    bound->len = storage->stored_width;
    bound->is_there = true;
    bound->is_exact = true;
}

void parquet_bounds_widen_zeroes(tarn_type type, tarn_value *min, tarn_value *max) {
    if (type.id != TARN_TYPE_REAL && type.id != TARN_TYPE_DOUBLE) return;
    if (!min->is_null && min->f64 == 0) min->f64 = -0.0;
    if (!max->is_null && max->f64 == 0) max->f64 = 0.0;
}

void parquet_bounds_store(const parquet_storage *storage, const parquet_bounds *bounds,
                          parquet_stored_bound *ret_min, parquet_stored_bound *ret_max) {
    *ret_min = (parquet_stored_bound){.len = 0};
    *ret_max = (parquet_stored_bound){.len = 0};
    if (!bounds->has_values || !storage->has_order) return;
    if (storage->storing == PARQUET_STORE_STRING) {
        bool is_text = storage->type.id == TARN_TYPE_TEXT;
        store_min_string(bounds->min.bytes, is_text, ret_min);
        store_max_string(bounds->max.bytes, is_text, ret_max);
        return;
    }
    tarn_value min = bounds->min;
    tarn_value max = bounds->max;
    parquet_bounds_widen_zeroes(storage->type, &min, &max);
    store_value(storage, min, ret_min);
    store_value(storage, max, ret_max);
}
