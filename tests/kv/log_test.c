#include "kv/log.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/sim.h"
#include "tests/test.h"

enum { SEGMENT = 4096 };
static const tarn_sim_power_mode all_modes[] = {TARN_SIM_DROP, TARN_SIM_TEAR, TARN_SIM_REORDER};

static tarn_error err;
static tarn_arena arena;

static int set_up(void **state) {
    (void)state;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)256 << 20);
    return 0;
}

static int tear_down(void **state) {
    // After a failed test files are open, and the machine could not be freed.
    if (*state != NULL && tarn_sim_open_count(*state) == 0) tarn_sim_free(*state);
    tarn_arena_reset(&arena);
    return 0;
}

static tarn_sim *new_sim(void **state, uint64_t seed) {
    tarn_sim_free(*state);
    *state = NULL;
    tarn_sim *sim = NULL;
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, seed, &sim, &err), TARN_OK);
    *state = sim;
    assert_int_equal(tarn_os_make_dirs(tarn_sim_os(sim), TARN_LIT("/log"), &err), TARN_OK);
    return sim;
}

// What a replay gave. Record i of a test has sequence 1 + 2 * i, two changes and a body that the
// sequence alone decides.
typedef struct replayed {
    uint64_t first; // sequence; 0: nothing
    uint64_t end;   // behind the last change
    uint64_t count;
    bool has_gaps;
} replayed;

static size_t body_len_of(uint64_t sequence) {
    uint64_t mixed = sequence * 0x9E3779B97F4A7C15u >> 40;
    return sequence % 41 == 1 ? SEGMENT + mixed % 3000 : mixed % 300;
}

static uint8_t body_byte_of(uint64_t sequence, size_t i) {
    return (uint8_t)(sequence * 31 + i * 7 + 1);
}

static tarn_status note_record(void *context, const kv_log_record *record, tarn_error *e) {
    (void)e;
    replayed *seen = context;
    tarn_assert(record->type == KV_LOG_BATCH && record->count == 2);
    tarn_assert(record->body.len == body_len_of(record->sequence));
    for (size_t i = 0; i < record->body.len; i++) {
        tarn_assert(record->body.data[i] == body_byte_of(record->sequence, i));
    }
    if (seen->count == 0) seen->first = record->sequence;
    if (seen->count > 0 && record->sequence != seen->end) seen->has_gaps = true;
    seen->end = record->sequence + record->count;
    seen->count++;
    return TARN_OK;
}

static tarn_status open_with(kv_log_options *options, tarn_os *os, replayed *seen,
                             kv_log **ret_log) {
    *seen = (replayed){.end = 1};
    options->os = os;
    if (options->directory.len == 0) options->directory = TARN_LIT("/log");
    if (options->segment_bytes == 0) options->segment_bytes = SEGMENT;
    options->replay = note_record;
    options->context = seen;
    return kv_log_open(options, ret_log, &err);
}

static kv_log *open_log(tarn_os *os, replayed *seen) {
    kv_log_options options = {0};
    kv_log *log = NULL;
    assert_int_equal(open_with(&options, os, seen, &log), TARN_OK);
    return log;
}

static void close_log(kv_log *log) {
    assert_int_equal(kv_log_close(log, &err), TARN_OK);
}

static tarn_status append(kv_log *log, tarn_kv_sync sync, tarn_error *e) {
    kv_log_space space;
    // The sequence decides the length, so ask what the next one is. One thread at a time.
    size_t len = body_len_of(kv_log_visible(log) + 1);
    TARN_TRY(kv_log_reserve(log, KV_LOG_SIZE(len), 2, &space, e));
    uint8_t *body = kv_log_begin(&space, KV_LOG_BATCH, 2, len);
    for (size_t i = 0; i < len; i++) body[i] = body_byte_of(space.sequence, i);
    (void)kv_log_end(&space);
    kv_log_publish(log, &space);
    return kv_log_commit(log, space.end, sync, e);
}

static void append_many(kv_log *log, size_t count, tarn_kv_sync sync) {
    for (size_t i = 0; i < count; i++) assert_int_equal(append(log, sync, &err), TARN_OK);
}

// ---- round trips ----

TEST(records_come_back_in_order_over_many_opens) {
    tarn_sim *sim = new_sim(state, 1);
    uint64_t end = 1;
    for (int round = 0; round < 8; round++) {
        replayed seen;
        kv_log *log = open_log(tarn_sim_os(sim), &seen);
        assert_int_equal(seen.end, end);
        assert_int_equal(seen.count, (end - 1) / 2);
        assert_false(seen.has_gaps);
        assert_int_equal(kv_log_visible(log), end - 1);
        append_many(log, 60, round % 2 == 0 ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER);
        end += 120;
        assert_int_equal(kv_log_verify(log, &err), TARN_OK);
        if (round % 3 == 2) {
            tarn_sim_kill(sim);
            (void)kv_log_close(log, &err); // dead
        } else {
            close_log(log);
        }
    }
}

TEST(a_segment_has_the_bytes_of_the_format_document) {
    tarn_sim *sim = new_sim(state, 1);
    kv_log_options options = {
        .os = tarn_sim_os(sim), .directory = TARN_LIT("/log"), .segment_bytes = SEGMENT};
    kv_log *log = NULL;
    assert_int_equal(kv_log_open(&options, &log, &err), TARN_OK);
    kv_log_space space;
    assert_int_equal(kv_log_reserve(log, KV_LOG_SIZE(5), 1, &space, &err), TARN_OK);
    memcpy(kv_log_begin(&space, KV_LOG_BATCH, 1, 5), "hello", 5);
    assert_int_equal(kv_log_end(&space), 64);
    kv_log_publish(log, &space);
    close_log(log);
    tarn_slice bytes;
    assert_int_equal(tarn_os_read_file(tarn_sim_os(sim), TARN_LIT("/log/000000000001.log"), SEGMENT,
                                       &arena, &bytes, &err),
                     TARN_OK);
    static const uint8_t expected[] = {
        'T',  'A',  'R',  'N',  'L',  'O',  'G',  '1',  // magic
        1,    0,    0,    0,    0,    0,    0,    0,    // number
        1,    0,    0,    0,    0,    0,    0,    0,    // first sequence
        0,    0,    0,    0,    0,    0,    0,    0,    // synced sequence
        0,    0,    0,    0,    0,    0,    0,    0,    // zeros
        0,    0,    0,    0,    0,    0,    0,    0,    //
        0,    0,    0,    0,    0,    0,    0,    0,    //
        0,    0,    0,    0,    0x4D, 0x99, 0xDE, 0xCF, // checksum of the header
        0x16, 0xC7, 0x59, 0x43, 5,    0,    0,    0,    // checksum, length of the body
        1,    0,    0,    0,    0,    0,    0,    0,    // sequence
        0,    0,    0,    0,    1,    0,    0,    16,   // unsynced changes before, count, type
        'h',  'e',  'l',  'l',  'o',  0,    0,    0,    // body, padding
        0x79, 0xBC, 0x49, 0x8B, 0,    0,    0,    0,    // the mark of the end: no body
        2,    0,    0,    0,    0,    0,    0,    0,    // the next sequence
        0,    0,    0,    0,    0,    0,    0,    2,    // no change, type
    };
    assert_memory_equal(bytes.data, expected, sizeof expected);
    for (size_t i = sizeof expected; i < bytes.len; i++) assert_int_equal(bytes.data[i], 0);
}

TEST(a_cancelled_space_is_not_replayed_and_takes_its_numbers) {
    tarn_sim *sim = new_sim(state, 1);
    replayed seen;
    kv_log *log = open_log(tarn_sim_os(sim), &seen);
    append_many(log, 3, TARN_KV_SYNC_NEVER);
    kv_log_space space;
    assert_int_equal(kv_log_reserve(log, 2 * KV_LOG_SIZE(10), 2, &space, &err), TARN_OK);
    memset(kv_log_begin(&space, KV_LOG_BATCH, 1, 10), 'x', 10);
    (void)kv_log_end(&space);
    kv_log_cancel(&space);
    kv_log_publish(log, &space);
    append_many(log, 3, TARN_KV_SYNC_NEVER);
    close_log(log);
    log = open_log(tarn_sim_os(sim), &seen);
    assert_int_equal(seen.count, 6);
    assert_int_equal(seen.end, 15);
    close_log(log);
}

// ---- crashes ----

enum { ROUNDS = 60 };

typedef struct log_progress {
    uint64_t published; // the last change whose append was begun
    uint64_t safe;      // the last change that was acknowledged as durable
    uint64_t released;
} log_progress;

// Appends, syncs now and then, releases what is old, until something fails or all is done.
static tarn_status run_workload(kv_log *log, log_progress *progress) {
    for (int i = 0; i < ROUNDS; i++) {
        bool must_sync = i % 7 == 3;
        progress->published = kv_log_visible(log) + 2;
        TARN_TRY(append(log, must_sync ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_NEVER, &err));
        if (must_sync) progress->safe = kv_log_visible(log);
        if (i % 20 == 19 && progress->safe > 10) {
            progress->released = progress->safe - 10;
            TARN_TRY(kv_log_release(log, progress->released, &err));
        }
    }
    TARN_TRY(kv_log_sync(log, &err));
    progress->safe = kv_log_visible(log);
    return TARN_OK;
}

static void check_recovery(tarn_os *os, const log_progress *progress) {
    replayed seen;
    kv_log *log = NULL;
    kv_log_options options = {.first_sequence = progress->released};
    assert_int_equal(open_with(&options, os, &seen, &log), TARN_OK);
    assert_false(seen.has_gaps);
    assert_true(kv_log_visible(log) >= progress->safe);
    assert_true(kv_log_visible(log) <= progress->published);
    if (seen.count > 0) assert_true(seen.first <= progress->released || seen.first <= 2);
    // It goes on, and what is appended now survives with all before.
    uint64_t end = kv_log_visible(log) + 1;
    append_many(log, 3, TARN_KV_SYNC_ALWAYS);
    assert_int_equal(kv_log_verify(log, &err), TARN_OK);
    close_log(log);
    assert_int_equal(open_with(&options, os, &seen, &log), TARN_OK);
    assert_int_equal(seen.end, end + 6);
    assert_false(seen.has_gaps);
    close_log(log);
}

static bool crash_at(void **state, uint64_t seed, uint64_t n, int ending) {
    tarn_sim *sim = new_sim(state, seed);
    log_progress progress = {0};
    replayed seen;
    kv_log *log = NULL;
    kv_log_options options = {0};
    tarn_sim_crash_at(sim, n);
    tarn_status status = open_with(&options, tarn_sim_os(sim), &seen, &log);
    if (status == TARN_OK) status = run_workload(log, &progress);
    if (kv_log_close(log, NULL) != TARN_OK && status == TARN_OK) status = TARN_IO;
    bool has_crashed = tarn_sim_has_crashed(sim);
    if (ending == 3) {
        tarn_sim_kill(sim);
    } else {
        tarn_sim_power_loss(sim, all_modes[ending]);
    }
    check_recovery(tarn_sim_os(sim), &progress);
    return has_crashed;
}

TEST(a_crash_at_any_write_loses_nothing_that_was_synced) {
    for (int ending = 0; ending < 4; ending++) {
        uint64_t n = 1;
        while (crash_at(state, test_random(), n, ending)) n++;
        assert_true(n > 100);
        print_message("%llu crash points, ending %d\n", (unsigned long long)n, ending);
    }
}

TEST(every_write_that_fails_is_reported_and_the_synced_is_safe) {
    for (uint64_t n = 1;; n++) {
        tarn_sim *sim = new_sim(state, test_random());
        log_progress progress = {0};
        replayed seen;
        kv_log *log = NULL;
        kv_log_options options = {0};
        uint64_t before = tarn_sim_write_count(sim);
        tarn_sim_fail_write_at(sim, n);
        tarn_status status = open_with(&options, tarn_sim_os(sim), &seen, &log);
        if (status == TARN_OK) status = run_workload(log, &progress);
        tarn_status closed = kv_log_close(log, NULL);
        bool was_hit = tarn_sim_write_count(sim) - before >= n;
        if (was_hit) assert_true(status == TARN_IO || closed == TARN_IO);
        tarn_sim_power_loss(sim, all_modes[n % 3]);
        check_recovery(tarn_sim_os(sim), &progress);
        if (!was_hit) break;
    }
}

TEST(after_a_failed_sync_the_log_refuses_for_good) {
    tarn_sim *sim = new_sim(state, 3);
    replayed seen;
    kv_log *log = open_log(tarn_sim_os(sim), &seen);
    append_many(log, 1, TARN_KV_SYNC_NEVER);
    tarn_sim_fail_write_at(sim, 1);
    assert_int_equal(kv_log_sync(log, &err), TARN_IO);
    assert_non_null(strstr(err.message, "cannot sync '/log/000000000001.log'"));
    assert_int_equal(append(log, TARN_KV_SYNC_NEVER, &err), TARN_IO);
    assert_non_null(strstr(err.message, "an earlier sync of it failed"));
    assert_int_equal(kv_log_close(log, &err), TARN_IO);
}

TEST(a_full_disk_refuses_and_changes_nothing) {
    tarn_sim *sim = new_sim(state, 3);
    replayed seen;
    kv_log *log = open_log(tarn_sim_os(sim), &seen);
    tarn_sim_set_capacity(sim, SEGMENT + 100);
    tarn_status status = TARN_OK;
    uint64_t end = 1;
    while (status == TARN_OK) {
        end = kv_log_visible(log) + 1;
        status = append(log, TARN_KV_SYNC_ALWAYS, &err);
    }
    assert_int_equal(status, TARN_IO);
    assert_non_null(strstr(err.message, "no space left on device"));
    assert_int_equal(kv_log_visible(log) + 1, end);
    tarn_sim_set_capacity(sim, UINT64_MAX);
    append_many(log, 30, TARN_KV_SYNC_ALWAYS);
    close_log(log);
    log = open_log(tarn_sim_os(sim), &seen);
    assert_int_equal(seen.end, end + 60);
    close_log(log);
}

// ---- damage ----

// Opens what a kill left after `count` appends, with a bit flipped in the record of `sequence`.
static tarn_status open_damaged(void **state, uint64_t count, tarn_kv_sync sync, uint64_t sequence,
                                kv_log_options *options, replayed *seen) {
    tarn_sim *sim = new_sim(state, 5);
    kv_log *log = open_log(tarn_sim_os(sim), seen);
    uint64_t offset = 0;
    uint64_t number = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t next = kv_log_visible(log) + 1;
        append_many(log, 1, sync);
        kv_log_segment_info *infos = NULL;
        size_t info_count = 0;
        assert_int_equal(kv_log_segments(log, &arena, &infos, &info_count, &err), TARN_OK);
        if (next != sequence) continue;
        number = infos[info_count - 1].number;
        offset = infos[info_count - 1].end_offset - KV_LOG_SIZE(body_len_of(sequence));
    }
    tarn_sim_kill(sim);
    (void)kv_log_close(log, NULL); // dead
    tarn_slice path;
    assert_true(tarn_arena_printf(&arena, &path, "/log/%012llu.log", (unsigned long long)number));
    size_t used = KV_LOG_RECORD_BYTES + body_len_of(sequence);
    assert_int_equal(tarn_sim_corrupt(sim, path, offset + test_random_below(used),
                                      (uint8_t)(1u << test_random_below(8)), &err),
                     TARN_OK);
    tarn_status status = open_with(options, tarn_sim_os(sim), seen, &log);
    if (status == TARN_OK) close_log(log);
    if (status == TARN_CORRUPT) {
        char expected[80];
        (void)snprintf(expected, sizeof expected, "'/log/%012llu.log' at offset %llu: change %llu",
                       (unsigned long long)number, (unsigned long long)offset,
                       (unsigned long long)sequence);
        assert_non_null(strstr(err.message, expected));
    }
    return status;
}

TEST(a_flipped_bit_in_what_was_synced_is_named) {
    for (int round = 0; round < 100; round++) {
        replayed seen;
        uint64_t sequence = 1 + 2 * test_random_below(59); // the last one could be torn
        kv_log_options options = {0};
        assert_int_equal(open_damaged(state, 60, TARN_KV_SYNC_ALWAYS, sequence, &options, &seen),
                         TARN_CORRUPT);
    }
}

TEST(skipping_leaves_out_the_damaged_record_alone) {
    for (int round = 0; round < 100; round++) {
        replayed seen;
        uint64_t sequence = 3 + 2 * test_random_below(58);
        kv_log_options options = {.recovery = TARN_KV_SKIP_CORRUPT};
        assert_int_equal(open_damaged(state, 61, TARN_KV_SYNC_ALWAYS, sequence, &options, &seen),
                         TARN_OK);
        assert_int_equal(seen.count, 60);
        assert_true(seen.has_gaps);
        assert_int_equal(seen.end, 123);
    }
}

TEST(damage_in_what_was_not_synced_is_a_torn_tail) {
    for (int round = 0; round < 50; round++) {
        replayed seen;
        uint64_t sequence = 1 + 2 * test_random_below(8); // all in the first segment
        kv_log_options options = {0};
        assert_int_equal(open_damaged(state, 8, TARN_KV_SYNC_NEVER, sequence, &options, &seen),
                         TARN_OK);
        assert_int_equal(seen.end, sequence);
        options.recovery = TARN_KV_STRICT;
        assert_int_equal(open_damaged(state, 8, TARN_KV_SYNC_NEVER, sequence, &options, &seen),
                         TARN_CORRUPT);
    }
}

TEST(a_torn_tail_stays_an_end_when_its_successor_is_dropped) {
    replayed seen;
    kv_log_options options = {.may_lack_segments = true, .without_recycling = true};
    assert_int_equal(open_damaged(state, 8, TARN_KV_SYNC_NEVER, 9, &options, &seen), TARN_OK);
    assert_int_equal(seen.end, 9);
    kv_log *log = NULL;
    assert_int_equal(open_with(&options, tarn_sim_os(*state), &seen, &log), TARN_OK);
    append_many(log, 60, TARN_KV_SYNC_ALWAYS);
    kv_log_segment_info *infos = NULL;
    size_t count = 0;
    assert_int_equal(kv_log_segments(log, &arena, &infos, &count, &err), TARN_OK);
    size_t torn = 0;
    while (torn < count && infos[torn].last_sequence != 8) torn++;
    assert_true(torn + 2 < count);
    uint64_t end = kv_log_visible(log) + 1;
    assert_int_equal(kv_log_drop(log, infos[torn + 1].number, &err), TARN_OK);
    close_log(log);
    assert_int_equal(open_with(&options, tarn_sim_os(*state), &seen, &log), TARN_OK);
    assert_int_equal(seen.first, 1);
    assert_int_equal(seen.end, end);
    close_log(log);
}

TEST(opening_again_and_again_leaves_no_files_behind) {
    tarn_sim *sim = new_sim(state, 9);
    replayed seen;
    for (int round = 0; round < 20; round++) {
        kv_log *log = open_log(tarn_sim_os(sim), &seen);
        close_log(log);
        tarn_slice *names = NULL;
        size_t count = 0;
        assert_int_equal(
            tarn_os_list(tarn_sim_os(sim), TARN_LIT("/log"), &arena, &names, &count, &err),
            TARN_OK);
        assert_in_range(count, 1, 3);
    }
}

TEST(strict_accepts_what_a_kill_leaves) {
    tarn_sim *sim = new_sim(state, 9);
    replayed seen;
    for (int round = 0; round < 10; round++) {
        kv_log *log = NULL;
        kv_log_options options = {.recovery = TARN_KV_STRICT,
                                  .first_sequence = (uint64_t)round * 80};
        assert_int_equal(open_with(&options, tarn_sim_os(sim), &seen, &log), TARN_OK);
        append_many(log, 40, TARN_KV_SYNC_NEVER);
        // Released segments are used again: their old bytes lie behind the end.
        assert_int_equal(kv_log_release(log, (uint64_t)round * 80, &err), TARN_OK);
        tarn_sim_kill(sim);
        (void)kv_log_close(log, NULL); // dead
    }
}

// ---- segments ----

TEST(released_segments_are_used_again_and_never_replay) {
    tarn_sim *sim = new_sim(state, 2);
    replayed seen;
    kv_log *log = open_log(tarn_sim_os(sim), &seen);
    for (int round = 0; round < 20; round++) {
        append_many(log, 30, TARN_KV_SYNC_NEVER);
        assert_int_equal(kv_log_release(log, kv_log_visible(log) - 4, &err), TARN_OK);
        assert_true(kv_log_live_bytes(log) <= 6 * (uint64_t)SEGMENT);
        tarn_slice *names = NULL;
        size_t count = 0;
        assert_int_equal(
            tarn_os_list(tarn_sim_os(sim), TARN_LIT("/log"), &arena, &names, &count, &err),
            TARN_OK);
        assert_in_range(count, 1, 7);
    }
    uint64_t end = kv_log_visible(log) + 1;
    close_log(log);
    kv_log_options options = {.first_sequence = end - 4};
    assert_int_equal(open_with(&options, tarn_sim_os(sim), &seen, &log), TARN_OK);
    assert_int_equal(seen.end, end);
    assert_true(seen.first + 2 > end - 4);
    close_log(log);
}

TEST(any_segment_but_the_last_can_be_dropped_when_that_is_allowed) {
    tarn_sim *sim = new_sim(state, 2);
    replayed seen;
    kv_log *log = NULL;
    kv_log_options options = {.may_lack_segments = true, .without_recycling = true};
    assert_int_equal(open_with(&options, tarn_sim_os(sim), &seen, &log), TARN_OK);
    append_many(log, 100, TARN_KV_SYNC_ALWAYS);
    kv_log_segment_info *infos = NULL;
    size_t count = 0;
    assert_int_equal(kv_log_segments(log, &arena, &infos, &count, &err), TARN_OK);
    assert_true(count > 4);
    uint64_t lost = (infos[2].last_sequence - infos[2].first_sequence + 1) / 2;
    assert_int_equal(kv_log_drop(log, infos[2].number, &err), TARN_OK);
    close_log(log);
    assert_int_equal(open_with(&options, tarn_sim_os(sim), &seen, &log), TARN_OK);
    assert_int_equal(seen.count, 100 - lost);
    close_log(log);
    options = (kv_log_options){0};
    assert_int_equal(open_with(&options, tarn_sim_os(sim), &seen, &log), TARN_CORRUPT);
}

TEST(a_read_only_open_changes_nothing) {
    tarn_sim *sim = new_sim(state, 2);
    replayed seen;
    kv_log *log = open_log(tarn_sim_os(sim), &seen);
    append_many(log, 50, TARN_KV_SYNC_NEVER);
    uint64_t before = tarn_sim_write_count(sim);
    kv_log *reader = NULL;
    kv_log_options options = {.is_read_only = true};
    assert_int_equal(open_with(&options, tarn_sim_os(sim), &seen, &reader), TARN_OK);
    assert_int_equal(seen.count, 50);
    close_log(reader);
    assert_int_equal(tarn_sim_write_count(sim), before);
    close_log(log);
}

TEST(an_interval_syncs_when_it_is_over) {
    tarn_sim *sim = new_sim(state, 2);
    replayed seen;
    kv_log *log = open_log(tarn_sim_os(sim), &seen);
    append_many(log, 5, TARN_KV_SYNC_INTERVAL);
    kv_log_statistics stats;
    kv_log_stats(log, &stats);
    assert_int_equal(stats.syncs, 0);
    tarn_sim_advance_us(sim, 100000);
    append_many(log, 2, TARN_KV_SYNC_INTERVAL);
    kv_log_stats(log, &stats);
    assert_int_equal(stats.syncs, 1);
    tarn_sim_power_loss(sim, TARN_SIM_DROP);
    (void)kv_log_close(log, NULL); // dead
    log = open_log(tarn_sim_os(sim), &seen);
    assert_int_equal(seen.count, 6);
    close_log(log);
}

// ---- threads, on the real system ----

enum { WRITERS = 4, WRITES = TARN_TUNABLE(600, 200) };

typedef struct writer {
    kv_log *log;
    uint32_t number;
    tarn_status status;
} writer;

// The body: who wrote it, its how-manieth, and filling.
static void run_writer(void *context) {
    writer *self = context;
    for (uint32_t i = 0; i < WRITES && self->status == TARN_OK; i++) {
        kv_log_space space;
        size_t len = 8 + (self->number * 7 + i) % 200;
        self->status = kv_log_reserve(self->log, KV_LOG_SIZE(len), 1 + i % 3, &space, NULL);
        if (self->status != TARN_OK) return;
        uint8_t *body = kv_log_begin(&space, KV_LOG_BATCH, 1 + i % 3, len);
        memset(body, (int)self->number, len);
        tarn_store_u32(body, self->number);
        tarn_store_u32(body + 4, i);
        (void)kv_log_end(&space);
        kv_log_publish(self->log, &space);
        tarn_kv_sync sync = i % 16 == 0 ? TARN_KV_SYNC_ALWAYS : TARN_KV_SYNC_INTERVAL;
        self->status = kv_log_commit(self->log, space.end, sync, NULL);
        tarn_assert(kv_log_visible(self->log) >= space.end_sequence - 1);
    }
}

typedef struct log_counts {
    uint32_t next[WRITERS];
    uint64_t end;
} log_counts;

static tarn_status count_record(void *context, const kv_log_record *record, tarn_error *e) {
    (void)e;
    log_counts *counted = context;
    tarn_assert(record->sequence == counted->end);
    counted->end += record->count;
    uint32_t number = tarn_load_u32(record->body.data);
    tarn_assert(number < WRITERS);
    tarn_assert(tarn_load_u32(record->body.data + 4) == counted->next[number]);
    counted->next[number]++;
    return TARN_OK;
}

TEST(writers_in_parallel_lose_nothing_and_keep_their_order) {
    char root[] = "/tmp/tarn-log-XXXXXX";
    assert_non_null(mkdtemp(root));
    kv_log_options options = {.os = tarn_os_posix(),
                              .directory = tarn_slice_from_cstr(root),
                              .segment_bytes = 16384,
                              .has_thread = true,
                              .sync_interval_ms = 1};
    kv_log *log = NULL;
    assert_int_equal(kv_log_open(&options, &log, &err), TARN_OK);
    writer writers[WRITERS];
    tarn_thread *threads[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.log = log, .number = i};
        assert_int_equal(tarn_thread_start(run_writer, &writers[i], &threads[i], &err), TARN_OK);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        tarn_thread_join(threads[i]);
        assert_int_equal(writers[i].status, TARN_OK);
    }
    assert_int_equal(kv_log_verify(log, &err), TARN_OK);
    close_log(log);

    log_counts counted = {.end = 1};
    options.replay = count_record;
    options.context = &counted;
    assert_int_equal(kv_log_open(&options, &log, &err), TARN_OK);
    for (size_t i = 0; i < WRITERS; i++) assert_int_equal(counted.next[i], WRITES);
    close_log(log);
    assert_int_equal(tarn_os_remove_tree(tarn_os_posix(), tarn_slice_from_cstr(root), &err),
                     TARN_OK);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        LOG_TEST(records_come_back_in_order_over_many_opens),
        LOG_TEST(a_segment_has_the_bytes_of_the_format_document),
        LOG_TEST(a_cancelled_space_is_not_replayed_and_takes_its_numbers),
        LOG_TEST(a_crash_at_any_write_loses_nothing_that_was_synced),
        LOG_TEST(every_write_that_fails_is_reported_and_the_synced_is_safe),
        LOG_TEST(after_a_failed_sync_the_log_refuses_for_good),
        LOG_TEST(a_full_disk_refuses_and_changes_nothing),
        LOG_TEST(a_flipped_bit_in_what_was_synced_is_named),
        LOG_TEST(skipping_leaves_out_the_damaged_record_alone),
        LOG_TEST(damage_in_what_was_not_synced_is_a_torn_tail),
        LOG_TEST(a_torn_tail_stays_an_end_when_its_successor_is_dropped),
        LOG_TEST(opening_again_and_again_leaves_no_files_behind),
        LOG_TEST(strict_accepts_what_a_kill_leaves),
        LOG_TEST(released_segments_are_used_again_and_never_replay),
        LOG_TEST(any_segment_but_the_last_can_be_dropped_when_that_is_allowed),
        LOG_TEST(a_read_only_open_changes_nothing),
        LOG_TEST(an_interval_syncs_when_it_is_over),
        LOG_TEST(writers_in_parallel_lose_nothing_and_keep_their_order),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
