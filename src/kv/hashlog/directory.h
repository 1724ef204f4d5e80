// directory.h - where the newest record of each key lies: 16 bytes per key, no keys. Private to
// hashlog/.
//
// The hash of a key chooses one of many small tables by its high bits; the low 32 bits, the
// fingerprint, stay in the slot. A table is an array in the order of the fingerprints with free
// slots spread in it: the place where a fingerprint belongs is in proportion to it, and entries are
// moved up from there. So a search ends at the first larger fingerprint, hit or miss; growing a
// table is one pass; and tables grow by an eighth, which keeps them 80 to 90 percent full.
//
// Different keys can have one fingerprint: who searches is given all places and compares keys.
//
// Threads: one writer at a time; readers at any time, inside a guard of the epoch, without locks:
//          they repeat what a writer has disturbed (a sequence lock per table).
#ifndef TARN_KV_HASHLOG_DIRECTORY_H
#define TARN_KV_HASHLOG_DIRECTORY_H

#include "kv/epoch.h"
#include "kv/kv.h"

// Of the format of directory files, too.
enum { HASHLOG_TABLES = TARN_TUNABLE(1024, 4) };

// A record in the log: its segment, its offset and size in units of 8 bytes. size8 is 0 for none.
typedef struct hashlog_place {
    uint32_t segment;
    uint32_t offset8;
    uint32_t size8;
} hashlog_place;

static inline bool hashlog_place_equal(hashlog_place a, hashlog_place b) {
    return a.segment == b.segment && a.offset8 == b.offset8;
}

// More keys with one fingerprint in one table than this are refused when they are added.
enum { HASHLOG_MATCHES_MAX = 16 };
typedef struct hashlog_matches {
    size_t count;
    hashlog_place places[HASHLOG_MATCHES_MAX];
} hashlog_matches;

typedef struct hashlog_directory hashlog_directory;

TARN_MUST_USE tarn_status hashlog_directory_new(const tarn_alloc *alloc, kv_epoch *epoch,
                                                hashlog_directory **ret_directory, tarn_error *err);
void hashlog_directory_free(hashlog_directory *directory); // accepts NULL

// Asks the processor to fetch what find will touch.
void hashlog_directory_prefetch(const hashlog_directory *directory, uint64_t hash);
void hashlog_directory_find(const hashlog_directory *directory, uint64_t hash,
                            hashlog_matches *ret_matches);

// ---- the writer ----

// Makes room, so that the adds that follow do not fail: one per call. Until
// hashlog_directory_unreserve, which forgets the calls.
TARN_MUST_USE tarn_status hashlog_directory_reserve(hashlog_directory *directory, uint64_t hash,
                                                    tarn_error *err);
void hashlog_directory_unreserve(hashlog_directory *directory, uint64_t hash);
TARN_MUST_USE tarn_status hashlog_directory_add(hashlog_directory *directory, uint64_t hash,
                                                hashlog_place place, tarn_error *err);
// `old` is there.
void hashlog_directory_move(hashlog_directory *directory, uint64_t hash, hashlog_place old,
                            hashlog_place place);
void hashlog_directory_remove(hashlog_directory *directory, uint64_t hash, hashlog_place old);
void hashlog_directory_clear(hashlog_directory *directory);

uint64_t hashlog_directory_count(const hashlog_directory *directory);
uint64_t hashlog_directory_bytes(const hashlog_directory *directory);

// ---- table by table ----

typedef struct hashlog_slot {
    uint32_t fingerprint;
    hashlog_place place;
} hashlog_slot;

size_t hashlog_table_count(const hashlog_directory *directory, size_t table);
// The entries in order. `slots` has room for hashlog_table_count.
void hashlog_table_read(const hashlog_directory *directory, size_t table, hashlog_slot *slots);
// Fills an empty table. The fingerprints do not fall.
TARN_MUST_USE tarn_status hashlog_table_fill(hashlog_directory *directory, size_t table,
                                             const hashlog_slot *slots, size_t count,
                                             tarn_error *err);
size_t hashlog_table_of(uint64_t hash);
// A hash that leads to this entry.
uint64_t hashlog_table_hash(size_t table, uint32_t fingerprint);

// Aborts when a table is not as it should be. For tests.
void hashlog_directory_check(const hashlog_directory *directory);

#endif
