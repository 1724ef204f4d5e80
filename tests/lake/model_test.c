// Random workloads against the simplest model there is: a sorted list of rows. Every snapshot that
// was ever made must read as the model was when it was committed, whatever came after: commits of
// several writers, restarts, compactions.
#include "tests/lake/helpers.h"

static const test_column COLUMNS[] = {{"id", TARN_TYPE_INTEGER, false},
                                      {"part", TARN_TYPE_TEXT, false},
                                      {"version", TARN_TYPE_BIGINT, false},
                                      {"note", TARN_TYPE_TEXT, false}};

#define KEYS_MAX      40
#define SNAPSHOTS_MAX 64

// ---- the model of a keyed table: one row per key ----

typedef struct model_row {
    bool exists;     // there is a row (or a remembered deletion, see below)
    bool is_deleted; // the last version is a deletion, which still beats older versions
    bool has_version;
    int64_t version;
    char text[128]; // "id|part|version|note"
} model_row;

typedef struct snapshot_rows {
    int64_t id;
    text_list rows;
} snapshot_rows;

typedef struct world {
    fixture f;
    bool by_version; // sequence.field=version
    bool is_keyed;
    model_row rows[KEYS_MAX];
    text_list bag; // append tables: the rows
    snapshot_rows snapshots[SNAPSHOTS_MAX];
    size_t snapshot_count;
    int64_t next_version;
} world;

static const char *const PARTS[] = {"a", "b", "\\N"};

static void make_text(world *w, size_t key, char *text, size_t size, bool *has_version,
                      int64_t *version) {
    *has_version = test_random_below(8) != 0;
    *version = (int64_t)test_random_below(50);
    char shown[32] = "\\N";
    if (*has_version) (void)snprintf(shown, sizeof shown, "%lld", (long long)*version);
    // In a keyed table the partition is part of the key, hence a function of it.
    const char *part = w->is_keyed ? PARTS[key % 2] : PARTS[test_random_below(3)];
    (void)snprintf(text, size, "%zu|%s|%s|note %llu", key, part, shown,
                   (unsigned long long)test_random_below(1000));
}

// Whether a new version wins over what the model has.
static bool wins(const world *w, const model_row *row, bool has_version, int64_t version) {
    if (!row->exists || !w->by_version) return true;
    if (has_version != row->has_version) return has_version; // NULL loses
    return !has_version || version >= row->version;
}

static void apply_keyed(world *w, size_t key, const char *text, bool is_delete, bool has_version,
                        int64_t version) {
    model_row *row = &w->rows[key];
    if (!wins(w, row, has_version, version)) return;
    *row = (model_row){
        .exists = true, .is_deleted = is_delete, .has_version = has_version, .version = version};
    memcpy(row->text, text, strlen(text) + 1);
}

static text_list model_rows(const world *w) {
    text_list rows = {0};
    if (!w->is_keyed) {
        for (size_t i = 0; i < w->bag.count; i++) text_list_add(&rows, w->bag.items[i]);
    }
    for (size_t i = 0; w->is_keyed && i < KEYS_MAX; i++) {
        if (w->rows[i].exists && !w->rows[i].is_deleted) text_list_add(&rows, w->rows[i].text);
    }
    text_list_sort(&rows);
    return rows;
}

// ---- steps ----

static void remember(world *w, int64_t id) {
    if (id == 0 || w->snapshot_count == SNAPSHOTS_MAX) return;
    w->snapshots[w->snapshot_count++] = (snapshot_rows){id, model_rows(w)};
}

static void make_keyed_line(world *w, char *line, size_t size) {
    char text[128];
    bool has_version = false;
    int64_t version = 0;
    size_t key = test_random_below(KEYS_MAX);
    make_text(w, key, text, sizeof text, &has_version, &version);
    bool is_delete = test_random_below(4) == 0;
    (void)snprintf(line, size, "%s|%s",
                   is_delete              ? "-D"
                   : test_random_below(2) ? "+I"
                                          : "+U",
                   text);
    apply_keyed(w, key, text, is_delete, has_version, version);
}

// Deletes a row that is there, or adds one.
static void make_append_line(world *w, char *line, size_t size) {
    char text[128];
    bool has_version = false;
    int64_t version = 0;
    if (w->bag.count > 0 && test_random_below(4) == 0) {
        size_t victim = test_random_below(w->bag.count);
        (void)snprintf(line, size, "-D|%s", w->bag.items[victim]);
        test_free(w->bag.items[victim]);
        w->bag.items[victim] = w->bag.items[--w->bag.count];
        return;
    }
    make_text(w, test_random_below(5), text, sizeof text, &has_version, &version);
    (void)snprintf(line, size, "+I|%s", text);
    text_list_add(&w->bag, text);
}

static void write_some(world *w, tarn_table_writer *writer) {
    size_t count = test_random_below(20);
    for (size_t i = 0; i < count; i++) {
        char line[160];
        if (w->is_keyed) {
            make_keyed_line(w, line, sizeof line);
        } else {
            make_append_line(w, line, sizeof line);
        }
        const char *lines[] = {line};
        assert_ok(write_rows(w->f.table, writer, lines, 1));
    }
}

static void commit_some(world *w) {
    // Rows meet the model in the order in which writers prepare; a tiny buffer spills in between.
    tarn_table_writer_options options = {.buffer_limit_bytes = test_random_below(3) == 0 ? 64 : 0};
    tarn_table_writer *writer = NULL;
    tarn_buffer committable = {0};
    assert_ok(tarn_table_writer_new(w->f.table, &options, &writer, &test_error));
    write_some(w, writer);
    assert_ok(tarn_table_writer_prepare(writer, &committable, &test_error));
    tarn_table_writer_free(writer);
    if (test_random_below(4) == 0) fixture_reopen(&w->f); // committables outlive the process
    int64_t id = 0;
    tarn_table_commit_request request = {.commit_user = TARN_LIT("model"),
                                         .commit_identifier = INT64_MAX,
                                         .committable = tarn_buffer_slice(&committable),
                                         .create_empty = true,
                                         .watermark_us = TARN_NO_WATERMARK};
    assert_ok(tarn_table_commit(w->f.table, &request, &id, &test_error));
    remember(w, id);
    tarn_buffer_free(&committable);
}

static void compact(world *w) {
    tarn_compact_result result;
    assert_ok(tarn_table_compact(w->f.table, TARN_LIT("c"), NULL, 0, &result, &test_error));
    remember(w, result.snapshot_id);
}

// ---- checks ----

static void check_snapshot(world *w, const snapshot_rows *snapshot) {
    text_list got = read_snapshot(w->f.table, snapshot->id);
    assert_texts_equal(&got, &snapshot->rows);
    text_list_free(&got);
}

static void remove_text(text_list *list, const char *text) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) != 0) continue;
        test_free(list->items[i]);
        list->items[i] = list->items[--list->count];
        return;
    }
    fail_msg("a change takes back a row that is not there: %s", text);
}

// The rows of one snapshot and the changes since give the rows of the other.
static void check_changes(world *w, const snapshot_rows *from, const snapshot_rows *to) {
    text_list rows = {0};
    for (size_t i = 0; i < from->rows.count; i++) text_list_add(&rows, from->rows.items[i]);
    text_list changes = read_changes(w->f.table, from->id, to->id);
    for (size_t i = 0; i < changes.count; i++) {
        if (changes.items[i][0] == '+') text_list_add(&rows, changes.items[i] + 3);
    }
    for (size_t i = 0; i < changes.count; i++) {
        if (changes.items[i][0] == '-') remove_text(&rows, changes.items[i] + 3);
    }
    text_list_sort(&rows);
    assert_texts_equal(&rows, &to->rows);
    text_list_free(&rows);
    text_list_free(&changes);
}

static void run_world(const char *primary, const char *partition, const char *const *options,
                      bool by_version) {
    test_definition d;
    world w = {.is_keyed = primary != NULL, .by_version = by_version};
    w.f = fixture_new(define(&d, COLUMNS, 4, primary, partition, options));
    for (int step = 0; step < 25; step++) {
        if (test_random_below(5) == 0) {
            compact(&w);
            // A compaction forgets deletions, so that an older version could come back: what the
            // model says of the order must not reach across it.
            for (size_t i = 0; i < KEYS_MAX; i++) {
                if (w.rows[i].is_deleted) w.rows[i] = (model_row){0};
            }
        } else {
            commit_some(&w);
        }
        if (test_random_below(6) == 0) fixture_reopen(&w.f);
        if (w.snapshot_count > 0) check_snapshot(&w, &w.snapshots[w.snapshot_count - 1]);
    }
    uint64_t removed = 0;
    assert_ok(tarn_table_remove_orphans(w.f.table, NULL, 0, &removed, &test_error));
    for (size_t i = 0; i < w.snapshot_count; i++) check_snapshot(&w, &w.snapshots[i]);
    for (int round = 0; round < 20 && w.snapshot_count > 0; round++) {
        size_t to = test_random_below(w.snapshot_count);
        check_changes(&w, &w.snapshots[test_random_below(to + 1)], &w.snapshots[to]);
    }
    for (size_t i = 0; i < w.snapshot_count; i++) text_list_free(&w.snapshots[i].rows);
    text_list_free(&w.bag);
    fixture_free(&w.f);
}

#define ROUNDS 6

TEST(append_tables_follow_the_model) {
    for (int i = 0; i < ROUNDS; i++) run_world(NULL, NULL, NULL, false);
}

TEST(partitioned_append_tables_follow_the_model) {
    for (int i = 0; i < ROUNDS; i++) run_world(NULL, "part", NULL, false);
}

TEST(keyed_tables_follow_the_model) {
    for (int i = 0; i < ROUNDS; i++) run_world("id", NULL, NULL, false);
}

TEST(keyed_tables_with_buckets_and_partitions_follow_the_model) {
    const char *options[] = {"bucket=3", "target-file-size=1 kb", NULL};
    for (int i = 0; i < ROUNDS; i++) run_world("part,id", "part", options, false);
}

TEST(keyed_tables_with_sequence_fields_follow_the_model) {
    const char *options[] = {"sequence.field=version", "manifest.merge-min-count=3", NULL};
    for (int i = 0; i < ROUNDS; i++) run_world("id", NULL, options, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_tables_follow_the_model),
        cmocka_unit_test(partitioned_append_tables_follow_the_model),
        cmocka_unit_test(keyed_tables_follow_the_model),
        cmocka_unit_test(keyed_tables_with_buckets_and_partitions_follow_the_model),
        cmocka_unit_test(keyed_tables_with_sequence_fields_follow_the_model),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
