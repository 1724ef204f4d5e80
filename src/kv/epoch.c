#include "kv/epoch.h"

#include "base/alloc.h"

enum { SLOT_COUNT = TARN_TUNABLE(128, 2) };

// Slots lie this far apart, so that no two share a cache line wherever the array begins.
enum { SLOT_STRIDE = 64 / sizeof(uint64_t) };

// Readers beyond the slots share one word: how many they are, and the moment of the first.
enum { CROWD_SLOT = SLOT_COUNT, CROWD_BITS = 16 };
#define CROWD_ONE   ((uint64_t)1)
#define CROWD_COUNT (((uint64_t)1 << CROWD_BITS) - 1)

struct kv_epoch {
    const tarn_alloc *alloc;
    _Atomic uint64_t clock;
    _Atomic uint32_t used_slots; // slots from here on were never taken
    _Atomic uint64_t crowd;
    _Atomic(kv_retired *) arrivals; // newest first; pushed by anyone
    atomic_bool is_collecting;
    kv_retired *oldest; // of what was not freed by the last collection; the collector's
    kv_retired *newest;
    _Atomic uint64_t slots[(size_t)SLOT_COUNT * SLOT_STRIDE]; // moment of who is inside, or 0
};

// Threads are numbered by their first entry, so that few threads use the first slots.
static _Atomic uint32_t thread_count;
static _Thread_local uint32_t thread_number; // from 1

tarn_status kv_epoch_new(const tarn_alloc *alloc, kv_epoch **ret_epoch, tarn_error *err) {
    kv_epoch *epoch = tarn_alloc_new(alloc, kv_epoch, 1);
    if (epoch == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for the list of readers");
    epoch->alloc = alloc;
    atomic_init(&epoch->clock, 1);
    *ret_epoch = epoch;
    return TARN_OK;
}

void kv_epoch_free(kv_epoch *epoch) {
    if (epoch == NULL) return;
    uint64_t now = kv_epoch_advance(epoch);
    tarn_assert(kv_epoch_oldest(epoch) == now);
    kv_epoch_collect(epoch);
    tarn_assert(epoch->oldest == NULL);
    tarn_alloc_free(epoch->alloc, epoch, 1);
}

// ---- readers ----

static uint32_t first_slot(void) {
    if (thread_number == 0) {
        // Relaxed: only the numbers' being different matters.
        thread_number = atomic_fetch_add_explicit(&thread_count, 1, memory_order_relaxed) + 1;
    }
    return (thread_number - 1) % SLOT_COUNT;
}

// Before the slot is taken: whoever then reads a smaller count is earlier than the reader.
static void raise_used_slots(kv_epoch *epoch, uint32_t count) {
    uint32_t used = atomic_load(&epoch->used_slots);
    while (used < count && !atomic_compare_exchange_weak(&epoch->used_slots, &used, count)) {
    }
}

static void join_crowd(kv_epoch *epoch) {
    uint64_t crowd = atomic_load(&epoch->crowd);
    uint64_t joined;
    do {
        bool is_first = (crowd & CROWD_COUNT) == 0;
        joined =
            is_first ? atomic_load(&epoch->clock) << CROWD_BITS | CROWD_ONE : crowd + CROWD_ONE;
        tarn_assert((joined & CROWD_COUNT) != 0);
    } while (!atomic_compare_exchange_weak(&epoch->crowd, &crowd, joined));
}

// The slot is taken with a moment that may have passed already, and somebody may have looked at the
// slots just before. Then everything that he frees was unlinked before the moment that is read
// below, behind the exchange: all four accesses (his of the clock and of the slot, ours of the slot
// and of the clock) are in the single order of memory_order_seq_cst.
kv_guard kv_epoch_enter(kv_epoch *epoch) {
    kv_guard guard = {.epoch = epoch, .slot = first_slot()};
    uint64_t now = atomic_load_explicit(&epoch->clock, memory_order_relaxed);
    uint32_t tries = 0;
    for (; tries < SLOT_COUNT; tries++, guard.slot = (guard.slot + 1) % SLOT_COUNT) {
        _Atomic uint64_t *slot = &epoch->slots[(size_t)guard.slot * SLOT_STRIDE];
        if (atomic_load_explicit(slot, memory_order_relaxed) != 0) continue;
        if (atomic_load_explicit(&epoch->used_slots, memory_order_relaxed) <= guard.slot) {
            raise_used_slots(epoch, guard.slot + 1);
        }
        uint64_t nobody = 0;
        if (atomic_compare_exchange_strong(slot, &nobody, now)) break;
    }
    if (tries == SLOT_COUNT) {
        guard.slot = CROWD_SLOT;
        join_crowd(epoch);
    }
    guard.moment = atomic_load(&epoch->clock);
    return guard;
}

void kv_epoch_leave(kv_guard guard) {
    // Release pairs with the loads of kv_epoch_oldest: what the reader did comes before a free.
    if (guard.slot == CROWD_SLOT) {
        atomic_fetch_sub_explicit(&guard.epoch->crowd, CROWD_ONE, memory_order_release);
        return;
    }
    atomic_store_explicit(&guard.epoch->slots[(size_t)guard.slot * SLOT_STRIDE], 0,
                          memory_order_release);
}

// ---- the clock ----

uint64_t kv_epoch_now(const kv_epoch *epoch) {
    return atomic_load(&epoch->clock);
}

uint64_t kv_epoch_advance(kv_epoch *epoch) {
    return atomic_fetch_add(&epoch->clock, 1) + 1;
}

void kv_epoch_start_at(kv_epoch *epoch, uint64_t moment) {
    tarn_assert(moment >= 1);
    atomic_store(&epoch->clock, moment);
}

uint64_t kv_epoch_oldest(const kv_epoch *epoch) {
    uint64_t oldest = atomic_load(&epoch->clock); // before the slots, see kv_epoch_enter
    uint32_t used = atomic_load(&epoch->used_slots);
    for (uint32_t i = 0; i < used; i++) {
        uint64_t moment = atomic_load(&epoch->slots[(size_t)i * SLOT_STRIDE]);
        if (moment != 0 && moment < oldest) oldest = moment;
    }
    uint64_t crowd = atomic_load(&epoch->crowd);
    bool is_crowded = (crowd & CROWD_COUNT) != 0;
    if (is_crowded && crowd >> CROWD_BITS < oldest) oldest = crowd >> CROWD_BITS;
    return oldest;
}

// ---- retired memory ----

void kv_epoch_retire(kv_epoch *epoch, kv_retired *retired, kv_retired_free *free, void *context) {
    *retired = (kv_retired){.moment = kv_epoch_now(epoch), .free = free, .context = context};
    retired->next = atomic_load_explicit(&epoch->arrivals, memory_order_relaxed);
    // Release pairs with the acquire in take_arrivals.
    while (!atomic_compare_exchange_weak_explicit(&epoch->arrivals, &retired->next, retired,
                                                  memory_order_release, memory_order_relaxed)) {
    }
}

// Puts what has arrived behind the rest, oldest first.
static void take_arrivals(kv_epoch *epoch) {
    if (atomic_load_explicit(&epoch->arrivals, memory_order_relaxed) == NULL) return;
    kv_retired *taken = atomic_exchange_explicit(&epoch->arrivals, NULL, memory_order_acquire);
    kv_retired *newest = taken;
    kv_retired *reversed = NULL;
    while (taken != NULL) {
        kv_retired *next = taken->next;
        taken->next = reversed;
        reversed = taken;
        taken = next;
    }
    if (epoch->oldest == NULL) {
        epoch->oldest = reversed;
    } else {
        epoch->newest->next = reversed;
    }
    epoch->newest = newest;
}

void kv_epoch_collect(kv_epoch *epoch) {
    // Acquire and release hand the list from one collector to the next.
    if (atomic_exchange_explicit(&epoch->is_collecting, true, memory_order_acquire)) return;
    take_arrivals(epoch);
    // Two threads may retire in another order than that of the clock. The younger one then keeps
    // the older one waiting, which is safe.
    uint64_t oldest = epoch->oldest == NULL ? 0 : kv_epoch_oldest(epoch);
    while (epoch->oldest != NULL && epoch->oldest->moment < oldest) {
        kv_retired *retired = epoch->oldest;
        epoch->oldest = retired->next;
        retired->free(retired->context, retired);
    }
    atomic_store_explicit(&epoch->is_collecting, false, memory_order_release);
}
