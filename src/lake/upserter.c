// upserter.c - writing to keyed tables: rows are buffered; a flush keeps the last row of each key
// and writes each bucket's rows, sorted by key, as files of level 0.
//
// "Last" is by the sequence fields, then by arrival. Keys are turned into bytes that compare as the
// keys do; duplicates go by a hash table first, because a stream of updates has many, and only what
// is left is sorted.
#include "base/alloc.h"
#include "base/hash.h"
#include "format/binrow/binrow.h"
#include "lake/data_writer.h"
#include "lake/rows.h"
#include "lake/sequences.h"
#include "lake/sort.h"
#include "lake/writer.h"

// The rows of one bucket, in the order of their arrival.
typedef struct bucket_rows {
    tarn_buffer refs; // lake_row_ref each
} bucket_rows;

struct lake_upserter {
    lake_writer_base base;
    tarn_batch **batches; // what the refs point into
    const tarn_chunk **chunks;
    size_t batch_count;
    size_t batch_capacity;
    size_t buffered_bytes;
    bucket_rows *buckets; // by route number
    size_t bucket_capacity;
    uint32_t *numbers; // per row of a chunk: its route
};

tarn_status lake_upserter_new(const lake_writer_base *base, lake_upserter **ret_upserter,
                              tarn_error *err) {
    lake_upserter *upserter = tarn_alloc_new(base->alloc, lake_upserter, 1);
    uint32_t *numbers = tarn_arena_new(base->arena, uint32_t, TARN_CHUNK_ROWS);
    if (upserter == NULL || numbers == NULL) {
        tarn_alloc_free(base->alloc, upserter, 1);
        return tarn_fail(err, TARN_NO_MEMORY, "a writer");
    }
    upserter->base = *base;
    upserter->numbers = numbers;
    // Routes ask how many buckets a partition has.
    tarn_status status = lake_sequences_refresh(base->table, err);
    if (status != TARN_OK) {
        lake_upserter_free(upserter);
        return status;
    }
    *ret_upserter = upserter;
    return TARN_OK;
}

static void forget_rows(lake_upserter *upserter) {
    for (size_t i = 0; i < upserter->batch_count; i++) tarn_batch_unref(upserter->batches[i]);
    upserter->batch_count = 0;
    upserter->buffered_bytes = 0;
    for (size_t i = 0; i < upserter->bucket_capacity; i++) {
        tarn_buffer_clear(&upserter->buckets[i].refs);
    }
}

void lake_upserter_free(lake_upserter *upserter) {
    if (upserter == NULL) return;
    forget_rows(upserter);
    for (size_t i = 0; i < upserter->bucket_capacity; i++) {
        tarn_buffer_free(&upserter->buckets[i].refs);
    }
    const tarn_alloc *alloc = upserter->base.alloc;
    tarn_alloc_free(alloc, upserter->batches, upserter->batch_capacity);
    tarn_alloc_free(alloc, upserter->chunks, upserter->batch_capacity);
    tarn_alloc_free(alloc, upserter->buckets, upserter->bucket_capacity);
    tarn_alloc_free(alloc, upserter, 1);
}

// ---- buffering ----

static tarn_status grow_batches(lake_upserter *upserter, tarn_error *err) {
    const tarn_alloc *alloc = upserter->base.alloc;
    size_t old = upserter->batch_capacity;
    size_t capacity = old == 0 ? 64 : old * 2;
    tarn_batch **batches = tarn_alloc_new(alloc, tarn_batch *, capacity);
    const tarn_chunk **chunks = tarn_alloc_new(alloc, const tarn_chunk *, capacity);
    if (batches == NULL || chunks == NULL) {
        tarn_alloc_free(alloc, batches, capacity);
        tarn_alloc_free(alloc, chunks, capacity);
        return tarn_fail(err, TARN_NO_MEMORY, "buffered rows");
    }
    if (old > 0) {
        memcpy(batches, upserter->batches, old * sizeof(void *));
        memcpy(chunks, upserter->chunks, old * sizeof(void *));
    }
    tarn_alloc_free(alloc, upserter->batches, old);
    tarn_alloc_free(alloc, upserter->chunks, old);
    upserter->batches = batches;
    upserter->chunks = chunks;
    upserter->batch_capacity = capacity;
    return TARN_OK;
}

static tarn_status grow_buckets(lake_upserter *upserter, tarn_error *err) {
    size_t needed = lake_router_count(upserter->base.router);
    size_t old = upserter->bucket_capacity;
    if (needed <= old) return TARN_OK;
    size_t capacity = old == 0 ? 16 : old;
    while (capacity < needed) capacity *= 2;
    bucket_rows *buckets = tarn_alloc_new(upserter->base.alloc, bucket_rows, capacity);
    if (buckets == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu buckets", capacity);
    if (old > 0) memcpy(buckets, upserter->buckets, old * sizeof *buckets);
    for (size_t i = old; i < capacity; i++) buckets[i].refs.alloc = upserter->base.alloc;
    tarn_alloc_free(upserter->base.alloc, upserter->buckets, old);
    upserter->buckets = buckets;
    upserter->bucket_capacity = capacity;
    return TARN_OK;
}

tarn_status lake_upserter_append(lake_upserter *upserter, const tarn_chunk *chunk,
                                 tarn_error *err) {
    if (upserter->batch_count == upserter->batch_capacity) TARN_TRY(grow_batches(upserter, err));
    tarn_batch *batch = NULL;
    TARN_TRY(tarn_batch_new(upserter->base.alloc, chunk, &batch, err));
    size_t number = upserter->batch_count++;
    upserter->batches[number] = batch;
    upserter->chunks[number] = &batch->chunk;
    upserter->buffered_bytes += batch->arena.reserved_bytes;

    const tarn_chunk *rows = &batch->chunk;
    bool is_single = false;
    TARN_TRY(lake_router_route(upserter->base.router, rows, upserter->numbers, &is_single, err));
    TARN_TRY(grow_buckets(upserter, err));
    for (size_t i = 0; i < rows->row_count; i++) {
        // The old image of an update says nothing that the new one does not.
        if (rows->kinds != NULL && rows->kinds[i] == TARN_ROW_UPDATE_BEFORE) continue;
        lake_row_ref ref = {(uint32_t)number, (uint32_t)i};
        if (!tarn_buffer_append(&upserter->buckets[upserter->numbers[i]].refs,
                                (tarn_slice){(const uint8_t *)&ref, sizeof ref})) {
            return tarn_fail(err, TARN_NO_MEMORY, "buffered rows");
        }
    }
    upserter->buffered_bytes += rows->row_count * sizeof(lake_row_ref);
    return upserter->buffered_bytes < upserter->base.limit_bytes
               ? TARN_OK
               : lake_upserter_flush(upserter, err);
}

// ---- one bucket's flush ----

typedef struct bucket_flush {
    lake_upserter *upserter;
    const lake_route *route;
    const lake_row_ref *refs; // in arrival order
    size_t count;
    tarn_arena *arena;
    lake_keys keys; // of the refs
    uint32_t *kept; // positions in `refs`: one per key, then sorted
    size_t kept_count;
    size_t next;            // of `kept`: what is not written yet
    int64_t first_sequence; // of the first ref
} bucket_flush;

static tarn_status encode_keys(bucket_flush *flush, tarn_error *err) {
    const lake_schema *schema = flush->upserter->base.table->schema;
    size_t width = schema->key.count;
    tarn_vector *columns = tarn_arena_new(flush->arena, tarn_vector, width);
    uint32_t *selection = tarn_arena_new(flush->arena, uint32_t, TARN_CHUNK_ROWS);
    if (columns == NULL || selection == NULL) return tarn_fail(err, TARN_NO_MEMORY, "keys");
    for (size_t begin = 0; begin < flush->count;) {
        // Refs of one batch stand together.
        uint32_t batch = flush->refs[begin].chunk;
        size_t end = begin;
        while (end < flush->count && flush->refs[end].chunk == batch) {
            selection[end - begin] = flush->refs[end].row;
            end++;
        }
        tarn_chunk rows = *flush->upserter->chunks[batch];
        rows.selection = selection;
        rows.selected_count = end - begin;
        for (size_t i = 0; i < width; i++) columns[i] = rows.columns[schema->key.indices[i]];
        TARN_TRY(lake_keys_append(&flush->keys, columns, width, &rows, err));
        begin = end;
    }
    return TARN_OK;
}

static tarn_value value_at(const bucket_flush *flush, uint32_t position, size_t column) {
    lake_row_ref ref = flush->refs[position];
    return tarn_vector_get(&flush->upserter->chunks[ref.chunk]->columns[column], ref.row);
}

// True when the later arrival `b` wins over `a`, which has the same key.
static bool is_newer(const bucket_flush *flush, uint32_t a, uint32_t b) {
    const lake_columns *sequence = &flush->upserter->base.table->schema->sequence;
    for (size_t i = 0; i < sequence->count; i++) {
        size_t column = sequence->indices[i];
        int order = tarn_value_compare(value_at(flush, b, column), value_at(flush, a, column));
        if (order != 0) return order > 0;
    }
    return true;
}

// One position per key, in the order in which the keys came.
static tarn_status keep_last(bucket_flush *flush, tarn_error *err) {
    size_t slot_count = 16;
    while (slot_count < flush->count * 2) slot_count *= 2;
    uint32_t *slots = tarn_arena_new(flush->arena, uint32_t, slot_count); // index in kept, plus one
    uint32_t *tags = tarn_arena_new(flush->arena, uint32_t, slot_count);  // high bits of the hash
    flush->kept = tarn_arena_new_raw(flush->arena, uint32_t, flush->count);
    if (slots == NULL || tags == NULL || flush->kept == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "%zu buffered rows", flush->count);
    }
    for (size_t i = 0; i < flush->count; i++) {
        tarn_slice key = lake_keys_at(&flush->keys, i);
        uint64_t hash = tarn_hash_bytes(key);
        uint32_t tag = (uint32_t)(hash >> 32);
        size_t slot = (size_t)hash & (slot_count - 1);
        while (slots[slot] != 0) {
            uint32_t other = flush->kept[slots[slot] - 1];
            bool is_same =
                tags[slot] == tag && tarn_slice_equal(lake_keys_at(&flush->keys, other), key);
            if (is_same) break;
            slot = (slot + 1) & (slot_count - 1);
        }
        if (slots[slot] == 0) {
            tags[slot] = tag;
            flush->kept[flush->kept_count] = (uint32_t)i;
            slots[slot] = (uint32_t)++flush->kept_count;
        } else if (is_newer(flush, flush->kept[slots[slot] - 1], (uint32_t)i)) {
            flush->kept[slots[slot] - 1] = (uint32_t)i;
        }
    }
    return TARN_OK;
}

// Sequence numbers and kinds of the next rows, and where the rows are.
static uint64_t fill_system_columns(const bucket_flush *flush, size_t count, lake_row_ref *refs,
                                    int64_t *sequences, int16_t *kinds) {
    uint64_t deletes = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t position = flush->kept[flush->next + i];
        refs[i] = flush->refs[position];
        const tarn_chunk *from = flush->upserter->chunks[refs[i].chunk];
        uint8_t kind = from->kinds == NULL ? TARN_ROW_INSERT : from->kinds[refs[i].row];
        sequences[i] = flush->first_sequence + position;
        kinds[i] = kind;
        deletes += tarn_row_kind_is_retract(kind);
    }
    return deletes;
}

// The next rows of the file, at most a chunk, as the file wants them.
static tarn_status make_chunk(const bucket_flush *flush, size_t count, tarn_arena *arena,
                              tarn_chunk *ret_chunk, uint64_t *ret_deletes, tarn_error *err) {
    const lake_schema *schema = flush->upserter->base.table->schema;
    size_t keys = schema->key.count;
    size_t own = schema->definition.schema.field_count;
    tarn_vector *columns = tarn_arena_new(arena, tarn_vector, keys + 2 + own);
    lake_row_ref *refs = tarn_arena_new_raw(arena, lake_row_ref, count);
    if (columns == NULL || refs == NULL) return tarn_fail(err, TARN_NO_MEMORY, "rows");
    tarn_vector *sequence = &columns[keys];
    tarn_vector *kind = &columns[keys + 1];
    TARN_TRY(tarn_vector_init_flat(sequence, tarn_type_of(TARN_TYPE_BIGINT), count, arena, err));
    TARN_TRY(tarn_vector_init_flat(kind, tarn_type_of(TARN_TYPE_SMALLINT), count, arena, err));
    *ret_deletes = fill_system_columns(flush, count, refs, sequence->data, kind->data);
    lake_rows rows = {flush->upserter->chunks, refs, count};
    for (size_t c = 0; c < own; c++) {
        TARN_TRY(lake_rows_gather(&rows, c, schema->fields[c].type.type, arena,
                                  &columns[keys + 2 + c], err));
    }
    for (size_t i = 0; i < keys; i++) columns[i] = columns[keys + 2 + schema->key.indices[i]];
    *ret_chunk =
        (tarn_chunk){.row_count = count, .column_count = keys + 2 + own, .columns = columns};
    return TARN_OK;
}

static tarn_status serialize_key(const bucket_flush *flush, uint32_t position, tarn_slice *ret_key,
                                 tarn_error *err) {
    const lake_schema *schema = flush->upserter->base.table->schema;
    tarn_value *values = tarn_arena_new(flush->arena, tarn_value, schema->key.count);
    if (values == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a key");
    for (size_t i = 0; i < schema->key.count; i++) {
        size_t column = schema->key.indices[i];
        values[i] = value_at(flush, position, column);
        values[i].type = lake_type_stored(&schema->fields[column].type);
    }
    tarn_buffer bytes = {0};
    tarn_status status = tarn_binrow_serialize(values, schema->key.count, &bytes, err);
    if (status == TARN_OK && !tarn_arena_copy(flush->arena, tarn_buffer_slice(&bytes), ret_key)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a key");
    }
    tarn_buffer_free(&bytes);
    return status;
}

// Writes the next rows until the file has its target size.
static tarn_status write_rows(bucket_flush *flush, lake_data_writer *writer, lake_file_facts *facts,
                              tarn_error *err) {
    uint64_t target = flush->upserter->base.table->schema->options.target_file_bytes;
    tarn_arena batch_arena;
    tarn_arena_init(&batch_arena, flush->upserter->base.alloc, SIZE_MAX);
    tarn_status status = TARN_OK;
    while (status == TARN_OK && flush->next < flush->kept_count &&
           lake_data_writer_bytes(writer) < target) {
        size_t count = flush->kept_count - flush->next;
        if (count > TARN_CHUNK_ROWS) count = TARN_CHUNK_ROWS;
        tarn_chunk rows;
        uint64_t deletes = 0;
        tarn_arena_clear(&batch_arena);
        status = make_chunk(flush, count, &batch_arena, &rows, &deletes, err);
        if (status == TARN_OK) status = lake_data_writer_append(writer, &rows, err);
        facts->delete_row_count += (int64_t)deletes;
        flush->next += count;
    }
    tarn_arena_reset(&batch_arena);
    return status;
}

static void note_sequences(const bucket_flush *flush, size_t begin, size_t end,
                           lake_file_facts *facts) {
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (size_t i = begin; i < end; i++) {
        if (flush->kept[i] < least) least = flush->kept[i];
        if (flush->kept[i] > most) most = flush->kept[i];
    }
    facts->min_sequence = flush->first_sequence + least;
    facts->max_sequence = flush->first_sequence + most;
}

static tarn_status write_file(bucket_flush *flush, tarn_error *err) {
    const lake_writer_base *base = &flush->upserter->base;
    lake_file_target target = {.partition = flush->route->partition,
                               .bucket = flush->route->bucket,
                               .total_buckets = flush->route->total_buckets};
    lake_file_facts facts = {0};
    lake_entry entry;
    lake_data_writer *writer = NULL;
    size_t first = flush->next;
    TARN_TRY(lake_data_writer_new(base->table, &target, &writer, err));
    tarn_status status = write_rows(flush, writer, &facts, err);
    if (status == TARN_OK) status = serialize_key(flush, flush->kept[first], &facts.min_key, err);
    if (status == TARN_OK) {
        status = serialize_key(flush, flush->kept[flush->next - 1], &facts.max_key, err);
    }
    if (status == TARN_OK) {
        note_sequences(flush, first, flush->next, &facts);
        status = lake_data_writer_finish(writer, &facts, base->arena, &entry, err);
    }
    if (status == TARN_OK) status = lake_entry_list_add(base->entries, &entry, err);
    lake_data_writer_free(writer);
    return status;
}

static tarn_status flush_rows(bucket_flush *flush, tarn_error *err) {
    const lake_writer_base *base = &flush->upserter->base;
    TARN_TRY(encode_keys(flush, err));
    TARN_TRY(keep_last(flush, err));
    TARN_TRY(lake_sort_keys(&flush->keys, flush->kept, flush->kept_count, flush->arena, err));
    TARN_TRY(lake_sequences_take(base->table, flush->route->partition, flush->route->bucket,
                                 flush->count, &flush->first_sequence, err));
    while (flush->next < flush->kept_count) TARN_TRY(write_file(flush, err));
    return TARN_OK;
}

static tarn_status flush_bucket(lake_upserter *upserter, size_t number, tarn_error *err) {
    const tarn_buffer *refs = &upserter->buckets[number].refs;
    if (refs->len == 0) return TARN_OK;
    tarn_arena flush_arena;
    tarn_arena_init(&flush_arena, upserter->base.alloc, SIZE_MAX);
    bucket_flush flush = {
        .upserter = upserter,
        .route = &upserter->base.router->routes[number],
        .refs = (const lake_row_ref *)(const void *)refs->data,
        .count = refs->len / sizeof(lake_row_ref),
        .arena = &flush_arena,
    };
    lake_keys_init(&flush.keys, upserter->base.alloc);
    tarn_status status = flush_rows(&flush, err);
    lake_keys_free(&flush.keys);
    tarn_arena_reset(&flush_arena);
    return status;
}

tarn_status lake_upserter_flush(lake_upserter *upserter, tarn_error *err) {
    if (upserter->batch_count == 0) return TARN_OK;
    TARN_TRY(lake_sequences_refresh(upserter->base.table, err));
    size_t count = lake_router_count(upserter->base.router);
    for (size_t i = 0; i < count; i++) TARN_TRY(flush_bucket(upserter, i, err));
    forget_rows(upserter);
    return TARN_OK;
}
