// Aggregates: the calls of expr.h, DISTINCT around any of them, and states as bytes.
//
// A DISTINCT state is a pointer to the set of values seen, then the plain state, which is told of
// each value once.

#include "expr/aggregates.h"

#include "base/varint.h"
#include "expr/function.h"
#include "expr/value_set.h"

#define DISTINCT_BYTES ((uint32_t)sizeof(expr_value_set *))

static bool is_exact(tarn_type type) {
    return tarn_type_is_integer(type) || type.id == TARN_TYPE_NUMERIC;
}

const expr_aggregate_ops *expr_aggregate_ops_of(const tarn_aggregate *aggregate) {
    switch (aggregate->function->kind) {
    case EXPR_AGGREGATE_COUNT: return &expr_count_ops;
    case EXPR_AGGREGATE_SUM:
    case EXPR_AGGREGATE_AVG:
        if (aggregate->arg_type.id == TARN_TYPE_INTERVAL) return &expr_sum_interval_ops;
        return is_exact(aggregate->arg_type) ? &expr_sum_exact_ops : &expr_sum_floating_ops;
    case EXPR_AGGREGATE_MIN:
    case EXPR_AGGREGATE_MAX:
        if (aggregate->retractable) return &expr_extreme_retractable_ops;
        return tarn_type_is_string(aggregate->arg_type) ? &expr_extreme_text_ops
                                                        : &expr_extreme_fixed_ops;
    case EXPR_AGGREGATE_BOOL_AND:
    case EXPR_AGGREGATE_BOOL_OR: return &expr_bool_ops;
    case EXPR_AGGREGATE_STDDEV_SAMP:
    case EXPR_AGGREGATE_STDDEV_POP:
    case EXPR_AGGREGATE_VAR_SAMP:
    case EXPR_AGGREGATE_VAR_POP: break;
    }
    return is_exact(aggregate->arg_type) ? &expr_variance_exact_ops : &expr_variance_floating_ops;
}

uint32_t expr_aggregate_state_bytes(const tarn_aggregate *aggregate) {
    uint32_t bytes = expr_aggregate_ops_of(aggregate)->state_bytes;
    return aggregate->distinct ? bytes + DISTINCT_BYTES : bytes;
}

void tarn_aggregate_init(const tarn_aggregate *aggregate, uint8_t *state) {
    memset(state, 0, aggregate->state_bytes);
}

// ---- update ----

static expr_agg_rows rows_of(const tarn_vector *arg, const tarn_chunk *chunk) {
    expr_agg_rows rows = {
        .selection = chunk->selection, .count = tarn_chunk_count(chunk), .kinds = chunk->kinds};
    if (arg == NULL) return rows;
    rows.type = arg->type;
    rows.validity = arg->validity;
    rows.data = arg->data;
    rows.stride = 1;
    if (arg->kind == TARN_VECTOR_DICTIONARY) {
        rows.indices = arg->indices;
        rows.data = arg->dictionary->data;
    } else if (arg->kind == TARN_VECTOR_CONSTANT) {
        rows.stride = 0;
        if (tarn_vector_is_null(arg, 0)) rows.count = 0;
        rows.validity = NULL;
    }
    return rows;
}

static expr_value_set *load_set(const uint8_t *state) {
    expr_value_set *set;
    memcpy(&set, state, sizeof set);
    return set;
}

static void store_set(uint8_t *state, expr_value_set *set) {
    memcpy(state, &set, sizeof set);
}

static tarn_value value_at(const expr_agg_rows *rows, size_t index) {
    void *data;
    memcpy(&data, &rows->data, sizeof data);
    tarn_vector vector = {.type = rows->type, .data = data};
    return tarn_vector_get(&vector, index);
}

// A value as the set knows it: as it lies in memory, with equal floats made alike; text as its
// bytes. Intervals that are equal in length may differ in their parts, so they take their sortable
// key.
static tarn_status key_at(const expr_agg_rows *rows, size_t index, tarn_buffer *scratch,
                          tarn_slice *ret_key, tarn_error *err) {
    tarn_assert(rows->data != NULL); // DISTINCT has an argument
    tarn_physical physical = tarn_type_physical(rows->type);
    if (physical == TARN_PHYSICAL_STRING) {
        *ret_key = tarn_string_slice((const tarn_string *)rows->data + index);
        return TARN_OK;
    }
    bool needs_key = physical == TARN_PHYSICAL_F32 || physical == TARN_PHYSICAL_F64 ||
                     physical == TARN_PHYSICAL_INTERVAL;
    if (!needs_key) {
        size_t width = tarn_type_width(rows->type);
        *ret_key = (tarn_slice){(const uint8_t *)rows->data + index * width, width};
        return TARN_OK;
    }
    tarn_buffer_clear(scratch);
    TARN_TRY(tarn_key_encode_value(value_at(rows, index), (tarn_key_order){0}, scratch, err));
    *ret_key = tarn_buffer_slice(scratch);
    return TARN_OK;
}

// The row of one value that a key stands for. `room` has the alignment of any value.
static tarn_status row_of_key(tarn_type type, tarn_slice key, tarn_arena *arena, void *room,
                              expr_agg_rows *ret_rows, tarn_error *err) {
    *ret_rows = (expr_agg_rows){.data = room, .type = type};
    switch (tarn_type_physical(type)) {
    case TARN_PHYSICAL_STRING: {
        tarn_string string = tarn_string_view(key);
        memcpy(room, &string, sizeof string);
        return TARN_OK;
    }
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_INTERVAL: {
        tarn_value value;
        TARN_TRY(tarn_key_decode(&key, type, (tarn_key_order){0}, arena, &value, err));
        tarn_vector vector = {.type = type, .data = room};
        tarn_vector_set(&vector, 0, value);
        return TARN_OK;
    }
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_I16:
    case TARN_PHYSICAL_I32:
    case TARN_PHYSICAL_I64:
    case TARN_PHYSICAL_I128: break;
    }
    tarn_assert(key.len == tarn_type_width(type));
    memcpy(room, key.data, key.len);
    return TARN_OK;
}

// Tells the plain state behind a set of one value that appears or vanishes.
static tarn_status forward(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                           const expr_agg_rows *rows, size_t index, uint8_t *state,
                           expr_presence presence, tarn_error *err) {
    if (presence == EXPR_PRESENCE_SAME) return TARN_OK;
    const uint8_t kind = presence == EXPR_PRESENCE_APPEARED ? TARN_ROW_INSERT : TARN_ROW_DELETE;
    size_t width = tarn_type_width(rows->type);
    uint8_t *plain = state + DISTINCT_BYTES;
    expr_agg_rows one = {.data = (const uint8_t *)rows->data + index * width,
                         .type = rows->type,
                         .count = 1,
                         .kinds = &kind,
                         .single = plain};
    return expr_aggregate_ops_of(aggregate)->update(aggregate, alloc, &one, err);
}

static tarn_status update_distinct(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                   const expr_agg_rows *rows, tarn_error *err) {
    tarn_buffer scratch = {.alloc = alloc};
    tarn_status status = TARN_OK;
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        if (status != TARN_OK) break;
        size_t index = at.index;
        tarn_slice key;
        status = key_at(rows, index, &scratch, &key, err);
        if (status != TARN_OK) break;
        expr_value_set *set = load_set(at.state);
        expr_presence presence;
        bool added = expr_value_set_add(&set, alloc, key, at.sign, &presence);
        store_set(at.state, set);
        status = added ? forward(aggregate, alloc, rows, index, at.state, presence, err)
                       : expr_no_memory(err);
    }
    tarn_buffer_free(&scratch);
    return status;
}

static tarn_status update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                          const expr_agg_rows *rows, tarn_error *err) {
    if (rows->kinds != NULL && !aggregate->retractable) {
        for (size_t i = 0; i < rows->count; i++) {
            if (expr_agg_sign(rows, expr_agg_row(rows, i)) > 0) continue;
            return tarn_fail(err, TARN_INVALID,
                             "aggregate " TARN_SLICE_FMT
                             " was not made for retractions, but a %s row came",
                             TARN_SLICE_ARG(aggregate->name),
                             tarn_row_kind_name(rows->kinds[expr_agg_row(rows, i)]));
        }
    }
    if (aggregate->distinct) return update_distinct(aggregate, alloc, rows, err);
    return expr_aggregate_ops_of(aggregate)->update(aggregate, alloc, rows, err);
}

tarn_status tarn_aggregate_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                  const tarn_vector *arg, const tarn_chunk *chunk,
                                  uint8_t *const *groups, size_t state_offset, tarn_error *err) {
    tarn_assert((arg != NULL) == aggregate->has_arg);
    expr_agg_rows rows = rows_of(arg, chunk);
    rows.groups = groups;
    rows.state_offset = state_offset;
    return update(aggregate, alloc, &rows, err);
}

tarn_status tarn_aggregate_update_one(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                      const tarn_vector *arg, const tarn_chunk *chunk,
                                      uint8_t *state, tarn_error *err) {
    tarn_assert((arg != NULL) == aggregate->has_arg);
    expr_agg_rows rows = rows_of(arg, chunk);
    rows.single = state;
    return update(aggregate, alloc, &rows, err);
}

// ---- merge ----

// A value of the source's set as a row for the plain state.
static tarn_status add_value(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                             uint8_t *state, tarn_slice key, int64_t count, tarn_error *err) {
    expr_value_set *set = load_set(state);
    expr_presence presence;
    bool added = expr_value_set_add(&set, alloc, key, count, &presence);
    store_set(state, set);
    if (!added) return expr_no_memory(err);
    if (presence == EXPR_PRESENCE_SAME) return TARN_OK;
    tarn_arena arena;
    tarn_arena_init(&arena, alloc, SIZE_MAX);
    tarn_int128 room;
    expr_agg_rows rows;
    tarn_status status = row_of_key(aggregate->arg_type, key, &arena, &room, &rows, err);
    if (status != TARN_OK) goto out;
    status = forward(aggregate, alloc, &rows, 0, state, presence, err);
out:
    tarn_arena_reset(&arena);
    return status;
}

tarn_status tarn_aggregate_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                 uint8_t *target, const uint8_t *source, tarn_error *err) {
    if (!aggregate->distinct) {
        return expr_aggregate_ops_of(aggregate)->merge(aggregate, alloc, target, source, err);
    }
    size_t cursor = 0;
    tarn_slice key;
    int64_t count;
    while (expr_value_set_next(load_set(source), &cursor, &key, &count)) {
        TARN_TRY(add_value(aggregate, alloc, target, key, count, err));
    }
    return TARN_OK;
}

// ---- finalize ----

tarn_status tarn_aggregate_finalize(const tarn_aggregate *aggregate, uint8_t *const *groups,
                                    size_t state_offset, size_t count, tarn_arena *arena,
                                    tarn_vector *ret_vector, tarn_error *err) {
    const expr_aggregate_ops *ops = expr_aggregate_ops_of(aggregate);
    if (aggregate->distinct) state_offset += DISTINCT_BYTES;
    tarn_vector result;
    TARN_TRY(tarn_vector_init_flat(&result, aggregate->type, count, arena, err));
    if (!aggregate->not_null) TARN_TRY(tarn_vector_make_validity(&result, count, arena, err));
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(ops->finalize(aggregate, groups[i] + state_offset, arena, &result, i, err));
    }
    *ret_vector = result;
    return TARN_OK;
}

void tarn_aggregate_destroy(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                            uint8_t *state) {
    const expr_aggregate_ops *ops = expr_aggregate_ops_of(aggregate);
    if (aggregate->distinct) {
        expr_value_set_free(load_set(state), alloc);
        if (ops->destroy != NULL) ops->destroy(alloc, state + DISTINCT_BYTES);
    } else if (ops->destroy != NULL) {
        ops->destroy(alloc, state);
    }
    memset(state, 0, aggregate->state_bytes);
}

bool tarn_aggregate_owns_memory(const tarn_aggregate *aggregate) {
    return aggregate->distinct || expr_aggregate_ops_of(aggregate)->destroy != NULL;
}

// ---- bytes ----

tarn_status expr_agg_put_number(tarn_buffer *out, int64_t number, tarn_error *err) {
    uint8_t bytes[TARN_VARINT_MAX_BYTES];
    size_t len = tarn_varint_encode(bytes, tarn_zigzag_encode(number));
    return tarn_buffer_append(out, (tarn_slice){bytes, len}) ? TARN_OK : expr_no_memory(err);
}

tarn_status expr_agg_put_bytes(tarn_buffer *out, tarn_slice bytes, tarn_error *err) {
    TARN_TRY(expr_agg_put_number(out, (int64_t)bytes.len, err));
    return tarn_buffer_append(out, bytes) ? TARN_OK : expr_no_memory(err);
}

static tarn_status fail_state(tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "the bytes of an aggregate's state end early");
}

tarn_status expr_agg_take_number(tarn_slice *bytes, int64_t *ret_number, tarn_error *err) {
    uint64_t number;
    if (!tarn_varint_decode(bytes, &number)) return fail_state(err);
    *ret_number = tarn_zigzag_decode(number);
    return TARN_OK;
}

tarn_status expr_agg_take_bytes(tarn_slice *bytes, tarn_slice *ret_bytes, tarn_error *err) {
    int64_t len;
    TARN_TRY(expr_agg_take_number(bytes, &len, err));
    if (len < 0 || (uint64_t)len > bytes->len) return fail_state(err);
    *ret_bytes = tarn_slice_head(*bytes, (size_t)len);
    *bytes = tarn_slice_skip(*bytes, (size_t)len);
    return TARN_OK;
}

static tarn_status encode_words(const uint8_t *state, uint32_t state_bytes, tarn_buffer *out,
                                tarn_error *err) {
    for (uint32_t at = 0; at < state_bytes; at += 8) {
        uint64_t word;
        memcpy(&word, state + at, sizeof word);
        uint8_t bytes[8];
        tarn_store_u64(bytes, word);
        if (!tarn_buffer_append(out, (tarn_slice){bytes, 8})) return expr_no_memory(err);
    }
    return TARN_OK;
}

static tarn_status decode_words(tarn_slice *bytes, uint32_t state_bytes, uint8_t *state,
                                tarn_error *err) {
    if (bytes->len < state_bytes) return fail_state(err);
    for (uint32_t at = 0; at < state_bytes; at += 8) {
        uint64_t word = tarn_load_u64(bytes->data + at);
        memcpy(state + at, &word, sizeof word);
    }
    *bytes = tarn_slice_skip(*bytes, state_bytes);
    return TARN_OK;
}

tarn_status tarn_aggregate_encode(const tarn_aggregate *aggregate, const uint8_t *state,
                                  tarn_buffer *out, tarn_error *err) {
    const expr_aggregate_ops *ops = expr_aggregate_ops_of(aggregate);
    if (aggregate->distinct) {
        const expr_value_set *set = load_set(state);
        TARN_TRY(expr_agg_put_number(out, (int64_t)expr_value_set_size(set), err));
        size_t cursor = 0;
        tarn_slice key;
        int64_t count;
        while (expr_value_set_next(set, &cursor, &key, &count)) {
            TARN_TRY(expr_agg_put_bytes(out, key, err));
            TARN_TRY(expr_agg_put_number(out, count, err));
        }
        state += DISTINCT_BYTES;
    }
    if (ops->encode == NULL) return encode_words(state, ops->state_bytes, out, err);
    return ops->encode(aggregate, state, out, err);
}

// Whether `key` can be one of this type: those of fixed width have it.
static bool is_key(tarn_type type, tarn_slice key) {
    tarn_physical physical = tarn_type_physical(type);
    bool is_raw = physical != TARN_PHYSICAL_STRING && physical != TARN_PHYSICAL_F32 &&
                  physical != TARN_PHYSICAL_F64 && physical != TARN_PHYSICAL_INTERVAL;
    return !is_raw || key.len == tarn_type_width(type);
}

static tarn_status decode_set(tarn_type type, const tarn_alloc *alloc, tarn_slice *bytes,
                              uint8_t *state, tarn_error *err) {
    int64_t size;
    TARN_TRY(expr_agg_take_number(bytes, &size, err));
    for (int64_t i = 0; i < size; i++) {
        tarn_slice key;
        int64_t count;
        TARN_TRY(expr_agg_take_bytes(bytes, &key, err));
        TARN_TRY(expr_agg_take_number(bytes, &count, err));
        if (!is_key(type, key)) {
            return tarn_fail(err, TARN_CORRUPT,
                             "a distinct value of an aggregate's state has %zu bytes", key.len);
        }
        expr_value_set *set = load_set(state);
        expr_presence presence;
        bool added = expr_value_set_add(&set, alloc, key, count, &presence);
        store_set(state, set);
        if (!added) return expr_no_memory(err);
    }
    return TARN_OK;
}

tarn_status tarn_aggregate_decode(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                  tarn_slice *bytes, uint8_t *state, tarn_error *err) {
    const expr_aggregate_ops *ops = expr_aggregate_ops_of(aggregate);
    tarn_aggregate_init(aggregate, state);
    tarn_slice rest = *bytes;
    uint8_t *plain = state;
    tarn_status status = TARN_OK;
    if (aggregate->distinct) {
        status = decode_set(aggregate->arg_type, alloc, &rest, state, err);
        if (status != TARN_OK) goto out;
        plain += DISTINCT_BYTES;
    }
    status = ops->decode == NULL ? decode_words(&rest, ops->state_bytes, plain, err)
                                 : ops->decode(aggregate, alloc, &rest, plain, err);
    if (status != TARN_OK) goto out;
    *bytes = rest;
out:
    if (status != TARN_OK) tarn_aggregate_destroy(aggregate, alloc, state);
    return status;
}
