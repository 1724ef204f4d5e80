// From trees to steps.

#include "base/hash.h"
#include "expr/cast.h"
#include "expr/decimal.h"
#include "expr/program.h"
#include "expr/tree.h"
#include "expr/types.h"

#define CACHE_BYTES_MAX ((size_t)256 << 20)

// A value that some step computes, to be found again.
typedef struct known_value {
    const tarn_expr *expr;
    uint64_t hash;
    uint32_t selection;
    uint32_t value;
} known_value;

typedef struct compiler {
    tarn_program *program;
    tarn_arena *arena;
    expr_code *code;
    known_value *known;
    size_t known_count, known_capacity;
    tarn_error *err;
} compiler;

// Makes room for one more element of an array in an arena.
static tarn_status grow(tarn_arena *arena, void **items, size_t count, size_t *capacity,
                        size_t item_bytes, tarn_error *err) {
    if (count < *capacity) return TARN_OK;
    size_t grown = *capacity == 0 ? 16 : *capacity * 2;
    void *copy = tarn_arena_alloc(arena, item_bytes, grown);
    if (copy == NULL) return expr_no_memory(err);
    if (count > 0) memcpy(copy, *items, count * item_bytes);
    *items = copy;
    *capacity = grown;
    return TARN_OK;
}

#define GROW(c, items, count, capacity) \
    grow((c)->arena, (void **)&(items), (count), &(capacity), sizeof *(items), (c)->err)

static tarn_status add_register(compiler *c, expr_register reg, uint32_t *ret_index) {
    expr_code *code = c->code;
    TARN_TRY(GROW(c, code->registers, code->register_count, code->register_capacity));
    code->registers[code->register_count] = reg;
    *ret_index = (uint32_t)code->register_count++;
    return TARN_OK;
}

static tarn_status add_selection(compiler *c, uint32_t parent, uint32_t *ret_index) {
    expr_code *code = c->code;
    TARN_TRY(GROW(c, code->selections, code->selection_count, code->selection_capacity));
    code->selections[code->selection_count] = (expr_selection){.parent = parent};
    *ret_index = (uint32_t)code->selection_count++;
    return TARN_OK;
}

static tarn_status add_step(compiler *c, expr_step step) {
    expr_code *code = c->code;
    if (step.input_count > 0) {
        uint32_t *inputs = tarn_arena_new(c->arena, uint32_t, step.input_count);
        if (inputs == NULL) return expr_no_memory(c->err);
        memcpy(inputs, step.inputs, step.input_count * sizeof *inputs);
        step.inputs = inputs;
    }
    TARN_TRY(GROW(c, code->steps, code->step_count, code->step_capacity));
    code->steps[code->step_count++] = step;
    return TARN_OK;
}

// ---- what is known already ----

static uint64_t hash_expr(const tarn_expr *expr) {
    uint64_t hash = tarn_hash_u64((uint64_t)expr->kind * 31 + expr->type.id);
    hash = tarn_hash_combine(hash, expr->column);
    hash = tarn_hash_combine(hash, (uint64_t)(uintptr_t)expr->function);
    if (expr->kind == TARN_EXPR_LITERAL && !expr->literal.is_null) {
        bool is_bytes =
            expr->literal.type.id == TARN_TYPE_TEXT || expr->literal.type.id == TARN_TYPE_BYTEA;
        hash = tarn_hash_combine(hash, is_bytes ? tarn_hash_bytes(expr->literal.bytes)
                                                : (uint64_t)expr->literal.i64);
    }
    for (size_t i = 0; i < expr->arg_count; i++) {
        hash = tarn_hash_combine(hash, hash_expr(expr->args[i]));
    }
    return hash;
}

static bool is_within(const expr_code *code, uint32_t selection, uint32_t outer) {
    while (selection != outer) {
        uint32_t parent = code->selections[selection].parent;
        if (parent == selection) return false;
        selection = parent;
    }
    return true;
}

static bool find_known(const compiler *c, const tarn_expr *expr, uint64_t hash, uint32_t selection,
                       uint32_t *ret_value) {
    for (size_t i = 0; i < c->known_count; i++) {
        const known_value *known = &c->known[i];
        if (known->hash != hash || !tarn_expr_equal(known->expr, expr)) continue;
        if (!is_within(c->code, selection, known->selection)) continue;
        *ret_value = known->value;
        return true;
    }
    return false;
}

static tarn_status remember(compiler *c, const tarn_expr *expr, uint64_t hash, uint32_t selection,
                            uint32_t value) {
    TARN_TRY(GROW(c, c->known, c->known_count, c->known_capacity));
    c->known[c->known_count++] = (known_value){expr, hash, selection, value};
    return TARN_OK;
}

// ---- expressions ----

static tarn_status compile(compiler *c, const tarn_expr *expr, uint32_t selection,
                           uint32_t *ret_value);

static tarn_status compile_literal(compiler *c, const tarn_expr *expr, uint32_t *ret_value) {
    expr_register reg = {.kind = EXPR_REGISTER_LITERAL};
    tarn_value value = expr->literal;
    if (expr->type.id != TARN_TYPE_NULL) value.type = expr->type;
    TARN_TRY(tarn_vector_init_constant(&reg.vector, value, c->arena, c->err));
    return add_register(c, reg, ret_value);
}

// A function whose arguments are literals but for one may be computed once per dictionary value.
static tarn_status add_cache(compiler *c, const tarn_expr *expr, size_t input_count,
                             expr_step *step) {
    if ((step->function->flags & EXPR_VOLATILE) != 0) return TARN_OK;
    size_t open_count = 0;
    for (size_t i = 0; i < input_count; i++) open_count += !expr_is_literal(expr->args[i]);
    if (open_count != 1) return TARN_OK;
    step->cache = tarn_arena_new(c->arena, expr_dictionary_cache, 1);
    if (step->cache == NULL) return expr_no_memory(c->err);
    tarn_arena_init(&step->cache->arena, c->program->alloc, CACHE_BYTES_MAX);
    return TARN_OK;
}

// A numeric literal beside a numeric of another scale: with the other's scale, if it has no more
// digits, both are plain integers to compare.
static tarn_status align_literal(compiler *c, const tarn_expr *literal, const tarn_expr *other,
                                 const tarn_expr **ret_literal) {
    *ret_literal = literal;
    tarn_type type = other->type;
    bool is_wide = tarn_type_physical(literal->type) == TARN_PHYSICAL_I128;
    tarn_int128 before = is_wide ? literal->literal.i128 : literal->literal.i64;
    tarn_int128 after;
    tarn_int128 back;
    if (literal->literal.is_null || expr_is_literal(other) ||
        !expr_decimal_rescale(before, literal->type.scale, type.scale, &after) ||
        !expr_decimal_fits(after, type.precision) ||
        !expr_decimal_rescale(after, type.scale, literal->type.scale, &back) || back != before) {
        return TARN_OK;
    }
    tarn_value value = {.type = type};
    if (tarn_type_physical(type) == TARN_PHYSICAL_I128) {
        value.i128 = after;
    } else {
        value.i64 = (int64_t)after;
    }
    return tarn_expr_literal(c->arena, value, false, literal->position, ret_literal, c->err);
}

// Steps for the first `input_count` arguments and for `function` of them.
static tarn_status compile_function(compiler *c, const tarn_expr *expr, size_t input_count,
                                    const tarn_function *function, uint32_t selection,
                                    uint32_t *ret_value) {
    if (function == NULL || function->kernel == NULL) {
        (void)tarn_fail(c->err, TARN_UNSUPPORTED, "%s " TARN_SLICE_FMT " is not supported",
                        expr->kind == TARN_EXPR_CAST ? "this cast" : "function",
                        TARN_SLICE_ARG(expr->name));
        tarn_error_locate(c->err, "0A000", expr->position);
        return TARN_UNSUPPORTED;
    }
    uint32_t *inputs = tarn_arena_new(c->arena, uint32_t, input_count + 1);
    if (inputs == NULL) return expr_no_memory(c->err);
    for (size_t i = 0; i < input_count; i++) {
        TARN_TRY(compile(c, expr->args[i], selection, &inputs[i]));
    }
    expr_step step = {.kind = EXPR_STEP_CALL,
                      .selection = selection,
                      .inputs = inputs,
                      .input_count = input_count,
                      .expr = expr,
                      .function = function};
    if (function->prepare != NULL) {
        TARN_TRY(function->prepare(expr->args, expr->arg_count, c->arena, &step.prepared, c->err));
    }
    TARN_TRY(add_cache(c, expr, input_count, &step));
    TARN_TRY(add_register(c, (expr_register){.kind = EXPR_REGISTER_STEP}, &step.out));
    *ret_value = step.out;
    return add_step(c, step);
}

static tarn_status compile_call(compiler *c, const tarn_expr *expr, uint32_t selection,
                                uint32_t *ret_value) {
    bool compares_numerics = expr->arg_count == 2 && expr->type.id == TARN_TYPE_BOOLEAN &&
                             expr->args[0]->type.id == TARN_TYPE_NUMERIC &&
                             expr->args[1]->type.id == TARN_TYPE_NUMERIC;
    if (compares_numerics) {
        const tarn_expr *args[2] = {expr->args[0], expr->args[1]};
        for (size_t i = 0; i < 2; i++) {
            if (expr_is_literal(args[i])) {
                TARN_TRY(align_literal(c, args[i], args[1 - i], &args[i]));
            }
        }
        TARN_TRY(expr_tree_with_args(c->arena, expr, args, &expr, c->err));
    }
    return compile_function(c, expr, expr->arg_count, expr->function, selection, ret_value);
}

static tarn_status reserve(compiler *c, const tarn_expr *expr, uint32_t selection,
                           uint32_t *ret_value) {
    expr_step step = {.kind = EXPR_STEP_RESERVE, .selection = selection, .expr = expr};
    TARN_TRY(add_register(c, (expr_register){.kind = EXPR_REGISTER_STEP}, &step.out));
    *ret_value = step.out;
    return add_step(c, step);
}

static tarn_status add_move(compiler *c, expr_step_kind kind, const tarn_expr *expr, uint32_t out,
                            uint32_t input, uint32_t selection) {
    return add_step(c, (expr_step){.kind = kind,
                                   .selection = selection,
                                   .out = out,
                                   .inputs = &input,
                                   .input_count = 1,
                                   .expr = expr});
}

static tarn_status narrow(compiler *c, expr_narrowing narrowing, uint32_t input, uint32_t selection,
                          uint32_t *ret_selection) {
    TARN_TRY(add_selection(c, selection, ret_selection));
    return add_step(c, (expr_step){.kind = EXPR_STEP_NARROW,
                                   .narrowing = narrowing,
                                   .selection = selection,
                                   .out_selection = *ret_selection,
                                   .inputs = &input,
                                   .input_count = 1});
}

// Each argument is asked only for the rows that those before it have not decided.
static tarn_status compile_logic(compiler *c, const tarn_expr *expr, uint32_t selection,
                                 uint32_t *ret_value) {
    bool is_and = expr->kind == TARN_EXPR_AND;
    uint32_t out;
    uint32_t arg;
    TARN_TRY(compile(c, expr->args[0], selection, &arg));
    TARN_TRY(reserve(c, expr, selection, &out));
    TARN_TRY(add_move(c, EXPR_STEP_MOVE, expr, out, arg, selection));
    for (size_t i = 1; i < expr->arg_count; i++) {
        expr_narrowing open = is_and ? EXPR_NARROW_NOT_FALSE : EXPR_NARROW_NOT_TRUE;
        TARN_TRY(narrow(c, open, out, selection, &selection));
        TARN_TRY(compile(c, expr->args[i], selection, &arg));
        TARN_TRY(add_move(c, is_and ? EXPR_STEP_AND : EXPR_STEP_OR, expr, out, arg, selection));
    }
    *ret_value = out;
    return TARN_OK;
}

static bool is_plain_literal(const tarn_expr *expr) {
    return expr_is_literal(expr) && !expr->literal.is_null && !tarn_type_is_string(expr->type) &&
           expr->type.id != TARN_TYPE_INTERVAL;
}

static tarn_status compile_case(compiler *c, const tarn_expr *expr, uint32_t selection,
                                uint32_t *ret_value) {
    uint32_t condition;
    uint32_t result;
    if (expr->arg_count == 3 && is_plain_literal(expr->args[1]) &&
        is_plain_literal(expr->args[2])) {
        uint32_t inputs[3];
        for (size_t i = 0; i < 3; i++) TARN_TRY(compile(c, expr->args[i], selection, &inputs[i]));
        expr_step step = {.kind = EXPR_STEP_CHOOSE,
                          .selection = selection,
                          .inputs = inputs,
                          .input_count = 3,
                          .expr = expr};
        TARN_TRY(add_register(c, (expr_register){.kind = EXPR_REGISTER_STEP}, &step.out));
        *ret_value = step.out;
        return add_step(c, step);
    }
    TARN_TRY(reserve(c, expr, selection, ret_value));
    uint32_t out = *ret_value;
    for (size_t i = 0; i + 1 < expr->arg_count; i += 2) {
        uint32_t taken;
        uint32_t rest;
        TARN_TRY(compile(c, expr->args[i], selection, &condition));
        TARN_TRY(narrow(c, EXPR_NARROW_TRUE, condition, selection, &taken));
        TARN_TRY(narrow(c, EXPR_NARROW_NOT_TRUE, condition, selection, &rest));
        TARN_TRY(compile(c, expr->args[i + 1], taken, &result));
        TARN_TRY(add_move(c, EXPR_STEP_MOVE, expr, out, result, taken));
        selection = rest;
    }
    TARN_TRY(compile(c, expr->args[expr->arg_count - 1], selection, &result));
    return add_move(c, EXPR_STEP_MOVE, expr, out, result, selection);
}

static tarn_status compile_coalesce(compiler *c, const tarn_expr *expr, uint32_t selection,
                                    uint32_t *ret_value) {
    if (expr->arg_count == 1) return compile(c, expr->args[0], selection, ret_value);
    TARN_TRY(reserve(c, expr, selection, ret_value));
    uint32_t out = *ret_value;
    for (size_t i = 0; i < expr->arg_count; i++) {
        uint32_t arg;
        TARN_TRY(compile(c, expr->args[i], selection, &arg));
        TARN_TRY(add_move(c, EXPR_STEP_MOVE, expr, out, arg, selection));
        if (i + 1 == expr->arg_count) break;
        TARN_TRY(narrow(c, EXPR_NARROW_NULL, arg, selection, &selection));
    }
    return TARN_OK;
}

static tarn_status compile_in(compiler *c, const tarn_expr *expr, uint32_t selection,
                              uint32_t *ret_value) {
    bool all_literal = true;
    for (size_t i = 1; i < expr->arg_count; i++) all_literal &= expr_is_literal(expr->args[i]);
    if (all_literal) {
        return compile_function(c, expr, 1, &expr_in_literals, selection, ret_value);
    }
    // x IN (a, b) with expressions in the list is x = a OR x = b.
    const tarn_expr **tests = tarn_arena_new(c->arena, const tarn_expr *, expr->arg_count);
    if (tests == NULL) return expr_no_memory(c->err);
    for (size_t i = 1; i < expr->arg_count; i++) {
        const tarn_expr *pair[2] = {expr->args[0], expr->args[i]};
        TARN_TRY(tarn_expr_call(c->arena, TARN_LIT("="), pair, 2, expr->position, &tests[i - 1],
                                c->err));
    }
    const tarn_expr *any;
    TARN_TRY(tarn_expr_special(c->arena, TARN_EXPR_OR, tests, expr->arg_count - 1, expr->position,
                               &any, c->err));
    return compile(c, any, selection, ret_value);
}

static tarn_status compile_new(compiler *c, const tarn_expr *expr, uint32_t selection,
                               uint32_t *ret_value) {
    switch (expr->kind) {
    case TARN_EXPR_COLUMN:
        return add_register(
            c, (expr_register){.kind = EXPR_REGISTER_COLUMN, .column = expr->column}, ret_value);
    case TARN_EXPR_LITERAL: return compile_literal(c, expr, ret_value);
    case TARN_EXPR_CALL: return compile_call(c, expr, selection, ret_value);
    case TARN_EXPR_CAST:
        return compile_function(
            c, expr, 1, expr_cast_function(expr->args[0]->type, expr->type, expr->cast_context),
            selection, ret_value);
    case TARN_EXPR_NOT: return compile_function(c, expr, 1, &expr_not, selection, ret_value);
    case TARN_EXPR_IS_NULL:
        return compile_function(c, expr, 1, &expr_is_null, selection, ret_value);
    case TARN_EXPR_AND:
    case TARN_EXPR_OR: return compile_logic(c, expr, selection, ret_value);
    case TARN_EXPR_CASE: return compile_case(c, expr, selection, ret_value);
    case TARN_EXPR_COALESCE: return compile_coalesce(c, expr, selection, ret_value);
    case TARN_EXPR_IN: return compile_in(c, expr, selection, ret_value);
    }
    tarn_assert(false); // every kind is above
    return TARN_OK;
}

static tarn_status compile(compiler *c, const tarn_expr *expr, uint32_t selection,
                           uint32_t *ret_value) {
    uint64_t hash = hash_expr(expr);
    if (find_known(c, expr, hash, selection, ret_value)) return TARN_OK;
    TARN_TRY(compile_new(c, expr, selection, ret_value));
    // Columns and literals are the same whatever the selection.
    bool is_leaf = expr->kind == TARN_EXPR_COLUMN || expr->kind == TARN_EXPR_LITERAL;
    return remember(c, expr, hash, is_leaf ? 0 : selection, *ret_value);
}

// Narrows to the rows where `expr` is true; unlike its value, this may drop NULL like false.
static tarn_status compile_condition(compiler *c, const tarn_expr *expr, uint32_t selection,
                                     uint32_t *ret_selection) {
    if (expr->kind == TARN_EXPR_AND) {
        for (size_t i = 0; i < expr->arg_count; i++) {
            TARN_TRY(compile_condition(c, expr->args[i], selection, &selection));
        }
        *ret_selection = selection;
        return TARN_OK;
    }
    uint32_t value = 0;
    TARN_TRY(compile(c, expr, selection, &value));
    return narrow(c, EXPR_NARROW_TRUE, value, selection, ret_selection);
}

static tarn_status begin(compiler *c, tarn_program *program, expr_code *code, tarn_error *err) {
    *c = (compiler){.program = program, .arena = &program->code_arena, .code = code, .err = err};
    uint32_t root;
    return add_selection(c, 0, &root);
}

tarn_status expr_compile_values(tarn_program *program, tarn_error *err) {
    compiler c;
    expr_code *code = &program->values;
    TARN_TRY(begin(&c, program, code, err));
    code->outputs = tarn_arena_new(c.arena, uint32_t, program->expr_count + 1);
    if (code->outputs == NULL) return expr_no_memory(err);
    for (size_t i = 0; i < program->expr_count; i++) {
        TARN_TRY(compile(&c, program->exprs[i], 0, &code->outputs[i]));
    }
    for (size_t s = 0; s < code->step_count; s++) {
        expr_step *step = &code->steps[s];
        if (step->kind == EXPR_STEP_NARROW) continue;
        for (size_t i = 0; i < program->expr_count; i++) {
            step->is_output |= step->out == code->outputs[i];
        }
    }
    return TARN_OK;
}

tarn_status expr_compile_filter(tarn_program *program, tarn_error *err) {
    compiler c;
    TARN_TRY(begin(&c, program, &program->filter, err));
    return compile_condition(&c, program->exprs[0], 0, &program->filter.filtered_selection);
}
