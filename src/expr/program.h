// program.h - expressions as flat steps over registers; compiled by compile.c, run by run.c.
//
// A value register holds a vector. A selection register holds the rows that a step computes: those
// of the chunk, or fewer behind AND, OR, CASE and COALESCE. Selections form a tree, each narrower
// than its parent, and a value computed under one may be used under all below it: that is how equal
// sub-expressions are computed once, without ever computing a row that nobody asked for.
#ifndef TARN_EXPR_PROGRAM_H
#define TARN_EXPR_PROGRAM_H

#include "expr/function.h"

typedef enum expr_step_kind {
    EXPR_STEP_CALL,    // out = function(inputs)
    EXPR_STEP_CHOOSE,  // out = inputs[0] is true ? inputs[1] : inputs[2], the latter two literals
    EXPR_STEP_NARROW,  // out_selection = the rows where inputs[0] passes `narrowing`
    EXPR_STEP_RESERVE, // out = a flat vector to be filled by moves
    EXPR_STEP_MOVE,    // out = inputs[0]
    EXPR_STEP_AND,     // out = out AND inputs[0]
    EXPR_STEP_OR,      // out = out OR inputs[0]
} expr_step_kind;

typedef enum expr_narrowing {
    EXPR_NARROW_TRUE,
    EXPR_NARROW_NOT_TRUE,
    EXPR_NARROW_NOT_FALSE,
    EXPR_NARROW_NULL,
} expr_narrowing;

// Results of a function of one argument over the values of a dictionary.
typedef struct expr_dictionary_cache {
    tarn_arena arena; // holds values and validity
    uint64_t dictionary_id;
    size_t rows_seen; // with this dictionary, before the cache was filled
    bool is_filled;
    bool has_failed;          // some value has no result: rows are computed one by one
    const void *values;       // a result per value of the dictionary
    const uint64_t *validity; // NULL: no result is null
    tarn_dictionary *results; // owned; for text results, else NULL
} expr_dictionary_cache;

typedef struct expr_step {
    expr_step_kind kind;
    expr_narrowing narrowing;
    uint32_t selection; // the rows it computes
    uint32_t out;
    uint32_t out_selection;
    const uint32_t *inputs;
    size_t input_count;
    const tarn_expr *expr; // for the type and the position
    const tarn_function *function;
    const void *prepared;
    expr_dictionary_cache *cache; // NULL: not worth it
    bool is_output;               // the result goes to the caller's arena
} expr_step;

typedef enum expr_register_kind {
    EXPR_REGISTER_COLUMN,
    EXPR_REGISTER_LITERAL, // filled once
    EXPR_REGISTER_STEP,
} expr_register_kind;

typedef struct expr_register {
    expr_register_kind kind;
    size_t column;
    tarn_vector vector;
} expr_register;

typedef struct expr_selection {
    const uint32_t *rows; // NULL: rows 0..count
    size_t count;
    uint32_t parent; // its own index for the first
} expr_selection;

// Registers and steps of one purpose; selection 0 is that of the chunk.
typedef struct expr_code {
    expr_step *steps;
    size_t step_count, step_capacity;
    expr_register *registers;
    size_t register_count, register_capacity;
    expr_selection *selections;
    size_t selection_count, selection_capacity;
    uint32_t *outputs;           // a register per expression
    uint32_t filtered_selection; // of filter code
} expr_code;

struct tarn_program {
    const tarn_alloc *alloc;
    tarn_arena code_arena;    // steps, registers, literals, what kernels have prepared
    tarn_arena scratch_arena; // values between steps, until the next evaluation
    const tarn_expr *const *exprs;
    size_t expr_count;
    expr_code values;
    expr_code filter; // only of a program of one boolean expression
    int64_t now_us;
};

// Appends the code for the expressions' values, or for narrowing the selection to where the first
// is true.
TARN_MUST_USE tarn_status expr_compile_values(tarn_program *program, tarn_error *err);
TARN_MUST_USE tarn_status expr_compile_filter(tarn_program *program, tarn_error *err);

TARN_MUST_USE tarn_status expr_run(tarn_program *program, expr_code *code, const tarn_chunk *chunk,
                                   tarn_arena *arena, tarn_error *err);

// The functions behind NOT, IS NULL and IN a list of literals.
extern const tarn_function expr_not;
extern const tarn_function expr_is_null;
extern const tarn_function expr_in_literals;

#endif
