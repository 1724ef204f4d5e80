// resolve.h - which overload of a function a call means, by PostgreSQL's rules.
#ifndef TARN_EXPR_RESOLVE_H
#define TARN_EXPR_RESOLVE_H

#include "expr/function.h"

typedef struct expr_candidate {
    const tarn_function *function;
    expr_signature signature;
} expr_candidate;

static inline uint8_t expr_signature_arg(const expr_signature *signature, size_t index) {
    return index < signature->arg_count ? signature->args[index] : signature->variadic;
}

// An operator's name has no letters.
bool expr_name_is_operator(tarn_slice name);

// Fails with 42883 (no such function) or 42725 (several fit). TARN_TYPE_NULL stands for an
// untyped literal.
TARN_MUST_USE tarn_status expr_resolve(tarn_slice name, const uint8_t *types, size_t arg_count,
                                       int32_t position, expr_candidate *ret_candidate,
                                       tarn_error *err);

#endif
