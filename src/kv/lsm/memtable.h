// memtable.h - the newest entries of a family, in order, in memory.
//
//     TARN_TRY(lsm_memtable_new(alloc, order, NULL, &memtable, err));
//     TARN_TRY(lsm_memtable_add(memtable, sequence, KV_PUT, key, value, err));  // any thread
//     lsm_cursor cursor;
//     lsm_cursor_init(&cursor, memtable);
//     for (lsm_cursor_seek_first(&cursor); cursor.record != NULL; lsm_cursor_next(&cursor)) ...
//
// The index behind it is exchangeable: a B+tree of key heads (default) or a skip list, which is the
// simple one that tests compare with.
//
// Invariants: entries are never changed or removed. No two have the same key and sequence number.
// Ownership:  keys and values are copied; records live as long as the memtable, which is freed
//             with the last reference.
// Threads:    any thread adds; readers take no lock and never wait for one that is off the
//             processor for longer than a shift of one node's entries takes. A cursor belongs to
//             one thread. A cursor that meets entries added meanwhile may show them or not: readers
//             look at sequence numbers.
#ifndef TARN_KV_LSM_MEMTABLE_H
#define TARN_KV_LSM_MEMTABLE_H

#include <stdatomic.h>

#include "kv/lsm/arena.h"
#include "kv/lsm/order.h"
#include "kv/lsm/ranges.h"

typedef struct lsm_record {
    uint64_t trailer;
    uint32_t key_len;
    uint32_t value_len;
    uint8_t bytes[]; // the key, then the value
} lsm_record;

static inline tarn_slice lsm_record_key(const lsm_record *record) {
    return (tarn_slice){record->bytes, record->key_len};
}

static inline tarn_slice lsm_record_value(const lsm_record *record) {
    return (tarn_slice){record->bytes + record->key_len, record->value_len};
}

typedef struct lsm_memtable lsm_memtable;
typedef struct lsm_cursor lsm_cursor;

// What an index provides. `target` below is a key and a trailer, in the order of order.h.
typedef struct lsm_memtable_index {
    const char *name;
    bool (*init)(lsm_memtable *memtable); // false: out of memory
    // Any thread. false: out of memory, and nothing is added.
    bool (*insert)(lsm_memtable *memtable, const lsm_record *record);
    // These set cursor->record, NULL when there is none.
    void (*seek)(lsm_cursor *cursor, tarn_slice key, uint64_t trailer);        // first >= target
    void (*seek_before)(lsm_cursor *cursor, tarn_slice key, uint64_t trailer); // last < target
    void (*seek_first)(lsm_cursor *cursor);
    void (*seek_last)(lsm_cursor *cursor);
    void (*next)(lsm_cursor *cursor);
} lsm_memtable_index;

extern const lsm_memtable_index lsm_index_tree;
extern const lsm_memtable_index lsm_index_skip;

struct lsm_memtable {
    const lsm_memtable_index *index;
    const tarn_alloc *alloc;
    lsm_order order;
    lsm_arena arena;
    void *_Atomic root; // the index's own
    _Atomic uint64_t entry_count;
    _Atomic uint64_t data_bytes;     // keys and values
    _Atomic uint64_t first_sequence; // the smallest number here; UINT64_MAX: empty
    _Atomic uint64_t reference_count;
    // Set by whoever adds DELETE_RANGE, one thread at a time; older sets stay in the arena.
    const lsm_ranges *_Atomic ranges;
    atomic_flag ranges_busy;
    // Owner's: all entries of the family with numbers in (floor_sequence, last_sequence] are here,
    // or above floor_sequence while the memtable is the active one.
    uint64_t floor_sequence;
    uint64_t last_sequence;
    struct lsm_memtable *older; // owner's
};

// `index` NULL: the default. `alloc` outlives the memtable.
TARN_MUST_USE tarn_status lsm_memtable_new(const tarn_alloc *alloc, lsm_order order,
                                           const lsm_memtable_index *index,
                                           lsm_memtable **ret_memtable, tarn_error *err);
void lsm_memtable_ref(lsm_memtable *memtable);
void lsm_memtable_unref(lsm_memtable *memtable); // accepts NULL

// KV_DELETE_RANGE: [key, value), an empty value is the end. TARN_NO_MEMORY only.
TARN_MUST_USE tarn_status lsm_memtable_add(lsm_memtable *memtable, uint64_t sequence,
                                           kv_change_kind kind, tarn_slice key, tarn_slice value,
                                           tarn_error *err);

static inline size_t lsm_memtable_bytes(const lsm_memtable *memtable) {
    return lsm_arena_bytes(&memtable->arena);
}

static inline const lsm_ranges *lsm_memtable_ranges(const lsm_memtable *memtable) {
    // Acquire: pairs with the release in add.
    return atomic_load_explicit(&memtable->ranges, memory_order_acquire);
}

static inline bool lsm_memtable_is_empty(const lsm_memtable *memtable) {
    return atomic_load_explicit(&memtable->entry_count, memory_order_relaxed) == 0 &&
           lsm_memtable_ranges(memtable) == NULL;
}

struct lsm_cursor {
    const lsm_memtable *memtable;
    const lsm_record *record; // where it stands; NULL: nowhere
    // the index's own
    const void *node;
    uint64_t version;
    uint32_t position;
};

static inline void lsm_cursor_init(lsm_cursor *cursor, const lsm_memtable *memtable) {
    *cursor = (lsm_cursor){.memtable = memtable};
}

static inline void lsm_cursor_seek(lsm_cursor *cursor, tarn_slice key, uint64_t trailer) {
    cursor->memtable->index->seek(cursor, key, trailer);
}

static inline void lsm_cursor_seek_before(lsm_cursor *cursor, tarn_slice key, uint64_t trailer) {
    cursor->memtable->index->seek_before(cursor, key, trailer);
}

static inline void lsm_cursor_seek_first(lsm_cursor *cursor) {
    cursor->memtable->index->seek_first(cursor);
}

static inline void lsm_cursor_seek_last(lsm_cursor *cursor) {
    cursor->memtable->index->seek_last(cursor);
}

static inline void lsm_cursor_next(lsm_cursor *cursor) {
    cursor->memtable->index->next(cursor);
}

static inline void lsm_cursor_prev(lsm_cursor *cursor) {
    const lsm_record *record = cursor->record;
    cursor->memtable->index->seek_before(cursor, lsm_record_key(record), record->trailer);
}

#endif
