#include "lake/history.h"

#include "base/alloc.h"
#include "lake/bytemap.h"
#include "lake/table.h"

// The newest counting commit of a user.
typedef struct last_commit {
    int64_t identifier;
    int64_t snapshot_id;
} last_commit;

struct lake_history {
    const tarn_alloc *alloc;
    tarn_arena arena;
    lake_bytemap users;
    last_commit *last; // by number
    size_t capacity;
    int64_t first_seen; // snapshots [first_seen, last_seen] are in; 0: none yet
    int64_t last_seen;
};

tarn_status lake_history_new(const tarn_alloc *alloc, lake_history **ret_history, tarn_error *err) {
    lake_history *history = tarn_alloc_new(alloc, lake_history, 1);
    if (history == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a table");
    history->alloc = alloc;
    tarn_arena_init(&history->arena, alloc, SIZE_MAX);
    lake_bytemap_init(&history->users, &history->arena);
    *ret_history = history;
    return TARN_OK;
}

void lake_history_free(lake_history *history) {
    if (history == NULL) return;
    tarn_arena_reset(&history->arena);
    tarn_alloc_free(history->alloc, history, 1);
}

static bool counts(const tarn_snapshot *snapshot) {
    return snapshot->commit_identifier != INT64_MAX &&
           !tarn_slice_equal(snapshot->commit_kind, TARN_LIT("COMPACT"));
}

static tarn_status note(lake_history *history, const tarn_snapshot *snapshot, tarn_error *err) {
    if (!counts(snapshot)) return TARN_OK;
    size_t number = 0;
    bool is_new = false;
    TARN_TRY(lake_bytemap_insert(&history->users, snapshot->commit_user, &number, &is_new, err));
    if (number >= history->capacity) {
        size_t capacity = history->capacity == 0 ? 16 : history->capacity * 2;
        last_commit *grown = tarn_arena_new(&history->arena, last_commit, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu commit users", capacity);
        if (number > 0) memcpy(grown, history->last, number * sizeof *grown);
        history->last = grown;
        history->capacity = capacity;
    }
    last_commit *last = &history->last[number];
    if (is_new || snapshot->id > last->snapshot_id) {
        *last = (last_commit){snapshot->commit_identifier, snapshot->id};
    }
    return TARN_OK;
}

// The caller holds the lock.
static bool find_user(const lake_history *history, tarn_slice user, last_commit *ret_last) {
    size_t number = lake_bytemap_find(&history->users, user);
    if (number == LAKE_BYTEMAP_ABSENT) return false;
    *ret_last = history->last[number];
    return true;
}

typedef struct history_range {
    int64_t first;
    int64_t last;
} history_range;

// Reads one snapshot into the history, which then covers `range`.
static tarn_status learn(tarn_table *table, int64_t id, history_range range, bool *ret_found,
                         tarn_error *err) {
    tarn_arena scratch;
    tarn_arena_init(&scratch, table->alloc, SIZE_MAX);
    tarn_snapshot snapshot;
    tarn_status status = tarn_table_snapshot(table, id, &scratch, &snapshot, ret_found, err);
    if (status == TARN_OK) {
        tarn_mutex_lock(table->lock);
        if (*ret_found) status = note(table->history, &snapshot, err);
        if (status == TARN_OK && *ret_found) {
            table->history->first_seen = range.first;
            table->history->last_seen = range.last;
        }
        tarn_mutex_unlock(table->lock);
    }
    tarn_arena_reset(&scratch);
    return status;
}

static history_range seen_range(tarn_table *table) {
    tarn_mutex_lock(table->lock);
    history_range range = {table->history->first_seen, table->history->last_seen};
    tarn_mutex_unlock(table->lock);
    return range;
}

// Reads the new snapshots, then old ones until the user turns up or none is left.
static tarn_status search(tarn_table *table, tarn_slice user, int64_t latest, last_commit *ret_last,
                          bool *ret_found, tarn_error *err) {
    history_range range = seen_range(table);
    if (range.last == 0 || range.last > latest) range = (history_range){latest + 1, latest};
    bool exists = true;
    for (int64_t id = range.last + 1; id <= latest && exists; id++) {
        range.last = id;
        TARN_TRY(learn(table, id, range, &exists, err));
    }
    for (;;) {
        tarn_mutex_lock(table->lock);
        *ret_found = find_user(table->history, user, ret_last);
        tarn_mutex_unlock(table->lock);
        if (*ret_found || range.first <= 1) return TARN_OK;
        range.first--;
        TARN_TRY(learn(table, range.first, range, &exists, err));
        if (!exists) return TARN_OK;
    }
}

// The user's newest commit has a larger identifier: find the one that was asked for.
static tarn_status find_exact(tarn_table *table, tarn_slice user, int64_t identifier,
                              last_commit last, int64_t *ret_snapshot_id, tarn_error *err) {
    *ret_snapshot_id = last.snapshot_id;
    bool exists = last.identifier > identifier;
    for (int64_t id = last.snapshot_id - 1; id > 0 && exists; id--) {
        tarn_arena scratch;
        tarn_arena_init(&scratch, table->alloc, SIZE_MAX);
        tarn_snapshot snapshot;
        tarn_status status = tarn_table_snapshot(table, id, &scratch, &snapshot, &exists, err);
        bool is_users = status == TARN_OK && exists && counts(&snapshot) &&
                        tarn_slice_equal(snapshot.commit_user, user);
        if (is_users && snapshot.commit_identifier == identifier) *ret_snapshot_id = id;
        bool is_past = is_users && snapshot.commit_identifier <= identifier;
        tarn_arena_reset(&scratch);
        if (status != TARN_OK) return status;
        if (is_past) break;
    }
    return TARN_OK;
}

tarn_status lake_history_find(tarn_table *table, tarn_slice user, int64_t identifier,
                              int64_t *ret_snapshot_id, tarn_error *err) {
    int64_t latest = 0;
    last_commit last;
    bool found = false;
    *ret_snapshot_id = 0;
    TARN_TRY(lake_latest_id(table, &latest, err));
    if (latest == 0) return TARN_OK;
    TARN_TRY(search(table, user, latest, &last, &found, err));
    if (!found || last.identifier < identifier) return TARN_OK;
    return find_exact(table, user, identifier, last, ret_snapshot_id, err);
}
