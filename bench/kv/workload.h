// workload.h - keys, values, latencies and the loops of the benchmark.
#ifndef TARN_BENCH_KV_WORKLOAD_H
#define TARN_BENCH_KV_WORKLOAD_H

#include "bench/kv/store.h"

#define KEY_BYTES 16

typedef struct bench_setup {
    const bench_store *store;
    const char *directory; // of the whole run; each store gets a fresh one below
    uint64_t key_count;
    uint64_t read_count; // operations of a workload that reads
    size_t value_bytes;
    size_t cache_bytes;
    uint64_t seed;
} bench_setup;

// ---- random numbers: splitmix64 ----

typedef struct bench_random {
    uint64_t state;
} bench_random;

static inline uint64_t bench_mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline uint64_t bench_next(bench_random *random) {
    return bench_mix(random->state += 0x9E3779B97F4A7C15u);
}

// Below `limit`, which has at most 32 bits.
static inline uint64_t bench_below(bench_random *random, uint64_t limit) {
    return (bench_next(random) >> 32) * limit >> 32;
}

// ---- latencies: 16 buckets for each doubling of nanoseconds ----

#define BUCKET_COUNT (64 * 16)

typedef struct bench_histogram {
    uint64_t counts[BUCKET_COUNT];
    uint64_t total;
} bench_histogram;

void bench_record(bench_histogram *histogram, uint64_t ns);
void bench_add(bench_histogram *into, const bench_histogram *from);
double bench_quantile_us(const bench_histogram *histogram, double quantile);

int64_t bench_now_ns(void);

// ---- workloads ----

// Runs the workload named `name` and prints its line. False when there is none of that name, or the
// store cannot do it.
bool bench_run(const bench_setup *setup, const char *name);
void bench_list(FILE *out);

#endif
