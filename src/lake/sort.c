#include "lake/sort.h"

// A key's first eight bytes and where the key is: most comparisons never touch the key itself.
typedef struct item {
    uint64_t head;
    uint32_t position;
} item;

// Runs of equal heads up to this length are sorted by insertion.
#define INSERTION_MAX 12

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

static void sort_run(const lake_keys *keys, item *items, size_t count) {
    if (count <= INSERTION_MAX) {
        insertion_sort(keys, items, count);
    } else {
        heap_sort(keys, items, count);
    }
}

tarn_status lake_sort_keys(const lake_keys *keys, uint32_t *positions, size_t count,
                           tarn_arena *scratch, tarn_error *err) {
    if (count < 2) return TARN_OK;
    item *items = tarn_arena_new_raw(scratch, item, count);
    item *spare = tarn_arena_new_raw(scratch, item, count);
    uint32_t(*counts)[256] = tarn_arena_alloc(scratch, sizeof *counts, 8);
    if (items == NULL || spare == NULL || counts == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "sorting %zu keys", count);
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = (item){lake_keys_head(keys, positions[i]), positions[i]};
    }
    items = sort_heads(items, spare, count, counts);
    for (size_t begin = 0; begin < count;) {
        size_t end = begin + 1;
        while (end < count && items[end].head == items[begin].head) end++;
        if (end - begin > 1) sort_run(keys, items + begin, end - begin);
        begin = end;
    }
    for (size_t i = 0; i < count; i++) positions[i] = items[i].position;
    return TARN_OK;
}
