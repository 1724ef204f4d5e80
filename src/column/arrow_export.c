// Chunks as Arrow arrays. Every array and every schema owns what it points to, child by child,
// because consumers may move a child out and keep it longer than its parent.
#include "base/alloc.h"
#include "column/arrow.h"
#include "column/block.h"

// What an exported structure's private_data points to.
typedef struct export_owner {
    tarn_arena arena; // everything the structure points to
} export_owner;

static export_owner *new_owner(void) {
    export_owner *owner = tarn_alloc_new(&tarn_alloc_libc, export_owner, 1);
    if (owner != NULL) tarn_arena_init(&owner->arena, &tarn_alloc_libc, SIZE_MAX);
    return owner;
}

static void free_owner(export_owner *owner) {
    tarn_arena_reset(&owner->arena);
    tarn_alloc_free(&tarn_alloc_libc, owner, 1);
}

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for an Arrow export");
}

// ---- schema ----

static void release_schema(struct ArrowSchema *schema) {
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct ArrowSchema *child = schema->children[i];
        if (child->release != NULL) child->release(child); // else it was moved out
    }
    schema->release = NULL;
    free_owner(schema->private_data);
}

static tarn_status export_schema(tarn_slice name, const char *format, int64_t flags,
                                 size_t child_count, struct ArrowSchema *ret_schema,
                                 tarn_error *err) {
    export_owner *owner = new_owner();
    if (owner == NULL) return fail_memory(err);
    tarn_slice name_copy;
    tarn_slice format_copy;
    struct ArrowSchema *children = tarn_arena_new(&owner->arena, struct ArrowSchema, child_count);
    struct ArrowSchema **list = tarn_arena_new(&owner->arena, struct ArrowSchema *, child_count);
    if (children == NULL || list == NULL || !tarn_arena_copy(&owner->arena, name, &name_copy) ||
        !tarn_arena_copy(&owner->arena, tarn_slice_from_cstr(format), &format_copy)) {
        free_owner(owner);
        return fail_memory(err);
    }
    for (size_t i = 0; i < child_count; i++) list[i] = &children[i];
    *ret_schema = (struct ArrowSchema){.format = (const char *)format_copy.data,
                                       .name = (const char *)name_copy.data,
                                       .flags = flags,
                                       .n_children = (int64_t)child_count,
                                       .children = list,
                                       .release = release_schema,
                                       .private_data = owner};
    return TARN_OK;
}

tarn_status tarn_arrow_export_schema(const tarn_schema *schema, struct ArrowSchema *ret_arrow,
                                     tarn_error *err) {
    struct ArrowSchema root;
    TARN_TRY(export_schema(TARN_LIT(""), "+s", 0, schema->field_count, &root, err));
    tarn_status status = TARN_OK;
    for (size_t i = 0; status == TARN_OK && i < schema->field_count; i++) {
        const tarn_field *field = &schema->fields[i];
        char format[ARROW_FORMAT_MAX];
        arrow_format_write(field->type, format);
        status = export_schema(field->name, format, field->not_null ? 0 : ARROW_FLAG_NULLABLE, 0,
                               root.children[i], err);
    }
    if (status != TARN_OK) {
        root.release(&root);
        return status;
    }
    *ret_arrow = root;
    return TARN_OK;
}

// ---- arrays ----

static void release_array(struct ArrowArray *array) {
    for (int64_t i = 0; i < array->n_children; i++) {
        struct ArrowArray *child = array->children[i];
        if (child->release != NULL) child->release(child); // else it was moved out
    }
    array->release = NULL;
    free_owner(array->private_data);
}

static tarn_status new_array(size_t length, size_t buffer_count, size_t child_count,
                             struct ArrowArray *ret_array, tarn_error *err) {
    export_owner *owner = new_owner();
    if (owner == NULL) return fail_memory(err);
    const void **buffers = tarn_arena_new(&owner->arena, const void *, buffer_count);
    struct ArrowArray *children = tarn_arena_new(&owner->arena, struct ArrowArray, child_count);
    struct ArrowArray **list = tarn_arena_new(&owner->arena, struct ArrowArray *, child_count);
    if (buffers == NULL || children == NULL || list == NULL) {
        free_owner(owner);
        return fail_memory(err);
    }
    for (size_t i = 0; i < child_count; i++) list[i] = &children[i];
    *ret_array = (struct ArrowArray){.length = (int64_t)length,
                                     .n_buffers = (int64_t)buffer_count,
                                     .n_children = (int64_t)child_count,
                                     .buffers = buffers,
                                     .children = list,
                                     .release = release_array,
                                     .private_data = owner};
    return TARN_OK;
}

// One column on its way out.
typedef struct export_column {
    const tarn_vector *vector;
    const uint32_t *rows;
    size_t count;
    tarn_slice name;
    tarn_arena *arena; // of the array
} export_column;

static tarn_status export_validity(const export_column *column, const void **ret_bits,
                                   int64_t *ret_null_count, tarn_error *err) {
    *ret_bits = NULL;
    *ret_null_count = 0;
    if (column->vector->validity == NULL) return TARN_OK;
    uint64_t *bits = tarn_arena_new(column->arena, uint64_t, TARN_BITMAP_WORDS(column->count));
    if (bits == NULL) return fail_memory(err);
    for (size_t i = 0; i < column->count; i++) {
        size_t row = column->rows == NULL ? i : column->rows[i];
        tarn_bitmap_assign(bits, i, !tarn_vector_is_null(column->vector, row));
    }
    size_t valid_count = tarn_bitmap_count(bits, column->count);
    *ret_null_count = (int64_t)(column->count - valid_count);
    if (*ret_null_count > 0) *ret_bits = bits;
    return TARN_OK;
}

// Writes a block of values as Arrow has them; null rows become zero.
static void export_block(tarn_type type, const column_block *block, uint8_t *out) {
    for (size_t i = 0; i < block->count; i++) {
        if (column_block_is_null(block, i)) continue; // the memory is zeroed
        if (type.id == TARN_TYPE_BOOLEAN) {
            bool is_set = ((const uint8_t *)block->values)[i] != 0;
            out[i / 8] |= (uint8_t)(is_set << i % 8);
        } else if (type.id == TARN_TYPE_NUMERIC && tarn_type_physical(type) == TARN_PHYSICAL_I64) {
            ((tarn_int128 *)(void *)out)[i] = ((const int64_t *)block->values)[i];
        } else {
            size_t width = tarn_type_width(type);
            memcpy(out + i * width, (const uint8_t *)block->values + i * width, width);
        }
    }
}

static bool export_intervals(const column_block *block, tarn_interval *out) {
    for (size_t i = 0; i < block->count; i++) {
        if (column_block_is_null(block, i)) continue;
        out[i] = ((const tarn_interval *)block->values)[i];
        if (__builtin_mul_overflow(out[i].us, (int64_t)1000, &out[i].us)) return false;
    }
    return true;
}

static size_t bits_per_value(tarn_type type) {
    if (type.id == TARN_TYPE_BOOLEAN) return 1;
    if (type.id == TARN_TYPE_NUMERIC) return 128;
    return tarn_type_width(type) * 8;
}

static tarn_status export_fixed(const export_column *column, const void **ret_data,
                                tarn_error *err) {
    tarn_type type = column->vector->type;
    size_t bits = bits_per_value(type);
    uint8_t *data = tarn_arena_new(column->arena, uint8_t, (column->count * bits + 7) / 8);
    if (data == NULL) return fail_memory(err);
    column_block block;
    for (size_t start = 0; start < column->count; start += COLUMN_BLOCK_ROWS) {
        uint8_t *out = data + start * bits / 8;
        column_block_load(&block, column->vector, column->rows, start, column->count);
        if (type.id != TARN_TYPE_INTERVAL) {
            export_block(type, &block, out);
        } else if (!export_intervals(&block, (tarn_interval *)(void *)out)) {
            return tarn_fail(err, TARN_UNSUPPORTED,
                             "column '" TARN_SLICE_FMT "': an interval is too long for Arrow",
                             TARN_SLICE_ARG(column->name));
        }
    }
    *ret_data = data;
    return TARN_OK;
}

static const tarn_string *string_at(const export_column *column, size_t i) {
    size_t row = column->rows == NULL ? i : column->rows[i];
    if (tarn_vector_is_null(column->vector, row)) return NULL;
    return tarn_vector_at(column->vector, row, sizeof(tarn_string));
}

static tarn_status export_strings(const export_column *column, const void **ret_offsets,
                                  const void **ret_bytes, tarn_error *err) {
    int32_t *offsets = tarn_arena_new(column->arena, int32_t, column->count + 1);
    if (offsets == NULL) return fail_memory(err);
    size_t total = 0;
    for (size_t i = 0; i < column->count; i++) {
        const tarn_string *string = string_at(column, i);
        total += string == NULL ? 0 : string->len;
        if (total > INT32_MAX) {
            return tarn_fail(err, TARN_UNSUPPORTED,
                             "column '" TARN_SLICE_FMT
                             "': a chunk of more than 2 GiB does not fit Arrow's utf8",
                             TARN_SLICE_ARG(column->name));
        }
        offsets[i + 1] = (int32_t)total;
    }
    uint8_t *bytes = tarn_arena_new_raw(column->arena, uint8_t, total);
    if (bytes == NULL) return fail_memory(err);
    for (size_t i = 0; i < column->count; i++) {
        const tarn_string *string = string_at(column, i);
        if (string == NULL || string->len == 0) continue;
        memcpy(bytes + offsets[i], tarn_string_slice(string).data, string->len);
    }
    *ret_offsets = offsets;
    *ret_bytes = bytes;
    return TARN_OK;
}

static size_t buffer_count_of(tarn_type type) {
    if (type.id == TARN_TYPE_NULL) return 0;
    return tarn_type_is_string(type) ? 3 : 2;
}

static tarn_status fill_column(export_column *column, struct ArrowArray *array, tarn_error *err) {
    tarn_type type = column->vector->type;
    if (type.id == TARN_TYPE_NULL) {
        array->null_count = array->length;
        return TARN_OK;
    }
    TARN_TRY(export_validity(column, &array->buffers[0], &array->null_count, err));
    if (tarn_type_is_string(type)) {
        return export_strings(column, &array->buffers[1], &array->buffers[2], err);
    }
    return export_fixed(column, &array->buffers[1], err);
}

static tarn_status export_column_at(const tarn_schema *schema, const tarn_chunk *chunk,
                                    size_t index, struct ArrowArray *ret_array, tarn_error *err) {
    export_column column = {.vector = &chunk->columns[index],
                            .rows = chunk->selection,
                            .count = tarn_chunk_count(chunk),
                            .name = schema->fields[index].name};
    tarn_assert(tarn_type_physical(column.vector->type) ==
                tarn_type_physical(schema->fields[index].type));
    struct ArrowArray array;
    TARN_TRY(new_array(column.count, buffer_count_of(column.vector->type), 0, &array, err));
    column.arena = &((export_owner *)array.private_data)->arena;
    tarn_status status = fill_column(&column, &array, err);
    if (status != TARN_OK) {
        array.release(&array);
        return status;
    }
    *ret_array = array;
    return TARN_OK;
}

tarn_status tarn_arrow_export_chunk(const tarn_schema *schema, const tarn_chunk *chunk,
                                    struct ArrowArray *ret_arrow, tarn_error *err) {
    tarn_assert(schema->field_count == chunk->column_count);
    struct ArrowArray root;
    TARN_TRY(new_array(tarn_chunk_count(chunk), 1, chunk->column_count, &root, err));
    tarn_status status = TARN_OK;
    for (size_t i = 0; status == TARN_OK && i < chunk->column_count; i++) {
        status = export_column_at(schema, chunk, i, root.children[i], err);
    }
    if (status != TARN_OK) {
        root.release(&root);
        return status;
    }
    *ret_arrow = root;
    return TARN_OK;
}
