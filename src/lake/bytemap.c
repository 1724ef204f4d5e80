#include "lake/bytemap.h"

#include "base/hash.h"

#define FIRST_SLOTS TARN_TUNABLE((size_t)64, (size_t)4)

void lake_bytemap_init(lake_bytemap *map, tarn_arena *arena) {
    *map = (lake_bytemap){.arena = arena};
}

static size_t find_slot(const lake_bytemap *map, tarn_slice key, uint64_t hash) {
    size_t mask = map->slot_count - 1;
    size_t slot = (size_t)hash & mask;
    while (map->slots[slot] != 0) {
        size_t number = map->slots[slot] - 1;
        if (map->hashes[number] == hash && tarn_slice_equal(map->keys[number], key)) break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

size_t lake_bytemap_find(const lake_bytemap *map, tarn_slice key) {
    if (map->slot_count == 0) return LAKE_BYTEMAP_ABSENT;
    size_t slot = find_slot(map, key, tarn_hash_bytes(key));
    return map->slots[slot] == 0 ? LAKE_BYTEMAP_ABSENT : map->slots[slot] - 1;
}

static tarn_status grow(lake_bytemap *map, tarn_error *err) {
    size_t slot_count = map->slot_count == 0 ? FIRST_SLOTS : map->slot_count * 2;
    size_t capacity = slot_count / 2;
    tarn_slice *keys = tarn_arena_new(map->arena, tarn_slice, capacity);
    uint64_t *hashes = tarn_arena_new(map->arena, uint64_t, capacity);
    uint32_t *slots = tarn_arena_new(map->arena, uint32_t, slot_count);
    if (keys == NULL || hashes == NULL || slots == NULL || capacity > UINT32_MAX) {
        return tarn_fail(err, TARN_NO_MEMORY, "a map of %zu keys", map->count);
    }
    if (map->count > 0) {
        memcpy(keys, map->keys, map->count * sizeof *keys);
        memcpy(hashes, map->hashes, map->count * sizeof *hashes);
    }
    map->keys = keys;
    map->hashes = hashes;
    map->slots = slots;
    map->slot_count = slot_count;
    map->capacity = capacity;
    for (size_t i = 0; i < map->count; i++) {
        map->slots[find_slot(map, keys[i], hashes[i])] = (uint32_t)i + 1;
    }
    return TARN_OK;
}

tarn_status lake_bytemap_insert(lake_bytemap *map, tarn_slice key, size_t *ret_number,
                                bool *ret_is_new, tarn_error *err) {
    if (map->count == map->capacity) TARN_TRY(grow(map, err));
    uint64_t hash = tarn_hash_bytes(key);
    size_t slot = find_slot(map, key, hash);
    bool is_new = map->slots[slot] == 0;
    if (is_new) {
        if (!tarn_arena_copy(map->arena, key, &map->keys[map->count])) {
            return tarn_fail(err, TARN_NO_MEMORY, "a map of %zu keys", map->count);
        }
        map->hashes[map->count] = hash;
        map->slots[slot] = (uint32_t)++map->count;
    }
    *ret_number = map->slots[slot] - 1;
    if (ret_is_new != NULL) *ret_is_new = is_new;
    return TARN_OK;
}
