// cache.h - decompressed blocks, kept while they are used and, within a limit, longer.
//
//     lsm_cache_entry *entry = lsm_cache_get(cache, file_id, offset);
//     if (entry == NULL) TARN_TRY(lsm_cache_new_entry(...)), fill it, entry = lsm_cache_put(...);
//     ... entry->bytes ...
//     lsm_cache_release(entry);
//
// What to give up is found by a clock: an entry that was used since the hand came by is spared.
//
// Ownership: an entry that was got or made is pinned until it is released. The cache outlives all.
// Threads:   any; the cache is divided into parts with a lock each.
#ifndef TARN_KV_LSM_CACHE_H
#define TARN_KV_LSM_CACHE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/status.h"
#include "os/os.h"

typedef struct lsm_cache lsm_cache;
typedef struct lsm_cache_entry {
    lsm_cache *cache; // NULL: not kept in one
    const tarn_alloc *alloc;
    uint64_t file_id;
    uint64_t offset;
    struct lsm_cache_entry *next; // in the bucket; guarded by the part's lock
    uint32_t pin_count;           // guarded by the part's lock
    uint32_t slot;                // in the clock; guarded by the part's lock
    bool was_used;                // guarded by the part's lock
    size_t len;
    uint8_t bytes[];
} lsm_cache_entry;

TARN_MUST_USE tarn_status lsm_cache_new(const tarn_alloc *alloc, size_t limit_bytes,
                                        lsm_cache **ret_cache, tarn_error *err);
void lsm_cache_free(lsm_cache *cache); // nothing is pinned; accepts NULL

// Pinned, or NULL. Accepts a NULL cache.
lsm_cache_entry *lsm_cache_get(lsm_cache *cache, uint64_t file_id, uint64_t offset);
// An entry to fill, pinned and in no cache yet. NULL when memory is exhausted.
TARN_MUST_USE lsm_cache_entry *lsm_cache_new_entry(const tarn_alloc *alloc, uint64_t file_id,
                                                   uint64_t offset, size_t len);
// Gives a filled entry to the cache, which may be NULL, and returns it, or the equal one that
// another thread put there first. Pinned.
lsm_cache_entry *lsm_cache_put(lsm_cache *cache, lsm_cache_entry *entry);
void lsm_cache_release(lsm_cache_entry *entry); // accepts NULL

typedef struct lsm_cache_stats {
    uint64_t hits, misses;
    size_t used_bytes;
} lsm_cache_stats;
lsm_cache_stats lsm_cache_get_stats(lsm_cache *cache);

#endif
