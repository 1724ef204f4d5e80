// Which versions are still seen, and the freeing of the others.
#include "base/alloc.h"
#include "kv/mem/mem.h"

// ---- records ----

// Behind the key there is room for a pointer, whatever the value.
static size_t record_bytes(size_t key_len, size_t value_len) {
    return sizeof(mem_record) + key_len + (value_len < 8 ? 8 : value_len);
}

mem_record *mem_record_new(mem_engine *engine, kv_change_kind kind, tarn_slice key,
                           tarn_slice value) {
    size_t bytes = record_bytes(key.len, value.len);
    mem_record *record = engine->alloc->acquire(engine->alloc->context, bytes);
    if (record == NULL) return NULL;
    atomic_init(&record->older, NULL);
    record->moment = 0;
    record->value_len = (uint32_t)value.len;
    record->key_len = (uint16_t)key.len;
    record->kind = (uint8_t)kind;
    memcpy(record->bytes, key.data, key.len);
    if (value.len > 0) memcpy(record->bytes + key.len, value.data, value.len);
    return record;
}

void mem_record_free(mem_engine *engine, mem_record *record) {
    tarn_alloc_release(engine->alloc, record, record_bytes(record->key_len, record->value_len), 1);
}

// ---- queues ----

bool mem_queue_reserve(mem_engine *engine, mem_queue *queue, size_t count) {
    if (count <= queue->capacity - queue->count) return true;
    size_t capacity = queue->capacity == 0 ? TARN_TUNABLE(256, 4) : queue->capacity;
    while (capacity - queue->count < count) {
        if (capacity > SIZE_MAX / 4) return false;
        capacity *= 2;
    }
    mem_queued *items = tarn_alloc_new(engine->alloc, mem_queued, capacity);
    if (items == NULL) return false;
    for (size_t i = 0; i < queue->count; i++) {
        items[i] = queue->items[(queue->begin + i) & (queue->capacity - 1)];
    }
    tarn_alloc_free(engine->alloc, queue->items, queue->capacity);
    queue->items = items;
    queue->capacity = capacity;
    queue->begin = 0;
    return true;
}

void mem_queue_push(mem_queue *queue, mem_queued item) {
    tarn_assert(queue->count < queue->capacity);
    queue->items[(queue->begin + queue->count) & (queue->capacity - 1)] = item;
    queue->count++;
}

static mem_queued pop(mem_queue *queue) {
    tarn_assert(queue->count > 0);
    mem_queued item = queue->items[queue->begin];
    queue->begin = (queue->begin + 1) & (queue->capacity - 1);
    queue->count--;
    return item;
}

void mem_queue_free(mem_engine *engine, mem_queue *queue) {
    tarn_alloc_free(engine->alloc, queue->items, queue->capacity);
    *queue = (mem_queue){0};
}

// ---- views ----

static void append_view(mem_engine *engine, mem_view *view) {
    view->older = engine->newest_view;
    if (view->older != NULL) view->older->newer = view;
    if (view->older == NULL) engine->oldest_view = view;
    engine->newest_view = view;
}

// Inside the epoch from before the moment is read until the view is listed: a collection that does
// not see the view in the list has seen the reader, or has begun before the moment did.
tarn_status mem_view_new(mem_engine *engine, mem_view **ret_view, tarn_error *err) {
    mem_view *view = tarn_alloc_new(&tarn_alloc_libc, mem_view, 1);
    if (view == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a snapshot");
    tarn_mutex_lock(engine->view_lock);
    kv_guard guard = kv_epoch_enter(engine->epoch);
    view->moment = guard.moment;
    view->reference_count = 1;
    mem_view *newest = engine->newest_view;
    bool is_shared = newest != NULL && newest->moment == view->moment;
    if (is_shared) {
        newest->reference_count++;
    } else {
        tarn_assert(newest == NULL || newest->moment < view->moment);
        append_view(engine, view);
    }
    kv_epoch_leave(guard);
    tarn_mutex_unlock(engine->view_lock);
    if (is_shared) tarn_alloc_free(&tarn_alloc_libc, view, 1);
    *ret_view = is_shared ? newest : view;
    return TARN_OK;
}

static void remove_view(mem_engine *engine, mem_view *view) {
    if (view->older != NULL) view->older->newer = view->newer;
    if (view->newer != NULL) view->newer->older = view->older;
    if (engine->oldest_view == view) engine->oldest_view = view->newer;
    if (engine->newest_view == view) engine->newest_view = view->older;
}

void mem_view_free(mem_engine *engine, mem_view *view) {
    if (view == NULL) return;
    tarn_mutex_lock(engine->view_lock);
    bool is_last = --view->reference_count == 0;
    if (is_last) {
        remove_view(engine, view);
        // The next writer looks at what it held: this thread may not be one.
        while (view->held != NULL) {
            mem_garbage *garbage = view->held;
            view->held = garbage->next;
            garbage->next = engine->released;
            engine->released = garbage;
        }
    }
    tarn_mutex_unlock(engine->view_lock);
    if (is_last) tarn_alloc_free(&tarn_alloc_libc, view, 1);
}

// ---- collecting ----

void mem_discard(mem_engine *engine, mem_record *record) {
    // Who stands on it looks at its key, its moment and at what is older; not at its value.
    tarn_mutex_assert_held(engine->writer_lock);
    uint64_t now = kv_epoch_now(engine->epoch);
    if (mem_queue_reserve(engine, &engine->limbo, 1)) {
        mem_queue_push(&engine->limbo, (mem_queued){.record = record, .moment = now});
        return;
    }
    // Without memory for the queue there is still the list: freed at close at the latest.
    memcpy(record->bytes + record->key_len, &engine->stranded, sizeof engine->stranded);
    engine->stranded = record;
}

static void empty_limbo(mem_engine *engine, uint64_t oldest) {
    mem_queue *limbo = &engine->limbo;
    while (limbo->count > 0 && limbo->items[limbo->begin].moment < oldest) {
        mem_record_free(engine, pop(limbo).record);
    }
}

// A deletion with nothing older is the same as no key at all.
static void drop_deletion(mem_engine *engine, mem_family *family, mem_record *record) {
    bool is_bare = record->kind == KV_DELETE && atomic_load(&record->older) == NULL;
    if (!is_bare || record->moment > engine->collected) return; // still queued: later
    mem_path path;
    mem_tree_find(&family->tree, mem_record_key(record), &path);
    tarn_assert(path.is_exact);
    if (mem_path_record(&path) != record) return; // a later one goes on with it
    // Without memory for it the deletion stays.
    if (mem_tree_remove(&family->tree, &path)) mem_discard(engine, record);
}

// Takes the one below `newer` out of the chain.
static void unlink_older(mem_engine *engine, mem_family *family, mem_record *newer) {
    mem_record *gone = atomic_load(&newer->older);
    mem_record *below = atomic_load(&gone->older);
    atomic_store_explicit(&newer->older, below, memory_order_release);
    mem_discard(engine, gone);
    if (below == NULL) drop_deletion(engine, family, newer);
}

// The youngest view that sees a record written at `moment` and replaced at `replaced_at`.
static mem_view *view_of(const mem_engine *engine, uint64_t moment, uint64_t replaced_at) {
    mem_view *view = engine->newest_view;
    while (view != NULL && view->moment >= replaced_at) view = view->older;
    return view != NULL && view->moment >= moment ? view : NULL;
}

static bool hold(mem_view *view, mem_garbage garbage) {
    mem_garbage *held = tarn_alloc_new(&tarn_alloc_libc, mem_garbage, 1);
    if (held == NULL) return false;
    *held = garbage;
    held->next = view->held;
    view->held = held;
    return true;
}

static void collect_queued(mem_engine *engine, mem_queued item) {
    engine->collected = item.moment;
    mem_record *older = atomic_load(&item.record->older);
    if (older == NULL) {
        drop_deletion(engine, item.family, item.record);
        return;
    }
    tarn_mutex_lock(engine->view_lock);
    mem_view *view = view_of(engine, older->moment, item.record->moment);
    // When it cannot be noted it stays until the key's chain is freed at close.
    if (view != NULL) {
        bool is_held = hold(view, (mem_garbage){.family = item.family,
                                                .record = older,
                                                .replaced_at = item.record->moment});
        (void)is_held; // see above
    }
    tarn_mutex_unlock(engine->view_lock);
    if (view == NULL) unlink_older(engine, item.family, item.record);
}

// The record above `record` in the chain of its key.
static mem_record *find_newer(mem_family *family, const mem_record *record) {
    mem_path path;
    mem_tree_find(&family->tree, mem_record_key(record), &path);
    tarn_assert(path.is_exact);
    mem_record *newer = mem_path_record(&path);
    while (atomic_load(&newer->older) != record) newer = atomic_load(&newer->older);
    return newer;
}

static void collect_released(mem_engine *engine) {
    tarn_mutex_lock(engine->view_lock);
    mem_garbage *released = engine->released;
    engine->released = NULL;
    mem_garbage *unseen = NULL;
    while (released != NULL) {
        mem_garbage *garbage = released;
        released = garbage->next;
        mem_view *view = view_of(engine, garbage->record->moment, garbage->replaced_at);
        mem_garbage **list = view == NULL ? &unseen : &view->held;
        garbage->next = *list;
        *list = garbage;
    }
    tarn_mutex_unlock(engine->view_lock);
    while (unseen != NULL) {
        mem_garbage *garbage = unseen;
        unseen = garbage->next;
        unlink_older(engine, garbage->family, find_newer(garbage->family, garbage->record));
        tarn_alloc_free(&tarn_alloc_libc, garbage, 1);
    }
}

// ---- dropped families ----

typedef struct grave {
    kv_retired retired;
    mem_engine *engine;
    mem_tree tree;
} grave;

static void free_chain(void *context, mem_record *record) {
    while (record != NULL) {
        mem_record *older = atomic_load(&record->older);
        mem_record_free(context, record);
        record = older;
    }
}

static void free_grave(void *context, kv_retired *retired) {
    grave *g = (grave *)(void *)retired; // its first member
    mem_tree_reset(&g->tree, free_chain, context);
    tarn_alloc_free(&tarn_alloc_libc, g, 1);
}

// Puts an empty tree in the place of the family's. The old one goes when no reader is inside.
static bool empty_family(mem_engine *engine, mem_family *family) {
    mem_tree empty;
    grave *g = tarn_alloc_new(&tarn_alloc_libc, grave, 1);
    tarn_status status = g == NULL ? TARN_NO_MEMORY
                                   : mem_tree_init(&empty, engine->alloc, engine->epoch,
                                                   family->tree.comparator, NULL);
    if (status != TARN_OK) {
        tarn_alloc_free(&tarn_alloc_libc, g, 1);
        return false;
    }
    g->engine = engine;
    g->tree = (mem_tree){.alloc = engine->alloc, .comparator = family->tree.comparator};
    mem_node *root = atomic_exchange(&family->tree.root, atomic_load(&empty.root));
    atomic_init(&g->tree.root, root);
    kv_epoch_retire(engine->epoch, &g->retired, free_grave, engine);
    return true;
}

static void empty_dropped(mem_engine *engine, uint64_t oldest) {
    engine->has_dropped = false;
    for (mem_family *family = engine->families; family != NULL; family = family->next) {
        if (family->dropped_at == 0 || family->is_emptied) continue;
        tarn_mutex_lock(engine->view_lock);
        const mem_view *view = engine->oldest_view;
        bool is_seen = view != NULL && view->moment <= family->dropped_at;
        tarn_mutex_unlock(engine->view_lock);
        if (!is_seen && oldest > family->dropped_at) {
            family->is_emptied = empty_family(engine, family);
        }
        if (!family->is_emptied) engine->has_dropped = true;
    }
}

void mem_collect(mem_engine *engine) {
    tarn_mutex_assert_held(engine->writer_lock);
    uint64_t oldest = kv_epoch_oldest(engine->epoch);
    empty_limbo(engine, oldest);
    mem_queue *queue = &engine->queue;
    while (queue->count > 0 && queue->items[queue->begin].moment <= oldest) {
        collect_queued(engine, pop(queue));
    }
    collect_released(engine);
    if (engine->has_dropped) empty_dropped(engine, oldest);
    kv_epoch_collect(engine->epoch);
}

// ---- the end ----

void mem_versions_free(mem_engine *engine) {
    tarn_assert(engine->oldest_view == NULL); // snapshots and iterators are freed before
    while (engine->families != NULL) {
        mem_family *family = engine->families;
        engine->families = family->next;
        mem_tree_reset(&family->tree, free_chain, engine);
        tarn_alloc_free(engine->alloc, family, 1);
    }
    while (engine->released != NULL) {
        mem_garbage *garbage = engine->released;
        engine->released = garbage->next;
        tarn_alloc_free(&tarn_alloc_libc, garbage, 1);
    }
    empty_limbo(engine, UINT64_MAX);
    while (engine->stranded != NULL) {
        mem_record *record = engine->stranded;
        memcpy(&engine->stranded, record->bytes + record->key_len, sizeof engine->stranded);
        mem_record_free(engine, record);
    }
    mem_queue_free(engine, &engine->limbo);
    mem_queue_free(engine, &engine->queue);
}
