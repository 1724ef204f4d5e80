#include "lake/sort.h"

// A key's first eight bytes and where the key is: most comparisons never touch the key itself.
typedef struct item {
    uint64_t head;
    uint32_t position;
} item;

// Runs of equal heads up to this length are sorted by insertion.
#define INSERTION_MAX TARN_TUNABLE(24, 2)
// Keys that agree in so many heads are sorted by comparison: this bounds the recursion.
#define HEADS_MAX TARN_TUNABLE(16, 1)

static void count_bytes(const item *items, size_t count, uint32_t counts[8][256]) {
    for (size_t i = 0; i < count; i++) {
        uint64_t head = items[i].head;
        for (size_t b = 0; b < 8; b++) counts[b][head >> (8 * b) & 0xFF]++;
    }
}

static void scatter(const item *restrict from, item *restrict to, size_t count, size_t byte,
                    const uint32_t counts[256]) {
    uint32_t next[256];
    uint32_t sum = 0;
    for (size_t v = 0; v < 256; v++) {
        next[v] = sum;
        sum += counts[v];
    }
    for (size_t i = 0; i < count; i++) to[next[from[i].head >> (8 * byte) & 0xFF]++] = from[i];
}

// Least significant byte first; bytes in which all heads agree, of which there are many, cost
// nothing. Returns the array that holds the result.
static item *sort_heads(item *items, item *spare, size_t count, uint32_t counts[8][256]) {
    count_bytes(items, count, counts);
    for (size_t b = 0; b < 8; b++) {
        if (counts[b][items[0].head >> (8 * b) & 0xFF] == count) continue;
        scatter(items, spare, count, b, counts[b]);
        item *swap = items;
        items = spare;
        spare = swap;
    }
    return items;
}

static int compare(const lake_keys *keys, item a, item b) {
    return tarn_slice_compare(lake_keys_at(keys, a.position), lake_keys_at(keys, b.position));
}

static void insertion_sort(const lake_keys *keys, item *items, size_t count) {
    for (size_t i = 1; i < count; i++) {
        item moving = items[i];
        size_t hole = i;
        while (hole > 0 && compare(keys, moving, items[hole - 1]) < 0) {
            items[hole] = items[hole - 1];
            hole--;
        }
        items[hole] = moving;
    }
}

static void sift_down(const lake_keys *keys, item *items, size_t root, size_t count) {
    item moving = items[root];
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && compare(keys, items[child], items[child + 1]) < 0) child++;
        if (compare(keys, moving, items[child]) >= 0) break;
        items[root] = items[child];
        root = child;
    }
    items[root] = moving;
}

static void heap_sort(const lake_keys *keys, item *items, size_t count) {
    for (size_t i = count / 2; i > 0; i--) sift_down(keys, items, i - 1, count);
    for (size_t end = count - 1; end > 0; end--) {
        item last = items[end];
        items[end] = items[0];
        items[0] = last;
        sift_down(keys, items, 0, end);
    }
}

// The eight bytes of a key from `offset` on; zeros behind its end, which sort before everything.
static uint64_t head_at(tarn_slice key, size_t offset) {
    uint8_t bytes[8] = {0};
    if (key.len > offset) {
        size_t len = key.len - offset < sizeof bytes ? key.len - offset : sizeof bytes;
        memcpy(bytes, key.data + offset, len);
    }
    return tarn_load_u64_be(bytes);
}

typedef struct sorter {
    const lake_keys *keys;
    uint32_t (*counts)[256]; // eight histograms
} sorter;

static void sort_items(const sorter *s, item *items, item *spare, size_t count, int depth);

// Items that agree in everything before `depth` heads: sorts them by what follows.
static void sort_run(const sorter *s, item *items, item *spare, size_t count, int depth) {
    if (count <= INSERTION_MAX) {
        insertion_sort(s->keys, items, count);
    } else if (depth > HEADS_MAX) {
        heap_sort(s->keys, items, count);
    } else {
        // Behind the null marker of the first column, as the heads that came with the keys.
        size_t offset = 1 + (size_t)depth * sizeof(uint64_t);
        for (size_t i = 0; i < count; i++) {
            items[i].head = head_at(lake_keys_at(s->keys, items[i].position), offset);
        }
        sort_items(s, items, spare, count, depth);
    }
}

// Sorts by the heads, and runs of equal heads by the next eight bytes.
static void sort_items(const sorter *s, item *items, item *spare, size_t count, int depth) {
    memset(s->counts, 0, 8 * sizeof *s->counts);
    item *sorted = sort_heads(items, spare, count, s->counts);
    if (sorted != items) memcpy(items, sorted, count * sizeof *items);
    for (size_t begin = 0; begin < count;) {
        size_t end = begin + 1;
        while (end < count && items[end].head == items[begin].head) end++;
        if (end - begin > 1) sort_run(s, items + begin, spare + begin, end - begin, depth + 1);
        begin = end;
    }
}

tarn_status lake_sort_keys(const lake_keys *keys, uint32_t *positions, size_t count,
                           tarn_arena *scratch, tarn_error *err) {
    if (count < 2) return TARN_OK;
    item *items = tarn_arena_new_raw(scratch, item, count);
    item *spare = tarn_arena_new_raw(scratch, item, count);
    sorter s = {keys, tarn_arena_alloc(scratch, sizeof *s.counts, 8)};
    if (items == NULL || spare == NULL || s.counts == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "sorting %zu keys", count);
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = (item){lake_keys_head(keys, positions[i]), positions[i]};
    }
    sort_items(&s, items, spare, count, 0);
    for (size_t i = 0; i < count; i++) positions[i] = items[i].position;
    return TARN_OK;
}
