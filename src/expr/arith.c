#include "expr/function.h"
#include "expr/tables.h"

#define ARITHMETIC(type, result, op_name, text) \
    { op_name, type ", " type, result, text }
#define INTEGER(type)                                                                             \
    {.name = "+", .arguments = type ", " type, .result = type, .description = "sum"},             \
        {.name = "-", .arguments = type ", " type, .result = type, .description = "difference"},  \
        {.name = "*", .arguments = type ", " type, .result = type, .description = "product"},     \
        {.name = "/",                                                                             \
         .arguments = type ", " type,                                                             \
         .result = type,                                                                          \
         .description = "quotient, truncated toward zero"},                                       \
        {.name = "%",                                                                             \
         .arguments = type ", " type,                                                             \
         .result = type,                                                                          \
         .description = "remainder, with the sign of the dividend"},                              \
        {.name = "mod",                                                                           \
         .arguments = type ", " type,                                                             \
         .result = type,                                                                          \
         .description = "remainder, with the sign of the dividend"},                              \
        {.name = "-", .arguments = type, .result = type, .description = "negation"},              \
        {.name = "+", .arguments = type, .result = type, .description = "the value itself"},      \
        {.name = "abs", .arguments = type, .result = type, .description = "absolute value"},      \
        {.name = "&", .arguments = type ", " type, .result = type, .description = "bitwise and"}, \
        {.name = "|", .arguments = type ", " type, .result = type, .description = "bitwise or"},  \
        {.name = "#",                                                                             \
         .arguments = type ", " type,                                                             \
         .result = type,                                                                          \
         .description = "bitwise exclusive or"},                                                  \
        {.name = "~", .arguments = type, .result = type, .description = "bitwise not"},           \
        {.name = "<<",                                                                            \
         .arguments = type ", integer",                                                           \
         .result = type,                                                                          \
         .description = "bits shifted left"},                                                     \
    {                                                                                             \
        .name = ">>", .arguments = type ", integer", .result = type,                              \
        .description = "bits shifted right"                                                       \
    }
#define FLOATING(type)                                                                           \
    {.name = "+", .arguments = type ", " type, .result = type, .description = "sum"},            \
        {.name = "-", .arguments = type ", " type, .result = type, .description = "difference"}, \
        {.name = "*", .arguments = type ", " type, .result = type, .description = "product"},    \
        {.name = "/", .arguments = type ", " type, .result = type, .description = "quotient"},   \
        {.name = "-", .arguments = type, .result = type, .description = "negation"},             \
        {.name = "+", .arguments = type, .result = type, .description = "the value itself"}, {   \
        .name = "abs", .arguments = type, .result = type, .description = "absolute value"        \
    }
#define MIXED(a, b)                                                       \
    {.name = "+",                                                         \
     .arguments = a ", " b,                                               \
     .result = "double precision",                                        \
     .description = "sum",                                                \
     .flags = EXPR_WIDENS},                                               \
        {.name = "-",                                                     \
         .arguments = a ", " b,                                           \
         .result = "double precision",                                    \
         .description = "difference",                                     \
         .flags = EXPR_WIDENS},                                           \
        {.name = "*",                                                     \
         .arguments = a ", " b,                                           \
         .result = "double precision",                                    \
         .description = "product",                                        \
         .flags = EXPR_WIDENS},                                           \
    {                                                                     \
        .name = "/", .arguments = a ", " b, .result = "double precision", \
        .description = "quotient", .flags = EXPR_WIDENS                   \
    }

static const tarn_function functions[] = {
    INTEGER("smallint"),
    INTEGER("integer"),
    INTEGER("bigint"),
    FLOATING("real"),
    FLOATING("double precision"),
    MIXED("real", "double precision"),
    MIXED("double precision", "real"),
};
const expr_function_table expr_arith_functions = {functions,
                                                  sizeof functions / sizeof functions[0]};
