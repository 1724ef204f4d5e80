// retraction.c - deleting rows from append tables: find one equal row per deletion, and write the
// files that held them anew without them.
#include "base/alloc.h"
#include "lake/data_reader.h"
#include "lake/data_writer.h"
#include "lake/prune.h"
#include "lake/stats.h"
#include "lake/writer.h"

// The deletions from one partition.
typedef struct partition_deletes {
    lake_bytemap rows;   // the row's bytes to a number
    uint64_t *remaining; // by number: how many such rows are still to be found
    size_t capacity;
    uint64_t total;  // sum of `remaining`
    tarn_value *min; // per column, over the rows; null values: no bound
    tarn_value *max;
} partition_deletes;

struct lake_retraction {
    lake_writer_base base;
    tarn_arena arena;
    lake_bytemap partitions;
    partition_deletes **deletes; // by number
    size_t capacity;
    tarn_buffer row;
};

tarn_status lake_retraction_new(const lake_writer_base *base, lake_retraction **ret_retraction,
                                tarn_error *err) {
    lake_retraction *retraction = tarn_alloc_new(base->alloc, lake_retraction, 1);
    if (retraction == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a writer");
    retraction->base = *base;
    tarn_arena_init(&retraction->arena, base->alloc, SIZE_MAX);
    lake_bytemap_init(&retraction->partitions, &retraction->arena);
    retraction->row.alloc = base->alloc;
    *ret_retraction = retraction;
    return TARN_OK;
}

void lake_retraction_free(lake_retraction *retraction) {
    if (retraction == NULL) return;
    tarn_buffer_free(&retraction->row);
    tarn_arena_reset(&retraction->arena);
    tarn_alloc_free(retraction->base.alloc, retraction, 1);
}

static size_t column_count(const lake_retraction *retraction) {
    return retraction->base.table->schema->definition.schema.field_count;
}

// ---- collecting ----

static tarn_status new_partition(lake_retraction *retraction, size_t number, tarn_error *err) {
    if (number >= retraction->capacity) {
        size_t capacity = retraction->capacity == 0 ? 8 : retraction->capacity * 2;
        partition_deletes **grown =
            tarn_arena_new(&retraction->arena, partition_deletes *, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu partitions", capacity);
        if (number > 0) memcpy(grown, retraction->deletes, number * sizeof(void *));
        retraction->deletes = grown;
        retraction->capacity = capacity;
    }
    partition_deletes *deletes = tarn_arena_new(&retraction->arena, partition_deletes, 1);
    if (deletes == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a partition");
    size_t columns = column_count(retraction);
    lake_bytemap_init(&deletes->rows, &retraction->arena);
    deletes->min = tarn_arena_new(&retraction->arena, tarn_value, columns);
    deletes->max = tarn_arena_new(&retraction->arena, tarn_value, columns);
    if (deletes->min == NULL || deletes->max == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "a partition");
    }
    retraction->deletes[number] = deletes;
    return TARN_OK;
}

// NULL sorts first, so a null row pulls the lower bound to "no bound".
static tarn_status widen_bounds(lake_retraction *retraction, partition_deletes *deletes,
                                const tarn_chunk *chunk, size_t row, tarn_error *err) {
    bool is_first = deletes->rows.count == 0;
    for (size_t c = 0; c < chunk->column_count; c++) {
        tarn_value value = tarn_vector_get(&chunk->columns[c], row);
        if (is_first || tarn_value_compare(value, deletes->min[c]) < 0) {
            TARN_TRY(tarn_value_copy(value, &retraction->arena, &deletes->min[c], err));
        }
        if (is_first || tarn_value_compare(value, deletes->max[c]) > 0) {
            TARN_TRY(tarn_value_copy(value, &retraction->arena, &deletes->max[c], err));
        }
    }
    return TARN_OK;
}

tarn_status lake_retraction_add(lake_retraction *retraction, tarn_slice partition,
                                const tarn_chunk *chunk, size_t row, tarn_error *err) {
    size_t number = 0;
    bool is_new = false;
    TARN_TRY(lake_bytemap_insert(&retraction->partitions, partition, &number, &is_new, err));
    if (is_new) TARN_TRY(new_partition(retraction, number, err));
    partition_deletes *deletes = retraction->deletes[number];
    TARN_TRY(widen_bounds(retraction, deletes, chunk, row, err));

    tarn_buffer_clear(&retraction->row);
    TARN_TRY(tarn_row_encode(chunk->columns, chunk->column_count, row, &retraction->row, err));
    size_t position = 0;
    TARN_TRY(lake_bytemap_insert(&deletes->rows, tarn_buffer_slice(&retraction->row), &position,
                                 NULL, err));
    if (position >= deletes->capacity) {
        size_t capacity = deletes->capacity == 0 ? 64 : deletes->capacity * 2;
        uint64_t *grown = tarn_arena_new(&retraction->arena, uint64_t, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu deleted rows", capacity);
        if (position > 0) memcpy(grown, deletes->remaining, position * sizeof *grown);
        deletes->remaining = grown;
        deletes->capacity = capacity;
    }
    deletes->remaining[position]++;
    deletes->total++;
    return TARN_OK;
}

// ---- finding ----

// False when the file's bounds show that none of the rows is in it.
static tarn_status may_hold(const lake_retraction *retraction, const partition_deletes *deletes,
                            const lake_entry *entry, tarn_arena *scratch, bool *ret_may_hold,
                            tarn_error *err) {
    const lake_schema *schema = retraction->base.table->schema;
    tarn_bounds *bounds = NULL;
    TARN_TRY(lake_file_bounds(retraction->base.table, entry, scratch, &bounds, err));
    *ret_may_hold = true;
    for (size_t c = 0; c < column_count(retraction) && *ret_may_hold; c++) {
        tarn_value low = deletes->min[c];
        tarn_value high = deletes->max[c];
        if (bounds[c].min.is_null || bounds[c].max.is_null || low.is_null || high.is_null) continue;
        low.type = high.type = schema->fields[c].type.type;
        *ret_may_hold = tarn_value_compare(high, bounds[c].min) >= 0 &&
                        tarn_value_compare(low, bounds[c].max) <= 0;
    }
    return TARN_OK;
}

typedef struct file_pass {
    lake_retraction *retraction;
    partition_deletes *deletes;
    lake_entry entry; // a copy: the list may move while entries are added
    size_t own_index; // among the writer's entries; SIZE_MAX: a file of the table
    tarn_arena *scratch;
    roaring_bitmap_t *found; // positions of the rows to leave out
} file_pass;

static tarn_status open_rows(const file_pass *pass, const roaring_bitmap_t *deleted,
                             lake_data_reader **ret_reader, tarn_error *err) {
    size_t count = column_count(pass->retraction);
    size_t *columns = tarn_arena_new(pass->scratch, size_t, count);
    if (columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu columns", count);
    for (size_t i = 0; i < count; i++) columns[i] = i;
    lake_data_reader_options options = {.columns = columns,
                                        .column_count = count,
                                        .deleted = deleted,
                                        .alloc = pass->retraction->base.alloc};
    return lake_data_reader_new(pass->retraction->base.table, &pass->entry, &options, ret_reader,
                                err);
}

static tarn_status match_chunk(file_pass *pass, const tarn_chunk *chunk, uint64_t first_row,
                               tarn_error *err) {
    tarn_buffer *row = &pass->retraction->row;
    for (size_t i = 0; i < tarn_chunk_count(chunk) && pass->deletes->total > 0; i++) {
        size_t at = tarn_chunk_row(chunk, i);
        tarn_buffer_clear(row);
        TARN_TRY(tarn_row_encode(chunk->columns, chunk->column_count, at, row, err));
        size_t number = lake_bytemap_find(&pass->deletes->rows, tarn_buffer_slice(row));
        if (number == LAKE_BYTEMAP_ABSENT || pass->deletes->remaining[number] == 0) continue;
        if (first_row + at > UINT32_MAX) {
            return tarn_fail(err, TARN_UNSUPPORTED, "files of more than 4294967295 rows");
        }
        pass->deletes->remaining[number]--;
        pass->deletes->total--;
        roaring_bitmap_add(pass->found, (uint32_t)(first_row + at));
    }
    return TARN_OK;
}

static tarn_status find_rows(file_pass *pass, tarn_error *err) {
    lake_data_reader *reader = NULL;
    TARN_TRY(open_rows(pass, NULL, &reader, err));
    tarn_status status = TARN_OK;
    while (status == TARN_OK && pass->deletes->total > 0) {
        const tarn_chunk *chunk = NULL;
        uint64_t first_row = 0;
        status = lake_data_reader_next(reader, &chunk, &first_row, err);
        if (status != TARN_OK || chunk == NULL) break;
        status = match_chunk(pass, chunk, first_row, err);
    }
    lake_data_reader_free(reader);
    return status;
}

// ---- rewriting ----

static tarn_status copy_rows(const file_pass *pass, lake_data_writer *writer, tarn_error *err) {
    lake_data_reader *reader = NULL;
    TARN_TRY(open_rows(pass, pass->found, &reader, err));
    tarn_status status = TARN_OK;
    while (status == TARN_OK) {
        const tarn_chunk *chunk = NULL;
        status = lake_data_reader_next(reader, &chunk, NULL, err);
        if (status != TARN_OK || chunk == NULL) break;
        status = lake_data_writer_append(writer, chunk, err);
    }
    lake_data_reader_free(reader);
    return status;
}

// The file without the rows that were found, as a new file.
static tarn_status rewrite(const file_pass *pass, lake_entry *ret_entry, tarn_error *err) {
    const lake_entry *old = &pass->entry;
    lake_file_target target = {.partition = old->partition,
                               .bucket = old->bucket,
                               .total_buckets = old->total_buckets,
                               .level = old->file.level};
    lake_file_facts facts = {.min_key = LAKE_EMPTY_ROW,
                             .max_key = LAKE_EMPTY_ROW,
                             .min_sequence = old->file.min_sequence,
                             .max_sequence = old->file.max_sequence};
    lake_data_writer *writer = NULL;
    TARN_TRY(lake_data_writer_new(pass->retraction->base.table, &target, &writer, err));
    tarn_status status = copy_rows(pass, writer, err);
    if (status == TARN_OK) {
        status =
            lake_data_writer_finish(writer, &facts, pass->retraction->base.arena, ret_entry, err);
    }
    lake_data_writer_free(writer);
    return status;
}

// A file of the table gets a DELETE; one of this writer is simply forgotten and removed.
static tarn_status replace_file(const file_pass *pass, const lake_entry *new_entry,
                                tarn_error *err) {
    lake_entry_list *entries = pass->retraction->base.entries;
    size_t own_index = pass->own_index;
    if (own_index != SIZE_MAX) {
        lake_entry old = entries->items[own_index];
        if (new_entry != NULL) {
            entries->items[own_index] = *new_entry;
        } else {
            entries->items[own_index] = entries->items[--entries->count];
        }
        return lake_remove_data_file(pass->retraction->base.table, &old, err);
    }
    lake_entry deleted;
    TARN_TRY(lake_entry_copy(&pass->entry, pass->retraction->base.arena, &deleted, err));
    deleted.kind = LAKE_DELETE;
    TARN_TRY(lake_entry_list_add(entries, &deleted, err));
    return new_entry == NULL ? TARN_OK : lake_entry_list_add(entries, new_entry, err);
}

// Takes what it can from one file. *ret_emptied: nothing of it is left.
static tarn_status apply_to_file(file_pass *pass, bool *ret_emptied, tarn_error *err) {
    bool matters = false;
    *ret_emptied = false;
    TARN_TRY(may_hold(pass->retraction, pass->deletes, &pass->entry, pass->scratch, &matters, err));
    if (!matters) return TARN_OK;
    pass->found = roaring_bitmap_create();
    if (pass->found == NULL) return tarn_fail(err, TARN_NO_MEMORY, "deleted rows");
    tarn_status status = find_rows(pass, err);
    uint64_t found = roaring_bitmap_get_cardinality(pass->found);
    if (status == TARN_OK && found > 0) {
        bool is_emptied = found == (uint64_t)pass->entry.file.row_count;
        lake_entry rewritten;
        if (!is_emptied) status = rewrite(pass, &rewritten, err);
        if (status == TARN_OK) status = replace_file(pass, is_emptied ? NULL : &rewritten, err);
        *ret_emptied = is_emptied;
    }
    roaring_bitmap_free(pass->found);
    return status;
}

static tarn_status apply_to_own(lake_retraction *retraction, partition_deletes *deletes,
                                tarn_slice partition, tarn_arena *scratch, tarn_error *err) {
    lake_entry_list *entries = retraction->base.entries;
    for (size_t i = 0; i < entries->count && deletes->total > 0;) {
        bool emptied = false;
        const lake_entry *entry = &entries->items[i];
        if (entry->kind == LAKE_ADD && tarn_slice_equal(entry->partition, partition)) {
            file_pass pass = {.retraction = retraction,
                              .deletes = deletes,
                              .entry = *entry,
                              .own_index = i,
                              .scratch = scratch};
            TARN_TRY(apply_to_file(&pass, &emptied, err));
        }
        if (!emptied) i++; // else the last entry moved here
    }
    return TARN_OK;
}

static tarn_status apply_to_live(lake_retraction *retraction, const lake_live *live,
                                 tarn_arena *scratch, tarn_error *err) {
    for (size_t i = 0; i < live->count; i++) {
        const lake_entry *entry = live->entries[i];
        size_t number = lake_bytemap_find(&retraction->partitions, entry->partition);
        if (number == LAKE_BYTEMAP_ABSENT || retraction->deletes[number]->total == 0) continue;
        file_pass pass = {.retraction = retraction,
                          .deletes = retraction->deletes[number],
                          .entry = *entry,
                          .own_index = SIZE_MAX,
                          .scratch = scratch};
        bool emptied = false;
        TARN_TRY(apply_to_file(&pass, &emptied, err));
    }
    return TARN_OK;
}

static uint64_t missing(const lake_retraction *retraction) {
    uint64_t total = 0;
    for (size_t i = 0; i < retraction->partitions.count; i++) {
        total += retraction->deletes[i]->total;
    }
    return total;
}

static tarn_status apply(lake_retraction *retraction, tarn_arena *scratch, tarn_error *err) {
    for (size_t i = 0; i < retraction->partitions.count; i++) {
        TARN_TRY(apply_to_own(retraction, retraction->deletes[i], retraction->partitions.keys[i],
                              scratch, err));
    }
    if (missing(retraction) == 0) return TARN_OK;
    tarn_table *table = retraction->base.table;
    int64_t latest = 0;
    lake_snapshot snapshot;
    bool found = false;
    TARN_TRY(lake_latest_id(table, &latest, err));
    TARN_TRY(lake_snapshot_read(table, latest, scratch, &snapshot, &found, err));
    if (found) {
        lake_live live;
        TARN_TRY(lake_live_load(table, &snapshot, NULL, &live, err));
        tarn_status status = apply_to_live(retraction, &live, scratch, err);
        lake_live_free(&live);
        if (status != TARN_OK) return status;
    }
    uint64_t left = missing(retraction);
    if (left == 0) return TARN_OK;
    return tarn_fail(err, TARN_CONFLICT, "%llu of the rows to delete are not in the table",
                     (unsigned long long)left);
}

tarn_status lake_retraction_apply(lake_retraction *retraction, tarn_error *err) {
    if (retraction->partitions.count == 0) return TARN_OK;
    tarn_arena scratch;
    tarn_arena_init(&scratch, retraction->base.alloc, SIZE_MAX);
    tarn_status status = apply(retraction, &scratch, err);
    tarn_arena_reset(&scratch);
    return status;
}
