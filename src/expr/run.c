// Running steps over the vectors of a chunk.

#include "expr/program.h"
#include "expr/tree.h"

#include "base/alloc.h"

// Dense kernels compute every row; below this share of selected rows the careful ones are cheaper.
#define DENSE_SHARE 4

typedef struct runner {
    tarn_program *program;
    expr_code *code;
    size_t row_count;
    tarn_arena *arena; // the caller's
    tarn_error *err;
} runner;

static tarn_arena *step_arena(const runner *r, const expr_step *step) {
    return step->is_output ? r->arena : &r->program->scratch_arena;
}

static tarn_status fail_at(const runner *r, const expr_step *step, tarn_status status) {
    if (step->expr != NULL) tarn_error_locate(r->err, NULL, step->expr->position);
    return status;
}

// ---- selections ----

// Which of `count` rows to compute: `selection` without the rows whose bit is 0.
static tarn_status valid_rows(const expr_selection *selection, const uint64_t *validity,
                              tarn_arena *arena, const uint32_t **ret_rows, size_t *ret_count,
                              tarn_error *err) {
    if (validity == NULL) {
        *ret_rows = selection->rows;
        *ret_count = selection->count;
        return TARN_OK;
    }
    uint32_t *rows = tarn_arena_new_raw(arena, uint32_t, selection->count + 1);
    if (rows == NULL) return expr_no_memory(err);
    size_t count = 0;
    for (size_t i = 0; i < selection->count; i++) {
        uint32_t row = selection->rows == NULL ? (uint32_t)i : selection->rows[i];
        rows[count] = row;
        count += tarn_bitmap_get(validity, row);
    }
    *ret_rows = rows;
    *ret_count = count;
    return TARN_OK;
}

// How a boolean passes: by value, and by being NULL.
static bool passes(expr_narrowing narrowing, bool is_null, bool value) {
    switch (narrowing) {
    case EXPR_NARROW_TRUE: return !is_null && value;
    case EXPR_NARROW_NOT_TRUE: return is_null || !value;
    case EXPR_NARROW_NOT_FALSE: return is_null || value;
    case EXPR_NARROW_NULL: return is_null;
    }
    return false;
}

static size_t narrow_all(const uint8_t *restrict values, uint8_t wanted, size_t count,
                         uint32_t *restrict out) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        out[kept] = (uint32_t)i;
        kept += values[i] == wanted;
    }
    return kept;
}

static size_t narrow_rows(const uint8_t *restrict values, uint8_t wanted,
                          const uint32_t *restrict rows, size_t count, uint32_t *restrict out) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t row = rows[i];
        out[kept] = row;
        kept += values[row] == wanted;
    }
    return kept;
}

static size_t narrow_nullable(const tarn_vector *vector, expr_narrowing narrowing,
                              const expr_selection *selection, uint32_t *out) {
    size_t kept = 0;
    const uint8_t *values = vector->data;
    bool reads_values = vector->kind == TARN_VECTOR_FLAT && narrowing != EXPR_NARROW_NULL;
    for (size_t i = 0; i < selection->count; i++) {
        uint32_t row = selection->rows == NULL ? (uint32_t)i : selection->rows[i];
        bool is_null = !tarn_bitmap_get(vector->validity, row);
        out[kept] = row;
        kept += passes(narrowing, is_null, reads_values && !is_null && values[row] != 0);
    }
    return kept;
}

static tarn_status flatten(const runner *r, const tarn_vector *source, tarn_vector *ret_vector) {
    return tarn_vector_flatten(source, NULL, r->row_count, &r->program->scratch_arena, ret_vector,
                               r->err);
}

static tarn_status run_narrow(const runner *r, const expr_step *step) {
    const expr_selection *selection = &r->code->selections[step->selection];
    expr_selection *out = &r->code->selections[step->out_selection];
    tarn_vector vector = r->code->registers[step->inputs[0]].vector;
    out->rows = selection->rows;
    out->count = 0;
    if (selection->count == 0) return TARN_OK;
    bool has_no_null = vector.validity == NULL;
    if (step->narrowing == EXPR_NARROW_NULL && has_no_null) return TARN_OK;
    if (vector.kind == TARN_VECTOR_CONSTANT) {
        bool is_null = tarn_vector_is_null(&vector, 0);
        bool value =
            !is_null && step->narrowing != EXPR_NARROW_NULL && *(const uint8_t *)vector.data != 0;
        if (passes(step->narrowing, is_null, value)) out->count = selection->count;
        return TARN_OK;
    }
    if (vector.kind == TARN_VECTOR_DICTIONARY && step->narrowing != EXPR_NARROW_NULL) {
        TARN_TRY(flatten(r, &vector, &vector));
    }
    // A filter hands its rows out; other selections are for the steps behind this one.
    tarn_arena *arena = r->code == &r->program->filter ? r->arena : &r->program->scratch_arena;
    uint32_t *rows = tarn_arena_new_raw(arena, uint32_t, selection->count + 1);
    if (rows == NULL) return expr_no_memory(r->err);
    uint8_t wanted = step->narrowing != EXPR_NARROW_NOT_TRUE;
    if (!has_no_null) {
        out->count = narrow_nullable(&vector, step->narrowing, selection, rows);
    } else if (selection->rows == NULL) {
        out->count = narrow_all(vector.data, wanted, selection->count, rows);
    } else {
        out->count = narrow_rows(vector.data, wanted, selection->rows, selection->count, rows);
    }
    // All passed: keep the parent's list, which may be the faster "all rows".
    if (out->count < selection->count) out->rows = rows;
    return TARN_OK;
}

// ---- moves ----

static tarn_status run_reserve(const runner *r, const expr_step *step) {
    tarn_vector *out = &r->code->registers[step->out].vector;
    return tarn_vector_init_flat(out, step->expr->type, r->row_count, step_arena(r, step), r->err);
}

#define DEFINE_MOVE(name, type)                                                     \
    static void name(type *restrict out, const type *restrict in, size_t in_step,   \
                     const expr_selection *selection) {                             \
        if (selection->rows == NULL) {                                              \
            for (size_t i = 0; i < selection->count; i++) out[i] = in[i * in_step]; \
            return;                                                                 \
        }                                                                           \
        for (size_t i = 0; i < selection->count; i++) {                             \
            size_t row = selection->rows[i];                                        \
            out[row] = in[row * in_step];                                           \
        }                                                                           \
    }
typedef struct two_words {
    uint64_t words[2];
} two_words;
DEFINE_MOVE(move_8, uint8_t)
DEFINE_MOVE(move_16, uint16_t)
DEFINE_MOVE(move_32, uint32_t)
DEFINE_MOVE(move_64, uint64_t)
DEFINE_MOVE(move_128, two_words)

static void move_values(void *out, const void *in, size_t in_step, size_t width,
                        const expr_selection *selection) {
    switch (width) {
    case 1: move_8(out, in, in_step, selection); break;
    case 2: move_16(out, in, in_step, selection); break;
    case 4: move_32(out, in, in_step, selection); break;
    case 8: move_64(out, in, in_step, selection); break;
    default: tarn_assert(width == 16); move_128(out, in, in_step, selection);
    }
}

static tarn_status move_validity(const runner *r, const expr_step *step, tarn_vector *out,
                                 const tarn_vector *in, const expr_selection *selection) {
    if (in->validity == NULL && out->validity == NULL) return TARN_OK;
    TARN_TRY(tarn_vector_make_validity(out, r->row_count, step_arena(r, step), r->err));
    for (size_t i = 0; i < selection->count; i++) {
        size_t row = selection->rows == NULL ? i : selection->rows[i];
        tarn_bitmap_assign(out->validity, row, !tarn_vector_is_null(in, row));
    }
    return TARN_OK;
}

static tarn_status run_move(const runner *r, const expr_step *step) {
    const expr_selection *selection = &r->code->selections[step->selection];
    if (selection->count == 0) return TARN_OK;
    tarn_vector *out = &r->code->registers[step->out].vector;
    tarn_vector in = r->code->registers[step->inputs[0]].vector;
    if (in.kind == TARN_VECTOR_DICTIONARY) TARN_TRY(flatten(r, &in, &in));
    TARN_TRY(move_validity(r, step, out, &in, selection));
    if (in.kind == TARN_VECTOR_CONSTANT && tarn_vector_is_null(&in, 0)) return TARN_OK;
    move_values(out->data, in.data, expr_stride(&in), tarn_type_width(out->type), selection);
    return TARN_OK;
}

// ---- three-valued logic ----

// out = out AND in (or OR), where `deciding` is the value that decides alone.
static tarn_status run_logic(const runner *r, const expr_step *step, uint8_t deciding) {
    const expr_selection *selection = &r->code->selections[step->selection];
    if (selection->count == 0) return TARN_OK;
    tarn_vector *out = &r->code->registers[step->out].vector;
    tarn_vector in = r->code->registers[step->inputs[0]].vector;
    if (in.kind == TARN_VECTOR_DICTIONARY) TARN_TRY(flatten(r, &in, &in));
    uint8_t *restrict values = out->data;
    const uint8_t *restrict operand = in.data;
    size_t operand_step = expr_stride(&in);
    if (in.validity == NULL && out->validity == NULL) {
        // No row is here whose `out` has decided already, so the operand alone is the result.
        move_values(values, operand, operand_step, 1, selection);
        return TARN_OK;
    }
    TARN_TRY(tarn_vector_make_validity(out, r->row_count, step_arena(r, step), r->err));
    for (size_t i = 0; i < selection->count; i++) {
        size_t row = selection->rows == NULL ? i : selection->rows[i];
        if (tarn_vector_is_null(&in, row)) {
            tarn_bitmap_unset(out->validity, row); // undecided and NULL give NULL
        } else if (operand[row * operand_step] == deciding) {
            values[row] = deciding;
            tarn_bitmap_set(out->validity, row);
        } else if (tarn_bitmap_get(out->validity, row)) {
            values[row] = (uint8_t)!deciding;
        }
    }
    return TARN_OK;
}

#define DEFINE_CHOOSE(name, type)                                                             \
    static void name(const uint8_t *restrict conditions, type yes, type no, size_t row_count, \
                     type *restrict out) {                                                    \
        for (size_t i = 0; i < row_count; i++) out[i] = conditions[i] != 0 ? yes : no;        \
    }
DEFINE_CHOOSE(choose_8, uint8_t)
DEFINE_CHOOSE(choose_16, uint16_t)
DEFINE_CHOOSE(choose_32, uint32_t)
DEFINE_CHOOSE(choose_64, uint64_t)
DEFINE_CHOOSE(choose_128, two_words)

#define CHOOSE(bits, type)                                                                     \
    choose_##bits(conditions, *(const type *)yes->data, *(const type *)no->data, r->row_count, \
                  out->data)

static tarn_status run_choose(const runner *r, const expr_step *step) {
    tarn_vector *out = &r->code->registers[step->out].vector;
    tarn_vector condition = r->code->registers[step->inputs[0]].vector;
    const tarn_vector *yes = &r->code->registers[step->inputs[1]].vector;
    const tarn_vector *no = &r->code->registers[step->inputs[2]].vector;
    if (condition.kind == TARN_VECTOR_CONSTANT) {
        bool is_true = !tarn_vector_is_null(&condition, 0) && *(const uint8_t *)condition.data != 0;
        *out = is_true ? *yes : *no;
        return TARN_OK;
    }
    if (condition.kind == TARN_VECTOR_DICTIONARY) TARN_TRY(flatten(r, &condition, &condition));
    TARN_TRY(
        tarn_vector_init_flat(out, step->expr->type, r->row_count, step_arena(r, step), r->err));
    const uint8_t *conditions = condition.data;
    if (condition.validity != NULL) { // NULL counts as false
        uint8_t *known = tarn_arena_new_raw(&r->program->scratch_arena, uint8_t, r->row_count + 1);
        if (known == NULL) return expr_no_memory(r->err);
        for (size_t i = 0; i < r->row_count; i++) {
            known[i] = conditions[i] & (uint8_t)tarn_bitmap_get(condition.validity, i);
        }
        conditions = known;
    }
    switch (tarn_type_width(step->expr->type)) {
    case 1: CHOOSE(8, uint8_t); break;
    case 2: CHOOSE(16, uint16_t); break;
    case 4: CHOOSE(32, uint32_t); break;
    case 8: CHOOSE(64, uint64_t); break;
    default: CHOOSE(128, two_words);
    }
    return TARN_OK;
}

// ---- calls ----

tarn_status expr_set_null(const expr_frame *frame, size_t row) {
    TARN_TRY(tarn_vector_make_validity(frame->result, frame->row_count, frame->arena, frame->err));
    tarn_bitmap_unset(frame->result->validity, row);
    return TARN_OK;
}

// A call over flat and constant arguments, of which a strict function has no constant NULL.
static tarn_status run_kernel(const runner *r, const expr_step *step, const expr_selection *rows,
                              expr_frame *frame) {
    const tarn_function *function = step->function;
    frame->prepared = step->prepared;
    frame->now_us = r->program->now_us;
    frame->err = r->err;
    bool is_strict = (function->flags & EXPR_TAKES_NULLS) == 0;
    tarn_arena *scratch = &r->program->scratch_arena;
    if (function->dense != NULL && rows->count >= frame->row_count / DENSE_SHARE) {
        frame->rows = NULL;
        frame->count = frame->row_count;
        if (function->dense(frame)) return TARN_OK;
    }
    TARN_TRY(valid_rows(rows, is_strict ? frame->result->validity : NULL, scratch, &frame->rows,
                        &frame->count, r->err));
    if (frame->count == 0) return TARN_OK;
    return function->kernel(frame);
}

// A row of the result is NULL where an argument is.
static tarn_status combine_validity(const expr_frame *frame, tarn_arena *arena, tarn_error *err) {
    size_t words = TARN_BITMAP_WORDS(frame->row_count);
    for (size_t a = 0; a < frame->arg_count; a++) {
        const tarn_vector *arg = &frame->args[a];
        if (arg->validity == NULL || arg->kind == TARN_VECTOR_CONSTANT) continue;
        tarn_vector *result = frame->result;
        if (result->validity == NULL) {
            result->validity = tarn_arena_new_raw(arena, uint64_t, words);
            if (result->validity == NULL) return expr_no_memory(err);
            memcpy(result->validity, arg->validity, words * sizeof(uint64_t));
        } else {
            for (size_t w = 0; w < words; w++) result->validity[w] &= arg->validity[w];
        }
    }
    return TARN_OK;
}

static tarn_status set_constant_null(const runner *r, const expr_step *step) {
    return tarn_vector_init_constant(&r->code->registers[step->out].vector,
                                     tarn_value_null(step->expr->type), step_arena(r, step),
                                     r->err);
}

static tarn_status run_constant(const runner *r, const expr_step *step, const tarn_vector *args) {
    tarn_vector result;
    TARN_TRY(tarn_vector_init_flat(&result, step->expr->type, 1, step_arena(r, step), r->err));
    expr_frame frame = {.args = args,
                        .arg_count = step->input_count,
                        .row_count = 1,
                        .result = &result,
                        .arena = r->arena};
    const expr_selection one = {.count = 1};
    TARN_TRY(run_kernel(r, step, &one, &frame));
    result.kind = TARN_VECTOR_CONSTANT;
    r->code->registers[step->out].vector = result;
    return TARN_OK;
}

static tarn_status run_rows(const runner *r, const expr_step *step, tarn_vector *args) {
    tarn_vector result;
    bool any_layout = (step->function->flags & EXPR_ANY_LAYOUT) != 0;
    for (size_t i = 0; i < step->input_count && !any_layout; i++) {
        if (args[i].kind == TARN_VECTOR_DICTIONARY) TARN_TRY(flatten(r, &args[i], &args[i]));
    }
    tarn_arena *arena = step_arena(r, step);
    TARN_TRY(tarn_vector_init_flat(&result, step->expr->type, r->row_count, arena, r->err));
    expr_frame frame = {.args = args,
                        .arg_count = step->input_count,
                        .row_count = r->row_count,
                        .result = &result,
                        .arena = r->arena};
    if ((step->function->flags & EXPR_TAKES_NULLS) == 0) {
        TARN_TRY(combine_validity(&frame, arena, r->err));
    }
    TARN_TRY(run_kernel(r, step, &r->code->selections[step->selection], &frame));
    r->code->registers[step->out].vector = result;
    return TARN_OK;
}

// ---- dictionaries ----

static void drop_cache(expr_dictionary_cache *cache) {
    tarn_dictionary_unref(cache->results);
    cache->results = NULL;
    cache->is_filled = false;
    cache->has_failed = false;
    cache->rows_seen = 0;
    tarn_arena_clear(&cache->arena);
}

// Text results as a dictionary of their own. They may view the source's bytes, which need not live
// as long, so all bytes are copied.
static tarn_status keep_results(const runner *r, expr_dictionary_cache *cache,
                                const tarn_vector *values, uint32_t count) {
    tarn_dictionary *results = NULL;
    void *strings = NULL;
    tarn_status status =
        tarn_dictionary_new(r->program->alloc, values->type, count, &strings, &results, r->err);
    if (status != TARN_OK) goto out;
    for (uint32_t i = 0; i < count; i++) {
        tarn_string string = ((const tarn_string *)values->data)[i];
        tarn_slice copy;
        if (string.len > TARN_STRING_INLINE_BYTES) {
            if (!tarn_arena_copy(&results->arena, tarn_string_slice(&string), &copy)) {
                status = expr_no_memory(r->err);
                goto out;
            }
            string = tarn_string_view(copy);
        }
        ((tarn_string *)strings)[i] = string;
    }
    cache->results = results;
    results = NULL;
out:
    tarn_dictionary_unref(results);
    return status;
}

// Computes the function over all values of the dictionary. A value without result (1/0) is no
// error here: perhaps no row has it.
static tarn_status fill_cache(const runner *r, const expr_step *step, size_t open,
                              tarn_vector *args) {
    expr_dictionary_cache *cache = step->cache;
    const tarn_dictionary *dictionary = args[open].dictionary;
    tarn_vector result;
    TARN_TRY(
        tarn_vector_init_flat(&result, step->expr->type, dictionary->count, &cache->arena, r->err));
    tarn_vector all_args[EXPR_ARGS_MAX];
    memcpy(all_args, args, step->input_count * sizeof *args);
    void *data;
    memcpy(&data, &dictionary->data, sizeof data);
    all_args[open] = (tarn_vector){.type = args[open].type, .data = data};
    expr_frame frame = {.args = all_args,
                        .arg_count = step->input_count,
                        .row_count = dictionary->count,
                        .result = &result,
                        .arena = &cache->arena};
    const expr_selection all = {.count = dictionary->count};
    tarn_status status = run_kernel(r, step, &all, &frame);
    if (status == TARN_NO_MEMORY) return status;
    if (status != TARN_OK) {
        cache->has_failed = true;
        if (r->err != NULL) *r->err = (tarn_error){.status = TARN_OK};
        return TARN_OK;
    }
    cache->values = result.data;
    cache->validity = result.validity;
    if (tarn_type_is_string(result.type) && result.validity == NULL) {
        TARN_TRY(keep_results(r, cache, &result, dictionary->count));
    }
    cache->is_filled = true;
    return TARN_OK;
}

#define DEFINE_SPREAD(name, type)                                                       \
    static void name(const type *restrict values, const uint32_t *restrict indices,     \
                     const uint32_t *restrict rows, size_t count, type *restrict out) { \
        if (rows == NULL) {                                                             \
            for (size_t i = 0; i < count; i++) out[i] = values[indices[i]];             \
            return;                                                                     \
        }                                                                               \
        for (size_t i = 0; i < count; i++) out[rows[i]] = values[indices[rows[i]]];     \
    }
DEFINE_SPREAD(spread_8, uint8_t)
DEFINE_SPREAD(spread_16, uint16_t)
DEFINE_SPREAD(spread_32, uint32_t)
DEFINE_SPREAD(spread_64, uint64_t)
DEFINE_SPREAD(spread_128, two_words)

static void spread(const void *values, const uint32_t *indices, const uint32_t *rows, size_t count,
                   size_t width, void *out) {
    switch (width) {
    case 1: spread_8(values, indices, rows, count, out); break;
    case 2: spread_16(values, indices, rows, count, out); break;
    case 4: spread_32(values, indices, rows, count, out); break;
    case 8: spread_64(values, indices, rows, count, out); break;
    default: spread_128(values, indices, rows, count, out);
    }
}

static tarn_status use_cache(const runner *r, const expr_step *step, const tarn_vector *arg) {
    const expr_dictionary_cache *cache = step->cache;
    tarn_vector *out = &r->code->registers[step->out].vector;
    if (cache->results != NULL && cache->validity == NULL) {
        *out = *arg;
        out->type = step->expr->type;
        out->dictionary = cache->results;
        return TARN_OK;
    }
    tarn_arena *arena = step_arena(r, step);
    tarn_vector result;
    TARN_TRY(tarn_vector_init_flat(&result, step->expr->type, r->row_count, arena, r->err));
    const tarn_vector args[] = {*arg};
    expr_frame frame = {.args = args, .arg_count = 1, .row_count = r->row_count, .result = &result};
    TARN_TRY(combine_validity(&frame, arena, r->err));
    const uint32_t *rows;
    size_t count;
    TARN_TRY(valid_rows(&r->code->selections[step->selection], result.validity,
                        &r->program->scratch_arena, &rows, &count, r->err));
    spread(cache->values, arg->indices, rows, count, tarn_type_width(result.type), result.data);
    if (cache->validity != NULL) {
        TARN_TRY(tarn_vector_make_validity(&result, r->row_count, arena, r->err));
        for (size_t i = 0; i < count; i++) {
            size_t row = rows == NULL ? i : rows[i];
            if (tarn_bitmap_get(cache->validity, arg->indices[row])) continue;
            tarn_bitmap_unset(result.validity, row);
        }
    }
    *out = result;
    return TARN_OK;
}

// Computes once per dictionary value where the rows so far are as many as the values.
static tarn_status run_dictionary(const runner *r, const expr_step *step, size_t open,
                                  tarn_vector *args, bool *ret_done) {
    expr_dictionary_cache *cache = step->cache;
    const tarn_dictionary *dictionary = args[open].dictionary;
    if (cache->dictionary_id != dictionary->id) {
        drop_cache(cache);
        cache->dictionary_id = dictionary->id;
    }
    cache->rows_seen += r->code->selections[step->selection].count;
    *ret_done = false;
    if (cache->has_failed) return TARN_OK;
    if (!cache->is_filled) {
        if (cache->rows_seen < dictionary->count) return TARN_OK;
        TARN_TRY(fill_cache(r, step, open, args));
        if (!cache->is_filled) return TARN_OK;
    }
    *ret_done = true;
    return use_cache(r, step, &args[open]);
}

static tarn_status run_call_of(const runner *r, const expr_step *step, tarn_vector *args) {
    bool is_strict = (step->function->flags & EXPR_TAKES_NULLS) == 0;
    bool all_constant = true;
    size_t open = SIZE_MAX; // the argument that is no constant
    for (size_t i = 0; i < step->input_count; i++) {
        args[i] = r->code->registers[step->inputs[i]].vector;
        if (args[i].kind != TARN_VECTOR_CONSTANT) {
            all_constant = false;
            open = i;
        } else if (is_strict && tarn_vector_is_null(&args[i], 0)) {
            return set_constant_null(r, step);
        }
    }
    if (all_constant) return run_constant(r, step, args);
    bool by_value = step->cache != NULL && args[open].kind == TARN_VECTOR_DICTIONARY &&
                    (is_strict || args[open].validity == NULL);
    if (by_value) {
        bool done;
        TARN_TRY(run_dictionary(r, step, open, args, &done));
        if (done) return TARN_OK;
    }
    return run_rows(r, step, args);
}

static tarn_status run_call(const runner *r, const expr_step *step) {
    if (r->code->selections[step->selection].count == 0) return set_constant_null(r, step);
    tarn_vector few[EXPR_ARGS_MAX];
    tarn_vector *args = few;
    if (step->input_count > EXPR_ARGS_MAX) {
        args = tarn_arena_new(&r->program->scratch_arena, tarn_vector, step->input_count);
        if (args == NULL) return expr_no_memory(r->err);
    }
    return run_call_of(r, step, args);
}

static tarn_status run_step(const runner *r, const expr_step *step) {
    switch (step->kind) {
    case EXPR_STEP_CALL: return run_call(r, step);
    case EXPR_STEP_CHOOSE: return run_choose(r, step);
    case EXPR_STEP_NARROW: return run_narrow(r, step);
    case EXPR_STEP_RESERVE: return run_reserve(r, step);
    case EXPR_STEP_MOVE: return run_move(r, step);
    case EXPR_STEP_AND: return run_logic(r, step, 0);
    case EXPR_STEP_OR: return run_logic(r, step, 1);
    }
    return TARN_OK;
}

tarn_status expr_run(tarn_program *program, expr_code *code, const tarn_chunk *chunk,
                     tarn_arena *arena, tarn_error *err) {
    runner r = {program, code, chunk->row_count, arena, err};
    tarn_arena_clear(&program->scratch_arena);
    code->selections[0].rows = chunk->selection;
    code->selections[0].count = tarn_chunk_count(chunk);
    for (size_t i = 0; i < code->register_count; i++) {
        expr_register *reg = &code->registers[i];
        if (reg->kind != EXPR_REGISTER_COLUMN) continue;
        tarn_assert(reg->column < chunk->column_count);
        reg->vector = chunk->columns[reg->column];
    }
    for (size_t i = 0; i < code->step_count; i++) {
        tarn_status status = run_step(&r, &code->steps[i]);
        if (status != TARN_OK) return fail_at(&r, &code->steps[i], status);
    }
    return TARN_OK;
}

// ---- programs ----

static void drop_caches(expr_code *code) {
    for (size_t i = 0; i < code->step_count; i++) {
        expr_dictionary_cache *cache = code->steps[i].cache;
        if (cache == NULL) continue;
        drop_cache(cache);
        tarn_arena_reset(&cache->arena);
    }
}

#define CODE_BYTES_MAX    ((size_t)256 << 20)
#define SCRATCH_BYTES_MAX ((size_t)1 << 30)

tarn_status tarn_program_new(const tarn_alloc *alloc, const tarn_expr *const *exprs,
                             size_t expr_count, tarn_program **ret_program, tarn_error *err) {
    tarn_program *program = tarn_alloc_new(alloc, tarn_program, 1);
    if (program == NULL) return expr_no_memory(err);
    program->alloc = alloc;
    program->expr_count = expr_count;
    tarn_arena_init(&program->code_arena, alloc, CODE_BYTES_MAX);
    tarn_arena_init(&program->scratch_arena, alloc, SCRATCH_BYTES_MAX);
    tarn_status status = TARN_OK;
    const tarn_expr **copies =
        tarn_arena_new(&program->code_arena, const tarn_expr *, expr_count + 1);
    if (copies == NULL) {
        status = expr_no_memory(err);
        goto out;
    }
    for (size_t i = 0; i < expr_count; i++) copies[i] = exprs[i];
    program->exprs = copies;
    status = expr_compile_values(program, err);
    if (status != TARN_OK) goto out;
    if (expr_count == 1 && exprs[0]->type.id == TARN_TYPE_BOOLEAN) {
        status = expr_compile_filter(program, err);
        if (status != TARN_OK) goto out;
    }
    *ret_program = program;
    program = NULL;
out:
    tarn_program_free(program);
    return status;
}

void tarn_program_free(tarn_program *program) {
    if (program == NULL) return;
    drop_caches(&program->values);
    drop_caches(&program->filter);
    tarn_arena_reset(&program->scratch_arena);
    tarn_arena_reset(&program->code_arena);
    tarn_alloc_free(program->alloc, program, 1);
}

void tarn_program_set_context(tarn_program *program, tarn_eval_context context) {
    program->now_us = context.now_us;
}

tarn_status tarn_program_eval(tarn_program *program, const tarn_chunk *chunk, tarn_arena *arena,
                              tarn_vector *ret_vectors, tarn_error *err) {
    TARN_TRY(expr_run(program, &program->values, chunk, arena, err));
    for (size_t i = 0; i < program->expr_count; i++) {
        const expr_register *reg = &program->values.registers[program->values.outputs[i]];
        ret_vectors[i] = reg->vector;
        if (reg->vector.kind != TARN_VECTOR_CONSTANT) continue;
        // Literals live in the program; results outlive it.
        TARN_TRY(tarn_vector_init_constant(&ret_vectors[i], tarn_vector_get(&reg->vector, 0), arena,
                                           err));
    }
    return TARN_OK;
}

tarn_status tarn_program_filter(tarn_program *program, const tarn_chunk *chunk, tarn_arena *arena,
                                tarn_chunk *ret_chunk, tarn_error *err) {
    expr_code *code = &program->filter;
    tarn_assert(code->selection_count > 0); // one boolean expression
    TARN_TRY(expr_run(program, code, chunk, arena, err));
    const expr_selection *passed = &code->selections[code->filtered_selection];
    tarn_chunk filtered = *chunk;
    if (passed->count < tarn_chunk_count(chunk)) {
        filtered.selection = passed->rows;
        filtered.selected_count = passed->count;
    }
    // Nothing passed on the way: there may be no list, but there must be one to say so.
    static const uint32_t no_rows[1];
    if (passed->count == 0) filtered.selection = no_rows;
    if (passed->count == 0) filtered.selected_count = 0;
    *ret_chunk = filtered;
    return TARN_OK;
}

tarn_status tarn_expr_evaluate(const tarn_expr *expr, tarn_eval_context context, tarn_arena *arena,
                               tarn_value *ret_value, tarn_error *err) {
    tarn_program *program = NULL;
    tarn_status status = tarn_program_new(&tarn_alloc_libc, &expr, 1, &program, err);
    if (status != TARN_OK) goto out;
    tarn_program_set_context(program, context);
    const tarn_chunk one_row = {.row_count = 1};
    tarn_vector vector;
    status = tarn_program_eval(program, &one_row, arena, &vector, err);
    if (status != TARN_OK) goto out;
    tarn_value value = tarn_vector_get(&vector, 0);
    status = tarn_value_copy(value, arena, ret_value, err);
out:
    tarn_program_free(program);
    return status;
}
