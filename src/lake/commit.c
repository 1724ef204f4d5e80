// commit.c - the commit protocol.
//
// One attempt: read the latest snapshot, check that the changes still apply, write manifests and
// lists, then create the next snapshot file exclusively. Who loses that race starts again from the
// snapshot that won. Data files are durable before, manifests before the snapshot, so that a crash
// leaves orphans at worst.
#include "lake/commit.h"

#include "lake/committable.h"
#include "lake/history.h"
#include "lake/manifest_writer.h"

// A commit on its way.
typedef struct attempt {
    tarn_table *table;
    const lake_commit *commit;
    tarn_arena *arena;
    lake_manifest_writer writer;
    lake_manifest *delta; // written once, for all attempts
    size_t delta_count;
    tarn_slice delta_list;
    int64_t delta_list_bytes;
    size_t keep_written; // of writer.written: what later attempts use again
    tarn_slice uuid;     // of the snapshot: tells our file from another's
} attempt;

static bool has_deletes(const lake_commit *commit) {
    for (size_t i = 0; i < commit->count; i++) {
        if (commit->entries[i]->kind == LAKE_DELETE) return true;
    }
    return false;
}

// ---- conflicts ----

// Keeps the entries of partitions that the commit touches.
static bool keep_any_manifest(void *context, const lake_manifest *manifest) {
    (void)context;
    (void)manifest;
    return true;
}

static bool touches_partition(void *context, const lake_entry *entry) {
    const lake_commit *commit = context;
    for (size_t i = 0; i < commit->count; i++) {
        // Entries of a commit mostly come partition by partition; most have one.
        if (i > 0 &&
            tarn_slice_equal(commit->entries[i]->partition, commit->entries[i - 1]->partition)) {
            continue;
        }
        if (tarn_slice_equal(commit->entries[i]->partition, entry->partition)) return true;
    }
    return false;
}

static tarn_status check_premise(const attempt *at, const lake_snapshot *latest, tarn_error *err) {
    const lake_commit *commit = at->commit;
    // New files under new names conflict with nothing. Only a commit that cannot be recognised when
    // it comes a second time has to prove that its files are not there yet.
    if (!has_deletes(commit) && commit->identifier != INT64_MAX) return TARN_OK;
    lake_live live = {0};
    // The filter takes a mutable context; this one is only read.
    lake_commit copy = *commit;
    lake_live_filter filter = {keep_any_manifest, touches_partition, &copy};
    if (latest != NULL) TARN_TRY(lake_live_load(at->table, latest, &filter, &live, err));
    bool may_change_buckets = tarn_slice_equal(commit->kind, TARN_LIT("OVERWRITE"));
    lake_entry_view base = {live.entries, live.count};
    lake_entry_view delta = {commit->entries, commit->count};
    tarn_status status =
        lake_check_conflicts(at->table->schema, base, delta, may_change_buckets, at->arena, err);
    lake_live_free(&live);
    return status;
}

// ---- one attempt ----

static int64_t delta_rows(const lake_commit *commit) {
    int64_t rows = 0;
    for (size_t i = 0; i < commit->count; i++) {
        int64_t count = commit->entries[i]->file.row_count;
        rows += commit->entries[i]->kind == LAKE_ADD ? count : -count;
    }
    return rows;
}

static tarn_status write_delta(attempt *at, tarn_error *err) {
    if (at->delta_list.len > 0) return TARN_OK;
    TARN_TRY(lake_write_manifests(&at->writer, at->commit->entries, at->commit->count, &at->delta,
                                  &at->delta_count, err));
    TARN_TRY(lake_write_list(&at->writer, at->delta, at->delta_count, &at->delta_list,
                             &at->delta_list_bytes, err));
    at->keep_written = at->writer.written_count;
    return TARN_OK;
}

static tarn_status write_base(attempt *at, const lake_snapshot *latest, lake_snapshot *next,
                              tarn_error *err) {
    lake_manifest *manifests = NULL;
    size_t count = 0;
    if (latest != NULL) {
        TARN_TRY(lake_manifests_read(at->table, latest, at->arena, &manifests, &count, err));
        TARN_TRY(lake_merge_manifests(&at->writer, manifests, count, &manifests, &count, err));
    }
    return lake_write_list(&at->writer, manifests, count, &next->base_list, &next->base_list_bytes,
                           err);
}

static tarn_status latest_schema_id(tarn_table *table, tarn_arena *arena, int64_t *ret_id,
                                    tarn_error *err) {
    lake_numbers ids = {0};
    TARN_TRY(lake_list_numbers(table, "schema", "schema-", arena, &ids, err));
    if (ids.count == 0) return tarn_fail(err, TARN_INVALID, "the table was dropped");
    *ret_id = ids.items[ids.count - 1];
    return TARN_OK;
}

static void fill_view(const attempt *at, const lake_snapshot *latest, lake_snapshot *next) {
    const lake_commit *commit = at->commit;
    tarn_snapshot *view = &next->view;
    int64_t now_ms = tarn_os_now_us(tarn_store_os(at->table->store)) / 1000;
    int64_t delta = delta_rows(commit);
    view->id = latest == NULL ? 1 : latest->view.id + 1;
    view->commit_user = commit->user;
    view->commit_identifier = commit->identifier;
    view->commit_kind = commit->kind;
    view->delta_row_count = delta;
    view->total_row_count = delta + (latest == NULL ? 0 : latest->view.total_row_count);
    view->watermark_us = commit->watermark_us;
    view->properties = commit->properties;
    view->property_count = commit->property_count;
    next->uuid = at->uuid;
    next->delta_list = at->delta_list;
    next->delta_list_bytes = at->delta_list_bytes;
    next->time_ms = now_ms;
    if (latest == NULL) return;
    // A clock that went back must not put the newer version before the older one.
    if (latest->time_ms > now_ms) next->time_ms = latest->time_ms;
    if (latest->view.watermark_us > view->watermark_us) {
        view->watermark_us = latest->view.watermark_us;
    }
    next->index_manifest = latest->index_manifest;
    next->next_row_id = latest->next_row_id < 0 ? 0 : latest->next_row_id;
    if (latest->view.schema_id == view->schema_id) next->statistics = latest->statistics;
}

// Whether the snapshot that is there was made by this attempt.
static tarn_status is_ours(attempt *at, int64_t id, bool *ret_ours, tarn_error *err) {
    lake_snapshot there;
    bool found = false;
    TARN_TRY(lake_snapshot_read(at->table, id, at->arena, &there, &found, err));
    *ret_ours = found && tarn_slice_equal(there.uuid, at->uuid);
    return TARN_OK;
}

// *ret_won is false when another commit has taken the number.
static tarn_status create_snapshot(attempt *at, const lake_snapshot *next, bool *ret_won,
                                   tarn_error *err) {
    tarn_slice path;
    tarn_buffer json = {.alloc = at->table->alloc};
    tarn_status status = lake_snapshot_encode(next, &json, err);
    if (status == TARN_OK) {
        status = lake_path(at->table, at->arena, &path, err, "snapshot/snapshot-%lld",
                           (long long)next->view.id);
    }
    if (status == TARN_OK) {
        status = tarn_store_put(at->table->store, path, tarn_buffer_slice(&json),
                                TARN_WRITE_EXCLUSIVE, err);
        *ret_won = status == TARN_OK;
        // A store that retries by itself may tell us of our own success.
        if (status == TARN_CONFLICT) status = is_ours(at, next->view.id, ret_won, err);
    }
    tarn_buffer_free(&json);
    return status;
}

static tarn_status run_attempt(attempt *at, const lake_snapshot *latest, int64_t *ret_id,
                               bool *ret_won, tarn_error *err) {
    lake_snapshot next = {.base_list_bytes = -1, .delta_list_bytes = -1};
    *ret_won = false;
    TARN_TRY(check_premise(at, latest, err));
    TARN_TRY(write_delta(at, err));
    TARN_TRY(latest_schema_id(at->table, at->arena, &next.view.schema_id, err));
    TARN_TRY(write_base(at, latest, &next, err));
    fill_view(at, latest, &next);
    tarn_status status = create_snapshot(at, &next, ret_won, err);
    if (status != TARN_OK) {
        // The snapshot may be there all the same: its files must stay.
        at->keep_written = at->writer.written_count;
        return status;
    }
    *ret_id = next.view.id;
    return TARN_OK;
}

// ---- retries ----

static tarn_status wait_for_turn(const tarn_table *table, uint64_t failures, tarn_error *err) {
    const lake_options *options = &table->schema->options;
    uint64_t wait_ms = options->commit_min_wait_ms;
    for (uint64_t i = 1; i < failures && wait_ms < options->commit_max_wait_ms; i++) wait_ms *= 2;
    if (wait_ms > options->commit_max_wait_ms) wait_ms = options->commit_max_wait_ms;
    uint8_t dice = 0;
    tarn_os_random(tarn_store_os(table->store), &dice, sizeof dice);
    wait_ms = wait_ms / 2 + wait_ms * dice / 510; // half to all of it, so that rivals part
    if (wait_ms == 0) return TARN_OK;

    tarn_mutex *mutex = NULL;
    tarn_cond *never = NULL;
    TARN_TRY(tarn_mutex_new(TARN_LOCK_TABLE, &mutex, err));
    tarn_status status = tarn_cond_new(&never, err);
    if (status == TARN_OK) {
        tarn_mutex_lock(mutex);
        (void)tarn_cond_wait_ms(never, mutex, (int64_t)wait_ms);
        tarn_mutex_unlock(mutex);
    }
    tarn_cond_free(never);
    tarn_mutex_free(mutex);
    return status;
}

// The snapshot that already holds this commit, 0 when there is none.
static tarn_status find_done(const attempt *at, int64_t *ret_id, tarn_error *err) {
    const lake_commit *commit = at->commit;
    *ret_id = 0;
    if (commit->identifier == INT64_MAX) return TARN_OK;
    return lake_history_find(at->table, commit->user, commit->identifier, ret_id, err);
}

static tarn_status attempt_until_done(attempt *at, int64_t *ret_id, tarn_error *err) {
    uint64_t retries = at->table->schema->options.commit_retries;
    for (uint64_t failures = 0;; failures++) {
        lake_snapshot latest;
        int64_t latest_id = 0;
        bool found = false;
        bool won = false;
        TARN_TRY(lake_latest_id(at->table, &latest_id, err));
        TARN_TRY(lake_snapshot_read(at->table, latest_id, at->arena, &latest, &found, err));
        if (latest_id > 0 && !found) {
            return tarn_fail(err, TARN_CONFLICT, "snapshot %lld expired", (long long)latest_id);
        }
        TARN_TRY(run_attempt(at, found ? &latest : NULL, ret_id, &won, err));
        if (won) return TARN_OK;
        lake_take_back(&at->writer, at->keep_written);
        if (failures == retries) break;
        TARN_TRY(wait_for_turn(at->table, failures + 1, err));
        TARN_TRY(find_done(at, ret_id, err)); // whoever won may have committed the very same
        if (*ret_id > 0) return TARN_OK;
    }
    return tarn_fail(err, TARN_CONFLICT, "other commits came first %llu times",
                     (unsigned long long)retries + 1);
}

tarn_status lake_commit_run(tarn_table *table, const lake_commit *commit, int64_t *ret_snapshot_id,
                            tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, table->alloc, SIZE_MAX);
    attempt at = {.table = table, .commit = commit, .arena = &arena};
    int64_t id = 0;
    tarn_status status = lake_manifest_writer_init(&at.writer, table, &arena, err);
    if (status == TARN_OK) status = lake_uuid(table, &arena, &at.uuid, err);
    if (status == TARN_OK) status = attempt_until_done(&at, &id, err);
    if (status == TARN_OK) {
        lake_hint_latest(table, id, false);
        *ret_snapshot_id = id;
    } else if (status == TARN_CONFLICT) {
        lake_take_back(&at.writer, 0);
    } else {
        lake_take_back(&at.writer, at.keep_written);
    }
    tarn_arena_reset(&arena);
    return status;
}

// ---- the public face ----

static tarn_status decode_request(const tarn_table *table, const tarn_table_commit_request *request,
                                  tarn_arena *arena, lake_commit *ret_commit, tarn_error *err) {
    lake_entry *items = NULL;
    size_t count = 0;
    TARN_TRY(
        lake_committable_decode(request->committable, table->alloc, arena, &items, &count, err));
    const lake_entry **entries = tarn_arena_new(arena, const lake_entry *, count);
    if (entries == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a commit");
    for (size_t i = 0; i < count; i++) entries[i] = &items[i];
    lake_commit commit = {.user = request->commit_user,
                          .identifier = request->commit_identifier,
                          .entries = entries,
                          .count = count,
                          .watermark_us = request->watermark_us,
                          .properties = request->properties,
                          .property_count = request->property_count};
    commit.kind = has_deletes(&commit) ? TARN_LIT("OVERWRITE") : TARN_LIT("APPEND");
    *ret_commit = commit;
    return TARN_OK;
}

static tarn_status commit_request(tarn_table *table, const tarn_table_commit_request *request,
                                  tarn_arena *arena, int64_t *ret_id, tarn_error *err) {
    lake_commit commit;
    int64_t done = 0;
    if (request->commit_user.len == 0) return tarn_fail(err, TARN_INVALID, "no commit user given");
    TARN_TRY(decode_request(table, request, arena, &commit, err));
    if (request->commit_identifier != INT64_MAX) {
        TARN_TRY(
            lake_history_find(table, request->commit_user, request->commit_identifier, &done, err));
    }
    if (done > 0) {
        *ret_id = done;
        return TARN_OK;
    }
    if (commit.count == 0 && !request->create_empty) return lake_latest_id(table, ret_id, err);
    return lake_commit_run(table, &commit, ret_id, err);
}

tarn_status tarn_table_commit(tarn_table *table, const tarn_table_commit_request *request,
                              int64_t *ret_snapshot_id, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, table->alloc, SIZE_MAX);
    int64_t id = 0;
    tarn_status status = commit_request(table, request, &arena, &id, err);
    tarn_arena_reset(&arena);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "table '" TARN_SLICE_FMT "': commit: ", TARN_SLICE_ARG(table->path));
        return status;
    }
    *ret_snapshot_id = id;
    return TARN_OK;
}
