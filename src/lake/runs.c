// runs.c - the files of a bucket as sorted runs and as sections.
#include "lake/fold.h"
#include "lake/plan.h"

bool lake_same_bucket(const lake_entry *a, const lake_entry *b) {
    return a->bucket == b->bucket && tarn_slice_equal(a->partition, b->partition);
}

static int by_bucket(const void *a, const void *b) {
    const lake_entry *left = *(const lake_entry *const *)a;
    const lake_entry *right = *(const lake_entry *const *)b;
    int order = tarn_slice_compare(left->partition, right->partition);
    if (order != 0) return order;
    return (left->bucket > right->bucket) - (left->bucket < right->bucket);
}

void lake_sort_by_bucket(const lake_entry **entries, size_t count) {
    qsort(entries, count, sizeof(void *), by_bucket);
}

static int compare_numbers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

// Oldest first: higher levels are older; on level 0 smaller sequence numbers are.
static int by_age(const void *a, const void *b) {
    const lake_file *left = &((const lake_run_file *)a)->entry->file;
    const lake_file *right = &((const lake_run_file *)b)->entry->file;
    int order = compare_numbers(right->level, left->level);
    if (order == 0) order = compare_numbers(left->max_sequence, right->max_sequence);
    if (order == 0) order = compare_numbers(right->min_sequence, left->min_sequence);
    if (order == 0) order = compare_numbers(left->created_ms, right->created_ms);
    return order != 0 ? order : tarn_slice_compare(left->name, right->name);
}

// Merges two sorted halves; keys can fail to decode, which qsort could not report.
static tarn_status merge_by_min_key(const lake_schema *schema, lake_run_file *files, size_t middle,
                                    size_t count, lake_run_file *spare, tarn_error *err) {
    size_t a = 0;
    size_t b = middle;
    for (size_t i = 0; i < count; i++) {
        int order = a == middle ? 1 : b == count ? -1 : 0;
        if (order == 0) {
            TARN_TRY(lake_key_compare(schema, files[a].entry->file.min_key,
                                      files[b].entry->file.min_key, &order, err));
        }
        spare[i] = order <= 0 ? files[a++] : files[b++];
    }
    memcpy(files, spare, count * sizeof *files);
    return TARN_OK;
}

static tarn_status sort_by_min_key(const lake_schema *schema, lake_run_file *files, size_t count,
                                   lake_run_file *spare, tarn_error *err) {
    if (count < 2) return TARN_OK;
    size_t middle = count / 2;
    TARN_TRY(sort_by_min_key(schema, files, middle, spare, err));
    TARN_TRY(sort_by_min_key(schema, files + middle, count - middle, spare, err));
    return merge_by_min_key(schema, files, middle, count, spare, err);
}

tarn_status lake_make_runs(const lake_schema *schema, lake_file_list files, tarn_arena *arena,
                           lake_run_list *ret_runs, tarn_error *err) {
    size_t count = files.count;
    lake_run_list runs = {tarn_arena_new(arena, lake_run, count), 0};
    lake_run_file *spare = tarn_arena_new(arena, lake_run_file, count);
    if (runs.items == NULL || spare == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "%zu runs", count);
    }
    if (count > 0) qsort(files.items, count, sizeof *files.items, by_age);
    for (size_t begin = 0; begin < count;) {
        size_t end = begin + 1;
        int32_t level = files.items[begin].entry->file.level;
        while (level > 0 && end < count && files.items[end].entry->file.level == level) end++;
        TARN_TRY(sort_by_min_key(schema, files.items + begin, end - begin, spare, err));
        runs.items[runs.count++] =
            (lake_run){.files = files.items + begin, .file_count = end - begin};
        begin = end;
    }
    *ret_runs = runs;
    return TARN_OK;
}

tarn_status lake_cut_sections(const lake_schema *schema, lake_file_list files, tarn_arena *arena,
                              lake_sections *ret_sections, tarn_error *err) {
    size_t count = files.count;
    lake_sections sections = {tarn_arena_new(arena, size_t, count), 0};
    lake_run_file *spare = tarn_arena_new(arena, lake_run_file, count);
    if (sections.ends == NULL || spare == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "%zu files", count);
    }
    TARN_TRY(sort_by_min_key(schema, files.items, count, spare, err));
    tarn_slice max_key = {0};
    for (size_t i = 0; i < count; i++) {
        const lake_file *file = &files.items[i].entry->file;
        int order = 1;
        if (i > 0) TARN_TRY(lake_key_compare(schema, file->min_key, max_key, &order, err));
        if (i > 0 && order > 0) sections.ends[sections.count++] = i;
        if (order <= 0) {
            TARN_TRY(lake_key_compare(schema, file->max_key, max_key, &order, err));
            if (order <= 0) continue;
        }
        max_key = file->max_key;
    }
    if (count > 0) sections.ends[sections.count++] = count;
    *ret_sections = sections;
    return TARN_OK;
}
