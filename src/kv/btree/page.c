// Changing a page: one entry at a time, and taking pages apart to divide or join them.
#include "kv/btree/page.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "kv/btree/page_internal.h"

static void set_u16(uint8_t *page, size_t at, size_t value) {
    tarn_assert(value <= UINT16_MAX);
    tarn_store_u16(page + at, (uint16_t)value);
}

void btree_page_init(uint8_t *page, size_t page_bytes, btree_page_kind kind, uint8_t level) {
    memset(page + BTREE_AT_KIND, 0, page_bytes - BTREE_AT_KIND);
    page[BTREE_AT_KIND] = (uint8_t)kind;
    page[BTREE_AT_LEVEL] = level;
    set_u16(page, BTREE_AT_CELLS, page_bytes);
    set_u16(page, BTREE_AT_PREFIX, page_bytes);
}

bool btree_scratch_init(btree_scratch *scratch, const tarn_alloc *alloc, size_t page_bytes) {
    size_t capacity = 2 * (btree_page_room(page_bytes) / BTREE_LEAF_SLOT) + 1;
    *scratch = (btree_scratch){.alloc = alloc, .page_bytes = page_bytes, .capacity = capacity};
    scratch->pages = tarn_alloc_zeroed(alloc, page_bytes, 3);
    scratch->entries = tarn_alloc_new(alloc, btree_entry, capacity);
    if (scratch->pages != NULL && scratch->entries != NULL) return true;
    btree_scratch_reset(scratch);
    return false;
}

void btree_scratch_reset(btree_scratch *scratch) {
    if (scratch->alloc == NULL) return;
    tarn_alloc_release(scratch->alloc, scratch->pages, scratch->page_bytes, 3);
    tarn_alloc_free(scratch->alloc, scratch->entries, scratch->capacity);
    *scratch = (btree_scratch){0};
}

// Three entries have room in every page, whatever their keys: so a page can always be divided.
static size_t cell_limit(size_t page_bytes) {
    return btree_page_room(page_bytes) / 3 - BTREE_BRANCH_SLOT;
}

size_t btree_key_limit(size_t page_bytes) {
    size_t limit = cell_limit(page_bytes) - BTREE_LEAF_CELL - BTREE_RUN_REF_BYTES;
    return limit < TARN_KV_BTREE_KEY_MAX ? limit : TARN_KV_BTREE_KEY_MAX;
}

size_t btree_inline_limit(size_t page_bytes, size_t key_len) {
    return cell_limit(page_bytes) - BTREE_LEAF_CELL - key_len;
}

// ---- entries ----

static size_t key_len_of(const btree_entry *entry) {
    return entry->prefix.len + entry->suffix.len;
}

static uint8_t key_byte(const btree_entry *entry, size_t index) {
    return index < entry->prefix.len ? entry->prefix.data[index]
                                     : entry->suffix.data[index - entry->prefix.len];
}

static void copy_bytes(uint8_t *to, tarn_slice bytes) {
    if (bytes.len > 0) memcpy(to, bytes.data, bytes.len);
}

// Copies the key without its first `skip` bytes.
static void copy_key(const btree_entry *entry, size_t skip, uint8_t *to) {
    if (skip < entry->prefix.len) {
        tarn_slice rest = tarn_slice_skip(entry->prefix, skip);
        copy_bytes(to, rest);
        copy_bytes(to + rest.len, entry->suffix);
    } else {
        copy_bytes(to, tarn_slice_skip(entry->suffix, skip - entry->prefix.len));
    }
}

static size_t common_len(const btree_entry *a, const btree_entry *b) {
    size_t limit = key_len_of(a) < key_len_of(b) ? key_len_of(a) : key_len_of(b);
    size_t len = 0;
    // Entries of one page share its prefix.
    if (a->prefix.data == b->prefix.data && a->prefix.len == b->prefix.len) len = a->prefix.len;
    while (len < limit && key_byte(a, len) == key_byte(b, len)) len++;
    return len;
}

static size_t stored_value_bytes(const btree_value *value) {
    return value->run_page != 0 ? BTREE_RUN_REF_BYTES : value->bytes.len;
}

static void store_value(uint8_t *cell, size_t key_len, const btree_value *value) {
    uint8_t *at = cell + BTREE_LEAF_CELL + key_len;
    if (value->run_page != 0) {
        tarn_store_u16(cell + 2, BTREE_VALUE_IN_RUN);
        tarn_store_u64(at, value->run_bytes);
        tarn_store_u32(at + 8, value->run_page);
    } else {
        tarn_store_u16(cell + 2, (uint16_t)value->bytes.len);
        copy_bytes(at, value->bytes);
    }
}

// ---- one entry ----

static size_t free_bytes(const uint8_t *page) {
    return tarn_load_u16(page + BTREE_AT_CELLS) - BTREE_HEADER_BYTES -
           btree_slot_bytes(page) * btree_page_count(page);
}

size_t btree_page_used(const uint8_t *page, size_t page_bytes) {
    return btree_page_room(page_bytes) - free_bytes(page) - tarn_load_u16(page + BTREE_AT_GARBAGE);
}

static size_t cell_bytes_at(const uint8_t *page, size_t index) {
    const uint8_t *cell = btree_page_cell(page, index);
    size_t key_len = tarn_load_u16(cell);
    if (!btree_page_is_leaf(page)) return BTREE_BRANCH_CELL + key_len;
    uint16_t len = tarn_load_u16(cell + 2);
    return BTREE_LEAF_CELL + key_len + (len == BTREE_VALUE_IN_RUN ? BTREE_RUN_REF_BYTES : len);
}

// Moves the cells together, so that all free bytes are in one piece.
static void defragment(uint8_t *page, btree_scratch *scratch) {
    uint8_t *copy = btree_scratch_page(scratch, 0);
    memcpy(copy, page, scratch->page_bytes);
    size_t count = btree_page_count(page);
    uint8_t *offsets = page + (btree_page_offsets(page) - page);
    size_t end = tarn_load_u16(page + BTREE_AT_PREFIX);
    for (size_t i = 0; i < count; i++) {
        size_t len = cell_bytes_at(copy, i);
        end -= len;
        memcpy(page + end, btree_page_cell(copy, i), len);
        tarn_store_u16(offsets + 2 * i, (uint16_t)end);
    }
    set_u16(page, BTREE_AT_CELLS, end);
    set_u16(page, BTREE_AT_GARBAGE, 0);
}

// Makes a slot before `index` whose cell has `len` bytes, and returns the cell. The page has room.
static uint8_t *open_slot(uint8_t *page, size_t index, uint32_t head, size_t len) {
    size_t count = btree_page_count(page);
    size_t arrays = btree_slot_bytes(page) / 4; // of four-byte columns: 1 or 2
    uint8_t *heads = page + BTREE_HEADER_BYTES;
    uint8_t *offsets = heads + 4 * arrays * count;
    uint8_t *new_offsets = heads + 4 * arrays * (count + 1);
    // From the back, for each array moves onto the one behind it.
    memmove(new_offsets + 2 * (index + 1), offsets + 2 * index, 2 * (count - index));
    memmove(new_offsets, offsets, 2 * index);
    if (arrays == 2) {
        uint8_t *children = heads + 4 * count;
        uint8_t *new_children = heads + 4 * (count + 1);
        memmove(new_children + 4 * (index + 1), children + 4 * index, 4 * (count - index));
        memmove(new_children, children, 4 * index);
    }
    memmove(heads + 4 * (index + 1), heads + 4 * index, 4 * (count - index));
    size_t begin = tarn_load_u16(page + BTREE_AT_CELLS) - len;
    tarn_store_u32(heads + 4 * index, head);
    tarn_store_u16(new_offsets + 2 * index, (uint16_t)begin);
    set_u16(page, BTREE_AT_CELLS, begin);
    set_u16(page, BTREE_AT_COUNT, count + 1);
    return page + begin;
}

void btree_page_remove(uint8_t *page, size_t begin, size_t end) {
    size_t count = btree_page_count(page);
    tarn_assert(begin <= end && end <= count);
    if (begin == end) return;
    size_t garbage = tarn_load_u16(page + BTREE_AT_GARBAGE);
    for (size_t i = begin; i < end; i++) garbage += cell_bytes_at(page, i);
    size_t arrays = btree_slot_bytes(page) / 4;
    size_t gone = end - begin;
    uint8_t *heads = page + BTREE_HEADER_BYTES;
    uint8_t *offsets = heads + 4 * arrays * count;
    uint8_t *new_offsets = heads + 4 * arrays * (count - gone);
    // From the front, for each array moves onto the one before it.
    memmove(heads + 4 * begin, heads + 4 * end, 4 * (count - end));
    if (arrays == 2) {
        uint8_t *children = heads + 4 * count;
        uint8_t *new_children = heads + 4 * (count - gone);
        memmove(new_children, children, 4 * begin);
        memmove(new_children + 4 * begin, children + 4 * end, 4 * (count - end));
    }
    memmove(new_offsets, offsets, 2 * begin);
    memmove(new_offsets + 2 * begin, offsets + 2 * end, 2 * (count - end));
    set_u16(page, BTREE_AT_COUNT, count - gone);
    set_u16(page, BTREE_AT_GARBAGE, garbage);
    page[BTREE_AT_ASCENDING] = 0;
    if (!btree_page_is_leaf(page) && begin == 0 && count > gone) {
        // What is first now stands for everything lower: its key goes.
        uint8_t *cell = page + (btree_page_cell(page, 0) - page);
        set_u16(page, BTREE_AT_GARBAGE, garbage + tarn_load_u16(cell));
        tarn_store_u16(cell, 0);
        tarn_store_u32(heads, 0);
    }
}

void btree_branch_set_child(uint8_t *page, size_t index, uint32_t child) {
    tarn_assert(index < btree_page_count(page));
    tarn_store_u32(page + BTREE_HEADER_BYTES + (size_t)4 * (btree_page_count(page) + index), child);
}

bool btree_leaf_overwrite(uint8_t *page, size_t index, const btree_value *value) {
    uint8_t *cell = page + (btree_page_cell(page, index) - page);
    uint16_t len = tarn_load_u16(cell + 2);
    if (value->run_page != 0 ? len != BTREE_VALUE_IN_RUN
                             : len == BTREE_VALUE_IN_RUN || len != value->bytes.len) {
        return false;
    }
    store_value(cell, tarn_load_u16(cell), value);
    return true;
}

static void note_insert(uint8_t *page, size_t index) {
    bool is_behind = index > 0 && tarn_load_u16(page + BTREE_AT_LAST) == index - 1;
    uint8_t ascending = page[BTREE_AT_ASCENDING];
    page[BTREE_AT_ASCENDING] = !is_behind ? 0 : ascending == UINT8_MAX ? ascending : ascending + 1;
    set_u16(page, BTREE_AT_LAST, index);
}

// ---- many entries ----

static size_t take_apart(const uint8_t *page, btree_entry *entries) {
    size_t count = btree_page_count(page);
    bool is_leaf = btree_page_is_leaf(page);
    tarn_slice prefix = btree_page_prefix(page);
    for (size_t i = 0; i < count; i++) {
        bool has_key = is_leaf || i > 0;
        entries[i] = (btree_entry){.prefix = has_key ? prefix : (tarn_slice){NULL, 0},
                                   .suffix = btree_page_suffix(page, i)};
        if (is_leaf) {
            entries[i].value = btree_leaf_value(page, i);
        } else {
            entries[i].child = btree_branch_child(page, i);
        }
    }
    return count;
}

// What entries [0, count) take in a page of their own, and the length of their prefix. Entry 0 of a
// branch is counted without its key.
static size_t size_of(const btree_entry *entries, size_t count, bool is_leaf, bool has_prefix,
                      size_t *ret_prefix_len) {
    size_t first = is_leaf ? 0 : 1;
    size_t prefix_len = 0;
    if (has_prefix && first < count) {
        prefix_len = common_len(&entries[first], &entries[count - 1]);
    }
    size_t bytes = prefix_len;
    for (size_t i = 0; i < count; i++) {
        size_t key_len = i < first ? 0 : key_len_of(&entries[i]) - prefix_len;
        bytes += key_len + (is_leaf ? BTREE_LEAF_SLOT + BTREE_LEAF_CELL +
                                          stored_value_bytes(&entries[i].value)
                                    : BTREE_BRANCH_SLOT + BTREE_BRANCH_CELL);
    }
    *ret_prefix_len = prefix_len;
    return bytes;
}

// Fills an empty page, which has room for the entries.
static void put_together(uint8_t *page, const btree_entry *entries, size_t count, size_t prefix_len,
                         bool has_heads) {
    bool is_leaf = btree_page_is_leaf(page);
    size_t first = is_leaf ? 0 : 1;
    uint8_t *heads = page + BTREE_HEADER_BYTES;
    uint8_t *offsets = heads + (btree_slot_bytes(page) - 2) * count;
    size_t end = tarn_load_u16(page + BTREE_AT_PREFIX);
    if (prefix_len > 0) {
        end -= prefix_len;
        for (size_t i = 0; i < prefix_len; i++) page[end + i] = key_byte(&entries[first], i);
        set_u16(page, BTREE_AT_PREFIX, end);
        set_u16(page, BTREE_AT_PREFIX_LEN, prefix_len);
    }
    for (size_t i = 0; i < count; i++) {
        size_t key_len = i < first ? 0 : key_len_of(&entries[i]) - prefix_len;
        size_t cell_bytes = is_leaf ? BTREE_LEAF_CELL : BTREE_BRANCH_CELL;
        end -= cell_bytes + key_len + (is_leaf ? stored_value_bytes(&entries[i].value) : 0);
        uint8_t *cell = page + end;
        tarn_store_u16(cell, (uint16_t)key_len);
        if (key_len > 0) copy_key(&entries[i], prefix_len, cell + cell_bytes);
        if (is_leaf) {
            store_value(cell, key_len, &entries[i].value);
            if (entries[i].value.run_page != 0) page[BTREE_AT_HAS_RUNS] = 1;
        } else {
            tarn_store_u32(heads + 4 * (count + i), entries[i].child);
        }
        tarn_slice key = {cell + cell_bytes, key_len};
        tarn_store_u32(heads + 4 * i, has_heads && i >= first ? btree_head_of(key) : 0);
        tarn_store_u16(offsets + 2 * i, (uint16_t)end);
    }
    set_u16(page, BTREE_AT_CELLS, end);
    set_u16(page, BTREE_AT_COUNT, count);
}

static void clear(uint8_t *page, size_t page_bytes) {
    btree_page_init(page, page_bytes, (btree_page_kind)page[BTREE_AT_KIND], page[BTREE_AT_LEVEL]);
}

// Takes the page apart, out of a copy, with one more entry.
static size_t take_apart_with(const uint8_t *page, size_t index, const btree_entry *entry,
                              btree_scratch *scratch) {
    uint8_t *copy = btree_scratch_page(scratch, 0);
    memcpy(copy, page, scratch->page_bytes);
    btree_entry *entries = scratch->entries;
    size_t count = take_apart(copy, entries);
    tarn_assert(index <= count && count < scratch->capacity);
    memmove(entries + index + 1, entries + index, (count - index) * sizeof *entries);
    entries[index] = *entry;
    return count + 1;
}

// The slow way: a new prefix.
static bool insert_rebuilding(uint8_t *page, const tarn_kv_comparator *comparator, size_t index,
                              const btree_entry *entry, btree_scratch *scratch) {
    size_t count = take_apart_with(page, index, entry, scratch);
    size_t prefix_len;
    size_t bytes =
        size_of(scratch->entries, count, btree_page_is_leaf(page), comparator == NULL, &prefix_len);
    if (bytes > btree_page_room(scratch->page_bytes)) return false;
    clear(page, scratch->page_bytes);
    put_together(page, scratch->entries, count, prefix_len, comparator == NULL);
    note_insert(page, index);
    return true;
}

static bool insert(uint8_t *page, const tarn_kv_comparator *comparator, size_t index,
                   const btree_entry *entry, btree_scratch *scratch) {
    tarn_slice prefix = btree_page_prefix(page);
    tarn_slice key = entry->suffix; // whole: there is no prefix
    bool is_leaf = btree_page_is_leaf(page);
    bool has_key = is_leaf || btree_page_count(page) > 0;
    if (has_key && !tarn_slice_starts_with(key, prefix)) {
        return insert_rebuilding(page, comparator, index, entry, scratch);
    }
    tarn_slice suffix = has_key ? tarn_slice_skip(key, prefix.len) : (tarn_slice){NULL, 0};
    size_t cell_bytes = is_leaf ? BTREE_LEAF_CELL : BTREE_BRANCH_CELL;
    size_t len = cell_bytes + suffix.len + (is_leaf ? stored_value_bytes(&entry->value) : 0);
    size_t wanted = len + btree_slot_bytes(page);
    size_t there = free_bytes(page);
    if (wanted > there + tarn_load_u16(page + BTREE_AT_GARBAGE)) {
        return false;
    }
    if (wanted > there) defragment(page, scratch);
    uint32_t head = comparator == NULL ? btree_head_of(suffix) : 0;
    uint8_t *cell = open_slot(page, index, head, len);
    tarn_store_u16(cell, (uint16_t)suffix.len);
    copy_bytes(cell + cell_bytes, suffix);
    if (is_leaf) {
        store_value(cell, suffix.len, &entry->value);
        if (entry->value.run_page != 0) page[BTREE_AT_HAS_RUNS] = 1;
    } else {
        btree_branch_set_child(page, index, entry->child);
    }
    note_insert(page, index);
    return true;
}

bool btree_leaf_insert(uint8_t *page, const tarn_kv_comparator *comparator, size_t index,
                       tarn_slice key, const btree_value *value, btree_scratch *scratch) {
    tarn_assert(btree_page_is_leaf(page));
    btree_entry entry = {.suffix = key, .value = *value};
    return insert(page, comparator, index, &entry, scratch);
}

bool btree_branch_insert(uint8_t *page, const tarn_kv_comparator *comparator, size_t index,
                         tarn_slice key, uint32_t child, btree_scratch *scratch) {
    tarn_assert(!btree_page_is_leaf(page));
    tarn_assert(index > 0 || btree_page_count(page) == 0);
    btree_entry entry = {.suffix = key, .child = child};
    return insert(page, comparator, index, &entry, scratch);
}

// ---- dividing and joining ----

static bool both_have_room(const btree_scratch *scratch, size_t count, size_t at, bool is_leaf,
                           bool has_prefix) {
    size_t room = btree_page_room(scratch->page_bytes);
    size_t prefix_len;
    return size_of(scratch->entries, at, is_leaf, has_prefix, &prefix_len) <= room &&
           size_of(scratch->entries + at, count - at, is_leaf, has_prefix, &prefix_len) <= room;
}

// Where half of the bytes are.
static size_t middle_of(const btree_entry *entries, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += key_len_of(&entries[i]) + stored_value_bytes(&entries[i].value) + BTREE_LEAF_SLOT;
    }
    size_t sum = 0;
    size_t at = 0;
    while (at < count - 1 && sum < total / 2) {
        sum += key_len_of(&entries[at]) + stored_value_bytes(&entries[at].value) + BTREE_LEAF_SLOT;
        at++;
    }
    return at == 0 ? 1 : at;
}

// So many entries in ascending order, one behind the other, are taken for a pattern.
#define ASCENDING_ENOUGH 3

// How many of the entries stay on the left: 1 to count - 1. One that fits is always there: a new
// key with the page's prefix leaves cells of at most a third of a page to be divided; another one
// is the first or the last, and can be put into a page of its own.
static size_t choose_split(const uint8_t *page, const btree_scratch *scratch, size_t count,
                           size_t index, bool has_prefix) {
    bool is_leaf = btree_page_is_leaf(page);
    bool is_ascending = page[BTREE_AT_ASCENDING] >= ASCENDING_ENOUGH &&
                        tarn_load_u16(page + BTREE_AT_LAST) + 1u == index;
    size_t wish = is_ascending ? index : middle_of(scratch->entries, count);
    for (size_t distance = 0; distance < count; distance++) {
        if (wish + distance < count &&
            both_have_room(scratch, count, wish + distance, is_leaf, has_prefix)) {
            return wish + distance;
        }
        if (distance < wish &&
            both_have_room(scratch, count, wish - distance, is_leaf, has_prefix)) {
            return wish - distance;
        }
    }
    tarn_assert(count == 0); // a page can always be divided
    return 0;
}

// The shortest key behind `left` and not behind `right`; with a comparator only `right` will do.
static size_t write_separator(const btree_entry *left, const btree_entry *right, bool is_leaf,
                              bool has_prefix, uint8_t *separator) {
    size_t len = key_len_of(right);
    if (is_leaf && has_prefix) len = common_len(left, right) + 1;
    for (size_t i = 0; i < len; i++) separator[i] = key_byte(right, i);
    return len;
}

size_t btree_page_split(uint8_t *page, uint8_t *right, const tarn_kv_comparator *comparator,
                        size_t index, const btree_entry *entry, btree_scratch *scratch,
                        uint8_t *separator) {
    bool has_prefix = comparator == NULL;
    bool is_leaf = btree_page_is_leaf(page);
    size_t count = take_apart_with(page, index, entry, scratch);
    const btree_entry *entries = scratch->entries;
    size_t at = choose_split(page, scratch, count, index, has_prefix);
    size_t separator_len =
        write_separator(&entries[at - 1], &entries[at], is_leaf, has_prefix, separator);
    size_t left_prefix_len;
    size_t right_prefix_len;
    (void)size_of(entries, at, is_leaf, has_prefix, &left_prefix_len);
    (void)size_of(entries + at, count - at, is_leaf, has_prefix, &right_prefix_len);
    uint8_t ascending = page[BTREE_AT_ASCENDING];
    clear(page, scratch->page_bytes);
    put_together(page, entries, at, left_prefix_len, has_prefix);
    put_together(right, entries + at, count - at, right_prefix_len, has_prefix);
    // The run of ascending inserts goes on where the new entry lies.
    uint8_t *target = index < at ? page : right;
    set_u16(target, BTREE_AT_LAST, index < at ? index : index - at);
    target[BTREE_AT_ASCENDING] = ascending;
    return separator_len;
}

bool btree_page_merge(uint8_t *page, const uint8_t *right, const tarn_kv_comparator *comparator,
                      tarn_slice separator, btree_scratch *scratch) {
    bool is_leaf = btree_page_is_leaf(page);
    tarn_assert(is_leaf == btree_page_is_leaf(right));
    uint8_t *copy = btree_scratch_page(scratch, 0);
    memcpy(copy, page, scratch->page_bytes);
    btree_entry *entries = scratch->entries;
    size_t count = take_apart(copy, entries);
    size_t middle = count;
    count += take_apart(right, entries + count);
    tarn_assert(count <= scratch->capacity);
    if (!is_leaf) {
        entries[middle].prefix = (tarn_slice){NULL, 0};
        entries[middle].suffix = separator;
    }
    size_t prefix_len;
    size_t bytes = size_of(entries, count, is_leaf, comparator == NULL, &prefix_len);
    if (bytes > btree_page_room(scratch->page_bytes)) return false;
    clear(page, scratch->page_bytes);
    put_together(page, entries, count, prefix_len, comparator == NULL);
    return true;
}

// ---- from and to the disk ----

uint64_t btree_page_checksum(const uint8_t *page, size_t len) {
    return tarn_xxh64((tarn_slice){page + BTREE_AT_PAGE, len - BTREE_AT_PAGE});
}

static bool check_cells(const uint8_t *page, size_t page_bytes, const char **ret_reason) {
    bool is_leaf = btree_page_is_leaf(page);
    size_t count = btree_page_count(page);
    size_t cells = tarn_load_u16(page + BTREE_AT_CELLS);
    size_t prefix_len = tarn_load_u16(page + BTREE_AT_PREFIX_LEN);
    size_t end = tarn_load_u16(page + BTREE_AT_PREFIX);
    size_t header = is_leaf ? BTREE_LEAF_CELL : BTREE_BRANCH_CELL;
    const uint8_t *offsets = btree_page_offsets(page);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = tarn_load_u16(offsets + 2 * i);
        *ret_reason = "a cell lies outside its page";
        if (at < cells || at > end || end - at < header) return false;
        size_t len = cell_bytes_at(page, i);
        if (len > end - at) return false;
        total += len;
        *ret_reason = "a key is too long";
        if (prefix_len + tarn_load_u16(page + at) > btree_key_limit(page_bytes)) return false;
        *ret_reason = "a value lies in a run of no page";
        if (is_leaf && tarn_load_u16(page + at + 2) == BTREE_VALUE_IN_RUN &&
            btree_leaf_value(page, i).run_page == 0) {
            return false;
        }
    }
    *ret_reason = "its cells and its free bytes do not add up";
    return total + tarn_load_u16(page + BTREE_AT_GARBAGE) == end - cells;
}

bool btree_page_check(const uint8_t *page, size_t page_bytes, const char **ret_reason) {
    uint8_t kind = page[BTREE_AT_KIND];
    *ret_reason = "it is neither a leaf nor a branch";
    if (kind != BTREE_LEAF && kind != BTREE_BRANCH) return false;
    *ret_reason = "its level is that of another kind";
    if ((kind == BTREE_LEAF) != (page[BTREE_AT_LEVEL] == 0)) return false;
    if (page[BTREE_AT_LEVEL] >= BTREE_LEVELS_MAX) return false;
    size_t count = btree_page_count(page);
    size_t cells = tarn_load_u16(page + BTREE_AT_CELLS);
    size_t prefix = tarn_load_u16(page + BTREE_AT_PREFIX);
    *ret_reason = "it has no entries";
    if (count == 0) return false;
    *ret_reason = "its parts overlap";
    if (prefix + (size_t)tarn_load_u16(page + BTREE_AT_PREFIX_LEN) != page_bytes) return false;
    if (cells > prefix) return false;
    if (BTREE_HEADER_BYTES + btree_slot_bytes(page) * count > cells) return false;
    if (!check_cells(page, page_bytes, ret_reason)) return false;
    *ret_reason = "its first child has a key";
    return kind == BTREE_LEAF || btree_page_suffix(page, 0).len == 0;
}
