#include "expr/multiset.h"

#include "base/alloc.h"

#define BLOCK_ENTRIES       TARN_TUNABLE((size_t)64, (size_t)4)
#define FIRST_BLOCK_ENTRIES TARN_TUNABLE((size_t)2, (size_t)1)

typedef struct multiset_entry {
    tarn_string key; // long ones own their bytes
    int64_t count;   // never 0
} multiset_entry;

// Most sets are small (one per group of an aggregate): the first block starts with room for a few
// and doubles up to BLOCK_ENTRIES.
typedef struct multiset_block {
    size_t count; // at least 1
    size_t capacity;
    multiset_entry entries[];
} multiset_block;

struct expr_multiset {
    multiset_block **blocks;
    size_t block_count;
    size_t capacity;
    size_t size;
};

static bool copy_key(const tarn_alloc *alloc, tarn_slice key, tarn_string *ret_key) {
    if (key.len > TARN_STRING_INLINE_BYTES) {
        if (key.len > UINT32_MAX) return false;
        uint8_t *bytes = tarn_alloc_new(alloc, uint8_t, key.len);
        if (bytes == NULL) return false;
        memcpy(bytes, key.data, key.len);
        key.data = bytes;
    }
    *ret_key = tarn_string_view(key);
    return true;
}

static void free_key(const tarn_alloc *alloc, const tarn_string *key) {
    if (key->len <= TARN_STRING_INLINE_BYTES) return;
    void *bytes;
    memcpy(&bytes, &key->data, sizeof bytes);
    tarn_alloc_release(alloc, bytes, 1, key->len);
}

// The last block whose first key is not greater; 0 when there is none.
static size_t find_block(const expr_multiset *set, const tarn_string *key) {
    size_t low = 0;
    size_t high = set->block_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (tarn_string_compare(&set->blocks[middle]->entries[0].key, key) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// The first entry that is not less.
static size_t find_entry(const multiset_block *block, const tarn_string *key, bool *ret_equal) {
    size_t low = 0;
    size_t high = block->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tarn_string_compare(&block->entries[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_equal = low < block->count && tarn_string_compare(&block->entries[low].key, key) == 0;
    return low;
}

static size_t block_bytes(size_t capacity) {
    return sizeof(multiset_block) + capacity * sizeof(multiset_entry);
}

static multiset_block *new_block(const tarn_alloc *alloc, size_t capacity) {
    multiset_block *block = alloc->acquire(alloc->context, block_bytes(capacity));
    if (block != NULL) *block = (multiset_block){.capacity = capacity};
    return block;
}

static void free_block(const tarn_alloc *alloc, multiset_block *block) {
    alloc->release(alloc->context, block, block_bytes(block->capacity));
}

// Makes room for one more entry in block `b`, which has fewer than BLOCK_ENTRIES.
static bool reserve_entry(expr_multiset *set, const tarn_alloc *alloc, size_t b) {
    multiset_block *block = set->blocks[b];
    if (block->count < block->capacity) return true;
    size_t capacity = block->capacity * 2;
    if (capacity > BLOCK_ENTRIES) capacity = BLOCK_ENTRIES;
    multiset_block *grown = new_block(alloc, capacity);
    if (grown == NULL) return false;
    grown->count = block->count;
    memcpy(grown->entries, block->entries, block->count * sizeof(multiset_entry));
    free_block(alloc, block);
    set->blocks[b] = grown;
    return true;
}

// Makes room for a block at `index`.
static multiset_block *add_block(expr_multiset *set, const tarn_alloc *alloc, size_t index) {
    if (set->block_count == set->capacity) {
        size_t grown = set->capacity == 0 ? 1 : set->capacity * 2;
        multiset_block **blocks = tarn_alloc_new(alloc, multiset_block *, grown);
        if (blocks == NULL) return NULL;
        for (size_t i = 0; i < set->block_count; i++) blocks[i] = set->blocks[i];
        tarn_alloc_free(alloc, set->blocks, set->capacity);
        set->blocks = blocks;
        set->capacity = grown;
    }
    multiset_block *block =
        new_block(alloc, set->block_count == 0 ? FIRST_BLOCK_ENTRIES : BLOCK_ENTRIES);
    if (block == NULL) return NULL;
    memmove(set->blocks + index + 1, set->blocks + index,
            (set->block_count - index) * sizeof(multiset_block *));
    set->blocks[index] = block;
    set->block_count++;
    return block;
}

static void remove_entry(expr_multiset *set, const tarn_alloc *alloc, size_t b, size_t e) {
    multiset_block *block = set->blocks[b];
    free_key(alloc, &block->entries[e].key);
    block->count--;
    memmove(block->entries + e, block->entries + e + 1,
            (block->count - e) * sizeof(multiset_entry));
    set->size--;
    if (block->count > 0) return;
    free_block(alloc, block);
    set->block_count--;
    memmove(set->blocks + b, set->blocks + b + 1,
            (set->block_count - b) * sizeof(multiset_block *));
}

static bool insert_entry(expr_multiset *set, const tarn_alloc *alloc, size_t b, size_t e,
                         multiset_entry entry) {
    if (set->block_count == 0 && add_block(set, alloc, 0) == NULL) return false;
    multiset_block *block = set->blocks[b];
    if (block->count == BLOCK_ENTRIES) {
        multiset_block *upper = add_block(set, alloc, b + 1);
        if (upper == NULL) return false;
        upper->count = BLOCK_ENTRIES / 2;
        block->count = BLOCK_ENTRIES - upper->count;
        memcpy(upper->entries, block->entries + block->count,
               upper->count * sizeof(multiset_entry));
        if (e > block->count) {
            e -= block->count;
            b++;
        }
    }
    if (!reserve_entry(set, alloc, b)) return false;
    block = set->blocks[b];
    memmove(block->entries + e + 1, block->entries + e,
            (block->count - e) * sizeof(multiset_entry));
    block->entries[e] = entry;
    block->count++;
    set->size++;
    return true;
}

bool expr_multiset_add(expr_multiset **set, const tarn_alloc *alloc, tarn_slice key,
                       int64_t change) {
    if (change == 0) return true;
    if (*set == NULL) {
        *set = tarn_alloc_new(alloc, expr_multiset, 1);
        if (*set == NULL) return false;
    }
    tarn_string probe = tarn_string_view(key);
    size_t b = 0;
    size_t e = 0;
    bool found = false;
    if ((*set)->block_count > 0) {
        b = find_block(*set, &probe);
        e = find_entry((*set)->blocks[b], &probe, &found);
    }
    if (found) {
        multiset_entry *entry = &(*set)->blocks[b]->entries[e];
        entry->count += change;
        if (entry->count == 0) remove_entry(*set, alloc, b, e);
        return true;
    }
    multiset_entry entry = {.count = change};
    if (!copy_key(alloc, key, &entry.key)) return false;
    if (insert_entry(*set, alloc, b, e, entry)) return true;
    free_key(alloc, &entry.key);
    return false;
}

void expr_multiset_free(expr_multiset *set, const tarn_alloc *alloc) {
    if (set == NULL) return;
    for (size_t b = 0; b < set->block_count; b++) {
        for (size_t e = 0; e < set->blocks[b]->count; e++) {
            free_key(alloc, &set->blocks[b]->entries[e].key);
        }
        free_block(alloc, set->blocks[b]);
    }
    tarn_alloc_free(alloc, set->blocks, set->capacity);
    tarn_alloc_free(alloc, set, 1);
}

bool expr_multiset_least(const expr_multiset *set, tarn_slice *ret_key) {
    for (size_t b = 0; set != NULL && b < set->block_count; b++) {
        for (size_t e = 0; e < set->blocks[b]->count; e++) {
            if (set->blocks[b]->entries[e].count <= 0) continue;
            *ret_key = tarn_string_slice(&set->blocks[b]->entries[e].key);
            return true;
        }
    }
    return false;
}

bool expr_multiset_greatest(const expr_multiset *set, tarn_slice *ret_key) {
    for (size_t b = set == NULL ? 0 : set->block_count; b > 0; b--) {
        for (size_t e = set->blocks[b - 1]->count; e > 0; e--) {
            if (set->blocks[b - 1]->entries[e - 1].count <= 0) continue;
            *ret_key = tarn_string_slice(&set->blocks[b - 1]->entries[e - 1].key);
            return true;
        }
    }
    return false;
}

size_t expr_multiset_size(const expr_multiset *set) {
    return set == NULL ? 0 : set->size;
}

bool expr_multiset_next(const expr_multiset *set, expr_multiset_cursor *cursor, tarn_slice *ret_key,
                        int64_t *ret_count) {
    if (set == NULL || cursor->block >= set->block_count) return false;
    const multiset_block *block = set->blocks[cursor->block];
    *ret_key = tarn_string_slice(&block->entries[cursor->entry].key);
    *ret_count = block->entries[cursor->entry].count;
    if (++cursor->entry == block->count) {
        cursor->entry = 0;
        cursor->block++;
    }
    return true;
}
