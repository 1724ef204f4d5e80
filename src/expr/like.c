#include "expr/function.h"
#include "expr/tables.h"

static const tarn_function functions[] = {
    EXPR_FUNCTION("~~", "text, text", "boolean", "LIKE", .kernel = NULL),
    EXPR_FUNCTION("!~~", "text, text", "boolean", "NOT LIKE", .kernel = NULL),
    EXPR_FUNCTION("~~*", "text, text", "boolean", "ILIKE: LIKE without regard to case",
                  .kernel = NULL),
    EXPR_FUNCTION("!~~*", "text, text", "boolean", "NOT ILIKE", .kernel = NULL),
    EXPR_FUNCTION("~~", "text, text, text", "boolean", "LIKE with an escape character",
                  .kernel = NULL),
    EXPR_FUNCTION("!~~", "text, text, text", "boolean", "NOT LIKE with an escape character",
                  .kernel = NULL),
    EXPR_FUNCTION("~~*", "text, text, text", "boolean", "ILIKE with an escape character",
                  .kernel = NULL),
    EXPR_FUNCTION("!~~*", "text, text, text", "boolean", "NOT ILIKE with an escape character",
                  .kernel = NULL),
};
const expr_function_table expr_like_functions = {functions, sizeof functions / sizeof functions[0]};
