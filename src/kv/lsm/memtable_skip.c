// A skip list after Pugh; insertion links each level by compare and swap, from the lowest up.
#include "base/hash.h"
#include "kv/lsm/memtable.h"

enum { HEIGHT_MAX = 12 };

typedef struct tower {
    const lsm_record *record; // NULL in the head
    struct tower *_Atomic next[];
} tower;

static tower *load_next(const tower *t, unsigned level) {
    // Acquire: pairs with the release in insert, so that the tower's content is seen.
    return atomic_load_explicit(&t->next[level], memory_order_acquire);
}

static tower *new_tower(lsm_memtable *memtable, const lsm_record *record, unsigned height) {
    tower *t = lsm_arena_alloc(&memtable->arena, sizeof *t + height * sizeof t->next[0]);
    if (t == NULL) return NULL;
    t->record = record;
    for (unsigned i = 0; i < height; i++) atomic_init(&t->next[i], NULL);
    return t;
}

static tower *head_of(const lsm_memtable *memtable) {
    return atomic_load_explicit(&memtable->root, memory_order_relaxed);
}

static bool skip_init(lsm_memtable *memtable) {
    tower *head = new_tower(memtable, NULL, HEIGHT_MAX);
    atomic_init(&memtable->root, head);
    return head != NULL;
}

// The last tower before the target on each level at or above `bottom`; returns the lowest of them.
static tower *find_before(const lsm_memtable *memtable, tarn_slice key, uint64_t trailer,
                          tower *before[HEIGHT_MAX]) {
    tower *t = head_of(memtable);
    for (unsigned level = HEIGHT_MAX; level-- > 0;) {
        for (;;) {
            tower *next = load_next(t, level);
            if (next == NULL || lsm_compare(memtable->order, lsm_record_key(next->record),
                                            next->record->trailer, key, trailer) >= 0) {
                break;
            }
            t = next;
        }
        if (before != NULL) before[level] = t;
    }
    return t;
}

static bool skip_insert(lsm_memtable *memtable, const lsm_record *record) {
    // A quarter of the towers goes one level higher.
    unsigned height = 1;
    for (uint64_t bits = tarn_hash_u64(record->trailer); height < HEIGHT_MAX && (bits & 3) == 0;) {
        bits >>= 2;
        height++;
    }
    tower *t = new_tower(memtable, record, height);
    if (t == NULL) return false;
    tower *before[HEIGHT_MAX];
    (void)find_before(memtable, lsm_record_key(record), record->trailer, before);
    for (unsigned level = 0; level < height; level++) {
        for (;;) {
            tower *next = load_next(before[level], level);
            while (next != NULL &&
                   lsm_compare(memtable->order, lsm_record_key(next->record), next->record->trailer,
                               lsm_record_key(record), record->trailer) < 0) {
                before[level] = next;
                next = load_next(next, level);
            }
            atomic_store_explicit(&t->next[level], next, memory_order_relaxed);
            if (atomic_compare_exchange_strong_explicit(&before[level]->next[level], &next, t,
                                                        memory_order_release,
                                                        memory_order_relaxed)) {
                break;
            }
        }
    }
    return true;
}

static void stand_on(lsm_cursor *cursor, const tower *t) {
    cursor->node = t;
    cursor->record = t == NULL ? NULL : t->record;
}

static void skip_seek(lsm_cursor *cursor, tarn_slice key, uint64_t trailer) {
    tower *before = find_before(cursor->memtable, key, trailer, NULL);
    // What was inserted since is before the target, too.
    tower *t = load_next(before, 0);
    while (t != NULL && lsm_compare(cursor->memtable->order, lsm_record_key(t->record),
                                    t->record->trailer, key, trailer) < 0) {
        t = load_next(t, 0);
    }
    stand_on(cursor, t);
}

static void skip_seek_before(lsm_cursor *cursor, tarn_slice key, uint64_t trailer) {
    stand_on(cursor, find_before(cursor->memtable, key, trailer, NULL));
}

static void skip_seek_first(lsm_cursor *cursor) {
    stand_on(cursor, load_next(head_of(cursor->memtable), 0));
}

static void skip_seek_last(lsm_cursor *cursor) {
    tower *t = head_of(cursor->memtable);
    for (unsigned level = HEIGHT_MAX; level-- > 0;) {
        for (tower *next = load_next(t, level); next != NULL; next = load_next(t, level)) t = next;
    }
    stand_on(cursor, t);
}

static void skip_next(lsm_cursor *cursor) {
    stand_on(cursor, load_next(cursor->node, 0));
}

const lsm_memtable_index lsm_index_skip = {
    .name = "skip list",
    .init = skip_init,
    .insert = skip_insert,
    .seek = skip_seek,
    .seek_before = skip_seek_before,
    .seek_first = skip_seek_first,
    .seek_last = skip_seek_last,
    .next = skip_next,
};
