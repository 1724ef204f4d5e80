// snapshots.c - finding and reading snapshots.
#include "lake/table.h"

tarn_status lake_snapshot_ids(tarn_table *table, tarn_arena *arena, lake_numbers *ret_ids,
                              tarn_error *err) {
    return lake_list_numbers(table, "snapshot", "snapshot-", arena, ret_ids, err);
}

static tarn_status snapshot_exists(tarn_table *table, int64_t id, tarn_arena *arena,
                                   bool *ret_exists, tarn_error *err) {
    tarn_slice path;
    tarn_file_info info;
    TARN_TRY(lake_path(table, arena, &path, err, "snapshot/snapshot-%lld", (long long)id));
    TARN_TRY(tarn_store_stat(table->store, path, &info, err));
    *ret_exists = info.exists;
    return TARN_OK;
}

// The number in a hint file; 0 when it is absent or makes no sense, since a hint is only a hint.
static tarn_status read_hint(tarn_table *table, tarn_arena *arena, int64_t *ret_id,
                             tarn_error *err) {
    tarn_slice path;
    tarn_slice text;
    tarn_file_info info;
    int64_t id = 0;
    TARN_TRY(lake_path(table, arena, &path, err, "snapshot/LATEST"));
    TARN_TRY(tarn_store_stat(table->store, path, &info, err));
    if (info.exists && tarn_store_get(table->store, path, 64, arena, &text, NULL) == TARN_OK) {
        for (size_t i = 0; i < text.len && i < 18 && text.data[i] >= '0' && text.data[i] <= '9';
             i++) {
            id = id * 10 + (text.data[i] - '0');
        }
    }
    *ret_id = id;
    return TARN_OK;
}

// From a snapshot that is believed to be the latest: 0 when it is not there, else the last of the
// ids that follow it without a gap.
static tarn_status probe(tarn_table *table, int64_t start, tarn_arena *arena, int64_t *ret_id,
                         tarn_error *err) {
    bool exists = false;
    *ret_id = 0;
    if (start <= 0) return TARN_OK;
    TARN_TRY(snapshot_exists(table, start, arena, &exists, err));
    for (int64_t id = start; exists; id++) {
        *ret_id = id;
        TARN_TRY(snapshot_exists(table, id + 1, arena, &exists, err));
    }
    return TARN_OK;
}

static tarn_status find_latest(tarn_table *table, int64_t known, tarn_arena *arena, int64_t *ret_id,
                               tarn_error *err) {
    TARN_TRY(probe(table, known, arena, ret_id, err));
    if (*ret_id > 0) return TARN_OK;
    int64_t hint = 0;
    TARN_TRY(read_hint(table, arena, &hint, err));
    TARN_TRY(probe(table, hint, arena, ret_id, err));
    if (*ret_id > 0) return TARN_OK;
    lake_numbers ids = {0};
    TARN_TRY(lake_snapshot_ids(table, arena, &ids, err));
    *ret_id = ids.count == 0 ? 0 : ids.items[ids.count - 1];
    return TARN_OK;
}

tarn_status lake_latest_id(tarn_table *table, int64_t *ret_id, tarn_error *err) {
    tarn_mutex_lock(table->lock);
    int64_t known = table->known_latest;
    tarn_mutex_unlock(table->lock);

    tarn_arena scratch;
    tarn_arena_init(&scratch, table->alloc, SIZE_MAX);
    int64_t id = 0;
    tarn_status status = find_latest(table, known, &scratch, &id, err);
    tarn_arena_reset(&scratch);
    if (status != TARN_OK) return status;

    tarn_mutex_lock(table->lock);
    table->known_latest = id;
    tarn_mutex_unlock(table->lock);
    *ret_id = id;
    return TARN_OK;
}

#define HINT_INTERVAL_US TARN_TUNABLE((int64_t)1000000, (int64_t)1)

static void write_hint(tarn_table *table, const char *name, int64_t id) {
    tarn_arena scratch;
    tarn_arena_init(&scratch, table->alloc, SIZE_MAX);
    tarn_slice path;
    tarn_slice text;
    // The table may have been dropped since: a hint must not outlive its snapshot.
    bool exists = false;
    if (snapshot_exists(table, id, &scratch, &exists, NULL) == TARN_OK && exists &&
        tarn_arena_printf(&scratch, &text, "%lld", (long long)id) &&
        lake_path(table, &scratch, &path, NULL, "snapshot/%s", name) == TARN_OK) {
        // Hints may lag or be absent; whoever reads them looks further.
        tarn_status ignored = tarn_store_put(table->store, path, text, TARN_WRITE_REPLACE, NULL);
        (void)ignored;
    }
    tarn_arena_reset(&scratch);
}

void lake_hint_latest(tarn_table *table, int64_t id, bool at_once) {
    int64_t now_us = tarn_os_now_us(tarn_store_os(table->store));
    tarn_mutex_lock(table->lock);
    bool is_due = at_once || table->hinted_us == 0 ||
                  now_us - table->hinted_us >= HINT_INTERVAL_US || now_us < table->hinted_us;
    if (is_due) table->hinted_us = now_us;
    table->pending_hint = is_due ? 0 : id;
    tarn_mutex_unlock(table->lock);
    if (id == 1) write_hint(table, "EARLIEST", id);
    if (is_due) write_hint(table, "LATEST", id);
}

tarn_status lake_snapshot_read(tarn_table *table, int64_t id, tarn_arena *arena,
                               lake_snapshot *ret_snapshot, bool *ret_found, tarn_error *err) {
    bool exists = false;
    if (id > 0) TARN_TRY(snapshot_exists(table, id, arena, &exists, err));
    if (!exists) {
        *ret_found = false;
        return TARN_OK;
    }
    tarn_slice path;
    tarn_slice json;
    TARN_TRY(lake_path(table, arena, &path, err, "snapshot/snapshot-%lld", (long long)id));
    TARN_TRY(tarn_store_get(table->store, path, LAKE_JSON_LIMIT_BYTES, arena, &json, err));
    lake_snapshot snapshot;
    tarn_status status = lake_snapshot_decode(json, arena, &snapshot, err);
    if (status == TARN_OK && snapshot.view.id != id) {
        status = tarn_fail(err, TARN_CORRUPT, "\"id\" is %lld", (long long)snapshot.view.id);
    }
    if (status != TARN_OK) {
        tarn_error_prefix(err, TARN_SLICE_FMT ": ", TARN_SLICE_ARG(path));
        return status;
    }
    *ret_snapshot = snapshot;
    *ret_found = true;
    return TARN_OK;
}

// ---- the public view ----

tarn_status tarn_table_snapshot(tarn_table *table, int64_t id, tarn_arena *arena,
                                tarn_snapshot *ret_snapshot, bool *ret_found, tarn_error *err) {
    lake_snapshot snapshot;
    bool found = false;
    TARN_TRY(lake_snapshot_read(table, id, arena, &snapshot, &found, err));
    if (found) *ret_snapshot = snapshot.view;
    *ret_found = found;
    return TARN_OK;
}

tarn_status tarn_table_latest_snapshot(tarn_table *table, tarn_arena *arena,
                                       tarn_snapshot *ret_snapshot, bool *ret_found,
                                       tarn_error *err) {
    int64_t id = 0;
    TARN_TRY(lake_latest_id(table, &id, err));
    return tarn_table_snapshot(table, id, arena, ret_snapshot, ret_found, err);
}

tarn_status tarn_table_snapshot_at(tarn_table *table, int64_t time_us, tarn_arena *arena,
                                   tarn_snapshot *ret_snapshot, bool *ret_found, tarn_error *err) {
    lake_numbers ids = {0};
    TARN_TRY(lake_snapshot_ids(table, arena, &ids, err));
    // Committers' clocks may disagree, so times need not grow with ids: the last one wins.
    for (size_t i = ids.count; i > 0; i--) {
        tarn_snapshot snapshot;
        bool found = false;
        TARN_TRY(tarn_table_snapshot(table, ids.items[i - 1], arena, &snapshot, &found, err));
        if (!found || snapshot.time_us > time_us) continue;
        *ret_snapshot = snapshot;
        *ret_found = true;
        return TARN_OK;
    }
    *ret_found = false;
    return TARN_OK;
}

tarn_status tarn_table_snapshots(tarn_table *table, tarn_arena *arena,
                                 tarn_snapshot **ret_snapshots, size_t *ret_count,
                                 tarn_error *err) {
    lake_numbers ids = {0};
    TARN_TRY(lake_snapshot_ids(table, arena, &ids, err));
    tarn_snapshot *snapshots = tarn_arena_new(arena, tarn_snapshot, ids.count);
    if (snapshots == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu snapshots", ids.count);
    size_t count = 0;
    for (size_t i = 0; i < ids.count; i++) {
        bool found = false;
        TARN_TRY(tarn_table_snapshot(table, ids.items[i], arena, &snapshots[count], &found, err));
        count += found; // one may have expired since the listing
    }
    *ret_snapshots = snapshots;
    *ret_count = count;
    return TARN_OK;
}
