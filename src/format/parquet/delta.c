#include "format/parquet/delta.h"

#include "base/varint.h"
#include "format/parquet/bits.h"

// Larger blocks have no use; the limit keeps the arithmetic below far from overflow.
#define BLOCK_VALUES_MAX ((uint64_t)1 << 28)

// ---- decoding ----

static tarn_status fail_cut(tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "delta stream ends before its last value");
}

static tarn_status read_header(parquet_delta *delta, tarn_error *err) {
    uint64_t first;
    if (!tarn_varint_decode(&delta->rest, &delta->block_values) ||
        !tarn_varint_decode(&delta->rest, &delta->mini_count) ||
        !tarn_varint_decode(&delta->rest, &delta->value_count) ||
        !tarn_varint_decode(&delta->rest, &first)) {
        return tarn_fail(err, TARN_CORRUPT, "delta stream ends inside its header");
    }
    bool is_sound = delta->block_values > 0 && delta->block_values <= BLOCK_VALUES_MAX &&
                    delta->mini_count > 0 && delta->block_values % delta->mini_count == 0 &&
                    delta->block_values / delta->mini_count % PARQUET_DELTA_BATCH == 0;
    if (!is_sound) {
        return tarn_fail(err, TARN_CORRUPT, "delta blocks of %llu values in %llu miniblocks",
                         (unsigned long long)delta->block_values,
                         (unsigned long long)delta->mini_count);
    }
    delta->mini_values = delta->block_values / delta->mini_count;
    delta->mini_index = delta->mini_count; // the first block is still to come
    delta->values_left = delta->value_count;
    delta->last = (uint64_t)tarn_zigzag_decode(first);
    return TARN_OK;
}

tarn_status parquet_delta_init(parquet_delta *delta, tarn_slice bytes, tarn_error *err) {
    *delta = (parquet_delta){.rest = bytes};
    TARN_TRY(read_header(delta, err));
    if (delta->value_count > 0) {
        delta->batch[0] = delta->last; // the first value is stored whole
        delta->batch_count = 1;
        delta->unpacked_left = delta->value_count - 1;
    }
    return TARN_OK;
}

static tarn_status read_block_header(parquet_delta *delta, tarn_error *err) {
    uint64_t min_delta;
    if (!tarn_varint_decode(&delta->rest, &min_delta)) return fail_cut(err);
    if (delta->rest.len < delta->mini_count) return fail_cut(err);
    delta->min_delta = (uint64_t)tarn_zigzag_decode(min_delta);
    delta->widths = delta->rest.data;
    delta->rest = tarn_slice_skip(delta->rest, (size_t)delta->mini_count);
    delta->mini_index = 0;
    return TARN_OK;
}

// Makes mini_left > 0.
static tarn_status next_miniblock(parquet_delta *delta, tarn_error *err) {
    if (delta->mini_index == delta->mini_count) TARN_TRY(read_block_header(delta, err));
    delta->mini_width = delta->widths[delta->mini_index++];
    if (delta->mini_width > 64) {
        return tarn_fail(err, TARN_CORRUPT, "delta miniblock of %u bits per value",
                         delta->mini_width);
    }
    delta->mini_left = delta->mini_values;
    return TARN_OK;
}

static void add_up(uint64_t *values, size_t count, uint64_t min_delta, uint64_t last) {
    for (size_t i = 0; i < count; i++) {
        last += values[i] + min_delta;
        values[i] = last;
    }
}

static void add_up_narrow(const uint32_t *deltas, size_t count, uint64_t min_delta, uint64_t last,
                          uint64_t *restrict values) {
    for (size_t i = 0; i < count; i++) {
        last += deltas[i] + min_delta;
        values[i] = last;
    }
}

// Unpacks the next 32 values, or what is left of the stream, to `out` (room for 32).
static tarn_status unpack_batch(parquet_delta *delta, uint64_t *out, size_t *ret_count,
                                tarn_error *err) {
    if (delta->mini_left == 0) TARN_TRY(next_miniblock(delta, err));
    size_t count = PARQUET_DELTA_BATCH;
    if (delta->unpacked_left < count) count = (size_t)delta->unpacked_left;
    // Some writers do not pad the last miniblock; only the values that count must be there.
    size_t len = parquet_bits_bytes(PARQUET_DELTA_BATCH, delta->mini_width);
    if (delta->rest.len < parquet_bits_bytes(count, delta->mini_width)) return fail_cut(err);
    if (len > delta->rest.len) len = delta->rest.len;
    if (delta->mini_width <= 32) { // the vectors of the whole rest may be read ahead
        uint32_t deltas[PARQUET_DELTA_BATCH];
        parquet_bits_unpack32(delta->rest, 0, delta->mini_width, count, deltas);
        add_up_narrow(deltas, count, delta->min_delta, delta->last, out);
    } else {
        parquet_bits_unpack64(delta->rest, 0, delta->mini_width, count, out);
        add_up(out, count, delta->min_delta, delta->last);
    }
    delta->rest = tarn_slice_skip(delta->rest, len);
    delta->last = out[count - 1];
    delta->mini_left -= PARQUET_DELTA_BATCH;
    delta->unpacked_left -= count;
    *ret_count = count;
    return TARN_OK;
}

tarn_status parquet_delta_decode(parquet_delta *delta, size_t count, uint64_t *out,
                                 tarn_error *err) {
    if (count > delta->values_left) return fail_cut(err);
    delta->values_left -= count;
    while (count > 0) {
        if (delta->batch_at < delta->batch_count) {
            size_t step = delta->batch_count - delta->batch_at;
            if (step > count) step = count;
            memcpy(out, delta->batch + delta->batch_at, step * sizeof *out);
            delta->batch_at += step;
            out += step;
            count -= step;
        } else if (count >= PARQUET_DELTA_BATCH) {
            size_t step;
            TARN_TRY(unpack_batch(delta, out, &step, err));
            out += step;
            count -= step;
        } else {
            TARN_TRY(unpack_batch(delta, delta->batch, &delta->batch_count, err));
            delta->batch_at = 0;
        }
    }
    return TARN_OK;
}

tarn_status parquet_delta_after(tarn_slice bytes, tarn_slice *ret_rest, tarn_error *err) {
    parquet_delta delta = {.rest = bytes};
    TARN_TRY(read_header(&delta, err));
    uint64_t left = delta.value_count > 0 ? delta.value_count - 1 : 0;
    while (left > 0) {
        TARN_TRY(next_miniblock(&delta, err));
        uint64_t count = left < delta.mini_values ? left : delta.mini_values;
        uint64_t needed = (count * delta.mini_width + 7) / 8;
        uint64_t len = delta.mini_values / 8 * delta.mini_width;
        if (needed > delta.rest.len) return fail_cut(err);
        if (len > delta.rest.len) len = delta.rest.len;
        delta.rest = tarn_slice_skip(delta.rest, (size_t)len);
        left -= count;
    }
    *ret_rest = delta.rest;
    return TARN_OK;
}

// ---- encoding ----

// What everybody writes.
enum {
    BLOCK_VALUES = PARQUET_DELTA_BLOCK,
    MINI_COUNT = 4,
    MINI_VALUES = BLOCK_VALUES / MINI_COUNT
};

// Differences wrap at 32 bits for INT32, so that no width exceeds 32.
static uint64_t difference(int64_t value, int64_t previous, bool is_32) {
    uint64_t delta = (uint64_t)value - (uint64_t)previous;
    return is_32 ? (uint64_t)(int64_t)(int32_t)(uint32_t)delta : delta;
}

// The differences of up to a block of values minus the least of them, padded with zeroes.
static uint64_t block_deltas(const int64_t *values, size_t count, bool is_32, int64_t previous,
                             uint64_t *deltas) {
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        deltas[i] = difference(values[i], i == 0 ? previous : values[i - 1], is_32);
        if ((int64_t)deltas[i] < least) least = (int64_t)deltas[i];
    }
    for (size_t i = 0; i < count; i++) {
        deltas[i] -= (uint64_t)least;
        if (is_32) deltas[i] = (uint32_t)deltas[i];
    }
    memset(deltas + count, 0, (BLOCK_VALUES - count) * sizeof *deltas);
    return (uint64_t)least;
}

static unsigned mini_width(const uint64_t *deltas) {
    uint64_t bits = 0;
    for (size_t i = 0; i < MINI_VALUES; i++) bits |= deltas[i];
    return parquet_bits_width(bits);
}

static bool put_varint(tarn_buffer *out, uint64_t value) {
    uint8_t bytes[TARN_VARINT_MAX_BYTES];
    size_t len = tarn_varint_encode(bytes, value);
    return tarn_buffer_append(out, (tarn_slice){bytes, len});
}

static bool put_block(const uint64_t *deltas, size_t count, uint64_t least, tarn_buffer *out) {
    if (!put_varint(out, tarn_zigzag_encode((int64_t)least))) return false;
    if (!tarn_buffer_reserve(out, MINI_COUNT + sizeof(uint64_t) * BLOCK_VALUES)) return false;
    uint8_t *widths = out->data + out->len;
    out->len += MINI_COUNT;
    for (size_t i = 0; i < MINI_COUNT; i++) {
        const uint64_t *mini = deltas + i * MINI_VALUES;
        unsigned width = i * MINI_VALUES < count ? mini_width(mini) : 0;
        widths[i] = (uint8_t)width;
        if (width == 0) continue;
        parquet_bits_pack64(mini, MINI_VALUES, width, out->data + out->len);
        out->len += parquet_bits_bytes(MINI_VALUES, width);
    }
    return true;
}

bool parquet_delta_encode(const int64_t *values, size_t count, bool is_32, tarn_buffer *out) {
    if (!put_varint(out, BLOCK_VALUES) || !put_varint(out, MINI_COUNT) || !put_varint(out, count) ||
        !put_varint(out, tarn_zigzag_encode(count == 0 ? 0 : values[0]))) {
        return false;
    }
    uint64_t deltas[BLOCK_VALUES];
    for (size_t i = 1; i < count; i += BLOCK_VALUES) {
        size_t step = count - i < BLOCK_VALUES ? count - i : BLOCK_VALUES;
        uint64_t least = block_deltas(values + i, step, is_32, values[i - 1], deltas);
        if (!put_block(deltas, step, least, out)) return false;
    }
    return true;
}

size_t parquet_delta_block_bytes(const int64_t values[PARQUET_DELTA_BLOCK + 1]) {
    enum { HEADER_BYTES = MINI_COUNT + 5 }; // widths and a typical least difference
    uint64_t deltas[BLOCK_VALUES];
    (void)block_deltas(values + 1, BLOCK_VALUES, false, values[0], deltas);
    size_t bytes = HEADER_BYTES;
    for (size_t i = 0; i < MINI_COUNT; i++) {
        bytes += parquet_bits_bytes(MINI_VALUES, mini_width(deltas + i * MINI_VALUES));
    }
    return bytes;
}
