// compact.c - full compaction: what is live becomes as few files as the target size allows.
//
// Append tables: the small files of each partition are copied into larger ones. Keyed tables: every
// section of overlapping files is merged into the top level, without deleted keys; a file that
// stands alone and deletes nothing is moved there by its entry only.
#include "format/binrow/binrow.h"
#include "lake/commit.h"
#include "lake/data_writer.h"
#include "lake/plan.h"
#include "lake/stats.h"
#include "lake/writer.h"

// A file of this share of the target size is left alone.
#define LARGE_PERCENT 70

typedef struct compaction {
    tarn_table *table;
    tarn_arena *arena;
    lake_entry_list changes; // DELETE and ADD entries
    lake_entry_list created; // the new files, to be removed if the commit fails
    tarn_compact_result result;
} compaction;

static tarn_status replace_entry(compaction *c, const lake_entry *old, tarn_error *err) {
    lake_entry deleted = *old;
    deleted.kind = LAKE_DELETE;
    c->result.files_before++;
    c->result.bytes_before += (uint64_t)old->file.file_bytes;
    return lake_entry_list_add(&c->changes, &deleted, err);
}

static tarn_status add_entry(compaction *c, const lake_entry *added, bool is_new, tarn_error *err) {
    c->result.files_after++;
    c->result.bytes_after += (uint64_t)added->file.file_bytes;
    if (is_new) TARN_TRY(lake_entry_list_add(&c->created, added, err));
    return lake_entry_list_add(&c->changes, added, err);
}

// ---- output files ----

// Files written one after the other, rolled at the target size.
typedef struct rolling_output {
    compaction *compaction;
    lake_file_target target;
    lake_data_writer *file; // NULL: none is open
    lake_file_facts facts;
    tarn_value *key; // scratch
} rolling_output;

static tarn_status finish_output(rolling_output *out, tarn_error *err) {
    if (out->file == NULL) return TARN_OK;
    compaction *c = out->compaction;
    lake_entry entry;
    tarn_status status = lake_data_writer_finish(out->file, &out->facts, c->arena, &entry, err);
    lake_data_writer_free(out->file);
    out->file = NULL;
    return status == TARN_OK ? add_entry(c, &entry, true, err) : status;
}

static tarn_status open_output(rolling_output *out, tarn_error *err) {
    if (out->file != NULL) return TARN_OK;
    out->facts = (lake_file_facts){.min_key = LAKE_EMPTY_ROW,
                                   .max_key = LAKE_EMPTY_ROW,
                                   .min_sequence = INT64_MAX,
                                   .max_sequence = INT64_MIN};
    return lake_data_writer_new(out->compaction->table, &out->target, &out->file, err);
}

static tarn_status close_if_full(rolling_output *out, tarn_error *err) {
    uint64_t target = out->compaction->table->schema->options.target_file_bytes;
    return lake_data_writer_bytes(out->file) >= target ? finish_output(out, err) : TARN_OK;
}

// ---- append tables ----

static tarn_status copy_file(rolling_output *out, const lake_entry *entry, const size_t *columns,
                             size_t column_count, tarn_error *err) {
    lake_data_reader_options options = {.columns = columns, .column_count = column_count};
    lake_data_reader *reader = NULL;
    TARN_TRY(lake_data_reader_new(out->compaction->table, entry, &options, &reader, err));
    tarn_status status = TARN_OK;
    while (status == TARN_OK) {
        const tarn_chunk *chunk = NULL;
        status = lake_data_reader_next(reader, &chunk, NULL, err);
        if (status != TARN_OK || chunk == NULL) break;
        status = open_output(out, err);
        if (status != TARN_OK) break;
        if (entry->file.min_sequence < out->facts.min_sequence) {
            out->facts.min_sequence = entry->file.min_sequence;
        }
        if (entry->file.max_sequence > out->facts.max_sequence) {
            out->facts.max_sequence = entry->file.max_sequence;
        }
        status = lake_data_writer_append(out->file, chunk, err);
        if (status == TARN_OK) status = close_if_full(out, err);
    }
    lake_data_reader_free(reader);
    return status;
}

static tarn_status all_columns(const compaction *c, size_t **ret_columns, size_t *ret_count,
                               tarn_error *err) {
    size_t count = c->table->schema->definition.schema.field_count;
    size_t *columns = tarn_arena_new(c->arena, size_t, count);
    if (columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu columns", count);
    for (size_t i = 0; i < count; i++) columns[i] = i;
    *ret_columns = columns;
    *ret_count = count;
    return TARN_OK;
}

static bool is_small(const compaction *c, const lake_entry *entry) {
    uint64_t large = c->table->schema->options.target_file_bytes / 100 * LARGE_PERCENT;
    return (uint64_t)entry->file.file_bytes < large;
}

static tarn_status compact_append_bucket(compaction *c, const lake_entry *const *entries,
                                         size_t count, tarn_error *err) {
    size_t small = 0;
    for (size_t i = 0; i < count; i++) small += is_small(c, entries[i]);
    if (small < 2) return TARN_OK;
    size_t *columns = NULL;
    size_t column_count = 0;
    TARN_TRY(all_columns(c, &columns, &column_count, err));
    rolling_output out = {.compaction = c,
                          .target = {.partition = entries[0]->partition,
                                     .bucket = entries[0]->bucket,
                                     .total_buckets = entries[0]->total_buckets,
                                     .source = 1}};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        if (!is_small(c, entries[i])) continue;
        status = copy_file(&out, entries[i], columns, column_count, err);
        if (status == TARN_OK) status = replace_entry(c, entries[i], err);
    }
    if (status == TARN_OK) status = finish_output(&out, err);
    lake_data_writer_free(out.file);
    return status;
}

// ---- keyed tables ----

static tarn_status serialize_key(rolling_output *out, const tarn_chunk *chunk, size_t row,
                                 tarn_slice *ret_key, tarn_error *err) {
    const lake_schema *schema = out->compaction->table->schema;
    for (size_t i = 0; i < schema->key.count; i++) {
        size_t column = schema->key.indices[i];
        out->key[i] = tarn_vector_get(&chunk->columns[column], row);
        out->key[i].type = lake_type_stored(&schema->fields[column].type);
    }
    tarn_buffer bytes = {0};
    tarn_status status = tarn_binrow_serialize(out->key, schema->key.count, &bytes, err);
    if (status == TARN_OK &&
        !tarn_arena_copy(out->compaction->arena, tarn_buffer_slice(&bytes), ret_key)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a key");
    }
    tarn_buffer_free(&bytes);
    return status;
}

// The merge gives the table's columns, sequence number and kind; the file has keys in front, then
// sequence number and kind, then the columns.
static tarn_status write_merged(rolling_output *out, const tarn_chunk *merged, tarn_vector *columns,
                                tarn_error *err) {
    const lake_schema *schema = out->compaction->table->schema;
    size_t own = schema->definition.schema.field_count;
    size_t keys = schema->key.count;
    for (size_t i = 0; i < keys; i++) columns[i] = merged->columns[schema->key.indices[i]];
    columns[keys] = merged->columns[own];
    columns[keys + 1] = merged->columns[own + 1];
    for (size_t i = 0; i < own; i++) columns[keys + 2 + i] = merged->columns[i];
    tarn_chunk rows = {
        .row_count = merged->row_count, .column_count = keys + 2 + own, .columns = columns};

    bool is_first = out->file == NULL;
    TARN_TRY(open_output(out, err));
    if (is_first) TARN_TRY(serialize_key(out, merged, 0, &out->facts.min_key, err));
    TARN_TRY(serialize_key(out, merged, merged->row_count - 1, &out->facts.max_key, err));
    const int64_t *sequences = merged->columns[own].data;
    for (size_t i = 0; i < merged->row_count; i++) {
        if (sequences[i] < out->facts.min_sequence) out->facts.min_sequence = sequences[i];
        if (sequences[i] > out->facts.max_sequence) out->facts.max_sequence = sequences[i];
    }
    TARN_TRY(lake_data_writer_append(out->file, &rows, err));
    return close_if_full(out, err);
}

static tarn_status merge_section(rolling_output *out, const lake_run *runs, size_t run_count,
                                 tarn_error *err) {
    compaction *c = out->compaction;
    size_t *columns = NULL;
    size_t column_count = 0;
    TARN_TRY(all_columns(c, &columns, &column_count, err));
    size_t file_columns = lake_file_column_count(c->table->schema);
    tarn_vector *vectors = tarn_arena_new(c->arena, tarn_vector, file_columns);
    out->key = tarn_arena_new(c->arena, tarn_value, c->table->schema->key.count);
    if (vectors == NULL || out->key == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a merge");
    lake_merge_options options = {
        .columns = columns, .column_count = column_count, .system_columns = true};
    lake_merge *merge = NULL;
    TARN_TRY(lake_merge_new(c->table, runs, run_count, &options, &merge, err));
    tarn_status status = TARN_OK;
    while (status == TARN_OK) {
        const tarn_chunk *chunk = NULL;
        status = lake_merge_next(merge, &chunk, err);
        if (status != TARN_OK || chunk == NULL) break;
        status = write_merged(out, chunk, vectors, err);
    }
    lake_merge_free(merge);
    return status;
}

// A file that stands alone changes its level only, which its entry says.
static tarn_status upgrade(compaction *c, const lake_entry *entry, int32_t top, tarn_error *err) {
    lake_entry moved = *entry;
    if (entry->file.level == top) return TARN_OK;
    moved.file.level = top;
    TARN_TRY(replace_entry(c, entry, err));
    return add_entry(c, &moved, false, err);
}

static tarn_status compact_section(compaction *c, rolling_output *out, lake_file_list files,
                                   tarn_error *err) {
    const lake_entry *first = files.items[0].entry;
    if (files.count == 1 && first->file.delete_row_count == 0) {
        return upgrade(c, first, out->target.level, err);
    }
    lake_run_list runs = {0};
    TARN_TRY(lake_make_runs(c->table->schema, files, c->arena, &runs, err));
    TARN_TRY(merge_section(out, runs.items, runs.count, err));
    TARN_TRY(finish_output(out, err));
    for (size_t i = 0; i < files.count; i++) TARN_TRY(replace_entry(c, files.items[i].entry, err));
    return TARN_OK;
}

static int32_t top_level(const compaction *c, const lake_entry *const *entries, size_t count) {
    int32_t top = (int32_t)c->table->schema->options.level_count - 1;
    for (size_t i = 0; i < count; i++) {
        if (entries[i]->file.level > top) top = entries[i]->file.level;
    }
    return top;
}

static tarn_status compact_keyed_bucket(compaction *c, const lake_entry *const *entries,
                                        size_t count, tarn_error *err) {
    lake_run_file *files = tarn_arena_new(c->arena, lake_run_file, count);
    if (files == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu files", count);
    for (size_t i = 0; i < count; i++) files[i].entry = entries[i];
    lake_sections sections = {0};
    lake_file_list all = {files, count};
    TARN_TRY(lake_cut_sections(c->table->schema, all, c->arena, &sections, err));
    rolling_output out = {.compaction = c,
                          .target = {.partition = entries[0]->partition,
                                     .bucket = entries[0]->bucket,
                                     .total_buckets = entries[0]->total_buckets,
                                     .level = top_level(c, entries, count),
                                     .source = 1}};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < sections.count && status == TARN_OK; i++) {
        size_t begin = i == 0 ? 0 : sections.ends[i - 1];
        lake_file_list section = {files + begin, sections.ends[i] - begin};
        status = compact_section(c, &out, section, err);
    }
    lake_data_writer_free(out.file);
    return status;
}

// ---- the whole table ----

static tarn_status compact_files(compaction *c, lake_live *live, tarn_error *err) {
    const lake_entry **entries = live->entries;
    bool is_keyed = lake_schema_is_keyed(c->table->schema);
    lake_sort_by_bucket(entries, live->count);
    for (size_t begin = 0; begin < live->count;) {
        size_t end = begin + 1;
        while (end < live->count && lake_same_bucket(entries[begin], entries[end])) end++;
        TARN_TRY(is_keyed ? compact_keyed_bucket(c, entries + begin, end - begin, err)
                          : compact_append_bucket(c, entries + begin, end - begin, err));
        begin = end;
    }
    return TARN_OK;
}

static tarn_status commit_changes(compaction *c, tarn_slice user, const tarn_option *properties,
                                  size_t property_count, tarn_error *err) {
    const lake_entry **entries = tarn_arena_new(c->arena, const lake_entry *, c->changes.count);
    if (entries == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a commit");
    for (size_t i = 0; i < c->changes.count; i++) entries[i] = &c->changes.items[i];
    lake_commit commit = {.user = user,
                          .identifier = INT64_MAX,
                          .kind = TARN_LIT("COMPACT"),
                          .entries = entries,
                          .count = c->changes.count,
                          .watermark_us = TARN_NO_WATERMARK,
                          .properties = properties,
                          .property_count = property_count};
    return lake_commit_run(c->table, &commit, &c->result.snapshot_id, err);
}

static void remove_created(compaction *c) {
    for (size_t i = 0; i < c->created.count; i++) {
        // What stays is an orphan, and goes with the orphans.
        tarn_status ignored = lake_remove_data_file(c->table, &c->created.items[i], NULL);
        (void)ignored;
    }
}

static tarn_status compact(compaction *c, tarn_slice user, const tarn_option *properties,
                           size_t property_count, tarn_error *err) {
    int64_t latest = 0;
    lake_snapshot snapshot;
    bool found = false;
    lake_live live;
    TARN_TRY(lake_schema_check_use(c->table->schema, LAKE_USE_READ, err));
    TARN_TRY(lake_schema_check_use(c->table->schema, LAKE_USE_WRITE, err));
    TARN_TRY(lake_latest_id(c->table, &latest, err));
    TARN_TRY(lake_snapshot_read(c->table, latest, c->arena, &snapshot, &found, err));
    if (!found) return TARN_OK;
    TARN_TRY(lake_live_load(c->table, &snapshot, NULL, &live, err));
    tarn_status status = compact_files(c, &live, err);
    bool may_remove = true;
    if (status == TARN_OK && c->changes.count > 0) {
        status = commit_changes(c, user, properties, property_count, err);
        // Only a lost race is known to have left no snapshot behind.
        may_remove = status == TARN_CONFLICT;
    }
    if (status != TARN_OK && may_remove) remove_created(c);
    lake_live_free(&live);
    return status;
}

tarn_status tarn_table_compact(tarn_table *table, tarn_slice commit_user,
                               const tarn_option *properties, size_t property_count,
                               tarn_compact_result *ret_result, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, table->alloc, SIZE_MAX);
    compaction c = {.table = table,
                    .arena = &arena,
                    .changes = {.arena = &arena},
                    .created = {.arena = &arena}};
    tarn_status status = compact(&c, commit_user, properties, property_count, err);
    tarn_arena_reset(&arena);
    if (status != TARN_OK) {
        tarn_error_prefix(err,
                          "table '" TARN_SLICE_FMT "': compaction: ", TARN_SLICE_ARG(table->path));
        return status;
    }
    *ret_result = c.result;
    return TARN_OK;
}
