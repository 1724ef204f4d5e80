// loops.h - the shapes of kernels over fixed-width values, to be filled with one computation each.
//
// EXPR_UNARY(name, A, O, compute)             out = compute(a)
// EXPR_BINARY(name, A, B, O, compute)         out = compute(a, b)
// EXPR_CHECKED_UNARY, EXPR_CHECKED_BINARY     fault = compute(a[, b], &out); name_fault on failure
//
// EXPR_CHECKED_BINARY_DENSE                   only the dense form of it
//
// A fault is an expr_fault in an integer as wide as the values, so that the loop stays in one
// width. Each makes `name` (the careful kernel) and `name_dense`. Computations are static inline
// functions on plain values; the loops around them have one constant or none, so that compilers
// vectorise.
#ifndef TARN_EXPR_LOOPS_H
#define TARN_EXPR_LOOPS_H

#include "expr/function.h"

// What a checked computation says of one row.
typedef enum expr_fault {
    EXPR_FAULT_NONE = 0,
    EXPR_FAULT_RANGE = 1, // the result does not fit its type
    EXPR_FAULT_ZERO = 2,  // division by zero
    EXPR_FAULT_UNDERFLOW = 4,
} expr_fault;

// The error of a fault, in PostgreSQL's words: "integer out of range", "division by zero".
tarn_status expr_fail_fault(const expr_frame *frame, unsigned fault);

#define EXPR_UNARY(name, A, O, compute)                              \
    static bool name##_dense(const expr_frame *frame) {              \
        const A *restrict arg = frame->args[0].data;                 \
        O *restrict out = frame->result->data;                       \
        size_t count = frame->row_count;                             \
        for (size_t i = 0; i < count; i++) out[i] = compute(arg[i]); \
        return true;                                                 \
    }                                                                \
    static tarn_status name(const expr_frame *frame) {               \
        const A *restrict arg = frame->args[0].data;                 \
        O *restrict out = frame->result->data;                       \
        EXPR_FOR_ROWS(frame, row) out[row] = compute(arg[row]);      \
        return TARN_OK;                                              \
    }

#define EXPR_BINARY(name, A, B, O, compute)                                         \
    static bool name##_dense(const expr_frame *frame) {                             \
        const A *restrict left = frame->args[0].data;                               \
        const B *restrict right = frame->args[1].data;                              \
        O *restrict out = frame->result->data;                                      \
        size_t count = frame->row_count;                                            \
        if (expr_stride(&frame->args[0]) == 0) {                                    \
            const A a = left[0];                                                    \
            for (size_t i = 0; i < count; i++) out[i] = compute(a, right[i]);       \
        } else if (expr_stride(&frame->args[1]) == 0) {                             \
            const B b = right[0];                                                   \
            for (size_t i = 0; i < count; i++) out[i] = compute(left[i], b);        \
        } else {                                                                    \
            for (size_t i = 0; i < count; i++) out[i] = compute(left[i], right[i]); \
        }                                                                           \
        return true;                                                                \
    }                                                                               \
    static tarn_status name(const expr_frame *frame) {                              \
        const A *restrict left = frame->args[0].data;                               \
        const B *restrict right = frame->args[1].data;                              \
        O *restrict out = frame->result->data;                                      \
        size_t left_stride = expr_stride(&frame->args[0]);                          \
        size_t right_stride = expr_stride(&frame->args[1]);                         \
        EXPR_FOR_ROWS(frame, row) {                                                 \
            out[row] = compute(left[row * left_stride], right[row * right_stride]); \
        }                                                                           \
        return TARN_OK;                                                             \
    }

#define EXPR_CHECKED_UNARY(name, A, O, compute)                                \
    static bool name##_dense(const expr_frame *frame) {                        \
        const A *restrict arg = frame->args[0].data;                           \
        O *restrict out = frame->result->data;                                 \
        size_t count = frame->row_count;                                       \
        __typeof__(compute(arg[0], &out[0])) faults = 0;                       \
        for (size_t i = 0; i < count; i++) faults |= compute(arg[i], &out[i]); \
        return faults == 0;                                                    \
    }                                                                          \
    static tarn_status name(const expr_frame *frame) {                         \
        const A *restrict arg = frame->args[0].data;                           \
        O *restrict out = frame->result->data;                                 \
        EXPR_FOR_ROWS(frame, row) {                                            \
            unsigned fault = (unsigned)compute(arg[row], &out[row]);           \
            if (fault != 0) return expr_fail_fault(frame, fault);              \
        }                                                                      \
        return TARN_OK;                                                        \
    }

#define EXPR_CHECKED_BINARY_DENSE(name, A, B, O, compute)                                     \
    static bool name##_dense(const expr_frame *frame) {                                       \
        const A *restrict left = frame->args[0].data;                                         \
        const B *restrict right = frame->args[1].data;                                        \
        O *restrict out = frame->result->data;                                                \
        size_t count = frame->row_count;                                                      \
        __typeof__(compute(left[0], right[0], &out[0])) faults = 0;                           \
        if (expr_stride(&frame->args[0]) == 0) {                                              \
            const A a = left[0];                                                              \
            for (size_t i = 0; i < count; i++) faults |= compute(a, right[i], &out[i]);       \
        } else if (expr_stride(&frame->args[1]) == 0) {                                       \
            const B b = right[0];                                                             \
            for (size_t i = 0; i < count; i++) faults |= compute(left[i], b, &out[i]);        \
        } else {                                                                              \
            for (size_t i = 0; i < count; i++) faults |= compute(left[i], right[i], &out[i]); \
        }                                                                                     \
        return faults == 0;                                                                   \
    }

#define EXPR_CHECKED_BINARY(name, A, B, O, compute)                                               \
    EXPR_CHECKED_BINARY_DENSE(name, A, B, O, compute)                                             \
    static tarn_status name(const expr_frame *frame) {                                            \
        const A *restrict left = frame->args[0].data;                                             \
        const B *restrict right = frame->args[1].data;                                            \
        O *restrict out = frame->result->data;                                                    \
        size_t left_stride = expr_stride(&frame->args[0]);                                        \
        size_t right_stride = expr_stride(&frame->args[1]);                                       \
        EXPR_FOR_ROWS(frame, row) {                                                               \
            unsigned fault =                                                                      \
                (unsigned)compute(left[row * left_stride], right[row * right_stride], &out[row]); \
            if (fault != 0) return expr_fail_fault(frame, fault);                                 \
        }                                                                                         \
        return TARN_OK;                                                                           \
    }

#define EXPR_WITH_DENSE(name) .kernel = (name), .dense = name##_dense

#endif
