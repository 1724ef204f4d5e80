// LMDB 0.9.24. Without sync it keeps what the process has written in the page cache (MDB_NOSYNC).
// A session keeps its read transaction and renews it for each read, as its documentation advises.
#include <lmdb.h>

#include "bench/kv/store.h"

typedef struct store {
    MDB_env *env;
    MDB_dbi dbi;
} store;

typedef struct session {
    store *store;
    MDB_txn *read;
} session;

static void check(int code) {
    if (code != 0) bench_die("lmdb", mdb_strerror(code));
}

static void *open_store(const bench_config *config) {
    store *s = bench_new(sizeof *s);
    MDB_txn *txn;
    check(mdb_env_create(&s->env));
    check(mdb_env_set_mapsize(s->env, (size_t)32 << 30));
    unsigned flags = MDB_NORDAHEAD | (config->sync ? 0U : (unsigned)MDB_NOSYNC);
    check(mdb_env_open(s->env, config->directory, flags | MDB_NOTLS, 0644));
    check(mdb_txn_begin(s->env, NULL, 0, &txn));
    check(mdb_dbi_open(txn, NULL, MDB_CREATE, &s->dbi));
    check(mdb_txn_commit(txn));
    return s;
}

static void close_store(void *context) {
    store *s = context;
    mdb_env_close(s->env);
    free(s);
}

static void *begin(void *context) {
    session *at = bench_new(sizeof *at);
    at->store = context;
    check(mdb_txn_begin(at->store->env, NULL, MDB_RDONLY, &at->read));
    mdb_txn_reset(at->read);
    return at;
}

static void end(void *context) {
    session *at = context;
    mdb_txn_abort(at->read);
    free(at);
}

static MDB_val val(bench_bytes bytes) {
    const void *data = bytes.data;
    void *mutable;
    memcpy(&mutable, &data, sizeof data); // LMDB only reads what it is given
    return (MDB_val){bytes.len, mutable};
}

static void put(void *context, const bench_pair *pairs, size_t count) {
    const session *at = context;
    MDB_txn *txn;
    check(mdb_txn_begin(at->store->env, NULL, 0, &txn));
    for (size_t i = 0; i < count; i++) {
        MDB_val key = val(pairs[i].key);
        MDB_val value = val(pairs[i].value);
        check(mdb_put(txn, at->store->dbi, &key, &value, 0));
    }
    check(mdb_txn_commit(txn));
}

static void erase(void *context, bench_bytes bytes) {
    const session *at = context;
    MDB_txn *txn;
    MDB_val key = val(bytes);
    check(mdb_txn_begin(at->store->env, NULL, 0, &txn));
    int code = mdb_del(txn, at->store->dbi, &key, NULL);
    if (code != MDB_NOTFOUND) check(code);
    check(mdb_txn_commit(txn));
}

static bool get(void *context, bench_bytes bytes, uint64_t *checksum) {
    const session *at = context;
    MDB_val key = val(bytes);
    MDB_val value;
    check(mdb_txn_renew(at->read));
    int code = mdb_get(at->read, at->store->dbi, &key, &value);
    if (code == 0) *checksum += bench_touch(value.mv_data, value.mv_size);
    mdb_txn_reset(at->read);
    if (code != MDB_NOTFOUND) check(code);
    return code == 0;
}

static size_t multi_get(void *context, const bench_bytes *keys, size_t count, uint64_t *checksum) {
    const session *at = context;
    size_t found = 0;
    check(mdb_txn_renew(at->read));
    for (size_t i = 0; i < count; i++) {
        MDB_val key = val(keys[i]);
        MDB_val value;
        if (mdb_get(at->read, at->store->dbi, &key, &value) != 0) continue;
        *checksum += bench_touch(value.mv_data, value.mv_size);
        found++;
    }
    mdb_txn_reset(at->read);
    return found;
}

static size_t scan(void *context, bench_bytes from, bool reverse, size_t limit,
                   uint64_t *checksum) {
    const session *at = context;
    MDB_cursor *cursor;
    MDB_val key = val(from);
    MDB_val value;
    check(mdb_txn_renew(at->read));
    check(mdb_cursor_open(at->read, at->store->dbi, &cursor));
    MDB_cursor_op first = reverse ? MDB_LAST : from.len == 0 ? MDB_FIRST : MDB_SET_RANGE;
    int code = mdb_cursor_get(cursor, &key, &value, first);
    size_t count = 0;
    while (code == 0 && count < limit) {
        *checksum += bench_touch(key.mv_data, key.mv_size);
        *checksum += bench_touch(value.mv_data, value.mv_size);
        count++;
        code = mdb_cursor_get(cursor, &key, &value, reverse ? MDB_PREV : MDB_NEXT);
    }
    if (code != MDB_NOTFOUND) check(code);
    mdb_cursor_close(cursor);
    mdb_txn_reset(at->read);
    return count;
}

static void settle(void *context) {
    (void)context;
}

const bench_store bench_lmdb = {
    .name = "lmdb",
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
