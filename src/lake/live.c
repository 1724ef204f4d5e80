// live.c - reading manifests, and the live files of a snapshot.
#include "base/alloc.h"
#include "lake/table.h"

static tarn_status open_metadata(tarn_table *table, tarn_slice name, tarn_object **ret_object,
                                 tarn_error *err) {
    tarn_arena scratch;
    tarn_arena_init(&scratch, table->alloc, SIZE_MAX);
    tarn_slice path;
    tarn_status status =
        lake_path(table, &scratch, &path, err, "manifest/" TARN_SLICE_FMT, TARN_SLICE_ARG(name));
    if (status == TARN_OK) status = tarn_store_open(table->store, path, ret_object, err);
    tarn_arena_reset(&scratch);
    return status;
}

tarn_status lake_list_read(tarn_table *table, tarn_slice name, tarn_arena *arena,
                           lake_manifest **ret_manifests, size_t *ret_count, tarn_error *err) {
    tarn_object *object = NULL;
    TARN_TRY(open_metadata(table, name, &object, err));
    tarn_status status = lake_manifest_list_decode(object, arena, ret_manifests, ret_count, err);
    tarn_object_close(object);
    return status;
}

tarn_status lake_manifests_read(tarn_table *table, const lake_snapshot *snapshot, tarn_arena *arena,
                                lake_manifest **ret_manifests, size_t *ret_count, tarn_error *err) {
    lake_manifest *base = NULL;
    lake_manifest *delta = NULL;
    size_t base_count = 0;
    size_t delta_count = 0;
    TARN_TRY(lake_list_read(table, snapshot->base_list, arena, &base, &base_count, err));
    TARN_TRY(lake_list_read(table, snapshot->delta_list, arena, &delta, &delta_count, err));
    lake_manifest *all = tarn_arena_new(arena, lake_manifest, base_count + delta_count);
    if (all == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a manifest list");
    if (base_count > 0) memcpy(all, base, base_count * sizeof *all);
    if (delta_count > 0) memcpy(all + base_count, delta, delta_count * sizeof *all);
    *ret_manifests = all;
    *ret_count = base_count + delta_count;
    return TARN_OK;
}

// ---- contents ----

void lake_content_unref(lake_content *content) {
    if (content == NULL) return;
    // Release: our reads happen before the free. Acquire in the last one: it sees them all.
    if (atomic_fetch_sub_explicit(&content->references, 1, memory_order_acq_rel) != 1) return;
    tarn_arena_reset(&content->arena);
    tarn_alloc_free(content->alloc, content, 1);
}

static lake_content *content_ref(lake_content *content) {
    atomic_fetch_add_explicit(&content->references, 1, memory_order_relaxed);
    return content;
}

// Moves a hit to the end, where eviction comes last.
static lake_content *cache_find(tarn_table *table, tarn_slice name) {
    for (size_t i = table->content_count; i > 0; i--) {
        lake_content *content = table->contents[i - 1];
        if (!tarn_slice_equal(content->name, name)) continue;
        memmove(&table->contents[i - 1], &table->contents[i],
                (table->content_count - i) * sizeof(lake_content *));
        table->contents[table->content_count - 1] = content;
        return content_ref(content);
    }
    return NULL;
}

static void cache_insert(tarn_table *table, lake_content *content) {
    lake_content *evicted = NULL;
    tarn_mutex_lock(table->lock);
    if (table->content_count == LAKE_CACHE_CONTENTS) {
        evicted = table->contents[0];
        memmove(&table->contents[0], &table->contents[1],
                (table->content_count - 1) * sizeof(lake_content *));
        table->content_count--;
    }
    table->contents[table->content_count++] = content_ref(content);
    tarn_mutex_unlock(table->lock);
    lake_content_unref(evicted);
}

static tarn_status decode_content(tarn_table *table, tarn_slice name, lake_content *content,
                                  tarn_error *err) {
    if (!tarn_arena_copy(&content->arena, name, &content->name)) {
        return tarn_fail(err, TARN_NO_MEMORY, "a manifest");
    }
    tarn_object *object = NULL;
    TARN_TRY(open_metadata(table, name, &object, err));
    tarn_status status = lake_manifest_decode(object, &content->arena, &content->entries,
                                              &content->count, &content->is_plain, err);
    tarn_object_close(object);
    return status;
}

tarn_status lake_content_read(tarn_table *table, tarn_slice name, lake_content **ret_content,
                              tarn_error *err) {
    tarn_mutex_lock(table->lock);
    lake_content *content = cache_find(table, name);
    tarn_mutex_unlock(table->lock);
    if (content == NULL) {
        content = tarn_alloc_new(table->alloc, lake_content, 1);
        if (content == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a manifest");
        content->alloc = table->alloc;
        atomic_store_explicit(&content->references, 1, memory_order_relaxed);
        tarn_arena_init(&content->arena, table->alloc, SIZE_MAX);
        tarn_status status = decode_content(table, name, content, err);
        if (status != TARN_OK) {
            lake_content_unref(content);
            return status;
        }
        cache_insert(table, content);
    }
    *ret_content = content;
    return TARN_OK;
}

// ---- live files ----

static tarn_status load_contents(tarn_table *table, const lake_manifest *manifests, size_t count,
                                 const lake_live_filter *filter, lake_live *live, tarn_error *err) {
    live->contents = tarn_arena_new(&live->arena, lake_content *, count);
    if (live->contents == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu manifests", count);
    live->manifests_total = count;
    for (size_t i = 0; i < count; i++) {
        if (filter != NULL && !filter->keep_manifest(filter->context, &manifests[i])) continue;
        TARN_TRY(
            lake_content_read(table, manifests[i].name, &live->contents[live->content_count], err));
        live->content_count++;
        live->manifests_read++;
    }
    return TARN_OK;
}

static tarn_status fold_contents(const lake_live_filter *filter, lake_live *live, tarn_error *err) {
    lake_fold fold;
    lake_fold_init(&fold, &live->arena);
    for (size_t i = 0; i < live->content_count; i++) {
        const lake_content *content = live->contents[i];
        for (size_t j = 0; j < content->count; j++) {
            const lake_entry *entry = &content->entries[j];
            if (filter != NULL && !filter->keep_entry(filter->context, entry)) continue;
            tarn_status status = lake_fold_add(&fold, entry, err);
            if (status == TARN_CONFLICT) {
                // Two ADDs of one file in stored manifests: nobody can write that and be right.
                if (err != NULL) err->status = TARN_CORRUPT;
                status = TARN_CORRUPT;
            }
            if (status != TARN_OK) {
                tarn_error_prefix(err, TARN_SLICE_FMT ": ", TARN_SLICE_ARG(content->name));
                return status;
            }
        }
    }
    if (fold.pending_count > 0) {
        return tarn_fail(err, TARN_CORRUPT, "the manifests delete %zu files that no manifest adds",
                         fold.pending_count);
    }
    return lake_fold_entries(&fold, &live->entries, &live->count, err);
}

tarn_status lake_live_load(tarn_table *table, const lake_snapshot *snapshot,
                           const lake_live_filter *filter, lake_live *ret_live, tarn_error *err) {
    lake_live live = {0};
    tarn_arena_init(&live.arena, table->alloc, SIZE_MAX);
    lake_manifest *manifests = NULL;
    size_t count = 0;
    tarn_status status = lake_manifests_read(table, snapshot, &live.arena, &manifests, &count, err);
    if (status == TARN_OK) status = load_contents(table, manifests, count, filter, &live, err);
    if (status == TARN_OK) status = fold_contents(filter, &live, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "snapshot %lld: ", (long long)snapshot->view.id);
        lake_live_free(&live);
        return status;
    }
    *ret_live = live;
    return TARN_OK;
}

void lake_live_free(lake_live *live) {
    for (size_t i = 0; i < live->content_count; i++) lake_content_unref(live->contents[i]);
    if (live->arena.alloc != NULL) tarn_arena_reset(&live->arena);
    *live = (lake_live){0};
}
