// groups.c - the hash table of groups.
//
// A batch is looked up in rounds: each row walks its slots up to the first whose 16 hash bits agree
// (or an empty one, where a new group is made at once), then all candidates are compared column by
// column; those that differ walk on in the next round. Slots and groups are prefetched a batch
// ahead, so that cache misses overlap.
#include "op/op_internal.h"

#define BLOCK_GROUPS   TARN_TUNABLE((size_t)256, (size_t)3)
#define FIRST_SLOTS    TARN_TUNABLE((size_t)64, (size_t)4)
#define SALT_SHIFT     48
#define ADDRESS_MASK   (((uint64_t)1 << SALT_SHIFT) - 1)
#define PREFETCH(addr) __builtin_prefetch(addr)

static_assert(sizeof(uintptr_t) == 8, "slots keep an address in 48 bits");

struct op_group_block {
    op_group_block *next;
    size_t used;     // groups handed out so far, removed ones included
    size_t capacity; // groups
    uint8_t groups[];
};

void op_groups_init(op_groups *table, const tarn_alloc *alloc, const op_layout *keys,
                    size_t group_bytes, bool removable) {
    *table = (op_groups){.alloc = alloc,
                         .keys = keys,
                         .group_bytes = (group_bytes + 7) & ~(size_t)7,
                         .removable = removable};
    // Removed groups are linked through the word behind their header.
    if (table->group_bytes < sizeof(op_group) + 8) table->group_bytes = sizeof(op_group) + 8;
    tarn_arena_init(&table->string_arena, alloc, SIZE_MAX);
}

static size_t block_bytes(const op_groups *table, size_t capacity) {
    return sizeof(op_group_block) + capacity * table->group_bytes;
}

void op_groups_free(op_groups *table) {
    if (table->alloc == NULL) return;
    if (table->removable) {
        op_groups_iterator iterator = op_groups_begin(table);
        for (uint8_t *group; (group = op_groups_next(table, &iterator)) != NULL;) {
            op_layout_release(table->keys, group, table->alloc);
        }
    }
    for (op_group_block *block = table->first_block; block != NULL;) {
        op_group_block *next = block->next;
        table->alloc->release(table->alloc->context, block, block_bytes(table, block->capacity));
        block = next;
    }
    tarn_alloc_free(table->alloc, table->slots, table->slot_count);
    tarn_arena_reset(&table->string_arena);
    *table = (op_groups){0};
}

// ---- slots ----

static uint64_t make_slot(const uint8_t *group, uint64_t hash) {
    uint64_t address = (uint64_t)(uintptr_t)group;
    tarn_assert((address & ~ADDRESS_MASK) == 0);
    return (hash & ~ADDRESS_MASK) | address;
}

static uint8_t *slot_group(uint64_t slot) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): it was a pointer before
    return (uint8_t *)(uintptr_t)(slot & ADDRESS_MASK);
}

static bool slot_agrees(uint64_t slot, uint64_t hash) {
    return ((slot ^ hash) & ~ADDRESS_MASK) == 0;
}

// ---- groups ----

// A zeroed group.
static uint8_t *take_group(op_groups *table) {
    uint8_t *group = table->free_groups;
    if (group != NULL) {
        memcpy(&table->free_groups, group + sizeof(op_group), sizeof table->free_groups);
        return memset(group, 0, table->group_bytes);
    }
    op_group_block *block = table->last_block;
    if (block == NULL || block->used == block->capacity) {
        // Small tables stay small: one per window is the rule in window aggregates.
        size_t capacity = block == NULL ? (BLOCK_GROUPS + 7) / 8 : BLOCK_GROUPS;
        block = table->alloc->acquire(table->alloc->context, block_bytes(table, capacity));
        if (block == NULL) return NULL;
        *block = (op_group_block){.capacity = capacity};
        if (table->last_block == NULL) {
            table->first_block = block;
        } else {
            table->last_block->next = block;
        }
        table->last_block = block;
    }
    group = block->groups + block->used++ * table->group_bytes;
    return memset(group, 0, table->group_bytes);
}

static void give_group(op_groups *table, uint8_t *group) {
    op_group header = {.flags = OP_GROUP_FREE};
    memcpy(group, &header, sizeof header);
    memcpy(group + sizeof(op_group), &table->free_groups, sizeof table->free_groups);
    table->free_groups = group;
}

static uint8_t *make_group(op_groups *table, const tarn_vector *keys, size_t row, uint64_t hash) {
    uint8_t *group = take_group(table);
    if (group == NULL) return NULL;
    tarn_arena *strings = table->removable ? NULL : &table->string_arena;
    if (!op_layout_store(table->keys, group, keys, row, strings, table->alloc)) {
        give_group(table, group);
        return NULL;
    }
    memcpy(group, &hash, sizeof hash);
    table->count++;
    return group;
}

// Makes room for `more` groups at a load of at most 5/8. Groups are read in the order in which they
// lie in memory: only the writes to the new slots jump.
static bool reserve_slots(op_groups *table, size_t more) {
    size_t needed = (table->count - table->hidden_count + more) * 8 / 5 + 1;
    if (needed <= table->slot_count) return true;
    size_t slot_count = table->slot_count == 0 ? FIRST_SLOTS : table->slot_count;
    while (slot_count < needed) slot_count *= 2;
    uint64_t *slots = tarn_alloc_new(table->alloc, uint64_t, slot_count);
    if (slots == NULL) return false;
    op_groups_iterator iterator =
        table->hidden_count > 0 ? table->found_begin : op_groups_begin(table);
    for (uint8_t *group; (group = op_groups_next(table, &iterator)) != NULL;) {
        uint64_t hash = op_group_hash(group);
        size_t at = hash & (slot_count - 1);
        while (slots[at] != 0) at = (at + 1) & (slot_count - 1);
        slots[at] = make_slot(group, hash);
    }
    tarn_alloc_free(table->alloc, table->slots, table->slot_count);
    table->slots = slots;
    table->slot_count = slot_count;
    return true;
}

// ---- lookup ----

typedef struct probe_scratch {
    uint32_t rows[TARN_CHUNK_ROWS]; // of the chunk, per position
    uint32_t slots[TARN_CHUNK_ROWS];
    uint32_t list[TARN_CHUNK_ROWS];   // positions to compare
    uint32_t missed[TARN_CHUNK_ROWS]; // positions that walk on
} probe_scratch;

static void begin_probe(const op_groups *table, const op_probe *probe, size_t count,
                        probe_scratch *scratch) {
    size_t mask = table->slot_count - 1;
    for (size_t i = 0; i < count; i++) {
        size_t slot = probe->hashes[i] & mask;
        PREFETCH(&table->slots[slot]);
        scratch->slots[i] = (uint32_t)slot;
        scratch->rows[i] = (uint32_t)tarn_chunk_row(probe->chunk, i);
        scratch->missed[i] = (uint32_t)i;
    }
}

// Walks the slots of missed[0..count). Positions that found a candidate go to `list`.
static tarn_status walk_slots(op_groups *table, op_probe *probe, size_t count,
                              probe_scratch *scratch, size_t *ret_candidates, uint8_t **groups,
                              tarn_error *err) {
    size_t mask = table->slot_count - 1;
    size_t candidates = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t position = scratch->missed[i];
        uint64_t hash = probe->hashes[position];
        size_t at = scratch->slots[position];
        while (table->slots[at] != 0 && !slot_agrees(table->slots[at], hash)) at = (at + 1) & mask;
        scratch->slots[position] = (uint32_t)at;
        if (table->slots[at] != 0) {
            groups[position] = slot_group(table->slots[at]);
            PREFETCH(groups[position]);
            scratch->list[candidates++] = position;
            continue;
        }
        groups[position] = NULL;
        if (!probe->add) continue;
        uint8_t *group = make_group(table, probe->keys, scratch->rows[position], hash);
        if (group == NULL) {
            return tarn_fail(err, TARN_NO_MEMORY, "out of memory after %zu groups", table->count);
        }
        table->slots[at] = make_slot(group, hash);
        groups[position] = group;
        if (probe->added != NULL) probe->added[probe->added_count++] = group;
    }
    *ret_candidates = candidates;
    return TARN_OK;
}

tarn_status op_groups_probe(op_groups *table, op_probe *probe, uint8_t **ret_groups,
                            tarn_error *err) {
    size_t count = tarn_chunk_count(probe->chunk);
    tarn_assert(count <= TARN_CHUNK_ROWS);
    probe->added_count = 0;
    if (probe->add && !reserve_slots(table, count)) {
        return tarn_fail(err, TARN_NO_MEMORY, "out of memory after %zu groups", table->count);
    }
    if (table->slot_count == 0) {
        for (size_t i = 0; i < count; i++) ret_groups[i] = NULL;
        return TARN_OK;
    }
    tarn_assert(table->slot_count <= UINT32_MAX);
    probe_scratch scratch;
    begin_probe(table, probe, count, &scratch);
    size_t mask = table->slot_count - 1;
    size_t pending = count;
    while (pending > 0) {
        size_t candidates = 0;
        TARN_TRY(walk_slots(table, probe, pending, &scratch, &candidates, ret_groups, err));
        op_match match = {.columns = probe->keys,
                          .groups = ret_groups,
                          .rows = scratch.rows,
                          .list = scratch.list,
                          .count = candidates,
                          .missed = scratch.missed};
        op_layout_match(table->keys, &match);
        pending = match.missed_count;
        for (size_t i = 0; i < pending; i++) {
            uint32_t position = scratch.missed[i];
            scratch.slots[position] = (uint32_t)((scratch.slots[position] + 1) & mask);
        }
    }
    return TARN_OK;
}

size_t op_groups_room(const op_groups *table) {
    if (table->slot_count == 0) return 0;
    size_t most = (table->slot_count - 1) * 5 / 8;
    size_t found = table->count - table->hidden_count;
    return found < most ? most - found : 0;
}

void op_groups_hide(op_groups *table) {
    tarn_assert(!table->removable);
    if (table->count == 0) return;
    memset(table->slots, 0, table->slot_count * sizeof *table->slots);
    table->hidden_count = table->count;
    table->found_begin =
        (op_groups_iterator){.block = table->last_block, .index = table->last_block->used};
}

void op_groups_forget_slots(op_groups *table) {
    tarn_alloc_free(table->alloc, table->slots, table->slot_count);
    table->slots = NULL;
    table->slot_count = 0;
}

// Closes the gap by moving later members of the run back (Knuth's algorithm R for linear probing).
static void clear_slot(op_groups *table, size_t gap) {
    size_t mask = table->slot_count - 1;
    size_t at = gap;
    for (;;) {
        at = (at + 1) & mask;
        if (table->slots[at] == 0) break;
        size_t home = op_group_hash(slot_group(table->slots[at])) & mask;
        // May the member move to the gap? Only if the gap lies between its home and its place.
        if (((at - home) & mask) < ((at - gap) & mask)) continue;
        table->slots[gap] = table->slots[at];
        gap = at;
    }
    table->slots[gap] = 0;
}

void op_groups_remove(op_groups *table, uint8_t *group) {
    tarn_assert(table->removable);
    size_t mask = table->slot_count - 1;
    uint64_t slot = make_slot(group, op_group_hash(group));
    size_t at = op_group_hash(group) & mask;
    while (table->slots[at] != slot) {
        tarn_assert(table->slots[at] != 0);
        at = (at + 1) & mask;
    }
    clear_slot(table, at);
    op_layout_release(table->keys, group, table->alloc);
    give_group(table, group);
    table->count--;
}

// ---- iteration ----

op_groups_iterator op_groups_begin(const op_groups *table) {
    return (op_groups_iterator){.block = table->first_block};
}

uint8_t *op_groups_next(const op_groups *table, op_groups_iterator *iterator) {
    for (; iterator->block != NULL; iterator->block = iterator->block->next, iterator->index = 0) {
        while (iterator->index < iterator->block->used) {
            size_t at = iterator->index++ * table->group_bytes;
            // The block is the table's; only the iterator's view of it is read-only.
            uint8_t *group = op_unconst(iterator->block->groups + at);
            uint32_t flags;
            memcpy(&flags, group + offsetof(op_group, flags), sizeof flags);
            if ((flags & OP_GROUP_FREE) == 0) return group;
        }
    }
    return NULL;
}

// ---- sets of groups ----

bool op_group_set_begin(op_group_set *set, size_t count) {
    size_t slot_count = FIRST_SLOTS;
    while (slot_count < count * 8 / 5 + 1) slot_count *= 2;
    if (slot_count > set->slot_count) {
        size_t bytes = slot_count * sizeof *set->slots; // not more than twice the groups' list
        uint64_t *slots = set->alloc->acquire(set->alloc->context, bytes);
        if (slots == NULL) return false;
        tarn_alloc_free(set->alloc, set->slots, set->slot_count);
        set->slots = slots;
        set->slot_count = slot_count;
    }
    set->mask = slot_count - 1;
    memset(set->slots, 0, slot_count * sizeof *set->slots);
    return true;
}

uint8_t *op_group_set_add(op_group_set *set, uint8_t *group) {
    uint64_t hash = op_group_hash(group);
    size_t at = hash & set->mask;
    for (; set->slots[at] != 0; at = (at + 1) & set->mask) {
        if (!slot_agrees(set->slots[at], hash)) continue;
        uint8_t *member = slot_group(set->slots[at]);
        if (op_group_hash(member) != hash) continue;
        if (op_layout_equal_rows(set->keys, member, group)) return member;
    }
    set->slots[at] = make_slot(group, hash);
    return group;
}

void op_group_set_free(op_group_set *set) {
    if (set->alloc != NULL) tarn_alloc_free(set->alloc, set->slots, set->slot_count);
    *set = (op_group_set){0};
}

void op_hash_rows(const tarn_vector *columns, size_t column_count, const tarn_chunk *chunk,
                  uint64_t *hashes) {
    if (column_count > 0) {
        tarn_hash_rows(columns, column_count, chunk, hashes);
        return;
    }
    memset(hashes, 0, tarn_chunk_count(chunk) * sizeof *hashes);
}
