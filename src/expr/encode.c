#include "expr/function.h"
#include "expr/tables.h"

static const tarn_function functions[] = {
    EXPR_FUNCTION("md5", "text", "text", "MD5 hash in hexadecimal", .kernel = NULL),
    EXPR_FUNCTION("md5", "bytea", "text", "MD5 hash in hexadecimal", .kernel = NULL),
    EXPR_FUNCTION("encode", "bytea, text", "text", "as text: hex, base64 or escape",
                  .kernel = NULL),
    EXPR_FUNCTION("decode", "text, text", "bytea", "bytes of a text in hex, base64 or escape",
                  .kernel = NULL),
    EXPR_FUNCTION("to_hex", "integer", "text", "in hexadecimal", .kernel = NULL),
    EXPR_FUNCTION("to_hex", "bigint", "text", "in hexadecimal", .kernel = NULL),
    EXPR_FUNCTION("quote_literal", "text", "text", "as an SQL literal", .kernel = NULL),
    EXPR_FUNCTION("quote_ident", "text", "text", "as an SQL identifier", .kernel = NULL),
};
const expr_function_table expr_encode_functions = {functions,
                                                   sizeof functions / sizeof functions[0]};
