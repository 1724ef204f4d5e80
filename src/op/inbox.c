// inbox.c - batches that other threads hand into a flow.
//
// What one push brings belongs to one epoch: it is emitted in one poll, and barriers come between
// polls. There is no state: what was pushed after the last checkpoint is pushed again by its owner.
#include <stdatomic.h>

#include "op/op_internal.h"

// What one push brought.
typedef struct inbox_entry inbox_entry;
struct inbox_entry {
    inbox_entry *next;
    size_t batch_count;
    tarn_batch *batches[];
};

struct tarn_op_inbox {
    const tarn_alloc *alloc;
    _Atomic uint32_t references;
    tarn_mutex *lock;
    // guarded by lock
    inbox_entry *first;
    inbox_entry *last;
    bool closed;
};

tarn_status tarn_op_inbox_new(const tarn_alloc *alloc, tarn_op_inbox **ret_inbox, tarn_error *err) {
    tarn_op_inbox *inbox = tarn_alloc_new(alloc, tarn_op_inbox, 1);
    if (inbox == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory for an inbox");
    inbox->alloc = alloc;
    atomic_init(&inbox->references, 1);
    tarn_status status = tarn_mutex_new(TARN_LOCK_CHANNEL, &inbox->lock, err);
    if (status != TARN_OK) {
        tarn_alloc_free(alloc, inbox, 1);
        return status;
    }
    *ret_inbox = inbox;
    return TARN_OK;
}

static void free_entry(const tarn_alloc *alloc, inbox_entry *entry) {
    for (size_t i = 0; i < entry->batch_count; i++) tarn_batch_unref(entry->batches[i]);
    alloc->release(alloc->context, entry,
                   sizeof *entry + entry->batch_count * sizeof(tarn_batch *));
}

void tarn_op_inbox_unref(tarn_op_inbox *inbox) {
    if (inbox == NULL) return;
    // Acquire and release: what other holders wrote is seen by the one who frees.
    if (atomic_fetch_sub_explicit(&inbox->references, 1, memory_order_acq_rel) > 1) return;
    for (inbox_entry *entry = inbox->first; entry != NULL;) {
        inbox_entry *next = entry->next;
        free_entry(inbox->alloc, entry);
        entry = next;
    }
    tarn_mutex_free(inbox->lock);
    tarn_alloc_free(inbox->alloc, inbox, 1);
}

tarn_status tarn_op_inbox_push_all(tarn_op_inbox *inbox, tarn_batch *const *batches, size_t count,
                                   tarn_error *err) {
    size_t bytes = sizeof(inbox_entry) + count * sizeof(tarn_batch *);
    inbox_entry *entry = inbox->alloc->acquire(inbox->alloc->context, bytes);
    if (entry == NULL) {
        for (size_t i = 0; i < count; i++) tarn_batch_unref(batches[i]);
        return tarn_fail(err, TARN_NO_MEMORY, "out of memory for an inbox");
    }
    entry->next = NULL;
    entry->batch_count = count;
    for (size_t i = 0; i < count; i++) entry->batches[i] = batches[i];
    tarn_mutex_lock(inbox->lock);
    tarn_assert(!inbox->closed);
    if (inbox->last == NULL) {
        inbox->first = entry;
    } else {
        inbox->last->next = entry;
    }
    inbox->last = entry;
    tarn_mutex_unlock(inbox->lock);
    return TARN_OK;
}

tarn_status tarn_op_inbox_push(tarn_op_inbox *inbox, tarn_batch *batch, tarn_error *err) {
    return tarn_op_inbox_push_all(inbox, &batch, 1, err);
}

void tarn_op_inbox_close(tarn_op_inbox *inbox) {
    tarn_mutex_lock(inbox->lock);
    inbox->closed = true;
    tarn_mutex_unlock(inbox->lock);
}

// ---- the source ----

typedef struct inbox_source {
    op_base base;
    tarn_op_inbox *inbox;
    bool said_complete; // these rows have no event time: they hold no watermark back
} inbox_source;

static void inbox_free(void *self) {
    inbox_source *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    tarn_op_inbox_unref(op->inbox);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status inbox_poll(void *self, tarn_output *output, tarn_poll *ret_poll,
                              tarn_error *err) {
    inbox_source *op = self;
    tarn_op_inbox *inbox = op->inbox;
    tarn_mutex_lock(inbox->lock);
    inbox_entry *entry = inbox->first;
    if (entry != NULL) {
        inbox->first = entry->next;
        if (inbox->first == NULL) inbox->last = NULL;
    }
    bool closed = inbox->closed;
    tarn_mutex_unlock(inbox->lock);

    if (entry != NULL) {
        tarn_status status = TARN_OK;
        for (size_t i = 0; i < entry->batch_count && status == TARN_OK; i++) {
            status = tarn_output_emit(output, &entry->batches[i]->chunk, err);
        }
        free_entry(inbox->alloc, entry);
        if (status == TARN_OK) *ret_poll = TARN_POLL_MORE;
        return status;
    }
    // Only once what was there at the start has been delivered: a join takes this as the sign that
    // its right side is loaded.
    if (!op->said_complete) {
        op->said_complete = true;
        TARN_TRY(tarn_output_watermark(output, INT64_MAX, err));
    }
    *ret_poll = closed ? TARN_POLL_END : TARN_POLL_IDLE;
    return TARN_OK;
}

static const tarn_source_ops inbox_ops = {.poll = inbox_poll, .free = inbox_free};

tarn_status tarn_op_add_inbox(tarn_flow *flow, tarn_slice name, tarn_op_inbox *inbox,
                              tarn_node *ret_node, tarn_error *err) {
    const tarn_alloc *alloc = inbox->alloc;
    inbox_source *op = tarn_alloc_new(alloc, inbox_source, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory for an inbox");
    tarn_status status = op_base_init(&op->base, alloc, name, NULL, 0, err);
    if (status != TARN_OK) {
        inbox_free(op);
        return status;
    }
    // Relaxed: whoever takes a reference holds one already.
    atomic_fetch_add_explicit(&inbox->references, 1, memory_order_relaxed);
    op->inbox = inbox;
    return tarn_flow_add_source(flow, op->base.name, &inbox_ops, op, ret_node, err);
}
