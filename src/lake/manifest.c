// manifest.c - identity and copies of manifest entries.
#include "lake/manifest.h"

#include "base/hash.h"

bool lake_entry_same(const lake_entry *a, const lake_entry *b) {
    if (a->bucket != b->bucket || a->file.level != b->file.level ||
        a->file.extra_file_count != b->file.extra_file_count ||
        !tarn_slice_equal(a->file.name, b->file.name) ||
        !tarn_slice_equal(a->partition, b->partition) ||
        !tarn_slice_equal(a->file.embedded_index, b->file.embedded_index) ||
        !tarn_slice_equal(a->file.external_path, b->file.external_path)) {
        return false;
    }
    for (size_t i = 0; i < a->file.extra_file_count; i++) {
        if (!tarn_slice_equal(a->file.extra_files[i], b->file.extra_files[i])) return false;
    }
    return true;
}

uint64_t lake_entry_hash(const lake_entry *entry) {
    // Names are unique but for files that moved to another level.
    uint64_t hash = tarn_hash_bytes(entry->file.name);
    return tarn_hash_combine(hash,
                             (uint64_t)(uint32_t)entry->file.level << 32 | (uint32_t)entry->bucket);
}

static bool copy_texts(const tarn_slice *texts, size_t count, tarn_arena *arena,
                       const tarn_slice **ret_texts) {
    if (texts == NULL) return true; // absent stays absent
    tarn_slice *copies = tarn_arena_new(arena, tarn_slice, count);
    if (copies == NULL) return false;
    for (size_t i = 0; i < count; i++) {
        if (!tarn_arena_copy(arena, texts[i], &copies[i])) return false;
    }
    *ret_texts = copies;
    return true;
}

static bool copy_bytes(tarn_slice bytes, tarn_arena *arena, tarn_slice *ret_copy) {
    return bytes.data == NULL || tarn_arena_copy(arena, bytes, ret_copy);
}

static bool copy_stats(lake_stats *stats, tarn_arena *arena) {
    if (!copy_bytes(stats->min, arena, &stats->min)) return false;
    if (!copy_bytes(stats->max, arena, &stats->max)) return false;
    int64_t *counts = tarn_arena_new(arena, int64_t, stats->null_count_count);
    if (counts == NULL) return false;
    if (stats->null_count_count > 0) {
        memcpy(counts, stats->null_counts, stats->null_count_count * sizeof *counts);
    }
    stats->null_counts = counts;
    return true;
}

tarn_status lake_entry_copy(const lake_entry *entry, tarn_arena *arena, lake_entry *ret_entry,
                            tarn_error *err) {
    lake_entry copy = *entry;
    lake_file *file = &copy.file;
    bool fits = copy_bytes(copy.partition, arena, &copy.partition) &&
                copy_bytes(file->name, arena, &file->name) &&
                copy_bytes(file->min_key, arena, &file->min_key) &&
                copy_bytes(file->max_key, arena, &file->max_key) &&
                copy_stats(&file->key_stats, arena) && copy_stats(&file->value_stats, arena) &&
                copy_bytes(file->embedded_index, arena, &file->embedded_index) &&
                copy_bytes(file->external_path, arena, &file->external_path) &&
                copy_texts(file->extra_files, file->extra_file_count, arena, &file->extra_files) &&
                copy_texts(file->value_stat_cols, file->value_stat_col_count, arena,
                           &file->value_stat_cols) &&
                copy_texts(file->write_cols, file->write_col_count, arena, &file->write_cols);
    if (!fits) return tarn_fail(err, TARN_NO_MEMORY, "a manifest entry");
    *ret_entry = copy;
    return TARN_OK;
}
