#include "kv/lsm/cache.h"

#include "base/alloc.h"
#include "base/hash.h"

enum {
    PARTS = TARN_TUNABLE(16, 2),
    FIRST_SLOTS = TARN_TUNABLE(256, 4),
};

// One lock, one hash table of chains, one clock. Buckets and slots are equally many.
typedef struct part {
    tarn_mutex *lock;
    lsm_cache_entry **buckets;
    lsm_cache_entry **slots; // NULL: free
    size_t slot_count;       // a power of two
    size_t entry_count;
    size_t hand;
    size_t used_bytes;
    uint64_t hits;
    uint64_t misses;
} part;

struct lsm_cache {
    const tarn_alloc *alloc;
    size_t part_limit_bytes;
    part parts[PARTS];
};

tarn_status lsm_cache_new(const tarn_alloc *alloc, size_t limit_bytes, lsm_cache **ret_cache,
                          tarn_error *err) {
    lsm_cache *cache = tarn_alloc_new(alloc, lsm_cache, 1);
    if (cache == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for the block cache");
    cache->alloc = alloc;
    cache->part_limit_bytes = limit_bytes / PARTS;
    for (size_t i = 0; i < PARTS; i++) {
        tarn_status status = tarn_mutex_new(TARN_LOCK_CACHE, &cache->parts[i].lock, err);
        if (status == TARN_OK) continue;
        lsm_cache_free(cache);
        return status;
    }
    *ret_cache = cache;
    return TARN_OK;
}

static void free_entry(lsm_cache_entry *entry) {
    entry->alloc->release(entry->alloc->context, entry, sizeof *entry + entry->len);
}

void lsm_cache_free(lsm_cache *cache) {
    if (cache == NULL) return;
    for (size_t i = 0; i < PARTS; i++) {
        part *p = &cache->parts[i];
        for (size_t k = 0; k < p->slot_count; k++) {
            if (p->slots[k] == NULL) continue;
            tarn_assert(p->slots[k]->pin_count == 0);
            free_entry(p->slots[k]);
        }
        tarn_alloc_free(cache->alloc, p->buckets, p->slot_count);
        tarn_alloc_free(cache->alloc, p->slots, p->slot_count);
        tarn_mutex_free(p->lock);
    }
    tarn_alloc_free(cache->alloc, cache, 1);
}

static uint64_t hash_of(uint64_t file_id, uint64_t offset) {
    return tarn_hash_u64(tarn_hash_combine(file_id, offset));
}

static part *part_of(lsm_cache *cache, uint64_t hash) {
    return &cache->parts[hash % PARTS];
}

static lsm_cache_entry **bucket_of(part *p, uint64_t hash) {
    return &p->buckets[(hash >> 16) & (p->slot_count - 1)];
}

static lsm_cache_entry *find(part *p, uint64_t hash, uint64_t file_id, uint64_t offset) {
    if (p->slot_count == 0) return NULL;
    lsm_cache_entry *entry = *bucket_of(p, hash);
    while (entry != NULL && (entry->file_id != file_id || entry->offset != offset)) {
        entry = entry->next;
    }
    if (entry == NULL) return NULL;
    entry->pin_count++;
    entry->was_used = true;
    return entry;
}

lsm_cache_entry *lsm_cache_get(lsm_cache *cache, uint64_t file_id, uint64_t offset) {
    if (cache == NULL) return NULL;
    uint64_t hash = hash_of(file_id, offset);
    part *p = part_of(cache, hash);
    tarn_mutex_lock(p->lock);
    lsm_cache_entry *entry = find(p, hash, file_id, offset);
    if (entry != NULL) {
        p->hits++;
    } else {
        p->misses++;
    }
    tarn_mutex_unlock(p->lock);
    return entry;
}

lsm_cache_entry *lsm_cache_new_entry(const tarn_alloc *alloc, uint64_t file_id, uint64_t offset,
                                     size_t len) {
    lsm_cache_entry *entry = alloc->acquire(alloc->context, sizeof *entry + len);
    if (entry == NULL) return NULL;
    *entry = (lsm_cache_entry){
        .alloc = alloc, .file_id = file_id, .offset = offset, .pin_count = 1, .len = len};
    return entry;
}

// Takes an entry that nobody pins out of the part. The caller frees it.
static void unlink_entry(part *p, lsm_cache_entry *entry) {
    lsm_cache_entry **at = bucket_of(p, hash_of(entry->file_id, entry->offset));
    while (*at != entry) at = &(*at)->next;
    *at = entry->next;
    p->slots[entry->slot] = NULL;
    p->entry_count--;
    p->used_bytes -= sizeof *entry + entry->len;
}

// Takes out entries until `more_bytes` fit, or all are pinned; two rounds see each one unused.
// Returns them as a list.
static lsm_cache_entry *make_room(part *p, size_t limit_bytes, size_t more_bytes) {
    lsm_cache_entry *given_up = NULL;
    for (size_t steps = p->slot_count * 2; steps > 0; steps--) {
        if (p->used_bytes + more_bytes <= limit_bytes) break;
        lsm_cache_entry *entry = p->slots[p->hand];
        p->hand = (p->hand + 1) & (p->slot_count - 1);
        if (entry == NULL || entry->pin_count > 0) continue;
        if (entry->was_used) {
            entry->was_used = false;
            continue;
        }
        unlink_entry(p, entry);
        entry->next = given_up;
        given_up = entry;
    }
    return given_up;
}

static bool grow(lsm_cache *cache, part *p) {
    size_t count = p->slot_count == 0 ? FIRST_SLOTS : p->slot_count * 2;
    part larger = {.slot_count = count};
    larger.buckets = tarn_alloc_new(cache->alloc, lsm_cache_entry *, count);
    larger.slots = tarn_alloc_new(cache->alloc, lsm_cache_entry *, count);
    if (larger.buckets == NULL || larger.slots == NULL) {
        tarn_alloc_free(cache->alloc, larger.buckets, count);
        tarn_alloc_free(cache->alloc, larger.slots, count);
        return false;
    }
    for (size_t i = 0; i < p->slot_count; i++) {
        lsm_cache_entry *entry = p->slots[i];
        if (entry == NULL) continue;
        lsm_cache_entry **bucket = bucket_of(&larger, hash_of(entry->file_id, entry->offset));
        entry->next = *bucket;
        *bucket = entry;
        larger.slots[i] = entry;
    }
    tarn_alloc_free(cache->alloc, p->buckets, p->slot_count);
    tarn_alloc_free(cache->alloc, p->slots, p->slot_count);
    p->buckets = larger.buckets;
    p->slots = larger.slots;
    p->slot_count = count;
    return true;
}

static void link_entry(lsm_cache *cache, part *p, uint64_t hash, lsm_cache_entry *entry) {
    size_t slot = p->hand;
    while (p->slots[slot] != NULL) slot = (slot + 1) & (p->slot_count - 1);
    p->slots[slot] = entry;
    lsm_cache_entry **bucket = bucket_of(p, hash);
    entry->slot = (uint32_t)slot;
    entry->cache = cache;
    entry->next = *bucket;
    *bucket = entry;
    p->entry_count++;
    p->used_bytes += sizeof *entry + entry->len;
}

lsm_cache_entry *lsm_cache_put(lsm_cache *cache, lsm_cache_entry *entry) {
    if (cache == NULL) return entry;
    uint64_t hash = hash_of(entry->file_id, entry->offset);
    part *p = part_of(cache, hash);
    size_t bytes = sizeof *entry + entry->len;
    tarn_mutex_lock(p->lock);
    lsm_cache_entry *given_up = NULL;
    lsm_cache_entry *other = find(p, hash, entry->file_id, entry->offset);
    if (other != NULL) {
        entry->next = NULL;
        given_up = entry;
        entry = other;
    } else {
        given_up = make_room(p, cache->part_limit_bytes, bytes);
        // What does not fit stays outside, and goes with its pin.
        bool fits = p->used_bytes + bytes <= cache->part_limit_bytes &&
                    (p->entry_count < p->slot_count || grow(cache, p));
        if (fits) link_entry(cache, p, hash, entry);
    }
    tarn_mutex_unlock(p->lock);
    while (given_up != NULL) {
        lsm_cache_entry *next = given_up->next;
        free_entry(given_up);
        given_up = next;
    }
    return entry;
}

void lsm_cache_release(lsm_cache_entry *entry) {
    if (entry == NULL) return;
    if (entry->cache == NULL) {
        free_entry(entry);
        return;
    }
    part *p = part_of(entry->cache, hash_of(entry->file_id, entry->offset));
    tarn_mutex_lock(p->lock);
    tarn_assert(entry->pin_count > 0);
    entry->pin_count--;
    tarn_mutex_unlock(p->lock);
}

lsm_cache_stats lsm_cache_get_stats(lsm_cache *cache) {
    lsm_cache_stats stats = {0};
    for (size_t i = 0; cache != NULL && i < PARTS; i++) {
        part *p = &cache->parts[i];
        tarn_mutex_lock(p->lock);
        stats.hits += p->hits;
        stats.misses += p->misses;
        stats.used_bytes += p->used_bytes;
        tarn_mutex_unlock(p->lock);
    }
    return stats;
}
