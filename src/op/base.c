// base.c - what every operator begins with, and small helpers.
#include "base/varint.h"
#include "op/op_internal.h"

tarn_status op_base_init(op_base *base, const tarn_alloc *alloc, tarn_slice prefix,
                         const char *kind, size_t number, tarn_error *err) {
    base->alloc = alloc;
    tarn_arena_init(&base->arena, alloc, SIZE_MAX);
    tarn_arena_init(&base->batch_arena, alloc, SIZE_MAX);
    bool ok = kind == NULL ? tarn_arena_copy(&base->arena, prefix, &base->name)
                           : tarn_arena_printf(&base->arena, &base->name, TARN_SLICE_FMT "%s-%zu",
                                               TARN_SLICE_ARG(prefix), kind, number);
    if (!ok) return tarn_fail(err, TARN_NO_MEMORY, "out of memory while building operators");
    return TARN_OK;
}

void op_base_free(op_base *base) {
    tarn_arena_reset(&base->batch_arena);
    tarn_arena_reset(&base->arena);
}

tarn_status op_no_memory_at(const op_base *base, tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "operator '" TARN_SLICE_FMT "': out of memory",
                     TARN_SLICE_ARG(base->name));
}

tarn_status op_blame(const op_base *base, tarn_status status, tarn_error *err) {
    if (status == TARN_NO_MEMORY && err != NULL && strstr(err->message, "operator '") == NULL) {
        tarn_error_prefix(err, "operator '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(base->name));
    }
    return status;
}

static tarn_status push_output(void *context, const tarn_chunk *chunk, tarn_error *err) {
    if (tarn_chunk_count(chunk) == 0) return TARN_OK;
    return tarn_output_emit(context, chunk, err);
}

op_push op_push_output(tarn_output *output) {
    return (op_push){.push = push_output, .context = output};
}

// ---- row kinds ----

static bool has_updates(const tarn_chunk *chunk) {
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        uint8_t kind = chunk->kinds[tarn_chunk_row(chunk, i)];
        if (kind == TARN_ROW_UPDATE_BEFORE || kind == TARN_ROW_UPDATE_AFTER) return true;
    }
    return false;
}

tarn_status op_kinds_after_filter(const tarn_chunk *input, tarn_chunk *output, tarn_arena *arena,
                                  tarn_error *err) {
    size_t input_count = tarn_chunk_count(input);
    size_t output_count = tarn_chunk_count(output);
    if (input->kinds == NULL || output_count == input_count || output_count == 0) return TARN_OK;
    if (!has_updates(output)) return TARN_OK;

    uint8_t *kinds = tarn_arena_new(arena, uint8_t, input->row_count);
    uint64_t *kept = tarn_arena_new(arena, uint64_t, TARN_BITMAP_WORDS(input->row_count));
    if (kinds == NULL || kept == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < output_count; i++) {
        size_t row = tarn_chunk_row(output, i);
        kinds[row] = op_kind_plain(input->kinds[row]);
        tarn_bitmap_set(kept, row);
    }
    for (size_t i = 0; i + 1 < input_count; i++) {
        size_t before = tarn_chunk_row(input, i);
        size_t after = tarn_chunk_row(input, i + 1);
        bool is_pair = input->kinds[before] == TARN_ROW_UPDATE_BEFORE &&
                       input->kinds[after] == TARN_ROW_UPDATE_AFTER;
        if (!is_pair || !tarn_bitmap_get(kept, before) || !tarn_bitmap_get(kept, after)) continue;
        kinds[before] = TARN_ROW_UPDATE_BEFORE;
        kinds[after] = TARN_ROW_UPDATE_AFTER;
    }
    output->kinds = kinds;
    return TARN_OK;
}

tarn_status op_chunk_gather(const tarn_chunk *chunk, const uint32_t *rows, size_t count,
                            tarn_arena *arena, tarn_chunk *ret_chunk, tarn_error *err) {
    tarn_chunk result = {.row_count = count, .column_count = chunk->column_count};
    result.columns = tarn_arena_new(arena, tarn_vector, chunk->column_count + 1);
    uint8_t *kinds = chunk->kinds == NULL ? NULL : tarn_arena_new_raw(arena, uint8_t, count);
    int64_t *watermarks =
        chunk->watermarks == NULL ? NULL : tarn_arena_new_raw(arena, int64_t, count);
    if (result.columns == NULL || (kinds == NULL && chunk->kinds != NULL) ||
        (watermarks == NULL && chunk->watermarks != NULL)) {
        return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    }
    for (size_t c = 0; c < chunk->column_count; c++) {
        TARN_TRY(
            tarn_vector_gather(&chunk->columns[c], rows, count, arena, &result.columns[c], err));
    }
    for (size_t i = 0; kinds != NULL && i < count; i++) {
        kinds[i] = op_kind_plain(chunk->kinds[rows[i]]);
    }
    for (size_t i = 0; watermarks != NULL && i < count; i++) {
        watermarks[i] = chunk->watermarks[rows[i]];
    }
    result.kinds = kinds;
    result.watermarks = watermarks;
    *ret_chunk = result;
    return TARN_OK;
}

// ---- lists ----

bool op_group_list_push(op_group_list *list, uint8_t *group, const tarn_alloc *alloc) {
    if (list->count == list->capacity) {
        size_t capacity =
            list->capacity == 0 ? TARN_TUNABLE((size_t)256, (size_t)2) : list->capacity * 2;
        uint8_t **groups = tarn_alloc_new(alloc, uint8_t *, capacity);
        if (groups == NULL) return false;
        if (list->count > 0) memcpy(groups, list->groups, list->count * sizeof *groups);
        tarn_alloc_free(alloc, list->groups, list->capacity);
        list->groups = groups;
        list->capacity = capacity;
    }
    list->groups[list->count++] = group;
    return true;
}

void op_group_list_free(op_group_list *list, const tarn_alloc *alloc) {
    tarn_alloc_free(alloc, list->groups, list->capacity);
    *list = (op_group_list){0};
}

bool op_pointers_insert(op_pointers *list, size_t at, void *item, const tarn_alloc *alloc) {
    if (list->count == list->capacity) {
        size_t capacity =
            list->capacity == 0 ? TARN_TUNABLE((size_t)16, (size_t)2) : list->capacity * 2;
        void **items = tarn_alloc_new(alloc, void *, capacity);
        if (items == NULL) return false;
        if (list->count > 0) memcpy(items, list->items, list->count * sizeof(void *));
        tarn_alloc_free(alloc, list->items, list->capacity);
        list->items = items;
        list->capacity = capacity;
    }
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof(void *));
    list->items[at] = item;
    list->count++;
    return true;
}

bool op_pointers_push(op_pointers *list, void *item, const tarn_alloc *alloc) {
    return op_pointers_insert(list, list->count, item, alloc);
}

void op_pointers_free(op_pointers *list, const tarn_alloc *alloc) {
    tarn_alloc_free(alloc, list->items, list->capacity);
    *list = (op_pointers){0};
}

// ---- state ----

tarn_status op_key_decode_row(tarn_slice *bytes, const tarn_type *types, size_t count,
                              tarn_arena *arena, tarn_vector *ret_columns, tarn_error *err) {
    for (size_t c = 0; c < count; c++) {
        tarn_value value;
        TARN_TRY(tarn_key_decode(bytes, types[c], (tarn_key_order){0}, arena, &value, err));
        TARN_TRY(tarn_vector_init_flat(&ret_columns[c], types[c], 1, arena, err));
        TARN_TRY(tarn_vector_make_validity(&ret_columns[c], 1, arena, err));
        tarn_vector_set(&ret_columns[c], 0, value);
    }
    return TARN_OK;
}

tarn_status op_corrupt_state_at(const op_base *base, const char *what, tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "operator '" TARN_SLICE_FMT "': stored state: %s",
                     TARN_SLICE_ARG(base->name), what);
}

bool op_put_int(tarn_buffer *out, int64_t value) {
    uint8_t bytes[TARN_VARINT_MAX_BYTES];
    size_t len = tarn_varint_encode(bytes, tarn_zigzag_encode(value));
    return tarn_buffer_append(out, (tarn_slice){bytes, len});
}

bool op_take_int(tarn_slice *bytes, int64_t *ret_value) {
    uint64_t raw = 0;
    if (!tarn_varint_decode(bytes, &raw)) return false;
    *ret_value = tarn_zigzag_decode(raw);
    return true;
}

// ---- sorting ----

void op_sort_item_set_key(op_sort_item *item, tarn_slice key) {
    uint8_t head[8] = {0};
    if (key.len > 0) memcpy(head, key.data, key.len < sizeof head ? key.len : sizeof head);
    item->prefix = tarn_load_u64_be(head);
    item->key = key;
}

int op_sort_item_compare(const op_sort_item *a, const op_sort_item *b) {
    if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
    return tarn_slice_compare(a->key, b->key);
}

static void merge_runs(const op_sort_item *source, op_sort_item *target, size_t begin,
                       size_t middle, size_t end) {
    size_t left = begin;
    size_t right = middle;
    for (size_t i = begin; i < end; i++) {
        bool take_left = right >= end || (left < middle &&
                                          op_sort_item_compare(&source[left], &source[right]) <= 0);
        target[i] = take_left ? source[left++] : source[right++];
    }
}

// Bottom-up merge sort: stable, and bounded in memory and depth.
void op_sort_items(op_sort_item *items, op_sort_item *scratch, size_t count) {
    op_sort_item *source = items;
    op_sort_item *target = scratch;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t begin = 0; begin < count; begin += 2 * width) {
            size_t middle = begin + width < count ? begin + width : count;
            size_t end = middle + width < count ? middle + width : count;
            merge_runs(source, target, begin, middle, end);
        }
        op_sort_item *swapped = source;
        source = target;
        target = swapped;
    }
    if (source != items && count > 0) memcpy(items, source, count * sizeof *items);
}
