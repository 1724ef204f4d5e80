#include "format/parquet/hybrid.h"

#include "base/varint.h"
#include "format/parquet/bits.h"

// ---- decoding ----

void parquet_hybrid_init(parquet_hybrid *hybrid, tarn_slice bytes, unsigned width) {
    tarn_assert(width <= 32);
    *hybrid = (parquet_hybrid){.rest = bytes, .width = width};
}

// A packed run that is longer than the bytes there are is cut: some writers do not pad the last
// group. Missing values are found out when they are asked for.
static void start_packed_run(parquet_hybrid *hybrid, uint64_t group_count) {
    size_t len = hybrid->rest.len;
    if (hybrid->width == 0) {
        hybrid->run_left = group_count > UINT32_MAX ? UINT32_MAX : group_count * 8;
        len = 0;
    } else if (group_count <= len / hybrid->width) {
        hybrid->run_left = group_count * 8;
        len = (size_t)group_count * hybrid->width;
    } else {
        hybrid->run_left = len * 8 / hybrid->width;
    }
    hybrid->packed = tarn_slice_head(hybrid->rest, len);
    hybrid->packed_bit = 0;
    hybrid->rest = tarn_slice_skip(hybrid->rest, len);
}

static tarn_status start_repeated_run(parquet_hybrid *hybrid, uint64_t run_count, tarn_error *err) {
    size_t len = (hybrid->width + 7) / 8;
    if (hybrid->rest.len < len) return tarn_fail(err, TARN_CORRUPT, "a run has no value");
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) value |= (uint64_t)hybrid->rest.data[i] << 8 * i;
    if (value >> hybrid->width != 0) {
        return tarn_fail(err, TARN_CORRUPT, "a run's value %llu has more than %u bits",
                         (unsigned long long)value, hybrid->width);
    }
    hybrid->value = (uint32_t)value;
    hybrid->run_left = run_count;
    hybrid->rest = tarn_slice_skip(hybrid->rest, len);
    return TARN_OK;
}

static tarn_status start_run(parquet_hybrid *hybrid, tarn_error *err) {
    while (hybrid->run_left == 0) {
        uint64_t header;
        if (!tarn_varint_decode(&hybrid->rest, &header)) {
            return tarn_fail(err, TARN_CORRUPT, "runs end before the last value");
        }
        hybrid->is_packed = (header & 1) != 0;
        if (hybrid->is_packed) {
            start_packed_run(hybrid, header >> 1);
        } else {
            TARN_TRY(start_repeated_run(hybrid, header >> 1, err));
        }
    }
    return TARN_OK;
}

static size_t take_from_run(const parquet_hybrid *hybrid, size_t wanted) {
    return hybrid->run_left < wanted ? (size_t)hybrid->run_left : wanted;
}

static void leave_behind(parquet_hybrid *hybrid, size_t count) {
    hybrid->run_left -= count;
    if (hybrid->is_packed) hybrid->packed_bit += count * hybrid->width;
}

static void fill(uint32_t *restrict out, size_t count, uint32_t value) {
    for (size_t i = 0; i < count; i++) out[i] = value;
}

tarn_status parquet_hybrid_decode(parquet_hybrid *hybrid, size_t count, uint32_t *out,
                                  tarn_error *err) {
    for (size_t done = 0; done < count;) {
        TARN_TRY(start_run(hybrid, err));
        size_t step = take_from_run(hybrid, count - done);
        if (hybrid->is_packed) {
            parquet_bits_unpack32(hybrid->packed, hybrid->packed_bit, hybrid->width, step,
                                  out + done);
        } else {
            fill(out + done, step, hybrid->value);
        }
        leave_behind(hybrid, step);
        done += step;
    }
    return TARN_OK;
}

tarn_status parquet_hybrid_decode_bits(parquet_hybrid *hybrid, size_t count, uint64_t *words,
                                       size_t at, tarn_error *err) {
    tarn_assert(hybrid->width == 1);
    for (size_t done = 0; done < count;) {
        TARN_TRY(start_run(hybrid, err));
        size_t step = take_from_run(hybrid, count - done);
        if (hybrid->is_packed) {
            parquet_bits_copy(words, at + done, hybrid->packed, hybrid->packed_bit, step);
        } else {
            parquet_bits_fill(words, at + done, step, hybrid->value != 0);
        }
        leave_behind(hybrid, step);
        done += step;
    }
    return TARN_OK;
}

tarn_status parquet_hybrid_skip(parquet_hybrid *hybrid, size_t count, tarn_error *err) {
    for (size_t done = 0; done < count;) {
        TARN_TRY(start_run(hybrid, err));
        size_t step = take_from_run(hybrid, count - done);
        leave_behind(hybrid, step);
        done += step;
    }
    return TARN_OK;
}

// ---- encoding ----

static bool put_header(uint64_t header, tarn_buffer *out) {
    uint8_t bytes[TARN_VARINT_MAX_BYTES];
    size_t len = tarn_varint_encode(bytes, header);
    return tarn_buffer_append(out, (tarn_slice){bytes, len});
}

static bool put_packed(const uint32_t *values, size_t count, unsigned width, tarn_buffer *out) {
    if (count == 0) return true;
    size_t group_count = (count + 7) / 8;
    size_t len = group_count * width;
    if (!put_header((uint64_t)group_count << 1 | 1, out)) return false;
    if (!tarn_buffer_reserve(out, len)) return false;
    size_t packed_len = parquet_bits_bytes(count, width);
    parquet_bits_pack32(values, count, width, out->data + out->len);
    memset(out->data + out->len + packed_len, 0, len - packed_len);
    out->len += len;
    return true;
}

static bool put_repeated(uint32_t value, size_t count, unsigned width, tarn_buffer *out) {
    uint8_t bytes[4];
    tarn_store_u32(bytes, value);
    return put_header((uint64_t)count << 1, out) &&
           tarn_buffer_append(out, (tarn_slice){bytes, (width + 7) / 8});
}

static bool are_eight_equal(const uint32_t *values) {
    uint32_t differing = 0;
    for (size_t i = 1; i < 8; i++) differing |= values[i] ^ values[0];
    return differing == 0;
}

static size_t run_length(const uint32_t *values, size_t count) {
    size_t len = 1;
    while (len < count && values[len] == values[0]) len++;
    return len;
}

// Looks at whole groups only, as a packed run must end with one: a repetition of fifteen values or
// more always contains an equal group.
bool parquet_hybrid_encode(const uint32_t *values, size_t count, unsigned width, tarn_buffer *out) {
    tarn_assert(width > 0);
    tarn_assert(width <= 32);
    size_t packed_from = 0;
    size_t i = 0;
    while (i + 8 <= count) {
        if (!are_eight_equal(values + i)) {
            i += 8;
            continue;
        }
        size_t len = run_length(values + i, count - i);
        // A repeated run costs its header and value, and a header for the packed run behind it.
        if (len * width <= 8 * ((size_t)(width + 7) / 8 + 2)) {
            i += 8;
            continue;
        }
        if (!put_packed(values + packed_from, i - packed_from, width, out)) return false;
        if (!put_repeated(values[i], len, width, out)) return false;
        i += len;
        packed_from = i;
    }
    return put_packed(values + packed_from, count - packed_from, width, out);
}

// A byte of the bitmap is a group of eight already.
static bool put_packed_bytes(const uint64_t *words, size_t from, size_t to, tarn_buffer *out) {
    if (from == to) return true;
    if (!put_header((uint64_t)(to - from) << 1 | 1, out)) return false;
    if (!tarn_buffer_reserve(out, to - from)) return false;
    for (size_t i = from; i < to; i++) {
        out->data[out->len++] = (uint8_t)(words[i / 8] >> 8 * (i % 8));
    }
    return true;
}

static uint8_t byte_at(const uint64_t *words, size_t i) {
    return (uint8_t)(words[i / 8] >> 8 * (i % 8));
}

// Where the repetition of an all-zero or all-one byte that starts at `from` ends; from + 1 when
// there is none.
static size_t repetition_end(const uint64_t *words, size_t from, size_t byte_count) {
    uint8_t byte = byte_at(words, from);
    size_t end = from + 1;
    if (byte != 0 && byte != 0xFF) return end;
    while (end < byte_count && byte_at(words, end) == byte) end++;
    return end;
}

// The bits of the last, incomplete byte that go on repeating `bit`: all of them or none.
static size_t joining_tail(const uint64_t *words, size_t count, unsigned bit) {
    size_t tail = count % 8;
    if (tail == 0) return 0;
    unsigned mask = (1u << tail) - 1;
    unsigned bits = byte_at(words, count / 8) & mask;
    return bits == (bit != 0 ? mask : 0) ? tail : 0;
}

bool parquet_hybrid_encode_bits(const uint64_t *words, size_t count, tarn_buffer *out) {
    enum { LEAST_RUN_BYTES = 4 };
    const size_t byte_count = count / 8; // whole ones
    size_t packed_from = 0;
    for (size_t i = 0, end = 0; i < byte_count; i = end) {
        end = repetition_end(words, i, byte_count);
        if (end - i < LEAST_RUN_BYTES) continue;
        unsigned bit = byte_at(words, i) & 1;
        size_t tail = end == byte_count ? joining_tail(words, count, bit) : 0;
        if (!put_packed_bytes(words, packed_from, i, out)) return false;
        if (!put_repeated(bit, (end - i) * 8 + tail, 1, out)) return false;
        packed_from = end + (tail > 0 ? 1 : 0);
    }
    size_t padded_count = (count + 7) / 8;
    return packed_from >= padded_count || put_packed_bytes(words, packed_from, padded_count, out);
}
