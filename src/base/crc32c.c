#include "base/crc32c.h"

#define POLYNOMIAL 0x82F63B78u // reflected

// ---- by tables: eight bytes per step ----

// tables[k][b]: what the byte b does to the checksum k bytes later. Filled once; every thread that
// is first writes the same values, hence relaxed atomics.
static uint32_t tables[8][256];

static uint32_t shift_bits(uint32_t crc, int bits) {
    for (int i = 0; i < bits; i++) crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    return crc;
}

static uint32_t look_up(int table, uint32_t byte) {
    return __atomic_load_n(&tables[table][byte & 255], __ATOMIC_RELAXED);
}

static void fill_tables(void) {
    static int is_filled; // release: pairs with the acquire below
    if (__atomic_load_n(&is_filled, __ATOMIC_ACQUIRE)) return;
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int table = 0; table < 8; table++) {
            crc = shift_bits(crc, 8);
            __atomic_store_n(&tables[table][byte], crc, __ATOMIC_RELAXED);
        }
    }
    __atomic_store_n(&is_filled, 1, __ATOMIC_RELEASE);
}

uint32_t tarn_crc32c_portable(uint32_t crc, tarn_slice bytes) {
    fill_tables();
    const uint8_t *at = bytes.data;
    size_t left = bytes.len;
    crc = ~crc;
    for (; left >= 8; left -= 8, at += 8) {
        uint32_t low = crc ^ tarn_load_u32(at);
        uint32_t high = tarn_load_u32(at + 4);
        crc = look_up(7, low) ^ look_up(6, low >> 8) ^ look_up(5, low >> 16) ^
              look_up(4, low >> 24) ^ look_up(3, high) ^ look_up(2, high >> 8) ^
              look_up(1, high >> 16) ^ look_up(0, high >> 24);
    }
    for (; left > 0; left--, at++) crc = crc >> 8 ^ look_up(0, crc ^ *at);
    return ~crc;
}

// ---- by the instruction ----

#if defined(__x86_64__)
#include <nmmintrin.h>

// Bytes of each of three streams: the instruction has a latency of three and one can start per
// cycle.
enum { STREAM_BYTES = 256 };

// What STREAM_BYTES zero bytes do to each byte of a checksum.
static uint32_t zeros_tables[4][256];

static void fill_zeros_tables(void) {
    static int is_filled; // release: pairs with the acquire below
    if (__atomic_load_n(&is_filled, __ATOMIC_ACQUIRE)) return;
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int k = 0; k < 4; k++) {
            uint32_t crc = shift_bits(byte << (8 * k), 8 * STREAM_BYTES);
            __atomic_store_n(&zeros_tables[k][byte], crc, __ATOMIC_RELAXED);
        }
    }
    __atomic_store_n(&is_filled, 1, __ATOMIC_RELEASE);
}

static uint32_t append_zeros(uint32_t crc) {
    uint32_t sum = 0;
    for (int k = 0; k < 4; k++) {
        sum ^= __atomic_load_n(&zeros_tables[k][crc >> (8 * k) & 255], __ATOMIC_RELAXED);
    }
    return sum;
}

static uint64_t load_word(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word); // little-endian, as the instruction wants it
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t start,
                                                                     tarn_slice bytes) {
    const uint8_t *at = bytes.data;
    size_t left = bytes.len;
    uint64_t crc = ~start;
    if (left >= (size_t)3 * STREAM_BYTES) fill_zeros_tables();
    for (; left >= (size_t)3 * STREAM_BYTES; left -= (size_t)3 * STREAM_BYTES) {
        uint64_t second = 0;
        uint64_t third = 0;
        for (size_t i = 0; i < STREAM_BYTES; i += 8) {
            crc = _mm_crc32_u64(crc, load_word(at + i));
            second = _mm_crc32_u64(second, load_word(at + i + STREAM_BYTES));
            third = _mm_crc32_u64(third, load_word(at + i + (size_t)2 * STREAM_BYTES));
        }
        crc = append_zeros((uint32_t)crc) ^ second;
        crc = append_zeros((uint32_t)crc) ^ third;
        at += (size_t)3 * STREAM_BYTES;
    }
    for (; left >= 8; left -= 8, at += 8) crc = _mm_crc32_u64(crc, load_word(at));
    uint32_t narrow = (uint32_t)crc;
    for (; left > 0; left--, at++) narrow = _mm_crc32_u8(narrow, *at);
    return ~narrow;
}

uint32_t tarn_crc32c(uint32_t crc, tarn_slice bytes) {
    if (!__builtin_cpu_supports("sse4.2")) return tarn_crc32c_portable(crc, bytes);
    return crc_by_instruction(crc, bytes);
}
#else
uint32_t tarn_crc32c(uint32_t crc, tarn_slice bytes) {
    return tarn_crc32c_portable(crc, bytes);
}
#endif
