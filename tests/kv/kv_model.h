// kv_model.h - the simplest thing that a key-value store can be compared with: for each family an
// array of all keys there are, in order, and what each of them has.
//
// A value is a list of up to four numbers and some filler that follows from the last one; merging
// appends numbers and keeps the last four, which gives the same however operands are grouped and
// tells their order.
#ifndef TARN_TESTS_KV_MODEL_H
#define TARN_TESTS_KV_MODEL_H

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "kv/kv.h"
#include "os/sim.h"
#include "tests/test.h"

enum { MODEL_FAMILIES = 3, MODEL_KEYS = 120, MODEL_NUMBERS = 4 };

typedef struct model_value {
    uint32_t count; // 0: no value
    uint64_t numbers[MODEL_NUMBERS];
} model_value;

typedef struct model_state {
    bool exists[MODEL_FAMILIES];
    model_value values[MODEL_FAMILIES][MODEL_KEYS]; // by index of the key
} model_state;

// ---- keys: sorted by their bytes ----

static uint8_t model_key_bytes[MODEL_KEYS][24];
static tarn_slice model_keys[MODEL_KEYS];

static inline int model_compare_keys(const void *a, const void *b) {
    return tarn_slice_compare(*(const tarn_slice *)a, *(const tarn_slice *)b);
}

// Short ones over few letters, so that many are prefixes of others; decimal ones as in benchmarks;
// and bytes 0 and 255, where orders and prefixes go wrong.
static inline void model_init_keys(void) {
    for (int i = 0; i < MODEL_KEYS; i++) {
        size_t len = 0;
        bool is_new = false;
        while (!is_new) {
            size_t kind = test_random_below(3);
            len = 1 + test_random_below(kind == 0 ? 4 : 20);
            if (kind == 2) len = 16;
            for (size_t j = 0; j < len; j++) {
                const uint8_t odd[4] = {0, 255, 'a', 'b'};
                model_key_bytes[i][j] = kind == 0   ? (uint8_t)('a' + test_random_below(2))
                                        : kind == 1 ? odd[test_random_below(4)]
                                        : j < 14    ? '0'
                                                    : (uint8_t)('0' + test_random_below(10));
            }
            is_new = true;
            for (int j = 0; j < i; j++) {
                tarn_slice key = {model_key_bytes[i], len};
                if (tarn_slice_equal(model_keys[j], key)) is_new = false;
            }
        }
        model_keys[i] = (tarn_slice){model_key_bytes[i], len};
    }
    qsort(model_keys, MODEL_KEYS, sizeof model_keys[0], model_compare_keys);
}

// ---- values as bytes ----

static size_t model_filler_max = 200;

static inline void model_encode(const model_value *value, tarn_buffer *out) {
    tarn_buffer_clear(out);
    uint64_t last = value->numbers[value->count - 1];
    assert_true(tarn_buffer_append_byte(out, (uint8_t)value->count));
    for (uint32_t i = 0; i < value->count; i++) {
        uint8_t number[8];
        tarn_store_u64(number, value->numbers[i]);
        assert_true(tarn_buffer_append(out, (tarn_slice){number, 8}));
    }
    size_t filler = tarn_hash_u64(last) % 8 == 0 ? 0 : tarn_hash_u64(last + 1) % model_filler_max;
    for (size_t i = 0; i < filler; i++) {
        assert_true(tarn_buffer_append_byte(out, (uint8_t)tarn_hash_u64(last + i / 4)));
    }
}

static inline tarn_status model_merge(void *context, tarn_slice key, const tarn_slice *base,
                                      const tarn_slice *operands, size_t operand_count,
                                      tarn_buffer *out, tarn_error *err) {
    (void)context;
    (void)key;
    model_value value = {0};
    for (size_t i = base == NULL ? 1 : 0; i <= operand_count; i++) {
        tarn_slice part = i == 0 ? *base : operands[i - 1];
        if (part.len < 1 || part.data[0] > MODEL_NUMBERS || part.len < 1 + 8u * part.data[0]) {
            return tarn_fail(err, TARN_CORRUPT, "a value that is none");
        }
        for (uint32_t j = 0; j < part.data[0]; j++) {
            if (value.count == MODEL_NUMBERS) {
                memmove(value.numbers, value.numbers + 1, (MODEL_NUMBERS - 1) * 8);
                value.count--;
            }
            value.numbers[value.count++] = tarn_load_u64(part.data + 1 + 8 * (size_t)j);
        }
    }
    tarn_buffer merged = {0};
    model_encode(&value, &merged);
    bool fits = tarn_buffer_append(out, tarn_buffer_slice(&merged));
    tarn_buffer_free(&merged);
    return fits ? TARN_OK : tarn_fail(err, TARN_NO_MEMORY, "no memory to merge");
}

static const tarn_kv_merge_operator model_merge_operator = {"last-four", model_merge, NULL};

static inline int model_compare_backwards(void *context, tarn_slice a, tarn_slice b) {
    (void)context;
    return tarn_slice_compare(b, a);
}

static const tarn_kv_comparator model_comparator = {"backwards", model_compare_backwards, NULL};
static const tarn_kv_comparator *const model_comparators[] = {&model_comparator};
static const tarn_kv_merge_operator *const model_merge_operators[] = {&model_merge_operator};

// ---- changes ----

typedef enum model_kind { MODEL_PUT, MODEL_DELETE, MODEL_RANGE, MODEL_MERGE } model_kind;

typedef struct model_change {
    model_kind kind;
    int family;
    int key;     // of a range: its beginning; -1: open
    int end_key; // of a range: its end; -1: open
    uint64_t number;
} model_change;

enum { MODEL_BATCH_MAX = 8 };

typedef struct model_batch {
    model_change changes[MODEL_BATCH_MAX];
    size_t count;
} model_batch;

// `backwards` is the bit set of families with the comparator.
static inline void model_apply(model_state *state, const model_batch *batch, unsigned backwards) {
    for (size_t i = 0; i < batch->count; i++) {
        const model_change *c = &batch->changes[i];
        model_value *values = state->values[c->family];
        if (c->kind == MODEL_PUT) values[c->key] = (model_value){1, {c->number}};
        if (c->kind == MODEL_DELETE) values[c->key] = (model_value){0};
        if (c->kind == MODEL_MERGE) {
            model_value *value = &values[c->key];
            if (value->count == MODEL_NUMBERS) {
                memmove(value->numbers, value->numbers + 1, (MODEL_NUMBERS - 1) * 8);
                value->count--;
            }
            value->numbers[value->count++] = c->number;
        }
        if (c->kind != MODEL_RANGE) continue;
        bool is_backwards = (backwards >> c->family & 1) != 0;
        for (int key = 0; key < MODEL_KEYS; key++) {
            bool from = c->key < 0 || (is_backwards ? key <= c->key : key >= c->key);
            bool to = c->end_key < 0 || (is_backwards ? key > c->end_key : key < c->end_key);
            if (from && to) values[key] = (model_value){0};
        }
    }
}

// ---- the store ----

// What an engine turned out not to do.
typedef struct model_limits {
    bool no_ranges;
    bool no_merges;
    bool no_iterators;
    bool no_snapshots;
    bool no_families;
    bool no_comparators;
    bool no_checkpoint;
} model_limits;

typedef struct model_store {
    tarn_os *os;
    tarn_slice directory;
    tarn_kv_options options;
    tarn_kv *kv;
    tarn_kv_family *families[MODEL_FAMILIES];
    unsigned backwards;
    model_limits limits;
} model_store;

static const char *const model_family_names[MODEL_FAMILIES] = {"default", "second", "backwards"};

static inline tarn_slice model_key(int key) {
    return key < 0 ? (tarn_slice){0} : model_keys[key];
}

static inline void model_expect_ok(tarn_status status, const tarn_error *err) {
    if (status != TARN_OK) print_message("status %d: %s\n", (int)status, err->message);
    assert_int_equal(status, TARN_OK);
}

static inline tarn_status model_family_open(model_store *store, int family, tarn_error *err) {
    tarn_kv_family_options options = {.merge = &model_merge_operator};
    if (store->backwards >> family & 1) options.comparator = &model_comparator;
    return tarn_kv_family_open(store->kv, tarn_slice_from_cstr(model_family_names[family]),
                               &options, &store->families[family], err);
}

// Opens the store, and the families that it has.
static inline tarn_status model_open(model_store *store, bool *ret_exists, tarn_error *err) {
    store->options.family.merge = &model_merge_operator;
    store->options.comparators = model_comparators;
    store->options.comparator_count = 1;
    store->options.merge_operators = model_merge_operators;
    store->options.merge_operator_count = 1;
    store->kv = NULL;
    memset(store->families, 0, sizeof store->families);
    TARN_TRY(tarn_kv_open(store->os, store->directory, &store->options, &store->kv, err));
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_slice *names = NULL;
    size_t count = 0;
    tarn_status status = tarn_kv_family_list(store->kv, &arena, &names, &count, err);
    for (int f = 0; f < MODEL_FAMILIES; f++) {
        ret_exists[f] = false;
        for (size_t i = 0; status == TARN_OK && i < count; i++) {
            tarn_slice name = tarn_slice_from_cstr(model_family_names[f]);
            if (!tarn_slice_equal(name, names[i])) continue;
            ret_exists[f] = true;
            if (f > 0) status = model_family_open(store, f, err);
        }
    }
    tarn_arena_reset(&arena);
    if (status != TARN_OK) {
        (void)tarn_kv_close(store->kv, NULL);
        store->kv = NULL;
    }
    return status;
}

static inline tarn_status model_write(model_store *store, const model_batch *changes,
                                      tarn_kv_sync sync, tarn_error *err) {
    tarn_kv_batch *batch = NULL;
    TARN_TRY(tarn_kv_batch_new(NULL, &batch, err));
    tarn_buffer value = {0};
    for (size_t i = 0; i < changes->count; i++) {
        const model_change *c = &changes->changes[i];
        tarn_kv_family *family = store->families[c->family];
        model_value encoded = {1, {c->number}};
        model_encode(&encoded, &value);
        tarn_slice bytes = tarn_buffer_slice(&value);
        tarn_slice key = model_key(c->key);
        tarn_status status = TARN_OK;
        switch (c->kind) {
        case MODEL_PUT: status = tarn_kv_batch_put(batch, family, key, bytes, err); break;
        case MODEL_DELETE: status = tarn_kv_batch_delete(batch, family, key, err); break;
        case MODEL_MERGE: status = tarn_kv_batch_merge(batch, family, key, bytes, err); break;
        case MODEL_RANGE:
            status = tarn_kv_batch_delete_range(batch, family, key, model_key(c->end_key), err);
            break;
        }
        assert_int_equal(status, TARN_OK);
    }
    tarn_status status = tarn_kv_write(store->kv, batch, sync, err);
    tarn_buffer_free(&value);
    tarn_kv_batch_free(batch);
    return status;
}

static inline model_batch model_random_batch(const model_store *store, const model_state *state,
                                             size_t count_max) {
    model_batch batch = {.count = 1 + test_random_below(count_max)};
    for (size_t i = 0; i < batch.count; i++) {
        model_change *c = &batch.changes[i];
        do {
            c->family = (int)test_random_below(MODEL_FAMILIES);
        } while (!state->exists[c->family]);
        size_t kind = test_random_below(20);
        c->kind = kind < 11   ? MODEL_PUT
                  : kind < 16 ? MODEL_DELETE
                  : kind < 19 ? MODEL_MERGE
                              : MODEL_RANGE;
        if (c->kind == MODEL_MERGE && store->limits.no_merges) c->kind = MODEL_PUT;
        if (c->kind == MODEL_RANGE && store->limits.no_ranges) c->kind = MODEL_DELETE;
        c->key = (int)test_random_below(MODEL_KEYS);
        c->number = test_random();
        if (c->kind != MODEL_RANGE) continue;
        bool is_backwards = (store->backwards >> c->family & 1) != 0;
        int len = (int)test_random_below(12);
        c->end_key = is_backwards ? c->key - len : c->key + len;
        if (c->end_key >= MODEL_KEYS || test_random_below(30) == 0) c->end_key = -1;
        if (test_random_below(30) == 0) c->key = -1;
    }
    return batch;
}

// ---- comparing ----

// Says what a value should have been; returns false when it is not.
static inline bool model_value_is(const model_value *value, tarn_slice bytes) {
    tarn_buffer expected = {0};
    model_encode(value, &expected);
    bool is_it = tarn_slice_equal(tarn_buffer_slice(&expected), bytes);
    tarn_buffer_free(&expected);
    return is_it;
}

// Position p in the order of the family's keys.
static inline int model_key_at(const model_store *store, int family, int position) {
    bool is_backwards = (store->backwards >> family & 1) != 0;
    return is_backwards ? MODEL_KEYS - 1 - position : position;
}

// Compares the whole family with what it should hold, key by key. Returns the first key that
// differs, MODEL_KEYS when none does, or -1 when reading failed.
static inline int model_compare_gets(const model_store *store, int family,
                                     const model_value *values, const tarn_kv_snapshot *snapshot,
                                     tarn_error *err) {
    tarn_buffer value = {0};
    tarn_kv_read read = {store->families[family], snapshot};
    int differs = MODEL_KEYS;
    for (int key = 0; key < MODEL_KEYS && differs == MODEL_KEYS; key++) {
        bool found = false;
        if (tarn_kv_get(store->kv, &read, model_keys[key], &value, &found, err) != TARN_OK) {
            differs = -1;
            break;
        }
        bool expected = values[key].count > 0;
        if (found != expected) differs = key;
        if (found && expected && !model_value_is(&values[key], tarn_buffer_slice(&value))) {
            differs = key;
        }
    }
    tarn_buffer_free(&value);
    return differs;
}

// The same by walking.
static inline int model_compare_scan(const model_store *store, int family,
                                     const model_value *values, const tarn_kv_snapshot *snapshot,
                                     tarn_error *err) {
    tarn_kv_iterator_options options = {.family = store->families[family], .snapshot = snapshot};
    tarn_kv_iterator *iterator = NULL;
    if (tarn_kv_iterator_new(store->kv, &options, &iterator, err) != TARN_OK) return -1;
    tarn_status status = tarn_kv_seek_first(iterator, err);
    int differs = MODEL_KEYS;
    for (int p = 0; status == TARN_OK && p < MODEL_KEYS && differs == MODEL_KEYS; p++) {
        int key = model_key_at(store, family, p);
        bool expected = values[key].count > 0;
        if (!expected) continue;
        if (!tarn_kv_is_valid(iterator) ||
            !tarn_slice_equal(tarn_kv_key(iterator), model_keys[key]) ||
            !model_value_is(&values[key], tarn_kv_value(iterator))) {
            differs = key;
            break;
        }
        status = tarn_kv_next(iterator, err);
    }
    bool has_more = status == TARN_OK && differs == MODEL_KEYS && tarn_kv_is_valid(iterator);
    tarn_kv_iterator_free(iterator);
    if (status != TARN_OK) return -1;
    return has_more ? 0 : differs;
}

static inline int model_compare(const model_store *store, int family, const model_value *values,
                                const tarn_kv_snapshot *snapshot, tarn_error *err) {
    int differs = model_compare_gets(store, family, values, snapshot, err);
    if (differs != MODEL_KEYS || store->limits.no_iterators) return differs;
    return model_compare_scan(store, family, values, snapshot, err);
}

static inline void model_expect_state(const model_store *store, const model_state *state,
                                      const tarn_kv_snapshot *snapshot) {
    for (int f = 0; f < MODEL_FAMILIES; f++) {
        if (!state->exists[f]) continue;
        tarn_error err = {0};
        int differs = model_compare(store, f, state->values[f], snapshot, &err);
        if (differs == -1) print_message("%s\n", err.message);
        if (differs != MODEL_KEYS) {
            print_message("family %d differs at key %d%s\n", f, differs,
                          snapshot == NULL ? "" : ", in a snapshot");
        }
        assert_int_equal(differs, MODEL_KEYS);
    }
}

// Finds out what the engine does not do, in a store of its own.
static inline model_limits model_find_limits(tarn_kv_engine engine) {
    model_init_keys();
    tarn_sim *sim = NULL;
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, 1, &sim, NULL), TARN_OK);
    model_store store = {.os = tarn_sim_os(sim), .directory = TARN_LIT("/limits")};
    store.options.engine = engine;
    store.options.log_limit_bytes = 1 << 20;
    store.backwards = 4;
    bool exists[MODEL_FAMILIES];
    tarn_error err = {0};
    model_expect_ok(model_open(&store, exists, &err), &err);
    model_limits limits = {0};
    limits.no_families = model_family_open(&store, 1, &err) == TARN_UNSUPPORTED;
    limits.no_comparators = model_family_open(&store, 2, &err) == TARN_UNSUPPORTED;
    model_batch range = {{{MODEL_RANGE, 0, 1, 2, 0}}, 1};
    limits.no_ranges = model_write(&store, &range, TARN_KV_SYNC_NEVER, &err) == TARN_UNSUPPORTED;
    model_batch merge = {{{MODEL_MERGE, 0, 1, 0, 7}}, 1};
    limits.no_merges = model_write(&store, &merge, TARN_KV_SYNC_NEVER, &err) == TARN_UNSUPPORTED;
    tarn_kv_snapshot *snapshot = NULL;
    limits.no_snapshots = tarn_kv_snapshot_new(store.kv, &snapshot, &err) == TARN_UNSUPPORTED;
    tarn_kv_snapshot_free(snapshot);
    tarn_kv_iterator *iterator = NULL;
    limits.no_iterators = tarn_kv_iterator_new(store.kv, NULL, &iterator, &err) == TARN_UNSUPPORTED;
    tarn_kv_iterator_free(iterator);
    limits.no_checkpoint =
        tarn_kv_checkpoint(store.kv, TARN_LIT("/copy"), &err) == TARN_UNSUPPORTED;
    model_expect_ok(tarn_kv_close(store.kv, &err), &err);
    tarn_sim_free(sim);
    return limits;
}

static inline void model_init_store(model_store *store, tarn_os *os, tarn_kv_engine engine,
                                    model_limits limits) {
    *store = (model_store){.os = os, .directory = TARN_LIT("/store"), .limits = limits};
    store->options.engine = engine;
    store->options.background_threads = 1;
    store->options.log_limit_bytes = TARN_TUNABLE(1 << 20, 64 << 10); // small files: many runs
    store->backwards = limits.no_comparators ? 0 : 4;
}

// Calls `run` for each engine that is built in, or for the one that TARN_KV_ENGINE names.
static inline void model_for_each_engine(void (*run)(tarn_kv_engine engine)) {
    const char *only = getenv("TARN_KV_ENGINE");
    for (tarn_kv_engine engine = TARN_KV_LSM; engine < TARN_KV_ENGINE_COUNT; engine++) {
        const char *name = tarn_kv_engine_name(engine);
        if (!tarn_kv_engine_is_built(engine)) continue;
        if (only != NULL && strcmp(only, name) != 0) continue;
        print_message("engine %s\n", name);
        run(engine);
    }
}

// How many rounds a test does: seconds by default, hours when asked for.
static inline size_t model_rounds(size_t usual) {
    const char *text = getenv("TARN_KV_ROUNDS");
    return text == NULL ? usual : (size_t)strtoull(text, NULL, 10);
}

#endif
