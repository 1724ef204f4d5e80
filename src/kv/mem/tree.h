// tree.h - the index of the memory engine: a B+tree of pointers to records, copied where its shape
// changes, so that readers need no lock.
//
// A node holds, beside its pointers, the heads of its keys: 8 bytes as a number, taken behind the
// prefix that all its keys share, so that a search touches one record at the end and none before.
// Overwriting a key stores a pointer in the leaf; a new key puts a copy of the leaf in its place;
// a leaf that is full is split, with copies of the inner nodes above as far as they change. What is
// replaced is retired to the epoch. The first byte of a leaf's range lies anywhere: keys between
// two leaves belong to the left one.
//
// Threads: one writer at a time; readers inside the epoch, next to it. Whoever descends sees each
//          change of the writer whole or not at all, and all those before its moment.
// Memory:  a failed insertion changes nothing.
#ifndef TARN_KV_MEM_TREE_H
#define TARN_KV_MEM_TREE_H

#include <stdatomic.h>

#include "kv/engine.h"
#include "kv/epoch.h"

// One version of a value. Its bytes: the key, the value; at least 8 behind the key.
typedef struct mem_record mem_record;
struct mem_record {
    _Atomic(mem_record *) older; // the version before
    uint64_t moment;             // readers of this moment and later ones see it
    uint32_t value_len;
    uint16_t key_len;
    uint8_t kind; // KV_PUT or KV_DELETE
    uint8_t bytes[];
};

static inline tarn_slice mem_record_key(const mem_record *record) {
    return (tarn_slice){record->bytes, record->key_len};
}

static inline tarn_slice mem_record_value(const mem_record *record) {
    return (tarn_slice){record->bytes + record->key_len, record->value_len};
}

enum {
    MEM_FANOUT = TARN_TUNABLE(64, 4),
    MEM_HEIGHT_MAX = 40,
    MEM_PREFIX_MAX = 20,
};

typedef struct mem_separator {
    kv_retired retired;
    uint32_t len;
    uint8_t bytes[];
} mem_separator;

typedef struct mem_node {
    kv_retired retired;
    uint32_t count; // records, or separators; never changes
    uint8_t is_leaf;
    uint8_t prefix_len;
    uint8_t prefix[MEM_PREFIX_MAX];
    uint64_t heads[MEM_FANOUT];
} mem_node;

typedef struct mem_leaf {
    mem_node node;
    _Atomic(mem_record *) records[MEM_FANOUT];
} mem_leaf;

typedef struct mem_inner {
    mem_node node;
    mem_separator *separators[MEM_FANOUT];
    _Atomic(mem_node *) children[MEM_FANOUT + 1]; // child i + 1 begins at separator i
} mem_inner;

typedef struct mem_tree {
    _Atomic(mem_node *) root;
    const tarn_alloc *alloc;
    kv_epoch *epoch;
    const tarn_kv_comparator *comparator; // NULL: unsigned bytes
} mem_tree;

// Where a key is, or would be. The nodes stay while the reader is inside the epoch, the place is
// right until the writer changes the shape of the tree.
typedef struct mem_path {
    mem_leaf *leaf;
    uint32_t index; // in the leaf; may be its count: behind its last record
    bool is_exact;
    uint32_t depth; // inner nodes above
    struct {
        mem_inner *node;
        uint32_t child;
    } above[MEM_HEIGHT_MAX];
} mem_path;

TARN_MUST_USE tarn_status mem_tree_init(mem_tree *tree, const tarn_alloc *alloc, kv_epoch *epoch,
                                        const tarn_kv_comparator *comparator, tarn_error *err);
// Frees the nodes and calls `visit` with each record. Nobody reads.
void mem_tree_reset(mem_tree *tree, void (*visit)(void *context, mem_record *record),
                    void *context);

int mem_tree_compare(const mem_tree *tree, tarn_slice a, tarn_slice b);

// The newest record of the key, or NULL.
mem_record *mem_tree_get(const mem_tree *tree, tarn_slice key);
// The place of the first key >= `key`.
void mem_tree_find(const mem_tree *tree, tarn_slice key, mem_path *ret_path);
void mem_tree_find_first(const mem_tree *tree, mem_path *ret_path);
// Behind the last record.
void mem_tree_find_end(const mem_tree *tree, mem_path *ret_path);
// To the neighbour leaf's first record, or behind its last one. False when there is none.
bool mem_path_next_leaf(mem_path *path);
bool mem_path_prev_leaf(mem_path *path);

static inline mem_record *mem_path_record(const mem_path *path) {
    // Acquire pairs with the release of the writer: the record is seen whole.
    return atomic_load_explicit(&path->leaf->records[path->index], memory_order_acquire);
}
// The writer's: puts another record of the same key in the place.
static inline void mem_path_replace(const mem_path *path, mem_record *record) {
    atomic_store_explicit(&path->leaf->records[path->index], record, memory_order_release);
}
// The writer's: adds the record of a key that is not there. The path is no good afterwards.
TARN_MUST_USE tarn_status mem_tree_insert(mem_tree *tree, const mem_path *path, mem_record *record,
                                          tarn_error *err);
// The writer's: removes the place. False, and nothing is changed, for want of memory.
TARN_MUST_USE bool mem_tree_remove(mem_tree *tree, const mem_path *path);

// Checks order, heads, prefixes and bounds of all nodes.
TARN_MUST_USE tarn_status mem_tree_check(const mem_tree *tree, uint64_t *ret_record_count,
                                         tarn_error *err);

#endif
