#include "base/alloc.h"
#include "kv/lsm/lsm.h"

tarn_status lsm_version_new(const tarn_alloc *alloc, lsm_version **ret_version, tarn_error *err) {
    lsm_version *version = tarn_alloc_new(alloc, lsm_version, 1);
    if (version == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a list of tables");
    version->alloc = alloc;
    atomic_init(&version->reference_count, 1);
    *ret_version = version;
    return TARN_OK;
}

void lsm_version_unref(lsm_version *version) {
    if (version == NULL) return;
    if (atomic_fetch_sub_explicit(&version->reference_count, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < LSM_LEVELS; i++) {
        lsm_level *level = &version->levels[i];
        for (size_t k = 0; k < level->count; k++) lsm_file_unref(level->files[k]);
        tarn_alloc_free(version->alloc, level->files, level->count);
    }
    tarn_alloc_free(version->alloc, version, 1);
}

static bool contains(lsm_file *const *files, size_t count, const lsm_file *file) {
    for (size_t i = 0; i < count; i++) {
        if (files[i] == file) return true;
    }
    return false;
}

static bool goes_before(const lsm_file *a, const lsm_file *b, lsm_order order, size_t level) {
    if (level == 0) {
        if (a->summary->largest_sequence != b->summary->largest_sequence) {
            return a->summary->largest_sequence > b->summary->largest_sequence;
        }
        return a->id > b->id;
    }
    return lsm_compare_bounds(order, a->summary->smallest, b->summary->smallest) < 0;
}

// Files of the old level that stay, and those that the change adds to it, in order.
static bool fill_level(lsm_version *version, size_t level, const lsm_level *old,
                       const lsm_change *change) {
    size_t added_count = change->level == level ? change->added_count : 0;
    size_t kept = 0;
    for (size_t i = 0; i < old->count; i++) {
        kept += !contains(change->dropped, change->dropped_count, old->files[i]);
    }
    lsm_level *filled = &version->levels[level];
    size_t count = kept + added_count;
    if (count == 0) return true;
    filled->files = tarn_alloc_new(version->alloc, lsm_file *, count);
    if (filled->files == NULL) return false;
    for (size_t i = 0; i < old->count; i++) {
        if (contains(change->dropped, change->dropped_count, old->files[i])) continue;
        filled->files[filled->count++] = old->files[i];
    }
    for (size_t i = 0; i < added_count; i++) {
        lsm_file *added = change->added[i];
        size_t at = filled->count++;
        while (at > 0 && goes_before(added, filled->files[at - 1], change->family->order, level)) {
            filled->files[at] = filled->files[at - 1];
            at--;
        }
        filled->files[at] = added;
    }
    tarn_assert(filled->count == count);
    for (size_t i = 0; i < count; i++) lsm_file_ref(filled->files[i]);
    return true;
}

tarn_status lsm_version_change(const lsm_version *old, const lsm_change *change,
                               lsm_version **ret_version, tarn_error *err) {
    lsm_version *version = NULL;
    TARN_TRY(lsm_version_new(old->alloc, &version, err));
    for (size_t i = 0; i < LSM_LEVELS; i++) {
        if (!fill_level(version, i, &old->levels[i], change)) {
            lsm_version_unref(version);
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a list of tables");
        }
    }
    *ret_version = version;
    return TARN_OK;
}

size_t lsm_level_find(const lsm_level *level, lsm_order order, tarn_slice key) {
    size_t low = 0;
    size_t high = level->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lsm_file_is_before(level->files[middle], order, key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t lsm_level_bytes(const lsm_level *level) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < level->count; i++) bytes += level->files[i]->map.len;
    return bytes;
}

tarn_status lsm_version_check(const lsm_version *version, lsm_order order, tarn_error *err) {
    for (size_t i = 1; i < LSM_LEVELS; i++) {
        const lsm_level *level = &version->levels[i];
        for (size_t k = 1; k < level->count; k++) {
            const lsm_file *file = level->files[k];
            if (lsm_file_is_before(level->files[k - 1], order, file->summary->smallest)) continue;
            return tarn_fail(err, TARN_CORRUPT, "level %zu: tables %06llu and %06llu overlap", i,
                             (unsigned long long)level->files[k - 1]->id,
                             (unsigned long long)file->id);
        }
    }
    return TARN_OK;
}

// ---- views ----

tarn_status lsm_view_new(const tarn_alloc *alloc, lsm_version *version,
                         lsm_memtable *const *memtables, size_t count, lsm_view **ret_view,
                         tarn_error *err) {
    lsm_view *view = tarn_alloc_zeroed(alloc, 1, sizeof *view + count * sizeof view->memtables[0]);
    if (view == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a family's state");
    view->alloc = alloc;
    atomic_init(&view->reference_count, 1);
    view->version = version;
    atomic_fetch_add_explicit(&version->reference_count, 1, memory_order_relaxed);
    view->memtable_count = count;
    for (size_t i = 0; i < count; i++) {
        view->memtables[i] = memtables[i];
        lsm_memtable_ref(memtables[i]);
    }
    *ret_view = view;
    return TARN_OK;
}

void lsm_view_ref(lsm_view *view) {
    atomic_fetch_add_explicit(&view->reference_count, 1, memory_order_relaxed);
}

void lsm_view_unref(lsm_view *view) {
    if (view == NULL) return;
    if (atomic_fetch_sub_explicit(&view->reference_count, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < view->memtable_count; i++) lsm_memtable_unref(view->memtables[i]);
    lsm_version_unref(view->version);
    tarn_alloc_release(view->alloc, view, 1,
                       sizeof *view + view->memtable_count * sizeof view->memtables[0]);
}

static void free_retired(void *context, kv_retired *retired) {
    (void)context;
    lsm_view_unref((lsm_view *)retired);
}

void lsm_family_install(lsm_family *family, lsm_view *view) {
    tarn_mutex_assert_held(family->engine->state);
    // Release: pairs with the acquire of readers.
    lsm_view *old = atomic_exchange_explicit(&family->view, view, memory_order_acq_rel);
    if (old == NULL) return;
    kv_epoch_retire(family->engine->epoch, &old->retired, free_retired, NULL);
    (void)kv_epoch_advance(family->engine->epoch);
}
