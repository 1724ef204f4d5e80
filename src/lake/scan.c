// scan.c - planning a scan: from a snapshot to splits.
#include "base/alloc.h"
#include "lake/plan.h"

// Small files share a split up to this size; opening a file counts as some bytes more.
#define SPLIT_BYTES TARN_TUNABLE((uint64_t)16 << 20, (uint64_t)4096)
// A file of many rows is cut into slices of about this many, as far as its row groups allow.
#define SLICE_ROWS      TARN_TUNABLE((uint64_t)256 << 10, (uint64_t)8)
#define SLICE_COUNT_MAX 64
#define OPEN_COST_BYTES TARN_TUNABLE((uint64_t)1 << 20, (uint64_t)256)

// ---- splits ----

static tarn_status new_split(tarn_table_scan *scan, tarn_error *err) {
    if (scan->split_count == scan->split_capacity) {
        size_t capacity = scan->split_capacity == 0 ? 16 : scan->split_capacity * 2;
        lake_split *grown = tarn_arena_new(&scan->arena, lake_split, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu splits", capacity);
        if (scan->split_count > 0) memcpy(grown, scan->splits, scan->split_count * sizeof *grown);
        scan->splits = grown;
        scan->split_capacity = capacity;
    }
    tarn_assert(scan->splits != NULL);
    scan->splits[scan->split_count++] = (lake_split){0};
    return TARN_OK;
}

static uint64_t part_bytes(const lake_part *part) {
    uint64_t bytes = 0;
    for (size_t r = 0; r < part->run_count; r++) {
        for (size_t f = 0; f < part->runs[r].file_count; f++) {
            bytes += (uint64_t)part->runs[r].files[f].entry->file.file_bytes + OPEN_COST_BYTES;
        }
    }
    return part->slice_count == 0 ? bytes : bytes / part->slice_count;
}

static uint64_t part_rows(const lake_part *part) {
    uint64_t rows = 0;
    for (size_t r = 0; r < part->run_count; r++) {
        for (size_t f = 0; f < part->runs[r].file_count; f++) {
            rows += (uint64_t)part->runs[r].files[f].entry->file.row_count;
        }
    }
    // The last slice has the remainder: together they are the file.
    if (part->slice_count == 0) return rows;
    uint64_t share = rows / part->slice_count;
    return part->slice + 1 < part->slice_count ? share : rows - share * part->slice;
}

tarn_status lake_scan_add_part(tarn_table_scan *scan, const lake_part *part, bool may_share,
                               tarn_error *err) {
    uint64_t bytes = part_bytes(part);
    lake_split *last = scan->split_count == 0 ? NULL : &scan->splits[scan->split_count - 1];
    if (last == NULL || !may_share || last->weight_bytes + bytes > SPLIT_BYTES) {
        TARN_TRY(new_split(scan, err));
        last = &scan->splits[scan->split_count - 1];
    }
    if (last->part_count == last->part_capacity) {
        size_t capacity = last->part_capacity == 0 ? 4 : last->part_capacity * 2;
        lake_part *grown = tarn_arena_new(&scan->arena, lake_part, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu parts", capacity);
        if (last->part_count > 0) memcpy(grown, last->parts, last->part_count * sizeof *grown);
        last->parts = grown;
        last->part_capacity = capacity;
    }
    last->parts[last->part_count++] = *part;
    last->weight_bytes += bytes;
    scan->row_estimate += part_rows(part);
    return TARN_OK;
}

tarn_status lake_scan_add_file(tarn_table_scan *scan, const lake_entry *entry,
                               const roaring_bitmap_t *deleted, tarn_error *err) {
    lake_run_file *file = tarn_arena_new(&scan->arena, lake_run_file, 1);
    lake_run *run = tarn_arena_new(&scan->arena, lake_run, 1);
    if (file == NULL || run == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a split");
    *file = (lake_run_file){.entry = entry, .deleted = deleted};
    *run = (lake_run){.files = file, .file_count = 1, .is_after = true};
    lake_part part = {.kind = LAKE_PART_FILE, .runs = run, .run_count = 1};
    uint64_t slice_count = (uint64_t)entry->file.row_count / SLICE_ROWS;
    if (slice_count < 2) return lake_scan_add_part(scan, &part, true, err);
    part.slice_count = slice_count < SLICE_COUNT_MAX ? (size_t)slice_count : SLICE_COUNT_MAX;
    for (part.slice = 0; part.slice < part.slice_count; part.slice++) {
        TARN_TRY(lake_scan_add_part(scan, &part, false, err));
    }
    return TARN_OK;
}

// ---- append tables ----

static tarn_status plan_append(tarn_table_scan *scan, lake_pruner *pruner, tarn_error *err) {
    for (size_t i = 0; i < scan->live.count; i++) {
        const lake_entry *entry = scan->live.entries[i];
        const roaring_bitmap_t *deleted = NULL;
        bool keep = false;
        TARN_TRY(lake_pruner_keep_file(pruner, entry, false, &keep, err));
        if (!keep) continue;
        TARN_TRY(lake_vectors_find(scan->table, &scan->vectors, entry, &deleted, err));
        TARN_TRY(lake_scan_add_file(scan, entry, deleted, err));
    }
    return TARN_OK;
}

// ---- keyed tables ----

// Rows of this file stand as they are: no other version of a key, no deletions.
static bool is_settled(lake_file_list files) {
    return files.count == 1 && files.items[0].entry->file.delete_row_count == 0;
}

static tarn_status plan_section(tarn_table_scan *scan, lake_pruner *pruner, lake_file_list files,
                                bool *may_share, tarn_error *err) {
    if (is_settled(files)) {
        const lake_run_file *file = &files.items[0];
        bool keep = false;
        TARN_TRY(lake_pruner_keep_file(pruner, file->entry, false, &keep, err));
        if (!keep) return TARN_OK;
        TARN_TRY(lake_scan_add_file(scan, file->entry, file->deleted, err));
        *may_share = true;
        return TARN_OK;
    }
    lake_run_list runs = {0};
    TARN_TRY(lake_make_runs(scan->table->schema, files, &scan->arena, &runs, err));
    lake_part part = {.kind = LAKE_PART_MERGE, .runs = runs.items, .run_count = runs.count};
    TARN_TRY(lake_scan_add_part(scan, &part, *may_share, err));
    *may_share = true;
    return TARN_OK;
}

// With deletion vectors every key lives in one place above level 0, and level 0 is not visible yet.
static tarn_status plan_vectored(tarn_table_scan *scan, lake_pruner *pruner,
                                 const lake_run_file *files, size_t count, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        bool keep = false;
        if (files[i].entry->file.level == 0) continue;
        TARN_TRY(lake_pruner_keep_file(pruner, files[i].entry, false, &keep, err));
        if (keep) TARN_TRY(lake_scan_add_file(scan, files[i].entry, files[i].deleted, err));
    }
    return TARN_OK;
}

static tarn_status plan_bucket(tarn_table_scan *scan, lake_pruner *pruner,
                               const lake_entry *const *entries, size_t count, tarn_error *err) {
    const lake_options *options = &scan->table->schema->options;
    lake_run_file *files = tarn_arena_new(&scan->arena, lake_run_file, count);
    if (files == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu files", count);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool keep = false;
        // A file without a matching key can go whatever else is in the bucket.
        TARN_TRY(lake_pruner_keep_file(pruner, entries[i], true, &keep, err));
        if (!keep) continue;
        files[kept].entry = entries[i];
        TARN_TRY(
            lake_vectors_find(scan->table, &scan->vectors, entries[i], &files[kept].deleted, err));
        kept++;
    }
    if (options->deletion_vectors && !options->deletion_vectors_merge_on_read) {
        return plan_vectored(scan, pruner, files, kept, err);
    }
    lake_sections sections = {0};
    lake_file_list all = {files, kept};
    TARN_TRY(lake_cut_sections(scan->table->schema, all, &scan->arena, &sections, err));
    bool may_share = false;
    for (size_t i = 0; i < sections.count; i++) {
        size_t begin = i == 0 ? 0 : sections.ends[i - 1];
        lake_file_list section = {files + begin, sections.ends[i] - begin};
        TARN_TRY(plan_section(scan, pruner, section, &may_share, err));
    }
    return TARN_OK;
}

static tarn_status plan_keyed(tarn_table_scan *scan, lake_pruner *pruner, tarn_error *err) {
    const lake_entry **entries = scan->live.entries;
    lake_sort_by_bucket(entries, scan->live.count);
    for (size_t begin = 0; begin < scan->live.count;) {
        size_t end = begin + 1;
        while (end < scan->live.count && lake_same_bucket(entries[begin], entries[end])) end++;
        // Rows that have no bucket yet are invisible.
        if (entries[begin]->bucket >= 0) {
            TARN_TRY(plan_bucket(scan, pruner, entries + begin, end - begin, err));
        }
        begin = end;
    }
    return TARN_OK;
}

// ---- the scan ----

static tarn_status choose_columns(tarn_table_scan *scan, const tarn_table_scan_options *options,
                                  tarn_error *err) {
    size_t all = scan->table->schema->definition.schema.field_count;
    bool takes_all = !options->no_columns && options->columns == NULL;
    size_t count = options->no_columns ? 0 : takes_all ? all : options->column_count;
    scan->columns = tarn_arena_new(&scan->arena, size_t, count);
    if (scan->columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu columns", count);
    for (size_t i = 0; i < count; i++) {
        scan->columns[i] = takes_all ? i : options->columns[i];
        if (scan->columns[i] >= all) {
            return tarn_fail(err, TARN_INVALID, "column %zu of %zu", scan->columns[i], all);
        }
    }
    scan->column_count = count;
    return TARN_OK;
}

static tarn_status copy_prune(const tarn_prune *prune, tarn_arena *arena, tarn_prune *ret_prune,
                              tarn_error *err) {
    tarn_prune_test *tests = tarn_arena_new(arena, tarn_prune_test, prune->test_count);
    if (tests == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a predicate");
    for (size_t i = 0; i < prune->test_count; i++) {
        const tarn_prune_test *from = &prune->tests[i];
        tarn_value *values = tarn_arena_new(arena, tarn_value, from->value_count);
        if (values == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a predicate");
        for (size_t v = 0; v < from->value_count; v++) {
            TARN_TRY(tarn_value_copy(from->values[v], arena, &values[v], err));
        }
        tests[i] = *from;
        tests[i].values = values;
    }
    *ret_prune = (tarn_prune){tests, prune->test_count};
    return TARN_OK;
}

static tarn_status find_snapshot(tarn_table_scan *scan, int64_t id, lake_snapshot *ret_snapshot,
                                 bool *ret_found, tarn_error *err) {
    int64_t wanted = id;
    if (wanted == 0) TARN_TRY(lake_latest_id(scan->table, &wanted, err));
    TARN_TRY(lake_snapshot_read(scan->table, wanted, &scan->arena, ret_snapshot, ret_found, err));
    if (id != 0 && !*ret_found) {
        return tarn_fail(err, TARN_INVALID, "there is no snapshot %lld", (long long)id);
    }
    return TARN_OK;
}

// Every manifest's DELETE takes one ADD with it, so that counts are enough.
static tarn_status count_files(tarn_table_scan *scan, const lake_snapshot *snapshot,
                               tarn_error *err) {
    lake_manifest *manifests = NULL;
    size_t count = 0;
    TARN_TRY(lake_manifests_read(scan->table, snapshot, &scan->arena, &manifests, &count, err));
    int64_t files = 0;
    for (size_t i = 0; i < count; i++) {
        files += manifests[i].added_count - manifests[i].deleted_count;
    }
    scan->files_total = files < 0 ? 0 : (uint64_t)files;
    return TARN_OK;
}

static tarn_status plan_snapshot(tarn_table_scan *scan, const lake_snapshot *snapshot,
                                 lake_pruner *pruner, tarn_error *err) {
    lake_live_filter filter = lake_pruner_filter(pruner);
    TARN_TRY(count_files(scan, snapshot, err));
    TARN_TRY(lake_live_load(scan->table, snapshot, &filter, &scan->live, err));
    scan->manifests_total = scan->live.manifests_total;
    scan->manifests_read = scan->live.manifests_read;
    TARN_TRY(lake_vectors_load(scan->table, snapshot, &scan->arena, &scan->vectors, err));
    return lake_schema_is_keyed(scan->table->schema) ? plan_keyed(scan, pruner, err)
                                                     : plan_append(scan, pruner, err);
}

static tarn_status plan(tarn_table_scan *scan, const tarn_table_scan_options *options,
                        tarn_error *err) {
    lake_snapshot snapshot;
    bool found = false;
    TARN_TRY(lake_schema_check_use(scan->table->schema, LAKE_USE_READ, err));
    TARN_TRY(choose_columns(scan, options, err));
    if (options->prune != NULL) {
        TARN_TRY(copy_prune(options->prune, &scan->arena, &scan->prune, err));
    }
    TARN_TRY(find_snapshot(scan, options->snapshot_id, &snapshot, &found, err));
    if (!found) return TARN_OK;
    scan->snapshot_id = snapshot.view.id;
    lake_pruner pruner;
    TARN_TRY(lake_pruner_init(&pruner, scan->table, &scan->prune, &scan->arena, err));
    scan->key_prune = pruner.key_prune;
    bool is_all = options->mode == TARN_SCAN_SNAPSHOT || options->after_snapshot_id == 0;
    return is_all ? plan_snapshot(scan, &snapshot, &pruner, err)
                  : lake_plan_changes(scan, &snapshot, options->after_snapshot_id, &pruner, err);
}

tarn_status tarn_table_scan_new(tarn_table *table, const tarn_table_scan_options *options,
                                tarn_table_scan **ret_scan, tarn_error *err) {
    static const tarn_table_scan_options defaults;
    tarn_table_scan *scan = tarn_alloc_new(table->alloc, tarn_table_scan, 1);
    if (scan == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a scan");
    scan->table = table;
    tarn_arena_init(&scan->arena, table->alloc, SIZE_MAX);
    tarn_status status = plan(scan, options == NULL ? &defaults : options, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "table '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(table->path));
        tarn_table_scan_free(scan);
        return status;
    }
    *ret_scan = scan;
    return TARN_OK;
}

void tarn_table_scan_free(tarn_table_scan *scan) {
    if (scan == NULL) return;
    lake_vectors_free(&scan->vectors);
    lake_live_free(&scan->live);
    lake_live_free(&scan->before);
    for (size_t i = 0; i < scan->delta_count; i++) lake_content_unref(scan->deltas[i]);
    tarn_arena_reset(&scan->arena);
    tarn_alloc_free(scan->table->alloc, scan, 1);
}

size_t tarn_table_scan_split_count(const tarn_table_scan *scan) {
    return scan->split_count;
}

int64_t tarn_table_scan_snapshot_id(const tarn_table_scan *scan) {
    return scan->snapshot_id;
}

uint64_t tarn_table_scan_row_estimate(const tarn_table_scan *scan) {
    return scan->row_estimate;
}

static uint64_t read_counter(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

tarn_scan_metrics tarn_table_scan_metrics(const tarn_table_scan *scan) {
    return (tarn_scan_metrics){
        .manifests_total = scan->manifests_total,
        .manifests_read = scan->manifests_read,
        .files_total = scan->files_total,
        .files_read = read_counter(&scan->counters.files_read),
        .row_groups_total = read_counter(&scan->counters.row_groups_total),
        .row_groups_read = read_counter(&scan->counters.row_groups_read),
        .rows_read = read_counter(&scan->counters.rows_read),
        .bytes_read = read_counter(&scan->counters.bytes_read),
    };
}
