#include "kv/hashlog/directory.h"

#include <stdatomic.h>

#include "base/alloc.h"

// Two words, so that a reader can load them one by one; the sequence lock says whether they belong
// together. The second is 0 in a free slot.
typedef struct slot {
    _Atomic uint64_t first;  // fingerprint, segment
    _Atomic uint64_t second; // offset8, size8
} slot;
static_assert(sizeof(slot) == 16, "the directory takes 16 bytes per slot");

enum {
    SLOTS_MIN = TARN_TUNABLE(16, 2),
    OVERHANG = 64, // slots behind the last home, so that a full end need not wrap around
};

typedef struct table {
    kv_retired retired; // first
    size_t home_count;  // fingerprints are spread over these
    size_t slot_count;  // with the overhang
    slot slots[];
} table;

typedef struct table_head {
    _Atomic(table *) table;
    _Atomic uint32_t version; // odd: being changed
    uint32_t reserved;        // the writer's
    _Atomic uint64_t count;
} table_head;

struct hashlog_directory {
    const tarn_alloc *alloc;
    kv_epoch *epoch;
    _Atomic uint64_t count;
    _Atomic uint64_t bytes;
    table_head heads[HASHLOG_TABLES];
};

enum { TABLE_SHIFT = TARN_TUNABLE(54, 62) };
static_assert(HASHLOG_TABLES == (uint64_t)1 << (64 - TABLE_SHIFT), "the high bits choose a table");

static table_head *head_of(hashlog_directory *directory, uint64_t hash) {
    return &directory->heads[hash >> TABLE_SHIFT];
}

size_t hashlog_table_of(uint64_t hash) {
    return (size_t)(hash >> TABLE_SHIFT);
}

uint64_t hashlog_table_hash(size_t table_index, uint32_t fingerprint) {
    return (uint64_t)table_index << TABLE_SHIFT | fingerprint;
}

static size_t home_of(const table *t, uint32_t fingerprint) {
    return (size_t)((uint64_t)fingerprint * t->home_count >> 32);
}

static uint64_t first_word(uint32_t fingerprint, hashlog_place place) {
    return (uint64_t)fingerprint << 32 | place.segment;
}

static uint64_t second_word(hashlog_place place) {
    return (uint64_t)place.offset8 << 32 | place.size8;
}

static hashlog_place place_of(uint64_t first, uint64_t second) {
    return (hashlog_place){(uint32_t)first, (uint32_t)(second >> 32), (uint32_t)second};
}

// Relaxed: the version orders them, or nobody else looks.
static uint64_t load(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(slot *s, uint64_t first, uint64_t second) {
    atomic_store_explicit(&s->first, first, memory_order_relaxed);
    atomic_store_explicit(&s->second, second, memory_order_relaxed);
}

static table *table_of(const table_head *head) {
    return atomic_load_explicit(&head->table, memory_order_acquire);
}

// ---- making and freeing ----

static size_t table_bytes(size_t slot_count) {
    return sizeof(table) + slot_count * sizeof(slot);
}

// Room for `count` entries, 80 percent full.
static tarn_status new_table(hashlog_directory *directory, size_t count, table **ret_table,
                             tarn_error *err) {
    size_t home_count = count + count / 4 + SLOTS_MIN;
    size_t slot_count = home_count + OVERHANG;
    table *t = tarn_alloc_zeroed(directory->alloc, 1, table_bytes(slot_count));
    if (t == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for the directory of %llu keys",
                         (unsigned long long)directory->count);
    }
    t->home_count = home_count;
    t->slot_count = slot_count;
    atomic_fetch_add_explicit(&directory->bytes, table_bytes(slot_count), memory_order_relaxed);
    *ret_table = t;
    return TARN_OK;
}

// The context has no room for a const.
static void *context_of(const tarn_alloc *alloc) {
    union {
        const tarn_alloc *alloc;
        void *context;
    } cast = {.alloc = alloc};
    return cast.context;
}

static void free_table(void *context, kv_retired *retired) {
    const tarn_alloc *alloc = context;
    table *t = (table *)retired;
    tarn_alloc_release(alloc, t, 1, table_bytes(t->slot_count));
}

// The context of a retired table outlives the directory.
static void retire_table(hashlog_directory *directory, table *t) {
    if (t == NULL) return;
    atomic_fetch_sub_explicit(&directory->bytes, table_bytes(t->slot_count), memory_order_relaxed);
    kv_epoch_retire(directory->epoch, &t->retired, free_table, context_of(directory->alloc));
    kv_epoch_advance(directory->epoch);
    kv_epoch_collect(directory->epoch);
}

tarn_status hashlog_directory_new(const tarn_alloc *alloc, kv_epoch *epoch,
                                  hashlog_directory **ret_directory, tarn_error *err) {
    hashlog_directory *directory = tarn_alloc_new(alloc, hashlog_directory, 1);
    if (directory == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a directory");
    directory->alloc = alloc;
    directory->epoch = epoch;
    directory->bytes = sizeof *directory;
    *ret_directory = directory;
    return TARN_OK;
}

void hashlog_directory_free(hashlog_directory *directory) {
    if (directory == NULL) return;
    for (size_t i = 0; i < HASHLOG_TABLES; i++) {
        table *t = table_of(&directory->heads[i]);
        if (t != NULL) free_table(context_of(directory->alloc), &t->retired);
    }
    tarn_alloc_free(directory->alloc, directory, 1);
}

// ---- readers ----

void hashlog_directory_prefetch(const hashlog_directory *directory, uint64_t hash) {
    const table *t = table_of(&directory->heads[hash >> TABLE_SHIFT]);
    if (t != NULL) __builtin_prefetch(&t->slots[home_of(t, (uint32_t)hash)]);
}

static void collect_matches(const table *t, uint32_t fingerprint, hashlog_matches *matches) {
    matches->count = 0;
    for (size_t i = home_of(t, fingerprint); i < t->slot_count; i++) {
        uint64_t second = load(&t->slots[i].second);
        if (second == 0) return;
        uint64_t first = load(&t->slots[i].first);
        uint32_t found = (uint32_t)(first >> 32);
        if (found < fingerprint) continue;
        if (found > fingerprint || matches->count == HASHLOG_MATCHES_MAX) return;
        matches->places[matches->count++] = place_of(first, second);
    }
}

void hashlog_directory_find(const hashlog_directory *directory, uint64_t hash,
                            hashlog_matches *ret_matches) {
    const table_head *head = &directory->heads[hash >> TABLE_SHIFT];
    for (;;) {
        // Acquire: pairs with the release of the last change.
        uint32_t version = atomic_load_explicit(&head->version, memory_order_acquire);
        if (version % 2 != 0) continue; // a few stores, never a wait
        const table *t = table_of(head);
        ret_matches->count = 0;
        if (t != NULL) collect_matches(t, (uint32_t)hash, ret_matches);
        // The loads above come before this one.
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&head->version, memory_order_relaxed) == version) return;
    }
}

// ---- the writer ----

static void begin_change(table_head *head) {
    uint32_t version = atomic_load_explicit(&head->version, memory_order_relaxed);
    atomic_store_explicit(&head->version, version + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); // the stores that follow come behind this one
}

static void end_change(table_head *head) {
    uint32_t version = atomic_load_explicit(&head->version, memory_order_relaxed);
    atomic_store_explicit(&head->version, version + 1, memory_order_release);
}

static bool is_free(const table *t, size_t i) {
    return load(&t->slots[i].second) == 0;
}

static uint32_t fingerprint_at(const table *t, size_t i) {
    return (uint32_t)(load(&t->slots[i].first) >> 32);
}

static void copy_slot(table *t, size_t to, size_t from) {
    store(&t->slots[to], load(&t->slots[from].first), load(&t->slots[from].second));
}

// Where the entry goes, and the free slot up to which entries move up. False: the end is full.
static bool find_gap(const table *t, uint32_t fingerprint, size_t *ret_position, size_t *ret_free) {
    size_t i = home_of(t, fingerprint);
    while (i < t->slot_count && !is_free(t, i) && fingerprint_at(t, i) <= fingerprint) i++;
    *ret_position = i;
    while (i < t->slot_count && !is_free(t, i)) i++;
    *ret_free = i;
    return i < t->slot_count;
}

// Puts an entry behind all others into a table that is being built.
static bool append_slot(table *t, size_t *next, uint64_t first, uint64_t second) {
    size_t home = home_of(t, (uint32_t)(first >> 32));
    if (home > *next) *next = home;
    if (*next == t->slot_count) return false;
    store(&t->slots[(*next)++], first, second);
    return true;
}

// A larger table in place of the one that is full.
static tarn_status grow(hashlog_directory *directory, table_head *head, size_t count,
                        tarn_error *err) {
    table *old = table_of(head);
    for (;;) {
        table *grown = NULL;
        TARN_TRY(new_table(directory, count, &grown, err));
        size_t next = 0;
        bool fits = true;
        for (size_t i = 0; old != NULL && fits && i < old->slot_count; i++) {
            if (is_free(old, i)) continue;
            fits =
                append_slot(grown, &next, load(&old->slots[i].first), load(&old->slots[i].second));
        }
        if (fits) {
            begin_change(head);
            atomic_store_explicit(&head->table, grown, memory_order_release);
            end_change(head);
            retire_table(directory, old);
            return TARN_OK;
        }
        retire_table(directory, grown);
        count += count / 8 + 1;
    }
}

static bool is_full(const table *t, uint64_t count) {
    return t == NULL || count > t->home_count - t->home_count / 10;
}

tarn_status hashlog_directory_reserve(hashlog_directory *directory, uint64_t hash,
                                      tarn_error *err) {
    table_head *head = head_of(directory, hash);
    uint64_t count = head->count + head->reserved + 1;
    // Growing to 80 percent of a table that was 90 percent full is growing by an eighth.
    if (is_full(table_of(head), count)) TARN_TRY(grow(directory, head, (size_t)count, err));
    head->reserved++;
    return TARN_OK;
}

void hashlog_directory_unreserve(hashlog_directory *directory, uint64_t hash) {
    head_of(directory, hash)->reserved = 0;
}

static void count_entries(hashlog_directory *directory, table_head *head, uint64_t more) {
    atomic_store_explicit(&head->count, head->count + more, memory_order_relaxed);
    atomic_store_explicit(&directory->count, directory->count + more, memory_order_relaxed);
}

tarn_status hashlog_directory_add(hashlog_directory *directory, uint64_t hash, hashlog_place place,
                                  tarn_error *err) {
    table_head *head = head_of(directory, hash);
    uint32_t fingerprint = (uint32_t)hash;
    tarn_assert(place.size8 > 0);
    if (is_full(table_of(head), head->count + 1)) {
        TARN_TRY(grow(directory, head, (size_t)head->count + 1, err));
    }
    size_t position;
    size_t free;
    while (!find_gap(table_of(head), fingerprint, &position, &free)) {
        TARN_TRY(grow(directory, head, table_of(head)->home_count, err));
    }
    table *t = table_of(head);
    begin_change(head);
    for (size_t i = free; i > position; i--) copy_slot(t, i, i - 1);
    store(&t->slots[position], first_word(fingerprint, place), second_word(place));
    end_change(head);
    count_entries(directory, head, 1);
    return TARN_OK;
}

// The position of an entry that is there.
static size_t find_entry(const table *t, uint32_t fingerprint, hashlog_place place) {
    uint64_t first = first_word(fingerprint, place);
    uint64_t second = second_word(place);
    for (size_t i = home_of(t, fingerprint);; i++) {
        tarn_assert(i < t->slot_count && !is_free(t, i));
        if (load(&t->slots[i].first) == first && load(&t->slots[i].second) == second) return i;
    }
}

void hashlog_directory_move(hashlog_directory *directory, uint64_t hash, hashlog_place old,
                            hashlog_place place) {
    table_head *head = head_of(directory, hash);
    table *t = table_of(head);
    size_t i = find_entry(t, (uint32_t)hash, old);
    begin_change(head);
    store(&t->slots[i], first_word((uint32_t)hash, place), second_word(place));
    end_change(head);
}

void hashlog_directory_remove(hashlog_directory *directory, uint64_t hash, hashlog_place old) {
    table_head *head = head_of(directory, hash);
    table *t = table_of(head);
    size_t i = find_entry(t, (uint32_t)hash, old);
    begin_change(head);
    // Entries that were moved up come back, up to one that is at its home.
    for (; i + 1 < t->slot_count && !is_free(t, i + 1); i++) {
        if (home_of(t, fingerprint_at(t, i + 1)) == i + 1) break;
        copy_slot(t, i, i + 1);
    }
    store(&t->slots[i], 0, 0);
    end_change(head);
    count_entries(directory, head, (uint64_t)0 - 1);
}

void hashlog_directory_clear(hashlog_directory *directory) {
    for (size_t i = 0; i < HASHLOG_TABLES; i++) {
        table_head *head = &directory->heads[i];
        table *old = table_of(head);
        begin_change(head);
        atomic_store_explicit(&head->table, NULL, memory_order_release);
        end_change(head);
        retire_table(directory, old);
        count_entries(directory, head, 0 - head->count);
    }
}

uint64_t hashlog_directory_count(const hashlog_directory *directory) {
    return load(&directory->count);
}

uint64_t hashlog_directory_bytes(const hashlog_directory *directory) {
    return load(&directory->bytes);
}

// ---- table by table ----

size_t hashlog_table_count(const hashlog_directory *directory, size_t table_index) {
    return (size_t)load(&directory->heads[table_index].count);
}

void hashlog_table_read(const hashlog_directory *directory, size_t table_index,
                        hashlog_slot *slots) {
    const table *t = table_of(&directory->heads[table_index]);
    size_t count = 0;
    for (size_t i = 0; t != NULL && i < t->slot_count; i++) {
        uint64_t second = load(&t->slots[i].second);
        if (second == 0) continue;
        uint64_t first = load(&t->slots[i].first);
        slots[count++] = (hashlog_slot){(uint32_t)(first >> 32), place_of(first, second)};
    }
    tarn_assert(count == hashlog_table_count(directory, table_index));
}

tarn_status hashlog_table_fill(hashlog_directory *directory, size_t table_index,
                               const hashlog_slot *slots, size_t count, tarn_error *err) {
    table_head *head = &directory->heads[table_index];
    tarn_assert(head->count == 0);
    if (count == 0) return TARN_OK;
    for (size_t room = count;; room += room / 8 + 1) {
        table *t = NULL;
        TARN_TRY(new_table(directory, room, &t, err));
        size_t next = 0;
        bool fits = true;
        for (size_t i = 0; i < count && fits; i++) {
            fits = append_slot(t, &next, first_word(slots[i].fingerprint, slots[i].place),
                               second_word(slots[i].place));
        }
        if (!fits) {
            retire_table(directory, t);
            continue;
        }
        table *old = table_of(head);
        begin_change(head);
        atomic_store_explicit(&head->table, t, memory_order_release);
        end_change(head);
        retire_table(directory, old);
        count_entries(directory, head, count);
        return TARN_OK;
    }
}

void hashlog_directory_check(const hashlog_directory *directory) {
    uint64_t total = 0;
    for (size_t k = 0; k < HASHLOG_TABLES; k++) {
        const table *t = table_of(&directory->heads[k]);
        uint64_t count = 0;
        for (size_t i = 0; t != NULL && i < t->slot_count; i++) {
            if (is_free(t, i)) continue;
            count++;
            size_t home = home_of(t, fingerprint_at(t, i));
            tarn_assert(home <= i);
            // No free slot between home and entry, and in order.
            if (home < i) tarn_assert(!is_free(t, i - 1));
            if (i > 0 && !is_free(t, i - 1)) {
                tarn_assert(fingerprint_at(t, i - 1) <= fingerprint_at(t, i));
            }
        }
        tarn_assert(count == directory->heads[k].count);
        total += count;
    }
    tarn_assert(total == directory->count);
}
