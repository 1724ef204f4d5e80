#include "format/parquet/file.h"

#include "base/alloc.h"

// One read nearly always fetches the whole footer.
#define TAIL_BYTES TARN_TUNABLE((size_t)64 << 10, (size_t)32)

// ---- the footer ----

static tarn_status check_tail(const tarn_parquet_file *file, const uint8_t *tail,
                              size_t *ret_footer_len, tarn_error *err) {
    uint64_t size = tarn_object_size(file->object);
    tarn_slice magic = {tail + 4, PARQUET_MAGIC.len};
    if (tarn_slice_equal(magic, TARN_LIT("PARE"))) {
        return tarn_fail(err, TARN_UNSUPPORTED, "encrypted footer");
    }
    if (!tarn_slice_equal(magic, PARQUET_MAGIC)) {
        return tarn_fail(err, TARN_CORRUPT, "not a Parquet file: it does not end with PAR1");
    }
    size_t footer_len = tarn_load_u32(tail);
    if (footer_len > size - PARQUET_FOOTER_BYTES - PARQUET_MAGIC.len) {
        return tarn_fail(err, TARN_CORRUPT, "footer of %zu bytes in a file of %llu", footer_len,
                         (unsigned long long)size);
    }
    *ret_footer_len = footer_len;
    return TARN_OK;
}

// Bytes of the footer, in the file's arena.
static tarn_status read_footer(tarn_parquet_file *file, tarn_slice *ret_footer, tarn_error *err) {
    uint64_t size = tarn_object_size(file->object);
    if (size < PARQUET_MAGIC.len + PARQUET_FOOTER_BYTES) {
        return tarn_fail(err, TARN_CORRUPT, "not a Parquet file: it has only %llu bytes",
                         (unsigned long long)size);
    }
    size_t tail_len = size < TAIL_BYTES ? (size_t)size : TAIL_BYTES;
    uint8_t *tail = tarn_arena_new_raw(&file->arena, uint8_t, tail_len);
    if (tail == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for the footer");
    TARN_TRY(tarn_object_read(file->object, size - tail_len, tail, tail_len, err));
    size_t footer_len;
    TARN_TRY(check_tail(file, tail + tail_len - PARQUET_FOOTER_BYTES, &footer_len, err));
    file->footer_offset = size - PARQUET_FOOTER_BYTES - footer_len;
    if (footer_len <= tail_len - PARQUET_FOOTER_BYTES) {
        *ret_footer =
            (tarn_slice){tail + (tail_len - PARQUET_FOOTER_BYTES - footer_len), footer_len};
        return TARN_OK;
    }
    uint8_t *footer = tarn_arena_new_raw(&file->arena, uint8_t, footer_len);
    if (footer == NULL) return tarn_fail(err, TARN_NO_MEMORY, "footer of %zu bytes", footer_len);
    TARN_TRY(tarn_object_read(file->object, file->footer_offset, footer, footer_len, err));
    *ret_footer = (tarn_slice){footer, footer_len};
    return TARN_OK;
}

// ---- the schema ----

static bool is_group(const parquet_element *element) {
    return element->type == PARQUET_ABSENT;
}

// Passes the subtree below the element before *index; counts its leaves.
static tarn_status skip_subtree(const parquet_footer *footer, size_t *index, size_t *leaf_count,
                                tarn_error *err) {
    int64_t pending = footer->elements[*index - 1].child_count;
    while (pending > 0) {
        if (*index >= footer->element_count) {
            return tarn_fail(err, TARN_CORRUPT, "schema names more columns than it has");
        }
        const parquet_element *element = &footer->elements[(*index)++];
        if (element->child_count < 0) {
            return tarn_fail(err, TARN_CORRUPT, "schema group of %d columns", element->child_count);
        }
        pending--;
        if (is_group(element)) {
            pending += element->child_count;
        } else {
            (*leaf_count)++;
        }
    }
    return TARN_OK;
}

static tarn_status add_column(tarn_parquet_file *file, size_t column, size_t *index,
                              tarn_error *err) {
    const parquet_footer *footer = &file->footer;
    if (*index >= footer->element_count) {
        return tarn_fail(err, TARN_CORRUPT, "schema names more columns than it has");
    }
    const parquet_element *element = &footer->elements[(*index)++];
    parquet_column described;
    if (is_group(element)) {
        described = (parquet_column){.name = element->name,
                                     .type = tarn_type_of(TARN_TYPE_NULL),
                                     .refusal = "is nested",
                                     .is_optional = element->repetition != PARQUET_REQUIRED};
        TARN_TRY(skip_subtree(footer, index, &file->leaf_count, err));
    } else {
        described = parquet_column_describe(element, file->leaf_count++);
    }
    file->columns[column] = described;
    file->schema.fields[column] = (tarn_field){
        .name = element->name,
        .type = described.type,
        .not_null = element->repetition == PARQUET_REQUIRED,
        .id = element->field_id,
    };
    return TARN_OK;
}

static tarn_status build_schema(tarn_parquet_file *file, tarn_error *err) {
    const parquet_footer *footer = &file->footer;
    if (footer->element_count == 0) return tarn_fail(err, TARN_CORRUPT, "schema is empty");
    int32_t column_count = footer->elements[0].child_count;
    if (column_count < 0 || (size_t)column_count >= footer->element_count + (column_count == 0)) {
        return tarn_fail(err, TARN_CORRUPT, "schema of %d columns has %zu elements", column_count,
                         footer->element_count);
    }
    file->columns = tarn_arena_new(&file->arena, parquet_column, (size_t)column_count);
    file->schema.fields = tarn_arena_new(&file->arena, tarn_field, (size_t)column_count);
    if (file->columns == NULL || file->schema.fields == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "schema of %d columns", column_count);
    }
    file->schema.field_count = (size_t)column_count;
    size_t index = 1;
    for (size_t i = 0; i < (size_t)column_count; i++) TARN_TRY(add_column(file, i, &index, err));
    if (index != footer->element_count) {
        return tarn_fail(err, TARN_CORRUPT, "schema has %zu elements, its tree %zu",
                         footer->element_count, index);
    }
    return TARN_OK;
}

// ---- row groups ----

// Every page takes a header, and none holds more rows than 31 bits count.
static bool is_explained(const tarn_parquet_file *file, int64_t row_count) {
    enum { PAGE_BYTES_MIN = 8 };
    return (uint64_t)row_count / INT32_MAX <= tarn_object_size(file->object) / PAGE_BYTES_MIN;
}

static tarn_status check_row_groups(const tarn_parquet_file *file, tarn_error *err) {
    const parquet_footer *footer = &file->footer;
    uint64_t row_count = 0;
    for (size_t i = 0; i < footer->row_group_count; i++) {
        const parquet_row_group *group = &footer->row_groups[i];
        if (group->row_count < 0 || !is_explained(file, group->row_count)) {
            return tarn_fail(err, TARN_CORRUPT, "row group %zu claims %lld rows", i,
                             (long long)group->row_count);
        }
        if (group->chunk_count != file->leaf_count) {
            return tarn_fail(err, TARN_CORRUPT, "row group %zu has %zu chunks for %zu columns", i,
                             group->chunk_count, file->leaf_count);
        }
        row_count += (uint64_t)group->row_count; // each far below 2^62 / row_group_count
    }
    if (footer->row_count < 0 || (uint64_t)footer->row_count != row_count) {
        return tarn_fail(err, TARN_CORRUPT, "file claims %lld rows, its row groups %llu",
                         (long long)footer->row_count, (unsigned long long)row_count);
    }
    return TARN_OK;
}

// ---- opening ----

static tarn_status load_file(tarn_parquet_file *file, tarn_error *err) {
    tarn_slice footer;
    TARN_TRY(read_footer(file, &footer, err));
    TARN_TRY(parquet_footer_decode(footer, &file->arena, &file->footer, err));
    TARN_TRY(build_schema(file, err));
    return check_row_groups(file, err);
}

tarn_status tarn_parquet_open(const tarn_alloc *alloc, tarn_object *object,
                              tarn_parquet_file **ret_file, tarn_error *err) {
    tarn_parquet_file *file = tarn_alloc_new(alloc, tarn_parquet_file, 1);
    if (file == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory to open a file");
    file->alloc = alloc;
    file->object = object;
    tarn_arena_init(&file->arena, alloc, SIZE_MAX);
    tarn_status status = load_file(file, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err,
                          "file '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(tarn_object_name(object)));
        tarn_parquet_close(file);
        return status;
    }
    *ret_file = file;
    return TARN_OK;
}

void tarn_parquet_close(tarn_parquet_file *file) {
    if (file == NULL) return;
    tarn_arena_reset(&file->arena);
    tarn_alloc_free(file->alloc, file, 1);
}

const tarn_schema *tarn_parquet_schema(const tarn_parquet_file *file) {
    return &file->schema;
}

uint64_t tarn_parquet_row_count(const tarn_parquet_file *file) {
    return (uint64_t)file->footer.row_count;
}

size_t tarn_parquet_row_group_count(const tarn_parquet_file *file) {
    return file->footer.row_group_count;
}

uint64_t tarn_parquet_row_group_rows(const tarn_parquet_file *file, size_t row_group) {
    tarn_assert(row_group < file->footer.row_group_count);
    return (uint64_t)file->footer.row_groups[row_group].row_count;
}

// ---- statistics ----

static bool is_float(const parquet_column *column) {
    return column->type.id == TARN_TYPE_REAL || column->type.id == TARN_TYPE_DOUBLE;
}

// The deprecated fields were filled in signed order of whatever the bytes were.
static bool can_trust_old_fields(const parquet_column *column) {
    bool is_number = column->physical == PARQUET_BOOLEAN || column->physical == PARQUET_INT32 ||
                     column->physical == PARQUET_INT64 || column->physical == PARQUET_FLOAT ||
                     column->physical == PARQUET_DOUBLE;
    bool is_unsigned =
        column->logical.kind == PARQUET_LOGICAL_INTEGER && !column->logical.is_signed;
    return is_number && !is_unsigned;
}

static bool has_order(const parquet_column *column) {
    return column->type.id != TARN_TYPE_NULL && column->type.id != TARN_TYPE_INTERVAL &&
           column->physical != PARQUET_INT96;
}

// A bound as stored (PLAIN, strings without length) as a value; false when it is not one.
static bool decode_bound(const parquet_column *column, tarn_slice stored, tarn_value *ret_value) {
    parquet_conversion conversion;
    if (stored.data == NULL) return false;
    if (parquet_conversion_plan(column, column->type, &conversion, NULL) != TARN_OK) return false;
    if (column->physical != PARQUET_BYTE_ARRAY && stored.len != conversion.width) return false;
    if (column->physical == PARQUET_BOOLEAN && stored.data[0] > 1) return false;
    if (tarn_type_is_string(column->type)) {
        *ret_value = (tarn_value){.type = column->type, .bytes = stored};
        return true;
    }
    tarn_string string = tarn_string_view(stored);
    const uint8_t *from =
        column->physical == PARQUET_BYTE_ARRAY ? (const uint8_t *)&string : stored.data;
    tarn_uint128 memory = 0;
    if (parquet_convert(&conversion, from, 1, &memory, NULL) != TARN_OK) return false;
    tarn_vector vector = {.type = column->type, .kind = TARN_VECTOR_FLAT, .data = &memory};
    *ret_value = tarn_vector_get(&vector, 0);
    return !is_float(column) || ret_value->f64 == ret_value->f64; // NaN bounds nothing
}

static void decode_bounds(const parquet_column *column, const parquet_statistics *stored,
                          bool has_type_order, tarn_parquet_stats *stats) {
    tarn_slice min = stored->min;
    tarn_slice max = stored->max;
    bool is_old = !has_type_order || (min.data == NULL && max.data == NULL);
    if (is_old) {
        if (!can_trust_old_fields(column)) return;
        min = stored->old_min;
        max = stored->old_max;
    }
    tarn_value least;
    tarn_value greatest;
    bool has_min = decode_bound(column, min, &least);
    bool has_max = decode_bound(column, max, &greatest);
    if (has_min && has_max && tarn_value_compare(least, greatest) > 0) return; // contradictory
    // NaN is greater than every number to tarn, but never counts as a maximum to Parquet.
    if (is_float(column) && stored->nan_count != 0) has_max = false;
    if (has_min) stats->min = least;
    if (has_max) stats->max = greatest;
    bool may_be_cut = column->physical == PARQUET_BYTE_ARRAY || column->physical == PARQUET_FIXED;
    int least_flag = may_be_cut ? 1 : -1; // silence means "exact" only where nobody cuts
    stats->is_exact = stored->is_min_exact != 0 && stored->is_max_exact != 0 &&
                      stored->is_min_exact >= least_flag && stored->is_max_exact >= least_flag;
}

void tarn_parquet_row_group_stats(const tarn_parquet_file *file, size_t row_group, size_t column,
                                  tarn_parquet_stats *ret_stats) {
    tarn_assert(row_group < file->footer.row_group_count);
    tarn_assert(column < file->schema.field_count);
    const parquet_column *described = &file->columns[column];
    tarn_parquet_stats stats = {
        .min = tarn_value_null(described->type),
        .max = tarn_value_null(described->type),
        .null_count = -1,
    };
    if (has_order(described)) {
        const parquet_row_group *group = &file->footer.row_groups[row_group];
        const parquet_chunk_meta *chunk = &group->chunks[described->leaf];
        size_t leaf = described->leaf;
        bool has_type_order =
            leaf < file->footer.order_count && file->footer.has_type_order[leaf] != 0;
        if (chunk->type == (int32_t)described->physical) {
            decode_bounds(described, &chunk->statistics, has_type_order, &stats);
        }
        int64_t null_count = chunk->statistics.null_count;
        if (null_count >= 0 && null_count <= group->row_count) stats.null_count = null_count;
    }
    *ret_stats = stats;
}
