// op_internal.h - what the operators share; private to op/.
//
// Rows that outlive a chunk are kept as fixed-width rows: null bits and one slot per value
// (op_layout), inside a hash table of groups (op_groups). Aggregates, joins, top-N and DISTINCT all
// stand on it.
#ifndef TARN_OP_INTERNAL_H
#define TARN_OP_INTERNAL_H

#include "base/alloc.h"
#include "op/op.h"

// ---- what every operator begins with ----

typedef struct op_base {
    const tarn_alloc *alloc;
    tarn_slice name;        // of the node; lives in `arena`
    tarn_arena arena;       // the operator's lifetime
    tarn_arena batch_arena; // one call
} op_base;

// The name is `prefix` and, unless `kind` is NULL, the kind and a number: "view/dws/aggregate-2".
TARN_MUST_USE tarn_status op_base_init(op_base *base, const tarn_alloc *alloc, tarn_slice prefix,
                                       const char *kind, size_t number, tarn_error *err);
void op_base_free(op_base *base);
// Fails with TARN_NO_MEMORY and the operator's name.
#define op_no_memory(base, err) tarn_not_ok(op_no_memory_at((base), (err)))
tarn_status op_no_memory_at(const op_base *base, tarn_error *err);
// Passes `status` on; where memory ran out further down, the message gets the operator's name.
tarn_status op_blame(const op_base *base, tarn_status status, tarn_error *err);

// Where a stage sends its chunks: the next stage or the operator's output.
typedef struct op_push {
    tarn_status (*push)(void *context, const tarn_chunk *chunk, tarn_error *err);
    void *context;
} op_push;

op_push op_push_output(tarn_output *output);

// ---- building ----

#define OP_PART_LIMIT 64

// The nodes that together produce a plan's rows.
typedef struct op_parts {
    tarn_node nodes[OP_PART_LIMIT];
    size_t count;
} op_parts;

typedef struct op_builder {
    const tarn_op_context *context;
    tarn_flow *flow;
    size_t next_number; // in the order of building, so names are stable over restarts
} op_builder;

TARN_MUST_USE tarn_status op_builder_base(op_builder *builder, const char *kind, op_base *base,
                                          tarn_error *err);
// Adds the operator that begins with `base`; the flow owns it from here on, whatever happens.
TARN_MUST_USE tarn_status op_builder_add(op_builder *builder, op_base *base,
                                         const tarn_operator_ops *ops, const op_parts *inputs,
                                         unsigned flags, tarn_node *ret_node, tarn_error *err);
static inline op_parts op_one_part(tarn_node node) {
    return (op_parts){.nodes = {node}, .count = 1};
}
// Builds a plan as at most `part_limit` nodes.
TARN_MUST_USE tarn_status op_build_parts(op_builder *builder, const tarn_plan *plan,
                                         size_t part_limit, op_parts *ret_parts, tarn_error *err);
// How many nodes may produce a plan's rows: one in streams, as many as there are threads in
// queries.
size_t op_builder_part_limit(const op_builder *builder);
// As parts, where there can be several, and one node behind them.
TARN_MUST_USE tarn_status op_build_whole(op_builder *builder, const tarn_plan *plan,
                                         tarn_node *ret_node, tarn_error *err);
TARN_MUST_USE tarn_status op_build_one(op_builder *builder, const tarn_plan *plan,
                                       tarn_node *ret_node, tarn_error *err);

TARN_MUST_USE tarn_status op_build_values(op_builder *builder, const tarn_plan *plan,
                                          tarn_node *ret_node, tarn_error *err);
TARN_MUST_USE tarn_status op_build_union(op_builder *builder, const op_parts *parts,
                                         tarn_node *ret_node, tarn_error *err);
TARN_MUST_USE tarn_status op_build_aggregate(op_builder *builder, const tarn_plan *plan,
                                             size_t part_limit, op_parts *ret_parts,
                                             tarn_error *err);
TARN_MUST_USE tarn_status op_build_batch_aggregate(op_builder *builder, const tarn_plan *plan,
                                                   size_t part_limit, op_parts *ret_parts,
                                                   tarn_error *err);
TARN_MUST_USE tarn_status op_build_stream_aggregate(op_builder *builder, const tarn_plan *plan,
                                                    tarn_node *ret_node, tarn_error *err);
TARN_MUST_USE tarn_status op_build_window_aggregate(op_builder *builder, const tarn_plan *plan,
                                                    tarn_node *ret_node, tarn_error *err);
TARN_MUST_USE tarn_status op_build_join(op_builder *builder, const tarn_plan *plan,
                                        size_t part_limit, op_parts *ret_parts, tarn_error *err);
TARN_MUST_USE tarn_status op_build_sort(op_builder *builder, const tarn_plan *plan,
                                        tarn_node *ret_node, tarn_error *err);
TARN_MUST_USE tarn_status op_build_limit(op_builder *builder, const tarn_plan *plan,
                                         tarn_node *ret_node, tarn_error *err);
TARN_MUST_USE tarn_status op_build_top_n(op_builder *builder, const tarn_plan *plan,
                                         tarn_node *ret_node, tarn_error *err);

// ---- stateless steps: filter, project, time window ----

typedef struct op_transform op_transform;
bool op_transform_is(const tarn_plan *plan); // whether the plan node is one of the three
TARN_MUST_USE tarn_status op_transform_new(const tarn_plan *plan, const tarn_alloc *alloc,
                                           tarn_eval_context eval, op_transform **ret_transform,
                                           tarn_error *err);
void op_transform_free(op_transform *transform); // accepts NULL
// Pushes what becomes of the chunk; results live in `arena`.
TARN_MUST_USE tarn_status op_transform_apply(op_transform *transform, const tarn_chunk *chunk,
                                             tarn_arena *arena, op_push next, tarn_error *err);

// ---- row kinds ----

// An update is a pair of neighbours, -U then +U. A step that may part the two (drop one, send them
// apart) turns what it parts into -D and +I, so that a keyed table never misses the removal.
//
// Kinds for `output`, whose rows are among those of `input` (the same vectors): pairs that are
// whole stay.
TARN_MUST_USE tarn_status op_kinds_after_filter(const tarn_chunk *input, tarn_chunk *output,
                                                tarn_arena *arena, tarn_error *err);
static inline uint8_t op_kind_plain(uint8_t kind) {
    return tarn_row_kind_is_retract(kind) ? TARN_ROW_DELETE : TARN_ROW_INSERT;
}
static inline uint8_t op_chunk_kind(const tarn_chunk *chunk, size_t row) {
    return chunk->kinds == NULL ? (uint8_t)TARN_ROW_INSERT : chunk->kinds[row];
}

// The named rows of `chunk`, columns, kinds and watermarks; constants and dictionaries stay so.
// Kinds are plain (see above).
TARN_MUST_USE tarn_status op_chunk_gather(const tarn_chunk *chunk, const uint32_t *rows,
                                          size_t count, tarn_arena *arena, tarn_chunk *ret_chunk,
                                          tarn_error *err);

// ---- fixed-width rows ----

typedef struct op_layout {
    size_t column_count;
    tarn_type *types;
    tarn_physical *physicals;
    size_t *widths;
    size_t *offsets;    // from the row's start; multiples of 8
    size_t null_offset; // one bit per column, 1 = null
    size_t end_offset;  // behind the values, a multiple of 8
} op_layout;

// Null bits start at `null_offset`, values behind them. Arrays live in `arena`.
TARN_MUST_USE tarn_status op_layout_init(op_layout *layout, const tarn_type *types,
                                         size_t column_count, size_t null_offset, tarn_arena *arena,
                                         tarn_error *err);
static inline bool op_layout_is_null(const op_layout *layout, const uint8_t *row, size_t column) {
    return (row[layout->null_offset + column / 8] >> (column % 8) & 1) != 0;
}
// Stores row `index` of `columns`. Long strings are copied into `strings`, or when that is NULL
// into memory of their own from `alloc`, which op_layout_release frees. Returns false without
// memory; the row then holds nothing to release.
TARN_MUST_USE bool op_layout_store(const op_layout *layout, uint8_t *row,
                                   const tarn_vector *columns, size_t index, tarn_arena *strings,
                                   const tarn_alloc *alloc);
void op_layout_release(const op_layout *layout, uint8_t *row, const tarn_alloc *alloc);
// Whether the row holds what row `index` of `columns` holds (NULL equals NULL).
bool op_layout_equal(const op_layout *layout, const uint8_t *row, const tarn_vector *columns,
                     size_t index);
// The same for two rows.
bool op_layout_equal_rows(const op_layout *layout, const uint8_t *a, const uint8_t *b);
// Column `column` of rows[0..count) as a flat vector; strings view the rows'.
TARN_MUST_USE tarn_status op_layout_gather(const op_layout *layout, size_t column,
                                           uint8_t *const *rows, size_t count, tarn_arena *arena,
                                           tarn_vector *ret_vector, tarn_error *err);
// Groups that may hold the rows of a batch.
typedef struct op_match {
    const tarn_vector *columns;
    uint8_t *const *groups; // per position
    const uint32_t *rows;   // per position: the row of `columns` to compare with
    uint32_t *list;         // positions to look at
    size_t count;
    uint32_t *missed; // positions whose group holds something else are appended
    size_t missed_count;
} op_match;
// Removes the positions that do not match from `list`, in no particular order for `missed`.
void op_layout_match(const op_layout *layout, op_match *match);

// ---- groups: rows found by their keys ----

// A group is a row: this header, then the keys' values, then what its user lays out behind
// (zeroed when new).
typedef struct op_group {
    uint64_t hash;
    uint32_t flags;   // the user's, but for OP_GROUP_FREE
    uint8_t nulls[4]; // null bits of the keys start here and may go on behind
} op_group;
#define OP_GROUP_NULL_OFFSET offsetof(op_group, nulls)
static inline uint64_t op_group_hash(const uint8_t *group) {
    uint64_t hash;
    memcpy(&hash, group, sizeof hash);
    return hash;
}
#define OP_GROUP_FREE 0x80000000u

typedef struct op_group_block op_group_block;

typedef struct op_groups_iterator {
    const op_group_block *block;
    size_t index;
} op_groups_iterator;

// Open addressing with linear probing. A slot holds the hash's upper 16 bits and the group's
// address in 48, so that most misses are told without touching the group.
typedef struct op_groups {
    const tarn_alloc *alloc;
    const op_layout *keys;
    size_t group_bytes;
    bool removable; // strings have memory of their own, groups can be removed
    uint64_t *slots;
    size_t slot_count; // a power of two; 0 until the first group
    size_t count;      // groups, whether they are found or not
    size_t hidden_count;
    op_group_block *first_block; // in the order of making
    op_group_block *last_block;
    op_groups_iterator found_begin; // where groups were hidden: the first behind them
    uint8_t *free_groups;           // removed ones, linked behind their header
    tarn_arena string_arena;
} op_groups;

// `keys` outlives the table; group_bytes is the whole size of a group.
void op_groups_init(op_groups *table, const tarn_alloc *alloc, const op_layout *keys,
                    size_t group_bytes, bool removable);
// What the user keeps in groups is released by the user before.
void op_groups_free(op_groups *table);

typedef struct op_probe {
    const tarn_vector *keys;
    const tarn_chunk *chunk; // its selected rows are looked up
    const uint64_t *hashes;  // per selected row
    bool add;                // make groups for keys that have none
    uint8_t **added;         // the new groups; room for one per selected row
    size_t added_count;
} op_probe;
// ret_groups[i] is the group of the i-th selected row, NULL where there is none (without `add`).
TARN_MUST_USE tarn_status op_groups_probe(op_groups *table, op_probe *probe, uint8_t **ret_groups,
                                          tarn_error *err);
// How many more groups fit before the slots double.
size_t op_groups_room(const op_groups *table);
// From here on the groups made so far are not found: their keys get new groups. The slots stay as
// many as they are. Not for removable groups.
void op_groups_hide(op_groups *table);
// Gives the slots back once nothing is looked up any more: the groups stay, to be iterated.
void op_groups_forget_slots(op_groups *table);
// The group's user has released what it kept there.
void op_groups_remove(op_groups *table, uint8_t *group);

op_groups_iterator op_groups_begin(const op_groups *table);
// The next group in the order of making, NULL at the end. Removing the one returned is fine.
uint8_t *op_groups_next(const op_groups *table, op_groups_iterator *iterator);

// Groups of several tables, each found by its keys where it lies: a set of their addresses. All
// tables have the same layout.
typedef struct op_group_set {
    const tarn_alloc *alloc;
    const op_layout *keys;
    uint64_t *slots;
    size_t slot_count; // allocated, a power of two or 0
    size_t mask;       // of those in use
} op_group_set;

// Empties the set and makes room for `count` groups.
TARN_MUST_USE bool op_group_set_begin(op_group_set *set, size_t count);
// The member with the same keys; where there is none, `group`, which is a member from here on.
uint8_t *op_group_set_add(op_group_set *set, uint8_t *group);
void op_group_set_free(op_group_set *set);

// Hashes of the selected rows; any number of columns, also none.
void op_hash_rows(const tarn_vector *columns, size_t column_count, const tarn_chunk *chunk,
                  uint64_t *hashes);

// What is borrowed as const but owned by the caller.
static inline void *op_unconst(const void *pointer) {
    void *result;
    memcpy(&result, &pointer, sizeof result);
    return result;
}

// A list of pointers that grows.
typedef struct op_pointers {
    void **items;
    size_t count;
    size_t capacity;
} op_pointers;
TARN_MUST_USE bool op_pointers_push(op_pointers *list, void *item, const tarn_alloc *alloc);
TARN_MUST_USE bool op_pointers_insert(op_pointers *list, size_t at, void *item,
                                      const tarn_alloc *alloc);
void op_pointers_free(op_pointers *list, const tarn_alloc *alloc);

// A list of groups that grows.
typedef struct op_group_list {
    uint8_t **groups;
    size_t count;
    size_t capacity;
} op_group_list;
TARN_MUST_USE bool op_group_list_push(op_group_list *list, uint8_t *group, const tarn_alloc *alloc);
void op_group_list_free(op_group_list *list, const tarn_alloc *alloc);

// ---- what aggregate operators share ----

typedef struct op_aggregation {
    const tarn_plan *plan;
    size_t group_count;
    size_t aggregate_count;
    tarn_aggregate *aggregates;
    size_t *state_offsets;   // in a group
    tarn_program *program;   // group keys, then the arguments of aggregates without FILTER
    size_t *arg_indices;     // in the program's results; SIZE_MAX: none or behind a filter
    tarn_program **filters;  // per aggregate; NULL: no FILTER
    tarn_program **filtered; // per aggregate: the argument behind a FILTER
    bool states_own;         // some state has memory of its own, to be destroyed
    op_layout keys;
    size_t group_bytes;
    const tarn_alloc *alloc;
} op_aggregation;

// What is known of a chunk's rows before they are added to groups. Lives in an arena.
typedef struct op_aggregation_input {
    const tarn_chunk *chunk;
    tarn_vector *vectors; // the program's results: keys first
} op_aggregation_input;

// A group is: header, keys, `aux_bytes` of the operator (at keys.end_offset), aggregate states. New
// groups are zeroed, and so begin their states.
TARN_MUST_USE tarn_status op_aggregation_init(op_aggregation *aggregation, const tarn_plan *plan,
                                              op_base *base, tarn_eval_context eval,
                                              bool retractable, size_t aux_bytes, tarn_error *err);
void op_aggregation_free(op_aggregation *aggregation);
TARN_MUST_USE tarn_status op_aggregation_eval(op_aggregation *aggregation, const tarn_chunk *chunk,
                                              tarn_arena *arena, op_aggregation_input *ret_input,
                                              tarn_error *err);
// Adds the selected rows of `chunk` (those of input->chunk, or some of them) to their groups.
TARN_MUST_USE tarn_status op_aggregation_update(op_aggregation *aggregation,
                                                const op_aggregation_input *input,
                                                const tarn_chunk *chunk, uint8_t *const *groups,
                                                tarn_arena *arena, tarn_error *err);
// Output columns [keys..., aggregates...] of the groups as flat vectors.
TARN_MUST_USE tarn_status op_aggregation_gather(const op_aggregation *aggregation,
                                                uint8_t *const *groups, size_t count,
                                                tarn_arena *arena, tarn_vector *ret_columns,
                                                tarn_error *err);
void op_aggregation_destroy_states(const op_aggregation *aggregation, uint8_t *group);
void op_aggregation_destroy_table(const op_aggregation *aggregation, op_groups *table);
TARN_MUST_USE tarn_status op_aggregation_encode(const op_aggregation *aggregation,
                                                const uint8_t *group, tarn_buffer *out,
                                                tarn_error *err);
TARN_MUST_USE tarn_status op_aggregation_decode(const op_aggregation *aggregation,
                                                tarn_slice *bytes, uint8_t *group, tarn_error *err);

// ---- state helpers ----

// Decodes memcomparable key bytes into one-row vectors.
TARN_MUST_USE tarn_status op_key_decode_row(tarn_slice *bytes, const tarn_type *types, size_t count,
                                            tarn_arena *arena, tarn_vector *ret_columns,
                                            tarn_error *err);
#define op_corrupt_state(base, what, err) tarn_not_ok(op_corrupt_state_at((base), (what), (err)))
tarn_status op_corrupt_state_at(const op_base *base, const char *what, tarn_error *err);
// Signed varint in a buffer or at the front of a slice.
TARN_MUST_USE bool op_put_int(tarn_buffer *out, int64_t value);
TARN_MUST_USE bool op_take_int(tarn_slice *bytes, int64_t *ret_value);

// Sorts stably by memcmp of `key`, shorter first.
typedef struct op_sort_item {
    uint64_t prefix; // the key's first 8 bytes, big-endian
    tarn_slice key;
    void *payload;
    uint64_t index; // the user's
} op_sort_item;
void op_sort_item_set_key(op_sort_item *item, tarn_slice key);
int op_sort_item_compare(const op_sort_item *a, const op_sort_item *b);
// `scratch` has room for `count` items too.
void op_sort_items(op_sort_item *items, op_sort_item *scratch, size_t count);

#endif
