// function.h - how a function is described to the registry, and what its kernel is given.
//
// Each kernels file ends with a table of tarn_function; registry.c lists the tables. A function is
// computed by a kernel over the rows of one chunk. What surrounds it - NULL arguments, constants,
// dictionaries, the choice of rows - is the program's work (run.c), so kernels only see flat or
// constant vectors and, unless they ask for NULLs, only rows without one.
#ifndef TARN_EXPR_FUNCTION_H
#define TARN_EXPR_FUNCTION_H

#include "expr/expr.h"

// One call of a kernel.
typedef struct expr_frame {
    const tarn_vector *args; // flat or constant
    size_t arg_count;
    size_t row_count;     // rows of the vectors
    const uint32_t *rows; // the rows to compute, ascending; NULL: 0..count
    size_t count;
    tarn_vector *result; // flat, row_count values; kernels set nulls with expr_set_null only
    tarn_arena *arena;   // for the bytes of text results
    const void *prepared;
    int64_t now_us;
    tarn_error *err;
} expr_frame;

// Computes the rows asked for, and reports the first that has no result.
typedef tarn_status expr_kernel(const expr_frame *frame);
// Computes all rows without a branch per row, also those under NULLs or not selected (which hold
// any bytes). False: some row had no result; the kernel then decides whether that row counts.
typedef bool expr_dense(const expr_frame *frame);
// The result's type where it depends on the arguments' precision and scale.
typedef tarn_type expr_typer(const tarn_expr *const *args, size_t arg_count);
// Work done once per program with the arguments that are literals; *ret_prepared is handed to the
// kernel. Leaves it NULL where the arguments are not literals.
typedef tarn_status expr_prepare(const tarn_expr *const *args, size_t arg_count, tarn_arena *arena,
                                 const void **ret_prepared, tarn_error *err);

enum {
    EXPR_TAKES_NULLS = 1 << 0, // is called for NULL arguments, and says itself what they give
    EXPR_MAKES_NULLS = 1 << 1, // may give NULL without a NULL argument
    EXPR_NEVER_NULL = 1 << 5,  // whatever the arguments
    EXPR_NULL_IF_ALL = 1 << 6, // only when all arguments are
    EXPR_VOLATILE = 1 << 2,    // depends on the moment
    EXPR_ANY_LAYOUT = 1 << 4,  // looks at validity only, so dictionaries need not be flattened
    EXPR_WIDENS = 1 << 3,      // its arguments of type real are computed as double precision
};

struct tarn_function {
    const char *name;
    const char *arguments; // "text, integer"; "variadic any", "anyelement, anyelement"
    const char *result;    // a type, or "anyelement": the common type of the arguments
    const char *description;
    expr_kernel *kernel;
    expr_dense *dense;
    expr_typer *typer;
    expr_prepare *prepare;
    uint32_t flags;
};

// An entry of a table; behind the description come .kernel = ... and what else it has.
#define EXPR_FUNCTION(name_, arguments_, result_, description_, ...)     \
    {                                                                    \
        .name = (name_), .arguments = (arguments_), .result = (result_), \
        .description = (description_), __VA_ARGS__                       \
    }

typedef struct expr_function_table {
    const tarn_function *functions;
    size_t count;
} expr_function_table;

#define EXPR_ARGS_MAX 8

// Pseudo types of signatures, beside tarn_type_id.
enum {
    EXPR_ANY = 64,   // any type, as it is
    EXPR_ANYELEMENT, // any type, the same for all such arguments
    EXPR_ANYNONTEXT, // any type but text and bytea, turned into text
};

typedef struct expr_signature {
    uint8_t args[EXPR_ARGS_MAX];
    size_t arg_count; // those before the variadic one
    bool is_variadic; // any number of `variadic` follows
    uint8_t variadic;
    uint8_t result;
} expr_signature;

expr_signature expr_signature_of(const tarn_function *function);

// The overloads of `name`: up to `capacity` are stored, all are counted.
size_t expr_function_find(tarn_slice name, const tarn_function **functions, size_t capacity);

// ---- helpers of kernels ----

static inline size_t expr_frame_row(const expr_frame *frame, size_t i) {
    return frame->rows == NULL ? i : frame->rows[i];
}

#define EXPR_FOR_ROWS(frame, row) \
    for (size_t row##_i = 0, row; \
         row##_i < (frame)->count && ((row) = expr_frame_row((frame), row##_i), true); row##_i++)

// 1 for a flat argument, 0 for a constant: value of row r lies at data[r * stride].
static inline size_t expr_stride(const tarn_vector *vector) {
    return vector->kind == TARN_VECTOR_CONSTANT ? 0 : 1;
}

// Fails when memory for the validity bitmap is exhausted.
TARN_MUST_USE tarn_status expr_set_null(const expr_frame *frame, size_t row);

// `status` with a SQLSTATE.
#define expr_fail(err, state, ...)                                                      \
    (tarn_fail((err), TARN_INVALID, __VA_ARGS__), tarn_error_locate((err), (state), 0), \
     TARN_INVALID)
#define expr_no_memory(err) \
    tarn_fail((err), TARN_NO_MEMORY, "no memory left to evaluate an expression")

#endif
