#include "kv/btree/space.h"

#include "base/alloc.h"

#define WORD_PAGES 64u
#define PAGES_MAX  0xFFFFFF00u // leaves room for sums

void btree_space_init(btree_space *space, const tarn_alloc *alloc) {
    *space = (btree_space){.alloc = alloc};
}

void btree_space_reset(btree_space *space) {
    if (space->alloc == NULL) return;
    tarn_alloc_free(space->alloc, space->words, space->word_capacity);
    tarn_alloc_free(space->alloc, space->nodes, 2 * space->word_capacity);
    btree_space_init(space, space->alloc);
}

static uint32_t longest_in(uint64_t word) {
    uint32_t longest = 0;
    for (; word != 0; word &= word << 1) longest++;
    return longest;
}

static btree_space_node node_of_word(uint64_t word) {
    if (word == UINT64_MAX) return (btree_space_node){WORD_PAGES, WORD_PAGES, WORD_PAGES};
    if (word == 0) return (btree_space_node){0, 0, 0};
    return (btree_space_node){(uint32_t)__builtin_ctzll(~word), (uint32_t)__builtin_clzll(~word),
                              longest_in(word)};
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

// `pages`: how many each of the two stands for.
static btree_space_node join(btree_space_node left, btree_space_node right, uint32_t pages) {
    btree_space_node node = {
        .first = left.first == pages ? pages + right.first : left.first,
        .last = right.last == pages ? pages + left.last : right.last,
        .longest = larger(larger(left.longest, right.longest), left.last + right.first),
    };
    return node;
}

// Brings the nodes above words [begin, end) up to date.
static void update(btree_space *space, size_t begin, size_t end) {
    size_t base = space->word_capacity;
    for (size_t i = begin; i < end; i++) space->nodes[base + i] = node_of_word(space->words[i]);
    size_t low = (base + begin) / 2;
    size_t high = (base + end - 1) / 2;
    for (uint32_t pages = WORD_PAGES; low >= 1; low /= 2, high /= 2, pages *= 2) {
        for (size_t i = low; i <= high; i++) {
            space->nodes[i] = join(space->nodes[2 * i], space->nodes[2 * i + 1], pages);
        }
    }
}

static bool enlarge(btree_space *space, size_t word_count) {
    size_t capacity = space->word_capacity == 0 ? 4 : space->word_capacity;
    while (capacity < word_count) capacity *= 2;
    uint64_t *words = tarn_alloc_new(space->alloc, uint64_t, capacity);
    btree_space_node *nodes = tarn_alloc_new(space->alloc, btree_space_node, 2 * capacity);
    if (words == NULL || nodes == NULL) {
        tarn_alloc_free(space->alloc, words, capacity);
        tarn_alloc_free(space->alloc, nodes, 2 * capacity);
        return false;
    }
    size_t old_capacity = space->word_capacity;
    if (old_capacity > 0) memcpy(words, space->words, old_capacity * sizeof *words);
    tarn_alloc_free(space->alloc, space->words, old_capacity);
    tarn_alloc_free(space->alloc, space->nodes, 2 * old_capacity);
    space->words = words;
    space->nodes = nodes;
    space->word_capacity = capacity;
    update(space, 0, capacity);
    return true;
}

bool btree_space_grow(btree_space *space, uint32_t page_count) {
    tarn_assert(page_count >= space->page_count);
    if (page_count > PAGES_MAX) return false;
    size_t word_count = (page_count + WORD_PAGES - 1) / WORD_PAGES;
    if (word_count > space->word_capacity && !enlarge(space, word_count)) return false;
    space->page_count = page_count;
    return true;
}

// Sets or clears the bits of [page, page + count), all of which are the other way now.
static void change(btree_space *space, uint32_t page, uint32_t count, bool make_free) {
    tarn_assert(count > 0 && page <= space->page_count && count <= space->page_count - page);
    uint32_t end = page + count;
    for (uint32_t at = page; at < end;) {
        uint32_t bit = at % WORD_PAGES;
        uint32_t len = end - at < WORD_PAGES - bit ? end - at : WORD_PAGES - bit;
        uint64_t mask = (len == WORD_PAGES ? UINT64_MAX : ((uint64_t)1 << len) - 1) << bit;
        uint64_t *word = &space->words[at / WORD_PAGES];
        tarn_assert((*word & mask) == (make_free ? 0 : mask));
        *word ^= mask;
        at += len;
    }
    update(space, page / WORD_PAGES, (end + WORD_PAGES - 1) / WORD_PAGES);
    space->free_count = make_free ? space->free_count + count : space->free_count - count;
}

// The first place in the word with `count` free pages; there is one.
static uint32_t find_in_word(uint64_t word, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) word &= word >> 1;
    return (uint32_t)__builtin_ctzll(word);
}

bool btree_space_take(btree_space *space, uint32_t count, uint32_t *ret_page) {
    tarn_assert(count > 0);
    if (space->word_capacity == 0 || space->nodes[1].longest < count) return false;
    size_t node = 1;
    uint32_t begin = 0; // of the node
    uint32_t pages = (uint32_t)(space->word_capacity * WORD_PAGES);
    uint32_t found = 0;
    for (;;) {
        if (node >= space->word_capacity) {
            found = begin + find_in_word(space->words[node - space->word_capacity], count);
            break;
        }
        pages /= 2;
        const btree_space_node *left = &space->nodes[2 * node];
        const btree_space_node *right = left + 1;
        if (left->longest >= count) {
            node = 2 * node;
        } else if (left->last + right->first >= count) {
            found = begin + pages - left->last;
            break;
        } else {
            node = 2 * node + 1;
            begin += pages;
        }
    }
    change(space, found, count, false);
    *ret_page = found;
    return true;
}

bool btree_space_extend(btree_space *space, uint32_t count, uint32_t *ret_page) {
    uint32_t tail = btree_space_tail(space);
    if (tail > count) tail = count;
    uint32_t page = space->page_count - tail;
    if (count > PAGES_MAX - page || !btree_space_grow(space, page + count)) return false;
    if (tail > 0) change(space, page, tail, false);
    *ret_page = page;
    return true;
}

void btree_space_take_at(btree_space *space, uint32_t page, uint32_t count) {
    change(space, page, count, false);
}

void btree_space_give(btree_space *space, uint32_t page, uint32_t count) {
    change(space, page, count, true);
}

uint32_t btree_space_tail(const btree_space *space) {
    uint32_t count = 0;
    while (count < space->page_count && btree_space_is_free(space, space->page_count - 1 - count)) {
        count++;
    }
    return count;
}

void btree_space_shrink(btree_space *space, uint32_t count) {
    tarn_assert(count <= space->page_count);
    if (count > 0) change(space, space->page_count - count, count, false);
    space->page_count -= count;
}

bool btree_space_next(const btree_space *space, uint32_t page, uint32_t *ret_page,
                      uint32_t *ret_count) {
    uint32_t limit = space->page_count;
    while (page < limit && !btree_space_is_free(space, page)) {
        bool skip = page % WORD_PAGES == 0 && space->words[page / WORD_PAGES] == 0;
        page += skip ? WORD_PAGES : 1;
    }
    if (page >= limit) return false;
    uint32_t end = page;
    while (end < limit && btree_space_is_free(space, end)) {
        bool skip = end % WORD_PAGES == 0 && limit - end >= WORD_PAGES &&
                    space->words[end / WORD_PAGES] == UINT64_MAX;
        end += skip ? WORD_PAGES : 1;
    }
    *ret_page = page;
    *ret_count = end - page;
    return true;
}
