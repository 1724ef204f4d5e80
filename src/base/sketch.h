// sketch.h - about how many different values were seen, in 1 KiB (HyperLogLog, Flajolet et al.
// 2007).
//
//     tarn_sketch_add(&sketch, hash);           // of each value; all bits of the hash count
//     double about = tarn_sketch_count(&sketch);
//
// Zero is the empty sketch. The standard error is 3.3 %: 1.04 divided by the root of the registers.
#ifndef TARN_BASE_SKETCH_H
#define TARN_BASE_SKETCH_H

#include <stdint.h>

#define TARN_SKETCH_BITS      10
#define TARN_SKETCH_REGISTERS (1 << TARN_SKETCH_BITS)

// A register keeps the longest run of zeros, plus one, among the hashes that fall to it.
typedef struct tarn_sketch {
    uint8_t registers[TARN_SKETCH_REGISTERS];
} tarn_sketch;

static inline void tarn_sketch_add(tarn_sketch *sketch, uint64_t hash) {
    uint8_t *longest = &sketch->registers[hash & (TARN_SKETCH_REGISTERS - 1)];
    uint64_t rest = hash >> TARN_SKETCH_BITS | (uint64_t)1 << (64 - TARN_SKETCH_BITS);
    uint8_t run = (uint8_t)(__builtin_ctzll(rest) + 1);
    if (run > *longest) *longest = run;
}

double tarn_sketch_count(const tarn_sketch *sketch);

#endif
