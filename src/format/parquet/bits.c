#include "format/parquet/bits.h"

#include "base/bitmap.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// ---- unpacking ----

// The eight bytes from `byte` on; those beyond the end count as zero.
static uint64_t load_tail(tarn_slice in, size_t byte) {
    uint64_t word = 0;
    size_t left = byte < in.len ? in.len - byte : 0;
    for (size_t i = 0; i < left && i < 8; i++) word |= (uint64_t)in.data[byte + i] << 8 * i;
    return word;
}

void parquet_bits_unpack32_portable(tarn_slice in, size_t bit_offset, unsigned width, size_t count,
                                    uint32_t *out) {
    if (width == 0) {
        memset(out, 0, count * sizeof *out);
        return;
    }
    const uint64_t mask = ((uint64_t)1 << width) - 1;
    size_t bit = bit_offset;
    size_t i = 0;
    for (; i < count && bit / 8 + 8 <= in.len; i++, bit += width) {
        out[i] = (uint32_t)(tarn_load_u64(in.data + bit / 8) >> bit % 8 & mask);
    }
    for (; i < count; i++, bit += width) {
        out[i] = (uint32_t)(load_tail(in, bit / 8) >> bit % 8 & mask);
    }
}

void parquet_bits_unpack64(tarn_slice in, size_t bit_offset, unsigned width, size_t count,
                           uint64_t *out) {
    if (width == 0) {
        memset(out, 0, count * sizeof *out);
        return;
    }
    const uint64_t mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    size_t bit = bit_offset;
    size_t i = 0;
    if (width <= 57) { // with up to seven bits before it, a value lies within eight bytes
        for (; i < count && bit / 8 + 8 <= in.len; i++, bit += width) {
            out[i] = tarn_load_u64(in.data + bit / 8) >> bit % 8 & mask;
        }
    }
    for (; i < count; i++, bit += width) {
        uint64_t low = load_tail(in, bit / 8) >> bit % 8;
        uint64_t high = bit % 8 == 0 ? 0 : load_tail(in, bit / 8 + 8) << (64 - bit % 8);
        out[i] = (low | high) & mask;
    }
}

#if defined(__x86_64__)

// With up to seven bits before it, a value of 25 bits lies within four bytes.
#define AVX2_WIDTH_MAX 25

// How eight values get from their bytes to eight lanes. The lower four come from the first sixteen
// bytes, the upper four from the sixteen that start at `high_byte`.
typedef struct unpack_plan {
    uint8_t shuffle[32]; // the four bytes of each lane
    uint32_t shifts[8];  // the bits of them below the value
    size_t high_byte;
} unpack_plan;

// Nearly all calls start at a byte; their plans are made by the compiler.
#define LANE_BIT(width, lane)  ((lane) * (width))
#define LANE_BYTE(width, lane) (LANE_BIT(width, lane) / 8 - ((lane) < 4 ? 0 : (width) / 2))
#define LANE(width, lane)                                                           \
    LANE_BYTE(width, lane), LANE_BYTE(width, lane) + 1, LANE_BYTE(width, lane) + 2, \
        LANE_BYTE(width, lane) + 3
#define PLAN(w)                                           \
    {                                                     \
        {LANE(w, 0), LANE(w, 1), LANE(w, 2), LANE(w, 3),  \
         LANE(w, 4), LANE(w, 5), LANE(w, 6), LANE(w, 7)}, \
            {0,                                           \
             LANE_BIT(w, 1) % 8,                          \
             LANE_BIT(w, 2) % 8,                          \
             LANE_BIT(w, 3) % 8,                          \
             LANE_BIT(w, 4) % 8,                          \
             LANE_BIT(w, 5) % 8,                          \
             LANE_BIT(w, 6) % 8,                          \
             LANE_BIT(w, 7) % 8},                         \
            (w) / 2                                       \
    }
static const unpack_plan byte_plans[AVX2_WIDTH_MAX + 1] = {
    PLAN(0),  PLAN(1),  PLAN(2),  PLAN(3),  PLAN(4),  PLAN(5),  PLAN(6),  PLAN(7),  PLAN(8),
    PLAN(9),  PLAN(10), PLAN(11), PLAN(12), PLAN(13), PLAN(14), PLAN(15), PLAN(16), PLAN(17),
    PLAN(18), PLAN(19), PLAN(20), PLAN(21), PLAN(22), PLAN(23), PLAN(24), PLAN(25)};

static unpack_plan make_plan(size_t first_bit, unsigned width) {
    unpack_plan plan;
    plan.high_byte = (first_bit + 4 * (size_t)width) / 8;
    for (size_t i = 0; i < 8; i++) {
        size_t bit = first_bit + i * width;
        size_t byte = bit / 8 - (i < 4 ? 0 : plan.high_byte);
        for (size_t j = 0; j < 4; j++) plan.shuffle[4 * i + j] = (uint8_t)(byte + j);
        plan.shifts[i] = (uint32_t)(bit % 8);
    }
    return plan;
}

__attribute__((target("avx2"))) static __m256i load32(const void *bytes) {
    return _mm256_loadu_si256(bytes);
}

// Eight values take exactly `width` bytes, so one plan serves every step. Returns how many values
// were unpacked: the last ones are left when sixteen bytes would reach beyond the input.
__attribute__((target("avx2"))) static size_t unpack32_avx2(const unpack_plan *plan, tarn_slice in,
                                                            size_t byte, unsigned width,
                                                            size_t count, uint32_t *out) {
    const __m256i shuffle = load32(plan->shuffle);
    const __m256i shifts = load32(plan->shifts);
    const __m256i mask = _mm256_set1_epi32((int)((1u << width) - 1));
    size_t i = 0;
    for (; i + 8 <= count && byte + plan->high_byte + 16 <= in.len; i += 8, byte += width) {
        const void *from = in.data + byte;
        const void *high_from = in.data + byte + plan->high_byte;
        __m256i bytes = _mm256_castsi128_si256(_mm_loadu_si128(from));
        bytes = _mm256_inserti128_si256(bytes, _mm_loadu_si128(high_from), 1);
        __m256i lanes = _mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, shuffle), shifts);
        void *to = out + i;
        _mm256_storeu_si256(to, _mm256_and_si256(lanes, mask));
    }
    return i;
}

void parquet_bits_unpack32(tarn_slice in, size_t bit_offset, unsigned width, size_t count,
                           uint32_t *out) {
    size_t done = 0;
    if (width > 0 && width <= AVX2_WIDTH_MAX && count >= 16 && __builtin_cpu_supports("avx2")) {
        size_t first_bit = bit_offset % 8;
        if (first_bit == 0) {
            done = unpack32_avx2(&byte_plans[width], in, bit_offset / 8, width, count, out);
        } else {
            unpack_plan plan = make_plan(first_bit, width);
            done = unpack32_avx2(&plan, in, bit_offset / 8, width, count, out);
        }
    }
    if (done < count) {
        parquet_bits_unpack32_portable(in, bit_offset + done * width, width, count - done,
                                       out + done);
    }
}

__attribute__((target("avx2"))) static uint32_t greatest_avx2(const uint32_t *values,
                                                              size_t count) {
    __m256i lanes = _mm256_setzero_si256();
    for (size_t i = 0; i < count; i += 8) lanes = _mm256_max_epu32(lanes, load32(values + i));
    uint32_t greatest[8];
    void *to = greatest;
    _mm256_storeu_si256(to, lanes);
    for (size_t i = 1; i < 8; i++) {
        if (greatest[i] > greatest[0]) greatest[0] = greatest[i];
    }
    return greatest[0];
}

uint32_t parquet_bits_greatest(const uint32_t *values, size_t count) {
    size_t done = 0;
    uint32_t greatest = 0;
    if (count >= 16 && __builtin_cpu_supports("avx2")) {
        done = count - count % 8;
        greatest = greatest_avx2(values, done);
    }
    for (; done < count; done++) greatest = values[done] > greatest ? values[done] : greatest;
    return greatest;
}

#else

void parquet_bits_unpack32(tarn_slice in, size_t bit_offset, unsigned width, size_t count,
                           uint32_t *out) {
    parquet_bits_unpack32_portable(in, bit_offset, width, count, out);
}

uint32_t parquet_bits_greatest(const uint32_t *values, size_t count) {
    uint32_t greatest = 0;
    for (size_t i = 0; i < count; i++) greatest = values[i] > greatest ? values[i] : greatest;
    return greatest;
}

#endif

// ---- packing ----

// Eight values of a width up to 32 fill whole bytes; a 64-bit accumulator never holds more than
// 31 bits before the next value comes in.
void parquet_bits_pack32(const uint32_t *values, size_t count, unsigned width, uint8_t *out) {
    uint64_t pending = 0;
    unsigned pending_bits = 0;
    for (size_t i = 0; i < count; i++) {
        pending |= (uint64_t)values[i] << pending_bits;
        pending_bits += width;
        if (pending_bits >= 32) {
            tarn_store_u32(out, (uint32_t)pending);
            out += 4;
            pending >>= 32;
            pending_bits -= 32;
        }
    }
    for (; pending_bits > 0; pending_bits = pending_bits > 8 ? pending_bits - 8 : 0) {
        *out++ = (uint8_t)pending;
        pending >>= 8;
    }
}

void parquet_bits_pack64(const uint64_t *values, size_t count, unsigned width, uint8_t *out) {
    uint64_t pending = 0;
    unsigned pending_bits = 0; // below 64
    for (size_t i = 0; i < count; i++) {
        pending |= values[i] << pending_bits;
        if (pending_bits + width >= 64) {
            tarn_store_u64(out, pending);
            out += 8;
            unsigned taken_bits = 64 - pending_bits;
            pending = taken_bits == 64 ? 0 : values[i] >> taken_bits;
            pending_bits = pending_bits + width - 64;
        } else {
            pending_bits += width;
        }
    }
    for (; pending_bits > 0; pending_bits = pending_bits > 8 ? pending_bits - 8 : 0) {
        *out++ = (uint8_t)pending;
        pending >>= 8;
    }
}

// ---- bitmaps ----

// Stores the low `count` (1..64) bits of `bits` at bit `at`, zeroing what follows in the word.
static void put_bits(uint64_t *words, size_t at, uint64_t bits, size_t count) {
    size_t shift = at % 64;
    if (count < 64) bits &= ((uint64_t)1 << count) - 1;
    uint64_t kept = shift == 0 ? 0 : words[at / 64] & (((uint64_t)1 << shift) - 1);
    words[at / 64] = kept | bits << shift;
    if (shift > 0 && shift + count > 64) words[at / 64 + 1] = bits >> (64 - shift);
}

void parquet_bits_copy(uint64_t *words, size_t at, tarn_slice in, size_t bit_offset, size_t count) {
    for (size_t done = 0; done < count;) {
        size_t step = count - done < 56 ? count - done : 56; // what eight bytes surely hold
        size_t bit = bit_offset + done;
        uint64_t word =
            bit / 8 + 8 <= in.len ? tarn_load_u64(in.data + bit / 8) : load_tail(in, bit / 8);
        put_bits(words, at + done, word >> bit % 8, step);
        done += step;
    }
}

void parquet_bits_fill(uint64_t *words, size_t at, size_t count, bool value) {
    for (size_t done = 0; done < count;) {
        size_t step = 64 - (at + done) % 64;
        if (step > count - done) step = count - done;
        put_bits(words, at + done, value ? UINT64_MAX : 0, step);
        done += step;
    }
}

size_t parquet_bits_count(const uint64_t *words, size_t at, size_t count) {
    size_t set = 0;
    for (size_t done = 0; done < count;) {
        size_t bit = at + done;
        size_t step = 64 - bit % 64;
        if (step > count - done) step = count - done;
        uint64_t word = words[bit / 64] >> bit % 64;
        if (step < 64) word &= ((uint64_t)1 << step) - 1;
        set += (size_t)__builtin_popcountll(word);
        done += step;
    }
    return set;
}
