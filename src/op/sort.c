// sort.c - ORDER BY of an input that ends.
//
// Rows are kept as the batches they came in; what is sorted is their keys in memcomparable form.
#include "op/op_internal.h"

typedef struct sort_op {
    op_base base; // base.arena holds the keys' bytes
    const tarn_plan *plan;
    tarn_program *program;
    tarn_key_order *orders;
    op_pointers batches;
    op_sort_item *items; // payload: the batch, index: the row in it
    size_t item_count;
    size_t item_capacity;
    tarn_buffer key;
} sort_op;

static void sort_free(void *self) {
    sort_op *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    for (size_t i = 0; i < op->batches.count; i++) tarn_batch_unref(op->batches.items[i]);
    op_pointers_free(&op->batches, alloc);
    tarn_alloc_free(alloc, op->items, op->item_capacity);
    tarn_program_free(op->program);
    tarn_buffer_free(&op->key);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static bool reserve_items(sort_op *op, size_t more) {
    if (op->item_capacity - op->item_count >= more) return true;
    size_t capacity = op->item_capacity == 0 ? TARN_CHUNK_ROWS : op->item_capacity;
    while (capacity < op->item_count + more) capacity *= 2;
    op_sort_item *items = tarn_alloc_new(op->base.alloc, op_sort_item, capacity);
    if (items == NULL) return false;
    if (op->item_count > 0) memcpy(items, op->items, op->item_count * sizeof(op_sort_item));
    tarn_alloc_free(op->base.alloc, op->items, op->item_capacity);
    op->items = items;
    op->item_capacity = capacity;
    return true;
}

static tarn_status keep_batch(sort_op *op, const tarn_chunk *chunk, tarn_batch **ret_batch,
                              tarn_error *err) {
    tarn_batch *batch = NULL;
    TARN_TRY(tarn_batch_new(op->base.alloc, chunk, &batch, err));
    if (!op_pointers_push(&op->batches, batch, op->base.alloc)) {
        tarn_batch_unref(batch);
        return op_no_memory(&op->base, err);
    }
    *ret_batch = batch;
    return TARN_OK;
}

static tarn_status add_rows(sort_op *op, const tarn_chunk *chunk, tarn_error *err) {
    size_t count = tarn_chunk_count(chunk);
    size_t key_count = op->plan->sort.key_count;
    tarn_arena *arena = &op->base.batch_arena;
    tarn_arena_clear(arena);
    tarn_vector *keys = tarn_arena_new(arena, tarn_vector, key_count + 1);
    if (keys == NULL || !reserve_items(op, count)) return op_no_memory(&op->base, err);
    TARN_TRY(tarn_program_eval(op->program, chunk, arena, keys, err));
    tarn_batch *batch = NULL;
    TARN_TRY(keep_batch(op, chunk, &batch, err));
    for (size_t i = 0; i < count; i++) {
        tarn_buffer_clear(&op->key);
        TARN_TRY(
            tarn_key_encode(keys, key_count, op->orders, tarn_chunk_row(chunk, i), &op->key, err));
        tarn_slice key;
        if (!tarn_arena_copy(&op->base.arena, tarn_buffer_slice(&op->key), &key)) {
            return op_no_memory(&op->base, err);
        }
        op_sort_item *item = &op->items[op->item_count++];
        op_sort_item_set_key(item, key);
        item->payload = batch;
        item->index = i;
    }
    return TARN_OK;
}

static tarn_status sort_chunk(void *self, size_t input, const tarn_chunk *chunk,
                              tarn_output *output, tarn_error *err) {
    (void)input;
    (void)output;
    sort_op *op = self;
    return op_blame(&op->base, add_rows(op, chunk, err), err);
}

// One column of the rows that `items` name, from whatever batches they are in.
static tarn_status gather_column(const op_sort_item *items, size_t count, size_t column,
                                 tarn_type type, tarn_arena *arena, tarn_vector *ret_vector,
                                 tarn_error *err) {
    tarn_vector vector;
    TARN_TRY(tarn_vector_init_flat(&vector, type, count, arena, err));
    size_t width = tarn_type_width(type);
    for (size_t i = 0; i < count; i++) {
        const tarn_batch *batch = items[i].payload;
        const tarn_vector *source = &batch->chunk.columns[column];
        uint8_t *slot = (uint8_t *)vector.data + i * width;
        if (tarn_vector_is_null(source, items[i].index)) {
            if (vector.validity == NULL) {
                TARN_TRY(tarn_vector_make_validity(&vector, count, arena, err));
            }
            tarn_bitmap_unset(vector.validity, i);
            memset(slot, 0, width);
        } else {
            memcpy(slot, tarn_vector_at(source, items[i].index, width), width);
        }
    }
    *ret_vector = vector;
    return TARN_OK;
}

static tarn_status emit_sorted(sort_op *op, tarn_output *output, tarn_error *err) {
    const tarn_schema *schema = &op->plan->schema;
    tarn_arena *arena = &op->base.batch_arena;
    for (size_t begin = 0; begin < op->item_count; begin += TARN_CHUNK_ROWS) {
        if (tarn_output_is_closed(output)) return TARN_OK;
        size_t count = op->item_count - begin;
        if (count > TARN_CHUNK_ROWS) count = TARN_CHUNK_ROWS;
        tarn_arena_clear(arena);
        tarn_chunk chunk = {.row_count = count, .column_count = schema->field_count};
        chunk.columns = tarn_arena_new(arena, tarn_vector, schema->field_count + 1);
        if (chunk.columns == NULL) return op_no_memory(&op->base, err);
        for (size_t c = 0; c < schema->field_count; c++) {
            TARN_TRY(gather_column(op->items + begin, count, c, schema->fields[c].type, arena,
                                   &chunk.columns[c], err));
        }
        TARN_TRY(tarn_output_emit(output, &chunk, err));
    }
    return TARN_OK;
}

static tarn_status sort_end(void *self, size_t input, tarn_output *output, tarn_error *err) {
    (void)input;
    sort_op *op = self;
    op_sort_item *scratch = tarn_alloc_new(op->base.alloc, op_sort_item, op->item_count);
    if (scratch == NULL) return op_no_memory(&op->base, err);
    op_sort_items(op->items, scratch, op->item_count);
    tarn_alloc_free(op->base.alloc, scratch, op->item_count);
    return op_blame(&op->base, emit_sorted(op, output, err), err);
}

static const tarn_operator_ops sort_ops = {.chunk = sort_chunk, .end = sort_end, .free = sort_free};

static tarn_status init_sort(sort_op *op, op_builder *builder, const tarn_plan *plan,
                             tarn_error *err) {
    op->base.alloc = builder->context->alloc;
    op->key.alloc = op->base.alloc;
    op->plan = plan;
    TARN_TRY(op_builder_base(builder, "sort", &op->base, err));
    size_t key_count = plan->sort.key_count;
    op->orders = tarn_arena_new(&op->base.arena, tarn_key_order, key_count + 1);
    const tarn_expr **exprs = tarn_arena_new(&op->base.arena, const tarn_expr *, key_count + 1);
    if (op->orders == NULL || exprs == NULL) return op_no_memory(&op->base, err);
    for (size_t k = 0; k < key_count; k++) {
        op->orders[k] = plan->sort.keys[k].order;
        exprs[k] = plan->sort.keys[k].expr;
    }
    TARN_TRY(tarn_program_new(op->base.alloc, exprs, key_count, &op->program, err));
    tarn_program_set_context(op->program, builder->context->eval);
    return TARN_OK;
}

tarn_status op_build_sort(op_builder *builder, const tarn_plan *plan, tarn_node *ret_node,
                          tarn_error *err) {
    if (builder->context->mode == TARN_OP_STREAM) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "ORDER BY without LIMIT is not supported in a materialized view");
    }
    tarn_node input;
    TARN_TRY(op_build_whole(builder, plan->inputs[0], &input, err));
    sort_op *op = tarn_alloc_new(builder->context->alloc, sort_op, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    tarn_status status = init_sort(op, builder, plan, err);
    if (status != TARN_OK) {
        sort_free(op);
        return status;
    }
    op_parts inputs = op_one_part(input);
    return op_builder_add(builder, &op->base, &sort_ops, &inputs, 0, ret_node, err);
}
