// Which aggregate a call means, and what it gives.

#include "expr/aggregates.h"
#include "expr/function.h"
#include "expr/types.h"

#define DEVIATION(name, kind, text)                                                        \
    {name, "smallint", "numeric", text, kind}, {name, "integer", "numeric", text, kind},   \
        {name, "bigint", "numeric", text, kind}, {name, "numeric", "numeric", text, kind}, \
        {name, "real", "double precision", text, kind}, {                                  \
        name, "double precision", "double precision", text, kind                           \
    }

static const tarn_aggregate_function functions[] = {
    {"avg", "smallint", "numeric", "average", EXPR_AGGREGATE_AVG},
    {"avg", "integer", "numeric", "average", EXPR_AGGREGATE_AVG},
    {"avg", "bigint", "numeric", "average", EXPR_AGGREGATE_AVG},
    {"avg", "numeric", "numeric", "average", EXPR_AGGREGATE_AVG},
    {"avg", "real", "double precision", "average", EXPR_AGGREGATE_AVG},
    {"avg", "double precision", "double precision", "average", EXPR_AGGREGATE_AVG},
    {"avg", "interval", "interval", "average", EXPR_AGGREGATE_AVG},
    {"bool_and", "boolean", "boolean", "true when all are", EXPR_AGGREGATE_BOOL_AND},
    {"bool_or", "boolean", "boolean", "true when one is", EXPR_AGGREGATE_BOOL_OR},
    {"count", "", "bigint", "number of rows", EXPR_AGGREGATE_COUNT},
    {"count", "any", "bigint", "number of rows where it is not NULL", EXPR_AGGREGATE_COUNT},
    {"every", "boolean", "boolean", "true when all are", EXPR_AGGREGATE_BOOL_AND},
    {"max", "any", "any", "greatest value", EXPR_AGGREGATE_MAX},
    {"min", "any", "any", "least value", EXPR_AGGREGATE_MIN},
    DEVIATION("stddev", EXPR_AGGREGATE_STDDEV_SAMP, "standard deviation of a sample"),
    DEVIATION("stddev_pop", EXPR_AGGREGATE_STDDEV_POP, "standard deviation of a population"),
    DEVIATION("stddev_samp", EXPR_AGGREGATE_STDDEV_SAMP, "standard deviation of a sample"),
    {"sum", "smallint", "bigint", "sum", EXPR_AGGREGATE_SUM},
    {"sum", "integer", "bigint", "sum", EXPR_AGGREGATE_SUM},
    {"sum", "bigint", "numeric", "sum", EXPR_AGGREGATE_SUM},
    {"sum", "numeric", "numeric", "sum", EXPR_AGGREGATE_SUM},
    {"sum", "real", "real", "sum", EXPR_AGGREGATE_SUM},
    {"sum", "double precision", "double precision", "sum", EXPR_AGGREGATE_SUM},
    {"sum", "interval", "interval", "sum", EXPR_AGGREGATE_SUM},
    DEVIATION("var_pop", EXPR_AGGREGATE_VAR_POP, "variance of a population"),
    DEVIATION("var_samp", EXPR_AGGREGATE_VAR_SAMP, "variance of a sample"),
    DEVIATION("variance", EXPR_AGGREGATE_VAR_SAMP, "variance of a sample"),
};
#define FUNCTION_COUNT (sizeof functions / sizeof functions[0])

// Known to PostgreSQL, refused by name.
static const char *const refused[] = {
    "array_agg",        "bit_and",    "bit_or",          "bit_xor",         "corr",
    "covar_pop",        "covar_samp", "json_agg",        "json_object_agg", "jsonb_agg",
    "jsonb_object_agg", "mode",       "percentile_cont", "percentile_disc", "range_agg",
    "regr_avgx",        "regr_avgy",  "regr_count",      "regr_intercept",  "regr_r2",
    "regr_slope",       "regr_sxx",   "regr_sxy",        "regr_syy",        "string_agg",
    "xmlagg",           "grouping",
};

size_t expr_aggregate_count(void) {
    return FUNCTION_COUNT;
}

tarn_function_info expr_aggregate_at(size_t index) {
    const tarn_aggregate_function *function = &functions[index];
    return (tarn_function_info){.name = function->name,
                                .arguments =
                                    function->arguments[0] == '\0' ? "*" : function->arguments,
                                .result = function->result,
                                .description = function->description,
                                .is_aggregate = true};
}

static bool is_refused(tarn_slice name) {
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(refused[i]))) return true;
    }
    return false;
}

bool tarn_function_is_aggregate(tarn_slice name) {
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(functions[i].name))) return true;
    }
    return is_refused(name);
}

static const tarn_aggregate_function *find(tarn_slice name, const tarn_expr *arg) {
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        const tarn_aggregate_function *function = &functions[i];
        if (!tarn_slice_equal(name, tarn_slice_from_cstr(function->name))) continue;
        if ((arg == NULL) != (function->arguments[0] == '\0')) continue;
        if (arg == NULL || strcmp(function->arguments, "any") == 0) return function;
        tarn_type_id id = TARN_TYPE_NULL;
        if (expr_type_from_name(tarn_slice_from_cstr(function->arguments), &id) &&
            id == (tarn_type_id)arg->type.id) {
            return function;
        }
    }
    return NULL;
}

// time is the only type that gets in by a cast: its sum is that of intervals. An untyped literal
// is read as what the overload with a preferred type takes.
static bool find_target(tarn_slice name, const tarn_expr *arg, tarn_type *ret_target) {
    tarn_type_id id = TARN_TYPE_NULL;
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        if (!tarn_slice_equal(name, tarn_slice_from_cstr(functions[i].name))) continue;
        if (!expr_type_from_name(tarn_slice_from_cstr(functions[i].arguments), &id)) continue;
        if (!expr_cast_exists(arg->type.id, id, TARN_CAST_IMPLICIT)) continue;
        if (!expr_type_is_preferred(id)) continue;
        *ret_target = tarn_type_of(id);
        return true;
    }
    return false;
}

static tarn_status fail_unknown(tarn_slice name, const tarn_expr *arg, int32_t position,
                                tarn_error *err) {
    if (is_refused(name)) {
        (void)tarn_fail(err, TARN_UNSUPPORTED,
                        "aggregate function " TARN_SLICE_FMT "() is not supported",
                        TARN_SLICE_ARG(name));
        tarn_error_locate(err, "0A000", position);
        return TARN_UNSUPPORTED;
    }
    (void)tarn_fail(err, TARN_INVALID, "function " TARN_SLICE_FMT "(%s) does not exist",
                    TARN_SLICE_ARG(name), arg == NULL ? "*" : expr_type_name(arg->type.id));
    tarn_error_locate(err, "42883", position);
    if (tarn_function_is_aggregate(name)) {
        tarn_error_hint(err, "no overload takes this argument type; add an explicit cast");
    }
    return TARN_INVALID;
}

#define AVERAGE_SCALE 16

static tarn_type result_type(const tarn_aggregate_function *function, tarn_type arg_type) {
    if (strcmp(function->result, "any") == 0) return arg_type;
    tarn_type_id id = TARN_TYPE_NULL;
    bool known = expr_type_from_name(tarn_slice_from_cstr(function->result), &id);
    tarn_assert(known);
    if (id != TARN_TYPE_NUMERIC) return tarn_type_of(id);
    int scale = arg_type.id == TARN_TYPE_NUMERIC ? arg_type.scale : 0;
    if (function->kind != EXPR_AGGREGATE_SUM && scale < AVERAGE_SCALE) scale = AVERAGE_SCALE;
    return tarn_type_numeric(EXPR_NUMERIC_PRECISION_MAX, scale);
}

// NOLINTNEXTLINE(readability-function-size): the parameters of the public header
tarn_status tarn_aggregate_resolve(tarn_arena *arena, tarn_slice name, const tarn_expr *arg,
                                   bool distinct, int32_t position, tarn_aggregate *ret_aggregate,
                                   const tarn_expr **ret_arg, tarn_error *err) {
    const tarn_aggregate_function *function = find(name, arg);
    if (function == NULL && arg != NULL) {
        tarn_type target;
        if (find_target(name, arg, &target)) {
            TARN_TRY(tarn_expr_cast(arena, arg, target, TARN_CAST_IMPLICIT, position, &arg, err));
            function = find(name, arg);
        }
    }
    if (function == NULL) return fail_unknown(name, arg, position, err);
    if (arg != NULL && arg->type.id == TARN_TYPE_NULL) {
        TARN_TRY(tarn_expr_cast(arena, arg, tarn_type_of(TARN_TYPE_TEXT), TARN_CAST_IMPLICIT,
                                position, &arg, err));
    }
    tarn_aggregate aggregate = {.function = function,
                                .name = tarn_slice_from_cstr(function->name),
                                .has_arg = arg != NULL,
                                .arg_type = arg == NULL ? tarn_type_of(TARN_TYPE_NULL) : arg->type,
                                .not_null = function->kind == EXPR_AGGREGATE_COUNT};
    aggregate.type = result_type(function, aggregate.arg_type);
    // For these, seeing a value twice changes nothing.
    bool is_idempotent =
        function->kind == EXPR_AGGREGATE_MIN || function->kind == EXPR_AGGREGATE_MAX ||
        function->kind == EXPR_AGGREGATE_BOOL_AND || function->kind == EXPR_AGGREGATE_BOOL_OR;
    aggregate.distinct = distinct && arg != NULL && !is_idempotent;
    aggregate.state_bytes = expr_aggregate_state_bytes(&aggregate);
    *ret_aggregate = aggregate;
    *ret_arg = arg;
    return TARN_OK;
}

tarn_aggregate tarn_aggregate_as_retractable(tarn_aggregate aggregate) {
    aggregate.retractable = true;
    aggregate.state_bytes = expr_aggregate_state_bytes(&aggregate);
    return aggregate;
}
