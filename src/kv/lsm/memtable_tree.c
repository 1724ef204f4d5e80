// A B+tree with optimistic latches (Leis et al., BTW 2019) over records that lie in the arena.
//
// A node holds, beside pointers to records, their heads: 8 key bytes as a number, taken behind the
// prefix that the node's bounds have in common, so that most comparisons touch no record. Nothing
// is ever removed, which keeps it simple: nodes and records live as long as the memtable, the first
// entry of a leaf is the record that bounds it from below, and what a reader finds in a node that
// changes meanwhile is old or mixed, never wild. It looks at the version afterwards and goes again.
//
// Order of memory: a writer makes the version odd, changes, and makes it even again. Its stores
// are releases and a reader's loads acquires, so a reader that sees any of the changes also sees
// the odd version, or a later one, when it looks again.
#include "kv/lsm/memtable.h"

enum {
    FANOUT = TARN_TUNABLE(64, 4),
    HEIGHT_MAX = 32,
};

typedef struct node {
    _Atomic uint64_t version; // odd: a writer is at work
    _Atomic uint32_t count;   // entries, or separators
    _Atomic uint32_t prefix_len;
    const lsm_record *_Atomic low;  // <= all below it; NULL: open
    const lsm_record *_Atomic high; // > all below it; NULL: open
    bool is_leaf;
    _Atomic uint64_t heads[FANOUT];
    const lsm_record *_Atomic records[FANOUT];
    struct node *_Atomic children[]; // FANOUT + 1 in inner ones; child i + 1 begins at record i
} node;

#define LOAD(field)         atomic_load_explicit(&(field), memory_order_acquire)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

// ---- latches ----

static uint64_t begin_read(const node *n) {
    for (;;) {
        uint64_t version = LOAD(n->version);
        if ((version & 1) == 0) return version;
    }
}

static bool is_unchanged(const node *n, uint64_t version) {
    return atomic_load_explicit(&n->version, memory_order_relaxed) == version;
}

static bool try_latch(node *n, uint64_t version) {
    return atomic_compare_exchange_strong_explicit(&n->version, &version, version + 1,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

static void unlatch(node *n) {
    atomic_fetch_add_explicit(&n->version, 1, memory_order_release);
}

// ---- searching one node ----

static node *new_node(lsm_memtable *memtable, bool is_leaf) {
    size_t children_bytes = is_leaf ? 0 : (FANOUT + 1) * sizeof(node *);
    node *n = lsm_arena_alloc(&memtable->arena, sizeof *n + children_bytes);
    if (n == NULL) return NULL;
    memset((void *)n, 0, sizeof *n + children_bytes);
    n->is_leaf = is_leaf;
    return n;
}

static uint64_t head_of(lsm_order order, tarn_slice key, uint32_t prefix_len) {
    return lsm_order_is_bytewise(order) ? lsm_key_head(key, prefix_len) : 0;
}

typedef struct target {
    lsm_order order;
    tarn_slice key;
    uint64_t trailer;
} target;

static bool is_before(const lsm_record *record, const target *t) {
    return lsm_compare(t->order, lsm_record_key(record), record->trailer, t->key, t->trailer) < 0;
}

// How many of the node's records are before the target. A node that changes meanwhile gives any
// number up to FANOUT.
static uint32_t count_before(const node *n, const target *t) {
    uint64_t head = head_of(t->order, t->key, LOAD(n->prefix_len));
    uint32_t low = 0;
    uint32_t high = LOAD(n->count);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        uint64_t other = LOAD(n->heads[middle]);
        bool before = other != head ? other < head : is_before(LOAD(n->records[middle]), t);
        if (before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The same, also counting a record that is the target itself: which child to go to.
static uint32_t count_up_to(const node *n, const target *t) {
    target behind = *t;
    if (behind.trailer > 0) behind.trailer--; // no record has trailer 0
    return count_before(n, &behind);
}

// ---- descending ----

typedef struct place {
    node *n;
    uint64_t version;
} place;

static bool begin_at_root(const lsm_memtable *memtable, place *ret_place) {
    node *root = LOAD(memtable->root);
    *ret_place = (place){root, begin_read(root)};
    // A root that was split has a new one above it.
    return LOAD(memtable->root) == (void *)root;
}

static bool go_down(place *at, uint32_t child) {
    node *next = LOAD(at->n->children[child]);
    if (!is_unchanged(at->n, at->version)) return false;
    uint64_t version = begin_read(next);
    if (!is_unchanged(at->n, at->version)) return false;
    *at = (place){next, version};
    return true;
}

typedef enum side { UP_TO, BEFORE } side;

// To the leaf where the target belongs; BEFORE: where what is before it lies.
static place find_leaf(const lsm_memtable *memtable, const target *t, side which) {
    place at;
    for (;;) {
        bool is_whole = begin_at_root(memtable, &at);
        while (is_whole && !at.n->is_leaf) {
            is_whole = go_down(&at, which == UP_TO ? count_up_to(at.n, t) : count_before(at.n, t));
        }
        if (is_whole) return at;
    }
}

// ---- inserting ----

static uint32_t common_prefix(lsm_order order, const lsm_record *low, const lsm_record *high) {
    if (low == NULL || high == NULL || !lsm_order_is_bytewise(order)) return 0;
    return (uint32_t)lsm_common_prefix(lsm_record_key(low), lsm_record_key(high));
}

// Makes the heads fit the bounds.
static void set_prefix(lsm_order order, node *n) {
    uint32_t prefix_len = common_prefix(order, LOAD(n->low), LOAD(n->high));
    if (prefix_len == LOAD(n->prefix_len)) return;
    STORE(n->prefix_len, prefix_len);
    for (uint32_t i = 0; i < LOAD(n->count); i++) {
        STORE(n->heads[i], head_of(order, lsm_record_key(LOAD(n->records[i])), prefix_len));
    }
}

static void insert_at(lsm_order order, node *n, uint32_t position, const lsm_record *record,
                      node *child) {
    uint32_t count = LOAD(n->count);
    for (uint32_t i = count; i > position; i--) {
        STORE(n->heads[i], LOAD(n->heads[i - 1]));
        STORE(n->records[i], LOAD(n->records[i - 1]));
    }
    if (child != NULL) {
        for (uint32_t i = count + 1; i > position + 1; i--) {
            STORE(n->children[i], LOAD(n->children[i - 1]));
        }
        STORE(n->children[position + 1], child);
    }
    STORE(n->records[position], record);
    STORE(n->heads[position], head_of(order, lsm_record_key(record), LOAD(n->prefix_len)));
    STORE(n->count, count + 1);
}

// Moves the upper part of `left`, which is latched, to `right`, which nobody knows yet. Returns the
// record between them.
static const lsm_record *divide(lsm_order order, node *left, node *right, uint32_t at) {
    uint32_t count = LOAD(left->count);
    const lsm_record *between = LOAD(left->records[at]);
    uint32_t first = left->is_leaf ? at : at + 1; // an inner node's middle record moves up
    for (uint32_t i = first; i < count; i++) {
        STORE(right->heads[i - first], LOAD(left->heads[i]));
        STORE(right->records[i - first], LOAD(left->records[i]));
    }
    for (uint32_t i = first; !left->is_leaf && i <= count; i++) {
        STORE(right->children[i - first], LOAD(left->children[i]));
    }
    STORE(right->count, count - first);
    STORE(right->prefix_len, LOAD(left->prefix_len));
    STORE(right->low, between);
    STORE(right->high, LOAD(left->high));
    STORE(left->high, between);
    STORE(left->count, at);
    set_prefix(order, left);
    set_prefix(order, right);
    return between;
}

typedef enum outcome { DONE, AGAIN, NO_MEMORY } outcome;

// Splits a full node. `parent` has room; its node is NULL when `at` is the root.
static outcome split(lsm_memtable *memtable, place parent, place at, const target *t) {
    node *right = new_node(memtable, at.n->is_leaf);
    node *root = parent.n == NULL ? new_node(memtable, false) : NULL;
    if (right == NULL || (parent.n == NULL && root == NULL)) return NO_MEMORY;
    if (parent.n != NULL && !try_latch(parent.n, parent.version)) return AGAIN;
    if (!try_latch(at.n, at.version)) {
        if (parent.n != NULL) unlatch(parent.n);
        return AGAIN;
    }
    // Keys that come in order leave full nodes behind.
    bool is_appending = LOAD(at.n->high) == NULL && count_before(at.n, t) == FANOUT;
    const lsm_record *between =
        divide(memtable->order, at.n, right, is_appending ? FANOUT - 1 : FANOUT / 2);
    if (root != NULL) {
        STORE(root->children[0], at.n);
        insert_at(memtable->order, root, 0, between, right);
        STORE(memtable->root, (void *)root);
    } else {
        target separator = {memtable->order, lsm_record_key(between), between->trailer};
        insert_at(memtable->order, parent.n, count_before(parent.n, &separator), between, right);
        unlatch(parent.n);
    }
    unlatch(at.n);
    return DONE;
}

static outcome try_insert(lsm_memtable *memtable, const lsm_record *record, const target *t) {
    place parent = {NULL, 0};
    place at;
    if (!begin_at_root(memtable, &at)) return AGAIN;
    for (;;) {
        // Full nodes are split on the way down, so that a split never goes up.
        if (LOAD(at.n->count) == FANOUT) {
            if (!is_unchanged(at.n, at.version)) return AGAIN;
            outcome result = split(memtable, parent, at, t);
            return result == DONE ? AGAIN : result;
        }
        if (at.n->is_leaf) break;
        parent = at;
        if (!go_down(&at, count_up_to(at.n, t))) return AGAIN;
    }
    uint32_t position = count_before(at.n, t);
    if (!try_latch(at.n, at.version)) return AGAIN;
    insert_at(memtable->order, at.n, position, record, NULL);
    unlatch(at.n);
    return DONE;
}

static bool tree_insert(lsm_memtable *memtable, const lsm_record *record) {
    target t = {memtable->order, lsm_record_key(record), record->trailer};
    outcome result = AGAIN;
    while (result == AGAIN) result = try_insert(memtable, record, &t);
    return result == DONE;
}

static bool tree_init(lsm_memtable *memtable) {
    node *root = new_node(memtable, true);
    atomic_init(&memtable->root, (void *)root);
    return root != NULL;
}

// ---- cursors ----

static bool try_stand_on(lsm_cursor *cursor, place at, uint32_t position) {
    const lsm_record *record = LOAD(at.n->records[position]);
    if (!is_unchanged(at.n, at.version)) return false;
    cursor->node = at.n;
    cursor->version = at.version;
    cursor->position = position;
    cursor->record = record;
    return true;
}

static void tree_seek(lsm_cursor *cursor, tarn_slice key, uint64_t trailer) {
    target t = {cursor->memtable->order, key, trailer};
    for (;;) {
        place at = find_leaf(cursor->memtable, &t, UP_TO);
        uint32_t position = count_before(at.n, &t);
        if (position < LOAD(at.n->count)) {
            if (try_stand_on(cursor, at, position)) return;
            continue;
        }
        const lsm_record *high = LOAD(at.n->high);
        if (!is_unchanged(at.n, at.version)) continue;
        if (high == NULL) {
            cursor->record = NULL;
            return;
        }
        // The next leaf begins with the record that bounds this one.
        t.key = lsm_record_key(high);
        t.trailer = high->trailer;
    }
}

static void tree_seek_before(lsm_cursor *cursor, tarn_slice key, uint64_t trailer) {
    target t = {cursor->memtable->order, key, trailer};
    for (;;) {
        place at = find_leaf(cursor->memtable, &t, BEFORE);
        uint32_t position = count_before(at.n, &t);
        if (position > 0) {
            if (try_stand_on(cursor, at, position - 1)) return;
            continue;
        }
        if (!is_unchanged(at.n, at.version)) continue;
        cursor->record = NULL; // only the first leaf can begin at or behind the target
        return;
    }
}

static void tree_seek_first(lsm_cursor *cursor) {
    for (;;) {
        place at;
        bool is_whole = begin_at_root(cursor->memtable, &at);
        while (is_whole && !at.n->is_leaf) is_whole = go_down(&at, 0);
        if (!is_whole) continue;
        uint32_t count = LOAD(at.n->count);
        if (count > 0 && try_stand_on(cursor, at, 0)) return;
        if (count > 0 || !is_unchanged(at.n, at.version)) continue;
        cursor->record = NULL;
        return;
    }
}

static void tree_seek_last(lsm_cursor *cursor) {
    for (;;) {
        place at;
        bool is_whole = begin_at_root(cursor->memtable, &at);
        while (is_whole && !at.n->is_leaf) is_whole = go_down(&at, LOAD(at.n->count));
        if (!is_whole) continue;
        uint32_t count = LOAD(at.n->count);
        if (count > 0 && try_stand_on(cursor, at, count - 1)) return;
        if (count > 0 || !is_unchanged(at.n, at.version)) continue;
        cursor->record = NULL;
        return;
    }
}

static void tree_next(lsm_cursor *cursor) {
    const node *n = cursor->node;
    uint32_t position = cursor->position + 1;
    if (position < LOAD(n->count)) {
        const lsm_record *record = LOAD(n->records[position]);
        if (is_unchanged(n, cursor->version)) {
            cursor->position = position;
            cursor->record = record;
            return;
        }
    }
    tree_seek(cursor, lsm_record_key(cursor->record), cursor->record->trailer - 1);
}

const lsm_memtable_index lsm_index_tree = {
    .name = "tree of key heads",
    .init = tree_init,
    .insert = tree_insert,
    .seek = tree_seek,
    .seek_before = tree_seek_before,
    .seek_first = tree_seek_first,
    .seek_last = tree_seek_last,
    .next = tree_next,
};
