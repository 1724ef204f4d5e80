#include "base/alloc.h"
#include "column/gather.h"

// A batch is measured first and then laid into one piece of memory, because batches are made on the
// hot path, once per chunk that crosses a thread.
#define PART_ALIGNMENT ((size_t)16)

typedef struct batch_source {
    const tarn_chunk *chunk;
    const uint32_t *rows; // the selection
    size_t count;
} batch_source;

static size_t part_bytes(size_t bytes) {
    return (bytes + PART_ALIGNMENT - 1) & ~(PART_ALIGNMENT - 1);
}

static void *take_part(uint8_t **next, size_t bytes) {
    void *part = *next;
    *next += part_bytes(bytes);
    return part;
}

static bool is_long(const tarn_string *string) {
    return string->len > TARN_STRING_INLINE_BYTES;
}

// How many bytes the strings of a flat column keep elsewhere.
static size_t measure_strings(const tarn_vector *column, const batch_source *source) {
    const tarn_string *strings = column->data;
    size_t bytes = 0;
    for (size_t i = 0; i < source->count; i++) {
        size_t row = source->rows == NULL ? i : source->rows[i];
        if (column->validity != NULL && !tarn_bitmap_get(column->validity, row)) continue;
        if (is_long(&strings[row])) bytes += strings[row].len;
    }
    return bytes;
}

static size_t measure_column(const tarn_vector *column, const batch_source *source) {
    bool is_string = tarn_type_is_string(column->type);
    size_t width = tarn_type_width(column->type);
    size_t bitmap_bytes =
        column->validity == NULL
            ? 0
            : part_bytes(TARN_BITMAP_WORDS(source->count) * sizeof *column->validity);
    switch (column->kind) {
    case TARN_VECTOR_FLAT:
        return bitmap_bytes + part_bytes(width * source->count) +
               (is_string ? part_bytes(measure_strings(column, source)) : 0);
    case TARN_VECTOR_CONSTANT: {
        bool has_bytes = is_string && !tarn_vector_is_null(column, 0) && is_long(column->data);
        return part_bytes(sizeof *column->validity) + part_bytes(width) +
               (has_bytes ? part_bytes(((const tarn_string *)column->data)->len) : 0);
    }
    case TARN_VECTOR_DICTIONARY:
        return bitmap_bytes + part_bytes(sizeof *column->indices * source->count);
    }
    return 0;
}

static size_t measure_batch(const batch_source *source) {
    const tarn_chunk *chunk = source->chunk;
    size_t bytes = part_bytes(sizeof *chunk->columns * chunk->column_count);
    for (size_t i = 0; i < chunk->column_count; i++) {
        bytes += measure_column(&chunk->columns[i], source);
    }
    if (chunk->kinds != NULL) bytes += part_bytes(sizeof *chunk->kinds * source->count);
    if (chunk->watermarks != NULL) bytes += part_bytes(sizeof *chunk->watermarks * source->count);
    return bytes;
}

// Moves the bytes of long strings into the batch. Null rows become the empty string: what they held
// may point anywhere.
static void copy_strings(tarn_string *strings, const uint64_t *validity, size_t count,
                         uint8_t **next) {
    uint8_t *bytes = *next;
    for (size_t i = 0; i < count; i++) {
        if (validity != NULL && !tarn_bitmap_get(validity, i)) {
            strings[i] = (tarn_string){.len = 0};
        } else if (is_long(&strings[i])) {
            memcpy(bytes, strings[i].data, strings[i].len);
            strings[i].data = bytes;
            bytes += strings[i].len;
        }
    }
    *next += part_bytes((size_t)(bytes - *next));
}

static void *copy_array(const void *array, size_t width, const batch_source *source,
                        uint8_t **next) {
    if (array == NULL) return NULL;
    void *copy = take_part(next, width * source->count);
    column_gather(copy, array, source->rows, source->count, width);
    return copy;
}

static uint64_t *copy_validity(const tarn_vector *column, const batch_source *source,
                               uint8_t **next) {
    if (column->validity == NULL) return NULL;
    uint64_t *validity =
        take_part(next, TARN_BITMAP_WORDS(source->count) * sizeof *column->validity);
    column_gather_bits(validity, column->validity, source->rows, source->count);
    return validity;
}

static tarn_vector copy_constant(const tarn_vector *column, uint8_t **next) {
    size_t width = tarn_type_width(column->type);
    bool is_null = tarn_vector_is_null(column, 0);
    tarn_vector copy = {.type = column->type, .kind = TARN_VECTOR_CONSTANT};
    uint64_t *validity = take_part(next, sizeof *validity);
    *validity = is_null ? 0 : 1;
    copy.validity = is_null ? validity : NULL;
    copy.data = take_part(next, width);
    memset(copy.data, 0, width);
    if (is_null) return copy;
    memcpy(copy.data, column->data, width);
    if (tarn_type_is_string(column->type)) copy_strings(copy.data, NULL, 1, next);
    return copy;
}

static tarn_vector copy_column(const tarn_vector *column, const batch_source *source,
                               uint8_t **next) {
    tarn_vector copy = {.type = column->type, .kind = column->kind};
    switch (column->kind) {
    case TARN_VECTOR_CONSTANT: return copy_constant(column, next);
    case TARN_VECTOR_FLAT:
        copy.validity = copy_validity(column, source, next);
        copy.data = copy_array(column->data, tarn_type_width(column->type), source, next);
        if (tarn_type_is_string(column->type)) {
            copy_strings(copy.data, copy.validity, source->count, next);
        }
        return copy;
    case TARN_VECTOR_DICTIONARY:
        copy.validity = copy_validity(column, source, next);
        copy.indices = copy_array(column->indices, sizeof *column->indices, source, next);
        copy.dictionary = column->dictionary;
        tarn_dictionary_ref(copy.dictionary);
        return copy;
    }
    return copy;
}

static tarn_chunk copy_chunk(const batch_source *source, uint8_t *memory, size_t memory_bytes) {
    const tarn_chunk *chunk = source->chunk;
    uint8_t *next = memory;
    tarn_vector *columns = take_part(&next, sizeof *columns * chunk->column_count);
    for (size_t i = 0; i < chunk->column_count; i++) {
        columns[i] = copy_column(&chunk->columns[i], source, &next);
    }
    tarn_chunk copy = {
        .row_count = source->count, .column_count = chunk->column_count, .columns = columns};
    copy.kinds = copy_array(chunk->kinds, sizeof *chunk->kinds, source, &next);
    copy.watermarks = copy_array(chunk->watermarks, sizeof *chunk->watermarks, source, &next);
    tarn_assert((size_t)(next - memory) == memory_bytes);
    return copy;
}

tarn_status tarn_batch_new(const tarn_alloc *alloc, const tarn_chunk *chunk, tarn_batch **ret_batch,
                           tarn_error *err) {
    const batch_source source = {chunk, chunk->selection, tarn_chunk_count(chunk)};
    size_t memory_bytes = measure_batch(&source);
    tarn_batch *batch = tarn_alloc_new(alloc, tarn_batch, 1);
    if (batch == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a batch of %zu rows", source.count);
    }
    tarn_arena_init(&batch->arena, alloc, SIZE_MAX);
    uint8_t *memory = tarn_arena_new_raw(&batch->arena, uint8_t, memory_bytes);
    if (memory == NULL) {
        tarn_alloc_free(alloc, batch, 1);
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a batch of %zu rows in %zu bytes",
                         source.count, memory_bytes);
    }
    batch->alloc = alloc;
    atomic_init(&batch->references, 1);
    batch->chunk = copy_chunk(&source, memory, memory_bytes);
    *ret_batch = batch;
    return TARN_OK;
}

void tarn_batch_ref(tarn_batch *batch) {
    // Relaxed: whoever holds a reference already sees the batch.
    uint32_t before = atomic_fetch_add_explicit(&batch->references, 1, memory_order_relaxed);
    tarn_assert(before > 0 && before < UINT32_MAX);
}

void tarn_batch_unref(tarn_batch *batch) {
    if (batch == NULL) return;
    // Release pairs with the acquire of whoever takes the count to zero: all reads of the rows
    // happen before they are freed.
    uint32_t before = atomic_fetch_sub_explicit(&batch->references, 1, memory_order_acq_rel);
    tarn_assert(before > 0);
    if (before > 1) return;
    for (size_t i = 0; i < batch->chunk.column_count; i++) {
        tarn_dictionary_unref(batch->chunk.columns[i].dictionary);
    }
    const tarn_alloc *alloc = batch->alloc;
    tarn_arena_reset(&batch->arena);
    tarn_alloc_free(alloc, batch, 1);
}
