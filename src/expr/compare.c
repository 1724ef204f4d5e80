#include "expr/function.h"
#include "expr/tables.h"

#define COMPARISONS(type)                                                                          \
    {.name = "=", .arguments = type ", " type, .result = "boolean", .description = "equal"},       \
        {.name = "<>",                                                                             \
         .arguments = type ", " type,                                                              \
         .result = "boolean",                                                                      \
         .description = "not equal"},                                                              \
        {.name = "<", .arguments = type ", " type, .result = "boolean", .description = "less"},    \
        {.name = "<=",                                                                             \
         .arguments = type ", " type,                                                              \
         .result = "boolean",                                                                      \
         .description = "less or equal"},                                                          \
        {.name = ">", .arguments = type ", " type, .result = "boolean", .description = "greater"}, \
    {                                                                                              \
        .name = ">=", .arguments = type ", " type, .result = "boolean",                            \
        .description = "greater or equal"                                                          \
    }
#define MIXED(a, b)                                               \
    {.name = "=",                                                 \
     .arguments = a ", " b,                                       \
     .result = "boolean",                                         \
     .description = "equal",                                      \
     .flags = EXPR_WIDENS},                                       \
        {.name = "<>",                                            \
         .arguments = a ", " b,                                   \
         .result = "boolean",                                     \
         .description = "not equal",                              \
         .flags = EXPR_WIDENS},                                   \
        {.name = "<",                                             \
         .arguments = a ", " b,                                   \
         .result = "boolean",                                     \
         .description = "less",                                   \
         .flags = EXPR_WIDENS},                                   \
        {.name = "<=",                                            \
         .arguments = a ", " b,                                   \
         .result = "boolean",                                     \
         .description = "less or equal",                          \
         .flags = EXPR_WIDENS},                                   \
        {.name = ">",                                             \
         .arguments = a ", " b,                                   \
         .result = "boolean",                                     \
         .description = "greater",                                \
         .flags = EXPR_WIDENS},                                   \
    {                                                             \
        .name = ">=", .arguments = a ", " b, .result = "boolean", \
        .description = "greater or equal", .flags = EXPR_WIDENS   \
    }

static const tarn_function functions[] = {
    COMPARISONS("boolean"),
    COMPARISONS("smallint"),
    COMPARISONS("integer"),
    COMPARISONS("bigint"),
    COMPARISONS("real"),
    COMPARISONS("double precision"),
    COMPARISONS("numeric"),
    COMPARISONS("date"),
    COMPARISONS("time"),
    COMPARISONS("timestamp"),
    COMPARISONS("timestamptz"),
    COMPARISONS("timestamp_ns"),
    COMPARISONS("timestamptz_ns"),
    COMPARISONS("interval"),
    COMPARISONS("text"),
    COMPARISONS("bytea"),
    MIXED("real", "double precision"),
    MIXED("double precision", "real"),
    {.name = "is_distinct_from",
     .arguments = "anyelement, anyelement",
     .result = "boolean",
     .description = "not equal, with NULL equal to NULL only",
     .flags = EXPR_TAKES_NULLS},
    {.name = "greatest",
     .arguments = "variadic anyelement",
     .result = "anyelement",
     .description = "the greatest argument that is not NULL",
     .flags = EXPR_TAKES_NULLS},
    {.name = "least",
     .arguments = "variadic anyelement",
     .result = "anyelement",
     .description = "the least argument that is not NULL",
     .flags = EXPR_TAKES_NULLS},
    {.name = "nullif",
     .arguments = "anyelement, anyelement",
     .result = "anyelement",
     .description = "NULL when both are equal, else the first",
     .flags = EXPR_TAKES_NULLS | EXPR_MAKES_NULLS},
};
const expr_function_table expr_compare_functions = {functions,
                                                    sizeof functions / sizeof functions[0]};
