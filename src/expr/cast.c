#include "expr/tables.h"

const tarn_function expr_boolout = EXPR_FUNCTION("boolout", "boolean", "text", "", .flags = 0);
