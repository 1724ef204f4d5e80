#include "op/ordered.h"

static size_t entry_bytes(size_t level_count, size_t key_len, size_t row_len) {
    return sizeof(ordered_entry) + level_count * sizeof(ordered_entry *) + key_len + row_len;
}

void ordered_entry_ref(ordered_entry *entry) {
    entry->references++;
}

void ordered_entry_unref(ordered_entry *entry, const tarn_alloc *alloc) {
    if (--entry->references > 0) return;
    alloc->release(alloc->context, entry,
                   entry_bytes(entry->level_count, entry->key.len, entry->row.len));
}

static int compare_to(const ordered_entry *entry, tarn_slice key, tarn_slice row) {
    int order = tarn_slice_compare(entry->key, key);
    return order != 0 ? order : tarn_slice_compare(entry->row, row);
}

int ordered_entry_compare(const ordered_entry *a, const ordered_entry *b) {
    return a == b ? 0 : compare_to(a, b->key, b->row);
}

// Sets links[level] to the pointer that leads to the first entry not before (key, row).
static ordered_entry *find_links(ordered_set *set, tarn_slice key, tarn_slice row,
                                 ordered_entry ***links) {
    ordered_entry **forward = set->heads; // of the entry before, or of the set
    for (size_t level = ORDERED_LEVELS; level-- > 0;) {
        while (forward[level] != NULL && compare_to(forward[level], key, row) < 0) {
            forward = forward[level]->next;
        }
        links[level] = &forward[level];
    }
    return *links[0];
}

// A quarter of the entries of a level reach the next one.
static uint8_t height_of(uint64_t random) {
    uint8_t height = 1;
    while (height < ORDERED_LEVELS && (random & 3) == 0) {
        height++;
        random >>= 2;
    }
    return height;
}

ordered_entry *ordered_set_find(ordered_set *set, tarn_slice key, tarn_slice row, uint64_t random,
                                const tarn_alloc *alloc) {
    ordered_entry **links[ORDERED_LEVELS];
    ordered_entry *entry = find_links(set, key, row, links);
    if (entry != NULL && compare_to(entry, key, row) == 0) return entry;
    uint8_t height = height_of(random);
    entry = alloc->acquire(alloc->context, entry_bytes(height, key.len, row.len));
    if (entry == NULL) return NULL;
    uint8_t *bytes = (uint8_t *)&entry->next[height];
    if (key.len > 0) memcpy(bytes, key.data, key.len);
    if (row.len > 0) memcpy(bytes + key.len, row.data, row.len);
    *entry = (ordered_entry){.references = 1,
                             .level_count = height,
                             .key = {bytes, key.len},
                             .row = {bytes + key.len, row.len}};
    for (size_t level = 0; level < height; level++) {
        entry->next[level] = *links[level];
        *links[level] = entry;
    }
    return entry;
}

void ordered_set_remove(ordered_set *set, ordered_entry *entry, const tarn_alloc *alloc) {
    ordered_entry **links[ORDERED_LEVELS];
    ordered_entry *found = find_links(set, entry->key, entry->row, links);
    tarn_assert(found == entry);
    for (size_t level = 0; level < entry->level_count; level++) {
        *links[level] = entry->next[level];
    }
    set->copies -= entry->count;
    ordered_entry_unref(entry, alloc);
}

ordered_entry *ordered_set_last(const ordered_set *set) {
    ordered_entry *const *forward = set->heads;
    ordered_entry *last = NULL;
    for (size_t level = ORDERED_LEVELS; level-- > 0;) {
        while (forward[level] != NULL) {
            last = forward[level];
            forward = last->next;
        }
    }
    return last;
}

void ordered_set_clear(ordered_set *set, const tarn_alloc *alloc) {
    for (ordered_entry *entry = set->heads[0]; entry != NULL;) {
        ordered_entry *next = entry->next[0];
        ordered_entry_unref(entry, alloc);
        entry = next;
    }
    *set = (ordered_set){0};
}
