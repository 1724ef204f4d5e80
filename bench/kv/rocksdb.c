// RocksDB 7.8 by its C interface: defaults, with what its users are told to set: filters, a cache
// that fits, two background threads, pinned reads.
#include <rocksdb/c.h>

#include "bench/kv/store.h"

typedef struct store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
} store;

static void check(char *error) {
    if (error != NULL) bench_die("rocksdb", error);
}

static void *open_store(const bench_config *config) {
    store *s = bench_new(sizeof *s);
    char *error = NULL;
    s->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(s->options, 1);
    rocksdb_options_set_compression(s->options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(s->options, (size_t)64 << 20);
    rocksdb_options_increase_parallelism(s->options, 2);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(config->cache_bytes);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(s->options, table);
    rocksdb_cache_destroy(cache);
    rocksdb_block_based_options_destroy(table);
    s->db = rocksdb_open(s->options, config->directory, &error);
    check(error);
    s->read = rocksdb_readoptions_create();
    s->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(s->write, config->sync);
    return s;
}

static void close_store(void *context) {
    store *s = context;
    rocksdb_close(s->db);
    rocksdb_readoptions_destroy(s->read);
    rocksdb_writeoptions_destroy(s->write);
    rocksdb_options_destroy(s->options);
    free(s);
}

static void *begin(void *context) {
    return context;
}

static void end(void *context) {
    (void)context;
}

static void put(void *context, const bench_pair *pairs, size_t count) {
    store *s = context;
    char *error = NULL;
    if (count == 1) {
        rocksdb_put(s->db, s->write, pairs->key.data, pairs->key.len, pairs->value.data,
                    pairs->value.len, &error);
        check(error);
        return;
    }
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++) {
        rocksdb_writebatch_put(batch, pairs[i].key.data, pairs[i].key.len, pairs[i].value.data,
                               pairs[i].value.len);
    }
    rocksdb_write(s->db, s->write, batch, &error);
    rocksdb_writebatch_destroy(batch);
    check(error);
}

static void erase(void *context, bench_bytes key) {
    store *s = context;
    char *error = NULL;
    rocksdb_delete(s->db, s->write, key.data, key.len, &error);
    check(error);
}

static bool get(void *context, bench_bytes key, uint64_t *checksum) {
    store *s = context;
    char *error = NULL;
    rocksdb_pinnableslice_t *value = rocksdb_get_pinned(s->db, s->read, key.data, key.len, &error);
    check(error);
    if (value == NULL) return false;
    size_t len;
    const char *data = rocksdb_pinnableslice_value(value, &len);
    *checksum += bench_touch(data, len);
    rocksdb_pinnableslice_destroy(value);
    return true;
}

#define MULTI_GET_MAX 256

static size_t multi_get(void *context, const bench_bytes *keys, size_t count, uint64_t *checksum) {
    store *s = context;
    const char *data[MULTI_GET_MAX] = {0};
    size_t lens[MULTI_GET_MAX] = {0};
    char *values[MULTI_GET_MAX];
    size_t value_lens[MULTI_GET_MAX];
    char *errors[MULTI_GET_MAX];
    if (count > MULTI_GET_MAX) bench_die("rocksdb", "too many keys at once");
    for (size_t i = 0; i < count; i++) {
        data[i] = keys[i].data;
        lens[i] = keys[i].len;
    }
    rocksdb_multi_get(s->db, s->read, count, data, lens, values, value_lens, errors);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        check(errors[i]);
        if (values[i] == NULL) continue;
        *checksum += bench_touch(values[i], value_lens[i]);
        rocksdb_free(values[i]);
        found++;
    }
    return found;
}

static size_t scan(void *context, bench_bytes from, bool reverse, size_t limit,
                   uint64_t *checksum) {
    store *s = context;
    rocksdb_iterator_t *at = rocksdb_create_iterator(s->db, s->read);
    if (reverse) {
        rocksdb_iter_seek_to_last(at);
    } else {
        rocksdb_iter_seek(at, from.data == NULL ? "" : from.data, from.len);
    }
    size_t count = 0;
    while (count < limit && rocksdb_iter_valid(at)) {
        size_t key_len;
        size_t len;
        *checksum += bench_touch(rocksdb_iter_key(at, &key_len), key_len);
        *checksum += bench_touch(rocksdb_iter_value(at, &len), len);
        count++;
        if (reverse) {
            rocksdb_iter_prev(at);
        } else {
            rocksdb_iter_next(at);
        }
    }
    rocksdb_iter_destroy(at);
    return count;
}

static void settle(void *context) {
    store *s = context;
    rocksdb_compact_range(s->db, NULL, 0, NULL, 0);
}

const bench_store bench_rocksdb = {
    .name = "rocksdb",
    .is_ordered = true,
    .open = open_store,
    .close = close_store,
    .begin = begin,
    .end = end,
    .put = put,
    .erase = erase,
    .get = get,
    .multi_get = multi_get,
    .scan = scan,
    .settle = settle,
};
