// min and max. Without retractions the best value so far is the state; with them all values are
// kept, in order, and the best is at an end.

#include "base/alloc.h"
#include "expr/aggregates.h"
#include "expr/function.h"
#include "expr/multiset.h"

static int wanted_sign(const tarn_aggregate *aggregate) {
    return aggregate->function->kind == EXPR_AGGREGATE_MAX ? 1 : -1;
}

// ---- fixed-width values ----

typedef struct fixed_state {
    int64_t count; // 0: no value yet
    uint64_t value[2];
} fixed_state;

static int order_values(tarn_type type, const void *a, const void *b) {
    uint64_t left[2];
    uint64_t right[2]; // values are aligned as their type asks, which states are not
    size_t width = tarn_type_width(type);
    memcpy(left, a, width);
    memcpy(right, b, width);
    tarn_vector first = {.type = type, .data = left};
    tarn_vector second = {.type = type, .data = right};
    return tarn_value_compare(tarn_vector_get(&first, 0), tarn_vector_get(&second, 0));
}

#define DEFINE_EXTREME(type)                                                            \
    static inline void offer_##type(uint8_t *state, type value, bool is_max) {          \
        fixed_state *group = (fixed_state *)(void *)state;                              \
        type best;                                                                      \
        memcpy(&best, group->value, sizeof best);                                       \
        bool is_better = is_max ? value > best : value < best;                          \
        if (group->count == 0 || is_better) memcpy(group->value, &value, sizeof value); \
        group->count++;                                                                 \
    }                                                                                   \
    static void extreme_##type(const expr_agg_rows *rows, bool is_max) {                \
        const type *values = rows->data;                                                \
        if (expr_agg_is_plain(rows) && rows->groups != NULL) {                          \
            for (size_t i = 0; i < rows->count; i++) {                                  \
                offer_##type(rows->groups[i] + rows->state_offset, values[i], is_max);  \
            }                                                                           \
            return;                                                                     \
        }                                                                               \
        for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {                     \
            offer_##type(at.state, values[at.index], is_max);                           \
        }                                                                               \
    }
DEFINE_EXTREME(int16_t)
DEFINE_EXTREME(int32_t)
DEFINE_EXTREME(int64_t)

static void extreme_any(const tarn_aggregate *aggregate, const expr_agg_rows *rows) {
    size_t width = tarn_type_width(aggregate->arg_type);
    int wanted = wanted_sign(aggregate);
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        fixed_state *group = (fixed_state *)(void *)at.state;
        const uint8_t *value = (const uint8_t *)rows->data + at.index * width;
        if (group->count == 0 ||
            order_values(aggregate->arg_type, value, group->value) * wanted > 0) {
            memcpy(group->value, value, width);
        }
        group->count += at.sign;
    }
}

static tarn_status fixed_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                const expr_agg_rows *rows, tarn_error *err) {
    (void)alloc;
    (void)err;
    bool is_max = aggregate->function->kind == EXPR_AGGREGATE_MAX;
    switch (tarn_type_physical(aggregate->arg_type)) {
    case TARN_PHYSICAL_I16: extreme_int16_t(rows, is_max); break;
    case TARN_PHYSICAL_I32: extreme_int32_t(rows, is_max); break;
    case TARN_PHYSICAL_I64: extreme_int64_t(rows, is_max); break;
    case TARN_PHYSICAL_BOOL:
    case TARN_PHYSICAL_I128:
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64:
    case TARN_PHYSICAL_INTERVAL: extreme_any(aggregate, rows); break;
    case TARN_PHYSICAL_STRING: tarn_assert(false);
    }
    return TARN_OK;
}

static tarn_status fixed_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                               uint8_t *target, const uint8_t *source, tarn_error *err) {
    (void)alloc;
    (void)err;
    fixed_state *best = (fixed_state *)(void *)target;
    const fixed_state *more = (const fixed_state *)(const void *)source;
    if (more->count == 0) return TARN_OK;
    if (best->count == 0 ||
        order_values(aggregate->arg_type, more->value, best->value) * wanted_sign(aggregate) > 0) {
        memcpy(best->value, more->value, sizeof best->value);
    }
    best->count += more->count;
    return TARN_OK;
}

static tarn_status fixed_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                  tarn_arena *arena, tarn_vector *result, size_t row,
                                  tarn_error *err) {
    (void)arena;
    (void)err;
    const fixed_state *group = (const fixed_state *)(const void *)state;
    size_t width = tarn_type_width(aggregate->type);
    if (group->count == 0) {
        tarn_bitmap_unset(result->validity, row);
    } else {
        memcpy((uint8_t *)result->data + row * width, group->value, width);
    }
    return TARN_OK;
}

const expr_aggregate_ops expr_extreme_fixed_ops = {.state_bytes = sizeof(fixed_state),
                                                   .update = fixed_update,
                                                   .merge = fixed_merge,
                                                   .finalize = fixed_finalize};

// ---- text ----

typedef struct text_state {
    uint8_t *bytes; // owned; NULL: no value yet
    uint64_t len;
    uint64_t capacity; // of bytes, at least 1
} text_state;

static tarn_status keep_text(text_state *group, const tarn_alloc *alloc, tarn_slice text,
                             tarn_error *err) {
    if (group->bytes == NULL || group->capacity < text.len) {
        size_t capacity = text.len < 16 ? 16 : text.len;
        uint8_t *bytes = tarn_alloc_new(alloc, uint8_t, capacity);
        if (bytes == NULL) return expr_no_memory(err);
        tarn_alloc_release(alloc, group->bytes, 1, group->capacity);
        group->bytes = bytes;
        group->capacity = capacity;
    }
    if (text.len > 0) memcpy(group->bytes, text.data, text.len);
    group->len = text.len;
    return TARN_OK;
}

static tarn_status offer_text(const tarn_aggregate *aggregate, text_state *group,
                              const tarn_alloc *alloc, tarn_slice text, tarn_error *err) {
    tarn_slice best = {group->bytes, group->len};
    bool is_better =
        group->bytes == NULL || tarn_slice_compare(text, best) * wanted_sign(aggregate) > 0;
    return is_better ? keep_text(group, alloc, text, err) : TARN_OK;
}

static tarn_status text_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                               const expr_agg_rows *rows, tarn_error *err) {
    const tarn_string *values = rows->data;
    tarn_status status = TARN_OK;
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        tarn_assert(at.sign > 0);
        if (status != TARN_OK) break;
        status = offer_text(aggregate, (text_state *)(void *)at.state, alloc,
                            tarn_string_slice(&values[at.index]), err);
    }
    return status;
}

static tarn_status text_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                              uint8_t *target, const uint8_t *source, tarn_error *err) {
    const text_state *more = (const text_state *)(const void *)source;
    if (more->bytes == NULL) return TARN_OK;
    return offer_text(aggregate, (text_state *)(void *)target, alloc,
                      (tarn_slice){more->bytes, more->len}, err);
}

static tarn_status text_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                 tarn_arena *arena, tarn_vector *result, size_t row,
                                 tarn_error *err) {
    (void)aggregate;
    const text_state *group = (const text_state *)(const void *)state;
    if (group->bytes == NULL) {
        tarn_bitmap_unset(result->validity, row);
        return TARN_OK;
    }
    tarn_slice copy;
    if (!tarn_arena_copy(arena, (tarn_slice){group->bytes, group->len}, &copy)) {
        return expr_no_memory(err);
    }
    ((tarn_string *)result->data)[row] = tarn_string_view(copy);
    return TARN_OK;
}

static tarn_status text_encode(const tarn_aggregate *aggregate, const uint8_t *state,
                               tarn_buffer *out, tarn_error *err) {
    (void)aggregate;
    const text_state *group = (const text_state *)(const void *)state;
    TARN_TRY(expr_agg_put_number(out, group->bytes != NULL, err));
    if (group->bytes == NULL) return TARN_OK;
    return expr_agg_put_bytes(out, (tarn_slice){group->bytes, group->len}, err);
}

static tarn_status text_decode(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                               tarn_slice *bytes, uint8_t *state, tarn_error *err) {
    (void)aggregate;
    int64_t has_value;
    TARN_TRY(expr_agg_take_number(bytes, &has_value, err));
    if (has_value == 0) return TARN_OK;
    tarn_slice text;
    TARN_TRY(expr_agg_take_bytes(bytes, &text, err));
    return keep_text((text_state *)(void *)state, alloc, text, err);
}

// NOLINTNEXTLINE(readability-non-const-parameter): the type of expr_aggregate_ops.destroy
static void text_destroy(const tarn_alloc *alloc, uint8_t *state) {
    const text_state *group = (const text_state *)(const void *)state;
    tarn_alloc_release(alloc, group->bytes, 1, group->capacity);
}

const expr_aggregate_ops expr_extreme_text_ops = {.state_bytes = sizeof(text_state),
                                                  .update = text_update,
                                                  .merge = text_merge,
                                                  .finalize = text_finalize,
                                                  .encode = text_encode,
                                                  .decode = text_decode,
                                                  .destroy = text_destroy};

// ---- with retractions ----

static expr_multiset *load_multiset(const uint8_t *state) {
    expr_multiset *set;
    memcpy(&set, state, sizeof set);
    return set;
}

static void store_multiset(uint8_t *state, expr_multiset *set) {
    memcpy(state, &set, sizeof set);
}

static tarn_status add_key(uint8_t *state, const tarn_alloc *alloc, tarn_slice key, int64_t change,
                           tarn_error *err) {
    expr_multiset *set = load_multiset(state);
    bool added = expr_multiset_add(&set, alloc, key, change);
    store_multiset(state, set);
    return added ? TARN_OK : expr_no_memory(err);
}

static tarn_status retractable_update(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                      const expr_agg_rows *rows, tarn_error *err) {
    void *data;
    memcpy(&data, &rows->data, sizeof data);
    const tarn_vector values = {.type = aggregate->arg_type, .data = data};
    tarn_buffer key = {.alloc = alloc};
    tarn_status status = TARN_OK;
    for (expr_agg_cursor at = {0}; expr_agg_next(rows, &at);) {
        if (status != TARN_OK) break;
        tarn_buffer_clear(&key);
        tarn_value value = tarn_vector_get(&values, at.index);
        status = tarn_key_encode_value(value, (tarn_key_order){0}, &key, err);
        if (status != TARN_OK) break;
        status = add_key(at.state, alloc, tarn_buffer_slice(&key), at.sign, err);
    }
    tarn_buffer_free(&key);
    return status;
}

static tarn_status retractable_merge(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                     uint8_t *target, const uint8_t *source, tarn_error *err) {
    (void)aggregate;
    expr_multiset_cursor cursor = {0};
    tarn_slice key;
    int64_t count;
    while (expr_multiset_next(load_multiset(source), &cursor, &key, &count)) {
        TARN_TRY(add_key(target, alloc, key, count, err));
    }
    return TARN_OK;
}

static tarn_status retractable_finalize(const tarn_aggregate *aggregate, const uint8_t *state,
                                        tarn_arena *arena, tarn_vector *result, size_t row,
                                        tarn_error *err) {
    const expr_multiset *set = load_multiset(state);
    tarn_slice key;
    bool found = wanted_sign(aggregate) > 0 ? expr_multiset_greatest(set, &key)
                                            : expr_multiset_least(set, &key);
    if (!found) {
        tarn_bitmap_unset(result->validity, row);
        return TARN_OK;
    }
    tarn_value value;
    TARN_TRY(tarn_key_decode(&key, aggregate->arg_type, (tarn_key_order){0}, arena, &value, err));
    tarn_vector_set(result, row, value);
    return TARN_OK;
}

static tarn_status retractable_encode(const tarn_aggregate *aggregate, const uint8_t *state,
                                      tarn_buffer *out, tarn_error *err) {
    (void)aggregate;
    const expr_multiset *set = load_multiset(state);
    TARN_TRY(expr_agg_put_number(out, (int64_t)expr_multiset_size(set), err));
    expr_multiset_cursor cursor = {0};
    tarn_slice key;
    int64_t count;
    while (expr_multiset_next(set, &cursor, &key, &count)) {
        TARN_TRY(expr_agg_put_bytes(out, key, err));
        TARN_TRY(expr_agg_put_number(out, count, err));
    }
    return TARN_OK;
}

static tarn_status retractable_decode(const tarn_aggregate *aggregate, const tarn_alloc *alloc,
                                      tarn_slice *bytes, uint8_t *state, tarn_error *err) {
    (void)aggregate;
    int64_t size;
    TARN_TRY(expr_agg_take_number(bytes, &size, err));
    for (int64_t i = 0; i < size; i++) {
        tarn_slice key;
        int64_t count;
        TARN_TRY(expr_agg_take_bytes(bytes, &key, err));
        TARN_TRY(expr_agg_take_number(bytes, &count, err));
        TARN_TRY(add_key(state, alloc, key, count, err));
    }
    return TARN_OK;
}

static void retractable_destroy(const tarn_alloc *alloc, uint8_t *state) {
    expr_multiset_free(load_multiset(state), alloc);
}

const expr_aggregate_ops expr_extreme_retractable_ops = {.state_bytes = sizeof(expr_multiset *),
                                                         .update = retractable_update,
                                                         .merge = retractable_merge,
                                                         .finalize = retractable_finalize,
                                                         .encode = retractable_encode,
                                                         .decode = retractable_decode,
                                                         .destroy = retractable_destroy};
