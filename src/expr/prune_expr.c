// From a condition to the tests that bounds can decide.
//
// A comparison f(column) op literal, where f is a chain of order-preserving casts, is turned into
// one on the column itself. All such columns count in whole steps (integers, days, microseconds,
// units of a numeric's last digit), so the literal becomes a half-open range [from, to) of the
// values it equals: f(x) < v is x < from, f(x) <= v is x < to, and so on. Going through a cast
// inward maps both ends to the least x whose image is not below them.

#include <math.h>

#include "expr/tree.h"
#include "expr/types.h"

#define DAY_US ((tarn_int128)86400000000)

typedef struct pruner {
    tarn_arena *arena;
    tarn_prune_test *tests;
    size_t count;
    size_t capacity;
    tarn_error *err;
} pruner;

static tarn_status add_test(pruner *p, tarn_prune_test test) {
    if (p->count == p->capacity) {
        size_t grown = p->capacity == 0 ? 8 : p->capacity * 2;
        tarn_prune_test *tests = tarn_arena_new(p->arena, tarn_prune_test, grown);
        if (tests == NULL) return expr_no_memory(p->err);
        if (p->count > 0) memcpy(tests, p->tests, p->count * sizeof *tests);
        p->tests = tests;
        p->capacity = grown;
    }
    p->tests[p->count++] = test;
    return TARN_OK;
}

static tarn_status add_values(pruner *p, size_t column, tarn_prune_op op, const tarn_value *values,
                              size_t count) {
    tarn_value *copies = tarn_arena_new(p->arena, tarn_value, count + 1);
    if (copies == NULL) return expr_no_memory(p->err);
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(tarn_value_copy(values[i], p->arena, &copies[i], p->err));
    }
    return add_test(p, (tarn_prune_test){column, op, copies, count});
}

static tarn_status add_value(pruner *p, size_t column, tarn_prune_op op, tarn_value value) {
    return add_values(p, column, op, &value, 1);
}

// ---- whole steps ----

// Types whose values are counted: comparing them is comparing integers.
static bool is_counted(tarn_type type) {
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT:
    case TARN_TYPE_NUMERIC:
    case TARN_TYPE_DATE:
    case TARN_TYPE_TIME:
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: return true;
    case TARN_TYPE_NULL:
    case TARN_TYPE_BOOLEAN:
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE:
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA:
    case TARN_TYPE_INTERVAL: return false;
    }
    return false;
}

static tarn_int128 steps_of(const tarn_value *value) {
    return tarn_type_physical(value->type) == TARN_PHYSICAL_I128 ? value->i128 : value->i64;
}

// The values of `type` reach from -limit - 1 or so to limit.
static tarn_int128 step_limit(tarn_type type) {
    switch (tarn_type_physical(type)) {
    case TARN_PHYSICAL_I16: return INT16_MAX;
    case TARN_PHYSICAL_I32: return INT32_MAX;
    case TARN_PHYSICAL_I64:
        return type.id == TARN_TYPE_NUMERIC ? tarn_power_of_ten(type.precision) - 1 : INT64_MAX;
    case TARN_PHYSICAL_I128: return tarn_power_of_ten(type.precision) - 1;
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_STRING:
    case TARN_PHYSICAL_INTERVAL: break;
    }
    return 0;
}

static tarn_value value_of_steps(tarn_type type, tarn_int128 steps) {
    tarn_value value = {.type = type};
    if (tarn_type_physical(type) == TARN_PHYSICAL_I128) {
        value.i128 = steps;
    } else {
        value.i64 = (int64_t)steps;
    }
    return value;
}

static bool is_time_point(tarn_type_id id) {
    return id == TARN_TYPE_DATE || id == TARN_TYPE_TIMESTAMP || id == TARN_TYPE_TIMESTAMPTZ ||
           id == TARN_TYPE_TIMESTAMP_NS || id == TARN_TYPE_TIMESTAMPTZ_NS;
}

// The extremes of dates and timestamps stand for infinity, which casts keep: no arithmetic on them.
static bool is_infinite(const tarn_value *value) {
    if (!is_time_point(value->type.id)) return false;
    bool is_date = value->type.id == TARN_TYPE_DATE;
    return value->i64 >= (is_date ? INT32_MAX : INT64_MAX) ||
           value->i64 <= (is_date ? INT32_MIN : INT64_MIN);
}

static tarn_int128 divide_up(tarn_int128 dividend, tarn_int128 divisor) {
    tarn_int128 quotient = dividend / divisor;
    return quotient * divisor < dividend ? quotient + 1 : quotient;
}

typedef struct step_range {
    tarn_int128 from;
    tarn_int128 to;
} step_range;

static void scale_down(step_range *range, tarn_int128 factor) {
    range->from = divide_up(range->from, factor);
    range->to = divide_up(range->to, factor);
}

// Maps a range of the values of `to` to one of `from`. False: the cast does not keep the order, or
// not exactly.
static bool map_inward(tarn_type from, tarn_type to, step_range *range) {
    if (tarn_type_is_integer(from) && tarn_type_is_integer(to)) return true;
    if (to.id == TARN_TYPE_NUMERIC && (tarn_type_is_integer(from) || from.id == to.id)) {
        int from_scale = from.id == TARN_TYPE_NUMERIC ? from.scale : 0;
        if (to.scale < from_scale) return false; // rounds
        scale_down(range, tarn_power_of_ten(to.scale - from_scale));
        return true;
    }
    bool to_us = to.id == TARN_TYPE_TIMESTAMP || to.id == TARN_TYPE_TIMESTAMPTZ;
    bool from_us = from.id == TARN_TYPE_TIMESTAMP || from.id == TARN_TYPE_TIMESTAMPTZ;
    if (from.id == TARN_TYPE_DATE && to_us) {
        scale_down(range, DAY_US);
        return true;
    }
    if (from_us && to_us) return to.precision >= from.precision;
    if (from_us && to.id == TARN_TYPE_DATE) {
        range->from *= DAY_US;
        range->to *= DAY_US;
        return true;
    }
    bool to_ns = to.id == TARN_TYPE_TIMESTAMP_NS || to.id == TARN_TYPE_TIMESTAMPTZ_NS;
    if (from_us && to_ns) {
        scale_down(range, 1000);
        return true;
    }
    return false;
}

// A double among integers: only where every integer near it has a double of its own.
static bool range_of_double(tarn_type column_type, double value, step_range *ret_range) {
    if (!tarn_type_is_integer(column_type) || !(fabs(value) < 9007199254740992.0)) return false;
    ret_range->from = (tarn_int128)ceil(value);
    ret_range->to = (tarn_int128)floor(value) + 1;
    return true;
}

// date_trunc('day', x) and the like: all x of a unit have the image of its start.
static const tarn_expr *look_through_trunc(const tarn_expr *expr, tarn_int128 *ret_unit_us) {
    static const struct {
        tarn_slice name;
        int64_t us;
    } units[] = {
        {{(const uint8_t *)"second", 6}, 1000000},
        {{(const uint8_t *)"minute", 6}, 60000000},
        {{(const uint8_t *)"hour", 4}, 3600000000},
        {{(const uint8_t *)"day", 3}, 86400000000},
    };
    if (expr->kind != TARN_EXPR_CALL || expr->arg_count != 2) return NULL;
    if (!tarn_slice_equal(expr->name, TARN_LIT("date_trunc"))) return NULL;
    if (!expr_is_literal(expr->args[0]) || expr->args[0]->literal.is_null) return NULL;
    if (!is_time_point(expr->type.id)) return NULL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!tarn_slice_equal(expr->args[0]->literal.bytes, units[i].name)) continue;
        *ret_unit_us = units[i].us;
        return expr->args[1];
    }
    return NULL;
}

// Goes inward from `expr` to a column. False when what is on the way does not keep the order.
static bool range_of_column(const tarn_expr *expr, step_range *range,
                            const tarn_expr **ret_column) {
    for (;;) {
        if (expr->kind == TARN_EXPR_COLUMN) {
            *ret_column = expr;
            return true;
        }
        tarn_int128 unit = 0;
        const tarn_expr *inner = look_through_trunc(expr, &unit);
        if (inner != NULL) {
            range->from = divide_up(range->from, unit) * unit;
            range->to = divide_up(range->to, unit) * unit;
            expr = inner;
            continue;
        }
        if (expr->kind != TARN_EXPR_CAST) return false;
        if (!map_inward(expr->args[0]->type, expr->type, range)) return false;
        expr = expr->args[0];
    }
}

// ---- comparisons ----

static bool range_of_literal(const tarn_expr *expr, const tarn_value *value, step_range *ret_range,
                             const tarn_expr **ret_column) {
    bool is_double = value->type.id == TARN_TYPE_DOUBLE || value->type.id == TARN_TYPE_REAL;
    if (is_double) {
        if (expr->kind != TARN_EXPR_CAST || expr->type.id != value->type.id) return false;
        const tarn_expr *inner = expr->args[0];
        if (value->type.id == TARN_TYPE_REAL && inner->type.id != TARN_TYPE_SMALLINT) return false;
        if (!range_of_double(inner->type, value->f64, ret_range)) return false;
        return range_of_column(inner, ret_range, ret_column);
    }
    if (!is_counted(value->type) || is_infinite(value)) return false;
    tarn_type type = expr->type;
    if (type.id != value->type.id) return false;
    tarn_int128 steps = steps_of(value);
    *ret_range = (step_range){steps, steps + 1};
    if (type.id == TARN_TYPE_NUMERIC && type.scale != value->type.scale) {
        // The literal in units of the column's last digit, which may lie between two of them.
        if (type.scale > value->type.scale) {
            tarn_int128 factor = tarn_power_of_ten(type.scale - value->type.scale);
            if (__builtin_mul_overflow(steps, factor, &steps)) return false;
            *ret_range = (step_range){steps, steps + 1};
        } else {
            scale_down(ret_range, tarn_power_of_ten(value->type.scale - type.scale));
        }
    }
    return range_of_column(expr, ret_range, ret_column);
}

static tarn_status add_step_test(pruner *p, const tarn_expr *column, tarn_prune_op op,
                                 tarn_int128 steps) {
    tarn_int128 limit = step_limit(column->type);
    if (steps > limit || steps < -limit) return TARN_OK; // bounds would not decide it anyway
    return add_value(p, column->column, op, value_of_steps(column->type, steps));
}

static tarn_status add_range_test(pruner *p, const tarn_expr *column, tarn_prune_op op,
                                  step_range range) {
    bool is_one = range.to == range.from + 1;
    switch (op) {
    case TARN_PRUNE_EQ:
        if (range.from == range.to) return add_values(p, column->column, TARN_PRUNE_IN, NULL, 0);
        if (is_one) return add_step_test(p, column, op, range.from);
        TARN_TRY(add_step_test(p, column, TARN_PRUNE_GE, range.from));
        return add_step_test(p, column, TARN_PRUNE_LT, range.to);
    case TARN_PRUNE_NE: return is_one ? add_step_test(p, column, op, range.from) : TARN_OK;
    case TARN_PRUNE_LT:
    case TARN_PRUNE_GE: return add_step_test(p, column, op, range.from);
    case TARN_PRUNE_LE:
        if (is_one) return add_step_test(p, column, op, range.from);
        return add_step_test(p, column, TARN_PRUNE_LT, range.to);
    case TARN_PRUNE_GT:
        if (is_one) return add_step_test(p, column, op, range.from);
        return add_step_test(p, column, TARN_PRUNE_GE, range.to);
    case TARN_PRUNE_IN:
    case TARN_PRUNE_IS_NULL:
    case TARN_PRUNE_IS_NOT_NULL:
    case TARN_PRUNE_STARTS_WITH: break;
    }
    return TARN_OK;
}

// A column compared as it is: its values and the literal's have one order already.
static bool compares_directly(const tarn_expr **expr, const tarn_value *value,
                              tarn_value *ret_value) {
    const tarn_expr *inner = *expr;
    *ret_value = *value;
    bool widens = inner->kind == TARN_EXPR_CAST && inner->type.id == TARN_TYPE_DOUBLE &&
                  inner->args[0]->type.id == TARN_TYPE_REAL;
    bool relaxes = inner->kind == TARN_EXPR_CAST && inner->type.id == TARN_TYPE_TEXT &&
                   inner->type.length == 0 && inner->args[0]->type.id == TARN_TYPE_TEXT;
    if (widens || relaxes) inner = inner->args[0];
    if (inner->kind != TARN_EXPR_COLUMN || is_counted(inner->type)) return false;
    if (!widens && inner->type.id != value->type.id) return false;
    ret_value->type = inner->type;
    *expr = inner;
    return inner->type.id != TARN_TYPE_INTERVAL;
}

static tarn_status add_comparison(pruner *p, const tarn_expr *expr, tarn_prune_op op,
                                  const tarn_value *literal) {
    if (literal->is_null) return TARN_OK;
    tarn_value value;
    if (compares_directly(&expr, literal, &value)) return add_value(p, expr->column, op, value);
    step_range range;
    const tarn_expr *column;
    if (!range_of_literal(expr, literal, &range, &column)) return TARN_OK;
    return add_range_test(p, column, op, range);
}

static bool comparison_op(tarn_slice name, bool mirrored, tarn_prune_op *ret_op) {
    static const struct {
        const char *name;
        tarn_prune_op op;
        tarn_prune_op mirrored;
    } ops[] = {
        {"=", TARN_PRUNE_EQ, TARN_PRUNE_EQ}, {"<>", TARN_PRUNE_NE, TARN_PRUNE_NE},
        {"<", TARN_PRUNE_LT, TARN_PRUNE_GT}, {"<=", TARN_PRUNE_LE, TARN_PRUNE_GE},
        {">", TARN_PRUNE_GT, TARN_PRUNE_LT}, {">=", TARN_PRUNE_GE, TARN_PRUNE_LE},
    };
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (!tarn_slice_equal(name, tarn_slice_from_cstr(ops[i].name))) continue;
        *ret_op = mirrored ? ops[i].mirrored : ops[i].op;
        return true;
    }
    return false;
}

static tarn_prune_op negate(tarn_prune_op op) {
    switch (op) {
    case TARN_PRUNE_EQ: return TARN_PRUNE_NE;
    case TARN_PRUNE_NE: return TARN_PRUNE_EQ;
    case TARN_PRUNE_LT: return TARN_PRUNE_GE;
    case TARN_PRUNE_LE: return TARN_PRUNE_GT;
    case TARN_PRUNE_GT: return TARN_PRUNE_LE;
    case TARN_PRUNE_GE: return TARN_PRUNE_LT;
    case TARN_PRUNE_IN:
    case TARN_PRUNE_IS_NULL:
    case TARN_PRUNE_IS_NOT_NULL:
    case TARN_PRUNE_STARTS_WITH: break;
    }
    return op;
}

// What a LIKE pattern without its wildcards says: the text before the first of them.
static tarn_status add_like(pruner *p, const tarn_expr *expr, const tarn_value *pattern) {
    if (pattern->is_null || expr->kind != TARN_EXPR_COLUMN) return TARN_OK;
    uint8_t *prefix = tarn_arena_new_raw(p->arena, uint8_t, pattern->bytes.len + 1);
    if (prefix == NULL) return expr_no_memory(p->err);
    size_t len = 0;
    size_t i = 0;
    for (; i < pattern->bytes.len; i++) {
        uint8_t byte = pattern->bytes.data[i];
        if (byte == '%' || byte == '_') break;
        if (byte == '\\' && ++i == pattern->bytes.len) return TARN_OK; // an error when it runs
        prefix[len++] = pattern->bytes.data[i];
    }
    tarn_value value = {.type = expr->type, .bytes = {prefix, len}};
    bool is_whole = i == pattern->bytes.len;
    if (len == 0 && !is_whole) return TARN_OK;
    return add_value(p, expr->column, is_whole ? TARN_PRUNE_EQ : TARN_PRUNE_STARTS_WITH, value);
}

static tarn_status add_call(pruner *p, const tarn_expr *expr, bool negated) {
    if (expr->arg_count != 2) return TARN_OK;
    const tarn_expr *left = expr->args[0];
    const tarn_expr *right = expr->args[1];
    tarn_prune_op op;
    bool mirrored = expr_is_literal(left) && !expr_is_literal(right);
    if (comparison_op(expr->name, mirrored, &op)) {
        if (negated) op = negate(op);
        if (mirrored) return add_comparison(p, right, op, &left->literal);
        return expr_is_literal(right) ? add_comparison(p, left, op, &right->literal) : TARN_OK;
    }
    if (negated || !expr_is_literal(right) || right->literal.is_null) return TARN_OK;
    if (tarn_slice_equal(expr->name, TARN_LIT("~~"))) return add_like(p, left, &right->literal);
    bool starts = tarn_slice_equal(expr->name, TARN_LIT("starts_with"));
    if (starts && left->kind == TARN_EXPR_COLUMN) {
        return add_value(p, left->column, TARN_PRUNE_STARTS_WITH, right->literal);
    }
    return TARN_OK;
}

// Adds to `values` what `expr` = `literal` allows the column to be. False when that is more than
// single values of one column.
static bool collect_equal(const tarn_expr *expr, const tarn_value *literal,
                          const tarn_expr **column, tarn_value *values, size_t *count) {
    if (literal->is_null) return true; // never true
    const tarn_expr *its_column = expr;
    tarn_value value;
    if (!compares_directly(&its_column, literal, &value)) {
        step_range range;
        if (!range_of_literal(expr, literal, &range, &its_column)) return false;
        if (*column != NULL && (*column)->column != its_column->column) return false;
        *column = its_column;
        if (range.from == range.to) return true;
        tarn_int128 limit = step_limit(its_column->type);
        if (range.to != range.from + 1) return false;
        if (range.from > limit || range.from < -limit) return false;
        value = value_of_steps(its_column->type, range.from);
    }
    if (*column != NULL && (*column)->column != its_column->column) return false;
    *column = its_column;
    values[(*count)++] = value;
    return true;
}

static tarn_status add_in(pruner *p, const tarn_expr *expr) {
    tarn_value *values = tarn_arena_new(p->arena, tarn_value, expr->arg_count);
    if (values == NULL) return expr_no_memory(p->err);
    size_t count = 0;
    const tarn_expr *column = NULL;
    for (size_t i = 1; i < expr->arg_count; i++) {
        if (!expr_is_literal(expr->args[i])) return TARN_OK;
        const tarn_value *literal = &expr->args[i]->literal;
        if (!collect_equal(expr->args[0], literal, &column, values, &count)) return TARN_OK;
    }
    if (column == NULL) return TARN_OK;
    return add_values(p, column->column, TARN_PRUNE_IN, values, count);
}

// x = 1 OR x = 2 OR x IN (3, 4) is an IN.
static bool collect_or(const tarn_expr *expr, const tarn_expr **column, tarn_value *values,
                       size_t *count) {
    if (expr->kind == TARN_EXPR_OR) {
        for (size_t i = 0; i < expr->arg_count; i++) {
            if (!collect_or(expr->args[i], column, values, count)) return false;
        }
        return true;
    }
    if (expr->kind == TARN_EXPR_IN) {
        for (size_t i = 1; i < expr->arg_count; i++) {
            if (!expr_is_literal(expr->args[i])) return false;
            const tarn_value *literal = &expr->args[i]->literal;
            if (!collect_equal(expr->args[0], literal, column, values, count)) return false;
        }
        return true;
    }
    if (expr->kind != TARN_EXPR_CALL || !tarn_slice_equal(expr->name, TARN_LIT("="))) return false;
    const tarn_expr *left = expr->args[0];
    const tarn_expr *right = expr->args[1];
    if (expr_is_literal(right)) return collect_equal(left, &right->literal, column, values, count);
    if (expr_is_literal(left)) return collect_equal(right, &left->literal, column, values, count);
    return false;
}

static size_t count_alternatives(const tarn_expr *expr) {
    if (expr->kind == TARN_EXPR_IN) return expr->arg_count;
    if (expr->kind != TARN_EXPR_OR) return 1;
    size_t count = 0;
    for (size_t i = 0; i < expr->arg_count; i++) count += count_alternatives(expr->args[i]);
    return count;
}

static tarn_status add_or(pruner *p, const tarn_expr *expr) {
    tarn_value *values = tarn_arena_new(p->arena, tarn_value, count_alternatives(expr));
    if (values == NULL) return expr_no_memory(p->err);
    size_t count = 0;
    const tarn_expr *column = NULL;
    if (!collect_or(expr, &column, values, &count) || column == NULL) return TARN_OK;
    return add_values(p, column->column, TARN_PRUNE_IN, values, count);
}

static tarn_status add_condition(pruner *p, const tarn_expr *expr, bool negated) {
    switch (expr->kind) {
    case TARN_EXPR_AND:
        for (size_t i = 0; i < expr->arg_count && !negated; i++) {
            TARN_TRY(add_condition(p, expr->args[i], false));
        }
        return TARN_OK;
    case TARN_EXPR_OR:
        if (!negated) return add_or(p, expr);
        for (size_t i = 0; i < expr->arg_count; i++) { // NOT (a OR b) is NOT a AND NOT b
            TARN_TRY(add_condition(p, expr->args[i], true));
        }
        return TARN_OK;
    case TARN_EXPR_NOT: return add_condition(p, expr->args[0], !negated);
    case TARN_EXPR_IS_NULL: {
        const tarn_expr *arg = expr->args[0];
        while (arg->kind == TARN_EXPR_CAST) arg = arg->args[0]; // NULL stays NULL, and only that
        if (arg->kind != TARN_EXPR_COLUMN) return TARN_OK;
        return add_values(p, arg->column, negated ? TARN_PRUNE_IS_NOT_NULL : TARN_PRUNE_IS_NULL,
                          NULL, 0);
    }
    case TARN_EXPR_COLUMN: {
        tarn_value value = {.type = expr->type, .boolean = !negated};
        return add_value(p, expr->column, TARN_PRUNE_EQ, value);
    }
    case TARN_EXPR_CALL: return add_call(p, expr, negated);
    case TARN_EXPR_IN: return negated ? TARN_OK : add_in(p, expr);
    case TARN_EXPR_LITERAL:
    case TARN_EXPR_CAST:
    case TARN_EXPR_CASE:
    case TARN_EXPR_COALESCE: break;
    }
    return TARN_OK;
}

tarn_status tarn_prune_from_expr(tarn_arena *arena, const tarn_expr *condition,
                                 tarn_prune *ret_prune, tarn_error *err) {
    const tarn_expr *folded;
    TARN_TRY(tarn_expr_fold(arena, condition, &folded, err));
    pruner p = {.arena = arena, .err = err};
    TARN_TRY(add_condition(&p, folded, false));
    *ret_prune = (tarn_prune){p.tests, p.count};
    return TARN_OK;
}
