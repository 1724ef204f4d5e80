// What bounds rule out. Bounds may be wider than the data, and those of floating-point columns say
// nothing about NaN, which writers of statistics leave out and which is greater than every number.

#include "expr/expr.h"

#include <math.h>

static bool is_floating(tarn_type type) {
    return type.id == TARN_TYPE_REAL || type.id == TARN_TYPE_DOUBLE;
}

// Bounds that cannot be compared with the test's value are unknown bounds.
static bool is_usable(const tarn_value *bound, const tarn_value *value) {
    if (bound->is_null || bound->type.id != value->type.id) return false;
    if (bound->type.id == TARN_TYPE_NUMERIC) {
        return tarn_type_physical(bound->type) == tarn_type_physical(value->type) &&
               bound->type.scale == value->type.scale;
    }
    return !is_floating(bound->type) || !isnan(bound->f64);
}

static bool has_prefix(const tarn_value *text, const tarn_value *prefix) {
    return tarn_slice_starts_with(text->bytes, prefix->bytes);
}

// Some row may have exactly this value.
static bool may_equal(const tarn_value *value, const tarn_bounds *bounds) {
    if (value->is_null) return false;
    if (is_floating(value->type) && isnan(value->f64)) return true;
    if (is_usable(&bounds->min, value) && tarn_value_compare(*value, bounds->min) < 0) return false;
    if (is_usable(&bounds->max, value) && tarn_value_compare(*value, bounds->max) > 0) return false;
    return true;
}

// Some row may have another value.
static bool may_differ(const tarn_value *value, const tarn_bounds *bounds) {
    if (is_floating(value->type)) return true; // a NaN may hide in any of them
    if (!is_usable(&bounds->min, value) || !is_usable(&bounds->max, value)) return true;
    return tarn_value_compare(bounds->min, *value) != 0 ||
           tarn_value_compare(bounds->max, *value) != 0;
}

static bool may_be_below(const tarn_value *value, const tarn_bounds *bounds, bool or_equal) {
    if (is_floating(value->type) && isnan(value->f64)) return true;
    if (!is_usable(&bounds->min, value)) return true;
    int order = tarn_value_compare(bounds->min, *value);
    return order < 0 || (or_equal && order == 0);
}

static bool may_be_above(const tarn_value *value, const tarn_bounds *bounds, bool or_equal) {
    if (is_floating(value->type)) return true; // NaN is above
    if (!is_usable(&bounds->max, value)) return true;
    int order = tarn_value_compare(bounds->max, *value);
    return order > 0 || (or_equal && order == 0);
}

static bool may_start_with(const tarn_value *prefix, const tarn_bounds *bounds) {
    if (is_usable(&bounds->max, prefix) && tarn_value_compare(bounds->max, *prefix) < 0) {
        return false;
    }
    if (!is_usable(&bounds->min, prefix)) return true;
    return tarn_value_compare(bounds->min, *prefix) <= 0 || has_prefix(&bounds->min, prefix);
}

static bool may_be_in(const tarn_prune_test *test, const tarn_bounds *bounds) {
    for (size_t i = 0; i < test->value_count; i++) {
        if (may_equal(&test->values[i], bounds)) return true;
    }
    return false;
}

bool tarn_prune_may_match(const tarn_prune_test *test, const tarn_bounds *bounds) {
    if (bounds->row_count == 0) return false;
    bool all_null = bounds->null_count >= 0 && bounds->null_count == bounds->row_count;
    if (test->op == TARN_PRUNE_IS_NULL) return bounds->null_count != 0;
    if (all_null) return false;
    if (test->op == TARN_PRUNE_IS_NOT_NULL) return true;
    if (test->op == TARN_PRUNE_IN) return may_be_in(test, bounds);

    const tarn_value *value = &test->values[0];
    if (value->is_null) return false; // no comparison with NULL is true
    switch (test->op) {
    case TARN_PRUNE_EQ: return may_equal(value, bounds);
    case TARN_PRUNE_NE: return may_differ(value, bounds);
    case TARN_PRUNE_LT: return may_be_below(value, bounds, false);
    case TARN_PRUNE_LE: return may_be_below(value, bounds, true);
    case TARN_PRUNE_GT: return may_be_above(value, bounds, false);
    case TARN_PRUNE_GE: return may_be_above(value, bounds, true);
    case TARN_PRUNE_STARTS_WITH: return may_start_with(value, bounds);
    case TARN_PRUNE_IN:
    case TARN_PRUNE_IS_NULL:
    case TARN_PRUNE_IS_NOT_NULL: break;
    }
    return true;
}
