#include "format/parquet/crc32.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// The table of one byte's steps, row by row, made at compile time from the polynomial.
#define POLYNOMIAL 0xEDB88320u
#define STEP1(c)   ((c) >> 1 ^ (POLYNOMIAL & (0u - ((c)&1))))
#define STEP2(c)   STEP1(STEP1(c))
#define STEP4(c)   STEP2(STEP2(c))
#define ROW1(n)    STEP4((uint32_t)(n))
#define ROW4(n)    ROW1(n), ROW1((n) + 1), ROW1((n) + 2), ROW1((n) + 3)

// Four bits at a time: sixteen entries are written by the compiler in no time, and short inputs
// do not evict anything.
static const uint32_t nibble_table[16] = {ROW4(0), ROW4(4), ROW4(8), ROW4(12)};

static uint32_t update_bytes(uint32_t state, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        state ^= data[i];
        state = state >> 4 ^ nibble_table[state & 15];
        state = state >> 4 ^ nibble_table[state & 15];
    }
    return state;
}

uint32_t parquet_crc32_portable(uint32_t crc, tarn_slice bytes) {
    return ~update_bytes(~crc, bytes.data, bytes.len);
}

#if defined(__x86_64__)

// Carry-less multiplication folds 64 bytes at a time into four accumulators (Gopal et al., "Fast
// CRC Computation for Generic Polynomials Using PCLMULQDQ", 2009). The constants are x^n mod P,
// bit-reflected, for the distances in bits by which an accumulator moves. The last 16 bytes are
// reduced by the table.
#define FOLD_512_LOW  0x0154442BD4
#define FOLD_512_HIGH 0x01C6E41596
#define FOLD_128_LOW  0x01751997D0
#define FOLD_128_HIGH 0x00CCAA009E

__attribute__((target("pclmul,sse4.1"))) static __m128i fold(__m128i value, __m128i factors,
                                                             __m128i next) {
    __m128i low = _mm_clmulepi64_si128(value, factors, 0x00);
    __m128i high = _mm_clmulepi64_si128(value, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

__attribute__((target("pclmul,sse4.1"))) static __m128i load16(const uint8_t *data) {
    return _mm_loadu_si128((const __m128i *)(const void *)data);
}

// At least 64 bytes, a multiple of 16.
__attribute__((target("pclmul,sse4.1"))) static uint32_t
update_folded(uint32_t state, const uint8_t *data, size_t len) {
    const __m128i by_512 = _mm_set_epi64x(FOLD_512_HIGH, FOLD_512_LOW);
    const __m128i by_128 = _mm_set_epi64x(FOLD_128_HIGH, FOLD_128_LOW);
    __m128i a = _mm_xor_si128(load16(data), _mm_cvtsi32_si128((int)state));
    __m128i b = load16(data + 16);
    __m128i c = load16(data + 32);
    __m128i d = load16(data + 48);
    size_t at = 64;
    for (; at + 64 <= len; at += 64) {
        a = fold(a, by_512, load16(data + at));
        b = fold(b, by_512, load16(data + at + 16));
        c = fold(c, by_512, load16(data + at + 32));
        d = fold(d, by_512, load16(data + at + 48));
    }
    a = fold(a, by_128, b);
    a = fold(a, by_128, c);
    a = fold(a, by_128, d);
    for (; at < len; at += 16) a = fold(a, by_128, load16(data + at));

    // What is left has the same remainder as the input, so it is an input of 16 bytes.
    uint8_t folded[16];
    _mm_storeu_si128((__m128i *)(void *)folded, a);
    return update_bytes(0, folded, sizeof folded);
}

uint32_t parquet_crc32(uint32_t crc, tarn_slice bytes) {
    uint32_t state = ~crc;
    if (bytes.len >= 64 && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        size_t len = bytes.len - bytes.len % 16;
        state = update_folded(state, bytes.data, len);
        bytes = tarn_slice_skip(bytes, len);
    }
    return ~update_bytes(state, bytes.data, bytes.len);
}

#else

uint32_t parquet_crc32(uint32_t crc, tarn_slice bytes) {
    return parquet_crc32_portable(crc, bytes);
}

#endif
