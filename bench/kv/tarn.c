// tarn's engines, with their defaults.
#include "bench/kv/store.h"
#include "kv/kv.h"

typedef struct session {
    tarn_kv *kv;
    tarn_kv_batch *batch;
    tarn_arena arena;
} session;

static tarn_slice slice(bench_bytes bytes) {
    return (tarn_slice){(const uint8_t *)bytes.data, bytes.len};
}

static void check(tarn_status status, const tarn_error *err) {
    if (status != TARN_OK) bench_die("tarn", err->message);
}

static void *open_engine(const bench_config *config, tarn_kv_engine engine) {
    tarn_kv *kv = NULL;
    tarn_error err = {0};
    tarn_kv_options options = {
        .engine = engine,
        .sync = config->sync ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER,
        .memory_limit_bytes = config->cache_bytes,
    };
    check(
        tarn_kv_open(tarn_os_posix(), tarn_slice_from_cstr(config->directory), &options, &kv, &err),
        &err);
    return kv;
}

static void *open_lsm(const bench_config *config) {
    return open_engine(config, TARN_KV_LSM);
}

static void *open_hashlog(const bench_config *config) {
    return open_engine(config, TARN_KV_HASHLOG);
}

static void *open_btree(const bench_config *config) {
    return open_engine(config, TARN_KV_BTREE);
}

static void *open_mem(const bench_config *config) {
    return open_engine(config, TARN_KV_MEM);
}

static void close_store(void *store) {
    tarn_error err = {0};
    check(tarn_kv_close(store, &err), &err);
}

static void *begin(void *store) {
    session *at = bench_new(sizeof *at);
    tarn_error err = {0};
    at->kv = store;
    tarn_arena_init(&at->arena, &tarn_alloc_libc, SIZE_MAX);
    check(tarn_kv_batch_new(NULL, &at->batch, &err), &err);
    return at;
}

static void end(void *context) {
    session *at = context;
    tarn_kv_batch_free(at->batch);
    tarn_arena_reset(&at->arena);
    free(at);
}

static void put(void *context, const bench_pair *pairs, size_t count) {
    const session *at = context;
    tarn_error err = {0};
    if (count == 1) {
        check(tarn_kv_put(at->kv, NULL, slice(pairs->key), slice(pairs->value),
                          TARN_KV_SYNC_DEFAULT, &err),
              &err);
        return;
    }
    tarn_kv_batch_clear(at->batch);
    for (size_t i = 0; i < count; i++) {
        check(tarn_kv_batch_put(at->batch, NULL, slice(pairs[i].key), slice(pairs[i].value), &err),
              &err);
    }
    check(tarn_kv_write(at->kv, at->batch, TARN_KV_SYNC_DEFAULT, &err), &err);
}

static void erase(void *context, bench_bytes key) {
    const session *at = context;
    tarn_error err = {0};
    check(tarn_kv_delete(at->kv, NULL, slice(key), TARN_KV_SYNC_DEFAULT, &err), &err);
}

static tarn_status touch(void *context, tarn_slice value, tarn_error *err) {
    (void)err;
    uint64_t *checksum = context;
    *checksum += bench_touch(value.data, value.len);
    return TARN_OK;
}

static bool get(void *context, bench_bytes key, uint64_t *checksum) {
    const session *at = context;
    tarn_error err = {0};
    bool found = false;
    check(tarn_kv_visit(at->kv, NULL, slice(key), touch, checksum, &found, &err), &err);
    return found;
}

#define MULTI_GET_MAX 256

static size_t multi_get(void *context, const bench_bytes *keys, size_t count, uint64_t *checksum) {
    session *at = context;
    tarn_slice slices[MULTI_GET_MAX];
    tarn_kv_answer answers[MULTI_GET_MAX];
    tarn_error err = {0};
    if (count > MULTI_GET_MAX) bench_die("tarn", "too many keys at once");
    for (size_t i = 0; i < count; i++) slices[i] = slice(keys[i]);
    tarn_arena_clear(&at->arena);
    check(tarn_kv_multi_get(at->kv, NULL, slices, count, &at->arena, answers, &err), &err);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (!answers[i].found) continue;
        *checksum += bench_touch(answers[i].value.data, answers[i].value.len);
        found++;
    }
    return found;
}

static size_t scan(void *context, bench_bytes from, bool reverse, size_t limit,
                   uint64_t *checksum) {
    const session *at = context;
    tarn_error err = {0};
    tarn_kv_iterator *cursor = NULL;
    check(tarn_kv_iterator_new(at->kv, NULL, &cursor, &err), &err);
    tarn_status status = reverse         ? tarn_kv_seek_last(cursor, &err)
                         : from.len == 0 ? tarn_kv_seek_first(cursor, &err)
                                         : tarn_kv_seek(cursor, slice(from), &err);
    check(status, &err);
    size_t count = 0;
    while (count < limit && tarn_kv_is_valid(cursor)) {
        tarn_slice key = tarn_kv_key(cursor);
        tarn_slice value = tarn_kv_value(cursor);
        *checksum += bench_touch(key.data, key.len);
        *checksum += bench_touch(value.data, value.len);
        count++;
        check(reverse ? tarn_kv_prev(cursor, &err) : tarn_kv_next(cursor, &err), &err);
    }
    tarn_kv_iterator_free(cursor);
    return count;
}

static void settle(void *store) {
    tarn_error err = {0};
    check(tarn_kv_flush(store, &err), &err);
    check(tarn_kv_compact(store, NULL, (tarn_slice){0}, (tarn_slice){0}, &err), &err);
}

#define FUNCTIONS                                                                             \
    .close = close_store, .begin = begin, .end = end, .put = put, .erase = erase, .get = get, \
    .multi_get = multi_get, .settle = settle

const bench_store bench_tarn_lsm = {
    .name = "tarn-lsm", .is_ordered = true, .open = open_lsm, .scan = scan, FUNCTIONS};
const bench_store bench_tarn_hashlog = {.name = "tarn-hashlog", .open = open_hashlog, FUNCTIONS};
const bench_store bench_tarn_btree = {
    .name = "tarn-btree", .is_ordered = true, .open = open_btree, .scan = scan, FUNCTIONS};
const bench_store bench_tarn_mem = {
    .name = "tarn-mem", .is_ordered = true, .open = open_mem, .scan = scan, FUNCTIONS};
