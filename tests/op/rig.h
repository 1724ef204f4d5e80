// rig.h - a machine to try operators on: relations whose rows come as scripted, plans from SQL,
// runs as a batch and as a stream that is cut, saved and restored at will.
//
// Rows of a relation are an append-only log of changes. A batch sees what they add up to; a stream
// sees them one after the other, in chunks of random size and shape. Results are multisets of rows
// as text.
#ifndef TARN_TESTS_OP_RIG_H
#define TARN_TESTS_OP_RIG_H

#include <stdio.h>
#include <string.h>

#include "base/budget.h"
#include "op/op.h"
#include "os/sim.h"
#include "tests/test.h"

// ---- multisets of text ----

typedef struct bag_entry {
    char *text;
    int64_t count;
} bag_entry;

typedef struct bag {
    bag_entry *entries;
    size_t count;
    size_t capacity;
} bag;

static inline void bag_add(bag *b, const char *text, int64_t change) {
    for (size_t i = 0; i < b->count; i++) {
        if (strcmp(b->entries[i].text, text) != 0) continue;
        b->entries[i].count += change;
        if (b->entries[i].count == 0) {
            free(b->entries[i].text);
            b->entries[i] = b->entries[--b->count];
        }
        return;
    }
    if (b->count == b->capacity) {
        b->capacity = b->capacity == 0 ? 64 : b->capacity * 2;
        b->entries = realloc(b->entries, b->capacity * sizeof *b->entries);
        assert_non_null(b->entries);
    }
    b->entries[b->count++] = (bag_entry){.text = strdup(text), .count = change};
}

static inline void bag_free(bag *b) {
    for (size_t i = 0; i < b->count; i++) free(b->entries[i].text);
    free(b->entries);
    *b = (bag){0};
}

static inline int64_t bag_count(const bag *b, const char *text) {
    for (size_t i = 0; i < b->count; i++) {
        if (strcmp(b->entries[i].text, text) == 0) return b->entries[i].count;
    }
    return 0;
}

// Fails with the rows that differ.
static inline void assert_bags_equal(const bag *got, const bag *wanted, const char *what) {
    bool equal = true;
    for (size_t i = 0; i < got->count; i++) {
        int64_t count = bag_count(wanted, got->entries[i].text);
        if (count == got->entries[i].count) continue;
        print_message("%s: got %lld of '%s', wanted %lld\n", what, (long long)got->entries[i].count,
                      got->entries[i].text, (long long)count);
        equal = false;
    }
    for (size_t i = 0; i < wanted->count; i++) {
        if (bag_count(got, wanted->entries[i].text) != 0) continue;
        print_message("%s: misses %lld of '%s'\n", what, (long long)wanted->entries[i].count,
                      wanted->entries[i].text);
        equal = false;
    }
    assert_true(equal);
}

// ---- relations ----

#define RIG_COLUMNS   5
#define RIG_RELATIONS 4

typedef struct rig_row {
    int64_t values[RIG_COLUMNS]; // text: an index into the pool; double: the number
    bool nulls[RIG_COLUMNS];
    uint8_t kind;
    int64_t watermark_us; // in force before it
} rig_row;

typedef struct rig_relation {
    tarn_relation relation;
    tarn_field fields[RIG_COLUMNS];
    rig_row *rows; // the log
    size_t row_count;
    size_t row_capacity;
    size_t allowed; // how far streams may read now
    size_t loaded;  // without event time: where the first load ends
    int64_t latest_us;
    bool can_replay;
    size_t replays; // how often it was read again
    bool ended;     // nothing more will come: everything is complete
} rig_relation;

static const char *const rig_pool[] = {
    "",
    "a",
    "b",
    "ATL",
    "twelve by.",
    "exactly twel",
    "thirteen byte",
    "a longer text that lives elsewhere",
    "a longer text that lives elsewhere too",
};
#define RIG_POOL (sizeof rig_pool / sizeof rig_pool[0])

typedef enum rig_name { RIG_EVENTS, RIG_DIMS, RIG_LOG, RIG_FACTS } rig_name;

typedef struct rig {
    tarn_arena arena;
    tarn_sim *sim;
    rig_relation relations[RIG_RELATIONS];
    tarn_catalog_reader reader;
    tarn_dictionary *dictionary; // of the pool
    const tarn_alloc *alloc;
    size_t chunk_limit; // rows; 0: TARN_CHUNK_ROWS
    size_t replay_count;
} rig;

static inline void rig_field(rig_relation *r, const char *name, tarn_type_id type, bool not_null) {
    r->fields[r->relation.schema.field_count++] = (tarn_field){.name = tarn_slice_from_cstr(name),
                                                               .type = tarn_type_of(type),
                                                               .not_null = not_null,
                                                               .id = -1};
}

static inline tarn_status rig_find(void *context, tarn_slice schema_name, tarn_slice name,
                                   tarn_arena *arena, const tarn_relation **ret_relation,
                                   tarn_error *err) {
    (void)schema_name;
    (void)arena;
    (void)err;
    rig *r = context;
    *ret_relation = NULL;
    for (size_t i = 0; i < RIG_RELATIONS; i++) {
        if (tarn_slice_equal(r->relations[i].relation.name, name)) {
            *ret_relation = &r->relations[i].relation;
        }
    }
    return TARN_OK;
}

static inline tarn_status rig_names(void *context, tarn_arena *arena, const tarn_slice **ret_names,
                                    size_t *ret_count, tarn_error *err) {
    (void)context;
    (void)arena;
    (void)err;
    *ret_names = NULL;
    *ret_count = 0;
    return TARN_OK;
}

static inline void rig_relation_init(rig_relation *r, const char *name, tarn_relation_kind kind,
                                     bool append_only) {
    r->relation = (tarn_relation){.kind = kind,
                                  .schema_name = TARN_LIT("public"),
                                  .name = tarn_slice_from_cstr(name),
                                  .append_only = append_only,
                                  .time_column = -1,
                                  .handle = r};
    r->relation.schema.fields = r->fields;
    r->latest_us = TARN_NO_WATERMARK;
    r->can_replay = append_only;
}

#define RIG_DELAY_US ((int64_t)10 * 1000000)

static inline void rig_init(rig *r) {
    *r = (rig){.alloc = &tarn_alloc_libc};
    tarn_error err = {0};
    tarn_arena_init(&r->arena, &tarn_alloc_libc, SIZE_MAX);
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, test_random(), &r->sim, &err), TARN_OK);
    r->reader = (tarn_catalog_reader){.context = r, .find = rig_find, .names = rig_names};

    rig_relation *events = &r->relations[RIG_EVENTS];
    rig_relation_init(events, "events", TARN_RELATION_SOURCE, true);
    rig_field(events, "id", TARN_TYPE_BIGINT, true);
    rig_field(events, "at", TARN_TYPE_TIMESTAMP, false);
    rig_field(events, "k", TARN_TYPE_TEXT, false);
    rig_field(events, "n", TARN_TYPE_INTEGER, false);
    rig_field(events, "v", TARN_TYPE_DOUBLE, false);
    events->relation.time_column = 1;
    events->relation.watermark_delay_us = RIG_DELAY_US;
    rig_relation *dims = &r->relations[RIG_DIMS];
    rig_relation_init(dims, "dims", TARN_RELATION_TABLE, false);
    rig_field(dims, "k", TARN_TYPE_TEXT, false);
    rig_field(dims, "n", TARN_TYPE_INTEGER, false);
    rig_field(dims, "name", TARN_TYPE_TEXT, false);
    rig_relation *log = &r->relations[RIG_LOG];
    rig_relation_init(log, "log", TARN_RELATION_TABLE, true);
    rig_field(log, "id", TARN_TYPE_BIGINT, true);
    rig_field(log, "k", TARN_TYPE_TEXT, false);
    rig_field(log, "n", TARN_TYPE_INTEGER, false);
    rig_relation *facts = &r->relations[RIG_FACTS];
    rig_relation_init(facts, "facts", TARN_RELATION_TABLE, false);
    rig_field(facts, "id", TARN_TYPE_BIGINT, true);
    rig_field(facts, "k", TARN_TYPE_TEXT, false);
    rig_field(facts, "n", TARN_TYPE_INTEGER, false);
    rig_field(facts, "amount", TARN_TYPE_BIGINT, false);

    void *raw = NULL;
    assert_int_equal(tarn_dictionary_new(&tarn_alloc_libc, tarn_type_of(TARN_TYPE_TEXT), RIG_POOL,
                                         &raw, &r->dictionary, &err),
                     TARN_OK);
    tarn_string *strings = raw;
    for (size_t i = 0; i < RIG_POOL; i++) {
        strings[i] = tarn_string_view(tarn_slice_from_cstr(rig_pool[i]));
    }
}

static inline void rig_free(rig *r) {
    for (size_t i = 0; i < RIG_RELATIONS; i++) free(r->relations[i].rows);
    tarn_dictionary_unref(r->dictionary);
    tarn_sim_free(r->sim);
    tarn_arena_reset(&r->arena);
}

// ---- rows ----

static inline void rig_append(rig_relation *relation, rig_row row) {
    if (relation->row_count == relation->row_capacity) {
        relation->row_capacity = relation->row_capacity == 0 ? 64 : relation->row_capacity * 2;
        relation->rows = realloc(relation->rows, relation->row_capacity * sizeof row);
        assert_non_null(relation->rows);
    }
    row.watermark_us = relation->latest_us == TARN_NO_WATERMARK
                           ? TARN_NO_WATERMARK
                           : relation->latest_us - relation->relation.watermark_delay_us;
    ptrdiff_t time = relation->relation.time_column;
    if (time >= 0 && !row.nulls[time] && row.values[time] > relation->latest_us) {
        relation->latest_us = row.values[time];
    }
    relation->rows[relation->row_count++] = row;
}

static inline rig_row rig_random_row(const rig_relation *relation) {
    rig_row row = {0};
    for (size_t c = 0; c < relation->relation.schema.field_count; c++) {
        const tarn_field *field = &relation->fields[c];
        row.nulls[c] = !field->not_null && test_random_below(12) == 0;
        switch (field->type.id) {
        case TARN_TYPE_TEXT: row.values[c] = (int64_t)test_random_below(RIG_POOL); break;
        case TARN_TYPE_TIMESTAMP: {
            // Time goes on by about a second per row, out of order by up to half a minute.
            int64_t base = (int64_t)relation->row_count * 1000000;
            row.values[c] = base - (int64_t)test_random_below(30000000);
            break;
        }
        default: row.values[c] = (int64_t)test_random_below(7) - 2; break;
        }
    }
    if (relation->fields[0].type.id == TARN_TYPE_BIGINT) {
        row.values[0] = (int64_t)relation->row_count;
    }
    return row;
}

static inline bool rig_rows_equal(const rig_relation *relation, const rig_row *a,
                                  const rig_row *b) {
    for (size_t c = 0; c < relation->relation.schema.field_count; c++) {
        if (a->nulls[c] != b->nulls[c]) return false;
        if (!a->nulls[c] && a->values[c] != b->values[c]) return false;
    }
    return true;
}

// The rows that the log's first `end` changes add up to. The caller frees them.
static inline rig_row *rig_net(const rig_relation *relation, size_t end, size_t *ret_count) {
    rig_row *rows = calloc(end + 1, sizeof *rows);
    assert_non_null(rows);
    size_t count = 0;
    for (size_t i = 0; i < end; i++) {
        const rig_row *row = &relation->rows[i];
        if (!tarn_row_kind_is_retract(row->kind)) {
            rows[count] = *row;
            rows[count++].kind = TARN_ROW_INSERT;
            continue;
        }
        size_t at = 0;
        while (at < count && !rig_rows_equal(relation, &rows[at], row)) at++;
        assert_true(at < count);
        rows[at] = rows[--count];
    }
    *ret_count = count;
    return rows;
}

// Appends `count` changes: new rows, and where the relation allows it deletes and updates.
static inline void rig_change(rig_relation *relation, size_t count) {
    while (count-- > 0) {
        if (relation->relation.append_only || relation->row_count == 0 ||
            test_random_below(5) < 3) {
            rig_append(relation, rig_random_row(relation));
            continue;
        }
        size_t live_count = 0;
        rig_row *live = rig_net(relation, relation->row_count, &live_count);
        if (live_count > 0) {
            rig_row gone = live[test_random_below(live_count)];
            bool is_update = test_random_below(2) == 0;
            gone.kind = is_update ? TARN_ROW_UPDATE_BEFORE : TARN_ROW_DELETE;
            rig_append(relation, gone);
            if (is_update) {
                rig_row come = rig_random_row(relation);
                if (relation->fields[0].not_null) come.values[0] = gone.values[0];
                come.kind = TARN_ROW_UPDATE_AFTER;
                rig_append(relation, come);
            }
        }
        free(live);
    }
}

// ---- chunks ----

static inline void rig_set_value(const rig_relation *relation, size_t column, const rig_row *row,
                                 tarn_vector *vector, size_t at) {
    const tarn_field *field = &relation->fields[column];
    tarn_value value = tarn_value_null(field->type);
    value.is_null = row->nulls[column];
    if (field->type.id == TARN_TYPE_TEXT) {
        value.bytes = tarn_slice_from_cstr(rig_pool[row->values[column]]);
    } else if (field->type.id == TARN_TYPE_DOUBLE) {
        value.f64 = (double)row->values[column] / 2;
    } else {
        value.i64 = row->values[column];
    }
    tarn_vector_set(vector, at, value);
}

static inline bool rig_is_constant(const rig_row *const *rows, size_t count, size_t column) {
    for (size_t i = 1; i < count; i++) {
        if (rows[i]->nulls[column] != rows[0]->nulls[column]) return false;
        if (rows[i]->values[column] != rows[0]->values[column]) return false;
    }
    return count > 0;
}

// One column of the rows, flat, constant or dictionary.
static inline void rig_vector(rig *r, const rig_relation *relation, size_t column,
                              const rig_row *const *rows, size_t count, tarn_arena *arena,
                              tarn_vector *ret_vector) {
    tarn_error err = {0};
    tarn_type type = relation->fields[column].type;
    bool is_constant = rig_is_constant(rows, count, column) && test_random_below(2) == 0;
    size_t value_count = is_constant ? 1 : count;
    if (!is_constant && type.id == TARN_TYPE_TEXT && test_random_below(3) > 0) {
        uint32_t *indices = tarn_arena_new(arena, uint32_t, count);
        *ret_vector = (tarn_vector){.type = type,
                                    .kind = TARN_VECTOR_DICTIONARY,
                                    .indices = indices,
                                    .dictionary = r->dictionary};
        assert_int_equal(tarn_vector_make_validity(ret_vector, count, arena, &err), TARN_OK);
        for (size_t i = 0; i < count; i++) {
            indices[i] = rows[i]->nulls[column] ? 0 : (uint32_t)rows[i]->values[column];
            tarn_bitmap_assign(ret_vector->validity, i, !rows[i]->nulls[column]);
        }
        return;
    }
    assert_int_equal(tarn_vector_init_flat(ret_vector, type, value_count, arena, &err), TARN_OK);
    assert_int_equal(tarn_vector_make_validity(ret_vector, value_count, arena, &err), TARN_OK);
    for (size_t i = 0; i < value_count; i++)
        rig_set_value(relation, column, rows[i], ret_vector, i);
    if (is_constant) ret_vector->kind = TARN_VECTOR_CONSTANT;
}

// The rows as a chunk, sometimes with other rows between them that are not selected.
static inline tarn_chunk rig_chunk(rig *r, const rig_relation *relation, const size_t *columns,
                                   size_t column_count, const rig_row *rows, size_t count,
                                   tarn_arena *arena) {
    bool spread = count * 2 <= TARN_CHUNK_ROWS && test_random_below(3) == 0;
    size_t row_count = spread ? count * 2 : count;
    const rig_row **laid = tarn_arena_new(arena, const rig_row *, row_count + 1);
    uint32_t *selection = tarn_arena_new(arena, uint32_t, count + 1);
    uint8_t *kinds = tarn_arena_new(arena, uint8_t, row_count + 1);
    int64_t *watermarks = tarn_arena_new(arena, int64_t, row_count + 1);
    bool has_kinds = false;
    for (size_t i = 0; i < row_count; i++) {
        laid[i] = &rows[spread ? i / 2 : i];
        kinds[i] = laid[i]->kind;
        watermarks[i] = laid[i]->watermark_us;
        has_kinds |= kinds[i] != TARN_ROW_INSERT;
    }
    for (size_t i = 0; i < count; i++) selection[i] = (uint32_t)(2 * i + test_random_below(2));
    tarn_chunk chunk = {.row_count = row_count,
                        .column_count = column_count,
                        .columns = tarn_arena_new(arena, tarn_vector, column_count + 1),
                        .selection = spread ? selection : NULL,
                        .selected_count = count,
                        .kinds = has_kinds ? kinds : NULL,
                        .watermarks = relation->relation.time_column >= 0 ? watermarks : NULL};
    for (size_t c = 0; c < column_count; c++) {
        rig_vector(r, relation, columns[c], laid, row_count, arena, &chunk.columns[c]);
    }
    return chunk;
}

// ---- sources ----

typedef struct rig_source {
    rig *rig;
    rig_relation *relation;
    const size_t *columns;
    size_t column_count;
    bool is_batch;
    rig_row *net; // batch
    size_t net_count;
    size_t cursor;
    int64_t sent_watermark_us;
    struct rig_source *next;
} rig_source;

static inline size_t rig_chunk_rows(const rig *r, size_t left) {
    size_t limit =
        r->chunk_limit == 0 || r->chunk_limit > TARN_CHUNK_ROWS ? TARN_CHUNK_ROWS : r->chunk_limit;
    size_t count = 1 + test_random_below(limit);
    return count < left ? count : left;
}

static inline tarn_status rig_send_watermark(rig_source *source, tarn_output *output,
                                             tarn_error *err) {
    rig_relation *relation = source->relation;
    int64_t watermark_us = TARN_NO_WATERMARK;
    if (relation->ended && source->cursor == relation->row_count) {
        watermark_us = INT64_MAX;
    } else if (relation->relation.time_column < 0) {
        if (source->cursor >= relation->loaded) watermark_us = INT64_MAX;
    } else {
        watermark_us =
            source->cursor < relation->row_count       ? relation->rows[source->cursor].watermark_us
            : relation->latest_us == TARN_NO_WATERMARK ? TARN_NO_WATERMARK
                                                       : relation->latest_us - RIG_DELAY_US;
    }
    if (watermark_us <= source->sent_watermark_us) return TARN_OK;
    source->sent_watermark_us = watermark_us;
    return tarn_output_watermark(output, watermark_us, err);
}

static inline tarn_status rig_source_poll(void *self, tarn_output *output, tarn_poll *ret_poll,
                                          tarn_error *err) {
    rig_source *source = self;
    rig_relation *relation = source->relation;
    const rig_row *rows = source->is_batch ? source->net : relation->rows;
    size_t end = source->is_batch ? source->net_count : relation->allowed;
    *ret_poll = TARN_POLL_MORE;
    if (source->cursor >= end) {
        if (!source->is_batch) TARN_TRY(rig_send_watermark(source, output, err));
        *ret_poll = source->is_batch ? TARN_POLL_END : TARN_POLL_IDLE;
        return TARN_OK;
    }
    size_t count = rig_chunk_rows(source->rig, end - source->cursor);
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_chunk chunk = rig_chunk(source->rig, relation, source->columns, source->column_count,
                                 rows + source->cursor, count, &arena);
    source->cursor += count;
    tarn_status status = tarn_output_emit(output, &chunk, err);
    tarn_arena_reset(&arena);
    if (status != TARN_OK || source->is_batch) return status;
    return rig_send_watermark(source, output, err);
}

static inline tarn_status rig_source_barrier(void *self, uint64_t epoch, tarn_state_writer *state,
                                             tarn_error *err) {
    (void)epoch;
    rig_source *source = self;
    uint8_t bytes[8];
    tarn_store_u64(bytes, source->cursor);
    return tarn_state_put(state, TARN_LIT("cursor"), (tarn_slice){bytes, 8}, err);
}

static inline tarn_status rig_source_restore(void *self, tarn_state_reader *state,
                                             tarn_error *err) {
    rig_source *source = self;
    tarn_slice key;
    tarn_slice value;
    bool found = false;
    TARN_TRY(tarn_state_next(state, &key, &value, &found, err));
    if (found) source->cursor = (size_t)tarn_load_u64(value.data);
    return TARN_OK;
}

static inline void rig_source_free(void *self) {
    rig_source *source = self;
    free(source->net);
    free(source);
}

static const tarn_source_ops rig_source_ops = {.poll = rig_source_poll,
                                               .barrier = rig_source_barrier,
                                               .restore = rig_source_restore,
                                               .free = rig_source_free};

// ---- runs ----

// One flow over a plan.
typedef struct rig_run {
    rig *rig;
    const tarn_plan *plan;
    tarn_flow *flow;
    rig_source *sources; // a stream's; the flow owns them
    size_t leaf_count;
    bool is_batch;
    size_t part_count;   // batches: nodes per leaf
    const rig_row *only; // batches: take these rows of RIG_EVENTS instead of the net ones
    size_t only_count;
    bool takes_only;
    bag output;
    bag keyed;      // what a table with the plan's key would hold: "key -> row"
    char **emitted; // rows in the order in which they came
    size_t emitted_capacity;
    uint64_t epoch;
    bool complete;
    tarn_buffer states[64]; // a full one and deltas behind it
    size_t state_count;
    uint64_t emitted_rows;
} rig_run;

static inline tarn_status rig_add_leaf(void *context, const tarn_plan *scan, tarn_flow *flow,
                                       size_t part_limit, tarn_node *ret_nodes, size_t *ret_count,
                                       tarn_error *err) {
    rig_run *run = context;
    size_t part_count = run->part_count < part_limit ? run->part_count : part_limit;
    if (part_count == 0) part_count = 1;
    for (size_t part = 0; part < part_count; part++) {
        rig_source *source = calloc(1, sizeof *source);
        assert_non_null(source);
        source->rig = run->rig;
        source->relation = scan->scan.relation->handle;
        source->columns = scan->scan.columns;
        source->column_count = scan->schema.field_count;
        source->is_batch = run->is_batch;
        source->sent_watermark_us = TARN_NO_WATERMARK;
        if (run->is_batch) {
            bool only = run->takes_only && source->relation == &run->rig->relations[RIG_EVENTS];
            size_t count = 0;
            rig_row *net = rig_net(source->relation, source->relation->allowed, &count);
            if (only) {
                net = realloc(net, (run->only_count + 1) * sizeof *net);
                count = run->only_count;
                if (count > 0) memcpy(net, run->only, count * sizeof *net);
            }
            // Every part takes its share.
            size_t begin = count * part / part_count;
            source->net_count = count * (part + 1) / part_count - begin;
            memmove(net, net + begin, source->net_count * sizeof *net);
            source->net = net;
        } else {
            source->next = run->sources;
            run->sources = source;
        }
        char name[32];
        (void)snprintf(name, sizeof name, "leaf-%zu-%zu", run->leaf_count, part);
        TARN_TRY(tarn_flow_add_source(flow, tarn_slice_from_cstr(name), &rig_source_ops, source,
                                      &ret_nodes[part], err));
    }
    run->leaf_count++;
    *ret_count = part_count;
    return TARN_OK;
}

typedef struct rig_replay {
    rig *rig;
    const tarn_plan *scan;
} rig_replay;

static inline tarn_status
rig_replay_rows(void *context,
                tarn_status (*row)(void *row_context, const tarn_chunk *chunk, tarn_error *err),
                void *row_context, tarn_error *err) {
    rig_replay *replay = context;
    rig_relation *relation = replay->scan->scan.relation->handle;
    relation->replays++;
    size_t at = 0;
    tarn_status status = TARN_OK;
    while (at < relation->allowed && status == TARN_OK) {
        size_t count = rig_chunk_rows(replay->rig, relation->allowed - at);
        tarn_arena arena;
        tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
        tarn_chunk chunk =
            rig_chunk(replay->rig, relation, replay->scan->scan.columns,
                      replay->scan->schema.field_count, relation->rows + at, count, &arena);
        status = row(row_context, &chunk, err);
        tarn_arena_reset(&arena);
        at += count;
    }
    return status;
}

static inline bool rig_get_replay(void *context, const tarn_plan *scan,
                                  tarn_op_replay *ret_replay) {
    rig_run *run = context;
    const rig_relation *relation = scan->scan.relation->handle;
    if (!relation->can_replay) return false;
    rig_replay *replay = tarn_arena_new(&run->rig->arena, rig_replay, 1);
    *replay = (rig_replay){.rig = run->rig, .scan = scan};
    *ret_replay = (tarn_op_replay){.context = replay, .replay = rig_replay_rows};
    return true;
}

// Text of a row, nulls as NULL.
static inline void rig_row_text(const tarn_chunk *chunk, size_t row, tarn_buffer *out) {
    tarn_error err = {0};
    tarn_buffer_clear(out);
    for (size_t c = 0; c < chunk->column_count; c++) {
        if (c > 0) assert_true(tarn_buffer_append_byte(out, '|'));
        tarn_value value = tarn_vector_get(&chunk->columns[c], row);
        if (value.is_null) {
            assert_true(tarn_buffer_append(out, TARN_LIT("NULL")));
        } else {
            assert_int_equal(tarn_value_format(value, out, &err), TARN_OK);
        }
    }
    assert_true(tarn_buffer_append_byte(out, 0));
}

// As a keyed table does: +I and +U replace, -D removes, -U is ignored.
static inline void rig_fold_keyed(rig_run *run, const tarn_chunk *chunk, size_t row,
                                  tarn_row_kind kind, const char *text) {
    if (run->plan->key_count == 0 || kind == TARN_ROW_UPDATE_BEFORE) return;
    tarn_vector columns[16];
    for (size_t k = 0; k < run->plan->key_count; k++) {
        columns[k] = chunk->columns[run->plan->key_columns[k]];
    }
    tarn_chunk keys = {
        .row_count = chunk->row_count, .column_count = run->plan->key_count, .columns = columns};
    tarn_buffer key = {0};
    rig_row_text(&keys, row, &key);
    key.len--; // the NUL
    assert_true(tarn_buffer_append(&key, TARN_LIT(" -> ")));
    for (size_t i = 0; i < run->keyed.count; i++) {
        if (strncmp(run->keyed.entries[i].text, (const char *)key.data, key.len) != 0) continue;
        bag_add(&run->keyed, run->keyed.entries[i].text, -1);
        break;
    }
    if (kind != TARN_ROW_DELETE) {
        assert_true(tarn_buffer_append(&key, tarn_slice_from_cstr(text)));
        assert_true(tarn_buffer_append_byte(&key, 0));
        bag_add(&run->keyed, (const char *)key.data, 1);
    }
    tarn_buffer_free(&key);
}

static inline void rig_remember(rig_run *run, const char *text) {
    if (run->emitted_rows == run->emitted_capacity) {
        run->emitted_capacity = run->emitted_capacity == 0 ? 64 : run->emitted_capacity * 2;
        run->emitted = realloc(run->emitted, run->emitted_capacity * sizeof(char *));
        assert_non_null(run->emitted);
    }
    run->emitted[run->emitted_rows++] = strdup(text);
}

// Folds emitted rows into run->output.
static inline tarn_status rig_collect(void *self, size_t input, const tarn_chunk *chunk,
                                      tarn_output *output, tarn_error *err) {
    (void)input;
    (void)output;
    (void)err;
    rig_run *run = self;
    assert_int_equal(chunk->column_count, run->plan->schema.field_count);
    assert_true(chunk->row_count <= TARN_CHUNK_ROWS);
    tarn_buffer text = {0};
    for (size_t i = 0; i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        tarn_row_kind kind = chunk->kinds == NULL ? TARN_ROW_INSERT : chunk->kinds[row];
        rig_row_text(chunk, row, &text);
        const char *row_text = (const char *)text.data;
        bag_add(&run->output, row_text, tarn_row_kind_is_retract((uint8_t)kind) ? -1 : 1);
        rig_fold_keyed(run, chunk, row, kind, row_text);
        rig_remember(run, row_text);
    }
    tarn_buffer_free(&text);
    return TARN_OK;
}

static const tarn_operator_ops rig_collect_ops = {.chunk = rig_collect};

static inline tarn_status rig_epoch_complete(void *context, uint64_t epoch, bool is_full,
                                             tarn_slice state, tarn_error *err) {
    (void)epoch;
    (void)err;
    rig_run *run = context;
    run->complete = true;
    if (is_full) {
        for (size_t i = 0; i < run->state_count; i++) tarn_buffer_free(&run->states[i]);
        run->state_count = 0;
    }
    assert_true(run->state_count < 64);
    run->states[run->state_count] = (tarn_buffer){0};
    assert_true(tarn_buffer_append(&run->states[run->state_count++], state));
    return TARN_OK;
}

static inline tarn_status rig_build(rig_run *run, tarn_error *err) {
    tarn_flow_options options = {.alloc = run->rig->alloc,
                                 .os = tarn_sim_os(run->rig->sim),
                                 .is_stream = !run->is_batch,
                                 .context = run,
                                 .epoch_complete = rig_epoch_complete};
    TARN_TRY(tarn_flow_new(&options, &run->flow, err));
    tarn_op_context context = {.mode = run->is_batch ? TARN_OP_BATCH : TARN_OP_STREAM,
                               .alloc = run->rig->alloc,
                               .name_prefix = TARN_LIT("view/v/"),
                               .thread_count = run->part_count,
                               .leaf_context = run,
                               .add_leaf = rig_add_leaf,
                               .get_replay = rig_get_replay};
    run->sources = NULL;
    run->leaf_count = 0;
    tarn_node node;
    tarn_node sink;
    TARN_TRY(tarn_op_build(run->plan, &context, run->flow, &node, err));
    return tarn_flow_add_operator(run->flow, TARN_LIT("collect"), &rig_collect_ops, run, &node, 1,
                                  0, &sink, err);
}

static inline void assert_ok(tarn_status status, const tarn_error *err) {
    if (status != TARN_OK) print_message("%s: %s\n", tarn_status_name(status), err->message);
    assert_int_equal(status, TARN_OK);
}

// The plan of a SELECT, or of the query of CREATE MATERIALIZED VIEW.
static inline const tarn_plan *rig_plan(rig *r, const char *sql) {
    tarn_error err = {0};
    const tarn_statement *statement = NULL;
    assert_ok(tarn_sql_prepare(tarn_slice_from_cstr(sql), &r->reader, &r->arena, &statement, &err),
              &err);
    return statement->kind == TARN_STATEMENT_CREATE_VIEW ? statement->create_view.plan
                                                         : statement->select.plan;
}

static inline void rig_allow_all(rig *r) {
    for (size_t i = 0; i < RIG_RELATIONS; i++) {
        r->relations[i].allowed = r->relations[i].row_count;
    }
}

// Runs the plan over what the relations' allowed changes add up to.
static inline void rig_batch(rig_run *run) {
    tarn_error err = {0};
    run->is_batch = true;
    assert_ok(rig_build(run, &err), &err);
    assert_ok(tarn_flow_start(run->flow, &err), &err);
    assert_ok(tarn_flow_wait(run->flow, &err), &err);
    tarn_flow_free(run->flow);
    run->flow = NULL;
}

static inline void rig_stop(rig_run *run) {
    tarn_flow_cancel(run->flow);
    tarn_flow_free(run->flow);
    run->flow = NULL;
}

static inline void rig_run_free(rig_run *run) {
    if (run->flow != NULL) rig_stop(run);
    for (size_t i = 0; i < run->state_count; i++) tarn_buffer_free(&run->states[i]);
    for (size_t i = 0; i < run->emitted_rows; i++) free(run->emitted[i]);
    free(run->emitted);
    bag_free(&run->output);
    bag_free(&run->keyed);
}

static inline bag rig_query(rig *r, const char *sql, size_t part_count) {
    rig_run run = {.rig = r, .plan = rig_plan(r, sql), .part_count = part_count};
    rig_batch(&run);
    bag output = run.output;
    run.output = (bag){0};
    rig_run_free(&run);
    return output;
}

// ---- streams ----

static inline void rig_start(rig_run *run) {
    tarn_error err = {0};
    assert_ok(rig_build(run, &err), &err);
    if (run->state_count > 0) {
        tarn_slice states[64];
        for (size_t i = 0; i < run->state_count; i++)
            states[i] = tarn_buffer_slice(&run->states[i]);
        assert_ok(tarn_flow_restore(run->flow, states, run->state_count, &err), &err);
    }
    assert_ok(tarn_flow_start(run->flow, &err), &err);
}

static inline bool rig_caught_up(const rig_run *run) {
    for (const rig_source *source = run->sources; source != NULL; source = source->next) {
        if (source->cursor < source->relation->allowed) return false;
    }
    return true;
}

// Steps until the sources have delivered what they may and nothing is on its way.
static inline void rig_drain(rig_run *run) {
    tarn_error err = {0};
    for (size_t quiet = 0; quiet < 3;) {
        bool progressed = false;
        assert_ok(tarn_flow_step(run->flow, &progressed, &err), &err);
        if (progressed) continue;
        tarn_sim_advance_us(run->rig->sim, 20000);
        quiet = rig_caught_up(run) && tarn_flow_is_drained(run->flow) ? quiet + 1 : 0;
    }
}

static inline void rig_barrier(rig_run *run, bool is_full) {
    tarn_error err = {0};
    bool accepted = false;
    run->complete = false;
    assert_ok(tarn_flow_request_barrier(run->flow, ++run->epoch, is_full, &accepted, &err), &err);
    assert_true(accepted);
    while (!run->complete) {
        bool progressed = false;
        assert_ok(tarn_flow_step(run->flow, &progressed, &err), &err);
        if (!progressed) tarn_sim_advance_us(run->rig->sim, 20000);
    }
}

// The stream's output is `wanted`, also as a table with the plan's key would hold it.
static inline void assert_run_equals(const rig_run *run, const bag *wanted, const char *what) {
    assert_bags_equal(&run->output, wanted, what);
    if (run->plan->key_count == 0) return;
    bag rows = {0};
    for (size_t i = 0; i < run->keyed.count; i++) {
        const char *arrow = strstr(run->keyed.entries[i].text, " -> ");
        bag_add(&rows, arrow + 4, 1);
    }
    assert_bags_equal(&rows, wanted, "as a keyed table");
    bag_free(&rows);
}

// Makes a random part of what is in the logs readable, relation by relation, in random order.
static inline void rig_let_in(rig_run *run) {
    rig *r = run->rig;
    for (size_t round = 0; round < 6; round++) {
        rig_relation *relation = &r->relations[test_random_below(RIG_RELATIONS)];
        size_t left = relation->row_count - relation->allowed;
        relation->allowed += test_random_below(left + 1);
        if (test_random_below(2) == 0) rig_drain(run);
    }
    rig_allow_all(r);
    rig_drain(run);
}

#endif
