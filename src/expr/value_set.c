#include "expr/value_set.h"

#include "base/alloc.h"
#include "base/hash.h"

#define FIRST_SLOTS ((size_t)8)

typedef struct value_slot {
    tarn_string key; // long ones own their bytes
    uint64_t hash;
    int64_t count; // 0: the slot is free
} value_slot;

struct expr_value_set {
    value_slot *slots;
    size_t slot_count; // a power of two
    size_t size;
};

static void free_key(const tarn_alloc *alloc, const tarn_string *key) {
    if (key->len <= TARN_STRING_INLINE_BYTES) return;
    void *bytes;
    memcpy(&bytes, &key->data, sizeof bytes);
    tarn_alloc_release(alloc, bytes, 1, key->len);
}

static uint64_t hash_key(tarn_slice key) {
    if (key.len > sizeof(uint64_t)) return tarn_hash_bytes(key);
    uint64_t word = 0;
    if (key.len > 0) memcpy(&word, key.data, key.len);
    return tarn_hash_u64(word + key.len * 0x9E3779B97F4A7C15u);
}

// The key's slot, or the free one where it belongs.
static size_t find_slot(const expr_value_set *set, const tarn_string *key, uint64_t hash) {
    size_t mask = set->slot_count - 1;
    size_t slot = (size_t)hash & mask;
    while (set->slots[slot].count != 0) {
        if (set->slots[slot].hash == hash && tarn_string_equal(&set->slots[slot].key, key)) break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static bool grow(expr_value_set *set, const tarn_alloc *alloc) {
    size_t grown = set->slot_count == 0 ? FIRST_SLOTS : set->slot_count * 2;
    value_slot *slots = tarn_alloc_new(alloc, value_slot, grown);
    if (slots == NULL) return false;
    for (size_t i = 0; i < set->slot_count; i++) {
        if (set->slots[i].count == 0) continue;
        size_t slot = (size_t)set->slots[i].hash & (grown - 1);
        while (slots[slot].count != 0) slot = (slot + 1) & (grown - 1);
        slots[slot] = set->slots[i];
    }
    tarn_alloc_free(alloc, set->slots, set->slot_count);
    set->slots = slots;
    set->slot_count = grown;
    return true;
}

// Moves those behind the hole that would no longer be found.
static void remove_slot(expr_value_set *set, const tarn_alloc *alloc, size_t hole) {
    size_t mask = set->slot_count - 1;
    free_key(alloc, &set->slots[hole].key);
    set->size--;
    for (size_t next = (hole + 1) & mask; set->slots[next].count != 0; next = (next + 1) & mask) {
        size_t home = (size_t)set->slots[next].hash & mask;
        if (((next - home) & mask) < ((next - hole) & mask)) continue;
        set->slots[hole] = set->slots[next];
        hole = next;
    }
    set->slots[hole] = (value_slot){.count = 0};
}

static bool insert_slot(expr_value_set *set, const tarn_alloc *alloc, tarn_slice key, uint64_t hash,
                        int64_t count) {
    if ((set->size + 1) * 4 > set->slot_count * 3 && !grow(set, alloc)) return false;
    tarn_slice copy = key;
    if (key.len > TARN_STRING_INLINE_BYTES) {
        if (key.len > UINT32_MAX) return false;
        uint8_t *bytes = tarn_alloc_new(alloc, uint8_t, key.len);
        if (bytes == NULL) return false;
        memcpy(bytes, key.data, key.len);
        copy.data = bytes;
    }
    tarn_string string = tarn_string_view(copy);
    size_t slot = find_slot(set, &string, hash);
    set->slots[slot] = (value_slot){.key = string, .hash = hash, .count = count};
    set->size++;
    return true;
}

bool expr_value_set_add(expr_value_set **set, const tarn_alloc *alloc, tarn_slice key,
                        int64_t change, expr_presence *ret_presence) {
    *ret_presence = EXPR_PRESENCE_SAME;
    if (change == 0) return true;
    if (*set == NULL) {
        *set = tarn_alloc_new(alloc, expr_value_set, 1);
        if (*set == NULL) return false;
    }
    if ((*set)->slot_count == 0 && !grow(*set, alloc)) return false;
    uint64_t hash = hash_key(key);
    tarn_string probe = tarn_string_view(key);
    size_t slot = find_slot(*set, &probe, hash);
    int64_t before = (*set)->slots[slot].count;
    int64_t after = before + change;
    if (before == 0) {
        if (!insert_slot(*set, alloc, key, hash, change)) return false;
    } else if (after == 0) {
        remove_slot(*set, alloc, slot);
    } else {
        (*set)->slots[slot].count = after;
    }
    if (before <= 0 && after > 0) *ret_presence = EXPR_PRESENCE_APPEARED;
    if (before > 0 && after <= 0) *ret_presence = EXPR_PRESENCE_VANISHED;
    return true;
}

void expr_value_set_free(expr_value_set *set, const tarn_alloc *alloc) {
    if (set == NULL) return;
    for (size_t i = 0; i < set->slot_count; i++) {
        if (set->slots[i].count != 0) free_key(alloc, &set->slots[i].key);
    }
    tarn_alloc_free(alloc, set->slots, set->slot_count);
    tarn_alloc_free(alloc, set, 1);
}

size_t expr_value_set_size(const expr_value_set *set) {
    return set == NULL ? 0 : set->size;
}

bool expr_value_set_next(const expr_value_set *set, size_t *cursor, tarn_slice *ret_key,
                         int64_t *ret_count) {
    while (set != NULL && *cursor < set->slot_count) {
        const value_slot *slot = &set->slots[(*cursor)++];
        if (slot->count == 0) continue;
        *ret_key = tarn_string_slice(&slot->key);
        *ret_count = slot->count;
        return true;
    }
    return false;
}
