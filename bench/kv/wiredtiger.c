// WiredTiger 3.2: a B-tree table with its log on, and a checkpoint every minute.
#include <wiredtiger.h>

#include "bench/kv/store.h"

typedef struct store {
    WT_CONNECTION *connection;
} store;

typedef struct session {
    WT_SESSION *session;
    WT_CURSOR *cursor;
} session;

static void check(int code) {
    if (code != 0) bench_die("wiredtiger", wiredtiger_strerror(code));
}

static void *open_store(const bench_config *config) {
    store *s = bench_new(sizeof *s);
    char options[256];
    (void)snprintf(options, sizeof options,
                   "create,cache_size=%zuM,log=(enabled),transaction_sync=(enabled=%s,method=fsync)"
                   ",checkpoint=(wait=60)",
                   config->cache_bytes >> 20, config->sync ? "true" : "false");
    check(wiredtiger_open(config->directory, NULL, options, &s->connection));
    WT_SESSION *setup;
    check(s->connection->open_session(s->connection, NULL, NULL, &setup));
    check(setup->create(setup, "table:bench", "key_format=u,value_format=u"));
    check(setup->close(setup, NULL));
    return s;
}

static void close_store(void *context) {
    store *s = context;
    check(s->connection->close(s->connection, NULL));
    free(s);
}

static void *begin(void *context) {
    const store *s = context;
    session *at = bench_new(sizeof *at);
    check(s->connection->open_session(s->connection, NULL, NULL, &at->session));
    check(
        at->session->open_cursor(at->session, "table:bench", NULL, "overwrite=true", &at->cursor));
    return at;
}

static void end(void *context) {
    session *at = context;
    check(at->session->close(at->session, NULL));
    free(at);
}

static WT_ITEM item(bench_bytes bytes) {
    return (WT_ITEM){.data = bytes.data, .size = bytes.len};
}

static void put(void *context, const bench_pair *pairs, size_t count) {
    const session *at = context;
    if (count > 1) check(at->session->begin_transaction(at->session, NULL));
    for (size_t i = 0; i < count; i++) {
        WT_ITEM key = item(pairs[i].key);
        WT_ITEM value = item(pairs[i].value);
        at->cursor->set_key(at->cursor, &key);
        at->cursor->set_value(at->cursor, &value);
        check(at->cursor->insert(at->cursor));
    }
    if (count > 1) check(at->session->commit_transaction(at->session, NULL));
}

static void erase(void *context, bench_bytes bytes) {
    const session *at = context;
    WT_ITEM key = item(bytes);
    at->cursor->set_key(at->cursor, &key);
    int code = at->cursor->remove(at->cursor);
    if (code != WT_NOTFOUND) check(code);
}

static bool get(void *context, bench_bytes bytes, uint64_t *checksum) {
    const session *at = context;
    WT_ITEM key = item(bytes);
    WT_ITEM value;
    at->cursor->set_key(at->cursor, &key);
    int code = at->cursor->search(at->cursor);
    if (code == WT_NOTFOUND) return false;
    check(code);
    check(at->cursor->get_value(at->cursor, &value));
    *checksum += bench_touch(value.data, value.size);
    check(at->cursor->reset(at->cursor));
    return true;
}

static int first_entry(WT_CURSOR *cursor, bench_bytes from, bool reverse) {
    if (reverse) return cursor->prev(cursor); // from nowhere: the last
    if (from.len == 0) return cursor->next(cursor);
    WT_ITEM key = item(from);
    int exact;
    cursor->set_key(cursor, &key);
    int code = cursor->search_near(cursor, &exact);
    return code == 0 && exact < 0 ? cursor->next(cursor) : code;
}

static size_t scan(void *context, bench_bytes from, bool reverse, size_t limit,
                   uint64_t *checksum) {
    const session *at = context;
    WT_CURSOR *cursor = at->cursor;
    int code = first_entry(cursor, from, reverse);
    size_t count = 0;
    while (code == 0 && count < limit) {
        WT_ITEM key;
        WT_ITEM value;
        check(cursor->get_key(cursor, &key));
        check(cursor->get_value(cursor, &value));
        *checksum += bench_touch(key.data, key.size);
        *checksum += bench_touch(value.data, value.size);
        count++;
        code = reverse ? cursor->prev(cursor) : cursor->next(cursor);
    }
    if (code != WT_NOTFOUND) check(code);
    check(cursor->reset(cursor));
    return count;
}

static void settle(void *context) {
    const store *s = context;
    WT_SESSION *own;
    check(s->connection->open_session(s->connection, NULL, NULL, &own));
    check(own->checkpoint(own, NULL));
    check(own->close(own, NULL));
}

const bench_store bench_wiredtiger = {
    .name = "wiredtiger",
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
