// SQLite 3.40: a table without row ids, write-ahead log, prepared statements.
#include <sqlite3.h>

#include "bench/kv/store.h"

enum { PUT, ERASE, GET, FORWARD, BACKWARD, BEGIN, COMMIT, STATEMENT_COUNT };

static const char *const texts[STATEMENT_COUNT] = {
    [PUT] = "INSERT OR REPLACE INTO bench VALUES (?1, ?2)",
    [ERASE] = "DELETE FROM bench WHERE k = ?1",
    [GET] = "SELECT v FROM bench WHERE k = ?1",
    [FORWARD] = "SELECT k, v FROM bench WHERE k >= ?1 ORDER BY k",
    [BACKWARD] = "SELECT k, v FROM bench WHERE k >= ?1 ORDER BY k DESC",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
};

typedef struct store {
    bench_config config;
} store;

typedef struct session {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
} session;

static void check(sqlite3 *db, int code) {
    if (code != SQLITE_OK) bench_die("sqlite", sqlite3_errmsg(db));
}

static void *begin(void *context) {
    const store *s = context;
    session *at = bench_new(sizeof *at);
    char text[4200];
    (void)snprintf(text, sizeof text, "%s/bench.db", s->config.directory);
    check(at->db, sqlite3_open(text, &at->db));
    (void)sqlite3_busy_timeout(at->db, 60000);
    (void)snprintf(text, sizeof text,
                   "PRAGMA journal_mode = wal; PRAGMA synchronous = %s;"
                   "PRAGMA cache_size = -%zu; PRAGMA mmap_size = %zu;"
                   "CREATE TABLE IF NOT EXISTS bench (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID",
                   s->config.sync ? "full" : "off", s->config.cache_bytes >> 10,
                   s->config.cache_bytes);
    check(at->db, sqlite3_exec(at->db, text, NULL, NULL, NULL));
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        check(at->db, sqlite3_prepare_v2(at->db, texts[i], -1, &at->statements[i], NULL));
    }
    return at;
}

static void end(void *context) {
    session *at = context;
    for (int i = 0; i < STATEMENT_COUNT; i++) (void)sqlite3_finalize(at->statements[i]);
    check(at->db, sqlite3_close(at->db));
    free(at);
}

static void *open_store(const bench_config *config) {
    store *s = bench_new(sizeof *s);
    s->config = *config;
    end(begin(s)); // makes the table
    return s;
}

static void close_store(void *context) {
    free(context);
}

static sqlite3_stmt *bind(const session *at, int which, bench_bytes key) {
    sqlite3_stmt *statement = at->statements[which];
    const char *data = key.data == NULL ? "" : key.data;
    check(at->db, sqlite3_bind_blob(statement, 1, data, (int)key.len, SQLITE_STATIC));
    return statement;
}

// Runs a statement that returns no rows.
static void run(const session *at, sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) bench_die("sqlite", sqlite3_errmsg(at->db));
    check(at->db, sqlite3_reset(statement));
}

static void put(void *context, const bench_pair *pairs, size_t count) {
    const session *at = context;
    if (count > 1) run(at, at->statements[BEGIN]);
    for (size_t i = 0; i < count; i++) {
        sqlite3_stmt *statement = bind(at, PUT, pairs[i].key);
        check(at->db, sqlite3_bind_blob(statement, 2, pairs[i].value.data, (int)pairs[i].value.len,
                                        SQLITE_STATIC));
        run(at, statement);
    }
    if (count > 1) run(at, at->statements[COMMIT]);
}

static void erase(void *context, bench_bytes key) {
    const session *at = context;
    run(at, bind(at, ERASE, key));
}

static bool get(void *context, bench_bytes key, uint64_t *checksum) {
    const session *at = context;
    sqlite3_stmt *statement = bind(at, GET, key);
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    if (found) {
        *checksum += bench_touch(sqlite3_column_blob(statement, 0),
                                 (size_t)sqlite3_column_bytes(statement, 0));
    }
    check(at->db, sqlite3_reset(statement));
    return found;
}

static size_t scan(void *context, bench_bytes from, bool reverse, size_t limit,
                   uint64_t *checksum) {
    const session *at = context;
    sqlite3_stmt *statement = bind(at, reverse ? BACKWARD : FORWARD, from);
    size_t count = 0;
    while (count < limit && sqlite3_step(statement) == SQLITE_ROW) {
        for (int column = 0; column < 2; column++) {
            *checksum += bench_touch(sqlite3_column_blob(statement, column),
                                     (size_t)sqlite3_column_bytes(statement, column));
        }
        count++;
    }
    check(at->db, sqlite3_reset(statement));
    return count;
}

static void settle(void *context) {
    session *at = begin(context);
    check(at->db, sqlite3_exec(at->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL));
    end(at);
}

const bench_store bench_sqlite = {
    .name = "sqlite",
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
