// front.h - the inside of an open store, shared by the files of the front: kv.c, family.c, batch.c,
// read.c, ttl.c, identity.c.
#ifndef TARN_KV_FRONT_H
#define TARN_KV_FRONT_H

#include <stdatomic.h>

#include "kv/engine.h"

// The families at one moment, in the order of their ids; the default one first. Never changed: a
// new one takes its place, and the old ones are kept until the store is closed, because readers
// hold no lock. Families come and go seldom.
typedef struct kv_family_table {
    struct kv_family_table *older;
    size_t count;
    tarn_kv_family *families[];
} kv_family_table;

// Counters of one thread, or of a few. They are not exact when threads share one.
enum { KV_COUNTER_STRIPES = TARN_TUNABLE(32, 2) };
typedef struct kv_counters {
    _Atomic uint64_t gets;
    _Atomic uint64_t hits;
    _Atomic uint64_t writes;
    _Atomic uint64_t batches;
    _Atomic uint64_t written_bytes;
    uint64_t padding[3]; // a cache line each
} kv_counters;
static_assert(sizeof(kv_counters) == 64, "stripes of counters share no cache line");

struct tarn_kv {
    tarn_os *os;
    const tarn_alloc *alloc;
    tarn_slice directory;
    tarn_kv_options options; // defaults filled in
    const kv_engine_ops *ops;
    kv_engine *engine;
    tarn_kv_engine kind;
    tarn_file_lock *file_lock; // NULL when it is open for reading only
    size_t key_max;

    tarn_mutex *family_lock; // who changes families, or copies the store, holds it
    _Atomic(kv_family_table *) families;
    atomic_bool has_ttl;     // some family has
    uint32_t next_family_id; // guarded by family_lock
    tarn_arena arena;        // guarded by family_lock; families, names, tables

    kv_counters counters[KV_COUNTER_STRIPES];
};

kv_counters *kv_counters_of_thread(tarn_kv *kv);
static inline void kv_count(_Atomic uint64_t *counter, uint64_t more) {
    // Two operations instead of one: a counter is written by one thread, nearly always.
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + more, memory_order_relaxed);
}

// "engine mem cannot <operation>"
tarn_status kv_unsupported(const tarn_kv *kv, const char *operation, tarn_error *err);
tarn_status kv_refuse_read_only(const tarn_kv *kv, const char *operation, tarn_error *err);

// ---- families ----

tarn_kv_family *kv_family_by_id(const tarn_kv *kv, uint32_t id); // NULL: there is none
// NULL stands for the default one. TARN_INVALID for a family of another store, or a dropped one.
TARN_MUST_USE tarn_status kv_family_find(const tarn_kv *kv, const tarn_kv_family *family,
                                         tarn_kv_family **ret_family, tarn_error *err);
// For open: reads the identity file, or makes it for a new store, and the table of families.
TARN_MUST_USE tarn_status kv_families_load(tarn_kv *kv, tarn_slice text, tarn_error *err);
TARN_MUST_USE tarn_status kv_families_create(tarn_kv *kv, tarn_error *err);
// Writes the identity file of `directory`, with `families`, durably.
TARN_MUST_USE tarn_status kv_identity_write(const tarn_kv *kv, const kv_family_table *families,
                                            tarn_slice directory, tarn_error *err);
TARN_MUST_USE tarn_status kv_identity_read(tarn_os *os, tarn_slice directory, tarn_arena *arena,
                                           tarn_slice *ret_text, tarn_error *err);

// ---- the identity file ----

#define KV_IDENTITY_NAME      "KV"
#define KV_IDENTITY_BYTES_MAX ((size_t)16 << 20)

typedef struct kv_identity_family {
    uint32_t id;
    tarn_slice name;
    tarn_slice comparator_name; // empty: none
    tarn_slice merge_name;      // empty: none
    tarn_kv_family_options options;
} kv_identity_family;

typedef struct kv_identity {
    tarn_kv_engine engine;
    uint32_t next_family_id;
    kv_identity_family *families; // ascending ids, the default one first
    size_t family_count;
} kv_identity;

TARN_MUST_USE tarn_status kv_identity_encode(const kv_identity *identity, tarn_buffer *out,
                                             tarn_error *err);
// Any bytes: TARN_CORRUPT for damage, TARN_UNSUPPORTED for other versions.
TARN_MUST_USE tarn_status kv_identity_decode(tarn_slice text, tarn_arena *arena,
                                             kv_identity *ret_identity, tarn_error *err);

// ---- time to live ----

enum { KV_TTL_BYTES = 8 };

// Rewrites the batch with moments of expiry in front of the values of families that have a TTL.
// `stamped` is empty, and freed by the caller.
TARN_MUST_USE tarn_status kv_stamp_batch(const tarn_kv *kv, const tarn_kv_batch *batch,
                                         tarn_kv_batch *stamped, tarn_error *err);
// The value as it was put. Shorter values than a stamp are answered as TARN_CORRUPT.
TARN_MUST_USE tarn_status kv_unstamp(const tarn_kv_family *family, tarn_slice stored,
                                     tarn_slice *ret_value, tarn_error *err);

// ---- batches ----

TARN_MUST_USE tarn_status kv_batch_add(tarn_kv_batch *batch, const kv_change *change,
                                       tarn_error *err);
// The batch of one change in `room`, or with memory of its own when it does not fit: free it with
// kv_single_free.
typedef struct kv_single {
    tarn_kv_batch batch;
    bool owns_bytes;
    uint8_t room[1024];
} kv_single;
TARN_MUST_USE tarn_status kv_single_init(kv_single *single, const tarn_alloc *alloc,
                                         const kv_change *change, tarn_error *err);
void kv_single_free(kv_single *single);

// Joins a directory and a name.
TARN_MUST_USE bool kv_path(tarn_arena *arena, tarn_slice directory, tarn_slice name,
                           tarn_slice *ret_path);

#endif
