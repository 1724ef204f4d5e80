#include "expr/function.h"
#include "expr/tables.h"

static const tarn_function functions[] = {
    EXPR_FUNCTION("to_char", "timestamp, text", "text", "formatted by a pattern", .kernel = NULL),
    EXPR_FUNCTION("to_char", "timestamptz, text", "text", "formatted by a pattern", .kernel = NULL),
    EXPR_FUNCTION("to_char", "interval, text", "text", "formatted by a pattern", .kernel = NULL),
    EXPR_FUNCTION("to_char", "integer, text", "text", "formatted by a pattern", .kernel = NULL),
    EXPR_FUNCTION("to_char", "bigint, text", "text", "formatted by a pattern", .kernel = NULL),
    EXPR_FUNCTION("to_char", "real, text", "text", "formatted by a pattern", .kernel = NULL),
    EXPR_FUNCTION("to_char", "double precision, text", "text", "formatted by a pattern",
                  .kernel = NULL),
    EXPR_FUNCTION("to_char", "numeric, text", "text", "formatted by a pattern", .kernel = NULL),
};
const expr_function_table expr_to_char_functions = {functions,
                                                    sizeof functions / sizeof functions[0]};
