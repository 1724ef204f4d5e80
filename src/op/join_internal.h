// join_internal.h - the parts of a join; private to op/.
//
// join_side.c: a multiset of rows indexed by key. join_match.c: a chunk of left rows against the
// right side. join.c: the operator, which runs a left-deep chain of joins and stateless steps.
// How streams stay exact: docs/decisions/0005-streaming-join.md.
#ifndef TARN_OP_JOIN_INTERNAL_H
#define TARN_OP_JOIN_INTERNAL_H

#include "op/op_internal.h"

// ---- a side: rows by key ----

// Behind a row's values in the table of rows.
typedef struct join_row {
    uint8_t *next; // rows of the same key
    uint8_t *previous;
    uint8_t *key;     // in the table of keys
    int64_t count;    // copies as of the epoch's begin
    int64_t delta;    // what the epoch adds to it, applied at its barrier
    uint32_t ordinal; // in the dictionaries
    bool is_dirty;    // in the list of rows to write at the barrier
    bool is_stored;   // the checkpoints have an entry for it
} join_row;

// Behind a key's values in the table of keys.
typedef struct join_key {
    uint8_t *first;     // row
    int64_t live;       // copies of its rows as of the epoch's begin
    int64_t live_delta; // what the epoch adds to it
    bool is_probed;     // a left row has asked for it: changes must be corrected
    bool is_pending;    // in the list of keys that the epoch changes
} join_key;

typedef struct join_side {
    const op_base *base;
    const tarn_alloc *alloc;
    uint8_t stage;
    uint8_t letter;
    op_layout row_layout;
    op_layout key_layout;
    op_groups rows;
    op_groups keys;
    tarn_program *key_program; // NULL without keys (a cross join)
    uint64_t version;          // moves when what a probe sees may change
    size_t crowded_keys;       // keys with more than one copy
    size_t empty_keys;         // keys kept only because they were probed
    bool tracks_probes;        // streams: changes to probed keys wait for the barrier
    bool all_probed;           // it is no longer known which keys were probed
    op_group_list pending_keys;
    op_group_list pending_rows;
    op_group_list dirty_rows;
    // Dictionaries of the text columns over all rows, for probes of one version.
    tarn_dictionary **dictionaries; // per column; NULL: none
    uint64_t dictionary_version;
    // scratch of one chunk
    uint64_t *hashes;
    uint8_t **row_groups;
    uint8_t **key_groups;
    uint32_t *selection;
} join_side;

static inline join_row *join_row_of(const join_side *side, uint8_t *row) {
    return (join_row *)(void *)(row + side->row_layout.end_offset);
}
static inline join_key *join_key_of(const join_side *side, uint8_t *key) {
    return (join_key *)(void *)(key + side->key_layout.end_offset);
}

typedef struct join_side_options {
    const tarn_schema *schema;
    const tarn_expr *const *keys; // over the schema
    size_t key_count;
    tarn_eval_context eval;
    bool is_stream;
    uint8_t stage;  // in the state's keys
    uint8_t letter; // 'r' or 'l'
} join_side_options;
TARN_MUST_USE tarn_status join_side_init(join_side *side, op_base *base,
                                         const join_side_options *options, tarn_error *err);
void join_side_free(join_side *side);
// Adds `weight` copies of each selected row (takes them away for retractions). Rows with a NULL in
// their key never match and are not kept. With tracks_probes, changes to probed keys only become
// visible at join_side_apply.
TARN_MUST_USE tarn_status join_side_add(join_side *side, const tarn_chunk *chunk, int64_t weight,
                                        tarn_arena *arena, tarn_error *err);
// Makes the epoch's changes visible and forgets which keys they touched.
void join_side_apply(join_side *side);
// Frees rows without copies; after the state has been written.
void join_side_sweep(join_side *side);
// The key of each selected row, NULL where no row can match. Marks the keys as probed.
TARN_MUST_USE tarn_status join_side_find(join_side *side, const tarn_vector *keys,
                                         const tarn_chunk *chunk, uint8_t **ret_keys,
                                         tarn_error *err);
// Builds the dictionaries, if the side is small enough for that to pay.
TARN_MUST_USE tarn_status join_side_make_dictionaries(join_side *side, tarn_error *err);

// ---- stages ----

// What a left chunk asks of the right side.
typedef enum join_mode {
    JOIN_PROBE,  // what it matches now
    JOIN_REMOVE, // of the pending change: what no longer matches
    JOIN_ADD,    // of the pending change: what matches newly
} join_mode;

typedef struct join_stage {
    const tarn_plan *plan;
    tarn_arena arena;        // of the left chunk under way
    tarn_arena output_arena; // of the output chunk under way
    op_transform *transform; // a stateless step; NULL: a join
    tarn_program *left_keys; // NULL without keys
    tarn_program *residual;
    join_side right;
    join_side left; // only when the left input cannot be read again
    bool keeps_left;
    // Matches per value of the last dictionary of a single text key.
    uint64_t cached_dictionary;
    uint64_t cached_version;
    uint8_t **cached_keys;
    size_t cached_count;
} join_stage;

TARN_MUST_USE tarn_status join_match(join_stage *stage, const tarn_chunk *chunk, join_mode mode,
                                     op_push next, const op_base *base, tarn_error *err);

#endif
