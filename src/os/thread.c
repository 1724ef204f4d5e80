#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"

// ---- threads ----

struct tarn_thread {
    pthread_t id;
    void (*run)(void *context);
    void *context;
};

static void *run_thread(void *argument) {
    tarn_thread *thread = argument;
    thread->run(thread->context);
    return NULL;
}

// pthread functions fail for want of memory or of system resources; the caller can free some.
static tarn_status fail_new(tarn_error *err, int code, const char *what) {
    return tarn_fail(err, code == ENOMEM ? TARN_NO_MEMORY : TARN_IO, "cannot create a %s: %s", what,
                     strerrordesc_np(code));
}

tarn_status tarn_thread_start(void (*run)(void *context), void *context, tarn_thread **ret_thread,
                              tarn_error *err) {
    tarn_thread *thread = tarn_alloc_new(&tarn_alloc_libc, tarn_thread, 1);
    if (thread == NULL) return fail_new(err, ENOMEM, "thread");
    thread->run = run;
    thread->context = context;

    sigset_t terminal;
    sigset_t before;
    sigemptyset(&terminal);
    const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigaddset(&terminal, signals[i]);
    }
    pthread_sigmask(SIG_BLOCK, &terminal, &before); // a new thread inherits the mask
    int code = pthread_create(&thread->id, NULL, run_thread, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        tarn_alloc_free(&tarn_alloc_libc, thread, 1);
        return fail_new(err, code, "thread");
    }
    *ret_thread = thread;
    return TARN_OK;
}

void tarn_thread_join(tarn_thread *thread) {
    if (thread == NULL) return;
    tarn_assert(pthread_join(thread->id, NULL) == 0);
    tarn_alloc_free(&tarn_alloc_libc, thread, 1);
}

// ---- lock order ----

struct tarn_mutex {
    pthread_mutex_t lock;
    tarn_lock_rank rank;
};

struct tarn_cond {
    pthread_cond_t cond;
};

#ifdef TARN_DEBUG
enum { HELD_MAX = 16 };

// The mutexes that this thread holds, in the order of their acquisition.
static _Thread_local const tarn_mutex *held[HELD_MAX];
static _Thread_local size_t held_count;

// Also refuses a second mutex of the same rank: two threads could take the two in either order.
static void note_lock(const tarn_mutex *mutex) {
    for (size_t i = 0; i < held_count; i++) {
        if (held[i]->rank < mutex->rank) continue;
        (void)fprintf(stderr, "lock order: rank %d is taken while rank %d is held\n",
                      (int)mutex->rank, (int)held[i]->rank);
        abort();
    }
    tarn_assert(held_count < HELD_MAX);
    held[held_count++] = mutex;
}

static bool is_held(const tarn_mutex *mutex) {
    for (size_t i = 0; i < held_count; i++) {
        if (held[i] == mutex) return true;
    }
    return false;
}

// Locks may be given back in any order.
static void note_unlock(const tarn_mutex *mutex) {
    tarn_assert(is_held(mutex));
    size_t kept = 0;
    for (size_t i = 0; i < held_count; i++) {
        if (held[i] != mutex) held[kept++] = held[i];
    }
    held_count = kept;
}

void tarn_mutex_assert_held(const tarn_mutex *mutex) {
    tarn_assert(is_held(mutex));
}
#else
static void note_lock(const tarn_mutex *mutex) {
    (void)mutex;
}

static void note_unlock(const tarn_mutex *mutex) {
    (void)mutex;
}

void tarn_mutex_assert_held(const tarn_mutex *mutex) {
    (void)mutex;
}
#endif

// ---- mutexes and conditions ----

tarn_status tarn_mutex_new(tarn_lock_rank rank, tarn_mutex **ret_mutex, tarn_error *err) {
    tarn_mutex *mutex = tarn_alloc_new(&tarn_alloc_libc, tarn_mutex, 1);
    if (mutex == NULL) return fail_new(err, ENOMEM, "mutex");
    int code = pthread_mutex_init(&mutex->lock, NULL);
    if (code != 0) {
        tarn_alloc_free(&tarn_alloc_libc, mutex, 1);
        return fail_new(err, code, "mutex");
    }
    mutex->rank = rank;
    *ret_mutex = mutex;
    return TARN_OK;
}

void tarn_mutex_free(tarn_mutex *mutex) {
    if (mutex == NULL) return;
    tarn_assert(pthread_mutex_destroy(&mutex->lock) == 0); // fails when it is still held
    tarn_alloc_free(&tarn_alloc_libc, mutex, 1);
}

void tarn_mutex_lock(tarn_mutex *mutex) TARN_NO_THREAD_ANALYSIS {
    note_lock(mutex);
    tarn_assert(pthread_mutex_lock(&mutex->lock) == 0);
}

void tarn_mutex_unlock(tarn_mutex *mutex) TARN_NO_THREAD_ANALYSIS {
    note_unlock(mutex);
    tarn_assert(pthread_mutex_unlock(&mutex->lock) == 0);
}

tarn_status tarn_cond_new(tarn_cond **ret_cond, tarn_error *err) {
    tarn_cond *cond = tarn_alloc_new(&tarn_alloc_libc, tarn_cond, 1);
    if (cond == NULL) return fail_new(err, ENOMEM, "condition");
    pthread_condattr_t attributes;
    int code = pthread_condattr_init(&attributes);
    if (code == 0) {
        // Timeouts must not stretch or collapse when someone sets the clock.
        code = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        if (code == 0) code = pthread_cond_init(&cond->cond, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    if (code != 0) {
        tarn_alloc_free(&tarn_alloc_libc, cond, 1);
        return fail_new(err, code, "condition");
    }
    *ret_cond = cond;
    return TARN_OK;
}

void tarn_cond_free(tarn_cond *cond) {
    if (cond == NULL) return;
    tarn_assert(pthread_cond_destroy(&cond->cond) == 0);
    tarn_alloc_free(&tarn_alloc_libc, cond, 1);
}

void tarn_cond_wait(tarn_cond *cond, tarn_mutex *mutex) {
    tarn_mutex_assert_held(mutex);
    tarn_assert(pthread_cond_wait(&cond->cond, &mutex->lock) == 0);
}

bool tarn_cond_wait_ms(tarn_cond *cond, tarn_mutex *mutex, int64_t timeout_ms) {
    tarn_mutex_assert_held(mutex);
    const int64_t longest_ms = (int64_t)1000 * 86400 * 365; // nobody waits longer; avoids overflow
    if (timeout_ms < 0) timeout_ms = 0;
    if (timeout_ms > longest_ms) timeout_ms = longest_ms;
    struct timespec deadline;
    tarn_assert(clock_gettime(CLOCK_MONOTONIC, &deadline) == 0);
    int64_t ns = deadline.tv_nsec + timeout_ms % 1000 * 1000000;
    deadline.tv_sec += (time_t)(timeout_ms / 1000 + ns / 1000000000);
    deadline.tv_nsec = (long)(ns % 1000000000);
    int code = pthread_cond_timedwait(&cond->cond, &mutex->lock, &deadline);
    tarn_assert(code == 0 || code == ETIMEDOUT);
    return code == 0;
}

void tarn_cond_signal(tarn_cond *cond) {
    tarn_assert(pthread_cond_signal(&cond->cond) == 0);
}

void tarn_cond_broadcast(tarn_cond *cond) {
    tarn_assert(pthread_cond_broadcast(&cond->cond) == 0);
}
