// A view whose key may be NULL: GROUP BY has a group for NULL, but a primary key must not be null.
// Its table gets one column more, the order-preserving encoding of the key (docs/formats/key.md),
// and that is the primary key. Queries do not see it: it is the last column, and not in the view's
// schema.
#include "warehouse/internal.h"

typedef struct hidden_key {
    const tarn_alloc *alloc;
    const tarn_plan *plan;
    tarn_arena arena; // of one chunk
    tarn_buffer key;
} hidden_key;

static tarn_status encode_keys(hidden_key *self, const tarn_chunk *chunk, const tarn_vector *parts,
                               tarn_string *keys, tarn_error *err) {
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        tarn_slice copy;
        tarn_buffer_clear(&self->key);
        TARN_TRY(tarn_key_encode(parts, self->plan->key_count, NULL, row, &self->key, err));
        if (!tarn_arena_copy(&self->arena, tarn_buffer_slice(&self->key), &copy)) {
            return wh_no_memory(err);
        }
        keys[row] = tarn_string_view(copy);
    }
    return TARN_OK;
}

static tarn_status append_key(void *context, size_t input, const tarn_chunk *chunk,
                              tarn_output *output, tarn_error *err) {
    (void)input;
    hidden_key *self = context;
    tarn_arena_clear(&self->arena);
    size_t count = chunk->column_count;
    tarn_vector *columns = tarn_arena_new(&self->arena, tarn_vector, count + 1);
    tarn_vector *parts = tarn_arena_new(&self->arena, tarn_vector, self->plan->key_count);
    tarn_string *keys = tarn_arena_new(&self->arena, tarn_string, chunk->row_count);
    if (columns == NULL || parts == NULL || keys == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < self->plan->key_count; i++) {
        parts[i] = chunk->columns[self->plan->key_columns[i]];
    }
    TARN_TRY(encode_keys(self, chunk, parts, keys, err));
    memcpy(columns, chunk->columns, count * sizeof *columns);
    columns[count] = (tarn_vector){
        .type = tarn_type_of(TARN_TYPE_BYTEA), .kind = TARN_VECTOR_FLAT, .data = keys};
    tarn_chunk keyed = *chunk;
    keyed.columns = columns;
    keyed.column_count = count + 1;
    return tarn_output_emit(output, &keyed, err);
}

static void free_key(void *context) {
    hidden_key *self = context;
    tarn_buffer_free(&self->key);
    tarn_arena_reset(&self->arena);
    tarn_alloc_free(self->alloc, self, 1);
}

tarn_status wh_add_hidden_key(tarn_flow *flow, tarn_slice name, tarn_node input,
                              const tarn_plan *plan, const tarn_alloc *alloc, tarn_node *ret_node,
                              tarn_error *err) {
    static const tarn_operator_ops ops = {.chunk = append_key, .free = free_key};
    hidden_key *self = tarn_alloc_new(alloc, hidden_key, 1);
    if (self == NULL) return wh_no_memory(err);
    *self = (hidden_key){.alloc = alloc, .plan = plan, .key = {.alloc = alloc}};
    tarn_arena_init(&self->arena, alloc, SIZE_MAX);
    return tarn_flow_add_operator(flow, name, &ops, self, &input, 1, 0, ret_node, err);
}
