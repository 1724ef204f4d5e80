#include "lake/manifest_writer.h"

#include "format/binrow/binrow.h"
#include "lake/stats.h"

// A manifest of this many entries is a few megabytes.
#define ENTRIES_MAX TARN_TUNABLE((size_t)16384, (size_t)4)

tarn_status lake_manifest_writer_init(lake_manifest_writer *writer, tarn_table *table,
                                      tarn_arena *arena, tarn_error *err) {
    *writer = (lake_manifest_writer){.table = table, .arena = arena};
    return lake_uuid(table, arena, &writer->uuid, err);
}

static tarn_status note_written(lake_manifest_writer *writer, tarn_slice path, tarn_error *err) {
    if (writer->written_count == writer->written_capacity) {
        size_t capacity = writer->written_capacity == 0 ? 8 : writer->written_capacity * 2;
        tarn_slice *grown = tarn_arena_new(writer->arena, tarn_slice, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu manifests", capacity);
        for (size_t i = 0; i < writer->written_count; i++) grown[i] = writer->written[i];
        writer->written = grown;
        writer->written_capacity = capacity;
    }
    writer->written[writer->written_count++] = path;
    return TARN_OK;
}

void lake_take_back(lake_manifest_writer *writer, size_t from) {
    for (size_t i = from; i < writer->written_count; i++) {
        // What stays is an orphan, and goes with the orphans.
        tarn_status ignored = tarn_store_remove(writer->table->store, writer->written[i], NULL);
        (void)ignored;
    }
    writer->written_count = from;
}

static lake_avro_options avro_options(const tarn_table *table) {
    const lake_options *options = &table->schema->options;
    lake_avro_options avro = {
        .codec = options->manifest_codec,
        .level = options->manifest_codec == TARN_CODEC_ZSTD ? options->zstd_level : 0};
    tarn_os_random(tarn_store_os(table->store), avro.sync_marker, sizeof avro.sync_marker);
    return avro;
}

static tarn_status put(lake_manifest_writer *writer, tarn_slice name, const tarn_buffer *bytes,
                       tarn_error *err) {
    tarn_slice path;
    TARN_TRY(lake_path(writer->table, writer->arena, &path, err, "manifest/" TARN_SLICE_FMT,
                       TARN_SLICE_ARG(name)));
    TARN_TRY(note_written(writer, path, err));
    return tarn_store_put(writer->table->store, path, tarn_buffer_slice(bytes),
                          TARN_WRITE_EXCLUSIVE, err);
}

// ---- what a list says about a manifest ----

static tarn_status add_partition(const lake_schema *schema, const lake_entry *entry,
                                 tarn_value *values, lake_column_stats *stats, bool is_first,
                                 tarn_error *err) {
    size_t count = schema->partition.count;
    tarn_type types[64];
    if (count > sizeof types / sizeof types[0]) {
        return tarn_fail(err, TARN_UNSUPPORTED, "more than 64 partition keys");
    }
    for (size_t i = 0; i < count; i++) {
        types[i] = lake_type_stored(&schema->fields[schema->partition.indices[i]].type);
    }
    TARN_TRY(tarn_binrow_deserialize(entry->partition, types, count, values, err));
    for (size_t i = 0; i < count; i++) {
        if (is_first) {
            stats[i] = (lake_column_stats){.min = tarn_value_null(types[i]),
                                           .max = tarn_value_null(types[i])};
        }
        if (values[i].is_null) {
            stats[i].null_count++;
            continue;
        }
        bool none = stats[i].min.is_null;
        if (none || tarn_value_compare(values[i], stats[i].min) < 0) stats[i].min = values[i];
        if (none || tarn_value_compare(values[i], stats[i].max) > 0) stats[i].max = values[i];
    }
    return TARN_OK;
}

static void widen(int32_t value, bool is_first, int32_t *min, int32_t *max) {
    if (is_first || value < *min) *min = value;
    if (is_first || value > *max) *max = value;
}

static tarn_status describe(lake_manifest_writer *writer, const lake_entry *const *entries,
                            size_t count, lake_manifest *manifest, tarn_error *err) {
    const lake_schema *schema = writer->table->schema;
    size_t keys = schema->partition.count;
    tarn_value *values = tarn_arena_new(writer->arena, tarn_value, keys);
    lake_column_stats *stats = tarn_arena_new(writer->arena, lake_column_stats, keys);
    if (values == NULL || stats == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a manifest");
    for (size_t i = 0; i < count; i++) {
        const lake_entry *entry = entries[i];
        if (keys > 0) TARN_TRY(add_partition(schema, entry, values, stats, i == 0, err));
        widen(entry->bucket, i == 0, &manifest->min_bucket, &manifest->max_bucket);
        widen(entry->file.level, i == 0, &manifest->min_level, &manifest->max_level);
        if (entry->file.schema_id > manifest->schema_id) {
            manifest->schema_id = entry->file.schema_id;
        }
        if (entry->kind == LAKE_ADD) {
            manifest->added_count++;
        } else {
            manifest->deleted_count++;
        }
    }
    manifest->has_bounds = count > 0;
    return lake_stats_encode(schema, &schema->partition, stats, writer->arena,
                             &manifest->partition_stats, err);
}

// ---- writing ----

static tarn_status write_manifest(lake_manifest_writer *writer, const lake_entry *const *entries,
                                  size_t count, lake_manifest *ret_manifest, tarn_error *err) {
    lake_manifest manifest = {0};
    if (!tarn_arena_printf(writer->arena, &manifest.name, "manifest-" TARN_SLICE_FMT "-%u",
                           TARN_SLICE_ARG(writer->uuid), writer->manifest_count++)) {
        return tarn_fail(err, TARN_NO_MEMORY, "a file name");
    }
    TARN_TRY(describe(writer, entries, count, &manifest, err));
    lake_avro_options options = avro_options(writer->table);
    tarn_buffer bytes = {.alloc = writer->table->alloc};
    tarn_status status = lake_manifest_encode(entries, count, &options, &bytes, err);
    manifest.file_bytes = (int64_t)bytes.len;
    if (status == TARN_OK) status = put(writer, manifest.name, &bytes, err);
    tarn_buffer_free(&bytes);
    if (status == TARN_OK) *ret_manifest = manifest;
    return status;
}

tarn_status lake_write_manifests(lake_manifest_writer *writer, const lake_entry *const *entries,
                                 size_t count, lake_manifest **ret_manifests, size_t *ret_count,
                                 tarn_error *err) {
    size_t needed = (count + ENTRIES_MAX - 1) / ENTRIES_MAX;
    lake_manifest *manifests = tarn_arena_new(writer->arena, lake_manifest, needed);
    if (manifests == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu manifests", needed);
    for (size_t i = 0; i < needed; i++) {
        size_t begin = i * ENTRIES_MAX;
        size_t some = count - begin < ENTRIES_MAX ? count - begin : ENTRIES_MAX;
        TARN_TRY(write_manifest(writer, entries + begin, some, &manifests[i], err));
    }
    *ret_manifests = manifests;
    *ret_count = needed;
    return TARN_OK;
}

tarn_status lake_write_list(lake_manifest_writer *writer, const lake_manifest *manifests,
                            size_t count, tarn_slice *ret_name, int64_t *ret_bytes,
                            tarn_error *err) {
    tarn_slice name;
    if (!tarn_arena_printf(writer->arena, &name, "manifest-list-" TARN_SLICE_FMT "-%u",
                           TARN_SLICE_ARG(writer->uuid), writer->list_count++)) {
        return tarn_fail(err, TARN_NO_MEMORY, "a file name");
    }
    lake_avro_options options = avro_options(writer->table);
    tarn_buffer bytes = {.alloc = writer->table->alloc};
    tarn_status status = lake_manifest_list_encode(manifests, count, &options, &bytes, err);
    if (status == TARN_OK) status = put(writer, name, &bytes, err);
    if (status == TARN_OK) {
        *ret_name = name;
        *ret_bytes = (int64_t)bytes.len;
    }
    tarn_buffer_free(&bytes);
    return status;
}

// ---- merging ----

// Manifests on their way into the next base list.
typedef struct merge_state {
    lake_manifest_writer *writer;
    const lake_manifest *manifests;
    lake_content **contents; // by manifest
    size_t count;
    lake_manifest *merged;
    size_t merged_count;
    size_t merged_capacity;
} merge_state;

static tarn_status keep(merge_state *state, const lake_manifest *manifest, tarn_error *err) {
    if (state->merged_count == state->merged_capacity) {
        size_t capacity = state->merged_capacity == 0 ? 16 : state->merged_capacity * 2;
        lake_manifest *grown = tarn_arena_new(state->writer->arena, lake_manifest, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu manifests", capacity);
        for (size_t i = 0; i < state->merged_count; i++) grown[i] = state->merged[i];
        state->merged = grown;
        state->merged_capacity = capacity;
    }
    state->merged[state->merged_count++] = *manifest;
    return TARN_OK;
}

static tarn_status load(merge_state *state, size_t index, tarn_error *err) {
    if (state->contents[index] != NULL) return TARN_OK;
    return lake_content_read(state->writer->table, state->manifests[index].name,
                             &state->contents[index], err);
}

// Folds the manifests [begin, end) into new ones.
static tarn_status rewrite(merge_state *state, size_t begin, size_t end, tarn_error *err) {
    lake_fold fold;
    lake_fold_init(&fold, state->writer->arena);
    for (size_t i = begin; i < end; i++) {
        const lake_content *content = state->contents[i];
        for (size_t j = 0; j < content->count; j++) {
            TARN_TRY(lake_fold_add(&fold, &content->entries[j], err));
        }
    }
    const lake_entry **entries = NULL;
    size_t count = 0;
    TARN_TRY(lake_fold_entries(&fold, &entries, &count, err));
    lake_manifest *manifests = NULL;
    size_t manifest_count = 0;
    TARN_TRY(lake_write_manifests(state->writer, entries, count, &manifests, &manifest_count, err));
    for (size_t i = 0; i < manifest_count; i++) TARN_TRY(keep(state, &manifests[i], err));
    return TARN_OK;
}

// Neighbours [begin, end) that are to become one, unless one holds what tarn would lose.
static tarn_status merge_batch(merge_state *state, size_t begin, size_t end, tarn_error *err) {
    bool is_plain = end - begin > 1;
    for (size_t i = begin; i < end && is_plain; i++) {
        TARN_TRY(load(state, i, err));
        is_plain = state->contents[i]->is_plain;
    }
    if (is_plain) return rewrite(state, begin, end, err);
    for (size_t i = begin; i < end; i++) TARN_TRY(keep(state, &state->manifests[i], err));
    return TARN_OK;
}

static tarn_status merge_small(merge_state *state, tarn_error *err) {
    const lake_options *options = &state->writer->table->schema->options;
    size_t begin = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < state->count; i++) {
        bytes += (uint64_t)state->manifests[i].file_bytes;
        if (bytes < options->manifest_target_bytes) continue;
        TARN_TRY(merge_batch(state, begin, i + 1, err));
        begin = i + 1;
        bytes = 0;
    }
    if (state->count - begin >= options->manifest_merge_min) {
        return merge_batch(state, begin, state->count, err);
    }
    for (size_t i = begin; i < state->count; i++) TARN_TRY(keep(state, &state->manifests[i], err));
    return TARN_OK;
}

// Whether enough has piled up that all manifests should be rewritten without what cancels.
static bool needs_full(const merge_state *state) {
    const lake_options *options = &state->writer->table->schema->options;
    uint64_t bytes = 0;
    for (size_t i = 0; i < state->count; i++) {
        const lake_manifest *manifest = &state->manifests[i];
        bool must_change = manifest->deleted_count > 0 ||
                           (uint64_t)manifest->file_bytes < options->manifest_target_bytes;
        if (must_change) bytes += (uint64_t)manifest->file_bytes;
    }
    return bytes >= options->manifest_full_bytes;
}

// True when the manifest is large, only adds, and nothing of it was deleted.
static bool is_untouched(const merge_state *state, size_t index, const lake_fold *deletes) {
    const lake_manifest *manifest = &state->manifests[index];
    const lake_content *content = state->contents[index];
    if (manifest->deleted_count > 0 ||
        (uint64_t)manifest->file_bytes <
            state->writer->table->schema->options.manifest_target_bytes) {
        return false;
    }
    for (size_t i = 0; i < content->count; i++) {
        if (lake_fold_find(deletes, &content->entries[i]) != NULL) return false;
    }
    return true;
}

static tarn_status merge_all(merge_state *state, bool *ret_done, tarn_error *err) {
    lake_fold deletes;
    lake_fold fold;
    lake_fold_init(&deletes, state->writer->arena);
    lake_fold_init(&fold, state->writer->arena);
    *ret_done = false;
    for (size_t i = 0; i < state->count; i++) {
        TARN_TRY(load(state, i, err));
        if (!state->contents[i]->is_plain) return TARN_OK;
        for (size_t j = 0; j < state->contents[i]->count; j++) {
            const lake_entry *entry = &state->contents[i]->entries[j];
            if (entry->kind == LAKE_DELETE) TARN_TRY(lake_fold_add(&deletes, entry, err));
        }
    }
    for (size_t i = 0; i < state->count; i++) {
        if (is_untouched(state, i, &deletes)) {
            TARN_TRY(keep(state, &state->manifests[i], err));
            continue;
        }
        for (size_t j = 0; j < state->contents[i]->count; j++) {
            TARN_TRY(lake_fold_add(&fold, &state->contents[i]->entries[j], err));
        }
    }
    const lake_entry **entries = NULL;
    size_t count = 0;
    lake_manifest *manifests = NULL;
    size_t manifest_count = 0;
    TARN_TRY(lake_fold_entries(&fold, &entries, &count, err));
    TARN_TRY(lake_write_manifests(state->writer, entries, count, &manifests, &manifest_count, err));
    for (size_t i = 0; i < manifest_count; i++) TARN_TRY(keep(state, &manifests[i], err));
    *ret_done = true;
    return TARN_OK;
}

tarn_status lake_merge_manifests(lake_manifest_writer *writer, const lake_manifest *manifests,
                                 size_t count, lake_manifest **ret_manifests, size_t *ret_count,
                                 tarn_error *err) {
    merge_state state = {.writer = writer, .manifests = manifests, .count = count};
    state.contents = tarn_arena_new(writer->arena, lake_content *, count);
    if (state.contents == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu manifests", count);
    bool done = false;
    tarn_status status = TARN_OK;
    if (needs_full(&state)) status = merge_all(&state, &done, err);
    if (status == TARN_OK && !done) {
        state.merged_count = 0;
        status = merge_small(&state, err);
    }
    for (size_t i = 0; i < count; i++) lake_content_unref(state.contents[i]);
    if (status != TARN_OK) return status;
    *ret_manifests = state.merged;
    *ret_count = state.merged_count;
    return TARN_OK;
}
