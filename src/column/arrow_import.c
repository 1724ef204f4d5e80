// Arrow arrays as chunks. Fixed-width values are copied (Arrow's may be narrower, shifted by an
// offset or less aligned than ours); bytes of strings stay where they are. Nothing is released
// here: the arrays remain their owner's.
//
// The C data interface does not say how long a buffer is, so its producer is trusted in that; what
// can be checked (counts, lengths, offsets against each other, indices) is.
#include "column/arrow.h"
#include "column/gather.h"
#include "column/text.h"

tarn_status tarn_arrow_import_schema(const struct ArrowSchema *arrow, tarn_arena *arena,
                                     tarn_schema *ret_schema, tarn_error *err) {
    TARN_TRY(arrow_check_struct(arrow, err));
    tarn_schema schema = {.field_count = (size_t)arrow->n_children};
    schema.fields = tarn_arena_new(arena, tarn_field, schema.field_count);
    if (schema.fields == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a schema of %zu fields",
                         schema.field_count);
    }
    for (size_t i = 0; i < schema.field_count; i++) {
        const struct ArrowSchema *child = arrow->children[i];
        arrow_type type;
        TARN_TRY(arrow_read_field(child, i, &type, err));
        tarn_field *field = &schema.fields[i];
        field->type = type.type;
        field->not_null = (child->flags & ARROW_FLAG_NULLABLE) == 0;
        field->id = -1;
        if (!tarn_arena_copy(arena, tarn_slice_from_cstr(child->name), &field->name)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a schema");
        }
    }
    *ret_schema = schema;
    return TARN_OK;
}

// ---- one column ----

// Rows on their way in.
typedef struct import_column {
    const struct ArrowArray *array; // where the values are: the array, or its dictionary
    arrow_type type;
    tarn_slice name;
    size_t first;              // value i is at first + i, unless
    const uint64_t *positions; // it is at first + positions[i]
    size_t count;
    tarn_vector vector; // what comes out
    tarn_arena *arena;
} import_column;

static tarn_status fail_malformed(const import_column *column, const char *what, tarn_error *err) {
    return tarn_fail(err, TARN_INVALID, "column '" TARN_SLICE_FMT "': malformed Arrow array: %s",
                     TARN_SLICE_ARG(column->name), what);
}

static tarn_status fail_range(const import_column *column, size_t i, tarn_error *err) {
    tarn_buffer name = {0};
    tarn_status status = tarn_type_format(column->vector.type, &name, err);
    if (status == TARN_OK) {
        status = tarn_fail(err, TARN_INVALID,
                           "column '" TARN_SLICE_FMT "': the value in row %zu is out of range for "
                           "type " TARN_SLICE_FMT,
                           TARN_SLICE_ARG(column->name), i + 1, TARN_SLICE_ARG(name));
        tarn_error_locate(err, "22003", 0);
    }
    tarn_buffer_free(&name);
    return status;
}

static tarn_status fail_memory(const import_column *column, tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu rows of Arrow", column->count);
}

static size_t position_of(const import_column *column, size_t i) {
    return column->first + (column->positions == NULL ? i : (size_t)column->positions[i]);
}

static bool is_null(const import_column *column, size_t i) {
    return column->vector.validity != NULL && !tarn_bitmap_get(column->vector.validity, i);
}

static bool byte_bit(const void *bits, size_t index) {
    return (((const uint8_t *)bits)[index / 8] >> index % 8 & 1) != 0;
}

static int64_t buffer_count_of(arrow_layout layout) {
    if (layout == ARROW_NONE) return 0;
    return layout == ARROW_BYTES_32 || layout == ARROW_BYTES_64 ? 3 : 2;
}

// Whether the array has `count` values from `first` on (its own offset left aside) and the buffers
// of its layout.
static tarn_status check_array(const import_column *column, const struct ArrowArray *array,
                               arrow_layout layout, size_t first, tarn_error *err) {
    if (array == NULL || array->release == NULL) {
        return fail_malformed(column, "it is missing or has been released", err);
    }
    if (array->length < 0 || array->offset < 0) {
        return fail_malformed(column, "its length or offset is negative", err);
    }
    if (first > (size_t)array->length || column->count > (size_t)array->length - first) {
        return fail_malformed(column, "it has fewer rows than the struct", err);
    }
    if (layout == ARROW_NONE) return TARN_OK;
    if (array->n_buffers != buffer_count_of(layout) || array->buffers == NULL) {
        return fail_malformed(column, "it has not the buffers of its type", err);
    }
    if (array->length > 0 && array->buffers[1] == NULL) {
        return fail_malformed(column, "it has no values", err);
    }
    return TARN_OK;
}

// ---- validity ----

static tarn_status import_validity(import_column *column, const struct ArrowArray *array,
                                   size_t first, tarn_error *err) {
    bool has_none = array->null_count == 0 || array->buffers == NULL || array->buffers[0] == NULL;
    if (column->type.layout != ARROW_NONE && has_none) return TARN_OK;
    uint64_t *validity = tarn_arena_new(column->arena, uint64_t, TARN_BITMAP_WORDS(column->count));
    if (validity == NULL) return fail_memory(column, err);
    column->vector.validity = validity;
    if (has_none) return TARN_OK; // an array of the type null: all are
    for (size_t i = 0; i < column->count; i++) {
        if (byte_bit(array->buffers[0], first + i)) tarn_bitmap_set(validity, i);
    }
    return TARN_OK;
}

// ---- values ----

static size_t integer_width(arrow_layout layout) {
    switch (layout) {
    case ARROW_I8:
    case ARROW_U8: return 1;
    case ARROW_I16:
    case ARROW_U16: return 2;
    case ARROW_I32:
    case ARROW_U32: return 4;
    case ARROW_I64:
    case ARROW_U64: return 8;
    case ARROW_NONE:
    case ARROW_BITS:
    case ARROW_F32:
    case ARROW_F64:
    case ARROW_I128:
    case ARROW_BYTES_32:
    case ARROW_BYTES_64:
    case ARROW_BYTES_FIXED:
    case ARROW_INTERVAL: break;
    }
    tarn_assert(layout == ARROW_I64); // only integers are asked for
    return 0;
}

static bool is_signed(arrow_layout layout) {
    return layout == ARROW_I8 || layout == ARROW_I16 || layout == ARROW_I32 || layout == ARROW_I64;
}

// Arrow recommends alignment but does not promise it. An unsigned number of 64 bits that does not
// fit comes out negative.
static int64_t load_integer(arrow_layout layout, const void *values, size_t position) {
    size_t width = integer_width(layout);
    int64_t number = 0;
    memcpy(&number, (const uint8_t *)values + position * width, width); // little-endian
    unsigned spare_bits = 64 - 8 * (unsigned)width;
    if (is_signed(layout)) return (int64_t)((uint64_t)number << spare_bits) >> spare_bits;
    return number;
}

// From Arrow's unit to ours. Returns false when the value has no place in ours.
static bool convert_integer(const import_column *column, int64_t raw, int64_t *ret_value) {
    if (column->type.layout == ARROW_U64 && raw < 0) return false;
    if (__builtin_mul_overflow(raw, column->type.multiply_by, &raw)) return false;
    if (raw % column->type.divide_by != 0) return false;
    raw /= column->type.divide_by;
    switch (tarn_type_physical(column->vector.type)) {
    case TARN_PHYSICAL_I16: *ret_value = raw; return raw >= INT16_MIN && raw <= INT16_MAX;
    case TARN_PHYSICAL_I32: *ret_value = raw; return raw >= INT32_MIN && raw <= INT32_MAX;
    case TARN_PHYSICAL_I64: *ret_value = raw; return true;
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_I128:
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_STRING:
    case TARN_PHYSICAL_INTERVAL: break;
    }
    return false;
}

static tarn_status import_integers(import_column *column, tarn_error *err) {
    const void *values = column->array->buffers[1];
    for (size_t i = 0; i < column->count; i++) {
        if (is_null(column, i)) continue;
        int64_t raw = load_integer(column->type.layout, values, position_of(column, i));
        tarn_value value = {.type = column->vector.type};
        if (!convert_integer(column, raw, &value.i64)) return fail_range(column, i, err);
        tarn_vector_set(&column->vector, i, value);
    }
    return TARN_OK;
}

static bool is_within(tarn_int128 number, int precision) {
    tarn_int128 limit = tarn_power_of_ten(precision);
    return number > -limit && number < limit;
}

static tarn_status import_decimals(import_column *column, tarn_error *err) {
    tarn_type type = column->vector.type;
    for (size_t i = 0; i < column->count; i++) {
        if (is_null(column, i)) continue;
        tarn_int128 number; // Arrow promises 8 bytes of alignment, not 16
        memcpy(&number,
               (const uint8_t *)column->array->buffers[1] + position_of(column, i) * sizeof number,
               sizeof number);
        if (!is_within(number, type.precision)) return fail_range(column, i, err);
        tarn_value value = {.type = type};
        if (tarn_type_physical(type) == TARN_PHYSICAL_I64) {
            value.i64 = (int64_t)number;
        } else {
            value.i128 = number;
        }
        tarn_vector_set(&column->vector, i, value);
    }
    return TARN_OK;
}

static void import_bits(import_column *column) {
    uint8_t *target = column->vector.data;
    for (size_t i = 0; i < column->count; i++) {
        if (is_null(column, i)) continue;
        target[i] = byte_bit(column->array->buffers[1], position_of(column, i));
    }
}

static tarn_status import_intervals(import_column *column, tarn_error *err) {
    const uint8_t *values = column->array->buffers[1];
    tarn_interval *target = column->vector.data;
    for (size_t i = 0; i < column->count; i++) {
        if (is_null(column, i)) continue;
        // The same parts as ours, with nanoseconds for microseconds.
        memcpy(&target[i], values + position_of(column, i) * sizeof *target, sizeof *target);
        if (target[i].us % 1000 != 0) return fail_range(column, i, err);
        target[i].us /= 1000;
    }
    return TARN_OK;
}

// Values of one width that need no change.
static void import_plain(import_column *column) {
    size_t width = tarn_type_width(column->vector.type);
    const uint8_t *source = column->array->buffers[1];
    uint8_t *target = column->vector.data;
    if (column->positions == NULL) {
        column_gather(target, source + column->first * width, NULL, column->count, width);
        return;
    }
    for (size_t i = 0; i < column->count; i++) {
        if (is_null(column, i)) continue;
        memcpy(target + i * width, source + position_of(column, i) * width, width);
    }
}

// ---- strings ----

static bool find_bytes(const import_column *column, size_t position, tarn_slice *ret_bytes) {
    const struct ArrowArray *array = column->array;
    int64_t begin;
    int64_t end;
    const uint8_t *bytes = array->buffers[column->type.layout == ARROW_BYTES_FIXED ? 1 : 2];
    if (column->type.layout == ARROW_BYTES_FIXED) {
        begin = (int64_t)(position * column->type.fixed_bytes);
        end = begin + (int64_t)column->type.fixed_bytes;
    } else {
        arrow_layout offsets = column->type.layout == ARROW_BYTES_32 ? ARROW_I32 : ARROW_I64;
        begin = load_integer(offsets, array->buffers[1], position);
        end = load_integer(offsets, array->buffers[1], position + 1);
    }
    if (begin < 0 || end < begin || end - begin > UINT32_MAX) return false;
    if (bytes == NULL && end > begin) return false;
    *ret_bytes = (tarn_slice){bytes == NULL ? NULL : bytes + begin, (size_t)(end - begin)};
    return true;
}

static tarn_status check_length(const import_column *column, tarn_slice bytes, tarn_error *err) {
    tarn_type type = column->vector.type;
    if (type.length == 0 || bytes.len <= type.length) return TARN_OK;
    size_t length = bytes.len;
    if (type.id == TARN_TYPE_TEXT) TARN_TRY(column_count_characters(bytes, &length, err));
    if (length <= type.length) return TARN_OK;
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "column '" TARN_SLICE_FMT "': value too long for type %s(%u)",
                  TARN_SLICE_ARG(column->name),
                  type.id == TARN_TYPE_TEXT ? "character varying" : "bytea", type.length);
    tarn_error_locate(err, "22001", 0);
    return status;
}

static tarn_status import_strings(import_column *column, tarn_error *err) {
    tarn_string *target = column->vector.data;
    for (size_t i = 0; i < column->count; i++) {
        tarn_slice bytes = {0};
        if (!is_null(column, i)) {
            if (!find_bytes(column, position_of(column, i), &bytes)) {
                return fail_malformed(column, "its offsets do not ascend", err);
            }
            TARN_TRY(check_length(column, bytes, err));
        }
        target[i] = tarn_string_view(bytes);
    }
    return TARN_OK;
}

// ---- putting it together ----

static bool is_plain(const import_column *column) {
    arrow_layout layout = column->type.layout;
    if (layout == ARROW_F32 || layout == ARROW_F64) return true;
    if (column->type.multiply_by != 1 || column->type.divide_by != 1) return false;
    switch (tarn_type_physical(column->vector.type)) {
    case TARN_PHYSICAL_I16: return layout == ARROW_I16;
    case TARN_PHYSICAL_I32: return layout == ARROW_I32;
    case TARN_PHYSICAL_I64: return layout == ARROW_I64;
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_I128:
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_STRING:
    case TARN_PHYSICAL_INTERVAL: break;
    }
    return false;
}

static tarn_status import_values(import_column *column, tarn_error *err) {
    if (is_plain(column)) {
        import_plain(column);
        return TARN_OK;
    }
    switch (column->type.layout) {
    case ARROW_NONE: return TARN_OK;
    case ARROW_BITS: import_bits(column); return TARN_OK;
    case ARROW_I8:
    case ARROW_U8:
    case ARROW_I16:
    case ARROW_U16:
    case ARROW_I32:
    case ARROW_U32:
    case ARROW_I64:
    case ARROW_U64: return import_integers(column, err);
    case ARROW_I128: return import_decimals(column, err);
    case ARROW_BYTES_32:
    case ARROW_BYTES_64:
    case ARROW_BYTES_FIXED: return import_strings(column, err);
    case ARROW_INTERVAL: return import_intervals(column, err);
    case ARROW_F32:
    case ARROW_F64: break; // plain
    }
    return TARN_OK;
}

// Where in the dictionary each row's value is. Rows whose value is null there become null.
static tarn_status resolve_indices(import_column *column, const struct ArrowSchema *field,
                                   const struct ArrowArray *indices, size_t first,
                                   tarn_error *err) {
    arrow_type index_type;
    const struct ArrowArray *dictionary = indices->dictionary;
    if (!arrow_format_read(field->format, &index_type) || dictionary == NULL) {
        return fail_malformed(column, "it has no dictionary", err);
    }
    uint64_t *positions = tarn_arena_new(column->arena, uint64_t, column->count);
    if (positions == NULL) return fail_memory(column, err);
    TARN_TRY(tarn_vector_make_validity(&column->vector, column->count, column->arena, err));
    bool has_nulls = dictionary->null_count != 0 && dictionary->n_buffers > 0 &&
                     dictionary->buffers != NULL && dictionary->buffers[0] != NULL;
    for (size_t i = 0; i < column->count; i++) {
        if (is_null(column, i)) continue;
        int64_t index = load_integer(index_type.layout, indices->buffers[1], first + i);
        if (index < 0 || index >= dictionary->length) {
            return fail_malformed(column, "an index is beyond its dictionary", err);
        }
        positions[i] = (uint64_t)index;
        size_t position = (size_t)dictionary->offset + (size_t)index;
        if (has_nulls && !byte_bit(dictionary->buffers[0], position)) {
            tarn_bitmap_unset(column->vector.validity, i);
        }
    }
    column->positions = positions;
    return TARN_OK;
}

static tarn_status import_dictionary(import_column *column, const struct ArrowSchema *field,
                                     const struct ArrowArray *array, size_t first,
                                     tarn_error *err) {
    arrow_type index_type;
    if (!arrow_format_read(field->format, &index_type)) {
        return fail_malformed(column, "its index has no type", err);
    }
    TARN_TRY(check_array(column, array, index_type.layout, first, err));
    size_t row = (size_t)array->offset + first;
    TARN_TRY(import_validity(column, array, row, err));
    size_t count = column->count;
    column->count = 0; // the dictionary may be of any length
    tarn_status status = check_array(column, array->dictionary, column->type.layout, 0, err);
    column->count = count;
    if (status != TARN_OK) return status;
    TARN_TRY(resolve_indices(column, field, array, row, err));
    column->array = array->dictionary;
    column->first = (size_t)array->dictionary->offset;
    return import_values(column, err);
}

// A column of the struct from row `first` on; the struct's own offset is already in `first`.
static tarn_status import_field(import_column *column, const struct ArrowSchema *field,
                                const struct ArrowArray *array, size_t first, tarn_error *err) {
    TARN_TRY(tarn_vector_init_flat(&column->vector, column->vector.type, column->count,
                                   column->arena, err));
    if (field->dictionary != NULL) return import_dictionary(column, field, array, first, err);
    TARN_TRY(check_array(column, array, column->type.layout, first, err));
    column->array = array;
    column->first = (size_t)array->offset + first;
    TARN_TRY(import_validity(column, array, column->first, err));
    return import_values(column, err);
}

// Columns take what fits them without loss; everything else needs a cast, which is not done here.
static bool is_accepted(tarn_type arrow, tarn_type type) {
    if (arrow.id == TARN_TYPE_NULL) return true; // nothing but nulls
    if (arrow.id != type.id) return false;
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_NUMERIC: return arrow.scale == type.scale && arrow.precision <= type.precision;
    case TARN_TYPE_TIME:
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: return arrow.precision <= type.precision;
    case TARN_TYPE_NULL:
    case TARN_TYPE_BOOLEAN:
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT:
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE:
    case TARN_TYPE_DATE:
    case TARN_TYPE_TEXT: // lengths are checked value by value
    case TARN_TYPE_BYTEA:
    case TARN_TYPE_INTERVAL: return true;
    }
    return false;
}

static tarn_status fail_type(const tarn_field *field, const struct ArrowSchema *arrow,
                             tarn_error *err) {
    tarn_buffer name = {0};
    tarn_status status = tarn_type_format(field->type, &name, err);
    if (status == TARN_OK) {
        status = tarn_fail(err, TARN_INVALID,
                           "column '" TARN_SLICE_FMT "' has type " TARN_SLICE_FMT
                           ", its Arrow array \"%s\"",
                           TARN_SLICE_ARG(field->name), TARN_SLICE_ARG(name),
                           arrow->dictionary == NULL ? arrow->format : arrow->dictionary->format);
        tarn_error_locate(err, "42804", 0);
    }
    tarn_buffer_free(&name);
    return status;
}

static tarn_status check_root(const struct ArrowArray *arrow, const tarn_schema *schema,
                              size_t offset, size_t count, tarn_error *err) {
    if (arrow->release == NULL) {
        return tarn_fail(err, TARN_INVALID, "the Arrow array has been released");
    }
    if (arrow->length < 0 || arrow->offset < 0) {
        return tarn_fail(err, TARN_INVALID,
                         "malformed Arrow array: its length or offset is negative");
    }
    if (arrow->n_children != (int64_t)schema->field_count ||
        (arrow->n_children > 0 && arrow->children == NULL)) {
        return tarn_fail(err, TARN_INVALID, "the Arrow array has %lld columns, its schema %zu",
                         (long long)arrow->n_children, schema->field_count);
    }
    tarn_assert(count <= TARN_CHUNK_ROWS);
    if (offset > (size_t)arrow->length || count > (size_t)arrow->length - offset) {
        return tarn_fail(err, TARN_INVALID, "rows %zu to %zu are not among the %lld of the array",
                         offset, offset + count, (long long)arrow->length);
    }
    bool may_have_nulls = arrow->null_count != 0 && arrow->n_buffers > 0 &&
                          arrow->buffers != NULL && arrow->buffers[0] != NULL;
    for (size_t i = 0; may_have_nulls && i < count; i++) {
        if (!byte_bit(arrow->buffers[0], (size_t)arrow->offset + offset + i)) {
            return tarn_fail(err, TARN_UNSUPPORTED, "row %zu of the Arrow array is null as a whole",
                             offset + i + 1);
        }
    }
    return TARN_OK;
}

// NOLINTNEXTLINE(readability-function-size): what is read, as what, which rows, into what
tarn_status tarn_arrow_import_chunk(const struct ArrowSchema *arrow_schema,
                                    const struct ArrowArray *arrow, const tarn_schema *schema,
                                    size_t offset, size_t count, tarn_arena *arena,
                                    tarn_chunk *ret_chunk, tarn_error *err) {
    TARN_TRY(arrow_check_struct(arrow_schema, err));
    if (arrow_schema->n_children != (int64_t)schema->field_count) {
        return tarn_fail(err, TARN_INVALID, "the Arrow schema has %lld columns, the table %zu",
                         (long long)arrow_schema->n_children, schema->field_count);
    }
    TARN_TRY(check_root(arrow, schema, offset, count, err));
    tarn_vector *columns = tarn_arena_new(arena, tarn_vector, schema->field_count);
    if (columns == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for an Arrow chunk");
    for (size_t i = 0; i < schema->field_count; i++) {
        const tarn_field *field = &schema->fields[i];
        const struct ArrowSchema *arrow_field = arrow_schema->children[i];
        import_column column = {.name = field->name, .count = count, .arena = arena};
        TARN_TRY(arrow_read_field(arrow_field, i, &column.type, err));
        if (!is_accepted(column.type.type, field->type)) return fail_type(field, arrow_field, err);
        column.vector.type = field->type;
        TARN_TRY(import_field(&column, arrow_field, arrow->children[i],
                              (size_t)arrow->offset + offset, err));
        columns[i] = column.vector;
    }
    *ret_chunk =
        (tarn_chunk){.row_count = count, .column_count = schema->field_count, .columns = columns};
    return TARN_OK;
}
