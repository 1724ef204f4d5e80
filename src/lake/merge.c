#include "lake/merge.h"

#include "base/alloc.h"
#include "lake/rows.h"

// A run at its current chunk.
typedef struct cursor {
    const lake_run *run;
    size_t next_file;
    lake_data_reader *reader; // of file next_file - 1
    const tarn_chunk *chunk;  // NULL before the first and after the last
    lake_keys keys;           // of the chunk's selected rows
    size_t at;                // among them
    bool is_spent;            // the chunk is used up; its rows may still be referred to
} cursor;

// A row that could win.
typedef struct candidate {
    size_t cursor;
    size_t row; // of the cursor's chunk
    int64_t sequence;
    uint8_t kind;
    bool exists;
} candidate;

struct lake_merge {
    tarn_table *table;
    const tarn_alloc *alloc;
    tarn_arena arena; // as long as the merge
    lake_merge_options options;
    lake_data_reader_options reading; // the columns read: those asked for, then keys and sequence
    size_t *key_at;                   // where the key columns are in a chunk
    size_t *order_at;                 // where the sequence fields are
    size_t sequence_at;               // the sequence number; the kind follows
    cursor *cursors;
    size_t cursor_count;
    size_t *heap; // cursors by their current key, least first
    size_t heap_count;
    size_t *group; // cursors that stand at the same key
    size_t group_count;
    const tarn_chunk **chunks; // of the cursors, for gathering
    lake_row_ref *refs;        // rows of the next output chunk
    uint8_t *kinds;
    size_t ref_count;
    tarn_arena batch_arena;
    tarn_chunk output;
};

// ---- columns ----

static size_t add_column(size_t *columns, size_t *count, size_t column) {
    for (size_t i = 0; i < *count; i++) {
        if (columns[i] == column) return i;
    }
    columns[*count] = column;
    return (*count)++;
}

static tarn_status choose_columns(lake_merge *merge, tarn_error *err) {
    const lake_schema *schema = merge->table->schema;
    size_t most = merge->options.column_count + schema->key.count + schema->sequence.count;
    size_t *columns = tarn_arena_new(&merge->arena, size_t, most);
    merge->key_at = tarn_arena_new(&merge->arena, size_t, schema->key.count);
    merge->order_at = tarn_arena_new(&merge->arena, size_t, schema->sequence.count);
    if (columns == NULL || merge->key_at == NULL || merge->order_at == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "a merge's columns");
    }
    // The columns asked for stand first and in their order, even if one comes twice.
    size_t count = merge->options.column_count;
    if (count > 0) memcpy(columns, merge->options.columns, count * sizeof *columns);
    for (size_t i = 0; i < schema->key.count; i++) {
        merge->key_at[i] = add_column(columns, &count, schema->key.indices[i]);
    }
    for (size_t i = 0; i < schema->sequence.count; i++) {
        merge->order_at[i] = add_column(columns, &count, schema->sequence.indices[i]);
    }
    merge->sequence_at = count;
    merge->reading = (lake_data_reader_options){.columns = columns,
                                                .column_count = count,
                                                .system_columns = true,
                                                .prune = merge->options.key_prune,
                                                .counters = merge->options.counters,
                                                .alloc = merge->alloc};
    return TARN_OK;
}

// ---- the heap ----

// Runs of equal keys keep their order, so that the later run is seen last.
static bool is_before(const lake_merge *merge, size_t a, size_t b) {
    const cursor *left = &merge->cursors[a];
    const cursor *right = &merge->cursors[b];
    uint64_t left_head = lake_keys_head(&left->keys, left->at);
    uint64_t right_head = lake_keys_head(&right->keys, right->at);
    if (left_head != right_head) return left_head < right_head;
    int order = tarn_slice_compare(lake_keys_at(&left->keys, left->at),
                                   lake_keys_at(&right->keys, right->at));
    return order != 0 ? order < 0 : a < b;
}

static void heap_push(lake_merge *merge, size_t cursor_index) {
    size_t hole = merge->heap_count++;
    while (hole > 0 && is_before(merge, cursor_index, merge->heap[(hole - 1) / 2])) {
        merge->heap[hole] = merge->heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    merge->heap[hole] = cursor_index;
}

// Puts `moving` at the root, or further down where it belongs.
static void heap_sink(lake_merge *merge, size_t moving) {
    size_t hole = 0;
    for (size_t child = 1; child < merge->heap_count; child = 2 * hole + 1) {
        if (child + 1 < merge->heap_count &&
            is_before(merge, merge->heap[child + 1], merge->heap[child])) {
            child++;
        }
        if (!is_before(merge, merge->heap[child], moving)) break;
        merge->heap[hole] = merge->heap[child];
        hole = child;
    }
    if (merge->heap_count > 0) merge->heap[hole] = moving;
}

static size_t heap_pop(lake_merge *merge) {
    size_t least = merge->heap[0];
    merge->heap_count--;
    if (merge->heap_count > 0) heap_sink(merge, merge->heap[merge->heap_count]);
    return least;
}

// ---- cursors ----

static tarn_status open_next_file(lake_merge *merge, cursor *at, tarn_error *err) {
    lake_data_reader_free(at->reader);
    at->reader = NULL;
    const lake_run_file *file = &at->run->files[at->next_file++];
    lake_data_reader_options options = merge->reading;
    options.deleted = file->deleted;
    return lake_data_reader_new(merge->table, file->entry, &options, &at->reader, err);
}

// Moves to the next chunk, or to the end.
static tarn_status load(lake_merge *merge, size_t index, tarn_error *err) {
    cursor *at = &merge->cursors[index];
    const tarn_chunk *chunk = NULL;
    while (chunk == NULL) {
        if (at->reader != NULL) TARN_TRY(lake_data_reader_next(at->reader, &chunk, NULL, err));
        if (chunk != NULL) break;
        if (at->next_file == at->run->file_count) break;
        TARN_TRY(open_next_file(merge, at, err));
    }
    at->chunk = chunk;
    at->at = 0;
    at->is_spent = false;
    merge->chunks[index] = chunk;
    if (chunk == NULL) return TARN_OK;
    size_t key_count = merge->table->schema->key.count;
    tarn_vector *keys = tarn_arena_new(&merge->batch_arena, tarn_vector, key_count);
    if (keys == NULL) return tarn_fail(err, TARN_NO_MEMORY, "keys");
    for (size_t i = 0; i < key_count; i++) keys[i] = chunk->columns[merge->key_at[i]];
    lake_keys_clear(&at->keys);
    TARN_TRY(lake_keys_append(&at->keys, keys, key_count, chunk, err));
    heap_push(merge, index);
    return TARN_OK;
}

static tarn_status start(lake_merge *merge, const lake_run *runs, tarn_error *err) {
    size_t count = merge->cursor_count;
    merge->cursors = tarn_arena_new(&merge->arena, cursor, count);
    merge->heap = tarn_arena_new(&merge->arena, size_t, count);
    merge->group = tarn_arena_new(&merge->arena, size_t, count);
    merge->chunks = tarn_arena_new(&merge->arena, const tarn_chunk *, count);
    merge->refs = tarn_arena_new(&merge->arena, lake_row_ref, TARN_CHUNK_ROWS);
    merge->kinds = tarn_arena_new(&merge->arena, uint8_t, TARN_CHUNK_ROWS);
    if (merge->cursors == NULL || merge->heap == NULL || merge->group == NULL ||
        merge->chunks == NULL || merge->refs == NULL || merge->kinds == NULL) {
        merge->cursor_count = 0;
        return tarn_fail(err, TARN_NO_MEMORY, "a merge of %zu runs", count);
    }
    for (size_t i = 0; i < count; i++) {
        merge->cursors[i].run = &runs[i];
        merge->cursors[i].is_spent = true;
        lake_keys_init(&merge->cursors[i].keys, merge->alloc);
    }
    return choose_columns(merge, err);
}

tarn_status lake_merge_new(tarn_table *table, const lake_run *runs, size_t run_count,
                           const lake_merge_options *options, lake_merge **ret_merge,
                           tarn_error *err) {
    const tarn_alloc *alloc = options->alloc == NULL ? table->alloc : options->alloc;
    lake_merge *merge = tarn_alloc_new(alloc, lake_merge, 1);
    if (merge == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a merge");
    merge->table = table;
    merge->alloc = alloc;
    merge->options = *options;
    merge->cursor_count = run_count;
    tarn_arena_init(&merge->arena, alloc, SIZE_MAX);
    tarn_arena_init(&merge->batch_arena, alloc, SIZE_MAX);
    tarn_status status = start(merge, runs, err);
    if (status != TARN_OK) {
        lake_merge_free(merge);
        return status;
    }
    *ret_merge = merge;
    return TARN_OK;
}

void lake_merge_free(lake_merge *merge) {
    if (merge == NULL) return;
    for (size_t i = 0; i < merge->cursor_count; i++) {
        lake_data_reader_free(merge->cursors[i].reader);
        lake_keys_free(&merge->cursors[i].keys);
    }
    tarn_arena_reset(&merge->batch_arena);
    tarn_arena_reset(&merge->arena);
    tarn_alloc_free(merge->alloc, merge, 1);
}

// ---- winners ----

static candidate candidate_at(const lake_merge *merge, size_t cursor_index) {
    const cursor *at = &merge->cursors[cursor_index];
    size_t row = tarn_chunk_row(at->chunk, at->at);
    const tarn_vector *sequence = &at->chunk->columns[merge->sequence_at];
    const tarn_vector *kind = &at->chunk->columns[merge->sequence_at + 1];
    candidate found = {.cursor = cursor_index, .row = row, .exists = true};
    int16_t stored_kind = 0;
    memcpy(&found.sequence, tarn_vector_at(sequence, row, sizeof found.sequence),
           sizeof found.sequence);
    memcpy(&stored_kind, tarn_vector_at(kind, row, sizeof stored_kind), sizeof stored_kind);
    found.kind = (uint8_t)stored_kind;
    return found;
}

static tarn_value value_of(const lake_merge *merge, const candidate *from, size_t column) {
    return tarn_vector_get(&merge->chunks[from->cursor]->columns[column], from->row);
}

// `b` comes from a later run.
static bool is_newer(const lake_merge *merge, const candidate *a, const candidate *b) {
    if (!a->exists) return true;
    for (size_t i = 0; i < merge->table->schema->sequence.count; i++) {
        size_t column = merge->order_at[i];
        int order = tarn_value_compare(value_of(merge, b, column), value_of(merge, a, column));
        if (order != 0) return order > 0;
    }
    return b->sequence >= a->sequence;
}

static bool stands(const candidate *winner) {
    return winner->exists && !tarn_row_kind_is_retract(winner->kind);
}

static void emit(lake_merge *merge, const candidate *row, tarn_row_kind kind) {
    tarn_assert(merge->ref_count < TARN_CHUNK_ROWS);
    merge->refs[merge->ref_count] = (lake_row_ref){(uint32_t)row->cursor, (uint32_t)row->row};
    merge->kinds[merge->ref_count] = (uint8_t)kind;
    merge->ref_count++;
}

static bool is_same_row(const lake_merge *merge, const candidate *a, const candidate *b) {
    if (a->cursor == b->cursor && a->row == b->row) return true;
    for (size_t i = 0; i < merge->options.column_count; i++) {
        if (tarn_value_compare(value_of(merge, a, i), value_of(merge, b, i)) != 0) return false;
    }
    return true;
}

static void emit_change(lake_merge *merge, const candidate *before, const candidate *after) {
    bool was = stands(before);
    bool is = stands(after);
    if (was && is) {
        if (is_same_row(merge, before, after)) return;
        emit(merge, before, TARN_ROW_UPDATE_BEFORE);
        emit(merge, after, TARN_ROW_UPDATE_AFTER);
    } else if (was) {
        emit(merge, before, TARN_ROW_DELETE);
    } else if (is) {
        emit(merge, after, TARN_ROW_INSERT);
    }
}

static bool at_same_key(const lake_merge *merge, size_t a, size_t b) {
    const cursor *left = &merge->cursors[a];
    const cursor *right = &merge->cursors[b];
    return lake_keys_head(&left->keys, left->at) == lake_keys_head(&right->keys, right->at) &&
           tarn_slice_equal(lake_keys_at(&left->keys, left->at),
                            lake_keys_at(&right->keys, right->at));
}

// Most keys are in one run only. If another stood at the least key, a child of the root would.
static bool is_alone(const lake_merge *merge) {
    for (size_t child = 1; child < 3 && child < merge->heap_count; child++) {
        if (at_same_key(merge, merge->heap[0], merge->heap[child])) return false;
    }
    return true;
}

// Takes all cursors that stand at the least key off the heap.
static void take_group(lake_merge *merge) {
    merge->group_count = 0;
    merge->group[merge->group_count++] = heap_pop(merge);
    while (merge->heap_count > 0 && at_same_key(merge, merge->group[0], merge->heap[0])) {
        merge->group[merge->group_count++] = heap_pop(merge);
    }
}

// The group's key is one that was asked for.
static bool is_in_range(const lake_merge *merge) {
    const cursor *at = &merge->cursors[merge->group[0]];
    tarn_slice key = lake_keys_at(&at->keys, at->at);
    tarn_slice min = merge->options.min_key;
    tarn_slice max = merge->options.max_key;
    return (min.len == 0 || tarn_slice_compare(key, min) >= 0) &&
           (max.len == 0 || tarn_slice_compare(key, max) <= 0);
}

static void resolve_group(lake_merge *merge) {
    candidate before = {0};
    candidate after = {0};
    if (!is_in_range(merge)) return;
    for (size_t i = 0; i < merge->group_count; i++) {
        size_t index = merge->group[i];
        const lake_run *run = merge->cursors[index].run;
        candidate next = candidate_at(merge, index);
        if (merge->options.changes && run->is_before && is_newer(merge, &before, &next)) {
            before = next;
        }
        if ((!merge->options.changes || run->is_after) && is_newer(merge, &after, &next)) {
            after = next;
        }
    }
    if (merge->options.changes) {
        emit_change(merge, &before, &after);
    } else if (stands(&after)) {
        emit(merge, &after, TARN_ROW_INSERT);
    }
}

// As take, resolve and advance for a key that only the least cursor has: it stays on the heap.
static bool pass_alone(lake_merge *merge) {
    cursor *at = &merge->cursors[merge->heap[0]];
    merge->group[0] = merge->heap[0];
    merge->group_count = 1;
    resolve_group(merge);
    at->at++;
    at->is_spent = at->at == at->keys.count;
    if (at->is_spent) {
        (void)heap_pop(merge); // it is group[0]
    } else {
        heap_sink(merge, merge->heap[0]);
    }
    return at->is_spent;
}

// Steps every member of the group. Returns true when one used up its chunk.
static bool advance_group(lake_merge *merge) {
    bool any_spent = false;
    for (size_t i = 0; i < merge->group_count; i++) {
        cursor *at = &merge->cursors[merge->group[i]];
        at->at++;
        if (at->at < at->keys.count) {
            heap_push(merge, merge->group[i]);
        } else {
            at->is_spent = true;
            any_spent = true;
        }
    }
    return any_spent;
}

// ---- output ----

static tarn_status gather(lake_merge *merge, tarn_error *err) {
    const lake_schema *schema = merge->table->schema;
    size_t wanted = merge->options.column_count;
    size_t count = wanted + (merge->options.system_columns ? 2 : 0);
    tarn_vector *columns = tarn_arena_new(&merge->batch_arena, tarn_vector, count);
    if (columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "rows");
    lake_rows rows = {merge->chunks, merge->refs, merge->ref_count};
    for (size_t i = 0; i < count; i++) {
        bool is_system = i >= wanted;
        size_t from = is_system ? merge->sequence_at + (i - wanted) : i;
        tarn_type type = !is_system
                             ? schema->fields[merge->options.columns[i]].type.type
                             : tarn_type_of(i == wanted ? TARN_TYPE_BIGINT : TARN_TYPE_SMALLINT);
        TARN_TRY(lake_rows_gather(&rows, from, type, &merge->batch_arena, &columns[i], err));
    }
    merge->output = (tarn_chunk){.row_count = merge->ref_count,
                                 .column_count = count,
                                 .columns = columns,
                                 .kinds = merge->options.changes ? merge->kinds : NULL};
    return TARN_OK;
}

tarn_status lake_merge_next(lake_merge *merge, const tarn_chunk **ret_chunk, tarn_error *err) {
    merge->ref_count = 0;
    tarn_arena_clear(&merge->batch_arena);
    while (merge->ref_count == 0) {
        for (size_t i = 0; i < merge->cursor_count; i++) {
            if (merge->cursors[i].is_spent) TARN_TRY(load(merge, i, err));
        }
        // A spent chunk goes with its successor, so the rows from it must leave first.
        bool any_spent = false;
        while (merge->heap_count > 0 && !any_spent && merge->ref_count + 2 <= TARN_CHUNK_ROWS) {
            if (is_alone(merge)) {
                any_spent = pass_alone(merge);
                continue;
            }
            take_group(merge);
            resolve_group(merge);
            any_spent = advance_group(merge);
        }
        if (merge->heap_count == 0 && !any_spent) break;
    }
    if (merge->ref_count == 0) {
        *ret_chunk = NULL;
        return TARN_OK;
    }
    TARN_TRY(gather(merge, err));
    *ret_chunk = &merge->output;
    return TARN_OK;
}
