// cast.h - the functions behind casts. They read the types from the vectors they are given.
#ifndef TARN_EXPR_CAST_H
#define TARN_EXPR_CAST_H

#include "expr/function.h"

extern const tarn_function expr_cast_copy;

// NULL when there is none; expr_cast_exists has been asked before.
const tarn_function *expr_cast_function(tarn_type from, tarn_type to, tarn_cast_context context);

const tarn_function *expr_cast_to_text(tarn_type from, tarn_type to, tarn_cast_context context);
const tarn_function *expr_cast_from_text(tarn_type to);
const tarn_function *expr_cast_between_times(tarn_type from, tarn_type to);

#endif
