// epoch.h - when memory that readers reach without a lock may be freed.
//
//     kv_guard guard = kv_epoch_enter(epoch);      // reader: what it can reach from here on stays
//     ... follow pointers ...
//     kv_epoch_leave(guard);
//
//     atomic_store_explicit(&head, changed, memory_order_release);   // writer: unlink, then
//     kv_epoch_retire(epoch, &old->retired, free_old, context);
//     kv_epoch_advance(epoch);
//     kv_epoch_collect(epoch);
//
// A clock counts moments. A reader notes the moment at which it came in; what was retired at a
// moment is freed once it has passed and no reader that came in then, or before, is still inside.
// Whatever was changed before a moment began is seen by readers whose guard says that moment or a
// later one, which makes the clock fit for version numbers, too.
//
// Invariants: the clock starts at 1 and only grows. kv_epoch_oldest never falls.
// Ownership:  retired memory belongs to the epoch until its `free` is called, by kv_epoch_collect
// or
//             kv_epoch_free.
// Threads:    all but new and free from any thread. Entering writes nothing shared but a cache line
//             that is, with up to KV_EPOCH_SLOTS threads, the thread's own; it never waits. A guard
//             may be left by another thread than the one that entered, and guards may be nested.
#ifndef TARN_KV_EPOCH_H
#define TARN_KV_EPOCH_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct kv_epoch kv_epoch;

typedef struct kv_guard {
    kv_epoch *epoch;
    uint64_t moment; // readers may take this as their version
    uint32_t slot;
} kv_guard;

// Embedded in what is retired; its fields belong to the epoch from then on.
typedef struct kv_retired kv_retired;
typedef void kv_retired_free(void *context, kv_retired *retired);
struct kv_retired {
    kv_retired *next;
    uint64_t moment;
    kv_retired_free *free;
    void *context;
};

TARN_MUST_USE tarn_status kv_epoch_new(const tarn_alloc *alloc, kv_epoch **ret_epoch,
                                       tarn_error *err);
void kv_epoch_free(kv_epoch *epoch); // nobody is inside; frees all that is retired; accepts NULL

kv_guard kv_epoch_enter(kv_epoch *epoch);
void kv_epoch_leave(kv_guard guard);

uint64_t kv_epoch_now(const kv_epoch *epoch);
// Begins the next moment and returns it.
uint64_t kv_epoch_advance(kv_epoch *epoch);
// The clock starts at `moment` instead of 1. Before anybody enters.
void kv_epoch_start_at(kv_epoch *epoch, uint64_t moment);
// No reader that is inside, or will come, noted an earlier moment, or has a guard that says one.
uint64_t kv_epoch_oldest(const kv_epoch *epoch);

// `retired` can no longer be reached by who enters at a later moment than now.
void kv_epoch_retire(kv_epoch *epoch, kv_retired *retired, kv_retired_free *free, void *context);
// Frees what no reader can reach. Does nothing while another thread does it.
void kv_epoch_collect(kv_epoch *epoch);

#endif
