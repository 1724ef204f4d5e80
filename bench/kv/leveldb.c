// LevelDB 1.23 by its C interface.
#include <leveldb/c.h>

#include "bench/kv/store.h"

typedef struct store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write;
} store;

static void check(char *error) {
    if (error != NULL) bench_die("leveldb", error);
}

static void *open_store(const bench_config *config) {
    store *s = bench_new(sizeof *s);
    char *error = NULL;
    s->options = leveldb_options_create();
    s->cache = leveldb_cache_create_lru(config->cache_bytes);
    s->filter = leveldb_filterpolicy_create_bloom(10);
    leveldb_options_set_create_if_missing(s->options, 1);
    leveldb_options_set_compression(s->options, leveldb_no_compression);
    leveldb_options_set_write_buffer_size(s->options, (size_t)64 << 20);
    leveldb_options_set_max_file_size(s->options, (size_t)32 << 20);
    leveldb_options_set_max_open_files(s->options, 2000);
    leveldb_options_set_cache(s->options, s->cache);
    leveldb_options_set_filter_policy(s->options, s->filter);
    s->db = leveldb_open(s->options, config->directory, &error);
    check(error);
    s->read = leveldb_readoptions_create();
    s->write = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(s->write, config->sync);
    return s;
}

static void close_store(void *context) {
    store *s = context;
    leveldb_close(s->db);
    leveldb_readoptions_destroy(s->read);
    leveldb_writeoptions_destroy(s->write);
    leveldb_options_destroy(s->options);
    leveldb_filterpolicy_destroy(s->filter);
    leveldb_cache_destroy(s->cache);
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
        leveldb_put(s->db, s->write, pairs->key.data, pairs->key.len, pairs->value.data,
                    pairs->value.len, &error);
        check(error);
        return;
    }
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    for (size_t i = 0; i < count; i++) {
        leveldb_writebatch_put(batch, pairs[i].key.data, pairs[i].key.len, pairs[i].value.data,
                               pairs[i].value.len);
    }
    leveldb_write(s->db, s->write, batch, &error);
    leveldb_writebatch_destroy(batch);
    check(error);
}

static void erase(void *context, bench_bytes key) {
    store *s = context;
    char *error = NULL;
    leveldb_delete(s->db, s->write, key.data, key.len, &error);
    check(error);
}

static bool get(void *context, bench_bytes key, uint64_t *checksum) {
    store *s = context;
    char *error = NULL;
    size_t len = 0;
    char *value = leveldb_get(s->db, s->read, key.data, key.len, &len, &error);
    check(error);
    if (value == NULL) return false;
    *checksum += bench_touch(value, len);
    leveldb_free(value);
    return true;
}

static size_t scan(void *context, bench_bytes from, bool reverse, size_t limit,
                   uint64_t *checksum) {
    store *s = context;
    leveldb_iterator_t *at = leveldb_create_iterator(s->db, s->read);
    if (reverse) {
        leveldb_iter_seek_to_last(at);
    } else {
        leveldb_iter_seek(at, from.data == NULL ? "" : from.data, from.len);
    }
    size_t count = 0;
    while (count < limit && leveldb_iter_valid(at)) {
        size_t key_len;
        size_t len;
        *checksum += bench_touch(leveldb_iter_key(at, &key_len), key_len);
        *checksum += bench_touch(leveldb_iter_value(at, &len), len);
        count++;
        if (reverse) {
            leveldb_iter_prev(at);
        } else {
            leveldb_iter_next(at);
        }
    }
    leveldb_iter_destroy(at);
    return count;
}

static void settle(void *context) {
    store *s = context;
    leveldb_compact_range(s->db, NULL, 0, NULL, 0);
}

const bench_store bench_leveldb = {
    .name = "leveldb",
    .is_ordered = true,
    .open = open_store,
    .close = close_store,
    .begin = begin,
    .end = end,
    .put = put,
    .erase = erase,
    .get = get,
    .scan = scan,
    .settle = settle,
};
