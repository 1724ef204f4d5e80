// The functions behind NOT, IS NULL and IN a list of literals.

#include "expr/loops.h"
#include "expr/program.h"
#include "expr/tree.h"

#include "base/hash.h"

static inline uint8_t not_bool(uint8_t a) {
    return a == 0;
}
EXPR_UNARY(not_rows, uint8_t, uint8_t, not_bool)
const tarn_function expr_not =
    EXPR_FUNCTION("not", "boolean", "boolean", "", EXPR_WITH_DENSE(not_rows));

static tarn_status is_null_rows(const expr_frame *frame) {
    const tarn_vector *arg = &frame->args[0];
    uint8_t *out = frame->result->data;
    if (arg->validity == NULL) {
        memset(out, 0, frame->row_count);
        return TARN_OK;
    }
    EXPR_FOR_ROWS(frame, row) out[row] = tarn_vector_is_null(arg, row);
    return TARN_OK;
}
const tarn_function expr_is_null =
    EXPR_FUNCTION("is_null", "any", "boolean", "", .kernel = is_null_rows,
                  .flags = EXPR_TAKES_NULLS | EXPR_ANY_LAYOUT);

// ---- IN ----

// The literals of a list. Integers of up to 64 bits and strings are in an open-addressing table;
// what is seldom listed (floats, wide numerics, intervals) is compared one by one.
typedef enum literal_set_kind {
    SET_OF_INTEGERS,
    SET_OF_STRINGS,
    SET_OF_OTHERS,
} literal_set_kind;

typedef struct literal_set {
    literal_set_kind kind;
    bool has_null;
    size_t mask;              // slots - 1
    const tarn_value *values; // by slot; others: the first `count`
    const uint8_t *used;      // by slot
    size_t count;
} literal_set;

static literal_set_kind set_kind(tarn_type type) {
    switch (tarn_type_physical(type)) {
    case TARN_PHYSICAL_I16:
    case TARN_PHYSICAL_I32:
    case TARN_PHYSICAL_I64: return SET_OF_INTEGERS;
    case TARN_PHYSICAL_STRING: return SET_OF_STRINGS;
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_I128:
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_INTERVAL: break;
    }
    return SET_OF_OTHERS;
}

static uint64_t hash_literal(literal_set_kind kind, const tarn_value *value) {
    return kind == SET_OF_INTEGERS ? tarn_hash_u64((uint64_t)value->i64)
                                   : tarn_hash_bytes(value->bytes);
}

static tarn_status prepare_in(const tarn_expr *const *args, size_t arg_count, tarn_arena *arena,
                              const void **ret_prepared, tarn_error *err) {
    literal_set *set = tarn_arena_new(arena, literal_set, 1);
    size_t slots = 8;
    while (slots < arg_count * 2) slots *= 2;
    tarn_value *values = tarn_arena_new(arena, tarn_value, slots);
    uint8_t *used = tarn_arena_new(arena, uint8_t, slots);
    if (set == NULL || values == NULL || used == NULL) return expr_no_memory(err);
    *set = (literal_set){
        .kind = set_kind(args[0]->type), .mask = slots - 1, .values = values, .used = used};
    for (size_t i = 1; i < arg_count; i++) {
        const tarn_value *value = &args[i]->literal;
        set->has_null |= value->is_null;
        if (value->is_null) continue;
        size_t slot = set->count;
        if (set->kind != SET_OF_OTHERS) {
            slot = (size_t)hash_literal(set->kind, value) & set->mask;
            while (used[slot] != 0) slot = (slot + 1) & set->mask;
            used[slot] = 1;
        }
        values[slot] = *value;
        set->count++;
    }
    *ret_prepared = set;
    return TARN_OK;
}

static bool has_integer(const literal_set *set, int64_t value) {
    size_t slot = (size_t)tarn_hash_u64((uint64_t)value) & set->mask;
    for (; set->used[slot] != 0; slot = (slot + 1) & set->mask) {
        if (set->values[slot].i64 == value) return true;
    }
    return false;
}

static bool has_string(const literal_set *set, tarn_slice value) {
    size_t slot = (size_t)tarn_hash_bytes(value) & set->mask;
    for (; set->used[slot] != 0; slot = (slot + 1) & set->mask) {
        if (tarn_slice_equal(set->values[slot].bytes, value)) return true;
    }
    return false;
}

static bool has_value(const literal_set *set, tarn_value value) {
    switch (set->kind) {
    case SET_OF_INTEGERS: return has_integer(set, value.i64);
    case SET_OF_STRINGS: return has_string(set, value.bytes);
    case SET_OF_OTHERS:
        for (size_t i = 0; i < set->count; i++) {
            if (tarn_value_compare(set->values[i], value) == 0) return true;
        }
    }
    return false;
}

// x IN (..., NULL) is never false: NULL might have been equal.
static tarn_status in_rows(const expr_frame *frame) {
    const literal_set *set = frame->prepared;
    const tarn_vector *arg = &frame->args[0];
    uint8_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        bool found = has_value(set, tarn_vector_get(arg, row * expr_stride(arg)));
        out[row] = found;
        if (!found && set->has_null) TARN_TRY(expr_set_null(frame, row));
    }
    return TARN_OK;
}
const tarn_function expr_in_literals =
    EXPR_FUNCTION("in", "any", "boolean", "", .kernel = in_rows, .prepare = prepare_in,
                  .flags = EXPR_MAKES_NULLS);
