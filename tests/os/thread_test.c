#include "os/os.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

static tarn_error err;

static tarn_mutex *new_mutex(tarn_lock_rank rank) {
    tarn_mutex *mutex = NULL;
    assert_int_equal(tarn_mutex_new(rank, &mutex, &err), TARN_OK);
    return mutex;
}

typedef struct counter {
    tarn_mutex *lock;
    tarn_cond *changed;
    int value; // guarded by lock
} counter;

static void add_thousand(void *context) {
    counter *shared = context;
    for (int i = 0; i < 1000; i++) {
        tarn_mutex_lock(shared->lock);
        tarn_mutex_assert_held(shared->lock);
        shared->value++;
        tarn_mutex_unlock(shared->lock);
    }
}

TEST(a_mutex_loses_no_increment) {
    enum { THREADS = 4 };
    counter shared = {.lock = new_mutex(TARN_LOCK_FLOW)};
    tarn_thread *threads[THREADS] = {NULL};
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(tarn_thread_start(add_thousand, &shared, &threads[i], &err), TARN_OK);
    }
    for (int i = 0; i < THREADS; i++) tarn_thread_join(threads[i]);
    assert_int_equal(shared.value, THREADS * 1000);
    tarn_mutex_free(shared.lock);
}

// Answers every even value with the next odd one, up to 200.
static void answer(void *context) {
    counter *shared = context;
    tarn_mutex_lock(shared->lock);
    while (shared->value < 200) {
        while (shared->value % 2 == 0 && shared->value < 200) {
            tarn_cond_wait(shared->changed, shared->lock);
        }
        if (shared->value < 200) shared->value++;
        tarn_cond_broadcast(shared->changed);
    }
    tarn_mutex_unlock(shared->lock);
}

TEST(a_condition_wakes_whoever_waits_for_it) {
    counter shared = {.lock = new_mutex(TARN_LOCK_FLOW)};
    assert_int_equal(tarn_cond_new(&shared.changed, &err), TARN_OK);
    tarn_thread *thread = NULL;
    assert_int_equal(tarn_thread_start(answer, &shared, &thread, &err), TARN_OK);
    tarn_mutex_lock(shared.lock);
    while (shared.value < 200) {
        shared.value++;
        tarn_cond_signal(shared.changed);
        while (shared.value % 2 == 1) {
            (void)tarn_cond_wait_ms(shared.changed, shared.lock, 60000); // the loop looks again
        }
    }
    tarn_cond_broadcast(shared.changed);
    tarn_mutex_unlock(shared.lock);
    tarn_thread_join(thread);
    tarn_cond_free(shared.changed);
    tarn_mutex_free(shared.lock);
}

TEST(a_wait_ends_with_its_timeout) {
    tarn_mutex *lock = new_mutex(TARN_LOCK_FLOW);
    tarn_cond *never = NULL;
    assert_int_equal(tarn_cond_new(&never, &err), TARN_OK);
    tarn_mutex_lock(lock);
    int64_t begin_ns = tarn_os_monotonic_ns(tarn_os_posix());
    while (tarn_cond_wait_ms(never, lock, 5)) {
    }
    assert_true(tarn_os_monotonic_ns(tarn_os_posix()) - begin_ns >= 5000000);
    while (tarn_cond_wait_ms(never, lock, -1)) {
    }
    tarn_mutex_unlock(lock);
    tarn_cond_free(never);
    tarn_mutex_free(lock);
}

static void read_signal_mask(void *context) {
    pthread_sigmask(SIG_SETMASK, NULL, context);
}

TEST(the_terminals_signals_stay_with_the_thread_that_starts_others) {
    sigset_t mask;
    tarn_thread *thread = NULL;
    assert_int_equal(tarn_thread_start(read_signal_mask, &mask, &thread, &err), TARN_OK);
    tarn_thread_join(thread);
    assert_int_equal(sigismember(&mask, SIGINT), 1);
    assert_int_equal(sigismember(&mask, SIGSEGV), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGINT), 0);
}

TEST(locks_in_order_are_fine_and_are_given_back_in_any_order) {
    tarn_mutex *outer = new_mutex(TARN_LOCK_TABLE);
    tarn_mutex *inner = new_mutex(TARN_LOCK_CACHE);
    for (int round = 0; round < 40; round++) {
        tarn_mutex_lock(outer);
        tarn_mutex_lock(inner);
        tarn_mutex_unlock(outer);
        tarn_mutex_unlock(inner);
    }
    tarn_mutex_free(outer);
    tarn_mutex_free(inner);
    tarn_mutex_free(NULL);
    tarn_cond_free(NULL);
    tarn_thread_join(NULL);
}

#ifdef TARN_DEBUG
// Whether taking `first` and then `second` aborts the process.
static bool aborts(tarn_mutex *first, tarn_mutex *second) TARN_NO_THREAD_ANALYSIS {
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL); // not cmocka's handler
        tarn_mutex_lock(first);
        tarn_mutex_lock(second);
        _exit(0);
    }
    int exit_status = 0;
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    return WIFSIGNALED(exit_status) && WTERMSIG(exit_status) == SIGABRT;
}

TEST(locks_out_of_order_abort) {
    tarn_mutex *outer = new_mutex(TARN_LOCK_TABLE);
    tarn_mutex *inner = new_mutex(TARN_LOCK_CACHE);
    tarn_mutex *peer = new_mutex(TARN_LOCK_CACHE);
    assert_false(aborts(outer, inner));
    assert_true(aborts(inner, outer));
    assert_true(aborts(inner, peer));
    assert_true(aborts(inner, inner));
    tarn_mutex_free(outer);
    tarn_mutex_free(inner);
    tarn_mutex_free(peer);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mutex_loses_no_increment),
        cmocka_unit_test(a_condition_wakes_whoever_waits_for_it),
        cmocka_unit_test(a_wait_ends_with_its_timeout),
        cmocka_unit_test(the_terminals_signals_stay_with_the_thread_that_starts_others),
        cmocka_unit_test(locks_in_order_are_fine_and_are_given_back_in_any_order),
#ifdef TARN_DEBUG
        cmocka_unit_test(locks_out_of_order_abort),
#endif
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
