// Views: which versions are read, and what may be reused.
#include "base/alloc.h"
#include "kv/btree/btree.h"

tarn_status btree_view_new(const btree_engine *engine, uint64_t version, btree_view **ret_view,
                           tarn_error *err) {
    size_t bytes = sizeof(btree_view) + engine->root_count * sizeof(btree_family_root);
    btree_view *view = tarn_alloc_zeroed(engine->alloc, 1, bytes);
    if (view == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a version of a B+tree");
    view->alloc = engine->alloc;
    view->version = version;
    view->root_count = engine->root_count;
    if (engine->root_count > 0) {
        memcpy(view->roots, engine->roots, engine->root_count * sizeof(btree_family_root));
    }
    *ret_view = view;
    return TARN_OK;
}

void btree_view_free(btree_view *view) {
    if (view == NULL) return;
    tarn_alloc_release(view->alloc, view, 1,
                       sizeof(btree_view) + view->root_count * sizeof(btree_family_root));
}

static void free_retired(void *context, kv_retired *retired) {
    (void)context;
    btree_view_free((btree_view *)(void *)retired); // its first member
}

// With pin_lock: nobody can come to the view any more but who is there already.
static void retire(btree_engine *engine, btree_view *view) {
    tarn_mutex_assert_held(engine->pin_lock);
    if (view->older != NULL) view->older->newer = view->newer;
    if (view->newer != NULL) view->newer->older = view->older;
    kv_epoch_retire(engine->epoch, &view->retired, free_retired, NULL);
}

void btree_view_publish(btree_engine *engine, btree_view *view) {
    view->numbers = engine->numbers;
    view->numbers.free_pages = engine->pages.space.free_count;
    view->numbers.frame_bytes = engine->pages.frame_bytes;
    tarn_mutex_lock(engine->pin_lock);
    btree_view *before = engine->newest;
    view->older = before;
    if (before != NULL) before->newer = view;
    engine->newest = view;
    // Release: pairs with the acquire of readers.
    atomic_store_explicit(&engine->current, view, memory_order_release);
    if (before != NULL && before->pin_count == 0) retire(engine, before);
    tarn_mutex_unlock(engine->pin_lock);
    // Who enters from here on sees the view.
    if (before != NULL) tarn_assert(kv_epoch_advance(engine->epoch) == view->version);
    kv_epoch_collect(engine->epoch);
}

btree_view *btree_view_pin(btree_engine *engine) {
    tarn_mutex_lock(engine->pin_lock);
    btree_view *view = engine->newest;
    if (view->pin_count++ == 0) view->pinned_ns = tarn_os_monotonic_ns(engine->os);
    tarn_mutex_unlock(engine->pin_lock);
    return view;
}

void btree_view_unpin(btree_engine *engine, btree_view *view) {
    tarn_mutex_lock(engine->pin_lock);
    tarn_assert(view->pin_count > 0);
    if (--view->pin_count == 0 && view != engine->newest) retire(engine, view);
    tarn_mutex_unlock(engine->pin_lock);
}

void btree_views_free(btree_engine *engine) {
    btree_view *view = engine->newest;
    tarn_assert(view == NULL || view->older == NULL); // snapshots and iterators are gone
    btree_view_free(view);
}

// The pinned versions, ascending.
static bool collect_pinned(btree_engine *engine, size_t *ret_count) {
    size_t count = 0;
    tarn_mutex_lock(engine->pin_lock);
    for (const btree_view *view = engine->newest; view != NULL; view = view->older) {
        if (view->pin_count == 0) continue;
        if (count < engine->pinned_capacity) engine->pinned[count] = view->version;
        count++;
    }
    tarn_mutex_unlock(engine->pin_lock);
    *ret_count = count;
    if (count > engine->pinned_capacity) {
        uint64_t *pinned = tarn_alloc_new(engine->alloc, uint64_t, 2 * count);
        if (pinned == NULL) return false;
        tarn_alloc_free(engine->alloc, engine->pinned, engine->pinned_capacity);
        engine->pinned = pinned;
        engine->pinned_capacity = 2 * count;
        return collect_pinned(engine, ret_count); // there is room now, for twice as many
    }
    for (size_t i = 0; i < count / 2; i++) {
        uint64_t version = engine->pinned[i];
        engine->pinned[i] = engine->pinned[count - 1 - i];
        engine->pinned[count - 1 - i] = version;
    }
    return true;
}

void btree_reclaim(btree_engine *engine) {
    // The moment first: who comes and pins later sees the newest view, of which nothing is retired.
    btree_horizon horizon = {.oldest = kv_epoch_oldest(engine->epoch)};
    if (!collect_pinned(engine, &horizon.pinned_count)) return; // with the next commit, perhaps
    horizon.pinned = engine->pinned;
    btree_pages_reclaim(&engine->pages, &horizon);
}
