// Keys are written column at a time: first the lengths of all rows, which give every row its place,
// then one loop per column over plain values, specialised by width and direction.
#include "column/block.h"
#include "column/key.h"

// ---- one value at `out`; `flip` is 0xFF.. for descending ----

static TARN_ALWAYS_INLINE uint8_t *put_u16(uint8_t *out, uint16_t key) {
    out[0] = (uint8_t)(key >> 8);
    out[1] = (uint8_t)key;
    return out + 2;
}

static TARN_ALWAYS_INLINE uint8_t *put_u32(uint8_t *out, uint32_t key) {
    tarn_store_u32_be(out, key);
    return out + 4;
}

static TARN_ALWAYS_INLINE uint8_t *put_u64(uint8_t *out, uint64_t key) {
    tarn_store_u64_be(out, key);
    return out + 8;
}

static TARN_ALWAYS_INLINE uint8_t *put_u128(uint8_t *out, tarn_uint128 key) {
    return put_u64(put_u64(out, (uint64_t)(key >> 64)), (uint64_t)key);
}

// The bytes up to the next zero are copied at once; most strings have none.
static uint8_t *put_string(uint8_t *out, const tarn_string *string, uint8_t flip) {
    tarn_slice rest = tarn_string_slice(string);
    while (rest.len > 0) {
        const uint8_t *zero = memchr(rest.data, 0, rest.len);
        size_t len = zero == NULL ? rest.len : (size_t)(zero - rest.data);
        for (size_t i = 0; i < len; i++) out[i] = rest.data[i] ^ flip;
        out += len;
        if (zero == NULL) break;
        *out++ = flip;
        *out++ = KEY_STRING_ZERO ^ flip;
        rest = tarn_slice_skip(rest, len + 1);
    }
    *out++ = flip;
    *out++ = KEY_STRING_END ^ flip;
    return out;
}

static size_t string_bytes(const tarn_string *string) {
    tarn_slice bytes = tarn_string_slice(string);
    size_t zeros = 0;
    for (size_t i = 0; i < bytes.len; i++) zeros += bytes.data[i] == 0;
    return bytes.len + zeros + 2;
}

// Without the byte for null; 0 for strings, whose length depends on the value.
static size_t fixed_bytes(tarn_type type) {
    return tarn_type_physical(type) == TARN_PHYSICAL_STRING ? 0 : tarn_type_width(type);
}

// ---- a block of rows: row i writes at data + ends[i] and moves ends[i] behind ----

typedef struct key_target {
    uint8_t *data;
    size_t *ends;
    tarn_key_order order;
} key_target;

static TARN_ALWAYS_INLINE uint8_t *begin_value(const key_target *target, size_t i) {
    uint8_t *out = target->data + target->ends[i];
    *out = KEY_VALUE;
    return out + 1;
}

static TARN_ALWAYS_INLINE void end_value(const key_target *target, size_t i, const uint8_t *out) {
    target->ends[i] = (size_t)(out - target->data);
}

static TARN_ALWAYS_INLINE uint8_t *put_value(uint8_t *out, tarn_physical physical,
                                             const void *values, size_t i, uint64_t flip) {
    switch (physical) {
    case TARN_PHYSICAL_BOOL:
        *out = (uint8_t)((((const uint8_t *)values)[i] != 0) ^ flip);
        return out + 1;
    case TARN_PHYSICAL_I16:
        return put_u16(out, (uint16_t)(((const uint16_t *)values)[i] ^ 0x8000u ^ flip));
    case TARN_PHYSICAL_I32:
        return put_u32(out, ((const uint32_t *)values)[i] ^ KEY_SIGN_32 ^ (uint32_t)flip);
    case TARN_PHYSICAL_I64: return put_u64(out, ((const uint64_t *)values)[i] ^ KEY_SIGN_64 ^ flip);
    case TARN_PHYSICAL_I128:
        return put_u128(out, ((const tarn_uint128 *)values)[i] ^ KEY_SIGN_128 ^
                                 ((tarn_uint128)flip << 64 | flip));
    case TARN_PHYSICAL_F32:
        return put_u32(out, key_from_float(((const float *)values)[i]) ^ (uint32_t)flip);
    case TARN_PHYSICAL_F64:
        return put_u64(out, key_from_double(((const double *)values)[i]) ^ flip);
    case TARN_PHYSICAL_STRING:
        return put_string(out, (const tarn_string *)values + i, (uint8_t)flip);
    case TARN_PHYSICAL_INTERVAL:
        return put_u128(out,
                        (tarn_uint128)column_interval_span(((const tarn_interval *)values)[i]) ^
                            KEY_SIGN_128 ^ ((tarn_uint128)flip << 64 | flip));
    }
    return out;
}

// With a constant `physical` the loop body is a few moves.
static TARN_ALWAYS_INLINE void put_values(const key_target *target, const column_block *block,
                                          tarn_physical physical) {
    uint64_t flip = target->order.descending ? UINT64_MAX : 0;
    for (size_t i = 0; i < block->count; i++) {
        if (column_block_is_null(block, i)) {
            target->data[target->ends[i]++] = key_null_byte(target->order);
            continue;
        }
        uint8_t *out = begin_value(target, i);
        end_value(target, i, put_value(out, physical, block->values, i, flip));
    }
}

static void put_block(const key_target *target, const column_block *block, tarn_type type) {
    switch (tarn_type_physical(type)) {
    case TARN_PHYSICAL_BOOL: put_values(target, block, TARN_PHYSICAL_BOOL); break;
    case TARN_PHYSICAL_I16: put_values(target, block, TARN_PHYSICAL_I16); break;
    case TARN_PHYSICAL_I32: put_values(target, block, TARN_PHYSICAL_I32); break;
    case TARN_PHYSICAL_I64: put_values(target, block, TARN_PHYSICAL_I64); break;
    case TARN_PHYSICAL_I128: put_values(target, block, TARN_PHYSICAL_I128); break;
    case TARN_PHYSICAL_F32: put_values(target, block, TARN_PHYSICAL_F32); break;
    case TARN_PHYSICAL_F64: put_values(target, block, TARN_PHYSICAL_F64); break;
    case TARN_PHYSICAL_STRING: put_values(target, block, TARN_PHYSICAL_STRING); break;
    case TARN_PHYSICAL_INTERVAL: put_values(target, block, TARN_PHYSICAL_INTERVAL); break;
    }
}

static void measure_block(const column_block *block, tarn_type type, size_t *lens) {
    size_t fixed = fixed_bytes(type);
    for (size_t i = 0; i < block->count; i++) {
        lens[i] += 1;
        if (column_block_is_null(block, i)) continue;
        lens[i] += fixed > 0 ? fixed : string_bytes((const tarn_string *)block->values + i);
    }
}

static void measure_rows(const tarn_chunk *keys, size_t count, size_t *lens) {
    column_block block;
    for (size_t i = 0; i < count; i++) lens[i] = 0;
    for (size_t c = 0; c < keys->column_count; c++) {
        const tarn_vector *column = &keys->columns[c];
        if (column->kind == TARN_VECTOR_FLAT && column->validity == NULL &&
            fixed_bytes(column->type) > 0) {
            size_t fixed = 1 + fixed_bytes(column->type);
            for (size_t i = 0; i < count; i++) lens[i] += fixed;
            continue;
        }
        for (size_t start = 0; start < count; start += COLUMN_BLOCK_ROWS) {
            column_block_load(&block, column, keys->selection, start, count);
            measure_block(&block, column->type, lens + start);
        }
    }
}

tarn_status tarn_key_encode_rows(const tarn_chunk *keys, const tarn_key_order *orders,
                                 tarn_buffer *out, size_t *ret_ends, tarn_error *err) {
    size_t count = tarn_chunk_count(keys);
    measure_rows(keys, count, ret_ends);
    size_t next = out->len; // lengths become the places where the rows start
    for (size_t i = 0; i < count; i++) {
        size_t len = ret_ends[i];
        ret_ends[i] = next;
        next += len;
    }
    if (!tarn_buffer_reserve(out, next - out->len)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for the keys of %zu rows", count);
    }
    column_block block;
    for (size_t c = 0; c < keys->column_count; c++) {
        key_target target = {.data = out->data};
        if (orders != NULL) target.order = orders[c];
        for (size_t start = 0; start < count; start += COLUMN_BLOCK_ROWS) {
            target.ends = ret_ends + start;
            column_block_load(&block, &keys->columns[c], keys->selection, start, count);
            put_block(&target, &block, keys->columns[c].type);
        }
    }
    tarn_assert(count == 0 || ret_ends[count - 1] == next);
    out->len = next;
    return TARN_OK;
}

// ---- single values ----

static tarn_status append_key(tarn_type type, const void *at, tarn_key_order order,
                              tarn_buffer *out, tarn_error *err) {
    tarn_physical physical = tarn_type_physical(type);
    size_t len = 1 + (at == NULL                         ? 0
                      : physical == TARN_PHYSICAL_STRING ? string_bytes(at)
                                                         : column_physical_width(physical));
    if (!tarn_buffer_reserve(out, len)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a key of %zu bytes", len);
    }
    uint8_t *start = out->data + out->len;
    *start = at == NULL ? key_null_byte(order) : KEY_VALUE;
    if (at != NULL) (void)put_value(start + 1, physical, at, 0, order.descending ? UINT64_MAX : 0);
    out->len += len;
    return TARN_OK;
}

tarn_status tarn_key_encode(const tarn_vector *columns, size_t column_count,
                            const tarn_key_order *orders, size_t row, tarn_buffer *out,
                            tarn_error *err) {
    size_t start = out->len;
    for (size_t i = 0; i < column_count; i++) {
        const tarn_vector *column = &columns[i];
        size_t width = tarn_type_width(column->type);
        const void *at =
            tarn_vector_is_null(column, row) ? NULL : tarn_vector_at(column, row, width);
        tarn_key_order order = {0};
        if (orders != NULL) order = orders[i];
        tarn_status status = append_key(column->type, at, order, out, err);
        if (status != TARN_OK) {
            out->len = start;
            return status;
        }
    }
    return TARN_OK;
}

tarn_status tarn_key_encode_value(tarn_value value, tarn_key_order order, tarn_buffer *out,
                                  tarn_error *err) {
    _Alignas(16) uint8_t stored[16];
    if (value.is_null) return append_key(value.type, NULL, order, out, err);
    column_value_store(value, stored);
    return append_key(value.type, stored, order, out, err);
}
