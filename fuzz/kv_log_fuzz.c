// Any bytes may lie in two segments of a log: opening replays what is sound, or names the damage;
// after an open the log goes on, and opens again.
#include "kv/log.h"
#include "os/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tarn_status check_record(void *context, const kv_log_record *record, tarn_error *err) {
    (void)err;
    uint64_t *bytes = context;
    tarn_assert(record->type >= KV_LOG_BATCH && record->count > 0);
    for (size_t i = 0; i < record->body.len; i++) *bytes += record->body.data[i];
    return TARN_OK;
}

static void put_file(tarn_os *os, tarn_slice path, tarn_slice bytes) {
    tarn_assert(tarn_os_write_file(os, path, bytes, TARN_WRITE_REPLACE, NULL) == TARN_OK);
}

static void append_one(kv_log *log) {
    kv_log_space space;
    if (kv_log_reserve(log, KV_LOG_SIZE(1), 1, &space, NULL) != TARN_OK) return;
    *kv_log_begin(&space, KV_LOG_BATCH, 1, 1) = 1;
    (void)kv_log_end(&space);
    kv_log_publish(log, &space);
}

// The first byte: how to recover, and where the second segment begins.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    tarn_sim *sim = NULL;
    tarn_assert(tarn_sim_new(&tarn_alloc_libc, 1, &sim, NULL) == TARN_OK);
    tarn_os *os = tarn_sim_os(sim);
    tarn_slice input = {data + 1, size - 1};
    size_t cut = input.len * (data[0] >> 3) / 31;
    put_file(os, TARN_LIT("/000000000001.log"), tarn_slice_head(input, cut));
    put_file(os, TARN_LIT("/000000000002.log"), tarn_slice_skip(input, cut));

    uint64_t bytes = 0;
    kv_log_options options = {
        .os = os,
        .directory = TARN_LIT("/"),
        .segment_bytes = 4096,
        .recovery = (tarn_kv_recovery)(data[0] % 3),
        .may_lack_segments = (data[0] & 4) != 0,
        .replay = check_record,
        .context = &bytes,
    };
    tarn_error err = {0};
    kv_log *log = NULL;
    tarn_status status = kv_log_open(&options, &log, &err);
    tarn_assert(status == TARN_OK || (status == TARN_CORRUPT && strstr(err.message, ".log'")));
    if (status == TARN_OK) {
        append_one(log);
        tarn_assert(kv_log_close(log, NULL) == TARN_OK);
        log = NULL;
        options.recovery = TARN_KV_SKIP_CORRUPT;
        tarn_assert(kv_log_open(&options, &log, NULL) == TARN_OK);
        tarn_assert(kv_log_close(log, NULL) == TARN_OK);
    }
    tarn_sim_free(sim);
    return 0;
}
