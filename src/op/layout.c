// layout.c - values in fixed-width rows: store, compare, gather.
#include <math.h>

#include "op/op_internal.h"

tarn_status op_layout_init(op_layout *layout, const tarn_type *types, size_t column_count,
                           size_t null_offset, tarn_arena *arena, tarn_error *err) {
    *layout = (op_layout){.column_count = column_count, .null_offset = null_offset};
    layout->types = tarn_arena_new(arena, tarn_type, column_count + 1);
    layout->physicals = tarn_arena_new(arena, tarn_physical, column_count + 1);
    layout->widths = tarn_arena_new(arena, size_t, column_count + 1);
    layout->offsets = tarn_arena_new(arena, size_t, column_count + 1);
    if (layout->types == NULL || layout->physicals == NULL || layout->widths == NULL ||
        layout->offsets == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "a row layout of %zu columns", column_count);
    }
    size_t offset = (null_offset + (column_count + 7) / 8 + 7) & ~(size_t)7;
    for (size_t c = 0; c < column_count; c++) {
        layout->types[c] = types[c];
        layout->physicals[c] = tarn_type_physical(types[c]);
        layout->widths[c] = tarn_type_width(types[c]);
        layout->offsets[c] = offset;
        offset += (layout->widths[c] + 7) & ~(size_t)7;
    }
    layout->end_offset = offset;
    return TARN_OK;
}

static bool is_long_string(const op_layout *layout, const uint8_t *row, size_t column,
                           tarn_string *ret_string) {
    if (layout->physicals[column] != TARN_PHYSICAL_STRING) return false;
    if (op_layout_is_null(layout, row, column)) return false;
    memcpy(ret_string, row + layout->offsets[column], sizeof *ret_string);
    return ret_string->len > TARN_STRING_INLINE_BYTES;
}

static void release_columns(const op_layout *layout, uint8_t *row, size_t column_count,
                            const tarn_alloc *alloc) {
    for (size_t c = 0; c < column_count; c++) {
        tarn_string string;
        if (!is_long_string(layout, row, c, &string)) continue;
        alloc->release(alloc->context, op_unconst(string.data), string.len);
    }
}

void op_layout_release(const op_layout *layout, uint8_t *row, const tarn_alloc *alloc) {
    release_columns(layout, row, layout->column_count, alloc);
}

static bool own_string(tarn_string *string, tarn_arena *strings, const tarn_alloc *alloc) {
    if (string->len <= TARN_STRING_INLINE_BYTES) return true;
    uint8_t *copy = strings != NULL ? tarn_arena_new_raw(strings, uint8_t, string->len)
                                    : alloc->acquire(alloc->context, string->len);
    if (copy == NULL) return false;
    memcpy(copy, string->data, string->len);
    string->data = copy;
    return true;
}

bool op_layout_store(const op_layout *layout, uint8_t *row, const tarn_vector *columns,
                     size_t index, tarn_arena *strings, const tarn_alloc *alloc) {
    memset(row + layout->null_offset, 0, (layout->column_count + 7) / 8);
    for (size_t c = 0; c < layout->column_count; c++) {
        uint8_t *slot = row + layout->offsets[c];
        if (tarn_vector_is_null(&columns[c], index)) {
            row[layout->null_offset + c / 8] |= (uint8_t)(1u << (c % 8));
            memset(slot, 0, layout->widths[c]);
            continue;
        }
        memcpy(slot, tarn_vector_at(&columns[c], index, layout->widths[c]), layout->widths[c]);
        if (layout->physicals[c] != TARN_PHYSICAL_STRING) continue;
        tarn_string string;
        memcpy(&string, slot, sizeof string);
        if (!own_string(&string, strings, alloc)) {
            if (strings == NULL) release_columns(layout, row, c, alloc);
            return false;
        }
        memcpy(slot, &string, sizeof string);
    }
    return true;
}

// ---- comparing ----

// An interval's length in microseconds, months of 30 days: what makes intervals equal.
static tarn_int128 interval_us(const uint8_t *bytes) {
    tarn_interval interval;
    memcpy(&interval, bytes, sizeof interval);
    tarn_int128 days = (tarn_int128)interval.months * 30 + interval.days;
    return days * 24 * 3600 * 1000000 + interval.us;
}

static TARN_ALWAYS_INLINE bool equal_values(const uint8_t *a, const uint8_t *b,
                                            tarn_physical physical) {
    switch (physical) {
    case TARN_PHYSICAL_BOOL: return *a == *b;
    case TARN_PHYSICAL_I16: return memcmp(a, b, 2) == 0;
    case TARN_PHYSICAL_I32: return memcmp(a, b, 4) == 0;
    case TARN_PHYSICAL_I64: return memcmp(a, b, 8) == 0;
    case TARN_PHYSICAL_I128: return memcmp(a, b, 16) == 0;
    case TARN_PHYSICAL_F32: {
        float x;
        float y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return x == y || (isnan(x) && isnan(y));
    }
    case TARN_PHYSICAL_F64: {
        double x;
        double y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return x == y || (isnan(x) && isnan(y));
    }
    case TARN_PHYSICAL_STRING: {
        tarn_string x;
        tarn_string y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return tarn_string_equal(&x, &y);
    }
    case TARN_PHYSICAL_INTERVAL: return interval_us(a) == interval_us(b);
    }
    return false;
}

bool op_layout_equal(const op_layout *layout, const uint8_t *row, const tarn_vector *columns,
                     size_t index) {
    for (size_t c = 0; c < layout->column_count; c++) {
        bool is_null = tarn_vector_is_null(&columns[c], index);
        if (is_null != op_layout_is_null(layout, row, c)) return false;
        if (is_null) continue;
        const uint8_t *value = tarn_vector_at(&columns[c], index, layout->widths[c]);
        if (!equal_values(row + layout->offsets[c], value, layout->physicals[c])) return false;
    }
    return true;
}

bool op_layout_equal_rows(const op_layout *layout, const uint8_t *a, const uint8_t *b) {
    for (size_t c = 0; c < layout->column_count; c++) {
        bool is_null = op_layout_is_null(layout, a, c);
        if (is_null != op_layout_is_null(layout, b, c)) return false;
        if (is_null) continue;
        size_t offset = layout->offsets[c];
        if (!equal_values(a + offset, b + offset, layout->physicals[c])) return false;
    }
    return true;
}

// One column of a match. `physical` is a constant at each call, so that the loop is specialised.
typedef struct match_column {
    const tarn_vector *vector;
    size_t offset;
    size_t width;
    size_t null_byte; // in the group
    uint8_t null_mask;
} match_column;

static TARN_ALWAYS_INLINE bool equal_at(const match_column *column, const uint8_t *group,
                                        size_t row, tarn_physical physical) {
    bool is_null = tarn_vector_is_null(column->vector, row);
    if (is_null != ((group[column->null_byte] & column->null_mask) != 0)) return false;
    if (is_null) return true;
    const uint8_t *value = tarn_vector_at(column->vector, row, column->width);
    // Short strings have equal bytes when they are equal: no call for the common case.
    if (physical == TARN_PHYSICAL_STRING && memcmp(group + column->offset, value, 16) == 0) {
        return true;
    }
    return equal_values(group + column->offset, value, physical);
}

static TARN_ALWAYS_INLINE void match_positions(match_column column, op_match *match,
                                               tarn_physical physical) {
    size_t kept = 0;
    size_t missing = match->missed_count;
    for (size_t i = 0; i < match->count; i++) {
        uint32_t position = match->list[i];
        bool equal = equal_at(&column, match->groups[position], match->rows[position], physical);
        // Both are written, one counts: no branch to mispredict.
        match->list[kept] = position;
        match->missed[missing] = position;
        kept += equal;
        missing += !equal;
    }
    match->missed_count = missing;
    match->count = kept;
}

void op_layout_match(const op_layout *layout, op_match *match) {
    for (size_t c = 0; c < layout->column_count && match->count > 0; c++) {
        match_column column = {.vector = &match->columns[c],
                               .offset = layout->offsets[c],
                               .width = layout->widths[c],
                               .null_byte = layout->null_offset + c / 8,
                               .null_mask = (uint8_t)(1u << (c % 8))};
        switch (layout->physicals[c]) {
        case TARN_PHYSICAL_I32: match_positions(column, match, TARN_PHYSICAL_I32); break;
        case TARN_PHYSICAL_I64: match_positions(column, match, TARN_PHYSICAL_I64); break;
        case TARN_PHYSICAL_STRING: match_positions(column, match, TARN_PHYSICAL_STRING); break;
        case TARN_PHYSICAL_BOOL:
        case TARN_PHYSICAL_I16:
        case TARN_PHYSICAL_I128:
        case TARN_PHYSICAL_F32:
        case TARN_PHYSICAL_F64:
        case TARN_PHYSICAL_INTERVAL: match_positions(column, match, layout->physicals[c]); break;
        }
    }
}

// ---- gathering ----

static TARN_ALWAYS_INLINE void copy_values(uint8_t *const *rows, size_t count, size_t offset,
                                           size_t width, uint8_t *restrict out) {
    for (size_t i = 0; i < count; i++) memcpy(out + i * width, rows[i] + offset, width);
}

tarn_status op_layout_gather(const op_layout *layout, size_t column, uint8_t *const *rows,
                             size_t count, tarn_arena *arena, tarn_vector *ret_vector,
                             tarn_error *err) {
    tarn_vector vector;
    TARN_TRY(tarn_vector_init_flat(&vector, layout->types[column], count, arena, err));
    size_t offset = layout->offsets[column];
    switch (layout->widths[column]) {
    case 4: copy_values(rows, count, offset, 4, vector.data); break;
    case 8: copy_values(rows, count, offset, 8, vector.data); break;
    case 16: copy_values(rows, count, offset, 16, vector.data); break;
    default: copy_values(rows, count, offset, layout->widths[column], vector.data); break;
    }
    for (size_t i = 0; i < count; i++) {
        if (!op_layout_is_null(layout, rows[i], column)) continue;
        if (vector.validity == NULL) {
            TARN_TRY(tarn_vector_make_validity(&vector, count, arena, err));
        }
        tarn_bitmap_unset(vector.validity, i);
    }
    *ret_vector = vector;
    return TARN_OK;
}
