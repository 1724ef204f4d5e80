// tables.h - the tables of functions, one per kernels file.
#ifndef TARN_EXPR_TABLES_H
#define TARN_EXPR_TABLES_H

#include "expr/function.h"

extern const expr_function_table expr_arith_functions;
extern const expr_function_table expr_compare_functions;
extern const expr_function_table expr_encode_functions;
extern const expr_function_table expr_like_functions;
extern const expr_function_table expr_math_functions;
extern const expr_function_table expr_numeric_functions;
extern const expr_function_table expr_text_functions;
extern const expr_function_table expr_time_functions;
extern const expr_function_table expr_time_make_functions;
extern const expr_function_table expr_time_parts_functions;
extern const expr_function_table expr_time_trunc_functions;
extern const expr_function_table expr_to_char_number_functions;
extern const expr_function_table expr_to_char_time_functions;

// Booleans as their output function writes them, for concat(); made by the tree builder only.
extern const tarn_function expr_boolout;

#endif
