// join_side.c - one side of a join: a multiset of rows, found whole (to take rows back) and by key.
#include "op/join_internal.h"

#define DICTIONARY_ROWS  TARN_TUNABLE((size_t)65536, (size_t)16)
#define EMPTY_KEYS_LIMIT TARN_TUNABLE((size_t)1 << 20, (size_t)8)

// ---- setting up ----

static tarn_status init_row_layout(join_side *side, const tarn_schema *schema, tarn_arena *arena,
                                   tarn_error *err) {
    tarn_type *types = tarn_arena_new(arena, tarn_type, schema->field_count + 1);
    if (types == NULL) return op_no_memory(side->base, err);
    for (size_t c = 0; c < schema->field_count; c++) types[c] = schema->fields[c].type;
    return op_layout_init(&side->row_layout, types, schema->field_count, OP_GROUP_NULL_OFFSET,
                          arena, err);
}

static tarn_status init_keys(join_side *side, const join_side_options *options, tarn_arena *arena,
                             tarn_error *err) {
    size_t key_count = options->key_count;
    tarn_type *types = tarn_arena_new(arena, tarn_type, key_count + 1);
    if (types == NULL) return op_no_memory(side->base, err);
    for (size_t k = 0; k < key_count; k++) types[k] = options->keys[k]->type;
    TARN_TRY(op_layout_init(&side->key_layout, types, key_count, OP_GROUP_NULL_OFFSET, arena, err));
    if (key_count == 0) return TARN_OK;
    TARN_TRY(tarn_program_new(side->alloc, options->keys, key_count, &side->key_program, err));
    tarn_program_set_context(side->key_program, options->eval);
    return TARN_OK;
}

tarn_status join_side_init(join_side *side, op_base *base, const join_side_options *options,
                           tarn_error *err) {
    tarn_arena *arena = &base->arena;
    *side = (join_side){.base = base,
                        .alloc = base->alloc,
                        .stage = options->stage,
                        .letter = options->letter,
                        .version = 1,
                        .tracks_probes = options->is_stream};
    TARN_TRY(init_row_layout(side, options->schema, arena, err));
    TARN_TRY(init_keys(side, options, arena, err));
    size_t column_count = options->schema->field_count;
    side->dictionaries = tarn_arena_new(arena, tarn_dictionary *, column_count + 1);
    side->hashes = tarn_arena_new_raw(arena, uint64_t, TARN_CHUNK_ROWS);
    side->row_groups = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    side->key_groups = tarn_arena_new_raw(arena, uint8_t *, TARN_CHUNK_ROWS);
    side->selection = tarn_arena_new_raw(arena, uint32_t, TARN_CHUNK_ROWS);
    if (side->dictionaries == NULL || side->hashes == NULL || side->row_groups == NULL ||
        side->key_groups == NULL || side->selection == NULL) {
        return op_no_memory(base, err);
    }
    op_groups_init(&side->rows, base->alloc, &side->row_layout,
                   side->row_layout.end_offset + sizeof(join_row), options->is_stream);
    op_groups_init(&side->keys, base->alloc, &side->key_layout,
                   side->key_layout.end_offset + sizeof(join_key), options->is_stream);
    return TARN_OK;
}

static void drop_dictionaries(join_side *side) {
    if (side->dictionaries == NULL) return;
    for (size_t c = 0; c < side->row_layout.column_count; c++) {
        tarn_dictionary_unref(side->dictionaries[c]);
        side->dictionaries[c] = NULL;
    }
    side->dictionary_version = 0;
}

void join_side_free(join_side *side) {
    if (side->alloc == NULL) return;
    drop_dictionaries(side);
    op_groups_free(&side->rows);
    op_groups_free(&side->keys);
    op_group_list_free(&side->pending_keys, side->alloc);
    op_group_list_free(&side->pending_rows, side->alloc);
    op_group_list_free(&side->dirty_rows, side->alloc);
    tarn_program_free(side->key_program);
    *side = (join_side){0};
}

// ---- changes ----

static void link_row(join_side *side, uint8_t *row, uint8_t *key) {
    join_row *r = join_row_of(side, row);
    join_key *k = join_key_of(side, key);
    if (k->first == NULL && k->is_probed) side->empty_keys--;
    r->key = key;
    r->next = k->first;
    if (k->first != NULL) join_row_of(side, k->first)->previous = row;
    k->first = row;
}

static void change_count(join_side *side, uint8_t *row, int64_t change) {
    join_row *r = join_row_of(side, row);
    join_key *k = join_key_of(side, r->key);
    side->crowded_keys -= k->live > 1;
    r->count += change;
    k->live += change;
    side->crowded_keys += k->live > 1;
}

// Keeps the change for the barrier.
static tarn_status defer_change(join_side *side, uint8_t *row, int64_t change, tarn_error *err) {
    join_row *r = join_row_of(side, row);
    join_key *k = join_key_of(side, r->key);
    if (!k->is_pending) {
        if (!op_group_list_push(&side->pending_keys, r->key, side->alloc)) {
            return op_no_memory(side->base, err);
        }
        k->is_pending = true;
    }
    // A row may come back to zero and be listed again: applying it twice does no harm.
    if (r->delta == 0 && !op_group_list_push(&side->pending_rows, row, side->alloc)) {
        return op_no_memory(side->base, err);
    }
    r->delta += change;
    k->live_delta += change;
    return TARN_OK;
}

static tarn_status change_row(join_side *side, uint8_t *row, uint8_t *key, int64_t change,
                              tarn_error *err) {
    join_row *r = join_row_of(side, row);
    if (r->key == NULL) link_row(side, row, key);
    if (side->tracks_probes && !r->is_dirty) {
        if (!op_group_list_push(&side->dirty_rows, row, side->alloc)) {
            return op_no_memory(side->base, err);
        }
        r->is_dirty = true;
    }
    if (side->tracks_probes && (side->all_probed || join_key_of(side, key)->is_probed)) {
        return defer_change(side, row, change, err);
    }
    change_count(side, row, change);
    return TARN_OK;
}

// Selects the rows whose key has no NULL.
static tarn_status select_keyed(join_side *side, const tarn_chunk *chunk, tarn_arena *arena,
                                tarn_vector **ret_keys, tarn_chunk *ret_keyed, tarn_error *err) {
    *ret_keyed = *chunk;
    size_t key_count = side->key_layout.column_count;
    *ret_keys = NULL;
    if (key_count == 0) return TARN_OK;
    tarn_vector *keys = tarn_arena_new(arena, tarn_vector, key_count);
    if (keys == NULL) return op_no_memory(side->base, err);
    TARN_TRY(tarn_program_eval(side->key_program, chunk, arena, keys, err));
    size_t selected = 0;
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        bool has_null = false;
        for (size_t k = 0; k < key_count; k++) has_null |= tarn_vector_is_null(&keys[k], row);
        if (!has_null) side->selection[selected++] = (uint32_t)row;
    }
    ret_keyed->selection = side->selection;
    ret_keyed->selected_count = selected;
    *ret_keys = keys;
    return TARN_OK;
}

tarn_status join_side_add(join_side *side, const tarn_chunk *chunk, int64_t weight,
                          tarn_arena *arena, tarn_error *err) {
    tarn_vector *keys = NULL;
    tarn_chunk keyed;
    TARN_TRY(select_keyed(side, chunk, arena, &keys, &keyed, err));
    size_t count = tarn_chunk_count(&keyed);
    if (count == 0) return TARN_OK;

    op_hash_rows(keys, side->key_layout.column_count, &keyed, side->hashes);
    op_probe probe = {.keys = keys, .chunk = &keyed, .hashes = side->hashes, .add = true};
    TARN_TRY(op_groups_probe(&side->keys, &probe, side->key_groups, err));
    op_hash_rows(chunk->columns, side->row_layout.column_count, &keyed, side->hashes);
    probe.keys = chunk->columns;
    TARN_TRY(op_groups_probe(&side->rows, &probe, side->row_groups, err));
    for (size_t i = 0; i < count; i++) {
        uint8_t kind = op_chunk_kind(chunk, tarn_chunk_row(&keyed, i));
        int64_t change = tarn_row_kind_is_retract(kind) ? -weight : weight;
        TARN_TRY(change_row(side, side->row_groups[i], side->key_groups[i], change, err));
    }
    side->version++;
    return TARN_OK;
}

void join_side_apply(join_side *side) {
    for (size_t i = 0; i < side->pending_rows.count; i++) {
        join_row *r = join_row_of(side, side->pending_rows.groups[i]);
        change_count(side, side->pending_rows.groups[i], r->delta);
        r->delta = 0;
    }
    for (size_t i = 0; i < side->pending_keys.count; i++) {
        join_key *k = join_key_of(side, side->pending_keys.groups[i]);
        k->is_pending = false;
        k->live_delta = 0;
    }
    if (side->pending_keys.count > 0) side->version++;
    side->pending_rows.count = 0;
    side->pending_keys.count = 0;
}

static void remove_row(join_side *side, uint8_t *row) {
    join_row *r = join_row_of(side, row);
    join_key *k = join_key_of(side, r->key);
    if (r->previous != NULL) {
        join_row_of(side, r->previous)->next = r->next;
    } else {
        k->first = r->next;
    }
    if (r->next != NULL) join_row_of(side, r->next)->previous = r->previous;
    if (k->first == NULL) {
        if (k->is_probed) {
            side->empty_keys++;
        } else {
            op_groups_remove(&side->keys, r->key);
        }
    }
    op_groups_remove(&side->rows, row);
    side->version++;
}

void join_side_sweep(join_side *side) {
    for (size_t i = 0; i < side->dirty_rows.count; i++) {
        uint8_t *row = side->dirty_rows.groups[i];
        join_row *r = join_row_of(side, row);
        r->is_dirty = false;
        if (r->count == 0 && r->delta == 0) remove_row(side, row);
    }
    side->dirty_rows.count = 0;
}

// ---- lookup ----

tarn_status join_side_find(join_side *side, const tarn_vector *keys, const tarn_chunk *chunk,
                           uint8_t **ret_keys, tarn_error *err) {
    size_t count = tarn_chunk_count(chunk);
    if (side->empty_keys > EMPTY_KEYS_LIMIT) side->all_probed = true;
    bool marks = side->tracks_probes && !side->all_probed;
    op_hash_rows(keys, side->key_layout.column_count, chunk, side->hashes);
    op_probe probe = {.keys = keys, .chunk = chunk, .hashes = side->hashes, .add = marks};
    TARN_TRY(op_groups_probe(&side->keys, &probe, ret_keys, err));
    for (size_t i = 0; i < count && marks; i++) {
        join_key *k = join_key_of(side, ret_keys[i]);
        if (k->is_probed) continue;
        k->is_probed = true;
        if (k->first == NULL) side->empty_keys++;
    }
    // NULL equals nothing; the table of keys, in which it would be a key, is only asked for others.
    for (size_t k = 0; k < side->key_layout.column_count; k++) {
        if (keys[k].validity == NULL) continue;
        for (size_t i = 0; i < count; i++) {
            if (tarn_vector_is_null(&keys[k], tarn_chunk_row(chunk, i))) ret_keys[i] = NULL;
        }
    }
    return TARN_OK;
}

// ---- dictionaries ----

static tarn_status make_dictionary(join_side *side, size_t column, uint32_t count,
                                   tarn_error *err) {
    tarn_string *values = NULL;
    tarn_dictionary *dictionary = NULL;
    void *raw = NULL;
    TARN_TRY(tarn_dictionary_new(side->alloc, side->row_layout.types[column], count, &raw,
                                 &dictionary, err));
    values = raw;
    op_groups_iterator iterator = op_groups_begin(&side->rows);
    for (uint8_t *row; (row = op_groups_next(&side->rows, &iterator)) != NULL;) {
        if (join_row_of(side, row)->count <= 0) continue;
        tarn_string *value = &values[join_row_of(side, row)->ordinal];
        *value = (tarn_string){0};
        if (op_layout_is_null(&side->row_layout, row, column)) continue;
        memcpy(value, row + side->row_layout.offsets[column], sizeof *value);
        if (value->len <= TARN_STRING_INLINE_BYTES) continue;
        tarn_slice copy;
        if (!tarn_arena_copy(&dictionary->arena, tarn_string_slice(value), &copy)) {
            tarn_dictionary_unref(dictionary);
            return op_no_memory(side->base, err);
        }
        value->data = copy.data;
    }
    side->dictionaries[column] = dictionary;
    return TARN_OK;
}

tarn_status join_side_make_dictionaries(join_side *side, tarn_error *err) {
    if (side->dictionary_version == side->version) return TARN_OK;
    drop_dictionaries(side);
    side->dictionary_version = side->version;
    if (side->rows.count == 0 || side->rows.count > DICTIONARY_ROWS) return TARN_OK;
    uint32_t count = 0;
    op_groups_iterator iterator = op_groups_begin(&side->rows);
    for (uint8_t *row; (row = op_groups_next(&side->rows, &iterator)) != NULL;) {
        if (join_row_of(side, row)->count > 0) join_row_of(side, row)->ordinal = count++;
    }
    for (size_t c = 0; c < side->row_layout.column_count && count > 0; c++) {
        if (side->row_layout.physicals[c] != TARN_PHYSICAL_STRING) continue;
        TARN_TRY(make_dictionary(side, c, count, err));
    }
    return TARN_OK;
}
