// aggregates.h - the list of aggregate functions and what each keeps per group.
#ifndef TARN_EXPR_AGGREGATES_H
#define TARN_EXPR_AGGREGATES_H

#include "expr/expr.h"

typedef enum expr_aggregate_kind {
    EXPR_AGGREGATE_COUNT,
    EXPR_AGGREGATE_SUM,
    EXPR_AGGREGATE_AVG,
    EXPR_AGGREGATE_MIN,
    EXPR_AGGREGATE_MAX,
    EXPR_AGGREGATE_BOOL_AND,
    EXPR_AGGREGATE_BOOL_OR,
    EXPR_AGGREGATE_STDDEV_SAMP,
    EXPR_AGGREGATE_STDDEV_POP,
    EXPR_AGGREGATE_VAR_SAMP,
    EXPR_AGGREGATE_VAR_POP,
} expr_aggregate_kind;

struct tarn_aggregate_function {
    const char *name;
    const char *arguments; // one type, "any", or "" for count(*)
    const char *result;
    const char *description;
    expr_aggregate_kind kind;
};

size_t expr_aggregate_count(void);
tarn_function_info expr_aggregate_at(size_t index); // in name order

// Bytes of a state, by function, argument type, distinct and retractable.
uint32_t expr_aggregate_state_bytes(const tarn_aggregate *aggregate);

#endif
