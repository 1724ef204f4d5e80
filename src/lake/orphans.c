// orphans.c - removing files that no snapshot refers to.
#include "lake/bytemap.h"
#include "lake/committable.h"
#include "lake/table.h"

// Partitions are directories below directories; no deeper than this.
#define DEPTH_MAX 66

typedef struct sweep {
    tarn_table *table;
    tarn_arena *arena;
    lake_bytemap used; // paths of files that must stay
    uint64_t removed;
} sweep;

// ---- what is used ----

static tarn_status use_path(sweep *s, tarn_slice path, tarn_error *err) {
    size_t number = 0;
    return lake_bytemap_insert(&s->used, path, &number, NULL, err);
}

static tarn_status use_metadata(sweep *s, const char *directory, tarn_slice name, tarn_error *err) {
    if (name.len == 0) return TARN_OK;
    tarn_slice path;
    TARN_TRY(lake_path(s->table, s->arena, &path, err, "%s/" TARN_SLICE_FMT, directory,
                       TARN_SLICE_ARG(name)));
    return use_path(s, path, err);
}

static tarn_status use_in_directory(sweep *s, tarn_slice directory, tarn_slice name,
                                    tarn_error *err) {
    tarn_slice path;
    if (!tarn_arena_printf(s->arena, &path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                           TARN_SLICE_ARG(directory), TARN_SLICE_ARG(name))) {
        return tarn_fail(err, TARN_NO_MEMORY, "a path");
    }
    return use_path(s, path, err);
}

// Deleted files too: older snapshots still have them.
static tarn_status use_entry(sweep *s, const lake_entry *entry, tarn_error *err) {
    tarn_slice directory;
    TARN_TRY(
        lake_bucket_path(s->table, entry->partition, entry->bucket, s->arena, &directory, err));
    TARN_TRY(use_in_directory(s, directory, entry->file.name, err));
    for (size_t i = 0; i < entry->file.extra_file_count; i++) {
        TARN_TRY(use_in_directory(s, directory, entry->file.extra_files[i], err));
    }
    return TARN_OK;
}

static tarn_status use_manifest(sweep *s, tarn_slice name, tarn_error *err) {
    // Manifests are shared by many snapshots: each is read once.
    tarn_slice path;
    TARN_TRY(lake_path(s->table, s->arena, &path, err, "manifest/" TARN_SLICE_FMT,
                       TARN_SLICE_ARG(name)));
    if (lake_bytemap_find(&s->used, path) != LAKE_BYTEMAP_ABSENT) return TARN_OK;
    TARN_TRY(use_path(s, path, err));
    lake_content *content = NULL;
    TARN_TRY(lake_content_read(s->table, name, &content, err));
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < content->count && status == TARN_OK; i++) {
        status = use_entry(s, &content->entries[i], err);
    }
    lake_content_unref(content);
    return status;
}

static tarn_status use_list(sweep *s, tarn_slice name, tarn_error *err) {
    if (name.len == 0) return TARN_OK;
    lake_manifest *manifests = NULL;
    size_t count = 0;
    TARN_TRY(use_metadata(s, "manifest", name, err));
    TARN_TRY(lake_list_read(s->table, name, s->arena, &manifests, &count, err));
    for (size_t i = 0; i < count; i++) TARN_TRY(use_manifest(s, manifests[i].name, err));
    return TARN_OK;
}

static tarn_status use_index_manifest(sweep *s, tarn_slice name, tarn_error *err) {
    if (name.len == 0) return TARN_OK;
    tarn_slice path;
    tarn_object *object = NULL;
    lake_index_entry *entries = NULL;
    size_t count = 0;
    TARN_TRY(use_metadata(s, "manifest", name, err));
    TARN_TRY(lake_path(s->table, s->arena, &path, err, "manifest/" TARN_SLICE_FMT,
                       TARN_SLICE_ARG(name)));
    TARN_TRY(tarn_store_open(s->table->store, path, &object, err));
    tarn_status status = lake_index_manifest_decode(object, s->arena, &entries, &count, err);
    tarn_object_close(object);
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        status = use_metadata(s, "index", entries[i].name, err);
    }
    return status;
}

static tarn_status use_snapshot(sweep *s, const lake_snapshot *snapshot, tarn_error *err) {
    TARN_TRY(use_list(s, snapshot->base_list, err));
    TARN_TRY(use_list(s, snapshot->delta_list, err));
    TARN_TRY(use_list(s, snapshot->changelog_list, err));
    return use_index_manifest(s, snapshot->index_manifest, err);
}

static tarn_status use_snapshots(sweep *s, tarn_error *err) {
    lake_numbers ids = {0};
    TARN_TRY(lake_snapshot_ids(s->table, s->arena, &ids, err));
    for (size_t i = 0; i < ids.count; i++) {
        lake_snapshot snapshot;
        bool found = false;
        TARN_TRY(lake_snapshot_read(s->table, ids.items[i], s->arena, &snapshot, &found, err));
        if (found) TARN_TRY(use_snapshot(s, &snapshot, err));
    }
    return TARN_OK;
}

static tarn_status list(sweep *s, const char *directory, tarn_slice **ret_names, size_t *ret_count,
                        tarn_error *err) {
    tarn_slice path;
    TARN_TRY(lake_path(s->table, s->arena, &path, err, "%s", directory));
    return tarn_store_list(s->table->store, path, s->arena, ret_names, ret_count, err);
}

// A tag is a snapshot by another name.
static tarn_status use_tags(sweep *s, tarn_error *err) {
    tarn_slice *names = NULL;
    size_t count = 0;
    TARN_TRY(list(s, "tag", &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (!tarn_slice_starts_with(names[i], TARN_LIT("tag-")) ||
            tarn_slice_equal(names[i], TARN_LIT("tag-success-file"))) {
            continue;
        }
        tarn_slice path;
        tarn_slice json;
        lake_snapshot snapshot;
        TARN_TRY(lake_path(s->table, s->arena, &path, err, "tag/" TARN_SLICE_FMT,
                           TARN_SLICE_ARG(names[i])));
        TARN_TRY(
            tarn_store_get(s->table->store, path, LAKE_JSON_LIMIT_BYTES, s->arena, &json, err));
        TARN_TRY(lake_snapshot_decode(json, s->arena, &snapshot, err));
        TARN_TRY(use_snapshot(s, &snapshot, err));
    }
    return TARN_OK;
}

static tarn_status refuse_directory(sweep *s, const char *directory, const char *what,
                                    tarn_error *err) {
    tarn_slice *names = NULL;
    size_t count = 0;
    TARN_TRY(list(s, directory, &names, &count, err));
    if (count == 0) return TARN_OK;
    return tarn_fail(err, TARN_UNSUPPORTED, "removing orphans of a table with %s", what);
}

static tarn_status use_committables(sweep *s, const tarn_slice *keep, size_t keep_count,
                                    tarn_error *err) {
    for (size_t i = 0; i < keep_count; i++) {
        lake_entry *entries = NULL;
        size_t count = 0;
        TARN_TRY(
            lake_committable_decode(keep[i], s->table->alloc, s->arena, &entries, &count, err));
        for (size_t j = 0; j < count; j++) TARN_TRY(use_entry(s, &entries[j], err));
    }
    return TARN_OK;
}

// ---- what goes ----

static tarn_status remove_unused(sweep *s, tarn_slice path, tarn_error *err) {
    if (lake_bytemap_find(&s->used, path) != LAKE_BYTEMAP_ABSENT) return TARN_OK;
    TARN_TRY(tarn_store_remove(s->table->store, path, err));
    s->removed++;
    return TARN_OK;
}

static tarn_status remove_unfinished(sweep *s, tarn_slice directory, tarn_error *err) {
    uint64_t removed = 0;
    TARN_TRY(tarn_store_remove_unfinished(s->table->store, directory, &removed, err));
    s->removed += removed;
    return TARN_OK;
}

// What never got its name, and, with a `prefix`, files so named that nothing refers to.
static tarn_status sweep_metadata(sweep *s, const char *directory, const char *prefix,
                                  tarn_error *err) {
    tarn_slice path;
    tarn_slice *names = NULL;
    size_t count = 0;
    TARN_TRY(lake_path(s->table, s->arena, &path, err, "%s", directory));
    TARN_TRY(remove_unfinished(s, path, err));
    TARN_TRY(list(s, directory, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        bool is_ours =
            prefix != NULL && (tarn_slice_starts_with(names[i], tarn_slice_from_cstr(prefix)) ||
                               tarn_slice_starts_with(names[i], TARN_LIT("index-")));
        if (!is_ours) continue;
        TARN_TRY(lake_path(s->table, s->arena, &path, err, "%s/" TARN_SLICE_FMT, directory,
                           TARN_SLICE_ARG(names[i])));
        TARN_TRY(remove_unused(s, path, err));
    }
    return TARN_OK;
}

// Directories of the table that hold something else than partitions.
static bool is_metadata_directory(tarn_slice name) {
    static const char *const names[] = {"schema",     "snapshot", "manifest", "index",
                                        "statistics", "tag",      "consumer", "changelog",
                                        "branch",     "service",  "metadata"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(names[i]))) return true;
    }
    return false;
}

static tarn_status sweep_data(sweep *s, tarn_slice directory, bool is_bucket, int depth,
                              tarn_error *err) {
    tarn_slice *names = NULL;
    size_t count = 0;
    if (depth > DEPTH_MAX) return TARN_OK;
    if (is_bucket) TARN_TRY(remove_unfinished(s, directory, err));
    TARN_TRY(tarn_store_list(s->table->store, directory, s->arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        tarn_slice path;
        tarn_file_info info;
        if (depth == 0 && is_metadata_directory(names[i])) continue;
        if (!tarn_arena_printf(s->arena, &path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                               TARN_SLICE_ARG(directory), TARN_SLICE_ARG(names[i]))) {
            return tarn_fail(err, TARN_NO_MEMORY, "a path");
        }
        TARN_TRY(tarn_store_stat(s->table->store, path, &info, err));
        if (info.is_directory) {
            bool below = tarn_slice_starts_with(names[i], TARN_LIT("bucket-"));
            TARN_TRY(sweep_data(s, path, below, depth + 1, err));
        } else if (is_bucket) {
            TARN_TRY(remove_unused(s, path, err));
        }
    }
    return TARN_OK;
}

static tarn_status run(sweep *s, const tarn_slice *keep, size_t keep_count, tarn_error *err) {
    TARN_TRY(refuse_directory(s, "branch", "branches", err));
    TARN_TRY(refuse_directory(s, "changelog", "a long-lived changelog", err));
    TARN_TRY(use_snapshots(s, err));
    TARN_TRY(use_tags(s, err));
    TARN_TRY(use_committables(s, keep, keep_count, err));
    TARN_TRY(sweep_metadata(s, "manifest", "manifest-", err));
    TARN_TRY(sweep_metadata(s, "index", "index-", err));
    TARN_TRY(sweep_metadata(s, "snapshot", NULL, err));
    TARN_TRY(sweep_metadata(s, "schema", NULL, err));
    return sweep_data(s, s->table->path, false, 0, err);
}

tarn_status tarn_table_remove_orphans(tarn_table *table, const tarn_slice *keep, size_t keep_count,
                                      uint64_t *ret_removed, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, table->alloc, SIZE_MAX);
    sweep s = {.table = table, .arena = &arena};
    lake_bytemap_init(&s.used, &arena);
    tarn_status status = run(&s, keep, keep_count, err);
    tarn_arena_reset(&arena);
    if (status != TARN_OK) {
        tarn_error_prefix(
            err, "table '" TARN_SLICE_FMT "': removing orphans: ", TARN_SLICE_ARG(table->path));
        return status;
    }
    *ret_removed = s.removed;
    return TARN_OK;
}
