// types.h - what PostgreSQL's type system says about our types: names, categories, casts.
#ifndef TARN_EXPR_TYPES_H
#define TARN_EXPR_TYPES_H

#include "expr/expr.h"

// PostgreSQL's typcategory, which decides between overloads.
typedef enum expr_category {
    EXPR_CATEGORY_BOOLEAN,
    EXPR_CATEGORY_NUMBER,
    EXPR_CATEGORY_DATETIME,
    EXPR_CATEGORY_TIMESPAN,
    EXPR_CATEGORY_TEXT,
    EXPR_CATEGORY_OTHER,
    EXPR_CATEGORY_UNKNOWN, // an untyped literal or a bare NULL
} expr_category;

#define EXPR_NUMERIC_PRECISION_MAX 38

expr_category expr_type_category(tarn_type_id id);
// The type of its category that wins when nothing else decides.
bool expr_type_is_preferred(tarn_type_id id);
// Without precision or length: "numeric", "timestamp without time zone".
const char *expr_type_name(tarn_type_id id);
// Also accepts the short names of the registry: "timestamptz", "int8".
bool expr_type_from_name(tarn_slice name, tarn_type_id *ret_id);

// Whether a value of `from` may become a `to` in this context. The same type always may.
bool expr_cast_exists(tarn_type_id from, tarn_type_id to, tarn_cast_context context);

// The type a value of `from` takes when cast to the bare type `id`: precision and scale follow the
// source where the target has none of its own.
tarn_type expr_type_for_cast(tarn_type from, tarn_type_id id);

// One type that holds every value of both, which have the same id.
tarn_type expr_type_merge(tarn_type a, tarn_type b);

#endif
