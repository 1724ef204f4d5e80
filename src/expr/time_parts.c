#include "expr/function.h"
#include "expr/tables.h"

static const tarn_function functions[] = {
    EXPR_FUNCTION("date_trunc", "text, timestamp", "timestamp", "cut to a unit", .kernel = NULL),
    EXPR_FUNCTION("date_trunc", "text, timestamptz", "timestamptz", "cut to a unit",
                  .kernel = NULL),
    EXPR_FUNCTION("date_trunc", "text, interval", "interval", "cut to a unit", .kernel = NULL),
    EXPR_FUNCTION("date_bin", "interval, timestamp, timestamp", "timestamp",
                  "start of its bin, of equal ones from an origin on", .kernel = NULL),
    EXPR_FUNCTION("date_bin", "interval, timestamptz, timestamptz", "timestamptz",
                  "start of its bin, of equal ones from an origin on", .kernel = NULL),
    EXPR_FUNCTION("date_part", "text, date", "double precision", "a field", .kernel = NULL),
    EXPR_FUNCTION("date_part", "text, time", "double precision", "a field", .kernel = NULL),
    EXPR_FUNCTION("date_part", "text, timestamp", "double precision", "a field", .kernel = NULL),
    EXPR_FUNCTION("date_part", "text, timestamptz", "double precision", "a field", .kernel = NULL),
    EXPR_FUNCTION("date_part", "text, interval", "double precision", "a field", .kernel = NULL),
    EXPR_FUNCTION("extract", "text, date", "numeric", "a field", .kernel = NULL),
    EXPR_FUNCTION("extract", "text, time", "numeric", "a field", .kernel = NULL),
    EXPR_FUNCTION("extract", "text, timestamp", "numeric", "a field", .kernel = NULL),
    EXPR_FUNCTION("extract", "text, timestamptz", "numeric", "a field", .kernel = NULL),
    EXPR_FUNCTION("extract", "text, interval", "numeric", "a field", .kernel = NULL),
};
const expr_function_table expr_time_parts_functions = {functions,
                                                       sizeof functions / sizeof functions[0]};
