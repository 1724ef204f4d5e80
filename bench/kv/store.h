// store.h - what the benchmark asks of a key-value store. One file per store says it in that
// store's own words, at equal durability and without compression.
//
// Threads:  a store is opened once; each thread has a session of its own.
// Failures: end the process with a message (bench_die): a figure from a failed run is worth
// nothing.
#ifndef TARN_BENCH_KV_STORE_H
#define TARN_BENCH_KV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_bytes {
    const char *data;
    size_t len;
} bench_bytes;

typedef struct bench_pair {
    bench_bytes key;
    bench_bytes value;
} bench_pair;

typedef struct bench_config {
    const char *directory; // exists
    size_t cache_bytes;    // for blocks, pages and the like
    bool sync;             // each write survives a power loss; else the end of the process
} bench_config;

typedef struct bench_store {
    const char *name;
    bool is_ordered;
    void *(*open)(const bench_config *config);
    void (*close)(void *store);
    void *(*begin)(void *store); // a session
    void (*end)(void *session);
    void (*put)(void *session, const bench_pair *pairs, size_t count); // atomically
    void (*erase)(void *session, bench_bytes key);
    // Adds something of the value to *checksum; false when the key is not there.
    bool (*get)(void *session, bench_bytes key, uint64_t *checksum);
    // How many were there. NULL: one get after the other.
    size_t (*multi_get)(void *session, const bench_bytes *keys, size_t count, uint64_t *checksum);
    // Visits up to `limit` entries from the first key >= `from` on, or (reverse) from the last
    // entry back; an empty `from` is the beginning. Returns how many.
    size_t (*scan)(void *session, bench_bytes from, bool reverse, size_t limit, uint64_t *checksum);
    void (*settle)(void *store); // finishes background work: flush, compact
} bench_store;

extern const bench_store bench_tarn_lsm;
extern const bench_store bench_tarn_hashlog;
extern const bench_store bench_tarn_btree;
extern const bench_store bench_tarn_mem;
extern const bench_store bench_rocksdb;
extern const bench_store bench_leveldb;
extern const bench_store bench_lmdb;
extern const bench_store bench_wiredtiger;
extern const bench_store bench_sqlite;

_Noreturn static inline void bench_die(const char *store, const char *what) {
    (void)fprintf(stderr, "kv_bench: %s: %s\n", store, what);
    exit(1);
}

// Touches the value as a reader would, without letting the reading dominate.
static inline uint64_t bench_touch(const void *data, size_t len) {
    uint64_t head = 0;
    if (len > 0) memcpy(&head, data, len < sizeof head ? len : sizeof head);
    return head + len;
}

static inline void *bench_new(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) bench_die("kv_bench", "out of memory");
    return memory;
}

#endif
