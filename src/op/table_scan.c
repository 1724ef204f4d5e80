// table_scan.c - the rows of a table, split by split.
//
// State (as the first input of a view): the split in work and how many of its rows were emitted.
// Splits of a snapshot and the rows in them always come in the same order.
#include "op/op_internal.h"

typedef struct table_scan {
    op_base base;
    tarn_table_scan *scan;
    _Atomic size_t *next_split;
    tarn_split_reader *reader;
    size_t split;        // the reader's
    uint64_t split_rows; // emitted from it
    bool restored;       // split and split_rows say where to go on
    bool said_complete;  // a table has no event time: it holds no watermark back
} table_scan;

static void scan_free(void *self) {
    table_scan *op = self;
    const tarn_alloc *alloc = op->base.alloc;
    tarn_split_reader_free(op->reader);
    op_base_free(&op->base);
    tarn_alloc_free(alloc, op, 1);
}

static tarn_status next_chunk(table_scan *op, const tarn_chunk **ret_chunk, tarn_error *err) {
    TARN_TRY(tarn_split_reader_next(op->reader, ret_chunk, err));
    if (*ret_chunk != NULL) return TARN_OK;
    tarn_split_reader_free(op->reader);
    op->reader = NULL;
    return TARN_OK;
}

static tarn_status open_split(table_scan *op, tarn_error *err) {
    TARN_TRY(tarn_split_reader_new(op->scan, op->split, op->base.alloc, &op->reader, err));
    return TARN_OK;
}

// Emits what a restored position has not covered of the chunk.
static tarn_status emit_rest(table_scan *op, const tarn_chunk *chunk, uint64_t skip,
                             tarn_output *output, tarn_error *err) {
    size_t count = tarn_chunk_count(chunk);
    if (skip >= count) return TARN_OK;
    if (skip == 0) return tarn_output_emit(output, chunk, err);
    tarn_arena_clear(&op->base.batch_arena);
    size_t left = count - (size_t)skip;
    uint32_t *selection = tarn_arena_new_raw(&op->base.batch_arena, uint32_t, left);
    if (selection == NULL) return op_no_memory(&op->base, err);
    for (size_t i = 0; i < left; i++) {
        selection[i] = (uint32_t)tarn_chunk_row(chunk, (size_t)skip + i);
    }
    tarn_chunk rest = *chunk;
    rest.selection = selection;
    rest.selected_count = left;
    return tarn_output_emit(output, &rest, err);
}

static tarn_status resume(table_scan *op, tarn_output *output, tarn_error *err) {
    op->restored = false;
    uint64_t skip = op->split_rows;
    TARN_TRY(open_split(op, err));
    uint64_t seen = 0;
    while (seen <= skip && op->reader != NULL) {
        const tarn_chunk *chunk = NULL;
        TARN_TRY(next_chunk(op, &chunk, err));
        if (chunk == NULL) break;
        uint64_t count = tarn_chunk_count(chunk);
        TARN_TRY(emit_rest(op, chunk, skip - seen < count ? skip - seen : count, output, err));
        seen += count;
    }
    op->split_rows = seen > skip ? seen : skip;
    return TARN_OK;
}

static tarn_status poll_chunk(table_scan *op, tarn_output *output, tarn_poll *ret_poll,
                              tarn_error *err) {
    *ret_poll = TARN_POLL_MORE;
    if (op->restored) return resume(op, output, err);
    if (op->reader == NULL) {
        // Relaxed: the number is all that is shared.
        size_t split = atomic_fetch_add_explicit(op->next_split, 1, memory_order_relaxed);
        if (split >= tarn_table_scan_split_count(op->scan)) {
            op->split = tarn_table_scan_split_count(op->scan);
            op->split_rows = 0;
            *ret_poll = TARN_POLL_END;
            return TARN_OK;
        }
        op->split = split;
        op->split_rows = 0;
        TARN_TRY(open_split(op, err));
    }
    const tarn_chunk *chunk = NULL;
    TARN_TRY(next_chunk(op, &chunk, err));
    if (chunk == NULL) return TARN_OK;
    op->split_rows += tarn_chunk_count(chunk);
    return tarn_output_emit(output, chunk, err);
}

static tarn_status scan_poll(void *self, tarn_output *output, tarn_poll *ret_poll,
                             tarn_error *err) {
    table_scan *op = self;
    TARN_TRY(op_blame(&op->base, poll_chunk(op, output, ret_poll, err), err));
    if (*ret_poll == TARN_POLL_END && !op->said_complete) {
        op->said_complete = true;
        return tarn_output_watermark(output, INT64_MAX, err);
    }
    return TARN_OK;
}

static tarn_status scan_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                tarn_error *err) {
    (void)epoch;
    const table_scan *op = self;
    uint8_t position[16];
    tarn_store_u64(position, op->split);
    tarn_store_u64(position + 8, op->split_rows);
    return tarn_state_put(state, TARN_LIT("position"), (tarn_slice){position, sizeof position},
                          err);
}

static tarn_status scan_restore(void *self, tarn_state_reader *state, tarn_error *err) {
    table_scan *op = self;
    tarn_slice key;
    tarn_slice value;
    bool found = false;
    TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
    if (!found) return TARN_OK;
    size_t split_count = tarn_table_scan_split_count(op->scan);
    if (value.len != 16 || tarn_load_u64(value.data) > split_count) {
        return op_corrupt_state(&op->base, "the position is not in this table", err);
    }
    op->split = (size_t)tarn_load_u64(value.data);
    op->split_rows = tarn_load_u64(value.data + 8);
    op->restored = op->split < split_count;
    atomic_store_explicit(op->next_split, op->split + 1, memory_order_relaxed);
    return TARN_OK;
}

static const tarn_source_ops scan_ops = {
    .poll = scan_poll, .barrier = scan_barrier, .restore = scan_restore, .free = scan_free};

tarn_status tarn_op_add_table_scan(tarn_flow *flow, tarn_slice name, tarn_table_scan *scan,
                                   _Atomic size_t *next_split, const tarn_alloc *alloc,
                                   tarn_node *ret_node, tarn_error *err) {
    table_scan *op = tarn_alloc_new(alloc, table_scan, 1);
    if (op == NULL) return tarn_fail(err, TARN_NO_MEMORY, "out of memory");
    op->scan = scan;
    op->next_split = next_split;
    tarn_status status = op_base_init(&op->base, alloc, name, NULL, 0, err);
    if (status != TARN_OK) {
        scan_free(op);
        return status;
    }
    return tarn_flow_add_source(flow, op->base.name, &scan_ops, op, ret_node, err);
}
