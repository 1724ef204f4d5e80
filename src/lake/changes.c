// changes.c - planning the row changes between two snapshots.
//
// Append tables: what each snapshot in between added, in order; a copy-on-write rewrite gives the
// difference between its old and new files; compactions change nothing.
//
// Keyed tables: every bucket that got new rows is merged once with the files of the older snapshot
// as "before" and those of the newer one as "after". Files that both have are read once. Only files
// whose keys meet those of the new rows matter.
#include "lake/fold.h"
#include "lake/plan.h"

static tarn_status read_snapshot(tarn_table_scan *scan, int64_t id, lake_snapshot *ret_snapshot,
                                 tarn_error *err) {
    bool found = false;
    TARN_TRY(lake_snapshot_read(scan->table, id, &scan->arena, ret_snapshot, &found, err));
    if (found) return TARN_OK;
    return tarn_fail(err, TARN_INVALID, "snapshot %lld is not there any more", (long long)id);
}

static bool is_compaction(const lake_snapshot *snapshot) {
    return tarn_slice_equal(snapshot->view.commit_kind, TARN_LIT("COMPACT")) ||
           tarn_slice_equal(snapshot->view.commit_kind, TARN_LIT("ANALYZE"));
}

// The entries of one snapshot's delta that the pruner keeps. They live as long as the scan.
static tarn_status read_delta(tarn_table_scan *scan, const lake_snapshot *snapshot,
                              lake_pruner *pruner, const lake_entry ***ret_entries,
                              size_t *ret_count, tarn_error *err) {
    lake_live_filter filter = lake_pruner_filter(pruner);
    lake_manifest *manifests = NULL;
    size_t manifest_count = 0;
    TARN_TRY(lake_list_read(scan->table, snapshot->delta_list, &scan->arena, &manifests,
                            &manifest_count, err));
    lake_content **contents =
        tarn_arena_new(&scan->arena, lake_content *, scan->delta_count + manifest_count);
    if (contents == NULL) return tarn_fail(err, TARN_NO_MEMORY, "manifests");
    for (size_t i = 0; i < scan->delta_count; i++) contents[i] = scan->deltas[i];
    scan->deltas = contents;
    size_t first = scan->delta_count;
    size_t total = 0;
    scan->manifests_total += manifest_count;
    for (size_t i = 0; i < manifest_count; i++) {
        if (!filter.keep_manifest(filter.context, &manifests[i])) continue;
        TARN_TRY(
            lake_content_read(scan->table, manifests[i].name, &contents[scan->delta_count], err));
        total += contents[scan->delta_count++]->count;
        scan->manifests_read++;
    }
    const lake_entry **entries = tarn_arena_new(&scan->arena, const lake_entry *, total);
    if (entries == NULL) return tarn_fail(err, TARN_NO_MEMORY, "manifest entries");
    size_t count = 0;
    for (size_t i = first; i < scan->delta_count; i++) {
        for (size_t j = 0; j < contents[i]->count; j++) {
            const lake_entry *entry = &contents[i]->entries[j];
            if (filter.keep_entry(filter.context, entry)) entries[count++] = entry;
        }
    }
    scan->files_total += count;
    *ret_entries = entries;
    *ret_count = count;
    return TARN_OK;
}

// ---- append tables ----

static tarn_status refuse_vectors(const lake_snapshot *snapshot, tarn_error *err) {
    if (snapshot->index_manifest.len == 0) return TARN_OK;
    return tarn_fail(err, TARN_UNSUPPORTED,
                     "changes of a table with deletion vectors (snapshot %lld)",
                     (long long)snapshot->view.id);
}

static tarn_status plan_added(tarn_table_scan *scan, const lake_entry *const *entries, size_t count,
                              lake_pruner *pruner, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        bool keep = false;
        TARN_TRY(lake_pruner_keep_file(pruner, entries[i], false, &keep, err));
        if (keep) TARN_TRY(lake_scan_add_file(scan, entries[i], NULL, err));
    }
    return TARN_OK;
}

// The files of one partition, before and after a rewrite.
static tarn_status plan_rewritten(tarn_table_scan *scan, const lake_entry *const *entries,
                                  size_t count, tarn_error *err) {
    lake_run_file *files = tarn_arena_new(&scan->arena, lake_run_file, count);
    lake_run *runs = tarn_arena_new(&scan->arena, lake_run, 2);
    if (files == NULL || runs == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a rewrite");
    size_t old = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i]->kind == LAKE_DELETE) files[old++].entry = entries[i];
    }
    size_t all = old;
    for (size_t i = 0; i < count; i++) {
        if (entries[i]->kind == LAKE_ADD) files[all++].entry = entries[i];
    }
    runs[0] = (lake_run){.files = files, .file_count = old, .is_before = true};
    runs[1] = (lake_run){.files = files + old, .file_count = all - old, .is_after = true};
    lake_part part = {.kind = LAKE_PART_DIFF, .runs = runs, .run_count = 2, .changes = true};
    return lake_scan_add_part(scan, &part, false, err);
}

static tarn_status plan_append_delta(tarn_table_scan *scan, const lake_snapshot *snapshot,
                                     lake_pruner *pruner, tarn_error *err) {
    const lake_entry **entries = NULL;
    size_t count = 0;
    TARN_TRY(refuse_vectors(snapshot, err));
    TARN_TRY(read_delta(scan, snapshot, pruner, &entries, &count, err));
    lake_sort_by_bucket(entries, count);
    for (size_t begin = 0; begin < count;) {
        size_t end = begin;
        bool has_deletes = false;
        while (end < count &&
               tarn_slice_equal(entries[begin]->partition, entries[end]->partition)) {
            has_deletes = has_deletes || entries[end]->kind == LAKE_DELETE;
            end++;
        }
        if (has_deletes) {
            TARN_TRY(plan_rewritten(scan, entries + begin, end - begin, err));
        } else {
            TARN_TRY(plan_added(scan, entries + begin, end - begin, pruner, err));
        }
        begin = end;
    }
    return TARN_OK;
}

static tarn_status plan_append(tarn_table_scan *scan, int64_t after_id, lake_pruner *pruner,
                               tarn_error *err) {
    for (int64_t id = after_id + 1; id <= scan->snapshot_id; id++) {
        lake_snapshot snapshot;
        TARN_TRY(read_snapshot(scan, id, &snapshot, err));
        if (is_compaction(&snapshot)) continue;
        TARN_TRY(plan_append_delta(scan, &snapshot, pruner, err));
    }
    return TARN_OK;
}

// ---- keyed tables ----

// What the snapshots in between added or removed, compactions aside; sorted by bucket.
static tarn_status read_touched(tarn_table_scan *scan, int64_t after_id, lake_pruner *pruner,
                                const lake_entry ***ret_entries, size_t *ret_count,
                                tarn_error *err) {
    const lake_entry **all = NULL;
    size_t all_count = 0;
    for (int64_t id = after_id + 1; id <= scan->snapshot_id; id++) {
        lake_snapshot snapshot;
        const lake_entry **entries = NULL;
        size_t count = 0;
        TARN_TRY(read_snapshot(scan, id, &snapshot, err));
        TARN_TRY(refuse_vectors(&snapshot, err));
        if (is_compaction(&snapshot)) continue;
        TARN_TRY(read_delta(scan, &snapshot, pruner, &entries, &count, err));
        const lake_entry **joined =
            tarn_arena_new(&scan->arena, const lake_entry *, all_count + count);
        if (joined == NULL) return tarn_fail(err, TARN_NO_MEMORY, "manifest entries");
        for (size_t i = 0; i < all_count; i++) joined[i] = all[i];
        for (size_t i = 0; i < count; i++) joined[all_count + i] = entries[i];
        all = joined;
        all_count += count;
    }
    if (all_count > 0) lake_sort_by_bucket(all, all_count);
    *ret_entries = all;
    *ret_count = all_count;
    return TARN_OK;
}

// The range of keys that the touched files of a bucket span.
static tarn_status find_range(const lake_schema *schema, const lake_entry *const *touched,
                              size_t count, tarn_slice *ret_min, tarn_slice *ret_max,
                              tarn_error *err) {
    tarn_slice min = touched[0]->file.min_key;
    tarn_slice max = touched[0]->file.max_key;
    for (size_t i = 1; i < count; i++) {
        int order = 0;
        TARN_TRY(lake_key_compare(schema, touched[i]->file.min_key, min, &order, err));
        if (order < 0) min = touched[i]->file.min_key;
        TARN_TRY(lake_key_compare(schema, touched[i]->file.max_key, max, &order, err));
        if (order > 0) max = touched[i]->file.max_key;
    }
    *ret_min = min;
    *ret_max = max;
    return TARN_OK;
}

typedef struct bucket_files {
    tarn_table_scan *scan;
    lake_pruner *pruner;
    tarn_slice min;
    tarn_slice max;
    lake_run_file *files;
    size_t count;
} bucket_files;

static tarn_status take_file(bucket_files *bucket, const lake_entry *entry, tarn_error *err) {
    const lake_schema *schema = bucket->scan->table->schema;
    int low = 0;
    int high = 0;
    bool keep = false;
    TARN_TRY(lake_key_compare(schema, entry->file.max_key, bucket->min, &low, err));
    TARN_TRY(lake_key_compare(schema, entry->file.min_key, bucket->max, &high, err));
    if (low < 0 || high > 0) return TARN_OK;
    TARN_TRY(lake_pruner_keep_file(bucket->pruner, entry, true, &keep, err));
    if (keep) bucket->files[bucket->count++].entry = entry;
    return TARN_OK;
}

// The files of the bucket in `live` that `other` has too (or has not).
static tarn_status take_files(bucket_files *bucket, const lake_live *live, const lake_fold *other,
                              bool in_other, const lake_entry *where, tarn_error *err) {
    for (size_t i = 0; i < live->count; i++) {
        const lake_entry *entry = live->entries[i];
        if (!lake_same_bucket(entry, where)) continue;
        if ((lake_fold_find(other, entry) != NULL) != in_other) continue;
        TARN_TRY(take_file(bucket, entry, err));
    }
    return TARN_OK;
}

static tarn_status add_runs(lake_run_list *list, bucket_files *bucket, size_t first, bool is_before,
                            bool is_after, tarn_error *err) {
    lake_run_list runs = {0};
    lake_file_list files = {bucket->files + first, bucket->count - first};
    tarn_table_scan *scan = bucket->scan;
    TARN_TRY(lake_make_runs(scan->table->schema, files, &scan->arena, &runs, err));
    for (size_t i = 0; i < runs.count; i++) {
        runs.items[i].is_before = is_before;
        runs.items[i].is_after = is_after;
        list->items[list->count++] = runs.items[i];
    }
    return TARN_OK;
}

// The two states, as they are and to look files up in.
typedef struct states {
    lake_fold before;
    lake_fold after;
} states;

static tarn_status plan_bucket(tarn_table_scan *scan, const lake_entry *const *touched,
                               size_t touched_count, const states *both, lake_pruner *pruner,
                               tarn_error *err) {
    const lake_schema *schema = scan->table->schema;
    size_t most = scan->before.count + scan->live.count;
    bucket_files bucket = {
        .scan = scan, .pruner = pruner, .files = tarn_arena_new(&scan->arena, lake_run_file, most)};
    lake_run_list list = {.items = tarn_arena_new(&scan->arena, lake_run, most)};
    if (bucket.files == NULL || list.items == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "the changes of a bucket");
    }
    TARN_TRY(find_range(schema, touched, touched_count, &bucket.min, &bucket.max, err));
    // Files of both states, then those of one: equal sequence numbers go to the newer file.
    TARN_TRY(take_files(&bucket, &scan->before, &both->after, true, touched[0], err));
    TARN_TRY(add_runs(&list, &bucket, 0, true, true, err));
    size_t first = bucket.count;
    TARN_TRY(take_files(&bucket, &scan->before, &both->after, false, touched[0], err));
    TARN_TRY(add_runs(&list, &bucket, first, true, false, err));
    first = bucket.count;
    TARN_TRY(take_files(&bucket, &scan->live, &both->before, false, touched[0], err));
    TARN_TRY(add_runs(&list, &bucket, first, false, true, err));
    if (list.count == 0) return TARN_OK;
    lake_part part = {
        .kind = LAKE_PART_MERGE, .runs = list.items, .run_count = list.count, .changes = true};
    // Of keys outside the range some versions may be in files that are left out.
    TARN_TRY(lake_key_encode(schema, bucket.min, &scan->arena, &part.min_key, err));
    TARN_TRY(lake_key_encode(schema, bucket.max, &scan->arena, &part.max_key, err));
    return lake_scan_add_part(scan, &part, false, err);
}

static tarn_status fold_live(const lake_live *live, tarn_arena *arena, lake_fold *fold,
                             tarn_error *err) {
    lake_fold_init(fold, arena);
    for (size_t i = 0; i < live->count; i++) TARN_TRY(lake_fold_add(fold, live->entries[i], err));
    return TARN_OK;
}

static tarn_status plan_keyed(tarn_table_scan *scan, const lake_snapshot *snapshot,
                              int64_t after_id, lake_pruner *pruner, tarn_error *err) {
    lake_snapshot older;
    const lake_entry **touched = NULL;
    size_t touched_count = 0;
    lake_live_filter filter = lake_pruner_filter(pruner);
    states both;
    TARN_TRY(read_touched(scan, after_id, pruner, &touched, &touched_count, err));
    if (touched_count == 0) return TARN_OK;
    TARN_TRY(read_snapshot(scan, after_id, &older, err));
    TARN_TRY(lake_live_load(scan->table, &older, &filter, &scan->before, err));
    TARN_TRY(lake_live_load(scan->table, snapshot, &filter, &scan->live, err));
    TARN_TRY(fold_live(&scan->before, &scan->arena, &both.before, err));
    TARN_TRY(fold_live(&scan->live, &scan->arena, &both.after, err));
    for (size_t begin = 0; begin < touched_count;) {
        size_t end = begin + 1;
        while (end < touched_count && lake_same_bucket(touched[begin], touched[end])) end++;
        TARN_TRY(plan_bucket(scan, touched + begin, end - begin, &both, pruner, err));
        begin = end;
    }
    return TARN_OK;
}

tarn_status lake_plan_changes(tarn_table_scan *scan, const lake_snapshot *snapshot,
                              int64_t after_id, lake_pruner *pruner, tarn_error *err) {
    if (after_id > scan->snapshot_id) {
        return tarn_fail(err, TARN_INVALID, "snapshot %lld comes after snapshot %lld",
                         (long long)after_id, (long long)scan->snapshot_id);
    }
    return lake_schema_is_keyed(scan->table->schema)
               ? plan_keyed(scan, snapshot, after_id, pruner, err)
               : plan_append(scan, after_id, pruner, err);
}
